"""Tables as tools write them: spreadsheets, and JSON by rows or by columns."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.documents import loads
from spatialtrust.errors import FileError, MissingDependencyError
from spatialtrust.files import first_line
from spatialtrust.io.separated import distinct
from spatialtrust.io.text import parse_json, read_text
from spatialtrust.limits import allowed, hint

if TYPE_CHECKING:
    from pathlib import Path

    from spatialtrust.io.separated import Table

LARGEST: Final = 1 << 30
"""Bytes that a spreadsheet may unpack to."""
_DENSEST: Final = 500
"""Times that it may be larger unpacked than packed; real ones are 5 to 30 times."""
_FEW_CELLS: Final = 100_000
"""Cells of a grid that may be nearly empty; each of a larger one takes some bytes of the file."""


def read_sheet(path: Path) -> tuple[Table, tuple[str, ...]]:
    """The rows of a spreadsheet's first sheet that holds something.

    Raises
    ------
    MissingDependencyError: openpyxl or defusedxml is not installed.
    FileError: it is no spreadsheet, unpacks to too much, or has merged cells or unnamed columns.
    """
    try:
        import defusedxml  # noqa: F401 (openpyxl then reads no entity that a file defines)
        import openpyxl
    except ImportError as error:
        raise MissingDependencyError(str(error.name), "xlsx", "a spreadsheet of results") from error
    size = _unpacked(path)
    try:
        book = openpyxl.load_workbook(path, data_only=True)
    except Exception as error:  # the library raises errors of many kinds
        raise FileError(
            path,
            f"is not a readable spreadsheet ({type(error).__name__}: {first_line(error)})",
            "open it and save it again as .xlsx, or export it as .tsv",
        ) from error
    sheets = [sheet for sheet in book.worksheets if sheet.max_row > 1]
    if not sheets:
        raise FileError(path, "holds no rows", "give the file with one row a question")
    sheet = sheets[0]
    if sheet.max_row * sheet.max_column > max(size, _FEW_CELLS):
        raise FileError(
            path,
            f"has a cell in row {sheet.max_row:,} or column {sheet.max_column:,}, far from others",
            "remove what stands far from the table, or export it as .tsv",
        )
    if sheet.merged_cells.ranges:
        where = ", ".join(str(part) for part in list(sheet.merged_cells.ranges)[:3])
        raise FileError(
            path,
            f"has merged cells ({where}), which do not say what belongs to each row",
            "give the file as the tool wrote it, or unmerge the cells and fill each of them",
        )
    notes: tuple[str, ...] = ()
    if len(sheets) > 1:
        notes = (f"{path}: sheet {sheet.title!r} is read, {len(sheets) - 1} other is not",)
    rows = list(sheet.iter_rows(values_only=True))
    names = distinct(path, ["" if cell is None else str(cell).strip() for cell in rows[0]])
    table: Table = [
        (number, {name: cell for name, cell in zip(names, cells, strict=False) if name})
        for number, cells in enumerate(rows[1:], 2)
        if any(cell is not None for cell in cells)
    ]
    return table, notes


def _unpacked(path: Path) -> int:
    """Bytes that a spreadsheet unpacks to."""
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
    except (OSError, zipfile.BadZipFile) as error:
        raise FileError(
            path,
            f"is no .xlsx file, whatever its name ({first_line(error)})",
            "an old .xls, a protected or a half-downloaded file has to be saved again as .xlsx",
        ) from error
    if size > allowed("SHEET_BYTES", min(LARGEST, _DENSEST * max(path.stat().st_size, 1 << 16))):
        raise FileError(path, f"unpacks to {size >> 20} MiB", hint("SHEET_BYTES"))
    return size


def read_json_rows(path: Path) -> tuple[Any, tuple[str, ...]]:
    """What a JSON file holds: rows of ``.jsonl``, or rows or columns of ``.json``.

    Returns
    -------
    A ``Table``, or the content itself where it is neither.
    """
    text, note = read_text(path)
    try:
        data = None if path.suffix.lower() == ".jsonl" else parse_json(text, path)
        by_lines = path.suffix.lower() == ".jsonl"
    except FileError as error:
        # POPE and others call their JSON lines .json.
        by_lines = "Extra data" in str(error)
        if not by_lines:
            raise
    if by_lines:
        table: Table = []
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            try:
                row = loads(line)
            except (ValueError, RecursionError) as error:
                table.append((number, f"is not JSON ({first_line(error)})"))
                continue
            table.append((number, row if isinstance(row, dict) else "is no JSON object"))
        return table, (() if note is None else (note,))
    notes = () if note is None else (note,)
    if isinstance(data, list):
        return [
            (number, row if isinstance(row, dict) else "is no JSON object")
            for number, row in enumerate(data, 1)
        ], notes
    if isinstance(data, dict) and data and _by_columns(data):
        keys = list(next(iter(data.values())))
        if all(isinstance(column, list) for column in data.values()):
            keys = list(range(len(keys)))
        return [
            (number, {name: column[key] for name, column in data.items()})
            for number, key in enumerate(keys, 1)
        ], notes
    return data, notes


def _by_columns(data: dict[str, Any]) -> bool:
    """Whether an object is columns of one length, as pandas writes a table."""
    columns = list(data.values())
    if all(isinstance(column, dict) for column in columns):
        return all(column.keys() == columns[0].keys() for column in columns) and not any(
            isinstance(cell, dict) for column in columns for cell in column.values()
        )
    return all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns)
