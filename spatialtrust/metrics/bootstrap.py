"""Intervals for metrics by resampling images, because the claims of one image are not independent.

Rows are sorted once. A resample is a vector of counts, how often each image was drawn, so a metric
over a thousand resamples is a few passes over an integer matrix, and several metrics share them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from spatialtrust.errors import InputError
from spatialtrust.metrics.ranking import Ranking, checked, kernel_of, tie_ends
from spatialtrust.numbers import as_array, as_count, as_number, as_numbers, is_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from spatialtrust.arrays import Bool, Float64, Int64


_MOST_RESAMPLES: Final = 10_000_000
_CELLS = 2**16  # counts held at once: half a MiB a matrix, so that a handful stay in cache


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


class Resampled(NamedTuple):
    """A metric on the rows given, and on every resample (n,); NaN where undefined."""

    value: float
    draws: Float64


class _Score:
    """One score's rows from the surest down, ready to be counted many times."""

    def __init__(
        self,
        metrics: Sequence[Callable[..., float]],
        confidence: Float64,
        correct: Bool,
        group: Int64,
    ) -> None:
        order = np.argsort(-confidence)
        self.confidence, self.correct = confidence[order], correct[order]
        self.group, self.wrong = group[order], (~self.correct).astype(np.int64)
        ends = tie_ends(self.confidence)
        self.tied = ends.size < confidence.size
        self.ends, self.levels = ends, self.confidence[ends]
        self.pure = None if self.tied else self.wrong
        self.metrics = metrics
        self.kernels = [_kernel(metric) for metric in metrics]
        self._buffers: NDArray[np.int64] = np.empty((3, 0, 0), dtype=np.int64)

    def values(self, counts: Int64) -> Float64:
        """(metrics, resamples) under counts (resamples, groups)."""
        shape = (3, len(counts), len(self.group))
        if self._buffers.shape != shape:
            self._buffers = np.empty(shape, dtype=np.int64)
        rows, accepted, wrong = self._buffers
        np.take(counts, self.group, axis=1, out=rows, mode="clip")
        np.cumsum(rows, axis=1, out=accepted)
        np.cumsum(np.multiply(rows, self.wrong, out=wrong), axis=1, out=wrong)
        if self.tied:
            accepted, wrong = accepted[:, self.ends], wrong[:, self.ends]
        ranking = Ranking(self.levels, accepted, wrong, self.pure)
        return np.array(
            [
                [self._value(metric, times) for times in rows] if kernel is None
                # What a kernel works out on the way, the next one finds there.
                else kernel(ranking)
                for metric, kernel in zip(self.metrics, self.kernels, strict=True)
            ],
            dtype=np.float64,
        )  # fmt: skip

    def _value(self, metric: Callable[..., float], times: Int64) -> float:
        return metric(np.repeat(self.confidence, times), np.repeat(self.correct, times))


