"""What must hold of every scene graph, however odd."""

from __future__ import annotations

import itertools

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialtrust.graph import SceneGraph
from spatialtrust.graph.formats import KINDS, from_networkx, parse, render
from spatialtrust.graph.repair import least_feedback, order_of
from tests.helpers.graphs import Claim, graph

NAMES = ("left of", "right of", "above", "under", "inside", "contains", "touching", "near")
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


@given(graphs, st.sampled_from(KINDS))
def test_every_format_loads_back_equal(found: SceneGraph, kind: str) -> None:
    assert parse(render(found, kind), kind) == found


@given(graphs)
def test_networkx_and_back_is_the_same_graph(found: SceneGraph) -> None:
    assert from_networkx(found.to_networkx()) == found


@given(claims)
def test_a_repaired_graph_has_no_cycle_on_any_axis(rows: list[Claim]) -> None:
    found = graph(rows, ["thing"] * 5, threshold=0.5).repair()
    for axis in ("x", "y", "containment"):
        order = nx.DiGraph()
        for edge in found.query():
            if order_of(edge.relation)[0] == axis:
                ends = (edge.subject_id, edge.object_id)
                order.add_edge(*(ends if order_of(edge.relation)[1] < 0 else reversed(ends)))
        assert nx.is_directed_acyclic_graph(order)


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
