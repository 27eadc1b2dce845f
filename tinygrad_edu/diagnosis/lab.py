"""The laboratory of a diagnosis: formulas tried out on the true values at several points.

A `Lab` belongs to one judged sheet. It evaluates formulas (each node once a point), knows formulas
by their values, and knows what the forward lines are made of: scalars, and `Link`s, where one
named quantity is a function of another element by element, with its derivative in the learner's
names.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from tinygrad_edu.checking.truth import equal, is_scalar
from tinygrad_edu.checking.verdict import Judged
from tinygrad_edu.core.value import Value
from tinygrad_edu.sheets.account import Account
from tinygrad_edu.sheets.evaluate import Evaluator
from tinygrad_edu.sheets.lines import Key, Statement
from tinygrad_edu.sheets.syntax import Expr, nodes, parts

#: What it costs to compare two small arrays.
_COMPARED = 15_000


@dataclass(frozen=True)
class Link:
    """``N = g(P)``, element by element.

    `before` is P; `after` is N, None where it has no name of its own; `result` is N as a formula,
    `forms` are ways to write g'(P).
    """

    before: Key
    after: Key | None
    within: Key  # the name of the line it stands in
    result: Expr
    forms: tuple[Expr, ...]
    values: tuple[Any, ...]  # g' at each point
    masking: bool  # g is a ReLU of some kind


class Lab:
    """Formulas, their values at the points of a judged sheet, and what is known about the sheet."""

    def __init__(self, judged: Judged, account: Account) -> None:
        self.judged = judged
        self.account = account
        self.sheet = judged.sheet
        self.formulas = judged.sheet.formulas
        # A fresh point first: there no two numbers are equal by accident.
        order = sorted(range(len(judged.points)), key=lambda i: i == 0)
        self.points = [judged.points[i] for i in order]
        self.order = order
        self.at = [Evaluator(judged.worlds[i], account) for i in order]
        self.forward_keys = list(judged.points[0].plain)
        #: Given or computed single numbers (of a net of scalars), which are no constants.
        self.graph_scalars = {
            key for key, v in judged.points[0].graph.values.items() if isinstance(v, Value)
        }
        self.by_value: dict[Any, list[Expr]] = {}
        self.registered: set[Expr] = set()
        #: Names of backward lines that the line being looked at cannot read.
        self.out_of_sight: set[Expr] = set()
        #: Are constants written as decimal numbers in this sheet?
        self.decimals = any(
            e.op == "number" and type(e.extra) is float and not e.extra.is_integer()
            for e in parts(*(s.expr for s in self.sheet.forward))
        )
        self.scalars = self._scalars()
        #: ``sigmoid_prime`` and its like, where the learner writes derivatives so.
        self.primes = sorted({
            e.function
            for e in parts(*(s.expr for s in self.sheet.backward))
            if e.op == "call" and e.function is not None and e.function.endswith("_prime")
        })  # fmt: skip
        self.links: list[Link] = []
        #: Those that are activations: what the cost itself does to a name is none.
        self.activations: list[Link] = []
        self._register_forward()
        #: Every formula of the forward lines.
        self.written = set(parts(*(s.expr for s in self.sheet.forward)))

    def use_links(self, links: list[Link]) -> None:
        """Know where one quantity is a function of another, and the derivatives there."""
        values = self.points[0].graph.values
        cost = self.points[0].graph.cost
        self.links = links
        self.activations = [link for link in links if values.get(link.within) is not cost]
        for link in links:
            for form in link.forms[:1]:
                if form.op != "number":
                    self.register(form)

    # --- values --------------------------------------------------------------------------------

    def value(self, e: Expr, point: int = 0) -> Any:
        """The value of a formula at a point of this lab; None where it has none."""
        value = self.at[point].array(e)
        # Whoever asks does something with it: compares it, most of the time.
        self.account.spend(_COMPARED + 10 * (value.size if isinstance(value, np.ndarray) else 0))
        return value

    def name(self, key: Key) -> Expr:
        """A quantity as a formula."""
        return self.formulas.name(*key)

    def same(self, a: Expr, b: Expr) -> bool:
        """Do two formulas have the same value and shape at every point?"""
        return a is b or all(
            equal(self.value(a, i), self.value(b, i)) for i in range(len(self.points))
        )

    def truth(self, key: Key, factor: float, point: int) -> Any:
        """The true gradient of a quantity at a point of this lab."""
        return self.judged.truth_at(self.order[point], (key, factor))

    # --- scalars -------------------------------------------------------------------------------

    def _scalars(self) -> dict[float, Expr]:
        """How a constant is written in the sheet's own terms: 0.2 as ``1 / m``."""
        make, number = self.formulas.make, self.formulas.number
        named: list[tuple[float, Expr]] = []
        for statement in self.sheet.forward:
            value = self.judged.points[0].plain.get(statement.key)
            if is_scalar(value) and isinstance(value, (int, float, np.number)):
                if isinstance(self.judged.points[0].graph.values[statement.key], Value):
                    continue
                named.append((float(value), self.name(statement.key)))
        found: dict[float, Expr] = {}

        def add(value: float, e: Expr) -> None:
            if np.isfinite(value) and value != 0:
                found.setdefault(_key(value), e)

        for n in (1, 2, 3, 4):
            add(float(n), number(n))
            add(-float(n), make("neg", number(n)))
        add(0.5, number(0.5))
        add(-0.5, make("neg", number(0.5)))
        named = [(v, e) for v, e in named if v not in (0.0, 1.0)]
        parts = [
            (float(value), e)
            for statement in self.sheet.forward
            for _, e in nodes(statement.expr)
            if e.op in ("+", "-") and is_scalar(value := self.value(e)) and not self.depends(e)
        ]
        for v, e in named:
            add(v, e)
        for v, e in named:
            add(1 / v, make("/", number(1), e))
        literals = {
            float(e.extra): e
            for statement in self.sheet.forward
            for _, e in nodes(statement.expr)
            if e.op == "number" and is_scalar(e.extra) and isinstance(e.extra, float)
        }
        for value, e in literals.items():  # 0.1 is what was written, 1 / (2 * m) by accident
            add(value, e)
            add(-value, make("neg", e))
        for v, e in named:
            add(-v, make("neg", e))
            add(-1 / v, make("neg", make("/", number(1), e)))
            add(2 / v, make("/", number(2), e))
            add(2 * v, make("*", number(2), e))
            add(1 - v, make("-", number(1), e))
            add(1 / (2 * v), make("/", number(1), make("*", number(2), e)))
            add(-2 / v, make("neg", make("/", number(2), e)))
        for (v, e), (w, f) in itertools.permutations([*named[:6], *parts[:2]], 2):
            if not w:
                continue
            add(v / w, make("/", e, f))
            add(v * w, make("*", e, f))
            add(2 * v / w, make("/", make("*", number(2), e), f))
            add(v / (2 * w), make("/", e, make("*", number(2), f)))
        for statement in self.sheet.forward:
            for _, e in nodes(statement.expr):
                if e.op == "number" and is_scalar(e.extra) and e.extra:
                    add(1 / e.extra, make("/", number(1), e))
                if e.op in ("number", "name"):
                    continue
                value = self.value(e)
                if is_scalar(value) and value and not self.depends(e):
                    add(float(value), e)
                    add(1 / float(value), make("/", number(1), e))
        for (v, e), (w, f) in itertools.combinations(named[:6], 2):
            product = make("*", e, f)
            add(1 / (v * w), make("/", number(1), product))
            add(2 / (v * w), make("/", number(2), product))
        for n in {n for given in self.sheet.givens.values() for n in given.shape if n > 1}:
            add(1 / n, make("/", number(1), number(n)))
        return found

    def _of_sizes(self, value: float) -> Expr | None:
        """A fraction with a named size in it: 2 / 15 as ``2 / (3 * m)`` where m = 5."""
        make, number = self.formulas.make, self.formulas.number
        lengths = {float(n) for given in self.sheet.givens.values() for n in given.shape if n > 1}
        best: tuple[int, Expr] | None = None
        for statement in self.sheet.forward:
            key = statement.key
            size = self.judged.points[0].plain.get(key)
            if key in self.graph_scalars or not is_scalar(size) or size not in lengths:
                continue
            rest = Fraction(abs(value) * size).limit_denominator(1000)
            if not rest or abs(float(rest) / size - abs(value)) > 1e-11 * abs(value):
                continue
            over, under = rest.numerator, rest.denominator
            if over > 4 or (under not in lengths and under != 2):
                continue
            e = make("/", number(over), make("*", number(under), self.name(key)))
            if best is None or over + under < best[0]:
                best = (over + under, e)
        if best is None:
            return None
        return best[1] if value > 0 else make("neg", best[1])

    def depends(self, e: Expr) -> bool:
        """Does a formula read anything that is not a plain number of the sheet?"""
        known = self.judged.points[0].graph.values
        return any(
            isinstance(known[sub.extra], (Value, np.ndarray))
            if sub.extra in known
            else self._varies(sub)
            for sub in parts(e)
            if sub.op == "name"
        )

    def _varies(self, name: Expr) -> bool:
        """Is a name of the backward lines another number at another point?"""
        values = [self.value(name, i) for i in range(len(self.points))]
        return any(is_scalar(v) and v != values[0] for v in values)

    def scalar(self, value: float, any_number: bool = False) -> Expr | None:
        """A constant as the sheet would write it; None if it is not a nice one."""
        if not np.isfinite(value) or value == 0:
            return None
        found = self.scalars.get(_key(value)) or self._of_sizes(value)
        if found is None and abs(value) < 1000 and abs(value - round(value)) < 1e-9 * abs(value):
            whole = self.formulas.number(abs(round(value)))
            return whole if value > 0 else self.formulas.make("neg", whole)
        if found is None and any_number and self.decimals:
            short = float(f"{value:.4g}")
            if abs(short - value) < 1e-12 * value:
                return self.formulas.number(short)
        if found is None and any_number:
            ratio = Fraction(value).limit_denominator(1000)
            if ratio > 0 and abs(float(ratio) - value) < 1e-11 * value:
                number = self.formulas.number
                return self.formulas.make("/", number(ratio.numerator), number(ratio.denominator))
            return self.formulas.number(float(f"{value:.12g}"))
        return found

    def times(self, constant: float, e: Expr) -> Expr | None:
        """``constant * e`` as one would write it: with ``/ m`` behind, without ``1 *``."""
        make = self.formulas.make
        if constant == 1 or _key(constant) == _key(1.0):
            return e
        if _key(constant) == _key(-1.0):
            return make("neg", e)
        found = self.scalar(constant)
        if found is None:
            return None
        if found.op == "/" and found.args[0].op == "number" and found.args[0].extra == 1:
            return make("/", e, found.args[1])
        if found.op == "/":
            return make("/", make("*", found.args[0], e), found.args[1])
        return make("*", found, e)

    # --- formulas by value ---------------------------------------------------------------------

    def register(self, e: Expr) -> None:
        """Remember a formula by its value, to find it again when another has the same."""
        if e in self.registered:
            return
        self.registered.add(e)
        value = self._vector(e)
        key = None if value is None else _fingerprint(value)
        if key is not None:
            bisect.insort(self.by_value.setdefault(key, []), e, key=size)

    def use_names_above(self, before: Statement) -> None:
        """Let formulas speak of what the learner computed above a line, in its latest state."""
        self.out_of_sight = {self.name(s.key) for s in self.sheet.backward}
        latest = {}
        for statement in self.sheet.backward:
            if statement is before:
                break
            latest[statement.name] = self.name(statement.key)
        self.out_of_sight -= set(latest.values())
        for e in latest.values():
            if isinstance(self.value(e), np.ndarray):
                self.register(e)

    def _vector(self, e: Expr) -> Any:
        """What a formula is known by: its array, or its single number at all points."""
        value = self.value(e)
        if not is_scalar(value):
            return value
        if len(self.points) < 3 or not self.depends(e):
            return None
        return np.array([self.value(e, i) for i in range(len(self.points))], dtype=float)

    def alike(self, value: Any) -> Iterable[tuple[Expr, float]]:
        """Known formulas of which `value` is a constant multiple at point 0, with the constant."""
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
            return
        key = _fingerprint(value)
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
        make = self.formulas.make
        zero = self.formulas.number(0)
        arrays = [
            key
            for key in self.forward_keys
            if isinstance(self.judged.points[0].plain[key], np.ndarray)
        ]
        for key in arrays:
            self.register(self.name(key))
        for statement in self.sheet.forward:
            for _, e in nodes(statement.expr):
                if e.op in (">", ">=", "<", "<="):
                    self.register(e)
                if e.op == "call" and e.function in ("maximum", "relu"):
                    for a in e.args:
                        if isinstance(self.value(a), np.ndarray):
                            self.register(make(">", a, zero))
        for key in self.graph_scalars:
            if is_scalar(self.judged.points[0].plain[key]):
                self.register(self.name(key))
        computed = [k for k in arrays if self._computed(k)]
        for one, other in itertools.product(computed, arrays):
            x, y = self.name(one), self.name(other)
            if x is not y and np.shape(self.value(x)) == np.shape(self.value(y)):
                self.register(make("-", x, y))

    def _computed(self, key: Key) -> bool:
        value = self.points[0].graph.values[key]
        return isinstance(value, Value) and value.op is not None


def size(e: Expr) -> int:
    """How long a formula is: about its tokens."""
    return e.length


def _key(value: float) -> float:
    return float(f"{value:.9g}")


def _fingerprint(value: Any) -> Any:
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
