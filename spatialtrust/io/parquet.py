"""Files that are either whole or not there: Parquet tables, text and bytes, written atomically.

A file is written beside its target under another name, flushed to the disk and renamed; whoever
reads the target sees the old content or the new, also after a kill or a power cut.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from spatialtrust import schema
from spatialtrust.errors import FileError, SchemaVersionError

if TYPE_CHECKING:
    from collections.abc import Iterator

UNFINISHED: Final = ".unfinished"
"""Ending of a file that is being written; one found later was left by a process that died."""

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

    with _replacing(path) as unfinished:
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
            raise FileError(file, f"cannot be read as Parquet ({_first_line(error)})") from error
        _check_version(file, parts[-1].schema)
    return pa.concat_tables(parts, promote_options="permissive") if len(parts) > 1 else parts[0]


def write_bytes(content: bytes, path: str | Path) -> None:
    """Write a file atomically.

    Raises
    ------
    FileError: the target cannot be written.
    """
    with _replacing(path) as unfinished:
        unfinished.write_bytes(content)


def write_text(content: str, path: str | Path) -> None:
    """Write UTF-8 text atomically, see :func:`write_bytes`."""
    write_bytes(content.encode(), path)


@contextmanager
def _replacing(path: str | Path) -> Iterator[Path]:
    """A name to write to; what was written there becomes the target if nothing was raised."""
    target = Path(path)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}{UNFINISHED}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        with unfinished.open("rb") as stream:
            os.fsync(stream.fileno())
        unfinished.replace(target)
    except OSError as error:
        raise FileError(
            target, f"cannot be written ({_first_line(error)})", "give a folder you may write to"
        ) from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def _check_version(path: Path, found: pa.Schema) -> None:
    version = (found.metadata or {}).get(_VERSION_KEY)
    if version is not None and version.decode() != str(schema.VERSION):
        raise SchemaVersionError(
            path, version.decode(), str(schema.VERSION), "write it again with this version"
        )


def _first_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__
