"""Class Gaussians in PCA space: whether the image lies where its class's images lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from spatialtrust.failure.base import FailurePredictor
from spatialtrust.failure.checks import (
    expect_count,
    expect_every_class,
    expect_positive,
    expect_share,
    log_softmax,
    unit_rows,
)
from spatialtrust.failure.probes import class_means, pooled_covariance, predicted, score_predicted

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from spatialtrust.arrays import Float64


@dataclass
class ClassGaussians(FailurePredictor):
    """Log-probability of the predicted class under Gaussians of all classes, plus log MCM, *ours*.

    After ICPE, which joins class-wise embeddings in PCA space with the similarity of image and
    text; its exact estimator was not at hand, so these formulas are ours. Embeddings are projected
    on their leading components; class k has the covariance ``own C_k + (1 - own) C + ridge tr/r I``
    of its own and the pooled one; ``score = log p_y^ + log MCM``. Nothing is trained.

    Parameters
    ----------
    components: r, at most; fewer where there are fewer dimensions or images.
    own: share of a class's own covariance.
    ridge: added to the diagonal, as a share of its mean.
    text: whether log MCM is added.

    Uses: every labelled image given to `fit`; about ten a class are enough. Scores are at most 0.

    Source: the idea is arXiv 2511.22019 (ICPE, WACV 2026).

    >>> rng = np.random.default_rng(0)
    >>> images, logits = rng.normal(size=(60, 8)), rng.normal(size=(60, 3))
    >>> model = ClassGaussians(components=4).fit(images, rng.integers(0, 3, 60))
    >>> model.score(logits, images).shape
    (60,)
    """

    labelled_split: ClassVar[str] = "train"

    components: int = 64
    own: float = 0.3
    ridge: float = 1e-4
    text: bool = True

    def check(self) -> None:
        """Refuse parameters out of range."""
        expect_count(self.components, "components", 1)
        expect_share(self.own, "own")
        expect_positive(self.ridge, "ridge")

    def fit(self, images: ArrayLike, labels: ArrayLike, *, classes: int | None = None) -> Self:
        """Learn one Gaussian per class from embeddings (N, d) and labels (N,).

        Parameters
        ----------
        classes: K; by default the largest label plus one.

        Raises
        ------
        InputError: for a class without a labelled image, naming it.
        """
        self.check()
        v = unit_rows(images, "images").astype(np.float64)
        y, count = expect_every_class(labels, len(v), classes)
        centre = v.mean(axis=0)
        _, vectors = np.linalg.eigh((v - centre).T @ (v - centre))
        rank = min(self.components, v.shape[1], max(1, len(v) - 1))
        basis = vectors[:, ::-1][:, :rank]
        x = (v - centre) @ basis
        means = class_means(x, y, count)
        pooled = pooled_covariance(x, means, y, self.ridge)
        whitening, half_determinants = np.empty((count, rank, rank)), np.empty(count)
        order = np.argsort(y, kind="stable")
        for label, rows in enumerate(np.split(order, np.cumsum(np.bincount(y))[:-1])):
            inner = x[rows] - means[label]
            covariance = self.own * (inner.T @ inner) / len(rows) + (1 - self.own) * pooled
            covariance[np.diag_indices(rank)] += self.own * self.ridge * np.trace(pooled) / rank
            root = np.linalg.cholesky(covariance)
            whitening[label] = np.linalg.solve(root, np.eye(rank))
            half_determinants[label] = np.log(root.diagonal()).sum()
        return self._store(
            {
                "centre": centre,
                "basis": np.ascontiguousarray(basis),
                "means": means,
                "whitening": whitening,
                "half_determinants": half_determinants,
            },
            labelled_rows=len(v),
            dimension=v.shape[1],
        )

    def log_probabilities(self, images: ArrayLike) -> Float64:
        """What the Gaussians say of every class, all equally likely before, ``log p_k`` (N, K)."""
        v = unit_rows(images, "images", int(self._fitted()["dimension"]))
        x = (v - self.tensors_["centre"]) @ self.tensors_["basis"]
        density = np.empty((len(x), len(self.tensors_["means"])))
        parts = zip(
            self.tensors_["means"],
            self.tensors_["whitening"],
            self.tensors_["half_determinants"],
            strict=True,
        )
        for label, (mean, whitening, half_determinant) in enumerate(parts):
            white = (x - mean) @ whitening.T
            density[:, label] = -0.5 * np.einsum("ij,ij->i", white, white) - half_determinant
        return log_softmax(density)

    def score(self, logits: ArrayLike, images: ArrayLike) -> Float64:
        """Confidence (N,) in the zero-shot predictions, at most 0; higher = safer.

        Parameters
        ----------
        logits: (N, K) of the zero-shot model, scale included. images: (N, d) its embeddings.
        """
        dimension = int(self._fitted()["dimension"])
        z, v = predicted(logits, images, len(self.tensors_["means"]), dimension)
        return score_predicted(self.log_probabilities, z, v, text=self.text)
