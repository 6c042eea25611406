"""Boxes recorded elsewhere, in the forms that people have them in.

==========================  =====================================================================
our table                   ``.parquet``, or a folder of parts
COCO                        ``.json`` with ``images``, ``annotations``, ``categories``
list                        ``.json``: ``[{file_name, width, height, boxes: [{category, bbox_xywh,
                            score}]}]``
Grounded-SAM-2              ``.json`` with ``image_path``, ``annotations``, ``box_format``; one per
                            image, a list, or a folder of them
YOLO                        a folder of ``.txt`` with ``classes.txt`` or ``data.yaml`` in it or
                            above it
supervision                 a ``Detections`` object, in Python: :func:`from_supervision`
==========================  =====================================================================

Crowd regions (COCO ``iscrowd``) are no objects and are passed over.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from spatialtrust.errors import FileError, RowError
from spatialtrust.io.matching import RECORDED, resolve
from spatialtrust.io.names import cleaned_note, plain_name, was_unclean
from spatialtrust.io.parquet import read_table
from spatialtrust.tables import Detections

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_FORMS: Final = (
    "our .parquet, COCO JSON, a list of {file_name, boxes}, Grounded-SAM-2 JSON, or a folder of "
    "YOLO .txt"
)
_CLASS_FILES: Final = ("classes.txt", "data.yaml")


@dataclass(frozen=True, slots=True)
class Recorded:
    """Recorded boxes and what was wrong with single ones.

    Attributes
    ----------
    boxes: rows of ``RECORDED``.
    names: images that the recorder saw, also those without a box.
    source: file or folder.
    faults: boxes that were passed over.
    notes: what had to be assumed, one sentence each.
    sizes: recorded width and height of images, where the file has them.
    """

    boxes: pa.Table
    names: tuple[str, ...]
    source: str
    faults: tuple[RowError, ...] = ()
    notes: tuple[str, ...] = ()
    sizes: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)

    def said(self) -> list[str]:
        """Everything a reader should know: the notes, then the faults with their count."""
        shown = " | ".join(str(fault) for fault in self.faults[:3])
        count = len(self.faults)
        return [*self.notes, *([f"{self.source}: {count} left out: {shown}"] if count else [])]


def read_detections(path: str | Path) -> Recorded:
    """Read recorded boxes, whichever form they are in.

    Raises
    ------
    FileError: the file is missing, or in none of the forms.
    """
    target = Path(path)
    if not target.exists():
        raise FileError(target, "does not exist", f"give {_FORMS}")
    if target.is_dir():
        return _folder(target)
    if target.suffix == ".parquet":
        return _table(target)
    if target.suffix == ".json":
        return _json(target)
    raise FileError(target, "is in no known form of recorded boxes", f"give {_FORMS}")


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
    corners = np.asarray(detections.xyxy, dtype=np.float64).reshape(-1, 4)
    named = (getattr(detections, "data", None) or {}).get("class_name")
    ids = getattr(detections, "class_id", None)
    if named is None:
        if len(corners) and (ids is None or not phrases):
            raise FileError(image_id, "supervision boxes carry no class names", "give phrases")
        named = [phrases[int(number)] for number in np.asarray(ids)] if len(corners) else []
    scores = getattr(detections, "confidence", None)
    rows = _Rows("supervision")
    for place, box in enumerate(corners):
        score = None if scores is None else float(scores[place])
        rows.add(image_id, str(named[place]), box.tolist(), score, "xyxy", "pixel", place)
    return resolve(rows.done([image_id]).boxes, {image_id: (None, None)}, "supervision")


@dataclass(slots=True)
class _Rows:
    """Rows of ``RECORDED`` as they come, and what was wrong with some."""

    source: str
    columns: dict[str, list[Any]] = field(
        default_factory=lambda: {name: [] for name in RECORDED.names}
    )
    faults: list[RowError] = field(default_factory=list)
    sizes: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)

    def add(
        self,
        name: str,
        phrase: Any,
        box: Any,
        score: Any,
        form: str,
        unit: str,
        row: int,
    ) -> None:
        try:
            numbers = [float(value) for value in box]
            if len(numbers) != 4:
                raise ValueError(f"has {len(numbers)} numbers")
            text = str(phrase).strip() if phrase is not None else ""
            if not text:
                raise ValueError("has no name")
            value = _score(score)
        except (TypeError, ValueError) as error:
            fault = RowError(self.source, row + 1, f'box of "{name}"', f"cannot be used ({error})")
            self.faults.append(fault)
            return
        for column, item in zip(
            self.columns.values(), (name, text, numbers, value, form, unit), strict=True
        ):
            column.append(item)

    def done(self, names: Iterable[str]) -> Recorded:
        listed = dict.fromkeys(names)
        unclean = {n for n in (*listed, *self.columns["phrase"]) if was_unclean(n)}
        for column in ("name", "phrase"):
            self.columns[column] = [plain_name(name) for name in self.columns[column]]
        return Recorded(
            pa.table(self.columns, schema=RECORDED),
            tuple(dict.fromkeys(plain_name(name) for name in listed)),
            self.source,
            tuple(self.faults),
            cleaned_note(self.source, unclean),
            {plain_name(name): size for name, size in self.sizes.items()},
        )


def _score(value: Any) -> float | None:
    """A score; Grounded-SAM-2 writes it as a list of one."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return None if value is None else float(value)


