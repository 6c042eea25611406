"""Results hold what their ending says, and are read back as they were."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from spatialtrust.errors import FileError
from spatialtrust.io.results import ENDINGS, read_results, write_results

TABLE = pa.table(
    {
        "claim_id": ["0", "1", "2"],
        "p_true": pa.array([0.9, float("nan"), None], pa.float32()),
        "score": [1 / 3, float("nan"), float("inf")],
        "decision": pa.array(["accept", "abstain", None]).dictionary_encode(),
        "reasons": pa.array([[], ["box_missing", "relation_unknown"], []], pa.list_(pa.string())),
        "note": ["=1+1", "'quoted', \"twice\"\nand two lines", "-"],
        "box": [[0.5, 1.0], [float("nan"), 2.0], None],
        "label": pa.array([1, None, 0], pa.int8()),
    }
)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_table_is_read_back_as_it_was(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"out{ending}"
    notes = write_results(TABLE, path)
    assert bool(notes) == ending.startswith(".csv")
    found = read_results(path)
    assert found.column_names == TABLE.column_names
    assert found["note"].to_pylist() == TABLE["note"].to_pylist()
    assert found["reasons"].to_pylist() == TABLE["reasons"].to_pylist()
    assert found["decision"].to_pylist() == ["accept", "abstain", None]
    assert [int(v) if v is not None else None for v in found["label"].to_pylist()] == [1, None, 0]
    np.testing.assert_array_equal(
        found["p_true"].cast(pa.float32()).to_numpy(), np.float32([0.9, np.nan, np.nan])
    )


def test_lines_of_json_are_plain_json(tmp_path: Path) -> None:
    write_results(TABLE, tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert rows[0] == {"claim_id": "0", "p_true": 0.9, "score": 1 / 3, "decision": "accept",
                       "reasons": [], "note": "=1+1", "box": [0.5, 1.0], "label": 1}  # fmt: skip
    assert rows[1]["p_true"] is None
    assert rows[1]["box"] == [None, 2.0]


def test_cells_of_csv_hold_lists_as_json_and_no_formula(tmp_path: Path) -> None:
    (note,) = write_results(TABLE, tmp_path / "out.csv.gz")
    assert note.startswith("2 texts that a spreadsheet would run")
    with gzip.open(tmp_path / "out.csv.gz", "rt", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["note"] for row in rows] == ["'=1+1", TABLE["note"][1].as_py(), "'-"]
    assert [row["p_true"] for row in rows] == ["0.9", "", ""]
    assert json.loads(rows[1]["reasons"]) == ["box_missing", "relation_unknown"]
    assert json.loads(rows[1]["box"]) == [None, 2.0]


@pytest.mark.parametrize("text", ["=A1", "+1", "-1", "@x", "'=A1", "''=A1", "'a", "a=b", "\tx"])
def test_an_apostrophe_comes_and_goes(tmp_path: Path, text: str) -> None:
    write_results(pa.table({"claim_id": ["0"], "=own": [text]}), tmp_path / "out.csv")
    found = read_results(tmp_path / "out.csv")
    assert found.to_pylist() == [{"claim_id": "0", "=own": text}]


@pytest.mark.parametrize("name", ["out", "out.txt", "out.json", "out.xlsx", "out.csv.zip", ".csv"])
def test_another_ending_names_the_valid_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match=r"valid: \.parquet, \.csv, \.csv\.gz, \.jsonl"):
        write_results(TABLE, tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("value", [b"\xff", date(2020, 1, 1), {"a": float("nan")}])
def test_any_column_of_ones_own_can_be_written(tmp_path: Path, value: Any) -> None:
    for ending in (".csv", ".jsonl"):
        path = tmp_path / f"out{ending}"
        write_results(pa.table({"claim_id": ["0"], "own": pa.array([value])}), path)
        assert read_results(path).num_rows == 1
