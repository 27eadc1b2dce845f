"""The ring that keeps every formula in its normal form (`poly`): sums, products, powers, fractions.

Element-wise algebra with broadcasting is commutative, so a formula is a Laurent polynomial over
atoms. Atoms and polynomials are interned: two that are built alike are one object, so equality is
identity.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np

from tinygrad_edu.core.ops import elementwise, reductions
from tinygrad_edu.core.primitive import Primitive, Shape
from tinygrad_edu.rules.indices import EYE, ONE_HOT
from tinygrad_edu.rules.poly import (
    Atom,
    Monomial,
    Number,
    Poly,
    by_id,
    natural_sign,
    number_content,
    ratio,
    rational,
    span_of_powers,
    times,
)
from tinygrad_edu.rules.sizes import Size, float_text, hashable

#: A product of sums with more terms than this is not multiplied out.
MOST_TERMS = 48
#: A sum of the forward lines with more terms than this is no factor to look for.
MOST_SUMMANDS = 4


class Spent(Exception):
    """The work allowed for one simplification is used up."""


class Ring(ABC):
    """Makes and interns atoms and polynomials.

    `careful`: nothing is multiplied out and no operation is opened by its definition, so a formula
    is as well conditioned as what was recorded, and guarded as it was: ``(x - mu)**2`` and
    ``softmax(z)`` stay as they are.
    """

    def __init__(self, work: float = math.inf) -> None:
        self.careful = False
        self.work = work
        self._atoms: dict[Any, Atom] = {}
        self._polys: dict[frozenset[tuple[Monomial, Number]], Poly] = {}
        self._powers: dict[tuple[Poly, Number, bool], Poly] = {}
        self._written: dict[Atom, list[Poly]] = {}  # under the newest atom of each
        self.zero = self.poly({})
        self.one = self.poly({(): 1})

    # --- interning -----------------------------------------------------------------------------

    def poly(self, terms: dict[Monomial, Number]) -> Poly:
        """The polynomial with these terms."""
        if not all(terms.values()):
            terms = {mono: c for mono, c in terms.items() if c}
        key = frozenset(terms.items())
        poly = self._polys.get(key)
        if poly is None:
            self.work -= len(terms)
            poly = self._polys[key] = Poly(self, terms, len(self._polys) + 1)
        return poly

    def _atom(
        self, op: Primitive | None, args: tuple[Poly, ...], options: Any, shape: Shape
    ) -> Atom:
        key = (op, args, hashable(options))
        atom = self._atoms.get(key)
        if atom is None:
            atom = self._atoms[key] = Atom()
            atom.id = len(self._atoms)
            atom.op, atom.args, atom.options, atom.shape = op, args, options, shape
            atom.name = ""
            atom.mask = op is not None and ("compares" in op.traits or op in (ONE_HOT, EYE))
            atom.positive = op is elementwise.exp or op in (elementwise.sigmoid, reductions.softmax)
            atom.constant = False
            atom.deep = frozenset({atom}).union(*(arg.deep for arg in args))
        return atom

    def name(
        self,
        name: str,
        shape: Shape,
        mask: bool = False,
        positive: bool = False,
        constant: bool = False,
    ) -> Atom:
        """The atom of a name; its shape and nature are those it was first given."""
        key = (None, (), name)
        atom = self._atoms.get(key)
        if atom is None:
            atom = self._atom(None, (), name, shape)
            atom.name, atom.mask, atom.positive, atom.constant = name, mask, positive, constant
        return atom

    def of(self, atom: Atom, n: Number = 1) -> Poly:
        """An atom, or a power of it, as a polynomial."""
        if atom.mask and n < 0:
            atom, n = self.base(self.of(atom)), n
        return self.poly({((atom, n),): 1})

    def base(self, poly: Poly) -> Atom:
        """A polynomial as an atom, to be raised to a power."""
        atom = self._atom(None, (poly,), None, poly.shape)
        return atom

    def number(self, x: Any) -> Poly:
        """A plain number (or the symbol of a `Size`)."""
        if isinstance(x, Size):
            return x.symbol
        if isinstance(x, (float, np.floating)) and not math.isfinite(x):
            return self.of(self.name(float_text(x), ()))
        return self.poly({(): rational(x)})

    @abstractmethod
    def single(self, p: Poly) -> Any:
        """A single number as a formula."""

    @abstractmethod
    def apply(self, op: Primitive, xs: list[Any], options: dict[str, Any]) -> Any:
        """An operation on formulas."""

    # --- the ring ------------------------------------------------------------------------------

    def add(self, p: Poly, q: Poly) -> Poly:
        """``p + q``."""
        if not p.terms or not q.terms:
            return p if p.terms else q
        return self.total((p, q))

    def total(self, polys: Iterable[Poly]) -> Poly:
        """The sum of all."""
        terms: dict[Monomial, Number] = {}
        for p in polys:
            for mono, c in p.terms.items():
                terms[mono] = terms.get(mono, 0) + c
        return self.poly(terms)

    def multiply(self, p: Poly, q: Poly) -> Poly:
        """``p * q``, multiplied out unless that is long: then the factors stay as they are."""
        if p is self.one or q is self.one:
            return q if p is self.one else p
        if self.careful:
            for number, other in ((p.value, q), (q.value, p)):
                if number is not None:
                    return other.scaled(number)
            p, q = self.whole(p), self.whole(q)
        elif len(p.terms) * len(q.terms) > MOST_TERMS and min(len(p.terms), len(q.terms)) > 1:
            p, q = (self.of(self.base(x)) if len(x.terms) > 1 else x for x in (p, q))
        return self.expanded(p, q)

    def whole(self, p: Poly) -> Poly:
        """A sum as one factor, what its terms share beside it."""
        if len(p.terms) < 2:
            return p
        content, rest = self.content(p)
        [c] = content.terms.values()
        known = (None, (rest,), None) in self._atoms
        if (c < 0 and not known) or (None, (rest.scaled(-1),), None) in self._atoms:
            content, rest = content.scaled(-1), rest.scaled(-1)  # as it was written first
        return self.expanded(content, self.of(self.base(rest)))

    def expanded(self, p: Poly, q: Poly) -> Poly:
        """``p * q``, multiplied out."""
        self.work -= len(p.terms) * len(q.terms)
        if self.work < 0:
            raise Spent
        terms: dict[Monomial, Number] = {}
        for x, a in p.terms.items():
            for y, b in q.terms.items():
                mono = times(x, y)
                terms[mono] = terms.get(mono, 0) + a * b
        return self.poly(terms)

    def power(self, p: Poly, n: Number) -> Poly:
        """``p ** n`` for a rational n."""
        if n == 1:
            return p
        if n == 0:
            return self.one
        key = (p, n, self.careful)
        if key not in self._powers:
            self._powers[key] = self._power(p, n)
        return self._powers[key]

    def _power(self, p: Poly, n: Number) -> Poly:
        whole = n == int(n)
        if not p.terms:
            return p if n > 0 else self.of(self.base(p), n)
        if whole:
            n = int(n)
        if len(p.terms) == 1:
            [(mono, c)] = p.terms.items()
            return self._monomial_power(p, mono, c, n, whole)
        if self.careful and whole:
            return self.power(self.whole(p), n)
        if n < 0:
            p = self.together(p)
            if len(p.terms) == 1:
                return self.power(p, n)
        content, rest = self.content(p, only_positive=not whole)
        sign = self.as_written(rest) if whole and n < 0 else 1
        content, rest = content.scaled(sign), rest.scaled(sign)
        if rest is not p:
            return self.power(content, n) * self.power(rest, n)
        if whole and n > 0 and len(p.terms) ** n <= MOST_TERMS:
            result = p
            for _ in range(int(n) - 1):
                result = self.expanded(result, p)
            return result
        return self.of(self.base(p), n)

    def _monomial_power(self, p: Poly, mono: Monomial, c: Number, n: Number, whole: bool) -> Poly:
        if whole:
            n = int(n)
            result = self.poly({(): Fraction(c) ** n if n < 0 else c**n})
            for atom, e in mono:
                result = result * self.of(atom, 1 if atom.mask and n > 0 else e * n)
            return result
        # (x²)^½ is |x| and (x y)^½ is no √x √y: only what is positive may leave a fractional power.
        result, inside = self.one, []
        for atom, e in mono:
            if atom.positive:
                result = result * self.of(atom, e * n)
            else:
                inside.append((atom, e))
        if len(inside) == 1 and inside[0][1] == 1 and c == 1:
            atom = inside[0][0]
            return result * self.of(atom if not atom.mask else self.base(self.of(atom)), n)
        rest = self.poly({tuple(inside): c})
        return result * (self.one if rest is self.one else self.of(self.base(rest), n))

    def content(self, p: Poly, only_positive: bool = False) -> tuple[Poly, Poly]:
        """``p = content * rest``: what all terms share, number and sign included."""
        shared: dict[Atom, Number] | None = None
        for mono in p.terms:
            if shared is None:
                shared = dict(mono)
            else:
                powers = dict(mono)
                shared = {
                    a: min(e, powers[a])
                    for a, e in shared.items()
                    if a in powers and e * powers[a] > 0
                }
        # Powers that occur on one side only still have a common part if they are negative: t + 1/t.
        assert shared is not None
        lowest: dict[Atom, Number] = dict(shared)
        for mono in p.terms:
            for atom, e in mono:
                if e < 0 and not atom.is_base and atom.positive:
                    lowest[atom] = min(lowest.get(atom, 0), e)
        if only_positive:
            lowest = {a: e for a, e in lowest.items() if a.positive}
        lowest = {
            a: e for a, e in lowest.items() if not a.mask or all(a in dict(m) for m in p.terms)
        }
        c: Number = 1
        if not only_positive:
            c = number_content(p.terms.values())
            c *= natural_sign(p)
        mono = tuple(sorted(((a, e) for a, e in lowest.items() if e), key=by_id))
        if not mono and c == 1:
            return self.one, p
        content = self.poly({mono: c})
        inverse = tuple((a, -e) for a, e in mono)
        terms: dict[Monomial, Number] = {}
        for m, k in p.terms.items():
            rest = {a: e for a, e in m if not (a.mask and a in lowest)}
            down = tuple((a, e) for a, e in inverse if not a.mask)
            terms[times(tuple(rest.items()), down)] = ratio(k, c)
        return content, self.poly(terms)

    # --- sums as they were written -------------------------------------------------------------

    def keep(self, p: Poly) -> None:
        """Remember a sum of the forward lines: it may be a factor, and is shown with its signs."""
        if 1 < len(p.terms) <= MOST_SUMMANDS and p not in (known := self._known_like(p)):
            known.append(p)

    def _known_like(self, p: Poly) -> list[Poly]:
        return self._written.setdefault(max(p.atoms(), key=lambda a: a.id), [])

    def sums_of(self, p: Poly) -> list[Poly]:
        """The sums of the forward lines that are made of atoms of p."""
        atoms = p.atoms()
        return [s for atom in atoms for s in self._written.get(atom, ()) if s.atoms() <= atoms]

    def as_written(self, p: Poly) -> int:
        """−1 where a sum was written with all its signs turned, or is one of lengths: m − 1."""
        known = self._known_like(p)
        if p not in known and all(atom.constant for atom in p.atoms()):
            return 1 if p.terms[max(p.terms, key=len)] > 0 else -1
        return -1 if p not in known and p.scaled(-1) in known else 1

    # --- fractions -----------------------------------------------------------------------------

    def denominators(self, p: Poly) -> dict[Atom, int]:
        """The compound denominators of p's terms, each with its highest power."""
        found: dict[Atom, int] = {}
        for mono in p.terms:
            for atom, e in mono:
                if atom.is_base and e < 0 and e == int(e):
                    found[atom] = max(found.get(atom, 0), -int(e))
        return found

    def together(self, p: Poly) -> Poly:
        """All terms over one denominator, what divides it exactly cancelled."""
        p = self.cancel(p)
        for atom, n in sorted(self.denominators(p).items(), key=lambda x: x[0].id):
            numerator = self.over(p, atom, n)
            down = self.of(atom, -n)
            if len(numerator.terms) > MOST_TERMS:
                p = self.multiply(self.of(self.base(numerator)), down)
            else:
                p = self.expanded(numerator, down)
        return p

    def merged(self, p: Poly) -> Poly:
        """What is over powers of one compound denominator put over the highest of them, where that
        leaves no more terms."""
        bases = {a for mono in p.terms for a, e in mono if a.is_base and e < 0}
        for base in sorted(bases, key=lambda a: a.id):
            powers = {mono: e for mono in p.terms for a, e in mono if a is base and e < 0}
            lowest = min(powers.values(), default=0)
            steps = {m: int(e - lowest) for m, e in powers.items() if e - lowest == int(e - lowest)}
            if sum(len(base.args[0].terms) ** n for n in steps.values()) > MOST_TERMS:
                continue
            mine = []
            for mono, n in steps.items():
                rest = tuple(f for f in mono if f[0] is not base)
                term = self.poly({rest: p.terms[mono]})
                for _ in range(n):
                    term = self.expanded(term, base.args[0])
                mine.append(term)
            numerator = self.total(mine)
            if any(steps.values()) and len(numerator.terms) <= len(steps):
                others = self.poly({m: c for m, c in p.terms.items() if m not in steps})
                p = self.add(self.expanded(numerator, self.of(base, lowest)), others)
        return p

    def over(self, p: Poly, atom: Atom, n: int) -> Poly:
        """``p * base**n``, multiplied out."""
        parts: list[Poly] = []
        by_power: dict[int, dict[Monomial, Number]] = {}
        for mono, c in p.terms.items():
            e = next((int(k) for a, k in mono if a is atom and k == int(k) and k < 0), 0)
            rest = tuple(f for f in mono if f[0] is not atom or not e)
            by_power.setdefault(n + e, {})[rest] = c
        for power, terms in by_power.items():
            part = self.poly(terms)
            for _ in range(power):
                part = self.expanded(part, atom.args[0])
            parts.append(part)
        return self.total(parts)

    def cancel(self, p: Poly) -> Poly:
        """Divide compound denominators out wherever that leaves no remainder."""
        again = True
        while again:
            again = False
            for atom, n in sorted(self.denominators(p).items(), key=lambda x: x[0].id):
                mine = self.poly(
                    {m: c for m, c in p.terms.items() if any(a is atom and e < 0 for a, e in m)}
                )
                for part in (mine, p) if mine is not p else (p,):
                    if len(part.terms) * len(atom.args[0].terms) ** n > 4 * MOST_TERMS:
                        continue
                    numerator = self.over(part, atom, n)
                    divided = self.divide(numerator, atom.args[0])
                    k = 0
                    while divided is not None and k < n:
                        numerator, k = divided, k + 1
                        divided = self.divide(numerator, atom.args[0]) if k < n else None
                    if k:
                        rest = p - part
                        p = rest + self.expanded(
                            numerator, self.of(atom, k - n) if k < n else self.one
                        )
                        again = True
                        break
                if again:
                    break
        return p

    def divide(self, p: Poly, d: Poly) -> Poly | None:
        """``p / d`` where that leaves no remainder, else None."""
        if not p.terms:
            return p
        atoms = sorted(d.atoms(), key=lambda a: a.id)
        known = set(atoms)
        # What d does not mention are coefficients: each is divided for itself.
        parts: dict[Monomial, dict[tuple[Number, ...], Number]] = {}
        for mono, c in p.terms.items():
            powers = dict(mono)
            other = tuple(f for f in mono if f[0] not in known)
            parts.setdefault(other, {})[tuple([powers.get(a, 0) for a in atoms])] = c
        # In whole numbers: a primitive divisor that divides over the fractions does so over these.
        unit = number_content(d.terms.values(), always=True)
        scale = math.lcm(*(c.denominator for c in p.terms.values()))
        divisor = {
            tuple([dict(m).get(a, 0) for a in atoms]): int(ratio(c, unit))
            for m, c in d.terms.items()
        }
        top = max(divisor)
        quotient: dict[Monomial, Number] = {}
        for other, fractions in parts.items():
            rest = {powers: int(c * scale) for powers, c in fractions.items()}
            lowest, highest = span_of_powers(rest)
            low, high = span_of_powers(divisor)
            while rest:
                lead = max(rest)
                c, remainder = divmod(rest[lead], divisor[top])
                step = tuple([x - y for x, y in zip(lead, top)])
                # What is missing below or above could never come; a mask divides nothing.
                if remainder or any(
                    s < a - b or s > x - y or (s < 0 and atom.mask)
                    for s, a, b, x, y, atom in zip(step, lowest, low, highest, high, atoms)
                ):
                    return None
                self.work -= len(divisor)
                for shift, k in divisor.items():
                    at = tuple([x + y for x, y in zip(step, shift)])
                    left = rest.get(at, 0) - c * k
                    if left:
                        rest[at] = left
                    else:
                        del rest[at]
                mono = times(other, tuple((a, e) for a, e in zip(atoms, step) if e))
                quotient[mono] = rational(quotient.get(mono, 0) + ratio(c, scale * unit))
        return self.poly(quotient)
