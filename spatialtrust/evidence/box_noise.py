"""Boxes disturbed as detectors disturb them: moved, loose, missing, taken for one another.

Annotated boxes are tighter than those of any detector. A model that is to judge detected boxes is
fitted, and judged, on boxes disturbed here.

What happens to a box depends on its corners and the seed alone: claims about one object of an image
see one disturbed box, as they would of a detector, and the order of the rows changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.errors import InputError
from spatialtrust.reasons import bit

if TYPE_CHECKING:
    from spatialtrust.arrays import Bool, Float32, Float64
    from spatialtrust.tables import Grounding

    Keys = np.ndarray[tuple[int, ...], np.dtype[np.uint64]]

LEAST_EXTENT: Final = 0.2
"""Share of its width and of its height that a box keeps at least."""

_EDGES, _LEVEL, _LOOSE, _SWAPPED, _MISSING, _WHICH = 0, 8, 9, 10, 11, 12
_EXCHANGED: Final = (
    ("subject_missing", "object_missing"),
    ("ambiguous_subject", "ambiguous_object"),
)


@dataclass(frozen=True, slots=True)
class BoxNoise:
    """How boxes are disturbed; the default leaves them as they are.

    Attributes
    ----------
    jitter: standard deviation of the normal step of each edge, as a share of the box's own width
        (left and right edge) or height (upper and lower edge).
    loose: factor by which width and height grow about the centre, before the steps; 1 or more.
    missing: share of the claims with two boxes that lose one of them, either one alike often.
    swapped: share of the claims whose subject's and object's boxes are exchanged.
    varied: whether each box has its own level, drawn evenly between none and ``jitter`` and between
        1 and ``loose``; for training, as no two detectors or objects are alike.

    Raises
    ------
    InputError: a value out of range.
    """

    jitter: float = 0.0
    loose: float = 1.0
    missing: float = 0.0
    swapped: float = 0.0
    varied: bool = False

    def __post_init__(self) -> None:
        for name, low, high in (
            ("jitter", 0.0, 1.0),
            ("loose", 1.0, 10.0),
            ("missing", 0.0, 1.0),
            ("swapped", 0.0, 1.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"box noise: {name} is {value}; give {low:g} to {high:g}")


DETECTED: Final = BoxNoise(jitter=0.15, loose=1.2, varied=True)
"""What the shipped model learns from beside annotated boxes; chosen by cross-validation on VSR
statements, by image."""

LEARNT_SEED: Final = 7
"""Of the noise that is learnt from; figures are measured with others."""


def disturb(grounding: Grounding, noise: BoxNoise, seed: int = 0) -> Grounding:
    """The same claims with disturbed boxes.

    Boxes are exchanged, then moved, then taken away. A moved box is cut to the image and keeps
    ``LEAST_EXTENT`` of its width and height. A box that is missing (NaN), has no area or lies
    outside the image stays as it is. A box taken away is NaN in corners, score and margin, counts 0
    where counts are known, and has the reason of a phrase that was not found. Scores are otherwise
    kept.

    Parameters
    ----------
    grounding: (N,) rows.
    noise: how much of what.
    seed: another seed draws anew; test with other seeds than those trained with.

    >>> from spatialtrust.tables import Grounding
    >>> boxes = Grounding.from_boxes([[10, 20, 30, 40]], [[50, 20, 90, 60]], [[100, 100]])
    >>> disturb(boxes, BoxNoise(loose=1.5)).subject_box.tolist()
    [[5.0, 15.0, 35.0, 45.0]]
    >>> disturb(boxes, BoxNoise(swapped=1.0)).subject_box.tolist()
    [[50.0, 20.0, 90.0, 60.0]]
    """
    # The same for both orders of a pair: exchanged twice by one seed is not exchanged.
    pair = _keys(grounding.subject_box, seed) + _keys(grounding.object_box, seed)
    disturbed = _exchanged(grounding, _uniform(pair, _SWAPPED) < noise.swapped)
    if noise.jitter > 0 or noise.loose > 1:
        disturbed = replace(
            disturbed,
            subject_box=_moved(disturbed.subject_box, grounding.image_size, noise, seed),
            object_box=_moved(disturbed.object_box, grounding.image_size, noise, seed),
        )
    both = np.isfinite(grounding.subject_box).all(1) & np.isfinite(grounding.object_box).all(1)
    lost = both & (_uniform(pair, _MISSING) < noise.missing)
    first = _uniform(pair, _WHICH) < 0.5
    return _without(_without(disturbed, "subject", lost & first), "object", lost & ~first)


def _exchanged(grounding: Grounding, rows: Bool) -> Grounding:
    columns = {}
    for name in ("box", "score", "margin", "count"):
        ours, theirs = getattr(grounding, f"subject_{name}"), getattr(grounding, f"object_{name}")
        there = rows[:, None] if ours.ndim == 2 else rows
        columns[f"subject_{name}"] = np.where(there, theirs, ours)
        columns[f"object_{name}"] = np.where(there, ours, theirs)
    reasons = grounding.reasons
    for pair in _EXCHANGED:
        one, other = (np.uint32(bit(code)) for code in pair)
        differ = ((reasons & one) > 0) != ((reasons & other) > 0)
        reasons = np.where(rows & differ, reasons ^ (one | other), reasons)
    return replace(grounding, reasons=reasons, **columns)


def _without(grounding: Grounding, role: str, rows: Bool) -> Grounding:
    unknown = np.float32(np.nan)
    count = getattr(grounding, f"{role}_count")
    columns = {
        f"{role}_box": np.where(rows[:, None], unknown, getattr(grounding, f"{role}_box")),
        f"{role}_score": np.where(rows, unknown, getattr(grounding, f"{role}_score")),
        f"{role}_margin": np.where(rows, unknown, getattr(grounding, f"{role}_margin")),
        f"{role}_count": np.where(rows & np.isfinite(count), np.float32(0), count),
    }
    reasons = grounding.reasons | rows * np.uint32(bit(f"{role}_missing"))
    return replace(grounding, reasons=reasons, **columns)


def _moved(boxes: Float32, size: Float32, noise: BoxNoise, seed: int) -> Float32:
    """Loosened, each edge moved, cut to the image; (N, 4)."""
    keys = _keys(boxes, seed)
    level = _uniform(keys, _LEVEL) if noise.varied else np.ones(len(boxes))
    growth = _uniform(keys, _LOOSE) if noise.varied else np.ones(len(boxes))
    limit = np.where(np.isfinite(size), size, np.inf).astype(np.float64)
    floor = np.where(np.isfinite(size), 0.0, -np.inf)
    finite = np.isfinite(boxes)
    corners = np.where(finite, boxes, 0.0).astype(np.float64)
    low = np.clip(corners[:, :2], floor, limit)
    high = np.clip(corners[:, 2:], floor, limit)
    extent = high - low
    wider = extent * ((noise.loose - 1) * growth / 2)[:, None]
    steps = np.stack([_normal(keys, _EDGES + edge) for edge in range(4)], axis=1)
    steps *= (noise.jitter * level)[:, None]
    least = extent * LEAST_EXTENT
    moved_low = low - wider + steps[:, :2] * extent
    moved_high = high + wider + steps[:, 2:] * extent
    short = moved_high - moved_low < least
    middle = (moved_low + moved_high) / 2
    moved_low = np.where(short, middle - least / 2, moved_low)
    moved_high = np.where(short, middle + least / 2, moved_high)
    # What was moved out of the image keeps its least extent at the border.
    moved_low = np.clip(moved_low, floor, limit - least)
    moved_high = np.clip(moved_high, floor + least, limit)
    moved = np.concatenate([moved_low, moved_high], axis=1)
    sound = (extent > 0) & finite[:, :2] & finite[:, 2:]
    return np.where(sound[:, :1] & sound[:, 1:], moved, boxes).astype(np.float32)


def _keys(boxes: Float32, seed: int) -> Keys:
    """(N,) a number for each box, from its corners and the seed."""
    bits = np.ascontiguousarray(boxes, dtype=np.float32).view(np.uint32).astype(np.uint64)
    keys = _mixed(np.full(len(boxes), np.uint64(seed)))
    for edge in range(4):
        keys = _mixed(keys ^ bits[:, edge])
    return keys


def _mixed(keys: Keys) -> Keys:
    """The generator splitmix64: each bit of the result depends on all bits (Steele et al. 2014)."""
    keys = keys + np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def _uniform(keys: Keys, stream: int) -> Float64:
    """(N,) evenly from 0, inclusive, to 1."""
    drawn = _mixed(_mixed(keys + np.uint64(stream)) ^ np.uint64(stream))
    return (drawn >> np.uint64(11)).astype(np.float64) / 2.0**53


def _normal(keys: Keys, edge: int) -> Float64:
    """(N,) standard normal, by Box and Muller."""
    radius = np.sqrt(-2 * np.log1p(-_uniform(keys, 2 * edge)))
    normal: Float64 = radius * np.cos(2 * np.pi * _uniform(keys, 2 * edge + 1))
    return normal
