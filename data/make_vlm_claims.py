"""Make `vlm_claims.csv`: what a tiny BLIP-2 said of rendered scenes, with boxes and the truth.

    spatialtrust demo --out out/demo/tabletop
    python data/make_vlm_claims.py out/demo/tabletop/tabletop-blip2

Eight claims a scene, drawn at random from those the demo asked about; the boxes are those that a
tiny GroundingDINO found, so some are missing or wrong.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np

from spatialtrust.claims.grounding import ground
from spatialtrust.io.parquet import read_table
from spatialtrust.tables import Claims, Detections, Images

EACH = 8
SEED = 14
QUESTION = ("plain", "claim", "default")


def main() -> None:
    """Write the file beside this script."""
    run = Path(sys.argv[1])
    claims = Claims.from_arrow(read_table(run / "claims")).sorted()
    found = ground(
        claims,
        Detections.from_arrow(read_table(run / "detections")),
        Images.from_arrow(read_table(run / "images")),
    )
    answers = {
        row["claim_id"]: row
        for row in read_table(run / "answers").to_pylist()
        if (row["view"], row["form"], row["prompt_id"]) == QUESTION
    }
    rng = np.random.default_rng(SEED)
    owners = np.array(claims.strings("image_id"))
    of_image = [np.flatnonzero(owners == name) for name in np.unique(owners)]
    chosen = np.concatenate([np.sort(rng.permutation(rows)[:EACH]) for rows in of_image])
    rows = claims.data.to_pylist()
    listed = []
    for place in chosen:
        row = rows[place]
        said = answers[row["claim_id"]]
        width, height = found.image_size[place]
        listed.append(
            {
                "image": row["image_id"],
                "subject": row["subject"],
                "relation": row["relation"],
                "object": row["object"],
                "answer": said["answer"],
                "p_yes": round(said["p_yes"], 4),
                "subject_box": box(found.subject_box[place]),
                "object_box": box(found.object_box[place]),
                "width": int(width),
                "height": int(height),
                "label": row["label"],
            }
        )
    with Path(__file__).with_name("vlm_claims.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, listed[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(listed)


def box(corners: np.ndarray) -> str:
    """Corners as JSON; empty where the box was not found."""
    if np.isnan(corners).any():
        return ""
    return json.dumps([round(float(value), 1) for value in corners])


if __name__ == "__main__":
    main()
