"""Rows of recorded boxes as they come, what was wrong with some, and what had to be assumed."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.errors import FileError, RowError
from spatialtrust.io.boxes import FORMATS, ROUNDING, UNITS
from spatialtrust.io.detections.conventions import format_named, unit_named
from spatialtrust.io.matching import RECORDED
from spatialtrust.io.names import cleaned_note, plain_name, was_unclean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Size = tuple[float | None, float | None]

_SHOWN: Final = 3


class BoxError(RowError):
    """A recorded box that cannot be used, and the kind of reason why.

    >>> str(BoxError("no name", "b.json", 2, "box", "has no name")), BoxError("x", "f", 1, "", "")
    ('b.json:2: box has no name', BoxError('f:1: '))
    """

    def __init__(
        self,
        reason: str,
        source: str | Path,
        row: int,
        field: str,
        problem: str,
        remedy: str = "",
    ) -> None:
        self.reason = reason
        super().__init__(source, row, field, problem, remedy)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Recorded boxes and what was wrong with single ones.

    Attributes
    ----------
    boxes: rows of ``RECORDED``.
    names: images that the recorder saw, also those without a box.
    source: file or folder.
    faults: boxes that were passed over, each with its ``reason``.
    notes: what had to be assumed, one sentence each.
    sizes: recorded width and height of images, where the file has them.
    """

    boxes: pa.Table
    names: tuple[str, ...]
    source: str
    faults: tuple[BoxError, ...] = ()
    notes: tuple[str, ...] = ()
    sizes: Mapping[str, Size] = field(default_factory=dict)

    def said(self) -> list[str]:
        """Everything a reader should know: the notes, then each kind of fault with its count."""
        kinds = Counter(fault.reason for fault in self.faults)
        told = list(self.notes)
        for reason, count in kinds.items():
            shown = [str(fault) for fault in self.faults if fault.reason == reason][:_SHOWN]
            more = " ..." if count > len(shown) else ""
            told.append(f"{self.source}: {count} left out, {reason}: {' | '.join(shown)}{more}")
        return told


@dataclass(slots=True)
class Rows:
    """What the readers of single forms fill.

    Attributes
    ----------
    source: file or folder that was asked for.
    file: the file that is being read, for messages.
    """

    source: str
    file: str = ""
    columns: dict[str, list[Any]] = field(
        default_factory=lambda: {name: [] for name in RECORDED.names}
    )
    places: list[tuple[str, int]] = field(default_factory=list)
    faults: list[BoxError] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    sizes: dict[str, Size] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)
    odd_scores: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.file = self.file or self.source

    def image(self, name: str, width: Any = None, height: Any = None) -> None:
        """Note that the recorder saw an image; sizes that are no numbers are not known."""
        numbers = [_positive(value) for value in (width, height)]
        if self.sizes.get(name, (None, None)) == (None, None):
            self.sizes[name] = (numbers[0], numbers[1])

    def note(self, text: str | None) -> None:
        """Say something once."""
        if text:
            self.notes[text] = None

    def fault(self, reason: str, row: int, field: str, problem: str, remedy: str = "") -> None:
        """Pass over one box, or one row; ``row`` counts from 0."""
        self.faults.append(BoxError(reason, self.file, row + 1, field, problem, remedy))

    def refuse(self, field: str, given: Any, valid: tuple[str, ...], row: int, name: str) -> None:
        """Pass over a box whose format or unit nobody knows."""
        problem = f'{field} is "{given}"'
        self.refused.append((self.file, f"{problem}; valid: {', '.join(valid)}"))
        self.fault("unknown box format", row, f'box of "{name}"', problem, ", ".join(valid))

    def add(
        self,
        name: str,
        phrase: Any,
        box: Any,
        score: Any,
        form: Any,
        unit: Any,
        row: int,
    ) -> None:
        """One box.

        Parameters
        ----------
        form, unit: as the file names them; ``unit`` None: pixels, unless all boxes of the source
            turn out to be fractions.
        row: place in the file or in its image, from 0.
        """
        known = format_named(form)
        if known is None:
            return self.refuse("box_format", form, FORMATS, row, name)
        measure = known[1] if unit is None else unit_named(unit)
        if unit is not None and measure is None:
            return self.refuse("box_unit", unit, UNITS, row, name)
        try:
            numbers = _numbers(box)
            if any(map(math.isinf, numbers)):
                raise ValueError("holds a number that is infinite, or too large")
            text = str(phrase).strip() if phrase is not None else ""
        except (TypeError, ValueError, OverflowError) as error:
            field = f'box of "{name}"'
            return self.fault("not four numbers", row, field, f"cannot be used ({error})")
        if not text:
            return self.fault("no name", row, f'box of "{name}"', "cannot be used (has no name)")
        if measure == "thousandth":
            numbers, measure = [number / 1000 for number in numbers], "fraction"
        values = (name, text, numbers, self._score(score, row, name), known[0], measure)
        for column, item in zip(self.columns.values(), values, strict=True):
            column.append(item)
        self.places.append((self.file, row))
        return None

    def _score(self, value: Any, row: int, name: str) -> float | None:
        """A score from 0 to 1; Grounded-SAM-2 writes it as a list of one."""
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if value is None:
            return None
        try:
            score = float(value)
        except (TypeError, ValueError, OverflowError):
            score = float("nan")
        if 0 <= score <= 1:
            return score
        self.odd_scores.append(f'{str(value)[:40]} ({self.file}:{row + 1}, "{name}")')
        return None

    def _clean(self) -> None:
        """Names and phrases in characters that tables and files can hold; what changed is said."""
        unclean = {text for text in (*self.sizes, *self.columns["phrase"]) if was_unclean(text)}
        for column in ("name", "phrase"):
            self.columns[column] = [plain_name(text) for text in self.columns[column]]
        self.sizes = {plain_name(name): size for name, size in self.sizes.items()}
        for note in cleaned_note(self.source, unclean):
            self.note(note)

    def done(self) -> Recorded:
        """What was read.

        Raises
        ------
        FileError: no box could be read, since the files name box formats that nobody knows.
        """
        if self.refused and not self.places:
            raise FileError(*self.refused[0])
        self._clean()
        table, misfits, note = settle(pa.table({**self.columns}, schema=RECORDED), self.source)
        self.note(note)
        for row, problem in misfits.items():
            self.file, place = self.places[row]
            where = f'box of "{table["name"][row].as_py()}"'
            self.fault("box in another unit than the rest", place, where, problem)
        if self.odd_scores:
            self.note(
                f"{self.source}: {len(self.odd_scores)} scores are not from 0 to 1; their boxes "
                f"are kept without one: {', '.join(self.odd_scores[:_SHOWN])}"
            )
        keep = np.ones(len(table), dtype=bool)
        keep[list(misfits)] = False
        return Recorded(
            table.filter(pa.array(keep)),
            tuple(self.sizes),
            self.source,
            tuple(self.faults),
            tuple(self.notes),
            {name: size for name, size in self.sizes.items() if size != (None, None)},
        )


