"""Which edges to drop so that no relations of one axis contradict each other.

"A left of B" and "B right of A" both put A before B on the image's x axis, "A right of B" puts it
behind. A set of such statements can be true together if and only if the arcs *before -> after* of
each axis have no cycle; containment orders objects in the same way, the inner before the outer.
Dropping the arcs of least total log-odds is the minimum feedback arc set problem.

Source: Lawler 1964, A comment on minimum feedback arc sets, IEEE Trans. Circuit Theory 11 (the
exact recursion over sets of nodes).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.relations import RELATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

EXACT_NODES: Final = 16
"""Components up to this size are solved exactly, in 2^16 steps; larger ones greedily."""

LEAST_WEIGHT: Final = 1e-3
"""What dropping an edge below even odds costs; above zero, so none is dropped without need."""

Arc = tuple[int, int]


def contradicting(
    subjects: Sequence[str],
    relations: Sequence[str],
    objects: Sequence[str],
    p_true: ArrayLike,
) -> NDArray[np.bool_]:
    """The edges to drop, as a mask (N,).

    Components of up to ``EXACT_NODES`` objects are solved exactly: no other choice drops less total
    log-odds. In larger ones edges are taken from the surest down, and one that closes a cycle is
    dropped; what is dropped there could not be put back, but may not be the least.

    Parameters
    ----------
    subjects, relations, objects: node, canonical relation, node of each edge (N,).
    p_true: (N,) P(the edge is true).

    >>> contradicting(["a", "b", "a"], ["left of", "left of", "above"], ["b", "a", "b"],
    ...               [0.9, 0.8, 0.9]).tolist()
    [False, True, False]
    """
    odds = _log_odds(p_true)
    dropped = np.zeros(len(odds), dtype=np.bool_)
    names = {name: place for place, name in enumerate(dict.fromkeys((*subjects, *objects)))}
    arcs_of: dict[str, dict[Arc, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row, (subject, relation, other) in enumerate(
        zip(subjects, relations, objects, strict=True)
    ):
        axis, sign = order_of(relation)
        if axis is None:
            continue
        ends = (names[subject], names[other]) if sign < 0 else (names[other], names[subject])
        arcs_of[axis][ends].append(row)
    for arcs in arcs_of.values():
        weights = {arc: float(odds[rows].sum()) for arc, rows in arcs.items()}
        for arc in least_feedback(weights):
            dropped[arcs[arc]] = True
    return dropped


def order_of(relation: str) -> tuple[str | None, int]:
    """The order that a relation speaks about, and -1 if it puts its subject first, else +1.

    >>> order_of("right of"), order_of("inside"), order_of("near")
    (('x', 1), ('containment', -1), (None, 0))
    """
    known = RELATIONS.get(relation)
    if known is None:
        return None, 0
    return ("containment", -known.nests) if known.nests else (known.axis, known.sign)


def least_feedback(weights: Mapping[Arc, float]) -> set[Arc]:
    """Arcs to drop from a weighted directed graph so that no cycle is left.

    >>> least_feedback({(0, 1): 2.0, (1, 2): 1.0, (2, 0): 3.0, (0, 3): 1.0})
    {(1, 2)}
    """
    import networkx as nx

    graph = nx.DiGraph(weights.keys())
    dropped = {arc for arc in weights if arc[0] == arc[1]}
    for component in nx.strongly_connected_components(graph):
        if len(component) < 2:
            continue
        inside = {
            arc: weight
            for arc, weight in weights.items()
            if arc[0] in component and arc[1] in component and arc[0] != arc[1]
        }
        exact = len(component) <= EXACT_NODES
        dropped |= _exact(sorted(component), inside) if exact else _greedy(inside)
    return dropped


def _exact(nodes: Sequence[int], weights: Mapping[Arc, float]) -> set[Arc]:
    """Least feedback arcs by recursion over sets: the best order of a set ends in one of them.

    ``least[S] = min over v in S of least[S - v] + weight of the arcs from v into S - v``.
    """
    size, place = len(nodes), {node: index for index, node in enumerate(nodes)}
    sets = np.arange(1 << size)
    # back[v, S]: weight of the arcs from v into S, dropped when v comes after all of S.
    back = np.zeros((size, 1 << size))
    for (start, end), weight in weights.items():
        back[place[start], (sets >> place[end] & 1) == 1] += weight
    members = np.array([int(s).bit_count() for s in sets])
    least = np.full(1 << size, np.inf)
    least[0] = 0.0
    last = np.zeros(1 << size, dtype=np.int64)
    for count in range(1, size + 1):
        layer = sets[members == count]
        for node in range(size):
            holding = layer[(layer >> node & 1) == 1]
            rest = holding ^ (1 << node)
            cost = least[rest] + back[node, rest]
            better = cost < least[holding]
            least[holding[better]] = cost[better]
            last[holding[better]] = node
    position = {}
    remaining = (1 << size) - 1
    for rank in range(size - 1, -1, -1):
        node = int(last[remaining])
        position[nodes[node]] = rank
        remaining ^= 1 << node
    return {arc for arc in weights if position[arc[0]] > position[arc[1]]}


def _greedy(weights: Mapping[Arc, float]) -> set[Arc]:
    """Take arcs from the heaviest down; drop what closes a cycle with those taken."""
    after: dict[int, set[int]] = defaultdict(set)
    dropped = set()
    for arc in sorted(weights, key=lambda arc: (-weights[arc], arc)):
        start, end = arc
        if _reaches(after, end, start):
            dropped.add(arc)
        else:
            after[start].add(end)
    return dropped


def _reaches(after: Mapping[int, Iterable[int]], start: int, goal: int) -> bool:
    seen, waiting = {start}, [start]
    while waiting:
        node = waiting.pop()
        if node == goal:
            return True
        fresh = [following for following in after.get(node, ()) if following not in seen]
        seen.update(fresh)
        waiting.extend(fresh)
    return False


def _log_odds(p_true: ArrayLike) -> NDArray[np.float64]:
    p = np.clip(np.asarray(p_true, dtype=np.float64), 1e-7, 1 - 1e-7)
    return np.asarray(np.maximum(np.log(p) - np.log1p(-p), LEAST_WEIGHT))
