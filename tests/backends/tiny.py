"""Random checkpoints of the real architectures, as small or as large as wanted.

Their weights mean nothing; their files, tokenizers and code paths are those of the real ones. The
tests use them tiny, the benchmarks in larger shapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from pathlib import Path

WORDS = [
    *("yes", "Yes", "no", "No", "is", "Is", "it", "the", "The", "a", "mug", "kettle", "table"),
    *("box", "cup", "red", "blue", "left", "right", "of", "above", "below", "on", "in", "near"),
    *("behind", "front", "contain", "contains", "does", "not", "question", "Question", "Answer"),
    *("answer", "true", "that", "picture", "this", "photo", "which", "would", "you", "say"),
    *("correct", "scene", "where"),
]


def clip(
    folder: Path, *, size: int = 32, text: dict[str, Any] | None = None, **vision: Any
) -> Path:
    """A CLIP; keyword arguments widen its vision model."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    tokenizer = clip_tokenizer()
    config = CLIPConfig(
        text_config={
            **_layers(32, 2),
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 77,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.eos_token_id,
            **(text or {}),
        },
        vision_config={**_layers(32, 2), "image_size": size, "patch_size": 8, **vision},
        projection_dim=24,
    )
    torch.manual_seed(0)
    model = CLIPModel(config)
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": size}, crop_size={"height": size, "width": size}
    )
    return _save(folder, model, tokenizer, processor)


def siglip(folder: Path) -> Path:
    """A SigLIP; its text model is not causal."""
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    tokenizer = t5_tokenizer()
    config = SiglipConfig(
        text_config={
            **_layers(32, 2),
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 24,
            "projection_size": 32,
            "bos_token_id": 1,
            "eos_token_id": 1,
            "pad_token_id": 0,
        },
        vision_config={**_layers(32, 2), "image_size": 32, "patch_size": 8},
    )
    torch.manual_seed(1)
    model = SiglipModel(config)
    processor = SiglipImageProcessorPil(size={"height": 32, "width": 32})
    return _save(folder, model, tokenizer, processor)


def blip2(
    folder: Path,
    language: str,
    *,
    queries: int = 4,
    vision: dict[str, Any] | None = None,
    qformer: dict[str, Any] | None = None,
    text: dict[str, Any] | None = None,
    tokenizer: Any = None,
) -> Path:
    """A BLIP-2 with ``language`` opt, t5, or none: image-text matching."""
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2ForImageTextRetrieval,
        BlipImageProcessorPil,
    )

    matching = language == "none"
    makers = {"opt": opt_tokenizer, "t5": t5_tokenizer, "none": bert_tokenizer}
    tokenizer = tokenizer or makers[language]()
    size = (vision or {}).get("image_size", 28)
    config = Blip2Config(
        vision_config={**_layers(32, 2), "image_size": size, "patch_size": 14, **(vision or {})},
        qformer_config={
            **_layers(32, 2),
            "vocab_size": len(tokenizer),
            "encoder_hidden_size": (vision or {}).get("hidden_size", 32),
            "max_position_embeddings": 64,
            "use_qformer_text_input": matching,
            **(qformer or {}),
        },
        text_config=_language(language, tokenizer) | (text or {}),
        num_query_tokens=queries,
        image_text_hidden_size=16,
        image_token_index=None if matching else tokenizer.convert_tokens_to_ids("<image>"),
    )
    torch.manual_seed(2)
    model = (Blip2ForImageTextRetrieval if matching else Blip2ForConditionalGeneration)(config)
    _spread(model)
    processor = BlipImageProcessorPil(size={"height": size, "width": size})
    return _save(folder, model, tokenizer, processor)


def grounding_dino(
    folder: Path,
    kind: str = "grounding-dino",
    *,
    size: dict[str, int] | None = None,
    **changes: Any,
) -> Path:
    """A GroundingDINO or MM-GroundingDINO; ``size`` is what images are resized to."""
    import transformers

    prefix = {"grounding-dino": "GroundingDino", "mm-grounding-dino": "MMGroundingDino"}[kind]
    tokenizer = bert_tokenizer()
    config = getattr(transformers, f"{prefix}Config")(
        **{
            "backbone_config": transformers.SwinConfig(
                image_size=64, embed_dim=12, depths=[1, 1, 1], num_heads=[1, 2, 2], window_size=4,
                out_features=["stage1", "stage2", "stage3"],
            ),
            "text_config": {
                "model_type": "bert", "vocab_size": len(tokenizer), **_layers(32, 2),
                "max_position_embeddings": 128,
            },
            "d_model": 32, "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 32,
            "decoder_ffn_dim": 32, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
            "num_queries": 12, "num_feature_levels": 3, "max_text_len": 32,
            "decoder_n_points": 2, "encoder_n_points": 2,
        }
        | changes
    )  # fmt: skip
    torch.manual_seed(3)
    model = getattr(transformers, f"{prefix}ForObjectDetection")(config)
    _spread(model.model.text_backbone)
    _spread(model.model.backbone)
    processor = transformers.GroundingDinoImageProcessorPil(
        size=size or {"shortest_edge": 64, "longest_edge": 96}
    )
    return _save(folder, model, tokenizer, processor)


