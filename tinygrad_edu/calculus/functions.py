"""From a function to the function of its derivatives.

Given plain numbers these return plain numbers; given Values they return Values, whose graph can be
differentiated again: the sweep is run on Values, so higher orders need nothing of their own.
"""

from __future__ import annotations

import functools
import operator
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.calculus.trees import flattened, is_tree, rebuilt
from tinygrad_edu.core import sweep as sweeping
from tinygrad_edu.core.numbers import as_dtype_of, numbers
from tinygrad_edu.core.ops.reductions import sum
from tinygrad_edu.core.ops.shaping import reshape, stack
from tinygrad_edu.core.primitive import GradError, plain
from tinygrad_edu.core.primitive import shape as shape_of
from tinygrad_edu.core.recording import recorded
from tinygrad_edu.core.signature import checked
from tinygrad_edu.core.sweep import reachable
from tinygrad_edu.core.value import Value, described

Function = Callable[..., Any]


def as_values(node: Value) -> tuple[Value, tuple[Value, ...]]:
    """What a rule sees of a node when gradients are to be graphs: the node and its inputs.

    Raises GradError for an input that was given new numbers after the node was computed from it.
    """
    for parent, x in zip(node.parents, node._inputs, strict=True):
        if parent._data is not x:
            raise GradError(
                f"{described(parent)} was given new numbers after {node.op} had been computed from "
                "it: for derivatives of derivatives compute the result again"
            )
    return node, node.parents


class _UnderWay(threading.local):
    """The leaves of this thread's calls under way: what an inner call may depend on."""

    leaves: frozenset[Value] = frozenset()


_under_way = _UnderWay()


class _Call:
    """One call of a function on leaves of its own, ready for sweeps."""

    def __init__(
        self, name: str, f: Function, argnums: int | tuple[int, ...], args: Any, kwargs: Any
    ) -> None:
        self.many = isinstance(argnums, (tuple, list))
        numbered: Any = argnums if self.many else (argnums,)
        picked = [operator.index(i) for i in numbered]
        inner = list(args)
        chosen: dict[int, list[Value]] = {}
        for i in picked:
            if not -len(args) <= i < len(args):
                raise GradError(f"{name}: there is no argument {i}; {len(args)} were given")
            chosen[i % len(args)] = [_own_leaf(x, key) for x, key in flattened(args[i])]
            inner[i] = rebuilt(args[i], iter(chosen[i % len(args)]))
        #: The arguments differentiated by, as they were given, and the leaves of all.
        self.arguments = [args[i] for i in picked]
        self.leaves = [leaf for i in picked for leaf in chosen[i % len(args)]]
        outer = _under_way.leaves
        _under_way.leaves = outer.union(self.leaves)
        try:
            with recorded():  # what is differentiated is recorded, also inside no_grad
                out = f(*inner, **kwargs)
        finally:
            _under_way.leaves = outer
        if not isinstance(out, Value):
            raise TypeError(f"{name}: {_no_value(out)}")
        self.out = out
        # The function may also use what an outer call differentiates by, from around it.
        given = [*args, *(x for arg in self.arguments for x, _ in flattened(arg))]
        self.nested = any(isinstance(x, Value) for x in given) or (
            bool(outer) and not outer.isdisjoint(reachable(out))
        )

    def pull(self, seed: Any) -> tuple[Any, ...]:
        """The gradients of the chosen arguments, given that of the result."""
        found: dict[Any, Any] = {}
        nested = self.nested or isinstance(seed, Value)  # the gradients depend on the seed too
        if self.out.requires_grad:
            if not isinstance(seed, Value):
                seed = as_dtype_of(self.out._data, seed)
                seed = Value(seed, requires_grad=False) if nested else seed
            read = as_values if nested else None
            found = sweeping.sweep(self.out, seed, read, wrt=frozenset(self.leaves))
        return tuple(self._finished(found.get(leaf), leaf, nested) for leaf in self.leaves)

    def gradients(self, seed: Any) -> tuple[Any, ...]:
        """The same in the structures that the arguments had."""
        return self.in_structure(self.pull(seed))

    def in_structure(self, found: Iterable[Any]) -> tuple[Any, ...]:
        """Something for each leaf, in the structures that the arguments had."""
        parts = iter(found)
        return tuple(rebuilt(argument, parts) for argument in self.arguments)

    def _finished(self, g: Any, leaf: Value, nested: bool) -> Any:
        if g is None:
            g = np.zeros_like(leaf._data)[()] if type(leaf._data) is not float else 0.0
        if not nested:
            return np.array(g) if type(g) is np.ndarray else g
        return g if isinstance(g, Value) else Value(g, requires_grad=False)

    def result(self) -> Any:
        return self.out if self.nested else _mine(self.out._data)

    def one_or_all(self, found: tuple[Any, ...]) -> Any:
        return found if self.many else found[0]


