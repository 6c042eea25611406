"""Claims that were enumerated from boxes are true where the boxes are the objects they name."""

from __future__ import annotations

import numpy as np

from spatialtrust.backends.tabletop import sample_scene
from spatialtrust.backends.tabletop.labels import ENUMERATED, label_claims
from spatialtrust.backends.tabletop.truth import truth_in_space
from spatialtrust.claims.enumeration import enumerate_claims
from spatialtrust.tables import Detections

SCENE = sample_scene(3)
NAME = "a.png"


def boxes(*changed: tuple[int, dict]) -> Detections:
    rows = [
        {"image_id": NAME, "object_id": str(place), "phrase": item.phrase, "score": 0.9,
         **dict(zip(("x1", "y1", "x2", "y2"), map(float, item.box), strict=True))}
        for place, item in enumerate(SCENE.objects)
    ]  # fmt: skip
    for place, change in changed:
        rows[place] |= change
    return Detections.from_rows(rows)


def labels(found: Detections) -> list[tuple[str, str, str, int | None]]:
    claims = enumerate_claims(found, relations=ENUMERATED).claims
    rows = label_claims(claims, found, {NAME: SCENE}).data.to_pylist()
    return [(r["subject_id"], r["relation"], r["object_id"], r["label"]) for r in rows]


def test_true_boxes_give_the_truth() -> None:
    made = labels(boxes())
    assert len(made) > 5
    for subject, relation, other, label in made:
        truth = truth_in_space(SCENE, int(subject), int(other))[relation]
        assert label == (None if truth is None else int(truth))
    assert {label for *_, label in made} >= {0, 1}


def test_a_box_that_is_elsewhere_or_of_nothing_makes_every_claim_false() -> None:
    elsewhere = {"x1": 0.0, "y1": 0.0, "x2": 5.0, "y2": 5.0}
    for change in (elsewhere, {"phrase": "violet octopus"}):
        made = labels(boxes((0, change)))
        about = [label for subject, _, other, label in made if "0" in (subject, other)]
        assert about
        assert set(about) == {0}
        assert 1 in [label for subject, _, other, label in made if "0" not in (subject, other)]


def test_a_phrase_without_a_box_is_nobodys() -> None:
    nowhere = dict.fromkeys(("x1", "y1", "x2", "y2"), np.nan)
    assert all("0" not in (subject, other) for subject, _, other, _ in labels(boxes((0, nowhere))))
