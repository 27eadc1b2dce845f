"""In what a wrong line and its correction differ, brackets, order and arrangement apart.

Both are taken apart into sums of products of bare factors. What one product has and the other has
not is a `Pair`; transposes, sums, new axes and `@` against `*` are arrangement and make none.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cached_property

from tinygrad_edu.checking.truth import is_scalar
from tinygrad_edu.diagnosis.context import Context
from tinygrad_edu.diagnosis.parts import Factors, flat, is_word, kind_of_product, product
from tinygrad_edu.sheets.syntax import ORDERING, Expr, is_transposed, takes_all, walk

_WRAPS = ("sum", "mean", "squeeze", "reshape", "array", "transpose", "ravel", "flatten")
#: Formulas nested deeper, or that have more terms multiplied out, are compared no further.
_DEEPEST, _MOST_TERMS = 8, 24


@dataclass(frozen=True)
class Term:
    """One term of a sum: its constant, its bare factors, and itself as a formula."""

    constant: float
    factors: Factors
    expr: Expr


@dataclass
class Pair:
    """A place where line (`a`) and correction (`b`) differ.

    `kind` is "factors" (of one product), "terms" (of one sum), "option" (an axis, an index or an
    exponent) or "whole" (nothing is kept).
    """

    kind: str
    a: Expr
    b: Expr
    lost: Factors = field(default_factory=list)
    extra: Factors = field(default_factory=list)
    kept: Factors = field(default_factory=list)
    #: The constant of the line's product over that of the correction's.
    coefficient: float = 1.0


class Differences:
    """The differences of a line and its correction."""

    def __init__(self, context: Context, line: Expr, fixed: Expr | None) -> None:
        self.context, self.line, self.fixed = context, line, fixed
        self.make, self.number = context.formulas.make, context.formulas.number

    @cached_property
    def pairs(self) -> list[Pair]:
        """The places where they differ."""
        return [] if self.fixed is None else self._differ(self.line, self.fixed, 0)

    @cached_property
    def _common(self) -> set[Expr]:
        """Parts that both have: they need no multiplying out."""
        if self.fixed is None:
            return set()
        return set(walk(self.line)) & set(walk(self.fixed))

    # --- taking apart --------------------------------------------------------------------------

    def bare(self, e: Expr) -> Expr:
        """A formula without transposes, sums, reshapes and new axes around it."""
        while True:
            if e.op == "pos" or is_transposed(e):
                e = e.args[0]
            elif e.op in ("call", "method") and e.function in _WRAPS and e.args:
                e = e.args[0]
            elif e.op == "index" and all(map(_new_or_whole, e.args[1:])):
                e = e.args[0]
            else:
                return e

    def factors(self, e: Expr) -> tuple[float, Factors]:
        """The constant of a product and its factors, bare."""
        e = self.bare(e)
        if e.op == "neg":
            constant, factors = self.factors(e.args[0])
            return -constant, factors
        if e.op == "number" and is_scalar(e.extra) and not isinstance(e.extra, bool):
            return float(e.extra), []
        if e.op in ("*", "/"):
            return self._factors_of(flat(e))
        if kind_of_product(e) is not None:
            return self._factors_of([(part, 1) for part in e.args[:2]])
        return 1.0, [(e, 1)]

    def _factors_of(self, parts: Factors) -> tuple[float, Factors]:
        constant, found = 1.0, []
        for part, power in itertools.chain.from_iterable(map(_singly, parts)):
            c, inside = 1.0, [(part, 1)]
            if power > 0 or part.op in ("*", "number"):
                c, inside = self.factors(part)
            if power < 0 and c == 0:
                continue
            constant *= c if power > 0 else 1 / c
            found += [(f, p * power) for f, p in inside]
        return constant, found

    def terms(self, e: Expr, keep: bool = False) -> list[Term]:
        """The terms of a sum; to `keep`, a bracket that line and correction both have is one."""
        whole, e = e, self.bare(e)
        if e.op == "neg":
            return [self._turned(t) for t in self.terms(e.args[0], keep)]
        if e.op in ("+", "-"):
            left, right = (self._inner_terms(a, keep) for a in e.args)
            if e.op == "-":
                right = [self._turned(t) for t in right]
            return left + right
        return [Term(*self.factors(e), whole)]

    def _inner_terms(self, e: Expr, keep: bool) -> list[Term]:
        bare = self.bare(e)
        if keep and bare.op in ("+", "-") and bare in self._common:
            return [Term(1.0, [(bare, 1)], bare)]
        return self.terms(e, keep)

    def _turned(self, t: Term) -> Term:
        e = t.expr.args[0] if t.expr.op == "neg" else self.make("neg", t.expr)
        return Term(-t.constant, t.factors, e)

    def _expanded(self, e: Expr, depth: int = 0) -> list[Term]:
        """The terms of a sum, products of sums multiplied out."""
        found = []
        for term in self.terms(e):
            at = next((i for i, f in enumerate(term.factors) if self._is_sum(f)), None)
            if at is None or depth > 3:
                found.append(term)
                continue
            rest = term.factors[:at] + term.factors[at + 1 :]
            for inner in self.terms(term.factors[at][0]):
                factors = [*rest, *inner.factors]
                whole = product(self.context, factors) if factors else self.number(1)
                whole = self._times(term.constant * inner.constant, whole)
                found += self._expanded(whole, depth + 1)[:16]
        return found[:_MOST_TERMS]

    def _is_sum(self, factor: tuple[Expr, int]) -> bool:
        f, power = factor
        return power > 0 and f.op in ("+", "-") and f not in self._common

    def _times(self, constant: float, e: Expr) -> Expr:
        if constant in (1, -1):
            return e if constant == 1 else self.make("neg", e)
        return self.make("*", self.number(constant), e)

    # --- comparing -----------------------------------------------------------------------------

    def split(self, xs: Factors, ys: Factors) -> tuple[Factors, Factors, Factors]:
        """What is only in xs, only in ys, and in both."""
        ys, left, both = list(ys), [], []
        for f in xs:
            match = next((g for g in ys if g == f), None) or next(
                (g for g in ys if g[1] == f[1] and self._alike(f[0], g[0])), None
            )
            if match is None:
                left.append(f)
            else:
                ys.remove(match)
                both.append(f)
        return left, ys, both

    def _alike(self, x: Expr, y: Expr) -> bool:
        return x.op != "number" and self.context.same(x, y)

    def _real(self, factors: Factors) -> bool:
        """Is there more than constants?"""
        return any(self.context.constant(f) is None for f, _ in factors)

    def _differ(self, a: Expr, b: Expr, depth: int) -> list[Pair]:
        a, b = self.bare(a), self.bare(b)
        if a is b or depth > _DEEPEST:
            return []
        ways = [self._differ_in_terms(a, b, keep, depth) for keep in (True, False)]
        known = [way for way in ways if way is not None]
        if known:
            return min(known, key=_how_much)
        mine, theirs = self._expanded(a), self._expanded(b)
        found = self._matched(a, b, mine, theirs, depth, strict=True)
        return found if found is not None else [self._some_terms(a, b)]

    def _differ_in_terms(self, a: Expr, b: Expr, keep: bool, depth: int) -> list[Pair] | None:
        mine, theirs = self.terms(a, keep), self.terms(b, keep)
        if len(mine) == len(theirs) == 1:
            return self._products(mine[0], theirs[0], a, b, depth)
        if 1 in (len(mine), len(theirs)):  # a sum as one factor of a product
            x, y = Term(*self.factors(a), a), Term(*self.factors(b), b)
            if self._real(self.split(x.factors, y.factors)[2]):
                return self._products(x, y, a, b, depth)
        return self._matched(a, b, mine, theirs, depth)

    def _matched(
        self, a: Expr, b: Expr, mine: list[Term], theirs: list[Term], depth: int,
        strict: bool = False,
    ) -> list[Pair] | None:  # fmt: skip
        """Terms matched one by one; None where too many are left."""
        left, rest = self._struck_out(mine, theirs)
        kept = len(left) < len(mine)
        if not left or not rest:
            if not left and not rest:
                return []
            lost, extra = [[(t.expr, 1) for t in terms] for terms in (rest, left)]
            return [Pair("terms", a, b, lost, extra, [(a, 1)])] if kept else None
        if len(left) != len(rest):
            return None
        pairs = []
        for term in left:
            best = max(rest, key=lambda other: self._nearness(term, other))
            rest.remove(best)
            pairs += self._products(term, best, term.expr, best.expr, depth)
        if strict and any(p.kind == "whole" for p in pairs):
            return None
        for p in pairs if kept else ():  # what is kept elsewhere is kept
            if p.kind == "whole":
                p.kind, p.kept = "factors", [(a, 1)]
        return pairs

    def _some_terms(self, a: Expr, b: Expr) -> Pair:
        """The terms of a sum that gave way to others, fewer or more of them."""
        mine, theirs = self.terms(a), self.terms(b)
        left, rest = self._struck_out(mine, theirs)
        if not (left and rest) or len(left) == len(mine):
            return Pair("whole", a, b)
        extra, lost = ([(self._sum_of(terms), 1)] for terms in (left, rest))
        return Pair("factors", a, b, lost, extra, [(a, 1)])

    def _sum_of(self, terms: list[Term]) -> Expr:
        """Terms as one sum."""
        first, *others = (t.expr for t in terms)
        for e in others:
            minus = e.op == "neg"
            first = self.make("-" if minus else "+", first, e.args[0] if minus else e)
        return first

    def _struck_out(self, mine: list[Term], theirs: list[Term]) -> tuple[list[Term], list[Term]]:
        """What is left of two sums when equal terms are struck out."""
        left, rest = [], list(theirs)
        for term in mine:
            match = next((other for other in rest if self._equal(term, other)), None)
            if match is None:
                left.append(term)
            else:
                rest.remove(match)
        return left, rest

    def _equal(self, term: Term, other: Term) -> bool:
        close = abs(other.constant - term.constant) < 1e-9 * abs(term.constant or 1)
        return close and self.split(term.factors, other.factors)[:2] == ([], [])

    def _nearness(self, term: Term, other: Term) -> float:
        left, right, both = self.split(term.factors, other.factors)
        same_sign = (other.constant > 0) == (term.constant > 0)
        return len(both) - 0.4 * len(left) - 0.3 * len(right) + 0.1 * same_sign

    def _products(self, x: Term, y: Term, a: Expr, b: Expr, depth: int) -> list[Pair]:
        """The differences of two products."""
        extra, lost, kept = self.split(x.factors, y.factors)
        c = x.constant / y.constant if y.constant else 0.0
        if not extra and not lost:
            return [] if abs(c - 1) < 1e-9 else [Pair("factors", a, b, [], [], kept, c)]
        pair = Pair("factors", a, b, lost, extra, kept, c)
        for look in (
            self._in_one_factor, self._one_of_its_terms, self._multiplied_out,
            self._in_one_of_several,
        ):  # fmt: skip
            found = look(pair, depth)
            if found is not None:
                return found
        return [self._as_a_whole(pair)]

    def _in_one_factor(self, pair: Pair, depth: int) -> list[Pair] | None:
        """Where one factor gave way to one that is built alike, the difference inside."""
        if not (len(pair.extra) == len(pair.lost) == 1 and pair.extra[0][1] == pair.lost[0][1]):
            return None
        e, f = pair.extra[0][0], pair.lost[0][0]
        if not (_signed(e) and _signed(f)) and not _built_alike(e, f, ORDERING):
            return None
        inner = self._inside(e, f, depth)
        if not (inner or e.op in ("+", "-")) or any(p.kind == "whole" for p in inner):
            return None
        if abs(pair.coefficient - 1) > 1e-9:
            inner.append(Pair("factors", pair.a, pair.b, [], [], pair.kept, pair.coefficient))
        return inner

    def _one_of_its_terms(self, pair: Pair, depth: int) -> list[Pair] | None:
        """Where factors gave way to a sum of which they are one term, the other terms."""
        one, several = len(pair.lost) == 1, len(pair.extra) > 1
        if not (one and several and self._is_sum(pair.lost[0])) or pair.coefficient != 1:
            return None
        mine, whole = Term(1.0, pair.extra, pair.a), pair.lost[0][0]
        _, rest = self._struck_out([mine], theirs := self.terms(whole))
        if len(rest) == len(theirs):
            return None
        lost: Factors = [(term.expr, 1) for term in rest]
        return [Pair("terms", pair.a, pair.b, lost, [], pair.kept)]

    def _multiplied_out(self, pair: Pair, depth: int) -> list[Pair] | None:
        """Where that tells more, the difference of the products multiplied out."""
        changed = [*pair.extra, *pair.lost]
        if depth >= 4 or not any(self._is_sum((f, 1)) for f, _ in changed):
            return None
        real = self._real(pair.kept)
        if real and len(changed) <= 3:
            return None
        mine, theirs = self._expanded(pair.a), self._expanded(pair.b)
        if len(mine) + len(theirs) <= 2:
            return None
        found = self._matched(pair.a, pair.b, mine, theirs, depth + 1, strict=True)
        if found is None:
            return None
        many = sum(len(p.lost) + len(p.extra) for p in found)
        return found if not real or many < len(changed) else None

    def _in_one_of_several(self, pair: Pair, depth: int) -> list[Pair] | None:
        """Where nothing else is kept, a factor that is built like one of the other product's."""
        inverted = any((f, -power) in pair.lost for f, power in pair.extra)
        if self._real(pair.kept) or inverted or not self._real(pair.extra):
            return None
        for (f, p), (g, q) in itertools.product(pair.extra, pair.lost):
            if p != q or not _built_alike(f, g):
                continue
            inner = self._inside(f, g, depth)
            if not inner or any(x.kind == "whole" for x in inner):
                continue
            lost = [t for t in pair.lost if t[0] is not g]
            extra = [t for t in pair.extra if t[0] is not f]
            c = pair.coefficient
            if lost or extra or abs(c - 1) > 1e-9:
                inner.append(Pair("factors", pair.a, pair.b, lost, extra, [(g, 1)], c))
            return inner
        return None

    def _as_a_whole(self, pair: Pair) -> Pair:
        inverted = any((f, -power) in pair.lost for f, power in pair.extra)
        words = 1 <= len(pair.extra) == len(pair.lost) <= 2 and all(
            is_word(f) for f, _ in (*pair.extra, *pair.lost)
        )
        if not (self._real(pair.kept) or inverted or not self._real(pair.extra) or words):
            pair.kind = "whole"
        return pair

    def _inside(self, e: Expr, f: Expr, depth: int) -> list[Pair]:
        if e.op in ("+", "-", "neg"):
            return self._differ(e, f, depth + 1)
        options = _options(e)
        for i, (x, y) in enumerate(zip(e.args, f.args, strict=True)):
            if x is not y and i in options:
                return [Pair("option", e, f)]
        found: list[Pair] = []
        for x, y in zip(e.args, f.args, strict=True):
            if x is not y:
                found += self._differ(x, y, depth + 1) or [Pair("factors", x, y)]
        return found


