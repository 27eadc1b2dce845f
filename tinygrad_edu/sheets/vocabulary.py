"""What a sheet may say: the functions, methods and operators, each on plain numbers and on Values.

This table is the whitelist. Whatever is not in it cannot be reached from a sheet; what is in it is
bounded in size before it is computed.
"""

from __future__ import annotations

import collections
import difflib
import functools
import math
import operator
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

import numpy as np

from tinygrad_edu.core.ops import (
    activations,
    arithmetic,
    contractions,
    elementary,
    elementwise,
    losses,
    networks,
    reductions,
    shaping,
)
from tinygrad_edu.core.ops.table import PUBLIC
from tinygrad_edu.core.own import IN_SHEETS
from tinygrad_edu.core.primitive import Primitive
from tinygrad_edu.core.value import Value
from tinygrad_edu.sheets import account as accounts
from tinygrad_edu.sheets.account import MOST_AXES, MOST_ENTRIES, shape_of
from tinygrad_edu.words import say

#: No power of whole numbers has a larger exponent; larger whole numbers become floats.
LARGEST_EXPONENT = 64
LARGEST_WHOLE = 2**53

MODULES = frozenset({"np", "numpy", "math"})
ATTRIBUTES = ("T", "shape", "ndim", "size")
CONSTANTS: dict[str, Any] = {
    "newaxis": None, "pi": math.pi, "e": math.e, "inf": math.inf,
    "float": "float64", "int": "int64", "bool": "bool", "float64": "float64",
    "float32": "float64", "int64": "int64", "int32": "int64", "bool_": "bool",
}  # fmt: skip


def plain(x: Any) -> Any:
    """The numbers of a Value, for what is asked of numbers only: an index, a shape."""
    return x._data if isinstance(x, Value) else x


