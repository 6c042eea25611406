"""One image's scene graph: objects, candidate edges, and which of them are kept.

A candidate is a claim that was asserted or emitted yes; an edge is a candidate that is emitted yes.
Candidates stay as data, so a graph can be pruned again at another threshold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.claims.objects import contested
from spatialtrust.decision.rule import DecisionRule, decide
from spatialtrust.errors import GuaranteeError, InputError
from spatialtrust.graph.candidates import (
    candidates_of,
    codes,
    column,
    kept,
    numbers,
    summarise,
    with_columns,
)
from spatialtrust.graph.node_link import node_link
from spatialtrust.graph.repair import contradicting
from spatialtrust.reasons import bit, decode, encode
from spatialtrust.relations import RELATIONS, canonical
from spatialtrust.tables import Detections

if TYPE_CHECKING:
    import networkx as nx
    from numpy.typing import NDArray

    from spatialtrust.fusion.model import TrustModel
    from spatialtrust.tables import Verdicts


class Edge(NamedTuple):
    """One edge as a query returns it, in the direction that was asked for."""

    subject_id: str
    subject: str
    relation: str
    object_id: str
    object: str
    confidence: float
    decision: str
    said_by: str
    reasons: tuple[str, ...]
    claim_id: str
    meaning: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SceneGraph:
    """What is where in one image, as far as it can be trusted.

    Attributes
    ----------
    image_id: the image.
    width, height: pixels; None where unknown.
    objects: the nodes, sorted by ``object_id``.
    candidates: rows of ``CANDIDATES``, sorted by ``claim_id``.
    rule: what decided which candidates are edges.
    repaired: whether contradicting edges were dropped.
    """

    image_id: str
    width: int | None
    height: int | None
    objects: Detections
    candidates: pa.Table
    rule: DecisionRule
    repaired: bool = False

    @classmethod
    def build(
        cls,
        image_id: str,
        size: tuple[int | None, int | None],
        objects: Detections,
        verdicts: Verdicts,
        rule: DecisionRule,
        *,
        answered: bool = False,
    ) -> Self:
        """A graph from one image's detections and verdicts.

        Parameters
        ----------
        objects: detections of this image; rows without a box are not nodes, nor are boxes that
            another phrase fits better, unless a verdict is about one.
        verdicts: of this image, with the claims' own columns, ``subject_id`` and ``object_id``
            filled where a box was found. Of claims that say the same the best supported counts.
        rule: what the verdicts were decided by.
        answered: whether a VLM was asked; else the verifier proposes the edges.
        """
        rows = candidates_of(verdicts.data, answered=answered)
        return cls(image_id, *size, _nodes(objects, verdicts.data), rows, rule)

    @property
    def edges(self) -> pa.Table:
        """The candidates that are kept."""
        return self.candidates.filter(pa.array(self.kept))

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Which candidates are edges, a mask."""
        return kept(self.candidates)

    def prune(
        self,
        min_confidence: float | None = None,
        *,
        accuracy: float | None = None,
        delta: float | None = None,
        model: TrustModel | None = None,
    ) -> Self:
        """The graph at another threshold.

        Parameters
        ----------
        min_confidence: plain threshold on P(the edge is true); promises nothing.
        accuracy, delta: certified instead: with probability 1 - ``delta`` at least ``accuracy`` of
            what is emitted is right, on data like the model's certification rows.
        model: the model that gave ``p_true``; it holds those rows.

        Raises
        ------
        InputError: neither or both kinds of threshold were given, or no model for a guarantee.
        GuaranteeError: the model's rows are not like these candidates (repaired, or enumerated
            while the model only saw written statements).
        """
        rule = self._rule(min_confidence, accuracy, delta, model)
        rows = self.candidates
        masks = encode(rows["reasons"])
        contradicts = (masks & np.uint32(bit("contradicts"))) > 0
        usable = np.isfinite(numbers(rows, "p_boxes")) & ~contradicts
        p_true = np.where(usable, numbers(rows, "p_true"), np.nan)
        asserted = pc.fill_null(
            pc.index_in(rows["asserted"], value_set=pa.array(["no", "yes"])), -1
        )
        found = decide(p_true, np.asarray(asserted.to_numpy(), dtype=np.int8), rule)
        columns = found.to_arrow()
        low = np.uint32(bit("below_threshold") | bit("no_threshold"))
        why = "no_threshold" if rule.threshold is None else "below_threshold"
        abstained = (found.decision == 0) & usable
        masks = (masks & ~low) | np.where(abstained, np.uint32(bit(why)), np.uint32(0))
        confidence = np.where(usable, found.confidence, numbers(rows, "confidence"))
        return replace(
            self,
            rule=rule,
            candidates=with_columns(
                rows,
                emitted=columns["emitted"],
                decision=columns["decision"],
                confidence=confidence,
                reasons=codes(decode(masks.astype(np.uint32))),
            ),
        )

    def repair(self) -> Self:
        """The graph without contradictions: what is dropped abstains, with reason ``contradicts``.

        Per axis the set of least log-odds is dropped that leaves no cycle, see
        :mod:`spatialtrust.graph.repair`.
        """
        kept = np.flatnonzero(self.kept)
        edges = self.candidates.take(pa.array(kept))
        drop = contradicting(
            edges["subject_id"].to_pylist(),
            edges["relation"].to_pylist(),
            edges["object_id"].to_pylist(),
            numbers(edges, "p_true"),
        )
        dropped = np.zeros(self.candidates.num_rows, dtype=np.bool_)
        dropped[kept[drop]] = True
        masks = encode(self.candidates["reasons"])
        masks |= dropped * np.uint32(bit("contradicts"))
        asserted_no = pc.fill_null(pc.equal(self.candidates["asserted"], "no"), False).to_numpy()
        confidence = numbers(self.candidates, "confidence")
        flip = dropped & asserted_no
        gone = pa.array(dropped)
        return replace(
            self,
            repaired=True,
            candidates=with_columns(
                self.candidates,
                emitted=pc.if_else(gone, None, self.candidates["emitted"]),
                decision=pc.if_else(gone, "abstain", self.candidates["decision"]),
                confidence=np.where(flip, 1 - confidence, confidence),
                reasons=codes(decode(masks.astype(np.uint32))),
            ),
        )

    def query(
        self,
        subject: str | None = None,
        relation: str | None = None,
        object: str | None = None,
    ) -> list[Edge]:
        """Edges that match, the surest first; a converse counts and is turned round.

        Parameters
        ----------
        subject, object: phrase or ``object_id``; None: any.
        relation: name or wording; None: any, each edge as it is stored.

        Raises
        ------
        UnknownRelationError: the relation is not in the vocabulary.
        """
        wanted = None if relation is None else canonical(relation)
        found = []
        for edge in self._edges():
            for turned in _turns(edge, wanted):
                if (
                    (wanted is None or turned.relation == wanted)
                    and (subject is None or subject in (turned.subject_id, turned.subject))
                    and (object is None or object in (turned.object_id, turned.object))
                ):
                    found.append(turned)
                    break
        return sorted(found, key=lambda edge: (-edge.confidence, edge.claim_id))

    def summary(self) -> dict[str, Any]:
        """Counts, share of candidates kept and, where labels exist, precision and recall.

        ``precision``: share of labelled edges that are true. ``recall``: share of the true
        candidates that are edges. None where undefined.
        """
        return {
            "image_id": self.image_id,
            "objects": len(self.objects),
            **summarise(self.candidates),
        }

    def to_dict(self) -> dict[str, Any]:
        """Node-link data as ``networkx.node_link_graph`` reads it; unknown is None, never NaN."""
        facts = {
            "image_id": self.image_id,
            "width": self.width,
            "height": self.height,
            "rule": self.rule.to_dict(),
            "repaired": self.repaired,
        }
        return node_link(facts, self.objects.data, self.candidates)

    def to_networkx(self) -> nx.MultiDiGraph:
        """Nodes by ``object_id``, edges keyed by relation; plain Python scalars throughout."""
        import networkx as nx

        return nx.node_link_graph(self.to_dict(), edges="edges")

    def __eq__(self, other: object) -> bool:
        """Equal in every node, candidate and fact; NaN equals NaN."""
        if not isinstance(other, SceneGraph):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def _rule(
        self,
        min_confidence: float | None,
        accuracy: float | None,
        delta: float | None,
        model: TrustModel | None,
    ) -> DecisionRule:
        if min_confidence is not None:
            if accuracy is not None or delta is not None:
                raise InputError("give either min_confidence, or accuracy and delta, not both")
            return DecisionRule.plain(min_confidence)
        if accuracy is None or delta is None or model is None:
            raise InputError("give min_confidence, or accuracy, delta and the model")
        if self.repaired:
            raise GuaranteeError(
                "the graph was repaired and the model's certification rows were not; prune before "
                "repair(), or fit the model on whole labelled images (spatialtrust fit RUN)"
            )
        if pc.any(self.candidates["enumerated"]).as_py():
            return model.pair_rule(accuracy=accuracy, delta=delta)
        return model.rule(accuracy=accuracy, delta=delta)

    def _edges(self) -> list[Edge]:
        phrase = dict(
            zip(self.objects.strings("object_id"), self.objects.strings("phrase"), strict=True)
        )
        return [
            Edge(
                row["subject_id"],
                str(phrase.get(row["subject_id"])),
                row["relation"],
                row["object_id"],
                str(phrase.get(row["object_id"])),
                row["confidence"],
                row["decision"],
                row["said_by"],
                tuple(row["reasons"]),
                row["claim_id"],
                row["meaning"],
            )
            for row in self.edges.to_pylist()
        ]


