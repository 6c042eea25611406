"""The graph of a frame from what is believed over time: contradictions settled, few edges shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from spatialtrust.decision.rule import ANSWERS
from spatialtrust.graph import SceneGraph
from spatialtrust.graph.candidates import CANDIDATES
from spatialtrust.graph.reduction import left_out
from spatialtrust.graph.repair import contradicting
from spatialtrust.reasons import bit, decode
from spatialtrust.tables import Detections

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.decision.rule import DecisionRule
    from spatialtrust.jobs.frame_judging import Judged
    from spatialtrust.run.config import RunConfig
    from spatialtrust.tracking.identity import Tracks
    from spatialtrust.tracking.steadiness import EdgeFilter

HIDDEN: Final = "hidden"
"""Status of an object that the frame does not show."""


def graph_of(
    name: str,
    size: tuple[int | None, int | None],
    tracks: Tracks,
    judged: Judged,
    edges: EdgeFilter,
    rule: DecisionRule,
    config: RunConfig,
) -> tuple[SceneGraph, NDArray[np.bool_]]:
    """The graph of a frame, and which of the filter's edges it believes.

    Parameters
    ----------
    name, size: of the frame; pixels.
    tracks: its objects.
    judged: what it says of claims.
    edges: what is believed, this frame taken in.
    rule: the threshold that edges begin at.
    config: says whether to repair, and whether to leave edges out.
    """
    wished = edges.wished()
    active = wished.copy()
    rows = np.flatnonzero(wished)
    if config.repair and rows.size:
        ends = [edges.keys[row] for row in rows.tolist()]
        subjects, relations, objects = (list(side) for side in zip(*ends, strict=True))
        active[rows[contradicting(subjects, relations, objects, edges.standing()[rows])]] = False
    objects_of = _objects(name, tracks)
    table = _candidates(name, judged, edges, active, wished)
    graph = SceneGraph(name, *size, objects_of, table, rule, repaired=config.repair, reduced=False)
    if config.all_edges:
        return graph, active
    return _reduced(graph, tracks), active


def _objects(name: str, tracks: Tracks) -> Detections:
    hidden = tracks.rows < 0
    return Detections.from_columns(
        {
            "image_id": [name] * len(tracks),
            "object_id": list(tracks.ids),
            "phrase": list(tracks.phrases),
            **{
                side: tracks.boxes[:, column]
                for column, side in enumerate(("x1", "y1", "x2", "y2"))
            },
            "score": tracks.scores,
            "status": np.where(hidden, HIDDEN, "ok").astype(object),
        }
    )


def _candidates(
    name: str,
    judged: Judged,
    edges: EdgeFilter,
    active: NDArray[np.bool_],
    wished: NDArray[np.bool_],
) -> pa.Table:
    """One row for every edge that the frame was asked about, and every one that is believed."""
    row_of = {key: row for row, key in enumerate(edges.keys)}
    asked = {key: place for place, key in enumerate(judged.keys) if key is not None}
    believed = {edges.keys[row]: -1 for row in np.flatnonzero(active).tolist()}
    listed = sorted(believed | asked)
    place = np.array([asked.get(key, -1) for key in listed], dtype=np.int64)
    row = np.array([row_of.get(key, -1) for key in listed], dtype=np.int64)
    told = place >= 0
    p_true = _pick(edges.p_true, row, np.nan)
    asserted = _pick(judged.asserted, place, 1)
    yes = _pick(active, row, False)
    contradicts = _pick(wished, row, False) & ~yes
    no = ~yes & ~contradicts & (1 - p_true >= edges.threshold) & (asserted >= 0)
    emitted = np.where(yes, 1, np.where(no, 0, -1))
    same = (yes & (asserted == 1)) | (no & (asserted == 0))
    decision = np.where(yes | no, np.where(same, "accept", "correct"), "abstain")
    right = np.where(yes | (~no & (asserted == 1)), p_true, 1 - p_true)
    reasons = np.where(told, _pick(judged.fused.reasons, place, 0), bit("remembered"))
    reasons = reasons | contradicts * bit("contradicts")
    unsure = ~yes & ~no & ~contradicts & np.isfinite(p_true)
    reasons = reasons | unsure * bit("below_threshold")
    meaning = judged.meaning.to_pylist()
    columns: dict[str, Any] = {
        "claim_id": [f"{name}#{number:04d}" for number in range(len(listed))],
        "subject_id": [key[0] for key in listed],
        "relation": [key[1] for key in listed],
        "object_id": [key[2] for key in listed],
        "asserted": _words(asserted),
        "emitted": _words(emitted),
        "p_true": p_true,
        "p_boxes": p_true,
        "confidence": right,
        "decision": decision,
        "said_by": np.where(told & (asserted == 1) & judged.answered, "vlm", "verifier"),
        "enumerated": [not judged.answered] * len(listed),
        "label": pa.nulls(len(listed), pa.int8()),
        "reasons": decode(reasons.astype(np.uint32)).cast(pa.list_(pa.string())),
        "left_out": pa.nulls(len(listed), pa.string()),
        "meaning": [meaning[p] if p >= 0 else None for p in place.tolist()],
    }
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, from_pandas=True).cast(kind)
        for column, kind in zip(columns.values(), CANDIDATES.types, strict=True)
    ]
    return pa.table(arrays, schema=CANDIDATES)


def _reduced(graph: SceneGraph, tracks: Tracks) -> SceneGraph:
    """Edges that need not be shown left out; how far things are apart by their smoothed boxes."""
    believed = np.flatnonzero(graph.believed)
    why = np.full(graph.candidates.num_rows, None, dtype=object)
    edges = graph.candidates.take(pa.array(believed))
    why[believed] = left_out(
        edges["subject_id"].to_pylist(),
        edges["relation"].to_pylist(),
        edges["object_id"].to_pylist(),
        edges["p_true"].to_numpy(),
        dict(zip(tracks.ids, tracks.smooth.astype(np.float64), strict=True)),
    )
    place = graph.candidates.schema.get_field_index("left_out")
    shown = graph.candidates.set_column(
        place, CANDIDATES.field("left_out"), pa.array(why.tolist(), pa.string())
    )
    return SceneGraph(
        graph.image_id, graph.width, graph.height, graph.objects, shown, graph.rule,
        repaired=graph.repaired, reduced=True,
    )  # fmt: skip


def _pick(values: NDArray[Any], place: NDArray[np.int64], default: Any) -> NDArray[Any]:
    """Values at places, and the default at place -1."""
    return np.append(values, np.array(default, dtype=values.dtype))[place]


def _words(codes: NDArray[Any]) -> pa.Array:
    """1 is yes, 0 is no, -1 is null."""
    return pa.array(ANSWERS).take(pa.array(codes, pa.int8(), mask=codes < 0))
