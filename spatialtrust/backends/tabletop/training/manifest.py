"""``bundle.json``: what is in the bundle, and how good it was measured to be."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.backends.tabletop.training.measure import asker_figures, detector_figures
from spatialtrust.files import write_text

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "bundle.json"
VERSION: Final = "2"
LIMIT: Final = 25_000_000
"""Bytes that the bundle may take."""
MEASURED_SEEDS: Final = 500_000
"""Scenes from here on are measured: not trained on, not looked at while settings were chosen."""


def write_manifest(folder: Path, scenes: int, budget: dict[str, Any]) -> dict[str, Any]:
    """Measure the checkpoints in a folder, hash their files, and write ``bundle.json`` there.

    Parameters
    ----------
    scenes: per difficulty.
    budget: what training took, written down beside what an earlier manifest says of others.
    """
    figures: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        if path.name == "grounding-dino":
            figures[path.name] = detector_figures(path, scenes, MEASURED_SEEDS)
        elif path.is_dir():
            figures[path.name] = asker_figures(f"{path.name}:{path}", scenes, MEASURED_SEEDS)
    earlier = json.loads((folder / NAME).read_text("utf-8")) if (folder / NAME).is_file() else {}
    manifest = {
        "name": "tabletop",
        "version": VERSION,
        "licence": "Apache-2.0",
        "about": "Rendered scenes and tiny models: plumbing with known truth, not photographs.",
        "training": {**earlier.get("training", {}), **budget},
        "figures": {"scenes_per_difficulty": scenes, **figures},
        "files": hashes(folder),
    }
    text = json.dumps(_plain(manifest), indent=2, allow_nan=False)
    write_text(text + "\n", folder / NAME)
    return manifest


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder but the manifest, by POSIX path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / NAME
    }


def _plain(value: Any) -> Any:
    """JSON has no NaN: an unknown figure is null."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
