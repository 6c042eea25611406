"""Records for Foxglove, and scene graphs of other programs."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from spatialtrust.bags.boxes import boxes_of, stamp_of
from spatialtrust.bags.concept_graphs import read_concept_graphs, to_concept_graphs
from spatialtrust.bags.foxglove import LINE_LIST, LINE_LOOP, image_annotations, scene_update
from spatialtrust.bags.messages import detections_message, graph_message
from spatialtrust.bags.spark_dsg import HEADER, read_spark_dsg, to_spark_dsg
from spatialtrust.bags.writing import schema
from spatialtrust.errors import FileError

EVIL = "mug\n\x1b[31m<b>\u202e"


def _record() -> dict[str, Any]:
    def thing(name: str, x: float, **more: Any) -> dict[str, Any]:
        base = {"id": name, "phrase": name, "box": [x, 10.0, x + 30, 40.0], "score": 0.5}
        return {**base, "hidden": False, "position": [x / 100, 0.0, 1.0], **more}

    def edge(relation: str, **more: Any) -> dict[str, Any]:
        base = {"subject": "a", "relation": relation, "object": "b", "p_true": 0.9}
        base |= {"confidence": 0.9, "decision": "accept", "emitted": "yes", "edge": True}
        return {**base, "left_out": None, "reasons": [], "meaning": None, **more}

    unsure = {"emitted": None, "edge": False, "decision": "abstain", "p_true": 0.6}
    return {
        "stamp": {"sec": 5, "nsec": 7}, "frame": "f", "index": 0, "frame_id": "camera",
        "width": 200, "height": 100,
        "objects": [
            thing("a", 10.0), thing("b", 90.0, score=None),
            thing(EVIL, 150.0, hidden=True, position=None),
        ],
        "relations": [
            edge("left of"), edge("next to", **{**unsure, "object": EVIL}),
            edge("on", **{**unsure, "p_true": None}),
        ],
        "events": [], "ended": [], "rule": "", "dropped": {},
    }  # fmt: skip


def test_kept_and_cut_differ_without_colour() -> None:
    found = image_annotations(_record())
    jsonschema.validate(found, schema("foxglove.ImageAnnotations"))
    texts = [text["text"] for text in found["texts"]]
    assert "left of 0.90" in texts
    assert "not sure: next to 0.60" in texts
    lines = {
        next(m["value"] for m in line["metadata"] if m["key"] == "relation"): line
        for line in found["points"]
        if any(m["key"] == "relation" for m in line["metadata"])
    }
    assert len(lines["left of"]["points"]) == 2
    assert len(lines["next to"]["points"]) > 4
    assert "on" not in lines
    kinds = [line["type"] for line in found["points"][:3]]
    assert kinds == [LINE_LOOP, LINE_LOOP, LINE_LIST]


def test_only_things_whose_position_is_known_are_in_the_scene() -> None:
    found = scene_update(_record())
    jsonschema.validate(found, schema("foxglove.SceneUpdate"))
    assert [entity["id"] for entity in found["entities"]] == ["a", "b", "a left of b"]


def test_messages_take_hostile_names() -> None:
    assert EVIL.encode() in graph_message(_record())
    assert b"b" in detections_message(_record())


def test_spark_dsg_keeps_directions_and_says_what_is_not_known(tmp_path: Path) -> None:
    found = to_spark_dsg(_record())
    assert found[HEADER]["version"]["major"] == 1
    assert found["edges"][0]["info"]["metadata"]["relations"][0]["subject"] == "a"
    path = tmp_path / "dsg.json"
    path.write_text(json.dumps(found))
    read = read_spark_dsg(path)
    assert [tuple(t) for t in read.triplets] == [("a", "left of", "b", 0.9)]
    assert read.things[2].position is None


def test_another_programs_spark_dsg_is_read(tmp_path: Path) -> None:
    nodes = [
        {"id": 1, "layer": 2, "attributes": {"type": "ObjectNodeAttributes", "name": "cup",
                                            "position": [0, 1, 2]}},
        {"id": 2, "layer": 2, "attributes": {"type": "ObjectNodeAttributes", "name": "table",
                                            "position": [0, 1]}},
        {"id": 3}, "no node",
    ]  # fmt: skip
    edges = [
        {"source": 1, "target": 2, "info": {"metadata": {"relation": "on"}}},
        {"source": 1, "target": 2, "info": {"type": "EdgeAttributes"}},
        {"source": 9, "target": 2, "info": {"metadata": {"relation": "on"}}}, 7,
    ]  # fmt: skip
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"nodes": nodes, "edges": edges}))
    read = read_spark_dsg(path)
    assert [(t.relation, t.p_true) for t in read.triplets] == [("on", None)]
    assert read.not_read == 5
    claims = read.claims()
    assert claims.data.select(["subject", "relation", "object"]).to_pylist() == [
        {"subject": "cup", "relation": "on", "object": "table"}
    ]


def test_concept_graphs_own_answers_are_read(tmp_path: Path) -> None:
    def pair(said: Any) -> dict[str, Any]:
        return {
            "object1": {"id": 0, "object_tag": "cup", "bbox_center": [0, 0, 1]},
            "object2": {"id": 1, "object_tag": "table", "bbox_center": None},
            "object_relation": said,
        }

    listed = [pair("b on a"), pair("none of these"), pair("FAIL"), pair(3), {"object1": 1}, None]
    path = tmp_path / "relations.json"
    path.write_text(json.dumps(listed))
    read = read_concept_graphs(path)
    assert [tuple(t) for t in read.triplets] == [("table#1", "on", "cup#0", None)]
    assert (len(read.things), read.not_read) == (2, 4)
    assert [row["object_relation"] for row in to_concept_graphs(_record())] == ["a left of b"]


@pytest.mark.parametrize("reader", [read_spark_dsg, read_concept_graphs])
@pytest.mark.parametrize("text", ["", "{", "3", '"a"', "[" * 100_000, '{"nodes": 3}'])
def test_files_of_no_known_form_are_refused(tmp_path: Path, reader: Any, text: str) -> None:
    path = tmp_path / "odd.json"
    path.write_text(text)
    with pytest.raises(FileError, match=r"odd\.json"):
        reader(path)


def test_either_version_of_vision_msgs_is_read() -> None:
    centre = SimpleNamespace(x=50.0, y=40.0, theta=0.0)
    newer = SimpleNamespace(position=SimpleNamespace(x=50.0, y=40.0), theta=0.0)
    old = SimpleNamespace(
        results=[SimpleNamespace(id=0, score=0.3), SimpleNamespace(id=1, score=0.8)],
        bbox=SimpleNamespace(center=centre, size_x=20.0, size_y=10.0),
    )
    said = SimpleNamespace(class_id="mug", score=float("nan"))
    new = SimpleNamespace(
        results=[SimpleNamespace(hypothesis=said)],
        bbox=SimpleNamespace(center=newer, size_x=20.0, size_y=10.0),
    )
    empty = SimpleNamespace(results=[], bbox=old.bbox)
    rows = boxes_of(SimpleNamespace(detections=[old, new, empty]), {"1": "kettle"})
    assert [(row["phrase"], row["score"]) for row in rows] == [
        ("kettle", 0.8), ("mug", None), ("object", None),
    ]  # fmt: skip
    assert [rows[1][side] for side in ("x1", "y1", "x2", "y2")] == [40.0, 35.0, 60.0, 45.0]


def test_a_stamp_that_was_never_set_is_none() -> None:
    stamp = SimpleNamespace(sec=0, nanosec=0)
    assert stamp_of(SimpleNamespace(header=SimpleNamespace(stamp=stamp))) is None
    assert stamp_of(SimpleNamespace()) is None
