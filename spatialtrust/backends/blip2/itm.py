"""BLIP-2 image-text matching: several claims of a picture in one row of the Q-Former.

Query tokens and text attend to each other, so each claim has its own queries; but all of them look
at the same picture. Packed side by side (a block mask keeps claims apart), they share the keys and
values that the cross-attention makes of the picture, about half of a claim's cost.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.backends.asking import Scores
from spatialtrust.backends.blip2.vision import ACTIVATIONS, picture_cost
from spatialtrust.backends.known import Known, tokenized
from spatialtrust.backends.layout import additive
from spatialtrust.backends.loading import (
    Checkpoint,
    load_image_processor,
    load_model,
    load_tokenizer,
)
from spatialtrust.backends.packing import pad
from spatialtrust.backends.preparing import Prepared, Prepares
from spatialtrust.questions.prompts import caption

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

    from spatialtrust.backends.batching import Budget
    from spatialtrust.backends.known import Tokens
    from spatialtrust.questions.prompts import Triple

_CAPTION: Final = 12
"""Tokens of a usual caption, for the size of a row."""


class MatchReader(Prepares):
    """Reads the match probability of a claim's caption."""

    def __init__(
        self, checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype, budget: Budget
    ) -> None:
        self.device, self.dtype, self.budget = device, dtype, budget
        self.model: Any = load_model(checkpoint, "Blip2ForImageTextRetrieval", device, dtype)
        self.tokenizer = load_tokenizer(checkpoint)
        self.tokens: Known[str, Tokens] = Known(partial(tokenized, self.tokenizer))
        self.processor = load_image_processor(checkpoint)
        config = self.model.config.qformer_config
        queries = self.model.query_tokens.shape[1]
        self._width = config.hidden_size
        self._limit = config.max_position_embeddings
        vision = self.model.config.vision_config
        patches = (vision.image_size // vision.patch_size) ** 2 + 1
        self._pack = pack_size(queries + _CAPTION, patches, vision.hidden_size)

    @property
    def picture_cost(self) -> float:
        """Bytes of activations per picture."""
        return picture_cost(self.model.config.vision_config, self.dtype)

    def encode(self, prepared: Sequence[Prepared]) -> Sequence[torch.Tensor]:
        """Patch states (P, h) per picture."""
        import torch

        with torch.inference_mode():
            states = self.model.vision_model(self.gathered(prepared)).last_hidden_state
        return [row.clone() for row in states]

    def spell(self, claim: Triple, prompt: str) -> str:
        """The claim's caption."""
        return caption(claim, prompt)

    def score(
        self, features: Sequence[torch.Tensor], picture: NDArray[np.int64], texts: Sequence[str]
    ) -> Scores:
        """See ``Reader.score``."""
        scores = Scores(len(texts))
        tokens = self.tokens(texts)
        lengths = np.array([len(ids) for ids in tokens])
        scores.status[lengths > self._limit] = "text_too_long"
        fits = np.flatnonzero(lengths <= self._limit)
        fits = fits[np.lexsort((lengths[fits], picture[fits]))]
        bounds = np.searchsorted(picture[fits], np.arange(len(features) + 1)).tolist()
        # Rows of even size, side by side with others of that size: what is padded is computed.
        packs: list[tuple[int, NDArray[np.int64]]] = [
            (place, rows)
            for place, (start, stop) in enumerate(pairwise(bounds))
            if stop > start
            for rows in np.array_split(fits[start:stop], math.ceil((stop - start) / self._pack))
        ]
        packs.sort(key=lambda pack: len(pack[1]))
        queries = self.model.query_tokens.shape[1]
        sizes = [queries * len(rows) + int(lengths[rows].sum()) for _, rows in packs]
        costs = [float(size * (ACTIVATIONS * self._width + size) * 4) for size in sizes]

        def forward(places: list[int]) -> None:
            self._forward([packs[place] for place in places], features, tokens, scores)

        for place, status in self.budget.run(costs, forward).items():
            scores.status[packs[place][1]] = status
        return scores

    def _forward(
        self,
        packs: Sequence[tuple[int, NDArray[np.int64]]],
        features: Sequence[torch.Tensor],
        tokens: Sequence[Sequence[int]],
        scores: Scores,
    ) -> None:
        import torch

        queries = self.model.query_tokens.shape[1]
        claims = max(len(rows) for _, rows in packs)
        ids, inside = pad(
            [list(chain.from_iterable(tokens[row] for row in rows)) for _, rows in packs], 0
        )
        lengths = np.array([len(tokens[row]) for _, rows in packs for row in rows])
        positions, texts = np.zeros_like(ids), np.full_like(ids, -1)
        positions[inside] = np.arange(inside.sum()) - np.repeat(
            np.cumsum(lengths) - lengths, lengths
        )
        # Which claim a place belongs to: queries of all claims first, then their texts. Padding
        # belongs to a claim that no other place has, and attends to itself.
        texts[inside] = np.repeat(
            np.concatenate([np.arange(len(rows)) for _, rows in packs]), lengths
        )
        asked = np.tile(np.repeat(np.arange(claims), queries), (len(packs), 1))
        owner = np.concatenate([asked, texts], axis=1)
        with torch.inference_mode():
            belongs = torch.from_numpy(owner).to(self.device)
            weights = self.model.qformer.layernorm.weight
            mask = additive(belongs[:, :, None] == belongs[:, None], weights.dtype)
            embedded = self.model.embeddings(
                input_ids=torch.from_numpy(ids).to(self.device),
                position_ids=torch.from_numpy(positions).to(self.device),
                query_embeds=self.model.query_tokens.repeat(len(packs), claims, 1),
            )
            states = self.model.qformer(
                query_embeds=embedded,
                query_length=claims * queries,
                attention_mask=mask,
                encoder_hidden_states=torch.stack([features[place] for place, _ in packs]),
            ).last_hidden_state[:, : claims * queries]
            head = self.model.itm_head
            logits = head(states.to(head.weight.dtype)).float()
            logits = logits.unflatten(1, (claims, queries)).mean(dim=2).cpu().numpy()
        for place, (_, rows) in enumerate(packs):
            margin = logits[place, : len(rows), 1] - logits[place, : len(rows), 0]
            _fill(scores, rows, margin)


def pack_size(tokens: int, patches: int, wide: int) -> int:
    """Claims per row that cost the fewest operations.

    Per claim, a row of n claims adds 1 / n of the picture's keys and values (two width x wide
    matrices for each patch, in every other layer) and attention to the n - 1 other claims
    (4 tokens^2 width per claim and layer): n = sqrt(patches wide / (2 tokens^2)).

    >>> pack_size(tokens=44, patches=257, wide=1408)
    10
    """
    return max(1, round(math.sqrt(patches * wide / 2) / tokens))


def _fill(scores: Scores, rows: NDArray[np.int64], margin: NDArray[np.float32]) -> None:
    p_yes = 1.0 / (1.0 + np.exp(-margin.clip(-80, 80)))
    both = np.stack([p_yes, 1.0 - p_yes]).clip(1e-12, 1.0)
    scores.margin[rows] = margin
    scores.p_yes[rows] = p_yes
    scores.mass[rows] = 1.0
    scores.entropy[rows] = -(both * np.log(both)).sum(axis=0)
