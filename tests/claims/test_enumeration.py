from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialtrust.claims.enumeration import MAX_OBJECTS, enumerate_claims
from spatialtrust.errors import InputError, UnknownRelationError
from spatialtrust.tables import Detections


def objects(*boxes: tuple[str, float, float, float, float], image_id: str = "a") -> Detections:
    counts: Counter[str] = Counter()
    rows = []
    for phrase, x1, y1, x2, y2 in boxes:
        name = f"{phrase}#{counts[phrase]}"
        counts[phrase] += 1
        rows.append({"image_id": image_id, "object_id": name, "phrase": phrase,
                     "x1": x1, "y1": y1, "x2": x2, "y2": y2})  # fmt: skip
    return Detections.from_rows(rows)


def said(detections: Detections, **options: object) -> list[tuple[str, str, str]]:
    rows = enumerate_claims(detections, **options).claims.data.to_pylist()  # type: ignore[arg-type]
    return [(row["subject_id"], row["relation"], row["object_id"]) for row in rows]


MUG, PAN = ("mug", 0, 10, 10, 20), ("pan", 50, 0, 90, 12)


def test_a_pair_is_claimed_once_per_axis_in_the_direction_of_its_centres() -> None:
    expected = [("mug#0", "left of", "pan#0"), ("pan#0", "above", "mug#0")]
    directions = ["left of", "above"]
    assert said(objects(MUG, PAN), relations=directions) == expected
    assert said(objects(PAN, MUG), relations=directions) == expected


def test_by_default_support_and_containment_are_asked_of_what_comes_near() -> None:
    apart = said(objects(MUG, PAN))
    assert [relation for _, relation, _ in apart] == ["above", "left of", "next to", "in front of"]
    close = said(objects(("bowl", 0, 0, 40, 40), ("apple", 10, 10, 20, 20)))
    assert close == [
        ("bowl#0", "on", "apple#0"),
        ("apple#0", "on", "bowl#0"),
        ("apple#0", "in", "bowl#0"),
        ("apple#0", "above", "bowl#0"),
        ("apple#0", "left of", "bowl#0"),
        ("bowl#0", "next to", "apple#0"),
        ("bowl#0", "in front of", "apple#0"),
    ]


def test_what_stands_lower_is_the_one_that_may_be_in_front() -> None:
    for relation, expected in (
        ("in front of", ("mug#0", "in front of", "pan#0")),
        ("behind", ("pan#0", "behind", "mug#0")),
    ):
        for order in ((MUG, PAN), (PAN, MUG)):
            assert said(objects(*order), relations=[relation]) == [expected]


def test_two_mugs_are_two_objects() -> None:
    claims = said(objects(MUG, ("mug", 30, 10, 40, 20)), relations=["left of"])
    assert claims == [("mug#0", "left of", "mug#1")]


def test_containment_and_contact_are_asked_of_boxes_that_come_near() -> None:
    boxes = objects(("bowl", 0, 0, 40, 40), ("apple", 10, 10, 20, 20), ("lamp", 90, 0, 99, 60))
    close = said(boxes, relations=["inside", "touching"])
    assert close == [("apple#0", "inside", "bowl#0"), ("bowl#0", "touching", "apple#0")]
    assert said(boxes, relations=["contains"]) == [("bowl#0", "contains", "apple#0")]


def test_a_relation_that_boxes_do_not_turn_is_asked_both_ways() -> None:
    claims = said(objects(MUG, PAN), relations=["facing"])
    assert claims == [("mug#0", "facing", "pan#0"), ("pan#0", "facing", "mug#0")]


def test_given_pairs_keep_their_direction_and_turn_the_relation() -> None:
    claims = said(objects(MUG, PAN), relations=["left of", "above"], pairs=[("Pan", "mug")])
    assert claims == [("pan#0", "right of", "mug#0"), ("pan#0", "above", "mug#0")]


def test_objects_without_a_box_are_passed_over() -> None:
    lost = Detections.from_rows([{"image_id": "a", "object_id": "cat#0", "phrase": "cat"}])
    assert said(Detections.concat([objects(MUG, PAN), lost])) == said(objects(MUG, PAN))


def test_of_a_crowd_the_best_scored_are_paired_and_the_rest_is_said() -> None:
    count = 500
    x = np.arange(count, dtype=float)
    crowd = Detections.from_columns(
        {"image_id": ["a"] * count, "object_id": [f"p#{n}" for n in range(count)],
         "phrase": ["p"] * count, "x1": x, "y1": x, "x2": x + 1, "y2": x + 1,
         "score": np.linspace(0, 1, count)}
    )  # fmt: skip
    found = enumerate_claims(crowd, relations=["left of"])
    assert len(found.claims) == MAX_OBJECTS * (MAX_OBJECTS - 1) // 2
    assert found.crowded.to_pylist() == [{"image_id": "a", "found": 500, "paired": MAX_OBJECTS}]
    best = {f"p#{n}" for n in range(count - MAX_OBJECTS, count)}
    assert set(found.claims.strings("subject_id")) < best


def test_without_scores_the_largest_are_paired() -> None:
    boxes = objects(("a", 0, 0, 1, 1), ("b", 0, 0, 9, 9), ("c", 5, 0, 9, 5))
    assert said(boxes, max_objects=2, relations=["left of"]) == [("b#0", "left of", "c#0")]


def test_wrong_options_say_what_is_valid() -> None:
    with pytest.raises(UnknownRelationError):
        enumerate_claims(objects(MUG), relations=["leftof"])
    with pytest.raises(InputError, match="2 or more"):
        enumerate_claims(objects(MUG), max_objects=1)
    with pytest.raises(InputError, match="no relation"):
        enumerate_claims(objects(MUG), relations=[])


coordinate, extent = st.integers(0, 50), st.integers(1, 20)
shapes = st.lists(
    st.tuples(
        st.sampled_from("ab"), coordinate, coordinate, st.integers(1, 20), st.integers(1, 20)
    ),
    max_size=6,
)


@given(shapes, shapes)
def test_images_do_not_change_each_others_claims(one: list, two: list) -> None:
    def image(name: str, given: list) -> Detections:
        boxes = [(f"{p}{n}", x, y, x + w, y + h) for n, (p, x, y, w, h) in enumerate(given)]
        return objects(*boxes, image_id=name)

    alone = [
        enumerate_claims(image(n, s)).claims.data.to_pylist() for n, s in (("a", one), ("b", two))
    ]
    both = Detections.concat([image("b", two), image("a", one)])
    assert enumerate_claims(both).claims.data.to_pylist() == alone[0] + alone[1]
    ids = [row["claim_id"] for rows in alone for row in rows]
    assert ids == sorted(set(ids))
