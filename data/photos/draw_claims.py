"""Draw the claims of `judged_claims.csv`: pairs x relations on the photos, seeded, unseen labels.

    python data/photos/draw_claims.py RUN/detections/00000000.parquet judged_edges.csv claims.json

The first argument is the table of objects that `spatialtrust graph PHOTOS --detections
annotations.json --asker none` writes (object ids and boxes, nothing else is read from the run);
the second lists claims that were judged before and are not drawn again.
"""

from __future__ import annotations

import csv
import json
import random
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

SEED = 12
Box = list[float]
#: Claims drawn of each relation, half of them from pairs where the boxes make it plausible.
QUOTAS = {
    "on": 40,
    "in": 30,
    "above": 40,
    "left of": 12,
    "right of": 12,
    "next to": 36,
    "in front of": 40,
    "touching": 36,
    "under": 28,
    "behind": 30,
    "near": 32,
}


def overlap(a: Box, b: Box, axis: int) -> float:
    """Length of the common extent along an axis in pixels; negative is a gap."""
    return min(a[axis + 2], b[axis + 2]) - max(a[axis], b[axis])


def gap(a: Box, b: Box) -> float:
    """Distance of two boxes in pixels, 0 where they meet."""
    across, down = max(0.0, -overlap(a, b, 0)), max(0.0, -overlap(a, b, 1))
    return float((across**2 + down**2) ** 0.5)


def size(a: Box) -> float:
    """Geometric mean of width and height in pixels."""
    return float(((a[2] - a[0]) * (a[3] - a[1])) ** 0.5)


def contained(a: Box, b: Box) -> float:
    """Share of the area of `a` that lies within `b`."""
    across, down = max(0.0, overlap(a, b, 0)), max(0.0, overlap(a, b, 1))
    return across * down / ((a[2] - a[0]) * (a[3] - a[1]))


def rests(a: Box, b: Box) -> bool:
    """Boxes overlap along x and the bottom of `a` lies within the height of `b`."""
    return overlap(a, b, 0) > 0 and b[1] <= a[3] <= b[3]


def close(a: Box, b: Box) -> bool:
    """The gap is less than half the size of the larger box."""
    return gap(a, b) < 0.5 * max(size(a), size(b))


PLAUSIBLE: dict[str, Callable[[Box, Box], bool]] = {
    "on": rests,
    "in": lambda a, b: contained(a, b) > 0.7,
    "above": lambda a, b: a[1] + a[3] < b[1] + b[3] and overlap(a, b, 0) > 0,
    "left of": lambda a, b: a[0] + a[2] < b[0] + b[2],
    "right of": lambda a, b: a[0] + a[2] > b[0] + b[2],
    "next to": lambda a, b: close(a, b) and overlap(a, b, 1) > 0,
    "in front of": lambda a, b: a[3] > b[3] and close(a, b),
    "touching": lambda a, b: gap(a, b) == 0,
    "under": lambda a, b: rests(b, a),
    "behind": lambda a, b: a[3] < b[3] and close(a, b),
    "near": close,
}


def draw(
    objects: dict[str, dict[str, Box]], seen: set[tuple[str, str, str, str]]
) -> list[dict[str, object]]:
    """Round after round over the photos in random order, one pair of a photo at random each time.

    So every photo has about as many claims, whatever the number of its objects.
    """
    rng = random.Random(SEED)
    drawn: list[dict[str, object]] = []
    for relation, quota in QUOTAS.items():
        for source in ("plausible", "uniform"):
            pools: dict[str, list[tuple[str, str]]] = defaultdict(list)
            for image, boxes in sorted(objects.items()):
                pools[image] += [
                    (s, o)
                    for s in boxes
                    for o in boxes
                    if s != o
                    and (image, s, relation, o) not in seen
                    and (source == "uniform" or PLAUSIBLE[relation](boxes[s], boxes[o]))
                ]
            left = quota // 2
            while left and any(pools.values()):
                order = [image for image in pools if pools[image]]
                rng.shuffle(order)
                for image in order[:left]:
                    s, o = pools[image].pop(rng.randrange(len(pools[image])))
                    seen.add((image, s, relation, o))
                    drawn.append(
                        {
                            "image": image,
                            "subject_id": s,
                            "relation": relation,
                            "object_id": o,
                            "drawn_from": source,
                            "subject_box": objects[image][s],
                            "object_box": objects[image][o],
                        }
                    )
                    left -= 1
    return drawn


def main(detections: str, judged: str, out: str) -> None:
    """Read the objects, draw the claims and write them as JSON, photo by photo."""
    objects: dict[str, dict[str, Box]] = defaultdict(dict)
    for row in pq.read_table(detections).to_pylist():
        if row["object_id"] is not None and row["status"] == "ok":
            box = [round(row[k], 2) for k in ("x1", "y1", "x2", "y2")]
            objects[row["image_id"]][row["object_id"]] = box
    with open(judged, newline="", encoding="utf-8") as file:
        seen = {
            (r["image"], r["subject_id"], r["relation"], r["object_id"])
            for r in csv.DictReader(file)
        }
    claims = sorted(draw(objects, seen), key=lambda c: str(c["image"]))
    Path(out).write_text(json.dumps(claims, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
