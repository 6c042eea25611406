"""Pixels to draw on: lines, arrow heads, badges, texts, and places that are still free."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from math import hypot
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from spatialtrust.graph.lettering import text_width, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float64, Pixels

Colour = tuple[int, int, int]

PAPER: Final = (250, 250, 247)
INK: Final = (28, 28, 30)
FAINT: Final = (95, 95, 100)
WHITE: Final = (255, 255, 255)

STYLE_COLOURS: Final = {"kept": (0, 90, 60), "corrected": (0, 70, 190), "cut": (150, 30, 60)}


class Rect(NamedTuple):
    """A rectangle that text or a badge takes, pixels."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def area(self) -> float:
        """Pixels that it covers."""
        return max(self.x2 - self.x1, 0.0) * max(self.y2 - self.y1, 0.0)

    def overlap(self, other: Rect) -> float:
        """Area that both cover."""
        wide = min(self.x2, other.x2) - max(self.x1, other.x1)
        high = min(self.y2, other.y2) - max(self.y1, other.y1)
        return max(wide, 0.0) * max(high, 0.0)

    def outside(self, width: float, height: float) -> float:
        """Area that lies outside an image."""
        return self.area - self.overlap(Rect(0, 0, width, height))


@dataclass(slots=True)
class Canvas:
    """Pixels, the texts still to be written on them, and the places that are taken.

    Attributes
    ----------
    taken: rectangles that hold tags and badges: nothing else may stand there.
    seen: rectangles that had better stay free, such as small objects.
    """

    pixels: Pixels
    font_size: int
    line: int
    texts: list[tuple[float, float, str, Colour]] = field(default_factory=list)
    taken: list[Rect] = field(default_factory=list)
    seen: list[Rect] = field(default_factory=list)

    @classmethod
    def of(cls, image: Pixels, pixels: Pixels | None = None, *, crowd: float = 1.0) -> Canvas:
        """Type and lines sized for an image, which the canvas holds unless given other pixels.

        Parameters
        ----------
        crowd: how much smaller type and lines are than where there are few objects.
        """
        side = float(np.sqrt(image.shape[0] * image.shape[1]))
        held = image if pixels is None else pixels
        size, line = max(13, round(side * crowd / 42)), max(1, round(side * crowd / 330))
        return cls(held, size, max(line, 2) if crowd == 1 else line)

    def text_width(self, text: str) -> float:
        """Pixels that a text takes sideways."""
        return text_width(self.font_size, text)

    def free(self, places: Float64, *, far: float = 0.0) -> Rect:
        """The best place, pushed into the image: free, then covering little, then near the first.

        Parameters
        ----------
        places: (k, 4) ``x1, y1, x2, y2``.
        far: what distance from the first place costs, in covered areas a pixel.
        """
        height, width = self.pixels.shape[:2]
        size = places[:, 2:] - places[:, :2]
        room = np.maximum(np.array([width, height]) - size, 0)
        low = np.minimum(np.maximum(places[:, :2], 0), room)
        at = np.concatenate([low, low + size], axis=1)
        if not any(_covered(at[:1], rects).any() for rects in (self.taken, self.seen)):
            return Rect(*at[0].tolist())
        cost = 5 * _covered(at, self.taken) + 0.6 * _covered(at, self.seen)
        cost += far * np.abs(at[:, :2] - at[0, :2]).sum(axis=1)
        return Rect(*at[int(cost.argmin())].tolist())

    def written(self) -> Pixels:
        """The pixels with the texts on them, each centred on its height."""
        for x, y, text, colour in self.texts:
            write(self.pixels, (x, y), text, colour, self.font_size)
        return self.pixels

    def wrapped(self, text: str, room: float) -> list[str]:
        """A text as lines that fit a width."""
        if self.text_width(text) <= room:
            return [" ".join(filter(None, text.split(" ")))]
        lines = [""]
        for word in text.split(" "):
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and self.text_width(longer) > room:
                lines.append(word)
            else:
                lines[-1] = longer
        return lines


def paper(height: int, width: int) -> Pixels:
    """Pixels of ``PAPER``, to write on."""
    row = np.tile(np.array(PAPER, dtype=np.uint8), width)
    return np.tile(row, (height, 1)).reshape(height, width, 3)


def _covered(places: Float64, rects: Sequence[Rect]) -> Float64:
    """Area that each place (k, 4) shares with any of the rectangles, summed."""
    listed = np.fromiter(chain.from_iterable(rects), np.float64, 4 * len(rects))
    x1, y1, x2, y2 = listed.reshape(-1, 4).T
    wide = np.minimum(places[:, 2:3], x2) - np.maximum(places[:, 0:1], x1)
    high = np.minimum(places[:, 3:4], y2) - np.maximum(places[:, 1:2], y1)
    return np.asarray((np.maximum(wide, 0) * np.maximum(high, 0)).sum(axis=1))


def rectangle(canvas: Canvas, box: Float64, colour: Colour) -> None:
    """The outline of a box, dark around the colour, so that it is seen on any image."""
    import cv2

    low, high = (tuple(int(v) for v in corner.round()) for corner in (box[:2], box[2:]))
    cv2.rectangle(canvas.pixels, low, high, INK, canvas.line + 2, cv2.LINE_AA)
    cv2.rectangle(canvas.pixels, low, high, colour, canvas.line, cv2.LINE_AA)


