"""The stage that makes scene graphs of verdicts, and the files that people open."""

from __future__ import annotations

import json
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import pyarrow as pa

from spatialtrust.claims.grounding import chosen_ids
from spatialtrust.errors import FileError
from spatialtrust.files import write_bytes
from spatialtrust.fusion.model import threads
from spatialtrust.graph import SceneGraph
from spatialtrust.graph.drawing import draw, encode
from spatialtrust.graph.files import save_graph
from spatialtrust.io.images import read_image
from spatialtrust.run.batches import detach, nest
from spatialtrust.tables import Claims, Detections, Images, Verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spatialtrust.arrays import Pixels
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
        detections = detach(batch, "detections", Detections)
        verdicts = named.with_columns(chosen_ids(Claims(named.data), detections))
        facts = batch.select(Images.schema.names).to_pylist()
        graphs = SceneGraph.build_all(
            {row["image_id"]: (row["width"], row["height"]) for row in facts},
            detections,
            verdicts,
            self.rule,
            answered="answers" in batch.column_names,
        )
        lonely = _unpaired(graphs, verdicts.data)
        with _Drawing() as drawing:
            rows = [
                self._row(row, graph, unpaired, drawing)
                for row, graph, unpaired in zip(facts, graphs, lonely, strict=True)
            ]
        return nest(batch, self.writes, pa.Table.from_pylist(rows, schema=SCENES))

    def _row(
        self, facts: dict[str, Any], graph: SceneGraph, unpaired: int, drawing: _Drawing
    ) -> dict[str, Any]:
        """One image's row of ``SCENES``, its files written."""
        row = {"image_id": facts["image_id"], "status": facts["status"]}
        if facts["status"] != "ok":
            return row
        if self.rule.repaired_at is not None:
            graph = graph.repair_at(self.rule.repaired_at).by(self.rule)
        else:
            graph = graph.repair() if self.repair else graph
            graph = graph if self.all_edges else graph.reduce()
        data = graph.to_dict()
        if self.out is not None:
            for kind in self.formats:
                save_graph(graph, self.out / "graphs" / f"{graph.image_id}.{kind}", data)
            if self.overlays:
                row["status"] = drawing.add(facts["uri"], graph, self.out / "overlays")
        text = json.dumps(data, ensure_ascii=False, allow_nan=False)
        return {**row, **graph.summary(), "unpaired": unpaired, "graph": text}


def _unpaired(graphs: Sequence[SceneGraph], verdicts: pa.Table) -> list[int]:
    """Objects of each graph that no claim is about."""
    images = verdicts["image_id"].to_pylist()
    paired = {
        pair
        for side in ("subject_id", "object_id")
        for pair in zip(images, verdicts[side].to_pylist(), strict=True)
    }
    return [
        sum((graph.image_id, name) not in paired for name in graph.objects.strings("object_id"))
        for graph in graphs
    ]


class _Drawing:
    """Pictures drawn on threads beside the one that makes graphs, where there are cores for it.

    A few wait at most, and one that cannot be written is an error no later than at the end.
    """

    def __init__(self) -> None:
        self._threads = threads()
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(self._threads)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)
        if kind is None:
            for picture in self._waiting:
                picture.result()

    def add(self, uri: str, graph: SceneGraph, folder: Path) -> str:
        """Draw an overlay, soon; the image's status, should its pixels turn out to be broken."""
        try:
            pixels = read_image(uri)
        except FileError as error:
            return f"unreadable: {error}"
        if self._threads == 1:
            _save(pixels, graph, folder)
            return "ok"
        if len(self._waiting) > self._threads:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(_save, pixels, graph, folder))
        return "ok"


def _save(pixels: Pixels, graph: SceneGraph, folder: Path) -> None:
    name = graph.image_id
    name = name if name.lower().endswith((".jpg", ".jpeg")) else f"{name}.jpg"
    write_bytes(encode(draw(pixels, graph)), folder / name)
