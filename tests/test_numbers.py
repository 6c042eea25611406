"""Numbers come in from any library, or are refused by argument and row."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
import torch

from spatialtrust.errors import InputError
from spatialtrust.numbers import as_array, as_count, as_number, as_numbers

HALVES = np.array([0.5, 0.25, 1.0])
GAP = np.array([0.5, np.nan, 1.0])


@pytest.mark.parametrize(
    "given",
    [
        [0.5, 0.25, 1],
        (0.5, 0.25, 1.0),
        HALVES.astype(np.float16),
        HALVES.astype(np.longdouble),
        np.ma.masked_array(HALVES, mask=False),
        HALVES.astype(object),
        [Decimal("0.5"), 0.25, True],
        pd.Series(HALVES),
        pd.Series(HALVES, dtype="Float32"),
        pd.Series(HALVES, dtype="float64[pyarrow]"),
        pd.Index(HALVES),
        pd.array(HALVES, dtype="Float64"),
        pd.arrays.SparseArray(HALVES),
        pa.array(HALVES),
        pa.chunked_array([HALVES[:1], HALVES[1:]]),
        pa.array(["0.50", "0.25", "1.00"]).cast(pa.decimal128(4, 2)),
        torch.tensor(HALVES, requires_grad=True),
        torch.tensor(HALVES, dtype=torch.bfloat16),
        torch.tensor(HALVES, dtype=torch.float16),
        torch.tensor(HALVES, dtype=torch.float8_e5m2),
        torch.tensor(HALVES).to_sparse(),
        torch.nn.Parameter(torch.tensor(HALVES)),
        list(torch.tensor(HALVES, requires_grad=True)),
    ],
    ids=lambda given: f"{type(given).__module__}.{type(given).__name__}",
)
def test_every_holder_of_numbers_gives_the_same(given: Any) -> None:
    np.testing.assert_array_equal(as_numbers(given, "given").astype(float), HALVES)


@pytest.mark.parametrize(
    "given",
    [
        [0.5, None, 1],
        [0.5, pd.NA, 1],
        [0.5, np.ma.masked, 1],
        np.ma.masked_array(HALVES, mask=[False, True, False]),
        pd.Series([0.5, pd.NA, 1], dtype="Float64"),
        pd.Series([0.5, None, 1], dtype=object),
        pd.Series([0.5, None, 1], dtype="double[pyarrow]"),
        pa.array([0.5, None, 1.0]),
        pa.chunked_array([[0.5, None], [1.0]]),
    ],
)
def test_what_is_missing_is_nan(given: Any) -> None:
    np.testing.assert_array_equal(as_numbers(given, "given"), GAP)


@pytest.mark.parametrize(
    "given",
    [
        np.ma.masked_array([1, 7, 0], mask=[False, True, False]),
        pd.Series([1, pd.NA, 0], dtype="Int64"),
        pd.Series([True, pd.NA, False], dtype="boolean"),
        pa.array([1, None, 0]),
        pa.array([True, None, False]),
    ],
)
def test_whole_numbers_and_flags_may_be_missing_too(given: Any) -> None:
    np.testing.assert_array_equal(as_numbers(given, "given"), [1, np.nan, 0])


@pytest.mark.parametrize(
    "given",
    [
        pd.DataFrame({"a": [1.0, 2.0], "b": [3, 4]}),
        pd.DataFrame({"a": [1, 2], "b": [3, 4]}, dtype="Int64"),
        pa.table({"a": [1.0, 2.0], "b": [3, 4]}),
        pa.array([[1.0, 3.0], [2.0, 4.0]]),
        pa.FixedSizeListArray.from_arrays(pa.array([1.0, 3.0, 2.0, 4.0]), 2),
        torch.tensor([[1.0, 3.0], [2.0, 4.0]], requires_grad=True),
        [torch.tensor([1.0, 3.0], requires_grad=True), torch.tensor([2.0, 4.0])],
        [np.ma.masked_array([1.0, 3.0]), np.ma.masked_array([2.0, 4.0])],
        scipy.sparse.csr_matrix([[1.0, 3.0], [2.0, 4.0]]),
    ],
)
def test_two_dimensions(given: Any) -> None:
    np.testing.assert_array_equal(as_numbers(given, "given"), [[1, 3], [2, 4]])


def test_a_numeric_array_is_not_copied() -> None:
    for dtype in (np.float32, np.float64, np.int8, np.bool_):
        array = np.zeros(3, dtype=dtype)
        assert as_numbers(array, "given") is array


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["0.5", "0.25"], r"given: holds .*U.*not numbers"),
        (np.array(["a", 0.5], dtype=object), r"given: row 0 holds 'a', not a number"),
        (pd.Series([0.5, "0.25"]), r"given: row 1 holds '0\.25'"),
        (pd.Series(["x"], dtype="string"), r"given: .*'x'"),
        (pd.Series(["x"], dtype="category"), r"given: row 0 holds 'x'"),
        (pd.Series(pd.to_datetime(["2020-01-01"])), "given: holds datetime64"),
        (pa.array(["x"]), r"given: row 0 holds 'x'"),
        ([0.5 + 1j], "given: holds complex128"),
        (torch.tensor([1j]), "given: holds complex64"),
        ([[1.0], [1.0, 2.0]], "given: a list that makes no array"),
        (torch.empty(3, device="meta"), "given: a Tensor that makes no array"),
        ({"a": 1.0}, "given: is a dict; give numbers"),
        ({0.5}, "given: is a set"),
        ((x for x in (0.5,)), "given: is a generator"),
        ("0.5", "given: is a str"),
        (None, "given: is a NoneType"),
        (object(), "given: is a object"),
        (np.zeros(2, dtype=[("a", "f4")]), "given: holds .*not numbers"),
    ],
)
def test_what_is_no_number_is_refused_by_name(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_numbers(given, "given")


def test_nothing_is_no_number_but_no_error() -> None:
    for given in ([], pd.Series([], dtype=object), pa.array([], pa.string()), np.array([], str)):
        assert as_numbers(given, "given").shape == (0,)


@pytest.mark.parametrize("given", [2.5, "15", None, True, np.float64(3.0), 0, -1, 101, [3]])
def test_a_count_is_a_whole_number_within_bounds(given: Any) -> None:
    with pytest.raises(InputError, match=r"bins is .*; give a whole number, 1 to 100"):
        as_count(given, "bins", 1, 100)


def test_counts_of_numpy_and_torch_count() -> None:
    assert [as_count(n, "bins", 1, 9) for n in (3, np.int8(3), torch.tensor(3))] == [3, 3, 3]


def test_a_number_is_one_number() -> None:
    for given in (0.5, np.float32(0.5), torch.tensor(0.5, requires_grad=True), np.array(0.5)):
        assert as_number(given, "share") == 0.5
    for given in ("0.5", None, [0.5], True, 0.5j, np.array([0.5])):
        with pytest.raises(InputError, match="share"):
            as_number(given, "share")


def test_texts_stay_texts_where_any_value_will_do() -> None:
    assert as_array(pd.Series(["a", "b"]), "groups").tolist() == ["a", "b"]
