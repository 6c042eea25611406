"""Intervals for metrics by resampling images, because the claims of one image are not independent.

Rows are sorted once. A resample is a vector of counts, how often each image was drawn, so a metric
over a thousand resamples is a few passes over an integer matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.errors import InputError
from spatialtrust.metrics.ranking import Ranking, checked, kernel_of, tie_ends
from spatialtrust.numbers import as_array, as_count, as_number, is_missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from spatialtrust.arrays import Bool, Float64, Int64


_MOST_RESAMPLES: Final = 10_000_000
_CELLS = 2**20  # counts held at once: 8 MiB per matrix stays in cache on most machines


@dataclass(frozen=True)
class Interval:
    """A metric's value with its interval.

    Attributes
    ----------
    value
        The metric on the rows given; NaN where undefined.
    low, high
        Ends of the interval; NaN where the metric is undefined on every resample.
    level
        Confidence level of the interval, such as 0.95.
    groups
        Number of independent units (images) that were resampled.
    resamples
        Number of resamples on which the metric was defined.
    """

    value: float
    low: float
    high: float
    level: float
    groups: int
    resamples: int


class _Score:
    """One score's rows from the surest down, ready to be counted many times."""

    def __init__(
        self,
        metric: Callable[..., float],
        confidence: Float64,
        correct: Bool,
        group: Int64,
    ) -> None:
        order = np.argsort(-confidence)
        self.confidence, self.correct = confidence[order], correct[order]
        self.group, self.ends = group[order], tie_ends(self.confidence)
        self.metric = metric
        function, options = metric, {}
        if isinstance(metric, partial) and not metric.args:
            function, options = metric.func, metric.keywords
        kernel = kernel_of(function)
        self.kernel = kernel and partial(kernel, **options)

    def values(self, counts: Int64) -> Float64:
        """(resamples,) the metric under counts (resamples, groups)."""
        rows = counts[:, self.group]
        if self.kernel is None:
            return np.array([self._value(row) for row in rows], dtype=np.float64)
        accepted = rows.cumsum(axis=1)[:, self.ends]
        wrong = np.where(self.correct, 0, rows).cumsum(axis=1)[:, self.ends]
        return self.kernel(Ranking(self.confidence[self.ends], accepted, wrong))

    def _value(self, times: Int64) -> float:
        return self.metric(np.repeat(self.confidence, times), np.repeat(self.correct, times))


