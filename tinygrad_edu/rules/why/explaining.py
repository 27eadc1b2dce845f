"""Where a line comes from: its roads, the factor at each step, the algebra that joins them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.core.primitive import GradError, Shape
from tinygrad_edu.rules.deriving import Deriving, Line
from tinygrad_edu.rules.forms import forward
from tinygrad_edu.rules.notation import Text
from tinygrad_edu.rules.poly import Poly
from tinygrad_edu.rules.relations import Relation
from tinygrad_edu.rules.sizes import Size
from tinygrad_edu.rules.trees import Tree, keeping
from tinygrad_edu.rules.why import laws, products
from tinygrad_edu.rules.why.algebra import Algebraist
from tinygrad_edu.rules.why.data import (
    Arrival,
    Equation,
    Extent,
    Fact,
    Factor,
    Law,
    Product,
    Repeated,
    Softmax,
    Why,
)
from tinygrad_edu.rules.why.numbers import Numbers
from tinygrad_edu.rules.why.roads import LONGEST, Roads, Sent
from tinygrad_edu.rules.writing import Writer, names_of
from tinygrad_edu.words import say, together

#: More roads than this are not listed one by one.
MOST_CHAINS = 8
#: A softmax is looked for through so many named quantities.
SOFTMAX_STEPS = 3
NOTHING: frozenset[Any] = frozenset()


def _holds_mean(tree: Tree) -> bool:
    return tree.kind == "mean" or any(map(_holds_mean, tree.parts))


class Above(NamedTuple):
    """A softmax of a quantity, and what was named on the way to it."""

    node: Any
    axis: int
    hidden: frozenset[Any]


class Explainer:
    """Explains the lines of one derivation."""

    def __init__(self, work: Deriving, lines: list[Line]) -> None:
        self.work = work
        self.lines = lines
        self.polys: dict[str, Poly] = {}  # the formulas of the arrivals told
        self._numbers: dict[bool, Numbers] = {}

    @cached_property
    def roads(self) -> Roads:
        """Who reads whom."""
        return Roads(self.work, self.lines)

    @cached_property
    def writer(self) -> Writer:
        """The forward lines."""
        return Writer(self.work, self.lines)

    @property
    def numbers(self) -> Numbers:
        """What every equation is tried on, gradients in the scale of the line that is told."""
        scaled = self.roads.scaled
        if scaled not in self._numbers:
            self._numbers[scaled] = Numbers(self.work, self.roads)
        return self._numbers[scaled]

    @property
    def algebraist(self) -> Algebraist:
        """Finds the steps."""
        return Algebraist(self.work, self.numbers, self.text)

    @cached_property
    def text(self) -> Text:
        """To compare what is written."""
        return Text(self.work.array_name)

    def of(self, line: Line) -> Why:
        """All there is to say of a line, and holds on numbers."""
        work, node = self.work, line.node
        self.roads.scaled = line.scaled
        self.polys = {}
        soft = self._softmax_above(node)
        hidden = soft.hidden if soft else NOTHING
        between = self.roads.between(node, hidden)
        on_the_way = [*between, node] if len(between) <= LONGEST else []
        arrivals = [
            found
            for q in on_the_way
            if (found := self._arrival(q, soft if q is node else None)) is not None
        ]
        work.write_means(line.scaled)
        steps, inside = Algebraist(work, self.numbers, self.text).steps(line, arrivals, self.polys)
        chains = islice(self.roads.chains(node, hidden), MOST_CHAINS + 1)
        named = tuple(tuple(map(self._called, chain)) for chain in chains)
        sums = tuple(dict.fromkeys(self._sums(node)))
        return Why(
            name=line.name,
            of=self._called(node),
            cost=self._called(work.cost),
            scale=work.scale if line.scaled else "",
            extent=self.extent(work.shape(node)),
            line=line.tree,
            chains=named if len(named) <= MOST_CHAINS else (),
            arrivals=tuple(arrivals),
            products=tuple(self._products(line.tree)),
            sums=sums,
            inside=inside,
            facts=tuple(self._facts(line)),
            steps=steps,
            mean=self._mean(line, bool(sums)),
            statistics=line.scaled and _holds_mean(line.tree),
            read_by=self._read_by(line),
            names=names_of(work),
        )

    def _called(self, node: Any) -> str:
        return self.work.name_of[node]

    # --- a gradient on the way -----------------------------------------------------------------

    def _arrival(self, q: Any, soft: Above | None) -> Arrival | None:
        """What arrives at a quantity; None where it is not its gradient on numbers."""
        work, total = self.work, self.work.algebra.zero
        work.write_means(self.roads.is_scaled(q))
        own = soft.hidden if soft else NOTHING
        factors = []
        for reader in self.roads.readers(q, own):
            sent = self.roads.sent(reader, q, own)
            if sent is not None:
                factors.append(self._factor(reader, q, sent, soft))
                total = total + sent.total
        simple, _ = work.simplifier.simplify(total)
        tree, name = self._shaped(work.arranged(simple), q), self.roads.names[q]
        if not self.numbers.same(name, tree):
            return None
        self.polys[name] = simple
        scale = work.scale if self.roads.is_scaled(q) else ""
        return Arrival(name, self._called(q), scale, tuple(factors), tree)

    def _factor(self, above: Any, below: Any, sent: Sent, soft: Above | None) -> Factor:
        work, arranged = self.work, self.work.arranged
        simple, used = work.simplifier.simplify(sent.total)
        tree = arranged(simple)
        if not self.numbers.same(arranged(sent.total), tree):
            simple, used, tree = sent.total, [], arranged(sent.total)
        is_softmax = soft is not None and above is soft.node
        derivative = None if is_softmax else self._derivative(above, below, simple)
        return Factor(
            above=self._called(above),
            below=self._called(below),
            forward=forward(work, above, self.writer.trees),
            derivative=derivative,
            law=self._law(above, below, derivative),
            entrywise=tuple(above.shape) == tuple(below.shape),
            sent=self._shaped(tree, below),
            in_full=self._in_full(above, simple, tree),
            roads=() if is_softmax else tuple(self._uses(sent)),
            because=tuple(self._because(used, above, below)),
            product=self._product(above, below, sent),
            repeated=next(iter(self._sums(below)), None) if len(sent.uses) == 1 else None,
            softmax=self._softmax(below, soft) if soft is not None and is_softmax else None,
        )

    def _shaped(self, tree: Tree, node: Any) -> Tree:
        """A tree with the axes kept that its quantity has."""
        kept = keeping(tree)
        return kept if tuple(kept.shape) == tuple(node.shape) else tree

    def _in_full(self, above: Any, sent: Poly, tree: Tree) -> Tree | None:
        """What is sent in terms of lines, where `above` has none itself."""
        if self.roads.is_end(above):
            return None
        full = self._arranged(self.algebraist.in_full(sent, self.polys))
        return full if full is not None and self.numbers.same(tree, full) else None

    def _arranged(self, poly: Poly | None) -> Tree | None:
        return None if poly is None else self.work.arranged(self.work.simplifier.simplify(poly)[0])

    def _uses(self, sent: Sent) -> Iterator[Tree]:
        """What is sent, use by use, where these are few and add up to it."""
        if not 1 < len(sent.uses) <= 4:
            return
        simple = [self.work.simplifier.simplify(use)[0] for use in sent.uses]
        trees = [self.work.arranged(p) for p in simple if p.terms]
        total = simple[0]
        for p in simple[1:]:
            total = total + p
        if len(trees) > 1 and self.numbers.same(
            self.work.arranged(sent.total), self.work.arranged(total)
        ):
            yield from trees

    def _unscaled(self, above: Any, below: Any, poly: Poly) -> Poly:
        """What is sent, without the factor that only changes the scale."""
        if above is not self.work.cost and self.roads.is_scaled(above):
            poly = poly * self.roads.m
        return poly * self.roads.m**-1 if self.roads.is_scaled(below) else poly

    def _derivative(self, above: Any, below: Any, sent: Poly) -> Tree | None:
        """The local derivative, where what is sent is the gradient of `above` times it."""
        work, algebra = self.work, self.work.algebra
        if above is work.cost or above.shape == () != below.shape:
            return None
        atom = algebra.name(self.roads.names[above], work.shape(above))
        p = work.simplifier.simplify(self._unscaled(above, below, sent))[0]
        if len(p.terms) == 1:  # under a sum, where broadcasting is undone
            [(mono, c)] = p.terms.items()
            if len(mono) == 1 and mono[0][1] == 1 and "axes" in (mono[0][0].options or {}):
                p = mono[0][0].args[0].scaled(c)
        if not p.terms or not all((atom, 1) in mono for mono in p.terms):
            return None
        factor = algebra.poly(
            {tuple(f for f in mono if f[0] is not atom): c for mono, c in p.terms.items()}
        )
        return None if atom in factor.deep else work.arranged(factor)

    def _law(self, above: Any, below: Any, derivative: Tree | None) -> Law | None:
        """The name of a derivative, where `above` is a known function of `below` alone."""
        if derivative is None or above.shape != below.shape:
            return None
        if set(self.writer.named_inputs(above)) != {below}:
            return None
        upper, lower = self._called(above), self._called(below)
        pairs = list(zip(self.numbers.of(lower), self.numbers.of(upper)))
        for op in laws.functions_giving(*pairs[0]) if pairs else ():
            if all(op in laws.functions_giving(x, z) for x, z in pairs[1:]):
                law = laws.law(op)
                said = laws.said_by(law.derivative, law.function, upper, lower)
                if said == self.text(derivative):
                    return law
        return None

    def _because(self, used: list[Relation], above: Any, below: Any) -> Iterator[Equation]:
        """The forward lines of other quantities by which a factor is written as it is."""
        for relation in used:
            if relation.reason == "definition" and relation.source.atom is not None:
                node = self.work.node_of.get(relation.source.atom.name)
                if node is not None and node is not above and node is not below:
                    made = forward(self.work, node, self.writer.trees)
                    yield Equation(relation.source.atom.name, made)

    # --- products and sums ---------------------------------------------------------------------

    def _product(self, above: Any, below: Any, sent: Sent) -> Product | None:
        """The one matrix product in which a quantity stands on the way, by indices."""
        found = [
            (node, places) for node in sent.at
            if (places := products.operands(node, below)) is not None
        ]  # fmt: skip
        if len(found) != 1 or len(sent.uses) != 1:
            return None
        node, (side, turned) = found[0]
        dz = self.work.simplifier.simplify(self._unscaled(above, below, sent.at[node].poly))[0]
        x, y = (self.writer.trees[p] for p in node.parents)
        try:
            product = products.explained(
                side, turned, (x, y), self._called(below), self.work.arranged(dz), self.extent
            )
        except (GradError, ValueError):
            return None
        unscaled = self.work.arranged(self._unscaled(above, below, sent.total))
        if product is None or not self.numbers.same(product.written, unscaled):
            return None
        return product

    def extent(self, shape: Shape) -> Extent:
        """A shape, its lengths by their names where these are short."""
        texts = []
        for n in shape:
            atom = n.symbol.atom if isinstance(n, Size) else None
            texts.append(atom.name if atom is not None and "." not in atom.name else str(int(n)))
        return Extent(tuple(texts), tuple(map(int, shape)))

    def _products(self, tree: Tree) -> Iterator[tuple[Tree, Extent, Extent, Extent]]:
        """The matrix products of a line, with their shapes."""
        stack = [tree]
        while stack:
            at = stack.pop()
            if at.kind == "matmul":
                x, y = at.parts
                yield at, self.extent(x.shape), self.extent(y.shape), self.extent(at.shape)
            stack.extend(at.parts)

    def _sums(self, node: Any) -> Iterator[Repeated]:
        """Where a small quantity met a large one, it was repeated, and its gradient is a sum."""
        small = self.work.shape(node)
        for user in self.roads.consumers.get(node, []):
            if "elementwise" not in user.op.traits:
                continue
            extra = len(user.shape) - len(node.shape)
            if extra < 0:
                continue
            large = self.work.shape(user)
            axes = tuple(
                i for i, n in enumerate(large)
                if n != 1 and (i < extra or node.shape[i - extra] == 1)
            )  # fmt: skip
            if axes:
                times = self.extent(tuple(large[i] for i in axes)).symbols
                kept = any(i >= extra for i in axes)
                yield Repeated(
                    self._called(node), self.extent(small), self.extent(large), times, axes, kept
                )

    # --- what is declared ----------------------------------------------------------------------

    def _facts(self, line: Line) -> Iterator[Fact]:
        """What is declared of given quantities, as far as the line needs it."""
        algebra, arranged = self.work.algebra, self.work.arranged
        for relation in line.used:
            if relation.reason in ("definition", "virtual"):
                continue
            left = algebra.of(relation.atom) ** relation.power
            for atom, e in relation.along:
                left = left * algebra.of(atom, e)
            equation = Equation(arranged(left), arranged(relation.value))
            if self.numbers.same(equation.left, equation.right):
                yield Fact(equation, relation.reason)

    def _softmax(self, below: Any, soft: Above) -> Softmax:
        """What there is to say of a softmax."""
        lines = [
            Equation(self._called(node), forward(self.work, node, self.writer.trees))
            for node in self.work.nodes
            if node in soft.hidden
        ]
        gradients = self.numbers.of(self.roads.names[below])
        none = all(
            np.allclose(np.sum(g, axis=soft.axis), 0, atol=1e-10 * max(1.0, np.max(np.abs(g))))
            for g in gradients
        )
        return Softmax(soft.axis, tuple(lines), none)

    def _softmax_above(self, node: Any) -> Above | None:
        """The softmax of a quantity, its axis, and what was named on the way to it."""
        if len(node.shape) < 1 or node.size < 2:
            return None
        hidden: dict[Any, None] = {}
        todo = [node]
        for _ in range(SOFTMAX_STEPS):
            readers = [r for q in todo for r in self.roads.readers(q)]
            for reader in readers:
                axis = self._softmax_axis(node, reader)
                if axis is not None:
                    return Above(reader, axis, frozenset(hidden))
            todo = [r for r in readers if not self.roads.is_end(r) and r not in hidden]
            hidden |= dict.fromkeys(todo)
        return None

    def _softmax_axis(self, below: Any, above: Any) -> int | None:
        if above.shape != below.shape or above is self.work.cost:
            return None
        pairs = zip(self.numbers.of(self._called(below)), self.numbers.of(self._called(above)))
        axes = {laws.softmax_axis(x, z) for x, z in pairs}
        return axes.pop() if len(axes) == 1 else None

    # --- 1/m -----------------------------------------------------------------------------------

    def _mean(self, line: Line, summed: bool) -> str:
        """Where 1/m comes from, or why it is not here."""
        work = self.work
        if work.examples is None or work.example_axis is None:
            return ""
        m, cost = work.scale, self._called(work.cost)
        above = [name for name in self._gradients_in(line) if self.line_named[name].scaled]
        if line.scaled:
            if above:
                return say("why.mean_same", m=m, names=", ".join([*above, line.name]))
            into = [
                other.name for other in self.lines
                if not other.scaled and line.name in self._gradients_in(other)
            ]  # fmt: skip
            enters = say("why.mean_enters", lines=", ".join(into)) if into else ""
            return say("why.mean_apart", m=m, cost=cost, name=line.name, enters=enters)
        if above:
            of = [say("why.mean_of", name=x, m=m, cost=cost, of=self._of(x)) for x in above]
            return say(
                "why.mean_undone", m=m, scales=together("why.comma", *of), name=line.name,
                cost=cost, of=self._called(line.node),
                no_mean=say("why.no_mean", m=m) if summed else "",
            )  # fmt: skip
        symbol = work.lengths.of(work.example_axis).symbol.atom
        if symbol in line.poly.deep and not self._gradients_in(line):
            return say("why.mean", m=m, cost=cost)
        return ""

    def _of(self, gradient: str) -> str:
        return self._called(self.line_named[gradient].node)

    @cached_property
    def line_named(self) -> dict[str, Line]:
        """The lines by their names."""
        return {line.name: line for line in self.lines}

    def _gradients_in(self, line: Line) -> list[str]:
        """The lines a line is made of."""
        found = [a for a in line.poly.deep if a.is_name and a.name in self.line_named]
        return [a.name for a in sorted(found, key=lambda a: a.id)]

    def _read_by(self, line: Line) -> tuple[str, ...]:
        """The lines that are made of a line."""
        return tuple(o.name for o in self.lines if line.name in self._gradients_in(o))
