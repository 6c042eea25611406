"""Scenes drawn once and used many times."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.backends.tabletop.render import render
from spatialtrust.backends.tabletop.scene import DIFFICULTIES
from spatialtrust.backends.tabletop.world import sample_scene

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def draw_pools(count: int, seeds: Sequence[int], workers: int = 0) -> Pool:
    """The pools of some seeds as one, each drawn in a process of its own where there are workers.

    >>> len(draw_pools(2, [0, 1]).scenes)
    4
    """
    if workers and len(seeds) > 1:
        with ProcessPoolExecutor(workers) as processes:
            parts = list(processes.map(draw_pool, [count] * len(seeds), seeds))
    else:
        parts = [draw_pool(count, seed) for seed in seeds]
    scenes = [scene for part in parts for scene in part.scenes]
    return Pool(scenes, np.concatenate([part.pictures for part in parts]))


def draw_pool(count: int, seed: int) -> Pool:
    """Training scenes of all difficulties, more than half of them clean."""
    generator = np.random.default_rng(seed)
    kinds = generator.choice(len(DIFFICULTIES), count, p=_SHARES)
    first = TRAINING_SEEDS * (1 + seed)
    scenes = [sample_scene(first + i, DIFFICULTIES[kind]) for i, kind in enumerate(kinds)]
    return Pool(scenes, np.stack([render(scene) for scene in scenes]))
