"""Which edges need not be shown, because the others say them or because the two are far apart.

**Implied.** "A left of C" follows from "A left of B" and "B left of C"; "cup above table" from "cup
on table". What is left of a relation that orders things reaches exactly what all of it reached
(the transitive reduction; objects on a circle, where edges were not repaired, keep their edges).

Source: Aho, Garey and Ullman 1972, The transitive reduction of a directed graph, SIAM J. Comput. 1.

**Far.** Each object is shown to be near its ``NEAREST`` closest neighbours and no others, and to be
far from the farthest; and an image that still has more than ``PER_OBJECT`` edges an object leaves
out directions between the things that are farthest apart. Support, containment and contact are
never far.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.graph.repair import supports
from spatialtrust.relations import BESIDE, RELATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from spatialtrust.arrays import Float64

NEAREST: Final = 1
"""Neighbours that each object is shown to be near, or next to."""

PER_OBJECT: Final = 2.5
"""Edges an object at which directions between far things begin to be left out."""

REASONS: Final = ("implied", "far")
"""Why an edge that is believed is not shown."""

_INSIDE: Final = ("in", "inside", "within", "enclosed by")

_NEIGHBOURS: Final[Mapping[str, int]] = {"proximity": 1, "distance": -1}
"""Families of which each object shows one neighbour: the nearest, or the farthest."""

_KEPT, _IMPLIED, _FAR = 0, 1, 2

_SAID_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "above": ("on", "over"),
    "over": ("on",),
    "touching": ("on",),
    "near": (*BESIDE, "touching", "on", "in"),
    "close to": (*BESIDE, "touching", "on", "in"),
}
"""What a relation follows from, between the same two things."""


def left_out(
    subjects: Sequence[str],
    relations: Sequence[str],
    objects: Sequence[str],
    p_true: ArrayLike,
    boxes: Mapping[str, Float64],
    *,
    per_object: float = PER_OBJECT,
) -> list[str | None]:
    """Why each edge need not be shown, one of ``REASONS``; None: it is to be shown.

    Parameters
    ----------
    subjects, relations, objects: node, canonical relation, node of each edge (N,).
    p_true: (N,) P(the edge is true); of edges that say the same the surest is shown.
    boxes: of all objects of the image, ``x1, y1, x2, y2`` in pixels, for how far apart they are.
    per_object: so many edges an object are shown, if leaving out far directions gets there.

    >>> boxes = {name: np.array([x, 0, x + 1, 1]) for name, x in (("a", 0), ("b", 2), ("c", 4))}
    >>> left_out(["a", "b", "a"], ["left of"] * 3, ["b", "c", "c"], [0.9, 0.9, 0.99], boxes)
    [None, None, 'implied']
    """
    names = {name: place for place, name in enumerate(dict.fromkeys((*subjects, *objects)))}
    said = [
        said_as(relation, names[subject], names[other])
        for subject, relation, other in zip(subjects, relations, objects, strict=True)
    ]
    groups = np.array([group for group, *_ in said], dtype=object)
    ends = np.array([arc for _, *arc in said], dtype=np.int64).reshape(-1, 2)
    why = np.zeros(len(said), dtype=np.int8)
    why[_repeated(said, p_true)] = _IMPLIED
    for group in dict.fromkeys(groups.tolist()):
        why[_implied(group, groups, ends, why, len(names))] = _IMPLIED
    apart = _apart(ends, list(names), boxes)
    for group in dict.fromkeys(groups.tolist()):
        sign = _NEIGHBOURS.get(RELATIONS[group].family) if group in RELATIONS else None
        if sign is not None:
            rows = np.flatnonzero((groups == group) & (why == _KEPT))
            why[rows[~_first(ends[rows], sign * apart[rows])]] = _FAR
    why[_farthest(groups, apart, why, int(per_object * len(boxes)))] = _FAR
    return [None if code == _KEPT else REASONS[code - 1] for code in why.tolist()]


@lru_cache(maxsize=256)
def group_of(relation: str) -> tuple[str, bool, bool]:
    """What a relation is counted as, whether turned round, and whether it orders things.

    Relations that say the same from one side or the other go together: left and right, contains
    and in.

    >>> group_of("right of"), group_of("contains"), group_of("near")
    (('left of', True, True), ('in', True, True), ('near', False, False))
    """
    known = RELATIONS.get(relation)
    if known is None:
        return relation, False, False
    if supports(relation):
        return "on", False, True
    if known.nests:
        turned = known.nests < 0
        inner = known.converse if turned and known.converse else relation
        return "in" if inner in _INSIDE else inner, turned, True
    if known.axis and known.converse:
        turned = known.sign > 0
        return known.converse if turned else relation, turned, True
    return relation, False, False


def said_as(relation: str, subject: int, other: int) -> tuple[str, int, int]:
    """An edge as its group says it: turned round where the group does, low end first if it may."""
    group, turned, _ = group_of(relation)
    turned |= relation in RELATIONS and RELATIONS[relation].symmetric and subject > other
    return (group, other, subject) if turned else (group, subject, other)


def follows_from(group: str) -> tuple[str, ...]:
    """The groups whose edges lead on along a relation: things on a thing are above it.

    >>> follows_from("above"), follows_from("left of")
    (('above', 'on', 'over'), ('left of',))
    """
    return (group, *(_SAID_BY.get(group, ()) if group_of(group)[2] else ()))


def _repeated(said: Sequence[tuple[str, int, int]], p_true: ArrayLike) -> list[int]:
    """Rows of which a surer one says the same."""
    seen: set[tuple[str, int, int]] = set()
    repeated = []
    for row in np.argsort(-np.asarray(p_true, dtype=np.float64), kind="stable").tolist():
        if said[row] in seen:
            repeated.append(row)
        seen.add(said[row])
    return repeated


def _implied(
    group: str,
    groups: NDArray[np.object_],
    ends: NDArray[np.int64],
    why: NDArray[np.int8],
    nodes: int,
) -> NDArray[np.int64]:
    """The rows of a group that other edges say."""
    rows = np.flatnonzero((groups == group) & (why == _KEPT))
    direct = np.zeros((nodes, nodes), dtype=np.bool_)
    stronger = ends[np.isin(groups, _SAID_BY.get(group, ()))]
    direct[stronger[:, 0], stronger[:, 1]] = True
    if not group_of(group)[2]:
        direct |= direct.T
        return np.asarray(rows[direct[ends[rows, 0], ends[rows, 1]]])
    arcs = direct.copy()
    own = ends[groups == group]
    arcs[own[:, 0], own[:, 1]] = True
    implied = direct | _through_others(arcs)
    return np.asarray(rows[implied[ends[rows, 0], ends[rows, 1]]])


def _through_others(arcs: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where a path leads through a third thing that lies on no circle with either end."""
    reach = arcs.astype(np.float32)
    for _ in range(max(1, int(np.ceil(np.log2(max(len(arcs), 2)))))):
        reach = np.minimum(reach + reach @ reach, 1)
    around = (reach > 0) & (reach.T > 0)
    onward = np.where(around, 0, reach).astype(np.float32)
    np.fill_diagonal(onward, 0)
    return np.asarray((onward @ onward) > 0)


