"""Do stated confidence and sensitivity to noise add to geometry and to p_yes?

    python -m benchmarks.csp_evidence                                   # tabletop:blip2
    python -m benchmarks.csp_evidence --asker csp:out/csp/seed-0/stage-2/model

Claims about fresh rendered scenes, half of them true, with the boxes of what is visible. A set of
columns is fitted and judged by folds of scenes; differences are paired, with 95 % intervals by
scene. A small rendered world and a tiny model: it says nothing about photographs.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spatialtrust import metrics
from spatialtrust.backends.asking import ask_for
from spatialtrust.backends.registry import open_asker
from spatialtrust.backends.tabletop import render
from spatialtrust.csp.tabletop import JUDGED_SEEDS
from spatialtrust.evaluation.crossvalidation import cross_validate, out_of_fold
from spatialtrust.evidence.columns import FULL, LIVE, Features
from spatialtrust.evidence.gathering import collect
from spatialtrust.jobs.demo import claims_about, draw_scenes
from spatialtrust.tables import Claims, Grounding

P_YES = ("p_yes", "vlm_margin", "vlm_entropy")
SENSITIVITY = ("noise_slope", "noise_flip")
SETS = {
    "geometry": (),
    "geometry, p_yes": P_YES,
    "geometry, p_yes, sensitivity": (*P_YES, *SENSITIVITY),
    "geometry, p_yes, stated": (*P_YES, "stated_confidence"),
    "geometry, p_yes, both": (*P_YES, *SENSITIVITY, "stated_confidence"),
}
FIRST_SEED = JUDGED_SEEDS + 100_000


def evidence(asker: str, scenes: int) -> tuple[Features, np.ndarray, np.ndarray]:
    """Features, labels and scenes of the claims."""
    drawn = draw_scenes(scenes, FIRST_SEED)
    claims: Claims = claims_about(drawn).sorted()
    names = [claims.strings(name) for name in ("image_id", "subject", "object")]
    boxes: dict[str, list[tuple[float, ...]]] = {"subject": [], "object": []}
    for image, subject, other in zip(*names, strict=True):
        placed = {item.phrase: item.box for item in drawn[image].objects}
        boxes["subject"].append(placed[subject])
        boxes["object"].append(placed[other])
    size = np.full((len(claims), 2), 128, dtype=np.float32)
    arrays = (np.array(boxes[side], dtype=np.float32) for side in ("subject", "object"))
    grounding = Grounding.from_boxes(*arrays, size)
    pictures = {image: render(scene) for image, scene in drawn.items()}
    answers = ask_for(("answer", "noise", "stated"), open_asker(asker), pictures, claims, grounding)
    features = collect(claims, grounding, answers)
    return features, claims.numbers("label").astype(np.int8), np.array(names[0])


def only(features: Features, live: tuple[str, ...]) -> Features:
    """The features with some of the VLM's columns unknown, and no answer where none is known."""
    values = features.values.copy()
    for name in set(LIVE) - set(live):
        values[FULL.index(name)] = np.nan
    answer = features.answer if live else np.full_like(features.answer, -1)
    return replace(features, values=values, answer=answer)


def without_geometry(
    features: Features, label: np.ndarray, scene: np.ndarray, resamples: int
) -> dict[str, object]:
    """The same without boxes: which of the VLM's answers are right, by a regression by folds."""
    said = features.answer
    right = said == label
    own = features.column("p_yes")
    columns = {
        "p_yes": np.where(said == 1, own, 1 - own),
        **{name: features.column(name) for name in (*SENSITIVITY, "stated_confidence")},
    }
    columns = {name: np.nan_to_num(column, nan=0.0) for name, column in columns.items()}
    sets = {
        "p_yes": ("p_yes",),
        "p_yes, sensitivity": ("p_yes", *SENSITIVITY),
        "p_yes, stated": ("p_yes", "stated_confidence"),
        "p_yes, both": tuple(columns),
    }

    def fitted(names: tuple[str, ...]) -> np.ndarray:
        matrix = np.stack([columns[name] for name in names], axis=1)

        def score(fit: np.ndarray, rows: np.ndarray) -> np.ndarray:
            model = make_pipeline(StandardScaler(), LogisticRegression())
            return model.fit(matrix[fit], right[fit]).predict_proba(matrix[rows])[:, 1]

        return out_of_fold(score, scene)

    scores = {name: fitted(names) for name, names in sets.items()}

    def interval(name: str, baseline: tuple[np.ndarray, np.ndarray] | None) -> list[float]:
        result = metrics.bootstrap(
            metrics.auroc, scores[name], right, groups=scene, baseline=baseline, n=resamples
        )
        return [round(value, 4) for value in (result.value, result.low, result.high)]

    return {
        "auroc_of_right_answers": {name: interval(name, None) for name in sets},
        "gain_over_p_yes": {
            name: interval(name, (scores["p_yes"], right)) for name in list(sets)[1:]
        },
        "auroc_of_each_alone": {
            name: round(float(metrics.auroc(column, right)), 4) for name, column in columns.items()
        },
    }


def main() -> None:
    """Ask, fit, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--asker", default="csp:tabletop:blip2")
    parser.add_argument("--scenes", type=int, default=72)
    parser.add_argument("--resamples", type=int, default=500)
    given = parser.parse_args()
    features, label, scene = evidence(given.asker, given.scenes)
    true = label == 1
    scores = {
        name: cross_validate(only(features, live), label, scene) for name, live in SETS.items()
    }
    found: dict[str, object] = {
        "figures_of": "a rendered world and a tiny model", "asker": given.asker,
        "claims": len(label), "scenes": given.scenes,
        "accuracy_of_the_vlm": float((features.answer == label).mean()),
    }  # fmt: skip

    def interval(name: str, base: str | None = None) -> list[float]:
        baseline = None if base is None else (scores[base], true)
        result = metrics.bootstrap(
            metrics.auroc, scores[name], true, groups=scene, baseline=baseline, n=given.resamples
        )
        return [round(value, 4) for value in (result.value, result.low, result.high)]

    found["auroc"] = {name: interval(name) for name in SETS}
    found["gain_over_geometry_and_p_yes"] = {
        name: interval(name, "geometry, p_yes") for name in list(SETS)[2:]
    }
    found["gain_of_p_yes_over_geometry"] = interval("geometry, p_yes", "geometry")
    found["without_geometry"] = without_geometry(features, label, scene, given.resamples)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
