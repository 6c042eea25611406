"""The output of a bag in parts, so that a run that was stopped goes on, and ends in the same file.

Beside ``OUT.mcap`` stands ``OUT.mcap.parts`` until all is done: for each part an MCAP file and,
written after it, the whole memory of the stream as JSON. A part without its JSON is made again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spatialtrust import __version__
from spatialtrust.bags.writing import GraphWriter, join
from spatialtrust.documents import read_object
from spatialtrust.errors import FileError, InputError
from spatialtrust.files import first_line, replacing, sweep, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from spatialtrust.bags.reading import Message, Topic
    from spatialtrust.bags.records import Record

log: Final = logging.getLogger("spatialtrust")

FRAMES: Final = 200
"""Frames of a part."""

_SAMPLE: Final = 1 << 20
_MANIFEST: Final = "manifest.json"
_OURS: Final = re.compile(r"part-\d{6}\.(mcap|json|unfinished)|manifest\.json")


@dataclass
class Parts:
    """The parts of an output.

    Attributes
    ----------
    out: the file that is made of them.
    folder: where they are.
    done: frames of the parts that are there.
    state: the memory after them; None: nothing is there.
    only_ros2: see :class:`spatialtrust.bags.writing.GraphWriter`.
    """

    out: Path
    folder: Path
    done: int
    state: dict[str, Any] | None
    only_ros2: bool
    _names: list[Path]
    _stream: BinaryIO | None = None
    _writer: GraphWriter | None = None

    @classmethod
    def open(
        cls, bag: Path, out: str | Path, facts: Mapping[str, Any], *, only_ros2: bool = False
    ) -> Parts:
        """What an earlier run left, if it was of the same bag and settings; else nothing.

        Raises
        ------
        FileError: the folder cannot be written, or the output is the bag itself.
        """
        target = Path(out)
        if target.is_dir() or target.resolve() == bag.resolve():
            raise FileError(target, "is a folder, or the bag itself", "name another .mcap file")
        folder = target.with_name(f"{target.name}.parts")
        wanted = {"spatialtrust": __version__, "bag": _fingerprint(bag), **facts}
        text = json.dumps(wanted, sort_keys=True, indent=1, default=str)
        manifest = folder / _MANIFEST
        try:
            same = manifest.is_file() and manifest.read_text(encoding="utf-8") == text
            if folder.exists() and not same:
                sweep(folder)
                if not all(_OURS.fullmatch(file.name) for file in folder.iterdir()):
                    raise FileError(folder, "is no folder of parts", "remove it, or name another")
                if manifest.is_file():
                    log.warning("%s: from another bag or other settings; starting over", folder)
                _remove(folder)
        except OSError as error:
            raise FileError(folder, f"cannot be used ({first_line(error)})") from error
        if not same:
            write_text(text, manifest)
        found = cls(target, folder, 0, None, only_ros2, [])
        while (memory := found._path("json")).is_file() and found._path("mcap").is_file():
            try:
                stored = read_object(memory)
                frames, state = int(stored["frames"]), dict(stored["state"])
            except (InputError, KeyError, TypeError, ValueError) as error:
                log.warning("%s: a part is damaged, and made again (%s)", memory, error)
                break
            found._names.append(found._path("mcap"))
            found.done, found.state = frames, state
        if found.done:
            log.warning("%s: continuing after %d frames", folder, found.done)
        return found

    def record(self, record: Record, log_time: int) -> None:
        """Write a frame's record."""
        self._open().record(record, log_time)

    def copy(self, topic: Topic, message: Message) -> None:
        """Write a message of the bag as it is."""
        if not (self.only_ros2 and topic.encoding != "cdr"):
            self._open().copy(topic, message.log_time, message.data)

    def full(self, frames: int) -> bool:
        """Whether a part ends after so many frames of the whole."""
        return frames % FRAMES == 0

    def close(self, frames: int, state: Mapping[str, Any]) -> None:
        """End a part: first its messages, then the memory after it."""
        if frames == self.done:  # what passed through after the last frame belongs to none
            self.release()
            return
        self._open().finish()
        assert self._stream is not None
        self._stream.close()
        self._unfinished().replace(self._path("mcap"))
        text = json.dumps({"frames": frames, "state": state}, allow_nan=False)
        write_text(text, self._path("json"))
        self._names.append(self._path("mcap"))
        self.done, self._writer, self._stream = frames, None, None

    def release(self) -> None:
        """Close and forget the part that is not ended, and the folder where there is no other."""
        if self._stream is not None:
            self._stream.close()
            self._unfinished().unlink(missing_ok=True)
        self._writer, self._stream = None, None
        if not self._names:
            _remove(self.folder)

    def finish(self) -> int:
        """Make the output of the parts, and remove them; how many messages it has."""
        with replacing(self.out) as unfinished, unfinished.open("wb") as stream:
            count = join(self._names, stream)
        _remove(self.folder)
        return count

    def _open(self) -> GraphWriter:
        if self._writer is None:
            try:
                self._unfinished().unlink(missing_ok=True)
                self._stream = self._unfinished().open("xb")
            except OSError as error:
                raise FileError(
                    self._unfinished(), f"cannot be written ({first_line(error)})"
                ) from error
            self._writer = GraphWriter(self._stream, only_ros2=self.only_ros2)
        return self._writer

    def _path(self, ending: str) -> Path:
        return self.folder / f"part-{len(self._names):06d}.{ending}"

    def _unfinished(self) -> Path:
        return self._path("mcap").with_suffix(".unfinished")


def _remove(folder: Path) -> None:
    """Remove the parts, and last what tells whose they are; what is not ours stays."""
    ours = [file for file in folder.glob("*") if _OURS.fullmatch(file.name)]
    for file in sorted(ours, key=lambda file: file.name == _MANIFEST):
        file.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def _fingerprint(bag: Path) -> dict[str, Any]:
    """What tells a bag from another without reading all of it."""
    files = sorted(p for p in bag.iterdir() if p.is_file()) if bag.is_dir() else [bag]
    found = {}
    for file in files:
        with file.open("rb") as stream:
            digest = hashlib.sha256(stream.read(_SAMPLE))
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _SAMPLE))
            digest.update(stream.read(_SAMPLE))
        found[file.name] = [size, digest.hexdigest()]
    return found
