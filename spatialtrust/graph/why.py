"""Why each candidate of a graph is an edge or not: one sentence, with the numbers to check it by.

The sentence of an abstention ends with the cheapest evidence that would settle it.

==========  ==================================================================================
evidence    what it is
==========  ==================================================================================
`prompt`    the same question in other words, or a phrase that only one box fits
`crop`      a VLM is shown the two alone
`box`       a better box: a stronger detector, or a person's
`depth`     a depth map, or a depth camera
`view`      the scene from another viewpoint
`labels`    labelled examples: no threshold of this guarantee exists yet
==========  ==================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.decision.rule import DecisionRule
from spatialtrust.graph.grounds import Frame, Ground, ground
from spatialtrust.graph.naming import display_names
from spatialtrust.graph.queries import chain
from spatialtrust.graph.repair import contradictions
from spatialtrust.reasons import PROSE
from spatialtrust.relations import RELATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spatialtrust.arrays import Float64
    from spatialtrust.decision.commit_gate import Rule
    from spatialtrust.graph import SceneGraph
    from spatialtrust.graph.queries import Edge

EVIDENCE: Final[Mapping[str, str]] = {
    "prompt": "another prompt",
    "crop": "a VLM shown a crop of the two",
    "box": "a better box",
    "depth": "a depth map",
    "view": "another viewpoint",
    "labels": "more labels (spatialtrust label)",
}
"""Codes of what may settle an abstention, from cheap to dear, and their words."""

_SETTLED_BY: Final[Mapping[str, str]] = {
    "subject_missing": "prompt",
    "object_missing": "prompt",
    "ambiguous_subject": "prompt",
    "ambiguous_object": "prompt",
    "same_box": "prompt",
    "degenerate_box": "box",
    "box_outside_image": "box",
    "image_size_unknown": "box",
    "answer_missing": "prompt",
    "answer_unparsed": "prompt",
    "relation_not_2d": "crop",
    "relation_needs_depth": "depth",
    "picture_only": "depth",
    "needs_depth": "depth",
    "no_threshold": "labels",
}
"""Reason code to the cheapest evidence that speaks to it; the first reason that has one counts."""

KINDS: Final = ("kept", "corrected", "left out", "cut")


@dataclass(frozen=True, slots=True)
class Why:
    """Why one candidate is an edge, or none.

    Attributes
    ----------
    claim_id: of the candidate.
    subject, relation, object: names as pictures have them.
    kind: ``kept``, ``corrected`` (an edge, though the VLM said no), ``left out`` (believed, and
        implied or far), or ``cut``.
    p_true: P(the edge is true); NaN: unknown.
    sentence: why, in words.
    brief: the same in a few words, for a legend.
    settled_by: a code of ``EVIDENCE``: what would settle an abstention; None: it is settled.
    """

    claim_id: str
    subject: str
    relation: str
    object: str
    kind: str
    p_true: float
    sentence: str
    brief: str
    settled_by: str | None = None

    def __str__(self) -> str:
        return f"{self.subject} {self.relation} {self.object}: {self.sentence}"


def explain(graph: SceneGraph) -> list[Why]:
    """Why each candidate is an edge or not, in the order of ``graph.candidates``."""
    return list(each(graph))


def each(graph: SceneGraph, among: np.ndarray[Any, Any] | None = None) -> Iterator[Why]:
    """The same, one after the other; ``among``: a mask (N,) of the candidates to explain."""
    explainer = Explainer(graph)
    rows = graph.candidates if among is None else graph.candidates.filter(among)
    for row in rows.to_pylist():
        yield explainer.of(row)


class Explainer:
    """Explains the candidates of one graph; what they share is looked up once.

    Parameters
    ----------
    graph: whose candidates are explained.
    """

    def __init__(self, graph: SceneGraph) -> None:
        self._graph = graph
        self._names = display_names(graph)
        ids = [str(name) for name in graph.objects.strings("object_id")]
        self._boxes = dict(zip(ids, graph.objects.boxes().astype(np.float64), strict=True))
        self._frame = Frame(graph.width, graph.height)
        self._believed: list[Edge] | None = None

    def of(self, row: Mapping[str, Any]) -> Why:
        """Why one candidate, a row of ``graph.candidates``, is an edge or not."""
        p_true = float("nan") if row["p_true"] is None else float(row["p_true"])
        ends = (row["subject_id"], row["object_id"])
        names = tuple(self._names.get(end, end or "?") for end in ends)
        found = self._ground(row["relation"], ends, (names[0], names[1]))
        kind = kind_of(row)
        threshold = threshold_of(self._graph.rule, row["relation"])
        said, brief, settled_by = self._verdict(row, kind, p_true, threshold, found)
        words = found.words if found is not None else ""
        sentence = ": ".join(part for part in (said, words) if part)
        if settled_by is not None:
            sentence += f"; cheapest to settle it: {EVIDENCE[settled_by]}"
        return Why(
            row["claim_id"], names[0], row["relation"], names[1], kind, p_true, sentence,
            brief, settled_by,
        )  # fmt: skip

    def _ground(
        self, relation: str, ends: tuple[str | None, str | None], names: tuple[str, str]
    ) -> Ground | None:
        boxes = [self._boxes.get(end or "") for end in ends]
        if boxes[0] is None or boxes[1] is None or relation not in RELATIONS:
            return None
        pair: tuple[Float64, Float64] = (boxes[0], boxes[1])
        return ground(relation, pair, names, self._frame)

    def _verdict(
        self,
        row: Mapping[str, Any],
        kind: str,
        p_true: float,
        threshold: float | None,
        found: Ground | None,
    ) -> tuple[str, str, str | None]:
        """What was decided, the same in a few words, and what would settle it."""
        p = shown(p_true, threshold)
        if kind == "kept":
            return f"kept, P(true) {p}{_against(threshold)}", "", None
        if kind == "corrected":
            said = f"corrected: the VLM said no, and P(true) is {p}{_against(threshold)}"
            return said, "the VLM said no", None
        if kind == "left out":
            return self._left_out(row, p), row["left_out"], None
        return self._cut(row, p_true, threshold, found)

    def _cut(
        self, row: Mapping[str, Any], p_true: float, threshold: float | None, found: Ground | None
    ) -> tuple[str, str, str | None]:
        reasons = [code for code in row["reasons"] if code in PROSE]
        p = shown(p_true, threshold)
        if row["emitted"] == "no":
            said = f"cut, P(true) {p}: the opposite is surer and goes out instead"
            return said, "the opposite is surer", None
        asked = row["said_by"] == "vlm" or row["asserted"] == "no"
        if "contradicts" in reasons:
            rival = self._rival(row)
            said = f"cut, P(true) {p}: it contradicts {rival}"
            return said, f"contradicts {rival}", "prompt" if asked else "crop"
        settled_by = next((_SETTLED_BY[code] for code in reasons if code in _SETTLED_BY), None)
        if "below_threshold" in reasons and np.isfinite(p_true):
            close = found is not None and found.close
            settled_by = settled_by or ("view" if close else "prompt" if asked else "crop")
            short = (
                "" if threshold is None else f", {threshold - p_true:.2g} short of {threshold:g}"
            )
            if p_true < 0.5:
                short = "" if threshold is None else f", far from {threshold:g} either way"
            brief = "too close to call" if close else short.removeprefix(", ") or "not sure enough"
            return f"cut, P(true) {p}{short}", brief, settled_by
        told = [
            PROSE[code].split(";")[0]  # what would settle it is said at the end
            for code in reasons
            if code not in ("evidence_for", "evidence_against")
        ]
        known = f", P(true) {p}" if np.isfinite(p_true) else ""
        if "no_threshold" in reasons:
            return f"cut{known}: {PROSE['no_threshold']}", "no threshold", "labels"
        why = "; ".join(told) or "it is not known whether it is true"
        brief = told[0] if told else "not known"
        return f"cut{known}: {why}", brief, settled_by or "crop"

    def _left_out(self, row: Mapping[str, Any], p: str) -> str:
        if row["left_out"] != "implied":
            return f"believed, P(true) {p}, and left out: others are nearer to each other"
        way = self._way(row["subject_id"], row["relation"], row["object_id"], row["claim_id"])
        through = f" by {_said(way, self._names)}" if way else " by the other edges"
        return f"believed, P(true) {p}, and left out: implied{through}"

    def _rival(self, row: Mapping[str, Any]) -> str:
        """The believed edges that one contradicts: one between the same two, else a chain."""
        ends = (row["subject_id"], row["object_id"])
        for edge in self._edges():
            if {edge.subject_id, edge.object_id} == set(ends) and contradictions(
                [ends[0], edge.subject_id], [row["relation"], edge.relation],
                [ends[1], edge.object_id],
            ):  # fmt: skip
                p = shown(edge.confidence, None)
                return f'"{_said([edge], self._names)}" ({p}), which is surer'
        way = self._way(ends[1], row["relation"], ends[0], row["claim_id"])
        return f'"{_said(way, self._names)}" taken together' if way else "surer edges"

    def _way(self, start: str, relation: str, goal: str, but: str) -> list[Edge]:
        others = [edge for edge in self._edges() if edge.claim_id != but]
        return chain(others, {start}, relation, {goal})

    def _edges(self) -> list[Edge]:
        """What a graph shows and believes, the surest first, looked up at the first need."""
        if self._believed is None:
            among = self._graph.believed & self._graph.candidates["left_out"].is_null().to_numpy()
            edges = self._graph.edges_among(among)
            self._believed = sorted(edges, key=lambda edge: -edge.confidence)
        return self._believed


def kind_of(row: Mapping[str, Any]) -> str:
    """Which of ``KINDS`` a candidate is."""
    if row["emitted"] != "yes":
        return "cut"
    if row["left_out"]:
        return "left out"
    return "corrected" if row["decision"] == "correct" else "kept"


def threshold_of(rule: Rule, relation: str) -> float | None:
    """The least P(true) of an edge of a relation; None: there is no such threshold."""
    if isinstance(rule, DecisionRule):
        return rule.threshold
    entries = {entry.relation: entry.threshold for entry in rule.relations}
    return entries.get(relation)


def shown(p: float, threshold: float | None) -> str:
    """A probability in two digits, or in as many as tell it from a threshold.

    >>> shown(0.7961, 0.8), shown(0.81, 0.8), shown(float("nan"), 0.8)
    ('0.796', '0.81', 'unknown')
    """
    if not np.isfinite(p):
        return "unknown"
    for digits in range(2, 7):
        text = f"{p:.{digits}f}"
        if threshold is None or (float(text) >= threshold) == (
            np.float32(p) >= np.float32(threshold)
        ):
            return text
    return text


def _against(threshold: float | None) -> str:
    return "" if threshold is None else f" ({threshold:.3g} asked for)"


def _said(edges: list[Edge], names: Mapping[str, str]) -> str:
    return ", ".join(
        f"{names.get(edge.subject_id, edge.subject)} {edge.relation} "
        f"{names.get(edge.object_id, edge.object)}"
        for edge in edges
    )
