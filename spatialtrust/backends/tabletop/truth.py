"""What is true of two objects, from where they stand, never from their boxes.

| relation | true | false | unlabelled |
|---|---|---|---|
| left of, right of | x differs by more than ``MARGIN`` that way | by more the other way | else |
| in front of, behind | the same of z, the distance along the level view | the other way | else |
| above, below | underside higher (lower) by more than ``STOREY`` | by less than ``LEVEL`` | else |
| on | it stands on that very object | else | on something that stands on it |
| touching | they are in contact | their footprints or heights keep clear | else |

Farther back is higher in the picture and still not above: both stand on the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from spatialtrust.backends.tabletop.scene import Scene, SceneObject

RELATIONS: Final = (
    "left of",
    "right of",
    "above",
    "below",
    "in front of",
    "behind",
    "on",
    "touching",
)
MARGIN: Final = 0.15
"""Table units between middles below which left, right, front and back are a near tie."""
LEVEL: Final = 0.05
STOREY: Final = 0.25
CLEAR: Final = 0.08


def scene_truth(scene: Scene) -> list[tuple[int, str, int, bool | None]]:
    """Every relation of every ordered pair of objects; None is a near tie.

    Examples
    --------
    >>> from spatialtrust.backends.tabletop.world import sample_scene
    >>> rows = scene_truth(sample_scene(3))
    >>> objects = len(sample_scene(3).objects)
    >>> len(rows) == objects * (objects - 1) * len(RELATIONS)
    True
    """
    count = range(len(scene.objects))
    return [
        (subject, relation, object_, truth)
        for subject in count
        for object_ in count
        if subject != object_
        for relation, truth in pair_truth(scene, subject, object_).items()
    ]


def pair_truth(scene: Scene, subject: int, object: int) -> dict[str, bool | None]:
    """Every relation of one ordered pair, by name."""
    first, second = scene.objects[subject], scene.objects[object]
    rightward = _beyond(first.x - second.x, MARGIN)
    backward = _beyond(first.z - second.z, MARGIN)
    upward, downward = _higher(first.y - second.y), _higher(second.y - first.y)
    return {
        "left of": None if rightward is None else not rightward,
        "right of": rightward,
        "above": upward,
        "below": downward,
        "in front of": None if backward is None else not backward,
        "behind": backward,
        "on": _rests(scene, subject, object),
        "touching": _touches(scene, subject, object),
    }


def _beyond(difference: float, margin: float) -> bool | None:
    return None if abs(difference) <= margin else bool(difference > 0)


def _higher(difference: float) -> bool | None:
    if difference > STOREY:
        return True
    return False if difference < LEVEL else None


def _rests(scene: Scene, subject: int, object: int) -> bool | None:
    surface = scene.objects[subject].surface
    if surface == object:
        return True
    while surface >= 0:
        surface = scene.objects[surface].surface
        if surface == object:
            return None
    return False


def _touches(scene: Scene, subject: int, object: int) -> bool | None:
    if (min(subject, object), max(subject, object)) in scene.contacts:
        return True
    first, second = scene.objects[subject], scene.objects[object]
    storey = max(first.y - (second.y + second.height), second.y - (first.y + first.height))
    return False if storey > CLEAR or gap(first, second) > CLEAR else None


def gap(first: SceneObject, second: SceneObject) -> float:
    """Gap of the circles around two footprints: never more than the true gap."""
    distance = np.hypot(first.x - second.x, first.z - second.z)
    return float(distance - first.reach - second.reach)
