"""What one frame alone says of its claims, without a run folder between the steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.evidence.from_answers import assertions
from spatialtrust.evidence.gathering import collect
from spatialtrust.fusion.pairs import read_enumerated
from spatialtrust.reasons import bit
from spatialtrust.relations import RELATIONS
from spatialtrust.tables import Grounding

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from spatialtrust.fusion.model import TrustModel
    from spatialtrust.tables import Answers, Claims, Detections, Fused
    from spatialtrust.tracking.steadiness import Key

OUT_OF_REACH: Final = 0.02
"""P(true) of contact or containment of two boxes that do not come near each other."""

_CLOSE: Final = ("contact", "containment", "part")


@dataclass(frozen=True, slots=True)
class Judged:
    """(N,) claims of one frame, and what is said of each.

    Attributes
    ----------
    claims: with the ids of the things they are about; null where there is none.
    fused: probabilities of this frame alone.
    asserted: int8, 1 yes, 0 no, -1 not told.
    meaning: which reading the probabilities are of.
    answered: whether a VLM was asked.
    """

    claims: Claims
    fused: Fused
    asserted: NDArray[np.int8]
    meaning: pa.Array
    answered: bool

    @property
    def keys(self) -> list[Key | None]:
        """Subject, relation and object of each; None where one is not known."""
        columns = (self.claims.strings(name) for name in ("subject_id", "relation", "object_id"))
        return [
            (first, relation, second) if first and relation and second else None
            for first, relation, second in zip(*columns, strict=True)
        ]

    def told(
        self, known: Sequence[Key], seen: Collection[str], relations: Collection[str]
    ) -> tuple[list[Key], NDArray[np.float64]]:
        """What the frame says of edges, also of those that it was not asked about.

        Of "a left of b" and "b left of a" only the one that the boxes suggest is asked; the other
        is then no likelier than either that one or its contrary. Contact is not asked of boxes
        that are out of reach, and is then unlikely.

        Parameters
        ----------
        known: edges that are remembered.
        seen: things that the frame shows.
        relations: that were asked of all pairs.
        """
        usable = self.fused.usable
        said = {
            key: float(p_true)
            for key, p_true in zip(self.keys, usable, strict=True)
            if key is not None and key[0] != key[2]
        }
        enumerated = pc.equal(self.claims.column("source"), "enumerated").fill_null(False)
        if len(self.claims) and not pc.any(enumerated).as_py():
            return list(said), np.array(list(said.values()))
        for key in known:
            subject, relation, other = key
            if key in said or subject not in seen or other not in seen:
                continue
            turned = said.get((other, relation, subject))
            if turned is not None:
                said[key] = min(turned, 1 - turned)
            elif relation in relations and RELATIONS[relation].family in _CLOSE:
                said[key] = OUT_OF_REACH
        return list(said), np.array(list(said.values()), dtype=np.float64)


def grounding_of(
    claims: Claims, things: Detections, size: tuple[int | None, int | None]
) -> Grounding:
    """The boxes of claims that name their things.

    Parameters
    ----------
    claims: (N,) with ``subject_id`` and ``object_id``; null: the thing is not there.
    things: of the frame.
    size: of the frame, pixels; None where unknown.
    """
    ids = things.column("object_id").combine_chunks()
    first, second = (
        np.asarray(
            pc.index_in(claims.column(f"{side}_id"), value_set=ids, skip_nulls=True)
            .fill_null(-1)
            .to_numpy(),
            dtype=np.int64,
        )
        for side in ("subject", "object")
    )
    boxes = np.vstack([things.boxes(), np.full((1, 4), np.nan, dtype=np.float32)])
    scores = np.append(things.numbers("score"), np.float32(np.nan))
    sides = [np.nan if side is None else side for side in size]
    reasons = (first < 0) * np.uint32(bit("subject_missing"))
    reasons |= (second < 0) * np.uint32(bit("object_missing"))
    reasons |= ((first == second) & (first >= 0)) * np.uint32(bit("same_box"))
    reasons |= np.uint32(bit("image_size_unknown") if np.isnan(sides).any() else 0)
    found = Grounding.from_boxes(
        boxes[first],
        boxes[second],
        np.tile(np.array(sides, dtype=np.float32), (len(claims), 1)),
        reasons.astype(np.uint32),
    )
    count = np.ones(len(claims), dtype=np.float32)
    return replace(
        found,
        subject_score=scores[first],
        object_score=scores[second],
        subject_count=count,
        object_count=count,
    )


def judge(
    model: TrustModel, claims: Claims, grounding: Grounding, answers: Answers | None
) -> Judged:
    """P(true) of each claim of a frame.

    Parameters
    ----------
    model: the trust model.
    claims: (N,) rows.
    grounding: their boxes, row by row.
    answers: what a VLM said; None: it was not asked.
    """
    fused = model.predict(collect(claims, grounding, answers))
    meaning = pa.nulls(len(claims), pa.string())
    if model.reads_pairs and len(claims):
        fused, meaning = read_enumerated(fused, claims, lambda: grounding)
    asserted = assertions(claims, answers)
    return Judged(claims, fused, asserted, meaning, answers is not None)
