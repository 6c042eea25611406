"""Semantic perturbation: the objects a question is about are disturbed, nothing else is.

Noise follows the forward process of a diffusion model (:mod:`spatialtrust.questions.views`); blur
and occlusion are there to compare with. Level 0 is the picture as it was, 100 leaves nothing of
the objects to be seen. Sources: arXiv 2504.14848 for noise on key objects; the scales of blur and
occlusion are this package's choice.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.csp.regions import covered
from spatialtrust.errors import InputError, suggest
from spatialtrust.questions.views import add_noise, signal_kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spatialtrust.arrays import Bool, Pixels
    from spatialtrust.csp.regions import Region

KINDS: Final = ("noise", "blur", "occlusion")
"""How objects are disturbed. Blur: a Gaussian of up to half the object's extent, growing with the
square of the level; occlusion: that share of its rows, from the bottom, in the mean colour around.
"""

LADDER: Final = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
"""The levels of the paper's confidence levels, in percent."""


def perturb(
    picture: Pixels, regions: Sequence[Region], level: float, *, kind: str = "noise", seed: int = 0
) -> Pixels:
    """The picture with its objects disturbed; pixels outside of them are untouched.

    Parameters
    ----------
    picture: uint8 (H, W, 3).
    regions: one or more objects, see ``regions.covered``; where they overlap the first counts.
    level: 0 to 100.
    seed: the noise of an object follows from this, the picture, the region and the level alone.

    Raises
    ------
    InputError: no region, one that is empty or outside the picture, a level or kind not known.

    >>> picture = np.full((8, 8, 3), 200, np.uint8)
    >>> changed = perturb(picture, [[0, 0, 4, 4]], 60) != picture
    >>> bool(changed[:4, :4].any()), bool(changed[4:].any() or changed[:, 4:].any())
    (True, False)
    """
    if kind not in KINDS:
        raise InputError(
            f'perturbation "{kind}" is not known; {suggest(kind, KINDS)}valid: {", ".join(KINDS)}'
        )
    signal_kept(level)  # refuses a level that is none
    if not len(regions):
        raise InputError("no region was given; name the objects that the question is about")
    free = np.ones(picture.shape[:2], dtype=bool)
    digest = hashlib.blake2b(picture.tobytes(), digest_size=16).digest()
    result = picture
    for region in regions:
        pixels = covered(picture.shape[:2], region)
        mine = pixels & free
        free &= ~pixels
        if level > 0 and mine.any():
            generator = np.random.default_rng(_seed(digest, region, level, seed))
            result = _DISTURB[kind](result, mine, level, generator)
    return result if result is not picture else picture.copy()


def perturb_batch(
    pictures: Sequence[Pixels],
    regions: Sequence[Sequence[Region]],
    levels: Sequence[float],
    *,
    kind: str = "noise",
    seed: int = 0,
) -> tuple[list[Pixels | None], list[str]]:
    """Several pictures; one that cannot be disturbed is None, and its status says why.

    >>> picture = np.zeros((4, 4, 3), np.uint8)
    >>> made, status = perturb_batch([picture] * 2, [[[0, 0, 2, 2]], [[9, 9, 10, 10]]], [50, 50])
    >>> made[1] is None, status[0], status[1][:10]
    (True, 'ok', 'the region')
    """
    made: list[Pixels | None] = []
    status = []
    for picture, listed, level in zip(pictures, regions, levels, strict=True):
        try:
            made.append(perturb(picture, listed, level, kind=kind, seed=seed))
            status.append("ok")
        except InputError as error:
            made.append(None)
            status.append(str(error))
    return made, status


def _seed(digest: bytes, region: Any, level: float, seed: int) -> int:
    if isinstance(region, np.ndarray):
        spelled = region.tobytes()
    else:
        spelled = json.dumps(region, sort_keys=True, default=str).encode()
    key = b"|".join((digest, spelled, repr(float(level)).encode(), str(seed).encode()))
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest())


def _noise(picture: Pixels, mask: Bool, level: float, generator: np.random.Generator) -> Pixels:
    return add_noise(picture, mask, level, generator)


def _blur(picture: Pixels, mask: Bool, level: float, generator: np.random.Generator) -> Pixels:
    import cv2

    rows, columns = np.nonzero(mask)
    extent = max(np.ptp(rows) + 1, np.ptp(columns) + 1)
    blurred = cv2.GaussianBlur(picture, (0, 0), max(0.1, 0.5 * extent * (level / 100) ** 2))
    result = picture.copy()
    result[mask] = blurred[mask]
    return result


def _occlude(picture: Pixels, mask: Bool, level: float, generator: np.random.Generator) -> Pixels:
    rows = np.nonzero(mask)[0]
    first = rows.max() + 1 - round(level / 100 * (np.ptp(rows) + 1))
    hidden = mask.copy()
    hidden[:first] = False
    around = ~mask if not mask.all() else mask
    result = picture.copy()
    result[hidden] = np.rint(picture[around].mean(axis=0)).astype(np.uint8)
    return result


_DISTURB: Final = {"noise": _noise, "blur": _blur, "occlusion": _occlude}
