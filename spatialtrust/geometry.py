"""Paired kernels on boxes: (N, 4) x (N, 4) -> (N,), float32.

Boxes are ``x1, y1, x2, y2``, x right, y down, in pixels or fractions of the image. A kernel's value
is NaN where one of its boxes is missing or degenerate: not finite, inverted or without area.

Kernels on pairs measure each axis in units of the boxes' own extents, so their value is the same in
pixels and in fractions of the image; those on one box (:func:`border_distance`, :func:`log_area`)
need fractions. Polygons and masks: see :mod:`spatialtrust.shapes`.

>>> mug, kettle = [[0, 0, 2, 2]], [[4, 0, 6, 4]]
>>> offset(mug, kettle, "x")
array([-2.], dtype=float32)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import numpy as np

from spatialtrust.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Column: TypeAlias = NDArray[np.floating[Any]]
    Given: TypeAlias = "ArrayLike | Boxes"

_AXES: Final = {"x": 0, "y": 1}
_TWO: Final = np.float32(2)


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes whose degenerate rows are NaN already; what many kernels run on should be made once.

    Attributes
    ----------
    columns: float32 (4, N), ``x1, y1, x2, y2``, each contiguous; a row is NaN as a whole or not.

    >>> Boxes.of([[0, 0, 2, 2], [3, 0, 1, 1]]).columns[0]
    array([ 0., nan], dtype=float32)
    """

    columns: NDArray[np.float32]

    def __len__(self) -> int:
        return int(self.columns.shape[1])

    @classmethod
    def of(cls, given: ArrayLike | Boxes) -> Self:
        """From (N, 4) numbers.

        Raises
        ------
        InputError: another shape.
        """
        if isinstance(given, cls):
            return given
        array = np.asarray(given, dtype=np.float32)
        if array.ndim != 2 or array.shape[1] != 4:
            raise InputError(f"boxes have shape {array.shape}; give (N, 4): x1, y1, x2, y2")
        columns = np.array(array.T, order="C")
        valid = is_valid(columns.T)
        if not valid.all():
            columns[:, ~valid] = np.nan
        return cls(columns)

    def take(self, rows: NDArray[np.integer[Any]]) -> Self:
        """The boxes at these places."""
        return type(self)(self.columns.take(rows, axis=1))


