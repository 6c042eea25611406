"""Certification by hand-worked sequences, guarantees in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from benchmarks.guarantees import Setting, World, simulate
from spatialtrust.decision.certification import Grid, certify, certify_verdicts
from spatialtrust.decision.rule import decide
from spatialtrust.errors import GuaranteeError, InputError

NAN = np.nan


def certified(confidence, right, grid, **options):
    options = {"alpha": 0.1, "delta": 0.1, "calibrated_on": "test"} | options
    return certify(confidence, right, grid=Grid(grid), **options)


def test_the_walk_starts_where_a_test_can_pass_and_stops_at_the_first_failure() -> None:
    # 10 rows at 0.9, too few to test; 30 at 0.8 without error; 40 at 0.6, half wrong; a clean
    # thousand at 0.5 would bring the risk down again, but the walk has stopped.
    confidence = np.repeat([0.9, 0.8, 0.6, 0.5], [10, 30, 40, 1000])
    right = np.ones(1080, dtype=bool)
    right[40:60] = False
    rule = certified(confidence, right, (0.9, 0.8, 0.6, 0.5))
    assert (rule.threshold, rule.started_at, rule.n, rule.errors) == (0.8, 0.8, 40, 0)
    assert rule.bound == pytest.approx(beta.ppf(0.9, 1, 40))
    assert rule.coverage == pytest.approx(40 / 1080)
    assert certified(confidence, right, (0.5,)).threshold == 0.5


def test_twenty_two_clean_rows_pass_at_ten_and_ten_and_twenty_one_do_not() -> None:
    assert certified([0.9] * 22, [True] * 22, (0.5,)).threshold == 0.5
    few = certified([0.9] * 21, [True] * 21, (0.5,))
    assert (few.threshold, few.started_at, few.coverage, few.n) == (None, None, 0.0, 21)


def test_no_threshold_reports_the_first_that_was_tested() -> None:
    rule = certified([0.9] * 30 + [0.5] * 10, [False] * 40, (0.8, 0.4))
    assert (rule.threshold, rule.n, rule.errors, rule.bound) == (None, 30, 30, 1.0)


def test_unknown_confidences_are_never_accepted_but_count_as_not_covered() -> None:
    rule = certified([0.9] * 30 + [NAN] * 30, [True] * 60, (0.5,))
    assert (rule.n, rule.coverage) == (30, 0.5)


def test_raw_scores_of_a_classifier_can_be_certified() -> None:
    rule = certified(np.linspace(-5, 40, 200), [False] * 20 + [True] * 180, (30.0, 10.0, -1.0))
    assert rule.threshold == -1.0
    assert rule.accepts([-2.0, -1.0, NAN]).tolist() == [False, True, False]


def test_predictions_move_the_start_but_not_the_test() -> None:
    confidence = np.repeat([0.9, 0.8, 0.7], 100)
    right = np.ones(300, dtype=bool)
    right[:20] = False  # the strictest threshold fails, which earlier rows foretold
    grid = Grid((0.9, 0.8, 0.7), share=(1 / 3, 2 / 3, 1), risk=(0.3, 0.1, 0.05))
    options = {"alpha": 0.1, "delta": 0.1, "calibrated_on": "test"}
    assert certify(confidence, right, grid=Grid(grid.thresholds), **options).threshold is None
    rule = certify(confidence, right, grid=grid, **options)
    assert (rule.started_at, rule.threshold) == (pytest.approx(0.7), 0.7)
    assert rule.bound == pytest.approx(beta.ppf(0.9, 21, 280))


def test_an_image_counts_once_whatever_its_number_of_claims() -> None:
    image = np.repeat(np.arange(30), 50)
    rule = certified(np.full(1500, 0.9), np.ones(1500, bool), (0.5,), unit="image", groups=image)
    assert (rule.n, rule.unit) == (30, "image")


def test_images_without_an_accepted_claim_do_not_count() -> None:
    image = np.arange(200)
    confidence = np.where(image < 30, 0.9, 0.1)
    rule = certified(confidence, image < 15, (0.5,), unit="image", groups=image)
    assert (rule.n, rule.errors, rule.threshold) == (30, 15, None)


def test_the_draw_of_an_image_is_uniform_over_its_accepted_claims() -> None:
    image = np.repeat(np.arange(4000), 4)
    confidence = np.tile([0.9, 0.8, 0.7, 0.1], 4000)
    right = np.tile([True, False, True, False], 4000)
    options = {"unit": "image", "groups": image, "alpha": 0.5}
    at = {t: certified(confidence, right, (t,), **options) for t in (0.9, 0.75, 0.5)}
    assert at[0.9].errors == 0
    assert at[0.75].errors == pytest.approx(2000, abs=150)
    assert at[0.5].errors == pytest.approx(4000 / 3, abs=150)
    assert {rule.n for rule in at.values()} == {4000}


def test_bad_certifications_are_refused() -> None:
    with pytest.raises(GuaranteeError, match="no labelled rows"):
        certified([], [], (0.5,))
    with pytest.raises(GuaranteeError, match="needs the image of each row"):
        certified([0.5], [True], (0.5,), unit="image")
    with pytest.raises(InputError, match="alpha is 0"):
        certified([0.5], [True], (0.5,), alpha=0)
    with pytest.raises(InputError, match="delta is 1"):
        certified([0.5], [True], (0.5,), delta=1)
    with pytest.raises(InputError, match='unit is "pixel"'):
        certified([0.5], [True], (0.5,), unit="pixel")
    with pytest.raises(InputError, match="one per row"):
        certified([0.5], [True, False], (0.5,))
    with pytest.raises(InputError, match="one per row"):
        certified([0.5], [True], (0.5,), unit="image", groups=[1, 2])
    with pytest.raises(InputError, match="only the rows with a label"):
        certified([0.5], [NAN], (0.5,))


@pytest.mark.parametrize("thresholds", [(), (0.5, 0.8), (0.5, 0.5), (NAN,)])
def test_grids_go_from_strict_to_loose(thresholds) -> None:
    with pytest.raises(InputError, match="from strict to loose"):
        Grid(thresholds)


def test_grids_predict_everywhere_or_nowhere() -> None:
    with pytest.raises(InputError, match="one entry per threshold"):
        Grid((0.9, 0.8), share=(0.5,), risk=(0.1,))
    with pytest.raises(GuaranteeError, match="to fix a grid on"):
        Grid.fit([NAN], [True])


# Verdicts


def fixture(rows: int = 600):
    generator = np.random.default_rng(4)
    label = generator.random(rows) < 0.5
    p_true = np.where(label, 1, 0) * 0.8 + 0.2 * generator.random(
        rows
    )  # the verifier is never wrong
    asserted = np.where(generator.random(rows) < 0.54, label, ~label).astype(np.int8)
    return p_true, asserted, label


def test_correcting_passes_the_ceiling_of_accepting() -> None:
    p_true, asserted, label = fixture()
    grids = {"accept": Grid((0.75, 0.5)), "accept+correct": Grid((0.75, 0.5))}
    rule = certify_verdicts(
        p_true, asserted, label, alpha=0.1, delta=0.1, grids=grids, calibrated_on="test"
    )
    assert (rule.rule, rule.coverage, rule.sequences, rule.delta) == ("accept+correct", 1.0, 2, 0.1)
    assert rule.bound == pytest.approx(beta.ppf(0.95, 1, 600))
    assert rule.ceiling == pytest.approx((asserted == label).mean() / 0.9)
    decided = decide(p_true, asserted, rule)
    np.testing.assert_array_equal(decided.emitted == 1, label)


def test_a_weak_verifier_does_not_spoil_plain_acceptance() -> None:
    _, _, label = fixture()
    asserted = label.astype(np.int8)  # the answerer is always right, the verifier ranks nothing
    p_true = np.where(np.arange(600) % 2, 0.45, 0.55)
    grids = {"accept": Grid((0.9, 0.4)), "accept+correct": Grid((0.9, 0.5))}
    rule = certify_verdicts(
        p_true, asserted, label, alpha=0.1, delta=0.1, grids=grids, calibrated_on="test"
    )
    assert (rule.rule, rule.coverage, rule.ceiling) == ("accept", 1.0, 1.0)


def test_unparsed_answers_are_neither_right_nor_covered() -> None:
    p_true, asserted, label = fixture()
    asserted[:300] = -1
    rule = certify_verdicts(
        p_true,
        asserted,
        label,
        alpha=0.1,
        delta=0.1,
        grids={"accept+correct": Grid((0.5,))},
        calibrated_on="test",
    )
    assert (rule.n, rule.coverage, rule.sequences) == (300, 0.5, 1)
    assert rule.ceiling == pytest.approx(((asserted == label) & (asserted >= 0)).mean() / 0.9)


def test_grids_of_correction_end_at_one_half() -> None:
    p_true, asserted, label = fixture()
    options = {"alpha": 0.1, "delta": 0.1, "calibrated_on": "test"}
    with pytest.raises(InputError, match=r"end it at 0\.5"):
        certify_verdicts(
            p_true, asserted, label, grids={"accept+correct": Grid((0.9, 0.4))}, **options
        )
    with pytest.raises(InputError, match="grids is empty"):
        certify_verdicts(p_true, asserted, label, grids={}, **options)


# Guarantees, where the risk is known (the full table: benchmarks/guarantees.py)


@pytest.mark.parametrize(
    "setting",
    [
        Setting(World(), unit="claim", rules="accept"),
        Setting(World(), unit="claim", rules="both"),
        Setting(World(), unit="image", rules="both"),
        Setting(World(dependence=0.9, claims=20), unit="image", rules="accept"),
        Setting(World(dependence=0.9, claims=20), unit="image", rules="both"),
        Setting(World(dependence=0.9, inverted=True), unit="image", predicted=False),
    ],
    ids=str,
)
def test_promises_are_kept(setting) -> None:
    result = simulate(setting, runs=150, population=20_000)
    assert result.kept
    assert setting.world.inverted or result.found > 0.9


def test_the_claim_unit_breaks_its_promise_on_dependent_claims() -> None:
    result = simulate(
        Setting(World(dependence=0.9, claims=20), images=100, unit="claim", rules="accept"),
        runs=150,
        population=20_000,
    )
    assert not result.kept
