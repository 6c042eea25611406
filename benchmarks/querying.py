"""Asking many claims of an image: ours beside a plain transformers loop over the claims.

    python -m benchmarks.querying [--models clip blip2 ...] [--device cuda --true-size]

Both run in one process, in turns, on the same random images and claims. The loop is the library's
own forward pass, one claim at a time; it is given the preprocessed pixels for nothing and computes
logits at the last position only. Ours starts at raw pixels and ends at the answers table.

`allowed` is the speed-up that operation counts allow: operations of the loop over the least that
any method needs (`operations.py`). `reached` is the measured speed-up over that. Times are CPU
time of one thread (wall-clock on a GPU), the least of the repeats. Weights are random: nothing here
is about accuracy. `blip2`, `blip2-t5` and `blip2-itm` are BLIP-2 with OPT-2.7B, with Flan-T5-XL
and for matching, with widths, depths and vocabulary divided by 4 and their numbers of patches and
queries kept, unless --true-size is given.

Below each model stands what asking 20 claims of each of some images launches, one image at a time
and all at once: forward calls of the language part, tokens in them and how many are padding, and
the CPU time outside these calls, all an image. `llava` and `qwen2-vl` are tiny and only counted. On
a GPU it also stands there how many kernels that are, how long one takes, and how long the card
waits.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from benchmarks.launches import afresh, both, device_work, needed
from benchmarks.operations import count
from spatialtrust.backends import asking
from spatialtrust.backends.asks import OK
from spatialtrust.backends.base import Options
from spatialtrust.backends.bundles import TABLETOP
from spatialtrust.backends.registry import open_asker
from spatialtrust.questions.prompts import Triple, alternatives, caption, question
from spatialtrust.tables import Claims
from tests.backends import tiny
from tests.backends.tiny_chat import MAKERS

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

COUNTS = (1, 5, 20, 50)
IMAGES = {1: 16, 5: 6, 20: 2, 50: 1}
THINGS = [f"{colour} {noun}" for colour in ("red", "blue") for noun in ("mug", "cup", "box")]
RELATIONS = ("left of", "right of", "above", "below", "near", "on", "in", "behind")


@dataclass
class Case:
    """One model to measure."""

    name: str
    reference: str

    def open(self, options: Options) -> Any:
        return open_asker(self.reference, options)


def blip2_shaped(folder: Path, language: str = "opt", *, widths: int, depths: int) -> Path:
    """BLIP-2 with OPT-2.7B, Flan-T5-XL or none (matching); widths and depths divided."""

    def layers(width: int, inner: int, depth: int, heads: int) -> dict[str, int]:
        return {
            "hidden_size": width // widths,
            "intermediate_size": inner // widths,
            "num_hidden_layers": depth // depths,
            "num_attention_heads": heads,
        }

    text: dict[str, dict[str, Any]] = {
        "opt": {
            "hidden_size": 2560 // widths,
            "word_embed_proj_dim": 2560 // widths,
            "ffn_dim": 10240 // widths,
            "num_hidden_layers": 32 // depths,
            "num_attention_heads": 32 // widths,
            "vocab_size": 50304 // widths,
            "max_position_embeddings": 2048,
        },
        "t5": {
            "d_model": 2048 // widths,
            "d_kv": 64,
            "d_ff": 5120 // widths,
            "num_layers": 24 // depths,
            "num_decoder_layers": 24 // depths,
            "num_heads": 32 // widths,
            "vocab_size": 32128 // widths,
            "feed_forward_proj": "gated-gelu",
        },
        "none": {},
    }
    return tiny.blip2(
        folder,
        language,
        queries=32,
        vision={**layers(1408, 6144, 39, 16), "image_size": 224},
        qformer=layers(768, 3072, 12, 12),
        text=text[language],
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


def drawn(make: Callable[[], T], device: str, dtype: str) -> T:
    """Checkpoints whose weights are drawn on the device, in one type: there it takes seconds."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        with torch.device(device):
            return make()
    finally:
        torch.set_default_dtype(before)


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


def triples(claims: Claims) -> list[tuple[str, Triple]]:
    return [
        (row["image_id"], (row["subject"], row["relation"], row["object"]))
        for row in claims.data.to_pylist()
    ]


def loop(asker: Any, pixels: dict[str, torch.Tensor], claims: Claims) -> list[float]:
    """Margins by one forward pass of the library per claim."""
    reader = asker.reader
    plain = {"ClipReader": _clip, "OptReader": _opt, "T5Reader": _t5, "MatchReader": _match}
    with torch.inference_mode():
        ask = plain[type(reader).__name__]
        return [ask(reader, pixels[image], claim) for image, claim in triples(claims)]


def _clip(reader: Any, pixels: torch.Tensor, claim: Triple) -> float:
    texts = reader.tokenizer(list(alternatives(claim)), padding=True, return_tensors="pt")
    inputs = {name: values.to(reader.device) for name, values in texts.items()}
    logits = reader.model(pixel_values=pixels, **inputs).logits_per_image[0].float()
    return float(torch.logit(logits.softmax(0)[0]))


def _opt(reader: Any, pixels: torch.Tensor, claim: Triple) -> float:
    return _generative(reader, pixels, claim, {"logits_to_keep": 1})


def _t5(reader: Any, pixels: torch.Tensor, claim: Triple) -> float:
    start = torch.zeros(1, 1, dtype=torch.long, device=reader.device)
    return _generative(reader, pixels, claim, {"decoder_input_ids": start})


