"""The stage that makes scene graphs of verdicts, and the files that people open."""

from __future__ import annotations

import errno
import logging
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.backends.ahead import ahead
from spatialtrust.claims.grounding import chosen_ids
from spatialtrust.errors import FileError
from spatialtrust.files import first_line, write_bytes, write_text
from spatialtrust.fusion.model import threads
from spatialtrust.graph import SceneGraph
from spatialtrust.graph.drawing import draw, encode
from spatialtrust.graph.files import check_image_ids, graph_name, picture_name
from spatialtrust.graph.formats import render
from spatialtrust.io.images import read_image
from spatialtrust.run.batches import detach, nest
from spatialtrust.schema import SCENES
from spatialtrust.tables import Claims, Detections, Images, Verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spatialtrust.arrays import Pixels
    from spatialtrust.decision.commit_gate import Rule

log: Final = logging.getLogger("spatialtrust")

_AHEAD: Final = 2
"""Threads that read images, and that write overlays, at most: drawing takes longer."""


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
        detections = detach(batch, "detections", Detections)
        verdicts = named.with_columns(chosen_ids(Claims(named.data), detections))
        facts = batch.select(Images.schema.names).to_pylist()
        graphs = self._graphs(facts, detections, verdicts, "answers" in batch.column_names)
        lonely = _unpaired(graphs, verdicts.data)
        with _Drawing(facts) as drawing:
            rows = [
                self._guarded(row, graph, unpaired, drawing)
                for row, graph, unpaired in zip(facts, graphs, lonely, strict=True)
            ]
        return nest(batch, self.writes, pa.Table.from_pylist(rows, schema=SCENES))

    def _graphs(
        self,
        facts: list[dict[str, Any]],
        detections: Detections,
        verdicts: Verdicts,
        answered: bool,
    ) -> list[SceneGraph | Exception]:
        """Graphs of all images at once; where that fails of each alone, or why it cannot be."""
        sizes = {row["image_id"]: (row["width"], row["height"]) for row in facts}
        try:
            made = SceneGraph.build_all(sizes, detections, verdicts, self.rule, answered=answered)
            return list(made)
        except Exception as error:  # of whatever one of the images led to
            if len(facts) == 1:
                return [error]
        alone: list[SceneGraph | Exception] = []
        for row in facts:
            here = pc.field("image_id") == row["image_id"]
            boxes = Detections(detections.data.filter(here))
            claims = Verdicts(verdicts.data.filter(here))
            alone += self._graphs([row], boxes, claims, answered)
        return alone

    def _guarded(
        self,
        facts: dict[str, Any],
        graph: SceneGraph | Exception,
        unpaired: int,
        drawing: _Drawing,
    ) -> dict[str, Any]:
        """:meth:`_row`; an image that cannot be linked gets a status, the others go on.

        Raises
        ------
        FileError: nothing can be written: the disk is full, or the folder is gone.
        """
        try:
            if isinstance(graph, Exception):
                raise graph
            return self._row(facts, graph, unpaired, drawing)
        except FileError:
            raise
        except Exception as error:  # of whatever this one image led to
            log.warning("%s: %s", facts["image_id"], told := first_line(error))
            told = f"failed: {type(error).__name__}: {told}"
            return {"image_id": facts["image_id"], "status": told[:500]}

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
        text = render(graph, "json", data)
        if self.out is not None:
            for kind in self.formats:
                place = _place(self.out, "graphs", graph_name(graph.image_id, kind))
                write_text(text if kind == "json" else render(graph, kind, data), place)
        row = {**row, **graph.summary(), "unpaired": unpaired, "graph": text}
        if self.out is not None and self.overlays:
            drawing.add(row, graph, self.out)
        return row


def _place(out: Path, *names: str) -> Path:
    """Where a file goes, its folders made; a run folder that is gone is not made again.

    Raises
    ------
    FileError: it is gone, or a folder cannot be made.
    """
    file = out.joinpath(*names)
    if file.parent.is_dir():
        return file
    try:
        if not out.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the run folder was removed while it was in use")
        for folder in reversed([above for above in file.parents if above.is_relative_to(out)][:-1]):
            folder.mkdir(exist_ok=True)
    except OSError as error:
        raise FileError(file, f"cannot be written ({first_line(error)})") from error
    return file


def _unpaired(graphs: Sequence[SceneGraph | Exception], verdicts: pa.Table) -> list[int]:
    """Objects of each graph that no claim is about."""
    images = verdicts["image_id"].to_pylist()
    paired = {
        pair
        for side in ("subject_id", "object_id")
        for pair in zip(images, verdicts[side].to_pylist(), strict=True)
    }
    made = [None if isinstance(graph, Exception) else graph for graph in graphs]
    return [
        sum((graph.image_id, name) not in paired for name in graph.objects.strings("object_id"))
        if graph is not None
        else 0
        for graph in made
    ]


class _Drawing:
    """Overlays: threads read the images before and write the pictures after they are drawn.

    Drawing itself is Python: threads that draw would hand the interpreter to each other. A few
    images wait at most. One that cannot be drawn is said in its image's row, one that cannot be
    written is an error no later than at the end.
    """

    def __init__(self, facts: Sequence[dict[str, Any]]) -> None:
        self._most = min(threads() - 1, _AHEAD)
        shown = [(row["image_id"], row["uri"]) for row in facts if row["status"] == "ok"]
        self._read = ahead(_read, shown, self._most)
        self._written: deque[tuple[dict[str, Any], Future[str]]] = deque()

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(max(1, self._most))
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)
        while kind is None and self._written:
            self._finish()

    def add(self, row: dict[str, Any], graph: SceneGraph, out: Path) -> None:
        """Draw an overlay; the row gets its status by the end."""
        # Images before it have no graph.
        pixels = next(found for name, found in self._read if name == graph.image_id)
        if isinstance(pixels, FileError):
            row["status"] = f"unreadable: {pixels}"
            return
        if isinstance(pixels, Exception):
            raise pixels
        try:
            picture = draw(pixels, graph)
        except Exception as error:  # the image is read, its graph is there; only the picture lacks
            row["status"] = _not_drawn(error)
            return
        if not self._most:
            row["status"] = _write(picture, graph.image_id, out)
            return
        if len(self._written) > self._most:
            self._finish()
        self._written.append((row, self._pool.submit(_write, picture, graph.image_id, out)))

    def _finish(self) -> None:
        row, status = self._written.popleft()
        row["status"] = status.result()


def _read(file: tuple[str, str]) -> tuple[str, Pixels | Exception]:
    """An image's id and its pixels, or what reading it led to."""
    image_id, uri = file
    try:
        return image_id, read_image(uri)
    except Exception as error:  # raised where the image's turn has come
        return image_id, error


def _write(picture: Pixels, image_id: str, out: Path) -> str:
    """Write the overlay, and say whether it could be made a file's bytes."""
    try:
        content = encode(picture)
    except Exception as error:  # too large for JPEG
        return _not_drawn(error)
    write_bytes(content, _place(out, "overlays", picture_name(image_id)))
    return "ok"


def _not_drawn(error: Exception) -> str:
    return f"not drawn: {type(error).__name__}: {first_line(error)}"[:500]
