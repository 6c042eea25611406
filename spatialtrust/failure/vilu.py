"""ViLU: a small network that learns from image and texts together when the model is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import torch

from spatialtrust.errors import InputError
from spatialtrust.failure.base import FailurePredictor, LabelledData
from spatialtrust.failure.checks import (
    as_labels,
    expect_both_outcomes,
    expect_choice,
    expect_count,
    expect_positive,
    expect_rows,
    expect_widths,
    unit_rows,
)
from spatialtrust.failure.heads import ViLUHead, ZeroShot
from spatialtrust.failure.training import (
    Plan,
    confidence_loss,
    error_weight,
    give_weights,
    on_device,
    pick_device,
    seeded,
    train,
    weights_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from spatialtrust.arrays import Float64, Floats
    from spatialtrust.failure.training import Progress

    Outcome = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    """Of some rows: confidence logit, whether the prediction is right, probability of the truth."""

SCORE_ROWS = 4096
RELEASED_FREEZE = 1000


@dataclass
class ViLU(FailurePredictor):
    """Confidence logit of an MLP on ``(v, attended text, predicted text)``; higher = safer.

    Trained on whether the zero-shot prediction is right, from cached embeddings: with a fixed set
    of classes and identity projections the attended text is exactly ``P T``, so it is computed
    once and an epoch costs the MLP alone.

    Parameters
    ----------
    attention: "released" (what the code does: two matrices, the model's own logit scale, values =
        keys), "paper" (three matrices, 1/sqrt(d)), or "none" (ablation).
    predicted: whether the predicted class's text is an input.
    projection: "identity" (as the released ImageNet runs) or "learned" (as its CIFAR-10 runs); what
        was measured for captions stands in docs/classification.md.
    freeze_steps: training steps before learned projections move; None is 1,000 as released, and
        none for captions, of which a large batch leaves too few steps to wait.
    loss: "bce" on right or wrong, or "mse" on the true class's probability (ablation).
    weighting: weight of wrong rows, ``-log(error rate)`` of each "batch" (published), of the whole
        "dataset" (steadier for small batches and few errors), or "none" (ablation).
    widths: hidden layers.
    epochs, batch_size, learning_rate, momentum, weight_decay: SGD with the released warm-up and
        cosine decay.
    validation, patience: share held out for early stopping, and epochs to wait; 0 trains to the
        end, as released.
    seed, device: "auto" is the GPU where there is one.

    Uses: every labelled image given to `fit`, or pairs of image and caption. Computes in the
    precision of the embeddings. The released recipe trains on augmented views; on cached
    embeddings there are as many views as the cache holds.

    Source: Lafon et al. 2025, arXiv 2507.07620, section 3; released code for what differs.

    >>> rng = np.random.default_rng(0)
    >>> images, texts = rng.normal(size=(60, 8)), rng.normal(size=(3, 8))
    >>> model = ViLU(epochs=2, widths=(8,)).fit(images, texts, rng.integers(0, 3, 60))
    >>> model.score(images[:5], texts).shape
    (5,)
    """

    labelled_split: ClassVar[str] = "train"

    attention: Literal["released", "paper", "none"] = "released"
    predicted: bool = True
    projection: Literal["identity", "learned"] = "identity"
    loss: Literal["bce", "mse"] = "bce"
    weighting: Literal["batch", "dataset", "none"] = "batch"
    widths: tuple[int, ...] = (512, 256, 128)
    epochs: int = 100
    batch_size: int = 128
    learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    freeze_steps: int | None = None
    validation: float = 0.1
    patience: int = 10
    seed: int = 0
    device: str = "auto"

    def check(self) -> None:
        """Refuse parameters out of range."""
        expect_choice(self.attention, "attention", ("released", "paper", "none"))
        expect_choice(self.projection, "projection", ("identity", "learned"))
        expect_choice(self.loss, "loss", ("bce", "mse"))
        expect_choice(self.weighting, "weighting", ("batch", "dataset", "none"))
        expect_widths(self.widths)
        if self.freeze_steps is not None:
            expect_count(self.freeze_steps, "freeze_steps", 0)
        self._plan().check()

    def fit(
        self,
        images: ArrayLike,
        texts: ArrayLike,
        labels: ArrayLike,
        *,
        logit_scale: float = 100.0,
        progress: Progress | None = None,
    ) -> Self:
        """Learn from labelled images against a fixed set of class texts.

        Parameters
        ----------
        images: (N, d). texts: (K, d), one per class. labels: (N,) class indices.
        logit_scale: s of the model's ``z = s cos``.
        progress: called after each epoch with epochs done and epochs at most.

        Raises
        ------
        InputError: no prediction is wrong, or none is right.
        """
        self.check()
        v, t = _embeddings(images, texts)
        y = as_labels(labels, len(v), len(t))
        head = self._new_head(
            v.shape[1], logit_scale, v.dtype, learned=self.projection == "learned"
        )
        image_rows, text_rows, label_rows = on_device(head, v, t, y)
        known = ZeroShot.of_classes(image_rows, text_rows, label_rows, logit_scale, head)

        def forward(rows: torch.Tensor) -> Outcome:
            attended = None if known.attended is None else known.attended[rows]
            output = head(image_rows[rows], text_rows, known.chosen[rows], attended)
            return output, known.correct[rows], known.p_true[rows]

        history = self._train(head, len(v), forward, known.correct, progress)
        return self._keep(head, history, setting="train", labelled_rows=len(v))

    def fit_captions(
        self,
        images: ArrayLike,
        captions: ArrayLike,
        *,
        logit_scale: float = 100.0,
        progress: Progress | None = None,
    ) -> Self:
        """Learn from pairs: the captions of each batch are its candidates.

        Parameters
        ----------
        images, captions: (N, d); row i of one belongs to row i of the other. ``batch_size`` is the
            number of candidates, so it should be the number met in use; the last batch of an epoch
            holds what remains, fewer candidates than the others.
        logit_scale, progress: as in `fit`.
        """
        self.check()
        v, t = _embeddings(images, captions)
        expect_rows(t, "captions", len(v))
        if self.batch_size < 2:
            raise InputError("batch_size is 1; a caption needs at least one rival")
        head = self._new_head(
            v.shape[1],
            logit_scale,
            v.dtype,
            learned=self.projection == "learned",
            freeze_steps=0,
        )
        image_rows, text_rows = on_device(head, v, t)
        batches = zip(
            torch.split(image_rows, self.batch_size),
            torch.split(text_rows, self.batch_size),
            strict=True,
        )
        correct = torch.cat([ZeroShot.of_captions(*pair, logit_scale).correct for pair in batches])

        def forward(rows: torch.Tensor) -> Outcome:
            known = ZeroShot.of_captions(image_rows[rows], text_rows[rows], logit_scale)
            output = head(image_rows[rows], text_rows[rows], known.chosen)
            return output, known.correct, known.p_true

        history = self._train(head, len(v), forward, correct, progress)
        return self._keep(head, history, setting="pairs", labelled_rows=0)

    def score(self, images: ArrayLike, texts: ArrayLike) -> Float64:
        """Confidence logits (N,) of the predictions among any set of texts (K, d)."""
        return self._score(*self._fitted_embeddings(images, texts), rows=SCORE_ROWS)

    def score_captions(self, images: ArrayLike, captions: ArrayLike) -> Float64:
        """Confidence logits (N,) where each batch of ``batch_size`` captions is the candidate set.

        They depend on the batch, as the setting does.
        """
        v, t = self._fitted_embeddings(images, captions)
        expect_rows(t, "captions", len(v))
        batches = [
            slice(start, start + self.batch_size) for start in range(0, len(v), self.batch_size)
        ]
        parts = [self._score(v[part], t[part], rows=self.batch_size) for part in batches]
        return np.concatenate(parts) if parts else np.empty(0)

    def probability(self, images: ArrayLike, texts: ArrayLike) -> Float64:
        """Sigmoid of `score`, in [0, 1]: P(right) under the weighting used, not calibrated."""
        return np.asarray(1 / (1 + np.exp(-self.score(images, texts))))

    @property
    def labelled_data(self) -> LabelledData:
        """The labelled images `fit` has used; none after `fit_captions`."""
        facts = self._fitted()
        return LabelledData(str(facts["setting"]), int(facts["labelled_rows"]))

    def _train(
        self,
        head: ViLUHead,
        rows: int,
        forward: Callable[[torch.Tensor], Outcome],
        correct: torch.Tensor,
        progress: Progress | None,
    ) -> dict[str, Any]:
        expect_both_outcomes(correct.cpu().numpy(), "train split")
        overall = error_weight(correct) if self.weighting != "none" else 1.0

        def loss(batch: torch.Tensor) -> torch.Tensor:
            head.count_step()
            output, right, p_true = forward(batch)
            weight = error_weight(right) if self.weighting == "batch" else overall
            return confidence_loss(output, right, p_true, kind=self.loss, wrong_weight=weight)

        def validation_loss(batch: torch.Tensor) -> torch.Tensor:
            # One weight for all batches, or epochs could not be compared.
            return confidence_loss(*forward(batch), kind=self.loss, wrong_weight=overall)

        return train(head, rows, self._plan(), loss, validation_loss, progress)

    def _plan(self) -> Plan:
        return Plan(
            optimiser="sgd",
            learning_rate=self.learning_rate,
            epochs=self.epochs,
            batch_size=self.batch_size,
            validation=self.validation,
            patience=self.patience,
            seed=self.seed,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            warm_up=True,
        )

    def _score(self, images: Floats, texts: Floats, *, rows: int) -> Float64:
        head = self._new_head(
            images.shape[1],
            self.facts_["logit_scale"],
            images.dtype,
            learned=any(name.startswith("projections.") for name in self.tensors_),
        )
        give_weights(head, self.tensors_)
        image_rows, text_rows = on_device(head, images, texts)
        out = np.empty(len(images))
        with torch.no_grad():
            for start in range(0, len(images), rows):
                part = image_rows[start : start + rows]
                chosen = (part @ text_rows.T).argmax(dim=1)
                out[start : start + rows] = head(part, text_rows, chosen).cpu().numpy()
        return out

    def _new_head(
        self,
        dimension: int,
        logit_scale: float,
        dtype: np.dtype[Any],
        *,
        learned: bool,
        freeze_steps: int = RELEASED_FREEZE,
    ) -> ViLUHead:
        expect_positive(logit_scale, "logit_scale")
        with seeded(self.seed):
            head = ViLUHead(
                dimension,
                self.widths,
                attention=self.attention,
                predicted=self.predicted,
                learned=learned,
                freeze_steps=freeze_steps if self.freeze_steps is None else self.freeze_steps,
                logit_scale=logit_scale,
            )
        return head.to(device=pick_device(self.device), dtype=getattr(torch, dtype.name))

    def _keep(self, head: ViLUHead, history: dict[str, Any], **facts: Any) -> Self:
        return self._store(
            weights_of(head),
            dimension=head.dimension,
            logit_scale=head.logit_scale,
            **facts,
            **history,
        )

    def _fitted_embeddings(self, images: ArrayLike, texts: ArrayLike) -> tuple[Floats, Floats]:
        return _embeddings(images, texts, int(self._fitted()["dimension"]))


@dataclass
class LVU(ViLU):
    """The visual-only ablation of ViLU: the same network sees the image and no text.

    What the ViLU paper's "LVU" row is, judging by its released checkpoints (trained with weighted
    cross-entropy, not with the loss regression that the paper names; that is ``loss="mse"``).

    >>> rng = np.random.default_rng(0)
    >>> images, texts = rng.normal(size=(60, 8)), rng.normal(size=(3, 8))
    >>> model = LVU(epochs=2, widths=(8,)).fit(images, texts, rng.integers(0, 3, 60))
    >>> bool((model.score(images, texts) == model.score(images, -texts)).all())
    True
    """

    attention: Literal["none"] = "none"
    predicted: Literal[False] = False


def _embeddings(
    images: ArrayLike, texts: ArrayLike, dimension: int | None = None
) -> tuple[Floats, Floats]:
    """Unit rows of one space, in the images' precision."""
    v = unit_rows(images, "images", dimension)
    t = unit_rows(texts, "texts", v.shape[1])
    if len(t) < 2:
        raise InputError(f"texts: {len(t)} candidate; a choice needs at least two")
    return v, t.astype(v.dtype)
