"""Every box convention, tried on all rows: how many would it make nonsense of?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.io.boxes import FORMATS, ROUNDING, UNITS, WHOLE_IMAGE, BoxConvention, sides
from spatialtrust.io.boxes import deviates as is_foreign

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

GROSS: Final = 0.05
"""Overshoot of the image, as a share of it, that speaks against a reading: detectors that do not
cut their boxes overshoot by less, a wrong reading by more."""
FILLED: Final = 0.8
"""Share of the image that some box of many reaches. Pixels of a small image lie within 0 to 1000
too, but leave most of it empty, so they are not taken for thousandths."""
MANY: Final = 20


@dataclass(frozen=True, slots=True)
class Reading:
    """One convention, tried on all rows.

    Attributes
    ----------
    convention: what was tried.
    misfits: rows with a box that is inverted, has no area, or overshoots beyond ``ROUNDING``.
    gross: the same, overshoots counted beyond ``GROSS``.
    gross_boxes: boxes of these rows.
    filled: False where many boxes leave most of the image empty.
    """

    convention: BoxConvention
    misfits: int
    gross: int
    gross_boxes: int
    filled: bool


def try_all(
    boxes: Sequence[NDArray[np.float64]],
    image_size: NDArray[np.float64],
    formats: tuple[str, ...] = FORMATS,
    units: tuple[str, ...] = UNITS,
) -> tuple[list[Reading], int]:
    """Every reading's misfits, and the number of rows that have a box to try it on.

    A box with a number that is not finite, and one of four equal numbers that are not positive (the
    usual stand-in for no box), fit nothing and say nothing of the convention.
    """
    numbers = np.concatenate(boxes)
    stand_in = (numbers == numbers[:, :1]).all(axis=1) & (numbers[:, 0] <= 0)
    there = np.flatnonzero(np.isfinite(numbers).all(axis=1) & ~stand_in)
    row = there % len(image_size)
    rows = _rows_of(np.ones(len(row), dtype=bool), row, len(image_size))
    kept = numbers[there]
    frames = {unit: _Frame.of(unit, kept, image_size[row]) for unit in units}
    columns = np.ascontiguousarray(kept.T)
    found = []
    for form in formats:
        with np.errstate(over="ignore"):
            corners = sides(columns, form)
        left, top, right, bottom = corners
        no_area = ~((right > left) & (bottom > top))
        for unit, frame in frames.items():
            low, high = frame.reach(corners)
            beyond = np.maximum(-low, high - 1)
            bad = no_area | frame.foreign
            gross = bad | (beyond > GROSS)
            found.append(
                Reading(
                    BoxConvention(form, unit, assumed=True),
                    _rows_of(bad | (beyond > ROUNDING), row, len(image_size)),
                    _rows_of(gross, row, len(image_size)),
                    int(np.count_nonzero(gross)),
                    unit != "thousandth" or len(kept) < MANY or bool(high.max() >= FILLED),
                )
            )
    return found, rows


@dataclass(frozen=True, slots=True)
class _Frame:
    """The image in one unit, box by box: its size, and which boxes are plainly not in this unit."""

    size: NDArray[np.float64]
    known: NDArray[np.bool_] | None
    foreign: NDArray[np.bool_]

    @classmethod
    def of(cls, unit: str, boxes: NDArray[np.float64], pixels: NDArray[np.float64]) -> _Frame:
        foreign = is_foreign(boxes, unit)
        if unit in WHOLE_IMAGE:
            return cls(np.full((2, 1), WHOLE_IMAGE[unit]), None, foreign)
        known: NDArray[np.bool_] = np.asarray(np.isfinite(pixels).all(axis=1))
        # Without a size nothing overshoots to the right; to the left it does by the file's extent.
        stand_in = boxes.max(initial=1.0)
        return cls(np.where(known[:, None], pixels, stand_in).T.copy(), known, foreign)

    def reach(
        self, corners: tuple[NDArray[np.float64], ...]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Least and greatest coordinate of each box as shares of the image."""
        width, height = self.size
        left, top, right, bottom = corners
        low = np.minimum(left / width, top / height)
        high = np.maximum(right / width, bottom / height)
        return low, high if self.known is None else np.where(self.known, high, 0.0)


def _rows_of(wrong: NDArray[np.bool_], row: NDArray[np.int64], rows: int) -> int:
    """Rows with at least one such box."""
    marked = np.zeros(rows, dtype=bool)
    marked[row[wrong]] = True
    return int(np.count_nonzero(marked))