def chain(a: Expr, b: Expr) -> list[tuple[Expr, Expr]]:
    """Two formulas, then their parts down to where they differ."""
    found = [(a, b)]
    while a.op == b.op and len(a.args) == len(b.args) and a.extra == b.extra:
        different = [(x, y) for x, y in zip(a.args, b.args, strict=True) if x is not y]
        if len(different) != 1 or a.op in ("number", "name"):
            break
        if different[0][0].op in ("slice", "tuple"):
            break
        a, b = different[0]
        found.append((a, b))
    return found


def _how_much(pairs: list[Pair]) -> tuple[bool, int]:
    """How much these differences are: nothing kept is the most."""
    whole = any(p.kind == "whole" for p in pairs)
    return whole, sum(len(p.lost) + len(p.extra) + (p.coefficient != 1) for p in pairs)


def _singly(factor: tuple[Expr, int]) -> Factors:
    """A divisor ``p**2`` as p, divided by twice."""
    e, power = factor
    if power < 0 and e.op == "**" and e.args[1].op == "number" and e.args[1].extra in (2, 3, 4):
        return [(e.args[0], power)] * int(e.args[1].extra)
    return [factor]


def _new_or_whole(part: Expr) -> bool:
    """Is part of an index a new axis or all of one?"""
    return takes_all(part) or (part.op == "number" and part.extra is None)


def _signed(e: Expr) -> bool:
    return e.op in ("+", "-", "neg")


def _built_alike(e: Expr, f: Expr, but: tuple[str, ...] = ()) -> bool:
    """Are two formulas the same operation, with other arguments?"""
    same = e.op == f.op and e.extra == f.extra and len(e.args) == len(f.args)
    return same and e.op not in ("name", "number", *but)


def _options(e: Expr) -> range:
    """Which arguments of a formula are options, indices or exponents."""
    if e.op == "**":
        return range(1, 2)
    if e.op in ("call", "method"):
        return range(len(e.positional), len(e.args))
    if e.op == "index":
        return range(1, len(e.args))
    if e.op == "setitem":
        return range(1, len(e.args) - 1)
    return range(len(e.args) if e.op == "slice" else 0)
