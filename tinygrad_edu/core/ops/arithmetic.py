"""Arithmetic and comparisons. Nothing but declarations."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from tinygrad_edu.core.primitive import Primitive, primitive

__all__ = [
    "add", "divide", "equal", "greater", "greater_equal", "less", "less_equal", "minimum",
    "multiply", "negative", "not_equal", "subtract", "where",
]  # fmt: skip


@primitive(
    lambda dz, z, x, y: dz,
    lambda dz, z, x, y: dz,
    scalar=operator.add, symbol="+", numpy="{0} + {1}", latex="{0} + {1}",
    traits={"elementwise", "linear", "cancels"},
)  # fmt: skip
def add(x: Any, y: Any) -> Any:
    """``x + y``, broadcast. The gradient goes to both unchanged.

    >>> tg.add(2.0, 3.0)
    5.0
    """
    return np.add(x, y)


@primitive(
    lambda dz, z, x, y: dz,
    lambda dz, z, x, y: -dz,
    scalar=operator.sub, symbol="−", numpy="{0} - {1}", latex="{0} - {1}",
    traits={"elementwise", "linear", "cancels"},
)  # fmt: skip
def subtract(x: Any, y: Any) -> Any:
    """``x - y``, broadcast: ``dx = dz``, ``dy = -dz``.

    >>> tg.subtract(2.0, 3.0)
    -1.0
    """
    return np.subtract(x, y)


@primitive(
    lambda dz, z, x, y: dz * y,
    lambda dz, z, x, y: dz * x,
    scalar=operator.mul, symbol="∗", numpy="{0} * {1}", latex=r"{0} \odot {1}",
    traits={"elementwise", "bilinear"},
)  # fmt: skip
def multiply(x: Any, y: Any) -> Any:
    """``x * y``, element by element, broadcast: ``dx = dz * y``, ``dy = dz * x``.

    >>> tg.multiply(2.0, 3.0)
    6.0
    """
    return np.multiply(x, y)


@primitive(
    lambda dz, z, x, y: dz / y,
    lambda dz, z, x, y: -dz * z / y,
    scalar=operator.truediv, symbol="/", numpy="{0} / {1}", latex=r"\frac{{{0}}}{{{1}}}",
    traits={"elementwise"},
)  # fmt: skip
def divide(x: Any, y: Any) -> Any:
    """``x / y``, broadcast: ``dx = dz / y``, ``dy = -dz * x / y²``.

    >>> tg.divide(1.0, 4.0)
    0.25
    """
    return np.divide(x, y)


@primitive(
    lambda dz, z, x: -dz,
    scalar=operator.neg, symbol="−", numpy="-{0}", latex="-{0}",
    traits={"elementwise", "linear", "exact"},
)  # fmt: skip
def negative(x: Any) -> Any:
    """``-x``.

    >>> tg.negative(2.0)
    -2.0
    """
    return np.negative(x)


@primitive(
    lambda dz, z, x: dz,
    scalar=operator.pos, symbol="=", numpy="{0}", latex="{0}",
    definition=lambda x: x,
    traits={"elementwise", "linear", "exact"},
)  # fmt: skip
def positive(x: Any) -> Any:
    """``+x``: the same numbers in a node of their own.

    >>> positive(2.0)
    2.0
    """
    return np.positive(x)


def _times_power(dz: Any, x: Any, n: float) -> Any:
    """``dz * n * x**(n-1)``, with no ``0 * inf`` left where n is 0, 1 or 2."""
    if n == 0:
        return dz * 0.0
    if n == 1:
        return dz
    if n == 2:
        return dz * 2.0 * x
    return dz * n * power_constant(x, n=n - 1)


@primitive(
    lambda dz, z, x, *, n: _times_power(dz, x, n),
    symbol="xⁿ", numpy="{0}**{n}", latex=r"{0}^{{{n}}}",
    traits={"elementwise"},
    called="power",
)  # fmt: skip
def power_constant(x: Any, *, n: float) -> Any:
    """``x**n`` for a plain number n: ``dx = dz * n * x**(n-1)``.

    A negative base with a fractional exponent is nan, as in NumPy, never complex.

    >>> power_constant(3.0, n=2)
    9.0
    """
    if type(x) is float and x != -math.inf:  # of which NumPy's and C's square roots differ
        try:
            return math.pow(x, n)
        except (OverflowError, ValueError):
            return np.power(np.float64(x), n)
    if n == 2:
        return np.multiply(x, x)  # what np.power does too, without looking at the exponent first
    return np.power(x, n)


def indicator(test: Any, x: Any, y: Any) -> Any:
    """A comparison as 0.0 and 1.0 in the inputs' own dtype, so that masks can be computed with."""
    return np.asarray(test(x, y)).astype(np.result_type(x, y))


