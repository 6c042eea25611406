"""Boxes of one image that somebody holds in Python: ours, COCO's, supervision's, any library's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from spatialtrust.errors import FileError, InputError
from spatialtrust.io.detections.forms import Place, add_json
from spatialtrust.io.detections.reading import read_detections, recorded_of
from spatialtrust.io.detections.rows import Recorded, Rows
from spatialtrust.io.detections.supervision import add_supervision
from spatialtrust.io.given import is_frame, listed, rows_of
from spatialtrust.io.matching import match_names
from spatialtrust.tables import Detections

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCE: Final = "boxes"
FORMS: Final = (
    "Detections of ours or of supervision; COCO or other dictionaries, such as "
    '[{"label": "mug", "bbox_xyxy": [10, 20, 60, 90], "score": 0.9}]; a DataFrame with label, x1, '
    "y1, x2, y2; or a file of recorded boxes"
)
_COCO: Final = ("area", "iscrowd", "category_id", "id")
"""Keys by which a dictionary is an annotation of COCO, whose ``bbox`` is x, y, width, height."""


@dataclass(frozen=True, slots=True)
class _Held(Place):
    """In memory there is no file beside; numbered classes are named by what is looked for."""

    phrases: Sequence[str] = ()

    def classes(self) -> Mapping[str, str]:
        """Phrases by number, as they were given."""
        if not self.phrases:
            raise InputError(
                "the boxes name their classes by number; give objects=[...] in the order of the "
                "numbers (class 0 first), or boxes with names"
            )
        return {str(number): phrase for number, phrase in enumerate(self.phrases)}


def boxes_held(boxes: Any, image_id: str, phrases: Sequence[str] = ()) -> Recorded:
    """Boxes of one image as recorded ones.

    Parameters
    ----------
    boxes: see ``FORMS``. Where they name images, only those of this image are used; boxes of one
        other name are taken for this image's.
    image_id: the image.
    phrases: names of numbered classes, the first is class 0.

    Raises
    ------
    InputError: the boxes are in no known form, of several images none of which is this one, or of
        classes that have numbers and no names.
    FileError: they are a file that cannot be read.
    """
    found = _recorded(boxes, image_id, phrases)
    others = [name for name in found.names if name != image_id]
    if not others or match_names(found.names, [image_id]).image_of:
        return found
    if len(found.names) > 1:
        raise InputError(
            f"the boxes are of {len(found.names)} images ({', '.join(others[:3])} ...), none of "
            f"which is {image_id}; give those of this image"
        )
    names = pa.array([image_id] * len(found.boxes), pa.string())
    place = found.boxes.schema.get_field_index("name")
    sizes = {image_id: next(iter(found.sizes.values()))} if found.sizes else {}
    return replace(
        found,
        boxes=found.boxes.set_column(place, found.boxes.schema.field("name"), names),
        names=(image_id,),
        sizes=sizes,
    )


def _recorded(boxes: Any, image_id: str, phrases: Sequence[str]) -> Recorded:
    if isinstance(boxes, str | Path):
        return read_detections(boxes)
    if isinstance(boxes, Recorded):
        return boxes
    if isinstance(boxes, Detections):
        return recorded_of(boxes, SOURCE)
    rows = Rows(SOURCE)
    if hasattr(boxes, "xyxy"):
        rows.image(image_id)
        add_supervision(rows, boxes, image_id, phrases)
        return rows.done()
    if is_frame(boxes) or isinstance(boxes, pa.Table):
        table = rows_of(boxes).table
        boxes = table.to_pylist()
        if {"image_id", "object_id", "phrase", "x1"} <= set(table.column_names):
            return recorded_of(Detections.from_arrow(table, SOURCE), SOURCE)
    if not isinstance(boxes, Mapping | Iterable) or isinstance(boxes, bytes):
        raise InputError(f"boxes are a {type(boxes).__name__}; give {FORMS}")
    plain = listed(boxes if isinstance(boxes, Mapping) else list(boxes))
    if isinstance(plain, list):
        plain = _of_one_image(plain, image_id)
    place = _Held(Path(f"{image_id}.json"), list, True, phrases)
    try:
        add_json(rows, plain, place)
    except FileError as error:
        said = str(error).removeprefix(f"{place.file}: ").split("; give ")[0]
        raise InputError(f"the boxes cannot be used ({said}); give {FORMS}") from error
    if not rows.sizes:
        rows.image(image_id)
    return rows.done()


def _of_one_image(items: list[Any], image_id: str) -> list[Any]:
    """Annotations without the number of their image, which is this one."""
    for place, item in enumerate(items, 1):
        if not isinstance(item, Mapping):
            raise InputError(f"box {place} is a {type(item).__name__}; give {FORMS}")
    images = sorted({str(item["image_id"]) for item in items if "image_id" in item})
    if len(images) > 1:
        raise InputError(
            f"the boxes are of {len(images)} images (image_id {', '.join(images[:3])} ...); give "
            f"those of {image_id}"
        )
    return [_annotation(item) for item in items]


def _annotation(item: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in item.items() if key != "image_id"}
    coco = "image_id" in item or sum(key in item for key in _COCO) > 1
    if coco and "bbox" in kept and not {"box_format", "bbox_format", "bbox_mode"} & kept.keys():
        kept["bbox_mode"] = "xywh"
    return kept
