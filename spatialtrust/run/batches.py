"""Batches of whole images: one row per image, and a column of rows for each further table.

A stage takes a batch and gives it back with a column more. As a batch holds whole images, it can be
cut anywhere, sent anywhere, and the rows of an image always stay together.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.errors import InputError
from spatialtrust.tables import Table

_T = TypeVar("_T", bound=Table)


def nest(
    batch: pa.Table, name: str, rows: pa.Table, image_id: pa.ChunkedArray | None = None
) -> pa.Table:
    """A batch with a table's rows laid to their images, in their given order.

    Parameters
    ----------
    batch: has ``image_id``, unique.
    name: of the new column; one of that name is replaced.
    rows: rows of images that are not in the batch are left out.
    image_id: (N,) image of each row; None: the rows' own column.

    >>> batch = pa.table({"image_id": ["a", "b"]})
    >>> nest(batch, "boxes", pa.table({"image_id": ["b", "b"], "x": [1, 2]}))["boxes"].to_pylist()
    [[], [{'image_id': 'b', 'x': 1}, {'image_id': 'b', 'x': 2}]]
    """
    owner = rows["image_id"] if image_id is None else image_id
    keys = batch["image_id"].combine_chunks()
    place = np.asarray(pc.fill_null(pc.index_in(owner, value_set=keys), -1).to_numpy())
    order = np.argsort(place, kind="stable")
    order = order[np.searchsorted(place[order], 0) :]
    counts = np.bincount(place[order], minlength=len(keys))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    taken = rows.take(pa.array(order)).combine_chunks()
    columns = [_one_chunk(taken[column]) for column in taken.column_names]
    structs = pa.StructArray.from_arrays(columns, fields=list(taken.schema))
    lists = pa.ListArray.from_arrays(pa.array(offsets), structs)
    at = batch.schema.get_field_index(name)
    if at >= 0:
        return batch.set_column(at, name, lists)
    return batch.append_column(name, lists)


def unnest(batch: pa.Table, name: str) -> pa.Table:
    """Inverse of :func:`nest`: the rows of all images, image by image.

    Raises
    ------
    InputError: the batch has no such column.
    """
    if name not in batch.column_names:
        raise InputError(
            f"the batch has no {name} (it has {', '.join(batch.column_names)}); "
            "run the stage that makes them first"
        )
    structs = _one_chunk(batch[name]).flatten()
    return pa.Table.from_arrays(structs.flatten(), schema=pa.schema(list(structs.type)))


def attach(batch: pa.Table, name: str, table: Table) -> pa.Table:
    """:func:`nest` for a table of the package, in the order of its key.

    A table keyed by claim goes where its claims are.
    """
    rows = table.sorted().data
    if "image_id" in rows.column_names:
        return nest(batch, name, rows)
    claims = unnest(batch, "claims")
    owner = pc.index_in(rows["claim_id"], value_set=_one_chunk(claims["claim_id"]))
    return nest(batch, name, rows, claims["image_id"].take(owner))


def detach(batch: pa.Table, name: str, kind: type[_T]) -> _T:
    """A nested table as one of the package's tables."""
    rows = unnest(batch, name)
    return kind(rows.replace_schema_metadata(kind.schema.metadata))


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    chunk = column.combine_chunks()
    return pa.concat_arrays(chunk.chunks) if isinstance(chunk, pa.ChunkedArray) else chunk
