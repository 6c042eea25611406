"""What less precision changes: claims asked in float32, bfloat16 and float16, on a GPU in tf32 too.

    python -m benchmarks.precision [--device cuda] [--askers tabletop:blip2 clip:models/clip]

`agree`: share of the answers that are those of float32. `margin`: how far the log-odds of yes move,
median and most. `close`: the largest float32 margin, either way, of an answer that changed: only
answers that hang in the balance may. Claims are about rendered scenes: the tabletop models were
trained on such, any other asker makes of them what it can.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from spatialtrust.backends.base import Options
from spatialtrust.backends.registry import open_asker
from spatialtrust.backends.tabletop import render
from spatialtrust.jobs.demo import claims_about, draw_scenes

FIRST_SEED = 850_000
LESS = ("bfloat16", "float16")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--askers", nargs="+", default=["tabletop:blip2", "tabletop:clip"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scenes", type=int, default=100)
    given = parser.parse_args()
    scenes = draw_scenes(given.scenes, FIRST_SEED)
    images = {name: render(scene) for name, scene in scenes.items()}
    claims = claims_about(scenes)

    def ask(asker: str, dtype: str) -> Any:
        return open_asker(asker, Options(device=given.device, dtype=dtype)).ask(images, claims)

    for asker in given.askers:
        exact = ask(asker, "float32")
        for dtype in LESS if given.device == "cpu" else ("tf32", *LESS):
            other = ask(asker, dtype)
            same = np.array(exact.strings("answer")) == np.array(other.strings("answer"))
            margin = exact.numbers("margin").astype(np.float64)
            moved = np.abs(other.numbers("margin") - margin)
            close = np.abs(margin[~same]).max(initial=0.0)
            print(
                f"{asker:<18}{dtype:<10}{len(same):>6} claims  agree {same.mean():.4f}  "
                f"margin {np.nanmedian(moved):.4f} ({np.nanmax(moved):.4f} at most)  "
                f"close {close:.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
