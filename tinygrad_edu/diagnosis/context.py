"""The context of a diagnosis: formulas tried out on the true values of several samples.

A `Context` belongs to one judged sheet. It evaluates formulas (each node once a sample), knows
formulas by their values, and knows what the forward lines are made of: constants, and each
`Activation`, where one named quantity is a function of another element by element, with its
derivative in the learner's names.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_edu.checking.truth import equal, is_scalar
from tinygrad_edu.checking.verdict import Judged, Truth
from tinygrad_edu.core.value import Value
from tinygrad_edu.diagnosis.constants import Constants
from tinygrad_edu.diagnosis.other_constants import OtherConstants
from tinygrad_edu.sheets.account import Account
from tinygrad_edu.sheets.evaluate import Evaluator
from tinygrad_edu.sheets.lines import Key, Statement
from tinygrad_edu.sheets.syntax import ORDERING, Expr, parts, walk

#: What it costs to compare two small arrays.
_COMPARED = 15_000


@dataclass(frozen=True)
class Activation:
    """``N = g(P)``, element by element.

    `before` is P; `result` is N as a formula, `forms` are ways to write g'(P).
    """

    before: Key
    within: Key  # the name of the line it stands in
    made: Expr | None  # that line's formula, where all of it is N
    result: Expr
    forms: tuple[Expr, ...]
    values: tuple[Any, ...]  # g' on each sample
    masking: bool  # g is a ReLU of some kind

    @property
    def after(self) -> Key | None:
        """The name of N; None where it has none of its own."""
        return None if self.made is None else self.within

    @property
    def curved(self) -> bool:
        """Can g' be written, and is it no constant?"""
        return bool(self.forms) and self.forms[0].op != "number"


