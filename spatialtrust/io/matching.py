"""Recorded boxes to the images they belong to, in pixels.

Recorders know images by names of their own: absolute paths, base names, names without an ending, in
another Unicode form or another case; and they may have seen them turned or in another size.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.io.boxes import BoxConvention, to_corners
from spatialtrust.io.frames import Fit, fit_of, turn
from spatialtrust.io.images import ENDINGS
from spatialtrust.io.names import plain_column, plain_name
from spatialtrust.tables import Detections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

RECORDED: Final = pa.schema(
    [
        pa.field("name", pa.string()),
        pa.field("phrase", pa.string()),
        pa.field("box", pa.list_(pa.float64(), 4)),
        pa.field("score", pa.float32()),
        pa.field("format", pa.string()),
        pa.field("unit", pa.string()),
    ]
)
"""Boxes as recorded, under the name of the image file that the recorder knew."""

RECORDED_SIZE: Final = ("recorded_width", "recorded_height")
"""Columns beside those: the size of the picture that the recorder saw; null where not known."""

MAX_SIDE: Final = 1e9
"""A recorded width or height from here on, or none above 0, is taken as not known."""

CUT: Final = "box_outside_image"
"""Status of a box that reaches out of its image: cut, or without corners if nothing is inside."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Which recorded name belongs to which image.

    Attributes
    ----------
    image_of: recorded name to image_id.
    unknown: recorded names of which there is no image.
    ambiguous: recorded names that fit several images, or share an image with another.
    by_case: those of ``image_of`` that are written in another case than the image's.
    """

    image_of: Mapping[str, str]
    unknown: tuple[str, ...]
    ambiguous: tuple[str, ...]
    by_case: tuple[str, ...] = ()


def match_names(names: Iterable[str], image_ids: Iterable[str]) -> Matching:
    """Match recorded file names with images: by path, else by base name where that is unique.

    A recorded path may be longer than ours (absolute) or shorter; names without an ending, as in
    YOLO folders, match whatever the image's ending. Unicode forms are equal (NFC). A name that fits
    nothing as it is written is tried without regard to case.

    >>> match_names(["/data/x/a.jpg", "B.JPG"], ["x/a.jpg", "y/b.jpg"]).image_of
    {'/data/x/a.jpg': 'x/a.jpg', 'B.JPG': 'y/b.jpg'}
    """
    known = list(dict.fromkeys(image_ids))
    written = _by_ends(known, str)
    folded: dict[tuple[str, ...], set[str]] | None = None
    unknown: list[str] = []
    ambiguous: list[str] = []
    by_case: set[str] = set()
    claims: dict[str, list[tuple[int, str]]] = {}
    for name in dict.fromkeys(names):
        key, found = _longest_end(name, written, str)
        if not found:
            folded = _by_ends(known, str.casefold) if folded is None else folded
            key, found = _longest_end(name, folded, str.casefold)
            by_case |= {name} if found else set()
        if len({plain_name(image_id) for image_id in found}) == 1:
            # Paths that look the same: the one that is the same, letter by letter.
            found = found & {name} or found
        if len(found) == 1:
            (image_id,) = found
            # The very path of an image wins over one that merely ends alike.
            weight = len(key) + (name == image_id)
            claims.setdefault(image_id, []).append((weight, name))
        else:
            (ambiguous if found else unknown).append(name)
    image_of: dict[str, str] = {}
    for image_id, rivals in claims.items():
        highest = max(rivals)[0]
        best = [name for weight, name in rivals if weight == highest]
        if len(best) == 1:
            image_of[best[0]] = image_id
        ambiguous += [name for _, name in rivals if len(best) > 1 or name != best[0]]
    return Matching(
        image_of,
        tuple(unknown),
        tuple(sorted(ambiguous)),
        tuple(name for name in image_of if name in by_case),
    )


def with_sizes(boxes: pa.Table, sizes: Mapping[str, tuple[float | None, float | None]]) -> pa.Table:
    """Recorded boxes with the columns ``RECORDED_SIZE``.

    Parameters
    ----------
    boxes: rows of ``RECORDED``.
    sizes: recorded name of an image to the width and height that stand beside it.
    """
    names = boxes["name"].to_pylist()
    for place, column in enumerate(RECORDED_SIZE):
        known = {name: _positive(size[place]) for name, size in sizes.items()}
        side = pa.array([known.get(name) for name in names], pa.float64())
        boxes = boxes.append_column(column, side)
    return boxes


def resolve(
    boxes: pa.Table,
    sizes: Mapping[str, tuple[int | None, int | None]],
    model: str,
    image_of: Mapping[str, str] | None = None,
    orientation_of: Callable[[str], int] | None = None,
) -> Detections:
    """Recorded boxes as detections in pixels, ranked within each image and phrase.

    Where the recorded size is not the image's, boxes of the picture before its EXIF turn are
    turned, and boxes of a resized copy are scaled; boxes of any other picture are refused.

    Parameters
    ----------
    boxes: rows of ``RECORDED``, and ``RECORDED_SIZE`` where known; those of images not in ``sizes``
        are passed over.
    sizes: image_id to width and height in pixels, upright; boxes are cut at the image's edge.
    model: what to write into the column of that name.
    image_of: recorded name to image_id; None: names are ids.
    orientation_of: image_id to EXIF orientation, asked only of images with another recorded size;
        None: images were never turned.

    Returns
    -------
    A box that cannot be used has null corners and says why in ``status``; one that was changed says
    how (``box_turned``, ``box_scaled``, ``box_outside_image``: cut; joined by commas). Best first:
    by score, and among boxes without one by area.
    """
    rows = [
        (row, image_id)
        for row, name in enumerate(boxes["name"].to_pylist())
        if (image_id := name if image_of is None else image_of.get(name)) in sizes
    ]
    if not rows:
        return Detections.empty()
    kept = boxes.take(pa.array([row for row, _ in rows]))
    image_ids = [str(image_id) for _, image_id in rows]
    size = np.array([sizes[image_id] for image_id in image_ids], dtype=np.float64)
    frames = _frames(kept, image_ids, size, orientation_of)
    corners, status = _pixels(kept, size, frames)
    score = kept["score"].to_numpy().astype(np.float64)
    phrases = plain_column(kept["phrase"]).to_pylist()
    area = np.nan_to_num((corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1]))
    order = np.lexsort((np.arange(len(rows)), -area, -score))
    counts: Counter[tuple[str, str]] = Counter()
    rank = np.empty(len(rows), dtype=np.int32)
    for row in order:
        key = (image_ids[row], phrases[row])
        rank[row] = counts[key]
        counts[key] += 1
    columns = {
        "image_id": image_ids,
        "object_id": [f"{phrase}#{place}" for phrase, place in zip(phrases, rank, strict=True)],
        "phrase": phrases,
        **{
            name: pa.array(corners[:, place], from_pandas=True)
            for place, name in enumerate(("x1", "y1", "x2", "y2"))
        },
        "score": kept["score"],
        "rank": rank,
        "model": [model] * len(rows),
        "status": pa.array(status, pa.string()),
    }
    return Detections.from_columns(columns, model).sorted()


def without_boxes(found: Detections, rows: np.ndarray[Any, Any], status: str) -> Detections:
    """The detections with null corners and a status at the rows of a mask (N,)."""
    if not rows.any():
        return found
    mask = pa.array(rows)
    nothing = pa.scalar(None, pa.float32())
    corners = {
        name: pc.if_else(mask, nothing, found.column(name)) for name in ("x1", "y1", "x2", "y2")
    }
    return found.with_columns(
        {**corners, "status": pc.if_else(mask, status, found.column("status"))}
    )


@dataclass(frozen=True, slots=True)
class _Frames:
    """The picture that each box (N,) was drawn on.

    Attributes
    ----------
    size: (N, 2) width and height of it, in pixels.
    fit: (N,) how it stands to the image.
    orientation: (N,) EXIF orientation to turn by; 1 for boxes that are not turned.
    """

    size: np.ndarray[Any, Any]
    fit: np.ndarray[Any, Any]
    orientation: np.ndarray[Any, Any]


def _frames(
    boxes: pa.Table,
    image_ids: list[str],
    size: np.ndarray[Any, Any],
    orientation_of: Callable[[str], int] | None,
) -> _Frames:
    frames = _Frames(
        size.copy(), np.full(len(size), Fit.SAME, dtype=object), np.ones(len(size), dtype=np.int64)
    )
    if RECORDED_SIZE[0] not in boxes.column_names:
        return frames
    recorded = np.stack([boxes[name].to_numpy().astype(np.float64) for name in RECORDED_SIZE], 1)
    known = np.isfinite(recorded).all(axis=1) & np.isfinite(size).all(axis=1)
    other = known & (recorded > 0).all(axis=1) & (recorded != size).any(axis=1)
    seen: dict[tuple[Any, ...], tuple[Fit, int]] = {}
    for row in np.flatnonzero(other):
        key = (image_ids[row], *recorded[row])
        if key not in seen:
            tag = 1 if orientation_of is None else orientation_of(image_ids[row])
            width, height = size[row].tolist()
            fit = fit_of((key[1], key[2]), (width, height), tag)
            seen[key] = fit, tag if fit is Fit.TURNED else 1
        frames.fit[row], frames.orientation[row] = seen[key]
    frames.size[other] = recorded[other]
    return frames


def _pixels(
    boxes: pa.Table, size: np.ndarray[Any, Any], frames: _Frames
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Corners (N, 4) in pixels of the upright image and statuses, for rows of any conventions."""
    numbers = boxes["box"].combine_chunks().flatten().to_numpy().reshape(-1, 4)
    formats, units = np.array(boxes["format"].to_pylist()), np.array(boxes["unit"].to_pylist())
    corners = np.full((len(numbers), 4), np.nan, dtype=np.float32)
    cut = np.zeros(len(numbers), dtype=np.bool_)
    for form, unit in sorted(set(zip(formats.tolist(), units.tolist(), strict=True))):
        rows = (formats == form) & (units == unit)
        convention = BoxConvention(form, unit, assumed=False)
        frame = np.ones_like(size[rows]) if unit == "fraction" else frames.size[rows]
        found, why = to_corners(numbers[rows], frame, convention)
        scale = np.tile(size[rows], 2) if unit == "fraction" else 1.0
        relaid = frames.fit[rows] != Fit.SAME
        stored = found[relaid] / np.tile(frame[relaid], 2)
        upright = _upright(stored, frames.orientation[rows][relaid])
        found = found * scale
        found[relaid] = upright * np.tile(size[rows][relaid], 2)
        corners[rows] = found
        lost = np.isnan(found).any(axis=1)
        # A box that has an extent of its own, and none within the image, lies outside it.
        nowhere = np.full_like(frame[lost], np.nan)
        beyond = np.isfinite(to_corners(numbers[rows][lost], nowhere, convention)[0]).all(axis=1)
        cut[rows] = why != 0
        cut[np.flatnonzero(rows)[lost]] = beyond
    refused = frames.fit == Fit.OTHER
    corners[refused] = np.nan
    # In fractions a resized copy is the same as its image.
    fit = np.where((frames.fit == Fit.SCALED) & (units == "fraction"), Fit.SAME, frames.fit)
    lost = np.isnan(corners).any(axis=1)
    status = fit.astype(str).astype(object)
    status[cut & ~refused] = [
        CUT if name == Fit.SAME else f"{name}, {CUT}" for name in status[cut & ~refused]
    ]
    status[lost & ~refused] = np.where(cut[lost & ~refused], CUT, "degenerate_box")
    return corners, status


