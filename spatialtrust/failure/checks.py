"""What every failure predictor asks of its inputs, said once.

Arrays keep float32 or float64; anything else is converted (``numbers.py``). Errors name the array,
the row and what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.errors import InputError
from spatialtrust.numbers import as_count, as_number, as_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from spatialtrust.arrays import Float64, Floats, Int64


BLOCK_BYTES = 1 << 25
"""Working memory of one block of rows: small enough for the cache, large enough for BLAS."""

CAPTION_TIE = 1e-6
"""Cosines this close are ties: the same caption twice, whatever order a product was summed in."""

_SMALL: Final = 1e-15
"""Lengths whose squares float32 can still tell from 0."""
_MOST = 2**53


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of rows whose float64 form takes about ``BLOCK_BYTES``.

    >>> [(part.start, part.stop) for part in blocks(5, BLOCK_BYTES // 16)]
    [(0, 2), (2, 4), (4, 5)]
    """
    step = max(1, BLOCK_BYTES // (8 * max(1, columns)))
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))


def as_floats(values: ArrayLike, name: str) -> Floats:
    """A finite float32 or float64 array (N, M), or an error naming the first bad row."""
    array = as_numbers(values, name)
    if array.dtype not in (np.float32, np.float64):
        if array.dtype.kind not in "fiu":
            raise InputError(f"{name}: holds {array.dtype}, not numbers; give a float array (N, M)")
        array = array.astype(np.float32 if array.dtype == np.float16 else np.float64)
    if array.ndim != 2:
        raise InputError(f"{name}: has shape {array.shape}; give two dimensions (rows, columns)")
    for part in blocks(*array.shape):
        bad = ~np.isfinite(array[part]).all(axis=1)
        if bad.any():
            row = part.start + int(np.argmax(bad))
            value = array[row][~np.isfinite(array[row])][0]
            raise InputError(
                f"{name}: row {row} holds {value}; every value must be finite: drop the row, or "
                "recompute it in float32 (half precision overflows)"
            )
    return array


def as_logits(logits: ArrayLike) -> Floats:
    """Logits (N, K) of at least two classes."""
    array = as_floats(logits, "logits")
    if array.shape[1] < 2:
        raise InputError(
            f"logits: have {array.shape[1]} class; a choice needs at least two classes"
        )
    return array


def as_labels(labels: ArrayLike, rows: int, classes: int) -> Int64:
    """Class indices (N,) in [0, K)."""
    array = as_numbers(labels, "labels")
    if not array.size and array.ndim == 1:
        array = array.astype(np.int64)
    if array.dtype.kind == "f" and array.ndim == 1 and np.isnan(array).any():
        raise InputError(
            f"labels: row {int(np.isnan(array).argmax())} has none; keep the rows with a label"
        )
    if array.dtype.kind not in "iub" or array.ndim != 1:
        raise InputError(
            f"labels: have dtype {array.dtype} and shape {array.shape}; give whole numbers (N,), "
            "one class index per image"
        )
    if len(array) != rows:
        raise InputError(f"labels: {len(array)} of them for {rows} images; give one per image")
    bad = (array < 0) | (array >= classes)
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            f"labels: row {row} is {array[row]}; with {classes} classes valid labels are "
            f"0 to {classes - 1}"
        )
    return array.astype(np.int64)


def unit_rows(values: ArrayLike, name: str, dimension: int | None = None) -> Floats:
    """Rows scaled to unit length; rows without a direction, or of another model, are refused."""
    array = as_floats(values, name)
    expect_dimension(array, name, dimension)
    largest = np.abs(array).max(axis=1, keepdims=True, initial=0)
    if not largest.all():
        raise InputError(
            f"{name}: row {int(np.argmin(largest))} is all zeros, so it has no direction; embed "
            "the image or text again"
        )
    with np.errstate(over="ignore"):  # seen below
        length = np.linalg.norm(array, axis=1, keepdims=True)
    if not ((length > _SMALL) & np.isfinite(length)).all():  # their squares are too small or large
        array = array / largest
        length = np.linalg.norm(array, axis=1, keepdims=True)
    return np.asarray(array / length)


