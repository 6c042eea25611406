"""Sampling of scenes: where objects stand, and what is visible of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.backends.tabletop.render import silhouettes
from spatialtrust.backends.tabletop.scene import (
    COLOURS,
    DIFFICULTIES,
    FLAT_TOPPED,
    SHAPES,
    SHELF_HEIGHT,
    SHELF_X,
    SHELF_Z,
    TABLE_X,
    TABLE_Z,
    Difficulty,
    Scene,
    SceneObject,
)
from spatialtrust.backends.tabletop.truth import gap
from spatialtrust.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

Stood = tuple[SceneObject, int | None]
"""An object where it stands, and the index of what it touches."""

ON_TABLE: Final = -1
ON_SHELF: Final = -2
_DUPLICATES: Final = 0.12
_GAP: Final = 0.1
"""Between objects that do not touch, in table units."""
_LEAST_VISIBLE: Final = {"clean": 0.75, "occluded": 0.3, "dim": 0.65, "blurred": 0.65}
_HIDDEN: Final = 0.7
"""An occluded scene has an object of which less than this share is visible."""
_TRIES: Final = 30


def sample_scene(
    seed: int, difficulty: Difficulty = "clean", size: int = 128, *, twins: bool = False
) -> Scene:
    """Draw a scene; the same arguments give the same scene.

    Parameters
    ----------
    seed: not negative.
    difficulty: ``clean``, ``occluded``, ``dim`` or ``blurred``.
    size: of the square picture, pixels.
    twins: two objects go by one phrase; else about one scene in thirty has such.

    Raises
    ------
    InputError: an argument is not valid.

    Examples
    --------
    >>> scene = sample_scene(3)
    >>> scene == sample_scene(3)
    True
    >>> 3 <= len(scene.objects) <= 7
    True
    """
    if difficulty not in DIFFICULTIES:
        raise InputError(
            f'difficulty "{difficulty}" is not known; valid: {", ".join(DIFFICULTIES)}'
        )
    if seed < 0 or size < 32:
        raise InputError(f"seed {seed}, size {size}: give a seed >= 0 and a size >= 32 pixels")
    generator = np.random.default_rng((seed, DIFFICULTIES.index(difficulty)))
    while True:
        scene = _attempt(generator, seed, difficulty, size, twins)
        visible = min(item.visible for item in scene.objects)
        hidden = difficulty != "occluded" or visible < _HIDDEN
        fits = visible >= _LEAST_VISIBLE[difficulty] and hidden
        if len(scene.objects) >= 3 and fits and (not twins or scene.ambiguous_objects):
            return scene


def _attempt(
    generator: np.random.Generator, seed: int, difficulty: Difficulty, size: int, twins: bool
) -> Scene:
    """A scene that may show too little or too much of its objects."""
    crowded = difficulty == "occluded"
    wanted = int(generator.integers(5, 8) if crowded else generator.integers(3, 7))
    placed: list[SceneObject] = []
    contacts: set[tuple[int, int]] = set()
    for count in range(wanted):
        _place(generator, placed, contacts, twin=twins and count == wanted - 1)
    return arranged(seed, difficulty, size, placed, contacts)


def arranged(
    seed: int,
    difficulty: Difficulty,
    size: int,
    placed: list[SceneObject],
    contacts: set[tuple[int, int]],
) -> Scene:
    """The scene of these objects, farthest first; what stands on one comes right after it."""
    order = sorted(range(len(placed)), key=lambda index: _depth(placed, index))
    rank = {old: new for new, old in enumerate(order)}
    objects = [
        replace(placed[old], surface=rank.get(placed[old].surface, placed[old].surface))
        for old in order
    ]
    boxes, shares = silhouettes(objects, size)
    return Scene(
        seed,
        difficulty,
        size,
        tuple(
            replace(item, box=tuple(box), visible=float(share))
            for item, box, share in zip(objects, boxes.tolist(), shares, strict=True)
        ),
        frozenset((min(rank[a], rank[b]), max(rank[a], rank[b])) for a, b in contacts),
    )


def _depth(placed: list[SceneObject], index: int) -> tuple[float, float]:
    item = placed[index]
    foot = placed[item.surface] if item.surface >= 0 else item
    return -foot.z, item.y


def _place(
    generator: np.random.Generator,
    placed: list[SceneObject],
    contacts: set[tuple[int, int]],
    *,
    twin: bool,
) -> None:
    """Add one object where there is room for it, if there is."""
    phrases = {item.phrase for item in placed}
    while True:
        shape = SHAPES[generator.integers(len(SHAPES))]
        colour = tuple(COLOURS)[generator.integers(len(COLOURS))]
        if twin and placed:
            shape, colour = placed[-1].shape, placed[-1].colour
        if twin or f"{colour} {shape}" not in phrases or generator.random() < _DUPLICATES:
            break
    width = generator.uniform(0.42, 0.6)
    height = width if shape == "ball" else width * generator.uniform(0.85, 1.2)
    yaw = generator.uniform(0.0, np.pi / 2)
    item = SceneObject(shape, colour, 0.0, 0.0, 0.0, width, height, yaw, ON_TABLE)
    kind = generator.choice(["table", "shelf", "stack", "beside"], p=[0.52, 0.13, 0.2, 0.15])
    settle(lambda where: stand(generator, item, where, placed), str(kind), placed, contacts)


def settle(
    find: Callable[[str], Stood | None],
    kind: str,
    placed: list[SceneObject],
    contacts: set[tuple[int, int]],
) -> None:
    """Add an object where a place of this kind has room for it, if one has in some tries.

    Parameters
    ----------
    find: an object at a place of a kind, and which object it touches; None where none is free: it
        is then tried on the table.
    """
    for _ in range(_TRIES):
        found = find(kind)
        if found is None:
            kind = "table"
            continue
        moved, touched = found
        if _is_clear(moved, placed, {touched, moved.surface}):
            if touched is not None:
                contacts.add((touched, len(placed)))
            placed.append(moved)
            return


def _is_clear(item: SceneObject, placed: list[SceneObject], but: Collection[int | None]) -> bool:
    """Whether an object keeps its distance from all others, but some indices."""
    return all(
        index in but
        or abs(item.y - other.y) > max(item.height, other.height) + 0.05
        or gap(item, other) >= _GAP
        for index, other in enumerate(placed)
    )


def stand(
    generator: np.random.Generator, item: SceneObject, kind: str, placed: list[SceneObject]
) -> tuple[SceneObject, int | None] | None:
    """The object at a place of this kind, and which object it touches; None where none is free."""
    if kind == "shelf":
        x = generator.uniform(-SHELF_X + 0.35, SHELF_X - 0.35)
        z = generator.uniform(SHELF_Z[0] + 0.28, SHELF_Z[1] - 0.1)
        return replace(item, x=x, y=SHELF_HEIGHT, z=z, surface=ON_SHELF), None
    if kind == "table":
        x = generator.uniform(-TABLE_X, TABLE_X)
        z = generator.uniform(*TABLE_Z)
        return replace(item, x=x, z=z), None
    return (_stacked if kind == "stack" else _beside)(generator, item, placed)


def _stacked(
    generator: np.random.Generator, item: SceneObject, placed: list[SceneObject]
) -> tuple[SceneObject, int] | None:
    """On an object that bears none yet, no wider than that."""
    bearing = [other.surface for other in placed]
    free = [
        index
        for index, other in enumerate(placed)
        if other.shape in FLAT_TOPPED and other.surface == ON_TABLE and index not in bearing
    ]
    if not free:
        return None
    index = int(generator.choice(free))
    below = placed[index]
    shift = generator.uniform(-0.05, 0.05, 2)
    width = min(item.width, below.width)
    moved = replace(
        item,
        x=below.x + shift[0],
        y=below.y + below.height,
        z=below.z + shift[1],
        width=width,
        height=width * item.height / item.width,
        surface=index,
    )
    return moved, index


def _beside(
    generator: np.random.Generator, item: SceneObject, placed: list[SceneObject]
) -> tuple[SceneObject, int] | None:
    """Against an object, face to face; None too where that is off the table."""
    free = [
        index
        for index, other in enumerate(placed)
        if other.shape in FLAT_TOPPED and other.surface == ON_TABLE
    ]
    if not free or item.shape not in FLAT_TOPPED:
        return None
    index = int(generator.choice(free))
    other = placed[index]
    reach = 0.5 * (item.width + other.width)
    # Faces meet squarely: the newcomer stands along a side of a turned cube, and turns with it.
    turn = other.yaw + np.pi / 2 * generator.integers(4)
    x, z = other.x + reach * np.cos(turn), other.z + reach * np.sin(turn)
    if abs(x) > TABLE_X or not TABLE_Z[0] <= z <= TABLE_Z[1]:
        return None
    return replace(item, x=x, z=z, yaw=other.yaw), index
