"""What a VLM that knows something adds to boxes, signal by signal, and what each costs to ask.

    python -m benchmarks.beyond_boxes [--scenes 200] [--asker tabletop:blip2]

Claims about fresh rendered scenes, half of them true, with boxes of the tabletop's detector. By
folds of scenes: each signal alone (a regression on the VLM's columns and the relation), and beside
geometry (a trust model); then a cascade that asks for more only where the first answer leaves a
claim in the grey zone, by questions spent; and whether an answer should count the more, the less
the boxes say (a term vote x |logit p_boxes|). Differences are paired, with 95 % intervals by scene.
`jitter`, whether the order survives noise on the boxes, asks nothing: it is a column of geometry.

A small rendered world and a tiny VLM: it says nothing about photographs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.csp_evidence import only
from spatialtrust import metrics
from spatialtrust.evaluation.crossvalidation import cross_validate, out_of_fold
from spatialtrust.evaluation.ways import Exam
from spatialtrust.evidence.columns import FULL
from spatialtrust.fusion.answer_weights import vote
from spatialtrust.fusion.model import TrustModel
from spatialtrust.jobs.demo import claims_about, draw_scenes, exam_of, write_pictures
from spatialtrust.questions.signals import ASKED
from spatialtrust.run.config import RunConfig
from spatialtrust.run.plan import execute, prepare

FIRST_SEED = 650_000
P_YES = ("p_yes", "vlm_margin", "vlm_entropy")
SIGNALS = {
    "paraphrases": ("prompt_consistency",),
    "orbit": ("orbit", "orbit_plain", "orbit_mirror"),
    "noise": ("noise_slope", "noise_flip"),
    "crop": ("crop_margin",),
}
ALL = (*P_YES, *(name for names in SIGNALS.values() for name in names))
SETS = {
    "nothing": (),
    "answer": P_YES,
    **{f"answer, {name}": (*P_YES, *columns) for name, columns in SIGNALS.items()},
    "all": ALL,
}
TARGETS = (0.9, 0.95)
GREY = (0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


def examined(asker: str, scenes: int, out: Path) -> Exam:
    """Labelled claims with all signals asked."""
    drawn = draw_scenes(scenes, FIRST_SEED)
    write_pictures(drawn, out / "scenes")
    config = RunConfig(
        detector="tabletop:grounding-dino", asker=asker, device="cpu",
        signals=("answer", *SIGNALS), formats=("json",),
    )  # fmt: skip
    pictures = [out / "scenes" / name for name in drawn]
    job = prepare(config, out / "run", pictures, claims_about(drawn))
    execute(job, ("detect", "claims", "ask", "gather"), remake=True)
    return exam_of(out / "run")


def questions(name: str) -> int:
    """Questions a claim of a set; orbits and wordings are shared with the claims about a pair."""
    asked = ["answer", *[signal for signal in SIGNALS if signal in name or name == "all"]]
    if name == "nothing":
        return 0
    return sum(len(ASKED[s].views) * len(ASKED[s].forms) * len(ASKED[s].prompts) for s in asked)


def alone(exam: Exam, names: tuple[str, ...]) -> np.ndarray:
    """P(true) from the VLM's columns and the relation, by folds."""
    columns = [np.nan_to_num(exam.features.column(name)) for name in names]
    kinds = np.unique(exam.features.relation)
    relation = (exam.features.relation[:, None] == kinds).astype(float)
    # Each relation has a slope of its own: the VLM knows some and is blind to others.
    matrix = np.concatenate([relation, *(relation * c[:, None] for c in columns)], axis=1)

    def score(fit: np.ndarray, rows: np.ndarray) -> np.ndarray:
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        return model.fit(matrix[fit], exam.label[fit]).predict_proba(matrix[rows])[:, 1]

    return out_of_fold(score, exam.image)


def coverage(p_true: np.ndarray, label: np.ndarray, target: float) -> float:
    """Share of claims that the favoured answer covers at an accuracy."""
    confidence = np.nan_to_num(np.maximum(p_true, 1 - p_true), nan=0.5)
    return metrics.coverage_at_accuracy(confidence, (p_true >= 0.5) == (label == 1), target)


def told(score: np.ndarray, exam: Exam, base: np.ndarray | None, resamples: int) -> list[float]:
    """AUROC, or its gain over a base, with its interval by scene."""
    true = exam.label == 1
    if not resamples:
        return [round(float(metrics.auroc(np.nan_to_num(score, nan=0.5), true)), 4)]
    result = metrics.bootstrap(
        metrics.auroc, np.nan_to_num(score, nan=0.5), true, groups=exam.image, n=resamples,
        baseline=None if base is None else (np.nan_to_num(base, nan=0.5), true),
    )  # fmt: skip
    return [round(value, 4) for value in (result.value, result.low, result.high)]


