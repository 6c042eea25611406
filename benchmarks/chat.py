"""What sharing a picture saves chat models: every shape, one CPU thread, random weights.

Figures are of plumbing, not of accuracy: language models of width 256 and four layers, pictures as
the tiny processors cut them. ``loop`` is the library's own pass over one whole prompt a claim.
"""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from spatialtrust.backends import asking
from spatialtrust.backends.base import Options
from spatialtrust.backends.chat.prefix import Seen
from spatialtrust.backends.chat.wording import spell
from spatialtrust.backends.registry import open_asker
from spatialtrust.tables import Claims

CLAIMS = (1, 5, 20, 50)
WIDTH = 256
THINGS = ("mug", "kettle", "table", "box", "red cup", "blue cup", "cup", "blue box")
RELATIONS = ("left of", "right of", "above", "below", "on", "near", "behind")


def _claims(count: int) -> Claims:
    said = [(a, r, b) for a in THINGS for r in RELATIONS for b in THINGS if a != b][:count]
    return Claims.from_rows(
        {"claim_id": f"{n:03}", "image_id": "a.jpg", "subject": a, "relation": r, "object": b}
        for n, (a, r, b) in enumerate(said)
    )


def _shape(name: str, folder: Path) -> None:
    import torch
    from PIL import Image

    from spatialtrust.backends.blip2.replies import read
    from tests.backends.tiny_chat import MAKERS

    MAKERS[name](folder, width=WIDTH)
    pixels = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    for count in CLAIMS:
        claims = _claims(count)
        backend = open_asker(f"vlm:{folder}", Options(device="cpu"))
        backend.ask({"a.jpg": pixels[:50]}, claims.take(np.arange(1)))  # loads, and tries
        reader = backend.reader  # type: ignore[attr-defined]
        loaded = reader.loaded
        started = time.perf_counter()
        answers = backend.ask({"a.jpg": pixels}, claims)
        ours = time.perf_counter() - started
        texts = [
            spell((row["subject"], row["relation"], row["object"]), "default")
            for row in claims.data.to_pylist()
        ]
        image = Image.fromarray(pixels)
        started = time.perf_counter()
        apart = tokens = 0.0
        for text, margin in zip(texts, answers.numbers("margin"), strict=True):
            inputs = loaded.inputs(image, text)
            tokens += inputs["input_ids"].shape[1]
            with torch.inference_mode():
                logits = loaded.model(**inputs).logits[0, -1:]
            apart = max(apart, abs(float(read(logits, loaded.spellings).margin) - float(margin)))
        loop = time.perf_counter() - started
        seen = reader.encode([reader.prepare(pixels)])[0]
        if isinstance(seen, Seen):
            from spatialtrust.backends.packing import best_size, plant

            trees = plant(loaded.wording.tails(texts), best_size(WIDTH, seen.length))
            shared = (seen.length + sum(map(len, trees))) / count
            picture = seen.length
        else:
            shared, picture = tokens / count, 0
        print(
            f"{name:<12}{count:>7}{picture:>9}{tokens / count:>13.0f}{shared:>9.0f}"
            f"{1e3 * loop / count:>12.1f}{1e3 * ours / count:>9.1f}{loop / ours:>10.1f}"
            f"{apart:>13.1e}"
        )


def main() -> None:
    """Print a table."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    from tests.backends.tiny_chat import MAKERS

    asking.LEAST_MASS = 0.0  # type: ignore[misc]
    print("            claims  picture  tokens a claim        ms a claim                  margins")
    print("shape      a image   tokens    loop     ours        loop     ours  speed-up    apart")
    with tempfile.TemporaryDirectory() as root:
        for name in MAKERS:
            _shape(name, Path(root) / name)


if __name__ == "__main__":
    main()
