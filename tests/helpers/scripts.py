"""The scripts in ``pipelines/`` as modules: they are not part of the package."""

from __future__ import annotations

import importlib.util
from typing import Any

from tests.conftest import ROOT


def load(name: str) -> Any:
    """The script ``pipelines/NAME.py``."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "pipelines" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
