"""NumPy's own functions on Values: one map from what NumPy calls to the operation it means.

``np.tanh(W1 @ X + b1)`` gives the same node as ``tg.tanh``. What has no rule raises a TypeError
naming it; nothing ever comes back as an array that silently lost its gradient.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from tinygrad_edu.core.habits import OF_NUMPY, hint
from tinygrad_edu.core.operators import maximum, power
from tinygrad_edu.core.ops import arithmetic, arranging, elementwise, linalg, reductions, shaping
from tinygrad_edu.core.ops.partial import norm_of_order
from tinygrad_edu.core.primitive import GradError, Primitive, Traced, parameters

#: NumPy's element-wise functions, and matmul.
UFUNCS: dict[Any, Callable[..., Any]] = {
    np.add: arithmetic.add,
    np.subtract: arithmetic.subtract,
    np.multiply: arithmetic.multiply,
    np.divide: arithmetic.divide,
    np.negative: arithmetic.negative,
    np.positive: arithmetic.positive,
    np.power: power,
    np.float_power: power,
    np.maximum: maximum,
    np.minimum: arithmetic.minimum,
    np.exp: elementwise.exp,
    np.expm1: elementwise.expm1,
    np.log: elementwise.log,
    np.log1p: elementwise.log1p,
    np.log2: elementwise.log2,
    np.log10: elementwise.log10,
    np.sqrt: elementwise.sqrt,
    np.absolute: elementwise.absolute,
    np.fabs: elementwise.absolute,
    np.sign: elementwise.sign,
    np.sin: elementwise.sin,
    np.cos: elementwise.cos,
    np.tan: elementwise.tan,
    np.arctan: elementwise.arctan,
    np.sinh: elementwise.sinh,
    np.cosh: elementwise.cosh,
    np.tanh: elementwise.tanh,
    np.matmul: linalg.matmul,
}

#: Reductions of an element-wise function, as in ``np.add.reduce``.
REDUCTIONS: dict[Any, Callable[..., Any]] = {
    np.add: reductions.sum,
    np.multiply: reductions.prod,
    np.maximum: reductions.max,
    np.minimum: reductions.min,
}

#: NumPy's other functions.
FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: reductions.sum,
    np.mean: reductions.mean,
    np.prod: reductions.prod,
    np.max: reductions.max,
    np.min: reductions.min,
    np.var: reductions.var,
    np.std: reductions.std,
    np.linalg.norm: lambda x, ord=None, axis=None, keepdims=False: norm_of_order(
        x, axis, keepdims, ord
    ),
    np.linalg.vector_norm: lambda x, axis=None, keepdims=False, ord=2: norm_of_order(
        x if axis is not None else shaping.ravel(x), axis, keepdims, ord
    ),
    np.linalg.matrix_norm: lambda x, keepdims=False, ord="fro": norm_of_order(
        x, (-2, -1), keepdims, ord
    ),
    np.cumsum: reductions.cumsum,
    np.dot: linalg.dot,
    np.outer: linalg.outer,
    np.linalg.matmul: linalg.matmul,
    np.linalg.trace: lambda x, offset=0: arranging.trace(x, offset, -2, -1),
    np.linalg.diagonal: lambda x, offset=0: arranging.diagonal(x, offset, -2, -1),
    np.where: arithmetic.where,
    np.clip: lambda a, a_min=None, a_max=None, min=None, max=None: elementwise.clip(
        a, _one_of("min", a_min, min), _one_of("max", a_max, max)
    ),
    np.reshape: lambda a, shape: shaping.reshape(a, shape),
    np.ravel: shaping.ravel,
    np.transpose: lambda a, axes=None: shaping.transpose(a, axes=axes),
    np.matrix_transpose: lambda x: shaping.swapaxes(x, -1, -2),
    np.swapaxes: shaping.swapaxes,
    np.moveaxis: shaping.moveaxis,
    np.expand_dims: shaping.expand_dims,
    np.squeeze: shaping.squeeze,
    np.broadcast_to: shaping.broadcast_to,
    np.concatenate: shaping.concatenate,
    np.stack: shaping.stack,
    np.vstack: shaping.vstack,
    np.hstack: shaping.hstack,
}

#: Where NumPy has functions of arrays; what a name is in the first of them counts.
_MODULES = (np, np.linalg, np.lib.stride_tricks)


@functools.cache
def others() -> dict[Any, Callable[..., Any]]:
    """NumPy's functions of the names in `PUBLIC`; the files of that are imported when first asked
    for, as the rooms are."""
    from tinygrad_edu.core.ops.table import PUBLIC

    found = {}
    for name, operation in PUBLIC.items():
        for module in _MODULES:
            if name in vars(module):
                found[vars(module)[name]] = operation
                break
    return found


def meaning_of(function: Any) -> Callable[..., Any] | None:
    """The operation that one of NumPy's functions means; None where there is none.

    >>> meaning_of(np.tanh)
    <operation tanh>
    """
    return UFUNCS.get(function) or FUNCTIONS.get(function) or others().get(function)


def meaning_of_ufunc(ufunc: Any, method: str) -> Callable[..., Any] | None:
    """The same of ``ufunc(…)``, method ``"__call__"``, and of ``ufunc.reduce(…)``."""
    if method == "__call__":
        return meaning_of(ufunc)
    return REDUCTIONS.get(ufunc) if method == "reduce" else None


#: Arguments of NumPy's functions that no operation has, and the value with which they say nothing.
IDLE: dict[str, Any] = {
    "out": None, "where": True, "dtype": None, "casting": "same_kind", "copy": None,
    "signature": None, "axes": None, "axis": None, "keepdims": False, "order": "C",
    "initial": np._NoValue, "correction": np._NoValue, "mean": np._NoValue,
    "UPLO": "L", "hermitian": False, "subok": True, "writeable": False,
    "returned": False, "mode": "raise", "overwrite_input": False, "kind": None, "stable": None,
}  # fmt: skip


def honoured(function: Any, meaning: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    """The keywords that `meaning` takes. Raises TypeError for another, unless it says nothing."""
    known = _parameters(meaning)
    kept = {}
    for key, value in options.items():
        idle = "K" if key == "order" and isinstance(function, np.ufunc) else IDLE.get(key)
        if value is np._NoValue or (value is False and key == "subok"):
            continue
        if key == "optimize":  # says in which order, not what
            continue
        if key in known:
            kept[key] = value
        elif key not in IDLE or not (value is idle or (isinstance(value, str) and value == idle)):
            refuse(function, f"does not take {key}={value!r:.40}")
    return kept


def _named(
    function: Any, meaning: Callable[..., Any], args: Any, options: Any
) -> tuple[Any, dict[str, Any]]:
    """Arguments under NumPy's names, from the first on that no operation has."""
    if len(args) == 1:
        return args, options
    try:
        names = _signature(function)
    except ValueError:  # written in C
        return args, options
    if not args and names and names[0] in options:
        args, options = (options[names[0]],), {k: v for k, v in options.items() if k != names[0]}
    known = _parameters(meaning)
    foreign = [i for i, name in enumerate(names[: len(args)]) if name in IDLE.keys() - known]
    if not foreign:
        return args, options
    after = dict(zip(names[foreign[0] :], args[foreign[0] :]))
    for name in known.intersection(after):
        refuse(function, f"takes {name}= by its name only")
    return args[: foreign[0]], {**options, **after}


