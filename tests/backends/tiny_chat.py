"""Random chat models of the real architectures: their processors, templates and positions, tiny.

The vocabularies are small and byte-level; the chat templates are those of the families, shortened.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from tests.backends.tiny import WORDS, _byte_pairs, _layers, _spread

if TYPE_CHECKING:
    from pathlib import Path

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}IMAGE{% else %}{{ c['text'] }}{% endif %}{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAVA = (
    "{% for m in messages %}{{ m['role'].upper() + ': ' }}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}IMAGE\n{% else %}{{ c['text'] }} {% endif %}{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
SMOL = (
    "<|im_start|>{% for m in messages %}{{ m['role'] | capitalize }}:{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}IMAGE{% else %}{{ c['text'] }}{% endif %}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m['role'] }}\n"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}IMAGE{% else %}{{ c['text'] }}"
    "{% endif %}{% endfor %}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
SAMPLE = ("Answer", "with", "yes", "or", "Describe", "picture", "user", "assistant", "USER")


def _text(width: int) -> dict[str, Any]:
    """A language model of two layers (four, where it is wide)."""
    layers = 2 if width <= 32 else 4
    return {**_layers(width, layers), "num_key_value_heads": 2, "max_position_embeddings": 1024}


def tokenizer(
    *special: str, template: str | None, image: str, named: dict[str, str] | None = None
) -> Any:
    """Byte-level, with the special tokens of a family and its chat template."""
    from transformers import GPT2Tokenizer

    words = [*WORDS, *SAMPLE]
    vocab, merges = _byte_pairs([f"Ġ{word}" for word in words] + list(words))
    first = {token: place for place, token in enumerate(("<bos>", "<pad>", "<eos>", "<unk>"))}
    found = GPT2Tokenizer(
        vocab=first | {token: place + len(first) for token, place in vocab.items()},
        merges=merges,
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        pad_token="<pad>",
        extra_special_tokens=named or {},
    )
    found.add_tokens(list(special), special_tokens=True)
    found.chat_template = template and template.replace("IMAGE", image)
    return found


def llava(folder: Path, width: int = 32) -> Path:
    """CLIP and Llama; the picture has a fixed number of tokens."""
    from transformers import CLIPImageProcessorPil, LlavaConfig, LlavaForConditionalGeneration

    words = tokenizer("<image>", template=LLAVA, image="<image>")
    config = LlavaConfig(
        vision_config={
            "model_type": "clip_vision_model", **_layers(32, 3), "image_size": 28, "patch_size": 7,
        },
        text_config={"model_type": "llama", **_text(width), "vocab_size": len(words)},
        image_token_id=words.convert_tokens_to_ids("<image>"),
        image_seq_length=16,
    )  # fmt: skip
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}
    )
    extra = {"patch_size": 7, "vision_feature_select_strategy": "default",
             "num_additional_image_tokens": 1, "processor_class": "LlavaProcessor"}  # fmt: skip
    return _save(folder, LlavaForConditionalGeneration, config, words, processor, extra)


def qwen(folder: Path, version: str = "2", width: int = 32) -> Path:
    """Qwen2-VL, Qwen2.5-VL or Qwen3-VL: any resolution, positions in three dimensions."""
    import transformers

    special = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>")
    words = tokenizer(
        *special, "<|image_pad|>", "<|video_pad|>", template=CHATML,
        image="<|vision_start|><|image_pad|><|vision_end|>",
    )  # fmt: skip
    ids = {
        f"{name}_token_id": words.convert_tokens_to_ids(token)
        for name, token in (
            ("image", "<|image_pad|>"), ("video", "<|video_pad|>"),
            ("vision_start", "<|vision_start|>"), ("vision_end", "<|vision_end|>"),
        )
    }  # fmt: skip
    prefix = {"2": "Qwen2VL", "2.5": "Qwen2_5_VL", "3": "Qwen3VL"}[version]
    vision: dict[str, Any] = {"depth": 2, "num_heads": 2, "patch_size": 4, "spatial_merge_size": 2}
    if version == "2":
        vision |= {"embed_dim": 32, "hidden_size": width, "mlp_ratio": 2}
    else:
        vision |= {"hidden_size": 32, "intermediate_size": 64, "out_hidden_size": width}
    if version == "2.5":
        vision |= {"window_size": 16, "fullatt_block_indexes": [1]}
    if version == "3":
        vision |= {"deepstack_visual_indexes": [0], "num_position_embeddings": 64}
    rope = {
        "rope_type": "default",
        "mrope_section": [width // 32, width // 32, width // 16],
        "rope_theta": 10000.0,
    }
    given = {**_text(width), "vocab_size": len(words), "rope_parameters": rope}
    if version == "3":
        given["head_dim"] = width // 4
    config = getattr(transformers, f"{prefix}Config")(
        text_config=given, vision_config=vision, tie_word_embeddings=False, **ids
    )
    processor = transformers.Qwen2VLImageProcessorPil(
        patch_size=4, merge_size=2, size={"shortest_edge": 256, "longest_edge": 4096}
    )
    extra = {"processor_class": "Qwen3VLProcessor" if version == "3" else f"{prefix}Processor"}
    model = getattr(transformers, f"{prefix}ForConditionalGeneration")
    return _save(folder, model, config, words, processor, extra)


def smolvlm(folder: Path, name: str = "SmolVLM", width: int = 32) -> Path:
    """SmolVLM or Idefics3: the picture in tiles, with row and column tokens."""
    import transformers

    tiles = [f"<row_{row + 1}_col_{column + 1}>" for row in range(6) for column in range(6)]
    words = tokenizer(
        "<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>",
        "<|im_start|>", *tiles, template=SMOL, image="<image>",
    )  # fmt: skip
    config = getattr(transformers, f"{name}Config")(
        vision_config={**_layers(32, 2), "image_size": 28, "patch_size": 7},
        text_config={"model_type": "llama", **_text(width), "vocab_size": len(words),
                     "pad_token_id": 1},
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=1,
    )  # fmt: skip
    processor = getattr(transformers, f"{name}ImageProcessorPil")(
        size={"longest_edge": 56}, max_image_size={"longest_edge": 28}
    )
    extra = {"image_seq_len": 4, "processor_class": f"{name}Processor"}
    model = getattr(transformers, f"{name}ForConditionalGeneration")
    return _save(folder, model, config, words, processor, extra)


def internvl(folder: Path, width: int = 32) -> Path:
    """InternVL: the picture in tiles and a thumbnail."""
    from transformers import (
        GotOcr2ImageProcessorPil,
        InternVLConfig,
        InternVLForConditionalGeneration,
    )

    named = {"start_image_token": "<img>", "end_image_token": "</img>",
             "context_image_token": "<IMG_CONTEXT>", "video_token": "<video>"}  # fmt: skip
    words = tokenizer(
        "<|im_start|>", "<|im_end|>", *named.values(), template=CHATML, image="<IMG_CONTEXT>\n",
        named=named,
    )  # fmt: skip
    config = InternVLConfig(
        vision_config={**_layers(32, 2), "image_size": [28, 28], "patch_size": [7, 7]},
        text_config={"model_type": "qwen2", **_text(width), "vocab_size": len(words)},
        image_token_id=words.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    processor = GotOcr2ImageProcessorPil(
        size={"height": 28, "width": 28}, crop_to_patches=True, min_patches=1, max_patches=4
    )
    extra = {"image_seq_length": 4, "processor_class": "InternVLProcessor"}
    return _save(folder, InternVLForConditionalGeneration, config, words, processor, extra)


def gemma3(folder: Path, width: int = 32) -> Path:
    """Gemma 3: the picture attends to itself both ways; layers with a short memory between."""
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3ImageProcessorPil,
    )

    named = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>",
             "image_token": "<image_soft_token>"}  # fmt: skip
    words = tokenizer(
        "<start_of_turn>", "<end_of_turn>", *named.values(), template=GEMMA,
        image="<start_of_image>", named=named,
    )  # fmt: skip
    kinds = ["sliding_attention", "full_attention"]
    config = Gemma3Config(
        vision_config={**_layers(32, 2), "image_size": 28, "patch_size": 7,
                       "vision_use_head": False},
        text_config={**_text(width), "head_dim": 8, "vocab_size": len(words), "sliding_window": 8,
                     "layer_types": kinds if width <= 32 else 2 * kinds,
                     "query_pre_attn_scalar": 8},
        image_token_id=words.convert_tokens_to_ids("<image_soft_token>"),
        boi_token_id=words.convert_tokens_to_ids("<start_of_image>"),
        eoi_token_id=words.convert_tokens_to_ids("<end_of_image>"),
        mm_tokens_per_image=4,
    )  # fmt: skip
    processor = Gemma3ImageProcessorPil(size={"height": 28, "width": 28})
    extra = {"image_seq_length": 4, "processor_class": "Gemma3Processor"}
    return _save(folder, Gemma3ForConditionalGeneration, config, words, processor, extra)


def paligemma(folder: Path, width: int = 32) -> Path:
    """PaliGemma: no chat template; picture and question attend to each other."""
    from transformers import (
        PaliGemmaConfig,
        PaliGemmaForConditionalGeneration,
        SiglipImageProcessorPil,
    )

    words = tokenizer("<image>", template=None, image="<image>")
    words.add_tokens([f"<loc{i:0>4}>" for i in range(1024)] + [f"<seg{i:0>3}>" for i in range(128)])
    config = PaliGemmaConfig(
        vision_config={**_layers(32, 2), "image_size": 28, "patch_size": 7,
                       "projection_dim": width, "vision_use_head": False},
        text_config={"model_type": "gemma", **_text(width), "head_dim": 8,
                     "vocab_size": len(words)},
        image_token_id=words.convert_tokens_to_ids("<image>"),
        projection_dim=width,
    )  # fmt: skip
    processor = SiglipImageProcessorPil(size={"height": 28, "width": 28}, image_seq_length=16)
    extra = {"processor_class": "PaliGemmaProcessor"}
    return _save(folder, PaliGemmaForConditionalGeneration, config, words, processor, extra)


MAKERS = {
    "llava": llava,
    "qwen2-vl": qwen,
    "qwen2.5-vl": lambda folder, **how: qwen(folder, "2.5", **how),
    "qwen3-vl": lambda folder, **how: qwen(folder, "3", **how),
    "smolvlm": smolvlm,
    "idefics3": lambda folder, **how: smolvlm(folder, "Idefics3", **how),
    "internvl": internvl,
    "gemma3": gemma3,
    "paligemma": paligemma,
}


def _save(
    folder: Path, model: Any, config: Any, words: Any, processor: Any, extra: dict[str, Any]
) -> Path:
    torch.manual_seed(4)
    made = model(config)
    _spread(made)
    made.eval().save_pretrained(folder)
    words.save_pretrained(folder)
    processor.save_pretrained(folder)
    (folder / "processor_config.json").write_text(json.dumps(extra))
    return folder
