"""Graphs and pictures in a run folder that were made by earlier verdicts than the folder has."""

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


def stale(out: Path, before: Any) -> list[str]:
    """Those of them that were not made by the verdicts that the folder has now."""
    now = made_with(out, "scenes")
    if now is None:
        return opened(out)
    if before is not None and _judged(before) == _judged(now):
        return []
    made = [f"graphs/*.{kind}" for kind in now["made_with"]["formats"]]
    made += ["overlays/"] if now["made_with"]["overlays"] else []
    return [name for name in opened(out) if name not in made]


def _judged(scenes: Any) -> tuple[Any, Any]:
    """What of the settings of scenes changes their edges."""
    return scenes["from"], scenes["made_with"]["repair"]


def made_with(out: Path, table: str) -> Any:
    """What a run folder's table was made with, and from what; None where it has none."""
    if not (out / MANIFEST).is_file():
        return None
    with RunFolder(out) as folder:
        return folder.settings(table)
