"""Scene graphs drawn onto their images, to be looked at.

Objects are boxes with a tag; edges are numbered arrows, and what the numbers say stands below the
image, so that words never cover what they are about. Kept, corrected and pruned edges differ in
line and arrow head, not only in colour. All sizes follow the image's.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow.compute as pc

from spatialtrust.errors import InputError
from spatialtrust.graph.naming import display_names
from spatialtrust.graph.ranking import rank_of
from spatialtrust.relations import RELATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float64, Pixels
    from spatialtrust.graph import SceneGraph


MAX_ARROWS: Final = 10
"""Edges on one picture: what holds or touches what first, then the surest; the rest is counted."""

MAX_PRUNED: Final = 3
"""And so many pruned ones, the nearest to being kept."""

MAX_PER_OBJECT: Final = 4
"""Arrows that begin or end at one object."""

SMALLEST_SIDE: Final = 480
"""Smaller images are enlarged until their shorter side has so many pixels."""

BOW: Final = {"kept": 0.12, "corrected": 0.24, "pruned": -0.12}
"""How far an arrow bows out, as a share of its length; pruned ones to the other side."""

MIDDLE: Final = 0.4
"""Arrows end this far out from an object's centre, as a share of its half extents."""

JPEG_QUALITY: Final = 92
STYLES: Final = ("kept", "corrected", "pruned")

_STYLE_COLOURS: Final = {"kept": (0, 90, 60), "corrected": (0, 70, 190), "pruned": (150, 30, 60)}
_PALETTE: Final = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (204, 121, 167), (153, 221, 255), (170, 170, 0), (187, 187, 187),
)  # fmt: skip
"""Okabe and Ito's colours and four more; objects need telling apart, edges do not rely on it."""

_PAPER: Final = (250, 250, 247)
_INK: Final = (28, 28, 30)
_FAINT: Final = (95, 95, 100)
_WHITE: Final = (255, 255, 255)


class Rect(NamedTuple):
    """A rectangle that text or a badge takes, pixels."""

    x1: float
    y1: float
    x2: float
    y2: float

    def overlap(self, other: Rect) -> float:
        """Area that both cover."""
        wide = min(self.x2, other.x2) - max(self.x1, other.x1)
        high = min(self.y2, other.y2) - max(self.y1, other.y1)
        return max(wide, 0.0) * max(high, 0.0)

    def outside(self, width: float, height: float) -> float:
        """Area that lies outside an image."""
        own = (self.x2 - self.x1) * (self.y2 - self.y1)
        return own - self.overlap(Rect(0, 0, width, height))


@dataclass(frozen=True, slots=True)
class Arrow:
    """One drawn arrow: all relations of one style from one object to another.

    A pruned one has a single relation, the nearest to being kept: of what is not believed there is
    much, and little to learn. ``p_true`` is each relation's own.
    """

    subject_id: str
    object_id: str
    relations: tuple[str, ...]
    p_true: tuple[float, ...]
    style: str


@dataclass(slots=True)
class _Canvas:
    """Pixels, the texts still to be written on them, and the places that are taken."""

    pixels: Pixels
    font_size: int
    line: int
    texts: list[tuple[float, float, str, tuple[int, int, int]]] = field(default_factory=list)
    taken: list[Rect] = field(default_factory=list)


