"""The central difference (lecture, S3), and the check of automatic derivatives against it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np

from tinygrad_edu.calculus.functions import grad
from tinygrad_edu.core.numbers import numbers
from tinygrad_edu.core.ops.reductions import sum
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.recording import no_grad
from tinygrad_edu.core.signature import Natural, Within, checked
from tinygrad_edu.core.value import Value

Function = Callable[..., Any]
#: Each order takes a derivative of all the graphs of the one before.
Order = Annotated[int, Within(1, 8)]


def central_difference(f: Callable[[Any], float], x: Any, eps: float) -> Any:
    """``(f(x + ε) − f(x − ε)) / 2ε`` for each entry of `x`, all others fixed (lecture, S3).

    `x`: float64 numbers of any shape; `f` takes such numbers. ε is `eps`, times \\|x\\| where that
    is above 1, so that adding it is not lost in rounding.

    >>> round(central_difference(lambda x: x * x, 3.0, 1e-5), 6)
    6.0
    """
    x = np.asarray(x, dtype=np.float64)
    slopes = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        high, low = x.copy(), x.copy()
        step = eps * max(1.0, abs(x[index]))
        high[index] += step
        low[index] -= step
        slopes[index] = (f(_own(high)) - f(_own(low))) / (high[index] - low[index])
    return _own(slopes)


def _own(x: Any) -> Any:
    return x if x.shape else float(x)


def _number(result: Any) -> float:
    if isinstance(result, Value):
        result = result._data
    if np.shape(result) != ():
        raise GradError(
            f"numerical_gradient: the function returned shape {np.shape(result)}; it must return a "
            "single number. Reduce it with tg.sum or tg.mean"
        )
    return float(result)


@checked
def numerical_gradient(f: Function, *args: Any, eps: float = 1e-5) -> Any:
    """The central difference of a single-number function for every entry of every argument.

    ``(f(x + ε) − f(x − ε)) / 2ε``, all other entries fixed (lecture, S3). One argument gives an
    array of its shape, several a tuple. `f` gets Values where Values were given, else plain
    numbers. Raises GradError where `f` returns anything but a single number.

    >>> round(tg.numerical_gradient(lambda x: x * x, 3.0), 6)
    6.0
    """
    if not args:
        raise GradError("numerical_gradient: there is no argument to differentiate by")
    if not eps > 0:
        raise GradError(f"numerical_gradient: eps is a small positive step, not {eps}")
    own = [arg._data if isinstance(arg, Value) else numbers(arg) for arg in args]
    slopes = []
    for i, arg in enumerate(args):

        def moved(x: Any, i: int = i, arg: Any = arg) -> float:
            inside = list(args)
            inside[i] = Value(x, arg.name) if isinstance(arg, Value) else x
            with no_grad():
                return _number(f(*inside))

        slopes.append(central_difference(moved, own[i], eps))
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


@checked
def check_gradients(
    f: Function,
    *args: Any,
    order: Order = 1,
    eps: float = 1e-5,
    rtol: float = 1e-6,
    atol: float = 1e-7,
    seed: Natural = 0,
) -> None:
    """Compare automatic with numerical derivatives of `f` at `args`, up to the given order.

    A result that is not a single number is first multiplied by random numbers and summed: with ones
    a forgotten transpose would pass. Order 2 checks the derivative of the gradient along a random
    direction in the same way.

    Raises AssertionError naming the argument, the index and both values at the largest difference;
    GradError for an order below 1 or above 7, or without arguments.

    >>> tg.check_gradients(lambda w, x: np.tanh(w * x), 0.5, 2.0, order=2)
    """
    if not args:
        raise GradError("check_gradients: there is no argument to differentiate by")
    rng = np.random.default_rng(seed)
    points = [np.asarray(arg._data if isinstance(arg, Value) else numbers(arg)) for arg in args]
    points = [point.astype(np.float64) for point in points]
    names = _argument_names(f, args)
    weights: dict[str, Any] = {}

    def weighted(*values: Any) -> Any:
        out = f(*values)
        if np.shape(out) == ():
            return out
        if "of the result" not in weights:
            weights["of the result"] = rng.standard_normal(np.shape(out))
        return sum(out * weights["of the result"])

    everything = tuple(range(len(args)))
    scalar: Function = weighted
    for level in range(1, order + 1):
        if level > 1:
            scalar = _along(scalar, everything, points, rng)
        found = grad(scalar, everything)(*points)
        expected = numerical_gradient(scalar, *map(Value, points), eps=eps)
        expected = expected if len(args) > 1 else (expected,)
        for name, automatic, numerical in zip(names, found, expected, strict=True):
            _assert_close(name, level, np.asarray(automatic), np.asarray(numerical), rtol, atol)


def _along(f: Function, everything: tuple[int, ...], points: Any, rng: Any) -> Function:
    """The derivative of `f` along a random direction: one number that depends on all gradients."""
    directions = [rng.standard_normal(point.shape) for point in points]

    def slope(*values: Any) -> Any:
        total: Any = 0.0
        gradients = grad(f, everything)(*[v if isinstance(v, Value) else Value(v) for v in values])
        for g, direction in zip(gradients, directions, strict=True):
            total = total + sum(g * direction)
        return total

    return slope


def _argument_names(f: Function, args: tuple[Any, ...]) -> list[str]:
    try:
        parameters = list(inspect.signature(f).parameters)
    except (TypeError, ValueError):
        parameters = []
    return [
        getattr(arg, "name", None) or (parameters[i] if i < len(parameters) else f"argument {i}")
        for i, arg in enumerate(args)
    ]


def _assert_close(
    name: str, level: int, automatic: Any, numerical: Any, rtol: float, atol: float
) -> None:
    # The numerical derivative of a large function is only as exact as the function's own rounding.
    scale = np.max(np.abs(numerical), initial=0.0)
    allowed = atol + rtol * np.maximum(np.abs(numerical), scale)
    error = np.abs(automatic - numerical)
    wrong = ~(error <= allowed)
    if wrong.any():
        worst = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error)), error.shape)
        index = ", ".join(map(str, worst))
        kind = "derivative" if level == 1 else f"derivative of order {level}"
        raise AssertionError(
            f"{kind} with respect to {name}{f'[{index}]' if index else ''}: automatic "
            f"{automatic[worst]:.9g}, by central difference {numerical[worst]:.9g} "
            f"({int(wrong.sum())} of {error.size} entries differ)"
        )
