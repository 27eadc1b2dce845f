"""What all notations share: how sums, numbers and options are written, where brackets are."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from tinygrad_edu.core.primitive import Primitive
from tinygrad_edu.rules.indices import WholeNumber, WholeNumbers
from tinygrad_edu.rules.notation.precedence import MATMUL, PRECEDENCE, QUOTIENT, SUM, Holds
from tinygrad_edu.rules.poly import Number
from tinygrad_edu.rules.sizes import Named, Size, float_text
from tinygrad_edu.rules.trees import Tree, Written, given_tree

#: An array of more numbers is not written out in a line for people.
LONGEST_ARRAY = 8


def decimal(c: Number) -> str:
    """A number as Python reads it back exactly."""
    f = Fraction(c)
    if f.denominator == 1:
        return str(f.numerator)
    return repr(float(f))


def quotient(c: Number) -> str:
    """A number as one writes it: 1/3 where a decimal would not end soon."""
    f = Fraction(c)
    text = decimal(f)
    if len(text) <= 8 or f.denominator == 1 or f.denominator > 999:
        return text
    return f"{f.numerator}/{f.denominator}"


def array_text(x: np.ndarray[Any, Any]) -> str:
    """An array written out; the lists of one without numbers would not tell its shape and kind."""
    text = f"np.array({x.tolist()})" if x.size else f"np.zeros({x.shape}, np.{x.dtype})"
    return re.sub(r"\b(inf|nan)\b", r"np.\1", text)


class Notation:
    """Renders trees. A subclass has a method for each kind; `PRECEDENCE` says how tightly it holds.

    A method gives its text, and how tightly that holds where it is not what the table says.
    """

    column: int
    plus, minus, times, gap = "+", "-", " * ", " "

    def __init__(
        self,
        array_names: Callable[[Any], str | None] | None = None,
        sizes: bool = False,
    ) -> None:
        self.sizes = sizes  # lengths by what they are called, not by the number they are here
        self.array_name = array_names or (lambda array: None)

    def __call__(self, tree: Tree, least: int = SUM) -> str:
        text, holds = self.unbracketed(tree)
        return text if holds >= least else self.bracket(text)

    def unbracketed(self, tree: Tree) -> tuple[str, int]:
        """A tree without brackets, and how tightly it holds."""
        written: str | tuple[str, int] = getattr(self, tree.kind)(tree)
        if isinstance(written, tuple):
            return written
        if tree.kind != "add" or len(tree.parts) > 1:
            return written, self.holds(tree.kind).whole
        [part] = tree.parts  # -(x / y) holds no tighter than x / y
        holds = self.holds("negative").whole
        return written, min(holds, self.holds("divide").whole) if part.kind == "divide" else holds

    def holds(self, kind: str) -> Holds:
        """The row of the table for a kind, in this notation."""
        return PRECEDENCE[kind][self.column]

    def bracket(self, text: str) -> str:
        """`text` between brackets."""
        return f"({text})"

    def counted(self, tree: Tree, least: int = SUM) -> str:
        """`tree` where it must be numbers, not True and False."""
        return self(tree, least)

    def add(self, tree: Tree) -> str:
        """A sum of signed parts."""
        text = ""
        for sign, part in zip(tree.value, tree.parts):
            if text:
                mark, kind = (self.plus, "add") if sign > 0 else (self.minus, "subtract")
                text += f"{self.gap}{mark}{self.gap}{self(part, self.holds(kind).later)}"
            elif sign < 0:
                text = self.negated(part)
            else:
                text = (self.counted if all(map(is_boolean, tree.parts[:2])) else self)(part)
        return text

    def negated(self, tree: Tree) -> str:
        """A product with a minus in front."""
        return self.minus + self(tree, self.holds("negative").later)

    def multiply(self, tree: Tree) -> str:
        """An element-wise product."""
        _, first, later = self.holds("multiply")
        return self.times.join(
            self(part, later if i else first) for i, part in enumerate(tree.parts)
        )

    def given_and_rest(self, top: Tree) -> tuple[list[Tree], str]:
        """A numerator with ``(1/m)`` in front: the numbers that go into that, the rest written."""
        parts = top.parts if top.kind == "multiply" else (top,)
        given = [part for part in parts if is_given(part)]
        others = [part for part in parts if part not in given]
        rest = self.times.join(
            self(part, MATMUL if len(others) > 1 or part.kind == "add" else QUOTIENT)
            for part in others
        )
        return given, rest

    # --- operations ----------------------------------------------------------------------------

    def spelled(self, spelling: Callable[..., Any], tree: Tree) -> tuple[str, int]:
        """A call in terms of other operations."""
        options = tree.value[1]
        return self.unbracketed(spelling(*(Written(part) for part in tree.parts), **options).tree)

    # --- options -------------------------------------------------------------------------------

    def value(self, x: Any) -> str:
        """An option: an axis, a shape, an index."""
        if isinstance(x, Size) and (self.sizes or is_declared(x)):
            return self(given_tree(x))
        if isinstance(x, Named):
            return x.name
        if isinstance(x, WholeNumber) and x.text:
            return self.whole_numbers(x)
        if isinstance(x, slice):
            return self._slice(x)
        if x is Ellipsis:
            return "..."
        if isinstance(x, tuple):
            return f"({', '.join(map(self.value, x))}{',' if len(x) == 1 else ''})"
        if isinstance(x, np.ndarray):
            return self._array(x)
        return float_text(x) if isinstance(x, (float, np.floating)) else str(x)

    def _slice(self, x: slice) -> str:
        parts = ["" if n is None else self.value(n) for n in (x.start, x.stop)]
        return ":".join(parts) + (f":{self.value(x.step)}" if x.step is not None else "")

    def whole_numbers(self, x: WholeNumber | WholeNumbers) -> str:
        """An index by its formula; an array without a name is a function's argument."""
        if isinstance(x, WholeNumber):
            return x.text
        if x.size_of is not None:
            return f"np.arange({self.value(x.size_of)})"
        return x.text if x.named or self.sizes or self.is_named(x) else array_text(x)

    def is_named(self, x: np.ndarray[Any, Any]) -> bool:
        """Is an unnamed array too long to be read in a line, and told by a name beside it?"""
        return x.size > LONGEST_ARRAY

    def _array(self, x: np.ndarray[Any, Any]) -> str:
        if isinstance(x, WholeNumbers) and x.text:
            return self.whole_numbers(x)
        counting = x.ndim == 1 and x.size > 2 and np.array_equal(x, np.arange(x.size))
        return self.array_name(x) or (f"np.arange({x.size})" if counting else array_text(x))

    def index(self, index: Any) -> str:
        """What stands between the brackets of an index."""
        text = self.value(index)
        return text[1:-1].rstrip(",") if isinstance(index, tuple) and index else text

    def places(self, index: Any) -> str:
        """An index as np.add.at takes it: in a tuple, slices by name."""
        if isinstance(index, tuple):
            return f"({', '.join(map(self.places, index))}{',' if len(index) == 1 else ''})"
        if isinstance(index, slice):
            limits = [index.start, index.stop, index.step]
            if limits[0] is limits[2] is None:
                limits = limits[1:2]
            return f"slice({', '.join(map(self.value, limits))})"
        return self.value(index)

    def sum_options(self, tree: Tree) -> tuple[str, bool]:
        """``axis`` as written, and whether the axes stay."""
        places, keepdims, _ = tree.value
        whole = len(places) == len(tree.parts[0].shape) > 1
        if whole or not tree.shape:
            return "", keepdims
        return str(places[0]) if len(places) == 1 else str(places), keepdims


