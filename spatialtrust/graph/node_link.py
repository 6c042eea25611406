"""A scene graph as node-link data: what networkx reads, in plain Python scalars."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from spatialtrust.graph.candidates import kept
from spatialtrust.graph.naming import names_of
from spatialtrust.schema import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

NODE_COLUMNS: Final = ("phrase", "x1", "y1", "x2", "y2", "score")


_EDGE_ENDS: Final = ("subject_id", "object_id")


def node_link(facts: Mapping[str, Any], objects: pa.Table, candidates: pa.Table) -> dict[str, Any]:
    """Nodes, kept edges, and facts of the graph, among them the candidates that are no edges.

    Unknown is None, never NaN.

    Parameters
    ----------
    facts: of the graph, JSON-ready.
    objects: the nodes, with ``object_id`` and ``NODE_COLUMNS``.
    candidates: rows of ``candidates.CANDIDATES``.
    """
    names = names_of(objects["object_id"].to_pylist(), objects["phrase"].to_pylist())
    rows = list(zip(_rows(candidates), kept(candidates), strict=True))
    return {
        "directed": True,
        "multigraph": True,
        "graph": {
            "schema": VERSION,
            **facts,
            "candidates": [row for row, is_edge in rows if not is_edge],
        },
        "nodes": [
            {
                "id": row["object_id"],
                "name": names[row["object_id"]],
                **{name: row[name] for name in NODE_COLUMNS},
            }
            for row in _rows(objects.select(["object_id", *NODE_COLUMNS]))
        ],
        "edges": [
            {
                "source": row["subject_id"],
                "target": row["object_id"],
                "key": row["relation"],
                **{name: value for name, value in row.items() if name not in _EDGE_ENDS},
            }
            for row, is_edge in rows
            if is_edge
        ],
    }


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    """Rows as JSON-ready scalars; float32 as the shortest number that reads back the same."""
    columns = {}
    for name in table.column_names:
        shortest = pa.types.is_float32(table.schema.field(name).type)
        columns[name] = _shortest(table[name]) if shortest else table[name].to_pylist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _shortest(column: pa.ChunkedArray) -> list[float | None]:
    text = column.fill_null(math.nan).to_numpy().astype(np.str_).tolist()
    return [None if value == "nan" else float(value) for value in text]
