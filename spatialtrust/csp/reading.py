"""The answer and the stated confidence, read from probabilities: nothing is sampled.

``p_yes`` comes from the reply's first token. The confidence is the mean of the scale's values under
the probabilities of its words, given the answer. A BLIP-2 with OPT reads all replies to all
questions about a picture in one pass, as a tree (:mod:`spatialtrust.backends.packing`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch

from spatialtrust.backends.blip2.replies import loglik
from spatialtrust.backends.layout import behind
from spatialtrust.backends.packing import plant
from spatialtrust.csp.vlm import Blip2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float32, Pixels
    from spatialtrust.csp.scales import Scale
    from spatialtrust.csp.vlm import Vlm

ANSWERS: Final = ("no", "yes")
PICTURES: Final = 64
"""Looked at together."""


class Reading(NamedTuple):
    """What a VLM says to (N,) yes-or-no questions; all but ``answer`` float32.

    Attributes
    ----------
    p_yes: P(yes) / (P(yes) + P(no)) of the reply's answer.
    answer: int8, 1 yes, 0 no.
    stated: mean confidence that it would state with this answer, in the scale's values.
    likeliest: value of the word it would most likely say.
    mass: probability that it states a confidence at all, in the scale's words.
    """

    p_yes: Float32
    answer: NDArray[np.int8]
    stated: Float32
    likeliest: Float32
    mass: Float32


def read_confidence(
    vlm: Vlm, pictures: Sequence[Pixels], owner: Sequence[int], prompts: Sequence[str], scale: Scale
) -> Reading:
    """Read the answers (N,) to ``prompts[i]`` about ``pictures[owner[i]]``."""
    owners = np.asarray(owner, dtype=np.int64)
    found = np.full((len(owners), 2, len(scale.words) + 1), np.nan)
    with torch.inference_mode():
        for start in range(0, len(pictures), PICTURES):
            stop = min(start + PICTURES, len(pictures))
            rows = np.flatnonzero((owners >= start) & (owners < stop))
            if len(rows):
                found[rows] = _logp(
                    vlm,
                    pictures[start:stop],
                    (owners[rows] - start).tolist(),
                    [prompts[row] for row in rows.tolist()],
                    scale,
                )
    return _reading(found, scale)


def _reading(logp: NDArray[np.float64], scale: Scale) -> Reading:
    """From log P(answer) and log P(word | answer), (N, answer, 1 + words)."""
    margin = logp[:, 1, 0] - logp[:, 0, 0]
    p_yes = 1.0 / (1.0 + np.exp(-np.clip(margin, -80, 80)))
    answer = (p_yes >= 0.5).astype(np.int8)
    words = logp[np.arange(len(logp)), answer, 1:]
    chance = np.exp(words - words.max(axis=1, keepdims=True, initial=-np.inf))
    chance /= chance.sum(axis=1, keepdims=True)
    values = np.array(scale.values)
    return Reading(
        p_yes.astype(np.float32),
        answer,
        (chance @ values).astype(np.float32),
        values[chance.argmax(axis=1)].astype(np.float32) if len(logp) else p_yes.astype(np.float32),
        np.exp(words).sum(axis=1).astype(np.float32),
    )


def _logp(
    vlm: Vlm, pictures: Sequence[Pixels], owner: list[int], prompts: list[str], scale: Scale
) -> NDArray[np.float64]:
    replies = [reply for answer in ANSWERS for reply in scale.replies(answer)]
    said = _trimmed([vlm.reply_ids(reply)[:-1] for reply in replies])
    heads = [len(vlm.reply_ids(f" {answer}")) - 1 for answer in ANSWERS for _ in scale.words]
    if isinstance(vlm, Blip2) and vlm.inner.config.text_config.model_type != "t5":
        tokens = _as_trees(vlm, pictures, owner, prompts, said)
    else:
        tokens = _one_by_one(vlm, pictures, owner, prompts, replies, max(map(len, said)))
    columns = np.arange(tokens.shape[2])
    lengths = np.array([len(ids) for ids in said])[:, None]
    head = np.array(heads)[:, None]
    answer = np.where(columns < head, tokens, 0).sum(axis=2).reshape(len(prompts), 2, -1)
    words = np.where((columns >= head) & (columns < lengths), tokens, 0).sum(axis=2)
    return np.concatenate([answer[:, :, :1], words.reshape(len(prompts), 2, -1)], axis=2)


def _trimmed(said: list[list[int]]) -> list[list[int]]:
    """Replies without what they all end in, such as a percent sign, if they still differ then."""
    shorter = [ids[:-1] for ids in said]
    begins = {tuple(ids[:stop]) for ids in shorter for stop in range(len(ids))}
    if len({ids[-1] for ids in said}) > 1 or any(tuple(ids) in begins for ids in shorter):
        return said
    return _trimmed(shorter)


def _one_by_one(
    vlm: Vlm,
    pictures: Sequence[Pixels],
    owner: list[int],
    prompts: list[str],
    replies: list[str],
    width: int,
) -> NDArray[np.float64]:
    """Token log-likelihoods (N, replies, tokens), each reply in a row of its own."""
    rows = []
    for place, prompt in zip(owner, prompts, strict=True):
        count = len(replies)
        scored = vlm.score([pictures[place]], [0] * count, [prompt] * count, replies)
        rows.append(scored.tokens[:, :width].cpu().numpy().astype(np.float64))
    return np.stack(rows)


def _as_trees(
    vlm: Blip2,
    pictures: Sequence[Pixels],
    owner: list[int],
    prompts: list[str],
    said: list[list[int]],
) -> NDArray[np.float64]:
    """The same, all replies to all questions about a picture in one row."""
    language = vlm.inner.language_model
    head = language.get_output_embeddings()
    asked = [vlm.tokenizer(prompt)["input_ids"] for prompt in prompts]
    found = np.zeros((len(prompts), len(said), max(map(len, said))))
    jobs = []
    for place in sorted(set(owner)):
        questions = [row for row, one in enumerate(owner) if one == place]
        sequences = [asked[row] + ids for row in questions for ids in said]
        jobs += [(place, np.array(questions), tree) for tree in plant(sequences, 256)]
    jobs.sort(key=lambda job: len(job[2]))
    shown = vlm.see(pictures)
    for start in range(0, len(jobs), PICTURES):
        group = jobs[start : start + PICTURES]
        seen = shown[torch.tensor([place for place, _, _ in group], device=vlm.device)]
        rows, inputs = behind(seen, [tree for _, _, tree in group], language.get_input_embeddings())
        states = language.base_model(**inputs, use_cache=False).last_hidden_state
        states = states[:, seen.shape[1] :]
        for number, (_, mine, tree) in enumerate(group):
            nodes = np.flatnonzero(tree.parent >= 0)
            parents = rows.places[number, tree.parent[nodes]]
            targets = rows.tokens[number, rows.places[number, nodes]]
            node = np.zeros(len(tree))
            node[nodes] = loglik(states[number][parents], head, targets).double().cpu().numpy()
            row, reply = np.divmod(tree.sequences, len(said))
            ends = tree.lengths
            starts = ends - np.array([len(said[place]) for place in reply])
            for line, (begin, end) in enumerate(zip(starts, ends, strict=True)):
                path = tree.paths[line, begin:end]
                found[mine[row[line]], reply[line], : end - begin] = node[path]
    return found
