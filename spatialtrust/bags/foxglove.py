"""Records as Foxglove draws them, without a plug-in: on the picture, and in space.

What is kept and what is cut differ without colour: kept edges are whole lines whose label is the
relation with its confidence; cut ones are dashed and their label says ``not sure``. Things that are
hidden have dashed boxes.

Source: ``foxglove.ImageAnnotations`` and ``foxglove.SceneUpdate``, whose JSON schemas ship.
"""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    from spatialtrust.bags.records import Record

LINE_LOOP, LINE_LIST = 2, 4
"""Types of ``foxglove.PointsAnnotation``."""

_DASH: Final = 6.0
"""Pixels of a dash, and of the gap behind it."""

CUT_SHOWN: Final = 0.5
"""What is likelier than this and was not believed is drawn as cut: the likeliest of a pair that has
no kept edge, and one for every two things, so that a picture can be read."""

_CLEAR: Final = {"r": 0.0, "g": 0.0, "b": 0.0, "a": 0.0}
_DARK: Final = {"r": 0.0, "g": 0.0, "b": 0.0, "a": 0.65}
_WHITE: Final = {"r": 1.0, "g": 1.0, "b": 1.0, "a": 1.0}
_GREY: Final = {"r": 0.75, "g": 0.75, "b": 0.75, "a": 0.9}


