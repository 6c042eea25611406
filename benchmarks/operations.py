"""Operations (a multiply and an add are two) of asking claims: a loop's, and the least needed.

Linear layers and attention are counted, from the loaded model's own layers; norms, activations and
embeddings are not. Least: each picture once, each distinct beginning of a text once where the model
is causal, the vocabulary only where a reply is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from spatialtrust.backends.packing import plant
from spatialtrust.questions.prompts import alternatives, caption, question

if TYPE_CHECKING:
    from collections.abc import Callable

    from spatialtrust.questions.prompts import Triple

Asked = list[tuple[str, "Triple"]]
"""Image and claim."""


def count(reader: Any, asked: Asked) -> tuple[float, float]:
    """Operations of a loop over the claims, and the least that any method needs."""
    counters: dict[str, Callable[[Any, Asked], tuple[float, float]]] = {
        "ClipReader": _clip, "OptReader": _opt, "T5Reader": _t5, "MatchReader": _match,
    }  # fmt: skip
    return counters[type(reader).__name__](reader, asked)


def linear(module: nn.Module, only: str = "", skip: str = "\0") -> float:
    """Operations per token of the linear layers whose names contain ``only`` and not ``skip``."""
    return 2.0 * sum(
        layer.weight.numel()
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear) and only in name and skip not in name
    )


def attention(pairs: float, width: int, layers: int) -> float:
    """Operations of scores and sums over pairs of tokens."""
    return 4.0 * pairs * width * layers


def _pictures(asked: Asked) -> int:
    return len({image for image, _ in asked})


def _see(tower: nn.Module, config: Any) -> tuple[float, int]:
    """Operations of a vision tower on one picture, and its patches."""
    patches = (config.image_size // config.patch_size) ** 2 + 1
    embed = 2.0 * 3 * config.patch_size**2 * config.hidden_size
    within = attention(patches**2, config.hidden_size, config.num_hidden_layers)
    return patches * (linear(tower) + embed) + within, patches


def _clip(reader: Any, asked: Asked) -> tuple[float, float]:
    text = reader.model.config.text_config
    see, _ = _see(reader.model.vision_model, reader.model.config.vision_config)
    token = linear(reader.model.text_model)

    def read(texts: tuple[str, ...]) -> float:
        lengths = np.array([len(ids) for ids in reader.tokenizer(list(texts))["input_ids"]])
        pairs = float((lengths * (lengths + 1) / 2).sum())
        return float(lengths.sum()) * token + attention(
            pairs, text.hidden_size, text.num_hidden_layers
        )

    plain = sum(see + read(alternatives(claim)) for _, claim in asked)
    distinct = list(dict.fromkeys(t for _, claim in asked for t in alternatives(claim)))
    (tree,) = plant(reader.tokenizer(distinct)["input_ids"], limit=10**9)
    pairs = float((tree.depth + 1).sum())
    shared = len(tree) * token + attention(pairs, text.hidden_size, text.num_hidden_layers)
    return plain, _pictures(asked) * see + shared


def _summarise(model: Any) -> float:
    """Vision, Q-Former and projection of one picture."""
    see, patches = _see(model.vision_model, model.config.vision_config)
    qformer, queries = model.config.qformer_config, model.config.num_query_tokens
    depth = qformer.num_hidden_layers
    cross = _cross(model.qformer)
    return (
        see
        + patches * cross
        + queries * (linear(model.qformer) - cross + linear(model.language_projection))
        + attention(queries * queries, qformer.hidden_size, depth)
        + attention(
            queries * patches, qformer.hidden_size, depth // qformer.cross_attention_frequency
        )
    )


def _cross(qformer: nn.Module) -> float:
    """Keys and values that cross-attention makes of one patch."""
    return linear(qformer, "crossattention.attention.key") + linear(
        qformer, "crossattention.attention.value"
    )


def _questions(reader: Any, asked: Asked) -> list[list[int]]:
    texts = [f"Question: {question(claim)} Answer:" for _, claim in asked]
    tokens: list[list[int]] = reader.tokenizer(texts)["input_ids"]
    return tokens


def _opt(reader: Any, asked: Asked) -> tuple[float, float]:
    model, text = reader.model, reader.model.config.text_config
    queries, see = model.config.num_query_tokens, _summarise(reader.model)
    token, head = (
        linear(model.language_model, skip="lm_head"),
        linear(model.language_model, "lm_head"),
    )
    width, depth = text.hidden_size, text.num_hidden_layers
    tokens = _questions(reader, asked)
    plain = 0.0
    for ids in tokens:
        length = queries + len(ids)
        plain += see + length * token + head + attention(length * (length + 1) / 2, width, depth)
    least = len(asked) * head
    for image in {image for image, _ in asked}:
        said = [ids for ids, (name, _) in zip(tokens, asked, strict=True) if name == image]
        (tree,) = plant(said, limit=10**9)
        pairs = queries * (queries + 1) / 2 + float((queries + tree.depth + 1).sum())
        least += see + (queries + len(tree)) * token + attention(pairs, width, depth)
    return plain, least


def _t5(reader: Any, asked: Asked) -> tuple[float, float]:
    model, text = reader.model, reader.model.config.text_config
    queries, see = model.config.num_query_tokens, _summarise(reader.model)
    language = model.language_model
    of_encoded = linear(language.decoder, "EncDecAttention.k") + linear(
        language.decoder, "EncDecAttention.v"
    )
    once = linear(language.decoder) - of_encoded + linear(language, "lm_head")
    width = text.num_heads * text.d_kv
    read = 0.0
    for ids in _questions(reader, asked):
        length = queries + len(ids)
        read += length * (linear(language.encoder) + of_encoded) + once
        read += attention(length * length, width, text.num_layers)
        read += attention(length + 1, width, text.num_decoder_layers)
    return len(asked) * see + read, _pictures(asked) * see + read


def _match(reader: Any, asked: Asked) -> tuple[float, float]:
    model, config = reader.model, reader.model.config.qformer_config
    see, patches = _see(model.vision_model, model.config.vision_config)
    see += patches * _cross(model.qformer)
    queries, layers = model.query_tokens.shape[1], config.num_hidden_layers
    both = linear(model.qformer, ".attention.", skip="crossattention")
    on_queries = (
        linear(model.qformer, "crossattention") - _cross(model.qformer)
        + linear(model.qformer, "_query.dense") + linear(model.itm_head)
    )  # fmt: skip
    on_text = linear(model.qformer, skip="attention") - linear(model.qformer, "_query.dense")
    read = 0.0
    for ids in reader.tokenizer([caption(claim) for _, claim in asked])["input_ids"]:
        length = queries + len(ids)
        read += length * both + queries * on_queries + len(ids) * on_text
        read += attention(length * length, config.hidden_size, layers)
        read += attention(
            queries * patches, config.hidden_size, layers // config.cross_attention_frequency
        )
    return len(asked) * see + read, _pictures(asked) * see + read
