"""A folder with every quirk at once: the run ends well, every loss is named, the rest is right."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from spatialtrust import SpatialTrust, load_graph
from spatialtrust.cli.commands import app

WIDE, TALL = (640, 480), (480, 640)
MUG, KETTLE = [40, 200, 100, 120], [400, 180, 160, 220]
"""x, y, width, height: the mug is left of the kettle."""


def picture(path: Path, size: tuple[int, int], **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((size[1], size[0], 3), 120, dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)


def quirks(folder: Path) -> Path:
    """The photos, and the file of boxes beside them."""
    images: list[dict[str, object]] = []
    boxes: list[dict[str, object]] = []

    def record(name: str, size: tuple[int, int], *listed: tuple[str, object]) -> None:
        number = len(images)
        images.append({"id": number, "file_name": name, "width": size[0], "height": size[1]})
        for label, box in listed:
            boxes.append({"id": len(boxes), "image_id": number, "category_id": label, "bbox": box})

    both = (("mug", MUG), ("kettle", KETTLE))
    picture(folder / "plain.jpg", WIDE)
    record("plain.jpg", WIDE, *both)
    turned = Image.Exif()
    turned[0x0112] = 6
    picture(folder / "turned.jpg", WIDE, exif=turned)
    record("turned.jpg", WIDE, *both)
    picture(folder / "half.jpg", (320, 240))
    record("half.jpg", WIDE, *both)
    picture(folder / "other.jpg", (500, 480))
    record("other.jpg", WIDE, *both)
    picture(folder / unicodedata.normalize("NFD", "théière.jpg"), WIDE)
    record(unicodedata.normalize("NFC", "théière.jpg"), WIDE, *both)
    picture(folder / "SHOUT.JPG", WIDE)
    record("shout.jpg", WIDE, *both)
    picture(folder / "a" / "twin.jpg", WIDE)
    picture(folder / "b" / "twin.jpg", WIDE)
    record("twin.jpg", WIDE, *both)
    picture(folder / "odd.jfif", WIDE, format="JPEG")
    record(
        "odd.jfif", WIDE, *both, ("mug kettle", MUG), ("##ttle", KETTLE), ("mug", [10, 10, 0, 5]),
        ("kettle", [900, 900, 50, 50]), ("kettle", [600, 300, 100, 100]), ("mug", [1, 2, 3]),
    )  # fmt: skip
    deep = np.linspace(0, 4000, 480 * 640).reshape(480, 640).astype(np.uint16)
    Image.fromarray(deep).save(folder / "deep.png")
    record("deep.png", WIDE, *both)
    (folder / "broken.jpg").write_bytes(b"no picture")
    record("broken.jpg", WIDE, *both)
    (folder / "film.mov").write_bytes(b"x")
    record("gone.jpg", WIDE, *both)
    labels = ("mug", "kettle", "mug kettle", "##ttle")
    ids = {label: number for number, label in enumerate(labels)}
    for box in boxes:
        box["category_id"] = ids[str(box["category_id"])]
    data = {
        "images": images,
        "annotations": boxes,
        "categories": [{"id": number, "name": label} for label, number in ids.items()],
    }
    path = folder.parent / "boxes.json"
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-16")
    return path


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object], str]:
    folder = tmp_path_factory.mktemp("quirks")
    boxes = quirks(folder / "photos")
    run = folder / "run"
    arguments = ["graph", folder / "photos", "--detections", boxes, "--objects", "mug. kettle."]
    arguments += ["--asker", "none", "--no-overlays", "--min-confidence", "0.5", "--out", run]
    found = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert found.exit_code == 0, found.output
    return run, json.loads(found.stdout), found.stderr


@pytest.mark.parametrize(
    ("image", "relation"),
    [
        ("plain.jpg", "left of"),
        ("turned.jpg", "above"),
        ("half.jpg", "left of"),
        ("théière.jpg", "left of"),
        ("SHOUT.JPG", "left of"),
        ("odd.jfif", "left of"),
        ("deep.png", "left of"),
    ],
)
def test_what_can_be_used_is_right(ended, image: str, relation: str) -> None:
    graphs = ended[0] / "graphs"
    (file,) = [
        path
        for path in graphs.rglob("*.json")
        if unicodedata.normalize("NFC", path.name) == f"{image}.json"
    ]
    rows = load_graph(file).candidates.to_pylist()
    asked = {(row["subject_id"], row["relation"], row["object_id"]) for row in rows}
    assert ("mug#0", relation, "kettle#0") in asked  # asked in the direction that is seen


@pytest.mark.parametrize("image", ["other.jpg", "a/twin.jpg", "b/twin.jpg"])
def test_what_cannot_be_used_gives_no_edges(ended, image: str) -> None:
    assert len(load_graph(ended[0] / "graphs" / f"{image}.json").query()) == 0


def test_every_loss_is_counted_and_named_once(ended) -> None:
    _, summary, said = ended
    lost = summary["boxes_not_used"]
    assert lost["recorded_size_differs"] == 2
    assert lost["image_name_ambiguous"] == 2
    assert lost["image_unknown"] == 2
    assert lost["label_not_asked_for"] == 2
    assert lost["degenerate_box"] == 1
    assert lost["outside_image"] == 1
    assert lost["image_unreadable"] == 2
    assert summary["boxes_changed"] == {"cut_at_edge": 1, "scaled": 2, "turned": 2}
    assert list(summary["not_ok"]) == ["broken.jpg"]
    for words in (
        "not asked for: mug kettle, ##ttle",
        "twin.jpg",
        "gone.jpg",
        "shout.jpg",
        "passed over: .mov",
        "UTF-16",
        "other.jpg",
        "turned.jpg",
        "half.jpg",
    ):
        assert said.count(words) == 1, (words, said)


def test_python_says_what_became_of_boxes_too(tmp_path: Path, caplog) -> None:
    boxes = quirks(tmp_path / "photos")
    st = SpatialTrust(detector=f"recorded:{boxes}", overlays=False, min_confidence=0.5)
    found = st.graph(tmp_path / "photos" / "turned.jpg", objects=["mug", "kettle"])
    assert "above" in found.candidates["relation"].to_pylist()
    assert "2 boxes are turned like their photo" in caplog.text
    caplog.clear()
    st.graphs([tmp_path / "photos"], tmp_path / "run", objects=["mug", "kettle"])
    for words in ("not asked for: mug kettle, ##ttle", "gone.jpg", "other.jpg", "turned.jpg"):
        assert caplog.text.count(words) == 1
