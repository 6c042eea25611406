"""How good checkpoints are on scenes that they never saw, through the package's own backends."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.backends.base import Options
from spatialtrust.backends.registry import open_asker, open_detector
from spatialtrust.backends.tabletop.render import render
from spatialtrust.backends.tabletop.scene import DIFFICULTIES, PHRASES, Scene
from spatialtrust.backends.tabletop.truth import RELATIONS, scene_truth
from spatialtrust.backends.tabletop.world import sample_scene
from spatialtrust.metrics import auroc
from spatialtrust.tables import Claims

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_CLAIMS: Final = 200
"""Of one relation and label, at most, per difficulty."""
_LOWEST: Final = 0.01


def detector_figures(folder: Path, scenes: int, first_seed: int) -> dict[str, Any]:
    """Figures of a GroundingDINO checkpoint per difficulty.

    Every scene is asked for all phrases of the world. Figures are shares of the phrases that name
    exactly one object: ``found`` has a best box with IoU >= 0.5 and a score of at least the
    package's default threshold, ``found_at_any_score`` needs no score. ``absent_silent`` is the
    share of phrases not on the picture that get no box at that threshold.
    """
    return {
        difficulty: _detector_figures(
            folder, [sample_scene(first_seed + i, difficulty) for i in range(scenes)]
        )
        for difficulty in DIFFICULTIES
    }


def _detector_figures(folder: Path, scenes: list[Scene]) -> dict[str, float | int]:
    images = {f"{place:06d}": render(scene) for place, scene in enumerate(scenes)}
    boxes: dict[tuple[str, str], NDArray[np.float64]] = {}
    absent: list[tuple[str, str]] = []
    for image_id, scene in zip(images, scenes, strict=True):
        here = {item.phrase for item in scene.objects}
        absent += [(image_id, phrase) for phrase in PHRASES if phrase not in here]
        for index, item in enumerate(scene.objects):
            if not scene.ambiguous(index):
                boxes[image_id, item.phrase] = np.array(item.box, dtype=np.float64)
    detector = open_detector(
        f"grounding-dino:{folder}", Options(device="cpu", score_threshold=_LOWEST, top_k=1)
    )
    found: dict[tuple[str, str], tuple[NDArray[np.float64], float]] = {}
    for row in detector.detect(images, dict.fromkeys(images, PHRASES)).data.to_pylist():
        if row["score"] is not None and np.isfinite(row["score"]):
            corners = np.array([row["x1"], row["y1"], row["x2"], row["y2"]])
            found[row["image_id"], row["phrase"]] = (corners, row["score"])
    threshold = Options().score_threshold
    hits, scores = [], []
    for key, box in boxes.items():
        corners, score = found.get(key, (np.full(4, np.nan), 0.0))
        hits.append(_overlap(corners, box) >= 0.5)
        scores.append(score)
    absent_scores = [found[key][1] if key in found else 0.0 for key in absent]
    hit = np.array(hits)
    return {
        "phrases": len(hits),
        "found": _share(hit & (np.array(scores) >= threshold)),
        "found_at_any_score": _share(hit),
        "absent_silent": _share(np.array(absent_scores) < threshold),
    }


def asker_figures(reference: str, scenes: int, first_seed: int) -> dict[str, Any]:
    """Figures of an asker per difficulty, over as many true as false claims of every relation.

    ``unparsed`` is the share without a yes or no; the others, p_yes > 0.5 being yes, have
    ``accuracy``, and ``auroc`` ranks their p_yes against the truth. Half is chance; NaN has no row.
    """
    return {
        difficulty: _asker_figures(
            reference, [sample_scene(first_seed + i, difficulty) for i in range(scenes)]
        )
        for difficulty in DIFFICULTIES
    }


def _asker_figures(reference: str, scenes: list[Scene]) -> dict[str, Any]:
    images = {f"{place:06d}": render(scene) for place, scene in enumerate(scenes)}
    rows, labels = _balanced_claims(dict(zip(images, scenes, strict=True)))
    answers = open_asker(reference, Options(device="cpu")).ask(images, Claims.from_rows(rows))
    chance = dict(
        zip(answers.data["claim_id"].to_pylist(), answers.data["p_yes"].to_pylist(), strict=True)
    )
    p_yes = np.array([chance[row["claim_id"]] for row in rows], dtype=np.float64)
    label, relation = np.array(labels, dtype=bool), np.array([row["relation"] for row in rows])
    parsed = np.isfinite(p_yes)
    p_yes, label, relation = p_yes[parsed], label[parsed], relation[parsed]
    right = (p_yes > 0.5) == label
    return {
        "claims": len(rows),
        "unparsed": _share(~parsed),
        "accuracy": _share(right),
        "auroc": round(float(auroc(p_yes, label)), 4),
        "accuracy_by_relation": {name: _share(right[relation == name]) for name in RELATIONS},
    }


def _balanced_claims(scenes: dict[str, Scene]) -> tuple[list[dict[str, Any]], list[bool]]:
    """Claims about objects that their phrase names alone, half of each relation's true."""
    groups: dict[tuple[str, bool], list[tuple[str, str, str]]] = defaultdict(list)
    for image_id, scene in scenes.items():
        for subject, relation, object_, truth in scene_truth(scene):
            if truth is not None and not scene.ambiguous(subject) and not scene.ambiguous(object_):
                claim = (image_id, scene.objects[subject].phrase, scene.objects[object_].phrase)
                groups[relation, truth].append(claim)
    generator = np.random.default_rng(len(scenes))
    rows: list[dict[str, Any]] = []
    labels: list[bool] = []
    for relation in RELATIONS:
        most = min(_CLAIMS, *(len(groups[relation, truth]) for truth in (True, False)))
        for truth in (True, False):
            claims = groups[relation, truth]
            for place in generator.choice(len(claims), most, replace=False).tolist():
                image_id, subject_phrase, object_phrase = claims[place]
                rows.append(
                    {
                        "claim_id": f"{len(rows):07d}",
                        "image_id": image_id,
                        "subject": subject_phrase,
                        "relation": relation,
                        "object": object_phrase,
                    }
                )
                labels.append(truth)
    return rows, labels


def _share(flags: NDArray[np.bool_]) -> float:
    return round(float(flags.mean()), 4) if flags.size else float("nan")


def _overlap(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """IoU of two boxes; NaN where one is missing."""
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    common = np.prod(np.clip(high - low, 0, None))
    areas = np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2])
    return float(common / (areas - common))
