"""The steps of random programs: each a formula, and every spelling that the package has for it.

The formula is run on complex numbers by the naive engine of `programs`, on JAX's arrays by JAX.
Where numbers tie it has the package's conventions. Options stand twice in a step: in the types that
a user may pass, for the package, and plain, for the formula.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as tg


class Whole:
    """A whole number of somebody else's type, which may change: all it has is ``__index__``."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __index__(self) -> int:
        return self.number


def _extreme(xp: Any, x: Any, axis: Any, extreme: Any) -> Any:
    """The largest or smallest by real part; of those that tie, their mean."""
    tied = xp.real(x) == extreme(xp.real(x), axis=axis, keepdims=True)
    return xp.sum(xp.where(tied, x, 0), axis=axis) / xp.sum(tied, axis=axis)


def _the_one(xp: Any, x: Any, y: Any, first: Any) -> Any:
    return xp.where(first, x, xp.where(xp.real(x) == xp.real(y), (x + y) / 2, y))


def _clipped(xp: Any, x: Any, low: Any, high: Any) -> Any:
    x = x if low is None else xp.where(xp.real(x) < low, low, x)
    return x if high is None else xp.where(xp.real(x) > high, high, x)


def _whole_power(x: Any, n: int) -> Any:
    z = x * 0 + 1
    for _ in range(abs(n)):
        z = z * x
    return z if n >= 0 else 1 / z


def variance(xp: Any, x: Any, axis: Any) -> Any:
    centred = x - xp.mean(x, axis=axis, keepdims=True)
    return xp.mean(centred * centred, axis=axis)


def _softmax(xp: Any, x: Any, axis: Any) -> Any:
    e = xp.exp(x - xp.max(xp.real(x), axis=axis, keepdims=True))
    return e / xp.sum(e, axis=axis, keepdims=True)


def _logsumexp(xp: Any, x: Any, axis: Any, keepdims: bool = False) -> Any:
    """From the largest along `axis`: from a larger one the sum may be so small that 1/sum² is inf,
    and JAX's second derivative nan."""
    top = xp.max(xp.real(x), axis=axis, keepdims=True)
    z = xp.log(xp.sum(xp.exp(x - top), axis=axis, keepdims=True)) + top
    return z if keepdims else xp.sum(z, axis=axis)


def _slope_at(constant: Any) -> Any:
    """A derivative taken inside a program, at numbers that need none: 3c² + 1."""
    c = tg.Value(constant, requires_grad=False)
    return tg.grad(lambda v: tg.sum(v * v * v + v))(c)


def _slope(x: Any) -> Any:
    """A derivative taken inside a program, at a node of it: cos x."""
    return tg.grad(lambda v: tg.sum(np.sin(v)))(x)


