"""Writing down: lines in all notations, forward lines as computed, a function around all."""

from __future__ import annotations

import ast
import re
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_edu.rules.deriving import Deriving, Line
from tinygrad_edu.rules.forms import forward, forward_trees
from tinygrad_edu.rules.indices import picks_once
from tinygrad_edu.rules.layers import layer_of, layers
from tinygrad_edu.rules.notation import (
    LONGEST_ARRAY,
    LaTeX,
    MathML,
    Names,
    NumPy,
    OneLine,
    Text,
    array_text,
)
from tinygrad_edu.rules.notation.precedence import PRODUCT, SUM
from tinygrad_edu.rules.notation.typeset import Typeset
from tinygrad_edu.rules.sizes import float_text
from tinygrad_edu.rules.trees import Tree
from tinygrad_edu.words import say

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

    def line(self, line: Line) -> tuple[str, str]:
        """A line as text, and as a Python statement."""
        if line.added:
            text, python = ("; ".join(self._steps(line, n)) for n in (self.text, self.numpy))
            return text, python
        text = self._fitted(line, self.text(line.tree))
        return f"{line.name} = {text}", self._statement(line, self.numpy)

    def typeset(self, line: Line) -> str:
        """A line as LaTeX."""
        return f"{self.latex.named(line.name)} = {self._right(line, self.latex)}"

    def marked_up(self, line: Line) -> str:
        """A line as MathML."""
        return f"{self.mathml.named(line.name)}<mo>=</mo>{self._right(line, self.mathml)}"

    def _right(self, line: Line, notation: Typeset) -> str:
        """What stands right of ``=``, in the quantity's shape where the formula has another."""
        right = notation(line.tree)
        if not line.suffix:
            return right
        return notation.applied(*self._shaping(line, right, notation.python(self._shape(line))), {})

    def _steps(self, line: Line, notation: NumPy) -> list[str]:
        """The statements of a line that adds up at indices; what repeats is added up so, the rest
        is put there or added."""
        name, data = self.work.name_of[line.node], line.node._data
        whole = np.array_equal(data, np.round(data))  # perhaps held as integers
        zeros = f"np.zeros({name}.shape)" if whole else f"np.zeros_like({name})"
        start = notation.counted(line.start) if line.start else zeros
        copied = ".copy()" if line.start and line.start.kind == "name" else ""
        steps = [f"{line.name} = {start}{copied}"]
        for part in line.added:
            amount = notation.counted(part.amount, SUM if part.sign > 0 else PRODUCT)
            if not picks_once(part.index):
                minus = notation.minus if part.sign < 0 else ""
                at = notation.places(part.index)
                steps.append(f"np.add.at({line.name}, {at}, {minus}{amount})")
                continue
            change = "+=" if part.sign > 0 else "-="
            if len(steps) == 1 and line.start is None:
                change, amount = "=", amount if part.sign > 0 else f"{notation.minus}{amount}"
            steps.append(f"{line.name}[{notation.index(part.index)}] {change} {amount}")
        return steps

    def _statement(self, line: Line, notation: NumPy) -> str:
        if line.added:
            return "\n".join(self._steps(line, notation))
        return f"{line.name} = {self._fitted(line, notation.counted(line.tree))}"

    def _fitted(self, line: Line, right: str) -> str:
        """In the shape of the quantity, where the formula alone has another."""
        if not line.suffix:
            return right
        function, arguments = self._shaping(line, right, self._shape(line))
        return f"{function}({', '.join(arguments)})"

    def _shape(self, line: Line) -> str:
        return f"{self.work.name_of[line.node]}.shape" if line.node.shape else "()"

    def _shaping(self, line: Line, right: str, shape: str) -> tuple[str, list[str]]:
        """The function of NumPy's that brings a line into a shape, and what it is given."""
        if not line.tree.shape and line.node.shape:
            plain = {"0": "np.zeros", "1": "np.ones"}.get(self.numpy(line.tree))
            return ("np.full", [shape, right]) if plain is None else (plain, [shape])
        return "np.reshape" if line.suffix == "reshape" else "np.broadcast_to", [right, shape]

    def shown(self) -> set[Any]:
        """The unnamed quantities whose names the lines mention."""
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
        return shown

    def numbered(self) -> dict[Any, str]:
        """The names of all unnamed quantities, those that are shown before those that are not."""
        shown, nodes = self.shown(), list(self.work.auto_named)
        texts = [self.work.name_of[node] for node in nodes]
        return dict(zip(sorted(nodes, key=lambda node: node not in shown), texts))

    def definitions(self) -> list[str]:
        """What the names mean that were given to unnamed quantities the lines mention."""
        names, shown = self.work.name_of, self.shown()
        used = {atom.name for line in self.lines for atom in line.poly.deep if atom.is_name}
        shares = [
            f"{atom.name} = {self.text(self.work.layout.arrange(share))}"
            for atom, (_, share) in self.work.shares.items()
            if atom.name in used
        ]
        return [
            f"{names[node]} = {self.text(forward(self.work, node, self.trees))}"
            for node in self.work.auto_named
            if node in shown
        ] + shares

    def unnamed(self) -> list[str]:
        """What the names stand for that were given to arrays without one, as far as they are shown:
        the numbers where these are few, else the shape and what is known of them."""
        texts = [*self.definitions(), *(self.line(line)[0] for line in self.lines)]
        arrays = {
            text: (node._data, self.work.facts.get(node, ("", None)))
            for text, node in self.work.arrays.items() if node not in self.work.learning
        }  # fmt: skip
        arrays |= {text: (x, ("", None)) for text, x in self.work.unnamed_indices.items()}
        return [
            f"{text} = {array_text(x)}" if x.size <= LONGEST_ARRAY
            else f"{text}: {say('why.array', shape=x.shape)}{_known(*fact)}"
            for text, (x, fact) in arrays.items()
            if any(_mentions(line, text) for line in texts)
        ]  # fmt: skip

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
        computed = [node for node in work.nodes if node in work.name_of and node.op is not None]
        body = [self._computed(node, computed[i:]) for i, node in enumerate(computed)]
        used = {atom for line in self.lines for atom in line.poly.deep}
        body += [
            f"{atom.name} = {self.sized.counted(work.layout.arrange(share))}"
            for atom, (_, share) in work.shares.items() if atom in used
        ]  # fmt: skip
        body += [self._statement(line, self.sized) for line in self.lines]
        body[:0] = self._plain_lines(body)
        numbers = self._size_lines(body)
        computed_here = {line.partition(" = ")[0] for line in body}
        arrays = {
            atom.name: node for atom, node in work.given.items()
            if not atom.constant and atom.name not in computed_here
        }  # fmt: skip
        for text, node in work.arrays.items():  # nobody else knows what c1 is
            if node in work.origins.written:
                arrays.pop(text, None)
            elif text in arrays and not node.requires_grad and node.size <= SMALL:
                numbers.append(f"{text}={array_text(node._data)}")
                del arrays[text]
        called = [
            k for k in work.index_names
            if k not in arrays and k not in computed_here and any(_mentions(x, k) for x in body)
        ]  # fmt: skip
        numbers += self._index_numbers(body, {*arrays, *computed_here})
        shapes = ", ".join(f"{text} {node.shape}" for text, node in arrays.items())
        cost = work.name_of[work.cost]
        result = ", ".join(f'"{line.name}": {line.name}' for line in self.lines)
        function = [
            f"def gradients({', '.join([*arrays, *called, *numbers])}):",
            f'    """The cost {cost} and its derivatives; {shapes}.{self._called()}"""',
            *(f"    {step}" for line in body for step in line.split("\n")),
            f"    return {cost}, {{{result}}}",
        ]
        helpers = [
            f"{source}\n\n" for name, source in HELPERS.items()
            if any(_mentions(line, name) for line in body)
        ]  # fmt: skip
        return "import numpy as np\n\n\n" + "".join(helpers) + "\n".join(function) + "\n"

    def _computed(self, node: Any, from_here: list[Any]) -> str:
        """The line of a quantity; lengths only it, or what comes later, has are plain numbers."""
        tree, names = forward(self.work, node, self.trees), self.work.name_of
        text = self.sized.counted(tree)
        if any(_mentions(text, f"{names[later]}.shape") for later in from_here):
            text = self.numpy.counted(tree)
        return f"{names[node]} = {text}"

    def _size_lines(self, body: list[str]) -> list[str]:
        """Put the lines of lengths into the body; the numbers that are given to the function: those
        of constants, and of lengths that are needed before there is an array to have them."""
        work, sources = self.work, self.work.lengths.sources
        numbers = [
            f"{a.name}={float_text(n._data)}"
            for a, n in work.given.items()
            if a.constant and a.name not in sources and not _made_in(body, a.name)
        ]
        for text, source in sources.items():
            if text == source:
                continue
            readers = [i for i, line in enumerate(body) if _mentions(line, text)]
            of = source.partition(".")[0]
            made = [i for i, line in enumerate(body) if line.startswith(f"{of} = ")]
            at = made[0] + 1 if made else 0
            if readers and (source.isdigit() or readers[0] < at):
                numbers.append(f"{text}={int(work.lengths.numbers[text])}")
            elif readers:
                body.insert(at, f"{text} = {source}")
        return numbers

    def _index_numbers(self, body: list[str], known: set[str]) -> list[str]:
        """The lengths and the nameless indices that plain arrays and indices are written with."""
        work = self.work
        known = {*known, *work.lengths.sources, *(a.name for a in work.given)}
        sizes = {text: str(n) for text, n in work.origins.sizes.items() if text not in known}
        indices = {text: array_text(array) for text, array in work.unnamed_indices.items()}
        return [
            f"{text}={number}"
            for text, number in (sizes | indices).items()
            if any(_mentions(line, text) for line in body)
        ]

    def _plain_lines(self, body: list[str]) -> list[str]:
        """The lines of plain arrays and numbers that the others read, in order."""
        origins, sources = self.work.origins, self.work.lengths.sources
        made = dict(origins.made)
        made |= {
            text: origins.written[node]
            for text, node in self.work.arrays.items() if node in origins.written
        }  # fmt: skip
        given = {a.name for a in self.work.given if a.constant}
        found: list[str] = []
        for text, formula in reversed(list(made.items())):
            taken = text in self.work.node_of and self.work.node_of[text].op is not None
            if text in given and not _is_of_names(formula):
                continue  # k = 1 / 2: a number that the function is given, and may be another
            if (
                not taken
                and text not in sources
                and any(_mentions(line, text) for line in [*found, *body])
            ):
                found.insert(0, f"{text} = {formula}")
        return found

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


def _known(kind: str, axis: int | None) -> str:
    return say("why.one_hot", axis=axis) if kind == "onehot" else ""


def _made_in(body: list[str], name: str) -> bool:
    return any(line.startswith(f"{name} = ") for line in body)


def _is_of_names(formula: str) -> bool:
    """Is a formula made of other quantities, and not of numbers alone?"""
    return any(
        isinstance(n, ast.Name) and n.id not in ("np", "math") for n in ast.walk(ast.parse(formula))
    )


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
