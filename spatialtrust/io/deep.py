"""Deep images: more than 8 bits a channel, whole numbers or fractions, scaled to 8 bits.

Files say how many bits they store, seldom how many of them mean something: 12-bit cameras write
16-bit files. So the values decide. The full scale is the smallest of 1 (fractions only) and 8, 10,
12, 14 and 16 bits that holds them all; it is used if the values reach a quarter of it, and else, or
with values below 0 or above 16 bits, their own range is: the least is black, the greatest white.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FULL_SCALES: Final = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)
REACHED: Final = 0.25
"""Of its full scale an image reaches so much, or it is scaled by its range."""

_PIECE: Final = 1 << 20


def is_deep(mode: str) -> bool:
    """Whether Pillow has an image of this mode in more than 8 bits."""
    return mode == "F" or mode.startswith("I")


def grey_of(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Deep values (any shape) as 8-bit grey; infinite is black or white, NaN is black.

    Raises
    ------
    ValueError: no value is finite.

    >>> grey_of(np.array([0, 2000, 4000], dtype=np.uint16)).tolist()
    [0, 125, 249]
    >>> grey_of(np.array([-1.0, 0.0, 1.0])).tolist(), grey_of(np.array([9.0])).tolist()
    ([0, 128, 255], [9])
    """
    low, high = _scale(values)
    grey = np.empty(values.shape, dtype=np.uint8)
    for shown, piece in zip(_pieces(grey), _pieces(values), strict=True):
        share = (np.nan_to_num(piece.astype(np.float64), nan=low) - low) / (high - low)
        # A step of grey is 257 steps of 16 bits, rounded down, and of other scales rounded.
        rounding = 1e-9 if high == FULL_SCALES[-1] else 0.5
        shown[:] = np.clip(share, 0, 1) * 255 + rounding
    return grey


def stored_unsigned(image: Any) -> bool:
    """Whether an opened image, not yet decoded, has 32-bit values that Pillow takes as signed."""
    return image.mode == "I" and any(
        ";32" in str(tile[3]) and ";32S" not in str(tile[3]) and ";32BS" not in str(tile[3])
        for tile in image.tile
    )


def stored_deep(image: Any) -> bool:
    """Whether an opened image, not yet decoded, is colour of more bits than Pillow keeps.

    Pillow decodes 16-bit colour to its upper 8 bits, in which a 12-bit picture is almost black.
    """
    return image.mode in ("RGB", "RGBA") and any(";16" in str(tile[3]) for tile in image.tile)


def rgb_of(content: bytes, path: str | Path, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """16-bit colour, of which ``pixels`` (H, W, 3) are the upper 8 bits, scaled like grey.

    Pixels that reach a quarter of the full scale stay as they are.

    Raises
    ------
    FileError: the picture is darker than that, and its lower bits cannot be read.
    """
    if pixels.max(initial=0) >= REACHED * 255:
        return pixels
    import cv2

    stored = np.frombuffer(content, dtype=np.uint8)
    found = cv2.imdecode(stored, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if found is None or found.dtype != np.uint16 or found.shape != pixels.shape:
        problem = "is 16-bit colour of which only the lower bits are used, and they cannot be read"
        raise FileError(path, problem, "save it with 8 bits a channel")
    return grey_of(found[:, :, ::-1])


def _scale(values: NDArray[Any]) -> tuple[float, float]:
    """What is black and what is white."""
    fractions = values.dtype.kind == "f"
    ranges = [_range(piece) for piece in _pieces(values)]
    low, high = min(least for least, _ in ranges), max(most for _, most in ranges)
    if low > high:
        raise ValueError("it holds no finite value")
    scales = (1.0, *FULL_SCALES) if fractions else FULL_SCALES
    top = next((scale for scale in scales if high <= scale), None) if low >= 0 else None
    if top is not None and (high >= REACHED * top or high == low):
        return 0.0, top
    return (low, high) if high > low else (low - 1.0, high)


def _range(values: NDArray[Any]) -> tuple[float, float]:
    """Least and greatest finite value; where there is none the least is the greater."""
    known = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return (float(known.min()), float(known.max())) if known.size else (np.inf, -np.inf)


def _pieces(values: NDArray[Any]) -> list[NDArray[Any]]:
    """Views one after the other: a large image in float64 would be eight times itself."""
    flat = values.reshape(-1)
    return [flat[start : start + _PIECE] for start in range(0, len(flat), _PIECE)]
