"""What is believed after a frame, as plain data: what every writer writes, and planners read.

The schema ships: ``schemas/spatialtrust.SceneGraph.json``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from spatialtrust.bags.reading import SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spatialtrust.graph import SceneGraph
    from spatialtrust.tracking.steadiness import Event

Record = dict[str, Any]


def record_of(
    graph: SceneGraph,
    *,
    stamp: int,
    index: int,
    camera: str = "",
    events: Sequence[Event] = (),
    ended: Sequence[str] = (),
    dropped: Mapping[str, int] | None = None,
    positions: Mapping[str, tuple[float, float, float]] | None = None,
) -> Record:
    """A frame's record; what is not known is None.

    Parameters
    ----------
    graph: objects with ``status`` ``hidden`` where the frame does not show them.
    stamp: of the picture, ns.
    index: number of the frame.
    camera: coordinate frame that positions are in.
    positions: of objects by id, metres.
    """
    where = positions or {}
    return {
        "stamp": time_of(stamp),
        "frame": graph.image_id,
        "index": index,
        "frame_id": camera,
        "width": graph.width,
        "height": graph.height,
        "objects": [
            {
                "id": row["object_id"],
                "phrase": row["phrase"],
                "box": [_plain(row[side], 2) or 0.0 for side in ("x1", "y1", "x2", "y2")],
                "score": _plain(row["score"]),
                "hidden": row["status"] == "hidden",
                "position": [round(v, 4) for v in where[row["object_id"]]]
                if row["object_id"] in where
                else None,
            }
            for row in graph.objects.data.to_pylist()
        ],
        "relations": [
            {
                "subject": row["subject_id"],
                "relation": row["relation"],
                "object": row["object_id"],
                "p_true": _plain(row["p_true"]),
                "confidence": _plain(row["confidence"]),
                "decision": row["decision"],
                "emitted": row["emitted"],
                "edge": row["emitted"] == "yes" and row["left_out"] is None,
                "left_out": row["left_out"],
                "reasons": list(row["reasons"]),
                "meaning": row["meaning"],
            }
            for row in graph.candidates.to_pylist()
        ],
        "events": [{**event._asdict(), "p_true": round(event.p_true, 4)} for event in events],
        "ended": list(ended),
        "rule": str(graph.rule),
        "dropped": dict(dropped or {}),
    }


def time_of(stamp: int) -> dict[str, int]:
    """Nanoseconds as seconds and the rest.

    >>> time_of(1_500_000_000)
    {'sec': 1, 'nsec': 500000000}
    """
    return {"sec": stamp // SECOND, "nsec": stamp % SECOND}


def stamp_in(record: Record) -> int:
    """Nanoseconds of a record's picture."""
    return int(record["stamp"]["sec"]) * SECOND + int(record["stamp"]["nsec"])


def _plain(value: float | None, digits: int = 4) -> float | None:
    return None if value is None or math.isnan(value) else round(value, digits)
