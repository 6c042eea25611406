"""BayesVLM: how uncertain CLIP's own last layers leave each similarity.

A Laplace approximation of the two projections that map encoder activations to embeddings,
``g = W phi``. Each projection's posterior is Kronecker-factored: A over activations, B over outputs
(the generalised Gauss-Newton matrix of InfoNCE).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple, Self

import numpy as np

from spatialtrust.errors import InputError
from spatialtrust.failure.base import FailurePredictor
from spatialtrust.failure.checks import (
    as_floats,
    blocks,
    expect_choice,
    expect_dimension,
    expect_positive,
    expect_rows,
    softmax,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from spatialtrust.arrays import Float64

IDENTITY_NOTE: Final = (
    "without the model's own projections, and activations before them, this cannot be the "
    "published method: the identity after embeddings degenerates"
)


class Curvature(NamedTuple):
    """One projection and the curvature of the loss around it.

    projection: W (d, width). activation: A (width, width), ``sum phi phi^T / sqrt(n)``.
    output: B (d, d), ``sum H / sqrt(n)`` with H the Gauss-Newton matrix of one row.
    """

    projection: Float64
    activation: Float64
    output: Float64


@dataclass
class BayesVLM(FailurePredictor):
    """Largest probability once the projections' uncertainty is averaged out (probit approximation).

    ``p = softmax(mean / sqrt(1 + pi/8 var))``, with mean and variance of every similarity taken
    element by element (the released class takes the variance of row k for class k there).

    Parameters
    ----------
    pseudo_data: n0, how many times the proxy pairs count.
    evidence: how the prior precisions are chosen. "kronecker": the maximum of the marginal
        likelihood, ``log det(A x B) = d log det A + width log det B``. "released": as in the
        released code, each factor's determinant is weighted by its own size and not halved, and
        1,000 Adam steps from 300 stop before convergence.
    image_prior_precision, text_prior_precision: fixed precisions instead.

    Uses: pairs of image and caption, no class labels. Scores lie in [1/K, 1]; the published
    comparison does not say which statistic it ranks by, the largest probability is our reading.

    Source: Baumann et al. 2024, arXiv 2412.06014, sections 3 and 4.

    >>> rng = np.random.default_rng(0)
    >>> images, texts, (first, second) = *rng.normal(size=(2, 50, 4)), rng.normal(size=(2, 3, 4))
    >>> model = BayesVLM().fit(
    ...     images, texts, image_projection=first, text_projection=second, logit_scale=10.0
    ... )
    >>> model.score(images, texts[:3]).shape
    (50,)
    """

    labelled_split: ClassVar[str] = "pairs"

    pseudo_data: float = 10.0
    evidence: Literal["kronecker", "released"] = "kronecker"
    image_prior_precision: float | None = None
    text_prior_precision: float | None = None

    def check(self) -> None:
        """Refuse parameters out of range."""
        expect_choice(self.evidence, "evidence", ("kronecker", "released"))
        expect_positive(self.pseudo_data, "pseudo_data")
        for name in ("image_prior_precision", "text_prior_precision"):
            if getattr(self, name) is not None:
                expect_positive(getattr(self, name), name)

    def fit(
        self,
        image_activations: ArrayLike,
        text_activations: ArrayLike,
        *,
        image_projection: ArrayLike | None = None,
        text_projection: ArrayLike | None = None,
        logit_scale: float,
        candidates: int = 1024,
    ) -> Self:
        """Gather the curvature over pairs: row i of both arrays belongs together.

        Parameters
        ----------
        image_activations, text_activations: (N, width) before the projections.
        image_projection, text_projection: W (d, width). Left out they are the identity, after
            embeddings: that is not the published method, degenerates, and is warned of.
        logit_scale: s of ``z = s cos``.
        candidates: rows that compete in one InfoNCE block.
        """
        self.check()
        sides = []
        for activations, projection, name in (
            (image_activations, image_projection, "image"),
            (text_activations, text_projection, "text"),
        ):
            phi = as_floats(activations, f"{name}_activations").astype(np.float64)
            width = phi.shape[1]
            weight = np.eye(width) if projection is None else _projection(projection, name, width)
            sides.append((phi, weight))
        (image, image_w), (text, text_w) = sides
        expect_rows(text, "text_activations", len(image))
        expect_dimension(text @ text_w.T, "text embeddings", len(image_w))
        root = np.sqrt(len(image))
        image_out, text_out = image @ image_w.T, text @ text_w.T
        image_b, text_b = np.zeros((2, len(image_w), len(image_w)))
        for start in range(0, len(image), candidates):
            part = slice(start, start + candidates)
            image_b += infonce_curvature(image_out[part], text_out[part], logit_scale)
            text_b += infonce_curvature(text_out[part], image_out[part], logit_scale)
        return self._fit(
            Curvature(image_w, image.T @ image / root, image_b / root),
            Curvature(text_w, text.T @ text / root, text_b / root),
            logit_scale=logit_scale,
            pairs=len(image),
            notes=[IDENTITY_NOTE] if image_projection is None or text_projection is None else [],
        )

    def fit_curvature(
        self, image: Curvature, text: Curvature, *, logit_scale: float, pairs: int
    ) -> Self:
        """Use curvature gathered elsewhere, such as the published matrices of a large proxy set."""
        return self._fit(image, text, logit_scale=logit_scale, pairs=pairs, notes=[])

    def _fit(
        self,
        image: Curvature,
        text: Curvature,
        *,
        logit_scale: float,
        pairs: int,
        notes: list[str],
    ) -> Self:
        self.check()
        expect_positive(logit_scale, "logit_scale")
        tensors: dict[str, NDArray[Any]] = {}
        facts: dict[str, Any] = {}
        for name, side, given in (
            ("image", image, self.image_prior_precision),
            ("text", text, self.text_prior_precision),
        ):
            precision = given or prior_precision(side, self.pseudo_data, self.evidence)
            root, count = np.sqrt(precision), np.sqrt(self.pseudo_data)
            a = side.activation * count + root * np.eye(len(side.activation))
            b = side.output * count + root * np.eye(len(side.output))
            tensors[f"{name}_projection"] = np.asarray(side.projection, dtype=np.float64)
            tensors[f"{name}_activation_covariance"] = np.linalg.inv(a)
            tensors[f"{name}_output_variance"] = np.diag(np.linalg.inv(b)).copy()
            facts[f"{name}_prior_precision"] = float(precision)
        return self._store(
            tensors,
            **facts,
            labelled_rows=0,
            pairs=pairs,
            logit_scale=float(logit_scale),
            notes=notes,
        )

    def similarity(
        self, image_activations: ArrayLike, text_activations: ArrayLike
    ) -> tuple[Float64, Float64]:
        """Mean and variance of every logit, each (N, K)."""
        scale = float(self._fitted()["logit_scale"])
        mu, spread = self._embed("image", image_activations)
        nu, text_spread = self._embed("text", text_activations)
        expected = np.outer((mu**2 + spread).sum(axis=1), (nu**2 + text_spread).sum(axis=1))
        mean = scale * (mu @ nu.T) / np.sqrt(expected)
        variance = (mu**2 + spread) @ text_spread.T + spread @ (nu**2).T
        return mean, scale**2 * variance / expected

    def probabilities(self, image_activations: ArrayLike, text_activations: ArrayLike) -> Float64:
        """Class probabilities (N, K) with the projections' uncertainty averaged out."""
        mean, variance = self.similarity(image_activations, text_activations)
        return softmax(mean / np.sqrt(1 + np.pi / 8 * variance))

    def score(self, image_activations: ArrayLike, text_activations: ArrayLike) -> Float64:
        """The largest probability, (N,)."""
        images = as_floats(image_activations, "image_activations")
        texts = as_floats(text_activations, "text_activations")
        if len(texts) < 2:
            raise InputError(f"text_activations: {len(texts)} class; give at least two")
        out = np.empty(len(images))
        for part in blocks(len(images), 4 * max(len(texts), images.shape[1])):
            out[part] = self.probabilities(images[part], texts).max(axis=1)
        return out

    def _embed(self, side: str, activations: ArrayLike) -> tuple[Float64, Float64]:
        """Mean embedding and its diagonal variance, each (N, d)."""
        self._fitted()
        phi = as_floats(activations, f"{side}_activations").astype(np.float64)
        covariance = self.tensors_[f"{side}_activation_covariance"]
        expect_dimension(phi, f"{side}_activations", len(covariance))
        quadratic = np.einsum("ij,ij->i", phi @ covariance, phi)
        variance = np.outer(quadratic, self.tensors_[f"{side}_output_variance"])
        return phi @ self.tensors_[f"{side}_projection"].T, variance


