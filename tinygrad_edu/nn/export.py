"""A recorded graph and its derived gradients as a function another engine compiles and distributes.

The rules of the operations say nothing about numbers, so they run on an engine's arrays as they run
on NumPy's: what JAX compiles here is this package's backward pass, not JAX's own.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Container
from typing import Any

import numpy as np

from tinygrad_edu.core.habits import only_named
from tinygrad_edu.core.numbers import numbers
from tinygrad_edu.core.operators import Operators
from tinygrad_edu.core.ops.shaping import summed_axes
from tinygrad_edu.core.primitive import GradError, Primitive, Shape
from tinygrad_edu.core.signature import checked
from tinygrad_edu.core.sweep import needed, reachable, sweep
from tinygrad_edu.core.value import Value

Program = Callable[..., tuple[Any, dict[str, Any]]]


@checked
def export(cost: Value, engine: str = "jax") -> Program:
    """The graph of `cost` as a function of its leaves: ``f(W1=…, X=…) -> (cost, {"W1": dW1, …})``.

    Gradients are those of the named leaves that need one. A name that is left out keeps its
    recorded numbers. The function is made of pure array operations: ``jax.jit`` compiles it, and an
    X that is sharded over devices along its examples makes training data parallel. Another number
    of examples than the recorded one is fine, unless the graph itself reshapes to a fixed size.

    JAX computes in float32 unless ``jax.config.update("jax_enable_x64", True)`` is set.

    Raises ImportError without JAX; GradError for an unknown engine, a cost that is not a single
    number, and leaves without a name or with the same one.
    """
    if engine != "jax":
        raise GradError(f"export: the engine is 'jax', not {engine!r}")
    if cost.shape != ():
        raise GradError(f"export: the cost has shape {cost.shape}; it must be a single number")
    try:
        jnp = importlib.import_module("jax.numpy")
    except ImportError:
        raise ImportError("exporting to JAX needs it: pip install jax jaxlib") from None
    order = reachable(cost, every=True)[::-1]
    learning = needed(order)
    leaves = _named_leaves(order, learning)

    def program(*unnamed: Any, **given: Any) -> tuple[Any, dict[str, Any]]:
        _check_names(unnamed, given, leaves)
        held: dict[Any, Any] = {}
        for node in order:
            if node.op is not None:
                held[node] = node.op(*(held[parent] for parent in node.parents), **node.options)
            elif node.name is not None:
                x = given.get(node.name, node._data)
                held[node] = JaxArray(jnp.asarray(_fitting(node, x)))
            else:
                held[node] = node._data
        z = held[cost]

        def read(node: Value) -> tuple[Any, tuple[Any, ...]]:
            return held[node], tuple(held[parent] for parent in node.parents)

        gradients = sweep(cost, JaxArray(jnp.ones_like(z.array)), read)
        wanted = {name: leaf for name, leaf in leaves.items() if leaf in learning}
        return z.array, {
            name: jnp.zeros(leaf.shape) if gradients.get(leaf) is None else bare(gradients[leaf])
            for name, leaf in wanted.items()
        }

    return program


def _check_names(unnamed: tuple[Any, ...], given: dict[str, Any], leaves: dict[str, Value]) -> None:
    """Raise TypeError for an argument that was given without a name, or that no leaf has."""
    if unnamed:
        raise only_named("program", unnamed[0], leaves)
    if unknown := sorted(given.keys() - leaves.keys()):
        raise TypeError(f"the graph has no leaf {', '.join(unknown)}; it has {', '.join(leaves)}")


def _named_leaves(order: list[Value], learning: Container[Value]) -> dict[str, Value]:
    """The leaves that have names, of which no two are the same; those that learn need one."""
    leaves: dict[str, Value] = {}
    for node in order:
        if node.op is not None:
            continue
        if node.name in leaves:
            raise GradError(f"export: two leaves are called {node.name}")
        if node.name is not None:
            leaves[node.name] = node
        elif node in learning:
            raise GradError(
                f"export: a leaf of shape {node.shape} needs a gradient and has no name; "
                "tg.name_values(W1=W1, …) gives it one"
            )
    return leaves


def _fitting(leaf: Value, x: Any) -> Any:
    """What was given for a leaf, with as many axes; JAX's own arrays, traced ones too, as they are.

    The axes may have other lengths: that of the examples, say.
    """
    if not hasattr(x, "aval"):
        x = numbers(x._data if isinstance(x, Value) else x, what=str(leaf.name))
    if len(np.shape(x)) != leaf.ndim:
        raise GradError(
            f"{leaf.name}: shape {np.shape(x)} was given, the graph was recorded for {leaf.shape}"
        )
    return x


class JaxArray(Operators):
    """An array of JAX that this package's operations and rules can be run on."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    @property
    def shape(self) -> Shape:
        return tuple(self.array.shape)

    @classmethod
    def _apply(cls, op: Primitive, args: tuple[Any, ...], options: dict[str, Any]) -> JaxArray:
        jax = importlib.import_module("jax")
        own = IN_JAX.get(op.name)
        if own is not None:
            return cls(own(jax, *map(bare, args), **options))
        if hasattr(jax.numpy, op.name):  # most operations have NumPy's name, and so JAX's
            return cls(getattr(jax.numpy, op.name)(*map(bare, args), **options))
        if op.definition is not None:
            z = op.definition(*args, **options)
            return z if isinstance(z, cls) else cls(jax.numpy.asarray(z))
        raise GradError(f"export: {op} has no counterpart in JAX")


