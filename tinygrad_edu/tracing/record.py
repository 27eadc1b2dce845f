"""What a run computed: every NumPy operation, written down as a graph of functions of arrays.

Arrays that are written into become new versions, so the graph has no assignment in it; each node
knows the statements that were being executed. The record is *replayed* on other numbers.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import CodeType, FrameType
from typing import Any

import numpy as np

#: A statement and which of its executions it is.
Place = tuple[int, int]
Numbers = Any


class Node:
    """One value: ``function(*args)``, where `args` may hold nodes, also in lists and dicts.

    `function` is None for numbers that come from outside. `op` says which NumPy operation it is;
    `places` are the statements under way, innermost first.
    """

    __slots__ = ("args", "function", "kind", "number", "op", "places", "position", "value")

    def __init__(
        self, record: Record, function: Callable[..., Any] | None, args: Any, op: Any, value: Any,
        kind: str = "",
    ) -> None:  # fmt: skip
        self.function, self.args, self.op, self.value, self.kind = function, args, op, value, kind
        self.places, self.position = record.places()
        self.number = len(record.nodes)
        record.nodes.append(self)

    @property
    def is_float(self) -> bool:
        """Can it be differentiated at all?"""
        return bool(self.value.dtype.kind == "f")


class Record:
    """The nodes of one run, in the order they were computed.

    `executed`: how often each statement was. `watch`: a statement, and what is called before each
    of its executions.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.executed: Counter[int] = Counter()
        self.watch: tuple[int, Callable[[FrameType], None]] | None = None
        self._current: dict[int, tuple[CodeType, int, int]] = {}
        self._serial = 0

    def at(self, statement: int) -> None:
        """Called by the learner's code before each statement."""
        frame = sys._getframe(1)
        self._serial += 1
        self.executed[statement] += 1
        self._current[id(frame)] = (frame.f_code, statement, self._serial)
        if self.watch is not None and self.watch[0] == statement:
            self.watch[1](frame)

    def places(self) -> tuple[tuple[Place, ...], tuple[CodeType, int] | None]:
        """The statements being executed, innermost first, and where in the innermost one."""
        frame: FrameType | None = sys._getframe(2)
        found: list[Place] = []
        position = None
        while frame is not None:
            current = self._current.get(id(frame))
            if current is not None and current[0] is frame.f_code:
                if position is None:
                    position = (frame.f_code, frame.f_lasti)
                found.append(current[1:])
            frame = frame.f_back
        return tuple(found), position


def nodes_in(args: Any) -> Iterable[Node]:
    """The nodes in an argument, however deep."""
    if isinstance(args, Node):
        yield args
    elif type(args) in (list, tuple):
        for part in args:
            yield from nodes_in(part)
    elif type(args) is dict:
        for part in args.values():
            yield from nodes_in(part)


def ancestors(roots: Iterable[Node]) -> dict[int, Node]:
    """Everything that `roots` were computed from, themselves included."""
    seen: dict[int, Node] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node.number not in seen:
            seen[node.number] = node
            stack.extend(nodes_in(node.args))
    return seen


def in_order(nodes: Mapping[int, Node]) -> list[Node]:
    """Nodes as they were computed."""
    return [nodes[number] for number in sorted(nodes)]


def filled(args: Any, env: Mapping[int, Any]) -> Any:
    """An argument with its nodes replaced by numbers: those in `env`, else the recorded ones."""
    if isinstance(args, Node):
        return env.get(args.number, args.value)
    if type(args) in (list, tuple):
        return type(args)([filled(part, env) for part in args])
    if type(args) is dict:
        return {key: filled(part, env) for key, part in args.items()}
    return args


def computed(node: Node, env: Mapping[int, Any]) -> Any:
    """A node's value, from what `env` has of its inputs."""
    assert node.function is not None
    return node.function(*[filled(part, env) for part in node.args])


def replay(order: Sequence[Node], env: dict[int, Any]) -> dict[int, Any]:
    """Compute `order` again; numbers given in `env` stay. Returns `env`, filled."""
    for node in order:
        if node.number not in env and node.function is not None:
            env[node.number] = computed(node, env)
    return env


def below(record: Record, start: set[int], within: Mapping[int, Node]) -> list[Node]:
    """What is computed from the nodes numbered in `start`, as far as it lies in `within`."""
    hit = set(start)
    found = []
    for node in record.nodes[min(start) + 1 :]:
        if node.number in within and node.number not in start:
            if any(parent.number in hit for parent in nodes_in(node.args)):
                hit.add(node.number)
                found.append(node)
    return found


def value_at(node: Node, env: Mapping[int, Any]) -> Any:
    """A node's numbers in a replay."""
    return np.asarray(env.get(node.number, node.value))
