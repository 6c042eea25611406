"""Array types by what they hold; shapes stand in the docstrings. And memory to use again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]
Int64 = NDArray[np.int64]
Integers = NDArray[np.integer[Any]]
Bool = NDArray[np.bool_]
Pixels = NDArray[np.uint8]
"""An image: (H, W, 3) RGB, upright."""


class Scratch:
    """Memory that is used again piece after piece: fresh pages cost more than what fills them.

    What it hands out holds whatever was there before, and is overwritten by the next request of the
    same name. One thread, one scratch.

    >>> scratch = Scratch()
    >>> scratch.array("values", (2, 3)).shape
    (2, 3)
    >>> scratch.array("values", (1, 3)).base is scratch.array("values", (2, 1)).base
    True
    """

    def __init__(self) -> None:
        self._kept: dict[str, Float32] = {}

    def array(self, name: str, shape: tuple[int, int]) -> Float32:
        """Uninitialised float32 of this shape."""
        size = shape[0] * shape[1]
        if name not in self._kept or self._kept[name].size < size:
            self._kept[name] = np.empty(size, dtype=np.float32)
        return self._kept[name][:size].reshape(shape)
