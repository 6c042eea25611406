"""Boxes as people write them, turned into float32 ``x1, y1, x2, y2``.

One assumption is made for a whole file and said aloud; a row that does not fit it gets a reason,
it never changes the assumption.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.errors import InputError
from spatialtrust.reasons import bit

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMATS: Final = ("xyxy", "xywh", "cxcywh")
UNITS: Final = ("pixel", "fraction")
ROUNDING: Final = 2e-3
"""Overshoot of the image, as a share of it, that counts as rounding rather than as an error."""

_FOUR: Final = (
    r"^\s*[\[(]?\s*(?P<a>[^\s,\[\]()]+)[\s,]+(?P<b>[^\s,\[\]()]+)[\s,]+(?P<c>[^\s,\[\]()]+)[\s,]+"
    r"(?P<d>[^\s,\[\]()]+)\s*[\])]?\s*$"
)


@dataclass(frozen=True, slots=True)
class BoxConvention:
    """How the numbers of a file are to be read.

    Attributes
    ----------
    format: ``xyxy``, ``xywh`` or ``cxcywh``.
    unit: ``pixel`` or ``fraction`` of the image.
    assumed: False where the user said so.
    """

    format: str
    unit: str
    assumed: bool

    def describe(self) -> str:
        """One sentence for the log.

        >>> BoxConvention("cxcywh", "fraction", True).describe()
        'boxes are read as cxcywh in fractions of the image (assumed from the numbers)'
        """
        unit = "fractions of the image" if self.unit == "fraction" else "pixels"
        origin = "assumed from the numbers" if self.assumed else "as given"
        return f"boxes are read as {self.format} in {unit} ({origin})"


def parse_boxes(
    column: pa.ChunkedArray | pa.Array,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Numbers of a box column: lists of four, or text such as ``[0.1, 0.2, 0.3, 0.4]``.

    Parameters
    ----------
    column: list or string column (N,).

    Returns
    -------
    Array (N, 4), NaN where null or unreadable, and a mask (N,) of the unreadable rows (null is not
    unreadable: it says that there is no box).

    >>> parse_boxes(pa.array([[0, 0, 2, 2], None, [1]]))[1].tolist()
    [False, False, True]
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    boxes = np.full((len(array), 4), np.nan)
    present = array.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_null(array.type):
        return boxes, np.zeros(len(array), dtype=bool)
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        present &= (
            pc.not_equal(pc.utf8_trim_whitespace(array), "")
            .fill_null(False)
            .to_numpy(zero_copy_only=False)
        )
        parts = pc.extract_regex(array, pattern=_FOUR)
        numbers = [_to_float(pc.struct_field(parts, name)) for name in "abcd"]
        boxes[:] = np.stack([values for values, _ in numbers], axis=1)
        readable = np.logical_and.reduce([ok for _, ok in numbers])
        boxes[~readable] = np.nan
        return boxes, present & ~readable
    if not (pa.types.is_list(array.type) or pa.types.is_large_list(array.type)
            or pa.types.is_fixed_size_list(array.type)):  # fmt: skip
        return boxes, present
    if not _is_numeric(array.type.value_type):
        return boxes, present
    four = pc.equal(pc.list_value_length(array), 4).fill_null(False)
    readable = four.to_numpy(zero_copy_only=False)
    values = pc.list_flatten(array.filter(four)).cast(pa.float64())
    boxes[readable] = values.to_numpy(zero_copy_only=False).reshape(-1, 4)
    return boxes, present & ~readable


def choose_convention(
    boxes: NDArray[np.float64], format: str | None, unit: str | None
) -> BoxConvention:
    """The convention of a file: what the user said, else what most rows look like.

    With neither given, most rows' finite values within [0, 1] mean ``cxcywh`` fractions; anything
    else means ``xyxy`` pixels. With one given, the other follows from it and the numbers.

    Raises
    ------
    InputError: a name is not valid.

    >>> choose_convention(np.array([[10.0, 10, 50, 60]]), None, None).format
    'xyxy'
    """
    for given, valid in ((format, FORMATS), (unit, UNITS)):
        if given is not None and given not in valid:
            raise InputError(f'box convention "{given}" is not known; valid: {", ".join(valid)}')
    if format is not None and unit is not None:
        return BoxConvention(format, unit, assumed=False)
    finite = np.isfinite(boxes).all(axis=1)
    inside = ((boxes[finite] >= 0) & (boxes[finite] <= 1)).all(axis=1)
    fractions = unit == "fraction" if unit else bool(inside.size and inside.mean() > 0.5)
    return BoxConvention(
        format or ("cxcywh" if fractions else "xyxy"),
        unit or ("fraction" if fractions else "pixel"),
        assumed=True,
    )


def to_corners(
    boxes: NDArray[np.float64],
    image_size: NDArray[np.float64],
    convention: BoxConvention,
) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """Corners in the frame of ``image_size``, and why a row has none.

    Parameters
    ----------
    boxes: (N, 4) in the file's convention; NaN rows pass through without a reason.
    image_size: (N, 2) width and height in the same unit (1 x 1 for fractions); NaN where unknown.
    convention: see :func:`choose_convention`.

    Returns
    -------
    Float32 (N, 4) clipped to the image, NaN where the box cannot be used, and the reasons: a box
    with a number that is not finite, inverted or without area is ``degenerate_box``; one in the
    other unit is ``box_format_deviates``; one that reaches outside is cut, ``box_outside_image``.

    >>> to_corners(np.array([[0.5, 0.5, 0.2, 0.2]]), np.ones((1, 2)),
    ...            BoxConvention("cxcywh", "fraction", True))[0]
    array([[0.4, 0.4, 0.6, 0.6]], dtype=float32)
    """
    corners = _corners(boxes, convention.format)
    given = ~np.isnan(boxes).all(axis=1)
    finite = np.isfinite(boxes).all(axis=1)
    degenerate = given & ~finite
    deviates = finite & _deviates(boxes, convention.unit)
    usable = finite & ~deviates
    extent = np.concatenate([image_size, image_size], axis=1)
    low, high = -ROUNDING * extent, (1 + ROUNDING) * extent
    with np.errstate(invalid="ignore"):
        outside = usable & ((corners < low) | (corners > high)).any(axis=1)
        positive = (corners[:, 2:] > corners[:, :2]).all(axis=1)
        clipped = np.where(np.isfinite(extent), np.clip(corners, 0, np.fmax(extent, 0)), corners)
        area_left = (clipped[:, 2:] > clipped[:, :2]).all(axis=1)
    degenerate |= usable & ~(positive & area_left)
    reasons = (
        degenerate * np.uint32(bit("degenerate_box"))
        | deviates * np.uint32(bit("box_format_deviates"))
        | outside * np.uint32(bit("box_outside_image"))
    ).astype(np.uint32)
    clipped[degenerate | deviates | ~finite] = np.nan
    return clipped.astype(np.float32), reasons


def _corners(boxes: NDArray[np.float64], format: str) -> NDArray[np.float64]:
    first, second = boxes[:, :2], boxes[:, 2:]
    if format == "xyxy":
        return boxes.copy()
    start = first - second / 2 if format == "cxcywh" else first
    return np.concatenate([start, start + second], axis=1)


def _deviates(boxes: NDArray[np.float64], unit: str) -> NDArray[np.bool_]:
    """Rows that are plainly in the other unit: fractions above 2, or pixels all within [0, 1]."""
    if unit == "fraction":
        return np.asarray((np.abs(boxes) > 2).any(axis=1))
    return np.asarray(((boxes >= 0) & (boxes <= 1)).all(axis=1))


def _to_float(column: pa.Array) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Text to float64 and whether it was a number (``nan`` and ``inf`` are)."""
    lowered = pc.utf8_lower(column)
    number = pc.match_substring_regex(
        lowered, pattern=r"^[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?|nan|inf|infinity)$"
    ).fill_null(False)
    text = pc.if_else(number, pc.replace_substring_regex(lowered, r"^\+", ""), None)
    values = pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False)
    return values, number.to_numpy(zero_copy_only=False)


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind))
