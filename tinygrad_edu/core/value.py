"""Value: numbers, the operation that made them, its inputs, and a name. The node of every graph."""

# Of a Value an operation makes a Value; mypy knows only that it makes what flows through it.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import functools
import itertools
import operator
import weakref
from _thread import allocate_lock  # `threading` would take long to import
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy import ndarray  # NumPy's module answers slowly where every node asks

from tinygrad_edu.core import habits
from tinygrad_edu.core import sweep as sweeping
from tinygrad_edu.core.numbers import FLOAT64, as_dtype_of, numbers, settled
from tinygrad_edu.core.operators import Operators, power
from tinygrad_edu.core.ops import (
    arithmetic,
    arranging,
    elementary,
    elementwise,
    linalg,
    orderings,
    reductions,
    shaping,
)
from tinygrad_edu.core.plain import printable
from tinygrad_edu.core.primitive import GradError, Primitive, Shape, misfit, yes_or_no
from tinygrad_edu.core.protocol import NumPyProtocol
from tinygrad_edu.core.readonly import ReadOnly, frozen
from tinygrad_edu.core.recording import asking, recording

NO_OPTIONS: dict[str, Any] = {}
_clock = itertools.count()
_new = object.__new__
_commit = allocate_lock()


def _as_method(f: Any) -> Callable[..., Any]:
    """An operation as a method of Value."""

    @functools.wraps(getattr(f, "forward", f))
    def method(self: Value, *args: Any, **options: Any) -> Any:
        return f(self, *args, **options)

    method.__doc__ = f"See `tinygrad_edu.{f.__name__}`."
    return method


def _as_question(f: Any) -> Callable[..., Any]:
    """A function of NumPy's, along an axis, whose answer is plain numbers, as a method."""

    def method(self: Value, axis: Any = None, keepdims: bool = False) -> Any:
        try:
            return f(self._data, axis=axis, keepdims=keepdims)
        except (OverflowError, ValueError) as error:  # of nothing there is no largest
            raise GradError(f"{f.__name__} of {described(self)}: {error}") from None

    method.__name__ = f.__name__
    method.__doc__ = f"``np.{f.__name__}`` of the numbers: plain, without a gradient."
    return method


