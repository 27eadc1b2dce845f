"""A change of a statement, and where it is made: what is looked for, and what has been found."""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass, field
from typing import Any

from tinygrad_edu.tracing.edits import Edit, targets_of
from tinygrad_edu.tracing.formulas import Formula
from tinygrad_edu.tracing.ranking import Suspect
from tinygrad_edu.tracing.scope import Scope
from tinygrad_edu.tracing.trial import text_with


@dataclass(eq=False)
class Place:
    """A statement to be changed, why, and how much more a change there costs.

    `asked`: it is known by numbers what statement is missing after it, if one is. `formulas`: those
    that must give other numbers, as far as they are known.
    """

    scope: Scope
    statement: Any
    why: str
    rank: int
    extra: float
    wrong: tuple[str, ...] = ()
    suspect: Suspect | None = None
    asked: bool = False
    formulas: list[Formula] = field(default_factory=list)

    @property
    def formula(self) -> Any:
        """The one formula that must give other numbers; None where there are several."""
        return self.formulas[0].value if len(self.formulas) == 1 else None

    @property
    def changed(self) -> Any:
        """What of the statement is changed: the one of several formulas; None for all of it."""
        parts = isinstance(getattr(self.statement, "value", None), ast.Tuple)
        return self.formula if parts else None

    @property
    def own(self) -> bool:
        """Is it one of the suspects itself, or what they are computed or read an index from?"""
        return self.why in ("repairs", "indexes", "makes")


#: A change to be tried: what it costs, where, and the change.
Job = tuple[float, Place, Edit]


@dataclass
class Correction:
    """Edits after which all gradients are right."""

    place: Place
    edits: tuple[Edit, ...]
    cost: float
    natural: int = 0
    forward: bool = False
    places: tuple[Place, ...] = ()

    @functools.cached_property
    def text(self) -> str:
        """The unit's text with the edits in it."""
        return text_with(self.place.scope, self.edits)

    @property
    def line(self) -> int:
        """The line that changes; of what is moved or added, that of its statement."""
        statement = self.place.statement
        if self.edits[0].kind == "move":
            return self._stale()
        if self.edits[0].kind == "insert":
            return int(statement.lineno)
        old, new = self.place.scope.unit.text.split("\n"), self.text.split("\n")
        for number, (a, b) in enumerate(zip(old, new), 1):
            if a != b and statement.lineno <= number <= statement.end_lineno:
                return number
        return int(statement.lineno)

    def _stale(self) -> int:
        """Of a statement moved up, the line that reads what was changed before it."""
        block, (i, j) = self.edits[0].node, self.edits[0].new
        statement = self.place.statement
        changed = {ast.unparse(t) for other in block[j:i] for t in targets_of(other)}
        for node in ast.walk(statement):
            if isinstance(node, ast.expr) and ast.unparse(node) in changed:
                return node.lineno
        return int(statement.lineno)
