"""From boxes and relations to evidence columns: plain arrays, no tables.

>>> boxes = Grounding.from_boxes([[0.1, 0.4, 0.2, 0.5]], [[0.5, 0.3, 0.7, 0.5]], [[1, 1]])
>>> things = Things(priors.attributes(["mug", "kettle"]).T, np.array([0]), np.array([1]))
>>> found = measure(boxes, np.array([NAMES.index("left of")], np.int16), things)
>>> float(found.column("alignment")[0].round(2))
3.0
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from spatialtrust import geometry
from spatialtrust.arrays import Scratch
from spatialtrust.evidence import priors
from spatialtrust.evidence.columns import DETECTOR, FULL, LIVE, THINGS, Features
from spatialtrust.evidence.poses import KINDS, READINGS, pose
from spatialtrust.geometry import Boxes
from spatialtrust.reasons import bit
from spatialtrust.relations import NAMES, RELATIONS
from spatialtrust.tables import Grounding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.geometry import Column

_AXIS: Final = np.array([" xyz".index(RELATIONS[name].axis or " ") for name in NAMES], np.int8)
_SIGN: Final = np.array([RELATIONS[name].sign for name in NAMES], dtype=np.float32)
_KIND: Final = np.array([list(KINDS).index(r.kind) for r in READINGS], dtype=np.float32)
_RELATION_REASONS: Final = np.array(
    [
        (not RELATIONS[name].checkable_in_2d) * bit("relation_not_2d")
        | RELATIONS[name].needs_depth * bit("relation_needs_depth")
        for name in NAMES
    ],
    dtype=np.uint32,
)


class Things(NamedTuple):
    """What is known of the things that claims (N,) are about.

    Attributes
    ----------
    known: (attributes, M), ``priors.attributes`` of distinct phrases, transposed.
    subject, object: (N,) place of each claim's phrases among them.
    """

    known: NDArray[np.float32]
    subject: NDArray[np.integer[Any]]
    object: NDArray[np.integer[Any]]


def measure(
    grounding: Grounding,
    relation: NDArray[np.int16],
    things: Things,
    scratch: Scratch | None = None,
) -> Features:
    """Every column that needs no VLM; the others are NaN.

    Parameters
    ----------
    grounding: (N,) boxes.
    relation: (N,) place in ``relations.NAMES``, -1: unknown.
    things: subjects and objects of the claims.
    scratch: where the columns are put; None: into memory of their own.
    """
    size = grounding.image_size.T
    sized = np.isfinite(size[0] + size[1])
    scale = np.where(sized, size, np.float32(1))
    subject, subject_faults = _fractions(grounding.subject_box, scale)
    other, other_faults = _fractions(grounding.object_box, scale)
    known = np.maximum(relation, 0).astype(np.intp)
    values = (scratch or Scratch()).array("evidence", (len(FULL), len(relation)))
    values[-len(LIVE) :] = np.nan
    features = Features(
        values,
        relation,
        np.full(len(relation), -1, dtype=np.int8),
        grounding.reasons
        | subject_faults
        | other_faults
        | np.where(relation < 0, np.uint32(bit("relation_unknown")), _RELATION_REASONS.take(known)),
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        _claimed(features, subject, other, known)
        _posed(features, subject, other, known, things)
    if not sized.all():
        for name in _OF_IMAGE:
            features.column(name)[~sized] = np.nan
    _detector(features, grounding)
    _without_infinite(features, subject, other)
    return features


def _without_infinite(features: Features, *sides: Boxes) -> None:
    """Make what boxes without extent, or beyond all images, lead to unknown, with its reason."""
    extreme = np.zeros(len(features.relation), dtype=np.bool_)
    for side in sides:
        x1, y1, x2, y2 = side.columns
        extreme |= (x2 - x1 < _THINNEST) | (y2 - y1 < _THINNEST)
        extreme |= (x2 > _FARTHEST) | (y2 > _FARTHEST)
    if not extreme.any():
        return
    rows = np.flatnonzero(extreme)
    found = features.values[:, rows]
    infinite = np.isinf(found)
    found[infinite] = np.nan
    features.values[:, rows] = found
    features.reasons[rows] |= infinite.any(axis=0) * np.uint32(bit("degenerate_box"))


def contradict(features: Features) -> Features:
    """The opposite left/right claims about the same boxes: "A is right of B" for "left of".

    Parameters
    ----------
    features: (N,) claims along x.

    >>> boxes = Grounding.from_boxes([[0.1, 0.4, 0.2, 0.5]], [[0.5, 0.3, 0.7, 0.5]], [[1, 1]])
    >>> things = Things(priors.attributes(["mug", "kettle"]).T, np.array([0]), np.array([1]))
    >>> found = measure(boxes, np.array([NAMES.index("left of")], np.int16), things)
    >>> float(contradict(found).column("alignment")[0].round(2))
    -3.0
    """
    turned = replace(features, values=features.values.copy(), relation=_OPPOSITE[features.relation])
    for name in ("alignment", "relation_sign", "offset_x"):
        turned.column(name)[:] = -features.column(name)
    # In the pose a claim is about "right of", so its opposite is the mirror image.
    turned.column("left_offset")[:] = -features.column("right_offset")
    turned.column("right_offset")[:] = -features.column("left_offset")
    return turned


_OPPOSITE: Final = np.array(
    [NAMES.index(RELATIONS[name].opposite or name) for name in NAMES], dtype=np.int16
)

_THINNEST, _FARTHEST = np.float32(1e-6), np.float32(1e9)
"""Boxes thinner or farther off than this may have features that are infinite."""

_OF_IMAGE: Final = (
    "first_log_area", "second_log_area", "first_top", "first_bottom", "second_top",
    "second_bottom", "first_border", "second_border", "log_metres_apart",
)  # fmt: skip
"""Columns in units of the image: unknown where its size is."""


def _fractions(
    given: NDArray[np.float32], scale: NDArray[np.float32]
) -> tuple[Boxes, NDArray[np.uint32]]:
    """Boxes (N, 4) by width and height (2, N), and what is wrong with them."""
    columns = np.array(given.T, dtype=np.float32, order="C")
    columns.reshape(2, 2, -1)[:] /= scale
    wrong = ~geometry.is_valid(columns.T)
    if wrong.any():
        missing = np.isnan(columns).all(axis=0)
        columns[:, wrong] = np.nan
        wrong &= ~missing
    return Boxes(columns), wrong * np.uint32(bit("degenerate_box"))


def _claimed(features: Features, subject: Boxes, other: Boxes, relation: NDArray[np.intp]) -> None:
    """Columns along the claimed direction, roles as they are worded."""
    x, y = geometry.offset(subject, other, "x"), geometry.offset(subject, other, "y")
    axis, sign = _AXIS.take(relation), _SIGN.take(relation)
    sideways, unknown = axis == 1, np.float32(np.nan)
    flat = sideways | (axis == 2)
    _set(features, "alignment", np.where(flat, sign * np.where(sideways, x, y), unknown))
    _set(features, "across", np.where(flat, np.abs(np.where(sideways, y, x)), unknown))
    _set(features, "separation", geometry.separation(subject, other))
    steady = np.full(len(relation), np.nan, dtype=np.float32)
    for place, name in ((1, "x"), (2, "y")):
        rows = np.flatnonzero(axis == place)
        steady[rows] = geometry.stability(subject.take(rows), other.take(rows), name)
    _set(features, "stability", steady)
    _set(features, "relation_axis", axis)
    _set(features, "relation_sign", sign)
    _set(features, "relation_kind", _KIND.take(relation))


def _posed(
    features: Features,
    subject: Boxes,
    other: Boxes,
    relation: NDArray[np.intp],
    things: Things,
) -> None:
    first, second, swapped = pose(subject, other, relation)

    def put(name: str, values: Column) -> None:
        # At once: what waited together would be given back to the system, and asked for again.
        _set(features, name, values)

    put("offset_x", geometry.offset(first, second, "x"))
    put("offset_y", geometry.offset(first, second, "y"))
    put("left_offset", geometry.edge_offset(first, second, "x", "low"))
    put("right_offset", geometry.edge_offset(first, second, "x", "high"))
    put("top_offset", geometry.edge_offset(first, second, "y", "low"))
    put("bottom_offset", geometry.edge_offset(first, second, "y", "high"))
    put("gap_x", geometry.gap(first, second, "x"))
    put("gap_y", geometry.gap(first, second, "y"))
    put("first_log_area", geometry.log_area(first))
    put("second_log_area", geometry.log_area(second))
    put("first_in_second", geometry.containment(first, second))
    put("second_in_first", geometry.containment(second, first))
    put("log_distance", np.log(geometry.distance(first, second) + np.float32(0.05)))
    put("first_top", first.columns[1])
    put("first_bottom", first.columns[3])
    put("second_top", second.columns[1])
    put("second_bottom", second.columns[3])
    put("first_border", geometry.border_distance(first))
    put("second_border", geometry.border_distance(second))
    put("inset", np.maximum(geometry.inset(first, second), np.float32(-1)))
    put("eccentricity", np.minimum(geometry.eccentricity(first, second), np.float32(3)))
    # Boxes meet where they do on both axes; how far apart they are only counts once they do not.
    put("gap", np.maximum(features.column("gap_x"), features.column("gap_y")))
    put("free_space", np.maximum(features.column("gap"), np.float32(0)))
    put("log_size_ratio", features.column("first_log_area") - features.column("second_log_area"))
    size = len(priors.COLUMNS)
    roles = (things.subject, things.object), (things.object, things.subject)
    for start, (unless, when) in zip((0, size), roles, strict=True):
        block = features.block(THINGS)[start : start + size]
        things.known.take(np.where(swapped, when, unless), axis=1, mode="clip", out=block)
    _depths(features, first, second)


def _depths(features: Features, first: Boxes, second: Boxes) -> None:
    """How far away things are by how large they look and how large their kind is."""
    half = np.float32(0.5)
    first_depth = features.column("first_log_size") - half * features.column("first_log_area")
    second_depth = features.column("second_log_size") - half * features.column("second_log_area")
    difference = first_depth - second_depth
    apart = geometry.length(
        (first.columns[0] + first.columns[2] - second.columns[0] - second.columns[2]) * half,
        (first.columns[1] + first.columns[3] - second.columns[1] - second.columns[3]) * half,
    )
    metres = apart * np.exp((first_depth + second_depth) * half)
    _set(features, "depth_difference", difference)
    _set(features, "depth_gap", np.abs(difference))
    _set(features, "log_metres_apart", np.log(metres + np.float32(0.01)))


def _detector(features: Features, grounding: Grounding) -> None:
    for name in DETECTOR:
        _set(features, name, getattr(grounding, name))
    quality = (grounding.subject_score + grounding.object_score) / np.float32(2)
    _set(features, "detection_quality", quality)


def _set(features: Features, name: str, values: Any) -> None:
    features.column(name)[:] = values
