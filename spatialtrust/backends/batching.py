"""Batches that fit in memory and pad little, and what happens when one does not fit.

When a batch runs out of memory the budget is halved and the batch tried again in parts. When it
fails for another reason it is split until the item that fails stands alone. Items that fail alone
get a status; the others get their results.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from spatialtrust.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

OUT_OF_MEMORY: Final = "out_of_memory"
_PADDING: Final = 0.25
"""Share of a group that may be padding."""
_SMALL: Final = 1 / 16
"""Share of the memory below which a pass takes as long as a smaller one: it is all launches."""


class Budget:
    """How many bytes of activations one forward pass may take.

    >>> done = []
    >>> Budget(memory=10).run([4, 4, 4], done.append)
    {}
    >>> done
    [[0, 1], [2]]
    """

    def __init__(self, memory: float) -> None:
        self.memory = float(memory)

    def run(self, costs: Sequence[float], forward: Callable[[list[int]], None]) -> dict[int, str]:
        """Call ``forward`` on groups of items, in order, until all are done.

        Parameters
        ----------
        costs: bytes per item, as if every item of its group were padded to the largest.
        forward: computes the items at these places and keeps the results.

        Returns
        -------
        Place to status, of the items that failed.
        """
        failures: dict[int, str] = {}
        waiting = [list(range(len(costs)))]
        while waiting:
            group = self._first(waiting, costs)
            if not group:
                continue
            try:
                forward(group)
            except BackendError:
                raise  # the backend itself is gone: no smaller batch helps
            except Exception as error:
                full = exhausted(error)
                if len(group) == 1:
                    failures[group[0]] = reason(error)
                    logger.error("one item failed alone and is left out: %s", error)
                    continue
                if full:
                    self.memory = max(costs[place] for place in group) * len(group) / 2
                    logger.warning(
                        "out of memory with %d items; going on with at most %.0f MiB a batch",
                        len(group),
                        self.memory / 2**20,
                    )
                    _release()
                else:
                    logger.warning("a batch of %d failed and is split: %s", len(group), error)
                half = (len(group) + 1) // 2
                waiting += [group[half:], group[:half]]
        return failures

    def _first(self, waiting: list[list[int]], costs: Sequence[float]) -> list[int]:
        """The first items that fit together; what is left of them waits.

        A group also ends where more of it would be padding than is worth a pass.
        """
        places = waiting.pop()
        largest, together, count = 0.0, 0.0, 0
        for place in places:
            largest, together = max(largest, costs[place]), together + costs[place]
            whole = largest * (count + 1)
            worth = max(_PADDING * whole, _SMALL * self.memory)
            if count and (whole > self.memory or whole - together > worth):
                break
            count += 1
        if places[count:]:
            waiting.append(places[count:])
        return places[:count]


def reason(error: Exception) -> str:
    """The status of an item that failed.

    >>> reason(ValueError("bad pixels")), reason(MemoryError())
    ('failed: ValueError: bad pixels', 'out_of_memory')
    """
    return OUT_OF_MEMORY if exhausted(error) else f"failed: {type(error).__name__}: {error}"


def exhausted(error: Exception) -> bool:
    """Whether an error says that there is no memory left."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and ("out of memory" in str(error) or "can't allocate memory" in str(error))
    )


def _release() -> None:
    """Give cached blocks back to the device, so that a smaller batch finds room."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
