"""Files that are either whole or not there: text and bytes, written atomically.

A file is written beside its target under a name that nobody can guess or have planted, flushed to
the disk and renamed; whoever reads the target sees the old content or the new, also after a kill or
a power cut. What a killed process left is removed by the next that writes into the folder.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spatialtrust.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterator

UNFINISHED: Final = ".unfinished"
"""Ending of a file that is being written; one that nobody holds was left by a process that died."""

_OURS: Final = re.compile(r"\.[0-9a-f]{24}\.unfinished")
_swept: set[tuple[int, int]] = set()
"""Folders (device and inode) that this process has looked through for what was left."""


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
    write_bytes(content.encode(errors="replace"), path)


@contextmanager
def replacing(path: str | Path, *, flush: bool = True) -> Iterator[Path]:
    """A name to write to; what was written there becomes the target if nothing was raised.

    The name is a new file's, made by this call alone, with the permissions that the user's umask
    leaves; a link in the target's place is replaced, not followed.

    Parameters
    ----------
    flush: whether to wait for the disk; without, a power cut may lose or empty the file.

    Raises
    ------
    FileError: the target cannot be written.
    """
    target = Path(path)
    unfinished: Path | None = None
    handle: int | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep_once(target.parent)
        unfinished = target.with_name(f".{secrets.token_hex(12)}{UNFINISHED}")
        handle = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield unfinished
        if flush:
            with unfinished.open("rb") as stream:
                os.fsync(stream.fileno())
        unfinished.replace(target)
    except (OSError, UnicodeError) as error:
        raise FileError(
            target, f"cannot be written ({first_line(error)})", "give a folder you may write to"
        ) from error
    finally:
        if unfinished is not None:
            with suppress(OSError):
                unfinished.unlink()
        if handle is not None:
            os.close(handle)


def sweep(folder: Path) -> None:
    """Remove the files below a folder that processes left which died while they wrote them.

    One that another process is writing stays, and so does everything that has another name.
    """
    for above, _, names in os.walk(folder):
        for name in names:
            if _OURS.fullmatch(name):
                _remove_left(Path(above) / name)


def _sweep_once(folder: Path) -> None:
    facts = folder.stat()
    key = facts.st_dev, facts.st_ino
    if key in _swept:
        return
    _swept.add(key)
    with os.scandir(folder) as entries:
        left = [Path(entry.path) for entry in entries if _OURS.fullmatch(entry.name)]
    for file in left:
        _remove_left(file)


def _remove_left(file: Path) -> None:
    try:
        handle = os.open(file, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.unlink()
    except OSError:
        pass
    finally:
        os.close(handle)


def first_line(error: Exception) -> str:
    """What went wrong, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__
