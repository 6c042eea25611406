"""Scene graphs on disk: in the format that a file's ending names, called as their image is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spatialtrust.documents import read_text
from spatialtrust.errors import InputError
from spatialtrust.files import write_text
from spatialtrust.graph.formats import WRITTEN, parse, render

if TYPE_CHECKING:
    from spatialtrust.graph import SceneGraph

PICTURES: Final = (".jpg", ".jpeg")
"""Endings that a picture of a graph keeps from its image; others get one more."""

_LONGEST: Final = 180
"""Bytes of a name that leave room for what is put behind it; a file system takes 255."""
_GOES_ON: Final = "%+"
_OUTPUT: Final = tuple(f".{kind}" for kind in WRITTEN) + PICTURES
_DOUBLED: Final = re.compile(r"\.\w+\.jpe?g$", re.IGNORECASE)


def save_graph(graph: SceneGraph, path: str | Path) -> None:
    """Write a graph as ``.json``, ``.graphml`` or ``.dot``, atomically.

    Raises
    ------
    InputError: the ending is not known.
    FileError: the file cannot be written.
    """
    write_text(render(graph, Path(path).suffix.removeprefix(".")), path)


def load_graph(path: str | Path) -> SceneGraph:
    """Read a graph that :func:`save_graph` wrote.

    Raises
    ------
    FileError: the file is missing or not UTF-8.
    InputError: it is not a scene graph, or its ending is not known.
    """
    return parse(read_text(path), Path(path).suffix.removeprefix("."), str(path))


def graph_name(image_id: str, kind: str) -> str:
    """Path of an image's graph below ``graphs/``; no two images have one.

    >>> graph_name("kitchen/a.jpg", "json"), graph_name("a.jpg.json/b.jpg", "json")
    ('kitchen/a.jpg.json', 'a.jpg%2Ejson/b.jpg.json')
    """
    return f"{_safe(image_id)}.{kind}"


def picture_name(image_id: str) -> str:
    """Path of an image's picture below ``overlays/``; no two images have one.

    >>> picture_name("a.jpg"), picture_name("x.png"), picture_name("x.png.jpg")
    ('a.jpg', 'x.png.jpg', 'x.png%2Ejpg.jpg')
    """
    name = _safe(image_id)
    if not name.lower().endswith(PICTURES):
        return f"{name}.jpg"
    # An image x.png has its picture in x.png.jpg, so an image of that name needs another.
    if _DOUBLED.search(name):
        stem, _, ending = name.rpartition(".")
        return f"{stem}%2E{ending}.jpg"
    return name


def image_of(name: str) -> str:
    """Inverse of both, of a path without what was put behind the image's name.

    >>> image_of("a.jpg%2Ejson/b.jpg")
    'a.jpg.json/b.jpg'
    """
    whole = name.replace(f"{_GOES_ON}/", "")
    return re.sub(r"%([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), whole)


def check_image_ids(image_ids: list[str], source: str | Path) -> None:
    """Refuse ids that are no paths below a folder: files are called after them.

    Raises
    ------
    InputError: an id is empty, absolute, or leads upwards.
    """
    for image_id in image_ids:
        parts = image_id.split("/") if image_id else [""]
        if "\0" in image_id or any(part in ("", ".", "..") for part in parts):
            raise InputError(
                f"{source}: image_id {image_id[:200]!r} is no path below a folder; the table was "
                "changed by something else, so begin another run"
            )


def _safe(image_id: str) -> str:
    *folders, name = image_id.split("/")
    return "/".join([*(_part(part, folder=True) for part in folders), _part(name, folder=False)])


def _part(text: str, *, folder: bool) -> str:
    """One name of a path, escaped where it could not stand, and cut in two where it is too long."""
    if text in ("", ".", ".."):
        return "%2E" * len(text) or "%00"
    part = re.sub(r"[%\x00-\x1f\x7f\\]", lambda found: f"%{ord(found[0]):02X}", text)
    if folder and part.lower().endswith(_OUTPUT):
        # A file of that name may stand beside it.
        stem, _, ending = part.rpartition(".")
        part = f"{stem}%2E{ending}"
    pieces = [""]
    for letter in part:
        if len((pieces[-1] + letter).encode()) > _LONGEST:
            pieces.append("")
        pieces[-1] += letter
    return f"{_GOES_ON}/".join(pieces)
