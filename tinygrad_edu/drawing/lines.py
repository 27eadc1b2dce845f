"""Which steps of a graph are one line: what has no name is written in the line that uses it.

So ``Z1 = W1 @ X + b1`` is one line, and so is a loss, whatever it is made of.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tinygrad_edu.core.ops.arithmetic import add
from tinygrad_edu.core.ops.linalg import matmul

#: More operations than this are not written in one line.
LONGEST = 20


def lines(
    nodes: Sequence[Any],
    names: Mapping[Any, str],
    needed: Collection[Any],
    results: Collection[Any],
) -> list[list[Any]]:
    """The nodes of each line, oldest first; the last of them is what the line computes.

    `nodes`: oldest first. A step without a name belongs to the line that alone uses it, where names
    tell lines at all: where something computed has one, besides the results. Without names only a
    matrix product belongs to the sum it is used in. So do numbers without a name, unless a gradient
    is asked for them.
    """
    named = any(node.op is not None and node not in results for node in names)
    used_by: dict[Any, set[Any]] = {}
    users: dict[Any, set[Any]] = {}
    found: dict[Any, list[Any]] = {}
    for node in reversed(nodes):
        heads = users.get(node, set())
        head = next(iter(heads)) if len(heads) == 1 else node
        if node.op is None:
            inside = named and node not in names and node not in needed and not node.shape
        else:
            inside = node not in names and (
                named or _is_product_in_sum(node, used_by.get(node, set()))
            )
        if not inside or head is node or node in results or len(found[head]) >= LONGEST:
            head = node
        found.setdefault(head, []).append(node)
        for parent in node.parents:
            users.setdefault(parent, set()).add(head)
            used_by.setdefault(parent, set()).add(node)
    return [members[::-1] for members in reversed(found.values())]


def _is_product_in_sum(node: Any, users: set[Any]) -> bool:
    return node.op is matmul and all(user.op is add for user in users)
