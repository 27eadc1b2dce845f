"""Formulas: the operations on them, and the algebra that keeps each in its normal form (`poly`).

Element-wise algebra with broadcasting is commutative, so a formula is a Laurent polynomial over
atoms. Atoms and polynomials are interned: two that are built alike are one object, so equality is
identity. The shape a result must have travels beside its polynomial, in a `Formula`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import numpy as np

from tinygrad_edu.core.operators import Operators
from tinygrad_edu.core.ops import TABLE, arithmetic, elementwise, linalg, reductions, shaping
from tinygrad_edu.core.primitive import Primitive, Shape
from tinygrad_edu.core.primitive import shape as shape_of
from tinygrad_edu.rules.indices import (
    ONE_HOT,
    WholeNumber,
    WholeNumbers,
    is_whole,
    parts_of,
    picked,
    put_in,
    without_new_axes,
)
from tinygrad_edu.rules.poly import (
    Atom,
    Monomial,
    Number,
    Poly,
    broadcast,
    by_id,
    natural_sign,
    number_content,
    ratio,
    rational,
    span_of_powers,
    strip,
    term_order,
    times,
    varies,
)

#: A product of sums with more terms than this is not multiplied out.
MOST_TERMS = 48


class Spent(Exception):
    """The work allowed for one simplification is used up."""


class Size(int):
    """A length that remembers what it is called: ``m``, ``X.shape[0]``, ``2 m``."""

    symbol: Poly

    def __new__(cls, n: int, symbol: Poly) -> Size:
        size = super().__new__(cls, n)
        size.symbol = symbol
        return size

    def _with(self, other: Any, n: int, combine: Callable[[Poly, Poly], Poly]) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        algebra = self.symbol.algebra
        return Size(n, combine(self.symbol, algebra.number(other)))

    def __mul__(self, other: Any) -> Any:
        return self._with(other, int(self) * other, lambda a, b: a * b)

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Any:
        return self._with(other, int(self) + other, lambda a, b: a + b)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._with(other, int(self) - other, lambda a, b: a - b)

    def __pow__(self, n: Any, modulo: Any = None) -> Any:
        return Formula(self.symbol.algebra, self.symbol**n, ())


class Named(tuple[int, ...]):
    """The shape of a quantity that has a name: ``M.shape``."""

    name: str

    def __new__(cls, shape: Shape, name: str) -> Named:
        named = super().__new__(cls, shape)
        named.name = name
        return named


def hashable(x: Any) -> Any:
    """An option as something to look up by: arrays by their contents."""
    if isinstance(x, Size):
        return (int(x), x.symbol.id)
    if isinstance(x, WholeNumber):
        return (int(x), x.text)
    if isinstance(x, WholeNumbers) and x.text:
        return (x.shape, x.dtype.str, x.tobytes(), x.text)
    if isinstance(x, np.ndarray):
        return (x.shape, x.dtype.str, x.tobytes())
    if isinstance(x, slice):
        return ("slice", hashable(x.start), hashable(x.stop), hashable(x.step))
    if isinstance(x, dict):
        return tuple((key, hashable(value)) for key, value in x.items())
    if isinstance(x, (tuple, list)):
        return tuple(map(hashable, x))
    return x


def lengths(shape: Any) -> tuple[Any, ...]:
    """A shape as `reshape` takes it (one number, a list, an array of them) as a tuple."""
    return (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)


def float_text(x: Any) -> str:
    """A float as Python reads it back where only NumPy is known by name."""
    return repr(float(x)) if math.isfinite(x) else f"{'-' if x < 0 else ''}np.{abs(x)}"


#: What has no fraction is an atom, known by this name.
NOT_FINITE = {float_text(x): x for x in (math.inf, -math.inf, math.nan)}

#: Known by what they are rather than by their definition; the rest is expanded by it.
KEPT_WHOLE = {"tanh"}


class Algebra:
    """Makes and interns atoms and polynomials: one for each derivation.

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
            poly = self._polys[key] = Poly()
            poly.algebra, poly.id, poly.terms = self, len(self._polys), terms
            atoms = poly.atoms()
            if len(atoms) == 1:
                [atom] = atoms
                poly.full, poly.deep = tuple(atom.shape), atom.deep
            else:
                poly.full = broadcast(atom.shape for atom in sorted(atoms, key=lambda a: a.id))
                poly.deep = frozenset().union(*(atom.deep for atom in atoms))
            poly.shape = strip(poly.full)
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
            atom.mask = op is not None and ("compares" in op.traits or op is ONE_HOT)
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
        if content is not self.one:
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

    # --- operations ----------------------------------------------------------------------------

    def call(
        self, op: Primitive, args: tuple[Poly, ...], options: dict[str, Any], shape: Shape
    ) -> Poly:
        """An operation the algebra does not look into."""
        return self.of(self._atom(op, args, options, shape))

    def exp(self, u: Poly) -> Poly:
        """``exp(u)``; ``exp(c u)`` is kept as ``exp(u)**c``: e⁻ᶻ and e²ᶻ are powers of eᶻ."""
        if not u.terms:
            return self.one
        for mono, c in u.terms.items():  # exp(x + c log y) = exp(x) y**c
            if self.careful:
                break
            if len(mono) == 1 and mono[0][1] == 1 and mono[0][0].op is elementwise.log:
                rest = self.exp(u - self.poly({mono: c}))
                return rest * self.power(mono[0][0].args[0], c)
        lead = u.terms[min(u.terms, key=term_order)]
        return self.power(
            self.call(elementwise.exp, (u.scaled(ratio(1, lead)),), {}, u.shape), lead
        )

    def compare(self, op: Primitive, x: Poly, y: Poly) -> Poly:
        """A mask; ``x < y`` is written ``y > x``."""
        if op in (arithmetic.less, arithmetic.less_equal):
            op = arithmetic.greater if op is arithmetic.less else arithmetic.greater_equal
            x, y = y, x
        if x is y:
            return self.one if op in (arithmetic.greater_equal, arithmetic.equal) else self.zero
        if x.value is not None and y.value is not None:
            return self.number(float(op(float(x.value), float(y.value))))
        if x.value == 0 and op is arithmetic.not_equal and y.atom and y.atom.mask:
            return y
        if y.value == 0 and op is arithmetic.not_equal and x.atom and x.atom.mask:
            return x
        return self.call(op, (x, y), {}, broadcast((x.shape, y.shape)))

    def sum(self, p: Poly, shape: Shape, axes: Iterable[int]) -> Poly:
        """The sum over axes of something of this shape, the axes counted from the right and kept.

        Constant factors leave the sum; along an axis where nothing varies it is a multiplication by
        the length of that axis.
        """
        axes = [axis for axis in axes if len(shape) >= -axis and shape[axis] != 1]
        found: list[Poly] = []
        if self.careful:
            p = self.whole(p)
        for mono, c in p.terms.items():
            inside = tuple(f for f in mono if any(varies(f[0].shape, axis) for axis in axes))
            outside = tuple(f for f in mono if f not in inside)
            varying = broadcast(atom.shape for atom, _ in inside)
            over = tuple(axis for axis in axes if varies(varying, axis))
            term = self.poly({outside: c})
            for axis in axes:
                if axis not in over:
                    term = term * self.number(shape[axis])
            if over:
                term = term * self._sum_atom(inside, varying, over)
            found.append(term)
        return self.total(found)

    def _sum_atom(self, inside: Monomial, shape: Shape, over: tuple[int, ...]) -> Poly:
        if len(inside) == 1 and inside[0][1] == 1 and inside[0][0].op is reductions.sum:
            inner = inside[0][0]
            return self.sum_whole(inner.args[0], tuple(sorted({*over, *inner.options["axes"]})))
        if len(inside) == 1 and (whole := self._sum_of_sum(inside[0], over)) is not None:
            return whole
        product = (
            None if over == (-1,) and len(shape) > 1 else self._contracted(inside, shape, over)
        )
        return self.sum_whole(self.poly({inside: 1}), over) if product is None else product

    def _sum_of_sum(self, factor: tuple[Atom, Number], over: tuple[int, ...]) -> Poly | None:
        """A sum of a sum whose axes did not stay, as one sum over both; None where it is none."""
        atom, e = factor
        inner = atom.args[0].atom if atom.op is shaping.reshape and e == 1 else None
        if inner is None or inner.op is not reductions.sum:
            return None
        full = inner.args[0].full
        gone = {axis % len(full) for axis in inner.options["axes"]}
        kept = [i for i in range(len(full)) if i not in gone]
        shape = atom.options["shape"]
        if tuple(full[i] for i in kept) != tuple(shape):
            return None
        more = {kept[axis] for axis in over}
        axes = tuple(sorted(i - len(full) for i in gone | more))
        total = self.sum_whole(inner.args[0], axes)
        old = tuple(1 if i in gone | more else n for i, n in enumerate(full))
        new = tuple(1 if i - len(shape) in over else n for i, n in enumerate(shape))
        return self.reshape(Formula(self, total, old), new)

    def _contracted(self, inside: Monomial, shape: Shape, over: tuple[int, ...]) -> Poly | None:
        """Where a vector multiplies what is summed along its own axis, the sum is a product:
        ``Σ X ∗ w`` over rows is ``Xᵀ @ w``, of two vectors ``u @ v``; over columns ``X @ w``, which
        is written so where the axis does not stay."""
        [axis, *more] = over
        n = shape[axis]
        if more or axis < -2 or (axis == -2 and len(shape) != 2):
            return None
        vectors = {f: v for f in inside if (v := self._vector(f, axis, n)) is not None}
        rest = tuple(f for f in inside if f not in vectors)
        if len(shape) == 1:
            if len(inside) != 2 or any(e != 1 for _, e in inside):
                return None
            x, y = (Formula(self, self.of(atom), (n,)) for atom, _ in inside)
            return self.matmul(x, y)
        matrix = self.poly({rest: 1})
        if not vectors or matrix.shape != shape or any(e < 0 for _, e in inside):
            return None
        vector = self.one
        for v in vectors.values():
            vector = self.multiply(vector, v)
        x = Formula(self, matrix, shape)
        return self.matmul(x.T if axis == -2 else x, Formula(self, vector, (n,)))

    def _vector(self, factor: tuple[Atom, Number], axis: int, n: int) -> Poly | None:
        """A factor that varies along this axis alone, as a vector; None if it is none."""
        atom, e = factor
        if axis == -1 and strip(atom.shape) == (n,):
            return self.of(atom, e)
        if axis == -2 and strip(atom.shape) == (n, 1) and atom.op is shaping.reshape:
            inner = atom.args[0]
            return inner**e if inner.shape == (n,) else None
        return None

    def sum_whole(self, p: Poly, over: tuple[int, ...]) -> Poly:
        """A sum not taken apart term by term: of one term, or where it reads better whole."""
        kept = tuple(1 if i - len(p.full) in over else n for i, n in enumerate(p.full))
        return self.call(reductions.sum, (p,), {"axes": over}, kept)

    def matmul(self, x: Formula, y: Formula) -> Poly:
        """``x @ y``: numbers leave it, operands get the shape they must have."""
        (c, p), (d, q) = self.scalars(x), self.scalars(y)
        if not p.terms or not q.terms:
            return self.zero
        if p.value is not None and len(x.shape) == 2:  # a matrix of equal numbers adds the rows up
            return c * d * p * self.sum(q, y.shape, [-min(2, len(y.shape))])
        if q.value is not None and len(y.shape) == 2 and len(x.shape) == 2:
            return c * d * q * self.sum(p, x.shape, [-1])
        p, q = self.filled(p, x.shape), self.filled(q, y.shape)
        shapes = (x.shape, y.shape)
        product = linalg.matmul.shape_rule(*shapes)
        return c * d * self.call(linalg.matmul, (p, q), {"shapes": shapes}, product)

    def filled(self, p: Poly, shape: Shape) -> Poly:
        """`p` with ones multiplied in where its own shape is smaller than what it stands for."""
        if p.shape == strip(shape):
            return p
        return p * self.call(ONES, (), {"shape": shape}, shape)

    def scalars(self, x: Formula) -> tuple[Poly, Poly]:
        """``x = c * rest`` with the number and all factors that are single numbers in c."""
        p = x.poly
        if not p.terms:
            return self.one, p
        if len(p.terms) == 1:
            [(mono, c)] = p.terms.items()
            rest = self.one
        else:
            content, rest = self.content(p)
            [(mono, c)] = content.terms.items()
        single = tuple(f for f in mono if f[0].is_single)
        other = tuple(f for f in mono if not f[0].is_single)
        return self.poly({single: c}), self.poly({other: 1}) * rest

    def transpose(self, x: Formula, axes: Any) -> Poly:
        """Axes exchanged; a product's transpose is the product of the transposes, reversed."""
        if len(strip(x.shape)) == 0 or (axes is not None and list(axes) == list(range(len(axes)))):
            return x.poly
        c, p = self.scalars(x)
        atom = p.atom
        n = len(x.shape)
        if n < 2:
            return x.poly
        order = tuple(range(n))[::-1] if axes is None else tuple(int(a) % n for a in axes)
        if atom is not None and atom.op is shaping.transpose:  # one after another is one
            [before], inner = atom.options["shapes"], atom.options["axes"]
            first = tuple(range(n))[::-1] if inner is None else tuple(int(a) % n for a in inner)
            both = tuple(first[a] for a in order)
            return c * self.transpose(Formula(self, atom.args[0], before), both)
        if atom is not None and atom.op is linalg.matmul:
            flipped = (*range(n - 2), n - 1, n - 2)
            a, b = (Formula(self, p, s) for p, s in zip(atom.args, atom.options["shapes"]))
            if order == flipped and len(a.shape) == len(b.shape) == n:
                return c * self.matmul(self._flipped(b), self._flipped(a))
        if p.value is not None:
            return c * p
        axes = None if order == tuple(range(n))[::-1] else order
        shape = shaping.transpose.shape_rule(x.shape, axes=axes)
        if (
            atom is not None
            and atom.op is shaping.reshape
            and sum(size != 1 for size in x.shape) == 1
        ):
            return c * self.reshape(Formula(self, p, x.shape), shape)
        return c * self.call(
            shaping.transpose,
            (self.filled(p, x.shape),),
            {"axes": axes, "shapes": (x.shape,)},
            shape,
        )

    def _flipped(self, x: Formula) -> Formula:
        """The transpose of each matrix of a batch."""
        n = len(x.shape)
        shape = (*x.shape[:-2], x.shape[-1], x.shape[-2])
        return Formula(self, self.transpose(x, (*range(n - 2), n - 1, n - 2)), shape)

    def reshape(self, x: Formula, shape: Shape) -> Poly:
        """Another shape; leading ones make no difference, moved ones are moved atom by atom."""
        if strip(x.shape) == strip(shape):
            return x.poly
        if [n for n in x.shape if n != 1] == [n for n in shape if n != 1]:
            return self._realigned(x, shape)
        c, p = self.scalars(x)
        if p.value is not None:
            return c * p
        atom = p.atom
        whole = atom is not None and math.prod(atom.shape) == math.prod(x.shape)  # not repeated
        if atom is not None and atom.op is shaping.reshape and whole:
            inner = Formula(self, atom.args[0], atom.options["shapes"][0])
            return c * self.reshape(inner, shape)
        p = self.filled(p, x.shape)
        return c * self.call(shaping.reshape, (p,), {"shape": shape, "shapes": (x.shape,)}, shape)

    def _realigned(self, x: Formula, shape: Shape) -> Poly:
        """`x` with axes of length 1 put in or taken out."""
        full = [i for i, n in enumerate(x.shape) if n != 1]  # these axes go …
        target = [i for i, n in enumerate(shape) if n != 1]  # … there
        found: list[Poly] = []
        for mono, c in x.poly.terms.items():
            term = self.number(c)
            for atom, e in mono:
                old = (1,) * (len(x.shape) - len(atom.shape)) + tuple(atom.shape[-len(x.shape) :])
                new = [1] * len(shape)
                for i, j in zip(full, target):
                    new[j] = old[i]
                p = self.of(atom)
                if strip(old) != strip(tuple(new)):
                    if atom.op is shaping.reshape and strip(atom.options["shapes"][0]) == strip(
                        tuple(new)
                    ):
                        p = atom.args[0]
                    elif (product := self._without_last(atom, tuple(new))) is not None:
                        p = product
                    else:
                        p = self.call(
                            shaping.reshape,
                            (p,),
                            {"shape": tuple(new), "shapes": (old,)},
                            tuple(new),
                        )
                term = term * self.power(p, e)
            found.append(term)
        return self.total(found)

    def _without_last(self, total: Atom, shape: Shape) -> Poly | None:
        """A sum over the last axis as a product, where it is one and that axis does not stay."""
        if total.op is not reductions.sum or tuple(total.options["axes"]) != (-1,):
            return None
        inner = total.args[0]
        if len(inner.terms) != 1 or tuple(inner.shape[:-1]) != strip(shape):
            return None
        [(mono, c)] = inner.terms.items()
        product = self._contracted(mono, inner.shape, (-1,))
        return None if product is None else product.scaled(c)

    def rebuild(self, atom: Atom, args: tuple[Poly, ...]) -> Poly:
        """The same operation on other formulas of the same shapes, in normal form."""
        op, options = atom.op, atom.options
        if op is None:
            return args[0]
        if op is elementwise.exp:
            return self.exp(args[0])
        if op is reductions.sum:
            return self.sum(args[0], atom.args[0].shape, options["axes"])
        if op is linalg.matmul:
            x, y = (Formula(self, p, s) for p, s in zip(args, options["shapes"]))
            return self.matmul(x, y)
        if op is shaping.transpose:
            return self.transpose(Formula(self, args[0], options["shapes"][0]), options["axes"])
        if op is shaping.reshape:
            return self.reshape(Formula(self, args[0], options["shapes"][0]), options["shape"])
        if "compares" in op.traits:
            return self.compare(op, *args)
        if "shapes" in options:
            formulas = tuple(Formula(self, p, s) for p, s in zip(args, options["shapes"]))
            given = {key: value for key, value in options.items() if key != "shapes"}
            return Formula._apply(op, formulas, given).poly
        return self.call(op, args, options, atom.shape)


