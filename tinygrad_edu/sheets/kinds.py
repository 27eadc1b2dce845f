"""What is given: the kinds of numbers, how they are declared and how they are drawn."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.sheets.syntax import error_at
from tinygrad_edu.words import say

#: The kinds of given numbers, with the arguments each takes; numbers written out are "listed".
KINDS = {
    "normal": "", "binary": "", "sign": "", "onehot": "axis", "probabilities": "axis",
    "integers": "low, high", "choice": "numbers", "positive": "", "uniform": "low, high",
}  # fmt: skip
#: Kinds whose numbers are not parameters of anything.
DISCRETE = ("binary", "sign", "onehot", "integers", "choice")
#: Computes a formula of plain numbers; the text says what it is.
Numbers = Callable[[ast.expr, str], Any]


@dataclass(frozen=True)
class Given:
    """A given quantity: its name, shape and the kind of its numbers."""

    name: str
    shape: tuple[int, ...]
    kind: str
    options: tuple[float, ...]
    line: int
    sizes: tuple[str | None, ...] = ()  # what its lengths were declared by, where no number

    @property
    def declared(self) -> str:
        """What a sheet declares it by, without its name."""
        numbers = f"[{', '.join(f'{n:g}' for n in self.options)}]"
        if self.kind == "normal":
            return str(self.shape)
        if self.kind == "listed":
            return f"{self.shape} = {numbers}"
        if self.kind == "choice":
            return f"{self.shape} = choice({numbers})"
        options = ", ".join(f"{w}={n:g}" for w, n in zip(_wanted(self.kind), self.options))
        return f"{self.shape} = {self.kind}" + (f"({options})" if options else "")

    @property
    def is_whole(self) -> bool:
        """Are these whole numbers, which may be an index?"""
        listed = self.kind in ("choice", "listed") and all(isinstance(n, int) for n in self.options)
        return self.kind == "integers" or listed

    @property
    def is_data(self) -> bool:
        """Are these numbers of a kind that no parameter has?"""
        return self.kind in (*DISCRETE, "probabilities")

    def draw(self, rng: np.random.Generator) -> Any:
        """Numbers of this kind."""
        shape, kind = self.shape, self.kind
        bounds: list[float] = list(self.options)
        if kind == "binary":
            return rng.integers(0, 2, shape).astype(float)
        if kind == "integers":
            return rng.integers(int(bounds[0]), int(bounds[1]), shape)
        if kind == "sign":
            return rng.choice([-1.0, 1.0], shape)
        if kind == "choice":
            return rng.choice(self.options, shape)
        if kind == "listed":
            return np.array(self.options).reshape(shape)
        if kind == "positive":
            return rng.uniform(0.3, 2.0, shape)
        if kind == "uniform":
            return rng.uniform(bounds[0], bounds[1], shape)
        if kind in ("onehot", "probabilities"):
            axis = int(self.options[0]) % max(len(shape), 1)
            if kind == "probabilities":
                raw = rng.uniform(0.1, 1.0, shape)
                return raw / raw.sum(axis=axis, keepdims=True)
            classes = np.arange(shape[axis]).reshape(
                [-1 if a == axis else 1 for a in range(len(shape))]
            )
            chosen = rng.integers(
                0, shape[axis], [1 if a == axis else n for a, n in enumerate(shape)]
            )
            return (classes == chosen).astype(float)
        return rng.normal(size=shape)


def kind_of(
    value: ast.expr | None, shape: tuple[int, ...], numbers: Numbers
) -> tuple[str, tuple[float, ...]]:
    """The kind a declaration asks for, and its options.

    Raises SheetError where there is no such kind, or where it does not fit the shape.
    """
    if value is None:
        return "normal", ()
    if isinstance(value, (ast.List, ast.Tuple)):
        return "listed", _listed(value, shape, numbers)
    head = value.func if isinstance(value, ast.Call) else value
    if not isinstance(head, ast.Name) or head.id not in KINDS:
        what, kinds = ast.unparse(value)[:40], ", ".join(KINDS)
        raise error_at(say("error.no_kind", what=what, kinds=kinds), value)
    kind = head.id
    given = _arguments(kind, value)
    if kind in ("onehot", "probabilities") and "axis" not in given:
        if isinstance(value, ast.Call) or len(shape) != 1:
            raise error_at(say("error.needs_axis", kind=kind), value)
        return kind, (0.0,)
    if kind == "choice" and given:
        return kind, _listed(given["numbers"], None, numbers)
    if len(given) != len(_wanted(kind)):
        example = ", as choice([1, 2, 5])" if kind == "choice" else ""
        raise error_at(f"{kind} needs {KINDS[kind]}{example}", value)
    options = tuple(_one_number(node, what, numbers) for what, node in given.items())
    bad = (
        (kind in ("onehot", "probabilities") and not -len(shape) <= options[0] < len(shape))
        or (kind == "integers" and not options[0] < options[1])
        or (kind == "uniform" and not options[0] <= options[1])
    )
    if bad:
        raise error_at(f"{ast.unparse(value)[:60]} fits no shape {shape}", value)
    return kind, options


def _wanted(kind: str) -> list[str]:
    return [w for w in KINDS[kind].split(", ") if w]


def _arguments(kind: str, value: ast.expr) -> dict[str, ast.expr]:
    """What a kind was given, in the order it takes it."""
    if not isinstance(value, ast.Call):
        return {}
    wanted = _wanted(kind)
    if len(value.args) > len(wanted) or any(k.arg not in wanted for k in value.keywords):
        raise error_at(f"{kind}({KINDS[kind]}) was given something else", value)
    given = dict(zip(wanted, value.args)) | {str(k.arg): k.value for k in value.keywords}
    return {w: given[w] for w in wanted if w in given}


def _one_number(node: ast.expr, what: str, numbers: Numbers) -> float:
    number = numbers(node, what)
    if isinstance(number, bool) or not isinstance(number, (int, float, np.number)):
        raise error_at(f"{what} is a number", node)
    exact = float(number)
    if not abs(exact) <= 1e9:
        raise error_at(f"{what} is too large", node)
    return exact


def _listed(node: ast.expr, shape: tuple[int, ...] | None, numbers: Numbers) -> tuple[float, ...]:
    """Numbers that are written out, whole ones as integers: of a shape, or any number of them."""
    try:
        made = np.array(numbers(node, "the numbers"))
    except ValueError:
        raise error_at("the rows of these numbers are of different lengths", node) from None
    if made.dtype.kind not in "if" or not made.size or not (abs(made) <= 1e9).all():
        raise error_at("a list of numbers is needed, none above 1e9", node)
    if shape is not None and made.shape != shape:
        raise error_at(f"the shape declared is {shape}, these numbers have {made.shape}", node)
    return tuple(made.ravel().tolist())
