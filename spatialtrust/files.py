"""Files that are either whole or not there: text and bytes, written atomically.

A file is written beside its target under another name, flushed to the disk and renamed; whoever
reads the target sees the old content or the new, also after a kill or a power cut.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spatialtrust.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterator

UNFINISHED: Final = ".unfinished"
"""Ending of a file that is being written; one found later was left by a process that died."""


def write_bytes(content: bytes, path: str | Path) -> None:
    """Write a file atomically.

    Raises
    ------
    FileError: the target cannot be written.
    """
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)


def write_text(content: str, path: str | Path) -> None:
    """Write UTF-8 text atomically, see :func:`write_bytes`."""
    write_bytes(content.encode(), path)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A name to write to; what was written there becomes the target if nothing was raised."""
    target = Path(path)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}{UNFINISHED}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        with unfinished.open("rb") as stream:
            os.fsync(stream.fileno())
        unfinished.replace(target)
    except OSError as error:
        raise FileError(
            target, f"cannot be written ({first_line(error)})", "give a folder you may write to"
        ) from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def first_line(error: Exception) -> str:
    """What went wrong, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__
