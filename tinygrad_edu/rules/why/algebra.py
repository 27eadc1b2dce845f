"""The algebra from the factors of a line to the line, step by step, each step tried on numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.rules.deriving import Deriving, Line
from tinygrad_edu.rules.notation import Text
from tinygrad_edu.rules.poly import Atom, Monomial, Number, Poly
from tinygrad_edu.rules.ring import Spent
from tinygrad_edu.rules.trees import (
    REDUCED,
    Tree,
    call,
    divide,
    matmul,
    multiply,
    power,
    reduced,
    signed,
    transpose,
    where,
)
from tinygrad_edu.rules.why.data import Arrival, Equation, Step
from tinygrad_edu.rules.why.numbers import Numbers
from tinygrad_edu.words import say

#: A step that costs more than this to read is left out.
LONGEST_STEP = 70
#: A sum of more terms is not multiplied out step by step.
MOST_TERMS = 6


class Algebraist:
    """Finds the steps of one line."""

    def __init__(self, work: Deriving, numbers: Numbers, text: Text) -> None:
        self.work, self.numbers, self.text = work, numbers, text

    def steps(
        self, line: Line, arrivals: list[Arrival], polys: dict[str, Poly]
    ) -> tuple[tuple[Step, ...], tuple[Equation, ...]]:
        """From what arrives, by the names of what comes before, to the line as it is written; and
        what products on the way become. `polys`: the formulas of the arrivals."""
        if not arrivals or arrivals[-1].name != line.name:
            return (), ()
        *before, last = arrivals
        inside: list[Equation] = []
        try:
            tried = list(self._tried(before, last, polys, inside))
        except Spent:
            tried, inside = [], []
        found: list[Step] = []
        texts: list[str] = []
        for tree, reason in [(last.total, ""), *tried, (line.tree, "")]:
            text = self.text(tree)
            too_long = tree is not line.tree and tree.cost > LONGEST_STEP
            if text not in texts and not too_long and self.numbers.same(line.name, tree):
                found.append(Step(tree, reason))
                texts.append(text)
        if self.text(line.tree) not in texts:
            return (), ()
        del found[texts.index(self.text(line.tree)) + 1 :]  # what comes after is a detour
        return tuple(found), tuple(inside)

    def _tried(
        self,
        before: list[Arrival],
        last: Arrival,
        polys: dict[str, Poly],
        inside: list[Equation],
    ) -> Iterator[tuple[Tree, str]]:
        """What may be a step."""
        if not before:
            return
        known = self._known(polys, last.name)
        trees: dict[str, Tree] = {}
        for arrival in before:
            trees[arrival.name] = put_in(arrival.total, trees)
        total = polys[last.name]
        if self._factor(total, known) is None:
            inside.extend(self._inside(total, known))
        yield put_in(last.total, trees), say("why.put_in")
        opened = list(self._multiplied_out(total, known, trees))
        yield from ((tree, say("why.multiplied_out")) for tree in opened)
        if not opened:
            yield self.work.arranged(self.substituted(total, known)), ""

    def _known(self, polys: dict[str, Poly], name: str) -> dict[Atom, Poly]:
        """The gradients that came before one of this name, in terms of lines and forward
        quantities only."""
        known: dict[Atom, Poly] = {}
        for other, poly in polys.items():
            if other == name:
                break
            known[self.work.algebra.name(other, ())] = self.substituted(poly, known)
        return known

    def in_full(self, poly: Poly, polys: dict[str, Poly]) -> Poly | None:
        """A formula in terms of lines and forward quantities only."""
        try:
            return self.substituted(poly, self._known(polys, ""))
        except Spent:
            return None

    def substituted(self, p: Poly, known: dict[Atom, Poly]) -> Poly:
        """A formula with what is known put in, multiplied out as far as the algebra does."""
        algebra = self.work.algebra
        if p.deep.isdisjoint(known):
            return p
        result = algebra.zero
        for mono, c in p.terms.items():
            term = algebra.number(c)
            for atom, e in mono:
                factor = algebra.of(atom)
                if atom in known:
                    factor = known[atom]
                elif not atom.deep.isdisjoint(known):
                    args = tuple(self.substituted(arg, known) for arg in atom.args)
                    factor = algebra.rebuild(atom, args)
                term = term * factor**e
            result = result + term
        return result

    def _multiplied_out(
        self, total: Poly, known: dict[Atom, Poly], trees: dict[str, Tree]
    ) -> Iterator[Tree]:
        """A sum times a factor, term by term; then every bracket opened, if terms cancel there."""
        found = self._factor(total, known)
        if found is None or not 1 < len(known[found[0]].terms) <= MOST_TERMS:
            return
        algebra, (atom, factor) = self.work.algebra, found
        terms = [algebra.poly({term: k}) for term, k in known[atom].terms.items()]
        by = self.work.arranged(factor)
        tree = trees[atom.name]
        if tree.kind == "add":
            signs = zip(tree.value, tree.parts)
            yield added([(sign, self._cancelled(part, by)) for sign, part in signs])
        pieces = [self.work.simplifier.simplify(term * factor)[0] for term in terms]
        whole = algebra.zero
        for piece in pieces:
            whole = whole + piece
        flat = [(term, k) for piece in pieces for term, k in piece.terms.items()]
        if len(whole.terms) < len(flat) <= 2 * MOST_TERMS:
            yield added([(1, self._term(term, k)) for term, k in flat])

    def _factor(self, total: Poly, known: dict[Atom, Poly]) -> tuple[Atom, Poly] | None:
        """The gradient that all of a formula is a multiple of, and what it is multiplied by."""
        atoms = [atom for atom in known if atom in total.deep]
        if len(atoms) != 1 or not all((atoms[0], 1) in mono for mono in total.terms):
            return None
        factor = self.work.algebra.poly(
            {tuple(f for f in m if f[0] is not atoms[0]): c for m, c in total.terms.items()}
        )
        return None if atoms[0] in factor.deep else (atoms[0], factor)

    def _cancelled(self, term: Tree, factor: Tree) -> Tree:
        """A term times a factor, what stands above and below left out."""
        sign = 1
        tops: list[Tree] = []
        bottoms: list[Tree] = []
        for tree in (term, factor):
            if tree.kind == "add" and len(tree.parts) == 1:
                sign, [tree] = -sign, tree.parts
            top, bottom = tree.parts if tree.kind == "divide" else (tree, None)
            tops += top.parts if top.kind == "multiply" else (top,)
            if bottom is not None:
                bottoms += bottom.parts if bottom.kind == "multiply" else (bottom,)
        for below in list(bottoms):
            same = [top for top in tops if self.text(top) == self.text(below)]
            if same:
                tops.remove(same[0])
                bottoms.remove(below)
        product = self.work.layout.product(tops, bottoms)
        return product if sign > 0 else signed([(-1, product)])

    def _term(self, mono: Monomial, c: Number) -> Tree:
        return self.work.layout.plain(self.work.algebra.poly({mono: c}))

    def _inside(self, total: Poly, known: dict[Atom, Poly]) -> Iterator[Equation]:
        """What products of a gradient become when it is put in: ``P ∗ dP = −Y``."""
        algebra, seen = self.work.algebra, set()
        sums = [
            a.args[0]
            for mono in total.terms
            for a, _ in mono
            if a.args and "axes" in (a.options or {})
        ]
        for mono in [mono for p in (total, *sums) for mono in p.terms]:
            product = algebra.poly(
                {tuple(f for f in mono if not f[0].args and not f[0].constant): 1}
            )
            if product in seen or len(product.deep) < 2 or product.deep.isdisjoint(known):
                continue
            seen.add(product)
            left = self.work.arranged(product)
            right = self.work.arranged(
                self.work.simplifier.simplify(self.substituted(product, known))[0]
            )
            if right.cost < left.cost and self.numbers.same(left, right):
                yield Equation(left, right)


def added(parts: list[tuple[int, Tree]]) -> Tree:
    """A sum of signed parts; what is a sum itself is taken in."""
    flat: list[tuple[int, Tree]] = []
    for sign, tree in parts:
        if tree.kind == "add" and (sign > 0 or len(tree.parts) == 1):
            flat += [(sign * s, part) for s, part in zip(tree.value, tree.parts)]
        else:
            flat.append((sign, tree))
    return flat[0][1] if len(flat) == 1 and flat[0][0] > 0 else signed(flat)


def put_in(tree: Tree, by: dict[str, Tree]) -> Tree:
    """A tree with formulas put in for names; as it is where one has too few axes for its place."""
    try:
        return replaced(tree, by)
    except (GradError, IndexError, ValueError):
        return tree


def replaced(tree: Tree, by: dict[str, Tree]) -> Tree:
    """A tree with formulas put in for names, nothing else changed."""
    if tree.kind == "name":
        return by.get(tree.value.name, tree)
    if not tree.parts or not by:
        return tree
    parts = tuple(replaced(part, by) for part in tree.parts)
    if all(x is y for x, y in zip(parts, tree.parts)):
        return tree
    if tree.kind == "add":
        return added(list(zip(tree.value, parts)))
    if tree.kind == "multiply":
        factors = [f for p in parts for f in (p.parts if p.kind == "multiply" else (p,))]
        return multiply(factors)
    if tree.kind in REDUCED:
        places, keepdims, free = tree.value
        return reduced(parts[0], places, keepdims, free, tree.kind)
    return _BUILT[tree.kind](tree, parts)


_BUILT: dict[str, Callable[[Tree, tuple[Tree, ...]], Tree]] = {
    "divide": lambda tree, parts: divide(*parts),
    "power": lambda tree, parts: power(parts[0], tree.value),
    "matmul": lambda tree, parts: matmul(*parts),
    "transpose": lambda tree, parts: transpose(parts[0], tree.value),
    "where": lambda tree, parts: where(*parts),
    "call": lambda tree, parts: call(tree.value[0], parts, tree.value[1]),
}
