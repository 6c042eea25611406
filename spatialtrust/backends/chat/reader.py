"""Reads replies and likelihoods off a chat model: pictures once, questions in shared rows.

Whether a model's questions can share their picture is not looked up but tried: the first question
of a reader is also asked alone, by the library's own pass over the whole prompt. Where the two
differ (a prompt whose picture attends to the question, layers that are no attention), questions
are asked alone from then on, which is said; the vision tower still runs once a picture.
"""

from __future__ import annotations

import inspect
import logging
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.backends.asking import Scores
from spatialtrust.backends.blip2.replies import read, slices, spellings
from spatialtrust.backends.chat.prefix import NotSharedError, Seen, go_on, see
from spatialtrust.backends.chat.processor import compose
from spatialtrust.backends.chat.wording import Asked, Wording, spell
from spatialtrust.backends.loading import Checkpoint, load_model
from spatialtrust.backends.packing import Tree, best_size, plant

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import torch
    from numpy.typing import NDArray

    from spatialtrust.arrays import Pixels
    from spatialtrust.backends.batching import Budget
    from spatialtrust.questions.prompts import Triple

log: Final = logging.getLogger("spatialtrust")

_ACTIVATIONS: Final = 16
"""Tensors of a layer's width that are alive at once while a layer runs."""
_TOKENS: Final = 1024
"""Picture tokens that are reckoned with until one has been seen."""
_SAME: Final = {"float32": 0.01, "bfloat16": 0.5, "float16": 0.5}
"""How far two ways to the same log-probabilities may be apart."""
_PICTURE: Final = ("pixel_values", "pixel_attention_mask")


@dataclass(frozen=True, slots=True)
class Picture:
    """What is kept of a picture for questions that are asked alone.

    Attributes
    ----------
    image: for the processor.
    vision: what the vision tower made of it; None where the model cannot be given that.
    """

    image: Any
    vision: Any

    @property
    def nbytes(self) -> int:
        """Bytes of the picture and of what was made of it."""
        made = getattr(self.vision, "pooler_output", None)
        parts = made if isinstance(made, (list, tuple)) else [] if made is None else [made]
        return int(np.prod(self.image.size)) * 3 + int(sum(part.nbytes for part in parts))


