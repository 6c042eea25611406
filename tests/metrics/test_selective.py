"""Selective metrics by hand-worked examples and by the definitions, row by row."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from spatialtrust import metrics
from spatialtrust.errors import InputError
from spatialtrust.metrics import (
    accuracy_at_coverage,
    augrc,
    aurc,
    auroc,
    coverage_at_accuracy,
    coverage_ceiling,
    eaurc,
    fpr_at_tpr,
    risk_coverage_curve,
)

RANKING = [auroc, aurc, eaurc, augrc, fpr_at_tpr]


def test_the_public_surface_is_complete() -> None:
    for name in metrics.__all__:
        assert getattr(metrics, name).__doc__


def test_aurc_is_the_expectation_over_the_orders_of_tied_rows() -> None:
    confidence = np.array([0.9, 0.5, 0.5, 0.5, 0.5, 0.1])
    correct = np.array([True, True, False, False, True, False])
    by_order = []
    for order in permutations(range(1, 5)):
        rows = [0, *order, 5]
        by_order.append(np.mean(np.cumsum(~correct[rows]) / np.arange(1, 7)))
    assert aurc(confidence, correct) == pytest.approx(np.mean(by_order), rel=1e-12)


def test_eaurc_of_a_perfect_ranking_is_zero_and_of_no_other() -> None:
    correct = np.arange(50) < 31
    assert eaurc(-np.arange(50.0), correct) == pytest.approx(0, abs=1e-15)
    assert eaurc(np.arange(50.0), correct) > 0.1


def test_augrc_follows_from_auroc_and_accuracy() -> None:
    generator = np.random.default_rng(3)
    confidence = generator.integers(0, 9, 200) / 8
    correct = generator.random(200) < confidence
    error = 1 - correct.mean()
    expected = (1 - auroc(confidence, correct)) * (1 - error) * error + error**2 / 2
    assert augrc(confidence, correct) == pytest.approx(expected, rel=1e-12)


def test_fpr_tells_the_two_positive_classes_apart() -> None:
    confidence = np.arange(10, 0, -1) / 10
    correct = [True] * 4 + [False, True, True, False, True, False]
    # All 7 right rows are accepted at rank 9, with 2 of 3 wrong; all 3 wrong ones are flagged from
    # rank 5 on, with 3 of 7 right.
    assert fpr_at_tpr(confidence, correct, tpr=1.0) == 2 / 3
    assert fpr_at_tpr(confidence, correct, tpr=1.0, positive="error") == 3 / 7


def test_tpr_is_reached_exactly_at_the_share_asked_for() -> None:
    confidence = np.arange(40.0)[::-1]
    correct = np.ones(40, dtype=bool)
    correct[19:39] = False  # 20 right rows, the twentieth last: 19/20 is 0.95
    assert fpr_at_tpr(confidence, correct) == 0.0
    assert fpr_at_tpr(confidence, correct, tpr=0.951) == 1.0


def test_coverage_at_accuracy_keeps_ties_whole_and_takes_the_largest() -> None:
    confidence = [0.9, 0.7, 0.7, 0.7, 0.2]
    correct = [False, True, True, True, False]
    assert coverage_at_accuracy(confidence, correct, 0.75) == 0.8
    assert coverage_at_accuracy(confidence, correct, 0.6) == 1.0
    assert coverage_at_accuracy(confidence, correct, 0.8) == 0.0


def test_accuracy_at_coverage_accepts_the_whole_tie_that_reaches_it() -> None:
    confidence = [0.9, 0.7, 0.7, 0.7, 0.2]
    correct = [True, True, False, True, False]
    assert accuracy_at_coverage(confidence, correct, 0.2) == 1.0
    assert accuracy_at_coverage(confidence, correct, 0.21) == 0.75
    assert accuracy_at_coverage(confidence, correct, 1.0) == 0.6


def test_curve_has_one_point_per_distinct_confidence() -> None:
    curve = risk_coverage_curve([0.9, 0.5, 0.5, 0.1], [True, True, False, True])
    np.testing.assert_array_equal(curve.threshold, [0.9, 0.5, 0.1])
    np.testing.assert_array_equal(curve.coverage, [0.25, 0.75, 1.0])
    np.testing.assert_array_equal(curve.risk, [0.0, 1 / 3, 0.25])


@pytest.mark.parametrize("metric", RANKING)
def test_no_rows_is_undefined(metric) -> None:
    assert np.isnan(metric([], []))


def test_no_rows_is_undefined_for_targets_and_empty_for_the_curve() -> None:
    assert np.isnan(coverage_at_accuracy([], [], 0.8))
    assert np.isnan(accuracy_at_coverage([], [], 0.8))
    assert risk_coverage_curve([], []).risk.size == 0


@pytest.mark.parametrize("correct", [True, False])
def test_one_class_leaves_ranking_undefined_but_risk_defined(correct: bool) -> None:
    confidence, is_correct = [0.1, 0.2, 0.3], [correct] * 3
    assert np.isnan(auroc(confidence, is_correct))
    assert np.isnan(fpr_at_tpr(confidence, is_correct))
    assert np.isnan(fpr_at_tpr(confidence, is_correct, positive="error"))
    assert aurc(confidence, is_correct) == 1 - correct
    assert augrc(confidence, is_correct) == (1 - correct) / 2


@pytest.mark.parametrize("metric", [*RANKING, metrics.ece, metrics.brier])
def test_unknown_confidence_is_refused_and_the_row_named(metric) -> None:
    with pytest.raises(InputError, match=r"NaN in 1 of 3 rows \(first at row 1\)"):
        metric([0.1, np.nan, 0.3], [True, False, True])


def test_columns_that_do_not_pair_are_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(2,\) and is_correct \(3,\)"):
        auroc([0.1, 0.2], [True, False, True])
    with pytest.raises(InputError, match="holds 2 at row 1"):
        auroc([0.1, 0.2], [0, 2])
    with pytest.raises(InputError, match=r"holds .*nan.* at row 0"):
        auroc([0.1, 0.2], [np.nan, 1.0])


@pytest.mark.parametrize("share", [0, -0.1, 1.01, np.nan])
def test_targets_outside_their_range_are_refused(share: float) -> None:
    columns = [0.9, 0.1], [True, False]
    for metric in (fpr_at_tpr, coverage_at_accuracy, accuracy_at_coverage):
        with pytest.raises(InputError, match="above 0 and at most 1"):
            metric(*columns, share)
    with pytest.raises(InputError, match="target"):
        coverage_ceiling(0.5, share)


def test_another_positive_class_is_refused() -> None:
    with pytest.raises(InputError, match='positive is "wrong"; valid: "correct", "error"'):
        fpr_at_tpr([0.9, 0.1], [True, False], positive="wrong")  # type: ignore[arg-type]


def test_unbounded_scores_rank() -> None:
    assert auroc([np.inf, 30.0, -np.inf], [True, True, False]) == 1.0


def test_ceiling_matches_the_published_row() -> None:
    shares = [round(100 * coverage_ceiling(0.54, a), 1) for a in (0.6, 0.7, 0.8, 0.9, 0.95)]
    assert shares == [90.0, 77.1, 67.5, 60.0, 56.8]
    assert coverage_ceiling(0.9, 0.8) == 1.0
    with pytest.raises(InputError, match=r"base_accuracy is 1.2"):
        coverage_ceiling(1.2, 0.8)
