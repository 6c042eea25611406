"""What a run folder holds, counted part by part: what commands print at their end."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from spatialtrust.io.parquet import row_count
from spatialtrust.run.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from spatialtrust.run.losses import Loss


def summary(out: str | Path, lost: Sequence[Loss], not_used: Mapping[str, int]) -> dict[str, Any]:
    """Counts of a run folder's tables, read part by part.

    Parameters
    ----------
    lost: what became of recorded boxes, see :func:`spatialtrust.run.losses.losses_of_run`.
    not_used: recorded boxes that never came into the tables, by reason; the others are counted.
    """
    folder = RunFolder(out)
    rows = {
        name: sum(map(row_count, folder.files(name)))
        for name in ("images", "detections", "claims", "answers", "verdicts")
        if folder.parts(name)
    }
    found: dict[str, Any] = {
        "rows": rows,
        "boxes_not_used": {
            **not_used,
            **{loss.code: loss.boxes for loss in lost if loss.whole},
        },
        "boxes_changed": {loss.code: loss.boxes for loss in lost if not loss.whole},
    }
    if "detections" in rows and (unknown := _not_looked_for(folder)):
        found["phrases_not_looked_for"] = unknown
    if "answers" in rows:
        found["answers"] = _answered(folder)
    if folder.parts("scenes"):
        found |= _linked(folder)
    return found


def _linked(folder: RunFolder) -> dict[str, Any]:
    """What the graphs hold together, without reading them."""
    totals: Counter[str] = Counter()
    not_ok: dict[str, str] = {}
    counts = ("objects", "candidates", "edges", "implied", "far")
    for part in folder.parts("scenes"):
        table = folder.read("scenes", part, ["image_id", "status", "unpaired", *counts])
        failed = table.filter(pc.not_equal(table["status"], "ok"))
        not_ok |= dict(
            zip(failed["image_id"].to_pylist(), failed["status"].to_pylist(), strict=True)
        )
        table = table.filter(pc.is_valid(table["candidates"]))
        several = table.filter(pc.greater(table["objects"], 1))
        totals["graphs"] += table.num_rows
        totals["unpaired"] += pc.sum(several["unpaired"]).as_py() or 0
        for name in counts:
            totals[name] += pc.sum(table[name]).as_py() or 0
    left_out = {why: totals[why] for why in ("implied", "far")}
    kept, candidates = totals["edges"] + sum(left_out.values()), totals["candidates"]
    return {
        "graphs": totals["graphs"],
        "objects": totals["objects"],
        "objects_unpaired": totals["unpaired"],
        "candidates": candidates,
        "edges": totals["edges"],
        "edges_left_out": left_out,
        "share_kept": kept / candidates if candidates else None,
        "not_ok": not_ok,
    }


def _not_looked_for(folder: RunFolder) -> list[str]:
    """Phrases that the detector knows no such thing for."""
    found: set[str] = set()
    for part in folder.parts("detections"):
        table = folder.read("detections", part, ["phrase", "status"])
        unknown = pc.fill_null(pc.equal(table["status"], "phrase_unknown"), False)
        found.update(pc.unique(table.filter(unknown)["phrase"]).to_pylist())
    return sorted(found)


def _answered(folder: RunFolder) -> dict[str, int]:
    """How many answers say yes, no or neither, and why others are missing."""
    said: Counter[str] = Counter()
    for part in folder.parts("answers"):
        table = folder.read("answers", part, ["answer", "status"])
        counts = pc.value_counts(pc.coalesce(table["answer"], table["status"], "missing"))
        for entry in counts.to_pylist():
            said[entry["values"]] += entry["counts"]
    return dict(sorted(said.items()))
