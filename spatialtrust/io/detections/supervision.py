"""Boxes of the package supervision, without needing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spatialtrust.errors import FileError
from spatialtrust.io.detections.rows import Rows
from spatialtrust.io.matching import resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spatialtrust.tables import Detections


def from_supervision(detections: Any, image_id: str, phrases: Sequence[str] = ()) -> Detections:
    """One image's boxes from a ``supervision.Detections`` (or anything with its attributes).

    Parameters
    ----------
    detections: has ``xyxy`` (N, 4) in pixels, and may have ``confidence`` (N,), ``class_id`` (N,)
        and ``data["class_name"]`` (N,).
    phrases: names of the classes by id; needed where the object has no class names.

    Raises
    ------
    FileError: there are boxes, but neither class names nor phrases.

    >>> from types import SimpleNamespace
    >>> boxes = SimpleNamespace(xyxy=np.array([[0, 0, 5, 5]]), confidence=np.array([0.9]),
    ...                         class_id=np.array([0]), data={})
    >>> from_supervision(boxes, "a.jpg", ["mug"]).strings("object_id")
    ['mug#0']
    """
    rows = Rows("supervision")
    add_supervision(rows, detections, image_id, phrases)
    return resolve(rows.done().boxes, {image_id: (None, None)}, "supervision")


def add_supervision(
    rows: Rows, detections: Any, image_id: str, phrases: Sequence[str] = ()
) -> None:
    """The same, as rows of recorded boxes.

    Raises
    ------
    FileError: there are boxes, but neither class names nor phrases, or fewer phrases than classes.
    """
    corners = np.asarray(detections.xyxy, dtype=np.float64).reshape(-1, 4)
    named = (getattr(detections, "data", None) or {}).get("class_name")
    ids = getattr(detections, "class_id", None)
    if named is None:
        if len(corners) and (ids is None or not phrases):
            raise FileError(image_id, "supervision boxes carry no class names", "give phrases")
        numbers = np.asarray(ids, dtype=np.int64) if len(corners) else np.zeros(0, dtype=np.int64)
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(phrases):
            problem = f"supervision boxes have class ids up to {numbers.max()}"
            raise FileError(image_id, problem, f"give a phrase for each; {len(phrases)} were given")
        named = [phrases[number] for number in numbers]
    scores = getattr(detections, "confidence", None)
    for place, box in enumerate(corners):
        score = None if scores is None else float(scores[place])
        rows.add(image_id, str(named[place]), box.tolist(), score, "xyxy", "pixel", place)
