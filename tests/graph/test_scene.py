from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import jsonschema
import networkx as nx
import numpy as np
import pytest

from spatialtrust.decision.commit_gate import Gate, RelationGate
from spatialtrust.decision.rule import DecisionRule
from spatialtrust.errors import (
    FileError,
    GuaranteeError,
    InputError,
    SchemaVersionError,
    UnknownRelationError,
)
from spatialtrust.fusion.model import TrustModel
from spatialtrust.graph import SceneGraph
from spatialtrust.graph.files import load_graph, save_graph
from spatialtrust.graph.formats import from_dict, from_networkx, json_schema, parse, render
from spatialtrust.graph.repair import least_feedback
from spatialtrust.tables import Detections, Verdicts
from tests.helpers.graphs import detections, graph, verdicts

KITCHEN = [
    ("o0", "left of", "o1", 0.95),
    ("o1", "left of", "o2", 0.85),
    ("o0", "above", "o1", 0.4),
    ("o0", "touching", "o2", 0.1),
]


def test_two_mugs_are_two_nodes() -> None:
    network = graph(KITCHEN).to_networkx()
    assert [network.nodes[name]["phrase"] for name in ("o0", "o2")] == ["mug", "mug"]


def test_only_claims_emitted_yes_are_edges() -> None:
    network = graph(KITCHEN).to_networkx()
    assert sorted(network.edges(keys=True)) == [("o0", "o1", "left of"), ("o1", "o2", "left of")]
    assert network.edges["o0", "o1", "left of"]["confidence"] == 0.95


def test_attributes_are_plain_python_scalars() -> None:
    network = graph(KITCHEN).to_networkx()
    values = [v for _, node in network.nodes(data=True) for v in node.values()]
    values += [v for *_, edge in network.edges(data=True) for v in edge.values()]
    assert {type(value) for value in values} <= {str, float, int, bool, list, type(None)}


def test_pruning_stricter_then_looser_gives_the_first_graph_back() -> None:
    first = graph(KITCHEN)
    assert len(first.prune(0.9).edges) == 1
    assert first.prune(0.9).prune(0.8) == first


def test_a_correction_to_yes_is_an_edge_of_the_verifier() -> None:
    found = graph([("o0", "left of", "o1", 0.9), ("o1", "left of", "o2", 0.9)], answers=[0, 1])
    said = {edge.subject_id: (edge.said_by, edge.decision) for edge in found.query()}
    assert said == {"o0": ("verifier", "correct"), "o1": ("vlm", "accept")}


def test_an_emitted_no_is_never_an_edge() -> None:
    assert len(graph([("o0", "left of", "o1", 0.01)]).edges) == 0


def test_of_claims_that_say_the_same_the_best_supported_counts() -> None:
    found = graph([("o0", "left of", "o1", 0.82), ("o0", "left of", "o1", 0.9)])
    assert [edge.confidence for edge in found.query()] == [pytest.approx(0.9)]


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        (("kettle", "right of", "mug"), ("o0", "left of", "o1", 0.9)),
        (("kettle", "to the right of", "o0"), ("o0", "left of", "o1", 0.9)),
        (("kettle", "contains", "mug"), ("o0", "in", "o1", 0.9)),
        (("kettle", "contains", "mug"), ("o0", "inside", "o1", 0.9)),
        (("kettle", "beneath", "mug"), ("o0", "above", "o1", 0.9)),
        (("kettle", "touching", "mug"), ("o0", "touching", "o1", 0.9)),
    ],
)
def test_a_query_finds_an_edge_from_both_ends(
    asked: tuple[str, str, str], stored: tuple[str, str, str, float]
) -> None:
    (edge,) = graph([stored]).query(*asked)
    assert (edge.subject, edge.object) == (asked[0], "mug")
    assert graph([stored]).query(asked[2], asked[1], asked[0]) == (
        [edge._replace(subject_id="o0", subject="mug", object_id="o1", object="kettle")]
        if stored[1] == "touching"
        else []
    )


def test_a_query_for_an_unknown_relation_names_the_closest() -> None:
    with pytest.raises(UnknownRelationError, match="left of"):
        graph(KITCHEN).query(relation="leftof")


