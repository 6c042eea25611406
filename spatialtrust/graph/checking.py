"""What the published schema asks of a graph, its claims checked column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_NEEDED: Final = ("claim_id", "decision", "said_by", "enumerated", "reasons")
_WORDS: Final = {
    "asserted": ("yes", "no"),
    "emitted": ("yes", "no"),
    "decision": ("accept", "correct", "abstain"),
    "said_by": ("vlm", "verifier"),
    "left_out": ("implied", "far"),
    "meaning": ("in space", "in the picture"),
}
_LARGEST: Final = float(np.finfo(np.float32).max)
_SHARES: Final = ("p_true", "p_boxes", "confidence")


def check_claims(claims: pa.Table, edges: int, nodes: Collection[str], source: str) -> None:
    """Refuse claims that the schema of scene graphs refuses.

    Parameters
    ----------
    claims: columns of ``candidates.CANDIDATES``; unknown numbers are null.
    edges: how many of them are edges; these come first.
    nodes: ids of the graph's objects.
    source: for messages.

    Raises
    ------
    InputError: naming the field, what it holds and what is valid.
    """

    def refuse(name: str, wrong: pa.ChunkedArray, valid: str, first: int = 0) -> None:
        place = pc.index(wrong, True).as_py()
        if place >= 0:
            held = claims[name][first + place].as_py()
            raise InputError(
                f"{source}: claim {first + place + 1}, {name}: is {held!r:.60}; {valid}"
            )

    for name in _NEEDED:
        refuse(name, pc.is_null(claims[name]), "every claim needs one")
    for name, words in _WORDS.items():
        known = pc.is_in(claims[name], value_set=pa.array([*words, None], pa.string()))
        refuse(name, pc.invert(known), f"valid: {', '.join(words)}")
    refuse("label", pc.invert(pc.is_in(claims["label"], pa.array([0, 1, None], pa.int8()))),
           "valid: 0, 1")  # fmt: skip
    for name in _SHARES:
        inside = pc.and_(pc.greater_equal(claims[name], 0), pc.less_equal(claims[name], 1))
        refuse(name, pc.invert(inside), "valid: 0 to 1, or null")
    if pc.list_flatten(claims["reasons"]).null_count:
        raise InputError(f"{source}: reasons: a reason is null; give texts")
    drawn, others = claims.slice(0, edges), claims.slice(edges)
    for name in ("subject_id", "object_id"):
        known = pc.is_in(drawn[name], value_set=pa.array(sorted(nodes), pa.string()))
        refuse(name, pc.invert(known), "an edge joins two nodes of the graph")
    refuse("relation", pc.is_null(drawn["relation"]), "an edge has a relation")
    shown = pc.and_(pc.equal(drawn["emitted"], "yes"), pc.is_null(drawn["left_out"]))
    refuse("emitted", pc.invert(pc.fill_null(shown, False)), "an edge is emitted, and not left out")
    hidden = pc.and_(pc.equal(others["emitted"], "yes"), pc.is_null(others["left_out"]))
    refuse(
        "left_out", pc.fill_null(hidden, False), "what was emitted and is no edge says why", edges
    )


def check_facts(facts: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]], source: str) -> None:
    """Refuse a graph's size and objects where the schema does.

    Raises
    ------
    InputError: naming the field, what it holds and what is valid.
    """
    for name in ("width", "height"):
        if facts[name] is not None and not (type(facts[name]) is int and facts[name] > 0):
            raise InputError(f"{source}: {name}: is {facts[name]!r:.60}; valid: pixels, or null")
    for name in ("repaired", "reduced"):
        if not isinstance(facts.get(name, False), bool):
            raise InputError(f"{source}: {name}: is {facts[name]!r:.60}; valid: true, false")
    if not isinstance(facts["image_id"], str):
        raise InputError(f"{source}: image_id: is {facts['image_id']!r:.60}; give a text")
    for place, node in enumerate(nodes, 1):
        if not all(_is_number(node[side]) for side in ("x1", "y1", "x2", "y2")):
            raise InputError(f"{source}: node {place}: has no box; give x1, y1, x2, y2 in pixels")
        if node["score"] is not None and not _is_number(node["score"]):
            raise InputError(f"{source}: node {place}: its score is {node['score']!r:.60}")


def _is_number(value: Any) -> bool:
    """One that single precision holds."""
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return real and abs(value) <= _LARGEST
