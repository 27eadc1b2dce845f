"""From operations to the NumPy calls that compute them well.

An operation such as the sigmoid is one node of a graph, but several calls to NumPy. Written out as
Symbols, the calls that two operations share are made once: the cross-entropy from logits and its
gradient both need ``exp(-|z|)``. Every form here is the stable one, exact where z is ±1000.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.ops import arithmetic as ar
from tinygrad_edu.core.ops import elementwise as el
from tinygrad_edu.core.ops import linalg, losses, reductions, shaping
from tinygrad_edu.core.primitive import Each, Primitive, Shape, primitive
from tinygrad_edu.program.symbol import ELEMENTWISE, Symbol, Table, needed
from tinygrad_edu.program.views import LOOKS, blank, looks_at

#: Sums no longer than this are products with ones: faster, and rounded as well at this length.
_SUM_BY_PRODUCT = 4096


@primitive(None, None)
def copysign(x: Any, y: Any) -> Any:
    """The size of x with the sign of y.

    >>> copysign(1.0, -3.0)
    -1.0
    """
    return np.copysign(x, y)


@primitive(None)
def finite(x: Any) -> Any:
    """`x` with 0 for what is infinite or not a number.

    >>> finite(float("inf"))
    0.0
    """
    return np.where(np.isfinite(x), x, 0)


@primitive(None, None)
def restored(slope: Any, x: Any) -> Any:
    """``1 − tanh²(x)`` with the digits it has lost where tanh rounds to ±1: see `el.tanh_slope`.

    >>> restored(np.zeros(1), np.array([50.0])) == np.cosh([50.0]) ** -2.0
    array([ True])
    """
    return el.tanh_slope.forward(np.tanh(x), x)


@primitive(None, None, None, None, None)
def residual(r: Any, others: Any, e: Any, y: Any, given: Any) -> Any:
    """``p Σy − y`` with the digits it has lost where a probability p is nearly 1: see `losses`.

    >>> residual(np.zeros(1), np.full(1, 1e-30), np.ones(1), np.ones(1), np.ones(1)).tolist()
    [-1e-30]
    """
    total = others + 1.0
    missing = np.where(e == 1, others, total - e)
    return (e * (given - y) - missing * y) / total if el.digits_lost(others) else r


@primitive(None, None)
def relevant(x: Any, y: Any) -> Any:
    """`x` as a factor of `y`: 0 for what is infinite or not a number where y is 0.

    >>> relevant(np.array([-2.0, -np.inf, -np.inf]), np.array([0.0, 0.0, 1.0])).tolist()
    [-2.0, 0.0, -inf]
    """
    return np.where(np.equal(y, 0) & ~np.isfinite(x), 0, x)


@primitive(None, shape=reductions.reduced_shape)
def top(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest number, −∞ where there is none.

    >>> top(np.zeros(0))
    -inf
    """
    return np.max(x, axis=axis, keepdims=keepdims, initial=-np.inf)


@primitive(None, None, shape=lambda x, y: ())
def inner(x: Any, y: Any) -> Any:
    """The sum of all products of two arrays of one shape.

    >>> inner(np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]]))
    11.0
    """
    return np.vdot(x, y)


@primitive(None)
def copy(x: Any) -> Any:
    """The same numbers in memory of their own.

    >>> copy(2.0)
    2.0
    """
    return np.array(x)[()]


#: One step from an array to a part of its memory: ``("at", index)`` or ``("as", shape)``.
Step = tuple[str, Any]


@primitive(Each(lambda *_: None), shape=lambda *_, shape, paths: shape)
def accumulate(*parts: Any, shape: Shape, paths: tuple[tuple[Step, ...], ...]) -> Any:
    """Zeros with each part added in where its path leads; the empty path is the whole.

    >>> accumulate(np.ones(3), 5.0, shape=(3,), paths=((), (("at", slice(0, 1)),))).tolist()
    [6.0, 1.0, 1.0]
    """
    z = np.zeros(shape, np.result_type(*parts))
    for part, path in zip(parts, paths):
        place = z
        for step in path:
            place = taken(place, step)
        place += part
    return z


def taken(place: Any, step: Step) -> Any:
    """The part of an array that a step leads to."""
    kind, what = step
    return place[what] if kind == "at" else place.reshape(what)


ELEMENTWISE |= {copysign, finite, restored, residual, relevant}


def _sigmoid(x: Any) -> Any:
    e = el.exp(-el.absolute(x))  # never above 1, so neither number below overflows
    return ar.maximum(e, copysign(1.0, x)) / (e + 1.0)  # 1 for x >= 0, else e: over 1 + e


def _softplus(x: Any) -> Any:
    return ar.maximum(x, 0.0) + el.log1p(el.exp(-el.absolute(x)))


