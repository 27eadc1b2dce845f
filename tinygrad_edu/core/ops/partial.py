"""Reductions of some of the numbers, norms of other orders, and limits that have gradients: what
NumPy's `where=`, `initial=`, `correction=` and `ord=` mean, and Values as limits of `clip`.

Each is a composition of the operation with all its numbers and a choice by the mask; the operation
hands over what it has no option for (`Primitive.general`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.core.ops import arithmetic, elementwise, reductions
from tinygrad_edu.core.ops.shaping import axis_number, broadcast_to, expand_dims, moveaxis
from tinygrad_edu.core.primitive import GradError, Traced, operand, shape


def _taken(x: Any, mask: Any, instead: float) -> Any:
    """`x` where a mask is, another number elsewhere; all of it for True."""
    if mask is True:
        return x
    try:
        fits = np.broadcast_shapes(shape(mask), shape(x)) == shape(x)
    except ValueError:
        fits = False
    if not fits:
        raise GradError(f"where= of shape {shape(mask)} is no mask of shape {shape(x)}")
    return arithmetic.where(mask, x, instead)


def _how_many(x: Any, axis: Any, keepdims: bool, mask: Any) -> Any:
    """How many numbers a mask takes, for each number of the reduction over `axis`."""
    if mask is True:
        return reductions.count(x, axis)
    given = mask if isinstance(mask, Traced) else np.not_equal(mask, 0)
    ones = arithmetic.where(broadcast_to(given, shape=shape(x)), 0.0 * x + 1.0, 0.0)
    return reductions.sum(ones, axis=axis, keepdims=keepdims)


def sum_of_some(
    x: Any, axis: Any = None, keepdims: bool = False, where: Any = True, initial: Any = None
) -> Any:
    """`reductions.sum` of those that a mask takes, and of a number to begin with.

    >>> sum_of_some(np.array([1.0, 2.0, 4.0]), where=[True, False, True], initial=10.0)
    15.0
    """
    x = operand(x)
    total = reductions.sum(_taken(x, where, 0.0), axis=axis, keepdims=keepdims)
    return total if initial is None else total + initial


def mean_of_some(x: Any, axis: Any = None, keepdims: bool = False, where: Any = True) -> Any:
    """`reductions.mean` of those that a mask takes.

    >>> mean_of_some(np.array([1.0, 2.0, 5.0]), where=[True, False, True])
    3.0
    """
    x = operand(x)
    total = sum_of_some(x, axis, keepdims, where)
    return total / _how_many(x, axis, keepdims, where)


def prod_of_some(
    x: Any, axis: Any = None, keepdims: bool = False, where: Any = True, initial: Any = None
) -> Any:
    """`reductions.prod` of those that a mask takes, and of a number to begin with.

    >>> prod_of_some(np.array([3.0, 2.0, 5.0]), where=[True, False, True])
    15.0
    """
    product = reductions.prod(_taken(operand(x), where, 1.0), axis=axis, keepdims=keepdims)
    return product if initial is None else product * initial


def _extreme_of_some(
    name: str, last: float, x: Any, axis: Any, keepdims: bool, where: Any, initial: Any
) -> Any:
    x = operand(x)
    if initial is None:
        raise GradError(f"{name}: with where= give initial= too, in case the mask takes nothing")
    if not reductions.count(x, axis):
        return reductions.sum(x, axis=axis, keepdims=keepdims) + initial
    extreme, of_two = getattr(reductions, name), getattr(arithmetic, f"{name}imum")
    return of_two(extreme(_taken(x, where, last), axis=axis, keepdims=keepdims), initial)


def max_of_some(
    x: Any, axis: Any = None, keepdims: bool = False, where: Any = True, initial: Any = None
) -> Any:
    """`reductions.max` of those that a mask takes, and of a number to begin with.

    Raises GradError for a mask without `initial`.

    >>> max_of_some(np.array([1.0, 7.0, 5.0]), where=[True, False, True], initial=2.0)
    5.0
    """
    return _extreme_of_some("max", -math.inf, x, axis, keepdims, where, initial)


def min_of_some(
    x: Any, axis: Any = None, keepdims: bool = False, where: Any = True, initial: Any = None
) -> Any:
    """`reductions.min` of those that a mask takes, and of a number to begin with.

    Raises GradError for a mask without `initial`.

    >>> min_of_some(np.array([1.0, 7.0, 5.0]), where=[False, True, True], initial=6.0)
    5.0
    """
    return _extreme_of_some("min", math.inf, x, axis, keepdims, where, initial)


def _less(ddof: Any, correction: Any) -> Any:
    """What is taken from the number of numbers; `correction` is what newer NumPy calls `ddof`."""
    if correction is not None and ddof:
        raise TypeError("ddof= and correction= are the same number: give one of them")
    return ddof if correction is None else correction


def var_of_some(
    x: Any, axis: Any = None, keepdims: bool = False, ddof: Any = 0, correction: Any = None,
    where: Any = True,
) -> Any:  # fmt: skip
    """`reductions.var` of those that a mask takes.

    >>> var_of_some(np.array([1.0, 7.0, 3.0]), correction=1, where=[True, False, True])
    2.0
    """
    less = _less(ddof, correction)
    if where is True:
        return reductions.var(x, axis=axis, keepdims=keepdims, ddof=less)
    x = operand(x)
    apart = _taken(x - mean_of_some(x, axis, True, where), where, 0.0)
    squares = reductions.sum(apart * apart, axis=axis, keepdims=keepdims)
    return squares / (_how_many(x, axis, keepdims, where) - less)


def std_of_some(
    x: Any, axis: Any = None, keepdims: bool = False, ddof: Any = 0, correction: Any = None,
    where: Any = True,
) -> Any:  # fmt: skip
    """`reductions.std` of those that a mask takes.

    >>> std_of_some(np.array([1.0, 7.0, 5.0]), where=[True, False, True])
    2.0
    """
    less = _less(ddof, correction)
    if where is True:
        return reductions.std(x, axis=axis, keepdims=keepdims, ddof=less)
    x = operand(x)
    apart = _taken(x - mean_of_some(x, axis, True, where), where, 0.0)
    length = reductions.norm(apart, axis=axis, keepdims=keepdims)
    return length / elementwise.sqrt(_how_many(x, axis, keepdims, where) - less)


def clip_to_values(x: Any, min: Any = None, max: Any = None) -> Any:
    """`elementwise.clip` to limits that have gradients: what is beyond one goes with that limit.

    >>> clip_to_values(np.array([1.0, 7.0]), None, 5.0).tolist()
    [1.0, 5.0]
    """
    z = operand(x)
    if min is not None:
        z = arithmetic.where(arithmetic.less(z, min), min, z)
    if max is not None:
        z = arithmetic.where(arithmetic.greater(z, max), max, z)
    return z


def norm_of_order(x: Any, axis: Any = None, keepdims: bool = False, ord: Any = None) -> Any:
    """`reductions.norm` of another order, as NumPy numbers them.

    Of vectors: 1, 2, ``inf``, ``-inf``, 0 (how many are not 0), or any p, ``(Σ|x|ᵖ)^(1/p)``. Of
    matrices, two axes: ``"fro"``, ``"nuc"``, 1, 2, ``inf`` and their negatives.

    Raises GradError for an order that there is not.

    >>> [norm_of_order(np.array([3.0, -4.0]), ord=n) for n in (1, 2, math.inf)]
    [7.0, 5.0, 4.0]
    """
    x = operand(x)
    ndim = len(shape(x))
    if ord is None:
        return reductions.norm(x, axis=axis, keepdims=keepdims)
    axes = tuple(range(ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(axis_number("norm", a, ndim) for a in axes)
    if len(axes) == 1:
        return _vector_norm(x, ord, axes[0], keepdims)
    if len(axes) == 2:
        z = _matrix_norm(moveaxis(x, axes, (-2, -1)), ord)
        for a in sorted(axes) if keepdims else ():
            z = expand_dims(z, a)
        return z
    raise GradError(f"norm: ord={ord!r} is of vectors and matrices, one axis or two, not {axes}")


def _vector_norm(x: Any, ord: Any, axis: int, keepdims: bool) -> Any:
    if isinstance(ord, str):
        raise GradError(f"norm: of vectors there is no ord={ord!r}; give axis= of a matrix's two")
    if ord == 2:
        return reductions.norm(x, axis=axis, keepdims=keepdims)
    if ord == 0:
        return reductions.sum(arithmetic.not_equal(x, 0.0), axis=axis, keepdims=keepdims)
    sizes = elementwise.absolute(x)
    if math.isinf(ord):
        return (reductions.max if ord > 0 else reductions.min)(sizes, axis=axis, keepdims=keepdims)
    if ord == -1:  # a quotient is one number for arrays and Values; a power may round apart
        return 1.0 / reductions.sum(1.0 / sizes, axis=axis, keepdims=keepdims)
    total = reductions.sum(sizes if ord == 1 else sizes**ord, axis=axis, keepdims=keepdims)
    return total if ord == 1 else total ** (1.0 / ord)


def _matrix_norm(x: Any, ord: Any) -> Any:
    """Over the last two axes."""
    from tinygrad_edu.core.ops.factors import svdvals

    if ord == "fro":
        return reductions.norm(x, axis=(-2, -1))
    if ord == "nuc":
        return reductions.sum(svdvals(x), axis=-1)
    if ord not in (1, -1, 2, -2, math.inf, -math.inf):
        raise GradError(f"norm: of matrices there is no ord={ord!r}")
    if abs(ord) == 2:
        values = svdvals(x)
    else:
        values = reductions.sum(elementwise.absolute(x), axis=-2 if abs(ord) == 1 else -1)
    return (reductions.max if ord > 0 else reductions.min)(values, axis=-1)


reductions.sum.general = sum_of_some
reductions.mean.general = mean_of_some
reductions.prod.general = prod_of_some
reductions.max.general = max_of_some
reductions.min.general = min_of_some
reductions.var.general = var_of_some
reductions.std.general = std_of_some
reductions.norm.general = norm_of_order
elementwise.clip.general = clip_to_values
