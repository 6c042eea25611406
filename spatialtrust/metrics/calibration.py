"""Whether a confidence of 0.8 is right eight times out of ten.

Only probabilities enter here: raw scores (energy, MaxLogit, kappa) are unbounded and are refused,
because clipping them would print a number that looks like a calibration error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from spatialtrust.errors import InputError
from spatialtrust.metrics.conventions import published
from spatialtrust.metrics.ranking import computed_by, evaluate, rank, ratio
from spatialtrust.numbers import as_count, as_numbers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from spatialtrust.arrays import Float64, Int64
    from spatialtrust.metrics.ranking import Ranking


_MOST_BINS: Final = 1_000_000


class Reliability(NamedTuple):
    """A reliability table: one entry per bin, float64 except ``rows``.

    Bin ``[lower, upper)``, the last one closed; ``rows`` in it (int64), their mean ``confidence``
    and ``accuracy``, both NaN in an empty bin.
    """

    lower: Float64
    upper: Float64
    rows: Int64
    confidence: Float64
    accuracy: Float64


def _probabilities(ranking: Ranking) -> Ranking:
    levels = ranking.levels
    outside = (levels < 0) | (levels > 1)
    if outside.any():
        raise InputError(
            f"confidence holds {levels[outside][0]:g} ({outside.sum()} distinct values are "
            "outside [0, 1]); calibration is only defined for probabilities: calibrate raw "
            "scores first (spatialtrust.fusion.calibration)"
        )
    return ranking


def _edges(bins: int) -> Float64:
    bins = as_count(bins, "bins", 1, _MOST_BINS)
    # k / bins is the double nearest to the edge, so a confidence of 0.3 opens a bin of tenths.
    return np.arange(bins + 1) / bins


def _bin_of(levels: Float64, bins: int) -> Int64:
    """Bin of each level: left-closed, 1.0 in the last."""
    found = np.searchsorted(_edges(bins)[1:-1], levels, side="right")
    return found.astype(np.int64)


def _sum_by_bin(values: Float64, bin_of: Int64) -> Float64:
    """(..., occupied bins) sums of per-level values; levels are sorted, so bins are runs."""
    starts = np.flatnonzero(np.append(True, bin_of[1:] != bin_of[:-1]))
    sums: Float64 = np.add.reduceat(values, starts, axis=-1)
    return sums


def _ece(ranking: Ranking, bins: int = 15) -> Float64:
    bin_of = _bin_of(ranking.levels, bins)
    right = ranking.rows - ranking.errors
    gaps = np.abs(_sum_by_bin(ranking.rows * ranking.levels - right, bin_of)).sum(axis=-1)
    return ratio(gaps, ranking.accepted[..., -1])


@computed_by(_ece)
def ece(
    confidence: ArrayLike,
    is_correct: ArrayLike,
    bins: int = 15,
    convention: str | None = None,
) -> float:
    """Expected calibration error over equal-width bins.

    ``sum_b n_b / N |mean confidence_b - accuracy_b|`` over bins ``[k/bins, (k+1)/bins)``, 1.0 in
    the last. NaN without rows. A perfectly calibrated confidence does not give 0: see `ece_floor`.
    ``convention`` gives a published code's number instead, by its own number of bins (`published`).

    Raises
    ------
    InputError
        A confidence outside [0, 1], or bins that are no whole number from 1 on.

    Source: Guo et al. 2017, arXiv 1706.04599, equation 3, with left-closed bins.

    >>> ece([0.9, 0.9, 0.2, 1.0], [True, False, False, True], bins=10)
    0.25
    """
    if convention is not None:
        return published(confidence, is_correct, convention, "ece")["ece"]
    _edges(bins)
    return evaluate(_ece, _probabilities(rank(confidence, is_correct)), bins)


def _ece_floor(ranking: Ranking, bins: int) -> Float64:
    spread = ranking.rows * ranking.levels * (1 - ranking.levels)
    variance = _sum_by_bin(spread, _bin_of(ranking.levels, bins))
    return ratio(np.sqrt(2 / np.pi * variance).sum(axis=-1), ranking.accepted[..., -1])


def ece_floor(confidence: ArrayLike, bins: int = 15) -> float:
    """ECE to expect from these confidences if they were perfectly calibrated.

    With few rows a bin's accuracy misses its mean confidence by chance:
    ``1/N sum_b sqrt(2/pi sum_{i in b} c_i (1 - c_i))``, the mean absolute value of a normal error
    of the bin's variance. An ECE near the floor is no evidence of miscalibration. NaN without rows.

    Raises
    ------
    InputError
        A confidence outside [0, 1], or bins that are no whole number from 1 on.

    >>> import numpy as np
    >>> round(ece_floor(np.linspace(0, 1, 1_118)), 3)
    0.036
    """
    scores = as_numbers(confidence, "confidence")
    ranking = _probabilities(rank(scores, np.ones(scores.shape, dtype=bool)))
    _edges(bins)
    return evaluate(_ece_floor, ranking, bins)


def _brier(ranking: Ranking) -> Float64:
    levels = ranking.levels
    right = ranking.rows - ranking.errors
    total = (right * (1 - levels) ** 2 + ranking.errors * levels**2).sum(axis=-1)
    return ratio(total, ranking.accepted[..., -1])


@computed_by(_brier)
def brier(confidence: ArrayLike, is_correct: ArrayLike) -> float:
    """Mean squared distance between confidence and correctness, ``mean (c - [correct])^2``.

    NaN without rows. Of the top answer only: the sum over classes is a different number.

    Raises
    ------
    InputError
        A confidence outside [0, 1].

    Source: Brier 1950, Monthly Weather Review 78(1), for a binary outcome.

    >>> brier([1.0, 0.5], [True, False])
    0.125
    """
    return evaluate(_brier, _probabilities(rank(confidence, is_correct)))


def reliability(confidence: ArrayLike, is_correct: ArrayLike, bins: int = 15) -> Reliability:
    """Mean confidence and accuracy per equal-width bin, the bins of `ece`.

    Raises
    ------
    InputError
        A confidence outside [0, 1], or bins that are no whole number from 1 on.

    Source: DeGroot and Fienberg 1983, The Statistician 32.

    >>> table = reliability([0.9, 0.8, 0.2, 0.2], [True, True, False, True], bins=2)
    >>> table.rows, table.confidence.round(2), table.accuracy
    (array([2, 2]), array([0.2 , 0.85]), array([0.5, 1. ]))
    """
    ranking = _probabilities(rank(confidence, is_correct))
    edges = _edges(bins)
    bin_of = _bin_of(ranking.levels, bins)
    rows, right = ranking.rows, ranking.rows - ranking.errors
    count, surety, hits = (
        np.bincount(bin_of, weights=column, minlength=bins)
        for column in (rows, rows * ranking.levels, right)
    )
    return Reliability(
        edges[:-1], edges[1:], count.astype(np.int64), ratio(surety, count), ratio(hits, count)
    )
