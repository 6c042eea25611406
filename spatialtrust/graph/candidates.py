"""Candidates of a scene graph, as a table: claims that were asserted or emitted yes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.schema import CLAIMS, VERDICTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CANDIDATES: Final = pa.schema(
    [
        pa.field("claim_id", pa.string()),
        pa.field("subject_id", pa.string()),
        pa.field("relation", pa.string()),
        pa.field("object_id", pa.string()),
        pa.field("asserted", pa.string()),
        pa.field("emitted", pa.string()),
        pa.field("p_true", pa.float32()),
        pa.field("p_boxes", pa.float32()),
        pa.field("confidence", pa.float32()),
        pa.field("decision", pa.string()),
        pa.field("said_by", pa.string()),
        pa.field("enumerated", pa.bool_()),
        pa.field("label", pa.int8()),
        pa.field("reasons", pa.list_(pa.string())),
        pa.field("left_out", pa.string()),
        pa.field("meaning", pa.string()),
    ]
)
"""Columns of a graph's candidates.

``said_by``: ``vlm`` where a VLM said yes, else ``verifier``. ``left_out``: why a candidate that is
believed is no edge, ``implied`` or ``far`` (see :mod:`spatialtrust.graph.reduction`), else null.
"""


def candidates_of(verdicts: pa.Table, *, answered: bool) -> pa.Table:
    """The candidates among verdicts; of those that say the same of an image the best supported.

    Parameters
    ----------
    verdicts: of any number of images, with the claims' own columns, ``subject_id`` and
        ``object_id`` filled where a box was found.
    answered: whether a VLM was asked; else the verifier proposes the edges.

    Returns
    -------
    ``image_id`` and the columns of ``CANDIDATES``, sorted by image and claim.
    """
    asserted = pc.fill_null(pc.equal(verdicts["asserted"], "yes"), False)
    emitted = pc.fill_null(pc.equal(verdicts["emitted"], "yes"), False)
    rows = verdicts.filter(pc.or_(asserted, emitted))
    said = pc.and_(pc.fill_null(pc.equal(rows["asserted"], "yes"), False), answered)
    columns = {
        "said_by": pc.if_else(said, "vlm", "verifier"),
        "enumerated": pc.fill_null(pc.equal(column(rows, "source"), "enumerated"), False),
        "reasons": codes(rows["reasons"]),
        "left_out": pa.nulls(rows.num_rows, pa.string()),
    }
    columns |= {name: column(rows, name) for name in CANDIDATES.names if name not in columns}
    found = pa.table({name: columns[name] for name in CANDIDATES.names}).cast(CANDIDATES)
    return _distinct(found.add_column(0, "image_id", column(rows, "image_id")))


def of_images(rows: pa.Table, image_ids: Sequence[str]) -> list[pa.Table]:
    """The rows of each of some images, of a table that is sorted by ``image_id``.

    >>> rows = pa.table({"image_id": ["a", "a", "c"], "x": [1, 2, 3]})
    >>> [found["x"].to_pylist() for found in of_images(rows, ["c", "b", "a"])]
    [[3], [], [1, 2]]
    >>> of_images(rows.slice(0, 0), ["a"])[0].num_rows
    0
    """
    place = pc.index_in(rows["image_id"], value_set=pa.array(image_ids, pa.string()))
    owner = np.asarray(pc.fill_null(place, -1).to_numpy(), dtype=np.int64)
    starts = np.flatnonzero(np.diff(owner, prepend=-2))
    ends = np.append(starts[1:], len(owner))[: len(starts)]
    spans = dict(zip(owner[starts].tolist(), zip(starts, ends, strict=True), strict=True))
    none = (0, 0)
    return [
        rows.slice(int(start), int(end - start))
        for start, end in (spans.get(number, none) for number in range(len(image_ids)))
    ]


def kept(candidates: pa.Table) -> NDArray[np.bool_]:
    """Which candidates are edges, a mask: believed, and not left out."""
    shown = np.asarray(candidates["left_out"].is_null().to_numpy(), dtype=np.bool_)
    return believed(candidates) & shown


def believed(candidates: pa.Table) -> NDArray[np.bool_]:
    """Which candidates are emitted yes, a mask."""
    emitted = pc.fill_null(pc.equal(candidates["emitted"], "yes"), False)
    return np.asarray(emitted.to_numpy(), dtype=np.bool_)


def summarise(candidates: pa.Table) -> dict[str, Any]:
    """Counts over candidates, of one image or many: see :meth:`SceneGraph.summary`."""
    edges = believed(candidates)
    left_out = candidates["left_out"]
    label = pc.fill_null(candidates["label"], -1).to_numpy()
    right, labelled = edges & (label == 1), edges & (label >= 0)
    return {
        "candidates": len(edges),
        "edges": int(kept(candidates).sum()),
        "implied": _count(left_out, "implied"),
        "far": _count(left_out, "far"),
        "share_kept": _share(edges.sum(), len(edges)),
        "labelled": int((label >= 0).sum()),
        "precision": _share(right.sum(), labelled.sum()),
        "recall": _share(right.sum(), (label == 1).sum()),
    }


def _distinct(candidates: pa.Table) -> pa.Table:
    """One candidate per image, subject, relation and object: the best supported."""
    order = candidates.sort_by([("p_true", "descending"), ("claim_id", "ascending")])
    order = order.append_column("row", pa.array(np.arange(order.num_rows)))
    key = ["image_id", "subject_id", "relation", "object_id"]
    linked = pc.and_(order["subject_id"].is_valid(), order["object_id"].is_valid())
    first = order.filter(linked).group_by(key, use_threads=False).aggregate([("row", "min")])
    rows = pa.concat_arrays(
        [
            first["row_min"].combine_chunks().cast(pa.int64()),
            order.filter(pc.invert(linked))["row"].combine_chunks(),
        ]
    )
    sorted_by = [("image_id", "ascending"), ("claim_id", "ascending")]
    return order.take(rows).drop_columns("row").sort_by(sorted_by).combine_chunks()


def with_columns(table: pa.Table, **columns: Any) -> pa.Table:
    """The table with some columns replaced, their types kept."""
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        field = table.schema.field(place)
        array = values if isinstance(values, pa.ChunkedArray) else pa.array(values)
        table = table.set_column(place, field, array.cast(field.type))
    return table


def column(table: pa.Table, name: str) -> pa.ChunkedArray | pa.Array:
    """A column, null where the table has none: verdicts may lack labels or meanings."""
    if name in table.column_names:
        return table[name]
    schema = CLAIMS if name in CLAIMS.names else VERDICTS
    return pa.nulls(table.num_rows, schema.field(name).type)


def numbers(table: pa.Table, name: str) -> NDArray[np.float32]:
    """A column as float32, NaN for null."""
    return np.asarray(pc.cast(table[name], pa.float32()).to_numpy(), dtype=np.float32)


def codes(reasons: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Lists of codes as plain strings."""
    return reasons.cast(pa.list_(pa.string()))


def _count(column: pa.ChunkedArray, value: str) -> int:
    return int(pc.sum(pc.equal(column, value)).as_py() or 0)


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
