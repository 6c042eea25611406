"""From the boxes of each phrase to the detections table; every detector that runs here ends so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from spatialtrust.backends.grounding_dino.suppression import Boxes
from spatialtrust.tables import Detections

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def detections_of(
    wanted: Mapping[str, Sequence[str]],
    found: Mapping[tuple[str, str], Boxes],
    status: Mapping[tuple[str, str], str],
    model: str,
) -> Detections:
    """One row per box, and one with null corners for a phrase without a box.

    Parameters
    ----------
    wanted: image_id to its phrases.
    found: boxes by image_id and phrase.
    status: why a phrase has none, by the same; ``not_found`` where nothing is said.
    model: written into every row.
    """
    nothing = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    names: list[tuple[str, str, int, str]] = []
    parts = []
    for image_id, phrases in wanted.items():
        for phrase in phrases:
            kept = found.get((image_id, phrase), nothing)
            why = status.get((image_id, phrase), "ok" if len(kept.scores) else "not_found")
            rows = max(1, len(kept.scores))
            names += [(image_id, phrase, rank, why) for rank in range(rows)]
            block = np.full((rows, 5), np.nan, dtype=np.float32)
            block[: len(kept.scores), :4] = kept.corners
            block[: len(kept.scores), 4] = kept.scores
            parts.append(block)
    if not parts:
        return Detections.empty()
    image_ids, said, ranks, statuses = zip(*names, strict=True)
    numbers = np.concatenate(parts)
    columns: dict[str, Any] = {
        "image_id": pa.array(image_ids, pa.string()),
        "object_id": pa.array([f"{p}#{r}" for p, r in zip(said, ranks, strict=True)], pa.string()),
        "phrase": pa.array(said, pa.string()),
        "rank": pa.array(ranks, pa.int32()),
        "model": pa.array([model] * len(names), pa.string()),
        "status": pa.array(statuses, pa.string()),
    }
    for place, name in enumerate(("x1", "y1", "x2", "y2", "score")):
        values = numbers[:, place]
        columns[name] = pa.array(values, pa.float32(), mask=np.isnan(values))
    return Detections.from_columns(columns, "detections").sorted()
