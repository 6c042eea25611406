"""What every metric must satisfy on any data."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialtrust.metrics import (
    accuracy_at_coverage,
    augrc,
    aurc,
    auroc,
    brier,
    coverage_at_accuracy,
    coverage_ceiling,
    eaurc,
    ece,
    fpr_at_tpr,
    precision_at_recall,
    risk_coverage_curve,
)

RANKING = [
    auroc,
    aurc,
    eaurc,
    augrc,
    fpr_at_tpr,
    partial(fpr_at_tpr, positive="error"),
    partial(coverage_at_accuracy, accuracy=0.7),
    partial(accuracy_at_coverage, coverage=0.4),
    partial(precision_at_recall, recall=0.6),
]
METRICS = [*RANKING, ece, brier]

# Few levels make ties, arbitrary floats make none: both.
LEVELS = st.integers(0, 6).map(lambda k: k / 6)
ROW = st.tuples(st.one_of(LEVELS, st.floats(0, 1)), st.booleans())
ROWS = st.lists(ROW, min_size=1, max_size=40)


def columns(rows) -> tuple[np.ndarray, np.ndarray]:
    confidence, correct = zip(*rows, strict=True)
    return np.array(confidence), np.array(correct)


@given(rows=ROWS, seed=st.integers(0, 9))
def test_order_of_rows_changes_no_bit(rows, seed) -> None:
    confidence, correct = columns(rows)
    order = np.random.default_rng(seed).permutation(len(rows))
    for metric in METRICS:
        np.testing.assert_array_equal(
            metric(confidence, correct), metric(confidence[order], correct[order])
        )


@given(rows=ROWS)
def test_values_are_shares_or_undefined(rows) -> None:
    for metric in METRICS:
        value = metric(*columns(rows))
        assert np.isnan(value) or 0 <= value <= 1


@given(rows=st.lists(st.tuples(LEVELS, st.booleans()), min_size=1, max_size=40))
def test_ranking_metrics_see_only_the_order(rows) -> None:
    confidence, correct = columns(rows)
    for metric in RANKING:
        np.testing.assert_array_equal(
            metric(confidence, correct), metric(np.exp(3 * confidence) - 100, correct)
        )


@given(rows=ROWS, copies=st.integers(2, 4))
def test_copying_every_row_leaves_shares_alone(rows, copies) -> None:
    confidence, correct = columns(rows)
    # AURC and E-AURC average over ranks, so N itself matters to them.
    for metric in (m for m in METRICS if m not in (aurc, eaurc)):
        np.testing.assert_allclose(
            metric(confidence, correct),
            metric(np.repeat(confidence, copies), np.repeat(correct, copies)),
            rtol=1e-12,
            atol=1e-15,
        )


@given(rows=ROWS)
def test_auroc_mirrors_when_confidence_is_negated(rows) -> None:
    confidence, correct = columns(rows)
    np.testing.assert_allclose(
        auroc(confidence, correct) + auroc(-confidence, correct),
        np.nan if correct.all() or not correct.any() else 1.0,
        rtol=1e-12,
    )


@given(rows=ROWS)
def test_exchanging_positive_class_is_negating_and_flipping(rows) -> None:
    confidence, correct = columns(rows)
    np.testing.assert_array_equal(
        fpr_at_tpr(confidence, correct, positive="error"), fpr_at_tpr(-confidence, ~correct)
    )


@given(rows=ROWS)
def test_no_ranking_beats_the_oracle(rows) -> None:
    confidence, correct = columns(rows)
    oracle = np.where(correct, 1.0, 0.0) + np.linspace(0, 0.1, len(rows))
    assert aurc(oracle, correct) <= aurc(confidence, correct) + 1e-12
    np.testing.assert_allclose(eaurc(oracle, correct), 0, atol=1e-12)


@given(rows=ROWS, target=st.sampled_from([0.5, 0.6, 0.75, 0.9, 1.0]))
def test_coverage_never_passes_the_ceiling(rows, target) -> None:
    confidence, correct = columns(rows)
    coverage = coverage_at_accuracy(confidence, correct, target)
    assert coverage <= coverage_ceiling(float(correct.mean()), target) + 1e-12


@given(rows=ROWS, target=st.sampled_from([0.5, 0.6, 0.75, 0.9, 1.0]))
def test_targets_are_read_off_the_curve(rows, target) -> None:
    confidence, correct = columns(rows)
    curve = risk_coverage_curve(confidence, correct)
    held = curve.coverage[1 - curve.risk >= target - 1e-15]
    assert coverage_at_accuracy(confidence, correct, target) == (held.max() if held.size else 0)
    first = np.flatnonzero(curve.coverage >= target)[0]
    np.testing.assert_allclose(
        accuracy_at_coverage(confidence, correct, target), 1 - curve.risk[first], rtol=1e-12
    )
    assert (np.diff(curve.threshold) < 0).all()
    assert (np.diff(curve.coverage) > 0).all()
    assert curve.coverage[-1] == 1


@given(rows=ROWS)
@settings(max_examples=50)
def test_auroc_counts_pairs(rows) -> None:
    confidence, correct = columns(rows)
    right, wrong = confidence[correct][:, None], confidence[~correct][None, :]
    if right.size and wrong.size:
        pairs = (right > wrong).mean() + (right == wrong).mean() / 2
        assert auroc(confidence, correct) == pytest.approx(pairs, rel=1e-12)


@given(rows=ROWS)
def test_brier_is_at_least_the_squared_bias(rows) -> None:
    confidence, correct = columns(rows)
    bias = abs(confidence.mean() - correct.mean())
    assert brier(confidence, correct) >= bias**2 - 1e-12
    assert ece(confidence, correct) >= bias - 1e-12
    assert ece(confidence, correct, bins=1) == pytest.approx(bias, abs=1e-12)
