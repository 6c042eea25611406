"""Result files to reports: figures that can be counted by hand, and trust from boxes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spatialtrust.errors import ColumnError
from spatialtrust.evaluation.selective import render
from spatialtrust.jobs.judging import judge
from tests.helpers import result_files as made


@pytest.mark.parametrize("tool", ["vlmevalkit", "lmms-eval", "3dsrbench", "pope", "whatsup"])
def test_every_format_becomes_a_report_that_accounts_for_every_row(tmp_path, tool):
    labels = None
    if tool == "vlmevalkit":
        path = made.tsv(tmp_path / "a.tsv", made.questions())
    elif tool == "lmms-eval":
        path = made.jsonl(tmp_path / "a_samples_embspatial.jsonl", made.embspatial())
    elif tool == "3dsrbench":
        path = made.tsv(tmp_path / "VLM_3DSRBench.tsv", made.circular())
    elif tool == "pope":
        asked, answers = made.pope()
        path = made.jsonl(tmp_path / "answers.jsonl", answers)
        labels = made.jsonl(tmp_path / "coco_pope_random.jsonl", asked)
    else:
        path = tmp_path / "a.json"
        path.write_text(json.dumps(made.whatsup()))
    found = judge(path, labels=labels, resamples=20)
    report = found.report
    assert sum(report["by_status"].values()) == report["rows"] == found.table.num_rows
    counted = report["by_status"]["ok"]
    assert report["own"]["overall"]["rows"] == counted
    assert sum(block["rows"] for block in report["own"]["by_sub_task"].values()) == counted
    right = found.table["is_correct"].to_pylist().count(True)
    assert report["own"]["overall"]["accuracy"]["value"] == pytest.approx(right / counted)
    assert report["accuracy_of_all_rows"] == pytest.approx(right / report["rows"])
    assert str(report["rows"]) in render(report)
    json.dumps(report)


def test_variants_give_a_confidence_and_a_circular_score(tmp_path):
    found = judge(made.tsv(tmp_path / "a.tsv", made.circular()), resamples=20).report
    assert found["orbits"]["questions"] == 60
    overall = found["own"]["overall"]
    assert overall["groups"] == 30, "a question and its mirrored picture are one cluster"
    assert overall["auroc"]["value"] > 0.6
    assert "agreement" in found["own"]["from"]


def boxes(path, answers, claims):
    """Yes-and-no questions, and the claims that they ask about."""
    made.jsonl(path, claims)
    return path


def spatial(tmp_path, count=60):
    generator = np.random.default_rng(0)
    rows, claims = [], []
    for number in range(count):
        true = bool(number % 2)
        said = true if generator.random() < 0.7 else not true
        rows.append({"index": number, "prediction": "Yes" if said else "No", "category": "left",
                     "answer": "Yes" if true else "No", "question": "Is it left?"})  # fmt: skip
        x = (0.1, 0.6) if true else (0.6, 0.1)
        claims.append({"claim_id": str(number), "subject": "mug", "relation": "left of",
                       "object": "kettle", "subject_box": [x[0], 0.4, x[0] + 0.2, 0.6],
                       "object_box": [x[1], 0.4, x[1] + 0.2, 0.6], "box_format": "xyxy",
                       "box_unit": "fraction"})  # fmt: skip
    return rows, claims


def test_with_boxes_right_answers_are_told_from_wrong_ones(tmp_path):
    rows, claims = spatial(tmp_path)
    path = made.tsv(tmp_path / "a.tsv", rows)
    claims = [*claims[:-2], {**claims[0], "claim_id": "elsewhere"}]
    found = judge(path, boxes=boxes(tmp_path / "b.jsonl", rows, claims), resamples=20)
    assert found.report["join"]["joined"] == 58
    assert found.report["join"]["rows_without_boxes"] == 2
    assert sum(found.report["join"]["claims_left_out"].values()) == 1
    trust = found.report["trust"]["overall"]
    assert trust["rows"] == 58
    assert trust["auroc"]["value"] > 0.95
    assert found.table["trust"].to_numpy(zero_copy_only=False)[-1:] != found.table["trust"][0]


def test_options_are_joined_by_the_one_that_was_chosen(tmp_path):
    rows = [{"index": 0, "A": "left", "B": "right", "answer": "A", "prediction": "B"}]
    _, claims = spatial(tmp_path, 2)
    chosen = [
        {**claims[1], "claim_id": "0", "option": "A"},
        {**claims[1], "claim_id": "0", "option": "B", "relation": "right of"},
    ]
    path = made.tsv(tmp_path / "a.tsv", rows)
    found = judge(path, boxes=made.jsonl(tmp_path / "b.jsonl", chosen), resamples=0)
    assert found.report["join"]["joined"] == 1
    assert found.table["trust"][0].as_py() < 0.3, "the mug is on the left, and the VLM said right"
    bare = [{k: v for k, v in chosen[0].items() if k != "option"}]
    with pytest.raises(ColumnError, match="fits no question"):
        judge(path, boxes=made.jsonl(tmp_path / "c.jsonl", bare), resamples=0)


def test_boxes_without_ids_are_refused(tmp_path):
    rows, claims = spatial(tmp_path, 4)
    path = made.tsv(tmp_path / "a.tsv", rows)
    nameless = [{k: v for k, v in claim.items() if k != "claim_id"} for claim in claims]
    with pytest.raises(ColumnError, match="claim_id"):
        judge(path, boxes=made.jsonl(tmp_path / "b.jsonl", nameless))
    other = [{**claim, "claim_id": f"x{claim['claim_id']}"} for claim in claims]
    with pytest.raises(ColumnError, match="fits no question"):
        judge(path, boxes=made.jsonl(tmp_path / "c.jsonl", other))


def test_a_spreadsheet_without_the_extra_says_what_to_install(tmp_path, monkeypatch):
    import builtins

    from spatialtrust.errors import MissingDependencyError

    path = tmp_path / "a.xlsx"
    path.write_bytes(b"PK")
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name == "openpyxl":
            raise ImportError(name="openpyxl")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingDependencyError, match=r"spatialtrust\[xlsx\]"):
        judge(path)