def is_valid(given: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which boxes (N, 4) are finite and have an area.

    >>> is_valid(np.array([[0, 0, 2, 2], [0, 0, np.inf, 1]])).tolist()
    [True, False]
    """
    left, top, right, bottom = given.T
    # Comparisons with NaN are false, and the last test fails for any infinite corner.
    with np.errstate(invalid="ignore"):
        extent = (right - left) + (bottom - top)
        valid: NDArray[np.bool_] = (right > left) & (bottom > top) & (extent < np.inf)
    return valid


def offset(subject: Given, object: Given, axis: str) -> Column:
    """Centre of the subject minus centre of the object, in mean extents of the two boxes.

    ``(c_s - c_o) / ((e_s + e_o) / 2)`` along ``axis``; within (-1, 1) the projections overlap.

    >>> offset([[0, 0, 2, 2]], [[1, 0, 3, 2]], "x")
    array([-0.5], dtype=float32)
    """
    (low, high), (other_low, other_high) = _spans(subject, object, axis)
    return ((low + high) - (other_low + other_high)) / ((high - low) + (other_high - other_low))


def edge_offset(subject: Given, object: Given, axis: str, edge: str) -> Column:
    """The same for one edge: ``low`` (left, top) or ``high`` (right, bottom).

    A lower bottom edge (larger y) usually means nearer to the viewer.

    >>> edge_offset([[0, 0, 2, 2]], [[0, 0, 2, 4]], "y", "high")
    array([-0.6666667], dtype=float32)
    """
    if edge not in ("low", "high"):
        raise InputError(f'edge is "{edge}"; valid: "low", "high"')
    ours, theirs = _spans(subject, object, axis)
    place = 0 if edge == "low" else 1
    return _TWO * (ours[place] - theirs[place]) / ((ours[1] - ours[0]) + (theirs[1] - theirs[0]))


def gap(subject: Given, object: Given, axis: str) -> Column:
    """Empty space between the projections, in mean extents; negative where they overlap.

    >>> gap([[0, 0, 2, 2]], [[3, 0, 5, 2]], "x"), gap([[0, 0, 2, 2]], [[3, 0, 5, 2]], "y")
    (array([0.5], dtype=float32), array([-1.], dtype=float32))
    """
    (low, high), (other_low, other_high) = _spans(subject, object, axis)
    space = np.maximum(low, other_low) - np.minimum(high, other_high)
    return _TWO * space / ((high - low) + (other_high - other_low))


def alignment(subject: Given, object: Given, axis: str, sign: ArrayLike = 1) -> Column:
    """How far the subject lies to the claimed side: ``sign`` times :func:`offset`.

    Source: arXiv 2601.11644, geometric alignment; the unit is this package's choice.

    >>> alignment([[0, 0, 2, 2]], [[4, 0, 6, 4]], "x", sign=-1)
    array([2.], dtype=float32)
    """
    return np.asarray(sign, dtype=np.float32) * offset(subject, object, axis)


def iou(subject: Given, object: Given) -> Column:
    """Intersection over union, [0, 1].

    >>> iou([[0, 0, 2, 2]], [[1, 0, 3, 2]])
    array([0.33333334], dtype=float32)
    """
    shared = _shared_area(subject, object)
    return shared / (_area(subject) + _area(object) - shared)


def separation(subject: Given, object: Given) -> Column:
    """How little two boxes overlap, ``1 - IoU``.

    Source: arXiv 2601.11644, spatial-ambiguity signal.

    >>> separation([[0, 0, 2, 2]], [[1, 0, 3, 2]])
    array([0.6666666], dtype=float32)
    """
    return np.float32(1) - iou(subject, object)


def containment(inner: Given, outer: Given) -> Column:
    """Share of the inner box that lies in the outer one, [0, 1].

    >>> containment([[0, 0, 2, 2]], [[1, 0, 9, 9]])
    array([0.5], dtype=float32)
    """
    return _shared_area(inner, outer) / _area(inner)


def inset(inner: Given, outer: Given) -> Column:
    """Least margin between the inner box's edges and the outer's, in outer extents.

    At most 0.5; negative where the inner box sticks out.

    >>> inset([[4, 4, 6, 6]], [[0, 0, 10, 10]])
    array([0.4], dtype=float32)
    """
    sides = []
    for axis in _AXES:
        (low, high), (other_low, other_high) = _spans(inner, outer, axis)
        sides.append(np.minimum(low - other_low, other_high - high) / (other_high - other_low))
    least: Column = np.minimum(*sides)
    return least


def eccentricity(inner: Given, outer: Given) -> Column:
    """Distance of the inner box's centre from the outer's, each axis in outer extents.

    >>> eccentricity([[4, 4, 6, 6]], [[0, 0, 10, 10]])
    array([0.], dtype=float32)
    """
    sides = []
    for axis in _AXES:
        (low, high), (other_low, other_high) = _spans(inner, outer, axis)
        sides.append((low + high - other_low - other_high) / (_TWO * (other_high - other_low)))
    return length(*sides)


def distance(subject: Given, object: Given) -> Column:
    """Distance of the centres, each axis in geometric mean extents; symmetric.

    >>> distance([[0, 0, 2, 2]], [[3, 4, 5, 6]])
    array([2.5], dtype=float32)
    """
    sides = []
    for axis in _AXES:
        (low, high), (other_low, other_high) = _spans(subject, object, axis)
        extent = np.sqrt((high - low) * (other_high - other_low))
        sides.append((low + high - other_low - other_high) / (_TWO * extent))
    return length(*sides)


def log_size_ratio(subject: Given, object: Given) -> Column:
    """Natural logarithm of the subject's area over the object's; antisymmetric.

    >>> log_size_ratio([[0, 0, 2, 2]], [[0, 0, 2, 2]])
    array([0.], dtype=float32)
    """
    return np.log(_area(subject) / _area(object))


def angle(subject: Given, object: Given) -> Column:
    """Direction from the object's centre to the subject's, radians from the x axis, y down.

    Both axes in mean extents. Right is 0, below is pi/2, above is -pi/2, left is pi.

    >>> angle([[0, 4, 2, 6]], [[0, 0, 2, 2]])
    array([1.5707964], dtype=float32)
    """
    return np.arctan2(offset(subject, object, "y"), offset(subject, object, "x"))


def log_area(box: Given) -> Column:
    """Natural logarithm of the share of the image that a box covers; boxes in fractions.

    >>> log_area([[0, 0, 1, 1]])
    array([0.], dtype=float32)
    """
    return np.log(_area(box))


def border_distance(box: Given) -> Column:
    """Least distance to the border of the image; boxes in fractions. 0: the box is cut off.

    >>> border_distance([[0.1, 0.2, 0.5, 0.5]])
    array([0.1], dtype=float32)
    """
    left, top, right, bottom = Boxes.of(box).columns
    one = np.float32(1)
    least: Column = np.minimum(np.minimum(left, one - right), np.minimum(top, one - bottom))
    return least


def stability(subject: Given, object: Given, axis: str, jitter: float = 0.1) -> Column:
    """Probability that the order of the centres survives box noise, [0.5, 1].

    Each centre moves by a normal error of ``jitter`` extents of its box:
    ``Phi(|c_s - c_o| / (jitter * sqrt(e_s^2 + e_o^2)))``, what the share of sampled boxes that
    keep the sign tends to.

    Raises
    ------
    InputError: ``jitter`` is not a positive finite number.

    >>> stability([[0, 0, 2, 2]], [[0, 0, 2, 2]], "x")
    array([0.5], dtype=float32)
    """
    from scipy.special import ndtr

    if not 0 < jitter < np.inf:
        raise InputError(f"jitter is {jitter}; give a positive finite share of a box's extent")
    (low, high), (other_low, other_high) = _spans(subject, object, axis)
    spread = length(high - low, other_high - other_low)
    moved = np.abs(low + high - other_low - other_high) / _TWO
    kept: Column = np.asarray(ndtr(moved / (np.float32(jitter) * spread)), dtype=np.float32)
    return kept


def length(x: Column, y: Column) -> Column:
    """``sqrt(x^2 + y^2)``; for numbers of the size of boxes a fraction of ``np.hypot``'s time.

    >>> length(np.float32([3]), np.float32([4]))
    array([5.], dtype=float32)
    """
    found: Column = np.sqrt(x * x + y * y)
    return found


def _spans(
    subject: Given, object: Given, axis: str
) -> tuple[tuple[Column, Column], tuple[Column, Column]]:
    if axis not in _AXES:
        raise InputError(f'axis is "{axis}"; valid: "x", "y"')
    ours, theirs, place = Boxes.of(subject), Boxes.of(object), _AXES[axis]
    if len(ours) != len(theirs):
        raise InputError(f"{len(ours)} boxes and {len(theirs)} boxes; give as many of both")
    low, high = ours.columns[place], ours.columns[place + 2]
    return (low, high), (theirs.columns[place], theirs.columns[place + 2])


def _area(given: Given) -> Column:
    left, top, right, bottom = Boxes.of(given).columns
    area: Column = (right - left) * (bottom - top)
    return area


def _shared_area(subject: Given, object: Given) -> Column:
    sides = []
    for axis in _AXES:
        (low, high), (other_low, other_high) = _spans(subject, object, axis)
        shared = np.minimum(high, other_high) - np.maximum(low, other_low)
        sides.append(np.maximum(shared, np.float32(0)))
    area: Column = sides[0] * sides[1]
    return area
