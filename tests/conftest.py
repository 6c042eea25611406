"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

# One thread a process: tiny models on contended threads are hundreds of times slower. Libraries
# read these when they are loaded, so they are set before any of them is imported.
# No test downloads anything.
for _name, _value in {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}.items():
    os.environ.setdefault(_name, _value)

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

# Speed is measured in benchmarks/, never in tests; examples are the same on every run.
settings.register_profile("spatialtrust", deadline=None, derandomize=True)
settings.load_profile("spatialtrust")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Labelled statements (VSR with COCO boxes), which are not shipped.

    Their folder is ``$SPATIALTRUST_SHARED_DATA``, or ``shared/data`` beside the repository.
    """
    folder = Path(os.environ.get("SPATIALTRUST_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "vsr_boxes").is_dir():
        pytest.skip("needs labelled statements, which are not shipped: see CONTRIBUTING.md")
    return folder


@pytest.fixture(scope="session")
def golden() -> Path:
    """Numbers from reference implementations (``tests/golden/README.md``)."""
    return ROOT / "tests" / "golden"
