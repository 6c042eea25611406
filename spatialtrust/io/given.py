"""What people hold in Python: claims as a data frame, a table, rows or one row; boxes of an image.

>>> rows_of({"caption": "The mug is left of the kettle."}).table.num_rows
1
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pyarrow as pa

from spatialtrust.errors import InputError
from spatialtrust.io.rows import RawRows, as_column, read_rows

if TYPE_CHECKING:
    from pathlib import Path

    Held: TypeAlias = str | Path | pa.Table | Mapping[str, Any] | Iterable[Mapping[str, Any]] | Any

SOURCE: Final = "rows"
FORMS: Final = "a path, a DataFrame, an Arrow table, a list of rows (dictionaries), or one row"
_WORDS: Final = ("caption", "text", "subject")


def rows_of(claims: Held) -> RawRows:
    """Claims as rows, whatever they are held in.

    Parameters
    ----------
    claims: a path (see :func:`spatialtrust.io.rows.read_rows`); an Arrow table; a pandas DataFrame,
        or any library's that exports Arrow; a list of dictionaries; one dictionary; or a dictionary
        of columns. An index that means something (named, or not 0, 1, 2 ...) becomes a column.

    Raises
    ------
    InputError: it is none of these, two columns have one name, or there is nothing in it.
    FileError: see :func:`spatialtrust.io.rows.read_rows`.
    """
    if isinstance(claims, str | os.PathLike):
        return read_rows(os.fspath(claims))
    if is_frame(claims):
        return RawRows.from_table(_of_frame(claims), "DataFrame")
    if isinstance(claims, Mapping):
        return _of_mapping(claims)
    if hasattr(claims, "to_dict") and hasattr(claims, "index"):  # one row of a DataFrame
        return _of_records([claims.to_dict()])
    if isinstance(claims, pa.Table | pa.RecordBatch) or hasattr(claims, "__arrow_c_stream__"):
        return RawRows.from_table(_plain(_arrow(claims)), "table")
    if not isinstance(claims, Iterable) or isinstance(claims, bytes):
        raise InputError(f"claims are a {type(claims).__name__}; give {FORMS}")
    rows = list(claims)
    for place, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise InputError(f"row {place} of the claims is a {type(row).__name__}; give {FORMS}")
    if not rows:
        raise InputError("the list of claims is empty; give at least one row")
    return _of_records(rows)


def is_frame(given: Any) -> bool:
    """Whether something is a pandas DataFrame; pandas is not imported for it."""
    kind = type(given)
    return any(
        base.__name__ == "DataFrame" and base.__module__.split(".")[0] == "pandas"
        for base in kind.__mro__
    )


def index_names(given: Any) -> dict[str, str | None]:
    """The columns that :func:`rows_of` makes of a DataFrame's index, each with the level's name.

    Empty where the index is 0, 1, 2 ... without a name, or repeats a column.
    """
    if not is_frame(given):
        return {}
    index = given.index
    counts = type(index).__name__ == "RangeIndex" and (index.start, index.step) == (0, 1)
    if counts and index.name is None:
        return {}
    taken = {str(name) for name in given.columns}
    found: dict[str, str | None] = {}
    for level, name in enumerate(index.names):
        if name is not None and str(name) in taken:
            continue
        column = str(name) if name is not None else "index" if level == 0 else f"index_{level}"
        while column in taken or column in found:
            column += "_"
        found[column] = None if name is None else str(name)
    return found


def plain(value: Any) -> Any:
    """A cell as plain Python: arrays and tensors are lists, NaN and NA alone are None.

    >>> import numpy as np
    >>> plain([np.float32(0.5), (1, np.array([2]))]), plain(float("nan"))
    ([0.5, [1, [2]]], None)
    """
    value = listed(value)
    if isinstance(value, float) and value != value:  # noqa: PLR0124
        return None
    return value


def listed(value: Any) -> Any:
    """A value as plain Python, arrays and tensors as lists, at any depth."""
    if value is None or isinstance(value, str | int | float | bytes):
        return value
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, Mapping):
        return {str(key): listed(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [listed(item) for item in value]
    if hasattr(value, "tolist"):
        return listed(value.tolist())
    return value


def _of_records(records: Iterable[Mapping[Any, Any]]) -> RawRows:
    rows = ({str(key): plain(value) for key, value in row.items()} for row in records)
    return RawRows.from_records(rows, SOURCE)


def _of_mapping(claims: Mapping[Any, Any]) -> RawRows:
    """One row, or a dictionary of columns: its words are then lists."""
    if not claims:
        raise InputError("the row is empty; give caption, subject_box and object_box")
    words = [listed(claims[name]) for name in _WORDS if name in claims]
    if not any(isinstance(word, list) for word in words):
        return _of_records([claims])
    columns = {str(name): listed(values) for name, values in claims.items()}
    lengths = {
        name: len(values) if isinstance(values, list) else 1 for name, values in columns.items()
    }
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(f"the columns have different lengths ({told}); give one cell per claim")
    table = {name: as_column([plain(value) for value in columns[name]]) for name in columns}
    return RawRows.from_table(pa.table(table), "columns")


def _of_frame(frame: Any) -> pa.Table:
    names = [str(name) for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f'the DataFrame has two columns "{twice[0]}"; give each its own name')
    columns = {name: _series(frame.iloc[:, place]) for place, name in enumerate(names)}
    levels = index_names(frame)
    values = {None if name is None else str(name): k for k, name in enumerate(frame.index.names)}
    unnamed = iter(k for k, name in enumerate(frame.index.names) if name is None)
    for column, name in levels.items():
        level = next(unnamed) if name is None else values[name]
        columns[column] = _series(frame.index.get_level_values(level))
    return _plain(pa.table(columns))


def _series(series: Any) -> pa.Array:
    try:
        column = pa.Array.from_pandas(series)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return as_column([plain(value) for value in series.tolist()])
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _arrow(given: Any) -> pa.Table:
    if isinstance(given, pa.RecordBatch):
        return pa.Table.from_batches([given])
    return given if isinstance(given, pa.Table) else pa.table(given)


def _plain(table: pa.Table) -> pa.Table:
    """Dictionaries as their values, and long or view texts as texts."""
    names = table.column_names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f'the table has two columns "{twice[0]}"; give each its own name')
    columns = {}
    for name in names:
        column = table[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
            column = column.cast(pa.string())
        columns[name] = column
    return pa.table(columns)
