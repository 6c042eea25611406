"""Results in the form that their file's ending says: Parquet, CSV or JSON lines, and back.

In text NaN is an empty cell or null, and a list in a cell of CSV is JSON. A text that a spreadsheet
would run as a formula gets an apostrophe in front in CSV, which is taken off when it is read again.
"""

from __future__ import annotations

import gzip
import io
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from spatialtrust.documents import loads
from spatialtrust.errors import FileError
from spatialtrust.files import write_bytes
from spatialtrust.io.parquet import read_table, write_table
from spatialtrust.io.rows import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDINGS: Final = (".parquet", ".csv", ".csv.gz", ".jsonl", ".jsonl.gz")
_FORMULA: Final = r"^'*[=+\-@\t\r]"
_NEUTRALISED: Final = r"^'('*[=+\-@\t\r])"
_NUMBERS: Final = ("label", "p_yes")
"""Columns that rows of claims keep as text, since people write yes and true there."""

_BATCH: Final = 10_000


def expect_ending(path: str | Path, valid: tuple[str, ...] = ENDINGS) -> str:
    """The ending of a file to write.

    Raises
    ------
    FileError: another ending, or none: it would not say what is in the file.

    >>> expect_ending("verdicts.CSV.gz")
    '.csv.gz'
    """
    name = Path(path).name.lower()
    for ending in sorted(valid, key=len, reverse=True):
        if name.endswith(ending) and name != ending:
            return ending
    given = "".join(Path(name).suffixes[-2:]) or "none"
    raise FileError(path, f"has the ending {given}", f"valid: {', '.join(valid)}")


def write_results(table: pa.Table, path: str | Path) -> tuple[str, ...]:
    """Write a table in the form that the ending says, atomically.

    Returns
    -------
    What was changed on the way, in sentences.

    Raises
    ------
    FileError: the ending is not known, or the target cannot be written.
    """
    ending = expect_ending(path)
    if ending == ".parquet":
        write_table(table, path)
        return ()
    notes: tuple[str, ...] = ()
    plain = pa.table([_plain(column) for column in table.columns], names=table.column_names)
    if ending.startswith(".csv"):
        content, notes = _csv(plain)
    else:
        content = "".join(_lines(plain)).encode()
    write_bytes(gzip.compress(content, mtime=0) if ending.endswith(".gz") else content, path)
    return notes


def read_results(path: str | Path) -> pa.Table:
    """A table that :func:`write_results` wrote, or a folder of Parquet parts.

    Raises
    ------
    FileError: nothing is there, or it cannot be read.
    """
    name = Path(path).name.lower().removesuffix(".gz")
    if not name.endswith((".csv", ".jsonl")):
        return read_table(path)
    rows = read_rows(path)
    if rows.broken is not None:
        raise rows.broken
    if rows.faults:
        raise FileError(path, f"has a row that cannot be read ({rows.faults[0]})")
    table = rows.table
    if name.endswith(".jsonl"):
        return table
    columns = [_read_back(table[name], name in _NUMBERS) for name in table.column_names]
    names = pc.replace_substring_regex(pa.array(table.column_names), _NEUTRALISED, r"\1")
    return pa.table(columns, names=names.to_pylist())


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column whose NaN is null and whose float32 keep their few digits."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not pa.types.is_floating(column.type):
        return column
    if column.type == pa.float32():
        column = column.cast(pa.string()).cast(pa.float64())
    return pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))


def _lines(table: pa.Table) -> Iterator[str]:
    for batch in table.to_batches(max_chunksize=_BATCH):
        for row in batch.to_pylist():
            yield f"{_json(row)}\n"


def _csv(table: pa.Table) -> tuple[bytes, tuple[str, ...]]:
    names = pa.array(table.column_names, pa.string())
    columns, changed = [], int(pc.sum(pc.match_substring_regex(names, _FORMULA)).as_py() or 0)
    for column in table.columns:
        if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
            listed = (None if value is None else _json(value) for value in column.to_pylist())
            column = pa.chunked_array([pa.array(listed, pa.string())])  # noqa: PLW2901
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            risky = pc.match_substring_regex(column, _FORMULA)
            changed += int(pc.sum(risky).as_py() or 0)
            prefixed = pc.binary_join_element_wise("'", column, "")
            column = pc.if_else(risky, prefixed, column)  # noqa: PLW2901
        columns.append(column)
    risky = pc.match_substring_regex(names, _FORMULA)
    names = pc.if_else(risky, pc.binary_join_element_wise("'", names, ""), names)
    sink = io.BytesIO()
    pa.csv.write_csv(pa.table(columns, names=names.to_pylist()), sink)
    if not changed:
        return sink.getvalue(), ()
    told = (
        f"{changed} texts that a spreadsheet would run as a formula have an apostrophe in front "
        "(spatialtrust takes it off again; Parquet and JSON lines hold them as they were)"
    )
    return sink.getvalue(), (told,)


def _read_back(column: pa.ChunkedArray, number: bool) -> pa.ChunkedArray:
    """A column of CSV without apostrophes of ours, lists as lists, and numbers as numbers."""
    if not pa.types.is_string(column.type):
        return column
    if number:
        try:
            return column.cast(pa.float64())
        except pa.ArrowException:
            return column
    text = pc.replace_substring_regex(column, _NEUTRALISED, r"\1")
    known = pc.drop_null(text)
    if not len(known) or not pc.all(pc.match_substring_regex(known, r"^\[.*\]$")).as_py():
        return text
    try:
        return pa.chunked_array(
            [[None if cell is None else loads(cell) for cell in text.to_pylist()]]
        )
    except (ValueError, pa.ArrowException):
        return text


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError):
        return json.dumps(_finite(value), ensure_ascii=False)


def _finite(value: Any) -> Any:
    """What JSON can hold: NaN is null, and what it has no form for is text."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if value is None or isinstance(value, str | int) else str(value)
