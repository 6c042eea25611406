"""The LAVIS asker against a worker of the real protocol around a model made of arithmetic."""

from __future__ import annotations

import logging
import os
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from spatialtrust.backends import install
from spatialtrust.backends.base import Asker, Options
from spatialtrust.backends.lavis import open_backend
from spatialtrust.backends.lavis.client import TYPES, Lavis, Target
from spatialtrust.backends.lavis.process import WorkerProcess
from spatialtrust.backends.lavis.session import Timeouts
from spatialtrust.errors import BackendError, FileError, InputError
from spatialtrust.tables import Claims
from tests.conftest import ROOT

FAKE = Path(__file__).with_name("fake_lavis_worker.py")
IMAGES = {
    "dark.png": np.full((4, 6, 3), 1, dtype=np.uint8),
    "bright.png": np.full((8, 5, 3), 3, dtype=np.uint8),
}

Make = Callable[..., Lavis]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made = []

    def lavis(config: str = "questions", request: float = 60.0, memory: int = 1 << 20) -> Lavis:
        file = tmp_path / "model.yaml"
        file.write_text(config)
        asker = Lavis(
            Target(None, None, file),
            f"lavis:{file.name}",
            Options(memory=memory),
            python=Path(sys.executable),
            worker=FAKE,
            timeouts=Timeouts(start=60.0, request=request),
        )
        made.append(asker)
        return asker

    yield lavis
    for asker in made:
        asker.close()


def _claims(*subjects: str, image: str = "dark.png") -> Claims:
    return Claims.from_rows(
        {"claim_id": f"{row:03}", "image_id": image, "subject": subject, "relation": "left of",
         "object": "kettle"}
        for row, subject in enumerate(subjects)
    )  # fmt: skip


def _sigmoid(margin: float) -> float:
    return 1 / (1 + np.exp(-margin))


def _exists(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _wait_until_gone(pid: int) -> bool:
    for _ in range(500):
        if not _exists(pid):
            return True
        time.sleep(0.02)
    return False


def _pids(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "pids").read_text().split()]


def test_a_lavis_asker_is_an_asker(make: Make) -> None:
    assert isinstance(make(), Asker)


def test_every_claim_gets_the_answer_to_its_own_question_about_its_own_image(make: Make) -> None:
    names = ("mug", "a very long phrase", "cat")
    rows = [
        {"claim_id": f"{place:03}", "image_id": image, "subject": name, "relation": "left of",
         "object": "kettle"}
        for place, (image, name) in enumerate((i, n) for n in names for i in IMAGES)
    ]  # fmt: skip
    answers = make(memory=2500).ask(IMAGES, Claims.from_rows(rows)).data.to_pylist()
    assert [row["claim_id"] for row in answers] == [row["claim_id"] for row in rows]
    for row, answer in zip(rows, answers, strict=True):
        subject = row["subject"].removeprefix("a ")
        text = f"Question: Is the {subject} left of the kettle? Answer:"
        margin = IMAGES[row["image_id"]].mean() + len(text) / 100
        assert answer["margin"] == pytest.approx(margin, abs=1e-5)
        assert answer["p_yes"] == pytest.approx(_sigmoid(margin), abs=1e-5)
        assert (answer["answer"], answer["status"]) == ("yes", "ok")
        assert answer["entropy"] is None


def test_an_image_is_sent_once_whatever_the_number_of_claims(make: Make, tmp_path: Path) -> None:
    asker = make()
    asker.ask(IMAGES, _claims(*"abcdef"), forms=("claim", "converse"))
    asker.ask(IMAGES, _claims("g"))
    assert (tmp_path / "encoded").read_text().split() == ["1"]


def test_statements_are_scored_and_not_answered(make: Make) -> None:
    row = make().ask(IMAGES, _claims("mug"), prompts=("statement",)).data.to_pylist()[0]
    assert row["loglik_per_token"] == -len("The mug is left of the kettle.")
    assert (row["answer"], row["p_yes"], row["status"]) == (None, None, "ok")


def test_a_matching_model_is_shown_captions(make: Make) -> None:
    row = make("captions").ask(IMAGES, _claims("mug")).data.to_pylist()[0]
    assert row["margin"] == pytest.approx(1 + len("The mug is left of the kettle.") / 100)


def test_a_reply_that_is_neither_yes_nor_no_is_unparsed(make: Make) -> None:
    row = make().ask(IMAGES, _claims("mumbling man")).data.to_pylist()[0]
    assert (row["answer"], row["p_yes"]) == ("unparsed", None)


