"""What both generative BLIP-2 share: from a picture to the tokens that the language model sees."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from spatialtrust.backends.blip2.replies import spellings
from spatialtrust.backends.known import Known, tokenized
from spatialtrust.backends.loading import (
    Checkpoint,
    load_image_processor,
    load_model,
    load_tokenizer,
)
from spatialtrust.backends.preparing import Prepared, Prepares
from spatialtrust.questions.prompts import STATEMENT, question

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from spatialtrust.backends.batching import Budget
    from spatialtrust.backends.known import Tokens
    from spatialtrust.questions.prompts import Triple

ACTIVATIONS = 16
"""Tensors of a layer's width that are alive at once while a transformer layer runs."""


class GenerativeReader(Prepares):
    """Base of the OPT and T5 readers: sees pictures and words prompts."""

    def __init__(
        self, checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype, budget: Budget
    ) -> None:
        self.device, self.dtype, self.budget = device, dtype, budget
        self.model: Any = load_model(checkpoint, "Blip2ForConditionalGeneration", device, dtype)
        self.tokenizer = load_tokenizer(checkpoint)
        self.processor = load_image_processor(checkpoint)
        self.tokens: Known[str, Tokens] = Known(partial(tokenized, self.tokenizer))
        self.spellings = spellings(self.tokenizer, checkpoint.folder)

    @property
    def picture_cost(self) -> float:
        """Bytes of activations per picture."""
        return picture_cost(self.model.config.vision_config, self.dtype)

    def encode(self, prepared: Sequence[Prepared]) -> Sequence[torch.Tensor]:
        """Query tokens in the language model's space, (Q, d) per picture."""
        import torch

        with torch.inference_mode():
            values = self.gathered(prepared)
            seen = self.model.vision_model(values).last_hidden_state
            queries = self.model.query_tokens.expand(len(seen), -1, -1)
            # No mask: every patch of every picture is attended to.
            summary = self.model.qformer(
                query_embeds=queries, encoder_hidden_states=seen
            ).last_hidden_state
            tokens = self.model.language_projection(summary.to(seen.dtype))
        # Rows of their own: a view would keep the whole batch alive.
        return [row.clone() for row in tokens]

    def spell(self, claim: Triple, prompt: str) -> tuple[str, bool]:
        """The prompt's text, and whether it asks for a reply."""
        text = question(claim, prompt)
        return (text, False) if prompt == STATEMENT else (f"Question: {text} Answer:", True)


def picture_cost(config: Any, dtype: torch.dtype) -> float:
    """Bytes of activations that a vision transformer takes per picture."""
    patches = (config.image_size // config.patch_size) ** 2 + 1
    return float(patches * config.hidden_size * ACTIVATIONS * dtype.itemsize)
