"""Kernels on boxes by hand-worked cases and against shapely; wrong input is named."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from spatialtrust import geometry as g
from spatialtrust.errors import InputError

LEFT, RIGHT = [[0, 0, 2, 2]], [[4, 1, 6, 5]]


def test_offsets_are_in_mean_extents() -> None:
    assert g.offset(LEFT, RIGHT, "x") == pytest.approx(-4 / 2)
    assert g.offset(LEFT, RIGHT, "y") == pytest.approx(-2 / 3)
    assert g.edge_offset(LEFT, RIGHT, "y", "low") == pytest.approx(-1 / 3)
    assert g.edge_offset(LEFT, RIGHT, "y", "high") == pytest.approx(-1)
    assert g.gap(LEFT, RIGHT, "x") == pytest.approx(1)
    assert g.gap(LEFT, RIGHT, "y") == pytest.approx(-1 / 3)


def test_alignment_has_the_sign_of_the_claim() -> None:
    signs = np.array([-1, 1])
    found = g.alignment(LEFT * 2, RIGHT * 2, "x", signs)
    assert found.tolist() == [2, -2]


def test_overlaps_agree_with_shapely() -> None:
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 1, (2, 300, 2))
    pair = np.concatenate([low, low + rng.uniform(0.05, 0.8, (2, 300, 2))], axis=2)
    inner, outer = (shapely.box(*box.T) for box in pair.astype(np.float32))
    shared = shapely.area(shapely.intersection(inner, outer))
    union = shapely.area(shapely.union(inner, outer))
    np.testing.assert_allclose(g.iou(*pair), shared / union, atol=2e-6)
    np.testing.assert_allclose(g.containment(*pair), shared / shapely.area(inner), atol=2e-6)


def test_kernels_give_float32_whatever_they_are_given() -> None:
    for given in (LEFT, np.array(LEFT), np.array(LEFT, dtype=np.float32), g.Boxes.of(LEFT)):
        assert g.iou(given, RIGHT).dtype == np.float32
        assert g.stability(given, RIGHT, "x").dtype == np.float32


def test_stability_is_the_share_of_noisy_boxes_that_keep_the_order() -> None:
    subject, other = np.array([[0.2, 0, 0.4, 1]]), np.array([[0.24, 0, 0.48, 1]])
    rng = np.random.default_rng(0)
    moved = [
        (box[0, 0] + box[0, 2]) / 2 + 0.1 * (box[0, 2] - box[0, 0]) * rng.normal(size=200_000)
        for box in (subject, other)
    ]
    sampled = (moved[0] < moved[1]).mean()
    assert g.stability(subject, other, "x")[0] == pytest.approx(sampled, abs=0.005)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: g.iou([[0, 0, 1]], RIGHT), r"\(1, 3\).*\(N, 4\)"),
        (lambda: g.iou([0, 0, 1, 1], RIGHT), r"\(4,\)"),
        (lambda: g.iou(LEFT * 2, RIGHT), "2 boxes and 1"),
        (lambda: g.offset(LEFT, RIGHT, "z"), 'axis is "z"'),
        (lambda: g.edge_offset(LEFT, RIGHT, "x", "top"), 'edge is "top"'),
    ],
)
def test_what_was_given_wrongly_is_said(call, says: str) -> None:
    with pytest.raises(InputError, match=says):
        call()


def test_no_boxes_are_fine() -> None:
    none = np.zeros((0, 4))
    assert g.iou(none, none).shape == (0,)
