"""Fit the trust models of the tabletop's askers, and the base method beside them.

    python pipelines/fit_tabletop.py              # resumes where it stopped
    python pipelines/fit_tabletop.py --scenes 40 --out /tmp/models   # does it all still run?

Renders scenes that no checkpoint was trained on and nothing is judged by, runs the stages of
`spatialtrust graph` on them with live models, and fits what ships in `spatialtrust/models/`. Prints
figures cross-validated by scene. The same arguments give the same models.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from spatialtrust import metrics
from spatialtrust.comparison import Exam
from spatialtrust.config import SHIPPED_FOR
from spatialtrust.crossvalidation import cross_validate
from spatialtrust.demo import ASKERS, SIGNALS, draw_scenes, examine, write_pictures
from spatialtrust.fusion import TrustModel
from spatialtrust.paper4 import Paper4

FIRST_SEED = 600_000
STAGES = ("detect", "claims", "ask", "gather")


def figures(exam: Exam, folds: int) -> dict[str, float]:
    """AUROC and calibration of P(the claim is true), each scene judged by models without it."""
    p_true = cross_validate(exam.features, exam.label, exam.image, folds=folds)
    true = exam.label == 1
    return {
        "claims": len(exam),
        "scenes": int(np.unique(exam.image).size),
        "without_both_boxes": int((~exam.features.seen).sum()),
        "vlm_accuracy": float((exam.features.answer == exam.label).mean()),
        "auroc": metrics.auroc(p_true, true),
        "ece": metrics.ece(p_true, true),
        "ece_floor": metrics.ece_floor(p_true),
    }


def main() -> None:
    """Draw, ask, fit, save, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=480)
    parser.add_argument("--work", type=Path, default=Path("out/fit_tabletop"), help="resumes here")
    parser.add_argument("--out", type=Path, default=Path("spatialtrust/models"))
    parser.add_argument("--folds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    scenes = draw_scenes(given.scenes, FIRST_SEED)
    write_pictures(scenes, given.work / "scenes")
    for asker in ASKERS:
        exam = examine(asker, scenes, given.work, SIGNALS, STAGES)
        name = SHIPPED_FOR[asker]
        TrustModel.fit(
            exam.features, exam.label, exam.image,
            name=name, asker=asker, for_pairs=False,
            calibrated_on="claims about rendered tabletop scenes, half of them true, with boxes of "
            f"tabletop:grounding-dino and answers of {asker}",
        ).save(given.out / f"{name}.json")  # fmt: skip
        Paper4.fit(exam.features, exam.label, exam.image).save(
            given.out / "paper4" / f"{name}.json"
        )
        print(json.dumps({asker: figures(exam, given.folds)}, indent=2), flush=True)


if __name__ == "__main__":
    main()
