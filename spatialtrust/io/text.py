"""Text and JSON in whatever encoding they were written, and which one it was."""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_GUESSES: Final = ("cp1252", "latin-1")


def decode(content: bytes) -> tuple[str, str | None]:
    r"""Text of a file, and the encoding where it had to be guessed.

    A byte order mark decides; without one it is UTF-8, or UTF-16 where every second byte is zero.
    What is none of these is read as Western European, which is a guess.

    >>> decode("mug".encode("utf-16"))
    ('mug', None)
    >>> decode(b"caf\xe9")
    ('café', 'cp1252')
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, errors="replace"), None
    for zeros, encoding in ((content[1:64:2], "utf-16-le"), (content[0:64:2], "utf-16-be")):
        if zeros and not any(zeros):
            return content.decode(encoding, errors="replace"), None
    try:
        return content.decode("utf-8"), None
    except UnicodeDecodeError:
        pass
    for encoding in _GUESSES:
        try:
            return content.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    raise AssertionError("latin-1 decodes every byte")


def whole(text: str) -> str:
    r"""A text that files can hold: halves of a surrogate pair become ``?``.

    >>> whole("m\udc80g")
    'm?g'
    """
    return text.encode("utf-8", errors="replace").decode("utf-8")


def read_text(path: Path) -> tuple[str, str | None]:
    """Text of a file, and what was assumed of its encoding, as a sentence for the log.

    Raises
    ------
    FileError: the file cannot be read.
    """
    try:
        text, guessed = decode(path.read_bytes())
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror or error})") from error
    return text, guessed and f"{path}: is not UTF-8; read as {guessed} (Western European)"


def parse_json(text: str, path: Path) -> Any:
    """What a JSON text holds.

    Raises
    ------
    FileError: it is not JSON, or nested too deep to be read.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise FileError(path, "is nested too deep to be read as JSON") from error
    except ValueError as error:
        raise FileError(path, f"cannot be read as JSON ({error})") from error


def read_json(path: Path) -> tuple[Any, str | None]:
    """What a JSON file holds, and what was assumed of its encoding.

    Raises
    ------
    FileError: the file cannot be read, is not JSON, or is nested too deep.
    """
    text, note = read_text(path)
    return parse_json(text, path), note
