from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spatialtrust import schema
from spatialtrust.errors import FileError, InputError, SchemaVersionError
from spatialtrust.files import write_text
from spatialtrust.io.parquet import read_table, row_count, write_table

TABLE = pa.table({"claim_id": ["0", "1"], "p_true": pa.array([0.5, float("nan")], pa.float32())})


def test_a_table_reads_back_equal_and_equal_tables_give_equal_bytes(tmp_path) -> None:
    for name in ("a", "b"):
        write_table(TABLE, tmp_path / f"{name}.parquet")
    assert str(read_table(tmp_path / "a.parquet")) == str(TABLE)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_dictionaries_are_written_of_what_may_recur_and_not_of_fractions(tmp_path) -> None:
    nested = pa.struct([("name", pa.string()), ("box", pa.list_(pa.float64()))])
    table = TABLE.append_column("codes", pa.array([["a", "b"], ["a"]]))
    table = table.append_column("things", pa.array([{"name": "mug", "box": [0.5]}] * 2, nested))
    write_table(table, tmp_path / "a.parquet")
    group = pq.read_metadata(tmp_path / "a.parquet").row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    assert {column.path_in_schema: column.has_dictionary_page for column in columns} == {
        "claim_id": True,
        "p_true": False,
        "codes.list.element": True,
        "things.name": True,
        "things.box.list.element": False,
    }


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch) -> None:
    write_text("old", tmp_path / "a.txt")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(FileError, match="No space left on device"):
        write_text("new", tmp_path / "a.txt")
    assert [(f.name, f.read_text()) for f in tmp_path.iterdir()] == [("a.txt", "old")]


def test_a_folder_of_parts_reads_as_one_table_in_the_order_of_names(tmp_path) -> None:
    write_table(TABLE.slice(1), tmp_path / "00000001.parquet")
    write_table(TABLE.slice(0, 1), tmp_path / "00000000.parquet")
    assert read_table(tmp_path)["claim_id"].to_pylist() == ["0", "1"]


def test_files_that_cannot_be_read_are_named(tmp_path) -> None:
    with pytest.raises(FileError, match=r"none\.parquet: does not exist"):
        read_table(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(FileError, match=r"text\.parquet: cannot be read as Parquet"):
        read_table(tmp_path / "text.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match=r"holds no \.parquet file"):
        read_table(tmp_path / "empty")


def test_a_target_that_cannot_be_written_is_named(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written"):
        write_table(TABLE, tmp_path / "file" / "a.parquet")


def test_a_table_of_another_schema_version_is_refused(tmp_path) -> None:
    old = TABLE.replace_schema_metadata({"spatialtrust.schema": str(schema.VERSION + 1)})
    write_table(old, tmp_path / "old.parquet")
    with pytest.raises(SchemaVersionError, match=r"old\.parquet"):
        read_table(tmp_path / "old.parquet")


def _one_text_many_times(path: Path, *, nested: bool) -> Path:
    """Fifty kilobytes that say a text of a million letters a million times."""
    texts = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(1_000_000, np.int32)), pa.array(["x" * 1_000_000])
    )
    if nested:
        texts = pa.ListArray.from_arrays(np.arange(1_000_001, dtype=np.int32), texts)
    pq.write_table(pa.table({"caption": texts}), path, store_schema=False)
    return path


@pytest.mark.parametrize("nested", [False, True])
def test_a_small_file_that_would_fill_the_memory_is_refused(tmp_path, nested: bool) -> None:
    file = _one_text_many_times(tmp_path / "a.parquet", nested=nested)
    assert file.stat().st_size < 100_000
    with pytest.raises(FileError, match=r"would take .* SPATIALTRUST_MOST_TABLE_BYTES"):
        read_table(file)
    numbers = pa.table({f"c{place}": np.zeros(1_000_000) for place in range(200)})
    pq.write_table(numbers, file)
    with pytest.raises(FileError, match="would take"):
        read_table(file)


def test_a_limit_is_raised_by_the_environment(tmp_path, monkeypatch) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({f"c{place}": np.zeros(1_000_000) for place in range(130)}), file)
    monkeypatch.setenv("SPATIALTRUST_MOST_TABLE_BYTES", "1_000_000")
    with pytest.raises(FileError, match="would take"):
        read_table(file)
    monkeypatch.setenv("SPATIALTRUST_MOST_TABLE_BYTES", str(1 << 32))
    assert read_table(file).num_rows == 1_000_000
    monkeypatch.setenv("SPATIALTRUST_MOST_TABLE_BYTES", "4 GiB")
    with pytest.raises(InputError, match="give a whole number above 0"):
        read_table(file)


def test_some_columns_are_read_where_there_are_such(tmp_path) -> None:
    write_table(pa.table({"a": [1], "b": [2]}), tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet", ["b", "c"]).column_names == ["b"]
    assert row_count(tmp_path / "a.parquet") == 1
    with pytest.raises(FileError, match=r"none\.parquet"):
        row_count(tmp_path / "none.parquet")