def on_paper(op: Primitive, parts: tuple[Tree, ...]) -> Callable[..., Any] | None:
    """What a reader is told of an operation instead: its guards are for computers."""
    guarded = op.spelling is not None and len(parts) > 1
    return op.definition if guarded or "opened" in op.traits else None


@cache
def defaults(op: Primitive) -> dict[str, Any]:
    """The options of an operation that have a default, and these."""
    return {
        key: p.default
        for key, p in inspect.signature(op.forward).parameters.items()
        if p.default is not inspect.Parameter.empty
    }


def is_comparison(tree: Tree) -> bool:
    """Is it ``x > y`` or the like?"""
    return tree.kind == "call" and "compares" in tree.value[0].traits


def is_boolean(tree: Tree) -> bool:
    """Does NumPy answer True or False?"""
    parts = tree.parts[1:] if tree.kind == "where" else tree.parts
    return is_comparison(tree) or (
        tree.kind in ("multiply", "transpose", "where") and all(map(is_boolean, parts))
    )


def is_declared(size: Size) -> bool:
    """Has a length a name of its own, or is it made of such? ``X.shape[0]`` is none."""
    atoms = size.symbol.atoms()
    return bool(atoms) and not any("." in atom.name for atom in atoms)


def is_given(tree: Tree) -> bool:
    """Made of plain numbers and given ones such as m only?"""
    return tree.kind == "number" or (tree.kind == "name" and tree.value.constant) or (
        tree.kind in ("add", "multiply", "power", "divide") and all(map(is_given, tree.parts))
    )  # fmt: skip


def in_front(top: Tree, bottom: Tree) -> bool:
    """Does a quotient read better as ``(1/m) …``?"""
    return is_given(bottom) and not is_given(top) and (top.kind != "name" or not top.scalar)
