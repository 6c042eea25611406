"""Rows of JSON lines, CSV and Parquet as one Arrow table, whatever state the file is in.

Text may be in any common encoding (``io/encodings.py``), a CSV may use commas, semicolons or tabs.
A clean file is read by Arrow; one that Arrow refuses is read again line by line, so that only the
bad lines are lost. A truncated archive gives the rows before the break.
"""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from spatialtrust.documents import DEPTH, loads, read_bytes, too_deep
from spatialtrust.errors import ColumnError, FileError, RowError
from spatialtrust.io.encodings import DELIMITERS, as_utf8, sniff_delimiter
from spatialtrust.io.parquet import read_parquet
from spatialtrust.io.scene_graph_files import relation_rows
from spatialtrust.limits import allowed, hint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

KINDS: Final = (".jsonl", ".csv", ".parquet", ".json")
_TEXT_COLUMNS: Final = (
    "claim_id", "image", "image_id", "caption", "text", "subject", "relation", "object", "answer",
    "box_format", "box_unit",
)  # fmt: skip
_LONG_LINE: Final = 2000
"""Bytes; a shorter line cannot be nested so deep that it matters."""
MOST_BYTES: Final = 1 << 33
MOST_UNPACKED: Final = 30
"""Times its size that an archive of text may unpack to; real ones do 5 to 15 times."""
LEAST_UNPACKED: Final = 16 << 20
"""Bytes that any archive may unpack to."""
_CSV_TEXT: Final = (*_TEXT_COLUMNS, "subject_box", "object_box", "p_yes", "label")


@dataclass(frozen=True, slots=True)
class RawRows:
    """Rows as they stand in a file.

    Attributes
    ----------
    table: the columns, types as found.
    lines: (N,) line of each row in the file, from 1; row number where a file has no lines.
    unreadable: (N,) rows that could not be read; their cells are null.
    faults: what was wrong with them.
    broken: why the file ends early; None where it was read whole.
    source: file name for messages.
    notes: how the text was read where it is not plain UTF-8 with commas; a sentence each.
    """

    table: pa.Table
    lines: NDArray[np.int64]
    unreadable: NDArray[np.bool_]
    faults: tuple[RowError, ...]
    broken: FileError | None
    source: str
    notes: tuple[str, ...] = ()

    @classmethod
    def from_table(cls, table: pa.Table, source: str, first_line: int = 1) -> RawRows:
        """Rows that are all readable."""
        rows = table.num_rows
        lines = np.arange(first_line, first_line + rows)
        return cls(table, lines, np.zeros(rows, dtype=bool), (), None, source)

    @classmethod
    def from_records(cls, records: Iterable[Mapping[str, Any]], source: str) -> RawRows:
        """Rows given as dictionaries, which may disagree about their types."""
        return _assemble(enumerate(records, 1), source, None)


def read_rows(path: str | Path) -> RawRows:
    """Read ``.jsonl``, ``.csv`` (both also ``.gz``), ``.parquet``, or scene graphs in ``.json``.

    Raises
    ------
    FileError: the file is missing, empty, not readable, of an unknown kind, or holds no row.
    """
    path = Path(path)
    kind = Path(path.name.lower().removesuffix(".gz")).suffix
    if kind not in KINDS:
        raise FileError(path, f'is of kind "{kind}"', f"valid: {', '.join(KINDS)}, or .gz of text")
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "does not exist"
        raise FileError(path, problem, "give a file of claims")
    if kind == ".parquet":
        rows = _read_parquet(path)
    elif kind == ".json":
        rows = _assemble(enumerate(relation_rows(path), 1), str(path), None)
    else:
        content, broken = _content(path)
        if not content.strip():
            if broken is not None:
                raise broken
            raise FileError(path, "is empty", "give at least one claim")
        content, note = as_utf8(content)
        read = _jsonl if kind == ".jsonl" else _csv
        rows = read(content, str(path), broken)
        rows = replace(rows, notes=(*(() if note is None else (note,)), *rows.notes))
    _no_name_twice(rows.table.column_names, str(path))
    if not len(rows.lines):
        raise FileError(path, "holds no claims", "give at least one row")
    if rows.unreadable.all():
        first = rows.faults[0] if rows.faults else "no row could be read"
        raise FileError(
            path, f"has no readable row ({first})", "check the file's kind and encoding"
        )
    return rows


def _read_parquet(path: Path) -> RawRows:
    table = read_parquet(path)
    for name in table.column_names:
        if depth_of_type(table.schema.field(name).type) > DEPTH:
            raise ColumnError(path, name, f"is nested deeper than {DEPTH} levels")
    return RawRows.from_table(table, str(path))


