"""How tightly things hold together: the one table every notation asks where brackets are needed."""

from __future__ import annotations

from typing import NamedTuple

SUM, QUOTIENT, SIGNED, PRODUCT, PREFIX, MATMUL, POWER, WHOLE = range(1, 9)


class Holds(NamedTuple):
    """How tightly something holds, and what its parts must hold to stand in it without brackets."""

    whole: int
    first: int
    later: int


#: The columns of the table: Python reads a row of products from the left; on a line of text a
#: quotient is easily misread; what is typeset has a bar for it.
PYTHON, TEXT, TYPESET = range(3)

_ENCLOSED = Holds(WHOLE, SUM, SUM)
_MATMUL = Holds(MATMUL, MATMUL, MATMUL)
_POWER = Holds(POWER, WHOLE, SUM)

#: By kind of tree, for each column. `subtract` and `negative` say what stands after a minus, and
#: `fraction` is a number written with a slash.
PRECEDENCE: dict[str, tuple[Holds, Holds, Holds]] = {
    "add": (Holds(SUM, SUM, SUM),) * 3,
    "subtract": (
        Holds(SUM, SUM, PRODUCT), Holds(SUM, SUM, QUOTIENT), Holds(SUM, SUM, PRODUCT),
    ),
    "negative": (
        Holds(PRODUCT, PRODUCT, PRODUCT), Holds(SIGNED, QUOTIENT, QUOTIENT),
        Holds(PRODUCT, PRODUCT, PRODUCT),
    ),
    "multiply": (
        Holds(PRODUCT, PRODUCT, POWER), Holds(PRODUCT, SIGNED, MATMUL),
        Holds(PRODUCT, PRODUCT, PREFIX),
    ),
    "divide": (
        Holds(PRODUCT, PRODUCT, POWER), Holds(QUOTIENT, PRODUCT, POWER), Holds(PRODUCT, SUM, SUM),
    ),
    "matmul": (Holds(PRODUCT, PRODUCT, POWER), _MATMUL, _MATMUL),
    "power": (_POWER,) * 3,
    "transpose": (Holds(WHOLE, WHOLE, WHOLE),) * 2 + (Holds(POWER, WHOLE, WHOLE),),
    "sum": (_ENCLOSED,) * 3,
    "mean": (_ENCLOSED,) * 3,
    "where": (_ENCLOSED, _ENCLOSED, Holds(SUM, SUM, SUM)),
    "call": (_ENCLOSED, _ENCLOSED, Holds(POWER, SUM, SUM)),
    "name": (_ENCLOSED,) * 3,
    "number": (_ENCLOSED,) * 3,
    "fraction": (Holds(PRODUCT, SUM, SUM), Holds(SIGNED, SUM, SUM), _ENCLOSED),
}  # fmt: skip
