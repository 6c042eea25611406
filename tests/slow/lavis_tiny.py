"""Runs in the LAVIS environment: makes tiny local LAVIS models, and answers with LAVIS alone.

``make FOLDER`` writes the three architectures with random weights. ``answer YAML ASKED.json`` asks
every question by itself, without a shared cache or padding, through LAVIS's own modules; it is what
the worker's answers are compared with.
"""

from __future__ import annotations

import json
import runpy
import string
import sys
from functools import partial
from pathlib import Path
from typing import Any

BACKENDS = Path(__file__).resolve().parents[2] / "spatialtrust" / "backends"
runpy.run_path(str(BACKENDS / "torchvision_operators.py"))["import_torchvision"]()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from lavis.models.blip2_models import blip2, blip2_image_text_matching, blip2_opt, blip2_t5  # noqa: E402
from lavis.models.eva_vit import VisionTransformer  # noqa: E402
from PIL import Image  # noqa: E402
from tokenizers import Tokenizer, models, pre_tokenizers, processors  # noqa: E402
from transformers import (  # noqa: E402
    BertConfig,
    OPTConfig,
    OPTForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
    T5TokenizerFast,
)
from transformers.models.gpt2.tokenization_gpt2 import bytes_to_unicode  # noqa: E402

SHAPE = {"embed_dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2.0}
SIDE = 28
WORDS = ["yes", "no", "is", "the", "left", "of", "mug", "kettle", "question", "answer"]


def make(folder: Path) -> None:
    torch.manual_seed(0)
    blip2.create_eva_vit_g = lambda size, rate, *_: VisionTransformer(
        img_size=size, patch_size=14, qkv_bias=True, use_mean_pooling=False,
        drop_path_rate=rate, norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), **SHAPE,
    )  # fmt: skip
    _bert(folder / "bert-base-uncased")
    _opt(folder / "opt")
    _t5(folder / "t5")
    common = {"img_size": SIDE, "num_query_token": 4, "vit_precision": "fp32"}
    _write(folder, "blip2_opt", blip2_opt.Blip2OPT(opt_model="opt", **common), "opt_model: opt")
    _write(folder, "blip2_t5", blip2_t5.Blip2T5(t5_model="t5", **common), "t5_model: t5")
    matching = blip2_image_text_matching.Blip2ITM(**common)
    _write(folder, "blip2_image_text_matching", matching, "")


def _bert(folder: Path) -> None:
    pieces = [*string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", *pieces, *WORDS]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n")
    config = BertConfig(
        vocab_size=len(tokens), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64,
    )  # fmt: skip
    config.save_pretrained(folder)
    torch.save({}, folder / "pytorch_model.bin")


def _opt(folder: Path) -> None:
    folder.mkdir()
    alphabet = list(bytes_to_unicode().values())
    merges, merged = [], []
    for word in ("Ġyes", "Ġno"):
        for end in range(2, len(word) + 1):
            merges.append(f"{word[: end - 1]} {word[end - 1]}")
            merged.append(word[:end])
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *alphabet, *merged]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, "bos_token": "</s>",
             "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"}
        )
    )  # fmt: skip
    config = OPTConfig(
        vocab_size=len(tokens), hidden_size=32, word_embed_proj_dim=32, num_hidden_layers=2,
        num_attention_heads=2, ffn_dim=64, max_position_embeddings=96, pad_token_id=1,
        bos_token_id=2, eos_token_id=2,
    )  # fmt: skip
    model = OPTForCausalLM(config)
    _spread(model)
    # Yes and no must be likely replies: a constant direction at the end that only they have.
    direction = torch.nn.functional.normalize(torch.randn(32), dim=0)
    decoder = model.model.decoder
    decoder.final_layer_norm.bias.data = 8 * direction
    for word in ("Ġyes", "Ġno"):
        decoder.embed_tokens.weight.data[tokens.index(word)] += 1.2 * direction
    model.save_pretrained(folder)


def _t5(folder: Path) -> None:
    pieces = ["▁", *string.ascii_lowercase, "?", ".", ":", *(f"▁{word}" for word in WORDS)]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocabulary += [(piece, -4.0 if len(piece) == 1 else -1.0) for piece in pieces]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    T5TokenizerFast(tokenizer_object=tokenizer, extra_ids=0).save_pretrained(folder)
    config = T5Config(
        vocab_size=len(vocabulary), d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0,
    )  # fmt: skip
    model = T5ForConditionalGeneration(config)
    _spread(model)
    direction = torch.nn.functional.normalize(torch.randn(32), dim=0)
    model.shared.weight.data[0] += 3 * direction
    for word in ("▁yes", "▁no"):
        model.lm_head.weight.data[[name for name, _ in vocabulary].index(word)] += direction
    model.save_pretrained(folder)