def image_annotations(record: Record) -> dict[str, Any]:
    """A record as ``foxglove.ImageAnnotations``."""
    stamp = record["stamp"]
    centre, points, texts = {}, [], []
    size = max(10.0, (record["height"] or 480) / 40)
    for thing in record["objects"]:
        x1, y1, x2, y2 = thing["box"]
        centre[thing["id"]] = ((x1 + x2) / 2, (y1 + y2) / 2)
        corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
        colour = colour_of(thing["id"])
        about = {"id": thing["id"], "phrase": thing["phrase"]}
        if thing["hidden"]:
            sides = [
                _dashes(a, b) for a, b in zip(corners, [*corners[1:], corners[0]], strict=True)
            ]
            drawn = [point for side in sides for point in side]
            points.append(_line(stamp, LINE_LIST, drawn, colour, about))
        else:
            points.append(_line(stamp, LINE_LOOP, corners, colour, about))
        label = f"{thing['id']} (hidden)" if thing["hidden"] else thing["id"]
        texts.append(_text(stamp, (x1, max(y1 - 2, size)), label, colour, size, about))
    held = {_pair(row) for row in record["relations"] if row["edge"]}
    cut_left = -(-len(record["objects"]) // 2)
    for row in sorted(record["relations"], key=lambda row: -(row["p_true"] or 0)):
        if row["subject"] not in centre or row["object"] not in centre:
            continue
        ends = centre[row["subject"]], centre[row["object"]]
        about = {key: str(row[key]) for key in ("subject", "relation", "object", "decision")}
        about |= {"p_true": str(row["p_true"]), "reasons": " ".join(row["reasons"])}
        if row["edge"]:
            line = _line(stamp, LINE_LIST, ends, _WHITE, about, thickness=2.0)
            label = f"{row['relation']} {row['p_true']:.2f}"
        elif _is_cut(row) and _pair(row) not in held and cut_left > 0:
            cut_left -= 1
            held.add(_pair(row))
            line = _line(stamp, LINE_LIST, _dashes(*ends), _GREY, about)
            label = f"not sure: {row['relation']} {row['p_true']:.2f}"
        else:
            continue
        points.append(line)
        # A third of the way, so that labels of edges that cross do not lie on each other.
        at = tuple(start + (end - start) / 3 for start, end in zip(*ends, strict=True))
        colour = _WHITE if row["edge"] else _GREY
        texts.append(_text(stamp, at, label, colour, size * 0.85, about))
    return {"circles": [], "points": points, "texts": texts}


def scene_update(record: Record) -> dict[str, Any]:
    """The things whose position is known, and edges between them, as ``foxglove.SceneUpdate``."""
    stamp = record["stamp"]
    where = {t["id"]: t["position"] for t in record["objects"] if t["position"] is not None}
    empty: dict[str, Any] = {
        name: []
        for name in ("metadata", "arrows", "cubes", "spheres", "cylinders", "lines", "triangles",
                     "texts", "models")
    }  # fmt: skip
    head = {
        "timestamp": stamp,
        "frame_id": record["frame_id"],
        "lifetime": {"sec": 1, "nsec": 0},
        "frame_locked": False,
    }
    entities = [
        {
            **empty,
            **head,
            "id": name,
            "metadata": [{"key": "id", "value": name}],
            "spheres": [
                {
                    "pose": _pose(place),
                    "size": {"x": 0.08, "y": 0.08, "z": 0.08},
                    "color": colour_of(name),
                }
            ],
            "texts": [_label(place, name, colour_of(name))],
        }
        for name, place in where.items()
    ]
    for row in record["relations"]:
        if not row["edge"] or row["subject"] not in where or row["object"] not in where:
            continue
        ends = where[row["subject"]], where[row["object"]]
        middle = [(a + b) / 2 for a, b in zip(*ends, strict=True)]
        name = f"{row['subject']} {row['relation']} {row['object']}"
        line = {
            "type": 0,
            "pose": _pose([0.0, 0.0, 0.0]),
            "thickness": 2.0,
            "scale_invariant": True,
            "points": [_point(end) for end in ends],
            "color": _WHITE,
            "colors": [],
            "indices": [],
        }
        label = _label(middle, f"{row['relation']} {row['p_true']:.2f}", _WHITE)
        entities.append({**empty, **head, "id": name, "lines": [line], "texts": [label]})
    return {"deletions": [], "entities": entities}


def colour_of(name: str) -> dict[str, float]:
    """A bright colour that a thing keeps, by its id.

    >>> colour_of("mug-1") == colour_of("mug-1")
    True
    """
    red, green, blue = colorsys.hsv_to_rgb(crc32(name.encode()) % 360 / 360, 0.65, 1.0)
    return {"r": round(red, 3), "g": round(green, 3), "b": round(blue, 3), "a": 1.0}


def _is_cut(row: dict[str, Any]) -> bool:
    return row["emitted"] is None and (row["p_true"] or 0) > CUT_SHOWN


def _pair(row: dict[str, Any]) -> frozenset[str]:
    return frozenset((row["subject"], row["object"]))


def _dashes(start: Any, end: Any) -> list[tuple[float, float]]:
    """Ends of the dashes between two points, in pairs."""
    first, last = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    length = float(np.hypot(*(last - first)))
    count = min(max(1, int(length / (2 * _DASH))), 200)
    shares = np.linspace(0, 1, 2 * count + 1)[: 2 * count]
    return [(float(x), float(y)) for x, y in first + shares[:, None] * (last - first)]


def _line(
    stamp: Any,
    kind: int,
    points: Any,
    colour: dict[str, float],
    about: dict[str, str],
    thickness: float = 1.5,
) -> dict[str, Any]:
    return {
        "timestamp": stamp,
        "type": kind,
        "points": [{"x": round(x, 2), "y": round(y, 2)} for x, y in points],
        "outline_color": colour,
        "outline_colors": [],
        "fill_color": _CLEAR,
        "thickness": thickness,
        "metadata": [{"key": key, "value": value} for key, value in about.items()],
    }


def _text(
    stamp: Any, at: Any, text: str, colour: dict[str, float], size: float, about: dict[str, str]
) -> dict[str, Any]:
    return {
        "timestamp": stamp,
        "position": {"x": round(at[0], 2), "y": round(at[1], 2)},
        "text": text,
        "font_size": round(size, 1),
        "text_color": colour,
        "background_color": _DARK,
        "metadata": [{"key": key, "value": value} for key, value in about.items()],
    }


def _label(place: Any, text: str, colour: dict[str, float]) -> dict[str, Any]:
    return {
        "pose": _pose(place),
        "billboard": True,
        "font_size": 14.0,
        "scale_invariant": True,
        "color": colour,
        "text": text,
    }


def _pose(place: Any) -> dict[str, Any]:
    return {"position": _point(place), "orientation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}}


def _point(place: Any) -> dict[str, float]:
    return dict(zip("xyz", (float(value) for value in place), strict=True))
