"""One box of a JSON file, and one image with its boxes, under the names that tools give them.

A box says its format by its own key (``bbox_xywh``), by the names of its corners, or by a
``box_format`` or ``bbox_mode`` at the box, the image or the file; else the form of the file has to
fix it. It is never guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from spatialtrust.io.boxes import FORMATS
from spatialtrust.io.detections.conventions import FORMAT_KEYS, UNIT_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spatialtrust.io.detections.rows import Rows

NAMES: Final = ("file_name", "image_path", "imagePath", "img_path", "filename", "image", "file")
LISTS: Final = ("boxes", "annotations", "detections", "predictions", "objects", "instances")
PHRASES: Final = (
    "category", "class_name", "category_name", "label_name", "label", "phrase", "class", "name",
)  # fmt: skip
NUMBERS: Final = ("category_id", "class_id", "label_id")
_BOXES: Final = ("bbox", "box", "bounding_box")
_CORNERS: Final = (
    (("xmin", "ymin", "xmax", "ymax"), "xyxy"),
    (("x1", "y1", "x2", "y2"), "xyxy"),
    (("x_min", "y_min", "x_max", "y_max"), "xyxy"),
    (("left", "top", "right", "bottom"), "xyxy"),
    (("left", "top", "width", "height"), "xywh"),
    (("xmin", "ymin", "width", "height"), "xywh"),
    (("cx", "cy", "w", "h"), "cxcywh"),
)
"""Names that fix the meaning; ``x, y, width, height`` do not: some mean the centre."""


def first(data: Mapping[str, Any], keys: Iterable[str]) -> Any:
    """The value of the first of these keys that is there and not null."""
    return next((data[key] for key in keys if data.get(key) is not None), None)


def key_of(number: Any) -> str:
    """An id as text, the same for ``1``, ``1.0`` and ``"1"``."""
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    return str(number).strip()


def extent(points: Any) -> list[float]:
    """Corners ``x1, y1, x2, y2`` around points, given in pairs or as one flat list.

    >>> extent([[3, 1], [0, 5]]), extent([3, 1, 0, 5])
    ([0.0, 1.0, 3.0, 5.0], [0.0, 1.0, 3.0, 5.0])
    """
    flat: list[float] = []
    for point in points:
        flat.extend(map(float, point) if isinstance(point, (list, tuple)) else [float(point)])
    if len(flat) < 4 or len(flat) % 2:
        raise ValueError(f"has {len(flat)} numbers, which are no points")
    return [min(flat[::2]), min(flat[1::2]), max(flat[::2]), max(flat[1::2])]


def is_item(data: Any) -> bool:
    """Whether something is one box."""
    return isinstance(data, dict) and _box(data)[0] is not None


def is_image(data: Any) -> bool:
    """Whether something is one image with its boxes, or a box that names its image."""
    return isinstance(data, dict) and isinstance(first(data, NAMES), str)


def add_image(
    rows: Rows,
    image: Mapping[str, Any],
    classes: Mapping[str, str],
    outer: Mapping[str, Any],
) -> None:
    """One image with its boxes, or a box that names its image."""
    name = str(first(image, NAMES))
    size = first(image, ("width", "img_width")), first(image, ("height", "img_height"))
    rows.image(name, *size)
    listed = first(image, LISTS)
    if listed is None:
        listed = [image] if is_item(image) else []
    if not isinstance(listed, list):
        return rows.fault("no list of boxes", 0, f'"{name}"', "has boxes that are no list")
    # Grounded-SAM-2 writes corners, and older versions of it do not say so.
    usual = "xyxy" if {"image_path", "annotations"} <= image.keys() else None
    said = _either(first(image, FORMAT_KEYS), first(outer, FORMAT_KEYS))
    if said is None and usual and listed:
        rows.note(f"{rows.source}: box_format is not given; boxes are read as {usual}")
    form = _either(said, usual)
    unit = _either(first(image, UNIT_KEYS), first(outer, UNIT_KEYS))
    for place, item in enumerate(listed):
        add_item(rows, name, item, place, classes, form, unit)
    return None


def add_item(
    rows: Rows,
    name: str,
    item: Any,
    place: int,
    classes: Mapping[str, str],
    form: Any,
    unit: Any = None,
) -> None:
    """One box; crowd regions are no objects and are passed over.

    Parameters
    ----------
    classes: names of numbered classes.
    form: format where the box does not say its own; None: it has to.
    """
    where = f'box of "{name}"'
    if not isinstance(item, dict):
        return rows.fault("not an object", place, where, f"is {str(item)[:40]!r}")
    if item.get("iscrowd"):
        return None
    phrase, number = first(item, PHRASES), first(item, NUMBERS)
    if _is_number(phrase):
        phrase, number = None, phrase
    if number is not None:
        phrase = classes.get(key_of(number), phrase)
        if phrase is None:
            problem = f"names class {key_of(number)}, which no list of classes has"
            return rows.fault("class without a name", place, where, problem)
    box, fixed = _box(item)
    form = _either(fixed, _either(first(item, FORMAT_KEYS), form))
    if box is not None and form is None:
        problem, remedy = "does not say its box_format", f"valid: {', '.join(FORMATS)}"
        return rows.fault("box_format is missing", place, where, problem, remedy)
    unit = _either(first(item, UNIT_KEYS), unit)
    score = first(item, ("score", "confidence", "scores", "conf"))
    if isinstance(box, str):
        return rows.fault("not four numbers", place, where, f"cannot be used ({box!r} is a text)")
    return rows.add(name, phrase, box, score, _either(form, "xyxy"), unit, place)


def _box(item: Mapping[str, Any]) -> tuple[Any, str | None]:
    """The numbers of a box, and their format where the keys fix it."""
    for form in FORMATS:
        if item.get(f"bbox_{form}") is not None:
            return item[f"bbox_{form}"], form
    value = first(item, _BOXES)
    named = item if value is None else value
    if isinstance(named, dict):
        for keys, form in _CORNERS:
            if all(key in named for key in keys):
                return [named[key] for key in keys], form
    if value is None and isinstance(polygons := item.get("segmentation"), list) and polygons:
        try:
            nested = isinstance(polygons[0], list)
            return extent([x for part in polygons for x in part] if nested else polygons), "xyxy"
        except (TypeError, ValueError):
            return None, None
    return value, None


def _either(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
