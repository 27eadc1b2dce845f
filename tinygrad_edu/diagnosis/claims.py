"""Claims: statements about the numbers of a wrong line, each of which can be tested and read back.

A kind of claim is a sentence with holes and a test; see `statements` for all of them. What is said
of a line is made of the sentences of its claims and of fixed advice, which speaks of no line in
particular: so nothing is said that was not tested.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinygrad_edu.checking.table import shape_text
from tinygrad_edu.sheets.syntax import Expr, show
from tinygrad_edu.words import Said

if TYPE_CHECKING:
    from tinygrad_edu.diagnosis.evidence import Case

#: All kinds of claims by the name of their test.
KINDS: dict[str, Kind] = {}
_HOLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, eq=False)
class Kind:
    """A sentence with holes, named after the parameters of the test that says whether it holds.

    A hole is filled with a formula (`Expr`), a quantity's name (`str`), a whole number (`int`) or a
    shape (`tuple`), as the test's annotations say.
    """

    text: str
    test: Callable[..., bool]
    holes: dict[str, str]

    def __call__(self, *arguments: Any) -> Claim:
        """The claim that this kind makes of these arguments."""
        return Claim(self, arguments)


@dataclass(frozen=True)
class Claim:
    """One statement about a wrong line."""

    kind: Kind
    arguments: tuple[Any, ...]

    def holds(self, case: Case) -> bool:
        """Is it true of this line, on every sample?"""
        return self.kind.test(case, *self.arguments)

    @property
    def says(self) -> str:
        """The sentence."""
        filled = dict(zip(self.kind.holes, map(_text, self.arguments), strict=True))
        name = self.kind.test.__name__  # the key of the sentence in the other languages
        return Said(self.kind.text.format(**filled), f"claim.{name}", **filled)


@dataclass(frozen=True)
class Finding:
    """A mistake seen in a line: `claims` must hold, those of `also` are said where they hold.

    `advice` is a fixed sentence of the subject (of NumPy, of the chain rule), not of the line.
    """

    mistake: str
    claims: tuple[Claim, ...]
    also: tuple[Claim, ...] = ()
    advice: str = ""

    def holds(self, case: Case) -> bool:
        """Is all true that is to be said?"""
        return all(claim.holds(case) for claim in self.claims)


def claim(text: str) -> Callable[[Callable[..., bool]], Kind]:
    """Make a test a kind of claim: ``@claim("Times {f} the line is right.")``."""

    def made(test: Callable[..., bool]) -> Kind:
        parameters = list(inspect.signature(test).parameters.values())[1:]
        kind = Kind(text, test, {p.name: str(p.annotation) for p in parameters})
        assert set(_HOLE.findall(text)) == set(kind.holes), test.__name__
        KINDS[test.__name__] = kind
        return kind

    return made


def _text(argument: Any) -> str:
    if isinstance(argument, Expr):
        return show(argument)
    return shape_text(argument) if isinstance(argument, tuple) else str(argument)
