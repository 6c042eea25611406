"""What is true of two objects, from where they stand, never from their boxes.

| relation | true | false | unlabelled |
|---|---|---|---|
| left of, right of | x differs by more than ``MARGIN`` that way | by more the other way | else |
| in front of, behind | the same of z, the distance along the level view | the other way | else |
| above, below | underside higher (lower) by more than ``STOREY`` | by less than ``LEVEL`` | else |
| on | it stands on that very object | else | on something that stands on it |
| touching | they are in contact | their footprints or heights keep clear | else |

Farther back is higher in the picture and still not above: both stand on the table.

A planner's relations are stricter, and two more, see :func:`truth_in_space`:

| relation | true | false | unlabelled |
|---|---|---|---|
| above | it is on it, or higher where footprints overlap | not higher | higher elsewhere |
| in | it stands in that very object, which is hollow | else | on that; on a tray |
| on | as before, on what is not hollow | else | as before; in what is hollow |
| next to | on one surface, ``BESIDE`` apart at most, rather beside than behind | ``APART`` | else |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.backends.tabletop.scene import HOLLOW

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
BESIDE: Final = 0.45
APART: Final = 0.8


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


def truth_in_space(scene: Scene, subject: int, object: int) -> dict[str, bool | None]:
    """What is true of one ordered pair for somebody who moves things, by relation."""
    found = pair_truth(scene, subject, object)
    first, second = scene.objects[subject], scene.objects[object]
    rests = found["on"]
    inside = rests if second.shape in HOLLOW else False
    if second.shape == "tray" and rests:
        inside = None
    if second.shape in HOLLOW and rests:
        found["on"] = None
    if found["above"] and gap(first, second) > 0:
        found["above"] = None
    if rests:
        found["above"] = None if second.shape in HOLLOW else True
    return {**found, "in": inside, "next to": _neighbours(first, second)}


def _neighbours(first: SceneObject, second: SceneObject) -> bool | None:
    if first.surface != second.surface:
        return False
    space = gap(first, second)
    if space > APART:
        return False
    beside = abs(first.x - second.x) > abs(first.z - second.z)
    return True if space <= BESIDE and beside else None


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
