"""What is kept of rendered scenes with known truth in space: share true, and recall, by relation.

python -m benchmarks.graph_scenes [--scenes 200]

Half of the scenes are furnished with things that contain and support. Boxes are those of the
objects, and disturbed as detectors do. `before`: the model as it is for written claims; `after`: as
it is for enumerated pairs. `true` counts near ties as wrong, `settled` leaves them out.
"""

from __future__ import annotations

import argparse

import numpy as np

from spatialtrust.backends.tabletop.labels import known_boxes, label_claims
from spatialtrust.claims.enumeration import DEFAULT_RELATIONS, enumerate_claims
from spatialtrust.claims.grounding import ground
from spatialtrust.evidence.box_noise import DETECTED, disturb
from spatialtrust.evidence.columns import relation_places
from spatialtrust.evidence.gathering import gather
from spatialtrust.evidence.readings import read
from spatialtrust.fusion.model import TrustModel
from spatialtrust.fusion.pairs import CALIBRATED, of_pairs
from spatialtrust.jobs.demo import mixed_scenes

FIRST_SEED = 780_000
NOISE_SEED = 9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--threshold", type=float, default=0.8)
    options = parser.parse_args()
    scenes = mixed_scenes(options.scenes, FIRST_SEED)
    found, images = known_boxes(scenes)
    claims = label_claims(enumerate_claims(found).claims, found, scenes)
    name = np.array(claims.column("relation").to_pylist())
    label = claims.numbers("label")
    boxes = ground(claims, found, images)
    print(f"{len(scenes)} scenes, threshold {options.threshold}")
    print("boxes      relation      true pairs | before: kept  said  true recall | ", end="")
    print("after: kept  said  true settled recall")
    for kind, given in (("known", boxes), ("disturbed", disturb(boxes, DETECTED, NOISE_SEED))):
        before = TrustModel.load(CALIBRATED).predict(gather(claims, given))
        readings = read(claims, given)
        after = of_pairs(before, relation_places(claims.column("relation")), readings)
        for relation in DEFAULT_RELATIONS:
            true = (name == relation) & (label == 1)
            line = f"{kind:10s} {relation:12s} {true.sum():11d} |"
            for fused in (before, after):
                kept = (name == relation) & (fused.p_true >= options.threshold)
                settled = kept & np.isfinite(label)
                said = fused.p_true[kept].mean() if kept.any() else np.nan
                right = (label[kept] == 1).mean() if kept.any() else np.nan
                line += f" {kept.sum():12d} {said:5.2f} {right:5.2f}"
                if fused is after:
                    line += f" {(label[settled] == 1).mean() if settled.any() else np.nan:7.2f}"
                line += f" {(kept & true).sum() / max(true.sum(), 1):6.2f} |"
            print(line.removesuffix("|"))


if __name__ == "__main__":
    main()
