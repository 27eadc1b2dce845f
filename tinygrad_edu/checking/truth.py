"""What a formula is compared with: gradients, kinks, central differences of an untouched graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeGuard

import numpy as np

from tinygrad_edu.core.ops import arithmetic, elementary, elementwise, reductions
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.sweep import reachable, sweep
from tinygrad_edu.core.value import Value, described

#: Where these operations compare two of their inputs, an exact tie is a kink.
TWO_SIDED = frozenset(
    {
        arithmetic.maximum, arithmetic.minimum, arithmetic.greater, arithmetic.greater_equal,
        arithmetic.less, arithmetic.less_equal, arithmetic.equal, arithmetic.not_equal,
        elementary.fmax, elementary.fmin,
    }
)  # fmt: skip
_AT_ZERO = frozenset(
    {elementwise.relu, elementwise.leaky_relu, elementwise.absolute, elementwise.sign}
)
_EXTREMES = frozenset({reductions.max, reductions.min})
KINKED = TWO_SIDED | _AT_ZERO | _EXTREMES | {elementwise.clip}
#: How far an input on a kink is moved to look at either side: small against any number of a graph,
#: large against the spacing of floats near it.
_NUDGE = 1e-9

#: Two numbers agree when they differ by less than this share of the largest number compared.
TOLERANCE = 1e-5
#: Two formulas have the same value when their numbers differ by less than this share of them.
EXACT = 1e-9


def gradients(cost: Value) -> dict[Value, Any]:
    """``∂cost/∂node`` for every node, without writing any `.grad`.

    Raises GradError where the cost is not a single number or depends on nothing differentiable.
    """
    if not isinstance(cost, Value):
        raise TypeError(f"the cost is a Value, not {type(cost).__name__}")
    if cost.size != 1:
        raise GradError(f"the cost is a single number; {described(cost)} is not: reduce it")
    if not cost.requires_grad:
        raise GradError(f"{described(cost)} was computed from nothing that needs a gradient")
    return sweep(cost, np.ones(cost.shape) if cost.shape else 1.0)


def gradient_of(node: Value, found: dict[Value, Any]) -> Any:
    """The gradient of one node as an array of its shape; zeros where nothing arrives."""
    g = found.get(node)
    return np.zeros(node.shape) if g is None else np.broadcast_to(np.asarray(g), node.shape)


class Kinks:
    """Where the derivatives of a graph jump: each entry's derivative to either side.

    Every input that sits exactly on a kink (ReLU at 0, a tie of max) is moved a little to one side
    and to the other; what changes in a gradient depends on a choice, not on mathematics.
    """

    def __init__(self, cost: Value, nodes: list[Value], found: dict[Value, Any]) -> None:
        order = reachable(cost)
        tied = {node: mask for node in order if (mask := _ties(node)) is not None}
        self._sides: dict[Value, tuple[Any, ...]] = {}
        self.masks = {node: np.zeros(node.shape, bool) for node in nodes}
        #: Only one operation jumps, so every choice lies between the sides; not so for ties of max.
        self._between = len(tied) == 1 and next(iter(tied)).op not in _EXTREMES
        if not tied:
            return

        def one_side(sign: float) -> dict[Value, Any]:
            def read(node: Value) -> tuple[Any, tuple[Any, ...]]:
                if node not in tied:
                    return node._data, node._inputs
                first = np.asarray(node._inputs[0])
                step = sign * _NUDGE * np.maximum(np.abs(first), 1.0) * tied[node]
                if node.op in _EXTREMES:  # one of those that tie has to win
                    step = step * np.linspace(1.0, -1.0, step.size).reshape(step.shape)
                inputs = (first + step, *node._inputs[1:])
                assert node.op is not None
                return np.asarray(node.op.forward(*inputs, **node.options)), inputs

            return sweep(cost, np.ones(cost.shape), read)

        right, left = one_side(1.0), one_side(-1.0)
        for node in nodes:
            sides = np.stack([np.asarray(gradient_of(node, g)) for g in (right, left, found)])
            low, high = sides.min(axis=0), sides.max(axis=0)
            self.masks[node] = high - low > 1e-6 * np.abs(sides).max(axis=0)
            self._sides[node] = low, high

    @property
    def tied(self) -> bool:
        """Does any number of the graph sit on a kink?"""
        return bool(self._sides)

    @property
    def any(self) -> bool:
        """Does any of the gradients asked for depend on such a choice?"""
        return any(mask.any() for mask in self.masks.values())

    def excused(self, node: Value, given: Any, factor: float) -> Any:
        """The entries on a kink whose given number some choice of the derivative there gives."""
        mask = self.masks[node]
        if not self._between or not mask.any() or np.shape(given) != node.shape:
            return mask
        low, high = (factor * side for side in self._sides[node])
        low, high = np.minimum(low, high), np.maximum(low, high)
        slack = TOLERANCE * np.maximum(np.abs(low), np.abs(high))
        given = np.asarray(given, float)
        return mask & (low - slack <= given) & (given <= high + slack)

    def undecided(self, node: Value) -> bool:
        """Does every entry depend on choices of which no one can say what they give?"""
        return not self._between and bool(self.masks[node].all()) and node.size > 0


def _ties(node: Value) -> Any:
    """Which entries of a node's first input sit on a kink of its operation; None for none."""
    if node.op not in KINKED or not node.requires_grad:
        return None
    mask: Any = False
    for x, y in compared(node):
        mask = mask | np.equal(x, y)
    if node.op in _EXTREMES:
        x, axis = np.asarray(node._inputs[0]), node.options.get("axis")
        top = x == node.op.forward(x, axis=axis, keepdims=True)
        mask = top & (top.sum(axis=axis, keepdims=True) > 1)
    return mask if np.any(mask) else None


