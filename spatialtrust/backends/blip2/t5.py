"""BLIP-2 with T5: picture and Q-Former shared, the encoder once per question.

T5's encoder lets the picture's tokens attend to the question, so nothing after the Q-Former is
common to two questions. A statement is scored by the decoder alone, from the picture's encoding,
which all statements share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spatialtrust.backends.asking import Scores
from spatialtrust.backends.blip2.replies import fill, loglik, read_states
from spatialtrust.backends.blip2.vision import ACTIVATIONS, GenerativeReader
from spatialtrust.backends.packing import pad

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from numpy.typing import NDArray


class T5Reader(GenerativeReader):
    """Reads replies and log-likelihoods off an encoder-decoder."""

    def score(
        self,
        features: Sequence[torch.Tensor],
        picture: NDArray[np.int64],
        texts: Sequence[tuple[str, bool]],
    ) -> Scores:
        """See ``Reader.score``."""
        scores = Scores(len(texts))
        tokens = self.tokens([text for text, _ in texts])
        asks = np.array([reply for _, reply in texts])
        lengths = np.array([len(ids) for ids in tokens])

        def run(wanted: NDArray[np.bool_], forward: Callable[[NDArray[np.int64]], None]) -> None:
            rows = np.flatnonzero(wanted)
            rows = rows[np.argsort(lengths[rows], kind="stable")]
            width = self.model.language_model.config.d_model
            costs = (lengths[rows] + len(features[0])) * (
                2.0 * ACTIVATIONS * width * self.dtype.itemsize
            )
            failures = self.budget.run(costs.tolist(), lambda places: forward(rows[places]))
            for place, status in failures.items():
                scores.status[rows[place]] = status

        run(asks, lambda rows: self._ask(rows, features, picture, tokens, scores))
        run(~asks, lambda rows: self._state(rows, features, picture, tokens, scores))
        return scores

    def _ask(
        self,
        rows: NDArray[np.int64],
        features: Sequence[torch.Tensor],
        picture: NDArray[np.int64],
        tokens: Sequence[Sequence[int]],
        scores: Scores,
    ) -> None:
        import torch

        with torch.inference_mode():
            ids, mask = self._pad([tokens[row] for row in rows])
            seen = torch.stack([features[place] for place in picture[rows]])
            encoded, mask = self._encode(seen, ids, mask)
            start = ids.new_full((len(rows), 1), self._start)
            states, head = self._decode(encoded, mask, start)
            reply = read_states(states[:, 0], head, self.spellings)
        fill(scores, rows, reply)

    def _state(
        self,
        rows: NDArray[np.int64],
        features: Sequence[torch.Tensor],
        picture: NDArray[np.int64],
        tokens: Sequence[Sequence[int]],
        scores: Scores,
    ) -> None:
        import torch

        with torch.inference_mode():
            # The end of text belongs to the question it ends, not to the claim.
            ids, mask = self._pad([tokens[row][:-1] for row in rows])
            places, owner = np.unique(picture[rows], return_inverse=True)
            seen = torch.stack([features[place] for place in places])
            end = ids.new_full((len(places), 1), self.tokenizer.eos_token_id)
            encoded, seen_mask = self._encode(seen, end, torch.ones_like(end))
            shifted = torch.cat([ids.new_full((len(rows), 1), self._start), ids[:, :-1]], dim=1)
            states, head = self._decode(encoded[owner], seen_mask[owner], shifted)
            inside = mask.bool()
            values = torch.zeros(ids.shape, dtype=torch.float32, device=self.device)
            values[inside] = loglik(states[inside], head, ids[inside])
            mean = values.sum(dim=1) / mask.sum(dim=1)
        scores.loglik_per_token[rows] = mean.cpu().numpy()

    @property
    def _start(self) -> int:
        return int(self.model.language_model.config.decoder_start_token_id)

    def _pad(self, sequences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        ids, inside = pad(sequences, self.tokenizer.pad_token_id)
        sent = torch.from_numpy(np.stack([ids, inside])).to(self.device)
        return sent[0], sent[1]

    def _encode(
        self, seen: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden states of picture and text, and which of them are not padding."""
        import torch

        language = self.model.language_model
        embedded = language.get_input_embeddings()(ids)
        whole = torch.cat([mask.new_ones(seen.shape[:2]), mask], dim=1)
        states = language.encoder(
            inputs_embeds=torch.cat([seen.to(embedded.dtype), embedded], dim=1),
            attention_mask=whole,
        ).last_hidden_state
        return states, whole

    def _decode(
        self, encoded: torch.Tensor, mask: torch.Tensor, ids: torch.Tensor
    ) -> tuple[torch.Tensor, Any]:
        """Last hidden states of the decoder, scaled as its head expects them, and the head."""
        language = self.model.language_model
        states = language.decoder(
            input_ids=ids,
            encoder_hidden_states=encoded,
            encoder_attention_mask=mask,
            use_cache=False,
        ).last_hidden_state
        if language.config.scale_decoder_outputs:
            states = states * language.config.d_model**-0.5
        return states, language.get_output_embeddings()
