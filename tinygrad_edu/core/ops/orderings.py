"""Orders, differences, running products, averages: most of them put together of other operations.

Which number stands where is never taken from the numbers of one run: a recorded graph, a formula
and a compiled program sort anew.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from tinygrad_edu.core.ops.arithmetic import equal, where
from tinygrad_edu.core.ops.elementary import is_nan
from tinygrad_edu.core.ops.reductions import axes_of, max, mean, min, reduced_shape, spread, sum
from tinygrad_edu.core.ops.shaping import (
    axis_number,
    broadcast_to,
    concatenate,
    ravel,
    reshape,
    transpose,
)
from tinygrad_edu.core.primitive import (
    GradError,
    Shape,
    Traced,
    operand,
    own_errors,
    primitive,
    shape,
)

__all__ = [
    "amax", "amin", "average", "cumprod", "diff", "median", "nanmean", "nansum", "ptp", "sort",
    "take", "take_along_axis",
]  # fmt: skip

amax = max
amin = min


def along(axis: int, part: Any) -> tuple[Any, ...]:
    """The index that takes a part of one axis, and of those before it all."""
    return (*[slice(None)] * axis, part)


@primitive(
    None,
    shape=lambda old, *, axis: old, symbol="rank", latex=r"\operatorname{{rank}}({0})",
    numpy="np.argsort(np.argsort({0}, axis={axis}, kind='stable'), axis={axis})",
    traits={"axes", "kinked"},
)  # fmt: skip
def ranks(x: Any, *, axis: int) -> Any:
    """How many numbers come before each one along `axis` when they are sorted.

    >>> ranks(np.array([5.0, 2.0, 9.0]), axis=0).tolist()
    [1.0, 0.0, 2.0]
    """
    x = np.asarray(x)
    order = np.argsort(x, axis=axis, kind="stable")
    return np.argsort(order, axis=axis).astype(x.dtype if x.dtype.kind == "f" else float)


def _picked_shape(x: Shape, index: Shape, *, axis: int) -> Shape:
    axis %= len(x)
    rest = np.broadcast_shapes((*x[:axis], 1, *x[axis + 1 :]), index)
    return (*rest[:axis], index[axis], *rest[axis + 1 :])


@primitive(
    lambda dz, z, x, index, *, axis: placed_along(dz, index, axis=axis, n=shape(x)[axis]),
    None,
    shape=_picked_shape, symbol="[ ]",
    numpy="np.take_along_axis({0}, np.int64({1}), axis={axis})",
    latex=r"\operatorname{{take}}({0}, {1})", traits={"axes", "exact"},
    called="take_along_axis",
)  # fmt: skip
def picked_along(x: Any, index: Any, *, axis: int) -> Any:
    """Along `axis` the numbers at the places that `index` holds, row by row.

    Places are counted round: n is 0 again, so that formulas can be tried on any numbers.

    >>> picked_along(np.array([5.0, 2.0, 9.0]), np.array([2.0, 0.0]), axis=0).tolist()
    [9.0, 5.0]
    """
    x = np.asarray(x)
    return np.take_along_axis(x, np.asarray(index).astype(int) % x.shape[axis], axis)


def _placed_shape(x: Shape, index: Shape, *, axis: int, n: int) -> Shape:
    axis %= len(x)
    rest = np.broadcast_shapes(x, index)
    return (*rest[:axis], n, *rest[axis + 1 :])


@primitive(
    lambda dz, z, x, index, *, axis, n: picked_along(dz, index, axis=axis),
    None,
    shape=_placed_shape, symbol="place",
    numpy=(
        "np.moveaxis(np.sum(np.moveaxis({0}, {axis}, -1)[..., None] * "
        "(np.moveaxis(np.int64({1}), {axis}, -1)[..., None] == np.arange({n})), axis=-2), "
        "-1, {axis})"
    ),
    latex=r"\operatorname{{place}}({0}, {1})", traits={"axes"},
)  # fmt: skip
def placed_along(x: Any, index: Any, *, axis: int, n: int) -> Any:
    """Zeros, n along `axis`, with x added in at the places that `index` holds, row by row.

    >>> placed_along(np.array([9.0, 5.0]), np.array([2.0, 0.0]), axis=0, n=3).tolist()
    [5.0, 0.0, 9.0]
    """
    x, index = np.broadcast_arrays(x, np.asarray(index).astype(int) % n)
    z = np.zeros(_placed_shape(x.shape, index.shape, axis=axis, n=n), x.dtype)
    places: list[Any] = list(np.ogrid[tuple(slice(k) for k in x.shape)])
    places[axis] = index
    np.add.at(z, tuple(places), x)
    return z


def _unsorted(dz: Any, z: Any, x: Any, *, axis: Any = -1) -> Any:
    """Each gradient back to the place its number came from."""
    if axis is None:
        return reshape(picked_along(dz, ranks(ravel(x), axis=0), axis=0), shape=shape(x))
    return picked_along(dz, ranks(x, axis=axis), axis=axis)


@primitive(
    _unsorted,
    shape=lambda old, *, axis=-1: (math.prod(old),) if axis is None else old,
    numpy="np.sort({0}, axis={axis})", latex=r"\operatorname{{sort}}({0})",
    traits={"axes", "exact", "kinked"},
)  # fmt: skip
def sort(x: Any, axis: Any = -1) -> Any:
    """The numbers along `axis` in order, the smallest first; with ``axis=None`` all in one row.

    Each gradient goes back to where its number came from; of equal ones the first comes first.

    >>> tg.sort(np.array([5.0, 2.0, 9.0])).tolist()
    [2.0, 5.0, 9.0]
    """
    return np.sort(x, axis=axis)


def _middles(x: Any, axis: Any) -> Any:
    """One where a number is the median along its axes, two halves where two are; else 0."""
    old = shape(x)
    if not old:
        return equal(x, x)
    gone = axes_of(len(old), axis)
    kept = tuple(a for a in range(len(old)) if a not in gone)
    order, n = kept + gone, math.prod(old[a] for a in gone)
    moved = transpose(x, axes=order) if order != tuple(range(len(old))) else x
    flat = reshape(moved, shape=(*(old[a] for a in kept), n)) if len(gone) != 1 else moved
    rank = ranks(flat, axis=len(kept))
    middle = equal(rank, float(n // 2))
    if n % 2 == 0:
        middle = 0.5 * (equal(rank, n // 2 - 1.0) + middle)
    back = reshape(middle, shape=shape(moved)) if len(gone) != 1 else middle
    return (
        transpose(back, axes=tuple(int(i) for i in np.argsort(order))) if moved is not x else back
    )


@primitive(
    lambda dz, z, x, *, axis=None, keepdims=False: (
        spread(dz, x, axis, keepdims) * _middles(x, axis)
    ),
    shape=reduced_shape, numpy="np.median({0}{options})", latex=r"\operatorname{{median}}({0})",
    traits={"axes", "kinked"},
)  # fmt: skip
def median(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The number in the middle, or the mean of the two there: these alone get the gradient.

    >>> tg.median(np.array([5.0, 2.0, 9.0]))
    5.0
    """
    x = np.asarray(x)
    if axis == () or not x.size:
        return x + 0.0 if axis == () else np.full(reduced_shape(x.shape, axis=axis), np.nan)
    return np.median(x, axis=axis, keepdims=keepdims)


