"""From scored queries to the boxes of a phrase: thresholds, suppression, all phrases at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAME_OBJECT: Final = 0.7
"""Boxes of one phrase that overlap more than this (IoU) are the same object."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """The boxes of one phrase, best first.

    Attributes
    ----------
    corners: float32 (K, 4), ``x1, y1, x2, y2`` in pixels.
    scores: float32 (K,).
    """

    corners: NDArray[np.float32]
    scores: NDArray[np.float32]


def corners(boxes: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Boxes (Q, 4) as corners in pixels, cut at the image's edges.

    Parameters
    ----------
    boxes: centre x, centre y, width, height in fractions of the image.

    >>> corners(np.array([[0.5, 0.5, 0.5, 2.0]], np.float32), 8, 6).tolist()
    [[2.0, 0.0, 6.0, 6.0]]
    """
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    found = np.concatenate([centre - half, centre + half], axis=1).clip(0, 1)
    pixels: NDArray[np.float32] = found * np.array([width, height, width, height], np.float32)
    return pixels


def select(
    scores: NDArray[np.float32], boxes: NDArray[np.float32], threshold: float, top_k: int
) -> list[Boxes]:
    """The best boxes of each phrase, overlapping ones suppressed, all phrases at once.

    Parameters
    ----------
    scores: (P, Q) of each phrase for each box.
    boxes: (Q, 4) corners.
    threshold: a box that scores less is not this phrase.
    top_k: boxes to keep per phrase.

    >>> boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 4.1], [5, 5, 9, 9]], np.float32)
    >>> found = select(np.array([[0.9, 0.8, 0.5], [0.1, 0.1, 0.1]], np.float32), boxes, 0.25, 5)
    >>> found[0].scores.tolist(), len(found[1].scores)
    ([0.8999999761581421, 0.5], 0)
    """
    candidates = np.flatnonzero((scores >= threshold).any(axis=0))
    left = scores[:, candidates]
    left[left < threshold] = -1.0
    sides, areas = _sides(boxes[candidates])
    taken: list[list[int]] = [[] for _ in scores]
    alive = np.arange(len(scores))
    for _ in range(top_k if len(candidates) else 0):
        best = left[alive].argmax(axis=1)
        found = left[alive, best] >= threshold
        alive, best = alive[found], best[found]
        if not len(alive):
            break
        for phrase, place in zip(alive.tolist(), candidates[best].tolist(), strict=True):
            taken[phrase].append(place)
        left[alive] = np.where(_overlap(sides, areas, best), left.dtype.type(-1.0), left[alive])
        left[alive, best] = -1.0
    return [
        Boxes(boxes[rows], scores[phrase, rows].astype(np.float32))
        for phrase, rows in enumerate(taken)
    ]


def _sides(
    boxes: NDArray[np.float32],
) -> tuple[tuple[NDArray[np.float32], ...], NDArray[np.float32]]:
    """Left, top, right and bottom of boxes (Q, 4), each (Q,) in one piece, and their areas."""
    left, top, right, bottom = (np.ascontiguousarray(side) for side in boxes.T)
    return (left, top, right, bottom), (right - left) * (bottom - top)


def _overlap(
    sides: tuple[NDArray[np.float32], ...], areas: NDArray[np.float32], best: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which of all boxes (Q,) are the same object as some of them: (len(best), Q).

    Only the pairs of boxes that were taken are computed: all pairs of a detector's 900 queries
    would cost more than its forward pass. A box without area is nobody's.
    """
    left, top, right, bottom = sides
    wide = np.minimum(right, right[best, None]) - np.maximum(left, left[best, None])
    high = np.minimum(bottom, bottom[best, None]) - np.maximum(top, top[best, None])
    shared = np.maximum(wide, 0) * np.maximum(high, 0)
    union = areas[best, None] + areas - shared
    ratio = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    same: NDArray[np.bool_] = ratio > SAME_OBJECT
    return same
