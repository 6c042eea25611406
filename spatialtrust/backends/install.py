"""Environments for packages that cannot live beside this one: made once, from shipped pins.

``spatialtrust backends install lavis`` calls :func:`install`. What was made is found again by
:func:`interpreter`. Environments are made with venv and pip, below ``$SPATIALTRUST_HOME/envs``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from spatialtrust.documents import read_object
from spatialtrust.errors import BackendError, InputError, suggest
from spatialtrust.files import write_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_HERE: Final = Path(__file__).resolve().parent
_STAMP: Final = "installed.json"
_TAIL_LINES: Final = 15


@dataclass(frozen=True, slots=True)
class Environment:
    """What an environment is made of.

    Attributes
    ----------
    pins: requirements file with exact versions.
    python: the only Python version for which all pinned packages have wheels.
    check: code that fails where the environment does not work.
    variable: environment variable that names an interpreter made by other means (conda).
    """

    pins: Path
    python: str
    check: str
    variable: str


ENVIRONMENTS: Final[Mapping[str, Environment]] = MappingProxyType(
    {
        "lavis": Environment(
            pins=_HERE / "lavis" / "requirements-lavis.txt",
            python="3.11",
            check="import runpy, sys; runpy.run_path(sys.argv[1])['import_torchvision'](); "
            "import lavis.models",
            variable="SPATIALTRUST_LAVIS_PYTHON",
        )
    }
)


def home() -> Path:
    """The folder for what this package makes or fetches: ``$SPATIALTRUST_HOME``.

    ``~/.cache/spatialtrust`` where the variable is not set.
    """
    given = os.environ.get("SPATIALTRUST_HOME")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "spatialtrust"


def install(name: str, python: str | None = None) -> Path:
    """Make an environment, or find it made; progress goes to stderr.

    An environment made from other pins, and one whose making was interrupted, is made anew.

    Parameters
    ----------
    name: one of ``ENVIRONMENTS``.
    python: interpreter to make it with; by default this one or one on the PATH that fits.

    Returns
    -------
    The environment's interpreter.

    Raises
    ------
    InputError: there is no such environment.
    BackendError: no fitting Python was found, or a step failed (with its last lines).
    """
    environment = _environment(name)
    folder = home() / "envs" / name
    with _alone(folder):
        if _is_current(folder, environment):
            _say(f"{name}: already installed in {folder}")
            return _python_of(folder)
        base = python or _find_python(environment.python)
        _expect_version(base, environment.python)
        _say(f"{name}: making an environment in {folder} (some minutes, 2 to 8 GB)")
        _run([base, "-m", "venv", "--clear", str(folder)], f"making {folder}")
        made = str(_python_of(folder))
        pip = [made, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        _run([*pip, "-r", str(environment.pins)], f"installing {environment.pins.name}")
        operators = str(_HERE / "torchvision_operators.py")
        _run([made, "-I", "-c", environment.check, operators], "checking that it imports")
        stamp = {"pins": _hash(environment.pins), "python": environment.python}
        write_text(json.dumps(stamp) + "\n", folder / _STAMP)
        _say(f"{name}: installed")
    return _python_of(folder)


def interpreter(name: str) -> Path:
    """The interpreter of an environment that was made before.

    Raises
    ------
    InputError: there is no such environment.
    BackendError: it has not been made, or from other pins; the message names the command.
    """
    environment = _environment(name)
    if given := os.environ.get(environment.variable):
        if not (Path(given).is_file() and os.access(given, os.X_OK)):
            raise BackendError(f"{environment.variable}={given}: is not a program that can be run")
        return Path(given)
    folder = home() / "envs" / name
    if not _is_current(folder, environment):
        state = "was made from other pins" if (folder / _STAMP).exists() else "does not exist yet"
        raise BackendError(
            f"the environment of {name} {state} ({folder}); make it with: "
            f"spatialtrust backends install {name} (or name an interpreter that has it in "
            f"{environment.variable})"
        )
    return _python_of(folder)


def _environment(name: str) -> Environment:
    if name not in ENVIRONMENTS:
        raise InputError(
            f'environment "{name}" is not known; {suggest(name, ENVIRONMENTS)}'
            f"valid: {', '.join(ENVIRONMENTS)}"
        )
    return ENVIRONMENTS[name]


def _is_current(folder: Path, environment: Environment) -> bool:
    try:
        stamp = read_object(folder / _STAMP)
    except (OSError, ValueError):
        return False
    return bool(stamp.get("pins") == _hash(environment.pins)) and _python_of(folder).exists()


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _python_of(folder: Path) -> Path:
    return folder / "bin" / "python"


def _find_python(version: str) -> str:
    if f"{sys.version_info.major}.{sys.version_info.minor}" == version:
        return sys.executable
    found = shutil.which(f"python{version}")
    if found is None:
        raise BackendError(
            f"Python {version} was not found: the pinned packages have no wheels for others "
            f"(this is Python {sys.version_info.major}.{sys.version_info.minor}); "
            f"install python{version} with its venv module and try again"
        )
    return found


def _expect_version(python: str, version: str) -> None:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        found = subprocess.run(  # noqa: S603 - an interpreter that the user chose
            [python, "-I", "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise BackendError(f"{python}: is not a Python interpreter ({error})") from error
    if found != version:
        raise BackendError(f"{python}: is Python {found}; Python {version} is needed")


def _run(command: Sequence[str], purpose: str) -> None:
    """Run a step, its output on stderr as it comes."""
    _say(f"{purpose} ...")
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    try:
        with subprocess.Popen(  # noqa: S603 - commands of this module
            command,
            env=clean,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            for line in process.stdout or ():
                tail.append(line.rstrip())
                _say(f"  {tail[-1]}")
    except OSError as error:
        raise BackendError(f"{purpose} failed: {error}") from error
    if process.returncode:
        said = "\n".join(f"    {line}" for line in tail)
        raise BackendError(
            f"{purpose} failed with exit code {process.returncode}; its last lines:\n{said}"
        )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time make an environment; the others wait and find it made."""
    import fcntl

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder.with_name(f".{folder.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise BackendError(
            f"{folder.parent} cannot be written ({error.strerror}); "
            "set SPATIALTRUST_HOME to a folder that can"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
