"""The laboratory of a diagnosis: formulas tried out on the true values at several points.

A `Lab` belongs to one judged sheet. It evaluates formulas (each node once a point), knows formulas
by their values, and knows what the forward lines are made of: scalars, and `Link`s, where one
named quantity is a function of another element by element, with its derivative in the learner's
names.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeGuard

import numpy as np

from tinygrad_edu.checking.formula import Evaluator, Expr, Uncomputable, nodes, show
from tinygrad_edu.checking.sheet import Key, Statement
from tinygrad_edu.checking.truth import TOLERANCE
from tinygrad_edu.checking.verdict import MASKING, Judged
from tinygrad_edu.checking.vocabulary import Budget
from tinygrad_edu.core.ops import arithmetic, elementwise
from tinygrad_edu.core.sweep import reachable, sweep
from tinygrad_edu.core.value import Value

ELEMENTWISE = frozenset(
    op
    for family in (arithmetic, elementwise)
    for op in vars(family).values()
    if hasattr(op, "rules")
)
_TIGHT = 1e-7


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

    def __init__(self, judged: Judged) -> None:
        self.judged = judged
        self.sheet = judged.sheet
        self.formulas = judged.sheet.formulas
        # A fresh point first: there no two numbers are equal by accident.
        order = sorted(range(len(judged.points)), key=lambda i: i == 0)
        self.points = [judged.points[i] for i in order]
        self.order = order
        work = Budget(20_000_000_000)
        self.at = [Evaluator(judged.worlds[i], work) for i in order]
        self.forward_keys = list(judged.points[0].plain)
        #: Given or computed single numbers (of a net of scalars), which are no constants.
        self.graph_scalars = {
            key for key, v in judged.points[0].graph.values.items() if isinstance(v, Value)
        }
        self.by_value: dict[Any, list[Expr]] = {}
        #: Names of backward lines that the line being looked at cannot read.
        self.out_of_sight: set[Expr] = set()
        self.scalars = self._scalars()
        #: ``sigmoid_prime`` and its like, where the learner writes derivatives so.
        self.primes = sorted({
            e.function
            for s in self.sheet.backward
            for _, e in nodes(s.expr)
            if e.op == "call" and e.function is not None and e.function.endswith("_prime")
        })  # fmt: skip
        self.links = self._links()
        self.links += self._links_of_unnamed()
        self._by_after = {link.after: link for link in self.links if link.after is not None}
        self._register_forward()
        #: Every formula of the forward lines.
        self.written = {e for s in self.sheet.forward for _, e in nodes(s.expr)}

    # --- values --------------------------------------------------------------------------------

    def value(self, e: Expr, point: int = 0) -> Any:
        """The value of a formula at a point of this lab; None where it has none."""
        return self.at[point].get(e)

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
        literals = {
            float(e.extra): e
            for statement in self.sheet.forward
            for _, e in nodes(statement.expr)
            if e.op == "number" and is_scalar(e.extra) and isinstance(e.extra, float)
        }
        for value, e in literals.items():
            add(value, e)
            add(-value, make("neg", e))
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
            for _, sub in nodes(e)
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
        value = self._vector(e)
        key = None if value is None else _fingerprint(value)
        if key is not None:
            known = self.by_value.setdefault(key, [])
            if e not in known:
                known.append(e)
                known.sort(key=size)

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
            other = self._vector(e)
            assert other is not None
            at = int(np.argmax(np.abs(other)))
            constant = float(value.flat[at] / other.flat[at])
            if constant and equal(value, constant * other):
                yield e, constant

    def simplest(self, e: Expr) -> tuple[float, Expr]:
        """The shortest known formula that `e` is a constant multiple of, with the constant."""
        best, least, factor = e, size(e), 1.0
        value = self.value(e)
        if is_scalar(value) and not self.depends(e):
            return float(value), self.formulas.number(1)
        for other, constant in self.alike(self._vector(e)):
            if 0 < abs(abs(constant) - 1) < TOLERANCE:  # equal but for a 1e-8 added for safety
                if abs(abs(constant) - 1) > 1e-12:
                    continue
                constant = float(np.sign(constant))
            if size(other) < least and self._multiple(e, constant, other):
                best, least, factor = other, size(other), constant
        self.register(best)
        return factor, best

    def _multiple(self, e: Expr, constant: float, other: Expr) -> bool:
        for i in range(1, len(self.points)):
            a, b = self.value(e, i), self.value(other, i)
            if a is None or b is None or not equal(a, constant * np.asarray(b)):
                return False
        return True

    # --- links ---------------------------------------------------------------------------------

    def _links(self) -> list[Link]:
        found: list[Link] = []
        for statement in self.sheet.forward:
            value = self.points[0].graph.values.get(statement.key)
            if not isinstance(value, Value) or not value.requires_grad:
                continue
            stack = [statement.expr]
            while stack:
                e = stack.pop()
                if e.op in ("name", "number"):
                    continue
                after = statement.key if e is statement.expr else None
                link = self._link(e, after, statement.key)
                if link is None or not link.forms:
                    stack.extend(e.args)
                if link is not None and (link.forms or after is not None):
                    found.append(link)
        return found

    def _links_of_unnamed(self) -> list[Link]:
        """Activations of something that has no name: ``h = np.tanh(W @ x)``."""
        found = []
        for statement in self.sheet.forward:
            inner = _innermost_sums(statement.expr)
            if len(inner) != 1 or inner[0] is statement.expr:
                continue
            u = inner[0]
            stand_in = self.formulas.name("?", -1)
            outer = self.formulas.substituted(statement.expr, {u: stand_in})
            slopes, masking = [], False
            for i, point in enumerate(self.points):
                p, value = self.value(u, i), None
                if isinstance(p, np.ndarray):
                    p = Value(p)
                    value = Evaluator({**point.plain, ("?", -1): p}).get(outer)
                if not isinstance(value, Value) or value.shape != p.shape:
                    break
                made = [node for node in reachable(value) if node is not p]
                if any(node.op not in ELEMENTWISE or node.shape != p.shape for node in made):
                    break
                masking = any(node.op in MASKING for node in made)
                slopes.append(np.asarray(sweep(value, np.ones(p.shape)).get(p)))
            if len(slopes) != len(self.points) or slopes[0].shape == ():
                continue
            result = self.name(statement.key)
            forms = tuple(self._derivative_forms(u, result, slopes, masking))
            if forms:
                before = (show(u), -1)
                key = statement.key
                found.append(Link(before, key, key, result, forms, tuple(slopes), masking))
        return found

    def _link(self, e: Expr, after: Key | None, within: Key) -> Link | None:
        """A formula as a link, if it is a function of one named quantity element by element."""
        values = self.points[0].graph.values
        names = {sub.extra for _, sub in nodes(e) if sub.op == "name"}
        read = [k for k in names if isinstance(values.get(k), Value) and values[k].requires_grad]
        computed = [k for k in read if values[k].op is not None]
        before = computed if after is not None and len(computed) == 1 else read
        if len(before) != 1 or (after is None and not _curved(e)):
            return None
        key = before[0]
        if after is None and any(np.ndim(self.points[0].plain.get(k, 0.0)) for k in names - {key}):
            return None  # a mask or another array takes part: look deeper
        if after is None and np.shape(self.points[0].plain[key]) != values[within].shape:
            return None  # the loss is no activation
        slopes, masking = [], False
        for i, point in enumerate(self.points):
            p = Value(point.plain[key])
            try:
                n = Evaluator({**point.plain, key: p}).value(e)
            except Uncomputable:
                return None
            if not isinstance(n, Value) or n.shape != p.shape or not n.requires_grad:
                return None
            if i == 0:
                made = [node for node in reachable(n) if node is not p]
                if any(node.op not in ELEMENTWISE or node.shape != n.shape for node in made):
                    return None
                masking = any(node.op in MASKING for node in made)
            g = sweep(n, np.ones(n.shape) if n.shape else 1.0).get(p)
            if g is None:
                return None
            slopes.append(np.broadcast_to(np.asarray(g), n.shape) if n.shape else float(g))
        result = self.name(after) if after is not None else e
        forms = tuple(self._derivative_forms(self.name(key), result, slopes, masking))
        return Link(key, after, within, result, forms, tuple(slopes), masking)

    def _derivative_forms(self, p: Expr, n: Expr, values: list[Any], masking: bool) -> list[Expr]:
        """Ways to write a derivative that is known by its values: by fitting it in N and P."""
        make, number = self.formulas.make, self.formulas.number
        candidates: list[Expr] = []
        zero, one = number(0), number(1)
        d = np.concatenate([np.ravel(v) for v in values])
        at_p = np.concatenate([np.ravel(self.value(p, i)) for i in range(len(self.points))])
        at_n = np.concatenate([np.ravel(self.value(n, i)) for i in range(len(self.points))])
        if np.ptp(d) < _TIGHT * (1 + abs(d[0])):
            constant = self.scalar(float(d[0]), any_number=True)
            return [constant] if constant is not None else []
        if masking:
            candidates += [make(">", p, zero), make(">", n, zero), make(">=", p, zero)]
            positive, negative = d[at_p > 0], d[at_p < 0]
            if len(positive) and len(negative) and np.ptp(positive) < _TIGHT > np.ptp(negative):
                high = self.scalar(float(positive[0]), any_number=True) or one
                low = self.scalar(float(negative[0]), any_number=True) or zero
                candidates.append(self.formulas.call("where", make(">", p, zero), high, low))
        for base, at in ((n, at_n), (p, at_p)):
            candidates += self._polynomial(base, at, d)
            for power in (1, 2, 3):
                with np.errstate(all="ignore"):
                    k = d * at**power
                if np.isfinite(k).all() and np.ptp(k) < _TIGHT * abs(k[0]):
                    constant = self.scalar(float(k[0]), any_number=True) or one
                    below = base if power == 1 else make("**", base, number(power))
                    candidates.append(make("/", constant, below))
                with np.errstate(all="ignore"):
                    k = d / at**power
                if power == 3 and np.isfinite(k).all() and np.ptp(k) < _TIGHT * abs(k[0]):
                    cube = self.times(float(k[0]), make("**", base, number(power)))
                    candidates += [] if cube is None else [cube]
        if masking and at_p.size:  # one branch per sign, as in ELU
            negative_side = at_p < 0
            if negative_side.any() and np.ptp(d[~negative_side]) < _TIGHT:
                for other in self._polynomial(n, at_n[negative_side], d[negative_side]):
                    candidates.append(self.formulas.call("where", make(">", p, zero), one, other))
        tanh = self.formulas.call("tanh", p)
        candidates.append(make("-", one, make("**", tanh, number(2))))
        candidates.append(self.formulas.call("sigmoid", p))  # of softplus
        candidates += [self.formulas.call(prime, p) for prime in self.primes]
        good = []
        for e in candidates:
            if e in good:
                continue
            for i, v in enumerate(values):
                got = self.value(e, i)
                if got is None or not equal(np.asarray(got, float) * 1.0, v):
                    break
            else:
                good.append(e)
        return good

    def _polynomial(self, base: Expr, at: Any, d: Any) -> list[Expr]:
        """``d`` as a polynomial of degree 2 in `base`, if its coefficients are nice."""
        if not (np.isfinite(at).all() and np.isfinite(d).all()):
            return []
        if len(np.unique(np.round(at, 9))) < 4:
            return []
        columns = np.stack([np.ones_like(at), at, at * at], axis=1)
        solution, *_ = np.linalg.lstsq(columns, d, rcond=None)
        if np.max(np.abs(columns @ solution - d)) > 1e-8 * (1 + np.max(np.abs(d))):
            return []
        c = [0.0 if abs(x) < 1e-8 else x for x in solution]
        if abs(2 * c[2] - round(2 * c[2])) > 1e-6:
            return []  # true perhaps, of this mask and these numbers, but nobody's derivative
        make, number = self.formulas.make, self.formulas.number
        square = make("**", base, number(2))
        one = number(1)
        if c[0] == 0 and c[1] and abs(c[1] + c[2]) < 1e-8:
            e = self.times(c[1], make("*", base, make("-", one, base)))
            return [e] if e is not None else []
        if c[1] == 0 and c[0] and abs(c[0] + c[2]) < 1e-8:
            e = self.times(c[0], make("-", one, square))
            return [e] if e is not None else []
        parts: list[Expr] = []
        for coefficient, power in zip(c, (None, base, square), strict=True):
            if not coefficient:
                continue
            if power is None:
                part = self.scalar(coefficient, any_number=True)
            else:
                scalar = self.scalar(coefficient, any_number=True)
                part = self.times(coefficient, power) or (
                    make("*", scalar, power) if scalar is not None else None
                )
            if part is None:
                return []
            parts.append(part)
        if not parts:
            return []
        total = parts[0]
        for part in parts[1:]:
            total = make("-", total, part.args[0]) if part.op == "neg" else make("+", total, part)
        return [total]

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
        for link in self.links:
            for form in link.forms[:1]:
                if form.op != "number":
                    self.register(form)
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

    def link_to(self, after: Key) -> Link | None:
        """The link that ends in a name."""
        return self._by_after.get(after)


def _innermost_sums(e: Expr) -> list[Expr]:
    """The parts of a formula that hold a matrix product and are nothing but sums of such."""
    if not any(sub.op == "@" or sub.function in ("dot", "matmul") for _, sub in nodes(e)):
        return []
    if e.op in ("+", "-", "@") or e.function in ("dot", "matmul"):
        return [e]
    return [part for a in e.args for part in _innermost_sums(a)]


def _curved(e: Expr) -> bool:
    """Is a formula more than sums and constant multiples?"""
    return any(sub.op in ("call", "method", "**", "/", ">", ">=", "<", "<=") for _, sub in nodes(e))


def is_scalar(value: Any) -> TypeGuard[float]:
    """A plain number that is not a mask."""
    return isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.bool_))


def size(e: Expr) -> int:
    """How long a formula is: about its tokens."""
    total = 0
    stack = [e]
    while stack:
        top = stack.pop()
        if top.op in ("call", "method"):
            total += 4 + 2 * len(top.args)
        elif top.op == "attribute":
            total += 2
        else:
            total += 1
        stack.extend(top.args)
    return total


def equal(a: Any, b: Any, tolerance: float = TOLERANCE) -> bool:
    """The same shape, and the same numbers up to rounding."""
    if a is None or b is None or np.shape(a) != np.shape(b):
        return False
    try:
        a, b = np.asarray(a, float), np.asarray(b, float)
    except (TypeError, ValueError):
        return False
    if not b.size:
        return True
    with np.errstate(all="ignore"):
        worst = np.abs(a - b).max()
        return bool(worst <= tolerance * max(np.abs(b).max(), 1e-300))


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
