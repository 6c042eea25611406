"""The sheet of claims to judge, as it lies in a run folder: what a page shows and writes back."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spatialtrust.errors import ColumnError, FileError, RowError
from spatialtrust.jobs.labelling import COLUMNS, OF_GRAPH, PURPOSES, WORDS

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows of a sheet of labels.

    Attributes
    ----------
    columns: names, those of :data:`spatialtrust.jobs.labelling.COLUMNS` and any of the reader's.
    rows: the cells of each row, as text.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

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
    FileError: it cannot be read.
    ColumnError: a column is missing.
    RowError: a label or purpose is not valid.
    """
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""))
        given = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileError(
            path, f"cannot be read ({error})", "write it with: spatialtrust label RUN"
        ) from error
    columns = tuple(name for name in reader.fieldnames or () if name)
    for name in ("claim_id", "label", "purpose"):
        if name not in columns:
            found = ", ".join(columns) or "none"
            raise ColumnError(path, name, "is missing", f"columns found: {found}")
    for line, row in given:
        if (row["label"] or "").strip().lower() not in WORDS:
            raise RowError(path, line, "label", f'is "{row["label"]}"', "give 1, 0 or nothing")
        if row["purpose"] not in (*PURPOSES, OF_GRAPH):
            problem, valid = f'is "{row["purpose"]}"', f"valid: {', '.join(PURPOSES)}"
            raise RowError(path, line, "purpose", problem, valid)
    return Sheet(columns, tuple(tuple(row[name] or "" for name in columns) for _, row in given))
