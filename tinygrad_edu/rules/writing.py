"""Writing down: lines in all notations, forward lines as computed, a function around all."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from tinygrad_edu.rules.deriving import Deriving, Line
from tinygrad_edu.rules.expression import float_text
from tinygrad_edu.rules.forms import forward, forward_trees
from tinygrad_edu.rules.layers import layer_of, layers
from tinygrad_edu.rules.notation import (
    LaTeX,
    MathML,
    Names,
    NumPy,
    OneLine,
    Text,
    array_text,
)
from tinygrad_edu.rules.notation.typeset import Typeset
from tinygrad_edu.rules.trees import Tree

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
        names = names_of(work)
        self.latex = LaTeX(work.array_name, names)
        self.mathml = MathML(work.array_name, names)

    @cached_property
    def trees(self) -> dict[Any, Tree]:
        """The nodes as they were computed, written down."""
        return forward_trees(self.work)

    def line(self, line: Line) -> tuple[str, str, str, str]:
        """A line as text, as LaTeX, as a Python statement, as MathML."""
        text = self._fitted(line, self.text(line.tree), "reshape", "broadcast")
        latex = f"{self.latex.named(line.name)} = {self._typeset(line, self.latex)}"
        equals = f"{self.mathml.named(line.name)}<mo>=</mo>{self._typeset(line, self.mathml)}"
        return f"{line.name} = {text}", latex, self._statement(line, self.numpy), equals

    def _typeset(self, line: Line, notation: Typeset) -> str:
        """In the shape of the quantity, where the formula alone has another."""
        right = notation(line.tree)
        if not line.suffix:
            return right
        shape = f"{self.work.name_of[line.node]}.shape" if line.node.shape else "()"
        function = "reshape" if line.suffix == "reshape" else "broadcast_to"
        return notation.applied(function, [right], {"shape": notation.python(shape)})

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
            f"{names[node]} = {self.text(forward(self.work, node, self.trees))}"
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

    def source(self) -> str:
        """A module with one function: from the given quantities to the cost and all rules."""
        work = self.work
        body = [
            f"{work.name_of[node]} = {self.sized.counted(forward(self.work, node, self.trees))}"
            for node in work.nodes
            if node in work.name_of and node.op is not None
        ]
        body += [self._statement(line, self.sized) for line in self.lines]
        sources = work.lengths.sources
        for text, source in sources.items():
            if source.isdigit():
                continue
            if text != source and any(_mentions(line, text) for line in body):
                of = source.partition(".")[0]
                computed = [i for i, line in enumerate(body) if line.startswith(f"{of} = ")]
                body.insert(computed[0] + 1 if computed else 0, f"{text} = {source}")
        arrays = {atom.name: node for atom, node in work.given.items() if not atom.constant}
        numbers = [
            f"{a.name}={float_text(n._data)}"
            for a, n in work.given.items()
            if a.constant and a.name not in sources
        ]
        numbers += [
            f"{text}={source}"
            for text, source in sources.items()
            if source.isdigit() and any(_mentions(line, text) for line in body)
        ]
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
            f'    """The cost {cost} and its derivatives; {shapes}.{self._called()}"""',
            *(f"    {line}" for line in body),
            f"    return {cost}, {{{result}}}",
        ]
        helpers = [
            f"{source}\n\n" for name, source in HELPERS.items()
            if any(_mentions(line, name) for line in body)
        ]  # fmt: skip
        return "import numpy as np\n\n\n" + "".join(helpers) + "\n".join(function) + "\n"

    def _called(self) -> str:
        """What the user calls those whose name is no identifier."""
        names = self.work.name_of
        other = [
            f"{names[v]} is {text!r}"
            for v, text in self.work.text_of.items()
            if v in names and names[v] != text
        ]
        text = f" {', '.join(dict.fromkeys(other))}." if other else ""
        return text.replace("\\", r"\\").replace('"', r"\"")


def names_of(work: Deriving) -> Names:
    """What the names of a derivation are made of: which are gradients, which numbers layers."""
    own = {
        node: work.text_of[node]
        for node, name in work.name_of.items()
        if node in work.text_of and node not in work.auto_named
    }
    layered = {
        work.name_of[node]
        for node, (_, layer) in layers(own).items()
        if (layer_of(work.name_of[node]) or ("", None))[1] == layer
    }
    return Names(set(work.node_of), layered)


#: What NumPy has no function for.
HELPERS = {
    "scatter": '''def scatter(x, index, shape):
    """Zeros of `shape` with x added in at `index`."""
    z = np.zeros(shape)
    np.add.at(z, index, x)
    return z
''',
    "prod_of_others": '''def prod_of_others(x, axis):
    """At each place along `axis` the product of all other places."""
    x = np.moveaxis(x, axis, 0)
    one = np.ones_like(x[:1])
    before = np.cumprod(np.concatenate([one, x[:-1]]), axis=0)
    after = np.cumprod(np.concatenate([one, x[:0:-1]]), axis=0)[::-1]
    return np.moveaxis(before * after, 0, axis)
''',
}


def _mentions(line: str, text: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(text)}(?!\w)", line) is not None
