"""The smallest correction of a wrong line: edits of the learner's own formula, nearest first.

Every edit is tried on the true values on a fresh sample, then at the others. The words an edit may
use come from the sheet: its names, the derivatives of its activations, and the pieces of the rule
derived for this very quantity; there is no list of known mistakes. The search is bounded by a
number of formulas tried, never by a clock, so that its answer does not depend on the machine.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_edu.checking.truth import equal
from tinygrad_edu.checking.verdict import Judgement, Truth
from tinygrad_edu.diagnosis.context import Context
from tinygrad_edu.diagnosis.edit_cost import cost_of, distance, tokens
from tinygrad_edu.diagnosis.edits import Edit, Edits, Path, Places
from tinygrad_edu.diagnosis.parts import factors_of, kind_of_product, product
from tinygrad_edu.diagnosis.places import Place
from tinygrad_edu.diagnosis.simplifying import simplified
from tinygrad_edu.diagnosis.words import LONGEST_SEARCHED, Words, unique, visible_keys
from tinygrad_edu.sheets.syntax import Expr, nodes, part_at, parts, walk

#: Formulas tried per line: single edits, and pairs where no single edit does it.
MOST_SINGLE = 12_000
MOST_PAIRS = 10_000
#: A line nested deeper is not searched: each trial costs as much as it is deep.
DEEPEST_SEARCHED = 40
#: Brackets and signs are tried together in lines of at most so many operators.
MOST_BRACKETED = 12
#: What a trial costs, a token of a correction, and the comparison of two tokens.
_TRIED, _WRITTEN, _TOKENS = 5_000, 20_000, 150
#: What a correction costs more that is right by accident.
_CHANCE = 30.0

#: Edits, and the cost of a correction at which it is not worth going on.
Stage = tuple[float, Iterator[Edit]]


@dataclass(frozen=True)
class Correction:
    """The edit chosen, the line's text with it, its distance from the learner's in tokens, and what
    it costs."""

    edit: Edit
    text: str
    distance: int
    cost: float = float("inf")


class CorrectionSearch:
    """The search for corrections of one line."""

    def __init__(
        self,
        context: Context,
        place: Place,
        target: Callable[[int], Any],
        words: Words,
        rules: list[Expr],
        known_at: list[int] | None = None,
        truth: Truth | None = None,
    ) -> None:
        self.context, self.place, self.words, self.rules = context, place, words, rules
        self.line, self.truth = place.line, truth
        self.formulas = context.formulas
        self.edits = Edits(context, words)
        self.was = tokens(place.was)
        #: The samples on which the wanted numbers are known, and these numbers.
        self.known_at = list(range(len(context.samples))) if known_at is None else known_at
        self.targets = [np.asarray(target(i), float) for i in self.known_at]
        first = self.targets[0]
        self.shape = first.shape
        self.top = int(np.argmax(np.abs(first))) if first.size else 0
        self.expected = float(first.flat[self.top]) if first.size else 0.0
        self.tried: dict[Expr, bool] = {}
        #: What is asked of a formula first, and those that are so and yet not right.
        self.likely: Callable[[Expr], bool] | None = None
        self.only_likely: list[Expr] = []
        #: The correction of the lowest cost so far.
        self.best: Correction | None = None

    # --- trying --------------------------------------------------------------------------------

    def right(self, e: Expr) -> bool:
        """Has this formula the true value on every sample?"""
        known = self.tried.get(e)
        if known is None:
            self.context.account.spend(_TRIED)
            likely = self.likely is not None and self.likely(e)
            known = (likely or self.likely is None) and self._right(self.place, e)
            self.tried[e] = known
            if likely and not known:
                self.only_likely.append(e)
        return known

    def _right(self, place: Place, e: Expr) -> bool:
        value = place.value(e, self.known_at[0])
        if value is None or np.shape(value) != self.shape:
            return False
        try:
            here = value.item(self.top) if isinstance(value, np.ndarray) else float(value)
        except (TypeError, ValueError):
            return False
        if not abs(here - self.expected) <= 1e-5 * abs(self.expected) + 1e-300:
            return False
        return all(
            equal(place.value(e, i), t) for i, t in zip(self.known_at, self.targets, strict=True)
        )

    def _value(self, e: Expr) -> Any:
        """The numbers that a formula gives in its place."""
        return self.place.value(e, self.known_at[0])

    def run(self, pairs: bool = True) -> Correction | None:
        """The nearest correction: single edits, in stages, else pairs, else the derived rule."""
        if self.line.depth > DEEPEST_SEARCHED or self.line.length > LONGEST_SEARCHED:
            return self._by_rule()
        self._search(self._stages(), MOST_SINGLE)
        best = self.best
        if pairs and (
            best is None
            or best.cost > max(5.0, best.distance + 0.5)
            or (best.edit.kind == "replacement" and best.distance > 5)
        ):
            self._search(self._pairs(), MOST_PAIRS)
        return self._by_rule()

    @property
    def _cost(self) -> float:
        return float("inf") if self.best is None else self.best.cost

    def run_near(self) -> Correction | None:
        """The nearest correction that brings in no new word."""
        small = self._small(self.line), self.edits.everywhere(self.line)
        self._search([(3.0, itertools.chain(*small))], MOST_SINGLE // 4)
        return self.best

    def run_terms(self, terms: Iterable[Expr]) -> Correction | None:
        """The nearest correction that adds one of these, takes it away, multiplies with it or
        divides by it."""
        make = self.formulas.make
        edits = (
            Edit(make(op, self.line, e), "insert term" if op in "+-" else "insert factor", (), (e,))
            for e in terms for op in "+-*/"
        )  # fmt: skip
        self._search([(3.0, edits)], MOST_SINGLE)
        return self.best

    def run_likely(self, likely: Callable[[Expr], bool]) -> Correction | None:
        """The nearest correction of those that are `likely`, which costs less to ask; two factors
        given way to two words are one."""
        self.likely = likely
        small, brackets, *others = self._stages()
        stages = (small, brackets, (5.0, self.edits.two_factors(self.line)), *others)
        self._search(stages, MOST_SINGLE * self.place.often)
        self.only_likely.sort(key=lambda e: distance(self.was, tokens(self.place.text(e))))
        return self.best

    def _search(self, stages: Iterable[Stage], budget: int) -> None:
        """Try the edits of one stage after the other, as many as there are in the budget."""
        budget //= self.place.often
        for enough, edits in stages:
            for edit in edits:
                if edit.expr in self.tried:
                    continue
                budget -= 1
                if budget < 0:
                    return
                if self.right(edit.expr):
                    self._hit(edit)
                    if self._cost <= 1.5:
                        return
            if self._cost <= enough:
                return

    def _by_rule(self) -> Correction | None:
        """The best so far, or the derived rule itself where that is nearer."""
        for e in unique(self.rules):
            if self.right(e):
                self._hit(Edit(e, "rule", (self.line,), (e,)))
        for edit, other in self.place.moved(self.edits) if self.best is None else ():
            if self._right(other, self.line):
                d = distance(self.was, tokens(text := other.text(self.line)))
                return Correction(edit, text, d)
        return self.best

    def _stages(self) -> Iterator[Stage]:
        """Ever larger sets of edits.

        No edit is nearer than one token, so what costs no more than three is near enough.
        """
        places = self.edits.places(self.line)
        yield 3.0, itertools.chain(self._small(self.line), self.edits.everywhere(self.line))
        yield 3.0, self._rebracketed()
        yield 2.5, self.edits.replaced(self.line, places)
        yield 4.0, self.edits.inserted(self.line, places)

    def _rebracketed(self) -> Iterator[Edit]:
        """A bracket that closes elsewhere, and a sign."""
        if sum(e.op in ("*", "+", "-", "/", "@") for e in walk(self.line)) > MOST_BRACKETED:
            return
        for first in self.edits.small(self.line, self.edits.places(self.line)):
            if first.kind != "brackets":
                continue
            for second in self.edits.small(first.expr, self.edits.places(first.expr)):
                if second.kind == "sign":
                    second.first = first
                    yield second

    @cached_property
    def _of_rule(self) -> dict[Expr, Expr]:
        """What the derived rule says for a number by its names: m, where m is 2."""
        found, rule = {}, parts(*self.rules[:1])
        for e in sorted(rule, key=lambda e: -e.length):
            value = self.context.constant(e) if e.names else None
            if value is not None:
                found[self.formulas.number(int(value) if value.is_integer() else value)] = e
        return {number: e for number, e in found.items() if number not in rule}

    def _named(self, e: Expr) -> Expr:
        """A formula with the rule's words for the numbers that are new in it."""
        own = parts(self.line)
        new = {part: self._of_rule[part] for part in parts(e) if part in self._of_rule}
        named = {part: word for part, word in new.items() if part not in own}
        return self.formulas.substituted(e, named)

    def _by_chance(self, e: Expr) -> bool:
        """Is a formula right only with the constants that the sheet has?"""
        others = self.context.with_other_constants
        if self.truth is None or others.spelt_out(self.line):
            return False
        return not others.right(self.place.whole(e), self.truth)

    def _hit(self, edit: Edit) -> None:
        simple = simplified(self.context, edit.expr, self.line)
        if simple is not edit.expr and self.right(simple):
            if not self._by_chance(simple) or self._by_chance(edit.expr):
                edit.expr = simple
        account = self.context.account
        account.spend(_WRITTEN * edit.expr.length + _TOKENS * edit.expr.length * len(self.was))
        text = self.place.text(edit.expr)
        d = distance(self.was, tokens(text))
        cost = cost_of(edit, d, self.line, self.words)
        if cost < self._cost and self._by_chance(edit.expr):
            cost += _CHANCE
        if cost < self._cost:
            edit.expr = self._named(edit.expr)
            self.best = Correction(edit, self.place.text(edit.expr), d, cost)

    def _small(self, root: Expr) -> Iterator[Edit]:
        """Edits that bring in no new word."""
        places = self.edits.places(root)
        yield from self.edits.small(root, places)
        yield from self._scalings(root, places)

    def _scalings(self, root: Expr, places: Places) -> Iterator[Edit]:
        """One part times a constant, which is found by seeing what doubling the part does."""
        before = self._value(root)
        if before is None or np.shape(before) != self.shape:
            return
        two, target = self.formulas.number(2), self.targets[0]
        for path, e in places:
            if e.op == "number" or e is self.place.whole(root):
                continue
            rebuilt = self.formulas.rebuilder(root, path)
            after = self._value(rebuilt(self.formulas.make("*", e, two)))
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
            scalar = self.context.constants.written(constant)
            if scalar is not None:
                yield Edit(rebuilt(self._scaled(e, scalar)), "insert factor", (), (scalar,), path)

    # --- pairs ---------------------------------------------------------------------------------

    def _pairs(self) -> Iterator[Stage]:
        """Two edits: any one, then what is missing at the root; two products; two small ones."""
        yield 5.0, self._completed()
        yield 5.0, self._two_products()
        yield 0.0, self._two_small()

    def _completed(self) -> Iterator[Edit]:
        """Any edit, and one factor or one term more at the root, found by its value."""
        places = self.edits.places(self.line)
        singles = itertools.chain(self._small(self.line), self.edits.replaced(self.line, places))
        make, target = self.formulas.make, self.targets[0]
        for first in itertools.islice(_distinct(singles), MOST_SINGLE // 2):
            e, value = first.expr, self._value(first.expr)
            if value is None or np.shape(value) != self.shape:
                continue
            with np.errstate(all="ignore"):
                ratio, difference = target / value, target - value
            for factor in self._factors(ratio):
                yield Edit(self._scaled(e, factor), "insert factor", (), (factor,), (), first)
            for word, constant in self._alike(difference):
                term = self.context.constants.times(constant, word)
                if term is not None:
                    minus = term.op == "neg"
                    new = make("-" if minus else "+", e, term.args[0] if minus else term)
                    yield Edit(new, "insert term", (), (term,), (), first)

    def _factors(self, ratio: Any) -> list[Expr]:
        """What has these values: a constant, or formulas."""
        if not ratio.size or not np.isfinite(ratio).all():
            return []
        constant = float(ratio.flat[0])
        if np.ptp(ratio) > 1e-6 * abs(constant):
            return [word for word, c in self._alike(ratio) if abs(c - 1) < 1e-6]
        scalar = self.context.constants.written(constant)
        return [] if scalar is None or abs(constant - 1) <= 1e-6 else [scalar]

    def _scaled(self, e: Expr, factor: Expr) -> Expr:
        """``e * factor``, with a sign in front and a divisor behind."""
        if factor.op == "neg":
            return self.formulas.make("neg", self._scaled(e, factor.args[0]))
        return product(self.context, [*factors_of(e), *factors_of(factor)])

    def _two_products(self) -> Iterator[Edit]:
        """Two products as other products, the inner one first."""
        products = [path for path, e in nodes(self.line) if kind_of_product(e) is not None]
        for path, other in itertools.permutations(products[:6], 2):
            for inner in self._products_at(self.line, other) if len(path) < len(other) else ():
                for outer in self._products_at(inner.expr, path):
                    outer.first = inner
                    yield outer

    def _products_at(self, root: Expr, path: Path) -> Iterator[Edit]:
        for edit in self.edits.products(part_at(root, path)):
            edit.expr, edit.path = self.formulas.replaced(root, path, edit.expr), path
            yield edit

    def _two_small(self) -> Iterator[Edit]:
        """Two small edits, where the first brings the numbers near the true ones."""
        firsts = itertools.islice(_distinct(self._small(self.line)), 600)
        values = [(first, self._value(first.expr)) for first in firsts]
        values.sort(key=lambda item: -_likeness(item[1], self.targets[0]))
        for first, _ in values[:40]:
            for second in self._small(first.expr):
                second.first = first
                yield second

    def _alike(self, value: Any) -> Iterable[tuple[Expr, float]]:
        """Known formulas of these values; formulas are known by their values on sample 0."""
        return self.context.alike(value) if self.known_at[0] == 0 else ()


def search_for(
    context: Context,
    judgement: Judgement,
    place: Place,
    rules: list[Expr],
    pieces: list[Expr],
    only_pieces: bool = False,
) -> CorrectionSearch:
    """The search for a formula that makes a line right in a place; `only_pieces`: out of the names
    in these and in the line alone."""
    truth = judgement.truth
    assert truth is not None
    visible = place.visible(visible_keys(context, place.statement))
    if only_pieces:
        visible &= {key for e in (place.line, *pieces) for key in e.names}
    known = [e for e in pieces if e.names <= visible]
    own = Words(context, rules, visible, place.line, known)
    if only_pieces:
        own.terms.clear()
    target = lambda i: context.truth(truth, i)  # noqa: E731
    return CorrectionSearch(context, place, target, own, rules, truth=truth)


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
