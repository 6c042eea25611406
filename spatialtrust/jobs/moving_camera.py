"""A rendered camera that moves past things on a table, as bags, with the truth of every frame.

The world is that of :mod:`spatialtrust.backends.tabletop`; its camera slides sideways and back, so
things enter, leave, and hide each other. The boxes of a simulated detector jitter, and some are
missing. What is true of two things is where they stand, and does not change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from spatialtrust.backends.tabletop.render import render, silhouettes
from spatialtrust.backends.tabletop.scene import EYE_HEIGHT, FOCAL, HORIZON, Scene
from spatialtrust.backends.tabletop.solids import faces
from spatialtrust.backends.tabletop.truth import pair_truth
from spatialtrust.backends.tabletop.world import sample_scene
from spatialtrust.bags.reading import SECOND
from spatialtrust.jobs.frames import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float64

IMAGE, BOXES = "/camera/image_raw", "/detections"
DEPTH, CAMERA = "/camera/depth", "/camera/camera_info"
"""Topics of the bags that are written."""

_LEAST_SEEN: Final = 0.3
"""Share of a thing that has to be visible to be found."""


@dataclass(frozen=True, slots=True)
class Drive:
    """What a drive is like; the same values give the same frames.

    Attributes
    ----------
    seed: of the scene, and of the detector's noise.
    seconds, rate: how long, and frames a second.
    size: of the square picture, pixels.
    reach: how far the camera slides to either side, in table units.
    jitter: standard deviation of a box's edges, in extents.
    missed: share of things that are not found although they are seen.
    """

    seed: int = 0
    seconds: float = 12.0
    rate: float = 15.0
    size: int = 256
    reach: float = 0.9
    jitter: float = 0.03
    missed: float = 0.05


class View(NamedTuple):
    """One frame of a drive.

    Attributes
    ----------
    stamp: ns.
    scene: as the camera sees it.
    boxes, seen: (N, 4) of each thing, pixels; (N,) share of it that is visible.
    found: rows of the simulated detector, with the place of the thing as ``thing``.
    """

    stamp: int
    scene: Scene
    boxes: NDArray[np.int64]
    seen: Float64
    found: list[dict[str, Any]]

    def frame(self, pixels: NDArray[np.uint8] | None = None) -> Frame:
        """The frame as a stream takes it."""
        size = (self.scene.size, self.scene.size)
        return Frame(pixels, self.stamp / SECOND, self.found, size=size)

    def depth(self) -> NDArray[np.uint16]:
        """(H, W) millimetres to the middle of each thing, 0 where there is none (REP 118)."""
        import cv2

        depth = np.zeros((self.scene.size, self.scene.size), dtype=np.uint16)
        for item in self.scene.objects:
            for face in faces(item, self.scene.size):
                points = np.round(face.points).astype(np.int32)
                cv2.fillConvexPoly(depth, points, float(round(1000 * item.z)))
        return depth


START: Final = 1_700_000_000 * SECOND
"""When drives begin, ns."""


def views(drive: Drive) -> Iterator[View]:
    """The frames of a drive.

    >>> first = next(views(Drive(seconds=0.1)))
    >>> len(first.scene.objects) >= 6, first.stamp == START
    (True, True)
    """
    scene = scene_of(drive)
    generator = np.random.default_rng((drive.seed, 11))
    for number in range(round(drive.seconds * drive.rate)):
        stamp = START + round(number / drive.rate * SECOND)
        turn = 2 * np.pi * number / drive.rate / 12.0
        aside, ahead = drive.reach * np.sin(turn), 0.15 * (1 - np.cos(turn))
        items = tuple(replace(o, x=o.x - aside, z=o.z - ahead) for o in scene.objects)
        boxes, seen = silhouettes(items, drive.size)
        moved = replace(scene, objects=items)
        yield View(stamp, moved, boxes, seen, _found(drive, generator, moved, boxes, seen))


def scene_of(drive: Drive) -> Scene:
    """The first scene from the seed on with six things or more, each named once."""
    for seed in range(1000 * drive.seed, 1000 * drive.seed + 1000):
        scene = sample_scene(seed, "clean", drive.size)
        if len(scene.objects) >= 6 and not scene.ambiguous_objects:
            return scene
    raise AssertionError("the world has such scenes")  # pragma: no cover


def true_edges(view: View) -> dict[tuple[str, str, str], bool | None]:
    """What is true of all things by name, in the world's relations; None: a near tie."""
    items = view.scene.objects
    return {
        (items[first].phrase, relation, items[second].phrase): truth
        for first in range(len(items))
        for second in range(len(items))
        if first != second
        for relation, truth in pair_truth(view.scene, first, second).items()
    }


def picture(view: View) -> NDArray[np.uint8]:
    """The rendered frame, RGB (H, W, 3)."""
    return render(view.scene)


def camera_matrix(size: int) -> Float64:
    """(3, 3) of the world's camera."""
    focal = FOCAL * size
    return np.array([[focal, 0, size / 2], [0, focal, HORIZON * size], [0, 0, 1.0]])


def place_of(view: View, thing: int) -> tuple[float, float, float]:
    """The middle of a thing as the camera sees it, metres: x right, y down, z ahead."""
    item = view.scene.objects[thing]
    return item.x, EYE_HEIGHT - item.y - item.height / 2, item.z


def _found(
    drive: Drive,
    generator: np.random.Generator,
    scene: Scene,
    boxes: NDArray[np.int64],
    seen: Float64,
) -> list[dict[str, Any]]:
    rows = []
    for thing, item in enumerate(scene.objects):
        noise, missed, score = generator.normal(size=4), generator.random(), generator.random()
        if seen[thing] < _LEAST_SEEN or missed < drive.missed:
            continue
        box = boxes[thing].astype(np.float64)
        extent = (box[2:] - box[:2]).mean()
        box = np.clip(box + drive.jitter * extent * noise, 0, scene.size)
        if (box[2:] - box[:2]).min() < 2:
            continue
        sides = dict(zip(("x1", "y1", "x2", "y2"), box.round(2).tolist(), strict=True))
        rows.append(
            {"phrase": item.phrase, **sides, "score": round(0.55 + 0.4 * score, 3), "thing": thing}
        )
    return rows
