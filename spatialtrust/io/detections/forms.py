"""Which form the content of a JSON file is in, by what it holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.errors import FileError, RowError
from spatialtrust.io.detections.arrays import add_arrays, is_arrays, needs_classes
from spatialtrust.io.detections.class_names import class_names
from spatialtrust.io.detections.coco import Index, add_coco, add_results, is_index
from spatialtrust.io.detections.items import (
    LISTS,
    NAMES,
    NUMBERS,
    PHRASES,
    add_image,
    add_item,
    first,
    is_image,
    is_item,
)
from spatialtrust.io.detections.labelme import add_labelme, is_labelme
from spatialtrust.io.detections.stated import add_stated, is_stated
from spatialtrust.io.images import ENDINGS
from spatialtrust.io.scene_graph_files import BOXES, is_scene_graphs, picture_graphs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from spatialtrust.io.detections.rows import Rows

FORMS: Final = (
    "our .parquet; JSON: COCO or LVIS, a COCO results list beside its images file, a list of "
    "{file_name, boxes}, detectron2, Grounded-SAM-2, LabelMe, MMDetection, transformers pipelines "
    'as {"a.jpg": [...]}, GQA or Visual Genome scene graphs; or a folder of these, or of YOLO .txt'
)
_WRAPPERS: Final = ("images", "results", "data", "annotations", "predictions", "detections")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a JSON file lies.

    Attributes
    ----------
    file: the file.
    indices: reads the COCO files beside it.
    among_others: it was found in a folder, so that its name may stand for its image.
    """

    file: Path
    indices: Callable[[], list[Index]]
    among_others: bool

    def stem(self) -> str | None:
        """The image that the file is called after; None where that cannot be relied on."""
        is_image_name = self.file.stem.lower().endswith(tuple(ENDINGS))
        return self.file.stem if self.among_others or is_image_name else None

    def classes(self) -> Mapping[str, str]:
        """Names of numbered classes, from a class list or a COCO file beside.

        Raises
        ------
        FileError: there is neither.
        """
        if found := class_names(self.file.parent):
            return found.names
        for index in self.indices():
            if index.categories:
                return index.categories
        problem = "gives classes by number, and nothing beside it names them"
        raise FileError(self.file, problem, "put a classes.txt there, a class per line")


def add_json(rows: Rows, data: Any, place: Place) -> None:
    """The boxes of a JSON file's content.

    Raises
    ------
    FileError: it is in no known form, or something that it refers to is missing.
    """
    known = _of_object(rows, data, place) if isinstance(data, dict) else False
    if isinstance(data, list):
        known = _of_list(rows, data, place, {})
    if not known:
        raise FileError(place.file, "is in no known form of recorded boxes", f"give {FORMS}")


def is_results(data: Any) -> bool:
    """Whether a file's content is a COCO results list."""
    return isinstance(data, list) and _commonest(data) == "results"


def _of_object(rows: Rows, data: Mapping[str, Any], place: Place) -> bool:
    if {"images", "annotations", "categories"} <= data.keys():
        add_coco(rows, data, place.file)
    elif is_index(data):
        problem = "lists images and categories, but has no annotations"
        raise FileError(place.file, problem, "give the file with the boxes, this one beside it")
    elif is_stated(data):
        add_stated(rows, data, 0)
    elif is_labelme(data):
        add_labelme(rows, data, place.file)
    elif is_arrays(data):
        _arrays(rows, _name(data, place, always=True), data, place)
    elif is_scene_graphs(data):
        _scene_graphs(rows, data)
    elif is_image(data) and any(isinstance(data.get(key), list) for key in LISTS):
        add_image(rows, data, _classes([data], place), {})
    elif _per_image(data):
        for name, value in data.items():
            if isinstance(value, list):
                _items(rows, name, value, place)
            else:
                _arrays(rows, name, value, place)
    else:
        return _wrapped(rows, data, place)
    return True


def _wrapped(rows: Rows, data: Mapping[str, Any], place: Place) -> bool:
    """A list that stands inside an object, which may say the format of all boxes."""
    for key in _WRAPPERS:
        inner = data.get(key)
        if not isinstance(inner, list) or not inner:
            continue
        if all(is_arrays(item) and not is_image(item) for item in inner):
            if len(inner) > 1:
                problem = f"holds boxes of {len(inner)} images without their names"
                raise FileError(place.file, problem, 'write {"a.jpg": {...}, ...}')
            _arrays(rows, _name(inner[0], place, always=True), inner[0], place)
            return True
        if _of_list(rows, inner, place, data):
            return True
    return False


