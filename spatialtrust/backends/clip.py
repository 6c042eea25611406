"""CLIP and SigLIP: a claim's caption against its alternatives, and embeddings.

``p_yes`` is the softmax mass of the claim's caption among the captions it competes with
(``prompts.alternatives``); CLIP has no absolute notion of true. Text embeddings are kept for the
whole run. CLIP's text model is causal, so captions share their beginnings (``packing.py``);
SigLIP's is not.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.backends import asking
from spatialtrust.backends.batching import Budget
from spatialtrust.backends.known import numbered
from spatialtrust.backends.layout import additive, lay
from spatialtrust.backends.loading import (
    Checkpoint,
    device_of,
    dtype_of,
    load_image_processor,
    load_model,
    load_tokenizer,
    locate,
)
from spatialtrust.backends.looking import embed
from spatialtrust.backends.packing import best_size, plant
from spatialtrust.backends.preparing import Prepared, Prepares
from spatialtrust.errors import BackendError
from spatialtrust.questions.prompts import STATEMENT, alternatives, caption

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

    from spatialtrust.arrays import Pixels
    from spatialtrust.backends.base import Options
    from spatialtrust.questions.prompts import Triple

_CLASSES: Final = {"clip": "CLIPModel", "siglip": "SiglipModel"}
_ACTIVATIONS: Final = 16
_KEPT_TEXTS: Final = 100_000
"""Text embeddings that are remembered: 200 MB at 512 numbers each."""


class ClipReader(Prepares):
    """The loaded model: embeds pictures and texts, scores captions."""

    def __init__(self, checkpoint: Checkpoint, options: Options, budget: Budget) -> None:
        self.device = device_of(options)
        self.dtype = dtype_of(options, self.device)
        self.budget = budget
        self.causal = checkpoint.model_type == "clip"
        self.model: Any = load_model(
            checkpoint, _CLASSES[checkpoint.model_type], self.device, self.dtype
        )
        self.tokenizer = load_tokenizer(checkpoint)
        self.processor = load_image_processor(checkpoint)
        self.logit_scale = float(self.model.logit_scale.detach().exp())
        self._texts: dict[str, NDArray[np.float32] | str] = {}

    @property
    def picture_cost(self) -> float:
        """Bytes of activations per picture."""
        config = self.model.config.vision_config
        patches = (config.image_size // config.patch_size) ** 2 + 1
        return float(patches * config.hidden_size * _ACTIVATIONS * self.dtype.itemsize)

    def encode(self, prepared: Sequence[Prepared]) -> Sequence[NDArray[np.float32]]:
        """Unit embedding (d,) per picture."""
        import torch

        with torch.inference_mode():
            values = self.gathered(prepared)
            found = self.model.get_image_features(pixel_values=values).pooler_output
        return list(_unit(found))

    def spell(self, claim: Triple, prompt: str) -> tuple[str, ...]:
        """The claim's caption, first, and its alternatives; a statement has none."""
        return (caption(claim, prompt),) if prompt == STATEMENT else alternatives(claim, prompt)

    def score(
        self,
        features: Sequence[NDArray[np.float32]],
        picture: NDArray[np.int64],
        texts: Sequence[tuple[str, ...]],
    ) -> asking.Scores:
        """See ``Reader.score``."""
        scores = asking.Scores(len(texts))
        captions, which = numbered([text for ask in texts for text in ask])
        found = list(self.embed(captions).values())
        seen = np.stack(features)
        unknown = np.full_like(seen[0], np.nan)
        table = np.stack([unknown if isinstance(row, str) else row for row in found])
        counts = np.array([len(ask) for ask in texts])
        first = np.cumsum(counts) - counts
        for size in np.unique(counts):
            rows = np.flatnonzero(counts == size)
            said = which[first[rows, None] + np.arange(size)]
            cosine = np.einsum("rkd,rd->rk", table[said], seen[picture[rows]])
            fits = np.isfinite(cosine).all(axis=1)
            self._compare(scores, rows[fits], cosine[fits])
            for row, asked in zip(rows[~fits], said[~fits], strict=True):
                scores.status[row] = next(
                    f for f in (found[t] for t in asked) if isinstance(f, str)
                )
        return scores

    def _compare(
        self, scores: asking.Scores, rows: NDArray[np.int64], cosine: NDArray[np.float32]
    ) -> None:
        scores.similarity[rows] = cosine[:, 0]
        if cosine.shape[1] == 1:
            return
        logits = self.logit_scale * cosine.astype(np.float64)
        others = np.logaddexp.reduce(logits[:, 1:], axis=1)
        margin = logits[:, 0] - others
        logp = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        scores.margin[rows] = margin
        scores.p_yes[rows] = np.exp(logp[:, 0])
        scores.entropy[rows] = -(np.exp(logp) * logp).sum(axis=1)
        scores.mass[rows] = 1.0

    def embed(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32] | str]:
        """Unit embedding (d,) of each text, or why it has none; computed once a run."""
        new = [text for text in texts if text not in self._texts]
        if len(self._texts) + len(new) > _KEPT_TEXTS:
            known = {text: self._texts[text] for text in texts if text in self._texts}
            self._texts = known
        if new:
            tokens: list[list[int]] = self.tokenizer(new)["input_ids"]
            limit = self.model.config.text_config.max_position_embeddings
            short = [place for place, ids in enumerate(tokens) if len(ids) <= limit]
            self._texts.update((text, "text_too_long") for text in new)
            self._embed([new[place] for place in short], [tokens[place] for place in short])
        return {text: self._texts[text] for text in texts}

    def _embed(self, texts: Sequence[str], tokens: Sequence[Sequence[int]]) -> None:
        config = self.model.config.text_config
        token_cost = config.hidden_size * _ACTIVATIONS * self.dtype.itemsize
        if self.causal:
            # The library refuses rows longer than its positions, whatever positions they use.
            size = min(best_size(config.hidden_size, shared=2), config.max_position_embeddings)
            trees = plant(tokens, size)
            groups = [tree.sequences.tolist() for tree in trees]
            costs = [float(len(tree) * token_cost) for tree in trees]
        else:
            trees = []
            groups = [[place] for place in range(len(texts))]
            costs = [float(config.max_position_embeddings * token_cost)] * len(texts)

        def forward(places: list[int]) -> None:
            members = [text for place in places for text in groups[place]]
            if self.causal:
                states = self._causal([trees[place] for place in places])
            else:
                states = self._padded([texts[member] for member in members])
            for member, row in zip(members, states, strict=True):
                self._texts[texts[member]] = row

        for place, status in self.budget.run(costs, forward).items():
            self._texts.update((texts[member], status) for member in groups[place])

    def _causal(self, trees: Sequence[Any]) -> NDArray[np.float32]:
        """Embeddings of the texts of some trees, in the trees' order."""
        import torch

        with torch.inference_mode():
            rows = lay(trees, self.device)
            states = self.model.text_model(
                input_ids=rows.tokens,
                attention_mask=additive(rows.visible, self.dtype),
                position_ids=rows.positions,
            ).last_hidden_state
            row = np.repeat(np.arange(len(trees)), [len(tree.sequences) for tree in trees])
            leaf = rows.places[row, np.concatenate([tree.leaves for tree in trees])]
            return _unit(self.model.text_projection(states[row, leaf]))

    def _padded(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings of texts padded to the full length, as SigLIP was trained."""
        import torch

        ids = self.tokenizer(
            list(texts),
            padding="max_length",
            max_length=self.model.config.text_config.max_position_embeddings,
            return_tensors="pt",
        )["input_ids"]
        with torch.inference_mode():
            found = self.model.get_text_features(input_ids=ids.to(self.device)).pooler_output
        return _unit(found)


class Clip(asking.ReadingAsker):
    """An ``Asker`` and ``Embedder``; weights load at first use."""

    def __init__(self, checkpoint: Checkpoint, reference: str, options: Options) -> None:
        super().__init__(reference, options)
        self.revision = checkpoint.revision
        self._checkpoint = checkpoint

    @cached_property
    def reader(self) -> ClipReader:
        """The loaded model."""
        return ClipReader(self._checkpoint, self._options, self._budget)

    @property
    def logit_scale(self) -> float:
        """Factor from cosine to logit."""
        return self.reader.logit_scale

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """Float32 (N, d), unit rows.

        Raises
        ------
        BackendError: an image cannot be embedded.
        """
        rows = embed(images, self.reader, self._budget, self.reference)
        return np.stack(rows) if rows else np.zeros((0, self._width), dtype=np.float32)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Float32 (N, d), unit rows.

        Raises
        ------
        BackendError: a text is longer than the model reads.
        """
        found = self.reader.embed(texts)
        for text, row in found.items():
            if isinstance(row, str):
                raise BackendError(f'{self.reference}: "{text[:60]}" has no embedding: {row}')
        rows = [found[text] for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self._width), dtype=np.float32)

    @property
    def _width(self) -> int:
        config = self.reader.model.config
        return int(getattr(config.text_config, "projection_size", None) or config.projection_dim)


def open_backend(target: str, reference: str, options: Options) -> Clip:
    """Find the files of a CLIP or SigLIP; see ``registry.py``."""
    return Clip(locate(target, reference, tuple(_CLASSES)), reference, options)


def _unit(rows: torch.Tensor) -> NDArray[np.float32]:
    from torch.nn.functional import normalize

    unit: NDArray[np.float32] = normalize(rows.float(), dim=-1).cpu().numpy()
    return unit