def _apart(ends: NDArray[np.int64], names: Sequence[str], boxes: Mapping[str, Float64]) -> Float64:
    """Pixels between the boxes of each edge's ends; of boxes that meet, less than 1 by centres."""
    unknown = np.full(4, np.nan)
    corners = np.array([boxes.get(name, unknown) for name in names]).reshape(-1, 4)
    first, second = corners[ends[:, 0]], corners[ends[:, 1]]
    gap = np.maximum(first[:, :2], second[:, :2]) - np.minimum(first[:, 2:], second[:, 2:])
    between = np.hypot(*np.maximum(gap, 0).T)
    centres = np.hypot(*((first[:, :2] + first[:, 2:] - second[:, :2] - second[:, 2:]) / 2).T)
    return np.asarray(np.nan_to_num(between + centres / (1 + centres), nan=0.0))


def _first(ends: NDArray[np.int64], apart: Float64) -> NDArray[np.bool_]:
    """Which edges are among the ``NEAREST`` least far of either end."""
    near = np.zeros(len(ends), dtype=np.bool_)
    count: dict[int, int] = {}
    for row in np.argsort(apart, kind="stable").tolist():
        for end in ends[row].tolist():
            near[row] |= count.get(end, 0) < NEAREST
            count[end] = count.get(end, 0) + 1
    return near


def _farthest(
    groups: NDArray[np.object_], apart: Float64, why: NDArray[np.int8], room: int
) -> NDArray[np.int64]:
    """The rows of directions to leave out, so that no more than ``room`` edges are left."""
    over = int((why == _KEPT).sum()) - room
    if over <= 0:
        return np.zeros(0, dtype=np.int64)
    directions = np.array([group in RELATIONS and bool(RELATIONS[group].axis) for group in groups])
    rows = np.flatnonzero(directions & (why == _KEPT))
    return np.asarray(rows[np.argsort(-apart[rows], kind="stable")][:over])
