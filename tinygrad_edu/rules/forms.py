"""The forms a line may take, from the shortest to what the sweep itself computes.

The shortest is found by multiplying out and cancelling, which may lose digits (``x**2 - 2*x*mu +
mu**2`` where x and mu are near) and guards (of a softmax, of a length that is 0). The next is made
without multiplying out and without opening an operation; the last is the sweep written down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

from tinygrad_edu.core.sweep import sweep
from tinygrad_edu.rules.deriving import Deriving, Line
from tinygrad_edu.rules.formula import Formula
from tinygrad_edu.rules.poly import Poly
from tinygrad_edu.rules.trees import Tree, Written, literal, name

#: A line that costs less is not compared with what it is without multiplying out.
LONG = 30
#: A line of the sweep that costs more than this is not written down: nobody could read it.
LONGEST_LINE = 2000


class Forms:
    """All forms of the lines of one derivation; what a line does not need is not computed."""

    def __init__(self, work: Deriving, lines: list[Line]) -> None:
        self.work = work
        self.line_of = {line.node: line for line in lines}

    def of(self, line: Line) -> Iterator[Line]:
        """The line in one form after the other."""
        self.work.write_means(line.scaled)
        if line.tree.cost < LONG:
            yield line
        poly = self._careful[line.node].poly
        p, used = self._simplified(poly)
        careful = self._written(line, self.work.arranged(p), p, used)
        if line.tree.cost >= LONG:
            yield from sorted((careful, line), key=lambda form: form.tree.cost)
        else:
            yield careful
        yield self._written(line, self.work.arranged(poly), poly, [])
        tree = self._literal[line.node].tree
        if tree.cost < LONGEST_LINE:
            yield self._written(line, tree, poly, [])

    def _written(self, line: Line, tree: Tree, poly: Poly, used: list[Any]) -> Line:
        form = replace(line, tree=tree, poly=poly, used=used, suffix="")
        self.work.fit(form)
        self.work.take_apart(form)
        return form

    def _simplified(self, poly: Poly) -> tuple[Poly, list[Any]]:
        self.work.algebra.careful = True
        try:
            return self.work.simplifier.simplify(poly)
        finally:
            self.work.algebra.careful = False

    @cached_property
    def _careful(self) -> dict[Any, Formula]:
        """The gradients, nothing multiplied out and no operation opened."""
        work, algebra = self.work, self.work.algebra
        algebra.careful = True
        try:
            formulas: dict[Any, Formula] = {}
            for node in work.nodes:
                if node.op is None:
                    formulas[node] = work.formula[node]
                    continue
                made = node.op(*(formulas[p] for p in node.parents), **work.options(node)).poly
                formulas[node] = Formula(algebra, made, work.shape(node))
                if node in work.name_of and node is not work.cost:
                    formulas[node] = work.formula[node]
                    work.simplifier.rename(made, work.formula[node].poly)
            return self._gradients(formulas, lambda poly, shape=(): Formula(algebra, poly, shape))
        finally:
            algebra.careful = False

    @cached_property
    def _literal(self) -> dict[Any, Written]:
        """The gradients as the sweep computes them, rule by rule."""
        work = self.work
        trees = {node: Written(tree) for node, tree in forward_trees(work).items()}
        return self._gradients(trees, lambda poly, shape=(): Written(work.layout.arrange(poly)))

    def _gradients(self, forward: dict[Any, Any], made: Any) -> dict[Any, Any]:
        """The sweep on anything; what has a line goes on under the line's name."""
        work, found = self.work, {}

        def arrived(node: Any, dz: Any) -> Any:
            line = self.line_of.get(node)
            name = work.above.get(node) if line is None else line.name
            if name is None:
                return dz
            symbol = made(
                work.algebra.of(work.algebra.name(name, work.shape(node))), work.shape(node)
            )
            if not work.is_scaled(node):
                found[node] = dz
                return symbol
            m = made(work.lengths.of(work.example_axis).symbol)
            found[node] = dz * m
            return symbol / m

        def read(node: Any) -> Any:
            return forward[node], tuple(forward[p] for p in node.parents)

        sweep(work.cost, made(work.algebra.one), read, arrived=arrived, options=work.options)
        return found


def forward_trees(work: Deriving) -> dict[Any, Tree]:
    """Each node as it was computed: by its name, or by its inputs written out."""
    trees: dict[Any, Tree] = {}
    for node in work.nodes:
        if node.op is None:
            trees[node] = work.layout.arrange(work.formula[node].poly)
        elif node in work.name_of and node is not work.cost:
            trees[node] = name(work.algebra.name(work.name_of[node], work.shape(node)))
        else:
            trees[node] = forward(work, node, trees)
    return trees


def forward(work: Deriving, node: Any, trees: dict[Any, Tree]) -> Tree:
    """The forward line of a node, its inputs as `trees` has them."""
    return literal(node.op, tuple(trees[p] for p in node.parents), work.options(node))
