"""Does putting many phrases into one prompt cost the detector accuracy, and what does it save?

    python -m benchmarks.packing [--detector tabletop:grounding-dino] [--scenes 100]

Rendered scenes with known boxes, fresh seeds. Every scene is asked for the phrases on it and for as
many that are not, all in as few prompts as hold them, and in prompts of four, two and one. `found`:
share of the phrases naming one object whose best box has IoU >= 0.5 and reaches the threshold;
`silent`: share of the absent phrases without a box. Figures for the embedded tabletop checkpoint
are about plumbing, not about real photos; give another detector to measure that one on these
scenes.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from spatialtrust.backends.base import Options
from spatialtrust.backends.registry import open_detector
from spatialtrust.backends.tabletop.render import render
from spatialtrust.backends.tabletop.scene import PHRASES
from spatialtrust.backends.tabletop.world import sample_scene
from spatialtrust.tables import Detections

if TYPE_CHECKING:
    from spatialtrust.backends.tabletop.scene import Scene

PER_PROMPT = (0, 4, 2, 1)
FIRST_SEED = 7_000_000


def asked(scene: Scene) -> list[str]:
    """The phrases of a scene, and as many that are not on it."""
    here = list(dict.fromkeys(item.phrase for item in scene.objects))
    absent = [phrase for phrase in PHRASES if phrase not in here]
    chosen = np.random.default_rng(scene.seed).choice(absent, len(here), replace=False)
    return here + chosen.tolist()


def detect(
    detector: Any, images: dict[str, np.ndarray], phrases: dict[str, list[str]], per_prompt: int
) -> Detections:
    """Boxes with at most so many phrases in a prompt; 0: as many as fit."""
    if not per_prompt:
        return detector.detect(images, phrases)
    longest = max(map(len, phrases.values()))
    parts = [
        detector.detect(
            images,
            {name: listed[start : start + per_prompt] for name, listed in phrases.items()},
        )
        for start in range(0, longest, per_prompt)
    ]
    return Detections.concat(parts)


def figures(found: Detections, scenes: dict[str, Scene]) -> tuple[float, float]:
    best = {
        (row["image_id"], row["phrase"]): row
        for row in found.data.to_pylist()
        if row["rank"] == 0 and row["score"] is not None
    }
    hits, silent = [], []
    for name, scene in scenes.items():
        here = {item.phrase for item in scene.objects}
        silent += [(name, phrase) not in best for phrase in asked(scene) if phrase not in here]
        for place, item in enumerate(scene.objects):
            if not scene.ambiguous(place):
                row = best.get((name, item.phrase))
                hits.append(row is not None and overlap(row, item.box) >= 0.5)
    return float(np.mean(hits)), float(np.mean(silent))


def overlap(row: dict[str, Any], box: Any) -> float:
    mine = np.array([row[name] for name in ("x1", "y1", "x2", "y2")], dtype=float)
    box = np.array(box, dtype=float)
    low, high = np.maximum(mine[:2], box[:2]), np.minimum(mine[2:], box[2:])
    common = np.prod(np.clip(high - low, 0, None))
    areas = np.prod(mine[2:] - mine[:2]) + np.prod(box[2:] - box[:2])
    return float(common / (areas - common))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--detector", default="tabletop:grounding-dino")
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--threshold", type=float, default=Options().score_threshold)
    given = parser.parse_args()
    torch.set_num_threads(1)
    options = Options(device="cpu", score_threshold=given.threshold)
    detector = open_detector(given.detector, options)
    scenes = {f"{i:06d}": sample_scene(FIRST_SEED + i) for i in range(given.scenes)}
    images = {name: render(scene) for name, scene in scenes.items()}
    phrases = {name: asked(scene) for name, scene in scenes.items()}
    first = next(iter(images))
    detector.detect({first: images[first]}, {first: phrases[first]})
    for per_prompt in PER_PROMPT:
        start = time.process_time()
        found = detect(detector, images, phrases, per_prompt)
        seconds = time.process_time() - start
        hit, silent = figures(found, scenes)
        print(
            f"{per_prompt or 'all':>4} phrases a prompt  found {hit:.3f}  silent {silent:.3f}  "
            f"{1e3 * seconds / len(images):7.1f} ms an image"
        )


if __name__ == "__main__":
    main()
