"""Views of an image: what they change and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialtrust.errors import InputError
from spatialtrust.questions.views import (
    NOISE_LEVELS,
    add_noise,
    box_mask,
    crop,
    make_view,
    mirror,
    needs_boxes,
    parse_view,
    signal_kept,
)

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
BOXES = np.array([[2, 3, 8, 9], [15, 4, 22, 12]], dtype=np.float32)


def test_mirroring_twice_changes_nothing():
    assert not np.array_equal(mirror(IMAGE), IMAGE)
    np.testing.assert_array_equal(mirror(mirror(IMAGE)), IMAGE)


def test_noise_stays_inside_the_regions():
    noised = make_view(IMAGE, "noise-60", BOXES)
    inside = box_mask(20, 30, BOXES)
    np.testing.assert_array_equal(noised[~inside], IMAGE[~inside])
    assert (noised[inside] != IMAGE[inside]).mean() > 0.9


def test_no_noise_changes_nothing_and_full_noise_forgets_the_pixels():
    whole = np.ones((20, 30), dtype=bool)
    np.testing.assert_array_equal(add_noise(IMAGE, whole, 0), IMAGE)
    dark, bright = np.zeros_like(IMAGE), np.full_like(IMAGE, 255)
    difference = add_noise(bright, whole, 100).astype(int) - add_noise(dark, whole, 100)
    assert np.abs(difference).max() <= 3


def test_the_same_seed_gives_the_same_noise_and_another_does_not():
    first, same, other = (make_view(IMAGE, "noise-40", BOXES, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


@given(st.floats(0, 99), st.floats(0.2, 1))
def test_more_noise_keeps_less(level, more):
    assert 0 <= signal_kept(min(100, level + more)) <= signal_kept(level) <= 1


def test_the_variance_kept_is_that_of_the_schedule():
    betas = np.linspace(1e-4, 0.02, 1000)
    for level in NOISE_LEVELS:
        wanted = np.exp(np.log1p(-betas[: level * 10]).sum())
        assert signal_kept(level) == pytest.approx(wanted)


def test_a_crop_holds_both_boxes_and_some_more():
    part = crop(IMAGE, BOXES, margin=0.0)
    np.testing.assert_array_equal(part, IMAGE[3:12, 2:22])
    assert crop(IMAGE, BOXES).size > part.size


@given(st.lists(st.tuples(*[st.floats(-20, 50)] * 4), min_size=1, max_size=3))
def test_any_finite_boxes_leave_a_picture_to_look_at(corners):
    boxes = np.array(corners, dtype=np.float32)
    for view in ("crop", "noise-20"):
        made = make_view(IMAGE, view, boxes)
        assert made.dtype == np.uint8
        assert made.shape[2] == 3
        assert min(made.shape) > 0


def test_view_names_are_read_or_refused():
    assert parse_view("noise-7") == ("noise", 7.0)
    assert [needs_boxes(v) for v in ("plain", "mirror", "crop", "noise-1")] == [0, 0, 1, 1]
    for wrong in ("noise", "noise-101", "noise--1", "noise-x", "zoom", "plain-1"):
        with pytest.raises(InputError, match="valid: plain, mirror, crop, noise-N"):
            parse_view(wrong)
    with pytest.raises(InputError, match="0 to 100"):
        signal_kept(101)
