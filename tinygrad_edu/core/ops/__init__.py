"""The table of operations, a file per family."""

from tinygrad_edu.core.ops import arithmetic, elementwise, linalg, losses, reductions, shaping
from tinygrad_edu.core.primitive import Primitive

#: Every primitive by name: what a sheet may call, what the tests walk through.
TABLE: dict[str, Primitive] = {
    op.name: op
    for family in (arithmetic, elementwise, shaping, reductions, linalg, losses)
    for op in vars(family).values()
    if isinstance(op, Primitive)
}
