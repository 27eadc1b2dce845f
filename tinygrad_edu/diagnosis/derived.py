"""The rules of a sheet's cost, by the engine of `rules`, in the words of the sheet.

The engine is asked for one gradient in terms of those that are claimed above it. Its line is read
back as a formula of the sheet: a name the engine made up gives way to what it stands for. A rule is
given only where it is right on every sample.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_edu.checking.rounding import agree
from tinygrad_edu.checking.truth import equal
from tinygrad_edu.checking.verdict import Judgement
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.value import Value
from tinygrad_edu.diagnosis.context import Context
from tinygrad_edu.rules.deriving import Deriving, Line
from tinygrad_edu.rules.forms import Forms, forward, forward_trees
from tinygrad_edu.rules.notation import NumPy
from tinygrad_edu.rules.trees import Tree
from tinygrad_edu.sheets import vocabulary
from tinygrad_edu.sheets.lines import Key, Statement
from tinygrad_edu.sheets.reader import DEEPEST, Reader
from tinygrad_edu.sheets.syntax import Expr, Formulas, parts

#: A longer formula, shared parts written out, is no rule anybody could read.
LONGEST_RULE = 1_000
#: What the engine would write out, and a sheet has a name for.
_CALLED = frozenset(
    {"log_softmax", "logsumexp", "relu", "leaky_relu", "sigmoid", "softmax", "softplus"}
)
#: What a derivation costs for each node of the graph.
_NODE = 200_000


class Unwritable(Exception):
    """A rule has no formula in the words of a sheet."""


class OfSheet(NumPy):
    """Formulas in the vocabulary of sheets, which has names for activations."""

    def call(self, tree: Tree) -> str | tuple[str, int]:
        """An operation; without an option that only says what is usual."""
        op, options = tree.value
        if op.name in _CALLED:
            given = [self(part) for part in tree.parts]
            given += [f"{k}={self.value(x)}" for k, x in options.items() if k != "at_zero"]
            return f"{vocabulary.prefix(op.name)}{op.name}({', '.join(given)})"
        return super().call(tree)


class DerivedRules:
    """The rules of one judged sheet."""

    def __init__(self, context: Context) -> None:
        self.context, self.formulas = context, context.formulas
        self.graph = context.graph

    def of(self, judgement: Judgement) -> list[Expr]:
        """What a claim should be, in terms of the gradients that are claimed above it; nothing
        where that cannot be written."""
        assert judgement.truth is not None
        key, factor = judgement.truth
        self.context.account.spend(_NODE * len(self.work.nodes))
        node = self.graph.node(key)
        if node not in self.work.learning or node not in self.work.name_of:
            return []
        known = self._claimed_above(judgement.claim.last)
        known.pop(node, None)
        lines = self.work.lines([node], above={v: e.extra[0] for v, e in known.items()})
        line = next((line for line in lines if line.node is node), None)
        if line is None:
            return []
        reading = Reading(self.context, self.work, lines, self.graph.constants)
        reading.known |= {self.work.above[v]: e for v, e in known.items()}
        for name, value in self.graph.values.items():
            text = self.work.name_of.get(value) if isinstance(value, Value) else name[0]
            if text is not None:
                reading.known[text] = self.context.name(name)
        own = float(self.work.m) if line.scaled else 1.0
        right = itertools.islice(self._right(reading, lines, line, key, factor, factor / own), 1)
        return [self._in_learners_names(_shares_apart(self.formulas, e)) for e in right]

    def _claimed_above(self, before: Statement) -> dict[Any, Expr]:
        """The nodes whose gradients are claimed above a statement, with the learner's names."""
        judged = self.context.judged
        above = {}
        self.context.account.spend(4_000 * len(judged.final))
        for statement in self.context.above(before):
            claim = judged.final.get(statement.key)
            truth = None if claim is None else judged.judgements[claim.name].truth
            if truth is not None:
                above[self.graph.node(truth.key)] = self.context.name(statement.key)
        return above

    def _right(
        self, reading: Reading, lines: list[Line], line: Line, key: Key, factor: float, scale: float
    ) -> Iterator[Expr]:
        """The forms of a line that are right, in the learner's scale."""
        for form in Forms(self.work, lines).of(line):
            try:
                e = self.context.constants.times(scale, reading.expr(form.tree))
            except (Unwritable, GradError):
                continue
            if e is not None and e.length <= LONGEST_RULE and e.depth <= DEEPEST:
                if all(self._is_right(e, key, factor, i) for i in range(len(self.context.samples))):
                    yield e

    def _in_learners_names(self, e: Expr) -> Expr:
        """A rule with the names that the learner gave to steps of the backward pass."""
        named: dict[Expr, Expr] = {}
        seek = [e]
        while seek:
            part = seek.pop()
            alike = self.context.alike(self.context.value(part))
            names = (x for x, constant in alike if constant == 1 and x.op == "name")
            own = next((x for x in names if x.extra not in self.graph.values), None)
            if own is not None and part.op != "name" and self.context.same(own, part):
                named[part] = own
            else:
                seek.extend(part.args)
        return self.formulas.substituted(e, named)

    def _is_right(self, e: Expr, key: Key, factor: float, i: int) -> bool:
        at, value = self.context.samples[i], self.context.value(e, i)
        true = factor * at.gradient(key)
        if equal(value, true):
            return True
        if at.matters(key) or np.shape(value) != true.shape:
            return False
        # Where a gradient is 0, what rounding leaves of it is no one's to match.
        size = at.rounding.of_gradient(at.graph.node(key), true / factor)
        return agree(value, true, abs(factor) * size)

    @cached_property
    def work(self) -> Deriving:
        """The sheet's forward lines as the engine's formulas."""
        judged, graph = self.context.judged, self.graph
        examples = judged.examples
        m = examples.m if examples is not None and examples.axis is not None else None
        names: dict[str, Any] = {}
        for (name, version), value in graph.values.items():
            if isinstance(value, (Value, np.ndarray)):
                names[f"{name}_{version}" if name in names else name] = value
        sheet = judged.sheet
        facts, origins = sheet.facts(graph), sheet.origins(graph)
        return Deriving(graph.cost, judged.convention, m, names, facts, origins)


