"""ViLU's network: cross-attention from an image to the candidate texts, then a perceptron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from spatialtrust.failure.checks import CAPTION_TIE
from spatialtrust.failure.training import perceptron

if TYPE_CHECKING:
    from collections.abc import Sequence

Attention = Literal["released", "paper", "none"]


class ViLUHead(torch.nn.Module):
    """Confidence logit from ``(v, attended text, predicted text)``.

    Attention "released": ``softmax(s (W_v v) (W_t T)^T) W_t T``; values are the keys.
    "paper": ``softmax((W_q v) (W_k T)^T / sqrt(d)) W_v T``.
    Projections start as the identity and are bypassed for the first ``freeze_steps`` training
    steps, or always where ``learned`` is False.
    """

    steps: torch.Tensor

    def __init__(
        self,
        dimension: int,
        widths: Sequence[int],
        *,
        attention: Attention,
        predicted: bool,
        learned: bool,
        freeze_steps: int,
        logit_scale: float,
    ) -> None:
        super().__init__()
        self.attention, self.predicted = attention, predicted
        self.dimension, self.logit_scale = dimension, float(logit_scale)
        self.freeze_steps = freeze_steps
        self.sharpness = self.logit_scale if attention == "released" else dimension**-0.5
        inputs = dimension * (1 + (attention != "none") + predicted)
        self.mlp = perceptron(inputs, [*widths, 1])
        names = {"released": ("v", "t"), "paper": ("q", "k", "v"), "none": ()}[attention]
        self.projections = torch.nn.ModuleDict()
        if learned:
            for name in names:
                linear = torch.nn.Linear(dimension, dimension, bias=False)
                torch.nn.init.eye_(linear.weight)
                self.projections[name] = linear
        self.register_buffer("steps", torch.tensor(0))

    @property
    def frozen(self) -> bool:
        """Whether the projections are bypassed now."""
        return not self.projections or int(self.steps) <= self.freeze_steps

    def count_step(self) -> None:
        """Note one training step; the released code counts them before each forward pass."""
        self.steps += 1

    def attend(self, images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        """The attended text of each image, (B, d)."""
        query, key, value = images, texts, texts
        if not self.frozen:
            if self.attention == "released":
                query, key = self.projections["v"](images), self.projections["t"](texts)
                value = key
            else:
                query, key = self.projections["q"](images), self.projections["k"](texts)
                value = self.projections["v"](texts)
        weights: torch.Tensor = torch.softmax(self.sharpness * query @ key.T, dim=1)
        return weights @ value

    def forward(
        self,
        images: torch.Tensor,
        texts: torch.Tensor,
        chosen: torch.Tensor,
        attended: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Confidence logits (B,).

        Parameters
        ----------
        images: (B, d) unit rows. texts: (K, d) unit rows. chosen: (B,) predicted text.
        attended: (B, d) attended texts computed earlier; used while the projections are bypassed,
            when they are exactly ``P T`` and never change.
        """
        parts = [images]
        if self.attention != "none":
            known = attended is not None and self.frozen
            parts.append(attended if known else self.attend(images, texts))  # type: ignore[arg-type]
        if self.predicted:
            parts.append(texts[chosen])
        output: torch.Tensor = self.mlp(torch.cat(parts, dim=1))
        return output.squeeze(1)


@dataclass(frozen=True)
class ZeroShot:
    """What the frozen model says of a set of images: everything a step needs besides the MLP.

    chosen: (N,) predicted text. correct: (N,) bool. p_true: (N,) probability of the true text.
    attended: (N, d) attended texts under identity projections, or None.
    """

    chosen: torch.Tensor
    correct: torch.Tensor
    p_true: torch.Tensor
    attended: torch.Tensor | None

    @classmethod
    def of_classes(
        cls,
        images: torch.Tensor,
        texts: torch.Tensor,
        labels: torch.Tensor,
        logit_scale: float,
        head: ViLUHead,
        *,
        rows: int = 4096,
    ) -> ZeroShot:
        """Computed once for a fixed set of classes, block by block."""
        chosen = torch.empty_like(labels)
        p_true = torch.empty_like(images[:, 0])
        attended = torch.empty_like(images) if head.attention != "none" else None
        for start in range(0, len(images), rows):
            part = slice(start, start + rows)
            cosine = images[part] @ texts.T
            p = torch.softmax(logit_scale * cosine, dim=1)
            chosen[part] = cosine.argmax(dim=1)
            p_true[part] = p.gather(1, labels[part, None])[:, 0]
            if attended is not None:
                if head.attention == "paper":
                    p = torch.softmax(head.sharpness * cosine, dim=1)
                attended[part] = p @ texts
        return cls(chosen, chosen == labels, p_true, attended)

    @classmethod
    def of_captions(
        cls, images: torch.Tensor, captions: torch.Tensor, logit_scale: float
    ) -> ZeroShot:
        """For one batch whose captions are each other's candidates; row i belongs to caption i.

        Correct where the own caption's similarity equals the largest, so that the same caption
        twice in a batch counts as right (to rounding: `CAPTION_TIE`).
        """
        logits = logit_scale * images @ captions.T
        own = logits.diagonal()
        p_true = torch.exp(own - torch.logsumexp(logits, dim=1))
        return cls(
            logits.argmax(dim=1),
            own >= logits.max(dim=1).values - CAPTION_TIE * logit_scale,
            p_true,
            None,
        )
