"""All methods on one split, in one precision, with paired intervals and certified thresholds."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from spatialtrust.classify import judging
from spatialtrust.classify.judging import METRICS, Scored, judge
from spatialtrust.classify.methods import METHODS, Method, expect_known, fit, unfitted
from spatialtrust.classify.splits import Splits, divide
from spatialtrust.decision.certification import Grid, certify
from spatialtrust.defaults import DELTA
from spatialtrust.errors import InputError, SpatialTrustError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float64
    from spatialtrust.classify.image_set import EmbeddedImages
    from spatialtrust.decision.rule import DecisionRule

__all__ = ["METRICS", "Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    table: one row per method; see `compare` for the columns.
    wins: who is ahead of whom beyond noise: ``metric``, ``better``, ``worse``, and by how much
        (``gain``, ``low``, ``high``; of the metric's own sign turned so that above 0 is better).
    methods: those that could be fitted, ready to score more images.
    rules: the certified threshold of each.
    settings: everything needed to run it again.
    """

    table: pa.Table
    wins: pa.Table
    methods: dict[str, Method]
    rules: dict[str, DecisionRule]
    settings: dict[str, Any]

    def to_dict(self, *, grids: bool = True) -> dict[str, Any]:
        """JSON-ready; without the grids of the thresholds it is a tenth as long."""
        rules = {name: rule.to_dict() for name, rule in self.rules.items()}
        if not grids:
            rules = {
                name: {key: value for key, value in rule.items() if key != "grid"}
                for name, rule in rules.items()
            }
        return {
            "settings": self.settings,
            "methods": self.table.to_pylist(),
            "wins": self.wins.to_pylist(),
            "rules": rules,
        }


def compare(
    splits: Splits,
    methods: Sequence[str] = METHODS,
    *,
    seed: int = 0,
    baseline: str = "mcm",
    accuracy: float = 0.95,
    delta: float = DELTA,
    resamples: int = 1000,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    convention: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """All methods on one split, in one precision, with paired intervals.

    Half of the calibration split fits methods and fixes the grid of thresholds, the other half
    certifies; both are cut by image. Every metric of every method is computed on the same draws of
    test images, so that any two can be subtracted.

    Parameters
    ----------
    options: of single methods, such as ``{"trustvlm": {"shots": 4}}``.
    convention: a published code's metrics instead of ours (`spatialtrust.metrics.published`), for
        reproducing its table; never the default.
    progress: called with what is being done.

    Returns
    -------
    columns ``method``, ``labelled_data``, ``accuracy`` of the predictions it speaks of,
    ``own_predictions`` where these are not the zero-shot ones; for each metric (`METRICS`, and for
    methods with class probabilities ``log_loss`` and ``brier``) its value, 95 % interval (``_low``,
    ``_high``), paired difference to ``baseline`` (``_gain``, ``_gain_low``, ``_gain_high``) and
    ``_rank``: 1 = best, 2 = not told from the best by the paired interval, 3 = behind;
    ``certified_coverage`` of the test split at the threshold certified for ``accuracy`` with
    probability 1 - ``delta``, the ``certified_accuracy`` seen there, ``seconds`` for fitting and
    scoring, ``status`` and ``notes``. A method that cannot be fitted has NaN and says why in
    ``status``.

    Raises
    ------
    InputError: for an unknown method, option or convention, or an option out of range.
    """
    expect_known([*methods, baseline])
    given = {name: dict(values) for name, values in (options or {}).items()}
    if absent := sorted(set(given) - {*methods, baseline}):
        raise InputError(f'options of "{absent[0]}", which is not compared; add it to the methods')
    for name in dict.fromkeys([*methods, baseline]):
        unfitted(name, seed, given.get(name))
    metrics = judging.metrics_of(convention)
    fitting, certifying = divide(splits.calibration, (0.5, 0.5), seed=seed)
    usable = replace(splits, calibration=fitting)
    scored: dict[str, Scored] = {}
    rows: dict[str, dict[str, Any]] = {}
    fitted: dict[str, Method] = {}
    rules: dict[str, DecisionRule] = {}
    for name in dict.fromkeys([*methods, baseline]):
        if progress is not None:
            progress(name)
        started = time.perf_counter()
        try:
            method = fit(
                name,
                usable,
                seed=seed,
                progress=None if progress is None else partial(_epochs, name, progress),
                **given.get(name, {}),
            )
        except SpatialTrustError as error:
            if name not in methods:
                raise
            rows[name] = {"method": name, "status": str(error)}
            continue
        scored[name] = _score(method, splits.test)
        seconds = time.perf_counter() - started
        fitted[name] = method
        if name in methods:
            rules[name] = _certified(method, fitting, certifying, accuracy, delta)
            rows[name] = {
                "method": name,
                "labelled_data": str(method.labelled_data),
                "accuracy": float(scored[name].correct.mean()),
                **_accepted(rules[name], scored[name]),
                "seconds": seconds,
                "status": "ok",
                "notes": "; ".join(method.notes),
            }
    if baseline not in scored:
        raise InputError(f"baseline {baseline}: {rows[baseline]['status']}")
    if progress is not None:
        progress(f"{resamples} resamples of {len(splits.test)} images")
    judged, wins = judge(
        scored,
        groups=splits.test.groups,
        metrics=metrics,
        baseline=baseline,
        listed=[name for name in methods if name in scored],
        resamples=resamples,
        seed=seed,
    )
    settings = {
        "model": splits.test.model,
        "auxiliary": splits.test.auxiliary_model,
        "logit_scale": splits.test.logit_scale,
        "classes": len(splits.test.class_names),
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
        "options": given,
        "convention": convention or "spatialtrust",
    }
    table = judging.table(
        [rows[name] | judged.get(name, {}) for name in methods], metrics, losses=convention is None
    )
    return Comparison(
        table, wins, {name: fitted[name] for name in methods if name in fitted}, rules, settings
    )


def _epochs(name: str, progress: Callable[[str], None], done: int, most: int) -> None:
    if done % 10 == 0 or done == most:
        progress(f"{name}: epoch {done} of at most {most}")


def _score(method: Method, test: EmbeddedImages) -> Scored:
    probabilities = method.probabilities(test)
    return Scored(
        method.score(test),
        method.is_correct(test),
        own_predictions=method.own_predictions,
        losses={} if probabilities is None else judging.losses(probabilities, test.labels),
    )


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


def _accepted(rule: DecisionRule, scored: Scored) -> dict[str, float]:
    """What a certified threshold lets through, and how much of that is right."""
    accepted: NDArray[np.bool_] = rule.accepts(scored.confidence)
    right: NDArray[np.bool_] | Float64 = scored.correct[accepted]
    return {
        "certified_coverage": float(accepted.mean()),
        "certified_accuracy": float(right.mean()) if right.size else np.nan,
    }
