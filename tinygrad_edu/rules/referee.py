"""The referee: every line computed at other numbers and compared with the gradients there.

The shortest form of a line is shown that is as right as the sweep: on usual numbers, on numbers
around 1000 and around the constants of the graph, on numbers of very different scales, and where
numbers are zero or equal. How right that can be is measured: both are computed again with the
forward quantities changed in their last digits.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from typing import Any

import numpy as np

from tinygrad_edu.core.operators import Operators
from tinygrad_edu.core.primitive import Primitive, Shape
from tinygrad_edu.core.sweep import sweep
from tinygrad_edu.rules.deriving import Deriving, Line
from tinygrad_edu.rules.forms import Forms
from tinygrad_edu.rules.notation import NumPy, evaluate
from tinygrad_edu.rules.samples import (
    Numbers,
    around,
    fresh_numbers,
    level,
    run,
    scaled,
    ties,
    usual,
    wobble,
)

#: How often usual numbers are drawn before it is accepted that none are well-conditioned.
ATTEMPTS = 6
#: The share of the largest entry that a line may differ by …
TOLERANCE = 1e-11
#: … beside so many times what changes in the last digits make of it and of the sweep.
MAGNIFIED = 32
#: What is smaller than this is held with fewer digits than other numbers.
SMALLEST = float(np.finfo(float).tiny)
#: What is smaller than this, beside the gradients that a gradient is made of, are rounded zeros.
CANCELLED = 1e-15
#: Of a graph that holds more numbers fewer samples are taken: each takes as much memory.
LARGE = 2_000_000
#: How many constants of a graph numbers are drawn around.
MOST_CONSTANTS = 3


@dataclass
class Sample:
    """A graph on one draw of numbers: all it holds, and its gradients."""

    data: Numbers
    truth: Numbers
    wanted: dict[str, Any]  # the gradient of each line, in the line's scale
    named: dict[str, Any]


class Referee:
    """Chooses the form of each line of one derivation."""

    def __init__(self, work: Deriving, lines: list[Line]) -> None:
        self.work = work
        self.lines = lines
        self._wobbled: dict[int, tuple[Sample, ...]] = {}

    @cached_property
    def samples(self) -> list[Sample]:
        """The graph on all draws."""
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an infinite loss here is no news to the user
            return list(self._drawn())

    def usual_samples(self) -> Iterator[Sample]:
        """The graph on usual numbers only."""
        return map(self._sample, self._usual())

    def chosen(self) -> list[Line]:
        """The lines, each in the first of its forms that is as right as the sweep on all samples;
        where there is none, in the one that comes nearest.

        Raises AssertionError where that is not the gradient on most of them.
        """
        forms = Forms(self.work, self.lines)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [self._first_right(forms.of(line)) for line in self.lines]

    def _first_right(self, forms: Iterable[Line]) -> Line:
        best, least, problem = None, math.inf, "a line has no form"
        for form in forms:
            try:
                faults = [self.fault(form, i) for i in range(len(self.samples))]
            except ValueError as error:
                problem = f"{NumPy()(form.tree)} cannot be computed: {error}"
                continue
            fault = max(faults)
            if fault <= 1:
                return form
            telling = self._telling(form)
            if 2 * sum(faults[i] > 1 for i in telling) > len(telling):
                problem = f"{NumPy()(form.tree)} is not the gradient {form.name}"
            elif best is None or 10 * fault < least:
                best, least = form, fault
        if best is None:
            raise AssertionError(
                f"derive: internal error, please report it: {problem}. "
                "No rule is shown rather than a wrong one"
            )
        return best

    def _telling(self, line: Line) -> list[int]:
        """The samples whose gradients are not all 0 or undefined, or all if there is none."""
        wanted = [sample.wanted[line.name] for sample in self.samples]
        telling = [i for i, want in enumerate(wanted) if np.any(np.isfinite(want) & (want != 0))]
        return telling or list(range(len(wanted)))

    def fault(self, line: Line, i: int) -> float:
        """How far a line is from the gradient on a sample, in units of what rounding can do."""
        sample = self.samples[i]
        try:
            want, value = sample.wanted[line.name], computed(line, sample.named)
        except np.linalg.LinAlgError:  # of a gap that only rounding tells from 0
            return math.inf
        if np.shape(value) != np.shape(want):
            return math.inf
        off, size = np.abs(value - want), np.abs(want)
        if off.max(initial=0) <= TOLERANCE * size.max(initial=0) < math.inf:
            return 1.0  # as most are, and all of it is defined
        defined = np.isfinite(want)
        wrong = np.max(np.where(defined, off, 0), initial=0)
        allowed = TOLERANCE * np.max(size, initial=0, where=defined) + SMALLEST
        if not wrong <= allowed:
            allowed += MAGNIFIED * self._rounding(i, line)
        if wrong <= allowed or self._cancels(line, sample, want, value):
            return 1.0
        return float(wrong / allowed) if wrong < math.inf else math.inf

    def _cancels(self, line: Line, sample: Sample, want: Any, value: Any) -> bool:
        """Is the gradient, and the line too, nothing but what rounding leaves of contributions that
        cancel: no digit beside those of the gradients that it is made of?"""
        above = [sample.truth.get(user) for user in self.work.roles.users.get(line.node, ())]
        largest = max((np.max(np.abs(g), initial=0) for g in above if g is not None), default=0)
        limit = CANCELLED * largest * (self.work.m if line.scaled else 1)
        return bool(
            limit < math.inf and np.all(np.abs(want) <= limit) and np.all(np.abs(value) <= limit)
        )

    def _rounding(self, i: int, line: Line) -> Any:
        """What other last digits of the forward quantities make of a line and of the sweep."""
        sample, name = self.samples[i], line.name
        if i not in self._wobbled:
            leaves = {node: x for node, x in sample.data.items() if node.op is None}
            self._wobbled[i] = tuple(
                self._sample(leaves, partial(wobble, np.random.default_rng(i), trait))
                for trait in (None, "elementwise")
            )
        # A sum that was rounded is no excuse for a line in which its digits cancel.
        everywhere, element_by_element = self._wobbled[i]
        moves = np.abs(everywhere.wanted[name] - sample.wanted[name]) + np.abs(
            computed(line, element_by_element.named) - computed(line, sample.named)
        )
        return np.max(moves, initial=0, where=np.isfinite(moves))

    # --- samples -------------------------------------------------------------------------------

    def _drawn(self) -> Iterator[Sample]:
        yield from islice(self.usual_samples(), 1)
        large = sum(node.size for node in self.work.nodes) > LARGE
        for numbers in islice(self._unusual(), 3 if large else None):
            try:
                yield self._sample(numbers)
            except np.linalg.LinAlgError:
                pass  # a matrix of equal numbers has no inverse: nothing to compare with

    def _usual(self) -> Iterator[Numbers]:
        for attempt in range(ATTEMPTS):
            numbers = self._fresh(attempt, partial(usual, attempt))
            try:
                data = run(self.work.nodes, numbers)
            except np.linalg.LinAlgError:  # of a matrix that is not positive definite
                continue
            if all(np.all(np.isfinite(x)) for x in data.values()):
                yield numbers

    def _unusual(self) -> Iterator[Numbers]:
        yield self._fresh(0, ties)
        yield self._fresh(0, partial(level, 0.0))
        yield self._fresh(2, partial(around, 1e5), self._has_its_number, self._shifted())
        yield self._fresh(0, partial(level, 1.0))
        yield self._fresh(1, scaled)
        for seed, c in enumerate((1000.0, *self._constants())):
            yield self._fresh(2 + seed, partial(around, c), self._has_its_number)
        yield {
            node: np.asarray(node._data, dtype=float) if node.shape else float(node._data)
            for node in self.work.nodes
            if node.op is None
        }

    def _fresh(self, seed: int, draw: Any, fixed: Any = None, only: Any = None) -> Numbers:
        """Fresh numbers that `draw` made, those that are not `only` of these usual ones."""
        work, rng = self.work, np.random.default_rng(seed)

        def drawn(node: Any, data: Any) -> Any:
            return draw(rng, data) if only is None or node in only else usual(1, rng, data)

        return self._consistent(
            fresh_numbers(work.nodes, work.facts, rng, drawn, fixed or self._is_given)
        )

    def _shifted(self) -> set[Any]:
        """The leaves something is added to or subtracted from, or that are averaged: where these
        lie far out and others do not, differences are small."""
        return {
            parent
            for node in self.work.nodes
            if node.op is not None and "cancels" in node.op.traits
            for parent in node.parents
            if parent.op is None
        }

    def _has_its_number(self, node: Any) -> bool:
        """Must a leaf keep its number even where others are drawn around one? A length must."""
        named = node in self.work.name_of and node not in self.work.divisors
        return self._is_given(node) and not (node.shape == () and named)

    def _is_given(self, node: Any) -> bool:
        """A number, labels: what is not drawn, because only its own numbers may make sense."""
        return node not in self.work.learning and (
            node.shape == () or bool(np.all(node._data == np.round(node._data)))
        )

    def _constants(self) -> list[float]:
        """The plain numbers of the graph that data may lie around."""
        found = {
            float(node._data): None
            for node in self.work.nodes
            if node.op is None and node.shape == () and node not in self.work.learning
            and node not in self.work.divisors and 2 < abs(node._data) < 1e12
        }  # fmt: skip
        return list(found)[:MOST_CONSTANTS]

    def _consistent(self, numbers: Numbers) -> Numbers:
        """Leaves that are one quantity get one draw; what NumPy made of another follows it."""
        work = self.work
        named = {text: numbers[node] for text, node in work.node_of.items() if node in numbers}
        named |= work.lengths.numbers
        result = {}
        for node in numbers:
            tree = work.layout.arrange(work.formula[node].poly)
            value = evaluate(tree, lambda atom: named[atom.name])
            result[node] = np.broadcast_to(value, node.shape) if node.shape else float(value)
        return result

    def _sample(self, numbers: Numbers, changed: Any = None) -> Sample:
        """The graph on these numbers."""
        work = self.work
        data = run(work.nodes, numbers, changed)
        found = sweep(work.cost, AsWritten(1.0), partial(_read, data))
        truth = {node: None if g is None else g.numbers for node, g in found.items()}
        wanted = {line.name: self._wanted(line, truth[line.node]) for line in self.lines}
        named = {text: data[node] for text, node in work.node_of.items()} | work.lengths.numbers
        named |= {
            atom.name: evaluate(work.layout.arrange(share), lambda atom: named[atom.name])
            for atom, (_, share) in work.shares.items()
        }
        return Sample(data, truth, wanted, named | wanted)

    def _wanted(self, line: Line, truth: Any) -> Any:
        want = np.zeros(line.node.shape) if truth is None else np.asarray(truth)
        return want * self.work.m if line.scaled else want


class AsWritten(Operators):
    """Numbers on which the sweep computes with formulas as they are written: ``1 − a²``.

    On plain numbers it has more digits than that where a rounds to 1, and no line could follow.
    """

    __slots__ = ("numbers",)

    def __init__(self, numbers: Any) -> None:
        self.numbers = numbers

    @property
    def shape(self) -> Shape:
        """The shape of the numbers."""
        return np.shape(self.numbers)

    @classmethod
    def _apply(cls, op: Primitive, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if op.definition is not None and "opened" in op.traits:
            return op.definition(*args, **options)
        given = tuple([x.numbers if type(x) is cls else x for x in args])
        return cls(op.evaluate(given, options))


def _read(data: Numbers, node: Any) -> tuple[Any, tuple[Any, ...]]:
    return AsWritten(data[node]), tuple(AsWritten(data[p]) for p in node.parents)


def computed(line: Line, named: dict[str, Any]) -> Any:
    """The line's value at numbers by name."""
    if line.added:
        shape = line.node.shape
        start = 0.0 if line.start is None else evaluate(line.start, lambda atom: named[atom.name])
        total = np.array(np.broadcast_to(start, shape), dtype=float)
        for part in line.added:
            amount = part.sign * evaluate(part.amount, lambda atom: named[atom.name])
            np.add.at(total, part.index, amount)
        return total
    value = evaluate(line.tree, lambda atom: named[atom.name])
    if line.suffix == "reshape":
        return np.reshape(value, line.node.shape)
    return np.broadcast_to(value, line.node.shape) if line.suffix else value
