"""A scene graph as plain lines, for a planner's prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spatialtrust.graph.naming import display_names
from spatialtrust.graph.ranking import rank_of

if TYPE_CHECKING:
    from spatialtrust.graph.scene import SceneGraph


def to_text(graph: SceneGraph) -> str:
    """Objects and edges as lines of plain text: support, containment and contact first.

    The edges are those of the graph, so reduce it first: a reader follows chains by itself. What is
    between brackets is P(the edge is true); names that several objects share are numbered.

    >>> import pyarrow as pa
    >>> from spatialtrust.decision.rule import DecisionRule
    >>> from spatialtrust.graph import SceneGraph
    >>> from spatialtrust.graph.candidates import CANDIDATES
    >>> from spatialtrust.tables import Detections
    >>> things = Detections.from_rows({"image_id": "a.jpg", "object_id": name, "phrase": name,
    ...                                "x1": 0, "y1": 0, "x2": 9, "y2": 9} for name in "ab")
    >>> print(to_text(SceneGraph("a.jpg", 64, 48, things, CANDIDATES.empty_table(),
    ...                          DecisionRule.plain(0.8))), end="")
    Objects: a; b
    Relations (left and right as seen in the picture; what is not listed is not known):
    none
    """
    names = {name: " ".join(shown.split()) for name, shown in display_names(graph).items()}
    lines = [f"Objects: {'; '.join(names.values()) or 'none'}"]
    lines += ["Relations (left and right as seen in the picture; what is not listed is not known):"]
    rows: list[dict[str, Any]] = sorted(
        graph.edges.to_pylist(), key=lambda row: (rank_of(row["relation"]), -row["confidence"])
    )
    lines += [
        f"{names.get(row['subject_id'], row['subject_id'])} {row['relation']} "
        f"{names.get(row['object_id'], row['object_id'])} ({row['confidence']:.2f})"
        for row in rows
    ]
    return "\n".join([*lines, *(() if rows else ("none",))]) + "\n"
