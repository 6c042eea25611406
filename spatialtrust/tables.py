"""The tables that pass between stages: frozen, validated once, columns over Arrow.

A table is checked where it enters (``from_arrow``): missing columns, wrong types and repeated keys
are errors that name file, column and row. Inside the package it is then trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust import schema
from spatialtrust.errors import ColumnError, RowError
from spatialtrust.shown import ROWS, html_table, to_pandas

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, repr=False)
class Table:
    """Base of all tables: a ``pa.Table`` that meets its schema.

    Attributes
    ----------
    data: the Arrow table: the schema's columns first, then the user's own.
    """

    data: pa.Table

    schema: ClassVar[pa.Schema]
    key: ClassVar[tuple[str, ...]]

    @classmethod
    def from_arrow(cls, data: pa.Table, source: str = "table") -> Self:
        """Check and complete a table.

        Columns that the schema calls nullable and that are absent are added as null. Types are cast
        where nothing is lost.

        Parameters
        ----------
        data: any Arrow table.
        source: file name for messages.

        Raises
        ------
        ColumnError: a required column is missing, or a column cannot be cast.
        RowError: a key is null or occurs twice.
        """
        names = data.column_names
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ColumnError(source, twice, "stands there twice", "rename or remove one of them")
        columns: dict[str, pa.ChunkedArray] = {}
        fields = []
        for field in cls.schema:
            columns[field.name] = _conform(data, field, source)
            fields.append(field)
        for name in data.column_names:
            if name not in columns:
                columns[name] = data[name]
                fields.append(data.schema.field(name))
        target = pa.schema(fields, metadata=cls.schema.metadata)
        table = pa.table(list(columns.values()), schema=target)
        _check_key(table, cls.key, source)
        return cls(table)

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any], source: str = "table") -> Self:
        """The same from a mapping of column name to values."""
        return cls.from_arrow(pa.table(dict(columns)), source)

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], source: str = "table") -> Self:
        """The same from row dictionaries; for small tables and examples."""
        listed = list(rows)
        data = pa.Table.from_pylist(listed) if listed else cls.schema.empty_table()
        return cls.from_arrow(data, source)

    @classmethod
    def empty(cls) -> Self:
        """A table without rows."""
        return cls(cls.schema.empty_table())

    def __len__(self) -> int:
        return int(self.data.num_rows)

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {len(self)} rows: {', '.join(self.data.column_names)}"

    def _repr_html_(self) -> str:
        names, rows = self.data.column_names, self.data.slice(0, ROWS).to_pylist()
        title = f"{type(self).__name__} of {len(self)} rows"
        return html_table(title, names, [[row[name] for name in names] for row in rows], len(self))

    def to_pandas(self) -> Any:
        """The rows as a pandas DataFrame.

        Raises
        ------
        MissingDependencyError: pandas is not installed.
        """
        return to_pandas(self.data)

    def column(self, name: str) -> pa.ChunkedArray:
        """One column as Arrow."""
        return self.data[name]

    def numbers(self, name: str) -> NDArray[np.float32]:
        """One numeric column as float32; null becomes NaN."""
        column = pc.cast(self.data[name], pa.float32())
        return np.asarray(column.to_numpy(), dtype=np.float32)

    def strings(self, name: str) -> list[str | None]:
        """One string column as a list; not for hot paths."""
        listed: list[str | None] = self.data[name].to_pylist()
        return listed

    def select(self, mask: NDArray[np.bool_]) -> Self:
        """The rows where ``mask`` is true."""
        return type(self)(self.data.filter(pa.array(mask)))

    def take(self, rows: NDArray[np.integer[Any]]) -> Self:
        """The rows at these positions."""
        return type(self)(self.data.take(pa.array(rows)))

    def sorted(self) -> Self:
        """The rows in the order of their key."""
        return type(self)(self.data.sort_by([(name, "ascending") for name in self.key]))

    def with_columns(self, columns: Mapping[str, Any]) -> Self:
        """A copy with columns added or replaced."""
        table = self.data
        for name, values in columns.items():
            place = table.schema.get_field_index(name)
            array = values if isinstance(values, pa.ChunkedArray) else pa.array(values)
            if place < 0:
                table = table.append_column(name, array)
            else:
                table = table.set_column(place, table.schema.field(place), array)
        return type(self)(table)

    @classmethod
    def concat(cls, tables: Sequence[Self]) -> Self:
        """Rows of several tables, checked for repeated keys."""
        if not tables:
            return cls.empty()
        joined = pa.concat_tables([t.data for t in tables], promote_options="permissive")
        return cls.from_arrow(joined)


class Images(Table):
    """Images of a run, one row each."""

    schema = schema.IMAGES
    key = ("image_id",)


class Claims(Table):
    """Claims, one row each.

    >>> claims = Claims.from_rows([{"claim_id": "0", "image_id": "a.jpg", "subject": "mug",
    ...                             "relation": "left of", "object": "kettle"}])
    >>> len(claims), claims.strings("label")
    (1, [None])
    """

    schema = schema.CLAIMS
    key = ("claim_id",)


class Answers(Table):
    """What VLMs said; one row per claim, model, view, form and prompt."""

    schema = schema.ANSWERS
    key = ("claim_id", "model", "view", "form", "prompt_id")


class Detections(Table):
    """Boxes, one row each; a phrase that was not found has a row with null corners."""

    schema = schema.DETECTIONS
    key = ("image_id", "object_id")

    def boxes(self) -> NDArray[np.float32]:
        """Corners (N, 4), ``x1, y1, x2, y2`` in pixels; NaN where there is no box."""
        return np.stack([self.numbers(name) for name in ("x1", "y1", "x2", "y2")], axis=1)


class Evidence(Table):
    """Feature rows, one per claim; columns beside the fixed ones are float32 features."""

    schema = schema.EVIDENCE
    key = ("claim_id",)


class Verdicts(Table):
    """One row per claim: the decision, its confidence and its reasons."""

    schema = schema.VERDICTS
    key = ("claim_id",)


@dataclass(frozen=True, slots=True)
class Grounding:
    """Which boxes each claim is about; row i belongs to row i of the claims it was made for.

    Attributes
    ----------
    subject_box, object_box: float32 (N, 4), ``x1, y1, x2, y2`` in pixels; NaN where missing.
    image_size: float32 (N, 2), width and height in pixels; 1 x 1 where boxes are fractions;
        NaN where unknown.
    subject_score, object_score: float32 (N,), detector scores; NaN for given boxes.
    subject_margin, object_margin: float32 (N,), score minus the runner-up's; NaN without one.
    subject_count, object_count: float32 (N,), boxes that fit the phrase; NaN where not known.
    reasons: uint32 (N,), bit mask, see ``reasons.py``.
    """

    subject_box: NDArray[np.float32]
    object_box: NDArray[np.float32]
    image_size: NDArray[np.float32]
    subject_score: NDArray[np.float32]
    object_score: NDArray[np.float32]
    subject_margin: NDArray[np.float32]
    object_margin: NDArray[np.float32]
    subject_count: NDArray[np.float32]
    object_count: NDArray[np.float32]
    reasons: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.reasons)

    @classmethod
    def from_boxes(
        cls,
        subject_box: NDArray[np.float32],
        object_box: NDArray[np.float32],
        image_size: NDArray[np.float32] | None = None,
        reasons: NDArray[np.uint32] | None = None,
    ) -> Grounding:
        """Boxes that were given rather than detected: scores, margins and counts are NaN.

        >>> Grounding.from_boxes(np.zeros((2, 4)), np.ones((2, 4))).subject_score
        array([nan, nan], dtype=float32)
        """
        rows = len(subject_box)
        unknown = np.full(rows, np.nan, dtype=np.float32)
        size = np.full((rows, 2), np.nan) if image_size is None else image_size
        return cls(
            np.asarray(subject_box, dtype=np.float32),
            np.asarray(object_box, dtype=np.float32),
            np.asarray(size, dtype=np.float32),
            unknown,
            unknown,
            unknown,
            unknown,
            unknown,
            unknown,
            np.zeros(rows, dtype=np.uint32) if reasons is None else reasons,
        )


class Fused(NamedTuple):
    """What the model says of (N,) claims.

    Attributes
    ----------
    p_true: float32, calibrated P(a person shown the image would call the claim true); NaN: unknown.
    p_boxes: float32, the same from boxes alone; NaN where a box or the relation is not known.
    reasons: uint32 bit mask.
    """

    p_true: NDArray[np.float32]
    p_boxes: NDArray[np.float32]
    reasons: NDArray[np.uint32]

    @property
    def usable(self) -> NDArray[np.float32]:
        """(N,) ``p_true`` as decisions see it: a claim without both boxes is never emitted."""
        return np.where(np.isfinite(self.p_boxes), self.p_true, np.float32(np.nan))


def _conform(data: pa.Table, field: pa.Field, source: str) -> pa.ChunkedArray:
    if field.name not in data.column_names:
        if field.nullable:
            return pa.chunked_array([pa.nulls(data.num_rows, field.type)])
        valid = ", ".join(data.column_names) or "none"
        raise ColumnError(source, field.name, "is missing", f"columns found: {valid}")
    column = data[field.name]
    if column.type != field.type:
        try:
            column = column.cast(field.type)
        except pa.ArrowException as error:
            raise ColumnError(
                source, field.name, f"holds {column.type}", f"valid: {field.type} ({error})"
            ) from error
    if not field.nullable and column.null_count:
        row = int(pc.index(pc.is_null(column), True).as_py())
        raise RowError(source, row + 1, field.name, "is null", "every row needs a value")
    return column


def _rises(column: pa.ChunkedArray) -> bool:
    """Whether every value is greater than the one before, as tables are written: none repeats."""
    values = column.combine_chunks()
    return bool(pc.all(pc.less(values[:-1], values[1:])).as_py())


def _check_key(table: pa.Table, key: tuple[str, ...], source: str) -> None:
    if len(key) == 1 and _rises(table[key[0]]):
        return
    counts = table.group_by(list(key), use_threads=False).aggregate([([], "count_all")])
    if counts.num_rows == table.num_rows:
        return
    repeated = counts.filter(pc.greater(counts["count_all"], 1)).select(list(key)).slice(0, 1)
    wanted = repeated.to_pylist()[0]
    same = pc.equal(table[key[0]], wanted[key[0]])
    for name in key[1:]:
        same = pc.and_(same, pc.equal(table[name], wanted[name]))
    rows = np.flatnonzero(same.to_numpy())[:2] + 1
    raise RowError(
        source,
        int(rows[1]),
        " + ".join(key),
        f"repeats that of row {int(rows[0])} ({', '.join(map(str, wanted.values()))})",
        "keys must be unique",
    )