class ChatReader:
    """A ``Reader`` of any chat model of the library."""

    def __init__(
        self, checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype, budget: Budget
    ) -> None:
        self.device, self.dtype, self.budget = device, dtype, budget
        self.processor = compose(checkpoint)
        self.wording = Wording(self.processor, checkpoint.folder)
        self.spellings = spellings(self.processor.tokenizer, checkpoint.folder)
        self.model: Any = load_model(checkpoint, "AutoModelForImageTextToText", device, dtype)
        self.shared: bool | None = None
        self._text = self.model.config.get_text_config()
        self._tokens = _TOKENS

    @property
    def picture_cost(self) -> float:
        """Bytes of activations, and of keys and values, per picture."""
        return self._tokens * (self._per_token + self._kept)

    @property
    def _per_token(self) -> float:
        return float(_ACTIVATIONS * self._text.hidden_size * self.dtype.itemsize)

    @property
    def _kept(self) -> float:
        config = self._text
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return float(2 * config.num_hidden_layers * heads * size * self.dtype.itemsize)

    def spell(self, claim: Triple, prompt: str) -> Hashable:
        """See ``Reader.spell``."""
        return spell(claim, prompt)

    def encode(self, pixels: Sequence[Pixels]) -> Sequence[Seen | Picture]:
        """What the model has in mind of each picture."""
        return [self._encode(picture) for picture in pixels]

    def score(
        self, features: Sequence[Seen | Picture], picture: NDArray[np.int64], texts: Sequence[Asked]
    ) -> Scores:
        """See ``Reader.score``."""
        scores = Scores(len(texts))
        distinct = list(dict.fromkeys(texts))
        place = {text: number for number, text in enumerate(distinct)}
        tails = self.wording.tails(distinct)
        said = self.wording.replies(distinct, tails)
        which = np.array([place[text] for text in texts], dtype=np.int64)
        lengths = np.array([len(tail) for tail in tails])[which]
        usable = np.array([self.wording.usable(tail) for tail in tails])[which]
        before = np.array([_length(seen) for seen in features])[picture]
        limit = getattr(self._text, "max_position_embeddings", None) or np.inf
        scores.status[~usable] = "text_has_control_tokens"
        scores.status[before + lengths > limit] = "text_too_long"
        rows = np.flatnonzero(usable & (before + lengths <= limit))
        together = np.array([isinstance(seen, Seen) for seen in features])[picture[rows]]
        self._together(features, picture, rows[together], which, tails, said, scores)
        for row in rows[~together]:
            self._alone(features[picture[row]], int(row), texts[row], said[which[row]], scores)
        return scores

    def _encode(self, pixels: Pixels) -> Seen | Picture:
        from PIL import Image

        image = Image.fromarray(np.ascontiguousarray(pixels))
        if self.shared is False:
            return self._picture(image)
        probe = spell(("mug", "left of", "kettle"), "default")
        tail = self.wording.tails([probe])[0]
        inputs = self._inputs(image, probe)
        try:
            seen = self._see(inputs, tail)
            if self.shared is None:
                self._try(inputs, seen, tail)
                self.shared = True
        except NotSharedError as error:
            log.warning(
                "asking this model one question at a time: %s; only the vision tower is shared",
                error,
            )
            self.shared = False
            return self._picture(image)
        self._tokens = max(seen.length, 1)
        return seen

    def _see(self, inputs: dict[str, torch.Tensor], tail: Sequence[int]) -> Seen:
        """One pass over a picture; an architecture that cannot do it so says so the first time."""
        try:
            return see(self.model, inputs, tail)
        except NotSharedError:
            raise
        except Exception as error:
            if self.shared or "memory" in str(error).lower():
                raise
            raise NotSharedError(f"it does not keep a picture ({error})") from error

    def _try(self, inputs: dict[str, torch.Tensor], seen: Seen, tail: Sequence[int]) -> None:
        """Ask the first question in both ways.

        Raises
        ------
        NotSharedError: they differ.
        """
        tree = plant([list(tail), [*tail[:-1], tail[0]], list(tail[: len(tail) // 2])], 10_000)[0]
        first = int(np.flatnonzero(tree.sequences == 0)[0])
        try:
            ours = go_on(self.model, seen, tree, tree.leaves[[first]])[0]
        except Exception as error:  # whatever an architecture that is not built so raises
            raise NotSharedError(f"it cannot go on behind a picture ({error})") from error
        alone = self._forward(inputs, 1)[0]
        ids = [*self.spellings.yes, *self.spellings.no]
        apart = (ours.float().log_softmax(-1)[ids] - alone.float().log_softmax(-1)[ids]).abs().max()
        if not float(apart) <= _SAME[str(self.dtype).removeprefix("torch.")]:
            raise NotSharedError(f"shared and alone its log-probabilities differ by {apart:.2g}")

    def _together(
        self,
        features: Sequence[Any],
        picture: NDArray[np.int64],
        rows: NDArray[np.int64],
        which: NDArray[np.int64],
        tails: Sequence[Sequence[int]],
        said: Sequence[int],
        scores: Scores,
    ) -> None:
        jobs: list[tuple[Seen, Tree, NDArray[np.int64]]] = []
        for place in np.unique(picture[rows]):
            asks = rows[picture[rows] == place]
            size = best_size(self._text.hidden_size, features[place].length)
            trees = plant([tails[which[ask]] for ask in asks], size)
            jobs += [(features[place], tree, asks[tree.sequences]) for tree in trees]

        def forward(places: list[int]) -> None:
            for seen, tree, asks in (jobs[place] for place in places):
                self._tree(seen, tree, asks, np.array(said)[which[asks]], scores)

        costs = [
            len(tree) * (self._per_token + (seen.length + len(tree)) * self.dtype.itemsize)
            + (seen.length + len(tree)) * self._kept
            for seen, tree, _ in jobs
        ]
        for place, status in self.budget.run(costs, forward).items():
            scores.status[jobs[place][2]] = status

    def _tree(
        self,
        seen: Seen,
        tree: Tree,
        asks: NDArray[np.int64],
        said: NDArray[np.int64],
        scores: Scores,
    ) -> None:
        replied = said == 0
        leaves = tree.leaves[replied]
        spoken = [
            tree.paths[row, tree.lengths[row] - said[row] : tree.lengths[row]]
            for row in np.flatnonzero(~replied)
        ]
        parents = [tree.parent[nodes] for nodes in spoken]
        wanted = np.unique(np.concatenate([leaves, *parents]))
        logits = go_on(self.model, seen, tree, wanted)
        if len(leaves):
            self._replies(logits[np.searchsorted(wanted, leaves)], asks[replied], scores)
        for ask, nodes, behind in zip(asks[~replied], spoken, parents, strict=True):
            rows = logits[np.searchsorted(wanted, behind)]
            scores.loglik_per_token[ask] = _loglik(rows, tree.tokens[nodes])

    def _replies(self, logits: torch.Tensor, asks: NDArray[np.int64], scores: Scores) -> None:
        for part in slices(len(logits)):
            reply = read(logits[part], self.spellings)
            margin = reply.margin.cpu().numpy()
            scores.margin[asks[part]] = margin
            scores.p_yes[asks[part]] = 1.0 / (1.0 + np.exp(-margin.clip(-80, 80)))
            scores.mass[asks[part]] = reply.mass.cpu().numpy()
            scores.entropy[asks[part]] = reply.entropy.cpu().numpy()

    def _alone(self, seen: Any, row: int, asked: Asked, said: int, scores: Scores) -> None:
        def forward(_: list[int]) -> None:
            inputs = self._inputs(seen.image, asked)
            if said == 0:
                self._replies(self._forward(inputs, 1, seen.vision), np.array([row]), scores)
                return
            ids = inputs["input_ids"][0, -said - self._added(inputs, asked) :]
            logits = self._forward(inputs, len(ids) + 1, seen.vision)
            scores.loglik_per_token[row] = _loglik(logits[:said], ids[:said].cpu().numpy())

        for status in self.budget.run([self.picture_cost], forward).values():
            scores.status[row] = status

    def _added(self, inputs: dict[str, torch.Tensor], asked: Asked) -> int:
        """Tokens that the processor puts behind the whole prompt."""
        tail = self.wording.tails([asked])[0]
        ids = inputs["input_ids"][0].tolist()
        return next((n for n in range(4) if ids[: len(ids) - n][-len(tail) :] == tail), 0)

    def _inputs(self, image: Any, asked: Asked) -> dict[str, torch.Tensor]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the processor's own
            batch = self.processor(
                text=[self.wording.prompt(asked)], images=[image], return_tensors="pt"
            )
        batch.pop("labels", None)
        return {
            name: value.to(self.device, self.dtype)
            if value.is_floating_point()
            else value.to(self.device)
            for name, value in batch.items()
        }

    def _forward(
        self, inputs: dict[str, torch.Tensor], keep: int, vision: Any = None
    ) -> torch.Tensor:
        """The library's own pass over a whole prompt: logits (keep, V) of its last tokens."""
        import torch

        given: dict[str, Any] = dict(inputs)
        if vision is not None:
            given = {name: value for name, value in given.items() if name not in _PICTURE}
            given["mm_encoder_outputs"] = {"image": vision}
        with torch.inference_mode():
            logits: torch.Tensor = self.model(**given, use_cache=False).logits[0, -keep:]
        return logits

    def _picture(self, image: Any) -> Picture:
        import torch

        inner = self.model.model
        if "mm_encoder_outputs" not in inspect.signature(inner.forward).parameters:
            return Picture(image, None)
        inputs = self._inputs(image, spell(("mug", "left of", "kettle"), "default"))
        wanted = inspect.signature(inner.get_image_features).parameters
        given = {name: value for name, value in inputs.items() if name in wanted}
        with torch.inference_mode():
            return Picture(image, inner.get_image_features(**given, return_dict=True))


def _length(seen: Seen | Picture) -> int:
    return seen.length if isinstance(seen, Seen) else 0


def _loglik(logits: torch.Tensor, tokens: NDArray[np.int64]) -> float:
    """Mean log-likelihood of tokens given the logits (N, V) that predict them; NaN of none."""
    import torch

    if not len(tokens):
        return float("nan")
    logp = logits.float().log_softmax(-1)
    chosen = logp[torch.arange(len(tokens)), torch.as_tensor(tokens, device=logp.device)]
    return float(chosen.mean())
