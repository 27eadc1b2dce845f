"""The evidence of one wrong line: its numbers and the true ones, and what the cost is made of.

Whatever a sentence may say is asked of a `Case`, which computes it on all samples of the judged
sheet: at least three fresh ones, where no bias is 0 and no two numbers are equal by accident, and
the sheet's own. In what the line and its correction differ is told by `differences`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_edu.checking.truth import constant_ratio, equal, is_scalar
from tinygrad_edu.checking.verdict import Judgement
from tinygrad_edu.core.ops import arithmetic, elementwise, reductions
from tinygrad_edu.core.sweep import flow, reachable, sweep
from tinygrad_edu.core.value import Value
from tinygrad_edu.diagnosis.activations import ELEMENTWISE
from tinygrad_edu.diagnosis.context import Context
from tinygrad_edu.diagnosis.differences import Differences, Pair, chain
from tinygrad_edu.diagnosis.edits import Edit
from tinygrad_edu.diagnosis.parts import factors_of, near, product, summands
from tinygrad_edu.diagnosis.roles import Roles
from tinygrad_edu.sheets.evaluate import Evaluator, Uncomputable
from tinygrad_edu.sheets.lines import Key, Statement
from tinygrad_edu.sheets.syntax import Expr, keeps, nodes, walk

#: One array, or None where a formula has none, for each sample.
Numbers = list[Any]
#: What deviations are made by.
_ROOTS = {elementwise.sqrt, arithmetic.power_constant, reductions.std}


class Case:
    """A wrong line as evidence. `fixed` is its correction, `rules` the derived rules."""

    def __init__(
        self,
        context: Context,
        judgement: Judgement,
        line: Expr,
        edit: Edit | None,
        rules: list[Expr],
        samples: Iterable[int] | None = None,
    ) -> None:
        assert judgement.truth is not None
        self.context, self.judgement, self.roles = context, judgement, Roles(context)
        self.line, self.edit, self.rules = line, edit, rules
        self.fixed = edit.expr if edit is not None else None
        self.make, self.number = context.formulas.make, context.formulas.number
        #: The quantity whose gradient the line is to be, and what its scale multiplies ∂J/∂Q with.
        self.of, self.factor = judgement.truth
        #: The samples on which the line is looked at: all of them, if not told otherwise.
        self.samples = list(range(len(context.samples)) if samples is None else samples)
        self.truths = [np.asarray(context.truth(judgement.truth, i), float) for i in self.samples]
        self.lines = self.values(line)
        self.computable = all(v is not None for v in self.lines)
        #: Has the line the gradient's shape?
        self.fits = self.computable and all(
            np.shape(v) == t.shape for v, t in zip(self.lines, self.truths, strict=True)
        )

    def compared_with(self, fixed: Expr) -> Case:
        """The same line, with another formula as the right one."""
        edit = Edit(fixed, "rule", (self.line,), (fixed,))
        return Case(self.context, self.judgement, self.line, edit, self.rules, self.samples)

    # --- numbers -------------------------------------------------------------------------------

    def values(self, e: Expr) -> Numbers:
        """A formula's values on all samples."""
        return [self.context.value(e, i) for i in self.samples]

    def right(self, e: Expr) -> bool:
        """Has a formula the true value everywhere?"""
        return self.equal(self.values(e), self.truths)

    def equal(self, x: Iterable[Any], y: Iterable[Any]) -> bool:
        """Are numbers the same on all samples?"""
        return all(
            a is not None and b is not None and equal(a, b) for a, b in zip(x, y, strict=True)
        )

    def ratio(self, x: Iterable[Any], y: Iterable[Any]) -> float | None:
        """The one constant by which numbers are others on all samples; None where there is none."""
        return constant_ratio(zip(x, y, strict=True))

    def minus(self, x: Iterable[Any], y: Iterable[Any]) -> Numbers:
        """Differences of numbers; None where their shapes are not the same."""
        return [
            None
            if a is None or b is None or np.shape(a) != np.shape(b)
            else np.asarray(a, float) - np.asarray(b, float)
            for a, b in zip(x, y, strict=True)
        ]

    def total(self, terms: Iterable[Expr]) -> Numbers:
        """The sum of some formulas, in the gradient's shape where it is one number."""
        found: Numbers = []
        terms = list(terms)
        for i, truth in zip(self.samples, self.truths, strict=True):
            values = [self.context.value(t, i) for t in terms]
            total = None
            if all(v is not None for v in values):
                with contextlib.suppress(ValueError):  # shapes that do not fit
                    total = sum((np.asarray(v, float) for v in values), np.zeros(()))
            if total is not None and (total.ndim == 0 or total.size == truth.size == 1):
                total = np.broadcast_to(total, truth.shape)
            found.append(total)
        return found

    def keys(self, name: str) -> list[Key]:
        """The quantities of the forward lines that go by a name, the last first."""
        values = self.context.graph.values  # a cost begun as J = 0 is at first no quantity
        keys = self.context.forward_keys[::-1]
        return [k for k in keys if k[0] == name and isinstance(values[k], Value)]

    def gradient(self, key: Key) -> Numbers:
        """∂J/∂Q of any quantity."""
        return [np.asarray(self.context.samples[i].gradient(key), float) for i in self.samples]

    def varies(self, e: Expr) -> bool:
        """Is a formula made of names, and other numbers on other samples?"""
        values = [v for v in self.values(e) if v is not None]
        return bool(e.names) and any(not np.array_equal(v, values[0]) for v in values[1:])

    # --- what the cost is made of --------------------------------------------------------------

    @cached_property
    def cost_terms(self) -> list[Expr]:
        """The terms of the cost as a sum, named parts of it put in."""
        sheet, graph = self.context.sheet, self.context.graph
        cost = next((s for s in sheet.forward if graph.values.get(s.key) is graph.cost), None)
        if cost is None:
            return []
        named = {}
        for s in sheet.forward:
            value = graph.values.get(s.key)
            if isinstance(value, Value) and value.shape == () and value.op and s.plain:
                if value is not graph.cost:
                    named[self.context.name(s.key)] = s.expr
        return summands(self.context, self.context.expanded(cost.expr, named, 300))

    @cached_property
    def penalty_terms(self) -> list[Expr]:
        """The outermost terms of the cost that read this parameter and no other quantity."""
        if self.of not in self.roles.parameters:
            return []
        values = self.context.graph.values
        own = []
        for term in self.cost_terms:
            read = [k for k in term.names if isinstance(values.get(k), Value)]
            if read and all(self._made_of_own(k) for k in read):
                own.append(term)
        return own if len(own) < len(self.cost_terms) else []

    def _made_of_own(self, key: Key) -> bool:
        """Is a quantity this one, or computed from it alone in one step?"""
        values = self.context.graph.values
        own, value = self.context.graph.node(self.of), values[key]
        read = [p for p in value.parents if p.requires_grad]
        return value is own or (len(read) == 1 and read[0] is own)

    @cached_property
    def penalty(self) -> Numbers | None:
        """The gradient of the penalty on this parameter; None where the cost has none."""
        return self.penalty_of(self.penalty_terms) if self.penalty_terms else None

    def penalty_of(self, terms: list[Expr]) -> Numbers | None:
        """The gradient of terms of the cost in this parameter alone."""
        shares: Numbers = []
        for i, truth in zip(self.samples, self.truths, strict=True):
            known = self.context.samples[i].graph.values
            own = known[self.of]
            total: Any = 0.0
            for term in terms:
                try:
                    value = Evaluator(known).value(term)
                except Uncomputable:
                    return None
                if not isinstance(value, Value) or value.size != 1 or not isinstance(own, Value):
                    return None
                found = sweep(value, np.ones(value.shape) if value.shape else 1.0).get(own)
                total = total + (0.0 if found is None else np.asarray(found, float))
            shares.append(np.broadcast_to(self.factor * total, truth.shape))
        return shares

    @cached_property
    def averages(self) -> set[float]:
        """What the forward lines divide by to average, or average over."""
        found: set[float] = set()
        for s in self.context.sheet.forward:
            whole = np.ndim(self.context.value(self.context.name(s.key))) == 0
            for e in walk(s.expr):
                if e.op == "/":
                    for f, _ in [(e.args[1], 1), *factors_of(e.args[1])]:
                        value = self.context.value(f)
                        if is_scalar(value) and (whole or f.names) and self._counts(f):
                            found.add(abs(float(value)))
                if e.function == "mean":
                    inner, outer = self.context.value(e.args[0]), self.context.value(e)
                    if inner is not None and outer is not None and np.size(outer):
                        found.add(float(np.size(inner) / np.size(outer)))
        return found

    def _counts(self, e: Expr) -> bool:
        """May a number say how many there are?"""
        return e.op != "name" or e.extra not in self.context.decimals

    @cached_property
    def sizes(self) -> list[float]:
        """The lengths that an average may be over."""
        return sorted(s for s in self.roles.sizes if s > 1)

    def averaged(self, m: float) -> bool:
        """Do the forward lines average over so many?"""
        return any(near(m, a) for a in self.averages)

    def uses(self) -> int:
        """In how many places the forward lines read this quantity."""
        return len(self._readers(self.of))

    def _readers(self, key: Key) -> list[Key]:
        """The forward lines that read a quantity, as often as they do; not those that keep it."""
        name, lines = self.context.name(key), self.context.sheet.forward
        reading = (s for s in lines if s.key != key and not keeps(s.expr))
        return [s.key for s in reading for e in walk(s.expr) if e is name]

    @cached_property
    def forked(self) -> tuple[str, int]:
        """This quantity, or what is made of it alone; and in how many places that is read."""
        readers = self._readers(self.of)
        if len(readers) == 1 and self.elementwise(readers[0]):
            return readers[0][0], len(self._readers(readers[0]))
        return self.of[0], len(readers)

    @cached_property
    def normalised(self) -> bool:
        """Is this quantity divided by a deviation that is made of it?"""
        if not self.roles.normalises():
            return False
        known = self.context.graph.values
        return any(
            self._divides_made(s, e)
            for s in self.context.sheet.forward
            for e in walk(s.expr)
            if e.function in ("sqrt", "std") or e.op == "**"
            if any(self.made_of(k) for k in e.names if k in known)
        )

    @cached_property
    def shares(self) -> list[Numbers]:
        """What each use of this quantity adds to its gradient; of what is normalised, those uses
        alone that no deviation is made of."""
        found = [list(self._shares_on(i)) for i in self.samples]
        return [list(share) for share in zip(*found, strict=True)]

    def _shares_on(self, i: int) -> Iterator[Any]:
        sample = self.context.samples[i]
        own = sample.graph.node(self.of)
        order = reachable(sample.graph.cost)
        below: set[Any] = set()
        for v in order if self.normalised else ():
            if v.op in _ROOTS and v.options.get("n", 0.5) < 1:
                made_of = set(reachable(v))
                below |= made_of if own in made_of else set()
        for node in order:
            g = sample.gradients.get(node)
            if g is not None and node not in below and any(p is own for p in node.parents):
                share: dict[Any, Any] = {own: None}
                flow(node, g, node._data, node._inputs, share)
                added = share[own]
                yield np.zeros(own.shape) if added is None else self.factor * np.asarray(added)

    def made_of(self, key: Key) -> bool:
        """Is a quantity this one or computed from it?"""
        return key == self.of or self.roles.made_from(key, self.of)

    def _divides_made(self, statement: Statement, root: Expr) -> bool:
        """Does a forward line divide what is made of this quantity by a root, or by its name?"""
        name = self.context.name(statement.key)
        return any(
            self.made_of(key)
            for e in self.context.written
            if e.op in ("/", "*") and any(x in (root, name) for x in walk(e))
            for key in e.names - {statement.key}
        )

    def elementwise(self, after: Key) -> bool:
        """Is a forward quantity a function of this one, element by element?"""
        values = self.context.graph.values
        start, end = values.get(self.of), values.get(after)
        if not isinstance(start, Value) or not isinstance(end, Value) or start is end:
            return False
        between = [
            node
            for node in reachable(end, every=True)
            if node is not start and any(p is start for p in reachable(node, every=True))
        ]
        return bool(between) and all(
            node.op in ELEMENTWISE and node.shape == start.shape for node in between
        )

    # --- formulas ------------------------------------------------------------------------------

    def name(self, key: Key) -> Expr:
        """A quantity as a formula."""
        return self.context.name(key)

    def same(self, x: Expr, y: Expr) -> bool:
        """Have two formulas the same values everywhere?"""
        return self.context.same(x, y)

    def substituted(self, e: Expr, mapping: Mapping[Expr, Expr]) -> Expr:
        """A formula with others put into it."""
        return self.context.formulas.substituted(e, mapping)

    @cached_property
    def line_parts(self) -> list[Expr]:
        """Every formula in the line."""
        return walk(self.line)

    @property
    def corrections(self) -> list[Expr]:
        """The correction, if there is one."""
        return [] if self.fixed is None else [self.fixed]

    @cached_property
    def right_parts(self) -> list[Expr]:
        """Every formula in the correction, where that is right."""
        return [e for fixed in filter(self.right, self.corrections) for e in walk(fixed)]

    # --- line and correction -------------------------------------------------------------------

    @cached_property
    def differences(self) -> Differences:
        """In what the line and its correction differ."""
        return Differences(self.context, self.line, self.fixed)

    @property
    def pairs(self) -> list[Pair]:
        """The places where they do, nothing in the arrangement counted; none where all differs."""
        pairs = self.differences.pairs
        return [] if any(p.kind == "whole" for p in pairs) else pairs

    @cached_property
    def steps(self) -> list[tuple[Expr, Expr]]:
        """Line and correction, then their parts down to the one edit; none of several edits."""
        if self.edit is None or self.fixed is None or self.edit.first is not None:
            return []
        return chain(self.line, self.fixed)

    @property
    def rearranged(self) -> bool:
        """Do line and correction differ in the arrangement only: sums, transposes, @ and *?"""
        return self.fixed is not None and not self.differences.pairs

    def exchanged(self, x: Expr, y: Expr) -> list[Expr]:
        """The line with one formula for another: everywhere, then in each single place."""
        formulas = self.context.formulas
        places = [path for path, e in nodes(self.line) if e is x][:12]
        single = [formulas.replaced(self.line, path, y) for path in places]
        return [formulas.substituted(self.line, {x: y}), *(single if len(single) > 1 else [])]

    def inlined(self, e: Expr) -> Expr:
        """A formula with the learner's scratch lines put in."""
        return self.context.inlined(e, self.judgement.claim.last)

    def signed(self, p: Pair, e: Expr) -> Expr:
        """What a part of a correction's product is where the sign of the line's is another."""
        return self.make("neg", e) if p.coefficient < 0 else e

    def product(self, factors: Iterable[tuple[Expr, int]]) -> Expr:
        """Factors and divisors as one formula."""
        return product(self.context, list(factors))

    def summed(self, terms: list[Expr]) -> Expr:
        """Terms as one formula."""
        e = terms[0]
        for t in terms[1:]:
            first, *rest = factors_of(t)
            if t.op == "neg":
                e = self.make("-", e, t.args[0])
            elif first[0].op == "neg":
                e = self.make("-", e, self.product([(first[0].args[0], 1), *rest]))
            else:
                e = self.make("+", e, t)
        return e

    def constant(self, value: float) -> Expr:
        """A constant as the sheet would write it, or a number."""
        size = abs(value)
        found = self.context.constants.written(size, any_number=True)
        e = found if found is not None else self.number(float(f"{size:.6g}"))
        return e if value > 0 else self.make("neg", e)

    def count(self, m: float) -> Expr:
        """A number of examples by its name, where it has one."""
        named = (e for n, e in self.context.constants.named() if near(n, m) and self._counts(e))
        return next(named, None) or self.constant(m)

    def is_constant(self, e: Expr, value: float | None) -> bool:
        """Is a formula this one number, up to what is printed of it?"""
        if value is None:
            return False
        return all(
            is_scalar(v) and abs(float(v) - value) <= 1e-5 * abs(value) for v in self.values(e)
        )
