from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from spatialtrust.errors import FileError
from spatialtrust.io.detections import from_supervision, read_detections
from spatialtrust.io.matching import match_names, resolve
from spatialtrust.io.parquet import write_table
from spatialtrust.tables import Detections

BOX = [10.0, 20.0, 40.0, 60.0]
SIZE = {"a.jpg": (100, 200)}


def boxes_of(path) -> list[tuple[str, list[float], float | None]]:
    recorded = read_detections(path)
    found = resolve(recorded.boxes, SIZE, "m", match_names(recorded.names, SIZE).image_of)
    return [
        (row["phrase"], [round(row[c], 3) for c in ("x1", "y1", "x2", "y2")], row["score"])
        for row in found.data.to_pylist()
    ]


def write(path, data: object) -> object:
    path.write_text(json.dumps(data))
    return path


def test_coco_boxes_are_read_and_crowds_are_no_objects(tmp_path) -> None:
    data = {
        "images": [{"id": 7, "file_name": "x/a.jpg", "width": 100, "height": 200}],
        "categories": [{"id": 3, "name": "mug"}],
        "annotations": [
            {"image_id": 7, "category_id": 3, "bbox": [10, 20, 30, 40], "score": 0.5},
            {"image_id": 7, "category_id": 3, "bbox": [0, 0, 9, 9], "iscrowd": 1},
        ],
    }
    assert boxes_of(write(tmp_path / "c.json", data)) == [("mug", BOX, 0.5)]


def test_the_list_form_is_read(tmp_path) -> None:
    data = [{"file_name": "a.jpg", "boxes": [{"category": "mug", "bbox_xywh": [10, 20, 30, 40]}]}]
    assert boxes_of(write(tmp_path / "l.json", data)) == [("mug", BOX, None)]


@pytest.mark.parametrize("form", ["xyxy", "xywh"])
def test_grounded_sam_files_are_read_one_by_one_or_as_a_folder(tmp_path, form: str) -> None:
    box = BOX if form == "xyxy" else [10, 20, 30, 40]
    data = {
        "image_path": "/somewhere/else/a.jpg",
        "annotations": [{"class_name": "mug", "bbox": box, "score": [0.25], "segmentation": {}}],
        "box_format": form,
        "img_width": 100,
        "img_height": 200,
    }
    assert boxes_of(write(tmp_path / "g.json", data)) == [("mug", BOX, 0.25)]
    assert boxes_of(tmp_path) == [("mug", BOX, 0.25)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "cat\nmug\n"),
        ("data.yaml", "path: x\nnames: ['cat', \"mug\"]\nnc: 2\n"),
        ("data.yaml", "names:\n  0: cat\n  1: mug\nnc: 2\n"),
        ("data.yaml", "nc: 2\nnames:\n- cat\n- mug\n"),
    ],
)
def test_a_yolo_folder_is_read_with_either_class_list(tmp_path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("1 0.25 0.2 0.3 0.2 0.75\n\n9 0.5 0.5 0.1 0.1\n")
    assert boxes_of(tmp_path / "labels") == [("mug", BOX, 0.75)]
    assert "names class 9" in str(read_detections(tmp_path / "labels").faults[0])


def test_our_own_table_is_read(tmp_path) -> None:
    table = Detections.from_rows(
        [
            {"image_id": "a.jpg", "object_id": "mug#0", "phrase": "mug", "x1": 10, "y1": 20,
             "x2": 40, "y2": 60, "score": 0.5},
            {"image_id": "a.jpg", "object_id": "pan#0", "phrase": "pan", "status": "not_found"},
        ]
    )  # fmt: skip
    write_table(table.data, tmp_path / "d.parquet")
    assert boxes_of(tmp_path / "d.parquet") == [("mug", BOX, 0.5)]


def test_supervision_boxes_are_read_without_the_package() -> None:
    boxes = SimpleNamespace(
        xyxy=np.array([BOX, BOX]), confidence=np.array([0.2, 0.4]), class_id=np.array([0, 0]),
        data={"class_name": np.array(["mug", "mug"])},
    )  # fmt: skip
    found = from_supervision(boxes, "a.jpg")
    assert dict(zip(found.strings("object_id"), found.numbers("score").tolist(), strict=True)) == {
        "mug#0": pytest.approx(0.4),
        "mug#1": pytest.approx(0.2),
    }
    bare = SimpleNamespace(xyxy=np.empty((0, 4)), confidence=None, class_id=None, data={})
    assert len(from_supervision(bare, "a.jpg")) == 0
    with pytest.raises(FileError, match="no class names"):
        from_supervision(SimpleNamespace(xyxy=np.array([BOX])), "a.jpg")


def test_a_box_that_cannot_be_used_is_a_fault_and_the_others_stay(tmp_path) -> None:
    given = [("pan", [1, 2, 3]), (None, BOX), ("pan", None), ("pan", list("abcd"))]
    bad = [{"category": name, "bbox_xywh": box} for name, box in given]
    good = {"category": "mug", "bbox_xywh": [10, 20, 30, 40]}
    file = write(tmp_path / "l.json", [{"file_name": "a.jpg", "boxes": [*bad, good]}])
    assert boxes_of(file) == [("mug", BOX, None)]
    assert [fault.row for fault in read_detections(file).faults] == [1, 2, 3, 4]


def test_boxes_that_are_no_boxes_say_so_and_those_that_reach_out_are_cut(tmp_path) -> None:
    boxes = [("flat", [5, 5, 0, 9]), ("nan", [float("nan"), 1, 2, 3]), ("wide", [50, 20, 900, 40])]
    data = [{"file_name": "a.jpg", "boxes": [{"category": c, "bbox_xywh": b} for c, b in boxes]}]
    recorded = read_detections(write(tmp_path / "l.json", data))
    rows = resolve(recorded.boxes, SIZE, "m").data.to_pylist()
    assert {row["phrase"]: (row["status"], row["x2"]) for row in rows} == {
        "flat": ("degenerate_box", None),
        "nan": ("degenerate_box", None),
        "wide": ("box_outside_image", 100.0),
    }


@pytest.mark.parametrize(
    "content", ["{}", "[1]", "[{}]", "{", '{"images": 3, "annotations": 1, "categories": 2}']
)
def test_a_file_in_no_known_form_is_named(tmp_path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(FileError, match=r"x\.json"):
        read_detections(tmp_path / "x.json")


def test_paths_win_over_base_names_and_what_is_not_unique_is_said() -> None:
    images = ["x/a.jpg", "y/a.jpg", "y/b.png", "c.jpg"]
    found = match_names(["/data/x/a.jpg", "a.jpg", "b", "other/c.jpg", "c.jpg", "d.jpg"], images)
    assert found.image_of == {
        "/data/x/a.jpg": "x/a.jpg",
        "b": "y/b.png",
        "c.jpg": "c.jpg",
    }
    assert found.unknown == ("d.jpg",)
    assert found.ambiguous == ("a.jpg", "other/c.jpg")
