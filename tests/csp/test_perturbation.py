"""Perturbation: exact in space, closed form in level, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from spatialtrust.csp.perturbation import KINDS, LADDER, perturb, perturb_batch
from spatialtrust.csp.regions import covered
from spatialtrust.errors import InputError
from spatialtrust.questions.views import signal_kept

SIZE = (60, 80)


def picture(value: int | None = None, seed: int = 0) -> np.ndarray:
    if value is not None:
        return np.full((*SIZE, 3), value, dtype=np.uint8)
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


MASK = np.zeros(SIZE, dtype=bool)
MASK[5:9, 60:70] = True
REGIONS = {
    "box": [[10, 12, 30, 40]],
    "polygon": [[[10, 10], [50, 12], [30, 50]]],
    "mask": [MASK],
    "run-length": [{"size": list(SIZE), "counts": [61, 4, 60 * 80 - 65]}],
    "two that overlap": [[10, 12, 30, 40], [20, 20, 50, 50]],
    "partly outside": [[-20, -5, 12, 15]],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", REGIONS)
def test_no_pixel_outside_changes(kind, name):
    before = picture()
    inside = np.logical_or.reduce([covered(SIZE, region) for region in REGIONS[name]])
    for level in LADDER:
        after = perturb(before, REGIONS[name], level, kind=kind)
        assert (after[~inside] == before[~inside]).all()
    assert (after[inside] != before[inside]).any()


@pytest.mark.parametrize("kind", KINDS)
def test_level_0_changes_nothing_and_gives_a_copy(kind):
    before = picture()
    after = perturb(before, REGIONS["box"], 0, kind=kind)
    assert (after == before).all()
    assert after is not before


def test_the_schedule_has_its_closed_form():
    # abar_t of the linear schedule, as a product, at t = round(1000 level / 100)
    for level in LADDER[1:]:
        kept = 1.0
        for step in range(round(10 * level)):
            kept *= 1 - (1e-4 + (0.02 - 1e-4) * step / 999)
        assert signal_kept(level) == pytest.approx(kept, rel=1e-9)


@pytest.mark.parametrize("level", [10, 20, 30])
def test_noise_has_the_mean_and_spread_of_the_schedule(level):
    grey = np.full((400, 400, 3), 140, dtype=np.uint8)
    noised = perturb(grey, [[0, 0, 400, 400]], level).astype(float) / 127.5 - 1
    clean = 140 / 127.5 - 1
    kept = signal_kept(level)
    # Values are cut off at -1 and 1; at these levels that moves little.
    spread = np.sqrt(1 - kept)
    raw = np.sqrt(kept) * clean + spread * np.random.default_rng(1).standard_normal(500_000)
    raw = np.clip(raw, -1, 1)
    assert noised.mean() == pytest.approx(raw.mean(), abs=0.01)
    assert noised.std() == pytest.approx(raw.std(), abs=0.01)


def test_noise_follows_from_picture_object_level_and_seed_alone():
    first, second = [10, 12, 30, 40], [50, 5, 70, 30]
    one = perturb(picture(), [first], 60)
    both = perturb(picture(), [second, first], 60)
    inside = covered(SIZE, first)
    assert (one[inside] == both[inside]).all()
    assert (perturb(picture(), [first], 60) == one).all()
    for other in (
        perturb(picture(), [first], 50),
        perturb(picture(), [first], 60, seed=1),
        perturb(picture(seed=1), [first], 60),
    ):
        assert (other[inside] != one[inside]).any()


def test_occlusion_hides_a_share_of_the_rows():
    before = picture(200)
    before[covered(SIZE, [10, 10, 30, 50])] = 0
    after = perturb(before, [[10, 10, 30, 50]], 50, kind="occlusion")
    assert (after[30:50, 10:30] == 200).all()
    assert (after[10:30, 10:30] == 0).all()


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ([90, 90, 99, 99], "lies outside the picture"),
        ([-9, -9, -1, -1], "lies outside the picture"),
        ([10, 10, 10, 20], "has no area"),
        ([20, 10, 10, 30], "has no area"),
        ([1, 2, 3], "neither a box"),
        ([[1, 2], [3, 4]], "neither a box"),
        ([1, 2, float("nan"), 4], "no finite number"),
        (["a", "b", "c", "d"], "no finite number"),
        ([[1, 2], [3]], "neither a box|no finite number"),
        ([], "neither a box"),
        ([[500, 500], [600, 500], [600, 600]], "lies outside the picture"),
        (np.zeros(SIZE, dtype=bool), "is empty"),
        (np.ones((5, 5), dtype=bool), "mask of the picture's size"),
        ({"size": [60, 80], "counts": "abc"}, "run-length"),
        ({"size": [60, 80], "counts": [5]}, "run-length"),
        ({"size": [6, 8], "counts": [48]}, "does not fit"),
        ({"size": [60, 80], "counts": [60 * 80]}, "is empty"),
        ({}, "run-length"),
        (None, "no finite number|neither a box"),
    ],
)
def test_a_region_that_is_none_is_refused_in_words(region, said):
    with pytest.raises(InputError, match=said):
        perturb(picture(), [region], 50)


def test_what_is_not_valid_is_refused():
    with pytest.raises(InputError, match="no region"):
        perturb(picture(), [], 50)
    with pytest.raises(InputError, match='did you mean "noise"'):
        perturb(picture(), [[1, 1, 5, 5]], 50, kind="nois")
    for level in (-1, 101, float("nan")):
        with pytest.raises(InputError, match="noise level"):
            perturb(picture(), [[1, 1, 5, 5]], level)


def test_one_bad_row_does_not_stop_a_batch():
    made, status = perturb_batch(
        [picture()] * 3, [REGIONS["box"], [[900, 900, 999, 999]], REGIONS["mask"]], [50, 50, 50]
    )
    assert [one is None for one in made] == [False, True, False]
    assert status[0] == status[2] == "ok"
    assert "outside" in status[1]


def test_a_polygon_is_cut_off_at_the_picture_and_may_cross_itself():
    band = covered((40, 40), [[-1e9, 10], [1e9, 10], [1e9, 20], [-1e9, 20]])
    assert band[10:21].all()
    assert band.sum() == 11 * 40
    bow = covered((40, 40), [[0, 0], [30, 30], [30, 0], [0, 30]])
    assert bow[15, 2]
    assert bow[15, 28]
    assert not bow[2, 15]
    with pytest.raises(InputError, match="is empty"):
        covered((40, 40), [[0, 0], [30, 30], [10, 10]])