def _no_value(out: Any) -> str:
    """Why a function's result cannot be differentiated."""
    if out is None:
        return "the function returned None: is a return missing?"
    if isinstance(out, (list, tuple)) and any(isinstance(x, Value) for x in out):
        return (
            f"the function returned a {type(out).__name__} of {len(out)}; one Value is needed: "
            "return tg.stack([…]) or tg.concatenate([…]) of them, or differentiate each alone"
        )
    return (
        f"the function returned {type(out).__name__}, not a Value, so its derivative was lost on "
        "the way. Inside it use operators, NumPy's or tinygrad_edu's functions, not .data, .item() "
        "or math"
    )


def _own_leaf(x: Any, name: str | None) -> Value:
    with recorded():
        leaf = +x if isinstance(x, Value) else Value(x)
    leaf.name = getattr(x, "name", None) or name
    leaf._needs = leaf._needs or 4  # differentiated by, though the argument is a constant
    return leaf


def _mine(data: Any) -> Any:
    return data.copy() if type(data) is np.ndarray else data


@checked
def value_and_grad(f: Function, argnums: int | tuple[int, ...] = 0) -> Function:
    """The function that returns ``f(…)`` and its gradient with respect to one argument, or several.

    `f` returns a single number (a Value of shape ()). The gradient has the argument's shape; a
    tuple of `argnums` gives a tuple. An argument may hold several arrays, in a dictionary, list or
    tuple: its gradient is such a structure too.

    Raises GradError for a result that is no single number, TypeError for one that is no Value.

    >>> tg.value_and_grad(lambda x: x * x)(3.0)
    (9.0, 6.0)
    """

    return _value_and_grad("value_and_grad", f, argnums)