def _generative(reader: Any, pixels: torch.Tensor, claim: Triple, more: dict[str, Any]) -> float:
    config = reader.model.config
    text = reader.tokenizer(f"Question: {question(claim)} Answer:")["input_ids"]
    tokens = [config.image_token_index] * config.num_query_tokens + text
    ids = torch.tensor([tokens], device=reader.device)
    mask = torch.ones_like(ids)
    found = reader.model(pixel_values=pixels, input_ids=ids, attention_mask=mask, **more)
    logp = found.logits[0, -1].float().log_softmax(0)
    yes, no = reader.spellings
    return float(logp[yes].logsumexp(0) - logp[no].logsumexp(0))


def _match(reader: Any, pixels: torch.Tensor, claim: Triple) -> float:
    text = reader.tokenizer(caption(claim), return_tensors="pt")
    logits = reader.model(
        pixel_values=pixels,
        input_ids=text["input_ids"].to(reader.device),
        attention_mask=text["attention_mask"].to(reader.device),
        use_image_text_matching_head=True,
    ).logits_per_image[0]
    return float(logits[1] - logits[0])


def clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


def launches(case: Case, asker: Any, count: int) -> dict[str, Any]:
    """What asking launches, one image at a time and all at once."""
    generator = np.random.default_rng(1)
    images = {
        f"{place}.png": generator.integers(0, 256, (480, 640, 3), dtype=np.uint8)
        for place in range(count)
    }
    claims = questions(20, count)
    row: dict[str, Any] = {"model": case.name, "claims_per_image": 20, "images": count}
    least = needed(asker.reader, images, triples(claims))
    ways = ("one at a time", "all at once")
    for way, found in zip(ways, both(asker, images, claims), strict=True):
        row[way] = {
            "launches": found.passes / count,
            "tokens": found.tokens / count,
            "padding": (found.tokens - least) / count,
            "ms": 1e3 * found.seconds / count,
            "ms outside": 1e3 * (found.seconds - found.within) / count,
        }
        told = "  ".join(f"{name} {value:.2f}" for name, value in row[way].items())
        print(
            f"{case.name:9}  20 claims/image  {count} images, {way}, an image:  {told}", flush=True
        )
    device = torch.device(asker._options.device)
    if device.type == "cuda":
        work = device_work(lambda: (afresh(asker), asker.ask(images, claims)), device)
        row["device"] = work
        print(
            f"{case.name:9}  {work['kernels'] / count:.0f} kernels an image, "
            f"{1e6 * work['busy'] / max(work['kernels'], 1):.1f} us each; the card waits "
            f"{100 * (1 - work['busy'] / work['whole']):.0f} % of "
            f"{1e3 * work['whole'] / count:.2f} ms an image",
            flush=True,
        )
    return row


def measure(case: Case, asker: Any, repeats: int) -> list[dict[str, Any]]:
    reader = asker.reader
    rows = []
    generator = np.random.default_rng(0)
    for per_image in COUNTS:
        images = {
            f"{place}.png": generator.integers(0, 256, (480, 640, 3), dtype=np.uint8)
            for place in range(IMAGES[per_image])
        }
        claims = questions(per_image, len(images))
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
            afresh(asker)
            start = clock(reader.device)
            answers = asker.ask(images, claims)
            if repeat:
                best["ours"] = min(best["ours"], clock(reader.device) - start)
        if set(answers.strings("status")) != {OK}:
            raise SystemExit(f"{case.name}: some claims were not answered")
        done, least = count(reader, triples(claims))
        speedup, allowed = best["loop"] / best["ours"], done / least
        rows.append(
            {
                "model": case.name,
                "claims_per_image": per_image,
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
        found.append(Case("clip-b32", f"clip:{clip_b32(folder / 'clip')}"))
    for name in ("llava", "qwen2-vl"):
        if name in names:
            found.append(Case(name, f"vlm:{MAKERS[name](folder / name, width=256)}"))
    for name, language in (("blip2", "opt"), ("blip2-t5", "t5"), ("blip2-itm", "none")):
        if name in names:
            shaped = blip2_shaped(folder / name, language, widths=divisor, depths=divisor)
            found.append(Case(name, f"blip2:{shaped}"))
    if "tabletop" in names:
        for kind in ("clip", "blip2"):
            if (TABLETOP / kind).is_dir():
                found.append(Case(f"tt-{kind}", f"tabletop:{kind}"))
            else:
                print(f"tabletop:{kind}: no checkpoint in this installation, left out")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models",
        nargs="+",
        default=["clip", "blip2", "blip2-t5", "blip2-itm", "llava", "qwen2-vl", "tabletop"],
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--true-size", action="store_true")
    parser.add_argument("--images", type=int, default=8, help="whose launches are counted")
    parser.add_argument(
        "--launches-only", action="store_true", help="count, and leave out the loop"
    )
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    # Random replies are hardly ever yes or no; their margins are compared all the same.
    asking.LEAST_MASS = 0.0
    options = Options(device=given.device, dtype=given.dtype)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        divisor = 1 if given.true_size else 4
        for case in drawn(
            lambda: cases(given.models, Path(folder), divisor), given.device, given.dtype
        ):
            asker = case.open(options)
            if not given.launches_only and not case.reference.startswith("vlm:"):
                rows += measure(case, asker, given.repeats)
            rows.append(launches(case, asker, given.images))
    if given.out:
        given.out.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