def infonce_curvature(embeddings: ArrayLike, targets: ArrayLike, logit_scale: float) -> Float64:
    """Sum over rows of InfoNCE's Gauss-Newton matrix with respect to the embedding, (d, d).

    ``sum_n s^2 J_n Y^T (diag p_n - p_n p_n^T) Y J_n`` with ``J_n = I/|x_n| - x_n x_n^T/|x_n|^3``,
    Y the unit targets and p_n the softmax over them. Expanded into matrix products, so it costs
    N K d rather than N K d^2.

    >>> infonce_curvature([[2.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], 1.0).round(4)
    array([[0.    , 0.    ],
           [0.    , 0.0492]])
    """
    x = as_floats(embeddings, "embeddings").astype(np.float64)
    y = as_floats(targets, "targets").astype(np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    x = x / length
    y = y / np.linalg.norm(y, axis=1, keepdims=True)
    cosine = x @ y.T
    p = softmax(logit_scale * cosine)
    weight = p / length**2
    cross = x.T @ ((weight * cosine) @ y)
    second = y.T @ (weight.sum(axis=0)[:, None] * y) - cross - cross.T
    second += x.T @ ((weight * cosine**2).sum(axis=1)[:, None] * x)
    mean = p @ y
    mean = (mean - x * np.einsum("ij,ij->i", x, mean)[:, None]) / length
    return np.asarray(logit_scale**2 * (second - mean.T @ mean))


def prior_precision(
    side: Curvature, pseudo_data: float, evidence: Literal["kronecker", "released"]
) -> float:
    """The prior precision that the marginal likelihood prefers; see `BayesVLM` for the variants."""
    d, width = np.shape(side.projection)
    a = np.maximum(np.linalg.eigvalsh(side.activation), 0.0) * np.sqrt(pseudo_data)
    b = np.maximum(np.linalg.eigvalsh(side.output), 0.0) * np.sqrt(pseudo_data)
    a_weight, b_weight = (width, d) if evidence == "released" else (d / 2, width / 2)
    squared = float(np.square(side.projection).sum())
    count = d * width

    def loss(log_precision: float) -> float:
        root = np.exp(log_precision / 2)
        determinants = a_weight * np.log(a + root).sum() + b_weight * np.log(b + root).sum()
        return float(0.5 * root**2 * squared - 0.5 * count * log_precision + determinants)

    def slope(log_precision: float) -> float:
        root = np.exp(log_precision / 2)
        pull = a_weight * (root / (a + root)).sum() + b_weight * (root / (b + root)).sum()
        return float(0.5 * (root**2 * squared - count + pull))

    if evidence == "released":
        return float(np.exp(_adam(slope, np.log(300.0), rate=1e-2, steps=1000)))
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(loss, bounds=(-20, 20), method="bounded", options={"xatol": 1e-10})
    return float(np.exp(found.x))


def _adam(slope: Any, start: float, *, rate: float, steps: int) -> float:
    """Adam on one number, as torch does it."""
    value, mean, square = start, 0.0, 0.0
    for step in range(1, steps + 1):
        gradient = slope(value)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        value -= rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return value


def _projection(projection: ArrayLike, name: str, width: int) -> Float64:
    weight = as_floats(projection, f"{name}_projection").astype(np.float64)
    expect_dimension(weight, f"{name}_projection", width)
    return weight
