"""Tiny random VLMs in the shape of real ones: they prove the path, and know nothing.

Whatever is measured with them is noise; whoever runs them says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from spatialtrust.backends.tabletop.training import vocabulary
from spatialtrust.csp.joined import JoinedProcessor
from spatialtrust.errors import InputError, suggest

if TYPE_CHECKING:
    from pathlib import Path

SHAPES: Final = ("llava", "qwen2-vl")
LOUD: Final = (
    "DRY RUN: a tiny random {shape}-shaped model that knows nothing; it shows that the path works, "
    "and every figure below is noise"
)

_EDGE: Final = 56
_PICTURE: Final = "<image>"
_WIDTH: Final = 32


def write_random(shape: str, folder: Path) -> str:
    """Write a random checkpoint in the shape of a real one; its reference.

    Parameters
    ----------
    shape: one of ``SHAPES``.

    Raises
    ------
    InputError: the shape is not known.
    """
    if shape not in SHAPES:
        raise InputError(
            f'shape "{shape}" is not known; {suggest(shape, SHAPES)}valid: {", ".join(SHAPES)}'
        )
    import torch

    torch.manual_seed(0)
    tokenizer = vocabulary.opt()
    model, processor = (_llava if shape == "llava" else _qwen)(tokenizer)
    for part in (model, processor):
        part.save_pretrained(folder)
    return str(folder)


def _text(tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": _WIDTH,
        "intermediate_size": 2 * _WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _llava(tokenizer: Any) -> tuple[Any, Any]:
    from transformers import (
        CLIPImageProcessorPil,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    vision = {
        "model_type": "clip_vision_model", "hidden_size": _WIDTH, "intermediate_size": 2 * _WIDTH,
        "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": _EDGE, "patch_size": 14,
        "projection_dim": _WIDTH,
    }  # fmt: skip
    config = LlavaConfig(
        vision_config=vision,
        text_config={"model_type": "llama", **_text(tokenizer)},
        image_token_index=tokenizer.convert_tokens_to_ids(_PICTURE),
        vision_feature_layer=-1,
    )
    pictures = CLIPImageProcessorPil(
        size={"shortest_edge": _EDGE}, crop_size={"height": _EDGE, "width": _EDGE}
    )
    maker: Any = LlavaProcessor
    processor = maker(
        image_processor=pictures,
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        image_token=_PICTURE,
        num_additional_image_tokens=1,
        chat_template="{% for m in messages %}{% for c in m['content'] %}"
        "{% if c['type'] == 'image' %}<image>\n{% else %}{{ c['text'] }}{% endif %}"
        "{% endfor %}{% endfor %}\nAnswer:",
    )
    return LlavaForConditionalGeneration(config), processor


def _qwen(tokenizer: Any) -> tuple[Any, Any]:
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessorPil,
    )

    marks = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    tokenizer.add_tokens(list(marks), special_tokens=True)
    ids = dict(zip(marks, tokenizer.convert_tokens_to_ids(list(marks)), strict=True))
    config = Qwen2VLConfig(
        text_config={
            "model_type": "qwen2_vl_text", **_text(tokenizer),
            "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2],
                                "rope_theta": 10000.0},
        },
        vision_config={
            "depth": 2, "embed_dim": _WIDTH, "hidden_size": _WIDTH, "num_heads": 4,
            "mlp_ratio": 2, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )  # fmt: skip
    pictures = Qwen2VLImageProcessorPil(
        min_pixels=_EDGE * _EDGE, max_pixels=_EDGE * _EDGE, patch_size=14, merge_size=2
    )
    tokenizer.chat_template = (
        "{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'image' %}"
        "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c['text'] }}{% endif %}"
        "{% endfor %}{% endfor %}\nAnswer:"
    )
    processor = JoinedProcessor(tokenizer, pictures)
    return Qwen2VLForConditionalGeneration(config), processor
