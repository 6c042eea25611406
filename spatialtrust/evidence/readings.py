"""What a claim about a pair may mean: in space, or in the picture alone.

"The bench is above the table" may say that it is higher up, or that it is farther away and so drawn
higher. Boxes and what is known of the things settle some such pairs. Where they do not, the claim
is true of the picture at most, and abstains with a code that names what would settle it. Only
pairs that were enumerated are read: what a person or a VLM wrote is judged as it was meant.

>>> from spatialtrust.tables import Claims, Grounding
>>> claims = Claims.from_rows([
...     {"claim_id": str(row), "image_id": "a", "subject": "cup", "relation": relation,
...      "object": "table"} for row, relation in enumerate(["on", "inside", "above"])])
>>> cup, table = [[0.2, 0.4, 0.3, 0.6]] * 3, [[0.1, 0.5, 0.9, 0.9]] * 3
>>> [str(cue) for cue in read(claims, Grounding.from_boxes(cup, table, [[1, 1]] * 3)).cue]
['rests', 'picture', 'rests']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.evidence import priors
from spatialtrust.evidence.columns import relation_places
from spatialtrust.reasons import bit
from spatialtrust.relations import BESIDE, NAMES, RELATIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.tables import Claims, Grounding

    Mask = NDArray[np.bool_]
    Numbers = NDArray[np.float64]

SPACE: Final = "in space"
PICTURE: Final = "in the picture"

CUES: Final = (
    "not_read",
    "picture",
    "depth",
    "beside",
    "side by side",
    "over",
    "hangs",
    "stacked",
    "rests",
    "holds",
    "nearer",
    "close",
    "apart",
    "rests_unknown",
    "holds_unknown",
)
"""What a reading stands on. ``not_read``: the relation has one reading or boxes say nothing of it;
``picture``: true of the picture at most; ``depth``: boxes do not tell; from ``beside`` on: in
space, for that reason. ``..._unknown``: whether the object supports or contains is not known."""

_PLACE: Final = {cue: place for place, cue in enumerate(CUES)}

# Lengths along an axis are in mean extents of the two boxes, shares are of the narrower box.
_ACROSS: Final = 0.25  # share of the narrower box that must stand above, or in front of, the other
_GAP: Final = 0.03  # empty space between a thing and what it is over
_NESTED: Final = 0.75  # share from which on neither stands to the side of the other
_INSIDE: Final = 0.6  # share of a box that must lie in what contains it
_BETWEEN: Final = 0.95  # share of its width: what is contained sticks out at the top alone
_LONGER: Final = 0.65  # in logarithms: a spoon in a cup, but no bench in a bag
_FOOT: Final = (0.3, 0.25)  # where in the other's box a foot is, 0 the top; give or take
_ASKEW: Final = 0.25  # how far from upright a stack leans, in mean extents
_LEVEL: Final = 0.3  # feet that stand equally far away, in mean extents
_BESIDE: Final = 0.38  # the same of things side by side
_ASIDE: Final = (0.15, 0.45)  # empty space along x of things side by side; give or take
_CLOSE: Final = 0.6  # empty space between neighbours
_DEPTH: Final = 0.7  # in logarithms: how far depths by known size may differ among neighbours
_LOWER: Final = 0.1  # how much lower the nearer thing's bottom is
_METRES: Final = 2.0  # how far apart things of known size are, at least, that are far apart

_KINDS: Final = ("elevated", "animate", "vehicle", "food", "furniture")
_SUPPORTING: Final = ("on", "on top of")
_UNDER: Final = ("under", "beneath", "over")
"""Said of what is directly below or above; boxes are read as those of ``above`` are."""


def _rule_of(name: str) -> str:
    relation = RELATIONS[name]
    if name in _SUPPORTING:
        return "on"
    if name in BESIDE:
        return "next to"
    if relation.family == "horizontal":
        return "beside"
    if name in _UNDER:
        return "under"
    if relation.family == "vertical":
        return "above"
    if relation.family == "depth":
        return "in front of"
    if relation.family == "proximity" and relation.symmetric:
        return "near"
    if relation.family == "distance":
        return "far from"
    if relation.family == "contact" and not relation.denies:
        return "touching"
    if relation.kind == "inside" and relation.family == "containment" and not relation.denies:
        return "inside"
    return "depth" if relation.needs_depth else ""


RULES: Final = np.array([*map(_rule_of, NAMES), ""])
"""Relations that are read alike, by place in ``NAMES``; empty: they are not read."""
_TURNED: Final = np.array(
    [
        RELATIONS[name].sign > 0
        or (RELATIONS[name].swapped and RELATIONS[name].family == "containment")
        for name in NAMES
    ]
    + [False]
)
"""Whether the object is the upper, the nearer or the inner thing; the last is for no relation."""


class Readings(NamedTuple):
    """How (N,) claims are read.

    Attributes
    ----------
    place: int8 (N,), place in ``CUES``.
    reasons: uint32 (N,), why one cannot be read in space.
    """

    place: NDArray[np.int8]
    reasons: NDArray[np.uint32]

    @property
    def cue(self) -> NDArray[np.str_]:
        """(N,) what each reading stands on, by name."""
        return np.array(CUES)[self.place]

    @property
    def in_space(self) -> Mask:
        """(N,) where the claim is read in space, and evidence for that reading was found."""
        return np.asarray(self.place >= _PLACE["beside"])

    def only(self, rows: Mask) -> Self:
        """The same, of some rows; the others (N,) are not read.

        >>> found = Readings(np.array([1, 1], dtype=np.int8), np.array([4, 4], dtype=np.uint32))
        >>> found.only(np.array([True, False])).cue.tolist()
        ['picture', 'not_read']
        """
        return self._replace(
            place=np.where(rows, self.place, np.int8(_PLACE["not_read"])),
            reasons=np.where(rows, self.reasons, np.uint32(0)),
        )

    @property
    def meaning(self) -> pa.Array:
        """(N,) ``SPACE``, ``PICTURE``, or null where boxes do not tell or nothing was read."""
        picture = pa.array(self.place == _PLACE["picture"])
        return pc.if_else(
            pa.array(self.in_space), SPACE, pc.if_else(picture, PICTURE, pa.scalar(None, "string"))
        )


class _Pairs:
    """What the rules look at, (N,) columns; NaN where a box or a thing is not known."""

    def __init__(self, first: Side, second: Side) -> None:
        self.first, self.second = first, second
        self.gap_x, self.shared_x = _along(first.box, second.box, 0)
        self.gap_y, _ = _along(first.box, second.box, 1)
        self.depth = first.depth - second.depth

    def over(self) -> Mask:
        """The first is higher, with empty space below it and the second under that."""
        return np.asarray((self.shared_x >= _ACROSS) & self._clear())

    def hangs(self) -> Mask:
        """The first is of a kind that hangs above heads, the second is not, and is lower."""
        return np.asarray((self.first.elevated == 1) & (self.second.elevated == 0) & self._clear())

    def _clear(self) -> Mask:
        return np.asarray((self.first.box[3] < self.second.box[3]) & (self.gap_y >= _GAP))

    def met_from_above(self) -> Mask:
        """The first's bottom lies in the second's box, and its top is higher up or inside."""
        _, top, _, bottom = self.second.box
        foot = self.first.box[3]
        slack = 0.02 * (bottom - top)
        within = (foot > top) & (foot <= bottom + slack)
        fits = self.first.log_size < self.second.log_size
        unlike = self.first.name != self.second.name
        able = np.where(np.isnan(self.first.log_size + self.second.log_size), True, fits)
        able = (self.first.animate == 1) | able
        return np.asarray(within & (self.shared_x >= 0.5) & able & unlike & ~self._beside_food())

    def stacked(self) -> Mask:
        """The first stands upright over the second, its foot on the second's upper half.

        Blocks of one name and size stack, and what tops the other so cannot stand before it unless
        it floats: neither names nor sizes are asked.
        """
        _, top, _, bottom = self.second.box
        height = bottom - top
        foot, head = (self.first.box[3] - top) / height, (self.first.box[1] - top) / height
        return np.asarray(
            (np.abs(foot - _FOOT[0]) <= _FOOT[1])
            & (head < -0.1)
            & (self.shared_x > 0.8)
            & (self.askew() < _ASKEW)
            & ~(self.first.elevated == 1)
            & ~self._beside_food()
        )

    def _beside_food(self) -> Mask:
        """Food bears food alone: a fork lies beside the pizza."""
        return np.asarray((self.second.food == 1) & (self.first.food == 0))

    def askew(self) -> Numbers:
        """How far apart their middles stand along x, in mean extents."""
        ours, theirs = self.first.box, self.second.box
        return np.asarray(
            np.abs(ours[0] + ours[2] - theirs[0] - theirs[2])
            / (ours[2] - ours[0] + theirs[2] - theirs[0])
        )

    def held(self) -> Mask:
        """The first lies in the second's box and could lie in the thing, and be seen there.

        What stands before a vehicle lies in its box as what is in it does.
        """
        ours, theirs = self.first.box, self.second.box
        sides = [
            np.maximum(np.minimum(ours[k + 2], theirs[k + 2]) - np.maximum(ours[k], theirs[k]), 0)
            for k in (0, 1)
        ]
        width = ours[2] - ours[0]
        share = np.where(sides[0] >= _BETWEEN * width, sides[0] * sides[1] / self.first.area, 0)
        fits = ~(self.first.log_size > self.second.log_size + _LONGER)
        fits &= ~(self.second.vehicle == 1)
        bedding = (self.second.furniture == 1) & (self.second.contains < 1)
        fits &= ~bedding | (self.first.animate == 1)  # one is in a bed, a book is on it
        fits &= ~(self.second.furniture == 1) | (ours[1] >= theirs[1])  # what tops it is on it
        return np.asarray((share >= _INSIDE) & fits & (self.first.name != self.second.name))

    def nearer(self) -> Mask:
        """The first stands in front: lower bottom, overlap sideways, no known size against it."""
        lower = 2 * (self.first.box[3] - self.second.box[3])
        lower /= self.first.height + self.second.height
        return np.asarray((lower >= _LOWER) & (self.shared_x >= _ACROSS) & ~(self.depth > 0))

    def close(self) -> Mask:
        """Little space between them in the picture, and as far away by their sizes or feet."""
        alike = (np.abs(self.depth) <= _DEPTH) | self._level(_LEVEL)
        return np.asarray((np.maximum(self.gap_x, self.gap_y) <= _CLOSE) & alike)

    def side_by_side(self) -> Mask:
        """Neighbours along x at one height, whose feet are level."""
        beside = (np.abs(self.gap_x - _ASIDE[0]) <= _ASIDE[1]) & (self.gap_y <= -0.5)
        return np.asarray(beside & self._level(_BESIDE))

    def _level(self, slack: float) -> Mask:
        feet = 2 * np.abs(self.first.box[3] - self.second.box[3])
        return np.asarray(feet <= slack * (self.first.height + self.second.height))

    def apart(self) -> Mask:
        """Far apart, even seen side by side, by their known sizes."""
        ours, theirs = self.first.box, self.second.box
        centres = (ours[:2] + ours[2:] - theirs[:2] - theirs[2:]) / 2
        metres = np.hypot(*centres) * np.exp((self.first.depth + self.second.depth) / 2)
        return np.asarray((np.maximum(self.gap_x, self.gap_y) > 1) & (metres >= _METRES))


class Side(NamedTuple):
    """One thing of each pair: its box (4, N) in fractions, and what is known of it, (N,)."""

    box: Numbers
    name: NDArray[Any]
    supports: Numbers
    contains: Numbers
    elevated: Numbers
    animate: Numbers
    vehicle: Numbers
    food: Numbers
    furniture: Numbers
    log_size: Numbers

    @property
    def height(self) -> Numbers:
        """Extent of the box along y."""
        return np.asarray(self.box[3] - self.box[1])

    @property
    def area(self) -> Numbers:
        """Share of the image."""
        return np.asarray((self.box[2] - self.box[0]) * self.height)

    @property
    def depth(self) -> Numbers:
        """Logarithm of how far away a thing of its size is that looks so large."""
        return np.asarray(self.log_size - np.log(self.area) / 2)


def read(claims: Claims, grounding: Grounding) -> Readings:
    """What boxes and everyday knowledge support each claim to mean.

    Parameters
    ----------
    claims: (N,) rows.
    grounding: their boxes; a claim without both boxes is not read.
    """
    relation = relation_places(claims.column("relation"))
    rule, turned = RULES[relation], _TURNED[relation]
    with np.errstate(invalid="ignore", divide="ignore"):
        ours = _side(claims.column("subject"), grounding.subject_box, grounding.image_size)
        theirs = _side(claims.column("object"), grounding.object_box, grounding.image_size)
        pairs = _Pairs(_pick(turned, theirs, ours), _pick(turned, ours, theirs))
        back = _Pairs(pairs.second, pairs.first)
        seen = np.isfinite(ours.area + theirs.area) & (ours.area > 0) & (theirs.area > 0)
        place = _places(rule, pairs, back)
    place = np.where(seen, place, _PLACE["not_read"]).astype(np.int8)
    reasons = np.zeros(len(place), dtype=np.uint32)
    reasons[place == _PLACE["picture"]] = bit("picture_only")
    reasons[place == _PLACE["depth"]] = bit("needs_depth")
    return Readings(place, reasons)


def _places(rule: NDArray[Any], pairs: _Pairs, back: _Pairs) -> NDArray[Any]:
    """The first cue of each rule that is found; else what the rule falls back to."""
    rests, rests_unknown = _able(pairs.met_from_above(), pairs.second.supports)
    holds, holds_unknown = _able(pairs.held(), pairs.second.contains)
    stacked, _ = _able(pairs.stacked(), pairs.second.supports)
    under, _ = _able(back.met_from_above() | back.stacked(), back.second.supports)
    around, _ = _able(back.held(), back.second.contains)
    joined = rests | holds | stacked | under | around
    nested = pairs.shared_x > _NESTED
    neighbours = pairs.close() & ~joined
    height = (rule == "above") | (rule == "under")
    found: list[tuple[Mask, str]] = [
        ((rule == "beside") & ~nested, "beside"),
        ((height | (rule == "on")) & stacked, "stacked"),
        (height & pairs.over(), "over"),
        (height & pairs.hangs(), "hangs"),
        ((height | (rule == "on")) & rests, "rests"),
        ((rule == "on") & rests_unknown, "rests_unknown"),
        ((rule == "inside") & holds, "holds"),
        ((rule == "inside") & holds_unknown, "holds_unknown"),
        ((rule == "touching") & (holds | around), "holds"),
        ((rule == "touching") & (rests | under), "rests"),
        ((rule == "in front of") & pairs.nearer() & ~joined, "nearer"),
        ((rule == "near") & neighbours, "close"),
        ((rule == "next to") & pairs.side_by_side() & ~joined, "side by side"),
        ((rule == "next to") & neighbours & ~nested & (pairs.gap_y < 0), "close"),
        ((rule == "far from") & pairs.apart(), "apart"),
        (np.isin(rule, ("beside", "above", "under", "on", "inside")), "picture"),
        (rule != "", "depth"),
    ]
    return np.select(
        [mask for mask, _ in found], [_PLACE[cue] for _, cue in found], _PLACE["not_read"]
    )


def _able(met: Mask, able: Numbers) -> tuple[Mask, Mask]:
    """Where boxes meet so and the thing is one that does, and where that is not known."""
    return np.asarray(met & (able >= 0.5)), np.asarray(met & np.isnan(able))


def _along(first: Numbers, second: Numbers, axis: int) -> tuple[Numbers, Numbers]:
    """Empty space along an axis, in mean extents, and the overlap's share of the shorter box."""
    low, high, other_low, other_high = first[axis], first[axis + 2], second[axis], second[axis + 2]
    space = np.maximum(low, other_low) - np.minimum(high, other_high)
    extent, other = high - low, other_high - other_low
    return 2 * space / (extent + other), -space / np.minimum(extent, other)


def _side(phrases: pa.ChunkedArray, box: NDArray[np.float32], size: NDArray[np.float32]) -> Side:
    """Boxes in fractions of the image, and what is known of each distinct phrase."""
    distinct = pc.unique(phrases)
    row = np.asarray(pc.index_in(phrases, value_set=distinct).to_numpy(), dtype=np.int64)
    names = distinct.to_pylist()
    kinds = priors.attributes(names)
    known = priors.knowledge(names)
    kind = (kinds[:, priors.COLUMNS.index(n)] for n in _KINDS)
    columns = (known.supports, known.contains, *kind, known.log_size)
    scale = np.concatenate([size, size], axis=1).T.astype(np.float64)
    return Side(
        box.T.astype(np.float64) / scale,
        np.asarray(phrases.to_numpy()),
        *(column.astype(np.float64)[row] for column in columns),
    )


def _pick(where: Mask, yes: Side, no: Side) -> Side:
    return Side(*(np.where(where, a, b) for a, b in zip(yes, no, strict=True)))
