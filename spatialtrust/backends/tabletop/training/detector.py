"""GroundingDINO from random weights.

Three additions to the library's own loss, without which a small model does not learn in hours:

1. The two-stage proposals are trained. The library detaches them, so from random weights the
   encoder's heads never learn. Here the token nearest an object's middle predicts its phrase and
   box; its neighbours count little as negatives (CornerNet's penalty, arXiv 1808.01244, 3.2).
2. A cross-entropy over the phrases of the prompt, for those tokens and for the matched queries,
   ties pictures to phrases; the sigmoid focal loss alone leaves phrases at chance for long.
3. Visual and text features start with one channel in common that stands for "nothing here", since
   the contrastive head has no bias, and fusion starts at 0.3 instead of 0.0001.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from spatialtrust.backends.tabletop.scene import PHRASES

if TYPE_CHECKING:
    from spatialtrust.backends.tabletop.training.pool import Pool

SIZE: Final = 128
MAX_TEXT: Final = 96
_MEAN: Final = (0.485, 0.456, 0.406)
_DEVIATION: Final = (0.229, 0.224, 0.225)
_MOST_PHRASES: Final = 24
"""About as many as a prompt of ``MAX_TEXT`` tokens holds."""
_EMPTY: Final = -3.0
"""Logit of "nothing here" before training."""
_FUSION: Final = 0.3
_BOX, _GIOU, _LABEL, _PHRASE = 5.0, 2.0, 2.0, 0.5


class Batch(NamedTuple):
    """Model inputs, and per object its picture, box and tokens.

    Attributes
    ----------
    inputs: arguments of the model.
    phrases: (B, P, T) 1 / number of tokens where a token belongs to a phrase.
    picture: (M,) which picture an object is on.
    phrase: (M,) which phrase of the prompt it goes by.
    boxes: (M, 4) centre and extents, fractions.
    """

    inputs: dict[str, torch.Tensor]
    phrases: torch.Tensor
    picture: torch.Tensor
    phrase: torch.Tensor
    boxes: torch.Tensor


def build(tokenizer: Any, seed: int) -> Any:
    """The untrained model."""
    from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection, SwinConfig

    width = 64
    levels: dict[str, Any] = {"out_features": ["stage2", "stage3"]}
    swin = SwinConfig(
        image_size=SIZE, embed_dim=32, depths=[1, 2, 2], num_heads=[2, 4, 4], window_size=4,
        mlp_ratio=2.0, drop_path_rate=0.0, **levels,
    )  # fmt: skip
    config = GroundingDinoConfig(
        backbone_config=swin,
        text_config={
            "model_type": "bert", "vocab_size": len(tokenizer), "hidden_size": width,
            "intermediate_size": 2 * width, "num_hidden_layers": 1, "num_attention_heads": 4,
            "max_position_embeddings": MAX_TEXT, "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        },
        d_model=width, encoder_layers=1, decoder_layers=2, encoder_n_points=2,
        encoder_ffn_dim=2 * width, decoder_ffn_dim=2 * width,
        encoder_attention_heads=4, decoder_attention_heads=4, num_queries=20, num_feature_levels=2,
        max_text_len=MAX_TEXT, dropout=0.0,
        fusion_droppath=0.0, auxiliary_loss=True,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = GroundingDinoForObjectDetection(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("fusion_layer.vision_param", "fusion_layer.text_param")):
                weight.fill_(_FUSION)
        inner = model.model
        text = inner.encoder.layers[-1].text_enhancer_layer.layer_norm_after
        text.bias[0], text.weight[0] = 1.0, 0.0
        for norm in (inner.enc_output_norm, inner.decoder.layer_norm):
            norm.weight.fill_(0.3)
            norm.bias[0], norm.weight[0] = _EMPTY, 0.0
    return model


class DetectorLesson:
    """Pictures with prompts of present and absent phrases in random order."""

    def __init__(self, tokenizer: Any, pool: Pool, seed: int, pictures: int) -> None:
        self.pool, self.pictures = pool, pictures
        self.tokens = [
            tokenizer(phrase, add_special_tokens=False)["input_ids"] for phrase in PHRASES
        ]
        self.start, self.stop, self.end = tokenizer.convert_tokens_to_ids(["[CLS]", ".", "[SEP]"])
        self.seed = seed
        self.places = {phrase: place for place, phrase in enumerate(PHRASES)}

    def loss(self, model: Any, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        """See ``loop.Lesson``."""
        return loss(model, batch)

    def batch(self, step: int) -> Batch:
        """Random scenes of the pool; the same step gives the same batch."""
        generator = np.random.default_rng((self.seed, step))
        rows = generator.integers(len(self.pool.scenes), size=self.pictures)
        prompts, picture, phrase, boxes = [], [], [], []
        for place, row in enumerate(rows.tolist()):
            objects = self.pool.scenes[row].objects
            prompt = self._prompt(generator, {self.places[item.phrase] for item in objects})
            prompts.append(prompt)
            picture += [place] * len(objects)
            phrase += [prompt.index(self.places[item.phrase]) for item in objects]
            boxes += [item.box for item in objects]
        corners = np.array(boxes, dtype=np.float32) / SIZE
        middles = np.concatenate(
            [(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1
        )
        ids, phrases = self._spell(prompts)
        inputs = {
            "pixel_values": normalise(torch.from_numpy(self.pool.pictures[rows])),
            "input_ids": ids,
            "attention_mask": (ids != 0).long(),
        }
        return Batch(
            inputs, phrases, torch.tensor(picture), torch.tensor(phrase), torch.from_numpy(middles)
        )

    def _prompt(self, generator: np.random.Generator, present: set[int]) -> list[int]:
        """The phrases of a picture and some that are not on it, shuffled, as many as fit."""
        absent = [place for place in range(len(PHRASES)) if place not in present]
        more = generator.integers(1, _MOST_PHRASES + 1 - len(present))
        chosen = [*sorted(present), *generator.choice(absent, more, replace=False)]
        ends = 2 + np.cumsum([len(self.tokens[place]) + 1 for place in chosen])
        fitting = chosen[: int(np.searchsorted(ends, MAX_TEXT, side="right"))]
        return [int(place) for place in generator.permutation(fitting)]

    def _spell(self, prompts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        lengths = [2 + sum(len(self.tokens[p]) + 1 for p in prompt) for prompt in prompts]
        ids = np.zeros((len(prompts), max(lengths)), dtype=np.int64)
        phrases = np.zeros((len(prompts), _MOST_PHRASES, ids.shape[1]), dtype=np.float32)
        for row, prompt in enumerate(prompts):
            ids[row, 0] = self.start
            at = 1
            for place, name in enumerate(prompt):
                tokens = self.tokens[name]
                ids[row, at : at + len(tokens)] = tokens
                phrases[row, place, at : at + len(tokens)] = 1 / len(tokens)
                at += len(tokens)
                ids[row, at] = self.stop
                at += 1
            ids[row, at] = self.end
        return torch.from_numpy(ids), torch.from_numpy(phrases)


def normalise(
    pictures: torch.Tensor,
    mean: tuple[float, ...] = _MEAN,
    deviation: tuple[float, ...] = _DEVIATION,
) -> torch.Tensor:
    """Pictures (B, H, W, 3) as an image processor makes them, (B, 3, H, W)."""
    values = pictures.permute(0, 3, 1, 2).float().div_(255)
    centre, spread = (
        torch.tensor(v, device=values.device).view(1, 3, 1, 1) for v in (mean, deviation)
    )
    return values.sub_(centre).div_(spread)


def loss(model: Any, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
    """Sum of the losses of proposals and of every decoder layer, and its parts."""
    heads: list[tuple[torch.Tensor, torch.Tensor]] = []
    outputs = _forward(model, batch.inputs, heads)
    length = batch.inputs["input_ids"].shape[1]
    width = int((batch.inputs["pixel_values"].shape[-1]) // 8)
    owner, weight = _central_tokens(batch, outputs.enc_outputs_class.shape[1], width)
    parts = {
        "proposals": _terms(
            outputs.enc_outputs_class[..., :length],
            outputs.enc_outputs_coord_logits.sigmoid(),
            batch,
            owner,
            weight,
        )
    }
    for layer, (logits, boxes) in enumerate(heads):
        matched = _match(logits[..., :length].detach(), boxes.detach(), batch)
        parts[f"decoder{layer}"] = _terms(logits[..., :length], boxes, batch, matched, None)
    total = torch.stack([term.sum() for term in parts.values()]).sum()
    return total, {
        f"{name}.{kind}": float(value)
        for name, term in parts.items()
        for kind, value in zip(("label", "phrase", "l1", "giou"), term.detach(), strict=True)
    }


def _forward(
    model: Any, inputs: dict[str, torch.Tensor], heads: list[tuple[torch.Tensor, torch.Tensor]]
) -> Any:
    """The base model's outputs; fills in every decoder layer's logits and boxes."""
    outputs = model.model(**inputs)
    mask = inputs["attention_mask"].bool()
    for layer in range(outputs.intermediate_hidden_states.shape[1]):
        states = outputs.intermediate_hidden_states[:, layer]
        reference = (
            outputs.init_reference_points
            if layer == 0
            else outputs.intermediate_reference_points[:, layer - 1]
        )
        logits = model.class_embed[layer](states, outputs.encoder_last_hidden_state_text, mask)
        shift = model.bbox_embed[layer](states)
        heads.append((logits, (shift + torch.special.logit(reference, eps=1e-5)).sigmoid()))
    return outputs


def _central_tokens(batch: Batch, tokens: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token nearest each object's middle (M,), and how much each token counts as a negative."""
    column = (batch.boxes[:, 0] * width).long().clamp(0, width - 1)
    row = (batch.boxes[:, 1] * width).long().clamp(0, width - 1)
    grid = (torch.arange(width) + 0.5) / width
    spread = (batch.boxes[:, 2:] / 5).clamp_min(0.25 / width)
    across = ((grid[None] - batch.boxes[:, :1]) / spread[:, :1]).square()
    down = ((grid[None] - batch.boxes[:, 1:2]) / spread[:, 1:]).square()
    near = torch.exp(-0.5 * (down[:, :, None] + across[:, None, :])).flatten(1)
    pictures = len(batch.inputs["input_ids"])
    rows = batch.picture[:, None].expand_as(near)
    most = torch.zeros(pictures, width * width).scatter_reduce(0, rows, near, "amax")
    weight = torch.ones(pictures, tokens)
    weight[:, : width * width] = (1 - most) ** 4
    return row * width + column, weight