def _ones(shape: Any) -> Any:
    return np.ones(shape)


#: Ones where a matrix product needs them written out.
ONES = Primitive(
    _ones, (), shape=lambda *, shape: tuple(shape), numpy="np.ones({shape})", latex=r"\mathbf{{1}}"
)
ONES.name = "ones"


def _eye(n: Any) -> Any:
    return np.eye(n)


#: The identity matrix.
EYE = Primitive(_eye, (), shape=lambda *, n: (n, n), numpy="np.eye({n})", latex="I")
EYE.name = "eye"


def _clip(x: Any, low: Any, high: Any) -> Any:
    return np.clip(x, low, high)


#: What is cut off at two formulas; `TABLE`'s clip takes plain numbers.
CLIP = Primitive(
    _clip, (None,) * 3, traits={"elementwise", "exact", "kinked"}, numpy="np.clip({0}, {1}, {2})",
    latex=r"\operatorname{{clip}}\left({0}, {1}, {2}\right)",
)  # fmt: skip
CLIP.name = "clip"


class Formula(Operators):
    """What flows through the sweep: a polynomial, and the shape of what it stands for.

    A sum is added up when it is looked at: the gradient of what is used many times is added to
    once for each use, and only the whole of it is a formula that anyone needs.
    """

    __slots__ = ("_summands", "algebra", "size")

    def __init__(self, algebra: Algebra, poly: Poly, shape: Shape) -> None:
        self.algebra = algebra
        self._summands: tuple[Poly, ...] = (poly,)
        self.size = shape

    @property
    def poly(self) -> Poly:
        """The polynomial."""
        if len(self._summands) > 1:
            self._summands = (self.algebra.total(self._summands),)
        return self._summands[0]

    def plus(self, other: Formula) -> Formula:
        """The sum of two formulas."""
        total = Formula(self.algebra, self._summands[0], broadcast((self.shape, other.shape)))
        total._summands = (*self._summands, *other._summands)
        return total

    @property
    def shape(self) -> Shape:
        """The shape of what the formula stands for; its atoms alone may have a smaller one."""
        return self.size

    def __repr__(self) -> str:
        return f"Formula({self.poly}, shape={self.shape})"

    @classmethod
    def _apply(cls, op: Primitive, args: tuple[Any, ...], options: dict[str, Any]) -> Formula:
        algebra = next(x.algebra for x in args if isinstance(x, Formula))
        xs = [
            x if isinstance(x, Formula) else Formula(algebra, algebra.number(x), shape_of(x))
            for x in args
        ]
        handle = _HANDLERS.get(op.name)
        if algebra.careful and op is arithmetic.where:
            handle = None
        if handle is not None and TABLE.get(op.name) is op:
            return handle(algebra, xs, options)
        opened = "opened" in op.traits or (op.name not in KEPT_WHOLE and not algebra.careful)
        if op.definition is not None and opened:
            return op.definition(*xs, **options)  # type: ignore[no-any-return]
        return _opaque(algebra, op, xs, options)


