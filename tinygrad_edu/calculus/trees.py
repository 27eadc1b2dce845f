"""Parameters in dictionaries, lists and tuples: one structure in, the same structure out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu.core.value import Value


def is_tree(x: Any) -> bool:
    """Does `x` hold arrays or Values? A list of plain numbers is an array, as everywhere here.

    >>> is_tree({"w": 1.0}), is_tree([np.ones(2), 1.0]), is_tree([1.0, 2.0])
    (True, True, False)
    """
    if isinstance(x, dict):
        return True
    return isinstance(x, (list, tuple)) and any(
        isinstance(part, (Value, np.ndarray)) or is_tree(part) for part in x
    )


def flattened(x: Any, name: str | None = None) -> list[tuple[Any, str | None]]:
    """What a tree holds, in order; each with the key it has in a dictionary, if it has one."""
    if not is_tree(x):
        return [(x, name)]
    items = x.items() if isinstance(x, dict) else ((None, part) for part in x)
    return [
        leaf
        for key, part in items
        for leaf in flattened(part, key if isinstance(key, str) else None)
    ]


def rebuilt(x: Any, parts: Iterator[Any]) -> Any:
    """The structure of a tree with other parts, taken in order.

    >>> rebuilt({"w": np.ones(2), "b": [np.ones(1), 2.0]}, iter("abc"))
    {'w': 'a', 'b': ['b', 'c']}
    """
    if not is_tree(x):
        return next(parts)
    if isinstance(x, dict):
        return {key: rebuilt(part, parts) for key, part in x.items()}
    made = [rebuilt(part, parts) for part in x]
    if isinstance(x, list):
        return made
    return type(x)(*made) if hasattr(x, "_fields") else tuple(made)