class Context:
    """Formulas, their values on the samples of a judged sheet, and what is known of the sheet."""

    def __init__(self, judged: Judged, account: Account) -> None:
        self.judged = judged
        self.account = account
        self.sheet = judged.sheet
        self.formulas = judged.sheet.formulas
        # A fresh sample first: there no two numbers are equal by accident.
        order = sorted(range(len(judged.samples)), key=lambda i: i == 0)
        self.samples = [judged.samples[i] for i in order]
        self.order = order
        self.graph, self.plain = self.samples[0].graph, self.samples[0].plain
        self.at = [Evaluator(judged.worlds[i], account) for i in order]
        self.forward_keys = list(judged.samples[0].plain)
        #: Given or computed single numbers (of a net of scalars), which are no constants.
        self.graph_scalars = {
            key for key, v in judged.samples[0].graph.values.items() if isinstance(v, Value)
        }
        #: Names of numbers with a point, ``tau = 3.0``: they count nothing.
        self.decimals = {
            s.key for s in self.sheet.forward
            if s.expr.op == "number" and isinstance(s.expr.extra, float)
        }  # fmt: skip
        #: Every formula of the forward lines, as often as it stands there.
        self.written = [e for s in self.sheet.forward for e in walk(s.expr)]
        self.by_value: dict[Any, list[Expr]] = {}
        self.registered: set[Expr] = set()
        #: Names of backward lines that the line being looked at cannot read.
        self.out_of_sight: set[Expr] = set()
        self.constants = Constants(judged, self.written, self.constant)
        #: ``sigmoid_prime`` and its like, where the learner writes derivatives so.
        self.primes = sorted({
            e.function
            for e in parts(*(s.expr for s in self.sheet.backward))
            if e.op == "call" and e.function is not None and e.function.endswith("_prime")
        })  # fmt: skip
        #: All functions element by element, those that are not what the cost does to a name, and
        #: of these the ones whose derivative is no constant.
        self.elementwise: list[Activation] = []
        self.activations: list[Activation] = []
        self.curved: list[Activation] = []
        self._register_forward()

    def use_elementwise(self, found: list[Activation]) -> None:
        """Know where one quantity is a function of another, and the derivatives there."""
        values = self.graph.values
        cost = self.graph.cost
        self.elementwise = found
        self.activations = [x for x in found if values.get(x.within) is not cost]
        self.curved = [x for x in self.activations if x.curved]
        for x in found:
            if x.curved:
                self.register(x.forms[0])

    # --- values --------------------------------------------------------------------------------

    def value(self, e: Expr, sample: int = 0) -> Any:
        """The value of a formula on a sample of this context; None where it has none."""
        value = self.at[sample].array(e)
        # Whoever asks does something with it: compares it, most of the time.
        self.account.spend(_COMPARED + 10 * (value.size if isinstance(value, np.ndarray) else 0))
        return value

    def name(self, key: Key) -> Expr:
        """A quantity as a formula."""
        return self.formulas.name(*key)

    def same(self, a: Expr, b: Expr) -> bool:
        """Do two formulas have the same value and shape on every sample?"""
        return a is b or all(
            equal(self.value(a, i), self.value(b, i)) for i in range(len(self.samples))
        )

    def truth(self, truth: Truth, sample: int) -> Any:
        """The true gradient of a quantity on a sample of this context."""
        return self.judged.truth_at(self.order[sample], truth)

    @cached_property
    def with_other_constants(self) -> OtherConstants:
        """The sheet's true values if its constants were others."""
        return OtherConstants(self.judged, self.account)

    def constant(self, e: Expr) -> float | None:
        """The single number that a formula is, the same on all samples; None if it is none."""
        value = self.value(e)
        return float(value) if is_scalar(value) and not self.depends(e) else None

    def depends(self, e: Expr) -> bool:
        """Does a formula read anything that is not a plain number of the sheet?"""
        known = self.judged.samples[0].graph.values
        return any(
            isinstance(known[sub.extra], (Value, np.ndarray))
            if sub.extra in known
            else self._varies(sub)
            for sub in parts(e)
            if sub.op == "name"
        )

    def computed(self, key: Key) -> bool:
        """Is a quantity computed in the forward lines, not given?"""
        value = self.graph.values.get(key)
        return isinstance(value, Value) and value.op is not None

    def _varies(self, name: Expr) -> bool:
        """Is a name of the backward lines another number on another sample?"""
        values = [self.value(name, i) for i in range(len(self.samples))]
        return any(is_scalar(v) and v != values[0] for v in values)

    # --- formulas put in for names -------------------------------------------------------------

    def expanded(self, e: Expr, definitions: Mapping[Expr, Expr], longest: int) -> Expr:
        """A formula with what names stand for, as long as it is not longer than `longest`."""
        for _ in range(6):
            new = self.formulas.substituted(e, definitions)
            if new is e or new.length > longest:
                break
            e = new
        return e

    def above(self, line: Statement) -> Iterator[Statement]:
        """The backward lines above one of them."""
        return itertools.takewhile(lambda s: s is not line, self.sheet.backward)

    def sources(self, line: Statement) -> Iterator[Statement]:
        """The scratch lines that a line is computed from, through no others, the nearest first."""
        wanted = set(line.expr.names)
        for s in reversed(list(self.above(line))):
            if s.key in wanted and s.key not in self.judged.final:
                wanted |= s.expr.names
                yield s

    def inlined(self, e: Expr, line: Statement) -> Expr:
        """A formula with the learner's scratch lines, and earlier steps of claims, put in."""
        final = self.judged.final
        steps = {
            self.name(s.key): s.expr for s in self.above(line) if s.key not in final and s.plain
        }
        return self.expanded(e, steps, 60)

    # --- formulas by value ---------------------------------------------------------------------

    def register(self, e: Expr) -> None:
        """Remember a formula by its value, to find it again when another has the same."""
        if e in self.registered:
            return
        self.registered.add(e)
        value = self._vector(e)
        key = None if value is None else fingerprint(value)
        if key is not None:
            bisect.insort(self.by_value.setdefault(key, []), e, key=lambda x: x.length)

    def use_names_above(self, line: Statement) -> None:
        """Let formulas speak of what the learner computed above a line, in its latest state."""
        latest = {s.name: self.name(s.key) for s in self.above(line)}
        self.out_of_sight = {self.name(s.key) for s in self.sheet.backward} - set(latest.values())
        for e in latest.values():
            if isinstance(self.value(e), np.ndarray):
                self.register(e)

    def _vector(self, e: Expr) -> Any:
        """What a formula is known by: its array, or its single number on all samples."""
        value = self.value(e)
        if not is_scalar(value):
            return value
        if len(self.samples) < 3 or not self.depends(e):
            return None
        return np.array([self.value(e, i) for i in range(len(self.samples))], dtype=float)

    def alike(self, value: Any) -> Iterable[tuple[Expr, float]]:
        """Known formulas of which `value` is a constant multiple on sample 0, with the constant."""
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
            return
        key = fingerprint(value)
        if key is None:
            return
        for e in self.by_value.get(key, ()):
            if e in self.out_of_sight:
                continue
            self.account.spend(_COMPARED + 20 * value.size)
            other = self._vector(e)
            assert other is not None
            at = int(np.argmax(np.abs(other)))
            constant = float(value.flat[at] / other.flat[at])
            if constant and equal(value, constant * other):
                yield e, constant

    # --- what is known from the start ----------------------------------------------------------

    def _register_forward(self) -> None:
        plain = self.judged.samples[0].plain
        arrays = [key for key in self.forward_keys if isinstance(plain[key], np.ndarray)]
        scalars = [key for key in self.graph_scalars if is_scalar(plain[key])]
        computed = filter(self.computed, arrays)
        differences = [
            self.formulas.make("-", x, y)
            for x, y in itertools.product(map(self.name, computed), map(self.name, arrays))
            if x is not y and np.shape(self.value(x)) == np.shape(self.value(y))
        ]
        names = map(self.name, arrays)
        for e in (*names, *self._comparisons(), *map(self.name, scalars), *differences):
            self.register(e)

    def _comparisons(self) -> Iterator[Expr]:
        """Where the forward lines choose: what is compared, and what a maximum compares with 0."""
        zero = self.formulas.number(0)
        for e in self.written:
            if e.op in ORDERING:
                yield e
            for a in e.args if e.op == "call" and e.function in ("maximum", "relu") else ():
                if isinstance(self.value(a), np.ndarray):
                    yield self.formulas.make(">", a, zero)


def fingerprint(value: Any) -> Any:
    """A key that arrays share exactly when one is a constant multiple of the other."""
    v = np.asarray(value, float)
    if not v.size:
        return None
    with np.errstate(all="ignore"):
        top = v.flat[int(np.argmax(np.abs(v)))]
        if not np.isfinite(top) or top == 0:
            return None
        v = v / top
    weights = np.cos(np.arange(1, v.size + 1) * 1.7)
    total = float(v.reshape(-1) @ weights)
    return v.shape, round(total, 6)
