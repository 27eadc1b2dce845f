"""Which results are another look at memory: NumPy is asked, on arrays in which nothing is written.

What NumPy answers with a look and what with a copy depends on the type of an index (``0`` gives a
look, ``np.array(0)`` and ``True`` copies) and on how numbers lie in memory. Whoever takes a look
for a copy reads memory that something else was written over; so nothing here guesses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core.ops import shaping
from tinygrad_edu.core.primitive import Primitive, Shape

#: Operations that may answer with a look at the memory of their input.
LOOKS: set[Primitive] = {
    shaping.reshape, shaping.transpose, shaping.broadcast_to, shaping.getitem,
}  # fmt: skip


def blank(shape: Shape) -> Any:
    """An array to try things on: memory in order, of a byte a number, never written."""
    return np.empty(shape, np.int8)


def looks_at(part: Any, whole: Any) -> bool:
    """Does `part` lie in the memory of `whole`? Of no numbers too, which share no byte.

    >>> whole = blank((2, 3))
    >>> looks_at(whole[1:, ::-1], whole), looks_at(whole[[1]], whole), looks_at(whole[0, 0], whole)
    (True, False, False)
    """
    return _owner(part) is _owner(whole)


def _owner(array: Any) -> Any:
    return array if array.base is None else array.base


def names_places_once(shape: Shape, index: Any) -> bool:
    """Is no place of an array of this shape named twice by an index? Known for looks and numbers.

    >>> names_places_once((3,), slice(1, 3)), names_places_once((3,), [0, 0])
    (True, False)
    """
    whole = blank(shape)
    part = whole[index]
    return not isinstance(part, np.ndarray) or looks_at(part, whole)