def draw(pixels: Pixels, graph: SceneGraph) -> Pixels:
    """A picture of a scene graph.

    Parameters
    ----------
    pixels: uint8 (H, W, 3), RGB, upright: the image whose boxes the graph has.
    graph: what to draw.

    Returns
    -------
    RGB; the image (enlarged where it is small) with a panel below it.

    Raises
    ------
    InputError: ``pixels`` are of another shape or type.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise InputError(
            f"pixels are {pixels.dtype} of shape {pixels.shape}; give uint8 (H, W, 3), RGB"
        )
    image, scale = _enlarged(pixels)
    canvas = _canvas(image)
    ids = graph.objects.strings("object_id")
    boxes = dict(zip(ids, graph.objects.boxes().astype(np.float64) * scale, strict=True))
    names = display_names(graph)
    colours = {name: _PALETTE[place % len(_PALETTE)] for place, name in enumerate(boxes)}
    arrows = choose_arrows(graph, boxes)
    _draw_boxes(canvas, boxes, colours)
    curves = [
        _curve(boxes[arrow.subject_id], boxes[arrow.object_id], arrow.style) for arrow in arrows
    ]
    for arrow, curve in reversed(list(zip(arrows, curves, strict=True))):
        _draw_arrow(canvas, curve, arrow.style)
    _draw_tags(canvas, boxes, names, colours)
    for number, (arrow, curve) in enumerate(zip(arrows, curves, strict=True), 1):
        _draw_badge(canvas, curve, number, arrow.style)
    panel = _panel(canvas, graph, arrows, names)
    return np.concatenate([_written(canvas), _written(panel)])


def draw_claim(
    pixels: Pixels, boxes: tuple[Float64, Float64], claim: tuple[str, str, str]
) -> Pixels:
    """A picture of one claim to be judged: its two objects, and the claim below; no verdict.

    Parameters
    ----------
    pixels: uint8 (H, W, 3), RGB, upright.
    boxes: of subject and object, ``x1, y1, x2, y2`` in pixels.
    claim: subject, relation, object.
    """
    image, scale = _enlarged(pixels)
    canvas = _canvas(image)
    placed: dict[str | None, Float64] = {
        name: np.asarray(box, dtype=np.float64) * scale
        for name, box in zip(("subject", "object"), boxes, strict=True)
    }
    colours = {"subject": _PALETTE[0], "object": _PALETTE[1]}
    _draw_boxes(canvas, placed, colours)
    _draw_tags(canvas, placed, {"subject": claim[0], "object": claim[2]}, colours)
    lines = _wrapped(f"{' '.join(claim)}?", canvas.font_size, image.shape[1] - canvas.font_size)
    height = round(canvas.font_size * 1.75 * (len(lines) + 0.3))
    panel = _canvas(image, np.full((height, image.shape[1], 3), _PAPER, dtype=np.uint8))
    for number, line in enumerate(lines):
        y = canvas.font_size * (1.15 + 1.75 * number)
        panel.texts.append((canvas.font_size * 0.5, y, line, _INK))
    return np.concatenate([_written(canvas), _written(panel)])


def encode(pixels: Pixels) -> bytes:
    """RGB pixels as JPEG."""
    import cv2

    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    _, content = cv2.imencode(".jpg", pixels[:, :, ::-1], options)
    return bytes(content.tobytes())


def choose_arrows(graph: SceneGraph, boxes: Mapping[str | None, Float64]) -> list[Arrow]:
    """The arrows to draw: relations of one style between the same two objects share one.

    Support and contact first (:func:`spatialtrust.graph.ranking.rank_of`), of these the surest, and
    of equally sure ones (to two digits) the shortest; at most ``MAX_PER_OBJECT`` at an object, so
    that one object's edges do not fill the picture. What a reduced graph leaves out is not drawn,
    nor what has no probability.
    """
    told = graph.candidates.filter(pc.is_finite(graph.candidates["p_true"]))
    rows = sorted(told.to_pylist(), key=lambda row: -row["p_true"])
    together: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in rows:
        subject, other, style = row["subject_id"], row["object_id"], _style(row)
        if subject not in boxes or other not in boxes or subject == other or row["left_out"]:
            continue
        key, relation = (subject, other, style), row["relation"]
        converse = RELATIONS[relation].converse
        if (other, subject, style) in together and converse in RELATIONS:
            key, relation = (other, subject, style), str(converse)
        said = together.setdefault(key, {})
        if not said or style != "pruned":
            said.setdefault(relation, row["p_true"])

    def rank(arrow: Arrow) -> tuple[int, float, float]:
        pruned = arrow.style == "pruned"
        first = 0 if pruned else min(rank_of(relation) for relation in arrow.relations)
        ends = boxes[arrow.subject_id], boxes[arrow.object_id]
        length = np.linalg.norm(_centre(ends[0]) - _centre(ends[1]))
        return first, -round(max(arrow.p_true), 2), float(length)

    arrows = sorted(
        (
            Arrow(subject, other, tuple(said), tuple(said.values()), style)
            for (subject, other, style), found in together.items()
            for said in (dict(sorted(found.items(), key=_first_said)),)
        ),
        key=rank,
    )
    at: Counter[str] = Counter()
    left = {"pruned": MAX_PRUNED, "edge": MAX_ARROWS}
    chosen = []
    for arrow in sorted(arrows, key=lambda arrow: arrow.style == "pruned"):
        kind = "pruned" if arrow.style == "pruned" else "edge"
        ends = (arrow.subject_id, arrow.object_id)
        if left[kind] and max(at[end] for end in ends) < MAX_PER_OBJECT:
            at.update(ends)
            left[kind] -= 1
            chosen.append(arrow)
    return chosen


def _first_said(relation: tuple[str, float]) -> tuple[int, float]:
    return rank_of(relation[0]), -relation[1]


def _style(row: Mapping[str, Any]) -> str:
    if row["emitted"] != "yes":
        return "pruned"
    return "corrected" if row["decision"] == "correct" else "kept"


def _canvas(image: Pixels, pixels: Pixels | None = None) -> _Canvas:
    """A canvas with type and lines sized for an image, which it holds unless given others."""
    side = float(np.sqrt(image.shape[0] * image.shape[1]))
    held = image if pixels is None else pixels
    return _Canvas(held, max(13, round(side / 42)), max(2, round(side / 330)))


def _enlarged(pixels: Pixels) -> tuple[Pixels, float]:
    import cv2

    height, width = pixels.shape[:2]
    scale = max(1.0, SMALLEST_SIDE / min(height, width))
    if scale == 1.0:
        return pixels.copy(), 1.0
    size = (round(width * scale), round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)), scale


def _draw_boxes(
    canvas: _Canvas, boxes: Mapping[str | None, Float64], colours: Mapping[Any, tuple[int, ...]]
) -> None:
    import cv2

    # Large boxes first, so that small ones stay visible on them.
    for name, box in sorted(boxes.items(), key=lambda item: -_area(item[1])):
        low, high = (tuple(int(v) for v in corner.round()) for corner in (box[:2], box[2:]))
        cv2.rectangle(canvas.pixels, low, high, _INK, canvas.line + 2, cv2.LINE_AA)
        cv2.rectangle(canvas.pixels, low, high, colours[name], canvas.line, cv2.LINE_AA)


def _draw_tags(
    canvas: _Canvas,
    boxes: Mapping[str | None, Float64],
    names: Mapping[str, str],
    colours: Mapping[Any, tuple[int, ...]],
) -> None:
    import cv2

    height, width = canvas.pixels.shape[:2]
    for name, box in sorted(boxes.items(), key=lambda item: _area(item[1])):
        text = names[str(name)]
        wide, high = _text_size(text, canvas.font_size)
        wide, high = wide + canvas.font_size * 0.6, high + canvas.font_size * 0.35
        rect = _free(canvas, _tag_places(box, wide, high), width, height)
        canvas.taken.append(rect)
        low, top = round(rect.x1), round(rect.y1)
        end = (round(rect.x2), round(rect.y2))
        cv2.rectangle(canvas.pixels, (low, top), end, colours[name], -1)
        cv2.rectangle(canvas.pixels, (low, top), end, _INK, 1, cv2.LINE_AA)
        ink = _INK if np.dot(colours[name], (0.299, 0.587, 0.114)) > 110 else _WHITE
        canvas.texts.append((rect.x1 + canvas.font_size * 0.3, (rect.y1 + rect.y2) / 2, text, ink))


def _tag_places(box: Float64, wide: float, high: float) -> list[Rect]:
    """Where a tag may stand, the best first: at the corners, then stepping along the edges."""
    x1, y1, x2, y2 = box
    places = [(x1, y1 - high), (x1, y1), (x2 - wide, y1 - high), (x2 - wide, y1)]
    places += [(x1, y2), (x1, y2 - high), (x2 - wide, y2), (x2 - wide, y2 - high)]
    for share in (0.25, 0.5, 0.75):
        places += [(x1 + share * (x2 - x1), y1 - high), (x1, y1 + share * (y2 - y1))]
        places += [(x2 - wide, y1 + share * (y2 - y1)), (x1 + share * (x2 - x1), y2)]
    # Where all that is taken, stacked above or below; the colour still says whose tag it is.
    for steps in (2, 3, 4, 5):
        places += [(x1, y1 - steps * high), (x1, y2 + (steps - 1) * high)]
    return [Rect(x, y, x + wide, y + high) for x, y in places]


def _free(canvas: _Canvas, places: Sequence[Rect], width: int, height: int) -> Rect:
    """The first place, pushed into the image, that nothing covers; else the least covered."""
    best, least = places[0], np.inf
    for rect in places:
        dx = min(max(rect.x1, 0), max(width - (rect.x2 - rect.x1), 0)) - rect.x1
        dy = min(max(rect.y1, 0), max(height - (rect.y2 - rect.y1), 0)) - rect.y1
        pushed = Rect(rect.x1 + dx, rect.y1 + dy, rect.x2 + dx, rect.y2 + dy)
        covered = sum(pushed.overlap(other) for other in canvas.taken)
        if covered < least:
            best, least = pushed, covered
        if not covered:
            break
    return best


def _curve(start: Float64, end: Float64, style: str) -> Float64:
    """Points (n, 2) from object to object; arrows of different style bow differently.

    The ends lie where the curve leaves and enters the middle of the boxes, so that the arrows at
    one object do not all meet in one point.
    """
    first, last = _centre(start), _centre(end)
    along = last - first
    length = float(np.linalg.norm(along))
    if length < 1:
        # Boxes around one point: draw across the smaller, there is no direction to show.
        reach = min(_area(start), _area(end)) ** 0.5 / 3
        shift = np.array([reach, 0.0])
        first, last = first - shift, last + shift
        along, length = last - first, 2 * reach
    # To one side as seen from left to right, whichever way the arrow points.
    side = BOW[style] if along[0] > 0 or (along[0] == 0 and along[1] > 0) else -BOW[style]
    middle = (first + last) / 2 + np.array([along[1], -along[0]]) * side
    t = np.linspace(0, 1, 128)[:, None]
    curve = np.asarray((1 - t) ** 2 * first + 2 * t * (1 - t) * middle + t**2 * last)
    outside = ~(_inside(curve, start) | _inside(curve, end))
    return curve[outside] if outside.sum() > len(curve) // 3 else curve


def _inside(curve: Float64, box: Float64) -> NDArray[np.bool_]:
    """Which points lie in the middle part of a box."""
    reach = (box[2:] - box[:2]) / 2 * MIDDLE
    return np.asarray((np.abs(curve - _centre(box)) < reach).all(axis=1))


def _draw_arrow(canvas: _Canvas, curve: Float64, style: str) -> None:
    import cv2

    head = canvas.line * 4.5
    travelled = _travelled(curve)
    # A short arrow keeps a stub of line behind its head.
    body = curve[travelled <= max(travelled[-1] - head * 0.8, travelled[-1] * 0.4)]
    for colour, extra in ((_WHITE, 2 + canvas.line // 2), (_STYLE_COLOURS[style], 0)):
        thick = canvas.line + extra
        for piece in _pieces(body, style, canvas.line):
            points = [np.round(piece * 16).astype(np.int32)]
            cv2.polylines(canvas.pixels, points, False, colour, thick, cv2.LINE_AA, 4)
        _draw_head(canvas.pixels, curve, head + extra, colour, style, thick)
    centre = tuple(int(v) for v in curve[0].round())
    cv2.circle(canvas.pixels, centre, canvas.line * 2 + 1, _WHITE, -1, cv2.LINE_AA)
    cv2.circle(canvas.pixels, centre, canvas.line * 2 - 1, _STYLE_COLOURS[style], -1, cv2.LINE_AA)


def _draw_head(
    pixels: Pixels,
    curve: Float64,
    size: float,
    colour: tuple[int, int, int],
    style: str,
    thick: int,
) -> None:
    """Kept: filled; corrected: open; pruned: a bar across the end."""
    import cv2

    tip = curve[-1]
    far = np.flatnonzero(_travelled(curve) <= max(_travelled(curve)[-1] - size, 0))
    back = tip - curve[far[-1] if len(far) else 0]
    along = back / max(float(np.linalg.norm(back)), 1e-6)
    across = np.array([-along[1], along[0]])
    if style == "pruned":
        ends = np.stack([tip - across * size * 0.6, tip + across * size * 0.6])
        cv2.polylines(pixels, [_fixed(ends)], False, colour, thick, cv2.LINE_AA, 4)
        return
    base = tip - along * size
    wings = np.stack([base + across * size * 0.5, tip, base - across * size * 0.5])
    if style == "kept":
        cv2.fillPoly(pixels, [_fixed(wings)], colour, cv2.LINE_AA, 4)
    cv2.polylines(pixels, [_fixed(wings)], style == "kept", colour, thick, cv2.LINE_AA, 4)


def _fixed(points: Float64) -> NDArray[np.int32]:
    """Sixteenths of a pixel, as OpenCV takes them with shift 4."""
    return np.round(points * 16).astype(np.int32)


def _pieces(curve: Float64, style: str, line: int) -> list[Float64]:
    """The drawn pieces of a line: whole, long dashes, or short dots."""
    if style == "kept":
        return [curve]
    on, off = (line * 6.0, line * 4.0) if style == "corrected" else (line * 1.0, line * 3.0)
    travelled = _travelled(curve)
    pieces = []
    for start in np.arange(0, travelled[-1], on + off):
        at = np.linspace(start, min(start + on, travelled[-1]), 6)
        pieces.append(
            np.stack([np.interp(at, travelled, curve[:, axis]) for axis in (0, 1)], axis=1)
        )
    return pieces


def _draw_badge(canvas: _Canvas, curve: Float64, number: int, style: str) -> None:
    """An arrow's number, on its line or beside it; from farther off a thin line leads to it."""
    import cv2

    radius = canvas.font_size * 0.72
    height, width = canvas.pixels.shape[:2]
    along = curve[-1] - curve[0]
    aside = np.array([-along[1], along[0]]) / max(float(np.linalg.norm(along)), 1e-6)
    places = []
    # On the line, or beside it where that is taken.
    for shift in (0, -2.2, 2.2, -4.4, 4.4, -6.6, 6.6):
        for share in (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82):
            x, y = curve[round(share * (len(curve) - 1))] + aside * shift * radius
            places.append(Rect(x - radius, y - radius, x + radius, y + radius))
    rect = _free(canvas, places, width, height)
    canvas.taken.append(rect)
    centre = (round((rect.x1 + rect.x2) / 2), round((rect.y1 + rect.y2) / 2))
    away = np.linalg.norm(curve - centre, axis=1)
    if away.min() > radius * 1.5:
        foot = tuple(int(v) for v in curve[int(away.argmin())].round())
        for colour, extra in ((_WHITE, 2), (_STYLE_COLOURS[style], 0)):
            cv2.line(canvas.pixels, centre, foot, colour, 1 + extra, cv2.LINE_AA)
    _badge(canvas, centre, round(radius), number, style)


