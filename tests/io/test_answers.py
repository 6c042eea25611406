"""Recorded answers are read from every kind of file by the reader that ``verify`` has."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spatialtrust.errors import ColumnError, FileError, RowError
from spatialtrust.io.answers import read_answers
from spatialtrust.tables import Claims

CLAIMS = Claims.from_rows(
    {"claim_id": name, "image_id": image, "subject": "mug", "relation": relation,
     "object": "kettle"}
    for name, image, relation in (("q1", "a.jpg", "left of"), ("q2", "a.jpg", "above"),
                                  ("q3", "b.jpg", "left of"))
)  # fmt: skip
ROWS = [
    {"claim_id": "q1", "answer": "Yes, it is."},
    {"claim_id": "q2", "answer": "Not sure"},
    {"claim_id": "q3", "answer": "It is not."},
]


def written(path, rows):
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [json.dumps(row) for row in rows]
    if ".csv" in path.name:
        cells = [[json.dumps(row.get(name, "")) for name in names] for row in rows]
        lines = [",".join(names), *(",".join(row) for row in cells)]
    content = "\n".join(lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def said(found):
    return dict(zip(found.strings("claim_id"), found.strings("answer"), strict=True))


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "jsonl.gz", "csv.gz"])
def test_whole_sentences_are_read_in_every_kind_of_file(tmp_path, kind) -> None:
    read = read_answers(written(tmp_path / f"said.{kind}", ROWS), "recorded:said")
    found = read.of(CLAIMS)
    assert said(found) == {"q1": "yes", "q2": "unparsed", "q3": "no"}
    assert set(found.strings("model")) == {"recorded:said"}
    assert "1 of 3 answers are neither yes nor no (first: row" in read.notes[0]
    assert '"Not sure"' in read.notes[0]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_without_ids_an_answer_is_to_the_claim_it_repeats(tmp_path, kind) -> None:
    rows = [
        {"image": "photos/a.jpg", "caption": "The mug is left of the kettle.", "answer": "No."},
        {"image": "photos/a.jpg", "caption": "The mug is above the kettle.", "answer": "yes"},
        {"image": "c.jpg", "caption": "The mug is left of the kettle.", "answer": "yes"},
    ]
    read = read_answers(written(tmp_path / f"said.{kind}", rows), "m")
    assert said(read.of(CLAIMS)) == {"q1": "no", "q2": "yes"}


def test_an_image_name_that_several_could_mean_answers_nothing(tmp_path) -> None:
    caption = {"caption": "The mug is left of the kettle.", "answer": "yes"}
    rows = [{"image": f"{folder}/a.jpg", **caption} for folder in "xy"]
    read = read_answers(written(tmp_path / "said.jsonl", rows), "m")
    assert said(read.of(CLAIMS)) == {}


def test_p_yes_alone_answers_and_a_bad_row_costs_itself(tmp_path) -> None:
    path = tmp_path / "said.jsonl"
    rows = [{"claim_id": "q1", "p_yes": 0.9}, {"claim_id": "q2", "p_yes": 7}]
    path.write_text("\n".join([*map(json.dumps, rows), "broken", '{"claim_id":"q3","p_yes":0.2}']))
    read = read_answers(path, "m")
    assert said(read.of(CLAIMS)) == {"q1": "yes", "q3": "no"}
    assert [fault.row for fault in read.faults] == [3, 2]


def test_what_cannot_be_read_says_what_can(tmp_path) -> None:
    for name in ("said.txt", "said.parquet", "none.jsonl"):
        if not name.startswith("none"):
            (tmp_path / name).write_text('{"claim_id": "q1", "answer": "yes"}')
        with pytest.raises(FileError, match=r"answers are read from .*\.jsonl") as raised:
            read_answers(tmp_path / name, "m")
        assert "magic" not in str(raised.value)
    with pytest.raises(ColumnError, match='"answer" is missing; give what the VLM said'):
        read_answers(written(tmp_path / "a.jsonl", [{"claim_id": "q1"}]), "m")
    with pytest.raises(ColumnError, match="by claim_id, or by image and caption"):
        read_answers(written(tmp_path / "b.jsonl", [{"answer": "yes"}]), "m")
    with pytest.raises(RowError, match="repeats that of row 1"):
        read_answers(written(tmp_path / "c.jsonl", [ROWS[0], ROWS[0]]), "m")
