"""A run over a bag that is killed again and again ends in the same file."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from spatialtrust.jobs.example_bags import write_bag
from spatialtrust.jobs.moving_camera import BOXES, IMAGE, Drive

CODE = (
    "import sys; from spatialtrust.jobs import bag_parts; bag_parts.FRAMES = 10;"
    "from spatialtrust.cli import main; main()"
)


@pytest.mark.slow
def test_a_run_that_is_killed_ends_in_the_same_bytes(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "drive.mcap", Drive(seconds=10, rate=15, size=96))
    given = ["bag", "graph", str(bag), "--image", IMAGE, "--detections", BOXES, "--out"]

    def command(out: str) -> list[str]:
        return [sys.executable, "-c", CODE, *given, str(tmp_path / out)]

    subprocess.run(command("whole.mcap"), check=True, capture_output=True)
    kills = 0
    parts = tmp_path / "killed.mcap.parts"
    for wanted in (2, 5, 9):
        with subprocess.Popen(
            command("killed.mcap"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as run:
            while run.poll() is None and len(list(parts.glob("part-*.json"))) < wanted:
                time.sleep(0.02)
            kills += run.poll() is None
            run.kill()
    subprocess.run(command("killed.mcap"), check=True, capture_output=True)
    assert kills >= 2
    assert (tmp_path / "killed.mcap").read_bytes() == (tmp_path / "whole.mcap").read_bytes()
