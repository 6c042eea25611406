"""Tables as Parquet: written atomically, and with the version of their schema."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pyarrow as pa

from spatialtrust import schema
from spatialtrust.errors import ColumnError, FileError, SchemaVersionError
from spatialtrust.files import first_line, replacing

MOST_ROWS: Final = 2_000_000
"""Rows that a Parquet file of any size may have."""
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


def read_table(path: str | Path) -> pa.Table:
    """Read a Parquet file, or all parts of a folder of them in the order of their names.

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
            parts.append(read_parquet(file))
        except FileNotFoundError as error:
            raise FileError(file, "does not exist", "check the path") from error
        _check_version(file, parts[-1].schema)
    return pa.concat_tables(parts, promote_options="permissive") if len(parts) > 1 else parts[0]


def read_parquet(path: Path) -> pa.Table:
    """One Parquet file, whoever wrote it: its texts are UTF-8, its columns have names of their own.

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
        table = file.read()
        table.validate(full=True)
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException, UnicodeError, MemoryError) as error:
        raise FileError(path, f"cannot be read as Parquet ({first_line(error)})") from error
    names = table.column_names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ColumnError(path, twice, "stands there twice", "rename or remove one of them")
    return table


def _check_version(path: Path, found: pa.Schema) -> None:
    version = (found.metadata or {}).get(_VERSION_KEY)
    if version is not None and version.decode() != str(schema.VERSION):
        raise SchemaVersionError(
            path, version.decode(), str(schema.VERSION), "write it again with this version"
        )
