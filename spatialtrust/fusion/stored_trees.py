"""Trees that were stored, checked before the native library sees them.

xgboost follows child indices and column numbers wherever they point. So a stored booster is not
handed on: one of the same trees is written anew, from arrays of the right lengths, with children
that make a tree, columns that are there, and numbers that are finite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

MOST_TREES: Final = 10_000
MOST_NODES: Final = 1 << 16
"""Of one tree."""

_NOWHERE: Final = 2147483647
"""The parent of a root."""

_REALS: Final = ("base_weights", "loss_changes", "split_conditions", "sum_hessian")
_WHOLES: Final = ("left_children", "right_children", "split_indices")


def checked(model: Mapping[str, Any], columns: int) -> dict[str, Any]:
    """The booster, written anew; equal to what was given where that is sound.

    Parameters
    ----------
    model: a booster in xgboost's own JSON form: trees for one yes or no.
    columns: how many it may read.

    Raises
    ------
    ValueError: it is of another kind, or its trees are damaged.
    KeyError, TypeError: something is missing, or of another type.
    """
    learner = model["learner"]
    body = learner["gradient_booster"]["model"]
    if learner["gradient_booster"]["name"] != "gbtree":
        raise ValueError("the booster is no gbtree")
    if learner["objective"]["name"] != "binary:logistic":
        raise ValueError("the booster's objective is not binary:logistic")
    names = learner["feature_names"]
    if len(names) != columns or not all(isinstance(name, str) for name in names):
        raise ValueError(f"the booster names {len(names)} columns, it reads {columns}")
    trees = body["trees"]
    if not isinstance(trees, list) or not 0 < len(trees) <= MOST_TREES:
        raise ValueError(f"a booster has 1 to {MOST_TREES:,} trees")
    version = model["version"]
    if len(version) != 3 or not all(type(part) is int and 0 <= part < 1000 for part in version):
        raise ValueError("the booster's version is not three whole numbers")
    made = [_tree(tree, place, columns) for place, tree in enumerate(trees)]
    return {
        "learner": {
            "attributes": {},
            "feature_names": list(names),
            "feature_types": [],
            "gradient_booster": {
                "model": {
                    "cats": {"enc": [], "feature_segments": [], "sorted_idx": []},
                    "gbtree_model_param": {
                        "num_parallel_tree": "1",
                        "num_trees": str(len(made)),
                    },
                    "iteration_indptr": list(range(len(made) + 1)),
                    "tree_info": [0] * len(made),
                    "trees": made,
                },
                "name": "gbtree",
            },
            "learner_model_param": {
                "base_score": _base_score(learner["learner_model_param"]["base_score"]),
                "boost_from_average": "0",
                "num_class": "0",
                "num_feature": str(columns),
                "num_target": "1",
            },
            "objective": {
                "name": "binary:logistic",
                "reg_loss_param": {"scale_pos_weight": "1"},
            },
        },
        "version": list(version),
    }


def _tree(tree: Mapping[str, Any], place: int, columns: int) -> dict[str, Any]:
    reals = {name: _reals(tree[name], name, place) for name in _REALS}
    wholes = {name: _wholes(tree[name], name, place) for name in _WHOLES}
    size = len(wholes["left_children"])
    if not 0 < size <= MOST_NODES:
        raise ValueError(f"tree {place} has {size} nodes")
    default_left = _wholes(tree["default_left"], "default_left", place)
    for name, values in {**reals, **wholes, "default_left": default_left}.items():
        if len(values) != size:
            raise ValueError(f"tree {place}: {name} has {len(values)} values for {size} nodes")
    for name in ("categories", "categories_nodes", "categories_segments", "categories_sizes"):
        if tree.get(name):
            raise ValueError(f"tree {place} splits by categories")
    if any(tree.get("split_type", ())):
        raise ValueError(f"tree {place} splits by categories")
    left, right, split = (wholes[name] for name in _WHOLES)
    if (split < 0).any() or (split >= columns).any():
        raise ValueError(f"tree {place} reads a column that there is not")
    parents = _parents(left, right, place)
    return {
        **{name: tree[name] for name in (*_REALS, *_WHOLES)},
        **{
            name: []
            for name in (
                "categories",
                "categories_nodes",
                "categories_segments",
                "categories_sizes",
            )
        },
        "default_left": (default_left != 0).astype(int).tolist(),
        "id": place,
        "parents": parents.tolist(),
        "split_type": [0] * size,
        "tree_param": {
            "num_deleted": "0",
            "num_feature": str(columns),
            "num_nodes": str(size),
            "size_leaf_vector": "1",
        },
    }


def _parents(left: NDArray[np.int64], right: NDArray[np.int64], place: int) -> NDArray[np.int64]:
    """The parent of each node; every node hangs from one that stands before it."""
    size = len(left)
    leaf = left == -1
    if (leaf != (right == -1)).any():
        raise ValueError(f"tree {place}: a node has one child")
    inner = np.flatnonzero(~leaf)
    children = np.concatenate([left[inner], right[inner]])
    above = np.concatenate([inner, inner])
    if ((children <= above) | (children >= size)).any():
        raise ValueError(f"tree {place}: a child stands before its parent, or nowhere")
    if len(np.unique(children)) != len(children) or len(children) != size - 1:
        raise ValueError(f"tree {place}: its nodes make no tree")
    parents = np.full(size, _NOWHERE, dtype=np.int64)
    parents[children] = above
    return parents


def _reals(values: Any, name: str, place: int) -> NDArray[np.float64]:
    if not isinstance(values, list) or not all(type(v) in (int, float) for v in values):
        raise TypeError(f"tree {place}: {name} is no list of numbers")
    found = np.array(values, dtype=np.float64)
    if not (np.abs(found) <= np.finfo(np.float32).max).all():
        raise ValueError(f"tree {place}: {name} holds a number that is not finite")
    return found


def _wholes(values: Any, name: str, place: int) -> NDArray[np.int64]:
    if not isinstance(values, list) or not all(
        type(v) in (int, bool) and abs(v) <= _NOWHERE for v in values
    ):
        raise TypeError(f"tree {place}: {name} is no list of whole numbers")
    return np.array(values, dtype=np.int64)


def _base_score(given: Any) -> str:
    """``[5E-1]``, or the same without brackets as earlier versions wrote it."""
    if not isinstance(given, str):
        raise TypeError("the base score is no text")
    value = float(given.strip("[]"))
    if not 0 < value < 1:
        raise ValueError(f"the base score is {value}, not between 0 and 1")
    return given
