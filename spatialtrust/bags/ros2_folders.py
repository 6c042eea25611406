"""Folders of ROS 2 bags: ``metadata.yaml`` and the files that it names, one after the other."""

from __future__ import annotations

from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.bags import mcap_files, sqlite_files
from spatialtrust.bags.reading import MAX_RECORD, SECOND, Lost, Message, Summary, Topic
from spatialtrust.bags.unpacking import unpack
from spatialtrust.documents import loads_yaml, read_text
from spatialtrust.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spatialtrust.bags.reading import Scanned

_KINDS: Final = {".mcap": mcap_files, ".db3": sqlite_files}
_METADATA: Final = "metadata.yaml"
_GIVE: Final = "give the folder that ros2 bag record made, or one of its files"


def opened(folder: Path) -> tuple[str, Callable[[], Iterator[Scanned]], Summary | None]:
    """Form, scan and summary of a folder; the summary is None where a file has no whole index.

    Raises
    ------
    FileError: there is no file of a bag in it, or its files are compressed as wholes.
    """
    about = _metadata(folder)
    files, missing = _files(folder, about)
    if not files:
        also = f"; those that {_METADATA} names are not there" if missing else ""
        raise FileError(folder, f"holds no .mcap or .db3 file{also}", _GIVE)
    packed = str(about.get("compression_mode", "")).lower() == "message"
    form = "ROS 2 bag (sqlite3)" if files[0].suffix == ".db3" else "ROS 2 bag (MCAP)"
    summaries = [_KINDS[file.suffix].summarise(file) for file in files]
    whole = not missing and all(summary is not None for summary in summaries)
    scan_all = partial(_scan, files, missing, _end(about), packed=packed)
    return form, scan_all, _joined([s for s in summaries if s is not None]) if whole else None


def _scan(
    files: list[Path], missing: list[str], end: int | None, *, packed: bool
) -> Iterator[Scanned]:
    """All files; what is lost of the last one is known from the metadata."""
    last: int | None = None
    for name in missing:
        yield Lost(f"{name} is missing")
    for place, file in enumerate(files):
        for found in _KINDS[file.suffix].scan(file):
            if isinstance(found, Message):
                last = found.log_time if last is None else max(last, found.log_time)
                if packed:
                    try:
                        yield found._replace(data=unpack(found.data, "zstd"))
                    except ValueError as error:
                        yield Lost(f"{file.name}: a message is damaged ({error})", 0.0, exact=True)
                    continue
            elif isinstance(found, Lost):
                known = end is not None and last is not None and place == len(files) - 1
                if known and found.why.startswith("it breaks off"):
                    assert end is not None
                    assert last is not None
                    why = f"{file.name}: {found.why.split('; what followed')[0]}"
                    yield Lost(f"{why}; by {_METADATA}", max(0, end - last) / SECOND, exact=True)
                    continue
                yield found._replace(why=f"{file.name}: {found.why}")
                continue
            yield found


def _metadata(folder: Path) -> dict[str, Any]:
    """What ``metadata.yaml`` says; nothing where it is missing or makes no sense."""
    path = folder / _METADATA
    if not path.is_file() or path.stat().st_size > MAX_RECORD >> 4:
        return {}
    try:
        found = loads_yaml(read_text(path, MAX_RECORD >> 4))
    except ValueError:
        return {}
    about = found.get("rosbag2_bagfile_information") if isinstance(found, dict) else None
    return about if isinstance(about, dict) else {}


def _files(folder: Path, about: dict[str, Any]) -> tuple[list[Path], list[str]]:
    """The files of a bag, and the names of those that are missing; names never leave the folder."""
    listed = about.get("relative_file_paths")
    if not isinstance(listed, list):
        return sorted(p for p in folder.iterdir() if p.suffix in _KINDS and p.is_file()), []
    names = [PurePosixPath(str(name)).name for name in listed]
    if any(name.endswith((".zstd", ".zst")) for name in names):
        raise FileError(
            folder,
            "its files are compressed as wholes",
            "unpack them (zstd -d *.zstd, or ros2 bag convert), and give one of the files",
        )
    files = [folder / name for name in names]
    there = [file for file in files if file.is_file() and file.suffix in _KINDS]
    return there, [file.name for file in files if not file.is_file()]


def _end(about: dict[str, Any]) -> int | None:
    try:
        start = int(about["starting_time"]["nanoseconds_since_epoch"])
        return start + int(about["duration"]["nanoseconds"])
    except (KeyError, TypeError, ValueError):
        return None


def _joined(parts: list[Summary]) -> Summary:
    topics: dict[str, Topic] = {}
    counts: dict[str, int] = {}
    for part in parts:
        topics |= {name: topic for name, topic in part.topics.items() if name not in topics}
        for name, count in part.counts.items():
            counts[name] = counts.get(name, 0) + count
    starts = [part.start for part in parts if part.start is not None]
    ends = [part.end for part in parts if part.end is not None]
    return Summary(topics, counts, min(starts, default=None), max(ends, default=None))
