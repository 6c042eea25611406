"""Result files of other tools: every row accounted for; what is of none is refused by name."""

from __future__ import annotations

import json
import math
import pickle
import zipfile

import pytest

from spatialtrust.errors import ColumnError, FileError
from spatialtrust.io.results_of_others import read_results_of_others as read
from tests.helpers import result_files as made

pytest.importorskip("openpyxl")


def by_id(results):
    return {row.id: row for row in results.rows}


@pytest.mark.parametrize("kind", ["xlsx", "tsv", "json", "columns"])
def test_every_row_of_a_vlmevalkit_file_is_accounted_for(tmp_path, kind):
    rows = made.questions()
    path = tmp_path / f"VLM_Bench.{'json' if kind == 'columns' else kind}"
    if kind == "xlsx":
        made.xlsx(path, rows)
    elif kind == "tsv":
        made.tsv(path, rows)
    elif kind == "json":
        path.write_text(json.dumps(rows))
    else:
        names = rows[0].keys()
        columns = {name: {str(n): row[name] for n, row in enumerate(rows)} for name in names}
        path.write_text(json.dumps(columns))
    found = read(path)
    assert found.tool == "VLMEvalKit"
    assert found.counts() == {"ok": 57, "no_reply": 2, "reply_not_read": 1}
    rows = by_id(found)
    assert (rows["5"].status, rows["5"].is_correct) == ("no_reply", None)
    assert rows["0"].options == {"A": "mug 0", "B": "cup 0"}
    assert rows["0"].is_correct == (rows["0"].predicted == "A")
    assert rows["0"].sub_task == "height_higher"


def test_the_tools_own_verdict_counts_before_what_is_read_here(tmp_path):
    rows = made.questions()
    for row in rows:
        row["hit"] = 0
        row["pred_extracted"] = "B"
    found = read(made.xlsx(tmp_path / "VLM_Bench_extract_matching.xlsx", rows))
    assert found.counts() == {"ok": 58, "no_reply": 2}, "a guess for a failed reply is no answer"
    assert not any(row.is_correct for row in found.rows)
    assert by_id(found)["0"].predicted == "B"


def test_a_degree_is_no_right_or_wrong(tmp_path):
    rows = [{"index": 0, "prediction": "2.5", "answer": "2", "score": 0.6}]
    assert read(made.tsv(tmp_path / "a.tsv", rows)).counts() == {"score_not_binary": 1}


def test_variants_are_orbits_and_clusters(tmp_path):
    found = read(made.xlsx(tmp_path / "VLM_3DSRBench.xlsx", made.circular()))
    rows = {row.id: row for row in found.rows}
    flipped = rows["VIN00003-flip-1"]
    assert (flipped.orbit, flipped.cluster) == ("VIN00003-flip", "VIN00003")
    for row in found.rows:
        other = next(r for r in found.rows if r.orbit == row.orbit and r is not row)
        same = row.options[row.predicted] == other.options[other.predicted]
        assert row.confidence == (1.0 if same else 0.5)


def test_numbers_of_a_million_are_variants_too(tmp_path):
    rows = [
        {"index": 7, "A": "mug", "B": "cup", "answer": "A", "prediction": "A"},
        {"index": 1_000_007, "A": "cup", "B": "mug", "answer": "B", "prediction": "A"},
        {"index": 8, "A": "cup", "B": "mug", "answer": "B", "prediction": "A"},
    ]
    found = read(made.tsv(tmp_path / "a.tsv", rows)).rows
    assert [row.orbit for row in found] == ["7", "7", "8"]
    assert found[0].confidence == 0.5
    assert math.isnan(found[2].confidence)


def test_samples_of_lmms_eval_are_read_with_their_metric(tmp_path):
    found = read(made.jsonl(tmp_path / "x_samples_embspatial.jsonl", made.embspatial()))
    assert (found.tool, found.counts()) == ("lmms-eval", {"ok": 60})
    assert {row.sub_task for row in found.rows} == {"left", "above", "close"}
    assert "embspatial_acc (60)" in found.notes[-1]
    numbers = [
        {"doc_id": 0, "target": "A", "filtered_resps": ["A"], "exact_match": 1.0},
        {"doc_id": 1, "target": "A", "filtered_resps": ["B"], "exact_match": 0.0},
        {"doc_id": 2, "target": "2", "filtered_resps": ["2.1"], "mra": 0.7},
        {"doc_id": 3, "target": "A", "filtered_resps": [], "exact_match": 0.0},
        {"doc_id": 4, "target": "yes", "filtered_resps": ["Yes."]},
    ]
    found = read(made.jsonl(tmp_path / "y_samples_a.jsonl", numbers)).rows
    assert [row.status for row in found] == ["ok", "ok", "score_not_binary", "no_reply", "ok"]
    assert [row.is_correct for row in found] == [True, False, None, None, True]


