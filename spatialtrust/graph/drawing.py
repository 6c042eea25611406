"""Scene graphs drawn onto their images, to be looked at.

Objects are boxes with a tag; edges are numbered arrows, and what the numbers say stands below the
image, so that words never cover what they are about. Where there are many objects, tags stand
beside them and a line leads to what they name. Kept, corrected and cut edges differ in line and
arrow head, not only in colour. All sizes follow the image's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.errors import InputError
from spatialtrust.graph.arrows import choose_arrows
from spatialtrust.graph.canvas import (
    INK,
    STYLE_COLOURS,
    Canvas,
    Rect,
    arrow,
    badge,
    line,
    paper,
    rectangle,
    tag,
)
from spatialtrust.graph.naming import display_names
from spatialtrust.graph.panel import panel
from spatialtrust.graph.why import Explainer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float64, Pixels
    from spatialtrust.graph import SceneGraph
    from spatialtrust.graph.arrows import Arrow

SMALLEST_SIDE: Final = 480
"""Smaller images are enlarged until their shorter side has so many pixels."""

SMALL: Final = 72
"""Crowded images are enlarged until the typical object is so large, pixels."""

CROWDED_SIDE: Final = 1000
"""And until the longer side has so many pixels."""

LARGEST_SIDE: Final = 1600
"""But no longer than this by enlarging."""

MOST_ENLARGED: Final = 16_384
"""Pixels of the longer side: a line of pixels is not made a wall."""

LONGEST_NAME: Final = 80
"""Letters of an object's name that are drawn."""

CROWD: Final = 8
"""From so many objects on an image is crowded: thinner lines, smaller type, tags with leaders."""

MOST_OBJECTS: Final = 60
"""Of more objects only those at an arrow are drawn; the others are counted."""

BOW: Final = {"kept": 0.12, "corrected": 0.24, "cut": -0.12}
"""How far an arrow bows out, as a share of its length; cut ones to the other side."""

MIDDLE: Final = 0.4
"""Arrows end this far out from an object's centre, as a share of its half extents."""

JPEG_QUALITY: Final = 92

_ALONG: Final = (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82)
_ASIDE: Final = np.array([0, -2.2, 2.2, -4.4, 4.4, -6.6, 6.6])
"""Where an arrow's number may stand: along its line, and beside it in radii; the best first."""

_T: Final = np.linspace(0, 1, 64)
_BEND: Final = np.stack([(1 - _T) ** 2, 2 * _T * (1 - _T), _T**2], axis=1)
"""What start, middle and end of an arrow count at each of its points: a quadratic curve."""

_PALETTE: Final = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (204, 121, 167), (153, 221, 255), (170, 170, 0), (187, 187, 187),
)  # fmt: skip
"""Okabe and Ito's colours and four more; objects need telling apart, edges do not rely on it."""


