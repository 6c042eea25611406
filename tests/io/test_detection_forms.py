"""The forms of the field: each gives the same box, says what it assumed, or is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from spatialtrust.errors import FileError
from spatialtrust.io.detections import Recorded, read_detections
from spatialtrust.io.matching import match_names, resolve

BOX = [10.0, 20.0, 40.0, 60.0]
XYWH = [10, 20, 30, 40]
SIZE = {"a.jpg": (100, 200)}
COCO = {
    "images": [{"id": 7, "file_name": "a.jpg", "width": 100, "height": 200}],
    "categories": [{"id": 3, "name": "mug"}],
    "annotations": [],
}
CORNERS = {"xmin": 10, "ymin": 20, "xmax": 40, "ymax": 60}


def pixels(recorded: Recorded) -> list[tuple[str, list[float], float | None]]:
    found = resolve(recorded.boxes, SIZE, "m", match_names(recorded.names, SIZE).image_of)
    return [
        (row["phrase"], [round(row[c], 3) for c in ("x1", "y1", "x2", "y2")], row["score"])
        for row in found.data.to_pylist()
        if row["x1"] is not None
    ]


def read(tmp_path, data: Any, name: str = "boxes.json") -> Recorded:
    (tmp_path / name).write_text(json.dumps(data))
    return read_detections(tmp_path / name)


def grounded(box: list[float], **more: Any) -> dict[str, Any]:
    annotation = {"class_name": "mug", "bbox": box, "score": [0.5]}
    return {"image_path": "a.jpg", "annotations": [annotation], **more}


def coco(*boxes: list[float], **more: Any) -> dict[str, Any]:
    listed = [{"image_id": 7, "category_id": 3, "bbox": box} for box in boxes]
    return {**COCO, "annotations": listed, **more}


@pytest.mark.parametrize(
    ("box", "names"),
    [
        (BOX, {"box_format": "XYXY"}),
        (BOX, {"box_format": "Pascal-VOC"}),
        (XYWH, {"box_format": "coco"}),
        (XYWH, {"box_format": "BoxMode.XYWH_ABS"}),
        (BOX, {"box_format": 0}),
        ([25, 40, 30, 40], {"box_format": "CXCYWH"}),
        ([0.25, 0.2, 0.3, 0.2], {"box_format": "yolo"}),
        ([0.1, 0.1, 0.4, 0.3], {"box_format": "xyxyn"}),
        ([0.1, 0.1, 0.4, 0.3], {"box_format": "xyxy", "box_unit": "Normalized"}),
        (BOX, {"box_format": None}),
    ],
)
def test_box_formats_go_by_any_name_that_means_one_thing(tmp_path, box, names) -> None:
    assert pixels(read(tmp_path, grounded(box, **names))) == [("mug", BOX, 0.5)]


@pytest.mark.parametrize("name", ["ltrb", "xywhn", "xywha_abs", 4, "corners", ""])
@pytest.mark.parametrize("level", ["file", "image", "box"])
def test_a_box_format_that_nobody_knows_is_refused_by_name(tmp_path, name, level: str) -> None:
    data: Any = grounded(BOX)
    if level == "file":
        data = {"box_format": name, "images": [data]}
    else:
        (data if level == "image" else data["annotations"][0])["box_format"] = name
    with pytest.raises(FileError, match=f'box_format is "{name}"; valid: xyxy, xywh, cxcywh'):
        read(tmp_path, data)
    other = grounded(BOX, box_format="xyxy")
    if level != "file":
        mixed = read(tmp_path, [data, other])
        assert pixels(mixed) == [("mug", BOX, 0.5)]
        assert [fault.reason for fault in mixed.faults] == ["unknown box format"]
    with pytest.raises(FileError, match='box_unit is "percent"; valid: pixel, fraction'):
        read(tmp_path, grounded(BOX, box_unit="percent"))


@pytest.mark.parametrize(
    "data",
    [
        coco([0.1, 0.1, 0.3, 0.2]),
        grounded([0.1, 0.1, 0.4, 0.3], box_format="xyxy"),
        [{"file_name": "a.jpg", "boxes": [{"label": "mug", "bbox_xywh": [0.1, 0.1, 0.3, 0.2]}]}],
        {"a.jpg": [{"label": "mug", "box": dict(zip(CORNERS, [0.1, 0.1, 0.4, 0.3], strict=True))}]},
    ],
)
def test_fractions_in_a_pixel_form_are_read_as_such_and_said(tmp_path, data) -> None:
    found = read(tmp_path, data)
    assert [box for _, box, _ in pixels(found)] == [BOX]
    assert any("read as fractions" in note for note in found.notes)


def test_where_units_are_mixed_most_boxes_decide_and_the_others_are_counted(tmp_path) -> None:
    few = read(tmp_path, coco([0.1, 0.1, 0.3, 0.2], XYWH, XYWH))
    assert len(pixels(few)) == 2
    assert not few.notes
    assert "looks like fractions" in str(few.faults[0])
    most = read(tmp_path, coco([0.1, 0.1, 0.3, 0.2], [0.1, 0.1, 0.3, 0.2], XYWH))
    assert [box for _, box, _ in pixels(most)] == [BOX, BOX]
    assert "looks like pixels" in str(most.faults[0])
    assert sum("1 left out, box in another unit" in line for line in most.said()) == 1


def test_a_results_list_finds_its_images_and_categories_beside_it(tmp_path) -> None:
    results = [{"image_id": 7, "category_id": 3, "bbox": XYWH, "score": 0.5}]
    with pytest.raises(FileError, match="its images and categories is missing; put the COCO file"):
        read(tmp_path, results, "results.json")
    (tmp_path / "notes.json").write_text("[")
    (tmp_path / "val.json").write_text(json.dumps(coco([1, 1, 5, 5])))
    found = read(tmp_path, results, "results.json")
    assert pixels(found) == [("mug", BOX, 0.5)]
    assert "val.json" in found.notes[0]
    assert pixels(read_detections(tmp_path)) == [("mug", BOX, 0.5)]
    nested = [{"image_id": 7, "instances": [results[0], {**results[0], "image_id": 9}, 3]}]
    listed = read(tmp_path, nested, "results.json")
    assert pixels(listed) == [("mug", BOX, 0.5)]
    assert [fault.reason for fault in listed.faults] == [
        "image that is not listed",
        "not an object",
    ]
    other = {**COCO, "categories": [{"id": 3, "name": "pan"}]}
    (tmp_path / "train.json").write_text(json.dumps(other))
    with pytest.raises(FileError, match="which name things differently"):
        read_detections(tmp_path / "results.json")


def test_results_that_name_image_and_class_themselves_need_no_other_file(tmp_path) -> None:
    data = [{"image_id": "a", "category_name": "mug", "bbox": XYWH, "score": 0.5}]
    assert pixels(read(tmp_path, data)) == [("mug", BOX, 0.5)]


def test_lvis_images_are_named_by_their_address_and_one_without_a_name_costs_itself(tmp_path):
    images = [
        {"id": 7, "coco_url": "http://images.example.org/val2017/a.jpg", "not_exhaustive": []},
        {"id": 8},
    ]
    data = coco(XYWH, images=images)
    data["annotations"].append({"image_id": 8, "category_id": 3, "bbox": XYWH})
    found = read(tmp_path, data)
    assert found.names == ("a.jpg",)
    assert [box for _, box, _ in pixels(found)] == [BOX]
    assert "has no file_name or coco_url" in str(found.faults[0])


def test_one_file_name_for_two_images_is_left_out_and_said(tmp_path) -> None:
    images = [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "a.jpg"}]
    found = read(tmp_path, coco(XYWH, images=images))
    assert not found.boxes.num_rows
    assert '2 images are called "a.jpg"' in found.notes[0]
    assert found.faults[0].reason == "one name for several images"


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("rectangle", [[40, 60], [10, 20]]),
        ("polygon", [[10, 30], [30, 20], [40, 60]]),
        (None, [[10, 30], [30, 20], [40, 60]]),
        ("circle", [[25, 40], [25, 55]]),
    ],
)
def test_labelme_shapes_are_read_by_their_extent(tmp_path, kind, points) -> None:
    line = {"label": "pan", "shape_type": "line", "points": [[1, 2], [3, 4]]}
    bad = {"label": "pan", "shape_type": "polygon", "points": [[1]]}
    shape = {"label": "mug", "shape_type": kind, "points": points}
    data = {"shapes": [line, bad, shape], "imagePath": "..\\photos\\a.jpg", "imageWidth": 100,
            "imageHeight": 200}  # fmt: skip
    for found in (read(tmp_path, data), read_detections(tmp_path)):
        ((phrase, box, _),) = pixels(found)
        assert (phrase, box) == ("mug", [10, 25, 40, 55] if kind == "circle" else BOX) or (
            kind in ("polygon", None) and box == BOX
        )
        assert [fault.reason for fault in found.faults] == [
            "shape without area",
            "not four numbers",
        ]
        assert dict(found.sizes) == {"..\\photos\\a.jpg": (100, 200)}


@pytest.mark.parametrize(("mode", "box"), [(0, BOX), (1, XYWH), ("XYXY_ABS", BOX)])
def test_detectron_dicts_are_read_by_their_box_mode(tmp_path, mode, box) -> None:
    data = [
        {
            "file_name": "x/a.jpg", "height": 200, "width": 100, "image_id": 0,
            "annotations": [{"bbox": box, "bbox_mode": mode, "category_id": 1}],
        }
    ]  # fmt: skip
    with pytest.raises(FileError, match=r"gives classes by number.*put a classes\.txt"):
        read(tmp_path, data)
    (tmp_path / "classes.txt").write_text("pan\nmug\n")
    assert pixels(read(tmp_path, data)) == [("mug", BOX, None)]
    del data[0]["annotations"][0]["bbox_mode"]  # type: ignore[attr-defined]
    assert "does not say its box_format" in str(read(tmp_path, data).faults[0])


def test_lists_of_equal_length_are_read_and_named_after_their_file(tmp_path) -> None:
    data = {"labels": [1, 0], "scores": [0.5, 0.25], "bboxes": [BOX, [1, 2, 3]]}
    (tmp_path / "data.yaml").write_text("names: [pan, mug]\n")
    found = read(tmp_path, data, "a.json")
    assert pixels(found) == [("mug", BOX, 0.5)]
    assert found.faults[0].reason == "not four numbers"
    named = {"a.jpg": {"boxes": [BOX], "labels": [3], "text_labels": ["mug"], "scores": [0.5]}}
    assert pixels(read(tmp_path, named)) == [("mug", BOX, 0.5)]
    with pytest.raises(FileError, match="2 images without their names"):
        read(tmp_path, {"predictions": [data, data]})
    short = {"labels": ["mug"], "scores": [0.5], "bboxes": []}
    assert read(tmp_path, short, "b.json").faults[0].reason == "lists of unequal length"


def test_pipeline_lists_have_to_say_their_image(tmp_path) -> None:
    items = [{"score": 0.5, "label": "mug", "box": CORNERS}]
    for data in ({"a.jpg": items}, [{"image": "a.jpg", "predictions": items}]):
        assert pixels(read(tmp_path, data)) == [("mug", BOX, 0.5)]
    with pytest.raises(FileError, match="does not say of which; write"):
        read(tmp_path, items)
    assert pixels(read(tmp_path, items, "a.jpg.json")) == [("mug", BOX, 0.5)]
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.json").write_text(json.dumps(items))
    assert pixels(read_detections(tmp_path / "folder")) == [("mug", BOX, 0.5)]


def test_json_lines_lose_only_the_bad_line(tmp_path) -> None:
    (tmp_path / "b.jsonl").write_text(json.dumps(grounded(BOX)) + "\n{\n")
    found = read_detections(tmp_path / "b.jsonl")
    assert pixels(found) == [("mug", BOX, 0.5)]
    assert "b.jsonl:2" in str(found.faults[0])


def test_one_bad_file_or_entry_costs_itself(tmp_path) -> None:
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "other.json").write_text('{"version": 1}')
    found = read(tmp_path, [grounded(BOX), 3, {"image_path": "a.jpg", "annotations": 1}])
    assert pixels(found) == [("mug", BOX, 0.5)]
    assert [fault.row for fault in found.faults] == [2, 1]
    folder = read_detections(tmp_path)
    assert pixels(folder) == [("mug", BOX, 0.5)]
    assert [fault.reason for fault in folder.faults].count("file passed over") == 2


def test_json_that_is_too_deep_or_unknown_is_our_error(tmp_path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(FileError, match="nested deeper"):
        read_detections(tmp_path / "deep.json")
    with pytest.raises(FileError, match=r"no known form.*LVIS.*LabelMe"):
        read(tmp_path, {"a": 1})


def test_names_that_files_cannot_hold_are_cleaned(tmp_path) -> None:
    item = {"category": "m\ud800g", "bbox_xywh": XYWH}
    found = read(tmp_path, [{"file_name": "a.jpg", "boxes": [item]}])
    assert pixels(found) == [("m\ufffdg", BOX, None)]


def test_numbers_that_are_texts_or_scores_above_one_are_said(tmp_path) -> None:
    boxes = [
        {"category": "a", "bbox_xywh": "1234"},
        {"category": "b", "bbox_xywh": {"1": 0, "2": 0, "3": 0, "4": 0}},
        {"category": "c", "bbox_xywh": [10**400, 1, 2, 3]},
        {"category": "mug", "bbox_xywh": XYWH, "score": 5},
    ]
    found = read(tmp_path, [{"file_name": "a.jpg", "boxes": boxes}])
    assert pixels(found) == [("mug", BOX, None)]
    assert [fault.row for fault in found.faults] == [1, 2, 3]
    assert "1 scores are not from 0 to 1" in found.notes[0]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_json_is_read_in_any_common_encoding(tmp_path, encoding: str) -> None:
    data = json.dumps(grounded(BOX), ensure_ascii=False).replace("mug", "théière")
    (tmp_path / "g.json").write_bytes(data.encode(encoding))
    found = read_detections(tmp_path / "g.json")
    assert pixels(found) == [("théière", BOX, 0.5)]
    assert any("Windows-1252" in note for note in found.notes) == (encoding == "cp1252")
