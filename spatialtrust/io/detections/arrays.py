"""One image's boxes as lists of equal length: MMDetection, transformers, torchvision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from spatialtrust.io.detections.conventions import FORMAT_KEYS, UNIT_KEYS
from spatialtrust.io.detections.items import first, key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spatialtrust.io.detections.rows import Rows

_BOXES: Final = ("bboxes", "boxes", "xyxy")
_LABELS: Final = ("label_names", "text_labels", "class_names", "phrases", "labels", "classes")
_SCORES: Final = ("scores", "logits", "confidences", "confidence")


def is_arrays(data: Any) -> bool:
    """Whether something is boxes and labels in lists."""
    if not isinstance(data, dict):
        return False
    boxes = first(data, _BOXES)
    if not isinstance(boxes, list) or not isinstance(first(data, _LABELS), list):
        return False
    return not any(isinstance(box, dict) for box in boxes)


def needs_classes(data: Mapping[str, Any]) -> bool:
    """Whether the labels are numbers."""
    return any(not isinstance(label, str) for label in first(data, _LABELS))


def add_arrays(rows: Rows, name: str, data: Mapping[str, Any], classes: Mapping[str, str]) -> None:
    """Boxes in corners, with their labels and scores."""
    boxes, labels = first(data, _BOXES), first(data, _LABELS)
    scores = first(data, _SCORES)
    size = first(data, ("width", "img_width")), first(data, ("height", "img_height"))
    rows.image(name, *size)
    where = f'boxes of "{name}"'
    lengths = {len(boxes), len(labels)} | ({len(scores)} if isinstance(scores, list) else set())
    if len(lengths) != 1:
        problem = f"are {len(boxes)}, labels {len(labels)}: they do not belong together"
        return rows.fault("lists of unequal length", 0, where, problem)
    form = first(data, FORMAT_KEYS)
    form, unit = "xyxy" if form is None else form, first(data, UNIT_KEYS)
    for place, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        phrase = label if isinstance(label, str) else classes.get(key_of(label))
        if phrase is None:
            problem = f"name class {key_of(label)}, which no list of classes has"
            rows.fault("class without a name", place, where, problem)
            continue
        score = scores[place] if isinstance(scores, list) else None
        rows.add(name, phrase, box, score, form, unit, place)
    return None
