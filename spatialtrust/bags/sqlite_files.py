"""The sqlite3 files of ROS 2 bags, read row by row in the order in which they were written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from spatialtrust.bags.reading import Lost, Message, Summary, Topic
from spatialtrust.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from spatialtrust.bags.reading import Scanned

_SOUND: Final = "FROM messages WHERE typeof(timestamp) = 'integer' AND typeof(data) = 'blob'"
"""A cell of sqlite may hold a value of any type, whatever its column says."""
_COUNTED: Final = "topic_id, COUNT(*), MIN(timestamp), MAX(timestamp)"
_LANGUAGE: Final = {"ros2msg": "ros2msg", "ros2idl": "ros2idl"}


def opened(path: Path) -> tuple[str, Callable[[], Iterator[Scanned]], Summary | None]:
    """Form, scan and summary of a file; the summary is None where it cannot be counted."""
    return "ROS 2 bag (sqlite3)", partial(scan, path), summarise(path)


def summarise(path: Path) -> Summary | None:
    """Counts by topic, and first and last time; None where the file is damaged."""
    try:
        with closing(_connected(path)) as file:
            topics = _topics(file)
            if file.execute("PRAGMA writable_schema").fetchone()[0]:
                return None  # it breaks off
            counted = f"SELECT {_COUNTED} {_SOUND} GROUP BY topic_id"
            rows = file.execute(counted).fetchall()
    except (sqlite3.Error, UnicodeDecodeError):
        return None
    known = {topics[number].name: count for number, count, _, _ in rows if number in topics}
    return Summary(
        {topic.name: topic for topic in topics.values()},
        known,
        min((row[2] for row in rows), default=None),
        max((row[3] for row in rows), default=None),
    )


def scan(path: Path) -> Iterator[Scanned]:
    """Topics, messages, and what is lost of a file that breaks off."""
    try:
        with closing(_connected(path)) as file:
            topics = _topics(file)
            yield from topics.values()
            query = f"SELECT topic_id, timestamp, data {_SOUND} ORDER BY id"
            sound = 0
            for number, log_time, data in file.execute(query):
                sound += 1
                if number in topics:
                    yield Message(topics[number].name, log_time, data)
            odd = file.execute("SELECT COUNT(*) FROM messages").fetchone()[0] - sound
            if odd:
                yield Lost(f"{odd} of its messages have no time, or no bytes")
    except (sqlite3.Error, UnicodeDecodeError) as error:
        yield Lost(f"it breaks off, or is damaged ({error})")


def _connected(path: Path) -> sqlite3.Connection:
    """Read only; a file on a medium that cannot be written to is opened as it is.

    A file that is shorter than its head says is refused by sqlite, unless the schema is writable.
    """
    name = quote(str(path.resolve()))
    try:
        file = sqlite3.connect(f"file:{name}?mode=ro", uri=True)
        file.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    except sqlite3.OperationalError:
        file = sqlite3.connect(f"file:{name}?mode=ro&immutable=1", uri=True)
    except sqlite3.DatabaseError:
        file = sqlite3.connect(f"file:{name}?mode=ro&immutable=1", uri=True)
        file.execute("PRAGMA writable_schema=ON")
    return file


def _topics(file: sqlite3.Connection) -> dict[int, Topic]:
    definitions: dict[str, tuple[str, bytes]] = {}
    tables = {row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    if not {"topics", "messages"} <= tables:
        raise FileError(
            _name(file), "is no ROS 2 bag: it has no tables topics and messages", "give a bag"
        )
    if "message_definitions" in tables:
        for kind, language, text in file.execute(
            "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
        ):
            definitions[kind] = (_LANGUAGE.get(language, ""), str(text).encode())
    return {
        number: Topic(name, kind, form, *definitions.get(kind, ("", b"")))
        for number, name, kind, form in file.execute(
            "SELECT id, name, type, serialization_format FROM topics WHERE typeof(id) = 'integer' "
            "AND typeof(name) = 'text' AND typeof(type) = 'text' "
            "AND typeof(serialization_format) = 'text'"
        )
    }


def _name(file: sqlite3.Connection) -> str:
    return str(file.execute("PRAGMA database_list").fetchone()[2])
