"""A sheet on several sets of numbers: its own, and fresh ones where all is finite and smooth."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.calculus.alignment import repeated
from tinygrad_edu.checking.jacobians import jacobian
from tinygrad_edu.checking.rounding import SHARE, RoundingOfLines
from tinygrad_edu.checking.truth import Kinks, gradient_of, gradients
from tinygrad_edu.core.ops import arithmetic, elementwise
from tinygrad_edu.core.sweep import reachable
from tinygrad_edu.core.value import Value
from tinygrad_edu.sheets.account import Account, entries_of
from tinygrad_edu.sheets.evaluate import Evaluator, Uncomputable, in_numbers
from tinygrad_edu.sheets.lines import Jacobian, Key
from tinygrad_edu.sheets.sheet import Graph, Sheet

#: How many fresh sets of numbers confirm a verdict, and how many are tried to find good ones.
FRESH = 3
TRIES = 30
#: A gradient below this share of the largest may be no more than rounding.
TINY = 1e-6
#: What it costs to sweep over a node twice more, besides its numbers.
_SIDE = 80_000
#: Operations that can switch a unit off.
MASKING = frozenset({arithmetic.maximum, arithmetic.minimum, arithmetic.where, elementwise.relu})

_SUMS_OF_TWO = frozenset({arithmetic.add, arithmetic.subtract})


class Sample:
    """The sheet on one set of numbers: what every name is, and what every gradient is.

    `plain` has the forward names as plain numbers, `run` the backward names as the sheet itself
    computes them.
    """

    def __init__(self, sheet: Sheet, graph: Graph, account: Account) -> None:
        self.account, self.graph = account, graph
        self.gradients = gradients(graph.cost)
        self.reached = set(reachable(graph.cost))
        self.plain: dict[Key, Any] = {
            key: in_numbers(value, lambda v: v._data) for key, value in graph.values.items()
        }
        nodes = [
            value
            for claim in sheet.claims.values()
            for key in sheet.quantities(claim.of, graph)
            if isinstance(value := graph.node(key), Value)
        ]
        self.kinks = Kinks(graph.cost, nodes, self.gradients)
        if self.kinks.tied:  # the gradients to either side were computed too
            self.account.spend(_SIDE * len(self.reached) + 20 * sum(v.size for v in self.reached))
        self._bare: Any = None
        self._jacobians: dict[str, Any] = {}
        self.stays = False  # is this one of the samples a sheet is judged on?
        self.run = dict(self.plain)
        self.rounding = RoundingOfLines(graph, self.run, sheet.backward, self.account)
        evaluator = Evaluator(self.run, self.account)
        with np.errstate(all="ignore"):
            for statement in sheet.backward:
                claimed = statement.name in sheet.claims or statement.name in sheet.jacobians
                get = evaluator.array if claimed else evaluator.get
                with sheet.line_of(statement.line):
                    self.run[statement.key] = value = get(statement.expr)
                    self.account.keep(entries_of(value))
        self.failures = {e: v for e, v in evaluator.values.items() if isinstance(v, Uncomputable)}

    def gradient(self, key: Key) -> Any:
        """``∂J/∂`` the quantity."""
        return gradient_of(self.graph.node(key), self.gradients)

    def jacobian(self, claim: Jacobian) -> Any:
        """``∂top/∂by`` of what a sheet derives beside the gradients of its cost."""
        if claim.name not in self._jacobians:
            self._jacobians[claim.name] = jacobian(self.graph, claim, self.account)
        return self._jacobians[claim.name]

    def off(self, key: Key) -> bool:
        """Is a quantity a single number that does not matter here, though it can?"""
        node = self.graph.node(key)
        return node in self.reached and node.shape == () and not self.gradient(key)

    def unnamed(self, key: Key) -> list[Any]:
        """The gradients of what a quantity is made of, back to what has a name; its shape only."""
        named = {id(v) for v in self.graph.values.values()}
        node, found = self.graph.node(key), []
        while isinstance(node, Value):
            inner = [p for p in node.parents if p in self.reached and p.requires_grad]
            if len(inner) != 1 or id(inner[0]) in named or inner[0].shape != node.shape:
                break
            node = inner[0]
            found.append(gradient_of(node, self.gradients))
        return found

    def without_tiny(self, sheet: Sheet, key: Key) -> Any:
        """The gradient when tiny numbers added for safety are zero; None if there are none."""
        if self._bare is None:
            self._bare = ()
            if sheet.adds_tiny:
                try:
                    graph = sheet.graph(self.graph.numbers, self.account, without_tiny=True)
                    self._bare = (graph, gradients(graph.cost))
                except (ValueError, ArithmeticError):
                    pass  # without its ε the sheet cannot be computed, or it is too large
        if not self._bare:
            return None
        graph, found = self._bare
        return gradient_of(graph.node(key), found)

    @property
    def finite(self) -> bool:
        """Are cost and gradients finite?"""
        return bool(
            np.isfinite(np.asarray(self.graph.cost._data)).all()
            and all(np.isfinite(g).all() for g in self._arrays)
        )

    @functools.cached_property
    def _largest(self) -> float:
        return max(float(np.abs(g).max(initial=0.0)) for g in self._arrays)

    @property
    def _arrays(self) -> list[Any]:
        """All gradients that there are."""
        return [np.asarray(g) for g in self.gradients.values() if g is not None]

    @property
    def good(self) -> bool:
        """Are cost and gradients finite, and no number on a kink?"""
        return self.finite and not self.kinks.any

    @property
    def lively(self) -> bool:
        """Does every claimed quantity matter to the cost here: no dead, no saturated net?"""
        return all(
            np.abs(gradient_of(node, self.gradients)).max(initial=0.0) > 1e-6
            or self.cancelled(node) is not None
            for node in self.kinks.masks
            if node in self.reached
        )

    def matters(self, key: Key) -> bool:
        """Is a gradient no tiny share of the others?"""
        return bool(np.abs(self.gradient(key)).max(initial=0.0) > TINY * self._largest)

    def cancelled(self, node: Value) -> tuple[Value, tuple[int, ...]] | None:
        """Where a gradient is 0 because the numbers summed up to it cancel: these, and the axes.

        So it is of what is added to all entries of something that the cost sees only less its mean.
        """
        for child in reversed(reachable(self.graph.cost)):
            if child.op in _SUMS_OF_TWO and any(parent is node for parent in child.parents):
                axes, g = repeated(child, node), gradient_of(child, self.gradients)
                whole = np.sum(np.abs(g), axis=axes)
                if axes and whole.any() and np.all(np.abs(np.sum(g, axis=axes)) <= SHARE * whole):
                    return child, axes
        return None


Draw = Callable[[Sheet, int, np.random.Generator], dict[str, Any]]

#: Other numbers for what is drawn standard normal: a cost with sqrt or log may exist for them only.
DOMAINS: tuple[Callable[[np.random.Generator, tuple[int, ...]], Any], ...] = (
    lambda rng, shape: rng.normal(size=shape),
    lambda rng, shape: rng.uniform(0.3, 2.0, shape),
    lambda rng, shape: rng.uniform(0.05, 0.95, shape),
    lambda rng, shape: rng.uniform(1.5, 4.0, shape),
    lambda rng, shape: -rng.uniform(0.3, 2.0, shape),
    lambda rng, shape: 0.1 * rng.normal(size=shape),
)


def samples_of(sheet: Sheet, account: Account) -> tuple[list[Sample], list[str]]:
    """The sheet's own numbers and fresh ones, and what is to be said about them.

    Fresh numbers are drawn by kind; where these give no finite cost, near the sheet's own, then in
    other ranges. No samples at all: the cost is finite for none of them. A large sheet has fewer
    than others, as many as `account` allows; SheetError where even its own numbers are too many.
    """
    own = Sample(sheet, sheet.main, account)
    remarks: list[str] = []
    samples: list[Sample] = [own]
    if not own.finite:
        what = "cost is" if not np.isfinite(own.graph.cost._data).all() else "gradients are"
        remarks.append(f"the {what} not finite on the given numbers; fresh ones were taken instead")
        samples = []
    stages: tuple[tuple[Draw, Callable[[Sample], bool]], ...] = (
        (_drawn, lambda sample: sample.good and sample.lively),
        (_drawn, lambda sample: sample.good),
        (_nearby, lambda sample: sample.good),
        (_elsewhere, lambda sample: sample.good),
        (_drawn, lambda sample: sample.finite),
    )
    fresh = (
        sample
        for draw, acceptable in stages
        for sample in _samples(sheet, draw, account)
        if acceptable(sample)
    )
    for sample in itertools.islice(fresh, FRESH):
        samples.append(sample)
        sample.stays = True
    if not any(sample.good for sample in samples):
        remarks.append("no numbers were found where cost and gradients are finite and smooth")
    return samples + (_samples_off(sheet, samples[-1], account) if samples else []), remarks


def _samples_off(sheet: Sheet, live: Sample, account: Account) -> list[Sample]:
    """Samples at which units of one number are off, as a ReLU of a scalar net is half the time.

    A layer of many units shows both sides of the kink on any sample, a single unit only one.
    """
    if not any(node.op in MASKING and node.shape == () for node in live.reached):
        return []
    found: list[Sample] = []
    seen: set[str] = set()
    for sample in _samples(sheet, _drawn, account):
        off = {claim.of for claim in sheet.claims.values() if sample.off((claim.of, 0))}
        if sample.good and off - seen:
            found.append(sample)
            sample.stays = True
            seen |= off
        if len(found) == 2:
            break
    return found


def _drawn(sheet: Sheet, seed: int, rng: np.random.Generator) -> dict[str, Any]:
    """Numbers of the declared kinds."""
    return sheet.draw(seed)


def _nearby(sheet: Sheet, seed: int, rng: np.random.Generator) -> dict[str, Any]:
    """The sheet's own numbers, a little changed."""
    return {
        name: sheet.numbers[name] * rng.uniform(0.7, 1.3, given.shape)
        if given.kind in ("normal", "positive", "uniform") else sheet.numbers[name]
        for name, given in sheet.givens.items()
    }  # fmt: skip


