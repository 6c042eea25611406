"""Every recorded box that was read and not used as it was is counted, named and in the summary."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from spatialtrust.cli import app
from spatialtrust.graph.files import load_graph
from spatialtrust.io.parquet import read_table
from spatialtrust.run.plan import execute, prepare
from spatialtrust.tables import Claims
from tests.helpers.runs import settings

MUG, KETTLE = [40, 200, 100, 120], [400, 180, 160, 220]


def photo(path: Path, size: tuple[int, int] = (640, 480), **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "grey").save(path, **options)


def recorded(folder: Path, **images: object) -> Path:
    """The file of boxes: name without ending to (width, height, label to box)."""
    listed = [
        {"file_name": f"{name}.jpg", "width": width, "height": height,
         "boxes": [{"category": label, "bbox_xywh": box} for label, box in boxes]}
        for name, (width, height, boxes) in images.items()
    ]  # fmt: skip
    (folder / "boxes.json").write_text(json.dumps(listed))
    return folder / "boxes.json"


def graph(tmp_path: Path, *more: str) -> tuple[dict, str]:
    """What the command printed, and what it said."""
    files = ("photos", "--detections", "boxes.json", "--out", "run")
    given = [name if name.startswith("-") else str(tmp_path / name) for name in files]
    arguments = ["graph", *given, "--asker", "none", "--no-overlays", *more]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout), result.stderr


BOTH = [("mug", MUG), ("kettle", KETTLE)]
HALF = [("mug", [20, 100, 50, 60]), ("kettle", [200, 90, 80, 110])]


def test_boxes_on_a_photo_before_its_turn_are_turned_with_it(tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(tmp_path / "photos/phone.jpg", exif=exif)
    recorded(tmp_path, phone=(640, 480, BOTH))
    found, said = graph(tmp_path, "--min-confidence", "0.5")
    rows = load_graph(tmp_path / "run/graphs/phone.jpg.json").candidates.to_pylist()
    asked = {(row["subject_id"], row["relation"], row["object_id"]) for row in rows}
    assert ("mug#0", "above", "kettle#0") in asked
    assert found["boxes_changed"] == {"turned": 2}
    assert "2 boxes are turned like their photo" in said
    again, repeated = graph(tmp_path)
    assert (again["boxes_changed"], repeated.count("are turned like")) == ({"turned": 2}, 1)


def test_what_a_run_cannot_use_is_counted_by_reason_and_named(tmp_path) -> None:
    for name in ("good", "small", "other", "broken"):
        photo(tmp_path / f"photos/{name}.jpg")
    (tmp_path / "photos/broken.jpg").write_bytes(b"no image")
    odd = [("flat", [5, 5, 0, 9]), ("nan", [float("nan"), 1, 2, 3]), ("far", [900, 10, 20, 20]),
           ("wide", [600, 10, 200, 20])]  # fmt: skip
    recorded(tmp_path, good=(640, 480, BOTH + odd), small=(320, 240, HALF), broken=(1, 1, BOTH),
             other=(640, 640, BOTH), gone=(640, 480, BOTH))  # fmt: skip
    found, said = graph(tmp_path)
    assert found["boxes_not_used"] == {
        "image_unknown": 2,
        "degenerate_box": 2,
        "outside_image": 1,
        "recorded_size_differs": 2,
        "image_unreadable": 2,
    }
    assert found["boxes_changed"] == {"cut_at_edge": 1, "scaled": 2}
    for words in ("2 boxes are left out: inverted", "good.jpg: flat, good.jpg: nan",
                  "1 boxes are left out: they lie outside their image: good.jpg: far",
                  "not the image's, turned or scaled: other.jpg", "another size: small.jpg",
                  "cut at its edge: good.jpg: wide", "with 2 boxes: gone.jpg"):  # fmt: skip
        assert said.count(words) == 1, words


def test_labels_that_were_not_asked_for_are_shown(tmp_path) -> None:
    photo(tmp_path / "photos/a.jpg")
    recorded(tmp_path, a=(640, 480, [("mug kettle", MUG), ("##ttle", KETTLE), ("Mug", MUG)]))
    found, said = graph(tmp_path, "--objects", "mug, kettle")
    assert found["boxes_not_used"] == {"label_not_asked_for": 2}
    assert "2 boxes of labels that were not asked for: mug kettle, ##ttle" in said
    assert "several labels in one: mug kettle; pieces of words: ##ttle" in said


def test_without_objects_odd_labels_are_kept_and_said(tmp_path) -> None:
    photo(tmp_path / "photos/a.jpg")
    boxes = [("mug kettle", MUG), ("mug", MUG), ("kettle", KETTLE), ("tea pot", KETTLE)]
    job = prepare(settings(recorded(tmp_path, a=(640, 480, boxes))), tmp_path / "run",
                  [tmp_path / "photos"])  # fmt: skip
    assert [note for note in job.notes if "several labels in one: mug kettle;" in note]
    assert not job.not_used


def test_labels_that_no_claim_is_about_are_shown(tmp_path) -> None:
    photo(tmp_path / "photos/a.jpg")
    photo(tmp_path / "photos/b.jpg")
    boxes = recorded(tmp_path, a=(640, 480, [*BOTH, ("cup", MUG)]), b=(640, 480, BOTH))
    claims = Claims.from_rows(
        [{"claim_id": "0", "image_id": "a.jpg", "subject": "Mug", "relation": "left of",
          "object": "kettle"}]
    )  # fmt: skip
    job = prepare(settings(boxes), tmp_path / "run", [tmp_path / "photos"], claims)
    assert job.not_used == {"label_not_asked_for": 1}
    assert any("that no claim about their image is about: cup" in note for note in job.notes)
    assert execute(job)["boxes_not_used"] == {"label_not_asked_for": 1}


def test_one_name_for_two_paths_is_left_out_and_counted(tmp_path) -> None:
    photo(tmp_path / "photos/0001.jpg")
    boxes = recorded(tmp_path, **{"x/0001": (640, 480, BOTH), "y/0001": (640, 480, BOTH)})
    job = prepare(settings(boxes), tmp_path / "run", [tmp_path / "photos"])
    assert job.not_used == {"image_name_ambiguous": 4}
    assert any("fit several images, or share one" in note for note in job.notes)


@pytest.mark.parametrize("label", ["cafe\u0301", "mug\x01", "tea\npot", "\ud800kettle"])
def test_labels_of_any_characters_load_back_from_every_format(tmp_path, label: str) -> None:
    photo(tmp_path / "photos/a.jpg")
    recorded(tmp_path, a=(640, 480, [(label, MUG), ("kettle", KETTLE)]))
    _, said = graph(tmp_path, "--formats", "json,graphml,dot")
    graphs = [
        load_graph(tmp_path / f"run/graphs/a.jpg.{kind}") for kind in ("json", "graphml", "dot")
    ]
    assert graphs[0] == graphs[1] == graphs[2]
    (name,) = {row["phrase"] for row in graphs[0].objects.data.to_pylist()} - {"kettle"}
    assert ("hold characters that files cannot hold" in said) == (label != "cafe\u0301")
    assert name in {"café", "mug\ufffd", "tea pot", "\ufffdkettle"}


def test_phrases_asked_for_match_in_either_unicode_form(tmp_path) -> None:
    photo(tmp_path / "photos/a.jpg")
    boxes = recorded(tmp_path, a=(640, 480, [("the\u0301ie\u0300re", MUG), *BOTH]))
    options = settings(boxes, objects=("Théière",))
    found = execute(prepare(options, tmp_path / "run", [tmp_path / "photos"]), ["detect"])
    rows = read_table(tmp_path / "run/detections").to_pylist()
    assert [(row["phrase"], row["status"]) for row in rows] == [("théière", "ok")]
    assert found["boxes_not_used"] == {"label_not_asked_for": 2}
