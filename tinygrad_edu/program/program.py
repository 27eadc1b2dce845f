"""From a recorded graph to a program: the callable that `compile` gives."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu.core.primitive import GradError, Shape, plain
from tinygrad_edu.core.sweep import reachable, sweep
from tinygrad_edu.core.value import Value, numbers
from tinygrad_edu.program.lowering import lowered
from tinygrad_edu.program.source import Listing, written
from tinygrad_edu.program.symbol import Symbol, Table


class Argument:
    """One argument of a program: its name, what it looks like, its numbers by default."""

    def __init__(self, name: str, value: Value) -> None:
        self.name = name
        self.shape: Shape = value.shape
        self.dtype = value.dtype
        self.default = value._data
        self.requires_grad = value.requires_grad

    def check(self, x: Any) -> Any:
        """`x` as the program reads it. Raises GradError where shape or dtype differ."""
        if isinstance(x, Value):
            x = x._data
        data = numbers(x, what=self.name)
        given = np.asarray(data)
        if given.shape != self.shape:
            raise GradError(
                f"{self.name}: shape {given.shape} was given, the program was compiled for "
                f"{self.shape}. Shapes are fixed in a program: record and compile again"
            )
        if given.dtype != self.dtype and np.asarray(x).dtype.kind == "f" and hasattr(x, "dtype"):
            raise GradError(
                f"{self.name}: {given.dtype} was given, the program was compiled for {self.dtype}. "
                f"Pass {self.name}.astype(np.{self.dtype}), or record and compile again"
            )
        given = given.astype(self.dtype, copy=False)
        return given if self.shape else plain(given)


class Instance:
    """The compiled lines with memory of their own, and whether anyone still looks at it."""

    def __init__(self, code: Any, listing: Listing) -> None:
        space: dict[str, Any] = {"constants": listing.constants, "__name__": "program"}
        exec(code, space)  # our own text: every name in it was made or checked in `source`
        self.run = space["program"]
        arrays = [space[name] for name in listing.kept]
        arrays += [a.base for a in arrays if a.base is not None]
        self._watched = list({id(a): a for a in arrays}.values())
        del arrays
        self._alone = self._references()

    def _references(self) -> list[int]:
        return [sys.getrefcount(a) for a in self._watched]

    def free(self) -> bool:
        """Has everybody let go of the gradients of the last call?"""
        return self._references() == self._alone


class Program:
    """A recorded graph and its backward pass as straight-line NumPy, for new numbers.

    ``program(W1=…, X=…)`` returns the cost and ``{"W1": dW1, …}``, plain numbers, for every named
    leaf that requires a gradient. What is not given keeps the numbers it had when it was recorded.
    Arguments are only read. The arrays returned are memory that the program uses again once nobody
    holds them (or a view of them) any more: keep them as long as you like.

    Raises GradError for an argument of another shape or dtype than was recorded, TypeError for one
    that the program does not have.
    """

    def __init__(self, arguments: list[Argument], listing: Listing, story: str) -> None:
        self.source = listing.source
        self._listing = listing
        self._story = story
        self._arguments = arguments
        self._names = {a.name for a in arguments}
        self._single = [(a.name, a.dtype) for a in arguments if a.requires_grad and not a.shape]
        self._code = compile(listing.source, "<program>", "exec")
        self._idle = [Instance(self._code, listing)]

    def __repr__(self) -> str:
        return f"<program of {', '.join(a.name for a in self._arguments)}>"

    def explain(self) -> str:
        """What was done to the graph, in words."""
        return self._story

    def __call__(self, /, **given: Any) -> tuple[Any, dict[str, Any]]:
        numbers = []
        for a in self._arguments:
            if a.name in given:
                x = given[a.name]
                if type(x) is not np.ndarray or x.shape != a.shape or x.dtype is not a.dtype:
                    x = a.check(x)
                numbers.append(x)
            else:
                numbers.append(a.default)
        if not given.keys() <= self._names:
            extra = ", ".join(sorted(given.keys() - self._names))
            names = ", ".join(a.name for a in self._arguments)
            raise TypeError(f"the program has no argument {extra}; it takes {names}")
        instance = self._instance()
        try:
            cost, gradients = instance.run(*numbers)
        finally:
            self._idle.append(instance)
        for name, dtype in self._single:
            gradients[name] = plain(dtype.type(gradients[name]))
        return plain(cost), gradients

    def _instance(self) -> Instance:
        """Lines whose memory nobody looks at; no two threads are given the same."""
        for _ in range(len(self._idle)):
            try:
                instance = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if instance.free():
                return instance
            self._idle.insert(0, instance)
        return Instance(self._code, self._listing)


def compile_graph(cost: Value, names: Mapping[str, Any] | None = None) -> Program:
    """See `tinygrad_edu.compile`."""
    if not isinstance(cost, Value):
        raise TypeError(
            f"compile: a Value is needed, the cost of a graph, not {type(cost).__name__}"
        )
    if cost.shape != ():
        raise GradError(
            f"compile: the cost has shape {cost.shape}; only a single number has a gradient "
            "without more. Reduce it (tg.mean, tg.sum)"
        )
    if not cost.requires_grad:
        raise GradError("compile: the cost was computed from nothing that needs a gradient")
    return _tensor_program(cost, _named(cost, names or {}))


def _named(cost: Value, names: Mapping[str, Any]) -> dict[Value, str]:
    """A name for every node that has one, and for every leaf that needs a gradient."""
    given = {value: name for name, value in names.items() if isinstance(value, Value)}
    found: dict[Value, str] = {}
    leaves: dict[str, Value] = {}
    unnamed = []
    for node in reversed(reachable(cost, every=True)):
        name = given.get(node, node.name)
        if name is None:
            if node.op is None and node.requires_grad:
                unnamed.append(node)
            continue
        found[node] = name
        if node.op is None and leaves.setdefault(name, node) is not node:
            raise GradError(
                f"compile: two leaves are called {name}. Arguments need names of their own: "
                "use tg.name_values, or names=locals()"
            )
    number = 0
    for node in unnamed:
        while f"arg{number}" in leaves:
            number += 1
        found[node] = f"arg{number}"
        leaves[found[node]] = node
    return found


def _tensor_program(cost: Value, names: dict[Value, str]) -> Program:
    """A line for each operation that is left of the graph and its backward pass."""
    table = Table()
    symbols: dict[Value, Symbol] = {}
    arguments: list[tuple[Argument, Symbol]] = []
    nodes = list(reversed(reachable(cost, every=True)))
    for node in nodes:
        name = names.get(node)
        if node.op is not None:
            s = table.apply(node.op, tuple([symbols[x] for x in node.parents]), node.options)
            if s.name is None and not s.constant:
                s.name = name
        elif name is None:
            s = table.symbol(node._data)
        else:
            s = table.argument(name, node.shape, node.dtype, node.requires_grad)
            arguments.append((Argument(name, node), s))
        symbols[node] = s
    root = symbols[cost]
    found = sweep(root, table.symbol(root.dtype.type(1)), read=lambda s: (s, s.parents))
    wanted = {}
    for argument, s in arguments:
        if argument.requires_grad:
            g = found.get(s)
            wanted[argument.name] = g = table.symbol(np.zeros(s.shape, s.dtype)) if g is None else g
    for s, g in found.items():
        if g is not None and s.name is not None and g.name is None and g.op is not None:
            g.name = f"d{s.name}"
    asked = table.asked
    new = lowered([root, *wanted.values(), *(s for _, s in arguments)])
    gradients = dict(zip(wanted, new[1:]))
    table.close()
    listing = written(new[1 + len(wanted) :], new[0], gradients)
    new[0].table.close()
    story = _tensor_story(len(nodes), asked, listing)
    return Program([a for a, _ in arguments], listing, story)


def _tensor_story(nodes: int, asked: int, listing: Listing) -> str:
    return (
        f"{nodes} recorded nodes; with the backward pass {asked} operations were asked for.\n"
        f"{listing.calls} calls to NumPy are left: what was the same is computed once, what "
        "depends on constants only was computed now, what no gradient needs is gone.\n"
        f"{listing.views} transposes, slices and shapes only look at memory.\n"
        f"Results share {_bytes(listing.memory)} of memory; each in memory of its own would take "
        f"{_bytes(listing.unshared)}."
    )


def _bytes(n: int) -> str:
    return (
        f"{n} bytes"
        if n < 1 << 11
        else f"{n / (1 << 10):.1f} KB"
        if n < 1 << 21
        else f"{n / (1 << 20):.1f} MB"
    )