@own_errors
def ptp(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest number less the smallest ("peak to peak").

    >>> tg.ptp(np.array([5.0, 2.0, 9.0]))
    7.0
    """
    a = operand(a)
    return max(a, axis=axis, keepdims=keepdims) - min(a, axis=axis, keepdims=keepdims)


@own_errors
def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    """Each number less the one before it along `axis`, n times over.

    Raises GradError for a negative n.

    >>> tg.diff(np.array([1.0, 4.0, 9.0])).tolist()
    [3.0, 5.0]
    """
    x = operand(a)
    along_axis = axis_number("diff", axis, len(shape(x)))
    if operator.index(n) < 0:
        raise GradError(f"diff: n must not be negative, it is {n}")
    for _ in range(n):
        x = x[along(along_axis, slice(1, None))] - x[along(along_axis, slice(None, -1))]
    return x


@own_errors
def cumprod(a: Any, axis: Any = None) -> Any:
    """Running products along `axis`; without one, of all numbers in a row.

    By doubling: after k rounds each number is the product of the 2ᵏ up to its place. There is no
    division, so that zeros have right gradients of every order.

    >>> tg.cumprod(np.array([2.0, 3.0, 4.0])).tolist()
    [2.0, 6.0, 24.0]
    """
    x = operand(a)
    if axis is None:
        x, axis = ravel(x), 0
    axis, done = axis_number("cumprod", axis, len(shape(x))), 1
    while done < shape(x)[axis]:
        early, late = along(axis, slice(None, done)), along(axis, slice(done, None))
        before = along(axis, slice(None, shape(x)[axis] - done))
        x, done = concatenate([x[early], x[late] * x[before]], axis=axis), 2 * done
    return x if done > 1 else +x


@own_errors
def take(a: Any, indices: Any, axis: Any = None) -> Any:
    """The entries at whole-number places along `axis`; without one, of all numbers in a row.

    >>> tg.take(np.array([5.0, 2.0, 9.0]), [2, 0, 2]).tolist()
    [9.0, 5.0, 9.0]
    """
    x = operand(a)
    if axis is None:
        x, axis = ravel(x), 0
    return x[along(axis_number("take", axis, len(shape(x))), whole_numbers("take", indices))]


def whole_numbers(name: str, indices: Any) -> Any:
    """Indices as whole numbers. Raises TypeError for what is none."""
    if isinstance(indices, Traced):
        raise TypeError(
            f"{name}: indices are plain whole numbers: of a Value use .data.astype(int)"
        )
    given = np.asarray(indices)
    if given.dtype.kind not in "iu" and not (given.dtype.kind == "f" and np.all(given % 1 == 0)):
        raise TypeError(f"{name}: indices are whole numbers, not {indices!r:.60}")
    return given.astype(int)


@own_errors
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    """Along `axis` the entries at places of their own for each row, as `np.argsort` gives them.

    >>> x = np.array([[5.0, 2.0], [7.0, 9.0]])
    >>> tg.take_along_axis(x, np.array([[1], [0]]), axis=1).tolist()
    [[2.0], [7.0]]
    """
    x = operand(arr)
    if axis is None:
        x, axis = ravel(x), 0
    axis = axis_number("take_along_axis", axis, len(shape(x)))
    at = whole_numbers("take_along_axis", indices)
    n = shape(x)[axis]
    if at.ndim != len(shape(x)) or np.any((at < -n) | (at >= n)):
        raise GradError(
            f"take_along_axis: indices of shape {at.shape} up to {at.max(initial=0)} do not fit "
            f"axis {axis} of shape {shape(x)}"
        )
    return picked_along(x, np.where(at < 0, at + n, at), axis=axis)


@own_errors
def average(a: Any, axis: Any = None, weights: Any = None, keepdims: bool = False) -> Any:
    """The mean, each number counted by its weight: ``Σ w a / Σ w``.

    `weights` have the shape of `a`, or of its one axis named.

    Raises GradError for weights of another shape.

    >>> tg.average(np.array([1.0, 4.0]), weights=[2, 1])
    2.0
    """
    x = operand(a)
    if weights is None:
        return mean(x, axis=axis, keepdims=keepdims)
    w, old = operand(weights), shape(x)
    if shape(w) != old:
        if not isinstance(axis, int) or shape(w) != (old[axis],):
            raise GradError(
                f"average: weights of shape {shape(w)} for numbers of shape {old}: give as many, "
                "or axis= and one for each place along it"
            )
        w = reshape(w, shape=(-1, *[1] * (len(old) - 1 - axis % len(old))))
    total = sum(x * w, axis=axis, keepdims=keepdims)
    return total / sum(broadcast_to(w, shape=old), axis=axis, keepdims=keepdims)


@own_errors
def nansum(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The sum of those that are numbers; what is not gets no gradient.

    >>> tg.nansum(np.array([1.0, np.nan, 3.0]))
    4.0
    """
    x = operand(a)
    return sum(where(is_nan(x), 0.0, x), axis=axis, keepdims=keepdims)


@own_errors
def nanmean(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The mean of those that are numbers; what is not gets no gradient.

    >>> tg.nanmean(np.array([1.0, np.nan, 3.0]))
    2.0
    """
    x = operand(a)
    return nansum(x, axis, keepdims) / sum(1.0 - is_nan(x), axis=axis, keepdims=keepdims)