def test_summary_counts_against_all_candidates() -> None:
    found = graph(KITCHEN, labels=[1, 0, 1, None]).summary()
    assert found == {
        "image_id": "a.jpg",
        "objects": 3,
        "candidates": 4,
        "edges": 2,
        "implied": 0,
        "far": 0,
        "share_kept": 0.5,
        "labelled": 3,
        "precision": 0.5,
        "recall": 0.5,
    }


def test_repair_drops_the_least_supported_and_says_why() -> None:
    found = graph(
        [
            ("o0", "left of", "o1", 0.9),
            ("o1", "left of", "o2", 0.95),
            ("o0", "right of", "o2", 0.85),
        ]
    ).repair()
    assert [edge.relation for edge in found.query()] == ["left of", "left of"]
    dropped = found.candidates.to_pylist()[2]
    assert (dropped["decision"], dropped["emitted"]) == ("abstain", None)
    assert "contradicts" in dropped["reasons"]
    assert len(found.prune(0.5).edges) == 2, "pruning must not bring it back"


@pytest.mark.parametrize(
    ("weak", "strong"),
    [
        (("o1", "on", "o0", 0.85), ("o0", "on", "o1", 0.9)),
        (("o0", "far from", "o1", 0.85), ("o1", "near", "o0", 0.9)),
        (("o0", "above", "o1", 0.85), ("o0", "in", "o1", 0.9)),
        (("o1", "above", "o0", 0.85), ("o1", "contains", "o0", 0.9)),
        (("o0", "under", "o1", 0.85), ("o0", "on", "o1", 0.9)),
        (("o1", "above", "o0", 0.85), ("o0", "on", "o1", 0.9)),
        (("o0", "right of", "o1", 0.85), ("o0", "left of", "o1", 0.9)),
        (("o0", "next to", "o1", 0.85), ("o0", "on", "o1", 0.9)),
        (("o0", "far from", "o1", 0.85), ("o0", "touching", "o1", 0.9)),
        (("o0", "off", "o1", 0.85), ("o0", "on", "o1", 0.9)),
        (("o0", "facing away from", "o1", 0.85), ("o0", "facing", "o1", 0.9)),
    ],
)
def test_of_two_edges_that_exclude_each_other_the_surer_stays(
    weak: tuple[str, str, str, float], strong: tuple[str, str, str, float]
) -> None:
    assert graph([weak, strong]).repair().kept.tolist() == [False, True]
    assert graph([strong, weak]).repair().kept.tolist() == [True, False]


@pytest.mark.parametrize(
    "last", [("o2", "above", "o0", 0.85), ("o2", "on", "o0", 0.85), ("o2", "in", "o0", 0.85)]
)
def test_chains_of_support_and_containment_agree(last: tuple[str, str, str, float]) -> None:
    chain = [("o0", "on", "o1", 0.9), ("o1", "on", "o2", 0.9)]
    phrases = ("cup", "book", "table")
    assert graph([*chain, last], phrases).repair().kept.tolist() == [True, True, False]
    agreeing = ("o0", "above", "o2", 0.85)
    assert graph([*chain, agreeing], phrases).repair().kept.all()


def test_a_guarantee_is_refused_where_it_would_not_hold() -> None:
    model = TrustModel.load("vsr-boxes")
    with pytest.raises(GuaranteeError, match="pairs enumerated of a scene are not like them"):
        graph(KITCHEN).prune(accuracy=0.9, delta=0.1, model=model)
    with pytest.raises(GuaranteeError, match="repaired"):
        graph(KITCHEN).repair().prune(accuracy=0.9, delta=0.1, model=model)
    with pytest.raises(InputError, match="not both"):
        graph(KITCHEN).prune(0.9, accuracy=0.9)


def test_a_rule_without_a_threshold_keeps_nothing() -> None:
    model = SimpleNamespace(
        pair_rule=lambda **_: DecisionRule(rule="accept", threshold=None, alpha=0.1, delta=0.1, n=3,
                                      errors=1, bound=0.8, coverage=0.0, ceiling=1.0),
    )  # fmt: skip
    found = graph(KITCHEN).prune(accuracy=0.9, delta=0.1, model=model)  # type: ignore[arg-type]
    assert len(found.edges) == 0
    assert all("no_threshold" in row["reasons"] for row in found.candidates.to_pylist())


