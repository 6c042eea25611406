"""Fitting the regressions of :mod:`spatialtrust.fusion.multilevel`: posterior mode, in the dual.

Weights have a normal prior with parts shared by the whole vocabulary, by group, by kind and by
relation, so that a relation seen three times is judged like its kin. In the dual this is kernel
logistic regression and solved exactly by Newton's method: rows^2 memory, so for thousands of rows.

Source: Rasmussen and Williams 2006, sections 3.4.1 (Newton's method) and 5.4.2 (leaving rows out).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from spatialtrust.evidence.poses import KINDS, READINGS
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


class Fitted(NamedTuple):
    """The regressions, and the log-odds (N,) of each row predicted without its group.

    ``left_out`` comes from ten folds by group.
    """

    model: MultilevelLogistic
    left_out: Float32


def fit_multilevel(
    geometry: Float32,
    things: Float32,
    relation: Integers,
    label: NDArray[Any],
    groups: NDArray[Any],
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
    geometry: float32 (features, N), NaN: unknown.
    things: float32 (attributes of both things, N), NaN: unknown.
    relation: (N,) place in ``relations.NAMES``.
    label: (N,) 1: true, 0: false.
    groups: (N,) rows of one group, an image, are left out together.
    features, attributes: names of the rows of ``geometry`` and of ``things``.
    basis, prior: see there.
    seed: of the folds.
    """
    names = tuple(features), tuple(attributes)
    expansion = _expansion(geometry, things, names, basis)
    both = expansion.apply(geometry, things)
    sharing = _Sharing.of(relation, prior)
    solution = _newton(_kernel(both, expansion.terms, sharing, prior), label, prior.noise)
    weights = _weights(both, expansion.terms, relation, solution.dual, prior)
    return Fitted(MultilevelLogistic(NAMES, expansion, *weights), _left_out(solution, groups, seed))


@dataclass(frozen=True, slots=True)
class _Sharing:
    """Prior covariance of the weights of two rows: by kind, and with the relation's own part."""

    kind: Float32
    relation: Float32

    @classmethod
    def of(cls, relation: Integers, prior: Prior) -> _Sharing:
        kind = kind_sharing(prior)[np.ix_(KIND_OF[relation], KIND_OF[relation])]
        strength = _STRENGTH[KIND_OF[relation]]
        own = (relation[:, None] == relation[None]) * np.outer(strength, strength)
        return cls(kind, kind + np.float32(prior.relation) * own.astype(np.float32))


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


def _kernel(both: Float32, terms: int, sharing: _Sharing, prior: Prior) -> Float64:
    """Prior covariance of the log-odds; in double, so that the same rows give the same digits."""
    z, a = both[:terms].astype(np.float64), both[terms:].astype(np.float64)
    inner = z.T @ z
    kernel = a.T @ a
    kernel *= prior.things
    kernel += prior.square * inner
    kernel *= inner
    kernel *= sharing.kind
    inner *= prior.linear
    inner += prior.constant
    inner *= sharing.relation
    kernel += inner
    return kernel


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


def _left_out(solution: _Solution, groups: NDArray[Any], seed: int) -> Float32:
    """Log-odds of each row from the rows of the other folds, without solving again."""
    from scipy.linalg import lapack

    code = np.unique(groups, return_inverse=True)[1]
    fold = np.random.default_rng(seed).integers(0, _FOLDS, code.max() + 1)[code]
    inverse, _ = lapack.dpotri(solution.factor, lower=1)
    result = np.empty(len(code), dtype=np.float32)
    for number in range(_FOLDS):
        rows = np.flatnonzero(fold == number)
        block = np.tril(inverse[np.ix_(rows, rows)])
        block += np.tril(block, -1).T
        result[rows] = solution.response[rows] - np.linalg.solve(block, solution.dual[rows])
    return result


def _weights(
    both: Float32, terms: int, relation: Integers, dual: Float64, prior: Prior
) -> tuple[Float32, Float32, Float32]:
    """Weights of each relation and kind from the dual."""
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
