"""The backward sweep: from the gradient of one node to the gradients of all it was computed from.

It walks Values from the newest to the oldest and runs the rules of their operations. It does not
know what flows through: arrays, Values or formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import numpy as np

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
        node = stack.pop()
        for parent in (node._x, node._y) if node._more is None else node._more[0]:
            if parent is not None and (every or parent.requires_grad) and parent not in seen:
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
    arrived: Callable[[Any, Any], Any] | None = None,
) -> dict[Any, Any]:
    """Every node's gradient, given that `root`'s is `seed`; ``None`` where nothing arrives.

    `read` says what a rule sees of a node: its output and its inputs. Without it these are the
    recorded numbers; with it they may be Values or formulas, and the gradients come out as such.
    `wrt`: go only where these nodes are reached, and not beyond them.
    `arrived` is shown each node's finished gradient and says what flows on in its place: a formula
    may be given a name there.

    Contributions are added; broadcasting is undone here, once for all rules, by `sum_to`. An array
    that something else may hold too (the upstream gradient handed on, a view of it) is marked
    read-only: it is neither added into nor given out without a copy.
    """
    order = reachable(root)
    if wrt is not None:
        order = leading_to(wrt, order)
    gradients: dict[Any, Any] = dict.fromkeys(order)
    gradients[root] = seed
    numeric = read is None and wrt is None and arrived is None
    for node in order:
        op = node.op
        dz = gradients[node]
        if arrived is not None and dz is not None:
            dz = gradients[node] = arrived(node, dz)
        if op is None or dz is None or (wrt is not None and node in wrt):
            continue
        options = node.options
        if numeric and not options and node._more is None:
            # The general case below, written out for one or two inputs: graphs are made of these.
            # Both contributions are computed before any is delivered.
            z, x, x_data, y = node._data, node._x, node._x_data, node._y
            dy = None
            try:
                if y is None:
                    dx = op.rules[0](dz, z, x_data)
                else:
                    y_data = node._y_data
                    dx_rule, dy_rule = op.rules
                    dx = dx_rule(dz, z, x_data, y_data) if x.requires_grad and dx_rule else None
                    if y.requires_grad and dy_rule:
                        dy = dy_rule(dz, z, x_data, y_data)
                        if type(dy) is not float or type(y_data) is not float:
                            dy = fit(dy, y_data, op, dz)
                if dx is not None:
                    if type(dx) is not float or type(x_data) is not float:
                        dx = fit(dx, x_data, op, dz)
                    before = gradients[x]
                    if before is None:
                        gradients[x] = dx
                    else:
                        gradients[x] = before + dx if type(dx) is float else added(before, dx)
                if dy is not None:
                    before = gradients[y]
                    if before is None:
                        gradients[y] = dy
                    else:
                        gradients[y] = before + dy if type(dy) is float else added(before, dy)
                continue
            except (ArithmeticError, ValueError):
                if type(z) is not float:
                    raise
                # Where Python's floats raise, NumPy's numbers answer inf or nan: see `loud`.
        parents = node.parents
        z, inputs = (node._data, node._inputs) if read is None else read(node)
        for rule, parent, x in zip(op.rules, parents, inputs):
            if rule is None or not parent.requires_grad or parent not in gradients:
                continue
            try:
                g = rule(dz, z, *inputs, **options)
            except (ArithmeticError, ValueError):
                if read is not None or type(z) is not float:
                    raise
                loud = [np.float64(x) if type(x) is float else x for x in inputs]
                g = rule(np.float64(dz), np.float64(z), *loud, **options)
            g = fit(g, x, op, dz)
            before = gradients[parent]
            gradients[parent] = g if before is None else added(before, g)
    return gradients


def added(before: Any, g: Any) -> Any:
    """The sum of two contributions, into the first where nobody else holds it."""
    if type(before) is np.ndarray and before.flags.writeable:
        before += g
        return before
    return before + g


def fit(g: Any, x: Any, op: Any, dz: Any = None) -> Any:
    """A contribution in the shape (broadcasting undone) and dtype of the input it belongs to."""
    if type(g) is np.ndarray and type(x) is np.ndarray:
        if g.shape == x.shape and g.dtype is x.dtype:
            if g is dz or g.base is not None:
                share(g)
            return g
    if shape(g) != shape(x):
        undo = sum_to.forward if type(g) is np.ndarray else sum_to
        try:
            g = undo(g, shape=shape(x))
        except ValueError as error:
            raise GradError(
                f"the rule of {op} gives a gradient of shape {shape(g)} for an input of shape "
                f"{shape(x)}: {error}"
            ) from None
    if isinstance(g, Traced):
        return g
    if type(x) is not np.ndarray:
        g = plain(g)
        return float(g) if type(x) is float else x.dtype.type(g)
    g = np.asarray(g, dtype=x.dtype)
    if g.base is not None:
        share(g)
    return g


def share(g: Any) -> None:
    """Mark an array that something else may hold too, or a view of it, as not to be written to."""
    g.flags.writeable = False
    if type(g.base) is np.ndarray:
        g.base.flags.writeable = False
