from __future__ import annotations

import pytest

from spatialtrust.errors import FileError
from spatialtrust.io.detections import Recorded, read_detections
from spatialtrust.io.matching import match_names, resolve

BOX = [10.0, 20.0, 40.0, 60.0]
SIZE = {"a.jpg": (100, 200)}
LINE = "0.25 0.2 0.3 0.2"


def read(tmp_path, text: str, classes: str = "cat\nmug\n") -> Recorded:
    (tmp_path / "classes.txt").write_text(classes)
    (tmp_path / "a.txt").write_text(text)
    return read_detections(tmp_path)


def pixels(recorded: Recorded) -> list[tuple[str, list[float], float | None]]:
    found = resolve(recorded.boxes, SIZE, "m", match_names(recorded.names, SIZE).image_of)
    return [
        (row["phrase"], [round(row[c], 3) for c in ("x1", "y1", "x2", "y2")], row["score"])
        for row in found.data.to_pylist()
    ]


@pytest.mark.parametrize(
    ("line", "score"),
    [
        (f"1 {LINE}", None),
        (f"1.0 {LINE} 0.75", 0.75),
        (f"1 {LINE} 17", None),
        (f"1 {LINE} 0.75 17", 0.75),
        (f"1 {LINE} 0.75 1", 0.75),
        (f"1 {LINE} 17 0.75", 0.75),
        ("1 0.1 0.1 0.4 0.2 0.2 0.3", None),
        ("1 0.1 0.1 0.4 0.1 0.4 0.3 0.1 0.3", None),
        ("1 0.1 0.1 0.4 0.1 0.4 0.3 0.1 0.3 0.75", 0.75),
        ("1 0.1 0.1 0.4 0.1 0.4 0.3 0.1 0.3 0.75 17", 0.75),
        (f"mug {LINE}", None),
    ],
)
def test_lines_of_every_task_give_the_box(tmp_path, line: str, score: float | None) -> None:
    found = read(tmp_path, f"{line}\n")
    assert pixels(found) == [("mug", BOX, score)]
    assert not found.faults


def test_poses_are_told_by_the_shape_of_their_points(tmp_path) -> None:
    (tmp_path / "data.yaml").write_text("names: [cat, mug]\nkpt_shape: [2, 3]\n")
    (tmp_path / "a.txt").write_text(f"1 {LINE} 0.2 0.2 2 0.3 0.3 1\n")
    assert pixels(read_detections(tmp_path)) == [("mug", BOX, None)]


def test_what_is_wrong_with_a_line_is_said_with_its_kind(tmp_path) -> None:
    lines = ["# mugs", "1 0.1 x 0.3 0.2", "1 0.1", "1 10 20 40 20 40 60 10 60", "9 " + LINE,
             "1 320 240 90 80", "1 " + LINE, "1 0.25 0.2 0.3 0,2"]  # fmt: skip
    found = read(tmp_path, "\n".join(lines))
    assert pixels(found) == [("mug", BOX, None)]
    assert {fault.row: fault.reason for fault in found.faults} == {
        2: "not four numbers",
        3: "not four numbers",
        4: "box in another unit than the rest",
        5: "class without a name",
        6: "box in another unit than the rest",
        8: "not four numbers",
    }
    assert "polygon" in str(found.faults[2])


@pytest.mark.parametrize(
    "text",
    [
        "names: ['mug', 'kettle, electric', 'no']\n",
        "names:\n  0: mug  # the red one\n  1: kettle, electric\n  2: no\n",
        "names:\n  # kitchen\n  0: mug\n  1: kettle, electric\n  2: no\n",
        "nc: 3\nnames: {0: mug, 1: 'kettle, electric', 2: no}\n",
        "names:\n  '0': mug\n  '1': \"kettle, electric\"\n  '2': no\n",
        "\ufeffnames: [mug, 'kettle, electric', no]\n",
        "names:\n- mug\n- kettle, electric\n- no\n",
        "names: {mug: 0, 'kettle, electric': 1, no: 2}\n",
    ],
)
def test_class_names_are_read_as_yaml(tmp_path, text: str) -> None:
    (tmp_path / "data.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "a.txt").write_text("".join(f"{number} {LINE}\n" for number in range(3)))
    phrases = read_detections(tmp_path).boxes["phrase"].to_pylist()
    assert phrases == ["mug", "kettle, electric", "no"]


@pytest.mark.parametrize("text", ["names: [a\n", "nc: 3\n", "names:\n- [a]\n", "a: &a [*a]\n"])
def test_a_description_without_names_is_refused(tmp_path, text: str) -> None:
    (tmp_path / "data.yaml").write_text(text)
    (tmp_path / "a.txt").write_text(f"0 {LINE}\n")
    with pytest.raises(FileError, match=r"data\.yaml"):
        read_detections(tmp_path)


def test_comments_and_blank_lines_of_a_class_list_are_no_classes(tmp_path) -> None:
    found = read(tmp_path, f"1 {LINE}\n", "# kitchen\ncat  # grey\n\nmug\n\n")
    assert pixels(found) == [("mug", BOX, None)]
    assert "2 blank or comment lines" in found.notes[0]


def test_other_texts_and_encodings_do_not_stop_a_folder(tmp_path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "data.yaml").write_bytes("names: [théière]\n".encode("cp1252"))
    (tmp_path / "labels" / "a.txt").write_text(f"0 {LINE}\n", encoding="utf-16")
    (tmp_path / "labels" / "README.txt").write_text("Made with care.\nBy us.\n")
    found = read_detections(tmp_path / "labels")
    assert pixels(found) == [("théière", BOX, None)]
    assert [fault.reason for fault in found.faults] == ["text file that holds no labels"]
    assert "read as Windows-1252" in found.notes[0]


def test_a_label_file_alone_is_read(tmp_path) -> None:
    read(tmp_path, f"1 {LINE}\n")
    assert pixels(read_detections(tmp_path / "a.txt")) == [("mug", BOX, None)]
