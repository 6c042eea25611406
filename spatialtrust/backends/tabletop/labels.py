"""The truth about claims that were enumerated from detections of rendered scenes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from spatialtrust.backends.tabletop.truth import truth_in_space
from spatialtrust.geometry import iou
from spatialtrust.tables import Detections, Images

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from spatialtrust.backends.tabletop.scene import Scene
    from spatialtrust.tables import Claims

OVERLAP: Final = 0.5
"""IoU from which a box is an object's."""

ENUMERATED: Final = ("left of", "above", "in front of", "on", "touching")
"""One of each relation and its converse that the world knows, for enumeration."""


def known_boxes(scenes: Mapping[str, Scene]) -> tuple[Detections, Images]:
    """The boxes of all objects of scenes, and the sizes of their pictures.

    >>> from spatialtrust.backends.tabletop.world import sample_scene
    >>> found, images = known_boxes({"a": sample_scene(3)})
    >>> len(found) == len(sample_scene(3).objects), images.column("width").to_pylist()
    (True, [128])
    """
    found = Detections.from_rows(
        {
            "image_id": image_id,
            "object_id": f"o{place}",
            "phrase": item.phrase,
            **dict(zip(("x1", "y1", "x2", "y2"), map(float, item.box), strict=True)),
            "rank": 0,
        }
        for image_id, scene in scenes.items()
        for place, item in enumerate(scene.objects)
    )
    images = Images.from_rows(
        {"image_id": image_id, "uri": image_id, "width": s.size, "height": s.size, "status": "ok"}
        for image_id, s in scenes.items()
    )
    return found, images


def label_claims(claims: Claims, detections: Detections, scenes: Mapping[str, Scene]) -> Claims:
    """The claims with their ``label``; null for a near tie.

    A claim is about two boxes. A box is the object of its phrase that it overlaps most, by IoU of
    ``OVERLAP`` or more. A claim about a box that is no such object, or about one object twice, is
    false: such an edge does not belong in a graph.

    Parameters
    ----------
    claims: enumerated, with ``subject_id`` and ``object_id``.
    detections: which those name.
    scenes: ``image_id`` to scene.
    """
    keys = zip(*map(detections.strings, ("image_id", "object_id")), strict=True)
    object_of = dict(zip(keys, object_places(detections, scenes).tolist(), strict=True))
    labels: list[int | None] = []
    columns = ("image_id", "subject_id", "relation", "object_id")
    for image_id, subject, relation, other in zip(*map(claims.strings, columns), strict=True):
        first, second = object_of[image_id, subject], object_of[image_id, other]
        if min(first, second) < 0 or first == second:
            labels.append(0)
        else:
            truth = truth_in_space(scenes[str(image_id)], first, second)[str(relation)]
            labels.append(None if truth is None else int(truth))
    return claims.with_columns({"label": pa.array(labels, pa.int8())})


def object_places(detections: Detections, scenes: Mapping[str, Scene]) -> NDArray[np.int64]:
    """(N,) place of the object in its scene that each box is; -1: of none."""
    found = np.full(len(detections), -1)
    names = map(detections.strings, ("image_id", "phrase"))
    for row, (box, image_id, phrase) in enumerate(zip(detections.boxes(), *names, strict=True)):
        items = scenes[str(image_id)].objects
        places = [place for place, item in enumerate(items) if item.phrase == phrase]
        if not places or np.isnan(box).any():
            continue
        truth = np.array([items[place].box for place in places], dtype=np.float32)
        overlaps = iou(np.repeat(box[None], len(places), axis=0), truth)
        if overlaps.max() >= OVERLAP:
            found[row] = places[int(overlaps.argmax())]
    return found
