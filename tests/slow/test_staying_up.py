"""Killed before every file operation, on a full disk, by two at once, and with input gone wild."""

from __future__ import annotations

import json
import os
import random
import resource
import secrets
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from benchmarks.fuzz import fuzz
from spatialtrust.classify.embedded_images import embed_images
from spatialtrust.classify.labelled_images import labelled_images
from spatialtrust.cli.commands import verify
from spatialtrust.errors import FileError, SpatialTrustError
from spatialtrust.fusion.model import TrustModel
from spatialtrust.io.results import read_results
from spatialtrust.jobs.verification import verify as judged
from spatialtrust.run.folder import LOCK
from spatialtrust.run.plan import execute, prepare
from tests.conftest import ROOT
from tests.helpers.fuzzing import _detections, outcome
from tests.helpers.runs import copies, settings

pytestmark = pytest.mark.slow

EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.truncate")


class Colours:
    """An embedder that sees the mean colour."""

    needs_pixels = True
    reference, revision, logit_scale = "colours", "1", 100.0

    def embed_images(self, pixels: Any) -> Any:
        return np.stack([picture.mean(axis=(0, 1)) for picture in pixels]).astype(np.float32)

    def embed_texts(self, texts: Any) -> Any:
        return np.array([[len(text), 1, 2] for text in texts], dtype=np.float32)


def _graph(given: Path, out: Path) -> None:
    execute(prepare(settings(given / "boxes.json", overlays=True), out / "run", [given]))


def _verify(given: Path, out: Path) -> None:
    verify(ROOT / "data" / "claims.jsonl", out=out / "verdicts.csv")


def _fit(given: Path, out: Path) -> None:
    TrustModel.load("tabletop-clip").save(out / "model.json")


def _embed(given: Path, out: Path) -> None:
    embed_images(out / "cache", Colours(), labelled_images(given), batch_size=1)


COMMANDS: dict[str, Callable[[Path, Path], None]] = {
    "graph": _graph, "verify": _verify, "fit": _fit, "embed": _embed,
}  # fmt: skip


def forked(work: Callable[[], None], out: Path, kill_at: int = 0, after: float = 0) -> int:
    """Do something in a copy of this process; how it ended, and in ``out.count`` its operations.

    Parameters
    ----------
    kill_at: the file operation below ``out`` before which it is killed; 0: none.
    after: seconds after which it is killed; 0: never.
    """
    process = os.fork()
    if process:
        return os.waitpid(process, 0)[1]
    count = 0

    def watch(event: str, arguments: Any) -> None:
        nonlocal count
        if event in EVENTS and str(out) in str(arguments[0]):
            count += 1
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    status = 1
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        if after:
            signal.setitimer(signal.ITIMER_REAL, after)
        sys.addaudithook(watch)
        work()
        out.with_suffix(".count").write_text(str(count))
        status = 0
    finally:
        os._exit(status)


def files(folder: Path) -> dict[str, bytes]:
    """Every file by name, but for locks."""
    found = (file for file in folder.rglob("*") if file.is_file() and file.name != LOCK)
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_before_each_file_operation_the_same_command_ends_as_if_never(
    name: str, tmp_path: Path
) -> None:
    given, _ = copies(tmp_path / "photos", 4)
    whole, out = tmp_path / "whole", tmp_path / "out"
    command = COMMANDS[name]
    whole.mkdir()
    (tmp_path / "warm").mkdir()
    command(given, tmp_path / "warm")  # copies of this process find its libraries loaded
    assert forked(lambda: command(given, whole), whole) == 0
    operations = int(whole.with_suffix(".count").read_text())
    assert operations >= 3
    for kill_at in range(1, operations + 1):
        out.mkdir()
        ended = forked(lambda: command(given, out), out, kill_at)
        assert os.WIFSIGNALED(ended), f"{name} was over before operation {kill_at}"
        assert forked(lambda: command(given, out), out) == 0
        assert files(out) == files(whole), f"killed before operation {kill_at}"
        shutil.rmtree(out)


