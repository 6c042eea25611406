"""ROS 1 bags (format 2.0): the index by ``rosbags``, messages by a scan that needs none.

Source: the format's description, http://wiki.ros.org/Bags/Format/2.0.
"""

from __future__ import annotations

import struct
from functools import partial
from typing import TYPE_CHECKING, Final

from spatialtrust.bags.reading import MAX_RECORD, SECOND, Lost, Message, Summary, Topic, needs
from spatialtrust.bags.unpacking import unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from spatialtrust.bags.reading import Scanned

_MESSAGE, _BAG, _CHUNK, _CONNECTION = 2, 3, 5, 7
_HEAD: Final = 1 << 20
"""Bytes of the largest head of a record that is believed."""


def opened(path: Path) -> tuple[str, Callable[[], Iterator[Scanned]], Summary | None]:
    """Form, scan and summary of a file; the summary is None where there is no whole index."""
    return "ROS 1 bag", partial(scan, path), summarise(path)


def summarise(path: Path) -> Summary | None:
    """What the index says; None where there is none, or it is damaged."""
    try:
        from rosbags.rosbag1 import Reader
    except ImportError as error:
        raise needs("rosbags") from error
    reader = Reader(path)
    try:
        reader.open()
        topics: dict[str, Topic] = {}
        counts: dict[str, int] = {}
        for found in reader.connections:
            counts[found.topic] = counts.get(found.topic, 0) + found.msgcount
            definition = found.msgdef.data.encode()
            topics.setdefault(
                found.topic, Topic(found.topic, found.msgtype, "ros1", "ros1msg", definition)
            )
        none = not reader.message_count
        start, end = (None, None) if none else (reader.start_time, reader.end_time - 1)
        reader.close()
    except Exception:
        return None
    return Summary(topics, counts, start, end)


def scan(path: Path) -> Iterator[Scanned]:
    """Topics, messages and losses, from the first record to the last that is whole."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        stream.readline(64)
        topics: dict[int, str] = {}
        index_at, first, last = 0, None, None
        while True:
            at = stream.tell()
            head = _head(stream)
            if head is None:
                if at < size or at < index_at:
                    yield _broken(at, size, index_at, first, last)
                return
            code = head.get("op", b"\0")[0]
            (length,) = _unpacked("<I", stream.read(4), 0)
            if code == _BAG:
                (index_at,) = _unpacked("<Q", head.get("index_pos", b""), 0)
            wanted = code in (_CHUNK, _CONNECTION, _MESSAGE)
            if not wanted:
                stream.seek(length, 1)
                continue
            body = stream.read(min(length, MAX_RECORD))
            found: Iterator[Scanned]
            if code == _CHUNK:
                found = _chunk(head, body, topics, at)
            else:
                found = _record(code, head, body, topics)
            for item in found:
                if isinstance(item, Message):
                    first = item.log_time if first is None else first
                    last = item.log_time
                yield item
            if len(body) < length:
                yield _broken(at, size, index_at, first, last)
                return


def _broken(at: int, size: int, index_at: int, first: int | None, last: int | None) -> Lost:
    """What is lost of a bag that ends before its index: by its bytes a second so far."""
    why = f"it breaks off at byte {size:,}, within the record at byte {at:,}"
    missing = index_at - size
    if index_at == 0:
        return Lost(f"{why}; it was never closed")
    if missing <= 0:
        return Lost(f"{why}, within its index", 0.0, exact=True)
    if first is None or last is None or last <= first:
        return Lost(why)
    why = f"{why}; {missing:,} bytes are missing, by the rate so far"
    return Lost(why, missing / size * (last - first) / SECOND)


def _chunk(
    head: dict[str, bytes], body: bytes, topics: dict[int, str], at: int
) -> Iterator[Scanned]:
    compression = head.get("compression", b"none").decode("ascii", "replace")
    try:
        (unpacked,) = _unpacked("<I", head.get("size", b""), 0)
        if unpacked > MAX_RECORD:
            raise ValueError(f"it says that it unpacks to {unpacked:,} bytes")
        data = unpack(body, compression)
    except ValueError as error:
        yield Lost(f"the chunk at byte {at:,} is damaged: {error}")
        return
    place = 0
    while (found := _inner(data, place)) is not None:
        inner, record, place = found
        yield from _record(inner.get("op", b"\0")[0], inner, record, topics)


def _inner(data: bytes, place: int) -> tuple[dict[str, bytes], bytes, int] | None:
    """The next record of a chunk: head, body, and where it ends; None: no whole one is left."""
    if place + 4 > len(data):
        return None
    (length,) = struct.unpack_from("<I", data, place)
    start = place + 4 + length
    if start + 4 > len(data):
        return None
    (size,) = struct.unpack_from("<I", data, start)
    end = start + 4 + size
    if end > len(data):
        return None
    return _fields(data[place + 4 : start]), data[start + 4 : end], end


def _record(
    code: int, head: dict[str, bytes], body: bytes, topics: dict[int, str]
) -> Iterator[Scanned]:
    (number,) = _unpacked("<I", head.get("conn", b""), 0xFFFFFFFF)
    if code == _CONNECTION and number not in topics:
        about = _fields(body)
        name = head.get("topic", b"").decode("utf-8", "replace")
        topics[number] = name
        kind = about.get("type", b"").decode("utf-8", "replace")
        package, _, short = kind.partition("/")
        full = f"{package}/msg/{short}" if short and "/" not in short else kind
        yield Topic(name, full, "ros1", "ros1msg", about.get("message_definition", b""))
    elif code == _MESSAGE and number in topics:
        seconds, nanoseconds = _unpacked("<II", head.get("time", b""), 0)
        yield Message(topics[number], seconds * SECOND + nanoseconds, body)


def _head(stream: BinaryIO) -> dict[str, bytes] | None:
    """The fields of the next record's head; None at the end, or where none makes sense."""
    start = stream.read(4)
    if len(start) < 4:
        return None
    (length,) = struct.unpack("<I", start)
    if length > _HEAD:
        return None
    body = stream.read(length)
    fields = _fields(body) if len(body) == length else {}
    return fields if fields.get("op") else None


def _fields(body: bytes) -> dict[str, bytes]:
    """Names and values of a head; what does not fit is left out."""
    found = {}
    place = 0
    while place + 4 <= len(body):
        (length,) = struct.unpack_from("<I", body, place)
        name, equals, value = body[place + 4 : place + 4 + length].partition(b"=")
        if equals:
            found[name.decode("utf-8", "replace")] = value
        place += 4 + length
    return found


def _unpacked(form: str, body: bytes, default: int) -> tuple[int, ...]:
    size = struct.calcsize(form)
    if len(body) < size:
        return (default,) * len(form[1:])
    return struct.unpack_from(form, body)
