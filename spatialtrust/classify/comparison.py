"""All methods on one split, in one precision, with paired intervals and certified thresholds."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from spatialtrust import metrics
from spatialtrust.classify.methods import METHODS, Method, expect_known, fit
from spatialtrust.classify.splits import Splits, divide
from spatialtrust.decision.certification import Grid, certify
from spatialtrust.defaults import DELTA
from spatialtrust.errors import SpatialTrustError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float64
    from spatialtrust.classify.embedded_images import EmbeddedImages
    from spatialtrust.decision.rule import DecisionRule


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    table: one row per method; see `compare` for the columns.
    methods: those that could be fitted, ready to score more images.
    rules: the certified threshold of each.
    settings: everything needed to run it again.
    """

    table: pa.Table
    methods: dict[str, Method]
    rules: dict[str, DecisionRule]
    settings: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "settings": self.settings,
            "methods": self.table.to_pylist(),
            "rules": {name: rule.to_dict() for name, rule in self.rules.items()},
        }


METRICS: Final[dict[str, Callable[..., float]]] = {
    "auroc": metrics.auroc,
    "aurc": metrics.aurc,
    "eaurc": metrics.eaurc,
    "fpr95": metrics.fpr_at_tpr,
}
"""Columns of a comparison. fpr95: share of errors accepted when 95 % of the correct are."""


def compare(
    splits: Splits,
    methods: Sequence[str] = METHODS,
    *,
    seed: int = 0,
    baseline: str = "mcm",
    accuracy: float = 0.95,
    delta: float = DELTA,
    resamples: int = 1000,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """All methods on one split, in one precision, with paired intervals.

    Half of the calibration split fits methods and fixes the grid of thresholds, the other half
    certifies; both are cut by image.

    Returns: columns ``method``, ``labelled_data``, ``accuracy`` of the predictions it speaks of;
    for each of `METRICS` its value, 95 % interval (``_low``, ``_high``) and paired difference to
    ``baseline`` (``_gain``, ``_gain_low``, ``_gain_high``); ``certified_coverage`` of the test
    split at the threshold certified for ``accuracy`` with probability 1 - ``delta``, the
    ``certified_accuracy`` seen there, ``seconds`` for fitting and scoring, and ``status``. A method
    that cannot be fitted has NaN and says why in ``status``.

    Raises: InputError for an unknown method.
    """
    expect_known([*methods, baseline])
    fitting, certifying = divide(splits.calibration, (0.5, 0.5), seed=seed)
    usable = replace(splits, calibration=fitting)
    base = fit(baseline, usable, seed=seed)
    reference = (base.score(splits.test), base.is_correct(splits.test))
    rows: list[dict[str, Any]] = []
    fitted: dict[str, Method] = {}
    rules: dict[str, DecisionRule] = {}
    for name in methods:
        if progress is not None:
            progress(name)
        started = time.perf_counter()
        try:
            method = fit(name, usable, seed=seed)
        except SpatialTrustError as error:
            rows.append({"method": name, "status": str(error)})
            continue
        scores, correct = method.score(splits.test), method.is_correct(splits.test)
        seconds = time.perf_counter() - started
        fitted[name] = method
        rules[name] = _certified(method, fitting, certifying, accuracy, delta)
        rows.append(
            {
                "method": name,
                "labelled_data": str(method.labelled_data),
                "accuracy": float(correct.mean()),
                **_measure(scores, correct, reference, resamples, seed),
                **_accepted(rules[name], scores, correct),
                "seconds": seconds,
                "status": "ok",
            }
        )
    settings = {
        "model": splits.test.model,
        "classes": len(splits.test.texts),
        "images": {
            "train": len(splits.train),
            "calibration": len(fitting),
            "certification": len(certifying),
            "test": len(splits.test),
        },
        "seed": seed,
        "baseline": baseline,
        "accuracy": accuracy,
        "delta": delta,
        "resamples": resamples,
    }
    return Comparison(_table(rows), fitted, rules, settings)


def _certified(
    method: Method,
    fitting: EmbeddedImages,
    certifying: EmbeddedImages,
    accuracy: float,
    delta: float,
) -> DecisionRule:
    return certify(
        method.score(certifying),
        method.is_correct(certifying),
        alpha=1 - accuracy,
        delta=delta,
        grid=Grid.fit(method.score(fitting), method.is_correct(fitting)),
        calibrated_on="the calibration split",
    )


def _accepted(rule: DecisionRule, scores: Float64, correct: NDArray[np.bool_]) -> dict[str, float]:
    """What a certified threshold lets through, and how much of that is right."""
    accepted = rule.accepts(scores)
    right = correct[accepted]
    return {
        "certified_coverage": float(accepted.mean()),
        "certified_accuracy": float(right.mean()) if right.size else np.nan,
    }


def _measure(
    scores: Float64,
    correct: NDArray[np.bool_],
    reference: tuple[Float64, NDArray[np.bool_]],
    resamples: int,
    seed: int,
) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, metric in METRICS.items():
        draw = partial(metrics.bootstrap, metric, scores, correct, n=resamples, seed=seed)
        # Rows number the images, so that the baseline is resampled together with the score.
        images = np.arange(len(scores))
        for suffix, interval in (
            ("", draw(groups=images)),
            ("_gain", draw(groups=images, baseline=reference)),
        ):
            found[name + suffix] = interval.value
            found[f"{name}{suffix}_low"], found[f"{name}{suffix}_high"] = (
                interval.low,
                interval.high,
            )
    return found


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows with one set of columns; a number that is missing is NaN."""
    measured = [f"{m}{g}{e}" for m in METRICS for g in ("", "_gain") for e in ("", "_low", "_high")]
    numbers = ["accuracy", *measured, "certified_coverage", "certified_accuracy", "seconds"]
    schema = pa.schema(
        [("method", pa.string()), ("labelled_data", pa.string())]
        + [(name, pa.float64()) for name in numbers]
        + [("status", pa.string())]
    )
    missing = dict.fromkeys(numbers, np.nan)
    return pa.Table.from_pylist([{**missing, **row} for row in rows], schema=schema)
