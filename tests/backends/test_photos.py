"""Detectors with a fixed vocabulary: what they look for, what not, and ``photos`` itself."""

from __future__ import annotations

import json
import logging
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

from spatialtrust.backends.base import Options
from spatialtrust.backends.fixed_vocabulary import photos
from spatialtrust.backends.fixed_vocabulary.detector import FixedVocabularyDetector, Seen
from spatialtrust.backends.fixed_vocabulary.words import COCO, COCO_91, Vocabulary
from spatialtrust.backends.registry import open_asker, open_detector
from spatialtrust.claims.grounding import ground
from spatialtrust.errors import BackendError, InputError, MissingDependencyError
from spatialtrust.graph.files import load_graph
from spatialtrust.reasons import decode
from spatialtrust.run.config import RunConfig
from spatialtrust.run.plan import execute, prepare
from spatialtrust.tables import Claims
from tests.conftest import ROOT

PICTURE = np.zeros((20, 40, 3), np.uint8)


class _Fake:
    """Sees a couch twice, and a cup on the edge; fails on pictures with a white corner."""

    classes = ("person", "couch", "", "cup")

    def look(self, pixels):
        if pixels[0, 0, 0]:
            raise ValueError("white")
        boxes = np.array([[2, 2, 20, 18], [2, 2, 20, 17.9], [30, 5, 50, 15]], np.float32)
        scores = np.zeros((4, 3), np.float32)
        scores[1, :2], scores[3, 2] = (0.9, 0.8), 0.7
        return Seen(scores, boxes)


@pytest.fixture
def detector():
    return FixedVocabularyDetector(_Fake, "fake", "1", Options())


def test_a_phrase_that_means_no_class_is_not_looked_for_and_that_is_told_from_not_there(
    detector, caplog
):
    caplog.set_level(logging.WARNING, "spatialtrust")
    asked = ["sofa", "person", "red cup", "kettle"]
    found = detector.detect({"a": PICTURE, "b": PICTURE}, {"a": asked, "b": asked})
    status = {(row["image_id"], row["phrase"]): row["status"] for row in found.data.to_pylist()}
    for image_id in ("a", "b"):
        assert status[image_id, "sofa"] == "ok"
        assert status[image_id, "person"] == "not_found"
        assert status[image_id, "red cup"] == status[image_id, "kettle"] == "phrase_unknown"
    assert caplog.text.count("not looked for") == 1
    assert '"red cup" (it finds "cup"), "kettle"' in caplog.text


def test_without_phrases_every_class_that_is_there_is_found(detector):
    rows = detector.detect({"a": PICTURE}, {}).data.to_pylist()
    assert [(row["phrase"], row["rank"]) for row in rows] == [("couch", 0), ("cup", 0)]
    assert rows[1]["x2"] == 40, "cut at the picture's edge"
    assert len(detector.detect({"a": PICTURE}, {"a": []})) == 0


def test_one_image_that_fails_does_not_stop_the_others(detector):
    images = {"a": PICTURE, "b": PICTURE + 255, "c": PICTURE[:0]}
    found = detector.detect(images, {name: ["cup", "kettle"] for name in "abcd"})
    status = {(row["image_id"], row["phrase"]): row["status"] for row in found.data.to_pylist()}
    assert status["a", "cup"] == "ok"
    assert status["b", "cup"] == "failed: ValueError: white"
    assert status["c", "cup"] == status["d", "cup"] == "image_unreadable"
    assert {status[name, "kettle"] for name in "abcd"} == {"phrase_unknown"}


def test_a_claim_about_a_thing_that_was_not_looked_for_says_so(detector):
    found = detector.detect({"a": PICTURE}, {"a": ["cup", "person", "kettle"]})
    rows = [{"claim_id": str(n), "image_id": "a", "subject": "cup", "relation": "on", "object": o}
            for n, o in enumerate(["person", "The kettle", "cup"])]  # fmt: skip
    reasons = decode(ground(Claims.from_rows(rows), found).reasons).to_pylist()
    assert "object_missing" in reasons[0]
    assert "not_looked_for" not in reasons[0]
    assert {"object_missing", "not_looked_for"} <= set(reasons[1])
    assert "not_looked_for" not in reasons[2]


@pytest.mark.parametrize(
    ("phrase", "name"),
    [
        ("sofa", "couch"), ("the Couches", "couch"), ("TV monitor", "tv"), ("knives", "knife"),
        ("fridge", "refrigerator"), ("mobile phone", "cell phone"), ("people", "person"),
        ("buses", "bus"), ("wine glasses", "wine glass"), ("motorbikes", "motorcycle"),
        ("skis", "skis"),
        ("table", "dining table"), ("potted-plant", "potted plant"), ("scissors", "scissors"),
        ("sheep", "sheep"), ("batteries", None), ("man", None), ("red cup", None), ("", None),
        ("hot dogs", "hot dog"), ("glass", None), ("N/A", None),
    ],
)  # fmt: skip
def test_synonyms_and_plurals_mean_a_class_and_nothing_looser(phrase, name):
    numbers = Vocabulary(COCO).lay([phrase])[phrase]
    assert numbers == (() if name is None else (COCO.index(name),))


