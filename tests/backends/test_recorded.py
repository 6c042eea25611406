from __future__ import annotations

import json

import numpy as np

from spatialtrust.backends.base import Asker, Detector
from spatialtrust.backends.registry import open_asker, open_detector
from spatialtrust.io.parquet import write_table
from spatialtrust.tables import Answers, Claims

ROW = {"view": "plain", "form": "claim", "prompt_id": "default", "answer": "yes"}


def answers(tmp_path, *rows: dict) -> Asker:
    write_table(Answers.from_rows({"model": "m", **ROW, **row} for row in rows).data,
                tmp_path / "answers.parquet")  # fmt: skip
    return open_asker(f"recorded:{tmp_path / 'answers.parquet'}")


def claims(*names: str) -> Claims:
    return Claims.from_rows({"claim_id": name, "image_id": "a.jpg"} for name in names)


def test_recorded_answers_are_found_by_claim_view_form_and_prompt(tmp_path) -> None:
    asker = answers(tmp_path, {"claim_id": "1"}, {"claim_id": "2"},
                    {"claim_id": "1", "view": "mirror", "answer": "no"})  # fmt: skip
    assert isinstance(asker, Asker)
    found = asker.ask({}, claims("1"), views=("plain", "mirror"))
    assert found.data.select(["claim_id", "view", "answer"]).to_pylist() == [
        {"claim_id": "1", "view": "mirror", "answer": "no"},
        {"claim_id": "1", "view": "plain", "answer": "yes"},
    ]


def test_a_claim_that_was_not_recorded_says_so_under_the_recorded_model(tmp_path) -> None:
    found = answers(tmp_path, {"claim_id": "1"}).ask({}, claims("9"))
    assert found.data.select(["claim_id", "model", "answer", "status"]).to_pylist() == [
        {"claim_id": "9", "model": "m", "answer": None, "status": "not_recorded"}
    ]


def test_recorded_boxes_need_a_size_and_no_pixels(tmp_path) -> None:
    (tmp_path / "classes.txt").write_text("mug\n")
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    detector = open_detector(f"recorded:{tmp_path}")
    assert isinstance(detector, Detector)
    assert not detector.needs_pixels
    size = np.empty((40, 80, 0), dtype=np.uint8)
    found = detector.detect({"x/a.jpg": size, "b.jpg": size}, {})
    assert found.boxes().tolist() == [[20, 10, 60, 30]]
    asked = detector.detect({"x/a.jpg": size}, {"x/a.jpg": ["MUG", "cat"]})
    assert dict(zip(asked.strings("phrase"), asked.strings("status"), strict=True)) == {
        "mug": "ok",
        "cat": "not_found",
    }


def test_the_revision_is_the_content_of_the_file(tmp_path) -> None:
    for name, content in (("a.json", []), ("b.json", []), ("c.json", [1])):
        (tmp_path / name).write_text(json.dumps(content))
    revision = [open_detector(f"recorded:{tmp_path / n}.json").revision for n in "abc"]
    assert revision[0] == revision[1] != revision[2]


def test_replies_are_read_and_counted_and_a_folder_has_a_revision(tmp_path, caplog) -> None:
    asker = answers(tmp_path, {"claim_id": "1", "answer": "Yes, it is."},
                    {"claim_id": "2", "answer": "Not sure"})  # fmt: skip
    found = asker.ask({}, claims("1", "2", "3"))
    assert found.strings("answer") == ["yes", "unparsed", None]
    assert "1 of 2 answers are neither yes nor no" in caplog.text
    folder = open_asker(f"recorded:{tmp_path}")
    before = folder.revision
    answers(tmp_path, {"claim_id": "1", "answer": "no"})
    assert None is not before != folder.revision
