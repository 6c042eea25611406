"""A logistic regression for every relation; relations borrow strength from one another.

For relation r of kind k, geometry z (standardised, bent, clipped) and what is known of the two
things, a::

    logit P(true) = b_r + z . (w_r + A_k a + Q_k z)

Names never add anything by themselves, they only change what geometry means ("on" a bed, "on" a
wall). Fitted by :mod:`spatialtrust.fusion.multilevel_fit`; prediction costs one small matrix
product per row.

Source: this package; the model is that of Gelman and Hill 2007, chapter 14.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np

from spatialtrust.arrays import Scratch
from spatialtrust.evidence.poses import READINGS
from spatialtrust.relations import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spatialtrust.arrays import Float32, Int64, Integers
    from spatialtrust.evidence.columns import Features


_LIMIT: Final = np.float32(3)
_DIGITS: Final = 5
_RUN: Final = 4096
"""Claims of one product, at most: more would not stay in cache."""

KINDS_READ: Final = tuple(dict.fromkeys((r.kind, r.polarity) for r in READINGS))
"""Kind and polarity: relations that share A and Q."""
KIND_OF: Final = np.array([KINDS_READ.index((r.kind, r.polarity)) for r in READINGS])
"""Place in ``KINDS_READ`` of each relation, in the order of ``relations.NAMES``."""


_RANK: Final = np.lexsort((np.arange(len(KIND_OF)), KIND_OF)).argsort().astype(np.int16)
"""Place of each relation where those of a kind are neighbours."""


def reading_order(relation: Integers) -> Int64:
    """(N,) places that put claims kind by kind, and in each relation by relation.

    Claims in this order are read where they lie, in large products; others are put in order first,
    which costs more than the products.

    Parameters
    ----------
    relation: (N,) place in ``relations.NAMES``, -1: unknown.
    """
    return np.argsort(_rank(relation), kind="stable")


def _rank(relation: Integers) -> Integers:
    return _RANK.take(np.maximum(relation, 0))


def _in_order(relation: Integers) -> bool:
    rank = _rank(relation)
    return bool((rank[1:] >= rank[:-1]).all())


def _runs(values: Integers, most: int | None = None) -> Iterator[tuple[int, slice]]:
    """Where the same value stands, at most so many times."""
    fresh = np.diff(values, prepend=-1) != 0
    if most is not None:
        fresh[::most] = True
    starts = np.flatnonzero(fresh)
    for start, end in pairwise([*starts.tolist(), len(values)]):
        yield int(values[start]), slice(start, end)


class Basis(NamedTuple):
    """How raw features become z.

    Attributes
    ----------
    bent: features that also enter as ``tanh(2 x / spread)``: first steps away from zero count most.
    faint: features that enter at half weight.
    """

    bent: tuple[str, ...]
    faint: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expansion:
    """Raw columns to z and a: what is unknown becomes average, far values are clipped.

    Attributes
    ----------
    features, things: names of the columns: geometry, and attributes of both things.
    basis: how geometry becomes z.
    centre, scale: (features,) z = (x - centre) * scale.
    bend, bent_scale: (bent,) z = tanh(x * bend) * bent_scale.
    thing_centre, thing_scale: (attributes of both things,)
    """

    features: tuple[str, ...]
    things: tuple[str, ...]
    basis: Basis
    centre: Float32
    scale: Float32
    bend: Float32
    bent_scale: Float32
    thing_centre: Float32
    thing_scale: Float32

    def apply(self, geometry: Float32, things: Float32, scratch: Scratch | None = None) -> Float32:
        """(z + a, N) from (features, N) and (attributes, N), in the scratch if there is one."""
        size = len(self.features)
        both = (scratch or Scratch()).array("expanded", (len(self), geometry.shape[1]))
        _standardise(geometry, self.centre, self.scale, both[:size])
        both[[self.features.index(name) for name in self.basis.faint]] *= np.float32(0.5)
        for row, name in enumerate(self.basis.bent):
            x = geometry[self.features.index(name)] * self.bend[row]
            np.multiply(np.tanh(x, out=x), self.bent_scale[row], out=both[size + row])
        _standardise(things, self.thing_centre, self.thing_scale, both[self.terms :])
        np.copyto(both, np.float32(0), where=np.isnan(both))
        return both

    @property
    def terms(self) -> int:
        """Length of z."""
        return len(self.features) + len(self.basis.bent)

    def __len__(self) -> int:
        return self.terms + len(self.thing_centre)


@dataclass(frozen=True, slots=True)
class MultilevelLogistic:
    """The fitted regressions.

    Attributes
    ----------
    relations: names of the relations that it was fitted with; others of ``relations.NAMES``, which
        came later, have NaN for weights.
    expansion: raw columns to z and a.
    linear, constant: w (relations, z) and b (relations,), relations as in ``relations.NAMES``.
    mixing: Q beside A, (kinds as in ``KINDS_READ``, z, z + a).
    """

    relations: tuple[str, ...]
    expansion: Expansion
    linear: Float32
    constant: Float32
    mixing: Float32

    def margin(self, features: Features, scratch: Scratch | None = None) -> Float32:
        """(N,) :meth:`logit` of claims; where the relation is unknown, of no meaning."""
        return self.logit(*self._columns(features), scratch)

    def logit(
        self,
        geometry: Float32,
        things: Float32,
        relation: Integers,
        scratch: Scratch | None = None,
    ) -> Float32:
        """(N,) log-odds that the claim is true; NaN for a relation that was not fitted.

        Parameters
        ----------
        geometry: float32 (features, N), NaN: unknown, counts as average.
        things: float32 (attributes of both things, N), likewise.
        relation: (N,) place in ``relations.NAMES``.
        scratch: where z and a are put; None: into memory of their own.
        """
        both = self.expansion.apply(geometry, things, scratch)
        order = None if _in_order(relation) else reading_order(relation)
        if order is not None:
            relation, both = relation[order], both[:, order]
        result = self.constant.take(relation)
        z = both[: self.expansion.terms]
        for place, rows in _runs(relation):
            result[rows] += self.linear[place] @ z[:, rows]
        for kind, rows in _runs(KIND_OF.take(relation), _RUN):
            mixed = self.mixing[kind] @ both[:, rows]
            result[rows] += np.einsum("ij,ij->j", mixed, z[:, rows])
        if order is None:
            return result
        given = np.empty_like(result)
        given[order] = result
        return given

    def contributions(self, features: Features) -> Float32:
        """(columns, N): what each column of geometry adds to :meth:`margin`, beside the constant.

        Rows are in the order of ``expansion.features``.
        """
        geometry, things, relation = self._columns(features)
        expansion = self.expansion
        both = expansion.apply(geometry, things)
        size = len(expansion.features)
        places = [expansion.features.index(name) for name in expansion.basis.bent]
        result = np.empty((size, both.shape[1]), dtype=np.float32)
        for place in np.unique(relation):
            rows = np.flatnonzero(relation == place)
            here = both[:, rows]
            terms = self.mixing[KIND_OF[place]] @ here + self.linear[place][:, None]
            terms *= here[: expansion.terms]
            added = terms[:size]
            np.add.at(added, places, terms[size:])
            result[:, rows] = added
        return result

    def _columns(self, features: Features) -> tuple[Float32, Float32, Integers]:
        known = np.maximum(features.relation, 0)
        names = self.expansion
        return features.block(names.features), features.block(names.things), known

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values of what was fitted, by name, rounded to five digits."""
        expansion = self.expansion
        fitted = [NAMES.index(name) for name in self.relations]
        kinds = list(dict.fromkeys(KIND_OF[fitted].tolist()))
        weights = (self.linear[fitted], self.constant[fitted], self.mixing[kinds])
        return {
            "features": list(expansion.features),
            "things": list(expansion.things),
            "relations": list(self.relations),
            "kinds": [list(KINDS_READ[kind]) for kind in kinds],
            "bent": list(expansion.basis.bent),
            "faint": list(expansion.basis.faint),
            **{name: _listed(getattr(expansion, name)) for name in _SCALES},
            **{name: _listed(array) for name, array in zip(_WEIGHTS, weights, strict=True)},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`: relations and kinds are placed where they stand today.

        Raises
        ------
        KeyError, TypeError, ValueError: something is missing, of another length, or not finite.
        """
        arrays = {name: np.array(values[name], np.float32) for name in (*_SCALES, *_WEIGHTS)}
        basis = Basis(tuple(values["bent"]), tuple(values["faint"]))
        names = tuple(values["features"]), tuple(values["things"])
        expansion = Expansion(*names, basis, *(arrays[name] for name in _SCALES))
        fitted = [NAMES.index(name) for name in values["relations"]]
        kinds = [KINDS_READ.index((kind, polarity)) for kind, polarity in values["kinds"]]
        _check(expansion, arrays, len(fitted), len(kinds))
        needed = {KINDS_READ[place] for place in KIND_OF[fitted]}
        if not needed <= {KINDS_READ[place] for place in kinds}:
            raise ValueError("a relation is of a kind that was not fitted")
        return cls(
            tuple(values["relations"]),
            expansion,
            _placed(arrays["linear"], fitted, len(NAMES)),
            _placed(arrays["constant"], fitted, len(NAMES)),
            _placed(arrays["mixing"], kinds, len(KINDS_READ)),
        )


_SCALES: Final = ("centre", "scale", "bend", "bent_scale", "thing_centre", "thing_scale")
_WEIGHTS: Final = ("linear", "constant", "mixing")


def _check(expansion: Expansion, arrays: Mapping[str, Float32], relations: int, kinds: int) -> None:
    """Whether stored arrays are finite and of the lengths that their names ask for."""
    features, things = len(expansion.features), len(expansion.things)
    terms, both = expansion.terms, expansion.terms + things
    shapes = {
        "centre": (features,), "scale": (features,),
        "bend": (len(expansion.basis.bent),), "bent_scale": (len(expansion.basis.bent),),
        "thing_centre": (things,), "thing_scale": (things,),
        "linear": (relations, terms), "constant": (relations,), "mixing": (kinds, terms, both),
    }  # fmt: skip
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} has shape {arrays[name].shape}, not {shape}")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} holds a number that is not finite")
    for name in (*expansion.basis.bent, *expansion.basis.faint):
        if name not in expansion.features:
            raise ValueError(f'"{name}" is bent or faint, and no feature')


def _standardise(columns: Float32, centre: Float32, scale: Float32, out: Float32) -> None:
    np.subtract(columns, centre[:, None], out=out)
    out *= scale[:, None]
    np.clip(out, -_LIMIT, _LIMIT, out=out)


def _placed(rows: Float32, places: list[int], count: int) -> Float32:
    """The rows in their places among so many, NaN elsewhere."""
    result = np.full((count, *rows.shape[1:]), np.nan, dtype=np.float32)
    result[places] = rows
    return result


def _listed(array: Float32) -> Any:
    """Nested lists of floats with few digits, so that the file stays small and diffs stay short."""
    if array.ndim > 1:
        return [_listed(row) for row in array]
    return [float(f"{value:.{_DIGITS}g}") for value in array]
