"""Which claims to ask: pairs of detected objects times relations.

Objects are detections, not phrases: two mugs are two objects. Of two claims that say the same thing
(left of, right of) one is made, in the direction that the box centres suggest, and a graph's
``query`` finds it from both sides; containment is asked of the smaller box in the larger.
Containment and contact are asked only of boxes that come near each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.claims.objects import contested, pairs_within, ranks
from spatialtrust.errors import InputError
from spatialtrust.relations import RELATIONS, canonical
from spatialtrust.tables import Claims, Detections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

DEFAULT_RELATIONS: Final = ("on", "in", "above", "left of", "next to", "in front of")
"""Support, containment, height, the viewer's side, neighbours, and depth: who stands in front is
kept only where boxes show it, see :mod:`spatialtrust.evidence.readings`."""

MAX_OBJECTS: Final = 40
"""Objects paired per image: 780 pairs; a crowd of 500 would make 124,750."""

REACH: Final = 0.05
"""How far apart, in mean extents along each axis, two boxes may be to be asked about contact."""

_CLOSE_FAMILIES: Final = ("contact", "containment", "part")


@dataclass(frozen=True, slots=True)
class Enumeration:
    """Claims made from detections.

    Attributes
    ----------
    claims: sorted by image, then pair, then relation.
    crowded: ``image_id``, ``found``, ``paired``: images of which objects were left out.
    """

    claims: Claims
    crowded: pa.Table


def enumerate_claims(
    detections: Detections,
    *,
    relations: Sequence[str] = DEFAULT_RELATIONS,
    pairs: Sequence[tuple[str, str]] | None = None,
    max_objects: int = MAX_OBJECTS,
) -> Enumeration:
    """Claims about all pairs of objects of each image.

    Parameters
    ----------
    detections: rows without a box are passed over, and boxes that another phrase fits better (see
        :mod:`spatialtrust.claims.objects`).
    relations: names or wordings; of a relation and its converse give one.
    pairs: subject and object phrases to keep to; the relation is then turned to fit the direction.
        None: all pairs.
    max_objects: at most so many objects of an image are paired: the best scored, and where there
        are no scores the largest.

    Raises
    ------
    UnknownRelationError: a relation is not in the vocabulary.
    InputError: ``max_objects`` is below 2, or no relation was given.

    >>> boxes = Detections.from_rows([
    ...     {"image_id": "a", "object_id": "mug-1", "phrase": "mug", "x1": 0, "y1": 0, "x2": 9,
    ...      "y2": 9},
    ...     {"image_id": "a", "object_id": "pan-1", "phrase": "pan", "x1": 50, "y1": 5, "x2": 90,
    ...      "y2": 20}])
    >>> for row in enumerate_claims(boxes).claims.data.to_pylist():
    ...     print(row["subject"], row["relation"], row["object"])
    mug above pan
    mug left of pan
    mug next to pan
    pan in front of mug
    """
    names = tuple(dict.fromkeys(canonical(name) for name in relations))
    if not names:
        raise InputError("no relation was given; valid: one or more of the vocabulary's names")
    if max_objects < 2:
        raise InputError(f"max_objects is {max_objects}; valid: 2 or more, a pair needs two")
    objects, crowded = _paired_objects(detections, max_objects)
    first, second = pairs_within(ranks(objects.column("image_id"))[1])
    if pairs is not None:
        first, second = _keep_pairs(objects, first, second, pairs)
    boxes = objects.boxes()
    batches = [
        _claims_of(name, rank, first, second, boxes, keep_direction=pairs is not None)
        for rank, name in enumerate(names)
    ]
    return Enumeration(_table(objects, batches), crowded)


def _paired_objects(detections: Detections, limit: int) -> tuple[Detections, pa.Table]:
    """Objects with a box, sorted by image, at most ``limit`` of each, in their given order."""
    whole = np.isfinite(detections.boxes()).all(axis=1)
    boxed = detections.select(np.asarray(whole & ~contested(detections)))
    image_ids, image = ranks(boxed.column("image_id"))
    boxes = boxed.boxes().astype(np.float64)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    # The last key sorts first; scores that are NaN sort behind all others.
    order = np.lexsort((-area, -boxed.numbers("score"), image))
    found = np.bincount(image, minlength=len(image_ids))
    place = np.empty(len(boxed), dtype=np.int64)
    place[order] = np.arange(len(boxed)) - (np.cumsum(found) - found)[image[order]]
    kept = np.flatnonzero(place < limit)
    kept = kept[np.argsort(image[kept], kind="stable")]
    over = np.flatnonzero(found > limit)
    crowded = pa.table(
        {
            "image_id": image_ids.take(pa.array(over)),
            "found": pa.array(found[over].astype(np.int32)),
            "paired": pa.array(np.full(len(over), limit, dtype=np.int32)),
        }
    )
    return boxed.take(kept), crowded


def _keep_pairs(
    objects: Detections,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    pairs: Sequence[tuple[str, str]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pairs whose phrases were asked for, turned into the direction asked for."""
    phrases = pc.utf8_lower(objects.column("phrase"))
    subjects = np.concatenate([first, second])
    others = np.concatenate([second, first])
    wanted = np.zeros(len(subjects), dtype=bool)
    for subject, other in pairs:
        is_subject = pc.equal(phrases, subject.strip().lower()).to_numpy()
        is_object = pc.equal(phrases, other.strip().lower()).to_numpy()
        wanted |= is_subject[subjects] & is_object[others]
    return subjects[wanted], others[wanted]


