"""The stage that makes scene graphs of verdicts, and the files that people open."""

from __future__ import annotations

import errno
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pyarrow as pa

from spatialtrust.claims.grounding import chosen_ids
from spatialtrust.errors import FileError
from spatialtrust.files import first_line, write_bytes
from spatialtrust.graph import SceneGraph
from spatialtrust.graph.drawing import draw, encode
from spatialtrust.graph.files import check_image_ids, graph_name, picture_name, save_graph
from spatialtrust.io.images import read_image
from spatialtrust.run.batches import attach, detach, nest, unnest
from spatialtrust.tables import Claims, Detections, Images, Verdicts

if TYPE_CHECKING:
    from spatialtrust.decision.commit_gate import Rule

log: Final = logging.getLogger("spatialtrust")

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
        check_image_ids(batch["image_id"].to_pylist(), "images")
        named = detach(batch, "verdicts", Verdicts)
        ids = chosen_ids(Claims(named.data), detach(batch, "detections", Detections))
        linked = attach(batch, "verdicts", named.with_columns(ids))
        answered = "answers" in batch.column_names
        rows = [self._guarded(linked.slice(row, 1), answered) for row in range(linked.num_rows)]
        return nest(batch, self.writes, pa.Table.from_pylist(rows, schema=SCENES))

    def _guarded(self, image: pa.Table, answered: bool) -> dict[str, Any]:
        """:meth:`_row`; an image that cannot be linked or drawn gets a status, the others go on.

        Raises
        ------
        FileError: nothing can be written: the disk is full, or the folder is gone.
        """
        try:
            return self._row(image, answered)
        except FileError:
            raise
        except Exception as error:  # of whatever this one image led to
            log.warning("%s: %s", image["image_id"][0].as_py(), told := first_line(error))
            told = f"failed: {type(error).__name__}: {told}"
            return {"image_id": image["image_id"][0].as_py(), "status": told[:500]}

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
                save_graph(graph, _place(self.out, "graphs", graph_name(graph.image_id, kind)))
            if self.overlays:
                row["status"] = _draw(facts["uri"], graph, self.out)
        text = json.dumps(graph.to_dict(), ensure_ascii=False, allow_nan=False)
        claimed = unnest(image, "verdicts").select(["subject_id", "object_id"])
        paired = {name for column in claimed.columns for name in column.to_pylist()}
        unpaired = sum(name not in paired for name in graph.objects.strings("object_id"))
        return {**row, **graph.summary(), "unpaired": unpaired, "graph": text}


def _draw(uri: str, graph: SceneGraph, out: Path) -> str:
    """Write the overlay; the image's status, should its pixels turn out to be broken."""
    try:
        pixels = read_image(uri)
    except FileError as error:
        return f"unreadable: {error}"
    try:
        picture = encode(draw(pixels, graph))
    except Exception as error:  # the image is read and its graph is there; only the picture lacks
        return f"not drawn: {type(error).__name__}: {first_line(error)}"[:500]
    write_bytes(picture, _place(out, "overlays", picture_name(graph.image_id)))
    return "ok"


def _place(out: Path, *names: str) -> Path:
    """Where a file goes, its folders made; a run folder that is gone is not made again.

    Raises
    ------
    FileError: it is gone, or a folder cannot be made.
    """
    file = out.joinpath(*names)
    try:
        if not out.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the run folder was removed while it was in use")
        for folder in reversed([above for above in file.parents if above.is_relative_to(out)][:-1]):
            folder.mkdir(exist_ok=True)
    except OSError as error:
        raise FileError(file, f"cannot be written ({first_line(error)})") from error
    return file
