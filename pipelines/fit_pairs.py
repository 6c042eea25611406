"""Calibrate `vsr-boxes` for enumerated pairs, on judged claims about photos and rendered scenes.

    python pipelines/fit_pairs.py annotations.json judged_edges.csv judged_claims.csv

A row names its objects as the product does (`cup#0`: the largest cup), or carries its boxes in
pixels (`subject_box`, `object_box`). Only what was judged `true` counts as true: what is so in the
picture alone and what is debatable are false; what was judged more than once counts once. Truth
about the scenes is known in three dimensions; near ties are left out, and half of the scenes have
boxes disturbed as detectors do. Writes `spatialtrust/fusion/models/pairs/vsr-boxes.json`, and
prints, cross-validated by image, what is said and what is true of the edges kept before and after.
The same files give the same numbers.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spatialtrust import metrics
from spatialtrust.backends.tabletop.labels import known_boxes, label_claims
from spatialtrust.claims.enumeration import DEFAULT_RELATIONS, enumerate_claims
from spatialtrust.claims.grounding import ground
from spatialtrust.evidence.box_noise import DETECTED, disturb
from spatialtrust.evidence.columns import relation_places
from spatialtrust.evidence.gathering import gather
from spatialtrust.evidence.readings import Readings, read
from spatialtrust.fusion.calibration import sigmoid
from spatialtrust.fusion.folds import deal
from spatialtrust.fusion.model import TrustModel
from spatialtrust.fusion.pairs import CALIBRATED, Judged, PairCalibration, cells_of
from spatialtrust.jobs.demo import mixed_scenes
from spatialtrust.tables import Claims, Grounding

OUT = Path(__file__).parent.parent / "spatialtrust/fusion/models/pairs/vsr-boxes.json"
FOLDS = 8
RELATIONS = (*DEFAULT_RELATIONS, "touching")
FIRST_SEED = 640_000
SCENES = 800
NOISE_SEED = 3


def judged(annotations: Path, tables: list[Path]) -> list[dict[str, Any]]:
    """Rows of all tables with `boxes` and `size`; of a claim that was judged twice the last."""
    images = {}
    for image in json.loads(annotations.read_text(encoding="utf-8")):
        boxes: dict[str, list[list[float]]] = defaultdict(list)
        for box in sorted(image["boxes"], key=lambda b: -b["bbox_xywh"][2] * b["bbox_xywh"][3]):
            left, top, width, height = box["bbox_xywh"]
            boxes[box["category"]].append([left, top, left + width, top + height])
        images[image["file_name"]] = (boxes, [image["width"], image["height"]])
    rows = {}
    for table in tables:
        with table.open(encoding="utf-8", newline="") as lines:
            listed = list(csv.DictReader(lines))
        for row in listed:
            known, size = images[row["image"]]
            named: dict[str, Any] = {**row}
            found: list[list[float]] = []
            for side in ("subject", "object"):
                name, _, place = row[f"{side}_id"].rpartition("#")
                given = row.get(f"{side}_box")
                found.append(json.loads(given) if given else known[name][int(place)])
                named[side] = name
            key = (row["image"], row["subject_id"], row["relation"], row["object_id"])
            rows[key] = {**named, "boxes": found, "size": size}
    return list(rows.values())


def examined(rows: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray, Readings]:
    """What `vsr-boxes` says of the rows, their relations and readings."""
    claims = Claims.from_rows(
        [
            {
                "claim_id": f"{place:06d}",
                "image_id": row["image"],
                **{name: row[name] for name in ("subject", "relation", "object")},
            }
            for place, row in enumerate(rows)
        ]
    )
    boxes = np.array([row["boxes"] for row in rows])
    return read_by_model(
        claims, Grounding.from_boxes(boxes[:, 0], boxes[:, 1], [row["size"] for row in rows])
    )


def read_by_model(claims: Claims, grounding: Grounding) -> tuple[np.ndarray, np.ndarray, Readings]:
    """P(true) if they were written, relations and readings of claims."""
    fused = TrustModel.load(CALIBRATED).predict(gather(claims, grounding))
    relation = relation_places(claims.column("relation"))
    return fused.p_true.astype(np.float64), relation, read(claims, grounding)


def rendered(count: int) -> Judged:
    """Pairs of so many scenes, half of them furnished."""
    scenes = mixed_scenes(count, FIRST_SEED)
    found, images = known_boxes(scenes)
    claims = label_claims(enumerate_claims(found, relations=RELATIONS).claims, found, scenes)
    grounding = ground(claims, found, images)
    disturbed = disturb(grounding, DETECTED, NOISE_SEED)
    parts = []
    for turn, boxes in enumerate((grounding, disturbed)):
        p_true, relation, readings = read_by_model(claims, boxes)
        label = claims.numbers("label")
        whole = np.unique(claims.column("image_id").to_pylist(), return_inverse=True)[1]
        usable = readings.in_space & np.isfinite(p_true) & np.isfinite(label) & (whole % 2 == turn)
        judged = judged_of(p_true, cells_of(relation, readings), label)
        parts.append(judged.select(usable))
    return Judged(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("logit", "cell", "label", "weight")
        )
    )


def judged_of(p_true: np.ndarray, cell: np.ndarray, label: np.ndarray) -> Judged:
    """Rows that each count once."""
    with np.errstate(invalid="ignore", divide="ignore"):
        logit = np.log(p_true / (1 - p_true))
    return Judged(logit, cell, label, np.ones(len(cell)))


def once(rows: list[dict[str, Any]], judged: Judged) -> Judged:
    """The same, rows about one pair read alike counting as one."""
    pairs = [(r["image"], *sorted((r["subject_id"], r["object_id"]))) for r in rows]
    keys = ["|".join((*pair, cell)) for pair, cell in zip(pairs, judged.cell, strict=True)]
    _, row, count = np.unique(keys, return_inverse=True, return_counts=True)
    return replace(judged, weight=1 / count[row])


def out_of_fold(photos: Judged, scenes: Judged, image: np.ndarray) -> np.ndarray:
    """(N,) calibrated probabilities, each by a calibration that has not seen its image."""
    fold = deal(image, FOLDS)
    said = np.empty(len(image))
    for held in range(FOLDS):
        here = fold == held
        fitted = PairCalibration.fit(photos.select(~here), scenes)
        said[here] = sigmoid(fitted.logit(photos.logit[here], photos.cell[here]))
    return said


def report(
    name: str, said: np.ndarray, label: np.ndarray, image: np.ndarray, rows: np.ndarray
) -> dict[str, Any]:
    """What is kept at two thresholds of some rows: said, true (interval by image), recall."""
    found: dict[str, Any] = {"relation": name, "judged": int(rows.sum())}
    for threshold in (0.8, 0.9):
        kept = rows & (said >= threshold)
        true = int(label[rows].sum())
        part: dict[str, Any] = {"kept": int(kept.sum())}
        if kept.any():
            part["said"] = round(float(said[kept].mean()), 3)
            part["true"] = round(float(label[kept].mean()), 3)
            part["interval"] = interval(label[kept], image[kept])
        part["recall"] = round(float(label[kept].sum() / true), 3) if true else None
        found[str(threshold)] = part
    return found


def interval(label: np.ndarray, image: np.ndarray, draws: int = 2000) -> list[float]:
    """90 % of the share of true rows over images drawn anew."""
    owner = np.unique(image, return_inverse=True)[1]
    true, rows = np.bincount(owner, label), np.bincount(owner)
    drawn = np.random.default_rng(0).integers(0, len(rows), (draws, len(rows)))
    shares = true[drawn].sum(axis=1) / rows[drawn].sum(axis=1)
    return [round(float(value), 3) for value in np.quantile(shares, (0.05, 0.95))]


def main() -> None:
    """Fit, write, report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("annotations", type=Path)
    parser.add_argument("judged", type=Path, nargs="+")
    parser.add_argument("--scenes", type=int, default=SCENES, help="rendered ones")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    rows = judged(options.annotations, options.judged)
    p_true, relation, readings = examined(rows)
    label = np.array([row["judged"] == "true" for row in rows], dtype=np.float64)
    image = np.array([row["image"] for row in rows])
    names = np.array([row["relation"] for row in rows])
    photos = once(rows, judged_of(p_true, cells_of(relation, readings), label))
    usable = readings.in_space & np.isfinite(photos.logit)
    photos, scenes = photos.select(usable), rendered(options.scenes)
    after = np.full(len(rows), np.nan)
    after[usable] = out_of_fold(photos, scenes, image[usable])
    fitted = PairCalibration.fit(photos, scenes)
    known = {
        "brier_before": metrics.brier(p_true[usable], label[usable]),
        "brier_after": metrics.brier(after[usable], label[usable]),
    }
    written = {
        "about": "vsr-boxes on enumerated pairs, by pipelines/fit_pairs.py",
        "model": CALIBRATED,
        "rows": int(usable.sum()),
        "images": len(np.unique(image[usable])),
        "rendered_rows": len(scenes.label),
        "calibration": fitted.to_dict(),
    }
    options.out.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    everything = np.ones(len(rows), dtype=bool)
    for name, which in [
        ("all", everything),
        *((name, names == name) for name in sorted(set(names))),
    ]:
        for when, said in (("before", p_true), ("after", after)):
            print(json.dumps({"when": when, **report(name, said, label, image, which)}))
    print(json.dumps(known))


if __name__ == "__main__":
    main()
