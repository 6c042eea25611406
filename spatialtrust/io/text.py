"""Text and JSON in whatever encoding they were written, and which one it was."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.documents import MOST_JSON, loads, read_bytes
from spatialtrust.errors import FileError
from spatialtrust.io.encodings import as_utf8
from spatialtrust.io.names import plain_name

if TYPE_CHECKING:
    from pathlib import Path

log: Final = logging.getLogger("spatialtrust")


def read_text(path: Path) -> tuple[str, str | None]:
    """Text of a file, and what was assumed of its encoding, as a sentence for the log.

    Raises
    ------
    FileError: the file cannot be read.
    """
    content, note = as_utf8(read_bytes(path, MOST_JSON))
    return content.decode("utf-8", errors="replace"), note and f"{path}: {note}"


def read_lines(path: Path) -> list[str]:
    """Names, one per line; blank lines are none, and an assumed encoding is logged.

    Raises
    ------
    FileError: there is no such file, or it cannot be read.
    """
    if not path.is_file():
        raise FileError(path, "is no file", "give a text file of names, one per line")
    text, note = read_text(path)
    if note is not None:
        log.info("%s", note)
    return [name for line in text.splitlines() if (name := plain_name(line))]


def parse_json(text: str, path: Path) -> Any:
    """What a JSON text holds.

    Raises
    ------
    FileError: it is not JSON, or nested too deep to be read.
    """
    try:
        return loads(text)
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