def _content(path: Path) -> tuple[bytes, FileError | None]:
    """The file's text, and why it ends early if it is a broken archive."""
    content = read_bytes(path, MOST_BYTES)
    if not path.name.lower().endswith(".gz"):
        return content, None
    pieces: list[bytes] = []
    limit = allowed("UNPACKED_BYTES", max(LEAST_UNPACKED, MOST_UNPACKED * len(content)))
    left = limit
    try:
        while content:  # an archive may have several members
            member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            pieces.append(member.decompress(content, left + 1))
            left -= len(pieces[-1])
            if left < 0:
                raise FileError(
                    path, f"unpacks to more than {limit:,} bytes", hint("UNPACKED_BYTES")
                )
            if not member.eof:
                raise zlib.error("it ends before its end mark")
            content = member.unused_data.lstrip(b"\0")
    except zlib.error as error:
        whole_lines = b"".join(pieces).rpartition(b"\n")[0]
        remedy = "the rows before the break were read; get the file again"
        return whole_lines, FileError(path, f"is a truncated or damaged gzip ({error})", remedy)
    return b"".join(pieces), None


def _jsonl(content: bytes, source: str, broken: FileError | None) -> RawRows:
    listed = content.split(b"\n")
    lines = np.array([number for number, line in enumerate(listed, 1) if line.strip()])
    # Arrow's parser follows brackets on the stack of the process, however many there are, and
    # takes every line for an object: a null in its place is an address that it follows.
    objects = content.startswith(b"{") + content.count(b"\n{")
    other = objects != len(lines) and any(line.lstrip()[:1] not in (b"{", b"") for line in listed)
    if other or any(len(line) > _LONG_LINE and too_deep(line) for line in listed):
        return _assemble(_json_lines(content, source), source, broken)
    del listed
    fixed = pa.schema([(name, pa.string()) for name in _TEXT_COLUMNS])
    try:
        content.decode()  # Arrow does not check the encoding
        table = pa.json.read_json(
            pa.BufferReader(content),
            read_options=pa.json.ReadOptions(block_size=min(max(len(content), 1), 1 << 26)),
            parse_options=pa.json.ParseOptions(explicit_schema=fixed),
        )
        # Where the first list of a column begins with null, Arrow loses the null, and all values
        # behind it move up, those of other rows too; the lengths then do not fit.
        table.validate()
        if len(table) != len(lines):
            raise pa.ArrowInvalid("an object spans several lines")
        if any(depth_of_type(field.type) > DEPTH for field in table.schema):
            raise pa.ArrowInvalid("a cell is nested too deep")
    except (pa.ArrowException, UnicodeDecodeError):
        return _assemble(_json_lines(content, source), source, broken)
    absent = [
        name
        for name in _TEXT_COLUMNS
        if table[name].null_count == len(table) and f'"{name}"'.encode() not in content
    ]
    return RawRows(
        table.drop_columns(absent), lines, np.zeros(len(lines), dtype=bool), (), broken, source
    )


def _csv(content: bytes, source: str, broken: FileError | None) -> RawRows:
    delimiter = sniff_delimiter(content, (*_CSV_TEXT, "class", "split", "width", "height"))
    rows = _csv_rows(content, delimiter, source, broken)
    if delimiter == ",":
        return rows
    return replace(rows, notes=(f"the cells are parted by {DELIMITERS[delimiter]}",))


def _csv_rows(content: bytes, delimiter: str, source: str, broken: FileError | None) -> RawRows:
    convert = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(_CSV_TEXT, pa.string()), strings_can_be_null=True
    )
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(content),
            parse_options=pa.csv.ParseOptions(delimiter=delimiter),
            convert_options=convert,
        )
        _no_name_twice(table.column_names, source)
    except (pa.ArrowException, UnicodeDecodeError):
        return _assemble(_csv_lines(content, delimiter, source), source, broken)
    if content.count(b"\n") not in (len(table), len(table) + 1):  # blank or multi-line cells
        return _assemble(_csv_lines(content, delimiter, source), source, broken)
    rows = RawRows.from_table(table, source, first_line=2)
    return RawRows(rows.table, rows.lines, rows.unreadable, (), broken, source)


