"""What two boxes show of a relation, in one clause with the numbers that a person would check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.relations import RELATIONS

if TYPE_CHECKING:
    from spatialtrust.arrays import Float64
    from spatialtrust.relations import Relation

CLOSE: Final = 0.25
"""Centres nearer than this, in mean extents of the boxes, are too close to call."""

_SIDES: Final = {
    ("x", -1): "left of", ("x", 1): "right of", ("y", -1): "higher than", ("y", 1): "lower than",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ground:
    """What boxes show.

    Attributes
    ----------
    words: a clause.
    close: the boxes decide nothing, since they lie too close to a tie.
    """

    words: str
    close: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """How lengths are said: as shares of the image where its size is known, else in pixels."""

    width: int | None
    height: int | None

    def length(self, pixels: float, axis: int) -> str:
        """A length along an axis (0: x, 1: y) in words.

        >>> Frame(200, 100).length(6, 0), Frame(None, None).length(6, 0)
        ('3 % of the image', '6 pixels')
        """
        extent = (self.width, self.height)[axis]
        if not extent:
            return f"{pixels:.0f} pixels"
        share = 100 * pixels / extent
        return f"{share:.1f} % of the image" if share < 0.95 else f"{share:.0f} % of the image"


def ground(
    relation: str, boxes: tuple[Float64, Float64], names: tuple[str, str], frame: Frame
) -> Ground:
    """What the boxes of a subject and an object show of a relation.

    Parameters
    ----------
    boxes: ``x1, y1, x2, y2`` in pixels, y down.

    >>> mug, kettle = np.array([20.0, 10, 30, 20]), np.array([60.0, 10, 80, 40])
    >>> ground("left of", (mug, kettle), ("mug", "kettle"), Frame(200, 100)).words
    "the mug's centre is 22 % of the image left of the kettle's"
    """
    known = RELATIONS[relation]
    if known.nests or known.kind == "supporting":
        return _nested(known, boxes, names, frame)
    if known.axis in ("x", "y"):
        return _beside(known.axis, boxes, names, frame)
    if known.axis == "z" or known.needs_depth:
        return _depth(boxes, names, frame)
    if known.family in ("proximity", "distance", "contact"):
        return Ground(_gap(boxes, frame))
    return Ground(f'boxes hardly tell "{relation}": {_gap(boxes, frame)}')


def the(name: str) -> str:
    """A name in a sentence: with an article, unless it has a number.

    >>> the("mug"), the("mug#1")
    ('the mug', 'mug#1')
    """
    return name if name[-1:].isdecimal() else f"the {name}"


def _beside(
    axis: str, boxes: tuple[Float64, Float64], names: tuple[str, str], frame: Frame
) -> Ground:
    place = "xy".index(axis)
    ours, theirs = boxes
    apart = float((ours + np.roll(ours, 2) - theirs - np.roll(theirs, 2))[place] / 2)
    extent = float(ours[place + 2] - ours[place] + theirs[place + 2] - theirs[place]) / 2
    length = frame.length(abs(apart), place)
    if abs(apart) < CLOSE * extent:
        along = "sideways" if axis == "x" else "in height"
        return Ground(f"centres {length} apart {along}: too close to call", close=True)
    side = _SIDES[axis, -1 if apart < 0 else 1]
    words = f"{the(names[0])}'s centre is {length} {side} {the(names[1])}'s"
    shared = _shared(boxes, 1 - place)
    if axis == "y" and shared <= 0:
        words += ", and neither stands over the other"
    return Ground(words)


def _nested(
    known: Relation, boxes: tuple[Float64, Float64], names: tuple[str, str], frame: Frame
) -> Ground:
    # "contains" speaks of the object in the subject.
    (inner, outer), (first, second) = boxes, names
    if known.nests < 0:
        (outer, inner), (second, first) = boxes, names
    low, high = np.maximum(inner[:2], outer[:2]), np.minimum(inner[2:], outer[2:])
    area = float(np.prod(inner[2:] - inner[:2]))
    share = float(np.prod(np.maximum(high - low, 0))) / area if area > 0 else 0.0
    if share >= 0.995:
        words = f"{the(first)}'s box is inside {the(second)}'s"
    elif share > 0:
        words = f"{100 * share:.0f} % of {the(first)}'s box lies in {the(second)}'s"
    else:
        words = _gap(boxes, frame)
    if known.kind == "supporting" and share > 0:
        top = float(inner[3] - outer[1])
        side = "below" if top >= 0 else "above"
        words += f", its bottom {frame.length(abs(top), 1)} {side} {the(second)}'s top"
    return Ground(words)


def _depth(boxes: tuple[Float64, Float64], names: tuple[str, str], frame: Frame) -> Ground:
    lower = float(boxes[0][3] - boxes[1][3])
    side = "lower" if lower > 0 else "higher"
    length = frame.length(abs(lower), 1)
    words = f"{the(names[0])}'s bottom is {length} {side} than {the(names[1])}'s"
    return Ground(f"{words}, and boxes only hint at depth")


def _gap(boxes: tuple[Float64, Float64], frame: Frame) -> str:
    ours, theirs = boxes
    spaces = np.maximum(ours[:2], theirs[:2]) - np.minimum(ours[2:], theirs[2:])
    if (spaces < 0).all():
        shared = float(np.prod(-spaces))
        union = float(np.prod(ours[2:] - ours[:2]) + np.prod(theirs[2:] - theirs[:2])) - shared
        return f"the boxes overlap (IoU {shared / union:.2f})" if union > 0 else "the boxes overlap"
    axis = int(spaces.argmax())
    return f"the boxes are {frame.length(max(float(spaces[axis]), 0.0), axis)} apart"


def _shared(boxes: tuple[Float64, Float64], axis: int) -> float:
    ours, theirs = boxes
    return float(min(ours[axis + 2], theirs[axis + 2]) - max(ours[axis], theirs[axis]))
