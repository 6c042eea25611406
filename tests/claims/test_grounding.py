from __future__ import annotations

import numpy as np
import pytest

from spatialtrust.claims.grounding import chosen_ids, ground
from spatialtrust.reasons import decode
from spatialtrust.tables import Claims, Detections, Images


def box(object_id: str, x: float, score: float | None = None, image_id: str = "a") -> dict:
    phrase = object_id.partition("#")[0]
    return {"image_id": image_id, "object_id": object_id, "phrase": phrase,
            "x1": x, "y1": 0.0, "x2": x + 10, "y2": 10.0, "score": score}  # fmt: skip


def claim(subject: str | None, other: str | None, **more: object) -> Claims:
    row = {"claim_id": "0", "image_id": "a", "subject": subject, "relation": "left of",
           "object": other, **more}  # fmt: skip
    return Claims.from_rows([row])


def reasons(claims: Claims, boxes: list[dict], images: Images | None = None) -> list[str]:
    found = ground(claims, Detections.from_rows(boxes), images or IMAGES)
    return decode(found.reasons).to_pylist()[0]


IMAGES = Images.from_rows([{"image_id": "a", "width": 100, "height": 50, "status": "ok"}])
PAN = box("pan#0", 50, 0.9)


def test_the_best_box_of_a_phrase_is_chosen_with_its_margin_and_count() -> None:
    boxes = Detections.from_rows([box("mug#1", 20, 0.5), box("mug#0", 0, 0.75), PAN])
    found = ground(claim("the Mug", "pan"), boxes, IMAGES)
    assert found.subject_box[0].tolist() == [0, 0, 10, 10]
    assert found.subject_margin[0] == pytest.approx(0.25)
    assert np.isnan(found.object_margin[0])
    assert (found.subject_count[0], found.object_count[0]) == (2, 1)
    assert found.image_size[0].tolist() == [100, 50]
    assert not found.reasons[0]


@pytest.mark.parametrize("scores", [(0.75, 0.7), (None, None)])
def test_boxes_that_fit_equally_well_are_ambiguous(scores: tuple) -> None:
    boxes = [box("mug#0", 0, scores[0]), box("mug#1", 20, scores[1]), PAN]
    assert reasons(claim("mug", "pan"), boxes) == ["ambiguous_subject"]


def test_a_claim_that_names_its_detections_is_never_ambiguous() -> None:
    boxes = [box("mug#0", 0), box("mug#1", 20), PAN]
    named = claim("mug", "pan", subject_id="mug#1", object_id="pan#0")
    assert reasons(named, boxes) == []
    found = ground(named, Detections.from_rows(boxes))
    assert found.subject_box[0].tolist() == [20, 0, 30, 10]


def test_a_box_is_only_looked_for_in_the_claims_own_image() -> None:
    elsewhere = box("mug#0", 0, 0.9, image_id="b")
    assert reasons(claim("mug", "pan"), [elsewhere, PAN]) == ["subject_missing"]
    assert reasons(claim("mug", "pan", subject_id="mug#0"), [elsewhere, PAN]) == ["subject_missing"]


def test_every_reason_for_a_missing_box_is_said() -> None:
    nothing = {"image_id": "a", "object_id": "mug#0", "phrase": "mug", "status": "not_found"}
    inverted = {**box("mug#0", 0), "x2": -5.0}
    assert reasons(claim("mug", "cat"), [nothing, PAN]) == ["subject_missing", "object_missing"]
    assert reasons(claim(None, "pan"), [PAN]) == ["claim_incomplete"]
    assert reasons(claim("mug", "pan"), [inverted, PAN]) == ["degenerate_box"]
    assert reasons(claim("pan", "the pan"), [PAN]) == ["same_box"]


def test_the_images_own_troubles_are_said() -> None:
    broken = Images.from_rows([{"image_id": "a", "status": "unreadable: empty"}])
    both = {"image_size_unknown", "image_unreadable"}
    assert set(reasons(claim("pan", "mug"), [PAN, box("mug#0", 0)], broken)) == both


def test_chosen_ids_fill_what_the_claim_left_open() -> None:
    boxes = Detections.from_rows([box("mug#0", 0, 0.2), box("mug#1", 20, 0.9), PAN])
    ids = chosen_ids(claim("mug", "cat"), boxes)
    assert (ids["subject_id"].to_pylist(), ids["object_id"].to_pylist()) == (["mug#1"], [None])


def test_no_boxes_and_no_claims_are_fine() -> None:
    assert reasons(claim("mug", "pan"), []) == ["subject_missing", "object_missing"]
    assert len(ground(Claims.empty(), Detections.from_rows([PAN]))) == 0


def test_the_order_of_rows_does_not_matter() -> None:
    boxes = Detections.from_rows([box("mug#0", 0, 0.2), box("mug#1", 20, 0.9), PAN])
    claims = Claims.from_rows(
        {"claim_id": str(n), "image_id": "a", "subject": s, "relation": "on", "object": "pan"}
        for n, s in enumerate(["mug", "pan", "cat"])
    )
    rows = np.array([2, 0, 1])
    straight, turned = ground(claims, boxes), ground(claims.take(rows), boxes.take(rows))
    for name in ("subject_box", "subject_margin", "subject_count", "reasons"):
        np.testing.assert_array_equal(getattr(straight, name)[rows], getattr(turned, name))