def _badge(canvas: _Canvas, centre: tuple[int, int], radius: int, number: int, style: str) -> None:
    import cv2

    cv2.circle(canvas.pixels, centre, radius, _WHITE, -1, cv2.LINE_AA)
    cv2.circle(
        canvas.pixels, centre, radius, _STYLE_COLOURS[style], max(1, canvas.line - 1), cv2.LINE_AA
    )
    text = str(number)
    wide, _ = _text_size(text, canvas.font_size)
    canvas.texts.append((centre[0] - wide / 2, centre[1], text, _INK))


def _panel(
    picture: _Canvas, graph: SceneGraph, arrows: Sequence[Arrow], names: Mapping[str, str]
) -> _Canvas:
    """What the numbers say, the line styles, and what is not drawn."""
    width, size = picture.pixels.shape[1], picture.font_size
    row = round(size * 1.75)
    said = [
        f"{names[arrow.subject_id]} {relations} {names[arrow.object_id]}"
        for arrow in arrows
        for relations in (", ".join(arrow.relations),)
    ]
    sure = [", ".join(f"{p:.2f}" for p in arrow.p_true) for arrow in arrows]
    # A badge, the probabilities in the order of the relations, and gaps.
    indent = size * 2.6 + max((_text_size(text, size)[0] for text in sure), default=0)
    longest = max((_text_size(text, size)[0] for text in said), default=0) + indent + size * 0.7
    columns = max(1, min(3, int(width // max(longest, 1)), len(arrows)))
    rows = -(-len(arrows) // columns)
    lines = _wrapped(_title(graph, arrows), size, width - size)
    height = round(row * (len(lines) + 1 + rows) + size * 0.8)
    panel = _Canvas(np.full((height, width, 3), _PAPER, dtype=np.uint8), size, picture.line)
    y = row * 0.5 + size * 0.3
    for line in lines:
        panel.texts.append((size * 0.5, y, line, _INK))
        y += row
    _draw_legend(panel, y)
    for place, (arrow, text) in enumerate(zip(arrows, said, strict=True)):
        x = size * 0.5 + (place // rows) * (width / columns)
        at = y + row * (1 + place % rows)
        centre = (round(x + size * 0.8), round(at))
        _badge(panel, centre, round(size * 0.72), place + 1, arrow.style)
        panel.texts.append((x + size * 1.9, at, sure[place], _FAINT))
        room = width / columns - indent - size * 0.5
        panel.texts.append((x + indent, at, _cut(text, size, room), _INK))
    return panel


def _title(graph: SceneGraph, arrows: Sequence[Arrow]) -> str:
    drawn = Counter[str]()
    for arrow in arrows:
        drawn["pruned" if arrow.style == "pruned" else "edges"] += len(arrow.relations)
    edges = int(graph.kept.sum())
    believed = int(graph.believed.sum())
    pruned = graph.candidates.num_rows - believed
    parts = [
        f"objects: {len(graph.objects)}",
        f"edges kept: {edges} ({drawn['edges']} drawn)",
        *([f"implied or far: {believed - edges}"] if believed > edges else []),
        f"pruned: {pruned} ({drawn['pruned']} drawn)",
    ]
    return "; ".join(parts)


def _draw_legend(panel: _Canvas, y: float) -> None:
    x = panel.font_size * 0.5 + panel.line * 2
    for style in STYLES:
        length = panel.font_size * 3.2
        curve = np.stack([np.linspace(x, x + length, 32), np.full(32, y)], axis=1)
        _draw_arrow(panel, curve, style)
        x += length + panel.font_size * 0.6
        panel.texts.append((x, y, style, _FAINT))
        x += _text_size(style, panel.font_size)[0] + panel.font_size * 1.2


def _written(canvas: _Canvas) -> Pixels:
    """The pixels with the texts on them, each centred on its height."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(canvas.pixels)
    pen = ImageDraw.Draw(image)
    font = _font(canvas.font_size)
    for x, y, text, colour in canvas.texts:
        pen.text((x, y), text, fill=colour, font=font, anchor="lm")
    return np.asarray(image)


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size=size)


def _text_size(text: str, size: int) -> tuple[float, float]:
    return float(_font(size).getlength(text)), size * 1.05


def _wrapped(text: str, size: int, room: float) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _text_size(longer, size)[0] > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _cut(text: str, size: int, room: float) -> str:
    if _text_size(text, size)[0] <= room:
        return text
    while text and _text_size(f"{text}…", size)[0] > room:
        text = text[:-1]
    return f"{text}…"


def _travelled(curve: Float64) -> Float64:
    steps = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _centre(box: Float64) -> Float64:
    return np.asarray((box[:2] + box[2:]) / 2)


def _area(box: Float64) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))