def settle(table: pa.Table, source: str) -> tuple[pa.Table, dict[int, str], str | None]:
    """The unit of boxes that do not say theirs, one for the whole source.

    Pixels, unless the numbers of most boxes are all within 0..1.

    Parameters
    ----------
    table: rows of ``RECORDED``; ``unit`` null where it is not said.

    Returns
    -------
    The table with every unit, the rows that do not fit it (row to what is wrong), and what was
    assumed.
    """
    numbers = table["box"].combine_chunks().flatten().to_numpy().reshape(-1, 4)
    unsaid = table["unit"].is_null().to_numpy()
    with np.errstate(invalid="ignore"):
        finite = np.isfinite(numbers).all(axis=1) & (numbers > 0).any(axis=1)
        within = ((numbers >= -ROUNDING) & (numbers <= 1 + ROUNDING)).all(axis=1)
        large = (np.abs(numbers) > 2).any(axis=1)
    judged = finite & unsaid
    note, unit = None, "pixel"
    if judged.any() and within[judged].mean() > 0.5:
        unit = "fraction"
        note = (
            f"{source}: boxes are read as fractions of the image, not as pixels (assumed: "
            f"{np.count_nonzero(within & judged)} of {np.count_nonzero(judged)} boxes have "
            "numbers within 0..1 only)"
        )
    column = table.schema.get_field_index("unit")
    table = table.set_column(column, "unit", table["unit"].fill_null(unit))
    fractions = pc.equal(table["unit"], "fraction").to_numpy()
    misfit = finite & np.where(fractions, large, within)
    problems = {
        int(row): f"{numbers[row].tolist()} looks like "
        + ("pixels, not fractions" if fractions[row] else "fractions, not pixels")
        for row in np.flatnonzero(misfit)
    }
    return table, problems, note


def _numbers(box: Any) -> list[float]:
    if isinstance(box, (str, dict)) or box is None:
        raise ValueError(f"is {str(box)[:40]!r}, not a list of numbers")
    numbers = [float(value) for value in box]
    if len(numbers) != 4:
        raise ValueError(f"has {len(numbers)} numbers")
    return numbers


def _positive(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 < value < 1e9 else None
