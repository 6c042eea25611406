"""The vocabulary of spatial relations, as one frozen table.

The names are the 66 relations of Visual Spatial Reasoning (VSR); everyday wordings map to them.
Directions are the viewer's: ``left of`` means farther left in the picture.

>>> RELATIONS["left of"].converse
'right of'
>>> canonical("to the left of")
'left of'
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.errors import UnknownRelationError

if TYPE_CHECKING:
    from collections.abc import Mapping

FAMILIES: Final = (
    "horizontal",
    "vertical",
    "depth",
    "proximity",
    "distance",
    "contact",
    "containment",
    "part",
    "orientation",
    "path",
)
"""Relations grouped by what decides them; reports and category priors share strength by family."""

DIRECTIONAL: Final = (
    "left of",
    "right of",
    "at the left side of",
    "at the right side of",
    "above",
    "below",
)
"""The left / right / above / below relations, on which the base method is defined."""


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation.

    Attributes
    ----------
    name: canonical name.
    family: one of ``FAMILIES``.
    axis: image axis (``x`` right, ``y`` down) or ``z`` (depth, away from the viewer) along which
        subject and object are compared; None where no axis decides it.
    sign: +1 if the subject's coordinate is larger than the object's when it holds, -1 if smaller,
        0 without an axis.
    converse: r' such that "A r B" means "B r' A"; None where the language has no such word.
    opposite: the relation that holds when this one clearly does not; None where there is none.
    symmetric: "A r B" means "B r A".
    kind: relations of one kind have one pose, see ``spatialtrust.evidence.poses``.
    denies: it claims the contrary of what its kind claims ("far from": not near).
    swapped: its object stands where the subject of its kind stands ("contains": inside).
    smaller_first: the smaller thing comes first in the pose, whichever is the subject.
    nests: +1 where the subject lies in the object, so that a chain of such claims has no circle,
        -1 the other way round, 0 where it does not order things so.
    checkable_in_2d: boxes alone carry evidence for it.
    needs_depth: only depth decides it; boxes give hints.
    phrases: other wordings of the same relation.
    verbs: those wordings that need no "is" ("the box holds the mug").
    predicate: how a sentence says it: "The A <predicate> the B."

    >>> RELATIONS["above"].axis, RELATIONS["above"].sign
    ('y', -1)
    """

    name: str
    family: str
    kind: str
    axis: str | None = None
    sign: int = 0
    converse: str | None = None
    opposite: str | None = None
    symmetric: bool = False
    denies: bool = False
    swapped: bool = False
    smaller_first: bool = False
    nests: int = 0
    checkable_in_2d: bool = True
    needs_depth: bool = False
    phrases: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    predicate: str = ""


BESIDE: Final = ("next to", "beside", "adjacent to", "alongside", "at the side of")
"""Said of things that stand by each other, none on or in the other."""

_KIND_OF_FAMILY: Final[Mapping[str, str]] = {
    "horizontal": "beside",
    "vertical": "below",
    "depth": "behind",
    "proximity": "near",
    "distance": "near",
    "contact": "touching",
    "containment": "inside",
    "part": "inside",
}
"""The kind of a relation that does not say its own."""


def _plain(
    family: str,
    name: str,
    converse: str | None = None,
    opposite: str | None = None,
    *phrases: str,
    **facts: Any,
) -> Relation:
    """A relation that no axis decides; ``facts`` are further fields."""
    facts = {"kind": _KIND_OF_FAMILY.get(family, ""), "predicate": f"is {name}", **facts}
    return Relation(name, family, converse=converse, opposite=opposite, phrases=phrases, **facts)


def _symmetric(
    family: str, name: str, opposite: str | None, *phrases: str, **facts: Any
) -> Relation:
    """A relation that is its own converse."""
    facts = {"symmetric": True, "smaller_first": True, **facts}
    return _plain(family, name, name, opposite, *phrases, **facts)


