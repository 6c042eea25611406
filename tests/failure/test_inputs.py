"""Confidences of classifications take logits and labels from any library."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from spatialtrust.errors import InputError
from spatialtrust.failure import TemperatureScaling, doctor, energy, entropy, max_cosine, mcm

LOGITS = [[2.0, 0.5, 0.0], [0.0, 0.0, 1.0], [-1.0, 4.0, 4.0]]
SCORES = [mcm, energy, entropy, doctor]


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    "logits",
    [
        np.array(LOGITS, dtype=np.float16),
        np.array(LOGITS, dtype=object),
        pd.DataFrame(LOGITS),
        pd.DataFrame(LOGITS).convert_dtypes(),
        pa.array(LOGITS),
        torch.tensor(LOGITS, requires_grad=True),
        torch.tensor(LOGITS, dtype=torch.bfloat16),
        [torch.tensor(row, requires_grad=True) for row in LOGITS],
        np.ma.masked_array(LOGITS),
    ],
)
def test_any_library_gives_what_lists_give(score: Any, logits: Any) -> None:
    np.testing.assert_array_equal(score(logits), score(LOGITS))


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("logits", "message"),
    [
        ([["a", "b"]], "logits: holds .*not numbers"),
        ([[1.0, "b"]], "logits: holds .*not numbers"),
        (np.array([[1.0, 2.0], [1.0, "b"]], dtype=object), "logits: row 1 holds 'b'"),
        ([[1.0, None]], "logits: row 0 holds nan"),
        (pd.DataFrame({"a": [1, pd.NA], "b": [1, 2]}, dtype="Int64"), "logits: row 1 holds nan"),
        (np.ma.masked_array([[1.0, 2.0]], [[0, 1]]), "logits: row 0 holds nan"),
        ([[1.0], [1.0, 2.0]], "logits: a list that makes no array"),
        ([[1j, 0]], "logits: holds complex128"),
        ([1.0, 2.0], "give two dimensions"),
        ([[1.0]], "at least two classes"),
        ("logits", "logits: is a str"),
    ],
)
def test_what_cannot_be_meant_is_refused(score: Any, logits: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        score(logits)


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf"), "100", None, [100.0]])
def test_a_scale_is_one_positive_number(scale: Any) -> None:
    with pytest.raises(InputError, match="give a positive finite number"):
        max_cosine(LOGITS, scale)
    with pytest.raises(InputError, match="give a positive finite number"):
        mcm(LOGITS, temperature=scale)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 257, 1], "labels: row 1 is 257"),
        ([0, -1, 1], "labels: row 1 is -1"),
        ([0, 0.5, 1], "whole numbers"),
        ([0, None, 1], "labels: row 1 has none"),
        (pd.Series([0, 1, pd.NA], dtype="Int64"), "labels: row 2 has none"),
        (["cat", "dog", "cat"], "labels: holds .*not numbers"),
        ([0, 1], "labels: 2 of them for 3 images"),
    ],
)
def test_a_label_is_the_number_of_a_class(labels: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TemperatureScaling().fit(LOGITS, labels)