def bootstrap(
    metric: Callable[..., float],
    confidence: ArrayLike,
    is_correct: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    baseline: tuple[ArrayLike, ArrayLike] | None = None,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Interval of a metric, or of its difference between two scores, by resampling images.

    Whole groups are drawn with replacement, so rows of one image stay together. The interval is
    the percentile interval moved by the bootstrap's estimate of bias, ``mean(resampled) - value``:
    resampling adds noise of its own, which inflates metrics such as `ece` and would push a plain
    percentile interval off the value. It covers the metric to expect from as many rows; for `ece`
    that includes its floor (`ece_floor`).

    Parameters
    ----------
    metric
        Any metric of this package, `functools.partial` of one to set its options, or any callable
        ``(confidence, is_correct) -> float`` (called once per resample, so slower).
    confidence, is_correct
        (rows,) columns, as the metric takes them.
    groups
        (rows,) image of each row, any sortable values. Without it every row is its own group.
    baseline
        ``(confidence, is_correct)`` of another score on the same rows; the interval is then of
        ``metric(this) - metric(baseline)`` over the same draws of images (a paired difference).
    n
        Number of resamples.
    seed
        Same seed and rows, same interval, whatever the order of rows.
    level
        Confidence level.

    Raises
    ------
    InputError
        Columns of different length, fewer than one resample, or a level outside (0, 1).

    Source: Davison and Hinkley 1997, Bootstrap Methods and their Application, sections 2.1, 3.8.

    >>> from spatialtrust.metrics import auroc
    >>> interval = bootstrap(auroc, [0.9, 0.8, 0.3, 0.1], [1, 1, 0, 0], groups=[0, 1, 2, 3])
    >>> interval.value, interval.groups
    (1.0, 4)
    """
    if as_number(n, "n") < 1:
        raise InputError(f"n is {n}; give at least one resample")
    n = as_count(n, "n", 1, _MOST_RESAMPLES)
    seed = as_count(seed, "seed", 0, 2**64 - 1)
    share = "a share between 0 and 1, such as 0.95"
    level = as_number(level, "level", share)
    if not 0 < level < 1:
        raise InputError(f"level is {level}; give {share}")
    columns = [checked(confidence, is_correct)]
    value = metric(*columns[0])
    if baseline is not None:
        columns.append(checked(*baseline))
        value -= metric(*columns[1])
    group = _codes(groups, columns)
    size = int(group.max()) + 1 if group.size else 0
    if not size:
        return Interval(value, np.nan, np.nan, level, 0, 0)
    scores = [_Score(metric, *pair, group) for pair in columns]
    resampled = np.empty(n)
    generator = np.random.default_rng(seed)
    step = max(1, _CELLS // group.size)
    for start in range(0, n, step):
        drawn = min(step, n - start)
        counts = _draw(generator, size, drawn)
        values = [score.values(counts) for score in scores]
        resampled[start : start + drawn] = values[0] - sum(values[1:])
    # Metrics of this package lie in [0, 1] and so do the ends of their intervals.
    known = scores[0].kernel is not None
    limits = (-1.0 if baseline is not None else 0.0, 1.0) if known else (-np.inf, np.inf)
    return _interval(value, resampled[~np.isnan(resampled)], level, size, limits)


def _codes(groups: ArrayLike | None, columns: list[tuple[Float64, Bool]]) -> Int64:
    """Consecutive numbers of the groups, the same whatever the order of rows."""
    labels: NDArray[Any] = columns[0][0] if groups is None else _named(groups)
    lengths = {labels.shape, *(scores.shape for scores, _ in columns)}
    if len(lengths) > 1:
        raise InputError(
            f"columns have different lengths ({sorted(lengths)}); give one confidence, one "
            "is_correct, one group and one baseline entry per row"
        )
    if groups is not None:
        return np.unique(labels, return_inverse=True)[1].astype(np.int64)
    # Every row is a group. Rows equal in all columns are interchangeable, so any order of them is.
    code = np.empty(labels.size, dtype=np.int64)
    code[np.lexsort([column for pair in columns for column in pair])] = np.arange(labels.size)
    return code


def _named(groups: ArrayLike) -> NDArray[Any]:
    """The image of each row, sortable; a row without one is refused."""
    labels = as_array(groups, "groups")
    missing = np.zeros(labels.shape, dtype=bool)
    if labels.dtype.kind == "O":
        missing = np.array([is_missing(item) for item in labels.flat])
        labels = labels.astype(str)
    elif labels.dtype.kind == "f":
        missing = np.isnan(labels)
    if missing.any():
        raise InputError(
            f"groups: row {int(missing.argmax())} has none; name the image of every row, or leave "
            "groups out"
        )
    return labels


def _draw(generator: np.random.Generator, size: int, times: int) -> Int64:
    """(times, size) how often each group is drawn in `size` draws with replacement."""
    drawn = generator.integers(0, size, size=(times, size))
    drawn += np.arange(times)[:, None] * size
    counts = np.bincount(drawn.ravel(), minlength=times * size)
    return counts.reshape(times, size).astype(np.int64, copy=False)


def _interval(
    value: float,
    resampled: Float64,
    level: float,
    groups: int,
    limits: tuple[float, float],
) -> Interval:
    if not resampled.size or np.isnan(value):
        return Interval(value, np.nan, np.nan, level, groups, resampled.size)
    tail = (1 - level) / 2
    bias = resampled.mean() - value
    low, high = np.clip(np.quantile(resampled, [tail, 1 - tail]) - bias, *limits)
    return Interval(value, float(low), float(high), level, groups, resampled.size)
