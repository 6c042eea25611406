"""Folds by image: what is scored is scored by something that has not seen its image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def deal(groups: NDArray[Any], folds: int, seed: int = 0) -> NDArray[np.int64]:
    """(N,) fold of each row, 0 to ``folds`` - 1; the rows of one group, an image, share one.

    >>> deal(np.array(["a", "b", "a", "c"]), 3).tolist()
    [2, 0, 2, 1]
    """
    code = np.unique(groups, return_inverse=True)[1]
    order = np.random.default_rng(seed).permutation(int(code.max(initial=-1)) + 1)
    fold: NDArray[np.int64] = (order % folds)[code]
    return fold
