"""Other views of an image: mirrored, cropped around two objects, or with their regions noised.

Arrays in, arrays out. Noise follows the forward process of a diffusion model, inside a mask only:
``v_t = m (sqrt(abar_t) v + sqrt(1 - abar_t) eps) + (1 - m) v`` with pixels ``v`` scaled to [-1, 1],
``t = round(T level / 100)`` of the linear DDPM schedule with ``T = 1000``.

Sources: Ho et al., DDPM (arXiv 2006.11239, section 4) for the schedule; CSP (arXiv 2504.14848) for
noise on the regions of the key objects; the schedule and the level scale are this package's choice.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.arrays import Pixels


NOISE_LEVELS: Final = (10, 20, 40, 60)
"""Levels that perturbation sensitivity asks at; 60 leaves 3 % of a region's variance."""

CROP_MARGIN: Final = 0.25
"""What a crop keeps around the two boxes, in shares of their union's extent."""

_STEPS: Final = 1000


@lru_cache(maxsize=256)
def parse_view(name: str) -> tuple[str, float]:
    """Kind and noise level of a view's name.

    Raises
    ------
    InputError: the name is not ``plain``, ``mirror``, ``crop`` or ``noise-N`` with N in 0..100.

    >>> parse_view("noise-60"), parse_view("mirror")
    (('noise', 60.0), ('mirror', 0.0))
    """
    kind, _, level = name.partition("-")
    if name in ("plain", "mirror", "crop"):
        return name, 0.0
    if kind == "noise" and level.isdecimal() and int(level) <= 100:
        return kind, float(level)
    raise InputError(
        f'view "{name}" is not known; valid: plain, mirror, crop, noise-N with N from 0 to 100'
    )


def needs_boxes(view: str) -> bool:
    """Whether a view is made around the boxes of a claim, and so differs between claims."""
    return parse_view(view)[0] in ("crop", "noise")


def make_view(image: Pixels, view: str, boxes: NDArray[np.float32], seed: int = 0) -> Pixels:
    """The image as a view shows it.

    Parameters
    ----------
    image: uint8 (H, W, 3).
    view: see :func:`parse_view`.
    boxes: (K, 4) ``x1, y1, x2, y2`` in pixels; not looked at for plain and mirror.
    seed: of the noise; same image, boxes, level and seed give the same pixels.

    >>> make_view(np.zeros((4, 6, 3), np.uint8), "crop", np.array([[1, 1, 3, 3]])).shape
    (4, 4, 3)
    """
    kind, level = parse_view(view)
    if kind == "mirror":
        return mirror(image)
    if kind == "crop":
        return crop(image, boxes)
    if kind == "noise":
        return add_noise(image, box_mask(image.shape[0], image.shape[1], boxes), level, seed)
    return image


def mirror(image: Pixels) -> Pixels:
    """Left and right exchanged.

    >>> mirror(np.arange(6, dtype=np.uint8).reshape(1, 2, 3))[0, 0].tolist()
    [3, 4, 5]
    """
    return np.ascontiguousarray(image[:, ::-1])


def crop(image: Pixels, boxes: NDArray[np.float32], margin: float = CROP_MARGIN) -> Pixels:
    """The part of the image that holds the boxes and ``margin`` of their union's extent around."""
    height, width = image.shape[:2]
    low, high = np.min(boxes[:, :2], axis=0), np.max(boxes[:, 2:], axis=0)
    pad = margin * (high - low)
    x1, y1 = np.clip(np.floor(low - pad), 0, (width - 1, height - 1)).astype(int)
    x2, y2 = np.clip(np.ceil(high + pad), (x1 + 1, y1 + 1), (width, height)).astype(int)
    return np.ascontiguousarray(image[y1:y2, x1:x2])


def box_mask(height: int, width: int, boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Bool (H, W): the pixels that any of the boxes (K, 4) touches.

    >>> box_mask(2, 3, np.array([[0.5, 0, 1.5, 1]])).tolist()
    [[True, True, False], [False, False, False]]
    """
    mask = np.zeros((height, width), dtype=bool)
    low = np.floor(np.maximum(boxes[:, :2], 0)).astype(int)
    high = np.ceil(np.maximum(boxes[:, 2:], 0)).astype(int)
    for (x1, y1), (x2, y2) in zip(low, high, strict=True):
        mask[y1:y2, x1:x2] = True
    return mask


def add_noise(
    image: Pixels, mask: NDArray[np.bool_], level: float, seed: int | np.random.Generator = 0
) -> Pixels:
    """Noise inside a mask; pixels outside are untouched.

    Parameters
    ----------
    image: uint8 (H, W, 3).
    mask: bool (H, W).
    level: 0 (as it was) to 100 (nothing but noise).

    >>> image = np.full((2, 2, 3), 200, np.uint8)
    >>> noised = add_noise(image, np.array([[True, False], [False, False]]), 100)
    >>> bool((noised[0, 1] == 200).all()), bool((noised[0, 0] == 200).all())
    (True, False)
    """
    kept = signal_kept(level)
    result = image.copy()
    clean = image[mask].astype(np.float32) / 127.5 - 1.0
    noise = np.random.default_rng(seed).standard_normal(clean.shape, dtype=np.float32)
    noised = np.sqrt(kept) * clean + np.sqrt(1.0 - kept) * noise
    result[mask] = np.clip(np.rint((noised + 1.0) * 127.5), 0, 255).astype(np.uint8)
    return result


def signal_kept(level: float) -> float:
    """Share of a pixel's variance that is left at a noise level, ``abar_t``.

    >>> signal_kept(0), round(signal_kept(20), 2), round(signal_kept(60), 2)
    (1.0, 0.66, 0.03)
    """
    if not 0 <= level <= 100:
        raise InputError(f"noise level {level} is not valid; give a number from 0 to 100")
    step = round(_STEPS * level / 100)
    return 1.0 if step == 0 else float(_schedule()[step - 1])


@lru_cache(maxsize=1)
def _schedule() -> NDArray[np.float64]:
    return np.asarray(np.cumprod(1.0 - np.linspace(1e-4, 0.02, _STEPS)), dtype=np.float64)
