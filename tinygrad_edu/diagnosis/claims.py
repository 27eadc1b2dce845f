"""Claims: statements about the numbers of a wrong line, each of which can be tested and read back.

A kind of claim is a sentence with holes and a test; see `statements` for all of them. What is said
of a line is made of the sentences of its claims and of fixed advice, which speaks of no line in
particular: so nothing is said that was not tested. `claims_in` reads the claims of a text back.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
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

    @property
    def pattern(self) -> re.Pattern[str]:
        """What a sentence of this kind looks like."""
        parts = _HOLE.split(self.text)
        pattern, seen = "", set()
        for i, part in enumerate(parts):
            if i % 2:
                pattern += f"(?P={part})" if part in seen else f"(?P<{part}>.+?)"
                seen.add(part)
            else:
                pattern += re.escape(part)
        return re.compile(pattern)


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


def claims_in(
    text: str, formula: Callable[[str], Expr], fixed: tuple[str, ...]
) -> list[Claim] | None:
    """The claims a text is made of, `fixed` sentences left out; None where it is made of others.

    `formula` reads a formula, and raises ValueError for what is none.
    """
    return next(_readings(text, formula, fixed), None)


def _readings(
    text: str, formula: Callable[[str], Expr], fixed: tuple[str, ...]
) -> Iterator[list[Claim]]:
    if not text:
        yield []
        return
    for sentence in fixed:
        if text.startswith(sentence):
            yield from _readings(text[len(sentence) :].lstrip(), formula, fixed)
    for kind in KINDS.values():
        for end in _ends(kind, text):
            found = kind.pattern.fullmatch(text[:end])
            if found is None:
                continue
            try:
                arguments = [_read(found[h], kind.holes[h], formula) for h in kind.holes]
            except ValueError:
                continue
            for rest in _readings(text[end:].lstrip(), formula, fixed):
                yield [kind(*arguments), *rest]


def _ends(kind: Kind, text: str) -> Iterator[int]:
    """Where a sentence of a kind may end at the start of a text."""
    start = _HOLE.split(kind.text)[0]
    if not text.startswith(start):
        return
    for found in re.finditer(r"\.(?= |$)", text):
        yield found.end()


def _read(text: str, kind: str, formula: Callable[[str], Expr]) -> Any:
    if kind == "Expr":
        return formula(text)
    if kind == "int":
        return int(text)
    if kind == "tuple":
        return tuple(int(n) for n in re.findall(r"\d+", text))
    if not re.fullmatch(r"[^ ]+( [^ ]+){0,2}", text):
        raise ValueError(text)
    return text