def opt_tokenizer() -> Any:
    """Byte-level, as OPT's: begins with ``</s>``."""
    from transformers import GPT2Tokenizer

    vocab, merges = _byte_pairs([f"Ġ{word}" for word in WORDS] + list(WORDS))
    special = {token: place for place, token in enumerate(("<s>", "<pad>", "</s>", "<unk>"))}
    tokenizer = GPT2Tokenizer(
        vocab=special | {token: place + len(special) for token, place in vocab.items()},
        merges=merges,
        bos_token="</s>",
        eos_token="</s>",
        unk_token="</s>",
        pad_token="<pad>",
        add_bos_token=True,
    )
    tokenizer.add_tokens(["<image>"], special_tokens=True)
    return tokenizer


def clip_tokenizer() -> Any:
    """Byte-level with word ends, lower case."""
    from transformers import CLIPTokenizer

    vocab, merges = _byte_pairs([word.lower() for word in WORDS], end="</w>")
    for token in ("<|startoftext|>", "<|endoftext|>"):
        vocab[token] = len(vocab)
    return CLIPTokenizer(vocab=vocab, merges=merges)


def t5_tokenizer() -> Any:
    """Unigram pieces; unknown words fall apart into letters."""
    from transformers import T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(f"▁{word}", -1.0) for word in dict.fromkeys(WORDS)]
    pieces += [(chr(code), -8.0) for code in range(33, 127)]
    tokenizer = T5Tokenizer(vocab=pieces, extra_ids=0)
    tokenizer.add_tokens(["<image>"], special_tokens=True)
    return tokenizer


def bert_tokenizer() -> Any:
    """Word pieces with ``[CLS] [SEP] . ?`` at BERT's own ids, on which GroundingDINO relies."""
    from transformers import BertTokenizer

    vocab = {f"[unused{place}]": place for place in range(1040)}
    for token, place in {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103,
                         ".": 1012, "?": 1029}.items():  # fmt: skip
        vocab.pop(f"[unused{place}]")
        vocab[token] = place
    words = dict.fromkeys(word.lower() for word in WORDS)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    for token in (*words, "##s", *letters, *(f"##{c}" for c in letters), *",-'", "杯"):
        vocab.setdefault(token, len(vocab))
    return BertTokenizer(vocab=vocab)


def _language(language: str, tokenizer: Any) -> dict[str, Any]:
    if language == "t5":
        return {
            "model_type": "t5", "vocab_size": len(tokenizer), "d_model": 32, "d_kv": 8, "d_ff": 64,
            "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0, "pad_token_id": 0,
            "eos_token_id": 1,
        }  # fmt: skip
    return {
        "model_type": "opt", "vocab_size": len(tokenizer), "hidden_size": 32, "ffn_dim": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 128,
        "word_embed_proj_dim": 32, "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 2,
    }  # fmt: skip


def _layers(width: int, layers: int) -> dict[str, Any]:
    return {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
    }


def _byte_pairs(words: list[str], end: str = "") -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Byte-level letters and the merges that join each word from left to right."""
    from tokenizers.pre_tokenizers import ByteLevel

    tokens = dict.fromkeys(sorted(ByteLevel.alphabet()))
    if end:
        tokens |= dict.fromkeys(letter + end for letter in list(tokens))
    merges: dict[tuple[str, str], None] = {}
    for word in words:
        pieces = [*word[:-1], word[-1] + end]
        joined = pieces[0]
        for piece in pieces[1:]:
            merges[joined, piece] = None
            joined += piece
            tokens[joined] = None
    return {token: place for place, token in enumerate(tokens)}, list(merges)


def _spread(model: Any) -> None:
    """Weights so large that a wrong mask, position or picture shows in the result."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and "language_model.lm_head" not in name:
                weight.normal_(std=2.0 / weight.shape[-1] ** 0.5)


def _save(folder: Path, model: Any, tokenizer: Any, processor: Any) -> Path:
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
