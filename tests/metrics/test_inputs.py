"""Metrics take columns from any library, or say what is wrong with which row."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from spatialtrust import metrics
from spatialtrust.errors import InputError

CONFIDENCE, CORRECT = [0.75, 0.5, 0.25, 1.0], [1, 0, 0, 1]
METRICS = {
    "auroc": metrics.auroc,
    "aurc": metrics.aurc,
    "eaurc": metrics.eaurc,
    "augrc": metrics.augrc,
    "fpr": metrics.fpr_at_tpr,
    "coverage": partial(metrics.coverage_at_accuracy, accuracy=0.8),
    "accuracy": partial(metrics.accuracy_at_coverage, coverage=0.5),
    "precision": partial(metrics.precision_at_recall, recall=0.5),
    "ece": metrics.ece,
    "brier": metrics.brier,
    "bootstrap": lambda c, y: metrics.bootstrap(metrics.auroc, c, y, n=20).high,
}
COLUMNS: list[Any] = [
    (pd.Series(CONFIDENCE, dtype="Float32"), pd.Series(CORRECT, dtype="boolean")),
    (pd.Series(CONFIDENCE, index=[9, 8, 7, 6]), pd.Series(CORRECT, dtype="Int8")),
    (torch.tensor(CONFIDENCE, requires_grad=True), torch.tensor(CORRECT, dtype=torch.bool)),
    (torch.tensor(CONFIDENCE, dtype=torch.bfloat16), torch.tensor(CORRECT, dtype=torch.uint8)),
    (pa.array(CONFIDENCE), pa.array([True, False, False, True])),
    (np.array(CONFIDENCE, dtype=np.float16), np.array(CORRECT, dtype=object)),
    (np.ma.masked_array(CONFIDENCE), np.ma.masked_array(CORRECT)),
]


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("columns", COLUMNS)
def test_any_library_gives_what_lists_give(name: str, columns: Any) -> None:
    assert METRICS[name](*columns) == METRICS[name](CONFIDENCE, CORRECT)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    ("confidence", "is_correct", "message"),
    [
        (["0.75", "0.5", "0.25", "1.0"], CORRECT, "confidence: holds .*not numbers"),
        (CONFIDENCE, ["1", "0", "0", "1"], "is_correct: holds .*not numbers"),
        (CONFIDENCE, ["yes", 0, None, True], "is_correct"),
        (np.array(CONFIDENCE) + 0j, CORRECT, "confidence: holds complex128"),
        ([0.75, None, 0.25, 1.0], CORRECT, r"NaN in 1 of 4 rows \(first at row 1\)"),
        (pd.Series([0.75, pd.NA, 0.25, 1.0], dtype="Float64"), CORRECT, "first at row 1"),
        (np.ma.masked_array(CONFIDENCE, [0, 1, 0, 0]), CORRECT, "first at row 1"),
        (CONFIDENCE, [1, 0, 257, 1], "is_correct holds 257 at row 2"),
        (CONFIDENCE, [1, 0.5, 0, 1], "is_correct holds 0.5 at row 1"),
        (CONFIDENCE, [1, -1, 0, 1], "is_correct holds -1.* at row 1"),
        (CONFIDENCE, [1, float("nan"), 0, 1], "is_correct holds nan at row 1"),
        (CONFIDENCE, pd.Series([1, 0, pd.NA, 1], dtype="Int64"), "is_correct holds nan at row 2"),
        (CONFIDENCE, pa.array([True, None, False, True]), "is_correct holds nan at row 1"),
        (CONFIDENCE, [1, 0, 0], r"shape \(4,\) and is_correct \(3,\)"),
        ([CONFIDENCE], [CORRECT], r"shape \(1, 4\)"),
        (0.5, 1, r"shape \(\)"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    name: str, confidence: Any, is_correct: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        METRICS[name](confidence, is_correct)


@pytest.mark.parametrize("bins", [0, -1, 2.5, "15", None, True, float("nan"), 10**12])
def test_bins_are_a_whole_number(bins: Any) -> None:
    for metric in (metrics.ece, metrics.reliability):
        with pytest.raises(InputError, match="bins is"):
            metric(CONFIDENCE, CORRECT, bins=bins)
    with pytest.raises(InputError, match="bins is"):
        metrics.ece_floor(CONFIDENCE, bins=bins)


@pytest.mark.parametrize("share", [0, 1.5, float("nan"), "0.9", None, [0.9]])
def test_a_share_is_one_number(share: Any) -> None:
    for metric, name in (
        (metrics.fpr_at_tpr, "tpr"),
        (metrics.coverage_at_accuracy, "accuracy"),
        (metrics.accuracy_at_coverage, "coverage"),
        (metrics.precision_at_recall, "recall"),
    ):
        with pytest.raises(InputError, match=f"{name} is .*give a share above 0"):
            metric(CONFIDENCE, CORRECT, **{name: share})
    with pytest.raises(InputError, match="target is"):
        metrics.coverage_ceiling(0.5, share)


def test_the_floor_takes_any_column() -> None:
    for column in (pd.Series(CONFIDENCE), torch.tensor(CONFIDENCE, requires_grad=True)):
        assert metrics.ece_floor(column) == metrics.ece_floor(CONFIDENCE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n is 0; give at least one resample"),
        ({"n": 2.5}, "n is 2.5"),
        ({"n": "10"}, "n is '10'"),
        ({"level": float("nan")}, "level is nan"),
        ({"level": "0.95"}, "level is '0.95'"),
        ({"seed": -1}, "seed is -1"),
        ({"groups": ["a", None, "b", "b"]}, "groups: row 1 has none"),
        ({"groups": pd.Series(["a", pd.NA, "b", "b"], dtype="string")}, "groups: row 1 has none"),
        ({"groups": [0, float("nan"), 1, 1]}, "groups: row 1 has none"),
        ({"groups": ["a"]}, "different lengths"),
    ],
)
def test_a_bootstrap_says_what_is_wrong(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        metrics.bootstrap(metrics.auroc, CONFIDENCE, CORRECT, **options)


def test_images_may_be_named_by_any_library() -> None:
    images = ["a", "b", "a", "b"]
    found = [
        metrics.bootstrap(metrics.auroc, CONFIDENCE, CORRECT, groups=groups, n=50)
        for groups in (images, pd.Series(images), pa.array(images), torch.tensor([0, 1, 0, 1]))
    ]
    assert found == [found[0]] * 4


def test_no_row_and_one_row_are_nan_where_nothing_is_defined() -> None:
    for name in ("auroc", "aurc", "brier", "ece", "coverage"):
        for column in ([], pd.Series([], dtype=float), torch.tensor([])):
            assert np.isnan(METRICS[name](column, column))
    assert np.isnan(metrics.auroc([0.5], [1]))
