"""Boosted trees as comparisons of whole columns: what xgboost fitted, for many claims at once.

Every split is one comparison of a column, and a claim's leaf is a number whose bits are the turns
it takes, put together from the leaves up. Nothing branches claim by claim and nothing is copied, so
a claim costs about half of what it does row by row, and the sums are xgboost's own, in its order.

>>> forest = Forest.of([{"left_children": [1, -1, -1], "right_children": [2, -1, -1],
...                      "split_indices": [0, 0, 0], "split_conditions": [0.5, -1.0, 1.0],
...                      "default_left": [1, 0, 0]}], columns=1)
>>> forest.add([np.float32([0.4, 0.5, np.nan])], np.float32([0, 0, 1])).tolist()
[-1.0, 1.0, 0.0]
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spatialtrust.arrays import Bool, Float32

_DEEPEST: Final = 8
"""Turns that a byte holds; fitted trees have four."""


class _Split(NamedTuple):
    """Left where a column is less than the bound, right elsewhere; unknown goes as it says."""

    column: int
    bound: np.float32
    unknown_left: bool
    left: _Split | None
    right: _Split | None


class _Tree(NamedTuple):
    """Its splits, None: a single leaf; and the leaves by the bits of the turns to them."""

    root: _Split | None
    leaves: Float32


@dataclass(frozen=True)
class Forest:
    """Trees that are added up."""

    trees: tuple[_Tree, ...]

    @classmethod
    def of(cls, trees: Sequence[Mapping[str, Any]], columns: int) -> Self:
        """From xgboost's own form of trees on so many columns.

        Raises
        ------
        ValueError: a tree goes in circles, is deeper than any that is fitted, or reads a column
            that is not there.
        """
        return cls(tuple(_read(tree, columns) for tree in trees))

    def add(self, columns: Sequence[Float32], margin: Float32) -> Float32:
        """(N,) the margin and a leaf of every tree.

        Parameters
        ----------
        columns: (N,) each, in the order of the trees' split indices; NaN: unknown.
        margin: (N,) what the trees start from.
        """
        found = np.array(margin, dtype=np.float32)
        for tree in self.trees:
            turns = [] if tree.root is None else _turns(tree.root, columns)
            if not turns:
                found += tree.leaves[0]
                continue
            leaf = turns[0].view(np.uint8)
            for turn in turns[1:]:
                leaf += leaf
                leaf |= turn.view(np.uint8)
            found += tree.leaves.take(leaf, mode="clip")
        return found


def _turns(split: _Split, columns: Sequence[Float32]) -> list[Bool]:
    """Which claims (N,) go left here, at the next split on their way, and so on; new arrays."""
    column = columns[split.column]
    if split.unknown_left:
        here: Bool = column >= split.bound
        np.logical_not(here, out=here)
    else:
        here = column < split.bound
    left = [] if split.left is None else _turns(split.left, columns)
    right = [] if split.right is None else _turns(split.right, columns)
    return [here, *(_either(here, *sides) for sides in zip_longest(left, right))]


def _either(here: Bool, left: Bool | None, right: Bool | None) -> Bool:
    """The left side's turn for those who go left here, the right's for the others."""
    if right is None:
        return here if left is None else here & left
    if left is None:
        return right > here
    differ = left ^ right
    differ &= here
    differ ^= right
    return differ


def _read(tree: Mapping[str, Any], columns: int) -> _Tree:
    leaves: dict[tuple[bool, ...], float] = {}

    def node(place: int, turns: tuple[bool, ...]) -> _Split | None:
        value = tree["split_conditions"][place]
        children = tree["left_children"][place], tree["right_children"][place]
        if children[0] < 0:
            leaves[turns] = value
            return None
        count = len(tree["left_children"])
        if len(turns) == _DEEPEST or not place < min(children) <= max(children) < count:
            raise ValueError(f"a tree goes in circles, or is deeper than {_DEEPEST}")
        left, right = (
            node(child, (*turns, side)) for side, child in zip((True, False), children, strict=True)
        )
        column, unknown_left = tree["split_indices"][place], bool(tree["default_left"][place])
        if not 0 <= column < columns:
            raise ValueError(f"a tree reads column {column} of {columns}")
        return _Split(column, np.float32(value), unknown_left, left, right)

    root = node(0, ())
    depth = max(map(len, leaves))
    table = np.zeros(2**depth, dtype=np.float32)
    for turns, value in leaves.items():
        # Behind a leaf no turn is left, so the other bits are 0.
        table[sum(side << (depth - 1 - level) for level, side in enumerate(turns))] = value
    return _Tree(root, table)
