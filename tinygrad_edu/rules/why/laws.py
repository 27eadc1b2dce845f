"""The derivatives that have a name: ``σ' = σ ∗ (1 − σ)``, from the operations' own rules."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from tinygrad_edu.core.ops import elementwise, reductions
from tinygrad_edu.core.ops.table import TABLE
from tinygrad_edu.core.primitive import Primitive
from tinygrad_edu.rules.expression import Algebra
from tinygrad_edu.rules.formula import Formula
from tinygrad_edu.rules.layout import Layout
from tinygrad_edu.rules.notation import Text
from tinygrad_edu.rules.simplify import Simplifier
from tinygrad_edu.rules.trees import Tree
from tinygrad_edu.rules.why.data import Law

#: What the argument is called in a law.
ARGUMENT = "z"


@cache
def _functions() -> tuple[Primitive, ...]:
    """The functions of one number that a graph may hold, those with a name of their own first."""
    found = [
        op for name, op in TABLE.items()
        if "elementwise" in op.traits and op.n_inputs == 1 and op.differentiable and op.rules
        and not set(op.parameters[1:]) - {"at_zero", "slope"}
        and name not in ("positive", "negative")
    ]  # fmt: skip
    own = (elementwise.sigmoid, elementwise.tanh, elementwise.relu)
    return (*own, *(op for op in found if op not in own))


@cache
def law_of(op: Primitive) -> tuple[Algebra, Layout, Any, str]:
    """The derivative of a function as a formula of its value and its argument."""
    algebra = Algebra()
    layout = Layout(algebra)
    simplifier = Simplifier(algebra, layout)
    shown = op.symbol if len(op.symbol) == 1 else "ReLU" if op.name == "relu" else op.name
    value, argument = algebra.name(shown, (2,)), algebra.name(ARGUMENT, (2,))
    x = Formula(algebra, algebra.of(argument), (2,))
    definition = op(x)
    simplifier.define(value, definition.poly)
    one, z = Formula(algebra, algebra.one, (2,)), Formula(algebra, algebra.of(value), (2,))
    slope = next(iter(op.rules))(one, z, x)  # type: ignore[misc]
    poly, _ = simplifier.simplify(slope.poly)
    return algebra, layout, poly, shown


def law(op: Primitive) -> Law:
    """The law of a function.

    >>> for op in (elementwise.sigmoid, elementwise.tanh, elementwise.log):
    ...     found = law(op)
    ...     print(f"{found.function}' = {Text()(found.derivative)}")
    σ' = σ ∗ (1 − σ)
    tanh' = 1 − tanh²
    log' = 1 / z
    """
    _, layout, poly, shown = law_of(op)
    return Law(shown, layout.arrange(poly))


def functions_giving(x: Any, z: Any) -> Iterator[Primitive]:
    """The functions that make z of x, by these numbers."""
    for op in _functions():
        with np.errstate(all="ignore"):
            if _close(op(np.asarray(x, float)), z):
                yield op


def softmax_axis(x: Any, z: Any) -> int | None:
    """The axis along which z is the softmax of x, by these numbers."""
    for axis in range(np.ndim(x)):
        with np.errstate(all="ignore"):
            if np.shape(x)[axis] > 1 and _close(reductions.softmax(np.asarray(x), axis=axis), z):
                return axis
    return None


def _close(a: Any, b: Any) -> bool:
    return np.shape(a) == np.shape(b) and bool(np.allclose(a, b, rtol=1e-9, atol=1e-12))


def said_by(tree: Tree, function: str, above: str, below: str) -> str:
    """The derivative of a law in a line's names, to compare with the factor as it was derived."""
    return _Renamed({function: above, ARGUMENT: below})(tree)


class _Renamed(Text):
    def __init__(self, names: dict[str, str]) -> None:
        super().__init__()
        self.names = names

    def name(self, tree: Tree) -> str:
        return self.names.get(text := str(tree.value.name), text)
