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
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from benchmarks.fuzz import fuzz
from spatialtrust.backends.tabletop import write_dataset
from spatialtrust.classify.embedded_images import embed_images
from spatialtrust.classify.labelled_images import labelled_images
from spatialtrust.cli import classify, commands
from spatialtrust.cli.judge import judge
from spatialtrust.csp.building import BuildConfig, build
from spatialtrust.csp.questions import read_questions
from spatialtrust.errors import FileError, SpatialTrustError
from spatialtrust.files import _swept
from spatialtrust.io.results import read_results
from spatialtrust.jobs.bags import BagSettings, graph_bag
from spatialtrust.jobs.example_bags import write_bag
from spatialtrust.jobs.labelling import write_labels
from spatialtrust.jobs.moving_camera import BOXES, IMAGE, Drive
from spatialtrust.jobs.verification import verify as judged
from spatialtrust.report import write_label_page, write_report
from spatialtrust.run.config import RunConfig
from spatialtrust.run.folder import LOCK
from spatialtrust.run.plan import execute, prepare
from tests.conftest import ROOT
from tests.helpers.fuzzing import _detections, outcome
from tests.helpers.result_files import questions, tsv
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


@dataclass(frozen=True)
class Given:
    """What commands read; made once for all kills, and never killed in."""

    photos: Path
    run: Path
    bag: Path
    results: Path
    cache: Path
    scenes: Path

    @classmethod
    def made(cls, folder: Path) -> Given:
        """All of it below a folder."""
        photos, boxes = copies(folder / "photos", 4)
        execute(prepare(settings(boxes), folder / "run", [photos]))
        embed_images(folder / "cache", Colours(), labelled_images(photos))
        bag = write_bag(folder / "drive.mcap", Drive(seconds=1.0, rate=4.0, size=64))
        results = tsv(folder / "results.tsv", questions(24))
        rows = write_dataset(folder / "scenes", 1, seed=5).read_text().splitlines()
        (folder / "scenes" / "claims.jsonl").write_text("\n".join(rows[::9]) + "\n")
        return cls(photos, folder / "run", bag, results, folder / "cache", folder / "scenes")


def _graph(given: Given, out: Path) -> None:
    config = settings(given.photos / "boxes.json", overlays=True)
    execute(prepare(config, out / "run", [given.photos]))


def _verify(given: Given, out: Path) -> None:
    commands.verify(ROOT / "data" / "claims.jsonl", out=out / "verdicts.csv")


def _fit(given: Given, out: Path) -> None:
    commands.fit(ROOT / "data" / "claims.jsonl", out / "model.json", certify_only=True)


def _embed(given: Given, out: Path) -> None:
    embed_images(out / "cache", Colours(), labelled_images(given.photos), batch_size=1)


def _score(given: Given, out: Path) -> None:
    classify.score(given.cache, out / "scores.parquet", split="all")


def _label(given: Given, out: Path) -> None:
    write_labels(given.run, out / "labels.csv", 6)
    write_label_page(given.run, out / "labels.csv")


def _report(given: Given, out: Path) -> None:
    write_report(given.run, out / "report.html")


def _judge(given: Given, out: Path) -> None:
    judge(given.results, out=out / "judged.csv", resamples=0)


def _bag(given: Given, out: Path) -> None:
    topics = BagSettings(image=IMAGE, detections=BOXES)
    graph_bag(given.bag, out / "graphs.mcap", topics, RunConfig())


def _build(given: Given, out: Path) -> None:
    build(read_questions(given.scenes / "claims.jsonl"), out / "data", BuildConfig())


