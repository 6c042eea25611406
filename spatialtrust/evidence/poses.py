"""How boxes are turned so that like claims look alike.

"A contains B" and "B is in A" are one claim, and so are "A is left of B" and its mirror image.
Every claim is brought into one pose, with a *first* and a *second* box:

- directions: the first is claimed to be right of, below, or behind the second;
- containment and support: the first is claimed to be inside, or under, the second;
- symmetric relations: the first is the smaller one;
- where left and right do not matter, the pair is mirrored so that the first is on the right.

Relations with the same pose are of one *kind*, kinds that the same geometry decides of one *group*;
a relation of polarity -1 denies what its kind claims ("far from": not near). Strength is shared
within kinds and groups, so that a relation with three labelled examples can be judged.

>>> Reading.of("left of"), Reading.of("contains").kind
(Reading(kind='beside', group='side', polarity=1, swap=False, mirror=True), 'inside')
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np

from spatialtrust.geometry import Boxes
from spatialtrust.relations import NAMES, RELATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float32


class Kind(NamedTuple):
    """Relations of one pose; which they are stands beside them in ``relations.py``.

    Attributes
    ----------
    group: kinds that the same geometry decides.
    strength: how much boxes can say, 1 or less; less shrinks what is learnt.
    """

    group: str
    strength: float = 1.0


# Boxes carry no direction of gaze, so what can be learnt about orientation is mostly noise.
_FAINT: Final = 0.5

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "beside": Kind("side"),
        "below": Kind("height"),
        "under": Kind("height"),
        "supporting": Kind("height"),
        "behind": Kind("depth"),
        "near": Kind("nearness"),
        "across": Kind("nearness"),
        "touching": Kind("contact"),
        "inside": Kind("containment"),
        "edge": Kind("edge", _FAINT),
        "middle": Kind("middle", _FAINT),
        "facing": Kind("facing", _FAINT),
        "parallel": Kind("parallel", _FAINT),
        "perpendicular": Kind("perpendicular", _FAINT),
    }
)
"""Kind to its group. New kinds go at the end: stored trees know them by place."""


class Reading(NamedTuple):
    """How a relation is read: its kind and what brings its boxes into pose."""

    kind: str
    group: str
    polarity: int
    swap: bool
    mirror: bool

    @classmethod
    def of(cls, relation: str) -> Self:
        """The reading of a canonical relation."""
        known = RELATIONS[relation]
        return cls(
            known.kind,
            KINDS[known.kind].group,
            -1 if known.denies else 1,
            known.swapped,
            mirror=known.axis == "x" and known.sign < 0,
        )


READINGS: Final = tuple(Reading.of(name) for name in NAMES)
"""The reading of each relation, in the order of ``relations.NAMES``."""

_SWAP: Final = np.array([reading.swap for reading in READINGS])
_MIRROR: Final = np.array([reading.mirror for reading in READINGS])
_SIDEWAYS: Final = np.array([RELATIONS[name].axis == "x" for name in NAMES])
_SIZED: Final = np.array([RELATIONS[name].smaller_first for name in NAMES])


class Posed(NamedTuple):
    """Boxes in pose, and which claims have the object in the first place, (N,)."""

    first: Boxes
    second: Boxes
    swapped: NDArray[np.bool_]


def pose(
    subject: Boxes, object: Boxes, relation: NDArray[np.integer[Any]], width: float = 1.0
) -> Posed:
    """Bring claims into pose.

    Parameters
    ----------
    subject, object: (N,) boxes.
    relation: (N,) place in ``relations.NAMES``.
    width: of the image, in the unit of the boxes; where it is not known any number will do, as
        nothing but distances to the border depends on it.

    >>> posed = pose(Boxes.of([[0, 0, .5, .5]]), Boxes.of([[.6, .5, .8, .75]]),
    ...              np.array([NAMES.index("contains")]))
    >>> posed.swapped.tolist(), posed.first.columns[:, 0].tolist()
    ([True], [0.6000000238418579, 0.5, 0.800000011920929, 0.75])
    """
    ours, theirs = subject.columns, object.columns
    larger = _area(ours) > _area(theirs)
    swapped = _SWAP.take(relation) | (_SIZED.take(relation) & larger)
    first, second = ours.copy(), theirs.copy()
    exchange(first, second, swapped)
    leftward = (first[0] + first[2]) < (second[0] + second[2])
    mirrored = (leftward & ~_SIDEWAYS.take(relation)) | _MIRROR.take(relation)
    return Posed(_mirror(first, mirrored, width), _mirror(second, mirrored, width), swapped)


def exchange(ours: Float32, theirs: Float32, rows: NDArray[np.bool_]) -> None:
    """Exchange values of both (M, N) where ``rows`` (N,), in place.

    Bits are exchanged, so no value changes and none is chosen one by one: where rows come in no
    order, choosing costs several times as much.

    >>> ours, theirs = np.float32([[1, 2]]), np.float32([[3, np.nan]])
    >>> exchange(ours, theirs, np.array([True, False]))
    >>> ours.tolist(), theirs.tolist()
    ([[3.0, 2.0]], [[1.0, nan]])
    """
    mask = -rows.astype(np.int32)
    for mine, other in zip(ours.view(np.int32), theirs.view(np.int32), strict=True):
        differ = (mine ^ other) & mask
        np.bitwise_xor(mine, differ, out=mine)
        np.bitwise_xor(other, differ, out=other)


def _area(columns: NDArray[np.float32]) -> NDArray[np.float32]:
    area: NDArray[np.float32] = (columns[2] - columns[0]) * (columns[3] - columns[1])
    return area


def _mirror(columns: Float32, rows: NDArray[np.bool_], width: float) -> Boxes:
    exchange(columns[::2], np.float32(width) - columns[2::-2], rows)
    return Boxes(columns)
