"""The smallest correction of a wrong line: edits of the learner's own formula, nearest first.

Every edit is tried on the true values at a fresh point, then at the others. The words an edit may
use come from the sheet: its names, the derivatives of its activations, and the pieces of the rule
derived for this very quantity; there is no list of known mistakes. The search is bounded by a
number of formulas tried, never by a clock, so that its answer does not depend on the machine.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.checking.truth import equal
from tinygrad_edu.diagnosis.edits import PRODUCT_CALLS, Edit, Edits, Places
from tinygrad_edu.diagnosis.lab import Lab
from tinygrad_edu.diagnosis.natural import cost_of, distance, tokens
from tinygrad_edu.diagnosis.parts import factors_of, product
from tinygrad_edu.diagnosis.simplifying import simplified
from tinygrad_edu.diagnosis.words import LONGEST_SEARCHED, Words, unique
from tinygrad_edu.sheets.lines import Statement
from tinygrad_edu.sheets.syntax import Expr, nodes, part_at, show

#: Formulas tried per line: single edits, and pairs where no single edit does it.
MOST_SINGLE = 12_000
MOST_PAIRS = 10_000
#: A line nested deeper is not searched: each trial costs as much as it is deep.
DEEPEST_SEARCHED = 40
#: Brackets and signs are tried together in lines of at most so many operators.
MOST_BRACKETED = 12
#: What a trial costs, a token of a correction, and the comparison of two tokens.
_TRIED, _WRITTEN, _TOKENS = 5_000, 20_000, 150


@dataclass(frozen=True)
class Correction:
    """The edit chosen for a line, its text, and its distance from the learner's in tokens."""

    edit: Edit
    text: str
    distance: int


