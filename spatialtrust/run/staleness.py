"""What people open in a run folder, and what its tables were made with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spatialtrust.graph.formats import KINDS
from spatialtrust.run.folder import MANIFEST, RunFolder

if TYPE_CHECKING:
    from pathlib import Path


def opened(out: Path) -> list[str]:
    """Names of what people open that is in a run folder: its graph files by kind, its pictures."""
    kinds = [kind for kind in KINDS if any((out / "graphs").rglob(f"*.{kind}"))]
    pictures = ["overlays/"] if any((out / "overlays").rglob("*.*")) else []
    return [f"graphs/*.{kind}" for kind in kinds] + pictures


def files_of(scenes: Any) -> list[str]:
    """Names of what people open that a table of scenes was made with; of None: nothing."""
    if scenes is None:
        return []
    kinds = [f"graphs/*.{kind}" for kind in scenes["made_with"]["formats"]]
    return kinds + (["overlays/"] if scenes["made_with"]["overlays"] else [])


def made_with(out: Path, table: str) -> Any:
    """What a run folder's table was made with, and from what; None where it has none."""
    if not (out / MANIFEST).is_file():
        return None
    with RunFolder(out) as folder:
        return folder.settings(table)
