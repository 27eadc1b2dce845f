"""The readings of one graph, asked for the same: the cost, and the gradient of all that has a name.

A graph is read by the eager sweep, by a compiled program and by derived formulas; the last come as
a function made of NumPy and as single lines. All of them are run here, on numbers by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.core.sweep import reachable, sweep


def named(cost: Any) -> dict[str, Any]:
    """The nodes of a graph that have names."""
    return {v.name: v for v in reachable(cost, every=True) if v.name is not None}


def numbers_of(cost: Any, leaves: bool = False) -> dict[str, Any]:
    """What its named nodes hold, or its leaves alone."""
    return {k: v.data for k, v in named(cost).items() if v.op is None or not leaves}


def by_the_sweep(cost: Any) -> dict[str, Any]:
    """Backward on the recorded numbers: gradients by name, zeros where none arrives."""
    nodes = named(cost)
    for node in nodes.values():
        node.zero_grad()
    cost.backward()
    return {k: np.zeros(v.shape, v.dtype) if v.grad is None else v.grad for k, v in nodes.items()}


def elsewhere(
    cost: Any, leaves: dict[str, Any], changed: Callable[[Any], Any] = lambda z: z
) -> tuple[Any, dict[str, Any]]:
    """The recorded operations and the sweep on other numbers of the leaves, by name; the cost and
    the gradients by name. `changed` changes what each operation gives."""
    nodes = reachable(cost, every=True)[::-1]
    data: dict[Any, Any] = {}
    for node in nodes:
        if node.op is None:
            data[node] = leaves[node.name] if node.name in leaves else node.data
        else:
            data[node] = changed(
                node.op.evaluate(tuple(data[p] for p in node.parents), node.options)
            )
    found = sweep(cost, 1.0, lambda node: (data[node], tuple(data[p] for p in node.parents)))
    return data[cost], {
        node.name: np.zeros(node.shape) if g is None else g
        for node, g in found.items()
        if node.name is not None
    }


def function_of(derivation: tg.Derivation) -> Callable[[dict[str, Any]], tuple[Any, Any]]:
    """The derivation's own function, made of NumPy alone: from numbers by name to the cost and
    gradients by name."""
    scope: dict[str, Any] = {}
    exec(derivation.to_numpy(), scope)
    code = scope["gradients"].__code__
    names = code.co_varnames[: code.co_argcount]

    def run(numbers: dict[str, Any]) -> tuple[Any, Any]:
        cost, found = scope["gradients"](**{k: x for k, x in numbers.items() if k in names})
        return cost, {rule.of: found[rule.name] for rule in derivation}

    return run


def by_the_lines(derivation: tg.Derivation, numbers: dict[str, Any]) -> dict[str, Any]:
    """The derived lines, one after another, each a Python statement: gradients by name."""
    scope = {"np": np, **numbers}
    for rule in derivation:
        exec(rule.numpy, scope)
    return {rule.of: scope[rule.name] for rule in derivation}
