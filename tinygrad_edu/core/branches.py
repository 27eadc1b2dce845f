"""Gradients of branches that were left out: nothing times an infinite slope is nothing.

What a slice, a mask, a clip or a maximum leaves out gets the gradient 0, and 0 times the infinite
slope of ``sqrt`` at 0 is nan in floating-point arithmetic. But such a zero is certain, whatever the
numbers are; the 0 in the gradient of ``sqrt(x)**2`` at 0 is not, there nan is the honest answer. So
where a sweep over plain numbers met a nan it is made once more on these numbers, which know of
every zero whether it is certain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from tinygrad_edu.core.operators import Operators
from tinygrad_edu.core.ops import arithmetic, elementwise, linalg, losses, reductions, shaping
from tinygrad_edu.core.primitive import Primitive, Shape, plain

_COMPARISONS = {
    arithmetic.greater, arithmetic.greater_equal, arithmetic.less, arithmetic.less_equal,
    arithmetic.equal, arithmetic.not_equal,
}  # fmt: skip
#: Each number of the result is a sum of some of the first input.
_SUMS = {
    arithmetic.negative, arithmetic.positive, shaping.reshape, shaping.transpose, shaping.getitem,
    shaping.scatter, shaping.broadcast_to, shaping.sum_to, reductions.sum, reductions.mean,
    reductions.cumsum,
}  # fmt: skip

#: Their slopes are finite wherever their inputs are: no nan comes of these. (None: a leaf.)
_GENTLE = {
    None, arithmetic.add, arithmetic.subtract, arithmetic.maximum, arithmetic.minimum,
    arithmetic.where, linalg.matmul, elementwise.tanh, elementwise.sigmoid, elementwise.softplus,
    elementwise.relu, elementwise.leaky_relu, reductions.max, reductions.min, reductions.softmax,
    reductions.log_softmax, reductions.logsumexp, losses.logistic_loss, losses.softmax_loss,
    shaping.joined, *_SUMS,
}  # fmt: skip


_op = attrgetter("op")


def gentle(nodes: Sequence[Any]) -> bool:
    """Is every slope of a graph finite wherever its numbers are?"""
    return _GENTLE.issuperset(map(_op, nodes))


def suspected(gradients: dict[Any, Any], ends: Iterable[Any], order: list[Any]) -> bool:
    """Is there a nan in the gradients in which a sweep ended?"""
    arrays = []
    for node in ends:
        g = gradients.get(node)
        if type(g) is float:
            if g != g:
                return True
        elif g is not None:
            arrays.append(g)
    if arrays and not gentle(order):
        for g in arrays:
            # The square of what has a nan in it is nan: there is no faster way to ask.
            if not np.vdot(g, g) >= 0:
                return True
    return False


class Certain(Operators):
    """Numbers, and which of them are zero whatever the inputs of the graph are."""

    __slots__ = ("data", "nothing")

    def __init__(self, data: Any, nothing: Any = False) -> None:
        self.nothing = np.broadcast_to(nothing, np.shape(data))
        self.data = plain(np.where(self.nothing, np.zeros_like(data), data))

    @property
    def shape(self) -> Shape:
        """The shape of the numbers."""
        return np.shape(self.data)

    @classmethod
    def _apply(cls, op: Primitive, args: tuple[Any, ...], options: dict[str, Any]) -> Certain:
        parts = [x if isinstance(x, Certain) else Certain(x, np.equal(x, 0)) for x in args]
        data = tuple(x.data for x in parts)
        z = _product(*parts) if op is linalg.matmul else op.evaluate(data, options)
        return cls(z, _nothing(op, parts, options, z))


def _nothing(op: Primitive, parts: list[Certain], options: dict[str, Any], z: Any) -> Any:
    """Which numbers of a result are certainly zero."""
    given = [x.nothing for x in parts]
    if op is arithmetic.multiply:
        return given[0] | given[1]
    if op in (arithmetic.add, arithmetic.subtract):
        return given[0] & given[1]
    if op is arithmetic.divide:
        return given[0]
    if op is arithmetic.where:
        return np.where(np.asarray(parts[0].data) != 0, given[1], given[2])
    if op in _COMPARISONS:
        return np.equal(z, 0)
    if op in _SUMS:
        return np.equal(op.forward(1.0 - given[0], **options), 0)
    if op is linalg.matmul:
        return np.equal(linalg.matmul.forward(1.0 - given[0], 1.0 - given[1]), 0)
    return False


def _product(x: Certain, y: Certain) -> Any:
    """A matrix product in which a certain zero times infinity is zero."""
    times, finite = linalg.matmul.forward, [np.isfinite(x.data), np.isfinite(y.data)]
    tame = times(np.where(finite[0], x.data, 0), np.where(finite[1], y.data, 0))
    wild = times(1.0 - x.nothing, 1.0 - finite[1]) + times(1.0 - finite[0], 1.0 - y.nothing)
    return np.where(wild > 0, times(x.data, y.data), tame)


def numbers(gradients: dict[Any, Any]) -> dict[Any, Any]:
    """Plain gradients again, each in the dtype of its node and memory of its own."""
    return {
        node: None if g is None else plain(np.array(g.data, np.asarray(node._data).dtype))
        for node, g in gradients.items()
    }