class Value(NumPyProtocol, Operators):
    """A node of a graph: a number or an array of any shape, that remembers how it was computed.

    ``Value(data, name=None, requires_grad=True)`` copies `data`; integers become float64, float32
    stays, float16 becomes float32. Operators, methods and NumPy's functions make new nodes;
    `backward` puts the derivative of a result in `grad` of every node it was computed from.
    Comparisons give plain booleans.

    Raises TypeError for anything that is not real numbers, and for longdouble.

    >>> x = tg.Value(3.0, name="x")
    >>> z = x * x
    >>> z.backward()
    >>> x.grad
    6.0
    """

    __slots__ = (
        "__weakref__", "_created", "_data", "_grad", "_more", "_name", "_needs", "_x", "_x_data",
        "_y", "_y_data", "op",
    )  # fmt: skip

    _data: Any
    _grad: Any
    # Up to two parents and the numbers each had when this node was computed; what has options, more
    # inputs or a slope keeps (parents, numbers, options, slope, needs) in `_more`. No tuples for
    # the common case: the time of Python's garbage collector grows with the number of containers,
    # and a scalar graph has many nodes.
    _x: Value | None
    _y: Value | None
    _x_data: Any
    _y_data: Any
    _more: tuple[tuple[Value, ...], tuple[Any, ...], dict[str, Any], Any, tuple[bool, ...]] | None
    # Which inputs needed a gradient when this node was computed: 1 for x, 2 for y, 3 for both, 0
    # for none; where `_more` says which, 1 for any. A leaf that needs one itself has 1; a copy of
    # a constant, made to differentiate by, 4. What a sweep does is settled by this alone, so a
    # leaf's flag may be changed at any time.
    _needs: int
    _name: str | None
    op: Primitive | None

    def __init__(
        self, data: Any, name: str | None = None, requires_grad: bool = True, **other: Any
    ) -> None:
        if other:
            raise habits.no_argument("Value", min(other), ("name", "requires_grad"))
        self._name = None
        if name is not None:
            self.name = name
        self._data = data if type(data) is float else numbers(data)
        if type(requires_grad) is not bool:
            requires_grad = yes_or_no("Value: requires_grad", requires_grad)
        self._needs = 1 if requires_grad else 0
        self._grad = self.op = None
        self._x = self._y = self._x_data = self._y_data = self._more = None
        self._created = next(_clock)

    # --- how operations make nodes -------------------------------------------------------------

    @classmethod
    def _apply(cls, op: Primitive, args: tuple[Any, ...], options: dict[str, Any]) -> Value:
        if len(args) == 1 and op.compact and not options:
            return _unary(op, args[0])
        parents = args
        for x in args:
            if type(x) is not Value:
                parents = tuple([x if type(x) is Value else constant(x, args, op) for x in args])
                break
        inputs = tuple([x._data for x in parents])
        slope = None
        try:
            if op.with_slope is not None and parents[0]._needs and (not asking or recording.get()):
                z, slope = op.with_slope(*inputs, **options)
            else:
                z = op.evaluate(inputs, options)
        except (ValueError, IndexError, OverflowError) as error:
            raise _misfit(op, parents, options, error) from None
        node = _leaf(z if type(z) is float else settled(z))
        return _record(node, op, parents, inputs, options, slope)

    # --- what a node holds ---------------------------------------------------------------------

    @property
    def parents(self) -> tuple[Value, ...]:
        """The Values this one was computed from, in the operation's order; () for a leaf."""
        if self._more is not None:
            return self._more[0]
        x, y = self._x, self._y
        if x is not None and y is not None:
            return x, y
        return () if x is None else (x,)

    @property
    def _inputs(self) -> tuple[Any, ...]:
        """The numbers the parents had when this node was computed."""
        if self._more is not None:
            return self._more[1]
        return (self._x_data, self._y_data)[: (self._x is not None) + (self._y is not None)]

    @property
    def options(self) -> dict[str, Any]:
        """What the operation was given besides its inputs: an axis, an index."""
        return NO_OPTIONS if self._more is None else self._more[2]

    @property
    def name(self) -> str | None:
        """What the node is called in errors, pictures, rules; None until it has been named."""
        return self._name

    @name.setter
    def name(self, new: str | None) -> None:
        if new is not None and not isinstance(new, str):
            raise TypeError(f"Value: a name is a string, not {new!r:.60}")
        self._name = new

    @property
    def requires_grad(self) -> bool:
        """Whether `backward` leaves a gradient here.

        Of a leaf it may be changed, to freeze a parameter for a while. That counts for what is
        computed from then on: a graph recorded before keeps to what it was recorded with. Of a
        computed node it is settled: true if any input's was. Setting it there raises GradError.

        >>> w, x = tg.Value(2.0), tg.Value(3.0)
        >>> before = w * x
        >>> w.requires_grad = False
        >>> (w * x).backward()
        >>> w.grad, x.grad
        (None, 2.0)
        >>> before.backward()
        >>> w.grad, x.grad
        (3.0, 4.0)
        """
        return self._needs != 0

    @requires_grad.setter
    def requires_grad(self, on: bool) -> None:
        if self.op is not None:
            raise GradError(
                f"{_label(self)} was computed by {self.op}: whether it needs a gradient was "
                "settled then, by its inputs. Set it of a leaf, or use v.detach()"
            )
        self._needs = 1 if yes_or_no("Value: requires_grad", on) else 0

    @property
    def data(self) -> Any:
        """The numbers: a float for a single one, else an array that can be read and replaced.

        ``p.data = x`` and ``p.data -= step`` give a leaf new numbers of the same dtype (a
        parameter's also of the same shape). Graphs recorded before keep the old ones, so their
        gradients stay right; writing *into* the array raises GradError. What writes without asking
        NumPy (``torch.from_numpy(p.data)``, ctypes) is noticed inside `tinygrad_edu.debug_nans`
        only.
        """
        data = self._data
        if type(data) is not ndarray:
            return data
        return frozen(data, self._name)

    @data.setter
    def data(self, new: Any) -> None:
        if self.op is not None:
            raise GradError(
                f"{_label(self)} was computed by {self.op}; only the numbers of a leaf can be set"
            )
        old = self._data
        whole = getattr(new, "whole", None) if type(new) is ReadOnly else None
        if whole is not None and type(old) is ndarray:
            if whole.shape == old.shape and whole.dtype is old.dtype:
                self._data = whole  # the common case, p.data -= step: no second copy
                return
        new = numbers(new, what=_label(self)) if whole is None else whole
        if type(old) is not type(new) or type(old) is ndarray:
            if np.shape(new) != np.shape(old) and self.requires_grad:
                raise GradError(
                    f"{_label(self)} has shape {np.shape(old)}; the new numbers {np.shape(new)}"
                )
            new = as_dtype_of(old, new)
        self._data = new

    @property
    def grad(self) -> Any:
        """The derivative of what `backward` was called on, with respect to this; None before.

        Plain numbers of `data`'s shape. On a leaf it accumulates over calls, until `zero_grad`.
        """
        g = self._grad
        if type(g) is ndarray and not g.flags.writeable:
            g = self._grad = g.copy()  # it may be shared with another node until somebody looks
        return g

    @grad.setter
    def grad(self, new: Any) -> None:
        if new is not None:
            new = numbers(new, what=f"the gradient of {_label(self)}")
            if np.shape(new) != self.shape:
                raise GradError(
                    f"the gradient of {_label(self)} must have its shape {self.shape}, "
                    f"not {np.shape(new)}"
                )
            new = as_dtype_of(self._data, new)
        self._grad = new

    @property
    def shape(self) -> Shape:
        """The length of each axis; () for a single number."""
        data = self._data
        return () if type(data) is float else data.shape

    @property
    def size(self) -> int:
        """How many numbers."""
        return int(np.size(self._data))

    @property
    def dtype(self) -> np.dtype[Any]:
        """float64, or float32 where that was given."""
        return np.asarray(self._data).dtype

    # --- derivatives ---------------------------------------------------------------------------

    def backward(self, seed: Any = None, keep: str = "all", **other: Any) -> None:
        """Compute the derivative of this node with respect to every node it was made from.

        `seed`: the derivative of some later quantity with respect to this one, in this one's shape;
        needed unless this is a single number, whose seed is 1. ``keep="leaves"`` leaves the
        gradients of intermediate nodes out, which saves their memory. Leaves accumulate over calls,
        an intermediate shows the last sweep's; nothing changes unless the whole sweep succeeds.

        Raises GradError without a seed for a non-scalar, for a seed of the wrong shape, and where
        nothing needs a gradient.

        >>> w, x = tg.Value(2.0), tg.Value(5.0)
        >>> (w * x + w).backward()
        >>> w.grad, x.grad
        (6.0, 2.0)
        """
        if other:  # `habits.own_keywords` written out: small graphs are swept in microseconds
            raise habits.no_argument("backward", min(other), ("seed", "keep"))
        if not isinstance(keep, str) or keep not in ("all", "leaves"):
            raise GradError(f"backward: keep is 'all' or 'leaves', not {keep!r}")
        arrived = _shown if _registered else None
        leaves: list[Any] = []
        gradients = sweeping.sweep(
            self, self._seed(seed), keep_all=keep == "all", arrived=arrived, leaves=leaves
        )
        before: dict[Any, Any] = {}
        # No comprehension below, and no loop that ends in an `if`: Python 3.13 jumps back in those
        # outside of the `with`, and Ctrl-C at that moment would leave it locked.
        with _commit:
            for leaf in leaves:
                old, g = leaf._grad, gradients[leaf]
                before[leaf] = old
                gradients[leaf] = g if old is None else old if g is None else arithmetic.add(old, g)
            try:
                for node, g in gradients.items():
                    node._grad = g
            except BaseException:  # Ctrl-C in the middle: a gradient counts once or not at all
                for leaf, old in before.items():
                    leaf._grad = old
                raise

    def _seed(self, seed: Any) -> Any:
        if not self.requires_grad:
            raise GradError(
                f"backward: {_label(self)} was computed from nothing that needs a gradient"
                + (" (inside no_grad?)" if not recording.get() else "")
            )
        if seed is None:
            if self.shape != ():
                raise GradError(
                    f"backward: {_label(self)} has shape {self.shape}. Only a single number has a "
                    "gradient without more; reduce it (tg.mean, tg.sum) or pass seed= of its shape"
                )
            return 1.0 if type(self._data) is float else self._data.dtype.type(1)
        seed = numbers(seed, what="the seed of backward")
        if np.shape(seed) != self.shape:
            raise GradError(
                f"backward: the seed has shape {np.shape(seed)}, {_label(self)} has {self.shape}"
            )
        return as_dtype_of(self._data, seed)

    def register(self, f: Callable[[Any], Any]) -> Callable[[], None]:
        """Show `f` this node's gradient in every `backward` to come; what it returns goes on.

        `f` gets plain numbers of this node's shape, once all that contributes has been added up.
        If it returns others of this shape, these are the gradient instead, here and in all that
        this node was computed from; None changes nothing. The function returned takes `f` off.

        Raises TypeError for what is no function; `backward` raises GradError for a gradient of
        another shape.

        >>> w = tg.Value(2.0)
        >>> z = w * 3
        >>> remove = z.register(lambda dz: -dz)
        >>> z.backward()
        >>> w.grad
        -3.0
        """
        if not callable(f):
            raise TypeError(f"register: {_label(self)} takes a function, not {f!r:.60}")
        hooks, key = _registered.get(id(self)), next(_clock)
        if hooks is None:
            hooks = _registered[id(self)] = {}
            weakref.finalize(self, _registered.pop, id(self), None).atexit = False
        hooks[key] = f

        def remove() -> None:
            hooks.pop(key, None)

        return remove

    def zero_grad(self) -> None:
        """Forget the gradient: `grad` is None again."""
        self._grad = None

    def detach(self) -> Value:
        """The same numbers as a constant: no gradient flows through it."""
        return _leaf(self._data, self.name)

    def item(self) -> float:
        """The number of a Value of one element, as a Python float."""
        if type(self._data) is float:
            return self._data
        if self.size != 1:
            raise GradError(f"item(): {_label(self)} has shape {self.shape}, not a single number")
        return float(np.asarray(self._data).reshape(()))

    # --- methods, as on an array ---------------------------------------------------------------

    sum = _as_method(reductions.sum)
    mean = _as_method(reductions.mean)
    prod = _as_method(reductions.prod)
    max = _as_method(reductions.max)
    min = _as_method(reductions.min)
    var = _as_method(reductions.var)
    std = _as_method(reductions.std)
    cumsum = _as_method(reductions.cumsum)
    softmax = _as_method(reductions.softmax)
    log1p = _as_method(elementwise.log1p)
    expm1 = _as_method(elementwise.expm1)
    exp = _as_method(elementwise.exp)
    log = _as_method(elementwise.log)
    sqrt = _as_method(elementwise.sqrt)
    abs = _as_method(elementwise.absolute)
    sin = _as_method(elementwise.sin)
    cos = _as_method(elementwise.cos)
    tanh = _as_method(elementwise.tanh)
    sigmoid = _as_method(elementwise.sigmoid)
    softplus = _as_method(elementwise.softplus)
    squeeze = _as_method(shaping.squeeze)
    swapaxes = _as_method(shaping.swapaxes)
    ravel = flatten = _as_method(shaping.ravel)
    relu = _as_method(elementwise.relu)
    leaky_relu = _as_method(elementwise.leaky_relu)
    clip = _as_method(elementwise.clip)
    round = _as_method(elementary.round)
    cumprod = _as_method(orderings.cumprod)
    sort = _as_method(orderings.sort)
    take = _as_method(orderings.take)
    repeat = _as_method(arranging.repeat)
    diagonal = _as_method(arranging.diagonal)
    trace = _as_method(arranging.trace)
    # Answers that have no derivative: plain numbers.
    argmax = _as_question(np.argmax)
    argmin = _as_question(np.argmin)
    any = _as_question(np.any)
    all = _as_question(np.all)

    def transpose(self, *axes: Any) -> Value:
        """Axes reversed, or in the order given."""
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None
        return shaping.transpose(self, axes=order)

    def argsort(self, axis: int | None = -1) -> Any:
        """The places of the numbers along `axis` from the smallest to the largest: plain."""
        return np.argsort(self._data, axis=axis, kind="stable")

    def nonzero(self) -> tuple[Any, ...]:
        """The places of the numbers that are not 0: plain."""
        if not self.shape:
            raise GradError(f"nonzero: {_label(self)} is a single number, it has no places")
        return np.nonzero(self._data)

    def copy(self) -> Value:
        """The same numbers in a node of their own; gradients flow through it."""
        return +self

    # --- what Python asks of an object ---------------------------------------------------------

    def __pow__(self, other: Any) -> Any:
        return power(self, other) if _operand(other, "power", self) else NotImplemented

    def __rpow__(self, other: Any) -> Any:
        return power(other, self) if _operand(other, "power", self) else NotImplemented

    def __dir__(self) -> list[str]:
        return sorted(set(super().__dir__()) - _ABSENT.keys())

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            f"{_label(self)}[…] = … would change numbers a graph was computed from. "
            "Use tg.where(mask, new, old), or tg.concatenate of the parts"
        )

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"{_label(self)} is a single number: it has no len()")
        return self.shape[0]

    def __iter__(self) -> Iterator[Value]:
        if not self.shape:
            raise TypeError(f"{_label(self)} is a single number: it cannot be iterated over")
        return (self[i] for i in range(len(self)))

    def __contains__(self, item: Any) -> bool:
        found = _compare(np.equal, self, item)
        return found is not NotImplemented and bool(np.any(found))

    def __bool__(self) -> bool:
        if np.size(self._data) != 1:
            raise GradError(
                f"the truth of {_label(self)}, shape {self.shape}, is ambiguous: use (v > 0).all() "
                "or (v > 0).any()"
            )
        return bool(self._data)

    def __float__(self) -> float:
        raise TypeError(
            f"float({_label(self)}) would lose its gradient. For the number use v.item(); for a "
            "function of it use tg.exp, tg.log, … or np.exp, not math.exp; for an array of Values, "
            "a[i] = v, use a list and tg.stack"
        )

    __int__ = __float__
    __complex__ = __float__

    def __index__(self) -> int:
        raise TypeError(
            f"{_label(self)} is a Value, and a whole number is needed: for an axis, a length, a "
            "place. Of the numbers of a Value it is int(v.item())"
        )

    def __eq__(self, other: Any) -> Any:
        return _compare(np.equal, self, other)

    def __ne__(self, other: Any) -> Any:
        return _compare(np.not_equal, self, other)

    def __lt__(self, other: Any) -> Any:
        return _compare(np.less, self, other)

    def __le__(self, other: Any) -> Any:
        return _compare(np.less_equal, self, other)

    def __gt__(self, other: Any) -> Any:
        return _compare(np.greater, self, other)

    def __ge__(self, other: Any) -> Any:
        return _compare(np.greater_equal, self, other)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        name = printable(f", name={self.name!r}") if self.name is not None else ""
        if type(self._data) is not ndarray:
            return f"Value({self._data!s}{name})"
        text = np.array2string(self._data, prefix="Value(", separator=", ")
        return f"Value({text}, shape={self.shape}{name})"

    def __format__(self, spec: str) -> str:
        if type(self._data) is not ndarray:
            return format(self._data, spec) if spec else str(self._data)
        if not spec:
            return str(self._data)
        return np.array2string(self._data, formatter={"float_kind": lambda x: format(x, spec)})

    def __reduce__(self) -> Any:
        if self.op is not None:
            raise GradError(
                f"{_label(self)} was computed by {self.op}: only leaves can be copied or pickled. "
                "Use v.detach() for its numbers, v.data to plot them"
            )
        kept = np.asarray(self._data), self.name, self.requires_grad, self.grad
        return _restore, (type(self), *kept), getattr(self, "__dict__", None) or None

    def __deepcopy__(self, memo: Any) -> Any:
        import copy

        make, args, attributes = self.__reduce__()
        value = make(*args)
        if attributes:  # of a subclass
            vars(value).update(copy.deepcopy(attributes, memo))
        return value


