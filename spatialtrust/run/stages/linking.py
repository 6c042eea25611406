"""The stage that makes scene graphs of verdicts, and the files that people open."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pyarrow as pa

from spatialtrust.claims.grounding import chosen_ids
from spatialtrust.errors import FileError
from spatialtrust.files import write_bytes
from spatialtrust.graph import SceneGraph
from spatialtrust.graph.drawing import draw, encode
from spatialtrust.graph.files import save_graph
from spatialtrust.io.images import read_image
from spatialtrust.run.batches import attach, detach, nest, unnest
from spatialtrust.tables import Claims, Detections, Images, Verdicts

if TYPE_CHECKING:
    from spatialtrust.decision.commit_gate import Rule

SCENES: Final = pa.schema(
    [
        pa.field("image_id", pa.string()),
        pa.field("status", pa.string()),
        pa.field("objects", pa.int32()),
        pa.field("unpaired", pa.int32()),
        pa.field("candidates", pa.int32()),
        pa.field("edges", pa.int32()),
        pa.field("implied", pa.int32()),
        pa.field("far", pa.int32()),
        pa.field("share_kept", pa.float64()),
        pa.field("labelled", pa.int32()),
        pa.field("precision", pa.float64()),
        pa.field("recall", pa.float64()),
        pa.field("graph", pa.string()),
    ]
)
"""One row per image; ``unpaired``: objects no claim is about; ``implied``, ``far``: edges that are
believed and left out; ``graph``: node-link JSON, in which they are."""


@dataclass
class Link:
    """Scene graphs, and the files that people open.

    Attributes
    ----------
    rule: what the verdicts were decided by.
    out: where ``graphs/`` and ``overlays/`` go; None: no files.
    formats: of the graph files.
    overlays: whether to draw.
    repair: whether to drop contradicting edges.
    all_edges: whether to keep edges that others imply, and those of things far apart.
    """

    rule: Rule
    out: Path | None = None
    formats: tuple[str, ...] = ("json", "graphml")
    overlays: bool = True
    repair: bool = True
    all_edges: bool = False

    writes: ClassVar[str] = "scenes"
    reads: ClassVar[tuple[str, ...]] = ("images", "detections", "claims", "verdicts")
    costly: ClassVar[bool] = False
    may_read: ClassVar[tuple[str, ...]] = ("answers",)
    loads_model: ClassVar[bool] = False
    gpus: ClassVar[float] = 0

    def settings(self) -> dict[str, Any]:
        """All but the place."""
        return {
            "rule": self.rule.to_dict(),
            "formats": list(self.formats),
            "overlays": self.overlays,
            "repair": self.repair,
            "all_edges": self.all_edges,
        }

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Add one row per image: its counts, and its graph as node-link JSON."""
        named = detach(batch, "verdicts", Verdicts)
        ids = chosen_ids(Claims(named.data), detach(batch, "detections", Detections))
        linked = attach(batch, "verdicts", named.with_columns(ids))
        answered = "answers" in batch.column_names
        rows = [self._row(linked.slice(row, 1), answered) for row in range(linked.num_rows)]
        return nest(batch, self.writes, pa.Table.from_pylist(rows, schema=SCENES))

    def _row(self, image: pa.Table, answered: bool) -> dict[str, Any]:
        """One image's row of ``SCENES``, its files written."""
        facts = image.select(Images.schema.names).to_pylist()[0]
        row = {"image_id": facts["image_id"], "status": facts["status"]}
        if facts["status"] != "ok":
            return row
        graph = SceneGraph.build(
            facts["image_id"],
            (facts["width"], facts["height"]),
            detach(image, "detections", Detections),
            detach(image, "verdicts", Verdicts),
            self.rule,
            answered=answered,
        )
        if self.rule.repaired_at is not None:
            graph = graph.repair_at(self.rule.repaired_at).by(self.rule)
        else:
            graph = graph.repair() if self.repair else graph
            graph = graph if self.all_edges else graph.reduce()
        if self.out is not None:
            for kind in self.formats:
                save_graph(graph, self.out / "graphs" / f"{graph.image_id}.{kind}")
            if self.overlays:
                row["status"] = _draw(facts["uri"], graph, self.out / "overlays")
        text = json.dumps(graph.to_dict(), ensure_ascii=False, allow_nan=False)
        claimed = unnest(image, "verdicts").select(["subject_id", "object_id"])
        paired = {name for column in claimed.columns for name in column.to_pylist()}
        unpaired = sum(name not in paired for name in graph.objects.strings("object_id"))
        return {**row, **graph.summary(), "unpaired": unpaired, "graph": text}


def _draw(uri: str, graph: SceneGraph, folder: Path) -> str:
    """Write the overlay; the image's status, should its pixels turn out to be broken."""
    try:
        pixels = read_image(uri)
    except FileError as error:
        return f"unreadable: {error}"
    name = graph.image_id
    name = name if name.lower().endswith((".jpg", ".jpeg")) else f"{name}.jpg"
    write_bytes(encode(draw(pixels, graph)), folder / name)
    return "ok"
