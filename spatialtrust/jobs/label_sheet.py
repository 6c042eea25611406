"""The sheet of claims to judge: columns that you fill in, and how they are read back."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.errors import ColumnError, FileError, RowError
from spatialtrust.io.separated import read_separated

if TYPE_CHECKING:
    from pathlib import Path

log: Final = logging.getLogger("spatialtrust")

PURPOSES: Final = ("certify", "fit")
OF_GRAPH: Final = "graph"
"""Purpose of the edges of whole images: they certify repaired graphs and nothing else."""
COLUMNS: Final = (
    "claim_id", "image", "caption", "label", "purpose", "subject", "relation", "object",
    "subject_box", "object_box", "width", "height", "picture",
)  # fmt: skip
"""``caption`` is what to judge; the boxes (pixels) say which mug; ``label`` is yours: 1 or 0."""

WORDS: Final = {"1": 1, "true": 1, "yes": 1, "0": 0, "false": 0, "no": 0, "": None}
"""What may stand in the column ``label``, in lower case."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows of a sheet of labels.

    Attributes
    ----------
    columns: names, those of ``COLUMNS`` and any of the reader's.
    rows: the cells of each row, as text.
    lines: of the file, on which they stand.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...] = ()

    def column(self, name: str) -> list[str]:
        """One column's cells; empty texts where the sheet has no such column."""
        if name not in self.columns:
            return [""] * len(self.rows)
        place = self.columns.index(name)
        return [row[place] for row in self.rows]

    def labels(self) -> dict[str, int]:
        """``claim_id`` to 1 or 0 of the rows that were judged."""
        said = zip(self.column("claim_id"), self.column("label"), strict=True)
        known = {key: WORDS[word.strip().lower()] for key, word in said}
        return {key: label for key, label in known.items() if label is not None}

    def drawn_at_random(self) -> set[str]:
        """``claim_id`` of the rows that were drawn at random; the others were chosen to fit."""
        purposes = zip(self.column("claim_id"), self.column("purpose"), strict=True)
        return {key for key, purpose in purposes if purpose != "fit"}

    @property
    def of_graphs(self) -> bool:
        """Whether it asks for the edges of whole images, which nothing may be added to."""
        return OF_GRAPH in self.column("purpose")

    def to_dict(self) -> dict[str, Any]:
        """For the page."""
        return {
            "columns": list(self.columns),
            "rows": [list(row) for row in self.rows],
            "of_graphs": self.of_graphs,
        }


EMPTY = Sheet(tuple(COLUMNS), ())


def read_sheet(path: Path) -> Sheet:
    """A sheet that ``spatialtrust label`` wrote, labels filled in or not.

    Raises
    ------
    FileError: it cannot be read, or holds no row.
    ColumnError: a column is missing.
    RowError: a label or purpose is not valid, or a claim stands there twice.
    """
    if not path.is_file():
        raise FileError(path, "does not exist", "write it with: spatialtrust label RUN")
    table, notes = read_separated(path, COLUMNS)
    for note in notes:
        log.info("%s", note)
    columns = next((tuple(cells) for _, cells in table if isinstance(cells, dict)), ())
    for name in ("claim_id", "label", "purpose"):
        if columns and name not in columns:
            raise ColumnError(path, name, "is missing", f"columns found: {', '.join(columns)}")
    columns = tuple(name for name in columns if name)
    seen: dict[str, int] = {}
    rows = []
    for line, cells in table:
        if isinstance(cells, str):
            raise RowError(path, line, "row", cells, "write a cell a column, in quotes")
        _check_row(path, line, cells)
        if (earlier := seen.setdefault(cells["claim_id"], line)) != line:
            problem = f"stands in line {earlier} already"
            raise RowError(path, line, "claim_id", problem, "judge a claim once")
        rows.append(tuple(cells[name] for name in columns))
    if not rows:
        raise FileError(path, "holds no rows", "write it with: spatialtrust label RUN")
    return Sheet(columns, tuple(rows), tuple(seen.values()))


def _check_row(path: Path, line: int, cells: dict[str, str]) -> None:
    if cells["label"].strip().lower() not in WORDS:
        raise RowError(path, line, "label", f'is "{cells["label"]}"', "give 1, 0 or nothing")
    if cells["purpose"] not in (*PURPOSES, OF_GRAPH):
        problem = f'is "{cells["purpose"]}"'
        raise RowError(path, line, "purpose", problem, f"valid: {', '.join(PURPOSES)}")
