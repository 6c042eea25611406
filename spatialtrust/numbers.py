"""Numbers from whatever holds them: lists, NumPy, pandas, Arrow, torch, and what converts to NumPy.

Nothing is imported for it: a library is known by the object it made. What is missing (None, NA,
a masked cell, an Arrow null) becomes NaN; what is no number is refused by argument and row.
"""

from __future__ import annotations

import numbers
import operator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUMERIC: Final = "biuf"
_SMALL_FLOATS: Final = ("bfloat16", "float8")
_MISSING: Final = ("NAType", "NaTType", "MaskedConstant")


def as_numbers(values: object, name: str) -> NDArray[Any]:
    """An array of booleans, whole numbers or floats, of any shape; missing is NaN.

    A numeric NumPy array is returned as it is, without a copy.

    Parameters
    ----------
    values: a list, an array or tensor of any library, a pandas or polars column or frame, an Arrow
        array or table. A tensor may require a gradient and live on any device.
    name: of the argument, for messages.

    Raises
    ------
    InputError: texts, dates, complex numbers, ragged lists, or what cannot be laid out in memory.

    >>> as_numbers([0.5, None, 1], "confidence")
    array([0.5, nan, 1. ])
    """
    if type(values) is np.ndarray and values.dtype.kind in _NUMERIC:
        return values
    array = as_array(values, name)
    if array.dtype.kind in _NUMERIC:
        return array
    if array.dtype.kind == "O":
        return _from_objects(array, name)
    if array.dtype.name.startswith(_SMALL_FLOATS):
        return array.astype(np.float32)
    if not array.size:
        return np.zeros(array.shape)
    first = array.flat[0]
    raise InputError(f"{name}: holds {array.dtype}, not numbers (first: {first!r}); {_GIVE}")


def as_array(values: object, name: str) -> NDArray[Any]:
    """Any values as an array, taken out of the library that holds them; not yet checked.

    Raises
    ------
    InputError: they make no array: ragged lists, sets, generators, a tensor without memory.
    """
    if _no_column(values):
        raise InputError(f"{name}: is a {type(values).__name__}; {_GIVE}")
    try:
        array = _taken_out(values)
    except InputError:
        raise
    except Exception as error:  # other libraries raise what they like
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{name}: a {type(values).__name__} that makes no array ({reason}); {_GIVE}"
        ) from error
    if array.ndim == 0 and array.dtype.kind == "O":
        raise InputError(f"{name}: is a {type(values).__name__}; {_GIVE}")
    return array


def as_number(value: object, name: str, valid: str = "a number") -> float:
    """One number as a float; NaN passes, a text or an array does not.

    Raises
    ------
    InputError: naming the argument and what is valid.

    >>> as_number(np.float32(0.5), "tpr")
    0.5
    """
    if type(value) is float:
        return value
    array = np.asarray(None) if _no_column(value) else as_array(value, name)
    if array.ndim or array.dtype.kind not in "iuf":
        raise InputError(f"{name} is {value!r}; give {valid}")
    return float(array)


def as_count(value: object, name: str, least: int, most: int) -> int:
    """A whole number within bounds; 2.5 and True are none.

    Raises
    ------
    InputError: naming the argument and what is valid.

    >>> as_count(15, "bins", 1, 100)
    15
    """
    try:
        count = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        count = least - 1
    if not least <= count <= most or isinstance(value, bool | np.bool_):
        raise InputError(f"{name} is {value!r}; give a whole number, {least} to {most}")
    return count


def _no_column(values: object) -> bool:
    kinds = (dict, set, frozenset, str, bytes, type(None))
    return isinstance(values, kinds) or hasattr(values, "__next__")


def is_missing(item: object) -> bool:
    """Whether one value stands for none: None, NaN, and what pandas and masked arrays use.

    >>> is_missing(None), is_missing(float("nan")), is_missing(0)
    (True, True, False)
    """
    if item is None or type(item).__name__ in _MISSING:
        return True
    return isinstance(item, float | np.floating) and bool(np.isnan(item))


_GIVE: Final = "give numbers: a list, a NumPy array, a column or a tensor"


def _taken_out(values: Any) -> NDArray[Any]:
    """An array of the values, as the library that holds them gives it best."""
    if isinstance(values, np.ma.MaskedArray):
        return _unmasked(values)
    if isinstance(values, np.ndarray):
        return np.asarray(values)
    library = type(values).__module__.partition(".")[0]
    if library == "torch":
        return _of_tensor(values)
    if library == "pyarrow":
        return _of_arrow(values)
    if library == "pandas":
        return _of_pandas(values)
    if library == "scipy" and hasattr(values, "toarray"):
        return np.asarray(values.toarray())
    if library == "cupy":
        return np.asarray(values.get())
    if isinstance(values, list | tuple):
        return _of_list(values)
    return np.asarray(values)


def _unmasked(values: np.ma.MaskedArray[Any, Any]) -> NDArray[Any]:
    mask = np.ma.getmaskarray(values)
    array = np.asarray(values.data)
    if not mask.any():
        return array
    array = array.astype(array.dtype if array.dtype.kind == "f" else object)
    array[mask] = np.nan
    return array


def _of_tensor(values: Any) -> NDArray[Any]:
    """A copy without gradient on the CPU; floats that NumPy lacks become float32."""
    tensor = values.detach()
    if str(tensor.layout) != "torch.strided":
        tensor = tensor.to_dense()
    if str(tensor.dtype).removeprefix("torch.").startswith(_SMALL_FLOATS):
        tensor = tensor.float()
    return np.asarray(tensor.cpu().resolve_conj().resolve_neg().numpy())


def _of_arrow(values: Any) -> NDArray[Any]:
    """Nulls are NaN; lists of equal length and tables are two dimensions."""
    if hasattr(values, "column_names"):
        return np.column_stack([_numeric(_of_arrow(column)) for column in values.columns])
    if hasattr(values, "as_py"):
        return np.asarray(values.as_py())
    kind = str(values.type)
    if "list" in kind or kind.startswith(("decimal", "dictionary", "bool")):
        return _of_list(values.to_pylist())
    if hasattr(values, "combine_chunks"):
        return np.asarray(values.to_numpy())
    return np.asarray(values.to_numpy(zero_copy_only=False))


def _of_pandas(values: Any) -> NDArray[Any]:
    """NA is None here, and so NaN later; sparse and Arrow-backed columns are laid out."""
    array = np.asarray(values.to_numpy())
    return array if array.dtype.kind != "O" else array.copy()


def _of_list(values: Any) -> NDArray[Any]:
    """Lists of tensors are stacked, whatever each of them is."""
    if values and any(type(item).__module__.partition(".")[0] == "torch" for item in values):
        values = [as_array(item, "item") if hasattr(item, "detach") else item for item in values]
    if any(isinstance(item, np.ma.MaskedArray) for item in values):
        return np.stack([_taken_out(item) for item in values])
    if any(item is np.ma.masked for item in values):
        values = [None if item is np.ma.masked else item for item in values]
    return np.asarray(values)


def _numeric(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.dtype.kind in _NUMERIC else _from_objects(array.astype(object), "column")


def _from_objects(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Floats of Python objects, one by one: only what is a number, or missing, passes."""
    flat = np.empty(array.size)
    wide = max(1, array.size // max(1, len(array)))
    for place, item in enumerate(array.flat):
        if is_missing(item):
            flat[place] = np.nan
        elif isinstance(item, numbers.Real | Decimal | np.bool_):
            flat[place] = float(item)
        else:
            raise InputError(f"{name}: row {place // wide} holds {item!r}, not a number; {_GIVE}")
    return flat.reshape(array.shape)
