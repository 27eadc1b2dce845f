"""Names side by side: ``(1/m) dZ2 A1ᵀ`` as the product that paper, and `derive`, mean by it."""

from __future__ import annotations

import io
import itertools
import keyword
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tinygrad_edu.sheets.vocabulary import FUNCTIONS, MODULES

_ATOMS = (tokenize.NAME, tokenize.NUMBER, tokenize.STRING)
_OPENING, _CLOSING = ("(", "["), (")", "]")
#: Beside these a product of names side by side, which holds together more tightly, is bracketed.
_TIGHT = ("*", "/", "@", "//", "%")


#: Characters of a single number in front of a product, such as (1 / (2 * m)).
LONGEST_NUMBER = 60


@dataclass
class _Level:
    """What stands between two brackets so far: the last operator, and the names side by side."""

    operator: str = ""
    chain: list[tuple[int, int]] = field(default_factory=list)  # where each begins and ends
    joined: bool = False  # by a dot or a power: what comes next belongs to the last of the chain

    def add(self, start: int, stop: int) -> None:
        """Another name, or more of the last one."""
        if self.joined:
            start, _ = self.chain.pop()
        self.chain.append((start, stop))
        self.joined = False


def chains(text: str) -> list[tuple[str, list[tuple[int, int]]]]:
    """Where names stand side by side: the operator in front, and where each of them is.

    Of a text that cannot be cut into names and operators, as far as it can.
    """
    found: list[tuple[str, list[tuple[int, int]]]] = []
    levels = [_Level()]

    def end(operator: str) -> None:
        level = levels[-1]
        if len(level.chain) > 1:
            found.append((level.operator, level.chain))
        levels[-1] = _Level(operator)

    for kind, word, start, stop in _tokens(text):
        level = levels[-1]
        if kind in _ATOMS and not keyword.iskeyword(word):
            level.add(start, stop)
        elif word in _OPENING:
            level.joined |= bool(level.chain) and _called(text, level.chain[-1], start)
            level.add(start, stop)
            levels.append(_Level())
        elif word in _CLOSING:
            end("")
            if len(levels) > 1:
                levels.pop()
                levels[-1].joined = True
                levels[-1].add(start, stop)
        elif word in (".", "**") and level.chain:
            level.joined = True
        elif not (level.joined and word in ("-", "+")):  # of an exponent: x**-1
            end(word)
    end("")
    return found


def _called(text: str, atom: tuple[int, int], bracket: int) -> bool:
    """Does a bracket belong to what stands before it, as a call or an index?"""
    before, after = text[atom[0] : atom[1]], text[atom[1] : bracket]
    if text[bracket] == "(" and (before[-1] == ")" or before[0].isdigit()):
        return False  # 2(A - Y)
    name = before.split(".", 1)[-1] if before.split(".")[0] in MODULES else before
    return not after or name in FUNCTIONS


def _tokens(text: str) -> Iterator[tuple[int, str, int, int]]:
    """The tokens of a text, with their places in it."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            blank = token.type == tokenize.COMMENT or not token.string.strip()
            if token.type == tokenize.NEWLINE or not blank:
                (row, column), (last, end) = token.start, token.end
                yield token.type, token.string, starts[row - 1] + column, starts[last - 1] + end
    except (tokenize.TokenError, SyntaxError):
        return  # what was read so far is all there is to say


def multiplied(text: str, is_number: Callable[[str], bool], scaled_only: bool = False) -> str:
    """A text with ``@`` between names side by side, ``*`` beside a single number.

    With `scaled_only`, only where there is no other way to read it: numbers before one thing.

    >>> multiplied("dW2 = (1/m) dZ2 A1.T", lambda part: part == "(1/m)")
    'dW2 = (1/m) * dZ2 @ A1.T'
    >>> multiplied("dZ1 = A1 * W2.T dZ2", lambda part: False)
    'dZ1 = A1 * (W2.T @ dZ2)'
    """
    edits: list[tuple[int, int, str]] = []
    for operator, chain in chains(text):
        # A number in front is short: (1/m).
        numbers = [b - a <= LONGEST_NUMBER and is_number(text[a:b]) for a, b in chain]
        if scaled_only and (operator in _TIGHT or not all(numbers[:-1])):
            continue
        scaled = True  # so far there are only numbers
        for i, ((_, stop), (following, _)) in enumerate(itertools.pairwise(chain)):
            scaled = scaled and numbers[i]
            edits.append((stop, following, " * " if scaled or numbers[i + 1] else " @ "))
        if operator in _TIGHT:
            edits += [(chain[0][0], chain[0][0], "("), (chain[-1][1], chain[-1][1], ")")]
    pieces, at = [], 0
    for start, stop, new in sorted(edits):
        pieces += [text[at:start], new]
        at = stop
    return "".join([*pieces, text[at:]])
