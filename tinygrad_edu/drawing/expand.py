"""The same graph in simpler operations: ``sigmoid`` as ``1 / (1 + exp(-x))``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.sweep import needed
from tinygrad_edu.core.value import Value


def expanded(
    nodes: Sequence[Any], names: dict[Any, str], results: Sequence[Any]
) -> tuple[list[Value], dict[Any, str]]:
    """A copy of a graph with every operation that has a definition replaced by its parts.

    `nodes`: oldest first. The copy is computed from the numbers the graph recorded, and its results
    have the gradients that the graph's have. The graph itself is not touched. Returns the results
    and the names of the copy's nodes.
    """
    copies: dict[Any, Value] = {}
    recorded = {p: x for node in nodes for p, x in zip(node.parents, node._inputs) if p.op is None}
    learning = needed(nodes)
    for node in nodes:
        if node.op is None:
            copies[node] = Value(recorded.get(node, node._data), node.name, node in learning)
            continue
        inputs = [copies[parent] for parent in node.parents]
        compute = node.op.definition or node.op
        try:
            copies[node] = compute(*inputs, **node.options)
        except (GradError, ArithmeticError):
            copies[node] = node.op(*inputs, **node.options)
    for result in results:
        copies[result]._grad = result._grad
    return [copies[z] for z in results], {copies[node]: name for node, name in names.items()}
