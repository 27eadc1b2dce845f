"""More functions of each element: angles, logarithms of sums, the error function, steps."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core.ops.arithmetic import (
    divide,
    equal,
    greater,
    less,
    power_constant,
    where,
)
from tinygrad_edu.core.ops.elementwise import (
    divide_or_zero,
    exp,
    log,
    sigmoid,
    sin,
    sqrt,
)
from tinygrad_edu.core.primitive import Primitive, operand, own_errors, primitive

__all__ = [
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan2", "arctanh", "around", "ceil", "erf",
    "erfc", "exp2", "fix", "floor", "floor_divide", "fmax", "fmin", "heaviside", "hypot",
    "logaddexp", "logaddexp2", "reciprocal", "remainder", "rint", "round", "sinc", "square",
    "trunc",
]  # fmt: skip

_LOG2 = math.log(2.0)


@own_errors
def square(x: Any) -> Any:
    """``x²``, a product of two equal factors.

    >>> tg.square(-3.0)
    9.0
    """
    return power_constant(operand(x), n=2)


@own_errors
def reciprocal(x: Any) -> Any:
    """``1 / x``.

    >>> tg.reciprocal(4.0)
    0.25
    """
    return divide(1.0, x)


@primitive(
    lambda dz, z, x: dz * (z * _LOG2),
    scalar=math.exp2, numpy="np.exp2({0})", latex="2^{{{0}}}",
    traits={"elementwise"},
)  # fmt: skip
def exp2(x: Any) -> Any:
    """``2ˣ``: ``dx = dz · 2ˣ · log 2``.

    >>> tg.exp2(3.0)
    8.0
    """
    return np.exp2(x)


@primitive(
    lambda dz, z, x: dz / sqrt((1.0 - x) * (1.0 + x)),
    scalar=math.asin, numpy="np.arcsin({0})", latex=r"\arcsin {0}",
    traits={"elementwise"},
)  # fmt: skip
def arcsin(x: Any) -> Any:
    """The angle, in radians, whose sine is x; steep without end towards ±1.

    >>> tg.arcsin(0.0)
    0.0
    """
    return np.arcsin(x)


@primitive(
    lambda dz, z, x: -dz / sqrt((1.0 - x) * (1.0 + x)),
    scalar=math.acos, numpy="np.arccos({0})", latex=r"\arccos {0}",
    traits={"elementwise", "cancels"},
)  # fmt: skip
def arccos(x: Any) -> Any:
    """The angle, in radians, whose cosine is x; steep without end towards ±1.

    >>> tg.arccos(1.0)
    0.0
    """
    return np.arccos(x)


@primitive(
    # Not √(1 + x²), whose square leaves the range of floats where the slope does not.
    lambda dz, z, x: dz / hypot(1.0, x),
    scalar=math.asinh, numpy="np.arcsinh({0})", latex=r"\operatorname{{arsinh}}({0})",
    traits={"elementwise"},
)  # fmt: skip
def arcsinh(x: Any) -> Any:
    """The number whose hyperbolic sine is x.

    >>> tg.arcsinh(0.0)
    0.0
    """
    return np.arcsinh(x)


@primitive(
    lambda dz, z, x: dz / (sqrt(x - 1.0) * sqrt(x + 1.0)),
    scalar=math.acosh, numpy="np.arccosh({0})", latex=r"\operatorname{{arcosh}}({0})",
    traits={"elementwise", "cancels"},
)  # fmt: skip
def arccosh(x: Any) -> Any:
    """The number, 0 or more, whose hyperbolic cosine is x; there is none below 1.

    >>> tg.arccosh(1.0)
    0.0
    """
    return np.arccosh(x)


@primitive(
    lambda dz, z, x: dz / ((1.0 - x) * (1.0 + x)),
    scalar=math.atanh, numpy="np.arctanh({0})", latex=r"\operatorname{{artanh}}({0})",
    traits={"elementwise"},
)  # fmt: skip
def arctanh(x: Any) -> Any:
    """The number whose hyperbolic tangent is x, of x between −1 and 1.

    >>> tg.arctanh(0.0)
    0.0
    """
    return np.arctanh(x)


@primitive(
    lambda dz, z, x, y: dz * divide_or_zero(x, z),
    lambda dz, z, x, y: dz * divide_or_zero(y, z),
    numpy="np.hypot({0}, {1})", latex=r"\sqrt{{{0}^2 + {1}^2}}",
    definition=lambda x, y: sqrt(x**2 + y**2),
    traits={"elementwise"},
)  # fmt: skip
def hypot(x: Any, y: Any) -> Any:
    """``√(x² + y²)``, also where the squares leave the range of floats.

    ``dx = dz · x / z``, taken as 0 where both are 0, as of `norm`.

    >>> tg.hypot(3.0, 4.0)
    5.0
    """
    return np.hypot(x, y)


@primitive(
    # y / (x² + y²), by way of the length: its square may leave the range of floats.
    lambda dz, z, y, x: dz * (x / hypot(x, y) / hypot(x, y)),
    lambda dz, z, y, x: -dz * (y / hypot(x, y) / hypot(x, y)),
    scalar=math.atan2, numpy="np.arctan2({0}, {1})", latex=r"\operatorname{{atan2}}({0}, {1})",
    traits={"elementwise"},
)  # fmt: skip
def arctan2(y: Any, x: Any) -> Any:
    """The angle, in radians, of the point (x, y): y comes first.

    ``dy = dz · x / (x² + y²)``, ``dx = −dz · y / (x² + y²)``; nan at the origin, which has none.

    >>> tg.arctan2(0.0, 1.0)
    0.0
    """
    return np.arctan2(y, x)


@primitive(
    lambda dz, z, x, y: dz * z * share(y, x),
    lambda dz, z, x, y: -dz * z * share(y, x),
    latex=r"\sigma({0} - {1})",
    definition=lambda x, y: sigmoid(x - y),
    spelling=lambda x, y: sigmoid(where(equal(x, y), 0.0, x - y)),
    traits={"elementwise", "opened"},
)  # fmt: skip
def share(x: Any, y: Any) -> Any:
    """``eˣ / (eˣ + eʸ)``: a half where both are equal, infinities too.

    >>> share(-math.inf, -math.inf), share(0.0, -math.inf)
    (0.5, 1.0)
    """
    same = np.equal(x, y)
    return sigmoid.forward(np.where(same, 0, x) - np.where(same, 0, y))


@primitive(
    lambda dz, z, x, y: dz * share(x, y),
    lambda dz, z, x, y: dz * share(y, x),
    numpy="np.logaddexp({0}, {1})", latex=r"\log\left(e^{{{0}}} + e^{{{1}}}\right)",
    definition=lambda x, y: log(exp(x) + exp(y)),
    traits={"elementwise"},
)  # fmt: skip
def logaddexp(x: Any, y: Any) -> Any:
    """``log(eˣ + eʸ)``, exact and silent at ±1000: probabilities added up as logarithms.

    The gradient is shared out as ``eˣ`` and ``eʸ`` are, evenly where both are infinite.

    >>> tg.logaddexp(0.0, 0.0) == tg.log(2.0)
    True
    """
    return np.logaddexp(x, y)


@own_errors
def logaddexp2(x: Any, y: Any) -> Any:
    """``log₂(2ˣ + 2ʸ)``.

    >>> tg.logaddexp2(3.0, 3.0)
    4.0
    """
    return logaddexp(operand(x) * _LOG2, operand(y) * _LOG2) / _LOG2


def _sinc_series(u: Any, order: int) -> Any:
    """The derivative of ``sin(u) / u`` of an order from its power series, for u not much larger."""
    total, term = np.zeros_like(u), np.ones_like(u) if order % 2 == 0 else u
    for k in range((order + 1) // 2, 32):
        total += (-1.0) ** k / (2 * k + 1) * term
        n = 2 * k - order
        term = term * u * u / ((n + 1) * (n + 2))
    return total


@primitive(
    lambda dz, z, x, *, order: dz * sinc_slope(x, order=order + 1),
    symbol="sinc'", latex=r"\operatorname{{sinc}}^{{({order})}}({0})",
    definition=lambda x, *, order: _sinc_by_parts(x, order),
    spelling=lambda x, *, order: _sinc_by_parts(x, order, safe=True),
    traits={"elementwise"},
)  # fmt: skip
def sinc_slope(x: Any, *, order: int) -> Any:
    """The derivative of `sinc` of some order, at 0 too.

    >>> sinc_slope(0.0, order=1), sinc_slope(0.0, order=3)
    (0.0, 0.0)
    """
    u = np.asarray(x) * np.asarray(x).dtype.type(math.pi)
    near = np.abs(u) < order + 1.5
    close, far = np.where(near, u, 0), np.where(near, 1, u)
    slope = np.sin(far) / far
    for n in range(1, order + 1):  # from u f = sin u, differentiated n times
        slope = (np.sin(far + n * math.pi / 2) - n * slope) / far
    return math.pi**order * np.where(near, _sinc_series(close, order), slope)


def _sinc_by_parts(x: Any, order: int, safe: bool = False) -> Any:
    """What ``x · sinc(x)``, differentiated so many times, says of the last derivative."""
    if order == 0:
        return sinc(x)
    before = order * _sinc_by_parts(x, order - 1, safe)
    wave = math.pi ** (order - 1) * sin(math.pi * x + order * (math.pi / 2))
    if not safe:
        return (wave - before) / x
    at_zero = math.pi**order * _sinc_series(np.zeros(()), order).item()
    return where(equal(x, 0.0), at_zero, (wave - before) / where(equal(x, 0.0), 1.0, x))


@primitive(
    lambda dz, z, x: dz * sinc_slope(x, order=1),
    numpy="np.sinc({0})", latex=r"\operatorname{{sinc}}({0})",
    traits={"elementwise"},
)  # fmt: skip
def sinc(x: Any) -> Any:
    """``sin(πx) / (πx)``, 1 at 0, as NumPy's.

    >>> tg.sinc(0.0)
    1.0
    """
    return np.sinc(x)


def _each(f: Callable[[float], float], x: Any) -> Any:
    """A function of Python's own on every number, which NumPy lacks."""
    x = np.asarray(x)
    dtype = x.dtype if x.dtype.kind == "f" else float
    return np.fromiter(map(f, x.ravel().tolist()), dtype, x.size).reshape(x.shape)


