"""What is learned in a step: which examples are drawn, and their loss."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from spatialtrust.csp.building import read_examples, read_manifest
from spatialtrust.csp.losses import falling, simpo
from spatialtrust.csp.scales import scale_named
from spatialtrust.csp.vlm import Scored
from spatialtrust.errors import InputError
from spatialtrust.io.images import read_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from spatialtrust.arrays import Pixels
    from spatialtrust.csp.vlm import Vlm


STAGES: Final = ("sft", "simpo")
PARTS: Final = ("language", "all")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How one stage is trained.

    Attributes
    ----------
    stage: ``sft`` or ``simpo``.
    steps, rate: of AdamW with one cycle; ``rate`` is the highest.
    pictures: of a step; ``texts`` of each picture at most.
    accumulate: parts that a step is cut into, to save memory.
    part: what is trained, ``language`` (the pictures go on being seen as before) or ``all``.
    lora: rank of an adapter in its place; 0: the weights themselves.
    beta, gamma: of SimPO.
    falling: weight of the term that confidence falls with the picture, 0: without.
    keep: weight of the likelihood of preferred replies in the second stage.
    shuffled: a control: every question gets another question's picture.
    checkpointing: recompute activations instead of keeping them.
    bf16: bfloat16 autocast.
    seed: of the draw of examples.
    """

    stage: str = "sft"
    steps: int = 400
    rate: float = 5e-4
    pictures: int = 24
    texts: int = 3
    accumulate: int = 1
    part: str = "language"
    lora: int = 0
    beta: float = 2.0
    gamma: float = 0.5
    falling: float = 0.0
    keep: float = 0.0
    shuffled: bool = False
    checkpointing: bool = False
    bf16: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is not valid."""
        if self.stage not in STAGES:
            raise InputError(f'stage "{self.stage}" is not known; valid: {", ".join(STAGES)}')
        if self.part not in PARTS:
            raise InputError(f'part "{self.part}" is not known; valid: {", ".join(PARTS)}')
        for name in ("steps", "pictures", "texts", "accumulate"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; give 1 or more")
        for name in ("rate", "beta"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} is {getattr(self, name)}; give a number above 0")
        for name in ("gamma", "falling", "keep", "lora"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} is {getattr(self, name)}; give 0 or more")


class Lessons:
    """The examples of a data folder, for one stage.

    Attributes
    ----------
    scale: how confidences are said in them.
    fingerprint: what they were built from, hashed.
    left_out: reason to number of examples that this stage cannot use.
    """

    def __init__(self, vlm: Vlm, data: Path, config: TrainConfig) -> None:
        settings = read_manifest(data)["settings"]
        self.scale = scale_named(str(settings["scale"]))
        self.fingerprint = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        self._vlm, self._config = vlm, config
        self._heads: dict[str, int] = {}
        rows = read_examples(data).to_pylist()
        self.left_out: dict[str, int] = {}
        if config.stage == "simpo":
            usable = [row for row in rows if row["rejected"] not in (None, row["reply"])]
            if len(usable) < len(rows):
                self.left_out["equal_replies"] = len(rows) - len(usable)
            if not usable:
                raise InputError(
                    f"{data}: no example has a reply to be preferred over another one: all levels "
                    "have the same confidence; build with target linear, or a finer scale"
                )
            rows = usable
        shown = np.array([row["picture"] for row in rows], dtype=object)
        if config.shuffled:
            shown = _other_pictures(rows, config.seed)
        self._rows, self._shown = rows, shown
        place = np.unique(shown.astype(str), return_inverse=True)[1]
        order = np.argsort(place, kind="stable")
        cuts = np.flatnonzero(np.diff(place[order])) + 1
        self._by_picture = np.split(order, cuts)
        self._read = lru_cache(maxsize=2048)(lambda name: read_image(data / name))

    def __len__(self) -> int:
        return len(self._rows)

    def draw(self, step: int) -> list[NDArray[np.int64]]:
        """Rows of a step, in as many parts as it is cut into; the same step, the same rows."""
        config = self._config
        generator = np.random.default_rng((config.seed, step))
        count = min(config.pictures, len(self._by_picture))
        drawn = []
        for picture in generator.choice(len(self._by_picture), count, replace=False):
            rows = self._by_picture[picture]
            drawn.append(generator.choice(rows, min(config.texts, len(rows)), replace=False))
        parts = np.array_split(np.arange(count), min(config.accumulate, count))
        return [np.concatenate([drawn[place] for place in part]) for part in parts]

    def loss(self, rows: NDArray[np.int64]) -> tuple[torch.Tensor, dict[str, float]]:
        """The loss of some rows, and its parts."""
        examples = [self._rows[row] for row in rows]
        shown = [str(self._shown[row]) for row in rows]
        return (
            self._likelihood(examples, shown)
            if self._config.stage == "sft"
            else (self._preference(examples, shown))
        )

    def _likelihood(
        self, examples: list[dict[str, Any]], shown: list[str]
    ) -> tuple[torch.Tensor, dict[str, float]]:
        scored = self._vlm.score(*self._put(shown, examples, "reply"))
        answers, words = self._parts(scored, examples)
        told = {"answers": float(answers.detach()), "words": float(words.detach())}
        return (answers + words) / 2, told

    def _parts(
        self, scored: Scored, examples: list[dict[str, Any]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean loss of the answers' tokens, and of those that state a confidence.

        They weigh alike, so that the few tokens of an answer are not drowned by the others: this
        package's choice.
        """
        head = torch.tensor([self._answer_tokens(row["answer"]) for row in examples])
        columns = torch.arange(scored.tokens.shape[1])
        first = (columns < head[:, None]).to(scored.tokens.device)
        rest = ~first & (columns.to(first.device) < scored.lengths[:, None])
        return tuple(
            -(scored.tokens * part).sum() / part.sum().clamp_min(1) for part in (first, rest)
        )  # type: ignore[return-value]

    def _answer_tokens(self, answer: str) -> int:
        if answer not in self._heads:
            self._heads[answer] = len(self._vlm.reply_ids(f" {answer}")) - 1
        return self._heads[answer]

    def _preference(
        self, examples: list[dict[str, Any]], shown: list[str]
    ) -> tuple[torch.Tensor, dict[str, float]]:
        config, count = self._config, len(examples)
        wanted = [_falls(row) for row in examples] if config.falling else []
        pairs = [place for place, falls in enumerate(wanted) if falls]
        sides = [examples[place] for place in pairs]
        clean = self._clean(pairs, examples, shown)
        pictures = shown + shown + clean + clean + [shown[place] for place in pairs] * 2
        rows = examples * 2 + sides * 4
        replies = [row["reply"] for row in examples] + [row["rejected"] for row in examples]
        surer = [max(row["reply"], row["clean_reply"], key=self._worth) for row in sides]
        less = [min(row["reply"], row["clean_reply"], key=self._worth) for row in sides]
        scored = self._vlm.score(*self._put(pictures, rows, replies + (surer + less) * 2))
        total, length = scored.total, scored.lengths
        preferred = simpo(
            total[:count], total[count : 2 * count], length[:count], length[count : 2 * count],
            beta=config.beta, gamma=config.gamma,
        ).mean()  # fmt: skip
        chosen = Scored(scored.tokens[:count], length[:count])
        answers, words = self._parts(chosen, examples)
        kept = (answers + words) / 2
        loss = preferred + config.keep * kept
        told = {"simpo": float(preferred.detach()), "replies": float(kept.detach())}
        if pairs:
            four = total[2 * count :].view(4, len(pairs))
            fell = falling(*four, beta=config.beta).mean()
            loss = loss + config.falling * fell
            told["falling"] = float(fell.detach())
        return loss, told

    def _clean(
        self, pairs: list[int], examples: list[dict[str, Any]], shown: list[str]
    ) -> list[str]:
        """The clean pictures of pairs; where pictures are shuffled, another's clean one."""
        if not self._config.shuffled:
            return [examples[place]["clean"] for place in pairs]
        clean = {row["picture"]: row["clean"] for row in self._rows}
        return [clean.get(shown[place], shown[place]) for place in pairs]

    def _worth(self, reply: str) -> int:
        """Place in the scale of the confidence that a reply states."""
        word = reply.rpartition(", ")[2]
        return self.scale.words.index(word)

    def _put(
        self, shown: Sequence[str], examples: list[dict[str, Any]], replies: str | list[str]
    ) -> tuple[list[Pixels], list[int], list[str], list[str]]:
        """Arguments of ``Vlm.score``: each picture once."""
        distinct = list(dict.fromkeys(shown))
        place = {name: number for number, name in enumerate(distinct)}
        said = [row[replies] for row in examples] if isinstance(replies, str) else replies
        instruction = self.scale.instruction
        return (
            [self._read(name) for name in distinct],
            [place[name] for name in shown],
            [self._vlm.prompt(row["question"], instruction) for row in examples],
            said,
        )


def _falls(row: dict[str, Any]) -> bool:
    """Whether the clean picture and the corrupted one have different replies."""
    return bool(row["picture"] != row["clean"] and row["reply"] != row["clean_reply"])


def _other_pictures(rows: list[dict[str, Any]], seed: int) -> NDArray[np.object_]:
    """Each row's picture replaced, one for one; questions that shared one share another.

    Raises
    ------
    InputError: there is one picture only.
    """
    pictures = sorted({row["picture"] for row in rows})
    if len(pictures) < 2:
        raise InputError("pictures cannot be shuffled: the data has one only; build more")
    order = np.random.default_rng(seed).permutation(len(pictures))
    # A cycle through all pictures: none stays where it was.
    other = {pictures[a]: pictures[b] for a, b in zip(order, np.roll(order, 1), strict=True)}
    return np.array([other[row["picture"]] for row in rows], dtype=object)
