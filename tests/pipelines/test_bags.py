"""The ROS-adjacent scripts: a bag to a file for Foxglove, and a node without ROS."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import numpy as np
import pytest

from spatialtrust.bags.writing import schema
from spatialtrust.jobs.example_bags import write_bag
from spatialtrust.jobs.moving_camera import Drive
from tests.conftest import ROOT
from tests.helpers.scripts import load


def _node() -> Any:
    module = load("ros2_node")
    assert "rclpy" not in sys.modules
    return module


def _header(stamp: float) -> Any:
    whole = int(stamp)
    at = SimpleNamespace(sec=whole, nanosec=round((stamp - whole) * 1e9))
    return SimpleNamespace(stamp=at, frame_id="camera")


def _image(stamp: float, encoding: str = "rgb8") -> Any:
    return SimpleNamespace(
        header=_header(stamp), height=96, width=128, encoding=encoding, is_bigendian=0,
        step=384, data=np.zeros(96 * 384, dtype=np.uint8),
    )  # fmt: skip


def _detections(stamp: float) -> Any:
    def found(name: str, x: float) -> Any:
        said = SimpleNamespace(class_id=name, score=0.9)
        at = SimpleNamespace(position=SimpleNamespace(x=x, y=40.0), theta=0.0)
        box = SimpleNamespace(center=at, size_x=20.0, size_y=20.0)
        return SimpleNamespace(results=[SimpleNamespace(hypothesis=said)], bbox=box)

    return SimpleNamespace(header=_header(stamp), detections=[found("cup", 20), found("pan", 90)])


def test_the_node_publishes_graphs_and_drops_rather_than_lags() -> None:
    module = _node()
    records: list[dict[str, Any]] = []
    said: list[str] = []
    node = module.GraphNode(records.append, said.append)
    for step in range(3):
        node.on_image(_image(5 + step / 10))
        node.on_detections(_detections(5 + step / 10))
    assert len(records) == 3
    for record in records:
        jsonschema.validate(json.loads(json.dumps(record)), schema("spatialtrust.SceneGraph"))
    edges = [row["relation"] for row in records[-1]["relations"] if row["edge"]]
    assert "left of" in edges
    for step in range(4):  # no detections come: only the newest picture is kept
        node.on_image(_image(6 + step / 10))
    assert node.dropped == 3
    node.on_detections(_detections(6.3))
    assert len(records) == 4
    node.on_image(_image(7.0, "nv21"))
    node.on_image(_image(0.0))
    assert any("no stamp" in text for text in said)


def test_the_node_makes_messages_of_its_own_package() -> None:
    module = _node()

    def made(**values: Any) -> Any:
        return SimpleNamespace(**{"objects": [], "relations": [], **values})

    kinds = SimpleNamespace(
        SceneGraph=made, SceneObject=SimpleNamespace, SceneRelation=SimpleNamespace,
        RelationEvent=SimpleNamespace,
    )  # fmt: skip
    records: list[dict[str, Any]] = []
    node = module.GraphNode(records.append, print)
    node.on_detections(_detections(5.0))
    node.on_image(_image(5.0))
    found = module.graph_message(records[0], kinds, None)
    assert [thing.id for thing in found.objects] == ["cup-1", "pan-1"]
    assert len(found.relations) == len(records[0]["relations"])


@pytest.mark.parametrize("form", ["mcap"])
def test_the_script_finds_topics_and_makes_graphs(tmp_path: Path, form: str) -> None:
    bag = write_bag(tmp_path / "drive.mcap", Drive(seconds=0.5, rate=10, size=96), form)
    script = ROOT / "pipelines" / "bag_to_graph.py"
    found = subprocess.run(
        [sys.executable, str(script), str(bag), str(tmp_path / "out.mcap")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    printed = json.loads(found.stdout)
    assert printed["used"] == 5
    assert printed["believed_at_the_end"]