@primitive(
    lambda dz, z, x: dz * (exp(-x * x) * (2.0 / math.sqrt(math.pi))),
    scalar=math.erf, latex=r"\operatorname{{erf}}({0})",
    numpy="np.vectorize(__import__('math').erf, otypes=[float])({0})",
    traits={"elementwise"},
)  # fmt: skip
def erf(x: Any) -> Any:
    """The error function ``2/√π ∫₀ˣ e^(−t²) dt``.

    >>> tg.erf(0.0)
    0.0
    """
    return _each(math.erf, x)


@primitive(
    lambda dz, z, x: dz * (exp(-x * x) * (-2.0 / math.sqrt(math.pi))),
    scalar=math.erfc, latex=r"\operatorname{{erfc}}({0})",
    numpy="np.vectorize(__import__('math').erfc, otypes=[float])({0})",
    traits={"elementwise"},
)  # fmt: skip
def erfc(x: Any) -> Any:
    """``1 − erf(x)``, with all its digits where that rounds to 0.

    >>> tg.erfc(0.0)
    1.0
    """
    return _each(math.erfc, x)


@primitive(
    None,
    symbol="nan?", numpy="np.isnan({0})", latex=r"[{0} \text{{ is nan}}]",
    traits={"elementwise", "exact"},
)  # fmt: skip
def is_nan(x: Any) -> Any:
    """1 where x is not a number, else 0: a mask.

    >>> is_nan(math.nan), is_nan(2.0)
    (1.0, 0.0)
    """
    x = np.asarray(x)
    return np.isnan(x).astype(x.dtype if x.dtype.kind == "f" else float)


