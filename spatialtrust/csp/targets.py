"""Which confidence a noise level stands for, and which reply is the worse one of a pair.

The paper says that a level of noise stands for a level of confidence; how it is mapped is not
public, so these are this package's choice, by name:

- ``linear``: ``(100 - level) / 100``; for yes-or-no questions ``0.5 + (100 - level) / 200``, since
  a no that is surely wrong is a yes.
- ``measured``: the share of right answers that the model itself reaches at that level, kept from
  rising with noise.
- ``measured-by-group``: the same, of each group of questions (each relation) by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.csp.perturbation import LADDER
from spatialtrust.errors import InputError, suggest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

    from spatialtrust.arrays import Float64

TARGETS: Final = ("linear", "measured", "measured-by-group")
APART: Final = 40
"""Levels between a reply and the one it is preferred to, at least."""

ALL: Final = "*"
"""The group of all questions together in what was measured."""


def check_target(name: str) -> None:
    """Refuse a name that is none.

    Raises
    ------
    InputError: naming the closest.
    """
    if name not in TARGETS:
        raise InputError(
            f'target "{name}" is not known; {suggest(name, TARGETS)}valid: {", ".join(TARGETS)}'
        )


def linear(level: float, *, yes_or_no: bool) -> float:
    """The confidence that a level stands for by itself.

    >>> linear(20, yes_or_no=False), linear(20, yes_or_no=True)
    (0.8, 0.9)
    """
    share = (100 - level) / 100
    return 0.5 + share / 2 if yes_or_no else share


def measure(
    levels: ArrayLike, groups: Sequence[str], is_right: ArrayLike
) -> dict[str, dict[int, float]]:
    """Share of right answers at each level, of all and of each group, never rising with noise.

    Parameters
    ----------
    levels, groups, is_right: (N,) of answered questions.

    Returns
    -------
    Group to level to share, ``*`` being all of them; ``(right + 1) / (n + 2)`` at each level, then
    the closest that does not rise.

    >>> measure([0, 0, 60, 60], ["on"] * 4, [1, 1, 0, 1])["*"]
    {0: 0.75, 60: 0.5}
    """
    level, right = np.asarray(levels), np.asarray(is_right, dtype=np.float64)
    group = np.asarray(groups)
    found = {ALL: _falling(level, right)}
    for name in np.unique(group).tolist():
        found[name] = _falling(level[group == name], right[group == name])
    return found


def _falling(level: Any, right: Float64) -> dict[int, float]:
    from sklearn.isotonic import IsotonicRegression

    steps, place, count = np.unique(level, return_inverse=True, return_counts=True)
    share = (np.bincount(place, right) + 1) / (count + 2)
    fitted = (
        IsotonicRegression(increasing=False).fit(steps, share, sample_weight=count).predict(steps)
    )
    return {int(step): round(float(value), 6) for step, value in zip(steps, fitted, strict=True)}


def confidence_at(
    level: int,
    group: str,
    target: str,
    measured: Mapping[str, Mapping[int, float]],
    *,
    yes_or_no: bool,
) -> float:
    """The confidence to be stated at a level.

    Raises
    ------
    InputError: it was not measured at this level.
    """
    if target == "linear":
        return linear(level, yes_or_no=yes_or_no)
    table = measured.get(group if target == "measured-by-group" else ALL) or measured.get(ALL, {})
    if level not in table:
        raise InputError(
            f"nothing was measured at level {level}; measured: "
            f"{', '.join(map(str, table)) or 'none'} (measure with the levels that you build with)"
        )
    return max(0.5, table[level]) if yes_or_no else table[level]


def distant_levels(level: int) -> list[int]:
    """Levels of the ladder that a reply may be preferred over the reply of.

    >>> distant_levels(50)
    [0, 10, 90, 100]
    """
    return [other for other in LADDER if abs(other - level) >= APART]
