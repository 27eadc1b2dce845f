"""Symbols: what flows through the sweep when a graph is turned into a program.

A `Symbol` stands for numbers that a program will compute: a shape, a dtype, and the operation and
inputs they come from. The rules of the operations run on Symbols as they run on arrays, so the
backward pass of a program is found by the one sweep there is. Whoever asks a `Table` for the same
operation on the same inputs gets the same Symbol, so nothing is computed twice; what depends on
constants only is a constant.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_edu.core.operators import Operators
from tinygrad_edu.core.ops import arithmetic as ar
from tinygrad_edu.core.ops import elementwise as el
from tinygrad_edu.core.ops import losses, reductions, shaping
from tinygrad_edu.core.primitive import Primitive, Shape

#: The dtype of a Python float.
WEAK = np.dtype(np.float64)

#: Constants of more numbers are told apart by identity, and looked at rather than copied.
_FOLD_LIMIT = 1 << 10


_make = object.__new__


class Symbol(Operators):
    """Numbers a program will compute: an argument, a constant, or an operation on other Symbols."""

    __slots__ = (
        "_created", "_shape", "dtype", "name", "op", "options", "parents", "requires_grad", "table",
        "value",
    )  # fmt: skip

    _created: int
    dtype: np.dtype[Any]
    name: str | None
    op: Primitive | None
    options: dict[str, Any]
    parents: tuple[Symbol, ...]
    requires_grad: bool
    _shape: Shape
    table: Table
    value: Any  # the numbers of a constant, else None

    @classmethod
    def _apply(cls, op: Primitive, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        table = next(x.table for x in args if type(x) is Symbol)
        symbols = [x if type(x) is Symbol else table.symbol(x) for x in args]
        return table.apply(op, tuple(symbols), options)

    # The sweep reads a node's inputs from its slots: a Symbol keeps all of them in the general one.
    _x = _y = _x_data = _y_data = _data = None

    @property
    def _more(self) -> tuple[tuple[Symbol, ...], tuple[Symbol, ...], Any, None, tuple[bool, ...]]:
        needs = tuple([x.requires_grad for x in self.parents])
        return self.parents, self.parents, self.options, None, needs

    @property
    def shape(self) -> Shape:
        return self._shape

    @property
    def weak(self) -> bool:
        """Is this a float, which takes on the dtype of whatever it meets?"""
        return not self._shape and self.dtype is WEAK

    @property
    def size(self) -> int:
        """How many numbers."""
        return math.prod(self._shape)

    @property
    def constant(self) -> bool:
        """Are the numbers known already?"""
        return self.value is not None

    def __repr__(self) -> str:
        what = self.op.name if self.op else "constant" if self.constant else "argument"
        return f"<{self.name or what} {self._shape}>"


class Table:
    """All Symbols of one program, each operation on the same inputs once.

    `forms` says how an operation is written with others; an answer of None leaves it as it is.
    """

    def __init__(self, forms: dict[Primitive, Callable[..., Any]] | None = None) -> None:
        self._rules = [SIMPLER] if forms is None else [SIMPLER, forms]
        self._known: dict[Any, Symbol] = {}
        self._count = 0
        self.asked = 0  # how many operations were asked for, for `explain`

    def __len__(self) -> int:
        return self._count

    def _new(self, shape: Shape, dtype: np.dtype[Any]) -> Symbol:
        new = _make(Symbol)
        new.table, new._shape = self, shape
        new.dtype = WEAK if dtype == WEAK else dtype
        new.op = new.name = new.value = None
        new.parents, new.options, new.requires_grad = (), {}, False
        new._created = self._count
        self._count += 1
        return new

    def argument(
        self, name: str, shape: Shape, dtype: np.dtype[Any], requires_grad: bool = False
    ) -> Symbol:
        """A Symbol for numbers handed in at each call."""
        new = self._new(shape, dtype)
        new.name, new.requires_grad = name, requires_grad
        return new

    def symbol(self, x: Any) -> Symbol:
        """`x` as a Symbol: itself, or a constant; the same numbers are the same constant."""
        if isinstance(x, Symbol):
            return x
        if type(x) is float:
            known = self._known.get(x) if x else None  # 0.0 and -0.0 are equal, but not the same
            if known is not None:
                return known
        data = np.asarray(x)
        if data.dtype.kind != "f":
            data = data.astype(WEAK)
        small = data.size <= _FOLD_LIMIT
        key = (data.shape, data.dtype.str, data.tobytes() if small else id(data))
        known = self._known.get(key)
        if known is None:
            known = self._new(data.shape, data.dtype)
            known.value = data if data.ndim else float(data) if known.weak else data[()]
            self._known[key] = known
        if type(x) is float and x:
            self._known[x] = known
        return known

    def apply(self, op: Primitive, args: tuple[Symbol, ...], options: dict[str, Any]) -> Symbol:
        """The Symbol of an operation: found again, folded, written more simply, or new."""
        self.asked += 1
        key: Any = (op, args, frozen(options)) if options else (op, args)
        known = self._known.get(key)
        if known is not None:
            return known
        constant, single = True, op in ELEMENTWISE  # single: floats only, and so is the result
        for x in args:
            if x.value is None:
                constant = False
            if x._shape or x.dtype is not WEAK:
                single = False
        if constant:
            known = self._fold(op, args, options)
        if known is None:
            known = self._by_rule(op, args, options)
        if known is None and single:
            known = self._written(op, args, options, self._new((), WEAK))
        if known is None and op in ELEMENTWISE:
            known = self._without_broadcast(op, args, options)
        if known is None:
            known = self.node(op, args, options)
        self._known[key] = known
        return known

    def _by_rule(
        self, op: Primitive, args: tuple[Symbol, ...], options: dict[str, Any]
    ) -> Symbol | None:
        for rules in self._rules:
            found: Symbol | None = rules[op](*args, **options) if op in rules else None
            if found is not None:
                return found
        return None

    def node(self, op: Primitive, args: tuple[Symbol, ...], options: dict[str, Any]) -> Symbol:
        """A new Symbol, written exactly so."""
        numbers = args[1:] if op is ar.where else args  # a condition lends its dtype to nothing
        strong = [x.dtype for x in numbers if not x.weak]
        strong += [limit.dtype for limit in options.values() if _is_float_array(limit)]
        shape = tuple(int(n) for n in op.shape_rule(*(x._shape for x in args), **options))
        new = self._new(shape, np.result_type(*strong) if strong else WEAK)
        return self._written(op, args, options, new)

    @staticmethod
    def _written(
        op: Primitive, args: tuple[Symbol, ...], options: dict[str, Any], new: Symbol
    ) -> Symbol:
        new.op, new.parents, new.options = op, args, options
        if op.differentiable:
            for x in args:
                if x.requires_grad:
                    new.requires_grad = True
        return new

    def close(self) -> None:
        """No more operations: let go of the Symbols, which know their table."""
        self._known.clear()

    def _fold(
        self, op: Primitive, args: tuple[Symbol, ...], options: dict[str, Any]
    ) -> Symbol | None:
        if op is shaping.broadcast_to:
            return None  # costs nothing where it is used
        if op in (shaping.transpose, shaping.reshape) and args[0].size > _FOLD_LIMIT:
            return None  # a look at the constant there is
        with np.errstate(all="ignore"):
            return self.symbol(op.evaluate(tuple(x.value for x in args), options))

    def _without_broadcast(
        self, op: Primitive, args: tuple[Symbol, ...], options: dict[str, Any]
    ) -> Symbol | None:
        """Element by element NumPy broadcasts by itself: do not write the repeated numbers out."""
        spread = [x for x in args if x.op is shaping.broadcast_to]
        if not spread:
            return None
        shape = np.broadcast_shapes(*(x._shape for x in args))
        inner = tuple(x.parents[0] if x.op is shaping.broadcast_to else x for x in args)
        if np.result_type(*(x.dtype for x in inner)) != np.result_type(*(x.dtype for x in args)):
            return None
        done = self.apply(op, inner, options)
        return (
            done
            if done._shape == shape
            else self.apply(shaping.broadcast_to, (done,), {"shape": shape})
        )


def _is_float_array(option: Any) -> bool:
    """The limits of a clip: floats that NumPy computes with."""
    return isinstance(option, np.ndarray) and option.dtype.kind == "f"


def frozen(x: Any) -> Any:
    """Options, whatever they hold, as a key of a dictionary: arrays by their numbers."""
    if isinstance(x, dict):
        return tuple((k, frozen(v)) for k, v in sorted(x.items()))
    if isinstance(x, (tuple, list)):
        return (type(x), *map(frozen, x))
    if isinstance(x, slice):
        return (slice, frozen(x.start), frozen(x.stop), frozen(x.step))
    if x is None or x is ... or isinstance(x, (int, float, str, np.generic)):
        return (type(x), x)
    array = np.asarray(x)  # 0-d ones and buffers too
    return (array.shape, array.dtype.str, array.tobytes())


# --- the same in simpler words -----------------------------------------------------------------
# Each rule is given the inputs of its operation and answers with a Symbol, or None. Elementwise a
# rule gives the same number for every input: infinities, nan, the sign of zero and the ends of the
# range of floats included, so constants of a product are not multiplied first. Sums may be added up
# in another order where that differs by rounding only.

#: Operations that work element by element, so that NumPy broadcasts their inputs by itself.
ELEMENTWISE: set[Primitive] = {
    ar.add, ar.subtract, ar.multiply, ar.divide, ar.negative, ar.maximum, ar.minimum, ar.where,
    ar.greater, ar.greater_equal, ar.less, ar.less_equal, ar.equal, ar.not_equal, ar.power_constant,
    el.exp, el.expm1, el.log, el.log1p, el.log2, el.log10, el.power, el.sqrt, el.sign, el.absolute,
    el.sin, el.cos, el.tan, el.arctan, el.sinh, el.cosh, el.tanh, el.sigmoid, el.softplus, el.relu,
    el.leaky_relu, el.xlogy, el.xdivy, el.divide_or_zero, el.tanh_slope, el.power_term,
    el.power_log, losses.logistic_residual,
}  # fmt: skip


def _is(x: Symbol, number: float) -> bool:
    """Is it this very number? 0.0 is not -0.0."""
    return type(x.value) is float and str(x.value) == str(number)


def _add(x: Symbol, y: Symbol) -> Any:
    if _is(y, -0.0):  # and not 0.0, to which -0.0 adds up to 0.0
        return x
    if _is(x, -0.0):
        return y
    if y.op is ar.negative:
        return x - y.parents[0]
    if x.op is ar.negative:
        return y - x.parents[0]
    return x * 2.0 if x is y else None


def _subtract(x: Symbol, y: Symbol) -> Any:
    if _is(y, 0.0):
        return x
    return x + y.parents[0] if y.op is ar.negative else None


def _multiply(x: Symbol, y: Symbol) -> Any:
    if x.constant and not y.constant:
        return y * x  # constants come second, so that rules and repeated parts meet
    if _is(y, 1.0):
        return x
    if _is(y, -1.0):
        return -x
    if x.op is ar.negative and y.constant and y.weak:
        return x.parents[0] * -y.value
    if y.op is ar.negative:
        return -(x * y.parents[0])
    if x.op is ar.negative:
        return -(x.parents[0] * y)
    if x.op is ar.multiply and x.parents[1].constant and y.constant:
        first = x.parents[1]
        alike = first.dtype == y.dtype and first._shape in ((), y._shape)
        if alike and (_are_signs(y) or _are_doublings(first, y)):
            return x.parents[0] * (first * y)
    return None


def _are_signs(x: Symbol) -> bool:
    """Are all numbers of a constant 1 or -1? Such may be multiplied with others first."""
    return bool(np.all(np.abs(x.value) == 1))


def _are_doublings(x: Symbol, y: Symbol) -> bool:
    """Are these 2, 4, 8 …, and their product no more than any dtype holds?

    Such may be multiplied first too: no digit is lost, and what overflows by both overflows by one.
    """
    powers = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
    return x.weak and y.weak and x.value in powers and y.value in powers


def _divide(x: Symbol, y: Symbol) -> Any:
    if _is(y, 1.0):
        return x
    return -(x.parents[0] / y) if x.op is ar.negative else None


def _negative(x: Symbol) -> Any:
    if x.op is ar.negative:
        return x.parents[0]
    if x.op is ar.multiply and x.parents[1].constant and x.parents[1].weak:
        return x.parents[0] * -x.parents[1].value
    return None


def _where(condition: Symbol, x: Symbol, y: Symbol) -> Any:
    """A side that is certain to be taken, where it has the shape and dtype of both."""
    if not (condition.constant and condition.weak):
        return None
    taken, other = (x, y) if condition.value != 0 else (y, x)
    alike = np.broadcast_shapes(x._shape, y._shape) == taken._shape
    return taken if alike and (other.weak or taken.dtype == other.dtype) else None


def _power_constant(x: Symbol, *, n: float) -> Any:
    return x if n == 1 else None  # a square stays one until its derivative is taken


def _reshape(x: Symbol, *, shape: Any) -> Any:
    new = shaping.reshape.shape_rule(x._shape, shape=shape)
    if new == x._shape:
        return x
    if x.op is shaping.reshape:
        return shaping.reshape(x.parents[0], shape=new)
    if x.op is shaping.broadcast_to and not x.parents[0]._shape:
        return shaping.broadcast_to(x.parents[0], shape=new)
    return None if type(shape) is tuple and new == shape else shaping.reshape(x, shape=new)


def _transpose(x: Symbol, *, axes: Any = None) -> Any:
    order = (
        tuple(range(len(x._shape)))[::-1]
        if axes is None
        else tuple(a % len(x._shape) for a in axes)
    )
    if order == tuple(range(len(x._shape))):
        return x
    if x.op is shaping.broadcast_to and not x.parents[0]._shape:
        return shaping.broadcast_to(x.parents[0], shape=tuple(x._shape[a] for a in order))
    if x.op is shaping.transpose:
        inner = x.options.get("axes") or tuple(range(len(x._shape)))[::-1]
        return shaping.transpose(x.parents[0], axes=tuple(inner[a] for a in order))
    plain = order == tuple(range(len(x._shape)))[::-1]
    return shaping.transpose(x) if plain and axes is not None else None


def _broadcast_to(x: Symbol, *, shape: Any) -> Any:
    if tuple(shape) == x._shape:
        return x
    return shaping.broadcast_to(x.parents[0], shape=shape) if x.op is shaping.broadcast_to else None


def _sum(x: Symbol, *, axis: Any = None, keepdims: bool = False) -> Any:
    size = reductions.reduced_shape(x._shape, axis=axis, keepdims=keepdims)
    n = reductions.count(x, axis)
    if x.op is shaping.broadcast_to and not x.parents[0]._shape and n:
        return shaping.broadcast_to(x.parents[0] * float(n), shape=size)
    if n == 1:
        return shaping.reshape(x, shape=size) + 0.0  # NumPy's sum of -0.0 is 0.0
    if not size and x.op in (shaping.reshape, shaping.transpose, reductions.sum):
        return reductions.sum(x.parents[0])
    if not size and x.op is ar.negative:
        return -reductions.sum(x.parents[0])
    return None


def _sum_to(x: Symbol, *, shape: Any) -> Any:
    if tuple(shape) == x._shape:
        return x
    if math.prod(shape) == 1 and max(x._shape) < x.size:
        return shaping.reshape(reductions.sum(x), shape=tuple(shape))
    lead, kept = shaping.summed_axes(x._shape, tuple(shape))
    return shaping.reshape(reductions.sum(x, axis=lead + kept, keepdims=True), shape=tuple(shape))


def _mean(x: Symbol, *, axis: Any = None, keepdims: bool = False) -> Any:
    n = reductions.count(x, axis)
    which = {} if axis is None and not keepdims else {"axis": axis, "keepdims": keepdims}
    return reductions.sum(x, **which) / n if n else None


def _getitem(x: Symbol, *, index: Any) -> Any:
    new = shaping.getitem.shape_rule(x._shape, index=index)
    if x.op is shaping.broadcast_to and not x.parents[0]._shape:
        return shaping.broadcast_to(x.parents[0], shape=new)
    if not x._shape and math.prod(new) == 1:  # a float has no parts
        return shaping.reshape(x, shape=new)
    return None


def _bernoulli_loss(a: Symbol, y: Symbol, *, axis: int | None = None) -> Any:
    """Of ``a = sigmoid(z)`` the same from z, which loses no digits: its gradient is a − y."""
    return losses.logistic_loss(a.parents[0], y, axis=axis) if a.op is el.sigmoid else None


#: What to try before an operation is written down.
SIMPLER: dict[Primitive, Callable[..., Any]] = {
    ar.add: _add, ar.subtract: _subtract, ar.multiply: _multiply, ar.divide: _divide,
    # The slope of a sigmoid needs sigmoid(x) and sigmoid(-x): both from one exp(-|x|).
    el.absolute: lambda x: el.absolute(x.parents[0]) if x.op is ar.negative else None,
    ar.negative: _negative, ar.positive: lambda x: x, ar.power_constant: _power_constant,
    ar.where: _where,
    shaping.reshape: _reshape, shaping.transpose: _transpose, shaping.broadcast_to: _broadcast_to,
    shaping.getitem: _getitem, shaping.sum_to: _sum_to, reductions.sum: _sum,
    reductions.mean: _mean, losses.bernoulli_loss: _bernoulli_loss,
}  # fmt: skip


def needed(outputs: Iterable[Symbol]) -> list[Symbol]:
    """The Symbols that `outputs` are computed from, themselves included, oldest first."""
    seen = set(outputs)
    stack = list(seen)
    while stack:
        for parent in stack.pop().parents:
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=operator.attrgetter("_created"))
