"""The backward sweep: from the gradient of one node to the gradients of all it was computed from.

It walks Values from the newest to the oldest and runs the rules of their operations. It does not
know what flows through: arrays, Values or formulas.
"""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Protocol

import numpy as np
from numpy import float64, ndarray

from tinygrad_edu.core import branches
from tinygrad_edu.core.ops.shaping import broadcast_to, sum_to
from tinygrad_edu.core.primitive import Each, GradError, Shape, Traced, plain, shape
from tinygrad_edu.core.recording import asking

_created = attrgetter("_created")


class Watch(Protocol):
    """Who is shown every node and every sweep of a thread: see `tinygrad_edu.debug_nans`."""

    def computed(self, node: Any, op: Any, parents: tuple[Any, ...]) -> None:
        """A node has been computed from others."""

    def swept(self, root: Any, gradients: dict[Any, Any]) -> None:
        """The gradients of all nodes below one have been computed, and not been given out yet."""


#: Who watches this thread, and in it this task of asyncio.
watching: contextvars.ContextVar[Watch | None] = contextvars.ContextVar("watching", default=None)


def reachable(root: Any, every: bool = False) -> list[Any]:
    """The nodes `root` was computed from, itself included, newest first: a backward order.

    Only those that needed a gradient when they were computed with, unless `every`. Iterative: a
    chain of a million is no deeper than a chain of two. A node is created after its parents, so
    creation order is topological.
    """
    seen, todo = {root, None}, [root]  # None: what a leaf has for inputs
    found: list[Any] = []
    add, keep, push, pop = seen.add, found.append, todo.append, todo.pop  # asked for at every node
    while todo:
        node = pop()
        while node is not None:  # down along one input; what waits meanwhile is in `todo`
            keep(node)
            if node._more is not None:
                for parent, needs_one in zip(node._more[0], node._more[4]):
                    if (needs_one or every) and parent not in seen:
                        add(parent)
                        push(parent)
                break
            which = 3 if every else node._needs
            x, y, node = node._x, node._y, None
            if which > 1 and y not in seen:
                add(y)
                node = y
            if which and which != 2 and x not in seen:
                add(x)
                if node is None:
                    node = x
                else:
                    push(x)
    found.sort(key=_created, reverse=True)
    return found


def needs(node: Any) -> tuple[bool, ...]:
    """Of each input, whether it needed a gradient when the node was computed from it."""
    if node._more is not None:
        flags: tuple[bool, ...] = node._more[4]
        return flags
    return node._needs & 1 != 0, node._needs & 2 != 0


def needing(node: Any) -> list[Any]:
    """The inputs of a node that needed a gradient when it was computed from them."""
    return [parent for parent, needed in zip(node.parents, needs(node)) if needed]


def needed(nodes: Sequence[Any]) -> set[Any]:
    """Of all nodes of a graph, those that needed a gradient when it was recorded.

    A leaf's own flag may have been changed since, for graphs to come.
    """
    used = {parent for node in nodes for parent in node.parents}
    ends = {node for node in nodes if node not in used and node.requires_grad}
    return ends.union(parent for node in nodes for parent in needing(node))


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
    keep_all: bool = True,
    options: Callable[[Any], dict[str, Any]] | None = None,
    leaves: list[Any] | None = None,
) -> dict[Any, Any]:
    """Every node's gradient, given that `root`'s is `seed`; ``None`` where nothing arrives.

    `read` says what a rule sees of a node: its output and its inputs. Without it these are the
    recorded numbers; with it they may be Values or formulas, and the gradients come out as such.
    `wrt`: go only where these nodes are reached, and not beyond them.
    `arrived` is shown each node's finished gradient and says what flows on in its place: a formula
    may be given a name there.
    `options`: what a rule sees of a node's options, where that is not what was recorded.
    `keep_all`: without it, the gradients of nodes between `root` and the leaves are forgotten
    (None) as soon as they have flowed on, which saves their memory.

    `leaves`: a list to which the leaves below `root` are added.

    Contributions are added; broadcasting is undone here, once for all rules, by `sum_to`. An array
    that something else may hold too (the upstream gradient handed on, a view of it) is marked
    read-only: it is neither added into nor given out without a copy.

    Of recorded numbers, what was left out contributes nothing, also through an infinite slope: see
    `branches`.
    """
    watch = watching.get() if asking else None
    order = reachable(root)
    if wrt is not None:
        order = leading_to(wrt, order)
    if read is not None or arrived is not None:
        found = _sweep_read(order, root, seed, read or _recorded, wrt, arrived, options)
        if leaves is not None:
            leaves += [node for node in order if node.op is None]
    else:
        if wrt is None:
            ends = [] if leaves is None else leaves
            found = _sweep_numbers(order, root, seed, keep_all or watch is not None, ends)
        else:
            ends = list(wrt)
            found = _sweep_read(order, root, seed, _recorded, wrt, None)
        if branches.suspected(found, ends, order):
            found = _careful(order, root, seed, wrt, found)
        if watch is None and wrt is None:
            return found
    if watch is not None:
        watch.swept(root, found)
    if keep_all:
        return found
    return {v: g if v.op is None or v is root else None for v, g in found.items()}