def checked_shape(*shape: Any) -> tuple[int, ...]:
    """A shape that a sheet may ask for; ValueError for one too large."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    new = tuple(operator.index(plain(n)) for n in shape)
    if len(new) > MOST_AXES:
        raise ValueError(f"{len(new)} axes are more than a sheet may use")
    if math.prod(new) > MOST_ENTRIES or any(n > MOST_ENTRIES for n in new):
        raise ValueError(f"an array of shape {new} is larger than a sheet may make")
    return new


def _create(make: Callable[[tuple[int, ...]], Any]) -> Callable[..., Any]:
    def function(shape: Any, *_: Any, dtype: Any = None) -> Any:
        return make(checked_shape(*(shape if isinstance(shape, (tuple, list)) else (shape,))))

    return function


def _like(number: float) -> Callable[..., Any]:
    return lambda x, dtype=None: np.full(shape_of(x), number)


def _same(x: Any, *_: Any, **__: Any) -> Any:
    """Copies and casts: values of a sheet are never written into, and floats stay floats."""
    return x


def _cast(kind: str) -> Callable[..., Any]:
    def cast(x: Any) -> Any:
        if isinstance(x, Value):
            return x
        return np.asarray(x).astype(kind)[()]

    return cast


def _astype(x: Any, kind: Any = "float64", **_: Any) -> Any:
    return _cast(kind if kind in ("float64", "int64", "bool") else "float64")(x)


def array(x: Any, dtype: Any = None, **_: Any) -> Any:
    """A list as the array it stands for; anything else as it is."""
    if isinstance(x, (list, tuple)):
        if any(isinstance(part, Value) for part in _leaves(x)):
            return shaping.stack([array(part) for part in x])
        made = np.array(x)
        if made.dtype.kind not in "fiub":
            raise TypeError("an array of a sheet holds real numbers")
        return made if dtype is None else made.astype(dtype)
    return x


def _leaves(x: Any) -> list[Any]:
    return [leaf for part in x for leaf in _leaves(part)] if isinstance(x, (list, tuple)) else [x]


def _reshape(x: Any, *shape: Any, **options: Any) -> Any:
    order = options.get("order", "C")
    if order != "C":
        raise TypeError("reshape in a sheet keeps NumPy's own order")
    given = options.get("shape", options.get("newshape"))
    new = checked_shape(*(shape if given is None else (given,)))
    return shaping.reshape(x, shape=new) if isinstance(x, Value) else np.reshape(x, new)


def _transpose(x: Any, *axes: Any) -> Any:
    order = axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes or None
    return np.transpose(x, order)


def _eye(n: Any, m: Any = None, **_: Any) -> Any:
    n, m = operator.index(n), None if m is None else operator.index(m)
    checked_shape(n, n if m is None else m)
    return np.eye(n, m)


def _arange(*limits: Any, **_: Any) -> Any:
    numbers = [operator.index(plain(n)) for n in limits]
    if any(abs(n) > MOST_ENTRIES for n in numbers):
        raise ValueError("this range is larger than a sheet may make")
    return np.arange(*numbers)


def _full(shape: Any, number: Any, **_: Any) -> Any:
    return np.full(checked_shape(shape), number)


def _repeat(x: Any, repeats: Any, axis: Any = None) -> Any:
    n = operator.index(repeats)
    checked_shape(math.prod(shape_of(x)) * max(n, 0))
    return np.repeat(x, n, axis=axis)


def _tile(x: Any, reps: Any) -> Any:
    times = tuple(reps) if isinstance(reps, (tuple, list)) else (reps,)
    checked_shape(
        math.prod(shape_of(x)) * math.prod(tuple(max(operator.index(n), 0) for n in times))
    )
    return np.tile(x, times)


def _broadcast_to(x: Any, shape: Any) -> Any:
    return np.broadcast_to(x, checked_shape(shape))


def _diagonal(make: Callable[[Any], Any]) -> Callable[..., Any]:
    def diagonal(x: Any, **_: Any) -> Any:
        n = math.prod(shape_of(x))
        checked_shape(n, n)
        return make(x)

    return diagonal


def _pad(x: Any, width: Any, mode: str = "constant") -> Any:
    widths = np.broadcast_to(np.asarray(width, int), (len(shape_of(x)), 2)).tolist()
    checked_shape(*(a + n + b for n, (a, b) in zip(shape_of(x), widths, strict=True)))
    if mode != "constant" or min(map(min, widths), default=0) < 0:
        raise TypeError("np.pad in a sheet adds zeros")
    return np.pad(x, widths)


def as_index(parts: list[Any]) -> Any:
    """The parts of an index as NumPy takes them, masks of Values among them."""

    def one(part: Any) -> Any:
        if isinstance(part, Value):
            if part.op is None or part.op.differentiable:
                raise IndexError("floats cannot be an index")
            return np.asarray(part._data) != 0
        if isinstance(part, (tuple, list)):
            return np.array(part)
        return part

    made = tuple(one(part) for part in parts)
    return made[0] if len(made) == 1 else made


def added(x: Any, index: Any, new: Any, result: Any) -> Any:
    """`x` with numbers added; in `result`, a copy of it, where these are plain."""
    if not isinstance(x, Value) and not isinstance(new, Value):
        np.add.at(result, index, new)
        return result
    put = scattered(new, index, shape_of(x))
    return x + put if isinstance(x, Value) or np.any(x) else put


def scattered(new: Any, index: Any, shape: Any) -> Any:
    """Zeros of a shape with numbers put at an index."""
    at = shaping._getitem_shape(shape, index=index)
    spread = new if shape_of(new) == tuple(at) else shaping.broadcast_to(new, shape=at)
    return shaping.scatter(spread, index=index, shape=shape)


def _scatter(x: Any, index: Any, shape: Any) -> Any:
    """What `derive` writes for zeros of a shape with numbers added at an index."""
    at = as_index(list(index) if isinstance(index, tuple) else [index])
    zeros = np.zeros(checked_shape(shape))
    checked_shape(accounts.indexed(zeros.shape, at))
    return added(zeros, at, x, zeros)


def _slice(*limits: Any) -> slice:
    return slice(*(None if n is None else operator.index(plain(n)) for n in limits))


def _outer(x: Any, y: Any) -> Any:
    checked_shape(math.prod(shape_of(x)), math.prod(shape_of(y)))
    if isinstance(x, Value) or isinstance(y, Value):
        return np.outer(x, y)
    return np.multiply.outer(np.ravel(x), np.ravel(y))


def _spread(function: Callable[..., Any]) -> Callable[..., Any]:
    """A variance: of ddof= one number, which NumPy would broadcast."""

    def spread(x: Any, axis: Any = None, ddof: Any = 0, **options: Any) -> Any:
        return function(x, axis=axis, ddof=operator.index(plain(ddof)), **options)

    return spread


def _sigmoid(x: Any) -> Any:
    return elementwise.sigmoid(_floats(x))


def _leaky_relu(x: Any, slope: float = 0.01, **options: Any) -> Any:
    return elementwise.leaky_relu(_floats(x), slope=options.get("alpha", slope))


def _floats(x: Any) -> Any:
    if isinstance(x, Value):
        return x
    x = np.asarray(x, dtype=float)
    return x if x.ndim else float(x)


def _on_floats(
    operation: Callable[..., Any],
    largest: Callable[..., tuple[int, ...]],
    *args: Any,
    **options: Any,
) -> Any:
    """An operation of the package's on numbers of any kind, masks too; what else it is given stays.

    `largest` says the shape of what it will make at most, where that may outgrow its inputs.
    """
    checked_shape(*largest(*args, **options))
    first = args if operation in _OF_NUMBERS else args[:1]
    taken = [_floats(x) if isinstance(x, (np.ndarray, np.generic)) else x for x in first]
    return operation(*taken, *map(plain, args[len(first) :]), **options)


def _none(*_: Any, **__: Any) -> tuple[int, ...]:
    return ()


def _columns(x: Any, w: Any, b: Any = None, stride: Any = 1, padding: Any = 0) -> tuple[int, ...]:
    """How many numbers the windows of a convolution have at most."""
    m, channels, *lengths = shape_of(x)
    kernel = shape_of(w)[2:]
    around = padding if isinstance(padding, (tuple, list)) else (padding,) * len(lengths)
    padded = [n + 2 * max(operator.index(k), 0) for n, k in zip(lengths, around)]
    return (m * channels * math.prod(tuple(padded)), math.prod(kernel))


def _windows(x: Any, size: Any = 2, stride: Any = None) -> tuple[int, ...]:
    sides = size if isinstance(size, (tuple, list)) else (size, size)
    return (1,) if stride is None else (math.prod(shape_of(x)), *map(operator.index, sides))


def _scores(q: Any, k: Any, v: Any, mask: Any = None, causal: Any = False) -> tuple[int, ...]:
    return (math.prod(shape_of(q)[:-1]), *shape_of(k)[-2:-1])


def _cross_entropy(z: Any, labels: Any, axis: int = 0) -> Any:
    """Whole numbers are classes, all else one-hot."""
    return losses.cross_entropy(_floats(z), labels, axis=axis)


def _one_hot(labels: Any, classes: Any, axis: int = 0) -> Any:
    checked_shape(math.prod(shape_of(labels)), operator.index(classes))
    return losses.one_hot(np.asarray(plain(labels)).astype(int), classes, axis)


def _dropout(x: Any, rate: Any, mask: Any) -> Any:
    """With a mask that is given: what is drawn anew at every reading has no derivative."""
    return networks.dropout(x, rate, mask=mask)


#: What operations make at most, where that may be more than they are given.
_LARGEST: dict[str, Callable[..., tuple[int, ...]]] = {
    "take": lambda x, at, axis=None: (math.prod(shape_of(x)), math.prod(np.shape(at))),
    "take_along_axis": lambda x, at, axis=-1: (math.prod(shape_of(x)), math.prod(np.shape(at))),
    "broadcast_arrays": lambda *xs: np.broadcast_shapes(*map(shape_of, xs)),
    "tensordot": lambda x, y, axes=2: (math.prod(shape_of(x)), math.prod(shape_of(y))),
    "inner": lambda x, y: (math.prod(shape_of(x)), math.prod(shape_of(y))),
    "kron": lambda x, y: (math.prod(shape_of(x)), math.prod(shape_of(y))),
    "convolve": lambda x, y, mode="full": (2 * math.prod(shape_of(x)), 2 * math.prod(shape_of(y))),
    "correlate": lambda x, y, mode="valid": (
        2 * math.prod(shape_of(x)),
        2 * math.prod(shape_of(y)),
    ),
    "einsum": lambda text, *xs: tuple(math.prod(shape_of(x)) for x in xs),
    "matrix_power": lambda x, n: (min(abs(int(n)), 10**9) * math.prod(shape_of(x)),),
    "sliding_window_view": lambda x, n, axis=None: (
        math.prod(shape_of(x)),
        *map(int, n if isinstance(n, (tuple, list)) else (n,)),
    ),
    "conv1d": _columns,
    "conv2d": _columns,
    "max_pool2d": _windows,
    "avg_pool2d": _windows,
    "attention": _scores,
    "embedding": lambda table, at: (math.prod(shape_of(table)[1:]), math.prod(np.shape(at))),
    "array_split": lambda x, n, axis=0: (int(n) if np.ndim(n) == 0 else 1,),
}
#: All of whose arguments are numbers to compute with.
_OF_NUMBERS = {
    PUBLIC[name]
    for family in (arithmetic, elementwise, elementary, activations, contractions)
    for name in family.__all__
    if name != "round"
} | {
    PUBLIC[name]
    for name in (
        "append", "broadcast_arrays", "solve", "conv1d", "conv2d", "attention", "layer_norm",
        "batch_norm", "rms_norm", "binary_cross_entropy", "mean_squared_error", "huber", "hinge",
        "kl_divergence",
    )
}  # fmt: skip


def _comparison(op: Primitive, test: Any) -> Callable[[Any, Any], Any]:
    """A mask: of Values it is an operation, so that a derived rule can show it."""

    def compare(x: Any, y: Any) -> Any:
        return op(x, y) if isinstance(x, Value) or isinstance(y, Value) else test(x, y)

    return compare


_COMPARISONS = {
    name: _comparison(getattr(arithmetic, name), getattr(np, name))
    for name in ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
}


def _invert(x: Any) -> Any:
    return 1.0 - x if isinstance(x, Value) else np.logical_not(x)


def _both(x: Any, y: Any) -> Any:
    return x * y if isinstance(x, Value) or isinstance(y, Value) else np.logical_and(x, y)


def _either(x: Any, y: Any) -> Any:
    if isinstance(x, Value) or isinstance(y, Value):
        return arithmetic.maximum(x, y)
    return np.logical_or(x, y)


def _power(x: Any, y: Any) -> Any:
    if isinstance(x, int) and isinstance(y, int):
        if abs(y) > LARGEST_EXPONENT or abs(x) > LARGEST_WHOLE:
            raise ValueError(f"the exponent {y} is too large for whole numbers")
        return float(x) ** y if y < 0 else x**y
    if not isinstance(x, Value) and not isinstance(y, Value):
        x = np.asarray(x)
        if x.dtype.kind in "iub":
            x = x.astype(float)  # integers to a negative power are an error in NumPy
        return np.power(x, y)[()] if np.ndim(x) == 0 else np.power(x, y)
    return x**y


def _len(x: Any) -> int:
    shape = shape_of(x)
    if not shape:
        raise TypeError("a single number has no length")
    return shape[0]


def _prime(name: str) -> Callable[..., Any]:
    """The derivative of an activation as a function of z."""

    def derivative(z: Any, *args: Any, **options: Any) -> Any:
        z = _floats(z)
        if name == "sigmoid":
            a = elementwise.sigmoid(z)
            return a * (1.0 - a)
        if name == "tanh":
            a = np.tanh(z)
            return 1.0 - a * a
        mask = _COMPARISONS["greater_equal"](z, 0.0) * 1.0
        if name == "relu":
            return mask
        if name == "leaky_relu":
            slope = args[0] if args else options.get("slope", options.get("alpha", 0.01))
            return mask + slope * (1.0 - mask)
        a = reductions.softmax(z, axis=options.get("axis"))
        return a * (1.0 - a)

    return derivative


def _numpy(*names: str) -> dict[str, Callable[..., Any]]:
    return {name: getattr(np, name) for name in names}


FUNCTIONS: MutableMapping[str, Callable[..., Any]] = {
    **_numpy(
        "sum", "mean", "prod", "max", "min", "amax", "amin", "argmax", "argmin", "cumsum",
        "exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "tanh", "sin", "cos",
        "tan", "arctan", "sinh", "cosh", "abs", "absolute", "fabs", "sign", "square", "reciprocal",
        "maximum", "minimum", "where", "clip", "dot", "matmul", "multiply", "divide",
        "true_divide", "subtract", "add", "negative", "squeeze", "concatenate", "vstack", "hstack",
        "stack", "expand_dims", "swapaxes", "moveaxis", "ravel", "heaviside", "trace",
        "column_stack", "atleast_2d", "any", "all", "flip", "roll", "triu", "tril",
    ),
    "var": _spread(np.var), "std": _spread(np.std),
    "transpose": _transpose, "reshape": _reshape, "outer": _outer, "power": _power, "pow": _power,
    "float_power": _power, "linalg.norm": np.linalg.norm,
    "norm": np.linalg.norm, "broadcast_to": _broadcast_to,
    "ones_like": _like(1.0), "zeros_like": _like(0.0), "empty_like": _like(0.0),
    "full_like": lambda x, number, dtype=None: np.full(shape_of(x), number),
    "ones": _create(np.ones), "zeros": _create(np.zeros), "empty": _create(np.zeros),
    "full": _full, "eye": _eye, "identity": _eye, "arange": _arange, "range": _arange,
    "repeat": _repeat, "tile": _tile,
    "diag": _diagonal(np.diag), "diagflat": _diagonal(np.diagflat),
    "array": array, "asarray": array, "copy": _same, "float64": _cast("float64"),
    "float32": _cast("float64"), "float": _cast("float64"), "int64": _cast("int64"),
    "int32": _cast("int64"), "int": _cast("int64"), "bool": _cast("bool"), "bool_": _cast("bool"),
    **_COMPARISONS, "logical_not": _invert, "logical_and": _both, "logical_or": _either,
    "len": _len, "shape": shape_of, "pad": _pad, "scatter": _scatter, "slice": _slice,
    "sigmoid": _sigmoid, "expit": _sigmoid, "leaky_relu": _leaky_relu,
    "relu": lambda x: elementwise.relu(_floats(x)),
    "softmax": lambda x, axis=None: reductions.softmax(_floats(x), axis=axis),
    "softplus": elementwise.softplus, "tanh_slope": elementwise.tanh_slope,
    "xlogy": elementwise.xlogy, "xdivy": elementwise.xdivy, "log_softmax": reductions.log_softmax,
    "logsumexp": reductions.logsumexp, "cross_entropy": _cross_entropy, "one_hot": _one_hot,
    "dropout": _dropout,
}  # fmt: skip
#: Functions of single numbers that are declared as public: nothing of theirs outgrows its inputs.
SINGLE = [
    name
    for family in (elementwise, elementary, activations)
    for name in family.__all__
    if name not in FUNCTIONS
]
for _name in PUBLIC.keys() - FUNCTIONS.keys():
    of_matrices = hasattr(np.linalg, _name) and not hasattr(np, _name)
    FUNCTIONS[f"linalg.{_name}" if of_matrices else _name] = functools.partial(
        _on_floats, PUBLIC[_name], _LARGEST.get(_name, _none)
    )
FUNCTIONS["lib.stride_tricks.sliding_window_view"] = FUNCTIONS["sliding_window_view"]
ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky_relu", "softmax")
for _activation in ACTIVATIONS:
    for _suffix in ("prime", "derivative", "deriv", "grad"):
        FUNCTIONS[f"{_activation}_{_suffix}"] = _prime(_activation)
#: Not NumPy's: these are written without ``np.``.
OWN = frozenset(
    name
    for name in FUNCTIONS
    if not hasattr(np, name.split(".")[0]) or name in ("len", "range", "slice")
)

#: The table, and what `tg.primitive(…, sheet=True)` has put beside it.
FUNCTIONS = collections.ChainMap(FUNCTIONS, IN_SHEETS)

METHODS: dict[str, Callable[..., Any]] = {
    **{
        name: FUNCTIONS[name]
        for name in (
            "sum", "mean", "prod", "max", "min", "argmax", "argmin", "var", "std", "cumsum", "dot",
            "squeeze", "ravel", "clip", "repeat", "swapaxes", "copy", "reshape", "transpose",
            "exp", "log", "tanh", "sqrt", "any", "all", "trace",
        )
    },
    "flatten": np.ravel, "astype": _astype,
    "item": lambda x: x if isinstance(x, Value) else np.asarray(x).item(),
}  # fmt: skip

#: Names are compared letter by letter up to this many, of this many letters.
_MOST_COMPARED, _MOST_LETTERS = 300, 40


def suggestion(name: str, known: Iterable[str] | None = None) -> str:
    """A known name similar to an unknown one, to put behind an error; by default a function's."""
    names = list(FUNCTIONS if known is None else known)
    short = [other for other in names if len(other) <= _MOST_LETTERS][:_MOST_COMPARED]
    near = alike(name, names) or difflib.get_close_matches(name[:_MOST_LETTERS], short, n=1)
    if not near:
        return ""
    name = f"{prefix(near[0]) if known is None else ''}{near[0]}"
    return say("error.did_you_mean", name=name)


def alike(name: str, known: Iterable[str]) -> list[str]:
    """The known names that look like this one: Zl and Z1, AO and A0, W_1 and w1."""
    return [other for other in known if other != name and looks(other) == looks(name)]


@functools.lru_cache(4096)
def looks(name: str) -> str:
    """What names that are easily taken for one another have in common."""
    return name.lower().replace("_", "").translate(str.maketrans("lio", "110"))


def prefix(name: str) -> str:
    """``np.`` before what is NumPy's."""
    return "" if name in OWN or name in IN_SHEETS else "np."
