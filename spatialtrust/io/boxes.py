"""Boxes as people write them, turned into float32 ``x1, y1, x2, y2``.

One convention holds for a whole file (``io/conventions.py`` finds it where nobody gave it) and is
said aloud; a row that does not fit it gets a reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.reasons import bit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

FORMATS: Final = ("xyxy", "xywh", "cxcywh", "yxyx", "yyxx")
"""Two corners, corner and extent, centre and extent; and corners with y first: ``yxyx`` is ymin,
xmin, ymax, xmax, and ``yyxx`` is ymin, ymax, xmin, xmax."""
UNITS: Final = ("pixel", "fraction", "thousandth")
"""Thousandths run from 0 to 1000 along each axis of the image."""
WHOLE_IMAGE: Final[Mapping[str, float]] = MappingProxyType({"fraction": 1.0, "thousandth": 1000.0})
"""Width and height of every image in a unit that does not depend on the image."""
ROUNDING: Final = 2e-3
"""Overshoot of the image, as a share of it, that counts as rounding rather than as an error."""
_ENDLESS: Final = 1e30
"""No image is so large: such a number counts as not finite, since float32 could not hold sums."""

_FOUR: Final = (
    r"^\s*[\[(]?\s*(?P<a>[^\s,\[\]()]+)[\s,]+(?P<b>[^\s,\[\]()]+)[\s,]+(?P<c>[^\s,\[\]()]+)[\s,]+"
    r"(?P<d>[^\s,\[\]()]+)\s*[\])]?\s*$"
)


@dataclass(frozen=True, slots=True)
class BoxConvention:
    """How the numbers of a file are to be read.

    Attributes
    ----------
    format: one of ``FORMATS``.
    unit: one of ``UNITS``.
    assumed: False where the user or the file said so.
    """

    format: str
    unit: str
    assumed: bool

    @property
    def name(self) -> str:
        """Format and unit in words.

        >>> BoxConvention("yxyx", "thousandth", False).name
        'yxyx in thousandths of the image'
        """
        return f"{self.format} in {_IN_WORDS[self.unit]}"

    def describe(self) -> str:
        """One sentence for the log.

        >>> BoxConvention("cxcywh", "fraction", True).describe()
        'boxes are read as cxcywh in fractions of the image (assumed from the numbers)'
        """
        origin = "assumed from the numbers" if self.assumed else "as given"
        return f"boxes are read as {self.name} ({origin})"


_IN_WORDS: Final = MappingProxyType(
    {
        "pixel": "pixels",
        "fraction": "fractions of the image",
        "thousandth": "thousandths of the image",
    }
)


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
    # A whole number beyond 2^53 is the nearest fraction.
    fours = array if readable.all() else array.filter(four)
    values = pc.list_flatten(fours).cast(pa.float64(), safe=False)
    boxes[readable] = values.to_numpy(zero_copy_only=False).reshape(-1, 4)
    return boxes, present & ~readable


def to_corners(
    boxes: NDArray[np.float64],
    image_size: NDArray[np.float64],
    convention: BoxConvention,
) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """Corners in the frame of ``image_size``, and why a row has none.

    Parameters
    ----------
    boxes: (N, 4) in the file's convention; NaN rows pass through without a reason.
    image_size: (N, 2) width and height in the same unit (``WHOLE_IMAGE`` where it holds the unit);
        NaN where unknown.
    convention: how the numbers are meant.

    Returns
    -------
    Float32 (N, 4) clipped to the image, NaN where the box cannot be used, and the reasons: a box
    with a number that is not finite, inverted or without area is ``degenerate_box``; one in the
    other unit is ``box_format_deviates``; one that reaches outside is cut, ``box_outside_image``.

    >>> to_corners(np.array([[0.5, 0.5, 0.2, 0.2]]), np.ones((1, 2)),
    ...            BoxConvention("cxcywh", "fraction", True))[0]
    array([[0.4, 0.4, 0.6, 0.6]], dtype=float32)
    """
    with np.errstate(over="ignore", invalid="ignore"):
        corners = sides(boxes.T, convention.format)
    given = ~np.logical_and.reduce(np.isnan(boxes.T))
    finite = np.logical_and.reduce(np.abs(boxes.T) < _ENDLESS)
    degenerate = given & ~finite
    foreign = finite & deviates(boxes, convention.unit)
    usable = finite & ~foreign
    outside = np.zeros(len(boxes), dtype=bool)
    clipped = np.empty((4, len(boxes)))
    with np.errstate(invalid="ignore"):
        for place, (side, extent) in enumerate(zip(corners, (*image_size.T,) * 2, strict=True)):
            outside |= (side < -ROUNDING * extent) | (side > (1 + ROUNDING) * extent)
            within = np.clip(side, 0, np.fmax(extent, 0))
            clipped[place] = np.where(np.isfinite(extent), within, side)
        left, top, right, bottom = corners
        positive = (right > left) & (bottom > top)
        area_left = (clipped[2] > clipped[0]) & (clipped[3] > clipped[1])
    outside &= usable
    degenerate |= usable & ~(positive & area_left)
    reasons = (
        degenerate * np.uint32(bit("degenerate_box"))
        | foreign * np.uint32(bit("box_format_deviates"))
        | outside * np.uint32(bit("box_outside_image"))
    ).astype(np.uint32)
    clipped[:, degenerate | foreign | ~finite] = np.nan
    return np.ascontiguousarray(clipped.T, dtype=np.float32), reasons


def sides(numbers: NDArray[np.float64], format: str) -> tuple[NDArray[np.float64], ...]:
    """``x1, y1, x2, y2``, each (N,), of boxes (4, N) in any format.

    >>> sides(np.array([[1.0], [2.0], [3.0], [4.0]]), "yyxx")
    (array([3.]), array([1.]), array([4.]), array([2.]))
    """
    a, b, c, d = numbers
    if format == "xyxy":
        return a, b, c, d
    if format == "yxyx":
        return b, a, d, c
    if format == "yyxx":
        return c, a, d, b
    left, top = (a - c / 2, b - d / 2) if format == "cxcywh" else (a, b)
    return left, top, left + c, top + d


def deviates(boxes: NDArray[np.float64], unit: str) -> NDArray[np.bool_]:
    """Rows of (N, 4) that are plainly in another unit.

    Numbers beyond twice the image are no fractions (or thousandths) of it, and numbers that all lie
    within [0, 1] are neither pixels nor thousandths.
    """
    foreign = np.zeros(len(boxes), dtype=bool)
    if unit in WHOLE_IMAGE:
        foreign |= np.logical_or.reduce(np.abs(boxes.T) > 2 * WHOLE_IMAGE[unit])
    if unit != "fraction":
        foreign |= np.logical_and.reduce((boxes.T >= 0) & (boxes.T <= 1))
    return foreign


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