def _tanh_slope(z: Any, x: Any) -> Any:
    return restored(1.0 - z * z, x) if z.shape else None


def _exponentials(x: Any, axis: Any) -> tuple[Any, Any, Any, Any]:
    """What `reductions.exponentials` gives."""
    highest = top(x, axis=axis, keepdims=True)
    largest = ar.equal(x, highest)
    shifted = ar.where(largest, 0.0, x - highest)
    e = el.exp(shifted)
    ties = reductions.sum(largest, axis=axis, keepdims=True)
    others = reductions.sum(e - largest, axis=axis, keepdims=True) + (ties - 1.0)
    return highest, shifted, e, others


def _softmax(x: Any, *, axis: Any = None) -> Any:
    _, _, e, others = _exponentials(x, axis)
    return e / (others + 1.0)


def _log_softmax(x: Any, *, axis: Any = None) -> Any:
    _, shifted, _, others = _exponentials(x, axis)
    return shifted - el.log1p(others)


def _logsumexp(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    highest, _, _, others = _exponentials(x, axis)
    new = reductions.reduced_shape(x.shape, axis=axis, keepdims=keepdims)
    return shaping.reshape(el.log1p(others) + highest, shape=new)


def _wrong(z: Any, y: Any) -> Any:
    """``1 − y`` for z above 0, ``−y`` below."""
    return copysign(0.5, z) + 0.5 - y


def _logistic_loss(z: Any, y: Any, *, axis: int | None = None) -> Any:
    loss = z * _wrong(z, y) + el.log1p(el.exp(-el.absolute(z)))
    if axis is not None and loss.shape[axis] == 1:  # one unit: nothing to add
        return shaping.squeeze(loss, axis)
    return loss if axis is None else reductions.sum(loss, axis=axis)


def _logistic_residual(z: Any, y: Any) -> Any:
    e = el.exp(-el.absolute(z))
    return _wrong(z, y) - copysign(e / (e + 1.0), z)


def _softmax_loss(z: Any, y: Any, *, axis: int = 0) -> Any:
    # Where y is 0 nothing is lost, not even where log softmax is −∞.
    return -reductions.sum(y * relevant(_log_softmax(z, axis=axis), y), axis=axis)


def _softmax_residual(z: Any, y: Any, *, axis: int = 0) -> Any:
    _, _, e, others = _exponentials(z, axis)
    given = reductions.sum(y, axis=axis, keepdims=True)
    return residual(e * (given / (others + 1.0)) - y, others, e, y, given)


def _leaky_relu(x: Any, *, slope: float = 0.01, at_zero: float = 1) -> Any:
    return ar.where(ar.greater_equal(x, 0.0), x, x * slope)


def _norm(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    # In units of the largest entry: squares would leave the range of floats before x does.
    size = finite(top(el.absolute(x), axis=axis, keepdims=True))
    unit = ar.where(size, size, 1.0)
    part = x / unit
    length = el.sqrt(reductions.sum(part * part, axis=axis, keepdims=True)) * unit
    new = reductions.reduced_shape(x.shape, axis=axis, keepdims=keepdims)
    return shaping.reshape(length, shape=new)


def _centred(x: Any, *, axis: Any = None) -> Any:
    gone = reductions.axes_of(len(x.shape), axis)
    first = tuple(slice(0, 1) if a in gone else slice(None) for a in range(len(x.shape)))
    shifted = x - shaping.getitem(x, index=first)
    n = reductions.count(x, axis)
    return shifted - reductions.sum(shifted, axis=gone, keepdims=True) / n if n else x


def _var(x: Any, *, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Any:
    left = reductions.count(x, axis) - ddof
    squares = _centred(x, axis=axis) ** 2
    return reductions.sum(squares, axis=axis, keepdims=keepdims) / left if left > 0 else None


def _std(x: Any, *, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Any:
    left = reductions.count(x, axis) - ddof
    length = reductions.norm(_centred(x, axis=axis), axis=axis, keepdims=keepdims)
    return length / math.sqrt(left) if left > 0 else None


def _xlogy(x: Any, y: Any) -> Any:
    return x * el.log(ar.where(ar.not_equal(x, 0.0), y, ar.where(ar.not_equal(y, y), y, 1.0)))


def _xdivy(x: Any, y: Any) -> Any:
    return x / ar.where(x, y, 1.0)


def _divide_or_zero(x: Any, y: Any) -> Any:
    return x / ar.where(y, y, np.inf)


def _negative(x: Any) -> Any:
    """``-|x|`` in one call."""
    return copysign(x.parents[0], -1.0) if x.op is el.absolute else None


def _sum(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    gone = reductions.axes_of(len(x.shape), axis)
    n = reductions.count(x, axis)
    new = reductions.reduced_shape(x.shape, axis=axis, keepdims=keepdims)
    if n > _SUM_BY_PRODUCT or x.op is shaping.transpose:
        return None
    if not new and x.op is ar.multiply and x.parents[0].shape == x.parents[1].shape:
        return inner(*x.parents)
    if not new and x.op is linalg.matmul and _are_ones(x.parents[0]):  # sums already
        if x.parents[1].size <= _SUM_BY_PRODUCT:
            return reductions.sum(x.parents[1])
    if not new and x.op is not None and x.op not in LOOKS:
        return linalg.matmul(shaping.reshape(x, shape=(n,)), np.ones(n, x.dtype))
    if len(x.shape) != 2:
        return None
    if gone == (1,):
        return shaping.reshape(linalg.matmul(x, np.ones((n, 1), x.dtype)), shape=new)
    if gone == (0,):
        return shaping.reshape(linalg.matmul(np.ones((1, n), x.dtype), x), shape=new)
    return None


def _are_ones(x: Symbol) -> bool:
    return x.constant and bool(np.all(x.value == 1))


def _pieces(s: Symbol) -> list[tuple[Symbol, tuple[Step, ...]]]:
    """What is added where to give `s`: the gradient of a slice is zeros but for a part."""
    if s.op is accumulate:
        return list(zip(s.parents, s.options["paths"]))
    place = whole = blank(s.shape)
    part = s
    path: tuple[Step, ...] = ()
    found: tuple[Symbol, tuple[Step, ...]] = (s, ())
    while part.op in (shaping.scatter, shaping.reshape):
        inner = part.parents[0]
        if part.op is shaping.reshape:
            step = ("as", inner.shape)
        else:
            step = ("at", _as_look(place, part.options["index"]))
        place = taken(place, step)
        if not looks_at(place, whole):
            break
        path = (*path, step)
        if part.op is shaping.scatter:
            found = (inner, path)
        part = inner
    return [found]


def _as_look(place: Any, index: Any) -> Any:
    """An index that reads a single number, in the form that gives a look at its memory."""
    if isinstance(place[index], np.ndarray):
        return index
    return (*index, ...) if isinstance(index, tuple) else (index, ...)


def _add(x: Any, y: Any) -> Any:
    """Parts of zeros are added in place, not as arrays of mostly zeros; in the order recorded."""
    if x.shape != y.shape or x.dtype != y.dtype:
        return None
    before, added = _pieces(x), _pieces(y)
    if len(added) > 1 or not any(path for _, path in (*before, *added)):
        return None
    pieces = [*before, *added]
    if len(pieces) == 2:  # of two, either may come first
        pieces.sort(key=lambda piece: len(piece[1]) > 0)
    parts, paths = zip(*pieces)
    return x.table.node(accumulate, parts, {"shape": x.shape, "paths": paths})


#: What an operation is written as, where it is not a call to NumPy itself.
FORMS: dict[Primitive, Callable[..., Any]] = {
    el.sigmoid: _sigmoid, el.softplus: _softplus, reductions.softmax: _softmax,
    reductions.log_softmax: _log_softmax, reductions.logsumexp: _logsumexp,
    losses.logistic_loss: _logistic_loss, losses.softmax_loss: _softmax_loss,
    el.relu: lambda x, *, at_zero=1: ar.maximum(x, 0.0), el.leaky_relu: _leaky_relu,
    reductions.norm: _norm, el.xlogy: _xlogy, el.xdivy: _xdivy, reductions.sum: _sum,
    ar.add: _add, ar.negative: _negative, el.tanh_slope: _tanh_slope,
    losses.logistic_residual: _logistic_residual, losses.softmax_residual: _softmax_residual,
    reductions.centred: _centred, reductions.var: _var, reductions.std: _std,
    el.divide_or_zero: _divide_or_zero,
    ar.power_constant: lambda x, *, n: x * x if n == 2 else None,
}  # fmt: skip


def lowered(outputs: Sequence[Symbol], copied: bool = False) -> list[Symbol]:
    """`outputs` written with NumPy's own operations, in a table of their own.

    `copied`: arguments are first copied to memory of the program's own, where many looks at parts
    of them are taken once and for all.
    """
    table = Table(FORMS)
    new: dict[Symbol, Symbol] = {}
    order = needed(outputs)
    arrays_only = (None, ar.add, ar.negative)
    if all(s.weak and (s.op in arrays_only or s.op not in FORMS) for s in order):
        return list(outputs)  # floats, written with their own operations already
    for old in order:
        if old.op is not None:
            now = table.apply(old.op, tuple(new[x] for x in old.parents), old.options)
        elif old.constant:
            now = table.symbol(old.value)
        else:
            now = table.argument(old.name or "", old.shape, old.dtype)
            if copied and old.shape:
                now = table.node(copy, (now,), {})
        if now.name is None and not now.constant:
            now.name = old.name
        new[old] = now
    return [new[x] for x in outputs]
