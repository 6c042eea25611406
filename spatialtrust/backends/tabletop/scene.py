"""What a scene is made of, and the camera that looks at it.

World axes are those of the level camera, in table units (about a metre): x to the viewer's right,
y up from the table top, z away from the camera. The camera looks along z from ``EYE_HEIGHT`` above
the table; its picture is shifted down, not tilted, so upright edges stay upright.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Difficulty = Literal["clean", "occluded", "dim", "blurred"]
DIFFICULTIES: Final[tuple[Difficulty, ...]] = get_args(Difficulty)

SHAPES: Final = ("cube", "ball", "cylinder", "cone", "pyramid", "mug")
FLAT_TOPPED: Final = ("cube", "cylinder")
FURNITURE: Final = ("bowl", "box", "tray", "shelf")
"""What furnished scenes have besides: things stand in the first two and on the others."""
HOLLOW: Final = ("bowl", "box")
ANGULAR: Final = ("cube", "pyramid", "box", "tray", "shelf")
COLOURS: Final = {
    "red": (214, 48, 44),
    "green": (46, 160, 67),
    "blue": (44, 92, 214),
    "yellow": (236, 200, 40),
    "purple": (146, 62, 190),
    "turquoise": (54, 200, 196),
}
"""Name to RGB. The tiny tokenizers know neither "turquoise" nor "cylinder" nor "pyramid"."""

PHRASES: Final = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)

EYE_HEIGHT: Final = 1.3
FOCAL: Final = 1.1
"""In image widths."""
HORIZON: Final = 0.2
"""Row of the horizon, in image heights."""
TABLE_X: Final = 1.25
TABLE_Z: Final = (2.45, 4.5)
SHELF_HEIGHT: Final = 0.78
SHELF_Z: Final = (4.85, 5.45)
SHELF_X: Final = 1.6


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object; lengths in table units.

    Attributes
    ----------
    x, y, z: middle of its underside.
    width: diameter, or side of the square it stands on.
    height: from underside to top.
    yaw: turn about the upright axis, radians.
    surface: index of the object it stands on; -1 the table, -2 the shelf.
    box: ``x1, y1, x2, y2`` in pixels of its visible silhouette, ends exclusive.
    visible: share of its silhouette that nothing hides, in (0, 1].
    """

    shape: str
    colour: str
    x: float
    y: float
    z: float
    width: float
    height: float
    yaw: float
    surface: int
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    visible: float = 0.0

    @property
    def phrase(self) -> str:
        """What a claim calls it: colour and shape."""
        return f"{self.colour} {self.shape}"

    @property
    def reach(self) -> float:
        """Radius of the circle around its footprint; the corners of a square stick out."""
        return 0.5 * self.width * (2.0**0.5 if self.shape in ANGULAR else 1.0)


@dataclass(frozen=True, slots=True)
class Scene:
    """Objects on a table, before they are drawn.

    Attributes
    ----------
    size: width and height of the square picture, pixels.
    objects: farthest first.
    contacts: index pairs, smaller first, of objects that touch.
    """

    seed: int
    difficulty: Difficulty
    size: int
    objects: tuple[SceneObject, ...]
    contacts: frozenset[tuple[int, int]]

    @property
    def ambiguous_objects(self) -> tuple[int, ...]:
        """Indices of the objects that share their phrase with another."""
        return tuple(index for index in range(len(self.objects)) if self.ambiguous(index))

    def ambiguous(self, index: int) -> bool:
        """Whether another object goes by the same phrase."""
        phrase = self.objects[index].phrase
        return sum(other.phrase == phrase for other in self.objects) > 1


def project(points: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """World points (N, 3) to pixels (N, 2), x right and y down.

    >>> project(np.array([[0.0, EYE_HEIGHT, 3.0]]), 128).round(2)
    array([[64. , 25.6]])
    """
    scale = FOCAL * size / points[:, 2]
    column = 0.5 * size + scale * points[:, 0]
    row = HORIZON * size + scale * (EYE_HEIGHT - points[:, 1])
    return np.stack([column, row], axis=1)
