"""Scene graphs of GQA and Visual Genome, as boxes and as claims to be judged."""

from __future__ import annotations

import json
from typing import Any

import pytest

from spatialtrust.errors import FileError
from spatialtrust.io.claim_files import read_claims
from spatialtrust.io.detections import read_detections

MUG = {"name": "mug", "x": 40, "y": 200, "w": 100, "h": 120}
KETTLE = {"name": "kettle", "x": 400, "y": 180, "w": 160, "h": 220}
SAID = [("mug", "left of", "kettle"), ("kettle", "right of", "mug")]
GQA: Any = {
    "1": {
        "width": 640,
        "height": 480,
        "objects": {
            "11": {**MUG, "relations": [{"name": "to the left of", "object": "12"}]},
            "12": {**KETTLE, "relations": [{"name": "to the right of", "object": "11"}]},
        },
    }
}
GENOME: Any = [
    {
        "image_id": 1,
        "width": 640,
        "height": 480,
        "objects": [
            {**MUG, "object_id": 11, "names": ["mug"], "name": None},
            {**KETTLE, "object_id": 12},
        ],
        "relationships": [
            {"predicate": "to the left of", "subject_id": 11, "object_id": 12},
            {"predicate": "to the right of", "subject_id": 12, "object_id": 11},
        ],
    }
]
ENDS = {"subject": {**MUG, "object_id": 11}, "object": {**KETTLE, "object_id": 12}}
RELATIONSHIPS: Any = [
    {
        "image_id": 1,
        "width": 640,
        "height": 480,
        "relationships": [
            {"predicate": "to the left of", **ENDS},
            {"predicate": "to the right of", "subject": ENDS["object"], "object": ENDS["subject"]},
        ],
    }
]


def write(path, data: object) -> Any:
    path.write_text(json.dumps(data))
    return path


@pytest.mark.parametrize("data", [GQA, GENOME, RELATIONSHIPS])
def test_objects_are_boxes_and_relations_are_claims(tmp_path, data) -> None:
    file = write(tmp_path / "graph.json", data)
    recorded = read_detections(file)
    assert recorded.names == ("1",)
    assert dict(recorded.sizes) == {"1": (640, 480)}
    assert recorded.boxes["phrase"].to_pylist() == ["mug", "kettle"]
    assert set(recorded.boxes["format"].to_pylist()) == {"xywh"}
    found = read_claims(file)
    claims = found.claims.data.to_pylist()
    assert [(c["subject"], c["relation"], c["object"]) for c in claims] == SAID
    assert found.grounding.subject_box[0].tolist() == [40, 200, 140, 320]
    assert found.grounding.image_size[0].tolist() == [640, 480]
    assert not found.faults
    assert not found.convention.assumed


def test_a_bad_relation_or_image_costs_itself(tmp_path) -> None:
    data = json.loads(json.dumps(GQA))
    objects = data["1"]["objects"]
    objects["11"]["relations"] += [{"name": "wearing", "object": "12"}, {"object": "99"}]
    data["2"] = {"objects": {"13": None}}
    file = write(tmp_path / "graph.json", data)
    found = read_claims(file)
    assert [c["relation"] for c in found.claims.data.to_pylist()] == [
        "left of", None, None, "right of", None,
    ]  # fmt: skip
    assert any('"wearing" is not known' in str(fault) for fault in found.faults)
    assert any("image 2" in str(fault) for fault in found.faults)
    assert read_detections(file).faults[0].reason == "image that cannot be read"


def test_other_json_is_refused_with_the_forms_that_are_read(tmp_path) -> None:
    with pytest.raises(FileError, match=r"holds no scene graphs; .*GQA.*Visual Genome"):
        read_claims(write(tmp_path / "x.json", [{"caption": "a"}]))
