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

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np

from spatialtrust.geometry import Boxes
from spatialtrust.relations import NAMES, RELATIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Kind(NamedTuple):
    """Relations of one pose.

    Attributes
    ----------
    group: kinds that the same geometry decides.
    claims: relations that claim what the pose says, roles as they stand.
    swapped: those that claim it of the object ("A contains B": B is inside).
    denies: those that claim the contrary, roles as in most of what they deny.
    strength: how much boxes can say, 1 or less; less shrinks what is learnt.
    """

    group: str
    claims: tuple[str, ...]
    swapped: tuple[str, ...] = ()
    denies: tuple[str, ...] = ()
    strength: float = 1.0


# Boxes carry no direction of gaze, so what can be learnt about orientation is mostly noise.
_FAINT: Final = 0.5

KINDS: Final[dict[str, Kind]] = {
    "beside": Kind(
        "side", ("left of", "right of", "at the left side of", "at the right side of")
    ),
    "below": Kind("height", ("below", "down from", "down"), ("above", "over")),
    "under": Kind("height", ("under", "beneath")),
    "supporting": Kind("height", (), ("on", "on top of"), ("off",)),
    "behind": Kind(
        "depth", ("behind", "at the back of", "beyond", "past"), ("in front of", "ahead of")
    ),
    "near": Kind(
        "nearness",
        ("near", "close to", "next to", "beside", "adjacent to", "alongside",
         "at the side of", "by", "with", "at"),
        (),
        ("far from", "far away from", "away from"),
    ),
    "across": Kind("nearness", ("across from", "opposite to")),
    "touching": Kind(
        "contact", ("touching", "connected to", "attached to", "against"), (), ("detached from",)
    ),
    "inside": Kind(
        "containment",
        ("in", "inside", "within", "enclosed by", "into", "part of"),
        ("contains", "surrounding", "around", "has as a part", "consists of"),
        ("outside", "out of"),
    ),
    "edge": Kind("edge", ("at the edge of",), strength=_FAINT),
    "middle": Kind("middle", ("in the middle of", "among", "between", "through"),
                   strength=_FAINT),
    "facing": Kind("facing", ("facing", "toward"), (), ("facing away from",), strength=_FAINT),
    "parallel": Kind("parallel", ("parallel to", "along", "across", "congruent"),
                     strength=_FAINT),
    "perpendicular": Kind("perpendicular", ("perpendicular to",), strength=_FAINT),
}  # fmt: skip
"""Kind to its group and relations; together they are the whole vocabulary."""

_BY_SIZE: Final = frozenset({r.name for r in RELATIONS.values() if r.symmetric} | {"against", "at"})


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
        for name, kind in KINDS.items():
            swap, denies = relation in kind.swapped, relation in kind.denies
            if swap or denies or relation in kind.claims:
                known = RELATIONS[relation]
                mirror = known.axis == "x" and known.sign < 0
                swap = swap or (denies and not kind.claims)
                return cls(name, kind.group, -1 if denies else 1, swap, mirror)
        raise KeyError(relation)


READINGS: Final = tuple(Reading.of(name) for name in NAMES)
"""The reading of each relation, in the order of ``relations.NAMES``."""

_SWAP: Final = np.array([reading.swap for reading in READINGS])
_MIRROR: Final = np.array([reading.mirror for reading in READINGS])
_SIDEWAYS: Final = np.array([RELATIONS[name].axis == "x" for name in NAMES])
_SIZED: Final = np.array([name in _BY_SIZE for name in NAMES])


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
    swapped = _SWAP[relation] | (_SIZED[relation] & larger)
    first = np.where(swapped, theirs, ours)
    second = np.where(swapped, ours, theirs)
    leftward = (first[0] + first[2]) < (second[0] + second[2])
    mirrored = np.where(_SIDEWAYS[relation], _MIRROR[relation], leftward)
    return Posed(_mirror(first, mirrored, width), _mirror(second, mirrored, width), swapped)


def _area(columns: NDArray[np.float32]) -> NDArray[np.float32]:
    area: NDArray[np.float32] = (columns[2] - columns[0]) * (columns[3] - columns[1])
    return area


def _mirror(columns: NDArray[np.float32], rows: NDArray[np.bool_], width: float) -> Boxes:
    left, right = np.float32(width) - columns[2], np.float32(width) - columns[0]
    columns[0], columns[2] = (
        np.where(rows, left, columns[0]),
        np.where(rows, right, columns[2]),
    )
    return Boxes(columns)
