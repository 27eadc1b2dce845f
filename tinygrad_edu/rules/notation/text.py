"""Formulas for the terminal: ``dZ1 = W2ᵀ dZ2 ∗ (1 − A1²)``."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from tinygrad_edu.core.ops import elementwise
from tinygrad_edu.rules.notation.base import Notation, in_front, on_paper, quotient
from tinygrad_edu.rules.notation.precedence import POWER, TEXT, WHOLE
from tinygrad_edu.rules.notation.python import NumPy
from tinygrad_edu.rules.trees import Tree

SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
#: What is shorter on paper than in NumPy.
_SHORT = {
    "absolute": "abs", "maximum": "max", "minimum": "min", "relu": "ReLU", "sigmoid": "σ",
    "softmax_loss": "cross_entropy", "logistic_loss": "binary_cross_entropy",
}  # fmt: skip
#: What is written with the options NumPy takes.
_AS_IN_NUMPY = {
    "getitem", "scatter", "joined", "reshape", "clip", "ones", "eye", "one_hot", "outer",
    "cholesky_factor", "eigh_part", "qr_part", "svd_part", "log_abs_det", "sign_of_det", "windows",
}  # fmt: skip


class Text(NumPy):
    """For the terminal: the lecture's juxtaposition for matrix products, ∗ element by element."""

    column = TEXT
    booleans = False
    minus = "−"
    times = " ∗ "

    def is_named(self, x: np.ndarray[Any, Any]) -> bool:
        """A line is read, and does not run."""
        return Notation.is_named(self, x)

    def number(self, tree: Tree) -> str | tuple[str, int]:
        """A number, as a quotient where its decimals would not end soon."""
        text = quotient(tree.value)
        return (text, self.holds("fraction").whole) if "/" in text else text

    def multiply(self, tree: Tree) -> str:
        """Factors with ∗ between them."""
        return super(NumPy, self).multiply(tree)

    def divide(self, tree: Tree) -> str:
        """A quotient, numbers such as 1/m in front."""
        top, bottom = tree.parts
        _, first, later = self.holds("divide")
        if in_front(top, bottom):
            given, rest = self.given_and_rest(top)
            over = self.times.join(self(part, POWER) for part in given) or "1"
            return f"({over}/{self(bottom, later)}) {rest}"
        return f"{self(top, first)} / {self(bottom, later)}"

    def power(self, tree: Tree) -> str:
        """A power, its exponent above."""
        n = Fraction(tree.value)
        base = self(tree.parts[0], self.holds("power").first)
        if n.denominator == 1:
            return f"{base}{str(n.numerator).translate(SUPERSCRIPTS)}"
        return f"{base}^({n.numerator}/{n.denominator})"

    def matmul(self, tree: Tree) -> str:
        """Factors side by side."""
        _, first, later = self.holds("matmul")
        x, y = tree.parts
        return f"{self(x, first)} {self(y, later)}"

    def transpose(self, tree: Tree) -> str:
        """A raised T."""
        if tree.value is not None:
            return super().transpose(tree)
        return f"{self(tree.parts[0], self.holds('transpose').first)}ᵀ"

    def call(self, tree: Tree) -> str | tuple[str, int]:
        """Any other operation."""
        op, options = tree.value
        if "compares" in op.traits:
            x, y = (self(part) for part in tree.parts)
            return f"({x} {'==' if op.name == 'equal' else op.symbol} {y})"
        if op is elementwise.power:
            base, exponent = tree.parts
            return f"{self(base, self.holds('power').first)}^{self(exponent, WHOLE)}", POWER
        definition = on_paper(op, tree.parts)
        if definition is not None:
            return self.spelled(definition, tree)
        numpy = op.numpy or ""
        if op.name in _AS_IN_NUMPY or "options" in numpy or numpy.startswith("{0}"):
            return super().call(tree)
        given = "".join(f", {k}={self.value(v)}" for k, v in options.items() if v is not None)
        if op.name in ("relu", "leaky_relu"):
            given = ""
        shown = _SHORT.get(op.name, op.name)
        return f"{shown}({', '.join(self(part) for part in tree.parts)}{given})", WHOLE
