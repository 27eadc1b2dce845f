"""The normal form of a formula: a sum of (rational number) x (atoms to rational powers).

An atom is a name, or whatever the algebra does not look into (``exp(u)``, a matrix product, a sum
over an axis, a mask, a compound denominator). A leading axis of length 1 means nothing to
element-wise algebra and is ignored here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from tinygrad_edu.core.primitive import GradError, Primitive, Shape

Number = int | Fraction
Monomial = tuple[tuple["Atom", Number], ...]


class Atom:
    """What the algebra does not look into: a name, an operation on formulas, a compound base."""

    __slots__ = (
        "args",
        "constant",
        "deep",
        "id",
        "mask",
        "name",
        "op",
        "options",
        "positive",
        "shape",
    )

    id: int
    op: Primitive | None  # None: a name, or (with an argument) the base of a power
    args: tuple[Poly, ...]
    name: str
    options: Any
    shape: Shape
    mask: bool  # only 0 and 1: its powers are itself, and nothing is ever divided by it
    positive: bool
    constant: bool  # a given number such as m or eps: dividing by it is harmless
    deep: frozenset[Atom]  # itself and all atoms inside

    @property
    def is_base(self) -> bool:
        return self.op is None and bool(self.args)

    @property
    def is_name(self) -> bool:
        return self.op is None and not self.args

    @property
    def is_single(self) -> bool:
        """A single number; not what the user holds as a (1, 1) array."""
        return not (self.shape if self.is_name else strip(self.shape))

    def __repr__(self) -> str:
        if self.is_name:
            return self.name
        return f"{self.op.name if self.op else 'base'}({', '.join(map(repr, self.args))})"


def rational(x: Any) -> Number:
    """A number as an exact fraction: 1/3 where it is that, else the decimal as it is written."""
    if isinstance(x, float) and x.is_integer() and abs(x) < 1e15:
        return int(x)
    if isinstance(x, (int, np.integer)):
        return int(x)
    if isinstance(x, Fraction):
        return x.numerator if x.denominator == 1 else x
    if np.ndim(x) or not np.isfinite(x):
        what = f"an array of shape {np.shape(x)}" if np.ndim(x) else f"the number {x}"
        raise GradError(f"derive: {what} as an option of an operation has no formula")
    x = float(x)
    near = Fraction(x).limit_denominator(999)
    return rational(near) if float(near) == x else Fraction(repr(x))


def ratio(c: Number, d: Number) -> Number:
    """``c / d``, whole numbers as such."""
    if type(c) is int and type(d) is int and c % d == 0:
        return c // d
    return rational(Fraction(c) / d)


def strip(shape: Shape) -> Shape:
    """A shape without its leading ones."""
    for i, n in enumerate(shape):
        if n != 1:
            return shape[i:]
    return ()


def broadcast(shapes: Iterable[Shape]) -> Shape:
    """The shape of an element-wise result, keeping what the lengths are called."""
    out: list[int] = []
    last: Shape = ()
    for shape in shapes:
        if shape is last:
            continue
        last = shape
        if not out:
            out = [1 if n == 1 else n for n in shape]
            continue
        if len(shape) > len(out):
            out = [1] * (len(shape) - len(out)) + out
        for i, n in enumerate(shape, len(out) - len(shape)):
            if n != 1 and (out[i] == 1 or type(out[i]) is int):
                out[i] = n
    return tuple(out)


class Arithmetic(Protocol):
    """What polynomials compute with: the ring they belong to."""

    def poly(self, terms: dict[Monomial, Number], /) -> Poly:
        """The polynomial with these terms."""

    def number(self, x: Any, /) -> Poly:
        """A plain number."""

    def add(self, p: Poly, q: Poly, /) -> Poly:
        """``p + q``."""

    def multiply(self, p: Poly, q: Poly, /) -> Poly:
        """``p * q``."""

    def power(self, p: Poly, n: Number, /) -> Poly:
        """``p ** n``."""

    def single(self, p: Poly, /) -> Any:
        """A single number as a formula."""


class Poly:
    """A sum of terms; interned, immutable."""

    __slots__ = ("_deep", "_full", "_shape", "algebra", "id", "terms")

    algebra: Arithmetic
    terms: dict[Monomial, Number]
    id: int

    def __init__(self, algebra: Arithmetic, terms: dict[Monomial, Number], number: int) -> None:
        self.algebra, self.terms, self.id = algebra, terms, number
        # Most are stages on the way to others, and never asked for these.
        self._full: Shape | None = None
        self._shape: Shape | None = None
        self._deep: frozenset[Atom] | None = None

    @property
    def full(self) -> Shape:
        """Its shape with the leading ones that its atoms have when written down."""
        if self._full is None:
            shapes = [atom.shape for atom in sorted(self.atoms(), key=lambda atom: atom.id)]
            self._full = tuple(shapes[0]) if len(shapes) == 1 else broadcast(shapes)
        return self._full

    @property
    def shape(self) -> Shape:
        """Its shape without leading ones."""
        if self._shape is None:
            self._shape = strip(self.full)
        return self._shape

    @property
    def deep(self) -> frozenset[Atom]:
        """All atoms in it, those inside others too."""
        if self._deep is None:
            found = [atom.deep for atom in self.atoms()]
            self._deep = found[0] if len(found) == 1 else frozenset().union(*found)
        return self._deep

    def __add__(self, other: Poly) -> Poly:
        return self.algebra.add(self, other)

    def __sub__(self, other: Poly) -> Poly:
        return self.algebra.add(self, other.scaled(-1))

    def __mul__(self, other: Poly) -> Poly:
        return self.algebra.multiply(self, other)

    def __pow__(self, n: Number) -> Poly:
        return self.algebra.power(self, n)

    def __truediv__(self, other: Poly) -> Poly:
        return self * other**-1

    def scaled(self, c: Number) -> Poly:
        """Times a number."""
        if c == 1:
            return self
        return self.algebra.poly({m: k * c for m, k in self.terms.items()})

    @property
    def value(self) -> Number | None:
        """The number this is, or None if it has atoms."""
        if not self.terms:
            return 0
        return self.terms.get(()) if len(self.terms) == 1 else None

    @property
    def atom(self) -> Atom | None:
        """The single atom this is, or None."""
        if len(self.terms) == 1:
            [(mono, c)] = self.terms.items()
            if c == 1 and len(mono) == 1 and mono[0][1] == 1:
                return mono[0][0]
        return None

    def atoms(self) -> set[Atom]:
        """The atoms of its terms, not those inside them."""
        return {atom for mono in self.terms for atom, _ in mono}

    def __repr__(self) -> str:
        return " + ".join(
            "*".join([str(c), *(f"{a}^{e}" if e != 1 else f"{a}" for a, e in mono)])
            for mono, c in self.terms.items()
        ) or "0"  # fmt: skip


def by_id(factor: tuple[Atom, Number]) -> int:
    """The order of the factors of a product."""
    return factor[0].id


def times(x: Monomial, y: Monomial) -> Monomial:
    """The product of two monomials."""
    if not x or not y:
        return x or y
    if x[-1][0].id < y[0][0].id:
        return x + y
    if y[-1][0].id < x[0][0].id:
        return y + x
    powers = dict(x)
    for atom, e in y:
        e += powers.get(atom, 0)
        if atom.mask and e > 1:
            e = 1
        if e:
            powers[atom] = e
        else:
            del powers[atom]
    return tuple(sorted(powers.items(), key=by_id))


def varies(shape: Shape, axis: int) -> bool:
    """Does something of this shape vary along an axis counted from the right?"""
    return len(shape) >= -axis and shape[axis] != 1


def span_of_powers(powers: Iterable[tuple[Number, ...]]) -> tuple[list[Number], list[Number]]:
    """The lowest and the highest power of each atom."""
    columns = list(zip(*powers))
    return [min(column) for column in columns], [max(column) for column in columns]


def number_content(numbers: Iterable[Number], always: bool = False) -> Number:
    """The largest number that divides all; 1 if decimals are among them, unless `always`."""
    top, bottom = 0, 1
    for c in numbers:
        if c.denominator > 1000 and not always:
            return 1
        top, bottom = math.gcd(top, c.numerator), math.lcm(bottom, c.denominator)
    return ratio(top, bottom)


def natural_sign(p: Poly) -> int:
    """1 where p reads as one would write it: ``1 - A``, computed minus given."""
    lead = min(p.terms, key=lambda mono: (len(mono), [(-atom.id, e) for atom, e in reversed(mono)]))
    return 1 if p.terms[lead] > 0 else -1


def term_order(mono: Monomial) -> Any:
    """The order of the terms of a sum."""
    return [(atom.id, e) for atom, e in mono]