@functools.cache
def _signature(function: Any) -> list[str]:
    """What a function calls its arguments, as far as they have names: all of ``*arrays`` have one.

    Raises ValueError for what is written in C.
    """
    given = inspect.signature(function).parameters.values()
    several = [i for i, p in enumerate(given) if p.kind is p.VAR_POSITIONAL]
    return [p.name for p in given][: several[0] if several else None]


@functools.cache
def _parameters(meaning: Callable[..., Any]) -> frozenset[str]:
    if isinstance(meaning, Primitive):
        more = () if meaning.general is None else parameters(meaning.general)
        return frozenset((*meaning.parameters, *more))
    return frozenset(inspect.signature(meaning).parameters)


def _one_of(name: str, old: Any, new: Any) -> Any:
    """A limit of clip, which NumPy takes under two names."""
    if old is not None and new is not None:
        raise TypeError(f"a_{name}= and {name}= are the same limit: give one of them")
    return old if new is None else new


#: Questions whose answer is not differentiable: asked of the numbers, answered with plain numbers.
QUESTIONS: frozenset[Any] = frozenset(
    {
        np.equal, np.not_equal, np.greater, np.greater_equal, np.less, np.less_equal,
        np.isnan, np.isinf, np.isfinite, np.signbit, np.logical_not, np.logical_and, np.logical_or,
        np.shape, np.ndim, np.size, np.argmax, np.argmin, np.argsort, np.any, np.all,
        np.allclose, np.isclose, np.array_equal, np.zeros_like, np.ones_like, np.full_like,
        np.empty_like, np.count_nonzero, np.nonzero, np.result_type, np.can_cast,
    }
)  # fmt: skip


