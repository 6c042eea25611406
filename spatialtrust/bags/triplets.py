"""Scene graphs of other programs as things and triplets, with nothing believed of them yet."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final, NamedTuple

from spatialtrust.documents import read_json
from spatialtrust.errors import FileError
from spatialtrust.io.names import plain_name
from spatialtrust.relations import RELATIONS, canonical
from spatialtrust.tables import Claims

_MOST: Final = 64 << 20
"""Bytes of the largest file that is read."""


class Thing(NamedTuple):
    """A node: its name, what it is called, and where it is in metres, where that is known."""

    name: str
    phrase: str
    position: tuple[float, float, float] | None


class Triplet(NamedTuple):
    """A relation as another program writes it; ``p_true`` where it says how sure it is."""

    subject: str
    relation: str
    object: str
    p_true: float | None


class Read(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    things, triplets: in the file's order.
    not_read: nodes and edges that are no things and no relations.
    """

    things: tuple[Thing, ...]
    triplets: tuple[Triplet, ...]
    not_read: int

    def claims(self, image_id: str = "scene") -> Claims:
        """The triplets as claims, to be checked against boxes; an unknown relation is null."""
        phrase = {thing.name: thing.phrase for thing in self.things}
        rows = [
            {
                "claim_id": f"{number:06d}",
                "image_id": image_id,
                "subject": phrase.get(found.subject, found.subject),
                "relation": _known(found.relation),
                "object": phrase.get(found.object, found.object),
                "subject_id": found.subject,
                "object_id": found.object,
                "text": f"{found.subject} {found.relation} {found.object}",
                "source": "scene graph",
            }
            for number, found in enumerate(self.triplets)
        ]
        return Claims.from_rows(rows) if rows else Claims.empty()


def json_in(path: str | Path, give: str) -> Any:
    """The JSON of a file.

    Raises
    ------
    FileError: it cannot be read, is too large, or is no JSON.
    """
    file = Path(path)
    try:
        if file.stat().st_size > _MOST:
            raise FileError(file, f"is larger than {_MOST >> 20} MiB", give)
        return read_json(file, _MOST)
    except OSError as error:
        raise FileError(file, f"cannot be read ({error.strerror})", give) from error
    except (ValueError, RecursionError) as error:
        raise FileError(file, "is no JSON", give) from error


def text_of(value: Any) -> str:
    """A value as a clean name; empty where it is no text."""
    return plain_name(value) if isinstance(value, str) else ""


def number_of(value: Any) -> float | None:
    """A value as a finite number; None where it is none."""
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if known and math.isfinite(value) else None


def _known(relation: str) -> str | None:
    try:
        name = canonical(relation)
    except ValueError:
        return None
    return name if name in RELATIONS else None
