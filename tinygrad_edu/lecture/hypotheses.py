"""Which factor does a formula lack? Every local derivative and every value of the graph is tried.

A hypothesis survives only if multiplying by it makes the formula right at every one of several
random points; nothing here knows what the answer should be.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.core.sweep import reachable

POINTS = 5


def missing_factor(
    build: Callable[[np.random.Generator], tg.Value], of: str, lines: Mapping[str, Any]
) -> str | None:
    """What ``lines["d" + of]`` has to be multiplied by to be the gradient of the node named `of`.

    `build` makes the graph of the cost at random numbers; `lines` are functions of named numbers
    and of the lines above them. Returns None if the line is right, or lacks something else.

    >>> def square(rng):
    ...     z = tg.Value(rng.normal(), "z")
    ...     return tg.exp(z * z)
    >>> missing_factor(square, "z", {"dz": lambda z: 2 * z})
    'exp'
    """
    surviving: list[str] | None = None
    for seed in range(POINTS):
        cost = build(np.random.default_rng(seed))
        cost.backward()
        nodes = reachable(cost, every=True)
        known: dict[str, Any] = {node.name: node.data for node in nodes if node.name}
        for name, line in lines.items():
            known[name] = line(*(known[key] for key in inspect.signature(line).parameters))
        truth = next(node.grad for node in nodes if node.name == of)
        claimed = known[f"d{of}"]
        right = [name for name, factor in _hypotheses(nodes) if _equal(claimed * factor, truth)]
        surviving = right if surviving is None else [name for name in surviving if name in right]
    # Those that survive are equal at every point: the first is the simplest way to say it.
    return surviving[0] if surviving and not _equal(claimed, truth) else None


def _equal(x: Any, y: Any) -> bool:
    return bool(np.allclose(x, y, rtol=1e-9, atol=0))


def _hypotheses(nodes: list[tg.Value]) -> Iterator[tuple[str, Any]]:
    """Constants, the values of the graph, and the local derivative of every step in it."""
    yield from (("−1", -1.0), ("2", 2.0), ("1/2", 0.5))
    for node in nodes:
        yield _label(node), node.data
    for node in nodes:
        if node.op is None:
            continue
        for rule, parent in zip(node.op.rules, node.parents, strict=False):
            if rule is None or not parent.requires_grad:
                continue
            local = rule(1.0, node.data, *(p.data for p in node.parents), **node.options)
            if len(node.parents) == 1:
                yield f"{node.op.symbol}'({_label(parent)})", local
            else:
                yield f"∂{_label(node)}/∂{_label(parent)}", local


def _label(node: tg.Value) -> str:
    return node.name or (str(node.op) if node.op else f"{node.data:g}")