def _claims_of(
    name: str,
    rank: int,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    boxes: NDArray[np.float32],
    *,
    keep_direction: bool,
) -> pa.Table:
    """The claims of one relation as rows of subject and object, and where they sort."""
    relation = RELATIONS[name]
    pair = np.arange(len(first))
    if relation.family in _CLOSE_FAMILIES:
        near = _within_reach(boxes[first], boxes[second])
        first, second, pair = first[near], second[near], pair[near]
    leaning = _leaning(name, boxes[first], boxes[second])
    subject, other = first, second
    names = pa.repeat(name, len(first))
    if leaning is not None and relation.converse is not None:
        if keep_direction:
            names = pc.if_else(pa.array(leaning), name, relation.converse)
        else:
            subject, other = np.where(leaning, first, second), np.where(leaning, second, first)
    elif not relation.symmetric and not keep_direction:
        subject, other = np.concatenate([first, second]), np.concatenate([second, first])
        pair, names = np.concatenate([pair, pair]), pa.repeat(name, len(subject))
    return pa.table(
        {
            "subject": subject,
            "object": other,
            "relation": names,
            "pair": pair,
            "rank": np.full(len(subject), rank),
        }
    )


def _leaning(
    name: str, first: NDArray[np.float32], second: NDArray[np.float32]
) -> NDArray[np.bool_] | None:
    """Where the boxes favour the first as subject; None where boxes do not say."""
    relation = RELATIONS[name]
    if relation.axis in ("x", "y"):
        low = "xy".index(relation.axis)
        offset = first[:, low] + first[:, low + 2] - second[:, low] - second[:, low + 2]
        return np.asarray(relation.sign * offset >= 0)
    if relation.axis == "z" and relation.converse is not None:
        return np.asarray(relation.sign * (second[:, 3] - first[:, 3]) >= 0)  # feet lower: nearer
    if relation.family in ("containment", "part") and relation.converse in RELATIONS:
        larger = _area(first) >= _area(second)
        return larger if relation.swapped else ~larger
    return None


def _within_reach(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.bool_]:
    gap = np.maximum(first[:, :2], second[:, :2]) - np.minimum(first[:, 2:], second[:, 2:])
    extent = (first[:, 2:] - first[:, :2] + second[:, 2:] - second[:, :2]) / 2
    return np.asarray((gap <= REACH * extent).all(axis=1))


def _area(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _table(objects: Detections, batches: Sequence[pa.Table]) -> Claims:
    rows = pa.concat_tables(batches).sort_by([("pair", "ascending"), ("rank", "ascending")])
    subject, other = rows["subject"], rows["object"]
    image_id = objects.column("image_id").take(subject)
    # Pairs are sorted by image, so a claim's number within its image is its distance to the first.
    image = ranks(image_id)[1]
    number = np.arange(len(image)) - np.searchsorted(image, image)
    digits = pc.utf8_lpad(pa.array(number).cast(pa.string()), 6, "0")
    return Claims.from_columns(
        {
            "claim_id": pc.binary_join_element_wise(image_id, digits, "#"),
            "image_id": image_id,
            "subject": objects.column("phrase").take(subject),
            "relation": rows["relation"],
            "object": objects.column("phrase").take(other),
            "subject_id": objects.column("object_id").take(subject),
            "object_id": objects.column("object_id").take(other),
            "source": pa.repeat("enumerated", rows.num_rows),
        },
        "enumerated claims",
    )