#: What `register` was given, by the node's identity, as long as there is such a node.
_registered: dict[int, dict[int, Callable[[Any], Any]]] = {}


def _shown(node: Value, g: Any) -> Any:
    """A finished gradient, shown to whom it may concern; what goes on in its place."""
    for f in list(_registered.get(id(node), {}).values()):
        new = f(np.array(g) if type(g) is ndarray else g)
        if new is None:
            continue
        what = f"the gradient that a registered function gives for {_label(node)}"
        new = numbers(new, what=what)
        if np.shape(new) != node.shape:
            raise GradError(f"{what} has shape {np.shape(new)}, not {node.shape}")
        g = as_dtype_of(node._data, new)
    return g


def _restore(cls: type[Value], data: Any, name: str | None, requires_grad: bool, grad: Any) -> Any:
    value = _new(cls)
    Value.__init__(value, data, name, requires_grad)
    value.grad = grad
    return value


def _leaf(data: Any, name: str | None = None) -> Value:
    """A constant of numbers that are in this package's form already."""
    node = _new(Value)
    node._data = data
    node._grad = node.op = None
    node._name = name
    node._x = node._y = node._x_data = node._y_data = node._more = None
    node._needs = 0
    node._created = next(_clock)
    return node


def _record(
    node: Value,
    op: Primitive,
    parents: tuple[Value, ...],
    inputs: tuple[Any, ...],
    options: dict[str, Any] = NO_OPTIONS,
    slope: Any = None,
) -> Value:
    """Note in a new node how it was computed, if this thread records; show it to who watches."""
    if not asking or recording.get():
        node.op = op
        if len(parents) <= 2 and op.compact and not options and slope is None:
            node._x, node._x_data, node._needs = parents[0], inputs[0], parents[0]._needs and 1
            if len(parents) == 2:
                node._y, node._y_data = parents[1], inputs[1]
                node._needs += 2 if parents[1]._needs else 0
        else:
            needs = tuple([x._needs != 0 for x in parents])
            node._needs = 1 if op.differentiable and True in needs else 0
            node._more = parents, inputs, options, slope, needs
    watch = sweeping.watching.get() if asking else None
    if watch is not None:
        watch.computed(node, op, parents)
    return node


