"""Tables as Parquet: written atomically, and with the version of their schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust import schema
from spatialtrust.errors import ColumnError, FileError, SchemaVersionError
from spatialtrust.files import first_line, replacing
from spatialtrust.io.parquet_footer import read_chunks
from spatialtrust.limits import allowed, hint

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_ROWS: Final = 2_000_000
"""Rows that a Parquet file of any size may have."""
MOST_READ: Final = 1 << 30
"""Bytes that a Parquet file of any size may make in memory; larger ones 256 for each of theirs."""
_VERSION_KEY: Final = b"spatialtrust.schema"


def write_table(table: pa.Table, path: str | Path) -> None:
    """Write a table as Parquet, atomically; equal tables give equal bytes.

    Parameters
    ----------
    table: any Arrow table; its metadata is kept.
    path: target; its folder is made where it is missing.

    Raises
    ------
    FileError: the target cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_table(pa.table({"claim_id": ["0"]}), f"{folder}/claims.parquet")
    ...     read_table(f"{folder}/claims.parquet").num_rows
    1
    """
    import pyarrow.parquet as pq

    with replacing(path) as unfinished:
        names = [name for field in table.schema for name in _recurring(field.name, field.type)]
        pq.write_table(table, unfinished, compression="zstd", use_dictionary=names)


def _recurring(name: str, kind: pa.DataType) -> list[str]:
    """Paths in Parquet of what may recur, for which a dictionary pays: all but fractions."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _recurring(f"{name}.list.element", kind.value_type)
    if pa.types.is_struct(kind):
        return [path for field in kind for path in _recurring(f"{name}.{field.name}", field.type)]
    return [] if pa.types.is_floating(kind) else [name]


def read_table(path: str | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a Parquet file, or all parts of a folder of them in the order of their names.

    Parameters
    ----------
    columns: those to read, where a file has them; None: all.

    Raises
    ------
    FileError: nothing is there, or it is not Parquet.
    SchemaVersionError: it was written under another schema version.
    """
    target = Path(path)
    files = sorted(target.glob("*.parquet")) if target.is_dir() else [target]
    if not files:
        raise FileError(target, "holds no .parquet file", "give a table or a folder of parts")
    parts = []
    for file in files:
        try:
            parts.append(read_parquet(file, columns))
        except FileNotFoundError as error:
            raise FileError(file, "does not exist", "check the path") from error
        _check_version(file, parts[-1].schema)
    return pa.concat_tables(parts, promote_options="permissive") if len(parts) > 1 else parts[0]


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """One Parquet file, whoever wrote it: its texts are UTF-8, its columns have names of their own.

    Parameters
    ----------
    columns: those to read, where the file has them; None: all.

    Raises
    ------
    FileNotFoundError: it is not there.
    FileError: it is not Parquet, is damaged, or stands for far more rows than it has bytes.
    ColumnError: two columns have one name.
    """
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        rows, size = file.metadata.num_rows, path.stat().st_size
        if rows > MOST_ROWS + 2 * size:
            raise FileError(path, f"says that it has {rows:,} rows in {size:,} bytes")
        if (made := _most_memory(path)) > allowed("TABLE_BYTES", MOST_READ + 256 * size):
            problem = f"would take {made >> 20:,} MiB of memory for {size:,} bytes"
            raise FileError(path, problem, hint("TABLE_BYTES"))
        table = file.read(None if columns is None else list(columns))
        table.validate(full=True)
    except (FileNotFoundError, FileError):
        raise
    except (OSError, ValueError, pa.ArrowException, MemoryError) as error:
        raise _unreadable(path, error) from error
    names = table.column_names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ColumnError(path, twice, "stands there twice", "rename or remove one of them")
    return table


def _most_memory(path: Path) -> int:
    """Bytes that a file makes in memory at most: a few of its own may say one text a million times.

    Texts stand once in a dictionary, and rows refer to them; the longest is looked up there.
    """
    import pyarrow.parquet as pq

    chunks = read_chunks(path)
    made = sum(8 * chunk.values + chunk.unpacked for chunk in chunks)
    keyed = [chunk for chunk in chunks if chunk.keyed]
    if made + sum(chunk.values * chunk.unpacked for chunk in keyed) <= MOST_READ:
        return made
    names = sorted({chunk.path for chunk in keyed})
    file = pq.ParquetFile(path, read_dictionary=names, pre_buffer=False)
    for chunk in keyed:
        first = next(file.iter_batches(1, [chunk.group], [chunk.path]), None)
        if first is not None:
            made += chunk.values * _longest(first.column(0))
    return made


def _longest(column: pa.Array) -> int:
    """Bytes of the longest text of an array, those of its dictionary included."""
    while pa.types.is_nested(column.type):
        column = column.field(0) if pa.types.is_struct(column.type) else column.values
    texts = column.dictionary if pa.types.is_dictionary(column.type) else column
    longest: int | None = pc.max(pc.binary_length(texts)).as_py()
    return longest or 0


def row_count(path: Path) -> int:
    """Rows of a Parquet file, by its last bytes.

    Raises
    ------
    FileError: it is not there, is not Parquet, or is damaged.
    """
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> FileError:
    return FileError(path, f"cannot be read as Parquet ({first_line(error)})")


def _check_version(path: Path, found: pa.Schema) -> None:
    version = (found.metadata or {}).get(_VERSION_KEY)
    if version is not None and version.decode() != str(schema.VERSION):
        raise SchemaVersionError(
            path, version.decode(), str(schema.VERSION), "write it again with this version"
        )
