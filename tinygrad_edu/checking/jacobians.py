"""The truth of what a sheet derives beside the gradients of its cost: matrices of derivatives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.calculus.functions import as_values
from tinygrad_edu.core.recording import recorded
from tinygrad_edu.core.sweep import reachable, sweep
from tinygrad_edu.core.value import Value
from tinygrad_edu.sheets.account import OPERATION, Account
from tinygrad_edu.sheets.lines import Jacobian
from tinygrad_edu.sheets.sheet import Graph

#: A gradient that is a graph itself is so much dearer than one of numbers.
_GRAPH = 10


def parts(graph: Graph, claim: Jacobian, account: Account) -> tuple[Any, Any]:
    """What a claim differentiates, of a second derivative a gradient, and by what.

    Raises TooMuch where it is more work than `account` allows.
    """
    top, by = graph.values[claim.top], graph.values[claim.by]
    return (_gradient(graph.cost, top, account) if claim.second else top), by


def jacobian(graph: Graph, claim: Jacobian, account: Account) -> Any:
    """``∂top/∂by``, entry by entry: of the shape of `top` and then that of `by`, without axes of
    length one; None where that is larger than a sheet's array may be.

    Raises TooMuch where it is more work than `account` allows.
    """
    top, by = parts(graph, claim, account)
    shape = tuple(n for n in (*np.shape(top), *np.shape(by)) if n != 1)
    if math.prod(shape) > account.most:
        return None
    account.charge(math.prod(shape))
    if not isinstance(top, Value) or not isinstance(by, Value) or not top.requires_grad:
        return np.zeros(shape)
    account.spend(top.size * _work(top))
    rows = []
    for i in range(top.size):
        seed = np.zeros(top.size)
        seed[i] = 1.0
        found = sweep(top, seed.reshape(top.shape), wrt=frozenset({by})).get(by)
        rows.append(np.zeros(by.shape) if found is None else np.asarray(found))
    return np.array(rows).reshape(shape)


def _gradient(cost: Value, of: Any, account: Account) -> Any:
    """``∂cost/∂of`` as a graph; zeros where the cost does not depend on it."""
    account.spend(_GRAPH * _work(cost))
    seed = Value(np.ones(cost.shape), requires_grad=False)
    with recorded():
        found = sweep(cost, seed, as_values, wrt=frozenset({of})).get(of)
    return np.zeros(np.shape(of)) if found is None else found


def _work(root: Value) -> float:
    """What a sweep over a graph costs."""
    return float(2 * sum(OPERATION + 4 * node.size for node in reachable(root)))