def constant(x: Any, others: tuple[Any, ...] = (), op: Primitive | str = "Value") -> Value:
    """A plain number or array as a node without gradient, next to the Values it meets.

    Integer and boolean arrays take the float type of those Values, so that float32 stays float32.
    """
    if type(x) is float:
        return _leaf(x)
    if type(x) is ndarray and x.dtype is FLOAT64 and x.ndim:
        return _leaf(numbers(x))
    if isinstance(x, Value):
        return x  # of a subclass
    if isinstance(x, Operators):
        raise TypeError(f"{op}: a Value and a {type(x).__name__} cannot be mixed")
    data = numbers(x, what=str(op))
    if type(data) is ndarray and np.asarray(x).dtype.kind != "f":
        for other in others:
            if type(other) is Value and type(other._data) is ndarray:
                data = data.astype(other._data.dtype, copy=False)
                data.setflags(write=False)
                break
    return _leaf(data)


def _operand(x: Any, op: Primitive | str, v: Value) -> bool:
    """Is `x` numbers to compute with? Raises TypeError for what is none and has no operators."""
    if isinstance(x, (Value, int, float, ndarray, np.number, np.bool_, list, tuple)):
        return True
    if isinstance(x, (str, bytes, dict, set, frozenset, complex)) or x is None:
        raise TypeError(
            f"{op}: {described(v)} and {x!r:.60}: real numbers, arrays or Values are needed"
        )
    return False


