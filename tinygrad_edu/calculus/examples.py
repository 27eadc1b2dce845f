"""The example axis of a cost: what its sum over examples is divided by, and which nodes have it.

The lecture writes ``dZ`` for the derivative of the *sum* of the losses and ``dW``, ``db`` for that
of their *mean*. To speak in that scale one must know m and what carries the examples. Both
are read off the graph: axes that an operation forces to be equally long are one dimension, and the
example dimension is the one the cost averages over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from tinygrad_edu.core.ops import arithmetic, linalg, losses, reductions, shaping
from tinygrad_edu.core.ops.elementwise import exp
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.sweep import needed, reachable
from tinygrad_edu.core.value import Value

#: Operations that reduce axes named in their options.
_REDUCTIONS = frozenset(
    {
        reductions.sum, reductions.mean, reductions.max, reductions.min, reductions.prod,
        reductions.var, reductions.std, reductions.norm, reductions.logsumexp,
    }
)  # fmt: skip
_SAME_AXES = frozenset({reductions.softmax, reductions.log_softmax, reductions.cumsum})
#: What a cost may still do to a sum of losses without becoming anything else than a sum of losses.
_SHAPES_ONLY = frozenset(
    {shaping.reshape, shaping.transpose, shaping.broadcast_to, shaping.sum_to, arithmetic.positive}
)


@dataclass(frozen=True)
class Examples:
    """m, and the nodes that have the example axis; `carriers` is None where only m is known."""

    m: int
    carriers: frozenset[Value] | None = None

    def has(self, node: Value) -> bool:
        """Does `node` carry the examples?"""
        return self.m in node.shape if self.carriers is None else node in self.carriers

    def scale(self, node: Value) -> float:
        """The lecture's factor of ``∂J/∂node``: m for computed quantities of all examples."""
        return float(self.m) if node.op is not None and self.has(node) else 1.0


def find_examples(cost: Value, m: int | None = None) -> Examples | None:
    """The example axis of `cost`; None where it averages over none, or several fit.

    With `m` given, only a dimension of that length is looked for, and every computed quantity with
    an axis of that length counts if the cost does not tell which it is.

    >>> x, w = Value([[1.0, 2.0, 3.0]], "x"), Value([[2.0]], "w")
    >>> find_examples(((w @ x) ** 2).sum() / 3).m
    3
    """
    if m is not None and (not isinstance(m, Real) or m is True or m < 1 or m % 1):
        raise GradError(f"m is the number of examples, a whole number of at least 1, not {m!r}")
    order = reachable(cost, every=True)[::-1]
    dimensions = _Dimensions(order)
    found = _averaged(cost, dimensions, order, m)
    if found is None:
        return None if m is None else Examples(int(m))
    carriers = frozenset(node for node in order if found in dimensions.of(node))
    return Examples(dimensions.length[found], carriers)