def _opaque(algebra: Algebra, op: Primitive, xs: list[Formula], options: dict[str, Any]) -> Formula:
    """An operation as an atom, constant factors taken out where it is linear."""
    shapes = tuple(x.shape for x in xs)
    shape = op.shape_rule(*shapes, **options)
    c, polys = algebra.one, tuple(x.poly for x in xs)
    if "linear" in op.traits and len(xs) == 1:
        c, p = algebra.scalars(xs[0])
        if not p.terms:
            return Formula(algebra, p, shape)
        polys = (p,)
    if "elementwise" in op.traits:
        own = broadcast([p.shape for p in polys])
    else:
        own, polys = shape, tuple(algebra.filled(p, s) for p, s in zip(polys, shapes))
    return Formula(algebra, c * algebra.call(op, polys, {**options, "shapes": shapes}, own), shape)


def _binary(combine: Callable[[Poly, Poly], Poly]) -> Callable[..., Formula]:
    def handle(algebra: Algebra, xs: list[Formula], options: dict[str, Any]) -> Formula:
        x, y = xs
        return Formula(algebra, combine(x.poly, y.poly), broadcast((x.shape, y.shape)))

    return handle


def _unary(change: Callable[[Poly], Poly]) -> Callable[..., Formula]:
    return lambda algebra, xs, options: Formula(algebra, change(xs[0].poly), xs[0].shape)


