"""Silhouettes and pictures of scenes, painted from back to front with OpenCV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.backends.tabletop.scene import (
    COLOURS,
    DIFFICULTIES,
    SHELF_HEIGHT,
    SHELF_X,
    SHELF_Z,
    TABLE_Z,
    project,
)
from spatialtrust.backends.tabletop.solids import Face, faces, painted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from spatialtrust.backends.tabletop.scene import Scene, SceneObject

_FRACTION_BITS: Final = 4
_NOISE: Final = {"clean": 3.0, "occluded": 3.0, "dim": 7.0, "blurred": 3.0}
_BACKGROUND_STREAM: Final = 7


def silhouettes(
    objects: Sequence[SceneObject], size: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Boxes of what is visible of each object, and the share that is.

    Parameters
    ----------
    objects: in the order in which they are painted.
    size: of the square picture, pixels.

    Returns
    -------
    Boxes (N, 4), ``x1, y1, x2, y2`` with exclusive ends, zeros where nothing is visible; shares
    (N,) in [0, 1] of the pixels within the picture and, for a whole silhouette beyond it, outside.
    """
    import cv2

    margin = size
    owner = np.zeros((size, size), dtype=np.uint8)
    whole = np.zeros(len(objects))
    for index, item in enumerate(objects):
        alone = np.zeros((size + 2 * margin, size + 2 * margin), dtype=np.uint8)
        for face in faces(item, size):
            shifted = _fixed(face) + (margin << _FRACTION_BITS)
            cv2.fillConvexPoly(alone, shifted, 1, cv2.LINE_8, _FRACTION_BITS)
        whole[index] = cv2.countNonZero(alone)
    for index, face in painted(objects, size):
        cv2.fillConvexPoly(owner, _fixed(face), index + 1, cv2.LINE_8, _FRACTION_BITS)
    boxes = np.zeros((len(objects), 4), dtype=np.int64)
    seen = np.zeros(len(objects))
    for index in range(len(objects)):
        mask = (owner == index + 1).view(np.uint8)
        x, y, width, height = cv2.boundingRect(mask)
        boxes[index] = (x, y, x + width, y + height)
        seen[index] = cv2.countNonZero(mask)
    return boxes, seen / np.maximum(whole, 1)


def render(scene: Scene) -> NDArray[np.uint8]:
    """The picture of a scene, uint8 RGB (size, size, 3); the same scene gives the same bytes."""
    import cv2

    stream = (scene.seed, DIFFICULTIES.index(scene.difficulty), _BACKGROUND_STREAM)
    generator = np.random.default_rng(stream)
    picture = _room(scene.size, generator)
    colours = [
        np.array(COLOURS[item.colour], dtype=np.float64) + generator.normal(0.0, 7.0, 3)
        for item in scene.objects
    ]
    stands = [item.surface < 0 for item in scene.objects]
    for index, face in painted(scene.objects, scene.size):
        if stands[index]:
            _shadow(picture, scene.objects[index])
            stands[index] = False
        tone = _tone(colours[index], face.shade)
        cv2.fillConvexPoly(picture, _fixed(face), tone, cv2.LINE_8, _FRACTION_BITS)
    light = generator.uniform(0.9, 1.08)
    if scene.difficulty == "dim":
        light = generator.uniform(0.22, 0.42)
    if scene.difficulty == "blurred":
        sigma = float(generator.uniform(0.9, 1.8)) * scene.size / 128
        cv2.GaussianBlur(picture, (0, 0), sigma, dst=picture)
    deviation = np.float32(_NOISE[scene.difficulty])
    noise = deviation * generator.standard_normal(picture.shape, dtype=np.float32)
    lit = picture * np.float32(light) + noise
    return np.clip(lit, 0, 255).astype(np.uint8)


def _room(size: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Wall, shelf and table, in one of many tones."""
    import cv2

    wall = generator.uniform((165, 160, 150), (215, 210, 205))
    wood = generator.uniform((125, 90, 60), (175, 140, 105))
    picture = np.empty((size, size, 3), dtype=np.uint8)
    picture[:] = wall.astype(np.uint8)

    def board(x: float, y: float, z: tuple[float, float], shade: float) -> NDArray[np.float64]:
        corners = np.array([[-x, y, z[0]], [x, y, z[0]], [x, y, z[1]], [-x, y, z[1]]])
        points = project(corners, size)
        face = Face(points, shade)
        cv2.fillConvexPoly(picture, _fixed(face), _tone(wood, shade), cv2.LINE_8, _FRACTION_BITS)
        return points

    board(2.6, 0.0, (TABLE_Z[0] - 0.45, SHELF_Z[1]), 1.0)
    front = round(project(np.array([[0.0, 0.0, TABLE_Z[0] - 0.45]]), size)[0, 1])
    picture[front:] = (wood * 0.55).astype(np.uint8)
    edge = board(SHELF_X, SHELF_HEIGHT, SHELF_Z, 0.9)
    lip = np.concatenate([edge[:2], edge[1::-1] + np.array([0.0, 0.025 * size])])
    cv2.fillConvexPoly(
        picture, _fixed(Face(lip, 0.6)), _tone(wood, 0.6), cv2.LINE_8, _FRACTION_BITS
    )
    return picture


def _shadow(picture: NDArray[np.uint8], item: SceneObject) -> None:
    """Darkens the surface around an object's foot, which tells where it stands."""
    import cv2

    size = len(picture)
    foot = np.array([[item.x + 0.1 * item.width, item.y, item.z]])
    column, row = project(foot, size)[0]
    edge = project(foot + np.array([0.5 * item.width, 0.0, 0.0]), size)[0, 0]
    near = project(foot - np.array([0.0, 0.0, 0.5 * item.width]), size)[0, 1]
    axes = (max(1, round(1.15 * (edge - column))), max(1, round(1.15 * (near - row))))
    top, bottom = max(0, int(row) - axes[1] - 1), min(size, int(row) + axes[1] + 2)
    mask = np.zeros((bottom - top, size), dtype=np.uint8)
    cv2.ellipse(mask, (round(column), round(row) - top), axes, 0, 0, 360, 1, -1)
    part = picture[top:bottom]
    part[mask > 0] = (part[mask > 0] * 0.62).astype(np.uint8)


def _tone(colour: NDArray[np.float64], shade: float) -> tuple[float, ...]:
    dark = colour * min(shade, 1.0)
    light = dark + (255 - dark) * max(0.0, shade - 1.0)
    return tuple(np.clip(light, 0, 255).tolist())


def _fixed(face: Face) -> NDArray[np.int32]:
    """Pixel centres are whole numbers in OpenCV, half numbers in our picture plane."""
    return np.round((face.points - 0.5) * (1 << _FRACTION_BITS)).astype(np.int32)
