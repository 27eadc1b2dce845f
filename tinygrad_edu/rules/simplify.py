"""Simplification: what a formula may be replaced by, and whether that reads better.

The definition of a named node is an equation. Where it can be solved for something one would
rather not see (``A = 1/(1 + exp(-Z))`` for ``exp(Z)``), the solution is tried in a line, and kept
if the line gets shorter. No rule knows an activation by name. What makes this sound:

- nothing is divided by a mask, nor by anything the line did not divide by before;
- an atom is replaced only by something of its own shape;
- a sum that the solution itself mentions is left alone while it is substituted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tinygrad_edu.core.ops import elementwise, reductions, shaping
from tinygrad_edu.rules.expression import Algebra
from tinygrad_edu.rules.formula import Formula
from tinygrad_edu.rules.indices import DIAG, EYE
from tinygrad_edu.rules.layout import Layout
from tinygrad_edu.rules.poly import Atom, Number, Poly, ratio
from tinygrad_edu.rules.relations import Relation, identities, pick_of, solutions, without
from tinygrad_edu.rules.ring import MOST_TERMS, Spent
from tinygrad_edu.words import say

#: How many terms of polynomials one simplification may make before it gives up.
WORK = 20_000
#: … and for all lines of a derivation together: those after that are written as they come.
ALL_WORK = 2 * WORK
#: A sum of more terms than this is written as it comes.
MOST_SUMMANDS = 500
#: How deep definitions are opened to prove what a sum is.
DEPTH_OF_PROOF = 4


@dataclass
class Simplifier:
    """Simplifies the lines of one derivation."""

    algebra: Algebra
    layout: Layout
    definitions: dict[Atom, Poly] = field(default_factory=dict)
    facts: dict[Atom, Relation] = field(default_factory=dict)
    left: float = ALL_WORK
    #: Under the newest atom that a formula must hold for them.
    _by_newest: dict[Atom, list[Relation]] = field(default_factory=dict)
    _proved: dict[Atom, Relation | None] = field(default_factory=dict)
    _sigmoids: dict[tuple[Atom, bool], list[Relation]] = field(default_factory=dict)
    _products: dict[Atom, list[Relation]] = field(default_factory=dict)
    _with_exp: dict[Atom, list[Atom]] = field(default_factory=dict)
    _normal: dict[tuple[Poly, bool], Poly] = field(default_factory=dict)
    _denominators: dict[Poly, frozenset[Atom]] = field(default_factory=dict)

    def define(self, atom: Atom, definition: Poly) -> None:
        """Take the definition of a named node as an equation."""
        self.definitions[atom] = definition
        for inner in definition.atoms():
            if inner.op is elementwise.exp:
                self._with_exp.setdefault(inner, []).append(atom)
        for relation in solutions(self.algebra, self.algebra.of(atom), definition, "definition"):
            # A given factor stays: W2 reads better than z2/a1.
            given = relation.atom.is_name and relation.atom not in self.definitions
            if not given or len(definition.terms) > 1:
                self._add(relation)
        found = self._read_pick(atom)
        if found is not None:
            total, read, _ = found
            picked = Relation(total, 1, self.algebra.of(read), self.algebra.of(atom), "definition")
            self._add(picked)
        for mask in self._masks(definition):  # E = M * (…): M * E is E
            name = self.algebra.of(atom)
            same = Relation(atom, 1, name, name, "definition", ((mask, 1),))
            self._add(same)

    def _add(self, relation: Relation) -> None:
        newest = max((relation.atom, *relation.needs), key=lambda a: a.id)
        self._by_newest.setdefault(newest, []).append(relation)

    def _masks(self, definition: Poly) -> list[Atom]:
        """The masks that are a factor of all terms."""
        shared = [{atom for atom, _ in mono if atom.mask} for mono in definition.terms]
        return sorted(set.intersection(*shared), key=lambda a: a.id) if shared else []

    def declare_sum(self, atom: Atom, shape: tuple[int, ...], axis: int, reason: str) -> None:
        """A declared fact: the sum of a name over an axis (counted from the right) is one."""
        total = self.algebra.sum(self.algebra.of(atom), shape, [axis])
        if total.atom is not None and total.atom is not atom:
            self.facts[total.atom] = Relation(
                total.atom, 1, self.algebra.one, self.algebra.of(atom), reason
            )

    def abbreviate(self, name: Atom, product: Poly) -> bool:
        """Give ``mask / total`` a name; False where a formula is none of this kind."""
        [(mono, c), *more] = product.terms.items()
        masks = [a for a, e in mono if a.mask and e == 1]
        totals = [a for a, e in mono if e == -1]
        if more or c != 1 or len(masks) != 1 or len(totals) != 1 or len(mono) != 2:
            return False
        [mask], [total], value = masks, totals, self.algebra.of(name)
        relation = Relation(total, -1, value, value, "definition", ((mask, 1),))
        self._add(relation)
        return True

    def rename(self, made: Poly, name: Poly) -> None:
        """An operation that a name stands for is called so."""
        if made.atom is not None and not made.atom.is_name:
            relation = Relation(made.atom, 1, name, name, "definition")
            self._add(relation)

    # --- the search ----------------------------------------------------------------------------

    def simplify(self, p: Poly) -> tuple[Poly, list[Relation]]:
        """The shortest form found, and the relations used; `p` itself if the work runs out."""
        if self.left <= 0 or len(p.terms) > MOST_SUMMANDS:
            self._written_as_it_comes(p)
            return p, []
        work = self.algebra.work = min(WORK, self.left)
        used: list[Relation] = []
        try:
            best = self.normal(p)
            cost = self.layout.cost(best)
            seen = {best}
            while True:
                better = None
                for q, relation in self._trials(best):
                    if q in seen:
                        continue
                    seen.add(q)
                    if not self.denominators(q) <= self.denominators(best):
                        continue
                    c = self.layout.cost(q)
                    if c < cost - 1e-9 and (better is None or c < better[0] - 1e-9):
                        better = (c, q, relation)
                if better is None:
                    return best, used
                cost, best = better[:2]
                used += [better[2]] if better[2] is not None else []
        except Spent:
            return p, used[:0]
        finally:
            self.left -= work - max(self.algebra.work, 0.0)
            self.algebra.work = float("inf")

    def _written_as_it_comes(self, p: Poly) -> None:
        """Let the layout, which remembers, not look for a better way either."""
        self.algebra.work = 0.0
        try:
            self.layout.cost(p)
        except Spent:
            pass
        finally:
            self.algebra.work = float("inf")

    def _trials(self, p: Poly) -> Iterator[tuple[Poly, Relation | None]]:
        """Other forms: fractions put together; by each relation, applied everywhere, and outside
        of calls only, where that differs."""
        if not self.algebra.careful and (q := self.algebra.merged(p)) is not p:
            yield self.normal(q), None
        for relation in self._relations(p):
            yield self.normal(self.substitute(p, relation)), relation
            if relation.reason == "virtual" and any(
                relation.atom in a.deep
                for a in p.atoms()
                if a.op is not None and a is not relation.atom
            ):
                yield self.normal(self.substitute(p, relation, inside=False)), relation

    def normal(self, p: Poly) -> Poly:
        """Multiplied out where short, compound denominators cancelled; inside its atoms too."""
        careful = self.algebra.careful
        done = self._normal.get((p, careful))
        if done is not None:
            return done
        q = p
        if any(atom.args for atom in q.atoms()):
            q = self._inside_normal(q)
            for atom in sorted(q.atoms(), key=lambda a: a.id):
                if atom.is_base and not careful:
                    q = self._opened(q, atom)
            q = self.algebra.cancel(q)
        self._normal[p, careful] = self._normal[q, careful] = q
        return q

    def _inside_normal(self, p: Poly) -> Poly:
        changed: dict[Atom, Poly] = {}
        for atom in sorted(p.atoms(), key=lambda a: a.id):
            args = tuple(self.normal(arg) for arg in atom.args)
            if args != atom.args:
                changed[atom] = self.algebra.rebuild(atom, args)
        if not changed:
            return p
        found: list[Poly] = []
        for mono, c in p.terms.items():
            term = self.algebra.poly({tuple(f for f in mono if f[0] not in changed): c})
            for atom, e in mono:
                if atom in changed:
                    term = self.algebra.multiply(term, changed[atom] ** e)
            found.append(term)
        return self.algebra.total(found)

    def _opened(self, p: Poly, atom: Atom) -> Poly:
        found: list[Poly] = []
        for mono, c in p.terms.items():
            powers = dict(mono)
            e = powers.get(atom, 0)
            whole = e == int(e) and e > 0
            if whole and len(atom.args[0].terms) ** int(e) <= MOST_TERMS:
                del powers[atom]
                term = self.algebra.poly({tuple(powers.items()): c})
                for _ in range(int(e)):
                    term = self.algebra.expanded(term, atom.args[0])
            else:
                term = self.algebra.poly({mono: c})
            found.append(term)
        return self.algebra.total(found)

    def _relations(self, p: Poly) -> Iterator[Relation]:
        atoms = sorted(p.deep, key=lambda a: a.id)
        solved: dict[Atom, list[Relation]] = {}
        for atom in atoms:
            for relation in self._by_newest.get(atom, ()):
                if relation.needs <= p.deep:
                    solved.setdefault(relation.atom, []).append(relation)
        for atom in atoms:
            yield from solved.get(atom, ())
            yield from self._named_pick(atom)
            yield from self._diagonal(atom)
            if atom.op is reductions.sum:
                yield from self._about_a_sum(atom)
            if atom.op is elementwise.exp:
                yield from self._virtual_sigmoid(atom)
            if atom.op is elementwise.sigmoid:
                yield from self._products_with(atom)
            yield from identities(self.algebra, atom)

    def _about_a_sum(self, atom: Atom) -> Iterator[Relation]:
        yield from self._picked(atom)
        fact = self.facts[atom] if atom in self.facts else self._prove(atom)
        if fact is not None:
            yield fact
        inner = atom.args[0].atom
        if inner is not None and inner.op is elementwise.exp:
            yield from self._virtual_softmax(atom, inner)

    # --- what labels pick ----------------------------------------------------------------------

    def _picked(self, total: Atom) -> Iterator[Relation]:
        """One-hot labels add up to 1; where they are 1, what they pick is the entry itself."""
        pick = pick_of(total)
        if pick is None:
            return
        labels, entries = pick
        one_hot = self.algebra.of(labels)
        if entries is self.algebra.one:
            reason = say("why.identity" if labels.op is EYE else "why.labels")
            yield Relation(total, 1, entries, one_hot, reason)
            return
        yield from self._entries(total, labels, entries)
        if labels.op is EYE:
            taken = DIAG(Formula(self.algebra, entries, labels.shape))
            column = self.algebra.reshape(taken, total.shape)
            yield Relation(total, 1, column, one_hot, say("why.always"))

    def _diagonal(self, column: Atom) -> Iterator[Relation]:
        """A diagonal that multiplies the identity matrix row by row is what it is taken of."""
        of = None if column.op is not shaping.reshape else column.args[0].atom
        taken = None if of is None else self.definitions.get(of, self.algebra.of(of)).atom
        if taken is not None and taken.op is DIAG and len(column.shape) == 2:
            n = taken.args[0].shape[0]
            eye = self.algebra.call(EYE, (), {"n": n}, (n, n)).atom
            assert eye is not None
            yield from self._entries(column, eye, taken.args[0])

    def _named_pick(self, name: Atom) -> Iterator[Relation]:
        """What is picked and has a name is the entry where the labels are 1."""
        found = self._read_pick(name) if name in self.definitions else None
        if found is not None:
            yield from self._entries(found[1], *found[2])

    def _read_pick(self, name: Atom) -> tuple[Atom, Atom, tuple[Atom, Poly]] | None:
        """The sum that a name is defined as picking by, the name in that sum's shape, and what it
        picks from; None where it is none of this kind."""
        total = self.definitions[name].atom
        if total is not None and total.op is shaping.reshape:
            total = total.args[0].atom
        pick = None if total is None else pick_of(total)
        if total is None or pick is None or pick[1] is self.algebra.one:
            return None
        formula = Formula(self.algebra, self.algebra.of(name), name.shape)
        read = self.algebra.reshape(formula, total.shape).atom
        return None if read is None else (total, read, pick)

    def _entries(self, picked: Atom, labels: Atom, entries: Poly) -> Iterator[Relation]:
        one_hot = self.algebra.of(labels)
        for n in (1, -1):
            value = one_hot * entries**n
            yield Relation(picked, n, value, one_hot, "definition", ((labels, 1),))

    # --- virtual names -------------------------------------------------------------------------

    def _virtual_sigmoid(self, atom: Atom) -> list[Relation]:
        found = self._sigmoids.get((atom, self.algebra.careful))
        if found is None:
            algebra, t = self.algebra, self.algebra.of(atom)
            found, names = [], {}
            named = {self.definitions[other] for other in self._with_exp.get(atom, ())}
            for sign in (1, -1):
                u = atom.args[0].scaled(sign)
                name = names[sign] = algebra.call(elementwise.sigmoid, (u,), {}, atom.shape)
                definition = t**sign / (algebra.one + t**sign)
                if definition not in named:
                    found += solutions(algebra, name, definition, "virtual", only=atom)
            if algebra.careful:  # 1 − σ(x) loses digits that σ(−x) has
                up, down = names[1], names[-1]
                found.append(Relation(algebra.base(algebra.one + t), -1, down, down, "virtual"))
                assert down.atom is not None
                found.append(Relation(down.atom, 1, up, up, "virtual", ((atom, 1),)))
            self._sigmoids[atom, algebra.careful] = found
        return found

    def _products_with(self, virtual: Atom) -> Iterator[Relation]:
        """Named products with a virtual name in them: ``A = Z * sigmoid(Z)``."""
        if virtual not in self._products:
            self._products[virtual] = []
            for e in self.algebra.exp(virtual.args[0]).atoms():
                for atom in self._with_exp.get(e, ()):
                    self._products[virtual] += self._product_with(virtual, e, atom)
        yield from self._products[virtual]

    def _product_with(self, virtual: Atom, e: Atom, atom: Atom) -> Iterator[Relation]:
        definition = self.definitions[atom]
        if len(definition.terms) > 1:
            return
        for relation in self._virtual_sigmoid(e):
            found = self.normal(self.substitute(definition, relation))
            [(mono, c), *more] = found.terms.items()
            if not more and (virtual, 1) in mono and len(mono) == 2:
                along = tuple(f for f in mono if f[0] is not virtual)
                source = self.algebra.of(atom)
                value = source.scaled(ratio(1, c))
                yield Relation(virtual, 1, value, source, "definition", along)

    def _virtual_softmax(self, total: Atom, inner: Atom) -> Iterator[Relation]:
        algebra, axes = self.algebra, total.options["axes"]
        u, ndim = inner.args[0], len(inner.shape)
        if len(axes) not in (1, ndim):
            return
        axis = axes[0] + ndim if len(axes) == 1 else tuple(range(ndim))
        options = {"axis": axis, "shapes": (inner.shape,)}
        name = algebra.call(reductions.softmax, (u,), options, inner.shape)
        yield Relation(inner, 1, name * algebra.of(total), name, "virtual")

    # --- what sums are -------------------------------------------------------------------------

    def _prove(self, total: Atom) -> Relation | None:
        """Is this sum of a named quantity, or of a difference, a plain number? Open definitions
        and see."""
        if total in self._proved:
            return self._proved[total]
        self._proved[total] = None
        inner = total.args[0].atom
        if inner is None or not (
            inner in self.definitions
            or inner.op is reductions.softmax
            or (inner.is_base and not self.definitions.keys().isdisjoint(inner.args[0].atoms()))
        ):
            return None
        algebra = self.algebra
        before, algebra.work = algebra.work, WORK / 4
        careful, algebra.careful = algebra.careful, False
        p = algebra.of(total)
        try:
            for _ in range(DEPTH_OF_PROOF):
                opened = [
                    a for a in sorted(p.deep, key=lambda a: a.id) if self._definition(a) is not None
                ]
                if not opened:
                    break
                for atom in opened:
                    definition = self._definition(atom)
                    assert definition is not None
                    p = self.substitute(p, Relation(atom, 1, definition, p, ""))
                p = self.normal(p)
                for fact in list(self.facts.values()):
                    p = self.substitute(p, fact)
                if p.value is not None:
                    reason = say("why.adds_up", value=p.value)
                    self._proved[total] = Relation(total, 1, p, algebra.of(inner), reason)
                    break
        except Spent:
            pass
        finally:
            algebra.work, algebra.careful = before, careful
        return self._proved[total]

    def _definition(self, atom: Atom) -> Poly | None:
        if atom.op is reductions.softmax:
            u, axis = atom.args[0], atom.options["axis"]
            e = self.algebra.exp(u)
            ndim = len(atom.shape)
            axes = [a - ndim for a in reductions.axes_of(ndim, axis)]
            return e / self.algebra.sum(e, atom.shape, axes)
        return self.definitions.get(atom)

    # --- soundness -----------------------------------------------------------------------------

    def denominators(self, p: Poly) -> frozenset[Atom]:
        """What `p` divides by, at any depth, and that could be zero."""
        found = self._denominators.get(p)
        if found is None:
            own = {
                zero
                for mono in p.terms
                for atom, e in mono
                if e < 0 and not (atom.positive or atom.constant or self._never_zero(atom))
                for zero in _zero_with(atom)
            }
            inside = [self.denominators(arg) for atom in p.atoms() for arg in atom.args]
            found = frozenset(own).union(*inside)
            self._denominators[p] = found
        return found

    def _never_zero(self, atom: Atom) -> bool:
        """Is a compound base a sum of positive things only? A sum over an axis of such?"""
        if atom.is_base or atom.op is reductions.sum:
            return all(
                c > 0 and all(a.positive or a.constant or self._never_zero(a) for a, _ in mono)
                for mono, c in atom.args[0].terms.items()
            )
        return False

    def substitute(self, p: Poly, relation: Relation, inside: bool = True) -> Poly:
        """`p` with the relation's atom replaced wherever it occurs to a power that fits.

        `inside`: the arguments of calls too, not only products, sums and denominators.
        """
        memo: dict[Poly, Poly] = {}
        atom_, k, value, frozen = relation.atom, relation.power, relation.value, relation.frozen
        algebra, along = self.algebra, relation.along

        def go(p: Poly) -> Poly:
            if atom_ not in p.deep:
                return p
            if p in memo:
                return memo[p]
            parts: list[Poly] = []
            for mono, c in p.terms.items():
                kept: list[tuple[Atom, Number]] = []
                term = algebra.one
                if along and (rest := without(mono, relation)) is not None:
                    mono, term = rest, value
                for atom, e in mono:
                    is_it = atom is atom_
                    stays = atom in frozen or atom_ not in atom.deep or not (inside or atom.is_base)
                    if is_it and not along and (n := ratio(e, k)).denominator == 1:
                        term = algebra.multiply(term, value ** int(n))
                    elif is_it or stays:
                        kept.append((atom, e))
                    else:
                        args = tuple(map(go, atom.args))
                        term = algebra.multiply(term, algebra.rebuild(atom, args) ** e)
                parts.append(algebra.multiply(algebra.poly({tuple(kept): c}), term))
            memo[p] = algebra.total(parts)
            return memo[p]

        return go(p)


def _zero_with(atom: Atom) -> set[Atom]:
    """What is zero where an atom is: the factors of what an absolute value is of."""
    if atom.op is elementwise.absolute and len(atom.args[0].terms) == 1:
        return atom.args[0].atoms()
    return {atom}
