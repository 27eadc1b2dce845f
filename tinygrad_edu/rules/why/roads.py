"""The roads a gradient takes from one named quantity to another, and what it becomes on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tinygrad_edu.core.primitive import Each
from tinygrad_edu.core.sweep import fit, needs, sweep
from tinygrad_edu.rules.deriving import Deriving, Line
from tinygrad_edu.rules.formula import Formula
from tinygrad_edu.rules.poly import Poly

#: A road through more named quantities without a line is not told step by step.
LONGEST = 12


@dataclass
class Sent:
    """What one reader sends to a quantity: in all, use by use, and at each node on the way."""

    total: Poly
    uses: list[Poly]
    at: dict[Any, Formula]


class Roads:
    """The readers of each named quantity of one derivation, and what they send it."""

    def __init__(self, work: Deriving, lines: list[Line]) -> None:
        self.work = work
        self.line_of = {line.node: line for line in lines}
        self.consumers: dict[Any, list[Any]] = {}
        for node in work.nodes:
            for parent in dict.fromkeys(node.parents):
                self.consumers.setdefault(parent, []).append(node)
        self.names = {node: self._gradient_name(node) for node in work.name_of}
        for node, text in self.names.items():  # they stand where gradients stand in a product
            work.gradients.setdefault(work.algebra.name(text, work.shape(node)), node)
        self.scaled = False  # is the line that is explained m times its gradient?

    def _gradient_name(self, node: Any) -> str:
        if node in self.line_of:
            return self.line_of[node].name
        text = f"d{self.work.name_of[node]}"
        taken = {line.name for line in self.line_of.values()}
        while text in self.work.node_of or text in taken:
            text += "_"
        return text

    def is_scaled(self, node: Any) -> bool:
        """Is a gradient told in m's scale? One without a line is, as long as the line told is, so
        that one explanation keeps to one scale."""
        if node in self.line_of:
            return self.line_of[node].scaled
        return self.scaled or self.work.is_scaled(node)

    def is_named(self, node: Any) -> bool:
        """Has a node a name, or is it the cost?"""
        return node in self.work.name_of or node is self.work.cost

    def readers(self, node: Any, hidden: frozenset[Any] = frozenset()) -> list[Any]:
        """The named quantities computed of a node (through `hidden` ones), oldest first."""
        found: dict[Any, None] = {}
        stack, seen = [node], {node}
        while stack:
            for user in self.consumers.get(stack.pop(), []):
                if user in seen or user not in self.work.learning:
                    continue
                seen.add(user)
                if self.is_named(user) and user not in hidden:
                    found[user] = None
                else:
                    stack.append(user)
        order = {n: i for i, n in enumerate(self.work.nodes)}
        return sorted(found, key=order.__getitem__)

    def is_end(self, node: Any) -> bool:
        """Does a road start here: at the cost, or at a quantity that has a line?"""
        return node is self.work.cost or node in self.line_of

    def between(self, node: Any, hidden: frozenset[Any] = frozenset()) -> list[Any]:
        """The named quantities without a line on the roads to a node, in backward order."""
        found: dict[Any, None] = {}
        stack = [node]
        while stack:
            for reader in self.readers(stack.pop(), hidden):
                if not self.is_end(reader) and reader not in found:
                    found[reader] = None
                    stack.append(reader)
        order = {n: i for i, n in enumerate(self.work.nodes)}
        return sorted(found, key=order.__getitem__, reverse=True)

    def chains(self, node: Any, hidden: frozenset[Any]) -> Iterator[list[Any]]:
        """Each road from its end down to a node."""
        for reader in self.readers(node, hidden):
            if self.is_end(reader):
                yield [reader, node]
            else:
                for chain in self.chains(reader, hidden):
                    yield [*chain, node]

    def sent(self, above: Any, below: Any, hidden: frozenset[Any] = frozenset()) -> Sent | None:
        """What `above` sends to `below`, each in the scale of its own line."""
        work, algebra = self.work, self.work.algebra
        seed = algebra.one
        if above is not work.cost:
            seed = algebra.of(algebra.name(self.names[above], work.shape(above)))
            if self.is_scaled(above):
                seed = seed * self.m**-1
        if self.is_scaled(below):
            seed = seed * self.m

        def arrived(node: Any, dz: Formula) -> Formula | None:
            stops = node is not above and self.is_named(node) and node not in hidden
            return None if stops and node is not below else dz

        start = Formula(algebra, seed, work.shape(above))
        found = sweep(above, start, self._read, arrived=arrived, options=work.options)
        if found.get(below) is None:
            return None
        at = {node: g for node, g in found.items() if g is not None}
        uses = [
            use.poly
            for user in self.consumers.get(below, [])
            if user in at and user is not below and (user is above or not self._stops(user, hidden))
            for use in self._uses(user, below, at[user])
        ]
        return Sent(found[below].poly, uses, at)

    def _stops(self, node: Any, hidden: frozenset[Any]) -> bool:
        return self.is_named(node) and node not in hidden

    @property
    def m(self) -> Poly:
        """The number of examples."""
        return self.work.lengths.of(self.work.example_axis).symbol  # type: ignore[no-any-return]

    def _read(self, node: Any) -> tuple[Formula, tuple[Formula, ...]]:
        formula = self.work.formula
        return formula[node], tuple(formula[p] for p in node.parents)

    def _uses(self, user: Any, below: Any, dz: Formula) -> Iterator[Formula]:
        """What each place at which a node is used sends back, by that input's rule."""
        (z, inputs), options = self._read(user), self.work.options(user)
        if isinstance(user.op.rules, Each):
            parts = list(user.op.rules.rule(dz, z, *inputs, **options))
            rules: list[Any] = [lambda *_, part=part, **__: part for part in parts]
        else:
            rules = list(user.op.rules)
        for rule, parent, x, needed in zip(rules, user.parents, inputs, needs(user)):
            if parent is below and needed and rule is not None:
                yield fit(rule(dz, z, *inputs, **options), x, user.op, dz)
