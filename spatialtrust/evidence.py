"""Claims, boxes and answers to named evidence columns; what is unknown is NaN with a reason.

All columns are claim-relative: they describe the claim as it is worded, so that the model predicts
P(the claim is true) and a "no" gets the rest. Geometry is measured in the claim's pose (see
:mod:`spatialtrust.poses`): the *first* box is claimed to be right of, below, behind or inside the
*second*, or is the smaller one.

>>> from spatialtrust.tables import Claims, Grounding
>>> claims = Claims.from_rows([{"claim_id": "0", "image_id": "a", "subject": "mug",
...                             "relation": "left of", "object": "kettle"}])
>>> boxes = Grounding.from_boxes([[0.1, 0.4, 0.2, 0.5]], [[0.5, 0.3, 0.7, 0.5]], [[1, 1]])
>>> float(gather(claims, boxes).numbers("alignment")[0].round(2))
3.0
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust import geometry, priors, signals
from spatialtrust.errors import ColumnError, InputError, suggest
from spatialtrust.geometry import Boxes
from spatialtrust.poses import KINDS, READINGS, pose
from spatialtrust.reasons import bit, decode, encode
from spatialtrust.relations import NAMES, RELATIONS
from spatialtrust.tables import Evidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.geometry import Column
    from spatialtrust.tables import Answers, Claims, Grounding

PAPER4: Final = ("alignment", "separation", "detection_quality", "vlm_confidence")
"""The base method's signals (arXiv 2601.11644), relative to what is asserted: :func:`paper4`."""

POSED: Final = (
    "offset_x", "offset_y", "left_offset", "right_offset", "top_offset", "bottom_offset",
    "gap_x", "gap_y", "log_size_ratio", "first_log_area", "second_log_area",
    "first_in_second", "second_in_first", "log_distance",
    "first_top", "first_bottom", "second_top", "second_bottom",
    "first_border", "second_border", "inset", "eccentricity",
    "depth_difference", "depth_gap", "log_metres_apart",
)  # fmt: skip
"""Geometry of the claim's pose; what the relation's own regression runs on."""

THINGS: Final = tuple(f"{role}_{name}" for role in ("first", "second") for name in priors.COLUMNS)
"""What is known of the two things by name, see ``priors.COLUMNS``."""

RELATION: Final = ("relation_axis", "relation_sign", "relation_kind")
"""0 none, 1 x, 2 y, 3 z; sign along it; place in ``poses.KINDS``."""

DETECTOR: Final = (
    "subject_score", "object_score", "subject_margin", "object_margin",
    "subject_count", "object_count",
)  # fmt: skip
"""Scores, how far ahead of the runner-up they are, and how many boxes fit each phrase."""

CLAIMED: Final = ("alignment", "across", "separation", "stability", "detection_quality")
"""Along the claimed direction and across it (mean extents), 1 - IoU, P(the order survives box
noise), mean detector score."""

LIVE: Final = signals.COLUMNS
"""What the VLM supplies; NaN with ``signal_unavailable`` until it does."""

BOXES: Final = (*CLAIMED, *POSED, *RELATION, *DETECTOR)
"""Everything that needs no VLM and no names."""

FULL: Final = (*BOXES, *THINGS, *LIVE)
"""Every column, in the order in which they are stored."""

_PLACE: Final = {name: place for place, name in enumerate(FULL)}
_AXIS: Final = np.array([" xyz".index(RELATIONS[name].axis or " ") for name in NAMES])
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


@dataclass(frozen=True, slots=True)
class Features:
    """Evidence as it is computed: one contiguous float32 row per column.

    Attributes
    ----------
    values: (len(FULL), N), rows as in ``FULL``; NaN: unknown.
    relation: int16 (N,), place in ``relations.NAMES``, -1: unknown.
    answer: int8 (N,), 1: the VLM said yes, 0: no, -1: neither, or it was not asked.
    reasons: uint32 (N,), bit mask, see ``reasons.py``.
    """

    values: NDArray[np.float32]
    relation: NDArray[np.int16]
    answer: NDArray[np.int8]
    reasons: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.relation)

    def column(self, name: str) -> NDArray[np.float32]:
        """One column (N,); a view.

        Raises
        ------
        InputError: naming the closest column.
        """
        if name not in _PLACE:
            raise InputError(f'evidence has no column "{name}"; {suggest(name, FULL)}see FULL')
        values: NDArray[np.float32] = self.values[_PLACE[name]]
        return values

    def block(self, names: tuple[str, ...]) -> NDArray[np.float32]:
        """Several columns (len(names), N); a view where they are neighbours in ``FULL``."""
        start = _PLACE[names[0]]
        if FULL[start : start + len(names)] == names:
            return self.values[start : start + len(names)]
        return self.values[[_PLACE[name] for name in names]]

    @property
    def seen(self) -> NDArray[np.bool_]:
        """(N,) which claims have both boxes and a known relation."""
        known: NDArray[np.bool_] = np.isfinite(self.column("separation")) & (self.relation >= 0)
        return known

    def select(self, rows: NDArray[Any] | slice) -> Self:
        """The rows where a mask is true, at these positions, or, as a view, of a slice."""
        return replace(
            self,
            values=self.values[:, rows],
            relation=self.relation[rows],
            answer=self.answer[rows],
            reasons=self.reasons[rows],
        )

    def to_table(self, claim_id: pa.Array | pa.ChunkedArray) -> Evidence:
        """The evidence table of these claims, as it is stored."""
        names = pa.DictionaryArray.from_arrays(
            pa.array(self.relation, mask=self.relation < 0), pa.array(NAMES)
        )
        columns = {
            "claim_id": claim_id,
            "reasons": decode(self.reasons),
            "relation": names.cast(pa.string()),
            "answer": pa.array(self.answer, mask=self.answer < 0),
            **{name: self.column(name) for name in FULL},
        }
        return Evidence.from_columns(columns, "evidence")

    @classmethod
    def from_table(cls, evidence: Evidence, source: str = "evidence") -> Self:
        """Inverse of :meth:`to_table`.

        Raises
        ------
        ColumnError: a column is missing; the table was written by another version.
        """
        for name in ("relation", "answer", *FULL):
            if name not in evidence.data.column_names:
                raise ColumnError(source, name, "is missing", "gather the evidence again")
        answer = pc.fill_null(evidence.column("answer"), -1)
        return cls(
            np.stack([evidence.numbers(name) for name in FULL]),
            _relation_places(evidence.column("relation")),
            np.asarray(answer.to_numpy(), dtype=np.int8),
            encode(evidence.column("reasons")),
        )


