"""Frames of a camera topic, each with what other topics say at its stamp.

Messages of a bag come in the order in which they were recorded; what belongs to a picture may come
before or after it. Pictures wait a little, so that one reading in bounded memory is enough, and the
same bag always gives the same frames.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spatialtrust.bags.boxes import stamp_of
from spatialtrust.bags.decoding import decoder_of
from spatialtrust.bags.reading import SECOND, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from spatialtrust.bags.reading import Bag

log: Final = logging.getLogger("spatialtrust")

WAIT: Final = 1.0
"""Seconds of recording for which a picture waits for what belongs to it."""

JUMP: Final = 1.0
"""Seconds by which a stamp may go back and be out of order; more is a jump of the clock."""

LEAP: Final = 30.0
"""Seconds by which stamps may run ahead of the recording; more is a jump of the clock."""

NO_FRAME: Final = "messages beside that belong to no frame"

LATEST: Final = 2**31 * SECOND
"""Stamps of ROS 2 end here."""

_WAITING: Final = 32
_HELD: Final = 128
_BYTES: Final = 256 << 20
"""Of pictures that wait at the same time."""


class Taken(NamedTuple):
    """A frame that is to be used.

    Attributes
    ----------
    stamp, log_time: ns; of the picture's header, and of the recording.
    message: decoded.
    raw: as recorded.
    beside: topic to the decoded message at this stamp; a topic that has none is missing.
    latest: the last message of each topic that holds for all that follow.
    """

    stamp: int
    log_time: int
    message: Any
    raw: Message
    beside: dict[str, Any]
    latest: dict[str, Any]


@dataclass
class Matching:
    """What to take from a bag, and what was not taken, counted by reason.

    Attributes
    ----------
    bag: opened.
    main: topic of the frames.
    beside: topics matched by stamp.
    lasting: topics of which the last message holds.
    passing: topics whose messages go through as they are.
    every, seconds: every n-th frame; at least so many seconds apart.
    start, end: ns of the recording.
    tolerance: seconds between the stamps of what belongs together.
    """

    bag: Bag
    main: str
    beside: tuple[str, ...] = ()
    lasting: tuple[str, ...] = ()
    passing: tuple[str, ...] = ()
    every: int = 1
    seconds: float = 0.0
    start: int | None = None
    end: int | None = None
    tolerance: float = 0.02
    counts: Counter[str] = field(default_factory=Counter)
    _last: tuple[int, int] | None = None
    _taken: int | None = None
    _seen: int = 0

    def frames(self) -> Iterator[Taken | Message]:
        """Frames in order; messages of ``passing`` topics between them."""
        topics = {name: self.bag.topic(name) for name in self._names()}
        read: dict[str, Callable[[bytes], Any]] = {}
        for name in (self.main, *self.beside, *self.lasting):
            decoder = decoder_of(topics[name])
            read[name] = decoder.read
            if decoder.note:
                log.warning("%s", decoder.note)
        waiting: deque[Taken] = deque()
        held: dict[str, deque[tuple[int, Any]]] = {name: deque() for name in self.beside}
        latest: dict[str, Any] = {}
        for message in self.bag.messages(self._names()):
            if not self._within(message):
                continue
            if message.topic in self.passing:
                yield message
            if message.topic in read:
                self._sort_in(message, read, waiting, held, latest)
            while waiting and self._ready(waiting, held, message.log_time):
                yield self._matched(waiting.popleft(), held)
        while waiting:
            yield self._matched(waiting.popleft(), held)
        self._count_left(held)

    def _names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.main, *self.beside, *self.lasting, *self.passing)))

    def _within(self, message: Message) -> bool:
        """Whether it lies in the range; what goes with a picture may lie a little outside."""
        at, beyond = message.log_time, 0 if message.topic == self.main else int(WAIT * SECOND)
        early = self.start is not None and at < self.start - beyond
        return not (early or (self.end is not None and at > self.end + beyond))

    def _sort_in(
        self,
        message: Message,
        read: Mapping[str, Callable[[bytes], Any]],
        waiting: deque[Taken],
        held: Mapping[str, deque[tuple[int, Any]]],
        latest: dict[str, Any],
    ) -> None:
        try:
            found = read[message.topic](message.data)
        except Exception:
            self.counts[f"undecodable in {message.topic}"] += 1
            return
        if message.topic in self.lasting:
            latest[message.topic] = found
            return
        stamp = stamp_of(found)
        if isinstance(found, dict):
            stamp = _json_stamp(found)
        if stamp is None:
            self.counts[f"without a stamp in {message.topic}; the time of recording is used"] += 1
            stamp = message.log_time
        if message.topic in held:
            held[message.topic].append((stamp, found))
            while len(held[message.topic]) > _HELD:
                held[message.topic].popleft()
                self.counts[NO_FRAME] += 1
        elif self._wanted(stamp, message.log_time):
            waiting.append(Taken(stamp, message.log_time, found, message, {}, dict(latest)))

    def _wanted(self, stamp: int, log_time: int) -> bool:
        """Whether a frame is to be used; the clock is watched here."""
        self.counts["frames"] += 1
        if not 0 <= stamp < LATEST:
            self.counts["frames whose stamp lies beyond 2038, which ROS 2 cannot hold"] += 1
            return False
        if self._last is not None:
            step, passed = stamp - self._last[0], log_time - self._last[1]
            if step == 0:
                self.counts["frames with the stamp of the one before"] += 1
                return False
            if -JUMP * SECOND <= step < 0:
                self.counts["frames out of order"] += 1
                return False
            if step < 0 or step - max(passed, 0) > LEAP * SECOND:
                self.counts["jumps of the clock"] += 1
                self._taken = None
                log.warning(
                    "%s: the clock jumps by %+.3f s after %.3f s of the recording",
                    self.bag.path,
                    step / SECOND,
                    (self._last[1] - (self.bag.summary.start or 0)) / SECOND,
                )
        self._last = (stamp, log_time)
        self._seen += 1
        if (self._seen - 1) % self.every:
            return False
        if self._taken is not None and stamp - self._taken < self.seconds * SECOND:
            return False
        self._taken = stamp
        return True

    def _ready(
        self,
        waiting: deque[Taken],
        held: Mapping[str, deque[tuple[int, Any]]],
        log_time: int,
    ) -> bool:
        first = waiting[0]
        if all(any(stamp == first.stamp for stamp, _ in queue) for queue in held.values()):
            return True
        crowded = len(waiting) > _WAITING or len(waiting) * len(first.raw.data) > _BYTES
        return crowded or log_time - first.log_time > WAIT * SECOND

    def _matched(self, frame: Taken, held: Mapping[str, deque[tuple[int, Any]]]) -> Taken:
        """The frame with what lies nearest to its stamp; nothing is used twice."""
        for topic, queue in held.items():
            near = [(abs(stamp - frame.stamp), place) for place, (stamp, _) in enumerate(queue)]
            best = min(near, default=(None, 0))
            if best[0] is not None and best[0] <= self.tolerance * SECOND:
                frame.beside[topic] = queue[best[1]][1]
                del queue[best[1]]
        return frame

    def _count_left(self, held: Mapping[str, deque[tuple[int, Any]]]) -> None:
        left = sum(len(queue) for queue in held.values())
        if left:
            self.counts[NO_FRAME] += left


def _json_stamp(found: dict[str, Any]) -> int | None:
    """The stamp of a JSON message: ``{"sec", "nsec"}``, or seconds."""
    stamp = found.get("stamp")
    if isinstance(stamp, dict):
        try:
            return int(stamp["sec"]) * SECOND + int(stamp.get("nsec", 0))
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
    if isinstance(stamp, int | float) and not isinstance(stamp, bool) and 0 < stamp < 1e11:
        return round(stamp * SECOND)
    return None
