"""A graph written down as a sheet, so that what is compared with it can be diagnosed as one."""

from __future__ import annotations

import contextlib
import keyword
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.calculus.axes import Examples
from tinygrad_edu.checking.flow import Entry, own_gradients, reads_others
from tinygrad_edu.checking.table import Diagnosis
from tinygrad_edu.checking.verdict import judge
from tinygrad_edu.core.sweep import reachable
from tinygrad_edu.core.value import Value
from tinygrad_edu.diagnosis.derived import OfSheet
from tinygrad_edu.diagnosis.diagnosing import diagnose
from tinygrad_edu.diagnosis.handed_in import HandedIn
from tinygrad_edu.rules.expression import Algebra
from tinygrad_edu.rules.trees import Tree, literal, number_tree
from tinygrad_edu.rules.trees import name as name_tree
from tinygrad_edu.sheets import vocabulary
from tinygrad_edu.sheets.account import TooMuch
from tinygrad_edu.sheets.sheet import Sheet
from tinygrad_edu.sheets.syntax import SheetError

#: Larger graphs and arrays are compared but not diagnosed.
MOST_NODES = 500
MOST_ENTRIES = 100_000
#: Losses by their names in sheets, and what tells which is meant.
_LOSSES: dict[str, tuple[str, list[str]]] = {
    "bernoulli_loss": ("binary_cross_entropy", []),
    "logistic_loss": ("binary_cross_entropy", ["from_logits=True"]),
    "softmax_loss": ("cross_entropy", []),
}
#: The kinds of targets that every draw of a sheet's numbers leaves targets.
_OF_0_AND_1 = {" = binary", " = onehot(axis=0)", " = onehot(axis=1)"}


def sheet_of(cost: Value, examples: Examples | None = None) -> tuple[str, dict[str, Any]] | None:
    """The forward lines of a graph as a sheet, and its numbers; None where names forbid it."""
    order = reachable(cost, every=True)[::-1]
    names = [node.name for node in order if node.name is not None]
    if len(order) > MOST_NODES or len(set(names)) < len(names) or not all(map(_usable, names)):
        return None
    writer = _Writer(cost)
    if examples is not None and "m" not in names:
        writer.header.append(f"m = {examples.m}")
    for node in order:
        if node.op is None and node.size > MOST_ENTRIES:
            return None
        writer.trees[node] = writer.leaf(node) if node.op is None else writer.computed(node)
    if "J" not in (*names, cost.name or "J"):
        writer.body.append(f"J = 1.0 * {cost.name}")
    return "\n".join([*writer.header, *writer.body]) + "\n", writer.numbers


class _Writer:
    """Writes a graph down: what is given, the lines of what has a name, each node as a tree."""

    def __init__(self, cost: Value) -> None:
        self.cost = cost
        self.header: list[str] = []
        self.body: list[str] = []
        self.numbers: dict[str, Any] = {}
        self.trees: dict[Value, Tree] = {}
        self.notation, self.algebra = OfSheet(), Algebra()

    def leaf(self, node: Value) -> Tree:
        """A number as it is, a named one with a line, an array as something given."""
        if node.name is None and node.size == 1:
            return number_tree(float(np.ravel(node._data)[0]))
        name = node.name or f"given{len(self.header)}"
        if node.shape == () and not node.requires_grad:  # a named constant, such as m
            number = float(node._data)
            self.header.append(f"{name} = {int(number) if number.is_integer() else number!r}")
        else:
            self.header.append(f"{name}: {node.shape}{_kind(node)}")
            self.numbers[name] = np.asarray(node._data, float)
        return self._named(name, node)

    def computed(self, node: Value) -> Tree:
        """A node by its name, which gets a line, or by its inputs written out."""
        assert node.op is not None
        inputs = tuple(self.trees[p] for p in node.parents)
        if node.op.name in _LOSSES and _kind(node.parents[1]) in _OF_0_AND_1:
            tree = self._loss(node, inputs)
        else:
            tree = literal(node.op, inputs, node.options)
        if node.name is None and node is not self.cost:
            return tree
        name = node.name or "J"
        self.body.append(f"{name} = {self.notation(tree)}")
        return self._named(name, node)

    def _loss(self, node: Value, inputs: tuple[Tree, ...]) -> Tree:
        """A loss by its name: written out it would be all guards of 0 · log 0."""
        assert node.op is not None
        name, more = _LOSSES[node.op.name]
        axis = node.options.get("axis")
        given = [*map(self.notation, inputs), *more, *([] if axis is None else [f"axis={axis}"])]
        return self._named(f"{name}({', '.join(given)})", node)

    def _named(self, name: str, node: Value) -> Tree:
        return name_tree(self.algebra.name(name, node.shape))


def _usable(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name) and name not in vocabulary.MODULES


def _kind(node: Value) -> str:
    """The kind of a constant's numbers, to be seen in them; parameters are of no kind."""
    data = np.asarray(node._data)
    if node.requires_grad or not data.size:
        return ""
    if np.isin(data, (0.0, 1.0)).all():
        for axis in range(data.ndim):
            if data.ndim > 1 and data.shape[axis] > 1 and np.all(data.sum(axis=axis) == 1):
                return f" = onehot(axis={axis})"
        return " = binary"
    return " = positive" if (data > 0).all() else ""


def diagnosed(
    cost: Value,
    manual: Mapping[str, Any],
    entries: Mapping[str, Entry],
    wrong: Sequence[str],
    examples: Examples | None,
    convention: str,
) -> dict[str, Diagnosis]:
    """Diagnoses for the wrong entries of a comparison, those for which one is found.

    `manual` has the entries in order as they were handed in, `entries` as they were judged.
    """
    written = sheet_of(cost, examples)
    if written is None:
        return {}
    text, numbers = written
    m = None if examples is None else examples.m
    found: dict[str, Diagnosis] = {}
    formulas = {k: v for k, v in manual.items() if isinstance(v, str)}
    with np.errstate(all="ignore"), contextlib.suppress(TooMuch):
        if formulas:
            of = {name: entry.node.name for name, entry in entries.items()}
            claims = "".join(f"{k}: d{of[k]} = {_right_side(k, v)}\n" for k, v in formulas.items())
            try:
                judged, _ = judge(Sheet(text + claims, "graph", numbers), convention, m)
                found |= {k: d for k, d in diagnose(judged).items() if k in wrong}
            except SheetError:
                pass  # a formula that reads an entry given as numbers
        # Functions were shown the truth of what they read; numbers come from numbers.
        as_read = {name: replace(entry, given=entry.from_truth) for name, entry in entries.items()}
        right = [name for name in entries if name not in wrong]
        left = [n for n in wrong if n not in found and entries[n].from_truth is not None]
        reading = [name for name in left if reads_others(manual[name])]
        numbers_only = [name for name in left if name not in reading]
        own = own_gradients(entries)
        try:
            found |= HandedIn(written, cost, as_read, {}, convention, m).explained(reading, right)
            handed_in = HandedIn(written, cost, entries, own, convention, m)
            found |= handed_in.explained(numbers_only, right)
        except SheetError:
            pass  # a graph that no sheet can say
    return found


def _right_side(name: str, formula: str) -> str:
    left, equals, right = formula.partition("=")
    return " ".join((right if equals and left.strip() == name else formula).split())
