"""A run folder: a table per stage in part files, one manifest, one process at a time.

::

    RUN/
      manifest.json           package and schema version, and per table the settings that made it
      images/<part>.parquet   one row per image
      detections/<part>.parquet ... verdicts/<part>.parquet scenes/<part>.parquet
      graphs/ overlays/       what people open

A part holds whole images and has one name in all tables, so a table's part is made from the same
part of the tables before it and from nothing else. A part that exists is complete.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from spatialtrust import schema
from spatialtrust.documents import read_object
from spatialtrust.errors import ColumnError, FileError, InputError, SchemaVersionError
from spatialtrust.files import sweep, write_text
from spatialtrust.graph.files import check_image_ids, graph_name, picture_name
from spatialtrust.graph.formats import WRITTEN
from spatialtrust.io.parquet import read_table, write_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

TABLES: Final = tuple(schema.TABLES)
"""In the order in which a run makes them."""
_OURS: Final = (*TABLES, "graphs", "overlays", ".lock", "manifest.json")
PACKAGE_VERSION: Final = installed_version("spatialtrust")
MANIFEST: Final = "manifest.json"
LOCK: Final = ".lock"
_REMAKE: Final = "remove the file, and give the command of the run again"


def _check_tables(tables: Any) -> None:
    """What a manifest says of its tables has to be what the engine writes there."""
    for name, made in tables.items():
        if not name.isidentifier() or not isinstance(made["costly"], bool):
            raise TypeError(f'table "{name}" is none of a run')
        if not all(isinstance(digest, str) for digest in made["from"].values()):
            raise TypeError("what a table was made from is no hash")
        if not isinstance(made["made_with"], dict) or set(made["from"]) - set(tables):
            raise TypeError("what a table was made with is no set of settings")


class RunFolder:
    """One run's tables, held by one process while it is open.

    Parameters
    ----------
    path: the folder; made where it is missing.

    Raises
    ------
    FileError: another process uses the folder, or it cannot be written.
    SchemaVersionError: another version of this package made it.

    >>> import tempfile, pyarrow as pa
    >>> with tempfile.TemporaryDirectory() as folder, RunFolder(folder) as run:
    ...     run.write("images", "00000000", pa.table({"image_id": ["a.jpg"]}))
    ...     run.parts("images")
    ['00000000']
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock: int | None = None
        self.manifest: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._lock = self._acquire()
        try:
            self.manifest = self._read_manifest()
            for name in _OURS:
                if (self.path / name).is_symlink():
                    raise FileError(
                        self.path / name, "is a link, by which files would be written elsewhere"
                    )
            sweep(self.path)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def parts(self, table: str) -> list[str]:
        """Names of a table's parts, sorted."""
        return [file.stem for file in self.files(table)]

    def files(self, table: str) -> list[Path]:
        """Files of a table's parts, sorted."""
        return sorted((self.path / table).glob("[!.]*.parquet"))

    def has(self, table: str, part: str) -> bool:
        """Whether a table has a part."""
        return (self.path / table / f"{part}.parquet").exists()

    def read(self, table: str, part: str, columns: Sequence[str] | None = None) -> pa.Table:
        """One part of a table.

        Parameters
        ----------
        columns: those to read; None: all, and those of the user's own.

        Raises
        ------
        FileError: it is not there, or damaged.
        ColumnError: a column of the table is missing, or is of another type.
        """
        file = self.path / table / f"{part}.parquet"
        found = read_table(file, columns)
        for field in schema.TABLES[table]:
            if columns is not None and field.name not in columns:
                continue
            if field.name not in found.column_names:
                raise ColumnError(file, field.name, "is missing", _REMAKE)
            if (kind := found.schema.field(field.name).type) != field.type:
                raise ColumnError(file, field.name, f"is {kind}, not {field.type}", _REMAKE)
        return found

    def whole(self, table: str) -> pa.Table:
        """All parts of a table."""
        import pyarrow as pa

        parts = [self.read(table, part) for part in self.parts(table)]
        return pa.concat_tables(parts, promote_options="permissive")

    def write(self, table: str, part: str, rows: pa.Table) -> None:
        """Write one part of a table, atomically.

        Raises
        ------
        FileError: the folder was removed or replaced under the run, or cannot be written.
        """
        self.check()
        write_table(rows, self.path / table / f"{part}.parquet")

    def drop(self, table: str) -> None:
        """Remove all parts of a table."""
        for file in self.files(table):
            self._remove(table, file)

    def drop_part(self, part: str) -> None:
        """Remove one part from all tables, the last first: what it was made from goes after it."""
        for table in [name for name in reversed(TABLES) if name != TABLES[0]] + [TABLES[0]]:
            file = self.path / table / f"{part}.parquet"
            if file.is_file():
                self._remove(table, file)

    def check(self) -> None:
        """Refuse to go on in a folder that was removed or replaced under a run.

        Raises
        ------
        FileError: what is at the path now is not what was opened.
        """
        try:
            now = (self.path / LOCK).stat()
            held = now if self._lock is None else os.fstat(self._lock)
            if (now.st_dev, now.st_ino) == (held.st_dev, held.st_ino):
                return
        except OSError:
            pass
        raise FileError(
            self.path,
            "was removed, moved or replaced while it was in use",
            "give the same command again: what is in the folder then is kept",
        )

    def _remove(self, table: str, file: Path) -> None:
        if table == "scenes":
            self._remove_opened(file)
        file.unlink(missing_ok=True)

    def _remove_opened(self, scenes: Path) -> None:
        """The graphs and pictures that were made with a part of the scenes."""
        try:
            image_ids = read_table(scenes)["image_id"].to_pylist()
            check_image_ids(image_ids, scenes)
        except (InputError, KeyError):
            return
        for image_id in image_ids:
            made = [self.path / "graphs" / graph_name(image_id, kind) for kind in WRITTEN]
            for file in (*made, self.path / "overlays" / picture_name(image_id)):
                with suppress(OSError):
                    file.unlink()

    def settings(self, table: str) -> Any:
        """What the manifest says a table was made with; None for a table not begun."""
        return self.manifest["tables"].get(table)

    def record(self, tables: Mapping[str, Any], **facts: Any) -> None:
        """Write what tables are made with, and other facts of the run, into the manifest."""
        self.manifest["tables"] |= tables
        self.manifest |= facts
        self.check()
        text = json.dumps(self.manifest, indent=2, sort_keys=True, ensure_ascii=False)
        write_text(text + "\n", self.path / MANIFEST)

    def require(self, tables: Sequence[str]) -> None:
        """Check that earlier stages have been run here.

        Raises
        ------
        InputError: a table has not been begun, naming the command that makes it.
        """
        missing = [name for name in tables if self.settings(name) is None]
        if missing:
            begun = ", ".join(sorted(self.manifest["tables"])) or "none"
            raise InputError(
                f"{self.path}: has no table {', '.join(missing)} yet (tables here: {begun}); "
                "run the stage that writes it first (detect claims ask gather fuse decide link)"
            )

    def _acquire(self) -> int:
        """Take the folder's lock; the system lets go of it when the process dies, however."""
        import fcntl

        try:
            self.path.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
            handle = os.open(self.path / LOCK, flags, 0o666)
        except OSError as error:
            raise FileError(
                self.path,
                f"cannot be used as a run folder ({error.strerror})",
                "give a folder you may write to",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise FileError(
                self.path,
                "is in use by another process",
                "wait until that has ended, or give another --out",
            ) from error
        return handle

    def _read_manifest(self) -> dict[str, Any]:
        self.check()
        file = self.path / MANIFEST
        fresh = {"package": PACKAGE_VERSION, "schema": schema.VERSION, "tables": {}}
        if not file.exists():
            if any(self.files(table) for table in TABLES):
                raise FileError(
                    self.path,
                    f"holds tables and no {MANIFEST}, which says what they were made with",
                    "put it back, or give another --out",
                )
            return fresh
        try:
            found = read_object(file)
            version = found["schema"], found["package"]
            _check_tables(found["tables"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FileError(file, "is not a manifest of this package", "give another --out") from (
                error
            )
        if version[0] != schema.VERSION:
            raise SchemaVersionError(
                self.path, version[0], schema.VERSION, "give another --out, or that version"
            )
        if version[1] != PACKAGE_VERSION:
            raise SchemaVersionError(
                self.path,
                f"{version[0]} of package {version[1]}",
                f"{schema.VERSION} of package {PACKAGE_VERSION}",
                "finish the run with the version that began it, or give another --out",
            )
        return dict(found)