def _power_constant(algebra: Algebra, xs: list[Formula], options: dict[str, Any]) -> Formula:
    return Formula(algebra, xs[0].poly ** rational(options["n"]), xs[0].shape)


def _sum(algebra: Algebra, xs: list[Formula], options: dict[str, Any]) -> Formula:
    [x] = xs
    n = len(x.shape)
    axes = reductions.axes_of(n, options.get("axis"))
    total = algebra.sum(x.poly, x.shape, [a - n for a in axes])
    kept = reductions.reduced_shape(x.shape, axis=axes, keepdims=True)
    result = Formula(algebra, total, kept)
    if options.get("keepdims"):
        return result
    shape = reductions.reduced_shape(x.shape, axis=axes)
    return Formula(algebra, algebra.reshape(result, shape), shape)


def _sum_to(algebra: Algebra, xs: list[Formula], options: dict[str, Any]) -> Formula:
    [x], small = xs, options["shape"]
    n = len(x.shape)
    lead, kept = shaping.summed_axes(x.shape, small)
    return Formula(algebra, algebra.sum(x.poly, x.shape, [a - n for a in lead + kept]), small)


def _where(algebra: Algebra, xs: list[Formula], options: dict[str, Any]) -> Formula:
    condition, x, y = xs
    mask = algebra.compare(arithmetic.not_equal, condition.poly, algebra.zero)
    poly = mask * x.poly + (algebra.one - mask) * y.poly
    return Formula(algebra, poly, broadcast(s.shape for s in xs))


