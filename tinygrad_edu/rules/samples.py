"""Other numbers for a graph: usual ones, and those that bring out what usual ones hide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.core.primitive import Primitive

Numbers = dict[Any, Any]


def run(nodes: list[Any], numbers: Numbers, changed: Any = None) -> Numbers:
    """The graph computed on new numbers; `changed` (of the operation, the result) changes each."""
    data = dict(numbers)
    for node in nodes:
        if node.op is not None:
            z = node.op.evaluate(tuple(data[p] for p in node.parents), node.options)
            data[node] = z if changed is None else changed(node.op, z)
    return data


def wobble(rng: Any, trait: str | None, op: Primitive, z: Any) -> Any:
    """The result of an operation (one with this trait, or any) with other last digits."""
    if "exact" in op.traits or (trait is not None and trait not in op.traits):
        return z
    return z * (1 + np.finfo(float).eps * (2.0 * rng.integers(0, 2, np.shape(z)) - 1))


def fresh_numbers(
    nodes: list[Any],
    facts: Mapping[Any, tuple[str, int | None]],
    rng: Any,
    draw: Callable[[Any, Any], Any],
    fixed: Callable[[Any], bool],
) -> Numbers:
    """Other numbers of the same kind for every leaf: what `draw` makes of it and its own numbers,
    or what its declared kind demands. What is `fixed` keeps its numbers."""
    numbers: Numbers = {}
    for node in nodes:
        if node.op is not None:
            continue
        data = np.asarray(node._data, dtype=float)
        kind, axis = facts.get(node, ("", None))
        if kind == "onehot" and axis is not None:
            new = np.zeros_like(data)
            picks = rng.integers(0, data.shape[axis], size=np.delete(data.shape, axis))
            np.put_along_axis(new, np.expand_dims(picks, axis), 1.0, axis)
        elif kind == "probabilities" and axis is not None:
            new = rng.uniform(0.2, 1.0, data.shape)
            new = new / new.sum(axis=axis, keepdims=True)
        elif fixed(node):
            new = data
        else:
            new = draw(node, data)
        numbers[node] = float(new) if data.shape == () else new
    return numbers


def usual(attempt: int, rng: Any, data: Any) -> Any:
    """Numbers like these: zero biases and dead units hide mistakes."""
    if attempt >= 4:
        return data * (1 + 0.05 * rng.standard_normal(data.shape)) if attempt == 4 else data
    if np.all(data > 0) and data.size:
        if np.all(data < 1):
            return rng.uniform(0.3, 0.9, data.shape)
        return data * rng.uniform(0.8, 1.2, data.shape)
    if attempt % 2:
        return rng.uniform(0.4, 1.2, data.shape)
    return 0.7 * rng.standard_normal(data.shape)


def ties(rng: Any, data: Any) -> Any:
    """Numbers of which many are 0 and many are equal."""
    return rng.integers(-1, 2, data.shape).astype(float)


def level(c: float, rng: Any, data: Any) -> Any:
    """One number everywhere: a length or a deviation of 0, a probability of 0 or 1."""
    return np.full(data.shape, c)


def scaled(rng: Any, data: Any) -> Any:
    """Numbers of one size, which is between 1e-3 and 1e3."""
    return rng.standard_normal(data.shape) * 10.0 ** rng.uniform(-3, 3)


def around(c: float, rng: Any, data: Any) -> Any:
    """Numbers whose differences are small beside them."""
    return c + rng.standard_normal(data.shape)
