"""The forms a line may take, from the shortest to what the sweep itself computes.

The shortest is found by multiplying out and cancelling, which may lose digits (``x**2 - 2*x*mu +
mu**2`` where x and mu are near) and guards (of a softmax, of a length that is 0). The next is made
without multiplying out and without opening an operation; the last is the sweep written down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

from tinygrad_edu.core.sweep import flow
from tinygrad_edu.rules.deriving import Deriving, Line
from tinygrad_edu.rules.formula import Formula
from tinygrad_edu.rules.poly import Poly
from tinygrad_edu.rules.simplify import MOST_SUMMANDS
from tinygrad_edu.rules.trees import Tree, Written, literal, name

#: A line that costs less is not compared with what it is without multiplying out.
LONG = 30
#: A line of the sweep that costs more than this is not written down: nobody could read it.
LONGEST_LINE = 2000


class Forms:
    """All forms of the lines of one derivation; what a line does not need is not computed."""

    def __init__(self, work: Deriving, lines: list[Line]) -> None:
        self.work = work
        self.lines = lines

    def of(self, line: Line) -> Iterator[Line]:
        """The line in one form after the other."""
        self.work.write_means(line.scaled)
        read = line.tree.cost < LONG or len(line.poly.terms) > MOST_SUMMANDS  # or by nobody
        if read:
            yield line
        with self._being_careful():
            poly = self._careful.of(line).poly
            p, used = self.work.simplifier.simplify(poly)
        careful = self._written(line, self.work.arranged(p), p, used)
        if not read:
            yield from sorted((careful, line), key=lambda form: form.tree.cost)
        else:
            yield careful
        yield self._written(line, self.work.arranged(poly), poly, [])
        tree = self._literal.of(line).tree
        if tree.cost < LONGEST_LINE:
            yield self._written(line, tree, poly, [])

    def _written(self, line: Line, tree: Tree, poly: Poly, used: list[Any]) -> Line:
        form = replace(line, tree=tree, poly=poly, used=used, suffix="")
        self.work.fit(form)
        self.work.take_apart(form)
        return form

    @contextmanager
    def _being_careful(self) -> Iterator[None]:
        self.work.algebra.careful = True
        try:
            yield
        finally:
            self.work.algebra.careful = False

    @cached_property
    def _careful(self) -> Gradients:
        """Nothing multiplied out and no operation opened."""
        work, algebra = self.work, self.work.algebra
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
        return Gradients(
            work, self.lines, formulas, lambda poly, shape=(): Formula(algebra, poly, shape)
        )

    @cached_property
    def _literal(self) -> Gradients:
        """As the sweep computes them, rule by rule."""
        work = self.work
        trees = {node: Written(tree) for node, tree in forward_trees(work).items()}
        return Gradients(
            work, self.lines, trees, lambda poly, shape=(): Written(work.layout.arrange(poly))
        )


class Gradients:
    """The gradients of one derivation in another form: the sweep on the nodes as `forward` has
    them, as far as a line asks for it. What has a line goes on under the line's name."""

    def __init__(
        self, work: Deriving, lines: list[Line], forward: dict[Any, Any], made: Callable[..., Any]
    ) -> None:
        self.work, self.forward, self.made = work, forward, made
        self.names = work.above | {line.node: line.name for line in lines}
        self.known: dict[Any, Any] = {work.cost: made(work.algebra.one)}  # without a name

    def of(self, line: Line) -> Any:
        """What arrives at a line's quantity, in the line's scale."""
        work, node = self.work, line.node
        arriving = {node: self.known.get(node)}
        stack, ends = [node], {}
        while stack:
            for user in work.roles.users.get(stack.pop(), ()):
                if user in self.names or user in self.known:
                    ends[user] = self._flowing_on(user)
                elif user not in arriving:
                    arriving[user] = None
                    stack.append(user)
        for user in sorted({**ends, **arriving}, key=lambda x: x._created, reverse=True):
            dz = ends.get(user, arriving.get(user))
            if dz is not None and user is not node:
                inputs = tuple(self.forward[p] for p in user.parents)
                flow(user, dz, self.forward[user], inputs, arriving, seen=work.options)
        dz = arriving.pop(node)
        self.known |= {user: g for user, g in arriving.items() if g is not None}
        return dz * self._m() if line.scaled else dz

    def _flowing_on(self, node: Any) -> Any:
        """The gradient of what is above a line: by its name where it has one."""
        if node not in self.names:
            return self.known[node]
        algebra, shape = self.work.algebra, self.work.shape(node)
        symbol = self.made(algebra.of(algebra.name(self.names[node], shape)), shape)
        return symbol / self._m() if self.work.is_scaled(node) else symbol

    def _m(self) -> Any:
        return self.made(self.work.lengths.of(self.work.example_axis).symbol)


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
