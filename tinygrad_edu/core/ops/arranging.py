"""Arrays cut, repeated, turned and put together: each made of slices, reshapes and joins."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.ops.arithmetic import where
from tinygrad_edu.core.ops.orderings import along, whole_numbers
from tinygrad_edu.core.ops.reductions import sum
from tinygrad_edu.core.ops.shaping import (
    axis_number,
    broadcast_to,
    concatenate,
    expand_dims,
    moveaxis,
    ravel,
    reshape,
    scatter,
    swapaxes,
)
from tinygrad_edu.core.primitive import GradError, operand, own_errors, primitive, shape

__all__ = [
    "append", "array_split", "atleast_1d", "atleast_2d", "atleast_3d", "block", "broadcast_arrays",
    "column_stack", "delete", "diag", "diagflat", "diagonal", "dsplit", "dstack", "flip", "fliplr",
    "flipud", "hsplit", "pad", "repeat", "roll", "rot90", "split", "tile", "trace", "tril", "triu",
    "vsplit",
]  # fmt: skip


def _axes(name: str, axis: Any, ndim: int) -> list[int]:
    """The axes meant, counted from the front: one, several, or all."""
    if axis is None:
        return list(range(ndim))
    return [axis_number(name, a, ndim) for a in (axis if isinstance(axis, tuple) else (axis,))]


def _at_least(name: str, x: Any, ndim: int) -> Any:
    x = operand(x)
    if len(shape(x)) < ndim:
        raise GradError(f"{name}: {ndim} axes or more are needed, not shape {shape(x)}")
    return x


# --- cut --------------------------------------------------------------------------------------


@own_errors
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Parts along an axis: so many, as equal as can be, or cut at the places listed.

    >>> [part.tolist() for part in tg.array_split(np.arange(5.0), 2)]
    [[0.0, 1.0, 2.0], [3.0, 4.0]]
    """
    x = _at_least("array_split", ary, 1)
    axis = axis_number("array_split", axis, len(shape(x)))
    n = shape(x)[axis]
    if isinstance(indices_or_sections, (Sequence, np.ndarray)):
        cuts = [operator.index(i) for i in indices_or_sections]
    else:
        parts = operator.index(indices_or_sections)
        if parts < 1:
            raise GradError(f"array_split: there must be a part or more, not {parts}")
        lengths = [n // parts + (i < n % parts) for i in range(parts)]
        cuts = np.cumsum(lengths)[:-1].tolist()
    return [x[along(axis, slice(a, b))] for a, b in zip([0, *cuts], [*cuts, n], strict=True)]


@own_errors
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Equal parts along an axis, or parts cut at the places listed.

    Raises GradError where the parts would not be equal.

    >>> [part.tolist() for part in tg.split(np.arange(4.0), 2)]
    [[0.0, 1.0], [2.0, 3.0]]
    """
    if not isinstance(indices_or_sections, (Sequence, np.ndarray)):
        n = shape(ary)[axis_number("split", axis, len(shape(ary)))]
        if n % operator.index(indices_or_sections):
            raise GradError(
                f"split: length {n} has no {indices_or_sections} equal parts; array_split gives "
                "unequal ones"
            )
    return array_split(ary, indices_or_sections, axis)


@own_errors
def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """`split` of the rows.

    >>> [part.shape for part in tg.vsplit(np.zeros((4, 3)), 2)]
    [(2, 3), (2, 3)]
    """
    return split(_at_least("vsplit", ary, 2), indices_or_sections, 0)


@own_errors
def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """`split` of the columns; of a vector's entries.

    >>> [part.shape for part in tg.hsplit(np.zeros((3, 4)), [1])]
    [(3, 1), (3, 3)]
    """
    x = _at_least("hsplit", ary, 1)
    return split(x, indices_or_sections, 1 if len(shape(x)) > 1 else 0)


@own_errors
def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """`split` along the third axis.

    >>> [part.shape for part in tg.dsplit(np.zeros((3, 1, 4)), 2)]
    [(3, 1, 2), (3, 1, 2)]
    """
    return split(_at_least("dsplit", ary, 3), indices_or_sections, 2)


@own_errors
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    """Without the entries at some places along `axis`; without one, of all numbers in a row.

    >>> tg.delete(np.arange(4.0), [1, 2]).tolist()
    [0.0, 3.0]
    """
    x = operand(arr)
    if axis is None:
        x, axis = ravel(x), 0
    axis = axis_number("delete", axis, len(shape(x)))
    obj = obj if isinstance(obj, slice) else whole_numbers("delete", obj)
    return x[along(axis, np.delete(np.arange(shape(x)[axis]), obj))]


# --- repeated ---------------------------------------------------------------------------------


@own_errors
def tile(A: Any, reps: Any) -> Any:
    """The whole array again and again, so often along each axis.

    >>> tg.tile(np.array([1.0, 2.0]), 2).tolist()
    [1.0, 2.0, 1.0, 2.0]
    """
    x = operand(A)
    times = tuple(int(n) for n in np.atleast_1d(whole_numbers("tile", reps)))
    ndim = max(len(times), len(shape(x)))
    old = (1,) * (ndim - len(shape(x))) + shape(x)
    times = (1,) * (ndim - len(times)) + times
    apart = reshape(x, shape=tuple(k for n in old for k in (1, n)))
    again = broadcast_to(apart, shape=tuple(k for t, n in zip(times, old) for k in (t, n)))
    return reshape(again, shape=tuple(t * n for t, n in zip(times, old)))


@own_errors
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    """Each entry again and again along `axis`; without one, of all numbers in a row.

    >>> tg.repeat(np.array([1.0, 2.0]), 2).tolist()
    [1.0, 1.0, 2.0, 2.0]
    """
    x = operand(a)
    if axis is None:
        x, axis = ravel(x), 0
    axis, times = axis_number("repeat", axis, len(shape(x))), whole_numbers("repeat", repeats)
    old = shape(x)
    if times.ndim:
        if times.shape not in ((1,), (old[axis],)) or times.min(initial=0) < 0:
            raise GradError(f"repeat: {repeats!r:.60} does not say how often each of {old[axis]}")
        return x[along(axis, np.repeat(np.arange(old[axis]), times))]
    wide = (*old[: axis + 1], int(times), *old[axis + 1 :])
    again = broadcast_to(expand_dims(x, axis + 1), shape=wide)
    return reshape(again, shape=(*old[:axis], old[axis] * int(times), *old[axis + 1 :]))


#: How `pad` goes on beyond the edge, beside with a number: what it does to the places.
_BEYOND = ("edge", "reflect", "symmetric", "wrap")


@own_errors
def pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Any:
    """More entries before and after along each axis: zeros, another number, or what `mode` says.

    Raises GradError for a mode that is not constant, edge, reflect, symmetric or wrap.

    >>> tg.pad(np.array([1.0, 2.0]), (1, 2)).tolist()
    [0.0, 1.0, 2.0, 0.0, 0.0]
    """
    x = operand(array)
    old = shape(x)
    given = whole_numbers("pad", pad_width)
    try:
        widths = np.broadcast_to(given, (len(old), 2)).tolist()
    except ValueError:
        raise GradError(f"pad: {pad_width!r:.60} are no widths of shape {old}") from None
    if mode == "constant":
        inside = tuple(slice(a, a + n) for n, (a, _) in zip(old, widths))
        around = np.pad(np.zeros(old, bool), widths, constant_values=True)
        padded = scatter(x, index=inside, shape=around.shape)
        if not np.ndim(constant_values):
            number = float(constant_values)
            return where(around, number, padded) if number else padded
        raise GradError("pad: constant_values is one number; pad twice for two")
    if mode not in _BEYOND:
        raise GradError(f"pad: mode is 'constant' or one of {_BEYOND}, not {mode!r:.60}")
    options: dict[str, Any] = {"mode": mode}
    for axis, (n, width) in enumerate(zip(old, widths)):
        x = x[along(axis, np.pad(np.arange(n), width, **options))] if any(width) else x
    return x


# --- turned -----------------------------------------------------------------------------------


@own_errors
def flip(m: Any, axis: Any = None) -> Any:
    """Back to front along one axis, several, or all.

    >>> tg.flip(np.array([1.0, 2.0, 3.0])).tolist()
    [3.0, 2.0, 1.0]
    """
    x = operand(m)
    turned = _axes("flip", axis, len(shape(x)))
    return x[tuple(slice(None, None, -1 if a in turned else 1) for a in range(len(shape(x))))]


@own_errors
def flipud(m: Any) -> Any:
    """The rows back to front.

    >>> tg.flipud(np.array([[1.0], [2.0]])).tolist()
    [[2.0], [1.0]]
    """
    return flip(_at_least("flipud", m, 1), 0)


@own_errors
def fliplr(m: Any) -> Any:
    """The columns back to front.

    >>> tg.fliplr(np.array([[1.0, 2.0]])).tolist()
    [[2.0, 1.0]]
    """
    return flip(_at_least("fliplr", m, 2), 1)


@own_errors
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """Everything moved on along an axis; what leaves at the end comes in at the front.

    >>> tg.roll(np.array([1.0, 2.0, 3.0]), 1).tolist()
    [3.0, 1.0, 2.0]
    """
    x = operand(a)
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), shape=shape(x))
    axes, by = np.broadcast_arrays(axis, whole_numbers("roll", shift))
    for a, k in zip(axes.ravel().tolist(), by.ravel().tolist(), strict=True):
        along_axis = axis_number("roll", a, len(shape(x)))
        n = shape(x)[along_axis]
        cut = n - k % n if n else 0
        if cut != n:
            parts = [x[along(along_axis, slice(cut, n))], x[along(along_axis, slice(0, cut))]]
            x = concatenate(parts, axis=along_axis)
    return x


@own_errors
def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """A quarter turn from the first of two axes to the second, k times.

    >>> tg.rot90(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[2.0, 4.0], [1.0, 3.0]]
    """
    x = _at_least("rot90", m, 2)
    first, second = (axis_number("rot90", a, len(shape(x))) for a in axes)
    if first == second:
        raise GradError("rot90: a turn needs two different axes")
    turns = operator.index(k) % 4
    if turns == 0:
        return x
    if turns == 2:
        return flip(x, (first, second))
    return swapaxes(flip(x, second), first, second) if turns == 1 else flip(
        swapaxes(x, first, second), second
    )  # fmt: skip


# --- diagonals --------------------------------------------------------------------------------


def _places(n: int, m: int, offset: int) -> tuple[Any, Any]:
    """Rows and columns of a diagonal."""
    length = max(min(n + min(offset, 0), m - max(offset, 0)), 0)
    return np.arange(length) + max(-offset, 0), np.arange(length) + max(offset, 0)


@own_errors
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The entries whose two places are equal, or differ by `offset`; in the last axis.

    >>> tg.diagonal(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [1.0, 4.0]
    """
    x = _at_least("diagonal", a, 2)
    axes = operator.index(axis1), operator.index(axis2)
    if axes != (0, 1):
        x = moveaxis(x, axes, (0, 1))
    picked = x[_places(shape(x)[0], shape(x)[1], operator.index(offset))]
    return moveaxis(picked, 0, -1) if len(shape(x)) > 2 else picked


@own_errors
def diag(v: Any, k: int = 0) -> Any:
    """A matrix with a vector on its diagonal; of a matrix its diagonal.

    >>> tg.diag(np.array([1.0, 2.0])).tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    x = operand(v)
    if len(shape(x)) == 2:
        return diagonal(x, k)
    if len(shape(x)) != 1:
        raise GradError(f"diag: a vector or a matrix is needed, not shape {shape(x)}")
    n = shape(x)[0] + abs(operator.index(k))
    return scatter(x, index=_places(n, n, k), shape=(n, n))


@own_errors
def diagflat(v: Any, k: int = 0) -> Any:
    """A matrix with all numbers of v on its diagonal.

    >>> tg.diagflat(np.array([[1.0, 2.0]])).tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    return diag(ravel(operand(v)), k)


@own_errors
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of the diagonal.

    >>> tg.trace(np.array([[1.0, 2.0], [3.0, 4.0]]))
    5.0
    """
    return sum(diagonal(a, offset, axis1, axis2), axis=-1)


@primitive(
    lambda dz, z, x, *, k=0: tril(dz, k=k),
    shape=lambda old, *, k=0: old * 2 if len(old) == 1 else old,
    numpy="np.tril({0}, {k})", latex=r"\operatorname{{tril}}({0})",
    traits={"linear", "exact"},
)  # fmt: skip
def tril(x: Any, k: int = 0) -> Any:
    """The entries on and below a diagonal, 0 elsewhere.

    >>> tg.tril(np.ones((2, 2))).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    return np.tril(x, k)


@primitive(
    lambda dz, z, x, *, k=0: triu(dz, k=k),
    shape=lambda old, *, k=0: old * 2 if len(old) == 1 else old,
    numpy="np.triu({0}, {k})", latex=r"\operatorname{{triu}}({0})",
    traits={"linear", "exact"},
)  # fmt: skip
def triu(x: Any, k: int = 0) -> Any:
    """The entries on and above a diagonal, 0 elsewhere.

    >>> tg.triu(np.ones((2, 2))).tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    return np.triu(x, k)


# --- put together -----------------------------------------------------------------------------


def _with_axes(ndim: int, xs: tuple[Any, ...]) -> Any:
    """Each with as many axes at least, as NumPy puts them in; one alone, or all."""
    made = []
    for given in xs:
        x = operand(given)
        old = shape(x)
        if len(old) < ndim:
            new: tuple[int, ...] = (1,) * (ndim - len(old)) + old
            if ndim == 3 and len(old):
                new = (1, *old, 1) if len(old) == 1 else (*old, 1)
            x = reshape(x, shape=new)
        made.append(x)
    return made[0] if len(made) == 1 else tuple(made)


@own_errors
def atleast_1d(*arys: Any) -> Any:
    """A single number as a vector of one; other shapes as they are.

    >>> tg.atleast_1d(np.float64(2.0)).tolist()
    [2.0]
    """
    return _with_axes(1, arys)


@own_errors
def atleast_2d(*arys: Any) -> Any:
    """A vector as a row; matrices as they are.

    >>> tg.atleast_2d(np.array([1.0, 2.0])).shape
    (1, 2)
    """
    return _with_axes(2, arys)


@own_errors
def atleast_3d(*arys: Any) -> Any:
    """A vector as (1, n, 1), a matrix as (n, k, 1).

    >>> tg.atleast_3d(np.zeros((3, 2))).shape
    (3, 2, 1)
    """
    return _with_axes(3, arys)


@own_errors
def column_stack(tup: Any) -> Any:
    """Vectors as the columns of a matrix, matrices beside them.

    >>> tg.column_stack([np.array([1.0, 2.0]), np.array([3.0, 4.0])]).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    columns = [x if len(shape(x)) > 1 else reshape(operand(x), shape=(-1, 1)) for x in tup]
    return concatenate(columns, axis=1)


@own_errors
def dstack(tup: Any) -> Any:
    """Behind one another, along the third axis.

    >>> tg.dstack([np.zeros((3, 2)), np.zeros((3, 2))]).shape
    (3, 2, 2)
    """
    return concatenate([atleast_3d(x) for x in tup], axis=2)


@own_errors
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    """The second behind the first along `axis`; without one, all numbers in a row.

    >>> tg.append(np.array([1.0, 2.0]), 3.0).tolist()
    [1.0, 2.0, 3.0]
    """
    x, y = operand(arr), operand(values)
    if axis is None:
        x, y, axis = ravel(x), ravel(y), 0
    return concatenate([x, y], axis=axis)


@own_errors
def block(arrays: Any) -> Any:
    """An array put together of blocks in nested lists: the innermost lists are rows.

    >>> tg.block([[np.ones((1, 1)), np.zeros((1, 2))], [np.zeros((1, 3))]]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    depth = _depth(arrays)
    ndim = max([depth, *(len(shape(x)) for x in _blocks(arrays))])
    return _joined(arrays, depth, ndim)


def _depth(arrays: Any) -> int:
    return 1 + max(map(_depth, arrays), default=0) if isinstance(arrays, list) else 0


def _blocks(arrays: Any) -> list[Any]:
    if not isinstance(arrays, list):
        return [arrays]
    return [x for part in arrays for x in _blocks(part)]


def _joined(arrays: Any, depth: int, ndim: int) -> Any:
    if depth == 0:
        x = operand(arrays)
        return reshape(x, shape=(1,) * (ndim - len(shape(x))) + shape(x))
    return concatenate([_joined(x, depth - 1, ndim) for x in arrays], axis=ndim - depth)


@own_errors
def broadcast_arrays(*args: Any) -> tuple[Any, ...]:
    """All in the shape that they have together.

    Raises GradError where there is none.

    >>> [x.shape for x in tg.broadcast_arrays(np.zeros((2, 1)), np.zeros(3))]
    [(2, 3), (2, 3)]
    """
    given = [operand(x) for x in args]
    try:
        together = np.broadcast_shapes(*map(shape, given))
    except ValueError:
        shapes = " and ".join(str(shape(x)) for x in given)
        raise GradError(f"broadcast_arrays: no shape holds {shapes}") from None
    return tuple(broadcast_to(x, shape=together) for x in given)