def _value_and_grad(name: str, f: Function, argnums: int | tuple[int, ...]) -> Function:
    """`value_and_grad`, for the function that errors are to call by its name."""

    @functools.wraps(f)
    def of(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        call = _Call(name, f, argnums, args, kwargs)
        if call.out.shape != ():
            raise GradError(
                f"{name}: the function returned shape {call.out.shape}; a gradient belongs to a "
                "single number. Reduce it (tg.sum, tg.mean), or use tg.jacobian or tg.vjp"
            )
        return call.result(), call.one_or_all(call.gradients(1.0))

    return of


@checked
def grad(f: Function, argnums: int | tuple[int, ...] = 0) -> Function:
    """The gradient of a function, as a function; nest it for higher derivatives.

    Arguments, results and errors as for `value_and_grad`.

    >>> tg.grad(lambda x: x**3)(2.0)
    12.0
    >>> tg.grad(tg.grad(lambda x: x**3))(2.0)
    12.0
    """
    return _grad("grad", f, argnums)


def _grad(name: str, f: Function, argnums: int | tuple[int, ...] = 0) -> Function:
    both = _value_and_grad(name, f, argnums)

    @functools.wraps(f)
    def of(*args: Any, **kwargs: Any) -> Any:
        return both(*args, **kwargs)[1]

    return of


@checked
def vjp(f: Function, *args: Any) -> tuple[Any, Function]:
    """``f(*args)``, and the function from a seed (in its shape) to the gradients of all arguments.

    Raises GradError for a seed of another shape.

    >>> z, back = tg.vjp(lambda x, y: x * y, 3.0, 4.0)
    >>> z, back(10.0)
    (12.0, (40.0, 30.0))
    """
    call = _Call("vjp", f, tuple(range(len(args))), args, {})

    def back(seed: Any) -> tuple[Any, ...]:
        if not isinstance(seed, Value):
            seed = numbers(seed, what="the seed of vjp")
        if np.shape(seed) != call.out.shape:
            raise GradError(
                f"vjp: the seed has shape {np.shape(seed)}, the result {call.out.shape}"
            )
        return call.gradients(seed)

    return call.result(), back


@checked
def jacobian(f: Function, argnums: int | tuple[int, ...] = 0) -> Function:
    """All derivatives of all entries of a result: shape of the result, then shape of the argument.

    >>> tg.jacobian(lambda x: x**2)(np.array([1.0, 2.0])).tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """

    @functools.wraps(f)
    def of(*args: Any, **kwargs: Any) -> Any:
        call = _Call("jacobian", f, argnums, args, kwargs)
        size = call.out.size
        rows = []
        for k in range(size):
            one = np.zeros(size)
            one[k] = 1.0
            rows.append(call.pull(numbers(one.reshape(call.out.shape))))
        assembled = (
            _assembled([row[i] for row in rows], call.out.shape + leaf.shape)
            for i, leaf in enumerate(call.leaves)
        )
        return call.one_or_all(call.in_structure(assembled))

    return of


def _assembled(rows: list[Any], shape: tuple[int, ...]) -> Any:
    if not rows:
        return np.zeros(shape)
    return reshape(stack(rows), shape=shape) if shape else rows[0]


@checked
def hessian(f: Function, argnums: int = 0) -> Function:
    """The second derivatives of a single number: the Jacobian of its gradient.

    >>> tg.hessian(lambda x: x[0] * x[1] ** 2)(np.array([2.0, 3.0])).tolist()
    [[0.0, 6.0], [6.0, 4.0]]
    """
    derivatives = jacobian(_grad("hessian", f, argnums), argnums)

    @functools.wraps(f)
    def of(*args: Any, **kwargs: Any) -> Any:
        if -len(args) <= argnums < len(args) and is_tree(args[argnums]):
            raise GradError(
                "hessian: of one array or number, not of several in a dictionary, list or tuple"
            )
        return derivatives(*args, **kwargs)

    return of


@checked
def jvp(f: Function, args: tuple[Any, ...], directions: tuple[Any, ...]) -> tuple[Any, Any]:
    """``f(*args)``, and how it changes when all arguments move along their directions.

    The derivative times a vector, without the whole Jacobian: the backward sweep is linear in its
    seed, and its own derivative by that seed is what a forward sweep would give.

    Raises GradError where arguments and directions differ in structure or shape.

    >>> tg.jvp(lambda x, y: x * y, (3.0, 4.0), (1.0, 10.0))
    (12.0, 34.0)
    """
    call = _Call("jvp", f, tuple(range(len(args))), args, {})
    along = _directions("jvp", args, directions)
    seed = Value(np.zeros_like(call.out._data))
    with recorded():
        change: Any = 0.0
        for g, direction in zip(call.pull(seed), along, strict=True):
            change = change + sum(g * direction)
    moved: Any = None
    if isinstance(change, Value) and change.requires_grad:
        read = as_values if call.nested else None
        moved = sweeping.sweep(change, _one_of(change), read, wrt=frozenset({seed})).get(seed)
    if moved is None:
        moved = np.zeros_like(call.out._data)
    if call.nested and not isinstance(moved, Value):
        moved = Value(moved, requires_grad=False)
    return call.result(), moved if isinstance(moved, Value) else plain(np.array(moved))


def _one_of(x: Value) -> Any:
    """The seed of a single number."""
    return as_dtype_of(x._data, 1.0)


def _directions(name: str, args: tuple[Any, ...], directions: tuple[Any, ...]) -> list[Any]:
    """The directions of all leaves, each of its leaf's shape."""
    given, found = (
        [leaf for x in several for leaf, _ in flattened(x)] for several in (args, directions)
    )
    shapes = list(map(shape_of, given))
    if shapes != list(map(shape_of, found)):
        raise GradError(
            f"{name}: the arguments have the shapes {shapes}; give a direction of its shape for "
            "each, in a tuple"
        )
    return [x if isinstance(x, Value) else numbers(x, what=f"a direction of {name}") for x in found]


@checked
def hvp(f: Function, x: Any, direction: Any) -> Any:
    """The Hessian of a single number times a vector, without the whole Hessian.

    `x` and `direction`: arrays of one shape, or structures of such alike: how the gradient at x
    changes along a direction.

    Raises GradError where they differ in structure or shape.

    >>> tg.hvp(lambda x: x[0] * x[1] ** 2, np.array([2.0, 3.0]), np.array([1.0, 0.0])).tolist()
    [0.0, 6.0]
    """
    along = _directions("hvp", (x,), (direction,))

    def slope(y: Any) -> Any:
        total: Any = 0.0
        parts = [g for g, _ in flattened(_grad("hvp", f)(y))]
        for g, part in zip(parts, along, strict=True):
            total = total + sum(g * part)
        return total

    return _grad("hvp", slope)(x)


@checked
def backward(results: Sequence[Any], seeds: Sequence[Any] | None = None, keep: str = "all") -> None:
    """One sweep from several results: in every node the sum of what each result contributes.

    `seeds`: the gradient of each result, in its shape; without them results are single numbers,
    whose seeds are 1. `keep`: as of `Value.backward`.

    Raises GradError where seeds do not fit.

    >>> w = tg.Value(3.0)
    >>> tg.backward([w * w, 10 * w])
    >>> w.grad
    16.0
    """
    values = list(results)
    if not values or not all(isinstance(z, Value) for z in values):
        raise TypeError("backward: the results are Values, one or more, in a list")
    if seeds is not None and len(seeds) != len(values):
        raise GradError(f"backward: {len(values)} results and {len(seeds)} seeds were given")
    given = seeds or [None] * len(values)
    total = weighted_sum(values, [z._seed(seed) for z, seed in zip(values, given)])
    total.backward(keep=keep)


def weighted_sum(results: Sequence[Value], seeds: Sequence[Any]) -> Value:
    """The sum of results, each times its seed: one sweep from it goes back from all of them.

    >>> weighted_sum([tg.Value(3.0), tg.Value([1.0, 2.0])], [10.0, np.array([1.0, 0.0])]).item()
    31.0
    """
    with recorded():
        parts = [z * s if z.shape == () else sum(z * s) for z, s in zip(results, seeds)]
        total: Value = parts[0]
        for part in parts[1:]:
            total = total + part
    return total
