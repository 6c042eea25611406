"""Boxes that a VLM states itself are read as detections, by the convention that is named."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spatialtrust.errors import FileError
from spatialtrust.io.detections import read_detections

WANTED = [0.1, 0.2, 0.5, 0.8]
REPLIES = {
    "gemini": '```json\n[{"box_2d": [200, 100, 800, 500], "label": "mug"}]\n```',
    "qwen2": "There is <|object_ref_start|>mug<|object_ref_end|><|box_start|>(100,200),(500,800)"
    "<|box_end|> here.",
    "qwen2.5": '```json\n[\n{"bbox_2d": [64, 96, 320, 384], "label": "mug"}\n]\n```',
    "qwen3": '[{"bbox_2d": [100, 200, 500, 800], "label": "mug"}]',
    "spatialthinker": '<observe>..</observe><scene>{"objects": [{"id": "mug.1", "bbox": [64, 96, '
    '320, 384]}], "relationships": []}</scene><answer>(A)</answer>',
}


def row(grounding, reply, **more):
    return {"image": "a.jpg", "width": 640, "height": 480, "grounding": grounding,
            "response": reply, **more}  # fmt: skip


def read(tmp_path, *rows):
    path = tmp_path / "replies.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return read_detections(path)


@pytest.mark.parametrize("grounding", REPLIES)
def test_each_family_is_read_by_its_own_convention(tmp_path, grounding):
    found = read(tmp_path, row(grounding, REPLIES[grounding]))
    assert found.boxes["phrase"].to_pylist() == ["mug"]
    assert set(found.boxes["unit"].to_pylist()) == {"fraction"}
    np.testing.assert_allclose(found.boxes["box"].to_pylist()[0], WANTED, atol=1e-6)
    assert found.faults == ()


def test_what_cannot_be_read_is_counted_and_costs_itself(tmp_path):
    found = read(
        tmp_path,
        row("qwen3", REPLIES["qwen3"]),
        row("qwen3", "I see no mug.", image="b.jpg"),
        row("qwen3", '[{"bbox_2d": [1, 2, 3], "label": "mug"}]', image="c.jpg"),
        row("qwen2.5", REPLIES["qwen2.5"], image="d.jpg", width=None),
        row("qwen9", "[]", image="e.jpg"),
        row("qwen3", '[{"bbox_2d": [100, 200, 500, 800], "la', image="f.jpg"),
    )
    assert len(found.boxes) == 1
    reasons = [fault.reason for fault in found.faults]
    assert reasons == ["reply without boxes", "not four numbers", "size of the picture is missing",
                       "unknown box format", "reply without boxes"]  # fmt: skip
    assert set(found.names) >= {"a.jpg", "b.jpg"}


def test_a_file_in_no_known_convention_is_refused_with_the_valid_ones(tmp_path):
    with pytest.raises(FileError, match="gemini, qwen2"):
        read(tmp_path, row("qwen9", REPLIES["qwen3"]))
