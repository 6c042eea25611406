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


def ahead(
    work: Callable[[_T], _R], items: Iterable[_T], threads: int, waiting: int = 0
) -> Iterator[_R]:
    """Results in the order of their items, some of them made before they are asked for.

    Parameters
    ----------
    threads: 0: each result is made when it is asked for.
    waiting: results that may wait to be used, if more than twice as many as threads.

    >>> list(ahead(len, ["a", "bcd", ""], threads=2))
    [1, 3, 0]
    """
    if threads <= 0:
        yield from map(work, items)
        return
    made: deque[Future[_R]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                made.append(pool.submit(work, item))
                if len(made) > max(waiting, 2 * threads):
                    yield made.popleft().result()
            while made:
                yield made.popleft().result()
        finally:
            for unused in made:
                unused.cancel()
