"""Where a page finds a run's images: beside itself by relative address, or within itself."""

from __future__ import annotations

import base64
import os
from pathlib import PurePath
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote_to_bytes

import numpy as np

from spatialtrust.errors import FileError
from spatialtrust.graph.drawing import encode
from spatialtrust.io.images import read_image

if TYPE_CHECKING:
    from pathlib import Path

SHOWN: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".avif", ".bmp"}
)
"""Endings of images that browsers show."""

LARGEST: Final = 1024
"""Pixels of an embedded image's longer side."""

_ESCAPED: Final = "file:///"


def path_of(uri: str) -> str:
    """The file behind an image's ``uri``."""
    if not uri.startswith(_ESCAPED):
        return uri
    return os.fsdecode(unquote_to_bytes(uri[len(_ESCAPED) - 1 :]))


def address(uri: str, page: Path) -> str:
    """The relative address of an image, as seen from a page.

    >>> from pathlib import Path
    >>> address("photos/50% off.jpg", Path("out/report.html"))
    '../photos/50%25%20off.jpg'
    """
    near = os.path.relpath(os.path.abspath(path_of(uri)), os.path.abspath(page.parent))
    return quote(os.fsencode(PurePath(near).as_posix()))


def problem_of(uri: str | None) -> str:
    """Why a page will not show an image from beside it; empty where it should.

    >>> problem_of("no/such.jpg"), problem_of(None)
    ('gone', 'gone')
    """
    if uri is None or not os.path.isfile(path_of(uri)):
        return "gone"
    return "" if PurePath(uri).suffix.lower() in SHOWN else "not shown by browsers"


def embedded(uri: str) -> str | None:
    """An image as JPEG in base64, its longer side at most ``LARGEST``; None: it cannot be read."""
    import cv2

    try:
        pixels = read_image(uri)
    except FileError:
        return None
    scale = LARGEST / max(pixels.shape[:2])
    if scale < 1:
        size = tuple(max(round(side * scale), 1) for side in pixels.shape[1::-1])
        shrunk = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        pixels = np.asarray(shrunk, dtype=np.uint8)
    return base64.b64encode(encode(pixels)).decode()
