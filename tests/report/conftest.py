"""Small runs that pages are made of."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from spatialtrust.io.parquet import read_table
from spatialtrust.run.plan import execute, prepare
from spatialtrust.tables import Claims
from tests.helpers.runs import copies, settings


@pytest.fixture(scope="session")
def still_lifes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Eight images, and the file of their boxes."""
    return copies(tmp_path_factory.mktemp("report") / "photos", 8)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, still_lifes: tuple[Path, Path]) -> Path:
    """A run of them, by boxes alone, without labels."""
    images, boxes = still_lifes
    run = images.parent / "run"
    execute(prepare(settings(boxes), run, [images]))
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory, finished: Path) -> Path:
    """Claims that somebody else wrote and labelled, not repaired: a certificate is on offer."""
    claims = Claims.from_arrow(read_table(finished / "claims")).sorted()
    rows = claims.data.select(
        ["claim_id", "image_id", "subject", "relation", "object", "subject_id", "object_id"]
    ).to_pylist()
    given = [row | {"source": "mine", "label": int(n % 3 > 0)} for n, row in enumerate(rows)]
    photos = finished.parent / "photos"
    out = tmp_path_factory.mktemp("labelled") / "run"
    config = settings(photos / "boxes.json", repair=False)
    execute(prepare(config, out, [photos], Claims.from_rows(given)))
    return out
