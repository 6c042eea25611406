"""Names of numbered classes, from the files that lie beside labels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.documents import loads_yaml
from spatialtrust.errors import FileError
from spatialtrust.io.text import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LISTS: Final = ("classes.txt", "obj.names", "classes.names", "predefined_classes.txt")
DESCRIPTIONS: Final = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Names of numbered classes.

    Attributes
    ----------
    names: class number, as text, to its name.
    keypoints: numbers that follow the box on a line of a pose file; 0: none.
    notes: what had to be assumed.
    """

    names: Mapping[str, str]
    keypoints: int = 0
    notes: tuple[str, ...] = ()


def class_names(folder: Path) -> ClassNames | None:
    """The class list in a folder or one of the two above it; None where there is none.

    Raises
    ------
    FileError: there is one, and it cannot be read.
    """
    for place in (folder, *folder.absolute().parents[:2]):
        for name in LISTS:
            if (place / name).is_file():
                return _listed(place / name)
        for file in [place / name for name in DESCRIPTIONS] + sorted(place.glob("*.y*ml")):
            if file.is_file() and (found := _described(file, file.name in DESCRIPTIONS)):
                return found
    return None


def read_names(file: Path) -> dict[str, str]:
    """Number to name, of a file with one class a line, or lines of ``number: name``.

    Raises
    ------
    FileError: the file cannot be read, or holds no name.
    """
    names = dict(_listed(file).names)
    if not names:
        raise FileError(file, "holds no name", "write one class a line")
    return names


def _listed(file: Path) -> ClassNames:
    """One class a line; comments and blank lines are no classes."""
    text, note = read_text(file)
    lines = text.split("\n")
    bare = [re.sub(r"(?:^|\s+)#(?:\s.*)?$", "", line).strip() for line in lines]
    names = [name for name in bare if name]
    notes = [note] if note else []
    last = max((place for place, name in enumerate(bare) if name), default=-1)
    if skipped := sum(not name for name in bare[: last + 1]):
        notes.append(f"{file}: {skipped} blank or comment lines are not counted as classes")
    numbered = [re.fullmatch(r"(\d+)\s*:\s*(.+)", name) for name in names]
    if names and all(numbered):
        return ClassNames({m[1]: m[2] for m in numbered if m}, 0, tuple(notes))
    return ClassNames({str(number): name for number, name in enumerate(names)}, 0, tuple(notes))


def _described(file: Path, needed: bool) -> ClassNames | None:
    """The ``names`` of a YAML file; None where a file that may be about else has none."""
    text, note = read_text(file)
    try:
        # Everything stays text: a class may be called "no" or "007".
        data = loads_yaml(text, strings_only=True)
    except ValueError as error:
        if not needed:
            return None
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FileError(file, f"cannot be read as YAML ({first_line})") from error
    names = _numbered(data.get("names") if isinstance(data, dict) else None)
    if not names:
        if not needed:
            return None
        remedy = "give names: [mug, kettle], or names: with one line 0: mug for each class"
        raise FileError(file, "has no names of classes", remedy)
    notes = [note] if note else []
    count = data.get("nc")
    if count is not None and str(count) != str(len(names)):
        notes.append(f"{file}: says nc: {count}, but names {len(names)} classes")
    return ClassNames(names, _keypoints(data.get("kpt_shape")), tuple(notes))


def _numbered(names: Any) -> dict[str, str]:
    """A list or a map, number to name or name to number, as number to name."""
    if isinstance(names, list):
        pairs = [(str(number), name) for number, name in enumerate(names)]
    elif isinstance(names, dict):
        pairs = list(names.items())
        if not all(str(key).strip().isdecimal() for key, _ in pairs):
            pairs = [(value, key) for key, value in pairs]
    else:
        return {}
    if not all(isinstance(part, str) for pair in pairs for part in pair):
        return {}
    if not all(key.strip().isdecimal() for key, _ in pairs):
        return {}
    return {str(int(key)): name.strip() for key, name in pairs if name.strip()}


def _keypoints(shape: Any) -> int:
    try:
        points, numbers = (int(value) for value in shape)
    except (TypeError, ValueError):
        return 0
    return points * numbers