def _of_list(rows: Rows, data: Sequence[Any], place: Place, outer: Mapping[str, Any]) -> bool:
    kind = _commonest(data)
    if kind is None:
        return not data  # an empty list is a list without boxes
    if kind == "results":
        add_results(rows, data, place.file, place.indices())
        return True
    if kind == "item":
        name = _name(outer, place, always=False)
        _items(rows, name, data, place)
        return True
    if kind == "scene":
        _scene_graphs(rows, data)
        return True
    classes = _classes(data, place) if kind == "image" else {}
    for number, item in enumerate(data):
        if _form(item) != kind:
            problem = f"is in another form than the others: {str(item)[:60]}"
            rows.fault("entry in another form", number, "entry", problem)
        elif kind == "stated":
            add_stated(rows, item, number)
        elif kind == "labelme":
            add_labelme(rows, item, place.file)
        elif kind == "arrays":
            _arrays(rows, _name(item, place, always=False), item, place)
        else:
            add_image(rows, item, classes, outer)
    return True


def _form(item: Any) -> str | None:
    """What one entry of a list is."""
    if not isinstance(item, dict):
        return None
    if is_stated(item):
        return "stated"
    if is_labelme(item):
        return "labelme"
    if is_arrays(item):
        return "arrays"
    if "image_id" in item and (is_item(item) or isinstance(item.get("instances"), list)):
        return "results"
    if is_image(item):
        return "image"
    if is_scene_graphs([item]):
        return "scene"
    return "item" if is_item(item) else None


def _commonest(data: Sequence[Any]) -> str | None:
    kinds = Counter(kind for item in data if (kind := _form(item)) is not None)
    return kinds.most_common(1)[0][0] if kinds else None


def _per_image(data: Mapping[str, Any]) -> bool:
    """Whether an object is image names to their boxes."""
    values = list(data.values())
    if not values or not all(isinstance(value, list) or is_arrays(value) for value in values):
        return False
    named = any(key.lower().endswith(tuple(ENDINGS)) for key in data)
    return named or any(
        is_arrays(value) or any(is_item(item) for item in value) for value in values
    )


def _name(data: Mapping[str, Any], place: Place, *, always: bool) -> str:
    """The image that boxes are of: they say it, or their file is called after it.

    Parameters
    ----------
    always: the tool that writes this form calls the file as its image.
    """
    if is_image(data):
        return str(first(data, NAMES))
    name = place.file.stem if always else place.stem()
    if name is None:
        problem = "holds the boxes of one image and does not say of which"
        remedy = (
            'write {"a.jpg": [...]}, or call the file as the image ("a.jpg.json"), or give a '
            "folder of files that are called as their images"
        )
        raise FileError(place.file, problem, remedy)
    return name


def _items(rows: Rows, name: str, items: Sequence[Any], place: Place) -> None:
    rows.image(name)
    classes = _classes([{"boxes": items}], place)
    for number, item in enumerate(items):
        add_item(rows, name, item, number, classes, None)


def _arrays(rows: Rows, name: str, data: Mapping[str, Any], place: Place) -> None:
    add_arrays(rows, name, data, place.classes() if needs_classes(data) else {})


def _scene_graphs(rows: Rows, data: Any) -> None:
    for graph in picture_graphs(data):
        if isinstance(graph, RowError):
            rows.fault("image that cannot be read", graph.row - 1, graph.field, str(graph))
            continue
        rows.image(graph.name, graph.width, graph.height)
        for place, (phrase, box) in enumerate(graph.objects.values()):
            rows.add(graph.name, phrase, box, None, *BOXES, place)


def _classes(images: Sequence[Any], place: Place) -> Mapping[str, str]:
    """Names of numbered classes, where boxes have nothing but a number."""
    for image in images:
        listed = first(image, LISTS) if isinstance(image, dict) else None
        for item in listed if isinstance(listed, list) else [image]:
            if isinstance(item, dict) and is_item(item):
                phrase = first(item, PHRASES)
                bare = phrase is None and first(item, NUMBERS) is not None
                if bare or isinstance(phrase, int):
                    return place.classes()
    return {}
