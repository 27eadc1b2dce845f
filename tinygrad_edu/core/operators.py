"""Python's operators for whatever a primitive can be run on: each is one line, both ways round."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core.ops import arithmetic, elementary, elementwise, linalg, shaping
from tinygrad_edu.core.primitive import GradError, Traced


def is_number(n: Any) -> bool:
    """Is `n` a plain number, which an exponent may be without becoming a node of its own?"""
    return isinstance(n, (int, float, np.integer, np.floating)) and not isinstance(n, np.ndarray)


def power(x: Any, y: Any) -> Any:
    """``x ** y``: of a Value to a plain number, of a number to a Value, or of two Values.

    >>> tg.power(3.0, 2)
    9.0
    """
    if is_number(y):
        try:
            n = float(y)
        except OverflowError:
            raise GradError("power: the exponent is too large for a float") from None
        return arithmetic.power_constant(x, n=y if isinstance(y, int) else n)
    return elementwise.power(x, y)


def maximum(x: Any, y: Any) -> Any:
    """The larger of two, element by element; a tie gives half the gradient to each.

    With the plain number 0 it is the lecture's spelling of `relu`, and means that: the derivative
    at 0 is 1.

    >>> tg.maximum(2.0, 3.0)
    3.0
    """
    for number, z in ((x, y), (y, x)):
        if isinstance(z, Traced) and is_number(number) and number == 0:
            return elementwise.relu(z)
    return arithmetic.maximum(x, y)


class Operators(Traced):
    """The operators, in terms of the table of operations."""

    __slots__ = ()

    def __add__(self, other: Any) -> Any:
        return arithmetic.add(self, other)

    def __radd__(self, other: Any) -> Any:
        return arithmetic.add(other, self)

    def __sub__(self, other: Any) -> Any:
        return arithmetic.subtract(self, other)

    def __rsub__(self, other: Any) -> Any:
        return arithmetic.subtract(other, self)

    def __mul__(self, other: Any) -> Any:
        return arithmetic.multiply(self, other)

    def __rmul__(self, other: Any) -> Any:
        return arithmetic.multiply(other, self)

    def __truediv__(self, other: Any) -> Any:
        return arithmetic.divide(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return arithmetic.divide(other, self)

    def __floordiv__(self, other: Any) -> Any:
        return elementary.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return elementary.floor_divide(other, self)

    def __mod__(self, other: Any) -> Any:
        return elementary.remainder(self, other)

    def __rmod__(self, other: Any) -> Any:
        return elementary.remainder(other, self)

    def __pow__(self, other: Any) -> Any:
        return power(self, other)

    def __rpow__(self, other: Any) -> Any:
        return power(other, self)

    def __matmul__(self, other: Any) -> Any:
        return linalg.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return linalg.matmul(other, self)

    def __neg__(self) -> Any:
        return arithmetic.negative(self)

    def __pos__(self) -> Any:
        return arithmetic.positive(self)

    def __abs__(self) -> Any:
        return elementwise.absolute(self)

    def __getitem__(self, index: Any) -> Any:
        return shaping.getitem(self, index=index)

    def dot(self, other: Any) -> Any:
        """See `tinygrad_edu.dot`."""
        return linalg.dot(self, other)

    @property
    def T(self) -> Any:
        """The transpose: axes reversed."""
        return shaping.transpose(self)

    def reshape(self, *shape: Any) -> Any:
        """The same numbers in another shape: ``v.reshape(2, 3)`` or ``v.reshape((2, 3))``."""
        return shaping.reshape(self, shape=shape[0] if len(shape) == 1 else shape)

    @property
    def ndim(self) -> int:
        """How many axes."""
        return len(self.shape)