def test_a_model_may_call_a_class_by_any_of_its_names():
    known = Vocabulary(("sofa", "aeroplane", "tvmonitor"))
    assert known.lay(["couch", "plane", "television"]) == {
        "couch": (0,), "plane": (1,), "television": (2,)
    }  # fmt: skip


def test_the_classes_are_cocos():
    assert len(COCO) == 80
    assert (COCO_91[1], COCO_91[44], COCO_91[90], COCO_91[12]) == (
        "person", "bottle", "toothbrush", "",
    )  # fmt: skip
    assert len(COCO_91) == 91


def test_a_missing_extra_names_the_command(monkeypatch):
    def gone(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(photos, "distribution", gone)
    with pytest.raises(MissingDependencyError, match=r'pip install "spatialtrust\[photos\]"'):
        open_detector("photos")


def test_a_file_with_another_hash_is_refused(monkeypatch, tmp_path):
    class Package:
        def locate_file(self, name):
            return tmp_path / name.rpartition("/")[2]

    monkeypatch.setattr(photos, "distribution", lambda name: Package())
    with pytest.raises(BackendError, match=r"frozen_inference_graph\.pb cannot be read"):
        open_detector("photos")
    (tmp_path / photos.WEIGHTS).write_bytes(b"other")
    with pytest.raises(BackendError, match=r"SHA-256 is \w{64}, expected 2a8d8a89.*reinstall"):
        open_detector("photos")


def test_photos_is_a_detector_and_takes_no_name():
    with pytest.raises(InputError, match="is no asker"):
        open_asker("photos")
    with pytest.raises(InputError, match="takes no name"):
        open_detector("photos:ssd")


@pytest.fixture(scope="module")
def live():
    try:
        return open_detector("photos", Options(score_threshold=0.3))
    except MissingDependencyError:
        pytest.skip("needs the extra photos")


def test_photos_finds_what_stands_on_a_photograph(live, shared_data):
    from spatialtrust.io.images import read_image

    picture = read_image(shared_data / "photos" / "images" / "000000000030.jpg")
    rows = live.detect({"a": picture}, {"a": ["vase", "houseplant", "giraffe"]}).data.to_pylist()
    best = {row["phrase"]: row for row in rows if row["rank"] == 0}
    assert best["giraffe"]["status"] == "not_found"
    assert best["vase"]["score"] > 0.9
    vase = [best["vase"][name] for name in ("x1", "y1", "x2", "y2")]
    np.testing.assert_allclose(vase, [237.56, 155.81, 403.96, 351.07], atol=15)


def test_the_photographs_that_ship_are_under_cc_by_and_say_whence_they_come():
    folder = ROOT / "data" / "photos"
    listed = json.loads((folder / "boxes.json").read_text("utf-8"))
    names = sorted(row["file_name"] for row in listed)
    assert names == sorted(path.name for path in (folder / "images").iterdir())
    for row in listed:
        assert row["licence"] == "CC BY 2.0"
        assert row["licence_url"].endswith("/licenses/by/2.0/")
        assert "flickr" in row["flickr_url"]
        assert row["changes"] == "none"


@pytest.mark.parametrize("source", ["live", "shipped boxes"])
def test_the_demo_makes_graphs_of_them_live_or_from_the_boxes_that_ship(tmp_path, source):
    photos_here = ROOT / "data" / "photos"
    boxes = f"recorded:{photos_here / 'boxes.json'}"
    if source == "live":
        try:
            open_detector("photos")
        except MissingDependencyError:
            pytest.skip("needs the extra photos")
    config = RunConfig(detector="photos" if source == "live" else boxes, score_threshold=0.4)
    found = execute(prepare(config, tmp_path / "run", [photos_here / "images"]))
    assert found["graphs"] == 4
    assert found["edges"] >= 8
    assert len(list((tmp_path / "run" / "overlays").iterdir())) == 4
    graph = load_graph(next((tmp_path / "run" / "graphs").glob("*196393*.json")))
    edges = graph.edges.select(["relation", "object_id"]).to_pylist()
    assert any(e["relation"] == "left of" and e["object_id"].startswith("bird") for e in edges)


def test_a_phrase_that_was_not_looked_for_stands_in_the_summary(tmp_path):
    config = RunConfig(detector="photos", objects=("cat", "kettle"), overlays=False)
    try:
        photos_here = ROOT / "data" / "photos" / "images" / "000000196393.jpg"
        found = execute(prepare(config, tmp_path / "run", [photos_here]))
    except MissingDependencyError:
        pytest.skip("needs the extra photos")
    assert found["phrases_not_looked_for"] == ["kettle"]
