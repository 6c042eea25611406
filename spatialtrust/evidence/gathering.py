"""Claims, boxes and answers to named evidence columns; what is unknown is NaN with a reason.

What the columns are: :mod:`spatialtrust.evidence.columns`.

>>> from spatialtrust.tables import Claims, Grounding
>>> claims = Claims.from_rows([{"claim_id": "0", "image_id": "a", "subject": "mug",
...                             "relation": "left of", "object": "kettle"}])
>>> boxes = Grounding.from_boxes([[0.1, 0.4, 0.2, 0.5]], [[0.5, 0.3, 0.7, 0.5]], [[1, 1]])
>>> float(gather(claims, boxes).numbers("alignment")[0].round(2))
3.0
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.evidence import from_answers as signals
from spatialtrust.evidence import priors
from spatialtrust.evidence.columns import LIVE, Features, relation_places
from spatialtrust.evidence.from_boxes import Things, measure
from spatialtrust.tables import Grounding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.arrays import Scratch
    from spatialtrust.evidence.from_answers import Heard
    from spatialtrust.tables import Answers, Claims, Evidence


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
    return Inputs.of(claims, grounding, answers).features()


@dataclass(frozen=True, slots=True)
class Inputs:
    """What evidence is computed from, as arrays, so that millions of claims go in pieces.

    Attributes
    ----------
    grounding: (N,) boxes.
    relation: int16 (N,), place in ``relations.NAMES``, -1: unknown.
    things: (attributes, M), ``priors.attributes`` of the distinct phrases, transposed.
    subject, object: (N,) place of each phrase among them.
    heard: signals of a VLM's answers; None: it was not asked.
    """

    grounding: Grounding
    relation: NDArray[np.int16]
    things: NDArray[np.float32]
    subject: NDArray[np.int32]
    object: NDArray[np.int32]
    heard: Heard | None = None

    @classmethod
    def of(cls, claims: Claims, grounding: Grounding, answers: Answers | None = None) -> Self:
        """From tables; each distinct phrase is looked up once."""
        subject, other = claims.column("subject"), claims.column("object")
        phrases = pc.unique(pa.chunked_array([*subject.chunks, *other.chunks], pa.string()))
        return cls(
            grounding,
            relation_places(claims.column("relation")),
            priors.attributes(phrases.to_pylist()).T,
            _places(subject, phrases),
            _places(other, phrases),
            None if answers is None else signals.listen(claims, answers),
        )

    def __len__(self) -> int:
        return len(self.relation)

    @property
    def asserted(self) -> NDArray[np.int8]:
        """(N,) what would go out unchecked, see ``from_answers.assertions``."""
        return np.ones(len(self), dtype=np.int8) if self.heard is None else self.heard.answer

    def features(
        self, rows: slice | NDArray[np.int64] = slice(None), scratch: Scratch | None = None
    ) -> Features:
        """The evidence of a run of rows, or of the rows at these places.

        Parameters
        ----------
        scratch: where it is put; None: into memory of its own.
        """
        places = np.arange(len(self))[rows] if isinstance(rows, slice) else rows
        boxes = Grounding(
            *(getattr(self.grounding, field.name).take(places, axis=0)
              for field in fields(self.grounding))
        )  # fmt: skip
        things = Things(self.things, self.subject.take(places), self.object.take(places))
        features = measure(boxes, self.relation.take(places), things, scratch)
        if self.heard is None:
            return features
        for name in LIVE:
            features.column(name)[:] = self.heard.columns[name][rows]
        return replace(
            features,
            answer=self.heard.answer[rows],
            reasons=features.reasons | self.heard.reasons[rows],
        )


def _places(column: pa.ChunkedArray, among: pa.Array) -> NDArray[np.int32]:
    return np.asarray(pc.index_in(column, value_set=among).to_numpy(), dtype=np.int32)
