"""Claims, boxes and answers become the columns that their names promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spatialtrust.errors import ColumnError, InputError
from spatialtrust.evidence.columns import BOXES, DETECTOR, LIVE, Features
from spatialtrust.evidence.from_boxes import contradict
from spatialtrust.evidence.gathering import Inputs, collect, gather
from spatialtrust.evidence.poses import KINDS, READINGS
from spatialtrust.reasons import bit
from spatialtrust.relations import NAMES, RELATIONS
from spatialtrust.tables import Evidence, Grounding
from tests.helpers.claims import CUP, SHELF, SIZE, answers, boxes, claims


def one(relation: str, **more: Any) -> Features:
    return collect(claims(("cup", relation, "shelf")), boxes(1, **more))


def test_alignment_is_along_the_claimed_direction() -> None:
    along = (0.75 - 0.25) / 0.2
    assert one("left of").column("alignment")[0] == pytest.approx(along, rel=1e-5)
    assert one("at the right side of").column("alignment")[0] == pytest.approx(-along, rel=1e-5)
    assert one("below").column("alignment")[0] == pytest.approx(0.1 / 0.4, rel=1e-4)
    assert one("left of").column("across")[0] == pytest.approx(0.1 / 0.4, rel=1e-4)
    for relation in ("near", "in front of", "in"):
        assert np.isnan(one(relation).column("alignment")[0])
        assert np.isnan(one(relation).column("stability")[0])


def test_the_pose_puts_first_what_the_claim_says_is_right_below_behind_or_inside() -> None:
    assert one("right of").column("offset_x")[0] == pytest.approx(-2.5, rel=1e-5)
    assert one("below").column("offset_y")[0] == pytest.approx(0.25, rel=1e-4)
    assert one("above").column("offset_y")[0] == pytest.approx(-0.25, rel=1e-4)
    inside, holds = one("in"), one("contains")
    assert inside.column("first_log_area") == pytest.approx(holds.column("second_log_area"))
    assert inside.column("first_container")[0] == 1.0
    assert holds.column("second_container")[0] == 1.0


def test_the_opposite_claim_is_what_would_be_measured_of_it() -> None:
    for name in ("left of", "at the right side of"):
        opposite = str(RELATIONS[name].opposite)
        turned = contradict(one(name))
        np.testing.assert_allclose(turned.values, one(opposite).values, atol=1e-5)
        assert NAMES[turned.relation[0]] == opposite


def test_symmetric_relations_put_the_smaller_first() -> None:
    for pair in ((CUP, SHELF), (SHELF, CUP)):
        found = one("near", subject=pair[0], other=pair[1])
        assert found.column("log_size_ratio")[0] < 0


def test_depth_follows_from_names_and_sizes() -> None:
    """A car that looks as large as a cup is farther away."""
    found = collect(claims(("car", "behind", "cup")), boxes(1, CUP, CUP))
    assert found.column("depth_difference")[0] == pytest.approx(np.log(4.3 / 0.11), rel=1e-4)
    unknown = collect(claims(("gizmo", "behind", "cup")), boxes(1))
    assert np.isnan(unknown.column("depth_difference")[0])
    assert np.isfinite(unknown.column("offset_x")[0])


def test_relations_that_deny_their_kind_are_the_opposites_of_some_that_do_not() -> None:
    assert {reading.kind for reading in READINGS} == set(KINDS)
    for name, reading in zip(NAMES, READINGS, strict=True):
        opposite = RELATIONS[name].opposite
        if reading.polarity < 0 and opposite is not None:
            assert READINGS[NAMES.index(opposite)].polarity > 0


def test_what_is_unknown_is_nan_and_says_why() -> None:
    grounding = Grounding.from_boxes(
        np.array([CUP, CUP, [0.5, 0.5, 0.4, 0.6], [np.nan] * 4, CUP]),
        np.tile(SHELF, (5, 1)),
        np.array([[1, 1], [1, 1], [1, 1], [1, 1], [np.nan, 1]]),
    )
    said = [("cup", relation, "shelf") for relation in ("facing", None, "in", "in", "behind")]
    found = collect(claims(*said), grounding)
    assert found.reasons.tolist() == [
        bit("relation_not_2d"), bit("relation_unknown"), bit("degenerate_box"), 0,
        bit("relation_needs_depth"),
    ]  # fmt: skip
    assert found.seen.tolist() == [True, False, False, False, True]
    assert np.isnan(found.column("separation")).tolist() == [False, False, True, True, False]
    assert np.isnan(found.column("first_log_area")).tolist() == [False] * 2 + [True] * 3


def test_detector_columns_come_from_the_grounding() -> None:
    given = Grounding.from_boxes(np.array([CUP]), np.array([SHELF]), SIZE)
    values = {name: np.array([place + 1.0], np.float32) for place, name in enumerate(DETECTOR)}
    detected = Grounding(
        given.subject_box, given.object_box, given.image_size, **values, reasons=given.reasons
    )
    found = collect(claims(("cup", "on", "shelf")), detected)
    assert {name: found.column(name)[0] for name in DETECTOR} == {
        name: column[0] for name, column in values.items()
    }
    assert found.column("detection_quality")[0] == 1.5


def test_without_a_vlm_its_columns_are_nan_and_with_one_they_are_its_signals() -> None:
    said = claims(("cup", "on", "shelf"), ("cup", "in", "shelf"))
    silent = collect(said, boxes(2))
    assert np.isnan(silent.block(LIVE)).all()
    assert silent.answer.tolist() == [-1, -1]
    heard = collect(said, boxes(2), answers(0.9))
    assert heard.column("p_yes").tolist() == pytest.approx([0.9, np.nan], nan_ok=True)
    assert heard.answer.tolist() == [1, -1]
    assert heard.reasons[1] & bit("answer_missing")
    np.testing.assert_array_equal(heard.block(BOXES), silent.block(BOXES))


def test_a_stored_table_is_the_same_evidence() -> None:
    said = claims(("cup", "on", "shelf"), ("cup", None, "gizmo"))
    table = gather(said, boxes(2), answers(0.9, 0.1))
    assert isinstance(table, Evidence)
    back = Features.from_table(table)
    now = collect(said, boxes(2), answers(0.9, 0.1))
    np.testing.assert_array_equal(back.values, now.values)
    np.testing.assert_array_equal(back.relation, now.relation)
    np.testing.assert_array_equal(back.answer, now.answer)
    np.testing.assert_array_equal(back.reasons, now.reasons)


def test_evidence_of_another_version_is_refused() -> None:
    table = gather(claims(("cup", "on", "shelf")), boxes(1))
    older = Evidence(table.data.drop_columns(["inset"]))
    with pytest.raises(ColumnError, match=r'"inset" is missing; gather the evidence again'):
        Features.from_table(older)
    with pytest.raises(InputError, match="alignment"):
        Features.from_table(table).column("alignmnt")


def test_pieces_are_the_whole() -> None:
    said = claims(*[("cup", name, "shelf") for name in NAMES])
    inputs = Inputs.of(said, boxes(len(NAMES)), answers(*np.linspace(0.1, 0.9, 40)))
    whole = inputs.features()
    parts = [inputs.features(slice(start, start + 7)) for start in range(0, len(NAMES), 7)]
    np.testing.assert_array_equal(
        np.concatenate([part.values for part in parts], axis=1), whole.values
    )
    np.testing.assert_array_equal(np.concatenate([p.reasons for p in parts]), whole.reasons)
