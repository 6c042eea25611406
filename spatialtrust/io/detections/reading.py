"""Recorded boxes from a file, or from a folder of files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from spatialtrust.documents import loads
from spatialtrust.errors import FileError
from spatialtrust.io.detections.coco import Index, beside, is_index
from spatialtrust.io.detections.forms import FORMS, Place, add_json, is_results
from spatialtrust.io.detections.rows import BoxError, Recorded, Rows, settle
from spatialtrust.io.detections.yolo import add_yolo, is_label_file
from spatialtrust.io.matching import RECORDED
from spatialtrust.io.parquet import read_table
from spatialtrust.io.text import parse_json, read_text
from spatialtrust.tables import Detections

if TYPE_CHECKING:
    from collections.abc import Sequence

_JSON: Final = (".json", ".jsonl", ".ndjson")


def read_detections(path: str | Path) -> Recorded:
    """Read recorded boxes, whichever form they are in.

    Raises
    ------
    FileError: the file is missing, in none of the forms, or names box formats that nobody knows;
        or what it refers to (classes, images) is missing.
    """
    target = Path(path)
    if not target.exists():
        raise FileError(target, "does not exist", f"give {FORMS}")
    if target.is_dir():
        return _folder(target)
    ending = target.suffix.lower()
    if ending == ".parquet":
        return _table(target)
    rows = Rows(str(target))
    if ending in _JSON:
        data = _content(rows, target)
        add_json(rows, data, Place(target, lambda: beside(target), among_others=False))
        return rows.done()
    if ending == ".txt" and is_label_file(target):
        add_yolo(rows, target.parent, [target])
        return rows.done()
    raise FileError(target, "is in no known form of recorded boxes", f"give {FORMS}")


def _table(path: Path) -> Recorded:
    return recorded_of(Detections.from_arrow(read_table(path), str(path)), str(path))


def recorded_of(found: Detections, source: str) -> Recorded:
    """Our own table as recorded boxes; ``source`` for messages."""
    boxed = found.select(np.asarray(np.isfinite(found.boxes()).all(axis=1)))
    corners = boxed.boxes().astype(np.float64)
    table = pa.table(
        {
            "name": boxed.column("image_id"),
            "phrase": boxed.column("phrase"),
            "box": pa.FixedSizeListArray.from_arrays(pa.array(corners.reshape(-1)), 4),
            "score": boxed.column("score"),
            "format": ["xyxy"] * len(boxed),
            "unit": pa.nulls(len(boxed), pa.string()),
        }
    )
    names = tuple(dict.fromkeys(str(name) for name in found.strings("image_id")))
    table, misfits, note = settle(table.cast(RECORDED), source)
    faults = tuple(
        BoxError("box in another unit than the rest", source, row + 1, "box", problem)
        for row, problem in misfits.items()
    )
    keep = np.ones(len(table), dtype=bool)
    keep[list(misfits)] = False
    notes = (note,) if note else ()
    return Recorded(table.filter(pa.array(keep)), names, source, faults, notes)


def _content(rows: Rows, file: Path) -> Any:
    """What a JSON file holds; of JSON lines, the list of its lines."""
    text, note = read_text(file)
    rows.note(note)
    rows.file = str(file)
    if file.suffix.lower() == ".json":
        try:
            return parse_json(text, file)
        except FileError as error:
            if "Extra data" not in str(error):
                raise
    listed = []
    for place, line in enumerate(text.split("\n")):
        if line.strip():
            try:
                listed.append(loads(line))
            except (ValueError, RecursionError) as error:
                rows.fault("line that is not JSON", place, "line", f"cannot be read ({error})")
    return listed


def _folder(path: Path) -> Recorded:
    if any(path.glob("*.parquet")):
        return _table(path)
    found = [
        file
        for file in sorted(path.rglob("*"))
        if file.is_file() and not any(part[0] == "." for part in file.relative_to(path).parts)
    ]
    files = [file for file in found if file.suffix.lower() in _JSON]
    texts = [file for file in found if file.suffix.lower() == ".txt" and is_label_file(file)]
    rows = Rows(str(path))
    refused = _json_files(rows, files)
    if len(refused) < len(files):
        if texts:
            rows.note(f"{path}: its JSON files are read, and {len(texts)} .txt files passed over")
        return rows.done()
    if texts:
        add_yolo(rows, path, texts)
        return rows.done()
    if refused:
        raise refused[0]
    raise FileError(path, "holds no recorded boxes", f"give {FORMS}")


def _json_files(rows: Rows, files: Sequence[Path]) -> list[FileError]:
    """The JSON files of a folder; one that cannot be used is passed over and said."""
    contents: list[tuple[Path, Any]] = []
    refused: list[FileError] = []

    def refuse(file: Path, error: FileError) -> None:
        rows.file = str(file)
        rows.fault("file passed over", 0, "file", str(error).removeprefix(f"{file}: "))
        refused.append(error)

    for file in files:
        try:
            contents.append((file, _content(rows, file)))
        except FileError as error:
            refuse(file, error)
    indices = [Index.of(data, file) for file, data in contents if is_index(data)]
    results = any(is_results(data) for _, data in contents)
    for file, data in contents:
        rows.file = str(file)
        if results and is_index(data):
            rows.note(f"{file}: only its images and categories are used, for the results beside it")
            continue
        try:
            add_json(rows, data, Place(file, lambda: indices, among_others=True))
        except FileError as error:
            refuse(file, error)
    return refused
