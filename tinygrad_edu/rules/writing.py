"""Writing down: lines in three notations, forward lines as computed, a function around all."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from tinygrad_edu.rules.deriving import Deriving, Line
from tinygrad_edu.rules.expression import float_text
from tinygrad_edu.rules.notation import LaTeX, NumPy, OneLine, Text, array_text, latex_name
from tinygrad_edu.rules.trees import Tree, literal, name, number_tree

#: An unnamed array of at most so many numbers is written into the function.
SMALL = 64


class Writer:
    """Writes the lines of one derivation down."""

    def __init__(self, work: Deriving, lines: list[Line]) -> None:
        self.work = work
        self.lines = lines
        self.numpy = OneLine(work.array_name)
        self.sized = NumPy(work.array_name, sizes=True)  # for other sizes than these too
        self.text = Text(work.array_name)
        self.latex = LaTeX(work.array_name)

    def line(self, line: Line) -> tuple[str, str, str]:
        """A line as text, as LaTeX, as a Python statement."""
        text = self._fitted(line, self.text(line.tree), "reshape", "broadcast")
        latex = f"{latex_name(line.name)} = {self.latex(line.tree)}"
        return f"{line.name} = {text}", latex, self._statement(line, self.numpy)

    def _statement(self, line: Line, notation: NumPy) -> str:
        right = notation.counted(line.tree)
        return f"{line.name} = {self._fitted(line, right, 'np.reshape', 'np.broadcast_to')}"

    def _fitted(self, line: Line, right: str, reshape: str, broadcast: str) -> str:
        """In the shape of the quantity, where the formula alone has another."""
        if not line.suffix:
            return right
        name = self.work.name_of[line.node]
        if line.tree.kind == "number" and line.node.shape and reshape.startswith("np."):
            plain = {0: f"np.zeros({name}.shape)", 1: f"np.ones({name}.shape)"}
            return plain.get(line.tree.value, f"np.full({name}.shape, {right})")
        shape = f"{name}.shape" if line.node.shape else "()"
        return f"{reshape if line.suffix == 'reshape' else broadcast}({right}, {shape})"

    def definitions(self) -> list[str]:
        """What the names mean that were given to unnamed quantities the lines mention."""
        names = self.work.name_of
        used = {atom.name for line in self.lines for atom in line.poly.deep if atom.is_name}
        used |= {names[line.node] for line in self.lines}
        pending = [node for node in self.work.auto_named if names[node] in used]
        shown = set(pending)
        while pending:  # and what these are computed from, as far as it has no name of the user's
            for node in self.named_inputs(pending.pop()):
                if node in self.work.auto_named and node not in shown:
                    shown.add(node)
                    pending.append(node)
        return [
            f"{names[node]} = {self.text(self.forward(node))}"
            for node in self.work.auto_named
            if node in shown
        ]

    def named_inputs(self, node: Any) -> list[Any]:
        found, stack = [], list(node.parents)
        while stack:
            p = stack.pop()
            if p in self.work.name_of:
                found.append(p)
            else:
                stack.extend(p.parents)
        return found

    def forward(self, node: Any) -> Tree:
        """A node's forward line as it was computed, unnamed inputs written out."""
        trees: dict[Any, Tree] = {}
        stack = [node]
        while stack:
            at = stack[-1]
            if at in trees:
                stack.pop()
                continue
            if at is not node and at in self.work.name_of:
                trees[at] = name(self.work.algebra.name(self._called(at), self.work.shape(at)))
            elif at.op is None:
                divisor = self.work.divisors.get(at)
                if divisor is not None:
                    trees[at] = self.work.layout.arrange(self.work.formula[at].poly)
                else:
                    data = np.asarray(at._data)
                    trees[at] = number_tree(float(data.flat[0])) if data.size else number_tree(0)
            elif all(p in trees for p in at.parents):
                trees[at] = literal(at.op, tuple(trees[p] for p in at.parents), at.options)
            else:
                stack.extend(p for p in at.parents if p not in trees)
                continue
            stack.pop()
        return trees[node]

    def _called(self, node: Any) -> str:
        poly = self.work.formula[node].poly
        return (
            poly.atom.name if node.op is None and poly.atom is not None else self.work.name_of[node]
        )

    def source(self) -> str:
        """A module with one function: from the given quantities to the cost and all rules."""
        work = self.work
        body = [
            f"{work.name_of[node]} = {self.sized.counted(self.forward(node))}"
            for node in work.nodes
            if node in work.name_of and node.op is not None
        ]
        body += [self._statement(line, self.sized) for line in self.lines]
        for text, source in work.size_sources.items():
            if text != source and any(_mentions(line, text) for line in body):
                of = source.partition(".")[0]
                computed = [i for i, line in enumerate(body) if line.startswith(f"{of} = ")]
                body.insert(computed[0] + 1 if computed else 0, f"{text} = {source}")
        arrays = {atom.name: node for atom, node in work.given.items() if not atom.constant}
        numbers = [f"{a.name}={float_text(n._data)}" for a, n in work.given.items() if a.constant]
        for text, node in work.arrays.items():  # nobody else knows what c1 is
            if text in arrays and not node.requires_grad and node.size <= SMALL:
                numbers.append(f"{text}={array_text(node._data)}")
                del arrays[text]
        used = [
            k for k in work.index_names if k not in arrays and any(_mentions(x, k) for x in body)
        ]
        shapes = ", ".join(f"{text} {node.shape}" for text, node in arrays.items())
        cost = work.name_of[work.cost]
        result = ", ".join(f'"{line.name}": {line.name}' for line in self.lines)
        function = [
            f"def gradients({', '.join([*arrays, *used, *numbers])}):",
            f'    """The cost {cost} and its derivatives; {shapes}."""',
            *(f"    {line}" for line in body),
            f"    return {cost}, {{{result}}}",
        ]
        helper = f"{SCATTER}\n\n" if any(_mentions(line, "scatter") for line in body) else ""
        return "import numpy as np\n\n\n" + helper + "\n".join(function) + "\n"


SCATTER = '''def scatter(x, index, shape):
    """Zeros of `shape` with x added in at `index`."""
    z = np.zeros(shape)
    np.add.at(z, index, x)
    return z
'''


def _mentions(line: str, text: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(text)}(?!\w)", line) is not None
