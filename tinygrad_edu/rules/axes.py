"""Which axes of a graph are the same axis: the units of a layer, the examples; and what m is.

Two axes of equal length need not be one axis. Each operation says which axes of its result are
which axes of its inputs; what is connected this way is one axis. The cost's division by a number
as long as an axis it summed over tells that the number is that length.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from tinygrad_edu.calculus.examples import find_examples
from tinygrad_edu.core.ops import reductions, shaping
from tinygrad_edu.core.ops.reductions import axes_of
from tinygrad_edu.core.primitive import GradError

#: One axis: the creation number of a node that has it, and which of the node's axes it is.
Axis = tuple[int, int]


class Axes:
    """The axes of a graph's nodes (oldest first), joined where they are the same."""

    def __init__(self, nodes: list[Any]) -> None:
        self.nodes = nodes
        self._node = {node._created: node for node in nodes}
        self._leader: dict[Axis, Axis] = {}
        self.repeated: dict[Axis, int] = {}  # how often an input was broadcast along the axis
        for node in nodes:
            if node.op is not None:
                for (one, i), (other, j) in same_axes(node):
                    self._join((one._created, i), (other._created, j))
        for node in nodes:
            for parent in node.parents:
                if parent.shape and parent.op is None and node.op.shape_rule is not None:
                    self._count_repeats(node, parent)
        self.members: dict[Axis, list[tuple[Any, int]]] = {}
        for node in nodes:
            for i, n in enumerate(node.shape):
                if n != 1:
                    self.members.setdefault(self.find((node._created, i)), []).append((node, i))

    def find(self, axis: Axis) -> Axis:
        """The representative of an axis."""
        while (leader := self._leader.get(axis, axis)) != axis:
            self._leader[axis] = self._leader.get(leader, leader)
            axis = leader
        return axis

    def _join(self, x: Axis, y: Axis) -> None:
        x, y = self.find(x), self.find(y)
        if x != y:
            self._leader[x] = y

    def _count_repeats(self, node: Any, parent: Any) -> None:
        if node.shape == parent.shape or node.op.name in ("matmul", "sum", "mean", "reshape"):
            return
        lead, kept = _repeated(node.shape, parent.shape)
        for axis in lead + kept:
            key = self.find((node._created, axis))
            self.repeated[key] = self.repeated.get(key, 0) + 1

    def of(self, node: Any) -> list[Axis | None]:
        """The axes of a node; None for one of length 1."""
        return [None if n == 1 else self.find((node._created, i)) for i, n in enumerate(node.shape)]

    def length(self, axis: Axis) -> int:
        """How long it is."""
        return int(self._node[axis[0]].shape[axis[1]])

    def likeliest(self, axes: set[Axis]) -> Axis | None:
        """The axis that examples lie along: biases are repeated over it, most nodes have it."""
        ranked = sorted(axes, key=lambda a: (-self.repeated.get(a, 0), -len(self.members[a]), a))
        return ranked[0] if ranked else None

    # --- m -------------------------------------------------------------------------------------

    def divisors(self) -> dict[Any, tuple[Axis, Fraction, int]]:
        """Constants that stand for the length n of an axis summed over: ``factor * n**±1``."""
        found: dict[Any, tuple[Axis, Fraction, int]] = {}
        for node in self.nodes:
            for constant, summed in self._division(node):
                c = float(constant._data)
                if not c or constant in found:
                    continue
                for times, power in ((1, 1), (2, 1), (1, -1), (2, -1)):
                    n = abs(c**power) / times
                    fits = {a for a in summed if math.isclose(n, self.length(a))}
                    if n == 2:  # more often the 2 of a square than a length
                        fits = {a for a in fits if self.repeated.get(a)}
                    axis = self.likeliest(fits)
                    if axis is not None:
                        factor = Fraction(times) ** power * (1 if c > 0 else -1)
                        found[constant] = (axis, factor, power)
                        break
        return found

    def _division(self, node: Any) -> Iterator[tuple[Any, set[Axis]]]:
        """Constants in a divisor (or factor) of something summed, and the axes of those sums."""
        if node.op is None or node.op.name not in ("divide", "multiply"):
            return
        x, y = node.parents
        for scale, summed in ((y, x), (x, y)) if node.op.name == "multiply" else ((y, x),):
            if scale.shape == () and not scale.requires_grad:
                axes = self._summed(summed)
                if axes:
                    for leaf in _leaves(scale):
                        yield leaf, axes

    def examples(self, cost: Any, m: Any = None) -> Axis | None:
        """The axis of the examples, as `find_examples` has it; None if the cost is no mean.

        Where `m` is given and the cost does not tell, an axis of that length that it sums over.
        Raises GradError where there is none.
        """
        n = m._data if hasattr(m, "_data") else m
        found = find_examples(cost, n)
        if found is None:
            return None
        fits = {axis for axis in self.members if self.length(axis) == found.m}
        carriers = found.carriers
        if carriers is not None:
            return max(fits, key=lambda a: sum(node in carriers for node, _ in self.members[a]))
        axis = self.likeliest(fits & (self._summed(cost) or fits))
        if axis is None:
            raise GradError(f"derive: m={n}, but the cost sums over no axis of {n} entries")
        return axis

    def _summed(self, node: Any) -> set[Axis]:
        """The axes summed over on the way to `node`, through operations that only scale and add."""
        axes: set[Axis] = set()
        for at in self._scaled_and_added(node):
            if at.op.name in ("sum", "mean"):
                [x] = at.parents
                gone = axes_of(len(x.shape), at.options.get("axis"))
                axes |= {self.find((x._created, i)) for i in gone if x.shape[i] != 1}
        return axes

    def _scaled_and_added(self, root: Any) -> Iterator[Any]:
        """The operations from `root` down that only scale, sum up, or add single numbers."""
        stack, seen = [root], {root}
        while stack:
            node = stack.pop()
            name = node.op.name if node.op is not None else ""
            if name in ("add", "subtract"):
                goes_on = node.shape == ()
            elif name in ("multiply", "divide"):
                goes_on = any(p.shape == () for p in node.parents)
            else:
                goes_on = name in ("sum", "mean", "negative", "positive", "reshape")
            if not goes_on:
                continue
            yield node
            for parent in node.parents:
                if parent not in seen:
                    seen.add(parent)
                    stack.append(parent)


