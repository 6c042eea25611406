from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spatialtrust.cli.commands import app
from spatialtrust.run.plan import execute, prepare
from tests.helpers.runs import copies, settings


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report-command")
    images, boxes = copies(folder / "photos", 3)
    execute(prepare(settings(boxes), folder / "run", [images]))
    return folder / "run"


def test_the_command_writes_a_page_and_says_what_is_on_it(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    found = CliRunner().invoke(app, ["report", str(run), "--out", str(page), "--embed-images"])
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert told["out"] == str(page)
    assert told["images"] == 3
    assert page.read_text().count('id="data-image-') == 3


def test_label_writes_a_page_beside_its_sheet(run: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "mine.csv"
    found = CliRunner().invoke(app, ["label", str(run), "--out", str(sheet), "--rows", "6"])
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["page"] == str(tmp_path / "mine.html")
    assert (tmp_path / "mine.html").is_file()
    assert "y and n" in found.stderr
