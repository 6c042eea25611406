"""Trees as comparisons of columns give what xgboost gives, to the bit."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialtrust.fusion.boosting import Boosted
from spatialtrust.fusion.forest import Forest
from spatialtrust.fusion.model import TrustModel

SHIPPED = TrustModel.load("vsr-boxes").layers.box_trees


def by_xgboost(trees: Boosted, columns: np.ndarray, margin: np.ndarray) -> np.ndarray:
    booster = xgboost.Booster()
    booster.load_model(bytearray(json.dumps(trees.model), "utf-8"))
    return booster.inplace_predict(
        np.concatenate([margin[None], columns]).T,
        predict_type="margin",
        base_margin=margin,
        validate_features=False,
    )


def columns_of(rows: int, seed: int, unknown: float) -> tuple[np.ndarray, np.ndarray]:
    """Values on and around the trees' own bounds, some far away, some unknown."""
    generator = np.random.default_rng(seed)
    bounds = np.array([
        bound for tree in SHIPPED.model["learner"]["gradient_booster"]["model"]["trees"]
        for bound in tree["split_conditions"]
    ], dtype=np.float32)  # fmt: skip
    values = generator.choice(np.append(bounds, np.float32([9e9, -9e9, 0])), (36, rows))
    values = np.nextafter(values, generator.choice(np.float32([-1e9, 1e9, 0]), values.shape))
    values[generator.random(values.shape) < unknown] = np.nan
    return values[2 : 2 + len(SHIPPED.features)], np.nan_to_num(values[0], posinf=3, neginf=-3)


@settings(max_examples=30)
@given(rows=st.integers(1, 400), seed=st.integers(0, 99), unknown=st.sampled_from([0, 0.3, 1]))
def test_the_shipped_trees_are_xgboosts_to_the_bit(rows: int, seed: int, unknown: float) -> None:
    columns, margin = columns_of(rows, seed, unknown)
    found = SHIPPED.logit(columns, margin)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, by_xgboost(SHIPPED, columns, margin))


@pytest.mark.parametrize("depth", [1, 3, 8])
def test_any_depth_that_is_fitted(depth: int) -> None:
    generator = np.random.default_rng(depth)
    columns = generator.normal(size=(3, 3000)).astype(np.float32)
    columns[generator.random(columns.shape) < 0.1] = np.nan
    label = np.nan_to_num(columns[0] * columns[1]) > 0
    margin = np.zeros(3000, dtype=np.float32)
    names = ["margin", "a", "b", "c"]
    data = xgboost.DMatrix(np.concatenate([margin[None], columns]).T, label, feature_names=names)
    grown = xgboost.train({"max_depth": depth, "objective": "binary:logistic"}, data, 5)
    model = json.loads(bytes(grown.save_raw("json")))
    trees = Boosted.from_dict({"features": names[1:], "xgboost": model})
    assert trees.trees == 5
    np.testing.assert_array_equal(trees.logit(columns, margin), by_xgboost(trees, columns, margin))


def test_a_tree_of_one_leaf() -> None:
    leaf = {"left_children": [-1], "right_children": [-1], "split_indices": [0],
            "split_conditions": [0.25], "default_left": [0]}  # fmt: skip
    assert Forest.of([leaf], 1).add([np.zeros(2, np.float32)], np.zeros(2)).tolist() == [0.25] * 2


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"left_children": [0, -1, -1]}, "in circles"),
        ({"right_children": [9, -1, -1]}, "in circles"),
        ({"split_indices": [7, 0, 0]}, "reads column 7 of 1"),
        ({"split_indices": [-1, 0, 0]}, "reads column -1 of 1"),
    ],
)
def test_damaged_trees_are_refused_when_they_are_read(damage: dict, said: str) -> None:
    tree = {"left_children": [1, -1, -1], "right_children": [2, -1, -1],
            "split_indices": [0, 0, 0], "split_conditions": [0.5, -1.0, 1.0],
            "default_left": [1, 0, 0], **damage}  # fmt: skip
    with pytest.raises(ValueError, match=said):
        Forest.of([tree], 1)
