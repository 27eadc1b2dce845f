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

#: The families. What stands in the `__all__` of one is public: exported, what NumPy's function of
#: its name means on a Value, and may be called in a sheet.
FAMILIES = (
    arithmetic, elementwise, elementary, activations, shaping, reductions, orderings, arranging,
    linalg, contractions, matrices, factors, windows, networks, losses,
)  # fmt: skip
#: Every primitive by name: what the tests walk through.
TABLE: dict[str, Primitive] = {
    op.name: op for family in FAMILIES for op in vars(family).values() if isinstance(op, Primitive)
}
#: The public functions by name.
PUBLIC: dict[str, Callable[..., Any]] = {
    name: vars(family)[name] for family in FAMILIES for name in family.__all__
}
