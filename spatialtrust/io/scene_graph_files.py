"""Scene graphs in the forms of GQA and Visual Genome: objects, and what is said of pairs of them.

====================  ===========================================================================
GQA                   ``{image: {width, height, objects: {id: {name, x, y, w, h, relations: [{name,
                      object}]}}}}``
Visual Genome         ``[{image_id, objects: [{object_id, names, x, y, w, h}], relationships:
                      [{predicate, subject_id, object_id}]}]``; in ``relationships.json`` the
                      objects stand in the relationships
====================  ===========================================================================

Boxes are the left and upper edge, width and height, in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from spatialtrust.errors import FileError, RowError
from spatialtrust.io.names import plain_name
from spatialtrust.io.text import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

BOXES: Final = ("xywh", "pixel")
"""Format and unit of the boxes of every scene graph file."""

_FORMS: Final = (
    "GQA, {image: {objects: {id: {name, x, y, w, h, relations}}}}; or Visual Genome, "
    "[{image_id, objects, relationships}]"
)


@dataclass(frozen=True, slots=True)
class PictureGraph:
    """One image of such a file.

    Attributes
    ----------
    name: the image, as the file names it.
    width, height: as recorded; None where they are not.
    objects: by id, each with a name and ``x, y, w, h`` as they stand in the file.
    relations: subject's id, wording, object's id.
    """

    name: str
    width: Any
    height: Any
    objects: dict[str, tuple[Any, list[Any]]] = field(default_factory=dict)
    relations: list[tuple[str, Any, str]] = field(default_factory=list)


def is_scene_graphs(data: Any) -> bool:
    """Whether a JSON file's content is in one of the two forms."""
    if isinstance(data, dict):
        values = list(data.values())
        return bool(values) and all(
            isinstance(value, dict) and isinstance(value.get("objects"), dict) for value in values
        )
    return isinstance(data, list) and any(_is_genome(item) for item in data)


def picture_graphs(data: Any) -> Iterator[PictureGraph | RowError]:
    """The images of a file's content; one that cannot be read is an error in its place."""
    listed = list(data.items()) if isinstance(data, dict) else list(enumerate(data))
    for place, (key, item) in enumerate(listed, 1):
        try:
            yield _gqa(str(key), item) if isinstance(data, dict) else _genome(item)
        except (KeyError, TypeError, AttributeError) as error:
            problem = f"lacks a field or holds another type ({error!r})"
            yield RowError("scene graphs", place, f"image {key}", problem)


def relation_rows(path: Path) -> Iterator[Mapping[str, Any] | RowError]:
    """What a scene graph file says of pairs of objects, as rows of claims with their boxes.

    Returns
    -------
    Rows with ``image``, ``subject``, ``relation`` (as worded), ``object``, ``subject_box`` and
    ``object_box`` (null where the object is not there), ``width``, ``height``, and ``box_format``
    and ``box_unit``, which are ``BOXES``.

    Raises
    ------
    FileError: the file cannot be read, or is no scene graph.
    """
    data, _ = read_json(path)
    if not is_scene_graphs(data):
        raise FileError(path, "holds no scene graphs", f"a .json of claims is read as {_FORMS}")
    for place, graph in enumerate(picture_graphs(data), 1):
        if isinstance(graph, RowError):
            yield RowError(path, place, graph.field, str(graph).partition(": ")[2])
            continue
        for subject, wording, object_ in graph.relations:
            ends = [graph.objects.get(end) for end in (subject, object_)]
            names = [None if end is None else _text(end[0]) for end in ends]
            boxes = [None if end is None else _numbers(end[1]) for end in ends]
            yield {
                "image": plain_name(graph.name),
                "subject": names[0],
                "relation": _text(wording),
                "object": names[1],
                "subject_box": boxes[0],
                "object_box": boxes[1],
                "width": _number(graph.width),
                "height": _number(graph.height),
                "box_format": BOXES[0],
                "box_unit": BOXES[1],
            }


def _gqa(name: str, item: Mapping[str, Any]) -> PictureGraph:
    graph = PictureGraph(name, item.get("width"), item.get("height"))
    for key, thing in item["objects"].items():
        graph.objects[str(key)] = _object(thing)
        for relation in thing.get("relations") or ():
            graph.relations.append((str(key), relation.get("name"), str(relation.get("object"))))
    return graph


def _is_genome(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and ("image_id" in item or "image_url" in item)
        and any(isinstance(item.get(key), list) for key in ("objects", "relationships"))
    )


def _genome(item: Mapping[str, Any]) -> PictureGraph:
    url = item.get("image_url") or item.get("url")
    name = unquote(urlsplit(str(url)).path).rpartition("/")[2] if url else ""
    name = item.get("file_name") or name or str(item["image_id"])
    graph = PictureGraph(str(name), item.get("width"), item.get("height"))
    for thing in item.get("objects") or ():
        graph.objects[str(_id(thing))] = _object(thing)
    for relation in item.get("relationships") or ():
        ends = []
        for role in ("subject", "object"):
            whole = relation.get(role)
            end = str(_id(whole) if isinstance(whole, dict) else relation.get(f"{role}_id"))
            if isinstance(whole, dict):
                graph.objects.setdefault(end, _object(whole))
            ends.append(end)
        graph.relations.append((ends[0], relation.get("predicate"), ends[1]))
    return graph


def _id(thing: Mapping[str, Any]) -> Any:
    return thing["object_id"] if "object_id" in thing else thing["id"]


def _object(thing: Mapping[str, Any]) -> tuple[Any, list[Any]]:
    names = thing.get("names")
    name = thing.get("name") or (names[0] if isinstance(names, list) and names else None)
    width, height = (thing.get(short, thing.get(long)) for short, long in _SIDES)
    return name, [thing.get("x"), thing.get("y"), width, height]


_SIDES: Final = (("w", "width"), ("h", "height"))


def _numbers(box: list[Any]) -> list[float | None]:
    return [_number(value) for value in box]


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _text(value: Any) -> str | None:
    return plain_name(value).strip() or None if isinstance(value, str) else None
