"""The script for whoever has a GPU: it can be read, and ends in time."""

from __future__ import annotations

import doctest
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "on_gpu.sh"


def test_it_is_a_shell_script_whose_steps_end_within_eight_minutes() -> None:
    shell = shutil.which("sh")
    assert shell is not None
    subprocess.run([shell, "-n", str(SCRIPT)], check=True)
    steps = re.findall(r"^step (\d+) benchmarks\.(\w+)", SCRIPT.read_text("utf-8"), re.MULTILINE)
    assert len(steps) >= 3
    assert sum(int(seconds) for seconds, _ in steps) < 8 * 60
    for _, name in steps:
        assert (SCRIPT.parent / f"{name}.py").is_file(), name


def test_every_option_of_a_step_is_one_of_its_benchmark() -> None:
    for line in re.findall(r"^step \d+ benchmarks\.(.*)", SCRIPT.read_text("utf-8"), re.MULTILINE):
        name, *rest = line.split()
        said = (SCRIPT.parent / f"{name}.py").read_text("utf-8")
        for option in rest:
            assert not option.startswith("--") or f'"{option}"' in said, (name, option)


def test_time_in_which_a_kernel_runs_is_counted_once() -> None:
    launches = pytest.importorskip("benchmarks.launches", exc_type=ImportError)
    found = doctest.testmod(launches)
    assert found.attempted
    assert not found.failed
    assert launches.covered(launches.np.array([])) == 0
