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
from typing import TYPE_CHECKING, Final

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
    checkable_in_2d: boxes alone carry evidence for it.
    needs_depth: only depth decides it; boxes give hints.
    phrases: other wordings of the same relation.
    predicate: how a sentence says it: "The A <predicate> the B."

    >>> RELATIONS["above"].axis, RELATIONS["above"].sign
    ('y', -1)
    """

    name: str
    family: str
    axis: str | None = None
    sign: int = 0
    converse: str | None = None
    opposite: str | None = None
    symmetric: bool = False
    checkable_in_2d: bool = True
    needs_depth: bool = False
    phrases: tuple[str, ...] = ()
    predicate: str = ""


def _directed(
    family: str, axis: str, sign: int, name: str, converse: str, *phrases: str
) -> Relation:
    """A relation along an axis; its opposite is its converse (not-left is right)."""
    depth = axis == "z"
    return Relation(
        name,
        family,
        axis,
        sign,
        converse,
        converse,
        False,
        True,
        depth,
        phrases,
        f"is {name}",
    )


def _symmetric(
    family: str,
    name: str,
    opposite: str | None,
    *phrases: str,
    checkable: bool = True,
    depth: bool = False,
) -> Relation:
    return Relation(
        name, family, None, 0, name, opposite, True, checkable, depth, phrases, f"is {name}"
    )


def _plain(
    family: str,
    name: str,
    converse: str | None = None,
    opposite: str | None = None,
    *phrases: str,
    checkable: bool = True,
    predicate: str = "",
) -> Relation:
    return Relation(
        name,
        family,
        None,
        0,
        converse,
        opposite,
        False,
        checkable,
        False,
        phrases,
        predicate or f"is {name}",
    )


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
    _directed("vertical", "y", +1, "under", "over", "underneath", "right under"),
    _directed("vertical", "y", +1, "beneath", "above", "right beneath"),
    _directed("vertical", "y", -1, "on top of", "beneath", "atop", "atop of", "on the top of",
              "resting on top of", "stacked on"),
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
    _plain("proximity", "at", None, "away from"),
    # distance
    _symmetric("distance", "far from", "close to", "distant from"),
    _symmetric("distance", "far away from", "close to"),
    _symmetric("distance", "away from", "close to"),
    # contact
    _symmetric("contact", "touching", "detached from", "in contact with", "touches", "touch"),
    _symmetric("contact", "connected to", "detached from", "joined to"),
    _symmetric("contact", "attached to", "detached from", "fastened to"),
    _plain("contact", "against", None, "away from", "leaning against", "leaning on"),
    _plain("contact", "on", "beneath", "off", "upon", "resting on", "sitting on", "placed on",
           "lying on", "standing on"),
    _plain("contact", "off", None, "on"),
    _symmetric("contact", "detached from", "attached to", "separate from", "separated from"),
    # containment
    _plain("containment", "in", "contains", "outside"),
    _plain("containment", "inside", "contains", "outside", "inside of"),
    _plain("containment", "within", "contains", "outside", "contained in", "contained by"),
    _plain("containment", "enclosed by", "surrounding", "outside", "surrounded by"),
    _plain("containment", "into", "contains", "out of"),
    _plain("containment", "contains", "inside", None, "containing", "contain", "holds",
           predicate="contains"),
    _plain("containment", "surrounding", "enclosed by", None, "surrounds", "surround", "encloses",
           "enclosing"),
    _plain("containment", "around", "in the middle of", None),
    _plain("containment", "in the middle of", "surrounding", "at the edge of", "in the centre of",
           "in the center of", "at the center of", "at the centre of", "amid"),
    _plain("containment", "among", "surrounding", None, "amongst"),
    _plain("containment", "between", None, None, "in between"),
    _plain("containment", "outside", None, "inside", "outside of"),
    _plain("containment", "out of", None, "into"),
    _plain("containment", "at the edge of", None, "in the middle of", "on the edge of"),
    # parts
    _plain("part", "part of", "has as a part", None, "a part of"),
    _plain("part", "has as a part", "part of", None, "has a part", "has",
           predicate="has as a part"),
    _plain("part", "consists of", "part of", None, "made of", "made up of",
           predicate="consists of"),
    # orientation: boxes carry no direction of gaze
    _plain("orientation", "facing", None, "facing away from", "looking at", "oriented toward",
           checkable=False),
    _plain("orientation", "facing away from", None, "facing", "looking away from",
           checkable=False),
    _plain("orientation", "toward", None, "away from", "towards", checkable=False),
    _symmetric("orientation", "parallel to", "perpendicular to", checkable=False),
    _symmetric("orientation", "perpendicular to", "parallel to", checkable=False),
    _symmetric("orientation", "congruent", None, "congruent to", "congruent with",
               checkable=False),
    _symmetric("orientation", "opposite to", None, "opposite", "opposite of", depth=True),
    # paths
    _symmetric("path", "across from", None, depth=True),
    _plain("path", "across", None, None),
    _plain("path", "along", None, None),
    _plain("path", "down", None, None, checkable=False),
    _plain("path", "past", None, None, checkable=False),
    _plain("path", "through", None, None),
)  # fmt: skip

RELATIONS: Final[Mapping[str, Relation]] = MappingProxyType({r.name: r for r in _TABLE})
"""Canonical name to relation, in the table's order."""

NAMES: Final[tuple[str, ...]] = tuple(RELATIONS)

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
