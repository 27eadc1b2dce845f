"""The numbers that the terms of a cost are scaled by, and which of them were made of m.

Of a sum over examples the axis tells what it is divided by. A penalty sums over none, so how its
numbers are written has to do: a divisor that is m or 2 m, a factor with far fewer digits times m.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fractions import Fraction
from typing import Any

#: What stands between a cost and the numbers that scale its terms.
_PASSED = frozenset({"add", "subtract", "negative", "positive", "sum", "mean", "multiply"})
#: Times m so many digits fewer: 0.1/14 has 16, 0.05 has one.
FEWER = 3


def made_of(m: int, cost: Any, learning: Collection[Any]) -> dict[Any, tuple[Fraction, int]]:
    """The unnamed numbers that scale terms of a cost and were made of m: ``factor * m**power``."""
    found = {}
    for number, below in scaling(cost, learning):
        c = float(number._data)
        if below and c in (m, 2 * m) and c != 2:  # more often the 2 of a square than a length
            found[number] = Fraction(int(c), m), 1
        elif not below and _digits(c) - _digits(c * m) >= FEWER and not _is_share(c, m):
            found[number] = Fraction(_written(c * m)), -1
    return found


def _is_share(c: float, m: int) -> bool:
    """Is a number a third or the like, and no share of m?"""
    share = Fraction(c).limit_denominator(9)
    return float(share) == c and share.denominator not in (m, 2 * m)


def scaling(cost: Any, learning: Collection[Any]) -> Iterator[tuple[Any, bool]]:
    """The unnamed numbers a cost's terms are scaled by; whether they are divided by them."""
    stack, seen = [(cost, False)], set()
    while stack:
        node, below = stack.pop()
        if (node, below) in seen:
            continue
        seen.add((node, below))
        if node.op is None:
            if node.shape == () and not node.name and node not in learning:
                yield node, below
        elif node.op.name == "divide":
            stack += [(node.parents[0], below), (node.parents[1], not below)]
        elif node.op.name in _PASSED:
            stack += [(parent, below) for parent in node.parents]


def _written(c: float) -> str:
    """A number as one would write it, what rounding left of it dropped."""
    return f"{c:.12g}"


def _digits(c: float) -> int:
    mantissa, *_ = _written(abs(c)).split("e")
    return len(mantissa.replace(".", "").strip("0"))