def _nodes(objects: Detections, verdicts: pa.Table) -> Detections:
    """The detections that are nodes of a graph."""
    ids = objects.column("object_id")
    claimed = np.zeros(len(objects), dtype=np.bool_)
    for side in ("subject_id", "object_id"):
        claimed |= pc.is_in(ids, value_set=pc.unique(column(verdicts, side))).to_numpy()
    boxed = np.isfinite(objects.boxes()).all(axis=1)
    return objects.select(np.asarray(boxed & (claimed | ~contested(objects)))).sorted()


def _turns(edge: Edge, wanted: str | None) -> list[Edge]:
    """An edge as stored and, where the language has a word for it, from the other end."""
    converse = RELATIONS[edge.relation].converse
    symmetric = RELATIONS[edge.relation].symmetric
    if converse is None or (wanted is None and not symmetric):
        return [edge]
    turned = edge._replace(
        subject_id=edge.object_id,
        subject=edge.object,
        relation=converse if wanted is None or not _stands_for(edge.relation, wanted) else wanted,
        object_id=edge.subject_id,
        object=edge.subject,
    )
    return [edge, turned]


def _stands_for(stored: str, wanted: str) -> bool:
    """Whether the wanted relation's converse is the stored one (contains asks for inside)."""
    return RELATIONS[wanted].converse == stored
