"""Fit the trust models of the tabletop's askers, and the base method beside them.

    python pipelines/fit_tabletop.py              # resumes where it stopped
    python pipelines/fit_tabletop.py --scenes 60 --out /tmp/models   # does it all still run?

Renders scenes that no checkpoint was trained on and nothing is judged by, runs the stages of
`spatialtrust graph` on them with live models, and fits what ships in
`spatialtrust/fusion/models/`. Four in five scenes are asked claims of which half are true; a third
of these certify. On the others every phrase of the world is looked for, so that the trust models
also see boxes where nothing is, and learn what a detector's score is worth; the base method learns
from asked claims alone, which it is judged on.

Prints figures cross-validated by scene. The same arguments give the same models.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from spatialtrust import metrics
from spatialtrust.evaluation.crossvalidation import out_of_fold
from spatialtrust.evaluation.ways import Exam
from spatialtrust.fusion.base_method import BaseMethod
from spatialtrust.fusion.model import TrustModel
from spatialtrust.jobs.demo import ASKERS, draw_scenes, examine, write_pictures
from spatialtrust.run.config import SHIPPED_FOR

FIRST_SEED = 600_000
STAGES = ("detect", "claims", "ask", "gather")
CERTIFYING = 3
"""One in so many scenes of asked claims certifies."""


def both(asked: Exam, enumerated: Exam) -> Exam:
    """Claims of both kinds, one after the other."""
    return replace(
        asked,
        features=asked.features.with_rows(enumerated.features),
        text=np.concatenate([asked.text, enumerated.text]),
        label=np.concatenate([asked.label, enumerated.label]),
        image=np.concatenate([asked.image, enumerated.image]),
    )


def purposes(asked: Exam, enumerated: Exam) -> np.ndarray:
    """Which rows certify: those of some scenes of asked claims, which are drawn by chance."""
    scene = np.unique(asked.image, return_inverse=True)[1]
    certify = np.where(scene % CERTIFYING == 0, "certify", "fit")
    return np.concatenate([certify, np.full(len(enumerated), "fit")])


def fit(exam: Exam, purpose: np.ndarray, rows: np.ndarray, asker: str) -> TrustModel:
    """The trust model of an asker from some rows."""
    return TrustModel.fit(
        exam.features.select(rows), exam.label[rows], exam.image[rows],
        name=SHIPPED_FOR[asker], asker=asker, for_pairs=False, purpose=purpose[rows],
        calibrated_on="claims about rendered tabletop scenes, half of them true, with boxes of "
        f"tabletop:grounding-dino and answers of {asker}",
    )  # fmt: skip


def figures(
    exam: Exam, purpose: np.ndarray, asker: str, asked: int, folds: int
) -> dict[str, dict[str, float]]:
    """AUROC and calibration of P(the claim is true), each scene judged by models without it."""
    p_true = out_of_fold(
        lambda given, rows: (
            fit(exam, purpose, given, asker).predict(exam.features.select(rows)).p_true
        ),
        exam.image,
        folds,
    )
    found = {}
    for name, rows in (("asked", slice(asked)), ("enumerated", slice(asked, None))):
        true = exam.label[rows] == 1
        found[name] = {
            "claims": len(true),
            "scenes": int(np.unique(exam.image[rows]).size),
            "true": float(true.mean()),
            "without_both_boxes": int((~exam.features.seen[rows]).sum()),
            "vlm_accuracy": float((exam.features.answer[rows] == exam.label[rows]).mean()),
            "auroc": metrics.auroc(p_true[rows], true),
            "ece": metrics.ece(p_true[rows], true),
            "ece_floor": metrics.ece_floor(p_true[rows]),
        }
    return found


def main() -> None:
    """Draw, ask, fit, save, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=900)
    parser.add_argument("--work", type=Path, default=Path("out/fit_tabletop"), help="resumes here")
    parser.add_argument("--out", type=Path, default=Path("spatialtrust/fusion/models"))
    parser.add_argument("--folds", type=int, default=5, help="0: no cross-validation")
    given = parser.parse_args()
    torch.set_num_threads(1)
    claimed = 4 * given.scenes // 5
    scenes = {
        "asked": draw_scenes(claimed, FIRST_SEED),
        "enumerated": draw_scenes(given.scenes - claimed, FIRST_SEED + claimed),
    }
    for kind, drawn in scenes.items():
        write_pictures(drawn, given.work / kind / "scenes")
    for asker in ASKERS:
        asked, enumerated = (
            examine(asker, drawn, given.work / kind, STAGES, vocabulary=kind == "enumerated")
            for kind, drawn in scenes.items()
        )
        exam, purpose = both(asked, enumerated), purposes(asked, enumerated)
        name = SHIPPED_FOR[asker]
        fit(exam, purpose, np.arange(len(exam)), asker).save(given.out / f"{name}.json")
        base = BaseMethod.fit(asked.features, asked.label, asked.image)
        base.save(given.out / "base_method" / f"{name}.json")
        if given.folds:
            found = figures(exam, purpose, asker, len(asked), given.folds)
            print(json.dumps({asker: found}, indent=2), flush=True)


if __name__ == "__main__":
    main()
