"""Where an object is on a picture: a box, a polygon or a mask, as the pixels it covers.

>>> covered((4, 4), [1, 1, 3, 3]).sum(), covered((4, 4), [[0, 0], [3, 0], [0, 3]]).sum()
(np.int64(4), np.int64(10))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spatialtrust.errors import InputError
from spatialtrust.questions.views import box_mask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spatialtrust.arrays import Bool

    Region = Sequence[float] | Sequence[Sequence[float]] | Mapping[str, Any] | Bool
    """Box ``x1, y1, x2, y2``; polygon of three or more ``x, y``; mask, bool (H, W), or one that is
    run-length encoded as COCO writes it: ``{"size": [H, W], "counts": [...]}``, by columns."""


def covered(size: tuple[int, int], region: Region) -> Bool:
    """The pixels of one object, bool (H, W); what lies outside the picture is cut off.

    Parameters
    ----------
    size: height and width of the picture.
    region: in its pixels, x right, y down.

    Raises
    ------
    InputError: the region is none, has no area, or none of it is on the picture.

    >>> covered((4, 4), [8, 8, 9, 9])
    Traceback (most recent call last):
        ...
    spatialtrust.errors.InputError: the region [8, 8, 9, 9] lies outside the picture (4 x 4 pixels)...
    """  # noqa: E501
    found, what = _pixels(size, region)
    if not found.any():
        height, width = size
        raise InputError(
            f"the region {what} lies outside the picture ({width} x {height} pixels) or is empty; "
            "give x1, y1, x2, y2 or x, y points in pixels of this picture, or a mask of its size"
        )
    return found


def _pixels(size: tuple[int, int], region: Region) -> tuple[Bool, str]:
    height, width = size
    if hasattr(region, "keys"):
        return _decoded(size, region), "that is run-length encoded"
    try:
        values = np.asarray(region)
    except ValueError:
        values = np.empty(0)
    if values.dtype == np.bool_ and values.ndim == 2:
        if values.shape != size:
            raise InputError(
                f"the mask has {values.shape[0]} rows and {values.shape[1]} columns, the picture "
                f"{height} and {width}; give a mask of the picture's size"
            )
        return values, "that the mask marks"
    what = _short(region)
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise InputError(f"the region {what} holds what is no finite number; {_VALID}")
    if values.shape == (4,):
        if not (values[2] > values[0] and values[3] > values[1]):
            raise InputError(f"the box {what} has no area; give x1 < x2 and y1 < y2")
        limits = np.array([width, height, width, height], dtype=np.float64)
        box = np.clip(values.astype(np.float64), 0, limits)
        if not (box[2] > box[0] and box[3] > box[1]):
            return np.zeros(size, dtype=bool), what
        return box_mask(height, width, box[None].astype(np.float32)), what
    if values.ndim == 2 and values.shape[1] == 2 and len(values) >= 3:
        return _filled(size, values.astype(np.float64)), what
    raise InputError(f"the region {what} is neither a box, a polygon nor a mask; {_VALID}")


_VALID = "give four numbers x1, y1, x2, y2, three or more points x, y, or a mask"


def _filled(size: tuple[int, int], points: Any) -> Bool:
    """What of a polygon lies on the picture; it may cross itself."""
    import cv2
    import shapely

    height, width = size
    outline = shapely.make_valid(shapely.Polygon(points))
    seen = shapely.get_parts(outline.intersection(shapely.box(0, 0, width, height)))
    parts = [part for part in seen if part.geom_type == "Polygon" and part.area]
    drawn = np.zeros(size, dtype=np.uint8)
    corners = [np.rint(shapely.get_coordinates(part.exterior)).astype(np.int32) for part in parts]
    for ring in corners:
        cv2.fillPoly(drawn, [ring], 1)
    return drawn.astype(bool)


def _decoded(size: tuple[int, int], region: Any) -> Bool:
    try:
        shape = tuple(int(length) for length in region["size"])
        counts = np.asarray(region["counts"], dtype=np.int64)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            'a run-length mask is not readable; give {"size": [height, width], "counts": [...]} '
            "with counts as a list of whole numbers (not COCO's compressed text)"
        ) from error
    if shape != size or counts.ndim != 1 or (counts < 0).any() or counts.sum() != size[0] * size[1]:
        raise InputError(
            f"a run-length mask of size {list(shape)} does not fit the picture, {list(size)}; its "
            "counts are not negative and add up to height times width"
        )
    runs = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return np.asarray(runs.reshape(size[::-1]).T)


def _short(region: object) -> str:
    text = str(region.tolist() if isinstance(region, np.ndarray) else region)
    return text if len(text) <= 60 else f"{text[:57]}..."
