"""Objects as filled polygons in the picture, in the order in which they are painted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.backends.tabletop.scene import ANGULAR, EYE_HEIGHT, HOLLOW, project

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from spatialtrust.backends.tabletop.scene import SceneObject

_TURN: Final = np.linspace(0.0, 2 * np.pi, 20, endpoint=False)
_CIRCLE: Final = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)
_CORNERS: Final = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
_LIGHT: Final = np.array([-0.55, 0.7, -0.45])
_WALL: Final = 0.82
_HANDLE: Final = 0.3
_FOOT: Final = 0.6
"""Of a bowl, in its diameters."""


@dataclass(frozen=True, slots=True)
class Face:
    """A polygon of one colour.

    Attributes
    ----------
    points: (N, 2) pixels, convex.
    shade: factor on the object's colour; above 1 it goes towards white.
    """

    points: NDArray[np.float64]
    shade: float


def painted(objects: Sequence[SceneObject], size: int) -> Iterator[tuple[int, Face]]:
    """Every face with its object's index, in the order in which they are painted.

    What stands in an object follows it, and is covered by that object's near side.
    """
    holder = -1
    for index, item in enumerate(objects):
        if holder >= 0 and item.surface != holder:
            yield from ((holder, face) for face in _near_side(objects[holder], size))
            holder = -1
        if item.shape in HOLLOW:
            holder = index
        yield from ((index, face) for face in faces(item, size))
    if holder >= 0:
        yield from ((holder, face) for face in _near_side(objects[holder], size))


def faces(item: SceneObject, size: int) -> list[Face]:
    """The visible faces of an object, farthest first; together they are its silhouette.

    Of a hollow one its inside: the near side comes last, see :func:`painted`.
    """
    if item.shape in HOLLOW:
        return [Face(_hull(project(np.concatenate(_outline(item)), size)), 0.45)]
    if item.shape in ANGULAR:
        return _angular(item, size)
    if item.shape == "ball":
        return _ball(item, size)
    return _round(item, size)


def _ring(item: SceneObject, height: float, share: float = 1.0) -> NDArray[np.float64]:
    """World points of a horizontal circle at a height above the underside."""
    flat = 0.5 * item.width * share * _CIRCLE
    return np.column_stack(
        [item.x + flat[:, 0], np.full(len(flat), item.y + height), item.z + flat[:, 1]]
    )


def _outline(item: SceneObject) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """World points around the underside and around the top, (N, 3) each, in one order."""
    if item.shape in ANGULAR:
        cosine, sine = np.cos(item.yaw), np.sin(item.yaw)
        flat = 0.5 * item.width * _CORNERS @ np.array([[cosine, sine], [-sine, cosine]])
        low = np.column_stack([item.x + flat[:, 0], np.full(4, item.y), item.z + flat[:, 1]])
    else:
        low = _ring(item, 0.0, _FOOT if item.shape == "bowl" else 1.0)
        if item.shape == "bowl":
            return low, _ring(item, item.height)
    return low, low + np.array([0.0, item.height, 0.0])


def _near_side(item: SceneObject, size: int) -> list[Face]:
    """The walls that face the camera, farthest first."""
    low, high = _outline(item)
    eye = np.array([0.0, EYE_HEIGHT, 0.0])
    middle = np.array([item.x, item.y + 0.5 * item.height, item.z])
    found = []
    for place in range(len(low)):
        after = (place + 1) % len(low)
        corners = np.array([low[place], low[after], high[after], high[place]])
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        normal *= np.sign(normal @ (corners.mean(axis=0) - middle)) / np.linalg.norm(normal)
        if normal @ (eye - corners.mean(axis=0)) > 0:
            shade = 0.6 + 0.5 * max(0.0, float(normal @ _LIGHT))
            found.append((-corners[:, 2].mean(), Face(project(corners, size), shade)))
    return [face for _, face in sorted(found, key=lambda pair: pair[0])]


def _hull(points: NDArray[np.float64]) -> NDArray[np.float64]:
    import cv2

    hull: NDArray[np.float64] = cv2.convexHull(points.astype(np.float32))[:, 0].astype(np.float64)
    return hull


def _angular(item: SceneObject, size: int) -> list[Face]:
    low, high = _outline(item)
    if item.shape != "pyramid":
        sides = [[low[i], low[(i + 1) % 4], high[(i + 1) % 4], high[i]] for i in range(4)]
        polygons = [*sides, list(high)]
    else:
        apex = np.array([item.x, item.y + item.height, item.z])
        polygons = [[low[i], low[(i + 1) % 4], apex] for i in range(4)]
    middle = np.array([item.x, item.y + 0.5 * item.height, item.z])
    eye = np.array([0.0, EYE_HEIGHT, 0.0])
    found = []
    for polygon in polygons:
        corners = np.array(polygon)
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        normal /= np.linalg.norm(normal)
        normal *= np.sign(normal @ (corners[0] - middle))
        if normal @ (eye - corners[0]) > 0:
            shade = 0.55 + 0.5 * max(0.0, float(normal @ _LIGHT))
            found.append(Face(project(corners, size), shade))
    return found


def _ball(item: SceneObject, size: int) -> list[Face]:
    radius = 0.5 * item.width
    middle = np.array([[item.x, item.y + radius, item.z]])
    centre = project(middle, size)
    reach = project(middle + np.array([radius, 0.0, 0.0]), size)[0, 0] - centre[0, 0]
    rims = ((1.0, 0.0, 0.62), (0.8, 0.14, 0.85), (0.5, 0.3, 1.02), (0.2, 0.42, 1.35))
    towards = np.array([-0.7, -0.8])
    return [
        Face(centre + reach * (share * _CIRCLE + shift * towards), shade)
        for share, shift, shade in rims
    ]


def _round(item: SceneObject, size: int) -> list[Face]:
    """Cylinder, cone and mug."""
    base = project(_ring(item, 0.0), size)
    if item.shape == "cone":
        apex = project(np.array([[item.x, item.y + item.height, item.z]]), size)
        lit = base[base[:, 0] <= item_column(item, size)]
        return [
            Face(_hull(np.concatenate([base, apex])), 0.6),
            Face(_hull(np.concatenate([lit, apex])), 0.9),
        ]
    rim = project(_ring(item, item.height), size)
    body = np.concatenate([base, rim])
    lit = body[body[:, 0] <= item_column(item, size)]
    found = [Face(_hull(body), 0.6), Face(_hull(lit), 0.85), Face(rim, 1.1)]
    if item.shape == "mug":
        found[2] = Face(rim, 1.2)
        found.append(Face(project(_ring(item, item.height, _WALL), size), 0.25))
        found = [*_handle(item, size), *found]
    return found


def item_column(item: SceneObject, size: int) -> float:
    """Pixel column of an object's upright axis."""
    return float(project(np.array([[item.x, item.y, item.z]]), size)[0, 0])


def _handle(item: SceneObject, size: int) -> list[Face]:
    """A bar and two struts on the viewer's right."""
    edge = item.x + 0.48 * item.width
    out = edge + _HANDLE * item.width
    low, high = item.y + 0.2 * item.height, item.y + 0.8 * item.height
    thick = 0.13 * item.height

    def block(x1: float, x2: float, y1: float, y2: float) -> Face:
        corners = [[x1, y1, item.z], [x2, y1, item.z], [x2, y2, item.z], [x1, y2, item.z]]
        return Face(project(np.array(corners), size), 0.75)

    return [
        block(edge, out, high - thick, high),
        block(edge, out, low, low + thick),
        block(out - thick, out, low, high),
    ]
