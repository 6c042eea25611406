"""How good verdicts are, where labels exist: the figures that ``spatialtrust eval`` prints.

Ranking and calibration figures are of P(``asserted`` is right) against ``asserted`` = label; what
goes out (``emitted`` = label) is a block of its own; the verifier alone (boxes only, its own
answer) stands beside both, since any combination has to beat it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust import metrics
from spatialtrust.evaluation.labelled import (
    asserted,
    columns_of,
    verdicts_of,
    verifier_alone,
    vlm_alone,
)
from spatialtrust.relations import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from spatialtrust.evaluation.labelled import LabelledColumns, Scored

TARGETS: Final = (0.6, 0.7, 0.8, 0.9, 0.95)
"""Accuracies at which coverage is reported."""

MIN_ROWS: Final = 20
"""Groups with fewer labelled rows are listed without figures."""


class Evaluation(dict[str, Any]):
    """The figures of :func:`evaluate`: nested plain data, ready for JSON, printed as tables."""

    def __repr__(self) -> str:
        return render(self)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(render(self))}</pre>"


def evaluate(verdicts: Any, *, resamples: int = 1000, seed: int = 0) -> Evaluation:
    """Evaluate verdicts with labels.

    Parameters
    ----------
    verdicts: the result of ``verify``, its table, or the file it was written to; needs the columns
        ``label`` and, for intervals by image, ``image_id``.
    resamples: bootstrap resamples by image for the 95 % intervals; 0: no intervals.
    seed: of the bootstrap.

    Returns
    -------
    Nested plain data, ready for JSON; NaN where a figure is undefined.

    Raises
    ------
    InputError: no row has a label.
    """
    given = verdicts_of(verdicts)
    columns = columns_of(given)
    measure = partial(_measure, resamples=resamples, seed=seed)
    families = {
        "left/right/above/below": columns.directional,
        **{name: columns.family == name for name in FAMILIES},
    }
    return Evaluation(
        claims=len(given),
        labelled=int(columns.label.size),
        images=int(np.unique(columns.image).size),
        asserted=measure(columns, asserted),
        verifier_alone=measure(columns, verifier_alone),
        **({} if columns.p_yes is None else {"vlm_alone": measure(columns, vlm_alone)}),
        emitted=_emitted(columns, resamples, seed),
        by_relation={
            name: measure(columns.select(chosen), asserted, curves=False)
            for name, chosen in families.items()
            if chosen.any()
        },
        reliability=_reliability(columns),
    )


def _measure(
    columns: LabelledColumns,
    score: Callable[[LabelledColumns], Scored],
    *,
    resamples: int,
    seed: int,
    curves: bool = True,
) -> dict[str, Any]:
    confidence, is_correct = score(columns)
    known = np.isfinite(confidence)
    confidence, is_correct, groups = confidence[known], is_correct[known], columns.image[known]
    found: dict[str, Any] = {"rows": int(known.sum()), "unknown": int((~known).sum())}
    if found["rows"] < MIN_ROWS:
        return found
    estimate = Estimator(confidence, is_correct, groups, resamples, seed)
    found["accuracy"] = estimate.accuracy()
    for name, metric in (("auroc", metrics.auroc), ("aurc", metrics.aurc), ("ece", metrics.ece)):
        found[name] = estimate(metric)
    if curves:
        found["eaurc"] = estimate(metrics.eaurc)
        found["augrc"] = estimate(metrics.augrc)
        found["fpr_at_95_tpr"] = estimate(metrics.fpr_at_tpr)
        found["ece_floor"] = metrics.ece_floor(confidence)
        found["brier"] = estimate(metrics.brier)
        found["coverage_at_accuracy"] = estimate.coverages()
    return found


@dataclass(frozen=True, slots=True)
class Estimator:
    """Metrics of one score with their intervals by image.

    Attributes
    ----------
    confidence: (N,) surer is higher.
    is_correct: (N,).
    groups: (N,) image of each row.
    resamples: of the bootstrap; 0: values without intervals.
    seed: of the bootstrap.
    """

    confidence: NDArray[np.float64]
    is_correct: NDArray[np.bool_]
    groups: NDArray[Any]
    resamples: int
    seed: int

    def __call__(self, metric: Callable[..., float]) -> dict[str, float]:
        """``value`` and, with resamples, ``low`` and ``high`` of the 95 % interval."""
        if not self.resamples:
            return {"value": metric(self.confidence, self.is_correct)}
        found = metrics.bootstrap(
            metric,
            self.confidence,
            self.is_correct,
            groups=self.groups,
            n=self.resamples,
            seed=self.seed,
        )
        return {"value": found.value, "low": found.low, "high": found.high}

    def accuracy(self) -> dict[str, float]:
        """Of all rows."""
        return self(partial(metrics.accuracy_at_coverage, coverage=1.0))

    def coverages(self) -> dict[str, dict[str, float]]:
        """Coverage at each of ``TARGETS`` with the most that accepting alone can cover."""
        accuracy = float(self.is_correct.mean())
        return {
            f"{target:g}": {
                **self(partial(metrics.coverage_at_accuracy, accuracy=target)),
                "ceiling": metrics.coverage_ceiling(accuracy, target),
            }
            for target in TARGETS
        }


def _emitted(columns: LabelledColumns, resamples: int, seed: int) -> dict[str, Any]:
    """What goes out: how much, and how often it is right."""
    out = np.isfinite(columns.emitted)
    found: dict[str, Any] = {"rows": int(out.sum()), "coverage": float(out.mean())}
    if out.any():
        right = (columns.emitted[out] == 1) == columns.label[out]
        estimate = Estimator(np.ones(right.size), right, columns.image[out], resamples, seed)
        found["accuracy"] = estimate.accuracy()
    return found


def _reliability(columns: LabelledColumns) -> list[dict[str, Any]]:
    confidence, is_correct = asserted(columns)
    known = np.isfinite(confidence)
    table = metrics.reliability(confidence[known], is_correct[known])
    return [
        dict(zip(table._fields, (column.item() for column in row), strict=True))
        for row in zip(*table, strict=True)
    ]


def render(found: dict[str, Any]) -> str:
    """The figures as plain text tables, one line a block and family.

    Parameters
    ----------
    found: what :func:`evaluate` returned.
    """
    blocks = {
        "asserted": "what was asserted",
        "verifier_alone": "verifier alone (boxes, its own answer)",
        "vlm_alone": "VLM alone (its own confidence)",
    }
    lines = [f"{found['labelled']} labelled claims on {found['images']} images"]
    if found.get("in_sample_share"):
        lines.append(f"IN-SAMPLE: {found['in_sample_share']:.0%} of the claims fitted the model")
    for key, title in blocks.items():
        block = found.get(key)
        if block is None or "auroc" not in block:
            continue
        lines += ["", f"{title}: {block['rows']} claims, {block['unknown']} unknown"]
        for name in (
            "accuracy",
            "auroc",
            "aurc",
            "eaurc",
            "augrc",
            "fpr_at_95_tpr",
            "ece",
            "brier",
        ):
            lines.append(f"  {name:<15}{interval(block[name])}")
        lines.append(f"  {'ece floor':<15}{block['ece_floor']:.3f} if perfectly calibrated")
        for target, coverage in block["coverage_at_accuracy"].items():
            ceiling = f"ceiling {coverage['ceiling']:.3f}"
            lines.append(f"  coverage at {float(target):<4.0%}{interval(coverage)}  {ceiling}")
    emitted = found["emitted"]
    accuracy = interval(emitted["accuracy"]) if "accuracy" in emitted else "-"
    lines += ["", f"emitted: {emitted['rows']} claims, coverage {emitted['coverage']:.3f}, "
              f"accuracy {accuracy}", "", f"{'relations':<24}{'rows':>6}  AUROC / ECE"]  # fmt: skip
    for name, block in found["by_relation"].items():
        figures = "too few"
        if "auroc" in block:
            figures = f"{interval(block['auroc'])}  /  {interval(block['ece'])}"
        lines.append(f"{name:<24}{block['rows']:>6}  {figures}")
    lines += ["", "confidence      claims  mean confidence  accuracy"]
    for row in found["reliability"]:
        if row["rows"]:
            lines.append(
                f"{row['lower']:.2f} - {row['upper']:.2f}{row['rows']:>11}"
                f"{row['confidence']:>17.3f}{row['accuracy']:>10.3f}"
            )
    return "\n".join(lines)


def interval(estimate: dict[str, float]) -> str:
    """An estimate as text: value, and its interval where it has one."""
    if "low" not in estimate:
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"
