"""Makes a torchvision import that was built for another device than torch.

torchvision's compiled part registers its operators with torch. Where the two builds differ (a CUDA
torchvision beside a CPU torch, which package indexes hand out), that part does not load, and
importing torchvision ends in ``operator torchvision::nms does not exist`` although its transforms
and models need none of it. Declaring the two operators that the import looks for is enough. Calling
them still fails, with torchvision's own message, and ``torchvision.io`` stays broken.

Standard library and torch only: the LAVIS worker runs this file in its own environment.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final

_SYMPTOM: Final = "operator torchvision::nms does not exist"
_SCHEMAS: Final = tuple(
    f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor" for name in ("nms", "qnms")
)
_DECLARED: Final[list[Any]] = []  # torch drops operators when their library object is collected


def import_torchvision() -> bool:
    """Import torchvision, declaring its operators where their absence is what stops it.

    Returns
    -------
    True where they had to be declared, False where torchvision imported by itself.

    Raises
    ------
    ImportError, RuntimeError: torchvision is not installed, or fails for another reason.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if _SYMPTOM not in str(error):
            raise
    else:
        return False
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]  # the half-imported modules of the first try
    import torch

    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for schema in _SCHEMAS:
        library.define(schema)
    _DECLARED.append(library)
    importlib.import_module("torchvision")
    return True
