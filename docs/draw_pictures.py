"""The two pictures at the head of the README: a graph on its image, and how far each trust goes.

    python docs/draw_pictures.py                # the first in seconds, the second in some minutes

The second reads what `spatialtrust demo` wrote to ``out/demo/tabletop``, and runs it if there is
nothing. Both pictures are of drawn or rendered scenes, so they may ship.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from PIL import Image

from spatialtrust import SpatialTrust
from spatialtrust.jobs.demo import demo
from spatialtrust.plots import accuracy_curves, save
from spatialtrust.plots.style import legend

ROOT: Final = Path(__file__).resolve().parents[1]
PICTURES: Final = ROOT / "docs" / "pictures"
SHOWN: Final = ("VLM confidence", "base method", "trust model", "trust model, may correct")


def draw_overlay() -> None:
    """The scene graph of a sample image, by its recorded boxes."""
    stills = ROOT / "data" / "still_lifes"
    graph = SpatialTrust().graph(stills / "breakfast.jpg", boxes=stills / "boxes.json")
    save(graph.plot(stills / "breakfast.jpg"), PICTURES / "overlay.png")
    with Image.open(PICTURES / "overlay.png") as drawn:  # a third of the size
        small = drawn.convert("RGB").quantize(256)
    small.save(PICTURES / "overlay.png", optimize=True)


def draw_curves(folder: Path) -> None:
    """Accuracy over coverage of the demo's BLIP-2, by several ways to trust its answers."""
    if not (folder / "demo.json").exists():
        demo(folder, scenes=96, resamples=0)
    found = json.loads((folder / "demo.json").read_text())["tabletop:blip2"]["curves"]
    axes = accuracy_curves({name: found[name] for name in SHOWN})
    axes.figure.set_size_inches(6.4, 3.6)
    legend(axes, loc="lower left", ncols=2)
    save(axes, PICTURES / "coverage.png")


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    draw_overlay()
    draw_curves(ROOT / "out" / "demo" / "tabletop")
