"""Array types by what they hold; shapes stand in the docstrings."""

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
