"""Fitting the regressions of :mod:`spatialtrust.fusion.multilevel`: posterior mode, in the dual.

Weights have a normal prior with parts shared by the whole vocabulary, by group, by kind and by
relation, so that a relation seen three times is judged like its kin. In the dual this is kernel
logistic regression and solved exactly by Newton's method: rows^2 memory, so for thousands of rows.

Source: Rasmussen and Williams 2006, sections 3.4.1 (Newton's method) and 5.4.2 (leaving rows out).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from spatialtrust.evidence.poses import KINDS, READINGS
from spatialtrust.fusion.folds import deal
from spatialtrust.fusion.multilevel import KIND_OF, KINDS_READ, Basis, Expansion, MultilevelLogistic
from spatialtrust.relations import NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float32, Float64, Integers


_NEWTON_STEPS: Final = 6
_FOLDS: Final = 10
_BENT_WEIGHT: Final = 0.75
_LEAST_CURVATURE: Final = 0.02


class Prior(NamedTuple):
    """How much weights may vary; chosen by cross-validation on VSR statements, by image.

    Attributes
    ----------
    everyone, group, kind, relation: share of the variance common to the vocabulary, the group, the
        kind, and of the relation's own.
    linear, constant, things, square: variance of w, b, A and Q, per feature.
    noise: strength of the prior; more shrinks more.
    """

    everyone: float = 0.05
    group: float = 0.5
    kind: float = 0.7
    relation: float = 0.15
    linear: float = 1 / 35
    constant: float = 0.1
    things: float = 0.2 / (35 * 22)
    square: float = 0.05 / 35**2
    noise: float = 0.6


class Rows(NamedTuple):
    """Claims as regressions see them.

    Attributes
    ----------
    geometry: float32 (features, N), NaN: unknown.
    things: float32 (attributes of both things, N), NaN: unknown.
    relation: (N,) place in ``relations.NAMES``.
    groups: (N,) rows of one group, an image, are left out together.
    """

    geometry: Float32
    things: Float32
    relation: Integers
    groups: NDArray[Any]


class Fitted(NamedTuple):
    """The regressions, and the log-odds of other rows predicted without their groups.

    ``left_out`` (N,) comes from ten folds by group.
    """

    model: MultilevelLogistic
    left_out: Float32


def fit_multilevel(
    rows: Rows,
    label: NDArray[Any],
    judged: Rows,
    *,
    features: Sequence[str],
    attributes: Sequence[str],
    basis: Basis,
    prior: Prior = Prior(),  # noqa: B008 - immutable
    seed: int = 0,
) -> Fitted:
    """Fit the regressions.

    Parameters
    ----------
    rows, label: to fit on; labels are 1, true, and 0, false.
    judged: rows to predict without their groups: the same, or as they are where ``rows`` are
        disturbed.
    features, attributes: names of the rows of ``geometry`` and of ``things``.
    basis, prior: see there.
    seed: of the folds.
    """
    names = tuple(features), tuple(attributes)
    expansion = _expansion(rows.geometry, rows.things, names, basis)
    given, asked = (_Expanded.of(some, expansion) for some in (rows, judged))
    solution = _newton(_kernel(given, given, prior), label, prior.noise)
    weights = _weights(given, solution.dual, prior)
    fold = deal(np.concatenate([rows.groups, judged.groups]), _FOLDS, seed)
    folds = np.split(fold, [len(rows.groups)])
    left_out = _left_out(solution, given, asked, (folds[0], folds[1]), prior)
    return Fitted(MultilevelLogistic(NAMES, expansion, *weights), left_out)


class _Expanded(NamedTuple):
    """z beside a (z + a, N), how many rows are z, and the relations (N,)."""

    both: Float32
    terms: int
    relation: Integers

    @classmethod
    def of(cls, rows: Rows, expansion: Expansion) -> _Expanded:
        both = expansion.apply(rows.geometry, rows.things)
        return cls(both, expansion.terms, rows.relation)

    def take(self, rows: Integers) -> _Expanded:
        return _Expanded(self.both[:, rows], self.terms, self.relation[rows])


_STRENGTH: Final = np.array([KINDS[kind].strength for kind, _ in KINDS_READ], dtype=np.float32)


def kind_sharing(prior: Prior) -> Float32:
    """(kinds, kinds): how much of the variance the weights of two kinds have in common."""
    kinds = np.array([kind for kind, _ in KINDS_READ])
    groups = np.array([KINDS[kind].group for kind in kinds])
    polarity = np.array([sign for _, sign in KINDS_READ])
    same = prior.group * (groups[:, None] == groups) + prior.kind * (kinds[:, None] == kinds)
    shared = prior.everyone + np.outer(polarity, polarity) * same
    return np.asarray(shared * np.outer(_STRENGTH, _STRENGTH), dtype=np.float32)


def _expansion(
    geometry: Float32, things: Float32, names: tuple[tuple[str, ...], tuple[str, ...]], basis: Basis
) -> Expansion:
    features, attributes = names
    rows = geometry[[features.index(name) for name in basis.bent]]
    bend = np.float32(2) / _spread(rows)
    bent_scale = np.float32(_BENT_WEIGHT) / _spread(np.tanh(rows * bend[:, None]))
    return Expansion(
        features,
        attributes,
        basis,
        _centre(geometry),
        np.float32(1) / _spread(geometry),
        bend,
        bent_scale,
        np.nan_to_num(np.nanmean(things, axis=1)).astype(np.float32),
        np.float32(1) / _spread(things),
    )


def _centre(columns: Float32) -> Float32:
    return np.nan_to_num(np.nanmedian(columns, axis=1)).astype(np.float32)


def _spread(columns: Float32) -> Float32:
    """Standard deviation of each row; 1 where it is 0 or nothing is known."""
    spread = np.nan_to_num(np.nanstd(columns.astype(np.float64), axis=1))
    return np.where(spread > 0, spread, 1.0).astype(np.float32)


def _kernel(left: _Expanded, right: _Expanded, prior: Prior) -> Float64:
    """Prior covariance of the log-odds of two sets of rows, (left, right).

    In double, so that the same rows give the same digits.
    """
    z, a = _split(left)
    other_z, other_a = (z, a) if right is left else _split(right)
    inner = z.T @ other_z
    kernel = a.T @ other_a
    kernel *= prior.things
    kernel += prior.square * inner
    kernel *= inner
    shared = kind_sharing(prior)[np.ix_(KIND_OF[left.relation], KIND_OF[right.relation])]
    kernel *= shared
    inner *= prior.linear
    inner += prior.constant
    strength, other_strength = (_STRENGTH[KIND_OF[rows.relation]] for rows in (left, right))
    own = (left.relation[:, None] == right.relation[None]) * np.outer(strength, other_strength)
    inner *= shared + np.float32(prior.relation) * own
    kernel += inner
    return kernel


def _split(rows: _Expanded) -> tuple[Float64, Float64]:
    everything = rows.both.astype(np.float64)
    return everything[: rows.terms], everything[rows.terms :]


class _Solution(NamedTuple):
    """Dual weights, the last working response, and the lower Cholesky factor of its covariance."""

    dual: Float64
    response: Float64
    factor: Float64


def _newton(kernel: Float64, label: NDArray[Any], noise: float) -> _Solution:
    from scipy.linalg import cho_factor, cho_solve

    truth = np.asarray(label, dtype=np.float64)
    logit = np.zeros(len(truth))
    diagonal = np.arange(len(truth))
    for _ in range(_NEWTON_STEPS):
        probability = 1 / (1 + np.exp(-logit))
        curvature = np.maximum(probability * (1 - probability), _LEAST_CURVATURE)
        response = logit + (truth - probability) / curvature
        covariance = kernel.copy()
        covariance[diagonal, diagonal] += noise / curvature
        factor, _ = cho_factor(covariance, lower=True, overwrite_a=True)
        dual = cho_solve((factor, True), response)
        logit = kernel @ dual
    return _Solution(dual, response, factor)


def _left_out(
    solution: _Solution,
    given: _Expanded,
    asked: _Expanded,
    folds: tuple[NDArray[np.int64], NDArray[np.int64]],
    prior: Prior,
) -> Float32:
    """Log-odds of the rows asked about from the given rows of other folds, without solving again.

    With C the covariance of the responses, the dual weights of the others without a fold F are
    ``dual_O - (C^-1)_OF ((C^-1)_FF)^-1 dual_F``.
    """
    from scipy.linalg import lapack

    inverse, _ = lapack.dpotri(solution.factor, lower=1)
    inverse = np.tril(inverse)
    inverse += np.tril(inverse, -1).T
    result = np.empty(len(folds[1]), dtype=np.float32)
    for number in range(_FOLDS):
        out, others = (np.flatnonzero(there) for there in (folds[0] == number, folds[0] != number))
        rows = np.flatnonzero(folds[1] == number)
        held = np.linalg.solve(inverse[np.ix_(out, out)], solution.dual[out])
        dual = solution.dual[others] - inverse[np.ix_(others, out)] @ held
        result[rows] = _kernel(asked.take(rows), given.take(others), prior) @ dual
    return result


def _weights(given: _Expanded, dual: Float64, prior: Prior) -> tuple[Float32, Float32, Float32]:
    """Weights of each relation and kind from the dual."""
    both, terms, relation = given
    everything = both.astype(np.float64)
    z = everything[:terms]
    shared = kind_sharing(prior)
    own = prior.relation * np.square(_STRENGTH)
    row_kind = KIND_OF[relation]
    linear = np.empty((len(READINGS), terms), dtype=np.float32)
    constant = np.empty(len(READINGS), dtype=np.float32)
    for place, kind in enumerate(KIND_OF):
        weight = dual * (shared[kind, row_kind] + own[kind] * (relation == place))
        linear[place] = prior.linear * (z @ weight)
        constant[place] = prior.constant * weight.sum()
    scale = np.full(len(both), prior.things)
    scale[:terms] = prior.square
    by_kind = (dual * shared[kind, row_kind] for kind in range(len(KINDS_READ)))
    mixing = np.stack([(z * weight) @ (everything.T * scale) for weight in by_kind])
    return linear, constant, mixing.astype(np.float32)
