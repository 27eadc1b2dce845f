"""What is in a picture of a graph: its lines, their names, and what each sends back to which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.sweep import needed
from tinygrad_edu.drawing import folding, local
from tinygrad_edu.drawing.lines import LONGEST, lines
from tinygrad_edu.rules import derive
from tinygrad_edu.rules.derivation import Rule
from tinygrad_edu.rules.layers import layers
from tinygrad_edu.rules.notation.mathml import inside
from tinygrad_edu.words import Words

#: The rules are written where there are at most this many lines.
RULES = 40


class Content:
    """The lines of a graph, which of them are a box together, and the gradients between them.

    `nodes`: oldest first. `results`: what they lead to. `limit`: fold above this many boxes.
    `whole`: what has no name is part of the line it is used in. `inside`: the lines inside of
    folded boxes are told of, too. `convention`: the scale of the gradients.
    """

    def __init__(
        self,
        nodes: Sequence[Any],
        names: dict[Any, str],
        limit: int | None,
        whole: bool,
        inside: bool,
        backward: bool,
        convention: str,
        words: Words,
        results: Sequence[Any],
    ) -> None:
        self.nodes = nodes
        self.results = dict.fromkeys(results)  # a Value is found in a list by its numbers
        self.backward = backward
        self.names = names
        self.words = words
        self.needed = needed(nodes)
        self.number = {node: i for i, node in enumerate(nodes)}
        self.owner = folding.owners(nodes, names)
        self.layers = layers(names)
        self.recorded: dict[Any, Any] = {}  # the numbers the graph was computed from
        for node in nodes:
            self.recorded.setdefault(node, node._data)
            for parent, x in zip(node.parents, node._inputs):
                if parent.op is None:
                    self.recorded[parent] = x
        self._arrange(limit, whole, inside)
        self.grad, self.seeds = local.swept(self.results) if self.backward else ({}, {})
        self._name_everything()
        self._derive(convention)
        self._send()

    def _arrange(self, limit: int | None, whole: bool, inside: bool) -> None:
        """Which line, or which lines together, are a box."""
        nodes = self.nodes
        many = limit is not None and len(nodes) > limit * LONGEST  # then so are the lines
        found = [[node] for node in nodes] if not whole or many else self._lines()
        self.folds: dict[str, folding.Group] = {}
        self.folded = ""
        if limit is not None and len(found) > limit:
            groups = folding.fold(nodes, self.names, limit, self.results)
            self.folds = {f"g{i}": g for i, g in enumerate(groups) if len(g.members) > 1}
            found = [group.members for group in groups if len(group.members) == 1]
            values = {"values": len(nodes), "boxes": len(groups)}
            self.folded = self.words.said("draw.folded", values)
        #: The lines that have a box of their own, by what they compute: their nodes, oldest first.
        self.alone = {line[-1]: line for line in found}
        self.box = {node: f"n{self.number[line[-1]]}" for line in found for node in line}
        for box, group in self.folds.items():
            self.box |= dict.fromkeys(group.members, box)
        #: All lines that are told of, oldest first.
        self.lines = dict(self.alone)
        if inside:
            self.lines |= {node: [node] for g in self.folds.values() for node in g.members}
        self.lines = dict(sorted(self.lines.items(), key=lambda line: self.number[line[0]]))
        self.place = {head: i for i, head in enumerate(self.lines)}
        self.inputs = {head: local.inputs(line) for head, line in self.lines.items()}
        self.uses = Counter(parent for _, read in self.reading() for parent in read)

    def _lines(self) -> list[list[Any]]:
        return lines(self.nodes, self.names, self.needed, self.results)

    def reading(self) -> Iterator[tuple[Any, Sequence[Any]]]:
        """Every line, and every node of a folded box, with what it reads."""
        for node in self.nodes:
            if node in self.inputs:
                yield node, self.inputs[node]
            elif self.box[node][0] == "g":
                yield node, node.parents

    def _name_everything(self) -> None:
        """A name for what has none, a formula for what is written inside a line, and what each
        gradient is called in the rules.
        """
        self.called: dict[Any, local.Written] = {}
        told = {node for line in self.lines.values() for node in line}
        told.update(parent for read in self.inputs.values() for parent in read)
        for node in sorted(told, key=self.number.__getitem__):
            name = self.names.get(node)
            if node not in self.lines and self.box[node][0] == "n":
                if node.op is not None:
                    self.called[node] = local.formula(node, self.called)
                continue
            if name is None and (node.op is not None or node.shape or node in self.needed):
                name = f"v{self.number[node]}"
            if name is not None:
                shape = np.shape(self.recorded[node])
                self.called[node] = local.Written.named(name, shape, self.layers.get(node))
        self.gradient = {node: written.gradient() for node, written in self.called.items()}

    def _derive(self, convention: str) -> None:
        """The line of each named gradient, in the scale asked for where the graph has it.

        `steps` has them one after another (``dZ2 = dA2 ∗ A2 ∗ (1 − A2)``), `derived` as a teacher
        writes them (``dZ2 = A2 − Y``). Formulas without names in between grow out of bounds: where
        most lines have none, there is nothing short to write.
        """
        self.derived: dict[Any, Rule] = {}
        self.steps: dict[Any, Rule] = {}
        self.m: int | None = None
        self.symbol = ""
        computed = [head for head, line in self.alone.items() if head.op is not None]
        named = {name: node for node, name in self.names.items()}
        few = len(computed) <= min(RULES, 4 * sum(node in self.names for node in computed))
        root = next(iter(self.results))
        single = len(self.results) == 1 and root.shape == () and root.requires_grad
        if not self.backward or self.folded or not few or not single:
            return
        try:
            usual = derive(root, convention=convention, names=named)
            every = derive(root, convention=convention, names=named, every=True)
        except GradError:  # two quantities of one name, say: the picture does without
            return
        of = {named[rule.of]: rule for rule in usual if rule.of in named}
        self.steps = {named[rule.of]: rule for rule in every if rule.of in named}
        self.derived = self.steps | of
        self.m = usual.m
        self.symbol = next((rule.scale for rule in every if rule.scale), "")

    def _send(self) -> None:
        """What each line sends back, and what arrives at each value.

        Where an unnamed value's gradient is just handed on (``W1 @ X`` in ``Z1 = W1 @ X + b1``), it
        keeps the name it came with: so the rule for W1 reads ``dZ1 @ Xᵀ``, as on paper.
        """
        self.back: dict[Any, list[local.Contribution]] = {}
        self.arriving: dict[Any, list[local.Contribution]] = {}
        if not self.backward or sum(head.op is not None for head in self.alone) > RULES:
            return
        for head in reversed(self.alone):
            for sent in self.sent(head):
                self.arriving.setdefault(sent.parent, []).append(sent)
                if (
                    sent.parent not in self.names
                    and self.uses[sent.parent] == 1
                    and sent.rule.text == self.gradient[head].text
                    and sent.rule.shape == np.shape(self.recorded[sent.parent])
                ):
                    self.gradient[sent.parent] = sent.rule

    def sent(self, head: Any) -> list[local.Contribution]:
        """What a line sends back to each of its inputs, in the scale of the derivatives of J."""
        if head not in self.back:
            known = head.op is not None and head in self.needed
            self.back[head] = (
                local.contributions(
                    self.lines[head], self.called, self.gradient[head], self.grad.get(head)
                )
                if known else []
            )  # fmt: skip
        return self.back[head]

    # --- the scale -----------------------------------------------------------------------------

    def scaled(self, node: Any) -> bool:
        """Is a gradient shown as m times the derivative?"""
        return node in self.steps and bool(self.steps[node].scale)

    def shown(self, node: Any, gradient: Any) -> Any:
        """A gradient of a node, or a part of it, in the scale of the picture."""
        return gradient if gradient is None or not self.scaled(node) else gradient * self.m

    def rule(self, head: Any, sent: local.Contribution) -> tuple[str, str]:
        """What a line sends to an input, in the scale of the picture: as text and as MathML."""
        if self.uses[sent.parent] == 1 and sent.parent in self.steps:
            rule = self.steps[sent.parent]
            return rule.text.partition(" = ")[2], right_side(rule.mathml)
        written = sent.rule
        if self.scaled(sent.parent) != self.scaled(head):
            m = local.Written.named(self.symbol)
            written = m * written if self.scaled(sent.parent) else written / m
        return written.text, written.math


def right_side(mathml: str) -> str:
    """What stands to the right of ``=`` in a ``math`` element."""
    return inside(mathml).partition("<mo>=</mo>")[2]
