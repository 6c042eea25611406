"""Pictures on their way through a model's eyes: remembered, prepared ahead, encoded in batches.

While a model looks at some pictures, or answers what is asked of them, threads prepare the next
ones. A picture that cannot be prepared or encoded gets a status; the others are seen.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from spatialtrust.backends.ahead import ahead
from spatialtrust.backends.batching import reason
from spatialtrust.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from spatialtrust.arrays import Pixels
    from spatialtrust.backends.asks import Picture
    from spatialtrust.backends.batching import Budget

logger = logging.getLogger(__name__)

_PASSES: Final = 4
"""Vision passes whose pictures are asked about together."""
_AT_ONCE: Final = 16
"""Pictures that keep a GPU busy; with more, more would wait to be prepared before a pass."""


class Memory:
    """The features of the pictures seen last, so that a later call need not encode them again."""

    def __init__(self, capacity: int = 256 << 20) -> None:
        self.capacity = capacity
        self.size = 0
        self._kept: OrderedDict[bytes, Any] = OrderedDict()

    def get(self, key: bytes) -> Any | None:
        """What was kept under a key, if it still is."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: bytes, features: Any) -> None:
        """Keep, and forget the oldest beyond the capacity."""
        self._kept[key] = features
        self.size += features.nbytes
        while self.size > self.capacity:
            _, oldest = self._kept.popitem(last=False)
            self.size -= oldest.nbytes


class Eyes(Protocol):
    """What looks at pictures: the half of a ``Reader`` that knows no texts."""

    @property
    def picture_cost(self) -> float:
        """Bytes of activations that one picture takes."""
        ...

    @property
    def preparers(self) -> int:
        """Threads that prepare pictures while the model runs; 0: none."""
        ...

    def prepare(self, pixels: Pixels) -> Any:
        """A picture as :meth:`encode` takes it; no part of the model runs. Called on threads."""
        ...

    def encode(self, prepared: Sequence[Any]) -> Sequence[Any]:
        """One vision pass over prepared pictures; what is kept of each, with its ``nbytes``."""
        ...


def look(
    pictures: Sequence[Picture], eyes: Eyes, budget: Budget, memory: Memory
) -> Iterator[Sequence[Picture]]:
    """Windows of pictures with their features, in order; the rest is prepared meanwhile.

    Features are dropped when the next window is asked for.

    Raises
    ------
    BackendError: the model is gone.
    """
    for picture in pictures:
        picture.features = memory.get(picture.key)
    new = [picture for picture in pictures if picture.features is None]
    prepared = _prepared([picture.pixels for picture in new], eyes, budget)
    size = _PASSES * _at_once(eyes, budget)
    for start in range(0, len(pictures), size):
        window = pictures[start : start + size]
        unseen = [picture for picture in window if picture.features is None]
        for picture, found in zip(
            unseen, _encoded(len(unseen), prepared, eyes, budget), strict=True
        ):
            if isinstance(found, Failure):
                picture.status = found.status
            else:
                picture.features = found
                memory.put(picture.key, found)
        yield window
        for picture in window:
            picture.features = None


def embed(images: Sequence[Pixels], eyes: Eyes, budget: Budget, who: str) -> list[Any]:
    """Features of each image.

    Raises
    ------
    BackendError: an image cannot be embedded; ``who`` says so.
    """
    prepared = _prepared([partial(_same, image) for image in images], eyes, budget)
    found = _encoded(len(images), prepared, eyes, budget)
    for place, features in enumerate(found):
        if isinstance(features, Failure):
            raise BackendError(f"{who}: image {place} has no embedding: {features.status}")
    return found


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture that could not be prepared or encoded, and why."""

    status: str


def _prepared(
    drawn: Sequence[Callable[[], Pixels]], eyes: Eyes, budget: Budget
) -> Iterator[Any | Failure]:
    """Pictures as they are encoded, in order, as many ahead as two passes take."""

    def prepare(draw: Callable[[], Pixels]) -> Any | Failure:
        try:
            return eyes.prepare(draw())
        except BackendError:
            raise
        except Exception as error:  # whatever PIL or NumPy make of a broken array
            logger.error("one picture cannot be prepared and is left out: %s", error)
            return Failure(reason(error))

    count = eyes.preparers if len(drawn) > 1 else 0
    return ahead(prepare, drawn, count, 2 * _at_once(eyes, budget))


def _encoded(
    count: int, prepared: Iterator[Any | Failure], eyes: Eyes, budget: Budget
) -> list[Any | Failure]:
    """What is kept of the next so many pictures."""
    ready: list[Any | Failure] = []
    found: list[Any | Failure] = [None] * count

    def forward(places: list[int]) -> None:
        while len(ready) <= places[-1]:
            ready.append(next(prepared))
        usable = [place for place in places if not isinstance(ready[place], Failure)]
        encoded = eyes.encode([ready[place] for place in usable]) if usable else []
        for place in places:
            found[place], ready[place] = ready[place], None
        for place, features in zip(usable, encoded, strict=True):
            found[place] = features

    cost = max(eyes.picture_cost, budget.memory / _AT_ONCE)
    for place, status in budget.run([cost] * count, forward).items():
        found[place] = Failure(status)
    return found


def _at_once(eyes: Eyes, budget: Budget) -> int:
    """Pictures that one pass encodes."""
    return min(max(1, int(budget.memory // eyes.picture_cost)), _AT_ONCE)


def _same(image: Pixels) -> Pixels:
    return image
