"""The gradient of every recorded value, and of every use of it, by the package's own rules.

Each operation of the record is the package's operation of the same NumPy name, pulled back by
`vjp`; where there is none, central differences of that one operation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.calculus import vjp
from tinygrad_edu.core.protocol import meaning_of, meaning_of_ufunc
from tinygrad_edu.tracing.record import Node, computed, filled, nodes_in

_METHODS = {
    "dot": np.dot, "sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min, "var": np.var,
    "std": np.std, "transpose": np.transpose, "ravel": np.ravel, "squeeze": np.squeeze,
    "clip": np.clip, "cumsum": np.cumsum, "prod": np.prod, "swapaxes": np.swapaxes,
}  # fmt: skip
#: More entries than this are not differentiated one by one.
_MOST = 2000


def _meaning(node: Node) -> Callable[..., Any] | None:
    """The node's operation on Values, taking its arguments; None where there is none."""
    kind = node.op[0]
    if kind == "ufunc":
        meaning = meaning_of_ufunc(node.op[1], node.op[2])
        return None if meaning is None else lambda given, named: meaning(*given, **named)
    if kind == "function":
        f = meaning_of(node.op[1])
        return None if f is None else lambda given, named: f(*given, **named)
    if kind == "get":
        return lambda x, index: x[index]
    return _method(node.op[1]) if kind == "method" else None


def _method(name: str) -> Callable[..., Any] | None:
    if name in ("copy", "astype"):
        return lambda x, given, named: x * 1.0
    if name in ("reshape", "flatten"):
        return lambda x, given, named: x.reshape(*(given or (-1,)), **named)
    f = meaning_of(_METHODS[name]) if name in _METHODS else None
    return None if f is None else lambda x, given, named: f(x, *given, **named)


def _by_rule(node: Node, parents: list[Node], g: Any) -> list[Any] | None:
    meaning = _meaning(node)
    if meaning is None:
        return None

    def call(*values: Any) -> Any:
        env = {parent.number: value for parent, value in zip(parents, values)}
        return meaning(*[filled(part, env) for part in node.args])

    try:
        out, back = vjp(call, *[parent.value for parent in parents])
        out = getattr(out, "data", out)
        if np.shape(out) != node.value.shape:
            return None
        if not np.allclose(out, node.value, rtol=1e-12, atol=1e-300, equal_nan=True):
            return None
        return [np.asarray(getattr(share, "data", share)) for share in back(np.asarray(g))]
    except Exception:  # an option the operation does not have
        return None


def _of_write(node: Node, g: Any) -> list[tuple[Node, Any]]:
    """``x[index] = value``: what was there counts no more, the value where it went."""
    x, index, value = node.args
    index = filled(index, {})
    shares = []
    if isinstance(x, Node):
        kept = np.array(g)
        kept[index] = 0
        shares.append((x, kept))
    if isinstance(value, Node):
        share = np.asarray(g)[index]
        while share.ndim > value.value.ndim:
            share = share.sum(0)
        for axis, length in enumerate(value.value.shape):
            if length == 1 and share.shape[axis] != 1:
                share = share.sum(axis, keepdims=True)
        shares.append((value, share))
    return shares


def _by_differences(node: Node, parent: Node, g: Any) -> Any:
    share = np.zeros(parent.value.shape)
    if share.size > _MOST:
        return share
    for i in np.ndindex(share.shape):
        eps = 1e-5 * max(abs(parent.value[i]), 1e-3)
        ends = []
        for step in (eps, -eps):
            x = np.array(parent.value)
            x[i] += step
            ends.append(np.asarray(computed(node, {parent.number: x}), float))
        share[i] = np.sum(g * (ends[0] - ends[1])) / (2 * eps)
    return share


def shares(node: Node, g: Any) -> list[tuple[Node, Any]]:
    """What each input of a node gets of the gradient `g` of its value."""
    parents = list({p.number: p for p in nodes_in(node.args) if p.is_float}.values())
    if not parents or not node.is_float:
        return []
    if node.op == ("put",):
        return _of_write(node, g)
    by_rule = _by_rule(node, parents, g)
    if by_rule is not None:
        return list(zip(parents, by_rule))
    return [(parent, _by_differences(node, parent, g)) for parent in parents]


class Truths:
    """The gradients of a cost: `of` a node by its number, and `of_use` of one node in another."""

    def __init__(self, cost: Node, order: Sequence[Node]) -> None:
        self.of: dict[int, Any] = {cost.number: np.ones(cost.value.shape)}
        self.of_use: dict[tuple[int, int], Any] = {}
        with np.errstate(all="ignore"):
            for node in reversed(order):
                g = self.of.get(node.number)
                if g is None or node.function is None:
                    continue
                for parent, share in shares(node, g):
                    self.of_use[node.number, parent.number] = share
                    had = self.of.get(parent.number)
                    self.of[parent.number] = share if had is None else had + share