def bare(x: Any) -> Any:
    """The engine's own array."""
    return x.array if isinstance(x, JaxArray) else x


def _mask(name: str) -> Callable[..., Any]:
    """A comparison as 0.0 and 1.0 in the inputs' own type, so that masks can be computed with."""

    def compare(jax: Any, x: Any, y: Any) -> Any:
        return getattr(jax.numpy, name)(x, y).astype(jax.numpy.result_type(x, y))

    return compare


def _sum_to(jax: Any, x: Any, shape: Shape) -> Any:
    lead, kept = summed_axes(tuple(x.shape), tuple(shape))
    return jax.numpy.sum(x, axis=lead + kept, keepdims=True).reshape(shape)


def _leaky(jax: Any, x: Any, slope: float = 0.01, at_zero: float = 1) -> Any:
    return jax.numpy.where(x >= 0, x, slope * x)


def _xdivy(jax: Any, x: Any, y: Any) -> Any:
    return jax.numpy.where(x == 0, 0.0, x / jax.numpy.where(x == 0, 1.0, y))


def _divide_or_zero(jax: Any, x: Any, y: Any) -> Any:
    return jax.numpy.where(y == 0, 0.0, x / jax.numpy.where(y == 0, 1.0, y))


def _power_term(jax: Any, c: Any, x: Any, y: Any, logs: int = 0) -> Any:
    left_out = c == 0 if not logs else (c == 0) | ((x == 0) & (y >= 0))
    x = jax.numpy.where(left_out, 1.0, x)
    return jax.numpy.where(left_out, 0.0, c * x**y * jax.numpy.log(x) ** logs)


def _placed_along(jax: Any, x: Any, index: Any, axis: int, n: int) -> Any:
    x, index = (jax.numpy.moveaxis(jax.numpy.asarray(a), axis, -1)[..., None] for a in (x, index))
    placed = jax.numpy.sum(x * (index == jax.numpy.arange(n)), axis=-2)
    return jax.numpy.moveaxis(placed, -1, axis)


def _of_matrices(name: str, part: int | None = None, **options: Any) -> Callable[..., Any]:
    """A function of `linalg`, or a part of what it gives."""

    def function(jax: Any, x: Any, part: int | None = part) -> Any:
        z = getattr(jax.numpy.linalg, name)(x, **options)
        return z if part is None else z[part]

    return function


def _over_gaps(jax: Any, x: Any, w: Any, v: Any, strict: bool = True) -> Any:
    gap = jax.numpy.expand_dims(w, -2) - jax.numpy.expand_dims(v, -1)
    return jax.numpy.where(gap == 0, 0.0, x / jax.numpy.where(gap == 0, 1.0, gap))


def _places(shape: Shape, lengths: Shape, axes: Shape) -> Any:
    """Where in a row of all its numbers those of an array's windows stand."""
    numbers = np.arange(np.prod(shape)).reshape(shape)
    return np.lib.stride_tricks.sliding_window_view(numbers, lengths, axes)


