"""Which edges to drop so that what is left can be true together.

**Of two things.** Relations that exclude each other: a relation and its opposite, near and far,
above and in, next to and on. The surest stays.

**Along an order.** "A left of B" and "B right of A" both put A before B on the image's x axis,
"A right of B" puts it behind. A set of such statements can be true together if and only if the arcs
*before -> after* of each order have no cycle. The orders: the three axes; containment, the inner
before the outer; and holding, what stands on or lies in a thing before that thing. What is on a
thing is also above it, so "cup on book, book on table, table above cup" is a cycle. Dropping the
arcs of least total log-odds is the minimum feedback arc set problem.

Source: Lawler 1964, A comment on minimum feedback arc sets, IEEE Trans. Circuit Theory 11 (the
exact recursion over sets of nodes).
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.relations import BESIDE, RELATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

EXACT_NODES: Final = 16
"""Components up to this size are solved exactly, in 2^16 steps; larger ones greedily."""

LEAST_WEIGHT: Final = 1e-3
"""What dropping an edge below even odds costs; above zero, so none is dropped without need."""

Arc = tuple[int, int]
Saying = tuple[str, bool, bool]
"""A state of two things, whether it has a direction, and whether it is claimed or denied."""


def contradicting(
    subjects: Sequence[str],
    relations: Sequence[str],
    objects: Sequence[str],
    p_true: ArrayLike,
) -> NDArray[np.bool_]:
    """The edges to drop, as a mask (N,).

    Of relations that exclude each other between two things the surest stays. Then, order by order,
    components of up to ``EXACT_NODES`` objects are solved exactly: no other choice drops less total
    log-odds. In larger ones edges are taken from the surest down, and one that closes a cycle is
    dropped; what is dropped there could not be put back, but may not be the least.

    Parameters
    ----------
    subjects, relations, objects: node, canonical relation, node of each edge (N,).
    p_true: (N,) P(the edge is true).

    >>> contradicting(["a", "b", "a"], ["left of", "left of", "above"], ["b", "a", "b"],
    ...               [0.9, 0.8, 0.9]).tolist()
    [False, True, False]
    >>> contradicting(["a", "a", "b"], ["above", "in", "on"], ["b", "b", "a"],
    ...               [0.8, 0.9, 0.7]).tolist()
    [True, False, True]
    """
    odds = _log_odds(p_true)
    dropped = _excluded(subjects, relations, objects, odds)
    for name in ORDERS:
        rows_of = _arcs(name, subjects, relations, objects, ~dropped)
        weights = {arc: float(odds[rows].sum()) for arc, rows in rows_of.items()}
        for arc in least_feedback(weights):
            dropped[rows_of[arc]] = True
    return dropped


def contradictions(
    subjects: Sequence[str], relations: Sequence[str], objects: Sequence[str]
) -> int:
    """How many edges take part in a contradiction; 0 after repair.

    >>> contradictions(["a", "b", "a"], ["on", "on", "left of"], ["b", "a", "b"])
    2
    """
    import networkx as nx

    found: set[int] = set()
    said: dict[tuple[str, str, str], dict[bool, set[int]]] = defaultdict(lambda: defaultdict(set))
    for row, ends in enumerate(zip(subjects, relations, objects, strict=True)):
        for state, claimed in _states(*ends):
            said[state][claimed].add(row)
    for sides in said.values():
        if len(sides) == 2:
            found |= sides[True] | sides[False]
    for name in ORDERS:
        rows_of = _arcs(name, subjects, relations, objects, np.ones(len(subjects), dtype=bool))
        for component in nx.strongly_connected_components(nx.DiGraph(rows_of.keys())):
            for (start, end), rows in rows_of.items():
                if start in component and end in component:
                    found.update(rows)
    return len(found)


ORDERS: Final = ("x", "y", "z", "containment", "holding")
"""What things can be put in order by."""


@lru_cache(maxsize=256)
def orders_of(relation: str) -> tuple[tuple[str, int], ...]:
    """The orders that a relation speaks about, each with -1 if its subject comes first, else +1.

    >>> orders_of("right of"), orders_of("on"), orders_of("near")
    ((('x', 1),), (('y', -1), ('holding', -1)), ())
    """
    known = RELATIONS.get(relation)
    if known is None:
        return ()
    found = [(known.axis, known.sign)] if known.axis else []
    if known.nests:
        found += [("containment", -known.nests)]
        found += [("holding", -known.nests)] if known.family == "containment" else []
    if supports(relation):
        found += [("y", -1), ("holding", -1)]
    return tuple(dict.fromkeys(found))


def supports(relation: str) -> bool:
    """Whether it says that the object holds the subject up.

    >>> supports("on"), supports("on top of"), supports("off")
    (True, True, False)
    """
    known = RELATIONS[relation]
    return known.kind == "supporting" and not known.denies


def _arcs(
    order: str,
    subjects: Sequence[str],
    relations: Sequence[str],
    objects: Sequence[str],
    among: NDArray[np.bool_],
) -> dict[Arc, list[int]]:
    """The rows behind each arc *before -> after* of one order, of some of the edges."""
    names = {name: place for place, name in enumerate(dict.fromkeys((*subjects, *objects)))}
    rows_of: dict[Arc, list[int]] = defaultdict(list)
    for row, relation in enumerate(relations):
        for name, sign in orders_of(relation) if among[row] else ():
            if name == order:
                ends = (names[subjects[row]], names[objects[row]])
                rows_of[ends if sign < 0 else ends[::-1]].append(row)
    return rows_of


def _excluded(
    subjects: Sequence[str],
    relations: Sequence[str],
    objects: Sequence[str],
    odds: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Edges that a surer edge between the same two things excludes."""
    dropped = np.zeros(len(odds), dtype=np.bool_)
    said: dict[tuple[str, str, str], bool] = {}
    for row in np.argsort(-odds, kind="stable"):
        states = dict(_states(subjects[row], relations[row], objects[row]))
        if any(said.get(state, claimed) != claimed for state, claimed in states.items()):
            dropped[row] = True
        else:
            said.update(states)
    return dropped


def _states(subject: str, relation: str, other: str) -> list[tuple[tuple[str, str, str], bool]]:
    """What an edge says of its two things: states by name and ends, and whether they hold."""
    known = RELATIONS.get(relation)
    if known is None:
        return []
    if known.nests < 0 and known.converse:
        relation, subject, other = known.converse, other, subject
    low, high = min(subject, other), max(subject, other)
    return [
        ((name, subject, other) if directed else (name, low, high), claimed)
        for name, directed, claimed in _sayings(relation)
    ]


@lru_cache(maxsize=256)
def _sayings(relation: str) -> tuple[Saying, ...]:
    """What a relation claims and denies; that of an axis has its contrary in the axis' order."""
    known = RELATIONS[relation]
    said: list[Saying] = []
    if known.axis is None:
        said.append((relation, not known.symmetric, True))
        if known.opposite is not None:
            said.append((known.opposite, not RELATIONS[known.opposite].symmetric, False))
    holds, lies_in = supports(relation), known.nests != 0
    contact = holds or (known.family == "contact" and not known.denies)
    if known.family == "distance":
        said.append(("together", False, False))
    elif contact or lies_in or known.family == "proximity":
        said.append(("together", False, True))
    if contact or relation == "detached from":
        said.append(("in contact", False, contact))
    if relation in BESIDE or holds or lies_in:
        said.append(("side by side", False, relation in BESIDE))
    if (known.axis == "y" and not holds) or (lies_in and known.family == "containment"):
        said.append(("one in the other", False, lies_in))
    return tuple(said)


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