def test_a_fault_of_one_text_stays_with_its_row(make: Make) -> None:
    subjects = ("mug", "broken mug", "cat", "endless list", "out of memory")
    rows = make().ask(IMAGES, _claims(*subjects)).data.to_pylist()
    assert [row["answer"] for row in rows] == ["yes", None, "yes", None, None]
    assert rows[1]["status"] == "failed: RuntimeError: ValueError: this text is broken"
    assert [rows[3]["status"], rows[4]["status"]] == ["text_too_long", "out_of_memory"]


def test_what_libraries_print_never_reaches_the_protocol(make: Make, tmp_path: Path) -> None:
    rows = make().ask(IMAGES, _claims("mug")).data.to_pylist()
    assert rows[0]["status"] == "ok"  # the fake prints on stdout while it loads


def test_after_a_crash_a_new_worker_gives_the_answer(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        rows = make().ask(IMAGES, _claims("mug", "crash once")).data.to_pylist()
    assert [row["answer"] for row in rows] == ["yes", "yes"]
    assert len(_pids(tmp_path)) == 2
    assert "exit code 3" in caplog.text
    assert "line of the fault on stderr" in caplog.text


def test_a_second_crash_is_an_error_with_the_last_lines_and_the_next_call_works(
    make: Make, tmp_path: Path
) -> None:
    asker = make()
    with pytest.raises(BackendError, match=r"(?s)exit code 3.*line of the fault on stderr"):
        asker.ask(IMAGES, _claims("crash always"))
    assert len(_pids(tmp_path)) == 2
    assert asker.ask(IMAGES, _claims("mug")).strings("answer") == ["yes"]


def test_a_killed_worker_hints_at_memory(make: Make) -> None:
    with pytest.raises(BackendError, match=r"killed by SIGKILL .*out of memory"):
        make().ask(IMAGES, _claims("killed"))


def test_a_crash_while_loading_is_not_tried_again(make: Make, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r'exit code 3 during "load"'):
        make("crash always").ask(IMAGES, _claims("mug"))
    assert len(_pids(tmp_path)) == 1


def test_a_model_that_cannot_be_loaded_says_why(make: Make) -> None:
    with pytest.raises(BackendError, match="could not load the model: ValueError: this text"):
        make("broken").ask(IMAGES, _claims("mug"))


def test_a_request_that_takes_too_long_ends_the_worker_and_its_children(
    make: Make, tmp_path: Path
) -> None:
    asker = make(request=1.0)
    with pytest.raises(BackendError, match=r"did not answer .score. within 1 s"):
        asker.ask(IMAGES, _claims("sleepy"))
    assert _wait_until_gone(_pids(tmp_path)[0])
    assert _wait_until_gone(int((tmp_path / "child").read_text()))
    assert asker.ask(IMAGES, _claims("mug")).strings("answer") == ["yes"]


def test_a_line_that_is_no_reply_is_counted_and_the_reply_waited_for(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(make().ask(IMAGES, _claims("garbled"))) == 1
    assert "not a reply: 'not a reply' (line 1 of that kind)" in caplog.text


def test_closing_ends_the_worker_and_removes_its_files(make: Make, tmp_path: Path) -> None:
    asker = make()
    asker.ask(IMAGES, _claims("mug"))
    scratch = asker.reader.session.scratch
    asker.close()
    assert _wait_until_gone(_pids(tmp_path)[0])
    assert not scratch.exists()


@pytest.mark.parametrize("ending", ["sys.exit()", "os.kill(os.getpid(), signal.SIGKILL)"])
@pytest.mark.parametrize("busy", [False, True])
def test_the_worker_does_not_outlive_its_parent(tmp_path: Path, ending: str, busy: bool) -> None:
    (tmp_path / "model.yaml").write_text("questions")
    script = f"""
import os, signal, sys, threading, time
from pathlib import Path
from spatialtrust.backends.base import Options
from spatialtrust.backends.lavis.client import Lavis, Target
from tests.backends.test_lavis_client import FAKE, IMAGES, _claims
asker = Lavis(Target(None, None, Path(sys.argv[1])), "lavis:x", Options(),
              python=Path(sys.executable), worker=FAKE)
asker.ask(IMAGES, _claims("mug"))
print(asker.reader.session.scratch, flush=True)
if {busy}:
    threading.Thread(target=asker.ask, args=(IMAGES, _claims("sleepy")), daemon=True).start()
    while not (Path(sys.argv[1]).parent / "child").exists():
        time.sleep(0.02)
{ending}
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "model.yaml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    (pid,) = _pids(tmp_path)
    assert _wait_until_gone(pid), done.stderr
    assert not Path(done.stdout.strip()).exists()
    if busy:
        assert _wait_until_gone(int((tmp_path / "child").read_text()))


def _worker(folder: Path, reply: str) -> WorkerProcess:
    """A worker that prints this expression of ``line`` for every request."""
    code = f"import sys\nfor line in sys.stdin: print({reply}, end='', flush=True)"
    return WorkerProcess([sys.executable, "-c", code], folder=folder, environment=dict(os.environ))


def test_an_answer_to_an_interrupted_request_is_not_taken_for_the_next(tmp_path: Path) -> None:
    stale = '{"id": 0}\n'
    worker = _worker(tmp_path, f"{stale!r}")
    with pytest.raises(BackendError, match=r"within 0\.3 s"):
        worker.request({"op": "first"}, timeout=0.3)
    assert not worker.alive
    worker = _worker(tmp_path, f"{stale!r} + line")
    assert worker.request({"op": "first"}, timeout=30) == {"op": "first", "id": 1}
    worker.close()


def test_requests_larger_than_a_pipe_are_carried(tmp_path: Path) -> None:
    worker = _worker(tmp_path, "line")
    text = "x" * 3_000_000
    assert worker.request({"op": text}, timeout=60)["op"] == text
    worker.close()


def test_a_worker_that_does_not_read_is_a_timeout(tmp_path: Path) -> None:
    worker = WorkerProcess(["sleep", "60"], folder=tmp_path, environment=dict(os.environ))
    with pytest.raises(BackendError, match=r"within 0\.3 s"):
        worker.request({"op": "x" * 3_000_000}, timeout=0.3)


def test_a_worker_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="cannot be started"):
        WorkerProcess(["no-such-program"], folder=tmp_path, environment=dict(os.environ))


def test_a_pickled_asker_starts_a_worker_of_its_own(make: Make, tmp_path: Path) -> None:
    asker = make()
    asker.ask(IMAGES, _claims("mug"))
    copy = pickle.loads(pickle.dumps(asker))
    assert copy.ask(IMAGES, _claims("mug")).data.equals(asker.ask(IMAGES, _claims("mug")).data)
    copy.close()
    assert len(set(_pids(tmp_path))) == 2


def test_the_revision_is_known_once_the_model_is(make: Make) -> None:
    asker = make()
    assert asker.revision is None
    asker.ask(IMAGES, _claims("mug"))
    assert asker.revision == "sha256:fake"


@pytest.mark.parametrize(
    ("target", "kind", "message"),
    [
        ("blip2_otp/pretrain_opt2.7b", InputError, 'did you mean "blip2_opt"'),
        ("blip2_opt/pretrain_opt27b", InputError, 'did you mean "pretrain_opt2.7b"'),
        ("blip2_opt", InputError, "valid: pretrain_opt2.7b"),
        ("no/such.yaml", FileError, "does not exist"),
    ],
)
def test_a_wrong_reference_says_what_is_valid(
    target: str, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=re.escape(message)):
        open_backend(target, f"lavis:{target}", Options())


def test_without_its_environment_the_command_that_makes_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPATIALTRUST_HOME", str(tmp_path))
    monkeypatch.delenv("SPATIALTRUST_LAVIS_PYTHON", raising=False)
    target = f"blip2_opt/{TYPES['blip2_opt'][0]}"
    with pytest.raises(BackendError, match="spatialtrust backends install lavis"):
        open_backend(target, f"lavis:{target}", Options())


def test_an_interpreter_made_by_other_means_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPATIALTRUST_LAVIS_PYTHON", sys.executable)
    assert install.interpreter("lavis") == Path(sys.executable)
    monkeypatch.setenv("SPATIALTRUST_LAVIS_PYTHON", str(tmp_path))
    with pytest.raises(BackendError, match="not a program"):
        install.interpreter("lavis")


def test_nothing_of_lavis_is_imported_here() -> None:
    code = (
        "import sys, spatialtrust.backends.lavis\n"
        "print(sorted({'lavis', 'torch', 'transformers'} & set(sys.modules)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"


def test_the_conda_environment_repeats_the_pins_that_ship() -> None:
    pins_file = install.ENVIRONMENTS["lavis"].pins
    dependencies = yaml.safe_load((ROOT / "environment-lavis.yml").read_text())["dependencies"]
    assert f"python={install.ENVIRONMENTS['lavis'].python}" in dependencies
    constraint, *listed = next(entry["pip"] for entry in dependencies if isinstance(entry, dict))
    assert constraint == f"-c {pins_file.relative_to(ROOT)}"
    first_block = pins_file.read_text().split("\n\n")[0].splitlines()
    assert listed == [line for line in first_block if not line.startswith("#")]


def test_every_line_of_the_pins_is_an_exact_version() -> None:
    lines = install.ENVIRONMENTS["lavis"].pins.read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in pins)
    assert len({line.split("==")[0] for line in pins}) == len(pins)
    assert pins[0].startswith("salesforce-lavis==")
