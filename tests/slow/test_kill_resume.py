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

from spatialtrust.run.folder import LOCK
from spatialtrust.run.plan import execute, prepare
from tests.helpers.runs import copies, same, settings, tables

pytestmark = pytest.mark.slow

PROGRAM = """
import sys
from pathlib import Path
from spatialtrust.run.folder import LOCK
from spatialtrust.run.plan import execute, prepare
from tests.helpers.runs import settings
images, boxes, out = map(Path, sys.argv[1:])
execute(prepare(settings(boxes, overlays=True), out, [images]))
"""


def test_killed_ten_times_at_random_the_result_is_the_uninterrupted_one(tmp_path) -> None:
    images, boxes = copies(tmp_path / "photos", 30)
    execute(prepare(settings(boxes, overlays=True), tmp_path / "whole", [images]))
    total = len(files(tmp_path / "whole"))
    generator = random.Random(0)
    # By files written, not by the clock: a busy machine must not let the run slip away.
    for moment in sorted(generator.sample(range(1, total - 5), 10)):
        process = run(images, boxes, tmp_path / "killed")
        while process.poll() is None and count(tmp_path / "killed") < moment:
            time.sleep(0.002)
        time.sleep(generator.uniform(0, 0.02))
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the run was over before the kill"
    assert run(images, boxes, tmp_path / "killed").wait() == 0
    assert same(tables(tmp_path / "killed"), tables(tmp_path / "whole"))
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def count(folder: Path) -> int:
    return sum(1 for file in folder.rglob("*") if file.is_file())


def run(images: Path, boxes: Path, out: Path) -> subprocess.Popen[bytes]:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", PROGRAM, str(images), str(boxes), str(out)]
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(command, cwd=root, env={**os.environ, "PYTHONPATH": path})


def files(folder: Path) -> dict[str, bytes]:
    """Every file by name, but for the lock."""
    found = (file for file in folder.rglob("*") if file.is_file() and file.name != LOCK)
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}
