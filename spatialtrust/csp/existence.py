"""Is it there? Questions in the form of POPE, read from its files or made from any boxes.

POPE asks of each picture about things that are there and things that are not: drawn at random,
among the most frequent of all pictures (popular), or among those that most often come with what is
there (adversarial). Its files are JSON lines with ``question_id``, ``image``, ``text``, ``label``.

Source: Li et al. 2023, POPE (arXiv 2305.10355), section 4.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.errors import ColumnError, InputError
from spatialtrust.files import write_text
from spatialtrust.io.detections.reading import read_detections
from spatialtrust.io.rows import read_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

KINDS: Final = ("random", "popular", "adversarial")
"""How what is not there is chosen."""

log: Final = logging.getLogger("spatialtrust")
_SHOWN: Final = 5
_FIELDS: Final = ("question_id", "image", "text", "label")


def is_pope(columns: Sequence[str]) -> bool:
    """Whether a file with these columns is one of POPE's.

    >>> is_pope(["question_id", "image", "text", "label"]), is_pope(["text", "subject_box"])
    (True, False)
    """
    names = set(columns)
    return set(_FIELDS[1:]) <= names and not {"subject", "question", "subject_box"} & names


def things_in(detections: Path) -> dict[str, list[str]]:
    """Image to the phrases of its boxes, from a file of boxes in any form.

    Raises
    ------
    FileError: the file cannot be read.
    """
    found = read_detections(detections)
    for fault in found.faults[:_SHOWN]:
        log.warning("%s", fault)
    if len(found.faults) > _SHOWN:
        log.warning("... and %d more boxes that cannot be read", len(found.faults) - _SHOWN)
    present: dict[str, list[str]] = {name: [] for name in found.names}
    columns = (found.boxes[name].to_pylist() for name in ("name", "phrase"))
    for image, phrase in zip(*columns, strict=True):
        if phrase:
            present.setdefault(image, []).append(phrase)
    return present


def read_pope(path: Path) -> list[dict[str, Any]]:
    """Rows of a POPE file: ``question_id``, ``image``, ``question``, ``answer``.

    Raises
    ------
    FileError: the file cannot be read.
    ColumnError: it has not POPE's columns, or a label that is neither yes nor no.
    """
    raw = read_rows(path)
    if raw.broken is not None:
        raise raw.broken
    for name in _FIELDS[1:]:
        if name not in raw.table.column_names:
            raise ColumnError(
                path, name, "is missing", f"a POPE file has {', '.join(_FIELDS)} in each line"
            )
    rows = []
    for place, row in enumerate(raw.table.to_pylist()):
        if raw.unreadable[place]:
            continue
        label = str(row["label"]).strip().lower()
        if label not in ("yes", "no"):
            raise ColumnError(
                path, "label", f'holds "{row["label"]}" in row {place + 1}', "give yes or no"
            )
        number = row.get("question_id")
        rows.append(
            {
                "question_id": str(place if number is None else number),
                "image": str(row["image"]),
                "question": str(row["text"]),
                "answer": label,
            }
        )
    return rows


def make_questions(
    present: Mapping[str, Sequence[str]], kind: str = "random", each: int = 3, seed: int = 0
) -> list[dict[str, Any]]:
    """POPE rows about pictures whose things are known: of each, as many yes as no.

    Parameters
    ----------
    present: image to the phrases of the things on it.
    each: yes questions of an image, and no questions, at most.

    Raises
    ------
    InputError: the kind is not known, or no picture lacks a thing that another has.

    >>> rows = make_questions({"a.png": ["cup"], "b.png": ["dog", "cup"]}, each=1)
    >>> [(row["image"], row["text"], row["label"]) for row in rows][:2]
    [('a.png', 'Is there a cup in the image?', 'yes'), ('a.png', 'Is there a dog in the image?', 'no')]
    """  # noqa: E501
    if kind not in KINDS:
        raise InputError(f'kind "{kind}" is not known; valid: {", ".join(KINDS)}')
    frequency = Counter(name for names in present.values() for name in set(names))
    together: dict[str, Counter[str]] = {name: Counter() for name in frequency}
    for names in present.values():
        for name in set(names):
            together[name].update(set(names) - {name})
    rows: list[dict[str, Any]] = []
    for place, image in enumerate(sorted(present)):
        here = sorted(set(present[image]))
        absent = sorted(set(frequency) - set(here))
        generator = np.random.default_rng((seed, place))
        count = min(each, len(here), len(absent))
        if kind == "random":
            no = generator.permutation(absent)[:count].tolist()
        else:
            score = frequency if kind == "popular" else sum((together[n] for n in here), Counter())
            no = sorted(absent, key=lambda name: (-score[name], name))[:count]
        yes = generator.permutation(here)[:count].tolist()
        answers = [
            (yes[i // 2], "yes") if i % 2 == 0 else (no[i // 2], "no") for i in range(2 * count)
        ]
        for name, label in answers:
            rows.append(
                {
                    "question_id": len(rows) + 1,
                    "image": image,
                    "text": f"Is there {_article(name)} {name} in the image?",
                    "label": label,
                }
            )
    if not rows:
        raise InputError(
            "no question can be made: every picture shows the same things, or none; give boxes of "
            "several pictures that differ"
        )
    return rows


def write_pope(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write rows as POPE's files are."""
    lines = [json.dumps({name: row[name] for name in _FIELDS}) for row in rows]
    write_text("\n".join(lines) + "\n", path)


def _article(name: str) -> str:
    return "an" if name[:1].lower() in "aeiou" else "a"
