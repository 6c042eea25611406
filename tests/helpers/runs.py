"""Small runs for tests: drawn scenes with recorded boxes and answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from spatialtrust.io.parquet import read_table
from spatialtrust.run.config import RunConfig
from tests.conftest import ROOT

SCENES = ROOT / "data" / "still_lifes"
TABLES = ("images", "detections", "claims", "evidence", "scores", "verdicts", "scenes")


def copies(folder: Path, count: int) -> tuple[Path, Path]:
    """A folder of ``count`` images in two subfolders, and the file of their boxes."""
    listed = json.loads((SCENES / "boxes.json").read_text())
    boxes = []
    for number in range(count):
        scene = listed[number % len(listed)]
        name = f"{'ab'[number % 2]}/{number:04d}.jpg"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SCENES / scene["file_name"], folder / name)
        boxes.append({**scene, "file_name": name})
    (folder / "boxes.json").write_text(json.dumps(boxes))
    return folder, folder / "boxes.json"


def settings(boxes: Path, **options: Any) -> RunConfig:
    """Settings of a small run: recorded boxes, parts of two images, no pictures."""
    options = {"part_size": 2, "overlays": False, **options}
    return RunConfig(detector=f"recorded:{boxes}", **options)


def tables(run: Path, names: tuple[str, ...] = TABLES) -> dict[str, pa.Table]:
    """A run's tables, rows in the order of their first column."""
    found = {name: read_table(run / name) for name in names}
    return {name: table.sort_by(table.column_names[0]) for name, table in found.items()}


def same(one: dict[str, pa.Table], two: dict[str, pa.Table]) -> bool:
    """Whether tables hold the same values; NaN equals NaN."""
    return {n: t.to_pydict().__repr__() for n, t in one.items()} == {
        n: t.to_pydict().__repr__() for n, t in two.items()
    }


def close(one: dict[str, pa.Table], two: dict[str, pa.Table]) -> bool:
    """The same with floats within 1e-5: other cuts add up in another order."""
    return all(_close(table, two[name]) for name, table in one.items())


def _close(one: pa.Table, two: pa.Table) -> bool:
    # A graph's text repeats the verdicts, digit for digit.
    names = [name for name in one.column_names if name != "graph"]
    assert set(names) <= set(two.column_names)
    for name in names:
        left, right = one[name], two[name]
        if pa.types.is_floating(left.type):
            if not np.allclose(left.to_numpy(), right.to_numpy(), 0, 1e-5, equal_nan=True):
                return False
        elif left.to_pylist() != right.to_pylist():
            return False
    return True
