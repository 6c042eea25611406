"""Which detections are objects: one region of an image is one thing, whatever phrases fit it.

A detector that looks for many phrases finds some of them on things that another phrase names
better: "red cube" on a red cylinder. A graph's nodes and the pairs that are enumerated leave such
boxes out; claims that somebody made about them keep them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.geometry import iou

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.tables import Detections

SAME_THING: Final = 0.8
"""Boxes of different phrases that overlap this much (IoU) are one thing."""

_ROUNDING: Final = 1.01


def contested(detections: Detections) -> NDArray[np.bool_]:
    """(N,) whether a box lies where another phrase of its image scores higher.

    Boxes without a score, such as annotated ones, are never contested, nor do they contest.

    >>> from spatialtrust.tables import Detections
    >>> box = {"image_id": "a", "x1": 0, "y1": 0, "x2": 9, "y2": 9}
    >>> rows = [{**box, "object_id": "0", "phrase": "cube", "score": 0.4},
    ...         {**box, "object_id": "1", "phrase": "can", "score": 0.8}]
    >>> contested(Detections.from_rows(rows)).tolist()
    [True, False]
    """
    boxes, score = detections.boxes(), detections.numbers("score")
    found = np.zeros(len(detections), dtype=np.bool_)
    scored = np.flatnonzero(np.isfinite(boxes).all(axis=1) & np.isfinite(score))
    if not scored.size:
        return found
    image = ranks(detections.column("image_id"))[1]
    phrase = ranks(pc.utf8_lower(detections.column("phrase")))[1]
    first, second = (scored[side] for side in _near(image[scored], boxes[scored]))
    first, second = (side[phrase[first] != phrase[second]] for side in (first, second))
    same = iou(boxes[first], boxes[second]) >= SAME_THING
    first, second = first[same], second[same]
    # Of equal scores the phrase that sorts first wins, so that the order of rows does not count.
    place = np.argsort(np.lexsort((phrase, -score)))
    found[np.where(place[first] < place[second], second, first)] = True
    return found


def _near(
    image: NDArray[np.int64], boxes: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of all pairs of one image that may overlap by ``SAME_THING``, and of few others.

    Such boxes begin within a quarter of the first's width of each other (with ``SAME_THING`` 0.8),
    so in a crowd of thousands only neighbours along x are looked at.
    """
    left = boxes[:, 0].astype(np.float64)
    wide = np.maximum(boxes[:, 2].astype(np.float64) - left, 0)
    left -= left.min()
    # Images lie side by side, too far apart to be neighbours.
    key = image * (left.max() + wide.max() + 1) + left
    order = np.argsort(key, kind="stable")
    key = key[order]
    reach = key + wide[order] * (1 / SAME_THING - 1) * _ROUNDING
    rows = np.arange(len(key))
    partners = np.searchsorted(key, reach, side="right") - rows - 1
    first = np.repeat(rows, partners)
    nth = np.arange(len(first)) - np.repeat(np.cumsum(partners) - partners, partners)
    return order[first], order[first + 1 + nth]


def pairs_within(group: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of all unordered pairs of equal entries of a sorted column.

    >>> [side.tolist() for side in pairs_within(np.array([0, 0, 0, 1]))]
    [[0, 0, 1], [1, 2, 2]]
    """
    rows = np.arange(len(group))
    partners = np.searchsorted(group, group, side="right") - rows - 1
    first = np.repeat(rows, partners)
    nth = np.arange(len(first)) - np.repeat(np.cumsum(partners) - partners, partners)
    return first, first + 1 + nth


def ranks(column: pa.ChunkedArray) -> tuple[pa.Array, NDArray[np.int64]]:
    """Distinct values, sorted, and for each row the place of its value among them."""
    distinct = pc.unique(column)
    distinct = distinct.take(pc.array_sort_indices(distinct))
    places = pc.index_in(column, value_set=distinct)
    return distinct, np.asarray(places.to_numpy(), dtype=np.int64)