def _shares_apart(formulas: Formulas, e: Expr) -> Expr:
    """``x * (2 - y)`` as ``x + x * (1 - y)``: x reaches the cost by two ways, once as it is."""
    for x, y in (e.args, e.args[::-1]) if e.op == "*" else ():
        n = y.args[0] if y.op in ("+", "-") else y
        if n.op == "number" and n is not y and n.extra == 2:
            rest = formulas.make(y.op, formulas.number(1), y.args[1])
            return formulas.make("+", x, formulas.make("*", x, rest))
    return e


class Reading:
    """Reads the engine's lines back: what each of its names is to the sheet.

    `known` has formulas for names, `constants` the nodes that formulas of plain numbers have.
    """

    def __init__(
        self, context: Context, work: Deriving, lines: list[Line], constants: Mapping[Expr, Any]
    ) -> None:
        self.context, self.formulas, self.work = context, context.formulas, work
        self.notation = OfSheet(work.array_name)
        self.known = {
            work.name_of[node]: e
            for e, node in constants.items()
            if isinstance(node, Value) and node in work.name_of
        }
        self.trees: dict[str, Tree] = {line.name: line.tree for line in lines}
        forward_of = forward_trees(work)
        for node in work.auto_named:
            self.trees[work.name_of[node]] = forward(work, node, forward_of)
        for atom, (_, share) in work.shares.items():
            self.trees[atom.name] = work.arranged(share)

    def expr(self, tree: Tree) -> Expr:
        """A formula of the engine as one of the sheet.

        Raises Unwritable where it has a name that means nothing there.
        """
        text = self.notation(tree)
        e = Reader(self.formulas, text, lambda name: 0).read(ast.parse(text, mode="eval").body)
        meanings = {self.formulas.name(*key): self._meaning(key[0]) for key in e.names}
        meanings |= {part: self._number(part) for part in parts(e) if part.op == "number"}
        return self.formulas.substituted(e, meanings)

    def _meaning(self, name: str) -> Expr:
        if name in self.known:
            return self.known[name]
        if name in self.trees:
            e = self.expr(self.trees[name])
        elif name in self.work.lengths.numbers:
            n = int(self.work.lengths.numbers[name])
            e = self.context.constants.written(float(n)) or self.formulas.number(n)
        else:
            raise Unwritable(name)
        self.known[name] = e
        return e

    def _number(self, e: Expr) -> Expr:
        """A long decimal as the sheet would write it: ``1 / np.sqrt(3)``."""
        if not isinstance(e.extra, float) or len(repr(e.extra)) <= 8:
            return e
        return self.context.constants.written(e.extra) or e
