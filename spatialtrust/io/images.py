"""Images: which there are, what their headers say, and their pixels upright in RGB.

Nothing here raises for a bad image: it gets a status, and the batch goes on.
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
import warnings
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

import numpy as np
import pyarrow as pa

from spatialtrust.errors import FileError, InputError
from spatialtrust.io.deep import grey_of, is_deep, rgb_of, stored_deep, stored_unsigned
from spatialtrust.io.frames import SIDEWAYS
from spatialtrust.io.names import few, unique_names, was_unclean
from spatialtrust.limits import allowed, hint
from spatialtrust.schema import IMAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

ENDINGS: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm",
     ".pgm", ".avif", ".heic", ".heif"}
)  # fmt: skip
"""Endings of images. Files in a folder with another one are passed over and counted, as are those
that Pillow cannot read here; a file given by name is always tried."""

BESIDE: Final = frozenset(
    {".json", ".jsonl", ".csv", ".tsv", ".txt", ".yaml", ".yml", ".xml", ".parquet", ".toml", ".md"}
)
"""Endings of what lies beside images in any data set: labels and notes. Nobody misses those."""

MAX_PIXELS: Final = 200_000_000
"""Larger images are refused: decoded, this is 600 MB."""
PIXELS_A_BYTE: Final = 16
"""More pixels than this for each byte of its file no photo has: images that do are refused ..."""
ANY_FILE: Final = 48_000_000
"""... above so many pixels, which take less than 1 GB to decode."""
_STRIP: Final = 1 << 22
"""Pixels that are converted at a time."""

_ORIENTATION: Final = 0x0112
_ESCAPED: Final = "file:///"
"""How the ``uri`` begins of a file whose name is no text: its bytes are escaped."""


class Header(NamedTuple):
    """What is known of an image without decoding it; size as seen upright, in pixels."""

    width: int | None
    height: int | None
    sha256: str | None
    status: str


class Listing(NamedTuple):
    """Images that were found.

    Attributes
    ----------
    images: columns ``image_id`` and ``uri``.
    notes: what was passed over, and which names had to be changed; one sentence each.
    """

    images: pa.Table
    notes: tuple[str, ...]


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
    return find_images(inputs).images


def find_images(inputs: Iterable[str | Path]) -> Listing:
    """:func:`list_images`, and what a reader should know of the files that were found."""
    given = [Path(os.path.normpath(item)) for item in inputs]
    for item in given:
        if not item.exists():
            raise FileError(item, "does not exist", "give image files or folders of them")
    root = _root(given)
    passed: Counter[str] = Counter()
    files = sorted({file for item in given for file in _files(item, passed)})
    notes = _passed_over(passed)
    if not files:
        names = ", ".join(str(item) for item in given) or "nothing"
        also = "; ".join([*notes, f"valid endings: {' '.join(sorted(_readable()))}"])
        raise FileError(names, "holds no image", also)
    paths = [Path(os.path.relpath(file, root)).as_posix() for file in files]
    ids = unique_names(paths)
    changed = [new for new, path in zip(ids, paths, strict=True) if was_unclean(path)]
    if changed:
        notes.append(
            f"{len(changed)} names of images hold control characters or bytes that are no text; "
            f"the images are called: {few(changed)}"
        )
    table = pa.table({"image_id": ids, "uri": [_uri(file) for file in files]})
    return Listing(table.sort_by("image_id"), tuple(notes))


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
        content = _path(uri).read_bytes()
    except OSError as error:
        return Header(None, None, None, f"unreadable: {error.strerror}")
    sha256 = hashlib.sha256(content).hexdigest()
    if not content:
        return Header(None, None, sha256, "unreadable: the file is empty")
    try:
        with _QUIET, Image.open(io.BytesIO(content)) as image:
            width, height = image.size
            # Pillow gives the size of a TIFF as it is upright, of all else as it is stored.
            if image.format != "TIFF" and _orientation(image) in SIDEWAYS:
                width, height = height, width
    except Exception as error:
        return Header(None, None, sha256, f"unreadable: {_reason(error)}")
    if width * height > (limit := most_pixels(len(content))):
        problem = f"too_large: {width} x {height} pixels, at most {limit:,} are decoded"
        return Header(width, height, sha256, f"{problem} of {len(content):,} bytes")
    return Header(width, height, sha256, "ok")


def most_pixels(size: int) -> int:
    """How many pixels are decoded of a file of so many bytes; the limit ``PIXELS``.

    >>> most_pixels(1000), most_pixels(5_000_000), most_pixels(1 << 30)
    (48000000, 80000000, 200000000)
    """
    return allowed("PIXELS", min(MAX_PIXELS, max(ANY_FILE, PIXELS_A_BYTE * size)))


def read_orientation(uri: str | Path) -> int:
    """EXIF orientation of an image file, 1 to 8; 1 where it has none or cannot be read."""
    from PIL import Image

    try:
        with _QUIET, Image.open(_path(uri)) as image:
            return _orientation(image)
    except Exception:
        # What is wrong with the file is said where it is read.
        return 1


def read_image(uri: str | Path) -> NDArray[np.uint8]:
    """Pixels (H, W, 3), RGB, upright; what is transparent is white, of an animation the first.

    Grey and CMYK are converted. Deep images (more than 8 bits, whole numbers or fractions) are
    scaled to 8 bits by their full scale or their range, see :mod:`spatialtrust.io.deep`.

    Raises
    ------
    FileError: the image cannot be decoded, holds no finite value, or is larger than
        ``MAX_PIXELS``.
    """
    try:
        content = _path(uri).read_bytes()
    except (OSError, ValueError) as error:
        raise FileError(uri, f"is not a readable image ({_reason(error)})") from error
    return decode(content, uri)


def decode(content: bytes, uri: str | Path) -> NDArray[np.uint8]:
    """:func:`read_image` of bytes; ``uri`` for messages.

    Raises
    ------
    FileError: see :func:`read_image`.
    """
    from PIL import Image, ImageOps

    try:
        with _QUIET, Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > most_pixels(len(content)):
                problem = f"has {image.width} x {image.height} pixels"
                raise FileError(uri, problem, hint("PIXELS"))
            deep, unsigned = stored_deep(image), stored_unsigned(image)
            ImageOps.exif_transpose(image, in_place=True)
            pixels = _rgb(image, unsigned=unsigned)
            return rgb_of(content, uri, pixels) if deep else pixels
    except FileError:
        raise
    except Exception as error:
        # Decoders raise whatever a broken file leads them to.
        raise FileError(uri, f"is not a readable image ({_reason(error)})") from error


def held_pixels(image: Any) -> NDArray[np.uint8]:
    """Pixels (H, W, 3), RGB, of an image that somebody holds: a PIL image, or an array.

    Parameters
    ----------
    image: a PIL image of any mode (turned upright by its EXIF orientation, deep ones scaled as
        files are); or whole numbers of 8 or 16 bits, (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA.

    Raises
    ------
    InputError: it is neither, is empty, or has too many pixels.
    """
    from PIL import Image, ImageOps

    if not isinstance(image, Image.Image):
        image = _array_image(image)
    if not image.width or not image.height:
        raise InputError(f"the image has {image.width} x {image.height} pixels; give one with some")
    if image.width * image.height > allowed("PIXELS", MAX_PIXELS):
        problem = f"the image has {image.width} x {image.height} pixels"
        raise InputError(f"{problem}; {hint('PIXELS')}")
    try:
        with _QUIET:
            unsigned = hasattr(image, "tile") and stored_unsigned(image)
            upright = ImageOps.exif_transpose(image)
            # Pillow takes premultiplied grey to plain grey by this way only.
            upright = upright.convert("LA") if upright.mode == "La" else upright
            return _rgb(upright, unsigned=unsigned)
    except Exception as error:
        # Decoders raise whatever a broken image leads them to.
        raise InputError(f"the image cannot be read ({_reason(error)})") from error


def _array_image(image: Any) -> Any:
    """An array as a PIL image."""
    from PIL import Image

    try:
        pixels = np.asarray(image)
    except Exception:
        pixels = np.asarray(None)
    valid = "give a path, a PIL image, or uint8 (height, width, 3) RGB"
    if pixels.dtype.kind not in "uibf":
        raise InputError(f"image is a {type(image).__name__}; {valid}")
    told = f"image is {pixels.dtype.name} {pixels.shape}; {valid}"
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3, 4) and pixels.shape[2] not in (3, 4):
        raise InputError(f"{told} (its channels stand first: image.transpose(1, 2, 0))")
    flat = pixels.ndim == 2
    if not (flat or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))):
        raise InputError(told)
    if pixels.dtype == np.uint16:
        pixels = grey_of(pixels)
    if pixels.dtype != np.uint8:
        raise InputError(told)
    return Image.fromarray(np.ascontiguousarray(pixels))


def _rgb(image: Any, *, unsigned: bool) -> NDArray[np.uint8]:
    if is_deep(image.mode):
        values = np.asarray(image)
        grey = grey_of(values.view(np.uint32) if unsigned else values)
        return np.repeat(grey[:, :, None], 3, axis=2)
    width, height = image.size
    if width * height <= _STRIP:
        return _eight_bits(image)
    rows = max(1, _STRIP // width)
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        strip.info = image.info
        pixels[top : top + rows] = _eight_bits(strip)
    return pixels


def _eight_bits(image: Any) -> NDArray[np.uint8]:
    from PIL import Image

    if "A" in image.getbands() or "transparency" in image.info:
        seen = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    # Pillow copies what it need not convert.
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"), dtype=np.uint8)


def _orientation(image: Any) -> int:
    tag = image.getexif().get(_ORIENTATION)
    return tag if tag in range(2, 9) else 1


@lru_cache(maxsize=1)
def _readable() -> frozenset[str]:
    """The image endings that Pillow reads here; HEIC where ``pillow_heif`` is installed."""
    from importlib.util import find_spec

    from PIL import features

    missing = set() if features.check("avif") else {".avif"}
    if find_spec("pillow_heif") is None:
        missing |= {".heic", ".heif"}
    return ENDINGS - missing


def _passed_over(passed: Counter[str]) -> list[str]:
    """The note on files that are no images, by ending, the most frequent first."""
    if not passed:
        return []
    count = passed.total()
    files = "1 file with another ending" if count == 1 else f"{count} files with other endings"
    return [f"{files} passed over: {' '.join(sorted(passed, key=lambda e: (-passed[e], e)))}"]


def _uri(file: Path) -> str:
    """Where the pixels are; the path, or where that is no text its bytes, escaped."""
    try:
        str(file).encode()
    except UnicodeEncodeError:
        return file.as_uri()
    return str(file)


def _path(uri: str | Path) -> Path:
    """Inverse of :func:`_uri`."""
    text = os.fspath(uri)
    if not text.startswith(_ESCAPED):
        return Path(uri)
    return Path(os.fsdecode(unquote_to_bytes(text[len(_ESCAPED) - 1 :])))


def _root(given: Sequence[Path]) -> Path:
    folders = [item if item.is_dir() else item.parent for item in given]
    return (
        Path(os.path.commonpath([_absolute(folder) for folder in folders])) if folders else (Path())
    )


def _files(item: Path, passed: Counter[str]) -> Iterable[Path]:
    """An image file, or the images of a folder; other files are counted by their ending."""
    if not item.is_dir():
        return [_absolute(item)]
    readable, found = _readable(), []
    runs: dict[Path, bool] = {}
    for file in item.rglob("*"):
        ending = file.suffix.lower()
        if ending in readable and _of_a_run(file.parent, item, runs):
            continue
        if ending not in readable and (ending in BESIDE or _is_hidden(file, item)):
            continue
        if file.is_file():
            if ending in readable:
                found.append(_absolute(file))
            else:
                passed[ending or "(none)"] += 1
    return found


def _of_a_run(folder: Path, top: Path, known: dict[Path, bool]) -> bool:
    """Whether a folder lies in a run folder below the one that was given: it feeds no run."""
    if folder == top or top not in folder.parents:
        return False
    if folder not in known:
        own = (folder / "manifest.json").is_file() and (folder / ".lock").is_file()
        known[folder] = own or _of_a_run(folder.parent, top, known)
    return known[folder]


def _is_hidden(file: Path, folder: Path) -> bool:
    """Whether a file is none that people see: a dot before its name, or part of a run folder."""
    inside = file.relative_to(folder)
    if any(part.startswith(".") for part in inside.parts):
        return True
    return any((folder / above / "manifest.json").is_file() for above in inside.parents)


def _absolute(path: Path) -> Path:
    """Without ``..``, and with links as they are: image ids follow the names that were given."""
    return Path(os.path.normpath(path.absolute()))


@lru_cache(maxsize=1)
def _register_heif() -> None:
    from importlib import import_module

    import_module("pillow_heif").register_heif_opener()


class _Quiet:
    """Decoders warn of what the status says.

    Filters of warnings are the process's: the first thread that decodes sets them aside, and the
    last one brings them back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings(action="ignore")

    def __enter__(self) -> None:
        from PIL import Image

        with self._lock:
            if not self._inside:
                if ".heic" in _readable():
                    _register_heif()
                Image.MAX_IMAGE_PIXELS = None
                self._filters = warnings.catch_warnings(action="ignore")
                self._filters.__enter__()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._filters.__exit__(None, None, None)


_QUIET: Final = _Quiet()


def _reason(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return "not an image" if text.startswith("cannot identify") else text
