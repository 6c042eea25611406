"""A small rendered world with known truth, and tiny checkpoints of real architectures for it.

It lets the whole pipeline run offline, through the code that runs the large models. It is plumbing:
figures from it say nothing about photographs, and whoever reports one says where it comes from.

>>> scene = sample_scene(3)
>>> render(scene).shape
(128, 128, 3)
>>> subject, relation, object, truth = scene_truth(scene)[0]
>>> (scene.objects[subject].phrase, relation, scene.objects[object].phrase, truth)
('green pyramid', 'left of', 'green cube', False)
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from spatialtrust.backends.tabletop.dataset import write_dataset
from spatialtrust.backends.tabletop.render import render
from spatialtrust.backends.tabletop.scene import (
    COLOURS,
    DIFFICULTIES,
    PHRASES,
    SHAPES,
    Difficulty,
    Scene,
    SceneObject,
)
from spatialtrust.backends.tabletop.truth import RELATIONS, scene_truth
from spatialtrust.backends.tabletop.world import sample_scene

CHECKPOINTS: Final = Path(__file__).parent / "checkpoints"
"""Holds ``clip/``, ``blip2/`` and ``grounding-dino/``, and ``bundle.json`` about them."""

__all__ = [
    "CHECKPOINTS",
    "COLOURS",
    "DIFFICULTIES",
    "PHRASES",
    "RELATIONS",
    "SHAPES",
    "Difficulty",
    "Scene",
    "SceneObject",
    "render",
    "sample_scene",
    "scene_truth",
    "write_dataset",
]
