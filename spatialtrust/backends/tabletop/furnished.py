"""Scenes with things that contain and support: bowls and boxes, trays and shelves.

No checkpoint has seen them; they are for what is read from boxes. Truth about them is
:func:`spatialtrust.backends.tabletop.truth.truth_in_space`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.backends.tabletop.scene import (
    COLOURS,
    FURNITURE,
    HOLLOW,
    SHAPES,
    TABLE_X,
    TABLE_Z,
    Scene,
    SceneObject,
)
from spatialtrust.backends.tabletop.world import ON_TABLE, arranged, settle, stand

if TYPE_CHECKING:
    from spatialtrust.backends.tabletop.world import Stood

_LEAST_VISIBLE: Final = 0.35
_SIZES: Final = {
    "bowl": ((0.75, 1.0), (0.28, 0.36)),
    "box": ((0.7, 0.95), (0.4, 0.55)),
    "tray": ((0.9, 1.2), (0.05, 0.09)),
    "shelf": ((0.8, 1.1), (0.5, 0.8)),
}
"""Width and height, from and to, in table units."""
_STREAM: Final = 13


def furnished_scene(seed: int, size: int = 256) -> Scene:
    """Draw a scene with one or two pieces that things stand in or on; the same for the same seed.

    >>> scene = furnished_scene(3)
    >>> scene == furnished_scene(3), any(item.shape in FURNITURE for item in scene.objects)
    (True, True)
    """
    generator = np.random.default_rng((seed, _STREAM))
    while True:
        placed: list[SceneObject] = []
        contacts: set[tuple[int, int]] = set()
        for _ in range(int(generator.integers(1, 3))):
            _add(generator, placed, contacts, FURNITURE)
        for _ in range(int(generator.integers(3, 6))):
            _add(generator, placed, contacts, SHAPES)
        scene = arranged(seed, "clean", size, placed, contacts)
        if min(item.visible for item in scene.objects) >= _LEAST_VISIBLE:
            return scene


def _add(
    generator: np.random.Generator,
    placed: list[SceneObject],
    contacts: set[tuple[int, int]],
    shapes: tuple[str, ...],
) -> None:
    """One more object, where there is room for it; its phrase is its own."""
    taken = {item.phrase for item in placed}
    free = [(c, s) for s in shapes for c in COLOURS if f"{c} {s}" not in taken]
    colour, shape = free[generator.integers(len(free))]
    if shape in FURNITURE:
        width, height = (float(generator.uniform(*between)) for between in _SIZES[shape])
    else:
        width = float(generator.uniform(0.32, 0.5))
        height = width if shape == "ball" else width * float(generator.uniform(0.85, 1.2))
    yaw = float(generator.uniform(0, np.pi / 2))
    item = SceneObject(shape, colour, 0.0, 0.0, 0.0, width, height, yaw, ON_TABLE)
    kind = "table" if shape in FURNITURE else str(generator.choice(_KINDS, p=_SHARES))

    def find(where: str) -> Stood | None:
        if where == "furniture":
            return _on_furniture(generator, item, placed)
        if where == "neighbour":
            return _near(generator, item, placed)
        return stand(generator, item, where, placed)

    settle(find, kind, placed, contacts)


_KINDS: Final = ("furniture", "table", "stack", "neighbour", "beside")
_SHARES: Final = (0.45, 0.15, 0.15, 0.15, 0.1)


def _on_furniture(
    generator: np.random.Generator, item: SceneObject, placed: list[SceneObject]
) -> Stood | None:
    """In what is hollow, or on what is not, somewhere within its walls."""
    pieces = [index for index, other in enumerate(placed) if other.shape in FURNITURE]
    index = int(generator.choice(pieces))
    piece = placed[index]
    floor = 0.03 if piece.shape in HOLLOW else piece.height
    room = 0.5 * (piece.width * (0.75 if piece.shape == "bowl" else 0.95) - item.width)
    if room < 0:
        return None
    dx, dz = generator.uniform(-room, room, 2) * 0.7
    return (
        replace(item, x=piece.x + dx, y=piece.y + floor, z=piece.z + dz, surface=index),
        index,
    )


def _near(
    generator: np.random.Generator, item: SceneObject, placed: list[SceneObject]
) -> Stood | None:
    """On the table, a hand's breadth to the side of something there."""
    there = [other for other in placed if other.surface == ON_TABLE]
    other = there[generator.integers(len(there))]
    side = generator.choice((-1, 1))
    away = other.reach + item.reach + generator.uniform(0.1, 0.25)
    x, z = other.x + side * away, other.z + generator.uniform(-0.1, 0.1)
    if abs(x) > TABLE_X or not TABLE_Z[0] <= z <= TABLE_Z[1]:
        return None
    return replace(item, x=float(x), z=float(z)), None
