"""The COCO family: annotation files, LVIS, results lists, detectron2's predictions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from spatialtrust.errors import FileError
from spatialtrust.io.detections.conventions import FORMAT_KEYS, UNIT_KEYS
from spatialtrust.io.detections.items import NAMES, PHRASES, add_item, first, key_of
from spatialtrust.io.text import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from spatialtrust.io.detections.rows import Rows

_BESIDE: Final = (
    "put the COCO file that lists them (images, categories; for example instances_val2017.json) "
    "into the same folder, and give the results file or the folder"
)


@dataclass(frozen=True, slots=True)
class Index:
    """Images and categories of a COCO file, by id as text.

    Attributes
    ----------
    images: the images themselves; ``names``: their file names; ``categories``: names.
    source: the file.
    """

    images: Mapping[str, Mapping[str, Any]]
    names: Mapping[str, str]
    categories: Mapping[str, str]
    source: Path | None

    @classmethod
    def of(cls, data: Mapping[str, Any], source: Path | None) -> Index:
        """From a file's ``images`` and ``categories``."""
        images = {
            key_of(image["id"]): image
            for image in _dicts(data.get("images"))
            if image.get("id") is not None
        }
        names = {key: name for key, image in images.items() if (name := _file_name(image))}
        return cls(
            images,
            names,
            {
                key_of(category["id"]): str(category["name"])
                for category in _dicts(data.get("categories"))
                if category.get("id") is not None and category.get("name") is not None
            },
            source,
        )


def is_index(data: Any) -> bool:
    """Whether a file lists images and categories as COCO does."""
    return isinstance(data, dict) and all(
        isinstance(data.get(key), list) for key in ("images", "categories")
    )


def add_coco(rows: Rows, data: Mapping[str, Any], file: Path) -> None:
    """A file of ``images``, ``annotations`` and ``categories``.

    Raises
    ------
    FileError: one of the three is no list.
    """
    for key in ("images", "annotations", "categories"):
        if not isinstance(data.get(key), list):
            raise FileError(file, f'has no list "{key}"', "a COCO file has three of them")
    index = Index.of(data, file)
    _images(rows, index)
    _annotations(rows, data["annotations"], index, data)


def add_results(rows: Rows, data: Sequence[Any], file: Path, indices: Sequence[Index]) -> None:
    """A results list, ``[{image_id, category_id, bbox, score}]``.

    Parameters
    ----------
    indices: COCO files that lie beside it.

    Raises
    ------
    FileError: images or categories are not to be found, or several files tell them differently.
    """
    listed = [item for item in flattened(data) if isinstance(item, dict)]
    images = {key_of(item.get("image_id")) for item in listed if not _own_name(item)}
    classes = {key_of(item.get("category_id")) for item in listed if first(item, PHRASES) is None}
    if not images and not classes:
        index = Index({}, {}, {}, None)
    else:
        index = _chosen(file, indices, images, classes)
        rows.note(f"{file}: images and categories are those of {index.source}")
    _images(rows, index)
    _annotations(rows, flattened(data), index, {})


def flattened(data: Sequence[Any]) -> list[Any]:
    """A results list out of detectron2's ``[{image_id, instances: [...]}]``."""
    flat: list[Any] = []
    for item in data:
        if isinstance(item, dict) and isinstance(item.get("instances"), list):
            shared = {key: value for key, value in item.items() if key != "instances"}
            flat += [
                {**shared, **inner} if isinstance(inner, dict) else inner
                for inner in item["instances"]
            ]
        else:
            flat.append(item)
    return flat


def beside(file: Path) -> list[Index]:
    """The COCO files in a file's folder."""
    found = []
    for other in sorted(file.parent.glob("*.json")):
        if other.name == file.name:
            continue
        try:
            data, _ = read_json(other)
        except FileError:
            continue
        if is_index(data):
            found.append(Index.of(data, other))
    return found


def _chosen(file: Path, indices: Sequence[Index], images: set[str], classes: set[str]) -> Index:
    """The COCO file that knows most of the images and classes asked for."""

    def known(index: Index) -> int:
        return len(images & index.names.keys()) + len(classes & index.categories.keys())

    best = max(indices, key=known, default=None)
    if best is None or known(best) == 0 or (images and not images & best.names.keys()):
        missing = " and ".join(
            word for word, wanted in (("images", images), ("categories", classes)) if wanted
        )
        other = f" ({indices[0].source} lists others)" if indices else ""
        problem = f"is a COCO results list, and the file with its {missing} is missing{other}"
        raise FileError(file, problem, _BESIDE)
    for rival in indices:
        told = [
            ({key: index.names.get(key) for key in images},
             {key: index.categories.get(key) for key in classes})
            for index in (best, rival)
        ]  # fmt: skip
        if known(rival) == known(best) and told[0] != told[1]:
            problem = f"fits {best.source} and {rival.source}, which name things differently"
            raise FileError(file, problem, "leave one of them in the folder")
    return best


def _images(rows: Rows, index: Index) -> None:
    for key, image in index.images.items():
        name = index.names.get(key)
        if name is None:
            rows.fault("image without a name", 0, f"image {key}", "has no file_name or coco_url")
        else:
            rows.image(name, image.get("width"), image.get("height"))
    for name, count in Counter(index.names.values()).items():
        if count > 1:
            rows.sizes.pop(name, None)
            rows.note(
                f'{rows.file}: {count} images are called "{name}"; which is meant is not known, '
                "so their boxes are left out"
            )


def _annotations(rows: Rows, items: Sequence[Any], index: Index, outer: Mapping[str, Any]) -> None:
    form = first(outer, FORMAT_KEYS)
    form, unit = "xywh" if form is None else form, first(outer, UNIT_KEYS)
    shared = {name for name, count in Counter(index.names.values()).items() if count > 1}
    for place, item in enumerate(items):
        if not isinstance(item, dict):
            rows.fault("not an object", place, "box", f"is {str(item)[:40]!r}")
            continue
        if item.get("iscrowd"):
            continue
        number = key_of(item.get("image_id"))
        name = index.names.get(number) or _own_name(item)
        if name is None:
            problem = f"names image {number}, which images does not list"
            rows.fault("image that is not listed", place, "image_id", problem)
            continue
        if name in shared:
            problem = "cannot be told: several images have this name"
            rows.fault("one name for several images", place, f'image of a box of "{name}"', problem)
            continue
        if name not in rows.sizes:
            rows.image(name)
        add_item(rows, name, item, place, index.categories, form, unit)


def _own_name(item: Mapping[str, Any]) -> str | None:
    """The image that a result names itself."""
    name = first(item, NAMES)
    if isinstance(name, str):
        return name
    number = item.get("image_id")
    return number if isinstance(number, str) and not number.strip().isdecimal() else None


def _file_name(image: Mapping[str, Any]) -> str | None:
    name = first(image, ("file_name", "filename"))
    if name is not None:
        return str(name)
    url = first(image, ("coco_url", "url"))
    path = unquote(urlsplit(str(url)).path) if url is not None else ""
    return path.rpartition("/")[2] or None


def _dicts(listed: Any) -> list[dict[str, Any]]:
    return [item for item in listed or () if isinstance(item, dict)]
