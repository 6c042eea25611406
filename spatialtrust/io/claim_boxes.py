"""The boxes of a file of claims: which convention they follow, and corners in pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.io.boxes import (
    FORMATS,
    UNITS,
    WHOLE_IMAGE,
    BoxConvention,
    parse_boxes,
    to_corners,
)
from spatialtrust.io.claim_reader import floats
from spatialtrust.io.conventions import choose_convention, declared
from spatialtrust.reasons import bit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from spatialtrust.io.claim_reader import Reader


@dataclass(frozen=True, slots=True)
class ClaimBoxes:
    """Subject's and object's corners in the frame of ``size``, and what is to be said of them."""

    corners: tuple[NDArray[np.float32], NDArray[np.float32]]
    size: NDArray[np.float32]
    convention: BoxConvention
    notes: tuple[str, ...]
    misfits: Mapping[str, int]


_BOX_PROBLEMS: Final = {
    "degenerate_box": "is inverted, has no area inside the image or is not finite",
    "box_format_deviates": "does not fit the file",
    "box_outside_image": "reaches outside the image; it was cut",
}


def boxes_of(reader: Reader, box_format: str | None, box_unit: str | None) -> ClaimBoxes:
    """The boxes of both sides of each row, in the convention given, declared, or found to fit."""
    numbers = [_numbers(reader, name) for name in ("subject_box", "object_box")]
    recorded, wrong_size = _recorded_size(reader)
    choice = choose_convention(
        numbers,
        recorded,
        box_format or declared(reader.text("box_format"), FORMATS, reader.rows, "box_format"),
        box_unit or declared(reader.text("box_unit"), UNITS, reader.rows, "box_unit"),
        reader.rows.source,
    )
    convention = choice.convention
    size = _image_size(reader, convention, recorded, wrong_size)
    roles = zip(("subject", "object"), numbers, strict=True)
    subject, other = (_corners(reader, role, values, size, convention) for role, values in roles)
    misfits = {
        code: count
        for code in _BOX_PROBLEMS
        if (count := int(np.count_nonzero(reader.reasons & bit(code))))
    }
    notes = [convention.describe(), *choice.notes]
    if misfits:
        counts = ", ".join(f"{count} {code}" for code, count in misfits.items())
        rows = f"of {len(reader.rows.table)} rows with a box that does not fit"
        notes.append(f"{rows}: {counts}")
    return ClaimBoxes((subject, other), size.astype(np.float32), convention, tuple(notes), misfits)


def _numbers(reader: Reader, name: str) -> NDArray[np.float64]:
    """(N, 4) numbers of a column of boxes as they are written, NaN where there are none."""
    column = reader.rows.table[name]
    values, unreadable = parse_boxes(column)
    reader.blame(
        unreadable,
        name,
        lambda row: f"is {column[row].as_py()!r}"[:120],
        "give four numbers, for example [0.1, 0.2, 0.3, 0.4]",
        "degenerate_box",
    )
    return values


def _corners(
    reader: Reader,
    role: str,
    values: NDArray[np.float64],
    size: NDArray[np.float64],
    convention: BoxConvention,
) -> NDArray[np.float32]:
    """(N, 4) corners of one side; what does not fit is blamed on its row."""
    corners, reasons = to_corners(values, size, convention)
    explained = np.uint32(bit("degenerate_box") | bit("row_unreadable"))
    absent = np.isnan(values).all(axis=1) & (reader.reasons & explained == 0)
    reader.reasons |= reasons | (absent * np.uint32(bit(f"{role}_missing"))).astype(np.uint32)
    for code, problem in _BOX_PROBLEMS.items():
        said = f"{problem}: {convention.name}" if code == "box_format_deviates" else problem
        reader.blame(
            reasons & bit(code) != 0,
            f"{role}_box",
            lambda row, said=said: f"{values[row].tolist()} {said}",  # type: ignore[misc]
            "",
        )
    return corners


def _recorded_size(reader: Reader) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Width and height (N, 2) as they stand in the file, NaN where unknown; which are wrong."""
    rows = len(reader.rows.table)
    size, wrong = np.full((rows, 2), np.nan), np.zeros((rows, 2), dtype=bool)
    for place, name in enumerate(("width", "height")):
        values = reader.text(name)
        if values is None:
            continue
        size[:, place], wrong[:, place] = floats(values)
    wrong |= size <= 0
    size[wrong.any(axis=1) | np.isnan(size).any(axis=1)] = np.nan
    return size, wrong


def _image_size(
    reader: Reader,
    convention: BoxConvention,
    recorded: NDArray[np.float64],
    wrong: NDArray[np.bool_],
) -> NDArray[np.float64]:
    if convention.unit in WHOLE_IMAGE:
        return np.full(recorded.shape, WHOLE_IMAGE[convention.unit])
    for place, name in enumerate(("width", "height")):
        reader.blame(wrong[:, place], name, "is not a positive number", "give pixels")
    reader.reasons[np.isnan(recorded).any(axis=1)] |= np.uint32(bit("image_size_unknown"))
    return recorded
