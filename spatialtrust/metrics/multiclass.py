"""How good whole rows of class probabilities are, against the true classes.

The other metrics speak of one confidence an answer; these of all classes at once, so that
temperature scaling and its rivals can be compared as in the literature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spatialtrust.errors import InputError
from spatialtrust.numbers import as_numbers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from spatialtrust.arrays import Float64

_TOLERANCE = 1e-3
_LEAST = float(np.finfo(np.float64).eps)


def log_losses(probabilities: ArrayLike, labels: ArrayLike) -> Float64:
    """Of each row, ``-log p_y``, with p_y at least 2.2e-16 as in scikit-learn; float64 (N,).

    >>> log_losses([[0.5, 0.5], [0.0, 1.0]], [0, 1]).round(3)
    array([0.693, 0.   ])
    """
    p, y = _checked(probabilities, labels)
    return np.asarray(-np.log(np.clip(p[np.arange(len(y)), y], _LEAST, 1.0)) + 0.0)


def brier_losses(probabilities: ArrayLike, labels: ArrayLike) -> Float64:
    """Of each row, ``sum_k (p_k - [k = y])^2``, in [0, 2]; float64 (N,).

    >>> brier_losses([[0.5, 0.5], [0.0, 1.0]], [0, 1])
    array([0.5, 0. ])
    """
    p, y = _checked(probabilities, labels)
    return np.asarray(np.square(p).sum(axis=1) - 2 * p[np.arange(len(y)), y] + 1)


def log_loss(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Mean of `log_losses`: the negative log-likelihood per row. NaN without rows.

    Raises
    ------
    InputError: rows that are no probabilities, or labels that are no class, naming the row.

    >>> round(log_loss([[0.5, 0.5], [0.0, 1.0]], [0, 1]), 4)
    0.3466
    """
    losses = log_losses(probabilities, labels)
    return float(losses.mean()) if losses.size else float("nan")


def brier_multiclass(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Mean of `brier_losses`, in [0, 2]; `brier` is of the top answer alone. NaN without rows.

    Raises
    ------
    InputError: rows that are no probabilities, or labels that are no class, naming the row.

    Source: Brier 1950, Monthly Weather Review 78(1).

    >>> brier_multiclass([[0.5, 0.5], [0.0, 1.0]], [0, 1])
    0.25
    """
    losses = brier_losses(probabilities, labels)
    return float(losses.mean()) if losses.size else float("nan")


def _checked(
    probabilities: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    p = np.asarray(as_numbers(probabilities, "probabilities"), dtype=np.float64)
    if p.ndim != 2:
        raise InputError(f"probabilities: have shape {p.shape}; give (rows, classes)")
    bad = ~(np.isfinite(p).all(axis=1) & (p >= 0).all(axis=1))
    bad |= ~(np.abs(p.sum(axis=1) - 1) <= _TOLERANCE)
    if bad.any():
        raise InputError(
            f"probabilities: row {int(bad.argmax())} is no distribution (values from 0 on that sum "
            "to 1); take the softmax of logits first"
        )
    y = as_numbers(labels, "labels")
    if y.shape != (len(p),) or y.dtype.kind not in "iu":
        raise InputError(
            f"labels: have shape {y.shape} and dtype {y.dtype}; give one class index for each of "
            f"the {len(p)} rows"
        )
    outside = (y < 0) | (y >= p.shape[1])
    if outside.any():
        row = int(outside.argmax())
        raise InputError(
            f"labels: row {row} is {y[row]}; with {p.shape[1]} classes valid labels are 0 to "
            f"{p.shape[1] - 1}"
        )
    return p, y.astype(np.int64)
