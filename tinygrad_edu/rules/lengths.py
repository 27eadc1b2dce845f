"""What the lengths of a graph's axes are called in its lines."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any

from tinygrad_edu.calculus.axes import Axes, Axis, Origins
from tinygrad_edu.rules.expression import Algebra
from tinygrad_edu.rules.poly import Poly
from tinygrad_edu.rules.sizes import Size


class Lengths:
    """The formula of each axis' length: ``m`` and ``h * d`` as declared, else ``X.shape[0]``.

    `symbols` are these formulas by axis, `numbers` what the names in them are here, and `sources`
    what they are computed from: the shape of a quantity, or a mere number.
    """

    def __init__(self, algebra: Algebra, axes: Axes, name_of: Mapping[Any, str]) -> None:
        self.algebra, self.axes, self.name_of = algebra, axes, name_of
        self.symbols: dict[Axis, Poly] = {}
        self.sources: dict[str, str] = {}
        self.numbers: dict[str, float] = {}

    def call(self, axis: Axis, text: str) -> None:
        """Call the length of an axis by a name of its own."""
        n = self.axes.length(axis)
        self.symbols[axis] = self._named(text, n, self._shape_entry(axis) or str(n))

    def declare(self, origins: Origins) -> None:
        """Take the names that lengths were declared by; a name before a formula of names."""
        called: dict[str, set[Axis]] = {}
        for (node, i), text in origins.called.items():
            called.setdefault(text, set()).update(self.axes.at(node, [i]))
        for text in sorted(called, key=lambda text: not text.isidentifier()):
            for axis in sorted(called[text]):
                if axis in self.symbols:
                    continue
                if not text.endswith("]"):
                    self.symbols[axis] = self._formula(text, origins)
                elif self._shape_entry(axis) is None:  # ids.shape[1]: of what is in no graph
                    self.symbols[axis] = self._named(text, self.axes.length(axis), text)

    def made(self, text: str, n: int, origins: Origins) -> Size | None:
        """A number by its formula, if that is made of names of lengths and whole numbers."""
        names = re.findall(r"[^\W\d]\w*", text)
        if not re.fullmatch(r"\w+( [-+*] \w+)*", text) or not names:
            return None
        if not all(name in origins.sizes for name in names):
            return None
        return Size(n, self._formula(text, origins))

    def of(self, axis: Axis | None) -> Any:
        """The length of an axis, knowing what it is called."""
        if axis is None:
            return 1
        n = self.axes.length(axis)
        if axis not in self.symbols:
            entry = self._shape_entry(axis)
            symbol = self.algebra.number(n) if entry is None else self._named(entry, n, entry)
            self.symbols[axis] = symbol
        return Size(n, self.symbols[axis])

    def _named(self, text: str, n: int, source: str) -> Poly:
        self.sources.setdefault(text, source)
        self.numbers[text] = float(n)
        return self.algebra.of(self.algebra.name(text, (), positive=True, constant=True))

    def _shape_entry(self, axis: Axis) -> str | None:
        """``X.shape[1]``: the first named quantity with the axis, given ones first."""
        members = [(node, i) for node, i in self.axes.members[axis] if node in self.name_of]
        members.sort(key=lambda x: x[0].op is not None)
        return f"{self.name_of[members[0][0]]}.shape[{members[0][1]}]" if members else None

    def _given_entry(self, text: str, origins: Origins) -> str:
        """What a length is computed from: the shape of what was declared by it, else a number."""
        for (node, i), other in origins.called.items():
            if other == text and node.op is None and node in self.name_of:
                return f"{self.name_of[node]}.shape[{i}]"
        return str(origins.sizes[text])

    def _formula(self, text: str, origins: Origins) -> Poly:
        """The formula of a length made of others."""
        combine: dict[type, Callable[[Poly, Poly], Poly]] = {
            ast.Add: lambda x, y: x + y, ast.Sub: lambda x, y: x - y, ast.Mult: lambda x, y: x * y,
        }  # fmt: skip

        def go(e: Any) -> Poly:
            if isinstance(e, ast.Constant):
                return self.algebra.number(e.value)
            if isinstance(e, ast.Name):
                return self._named(e.id, origins.sizes[e.id], self._given_entry(e.id, origins))
            return combine[type(e.op)](go(e.left), go(e.right))

        return go(ast.parse(text, mode="eval").body)
