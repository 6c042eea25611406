"""BLIP-2 with OPT, a causal language model: all texts asked of a picture share one row.

The picture's query tokens come first, the texts follow as a prefix tree, so the language model sees
the picture once and every common beginning once (``packing.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spatialtrust.backends.asking import Scores
from spatialtrust.backends.blip2.replies import loglik, read_states
from spatialtrust.backends.blip2.vision import ACTIVATIONS, GenerativeReader
from spatialtrust.backends.packing import Tree, best_size, plant, stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray


class OptReader(GenerativeReader):
    """Reads replies and log-likelihoods off a causal language model."""

    def score(
        self,
        features: Sequence[torch.Tensor],
        picture: NDArray[np.int64],
        texts: Sequence[tuple[str, bool]],
    ) -> Scores:
        """See ``Reader.score``."""
        scores = Scores(len(texts))
        limit = self.model.language_model.config.max_position_embeddings
        tokens: list[list[int]] = self.tokenizer([text for text, _ in texts])["input_ids"]
        queries = len(features[0])
        fits = np.array([len(ids) + queries <= limit for ids in tokens])
        scores.status[~fits] = "text_too_long"
        width = self.model.language_model.config.hidden_size
        size = best_size(width, queries + 1)
        jobs: list[tuple[int, Tree, NDArray[np.int64]]] = []
        for place in range(len(features)):
            rows = np.flatnonzero((picture == place) & fits)
            trees = plant([tokens[row] for row in rows], size)
            jobs += [(place, tree, rows[tree.sequences]) for tree in trees]
        jobs.sort(key=lambda job: len(job[1]))
        asks = np.array([reply for _, reply in texts])

        def forward(places: list[int]) -> None:
            self._forward([jobs[place] for place in places], features, asks, scores)

        costs = [self._cost(queries + len(tree), width) for _, tree, _ in jobs]
        for place, status in self.budget.run(costs, forward).items():
            scores.status[jobs[place][2]] = status
        return scores

    def _cost(self, length: int, width: int) -> float:
        return float(length * (ACTIVATIONS * width + length) * self.dtype.itemsize)

    def _forward(
        self,
        jobs: Sequence[tuple[int, Tree, NDArray[np.int64]]],
        features: Sequence[torch.Tensor],
        asks: NDArray[np.bool_],
        scores: Scores,
    ) -> None:
        import torch

        language: Any = self.model.language_model
        head = language.get_output_embeddings()
        with torch.inference_mode():
            seen = torch.stack([features[place] for place, _, _ in jobs])
            rows = stack([tree for _, tree, _ in jobs], seen.shape[1], self.dtype, self.device)
            embedded = language.get_input_embeddings()(rows.tokens)
            states = language.base_model(
                inputs_embeds=torch.cat([seen.to(embedded.dtype), embedded], dim=1),
                attention_mask=rows.mask,
                position_ids=rows.positions,
                use_cache=False,
            ).last_hidden_state[:, seen.shape[1] :]
            self._read_replies(jobs, states, head, asks, scores)
            self._read_statements(jobs, states, rows.tokens, head, asks, scores)

    def _read_replies(
        self,
        jobs: Sequence[tuple[int, Tree, NDArray[np.int64]]],
        states: torch.Tensor,
        head: Any,
        asks: NDArray[np.bool_],
        scores: Scores,
    ) -> None:
        row, node, target = [], [], []
        for place, (_, tree, rows) in enumerate(jobs):
            wanted = asks[rows]
            node.append(tree.leaves[wanted])
            row.append(np.full(len(node[-1]), place))
            target.append(rows[wanted])
        targets = np.concatenate(target)
        if not len(targets):
            return
        reply = read_states(states[np.concatenate(row), np.concatenate(node)], head, self.spellings)
        margin = reply.margin.cpu().numpy()
        scores.margin[targets] = margin
        scores.p_yes[targets] = 1.0 / (1.0 + np.exp(-margin.clip(-80, 80)))
        scores.mass[targets] = reply.mass.cpu().numpy()
        scores.entropy[targets] = reply.entropy.cpu().numpy()

    def _read_statements(
        self,
        jobs: Sequence[tuple[int, Tree, NDArray[np.int64]]],
        states: torch.Tensor,
        tokens: torch.Tensor,
        head: Any,
        asks: NDArray[np.bool_],
        scores: Scores,
    ) -> None:
        # The likelihood of a token given its ancestors belongs to its node: once per tree. The
        # first token (the start of the text) is not part of the claim.
        stated = [~asks[rows] for _, _, rows in jobs]
        nodes = [
            np.unique(tree.paths[wanted, 1:])
            for (_, tree, _), wanted in zip(jobs, stated, strict=True)
        ]
        nodes = [found[found >= 0] for found in nodes]
        node = np.concatenate(nodes)
        if not len(node):
            return
        row = np.repeat(np.arange(len(jobs)), [len(found) for found in nodes])
        parent = np.concatenate(
            [tree.parent[found] for (_, tree, _), found in zip(jobs, nodes, strict=True)]
        )
        likelihood = np.full((len(jobs), states.shape[1] + 1), np.nan, dtype=np.float32)
        likelihood[row, node] = loglik(states[row, parent], head, tokens[row, node]).cpu().numpy()
        for place, (_, tree, rows) in enumerate(jobs):
            paths = tree.paths[stated[place], 1:]
            # The last column is NaN, where paths that have ended (-1) point.
            found = likelihood[place][paths]
            count = np.maximum((paths >= 0).sum(axis=1), 1)
            scores.loglik_per_token[rows[stated[place]]] = np.nansum(found, axis=1) / count