def _elsewhere(sheet: Sheet, seed: int, rng: np.random.Generator) -> dict[str, Any]:
    """Numbers from other ranges: of each quantity its own, every third time of all the same."""
    numbers = sheet.draw(seed)
    common = DOMAINS[1 + seed // 3 % (len(DOMAINS) - 1)]
    for name, given in sheet.givens.items():
        if given.kind == "normal":
            domain = DOMAINS[int(rng.integers(len(DOMAINS)))] if seed % 3 else common
            numbers[name] = domain(rng, given.shape)
    return numbers


def _samples(sheet: Sheet, draw: Draw, account: Account) -> Iterator[Sample]:
    """The sheet on fresh numbers, where they can be computed, as long as there is enough left."""
    for seed in range(1, TRIES + 1):
        if not account.ample:
            return
        kept = account.kept
        rng = np.random.default_rng([7, seed])
        numbers = draw(sheet, seed, rng)
        for (name, _), value in sheet.main.values.items():
            if isinstance(value, Value) and value.op is None and name not in sheet.givens:
                numbers[name] = float(value._data) * rng.uniform(0.5, 1.5)
        try:
            sample = Sample(sheet, sheet.graph(numbers, account), account)
        except (ValueError, ArithmeticError):  # SheetError is a ValueError
            account.kept = kept
            continue
        yield sample
        if not sample.stays:
            account.kept = kept