def _leaves(node: Any) -> list[Any]:
    """The constant single numbers a constant was computed from."""
    if node.requires_grad or node.shape != ():
        return []
    found, stack = [], [node]
    while stack:
        at = stack.pop()
        if at.op is None:
            found.append(at)
        stack.extend(p for p in at.parents if p.shape == () and not p.requires_grad)
    return found


def _repeated(
    large: tuple[int, ...], small: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    try:
        return shaping.summed_axes(large, small)
    except ValueError:  # a transpose, say: nothing is repeated
        return (), ()


def same_axes(node: Any) -> Iterator[tuple[tuple[Any, int], tuple[Any, int]]]:
    """Pairs of axes, of a node and its parents, that are one axis."""
    op, options, parents = node.op, node.options, node.parents
    shape = node.shape
    if op.shape_rule is reductions.reduced_shape:
        [x] = parents
        gone = axes_of(len(x.shape), options.get("axis"))
        kept = [i for i in range(len(x.shape)) if i not in gone]
        places = kept if options.get("keepdims") else range(len(kept))
        yield from (((node, new), (x, old)) for new, old in zip(places, kept))
    elif op.name == "matmul":
        x, y = parents
        n, rows, columns = len(shape), len(x.shape), len(y.shape)
        yield (x, rows - 1), (y, max(columns - 2, 0))
        if rows > 1:
            yield (node, n - (1 if columns == 1 else 2)), (x, rows - 2)
        if columns > 1:
            yield (node, n - 1), (y, columns - 1)
    elif op.name == "transpose":
        [x] = parents
        order = options.get("axes") or tuple(reversed(range(len(shape))))
        yield from (((node, new), (x, old % len(shape))) for new, old in enumerate(order))
    elif op.name == "reshape":
        yield from _reshaped(node, parents[0])
    elif op.name == "getitem":
        yield from _indexed(node, parents[0])
    elif op.name == "scatter":
        return
    elif op.name == "joined":
        axis = options.get("axis", 0)
        if axis is not None:
            for x in parents:
                yield from (
                    ((node, i), (x, i)) for i in range(len(shape)) if i != axis % len(shape)
                )
    elif op.name == "softmax_loss":
        z, y = parents
        axis = options.get("axis", 0) % len(z.shape)
        kept = [i for i in range(len(z.shape)) if i != axis]
        yield from (((z, i), (y, i)) for i in range(len(z.shape)))
        yield from (((node, new), (z, old)) for new, old in enumerate(kept))
    else:  # element by element, or of the same shape
        for x in parents:
            for i in range(1, min(len(shape), len(x.shape)) + 1):
                if x.shape[-i] == shape[-i] != 1:
                    yield (node, len(shape) - i), (x, len(x.shape) - i)


def _reshaped(node: Any, x: Any) -> Iterator[tuple[tuple[Any, int], tuple[Any, int]]]:
    """What a reshape leaves alone: axes at the front and at the back."""
    old = [i for i, n in enumerate(x.shape) if n != 1]
    new = [i for i, n in enumerate(node.shape) if n != 1]
    for pairs in (zip(old, new), zip(reversed(old), reversed(new))):
        for i, j in pairs:
            if x.shape[i] != node.shape[j]:
                break
            yield (node, j), (x, i)


def _indexed(node: Any, x: Any) -> Iterator[tuple[tuple[Any, int], tuple[Any, int]]]:
    """What an index leaves whole."""
    index = node.options["index"]
    new = old = 0
    for part in index if isinstance(index, tuple) else (index,):
        if part is None:
            new += 1
        elif isinstance(part, (int, np.integer)):
            old += 1
        elif isinstance(part, slice):
            if node.shape[new] == x.shape[old]:
                yield (node, new), (x, old)
            new, old = new + 1, old + 1
        else:
            return
    yield from (((node, new + i), (x, old + i)) for i in range(len(x.shape) - old))