def name_of(function: Any) -> str:
    """How a user wrote it: ``np.tanh``, ``np.linalg.norm``, ``np.add.outer``."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return f"np.{owner.__name__}.{function.__name__}"
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module}.{function.__name__}".replace("numpy", "np", 1)


def refuse(function: Any, why: str = "has no rule") -> NoReturn:
    """The error for what cannot be differentiated."""
    told = hint(function.__name__, (), OF_NUMPY) if why == "has no rule" else ""
    raise TypeError(
        f"{name_of(function)} {why} on a Value{told}. For plain numbers, without gradient, "
        "pass v.data; tinygrad_edu's own operations are listed by dir(tinygrad_edu)"
    )


def plain_inputs(x: Any) -> Any:
    """`x` with every Value in it, in lists and tuples too, replaced by its numbers."""
    if isinstance(x, Traced):
        return x._data  # type: ignore[attr-defined]
    return type(x)(map(plain_inputs, x)) if type(x) in (list, tuple) else x


class NumPyProtocol:
    """What NumPy asks of an operand before it would make an object array of it."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if ufunc in QUESTIONS and method == "__call__":
            if kwargs.get("out") is not None:
                refuse(ufunc, "does not take out=")
            try:
                return ufunc(*map(plain_inputs, inputs), **kwargs)
            except (OverflowError, ValueError) as error:
                raise GradError(f"{name_of(ufunc)}: {error}") from None
        meaning = meaning_of_ufunc(ufunc, method)
        if meaning is None:
            refuse(ufunc if method == "__call__" else getattr(ufunc, method), "has no rule")
        kwargs = honoured(ufunc, meaning, kwargs)
        if method == "reduce":
            kwargs.setdefault("axis", 0)
        return meaning(*inputs, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        others = (*args[1:], *kwargs.values())
        if func is np.full_like and any(isinstance(x, Traced) for x in others):
            refuse(func, "cannot fill an array with a Value: that has no rule")
        if func in QUESTIONS:
            return func(*map(plain_inputs, args), **{k: plain_inputs(v) for k, v in kwargs.items()})
        meaning = meaning_of(func)
        if meaning is None:
            refuse(func)
        args, kwargs = _named(func, meaning, args, kwargs)
        kwargs = honoured(func, meaning, kwargs)
        try:
            return meaning(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name_of(func)} on a Value: {error}") from None

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            "a Value does not turn into an array by itself: its gradient would be lost. "
            "Use v.data for the numbers (to plot them, too), tg.stack([…]) for a Value made of "
            "Values, also instead of a[i] = v"
        )
