"""How good a detector with a fixed vocabulary is on annotated photographs.

python -m benchmarks.photo_detector PHOTOS [--detector photos]

PHOTOS holds ``annotations.json`` and ``images/``. Prints at two thresholds: recall of annotated
objects of the detector's classes (IoU >= 0.5, right class) over 1 % of the image and of all, false
boxes an image and precision, and of pairs whose two objects were found whole (IoU >= 0.7) how many
keep their direction. A box on a crowd (``iscrowd``) is neither right nor false.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np

from spatialtrust.backends.base import Options
from spatialtrust.backends.registry import open_detector
from spatialtrust.io.images import read_image

CLEAR = 0.01
"""Share of the image that an object takes at least to count as seen well."""
APART = 0.05
"""Share of the image by which middles differ at least, for a direction."""


def main() -> None:
    """Detect, match, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="folder with annotations.json and images/")
    parser.add_argument("--detector", default="photos")
    given = parser.parse_args()
    listed = json.loads((given.photos / "annotations.json").read_text("utf-8"))
    images = {row["file_name"]: read_image(given.photos / "images" / row["file_name"])
              for row in listed}  # fmt: skip
    options = Options(device="cpu", score_threshold=0.3, top_k=100)
    cv2.setNumThreads(1)
    detector = open_detector(given.detector, options)
    first = listed[0]["file_name"]
    detector.detect({first: images[first]}, {})  # loads
    started = time.perf_counter()
    found = detector.detect(images, {}).data.to_pylist()
    pace = (time.perf_counter() - started) / len(images)
    print(f"{given.detector}: {len(images)} photos, {pace:.2f} s an image on one core")
    for threshold in (0.3, 0.5):
        tell(listed, [row for row in found if row["score"] >= threshold], threshold)


def tell(listed: list[dict], found: list[dict], threshold: float) -> None:
    """One line of figures."""
    recalled, clear, false, boxes, directed, kept = [], [], 0, 0, 0, 0
    for photo in listed:
        here = [row for row in found if row["image_id"] == photo["file_name"]]
        area = photo["width"] * photo["height"]
        overlaps = np.array([[_iou(box, each) if box["phrase"] == each["category"] else 0.0
                              for each in photo["boxes"]] for box in here])  # fmt: skip
        matched = match(here, overlaps)
        for place, each in enumerate(photo["boxes"]):
            if not each["iscrowd"]:
                recalled.append(place in matched)
                clear.append(each["bbox_xywh"][2] * each["bbox_xywh"][3] >= CLEAR * area)
        crowds = [place for place, each in enumerate(photo["boxes"]) if each["iscrowd"]]
        unmatched = set(range(len(here))) - set(matched.values())
        crowded = {photo["boxes"][place]["category"] for place in crowds}
        wrong = [row for row in unmatched if here[row]["phrase"] not in crowded]
        false += len(wrong)
        boxes += len(wrong) + len(matched)
        whole = {p: here[row] for p, row in matched.items() if overlaps[row, p] >= 0.7}
        places = sorted(whole)
        for one, a in enumerate(places):
            for b in places[one + 1 :]:
                told = directions(photo, truth_box(photo["boxes"][a]), truth_box(photo["boxes"][b]))
                seen = directions(photo, box_of(whole[a]), box_of(whole[b]), least=0.0)
                for axis in (0, 1):
                    if told[axis]:
                        directed += 1
                        kept += told[axis] == seen[axis]
    recall, clear_ones = np.array(recalled), np.array(clear)
    print(
        f"score >= {threshold}: recall {recall[clear_ones].mean():.3f} of {clear_ones.sum()} "
        f"objects over {CLEAR:.0%} of the image, {recall.mean():.3f} of all {len(recall)}; "
        f"{false / len(listed):.2f} false boxes an image, precision {1 - false / boxes:.3f} of "
        f"{boxes} boxes; direction right in {kept} of {directed}"
    )


def match(here: list[dict], overlaps: np.ndarray) -> dict[int, int]:
    """Annotated object to the box that finds it, best scored boxes first."""
    taken: dict[int, int] = {}
    for row in sorted(range(len(here)), key=lambda row: -here[row]["score"]):
        left = [p for p in range(overlaps.shape[1]) if p not in taken and overlaps[row, p] >= 0.5]
        if left:
            taken[max(left, key=lambda p: overlaps[row, p])] = row
    return taken


def directions(photo: dict, a: np.ndarray, b: np.ndarray, least: float = APART) -> np.ndarray:
    """Sign of the difference of two middles along x and y; 0 where it is a near tie."""
    middle = (b[:2] + b[2:] - a[:2] - a[2:]) / 2 / [photo["width"], photo["height"]]
    return np.where(np.abs(middle) > least, np.sign(middle), 0)


def truth_box(each: dict) -> np.ndarray:
    x, y, width, height = each["bbox_xywh"]
    return np.array([x, y, x + width, y + height])


def box_of(row: dict) -> np.ndarray:
    return np.array([row[name] for name in ("x1", "y1", "x2", "y2")])


def _iou(row: dict, each: dict) -> float:
    a, b = box_of(row), truth_box(each)
    shared = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    areas = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])
    return float(shared / max(areas - shared, 1e-9))


if __name__ == "__main__":
    main()