#: name: (number of inputs, the package's spellings, the formula in NumPy's or JAX's functions)
STEPS: dict[str, tuple[int, tuple[Callable[..., Any], ...], Callable[..., Any]]] = {
    "add": (
        2, (lambda x, y, o: x + y, lambda x, y, o: np.add(x, y), lambda x, y, o: tg.add(x, y)),
        lambda xp, x, y, o: x + y,
    ),
    "subtract": (
        2, (lambda x, y, o: x - y, lambda x, y, o: np.subtract(x, y)),
        lambda xp, x, y, o: x - y,
    ),
    "multiply": (
        2, (lambda x, y, o: x * y, lambda x, y, o: np.multiply(x, y)),
        lambda xp, x, y, o: x * y,
    ),
    "divide": (
        2, (lambda x, y, o: x / y, lambda x, y, o: np.divide(x, y)),
        lambda xp, x, y, o: x / y,
    ),
    "divide_safely": (
        2, (lambda x, y, o: x / (y * y + 1.0),), lambda xp, x, y, o: x / (y * y + 1.0),
    ),
    "maximum": (
        2, (lambda x, y, o: np.maximum(x, y), lambda x, y, o: tg.maximum(x, y)),
        lambda xp, x, y, o: _the_one(xp, x, y, xp.real(x) > xp.real(y)),
    ),
    "minimum": (
        2, (lambda x, y, o: np.minimum(x, y), lambda x, y, o: tg.minimum(x, y)),
        lambda xp, x, y, o: _the_one(xp, x, y, xp.real(x) < xp.real(y)),
    ),
    "where": (
        2, (
            lambda x, y, o: tg.where(o["mask"], x, y),
            lambda x, y, o: np.where(o["mask"], x, y),
            lambda x, y, o: tg.where(o["mask"].tolist(), x, y),
            lambda x, y, o: tg.where(tg.Value(o["mask"], requires_grad=False), x, y),
        ),
        lambda xp, x, y, o: xp.where(o["plain_mask"], x, y),
    ),
    "switch": (
        1, (
            lambda x, o: tg.where(o["switch"], x, 0.5), lambda x, o: np.where(o["switch"], x, 0.5),
            lambda x, o: tg.where(float(not o["switch"]), 0.5, x),
        ),
        lambda xp, x, o: x if o["switch"] else x * 0 + 0.5,
    ),
    "matmul": (
        2, (lambda x, y, o: x @ y, lambda x, y, o: np.matmul(x, y)), lambda xp, x, y, o: x @ y,
    ),
    "outer": (
        2, (lambda x, y, o: tg.outer(x, y), lambda x, y, o: np.outer(x, y)),
        lambda xp, x, y, o: xp.outer(x, y),
    ),
    "concatenate": (
        2, (
            lambda x, y, o: tg.concatenate([x, y], o["zero"]),
            lambda x, y, o: np.concatenate((x, y), axis=o["zero"]),
        ),
        lambda xp, x, y, o: xp.concatenate([x, y], 0),
    ),
    "stack": (
        2, (lambda x, y, o: np.stack([x, y], -1), lambda x, y, o: tg.stack((x, y), axis=-1)),
        lambda xp, x, y, o: xp.stack([x, y], -1),
    ),
    "power": (
        2, (lambda x, y, o: x**y, lambda x, y, o: np.power(x, y)),
        lambda xp, x, y, o: xp.exp(y * xp.log(x)),
    ),
    "power_of_exact": (
        1, (
            lambda x, o: x ** o["exact"], lambda x, o: np.power(x, np.float64(o["exact"])),
            lambda x, o: tg.power(x, tg.Value(o["exact"], requires_grad=False)),
        ),
        lambda xp, x, o: xp.exp(o["exact"] * xp.log(x)),
    ),
    "xlogy": (2, (lambda x, y, o: tg.xlogy(x, y),), lambda xp, x, y, o: x * xp.log(y)),
    "logistic_loss": (
        1, (lambda x, o: tg.binary_cross_entropy(x - 0.1, o["labels"], from_logits=True).sum(),),
        lambda xp, x, o: xp.sum(xp.log(1 + xp.exp(x - 0.1)) - o["labels"] * (x - 0.1)),
    ),
    "negative": (1, (lambda x, o: -x, lambda x, o: np.negative(x)), lambda xp, x, o: -x),
    "reflected": (1, (lambda x, o: 2.0 - x, lambda x, o: 2 - x), lambda xp, x, o: 2 - x),
    "scaled": (
        1, (lambda x, o: x * 0.7 + 0.3, lambda x, o: 0.3 + x * np.float64(0.7)),
        lambda xp, x, o: x * 0.7 + 0.3,
    ),
    "whole_power": (
        1, (
            lambda x, o: x ** o["whole"], lambda x, o: np.power(x, o["whole"]),
            lambda x, o: x ** float(o["whole"]), lambda x, o: x ** np.int64(o["whole"]),
            lambda x, o: tg.power(x, np.array(o["whole"])),
        ),
        lambda xp, x, o: _whole_power(x, o["whole"]),
    ),
    "square": (1, (lambda x, o: np.square(x), lambda x, o: x**2), lambda xp, x, o: x * x),
    "root": (
        1, (lambda x, o: np.sqrt(x), lambda x, o: x**0.5, lambda x, o: x.sqrt()),
        lambda xp, x, o: xp.sqrt(x),
    ),
    "reciprocal": (
        1, (lambda x, o: x**-1, lambda x, o: 1 / x, lambda x, o: np.reciprocal(x)),
        lambda xp, x, o: 1 / x,
    ),
    "power_of_sum": (
        1, (lambda x, o: (x * x + 0.5) ** 1.5,), lambda xp, x, o: (x * x + 0.5) ** 1.5,
    ),
    "exp": (
        1, (lambda x, o: np.exp(x * 0.3), lambda x, o: (x * 0.3).exp()),
        lambda xp, x, o: xp.exp(x * 0.3),
    ),
    "expm1": (1, (lambda x, o: tg.expm1(x * 0.3),), lambda xp, x, o: xp.exp(x * 0.3) - 1),
    "log": (1, (lambda x, o: np.log(x), lambda x, o: x.log()), lambda xp, x, o: xp.log(x)),
    "log_of_square": (
        1, (lambda x, o: np.log(x * x + 0.2), lambda x, o: tg.log1p(x * x - 0.8)),
        lambda xp, x, o: xp.log(x * x + 0.2),
    ),
    "tanh": (1, (lambda x, o: x.tanh(), lambda x, o: np.tanh(x)), lambda xp, x, o: xp.tanh(x)),
    "sin": (1, (lambda x, o: np.sin(x), lambda x, o: x.sin()), lambda xp, x, o: xp.sin(x)),
    "cos": (1, (lambda x, o: np.cos(x), lambda x, o: x.cos()), lambda xp, x, o: xp.cos(x)),
    "arctan": (1, (lambda x, o: np.arctan(x),), lambda xp, x, o: xp.arctan(x)),
    "sinh": (1, (lambda x, o: np.sinh(x * 0.3),), lambda xp, x, o: xp.sinh(x * 0.3)),
    "sigmoid": (
        1, (lambda x, o: x.sigmoid(), lambda x, o: 1 / (1 + np.exp(-x))),
        lambda xp, x, o: 1 / (1 + xp.exp(-x)),
    ),
    "softplus": (1, (lambda x, o: tg.softplus(x),), lambda xp, x, o: xp.log(1 + xp.exp(x))),
    "relu": (
        1, (lambda x, o: tg.relu(x), lambda x, o: x.relu()),
        lambda xp, x, o: xp.where(xp.real(x) >= 0, x, 0),
    ),
    "relu_of_others": (
        1, (lambda x, o: tg.relu(x, at_zero=0), lambda x, o: x.relu(0)),
        lambda xp, x, o: xp.where(xp.real(x) > 0, x, 0),
    ),
    "leaky_relu": (
        1, (lambda x, o: tg.leaky_relu(x, 0.2), lambda x, o: x.leaky_relu(slope=0.2)),
        lambda xp, x, o: xp.where(xp.real(x) >= 0, x, 0.2 * x),
    ),
    "abs": (
        1, (lambda x, o: abs(x), lambda x, o: np.abs(x), lambda x, o: x.abs()),
        lambda xp, x, o: x * xp.sign(xp.real(x)),
    ),
    "clip": (
        1, (
            lambda x, o: tg.clip(x, *o["limits"]), lambda x, o: np.clip(x, *o["limits"]),
            lambda x, o: x.clip(min=o["limits"][0], max=o["limits"][1]),
        ),
        lambda xp, x, o: _clipped(xp, x, *o["plain_limits"]),
    ),
    "sum": (
        1, (
            lambda x, o: np.sum(x, axis=o["axes"], keepdims=o["keep"]),
            lambda x, o: x.sum(o["axes"], o["keep"]),
        ),
        lambda xp, x, o: xp.sum(x, axis=o["plain_axes"], keepdims=o["keep"]),
    ),
    "mean": (
        1, (lambda x, o: x.mean(axis=o["axes"]), lambda x, o: np.mean(x, o["axes"])),
        lambda xp, x, o: xp.mean(x, axis=o["plain_axes"]),
    ),
    "prod": (
        1, (lambda x, o: np.prod(x, axis=o["axis"]), lambda x, o: x.prod(o["axis"])),
        lambda xp, x, o: xp.prod(x, axis=o["plain_axis"]),
    ),
    "var": (
        1, (lambda x, o: np.var(x, axis=o["axes"]), lambda x, o: x.var(o["axes"])),
        lambda xp, x, o: variance(xp, x, o["plain_axes"]),
    ),
    "std": (
        1, (lambda x, o: np.std(x, axis=o["axes"]), lambda x, o: tg.std(x, o["axes"])),
        lambda xp, x, o: xp.sqrt(variance(xp, x, o["plain_axes"])),
    ),
    "norm": (
        1, (lambda x, o: tg.norm(x, axis=o["axes"]),),
        lambda xp, x, o: xp.sqrt(xp.sum(x * x, axis=o["plain_axes"])),
    ),
    "max": (
        1, (lambda x, o: x.max(axis=o["axis"]), lambda x, o: np.max(x, o["axis"])),
        lambda xp, x, o: _extreme(xp, x, o["plain_axis"], xp.max),
    ),
    "min": (
        1, (lambda x, o: x.min(axis=o["axis"]), lambda x, o: np.min(x, o["axis"])),
        lambda xp, x, o: _extreme(xp, x, o["plain_axis"], xp.min),
    ),
    "softmax": (
        1, (lambda x, o: tg.softmax(x, axis=o["one"]), lambda x, o: x.softmax(o["one"])),
        lambda xp, x, o: _softmax(xp, x, o["plain_one"]),
    ),
    "log_softmax": (
        1, (lambda x, o: tg.log_softmax(x, axis=o["one"]),),
        lambda xp, x, o: x - _logsumexp(xp, x, o["plain_one"], keepdims=True),
    ),
    "logsumexp": (
        1, (lambda x, o: tg.logsumexp(x, axis=o["axes"]),),
        lambda xp, x, o: _logsumexp(xp, x, o["plain_axes"]),
    ),
    "cumsum": (
        1, (lambda x, o: x.cumsum(axis=o["axis"]), lambda x, o: np.cumsum(x, o["axis"])),
        lambda xp, x, o: xp.cumsum(x, axis=o["plain_axis"]),
    ),
    "transpose": (
        1, (lambda x, o: x.T, lambda x, o: np.transpose(x), lambda x, o: tg.transpose(x)),
        lambda xp, x, o: xp.transpose(x),
    ),
    "ravel": (
        1, (
            lambda x, o: x.reshape(-1), lambda x, o: np.ravel(x),
            lambda x, o: np.reshape(x, np.array([x.size])), lambda x, o: x.reshape([Whole(-1)]),
        ),
        lambda xp, x, o: xp.ravel(x),
    ),
    "broadcast": (
        1, (lambda x, o: np.broadcast_to(x, (2, *x.shape)),),
        lambda xp, x, o: xp.stack([x, x], 0),
    ),
    "expanded": (
        1, (lambda x, o: np.expand_dims(x, 0), lambda x, o: x[None], lambda x, o: x[np.newaxis]),
        lambda xp, x, o: xp.expand_dims(x, 0),
    ),
    "index": (
        1, (lambda x, o: x[o["index"]],), lambda xp, x, o: xp.ravel(x)[o["places"]],
    ),
    "index_of_linear": (
        1, (
            lambda x, o: (x * 2.0 + 1.0)[o["index"]],
            lambda x, o: (1.0 - x)[o["index"]] * -2 + 3,
        ),
        lambda xp, x, o: xp.ravel(x * 2 + 1)[o["places"]],
    ),
    "reverse": (1, (lambda x, o: x[::-1],), lambda xp, x, o: x[::-1]),
    "times_slope_at_a_constant": (
        1, (lambda x, o: x * _slope_at(o["constant"]),),
        lambda xp, x, o: x * (3 * o["plain_constant"] ** 2 + 1),
    ),
    "times_slope": (
        2, (lambda x, y, o: y * _slope(x),), lambda xp, x, y, o: y * xp.cos(x),
    ),
}  # fmt: skip


class Step:
    """One operation of a program: what, in which spelling, on which earlier nodes, how."""

    def __init__(self, name: str, spelling: int, inputs: tuple[int, ...], options: Any) -> None:
        _, spellings, formula = STEPS[name]
        self.name, self.inputs = name, inputs
        self._spelling, self._formula = spellings[spelling], formula
        used = {*self._spelling.__code__.co_consts, *formula.__code__.co_consts}
        self.options = {key: option for key, option in options.items() if key in used}

    def __str__(self) -> str:
        return f"{self.name} of {self.inputs}, {self.options}"

    def by_the_package(self, nodes: list[Any]) -> Any:
        return self._spelling(*[nodes[i] for i in self.inputs], self.options)

    def by_formula(self, inputs: Any, xp: Any = np) -> Any:
        return self._formula(xp, *inputs, self.options)
