"""Functions applied to each element, activations among them. Nothing but declarations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.core.ops.arithmetic import (
    equal,
    greater,
    greater_equal,
    less_equal,
    where,
)
from tinygrad_edu.core.primitive import primitive

__all__ = [
    "absolute", "arctan", "clip", "cos", "cosh", "exp", "expm1", "leaky_relu", "log", "log10",
    "log1p", "log2", "relu", "sigmoid", "sign", "sin", "sinh", "softplus", "sqrt", "tan", "tanh",
    "xlogy",
]  # fmt: skip


@primitive(
    lambda dz, z, x: dz * z,
    scalar=math.exp, numpy="np.exp({0})", latex="e^{{{0}}}",
    traits={"elementwise"},
)  # fmt: skip
def exp(x: Any) -> Any:
    """``eˣ``, its own derivative.

    >>> tg.exp(0.0)
    1.0
    """
    return np.exp(x)


@primitive(
    lambda dz, z, x: dz * exp(x),  # z + 1 has no digits left where z rounds to -1
    scalar=math.expm1, numpy="np.expm1({0})", latex="e^{{{0}}} - 1",
    definition=lambda x: exp(x) - 1.0,
    traits={"elementwise"},
)  # fmt: skip
def expm1(x: Any) -> Any:
    """``eˣ − 1``, exact near 0.

    >>> tg.expm1(0.0)
    0.0
    """
    return np.expm1(x)


@primitive(
    lambda dz, z, x: dz / x,
    scalar=math.log, numpy="np.log({0})", latex=r"\log {0}",
    traits={"elementwise"},
)  # fmt: skip
def log(x: Any) -> Any:
    """The natural logarithm: ``dx = dz / x``.

    >>> tg.log(1.0)
    0.0
    """
    return np.log(x)


@primitive(
    lambda dz, z, x: dz / (1.0 + x),
    scalar=math.log1p, numpy="np.log1p({0})", latex=r"\log(1 + {0})",
    definition=lambda x: log(1.0 + x),
    traits={"elementwise"},
)  # fmt: skip
def log1p(x: Any) -> Any:
    """``log(1 + x)``, exact near 0.

    >>> tg.log1p(0.0)
    0.0
    """
    return np.log1p(x)


@primitive(
    lambda dz, z, x: dz / (x * math.log(2.0)),
    scalar=math.log2, numpy="np.log2({0})", latex=r"\log_2 {0}",
    definition=lambda x: log(x) / math.log(2.0),
    traits={"elementwise"},
)  # fmt: skip
def log2(x: Any) -> Any:
    """The logarithm to base 2.

    >>> tg.log2(8.0)
    3.0
    """
    return np.log2(x)


@primitive(
    lambda dz, z, x: dz / (x * math.log(10.0)),
    scalar=math.log10, numpy="np.log10({0})", latex=r"\log_{{10}} {0}",
    definition=lambda x: log(x) / math.log(10.0),
    traits={"elementwise"},
)  # fmt: skip
def log10(x: Any) -> Any:
    """The logarithm to base 10.

    >>> tg.log10(100.0)
    2.0
    """
    return np.log10(x)


@primitive(
    lambda dz, z, x, y: dz * power_term(y, x, y - 1.0),
    lambda dz, z, x, y: dz * power_log(x, y, logs=1),
    scalar=math.pow, symbol="xʸ", numpy="{0}**{1}", latex="{0}^{{{1}}}",
    traits={"elementwise"},
)  # fmt: skip
def power(x: Any, y: Any) -> Any:
    """``x ** y`` where the exponent is a Value or an array, broadcast.

    ``dx = dz * y * x**(y-1)``, 0 where y is 0; ``dy = dz * x**y * log(x)``, 0 where x is 0 (and y
    not negative).

    >>> power(2.0, 3.0)
    8.0
    """
    return np.power(x, y)


def _d_power_log(dz: Any, x: Any, y: Any, c: Any, logs: int) -> Any:
    """Of ``c xʸ (log x)ⁿ`` by x: ``c y xʸ⁻¹ (log x)ⁿ + c n xʸ⁻¹ (log x)ⁿ⁻¹``."""
    slope = power_term(c * y, x, y - 1.0, logs=logs)
    return dz * (slope + power_term(c * logs, x, y - 1.0, logs=logs - 1) if logs else slope)


@primitive(
    lambda dz, z, x, y, *, logs: _d_power_log(dz, x, y, 1.0, logs),
    lambda dz, z, x, y, *, logs: dz * power_log(x, y, logs=logs + 1),
    latex=r"{0}^{{{1}}} \log {0}",
    definition=lambda x, y, *, logs: power(x, y) * log(x) ** logs,
    spelling=lambda x, y, *, logs: power(x, y) * log(where(equal(x, 0.0), 1.0, x)) ** logs,
    traits={"elementwise"},
)  # fmt: skip
def power_log(x: Any, y: Any, *, logs: int) -> Any:
    """``xʸ (log x)ⁿ``, n being `logs`; taken as 0 where x is 0 and y is not negative.

    >>> power_log(0.0, 2.0, logs=1), power_log(1.0, 3.0, logs=2)
    (0.0, 0.0)
    """
    return power_term.forward(np.ones_like(x), x, y, logs)


@primitive(
    lambda dz, z, c, x, y, *, logs=0: (
        dz * (power_log(x, y, logs=logs) if logs else power(x, y))
    ),
    lambda dz, z, c, x, y, *, logs=0: _d_power_log(dz, x, y, c, logs),
    lambda dz, z, c, x, y, *, logs=0: dz * power_term(c, x, y, logs=logs + 1),
    symbol="c xʸ", latex=r"{0} {1}^{{{2}}}",
    definition=lambda c, x, y, *, logs=0: (
        c * power(x, y) * log(x) ** logs if logs else c * power(x, y)
    ),
    spelling=lambda c, x, y, *, logs=0: (
        c * power(where(equal(c, 0.0), 1.0, x), y)
        * (log(where(equal(x * c, 0.0), 1.0, x)) ** logs if logs else 1.0)
    ),
    traits={"elementwise", "opened"},
)  # fmt: skip
def power_term(c: Any, x: Any, y: Any, logs: int = 0) -> Any:
    """``c xʸ (log x)ⁿ``, n being `logs`; 0 where c is 0, and of logarithms where x is 0 ≤ y.

    All derivatives of ``x ** y`` are made of such terms, whose coefficients ``y (y − 1) …`` reach 0
    at the whole exponents: no rule need look whether an exponent is 0, 1 or 2.

    >>> power_term(0.0, 0.0, -1.0), power_term(3.0, 2.0, 2.0)
    (0.0, 12.0)
    """
    c, x, y = np.asarray(c), np.asarray(x), np.asarray(y)
    left_out = (c == 0) & ~(np.isnan(x) | np.isnan(y))
    if logs:
        left_out = left_out | ((x == 0) & (y >= 0) & ~np.isnan(c))
    x = np.where(left_out, np.ones_like(x), x)
    term = c * np.power(x, y) * (np.log(x) ** logs if logs else 1.0)
    return np.where(left_out, np.zeros_like(term), term)


@primitive(
    lambda dz, z, x: dz / (2.0 * z),
    scalar=math.sqrt, symbol="√", numpy="np.sqrt({0})", latex=r"\sqrt{{{0}}}",
    traits={"elementwise"},
)  # fmt: skip
def sqrt(x: Any) -> Any:
    """The square root: ``dx = dz / (2 √x)``, infinite at 0.

    >>> tg.sqrt(9.0)
    3.0
    """
    return np.sqrt(x)


@primitive(
    None,
    numpy="np.sign({0})", latex=r"\operatorname{{sign}}({0})",
    traits={"elementwise", "kinked", "exact"},
)  # fmt: skip
def sign(x: Any) -> Any:
    """−1, 0 or 1; its derivative is zero everywhere.

    >>> tg.sign(-3.0)
    -1.0
    """
    return np.sign(x)


@primitive(
    lambda dz, z, x: dz * sign(x),
    scalar=math.fabs, numpy="np.abs({0})", latex=r"\left|{0}\right|",
    traits={"elementwise", "kinked", "exact"},
)  # fmt: skip
def absolute(x: Any) -> Any:
    """``|x|``; its derivative at 0 is taken as 0.

    >>> tg.absolute(-3.0)
    3.0
    """
    return np.abs(x)


@primitive(
    lambda dz, z, x: dz * cos(x),
    scalar=math.sin, numpy="np.sin({0})", latex=r"\sin {0}",
    traits={"elementwise"},
)  # fmt: skip
def sin(x: Any) -> Any:
    """The sine of an angle in radians.

    >>> tg.sin(0.0)
    0.0
    """
    return np.sin(x)


@primitive(
    lambda dz, z, x: -dz * sin(x),
    scalar=math.cos, numpy="np.cos({0})", latex=r"\cos {0}",
    traits={"elementwise"},
)  # fmt: skip
def cos(x: Any) -> Any:
    """The cosine of an angle in radians.

    >>> tg.cos(0.0)
    1.0
    """
    return np.cos(x)


@primitive(
    lambda dz, z, x: dz * (1.0 + z * z),
    scalar=math.tan, numpy="np.tan({0})", latex=r"\tan {0}",
    traits={"elementwise"},
)  # fmt: skip
def tan(x: Any) -> Any:
    """The tangent of an angle in radians.

    >>> tg.tan(0.0)
    0.0
    """
    return np.tan(x)


@primitive(
    lambda dz, z, x: dz / (1.0 + x * x),
    scalar=math.atan, numpy="np.arctan({0})", latex=r"\arctan {0}",
    traits={"elementwise"},
)  # fmt: skip
def arctan(x: Any) -> Any:
    """The angle, in radians, whose tangent is x.

    >>> tg.arctan(0.0)
    0.0
    """
    return np.arctan(x)


@primitive(
    lambda dz, z, x: dz * cosh(x),
    scalar=math.sinh, numpy="np.sinh({0})", latex=r"\sinh {0}",
    traits={"elementwise"},
)  # fmt: skip
def sinh(x: Any) -> Any:
    """The hyperbolic sine.

    >>> tg.sinh(0.0)
    0.0
    """
    return np.sinh(x)


@primitive(
    lambda dz, z, x: dz * sinh(x),
    scalar=math.cosh, numpy="np.cosh({0})", latex=r"\cosh {0}",
    traits={"elementwise"},
)  # fmt: skip
def cosh(x: Any) -> Any:
    """The hyperbolic cosine.

    >>> tg.cosh(0.0)
    1.0
    """
    return np.cosh(x)


#: A difference from 1 that is smaller than this is computed in another way: it has lost digits.
LOST = 2.0**-11


#: The same of ``1 − tanh²`` in arrays: eight digits are left to it at least, all where it is less.
#: (Every step of the lecture's network would be longer by a tenth, if it were all throughout.)
LOST_OF_TANH = 2.0**-24


def digits_lost(x: Any, least: float = LOST) -> bool:
    """Is any number of an array, each a difference from 1, too small to be computed like that?"""
    return bool(x.size) and not x.item(x.argmin()) > least  # the fastest way to the smallest


def _tanh_slope_of_float(z: float, x: float) -> float:
    return 1.0 - z * z if -0.99 < z < 0.99 else math.cosh(x) ** -2.0


@primitive(
    lambda dz, slope, z, x: dz * z * -2.0,
    None,
    scalar=_tanh_slope_of_float, symbol="tanh'", latex=r"\left(1 - {0}^2\right)",
    definition=lambda z, x: 1.0 - z * z,
    traits={"elementwise", "opened"},
)  # fmt: skip
def tanh_slope(z: Any, x: Any) -> Any:
    """``1 − z²`` of ``z = tanh(x)``, right also where z rounds to ±1: from x there.

    A function of z, so that a formula and a second derivative are those of ``1 − z²``.

    >>> tanh_slope(0.5, math.atanh(0.5)), tanh_slope(1.0, 50.0) == math.cosh(50.0) ** -2
    (0.75, True)
    """
    slope = np.asarray(z * z)
    np.subtract(1.0, slope, out=slope)
    if digits_lost(slope, LOST_OF_TANH):
        lost = (slope <= LOST_OF_TANH).ravel().nonzero()[0]
        with np.errstate(over="ignore"):  # 1 / inf is right
            cosh = np.cosh(np.asarray(x).take(lost))
            slope.put(lost, 1.0 / (cosh * cosh))
    return slope


def _d_tanh(dz: Any, z: Any, x: Any) -> Any:
    if type(z) is float and -0.99 < z < 0.99:  # nothing is lost; every unit of a scalar net is here
        return dz * (1.0 - z * z)
    return dz * (tanh_slope.forward(z, x) if type(z) is np.ndarray else tanh_slope(z, x))


@primitive(
    _d_tanh,
    scalar=math.tanh, numpy="np.tanh({0})", latex=r"\tanh({0})",
    definition=lambda x: 1.0 - 2.0 / (exp(2.0 * x) + 1.0),
    traits={"elementwise", "activation"},
)  # fmt: skip
def tanh(x: Any) -> Any:
    """``(eˣ − e⁻ˣ)/(eˣ + e⁻ˣ)``, with derivative ``1 − z²`` (lecture, S2).

    >>> tg.tanh(0.0)
    0.0
    """
    return np.tanh(x)


def _sigmoid_of_float(x: float) -> float:
    e = math.exp(-abs(x))
    return (1.0 if x >= 0 else e) / (1.0 + e)


@primitive(
    # σ' = σ(x)(1 − σ(x)); written σ(−x), the second factor keeps its digits where σ(x) rounds to 1.
    lambda dz, z, x: dz * z * sigmoid(-x),
    scalar=_sigmoid_of_float, symbol="σ", latex=r"\sigma({0})",
    definition=lambda x: 1.0 / (1.0 + exp(-x)),
    traits={"elementwise", "activation"},
)  # fmt: skip
def sigmoid(x: Any) -> Any:
    """``1 / (1 + e⁻ˣ)``, with derivative ``z(1 − z)`` (lecture, S2); exact and silent at ±1000.

    >>> tg.sigmoid(0.0)
    0.5
    """
    with np.errstate(over="ignore"):  # e⁻ˣ = inf is right here: 1 / inf = 0
        e = np.exp(np.negative(x))
    e += 1
    return np.reciprocal(e, out=e if type(e) is np.ndarray else None)


@primitive(
    lambda dz, z, x: dz * sigmoid(x),
    scalar=lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))) if x == x else x,
    latex=r"\operatorname{{softplus}}({0})", numpy="np.logaddexp(0, {0})",
    definition=lambda x: log(1.0 + exp(x)),
    traits={"elementwise", "activation"},
)  # fmt: skip
def softplus(x: Any) -> Any:
    """``log(1 + eˣ)``, the integral of the sigmoid; exact and silent at ±1000.

    >>> tg.softplus(0.0) == tg.log(2.0)
    True
    """
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _passes(x: Any, at_zero: float) -> Any:
    """What ReLU lets through: 1 above zero, 0 below, `at_zero` at it."""
    if at_zero == 1:
        return greater_equal(x, 0.0)
    if at_zero == 0:
        return greater(x, 0.0)
    return greater(x, 0.0) + float(at_zero) * equal(x, 0.0)


@primitive(
    lambda dz, z, x, *, at_zero=1: dz * _passes(x, at_zero),
    scalar=lambda x: x if x > 0.0 or x != x else 0.0,
    latex=r"\operatorname{{ReLU}}({0})", numpy="np.maximum({0}, 0)",
    traits={"elementwise", "kinked", "exact", "activation"},
)  # fmt: skip
def relu(x: Any, at_zero: float = 1) -> Any:
    """``max(0, x)`` (lecture, S2).

    The derivative is 1 for x > 0 and 0 for x < 0. At exactly 0 it is `at_zero`: 1 in the lecture
    and here, 0 in PyTorch and JAX.

    >>> tg.relu(-2.0), tg.relu(3.0)
    (0.0, 3.0)
    """
    return np.maximum(x, 0)


@primitive(
    lambda dz, z, x, *, slope=0.01, at_zero=1: (
        dz * where(_passes(x, 1 if at_zero else 0), 1.0, slope)
    ),
    latex=r"\operatorname{{LReLU}}({0})", numpy="np.where({0} >= 0, {0}, {slope} * {0})",
    definition=lambda x, *, slope=0.01, at_zero=1: where(greater_equal(x, 0.0), x, slope * x),
    traits={"elementwise", "kinked", "activation"},
)  # fmt: skip
def leaky_relu(x: Any, slope: float = 0.01, at_zero: float = 1) -> Any:
    """``max(x, slope · x)`` with a slope between 0 and 1 (lecture, S2: 0.01).

    The derivative is 1 for x > 0 and `slope` for x < 0. At exactly 0 it is 1 with ``at_zero=1``,
    the lecture's choice, and `slope` with ``at_zero=0``, PyTorch's.

    >>> tg.leaky_relu(-2.0), tg.leaky_relu(3.0)
    (-0.02, 3.0)
    """
    return np.where(np.asarray(x) >= 0, x, slope * x) if type(x) is not float else (
        x if x >= 0 else slope * x
    )  # fmt: skip


@primitive(
    lambda dz, z, x, *, min=None, max=None: dz * _inside(x, min, max),
    latex=r"\operatorname{{clip}}({0})", numpy="np.clip({0}, {min}, {max})",
    traits={"elementwise", "kinked", "exact"},
)  # fmt: skip
def clip(x: Any, min: Any = None, max: Any = None) -> Any:
    """``x`` limited to ``[min, max]``; the gradient passes inside and on the limits, not outside.

    >>> tg.clip(7.0, 0.0, 5.0)
    5.0
    """
    if min is None and max is None:
        return np.positive(x)  # np.clip without limits is an error before NumPy 2.1
    return np.clip(x, min, max)


def _array(limit: Any) -> Any:
    """A limit that may have been given as a list, as something to compare with."""
    return np.array(limit) if type(limit) is tuple else limit


def _inside(x: Any, low: Any, high: Any) -> Any:
    inside = 1.0
    if low is not None:
        inside = inside * greater_equal(x, _array(low))
    if high is not None:
        inside = inside * less_equal(x, _array(high))
    return inside


@primitive(
    lambda dz, z, x, y: dz * log(y),
    lambda dz, z, x, y: dz * xdivy(x, y),
    latex=r"{0} \log {1}",
    definition=lambda x, y: x * log(y),
    spelling=lambda x, y: x * log(where(equal(x, 0.0), 1.0, y)),
    traits={"elementwise"},
)  # fmt: skip
def xlogy(x: Any, y: Any) -> Any:
    """``x log y``, where ``0 · log 0 = 0``; nan where y is.

    >>> tg.xlogy(0.0, 0.0)
    0.0
    """
    safe = np.where((np.asarray(x) == 0) & ~np.isnan(y), 1, y)
    return x * np.log(safe)


@primitive(
    lambda dz, z, x, y: dz * xdivy(1.0, y),
    lambda dz, z, x, y: -dz * xdivy(z, y),
    latex=r"\frac{{{0}}}{{{1}}}",
    definition=lambda x, y: x / y,
    spelling=lambda x, y: x / where(equal(x, 0.0), 1.0, y),
    traits={"elementwise"},
)  # fmt: skip
def xdivy(x: Any, y: Any) -> Any:
    """``x / y``, where ``0 / 0 = 0``.

    >>> xdivy(0.0, 0.0)
    0.0
    """
    safe = np.where(np.asarray(x) == 0, 1, y)
    return np.divide(x, safe)


@primitive(
    lambda dz, z, x, y: dz * divide_or_zero(1.0, y),
    lambda dz, z, x, y: -dz * divide_or_zero(z, y),
    latex=r"\frac{{{0}}}{{{1}}}",
    definition=lambda x, y: x / y,
    spelling=lambda x, y: where(equal(y, 0.0), 0.0, x / where(equal(y, 0.0), 1.0, y)),
    traits={"elementwise"},
)  # fmt: skip
def divide_or_zero(x: Any, y: Any) -> Any:
    """``x / y``, taken as 0 where y is 0, and so are its derivatives of every order.

    >>> divide_or_zero(1.0, 0.0), divide_or_zero(1.0, 4.0)
    (0.0, 0.25)
    """
    return np.divide(x, np.where(np.asarray(y) == 0, np.inf, y))
