"""Intervals by image: against plain resampling, against known answers, paired."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from spatialtrust.errors import InputError
from spatialtrust.metrics import (
    accuracy_at_coverage,
    augrc,
    aurc,
    auroc,
    bootstrap,
    brier,
    coverage_at_accuracy,
    eaurc,
    ece,
    fpr_at_tpr,
    precision_at_recall,
)

METRICS = [
    auroc,
    aurc,
    eaurc,
    augrc,
    fpr_at_tpr,
    partial(fpr_at_tpr, positive="error"),
    partial(coverage_at_accuracy, accuracy=0.8),
    partial(accuracy_at_coverage, coverage=0.6),
    partial(precision_at_recall, recall=0.7),
    ece,
    partial(ece, bins=5),
    brier,
]


def sample(rows: int = 300, images: int = 120, levels: int | None = None):
    generator = np.random.default_rng(5)
    confidence = generator.random(rows)
    correct = generator.random(rows) < confidence
    if levels:
        confidence = np.round(confidence * levels) / levels
    return confidence, correct, generator.integers(0, images, rows)


@pytest.mark.parametrize("levels", [None, 6])
@pytest.mark.parametrize("metric", METRICS)
def test_counting_equals_copying_the_rows_of_each_draw(metric, levels) -> None:
    confidence, correct, image = sample(levels=levels)

    def by_copying(scores, flags):  # not a metric of the package: rows are really repeated
        return metric(scores, flags)

    counted = bootstrap(metric, confidence, correct, groups=image, n=40)
    copied = bootstrap(by_copying, confidence, correct, groups=image, n=40)
    assert counted.low == pytest.approx(np.clip(copied.low, 0, 1), rel=1e-9)
    assert counted.high == pytest.approx(np.clip(copied.high, 0, 1), rel=1e-9)
    assert counted.value == copied.value == metric(confidence, correct)


@pytest.mark.parametrize("grouped", [True, False])
def test_row_order_does_not_change_the_interval(grouped: bool) -> None:
    confidence, correct, image = sample(levels=6)
    order = np.random.default_rng(0).permutation(300)
    groups = (image, image[order]) if grouped else (None, None)
    first = bootstrap(aurc, confidence, correct, groups=groups[0], n=50)
    second = bootstrap(aurc, confidence[order], correct[order], groups=groups[1], n=50)
    assert first == second


def test_group_names_may_be_text() -> None:
    confidence, correct, image = sample()
    names = np.array([f"{i:03d}.jpg" for i in image])
    assert bootstrap(auroc, confidence, correct, groups=names, n=20) == bootstrap(
        auroc, confidence, correct, groups=image, n=20
    )


def test_dependent_rows_widen_the_interval() -> None:
    confidence, correct, _ = sample()
    copies = np.repeat(np.arange(300), 5)
    honest = bootstrap(auroc, confidence[copies], correct[copies], groups=copies)
    naive = bootstrap(auroc, confidence[copies], correct[copies])
    assert honest.groups == 300
    assert naive.groups == 1500
    assert honest.high - honest.low > 1.8 * (naive.high - naive.low)


def test_accuracy_interval_is_the_normal_one() -> None:
    confidence, correct, _ = sample(rows=2000)
    interval = bootstrap(partial(accuracy_at_coverage, coverage=1.0), confidence, correct, n=4000)
    half = 1.96 * np.sqrt(correct.mean() * (1 - correct.mean()) / 2000)
    assert interval.high - interval.value == pytest.approx(half, rel=0.1)
    assert interval.value - interval.low == pytest.approx(half, rel=0.1)


def test_paired_difference_of_a_score_with_itself_is_zero() -> None:
    confidence, correct, image = sample()
    interval = bootstrap(
        auroc, confidence, correct, groups=image, baseline=(confidence, correct), n=50
    )
    assert (interval.value, interval.low, interval.high) == (0, 0, 0)


def test_pairing_sees_a_difference_that_two_intervals_hide() -> None:
    confidence, correct, image = sample()
    noisy = confidence + np.random.default_rng(1).normal(0, 0.1, 300)
    one = bootstrap(auroc, confidence, correct, groups=image)
    other = bootstrap(auroc, noisy, correct, groups=image)
    paired = bootstrap(auroc, confidence, correct, groups=image, baseline=(noisy, correct))
    assert one.low < other.high
    assert paired.low > 0
    assert paired.value == one.value - other.value


def test_ece_interval_holds_the_value_of_calibrated_confidences() -> None:
    generator = np.random.default_rng(8)
    confidence = generator.random(1000)
    interval = bootstrap(ece, confidence, generator.random(1000) < confidence)
    assert interval.low < interval.value < interval.high


def test_resamples_without_both_classes_are_left_out_and_counted() -> None:
    interval = bootstrap(auroc, [0.9, 0.8, 0.1], [True, True, False], n=200)
    assert 0 < interval.resamples < 200
    assert interval.low == interval.high == 1.0


def test_undefined_metric_has_an_undefined_interval() -> None:
    interval = bootstrap(auroc, [0.9, 0.8], [True, True], n=10)
    assert np.isnan([interval.value, interval.low, interval.high]).all()
    assert interval.resamples == 0
    empty = bootstrap(auroc, [], [], n=10)
    assert np.isnan([empty.value, empty.low, empty.high]).all()


def test_bad_arguments_are_refused() -> None:
    columns = [0.9, 0.8], [True, False]
    with pytest.raises(InputError, match="n is 0"):
        bootstrap(auroc, *columns, n=0)
    with pytest.raises(InputError, match="level is 95"):
        bootstrap(auroc, *columns, level=95)
    with pytest.raises(InputError, match="different lengths"):
        bootstrap(auroc, *columns, groups=[1, 2, 3])
    with pytest.raises(InputError, match="different lengths"):
        bootstrap(auroc, *columns, groups=[1, 2], baseline=([0.1] * 3, [True] * 3))
    with pytest.raises(InputError, match="different lengths"):
        bootstrap(auroc, *columns, baseline=([0.1] * 3, [True] * 3))
    with pytest.raises(InputError, match="calibrate raw scores first"):
        bootstrap(ece, [9.0, 8.0], [True, False])
