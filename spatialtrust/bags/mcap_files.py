"""MCAP files: the index by the ``mcap`` package, messages by a scan that survives damage.

Source: the MCAP specification, https://mcap.dev/spec (records, chunks, footer).
"""

from __future__ import annotations

import struct
import zlib
from functools import partial
from typing import TYPE_CHECKING, Final

from spatialtrust.bags.reading import MAX_RECORD, SECOND, Lost, Message, Summary, Topic, needs
from spatialtrust.bags.unpacking import unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from spatialtrust.bags.reading import Scanned

_RECORD: Final = struct.Struct("<BQ")
_CHUNK: Final = struct.Struct("<QQQI")
_MESSAGE: Final = struct.Struct("<HIQQ")
_MAGIC: Final = 8
_BEGIN: Final = b"\x89MCAP0\r\n"
"""Of a file, and its end."""
_SCHEMA, _CHANNEL, _DATA, _CHUNK_CODE, _DATA_END, _FOOTER = 0x03, 0x04, 0x05, 0x06, 0x0F, 0x02


def opened(path: Path) -> tuple[str, Callable[[], Iterator[Scanned]], Summary | None]:
    """Form, scan and summary of a file; the summary is None where there is no whole index."""
    return "MCAP", partial(scan, path), summarise(path)


def summarise(path: Path) -> Summary | None:
    """What the index says; None where there is none, or it is damaged."""
    try:
        from mcap.exceptions import McapError
        from mcap.reader import SeekingReader
    except ImportError as error:
        raise needs("mcap") from error
    try:
        with path.open("rb") as stream:
            found = SeekingReader(stream, record_size_limit=MAX_RECORD).get_summary()
    except (McapError, ValueError, OSError, EOFError, struct.error, MemoryError, KeyError):
        return None
    if found is None or found.statistics is None or not (found.channels or not found.chunk_indexes):
        return None
    topics: dict[str, Topic] = {}
    counts: dict[str, int] = {}
    for number, channel in found.channels.items():
        schema = found.schemas.get(channel.schema_id)
        name, language, data = ("", "", b"")
        if schema is not None:
            name, language, data = schema.name, schema.encoding, schema.data
        topics.setdefault(
            channel.topic, Topic(channel.topic, name, channel.message_encoding, language, data)
        )
        told = found.statistics.channel_message_counts.get(number, 0)
        counts[channel.topic] = counts.get(channel.topic, 0) + told
    none = not found.statistics.message_count
    start, end = found.statistics.message_start_time, found.statistics.message_end_time
    return Summary(topics, counts, None if none else start, None if none else end)


def scan(path: Path) -> Iterator[Scanned]:
    """Topics, messages and losses, from the first record to the last that is whole."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(_MAGIC)
        state = _Channels()
        while True:
            at = stream.tell()
            head = stream.read(_RECORD.size)
            if len(head) < _RECORD.size:
                yield Lost(f"it breaks off at byte {at:,}")
                return
            code, length = _RECORD.unpack(head)
            if code in (_DATA_END, _FOOTER):
                stream.seek(max(0, size - _MAGIC))
                if not stream.read(_MAGIC).startswith(_BEGIN):
                    yield Lost("it breaks off within its index", 0.0, exact=True)
                return
            if length > MAX_RECORD and at + length <= size:
                yield Lost(f"the record at byte {at:,} is of {length:,} bytes: damaged")
                return
            if code not in (_SCHEMA, _CHANNEL, _DATA, _CHUNK_CODE):
                if at + _RECORD.size + length > size or not 0 < code < 0x80:
                    yield Lost(f"it breaks off, or is damaged, at byte {at:,}")
                    return
                stream.seek(length, 1)
                continue
            body = stream.read(min(length, MAX_RECORD))
            whole = len(body) == length
            if code == _CHUNK_CODE:
                yield from _chunk(body, state, at, whole=whole)
            elif whole:
                yield from _record(code, body, state)
            if not whole:
                if code != _CHUNK_CODE:
                    yield Lost(f"it breaks off within the record at byte {at:,}")
                return


class _Channels:
    """Schemas and channels so far, by number."""

    def __init__(self) -> None:
        self.schemas: dict[int, tuple[str, str, bytes]] = {}
        self.topics: dict[int, str] = {}


def _chunk(body: bytes, state: _Channels, at: int, *, whole: bool) -> Iterator[Scanned]:
    """The records of a chunk; what of it is lost is known from its header."""
    try:
        start, end, unpacked, crc = _CHUNK.unpack_from(body)
        compression, place = _text(body, _CHUNK.size)
        records = body[place + 8 :]
    except (struct.error, ValueError):
        yield Lost(f"it breaks off within the head of the chunk at byte {at:,}")
        return
    where = f"the chunk at byte {at:,}"
    try:
        if unpacked > MAX_RECORD:
            raise ValueError(f"says that it unpacks to {unpacked:,} bytes")
        data = unpack(records, compression)
        if whole and (len(data) != unpacked or (crc and zlib.crc32(data) != crc)):
            raise ValueError("does not match its checksum")
    except ValueError as error:
        told = f"{where} is damaged: {error}" if whole else f"it breaks off within {where}"
        yield Lost(told, max(0, end - start) / SECOND, exact=whole, least=not whole)
        return
    last, place = start, 0
    while place + _RECORD.size <= len(data):
        code, length = _RECORD.unpack_from(data, place)
        place += _RECORD.size
        if place + length > len(data):
            break
        for found in _record(code, data[place : place + length], state):
            if isinstance(found, Message):
                last = max(last, found.log_time)
            yield found
        place += length
    if not whole:
        why = f"it breaks off at byte {at + _RECORD.size + len(body):,}, within {where}"
        why += "; what followed this chunk the file does not say"
        yield Lost(why, max(0, end - last) / SECOND, least=True)


def _record(code: int, body: bytes, state: _Channels) -> Iterator[Scanned]:
    """A schema, channel or message; one that makes no sense is passed over and said."""
    try:
        if code == _DATA:
            channel, _, log_time, _ = _MESSAGE.unpack_from(body)
            if channel in state.topics:
                yield Message(state.topics[channel], log_time, body[_MESSAGE.size :])
        elif code == _SCHEMA:
            (number,) = struct.unpack_from("<H", body)
            name, place = _text(body, 2)
            language, place = _text(body, place)
            (length,) = struct.unpack_from("<I", body, place)
            state.schemas[number] = (name, language, body[place + 4 : place + 4 + length])
        elif code == _CHANNEL:
            number, schema = struct.unpack_from("<HH", body)
            topic, place = _text(body, 4)
            encoding, _ = _text(body, place)
            name, language, definition = state.schemas.get(schema, ("", "", b""))
            if number not in state.topics:
                state.topics[number] = topic
                yield Topic(topic, name, encoding, language, definition)
    except (struct.error, ValueError) as error:
        yield Lost(f"a record of kind {code} cannot be read ({error})", 0.0, exact=True)


def _text(body: bytes, place: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<I", body, place)
    end = place + 4 + length
    if end > len(body):
        raise ValueError("a text reaches beyond its record")
    return body[place + 4 : end].decode("utf-8", "replace"), end
