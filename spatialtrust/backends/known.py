"""What is known of a text is not worked out again, whatever pictures it is asked of."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from numpy.typing import NDArray

_K = TypeVar("_K", bound="Hashable")
_V = TypeVar("_V")

Tokens = tuple[int, ...]
"""Token ids of a text."""

_KEPT: Final = 20_000
"""Results that are kept: texts of twenty tokens take about 10 MB."""


class Known(Generic[_K, _V]):
    """A function of many items at once that sees each item once.

    >>> seen = []
    >>> lengths = Known(lambda words: [seen.append(word) or len(word) for word in words])
    >>> lengths(["mug", "cup", "mug"]), lengths(["cup", "kettle"]), seen
    ([3, 3, 3], [3, 6], ['mug', 'cup', 'kettle'])
    """

    def __init__(self, work: Callable[[list[_K]], Sequence[_V]]) -> None:
        self._work = work
        self._kept: OrderedDict[_K, _V] = OrderedDict()

    def __call__(self, items: Sequence[_K]) -> list[_V]:
        """The result of each item."""
        new = [item for item in dict.fromkeys(items) if item not in self._kept]
        if new:
            self._kept.update(zip(new, self._work(new), strict=True))
        found = [self._kept[item] for item in items]
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found


def numbered(items: Sequence[_K]) -> tuple[list[_K], NDArray[np.int64]]:
    """The distinct items, and which of them each item is.

    >>> distinct, which = numbered(["mug", "cup", "mug"])
    >>> distinct, which.tolist()
    (['mug', 'cup'], [0, 1, 0])
    """
    place: dict[_K, int] = {}
    which = [place.setdefault(item, len(place)) for item in items]
    return list(place), np.array(which, dtype=np.int64)


def tokenized(tokenizer: Any, texts: list[str]) -> list[Tokens]:
    """The token ids of texts, not padded."""
    return [tuple(ids) for ids in tokenizer(texts)["input_ids"]]
