"""Every candidate says why it is an edge or not, with numbers that can be checked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from spatialtrust.decision.rule import DecisionRule
from spatialtrust.errors import InputError
from spatialtrust.graph import SceneGraph
from spatialtrust.graph.candidates import codes, with_columns
from spatialtrust.graph.grounds import Frame, ground
from spatialtrust.graph.naming import display_names
from spatialtrust.graph.why import EVIDENCE, KINDS, explain, shown
from spatialtrust.reasons import CODES
from spatialtrust.relations import NAMES
from tests.helpers.graphs import detections, graph, verdicts

CLAIMS = [("o0", "left of", "o1", 0.95), ("o1", "left of", "o2", 0.85), ("o0", "above", "o1", 0.6)]


def test_kept_and_cut_candidates_say_so_with_numbers() -> None:
    kept, _, cut = explain(graph(CLAIMS))
    assert (kept.kind, cut.kind) == ("kept", "cut")
    assert kept.sentence == (
        "kept, P(true) 0.95 (0.8 asked for): mug o0's centre is 3 % of the image left of "
        "the kettle's"
    )
    assert "0.60, 0.2 short of 0.8: centres 0.0 % of the image apart" in cut.sentence
    assert cut.settled_by == "view"
    assert cut.sentence.endswith("cheapest to settle it: another viewpoint")
    assert (kept.settled_by, kept.brief) == (None, "")


def test_a_corrected_edge_says_what_the_vlm_said() -> None:
    (found,) = explain(graph(CLAIMS[:1], answers=[0]))
    assert found.kind == "corrected"
    assert "the VLM said no, and P(true) is 0.95" in found.sentence


def test_contradictions_name_their_rival_and_implied_edges_their_chain() -> None:
    found = graph([*CLAIMS[:2], ("o1", "right of", "o2", 0.82), ("o0", "left of", "o2", 0.9)])
    told = [why.sentence for why in explain(found.repair().reduce())]
    assert 'contradicts "kettle left of mug o2" (0.85), which is surer' in told[2]
    assert "implied by mug o0 left of kettle, kettle left of mug o2" in told[3]


def test_an_edge_of_a_query_tells_why_and_prints_short() -> None:
    found = graph(CLAIMS)
    (edge,) = found.query("o0", "left of", "o1")
    assert edge.why == found.why(edge.claim_id) != ""
    assert repr(edge) == "Edge(o0 left of o1, 0.95, accept)"
    assert edge == found.query("o0", "left of", "o1")[0]
    with pytest.raises(InputError, match="is no candidate"):
        found.why("nothing")
    assert len(found.why().splitlines()) == 3


@pytest.mark.parametrize("code", CODES)
def test_every_reason_gives_a_sentence(code: str) -> None:
    found = graph([("o0", "left of", "o1", 0.6)])
    lists = codes(pa.array([[code]]))
    for p_true in (0.6, np.nan):
        rows = with_columns(found.candidates, reasons=lists, p_true=np.float32([p_true]))
        (why,) = explain(replace(found, candidates=rows))
        assert why.kind == "cut"
        assert why.sentence.startswith("cut")
        assert why.brief
        assert why.settled_by in (None, *EVIDENCE)


@pytest.mark.parametrize("relation", NAMES)
def test_every_relation_has_grounds(relation: str) -> None:
    boxes = np.array([10.0, 10, 30, 30]), np.array([5.0, 5, 80, 60])
    for frame in (Frame(100, 100), Frame(None, None)):
        for pair in (boxes, boxes[::-1], (boxes[0], boxes[0])):
            assert ground(relation, pair, ("mug", "pan"), frame).words


def test_a_candidate_without_boxes_is_explained() -> None:
    rows = verdicts([("o0", "left of", "o1", 0.9)])
    found = SceneGraph.build("a.jpg", (None, None), detections([]), rows, DecisionRule.plain(0.8))
    (why,) = explain(found)
    assert why.kind in KINDS
    assert "kept" in why.sentence


def test_a_probability_below_the_threshold_never_looks_like_it() -> None:
    for p in (0.7999, 0.79999, 0.7951, 0.8, 0.8004):
        text = shown(p, 0.8)
        assert (float(text) >= 0.8) == (np.float32(p) >= np.float32(0.8))


def test_names_are_the_same_in_table_graph_and_picture_and_in_numeric_order() -> None:
    names = [f"cup#{n}" for n in (10, 2, 1)]
    things = detections(["cup"] * 3).with_columns({"object_id": names})
    found = SceneGraph.build(
        "a.jpg", (640, 480), things, verdicts([("cup#10", "left of", "cup#2", 0.9)]),
        DecisionRule.plain(0.8),
    )  # fmt: skip
    assert list(display_names(found)) == ["cup#1", "cup#2", "cup#10"]
    assert found.table()["subject"].to_pylist() == ["cup#10"]
    assert {node["name"] for node in found.to_dict()["nodes"]} == set(names)


def test_graphs_print_short_and_export(tmp_path) -> None:
    found = graph(CLAIMS)
    assert repr(found).startswith("SceneGraph of a.jpg: 3 objects, 2 edges, of 3 candidates")
    assert len(repr(found)) < 200
    assert "<table>" in found._repr_html_()
    found.to_csv(tmp_path / "g.csv")
    found.to_parquet(tmp_path / "g.parquet")
    assert "too close to call" in (tmp_path / "g.csv").read_text()
    pytest.importorskip("pandas")
    assert found.to_pandas(explain=True)["kind"].tolist() == ["kept", "kept", "cut"]
    pytest.importorskip("matplotlib")
    assert found.plot().images
