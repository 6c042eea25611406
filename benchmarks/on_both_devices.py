"""Whether a GPU answers as the CPU does: tiny models of all architectures, in float32.

    python -m benchmarks.on_both_devices [--device cuda]

Askers: the largest difference of a margin between both, and on the GPU between images side by side
and one at a time. Detectors: the same of boxes, in pixels, and of scores; images are of three
sizes. A line that says `differs` is a fault.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.querying import questions
from spatialtrust.backends import asking
from spatialtrust.backends.base import Options
from spatialtrust.backends.registry import open_asker, open_detector
from spatialtrust.tables import Answers, Detections
from tests.backends import tiny
from tests.backends.tiny_chat import MAKERS

CLOSE = 1e-3
PHRASES = ("mug", "red kettle", "table")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    device = parser.parse_args().device
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    asking.LEAST_MASS = 0.0
    generator = np.random.default_rng(0)
    images = {
        f"{place}.png": generator.integers(0, 256, (*size, 3), dtype=np.uint8)
        for place, size in enumerate([(48, 64), (64, 48), (48, 64), (43, 64), (60, 64)])
    }
    with tempfile.TemporaryDirectory() as folder:
        made = {
            "clip": f"clip:{tiny.clip(Path(folder, 'clip'))}",
            **{
                kind: f"blip2:{tiny.blip2(Path(folder, kind), kind)}"
                for kind in ("opt", "t5", "none")
            },
            **{kind: f"vlm:{make(Path(folder, kind))}" for kind, make in MAKERS.items()},
        }
        for name, reference in made.items():
            report(name, *ask(reference, images, device))
        for kind in ("grounding-dino", "mm-grounding-dino"):
            reference = f"grounding-dino:{tiny.grounding_dino(Path(folder, kind), kind)}"
            report(kind, *find(reference, images, device))


def ask(reference: str, images: dict[str, Any], device: str) -> tuple[float, float]:
    """Largest difference of a margin: between devices, and between ways to ask on one."""
    claims = questions(6, len(images))
    names = np.array(claims.strings("image_id"))

    def margins(where: str, *, apart: bool) -> np.ndarray:
        asker = open_asker(reference, Options(device=where, dtype="float32"))
        groups = [[name] for name in images] if apart else [list(images)]
        parts = [
            asker.ask(
                {name: images[name] for name in group},
                claims.take(np.flatnonzero(np.isin(names, group))),
            )
            for group in groups
        ]
        return Answers.concat(parts).sorted().numbers("margin").astype(float)

    there = margins(device, apart=False)
    return most(there - margins("cpu", apart=False)), most(there - margins(device, apart=True))


def find(reference: str, images: dict[str, Any], device: str) -> tuple[float, float]:
    """Largest difference of a box or score: between devices, and between ways to ask on one."""

    def numbers(where: str, *, apart: bool) -> np.ndarray:
        detector = open_detector(reference, Options(device=where, score_threshold=0.0))
        groups = [[name] for name in images] if apart else [list(images)]
        parts = [
            detector.detect({name: images[name] for name in group}, dict.fromkeys(group, PHRASES))
            for group in groups
        ]
        found = Detections.concat(parts).sorted()
        return np.stack([found.numbers(name) for name in ("x1", "y1", "x2", "y2", "score")])

    there = numbers(device, apart=False)
    return most(there - numbers("cpu", apart=False)), most(there - numbers(device, apart=True))


def most(difference: np.ndarray) -> float:
    """The largest, NaN where all are unknown."""
    known = np.abs(difference[~np.isnan(difference)])
    return float(known.max()) if len(known) else float("nan")


def report(name: str, devices: float, together: float) -> None:
    said = "" if max(devices, together) < CLOSE else "  differs"
    print(
        f"{name:<18}CPU and GPU {devices:.1e}  side by side and alone {together:.1e}{said}",
        flush=True,
    )


if __name__ == "__main__":
    main()