@torch.no_grad()
def _match(logits: torch.Tensor, boxes: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The query that answers for each object (M,): the cheapest one-to-one assignment."""
    from scipy.optimize import linear_sum_assignment

    phrase = batch.phrases[batch.picture, batch.phrase]
    chance = logits.sigmoid()[batch.picture]
    label = -torch.einsum("mqt,mt->mq", chance, phrase)
    found = boxes[batch.picture]
    target = batch.boxes[:, None].expand_as(found)
    l1 = (found - target).abs().sum(-1)
    cost = (2 * label + _BOX * l1 - _GIOU * _giou(found, target)).numpy()
    matched = torch.empty(len(cost), dtype=torch.int64)
    picture = batch.picture.numpy()
    for place in range(len(logits)):
        rows = np.flatnonzero(picture == place)
        members, queries = linear_sum_assignment(cost[rows])
        matched[rows[members]] = torch.from_numpy(queries)
    return matched


def _terms(
    logits: torch.Tensor,
    boxes: torch.Tensor,
    batch: Batch,
    owner: torch.Tensor,
    weight: torch.Tensor | None,
) -> torch.Tensor:
    """Label, phrase, L1 and GIoU losses, weighted; ``owner`` answers for each object."""
    objects = len(owner)
    said = batch.phrases[batch.picture, batch.phrase] > 0
    target = torch.zeros_like(logits)
    target[batch.picture, owner] = torch.maximum(target[batch.picture, owner], said.float())
    live = batch.inputs["attention_mask"].bool()[:, None, :].expand_as(logits)
    finite = logits.masked_fill(~live, 0.0)
    error = functional.binary_cross_entropy_with_logits(finite, target, reduction="none")
    chance = finite.sigmoid()
    miss = torch.where(target > 0, 1 - chance, chance)
    error = 0.5 * miss.square() * error * live
    if weight is not None:
        error = error * torch.where(target > 0, 1.0, weight[..., None])
    label = error.sum() / said.sum()
    chosen = finite[batch.picture, owner]
    score = torch.einsum("mt,mpt->mp", chosen, batch.phrases[batch.picture])
    unused = batch.phrases[batch.picture].sum(-1) == 0
    phrase = functional.cross_entropy(score.masked_fill(unused, -1e4), batch.phrase)
    found = boxes[batch.picture, owner]
    l1 = (found - batch.boxes).abs().sum() / objects
    giou = 1 - _giou(found, batch.boxes).mean()
    return torch.stack([_LABEL * label, _PHRASE * phrase, _BOX * l1, _GIOU * giou])


def _giou(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Generalised IoU of paired boxes, centre and extents (..., 4); arXiv 1902.09630."""
    low1, high1 = first[..., :2] - first[..., 2:] / 2, first[..., :2] + first[..., 2:] / 2
    low2, high2 = second[..., :2] - second[..., 2:] / 2, second[..., :2] + second[..., 2:] / 2
    common = (torch.minimum(high1, high2) - torch.maximum(low1, low2)).clamp_min(0).prod(-1)
    either = first[..., 2:].prod(-1) + second[..., 2:].prod(-1) - common
    hull = (torch.maximum(high1, high2) - torch.minimum(low1, low2)).prod(-1)
    return common / either.clamp_min(1e-9) - (hull - either) / hull.clamp_min(1e-9)