def expect_dimension(array: Floats, name: str, dimension: int | None) -> None:
    """Refuse arrays that cannot come from the model that was fitted."""
    if dimension is not None and array.shape[1] != dimension:
        raise InputError(
            f"{name}: have {array.shape[1]} columns where {dimension} are expected; embeddings of "
            "another model do not fit: embed them with the model used for fitting"
        )


def expect_rows(array: Floats, name: str, rows: int) -> None:
    """Refuse two arrays that do not speak of the same images."""
    if len(array) != rows:
        raise InputError(f"{name}: {len(array)} rows for {rows} images; give one row per image")


def expect_positive(value: float, name: str) -> None:
    """Refuse temperatures and scales that are not positive numbers."""
    valid = "a positive finite number"
    number = as_number(value, name, valid)
    if not (np.isfinite(number) and number > 0):
        raise InputError(f"{name} is {value}; give {valid}")


def expect_number(
    value: float, name: str, low: float, high: float = np.inf, *, below: bool = False
) -> None:
    """Refuse numbers outside [low, high], or [low, high) with ``below``."""
    end = f"{high:g}, without {high:g}" if below else f"{high:g}"
    valid = f"a number from {low:g} on" if high == np.inf else f"a number from {low:g} to {end}"
    number = as_number(value, name, valid)
    inside = low <= number < high if below or high == np.inf else low <= number <= high
    if not inside:
        raise InputError(f"{name} is {value}; give {valid}")


def expect_share(value: float, name: str) -> None:
    """Refuse what is no number in [0, 1]."""
    expect_number(value, name, 0, 1)


def expect_count(value: int, name: str, least: int) -> None:
    """Refuse what is no whole number from ``least`` on."""
    as_count(value, name, least, _MOST)


def expect_widths(widths: tuple[int, ...]) -> None:
    """Refuse layers that have no whole number of units."""
    if not isinstance(widths, tuple | list):
        raise InputError(f"widths is {widths!r}; give one whole number per hidden layer")
    for place, width in enumerate(widths):
        expect_count(width, f"widths[{place}]", 1)


def expect_every_class(labels: ArrayLike, rows: int, classes: int | None) -> tuple[Int64, int]:
    """Labels of which every class has one, and the number of classes."""
    known = classes or int(np.max(as_numbers(labels, "labels"), initial=1)) + 1
    y = as_labels(labels, rows, known)
    counts = np.bincount(y, minlength=known)
    if not counts.all():
        raise InputError(
            f"labels: class {int(counts.argmin())} has no labelled image (so have "
            f"{int((counts == 0).sum())} of {known} classes); give at least one of each class"
        )
    return y, known


def expect_both_outcomes(correct: NDArray[np.bool_], split: str) -> None:
    """Refuse splits that hold no errors, or nothing but errors: there is nothing to contrast."""
    for missing, kind in ((bool(correct.all()), "wrong"), (not correct.any(), "right")):
        if missing:
            raise InputError(
                f"{split}: no prediction is {kind}, so there is nothing to learn from; give a "
                "larger or harder split"
            )


def expect_choice(value: str, name: str, valid: tuple[str, ...]) -> None:
    """Refuse a name that is not one of a few."""
    if value not in valid:
        raise InputError(f'{name} is "{value}"; valid: {", ".join(valid)}')


def log_softmax(logits: Floats) -> Float64:
    """Logarithm of the softmax by row in float64; classes ruled out stay finite."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def softmax(logits: Floats, temperature: float = 1.0) -> Float64:
    """Softmax by row in float64, safe for any finite logits."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    shifted /= temperature
    np.exp(shifted, out=shifted)
    shifted /= shifted.sum(axis=1, keepdims=True)
    return shifted
