"""The referee: every line computed at fresh numbers and compared with the gradients there."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu.core.sweep import sweep
from tinygrad_edu.rules.deriving import Deriving, Line
from tinygrad_edu.rules.notation import NumPy, evaluate

#: How often fresh numbers are drawn before it is accepted that none are well-conditioned.
ATTEMPTS = 6
TOLERANCE = 1e-7


def disagreement(work: Deriving, lines: list[Line]) -> str | None:
    """What is wrong with the lines at fresh numbers; None if nothing is."""
    for attempt in range(ATTEMPTS):
        numbers = _consistent(work, fresh_numbers(work.nodes, work.facts, attempt))
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an infinite loss here is no news to the user
            data = _run(work.nodes, numbers)
            if data is None:
                continue
            truth = sweep(work.cost, 1.0, partial(_read, data))
            wanted = [_wanted(work, line, truth[line.node]) for line in lines]
            if not all(np.all(np.isfinite(want)) for want in wanted):
                continue
            named = {text: data[node] for text, node in work.node_of.items()} | work.lengths()
            for line, want in zip(lines, wanted):
                try:
                    value = _computed(line, named)
                except ValueError as error:
                    return f"{NumPy()(line.tree)} cannot be computed: {error}"
                if np.shape(value) != np.shape(want):
                    return f"{line.name} has shape {np.shape(value)} instead of {np.shape(want)}"
                scale = max(float(np.max(np.abs(want), initial=0)), 1e-3)
                if not np.all(np.abs(value - want) <= TOLERANCE * scale):
                    return f"{NumPy()(line.tree)} is not the gradient {line.name}"
        return None
    return None


def _consistent(work: Deriving, numbers: dict[Any, Any]) -> dict[Any, Any]:
    """Leaves that are one quantity get one draw; what NumPy made of another follows it."""
    named = {text: numbers[node] for text, node in work.node_of.items() if node in numbers}
    named |= work.lengths()
    result = {}
    for node in numbers:
        tree = work.layout.arrange(work.formula[node].poly)
        value = evaluate(tree, lambda atom: named[atom.name])
        result[node] = np.broadcast_to(value, node.shape) if node.shape else float(value)
    return result


def _read(data: dict[Any, Any], node: Any) -> tuple[Any, tuple[Any, ...]]:
    return data[node], tuple(data[p] for p in node.parents)


def _wanted(work: Deriving, line: Line, truth: Any) -> Any:
    want = np.zeros(line.node.shape) if truth is None else np.asarray(truth)
    return want * work.m if line.scaled else want


def _computed(line: Line, named: dict[str, Any]) -> Any:
    """The line's value; it is kept for the lines that read it."""
    value = evaluate(line.tree, lambda atom: named[atom.name])
    if line.suffix == "reshape":
        value = np.reshape(value, line.node.shape)
    elif line.suffix:
        value = np.broadcast_to(value, line.node.shape)
    named[line.name] = value
    return value


def fresh_numbers(
    nodes: list[Any], facts: Mapping[Any, tuple[str, int | None]], attempt: int
) -> dict[Any, Any]:
    """New numbers of the same kind for every leaf: zero biases and dead units hide mistakes."""
    rng = np.random.default_rng(attempt)
    numbers: dict[Any, Any] = {}
    for node in nodes:
        if node.op is not None:
            continue
        data = np.asarray(node._data, dtype=float)
        kind, axis = facts.get(node, ("", None))
        whole = bool(np.all(data == np.round(data)))
        if kind == "onehot" and axis is not None:
            new = np.zeros_like(data)
            picks = rng.integers(0, data.shape[axis], size=np.delete(data.shape, axis))
            np.put_along_axis(new, np.expand_dims(picks, axis), 1.0, axis)
        elif kind == "probabilities" and axis is not None:
            new = rng.uniform(0.2, 1.0, data.shape)
            new = new / new.sum(axis=axis, keepdims=True)
        elif not node.requires_grad and (data.shape == () or whole):
            new = data
        elif attempt >= 4:
            new = data * (1 + 0.05 * rng.standard_normal(data.shape)) if attempt == 4 else data
        elif np.all(data > 0) and data.size:
            new = (
                rng.uniform(0.3, 0.9, data.shape)
                if np.all(data < 1)
                else data * rng.uniform(0.8, 1.2, data.shape)
            )
        elif attempt % 2:
            new = rng.uniform(0.4, 1.2, data.shape)
        else:
            new = 0.7 * rng.standard_normal(data.shape)
        numbers[node] = float(new) if new.shape == () else new
    return numbers


def _run(nodes: list[Any], numbers: dict[Any, Any]) -> dict[Any, Any] | None:
    """The graph computed on new numbers; None where something is not finite."""
    data = dict(numbers)
    for node in nodes:
        if node.op is not None:
            data[node] = node.op.evaluate(tuple(data[p] for p in node.parents), node.options)
            if not np.all(np.isfinite(data[node])):
                return None
    return data
