"""What LaTeX and MathML share: fraction bars, raised exponents, names with their layers, calls.

A subclass has the letters: how a fraction, a raised or lowered part, a word is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from string import Formatter
from typing import Any

from tinygrad_edu.core.primitive import Primitive
from tinygrad_edu.rules.notation.base import Notation, defaults, in_front, on_paper, quotient
from tinygrad_edu.rules.notation.names import Names
from tinygrad_edu.rules.notation.precedence import (
    POWER,
    PREFIX,
    PRODUCT,
    SUM,
    TYPESET,
    WHOLE,
)
from tinygrad_edu.rules.trees import Tree

#: Options that only say what is done at a kink: the formula is the same.
_UNSAID = {"at_zero", "logs"}


class Typeset(Notation):
    """A notation with fraction bars and raised exponents."""

    column = TYPESET
    transposed = "⊤"

    def __init__(
        self,
        array_names: Callable[[Any], str | None] | None = None,
        names: Names | None = None,
    ) -> None:
        super().__init__(array_names)
        self.names = names or Names()

    # --- letters -------------------------------------------------------------------------------

    def named(self, name: str, above: str = "") -> str:
        """A name; `above`: what is raised beside its layer."""
        raise NotImplementedError

    def plain_number(self, text: str) -> str:
        """Digits."""
        raise NotImplementedError

    def python(self, text: str) -> str:
        """A piece of Python: an index, a shape."""
        raise NotImplementedError

    def fraction(self, top: str, bottom: str) -> str:
        """A quotient with a bar."""
        raise NotImplementedError

    def raised(self, base: str, above: str) -> str:
        """A power, a transpose."""
        raise NotImplementedError

    def lowered(self, base: str, below: str) -> str:
        """An index."""
        raise NotImplementedError

    def product(self, factors: Sequence[str]) -> str:
        """A matrix product: factors side by side, apart where they would read as one word."""
        raise NotImplementedError

    def beside(self, number: str, rest: str) -> str:
        """``(1/m)`` in front."""
        raise NotImplementedError

    def applied(self, function: str, arguments: Sequence[str], options: dict[str, str]) -> str:
        """``f(x, axis=0)``."""
        raise NotImplementedError

    def choice(self, mask: str, x: str, y: str) -> str:
        """x where the mask is, else y."""
        raise NotImplementedError

    def filled(self, template: str, parts: Sequence[str], **options: str) -> str:
        """An operation as it is declared, its parts and options put in."""
        raise NotImplementedError

    # --- kinds ---------------------------------------------------------------------------------

    def number(self, tree: Tree) -> str | tuple[str, int]:
        """A number; a quotient where its decimals would not end soon."""
        c = Fraction(tree.value)
        text = quotient(c)
        if "/" in text:
            top, bottom = map(self.plain_number, text.split("/"))
            return self.fraction(top, bottom), self.holds("fraction").whole
        mantissa, e, exponent = text.partition("e")
        if not e:
            return self.plain_number(text)
        ten = self.raised(self.plain_number("10"), self.plain_number(str(int(exponent))))
        return self.scientific(self.plain_number(mantissa), ten), PRODUCT

    def scientific(self, mantissa: str, power: str) -> str:
        """``1.5 · 10⁻⁷``."""
        raise NotImplementedError

    def name(self, tree: Tree) -> str | tuple[str, int]:
        """A name; one with a layer has something raised already."""
        parts = self.names.parts(tree.value.name)
        text = self.named(tree.value.name)
        return (text, POWER) if parts is not None and parts.layer else text

    def divide(self, tree: Tree) -> str:
        """A quotient, numbers such as 1/m in front."""
        top, bottom = tree.parts
        if in_front(top, bottom):
            given, rest = self.given_and_rest(top)
            over = self.product([self(part) for part in given])
            one = self.plain_number("1")
            return self.beside(self.fraction(over or one, self(bottom)), rest)
        return self.fraction(self(top), self(bottom))

    def power(self, tree: Tree) -> str:
        """A power."""
        n = Fraction(tree.value)
        exponent = str(n.numerator) if n.denominator == 1 else f"{n.numerator}/{n.denominator}"
        base = self(tree.parts[0], self.holds("power").first)
        return self.raised(base, self.plain_number(exponent))

    def matmul(self, tree: Tree) -> str:
        """Factors side by side."""
        _, first, later = self.holds("matmul")
        x, y = tree.parts
        return self.product([self(x, first), self(y, later)])

    def transpose(self, tree: Tree) -> str | tuple[str, int]:
        """A raised sign; beside the layer where there is one."""
        [part] = tree.parts
        if tree.value is not None:
            axes = self.python(self.value(tuple(tree.value)))
            return self.applied("transpose", [self(part)], {"axes": axes}), WHOLE
        parts = self.names.parts(part.value.name) if part.kind == "name" else None
        if parts is not None and parts.layer:
            return self.named(part.value.name, above=self.transposed)
        return self.raised(self(part, self.holds("transpose").first), self.transposed)

    def sum(self, tree: Tree) -> str:
        """A sum or mean over axes, as NumPy takes them."""
        axis, stays = self.sum_options(tree)
        options = ({"axis": self.python(axis)} if axis else {}) | (
            {"keepdims": self.python("True")} if stays else {}
        )
        return self.applied(f"np.{tree.kind}", [self(tree.parts[0])], options)

    mean = sum

    def where(self, tree: Tree) -> str:
        """A choice."""
        mask, x, y = (self(part) for part in tree.parts)
        return self.choice(mask, x, y)

    def call(self, tree: Tree) -> str | tuple[str, int]:
        """Any other operation: as declared, or as a call where it has options to tell."""
        op, options = tree.value
        if "compares" in op.traits:
            return self.filled(op.latex, [self(part, PRODUCT) for part in tree.parts]), WHOLE
        if op.name == "getitem":
            index = self.python(self.index(options["index"]))
            return self.lowered(self(tree.parts[0], WHOLE), index), POWER
        definition = on_paper(op, tree.parts)
        if definition is not None:
            return self.spelled(definition, tree)
        inside = {key: self.python(self._option(key, x)) for key, x in options.items()}
        shown = {key: inside[key] for key in fields_of(op.latex) if key in inside}
        told = {key: inside[key] for key in told_options(op, options) if key not in shown}
        if op.variadic or (told and tree.parts):
            return self.applied(op.symbol if op.variadic else op.name, [
                self(part) for part in tree.parts
            ], told), WHOLE  # fmt: skip
        parts = [
            self(part, SUM if enclosed(op.latex, i) else WHOLE) for i, part in enumerate(tree.parts)
        ]
        return self.filled(op.latex, parts, **shown), _template_holds(op.latex)

    def _option(self, key: str, x: Any) -> str:
        return self.index(x) if key == "index" else self.value(x)


def fields_of(template: str) -> list[str]:
    """What a template has places for: inputs by number, options by name.

    >>> fields_of("{0}_{{[{index}]}}")
    ['0', 'index']
    """
    return list(dict.fromkeys(field for _, field, _, _ in Formatter().parse(template) if field))


def told_options(op: Primitive, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a call that a reader needs: the axis, and what is not as it usually is."""
    usual = defaults(op)
    return {
        key: x for key, x in options.items()
        if key not in _UNSAID and x is not None and (key == "axis" or x is not usual.get(key, op))
    }  # fmt: skip


def enclosed(template: str, i: int) -> bool:
    """Does an input stand between brackets, bars or commas, so that it needs none of its own?"""
    place = re.escape(f"{{{i}}}")
    return re.search(rf"([({{|]|, |\\\|){place}([)}}|,]|\\right)", template) is not None


def _template_holds(template: str) -> int:
    """How tightly an operation written as declared holds."""
    if re.search(r" [-+] ", re.sub(r"[({].*[)}]", "", template)):
        return SUM
    return PREFIX if re.search(r"[a-z0-9}] {\d}$", template) else POWER
