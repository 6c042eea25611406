"""What objects are called: the same in a picture, in a table, in a prompt and in a graph file."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spatialtrust.graph import SceneGraph


def display_names(graph: SceneGraph) -> dict[str, str]:
    """Object ids to names, in numeric order: ``n2`` before ``n10``.

    An object whose phrase nothing else has is called by it. Of several with one phrase each is
    called by its id, which is the phrase with a number ("mug#0", "mug#1"); where ids are others,
    they stand behind the phrase ("mug o2").
    """
    return names_of(graph.objects.strings("object_id"), graph.objects.strings("phrase"))


def names_of(ids: Sequence[str | None], phrases: Sequence[str | None]) -> dict[str, str]:
    """The same from object ids and their phrases.

    >>> names_of(["cup#10", "cup#2", "pan#0"], ["cup", "cup", "pan"])
    {'cup#2': 'cup#2', 'cup#10': 'cup#10', 'pan#0': 'pan'}
    """
    total = Counter(phrases)
    named = {
        str(name): name_of(str(name), str(phrase), alone=total[phrase] == 1)
        for name, phrase in zip(ids, phrases, strict=True)
    }
    return {name: named[name] for name in sorted(named, key=numeric)}


def name_of(object_id: str, phrase: str, *, alone: bool) -> str:
    """One object's name; ``alone``: no other object has its phrase.

    >>> name_of("mug#1", "mug", alone=False), name_of("17", "mug", alone=False)
    ('mug#1', 'mug 17')
    """
    if alone:
        return phrase
    return object_id if object_id.startswith(phrase) else f"{phrase} {object_id}"


_DIGITS: Final = 19


def numeric(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts numbers in names by their value.

    >>> sorted(["n10", "n2", "m"], key=numeric)
    ['m', 'n2', 'n10']
    """
    return tuple(
        (0, int(part), "") if part.isdecimal() and len(part) < _DIGITS else (1, 0, part)
        for part in re.split(r"(\d+)", name)
        if part
    )
