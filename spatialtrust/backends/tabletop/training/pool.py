"""Scenes drawn once and used many times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.backends.tabletop.render import render
from spatialtrust.backends.tabletop.scene import DIFFICULTIES
from spatialtrust.backends.tabletop.world import sample_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.backends.tabletop.scene import Scene

TRAINING_SEEDS: Final = 1_000_000
"""Training scenes have seeds from here on; anything below was never trained on."""
_SHARES: Final = (0.55, 0.15, 0.15, 0.15)


@dataclass(frozen=True, slots=True)
class Pool:
    """Scenes and their pictures, uint8 (N, size, size, 3)."""

    scenes: list[Scene]
    pictures: NDArray[np.uint8]


def draw_pool(count: int, seed: int) -> Pool:
    """Training scenes of all difficulties, more than half of them clean."""
    generator = np.random.default_rng(seed)
    kinds = generator.choice(len(DIFFICULTIES), count, p=_SHARES)
    first = TRAINING_SEEDS * (1 + seed)
    scenes = [sample_scene(first + i, DIFFICULTIES[kind]) for i, kind in enumerate(kinds)]
    return Pool(scenes, np.stack([render(scene) for scene in scenes]))