def draw(pixels: Pixels, graph: SceneGraph) -> Pixels:
    """A picture of a scene graph.

    Parameters
    ----------
    pixels: uint8 (H, W, 3), RGB, upright: the image whose boxes the graph has.
    graph: what to draw.

    Returns
    -------
    RGB; the image (enlarged where it or its objects are small) with a panel below it.

    Raises
    ------
    InputError: ``pixels`` are of another shape or type.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise InputError(
            f"pixels are {pixels.dtype} of shape {pixels.shape}; give uint8 (H, W, 3), RGB"
        )
    names = {name: _cut(shown) for name, shown in display_names(graph).items()}
    ids = [str(name) for name in graph.objects.strings("object_id")]
    given = dict(zip(ids, graph.objects.boxes().astype(np.float64), strict=True))
    image, scale = _enlarged(pixels, list(given.values()))
    boxes: dict[str | None, Float64] = {name: given[name] * scale for name in names}
    crowded = len(boxes) >= CROWD
    canvas = Canvas.of(image, crowd=0.7 if crowded else 1.0)
    colours = {name: _PALETTE[place % len(_PALETTE)] for place, name in enumerate(boxes)}
    arrows = choose_arrows(graph, boxes)
    if len(boxes) > MOST_OBJECTS:
        at_arrows = {end for found in arrows for end in (found.subject_id, found.object_id)}
        boxes = {name: box for name, box in boxes.items() if name in at_arrows}
    _draw_boxes(canvas, boxes, colours)
    curves = [
        _curve(boxes[found.subject_id], boxes[found.object_id], found.style) for found in arrows
    ]
    for found, curve in reversed(list(zip(arrows, curves, strict=True))):
        arrow(canvas, curve, found.style)
    if crowded:
        canvas.seen = [
            Rect(*box) for box in boxes.values() if _area(box) < 0.02 * image[..., 0].size
        ]
        reach = canvas.font_size / 2
        canvas.seen += [_around(point, reach) for curve in curves for point in curve[::8]]
    _draw_tags(canvas, boxes, names, colours)
    for number, (found, curve) in enumerate(zip(arrows, curves, strict=True), 1):
        _draw_badge(canvas, curve, number, found.style)
    below = panel(canvas, graph, arrows, names, _briefs(graph, arrows), len(boxes))
    return np.concatenate([canvas.written(), below.written()])


def _briefs(graph: SceneGraph, arrows: Sequence[Arrow]) -> dict[str, str]:
    """Why edges that were cut or corrected were, in a few words, by claim."""
    wanted = pa.array([found.claim_id for found in arrows if found.style != "kept"], pa.string())
    rows = graph.candidates.filter(pc.is_in(graph.candidates["claim_id"], value_set=wanted))
    explainer = Explainer(graph)
    return {row["claim_id"]: explainer.of(row).brief for row in rows.to_pylist()}


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
    image, scale = _enlarged(pixels, [])
    canvas = Canvas.of(image)
    placed: dict[str | None, Float64] = {
        name: np.asarray(box, dtype=np.float64) * scale
        for name, box in zip(("subject", "object"), boxes, strict=True)
    }
    colours = {"subject": _PALETTE[0], "object": _PALETTE[1]}
    _draw_boxes(canvas, placed, colours)
    _draw_tags(canvas, placed, {"subject": _cut(claim[0]), "object": _cut(claim[2])}, colours)
    lines = canvas.wrapped(f"{' '.join(map(_cut, claim))}?", image.shape[1] - canvas.font_size)
    height = round(canvas.font_size * 1.75 * (len(lines) + 0.3))
    below = Canvas.of(image, paper(height, image.shape[1]))
    for number, text in enumerate(lines):
        y = canvas.font_size * (1.15 + 1.75 * number)
        below.texts.append((canvas.font_size * 0.5, y, text, INK))
    return np.concatenate([canvas.written(), below.written()])


def encode(pixels: Pixels) -> bytes:
    """RGB pixels as JPEG."""
    import cv2

    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    _, content = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    return bytes(content.tobytes())


def _enlarged(pixels: Pixels, boxes: Sequence[Float64]) -> tuple[Pixels, float]:
    """The image, larger where it is small, or where many objects on it are."""
    import cv2

    height, width = pixels.shape[:2]
    scale = max(1.0, min(SMALLEST_SIDE / min(height, width), MOST_ENLARGED / max(height, width)))
    if len(boxes) >= CROWD:
        typical = float(np.median([max(_area(box), 1.0) ** 0.5 for box in boxes]))
        wished = max(SMALL / max(typical, 1.0), CROWDED_SIDE / max(height, width))
        scale = max(scale, min(wished, LARGEST_SIDE / max(height, width)))
    if scale == 1.0:
        return pixels.copy(), 1.0
    size = (round(width * scale), round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)), scale


def _draw_boxes(
    canvas: Canvas, boxes: Mapping[str | None, Float64], colours: Mapping[Any, Any]
) -> None:
    # Large boxes first, so that small ones stay visible on them.
    for name, box in sorted(boxes.items(), key=lambda item: -_area(item[1])):
        rectangle(canvas, box, colours[name])


def _draw_tags(
    canvas: Canvas,
    boxes: Mapping[str | None, Float64],
    names: Mapping[str, str],
    colours: Mapping[Any, Any],
) -> None:
    """Tags at their boxes, or, where that would bury others, beside them with a leader."""
    placed = []
    for name, box in sorted(boxes.items(), key=lambda item: _area(item[1])):
        text = names[str(name)]
        wide = canvas.text_width(text) + canvas.font_size * 0.6
        high = canvas.font_size * 1.4
        own = Rect(*box)
        kept = canvas.seen
        canvas.seen = [rect for rect in kept if rect != own]
        rect = canvas.free(_tag_places(box, wide, high), far=high / 60)
        canvas.seen = kept
        canvas.taken.append(rect)
        placed.append((rect, text, colours[name], box))
    for rect, _, colour, box in placed:
        start, end = _leader(rect, box)
        if float(np.linalg.norm(end - start)) > canvas.font_size * 0.5:
            line(canvas, start, end, colour)
    for rect, text, colour, _ in placed:
        tag(canvas, rect, text, colour)


def _tag_places(box: Float64, wide: float, high: float) -> Float64:
    """Where a tag may stand (k, 4), best first: at the corners, along the edges, then beyond."""
    x1, y1, x2, y2 = box.tolist()
    places = [(x1, y1 - high), (x1, y1), (x2 - wide, y1 - high), (x2 - wide, y1)]
    places += [(x1, y2), (x1, y2 - high), (x2 - wide, y2), (x2 - wide, y2 - high)]
    for share in (0.25, 0.5, 0.75):
        places += [(x1 + share * (x2 - x1), y1 - high), (x1, y1 + share * (y2 - y1))]
        places += [(x2 - wide, y1 + share * (y2 - y1)), (x1 + share * (x2 - x1), y2)]
    middle = (x1 + x2 - wide) / 2
    for steps in range(2, 12):  # rings around the box; a leader says whose tag it is
        away = steps * high * 1.15
        for aside in (0.0, -0.7, 0.7, -1.4, 1.4):
            places += [
                (middle + aside * wide, y1 - away),
                (middle + aside * wide, y2 + away - high),
            ]
        places += [(x1 - wide - away, y1), (x2 + away, y1)]
    low = np.array(places)
    return np.concatenate([low, low + np.array([wide, high])], axis=1)


def _leader(rect: Rect, box: Float64) -> tuple[Float64, Float64]:
    """From a tag's edge to the nearest point of its box."""
    low, high = np.array(rect[:2]), np.array(rect[2:])
    end = np.clip((low + high) / 2, box[:2], box[2:])
    return np.clip(end, low, high), end


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
    curve = np.asarray(_BEND @ np.stack([first, middle, last]))
    outside = ~(_inside(curve, start) | _inside(curve, end))
    return curve[outside] if outside.sum() > len(curve) // 3 else curve


