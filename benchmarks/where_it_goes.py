"""Where the time of an image goes on a GPU: asking 20 claims and finding boxes, step by step.

    python -m benchmarks.where_it_goes [--device cuda] [--small]

Weights are random in the shapes of BLIP-2 OPT-2.7B and GroundingDINO (Swin-T, 900 queries), images
are 480 x 640. With --small both are tiny, so that the script can be tried without a GPU. Figures
are medians of some rounds with least and most, in ms an image; the peak is a product of two square
matrices in the same type. The detector's scores in tf32, in bfloat16 and of one image at a time are
held against those of float32.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.launches import afresh
from benchmarks.operations import count
from benchmarks.querying import blip2_shaped, drawn, questions, triples
from benchmarks.verification_cost import detector_shaped
from spatialtrust.backends import asking
from spatialtrust.backends.base import Options
from spatialtrust.backends.grounding_dino.phrases import tokenize
from spatialtrust.backends.grounding_dino.suppression import select
from spatialtrust.backends.preparing import Preparer
from spatialtrust.backends.registry import open_asker, open_detector
from spatialtrust.tables import Detections
from tests.backends import tiny

if TYPE_CHECKING:
    from collections.abc import Callable

CLAIMS = 20
PHRASES = ("mug", "kettle", "table", "cup", "box")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true")
    given = parser.parse_args()
    device = torch.device(given.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}, {given.images} images, {CLAIMS} claims each\n")
    generator = np.random.default_rng(0)
    sizes = [(480, 640), (427, 640), (640, 480), (480, 640)]
    images = {
        f"{place}.png": generator.integers(0, 256, (480, 640, 3), dtype=np.uint8)
        for place in range(given.images)
    }
    mixed = {
        f"{place}.png": generator.integers(0, 256, (*sizes[place % 4], 3), dtype=np.uint8)
        for place in range(8)
    }
    time_of = partial(spent, device=device, rounds=given.rounds)
    print("| step | ms an image | least to most |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        ask(Path(folder), images, device, time_of, small=given.small)
        find(Path(folder), images, mixed, device, time_of, small=given.small)


def ask(
    folder: Path, images: dict[str, Any], device: torch.device, time_of: Any, *, small: bool
) -> None:
    """Asking, whole and in parts, and what the operations need at the measured peak."""
    dtype = "float32" if device.type == "cpu" else "bfloat16"
    checkpoint = drawn(
        lambda: tiny.blip2(folder / "v", "opt") if small
        else blip2_shaped(folder / "v", widths=1, depths=1),
        str(device), dtype,
    )  # fmt: skip
    asker: Any = open_asker(f"blip2:{checkpoint}", Options(device=str(device), dtype=dtype))
    asking.LEAST_MASS = 0.0
    reader, claims = asker.reader, questions(CLAIMS, len(images))
    pixels = list(images.values())

    def whole(images: dict[str, Any], claims: Any) -> None:
        afresh(asker)
        asker.ask(images, claims)

    preparer = Preparer(reader.processor, reader.device, reader.dtype)
    values = preparer.batch(pixels)

    def see() -> None:
        with torch.inference_mode():
            reader.model.vision_model(values)

    show("ask, whole", time_of(partial(whole, images, claims)), len(images))
    show("preparing the pictures", time_of(lambda: preparer.batch(pixels)), len(images))
    show(f"vision tower alone, batch {len(images)}", time_of(see), len(images))
    show("ask with the pictures remembered", time_of(lambda: asker.ask(images, claims)),
         len(images))  # fmt: skip
    many = {
        f"{place}.png": pixels[place % len(pixels)] ^ np.uint8(place // len(pixels))
        for place in range(8 * len(pixels))
    }
    ask_many = partial(whole, many, questions(CLAIMS, len(many)))
    usual = str(preparer.preparers)
    for threads in ("1", "4", usual):
        os.environ["OMP_NUM_THREADS"] = threads
        title = f"ask, whole, {len(many)} images, {threads} threads preparing"
        show(title, time_of(ask_many), len(many))
    _, least = count(reader, triples(claims))
    peak = peak_of(device, reader.dtype, 512 if small else 8192)
    print(
        f"| least operations ({least / len(images) / 1e12:.3g} TFLOP) at half of the measured "
        f"{peak / 1e12:.3g} TFLOP/s | {2e3 * least / len(images) / peak:.2f} | |",
        flush=True,
    )


def find(
    folder: Path,
    images: dict[str, Any],
    mixed: dict[str, Any],
    device: torch.device,
    time_of: Any,
    *,
    small: bool,
) -> None:
    """Finding boxes at batches of 1 and 8, of one size and of several, in three types."""
    made = drawn(
        lambda: tiny.grounding_dino(folder / "d") if small else detector_shaped(folder / "d"),
        str(device), "float32",
    )  # fmt: skip
    some = dict(list(images.items())[:8])
    scores: dict[str, Any] = {}
    for dtype in ("float32", "tf32", "bfloat16"):
        options = Options(device=str(device), dtype=dtype, score_threshold=0.0)
        detector: Any = open_detector(f"grounding-dino:{made}", options)
        for title, batch in (
            (f"{len(images)} images", images), ("8 images", some), ("8 images of 3 sizes", mixed),
            ("1 image", dict(list(some.items())[:1])),
        ):  # fmt: skip
            asked = dict.fromkeys(batch, PHRASES)
            whole = time_of(partial(detector.detect, batch, asked))
            show(f"detector, {dtype}, {title}", whole, len(batch))
        ids, _ = tokenize(PHRASES, detector._tokenizer, detector._text_limit)
        jobs = [job for name, one in some.items() for job in detector._prepare(name, one, ids)]
        show(f"forward alone, {dtype}, 8 images", time_of(lambda j=jobs, d=detector: d._forward(j)),
             8)  # fmt: skip
        found = detector.detect(some, dict.fromkeys(some, PHRASES))
        scores[dtype] = np.sort(found.numbers("score"))
        if dtype == "float32":
            one = [detector.detect({name: some[name]}, {name: PHRASES}) for name in some]
            scores["float32, one at a time"] = np.sort(Detections.concat(one).numbers("score"))
        del detector
    preparer = Preparer(tiny_processor(made), device, torch.float32)
    show("preparing 8 images", time_of(lambda: preparer.batch(list(some.values()))), 8)
    generator = np.random.default_rng(0)
    low = generator.uniform(0, 600, (900, 2))
    boxes = np.concatenate([low, low + generator.uniform(0, 300, (900, 2))], 1).astype(np.float32)
    guessed = generator.uniform(0, 1, (len(PHRASES), 900)).astype(np.float32)
    show("suppression of 900 queries", time_of(lambda: select(guessed, boxes, 0.0, 5)), 1)
    print("\ndifference of sorted scores from those in float32, mean and most:")
    for name, other in scores.items():
        off = np.abs(scores["float32"] - other)
        print(f"  {name}: {off.mean():.1e}, {off.max():.1e}", flush=True)


def tiny_processor(folder: Path) -> Any:
    from transformers import AutoImageProcessor

    return AutoImageProcessor.from_pretrained(folder, backend="pil")


def spent(work: Callable[[], object], device: torch.device, rounds: int) -> np.ndarray:
    """Seconds of each round, after one that does not count."""
    found = []
    for _ in range(rounds + 1):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(time.perf_counter() - started)
    return np.array(found[1:])


def show(step: str, seconds: np.ndarray, images: int) -> None:
    each = 1e3 * seconds / images
    print(f"| {step} | {np.median(each):.2f} | {each.min():.2f} to {each.max():.2f} |", flush=True)


def peak_of(device: torch.device, dtype: torch.dtype, size: int) -> float:
    """Operations a second of a product of two square matrices."""
    one = torch.ones((size, size), device=device, dtype=dtype)
    seconds = spent(lambda: one @ one, device, 10)
    return float(2 * size**3 / seconds.min())


if __name__ == "__main__":
    main()
