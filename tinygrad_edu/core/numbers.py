"""The form in which nodes hold numbers: a float, a float32 scalar, or an array nobody writes to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import float64, ndarray  # NumPy's module answers slowly where every node asks

from tinygrad_edu.core.operators import Operators
from tinygrad_edu.core.primitive import GradError, held_as, plain

FLOAT64 = np.dtype(float64)


def numbers(data: Any, what: str = "Value") -> Any:
    """`data` as this package holds numbers: a float, a float32 scalar or a frozen array of its own.

    Half precision is held as float32, which has every number of it.

    Raises TypeError for what is not real numbers: strings, None, objects, complex, masked arrays;
    and for longdouble, which float64 would round.
    """
    if type(data) is float:
        return data
    if type(data) is ndarray and data.dtype is FLOAT64 and data.ndim:
        array = data.copy()
        array.setflags(write=False)
        return array
    if isinstance(data, (bool, int)):
        try:
            return float(data)
        except OverflowError:
            raise GradError(f"{what}: the integer is too large for a float") from None
    array = _read(data, what)
    dtype = held_as(array.dtype, what) if array.dtype.kind == "f" else FLOAT64
    if not array.ndim:
        return float(array) if dtype == float64 else dtype.type(array)
    array = np.array(array, dtype=dtype, order="K", subok=False)
    array.setflags(write=False)
    return array


def _read(data: Any, what: str) -> np.ndarray[Any, Any]:
    """`data` as NumPy reads it; TypeError for what is not real numbers."""
    if isinstance(data, Operators):
        raise TypeError(
            f"{what}: that is a Value already. Use v.detach() for its numbers without the graph, "
            "+v for a node of its own"
        )
    if isinstance(data, (np.matrix, np.ma.MaskedArray)):
        raise TypeError(f"{what}: {type(data).__name__} is not supported; pass a plain ndarray")
    if isinstance(data, (str, bytes, dict, set, frozenset)) or data is None:
        raise TypeError(f"{what}: numbers are needed, not {data!r:.60}")
    try:
        array = np.asarray(data)
    except (ValueError, TypeError) as error:
        hint = ". To join Values, use tg.stack([…])" if "Value" in str(error) else ""
        raise TypeError(
            f"{what}: cannot read {type(data).__name__} as numbers: {error}{hint}"
        ) from None
    kind = array.dtype.kind
    if kind not in "fiub":
        raise TypeError(f"{what}: real numbers are needed, not an array of {array.dtype}")
    return array


def as_dtype_of(old: Any, new: Any) -> Any:
    """Numbers in the dtype of others: what belongs to float32 is float32."""
    dtype = np.asarray(old).dtype
    return new if np.asarray(new).dtype == dtype else numbers(np.asarray(new).astype(dtype))


def settled(z: Any) -> Any:
    """A result as a node keeps it: an array that cannot be written to, or a single number."""
    if type(z) is ndarray and z.ndim:
        z.setflags(write=False)
        return z
    return plain(z)
