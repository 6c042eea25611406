"""YOLO label files: one line an object, whatever the task: boxes, tracks, polygons, poses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spatialtrust.errors import FileError
from spatialtrust.io.detections.class_names import LISTS, class_names
from spatialtrust.io.detections.items import extent
from spatialtrust.io.text import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from spatialtrust.io.detections.rows import Rows

_BOX: Final = 5


@dataclass(frozen=True, slots=True)
class _Habits:
    """What the lines of a folder have in common, where a line alone could be read in two ways.

    Attributes
    ----------
    polygons: there are lines that can only be polygons.
    tracks: there are lines of seven that can only be boxes with a track.
    tracked: the sixth number is a track, not a score.
    keypoints: numbers behind the box of a pose.
    """

    polygons: bool
    tracks: bool
    tracked: bool
    keypoints: int

    @classmethod
    def of(cls, lines: Sequence[Sequence[str]], keypoints: int) -> _Habits:
        sixth = [value for line in lines if len(line) == _BOX + 1 if (value := _number(line[5]))]
        tracked = bool(sixth) and all(v.is_integer() for v in sixth) and max(sixth) > 1
        last = [_number(line[6]) or 0.0 for line in lines if len(line) == _BOX + 2]
        tracks = any(value > 1 and value.is_integer() for value in last)
        return cls(any(len(line) > 7 for line in lines), tracks, tracked, keypoints)


def add_yolo(rows: Rows, folder: Path, texts: Sequence[Path]) -> None:
    """The label files of a folder; each is called as its image is.

    Raises
    ------
    FileError: there is no list of classes, or it cannot be read.
    """
    known = class_names(folder)
    if known is None:
        remedy = "put one there, a class per line"
        raise FileError(folder, "has no classes.txt or data.yaml", remedy)
    for assumed in known.notes:
        rows.note(assumed)
    files: list[tuple[Path, list[tuple[int, list[str]]]]] = []
    for file in texts:
        rows.file = str(file)
        try:
            text, note = read_text(file)
        except FileError as error:
            rows.fault("file that cannot be read", 0, "", str(error))
            continue
        rows.note(note)
        lines = [(place, line.split()) for place, line in enumerate(text.splitlines())]
        lines = [(place, parts) for place, parts in lines if parts and parts[0][0] != "#"]
        if lines and not any(_number(part) is not None for _, line in lines for part in line[1:]):
            problem = f"{' '.join(lines[0][1])[:40]!r} is no line of labels"
            rows.fault("text file that holds no labels", lines[0][0], "line", problem)
            continue
        files.append((file, lines))
    habits = _Habits.of([parts for _, lines in files for _, parts in lines], known.keypoints)
    if habits.tracked:
        rows.note(f"{rows.source}: the sixth number of a line is read as a track, not as a score")
    for file, lines in files:
        rows.file = str(file)
        name = file.relative_to(folder).with_suffix("").as_posix()
        rows.image(name)
        for place, parts in lines:
            _add(rows, name, parts, place, known.names, habits)


def is_label_file(file: Path) -> bool:
    """Whether a text file may hold labels, going by its name."""
    return file.name not in LISTS


def _add(
    rows: Rows,
    name: str,
    parts: Sequence[str],
    place: int,
    names: Mapping[str, str],
    habits: _Habits,
) -> None:
    number = _number(parts[0])
    whole = number is not None and number.is_integer()
    phrase = names.get(str(int(number))) if number is not None and whole else None
    if phrase is None and number is None and parts[0] in names.values():
        phrase = parts[0]
    if phrase is None:
        problem = f"names class {parts[0]}, which the class list does not have"
        return rows.fault("class without a name", place, "class", problem)
    values = [_number(part) for part in parts[1:]]
    numbers = [value for value in values if value is not None]
    where = f'box of "{name}"'
    if len(numbers) != len(values):
        wrong = parts[1 + values.index(None)]
        return rows.fault("not four numbers", place, where, f"cannot be used ({wrong!r})")
    if len(numbers) < 4:
        problem = f"cannot be used (has {len(numbers)} numbers)"
        return rows.fault("not four numbers", place, where, problem)
    if _is_box(numbers, parts, habits):
        score = _box_score(numbers, habits)
        return rows.add(name, phrase, numbers[:4], score, "cxcywh", "fraction", place)
    points, score = _polygon(numbers)
    if max(map(abs, points)) > 2:
        problem = f"is a polygon whose numbers are no fractions ({max(map(abs, points)):g})"
        return rows.fault("box in another unit than the rest", place, where, problem)
    return rows.add(name, phrase, extent(points), score, "xyxy", "fraction", place)


def _is_box(numbers: Sequence[float], parts: Sequence[str], habits: _Habits) -> bool:
    """Whether a line holds a box (and a score, a track, points of a pose), or a polygon."""
    extra = len(numbers) - 4
    if habits.keypoints and extra - habits.keypoints in (0, 1, 2):
        return True
    if extra != 2:
        return extra < 2
    # Six numbers: a triangle, or a box with score and track, which is a whole number.
    if numbers[5] > 1 or numbers[4] > 1:
        return True
    whole = numbers[5].is_integer()
    return whole and (habits.tracks or (not habits.polygons and parts[6].isdecimal()))


def _box_score(numbers: Sequence[float], habits: _Habits) -> float | None:
    behind = numbers[4 + habits.keypoints :] if len(numbers) > 6 else numbers[4:]
    if len(behind) == 2 and behind[0] > 1 and 0 <= behind[1] <= 1:
        return behind[1]  # track and score the other way round
    if not behind or (len(behind) == 1 and habits.tracked):
        return None
    return behind[0]


def _polygon(numbers: Sequence[float]) -> tuple[Sequence[float], float | None]:
    """The points of a polygon, and the score behind them."""
    if len(numbers) % 2:
        last = numbers[-1]
        return numbers[:-1], None if last > 1 and last.is_integer() else last
    if len(numbers) > 6 and numbers[-1] > 1 and numbers[-1].is_integer():
        return numbers[:-2], numbers[-2]  # score and track
    return numbers, None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
