"""Kernels on boxes and shapes by hand-worked cases; what is given wrongly is said."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from spatialtrust import geometry as g
from spatialtrust import shapes
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
    outlines = [shapely.box(*box.T) for box in pair.astype(np.float32)]
    np.testing.assert_allclose(g.iou(*pair), shapes.shape_iou(*outlines), atol=2e-6)
    np.testing.assert_allclose(g.containment(*pair), shapes.shape_containment(*outlines), atol=2e-6)
    np.testing.assert_array_equal(shapes.to_boxes(outlines[0]), pair[0].astype(np.float32))


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
        (lambda: shapes.from_masks([np.zeros(3)]), r"\(3,\)"),
        (lambda: shapes.shape_iou([1], [shapely.box(0, 0, 1, 1)]), "geometries"),
        (lambda: shapes.shape_iou([None], [None, None]), "1 shapes and 2"),
    ],
)
def test_what_was_given_wrongly_is_said(call, says: str) -> None:
    with pytest.raises(InputError, match=says):
        call()


def test_no_boxes_are_fine() -> None:
    none = np.zeros((0, 4))
    assert g.iou(none, none).shape == (0,)
    assert shapes.shape_iou([], []).shape == (0,)


def test_masks_become_shapes_of_the_same_area() -> None:
    rng = np.random.default_rng(0)
    masks = [rng.random((12, 9)) < share for share in (0.2, 0.6, 1.1)]
    found = shapes.from_masks([*masks, np.zeros((3, 3))])
    assert [shape.area for shape in found[:3]] == [mask.sum() for mask in masks]
    assert found[3] is None
    overlap = shapes.shape_iou(found[:2], found[1:3])
    assert overlap[0] == pytest.approx((masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum())


def test_outlines_tell_what_boxes_cannot() -> None:
    """Two triangles of one bounding box that do not overlap."""
    lower = shapely.Polygon([(0, 0), (4, 4), (0, 4)])
    upper = shapely.Polygon([(1, 0), (4, 0), (4, 3)])
    assert g.iou(shapes.to_boxes([lower]), shapes.to_boxes([upper]))[0] > 0.5
    assert shapes.shape_iou([lower], [upper])[0] == 0
    assert shapes.shape_gap([lower], [upper])[0] > 0
    assert np.isnan(shapes.shape_gap([lower, None], [shapely.Point(0, 0), upper])).all()