def _spread(model: Any) -> None:
    """Weights large enough for answers to differ between images and between texts."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.25)


def _write(folder: Path, architecture: str, model: Any, language: str) -> None:
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1 and not name.startswith(("opt_model", "t5_model")):
            torch.nn.init.normal_(parameter, std=0.25)
    torch.save({"model": model.state_dict()}, folder / f"{architecture}.pth")
    shape = "\n".join(f"    {name}: {value}" for name, value in SHAPE.items())
    process = f"{{name: blip_image_eval, image_size: {SIDE}}}"
    (folder / f"{architecture}.yaml").write_text(
        f"model:\n  arch: {architecture}\n  load_finetuned: false\n"
        f"  pretrained: {architecture}.pth\n  image_size: {SIDE}\n  drop_path_rate: 0\n"
        f"  vit_precision: fp32\n  num_query_token: 4\n  vit:\n{shape}\n  {language}\n"
        f"preprocess:\n  vis_processor:\n    eval: {process}\n"
        "  text_processor:\n    eval: {name: blip_caption}\n"
    )


def answer(yaml: Path, asked: list[dict[str, Any]]) -> list[dict[str, float]]:
    """``margin``, ``mass`` and ``similarity``, or ``loglik``, of each image and text."""
    adopt = runpy.run_path(str(BACKENDS / "lavis" / "models.py"))["_adopt"]
    architecture = adopt(yaml)
    from lavis.models import load_model_and_preprocess

    model, vision, caption = load_model_and_preprocess(architecture, "local", is_eval=True)
    ask = {"blip2_opt": _ask_opt, "blip2_t5": _ask_t5}.get(architecture, _ask_matching)
    results = []
    with torch.no_grad():
        for row in asked:
            pixels = np.load(row["image"], allow_pickle=False)
            image = vision["eval"](Image.fromarray(pixels))[None]
            text = caption["eval"](row["text"]) if ask is _ask_matching else row["text"]
            results.append(ask(model, image, text, row["reply"]))
    return results


def _queries(model: Any, image: Any) -> Any:
    seen = model.ln_vision(model.visual_encoder(image))
    return model.Qformer.bert(
        query_embeds=model.query_tokens, encoder_hidden_states=seen, return_dict=True
    ).last_hidden_state


def _reply(logits: Any, yes: int, no: int) -> dict[str, float]:
    logp = logits.log_softmax(dim=-1)
    return {
        "margin": float(logp[yes] - logp[no]),
        "mass": float(logp[yes].exp() + logp[no].exp()),
        "entropy": float(-(logp.exp() * logp).sum()),
    }


def _ask_opt(model: Any, image: Any, text: str, reply: bool) -> dict[str, float]:
    ids = model.opt_tokenizer(text, return_tensors="pt").input_ids
    embedded = model.opt_model.model.decoder.embed_tokens(ids)
    whole = torch.cat([model.opt_proj(_queries(model, image)), embedded], dim=1)
    logits = model.opt_model(inputs_embeds=whole, return_dict=True).logits[0]
    if reply:
        words = model.opt_tokenizer.encoder
        return _reply(logits[-1], words["Ġyes"], words["Ġno"])
    logp = logits[-ids.shape[1] : -1].log_softmax(dim=-1)
    return {"loglik": float(logp.gather(1, ids[0, 1:, None]).mean())}


def _ask_t5(model: Any, image: Any, text: str, reply: bool) -> dict[str, float]:
    tokenizer, language = model.t5_tokenizer, model.t5_model
    seen = model.t5_proj(_queries(model, image))
    ids = tokenizer(text if reply else "", return_tensors="pt").input_ids
    whole = torch.cat([seen, language.encoder.embed_tokens(ids)], dim=1)
    if reply:
        start = torch.zeros((1, 1), dtype=torch.long)
        logits = language(inputs_embeds=whole, decoder_input_ids=start).logits[0, 0]
        words = tokenizer.get_vocab()
        return _reply(logits, words["▁yes"], words["▁no"])
    target = tokenizer(text, return_tensors="pt").input_ids[:, :-1]
    return {"loglik": -float(language(inputs_embeds=whole, labels=target).loss)}


def _ask_matching(model: Any, image: Any, text: str, reply: bool) -> dict[str, float]:
    sample = {"image": image, "text_input": [text]}
    found = _reply(model(sample, match_head="itm")[0], 1, 0)
    return {**found, "similarity": float(model(sample, match_head="itc")[0])}


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    else:
        print(json.dumps(answer(Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text()))))
