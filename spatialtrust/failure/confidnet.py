"""ConfidNet: regress the probability that the model gives to the true class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import torch

from spatialtrust.failure.base import FailurePredictor
from spatialtrust.failure.checks import (
    as_floats,
    as_labels,
    as_logits,
    expect_both_outcomes,
    expect_choice,
    expect_dimension,
    expect_positive,
    expect_rows,
    expect_widths,
    softmax,
)
from spatialtrust.failure.training import (
    Plan,
    confidence_loss,
    give_weights,
    on_device,
    perceptron,
    pick_device,
    seeded,
    train,
    weights_of,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from spatialtrust.arrays import Float64
    from spatialtrust.failure.training import Progress


SCORE_ROWS = 4096


@dataclass
class ConfidNet(FailurePredictor):
    """Sigmoid of an MLP on image features, trained by squared error to the true class probability.

    Parameters
    ----------
    target: "tcp" (published) is ``p_y``; "tcp-ratio" is ``p_y / max p``; "correct" is right or
        wrong with cross-entropy.
    error_weight: weight of wrong rows.
    widths: hidden layers, four of 400 as published.
    epochs, batch_size, learning_rate: Adam.
    validation, patience, seed, device: as in `ViLU`.

    Uses: every labelled image given to `fit`; it can only learn where some predictions are wrong.
    Scores lie in [0, 1].

    Source: Corbiere et al. 2019, arXiv 1910.04851, sections 2.2 and 3.1. Its second stage, which
    tunes a copy of the encoder, does not apply to embeddings.

    >>> rng = np.random.default_rng(0)
    >>> features, logits = rng.normal(size=(60, 8)), rng.normal(size=(60, 3))
    >>> model = ConfidNet(epochs=2).fit(features, logits, rng.integers(0, 3, 60))
    >>> model.score(features[:5]).shape
    (5,)
    """

    labelled_split: ClassVar[str] = "train"

    target: Literal["tcp", "tcp-ratio", "correct"] = "tcp"
    error_weight: float = 1.0
    widths: tuple[int, ...] = (400, 400, 400, 400)
    epochs: int = 100
    batch_size: int = 128
    learning_rate: float = 1e-4
    validation: float = 0.1
    patience: int = 10
    seed: int = 0
    device: str = "auto"

    def check(self) -> None:
        """Refuse parameters out of range."""
        expect_choice(self.target, "target", ("tcp", "tcp-ratio", "correct"))
        expect_positive(self.error_weight, "error_weight")
        expect_widths(self.widths)
        self._plan().check()

    def fit(
        self,
        features: ArrayLike,
        logits: ArrayLike,
        labels: ArrayLike,
        *,
        progress: Progress | None = None,
    ) -> Self:
        """Learn from features (N, e), the frozen model's logits (N, K) and labels (N,).

        Parameters
        ----------
        progress: called after each epoch with epochs done and epochs at most.
        """
        self.check()
        x, z = as_floats(features, "features"), as_logits(logits)
        expect_rows(x, "features", len(z))
        y = as_labels(labels, *z.shape)
        correct = z.argmax(axis=1) == y
        expect_both_outcomes(correct, "train split")
        p = softmax(z)
        wanted = np.take_along_axis(p, y[:, None], axis=1)[:, 0]
        if self.target == "tcp-ratio":
            wanted /= p.max(axis=1)
        head = self._new_head(x.shape[1], x.dtype)
        inputs, right, targets = on_device(head, x, correct, wanted.astype(x.dtype))
        kind: Literal["bce", "mse"] = "bce" if self.target == "correct" else "mse"

        def loss(rows: torch.Tensor) -> torch.Tensor:
            output = head(inputs[rows]).squeeze(1)
            return confidence_loss(
                output, right[rows], targets[rows], kind=kind, wrong_weight=self.error_weight
            )

        history = train(head, len(x), self._plan(), loss, loss, progress)
        return self._store(weights_of(head), labelled_rows=len(x), dimension=x.shape[1], **history)

    def score(self, features: ArrayLike) -> Float64:
        """Predicted probability of the true class, (N,) in [0, 1]."""
        dimension = int(self._fitted()["dimension"])
        x = as_floats(features, "features")
        expect_dimension(x, "features", dimension)
        head = self._new_head(dimension, x.dtype)
        give_weights(head, self.tensors_)
        (inputs,) = on_device(head, x)
        with torch.no_grad():
            parts = [
                torch.sigmoid(head(part)).squeeze(1) for part in torch.split(inputs, SCORE_ROWS)
            ]
        return torch.cat(parts).cpu().numpy().astype(np.float64)

    def _plan(self) -> Plan:
        return Plan(
            optimiser="adam",
            learning_rate=self.learning_rate,
            epochs=self.epochs,
            batch_size=self.batch_size,
            validation=self.validation,
            patience=self.patience,
            seed=self.seed,
        )

    def _new_head(self, dimension: int, dtype: np.dtype[Any]) -> torch.nn.Module:
        with seeded(self.seed):
            head = perceptron(dimension, [*self.widths, 1])
        return head.to(device=pick_device(self.device), dtype=getattr(torch, dtype.name))
