"""Tables as Parquet: written atomically, and with the version of their schema."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pyarrow as pa

from spatialtrust import schema
from spatialtrust.errors import FileError, SchemaVersionError
from spatialtrust.files import first_line, replacing

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
        pq.write_table(table, unfinished, compression="zstd")


def read_table(path: str | Path) -> pa.Table:
    """Read a Parquet file, or all parts of a folder of them in the order of their names.

    Raises
    ------
    FileError: nothing is there, or it is not Parquet.
    SchemaVersionError: it was written under another schema version.
    """
    import pyarrow.parquet as pq

    target = Path(path)
    files = sorted(target.glob("*.parquet")) if target.is_dir() else [target]
    if not files:
        raise FileError(target, "holds no .parquet file", "give a table or a folder of parts")
    parts = []
    for file in files:
        try:
            parts.append(pq.ParquetFile(file).read())
        except FileNotFoundError as error:
            raise FileError(file, "does not exist", "check the path") from error
        except (OSError, pa.ArrowException) as error:
            raise FileError(file, f"cannot be read as Parquet ({first_line(error)})") from error
        _check_version(file, parts[-1].schema)
    return pa.concat_tables(parts, promote_options="permissive") if len(parts) > 1 else parts[0]


def _check_version(path: Path, found: pa.Schema) -> None:
    version = (found.metadata or {}).get(_VERSION_KEY)
    if version is not None and version.decode() != str(schema.VERSION):
        raise SchemaVersionError(
            path, version.decode(), str(schema.VERSION), "write it again with this version"
        )
