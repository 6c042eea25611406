"""Documents point at what exists, and notebooks run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "data").glob("*.md")])
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_architecture_has_a_row_for_every_room_and_names_every_file_in_it() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = {
        cells[1].strip(" `/"): set(re.findall(r"`([a-z_0-9]+)/?`", cells[3]))
        for cells in (line.split("|") for line in text.splitlines() if line.startswith("| "))
    }
    for room in (ROOT / "spatialtrust").iterdir():
        if (room / "__init__.py").exists():
            inside = [*room.glob("*.py"), *(path.parent for path in room.glob("*/__init__.py"))]
            stems = {path.stem for path in inside} - {"__init__"}
            assert stems <= named[room.name], room.name
    ground = {path.stem for path in (ROOT / "spatialtrust").glob("*.py")} - {"__init__"}
    assert named["ground floor"] == ground


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run_from_any_folder(notebook: Path, tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    content = nbformat.read(notebook, as_version=4)
    NotebookClient(content, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