def _reshape(algebra: Algebra, xs: list[Formula], options: dict[str, Any]) -> Formula:
    given = lengths(options["shape"])
    shape = shaping._reshaped(xs[0].shape, shape=given)
    shape = tuple(n if isinstance(n, Size) else s for n, s in zip(given, shape))
    return Formula(algebra, algebra.reshape(xs[0], shape), shape)


def _indexing(op: Primitive) -> Callable[..., Formula]:
    """Indexing, or its inverse; of everything it is nothing."""

    def handle(algebra: Algebra, xs: list[Formula], options: dict[str, Any]) -> Formula:
        [x], index = xs, options["index"]
        shape = op.shape_rule(x.shape, **options)
        parts = parts_of(index)
        large, small = (x.shape, shape) if op is shaping.getitem else (shape, x.shape)
        if not large and math.prod(small) == 1:  # a number has no parts
            return Formula(algebra, algebra.reshape(x, shape), shape)
        if all(isinstance(p, slice) for p in parts) and all(
            p.indices(int(n)) == (0, n, 1) for p, n in zip(parts, large)
        ):
            return Formula(algebra, x.poly, large)
        bare = without_new_axes(index, len(large))
        if bare is not None:
            return _with_new_axes(algebra, op, x, options, bare)
        label = picked(index, large)
        if label is not None:
            return _picking(algebra, op, x, large, *label)
        return _opaque(algebra, op, xs, options)

    return handle