def _inside(curve: Float64, box: Float64) -> NDArray[np.bool_]:
    """Which points lie in the middle part of a box."""
    reach = (box[2:] - box[:2]) / 2 * MIDDLE
    x, y = (np.abs(curve - _centre(box)) < reach).T
    return np.asarray(x & y)


def _draw_badge(canvas: Canvas, curve: Float64, number: int, style: str) -> None:
    """An arrow's number, on its line or beside it; from farther off a thin line leads to it."""
    radius = canvas.font_size * 0.72
    along = curve[-1] - curve[0]
    aside = np.array([-along[1], along[0]]) / max(float(np.linalg.norm(along)), 1e-6)
    # On the line, or beside it where that is taken.
    at = curve[[round(share * (len(curve) - 1)) for share in _ALONG]]
    centres = (at + _ASIDE[:, None, None] * radius * aside).reshape(-1, 2)
    rect = canvas.free(np.concatenate([centres - radius, centres + radius], axis=1))
    canvas.taken.append(rect)
    centre = (round((rect.x1 + rect.x2) / 2), round((rect.y1 + rect.y2) / 2))
    away = np.linalg.norm(curve - centre, axis=1)
    if away.min() > radius * 1.5:
        line(canvas, np.array(centre, dtype=float), curve[int(away.argmin())], STYLE_COLOURS[style])
    badge(canvas, centre, round(radius), number, style)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]} ..."


def _around(point: Float64, reach: float) -> Rect:
    x, y = point
    return Rect(x - reach, y - reach, x + reach, y + reach)


def _centre(box: Float64) -> Float64:
    return np.asarray((box[:2] + box[2:]) / 2)


def _area(box: Float64) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))
