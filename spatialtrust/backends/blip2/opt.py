"""BLIP-2 with OPT, a causal language model: all texts asked of a picture share one row.

The picture's query tokens come first, the texts follow as a prefix tree, so the language model sees
the picture once and every common beginning once (``packing.py``). Pictures side by side are rows of
one pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spatialtrust.backends.asking import Scores
from spatialtrust.backends.blip2.replies import fill, loglik, read_states
from spatialtrust.backends.blip2.vision import ACTIVATIONS, GenerativeReader
from spatialtrust.backends.known import numbered
from spatialtrust.backends.layout import behind
from spatialtrust.backends.packing import Forest, Job, best_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

    from spatialtrust.backends.batching import Budget
    from spatialtrust.backends.layout import Rows
    from spatialtrust.backends.loading import Checkpoint


class OptReader(GenerativeReader):
    """Reads replies and log-likelihoods off a causal language model."""

    def __init__(
        self, checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype, budget: Budget
    ) -> None:
        super().__init__(checkpoint, device, dtype, budget)
        self._forest = Forest()

    def score(
        self,
        features: Sequence[torch.Tensor],
        picture: NDArray[np.int64],
        texts: Sequence[tuple[str, bool]],
    ) -> Scores:
        """See ``Reader.score``."""
        scores = Scores(len(texts))
        limit = self.model.language_model.config.max_position_embeddings
        distinct, text = numbered(texts)
        tokens = self.tokens([said for said, _ in distinct])
        queries = len(features[0])
        fits = np.array([len(ids) + queries <= limit for ids in tokens])[text]
        scores.status[~fits] = "text_too_long"
        width = self.model.language_model.config.hidden_size
        size = best_size(width, queries + 1)
        jobs = self._forest.jobs(np.flatnonzero(fits), picture, text, tokens, size)
        jobs.sort(key=lambda job: len(job.tree))
        asks = np.array([reply for _, reply in distinct])[text]

        def forward(places: list[int]) -> None:
            self._forward([jobs[place] for place in places], features, asks, scores)

        costs = [self._cost(queries + len(job.tree), width) for job in jobs]
        for place, status in self.budget.run(costs, forward).items():
            scores.status[jobs[place].asks] = status
        return scores

    def _cost(self, length: int, width: int) -> float:
        return float(length * (ACTIVATIONS * width + length) * self.dtype.itemsize)

    def _forward(
        self,
        jobs: Sequence[Job],
        features: Sequence[torch.Tensor],
        asks: NDArray[np.bool_],
        scores: Scores,
    ) -> None:
        import torch

        language: Any = self.model.language_model
        head = language.get_output_embeddings()
        with torch.inference_mode():
            seen = torch.stack([features[job.picture] for job in jobs])
            embed = language.get_input_embeddings()
            rows, inputs = behind(seen, [job.tree for job in jobs], embed)
            states = language.base_model(**inputs, use_cache=False).last_hidden_state
            states = states[:, seen.shape[1] :]
            self._read_replies(jobs, states, rows.places, head, asks, scores)
            self._read_statements(jobs, states, rows, head, asks, scores)

    def _read_replies(
        self,
        jobs: Sequence[Job],
        states: torch.Tensor,
        places: NDArray[np.int64],
        head: Any,
        asks: NDArray[np.bool_],
        scores: Scores,
    ) -> None:
        row = np.repeat(np.arange(len(jobs)), [len(job.asks) for job in jobs])
        leaf = places[row, np.concatenate([job.tree.leaves for job in jobs])]
        target = np.concatenate([job.asks for job in jobs])
        wanted = asks[target]
        if not wanted.any():
            return
        reply = read_states(states[row[wanted], leaf[wanted]], head, self.spellings)
        fill(scores, target[wanted], reply)

    def _read_statements(
        self,
        jobs: Sequence[Job],
        states: torch.Tensor,
        rows: Rows,
        head: Any,
        asks: NDArray[np.bool_],
        scores: Scores,
    ) -> None:
        # The likelihood of a token given its ancestors belongs to its node: once per tree. The
        # first token (the start of the text) is not part of the claim.
        paths = [job.tree.paths[~asks[job.asks], 1:] for job in jobs]
        nodes = [np.unique(path[path >= 0]) for path in paths]
        node = np.concatenate(nodes)
        if not len(node):
            return
        row = np.repeat(np.arange(len(jobs)), [len(found) for found in nodes])
        parent = np.concatenate(
            [job.tree.parent[found] for job, found in zip(jobs, nodes, strict=True)]
        )
        before, at = rows.places[row, parent], rows.places[row, node]
        likelihood = np.full((len(jobs), rows.places.shape[1] + 1), np.nan, dtype=np.float32)
        found = loglik(states[row, before], head, rows.tokens[row, at])
        likelihood[row, node] = found.cpu().numpy()
        for place, (job, path) in enumerate(zip(jobs, paths, strict=True)):
            # The last column is NaN, where paths that have ended (-1) point.
            count = np.maximum((path >= 0).sum(axis=1), 1)
            mean = np.nansum(likelihood[place][path], axis=1) / count
            scores.loglik_per_token[job.asks[~asks[job.asks]]] = mean
