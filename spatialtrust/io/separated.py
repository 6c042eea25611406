"""Text whose cells are separated by commas, semicolons or tabs: what tools and people write."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from spatialtrust.documents import MOST_JSON, read_bytes
from spatialtrust.errors import FileError
from spatialtrust.io.encodings import as_utf8, sniff_delimiter

if TYPE_CHECKING:
    from pathlib import Path

Table = list[tuple[int, dict[str, Any] | str]]
"""Row number and cells by column, or what is wrong with the row."""


def read_separated(path: Path, known: tuple[str, ...]) -> tuple[Table, tuple[str, ...]]:
    """The rows of ``.tsv`` and ``.csv``; a cell may hold a line break where it is quoted.

    Parameters
    ----------
    known: names that columns may have; they decide what separates the cells of a ``.csv``.

    Returns
    -------
    The rows, and a sentence about their encoding where it had to be guessed.

    Raises
    ------
    FileError: it is empty, cannot be read, or has two columns of one name.
    """
    content, note = as_utf8(read_bytes(path, MOST_JSON))
    text = content.decode("utf-8", errors="replace")
    if not text.strip():
        raise FileError(path, "is empty", "give a header, and a row a line")
    tab = path.suffix.lower() == ".tsv"
    delimiter = "\t" if tab else sniff_delimiter(content, known)
    csv.field_size_limit(1 << 24)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
    table: Table = []
    try:
        names = distinct(path, [name.strip() for name in next(reader)])
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
    return table, (() if note is None else (f"{path}: {note}",))


def distinct(path: Path, names: list[str]) -> list[str]:
    """The names of columns, if no two are alike; columns without a name may be several.

    Raises
    ------
    FileError: two are alike.
    """
    named = [name for name in names if name]
    if len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise FileError(path, f'has two columns "{twice}"', "rename or remove one of them")
    return names