@pytest.mark.parametrize("kind", ["json", "graphml", "dot"])
@pytest.mark.filterwarnings("error")
def test_every_format_loads_back_equal(kind: str, tmp_path) -> None:
    found = graph(KITCHEN, ('say "cheese"', "a\\b\nc", "Töpfchen"), labels=[1, 0, None, 1]).repair()
    save_graph(found, tmp_path / f"graph.{kind}")
    assert load_graph(tmp_path / f"graph.{kind}") == found


@pytest.mark.parametrize("kind", ["json", "graphml", "dot"])
def test_an_empty_graph_loads_back_equal(kind: str) -> None:
    found = graph([], [])
    assert parse(render(found, kind), kind) == found


def test_networkx_loads_json_and_graphml_as_the_kept_edges_only() -> None:
    found = graph(KITCHEN)
    assert from_networkx(found.to_networkx()) == found
    ours = set(found.to_networkx().edges(keys=True))
    node_link = nx.node_link_graph(json.loads(render(found, "json")), edges="edges")
    assert set(node_link.edges(keys=True)) == ours
    assert len(nx.parse_graphml(render(found, "graphml"), force_multigraph=True).edges) == len(ours)


def test_graphml_is_what_networkx_writes_to_the_byte() -> None:
    names = ('say "cheese" & <ham>', "a\\b\nc\td", "Töpfchen", "mug", "")
    rows = [
        *KITCHEN,
        ("o3", "near", "o0", 0.9),
        ("o0", "near", "o3", 0.95),
        ("o3", "on", "o1", 0.8),
    ]
    for found in (
        graph(rows, names, labels=[1, 0, None, 1, 1, 0, None][: len(rows)]),
        graph([], []),
    ):
        flat = found.to_networkx()
        for values in (flat.graph, *(v for _, v in flat.nodes(data=True)),
                       *(v for *_, v in flat.edges(data=True))):  # fmt: skip
            kept = {
                name: json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict)
                else value for name, value in values.items() if value is not None
            }  # fmt: skip
            values.clear()
            values.update(kept)
        assert render(found, "graphml") == "\n".join(nx.generate_graphml(flat)) + "\n"


def test_json_has_a_line_for_every_node_edge_and_candidate() -> None:
    found = graph(KITCHEN)
    lines = render(found, "json").splitlines()
    assert sum(line.startswith("  {") for line in lines) == (
        len(found.objects) + found.candidates.num_rows
    )
    assert json.loads("\n".join(lines)) == json.loads(json.dumps(found.to_dict()))


def test_many_graphs_at_once_are_those_built_alone() -> None:
    images = {f"{name}.jpg": (640, 480) for name in ("b", "a", "none", "c")}
    objects, judged = [], []
    for number, name in enumerate(("a", "b", "c")):
        rows = KITCHEN[number:] if name != "c" else []
        of_image = {"image_id": f"{name}.jpg"}
        objects += [
            {**row, **of_image} for row in detections(["mug", "kettle", "mug"]).data.to_pylist()
        ]
        judged += [
            {**row, **of_image, "claim_id": f"{name}{row['claim_id']}"}
            for row in (verdicts(rows, threshold=0.8).data.to_pylist() if rows else [])
        ]
    whole = Detections.from_rows(objects), Verdicts.from_rows(judged)
    rule = DecisionRule.plain(0.8)
    together = SceneGraph.build_all(images, *whole, rule)
    assert [found.image_id for found in together] == list(images)
    assert [len(found.objects) for found in together] == [3, 3, 0, 3]
    for found in together:
        mine = [
            table.select(np.array([name == found.image_id for name in table.strings("image_id")]))
            for table in whole
        ]
        alone = SceneGraph.build(found.image_id, (640, 480), *mine, rule)
        assert found == alone
        assert found.repair().reduce() == alone.repair().reduce()
        assert found.prune(0.9) == alone.prune(0.9)


