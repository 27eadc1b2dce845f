"""Relations: what a named node's definition says of the atoms in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from tinygrad_edu.core.ops import elementwise, reductions
from tinygrad_edu.rules.expression import Algebra
from tinygrad_edu.rules.indices import EYE, ONE_HOT
from tinygrad_edu.rules.poly import Atom, Monomial, Number, Poly, ratio, rational, strip
from tinygrad_edu.words import say

#: What has a name of its own divided by another.
QUOTIENTS = {
    elementwise.sinh: (elementwise.cosh, elementwise.tanh),
    elementwise.sin: (elementwise.cos, elementwise.tan),
}


@dataclass(frozen=True)
class Relation:
    """``atom**power = value``, because of what `source` (a named node) is defined as."""

    atom: Atom
    power: Number
    value: Poly
    source: Poly
    reason: str  # "definition", "virtual", or the fact in words

    #: The atom is replaced only in products that hold these factors too, and with them: where the
    #: definition multiplies by a mask nothing can be divided by, or dividing would only lengthen.
    along: Monomial = ()

    @cached_property
    def needs(self) -> frozenset[Atom]:
        """Atoms without which it leads nowhere: what the value divides out or takes away again."""
        others = [a for a in self.value.deep if a not in self.source.deep and not a.is_base]
        return frozenset(a for a in others if not a.constant).union(a for a, _ in self.along)

    @cached_property
    def frozen(self) -> frozenset[Atom]:
        """Atoms of the value that hold the atom themselves: not to be substituted into."""
        return frozenset(a for a in self.value.deep if a is not self.atom and self.atom in a.deep)


def solutions(
    algebra: Algebra, name: Poly, definition: Poly, reason: str, only: Atom | None = None
) -> Iterator[Relation]:
    """``N = (a tᵏ + b)/(c tᵏ + d)`` solved for tᵏ, for every atom t that allows it."""
    masked = _masked(name, definition, reason)
    if masked is not None:
        yield masked
        return
    inside = set(definition.atoms())
    for atom in list(inside):
        if atom.is_base:
            inside |= atom.args[0].atoms()
    for t in sorted(inside, key=lambda a: a.id) if only is None else [only]:
        relation = _solved_for(t, algebra, name, definition, reason)
        if relation is not None:
            yield relation


def _solved_for(
    t: Atom, algebra: Algebra, name: Poly, definition: Poly, reason: str
) -> Relation | None:
    if t.mask or strip(t.shape) != strip(name.shape):
        return None  # replacing a small thing by a large one would change shapes
    if definition.atom is t:
        return Relation(t, 1, name, name, reason)
    # Where it is no fraction in t there are no powers of t to tell apart.
    top, bottom = _fraction(algebra, definition, t) or (algebra.zero, algebra.zero)
    powers = sorted({dict(mono).get(t, 0) for p in (top, bottom) for mono in p.terms})
    if len(powers) != 2:
        return None
    low, high = powers
    a, b = _coefficient(algebra, top, t, high), _coefficient(algebra, top, t, low)
    c, d = _coefficient(algebra, bottom, t, high), _coefficient(algebra, bottom, t, low)
    if not (a * d - b * c).terms:
        return None  # N does not depend on t: a softmax over an axis of length 1
    down = name * c - a
    if not down.terms or any(x.mask for x in down.atoms()):
        return None  # a mask may be zero
    value = (b - name * d) * down**-1
    if t in value.atoms():
        return None
    if len(value.terms) > 1:
        value = algebra.together(value)
    return Relation(t, rational(high - low), value, name, reason)


def identities(algebra: Algebra, atom: Atom) -> Iterator[Relation]:
    """What holds of an operation whatever it is of: ``x^(y−1) = x^y/x``, ``sign(x)/|x| = 1/x``,
    ``sinh x / cosh x = tanh x``."""
    p, reason = algebra.of(atom), say("why.always")
    if atom.op is elementwise.power:
        base, exponent = atom.args
        less = exponent.terms.get((), 0)
        if less and less == int(less) and less < 0:
            args = (base, exponent - algebra.number(less))
            yield Relation(atom, 1, algebra.rebuild(atom, args) * base ** int(less), p, reason)
    elif atom.op is elementwise.sign:
        [x] = atom.args
        size = algebra.call(elementwise.absolute, atom.args, atom.options, atom.shape)
        assert size.atom is not None
        yield Relation(atom, 1, x**-1, p, reason, ((size.atom, -1),))
        if x.atom is not None:
            yield Relation(atom, 1, size, p, reason, ((x.atom, 1),))
    elif atom.op in QUOTIENTS:
        below, quotient = (
            algebra.call(op, atom.args, atom.options, atom.shape) for op in QUOTIENTS[atom.op]
        )
        assert below.atom is not None
        yield Relation(atom, 1, quotient, p, reason, ((below.atom, -1),))


def _masked(name: Poly, definition: Poly, reason: str) -> Relation | None:
    """``N = c M t`` with masks M: in products that hold M, t is N / c."""
    if len(definition.terms) != 1:
        return None
    [(mono, number)] = definition.terms.items()
    masks = tuple(f for f in mono if f[0].mask)
    rest = [f for f in mono if not f[0].mask]
    if not masks or len(rest) != 1 or strip(rest[0][0].shape) != strip(name.shape):
        return None
    return Relation(*rest[0], name.scaled(ratio(1, number)), name, reason, masks)


def _fraction(algebra: Algebra, p: Poly, t: Atom) -> tuple[Poly, Poly] | None:
    """`p` as numerator and denominator, the compound denominator with t in it written out."""
    holding = [a for a in p.atoms() if a.is_base and a is not t and t in a.args[0].deep]
    if not holding:
        return p, algebra.one
    if len(holding) > 1 or t not in holding[0].args[0].atoms():
        return None
    base = holding[0]
    if any(dict(mono).get(base, 0) not in (0, -1) for mono in p.terms):
        return None
    return algebra.over(p, base, 1), base.args[0]


def _coefficient(algebra: Algebra, p: Poly, t: Atom, e: Number) -> Poly:
    found: dict[Monomial, Number] = {
        tuple(f for f in mono if f[0] is not t): c
        for mono, c in p.terms.items()
        if dict(mono).get(t, 0) == e
    }
    return algebra.poly(found)


def pick_of(total: Atom) -> tuple[Atom, Poly] | None:
    """The one-hot labels, or the identity matrix, and the entries in a sum of their products; None
    if it is none."""
    if total.op is not reductions.sum or len(total.args[0].terms) != 1:
        return None
    [(mono, c)] = total.args[0].terms.items()
    labels = [a for a, e in mono if a.op in (ONE_HOT, EYE)]
    if c != 1 or len(labels) != 1:
        return None
    [one_hot] = labels
    first = isinstance(one_hot.options.get("index"), tuple)
    places = [-2, -1] if one_hot.op is EYE else [-len(one_hot.shape) if first else -1]
    if tuple(total.options["axes"]) not in [(axis,) for axis in places]:
        return None
    algebra = total.args[0].algebra
    return one_hot, algebra.poly({tuple(f for f in mono if f[0] is not one_hot): 1})


def without(mono: Monomial, relation: Relation) -> Monomial | None:
    """The product without what the relation replaces in it; None if it does not hold that."""
    powers = dict(mono)
    for atom, e in ((relation.atom, relation.power), *relation.along):
        held = powers.get(atom, 0)
        if not (held >= e > 0 or held <= e < 0):
            return None
        powers[atom] = held - e
    if any(atom.mask for atom, _ in relation.along) and powers[relation.atom]:
        return None  # the mask stands for all its powers
    return tuple(f for f in powers.items() if f[1])