def _with_new_axes(
    algebra: Algebra, op: Primitive, x: Formula, options: dict[str, Any], bare: tuple[Any, ...]
) -> Formula:
    """An index with ``None`` in it: one without, and a reshape; of ``:`` beside, a reshape only."""
    large = x.shape if op is shaping.getitem else tuple(options["shape"])
    if op is shaping.getitem:
        inner = x
        if not all(is_whole(part) or part is Ellipsis for part in bare):
            inner = op(x, index=bare)
        new = put_in(options["index"], _taken(large, bare))
        return Formula(algebra, algebra.reshape(inner, new), new)
    small = _taken(large, bare)
    inner = Formula(algebra, algebra.reshape(x, small), small)
    if all(is_whole(part) or part is Ellipsis for part in bare):
        return Formula(algebra, inner.poly, large)
    return op(inner, index=bare, shape=large)  # type: ignore[no-any-return]


def _taken(shape: Shape, index: Any) -> Shape:
    """The shape that an index gives, lengths of whole axes by what they are called."""
    found = list(shaping.getitem.shape_rule(shape, index=index))
    parts = parts_of(index)
    front = parts[: parts.index(Ellipsis)] if Ellipsis in parts else parts
    place = 0
    for n, part in zip(shape, front):
        if is_whole(part):
            found[place] = n
        place += isinstance(part, slice)
    rest = 0 if Ellipsis in parts else len(shape) - len(parts)
    if rest:
        found[-rest:] = shape[-rest:]
    return tuple(found)


