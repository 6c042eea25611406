"""A run is killed for real, at ten random moments, and goes on each time."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spatialtrust.jobs import execute, prepare
from tests.runs import copies, same, settings, tables

pytestmark = pytest.mark.slow

PROGRAM = """
import sys
from pathlib import Path
from spatialtrust.jobs import execute, prepare
from tests.runs import settings
images, boxes, out = map(Path, sys.argv[1:])
execute(prepare(settings(boxes, overlays=True), out, [images]))
"""


def test_killed_ten_times_at_random_the_result_is_the_uninterrupted_one(tmp_path) -> None:
    images, boxes = copies(tmp_path / "photos", 60)
    started = time.monotonic()
    run(images, boxes, tmp_path / "whole").wait()
    whole_time = time.monotonic() - started
    execute(prepare(settings(boxes, overlays=True), tmp_path / "whole", [images]))
    generator = random.Random(0)
    kills = 0
    for _ in range(10):
        process = run(images, boxes, tmp_path / "killed")
        time.sleep(generator.uniform(0.2, 1.0) * whole_time * 0.9)
        if process.poll() is None:
            kills += 1
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        left = list((tmp_path / "killed").glob("*/*.parquet"))
        assert len(left) <= len(list((tmp_path / "whole").glob("*/*.parquet")))
    assert kills, "the run was over before any kill"
    assert run(images, boxes, tmp_path / "killed").wait() == 0
    assert same(tables(tmp_path / "killed"), tables(tmp_path / "whole"))
    for kind in ("graphs", "overlays"):
        whole = files(tmp_path / "whole" / kind)
        assert len(whole) >= 60
        assert files(tmp_path / "killed" / kind) == whole


def run(images: Path, boxes: Path, out: Path) -> subprocess.Popen[bytes]:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", PROGRAM, str(images), str(boxes), str(out)]
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(command, cwd=root, env={**os.environ, "PYTHONPATH": path})


def files(folder: Path) -> dict[str, bytes]:
    found = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}
