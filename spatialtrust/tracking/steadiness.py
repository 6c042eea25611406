"""Edges over time: log-odds with forgetting, and a threshold to begin and a lower one to end.

What is believed of an edge is the weighted mean of the log-odds that its frames gave, weights
falling by half every ``half_life`` seconds. Frames that follow each other see the same boxes and
make the same mistakes, so log-odds are averaged and never added up: a belief is as sure as its
frames were, and no surer. While a thing is hidden, beliefs about it fade towards even odds.

An edge begins where its belief reaches the threshold, and ends where it falls below one that is
``band`` log-odds lower, so what lies within noise of the threshold does not flip.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float64

Key = tuple[str, str, str]
"""Subject, canonical relation, object; the things by id."""

HALF_LIFE: Final = 0.5
"""Seconds after which a frame counts half as much."""

FADE: Final = 1.0
"""Seconds after which a belief about what is hidden is worth half its log-odds."""

BAND: Final = 0.8
"""Log-odds between the threshold to begin and the one to end: 0.8 begins, 0.64 ends."""

SUREST: Final = 6.0
"""Log-odds of one frame are cut to this: no single frame is surer than 0.9975."""

_FORGOTTEN: Final = 0.05


class Event(NamedTuple):
    """An edge begins or ends.

    Attributes
    ----------
    kind: ``began`` or ``ended``.
    subject, relation, object: the edge.
    why: ``believed``, ``doubted``, ``contradicts`` or ``thing_gone``.
    p_true: what was believed of it then.
    """

    kind: str
    subject: str
    relation: str
    object: str
    why: str
    p_true: float


@dataclass(slots=True)
class EdgeFilter:
    """What is believed of each edge; its whole memory is :meth:`to_dict`.

    Attributes
    ----------
    threshold: probability at which an edge begins.
    half_life, fade, band: see the module; a half-life of 0 looks at the last frame alone.

    >>> edges = EdgeFilter(0.8)
    >>> for stamp, p in ((0.0, 0.9), (0.1, 0.9), (0.2, 0.75)):
    ...     edges.observe(stamp, [("mug", "on", "table")], np.array([p]))
    >>> edges.wished().tolist(), edges.p_true.round(2).tolist()
    ([True], [0.86])
    """

    threshold: float
    half_life: float = HALF_LIFE
    fade: float = FADE
    band: float = BAND
    keys: list[Key] = field(default_factory=list)
    _row: dict[Key, int] = field(default_factory=dict)
    _mean: Float64 = field(default_factory=lambda: np.zeros(0))
    _weight: Float64 = field(default_factory=lambda: np.zeros(0))
    _active: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    _at: float | None = None

    @property
    def p_true(self) -> Float64:
        """What is believed of each of ``keys``."""
        return np.asarray(1.0 / (1.0 + np.exp(-self._mean)))

    @property
    def active(self) -> NDArray[np.bool_]:
        """Which of ``keys`` are edges."""
        return self._active

    def observe(self, stamp: float, keys: Sequence[Key], p_true: NDArray[Any]) -> None:
        """Take in what a frame says; keys that it says nothing of fade.

        Parameters
        ----------
        stamp: seconds, not before the last.
        keys: (N,) distinct.
        p_true: (N,); NaN says nothing.
        """
        told = np.asarray(p_true, dtype=np.float64)
        seconds = 0.0 if self._at is None else max(0.0, stamp - self._at)
        self._at = stamp
        known = np.isfinite(told)
        self._grow([key for key, told_of in zip(keys, known, strict=True) if told_of])
        heard = np.zeros(len(self.keys), dtype=np.bool_)
        rows = np.array(
            [self._row[key] for key, told_of in zip(keys, known, strict=True) if told_of],
            dtype=np.int64,
        )
        heard[rows] = True
        self._mean[~heard] *= 0.5 ** (seconds / self.fade) if self.fade > 0 else 0.0
        self._weight *= 0.5 ** (seconds / self.half_life) if self.half_life > 0 else 0.0
        before = self._weight[rows]
        inside = np.clip(told[known], 1e-9, 1 - 1e-9)
        odds = np.clip(np.log(inside) - np.log1p(-inside), -SUREST, SUREST)
        self._mean[rows] = (before * self._mean[rows] + odds) / (before + 1.0)
        self._weight[rows] = before + 1.0

    def wished(self) -> NDArray[np.bool_]:
        """Which of ``keys`` are to be edges, were it not for contradictions."""
        begin = np.log(self.threshold) - np.log1p(-min(self.threshold, 1 - 1e-9))
        return np.asarray(
            (self._mean >= begin) | (self._active & (self._mean >= begin - self.band))
        )

    def standing(self) -> Float64:
        """(N,) probabilities by which contradictions are settled: what is an edge has a lead."""
        return np.asarray(1.0 / (1.0 + np.exp(-(self._mean + self.band * self._active))))

    def settle(self, active: NDArray[np.bool_]) -> list[Event]:
        """Say which of ``keys`` are edges now, and get what began and ended."""
        wished, p_true = self.wished(), self.p_true
        events = []
        for row in np.flatnonzero(active != self._active).tolist():
            why = "believed" if active[row] else "contradicts" if wished[row] else "doubted"
            kind = "began" if active[row] else "ended"
            events.append(Event(kind, *self.keys[row], why, float(p_true[row])))
        self._active = active.copy()
        self._keep(self._active | (np.abs(self._mean) > _FORGOTTEN))
        return events

    def drop(self, things: Collection[str]) -> list[Event]:
        """Forget all edges of things that ended."""
        if not things:
            return []
        gone = np.array([key[0] in things or key[2] in things for key in self.keys], dtype=np.bool_)
        p_true = self.p_true
        events = [
            Event("ended", *self.keys[row], "thing_gone", float(p_true[row]))
            for row in np.flatnonzero(gone & self._active).tolist()
        ]
        self._keep(~gone)
        return events

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; numbers read back as they were."""
        return {
            "at": self._at,
            "keys": [list(key) for key in self.keys],
            "mean": self._mean.tolist(),
            "weight": self._weight.tolist(),
            "active": self._active.tolist(),
        }

    def restore(self, stored: Mapping[str, Any]) -> None:
        """Inverse of :meth:`to_dict`."""
        self._at = stored["at"]
        self.keys = [(key[0], key[1], key[2]) for key in stored["keys"]]
        self._row = {key: row for row, key in enumerate(self.keys)}
        self._mean = np.array(stored["mean"], dtype=np.float64)
        self._weight = np.array(stored["weight"], dtype=np.float64)
        self._active = np.array(stored["active"], dtype=np.bool_)

    def _grow(self, keys: Sequence[Key]) -> None:
        fresh = [key for key in dict.fromkeys(keys) if key not in self._row]
        for key in fresh:
            self._row[key] = len(self.keys)
            self.keys.append(key)
        self._mean = np.append(self._mean, np.zeros(len(fresh)))
        self._weight = np.append(self._weight, np.zeros(len(fresh)))
        self._active = np.append(self._active, np.zeros(len(fresh), dtype=np.bool_))

    def _keep(self, rows: NDArray[np.bool_]) -> None:
        if rows.all():
            return
        self.keys = [self.keys[row] for row in np.flatnonzero(rows).tolist()]
        self._row = {key: row for row, key in enumerate(self.keys)}
        self._mean, self._weight = self._mean[rows], self._weight[rows]
        self._active = self._active[rows]
