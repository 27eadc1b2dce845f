"""The numbers a run is given, and what it gives back: arrays, numbers, lists of them, by name."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.sheets.claims import claimed
from tinygrad_edu.tracing.arrays import Recorded, get, leaf
from tinygrad_edu.tracing.record import Node, Record
from tinygrad_edu.tracing.stand_ins import stacked

Values = dict[str, Any]


class Parameter(NamedTuple):
    """One thing the cost is differentiated by: where it is among the numbers, and its value."""

    name: str
    path: tuple[Any, ...]
    value: Any
    listed: bool


def _leaves(name: str, path: tuple[Any, ...], x: Any) -> Iterator[Parameter]:
    if isinstance(x, Mapping):
        for key, part in x.items():
            yield from _leaves(f"{name}[{key!r}]", (*path, key), part)
        return
    listed = isinstance(x, (list, tuple))
    if listed and not is_table(x):
        for i, part in enumerate(x):
            yield from _leaves(f"{name}[{i}]", (*path, i), part)
        return
    try:
        value = np.array(x)
    except ValueError:
        return
    if value.dtype.kind in "fiu":
        yield Parameter(name, path, value, listed)


def is_table(x: Any) -> bool:
    """Nested lists of plain numbers, as many in each."""
    if any(isinstance(part, (np.ndarray, Mapping)) for part in x):
        return False
    try:
        return np.array(x, dtype=float).dtype.kind == "f"
    except (ValueError, TypeError):
        return False


class Parameters:
    """The parameters among the numbers: those whose gradient the run returns."""

    def __init__(self, numbers: Mapping[str, Any], gradients: Mapping[str, Any]) -> None:
        self.numbers = dict(numbers)
        self.keys = {claimed(key, self.numbers) or key: key for key in gradients}
        self.keys |= {key: key for key in gradients if key in self.numbers}
        self.unknown = [key for of, key in self.keys.items() if of not in self.numbers]
        every = [p for key, x in numbers.items() for p in _leaves(key, (key,), x)]
        self.all = [p._replace(value=np.array(p.value, float)) for p in every
                    if p.path[0] in self.keys]  # fmt: skip
        self.missing = [
            p.name for p in every
            if p.value.dtype.kind == "f" and p.path[0] not in self.keys
        ]  # fmt: skip
        if not self.all:
            raise GradError(
                "check_code: run returned no gradient of a number it was given: it returns (cost, "
                f"gradients) with gradients of {', '.join(map(repr, self.numbers)) or 'nothing'}, "
                f"not of {', '.join(map(repr, gradients)) or 'nothing'}"
            )

    @staticmethod
    def given(numbers: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of the numbers, to call run with."""
        return {key: _copied(x, None) for key, x in numbers.items()}

    @property
    def values(self) -> Values:
        """Each parameter's own numbers."""
        return {p.name: p.value for p in self.all}

    def moved(self, seed: int, far: float) -> Values:
        """Other numbers nearby."""
        random = np.random.default_rng(seed)
        return {p.name: p.value + far * random.normal(size=p.value.shape) for p in self.all}

    def handed(self, values: Values, record: Record | None = None) -> tuple[Any, dict[str, Node]]:
        """What run is called with: the numbers in their own structure; the parameters' nodes."""
        made = {key: _copied(x, record) for key, x in self.numbers.items()}
        roots: dict[str, Node] = {}
        for p in self.all:
            value: Any = np.array(values[p.name])
            if record is not None:
                value = leaf(record, value)
                roots[p.name] = value.node
            x = _pick(self.numbers, p.path)
            if p.listed:
                value = _lists(value, x)
            elif record is None and not isinstance(x, np.ndarray):
                value = float(value)
            _place(made, p.path, value)
        return made, roots

    def gradient(self, parameter: Parameter, gradients: Mapping[str, Any]) -> Any:
        """What run returned for one parameter; None where there is nothing."""
        try:
            return _pick(gradients[self.keys[parameter.path[0]]], parameter.path[1:])
        except (KeyError, IndexError, TypeError):
            return None


def _copied(x: Any, record: Record | None) -> Any:
    if isinstance(x, np.ndarray):
        return leaf(record, x) if record is not None and x.dtype.kind == "f" else x.copy()
    if isinstance(x, dict):
        made = copy.copy(x)
        made.update({key: _copied(part, record) for key, part in x.items()})
        return made
    if isinstance(x, (list, tuple)):
        return [_copied(part, record) for part in x]
    return copy.copy(x)


def _pick(x: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        x = x[key]
    return x


def _place(x: Any, path: tuple[Any, ...], value: Any) -> None:
    _pick(x, path[:-1])[path[-1]] = value


def _lists(value: Any, like: Any) -> Any:
    """The entries of an array in lists nested as `like` is."""
    if not isinstance(like, (list, tuple)):
        return value if isinstance(value, Recorded) else float(value)
    return [_lists(value[i], part) for i, part in enumerate(like)]


def answer(outcome: Any) -> tuple[Any, Mapping[str, Any]]:
    """What run returned, taken apart; raises GradError where it is no cost and gradients."""
    if isinstance(outcome, (tuple, list)) and len(outcome) == 2 and isinstance(outcome[1], Mapping):
        cost = outcome[0]
        if isinstance(cost, (int, float, np.number)) or np.size(cost) == 1:
            return cost, {str(key): x for key, x in outcome[1].items()}
    raise GradError(
        'check_code: run must return (cost, {"W1": dW1, …}), a number and a dict of gradients, not '
        f"{type(outcome).__name__}"
    )


def as_numbers(x: Any) -> Any:
    """A gradient as an array; None for what is no array of numbers."""
    try:
        made = np.array(x, dtype=float)
    except (ValueError, TypeError):
        return None
    return made


def gradient_node(record: Record, x: Any) -> Node | None:
    """The node of a gradient, of lists of numbers too; None for plain numbers."""
    if isinstance(x, (list, tuple)):
        try:
            x = stacked(record, x)
        except ValueError:
            return None
    return x.node if isinstance(x, Recorded) else None


def entry_node(record: Record, x: Any) -> Node | None:
    """The node of a cost: of its one entry, whatever shape it has."""
    if not isinstance(x, Recorded):
        return None
    return (
        x.node
        if x.ndim == 0
        else Node(record, _entry, (x.node,), ("method", "reshape"), np.array(x.reshape(-1)[0]))
    )


def _entry(x: Any) -> Any:
    return np.asarray(get(np.reshape(x, -1), 0))
