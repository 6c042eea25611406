"""CLIP and BLIP-2 from random weights, on a budget that was fixed before their accuracy was seen.

They are as good or bad as that budget makes them: nothing here looks at accuracy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch.nn import functional

from spatialtrust.backends.tabletop.claims import draw_claims
from spatialtrust.backends.tabletop.training.detector import SIZE, normalise
from spatialtrust.questions.prompts import alternatives, caption, question

if TYPE_CHECKING:
    from spatialtrust.backends.tabletop.claims import Said
    from spatialtrust.backends.tabletop.training.pool import Pool

MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
DEVIATION: Final = (0.26862954, 0.26130258, 0.27577711)
_IGNORED: Final = -100
_PATCH: Final = 16
_QUERIES: Final = 12


def build_clip(tokenizer: Any, seed: int) -> Any:
    """The untrained CLIP."""
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(seed)
    return CLIPModel(
        CLIPConfig(
            text_config={
                **_layers(96, 2),
                "vocab_size": len(tokenizer),
                "max_position_embeddings": 64,
                "bos_token_id": tokenizer.bos_token_id,
                "eos_token_id": tokenizer.eos_token_id,
                "pad_token_id": tokenizer.eos_token_id,
            },
            vision_config={**_layers(128, 3), "image_size": SIZE, "patch_size": _PATCH},
            projection_dim=64,
        )
    )


def build_blip2(tokenizer: Any, seed: int) -> Any:
    """The untrained BLIP-2 with an OPT language model."""
    from transformers import Blip2Config, Blip2ForConditionalGeneration

    torch.manual_seed(seed)
    width = 128
    return Blip2ForConditionalGeneration(
        Blip2Config(
            vision_config={
                **_layers(width, 3),
                "image_size": SIZE,
                "patch_size": _PATCH,
                "attention_dropout": 0.0,
            },
            qformer_config={
                **_layers(width, 2),
                "vocab_size": len(tokenizer),
                "encoder_hidden_size": width,
                "cross_attention_frequency": 1,
                "hidden_dropout_prob": 0.0,
                "attention_probs_dropout_prob": 0.0,
            },
            text_config={
                "model_type": "opt", "vocab_size": len(tokenizer), "hidden_size": width,
                "ffn_dim": 2 * width, "num_hidden_layers": 2, "num_attention_heads": 4,
                "max_position_embeddings": 128, "word_embed_proj_dim": width, "dropout": 0.0,
                "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 2,
            },
            num_query_tokens=_QUERIES,
            image_text_hidden_size=64,
            image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        )
    )  # fmt: skip


class ClipLesson:
    """Contrast of pictures with captions of the batch, and of a claim with its alternatives.

    Half of the loss is CLIP's own, over true claims and lists of what is seen; half puts each true
    claim against the captions that it will compete with when asked.
    """

    def __init__(self, model: Any, tokenizer: Any, pool: Pool, seed: int, pictures: int) -> None:
        self.model, self.tokenizer, self.pool = model, tokenizer, pool
        self.seed, self.pictures = seed, pictures

    def __call__(self, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        """See ``loop.Lesson``."""
        generator = np.random.default_rng((self.seed, step))
        rows, said = _ask(generator, self.pool, self.pictures, 2)
        lists, groups = [], []
        for row, claims in zip(rows, said, strict=True):
            phrases = [item.phrase for item in self.pool.scenes[row].objects]
            lists.append(", ".join(f"a {p}" for p in generator.permutation(phrases).tolist()))
            groups += [alternatives(each.claim, each.prompt) for each in claims if each.label]
        owners = [place for place, claims in enumerate(said) for each in claims if each.label]
        texts = list(dict.fromkeys([*lists, *(text for group in groups for text in group)]))
        number = {text: place for place, text in enumerate(texts)}
        inputs = self.tokenizer(texts, return_tensors="pt", padding=True)
        spoken = functional.normalize(self.model.get_text_features(**inputs).pooler_output, dim=-1)
        pixels = normalise(self.pool.pictures[rows], MEAN, DEVIATION)
        seen = self.model.get_image_features(pixel_values=pixels).pooler_output
        scale = self.model.logit_scale.exp().clamp(max=100)
        logits = scale * functional.normalize(seen, dim=-1) @ spoken.T
        own = torch.tensor([number[text] for text in lists])
        batch = logits[:, own]
        target = torch.arange(len(rows))
        lists_loss = (
            functional.cross_entropy(batch, target) + functional.cross_entropy(batch.T, target)
        ) / 2
        first = [number[group[0]] for group in groups]
        claims_loss = functional.cross_entropy(logits[:, first].T, torch.tensor(owners))
        rivals = torch.full((len(groups), max(map(len, groups))), -1)
        for place, group in enumerate(groups):
            rivals[place, : len(group)] = torch.tensor([number[text] for text in group])
        contest = logits[torch.tensor(owners)[:, None], rivals.clamp_min(0)]
        contest = contest.masked_fill(rivals < 0, -1e4)
        zero = torch.zeros(len(groups), dtype=torch.int64)
        contest_loss = functional.cross_entropy(contest, zero)
        loss = (lists_loss + claims_loss) / 2 + contest_loss
        return loss, {
            "lists": float(lists_loss.detach()),
            "claims": float(claims_loss.detach()),
            "alternatives": float(contest_loss.detach()),
        }


class Blip2Lesson:
    """Replies to questions, and the wording of true claims, by next-token prediction."""

    def __init__(self, model: Any, tokenizer: Any, pool: Pool, seed: int, pictures: int) -> None:
        self.model, self.tokenizer, self.pool = model, tokenizer, pool
        self.seed, self.pictures = seed, pictures
        self.reply = {
            label: tokenizer(word, add_special_tokens=False)["input_ids"][0]
            for label, word in ((True, " yes"), (False, " no"))
        }

    def __call__(self, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        """See ``loop.Lesson``."""
        generator = np.random.default_rng((self.seed, step))
        rows, said = _ask(generator, self.pool, self.pictures, 8)
        prompts, answers, owners = [], [], []
        for place, claims in enumerate(said):
            true = [each for each in claims if each.label][:1]
            owners += [place] * (len(claims) + len(true))
            prompts += [f"Question: {question(c.claim, c.prompt)} Answer:" for c in claims]
            answers += [self.reply[each.label] for each in claims]
            prompts += [caption(each.claim, each.prompt) for each in true]
            answers += [self.tokenizer.eos_token_id] * len(true)
        ids = [self.tokenizer(p)["input_ids"] + [a] for p, a in zip(prompts, answers, strict=True)]
        width = max(map(len, ids))
        tokens = torch.tensor([row + [1] * (width - len(row)) for row in ids])
        labels = tokens.masked_fill(tokens == 1, _IGNORED)
        asked = torch.tensor([answer != self.tokenizer.eos_token_id for answer in answers])
        last = torch.tensor([len(row) - 1 for row in ids])
        silent = asked[:, None] & (torch.arange(width) != last[:, None])
        labels = labels.masked_fill(silent, _IGNORED)
        labels[:, 0] = _IGNORED
        logits = self._forward(rows, torch.tensor(owners), tokens)
        error = functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), reduction="none",
            ignore_index=_IGNORED,
        ).view(len(tokens), -1)  # fmt: skip
        replies = error[asked].sum() / asked.sum()
        captions = error[~asked].sum() / (labels[~asked][:, 1:] != _IGNORED).sum().clamp_min(1)
        parts = {"replies": float(replies.detach()), "captions": float(captions.detach())}
        return replies + 0.5 * captions, parts

    def _forward(self, rows: list[int], owners: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Logits of every text token, each picture seen once for all its texts."""
        model = self.model
        pixels = normalise(self.pool.pictures[rows], MEAN, DEVIATION)
        seen = model.vision_model(pixels).last_hidden_state
        queries = model.query_tokens.expand(len(seen), -1, -1)
        summary = model.qformer(query_embeds=queries, encoder_hidden_states=seen).last_hidden_state
        shown = model.language_projection(summary)[owners]
        language = model.language_model
        embedded = language.get_input_embeddings()(tokens)
        mask = torch.cat([torch.ones(shown.shape[:2]), (tokens != 1).float()], dim=1)
        states = language(
            inputs_embeds=torch.cat([shown, embedded], dim=1), attention_mask=mask, use_cache=False
        )
        logits: torch.Tensor = states.logits[:, shown.shape[1] :]
        return logits


def _ask(
    generator: np.random.Generator, pool: Pool, pictures: int, claims: int
) -> tuple[list[int], list[list[Said]]]:
    """Random scenes that claims can be made about, and the claims."""
    rows: list[int] = []
    said: list[list[Said]] = []
    while len(rows) < pictures:
        row = int(generator.integers(len(pool.scenes)))
        drawn = draw_claims(generator, pool.scenes[row], claims)
        if any(each.label for each in drawn):
            rows.append(row)
            said.append(drawn)
    return rows, said


def _layers(width: int, layers: int) -> dict[str, Any]:
    return {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
    }
