"""Operations that move numbers without changing them. Nothing but declarations."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_edu.core.primitive import (
    Each,
    GradError,
    GradIndexError,
    Shape,
    own_errors,
    primitive,
    shape,
)

__all__ = [
    "broadcast_to", "concatenate", "expand_dims", "hstack", "moveaxis", "ravel", "reshape",
    "squeeze", "stack", "swapaxes", "transpose", "vstack",
]  # fmt: skip

# NumPy's stubs know `reduce` with a literal keepdims only.
add_up: Any = np.add.reduce


def _reshaped(old: Shape, *, shape: Any) -> Shape:
    new = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if -1 in new:
        known = -math.prod(new)
        new = tuple(math.prod(old) // known if n == -1 and known else n for n in new)
    return tuple(int(n) for n in new)


@primitive(
    lambda dz, z, x, *, shape: reshape(dz, shape=_shape(x)),
    shape=_reshaped, numpy="{0}.reshape({shape})",
    latex=r"\operatorname{{reshape}}({0})",
    traits={"linear", "exact", "moves"},
)  # fmt: skip
def reshape(x: Any, shape: Any) -> Any:
    """The same numbers in another shape; one entry of it may be −1.

    >>> tg.reshape(np.arange(6.0), (2, 3)).shape
    (2, 3)
    """
    return np.reshape(x, shape)


_shape = shape  # in rules with an option called `shape`


def _permuted(old: Shape, *, axes: Any = None) -> Shape:
    return old[::-1] if axes is None else tuple(old[axis] for axis in axes)


def _inverse(axes: Any) -> Any:
    return (
        None if axes is None else tuple(int(i) for i in np.argsort([a % len(axes) for a in axes]))
    )


@primitive(
    lambda dz, z, x, *, axes=None: transpose(dz, axes=_inverse(axes)),
    shape=_permuted, symbol="ᵀ", numpy="{0}.T", latex=r"{0}^{{\top}}",
    traits={"linear", "exact", "moves"},
)  # fmt: skip
def transpose(x: Any, axes: Any = None) -> Any:
    """Axes reversed, or in the order of `axes`.

    >>> tg.transpose(np.zeros((2, 3))).shape
    (3, 2)
    """
    return np.transpose(x, axes)


def axis_number(name: str, axis: Any, ndim: int) -> int:
    """An axis counted from the front. Raises GradError where there is no such axis."""
    number = operator.index(axis)
    if not -ndim <= number < ndim:
        raise GradIndexError(f"{name}: there is no axis {number} among {ndim}")
    return number % ndim


@own_errors
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """``x`` with two of its axes exchanged.

    >>> tg.swapaxes(np.zeros((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    n = len(shape(x))
    axes = list(range(n))
    i, j = axis_number("swapaxes", axis1, n), axis_number("swapaxes", axis2, n)
    axes[i], axes[j] = j, i
    return transpose(x, axes=tuple(axes))


@own_errors
def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """``x`` with an axis, or several, moved to other places.

    Raises GradError where there are not as many places as axes.

    >>> tg.moveaxis(np.zeros((2, 3, 4)), 0, 2).shape
    (3, 4, 2)
    """
    n = len(shape(x))
    moved, places = (
        [axis_number("moveaxis", a, n) for a in (given if np.iterable(given) else (given,))]
        for given in (source, destination)
    )
    if len(set(moved)) != len(moved) or len(set(places)) != len(moved) or len(moved) > len(places):
        raise GradError(f"moveaxis: axes {source} have no places {destination} of their own each")
    axes = [axis for axis in range(n) if axis not in moved]
    for place, axis in sorted(zip(places, moved, strict=True)):
        axes.insert(place, axis)
    return transpose(x, axes=tuple(axes))


@own_errors
def expand_dims(x: Any, axis: int) -> Any:
    """``x`` with an axis of length 1 put in at `axis`.

    >>> tg.expand_dims(np.zeros(3), 0).shape
    (1, 3)
    """
    old = shape(x)
    at = axis_number("expand_dims", axis, len(old) + 1)
    return reshape(x, shape=(*old[:at], 1, *old[at:]))


@own_errors
def squeeze(x: Any, axis: Any = None) -> Any:
    """``x`` without its axes of length 1, or without those named in `axis`.

    >>> tg.squeeze(np.zeros((1, 3, 1))).shape
    (3,)
    """
    old = shape(x)
    if axis is None:
        return reshape(x, shape=tuple(n for n in old if n != 1))
    named = axis if isinstance(axis, tuple) else (axis,)
    drop = {axis_number("squeeze", a, len(old)) for a in named}
    if any(old[a] != 1 for a in drop):
        raise GradError(f"squeeze: axis {axis} of shape {old} is not of length 1")
    return reshape(x, shape=tuple(n for a, n in enumerate(old) if a not in drop))


def ravel(x: Any) -> Any:
    """All numbers of ``x`` in one row.

    >>> tg.ravel(np.zeros((2, 3))).shape
    (6,)
    """
    return reshape(x, shape=(math.prod(shape(x)),))


@primitive(
    lambda dz, z, x, *, shape: sum_to(dz, shape=_shape(x)),
    shape=lambda old, *, shape: tuple(shape), symbol="broadcast",
    numpy="np.broadcast_to({0}, {shape})", latex="{0}",
    traits={"linear", "exact", "moves"},
)  # fmt: skip
def broadcast_to(x: Any, shape: Any) -> Any:
    """``x`` repeated to a larger shape, as NumPy broadcasts.

    >>> tg.broadcast_to(2.0, (2, 3)).shape
    (2, 3)
    """
    x = np.asarray(x)
    if not x.ndim:  # np.broadcast_to is slow on what every mean and sum needs: one number, repeated
        return ndarray(shape, x.dtype, x, strides=(0,) * len(shape))
    return x if x.shape == shape else np.broadcast_to(x, shape)


@primitive(
    lambda dz, z, x, *, shape: broadcast_to(dz, shape=_shape(x)),
    shape=lambda old, *, shape: tuple(shape), symbol="Σ",
    numpy="np.sum({0}, axis={axis}, keepdims=True)", latex=r"\sum {0}",
    traits={"linear"},
)  # fmt: skip
def sum_to(x: Any, shape: Any) -> Any:
    """Broadcasting undone: ``x`` summed over the axes along which `shape` had been repeated.

    This is where ``db = np.sum(dZ, axis=1, keepdims=True)`` comes from: b (n, 1) was added to every
    one of the m columns of Z, so its gradient is the sum of theirs.

    >>> sum_to(np.ones((2, 3)), (2, 1)).tolist()
    [[3.0], [3.0]]
    """
    if type(x) is float:
        return x
    lead, kept = summed_axes(_shape(x), tuple(shape))
    if lead or kept:
        x = add_up(x, lead + kept, None, None, True)
    return x.reshape(shape) if lead else x


@functools.lru_cache(maxsize=4096)
def summed_axes(large: Shape, small: Shape) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of `large` that `small` lacks, and those where it has length 1."""
    extra = len(large) - len(small)
    if extra < 0 or any(n not in (1, m) for n, m in zip(small, large[extra:], strict=True)):
        raise ValueError(f"{large} is no shape that {small} broadcasts to")
    kept = tuple(i for i in range(extra, len(large)) if small[i - extra] == 1 and large[i] != 1)
    return tuple(range(extra)), kept


def _getitem_shape(old: Shape, *, index: Any) -> Shape:
    # Indexing an array without memory of its own (stride 0) costs nothing but the indices.
    return np.shape(np.broadcast_to(np.float64(0), old)[index])


def _is_basic(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is ... or isinstance(part, (int, slice)) for part in parts)


def _add_at(z: Any, x: Any, *, index: Any) -> None:
    if _is_basic(index):
        z[index] += x
    else:
        np.add.at(z, index, x)


@primitive(
    lambda dz, z, x, *, index: scatter(dz, index=index, shape=shape(x)),
    shape=_getitem_shape, add_into=_add_at,
    symbol="[ ]", numpy="{0}[{index}]", latex="{0}_{{[{index}]}}",
    traits={"linear", "exact", "moves"},
)  # fmt: skip
def getitem(x: Any, index: Any) -> Any:
    """``x[index]``: slices, integers, integer arrays (repeated indices accumulate), boolean masks.

    >>> getitem(np.arange(4.0), index=slice(1, 3)).tolist()
    [1.0, 2.0]
    """
    return (np.asarray(x) if type(x) is float else x)[index]


@primitive(
    lambda dz, z, x, *, index, shape: getitem(dz, index=index),
    shape=lambda old, *, index, shape: tuple(shape), symbol="scatter",
    latex=r"\operatorname{{scatter}}({0})",
    traits={"linear", "exact", "moves"},
)  # fmt: skip
def scatter(x: Any, index: Any, shape: Any) -> Any:
    """Zeros of `shape` with ``x`` added in at `index`: what indexing does, the other way round.

    >>> scatter(np.ones(3), index=np.array([0, 0, 1]), shape=(3,)).tolist()
    [2.0, 1.0, 0.0]
    """
    z = np.zeros(shape, np.result_type(x))
    _add_at(z, x, index=index)
    return z


def _parts(dz: Any, z: Any, *inputs: Any, axis: Any = 0) -> Iterator[Any]:
    """The part of `dz` that belongs to each input."""
    before = () if axis is None else (slice(None),) * (axis % len(shape(z)))
    stop = 0
    for x in inputs:
        old = shape(x)
        start, stop = stop, stop + (math.prod(old) if axis is None else old[axis])
        part = dz[(*before, slice(start, stop))]
        yield part if axis is not None else reshape(part, shape=old)


def _concatenated(*shapes: Shape, axis: Any = 0) -> Shape:
    if axis is None:
        return (sum(math.prod(s) for s in shapes),)
    axis %= len(shapes[0])
    return (*shapes[0][:axis], sum(s[axis] for s in shapes), *shapes[0][axis + 1 :])


@primitive(
    Each(_parts), shape=_concatenated, symbol="concat", latex=r"\operatorname{{concat}}({0})",
    traits={"linear", "exact", "moves"},
    called="concatenate",
)  # fmt: skip
def joined(*xs: Any, axis: Any = 0) -> Any:
    """The inputs one after another along an axis: see `concatenate`.

    >>> joined(np.zeros(2), np.zeros(3)).shape
    (5,)
    """
    return np.concatenate(xs, axis=axis)


@own_errors
def concatenate(xs: Any, axis: int | None = 0) -> Any:
    """A list of arrays or Values joined along an existing axis.

    >>> tg.concatenate([np.zeros((2, 3)), np.zeros((1, 3))]).shape
    (3, 3)
    """
    parts = _listed("concatenate", xs)
    axis = axis if axis is None else operator.index(axis)
    return joined(*_fitting("concatenate", parts, parts, axis), axis=axis)


@own_errors
def stack(xs: Any, axis: int = 0) -> Any:
    """A list of arrays or Values of one shape joined along a new axis.

    >>> tg.stack([np.zeros(3), np.zeros(3)]).shape
    (2, 3)
    """
    parts = _listed("stack", xs)
    if len({shape(x) for x in parts}) > 1:
        raise GradError(f"stack: {_told(parts)} must have one shape; tg.concatenate joins others")
    return joined(*(expand_dims(x, axis) for x in parts), axis=axis)


@own_errors
def vstack(xs: Any) -> Any:
    """Rows under one another.

    >>> tg.vstack([np.zeros(3), np.zeros((2, 3))]).shape
    (3, 3)
    """
    given = _listed("vstack", xs)
    rows = [reshape(x, shape=(1, -1)) if len(shape(x)) < 2 else x for x in given]
    return joined(*_fitting("vstack", given, rows, 0), axis=0)


@own_errors
def hstack(xs: Any) -> Any:
    """Columns beside one another; vectors end to end.

    >>> tg.hstack([np.zeros((3, 1)), np.zeros((3, 2))]).shape
    (3, 3)
    """
    given = _listed("hstack", xs)
    columns = [reshape(x, shape=(1,)) if shape(x) == () else x for x in given]
    axis = 0 if len(shape(columns[0])) == 1 else 1
    return joined(*_fitting("hstack", given, columns, axis), axis=axis)


def _listed(name: str, xs: Any) -> list[Any]:
    if not isinstance(xs, (list, tuple)):
        raise TypeError(
            f"{name}() takes a list or tuple of arrays, not {type(xs).__name__}: {name}([v, w])"
        )
    if not xs:
        raise GradError(f"{name}() needs at least one array")
    return list(xs)


def _fitting(name: str, given: list[Any], parts: list[Any], axis: int | None) -> list[Any]:
    """`parts`, made of what was given, whose shapes are the same but along `axis`."""
    if axis is not None:
        shapes = [shape(x) for x in parts]
        along = axis % (len(shapes[0]) or 1)
        if len({(len(old), old[:along], old[along + 1 :]) for old in shapes}) > 1:
            raise GradError(
                f"{name}: {_told(given)} do not fit: they may differ along axis {axis} only"
            )
    return parts


def _told(xs: list[Any]) -> str:
    """Names and shapes of the first few."""
    some = [f"{getattr(x, 'name', None) or f'number {i}'} {shape(x)}" for i, x in enumerate(xs[:5])]
    return " and ".join(some) + " …" * (len(xs) > 5)
