"""Sums, means, extremes and their kin over axes. Nothing but declarations."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from tinygrad_edu.core.ops.arithmetic import equal, where
from tinygrad_edu.core.ops.elementwise import digits_lost, divide_or_zero, exp, expm1, log, sqrt
from tinygrad_edu.core.ops.shaping import add_up, joined, reshape, transpose
from tinygrad_edu.core.primitive import GradError, Shape, primitive, shape

__all__ = [
    "cumsum", "log_softmax", "logsumexp", "max", "mean", "min", "norm", "prod", "softmax", "std",
    "sum", "var",
]  # fmt: skip


def axes_of(ndim: int, axis: Any) -> tuple[int, ...]:
    """`axis` as NumPy takes it (None, one, several, negative) as a tuple of axis numbers."""
    if axis is None or not ndim:  # NumPy lets a single number be reduced over axis 0
        return tuple(range(ndim))
    return tuple(sorted(a % ndim for a in (axis if isinstance(axis, tuple) else (axis,))))


def reduced_shape(old: Shape, *, axis: Any = None, keepdims: bool = False, **_: Any) -> Shape:
    """The shape left when `axis` is reduced away, or kept with length 1."""
    if type(axis) is int and old:
        axis %= len(old)
        return old[:axis] + ((1,) if keepdims else ()) + old[axis + 1 :]
    gone = axes_of(len(old), axis)
    return tuple(1 if a in gone else n for a, n in enumerate(old) if keepdims or a not in gone)


def spread(reduced: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """A reduced result with its lost axes back as length 1, so that it broadcasts against `x`."""
    if keepdims or axis is None or type(reduced) is float:
        return reduced
    return reduced.reshape(reduced_shape(shape(x), axis=axis, keepdims=True))


def _twice_over(n: int) -> float:
    """2 / n, infinite where no degree of freedom is left, as NumPy's var and std are."""
    return 2.0 * n**-1 if n > 0 else math.inf  # in this form a named length stays named


def count(x: Any, axis: Any) -> int:
    """How many numbers of `x` go into one number of its reduction over `axis`."""
    old = shape(x)
    if axis is None:
        return math.prod(old)
    return math.prod([old[a] for a in axes_of(len(old), axis)])


@primitive(
    lambda dz, z, x, *, axis=None, keepdims=False: spread(dz, x, axis, keepdims),
    shape=reduced_shape, symbol="Σ", numpy="np.sum({0}{options})", latex=r"\sum {0}",
    traits={"linear", "axes", "cancels"},
)  # fmt: skip
def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The sum over all axes, or those in `axis`: every number summed gets the gradient of the sum.

    >>> tg.sum(np.ones((2, 3)), axis=1).tolist()
    [3.0, 3.0]
    """
    return add_up(x, axis, None, None, keepdims)


@primitive(
    lambda dz, z, x, *, axis=None, keepdims=False: (
        spread(dz, x, axis, keepdims) / count(x, axis)
    ),
    shape=reduced_shape, numpy="np.mean({0}{options})", latex=r"\operatorname{{mean}}({0})",
    definition=lambda x, *, axis=None, keepdims=False: (
        sum(x, axis=axis, keepdims=keepdims) / count(x, axis)
    ),
    traits={"linear", "axes", "cancels"},
)  # fmt: skip
def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The sum divided by how many numbers were summed; nan for none.

    >>> tg.mean(np.array([1.0, 2.0, 6.0]))
    3.0
    """
    return add_up(x, axis, None, None, keepdims) / count(x, axis)