def gather(claims: Claims, grounding: Grounding, answers: Answers | None = None) -> Evidence:
    """Evidence of claims, row by row, as a table.

    Parameters
    ----------
    claims: (N,) rows.
    grounding: their boxes, row by row.
    answers: what a VLM said; None: it was not asked.
    """
    return collect(claims, grounding, answers).to_table(claims.column("claim_id"))


def collect(claims: Claims, grounding: Grounding, answers: Answers | None = None) -> Features:
    """The same as columns in memory."""
    things = tuple(_things(claims.column(role)) for role in ("subject", "object"))
    features = measure(
        grounding, _relation_places(claims.column("relation")), (things[0], things[1])
    )
    if answers is None:
        return features
    said = signals.listen(claims, answers)
    for name in LIVE:
        _set(features, name, said.columns[name])
    return replace(features, answer=said.answer, reasons=features.reasons | said.reasons)


def measure(
    grounding: Grounding,
    relation: NDArray[np.int16],
    things: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> Features:
    """The same from arrays: the path that everything else takes, without a VLM.

    Parameters
    ----------
    grounding: (N,) boxes.
    relation: (N,) place in ``relations.NAMES``, -1: unknown.
    things: ``priors.attributes`` of subjects and of objects, transposed: (attributes, N).
    """
    subject, subject_faults = _fractions(grounding.subject_box, grounding.image_size)
    other, other_faults = _fractions(grounding.object_box, grounding.image_size)
    known = np.maximum(relation, 0)
    values = np.full((len(FULL), len(relation)), np.nan, dtype=np.float32)
    features = Features(
        values,
        relation,
        np.full(len(relation), -1, dtype=np.int8),
        grounding.reasons
        | subject_faults
        | other_faults
        | np.where(relation < 0, np.uint32(bit("relation_unknown")), _RELATION_REASONS[known]),
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        _claimed(features, subject, other, known)
        _posed(features, subject, other, known, things)
    sized = np.isfinite(grounding.image_size).all(axis=1)
    if not sized.all():
        features.values[[[_PLACE[name]] for name in _OF_IMAGE], ~sized] = np.nan
    _detector(features, grounding)
    return features


def paper4(features: Features, asserted: NDArray[np.int8]) -> NDArray[np.float32]:
    """The base method's four signals, (N, 4), relative to what is asserted.

    Alignment (negated for an asserted no, NaN without an axis), separation, detection quality, and
    the VLM's confidence in its own answer.

    Parameters
    ----------
    asserted: (N,) 1: yes, 0: no, -1: nothing, which makes alignment and confidence NaN.

    Source: arXiv 2601.11644; the formulas are this package's choice.
    """
    sign = np.array([-1, 1, np.nan], dtype=np.float32)[asserted]
    p_yes = features.column("p_yes")
    confidence = np.where(asserted == 1, p_yes, np.where(asserted == 0, 1 - p_yes, np.nan))
    return np.stack(
        [
            features.column("alignment") * sign,
            features.column("separation"),
            features.column("detection_quality"),
            confidence.astype(np.float32),
        ],
        axis=1,
    )


_OF_IMAGE: Final = (
    "first_log_area", "second_log_area", "first_top", "first_bottom", "second_top",
    "second_bottom", "first_border", "second_border", "log_metres_apart",
)  # fmt: skip
"""Columns in units of the image: unknown where its size is."""


def _fractions(
    given: NDArray[np.float32], size: NDArray[np.float32]
) -> tuple[Boxes, NDArray[np.uint32]]:
    """Boxes in fractions of the image where its size is known, and what is wrong with them."""
    scale = np.where(np.isfinite(size).all(axis=1), size.T, np.float32(1))
    raw = np.asarray(given, dtype=np.float32)
    boxes = Boxes.of(raw / np.concatenate([scale, scale]).T)
    broken = np.isnan(boxes.columns[0]) & ~np.isnan(raw).all(axis=1)
    return boxes, broken * np.uint32(bit("degenerate_box"))


def _claimed(features: Features, subject: Boxes, other: Boxes, relation: NDArray[np.int16]) -> None:
    """Columns along the claimed direction, roles as they are worded."""
    x, y = geometry.offset(subject, other, "x"), geometry.offset(subject, other, "y")
    axis, sign = _AXIS[relation], _SIGN[relation]
    flat = (axis == 1) | (axis == 2)
    along = np.where(axis == 1, x, y)
    _set(features, "alignment", np.where(flat, sign * along, np.nan))
    _set(features, "across", np.where(flat, np.abs(np.where(axis == 1, y, x)), np.nan))
    _set(features, "separation", geometry.separation(subject, other))
    steady = np.where(
        axis == 1,
        geometry.stability(subject, other, "x"),
        geometry.stability(subject, other, "y"),
    )
    _set(features, "stability", np.where(flat, steady, np.nan))
    _set(features, "relation_axis", axis)
    _set(features, "relation_sign", sign)
    _set(features, "relation_kind", _KIND[relation])


def _posed(
    features: Features,
    subject: Boxes,
    other: Boxes,
    relation: NDArray[np.int16],
    things: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> None:
    first, second, swapped = pose(subject, other, relation)
    columns: dict[str, Column] = {
        "offset_x": geometry.offset(first, second, "x"),
        "offset_y": geometry.offset(first, second, "y"),
        "left_offset": geometry.edge_offset(first, second, "x", "low"),
        "right_offset": geometry.edge_offset(first, second, "x", "high"),
        "top_offset": geometry.edge_offset(first, second, "y", "low"),
        "bottom_offset": geometry.edge_offset(first, second, "y", "high"),
        "gap_x": geometry.gap(first, second, "x"),
        "gap_y": geometry.gap(first, second, "y"),
        "first_log_area": geometry.log_area(first),
        "second_log_area": geometry.log_area(second),
        "first_in_second": geometry.containment(first, second),
        "second_in_first": geometry.containment(second, first),
        "log_distance": np.log(geometry.distance(first, second) + np.float32(0.05)),
        "first_top": first.columns[1],
        "first_bottom": first.columns[3],
        "second_top": second.columns[1],
        "second_bottom": second.columns[3],
        "first_border": geometry.border_distance(first),
        "second_border": geometry.border_distance(second),
        "inset": np.maximum(geometry.inset(first, second), np.float32(-1)),
        "eccentricity": np.minimum(geometry.eccentricity(first, second), np.float32(3)),
    }
    columns["log_size_ratio"] = columns["first_log_area"] - columns["second_log_area"]
    ours, theirs = things
    block = features.block(THINGS)
    size = len(priors.COLUMNS)
    np.copyto(block[:size], np.where(swapped, theirs, ours))
    np.copyto(block[size:], np.where(swapped, ours, theirs))
    columns |= _depths(features, columns, first, second)
    for name, values in columns.items():
        _set(features, name, values)


def _depths(
    features: Features, columns: dict[str, Column], first: Boxes, second: Boxes
) -> dict[str, Column]:
    """How far away things are by how large they look and how large their kind is."""
    half = np.float32(0.5)
    first_depth = features.column("first_log_size") - half * columns["first_log_area"]
    second_depth = features.column("second_log_size") - half * columns["second_log_area"]
    difference = first_depth - second_depth
    apart = np.hypot(
        (first.columns[0] + first.columns[2] - second.columns[0] - second.columns[2]) * half,
        (first.columns[1] + first.columns[3] - second.columns[1] - second.columns[3]) * half,
    )
    metres = apart * np.exp((first_depth + second_depth) * half)
    return {
        "depth_difference": difference,
        "depth_gap": np.abs(difference),
        "log_metres_apart": np.log(metres + np.float32(0.01)),
    }


def _detector(features: Features, grounding: Grounding) -> None:
    for name in DETECTOR:
        _set(features, name, getattr(grounding, name))
    quality = (grounding.subject_score + grounding.object_score) / np.float32(2)
    _set(features, "detection_quality", quality)


def _set(features: Features, name: str, values: Any) -> None:
    features.values[_PLACE[name]] = values


def _relation_places(names: pa.ChunkedArray) -> NDArray[np.int16]:
    places = pc.fill_null(pc.index_in(names, value_set=pa.array(NAMES)), -1)
    return np.asarray(places.to_numpy(), dtype=np.int16)


def _things(phrases: pa.ChunkedArray) -> NDArray[np.float32]:
    """What is known of each row's thing, (attributes, N); a phrase is looked up once."""
    distinct = pc.unique(phrases)
    places = pc.index_in(phrases, value_set=distinct).to_numpy()
    known: NDArray[np.float32] = priors.attributes(distinct.to_pylist()).T[:, places]
    return known