def _upright(
    corners: np.ndarray[Any, Any], orientation: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Boxes (N, 4) in fractions, each turned by its orientation."""
    turned = corners.astype(np.float64)
    for tag in np.unique(orientation):
        rows = orientation == tag
        turned[rows] = turn(turned[rows], int(tag))
    return turned


def _positive(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 < value < MAX_SIDE else None


def _by_ends(
    image_ids: Iterable[str], fold: Callable[[str], str]
) -> dict[tuple[str, ...], set[str]]:
    """End of a path to the images whose path ends so."""
    ends: dict[tuple[str, ...], set[str]] = {}
    for image_id in image_ids:
        for key in _keys(fold(plain_name(image_id))):
            ends.setdefault(key, set()).add(image_id)
    return ends


def _longest_end(
    name: str, ends: Mapping[tuple[str, ...], set[str]], fold: Callable[[str], str]
) -> tuple[tuple[str, ...], set[str]]:
    """From a whole recorded path down to its base name: the longest common end decides."""
    key = next((key for key in _keys(fold(plain_name(name))) if key in ends), ())
    return key, ends.get(key, set())


_DEEPEST: Final = 64
"""Folders of a path, the nearest ones, by which it is told from another."""


def _keys(name: str) -> list[tuple[str, ...]]:
    """Ends of a path, longest first, each with and without the image's ending."""
    parts = tuple(part for part in PurePosixPath(name.replace("\\", "/")).parts if part != "/")
    parts = parts[-_DEEPEST:]
    stem, dot, ending = parts[-1].rpartition(".") if parts else ("", "", "")
    keys = []
    for start in range(len(parts)):
        keys.append(parts[start:])
        if dot and f".{ending.lower()}" in ENDINGS:
            keys.append((*parts[start:-1], stem))
    return keys
