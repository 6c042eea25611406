"""One image's scene graph: objects, candidate edges, and which of them are kept.

A candidate is a claim that was asserted or emitted yes; it is believed if it is emitted yes. An
edge is a candidate that is believed and, in a reduced graph, not left out because the other edges
say it already. Candidates stay as data, so a graph can be pruned again at another threshold, and
queries answer from everything that is believed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.claims.objects import contested
from spatialtrust.decision.commit_gate import decide_by
from spatialtrust.decision.rule import DecisionRule, one_threshold
from spatialtrust.errors import GuaranteeError, InputError
from spatialtrust.graph.candidates import (
    CANDIDATES,
    believed,
    candidates_of,
    codes,
    column,
    kept,
    numbers,
    of_images,
    summarise,
    with_columns,
)
from spatialtrust.graph.naming import display_names
from spatialtrust.graph.node_link import node_link
from spatialtrust.graph.queries import Edge, Grounds, chain, matching
from spatialtrust.graph.reduction import left_out
from spatialtrust.graph.repair import contradicting
from spatialtrust.graph.why import each, kind_of
from spatialtrust.io.images import held_pixels, read_image
from spatialtrust.io.results import expect_ending, write_results
from spatialtrust.reasons import bit, decode, encode
from spatialtrust.relations import canonical
from spatialtrust.shown import ROWS, html_table, to_pandas
from spatialtrust.shown import axes as axes_of
from spatialtrust.tables import Detections

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import networkx as nx
    from numpy.typing import NDArray

    from spatialtrust.decision.commit_gate import Rule
    from spatialtrust.fusion.model import TrustModel
    from spatialtrust.tables import Verdicts


_SAID: Final = ["subject_id", "relation", "object_id", "p_true"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SceneGraph:
    """The objects of one image and the relations between them that can be trusted.

    Attributes
    ----------
    image_id: the image.
    width, height: pixels; None where unknown.
    objects: the nodes, sorted by ``object_id``.
    candidates: rows of ``CANDIDATES``, sorted by ``claim_id``.
    rule: the rule that decided which candidates are edges.
    repaired: whether contradicting edges were removed.
    reduced: whether redundant edges are hidden.
    """

    image_id: str
    width: int | None
    height: int | None
    objects: Detections
    candidates: pa.Table
    rule: Rule
    repaired: bool = False
    reduced: bool = False

    @classmethod
    def build(
        cls,
        image_id: str,
        size: tuple[int | None, int | None],
        objects: Detections,
        verdicts: Verdicts,
        rule: Rule,
        *,
        answered: bool = False,
    ) -> Self:
        """Build a graph from one image's detections and verdicts.

        Parameters
        ----------
        objects: detections of this image; rows without a box are not nodes, nor are boxes that
            another phrase fits better, unless a verdict is about one.
        verdicts: of this image, with the claims' own columns, ``subject_id`` and ``object_id``
            filled where a box was found. Of claims that say the same the best supported counts.
        rule: the rule that made the verdicts.
        answered: whether a VLM was asked; otherwise the verifier proposes the edges.
        """
        rows = candidates_of(verdicts.data, answered=answered).drop_columns("image_id")
        return cls(image_id, *size, _nodes(objects, verdicts.data), rows, rule)

    @classmethod
    def build_all(
        cls,
        images: Mapping[str, tuple[int | None, int | None]],
        objects: Detections,
        verdicts: Verdicts,
        rule: Rule,
        *,
        answered: bool = False,
    ) -> list[Self]:
        """:meth:`build` for many images at once, which costs a fraction of one after the other.

        Parameters
        ----------
        images: image_id to width and height, in the order in which graphs come out.
        objects, verdicts: of all these images.
        rule, answered: see :meth:`build`.
        """
        rows = candidates_of(verdicts.data, answered=answered)
        nodes = _nodes(objects, verdicts.data, "image_id")
        parts = zip(
            images.items(),
            of_images(nodes.data, list(images)),
            of_images(rows, list(images)),
            strict=True,
        )
        return [
            cls(image_id, *size, Detections(held), found.drop_columns("image_id"), rule)
            for (image_id, size), held, found in parts
        ]

    @property
    def edges(self) -> pa.Table:
        """The edges: candidates that are believed and not hidden."""
        return self.candidates.filter(pa.array(self.kept))

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Mask of the candidates that are edges."""
        return kept(self.candidates)

    @property
    def believed(self) -> NDArray[np.bool_]:
        """Which candidates are emitted yes, left out of a reduced graph or not; a mask."""
        return believed(self.candidates)

    def prune(
        self,
        min_confidence: float | None = None,
        *,
        accuracy: float | None = None,
        precision: float | None = None,
        delta: float | None = None,
        model: TrustModel | None = None,
    ) -> Self:
        """Apply another threshold.

        Parameters
        ----------
        min_confidence: plain threshold on P(the edge is true); no guarantee.
        accuracy, delta: certified instead: with probability 1 - ``delta`` at least ``accuracy`` of
            what is emitted is right, on data like the model's certification rows.
        precision, delta: a certified threshold for each relation instead, see
            :mod:`spatialtrust.decision.commit_gate`; of a relation with too few labels nothing is
            kept.
        model: the model that gave ``p_true``; it holds those rows.

        Raises
        ------
        InputError: neither or both kinds of threshold were given, or no model for a guarantee.
        GuaranteeError: the model's rows are not like these candidates (repaired, or enumerated
            while the model only saw written statements).
        """
        rule = self._rule(min_confidence, accuracy, precision, delta, model)
        return (
            self.by(rule) if rule.repaired_at is None else self.repair_at(rule.repaired_at).by(rule)
        )

    def by(self, rule: Rule) -> Self:
        """Apply a rule; edges removed as contradictions stay removed."""
        rows = self.candidates
        masks = encode(rows["reasons"])
        contradicts = (masks & np.uint32(bit("contradicts"))) > 0
        usable = np.isfinite(numbers(rows, "p_boxes")) & ~contradicts
        p_true = np.where(usable, numbers(rows, "p_true"), np.nan)
        asserted = pc.fill_null(
            pc.index_in(rows["asserted"], value_set=pa.array(["no", "yes"])), -1
        )
        found, why = decide_by(
            rule, p_true, np.asarray(asserted.to_numpy(), dtype=np.int8), rows["relation"]
        )
        columns = found.to_arrow()
        low = np.uint32(bit("below_threshold") | bit("no_threshold"))
        masks = (masks & ~low) | why
        confidence = np.where(usable, found.confidence, numbers(rows, "confidence"))
        pruned = replace(
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
        if rule.repaired_at is not None:  # what was certified is what is shown, nothing more
            return pruned
        return pruned.reduce() if self.reduced else pruned

    def repair(self) -> Self:
        """Remove contradictions; removed edges abstain with the reason ``contradicts``.

        Of edges that exclude each other the most confident stays; then, for each order, the set of
        least log-odds that breaks all cycles is removed, see :mod:`spatialtrust.graph.repair`.
        """
        kept = np.flatnonzero(self.believed)
        edges = self.candidates.select(_SAID).take(pa.array(kept))
        drop = contradicting(
            edges["subject_id"].to_pylist(),
            edges["relation"].to_pylist(),
            edges["object_id"].to_pylist(),
            numbers(edges, "p_true"),
        )
        if not drop.any():
            repaired = replace(self, repaired=True)
            return repaired.reduce() if self.reduced else repaired
        dropped = np.zeros(self.candidates.num_rows, dtype=np.bool_)
        dropped[kept[drop]] = True
        masks = encode(self.candidates["reasons"])
        masks |= dropped * np.uint32(bit("contradicts"))
        asserted_no = pc.fill_null(pc.equal(self.candidates["asserted"], "no"), False).to_numpy()
        confidence = numbers(self.candidates, "confidence")
        flip = dropped & asserted_no
        gone = pa.array(dropped)
        repaired = replace(
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
        return repaired.reduce() if self.reduced else repaired

    def reduce(self) -> Self:
        """Hide redundant edges; hidden edges are still believed.

        Candidates say why they are hidden: ``implied`` or ``far``, see
        :mod:`spatialtrust.graph.reduction`. :meth:`query` and :meth:`path` answer as before.
        """
        rows = np.flatnonzero(self.believed)
        edges = self.candidates.select(_SAID).take(pa.array(rows))
        ids = [str(name) for name in self.objects.strings("object_id")]
        why = np.full(self.candidates.num_rows, None, dtype=object)
        why[rows] = left_out(
            edges["subject_id"].to_pylist(),
            edges["relation"].to_pylist(),
            edges["object_id"].to_pylist(),
            numbers(edges, "p_true"),
            dict(zip(ids, self.objects.boxes().astype(np.float64), strict=True)),
        )
        reasons = pa.array(why.tolist(), pa.string())
        return replace(
            self, reduced=True, candidates=with_columns(self.candidates, left_out=reasons)
        )

    def all_edges(self) -> Self:
        """Show every believed edge: undo :meth:`reduce`."""
        none = pa.nulls(self.candidates.num_rows, pa.string())
        return replace(self, reduced=False, candidates=with_columns(self.candidates, left_out=none))

    def repair_at(self, threshold: float) -> Self:
        """The repaired, reduced graph of what is asserted yes and reaches a plain threshold.

        What certificates of whole graphs are about: always the same edges, however the graph was
        pruned or repaired before.
        """
        masks = encode(self.candidates["reasons"]) & ~np.uint32(bit("contradicts"))
        reasons = codes(decode(masks.astype(np.uint32)))
        afresh = replace(
            self, repaired=False, candidates=with_columns(self.candidates, reasons=reasons)
        )
        return afresh.all_edges().by(DecisionRule.plain(threshold, "accept")).repair().reduce()

    def query(
        self,
        subject: str | None = None,
        relation: str | None = None,
        object: str | None = None,
    ) -> list[Edge]:
        """Matching believed edges, most confident first; converses are matched and reversed.

        Hidden edges are found, too.

        Parameters
        ----------
        subject, object: phrase or ``object_id``; None: any.
        relation: name or wording; None: any, each edge as it is stored.

        Raises
        ------
        UnknownRelationError: the relation is not in the vocabulary.
        """
        wanted = None if relation is None else canonical(relation)
        return matching(self.edges_among(), subject, wanted, object)

    def path(self, subject: str, relation: str, object: str) -> list[Edge]:
        """The shortest chain of edges by which a relation holds; empty if there is none.

        "Left of", "above" or "in" hold along a chain; of things on things, "on" says what a thing
        stands on in the end. Edges of a chain are as they are stored: some may be seen from the
        other end. Needs only the edges of a reduced graph, and those that it leaves out as far.

        Parameters
        ----------
        subject, object: phrase or ``object_id``.
        relation: name or wording.

        Raises
        ------
        UnknownRelationError: the relation is not in the vocabulary.
        """
        ids, phrases = self.objects.strings("object_id"), self.objects.strings("phrase")
        named = [
            {str(i) for i, phrase in zip(ids, phrases, strict=True) if wanted in (i, phrase)}
            for wanted in (subject, object)
        ]
        usable = (
            self.believed
            & ~pc.equal(self.candidates["left_out"], "implied").fill_null(False).to_numpy()
        )
        return chain(self.edges_among(usable), named[0], canonical(relation), named[1])

    def why(self, claim_id: str | None = None) -> str:
        """Explain why a candidate is an edge or not, in one sentence with numbers to check.

        The sentence of an abstention names the cheapest evidence that would settle it. As data,
        and for all candidates: :func:`spatialtrust.graph.why.explain`.

        Parameters
        ----------
        claim_id: of the candidate; None: all of them, a line each.

        Raises
        ------
        InputError: the graph has no such candidate.
        """
        if claim_id is None:
            return "\n".join(str(found) for found in each(self))
        among = pc.equal(self.candidates["claim_id"], claim_id)
        for found in each(self, among):
            return found.sentence
        raise InputError(
            f'"{claim_id}" is no candidate of {self.image_id}; candidates["claim_id"] lists them'
        )

    def table(self, *, explain: bool = False) -> pa.Table:
        """The candidates as a table, with the names of objects that pictures use.

        Parameters
        ----------
        explain: add ``why``, a sentence each, and ``settled_by``, what would settle an abstention.

        Returns
        -------
        ``subject`` and ``object`` (names), ``kind`` (``kept``, ``corrected``, ``left out`` or
        ``cut``), and the columns of ``CANDIDATES``.
        """
        names = display_names(self)
        rows = self.candidates.to_pylist()
        columns = {
            "image_id": [self.image_id] * len(rows),
            "subject": [names.get(row["subject_id"], row["subject_id"]) for row in rows],
            "relation": self.candidates["relation"],
            "object": [names.get(row["object_id"], row["object_id"]) for row in rows],
            "kind": [kind_of(row) for row in rows],
        }
        text = {name: pa.array(v, pa.string()) for name, v in columns.items() if name != "relation"}
        columns |= text
        columns |= {name: self.candidates[name] for name in CANDIDATES.names if name != "relation"}
        if explain:
            told = list(each(self))
            columns["why"] = pa.array([found.sentence for found in told], pa.string())
            columns["settled_by"] = pa.array([found.settled_by for found in told], pa.string())
        return pa.table(columns)

    def to_pandas(self, *, explain: bool = False) -> Any:
        """:meth:`table` as a pandas DataFrame.

        Raises
        ------
        MissingDependencyError: pandas is not installed.
        """
        return to_pandas(self.table(explain=explain))

    def to_csv(self, path: str | Path, *, explain: bool = True) -> None:
        """Write :meth:`table` as ``.csv`` (or ``.csv.gz``).

        Raises
        ------
        FileError: another ending, or the path cannot be written.
        """
        expect_ending(path, (".csv", ".csv.gz"))
        write_results(self.table(explain=explain), path)

    def to_parquet(self, path: str | Path, *, explain: bool = True) -> None:
        """Write :meth:`table` as ``.parquet``.

        Raises
        ------
        FileError: another ending, or the path cannot be written.
        """
        expect_ending(path, (".parquet",))
        write_results(self.table(explain=explain), path)

    def plot(self, image: Any = None, *, axes: Any = None) -> Any:
        """Draw the graph on its image; returns the matplotlib Axes.

        Parameters
        ----------
        image: file, PIL image or array; None: a white one.
        axes: to draw on; None: those of a new figure.

        Raises
        ------
        InputError: the image cannot be read.
        MissingDependencyError: matplotlib is not installed.
        """
        from spatialtrust.graph.drawing import draw

        if image is None:
            pixels = np.full((self.height or 480, self.width or 640, 3), 255, dtype=np.uint8)
        else:
            held = not isinstance(image, str | os.PathLike)
            pixels = held_pixels(image) if held else read_image(os.fspath(image))
        picture = draw(pixels, self)
        ax = axes_of(axes, (9.0, 9.0 * picture.shape[0] / picture.shape[1]))
        ax.imshow(picture)
        ax.set_axis_off()
        return ax

    def __repr__(self) -> str:
        counts = self.summary()
        left_out = counts["implied"] + counts["far"]
        more = f" and {left_out} that need not be shown" if left_out else ""
        return (
            f"SceneGraph of {self.image_id}: {counts['objects']} objects, {counts['edges']} edges"
            f"{more}, of {counts['candidates']} candidates; {self.rule}"
        )

    def _repr_html_(self) -> str:
        edges = list(each(self, pa.array(self.kept)))
        edges.sort(key=lambda edge: -edge.p_true)
        rows = [
            (edge.subject, edge.relation, edge.object, edge.p_true, edge.sentence)
            for edge in edges[:ROWS]
        ]
        names = ("subject", "relation", "object", "P(true)", "why")
        return html_table(repr(self), names, rows, len(edges))

    def summary(self) -> dict[str, Any]:
        """Counts, share of candidates kept and, where labels exist, precision and recall.

        ``implied``, ``far``: what a reduced graph believes and leaves out; the three shares count
        it in. ``precision``: share of labelled ones believed that are true. ``recall``: share of
        the true candidates that are believed. None where undefined.
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
            "reduced": self.reduced,
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
        precision: float | None,
        delta: float | None,
        model: TrustModel | None,
    ) -> Rule:
        one_threshold(min_confidence, accuracy, precision)
        if min_confidence is not None:
            if delta is not None:
                raise InputError("give either min_confidence, or accuracy and delta, not both")
            return DecisionRule.plain(min_confidence)
        if (accuracy is None and precision is None) or delta is None or model is None:
            raise InputError("give min_confidence, or accuracy (or precision), delta and the model")
        if self.repaired and model.repaired_at is None:
            raise GuaranteeError(
                "the graph was repaired and the model's certification rows were not; prune before "
                "repair(), or certify on whole labelled images (spatialtrust label RUN "
                "--images 30, spatialtrust fit RUN)"
            )
        pairs = bool(pc.any(self.candidates["enumerated"]).as_py())
        if accuracy is not None:
            return (model.pair_rule if pairs else model.rule)(accuracy=accuracy, delta=delta)
        assert precision is not None
        return (model.pair_gate if pairs else model.gate)(precision=precision, delta=delta)

    def edges_among(self, among: NDArray[np.bool_] | None = None) -> list[Edge]:
        """Some of the candidates as edges; None: all that is believed."""
        rows = self.candidates.filter(pa.array(self.believed if among is None else among))
        phrase = dict(
            zip(self.objects.strings("object_id"), self.objects.strings("phrase"), strict=True)
        )
        grounds = Grounds(self.why)
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
                grounds,
            )
            for row in rows.to_pylist()
        ]


def _nodes(objects: Detections, verdicts: pa.Table, *within: str) -> Detections:
    """The detections that are nodes of a graph; ids are one's own within columns such as image."""

    def key(rows: pa.Table, name: str) -> pa.ChunkedArray | pa.Array:
        parts = [column(rows, part) for part in (*within, name)]
        return pc.binary_join_element_wise(*parts, "\0") if within else parts[0]

    ids = key(objects.data, "object_id")
    claimed = np.zeros(len(objects), dtype=np.bool_)
    for side in ("subject_id", "object_id"):
        claimed |= pc.is_in(ids, value_set=pc.unique(key(verdicts, side))).to_numpy()
    boxed = np.isfinite(objects.boxes()).all(axis=1)
    return objects.select(np.asarray(boxed & (claimed | ~contested(objects)))).sorted()
