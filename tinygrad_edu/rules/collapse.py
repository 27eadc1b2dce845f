"""Why a non-linear activation: linear layers, however many, are one (lecture, S1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.core.plain import printable
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.signature import checked
from tinygrad_edu.core.sweep import reachable
from tinygrad_edu.core.value import Value
from tinygrad_edu.rules.expression import Algebra
from tinygrad_edu.rules.formula import Formula
from tinygrad_edu.rules.layout import Layout
from tinygrad_edu.rules.notation import LaTeX, Text, evaluate, latex_name
from tinygrad_edu.rules.poly import Atom, Poly


@dataclass(frozen=True, repr=False)
class Collapsed:
    """One linear layer that equals many: its `weight` and `bias`, and how they are made of theirs.

    `text` and `latex` hold a line for each. A chain without a bias has None for it; one that
    multiplies x from both sides has two weights.
    """

    weight: Any
    bias: Any
    text: list[str]
    latex: list[str]

    def __str__(self) -> str:
        return printable("\n".join(self.text))

    def __repr__(self) -> str:
        return printable(f"<Collapsed {'; '.join(self.text)}>")

    def _repr_latex_(self) -> str:
        return "$$\\begin{aligned}\n" + " \\\\\n".join(self.latex) + "\n\\end{aligned}$$"


@dataclass
class _Affine:
    """``left @ x @ right + bias``; None where there is nothing."""

    left: Formula | None = None
    right: Formula | None = None
    bias: Formula | None = None


@checked
def collapse(out: Value, x: Value) -> Collapsed:
    """The one linear layer that `out` is of `x`: ``W' = W2 W1``, ``b' = W2 b1 + b2``, at any depth.

    `out`, `x`: Values; examples may be columns (``W @ X + b``) or rows (``X @ W + b``).

    Raises GradError, naming the operation, where something between them is not linear, where x
    reaches `out` along several paths, and where it does not reach it.

    >>> from tinygrad_edu import Value
    >>> W1, b1, x = tg.Value([[2.0]], "W1"), tg.Value([[1.0]], "b1"), tg.Value([[5.0]], "x")
    >>> W2, b2 = tg.Value([[3.0]], "W2"), tg.Value([[4.0]], "b2")
    >>> one = tg.collapse(W2 @ (W1 @ x + b1) + b2, x)
    >>> print(one)
    W' = W2 W1
    b' = W2 b1 + b2
    >>> one.weight.tolist(), one.bias.tolist()
    ([[6.0]], [[7.0]])
    """
    algebra = Algebra()
    formulas: dict[Any, Formula] = {}
    maps: dict[Any, _Affine] = {x: _Affine()}
    numbers: dict[Atom, Any] = {}
    for node in reversed(reachable(out, every=True)):
        if node is x:
            continue
        moving = [parent for parent in node.parents if parent in maps]
        if moving:
            maps[node] = _step(node, maps, formulas)
        elif node.op is None and not node.name and node.shape == ():
            formulas[node] = Formula(algebra, algebra.number(node._data), ())
        elif node.op is None or node.name:
            name = node.name or f"c{len(formulas) + 1}"
            if any(atom.name == name for atom in numbers):
                name = f"{name}_{len(formulas) + 1}"
            atom = algebra.name(name, node.shape)
            numbers[atom] = node._data
            formulas[node] = Formula(algebra, algebra.of(atom), node.shape)
        else:
            formulas[node] = node.op(*(formulas[p] for p in node.parents), **node.options)
    if out not in maps:
        raise GradError(f"collapse: {_called(out)} was not computed from {_called(x)}")
    return _written(maps[out], algebra, numbers)


def _step(node: Any, maps: dict[Any, _Affine], formulas: dict[Any, Formula]) -> _Affine:
    """The map of a node from that of the one input that depends on x."""
    op, parents = node.op.name, node.parents
    if sum(parent in maps for parent in parents) > 1:
        raise GradError(
            f"collapse: x reaches {_called(node)} along several paths; "
            "only a chain of layers collapses"
        )
    [at] = [i for i, parent in enumerate(parents) if parent in maps]
    inner = maps[parents[at]]
    other = next((formulas[p] for p in parents if p not in maps), None)
    left, right, bias = inner.left, inner.right, inner.bias
    if op == "positive":
        return inner
    if op == "matmul" and other is not None:
        if at == 1:
            left = other if left is None else other @ left
            return _Affine(left, right, None if bias is None else other @ bias)
        right = other if right is None else right @ other
        return _Affine(left, right, None if bias is None else bias @ other)
    if op == "add" and other is not None:
        return _Affine(left, right, other if bias is None else bias + other)
    if op == "subtract" and other is not None and at == 0:
        return _Affine(left, right, -other if bias is None else bias - other)
    factor: Any = -1.0 if op == "negative" else None
    if other is not None and other.shape == ():
        factor = other if op == "multiply" else 1.0 / other if (op, at) == ("divide", 0) else None
    if factor is not None and (left is not None or right is not None):
        bias = None if bias is None else factor * bias
        if left is None:
            return _Affine(None, factor * right, bias)
        return _Affine(factor * left, right, bias)
    raise GradError(
        f"collapse: {_called(node)} is no linear layer: {op} stands between, "
        "and with a non-linear function in between two layers are not one"
    )


def _called(node: Any) -> str:
    return node.name or ("an unnamed leaf" if node.op is None else f"the result of {node.op}")


def _written(found: _Affine, algebra: Algebra, numbers: dict[Atom, Any]) -> Collapsed:
    layout = Layout(algebra, is_given=lambda atom: atom in numbers)
    text, latex = [], []

    def line(name: str, poly: Poly) -> Any:
        tree = layout.arrange(poly)
        text.append(f"{name} = {Text()(tree)}")
        latex.append(f"{latex_name(name[:-1])}' &= {LaTeX()(tree)}")
        return np.asarray(evaluate(tree, numbers.__getitem__))

    weights = [part for part in (found.left, found.right) if part is not None]
    letters = {atom.name[:1] for part in weights for atom in part.poly.deep if atom.is_name}
    small = bool(letters) and all(letter.islower() for letter in letters)
    names = ["w'", "v'"] if small else ["W'", "V'"]
    values = [line(name, part.poly) for name, part in zip(names, weights)]
    bias = None if found.bias is None else line("b'", found.bias.poly)
    weight = None if not values else values[0] if len(values) == 1 else tuple(values)
    return Collapsed(weight, bias, text, latex)