def test_pope_is_read_with_its_labels_beside_or_within(tmp_path):
    asked, answers = made.pope()
    path = made.jsonl(tmp_path / "answers.jsonl", answers)
    labels = made.jsonl(tmp_path / "coco_pope_adversarial.json", asked)
    with pytest.raises(ColumnError, match="--labels"):
        read(path)
    found = read(path, labels)
    assert (found.tool, found.counts()) == ("POPE", {"ok": 60})
    assert sum(row.is_correct for row in found.rows) == 54
    assert found.rows[7].cluster == "COCO_1.jpg"
    within = [{"question_id": 1, "question": "Is there a mug?", "answer": "no", "label": "yes"}]
    assert read(made.jsonl(tmp_path / "pope_random.jsonl", within)).rows[0].is_correct is False
    with pytest.raises(FileError, match="without a model's replies"):
        read(labels)


def test_whatsup_is_read_with_scores(tmp_path):
    path = tmp_path / "whatsup.json"
    rows = made.whatsup()
    rows[0]["scores"] = [1.0, 1.0, 0.0, 0.0]
    rows[1].pop("scores")
    rows[2] = {"image_path": "x.jpg", "caption_options": []}
    rows[3]["prediction"] = rows[3].pop("scores") and 0
    path.write_text(json.dumps(rows))
    found = read(path)
    assert found.counts() == {"ok": 38, "no_reply": 1, "row_unreadable": 1}
    assert found.rows[0].is_correct is False, "captions that tie are a guess"
    assert found.rows[3].is_correct is True
    assert {row.sub_task for row in found.rows[4:]} <= {"left of", "right of", "on", "under"}


def refused(path, says, kind=FileError, **more):
    with pytest.raises(kind, match=says):
        read(path, **more)


def test_files_that_can_run_code_are_not_opened(tmp_path):
    path = tmp_path / "VLM_Bench_result.pkl"
    path.write_bytes(pickle.dumps({"hit": 1}))
    refused(path, "is a pickle")


def test_merged_cells_are_refused(tmp_path):
    path = made.xlsx(tmp_path / "a.xlsx", made.questions(), merge="G2:G4")
    refused(path, r"merged cells \(G2:G4\)")


def test_missing_columns_are_named(tmp_path):
    rows = [{k: v for k, v in row.items() if k != "prediction"} for row in made.questions()]
    refused(made.xlsx(tmp_path / "a.xlsx", rows), '"prediction" is missing', ColumnError)
    rows = [{"index": 1, "predictions": "A", "question": "?", "answer": "A"}]
    refused(made.tsv(tmp_path / "b.tsv", rows), 'did you mean "predictions"', ColumnError)
    rows = [{"index": 1, "prediction": "A", "question": "?"}]
    refused(made.tsv(tmp_path / "c.tsv", rows), "nothing says what is right", ColumnError)
    rows = [{"doc_id": 1, "target": "A"}]
    refused(made.jsonl(tmp_path / "d.jsonl", rows), "filtered_resps", ColumnError)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"results": {"embspatial": {}}, "configs": {}}, "summary of lmms-eval"),
        ({"args": {}, "logs": [{"doc_id": 0}]}, "before version 0.3"),
        ({"eval": {}, "samples": []}, "inspect_ai"),
        ({"overall": 0.5, "left": 0.4}, "totals"),
        ({"a": {"b": {"c": 1}}}, "no tool or version"),
        ([{"instruction": "hi", "output": "A"}], "no tool or version that is known"),
        ([], "no rows"),
        (7, "neither rows nor columns"),
    ],
)
def test_files_of_other_tools_and_versions_are_refused_by_name(tmp_path, content, says):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    refused(path, says)


def test_files_that_are_not_what_they_are_called(tmp_path):
    path = tmp_path / "a.xlsx"
    path.write_text("index,prediction\n")
    refused(path, "no .xlsx file, whatever its name")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("x", b"0" * (1 << 26))
    refused(path, "unpacks to")
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("x", b"0")
    refused(path, "not a readable spreadsheet")
    refused(made.xlsx(tmp_path / "b.xlsx", [{"index": None}]), "no rows")
    for name, says in (("c.eval", "inspect_ai"), ("d.xls", "before 2007"), ("e.txt", "of kind")):
        (tmp_path / name).write_text("x")
        refused(tmp_path / name, says)
    refused(tmp_path / "nowhere.tsv", "does not exist")
    refused(tmp_path, "is a folder")
    (tmp_path / "f.tsv").write_text("")
    refused(tmp_path / "f.tsv", "is empty")
    (tmp_path / "g.json").write_text("{")
    refused(tmp_path / "g.json", "JSON")


def test_bad_rows_cost_themselves(tmp_path):
    path = tmp_path / "a.jsonl"
    rows = made.jsonl(tmp_path / "b.jsonl", made.embspatial(3)).read_text()
    path.write_text(rows + "{\n[1]\n")
    assert read(path).counts() == {"ok": 3, "row_unreadable": 2}
    path = tmp_path / "a.tsv"
    path.write_text("index\tprediction\tanswer\n1\tA\tA\n2\tA\n3\t\tB\n")
    assert read(path).counts() == {"ok": 1, "row_unreadable": 1, "no_reply": 1}