class Search:
    """The search for corrections of one line."""

    def __init__(
        self,
        lab: Lab,
        statement: Statement,
        line: Expr,
        target: Callable[[int], Any],
        words: Words,
        rules: list[Expr],
        known_at: list[int] | None = None,
    ) -> None:
        self.lab, self.line, self.words, self.rules = lab, line, words, rules
        self.formulas = lab.formulas
        self.edits = Edits(lab, words)
        self.spelling = statement.reader.spelling
        own = line is statement.expr and statement.plain
        self.was = tokens(statement.text.split("=", 1)[1] if own else show(line, self.spelling))
        #: The points at which the wanted numbers are known, and these numbers.
        self.known_at = list(range(len(lab.points))) if known_at is None else known_at
        self.targets = [np.asarray(target(i), float) for i in self.known_at]
        first = self.targets[0]
        self.shape = first.shape
        self.top = int(np.argmax(np.abs(first))) if first.size else 0
        self.expected = float(first.flat[self.top]) if first.size else 0.0
        self.tried: dict[Expr, bool] = {}
        #: The lowest cost so far, and the correction that has it.
        self.best: tuple[float, Correction | None] = (float("inf"), None)

    # --- trying --------------------------------------------------------------------------------

    def right(self, e: Expr) -> bool:
        """Has this formula the true value at every point?"""
        known = self.tried.get(e)
        if known is None:
            self.lab.account.spend(_TRIED)
            known = self.tried[e] = self._right(e)
        return known

    def _right(self, e: Expr) -> bool:
        value = self.lab.value(e, self.known_at[0])
        if value is None or np.shape(value) != self.shape:
            return False
        try:
            here = value.item(self.top) if isinstance(value, np.ndarray) else float(value)
        except (TypeError, ValueError):
            return False
        if not abs(here - self.expected) <= 1e-5 * abs(self.expected) + 1e-300:
            return False
        return all(
            equal(self.lab.value(e, i), t) for i, t in zip(self.known_at, self.targets, strict=True)
        )

    def run(self, pairs: bool = True) -> Correction | None:
        """The nearest correction: single edits, in stages, else pairs, else the derived rule."""
        if self.line.depth > DEEPEST_SEARCHED or self.line.length > LONGEST_SEARCHED:
            return self._by_rule()
        budget = MOST_SINGLE
        for enough, edits in self._stages():
            for edit in edits:
                if edit.expr in self.tried:
                    continue
                budget -= 1
                if budget < 0:
                    break
                if self.right(edit.expr):
                    self._hit(edit)
                    if self.best[0] <= 1.5:
                        return self.best[1]
            if self.best[0] <= enough or budget < 0:
                break
        best = self.best[1]
        if pairs and (
            best is None
            or self.best[0] > max(5.0, best.distance + 0.5)
            or (best.edit.kind == "graft" and best.distance > 5)
        ):
            self._pairs()
        return self._by_rule()

    def _by_rule(self) -> Correction | None:
        """The best so far, or the derived rule itself where that is nearer."""
        for e in unique(self.rules):
            if self.right(e):
                self._hit(Edit(e, "rule", (self.line,), (e,)))
        return self.best[1]

    def _stages(self) -> Iterator[tuple[float, Iterator[Edit]]]:
        """Ever larger sets of edits, each with the cost at which it is not worth going on.

        No edit is nearer than one token, so what costs no more than three is near enough.
        """
        places = self.edits.places(self.line)
        yield 3.0, itertools.chain(self._small(self.line), self.edits.everywhere(self.line))
        yield 3.0, self._rebracketed()
        yield 2.5, self.edits.grafted(self.line, places)
        yield 4.0, self.edits.inserted(self.line, places)

    def _rebracketed(self) -> Iterator[Edit]:
        """A bracket that closes elsewhere, and a sign."""
        if sum(e.op in ("*", "+", "-", "/", "@") for _, e in nodes(self.line)) > MOST_BRACKETED:
            return
        for first in self.edits.small(self.line, self.edits.places(self.line)):
            if first.kind != "brackets":
                continue
            for second in self.edits.small(first.expr, self.edits.places(first.expr)):
                if second.kind == "sign":
                    second.first = first
                    yield second

    def _hit(self, edit: Edit) -> None:
        simple = simplified(self.lab, edit.expr, self.line)
        if simple is not edit.expr and self.right(simple):
            edit.expr = simple
        account = self.lab.account
        account.spend(_WRITTEN * edit.expr.length + _TOKENS * edit.expr.length * len(self.was))
        text = show(edit.expr, self.spelling)
        d = distance(self.was, tokens(text))
        cost = cost_of(edit, d, self.line, self.words)
        if cost < self.best[0]:
            self.best = (cost, Correction(edit, text, d))

    def _small(self, root: Expr) -> Iterator[Edit]:
        """Edits that bring in no new word."""
        places = self.edits.places(root)
        yield from self.edits.small(root, places)
        yield from self._scalings(root, places)

    def _scalings(self, root: Expr, places: Places) -> Iterator[Edit]:
        """One part times a constant, which is found by seeing what doubling the part does."""
        at = self.known_at[0]
        before = self.lab.value(root, at)
        if before is None or np.shape(before) != self.shape:
            return
        two, target = self.formulas.number(2), self.targets[0]
        for path, e in places:
            if e.op == "number" or not path:
                continue
            rebuilt = self.formulas.rebuilder(root, path)
            after = self.lab.value(rebuilt(self.formulas.make("*", e, two)), at)
            if after is None or np.shape(after) != self.shape:
                continue
            change = np.ravel(np.asarray(after, float) - before)
            wanted = np.ravel(target - before)
            top = int(np.argmax(np.abs(change))) if change.size else 0
            if not change.size or not change[top] or not np.isfinite(wanted[top] / change[top]):
                continue
            constant = 1 + float(wanted[top] / change[top])
            if constant in (0.0, 1.0) or not equal(wanted, (constant - 1) * change):
                continue
            scalar = self.lab.scalar(constant)
            if scalar is not None:
                new = product(self.lab, [*factors_of(e), *factors_of(scalar)])
                yield Edit(rebuilt(new), "insert factor", (), (scalar,), path)

    # --- pairs ---------------------------------------------------------------------------------

    def _pairs(self) -> None:
        """Two edits: any one, then what is still missing at the root; then two small ones."""
        seen: set[Expr] = set()
        firsts: list[Edit] = []
        places = self.edits.places(self.line)
        for edit in itertools.chain(self._small(self.line), self.edits.grafted(self.line, places)):
            if edit.expr in seen:
                continue
            seen.add(edit.expr)
            if len(seen) > MOST_SINGLE // 2:
                break
            value = self.lab.value(edit.expr, self.known_at[0])
            if isinstance(value, (np.ndarray, float, np.number)) and np.shape(value) == self.shape:
                self._complete(edit, np.asarray(value, float))
        firsts = list(itertools.islice(_distinct(self._small(self.line)), 600))
        if self.best[0] <= 5:
            return
        product_nodes = [
            path
            for path, e in nodes(self.line)
            if e.op in ("*", "@") or (e.op == "call" and e.function in PRODUCT_CALLS)
        ]
        budget = MOST_PAIRS
        for path, other in itertools.permutations(product_nodes[:6], 2):
            if len(path) >= len(other):  # the outer of two nested ones first
                continue
            for inner in self.edits.products(part_at(self.line, other)):
                once = self.formulas.replaced(self.line, other, inner.expr)
                for outer in self.edits.products(part_at(once, path)):
                    budget -= 1
                    e = self.formulas.replaced(once, path, outer.expr)
                    if budget > 0 and e not in self.tried and self.right(e):
                        self._hit(Edit(e, outer.kind, outer.removed, outer.added, path, inner))
        if self.best[0] <= 5:
            return
        target = self.targets[0]
        scored = []
        for i, edit in enumerate(firsts):
            value = self.lab.value(edit.expr, self.known_at[0])
            near = _likeness(value, target)
            scored.append((-near, i, edit))
        scored.sort(key=lambda item: item[:2])
        for _, _, first in scored[:40]:
            for second in self._small(first.expr):
                if second.expr in self.tried:
                    continue
                budget -= 1
                if budget < 0:
                    return
                if self.right(second.expr):
                    second.first = first
                    self._hit(second)

    def _complete(self, edit: Edit, value: Any) -> None:
        """One factor or one term more at the root, found by its value."""
        target = self.targets[0]
        e = edit.expr
        with np.errstate(all="ignore"):
            ratio = target / value
            difference = target - value
        if np.isfinite(ratio).all() and ratio.size:
            first = float(ratio.flat[0])
            if np.ptp(ratio) <= 1e-6 * abs(first) and abs(first - 1) > 1e-6:
                scalar = self.lab.scalar(first)
                if scalar is not None:
                    if (
                        scalar.op == "/"
                        and scalar.args[0].op == "number"
                        and scalar.args[0].extra == 1
                    ):
                        new = product(self.lab, [*factors_of(e), (scalar.args[1], -1)])
                    elif scalar.op == "neg":
                        new = self.formulas.make("neg", e)
                    else:
                        new = product(self.lab, [*factors_of(e), *factors_of(scalar)])
                    self._second(edit, new, "insert factor", scalar)
            else:
                for word, constant in self._alike(ratio):
                    if abs(constant - 1) < 1e-6:
                        new = product(self.lab, [*factors_of(e), *factors_of(word)])
                        self._second(edit, new, "insert factor", word)
        if np.isfinite(difference).all() and np.abs(difference).max(initial=0.0) > 0:
            for word, constant in self._alike(difference):
                term = self.lab.times(constant, word)
                if term is None:
                    continue
                if term.op == "neg":
                    new = self.formulas.make("-", e, term.args[0])
                else:
                    new = self.formulas.make("+", e, term)
                self._second(edit, new, "insert term", term)

    def _alike(self, value: Any) -> Iterable[tuple[Expr, float]]:
        """Known formulas of these values; formulas are known by their values at point 0."""
        return self.lab.alike(value) if self.known_at[0] == 0 else ()

    def _second(self, first: Edit, new: Expr, kind: str, added: Expr) -> None:
        if new not in self.tried and self.right(new):
            self._hit(Edit(new, kind, (), (added,), (), first))


def _distinct(edits: Iterable[Edit]) -> Iterator[Edit]:
    seen: set[Expr] = set()
    for edit in edits:
        if edit.expr not in seen:
            seen.add(edit.expr)
            yield edit


def _likeness(value: Any, target: Any) -> float:
    """How near numbers are to the true ones, their size apart; -1 where the shape is another."""
    if value is None or np.shape(value) != np.shape(target):
        return -1.0
    v, t = np.ravel(np.asarray(value, float)), np.ravel(target)
    norm = float(np.linalg.norm(v) * np.linalg.norm(t))
    return abs(float(v @ t)) / norm if norm and np.isfinite(norm) else -0.5
