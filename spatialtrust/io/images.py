"""Images: which there are, what their headers say, and their pixels upright in RGB.

Nothing here raises for a bad image: it gets a status, and the batch goes on.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from spatialtrust.errors import FileError
from spatialtrust.schema import IMAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

ENDINGS: Final = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm"}
)
"""Files in a folder with another ending are passed over; a file given by name is always tried."""

MAX_PIXELS: Final = 200_000_000
"""Larger images are refused: decoded, this is 600 MB."""

_ROTATED: Final = range(5, 9)
_ORIENTATION: Final = 0x0112


class Header(NamedTuple):
    """What is known of an image without decoding it; size as seen upright, in pixels."""

    width: int | None
    height: int | None
    sha256: str | None
    status: str


def list_images(inputs: Iterable[str | Path]) -> pa.Table:
    """Images in folders (searched recursively) and files, sorted by ``image_id``.

    Parameters
    ----------
    inputs: folders and files. With one folder, ``image_id`` is the path relative to it; else
        relative to the deepest folder that holds all inputs. A file found twice is listed once.

    Returns
    -------
    Columns ``image_id`` and ``uri``.

    Raises
    ------
    FileError: an input does not exist, or there is no image in any.
    """
    given = [Path(os.path.normpath(item)) for item in inputs]
    for item in given:
        if not item.exists():
            raise FileError(item, "does not exist", "give image files or folders of them")
    root = _root(given)
    files = sorted({file for item in given for file in _files(item)})
    if not files:
        names = ", ".join(str(item) for item in given) or "nothing"
        raise FileError(names, "holds no image", f"valid endings: {' '.join(sorted(ENDINGS))}")
    ids = [Path(os.path.relpath(file, root)).as_posix() for file in files]
    return pa.table({"image_id": ids, "uri": [str(file) for file in files]}).sort_by("image_id")


def read_headers(images: pa.Table) -> pa.Table:
    """The images table: size, hash and status of each listed image.

    Parameters
    ----------
    images: columns ``image_id`` and ``uri``.
    """
    headers = [read_header(uri) for uri in images["uri"].to_pylist()]
    columns: dict[str, Any] = {"image_id": images["image_id"], "uri": images["uri"]}
    for place, name in enumerate(Header._fields):
        columns[name] = pa.array([header[place] for header in headers], IMAGES.field(name).type)
    return pa.table(columns, schema=IMAGES)


def read_header(uri: str | Path) -> Header:
    """Size, hash and status of one image file; only the header is decoded."""
    from PIL import Image

    try:
        content = Path(uri).read_bytes()
    except OSError as error:
        return Header(None, None, None, f"unreadable: {error.strerror}")
    sha256 = hashlib.sha256(content).hexdigest()
    if not content:
        return Header(None, None, sha256, "unreadable: the file is empty")
    try:
        with _quiet(), Image.open(io.BytesIO(content)) as image:
            width, height = image.size
            if image.getexif().get(_ORIENTATION) in _ROTATED:
                width, height = height, width
    except Exception as error:
        return Header(None, None, sha256, f"unreadable: {_reason(error)}")
    if width * height > MAX_PIXELS:
        problem = f"too_large: {width} x {height} pixels, at most {MAX_PIXELS:,} are decoded"
        return Header(width, height, sha256, problem)
    return Header(width, height, sha256, "ok")


def read_image(uri: str | Path) -> NDArray[np.uint8]:
    """Pixels (H, W, 3), RGB, upright; what is transparent is white, of an animation the first.

    Grey and CMYK are converted, 16 bit is scaled to 8 by its full range.

    Raises
    ------
    FileError: the image cannot be decoded, or is larger than ``MAX_PIXELS``.
    """
    from PIL import Image, ImageOps

    try:
        with _quiet(), Image.open(uri) as image:
            if image.width * image.height > MAX_PIXELS:
                raise FileError(
                    uri, f"has {image.width} x {image.height} pixels", "make it smaller"
                )
            return _rgb(ImageOps.exif_transpose(image))
    except FileError:
        raise
    except Exception as error:
        # Decoders raise whatever a broken file leads them to.
        raise FileError(uri, f"is not a readable image ({_reason(error)})") from error


def _rgb(image: Any) -> NDArray[np.uint8]:
    from PIL import Image

    if image.mode.startswith("I"):
        deep = np.clip(np.asarray(image, dtype=np.int64), 0, 65535)
        grey = (deep // 257).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if "A" in image.getbands() or "transparency" in image.info:
        seen = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    return np.asarray(image.convert("RGB"), dtype=np.uint8)


def _root(given: Sequence[Path]) -> Path:
    folders = [item if item.is_dir() else item.parent for item in given]
    return (
        Path(os.path.commonpath([_absolute(folder) for folder in folders])) if folders else (Path())
    )


def _files(item: Path) -> Iterable[Path]:
    if not item.is_dir():
        return [_absolute(item)]
    return (
        _absolute(file)
        for file in item.rglob("*")
        if file.suffix.lower() in ENDINGS and file.is_file()
    )


def _absolute(path: Path) -> Path:
    """Without ``..``, and with links as they are: image ids follow the names that were given."""
    return Path(os.path.normpath(path.absolute()))


def _quiet() -> warnings.catch_warnings[None]:
    """Decoders warn of what the status says."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    return warnings.catch_warnings(action="ignore")


def _reason(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return "not an image" if text.startswith("cannot identify") else text
