"""What must hold of boxes whatever the numbers: swap, mirror, shift, scale, units, NaN."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spatialtrust import geometry as g
from spatialtrust.evidence.columns import CLAIMED, FULL, POSED, Features
from spatialtrust.evidence.from_boxes import Things, measure
from spatialtrust.evidence.gathering import Inputs
from spatialtrust.evidence.poses import READINGS, pose
from spatialtrust.evidence.priors import attributes
from spatialtrust.fusion.model import TrustModel
from spatialtrust.relations import NAMES, RELATIONS
from spatialtrust.tables import Grounding

Pair = tuple[np.ndarray, np.ndarray]
Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]

ANTISYMMETRIC: dict[str, Kernel] = {
    "offset x": lambda s, o: g.offset(s, o, "x"),
    "offset y": lambda s, o: g.offset(s, o, "y"),
    "left": lambda s, o: g.edge_offset(s, o, "x", "low"),
    "bottom": lambda s, o: g.edge_offset(s, o, "y", "high"),
    "size": g.log_size_ratio,
}
SYMMETRIC: dict[str, Kernel] = {
    "iou": g.iou,
    "separation": g.separation,
    "distance": g.distance,
    "gap x": lambda s, o: g.gap(s, o, "x"),
    "gap y": lambda s, o: g.gap(s, o, "y"),
    "stability": lambda s, o: g.stability(s, o, "x"),
}
DIRECTED: dict[str, Kernel] = {
    "containment": g.containment,
    "inset": g.inset,
    "eccentricity": g.eccentricity,
    "angle": g.angle,
}
KERNELS = {**ANTISYMMETRIC, **SYMMETRIC, **DIRECTED}


@st.composite
def boxes(draw: st.DrawFn, rows: int = 4) -> np.ndarray:
    """Boxes inside the unit image with sides of at least 0.05, on a grid that float32 holds."""
    grid = st.integers(0, 1024)
    corners = draw(hnp.arrays(np.int64, (rows, 2), elements=grid))
    extents = draw(hnp.arrays(np.int64, (rows, 2), elements=st.integers(52, 1024)))
    low = np.minimum(corners, 1024 - np.minimum(extents, 1024))
    high = np.minimum(low + extents, 1024)
    return (np.concatenate([low, high], axis=1) / 1024).astype(np.float32)


pairs = st.tuples(boxes(), boxes())
relations = hnp.arrays(np.int16, 4, elements=st.integers(0, len(NAMES) - 1))


def mirrored(given: np.ndarray) -> np.ndarray:
    return np.stack([1 - given[:, 2], given[:, 1], 1 - given[:, 0], given[:, 3]], axis=1)


def close(a: np.ndarray, b: np.ndarray, tolerance: float = 2e-4) -> None:
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ANTISYMMETRIC)
@given(pair=pairs)
def test_swapping_the_boxes_turns_the_sign(name: str, pair: Pair) -> None:
    kernel = ANTISYMMETRIC[name]
    close(kernel(*pair), -kernel(*pair[::-1]))


@pytest.mark.parametrize("name", SYMMETRIC)
@given(pair=pairs)
def test_swapping_the_boxes_changes_nothing(name: str, pair: Pair) -> None:
    kernel = SYMMETRIC[name]
    close(kernel(*pair), kernel(*pair[::-1]))


@pytest.mark.parametrize("name", KERNELS)
@given(
    pair=pairs,
    shift=st.tuples(st.integers(-512, 512), st.integers(-512, 512)),
    scale=st.tuples(st.sampled_from([0.25, 1.0, 640.0]), st.sampled_from([0.5, 1.0, 480.0])),
)
def test_shift_and_scale_of_an_axis_change_nothing(
    name: str, pair: Pair, shift: tuple[int, int], scale: tuple[float, float]
) -> None:
    factor, moved = np.array([*scale, *scale]), np.array([*shift, *shift]) / 1024
    before = KERNELS[name](*pair)
    after = KERNELS[name](*((box + moved) * factor for box in pair))
    close(before, after, 2e-3)


@given(pair=pairs)
def test_a_mirror_turns_x_and_leaves_y(pair: Pair) -> None:
    turned = [mirrored(box) for box in pair]
    close(g.offset(*turned, "x"), -g.offset(*pair, "x"))
    close(g.offset(*turned, "y"), g.offset(*pair, "y"))
    close(g.edge_offset(*turned, "x", "low"), -g.edge_offset(*pair, "x", "high"))
    close(g.iou(*turned), g.iou(*pair))


@given(pair=pairs)
def test_shares_are_shares_and_agree(pair: Pair) -> None:
    for share in (g.iou(*pair), g.containment(*pair), g.separation(*pair)):
        assert ((share >= -1e-6) & (share <= 1 + 1e-6)).all()
    inside = g.containment(*pair) >= 1 - 1e-6
    assert (g.inset(*pair)[inside] >= -1e-6).all()
    apart = np.maximum(g.gap(*pair, "x"), g.gap(*pair, "y")) > 0
    assert (g.iou(*pair)[apart] == 0).all()
    assert (g.stability(*pair, "y") >= 0.5).all()


@pytest.mark.parametrize(
    "broken",
    [
        [np.nan, 0, 1, 1],
        [0, 0, np.inf, 1],
        [-np.inf, 0, 1, 1],
        [0.5, 0, 0.5, 1],
        [0, 0.5, 1, 0.4],
        [np.nan] * 4,
    ],
)
@pytest.mark.parametrize("name", KERNELS)
def test_a_box_that_is_none_makes_nan_and_touches_no_other_row(
    name: str, broken: list[float]
) -> None:
    good = np.array([[0, 0, 0.5, 0.5], [0.1, 0.2, 0.5, 0.75]], dtype=np.float32)
    bad = good.copy()
    bad[0] = broken
    for pair in ((bad, good), (good, bad)):
        found = KERNELS[name](*pair)
        assert np.isnan(found[0])
        assert found[1] == KERNELS[name](good, good)[1]


THINGS = attributes(["mug", "table", "dog", "gizmo"]).T


def evidence(pair: Pair, relation: np.ndarray, things: np.ndarray = THINGS) -> Features:
    grounding = Grounding.from_boxes(*pair, np.ones((len(relation), 2), dtype=np.float32))
    return measure(grounding, relation, facing(things))


def facing(things: np.ndarray) -> Things:
    """The first with the last, the second with the last but one, and so on."""
    places = np.arange(things.shape[1])
    return Things(things, places, places[::-1])


@given(pair=pairs, relation=relations, size=st.sampled_from([(640, 480), (1000, 333)]))
def test_pixels_equal_fractions(pair: Pair, relation: np.ndarray, size: tuple[int, int]) -> None:
    fractions = evidence(pair, relation)
    scale = np.array([*size, *size], dtype=np.float32)
    sizes = np.tile(np.array(size, dtype=np.float32), (len(relation), 1))
    grounding = Grounding.from_boxes(*(box * scale for box in pair), sizes)
    pixels = measure(grounding, relation, facing(THINGS))
    close(pixels.values, fractions.values, 1e-3)


@given(pair=pairs, relation=relations)
def test_without_the_size_only_columns_of_the_image_are_unknown(
    pair: Pair, relation: np.ndarray
) -> None:
    whole = evidence(pair, relation)
    scale = np.array([640, 480, 640, 480], dtype=np.float32)
    grounding = Grounding.from_boxes(*(box * scale for box in pair))
    part = measure(grounding, relation, facing(THINGS))
    known = np.isfinite(part.values)
    close(part.values[known], whole.values[known], 1e-3)
    unknown = np.isfinite(whole.values) & ~known
    assert {FULL[row] for row in np.flatnonzero(unknown.any(axis=1))} == {
        "first_log_area", "second_log_area", "first_top", "first_bottom", "second_top",
        "second_bottom", "first_border", "second_border", "log_metres_apart",
    }  # fmt: skip


@given(pair=pairs, relation=relations)
def test_a_mirrored_image_with_mirrored_words_is_the_same_evidence(
    pair: Pair, relation: np.ndarray
) -> None:
    turned = np.array(
        [NAMES.index(_mirror_word(NAMES[place])) for place in relation], dtype=np.int16
    )
    # Where centres coincide there is no right and left to mirror by.
    apart = np.abs(g.offset(*pair, "x")) > 1e-3
    before = evidence(pair, relation).select(apart)
    after = evidence((mirrored(pair[0]), mirrored(pair[1])), turned).select(apart)
    close(before.block(POSED), after.block(POSED), 1e-3)
    close(before.block(CLAIMED), after.block(CLAIMED), 1e-3)


def _mirror_word(name: str) -> str:
    relation = RELATIONS[name]
    return str(relation.converse) if relation.axis == "x" else name


def test_converses_that_the_pose_knows_are_one_claim() -> None:
    """A contains B: B is inside A; their pose and so their geometry are the same."""
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 0.5, (50, 2))
    first, second = (
        np.concatenate([low, low + rng.uniform(0.1, 0.5, (50, 2))], axis=1).astype(np.float32)
        for _ in range(2)
    )
    for name, relation in RELATIONS.items():
        reading = READINGS[NAMES.index(name)]
        if relation.converse is None or relation.converse == name or relation.axis == "x":
            continue
        converse = READINGS[NAMES.index(relation.converse)]
        if converse.kind != reading.kind or converse.swap == reading.swap:
            continue
        here = np.full(50, NAMES.index(name), dtype=np.int16)
        there = np.full(50, NAMES.index(relation.converse), dtype=np.int16)
        one = pose(g.Boxes.of(first), g.Boxes.of(second), here)
        other = pose(g.Boxes.of(second), g.Boxes.of(first), there)
        close(one.first.columns, other.first.columns)
        close(one.second.columns, other.second.columns)


@given(pair=pairs, relation=relations)
def test_symmetric_relations_do_not_care_who_comes_first(pair: Pair, relation: np.ndarray) -> None:
    symmetric = np.array([RELATIONS[NAMES[place]].symmetric for place in relation])
    plain = np.zeros_like(THINGS)
    # Boxes of one size have no smaller one.
    areas = [(box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]) for box in pair]
    rows = symmetric & (areas[0] != areas[1]) & (np.abs(g.offset(*pair, "x")) > 1e-3)
    before = evidence(pair, relation, plain).select(rows)
    after = evidence(pair[::-1], relation, plain).select(rows)
    close(before.block(POSED), after.block(POSED), 1e-3)


@given(pair=pairs, relation=relations)
def test_every_claim_with_boxes_gets_a_probability_and_no_other(
    pair: Pair, relation: np.ndarray
) -> None:
    subject = pair[0].copy()
    subject[0] = np.nan
    places = np.zeros(4, dtype=np.int32)
    inputs = Inputs(
        Grounding.from_boxes(subject, pair[1], np.ones((4, 2), dtype=np.float32)),
        np.append(relation[:3], np.int16(-1)).astype(np.int16),
        attributes(["mug"]).T,
        places,
        places,
    )
    found = MODEL.score(inputs)
    assert np.isnan(found.p_true[[0, 3]]).all()
    assert ((found.p_true[1:3] > 0) & (found.p_true[1:3] < 1)).all()


MODEL = TrustModel.load("vsr-boxes")
