"""Work done a little ahead of where its results are used: pictures prepared while a model runs."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

_T = TypeVar("_T")
_R = TypeVar("_R")


def ahead(work: Callable[[_T], _R], items: Iterable[_T], threads: int) -> Iterator[_R]:
    """Results in the order of their items; up to twice as many as threads wait to be used.

    Parameters
    ----------
    threads: 1 or fewer: each result is made when it is asked for.

    >>> list(ahead(len, ["a", "bcd", ""], threads=2))
    [1, 3, 0]
    """
    if threads <= 1:
        yield from map(work, items)
        return
    waiting: deque[Future[_R]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
