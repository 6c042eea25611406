"""Rows merged into tie groups: the one structure from which every metric is computed.

Rows of equal confidence cannot be told apart by a threshold, so they are counted together. The
counts are integers and the levels are sorted, hence no metric can depend on the order of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from spatialtrust.errors import InputError
from spatialtrust.numbers import as_number, as_numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from spatialtrust.arrays import Bool, Float64, Int64


@dataclass(frozen=True)
class Ranking:
    """Distinct confidences from the surest down, with cumulative counts.

    Attributes
    ----------
    levels
        (levels,) distinct confidences, descending.
    accepted
        (..., levels) rows whose confidence is at least the level. A leading axis holds one
        resample per row of counts.
    wrong
        (..., levels) those of them that are not correct.
    pure
        (levels,) int64, 1 where the rows at a level are all wrong, 0 where they are all right;
        None where some level mixes them, or where nobody looked. What needs no division then is
        several times as fast.
    """

    levels: Float64
    accepted: Int64
    wrong: Int64
    pure: Int64 | None = None

    @cached_property
    def right(self) -> Int64:
        """(..., levels) accepted rows that are correct."""
        return self.accepted - self.wrong

    @cached_property
    def rows(self) -> Int64:
        """(..., levels) rows at the level itself."""
        return at_level(self.accepted)

    @cached_property
    def errors(self) -> Int64:
        """(..., levels) rows at the level itself that are not correct."""
        return at_level(self.wrong) if self.pure is None else self.rows * self.pure

    @cached_property
    def risk_area(self) -> Float64:
        """(...) sum over ranks of the risk so far, in expectation over the order of tied rows.

        Rank k of a tie group that follows ``above`` rows has the expected cumulative errors
        ``wrong_above + share * (k - above)``; summed over the group, errors / k needs only the
        harmonic numbers H.
        """
        tail = harmonic(int(self.accepted[..., -1].max())).take(self.accepted, mode="clip")
        np.subtract(tail[..., 1:], tail[..., :-1], out=tail[..., 1:])
        if self.pure is not None:
            # The share is 0 or 1, so that no level needs a division.
            tail *= self.wrong - self.pure * self.accepted
        else:
            share = self.errors / np.maximum(self.rows, 1)
            tail *= self.wrong - self.errors - share * (self.accepted - self.rows)
        area: Float64 = tail.sum(axis=-1) + self.wrong[..., -1]
        return area


Function = TypeVar("Function", bound="Callable[..., float]")

_KERNELS: dict[Callable[..., float], Callable[..., Float64]] = {}


def computed_by(kernel: Callable[..., Float64]) -> Callable[[Function], Function]:
    """Note which kernel computes a metric from a Ranking, for all resamples at once."""

    def note(metric: Function) -> Function:
        _KERNELS[metric] = kernel
        return metric

    return note


def kernel_of(metric: Callable[..., float]) -> Callable[..., Float64] | None:
    """The kernel of a metric of this package; None for any other callable."""
    return _KERNELS.get(metric)


def checked(confidence: ArrayLike, is_correct: ArrayLike) -> tuple[Float64, Bool]:
    """Two columns of equal length as float64 and bool.

    Raises
    ------
    InputError
        Columns that hold no numbers, are not one-dimensional or of different length, NaN, or
        correctness that is neither boolean nor 0/1.
    """
    scores = np.asarray(as_numbers(confidence, "confidence"), dtype=np.float64)
    flags = as_numbers(is_correct, "is_correct")
    if scores.ndim != 1 or scores.shape != flags.shape:
        raise InputError(
            f"confidence has shape {scores.shape} and is_correct {flags.shape}; "
            "give two columns of the same length"
        )
    unknown = np.isnan(scores)
    if unknown.any():
        raise InputError(
            f"confidence is NaN in {unknown.sum()} of {scores.size} rows "
            f"(first at row {unknown.argmax()}): an unknown confidence has no rank; keep the "
            "rows where ~np.isnan(confidence), and report how many were left out"
        )
    return scores, checked_flags(flags)


def checked_flags(is_correct: ArrayLike) -> Bool:
    """A column of booleans, or of 0 and 1, as bool.

    Raises
    ------
    InputError
        Any other value: an unlabelled row is neither right nor wrong.
    """
    flags = as_numbers(is_correct, "is_correct")
    if flags.dtype != np.bool_:
        strange = ~np.isin(flags, (0, 1))
        if strange.any():
            row = int(strange.argmax())
            raise InputError(
                f"is_correct holds {flags[row]} at row {row}; give booleans or 0 and 1, "
                "and keep only the rows with a label"
            )
    return flags.astype(np.bool_)


def rank(confidence: ArrayLike, is_correct: ArrayLike) -> Ranking:
    """Sort rows from the surest down and merge ties."""
    scores, correct = checked(confidence, is_correct)
    order = np.argsort(-scores)
    levels = scores[order]
    ends = tie_ends(levels)
    wrong = np.cumsum(~correct[order], dtype=np.int64)
    return Ranking(levels[ends], ends + 1, wrong[ends])


def evaluate(kernel: Callable[..., Float64], ranking: Ranking, *arguments: object) -> float:
    """One value from a ranking; NaN without rows."""
    return float(kernel(ranking, *arguments)) if ranking.levels.size else float("nan")


def tie_ends(levels: Float64) -> Int64:
    """Position of the last row of each tie group of a sorted column."""
    if not levels.size:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(np.append(levels[1:] != levels[:-1], True)).astype(np.int64)


def at_level(cumulative: Int64) -> Int64:
    """(..., levels) counts at each level, from cumulative ones."""
    counts: Int64 = cumulative.copy()
    counts[..., 1:] -= cumulative[..., :-1]
    return counts


@lru_cache(maxsize=4)
def harmonic(largest: int) -> Float64:
    """H_0 .. H_largest, the sums of 1/k.

    >>> harmonic(3).round(3)
    array([0.   , 1.   , 1.5  , 1.833])
    """
    table = np.zeros(largest + 1)
    np.cumsum(1 / np.arange(1, largest + 1), out=table[1:])
    table.flags.writeable = False
    return table


def first_reaching(cumulative: Int64, share: float) -> Int64:
    """(..., 1) position of the first level where ``cumulative / total >= share``.

    The whole number that reaches the share is found first, then where the counts pass it; position
    0 where the total is 0.
    """
    total = cumulative[..., -1]
    least = np.ceil(share * total).astype(np.int64)
    # Whether k / total >= share is asked of the quotient as it is computed, one step either way.
    least -= ratio(least - 1, total) >= share
    least += ratio(least, total) < share
    flat = cumulative.reshape(-1, cumulative.shape[-1])
    places = [int(row.searchsorted(k)) for row, k in zip(flat, least.reshape(-1), strict=True)]
    found = np.array(places, dtype=np.int64).reshape(total.shape)
    return np.where(total > 0, np.minimum(found, cumulative.shape[-1] - 1), 0)[..., None]


def before(cumulative: Int64) -> Int64:
    """(..., levels) cumulative counts just above each level."""
    shifted: Int64 = np.zeros_like(cumulative)
    shifted[..., 1:] = cumulative[..., :-1]
    return shifted


def ratio(part: Any, whole: Any) -> Float64:
    """``part / whole``, NaN where ``whole`` is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        quotient: Float64 = np.where(np.asarray(whole) == 0, np.nan, np.divide(part, whole))
    return quotient


def check_share(name: str, value: float) -> float:
    """The share as a float; refused outside (0, 1].

    Raises
    ------
    InputError
        Naming the argument, what was given and what is valid.
    """
    valid = "a share above 0 and at most 1"
    share = as_number(value, name, valid)
    if not 0 < share <= 1:
        raise InputError(f"{name} is {value}; give {valid}")
    return share
