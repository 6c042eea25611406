"""What people call the ways to write a box, as our names for them."""

from __future__ import annotations

from typing import Any, Final

from spatialtrust.io.boxes import FORMATS, UNITS

FORMAT_KEYS: Final = ("box_format", "bbox_format", "bbox_mode", "box_mode", "format")
UNIT_KEYS: Final = ("box_unit", "bbox_unit", "unit")

_FORMATS: Final[dict[str, tuple[str, str | None]]] = {
    "voc": ("xyxy", "pixel"),
    "pascal_voc": ("xyxy", "pixel"),
    "albumentations": ("xyxy", "fraction"),
    "coco": ("xywh", "pixel"),
    "yolo": ("cxcywh", "fraction"),
    "center_xywh": ("cxcywh", None),
    "xyxyn": ("xyxy", "fraction"),
    "x1y1x2y2": ("xyxy", None),
    "xmin_ymin_xmax_ymax": ("xyxy", None),
    "y1x1y2x2": ("yxyx", None),
    "ymin_xmin_ymax_xmax": ("yxyx", None),
    "0": ("xyxy", "pixel"),
    "1": ("xywh", "pixel"),
    "2": ("xyxy", "fraction"),
    "3": ("xywh", "fraction"),
}
"""Other names that mean one thing only, and the numbers of detectron2's ``BoxMode``."""

_UNITS: Final = {
    "px": "pixel",
    "absolute": "pixel",
    "abs": "pixel",
    "normalized": "fraction",
    "normalised": "fraction",
    "relative": "fraction",
    "rel": "fraction",
}


def format_named(given: Any) -> tuple[str, str | None] | None:
    """Our name for a box format, and the unit where the name says one; None: not known.

    Only names that mean one thing are known: ``ltrb`` and ``xywhn`` are not.

    >>> format_named("XYXY"), format_named("BoxMode.XYWH_ABS"), format_named("ltrb")
    (('xyxy', None), ('xywh', 'pixel'), None)
    """
    if isinstance(given, bool) or not isinstance(given, (str, int)):
        return None
    name = _plain(str(given))
    unit = None
    for ending, meant in (("_abs", "pixel"), ("_rel", "fraction")):
        if name.endswith(ending):
            name, unit = name.removesuffix(ending), meant
    if name.startswith("rel_"):
        name, unit = name.removeprefix("rel_"), "fraction"
    form, implied = _FORMATS.get(name, (name, None))
    return (form, unit or implied) if form in FORMATS else None


def unit_named(given: Any) -> str | None:
    """Our name for a unit; None: not known.

    >>> unit_named("Pixels"), unit_named("normalized"), unit_named("percent")
    ('pixel', 'fraction', None)
    """
    name = _plain(str(given))
    name = _UNITS.get(name, name)
    return next((unit for unit in (name, name.removesuffix("s")) if unit in UNITS), None)


def _plain(name: str) -> str:
    """A name in lower case, without the class it is a member of, parts joined by ``_``."""
    last = name.strip().rpartition(".")[2].lower()
    return "_".join(last.replace("-", " ").replace(",", " ").replace("_", " ").split())
