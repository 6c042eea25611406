"""Tests by betting: wealth that grows only where a hypothesis is wrong, read at any time.

A bet multiplies wealth by factors whose expectation is at most 1 under the hypothesis, so that
wealth above 1/level is met with probability at most ``level`` ever, however long one watches
(Ville 1939). Several bets are averaged, and each also starts anew at every unit with a small part
of its stake, so that a change that comes late is met by fresh wealth.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

BINS: Final = 1024
"""Equal steps of [0, 1] that scores are ranked in. They depend on no data: ranks stay fair."""

_CHUNK: Final = 256
_SLOPES: Final = (-0.9, -0.5, -0.2, 0.2, 0.5, 0.9)
_SPREADS: Final = (-0.8, 0.8, 1.6)
_EXCESSES: Final = (0.02, 0.05, 0.1, 0.2, 0.4)


@dataclass(eq=False)
class Wealth:
    """The mean wealth of some bets, each started at every unit s with the share w_s of its stake.

    ``w_s = ln 2 / ln(s + 1) - ln 2 / ln(s + 2)``: what has not started is kept in the purse.

    Attributes
    ----------
    started: float64 (K,), log of what the started part of each bet is worth.
    units: how many were bet on.
    log_wealth, log_peak: now, and the most there ever was.
    reached_at: unit at which the wealth reached what it was played for; None: it never did.
    """

    started: NDArray[np.float64]
    units: int = 0
    log_wealth: float = 0.0
    log_peak: float = 0.0
    reached_at: int | None = None

    @classmethod
    def of(cls, bets: int) -> Self:
        """One stake, shared evenly by so many bets."""
        return cls(np.full(bets, -np.inf))

    def play(self, log_factors: NDArray[np.float64], goal: float) -> None:
        """Go on with the next units.

        Parameters
        ----------
        log_factors: (units, K) log of what each unit multiplies each bet by.
        goal: log-wealth to be reached.
        """
        units, bets = log_factors.shape
        if not units:
            return
        at = np.arange(self.units + 1, self.units + units + 1)
        share = log(2) / np.log(at + 1) - log(2) / np.log(at + 2)
        grown = np.cumsum(log_factors, axis=0)
        before = grown - log_factors
        fresh = np.log(share)[:, None] - before
        worth = grown + np.logaddexp.accumulate(np.vstack([self.started, fresh]), axis=0)[1:]
        purse = np.log(log(2) / np.log(at + 2))
        path = np.logaddexp(np.logaddexp.reduce(worth, axis=1) - log(bets), purse)
        reached = np.flatnonzero(path >= goal)
        if self.reached_at is None and reached.size:
            self.reached_at = int(at[reached[0]])
        self.started, self.units = worth[-1], int(at[-1])
        self.log_wealth = float(path[-1])
        self.log_peak = max(self.log_peak, float(path.max()))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "started": [None if np.isneginf(value) else float(value) for value in self.started],
            "units": self.units,
            "log_wealth": self.log_wealth,
            "log_peak": self.log_peak,
            "reached_at": self.reached_at,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        started = [-np.inf if value is None else value for value in values["started"]]
        return cls(
            np.array(started, np.float64), **{k: values[k] for k in values if k != "started"}
        )


def bins(scores: NDArray[Any]) -> NDArray[np.int64]:
    """(N,) the step of [0, 1] that each score falls in.

    >>> bins(np.array([0.0, 0.5, 1.0])).tolist()
    [0, 512, 1023]
    """
    return np.minimum((scores.astype(np.float64) * BINS).astype(np.int64), BINS - 1)


def conformal_p(
    counts: NDArray[np.int64], steps: NDArray[np.int64], tie_breaks: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(N,) smoothed rank of each new score among all that came before it, which joins them.

    ``p = (#{higher} + u #{alike, itself too}) / #{all, itself too}``: independent and uniform if
    old and new are exchangeable. ``counts`` takes the new scores in.

    Parameters
    ----------
    counts: (BINS,) how many scores there were so far in each step; changed in place.
    steps: (N,) the new scores' steps, in time order.
    tie_breaks: (N,) uniform numbers.

    Source: Vovk, Gammerman and Shafer 2005, Algorithmic Learning in a Random World, section 2.

    >>> counts = np.bincount([3, 5], minlength=BINS)
    >>> conformal_p(counts, np.array([4, 9]), np.array([0.5, 0.5])).round(3).tolist()
    [0.5, 0.125]
    """
    found = np.empty(steps.size)
    for start in range(0, steps.size, _CHUNK):
        piece = slice(start, start + _CHUNK)
        here = steps[piece]
        earlier = np.tri(here.size, k=-1, dtype=bool)
        above = np.append(np.cumsum(counts[::-1])[::-1], 0)
        higher = above[here + 1] + ((here[None] > here[:, None]) & earlier).sum(axis=1)
        alike = counts[here] + 1 + ((here[None] == here[:, None]) & earlier).sum(axis=1)
        among = counts.sum() + 1 + np.arange(here.size)
        found[piece] = (higher + tie_breaks[piece] * alike) / among
        counts += np.bincount(here, minlength=BINS)
    return found


RANK_BETS: Final = len(_SLOPES) + len(_SPREADS) + 2
"""How many bets :func:`rank_factors` makes."""


def rank_factors(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, RANK_BETS) log-factors of bets that ranks are not uniform.

    Higher or lower by ``1 + a (2p - 1)`` and ``3 p^2`` and its mirror image, wider or narrower by
    ``1 + a (6p^2 - 6p + 1)``; each integrates to 1 over uniform ``p``.
    """
    slope, spread = 2 * p - 1, 6 * p * p - 6 * p + 1
    bets = [1 + a * slope for a in _SLOPES] + [1 + a * spread for a in _SPREADS]
    bets += [0.01 + 0.99 * 3 * p**2, 0.01 + 0.99 * 3 * (1 - p) ** 2]
    return np.log(np.column_stack(bets))


RISK_BETS: Final = len(_EXCESSES)
"""How many bets :func:`risk_factors` makes."""


def risk_factors(wrong: NDArray[np.bool_], alpha: float) -> NDArray[np.float64]:
    """(N, RISK_BETS) log-factors ``1 + b (wrong - alpha)`` of bets that the risk exceeds alpha.

    Each ``b = d / (alpha (1 - alpha))`` is the best against a risk of ``alpha + d``.

    Source: Waudby-Smith and Ramdas 2024, JRSS B 86(1), section 4.
    """
    excess = np.minimum(_EXCESSES, 0.9 * (1 - alpha))
    stake = excess / (alpha * (1 - alpha))
    return np.log1p(stake * (wrong[:, None] - alpha))
