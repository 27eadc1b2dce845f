"""Lengths and shapes that know what they are called, and options as something to look up by."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core.primitive import Shape
from tinygrad_edu.rules.indices import WholeNumber, WholeNumbers
from tinygrad_edu.rules.poly import Poly


class Size(int):
    """A length that remembers what it is called: ``m``, ``X.shape[0]``, ``2 m``."""

    symbol: Poly

    def __new__(cls, n: int, symbol: Poly) -> Size:
        size = super().__new__(cls, n)
        size.symbol = symbol
        return size

    def _with(self, other: Any, n: int, combine: Callable[[Poly, Poly], Poly]) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        algebra = self.symbol.algebra
        return Size(n, combine(self.symbol, algebra.number(other)))

    def __mul__(self, other: Any) -> Any:
        return self._with(other, int(self) * other, lambda a, b: a * b)

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Any:
        return self._with(other, int(self) + other, lambda a, b: a + b)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._with(other, int(self) - other, lambda a, b: a - b)

    def __pow__(self, n: Any, modulo: Any = None) -> Any:
        return self.symbol.algebra.single(self.symbol**n)


class Named(tuple[int, ...]):
    """The shape of a quantity that has a name: ``M.shape``."""

    name: str

    def __new__(cls, shape: Shape, name: str) -> Named:
        named = super().__new__(cls, shape)
        named.name = name
        return named


def hashable(x: Any) -> Any:
    """An option as something to look up by: arrays by their contents."""
    if isinstance(x, Size):
        return (int(x), x.symbol.id)
    if isinstance(x, WholeNumber):
        return (int(x), x.text)
    if isinstance(x, WholeNumbers) and x.text:
        return (x.shape, x.dtype.str, x.tobytes(), x.text)
    if isinstance(x, np.ndarray):
        return (x.shape, x.dtype.str, x.tobytes())
    if isinstance(x, slice):
        return ("slice", hashable(x.start), hashable(x.stop), hashable(x.step))
    if isinstance(x, dict):
        return tuple((key, hashable(value)) for key, value in x.items())
    if isinstance(x, (tuple, list)):
        return tuple(map(hashable, x))
    return x


def lengths(shape: Any) -> tuple[Any, ...]:
    """A shape as `reshape` takes it (one number, a list, an array of them) as a tuple."""
    return (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)


def float_text(x: Any) -> str:
    """A float as Python reads it back where only NumPy is known by name."""
    return repr(float(x)) if math.isfinite(x) else f"{'-' if x < 0 else ''}np.{abs(x)}"


#: What has no fraction is an atom, known by this name.
NOT_FINITE = {float_text(x): x for x in (math.inf, -math.inf, math.nan)}
