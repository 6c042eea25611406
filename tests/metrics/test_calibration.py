"""Calibration metrics: bins, floor, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from spatialtrust.errors import InputError
from spatialtrust.metrics import brier, ece, ece_floor, reliability


def test_bins_are_left_closed_and_one_is_in_the_last() -> None:
    table = reliability([0.0, 0.3, 0.29999, 0.57, 1.0], [True] * 5, bins=100)
    assert table.rows[[0, 29, 30, 57, 99]].tolist() == [1, 1, 1, 1, 1]
    assert table.rows.sum() == 5


def test_empty_bins_are_nan_not_zero() -> None:
    table = reliability([0.1, 0.9], [False, True], bins=3)
    assert np.isnan(table.confidence[1])
    assert np.isnan(table.accuracy[1])


def test_reliability_without_rows_is_all_empty_bins() -> None:
    table = reliability([], [], bins=4)
    assert table.rows.tolist() == [0, 0, 0, 0]
    assert np.isnan(table.accuracy).all()


def test_ece_is_the_weighted_gap_of_the_reliability_table() -> None:
    generator = np.random.default_rng(1)
    confidence = generator.random(500)
    correct = generator.random(500) < confidence**2
    table = reliability(confidence, correct)
    gap = np.nansum(table.rows * np.abs(table.confidence - table.accuracy)) / 500
    assert ece(confidence, correct) == pytest.approx(gap, rel=1e-12)


def test_floor_is_what_perfectly_calibrated_confidences_show() -> None:
    generator = np.random.default_rng(2)
    confidence = generator.beta(2, 1, 2000)
    shown = [ece(confidence, generator.random(2000) < confidence) for _ in range(200)]
    assert ece_floor(confidence) == pytest.approx(np.mean(shown), rel=0.03)


def test_certain_confidences_have_no_floor() -> None:
    assert ece_floor([0.0, 1.0, 1.0]) == 0.0


def test_no_rows_is_undefined() -> None:
    for value in (ece([], []), brier([], []), ece_floor([])):
        assert np.isnan(value)


@pytest.mark.parametrize("raw", [[-0.2, 0.5], [1.7, 0.5], [np.inf, 0.5]])
def test_raw_scores_are_refused(raw: list[float]) -> None:
    for metric in (ece, brier, reliability):
        with pytest.raises(InputError, match="calibrate raw scores first"):
            metric(raw, [True, False])
    with pytest.raises(InputError, match="calibrate raw scores first"):
        ece_floor(raw)


def test_fewer_than_one_bin_is_refused() -> None:
    for columns in (([], []), ([0.5], [True])):
        for metric in (ece, reliability):
            with pytest.raises(InputError, match="bins is 0"):
                metric(*columns, bins=0)
