"""Formulas as Python: with NumPy, for a function or as one line."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

import numpy as np

from tinygrad_edu.core.primitive import Primitive, Shape
from tinygrad_edu.rules.notation.base import (
    Notation,
    decimal,
    defaults,
    is_boolean,
    is_comparison,
)
from tinygrad_edu.rules.notation.precedence import POWER, PRODUCT, PYTHON, SUM, WHOLE
from tinygrad_edu.rules.trees import Tree


class NumPy(Notation):
    """A Python expression that needs only numpy and, for an index of arrays, `scatter`."""

    column = PYTHON
    booleans = True
    helpers = True  # may functions be called that NumPy has not? See `writing.HELPERS`

    def is_named(self, x: np.ndarray[Any, Any]) -> bool:
        """In Python a line has to run alone."""
        return False

    def counted(self, tree: Tree, least: int = SUM) -> str:
        """To NumPy ``True + True`` is True: what is compared becomes numbers by a factor."""
        if not (self.booleans and is_boolean(tree)):
            return self(tree, least)
        text = f"1.0 * {self(tree, POWER)}"
        return text if least <= PRODUCT else self.bracket(text)

    def negated(self, tree: Tree) -> str:
        """The first factor takes the minus, and NumPy has none for True and False."""
        first = tree
        while first.kind in ("multiply", "divide"):
            first = first.parts[0]
        if self.booleans and is_boolean(first):
            return f"-1.0 * {self(tree, PRODUCT)}"
        return super().negated(tree)

    def number(self, tree: Tree) -> str | tuple[str, int]:
        """A number as Python reads it back."""
        c = Fraction(tree.value)
        if c.denominator == 1 or c.denominator > 999 or len(decimal(c)) <= 8:
            return decimal(c)
        return f"{c.numerator} / {c.denominator}", self.holds("fraction").whole

    def name(self, tree: Tree) -> str:
        """A name as it is."""
        return str(tree.value.name)

    def multiply(self, tree: Tree) -> str:
        """A product; it is read from the left."""
        _, first, later = self.holds("multiply")
        texts = []
        for i, part in enumerate(tree.parts):
            # After a number a matrix product needs no bracket: either factor may be scaled.
            after_number = i == 1 and tree.parts[0].kind == "number"
            alone = i == 0 or (
                after_number and part.kind == "matmul" and self._simple(part.parts[0])
            )
            texts.append(self(part, first if alone else later))
        return self.times.join(texts)

    def _simple(self, tree: Tree) -> bool:
        return tree.kind in ("name", "transpose") or (
            tree.kind == "matmul" and self._simple(tree.parts[0])
        )

    def divide(self, tree: Tree) -> str:
        """A quotient."""
        _, first, later = self.holds("divide")
        top, bottom = tree.parts
        return f"{self(top, first)} / {self(bottom, later)}"

    def power(self, tree: Tree) -> str:
        """A power."""
        n = Fraction(tree.value)
        exponent = (
            decimal(n)
            if n.denominator in (1, 2, 4, 5, 8, 10)
            else f"({n.numerator} / {n.denominator})"
        )
        return f"{self.counted(tree.parts[0], self.holds('power').first)}**{exponent}"

    def matmul(self, tree: Tree) -> str:
        """A matrix product."""
        _, first, later = self.holds("matmul")
        x, y = tree.parts
        return f"{self.counted(x, first)} @ {self(y, later)}"

    def transpose(self, tree: Tree) -> str:
        """A transpose."""
        inner = self(tree.parts[0], self.holds("transpose").first)
        if tree.value is None:
            return f"{inner}.T"
        return f"{inner}.transpose{self.value(tuple(tree.value))}"

    def sum(self, tree: Tree) -> str:
        """A sum or mean over axes."""
        axis, stays = self.sum_options(tree)
        options = (f", axis={axis}" if axis else "") + (", keepdims=True" if stays else "")
        return f"np.{tree.kind}({self._alone(tree.parts[0])}{options})"

    mean = sum

    def where(self, tree: Tree) -> str:
        """A choice."""
        mask, x, y = tree.parts
        return f"np.where({self._alone(mask)}, {self(x)}, {self(y)})"

    def _alone(self, tree: Tree) -> str:
        """Between brackets and commas, where a comparison needs no brackets of its own."""
        return self(tree)[1:-1] if is_comparison(tree) else self(tree)

    def call(self, tree: Tree) -> str | tuple[str, int]:
        """Any other operation."""
        op, options = tree.value
        if op.name == "reshape" and sum(n != 1 for n in options["shape"]) == 1:
            options = {"shape": tuple(1 if n == 1 else -1 for n in options["shape"])}
        special = {"scatter": self._scattered, "joined": self._joined}.get(op.name)
        if special is not None:
            return special(tree)
        axis = options.get("axis")
        unknown = op.name == "norm" and isinstance(axis, tuple) and len(axis) != 2  # to NumPy's
        if op.name == "prod_of_others" and self.helpers:
            return f"prod_of_others({self(tree.parts[0])}, {options['axis']})"
        spelling = op.spelling or op.definition
        if (op.numpy is None or unknown) and spelling is not None:
            return self.spelled(spelling, tree)
        return fill(op, op.numpy or f"np.{op.name}({{0}})", tree, self, options)

    def _joined(self, tree: Tree) -> str:
        axis = tree.value[1].get("axis", 0)
        parts = ", ".join(map(self.counted, tree.parts))
        return f"np.concatenate([{parts}]{f', axis={axis}' if axis != 0 else ''})"

    def _scattered(self, tree: Tree) -> str:
        return self._scatter(tree.parts[0], tree.value[1])

    def _scatter(self, part: Tree, options: dict[str, Any]) -> str:
        index, shape = options["index"], options["shape"]
        parts = index if isinstance(index, tuple) else (index,)
        if shape and all(isinstance(p, slice) and p.step in (None, 1) for p in parts):
            widths = []
            for n, p in zip(shape, [*parts, *[slice(None)] * (len(shape) - len(parts))]):
                start, stop, _ = p.indices(int(n))
                widths.append((start, int(n) - stop))
            width = self.value(tuple(widths) if len(widths) > 1 else widths[0])
            return f"np.pad({self(part)}, {width})"
        return self._scatter_at(part, index, tuple(shape))

    def _scatter_at(self, part: Tree, index: Any, shape: Shape) -> str:
        return f"scatter({self(part)}, {self._as_index(index)}, {self.value(shape)})"

    def _as_index(self, index: Any) -> str:
        if isinstance(index, tuple):
            return f"({', '.join(map(self._as_index, index))},)" if index else "()"
        if isinstance(index, slice):
            return f"slice({index.start}, {index.stop}, {index.step})"
        return self.value(index)


class OneLine(NumPy):
    """One Python expression that needs only numpy."""

    helpers = False

    def _scatter_at(self, part: Tree, index: Any, shape: Shape) -> str:
        # What is added up under each number of an array that numbers the entries.
        size, form = math.prod(int(n) for n in shape), self.value(shape)
        form = form if len(shape) > 1 else f"({form[1:-2]})"
        places = f"np.arange({size}).reshape{form}[{self.index(index)}]"
        flat = f"{places}.ravel(), np.ravel({self(part)})"
        return f"np.bincount({flat}, {size}).reshape{form}"


def fill(
    op: Primitive, template: str, tree: Tree, notation: Notation, options: dict[str, Any]
) -> tuple[str, int]:
    """A call in the operation's own template."""
    values = {key: notation.value(x) for key, x in options.items()}
    if "index" in options:
        values["index"] = notation.index(options["index"])
    given = [
        f"{key}={x}"
        for key, x in values.items()
        if key != "index" and options[key] is not None and options[key] is not False
    ]
    # Between brackets and commas anything may stand, beside an operator only what holds together.
    free = re.sub(r"(?<=[(,]){\d}(?=[,)]|{options)|(?<=, ){\d}(?=[,)]|{options)", "", template)
    least = WHOLE if re.search(r"{\d}", free) and "compares" not in op.traits else SUM
    shown = notation if "compares" in op.traits else notation.counted
    texts = [shown(part, least) for part in tree.parts]
    if (
        values.get("shape", "").startswith("(") and op.name == "reshape" and options["shape"][1:]
    ):  # lengths need no brackets of their own
        values["shape"] = values["shape"][1:-1]
    if op.name == "relu":
        given = []
    if template.startswith("{0}") and not tree.parts[0].shape:  # a float has no methods
        template = f"np.asarray({{0}}){template[3:]}"
    declared = {key: notation.value(default) for key, default in defaults(op).items()}
    text = template.format(
        *texts, options="".join(f", {x}" for x in given), **{**declared, **values}
    )
    return text, POWER if op.name == "power" else WHOLE