def line(canvas: Canvas, start: Float64, end: Float64, colour: Colour) -> None:
    """A thin line with a dark rim, from a tag or a badge to what it is of."""
    import cv2

    ends = [tuple(int(v) for v in np.round(point)) for point in (start, end)]
    thin = max(1, canvas.line // 3)
    for shade, thick in ((INK, thin + max(2, thin)), (colour, thin)):
        cv2.line(canvas.pixels, ends[0], ends[1], shade, thick, cv2.LINE_AA)


def tag(canvas: Canvas, rect: Rect, text: str, colour: Colour) -> None:
    """A text on a coloured plate."""
    import cv2

    low, high = (round(rect.x1), round(rect.y1)), (round(rect.x2), round(rect.y2))
    cv2.rectangle(canvas.pixels, low, high, colour, -1)
    cv2.rectangle(canvas.pixels, low, high, INK, 1, cv2.LINE_AA)
    ink = INK if np.dot(colour, (0.299, 0.587, 0.114)) > 110 else WHITE
    y = (rect.y1 + rect.y2) / 2
    canvas.texts.append((rect.x1 + canvas.font_size * 0.3, y, text, ink))


def arrow(canvas: Canvas, curve: Float64, style: str) -> None:
    """An arrow along a curve (n, 2): kept whole, corrected dashed, cut dotted with a bar."""
    import cv2

    colour, head = STYLE_COLOURS[style], canvas.line * 4.5
    gone = travelled(curve)
    # A short arrow keeps a stub of line behind its head.
    body = gone <= max(gone[-1] - head * 0.8, gone[-1] * 0.4)
    pieces = _pieces(curve[body], gone[body], style, canvas.line)
    for shade, extra in ((WHITE, 2 + canvas.line // 2), (colour, 0)):
        thick = canvas.line + extra
        if pieces:
            cv2.polylines(canvas.pixels, pieces, False, shade, thick, cv2.LINE_AA, 4)
        _head(canvas.pixels, _pointing(curve, gone, head + extra), shade, style, thick)
    centre = tuple(int(v) for v in curve[0].round())
    cv2.circle(canvas.pixels, centre, canvas.line * 2 + 1, WHITE, -1, cv2.LINE_AA)
    cv2.circle(canvas.pixels, centre, max(canvas.line * 2 - 1, 1), colour, -1, cv2.LINE_AA)


def badge(canvas: Canvas, centre: tuple[int, int], radius: int, number: int, style: str) -> None:
    """A number in a circle."""
    import cv2

    cv2.circle(canvas.pixels, centre, radius, WHITE, -1, cv2.LINE_AA)
    ring = max(1, canvas.line - 1)
    cv2.circle(canvas.pixels, centre, radius, STYLE_COLOURS[style], ring, cv2.LINE_AA)
    text = str(number)
    canvas.texts.append((centre[0] - canvas.text_width(text) / 2, centre[1], text, INK))


def travelled(curve: Float64) -> Float64:
    """How far along a curve (n, 2) each point is, pixels."""
    steps = np.hypot(*(curve[1:] - curve[:-1]).T)
    return np.concatenate([[0.0], np.cumsum(steps)])


class _Pointing(NamedTuple):
    """Where a curve ends, how large its head is, and the way it points there (a unit vector)."""

    x: float
    y: float
    size: float
    along_x: float
    along_y: float

    def at(self, back: float, aside: float) -> tuple[float, float]:
        """A point so far behind the tip and beside it, in sizes of the head."""
        back, aside = back * self.size, aside * self.size
        return (
            self.x - back * self.along_x - aside * self.along_y,
            self.y - back * self.along_y + aside * self.along_x,
        )


def _pointing(curve: Float64, gone: Float64, size: float) -> _Pointing:
    before = int(np.searchsorted(gone, max(gone[-1] - size, 0.0), "right")) - 1
    (x, y), (from_x, from_y) = curve[-1].tolist(), curve[max(before, 0)].tolist()
    length = max(hypot(x - from_x, y - from_y), 1e-6)
    return _Pointing(x, y, size, (x - from_x) / length, (y - from_y) / length)


def _head(pixels: Pixels, tip: _Pointing, colour: Colour, style: str, thick: int) -> None:
    """Kept: filled; corrected: open; cut: a bar across the end."""
    import cv2

    bar = style == "cut"
    spots = [(0, -0.6), (0, 0.6)] if bar else [(1, 0.5), (0, 0), (1, -0.5)]
    points = [_fixed(np.array([tip.at(*spot) for spot in spots]))]
    if style == "kept":
        cv2.fillPoly(pixels, points, colour, cv2.LINE_AA, 4)
    cv2.polylines(pixels, points, style == "kept", colour, thick, cv2.LINE_AA, 4)


def _fixed(points: Float64) -> NDArray[np.int32]:
    """Sixteenths of a pixel, as OpenCV takes them with shift 4."""
    return np.rint(points * 16).astype(np.int32)


def _pieces(curve: Float64, gone: Float64, style: str, thick: int) -> list[NDArray[np.int32]]:
    """The drawn pieces of a line: whole, long dashes, or short dots."""
    if style == "kept":
        # Every second point bends it as well: the others lie within a tenth of a pixel.
        return [_fixed(np.concatenate([curve[:-1:2], curve[-1:]]))]
    # Dashes bend once, dots not at all: on their length a curve is straight.
    on, off, points = (6.0, 4.0, 3) if style == "corrected" else (1.0, 3.0, 2)
    on, off = on * thick, off * thick
    starts = np.arange(0, gone[-1], on + off)
    at = np.linspace(starts, np.minimum(starts + on, gone[-1]), points, axis=1)
    return list(_fixed(np.stack([np.interp(at, gone, side) for side in curve.T], axis=2)))