def _ties(dz: Any, z: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The gradient of an extreme, shared evenly by the elements that attain it."""
    attained = equal(x, spread(z, x, axis, keepdims))
    ties = sum(attained, axis=axis, keepdims=True)
    return (
        spread(dz, x, axis, keepdims) * attained / (ties if axis is not None else reshape(ties, ()))
    )


@primitive(
    _ties, shape=reduced_shape, numpy="np.max({0}{options})", latex=r"\max {0}",
    traits={"kinked", "exact", "axes"},
)  # fmt: skip
def max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest number; ties share the gradient evenly.

    >>> tg.max(np.array([2.0, 5.0, 5.0]))
    5.0
    """
    return np.max(x, axis=axis, keepdims=keepdims)


@primitive(
    _ties, shape=reduced_shape, numpy="np.min({0}{options})", latex=r"\min {0}",
    traits={"kinked", "exact", "axes"},
)  # fmt: skip
def min(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The smallest number; ties share the gradient evenly.

    >>> tg.min(np.array([2.0, 5.0, 5.0]))
    2.0
    """
    return np.min(x, axis=axis, keepdims=keepdims)


def _cut(x: Any, axis: int, at: int) -> tuple[Any, Any]:
    """The places before and from `at` along an axis."""
    before = (slice(None),) * (axis % len(shape(x)))
    return x[(*before, slice(0, at))], x[(*before, slice(at, shape(x)[axis]))]


def _d_others(dz: Any, x: Any, axis: int) -> Any:
    """In pairs, as the operation itself; one that is left over is a factor of all the others."""
    n = shape(x)[axis]
    if n < 2:
        return dz * x * 0.0
    if n % 2:
        (x, last), (dz, d_last) = _cut(x, axis, n - 1), _cut(dz, axis, n - 1)
        others = prod_of_others(x, axis=axis)
        through = sum(dz * others, axis=axis, keepdims=True)
        return joined(_d_others(dz * last, x, axis) + d_last * others, through, axis=axis)
    (left, right), (d_left, d_right) = _cut(x, axis, n // 2), _cut(dz, axis, n // 2)
    pairs = left * right
    others = prod_of_others(pairs, axis=axis)
    d_pairs = _d_others(d_left * right + d_right * left, pairs, axis)
    return joined(d_right * others + d_pairs * right, d_left * others + d_pairs * left, axis=axis)


@primitive(
    lambda dz, z, x, *, axis: _d_others(dz, x, axis),
    shape=lambda old, *, axis: old, latex=r"\textstyle\prod_{{\ne i}} {0}",
    definition=lambda x, *, axis: prod(x, axis=axis, keepdims=True) / x,
    spelling=lambda x, *, axis: (
        prod(where(equal(x, 0.0), 1.0, x), axis=axis, keepdims=True)
        / where(equal(x, 0.0), 1.0, x)
        * equal(sum(equal(x, 0.0), axis=axis, keepdims=True), equal(x, 0.0))
    ),
    traits={"axes"},
)  # fmt: skip
def prod_of_others(x: Any, *, axis: int) -> Any:
    """At each place along `axis` the product of all other places, right with zeros at every order.

    >>> prod_of_others(np.array([2.0, 0.0, 4.0]), axis=0).tolist()
    [0.0, 8.0, 0.0]
    """
    fraction, power = np.frexp(x)
    return np.ldexp(*_others(fraction, power, axis))


def _others(x: Any, power: Any, axis: int) -> tuple[Any, Any]:
    """`prod_of_others` of ``x · 2^power``, as such a pair: no product leaves the range of floats
    on its way to one that is inside it."""
    n = shape(x)[axis]
    if n < 2:
        return np.ones(shape(x), x.dtype), np.zeros(shape(x), power.dtype)
    # In pairs: the others of one are its partner and all other pairs, which are half as many.
    (x, last), (power, last_power) = _cut(x, axis, n - n % 2), _cut(power, axis, n - n % 2)
    (left, right), (left_power, right_power) = _cut(x, axis, n // 2), _cut(power, axis, n // 2)
    pairs, more = np.frexp(left * right)
    pair_power = left_power + right_power + more
    others, other_power = _others(pairs, pair_power, axis)
    found = np.concatenate([others * right, others * left], axis=axis)
    found_power = np.concatenate([other_power + right_power, other_power + left_power], axis=axis)
    if n % 2:  # one is left over: a factor of all others, and its own others are all of them
        whole = _cut(others * pairs, axis, 1)[0]
        whole_power = _cut(other_power + pair_power, axis, 1)[0]
        found = np.concatenate([found * last, whole], axis=axis)
        found_power = np.concatenate([found_power + last_power, whole_power], axis=axis)
    return found, found_power


def _d_prod(dz: Any, z: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    old, gone = shape(x), axes_of(len(shape(x)), axis)
    if 0 in old or not old:
        return spread(dz, x, axis, keepdims) * (x * 0.0 + 1.0)
    others = x
    if len(gone) == 1:
        others = prod_of_others(x, axis=gone[0])
    else:  # bring the reduced axes together into one, and back
        kept = tuple(a for a in range(len(old)) if a not in gone)
        order = kept + gone
        moved = transpose(x, axes=order)
        flat = reshape(moved, shape=(*(old[a] for a in kept), count(x, axis)))
        others = reshape(prod_of_others(flat, axis=len(kept)), shape=shape(moved))
        others = transpose(others, axes=tuple(int(i) for i in np.argsort(order)))
    return spread(dz, x, axis, keepdims) * others


@primitive(
    _d_prod, shape=reduced_shape, symbol="Π", numpy="np.prod({0}{options})", latex=r"\prod {0}",
    traits={"axes"},
)  # fmt: skip
def prod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The product; the gradient of each factor is the product of the others, zeros included.

    >>> tg.prod(np.array([2.0, 3.0, 4.0]))
    24.0
    """
    return np.prod(x, axis=axis, keepdims=keepdims)


@primitive(
    lambda dz, z, x, *, axis=None: centred(dz, axis=axis),
    shape=lambda old, *, axis=None: old, latex=r"\left({0} - \bar{{{0}}}\right)",
    definition=lambda x, *, axis=None: (
        x - (mean(x) if axis is None else mean(x, axis=axis, keepdims=True))
    ),
    traits={"linear", "axes", "opened"},
)  # fmt: skip
def centred(x: Any, axis: Any = None) -> Any:
    """``x`` less its mean along `axis`: exactly 0 where all numbers are equal.

    >>> centred(np.array([0.1, 0.1, 0.1])).tolist()
    [0.0, 0.0, 0.0]
    """
    x = np.asarray(x)
    if not x.size:
        return x + 0.0
    along = axes_of(x.ndim, axis)
    # A mean of what is left of the first number: a mean of equal numbers may round.
    shifted = x - x[tuple(slice(0, 1) if a in along else slice(None) for a in range(x.ndim))]
    return shifted - add_up(shifted, axis=along, keepdims=True) / count(x, axis)


@primitive(
    lambda dz, z, x, *, axis=None, keepdims=False, ddof=0: (
        spread(dz, x, axis, keepdims) * centred(x, axis=axis) * _twice_over(count(x, axis) - ddof)
    ),
    shape=reduced_shape, numpy="np.var({0}{options})", latex=r"\operatorname{{var}}({0})",
    definition=lambda x, *, axis=None, keepdims=False, ddof=0: (
        sum(centred(x, axis=axis) ** 2, axis=axis, keepdims=keepdims) / (count(x, axis) - ddof)
    ),
    traits={"axes", "cancels"},
)  # fmt: skip
def var(x: Any, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Any:
    """The mean squared distance from the mean; divided by n − ddof, n of them.

    >>> tg.var(np.array([1.0, 3.0]))
    1.0
    """
    squares = np.square(centred.forward(x, axis=axis))
    total = np.asarray(add_up(squares, axis=axes_of(np.ndim(x), axis), keepdims=keepdims))
    return np.divide(total, total.dtype.type(builtins.max(count(x, axis) - ddof, 0)))


@primitive(
    lambda dz, z, x, *, axis=None, keepdims=False, ddof=0: (
        spread(dz, x, axis, keepdims) * divide_or_zero(
            centred(x, axis=axis), spread(z, x, axis, keepdims) * (count(x, axis) - ddof)
        )
    ),
    shape=reduced_shape, numpy="np.std({0}{options})", latex=r"\operatorname{{std}}({0})",
    definition=lambda x, *, axis=None, keepdims=False, ddof=0: sqrt(
        var(x, axis=axis, keepdims=keepdims, ddof=ddof)
    ),
    traits={"axes", "cancels"},
)  # fmt: skip
def std(x: Any, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Any:
    """The square root of `var`, also where that has left the range of floats.

    Its derivatives, of every order, are taken as 0 where all numbers are equal. (They are not those
    of its square there: differentiate `var`.)

    >>> tg.std(np.array([1.0, 3.0]))
    1.0
    """
    length = np.asarray(norm.forward(centred.forward(x, axis=axis), axis=axis, keepdims=keepdims))
    left = builtins.max(count(x, axis) - ddof, 0)
    return np.divide(length, length.dtype.type(math.sqrt(left)))


@primitive(
    lambda dz, z, x, *, axis=None, keepdims=False: (
        spread(dz, x, axis, keepdims) * divide_or_zero(x, spread(z, x, axis, keepdims))
    ),
    shape=reduced_shape, symbol="‖ ‖",
    numpy="np.linalg.norm({0}{options})", latex=r"\left\|{0}\right\|",
    definition=lambda x, *, axis=None, keepdims=False: sqrt(
        sum(x**2, axis=axis, keepdims=keepdims)
    ),
    traits={"axes"},
)  # fmt: skip
def norm(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The Euclidean length ``√Σx²``, also where squares leave the range of floats.

    Its derivative ``x / ‖x‖``, and those of higher order, are taken as 0 where x is all zeros.
    (They are not those of its square there: differentiate ``Σx²``.)

    >>> tg.norm(np.array([3.0, 4.0]))
    5.0
    """
    with np.errstate(over="ignore"):
        length = np.sqrt(add_up(np.multiply(x, x), axis=axis, keepdims=keepdims))
    info = np.finfo(length.dtype)
    if np.all((length > math.sqrt(info.tiny / info.eps)) & (length < math.inf)):
        return length
    # A square has left the range of floats, or lost digits at its lower end, or x is zero: measure
    # in units of the largest entry.
    top = np.max(np.abs(x), axis=axis, keepdims=True, initial=0)
    unit = np.where((top > 0) & (top < math.inf), top, 1)
    squares = np.add.reduce(np.square(x / unit), axis=axis, keepdims=True)
    return np.reshape(np.sqrt(squares) * unit, np.shape(length))


@primitive(
    lambda dz, z, x, *, axis=None, keepdims=False: (
        spread(dz, x, axis, keepdims) * softmax(x, axis=axes_of(len(shape(x)), axis))
    ),
    shape=reduced_shape, latex=r"\log\sum e^{{{0}}}",
    numpy="np.logaddexp.reduce({0}, axis={axis}, keepdims={keepdims})",
    definition=lambda x, *, axis=None, keepdims=False: log(
        sum(exp(x), axis=axis, keepdims=keepdims)
    ),
    traits={"axes"},
)  # fmt: skip
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """``log Σ eˣ``, exact and silent at ±1000; its gradient is the softmax.

    >>> tg.logsumexp(np.zeros(1))
    0.0
    """
    top, _, _, others = exponentials(x, axis)
    total = np.log1p(others) + top
    return total if keepdims else np.reshape(total, reduced_shape(np.shape(x), axis=axis))


def _said(x: Any, axis: Any) -> Any:
    """The axis, where there is a choice: over all of a batch is what nobody means."""
    if axis is None and np.ndim(x) > 1:
        raise GradError(
            "along which axis? Give axis=0 where every column is to sum to one (units × examples), "
            "axis=1 where every row is (axis=-1: the last axis)"
        )
    return axis


def exponentials(x: Any, axis: Any) -> tuple[Any, Any, Any, Any]:
    """The maximum along an axis; x less it; ``eˣ`` in its unit; and their sum, less 1.

    Less 1, because ``log(1 + e⁻⁴⁰)`` has no digits unless it is ``log1p(e⁻⁴⁰)``. What equals the
    maximum is e⁰ also where that is infinite: infinities share evenly, as ties of `max` do.
    """
    x = np.asarray(x)
    x = x if x.dtype.kind == "f" else x.astype(float)  # no integer is -inf, of nothing the largest
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    with np.errstate(invalid="ignore"):  # inf - inf
        shifted = np.asarray(x - top)
    if not math.isfinite(add_up(top, axis=None)):
        shifted[np.equal(x, top)] = 0.0
    e = np.exp(shifted)
    others = np.asarray(add_up(e, axis=axis, keepdims=True) - 1.0)
    if digits_lost(others):
        largest = np.equal(shifted, 0.0)
        ties = add_up(largest, axis=axis, keepdims=True, dtype=x.dtype)
        others = add_up(e - largest, axis=axis, keepdims=True) + (ties - 1.0)
    return top, shifted, e, others


@primitive(
    lambda dz, z, x, *, axis=None: z * deviation(dz, z, axis=axis),
    shape=lambda old, *, axis=None: old, latex=r"\operatorname{{softmax}}({0})",
    definition=lambda x, *, axis=None: exp(x) / sum(exp(x), axis=axis, keepdims=axis is not None),
    spelling=lambda x, *, axis=None: exp(log_softmax(x, axis=axis)),
    traits={"axes", "activation"},
)  # fmt: skip
def softmax(x: Any, axis: Any = None) -> Any:
    """``eˣ / Σ eˣ`` along `axis`: positive and summing to one; exact at ±1000.

    Raises GradError for two or more axes without ``axis=``.

    >>> tg.softmax(np.zeros(4)).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    _, _, e, others = exponentials(x, _said(x, axis))
    return e / (1 + others)


@primitive(
    lambda dz, z, x, p, *, axis=None: (
        dz - p * sum(dz, axis=axis, keepdims=axis is not None)
    ),
    lambda dz, z, x, p, *, axis=None: -x * sum(dz, axis=axis, keepdims=axis is not None),
    shape=lambda x, p, *, axis=None: x, latex=r"\left({0} - \sum {0} \odot {1}\right)",
    definition=lambda x, p, *, axis=None: (
        x - sum(x * p, axis=axis, keepdims=axis is not None)
    ),
    traits={"axes", "opened"},
)  # fmt: skip
def deviation(x: Any, p: Any, axis: Any = None) -> Any:
    """``x − Σ x p`` for probabilities p: how far x is from its expectation along `axis`.

    Where one p rounds to 1, x would be taken from itself; so that one x is taken from all first.

    >>> deviation(np.array([1.0, 0.0]), np.array([1.0, 1e-30])).tolist()
    [1e-30, -1.0]
    """
    x, p = np.asarray(x), np.asarray(p)
    if not p.size:
        return x + 0.0
    likely = p == np.max(p, axis=axis, keepdims=True)
    first = add_up(np.where(likely, x, 0), axis=axis, keepdims=True)
    first = first / add_up(likely, axis=axis, keepdims=True, dtype=x.dtype)
    x = x - first
    missing = 1 - add_up(p, axis=axis, keepdims=True)
    missing = np.where(np.abs(missing) < p.size * np.finfo(p.dtype).eps, 0, missing)
    return x - (add_up(x * p, axis=axis, keepdims=True) - first * missing)


@primitive(
    # dz − softmax(x) Σ dz, each of whose differences is of what the other one lacks.
    lambda dz, z, x, *, axis=None: (
        exp(z) * (dz - sum(dz, axis=axis, keepdims=axis is not None)) - expm1(z) * dz
    ),
    shape=lambda old, *, axis=None: old, latex=r"\log\operatorname{{softmax}}({0})",
    definition=lambda x, *, axis=None: (
        x - log(sum(exp(x), axis=axis, keepdims=axis is not None))
    ),
    spelling=lambda x, *, axis=None: x - logsumexp(x, axis=axis, keepdims=axis is not None),
    traits={"axes"},
)  # fmt: skip
def log_softmax(x: Any, axis: Any = None) -> Any:
    """The logarithm of `softmax`, without computing it first; exact at ±1000.

    Raises GradError for two or more axes without ``axis=``.

    >>> tg.log_softmax(np.zeros(1)).tolist()
    [0.0]
    """
    _, shifted, _, others = exponentials(x, _said(x, axis))
    return shifted - np.log1p(others)


@primitive(
    lambda dz, z, x, *, axis=None: _cumulated_back(dz, x, axis),
    shape=lambda old, *, axis=None: old if axis is not None else (math.prod(old),),
    numpy="np.cumsum({0}{options})", latex=r"\operatorname{{cumsum}}({0})",
    traits={"linear", "axes"},
)  # fmt: skip
def cumsum(x: Any, axis: Any = None) -> Any:
    """Running totals along `axis`: an early number reaches every later total.

    >>> tg.cumsum(np.ones(3)).tolist()
    [1.0, 2.0, 3.0]
    """
    return np.cumsum(x, axis=axis)


def _cumulated_back(dz: Any, x: Any, axis: Any) -> Any:
    """Running totals from the far end."""
    along = 0 if axis is None else axis % builtins.max(len(shape(x)), 1)
    back = (slice(None),) * along + (slice(None, None, -1),)
    return reshape(cumsum(dz[back], axis=along)[back], shape=shape(x))
