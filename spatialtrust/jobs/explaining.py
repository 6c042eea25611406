"""Why each candidate of a run is an edge or was cut: a table of sentences."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from spatialtrust.graph.formats import parse
from spatialtrust.graph.why import explain
from spatialtrust.io.results import write_results
from spatialtrust.run.folder import RunFolder

if TYPE_CHECKING:
    from spatialtrust.graph.why import Why

FILE: Final = "why.csv"
_FEW: Final = 12
_SHOWN: Final = 200
"""Sentences that are kept to be shown; the file holds all."""


@dataclass(frozen=True)
class Reasons:
    """Why candidates of a run are edges or were cut.

    Attributes
    ----------
    path: CSV with a row for each.
    counts: how many were kept, corrected, left out and cut, and what would settle how many.
    first: (image, why) of the first few, the cut ones that come nearest to being kept first.
    """

    path: Path
    counts: dict[str, Any]
    first: list[tuple[str, Why]]

    def summary(self) -> dict[str, Any]:
        """For a program: the file, the counts, and the first sentences."""
        listed = [
            {
                "image": image,
                "edge": f"{why.subject} {why.relation} {why.object}",
                "kind": why.kind,
                "why": why.sentence,
                "settled_by": why.settled_by,
            }
            for image, why in self.first
        ]
        return {"file": str(self.path), **self.counts, "first": listed}

    def for_people(self) -> dict[str, Any]:
        """For a terminal: the file, the counts, and a few sentences."""
        listed = [
            {"image": image, "edge": f"{why.subject} {why.relation} {why.object}",
             "why": why.sentence}
            for image, why in self.first[:_FEW]
        ]  # fmt: skip
        return {"file": str(self.path), **self.counts, "nearest to being kept": listed}


def explain_run(run: str | Path) -> Reasons:
    """Write ``why.csv`` into a run folder that has graphs.

    Raises
    ------
    InputError: the run has no graphs.
    FileError: the file cannot be written.
    """
    kinds: Counter[str] = Counter()
    settled: Counter[str] = Counter()
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    first: list[tuple[str, Why]] = []
    with RunFolder(run) as folder:
        folder.require(["scenes"])
        path = folder.path / FILE
        for part in folder.parts("scenes"):
            for text in folder.read("scenes", part)["graph"].drop_null().to_pylist():
                graph = parse(text, "json", str(folder.path / "scenes" / part))
                for why in explain(graph):
                    kinds[why.kind] += 1
                    if why.settled_by is not None:
                        settled[why.settled_by] += 1
                    row = (graph.image_id, *(getattr(why, name) for name in _COLUMNS[1:]))
                    for column, value in zip(columns.values(), row, strict=True):
                        column.append(value)
                    first.append((graph.image_id, why))
                first = sorted(first, key=_order)[:_SHOWN]
    write_results(pa.table({name: pa.array(values) for name, values in columns.items()}), path)
    return Reasons(path, {**kinds, "would_be_settled_by": dict(settled.most_common())}, first)


_COLUMNS: Final = (
    "image_id", "claim_id", "subject", "relation", "object", "kind", "p_true", "sentence",
    "settled_by",
)  # fmt: skip


def _order(entry: tuple[str, Why]) -> tuple[int, float]:
    """What a reader asks about first: what was cut, and of that what came nearest."""
    why = entry[1]
    known = why.p_true == why.p_true
    return ("cut", "corrected", "kept", "left out").index(why.kind), -why.p_true if known else 0.0
