"""Scene graphs where most of what is looked for is not there: do only real edges go out?

    python -m benchmarks.vocabulary [--scenes 100]

Fresh rendered scenes of all difficulties hold three to seven objects; all 36 phrases of the world
are looked for. `right`: share of the boxes that are the object they name (IoU >= 0.5), before and
after boxes that another phrase fits better are left out (`spatialtrust/objects.py`), and how many
right ones that costs. Then, of all enumerated claims at the plain threshold 0.8: how many edges,
their precision (an edge to a box where nothing is counts as wrong) and recall, and the calibration
of P(true), for the trust model of the asker and for the one that has only seen annotated boxes.
Figures are of a small rendered world.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from spatialtrust import metrics
from spatialtrust.backends.tabletop.labels import object_places
from spatialtrust.claims.objects import contested
from spatialtrust.fusion.model import TrustModel
from spatialtrust.jobs.demo import draw_scenes, examine, write_pictures
from spatialtrust.run.folder import RunFolder
from spatialtrust.tables import Detections

FIRST_SEED = 950_000
ASKER = "tabletop:blip2"
STAGES = ("detect", "claims", "ask", "gather")
THRESHOLD = 0.8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=100)
    given = parser.parse_args()
    torch.set_num_threads(1)
    scenes = draw_scenes(given.scenes, FIRST_SEED)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pictures(scenes, folder / "scenes")
        exam = examine(ASKER, scenes, folder, STAGES, vocabulary=True)
        with RunFolder(folder / ASKER.replace(":", "-")) as run:
            found = Detections.from_arrow(run.whole("detections"))
    found = found.select(np.isfinite(found.boxes()).all(axis=1))
    right = object_places(found, scenes) >= 0
    kept = ~contested(found)
    print(
        f"boxes: {len(found)}, right {right.mean():.3f}; left after the rule: {kept.sum()}, right "
        f"{right[kept].mean():.3f}, {(right & ~kept).sum()} right ones lost of {right.sum()}"
    )
    true = exam.label == 1
    print(f"claims: {len(exam)}, true {true.mean():.3f}")
    for model in ("tabletop-blip2", "vsr-boxes"):
        p_true = TrustModel.load(model).predict(exam.features).p_true
        edges = p_true >= THRESHOLD
        print(
            f"{model:<16}edges {edges.sum():>5}  precision {true[edges].mean():.3f}  "
            f"recall {true[edges].sum() / true.sum():.3f}  "
            f"AUROC {metrics.auroc(p_true, true):.3f}  ECE {metrics.ece(p_true, true):.3f}"
        )


if __name__ == "__main__":
    main()