def _comparison(test: Any, on_floats: Any, symbol: str, latex: str, numpy: str) -> Primitive:
    def forward(x: Any, y: Any) -> Any:
        return indicator(test, x, y)

    forward.__name__ = test.__name__
    forward.__doc__ = (
        f"``x {numpy} y`` as 0.0 and 1.0: a mask. Its derivative is zero everywhere.\n\n"
        f"    >>> tg.{test.__name__}(2.0, 3.0)\n    {float(test(2.0, 3.0))}\n    "
    )
    return primitive(
        None, None, scalar=lambda x, y: float(on_floats(x, y)),
        symbol=symbol, numpy=f"({{0}} {numpy} {{1}})", latex=f"[{{0}} {latex} {{1}}]",
        traits={"elementwise", "compares", "kinked", "exact"},
    )(forward)  # fmt: skip


greater = _comparison(np.greater, operator.gt, ">", ">", ">")
greater_equal = _comparison(np.greater_equal, operator.ge, "≥", r"\ge", ">=")
less = _comparison(np.less, operator.lt, "<", "<", "<")
less_equal = _comparison(np.less_equal, operator.le, "≤", r"\le", "<=")
equal = _comparison(np.equal, operator.eq, "=", "=", "==")
not_equal = _comparison(np.not_equal, operator.ne, "≠", r"\ne", "!=")


@primitive(
    lambda dz, z, x, y: dz * (greater(x, y) + 0.5 * equal(x, y)),
    lambda dz, z, x, y: dz * (less(x, y) + 0.5 * equal(x, y)),
    symbol="max", numpy="np.maximum({0}, {1})", latex=r"\max({0}, {1})",
    traits={"elementwise", "kinked", "exact"},
)  # fmt: skip
def maximum(x: Any, y: Any) -> Any:
    """The larger of two, element by element; a tie gives half the gradient to each.

    >>> maximum(2.0, 3.0)
    3.0
    """
    return np.maximum(x, y)


@primitive(
    lambda dz, z, x, y: dz * (less(x, y) + 0.5 * equal(x, y)),
    lambda dz, z, x, y: dz * (greater(x, y) + 0.5 * equal(x, y)),
    symbol="min", numpy="np.minimum({0}, {1})", latex=r"\min({0}, {1})",
    traits={"elementwise", "kinked", "exact"},
)  # fmt: skip
def minimum(x: Any, y: Any) -> Any:
    """The smaller of two, element by element; a tie gives half the gradient to each.

    >>> tg.minimum(2.0, 3.0)
    2.0
    """
    return np.minimum(x, y)


@primitive(
    None,
    lambda dz, z, condition, x, y: where(condition, dz, 0.0),
    lambda dz, z, condition, x, y: where(condition, 0.0, dz),
    scalar=lambda condition, x, y: x if condition else y, symbol="where",
    numpy="np.where({0}, {1}, {2})",
    latex=r"\begin{{cases}}{1} & {0}\\ {2} & \text{{otherwise}}\end{{cases}}",
    traits={"elementwise", "exact"},
)  # fmt: skip
def where(condition: Any, x: Any, y: Any) -> Any:
    """``x`` where the condition holds, else ``y``; the gradient goes to the one that was taken.

    The branch *not* taken contributes nothing to gradients, however steep it is there: after
    ``where(x > 0, sqrt(x), x)`` the gradient at 0 is 1. Likewise what a slice, a mask of constants,
    clip, maximum or relu leaves out. That holds for gradients that are plain numbers; second
    derivatives, derived lines and compiled programs give nan there, as other engines do: for these
    make the argument safe first, ``sqrt(where(x > 0, x, 1.0))``.

    >>> tg.where(True, 2.0, 3.0)
    2.0
    """
    return np.where(np.asarray(condition) != 0, x, y)
