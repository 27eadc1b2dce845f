"""The backward sweep: from the gradient of one node to the gradients of all it was computed from.

It walks nodes (anything with `op`, `parents`, `requires_grad` and a creation number) and runs the
rules of their operations. It does not know what flows through: arrays, Values or formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import numpy as np

from tinygrad_edu.core.ops.arithmetic import add
from tinygrad_edu.core.ops.shaping import sum_to
from tinygrad_edu.core.primitive import GradError, Traced, plain, shape

_created = attrgetter("_created")


def reachable(root: Any, every: bool = False) -> list[Any]:
    """The nodes `root` was computed from, itself included, newest first: a backward order.

    Only those that need a gradient, unless `every`. Iterative: a chain of a million is no deeper
    than a chain of two. A node is created after its parents, so creation order is topological.
    """
    seen = {root}
    stack = [root]
    while stack:
        for parent in stack.pop().parents:
            if (every or parent.requires_grad) and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=_created, reverse=True)


def leading_to(wrt: frozenset[Any], order: list[Any]) -> list[Any]:
    """Of a backward order, the nodes computed from any of `wrt`, and these themselves."""
    kept: set[Any] = set()
    for node in reversed(order):
        if node in wrt or not kept.isdisjoint(node.parents):
            kept.add(node)
    return [node for node in order if node in kept]


def sweep(
    root: Any,
    seed: Any,
    read: Callable[[Any], tuple[Any, tuple[Any, ...]]] | None = None,
    wrt: frozenset[Any] | None = None,
) -> dict[Any, Any]:
    """Every node's gradient, given that `root`'s is `seed`; ``None`` where nothing arrives.

    `read` says what a rule sees of a node: its output and its inputs. Without it these are the
    recorded numbers; with it they may be Values or formulas, and the gradients come out as such.
    `wrt`: go only where these nodes are reached, and not beyond them.

    Contributions are added; broadcasting is undone here, once for all rules, by `sum_to`.
    """
    order = reachable(root)
    if wrt is not None:
        order = leading_to(wrt, order)
    gradients: dict[Any, Any] = dict.fromkeys(order)
    gradients[root] = seed
    for node in order:
        op = node.op
        dz = gradients[node]
        if op is None or dz is None or (wrt is not None and node in wrt):
            continue
        z, inputs = (node._data, node._inputs) if read is None else read(node)
        options = node.options
        for rule, parent, x in zip(op.rules, node.parents, inputs, strict=False):
            if not parent.requires_grad or rule is None:
                continue
            if wrt is not None and parent not in gradients:
                continue
            try:
                g = rule(dz, z, *inputs, **options) if options else rule(dz, z, *inputs)
            except (ArithmeticError, ValueError):
                if read is not None or type(z) is not float:
                    raise
                # Where a Python float raises, a NumPy number answers inf or nan.
                loud = [np.float64(v) if type(v) is float else v for v in inputs]
                g = rule(np.float64(dz), np.float64(z), *loud, **options)
            if type(g) is not float or type(x) is not float:
                g = fit(g, x, op, dz)
            before = gradients[parent]
            if before is None:
                gradients[parent] = g
            elif type(before) is np.ndarray and before.flags.writeable:
                before += g  # nobody else holds it: see `fit`
            else:
                gradients[parent] = add(before, g)
    return gradients


def fit(g: Any, x: Any, op: Any, dz: Any) -> Any:
    """A contribution in the shape (broadcasting undone) and dtype of the input it belongs to.

    An array that something else may hold too (the upstream gradient handed on, a view of it) is
    marked read-only: it is neither added into nor given out without a copy.
    """
    if shape(g) != shape(x):
        try:
            g = sum_to(g, shape=shape(x))
        except ValueError as error:
            raise GradError(
                f"the rule of {op} gives a gradient of shape {shape(g)} for an input of shape "
                f"{shape(x)}: {error}"
            ) from None
    if isinstance(g, Traced):
        return g
    if type(g) is not np.ndarray or not g.ndim:
        g = plain(g)
        return float(g) if type(x) is float else np.asarray(x).dtype.type(g)
    if g.dtype is not x.dtype:
        return g.astype(x.dtype)
    if g is dz or g.base is not None:
        g.flags.writeable = False
        if type(g.base) is np.ndarray:
            g.base.flags.writeable = False
    return g