def resample(
    metrics: Sequence[Callable[..., float]],
    scores: Sequence[tuple[ArrayLike, ArrayLike]],
    *,
    groups: ArrayLike | None = None,
    n: int = 1000,
    seed: int = 0,
) -> list[list[Resampled]]:
    """Several metrics of several scores of the same rows, all on the same draws of images.

    Each score is sorted once and each draw counted once for all metrics, so many cost little more
    than one; any two can be subtracted draw by draw (`interval`).

    Parameters
    ----------
    metrics, groups, n, seed: as in `bootstrap`.
    scores: pairs ``(confidence, is_correct)``, rows in the same order in each.

    Returns
    -------
    one list per score, one entry per metric.

    Raises
    ------
    InputError: as `bootstrap` does.

    >>> from spatialtrust.metrics import aurc, auroc
    >>> scores = [([0.9, 0.8, 0.3], [1, 1, 0]), ([0.1, 0.8, 0.3], [1, 1, 0])]
    >>> first, second = resample([auroc, aurc], scores, n=10)
    >>> first[0].value, second[0].value, first[0].draws.shape
    (1.0, 0.5, (10,))
    """
    if as_number(n, "n") < 1:
        raise InputError(f"n is {n}; give at least one resample")
    n = as_count(n, "n", 1, _MOST_RESAMPLES)
    seed = as_count(seed, "seed", 0, 2**64 - 1)
    columns = [checked(*score) for score in scores]
    group = _codes(groups, columns)
    size = int(group.max()) + 1 if group.size else 0
    draws = np.full((len(columns), len(metrics), n), np.nan)
    ready = [_Score(metrics, *pair, group) for pair in columns] if size else []
    generator = np.random.default_rng(seed)
    step = max(1, _CELLS // max(group.size, 1))
    for start in range(0, n if size else 0, step):
        part = slice(start, min(n, start + step))
        counts = _draw(generator, size, part.stop - start)
        for place, score in enumerate(ready):
            draws[place, :, part] = score.values(counts)
    return [
        [Resampled(float(metric(*pair)), row) for metric, row in zip(metrics, rows, strict=True)]
        for pair, rows in zip(columns, draws, strict=True)
    ]


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
    scores = [(confidence, is_correct), *([] if baseline is None else [baseline])]
    share = _level(level)
    found = [score[0] for score in resample([metric], scores, groups=groups, n=n, seed=seed)]
    count = _size(groups, confidence)
    limits = (0.0, 1.0) if _kernel(metric) else (-np.inf, np.inf)
    return interval(*found, groups=count, level=share, limits=limits)


def resample_means(
    values: Sequence[ArrayLike],
    *,
    groups: ArrayLike,
    n: int = 1000,
    seed: int = 0,
) -> list[Resampled]:
    """Means of columns (rows,), such as losses, on the draws that `resample` makes of the groups.

    >>> resample_means([[1.0, 3.0]], groups=[0, 1], n=5)[0].value
    2.0
    """
    columns = np.stack([np.asarray(as_numbers(column, "values"), float) for column in values], 1)
    group = np.unique(_named(groups), return_inverse=True)[1]
    size = int(group.max()) + 1
    sums = np.zeros((size, columns.shape[1]))
    np.add.at(sums, group, columns)
    rows = np.bincount(group, minlength=size)
    generator = np.random.default_rng(seed)
    draws = np.empty((n, columns.shape[1]))
    step = max(1, _CELLS // size)
    for start in range(0, n, step):
        counts = _draw(generator, size, min(n - start, step))
        draws[start : start + step] = (counts @ sums) / (counts @ rows)[:, None]
    pairs = zip(columns.mean(axis=0), draws.T, strict=True)
    return [Resampled(float(value), column) for value, column in pairs]


def interval(
    this: Resampled,
    other: Resampled | None = None,
    *,
    groups: int,
    level: float = 0.95,
    limits: tuple[float, float] = (0.0, 1.0),
) -> Interval:
    """The interval of what `resample` found, or of the difference to another of the same draws.

    Parameters
    ----------
    groups: number of images that were drawn from.
    limits: least and largest value of the metric.
    """
    value, draws = this
    low, high = limits
    if other is not None:
        value, draws = value - other.value, draws - other.draws
        low, high = low - high, high - low
    return _interval(value, draws[~np.isnan(draws)], _level(level), groups, (low, high))


def _kernel(metric: Callable[..., float]) -> Callable[..., Float64] | None:
    """What computes a metric of this package, options included, on all resamples at once."""
    function, options = metric, {}
    if isinstance(metric, partial) and not metric.args:
        function, options = metric.func, metric.keywords
    if options.get("convention") is not None:
        return None
    kernel = kernel_of(function)
    return kernel and partial(kernel, **options)


def _level(level: float) -> float:
    share = "a share between 0 and 1, such as 0.95"
    number = as_number(level, "level", share)
    if not 0 < number < 1:
        raise InputError(f"level is {level}; give {share}")
    return number


def _size(groups: ArrayLike | None, confidence: ArrayLike) -> int:
    """How many independent units the rows come from."""
    if groups is None:
        return int(as_array(confidence, "confidence").size)
    return int(np.unique(_named(groups)).size)


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