def _directed(
    family: str, axis: str, sign: int, name: str, converse: str, *phrases: str, **facts: Any
) -> Relation:
    """A relation along an axis; its opposite is its converse (not-left is right)."""
    # Left and right are each other's mirror image; up is down with the two things swapped.
    swapped = sign < 0 and axis != "x"
    facts = {"axis": axis, "sign": sign, "swapped": swapped, "needs_depth": axis == "z", **facts}
    return _plain(family, name, converse, converse, *phrases, **facts)


_TABLE: Final = (
    # horizontal: image x, the viewer's left and right
    _directed("horizontal", "x", -1, "left of", "right of", "to the left of", "on the left of",
              "to left of", "on the left hand side of", "left"),
    _directed("horizontal", "x", +1, "right of", "left of", "to the right of", "on the right of",
              "to right of", "on the right hand side of", "right"),
    _directed("horizontal", "x", -1, "at the left side of", "at the right side of",
              "on the left side of", "to the left side of", "at the left of"),
    _directed("horizontal", "x", +1, "at the right side of", "at the left side of",
              "on the right side of", "to the right side of", "at the right of"),
    # vertical: image y, pointing down
    _directed("vertical", "y", -1, "above", "below", "higher than", "up from", "up above"),
    _directed("vertical", "y", +1, "below", "above", "lower than", "down below"),
    _directed("vertical", "y", -1, "over", "under", "up over", "right over"),
    _directed("vertical", "y", +1, "under", "over", "underneath", "right under", kind="under"),
    _directed("vertical", "y", +1, "beneath", "above", "right beneath", kind="under"),
    _directed("vertical", "y", -1, "on top of", "beneath", "atop", "atop of", "on the top of",
              "resting on top of", "stacked on", kind="supporting"),
    _directed("vertical", "y", +1, "down from", "above"),
    # depth: away from the viewer
    _directed("depth", "z", -1, "in front of", "behind", "before", "in the front of"),
    _directed("depth", "z", +1, "behind", "in front of", "in back of", "to the rear of"),
    _directed("depth", "z", -1, "ahead of", "behind"),
    _directed("depth", "z", +1, "at the back of", "in front of", "at the rear of",
              "on the back of"),
    _directed("depth", "z", +1, "beyond", "in front of"),
    # proximity
    _symmetric("proximity", "near", "far from", "nearby", "in the vicinity of", "close by"),
    _symmetric("proximity", "close to", "far from", "very close to"),
    _symmetric("proximity", "next to", "far from", "right next to"),
    _symmetric("proximity", "beside", "far from", "right beside"),
    _symmetric("proximity", "adjacent to", "far from"),
    _symmetric("proximity", "alongside", "far from", "alongside of"),
    _symmetric("proximity", "at the side of", "far from", "on the side of", "to the side of"),
    _symmetric("proximity", "by", "far from"),
    _symmetric("proximity", "with", "away from", "together with"),
    _plain("proximity", "at", None, "away from", smaller_first=True),
    # distance
    _symmetric("distance", "far from", "close to", "distant from", denies=True),
    _symmetric("distance", "far away from", "close to", denies=True),
    _symmetric("distance", "away from", "close to", denies=True),
    # contact
    _symmetric("contact", "touching", "detached from", "in contact with", "touches", "touch",
               verbs=("touches",)),
    _symmetric("contact", "connected to", "detached from", "joined to"),
    _symmetric("contact", "attached to", "detached from", "fastened to"),
    _plain("contact", "against", None, "away from", "leaning against", "leaning on",
           smaller_first=True),
    _plain("contact", "on", "beneath", "off", "upon", "resting on", "sitting on", "placed on",
           "lying on", "standing on", kind="supporting", swapped=True),
    _plain("contact", "off", None, "on", kind="supporting", denies=True, swapped=True),
    _symmetric("contact", "detached from", "attached to", "separate from", "separated from",
               denies=True),
    # containment
    _plain("containment", "in", "contains", "outside", nests=1),
    _plain("containment", "inside", "contains", "outside", "inside of", nests=1),
    _plain("containment", "within", "contains", "outside", "contained in", "contained by",
           nests=1),
    _plain("containment", "enclosed by", "surrounding", "outside", "surrounded by", nests=1),
    _plain("containment", "into", "contains", "out of"),
    _plain("containment", "contains", "inside", None, "containing", "contain", "holds",
           predicate="contains", swapped=True, nests=-1, verbs=("contains", "holds")),
    _plain("containment", "surrounding", "enclosed by", None, "surrounds", "surround", "encloses",
           "enclosing", swapped=True, nests=-1, verbs=("surrounds", "encloses")),
    _plain("containment", "around", "in the middle of", None, swapped=True, nests=-1),
    _plain("containment", "in the middle of", "surrounding", "at the edge of", "in the centre of",
           "in the center of", "at the center of", "at the centre of", "amid", kind="middle",
           nests=1),
    _plain("containment", "among", "surrounding", None, "amongst", kind="middle"),
    _plain("containment", "between", None, None, "in between", kind="middle"),
    _plain("containment", "outside", None, "inside", "outside of", denies=True),
    _plain("containment", "out of", None, "into", denies=True),
    _plain("containment", "at the edge of", None, "in the middle of", "on the edge of",
           kind="edge"),
    # parts
    _plain("part", "part of", "has as a part", None, "a part of", nests=1),
    _plain("part", "has as a part", "part of", None, "has a part", "has",
           predicate="has as a part", swapped=True, nests=-1,
           verbs=("has as a part", "has a part")),
    _plain("part", "consists of", "part of", None, "made of", "made up of",
           predicate="consists of", swapped=True, verbs=("consists of",)),
    # orientation: boxes carry no direction of gaze
    _plain("orientation", "facing", None, "facing away from", "looking at", "oriented toward",
           checkable_in_2d=False, kind="facing"),
    _plain("orientation", "facing away from", None, "facing", "looking away from",
           checkable_in_2d=False, kind="facing", denies=True),
    _plain("orientation", "toward", None, "away from", "towards", checkable_in_2d=False,
           kind="facing"),
    _symmetric("orientation", "parallel to", "perpendicular to", checkable_in_2d=False,
               kind="parallel"),
    _symmetric("orientation", "perpendicular to", "parallel to", checkable_in_2d=False,
               kind="perpendicular"),
    _symmetric("orientation", "congruent", None, "congruent to", "congruent with",
               checkable_in_2d=False, kind="parallel"),
    _symmetric("orientation", "opposite to", None, "opposite", "opposite of", needs_depth=True,
               kind="across"),
    # paths
    _symmetric("path", "across from", None, needs_depth=True, kind="across"),
    _plain("path", "across", None, None, kind="parallel"),
    _plain("path", "along", None, None, kind="parallel"),
    _plain("path", "down", None, None, checkable_in_2d=False, kind="below"),
    _plain("path", "past", None, None, checkable_in_2d=False, kind="behind"),
    _plain("path", "through", None, None, kind="middle"),
)  # fmt: skip

RELATIONS: Final[Mapping[str, Relation]] = MappingProxyType({r.name: r for r in _TABLE})
"""Canonical name to relation, in the table's order."""

NAMES: Final[tuple[str, ...]] = tuple(RELATIONS)

VERBS: Final = tuple(verb for r in _TABLE for verb in r.verbs)
"""Wordings that need no "is"."""

PHRASES: Final[Mapping[str, str]] = MappingProxyType(
    {phrase: r.name for r in _TABLE for phrase in (r.name, *r.phrases)}
)
"""Every known wording, lower case, to its canonical name."""


def canonical(wording: str) -> str:
    """The canonical name of a wording.

    Case, runs of spaces and a leading "is"/"are" do not matter.

    Raises
    ------
    UnknownRelationError: naming the closest wording.

    >>> canonical("Is  on the RIGHT of")
    'right of'
    """
    text = " ".join(wording.lower().replace("_", " ").replace("-", " ").split())
    for start in ("is ", "are "):
        text = text.removeprefix(start)
    name = PHRASES.get(text)
    if name is None:
        raise UnknownRelationError(wording, NAMES)
    return name
