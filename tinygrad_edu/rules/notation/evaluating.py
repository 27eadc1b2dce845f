"""The number a formula stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core.ops.table import TABLE
from tinygrad_edu.rules.poly import Atom
from tinygrad_edu.rules.sizes import NOT_FINITE
from tinygrad_edu.rules.trees import Tree


def evaluate(tree: Tree, numbers: Callable[[Atom], Any]) -> Any:
    """The number a tree stands for, computed as it is written."""
    kind, value = tree.kind, tree.value
    if kind == "name":
        return NOT_FINITE[value.name] if value.name in NOT_FINITE else numbers(value)
    if kind == "number":
        return float(value)
    parts = [evaluate(part, numbers) for part in tree.parts]
    return _COMPUTED[kind](tree, parts)


def _added(tree: Tree, parts: list[Any]) -> Any:
    total = parts[0] if tree.value[0] > 0 else -parts[0]
    for sign, part in zip(tree.value[1:], parts[1:]):
        total = total + part if sign > 0 else total - part
    return total


def _multiplied(tree: Tree, parts: list[Any]) -> Any:
    product = parts[0]
    for part in parts[1:]:
        product = product * part
    return product


def _raised(tree: Tree, parts: list[Any]) -> Any:
    n = tree.value
    return np.power(parts[0], int(n) if n.denominator == 1 and n > 0 else float(n))


def _reduced(tree: Tree, parts: list[Any]) -> Any:
    places, keepdims, _ = tree.value
    reduce = np.sum if tree.kind == "sum" else np.mean
    return reduce(parts[0], axis=places if tree.shape else None, keepdims=keepdims)


def _called(tree: Tree, parts: list[Any]) -> Any:
    op, options = tree.value
    if op.name in TABLE and TABLE[op.name] is op:
        return op.evaluate(tuple(parts), options)
    return op.forward(*parts, **options)


_COMPUTED: dict[str, Callable[[Tree, list[Any]], Any]] = {
    "add": _added,
    "multiply": _multiplied,
    "divide": lambda tree, parts: np.divide(*parts),
    "power": _raised,
    "matmul": lambda tree, parts: np.matmul(*parts),
    "transpose": lambda tree, parts: np.transpose(parts[0], tree.value),
    "sum": _reduced,
    "mean": _reduced,
    "where": lambda tree, parts: np.where(np.asarray(parts[0]) != 0, parts[1], parts[2]),
    "call": _called,
}
