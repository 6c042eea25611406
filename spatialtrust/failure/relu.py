"""Rel-U: which pairs of classes, when they share the probability, mean trouble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from spatialtrust.failure.base import FailurePredictor
from spatialtrust.failure.checks import (
    as_labels,
    as_logits,
    blocks,
    expect_both_outcomes,
    expect_dimension,
    expect_positive,
    expect_share,
    softmax,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from spatialtrust.arrays import Float64, Floats


@dataclass
class RelU(FailurePredictor):
    """Relative uncertainty ``-p^T D p`` with a learned distance D between classes.

    ``D`` is proportional to ``max(0, lambda mean(p- p-^T) - (1 - lambda) mean(p+ p+^T))`` off its
    diagonal, with p- and p+ the probabilities of wrong and right predictions, scaled to unit
    Frobenius norm. Where no entry is positive, D is constant off its diagonal and the score ranks
    as Gini impurity does.

    Any number of classes works (the released code drops the last of an odd number).

    Parameters
    ----------
    balance: lambda in [0, 1], the weight of wrong predictions.
    temperature: softmax temperature, in fitting and scoring.

    Uses: labels of the calibration split. Scores are negated uncertainties, at most 0.

    Source: Dadalto et al. 2024, arXiv 2306.01710, prop. 4.1.

    >>> logits = np.array([[2.0, 0, 0], [0, 2, 0], [0, 1, 0.9], [0, 0, 2]])
    >>> model = RelU().fit(logits, [0, 1, 2, 2])
    >>> model.score([[2.0, 0, 0], [0, 1, 0.9]]).round(3)  # sharing between 1 and 2 costs most
    array([-0.033, -0.26 ])
    """

    labelled_split: ClassVar[str] = "calibration"

    balance: float = 0.5
    temperature: float = 1.0

    def check(self) -> None:
        """Refuse parameters out of range."""
        expect_positive(self.temperature, "temperature")
        expect_share(self.balance, "balance")

    def fit(self, logits: ArrayLike, labels: ArrayLike) -> Self:
        """Learn D from a labelled split.

        Raises
        ------
        InputError: the split holds no wrong or no right prediction: there is nothing to contrast.
        """
        self.check()
        z = as_logits(logits)
        y = as_labels(labels, *z.shape)
        wrong = z.argmax(axis=1) != y
        expect_both_outcomes(~wrong, "calibration split")
        distance = self.balance * self._mean_outer(z[wrong])
        distance -= (1 - self.balance) * self._mean_outer(z[~wrong])
        np.fill_diagonal(distance, 0.0)
        distance = np.maximum(distance, 0.0)
        if not distance.any():
            distance = 1.0 - np.eye(z.shape[1])
        return self._store(
            {"distance": distance / np.linalg.norm(distance)},
            labelled_rows=len(y),
            errors=int(wrong.sum()),
        )

    @property
    def distance(self) -> NDArray[np.float64]:
        """The learned distance between classes (K, K): symmetric, zero diagonal, unit norm."""
        self._fitted()
        return self.tensors_["distance"]

    def score(self, logits: ArrayLike) -> Float64:
        """Negated relative uncertainty (N,), at most 0."""
        distance = self.distance
        z = as_logits(logits)
        expect_dimension(z, "logits", len(distance))
        out = np.empty(len(z))
        for part in blocks(*z.shape):
            p = softmax(z[part], self.temperature)
            out[part] = -np.einsum("ij,ij->i", p @ distance, p)
        return out

    def _mean_outer(self, logits: Floats) -> NDArray[np.float64]:
        total = np.zeros((logits.shape[1], logits.shape[1]))
        for part in blocks(*logits.shape):
            p = softmax(logits[part], self.temperature)
            total += p.T @ p
        return total / len(logits)
