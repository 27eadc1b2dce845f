"""Formulas: what flows through the sweep to give lines."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_edu.core.operators import Operators
from tinygrad_edu.core.ops import elementwise
from tinygrad_edu.core.primitive import Primitive, Shape
from tinygrad_edu.core.primitive import shape as shape_of
from tinygrad_edu.rules.poly import Poly, broadcast
from tinygrad_edu.rules.ring import Ring


class Formula(Operators):
    """What flows through the sweep: a polynomial, and the shape of what it stands for.

    A sum is added up when it is looked at: the gradient of what is used many times is added to
    once for each use, and only the whole of it is a formula that anyone needs.
    """

    __slots__ = ("_summands", "algebra", "size")

    def __init__(self, algebra: Ring, poly: Poly, shape: Shape) -> None:
        self.algebra = algebra
        self._summands: tuple[Poly, ...] = (poly,)
        self.size = shape

    @property
    def poly(self) -> Poly:
        """The polynomial."""
        if len(self._summands) > 1:
            self._summands = (self.algebra.total(self._summands),)
        return self._summands[0]

    def plus(self, other: Formula) -> Formula:
        """The sum of two formulas."""
        total = Formula(self.algebra, self._summands[0], broadcast((self.shape, other.shape)))
        total._summands = (*self._summands, *other._summands)
        return total

    @property
    def shape(self) -> Shape:
        """The shape of what the formula stands for; its atoms alone may have a smaller one."""
        return self.size

    def __repr__(self) -> str:
        return f"Formula({self.poly}, shape={self.shape})"

    @classmethod
    def _apply(cls, op: Primitive, args: tuple[Any, ...], options: dict[str, Any]) -> Formula:
        algebra = next(x.algebra for x in args if isinstance(x, Formula))
        xs = [x if isinstance(x, Formula) else _constant(algebra, x) for x in args]
        made: Formula = algebra.apply(op, xs, options)
        return made


#: Numbers of the operations' rules that are written as what they are.
_LOGARITHMS = {math.log(n): n for n in (2, 10)}


def _constant(algebra: Any, x: Any) -> Formula:
    n = _LOGARITHMS.get(x) if type(x) is float else None
    if n is None:
        return Formula(algebra, algebra.number(x), shape_of(x))
    made: Formula = algebra.apply(elementwise.log, [Formula(algebra, algebra.number(n), ())], {})
    return made
