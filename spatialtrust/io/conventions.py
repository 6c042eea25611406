"""Which convention a file's boxes follow, where nobody says so: all are tried on all rows.

A reading misfits a row whose box it makes inverted, without area, or reaching outside the image.
The documented default stays unless another reading misfits clearly fewer rows; what fits as well is
named, and a file that no reading fits is refused. Which convention is meant cannot always be told:
corners with y first look like corners with x first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow.compute as pc

from spatialtrust.errors import ColumnError, FileError, InputError
from spatialtrust.io.boxes import FORMATS, UNITS, BoxConvention
from spatialtrust.io.readings import try_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from spatialtrust.io.readings import Reading
    from spatialtrust.io.rows import RawRows

LEAST_SHARE: Final = 0.05
"""Share of rows that have to misfit before the default is given up; at least two boxes and, of two
rows or more, two rows."""
LEAST_FOR_LOOSE: Final = 0.2
"""The same before it is given up for ``xywh``, which fits upside-down corners too, or for another
unit, which fits boxes of images whose size is wrong."""
CLEARLY: Final = 3
"""A reading replaces the default where it misfits so many times fewer rows."""
SLACK: Final = 0.02
"""Share of rows, at least one of five or more, by which misfits may differ without meaning it."""
FEW: Final = 5
"""Rows below which every misfit counts, and common conventions are preferred to strict ones. Many
rows that fit a strict one do not do so by chance; any four positive numbers fit ``xywh``."""
_STRICT_FIRST: Final = ("xyxy", "yxyx", "yyxx", "cxcywh", "xywh")
_COMMON_FIRST: Final = ("xyxy", "xywh", "cxcywh", "yxyx", "yyxx")
REFUSED_FROM: Final = 3
"""Misfits from which a file can be refused; fewer are bad rows."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The convention of a file and what there is to say about it.

    Attributes
    ----------
    convention: how the boxes are read.
    also: the other readings that fit as well.
    notes: why it is not the default, and what else fits; a sentence each.
    """

    convention: BoxConvention
    also: tuple[BoxConvention, ...] = ()
    notes: tuple[str, ...] = ()


def valid_name(given: str, valid: tuple[str, ...]) -> str:
    """The name of a format or unit, whatever its case; a unit may be a plural.

    Raises
    ------
    InputError: it is not one of ``valid``.

    >>> valid_name("Thousandths", UNITS)
    'thousandth'
    """
    name = given.strip().lower()
    for known in (name, name.removesuffix("s")):
        if known in valid:
            return known
    raise InputError(f'box convention "{given}" is not known; valid: {", ".join(valid)}')


def declared(
    column: pa.Array | None, valid: tuple[str, ...], rows: RawRows, name: str
) -> str | None:
    """What a file's own column (N,) of strings says of all its boxes.

    None where there is no such column, or it is empty.

    Raises
    ------
    ColumnError: it holds several values.
    InputError: its value is not one of ``valid``.
    """
    if column is None:
        return None
    names = pc.utf8_lower(pc.utf8_trim_whitespace(column))
    values = [value for value in pc.unique(names).to_pylist() if value]
    known = {value: valid_name(value, valid) for value in values}
    if len(set(known.values())) < 2:
        return next(iter(known.values()), None)
    counts = []
    for value in values:
        mask = pc.equal(names, value).fill_null(False).to_numpy(zero_copy_only=False)
        lines = rows.lines[mask]
        more = ", ..." if len(lines) > 3 else ""
        listed = ", ".join(map(str, lines[:3]))
        counts.append(f'"{value}" in {len(lines)} rows (line {listed}{more})')
    option = f"--{name.replace('_', '-')}"
    raise ColumnError(
        rows.source,
        name,
        f"holds several values: {', '.join(counts)}",
        f"one holds for a whole file: split it, or give {option}",
    )


def choose_convention(
    boxes: Sequence[NDArray[np.float64]],
    image_size: NDArray[np.float64],
    format: str | None = None,
    unit: str | None = None,
    source: str = "boxes",
) -> Choice:
    """The convention of a file: what was declared, else what its numbers fit.

    Parameters
    ----------
    boxes: the boxes of each row, one array (N, 4) for each role; NaN where there is none.
    image_size: (N, 2) width and height in pixels; NaN where unknown.
    format, unit: one of ``FORMATS`` and one of ``UNITS``; None: from the numbers.
    source: file name for the refusal.

    Raises
    ------
    InputError: a name is not valid.
    FileError: most rows misfit under every reading.

    >>> corners = np.array([[0.56, 0.12, 0.91, 0.81], [0.37, 0.04, 0.55, 0.55]])
    >>> choose_convention([corners], np.full((2, 2), np.nan)).convention.name
    'xyxy in fractions of the image'
    """
    form = None if format is None else valid_name(format, FORMATS)
    unit = None if unit is None else valid_name(unit, UNITS)
    if form is not None and unit is not None:
        return Choice(BoxConvention(form, unit, assumed=False))
    formats = FORMATS if form is None else (form,)
    units = UNITS if unit is None else (unit,)
    default = by_range(np.concatenate(boxes), form, unit)
    tried, rows = try_all(boxes, image_size, formats, units)
    if not rows:
        return Choice(default)
    usual = next(reading for reading in tried if reading.convention == default)
    chosen = _clearly_better(usual, tried, rows) or usual
    if chosen.gross >= REFUSED_FROM and chosen.gross > rows / 2:
        raise _refusal(tried, rows, source, form is None, unit is None)
    notes = []
    if chosen is not usual:
        notes.append(
            f"{usual.misfits} of {rows} rows with boxes do not fit {default.name}, which is usual "
            f"for such numbers; {chosen.misfits} do not fit {chosen.convention.name}"
        )
    limit = min(chosen.gross + _slack(rows), rows // 2)
    also = [r for r in tried if r is not chosen and r.filled and r.gross <= limit]
    if also:
        notes.append(_named(chosen, also, rows))
    return Choice(chosen.convention, tuple(r.convention for r in also), tuple(notes))


def by_range(
    boxes: NDArray[np.float64], format: str | None = None, unit: str | None = None
) -> BoxConvention:
    """The documented default, told by the range of the numbers (N, 4) alone.

    Most rows' finite values within [0, 1] mean ``cxcywh`` fractions, anything else ``xyxy`` pixels;
    of a declared format or unit, the other follows.

    >>> by_range(np.array([[10.0, 10, 50, 60]])).name
    'xyxy in pixels'
    """
    finite = np.isfinite(boxes).all(axis=1)
    inside = ((boxes[finite] >= 0) & (boxes[finite] <= 1)).all(axis=1)
    fractions = unit == "fraction" if unit else bool(inside.size and inside.mean() > 0.5)
    return BoxConvention(
        format or ("cxcywh" if fractions else "xyxy"),
        unit or ("fraction" if fractions else "pixel"),
        assumed=True,
    )


def _clearly_better(usual: Reading, tried: list[Reading], rows: int) -> Reading | None:
    """The reading that replaces the default; None where it stays."""
    needed = max(min(2, rows), LEAST_SHARE * rows)
    if usual.gross < needed or usual.gross_boxes < 2:
        return None
    unit = usual.convention.unit
    better = [r for r in tried if r.filled and r.gross * CLEARLY <= usual.gross]
    if usual.gross < LEAST_FOR_LOOSE * rows:
        better = [r for r in better if r.convention.unit == unit and r.convention.format != "xywh"]
    limit = min((r.gross for r in better), default=0) + _slack(rows)
    order = _COMMON_FIRST if rows < FEW else _STRICT_FIRST
    return min(
        (r for r in better if r.gross <= limit),
        key=lambda r: (
            r.convention.unit != unit,
            order.index(r.convention.format),
            UNITS.index(r.convention.unit),
        ),
        default=None,
    )


def _slack(rows: int) -> int:
    return 0 if rows < FEW else max(1, int(SLACK * rows))


def _named(chosen: Reading, also: list[Reading], rows: int) -> str:
    formats = any(r.convention.format != chosen.convention.format for r in also)
    units = any(r.convention.unit != chosen.convention.unit for r in also)
    options = [name for name, differs in (("format", formats), ("unit", units)) if differs]
    names = ", ".join(
        reading.convention.name
        + (f" (not {reading.gross} of {rows} rows)" if reading.gross else "")
        for reading in also
    )
    declare = " and ".join(f"--box-{option}" for option in options)
    return f"the boxes also fit {names}; if so, give {declare}"


def _refusal(
    tried: list[Reading], rows: int, source: str, no_format: bool, no_unit: bool
) -> FileError:
    units = dict.fromkeys(reading.convention.unit for reading in tried)
    counts = "; ".join(
        f"{unit}: "
        + ", ".join(
            f"{r.convention.format} {r.misfits}" for r in tried if r.convention.unit == unit
        )
        for unit in units
    )
    options = [
        f"--box-{option} ({', '.join(valid)})"
        for option, valid, free in (("format", FORMATS, no_format), ("unit", UNITS, no_unit))
        if free
    ]
    return FileError(
        source,
        f"has boxes that fit no convention: rows that do not fit, of {rows} ({counts})",
        f"say how they are written with {' and '.join(options)}, or in columns of these names; "
        "check the columns width and height",
    )