@primitive(
    lambda dz, z, x, y: dz * (greater(x, y) + 0.5 * equal(x, y) + is_nan(y)),
    lambda dz, z, x, y: dz * (less(x, y) + 0.5 * equal(x, y) + is_nan(x)),
    symbol="fmax", numpy="np.fmax({0}, {1})", latex=r"\operatorname{{fmax}}({0}, {1})",
    traits={"elementwise", "kinked", "exact"},
)  # fmt: skip
def fmax(x: Any, y: Any) -> Any:
    """The larger of two; of a number and nan the number. A tie gives half the gradient to each.

    >>> tg.fmax(2.0, np.nan)
    2.0
    """
    return np.fmax(x, y)


@primitive(
    lambda dz, z, x, y: dz * (less(x, y) + 0.5 * equal(x, y) + is_nan(y)),
    lambda dz, z, x, y: dz * (greater(x, y) + 0.5 * equal(x, y) + is_nan(x)),
    symbol="fmin", numpy="np.fmin({0}, {1})", latex=r"\operatorname{{fmin}}({0}, {1})",
    traits={"elementwise", "kinked", "exact"},
)  # fmt: skip
def fmin(x: Any, y: Any) -> Any:
    """The smaller of two; of a number and nan the number. A tie gives half the gradient to each.

    >>> tg.fmin(2.0, np.nan)
    2.0
    """
    return np.fmin(x, y)


