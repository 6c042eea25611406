"""What a scene graph answers: edges from either end, and chains of edges."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from spatialtrust.graph.reduction import follows_from, group_of
from spatialtrust.relations import RELATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

ALIKE: Final = (frozenset({"in", "inside", "within"}), frozenset({"on", "on top of"}))
"""Names of one meaning: who asks for one of them is answered by an edge with another."""


@dataclass(frozen=True, slots=True, repr=False)
class Grounds:
    """Tells on demand why an edge is one; all are equal, so that edges compare by what they say.

    Attributes
    ----------
    tell: ``claim_id`` to a sentence; None: nothing is known beyond the edge.
    """

    tell: Callable[[str], str] | None = field(default=None, compare=False)


class Edge(NamedTuple):
    """One edge as a query returns it, in the direction that was asked for."""

    subject_id: str
    subject: str
    relation: str
    object_id: str
    object: str
    confidence: float
    decision: str
    said_by: str
    reasons: tuple[str, ...]
    claim_id: str
    meaning: str | None = None
    grounds: Grounds = Grounds()

    @property
    def why(self) -> str:
        """Why it is an edge, in one sentence with the numbers to check it by."""
        return "" if self.grounds.tell is None else self.grounds.tell(self.claim_id)

    def __repr__(self) -> str:
        said = f"{self.subject_id} {self.relation} {self.object_id}"
        return f"Edge({said}, {self.confidence:.2f}, {self.decision})"


def matching(
    edges: Iterable[Edge], subject: str | None, wanted: str | None, object: str | None
) -> list[Edge]:
    """Edges that match, turned into the direction asked for, the surest first."""
    found = []
    for edge in edges:
        for turned in _turns(edge, wanted):
            if (
                (wanted is None or _means(turned.relation, wanted))
                and (subject is None or subject in (turned.subject_id, turned.subject))
                and (object is None or object in (turned.object_id, turned.object))
            ):
                found.append(turned)
                break
    return sorted(found, key=lambda edge: (-edge.confidence, edge.claim_id))


def chain(
    edges: Sequence[Edge], starts: Collection[str], relation: str, goals: Collection[str]
) -> list[Edge]:
    """The shortest chain of edges from a start to a goal along a relation; empty: there is none.

    Edges that are stored from the other end are followed backwards and returned as stored.
    """
    group, turned, orders = group_of(relation)
    first, last = (goals, starts) if turned else (starts, goals)
    onward: dict[str, list[tuple[str, Edge]]] = {}
    follows = follows_from(group)
    for edge in edges:
        own, backwards, _ = group_of(edge.relation)
        if own not in follows:
            continue
        ends = (edge.subject_id, edge.object_id)
        ends = ends[::-1] if backwards else ends
        onward.setdefault(ends[0], []).append((ends[1], edge))
        if edge.relation in RELATIONS and RELATIONS[edge.relation].symmetric:
            onward.setdefault(ends[1], []).append((ends[0], edge))
    reached: dict[str, tuple[Edge, ...]] = {}
    waiting: deque[tuple[str, tuple[Edge, ...]]] = deque((start, ()) for start in sorted(first))
    while waiting:
        place, way = waiting.popleft()
        for following, edge in onward.get(place, ()):
            if following in reached:
                continue
            reached[following] = (*way, edge)
            if following in last:
                return list(reached[following])
            if orders:
                waiting.append((following, reached[following]))
    return []


def _turns(edge: Edge, wanted: str | None) -> list[Edge]:
    """An edge as stored and, where the language has a word for it, from the other end."""
    converse = RELATIONS[edge.relation].converse
    symmetric = RELATIONS[edge.relation].symmetric
    if converse is None or (wanted is None and not symmetric):
        return [edge]
    turned = edge._replace(
        subject_id=edge.object_id,
        subject=edge.object,
        relation=converse if wanted is None or not _stands_for(edge.relation, wanted) else wanted,
        object_id=edge.subject_id,
        object=edge.subject,
    )
    return [edge, turned]


def _means(stored: str, wanted: str) -> bool:
    return stored == wanted or any({stored, wanted} <= names for names in ALIKE)


def _stands_for(stored: str, wanted: str) -> bool:
    """Whether the wanted relation's converse is the stored one (contains asks for inside)."""
    return RELATIONS[wanted].converse == stored
