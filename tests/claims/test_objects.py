"""One region of an image is one thing, whatever phrases fit it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spatialtrust.claims.enumeration import enumerate_claims
from spatialtrust.claims.objects import contested, pairs_within
from spatialtrust.decision.rule import DecisionRule
from spatialtrust.graph import SceneGraph
from spatialtrust.tables import Detections, Verdicts


def found(*rows: tuple[str, str, tuple[float, ...], float | None]) -> Detections:
    return Detections.from_rows(
        {"image_id": image, "object_id": f"{phrase}#{n}", "phrase": phrase,
         **dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)), "score": score}
        for n, (image, phrase, box, score) in enumerate(rows)
    )  # fmt: skip


HERE, NEARLY, ELSEWHERE = (0, 0, 10, 10), (0, 0, 10, 9), (20, 0, 30, 10)


def test_the_phrase_that_fits_a_region_best_keeps_it() -> None:
    boxes = found(
        ("a", "cube", HERE, 0.4),
        ("a", "can", NEARLY, 0.8),
        ("a", "cup", ELSEWHERE, 0.3),
        ("b", "cube", HERE, 0.4),
    )
    assert contested(boxes).tolist() == [True, False, False, False]


def test_two_boxes_of_one_phrase_and_boxes_without_a_score_are_left_alone() -> None:
    assert not contested(found(("a", "mug", HERE, 0.4), ("a", "Mug", NEARLY, 0.8))).any()
    assert not contested(found(("a", "mug", HERE, None), ("a", "cup", HERE, 0.8))).any()
    assert not contested(Detections.empty()).any()


@given(st.permutations(range(4)), st.sampled_from([0.4, 0.8]))
def test_neither_the_order_of_rows_nor_a_tie_lets_both_or_none_stay(
    order: list[int], score: float
) -> None:
    rows = [("a", "cube", HERE, score), ("a", "can", HERE, 0.4), ("a", "cup", ELSEWHERE, 0.2),
            ("b", "can", HERE, 0.1)]  # fmt: skip
    lost = contested(found(*(rows[place] for place in order)))
    names = sorted(rows[place][1] for place, out in zip(order, lost, strict=True) if out)
    assert names == (["can"] if score > 0.4 else ["cube"])


@given(st.lists(st.integers(0, 3), max_size=12))
def test_pairs_are_all_pairs_of_a_group_and_no_others(groups: list[int]) -> None:
    group = np.sort(np.array(groups, dtype=np.int64))
    made = set(zip(*(side.tolist() for side in pairs_within(group)), strict=True))
    count = range(len(group))
    assert made == {(a, b) for a in count for b in count if a < b and group[a] == group[b]}


def test_a_contested_box_is_no_object_unless_somebody_claims_something_of_it() -> None:
    boxes = found(("a", "cube", HERE, 0.4), ("a", "can", NEARLY, 0.8), ("a", "cup", ELSEWHERE, 0.3))
    claims = enumerate_claims(boxes, relations=["left of"]).claims
    assert [(r["subject"], r["object"]) for r in claims.data.to_pylist()] == [("can", "cup")]

    def nodes(subject: str) -> list[str | None]:
        verdicts = Verdicts.from_rows(
            [{"claim_id": "0", "asserted": "yes", "emitted": "yes", "p_true": 0.9, "p_boxes": 0.9,
              "confidence": 0.9, "decision": "accept", "reasons": [], "subject_id": subject,
              "relation": "left of", "object_id": "cup#2"}]
        )  # fmt: skip
        rule = DecisionRule.plain(0.8)
        return SceneGraph.build("a", (40, 40), boxes, verdicts, rule).objects.strings("phrase")

    assert nodes("can#1") == ["can", "cup"]
    assert nodes("cube#0") == ["can", "cube", "cup"]
