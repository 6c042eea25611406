"""Polygons and masks: the overlap and distance kernels of boxes for outlines of any form.

Shapes are arrays of shapely geometries, x right, y down; a missing shape is None, and a kernel's
value is NaN where a shape is missing or has no area. :func:`to_boxes` leads back to the kernels on
boxes.

>>> import shapely
>>> triangle, square = shapely.Polygon([(0, 0), (2, 0), (0, 2)]), shapely.box(0, 0, 2, 2)
>>> shape_iou([triangle], [square])
array([0.5], dtype=float32)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spatialtrust.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

    from spatialtrust.arrays import Float32


def from_masks(masks: Iterable[ArrayLike]) -> NDArray[np.object_]:
    """Masks (rows, columns) as shapes with the same area in pixels; None where a mask is empty.

    Raises
    ------
    InputError: a mask that is not two-dimensional.

    >>> from_masks([[[0, 1], [0, 1]]])[0].bounds
    (1.0, 0.0, 2.0, 2.0)
    """
    import shapely

    shapes = [_outline(np.asarray(mask, dtype=bool), shapely) for mask in masks]
    listed = np.empty(len(shapes), dtype=object)
    listed[:] = shapes
    return listed


def to_boxes(shapes: ArrayLike) -> NDArray[np.float32]:
    """Bounding boxes (N, 4); NaN where a shape is missing or empty.

    >>> import shapely
    >>> to_boxes([shapely.box(0, 1, 2, 3), None]).tolist()
    [[0.0, 1.0, 2.0, 3.0], [nan, nan, nan, nan]]
    """
    import shapely

    return np.asarray(shapely.bounds(_shapes(shapes)), dtype=np.float32)


def shape_iou(subject: ArrayLike, object: ArrayLike) -> Float32:
    """Intersection over union of two outlines, [0, 1]."""
    ours, theirs = _shapes(subject), _shapes(object)
    shared = _shared(ours, theirs)
    return _column(shared / (_area(ours) + _area(theirs) - shared))


def shape_containment(inner: ArrayLike, outer: ArrayLike) -> Float32:
    """Share of the inner outline that lies in the outer one, [0, 1].

    >>> import shapely
    >>> shape_containment([shapely.box(0, 0, 2, 2)], [shapely.box(1, 0, 9, 9)])
    array([0.5], dtype=float32)
    """
    inside = _shapes(inner)
    return _column(_shared(inside, _shapes(outer)) / _area(inside))


def shape_gap(subject: ArrayLike, object: ArrayLike) -> Float32:
    """Least distance between two outlines, in square roots of their mean area; 0: they touch.

    The mean is geometric.

    >>> import shapely
    >>> shape_gap([shapely.box(0, 0, 2, 2)], [shapely.box(3, 0, 5, 2)])
    array([0.5], dtype=float32)
    """
    import shapely

    ours, theirs = _shapes(subject), _shapes(object)
    size = (_area(ours) * _area(theirs)) ** 0.25
    return _column(shapely.distance(ours, theirs) / size)


def _outline(mask: NDArray[np.bool_], shapely: Any) -> Any:
    """One rectangle per run of set pixels in a row, joined."""
    if mask.ndim != 2:
        raise InputError(f"a mask has shape {mask.shape}; give (rows, columns)")
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    return shapely.union_all(shapely.box(starts, rows, ends, rows + 1)) if len(rows) else None


def _shapes(given: ArrayLike) -> NDArray[np.object_]:
    import shapely

    shapes = np.asarray(given, dtype=object)
    if shapes.ndim != 1 or not (shapely.is_geometry(shapes) | shapely.is_missing(shapes)).all():
        raise InputError("shapes must be a list of shapely geometries or None")
    return shapes


def _area(shapes: NDArray[np.object_]) -> NDArray[np.float64]:
    import shapely

    area = np.asarray(shapely.area(shapes), dtype=np.float64)
    return np.where(area > 0, area, np.nan)


def _shared(subject: NDArray[np.object_], object: NDArray[np.object_]) -> NDArray[np.float64]:
    import shapely

    if len(subject) != len(object):
        raise InputError(f"{len(subject)} shapes and {len(object)} shapes; give as many of both")
    return np.asarray(shapely.area(shapely.intersection(subject, object)), dtype=np.float64)


def _column(values: NDArray[np.float64]) -> Float32:
    return values.astype(np.float32)
