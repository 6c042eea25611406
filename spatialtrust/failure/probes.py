"""Linear probes: what the same labels are worth to the plainest of methods.

As detectors of failure these are *ours*: no paper proposes them, and whoever proposes something
learned from as many labels has to beat them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from spatialtrust.errors import InputError
from spatialtrust.failure.base import FailurePredictor
from spatialtrust.failure.checks import (
    as_labels,
    as_logits,
    blocks,
    expect_both_outcomes,
    expect_choice,
    expect_dimension,
    expect_every_class,
    expect_positive,
    expect_rows,
    log_softmax,
    unit_rows,
)
from spatialtrust.failure.confidence import mcm

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from spatialtrust.arrays import Float64, Floats, Int64


@dataclass
class LinearProbe(FailurePredictor):
    """How probable a linear classifier of the image alone finds the predicted class, *ours*.

    ``log p_probe(y^ | v)`` with y^ the zero-shot prediction; with ``text`` the logarithm of `mcm`
    is added, so that a confident text and a confident probe must agree.

    Parameters
    ----------
    kind: "logistic" is multinomial logistic regression on ``sqrt(d) v``; "lda" is linear
        discriminant analysis, in closed form: ``v' S^-1 mu_k - mu_k' S^-1 mu_k / 2`` with class
        means mu_k and pooled covariance S + shrinkage tr(S)/d I.
    text: whether log MCM is added.
    shrinkage: of the covariance, for "lda".
    strength: inverse of the L2 penalty, for "logistic" (scikit-learn's C).

    Uses: every labelled image given to `fit`. Scores are at most 0.

    >>> rng = np.random.default_rng(0)
    >>> images, logits = rng.normal(size=(60, 8)), rng.normal(size=(60, 3))
    >>> model = LinearProbe("lda").fit(images, rng.integers(0, 3, 60))
    >>> model.score(logits, images).shape
    (60,)
    """

    labelled_split: ClassVar[str] = "train"

    kind: Literal["logistic", "lda"] = "logistic"
    text: bool = False
    shrinkage: float = 0.01
    strength: float = 1.0

    def check(self) -> None:
        """Refuse parameters out of range."""
        expect_choice(self.kind, "kind", ("logistic", "lda"))
        expect_positive(self.shrinkage, "shrinkage")
        expect_positive(self.strength, "strength")

    def fit(self, images: ArrayLike, labels: ArrayLike, *, classes: int | None = None) -> Self:
        """Learn the classes from embeddings (N, d) and labels (N,).

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
        fit = _lda if self.kind == "lda" else _logistic
        weights, offsets = fit(v, y, count, self.shrinkage if self.kind == "lda" else self.strength)
        return self._store(
            {"weights": weights, "offsets": offsets}, labelled_rows=len(v), dimension=v.shape[1]
        )

    def log_probabilities(self, images: ArrayLike) -> Float64:
        """What the probe itself says of every class, ``log p_k`` (N, K)."""
        v = unit_rows(images, "images", int(self._fitted()["dimension"]))
        return log_softmax(v @ self.tensors_["weights"].T + self.tensors_["offsets"])

    def score(self, logits: ArrayLike, images: ArrayLike) -> Float64:
        """Confidence (N,) in the zero-shot predictions, at most 0; higher = safer.

        Parameters
        ----------
        logits: (N, K) of the zero-shot model, scale included. images: (N, d) its embeddings.
        """
        dimension = int(self._fitted()["dimension"])
        z, v = predicted(logits, images, len(self.tensors_["offsets"]), dimension)
        return score_predicted(self.log_probabilities, z, v, text=self.text)


@dataclass
class CorrectnessProbe(FailurePredictor):
    """Logistic regression from the image to whether the zero-shot prediction is right, *ours*.

    ViLU's task and ViLU's labels without its texts and without its network.

    Parameters
    ----------
    strength: inverse of the L2 penalty (scikit-learn's C).

    Uses: every labelled image given to `fit`. Scores are log-odds.

    >>> rng = np.random.default_rng(0)
    >>> images, logits = rng.normal(size=(60, 8)), rng.normal(size=(60, 3))
    >>> CorrectnessProbe().fit(images, logits, rng.integers(0, 3, 60)).score(images).shape
    (60,)
    """

    labelled_split: ClassVar[str] = "train"

    strength: float = 1.0

    def check(self) -> None:
        """Refuse parameters out of range."""
        expect_positive(self.strength, "strength")

    def fit(self, images: ArrayLike, logits: ArrayLike, labels: ArrayLike) -> Self:
        """Learn from embeddings (N, d), the model's logits (N, K) and labels (N,).

        Raises
        ------
        InputError: no prediction is wrong, or none is right.
        """
        self.check()
        v, z = unit_rows(images, "images").astype(np.float64), as_logits(logits)
        expect_rows(v, "images", len(z))
        right = z.argmax(axis=1) == as_labels(labels, *z.shape)
        expect_both_outcomes(right, "train split")
        weights, offsets = _logistic(v, right.astype(np.int64), 2, self.strength)
        return self._store(
            {"weights": weights[1:] - weights[:1], "offsets": offsets[1:] - offsets[:1]},
            labelled_rows=len(v),
            dimension=v.shape[1],
        )

    def score(self, images: ArrayLike) -> Float64:
        """Log-odds (N,) that the prediction is right."""
        v = unit_rows(images, "images", int(self._fitted()["dimension"]))
        return np.asarray(v @ self.tensors_["weights"][0] + self.tensors_["offsets"][0], float)


def predicted(
    logits: ArrayLike, images: ArrayLike, classes: int, dimension: int
) -> tuple[Floats, Floats]:
    """Logits (N, K) and unit embeddings (N, d) of the same images, checked."""
    z = as_logits(logits)
    expect_dimension(z, "logits", classes)
    v = unit_rows(images, "images", dimension)
    expect_rows(v, "images", len(z))
    return z, v


def score_predicted(
    log_probabilities: Callable[[Floats], Float64], logits: Floats, images: Floats, *, text: bool
) -> Float64:
    """``log p_y^`` (N,) of the zero-shot predictions y^, with ``text`` plus log MCM.

    Parameters
    ----------
    log_probabilities: of every class, from embeddings.
    """
    out = np.empty(len(logits))
    for part in blocks(*logits.shape):
        chosen = logits[part].argmax(axis=1)
        p = log_probabilities(images[part])
        out[part] = np.take_along_axis(p, chosen[:, None], axis=1)[:, 0]
    return out + np.log(mcm(logits)) if text else out


def class_means(rows: Floats, labels: Int64, classes: int) -> Float64:
    """(classes, d) mean of each class; NaN where it has no row."""
    sums = np.zeros((classes, rows.shape[1]))
    np.add.at(sums, labels, rows)
    counts = np.bincount(labels, minlength=classes)[:, None]
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def pooled_covariance(rows: Floats, means: Float64, labels: Int64, ridge: float) -> Float64:
    """Covariance (d, d) within the classes, plus ``ridge tr(S)/d I``.

    Raises
    ------
    InputError: no class has two different rows: there is no spread to speak of.
    """
    inner = rows - means[labels]
    covariance = inner.T @ inner / len(rows)
    spread = float(np.trace(covariance)) / len(covariance)
    if spread <= 0:
        raise InputError(
            "labels: no class has two different images, so there is no spread within classes to "
            "learn; give more labelled images"
        )
    return np.asarray(covariance + ridge * spread * np.eye(len(covariance)))


def _lda(v: Float64, y: Int64, classes: int, shrinkage: float) -> tuple[Float64, Float64]:
    means = class_means(v, y, classes)
    covariance = pooled_covariance(v, means, y, shrinkage)
    weights = np.asarray(np.linalg.solve(covariance, means.T).T, dtype=np.float64)
    return weights, -0.5 * np.einsum("kd,kd->k", weights, means)


def _logistic(v: Float64, y: Int64, classes: int, strength: float) -> tuple[Float64, Float64]:
    """Weights (classes, d) and offsets (classes,) for unit rows, fitted at length sqrt(d)."""
    from sklearn.linear_model import LogisticRegression

    scale = np.sqrt(v.shape[1])
    model: Any = LogisticRegression(C=strength, max_iter=1000).fit(v * scale, y)
    weights, offsets = model.coef_ * scale, model.intercept_
    if classes == 2:  # scikit-learn keeps the second class's odds alone
        weights = np.vstack([np.zeros_like(weights), weights])
        offsets = np.append(0.0, offsets)
    return np.asarray(weights), np.asarray(offsets)
