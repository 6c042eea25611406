"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Speed is measured in benchmarks/, never in tests; examples are the same on every run.
settings.register_profile("spatialtrust", deadline=None, derandomize=True)
settings.load_profile("spatialtrust")

ROOT = Path(__file__).resolve().parents[1]


def _shared(*parts: str) -> Path:
    root = Path(os.environ.get("SPATIALTRUST_SHARED", ROOT.parent / "shared"))
    folder = root.joinpath(*parts)
    if not folder.is_dir():
        pytest.skip(f"needs the developers' data folder {'/'.join(parts)}, which is not shipped")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Labelled data for development; not shipped."""
    if given := os.environ.get("SPATIALTRUST_SHARED_DATA"):
        return Path(given)
    return _shared("data")


@pytest.fixture(scope="session")
def golden() -> Path:
    """Numbers from reference implementations; not shipped."""
    return _shared("golden")