def _norm(jax: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return jax.numpy.sqrt(jax.numpy.sum(x * x, axis=axis, keepdims=keepdims))


def _softmax_loss(jax: Any, z: Any, y: Any, axis: int = 0) -> Any:
    return -jax.numpy.sum(y * jax.nn.log_softmax(z, axis=axis), axis=axis)


def _logistic_loss(jax: Any, z: Any, y: Any, axis: int | None = None) -> Any:
    loss = jax.nn.softplus(z) - y * z
    return loss if axis is None else jax.numpy.sum(loss, axis=axis)


def _bernoulli_loss(jax: Any, a: Any, y: Any, axis: int | None = None) -> Any:
    loss = -(jax.scipy.special.xlogy(y, a) + jax.scipy.special.xlogy(1 - y, 1 - a))
    return loss if axis is None else jax.numpy.sum(loss, axis=axis)


#: Operations whose name or form in JAX is another than NumPy's; the first argument is the module.
IN_JAX: dict[str, Callable[..., Any]] = {
    **{
        name: _mask(name)
        for name in ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
    },
    "power_constant": lambda jax, x, n: x**n,
    "where": lambda jax, c, x, y: jax.numpy.where(jax.numpy.asarray(c) != 0, x, y),
    "is_nan": lambda jax, x: jax.numpy.isnan(x).astype(x.dtype),
    "ranks": lambda jax, x, axis: jax.numpy.argsort(
        jax.numpy.argsort(x, axis=axis), axis=axis
    ).astype(x.dtype),
    "picked_along": lambda jax, x, index, axis: jax.numpy.take_along_axis(
        x, jax.numpy.asarray(index).astype(int), axis
    ),
    "placed_along": _placed_along,
    **{name: _of_matrices(name) for name in ("inv", "det", "pinv")},
    "log_abs_det": _of_matrices("slogdet", 1),
    "sign_of_det": _of_matrices("slogdet", 0),
    "cholesky_factor": _of_matrices("cholesky"),
    "eigh_part": _of_matrices("eigh"),
    "svd_part": _of_matrices("svd", full_matrices=False),
    "qr_part": _of_matrices("qr"),
    "over_gaps": _over_gaps,
    "windows": lambda jax, x, lengths, axes: jax.numpy.ravel(x)[
        _places(np.shape(x), lengths, axes)
    ],
    "windows_summed": lambda jax, x, lengths, axes, shape: (
        jax.numpy.zeros(shape, x.dtype).ravel().at[_places(shape, lengths, axes)].add(x)
    ).reshape(shape),
    "erf": lambda jax, x: jax.scipy.special.erf(x),
    "erfc": lambda jax, x: jax.scipy.special.erfc(x),
    "sigmoid": lambda jax, x: jax.nn.sigmoid(x),
    "softplus": lambda jax, x: jax.nn.softplus(x),
    "relu": lambda jax, x, at_zero=1: jax.numpy.maximum(x, 0),
    "leaky_relu": _leaky,
    "xlogy": lambda jax, x, y: jax.scipy.special.xlogy(x, y),
    "xdivy": _xdivy,
    "divide_or_zero": _divide_or_zero,
    "power_log": lambda jax, x, y, logs: _power_term(jax, 1.0, x, y, logs),
    "power_term": _power_term,
    "sum_to": _sum_to,
    "getitem": lambda jax, x, index: x[index],
    "scatter": lambda jax, x, index, shape: jax.numpy.zeros(shape, x.dtype).at[index].add(x),
    "joined": lambda jax, *xs, axis=0: jax.numpy.concatenate(xs, axis=axis),
    "norm": _norm,
    "logsumexp": lambda jax, x, **axes: jax.nn.logsumexp(x, **axes),
    "softmax": lambda jax, x, axis=None: jax.nn.softmax(x, axis=axis),
    "log_softmax": lambda jax, x, axis=None: jax.nn.log_softmax(x, axis=axis),
    "softmax_loss": _softmax_loss,
    "logistic_loss": _logistic_loss,
    "bernoulli_loss": _bernoulli_loss,
}
