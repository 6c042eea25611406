"""Train the checkpoints of the embedded bundle from random weights, on a CPU, with a fixed seed.

python pipelines/train_tabletop.py              # all three; resumes where it stopped
python pipelines/train_tabletop.py --only clip
python pipelines/train_tabletop.py --short      # a few steps: does it all still run?
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from spatialtrust.backends.tabletop import CHECKPOINTS
from spatialtrust.backends.tabletop.training.manifest import write_manifest
from spatialtrust.backends.tabletop.training.pool import draw_pool
from spatialtrust.backends.tabletop.training.recipes import RECIPES, make


def main() -> None:
    """Train, measure on unseen scenes, write ``bundle.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=[*RECIPES], default=[*RECIPES])
    parser.add_argument("--out", type=Path, default=CHECKPOINTS)
    parser.add_argument("--state", type=Path, default=Path("out/tabletop"), help="resumes here")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--short", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    scenes, measured, steps, pictures = (12, 3, 2, 4) if given.short else (10_000, 300, None, None)
    pool = draw_pool(scenes, given.seed)
    for name in given.only:
        make(name, pool, seed=given.seed, state=given.state / name, to=given.out / name,
             steps=steps, pictures=pictures,
             report=lambda text, name=name: print(f"{name}: {text}", flush=True))  # fmt: skip
    budget = {n: {"steps": steps or r.steps, "pictures": pictures or r.pictures, "rate": r.rate}
              for n, r in RECIPES.items()}  # fmt: skip
    write_manifest(given.out, measured, {"seed": given.seed, "scenes": scenes, **budget})


if __name__ == "__main__":
    main()
