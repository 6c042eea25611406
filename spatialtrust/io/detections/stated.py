"""Boxes that a VLM stated in its reply: grounding JSON, Qwen's box tokens, SpatialThinker's scenes.

The numbers of a reply do not say what they mean (0 to 1000 fits many pictures in pixels too), so
each row names its convention in ``grounding``; without it nothing is read.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.io.detections.items import NAMES, first

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spatialtrust.io.detections.rows import Rows

REPLIES: Final = ("response", "reply", "prediction", "text")


@dataclass(frozen=True, slots=True)
class Grounding:
    """What the numbers of a family of models mean.

    Attributes
    ----------
    yx: the first number is y.
    thousandths: of the picture; else pixels of the picture as the model saw it.
    """

    yx: bool
    thousandths: bool


CONVENTIONS: Final[Mapping[str, Grounding]] = {
    "gemini": Grounding(yx=True, thousandths=True),
    "qwen2": Grounding(yx=False, thousandths=True),
    "qwen2.5": Grounding(yx=False, thousandths=False),
    "qwen3": Grounding(yx=False, thousandths=True),
    "spatialthinker": Grounding(yx=False, thousandths=False),
}
_BOXES: Final = ("bbox_2d", "box_2d", "bbox", "box")
_PHRASES: Final = ("label", "name", "category", "phrase", "object", "id")
_TOKENS: Final = re.compile(
    r"<\|object_ref_start\|>(?P<phrase>.*?)<\|object_ref_end\|>"
    r"(?P<boxes>(?:<\|box_start\|>.*?<\|box_end\|>)+)",
    re.DOTALL,
)
_PAIR: Final = re.compile(r"\((-?[\d.]+)\s*,\s*(-?[\d.]+)\)\s*,\s*\((-?[\d.]+)\s*,\s*(-?[\d.]+)\)")
_SCENE: Final = re.compile(r"<scene>(.*?)</scene>", re.DOTALL)
_FENCE: Final = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)


def is_stated(data: Any) -> bool:
    """Whether something is a VLM's reply about one image.

    >>> is_stated({"image": "a.jpg", "grounding": "qwen3", "response": "[]"})
    True
    """
    if not isinstance(data, dict) or not isinstance(first(data, NAMES), str):
        return False
    return "grounding" in data and isinstance(first(data, REPLIES), str)


def add_stated(rows: Rows, data: Mapping[str, Any], place: int) -> None:
    """The boxes of one reply; one that cannot be read is counted."""
    name = str(first(data, NAMES))
    rows.image(name)
    where = f'reply about "{name}"'
    said = str(data["grounding"]).lower()
    if said not in CONVENTIONS:
        rows.refuse("grounding", data["grounding"], tuple(CONVENTIONS), place, name)
        return
    convention = CONVENTIONS[said]
    sides: list[float] = [1000.0, 1000.0]
    if not convention.thousandths:
        try:
            sides = [float(data["width"]), float(data["height"])]
        except (KeyError, TypeError, ValueError):
            sides = [0.0, 0.0]
        if min(sides) <= 0:
            problem = f"is in pixels of the picture as {said} saw it, whose size is not given"
            rows.fault("size of the picture is missing", place, where, problem, "width, height")
            return
    found = list(_objects(str(first(data, REPLIES))))
    if not found:
        rows.fault("reply without boxes", place, where, "states no boxes that can be read")
    for phrase, box, score in found:
        numbers = _numbers(box)
        if numbers is None:
            rows.fault("not four numbers", place, where, f"cannot be used ({str(box)[:60]!r})")
            continue
        if convention.yx:
            numbers = [numbers[1], numbers[0], numbers[3], numbers[2]]
        shares = [number / sides[axis % 2] for axis, number in enumerate(numbers)]
        rows.add(name, phrase, shares, score, "xyxy", "fraction", place)


def _objects(text: str) -> Iterator[tuple[Any, Any, Any]]:
    """Phrase, box and score of each object that a reply states."""
    tokens = list(_TOKENS.finditer(text))
    for found in tokens:
        for pair in _PAIR.findall(found["boxes"]):
            yield found["phrase"].strip(), list(pair), None
    if tokens:
        return
    for data in _json_in(text):
        listed = data.get("objects", data) if isinstance(data, dict) else data
        for item in [listed] if isinstance(listed, dict) else listed:
            if isinstance(item, dict) and (box := first(item, _BOXES)) is not None:
                phrase = first(item, _PHRASES)
                # SpatialThinker numbers its objects: "mug.1".
                phrase = re.sub(r"\.\d+$", "", phrase) if isinstance(phrase, str) else phrase
                yield phrase, box, first(item, ("score", "confidence"))


def _json_in(text: str) -> Iterator[Any]:
    """The first part of a reply that is JSON: a scene, a fenced block, or from a bracket on."""
    parts = [*_SCENE.findall(text), *_FENCE.findall(text)]
    opened = re.search(r"[\[{]", text)
    parts += [] if opened is None else [text[opened.start() :]]
    for part in parts:
        try:
            data, _ = json.JSONDecoder().raw_decode(part.strip())
        except (ValueError, RecursionError):
            continue
        if isinstance(data, list | dict):
            yield data
            return


def _numbers(box: Any) -> list[float] | None:
    try:
        numbers = [float(value) for value in box]
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == 4 else None
