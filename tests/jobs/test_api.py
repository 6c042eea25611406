"""Three lines of Python give what the command gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from spatialtrust import SpatialTrust
from spatialtrust.errors import InputError
from tests.conftest import ROOT

LIFES = ROOT / "data" / "still_lifes"


def _recorded(**settings: object) -> SpatialTrust:
    return SpatialTrust(detector=f"recorded:{LIFES / 'boxes.json'}", **settings)


def test_unknown_settings_name_the_closest() -> None:
    with pytest.raises(InputError, match='did you mean "min_confidence"'):
        SpatialTrust(min_confidense=0.9)


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(InputError, match=r"uint8 \(height, width, 3\) RGB"):
        _recorded().graph(np.zeros((4, 4)), objects=["mug"])
    with pytest.raises(InputError, match="no objects were given"):
        _recorded().graph(LIFES / "shelf.jpg")


def test_a_detector_is_named_or_it_is_an_error() -> None:
    for asker in (None, "tabletop:clip"):
        with pytest.raises(InputError, match=r"no detector is set.*--detections FILE"):
            SpatialTrust(asker).graph(LIFES / "shelf.jpg", objects=["mug"])
        with pytest.raises(InputError, match=r"no detector is set.*--detections FILE"):
            SpatialTrust(asker).graphs([LIFES], "nowhere")


def test_two_thresholds_at_once_are_an_error() -> None:
    with pytest.raises(InputError, match=r"min_confidence .* and accuracy"):
        _recorded(min_confidence=0.8, accuracy=0.9)
    assert _recorded(min_confidence=0.7, accuracy=0.0).config.min_confidence == 0.7


@pytest.mark.parametrize("objects", ["kettle. mug.", "kettle, mug", ["kettle. mug."]])
def test_a_prompt_is_as_good_as_a_list(objects: Any) -> None:
    wanted = _recorded().graph(LIFES / "breakfast.jpg", ["kettle", "mug"])
    found = _recorded().graph(LIFES / "breakfast.jpg", objects)
    assert found.objects.strings("phrase") == wanted.objects.strings("phrase") != []
    set_once = _recorded(objects=objects).graph(LIFES / "breakfast.jpg")
    assert set_once.objects.strings("phrase") == wanted.objects.strings("phrase")


def test_a_run_folder_holds_what_the_command_writes(tmp_path: Path) -> None:
    found = _recorded(overlays=False).graphs([LIFES], tmp_path / "run")
    assert found["graphs"] == 4
    assert found["edges"] > 0


@pytest.mark.parametrize("asker", [None, "tabletop:blip2", "tabletop:clip"])
def test_an_image_becomes_a_graph_through_live_models(asker: str | None) -> None:
    st = SpatialTrust(asker=asker, detector="tabletop:grounding-dino", min_confidence=0.7)
    scene = ROOT / "data" / "tabletop" / "clean-00000012.png"
    graph = st.graph(scene, objects=["turquoise pyramid", "yellow mug", "green cone"])
    assert sorted(graph.objects.strings("phrase")) == ["turquoise pyramid", "yellow mug"]
    found = graph.query(subject="turquoise pyramid", relation="left of", object="yellow mug")
    assert [edge.confidence > 0.7 for edge in found] == [True]
    assert {edge.relation for edge in graph.query(subject="yellow mug", relation="right of")} == {
        "right of"
    }
    assert graph.prune(min_confidence=1.0).edges.num_rows <= graph.edges.num_rows


BOXES = [{"label": "mug", "bbox_xyxy": [10, 40, 30, 60]},
         {"label": "kettle", "bbox_xyxy": [90, 30, 130, 70]}]  # fmt: skip


def edges(image: Any, boxes: Any = BOXES, **options: Any) -> list[str]:
    graph = SpatialTrust().graph(image, boxes=boxes, **options)
    return [f"{edge.subject} {edge.relation} {edge.object}" for edge in graph.query()]


def test_boxes_need_neither_a_detector_nor_objects() -> None:
    pixels = np.zeros((90, 160, 3), dtype=np.uint8)
    assert edges(pixels) == ["mug left of kettle"]
    assert edges(pixels, objects=["mug"]) == []
    recorded = _recorded().graph(LIFES / "breakfast.jpg", objects=["kettle", "mug"])
    held = SpatialTrust().graph(
        LIFES / "breakfast.jpg", ["kettle", "mug"], boxes=LIFES / "boxes.json"
    )
    assert held == recorded


def test_boxes_of_supervision_go_to_a_pruned_graph_in_three_lines() -> None:
    sv = pytest.importorskip("supervision")
    image = Image.open(LIFES / "breakfast.jpg")
    corners = np.array([[10.0, 40, 30, 60], [90, 30, 130, 70]])
    data = {"class_name": np.array(["mug", "kettle"])}
    found = sv.Detections(xyxy=corners, class_id=np.array([0, 1]), data=data)
    st = SpatialTrust()
    graph = st.graph(image, boxes=found)
    safe = graph.prune(min_confidence=0.9)
    assert [edge.relation for edge in safe.query("mug", object="kettle")] == ["left of"]
    assert safe.image_id == "breakfast.jpg"
    assert edges(image, sv.Detections.empty()) == []


@pytest.mark.parametrize(
    "mode",
    ["1", "L", "P", "LA", "PA", "La", "RGBA", "RGBX", "CMYK", "HSV", "LAB", "I", "F", "I;16"],
)
def test_images_of_odd_modes_are_read(mode: str) -> None:
    assert edges(Image.new(mode, (160, 90))) == ["mug left of kettle"]


@pytest.mark.parametrize("shape", [(90, 160), (90, 160, 1), (90, 160, 4)])
def test_grey_deep_and_transparent_arrays_are_read(shape: tuple[int, ...]) -> None:
    for kind in (np.uint8, np.uint16):
        assert edges(np.zeros(shape, dtype=kind)) == ["mug left of kettle"]


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (None, "image is a NoneType; give a path"),
        (b"abc", "image is a bytes"),
        (np.zeros((3, 90, 160), np.uint8), "its channels stand first"),
        (np.zeros((90, 160, 3)), "image is float64"),
        (np.zeros((0, 160, 3), np.uint8), "give one with some"),
        (np.zeros((1, 90, 160, 3), np.uint8), "give a path, a PIL image"),
    ],
)
def test_what_holds_no_pixels_is_refused_by_name(image: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        edges(image)


def test_boxes_of_another_size_are_scaled_or_counted(caplog) -> None:
    pixels = np.zeros((90, 160, 3), dtype=np.uint8)
    twice = [{**box, "bbox_xyxy": [2 * v for v in box["bbox_xyxy"]]} for box in BOXES]
    assert edges(pixels, {"file_name": "a.jpg", "width": 320, "height": 180, "boxes": twice}) == [
        "mug left of kettle"
    ]
    assert "2 boxes are scaled" in caplog.text
    assert edges(pixels, {"file_name": "a.jpg", "width": 99, "height": 180, "boxes": twice}) == []
    assert "2 boxes are left out" in caplog.text


def test_thousands_of_boxes_are_a_graph() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 600, (5000, 2))
    boxes = {
        "labels": ["person", "car"] * 2500,
        "scores": rng.uniform(0.2, 1, 5000),
        "boxes": np.hstack([corners, corners + rng.uniform(5, 60, (5000, 2))]),
    }
    graph = SpatialTrust().graph(np.zeros((700, 700, 3), np.uint8), boxes=boxes)
    assert len(graph.objects) > 4000
    assert "objects" in repr(graph)
