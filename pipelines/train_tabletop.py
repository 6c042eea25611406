"""Train the checkpoints of the embedded bundle from random weights, with a fixed seed.

python pipelines/train_tabletop.py                           # all three; resumes where it stopped
python pipelines/train_tabletop.py --only blip2 --workers 8  # on a GPU where there is one
python pipelines/train_tabletop.py --short                   # a few steps: does it all still run?

Goes on from given weights, for so many steps of a schedule of its own:

python pipelines/train_tabletop.py --only blip2 --start FILE --steps 100 --rate 1e-4 --out FOLDER
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from spatialtrust.backends.tabletop import CHECKPOINTS
from spatialtrust.backends.tabletop.training.manifest import write_manifest
from spatialtrust.backends.tabletop.training.recipes import RECIPES, Recipe, make

SHORT = {"scenes": 6, "steps": 2, "pictures": 4}


def main() -> None:
    """Train, measure on unseen scenes, write ``bundle.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=[*RECIPES], default=[*RECIPES])
    parser.add_argument("--out", type=Path, default=CHECKPOINTS)
    parser.add_argument("--state", type=Path, default=Path("out/tabletop"), help="resumes here")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare the data")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda ...")
    parser.add_argument("--start", type=Path, help="safetensors to start from, with one --only")
    for name in ("steps", "pictures", "scenes"):
        parser.add_argument(f"--{name}", type=int, help="in place of the recipe's")
    parser.add_argument("--rate", type=float, help="in place of the recipe's")
    parser.add_argument("--measured", type=int, default=300, help="scenes of each difficulty")
    parser.add_argument("--short", action="store_true")
    given = parser.parse_args()
    if given.start is not None and len(given.only) != 1:
        parser.error("--start holds the weights of one model: give it with --only NAME")
    torch.set_num_threads(given.threads)
    budget = {}
    for name in given.only:
        recipe = _changed(RECIPES[name], given)
        budget[name] = recipe.budget()
        make(name, seed=given.seed, state=given.state / name, to=given.out / name, recipe=recipe,
             start=given.start, device=given.device, workers=given.workers,
             report=lambda text, name=name: print(f"{name}: {text}", flush=True))  # fmt: skip
    measured = 3 if given.short else given.measured
    write_manifest(given.out, measured, {"seed": given.seed, **budget})


def _changed(recipe: Recipe, given: argparse.Namespace) -> Recipe:
    """A recipe with what the command line says instead."""
    wished = {name: getattr(given, name) for name in ("steps", "pictures", "scenes", "rate")}
    short = {**SHORT, "pools": (2, recipe.pools[1])} if given.short else {}
    return replace(recipe, **{**short, **{k: v for k, v in wished.items() if v is not None}})


if __name__ == "__main__":
    main()
