"""Draw the claims of `judged_claims.csv`: pairs and relations on the photos, at random, seeded.

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
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq

SEED = 12
Box = list[float]
Claim = tuple[str, str, str, str]
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

#: A second draw, of plausible pairs only, each pair of any photo alike: crowded photos weigh more.
CROWDED = {
    "on": 16,
    "in": 12,
    "above": 14,
    "left of": 8,
    "next to": 8,
    "in front of": 12,
    "touching": 12,
    "under": 6,
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


def pairs(
    objects: dict[str, dict[str, Box]], relation: str, source: str, seen: set[Claim]
) -> dict[str, list[tuple[str, str]]]:
    """Ordered pairs of each photo that may be drawn and were not yet."""
    return {
        image: [
            (s, o)
            for s in boxes
            for o in boxes
            if s != o
            and (image, s, relation, o) not in seen
            and (source == "uniform" or PLAUSIBLE[relation](boxes[s], boxes[o]))
        ]
        for image, boxes in sorted(objects.items())
    }


def by_photo(
    objects: dict[str, dict[str, Box]], seen: set[Claim], rng: random.Random
) -> Iterator[tuple[Claim, str]]:
    """Round after round over the photos in random order, one pair of a photo at random each time.

    So every photo has about as many claims, whatever the number of its objects.
    """
    for relation, quota in QUOTAS.items():
        for source in ("plausible", "uniform"):
            pools = pairs(objects, relation, source, seen)
            left = quota // 2
            while left and any(pools.values()):
                order = [image for image in pools if pools[image]]
                rng.shuffle(order)
                for image in order[:left]:
                    s, o = pools[image].pop(rng.randrange(len(pools[image])))
                    seen.add((image, s, relation, o))
                    yield (image, s, relation, o), source
                    left -= 1


def by_pair(
    objects: dict[str, dict[str, Box]], seen: set[Claim], rng: random.Random
) -> Iterator[tuple[Claim, str]]:
    """Plausible pairs of all photos, each as likely as any other."""
    for relation, quota in CROWDED.items():
        pools = pairs(objects, relation, "plausible", seen)
        pool = [(image, s, relation, o) for image in pools for s, o in pools[image]]
        for claim in rng.sample(pool, min(quota, len(pool))):
            seen.add(claim)
            yield claim, "plausible"


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
    claims = [
        {
            "image": image,
            "subject_id": s,
            "relation": relation,
            "object_id": o,
            "drawn_from": source,
            "subject_box": objects[image][s],
            "object_box": objects[image][o],
            "draw": number,
        }
        for number, how, seed in ((1, by_photo, SEED), (2, by_pair, SEED + 1))
        for (image, s, relation, o), source in how(objects, seen, random.Random(seed))
    ]
    claims.sort(key=lambda claim: (claim["draw"], claim["image"]))
    Path(out).write_text(json.dumps(claims, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
