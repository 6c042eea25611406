"""TrustVLM: whether the image also looks like the class that the text picked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from spatialtrust.errors import InputError
from spatialtrust.failure.base import FailurePredictor
from spatialtrust.failure.checks import (
    as_floats,
    as_labels,
    as_logits,
    expect_choice,
    expect_count,
    expect_dimension,
    expect_number,
    expect_positive,
    expect_rows,
    softmax,
    unit_rows,
)
from spatialtrust.failure.confidence import mcm
from spatialtrust.numbers import as_numbers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from spatialtrust.arrays import Float64, Floats, Int64


@dataclass
class TrustVLM(FailurePredictor):
    """Text confidence plus the image's similarity to the predicted class's prototype.

    "plain": ``kappa = max softmax(z) + w cos(E(x), P_c)`` with c the predicted class; predictions
    stay the zero-shot ones.
    "star" (TrustVLM*): predict the argmax of ``q = softmax(z) + w softmax(cos(E(x), P) / T)``;
    ``kappa = max q + w cos(E(x), P_argmax)``. Its predictions differ (`predict`), so compare its
    ranking on its own correctness.

    Neither is a probability: plain lies in [-w, 1 + w], star in [-w, 1 + 2 w].

    Parameters
    ----------
    variant: "plain" or "star".
    weight: w; 1 everywhere in the released code but 0.1 on Oxford Pets.
    image_temperature: T of "star"; 0.01 or 0.1 per data set in the released code.
    shots: training images per class; None takes all.
    prototype: "mean" averages raw features, then scales to unit length (released);
        "mean-of-units" scales each shot first.
    fine_tune_steps: Adam steps of cross-entropy on the shots that move the prototypes (paper's
        fine-tuned variant; its hyper-parameters are not published, these are ours).
    seed: chooses the shots, class by class, so that other classes do not change them.

    Uses: ``shots`` labelled training images per class.

    Source: Dong et al. 2025 (TrustVLM), and its released code for what the paper leaves open.

    >>> features, logits = np.eye(4)[[0, 0, 1, 1]], np.array([[3.0, 0.0], [3.0, 0.0]])
    >>> model = TrustVLM(shots=2).fit(features, [0, 0, 1, 1])
    >>> model.score(logits, [[1.0, 0, 0, 0], [0, 1.0, 0, 0]]).round(3)  # looks like it; does not
    array([1.953, 0.953])
    """

    labelled_split: ClassVar[str] = "few-shot"

    variant: Literal["plain", "star"] = "plain"
    weight: float = 1.0
    image_temperature: float = 0.01
    shots: int | None = 16
    prototype: Literal["mean", "mean-of-units"] = "mean"
    fine_tune_steps: int = 0
    seed: int = 0

    def check(self) -> None:
        """Refuse parameters out of range."""
        expect_choice(self.variant, "variant", ("plain", "star"))
        expect_choice(self.prototype, "prototype", ("mean", "mean-of-units"))
        expect_positive(self.image_temperature, "image_temperature")
        expect_number(self.weight, "weight", 0)
        if self.shots is not None:
            expect_count(self.shots, "shots", 1)
        expect_count(self.fine_tune_steps, "fine_tune_steps", 0)
        expect_count(self.seed, "seed", 0)

    def fit(self, features: ArrayLike, labels: ArrayLike, *, classes: int | None = None) -> Self:
        """Build one prototype per class.

        Parameters
        ----------
        features: (N, e) raw features of any image encoder: CLIP's own, DINOv2's, another's.
        labels: (N,) class indices.
        classes: K; by default the largest label plus one.

        Raises
        ------
        InputError: for a class with fewer images than ``shots``, naming it.
        """
        self.check()
        x = as_floats(features, "features")
        known = classes or int(np.max(as_numbers(labels, "labels"), initial=1)) + 1
        y = as_labels(labels, len(x), known)
        chosen = self._choose(y, known)
        shots = unit_rows(x[chosen], "features") if self._units else x[chosen]
        counts = np.bincount(y[chosen], minlength=known)
        sums = np.zeros((known, x.shape[1]))
        np.add.at(sums, y[chosen], shots)
        prototypes = unit_rows(sums / counts[:, None], "prototypes")
        if self.fine_tune_steps:
            prototypes = self._fine_tune(prototypes, unit_rows(shots, "features"), y[chosen])
        shot_of_row = np.full(len(x), -1, dtype=np.int64)
        shot_of_row[chosen] = y[chosen]
        return self._store(
            {
                "prototypes": prototypes,
                "sums": sums,
                "counts": counts,
                "shot_of_row": shot_of_row,
            },
            labelled_rows=len(chosen),
        )

    def score(
        self, logits: ArrayLike, features: ArrayLike, *, fitted_rows: ArrayLike | None = None
    ) -> Float64:
        """Confidence kappa (N,), higher = safer.

        Parameters
        ----------
        logits: (N, K) of the zero-shot model, scale included.
        features: (N, e) from the encoder that made the prototypes.
        fitted_rows: (N,) each image's row in the features given to `fit`, -1 where it was not
            there. A shot is then left out of its own prototype, as it would otherwise vouch for
            itself.
        """
        z, similarity = self._similarity(logits, features, fitted_rows)
        if self.variant == "plain":
            chosen = z.argmax(axis=1)
            text = mcm(z)
        else:
            fused = self._fuse(z, similarity)
            chosen = fused.argmax(axis=1)
            text = fused.max(axis=1)
        return text + self.weight * np.take_along_axis(similarity, chosen[:, None], axis=1)[:, 0]

    def predict(
        self, logits: ArrayLike, features: ArrayLike, *, fitted_rows: ArrayLike | None = None
    ) -> Int64:
        """The class each score speaks of, (N,): the zero-shot one for "plain", q's for "star"."""
        z, similarity = self._similarity(logits, features, fitted_rows)
        fused = z if self.variant == "plain" else self._fuse(z, similarity)
        return np.asarray(fused.argmax(axis=1), dtype=np.int64)

    @property
    def prototypes(self) -> Floats:
        """Unit prototypes (K, e)."""
        self._fitted()
        return self.tensors_["prototypes"]

    @property
    def _units(self) -> bool:
        return self.prototype == "mean-of-units"

    def _fuse(self, z: Floats, similarity: Float64) -> Float64:
        return softmax(z) + self.weight * softmax(similarity, self.image_temperature)

    def _similarity(
        self, logits: ArrayLike, features: ArrayLike, fitted_rows: ArrayLike | None
    ) -> tuple[Floats, Float64]:
        """Logits, and cosines (N, K) to the prototypes."""
        prototypes = self.prototypes
        z = as_logits(logits)
        expect_dimension(z, "logits", len(prototypes))
        raw = as_floats(features, "features")
        expect_rows(raw, "features", len(z))
        units = unit_rows(raw, "features", prototypes.shape[1])
        similarity = (units @ prototypes.T).astype(np.float64)
        if fitted_rows is not None:
            rows, shot_of_row = np.asarray(fitted_rows), self.tensors_["shot_of_row"]
            if rows.shape != (len(z),) or (rows >= len(shot_of_row)).any():
                raise InputError(
                    f"fitted_rows: have shape {rows.shape} for {len(z)} images; give each image's "
                    f"row among the {len(shot_of_row)} given to fit, or -1"
                )
            shot_of = np.where(rows >= 0, shot_of_row[rows], -1)
            shot = np.flatnonzero(shot_of >= 0)
            if len(shot):
                own = units if self._units else raw
                similarity[shot, shot_of[shot]] = self._left_out(
                    own[shot], units[shot], shot_of[shot]
                )
        return z, similarity

    def _left_out(self, own: Floats, units: Floats, label: Int64) -> NDArray[np.float64]:
        """Cosines between shots and their class's prototype without them."""
        if self.fine_tune_steps:
            raise InputError(
                "fine-tuned prototypes have seen every shot, so none can be left out; score other "
                "images, or fit with fine_tune_steps=0"
            )
        if (self.tensors_["counts"][label] < 2).any():
            raise InputError("leaving a shot out needs at least two shots per class")
        rest = unit_rows(self.tensors_["sums"][label] - own, "prototypes")
        return np.asarray(np.einsum("ij,ij->i", units, rest))

    def _choose(self, labels: Int64, classes: int) -> Int64:
        chosen: list[NDArray[np.int64]] = []
        order = np.argsort(labels, kind="stable")
        starts = np.searchsorted(labels[order], np.arange(classes + 1))
        for label in range(classes):
            members = order[starts[label] : starts[label + 1]]
            wanted = self.shots or max(1, len(members))
            if len(members) < wanted:
                raise InputError(
                    f"class {label} has {len(members)} labelled images where {wanted} shots are "
                    f"asked; give more images, or shots={len(members) or 'fewer classes'}"
                )
            rng = np.random.default_rng([self.seed, label])
            chosen.append(np.sort(rng.choice(members, size=wanted, replace=False)))
        return np.concatenate(chosen)

    def _fine_tune(self, prototypes: Floats, shots: Floats, labels: Int64) -> NDArray[Any]:
        """Adam (rate 1e-3, full batch) on the cross-entropy of the shots, at image_temperature."""
        import torch

        weights = torch.tensor(prototypes, requires_grad=True)
        x, y = torch.tensor(shots, dtype=weights.dtype), torch.tensor(labels)
        optimiser = torch.optim.Adam([weights], lr=1e-3)
        for _ in range(self.fine_tune_steps):
            cosine = x @ torch.nn.functional.normalize(weights, dim=1).T
            loss = torch.nn.functional.cross_entropy(cosine / self.image_temperature, y)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        return unit_rows(weights.detach().numpy(), "prototypes")