def compared(node: Value) -> list[tuple[Any, Any]]:
    """What the operation of a node compares: pairs of numbers."""
    if node.op in TWO_SIDED:
        return [(node._inputs[0], node._inputs[1])]
    if node.op in _AT_ZERO:
        return [(node._inputs[0], 0.0)]
    if node.op is elementwise.clip:
        limits = (node.options.get("min"), node.options.get("max"))
        return [(node._inputs[0], limit) for limit in limits if limit is not None]
    return []


class Replay:
    """A recorded graph computed again with one node's numbers changed: the referee of the sweep.

    Only what depends on the changed node is computed; nothing is recorded, no gradient written.
    """

    def __init__(self, cost: Value) -> None:
        self.cost = cost
        self.order = reachable(cost, every=True)[::-1]

    def after(self, node: Value) -> list[Value]:
        """The nodes computed, directly or not, from `node`, in order."""
        touched = {node}
        result = []
        for other in self.order:
            if any(parent in touched for parent in other.parents):
                touched.add(other)
                result.append(other)
        return result

    def cost_with(self, node: Value, data: Any, after: list[Value]) -> float:
        """The cost when `node` holds `data` instead of its recorded numbers."""
        return float(self._root_with(node, data, after).reshape(()))

    def _root_with(self, node: Value, data: Any, after: list[Value]) -> Any:
        now: dict[Value, Any] = {node: data}
        for other in after:
            inputs = tuple(
                now[parent] if parent in now else x
                for parent, x in zip(other.parents, other._inputs, strict=True)
            )
            assert other.op is not None
            now[other] = other.op.evaluate(inputs, other.options)
        result = now[self.cost] if self.cost in now else self.cost._data
        return np.asarray(result, float)

    def difference(self, node: Value, entries: list[int], eps: float = 1e-5) -> Any:
        """The central difference ``(J(q+ε) − J(q−ε)) / 2ε`` for the given entries of one node.

        The step is ε times the size of the number where that exceeds 1 (lecture, S3). Where the
        root is no single number, each entry has a row, with the difference of every one of them.
        """
        after = self.after(node)
        base = np.array(node._data, dtype=np.float64)
        flat = base.reshape(-1)
        result = np.empty((len(entries), self.cost.size))
        with np.errstate(all="ignore"):
            for place, entry in enumerate(entries):
                old = flat[entry]
                step = eps * max(1.0, abs(old))
                costs = []
                for sign in (1, -1):
                    flat[entry] = old + sign * step
                    data = base.copy() if base.ndim else float(base)
                    costs.append(self._root_with(node, data, after).ravel())
                flat[entry] = old
                result[place] = (costs[0] - costs[1]) / (2 * step)
        return result[:, 0] if self.cost.size == 1 else result


def largest_error(given: Any, truth: Any, ignore: Any = None) -> float:
    """The largest difference of two arrays of one shape, as a share of the largest true number.

    Entries in `ignore` do not count. Where all is zero the difference itself is taken; a nan
    anywhere is infinitely wrong.
    """
    given, truth = np.asarray(given, float), np.asarray(truth, float)
    keep = ... if ignore is None else ~np.asarray(ignore)
    given, truth = given[keep], truth[keep]
    if not given.size:
        return 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.where(given == truth, 0.0, np.abs(given - truth))
        worst = float(np.max(difference))
    size = float(np.max(np.abs(truth)))
    if not np.isfinite(worst):
        return float("inf")
    return worst / size if size > 0 and np.isfinite(size) else worst


def multiple_of(given: Any, truth: Any) -> float | None:
    """The one constant by which numbers differ from the true ones; None where there is none.

    A round constant is given exactly. None also where nothing can be told: all is zero.
    """
    truth = np.asarray(truth, float)
    if given is None or np.shape(given) != truth.shape or not truth.size:
        return None
    given = np.asarray(given, float)
    at = int(np.argmax(np.abs(truth)))
    if not truth.flat[at] or not np.isfinite(given).all() or not np.isfinite(truth).all():
        return None
    constant = float(given.flat[at] / truth.flat[at])
    if not constant or largest_error(given, constant * truth) > TOLERANCE:
        return None
    near = float(round(constant))
    return near if near and abs(constant / near - 1) < TOLERANCE else constant


def is_scalar(value: Any) -> TypeGuard[float]:
    """A plain number that is not a mask."""
    return isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.bool_))


def equal(a: Any, b: Any) -> bool:
    """The same shape, and the same numbers entry by entry, up to rounding."""
    if a is None or b is None or np.shape(a) != np.shape(b):
        return False
    try:
        a, b = np.asarray(a, float), np.asarray(b, float)
    except (TypeError, ValueError):
        return False
    if not b.size:
        return True
    with np.errstate(all="ignore"):
        size = np.abs(b)
        near = np.abs(a - b) <= EXACT * size + 1e-3 * EXACT * size.max() + 1e-300
        return bool(near.all())


def constant_ratio(pairs: Iterable[tuple[Any, Any]]) -> float | None:
    """The one constant by which the first of each pair is the second; None where there is none."""
    ratio: float | None = None
    for a, b in pairs:
        if a is None or b is None or np.shape(a) != np.shape(b) or not np.size(b):
            return None
        a, b = np.asarray(a, float), np.asarray(b, float)
        at = int(np.argmax(np.abs(b)))
        if b.flat[at] == 0:
            if b.shape == () and not a:
                continue  # a single unit that is off
            return None
        here = float(a.flat[at] / b.flat[at])
        if not here or not equal(a, here * b) or (ratio and abs(here / ratio - 1) > 1e-6):
            return None
        ratio = here
    return ratio
