"""Options of operations as nobody can change them: plain numbers, tuples and slices, own arrays.

A graph computes with an option twice, forward and backward. Whatever is handed in, however deep
something that can be changed is hidden in it, is made plain here before it is first used.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

#: Options that are whole numbers, or several.
_WHOLE = frozenset({"axis", "axes", "shape"})
#: Options that may be arrays.
LIMITS = frozenset({"min", "max"})


class Described:
    """A whole number, or an array of them, that knows how it is written: an index stays that."""

    __slots__ = ()


def owned(op: str, key: str, option: Any) -> Any:
    """What stands for an option from here on.

    Raises TypeError, which names the operation and the option, for what cannot be one; for a Value
    too, as no gradient would flow to it.

    >>> owned("getitem", "index", (slice(np.array(1), np.int64(3)), True))
    (slice(1, 3, None), True)
    """
    make: Callable[[Any], Any] = _number_or_more
    wanted, what = "plain numbers", f"{op}: {key}="
    if key == "index":
        make, wanted, what = own_index, "whole numbers, slices, masks and arrays of these", "[…]"
    elif key in _WHOLE:
        make, wanted = whole, "a whole number or a tuple of them"
    elif key in LIMITS:
        make, wanted = _limit, "plain numbers or an array of them"
    try:
        return make(option)
    except (TypeError, ValueError):
        raise TypeError(f"{what} takes {wanted}, not {_described(option)}") from None


def _described(option: Any) -> str:
    """An option in an error; of what has a gradient also what to give instead."""
    if hasattr(option, "requires_grad"):
        return (
            f"a {type(option).__name__} of shape {option.shape}: no gradient would flow to it. For "
            "its numbers use .data, .data.astype(int), or a mask (v > 0)"
        )
    if isinstance(option, (list, tuple)) and any(hasattr(x, "requires_grad") for x in option):
        return ", ".join(map(_described, option))
    return f"{option!r:.60}"


def whole(n: Any) -> Any:
    """None, a Python integer, or a tuple of them."""
    if n is None or type(n) is int:
        return n
    if isinstance(n, (bool, str, bytes)):
        raise TypeError
    try:
        return _integer(n)
    except TypeError:
        return tuple([_integer(part) for part in n])


def _integer(n: Any) -> int:
    """A Python integer; one of a kind of its own, a length that knows its name, stays that."""
    return n if isinstance(n, int) and type(n) is not bool else int(operator.index(n))


def own_index(index: Any) -> Any:
    """An index: whole numbers, slices, None, ``...``, arrays, or a tuple of such."""
    if index is None or index is ... or type(index) in (bool, int):
        return index
    if isinstance(index, Described):
        return index
    if isinstance(index, tuple):
        return tuple([own_index(part) for part in index])
    if isinstance(index, slice):
        return slice(whole(index.start), whole(index.stop), whole(index.step))
    if isinstance(index, (str, bytes, float)):
        return index  # NumPy says what is wrong with it
    if not isinstance(index, (ndarray, list, np.bool_)):
        try:
            return int(operator.index(index))
        except TypeError:
            pass  # several, in whatever holds them: a buffer, another library's array
    array = _array(index)
    return array.astype(int) if not array.size and array.dtype.kind == "f" else _plain(array)


def _limit(x: Any) -> Any:
    if x is None or type(x) in (int, float):
        return x
    array = _array(x)
    if array.dtype.kind not in "fiub":
        raise TypeError
    return _plain(array)


def _number_or_more(x: Any) -> Any:
    """A number, or a tuple of what cannot be changed."""
    if x is None or type(x) in (bool, int, float):
        return x
    if isinstance(x, tuple):
        return tuple([part if isinstance(part, str) else own_index(part) for part in x])
    number = _plain(_array(x))
    if isinstance(number, ndarray):
        raise TypeError
    return number


def _array(x: Any) -> Any:
    array = np.array(x)
    array.setflags(write=False)
    return array


def _plain(array: Any) -> Any:
    """An array; of no dimension, the number in it as Python's own."""
    if array.ndim or array.dtype.kind not in "fiub":
        return array
    return {"b": bool, "f": float}.get(array.dtype.kind, int)(array)
