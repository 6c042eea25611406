"""LabelMe, and tools that write its form: shapes drawn on one image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from spatialtrust.io.detections.items import extent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from spatialtrust.io.detections.rows import Rows

_FLAT = ("point", "points", "line", "linestrip")


def is_labelme(data: Any) -> bool:
    """Whether a file holds shapes of one image."""
    return isinstance(data, dict) and isinstance(data.get("shapes"), list)


def add_labelme(rows: Rows, data: Mapping[str, Any], file: Path | None) -> None:
    """The boxes around the shapes; points and lines have no area and are passed over."""
    name = data.get("imagePath")
    if not isinstance(name, str) or not name:
        name = file.stem if file is not None else ""
        rows.note(f"{file}: has no imagePath; its image is the one called as the file is")
    rows.image(name, data.get("imageWidth"), data.get("imageHeight"))
    for place, shape in enumerate(data["shapes"]):
        where = f'shape of "{name}"'
        if not isinstance(shape, dict):
            rows.fault("not an object", place, where, f"is {str(shape)[:40]!r}")
            continue
        kind = shape.get("shape_type") or "polygon"
        if kind in _FLAT:
            rows.fault("shape without area", place, where, f"is a {kind}, not a box or polygon")
            continue
        try:
            box = _circle(shape["points"]) if kind == "circle" else extent(shape["points"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            rows.fault("not four numbers", place, where, f"cannot be used ({error})")
            continue
        rows.add(name, shape.get("label"), box, shape.get("score"), "xyxy", None, place)


def _circle(points: Any) -> list[float]:
    """The box around a circle, given by its centre and a point on it."""
    (x, y), (on_x, on_y) = points
    radius = math.hypot(on_x - x, on_y - y)
    return [x - radius, y - radius, x + radius, y + radius]
