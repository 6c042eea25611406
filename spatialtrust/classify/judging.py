"""Scores side by side: every metric on the same draws, differences, and who leads beyond noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from spatialtrust import metrics as trust
from spatialtrust.metrics.bootstrap import Resampled, interval, resample, resample_means
from spatialtrust.metrics.conventions import CONVENTIONS, published
from spatialtrust.metrics.multiclass import brier_losses, log_losses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float64, Int64

    Metric = Callable[..., float]

METRICS: Final[dict[str, Metric]] = {
    "auroc": trust.auroc,
    "aurc": trust.aurc,
    "eaurc": trust.eaurc,
    "fpr95": trust.fpr_at_tpr,
    "aupr_correct": trust.average_precision,
    "aupr_error": partial(trust.average_precision, positive="error"),
}
"""Columns of a comparison. fpr95: share of errors accepted when 95 % of the correct are."""

LOSSES: Final = ("log_loss", "brier")
"""Columns of methods that have probabilities of all classes."""

_LOWER_IS_BETTER: Final = ("aurc", "eaurc", "augrc", "fpr95", "ece", *LOSSES)
_SUFFIXES: Final = ("", "_low", "_high", "_gain", "_gain_low", "_gain_high", "_rank")
_WINS: Final = pa.schema(
    [
        ("metric", pa.string()),
        ("better", pa.string()),
        ("worse", pa.string()),
        ("gain", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Scored:
    """One method's confidences (N,), whether its predictions are right, and losses (N,) by name."""

    confidence: Float64
    correct: NDArray[np.bool_]
    own_predictions: bool = False
    losses: Mapping[str, Float64] = field(default_factory=dict)


def losses(probabilities: Float64, labels: Int64) -> dict[str, Float64]:
    """Log loss and Brier score of each row."""
    return {
        "log_loss": log_losses(probabilities, labels),
        "brier": brier_losses(probabilities, labels),
    }


def metrics_of(convention: str | None) -> dict[str, Metric]:
    """The metrics of a table, by our definitions or by a published code's.

    Raises
    ------
    InputError: for a convention that there is not.
    """
    if convention is None:
        return dict(METRICS)
    published([], [], convention)
    return {
        name: partial(_by_convention, convention=convention, metric=name)
        for name in CONVENTIONS[convention]
    }


def judge(
    scored: Mapping[str, Scored],
    *,
    groups: Int64,
    metrics: Mapping[str, Metric],
    baseline: str,
    listed: Sequence[str],
    resamples: int,
    seed: int,
) -> tuple[dict[str, dict[str, Any]], pa.Table]:
    """Values, intervals, gains over the baseline and ranks of each method, and all clear wins.

    Methods with predictions of their own are measured on other errors: they have values and
    intervals, but neither take a rank nor part in wins.
    """
    names = list(scored)
    found = resample(
        list(metrics.values()),
        [(scored[name].confidence, scored[name].correct) for name in names],
        groups=groups,
        n=resamples,
        seed=seed,
    )
    results: dict[str, dict[str, Resampled]] = {
        name: dict(zip(metrics, row, strict=True)) for name, row in zip(names, found, strict=True)
    }
    lossy = [(name, loss) for name in names for loss in scored[name].losses]
    if lossy:
        columns = [scored[name].losses[loss] for name, loss in lossy]
        means = resample_means(columns, groups=groups, n=resamples, seed=seed)
        for (name, loss), mean in zip(lossy, means, strict=True):
            results[name][loss] = mean
    images = int(groups.max(initial=-1)) + 1
    rows = {
        name: {"own_predictions": scored[name].own_predictions}
        | _values(results[name], results[baseline], images)
        for name in listed
    }
    wins: list[dict[str, Any]] = []
    for metric in (*metrics, *LOSSES):
        rivals = [n for n in listed if metric in results[n] and not scored[n].own_predictions]
        wins += _rank(metric, {name: results[name][metric] for name in rivals}, rows, images)
    return rows, pa.Table.from_pylist(wins, schema=_WINS)


def table(
    rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Metric], *, losses: bool
) -> pa.Table:
    """Rows with one set of columns; a number that is missing is NaN, a rank 0."""
    names = [*metrics, *(LOSSES if losses else ())]
    measured = [f"{name}{suffix}" for name in names for suffix in _SUFFIXES]
    numbers = ["accuracy", *measured, "certified_coverage", "certified_accuracy", "seconds"]
    schema = pa.schema(
        [("method", pa.string()), ("labelled_data", pa.string()), ("own_predictions", pa.bool_())]
        + [(name, pa.int64() if name.endswith("_rank") else pa.float64()) for name in numbers]
        + [("status", pa.string()), ("notes", pa.string())]
    )
    missing = {name: 0 if name.endswith("_rank") else np.nan for name in numbers}
    return pa.Table.from_pylist([{**missing, **row} for row in rows], schema=schema)


def _by_convention(
    confidence: Float64, correct: NDArray[np.bool_], *, convention: str, metric: str
) -> float:
    return published(confidence, correct, convention, metric)[metric]


def _values(
    found: Mapping[str, Resampled], reference: Mapping[str, Resampled], images: int
) -> dict[str, float]:
    values: dict[str, float] = {}
    for name, one in found.items():
        other = reference.get(name)
        ends = (-np.inf, np.inf) if name in LOSSES else (0.0, 1.0)
        pairs = [("", interval(one, groups=images, limits=ends))]
        if other is not None:
            pairs.append(("_gain", interval(one, other, groups=images, limits=ends)))
        for suffix, spread in pairs:
            values[f"{name}{suffix}"] = spread.value
            values[f"{name}{suffix}_low"] = spread.low
            values[f"{name}{suffix}_high"] = spread.high
    return values


def _rank(
    metric: str,
    found: Mapping[str, Resampled],
    rows: dict[str, dict[str, Any]],
    images: int,
) -> list[dict[str, Any]]:
    """Ranks into the rows; every pair whose paired interval lies on one side of 0."""
    sign = -1.0 if metric in _LOWER_IS_BETTER else 1.0
    known = {name: one for name, one in found.items() if not np.isnan(one.value)}
    order = sorted(known, key=lambda name: -sign * known[name].value)
    wins = []
    for place, better in enumerate(order):
        for worse in order[place + 1 :]:
            spread = interval(known[better], known[worse], groups=images, limits=(-1e6, 1e6))
            low, high = sorted((sign * spread.low, sign * spread.high))
            if low > 0:
                gain = sign * spread.value
                wins.append(
                    {"metric": metric, "better": better, "worse": worse, "gain": gain}
                    | {"low": low, "high": high}
                )
    beaten = {win["worse"] for win in wins if order and win["better"] == order[0]}
    for name in order:
        rows[name][f"{metric}_rank"] = 1 if name == order[0] else 3 if name in beaten else 2
    return wins
