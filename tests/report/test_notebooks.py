from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from tests.conftest import ROOT

TASKS = ("quickstart", "vlm_claims", "scene_graphs", "coverage_curves", "classification_failure")
PUBLIC = {"spatialtrust", "spatialtrust.classify", "spatialtrust.failure", "spatialtrust.metrics",
          "spatialtrust.plots", "spatialtrust.report"}  # fmt: skip


def cells_of(name: str) -> list[str]:
    content = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("name", TASKS)
def test_the_notebook_of_a_task_uses_the_public_api_alone(name: str) -> None:
    lines = "\n".join(cells_of(name)).splitlines()
    tree = ast.parse("\n".join(line for line in lines if not line.startswith("%")))
    used = {
        module
        for node in ast.walk(tree)
        for module in (
            [node.module or ""] if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        )
        if module.split(".")[0] == "spatialtrust"
    }  # fmt: skip
    assert used
    assert used <= PUBLIC


@pytest.mark.parametrize("name", TASKS)
def test_one_variable_is_the_readers_own(name: str) -> None:
    marked = [
        line for cell in cells_of(name) for line in cell.splitlines() if "<- your own" in line
    ]
    assert len(marked) == 1


def test_notebooks_ship_without_outputs() -> None:
    for file in sorted(Path(ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        assert [cell for cell in cells if cell.get("outputs")] == [], file.name
