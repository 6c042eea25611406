"""Asking many claims of an image: ours beside a plain transformers loop over the claims.

    python -m benchmarks.querying [--models clip blip2 tabletop] [--device cuda --true-size]

Both run in one process, in turns, on the same random images and claims. The loop is the library's
own forward pass, one claim at a time; it is given the preprocessed pixels for nothing and computes
logits at the last position only. Ours starts at raw pixels and ends at the answers table.

`allowed` is the speed-up that operation counts allow: operations of the loop over the least that
any method needs (each picture once, each distinct beginning of a text once, the vocabulary only
where a reply is read). `reached` is the measured speed-up over that. Times are CPU time of one
thread (wall-clock on a GPU), the least of the repeats. Weights are random: nothing here is about
accuracy. `blip2` is BLIP-2 OPT-2.7B with widths, depths and vocabulary divided by 4 and its numbers
of patches and queries kept, unless --true-size is given.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spatialtrust.backends import asking
from spatialtrust.backends.base import Options
from spatialtrust.backends.bundles import TABLETOP
from spatialtrust.backends.packing import plant
from spatialtrust.backends.registry import open_asker
from spatialtrust.prompts import alternatives, question
from spatialtrust.tables import Claims
from tests.backends import tiny

COUNTS = (1, 5, 20, 50)
IMAGES = {1: 16, 5: 6, 20: 2, 50: 1}
THINGS = [f"{colour} {noun}" for colour in ("red", "blue") for noun in ("mug", "cup", "box")]
RELATIONS = ("left of", "right of", "above", "below", "near", "on", "in", "behind")


@dataclass
class Case:
    """One model and how to count its operations (multiply and add are two)."""

    name: str
    reference: str
    kind: str

    def open(self, options: Options) -> Any:
        return open_asker(self.reference, options)


def blip2_shaped(folder: Path, *, widths: int, depths: int) -> Path:
    """BLIP-2 OPT-2.7B with widths (and vocabulary) and depths divided."""

    def layers(width: int, inner: int, depth: int, heads: int) -> dict[str, int]:
        return {
            "hidden_size": width // widths,
            "intermediate_size": inner // widths,
            "num_hidden_layers": depth // depths,
            "num_attention_heads": heads,
        }

    return tiny.blip2(
        folder,
        "opt",
        queries=32,
        vision={**layers(1408, 6144, 39, 16), "image_size": 224},
        qformer=layers(768, 3072, 12, 12),
        text={
            "hidden_size": 2560 // widths,
            "word_embed_proj_dim": 2560 // widths,
            "ffn_dim": 10240 // widths,
            "num_hidden_layers": 32 // depths,
            "num_attention_heads": 32 // widths,
            "vocab_size": 50304 // widths,
            "max_position_embeddings": 2048,
        },
    )


def clip_b32(folder: Path) -> Path:
    wide = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12}
    text = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12}
    return tiny.clip(
        folder,
        size=224,
        text={**text, "num_attention_heads": 8, "vocab_size": 49408},
        **wide,
        num_attention_heads=12,
        patch_size=32,
    )


def questions(per_image: int, images: int) -> Claims:
    """Claims drawn from all pairs of six things in eight relations, each image its own."""
    generator = np.random.default_rng(per_image)
    pool = [(s, r, o) for s, r, o in product(THINGS, RELATIONS, THINGS) if s != o]
    rows = []
    for image in range(images):
        for place in generator.choice(len(pool), per_image, replace=False):
            subject, relation, object_ = pool[place]
            rows.append(
                {
                    "claim_id": f"{len(rows):05d}",
                    "image_id": f"{image}.png",
                    "subject": subject,
                    "relation": relation,
                    "object": object_,
                }
            )
    return Claims.from_rows(rows)


def triples(claims: Claims) -> list[tuple[str, tuple[str, str, str]]]:
    return [
        (row["image_id"], (row["subject"], row["relation"], row["object"]))
        for row in claims.data.to_pylist()
    ]


def loop(asker: Any, pixels: dict[str, torch.Tensor], claims: Claims) -> list[float]:
    """Margins by one forward pass of the library per claim."""
    reader = asker.reader
    margins = []
    with torch.inference_mode():
        for image_id, claim in triples(claims):
            if hasattr(reader, "spellings"):
                margins.append(_plain_blip2(reader, pixels[image_id], claim))
            else:
                inputs = reader.tokenizer(
                    list(alternatives(claim)), padding=True, return_tensors="pt"
                ).to(reader.device)
                logits = reader.model(pixel_values=pixels[image_id], **inputs).logits_per_image[0]
                margins.append(float(torch.logit(logits.float().softmax(0)[0])))
    return margins


def _plain_blip2(reader: Any, pixels: torch.Tensor, claim: tuple[str, str, str]) -> float:
    model = reader.model
    text = reader.tokenizer(f"Question: {question(claim)} Answer:")["input_ids"]
    image = [model.config.image_token_index] * model.config.num_query_tokens
    tokens = torch.tensor([image + text], device=reader.device)
    logits = model(
        pixel_values=pixels,
        input_ids=tokens,
        attention_mask=torch.ones_like(tokens),
        logits_to_keep=1,
    ).logits[0, -1]
    logp = logits.float().log_softmax(0)
    ids = reader.spellings
    return float(logp[ids.yes].logsumexp(0) - logp[ids.no].logsumexp(0))


def linear(module: torch.nn.Module, skip: tuple[str, ...] = ()) -> float:
    """Operations per token of all linear layers below a module."""
    return 2.0 * sum(
        layer.weight.numel()
        for name, layer in module.named_modules()
        if isinstance(layer, torch.nn.Linear) and not name.startswith(skip)
    )


def operations(asker: Any, claims: Claims) -> tuple[float, float]:
    """Operations of the loop, and the least that any method needs."""
    reader = asker.reader
    asked = triples(claims)
    if hasattr(reader, "spellings"):
        return _operations_blip2(reader, asked)
    config = reader.model.config
    vision, text = config.vision_config, config.text_config
    patches = (vision.image_size // vision.patch_size) ** 2 + 1
    patch = 2.0 * 3 * vision.patch_size**2 * vision.hidden_size
    see = patches * (linear(reader.model.vision_model) + patch) + attention(
        patches**2, vision.hidden_size, vision.num_hidden_layers
    )
    token = linear(reader.model.text_model)

    def read(lengths: np.ndarray) -> float:
        pairs = float((lengths * (lengths + 1) / 2).sum())
        return float(lengths.sum()) * token + attention(
            pairs, text.hidden_size, text.num_hidden_layers
        )

    def lengths(texts: list[str]) -> np.ndarray:
        return np.array([len(ids) for ids in reader.tokenizer(texts)["input_ids"]])

    plain = sum(see + read(lengths(list(alternatives(claim)))) for _, claim in asked)
    distinct = list(dict.fromkeys(text for _, claim in asked for text in alternatives(claim)))
    (tree,) = plant(reader.tokenizer(distinct)["input_ids"], limit=10**9)
    least = len({image for image, _ in asked}) * see + len(tree) * token
    least += attention(float((tree.depth + 1).sum()), text.hidden_size, text.num_hidden_layers)
    return plain, least


def _operations_blip2(
    reader: Any, asked: list[tuple[str, tuple[str, str, str]]]
) -> tuple[float, float]:
    model = reader.model
    vision, qformer, text = (
        getattr(model.config, name) for name in ("vision_config", "qformer_config", "text_config")
    )
    queries = model.config.num_query_tokens
    patches = (vision.image_size // vision.patch_size) ** 2 + 1
    cross = sum(
        2.0 * layer.weight.numel()
        for name, layer in model.qformer.named_modules()
        if name.endswith(("crossattention.attention.key", "crossattention.attention.value"))
    )
    see = (
        patches * (linear(model.vision_model) + 2.0 * 3 * vision.patch_size**2 * vision.hidden_size)
        + attention(patches**2, vision.hidden_size, vision.num_hidden_layers)
        + patches * cross
        + queries * (linear(model.qformer) - cross + linear(model.language_projection))
        + attention(queries * queries, qformer.hidden_size, qformer.num_hidden_layers)
        + attention(queries * patches, qformer.hidden_size, qformer.num_hidden_layers // 2)
    )
    token = linear(model.language_model, skip=("lm_head",))
    head = 2.0 * model.language_model.lm_head.weight.numel()
    width, depth = text.hidden_size, text.num_hidden_layers
    tokens = {
        claim: reader.tokenizer(f"Question: {question(claim)} Answer:")["input_ids"]
        for _, claim in asked
    }
    plain = 0.0
    for _, claim in asked:
        length = queries + len(tokens[claim])
        plain += see + length * token + head + attention(length * (length + 1) / 2, width, depth)
    least = 0.0
    for image in {image for image, _ in asked}:
        said = [tokens[claim] for name, claim in asked if name == image]
        (tree,) = plant(said, limit=10**9)
        pairs = queries * (queries + 1) / 2 + float((queries + tree.depth + 1).sum())
        least += see + (queries + len(tree)) * token + len(said) * head
        least += attention(pairs, width, depth)
    return plain, least


def attention(pairs: float, width: int, layers: int) -> float:
    """Operations of attention scores and sums over pairs of tokens."""
    return 4.0 * pairs * width * layers


def clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


def measure(case: Case, options: Options, repeats: int) -> list[dict[str, Any]]:
    asker = case.open(options)
    reader = asker.reader
    rows = []
    generator = np.random.default_rng(0)
    for count in COUNTS:
        images = {
            f"{place}.png": generator.integers(0, 256, (480, 640, 3), dtype=np.uint8)
            for place in range(IMAGES[count])
        }
        claims = questions(count, len(images))
        pixels = {
            name: reader.processor(images=image, return_tensors="pt")["pixel_values"].to(
                reader.device, reader.dtype
            )
            for name, image in images.items()
        }
        best = {"loop": np.inf, "ours": np.inf}
        plain: list[float] = []
        for repeat in range(repeats + 1):
            start = clock(reader.device)
            if repeat == 0:  # warm-up: one claim
                loop(asker, pixels, claims.take(np.array([0])))
            else:
                plain = loop(asker, pixels, claims)
                best["loop"] = min(best["loop"], clock(reader.device) - start)
            asker._memory = asking.Memory()
            getattr(reader, "_texts", {}).clear()
            start = clock(reader.device)
            answers = asker.ask(images, claims)
            if repeat:
                best["ours"] = min(best["ours"], clock(reader.device) - start)
        if set(answers.strings("status")) != {asking.OK}:
            raise SystemExit(f"{case.name}: some claims were not answered")
        done, least = operations(asker, claims)
        speedup, allowed = best["loop"] / best["ours"], done / least
        rows.append(
            {
                "model": case.name,
                "claims_per_image": count,
                "images": len(images),
                "loop_ms_per_claim": 1e3 * best["loop"] / len(claims),
                "ours_ms_per_claim": 1e3 * best["ours"] / len(claims),
                "speedup": speedup,
                "allowed": allowed,
                "reached": speedup / allowed,
                "largest_margin_difference": float(
                    np.abs(answers.numbers("margin") - np.array(plain)).max()
                ),
            }
        )
        print_row(rows[-1])
    return rows


def print_row(row: dict[str, Any]) -> None:
    print(
        f"{row['model']:9} {row['claims_per_image']:3} claims/image  "
        f"loop {row['loop_ms_per_claim']:9.2f} ms  ours {row['ours_ms_per_claim']:9.2f} ms  "
        f"speed-up {row['speedup']:6.2f}  allowed {row['allowed']:6.2f}  "
        f"reached {100 * row['reached']:5.1f} %  "
        f"margins differ by {row['largest_margin_difference']:.1e}",
        flush=True,
    )


def cases(names: list[str], folder: Path, divisor: int) -> list[Case]:
    found = []
    if "clip" in names:
        found.append(Case("clip-b32", f"clip:{clip_b32(folder / 'clip')}", "clip"))
    if "blip2" in names:
        shaped = blip2_shaped(folder / "blip2", widths=divisor, depths=divisor)
        found.append(Case("blip2-opt", f"blip2:{shaped}", "blip2"))
    if "tabletop" in names:
        for kind in ("clip", "blip2"):
            if (TABLETOP / kind).is_dir():
                found.append(Case(f"tt-{kind}", f"tabletop:{kind}", kind))
            else:
                print(f"tabletop:{kind}: no checkpoint in this installation, left out")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["clip", "blip2", "tabletop"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--true-size", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    # Random replies are hardly ever yes or no; their margins are compared all the same.
    asking.LEAST_MASS = 0.0
    options = Options(device=given.device, dtype=given.dtype)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(given.models, Path(folder), 1 if given.true_size else 4):
            rows += measure(case, options, given.repeats)
    if given.out:
        given.out.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
