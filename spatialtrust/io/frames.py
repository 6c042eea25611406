"""Which picture recorded boxes were drawn on: the image as it is, one turned or resized, another.

Recorders write the size of the picture they saw. A photo carries a tag that says how to turn it
(EXIF orientation); a recorder that ignores it has boxes on the picture before that turn.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDEWAYS: Final = range(5, 9)
"""EXIF orientations that exchange width and height."""


class Fit(StrEnum):
    """How a recorded size stands to an image's, as it is written into a detection's status."""

    SAME = "ok"
    SCALED = "box_scaled"
    TURNED = "box_turned"
    OTHER = "recorded_size_differs"


def fit_of(recorded: tuple[float, float], image: tuple[float, float], orientation: int) -> Fit:
    """How a recorded width and height fit an image.

    Equal to the upright image is ``SAME``, whatever the tag says: of a square photo, and of one
    turned by half, the size does not tell. Equal to the bitmap before the turn is ``TURNED``. The
    same shape in another size, within a pixel of the smaller one, is ``SCALED`` (or ``TURNED``).

    Parameters
    ----------
    recorded, image: width and height in pixels; of the image upright.
    orientation: EXIF tag of the image, 1 to 8.

    >>> [str(fit_of((640, 480), size, tag)) for size, tag in [((640, 480), 1), ((320, 240), 1),
    ...                                                       ((480, 640), 6), ((480, 640), 1)]]
    ['ok', 'box_scaled', 'box_turned', 'recorded_size_differs']
    """
    raw = image[::-1] if orientation in SIDEWAYS else image
    if recorded == image:
        return Fit.SAME
    if recorded == raw:
        return Fit.TURNED
    if _same_shape(recorded, image):
        return Fit.SCALED
    return Fit.TURNED if _same_shape(recorded, raw) else Fit.OTHER


def turn(corners: NDArray[np.float64], orientation: int) -> NDArray[np.float64]:
    """Boxes on a bitmap as it is stored, turned upright by its EXIF orientation.

    Parameters
    ----------
    corners: (N, 4), ``x1, y1, x2, y2`` in fractions of the stored bitmap.
    orientation: EXIF tag, 1 to 8.

    Returns
    -------
    The same boxes in fractions of the upright image; NaN stays NaN.

    >>> turn(np.array([[0.0, 0.1, 0.2, 0.4]]), 6).tolist()
    [[0.6, 0.0, 0.9, 0.2]]
    """
    x, y = corners[:, [0, 2]], corners[:, [1, 3]]
    if orientation in (2, 3):
        x = 1 - x[:, ::-1]
    if orientation in (3, 4):
        y = 1 - y[:, ::-1]
    if orientation in (5, 8):
        x, y = y, x if orientation == 5 else 1 - x[:, ::-1]
    elif orientation in (6, 7):
        x, y = 1 - y[:, ::-1], x if orientation == 6 else 1 - x[:, ::-1]
    return np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1)


def _same_shape(one: tuple[float, float], two: tuple[float, float]) -> bool:
    """Whether one size is the other scaled, its sides rounded to whole pixels."""
    smaller, larger = sorted((one, two))
    return bool(abs(smaller[0] * larger[1] - smaller[1] * larger[0]) <= max(larger))
