"""Images with a class or a caption, from the places where they usually lie.

| given | read as |
|---|---|
| a folder | `CLASS/...` or `SPLIT/CLASS/...` below it; images beside these are unlabelled |
| `.csv`, `.jsonl`, `.parquet` | columns `image`, and `class` or `caption`, and optionally `split` |
| `.json` | a CoOp split: `{"train": [[path, label, class name], ...], "val": ..., "test": ...}` |
| `.tar`, `.tar.gz`, a folder of them | WebDataset pairs: `KEY.jpg` and `KEY.txt` or `KEY.json` |

Nothing is ever extracted to disk, and no path may lead out of the folder it is relative to.
"""

from __future__ import annotations

import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spatialtrust.documents import loads, read_object
from spatialtrust.errors import ColumnError, FileError, RowError
from spatialtrust.io.names import plain_name, unique_names
from spatialtrust.limits import allowed, hint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IMAGE_ENDINGS: Final = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm")
TAR_ENDINGS: Final = (".tar", ".tar.gz", ".tgz")
SPLITS: Final = {
    "train": "train",
    "training": "train",
    "calibration": "calibration",
    "val": "calibration",
    "valid": "calibration",
    "validation": "calibration",
    "test": "test",
}
"""Names of splits as they are met, and what they are called here."""
LARGEST_MEMBER: Final = 64 * 2**20
"""Bytes of one archive member; more is no photo."""


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image that can be read when it is needed.

    Attributes
    ----------
    image_id: POSIX path relative to the root, or archive and key.
    split: train, calibration, test, or empty.
    class_name, caption: what it shows; None where not known.
    read: gives the encoded bytes; raises OSError where that fails, ValueError where no file can
        have this name.
    """

    image_id: str
    split: str
    class_name: str | None
    caption: str | None
    read: Callable[[], bytes]


def labelled_images(
    source: str | Path, *, images: str | Path | None = None
) -> Iterator[LabelledImage]:
    """Read a source of any kind, in a fixed order.

    Parameters
    ----------
    source: see the table above.
    images: folder that paths in a list or split file are relative to; by default the file's own.

    Raises
    ------
    FileError: the source is missing, broken or of no known kind.
    RowError: an entry has no path, or one that leads out of its folder.
    """
    source = Path(source)
    root = Path(images) if images is not None else source.parent
    name = source.name.lower()
    if source.is_dir():
        tars = sorted(path for path in source.iterdir() if path.name.lower().endswith(TAR_ENDINGS))
        return _tars(tars) if tars else _folder(source)
    if not source.is_file():
        raise FileError(source, "does not exist", "give a folder, a list, a split or an archive")
    if name.endswith(TAR_ENDINGS):
        return _tars([source])
    if name.endswith(".json"):
        return _split_file(source, root)
    return _list_file(source, root)


def _folder(root: Path) -> Iterator[LabelledImage]:
    files = sorted(path for path in root.rglob("*") if path.name.lower().endswith(IMAGE_ENDINGS))
    if not files:
        valid = ", ".join(IMAGE_ENDINGS)
        raise FileError(root, "holds no images", f"valid endings: {valid}")
    ids = unique_names([file.relative_to(root).as_posix() for file in files])
    for file, image_id in zip(files, ids, strict=True):
        relative = PurePosixPath(image_id)
        folders = list(relative.parts[:-1])
        split = SPLITS.get(folders[0].lower(), "") if len(folders) > 1 else ""
        label = folders[1 if split else 0] if folders else None
        yield LabelledImage(image_id, split, label, None, file.read_bytes)


def _list_file(source: Path, root: Path) -> Iterator[LabelledImage]:
    from spatialtrust.io.rows import read_rows

    rows = read_rows(source)
    for fault in (*rows.faults, *([rows.broken] if rows.broken else [])):
        raise fault
    columns = rows.table.column_names
    if "image" not in columns:
        valid = "image, class, caption, split"
        raise ColumnError(source, "image", "is missing", f"valid columns: {valid}")
    wanted = [name for name in ("image", "class", "caption", "split") if name in columns]
    table = rows.table.select(wanted)
    for start in range(0, table.num_rows, 1024):
        for row, entry in enumerate(table.slice(start, 1024).to_pylist(), start=start):
            line, split = int(rows.lines[row]), str(entry.get("split") or "").lower()
            if split and split not in SPLITS:
                valid = ", ".join(SPLITS)
                raise RowError(source, line, "split", f'is "{split}"', f"valid: {valid}")
            place = _Place(source, line, root)
            yield _entry(
                place,
                entry["image"],
                SPLITS.get(split, ""),
                class_name=entry.get("class"),
                caption=entry.get("caption"),
            )


def _split_file(source: Path, root: Path) -> Iterator[LabelledImage]:
    try:
        content = read_object(source)
    except (OSError, ValueError) as error:
        raise FileError(source, f"is not readable JSON ({error})") from error
    if not isinstance(content, dict) or not set(content) & set(SPLITS):
        raise FileError(
            source, "is no split file", "give {train: [[path, label, class name], ...], ...}"
        )
    for name, entries in content.items():
        if name not in SPLITS:
            raise FileError(source, f'has a split "{name}"', f"valid: {', '.join(SPLITS)}")
        if not isinstance(entries, list):
            raise FileError(
                source, f'has no list under "{name}"', "give [[path, label, class], ...]"
            )
        for row, entry in enumerate(entries):
            if not isinstance(entry, list) or len(entry) != 3:
                raise RowError(source, row, name, "is no [path, label, class name]")
            place = _Place(source, row, root)
            yield _entry(place, entry[0], SPLITS[name], class_name=entry[2])


class _Place(NamedTuple):
    source: Path
    row: int
    root: Path


def _entry(
    place: _Place, path: Any, split: str, *, class_name: Any = None, caption: Any = None
) -> LabelledImage:
    source, row, root = place
    if not isinstance(path, str) or not path:
        raise RowError(source, row, "image", f"is {path!r}", "give a path")
    if not _stays_inside(path):
        raise RowError(
            source, row, "image", f'"{path}" leads out of {root}', "give a path inside --images"
        )
    posix = PurePosixPath(path.replace("\\", "/"))
    return LabelledImage(
        plain_name(posix.as_posix()),
        split,
        None if class_name is None else plain_name(str(class_name)),
        None if caption is None else plain_name(str(caption)),
        (root / posix).read_bytes,
    )


def _stays_inside(path: str) -> bool:
    posix = PurePosixPath(path.replace("\\", "/"))
    return not posix.is_absolute() and ".." not in posix.parts and ":" not in posix.parts[0]


def _tars(paths: list[Path]) -> Iterator[LabelledImage]:
    for path in paths:
        try:
            with tarfile.open(path, mode="r|*") as archive:
                yield from _pairs(path, archive)
            if not _is_whole(path):
                raise EOFError("it ends before its end mark")
        except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
            raise FileError(
                path,
                f"is not a whole archive ({error})",
                "fetch it again; what was embedded is kept",
            ) from error


def _is_whole(path: Path) -> bool:
    """Whether an uncompressed archive ends in zeros, as all do; tarfile does not mind if not."""
    with path.open("rb") as file:
        if b"ustar" not in file.read(512):
            return True
        file.seek(-1024, 2)
        return not any(file.read())


def _pairs(path: Path, archive: tarfile.TarFile) -> Iterator[LabelledImage]:
    """Members with one key follow each other, as WebDataset writes them."""
    key: str | None = None
    parts: dict[str, bytes] = {}
    for member in archive:
        if member.isdir():
            continue
        if not member.isfile() or not _stays_inside(member.name):
            raise FileError(
                path,
                f'holds "{member.name}", which is no plain file inside the archive',
                "do not trust this archive",
            )
        folder, _, name = member.name.rpartition("/")
        stem, _, ending = name.partition(".")
        if (current := f"{folder}/{stem}" if folder else stem) != key:
            yield from _pair(path, key, parts)
            key, parts = current, {}
        limit = allowed("MEMBER_BYTES", LARGEST_MEMBER)
        if sum(map(len, parts.values())) + member.size > limit:
            problem = f'holds "{plain_name(current)}" of more than {limit:,} bytes'
            raise FileError(path, problem, hint("MEMBER_BYTES"))
        content = archive.extractfile(member)
        parts[f".{ending.lower()}"] = content.read() if content is not None else b""
    yield from _pair(path, key, parts)


def _pair(path: Path, key: str | None, parts: dict[str, bytes]) -> Iterator[LabelledImage]:
    image = next((data for ending, data in parts.items() if ending in IMAGE_ENDINGS), None)
    if key is None or image is None:
        return
    caption: str | None = None
    if ".txt" in parts:
        caption = parts[".txt"].decode("utf-8", errors="replace")
    elif ".json" in parts:
        try:
            caption = loads(parts[".json"]).get("caption")
        except (ValueError, AttributeError):
            caption = None
    name = plain_name(f"{path.name}/{key}")
    caption = plain_name(caption) if isinstance(caption, str) else None
    yield LabelledImage(name, "", None, caption, lambda: image)