def _table(path: Path) -> Recorded:
    found = Detections.from_arrow(read_table(path), str(path))
    boxed = found.select(np.asarray(np.isfinite(found.boxes()).all(axis=1)))
    corners = boxed.boxes().astype(np.float64)
    table = pa.table(
        {
            "name": boxed.column("image_id"),
            "phrase": boxed.column("phrase"),
            "box": pa.FixedSizeListArray.from_arrays(pa.array(corners.reshape(-1)), 4),
            "score": boxed.column("score"),
            "format": ["xyxy"] * len(boxed),
            "unit": ["pixel"] * len(boxed),
        }
    )
    names = tuple(dict.fromkeys(str(name) for name in found.strings("image_id")))
    return Recorded(table.cast(RECORDED), names, str(path))


def _json(path: Path) -> Recorded:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise FileError(path, f"cannot be read as JSON ({error})") from error
    rows = _Rows(str(path))
    try:
        if isinstance(data, dict) and {"images", "annotations", "categories"} <= data.keys():
            return rows.done(_coco(data, rows))
        if isinstance(data, dict) and {"image_path", "annotations"} <= data.keys():
            return rows.done(_grounded_sam([data], rows))
        if isinstance(data, list) and all("image_path" in item for item in data) and data:
            return rows.done(_grounded_sam(data, rows))
        if isinstance(data, list) and all("file_name" in item for item in data):
            return rows.done(_listed(data, rows))
    except (KeyError, TypeError, AttributeError) as error:
        raise FileError(path, f"lacks a field or holds another type ({error!r})") from error
    raise FileError(path, "is in no known form of recorded boxes", f"give {_FORMS}")


def _coco(data: Mapping[str, Any], rows: _Rows) -> list[str]:
    names = {image["id"]: str(image["file_name"]) for image in data["images"]}
    for image in data["images"]:
        rows.sizes[str(image["file_name"])] = image.get("width"), image.get("height")
    phrases = {category["id"]: category["name"] for category in data["categories"]}
    for place, item in enumerate(data["annotations"]):
        if item.get("iscrowd"):
            continue
        name, phrase = names.get(item["image_id"]), phrases.get(item["category_id"])
        if name is None:
            problem = f"names image {item['image_id']}, which images does not list"
            rows.faults.append(RowError(rows.source, place + 1, "image_id", problem))
            continue
        rows.add(name, phrase, item["bbox"], item.get("score"), "xywh", "pixel", place)
    return list(names.values())


