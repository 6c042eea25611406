"""CLIP and BLIP-2 from random weights, on budgets that were fixed before their accuracy was seen.

They are as good or bad as those make them: nothing here looks at accuracy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from spatialtrust.backends.tabletop.claims import draw_claims
from spatialtrust.backends.tabletop.training.detector import SIZE, normalise
from spatialtrust.questions.prompts import alternatives, caption, question

if TYPE_CHECKING:
    from spatialtrust.backends.tabletop.claims import Said
    from spatialtrust.backends.tabletop.scene import Scene
    from spatialtrust.backends.tabletop.training.pool import Pool

MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
DEVIATION: Final = (0.26862954, 0.26130258, 0.27577711)
QUESTIONS: Final = 12
"""That BLIP-2 is asked about a picture, in a step."""
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


class ClipBatch(NamedTuple):
    """Pictures with lists and true claims.

    Attributes
    ----------
    pixels: uint8 (B, H, W, 3).
    inputs: of the distinct texts, for the text encoder.
    own: (B,) which text lists what a picture shows.
    owner: (G,) which picture a true claim is about.
    rivals: (G, R) its text, then those that it competes with; -1: none.
    """

    pixels: torch.Tensor
    inputs: dict[str, torch.Tensor]
    own: torch.Tensor
    owner: torch.Tensor
    rivals: torch.Tensor


class ClipLesson:
    """Contrast of pictures with captions of the batch, and of a claim with its alternatives.

    Half of the loss is CLIP's own, over true claims and lists of what is seen; half puts each true
    claim against the captions that it will compete with when asked.
    """

    def __init__(self, tokenizer: Any, pool: Pool, seed: int, pictures: int) -> None:
        self.tokenizer, self.pool = tokenizer, pool
        self.seed, self.pictures = seed, pictures

    def batch(self, step: int) -> ClipBatch:
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
        rivals = torch.full((len(groups), max(map(len, groups))), -1)
        for place, group in enumerate(groups):
            rivals[place, : len(group)] = torch.tensor([number[text] for text in group])
        return ClipBatch(
            torch.from_numpy(self.pool.pictures[rows]),
            dict(self.tokenizer(texts, return_tensors="pt", padding=True)),
            torch.tensor([number[text] for text in lists]),
            torch.tensor(owners),
            rivals,
        )

    def loss(self, model: Any, batch: ClipBatch) -> tuple[torch.Tensor, dict[str, float]]:
        """See ``loop.Lesson``."""
        device = next(model.parameters()).device
        pixels, own, owner, rivals = (
            part.to(device) for part in (batch.pixels, batch.own, batch.owner, batch.rivals)
        )
        inputs = {name: value.to(device) for name, value in batch.inputs.items()}
        spoken = functional.normalize(model.get_text_features(**inputs).pooler_output, dim=-1)
        seen = model.get_image_features(pixel_values=normalise(pixels, MEAN, DEVIATION))
        scale = model.logit_scale.exp().clamp(max=100)
        logits = (scale * functional.normalize(seen.pooler_output, dim=-1) @ spoken.T).float()
        lists = logits[:, own]
        target = torch.arange(len(lists), device=device)
        lists_loss = (
            functional.cross_entropy(lists, target) + functional.cross_entropy(lists.T, target)
        ) / 2
        claims_loss = functional.cross_entropy(logits[:, rivals[:, 0]].T, owner)
        contest = logits[owner[:, None], rivals.clamp_min(0)]
        contest = contest.masked_fill(rivals < 0, -1e4)
        contest_loss = functional.cross_entropy(contest, torch.zeros_like(owner))
        loss = (lists_loss + claims_loss) / 2 + contest_loss
        return loss, {
            "lists": float(lists_loss.detach()),
            "claims": float(claims_loss.detach()),
            "alternatives": float(contest_loss.detach()),
        }


class Blip2Batch(NamedTuple):
    """Pictures with what is said about them.

    Attributes
    ----------
    pixels: uint8 (B, H, W, 3).
    owner: (T,) which picture a text is about.
    tokens: (T, L), padded with 1.
    labels: (T, L) the same where the model has to say it, else ``_IGNORED``.
    asked: (T,) whether a text is a question with its reply; else a caption.
    """

    pixels: torch.Tensor
    owner: torch.Tensor
    tokens: torch.Tensor
    labels: torch.Tensor
    asked: torch.Tensor


class Blip2Lesson:
    """Replies to questions, and captions, by next-token prediction.

    A picture's captions are a true claim, in words, and the list of its objects from left to right.
    Without the list the same budget learns as much, later.
    """

    def __init__(self, tokenizer: Any, pool: Pool, seed: int, pictures: int) -> None:
        self.tokenizer, self.pool = tokenizer, pool
        self.seed, self.pictures = seed, pictures
        self.reply = {
            label: tokenizer(word, add_special_tokens=False)["input_ids"][0]
            for label, word in ((True, " yes"), (False, " no"))
        }

    def batch(self, step: int) -> Blip2Batch:
        """See ``loop.Lesson``."""
        generator = np.random.default_rng((self.seed, step))
        rows, said = _ask(generator, self.pool, self.pictures, QUESTIONS)
        prompts, answers, owners = [], [], []
        for place, (row, claims) in enumerate(zip(rows, said, strict=True)):
            captions = [caption(each.claim, each.prompt) for each in claims if each.label][:1]
            captions.append(from_left_to_right(self.pool.scenes[row]))
            owners += [place] * (len(claims) + len(captions))
            prompts += [f"Question: {question(c.claim, c.prompt)} Answer:" for c in claims]
            answers += [self.reply[each.label] for each in claims]
            prompts += captions
            answers += [self.tokenizer.eos_token_id] * len(captions)
        ids = [
            [*tokens, answer]
            for tokens, answer in zip(self.tokenizer(prompts)["input_ids"], answers, strict=True)
        ]
        width = max(map(len, ids))
        tokens = torch.tensor([row + [1] * (width - len(row)) for row in ids])
        labels = tokens.masked_fill(tokens == 1, _IGNORED)
        asked = torch.tensor([answer != self.tokenizer.eos_token_id for answer in answers])
        last = torch.tensor([len(row) - 1 for row in ids])
        silent = asked[:, None] & (torch.arange(width) != last[:, None])
        labels = labels.masked_fill(silent, _IGNORED)
        labels[:, 0] = _IGNORED
        pixels = torch.from_numpy(self.pool.pictures[rows])
        return Blip2Batch(pixels, torch.tensor(owners), tokens, labels, asked)

    def loss(self, model: Any, batch: Blip2Batch) -> tuple[torch.Tensor, dict[str, float]]:
        """See ``loop.Lesson``."""
        device = next(model.parameters()).device
        pixels, owner, tokens, labels, asked = (part.to(device) for part in batch)
        logits = _answered(model, normalise(pixels, MEAN, DEVIATION), owner, tokens)
        error = functional.cross_entropy(
            logits[:, :-1].float().flatten(0, 1), labels[:, 1:].flatten(), reduction="none",
            ignore_index=_IGNORED,
        ).view(len(tokens), -1)  # fmt: skip
        replies = error[asked].sum() / asked.sum()
        captions = error[~asked].sum() / (labels[~asked][:, 1:] != _IGNORED).sum().clamp_min(1)
        parts = {"replies": float(replies.detach()), "captions": float(captions.detach())}
        return replies + 0.5 * captions, parts


def from_left_to_right(scene: Scene) -> str:
    """The objects of a scene by the middles of their boxes.

    >>> from spatialtrust.backends.tabletop.world import sample_scene
    >>> from_left_to_right(sample_scene(3)).count("a ") == len(sample_scene(3).objects)
    True
    """
    placed = sorted(scene.objects, key=lambda item: item.box[0] + item.box[2])
    return ", ".join(f"a {item.phrase}" for item in placed)


def _answered(
    model: Any, pixels: torch.Tensor, owner: torch.Tensor, tokens: torch.Tensor
) -> torch.Tensor:
    """Logits of every text token, each picture seen once for all its texts."""
    seen = model.vision_model(pixels).last_hidden_state
    queries = model.query_tokens.expand(len(seen), -1, -1)
    summary = model.qformer(query_embeds=queries, encoder_hidden_states=seen).last_hidden_state
    shown = model.language_projection(summary)[owner]
    language = model.language_model
    embedded = language.get_input_embeddings()(tokens)
    mask = torch.cat([torch.ones_like(shown[..., 0]), (tokens != 1).to(shown.dtype)], dim=1)
    states = language(
        inputs_embeds=torch.cat([shown, embedded.to(shown.dtype)], dim=1),
        attention_mask=mask,
        use_cache=False,
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