class _Dimensions:
    """Which axes of the nodes of a graph are one dimension: union-find over axes of length > 1."""

    def __init__(self, order: list[Value]) -> None:
        self.parent: list[int] = []
        self.length: dict[int, int] = {}
        self.contracted: set[int] = set()  # summed over by a matrix product
        self.mixed: set[int] = set()  # normalised over: the entries depend on one another
        self.repeated: set[int] = set()  # along which a leaf is repeated, as a bias is
        self.axes: dict[Value, tuple[int, ...]] = {}
        for node in order:
            self.axes[node] = self._axes_of(node)
        self.contracted = {self.root(a) for a in self.contracted}
        self.mixed = {self.root(a) for a in self.mixed}
        self.repeated = {self.root(a) for a in self.repeated}

    def fresh(self, length: int) -> int:
        self.parent.append(len(self.parent))
        self.length[len(self.parent) - 1] = length
        return len(self.parent) - 1

    def root(self, a: int) -> int:
        while self.parent[a] != a:
            self.parent[a] = self.parent[self.parent[a]]
            a = self.parent[a]
        return a

    def join(self, a: int, b: int) -> int:
        a, b = self.root(a), self.root(b)
        if self.length[a] == 1 or (self.length[b] == 1 and a != b):
            return b if self.length[a] == 1 else a
        self.parent[b] = a
        return a

    def of(self, node: Value) -> tuple[int, ...]:
        return tuple(self.root(a) for a in self.axes[node] if self.length[a] > 1)

    def _axes_of(self, node: Value) -> tuple[int, ...]:
        op, options = node.op, node.options
        inputs = [self.axes[p] for p in node.parents]
        if op is None:
            return tuple(self.fresh(n) for n in node.shape)
        if op is linalg.matmul:
            return self._matmul(*inputs)
        if op in _REDUCTIONS:
            return self._reduced(node, inputs[0], options)
        if op in _SAME_AXES:
            if op is not reductions.cumsum:
                self._mix(inputs[0], options.get("axis"))
            return inputs[0] if len(inputs[0]) == len(node.shape) else self._new(node)
        if op is losses.softmax_loss:
            axis = options.get("axis", 0) % len(inputs[0])
            both = tuple(self.join(a, b) for a, b in zip(*inputs, strict=True))
            self._mix(both, axis)
            return both[:axis] + both[axis + 1 :]
        if op is shaping.transpose:
            axes = options.get("axes")
            return inputs[0][::-1] if axes is None else tuple(inputs[0][a] for a in axes)
        if op is shaping.reshape:
            return self._reshaped(inputs[0], node.shape)
        if op is shaping.getitem:
            return self._indexed(inputs[0], options["index"], node)
        if op is shaping.joined and options.get("axis", 0) is not None:
            along = options.get("axis", 0) % len(node.shape)
            columns = [list(column) for column in zip(*inputs, strict=True)]
            return tuple(
                self.fresh(n) if a == along else self._all(columns[a])
                for a, n in enumerate(node.shape)
            )
        if op is shaping.scatter or op.variadic or op is shaping.sum_to:
            return self._new(node)
        return self._broadcast(inputs, node)

    def _new(self, node: Value) -> tuple[int, ...]:
        return tuple(self.fresh(n) for n in node.shape)

    def _all(self, axes: list[int]) -> int:
        first = axes[0]
        for other in axes[1:]:
            first = self.join(first, other)
        return first

    def _mix(self, axes: tuple[int, ...], axis: Any) -> None:
        self.mixed.update(axes[a] for a in reductions.axes_of(len(axes), axis))

    def _broadcast(self, inputs: list[tuple[int, ...]], node: Value) -> tuple[int, ...]:
        result = []
        for back in range(len(node.shape), 0, -1):
            here = [axes[-back] for axes in inputs if len(axes) >= back]
            long = [a for a in here if self.length[a] != 1]
            for parent, axes in zip(node.parents, inputs, strict=True):
                lacks = len(axes) < back or self.length[axes[-back]] == 1
                if long and lacks and parent.op is None and parent.requires_grad:
                    self.repeated.add(long[0])
            result.append(self._all(long) if long else self.fresh(node.shape[-back]))
        return tuple(result)

    def _matmul(self, x: tuple[int, ...], y: tuple[int, ...]) -> tuple[int, ...]:
        inner = self.join(x[-1], y[-2] if len(y) > 1 else y[-1])
        self.contracted.add(inner)
        batch = x[:-2] if len(x) >= len(y) else y[:-2]
        return batch + (x[-2:-1] if len(x) > 1 else ()) + (y[-1:] if len(y) > 1 else ())

    def _reduced(
        self, node: Value, axes: tuple[int, ...], options: dict[str, Any]
    ) -> tuple[int, ...]:
        gone = reductions.axes_of(len(axes), options.get("axis"))
        source = node.parents[0].op
        if node.op is reductions.logsumexp or source is exp:
            self.mixed.update(axes[a] for a in gone)  # the denominator of a softmax
        if options.get("keepdims"):
            return tuple(self.fresh(1) if a in gone else n for a, n in enumerate(axes))
        return tuple(n for a, n in enumerate(axes) if a not in gone)

    def _reshaped(self, axes: tuple[int, ...], new: tuple[int, ...]) -> tuple[int, ...]:
        """Axes keep their identity as long as old and new shape agree from either end."""
        old = [self.length[a] for a in axes]
        front = 0
        while front < min(len(old), len(new)) and old[front] == new[front]:
            front += 1
        if math.prod(old[front:]) == 1 and math.prod(new[front:]) == 1:
            return axes[:front] + tuple(self.fresh(1) for _ in new[front:])
        back = 0
        while back < min(len(old), len(new)) - front and old[-1 - back] == new[-1 - back]:
            back += 1
        middle = tuple(self.fresh(n) for n in new[front : len(new) - back])
        long = [a for a in axes if self.length[a] > 1]
        if [self.length[a] for a in long] == [n for n in new if n > 1]:
            rest = iter(long)
            return tuple(next(rest) if n > 1 else self.fresh(1) for n in new)
        return axes[:front] + middle + axes[len(axes) - back :]

    def _indexed(self, axes: tuple[int, ...], index: Any, node: Value) -> tuple[int, ...]:
        parts = index if isinstance(index, tuple) else (index,)
        if any(not (p is None or isinstance(p, (int, np.integer, slice))) for p in parts):
            kept = axes[len(parts) :]  # index arrays: only the axes behind them stay what they were
            return tuple(self.fresh(n) for n in node.shape[: len(node.shape) - len(kept)]) + kept
        result, at = [], 0
        for part in parts:
            if part is None:
                result.append(self.fresh(1))
                continue
            if isinstance(part, slice):
                whole = part in (slice(None), slice(None, None, -1))
                n = node.shape[len(result)]
                result.append(axes[at] if whole else self.fresh(n))
            at += 1
        return (*result, *axes[at:])