def test_the_published_schema_holds_for_what_is_written() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    for found in (graph(KITCHEN), graph([], []), graph(KITCHEN, labels=[1, 0, None, 1]).repair()):
        validator.validate(json.loads(render(found, "json")))
    broken = graph(KITCHEN).to_dict()
    broken["edges"][0]["confidence"] = 1.5
    assert list(validator.iter_errors(broken))


@pytest.mark.parametrize(
    ("where", "field", "value"),
    [
        ("edges", "confidence", 1.5), ("edges", "p_true", -0.1), ("edges", "decision", "maybe"),
        ("edges", "decision", None), ("edges", "emitted", "no"), ("edges", "target", "nobody"),
        ("edges", "claim_id", None), ("edges", "relation", None),
        ("edges", "label", 2), ("edges", "reasons", None),
        ("edges", "reasons", [None]), ("edges", "said_by", "me"), ("edges", "left_out", "far"),
        ("edges", "meaning", "in time"), ("edges", "enumerated", None),
        ("graph", "width", 0), ("graph", "repaired", None), ("graph", "image_id", None),
        ("graph", "height", 2.5), ("nodes", "x1", None), ("nodes", "id", None),
    ],
)  # fmt: skip
def test_what_the_published_schema_refuses_is_refused(where: str, field: str, value: Any) -> None:
    data = json.loads(render(graph(KITCHEN), "json"))
    holder = data["graph"] if where == "graph" else data[where][0]
    assert field in holder
    holder[field] = value
    if field not in ("target", "relation"):  # a schema cannot say that an edge ends at a node
        assert not jsonschema.Draft202012Validator(json_schema()).is_valid(data)
    with pytest.raises(InputError, match="a graph"):
        from_dict(data, "a graph")


def test_unreadable_graph_files_are_named(tmp_path) -> None:
    with pytest.raises(FileError, match=r"none\.json"):
        load_graph(tmp_path / "none.json")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(InputError, match="not a scene graph"):
        load_graph(tmp_path / "a.json")
    (tmp_path / "a.graphml").write_text("<no")
    with pytest.raises(InputError, match="not GraphML"):
        load_graph(tmp_path / "a.graphml")
    with pytest.raises(InputError, match="valid: json, graphml, dot"):
        parse("", "png")
    old = graph(KITCHEN).to_dict()
    old["graph"]["schema"] = 0
    (tmp_path / "old.json").write_text(json.dumps(old))
    with pytest.raises(SchemaVersionError, match=r"old\.json"):
        load_graph(tmp_path / "old.json")


def test_a_component_too_large_for_the_exact_way_is_still_made_acyclic() -> None:
    ring = {(node, (node + 1) % 40): 1.0 + node for node in range(40)}
    assert least_feedback(ring) == {(0, 1)}


def test_edges_below_even_odds_are_only_dropped_for_a_contradiction() -> None:
    found = graph([("o0", "left of", "o1", 0.45), ("o1", "left of", "o2", 0.4)], threshold=0.3)
    assert found.repair().kept.tolist() == [True, True]
    assert np.array_equal(found.repair().kept, found.kept)


def test_a_threshold_per_relation_keeps_no_edge_of_a_relation_with_too_few_labels() -> None:
    gate = Gate(
        precision=0.9,
        delta=0.1,
        calibrated_on="x",
        relations=(
            RelationGate(relation="left of", threshold=0.8, images=50, needed=30, n=40),
            RelationGate(relation="above", threshold=None, images=3, needed=30),
        ),
    )
    model = SimpleNamespace(pair_gate=lambda **_: gate)
    claims = [*KITCHEN, ("o1", "above", "o2", 0.99)]
    found = graph(claims).prune(precision=0.9, delta=0.1, model=model)  # type: ignore[arg-type]
    assert {edge.relation for edge in found.query()} == {"left of"}
    reasons = {tuple(row["reasons"]) for row in found.candidates.to_pylist()[2:]}
    assert reasons == {("no_threshold",)}
    assert parse(render(found, "graphml"), "graphml") == found
    assert parse(render(found, "json"), "json") == found
