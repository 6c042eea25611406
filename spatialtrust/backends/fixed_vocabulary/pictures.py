"""Pictures as ONNX detectors take them, and their boxes back on the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.arrays import Pixels

_GREY: Final = 114
"""Of the border that keeps a picture's proportions; YOLO models are trained with it."""


class Placed(NamedTuple):
    """A picture in the model's input.

    Attributes
    ----------
    pixels: uint8 (h, w, 3) RGB.
    scale: pixels of the input to one of the picture, along x and y.
    shift: where the picture's corner is in the input, x and y.
    """

    pixels: NDArray[np.uint8]
    scale: tuple[float, float]
    shift: tuple[float, float]

    def back(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Corners (Q, 4) in pixels of the input as pixels of the picture."""
        shift = np.array([*self.shift, *self.shift], np.float32)
        scale = np.array([*self.scale, *self.scale], np.float32)
        return ((boxes - shift) / scale).astype(np.float32)


def stretch(pixels: Pixels, size: tuple[int, int]) -> Placed:
    """The picture at a height and width, whatever its proportions.

    >>> stretch(np.zeros((10, 20, 3), np.uint8), (40, 40)).scale
    (2.0, 4.0)
    """
    import cv2

    height, width = pixels.shape[:2]
    resized = cv2.resize(pixels, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return Placed(np.asarray(resized), (size[1] / width, size[0] / height), (0.0, 0.0))


def fit(pixels: Pixels, size: tuple[int, int], *, centred: bool) -> Placed:
    """The picture in its proportions, on grey; in the middle, or at the top left.

    >>> placed = fit(np.zeros((10, 20, 3), np.uint8), (40, 40), centred=True)
    >>> placed.scale, placed.shift, placed.pixels.shape
    ((2.0, 2.0), (0.0, 10.0), (40, 40, 3))
    """
    import cv2

    height, width = pixels.shape[:2]
    ratio = min(size[0] / height, size[1] / width)
    inner = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    resized = cv2.resize(pixels, inner, interpolation=cv2.INTER_LINEAR)
    left = (size[1] - inner[0]) // 2 if centred else 0
    top = (size[0] - inner[1]) // 2 if centred else 0
    whole = np.full((*size, 3), _GREY, np.uint8)
    whole[top : top + inner[1], left : left + inner[0]] = resized
    return Placed(whole, (inner[0] / width, inner[1] / height), (float(left), float(top)))
