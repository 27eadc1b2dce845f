"""Where one named quantity is a function of another, element by element, and its derivative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.checking.points import MASKING
from tinygrad_edu.checking.truth import equal
from tinygrad_edu.core.ops import arithmetic, elementwise
from tinygrad_edu.core.sweep import reachable, sweep
from tinygrad_edu.core.value import Value
from tinygrad_edu.sheets.evaluate import Evaluator, Uncomputable
from tinygrad_edu.sheets.lines import Key
from tinygrad_edu.sheets.syntax import Expr, names_in, nodes, show

if TYPE_CHECKING:
    from tinygrad_edu.diagnosis.lab import Lab

ELEMENTWISE = frozenset(
    op
    for family in (arithmetic, elementwise)
    for op in vars(family).values()
    if hasattr(op, "rules")
)
_TIGHT = 1e-7
#: What it costs to look at a formula as a link, and to find its slopes or write them; and for each
#: of its tokens, to sweep it, twice where that meets a nan.
_SOUGHT, _FITTED, _SWEPT = 30_000, 500_000, 60_000


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


class Links:
    """The links in the forward lines of a laboratory's sheet."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.formulas = lab, lab.formulas

    def found(self) -> list[Link]:
        """All of them: from name to name, and from what has no name."""
        return self._named() + self._of_unnamed()

    def _named(self) -> list[Link]:
        found: list[Link] = []
        for statement in self.lab.sheet.forward:
            value = self.lab.points[0].graph.values.get(statement.key)
            if not isinstance(value, Value) or not value.requires_grad:
                continue
            stack = [(statement.expr, False)]
            while stack:
                e, multiplied = stack.pop()
                if e.op in ("name", "number"):
                    continue
                after = statement.key if e is statement.expr else None
                link = self._link(e, after, statement.key, multiplied)
                if link is None or not link.forms:
                    multiplied = multiplied or e.op == "@" or e.function in ("dot", "matmul")
                    stack.extend((a, multiplied) for a in e.args)
                if link is not None and (link.forms or after is not None):
                    found.append(link)
        return found

    def _of_unnamed(self) -> list[Link]:
        """Activations of something that has no name: ``h = np.tanh(W @ x)``."""
        found = []
        for statement in self.lab.sheet.forward:
            inner = _innermost_sums(statement.expr)
            if len(inner) != 1 or inner[0] is statement.expr:
                continue
            u = inner[0]
            stand_in = self.formulas.name("?", -1)
            outer = self.formulas.substituted(statement.expr, {u: stand_in})
            slopes, masking = [], False
            for i, point in enumerate(self.lab.points):
                p, value = self.lab.value(u, i), None
                if isinstance(p, np.ndarray):
                    p = Value(p)
                    value = Evaluator({**point.plain, ("?", -1): p}, self.lab.account).get(outer)
                if not isinstance(value, Value) or value.shape != p.shape:
                    break
                made = [node for node in reachable(value) if node is not p]
                if any(node.op not in ELEMENTWISE or node.shape != p.shape for node in made):
                    break
                masking = any(node.op in MASKING for node in made)
                slopes.append(np.asarray(sweep(value, np.ones(p.shape)).get(p)))
            if len(slopes) != len(self.lab.points) or slopes[0].shape == ():
                continue
            result = self.lab.name(statement.key)
            forms = tuple(self._derivative_forms(u, result, slopes, masking))
            if forms:
                before = (show(u), -1)
                key = statement.key
                found.append(Link(before, key, key, result, forms, tuple(slopes), masking))
        return found

    def _link(
        self, e: Expr, after: Key | None, within: Key, multiplied: bool = False
    ) -> Link | None:
        """A formula as a link, if it is a function of one named quantity element by element.

        `multiplied`: it stands in a matrix product, so that its shape is not that of the line.
        """
        values = self.lab.points[0].graph.values
        self.lab.account.spend(_SOUGHT)
        names = names_in(e)
        read = [k for k in names if isinstance(values.get(k), Value) and values[k].requires_grad]
        computed = [k for k in read if values[k].op is not None]
        before = computed if after is not None and len(computed) == 1 else read
        if len(before) != 1 or (after is None and not _curved(e)):
            return None
        key = before[0]
        if after is None and any(
            np.ndim(self.lab.points[0].plain.get(k, 0.0)) for k in names - {key}
        ):
            return None  # a mask or another array takes part: look deeper
        shape = np.shape(self.lab.points[0].plain[key])
        if after is None and not multiplied and shape != values[within].shape:
            return None  # the loss is no activation
        slopes, masking = [], False
        self.lab.account.spend(_FITTED)
        for i, point in enumerate(self.lab.points):
            self.lab.account.spend(_SWEPT * e.length)
            p = Value(point.plain[key])
            try:
                n = Evaluator({**point.plain, key: p}, self.lab.account).value(e)
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
        result = self.lab.name(after) if after is not None else e
        forms = tuple(self._derivative_forms(self.lab.name(key), result, slopes, masking))
        return Link(key, after, within, result, forms, tuple(slopes), masking)

    def _derivative_forms(self, p: Expr, n: Expr, values: list[Any], masking: bool) -> list[Expr]:
        """Ways to write a derivative that is known by its values: by fitting it in N and P."""
        make, number = self.formulas.make, self.formulas.number
        self.lab.account.spend(_FITTED + 500 * sum(np.size(v) for v in values))
        candidates: list[Expr] = []
        zero, one = number(0), number(1)
        d = np.concatenate([np.ravel(v) for v in values])
        at_p = np.concatenate([np.ravel(self.lab.value(p, i)) for i in range(len(self.lab.points))])
        at_n = np.concatenate([np.ravel(self.lab.value(n, i)) for i in range(len(self.lab.points))])
        if np.ptp(d) < _TIGHT * (1 + abs(d[0])):
            constant = self.lab.scalar(float(d[0]), any_number=True)
            return [constant] if constant is not None else []
        if masking:
            candidates += [make(">", p, zero), make(">", n, zero), make(">=", p, zero)]
            positive, negative = d[at_p > 0], d[at_p < 0]
            if len(positive) and len(negative) and np.ptp(positive) < _TIGHT > np.ptp(negative):
                high = self.lab.scalar(float(positive[0]), any_number=True) or one
                low = self.lab.scalar(float(negative[0]), any_number=True) or zero
                candidates.append(self.formulas.call("where", make(">", p, zero), high, low))
        for base, at in ((n, at_n), (p, at_p)):
            candidates += self._polynomial(base, at, d)
            for power in (1, 2, 3):
                with np.errstate(all="ignore"):
                    k = d * at**power
                if np.isfinite(k).all() and np.ptp(k) < _TIGHT * abs(k[0]):
                    constant = self.lab.scalar(float(k[0]), any_number=True) or one
                    below = base if power == 1 else make("**", base, number(power))
                    candidates.append(make("/", constant, below))
                with np.errstate(all="ignore"):
                    k = d / at**power
                if power == 3 and np.isfinite(k).all() and np.ptp(k) < _TIGHT * abs(k[0]):
                    cube = self.lab.times(float(k[0]), make("**", base, number(power)))
                    candidates += [] if cube is None else [cube]
        if masking and at_p.size:  # one branch per sign, as in ELU
            negative_side = at_p < 0
            if negative_side.any() and np.ptp(d[~negative_side]) < _TIGHT:
                for other in self._polynomial(n, at_n[negative_side], d[negative_side]):
                    candidates.append(self.formulas.call("where", make(">", p, zero), one, other))
        tanh = self.formulas.call("tanh", p)
        candidates.append(make("-", one, make("**", tanh, number(2))))
        candidates.append(self.formulas.call("sigmoid", p))  # of softplus
        candidates += [self.formulas.call(prime, p) for prime in self.lab.primes]
        good = []
        for e in candidates:
            if e in good:
                continue
            for i, v in enumerate(values):
                got = self.lab.value(e, i)
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
            e = self.lab.times(c[1], make("*", base, make("-", one, base)))
            return [e] if e is not None else []
        if c[1] == 0 and c[0] and abs(c[0] + c[2]) < 1e-8:
            e = self.lab.times(c[0], make("-", one, square))
            return [e] if e is not None else []
        parts: list[Expr] = []
        for coefficient, power in zip(c, (None, base, square), strict=True):
            if not coefficient:
                continue
            if power is None:
                part = self.lab.scalar(coefficient, any_number=True)
            else:
                scalar = self.lab.scalar(coefficient, any_number=True)
                part = self.lab.times(coefficient, power) or (
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
