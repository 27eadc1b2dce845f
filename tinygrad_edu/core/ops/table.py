"""The table of operations: all families together, imported when somebody asks for all."""

from collections.abc import Callable
from typing import Any

from tinygrad_edu.core.ops import (
    activations,
    arithmetic,
    arranging,
    contractions,
    elementary,
    elementwise,
    factors,
    linalg,
    losses,
    matrices,
    networks,
    orderings,
    reductions,
    shaping,
    windows,
)
from tinygrad_edu.core.primitive import Primitive

#: Every primitive by name: what a sheet may call, what the tests walk through.
TABLE: dict[str, Primitive] = {
    op.name: op
    for family in (
        arithmetic,
        elementwise,
        elementary,
        shaping,
        reductions,
        orderings,
        arranging,
        linalg,
        losses,
        matrices,
        factors,
        windows,
    )
    for op in vars(family).values()
    if isinstance(op, Primitive)
}

#: The families whose `__all__` says what is public. Whatever stands there is exported, answers to
#: NumPy's function of its name, and may be called in a sheet.
FAMILIES = (
    elementary, activations, orderings, arranging, contractions, matrices, factors, windows,
    networks, losses,
)  # fmt: skip
#: The functions of these by name.
PUBLIC: dict[str, Callable[..., Any]] = {
    name: vars(family)[name] for family in FAMILIES for name in family.__all__
}
