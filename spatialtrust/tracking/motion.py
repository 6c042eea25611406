"""Boxes that move: a Kalman filter with constant velocity for each edge of each box.

Lengths are counted in extents of the box itself, so one setting serves any resolution and any
distance, and the four edges of a box share one 2 x 2 covariance of place and velocity.

Source: Kalman 1960, A new approach to linear filtering and prediction problems; the model of
constant velocity with white acceleration as in Bar-Shalom, Li and Kirubarajan 2001, section 6.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from spatialtrust.arrays import Float64

MEASURED: Final = 0.04
"""Standard deviation of a detector's edge, in extents of its box."""

ACCELERATION: Final = 1.0
"""Standard deviation of the acceleration, in extents a second squared."""

_FIRST_SPEED: Final = 1.5
"""Standard deviation of the velocity of a box that was seen once, in extents a second."""


def extent(boxes: Float64) -> Float64:
    """(N,) mean of width and height; at least one pixel.

    >>> extent(np.array([[0.0, 0.0, 4.0, 2.0]])).tolist()
    [3.0]
    """
    sides = boxes[..., 2:] - boxes[..., :2]
    return np.asarray(np.maximum(sides.mean(axis=-1), 1.0))


def begin(boxes: Float64) -> tuple[Float64, Float64]:
    """State and covariance of boxes that are seen for the first time.

    Parameters
    ----------
    boxes: (N, 4) ``x1, y1, x2, y2`` in pixels.

    Returns
    -------
    States (N, 4, 2): place in pixels and velocity in pixels a second of each edge; covariances
    (N, 2, 2) in extents.
    """
    state = np.stack([boxes, np.zeros_like(boxes)], axis=-1)
    covariance = np.zeros((len(boxes), 2, 2))
    covariance[:, 0, 0] = MEASURED**2
    covariance[:, 1, 1] = _FIRST_SPEED**2
    return state, covariance


def predict(state: Float64, covariance: Float64, seconds: float) -> tuple[Float64, Float64]:
    """State and covariance so many seconds later.

    >>> state, covariance = begin(np.array([[0.0, 0.0, 10.0, 10.0]]))
    >>> state[..., 1] = 5.0
    >>> predict(state, covariance, 2.0)[0][0, :, 0].tolist()
    [10.0, 10.0, 20.0, 20.0]
    """
    step = np.array([[1.0, seconds], [0.0, 1.0]])
    noise = ACCELERATION**2 * np.array(
        [[seconds**4 / 4, seconds**3 / 2], [seconds**3 / 2, seconds**2]]
    )
    return state @ step.T, step @ covariance @ step.T + noise


def correct(state: Float64, covariance: Float64, boxes: Float64) -> tuple[Float64, Float64]:
    """State and covariance after boxes were measured, (N, 4) in pixels."""
    gain = covariance[:, :, 0] / (covariance[:, 0, 0] + MEASURED**2)[:, None]
    corrected = state + (boxes - state[..., 0])[..., None] * gain[:, None, :]
    left = np.eye(2) - gain[:, :, None] * np.array([1.0, 0.0])
    return corrected, left @ covariance