@primitive(
    None,
    lambda dz, z, x1, x2: dz * equal(x1, 0.0),
    symbol="H", numpy="np.heaviside({0}, {1})", latex=r"\operatorname{{H}}({0}, {1})",
    traits={"elementwise", "kinked", "exact"},
)  # fmt: skip
def heaviside(x1: Any, x2: Any) -> Any:
    """The step: 0 below zero, 1 above it, the second number at it.

    Its derivative by the first is zero everywhere: a step has no slope beside its jump.

    >>> tg.heaviside(-2.0, 0.5), tg.heaviside(0.0, 0.5), tg.heaviside(3.0, 0.5)
    (0.0, 0.5, 1.0)
    """
    return np.heaviside(x1, x2)


def _step(name: str, latex: str, says: str, shown: str) -> Primitive:
    """A function that jumps from one whole number to the next and is level in between."""
    function: Any = getattr(np, name)

    def forward(x: Any) -> Any:
        return function(x)

    forward.__name__ = forward.__qualname__ = name
    forward.__doc__ = (
        f"{says}; its derivative is zero everywhere.\n\n    >>> tg.{name}(-1.75)\n    {shown}\n    "
    )
    return primitive(
        None, numpy=f"np.{name}({{0}})", latex=latex, traits={"elementwise", "kinked", "exact"}
    )(forward)


floor = _step("floor", r"\lfloor {0} \rfloor", "The largest whole number not above x", "-2.0")
ceil = _step("ceil", r"\lceil {0} \rceil", "The smallest whole number not below x", "-1.0")
trunc = _step("trunc", r"\operatorname{{trunc}}({0})", "x without what is behind the point", "-1.0")
rint = _step("rint", r"\operatorname{{round}}({0})", "The whole number next to x", "-2.0")


fix = trunc


@primitive(
    None, None,
    scalar=operator.floordiv, symbol="//", numpy="np.floor_divide({0}, {1})",
    latex=r"\left\lfloor \frac{{{0}}}{{{1}}} \right\rfloor",
    traits={"elementwise", "kinked"},
)  # fmt: skip
def floor_divide(x: Any, y: Any) -> Any:
    """``x // y``, how often y goes into x: a whole number, whose derivatives are zero everywhere.

    >>> tg.floor_divide(7.0, 2.0), tg.floor_divide(-7.0, 2.0)
    (3.0, -4.0)
    """
    return np.floor_divide(x, y)


@primitive(
    lambda dz, z, x, y: dz,
    lambda dz, z, x, y: -dz * floor_divide(x, y),
    scalar=operator.mod, symbol="%", numpy="np.remainder({0}, {1})",
    latex=r"\left({0} \bmod {1}\right)",
    traits={"elementwise", "kinked", "cancels"},
)  # fmt: skip
def remainder(x: Any, y: Any) -> Any:
    """``x % y``, what is left of x when y is taken out of it as often as it goes: with y's sign.

    As ``x − y · (x // y)`` between its jumps: ``dx = dz``, ``dy = −dz · (x // y)``.

    >>> tg.remainder(7.5, 2.0), tg.remainder(-0.5, 2.0)
    (1.5, 1.5)
    """
    return np.remainder(x, y)


@primitive(
    None,
    numpy="np.round({0}{options})", latex=r"\operatorname{{round}}({0})",
    traits={"elementwise", "kinked", "exact"},
)  # fmt: skip
def round(x: Any, decimals: int = 0) -> Any:
    """x to so many digits behind the point; its derivative is zero everywhere.

    >>> tg.round(2.71828, decimals=2)
    2.72
    """
    return np.round(x, decimals)


around = round