def _listed(data: Sequence[Mapping[str, Any]], rows: _Rows) -> list[str]:
    for image in data:
        rows.sizes[str(image["file_name"])] = image.get("width"), image.get("height")
        for place, item in enumerate(image.get("boxes", ())):
            if not item.get("iscrowd"):
                box, score = item.get("bbox_xywh"), item.get("score")
                rows.add(
                    image["file_name"], item.get("category"), box, score, "xywh", "pixel", place
                )
    return [str(image["file_name"]) for image in data]


def _grounded_sam(data: Sequence[Mapping[str, Any]], rows: _Rows) -> list[str]:
    for image in data:
        rows.sizes[str(image["image_path"])] = image.get("img_width"), image.get("img_height")
        form = image.get("box_format", "xyxy")
        for place, item in enumerate(image["annotations"]):
            box, score = item.get("bbox"), item.get("score")
            rows.add(image["image_path"], item.get("class_name"), box, score, form, "pixel", place)
    return [str(image["image_path"]) for image in data]


def _folder(path: Path) -> Recorded:
    if any(path.glob("*.parquet")):
        return _table(path)
    if files := sorted(path.rglob("*.json")):
        parts = [_json(file) for file in files]
        return Recorded(
            pa.concat_tables([part.boxes for part in parts]),
            tuple(dict.fromkeys(name for part in parts for name in part.names)),
            str(path),
            tuple(fault for part in parts for fault in part.faults),
            tuple(note for part in parts for note in part.notes),
            {name: size for part in parts for name, size in part.sizes.items()},
        )
    texts = [file for file in sorted(path.rglob("*.txt")) if file.name not in _CLASS_FILES]
    if not texts:
        raise FileError(path, "holds no recorded boxes", f"give {_FORMS}")
    return _yolo(path, texts)


def _yolo(path: Path, texts: Sequence[Path]) -> Recorded:
    phrases = _class_names(path)
    rows = _Rows(str(path))
    names = []
    for file in texts:
        name = file.relative_to(path).with_suffix("").as_posix()
        names.append(name)
        for place, line in enumerate(file.read_text(encoding="utf-8").splitlines()):
            parts = line.split()
            if not parts:
                continue
            phrase = phrases.get(parts[0])
            score = parts[5] if len(parts) == 6 else None
            box = parts[1:5] if len(parts) in (5, 6) else parts[1:]
            if phrase is None:
                problem = f"names class {parts[0]}, which the class list does not have"
                rows.faults.append(RowError(file, place + 1, "class", problem))
                continue
            rows.add(name, phrase, box, score, "cxcywh", "fraction", place)
    return rows.done(names)


def _class_names(path: Path) -> dict[str, str]:
    """Class number, as text, to its name."""
    for folder in (path, path.parent):
        listed, described = (folder / name for name in _CLASS_FILES)
        if listed.is_file():
            lines = listed.read_text(encoding="utf-8").splitlines()
            return {str(number): line.strip() for number, line in enumerate(lines)}
        if described.is_file():
            return _yaml_names(described.read_text(encoding="utf-8"))
    raise FileError(path, "has no classes.txt or data.yaml", "put one there, a class per line")


def _yaml_names(text: str) -> dict[str, str]:
    """The ``names`` of a YOLO data.yaml, in each of its three spellings."""
    start = re.search(r"^names:[ \t]*(.*)$", text, re.MULTILINE)
    if start is None:
        return {}
    if start.group(1).startswith("["):
        inside = text[start.start(1) + 1 :].partition("]")[0]
        listed = [name.strip().strip("'\"") for name in inside.split(",")]
        return {str(number): name for number, name in enumerate(listed) if name}
    block = re.match(r"(?:\s*\n[ \t]*(?:-|\d+:)[^\n]*)*", text[start.end() :])
    lines = block.group().split("\n") if block else []
    found = [re.match(r"\s*(?:-|(\d+):)\s*(.+)", line) for line in lines]
    pairs = [match for match in found if match is not None]
    return {
        match.group(1) or str(number): match.group(2).strip().strip("'\"")
        for number, match in enumerate(pairs)
    }
