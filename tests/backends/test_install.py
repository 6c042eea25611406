"""Environments are made once, found again, and made anew when they should be.

A shell script stands in for Python and pip; `make test-slow` makes the real environment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import pytest
import typer
from typer.testing import CliRunner

from spatialtrust.backends import install as module
from spatialtrust.backends.install import Environment, home, install, interpreter
from spatialtrust.cli import backends as cli_backends
from spatialtrust.errors import BackendError, InputError

SCRIPT = """#!/bin/sh
echo "$@" >> {log}
case "$*" in
  *version_info*) echo 3.11 ;;
  "-m venv"*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
  *"pip install"*) echo Collecting everything; test ! -e {fails} || {{ echo no space left; exit 1; }} ;;
esac
"""  # noqa: E501


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    script = tmp_path / "python3.11"
    script.write_text(SCRIPT.format(log=tmp_path / "log", fails=tmp_path / "fails"))
    script.chmod(0o755)
    pins = tmp_path / "pins.txt"
    pins.write_text("one==1\n")
    environment = Environment(pins, "3.11", "import one", "TEST_ENVIRONMENT_PYTHON")
    monkeypatch.setattr(module, "ENVIRONMENTS", MappingProxyType({"test": environment}))
    monkeypatch.setenv("SPATIALTRUST_HOME", str(tmp_path / "home"))
    return str(script)


def _calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "log").read_text().splitlines()


def test_an_environment_is_made_from_its_pins_and_then_found(
    python: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = install("test", python)
    assert made == tmp_path / "home" / "envs" / "test" / "bin" / "python" == interpreter("test")
    assert [call for call in _calls(tmp_path) if call.endswith(f"-r {tmp_path / 'pins.txt'}")]
    printed = capsys.readouterr()
    assert "Collecting everything" in printed.err
    assert printed.out == ""
    steps = len(_calls(tmp_path))
    assert install("test", python) == made
    assert len(_calls(tmp_path)) == steps


def test_other_pins_make_it_anew(python: str, tmp_path: Path) -> None:
    install("test", python)
    (tmp_path / "pins.txt").write_text("one==2\n")
    with pytest.raises(BackendError, match=r"made from other pins.*backends install test"):
        interpreter("test")
    steps = len(_calls(tmp_path))
    install("test", python)
    assert len(_calls(tmp_path)) > steps
    assert interpreter("test").exists()


def test_a_step_that_fails_says_its_last_lines_and_leaves_nothing_usable(
    python: str, tmp_path: Path
) -> None:
    (tmp_path / "fails").touch()
    with pytest.raises(BackendError, match=r"(?s)installing pins.txt failed.*no space left"):
        install("test", python)
    with pytest.raises(BackendError, match="does not exist yet"):
        interpreter("test")
    (tmp_path / "fails").unlink()
    assert install("test", python).exists()


def test_a_python_that_does_not_fit_is_refused(python: str, tmp_path: Path) -> None:
    script = Path(python)
    script.write_text(script.read_text().replace("echo 3.11", "echo 3.13"))
    with pytest.raises(BackendError, match=r"is Python 3\.13; Python 3\.11 is needed"):
        install("test", python)
    with pytest.raises(BackendError, match="is not a Python interpreter"):
        install("test", str(tmp_path / "nothing"))


def test_a_python_that_is_not_here_is_asked_for(
    python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = module.ENVIRONMENTS["test"]
    other = Environment(environment.pins, "3.4", environment.check, environment.variable)
    monkeypatch.setattr(module, "ENVIRONMENTS", {"test": other})
    with pytest.raises(BackendError, match=r"Python 3\.4 was not found.*install python3\.4"):
        install("test")


def test_an_unknown_name_lists_those_that_are_known(python: str) -> None:
    with pytest.raises(InputError, match='did you mean "test"'):
        install("tset", python)


def test_a_home_that_cannot_be_written_says_what_to_set(
    python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPATIALTRUST_HOME", str(tmp_path / "file"))
    with pytest.raises(BackendError, match="set SPATIALTRUST_HOME"):
        install("test", python)


def test_home_is_the_users_cache_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPATIALTRUST_HOME", raising=False)
    assert home() == Path.home() / ".cache" / "spatialtrust"


def test_the_command_prints_where_the_interpreter_is(python: str) -> None:
    app = typer.Typer()
    app.command()(cli_backends.install)
    result = CliRunner().invoke(app, ["test", "--python", python])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"environment": "test", "python": str(interpreter("test"))}
