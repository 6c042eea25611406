"""Short rendered drives as bags of every kind, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from spatialtrust.jobs.example_bags import write_bag
from spatialtrust.jobs.moving_camera import Drive

DRIVE = Drive(seconds=2.0, rate=10.0, size=96)


@pytest.fixture(scope="session")
def bags(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Kind to bag; all of the same drive."""
    folder = tmp_path_factory.mktemp("bags")
    names = {"mcap": "drive.mcap", "ros1": "drive.bag", "sqlite3": "drive"}
    return {form: write_bag(folder / name, DRIVE, form) for form, name in names.items()}
