"""Resizing on a device as Pillow does it, to the bit.

Pillow resizes in one direction, then in the other, with weights of 22 bits behind the point, and
rounds to a byte after each. Here both are products of matrices, with weights in three parts of
eight bits: every sum is a whole number that float32 (and tf32) holds exactly, in whatever order a
device adds.

Source: Pillow's ``Resample.c``.
"""

from __future__ import annotations

from copy import copy
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import NDArray

    from spatialtrust.arrays import Pixels

    Filter = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_POINT: Final = 22
"""Bits of a weight behind the point."""
_MOST_WEIGHTS: Final = 256
"""Pixels of a row that one pixel of the result may be made of."""


class Resizing(NamedTuple):
    """How pictures of one size are resized, and what is then cut out of their middle.

    Attributes
    ----------
    size: rows and columns.
    resample: ``PIL.Image.Resampling``, one of ``FILTERS``.
    sideways_first: which of the two passes is the first; versions of Pillow differ in that.
    crop: rows and columns of what is kept.
    """

    size: tuple[int, int]
    resample: int
    sideways_first: bool
    crop: tuple[int, int]


def resized(pixels: torch.Tensor, how: Resizing) -> torch.Tensor:
    """Pictures uint8 (B, H, W, 3) in another size: uint8 (B, 3, h, w), on the same device.

    >>> import torch
    >>> from PIL import Image
    >>> picture = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype=np.uint8)
    >>> wanted = np.asarray(Image.fromarray(picture).resize((20, 12), Image.Resampling.BICUBIC))
    >>> how = Resizing((12, 20), Image.Resampling.BICUBIC, True, (12, 20))
    >>> made = resized(torch.from_numpy(picture)[None], how)
    >>> np.array_equal(made[0].permute(1, 2, 0), wanted)
    True
    """
    planes = pixels.permute(0, 3, 1, 2)
    for sideways in (how.sideways_first, not how.sideways_first):
        if sideways:
            planes = _along_rows(planes, how.size[1], how.resample)
        else:
            planes = _along_rows(planes.mT, how.size[0], how.resample).mT
    top, left = ((have - kept) // 2 for have, kept in zip(how.size, how.crop, strict=True))
    return planes[:, :, top : top + how.crop[0], left : left + how.crop[1]]


def _along_rows(planes: torch.Tensor, new: int, resample: int) -> torch.Tensor:
    """Planes (B, 3, h, w) with as many new columns."""
    old = planes.shape[3]
    if old == new:
        return planes
    summed = planes.float() @ _parts(old, new, resample, planes.device).float()
    high, middle, low = summed.int().split(new, dim=3)  # type: ignore[no-untyped-call]
    total: torch.Tensor = (high << 16) + (middle << 8) + low + (1 << (_POINT - 1))
    return (total >> _POINT).clamp_(0, 255).byte()


def learned(
    processor: Any,
    size: tuple[int, int],
    device: torch.device,
    made: Callable[[Any, Pixels], torch.Tensor],
) -> Resizing | None:
    """How a processor of the library resizes pictures of a size (H, W).

    A picture of noise goes through it, and has to come out of :func:`resized` as it comes out of
    the processor, to the bit. None: it does something else.

    Parameters
    ----------
    made: uint8 (3, h, w) of a picture, by a processor.
    """
    import torch

    shapes: list[tuple[int, int]] = []
    watched = copy(processor)

    def resize(image: Any, *given: Any, **named: Any) -> Any:
        result = processor.resize(image, *given, **named)
        shapes.append((result.shape[-2], result.shape[-1]))
        return result

    watched.resize = resize
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    wanted = made(watched, noise)
    resample = int(getattr(processor, "resample", None) or 0)
    if len(shapes) != 1 or not all(map(fits, size, shapes[0], (resample, resample))):
        return None
    given = torch.from_numpy(noise)[None].to(device)
    for first in (True, False):
        how = Resizing(shapes[0], resample, first, (wanted.shape[1], wanted.shape[2]))
        if torch.equal(resized(given, how)[0].cpu(), wanted):
            return how
    return None


def weights(old: int, new: int, resample: int) -> NDArray[np.int64]:
    """How much each of some pixels in a row counts for each new one: (new, old), of 2**22.

    >>> (weights(4, 2, 2) * 8 / 2**22).round(1).tolist()
    [[3.4, 3.4, 1.1, 0.0], [0.0, 1.1, 3.4, 3.4]]
    """
    support, shape = FILTERS[resample]
    scale = old / new
    wide = max(scale, 1.0)
    centre = (np.arange(new)[:, None] + 0.5) * scale
    first = np.maximum((centre - support * wide + 0.5).astype(int), 0)
    last = np.minimum((centre + support * wide + 0.5).astype(int), old)
    place = np.arange(old)[None]
    found = shape((place - centre + 0.5) / wide) * ((place >= first) & (place < last))
    found = found / found.sum(axis=1, keepdims=True) * 2**_POINT
    whole: NDArray[np.int64] = np.trunc(found + np.copysign(0.5, found)).astype(np.int64)
    return whole


def fits(old: int, new: int, resample: int) -> bool:
    """Whether sums stay exact: no pixel is made of too many."""
    return (
        resample in FILTERS and 2 * ceil(FILTERS[resample][0] * max(old / new, 1)) < _MOST_WEIGHTS
    )


@lru_cache(maxsize=64)
def _parts(old: int, new: int, resample: int, device: torch.device) -> torch.Tensor:
    """Weights in three parts, float16 (old, 3 * new): high, middle and low bits."""
    import torch

    whole = weights(old, new, resample)
    parts = np.concatenate([whole >> 16, whole >> 8 & 255, whole & 255])
    return torch.from_numpy(parts.T.astype(np.float16)).to(device)


def _triangle(x: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.maximum(1 - np.abs(x), 0)
    return found


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    x, a = np.abs(x), -0.5
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    found: NDArray[np.float64] = np.where(x < 1, near, np.where(x < 2, far, 0.0))
    return found


def _lanczos(x: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)
    return found


FILTERS: Final[dict[int, tuple[float, Filter]]] = {
    1: (3.0, _lanczos),
    2: (1.0, _triangle),
    3: (2.0, _cubic),
}
"""By ``PIL.Image.Resampling``: how far a filter reaches, and its shape."""
