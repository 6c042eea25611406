"""Confidence scores that need nothing but logits: no labels, no fitting.

Each takes logits (N, K), already multiplied by the model's logit scale (about 100 for CLIP), and
returns float64 (N,), higher = safer. They are computed in float64 whatever the input's precision,
block by block, so 50,000 x 1,000 logits need no second copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from spatialtrust.failure.checks import as_logits, blocks, expect_choice, expect_positive, softmax

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from spatialtrust.arrays import Float64, Floats


def mcm(logits: ArrayLike, *, temperature: float = 1.0) -> Float64:
    """Probability of the predicted class, ``max_k softmax(z / T)_k``.

    Also known as maximum concept matching and maximum softmax probability.

    Returns
    -------
    (N,) in [1/K, 1].

    Raises
    ------
    InputError: for logits that are not finite or have fewer than two classes.

    Source: Ming et al. 2022, arXiv 2211.13445, eq. 2; Hendrycks and Gimpel 2017.

    >>> mcm([[2.0, 0.0], [0.0, 0.0]]).round(4)
    array([0.8808, 0.5   ])
    """
    return _by_block(logits, temperature, lambda z: 1.0 / np.exp(z).sum(axis=1))


def max_logit(logits: ArrayLike) -> Float64:
    """The largest logit, ``max_k z_k``; unbounded.

    Source: Hendrycks et al. 2022, arXiv 1911.11132.

    >>> max_logit([[2.0, 0.0], [-1.0, -3.0]])
    array([ 2., -1.])
    """
    return np.asarray(as_logits(logits).max(axis=1), dtype=np.float64)


def max_cosine(logits: ArrayLike, logit_scale: float) -> Float64:
    """The largest cosine similarity, ``max_k z_k / s``; ranks as `max_logit` does.

    Returns
    -------
    (N,) in [-1, 1].

    >>> max_cosine([[25.0, 20.0]], logit_scale=100.0)
    array([0.25])
    """
    expect_positive(logit_scale, "logit_scale")
    return max_logit(logits) / logit_scale


def margin(logits: ArrayLike) -> Float64:
    """The largest logit minus the second; at least 0, unbounded.

    Source: called RLog in arXiv 2505.15008.

    >>> margin([[2.0, 0.0, 1.5], [1.0, 1.0, 0.0]])
    array([0.5, 0. ])
    """
    array = as_logits(logits)
    first, second = -np.partition(-array, 1, axis=1)[:, :2].T.astype(np.float64)
    return np.asarray(first - second)


def energy(logits: ArrayLike, *, temperature: float = 1.0) -> Float64:
    """Negative free energy, ``T log sum_k exp(z_k / T)``; unbounded.

    Source: Liu et al. 2020, arXiv 2010.03759, eq. 4 (its negative, so that higher = safer).

    >>> energy([[0.0, 0.0]]).round(4)
    array([0.6931])
    """
    above = _by_block(logits, temperature, lambda z: np.log(np.exp(z).sum(axis=1)))
    return max_logit(logits) + temperature * above


def entropy(
    logits: ArrayLike, *, temperature: float = 1.0, variant: Literal["paper", "vilu"] = "paper"
) -> Float64:
    """Negative Shannon entropy of the softmax, ``sum_k p_k log p_k``.

    Parameters
    ----------
    variant: "vilu" is what the released ViLU code computes,
        ``sum_k p_k log(p_k + 1e-6) / log(K + 1e-6)``.

    Returns
    -------
    (N,) in [-log K, 0], or about [-1, 0] for "vilu".

    >>> entropy([[0.0, 0.0]]).round(4)
    array([-0.6931])
    """
    expect_choice(variant, "variant", ("paper", "vilu"))

    def shannon(z: Float64) -> Float64:
        from scipy.special import xlogy

        p = softmax(z)
        return np.asarray(xlogy(p, p).sum(axis=1))

    def vilu(z: Float64) -> Float64:
        p = softmax(z)
        return np.asarray((p * np.log(p + 1e-6)).sum(axis=1) / np.log(z.shape[1] + 1e-6))

    return _by_block(logits, temperature, shannon if variant == "paper" else vilu)


def doctor(
    logits: ArrayLike, *, temperature: float = 1.0, variant: Literal["alpha", "beta"] = "alpha"
) -> Float64:
    """DOCTOR's negated odds of a wrong decision.

    ``alpha``: ``-(1 - g) / g`` with ``g = sum_k p_k^2``, from the whole softmax.
    ``beta``: ``-(1 - max p) / max p``, from the decision alone; ranks as `mcm` does.

    The small side, ``1 - g``, is summed directly: confident rows keep their order where
    ``1 - max p`` would round to zero.

    Returns
    -------
    (N,) in (-inf, 0].

    Source: Granese et al. 2021, arXiv 2106.02395, section 3 (without input perturbation, which
    needs the model itself).

    >>> doctor([[0.0, 0.0]]), doctor([[0.0, 0.0]], variant="beta")
    (array([-1.]), array([-1.]))
    """
    expect_choice(variant, "variant", ("alpha", "beta"))

    def odds(z: Float64) -> Float64:
        above = np.exp(z)
        np.put_along_axis(above, z.argmax(axis=1)[:, None], 0.0, axis=1)
        others = above.sum(axis=1)
        if variant == "beta":
            return np.asarray(-others)
        total = 1.0 + others
        wrong = others + (above * (total[:, None] - above)).sum(axis=1)
        return np.asarray(-wrong / (1.0 + np.square(above).sum(axis=1)))

    return _by_block(logits, temperature, odds)


def _by_block(
    logits: ArrayLike, temperature: float, score: Callable[[Float64], Float64]
) -> Float64:
    """Scores of ``(z - max z) / T``, which no temperature can make too large."""
    expect_positive(temperature, "temperature")
    array: Floats = as_logits(logits)
    out = np.empty(len(array))
    for part in blocks(*array.shape):
        z = array[part].astype(np.float64)
        with np.errstate(over="ignore"):  # to -inf, whose exponential is 0
            out[part] = score((z - z.max(axis=1, keepdims=True)) / temperature)
    return out
