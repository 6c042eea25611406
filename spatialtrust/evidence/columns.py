"""The evidence columns by name, and evidence as it is computed: one contiguous row per column.

All columns are claim-relative: they describe the claim as it is worded, so that the model predicts
P(the claim is true) and a "no" gets the rest. Geometry is measured in the claim's pose (see
:mod:`spatialtrust.evidence.poses`): the *first* box is claimed to be right of, below, behind or
inside the *second*, or is the smaller one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.errors import ColumnError, InputError, suggest
from spatialtrust.evidence import from_answers as signals
from spatialtrust.evidence import priors
from spatialtrust.reasons import decode, encode
from spatialtrust.relations import NAMES
from spatialtrust.tables import Evidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_POSED: Final = {
    "offset_x": "position",
    "offset_y": "position",
    "left_offset": "position",
    "right_offset": "position",
    "top_offset": "position",
    "bottom_offset": "position",
    "gap_x": "distance",
    "gap_y": "distance",
    "gap": "distance",
    "free_space": "distance",
    "log_size_ratio": "size",
    "first_log_area": "size",
    "second_log_area": "size",
    "first_in_second": "overlap",
    "second_in_first": "overlap",
    "log_distance": "distance",
    "first_top": "place in the image",
    "first_bottom": "place in the image",
    "second_top": "place in the image",
    "second_bottom": "place in the image",
    "first_border": "place in the image",
    "second_border": "place in the image",
    "inset": "overlap",
    "eccentricity": "overlap",
    "depth_difference": "depth",
    "depth_gap": "depth",
    "log_metres_apart": "depth",
}
_CLAIMED: Final = {
    "alignment": "position",
    "across": "position",
    "separation": "overlap",
    "stability": "position",
    "detection_quality": "detector",
}

POSED: Final = tuple(_POSED)
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

CLAIMED: Final = tuple(_CLAIMED)
"""Along the claimed direction and across it (mean extents), 1 - IoU, P(the order survives box
noise), mean detector score."""

LIVE: Final = signals.COLUMNS
"""What the VLM supplies; NaN with ``signal_unavailable`` until it does."""

FAMILIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **_POSED,
        **_CLAIMED,
        **dict.fromkeys(RELATION, "relation"),
        **dict.fromkeys(DETECTOR, "detector"),
        **dict.fromkeys(LIVE, "VLM"),
        "stated_confidence": "stated confidence",
        "noise_slope": "perturbation",
        "noise_flip": "perturbation",
    }
)
"""Column to what it is about, for explanations and importances. What is known of things by name
has none: names only change what geometry means."""

BOXES: Final = (*CLAIMED, *POSED, *RELATION, *DETECTOR)
"""Everything that needs no VLM and no names."""

FULL: Final = (*BOXES, *THINGS, *LIVE)
"""Every column, in the order in which they are stored."""

_PLACE: Final = {name: place for place, name in enumerate(FULL)}


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

    def with_rows(self, others: Self) -> Self:
        """These rows, then the others'."""
        return type(self)(
            np.concatenate([self.values, others.values], axis=1),
            np.concatenate([self.relation, others.relation]),
            np.concatenate([self.answer, others.answer]),
            np.concatenate([self.reasons, others.reasons]),
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
            relation_places(evidence.column("relation")),
            np.asarray(answer.to_numpy(), dtype=np.int8),
            encode(evidence.column("reasons")),
        )


def relation_places(names: pa.ChunkedArray) -> NDArray[np.int16]:
    """(N,) place of each canonical name in ``relations.NAMES``, -1: unknown."""
    places = pc.fill_null(pc.index_in(names, value_set=pa.array(NAMES)), -1)
    return np.asarray(places.to_numpy(), dtype=np.int16)
