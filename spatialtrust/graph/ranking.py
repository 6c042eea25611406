"""Which relations come first where not all are shown, or where they are listed."""

from __future__ import annotations

from functools import lru_cache

from spatialtrust.graph.repair import supports
from spatialtrust.relations import RELATIONS


@lru_cache(maxsize=256)
def rank_of(relation: str) -> int:
    """What a planner needs first comes first: what holds what, then contact, then neighbours.

    0: support and containment; 1: contact and parts; 2: next to, near; 3: directions; 4: the rest.

    >>> [rank_of(name) for name in ("on", "in", "touching", "next to", "left of", "far from")]
    [0, 0, 1, 2, 3, 4]
    """
    known = RELATIONS[relation]
    if supports(relation) or (known.family == "containment" and known.nests):
        return 0
    if known.family in ("contact", "part") and not known.denies:
        return 1
    if known.family == "proximity":
        return 2
    return 3 if known.axis else 4
