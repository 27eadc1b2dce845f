"""What a sheet says, line by line, read and not yet computed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.sheets.account import TooMuch
from tinygrad_edu.sheets.syntax import Expr, Formulas, Reader, SheetError

#: The kinds of given numbers, with the arguments each takes.
KINDS = {
    "normal": "", "binary": "", "onehot": "axis", "probabilities": "axis", "integers": "low, high",
    "positive": "", "uniform": "low, high",
}  # fmt: skip
#: Kinds whose numbers are not parameters of anything.
DISCRETE = ("binary", "onehot", "integers")


Key = tuple[str, int]


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


@dataclass(frozen=True)
class Statement:
    """One assignment: ``name = expr``; `version` counts the assignments to this name."""

    name: str
    version: int
    expr: Expr
    line: int
    text: str  # on one line, as the learner wrote it
    reader: Reader = field(repr=False)
    plain: bool = True  # written NAME = expression, not += or NAME[…] = …

    @property
    def key(self) -> Key:
        """The name and which of its assignments this is."""
        return self.name, self.version


@dataclass(frozen=True)
class Claim:
    """A quantity the sheet derives: `name` is meant to be the gradient of `of`."""

    name: str
    of: str
    statements: tuple[Statement, ...]

    @property
    def last(self) -> Statement:
        """The statement that counts."""
        return self.statements[-1]


@dataclass(frozen=True)
class Unread:
    """A line that cannot be read: why, its text, the name it would assign to if that is known."""

    error: SheetError
    text: str
    name: str | None


@dataclass
class Lines:
    """What a sheet is made of: `givens` by name, statements in order, `claims` by the learner's
    names, and lines that cannot be read."""

    formulas: Formulas = field(default_factory=Formulas)
    givens: dict[str, Given] = field(default_factory=dict)
    forward: list[Statement] = field(default_factory=list)
    backward: list[Statement] = field(default_factory=list)
    claims: dict[str, Claim] = field(default_factory=dict)
    unread: list[Unread] = field(default_factory=list)
    cost_name: str = "J"


@contextlib.contextmanager
def too_much_in(line: int, sheet: str = "") -> Iterator[None]:
    """Where an account is used up inside, this line of the sheet was too much."""
    try:
        yield
    except TooMuch as error:
        raise SheetError(str(error), line, 1, sheet) from None
