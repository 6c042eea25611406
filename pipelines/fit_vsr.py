"""Fit the shipped model on statements of Visual Spatial Reasoning (VSR) with COCO boxes.

    python pipelines/fit_vsr.py statements.jsonl.gz
    python pipelines/fit_vsr.py train.jsonl dev.jsonl --coco instances_train2017.json ...

The first form takes statements that have their boxes (the columns of `spatialtrust verify`, with
`label`); the second the files that VSR publishes, to which COCO's instance files give the boxes.
Statements whose subject or object is not exactly one box of its image are left out.

Writes the model and prints cross-validated figures, by image. The same files give the same model.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from spatialtrust.defaults import TRUST_MODEL
from spatialtrust.evaluation.crossvalidation import cross_validate
from spatialtrust.evidence.box_noise import DETECTED, LEARNT_SEED, disturb
from spatialtrust.evidence.gathering import collect
from spatialtrust.fusion.model import TrustModel
from spatialtrust.io.claim_files import claims_from_rows
from spatialtrust.io.rows import RawRows, read_rows
from spatialtrust.language import parse_claims
from spatialtrust.metrics import auroc, bootstrap, ece
from spatialtrust.relations import DIRECTIONAL

CALIBRATED_ON = "VSR statements with one COCO box per object"


def with_boxes(statements: list[dict[str, Any]], coco: list[Path]) -> list[dict[str, Any]]:
    """Statements with the boxes of their subject and object, where each is one box."""
    sizes: dict[str, tuple[int, int]] = {}
    boxes: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    for path in coco:
        data = json.loads(path.read_text(encoding="utf-8"))
        names = {image["id"]: image["file_name"] for image in data["images"]}
        sizes |= {i["file_name"]: (i["width"], i["height"]) for i in data["images"]}
        words = {category["id"]: category["name"] for category in data["categories"]}
        for item in data["annotations"]:
            boxes[names[item["image_id"]], words[item["category_id"]]].append(item["bbox"])
    rows = []
    # A caption that is not one claim about two things has no two boxes.
    claims = parse_claims([said["caption"] for said in statements]).to_pylist()
    for said, claim in zip(statements, claims, strict=True):
        if claim is None:
            continue
        subject, other = claim["subject"], claim["object"]
        found = [boxes.get((said["image"], phrase), []) for phrase in (subject, other)]
        if [len(boxes_of) for boxes_of in found] == [1, 1]:
            width, height = sizes[said["image"]]
            rows.append(
                {"image": said["image"], "caption": said["caption"], "label": said["label"],
                 "subject_box": found[0][0], "object_box": found[1][0],
                 "width": width, "height": height}
            )  # fmt: skip
    return rows


def read(files: list[Path], coco: list[Path]) -> Any:
    """Claims with boxes and labels, in the form that `verify` reads."""
    if not coco:
        return claims_from_rows(read_rows(files[0]))
    statements = [
        json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines()
    ]
    rows = RawRows.from_records(with_boxes(statements, coco), "VSR with COCO")
    return claims_from_rows(rows, box_format="xywh", box_unit="pixel")


def main() -> None:
    """Fit, save, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("statements", type=Path, nargs="+")
    parser.add_argument("--coco", type=Path, nargs="*", default=[], help="instance files")
    parser.add_argument(
        "--out", type=Path, default=Path(f"spatialtrust/fusion/models/{TRUST_MODEL}.json")
    )
    parser.add_argument("--folds", type=int, default=5, help="0: no cross-validation")
    arguments = parser.parse_args()
    file = read(arguments.statements, arguments.coco)
    features = collect(file.claims, file.grounding)
    label = file.claims.numbers("label").astype(np.int8)
    images = np.array(file.claims.strings("image_id"))
    disturbed = collect(file.claims, disturb(file.grounding, DETECTED, LEARNT_SEED))
    model = TrustModel.fit(
        features,
        label,
        images,
        disturbed=disturbed,
        name=TRUST_MODEL,
        calibrated_on=CALIBRATED_ON,
        for_pairs=False,
    )
    model.save(arguments.out)
    figures: dict[str, Any] = {
        "statements": len(label),
        "images": len(np.unique(images)),
        "trees": model.layers.box_trees.trees,
    }
    if arguments.folds:
        p_true = cross_validate(features, label, images, disturbed=disturbed, folds=arguments.folds)
        directional = np.isin(np.array(file.claims.strings("relation")), DIRECTIONAL)
        for name, metric, rows in (
            ("auroc_directional", auroc, directional),
            ("auroc", auroc, np.ones_like(directional)),
            ("ece", ece, np.ones_like(directional)),
        ):
            found = bootstrap(metric, p_true[rows], label[rows] == 1, groups=images[rows])
            figures[name] = {"value": found.value, "low": found.low, "high": found.high}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
