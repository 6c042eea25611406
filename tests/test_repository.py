"""The files that say what to install agree with each other."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from typing import Any

import pytest
import yaml

import spatialtrust
from tests.conftest import ROOT

REQUIRED = {
    "transformers", "torch", "groundingdino-py", "xgboost", "shapely", "networkx", "opencv-python",
    "salesforce-lavis",
}  # fmt: skip
SET_UP = ("hf", "ray", "ros", "rerun", "xlsx", "csp", "report", "docs", "dev")
"""The extras that `make setup` installs; `photos` comes after, where it can be had."""


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]  # type: ignore[no-any-return]


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", requirement)[0] for requirement in requirements}


def _pip_section(file: str) -> list[str]:
    dependencies = yaml.safe_load((ROOT / file).read_text())["dependencies"]
    return next(entry["pip"] for entry in dependencies if isinstance(entry, dict))


def test_every_required_package_has_its_place() -> None:
    project = _project()
    extras = project["optional-dependencies"].values()
    declared = [*project["dependencies"], *(entry for extra in extras for entry in extra)]
    declared += _pip_section("environment-lavis.yml")
    assert _names(declared) >= REQUIRED


def test_the_conda_environment_installs_the_package_with_extras_that_exist() -> None:
    constraint, package = _pip_section("environment.yml")
    assert constraint == "-c constraints.txt"
    found = re.fullmatch(r"-e \.\[([a-z,]+)\]", package)
    assert found is not None
    extras = set(found[1].split(","))
    assert {"hf", "groundingdino"} <= extras <= set(_project()["optional-dependencies"])


def test_constraints_pin_everything_that_setup_installs() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {line.split("==")[0].lower() for line in lines if "==" in line}
    project = _project()
    extras = project["optional-dependencies"]
    wanted = _names(project["dependencies"])
    for extra in (*SET_UP, "photos"):
        wanted |= _names(extras[extra])
    wanted -= {"spatialtrust", "xgboost"}
    wanted -= {"supervision", "defusedxml"}  # groundingdino-py pins an old supervision
    assert wanted | {"xgboost-cpu"} <= pins


def test_what_setup_installs_is_written_alike_everywhere() -> None:
    wanted = f".[{','.join(SET_UP)}]"
    for file in ("Makefile", "constraints.txt"):
        assert wanted in (ROOT / file).read_text(), file


def test_every_extra_is_asked_for_somewhere() -> None:
    """An extra that no page, message or make target names promises something to nobody."""
    named = "".join(
        path.read_text(encoding="utf-8")
        for path in [ROOT / "Makefile", *ROOT.glob("docs/*.md"), ROOT / "README.md"]
    )
    missing = [
        extra
        for extra in _project()["optional-dependencies"]
        if not re.search(rf"(?:spatialtrust|\.)\[[a-z,]*\b{extra}\b|`{extra}`", named)
    ]
    assert missing == []


def test_the_citation_names_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == spatialtrust.__version__
    assert {"cff-version", "message", "title", "authors"} <= set(cited)


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "xgboost", "sklearn", "scipy", "cv2", "ray", "matplotlib",
             "networkx", "pandas", "rosbags")  # fmt: skip
    code = (
        "import sys, spatialtrust, spatialtrust.cli.commands\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"


def test_tests_mirror_the_package() -> None:
    beside = {"benchmarks", "helpers", "parity", "pipelines", "properties", "slow"}
    folders = {path.name for path in (ROOT / "tests").iterdir() if (path / "__init__.py").exists()}
    rooms = {path.name for path in (ROOT / "spatialtrust").iterdir() if path.is_dir()}
    assert folders - beside <= rooms
    assert rooms - {"__pycache__"} <= folders, "a room without tests"
    repository = {"docs", "growing", "pages", "public_surface", "repository"}
    names = {path.stem.removeprefix("test_") for path in (ROOT / "tests").glob("test_*.py")}
    files = {path.stem for path in (ROOT / "spatialtrust").glob("*.py")}
    assert names - repository <= files


@pytest.mark.parametrize("target", ["setup", "demo", "test", "test-slow", "check", "bench", "docs"])
def test_the_makefile_has_the_promised_targets(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_every_benchmark_is_run_by_make_bench() -> None:
    text = (ROOT / "Makefile").read_text()
    scripts = [
        path.stem
        for path in (ROOT / "benchmarks").glob("*.py")
        if "__main__" in path.read_text(encoding="utf-8")
    ]
    assert len(scripts) > 10
    assert [name for name in scripts if not re.search(rf"\b{name}\b", text)] == []


def test_nothing_in_the_repository_names_an_absolute_path() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    pattern = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+)/")
    found = []
    for name in tracked:
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".yml", ".txt", ".json", ".ipynb", ".cfg"}:
            found += [name] if pattern.search(path.read_text(encoding="utf-8")) else []
    assert found == []