def cascade(exam: Exam, first: np.ndarray, then: np.ndarray, further: int) -> list[dict]:
    """Asked further only where the first answer is less sure than a threshold."""
    sure = np.maximum(first, 1 - first)
    rows = []
    for grey in (0.5, *GREY, 1.0):
        asked = ~(sure >= grey)
        p_true = np.where(asked, then, first)
        rows.append({
            "asked_further_below": grey,
            "questions_a_claim": round(1 + further * float(asked.mean()), 3),
            **{f"coverage_at_{t:g}": round(coverage(p_true, exam.label, t), 4)
               for t in TARGETS},
            "auroc": told(p_true, exam, None, 0)[0],
        })  # fmt: skip
    return rows


def weighted(exam: Exam, resamples: int) -> dict[str, object]:
    """Does a vote count the more, the less boxes say?"""
    found: dict[str, np.ndarray] = {}

    def designs(rows: np.ndarray, p_boxes: np.ndarray) -> dict[str, np.ndarray]:
        boxes = logit(np.clip(p_boxes.astype(float), 1e-4, 1 - 1e-4))
        said = vote(exam.features.select(rows))
        plain = np.stack([boxes, said], axis=1)
        return {"plain": plain, "with_term": np.column_stack([plain, said * np.abs(boxes)])}

    for name in ("plain", "with_term"):

        def score(fit: np.ndarray, rows: np.ndarray, name: str = name) -> np.ndarray:
            # Half of the fitting scenes make the box model, the other half the weights.
            codes = np.unique(exam.image[fit], return_inverse=True)[1] % 2 == 0
            first, second = fit[codes], fit[~codes]
            model = TrustModel.fit(
                only(exam.features.select(first), ()), exam.label[first], exam.image[first],
                calibrated_on="folds",
            )  # fmt: skip
            here = {n: model.predict(exam.features.select(r)).p_boxes
                    for n, r in (("fit", second), ("rows", rows))}  # fmt: skip
            known = np.isfinite(here["fit"])
            taught = designs(second[known], here["fit"][known])[name]
            regression = LogisticRegression().fit(taught, exam.label[second[known]])
            seen = np.isfinite(here["rows"])
            result = np.full(len(rows), 0.5)
            judged = designs(rows[seen], here["rows"][seen])[name]
            result[seen] = regression.predict_proba(judged)[:, 1]
            return result

        found[name] = out_of_fold(score, exam.image)
    return {
        **{f"{name}, coverage_at_{t:g}": round(coverage(p, exam.label, t), 4)
           for name, p in found.items() for t in TARGETS},
        "auroc, plain": told(found["plain"], exam, None, resamples),
        "auroc, gain of the term": told(found["with_term"], exam, found["plain"], resamples),
    }  # fmt: skip


def main() -> None:
    """Ask, fit, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--asker", default="tabletop:blip2")
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--work", type=Path, help="resumes here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        exam = examined(given.asker, given.scenes, given.work or Path(folder))
    found: dict[str, object] = {
        "figures_of": "a rendered world and a tiny VLM", "asker": given.asker,
        "claims": len(exam), "scenes": given.scenes,
        "accuracy_of_the_vlm": round(float((exam.features.answer == exam.label).mean()), 4),
        "questions_a_claim": {name: questions(name) for name in SETS},
    }  # fmt: skip
    own = {name: alone(exam, live) for name, live in SETS.items() if live}
    found["alone_auroc"] = {name: told(p, exam, None, given.resamples) for name, p in own.items()}
    found["alone_gain_over_answer"] = {
        name: told(p, exam, own["answer"], given.resamples) for name, p in list(own.items())[1:]
    }
    beside = {}
    for name, live in SETS.items():
        beside[name] = cross_validate(only(exam.features, live), exam.label, exam.image)
    found["beside_geometry_auroc"] = {
        name: told(p, exam, None, given.resamples) for name, p in beside.items()
    }
    found["beside_geometry_gain_over_boxes"] = {
        name: told(p, exam, beside["nothing"], given.resamples)
        for name, p in list(beside.items())[1:]
    }
    found["beside_geometry_gain_over_answer"] = {
        name: told(p, exam, beside["answer"], given.resamples)
        for name, p in list(beside.items())[2:]
    }
    found["beside_geometry_coverage"] = {
        name: {f"{t:g}": round(coverage(p, exam.label, t), 4) for t in TARGETS}
        for name, p in beside.items()
    }
    stability = FULL.index("stability")
    steady = only(exam.features, P_YES)
    steady.values[stability] = np.nan
    found["jitter_left_out_auroc"] = told(
        cross_validate(steady, exam.label, exam.image), exam, beside["answer"], given.resamples
    )
    further = questions("all") - 1
    found["cascade_beside_geometry"] = cascade(exam, beside["answer"], beside["all"], further)
    found["cascade_alone"] = cascade(exam, own["answer"], own["all"], further)
    found["vote_by_ambiguity"] = weighted(exam, given.resamples)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
