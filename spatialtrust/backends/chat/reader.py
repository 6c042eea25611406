"""Reads replies and likelihoods off a chat model: pictures once, questions in shared rows.

Where questions cannot share their picture (``sight.py``: a prompt whose picture attends to the
question, layers that are no attention), they are asked alone from then on, which is said; the
vision tower still runs once a picture.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from spatialtrust.backends.asking import Scores
from spatialtrust.backends.blip2.replies import chosen, fill, read, slices
from spatialtrust.backends.chat.loaded import Loaded, Picture, image_of
from spatialtrust.backends.chat.prefix import NotSharedError, Seen, go_on
from spatialtrust.backends.chat.sight import Sight
from spatialtrust.backends.chat.wording import Asked, spell
from spatialtrust.backends.known import Known, numbered
from spatialtrust.backends.packing import Forest, best_size
from spatialtrust.backends.preparing import preparers

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import torch
    from numpy.typing import NDArray

    from spatialtrust.arrays import Pixels
    from spatialtrust.backends.batching import Budget
    from spatialtrust.backends.chat.prefix import Inputs
    from spatialtrust.backends.known import Tokens
    from spatialtrust.backends.loading import Checkpoint
    from spatialtrust.backends.packing import Job
    from spatialtrust.questions.prompts import Triple

log: Final = logging.getLogger("spatialtrust")

_PROBE: Final = spell(("mug", "left of", "kettle"), "default")
"""The question behind a picture that is looked at."""


class Prepared(NamedTuple):
    """A picture before its pass, and the prompt around it."""

    image: Any
    inputs: Inputs


class Text(NamedTuple):
    """What stands behind a picture.

    Attributes
    ----------
    tail: its tokens.
    said: how many of them, at the end, are the reply whose likelihood is read; 0: it is asked.
    usable: False where it has control tokens of its own.
    """

    tail: Tokens
    said: int
    usable: bool


class ChatReader:
    """A ``Reader`` of any chat model of the library."""

    def __init__(
        self, checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype, budget: Budget
    ) -> None:
        self.loaded = Loaded(checkpoint, device, dtype)
        self.budget = budget
        self.picture_cost = self.loaded.cost()
        self._texts: Known[Asked, Text] = Known(self._read)
        self._forest = Forest()
        self.sight = Sight(self.loaded, budget, self._texts([_PROBE])[0].tail)

    @property
    def preparers(self) -> int:
        """See ``Eyes.preparers``."""
        return preparers(self.loaded.device)

    def spell(self, claim: Triple, prompt: str) -> Hashable:
        """See ``Reader.spell``."""
        return spell(claim, prompt)

    def prepare(self, pixels: Pixels) -> Prepared:
        """See ``Eyes.prepare``."""
        image = image_of(pixels)
        return Prepared(image, self.loaded.inputs(image, _PROBE))

    def encode(self, prepared: Sequence[Prepared]) -> Sequence[Seen | Picture]:
        """What the model has in mind of each picture."""
        prompts = [self.loaded.sent(one.inputs) for one in prepared]
        self.picture_cost = max(map(self.loaded.cost, prompts))
        if self.sight.shared is not False:
            try:
                return self.sight.look(prompts)
            except NotSharedError as error:
                log.warning(
                    "asking this model one question at a time: %s; only the vision tower is shared",
                    error,
                )
                self.sight.shared = False
        return [
            self.loaded.picture(one.image, prompt)
            for one, prompt in zip(prepared, prompts, strict=True)
        ]

    def score(
        self, features: Sequence[Seen | Picture], picture: NDArray[np.int64], texts: Sequence[Asked]
    ) -> Scores:
        """See ``Reader.score``."""
        scores = Scores(len(texts))
        distinct, which = numbered(texts)
        known = self._texts(distinct)
        lengths = np.array([len(text.tail) for text in known])[which]
        usable = np.array([text.usable for text in known])[which]
        shared = np.array([isinstance(seen, Seen) for seen in features])[picture]
        length = np.array([seen.length if isinstance(seen, Seen) else 0 for seen in features])
        limit = getattr(self.loaded.text, "max_position_embeddings", None) or np.inf
        fits = length[picture] + lengths <= limit
        scores.status[~usable] = "text_has_control_tokens"
        scores.status[~fits] = "text_too_long"
        self._ask(features, np.flatnonzero(usable & fits & shared), picture, known, which, scores)
        for row in np.flatnonzero(usable & fits & ~shared).tolist():
            self._alone(features[picture[row]], row, texts[row], known[which[row]], scores)
        return scores

    def _read(self, texts: list[Asked]) -> list[Text]:
        wording = self.loaded.wording
        tails = wording.tails(texts)
        said = wording.replies(texts, tails)
        return [
            Text(tuple(tail), count, wording.usable(tail))
            for tail, count in zip(tails, said, strict=True)
        ]

    def _ask(
        self,
        features: Sequence[Any],
        rows: NDArray[np.int64],
        picture: NDArray[np.int64],
        known: Sequence[Text],
        which: NDArray[np.int64],
        scores: Scores,
    ) -> None:
        """Ask what shares its picture, several pictures in a pass."""
        if not len(rows):
            return
        loaded = self.loaded
        longest = max(features[place].length for place in np.unique(picture[rows]))
        size = best_size(loaded.text.hidden_size, longest)
        said = np.array([text.said for text in known])[which]
        jobs = self._forest.jobs(rows, picture, which, [text.tail for text in known], size)
        jobs.sort(key=lambda job: (features[job.picture].length, len(job.tree)))

        def forward(places: list[int]) -> None:
            group = [jobs[place] for place in places]
            for part in [group] if self.sight.together else [[job] for job in group]:
                self._forward(part, features, said, scores)

        costs = []
        for job in jobs:
            tokens, whole = len(job.tree), len(job.tree) + features[job.picture].length
            logits = (len(job.asks) + said[job.asks].sum()) * loaded.text.vocab_size
            costs.append(
                tokens * (loaded.per_token + whole * loaded.dtype.itemsize)
                + whole * loaded.kept
                + float(logits) * loaded.dtype.itemsize
            )
        for place, status in self.budget.run(costs, forward).items():
            scores.status[jobs[place].asks] = status

    def _forward(
        self,
        jobs: Sequence[Job],
        features: Sequence[Any],
        said: NDArray[np.int64],
        scores: Scores,
    ) -> None:
        import torch

        leaves = [job.tree.leaves[said[job.asks] == 0] for job in jobs]
        spoken = [_spoken(job, said[job.asks]) for job in jobs]
        behind = [job.tree.parent[nodes] for job, nodes in zip(jobs, spoken, strict=True)]
        wanted = [np.unique(np.concatenate(both)) for both in zip(leaves, behind, strict=True)]
        logits = go_on(
            self.loaded.model,
            [features[job.picture] for job in jobs],
            [job.tree for job in jobs],
            wanted,
        )

        def at(nodes: Sequence[NDArray[np.int64]]) -> torch.Tensor:
            return torch.cat([
                row[np.searchsorted(listed, some)]
                for row, listed, some in zip(logits, wanted, nodes, strict=True)
            ])  # fmt: skip

        asks = np.concatenate([job.asks for job in jobs])
        replied = asks[said[asks] == 0]
        if len(replied):
            self._replies(at(leaves), replied, scores)
        stated = asks[said[asks] > 0]
        if len(stated):
            tokens = np.concatenate(
                [job.tree.tokens[nodes] for job, nodes in zip(jobs, spoken, strict=True)]
            )
            found = _logliks(at(behind), tokens)
            counts = said[stated]
            scores.loglik_per_token[stated] = (
                np.add.reduceat(found, np.cumsum(counts) - counts) / counts
            )

    def _replies(self, logits: torch.Tensor, asks: NDArray[np.int64], scores: Scores) -> None:
        for part in slices(len(logits)):
            fill(scores, asks[part], read(logits[part], self.loaded.spellings))

    def _alone(self, seen: Any, row: int, asked: Asked, text: Text, scores: Scores) -> None:
        def forward(_: list[int]) -> None:
            inputs = self.loaded.sent(self.loaded.inputs(seen.image, asked))
            if text.said == 0:
                logits = self.loaded.forward(inputs, 1, seen.vision)
                self._replies(logits, np.array([row]), scores)
                return
            ids = inputs["input_ids"][0, -text.said - _added(inputs, text.tail) :]
            logits = self.loaded.forward(inputs, len(ids) + 1, seen.vision)
            found = _logliks(logits[: text.said], ids[: text.said].cpu().numpy())
            scores.loglik_per_token[row] = found.mean()

        for status in self.budget.run([self.picture_cost], forward).values():
            scores.status[row] = status


def _spoken(job: Job, said: NDArray[np.int64]) -> NDArray[np.int64]:
    """The nodes of all replies whose likelihood is read, one reply after another."""
    paths, end = job.tree.paths, job.tree.lengths[:, None]
    column = np.arange(paths.shape[1])
    nodes: NDArray[np.int64] = paths[(column >= end - said[:, None]) & (column < end)]
    return nodes


def _added(inputs: Inputs, tail: Tokens) -> int:
    """Tokens that the processor puts behind the whole prompt."""
    ids = tuple(inputs["input_ids"][0].tolist())
    return next((n for n in range(4) if ids[: len(ids) - n][-len(tail) :] == tail), 0)


def _logliks(logits: torch.Tensor, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    """Log-likelihood (N,) of tokens given the logits (N, V) that predict them."""
    import torch

    targets = torch.from_numpy(tokens).to(logits.device)
    parts = [chosen(logits[rows], targets[rows]) for rows in slices(len(logits))]
    found: NDArray[np.float32] = torch.cat(parts).cpu().numpy()
    return found
