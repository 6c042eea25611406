"""Bags of any kind, read one message after the other: ROS 1, ROS 2 (sqlite3, MCAP), plain MCAP.

Every kind is a scan: topics as they turn up, messages in the order in which they were written, and
what was lost. A bag of any length is read in bounded memory, and one that breaks off is read as far
as it is whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from spatialtrust.errors import InputError, MissingDependencyError, suggest
from spatialtrust.io.names import few, plain_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

SECOND: Final = 1_000_000_000
"""Nanoseconds."""

MAX_RECORD: Final = 256 << 20
"""Bytes of the largest message or chunk that is read; a larger one is damaged, or a bomb."""


class Topic(NamedTuple):
    """One topic of a bag.

    Attributes
    ----------
    name: as recorded.
    type: such as ``sensor_msgs/msg/Image``; empty where the bag does not say.
    encoding: of its messages: ``cdr``, ``ros1``, ``json`` or another.
    language: of its definition: ``ros2msg``, ``ros2idl``, ``ros1msg``, ``jsonschema`` or none.
    definition: of its type; empty where the bag holds none.
    """

    name: str
    type: str
    encoding: str
    language: str = ""
    definition: bytes = b""


class Message(NamedTuple):
    """One message: its topic, when it was recorded (ns), and its bytes."""

    topic: str
    log_time: int
    data: bytes


class Lost(NamedTuple):
    """A part of a bag that cannot be read.

    Attributes
    ----------
    why: what is wrong, in words.
    seconds: how much of the recording is lost; None: the bag does not tell.
    exact: False: about so much, or at least.
    least: at least so much: what followed is not known.
    """

    why: str
    seconds: float | None = None
    exact: bool = False
    least: bool = False


Scanned = Topic | Message | Lost


class Summary(NamedTuple):
    """What an index says of a bag without reading it.

    Attributes
    ----------
    topics: by name.
    counts: messages by topic.
    start, end: ns of the first and the last message; None: there is none.
    """

    topics: dict[str, Topic]
    counts: dict[str, int]
    start: int | None
    end: int | None


@dataclass
class Bag:
    """An opened bag.

    Attributes
    ----------
    path, form: the file or folder, and what kind it is, in words.
    summary: from its index, or from one reading of all of it.
    indexed: False: it had no usable index.
    lost: what cannot be read; grows while messages are read.
    """

    path: Path
    form: str
    scan: Callable[[], Iterator[Scanned]] = field(repr=False)
    summary: Summary
    indexed: bool
    lost: list[Lost]

    @property
    def topics(self) -> Mapping[str, Topic]:
        """Topics by name."""
        return self.summary.topics

    @property
    def seconds(self) -> float:
        """From the first message to the last."""
        start, end = self.summary.start, self.summary.end
        return 0.0 if start is None or end is None else (end - start) / SECOND

    def topic(self, name: str) -> Topic:
        """One topic.

        Raises
        ------
        InputError: there is none of this name; those there are are listed.
        """
        found = self.topics.get(name) or self.topics.get(f"/{name}")
        if found is None:
            listed = ", ".join(plain_name(topic) for topic in sorted(self.topics)[:_LISTED])
            more = len(self.topics) - _LISTED
            also = f" and {more} more (spatialtrust bag info)" if more > 0 else ""
            raise InputError(
                f'{self.path}: there is no topic "{plain_name(name)}"; '
                f"{suggest(name, self.topics)}topics: {listed or 'none'}{also}"
            )
        return found

    def messages(self, names: Collection[str]) -> Iterator[Message]:
        """Messages of some topics in the order in which they were written."""
        wanted, lost = set(names), []
        for found in self.scan():
            if isinstance(found, Message):
                if found.topic in wanted:
                    yield found
            elif isinstance(found, Lost):
                lost.append(found)
        self.lost[:] = lost


_LISTED: Final = 30


def read_through(scan: Callable[[], Iterator[Scanned]]) -> tuple[Summary, list[Lost]]:
    """What a bag without an index holds: all of it is read once."""
    topics: dict[str, Topic] = {}
    counts: dict[str, int] = {}
    start: int | None = None
    end: int | None = None
    lost = []
    for found in scan():
        if isinstance(found, Topic):
            topics.setdefault(found.name, found)
        elif isinstance(found, Message):
            counts[found.topic] = counts.get(found.topic, 0) + 1
            start = found.log_time if start is None else min(start, found.log_time)
            end = found.log_time if end is None else max(end, found.log_time)
        else:
            lost.append(found)
    return Summary(topics, counts, start, end), lost


def in_words(bag: Bag) -> list[str]:
    """What a reader should know of a bag: that it has no index, and what is lost of it."""
    said = []
    if not bag.indexed:
        said.append(f"{bag.path}: has no usable index; all of it was read once")
    whole = f"what is whole, {bag.seconds:.1f} s, is used"
    for lost in bag.lost[:_LISTED]:
        amount = "how much time that is, the bag does not say"
        if lost.seconds is not None:
            about = "" if lost.exact else "at least " if lost.least else "about "
            amount = f"{about}{lost.seconds:.1f} s are lost"
        said.append(f"{bag.path}: {lost.why}; {amount}; {whole}")
    if len(bag.lost) > _LISTED:
        said.append(f"{bag.path}: ... and {len(bag.lost) - _LISTED} more parts are lost")
    return said


def needs(package: str) -> MissingDependencyError:
    """The error of a package that is not installed."""
    return MissingDependencyError(package, extra="ros", purpose="reading and writing bags")


def listed(names: Collection[str]) -> str:
    """The first of some names, in characters that can be printed."""
    return few(plain_name(name) for name in names)
