"""Which edges of a graph are drawn: of several kinds, and of each the surest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import dist
from typing import TYPE_CHECKING, Any, Final

import pyarrow.compute as pc

from spatialtrust.graph.ranking import rank_of
from spatialtrust.relations import RELATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spatialtrust.arrays import Float64
    from spatialtrust.graph import SceneGraph

MAX_ARROWS: Final = 10
"""Edges on one picture; the rest is counted."""

MAX_CUT: Final = 3
"""And so many that were cut, the nearest to being kept."""

MAX_PER_OBJECT: Final = 4
"""Arrows that begin or end at one object."""

STYLES: Final = ("kept", "corrected", "cut")


@dataclass(frozen=True, slots=True)
class Arrow:
    """One drawn arrow: all relations of one style from one object to another.

    One that was cut has a single relation, the nearest to being kept: of what is not believed there
    is much, and little to learn. ``p_true`` is each relation's own; ``claim_id`` is the first's.
    """

    subject_id: str
    object_id: str
    relations: tuple[str, ...]
    p_true: tuple[float, ...]
    style: str
    claim_id: str = ""


def choose_arrows(graph: SceneGraph, boxes: Mapping[str | None, Float64]) -> list[Arrow]:
    """The arrows to draw: relations of one style between the same two objects share one.

    Relations take turns, so that the picture shows every kind that the graph has: first the best
    of each, support and contact before directions (:func:`spatialtrust.graph.ranking.rank_of`),
    then the second best, and so on. The best is the surest, and of equally sure ones (to two
    digits) the shortest; at most ``MAX_PER_OBJECT`` are drawn at an object. What a reduced graph
    leaves out is not drawn, nor what has no probability.
    """
    told = graph.candidates.filter(pc.is_finite(graph.candidates["p_true"]))
    rows = sorted(told.to_pylist(), key=lambda row: -row["p_true"])
    arrows = _together(rows, boxes)
    at: Counter[str] = Counter()
    left = {"cut": MAX_CUT, "edge": MAX_ARROWS}
    chosen = []
    for arrow in _in_turn(arrows, boxes):
        kind = "cut" if arrow.style == "cut" else "edge"
        ends = (arrow.subject_id, arrow.object_id)
        if left[kind] and max(at[end] for end in ends) < MAX_PER_OBJECT:
            at.update(ends)
            left[kind] -= 1
            chosen.append(arrow)
    return chosen


def _together(
    rows: Iterable[Mapping[str, Any]], boxes: Mapping[str | None, Float64]
) -> list[Arrow]:
    """Candidates, the surest first, as arrows."""
    together: dict[tuple[str, str, str], dict[str, float]] = {}
    claim_of: dict[tuple[str, str, str], str] = {}
    for row in rows:
        subject, other, style = row["subject_id"], row["object_id"], _style(row)
        if subject not in boxes or other not in boxes or subject == other or row["left_out"]:
            continue
        key, relation = (subject, other, style), row["relation"]
        converse = RELATIONS[relation].converse
        if (other, subject, style) in together and converse in RELATIONS:
            key, relation = (other, subject, style), str(converse)
        said = together.setdefault(key, {})
        claim_of.setdefault(key, row["claim_id"])
        if not said or style != "cut":
            said.setdefault(relation, row["p_true"])
    return [
        Arrow(key[0], key[1], tuple(said), tuple(said.values()), key[2], claim_of[key])
        for key, found in together.items()
        for said in (dict(sorted(found.items(), key=_first_said)),)
    ]


def _in_turn(arrows: list[Arrow], boxes: Mapping[str | None, Float64]) -> list[Arrow]:
    """Edges before what was cut, and among each relations in turn."""
    centres = {name: ((box[:2] + box[2:]) / 2).tolist() for name, box in boxes.items()}

    def length(arrow: Arrow) -> float:
        return dist(centres[arrow.subject_id], centres[arrow.object_id])

    turn: dict[Arrow, int] = {}
    seen: Counter[tuple[bool, str]] = Counter()
    ordered = sorted(arrows, key=lambda arrow: (-round(max(arrow.p_true), 2), length(arrow)))
    for arrow in ordered:
        group = (arrow.style == "cut", arrow.relations[0])
        turn[arrow] = seen[group]
        seen[group] += 1

    def place(arrow: Arrow) -> tuple[bool, int, float]:
        cut = arrow.style == "cut"  # of these the nearest to being kept
        return cut, turn[arrow], -arrow.p_true[0] if cut else rank_of(arrow.relations[0])

    return sorted(ordered, key=place)


def _first_said(relation: tuple[str, float]) -> tuple[int, float]:
    return rank_of(relation[0]), -relation[1]


def _style(row: Mapping[str, Any]) -> str:
    if row["emitted"] != "yes":
        return "cut"
    return "corrected" if row["decision"] == "correct" else "kept"
