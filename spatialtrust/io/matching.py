"""Recorded boxes to the images they belong to, in pixels.

Recorders know images by names of their own: absolute paths, base names, names without an ending.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from spatialtrust.io.boxes import BoxConvention, to_corners
from spatialtrust.io.images import ENDINGS
from spatialtrust.tables import Detections

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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


@dataclass(frozen=True, slots=True)
class Matching:
    """Which recorded name belongs to which image.

    Attributes
    ----------
    image_of: recorded name to image_id.
    unknown: recorded names of which there is no image.
    ambiguous: recorded names that fit several images, or share an image with another.
    """

    image_of: Mapping[str, str]
    unknown: tuple[str, ...]
    ambiguous: tuple[str, ...]


def match_names(names: Iterable[str], image_ids: Iterable[str]) -> Matching:
    """Match recorded file names with images: by path, else by base name where that is unique.

    A recorded path may be longer than ours (absolute) or shorter; names without an ending, as in
    YOLO folders, match whatever the image's ending.

    >>> match_names(["/data/x/a.jpg", "b.jpg"], ["x/a.jpg", "y/b.jpg"]).image_of
    {'/data/x/a.jpg': 'x/a.jpg', 'b.jpg': 'y/b.jpg'}
    """
    ends: dict[tuple[str, ...], set[str]] = {}
    for image_id in image_ids:
        for key in _keys(image_id):
            ends.setdefault(key, set()).add(image_id)
    unknown: list[str] = []
    ambiguous: list[str] = []
    claims: dict[str, list[tuple[int, str]]] = {}
    for name in dict.fromkeys(names):
        # From the whole recorded path down to its base name: the longest common end decides.
        key = next((key for key in _keys(name) if key in ends), ())
        found = ends.get(key, set())
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
    return Matching(image_of, tuple(unknown), tuple(sorted(ambiguous)))


def resolve(
    boxes: pa.Table,
    sizes: Mapping[str, tuple[int | None, int | None]],
    model: str,
    image_of: Mapping[str, str] | None = None,
) -> Detections:
    """Recorded boxes as detections in pixels, ranked within each image and phrase.

    Parameters
    ----------
    boxes: rows of ``RECORDED``; those of images not in ``sizes`` are passed over.
    sizes: image_id to width and height in pixels; boxes are cut at the image's edge.
    model: what to write into the column of that name.
    image_of: recorded name to image_id; None: names are ids.

    Returns
    -------
    A box that cannot be used has null corners and says why in ``status``. Best first: by score,
    and among boxes without one by area.
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
    corners, reasons = _pixels(kept, size)
    score = kept["score"].to_numpy().astype(np.float64)
    phrases = kept["phrase"].to_pylist()
    area = np.nan_to_num((corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1]))
    order = np.lexsort((np.arange(len(rows)), -area, -score))
    counts: Counter[tuple[str, str]] = Counter()
    rank = np.empty(len(rows), dtype=np.int32)
    for row in order:
        key = (image_ids[row], phrases[row])
        rank[row] = counts[key]
        counts[key] += 1
    status = np.where(reasons == 0, "ok", "box_outside_image").astype(object)
    status[np.isnan(corners).any(axis=1)] = "degenerate_box"
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


def _pixels(boxes: pa.Table, size: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    """Corners (N, 4) in pixels and reasons, for rows of several conventions."""
    numbers = boxes["box"].combine_chunks().flatten().to_numpy().reshape(-1, 4)
    formats, units = np.array(boxes["format"].to_pylist()), np.array(boxes["unit"].to_pylist())
    corners = np.full((len(numbers), 4), np.nan, dtype=np.float32)
    reasons = np.zeros(len(numbers), dtype=np.uint32)
    for form, unit in sorted(set(zip(formats.tolist(), units.tolist(), strict=True))):
        rows = (formats == form) & (units == unit)
        frame = np.ones_like(size[rows]) if unit == "fraction" else size[rows]
        found, why = to_corners(numbers[rows], frame, BoxConvention(form, unit, assumed=False))
        scale = np.tile(size[rows], 2) if unit == "fraction" else 1.0
        corners[rows], reasons[rows] = found * scale, why
    return corners, reasons


def _keys(name: str) -> list[tuple[str, ...]]:
    """Ends of a path, longest first, each with and without the image's ending."""
    parts = tuple(part for part in PurePosixPath(name.replace("\\", "/")).parts if part != "/")
    stem, dot, ending = parts[-1].rpartition(".") if parts else ("", "", "")
    keys = []
    for start in range(len(parts)):
        keys.append(parts[start:])
        if dot and f".{ending.lower()}" in ENDINGS:
            keys.append((*parts[start:-1], stem))
    return keys