COMMANDS: dict[str, Callable[[Given, Path], None]] = {
    "graph": _graph, "verify": _verify, "fit": _fit, "embed": _embed, "score": _score,
    "label": _label, "report": _report, "judge": _judge, "bag": _bag, "csp build": _build,
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
        _swept.clear()  # of folders of this number that are gone
        work()
        out.with_suffix(".count").write_text(str(count))
        status = 0
    finally:
        os._exit(status)


def files(folder: Path) -> dict[str, bytes]:
    """Every file by name, but for locks."""
    found = (file for file in folder.rglob("*") if file.is_file() and file.name != LOCK)
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return Given.made(tmp_path_factory.mktemp("given"))


def alone(work: Callable[[], None], out: Path) -> tuple[dict[str, bytes], int]:
    """What is in ``out`` after something was done that nobody disturbed, and file operations."""
    out.mkdir(parents=True)
    work()  # copies of this process find its libraries loaded
    shutil.rmtree(out)
    out.mkdir()
    assert forked(work, out) == 0
    found = files(out)
    shutil.rmtree(out)
    return found, int(out.with_suffix(".count").read_text())


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_before_each_file_operation_the_same_command_ends_as_if_never(
    name: str, inputs: Given, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def work() -> None:
        COMMANDS[name](inputs, out)

    whole, operations = alone(work, out)
    assert operations >= 3
    for kill_at in range(1, operations + 1):
        out.mkdir()
        ended = forked(work, out, kill_at)
        assert os.WIFSIGNALED(ended), f"{name} was over before operation {kill_at}"
        assert forked(work, out) == 0
        assert files(out) == whole, f"killed before operation {kill_at}"
        shutil.rmtree(out)


def test_killed_two_hundred_times_at_random_commands_end_as_if_never(
    inputs: Given, tmp_path: Path
) -> None:
    """Any command, before any file operation or at any time, and again where it goes on."""
    works = {name: partial(command, inputs, tmp_path / name) for name, command in COMMANDS.items()}
    wholes = {name: alone(work, tmp_path / name) for name, work in works.items()}
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    kills: Counter[str] = Counter()

    def go_on(name: str, **how: Any) -> None:
        out = tmp_path / name
        out.mkdir(exist_ok=True)
        ended = forked(works[name], out, **how)
        assert os.WIFSIGNALED(ended) or ended == 0, name
        kills[name] += os.WIFSIGNALED(ended)
        if ended == 0:
            assert files(out) == wholes[name][0], name
            shutil.rmtree(out)

    while kills.total() < 200:
        name = rng.choice(list(COMMANDS))
        if rng.random() < 0.5:
            go_on(name, kill_at=rng.randrange(1, wholes[name][1] + 1))
        else:
            go_on(name, after=rng.uniform(0.01, 1.0))
    print(f"kills: {dict(kills)}")
    for name in COMMANDS:
        go_on(name)
    assert kills.total() == 200


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_one_error_and_with_room_the_command_goes_on(
    name: str, inputs: Given, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def work() -> None:
        COMMANDS[name](inputs, out)

    def full() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
        try:
            work()
        except FileError:
            os._exit(7)

    whole, _ = alone(work, out)
    out.mkdir()
    assert os.waitstatus_to_exitcode(forked(full, out)) == 7
    assert forked(work, out) == 0
    assert files(out) == whole


def test_two_runs_at_once_make_one(inputs: Given, tmp_path: Path) -> None:
    photos, _ = copies(tmp_path / "photos", 12)
    out = tmp_path / "out"

    def work() -> None:
        _graph(replace(inputs, photos=photos), out)

    whole, _ = alone(work, out)
    out.mkdir()
    processes = []
    for _ in range(2):
        process = os.fork()
        if not process:
            try:
                work()
                os._exit(0)
            except FileError:
                os._exit(7)
            finally:
                os._exit(1)
        processes.append(process)
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    assert 0 in codes
    assert set(codes) <= {0, 7}
    assert files(out) == whole


def test_a_place_that_cannot_be_written_is_named(inputs: Given, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name, command in COMMANDS.items():
        with pytest.raises((SpatialTrustError, SystemExit)):
            command(inputs, tmp_path / "file" / name)


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
    commands.verify(ROOT / "data" / "claims.jsonl", out=tmp_path / "verdicts.csv")
    assert read_results(tmp_path / "verdicts.csv").num_rows > 10