def _careful(
    order: list[Any], root: Any, seed: Any, wrt: frozenset[Any] | None, found: dict[Any, Any]
) -> dict[Any, Any]:
    """What a sweep over recorded numbers found, once more with zeros that are certain."""
    with np.errstate(all="ignore"):
        zeros = branches.Certain(seed, np.equal(seed, 0))
        careful = branches.numbers(_sweep_read(order, root, zeros, _certain, wrt, None))
    return {v: g if g is None else careful[v] for v, g in found.items()}


def _recorded(node: Any) -> tuple[Any, tuple[Any, ...]]:
    return node._data, node._inputs


def _certain(node: Any) -> tuple[Any, tuple[Any, ...]]:
    """The recorded numbers; a zero is certain in what needed no gradient only."""
    inputs = zip(node._inputs, needs(node))
    return branches.Certain(node._data), tuple(
        branches.Certain(x, False if needed else np.equal(x, 0)) for x, needed in inputs
    )


def _sweep_read(
    order: list[Any],
    root: Any,
    seed: Any,
    read: Callable[[Any], tuple[Any, tuple[Any, ...]]],
    wrt: frozenset[Any] | None,
    arrived: Callable[[Any, Any], Any] | None,
    options: Callable[[Any], dict[str, Any]] | None = None,
) -> dict[Any, Any]:
    """`sweep` on what `read` says."""
    gradients: dict[Any, Any] = dict.fromkeys(order)
    gradients[root] = seed
    for node in order:
        dz = gradients[node]
        if arrived is not None and dz is not None:
            dz = gradients[node] = arrived(node, dz)
        if node.op is None or dz is None or (wrt is not None and node in wrt):
            continue
        slope = _slope(node) if read is _recorded else None
        flow(node, dz, *read(node), gradients, slope, options)
    return gradients


def _sweep_numbers(
    order: list[Any], root: Any, seed: Any, keep_all: bool, leaves: list[Any]
) -> dict[Any, Any]:
    """`sweep` on the recorded numbers.

    What most nodes are is written out, for speed: made of one or two inputs, without options.
    """
    ended = leaves.append
    gradients: dict[Any, Any] = dict.fromkeys(order)
    gradients[root] = seed
    forget = not keep_all
    for node in order:
        op, dz = node.op, gradients[node]
        if op is None:
            ended(node)
            continue
        if dz is None:
            continue
        if forget and node is not root:
            gradients[node] = None
        dx = dy = before = None  # what the last round held may go
        if node._more is None:
            z = node._data
            x, y = node._x, node._y
            x_data, y_data = node._x_data, node._y_data
            which = node._needs
            try:
                if y is None:
                    if which != 1:
                        continue
                    dx = op.rules[0](dz, z, x_data)
                elif which == 3:
                    rule, dy_rule = op.rules
                    dx = rule(dz, z, x_data, y_data)
                    dy = dy_rule(dz, z, x_data, y_data)
                elif which == 1:
                    dx = op.rules[0](dz, z, x_data, y_data)
                elif which == 2:
                    x, x_data = y, y_data
                    dx = op.rules[1](dz, z, node._x_data, y_data)
                else:
                    continue
            except (ArithmeticError, ValueError):
                if type(z) is not float:
                    raise
            else:
                if type(z) is float and op.scalar is not None:  # of numbers come numbers
                    before = gradients[x]
                    gradients[x] = dx if before is None else before + dx
                    if dy is not None:
                        before = gradients[y]
                        gradients[y] = dy if before is None else before + dy
                    continue
                dx = fit(dx, x_data, op, dz)
                before = gradients[x]
                gradients[x] = dx if before is None else added(before, dx)
                if dy is not None:
                    dy = fit(dy, y_data, op, dz)
                    before = gradients[y]
                    gradients[y] = dy if before is None else added(before, dy)
                continue
        flow(node, dz, node._data, node._inputs, gradients, _slope(node))
    return gradients


