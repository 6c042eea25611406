"""Disturbed boxes stay boxes, and what is asked for is what happens."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialtrust.errors import InputError
from spatialtrust.evidence.box_noise import LEAST_EXTENT, BoxNoise, disturb
from spatialtrust.reasons import bit
from spatialtrust.tables import Grounding

if TYPE_CHECKING:
    from numpy.typing import NDArray

NOISES = st.builds(
    BoxNoise,
    jitter=st.floats(0, 1),
    loose=st.floats(1, 3),
    missing=st.floats(0, 1),
    swapped=st.floats(0, 1),
    varied=st.booleans(),
)
SEEDS = st.integers(0, 2**32)


def scene(seed: int, rows: int = 40, size: float = 500.0) -> Grounding:
    """Random boxes in images of ``size`` and a little less."""
    rng = np.random.default_rng(seed)

    def boxes() -> NDArray[Any]:
        low = rng.uniform(0, 0.8, (rows, 2))
        return np.concatenate([low, low + rng.uniform(0.01, 0.19, (rows, 2))], axis=1) * size

    return Grounding.from_boxes(boxes(), boxes(), np.full((rows, 2), size))


def assert_same(found: Grounding, wanted: Grounding) -> None:
    for field in fields(Grounding):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(wanted, field.name))


@given(NOISES, SEEDS, st.sampled_from([1.0, 640.0]))
def test_boxes_stay_boxes_inside_the_image(noise: BoxNoise, seed: int, size: float) -> None:
    before = scene(seed, size=size)
    after = disturb(before, noise, seed)
    for boxes in (after.subject_box, after.object_box):
        assert boxes.dtype == np.float32
        found = boxes[np.isfinite(boxes).all(axis=1)]
        assert (found >= 0).all()
        assert (found <= size).all()
        assert (found[:, 2:] > found[:, :2]).all()
    lost = np.isnan(after.subject_box).any(axis=1), np.isnan(after.object_box).any(axis=1)
    assert not (lost[0] & lost[1]).any()
    assert ((after.reasons & bit("subject_missing") > 0) == lost[0]).all()
    assert ((after.reasons & bit("object_missing") > 0) == lost[1]).all()


@given(SEEDS)
def test_no_noise_changes_nothing(seed: int) -> None:
    assert_same(disturb(scene(seed), BoxNoise(), seed), scene(seed))


@given(SEEDS, st.floats(0, 1))
def test_swapped_twice_is_not_swapped(seed: int, share: float) -> None:
    noise = BoxNoise(swapped=share)
    assert_same(disturb(disturb(scene(seed), noise, seed), noise, seed), scene(seed))


@given(NOISES, SEEDS)
def test_the_order_of_rows_and_what_else_there_is_change_nothing(
    noise: BoxNoise, seed: int
) -> None:
    rows = np.random.default_rng(seed).permutation(40)[:17]

    def pick(grounding: Grounding) -> Grounding:
        return Grounding(*(getattr(grounding, field.name)[rows] for field in fields(Grounding)))

    assert_same(disturb(pick(scene(3)), noise, seed), pick(disturb(scene(3), noise, seed)))


def test_shares_and_steps_are_as_asked() -> None:
    before = scene(0, rows=20_000)
    lost = disturb(before, BoxNoise(missing=0.18), 1)
    subject, other = np.isnan(lost.subject_box[:, 0]), np.isnan(lost.object_box[:, 0])
    assert (subject | other).mean() == pytest.approx(0.18, abs=0.01)
    assert subject.mean() == pytest.approx(other.mean(), abs=0.01)
    swapped = disturb(before, BoxNoise(swapped=0.1), 1)
    assert (swapped.subject_box == before.object_box).all(axis=1).mean() == pytest.approx(
        0.1, abs=0.01
    )
    free = replace(before, image_size=np.full_like(before.image_size, np.nan))
    for varied, spread in ((False, 0.1), (True, 0.1 / 3**0.5)):
        moved = disturb(free, BoxNoise(jitter=0.1, varied=varied), 1).subject_box
        extent = before.subject_box[:, 2:] - before.subject_box[:, :2]
        for edge in range(4):
            step = (moved - before.subject_box)[:, edge] / extent[:, edge % 2]
            assert step.std() == pytest.approx(spread, rel=0.05)
            assert step.mean() == pytest.approx(0, abs=0.005)


def test_claims_about_one_object_see_one_disturbed_box() -> None:
    one = scene(0, rows=1)
    both = Grounding.from_boxes(
        np.concatenate([one.subject_box, one.object_box]),
        np.concatenate([one.object_box, one.subject_box]),
        np.tile(one.image_size, (2, 1)),
    )
    after = disturb(both, BoxNoise(jitter=0.2, varied=True), 5)
    np.testing.assert_array_equal(after.subject_box[0], after.object_box[1])
    assert (after.subject_box[0] != one.subject_box[0]).all()


def test_another_seed_draws_anew() -> None:
    first, second = (disturb(scene(0), BoxNoise(jitter=0.1), seed) for seed in (1, 2))
    assert (first.subject_box != second.subject_box).any(axis=1).mean() > 0.9


def test_a_box_keeps_a_part_of_its_extent() -> None:
    before = scene(0, rows=5000)
    after = disturb(before, BoxNoise(jitter=1.0), 1).subject_box
    extent = before.subject_box[:, 2:] - before.subject_box[:, :2]
    assert ((after[:, 2:] - after[:, :2]) >= 0.99 * LEAST_EXTENT * extent).all()


def test_boxes_that_are_none_stay_as_they_are() -> None:
    nan = np.nan
    odd = [[nan, nan, nan, nan], [30, 30, 20, 40], [5, 5, 5, 9], [200, 10, 300, 20]]
    odd.append([10, 10, np.inf, 20])
    good = [[10, 10, 20, 20]] * 5
    before = Grounding.from_boxes(odd, good, np.full((5, 2), 100))
    after = disturb(before, BoxNoise(jitter=0.1, loose=1.2), 1)
    np.testing.assert_array_equal(after.subject_box, before.subject_box)
    # One that is missing already loses no other.
    after = disturb(before, BoxNoise(missing=1.0), 1)
    assert np.isfinite(after.object_box[0]).all()


def test_what_belongs_to_a_box_goes_with_it() -> None:
    before = replace(
        scene(0, rows=2),
        subject_score=np.float32([0.9, 0.8]),
        object_score=np.float32([0.3, 0.2]),
        subject_count=np.float32([1, 2]),
        object_count=np.float32([3, 4]),
        reasons=np.array([bit("ambiguous_object"), 0], dtype=np.uint32),
    )
    after = disturb(before, BoxNoise(swapped=1.0), 1)
    np.testing.assert_array_equal(after.subject_score, before.object_score)
    np.testing.assert_array_equal(after.object_count, before.subject_count)
    assert after.reasons.tolist() == [bit("ambiguous_subject"), 0]
    lost = disturb(before, BoxNoise(missing=1.0), 1)
    subject = np.isnan(lost.subject_box[:, 0])
    np.testing.assert_array_equal(np.isnan(lost.subject_score), subject)
    np.testing.assert_array_equal(lost.subject_count == 0, subject)


@pytest.mark.parametrize(
    "wrong", [{"jitter": -0.1}, {"loose": 0.9}, {"missing": 1.5}, {"swapped": float("nan")}]
)
def test_a_value_out_of_range_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        BoxNoise(**wrong)  # type: ignore[arg-type]
