"""What a sheet says, line by line, read and not yet computed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from tinygrad_edu.sheets.account import TooMuch
from tinygrad_edu.sheets.kinds import Given
from tinygrad_edu.sheets.reader import Reader
from tinygrad_edu.sheets.syntax import Expr, Formulas, SheetError

Key = tuple[str, int]


@dataclass(frozen=True)
class Statement:
    """One assignment: ``name = expr``; `version` counts the assignments to this name."""

    name: str
    version: int
    expr: Expr
    line: int
    text: str  # on one line, as the learner wrote it; of a loop, as it is in this turn
    reader: Reader = field(repr=False)
    plain: bool = True  # written NAME = expression, not += or NAME[…] = …
    looped: str = ""  # of a loop's line, as the learner wrote it
    turn: tuple[tuple[str, str], ...] = ()  # what the loop's names stand for in this turn

    @property
    def key(self) -> Key:
        """The name and which of its assignments this is."""
        return self.name, self.version

    @property
    def left(self) -> str:
        """The name as the learner writes it: ``grads['W1']``."""
        return self.reader.spelling.get(self.reader.formulas.name(*self.key), self.name)


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
class Jacobian(Claim):
    """A matrix of derivatives the sheet derives, ``D: jacobian(p, z) = …``: of `top` by `by`.

    `second`: of the cost's gradient by `top`, ``H: jacobian(dw, w) = …``. `of` is what the learner
    calls it, ``p_dz``.
    """

    top: Key
    by: Key
    second: bool


@dataclass(frozen=True)
class Unread:
    """A line that cannot be read: why, its text, the name it would assign to if that is known."""

    error: SheetError
    text: str
    name: str | None


@dataclass
class Lines:
    """What a sheet is made of: `givens` by name, statements in order, `claims` and `jacobians` by
    the learner's names, and lines that cannot be read."""

    formulas: Formulas = field(default_factory=Formulas)
    givens: dict[str, Given] = field(default_factory=dict)
    forward: list[Statement] = field(default_factory=list)
    backward: list[Statement] = field(default_factory=list)
    claims: dict[str, Claim] = field(default_factory=dict)
    jacobians: dict[str, Jacobian] = field(default_factory=dict)
    unread: list[Unread] = field(default_factory=list)
    cost_name: str = "J"


@contextlib.contextmanager
def too_much_in(line: int, sheet: str = "") -> Iterator[None]:
    """Where an account is used up inside, this line of the sheet was too much."""
    try:
        yield
    except TooMuch as error:
        raise SheetError(str(error), line, 1, sheet) from None