def _json_lines(content: bytes, source: str) -> Iterator[tuple[int, Mapping[str, Any] | RowError]]:
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = loads(line.decode())
        except UnicodeDecodeError as error:
            yield number, RowError(source, number, "row", f"cannot be decoded ({error.reason})")
        except ValueError as error:
            yield number, RowError(source, number, "row", f"is not JSON ({error})")
        else:
            if isinstance(row, dict):
                yield number, row
            else:
                kind = type(row).__name__
                yield number, RowError(source, number, "row", f"is a {kind}, not an object")


def _csv_lines(
    content: bytes, delimiter: str, source: str
) -> Iterator[tuple[int, Mapping[str, Any] | RowError]]:
    """Rows with the line on which they begin; a quote left open costs its own line alone."""
    text = io.StringIO(content.decode(errors="surrogateescape"), newline="")
    lines = text.readlines()
    first = next((place for place, line in enumerate(lines) if line.strip()), 0)
    try:
        cells, start = _csv_row(lines, first, delimiter)
    except csv.Error as error:
        raise FileError(source, f"has a header that is not CSV ({error})") from error
    header = [cell.encode("utf-8", errors="replace").decode() for cell in cells]
    _no_name_twice(header, source)
    while start < len(lines):
        number = start + 1
        try:
            cells, end = _csv_row(lines, start, delimiter)
        except csv.Error as error:
            start = number
            yield number, RowError(source, number, "row", f"is not CSV ({error})")
            continue
        start = end if len(cells) in (0, len(header)) else number
        if not cells:
            continue
        if len(cells) != len(header):
            problem = f"has {len(cells)} cells, the header has {len(header)}"
            remedy = f"quote cells that hold {DELIMITERS[delimiter]}"
            yield number, RowError(source, number, "row", problem, remedy)
        elif any("\udc80" <= letter <= "\udcff" for cell in cells for letter in cell):
            yield number, RowError(source, number, "row", "cannot be decoded", "save it as UTF-8")
        else:
            filled = (cell or None for cell in cells)
            yield number, dict(zip(header, filled, strict=True))


def _csv_row(lines: list[str], start: int, delimiter: str) -> tuple[list[str], int]:
    """The cells of the row that begins on a line, and the line after it.

    Raises
    ------
    csv.Error: a cell is too long, or goes on over several lines without being quoted properly.
    """

    def read(strict: bool) -> tuple[list[str], int]:
        following = (lines[place] for place in range(start, len(lines)))
        reader = csv.reader(following, delimiter=delimiter, strict=strict)
        return next(reader, []), start + reader.line_num

    cells, end = read(strict=False)
    return read(strict=True) if end > start + 1 else (cells, end)


def _assemble(
    rows: Iterable[tuple[int, Mapping[str, Any] | RowError]],
    source: str,
    broken: FileError | None,
) -> RawRows:
    """Columns from rows that may disagree about their types; disagreeing columns become text."""
    listed = list(rows)
    names: dict[str, None] = {}
    for _, row in listed:
        if not isinstance(row, RowError):
            names.update(dict.fromkeys(map(str, row)))
    readable = [{} if isinstance(row, RowError) else row for _, row in listed]
    columns = {name: as_column([row.get(name) for row in readable]) for name in names}
    return RawRows(
        pa.table(columns),
        np.array([number for number, _ in listed], dtype=np.int64),
        np.array([isinstance(row, RowError) for _, row in listed], dtype=bool),
        tuple(row for _, row in listed if isinstance(row, RowError)),
        broken,
        source,
    )


def as_column(values: list[Any]) -> pa.Array:
    """A column of cells; of cells that disagree about their type, all are text.

    >>> as_column([1, "a"]).to_pylist()
    ['1', 'a']
    """
    try:
        column = pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeError, ValueError, TypeError):
        return pa.array([_as_text(value) for value in values], pa.string())
    # Arrow takes texts and bytes for one type, and checks neither.
    if pa.types.is_binary(column.type):
        return pa.array([_as_text(value) for value in values], pa.string())
    return column


def depth_of_type(kind: pa.DataType) -> int:
    """How deep lists and structures of a column's type stand in one another.

    >>> depth_of_type(pa.list_(pa.struct({"a": pa.int8()})))
    2
    """
    depth, level = 0, [kind]
    while level := [held for held in level if pa.types.is_nested(held)]:
        depth += 1
        level = [held.field(place).type for held in level for place in range(held.num_fields)]
    return depth


def _as_text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text.encode("utf-8", errors="replace").decode()


def _no_name_twice(names: Sequence[str], source: str) -> None:
    """Refuse two columns of one name: which of them is meant?"""
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise ColumnError(source, twice, "stands there twice", "rename or remove one of them")