def _number(node: Value) -> float | None:
    """The constant a node is, if it is one number that depends on nothing differentiable."""
    return float(np.asarray(node._data).reshape(())) if (
        node.size == 1 and not node.requires_grad
    ) else None  # fmt: skip


def _averaged(
    cost: Value, dimensions: _Dimensions, order: list[Value], m: int | None
) -> int | None:
    """The one dimension that the cost sums over and divides by the length of."""
    learning = needed(order)
    parameters = [node for node in order if node.op is None and node in learning]
    computed = [n for n in order if n.op is not None and n.requires_grad and n.size > 1]
    fits: set[int] = set()
    for scale, summed, averaged in _sums(cost, dimensions):
        for one in summed:
            n = dimensions.length[one]
            others = math.prod(dimensions.length[other] for other in summed if other != one)
            if not 0 < abs(scale) < 1:
                continue
            share = 1.0 / (abs(scale) * n)
            if not any(math.isclose(share, nice) for nice in (0.5, 1, 2, others, 2 * others)):
                continue
            if one in dimensions.mixed or (one in dimensions.contracted and len(summed) > 1):
                continue
            if m is not None and n != m:
                continue
            if all(one in dimensions.of(leaf) for leaf in parameters):
                continue  # every leaf has it, so there is no parameter to be averaged for
            if averaged and not _holds_examples(one, dimensions, order):
                continue
            if abs(scale) == 0.5 and not all(one in dimensions.of(node) for node in computed):
                continue  # the half of a squared error of two units, not the mean of two examples
            fits.add(one)
    if len(fits) < 2:
        return next(iter(fits), None)
    # Of several, the examples run through more of the computation than, say, the output units;
    # and where all of it is one layer, through fewer of the leaves.
    weight = {
        one: (
            sum(one in dimensions.of(n) for n in computed),
            -sum(one in dimensions.of(n) for n in order if n.op is None),
        )
        for one in fits
    }
    best = max(weight.values())
    winners = [one for one in fits if weight[one] == best]
    return winners[0] if len(winners) == 1 else None


def _holds_examples(one: int, dimensions: _Dimensions, order: list[Value]) -> bool:
    """Not units: a leaf is repeated along it, or of all leaves only the data have it."""
    if one in dimensions.repeated:
        return True
    leaves = [n for n in order if n.op is None and one in dimensions.of(n)]
    return bool(leaves) and not any(leaf.requires_grad for leaf in leaves)


def _sums(cost: Value, dimensions: _Dimensions) -> list[tuple[float, set[int], bool]]:
    """The sums a cost is made of: the constant in front, the dimensions summed over, and whether
    a mean over all of them was taken, so that none is divided by on its own."""
    result: list[tuple[float, set[int], bool]] = []
    stack: list[tuple[Value, float, set[int], bool]] = [(cost, 1.0, set(), False)]
    seen = 0
    while stack and seen < 1000:
        node, scale, summed, averaged = stack.pop()
        seen += 1
        op, parents = node.op, node.parents
        if op in (arithmetic.add, arithmetic.subtract):
            live = [p for p in parents if p.requires_grad]
            stack.extend((p, scale, summed, averaged) for p in live)
        elif op is arithmetic.negative or op in _SHAPES_ONLY:
            stack.append((parents[0], scale, summed, averaged))
        elif op in (arithmetic.multiply, arithmetic.divide) and _number(parents[1]) is not None:
            k = _number(parents[1]) or 1.0
            stack.append(
                (
                    parents[0],
                    scale * k if op is arithmetic.multiply else scale / k,
                    summed,
                    averaged,
                )
            )
        elif op is arithmetic.multiply and _number(parents[0]) is not None:
            stack.append((parents[1], scale * (_number(parents[0]) or 1.0), summed, averaged))
        elif op in (reductions.sum, reductions.mean):
            axes = dimensions.axes[parents[0]]
            gone = {
                dimensions.root(axes[a])
                for a in reductions.axes_of(len(axes), node.options.get("axis"))
                if dimensions.length[axes[a]] > 1
            }
            if op is reductions.mean:
                scale /= reductions.count(parents[0]._data, node.options.get("axis"))
                averaged = True
            stack.append((parents[0], scale, summed | gone, averaged))
        else:
            if op is linalg.matmul:  # a sum over examples written as a product, Y @ log(A).T
                inner = dimensions.root(dimensions.axes[parents[0]][-1])
                summed = summed | ({inner} if dimensions.length[inner] > 1 else set())
            result.append((scale, summed, averaged))
    return result