def _picking(
    algebra: Algebra, op: Primitive, x: Formula, large: Shape, axis: int, labels: Any
) -> Formula:
    """One entry of each row: the sum of its products with the one-hot labels; the other way round
    the entry times these."""
    index = (slice(None), labels) if axis == 0 and len(large) > 1 else labels
    one_hot = algebra.call(ONE_HOT, (), {"n": large[axis], "index": index}, large)
    kept = tuple(1 if i == axis else n for i, n in enumerate(large))
    small = tuple(n for i, n in enumerate(large) if i != axis)
    if op is shaping.getitem:
        total = algebra.sum(one_hot * x.poly, large, [axis - len(large)])
        return Formula(algebra, algebra.reshape(Formula(algebra, total, kept), small), small)
    return Formula(algebra, one_hot * algebra.reshape(x, kept), large)


def _comparison(op: Primitive) -> Callable[..., Formula]:
    return lambda algebra, xs, options: Formula(
        algebra, algebra.compare(op, xs[0].poly, xs[1].poly), broadcast((xs[0].shape, xs[1].shape))
    )


_HANDLERS: dict[str, Callable[[Algebra, list[Formula], dict[str, Any]], Formula]] = {
    "add": lambda algebra, xs, options: xs[0].plus(xs[1]),
    "subtract": _binary(lambda x, y: x - y),
    "multiply": _binary(lambda x, y: x * y),
    "divide": _binary(lambda x, y: x * y**-1),
    "negative": _unary(lambda x: x.scaled(-1)),
    "positive": _unary(lambda x: x),
    "power_constant": _power_constant,
    "sqrt": _unary(lambda x: x ** Fraction(1, 2)),
    "exp": _unary(lambda x: x.algebra.exp(x)),
    "where": _where,
    "sum": _sum,
    "sum_to": _sum_to,
    "broadcast_to": lambda algebra, xs, options: Formula(
        algebra, xs[0].poly, tuple(options["shape"])
    ),
    "reshape": _reshape,
    "getitem": _indexing(shaping.getitem),
    "scatter": _indexing(shaping.scatter),
    "transpose": lambda algebra, xs, options: Formula(
        algebra,
        algebra.transpose(xs[0], options.get("axes")),
        shaping.transpose.shape_rule(xs[0].shape, axes=options.get("axes")),
    ),
    "matmul": lambda algebra, xs, options: Formula(
        algebra,
        algebra.matmul(*xs),
        linalg.matmul.shape_rule(xs[0].shape, xs[1].shape),
    ),
    **{name: _comparison(op) for name, op in TABLE.items() if "compares" in op.traits},
}
