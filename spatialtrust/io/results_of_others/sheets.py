"""Tables as tools write them: spreadsheets, tab-separated text, JSON by rows or by columns."""

from __future__ import annotations

import csv
import zipfile
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.documents import loads
from spatialtrust.errors import FileError, MissingDependencyError
from spatialtrust.files import first_line
from spatialtrust.io.encodings import as_utf8, sniff_delimiter
from spatialtrust.io.text import parse_json, read_text

if TYPE_CHECKING:
    from pathlib import Path

LARGEST: Final = 1 << 30
"""Bytes that a spreadsheet may unpack to."""
_DENSEST: Final = 500
"""Times that it may be larger unpacked than packed; real ones are 5 to 30 times."""

Table = list[tuple[int, dict[str, Any] | str]]
"""Row number and cells by column, or what is wrong with the row."""


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
    _check_size(path)
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
    names = _header(path, ["" if cell is None else str(cell).strip() for cell in rows[0]])
    table: Table = [
        (number, {name: cell for name, cell in zip(names, cells, strict=False) if name})
        for number, cells in enumerate(rows[1:], 2)
        if any(cell is not None for cell in cells)
    ]
    return table, notes


def _check_size(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
    except (OSError, zipfile.BadZipFile) as error:
        raise FileError(
            path,
            f"is no .xlsx file, whatever its name ({first_line(error)})",
            "an old .xls, a protected or a half-downloaded file has to be saved again as .xlsx",
        ) from error
    if size > LARGEST or size > _DENSEST * max(path.stat().st_size, 1 << 16):
        raise FileError(
            path, f"unpacks to {size >> 20} MiB, which no table of results does", "export as .tsv"
        )


def _header(path: Path, names: list[str]) -> list[str]:
    named = [name for name in names if name]
    if len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise FileError(path, f'has two columns "{twice}"', "rename or remove one of them")
    return names


def read_separated(path: Path) -> tuple[Table, tuple[str, ...]]:
    """The rows of ``.tsv`` and ``.csv``; a cell may hold a line break where it is quoted.

    Raises
    ------
    FileError: it is empty or cannot be read.
    """
    try:
        content, note = as_utf8(path.read_bytes())
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})") from error
    text = content.decode("utf-8", errors="replace")
    if not text.strip():
        raise FileError(path, "is empty", "give the file with one row a question")
    tab = path.suffix.lower() == ".tsv"
    delimiter = "\t" if tab else sniff_delimiter(content, ("index", "prediction", "answer"))
    csv.field_size_limit(1 << 24)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
    table: Table = []
    try:
        names = _header(path, [name.strip() for name in next(reader)])
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(names):
                problem = f"has {len(cells)} cells, the header has {len(names)}"
                table.append((reader.line_num, problem))
                continue
            table.append((reader.line_num, dict(zip(names, cells, strict=True))))
    except csv.Error as error:
        table.append((reader.line_num, f"and what follows cannot be read ({error})"))
    return table, (() if note is None else (note,))


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
