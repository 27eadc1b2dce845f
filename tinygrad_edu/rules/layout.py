"""How a formula is laid out: of a few ways to write a polynomial, the cheapest.

`Layout.arrange` tries the flat sum, common factors in front, factors found by division, collecting
by one atom, `where` by a mask, and sums joined under one Σ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_edu.core.ops import elementwise, linalg, reductions, shaping
from tinygrad_edu.core.primitive import Shape
from tinygrad_edu.rules.expression import CLIP, Algebra
from tinygrad_edu.rules.indices import slice_of
from tinygrad_edu.rules.poly import (
    Atom,
    Monomial,
    Number,
    Poly,
    natural_sign,
    number_content,
    ratio,
    rational,
    strip,
    varies,
)
from tinygrad_edu.rules.sizes import hashable
from tinygrad_edu.rules.terms import Terms
from tinygrad_edu.rules.trees import Tree, add, bracketed, call, power, shaped, where

#: Above this many terms only the flat form and common factors are tried.
MANY_TERMS = 12


class Layout(Terms):
    """Lays polynomials out; remembers what it has laid out."""

    def __init__(
        self,
        algebra: Algebra,
        is_gradient: Callable[[Atom], bool] = lambda atom: False,
        is_given: Callable[[Atom], bool] = lambda atom: False,
    ) -> None:
        super().__init__(algebra, is_gradient, is_given)
        self._known: dict[Poly, tuple[Tree, Tree]] = {}  # on its own; as a factor of a product
        self._memories: dict[frozenset[Poly], Any] = {}
        self.average_over(frozenset())

    def average_over(self, lengths: frozenset[Poly]) -> None:
        """From now on a sum over axes of these lengths, divided by them, is written as a mean."""
        self.averaged = lengths
        self._known, self._atoms = self._memories.setdefault(lengths, ({}, {}))

    def cost(self, poly: Poly) -> float:
        """What writing it costs."""
        return self.arrange(poly).cost

    def arrange(self, poly: Poly) -> Tree:
        """The cheapest way to write `poly` found."""
        return self._best(poly)[0]

    def factor(self, poly: Poly) -> Tree:
        """The cheapest way to write `poly` in a product, where a sum needs brackets."""
        return self._best(poly)[1]

    def _best(self, poly: Poly) -> tuple[Tree, Tree]:
        known = self._known.get(poly)
        if known is None:
            forms = self._forms(poly)
            alone = min(forms, key=lambda tree: tree.cost)
            inside = min(forms, key=lambda tree: tree.cost + bracketed(tree, "add"))
            known = self._known[poly] = alone, inside
        return known

    def _forms(self, p: Poly) -> list[Tree]:
        self.algebra.work -= len(p.terms)
        if len(p.terms) <= 1:
            return [self.plain(p)]
        shared = self._shared(p)
        if shared:
            c = number_content(p.terms.values())
            return [self._with_factor(p, shared, k) for k in ((c, 1) if c != 1 else (1,))]
        if (tiled := self._tiled(p)) is not None:
            return [tiled]
        forms: list[Tree] = []
        if (joined := self._joined(p)) is not None:
            forms.append(
                self.arrange(joined) if len(joined.terms) < len(p.terms) else self.plain(joined)
            )
        # A factor that is a single number is worth its place in front even if some terms lack it.
        down = {
            a: e for mono in p.terms for a, e in mono if e < 0 and not strip(a.shape) and a.is_name
        }
        c = number_content(p.terms.values())
        if down or c != 1:
            forms.append(self._with_factor(p, down, c))
            if down and c != 1:
                forms.append(self._with_factor(p, down, 1))
        if len(p.terms) <= MANY_TERMS and self.algebra.work > 0:
            forms += self._linear(p)
            forms += self._by_sums(p)
            if (factored := self._zero_at_one(p)) is not None:
                return [*forms, factored]
            forms += self._split_by_mask(p)
            forms += self._collected(p)
        forms.append(self.plain(p))  # last: where it is no shorter, factors in front read better
        return forms

    # --- a factor in front -----------------------------------------------------------------------

    def _shared(self, p: Poly) -> dict[Atom, Number]:
        """The powers that all terms have in common."""
        monos = iter(p.terms)
        shared = dict(next(monos))
        for mono in monos:
            powers = dict(mono)
            shared = {
                a: (min if e > 0 else max)(e, powers[a])
                for a, e in shared.items()
                if a in powers and e * powers[a] > 0
            }
            if not shared:
                break
        return shared

    def _with_factor(self, p: Poly, factor: dict[Atom, Number], c: Number) -> Tree:
        """``factor * (p / factor)``."""
        mono = tuple(sorted(factor.items(), key=lambda f: f[0].id))
        rest: dict[Monomial, Number] = {}
        for m, k in p.terms.items():
            powers = dict(m)
            for a, e in mono:
                left = powers.get(a, 0) - e
                if left:
                    powers[a] = left
                else:
                    powers.pop(a, None)
            key = tuple(sorted(powers.items(), key=lambda f: f[0].id))
            rest[key] = rational(rest.get(key, 0) + ratio(k, c))
        top, bottom = self._factors(mono, c)
        return self._times(top, bottom, self.algebra.poly(rest))

    def _times(self, top: list[Tree], bottom: list[Tree], p: Poly) -> Tree:
        inner = self.factor(p)
        if inner.kind == "add" and all(sign < 0 for sign in inner.value):
            return add([(-1, self.product([*top, self.factor(p.scaled(-1))], bottom))])
        return self.product([*top, inner], bottom)

    # --- factors by division ---------------------------------------------------------------------

    def _linear(self, p: Poly) -> list[Tree]:
        """``p = Q (x + R/Q)`` for each atom x in which p is linear."""
        if len(p.terms) < 3:
            return []
        forms = [self._linear_in(p, atom) for atom in sorted(p.atoms(), key=lambda a: a.id)]
        return [form for form in forms if form is not None]

    def _by_sums(self, p: Poly) -> list[Tree]:
        """``sⁿ Q`` for the sums s of the forward lines that divide it."""
        forms = []
        for s in self.algebra.sums_of(p):
            rest, n = p, 0
            while len(s.terms) < len(p.terms) and (q := self.algebra.divide(rest, s)) is not None:
                if len(q.terms) >= len(rest.terms):
                    break
                rest, n = q, n + 1
            if n:
                forms.append(self._times([power(self.factor(s), n)], [], rest))
        return forms

    def _zero_at_one(self, p: Poly) -> Tree | None:
        """``(1 − x²) Q``, ``(1 − x) Q`` or ``(1 + x) Q`` for the first atom x that allows it: the
        others are found in Q, and nothing else reads as well."""
        if len(p.terms) < 3:
            return None
        atoms = sorted(p.atoms(), key=lambda a: a.id)
        return next(filter(None, (self._zero_at_one_of(p, atom) for atom in atoms)), None)

    def _linear_in(self, p: Poly, atom: Atom) -> Tree | None:
        """``Q (x + R/Q)``."""
        powers = [e for mono in p.terms for a, e in mono if a is atom]
        if not 1 < len(powers) < len(p.terms) or any(e != 1 for e in powers):
            return None
        with_x, without = self._split(p, atom)
        shared = self._shared(with_x)
        if any(a.mask for a in shared):
            shared = {}  # a mask divides nothing
        q = self._quotient(with_x, shared)
        rest = self.algebra.divide(without, q)
        if rest is None or len(rest.terms) >= len(p.terms) - 1:
            return None
        return self._of_two(q, self._multiple(shared, atom) + rest)

    def _zero_at_one_of(self, p: Poly, atom: Atom) -> Tree | None:
        if atom.mask or any(e != int(e) for mono in p.terms for a, e in mono if a is atom):
            return None
        at_one, at_minus_one = _zero_at_one_and_minus_one(p, atom)
        if not at_one and not at_minus_one:
            return None
        one, x = self.algebra.one, self.algebra.of(atom)
        factor = one + x
        if at_one:
            factor = one - x * x if at_minus_one else one - x
        rest = self.algebra.divide(p, factor)
        if rest is None or len(rest.terms) >= len(p.terms):
            return None
        return self._of_two(factor, rest)

    def _of_two(self, p: Poly, q: Poly) -> Tree:
        signs = [natural_sign(p), natural_sign(q)]
        if signs[0] * signs[1] < 0:
            # One minus is left: better Y - A than a minus in front of everything.
            i = (
                0
                if () not in p.terms and len(p.terms) > 1
                else 1
                if () not in q.terms and len(q.terms) > 1
                else None
            )
            if i is not None:
                signs[i] = -signs[i]
        x, y = self.factor(p.scaled(signs[0])), self.factor(q.scaled(signs[1]))
        return add([(signs[0] * signs[1], self.product([x, y], []))])

    def _multiple(self, shared: dict[Atom, Number], atom: Atom) -> Poly:
        powers = {**shared, atom: shared.get(atom, 0) + 1}
        return self.algebra.poly({tuple(sorted(powers.items(), key=lambda f: f[0].id)): 1})

    def _quotient(self, p: Poly, shared: dict[Atom, Number]) -> Poly:
        inverse = self.algebra.poly(
            {tuple((a, -e) for a, e in sorted(shared.items(), key=lambda f: f[0].id)): 1}
        )
        return self.algebra.expanded(p, inverse)

    def _split(self, p: Poly, atom: Atom) -> tuple[Poly, Poly]:
        """``p = x * first + second`` where x occurs to no other power."""
        first: dict[Monomial, Number] = {}
        second: dict[Monomial, Number] = {}
        for mono, c in p.terms.items():
            rest = tuple([f for f in mono if f[0] is not atom])
            (first if len(rest) < len(mono) else second)[rest] = c
        return self.algebra.poly(first), self.algebra.poly(second)

    # --- in parts --------------------------------------------------------------------------------

    def _collected(self, p: Poly) -> list[Tree]:
        """``x Q + R`` for the two atoms that occur in most terms."""
        if len(p.terms) < 3:
            return []
        counts: dict[Atom, int] = {}
        for mono in p.terms:
            for atom, _ in mono:
                counts[atom] = counts.get(atom, 0) + 1
        best = sorted((a for a, n in counts.items() if n > 1), key=lambda a: (-counts[a], a.id))[:3]
        forms = []
        for atom in best:
            mine = {m: c for m, c in p.terms.items() if any(a is atom for a, _ in m)}
            rest = self.algebra.poly({m: c for m, c in p.terms.items() if m not in mine})
            if rest.terms:
                forms.append(self._sum_of_two(self.algebra.poly(mine), rest))
        return forms

    def _sum_of_two(self, p: Poly, q: Poly) -> Tree:
        parts: list[tuple[int, Tree]] = []
        for poly in (p, q):
            tree = self.arrange(poly)
            if tree.kind == "add":
                parts.extend(zip(tree.value, tree.parts))
            else:
                parts.append((1, tree))
        return add(sorted(parts, key=lambda part: not _holds_product(part[1])))

    def _split_by_mask(self, p: Poly) -> list[Tree]:
        """``where(mask, p at 1, p at 0)`` for a comparison."""
        forms = []
        for atom in sorted(p.atoms(), key=lambda a: a.id):
            if atom.op is not None and "compares" in atom.op.traits:
                zero = {m: c for m, c in p.terms.items() if all(a is not atom for a, _ in m)}
                one: dict[Monomial, Number] = dict(zero)
                for mono, c in p.terms.items():
                    if mono not in zero:
                        rest = tuple(f for f in mono if f[0] is not atom)
                        one[rest] = one.get(rest, 0) + c
                if zero:
                    taken, other = self.algebra.poly(one), self.algebra.poly(zero)
                    forms.append(where(self.atom(atom), self.arrange(taken), self.arrange(other)))
                    forms += self._clipped(atom, taken, other)
        return forms

    def _clipped(self, mask: Atom, one: Poly, zero: Poly) -> list[Tree]:
        """``where(abs(x) <= c, k x, k c sign(x))`` is k times x, cut off at −c and c."""
        if len(mask.args) != 2:
            return []
        large, small = mask.args
        for c, size, inside, outside in ((large, small, one, zero), (small, large, zero, one)):
            c_positive = all(
                k > 0 and all(a.positive and a.is_single for a, _ in mono)
                for mono, k in c.terms.items()
            )
            if size.atom is None or size.atom.op is not elementwise.absolute or not c_positive:
                continue
            x = size.atom.args[0]
            sign = self.algebra.call(
                elementwise.sign, (x,), {"shapes": (size.atom.shape,)}, x.shape
            )
            k = self.algebra.divide(inside, x)
            if k is not None and outside is k * c * sign:
                bounds = (self.arrange(c.scaled(-1)), self.arrange(c))
                return [
                    self.product([self.factor(k), call(CLIP, (self.arrange(x), *bounds), {})], [])
                ]
        return []

    def _tiled(self, p: Poly) -> Tree | None:
        """What is scattered to slices that cover an axis is these parts one after another."""
        groups: dict[Any, dict[int, list[tuple[int, Atom, Poly]]]] = {}
        for mono, c in p.terms.items():
            cuts = [atom for atom, e in mono if atom.op is shaping.scatter and e == 1]
            if len(cuts) != 1:
                continue
            [atom] = cuts
            cut = slice_of(atom.options["index"], atom.shape)
            if cut is not None:
                axis, start, stop = cut
                factor = self.algebra.poly({tuple(f for f in mono if f[0] is not atom): c})
                at = groups.setdefault((axis, tuple(atom.shape)), {})
                at.setdefault(start, []).append((stop, atom, factor))
        for (axis, shape), pieces in groups.items():
            inside = _covering(pieces, int(shape[axis]))
            if inside is None:
                continue
            # What all have before them stays before all; else each has its own.
            factors = {factor for piece in inside for _, factor in piece}
            common = factors.pop() if len(factors) == 1 else self.algebra.one
            if not factors or all(f.shape == () for f in factors):
                return self._concatenated(p, axis, shape, inside, common)
        return None

    def _concatenated(
        self, p: Poly, axis: int, shape: Shape, inside: list[list[tuple[Atom, Poly]]], common: Poly
    ) -> Tree:
        """`p` with the slices in it joined."""
        parts, rest = [], p
        for piece in inside:
            added = []
            for atom, factor in piece:
                own = self.algebra.one if factor is common else factor
                added.append(own * atom.args[0])
                rest = rest - factor * self.algebra.of(atom)
            total = self.algebra.total(added)
            parts.append(shaped(self.arrange(total), piece[0][0].options["shapes"][0]))
        options = {"axis": axis} if axis else {}
        joined = call(shaping.joined, tuple(parts), options)
        if common is not self.algebra.one:
            [(mono, c)] = common.terms.items()
            top, bottom = self._factors(mono, c)
            joined = add([(1 if c > 0 else -1, self.product([*top, joined], bottom))])
        return joined if not rest.terms else add([(1, joined), (1, self.arrange(rest))])

    # --- under one sum, in one product -----------------------------------------------------------

    def _joined(self, p: Poly) -> Poly | None:
        """Sums over the same axes, and products with a shared matrix, brought under one."""
        used: set[tuple[Monomial, Atom]] = set()
        result = [p]
        for key, all_members in self._groups(p).items():
            rest, how = key[0], key[1]
            members = [(atom, c) for atom, c in all_members if (rest, atom) not in used]
            if len(members) < 2:
                continue
            parts = []
            for atom, c in members:
                used.add((rest, atom))
                parts.append(atom.args[0 if how == "sum" else 1 - how].scaled(c))
                result.append(self.algebra.poly({rest: -c}) * self.algebra.of(atom))
            inside = self.algebra.total(parts)
            if not inside.terms:
                continue
            together = self._under_one(key, inside, members[0][0])
            if together is None:
                return None
            result.append(self.algebra.poly({rest: 1}) * together)
        return self.algebra.total(result) if len(result) > 1 else None

    def _groups(self, p: Poly) -> dict[Any, list[tuple[Atom, Number]]]:
        """The sums that are over the same axes, the products that share a matrix on one side."""
        groups: dict[Any, list[tuple[Atom, Number]]] = {}
        for mono, c in p.terms.items():
            for i, (atom, e) in enumerate(mono):
                if e != 1:
                    continue
                rest = mono[:i] + mono[i + 1 :]
                if atom.op is reductions.sum:
                    axes, full = tuple(atom.options["axes"]), atom.args[0].full
                    lengths = tuple(hashable(full[axis]) for axis in axes)
                    groups.setdefault((rest, "sum", axes, lengths), []).append((atom, c))
                    break
                if atom.op is linalg.matmul:
                    for side in (0, 1):
                        key = (rest, side, atom.args[side], atom.options["shapes"])
                        groups.setdefault(key, []).append((atom, c))
        return groups

    def _under_one(self, key: Any, inside: Poly, first: Atom) -> Poly | None:
        """One sum, or one product, of what was inside several; None where it would come apart."""
        how, shared = key[1:3]
        if how != "sum":
            args = (shared, inside) if how == 0 else (inside, shared)
            return self.algebra.call(linalg.matmul, args, first.options, first.shape)
        # Not `Algebra.sum`, which would take it apart again.
        if any(
            all(not varies(a.shape, axis) for axis in shared for a, _ in mono)
            for mono in inside.terms
        ):
            return None
        return self.algebra.sum_whole(inside, shared)


def _covering(
    pieces: dict[int, list[tuple[int, Atom, Poly]]], n: int
) -> list[list[tuple[Atom, Poly]]] | None:
    """The slices that follow one another from 0 to n, each with what is scattered to it."""
    found, start = [], 0
    while start < n and start in pieces:
        [stop, *others] = {stop for stop, _, _ in pieces[start]}
        if others or stop <= start:
            return None
        found.append([(atom, factor) for _, atom, factor in pieces[start]])
        start = stop
    return found if start == n and len(found) == len(pieces) > 1 else None


def _zero_at_one_and_minus_one(p: Poly, atom: Atom) -> tuple[bool, bool]:
    """Is the polynomial zero where the atom is 1? Where it is −1?"""
    even: dict[Monomial, Number] = {}
    odd: dict[Monomial, Number] = {}
    for mono, c in p.terms.items():
        rest = tuple([f for f in mono if f[0] is not atom])
        is_odd = any(a is atom and e % 2 for a, e in mono)
        values = odd if is_odd else even
        values[rest] = values.get(rest, 0) + c
    pairs = [(even.get(rest, 0), odd.get(rest, 0)) for rest in even.keys() | odd.keys()]
    return all(c == -d for c, d in pairs), all(c == d for c, d in pairs)


def _holds_product(tree: Tree) -> bool:
    return tree.kind == "matmul" or (tree.kind == "multiply" and tree.parts[0].kind == "matmul")