def _unary(op: Primitive, x: Value) -> Value:
    """`Value._apply` to one Value, without options: activations are these."""
    data, scalar, forward = x._data, op.scalar, op.forward
    z = None
    if type(data) is float and scalar is not None:
        try:
            z = scalar(data)
        except (ArithmeticError, ValueError):
            pass  # where Python raises, NumPy's function below answers inf or nan
    if z is None:
        try:
            z = forward(data)
        except (ValueError, IndexError, OverflowError) as error:
            raise _misfit(op, (x,), NO_OPTIONS, error) from None
    node = _new(Value)
    node._data = z if type(z) is float else settled(z)
    node._grad = node._name = node._y = node._y_data = node._more = None
    node._created = next(_clock)
    if asking:
        node.op = node._x = node._x_data = None
        node._needs = 0
        return _record(node, op, (x,), (data,))
    node.op = op
    node._x = x
    node._x_data = data
    node._needs = 1 if x._needs else 0
    return node


def _binary(
    op: Primitive, operate: Callable[[Any, Any], Any]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """An operator of Value and its reflection: `Operators`' one-liner without the detours."""

    def forward(self: Value, other: Any) -> Any:
        if type(other) is not Value:
            if type(other) is not float and not _operand(other, op, self):
                return NotImplemented
            other = constant(other, (self,), op)
        x, y = self._data, other._data
        try:
            z = operate(x, y)
        except (ArithmeticError, ValueError, TypeError):  # 1/0; shapes that do not fit
            return self._apply(op, (self, other), NO_OPTIONS)
        if type(z) is not float:
            z = settled(z)
        # `_apply` written out: scalar graphs are made of these.
        node = _new(Value)
        node._data = z
        node._grad = node._name = node._more = None
        node._created = next(_clock)
        if asking:
            node.op = node._x = node._y = node._x_data = node._y_data = None
            node._needs = 0
            return _record(node, op, (self, other), (x, y))
        node.op = op
        node._x = self
        node._y = other
        node._x_data = x
        node._y_data = y
        if self._needs:
            node._needs = 3 if other._needs else 1
        else:
            node._needs = 2 if other._needs else 0
        return node

    def reflected(self: Value, other: Any) -> Any:
        if not _operand(other, op, self):
            return NotImplemented
        return forward(constant(other, (self,), op), self)

    return forward, reflected


def _augmented(operate: Callable[..., Any], symbol: str) -> Callable[..., Any]:
    """The operator of ``v += …``: the same as ``v = v + …``, where that is what is meant."""

    def method(self: Value, other: Any) -> Any:
        if self._needs and self.op is None:
            _check_no_update(self, other, symbol)
        return operate(self, other)

    return method


def _check_no_update(leaf: Value, other: Any, symbol: str) -> None:
    """Raise GradError for ``p -= lr * p.grad``: it would make a new node and move no parameter.

    An update is told from a sum that begins with a leaf, ``total += loss``: it comes after
    `backward`, or where nothing is recorded, or adds an array of plain numbers.
    """
    if leaf._grad is None and (isinstance(other, Value) or np.ndim(other) == 0):
        if not asking or recording.get():
            return
    name = leaf.name or "p"
    raise GradError(
        f"{_label(leaf)} {symbol}= … would make a new node and leave the leaf as it is: no "
        f"parameter is moved by it. To give it new numbers write {name}.data {symbol}= …; for a "
        f"node computed from it, {name} = {name} {symbol} …"
    )


for _name, _symbol, _op, _operate in (
    ("add", "+", arithmetic.add, operator.add), ("sub", "-", arithmetic.subtract, operator.sub),
    ("mul", "*", arithmetic.multiply, operator.mul),
    ("truediv", "/", arithmetic.divide, operator.truediv),
    ("matmul", "@", linalg.matmul, linalg.matmul.forward),
):  # fmt: skip
    _both = _binary(_op, _operate)
    for _form, _method in zip((f"__{_name}__", f"__r{_name}__"), _both, strict=True):
        _method.__name__ = _form
        setattr(Value, _form, _method)
    setattr(Value, f"__i{_name}__", _augmented(_both[0], _symbol))
#: What a Value has not: operations that are no methods, and what others call otherwise.
_ABSENT = {
    **{
        name: f"tg.{name}"
        for file in (
            arithmetic, arranging, elementary, elementwise, linalg, orderings, reductions, shaping,
        )
        for name in file.__all__
        if not hasattr(Value, name)
    },
    **habits.OF_A_VALUE,
}  # fmt: skip
for _name, _here in _ABSENT.items():
    setattr(Value, _name, habits.Elsewhere(_name, _here))
for _name, _symbol in (("pow", "**"), ("mod", "%"), ("floordiv", "//")):
    setattr(Value, f"__i{_name}__", _augmented(getattr(Value, f"__{_name}__"), _symbol))


def _compare(test: Any, v: Value, other: Any) -> Any:
    try:
        return test(v._data, other._data if isinstance(other, Value) else other)
    except (TypeError, ValueError, OverflowError, np.exceptions.DTypePromotionError):
        return NotImplemented


def _label(v: Value) -> str:
    """How an error calls a node: by its name, else by what it is."""
    if v.name is not None:
        return v.name
    return "an unnamed leaf" if v.op is None else f"the result of {v.op}"


def described(v: Value) -> str:
    """A node in an error message: name and shape."""
    name = v.name or ("a constant" if not v.requires_grad and v.op is None else _label(v))
    return f"{name} {v.shape}"


def _misfit(op: Primitive, parents: Any, options: dict[str, Any], error: Exception) -> GradError:
    """The error of an operation whose inputs do not fit, with their names and shapes."""
    given, shapes = tuple(map(described, parents)), [v.shape for v in parents]
    return misfit(op, given, shapes, options, error)


def name_values(*unnamed: Any, **values: Any) -> None:
    """Name nodes after variables: ``tg.name_values(W1=W1)`` or ``tg.name_values(**locals())``.

    What is not a Value is passed over, so that ``**locals()`` may be given whole.

    >>> W1 = tg.Value(2.0)
    >>> tg.name_values(W1=W1)
    >>> W1.name
    'W1'
    """
    if unnamed:
        raise habits.only_named("name_values", unnamed[0], ["W1"])
    for name, value in values.items():
        if isinstance(value, Value):
            value.name = name