def _slope(node: Any) -> Any:
    """What the forward pass of a node has kept for its first rule, if it has."""
    return None if node._more is None else node._more[3]


def flow(
    node: Any,
    dz: Any,
    z: Any,
    inputs: tuple[Any, ...],
    gradients: dict[Any, Any],
    slope: Any = None,
    seen: Callable[[Any], dict[str, Any]] | None = None,
) -> None:
    """Add what the rules of one node send to its parents, those in `gradients`."""
    op = node.op
    if node._more is None:
        parents, options, flags = node.parents, {}, needs(node)
    else:
        parents, _, options, _, flags = node._more
        if seen is not None:
            options = seen(node)
    rules, each = op.rules, type(op.rules) is Each
    if each:
        rules = rules.rule(dz, z, *inputs, **options)
    for rule, parent, x, needed in zip(rules, parents, inputs, flags):
        more, slope = options if slope is None else {**options, "slope": slope}, None
        if rule is None or not needed or parent not in gradients:
            continue
        before = gradients[parent]
        if op.add_into and type(before) is ndarray and before.flags.writeable:
            op.add_into(before, dz, **options)  # v[0], v[1], …: no array of v's size for each
            continue
        try:
            g = rule if each else rule(dz, z, *inputs, **more)
        except (ArithmeticError, ValueError):
            if type(z) is not float:
                raise
            # Where Python's floats raise, NumPy's numbers answer inf or nan.
            loud = [float64(x) if type(x) is float else x for x in inputs]
            g = rule(float64(dz), float64(z), *loud, **options)
        g = fit(g, x, op, dz)
        gradients[parent] = g if before is None else added(before, g)


def added(before: Any, g: Any) -> Any:
    """The sum of two contributions, into the first where nobody else holds it."""
    if type(before) is ndarray and before.flags.writeable:
        before += g
        return before
    return before + g


def fit(g: Any, x: Any, op: Any, dz: Any = None) -> Any:
    """A contribution in the shape and dtype of the input it belongs to: what had been broadcast is
    summed, what had been reduced is broadcast."""
    kind = type(g)
    if type(x) is ndarray and (kind is ndarray or kind is float):
        if kind is float:
            g = broadcast_to.forward(g, x.shape)
        elif g.shape != x.shape:
            # The sum of each row as a product with ones: a third of the time of np.add.reduce.
            ones = _column_of_ones(g.shape, x.shape, g.dtype)
            g = refit(g, x.shape, op) if ones is None else g.dot(ones)
        if g.dtype is not x.dtype:
            g = g.astype(x.dtype)
        if g is dz or g.base is not None:
            share(g)
        return g
    if shape(g) != shape(x):
        g = refit(g, shape(x), op)
    if isinstance(g, Traced):
        return g
    if type(x) is not ndarray:
        g = plain(g)
        return float(g) if type(x) is float else x.dtype.type(g)
    return fit(np.asarray(g), x, op, dz)


def refit(g: Any, new: Shape, op: Any) -> Any:
    """A contribution of another shape in the shape of its input."""
    old = shape(g)
    try:
        undo = broadcast_to if was_reduced(old, new) else sum_to
        return undo(g, shape=new) if isinstance(g, Traced) else undo.forward(g, new)
    except ValueError as error:
        raise GradError(
            f"the rule of {op} gives a gradient of shape {old} for an input of shape {new}: {error}"
        ) from None


@functools.lru_cache(maxsize=256)
def _column_of_ones(old: Shape, new: Shape, dtype: Any) -> Any:
    """What to multiply rows with to sum them, (n, m) to (n, 1); None for other shapes.

    Longer rows are summed as NumPy does, which rounds less.
    """
    if len(old) == 2 and new == (old[0], 1) and 1 < old[1] <= 4096:
        return np.ones((old[1], 1), dtype)
    return None


@functools.lru_cache(maxsize=4096)
def was_reduced(old: Shape, new: Shape) -> bool:
    """Whether it is `old` that broadcasts to `new`, and not the other way round."""
    return len(old) < len(new) or any(m == 1 != n for m, n in zip(old[::-1], new[::-1]))


def share(g: Any) -> None:
    """Mark an array that something else may hold too, or a view of it, as not to be written to."""
    g.setflags(write=False)
    if type(g.base) is ndarray:
        g.base.setflags(write=False)