def test_killed_a_hundred_times_at_random_a_run_ends_as_if_never(tmp_path: Path) -> None:
    given, _ = copies(tmp_path / "photos", 12)
    whole, out = tmp_path / "whole", tmp_path / "out"
    whole.mkdir()
    _graph(given, tmp_path / "warm")
    forked(lambda: _graph(given, whole), whole)
    operations = int(whole.with_suffix(".count").read_text())
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    kills = 0
    while kills < 100:
        out.mkdir(exist_ok=True)
        how = {"kill_at": rng.randrange(1, operations)} if rng.random() < 0.5 else {
            "after": rng.uniform(0.01, 1.0)
        }  # fmt: skip
        ended = forked(lambda: _graph(given, out), out, **how)
        kills += os.WIFSIGNALED(ended)
        assert os.WIFSIGNALED(ended) or ended == 0
        if ended == 0:
            assert files(out) == files(whole)
            shutil.rmtree(out)
    out.mkdir(exist_ok=True)
    assert forked(lambda: _graph(given, out), out) == 0
    assert files(out) == files(whole)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_one_error_and_with_room_the_command_goes_on(
    name: str, tmp_path: Path
) -> None:
    given, _ = copies(tmp_path / "photos", 4)
    whole, out = tmp_path / "whole", tmp_path / "out"
    whole.mkdir()
    out.mkdir()
    command = COMMANDS[name]
    assert forked(lambda: command(given, whole), whole) == 0

    def full() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
        try:
            command(given, out)
        except FileError:
            os._exit(7)

    assert os.waitstatus_to_exitcode(forked(full, out)) == 7
    assert forked(lambda: command(given, out), out) == 0
    assert files(out) == files(whole)


def test_two_runs_at_once_make_one(tmp_path: Path) -> None:
    given, _ = copies(tmp_path / "photos", 12)
    whole, out = tmp_path / "whole", tmp_path / "out"
    whole.mkdir()
    out.mkdir()
    forked(lambda: _graph(given, whole), whole)
    processes = []
    for _ in range(2):
        process = os.fork()
        if not process:
            try:
                _graph(given, out)
                os._exit(0)
            except FileError:
                os._exit(7)
            finally:
                os._exit(1)
        processes.append(process)
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    assert 0 in codes
    assert set(codes) <= {0, 7}
    assert files(out) == files(whole)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    given, _ = copies(tmp_path / "photos", 2)
    (tmp_path / "file").write_text("")
    for name, command in COMMANDS.items():
        with pytest.raises((SpatialTrustError, SystemExit)):
            command(given, tmp_path / "file" / name)


def test_mutated_files_are_read_or_refused_by_every_reader(tmp_path: Path) -> None:
    found = fuzz(tmp_path, 1_000_000_000, seconds=60)
    print(f"seed {found['seed']}, {found['done']} inputs")
    assert found["failures"] == {}
    assert found["done"] > 100


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["caption", "subject", "relation", "object", "subject_box", "object_box", "answer", "p_yes",
     "label", "image", "width", "height", "claim_id", "box_format", "box_unit", "x"]
)  # fmt: skip
QUICK = effort(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


@QUICK
@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=8), max_size=4))
def test_rows_of_any_values_are_judged_or_refused(rows: list[dict[str, Any]]) -> None:
    good = {
        "caption": "The mug is left of the kettle.",
        "subject_box": [0.2, 0.5, 0.1, 0.1],
        "object_box": [0.8, 0.5, 0.2, 0.3],
    }
    options = {"box_format": "cxcywh", "box_unit": "fraction"}
    alone = judged([good], **options).verdicts.data["p_true"][0].as_py()
    try:
        found = judged([good, *rows], **options).verdicts
    except SpatialTrustError:
        return
    assert found.data["p_true"][0].as_py() == pytest.approx(alone)


@QUICK
@given(VALUES, st.integers(0, 2))
def test_recorded_boxes_of_any_shape_are_read_or_refused(value: Any, place: int) -> None:
    import tempfile

    seeds = _detections()
    whole = json.loads(seeds[place % len(seeds)])
    inner = whole if isinstance(whole, list) else list(whole.values())[-1]
    inner.append(value)
    with tempfile.TemporaryDirectory() as folder:
        outcome("detections", json.dumps(whole).encode(), Path(folder))


def test_results_that_are_read_again_are_as_they_were(tmp_path: Path) -> None:
    _verify(tmp_path, tmp_path)
    assert read_results(tmp_path / "verdicts.csv").num_rows > 10
