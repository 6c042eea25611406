"""Words as pixels: each is rendered once, and laid onto a picture only where it stands.

Pillow's own font has no kerning with spaces and whole advances, so a text is as wide as its words
and the spaces between them, and words that come again (names, relations, probabilities) cost a
blend of some hundred pixels.

>>> text_width(17, "left of the mug") == font(17).getlength("left of the mug")
True
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, floor
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.arrays import Pixels

    Colour = tuple[int, int, int]

_KEPT: Final = 1024
"""Words that are kept, of no more than ``_LARGEST`` pixels: some megabytes."""
_LARGEST: Final = 40


class _Word(NamedTuple):
    """A word in a colour: pixels (h, w, 3) become ``(pixels * rest + added) / 255``, rounded.

    ``left`` and ``top`` are its place beside the pen, which stands at half the line's height.
    """

    rest: NDArray[np.uint16]
    added: NDArray[np.uint16]
    left: int
    top: int


def text_width(size: int, text: str) -> float:
    """Pixels that a text of a size takes sideways."""
    words = text.split(" ")
    return sum(_advance(size, word) for word in words) + (len(words) - 1) * _advance(size, " ")


def write(pixels: Pixels, place: tuple[float, float], text: str, colour: Colour, size: int) -> None:
    """Write a text in place; it begins at ``x`` and is centred on ``y``, to the nearest pixel."""
    x, y = place
    middle, space = ceil(y - 0.5), _advance(size, " ")
    for word in text.split(" "):
        if word:
            _lay(pixels, _word(size, word, colour), floor(x + 0.5), middle)
        x += _advance(size, word) + space


def _lay(pixels: Pixels, word: _Word, x: int, y: int) -> None:
    """Blend a word in; what of it is beyond the picture is left out."""
    left, top = x + word.left, y + word.top
    high, wide = word.rest.shape[:2]
    room = pixels.shape[0] - top, pixels.shape[1] - left
    rest, added = word.rest, word.added
    if min(left, top) < 0 or room[0] < high or room[1] < wide:
        inside = tuple(
            slice(max(-start, 0), max(most, 0))
            for start, most in zip((top, left), room, strict=True)
        )
        rest, added = rest[inside], added[inside]
        left, top = max(left, 0), max(top, 0)
        high, wide = rest.shape[:2]
    under = pixels[top : top + high, left : left + wide]
    mixed = under * rest
    mixed += added
    mixed += mixed >> 8  # what is then left of eight bits is the 255th part
    mixed >>= 8
    under[:] = mixed


def _word(size: int, text: str, colour: Colour) -> _Word:
    return (_kept if size <= _LARGEST else _rendered)(size, text, colour)


def _rendered(size: int, text: str, colour: Colour) -> _Word:
    mask, (left, top) = font(size).getmask2(text, mode="L", anchor="lm")
    cover = np.frombuffer(bytes(mask), np.uint8).reshape(*mask.size[::-1], 1).astype(np.uint16)
    rest = np.repeat(np.uint16(255) - cover, 3, axis=2)
    return _Word(rest, cover * np.array(colour, np.uint16) + np.uint16(128), left, top)


_kept = lru_cache(maxsize=_KEPT)(_rendered)


@lru_cache(maxsize=8192)
def _advance(size: int, word: str) -> float:
    return float(font(size).getlength(word))


@lru_cache(maxsize=16)
def font(size: int) -> Any:
    """Pillow's own font, of a size."""
    from PIL import ImageFont

    return ImageFont.load_default(size=size)
