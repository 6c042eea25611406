"""Which box of this frame is which thing of the last one.

Boxes of one phrase are assigned to the tracks of that phrase so that the total cost is least
(Hungarian method); the cost is how little a box overlaps the place where the track is expected.
A track that is not seen is kept, hidden, for a while; then it ends, and its id is not used again.

Source: Bewley et al. 2016, Simple online and realtime tracking (SORT); here boxes only meet tracks
of their own phrase, and gates widen with the time that passed, so frames may be far apart.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.geometry import iou
from spatialtrust.tracking import motion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float64

log: Final = logging.getLogger("spatialtrust")

CONFIRM: Final = 2
"""Frames a thing has to be seen in before it is one; the first frame of a stream is believed."""

KEEP: Final = 2.0
"""Seconds for which a thing that is not seen is remembered."""

_GATE: Final = (0.75, 3.0)
"""Extents that a box may lie off its expected place: at once, and for each second unseen."""

_RESIZED: Final = 2.5
"""Times that a box may be larger or smaller than expected."""

_REFUSED: Final = 1e6


@dataclass(frozen=True, slots=True)
class Tracks:
    """The things of one frame.

    Attributes
    ----------
    ids, phrases: of each thing, sorted by id.
    boxes: (T, 4) as seen, else as expected; pixels.
    smooth: (T, 4) as the filter has them.
    scores: (T,) of the last box that was seen; NaN where it had none.
    rows: (T,) which box of this frame it is; -1: it is hidden.
    unseen: (T,) seconds since it was seen.
    ended: ids of things that ended with this frame.
    """

    ids: tuple[str, ...]
    phrases: tuple[str, ...]
    boxes: NDArray[np.float32]
    smooth: NDArray[np.float32]
    scores: NDArray[np.float32]
    rows: NDArray[np.int64]
    unseen: Float64
    ended: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(slots=True)
class _Track:
    """One thing, with what is stored of it between frames."""

    name: str
    phrase: str
    box: list[float]
    score: float
    state: Float64
    covariance: Float64
    seen_at: float
    hits: int
    believed: bool
    row: int = -1


@dataclass(slots=True)
class Tracker:
    """Keeps ids over frames; its whole memory is :meth:`to_dict`.

    Attributes
    ----------
    confirm: frames in which a thing has to be seen in a row before it is believed.
    keep: seconds for which one that is not seen is remembered, hidden.

    >>> tracker = Tracker()
    >>> cups = ["cup", "cup"]
    >>> tracker.step(0.0, np.array([[0, 0, 9, 9], [50, 0, 59, 9]]), cups).ids
    ('cup-1', 'cup-2')
    >>> tracker.step(0.1, np.array([[51, 0, 60, 9], [1, 0, 10, 9]]), cups).rows.tolist()
    [1, 0]
    """

    confirm: int = CONFIRM
    keep: float = KEEP
    _tracks: list[_Track] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=dict)
    _at: float | None = None

    def step(
        self,
        stamp: float,
        boxes: NDArray[Any],
        phrases: Sequence[str],
        scores: NDArray[Any] | None = None,
        size: tuple[int | None, int | None] = (None, None),
    ) -> Tracks:
        """The things of the next frame.

        Parameters
        ----------
        stamp: seconds; one that lies before the last frame's ends all tracks.
        boxes: (N, 4) ``x1, y1, x2, y2`` in pixels, finite.
        phrases: of each.
        scores: (N,) in [0, 1], NaN where there is none.
        size: of the image; a thing that is expected outside it has left.
        """
        seen = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        score = np.full(len(seen), np.nan) if scores is None else np.asarray(scores, np.float64)
        ended: list[str] = []
        first = self._at is None
        if self._at is not None and stamp < self._at:
            ended, first = self.forget(), True
        seconds = 0.0 if first or self._at is None else stamp - self._at
        self._at = stamp
        for track in self._tracks:
            track.state, track.covariance = motion.predict(track.state, track.covariance, seconds)
        assigned = self._assign(stamp, seen, phrases)
        for track in self._tracks:
            track.row = -1
        for place, row in assigned.items():
            self._see(self._tracks[place], seen[row], float(score[row]), stamp, row)
        ended += self._drop(stamp, size)
        for row in sorted(set(range(len(seen))) - set(assigned.values())):
            self._start(seen[row], phrases[row], float(score[row]), stamp, row, believed=first)
        return self._shown(stamp, ended)

    def forget(self) -> list[str]:
        """End all tracks, as after a jump of the clock; ids are not used again."""
        ended = [track.name for track in self._tracks if track.believed]
        self._tracks = []
        self._at = None
        return ended

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; numbers read back as they were."""
        return {
            "at": self._at,
            "counts": dict(self._counts),
            "tracks": [
                {
                    "name": track.name,
                    "phrase": track.phrase,
                    "box": track.box,
                    "score": None if np.isnan(track.score) else track.score,
                    "state": track.state.tolist(),
                    "covariance": track.covariance.tolist(),
                    "seen_at": track.seen_at,
                    "hits": track.hits,
                    "believed": track.believed,
                    "row": track.row,
                }
                for track in self._tracks
            ],
        }

    def restore(self, stored: Mapping[str, Any]) -> None:
        """Inverse of :meth:`to_dict`."""
        self._at = stored["at"]
        self._counts = dict(stored["counts"])
        self._tracks = [
            _Track(
                **{
                    **row,
                    "score": np.nan if row["score"] is None else row["score"],
                    "state": np.array(row["state"]),
                    "covariance": np.array(row["covariance"]),
                }
            )
            for row in stored["tracks"]
        ]

    def _assign(self, stamp: float, seen: Float64, phrases: Sequence[str]) -> dict[int, int]:
        """Place of each track that was seen, and the row of its box."""
        from scipy.optimize import linear_sum_assignment

        if not self._tracks or not len(seen):
            return {}
        cost = self._costs(stamp, seen, phrases)
        tracks, rows = linear_sum_assignment(cost)
        met = cost[tracks, rows] < _REFUSED
        return dict(zip(tracks[met].tolist(), rows[met].tolist(), strict=True))

    def _costs(self, stamp: float, seen: Float64, phrases: Sequence[str]) -> Float64:
        """(tracks, boxes) how little a box fits a track; ``_REFUSED`` where it cannot be it."""
        expected = np.array([track.state[:, 0] for track in self._tracks])
        unseen = stamp - np.array([track.seen_at for track in self._tracks])
        first = np.repeat(expected, len(seen), axis=0)
        second = np.tile(seen, (len(expected), 1))
        long, other = motion.extent(first), motion.extent(second)
        offset = (first[:, :2] + first[:, 2:] - second[:, :2] - second[:, 2:]) / 2
        away = np.hypot(*offset.T) / ((long + other) / 2)
        gate = np.repeat(_GATE[0] + _GATE[1] * unseen, len(seen))
        resized = np.maximum(long / other, other / long)
        overlap = np.nan_to_num(iou(first.astype(np.float32), second.astype(np.float32)))
        cost = 1.0 - overlap + away / gate
        named = [track.phrase.casefold() for track in self._tracks]
        asked = [phrase.casefold() for phrase in phrases]
        other_phrase = np.array([[one != two for two in asked] for one in named]).reshape(-1)
        cost[(away > gate) | (resized > _RESIZED) | other_phrase] = _REFUSED
        return np.asarray(cost.reshape(len(expected), len(seen)), dtype=np.float64)

    def _see(self, track: _Track, box: Float64, score: float, stamp: float, row: int) -> None:
        size = float(motion.extent(track.state[:, 0]))
        scaled, covariance = motion.correct(
            track.state[None] / size, track.covariance[None], box[None] / size
        )
        track.state, track.covariance = scaled[0] * size, covariance[0]
        track.box, track.score, track.seen_at, track.row = box.tolist(), score, stamp, row
        track.hits += 1
        track.believed |= track.hits >= self.confirm

    def _start(
        self,
        box: Float64,
        phrase: str,
        score: float,
        stamp: float,
        row: int,
        *,
        believed: bool,
    ) -> None:
        count = self._counts.get(phrase, 0) + 1
        self._counts[phrase] = count
        state, covariance = motion.begin(box[None])
        at_once = believed or self.confirm <= 1
        self._tracks.append(
            _Track(
                f"{phrase}-{count}", phrase, box.tolist(), score, state[0], covariance[0],
                stamp, 1, at_once, row,
            )
        )  # fmt: skip

    def _drop(self, stamp: float, size: tuple[int | None, int | None]) -> list[str]:
        """Forget what was not seen for too long, what has left, and what was never confirmed."""
        kept, ended = [], []
        for track in self._tracks:
            gone = not track.believed or stamp - track.seen_at > self.keep
            if track.row < 0 and (gone or _outside(track.state[:, 0], size)):
                ended += [track.name] if track.believed else []
            else:
                kept.append(track)
        self._tracks = kept
        return ended

    def _shown(self, stamp: float, ended: Sequence[str]) -> Tracks:
        shown = sorted((t for t in self._tracks if t.believed), key=lambda track: track.name)
        smooth = np.array([track.state[:, 0] for track in shown]).reshape(-1, 4)
        rows = np.array([track.row for track in shown], dtype=np.int64)
        boxes = np.array([track.box for track in shown]).reshape(-1, 4)
        return Tracks(
            tuple(track.name for track in shown),
            tuple(track.phrase for track in shown),
            np.where(rows[:, None] >= 0, boxes, smooth).astype(np.float32),
            smooth.astype(np.float32),
            np.array([track.score for track in shown], dtype=np.float32),
            rows,
            np.array([stamp - track.seen_at for track in shown]),
            tuple(ended),
        )


def _outside(box: Float64, size: tuple[int | None, int | None]) -> bool:
    """Whether a box lies outside the image; False where its size is not known."""
    width, height = (np.inf if side is None else side for side in size)
    return bool(box[2] <= 0 or box[3] <= 0 or box[0] >= width or box[1] >= height)
