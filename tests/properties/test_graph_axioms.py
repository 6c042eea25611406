"""What must hold of every scene graph, however odd."""

from __future__ import annotations

import itertools

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialtrust.graph import SceneGraph
from spatialtrust.graph.formats import KINDS, from_networkx, parse, render
from spatialtrust.graph.reduction import PER_OBJECT
from spatialtrust.graph.repair import contradictions, least_feedback, orders_of
from tests.helpers.graphs import Claim, graph

NAMES = (
    "left of", "right of", "above", "under", "inside", "contains", "touching", "near", "on", "in",
    "next to", "far from", "in front of",
)  # fmt: skip
nodes = st.integers(0, 4)
claims = st.lists(
    st.tuples(nodes, st.sampled_from(NAMES), nodes, st.floats(0, 1, width=32)).map(
        lambda c: (f"o{c[0]}", c[1], f"o{c[2]}", c[3])
    ),
    max_size=14,
)
# XML knows no control characters and reads a carriage return as a new line.
words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)
graphs = st.builds(
    lambda rows, phrases, threshold: graph(rows, phrases, threshold=threshold),
    claims,
    st.lists(words, min_size=5, max_size=5),
    st.sampled_from([0.5, 0.8]),
)
arcs = st.dictionaries(
    st.tuples(st.integers(0, 4), st.integers(0, 4)), st.integers(1, 9).map(float), max_size=12
)


@given(graphs, st.sampled_from(KINDS), st.booleans())
def test_every_format_loads_back_equal(found: SceneGraph, kind: str, reduced: bool) -> None:
    found = found.reduce() if reduced else found
    assert parse(render(found, kind), kind) == found


@given(graphs)
def test_networkx_and_back_is_the_same_graph(found: SceneGraph) -> None:
    assert from_networkx(found.to_networkx()) == found


@given(claims)
def test_a_repaired_graph_has_no_cycle_on_any_axis(rows: list[Claim]) -> None:
    found = graph(rows, ["thing"] * 5, threshold=0.5).repair()
    for axis in ("x", "y", "z", "containment", "holding"):
        order = nx.DiGraph()
        for edge in found.query():
            for name, sign in orders_of(edge.relation):
                if name == axis:
                    ends = (edge.subject_id, edge.object_id)
                    order.add_edge(*(ends if sign < 0 else reversed(ends)))
        assert nx.is_directed_acyclic_graph(order)


@given(claims)
def test_a_repaired_graph_has_no_contradiction(rows: list[Claim]) -> None:
    found = graph(rows, ["thing"] * 5, threshold=0.5).repair().edges
    ends = (found[name].to_pylist() for name in ("subject_id", "relation", "object_id"))
    assert contradictions(*ends) == 0


@given(claims, st.booleans(), st.sampled_from(NAMES))
def test_a_reduced_graph_answers_as_the_whole_one(
    rows: list[Claim], repaired: bool, relation: str
) -> None:
    whole = graph(rows, ["thing"] * 5, threshold=0.5)
    whole = whole.repair() if repaired else whole
    reduced = whole.reduce()
    assert reduced.query() == whole.query()
    for one, other in itertools.product(range(5), repeat=2):
        asked = (f"o{one}", relation, f"o{other}")
        assert bool(reduced.path(*asked)) == bool(whole.path(*asked)), asked


ORDERED = ("left of", "right of", "above", "in", "contains", "in front of", "behind")
dense = st.lists(
    st.tuples(nodes, st.sampled_from(ORDERED), nodes, st.floats(0.5, 1, width=32)).map(
        lambda c: (f"o{c[0]}", c[1], f"o{c[2]}", c[3])
    ),
    max_size=30,
)


@given(dense)
def test_edges_that_are_shown_reach_what_all_did_where_none_is_far(rows: list[Claim]) -> None:
    whole = graph(rows, ["thing"] * 5, threshold=0.5).repair()
    reduced = whole.reduce()
    for relation in ("left of", "above", "in", "in front of"):
        reached = [_reached(found, relation) for found in (whole, reduced)]
        assert reached[1] <= reached[0]
        if not reduced.summary()["far"]:
            assert reached[1] == reached[0]


@given(dense)
def test_what_is_left_out_is_counted_and_comes_back(rows: list[Claim]) -> None:
    whole = graph(rows, ["thing"] * 5, threshold=0.5).repair()
    reduced = whole.reduce()
    counts = reduced.summary()
    assert counts["edges"] + counts["implied"] + counts["far"] == whole.summary()["edges"]
    assert reduced.all_edges() == whole
    assert reduced.reduce() == reduced
    assert reduced.prune(0.9).prune(0.5) == whole.prune(0.5).reduce()
    directions = [r for r in reduced.edges["relation"].to_pylist() if r not in ("in", "contains")]
    assert not directions or counts["edges"] <= PER_OBJECT * 5


def _reached(found: SceneGraph, relation: str) -> set[tuple[str, str]]:
    """Ordered pairs that the edges shown put in this order."""
    name = orders_of(relation)[0][0]
    order = nx.DiGraph()
    for edge in found.edges.to_pylist():
        ends = (edge["subject_id"], edge["object_id"])
        order.add_edges_from(
            ends if told < 0 else ends[::-1]
            for axis, told in orders_of(edge["relation"])
            if axis == name
        )
    return set(nx.transitive_closure(order).edges)


@given(claims)
def test_repair_changes_nothing_the_second_time(rows: list[Claim]) -> None:
    once = graph(rows, ["thing"] * 5, threshold=0.5).repair()
    assert once.repair() == once


@given(claims, st.floats(0.5, 1), st.floats(0.5, 1))
def test_a_stricter_threshold_keeps_a_subset(rows: list[Claim], one: float, two: float) -> None:
    found = graph(rows, ["thing"] * 5)
    loose, strict = found.prune(min(one, two)), found.prune(max(one, two))
    assert set(strict.edges["claim_id"].to_pylist()) <= set(loose.edges["claim_id"].to_pylist())


@given(arcs)
def test_no_set_of_arcs_of_less_weight_would_do(weights: dict[tuple[int, int], float]) -> None:
    dropped = least_feedback(weights)
    assert _acyclic(set(weights) - dropped)
    order = min(
        sum(weight for (start, end), weight in weights.items() if order[start] >= order[end])
        for order in itertools.permutations(range(5))
    )
    assert sum(weights[arc] for arc in dropped) == pytest.approx(order)


def _acyclic(kept: set[tuple[int, int]]) -> bool:
    return nx.is_directed_acyclic_graph(nx.DiGraph(kept))
