"""Every reply that was paid for, in a file that is only ever appended to.

A line is a reply and the hash of what was asked (model, server, picture, text, how). It is on the
disk before the reply is used, so after a kill at any point nothing is asked twice. A line that a
kill cut short is passed over and counted.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.documents import loads
from spatialtrust.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log: Final = logging.getLogger("spatialtrust")

FORM: Final = 1
"""Version of the lines; those of another are passed over and counted."""


def key_of(asked: Mapping[str, Any]) -> str:
    """The hash of what was asked.

    >>> key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    True
    """
    text = json.dumps(asked, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Record:
    """Replies by the hash of what was asked; safe for threads and for processes side by side.

    Parameters
    ----------
    path: made where it is missing; its folder too.

    Raises
    ------
    FileError: it cannot be read or written, or is no record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._replies: dict[str, Any] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise FileError(
                path,
                f"cannot be used as the record of replies ({error.strerror})",
                "give another: openai:MODEL@URL#record=FILE, or set SPATIALTRUST_HOME",
            ) from error
        self._load()

    def __len__(self) -> int:
        return len(self._replies)

    def get(self, key: str) -> Any | None:
        """The reply to what was asked; None where it was not."""
        return self._replies.get(key)

    def put(self, key: str, reply: Any) -> None:
        """Keep a reply; it is on the disk when this returns."""
        line = json.dumps({"form": FORM, "asked": key, "reply": reply}, ensure_ascii=True)
        with self._lock:
            if key in self._replies:
                return
            try:
                # One write of O_APPEND: lines of two processes never mix. A line begins with a
                # break where a kill may have left one open; empty lines are nothing.
                content = f"\n{line}\n".encode()
                if os.write(self._file, content) != len(content):
                    raise OSError(28, "no space left on the device")
                os.fsync(self._file)
            except OSError as error:
                raise FileError(
                    self.path,
                    f"cannot be written ({error.strerror}), so a reply that was paid for would be "
                    "lost",
                    "make room and start again; what was kept is not asked again",
                ) from error
            self._replies[key] = reply

    def paid(self) -> dict[str, int]:
        """Replies and tokens of everything that was ever asked into this file."""
        usages = [reply.get("usage") or {} for reply in self._replies.values()]
        return {
            "replies": len(self._replies),
            "prompt_tokens": sum(_count(usage.get("prompt_tokens")) for usage in usages),
            "completion_tokens": sum(_count(usage.get("completion_tokens")) for usage in usages),
        }

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _load(self) -> None:
        broken = other = 0
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise FileError(self.path, f"cannot be read ({error.strerror})") from error
        for line in content.split(b"\n"):
            if not line.strip():
                continue
            try:
                row = loads(line)
                form, key, reply = row["form"], row["asked"], row["reply"]
            except (ValueError, KeyError, TypeError, RecursionError):
                broken += 1
                continue
            if form == FORM and isinstance(key, str) and isinstance(reply, dict):
                self._replies[key] = reply
            else:
                other += 1
        if broken and not self._replies and not other:
            raise FileError(
                self.path, "is no record of replies", "give another: openai:MODEL@URL#record=FILE"
            )
        if broken or other:
            log.warning(
                "%s: %d replies kept; %d lines cut short by a kill, %d of another version, are "
                "passed over",
                self.path,
                len(self._replies),
                broken,
                other,
            )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
