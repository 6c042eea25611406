"""Where things are in space: depth within their boxes, through the camera's calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_MIDDLE: Final = 0.5
"""Share of a box's sides within which depth is looked at: its edges show what is behind."""

_KNOWN: Final = 0.1
"""Share of those pixels that must have depth."""


def positions_of(
    boxes: Mapping[str, Sequence[float]],
    size: tuple[int, int],
    metres: NDArray[np.float32],
    matrix: NDArray[np.float64],
) -> dict[str, tuple[float, float, float]]:
    """Metres of each thing, x right, y down, z ahead; those without depth are left out.

    Parameters
    ----------
    boxes: id to ``x1, y1, x2, y2`` in pixels of a picture of this size.
    metres: (H, W) depth as the same camera sees it; a picture of another size is scaled to it.
    matrix: (3, 3) the camera's, for the picture.

    >>> depth = np.full((10, 10), 2.0, dtype=np.float32)
    >>> camera = np.array([[10.0, 0, 5], [0, 10.0, 5], [0, 0, 1]])
    >>> positions_of({"a": (4, 4, 6, 6)}, (10, 10), depth, camera)
    {'a': (0.0, 0.0, 2.0)}
    """
    height, width = metres.shape
    across, down = width / size[0], height / size[1]
    found = {}
    for name, (x1, y1, x2, y2) in boxes.items():
        u, v = (x1 + x2) / 2, (y1 + y2) / 2
        half = (x2 - x1) * _MIDDLE / 2, (y2 - y1) * _MIDDLE / 2
        left, right = sorted((int((u - half[0]) * across), int(np.ceil((u + half[0]) * across))))
        top, bottom = sorted((int((v - half[1]) * down), int(np.ceil((v + half[1]) * down))))
        part = metres[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        known = part[np.isfinite(part)]
        if not part.size or known.size < _KNOWN * part.size:
            continue
        z = float(np.median(known))
        x = (u - matrix[0, 2]) * z / matrix[0, 0]
        y = (v - matrix[1, 2]) * z / matrix[1, 1]
        found[name] = (float(x), float(y), z)
    return found


def matrix_of(message: Any) -> NDArray[np.float64]:
    """The camera matrix of a ``sensor_msgs/CameraInfo``.

    Raises
    ------
    InputError: the message has none, or it was never calibrated.
    """
    values = getattr(message, "k", getattr(message, "K", None))
    if values is None or np.size(values) != 9:
        raise InputError("the message is no sensor_msgs/CameraInfo: it has no camera matrix")
    matrix = np.asarray(values, dtype=np.float64).reshape(3, 3)
    if not np.isfinite(matrix).all() or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise InputError("the camera was never calibrated: its focal lengths are not above 0")
    return matrix
