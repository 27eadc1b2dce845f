"""The page's own formulas, written in a little LaTeX, as MathML.

Besides LaTeX's own commands: ``\\ub{what}{label}`` a brace with a label, ``\\c{class}{…}`` a
colour, ``\\k{key}{…}`` a part that lights up with the picture's, ``\\mat{a & b\\\\c & d}`` a
matrix, ``\\rows{…}`` lines above each other, ``\\strike{…}`` what falls away.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\s+|.", re.S)
_SIGNS = {
    "cdot": "·", "times": "×", "leftarrow": "←", "approx": "≈", "le": "≤", "ge": "≥", "in": "∈",
    "dots": "…", "mid": "∣", "Rightarrow": "⇒", "to": "→", "geq": "≥", "leq": "≤", "odot": "∗",
    "ast": "∗",
}  # fmt: skip
_LETTERS = {
    "sigma": "σ", "alpha": "α", "varepsilon": "ε", "partial": "∂", "top": "⊤", "gamma": "γ",
    "beta": "β", "mu": "μ",
}  # fmt: skip
_SPACES = {"quad": "1.2em", ",": ".2em", " ": ".3em", ";": ".28em"}
_SIGN = re.compile(r"<mo[^>]*>[^<)\]}]</mo>$")


def math(source: str, block: bool = False) -> str:
    r"""A formula as a ``math`` element.

    >>> math("x^2")
    "<math dir='ltr'><msup><mi>x</mi><mn>2</mn></msup></math>"
    """
    display = " displaystyle='true'" if block else ""
    return f"<math{display} dir='ltr'>{_Reader(source).whole()}</math>"


class _Reader:
    def __init__(self, source: str) -> None:
        self.tokens: list[str] = _TOKEN.findall(source)
        self.at = 0
        self.source = source
        self.commands: dict[str, Callable[[], str]] = {
            "frac": lambda: f"<mfrac>{_row(self.group())}{_row(self.group())}</mfrac>",
            "sqrt": lambda: f"<msqrt>{self.group()}</msqrt>",
            "hat": lambda: f"<mover accent='true'>{self.group()}<mo>^</mo></mover>",
            "bar": lambda: f"<mover accent='true'>{self.group()}<mo>¯</mo></mover>",
            "sum": lambda: "<mo largeop='true' movablelimits='false'>∑</mo>",
            "strike": lambda: f"<mrow class='strike'>{self.group()}</mrow>",
            "c": lambda: f"<mrow class='{self.raw()}'>{self.group()}</mrow>",
            "k": lambda: f"<mrow class='lk' data-k='{self.raw()}'>{self.group()}</mrow>",
            "text": self.text, "ub": self.brace, "left": self.bracketed, "mat": self.matrix,
            "cases": lambda: _row("<mo>{</mo>", self.table("cases")),
            "rows": lambda: self.table("rows"),
            "operatorname": lambda: f"<mi mathvariant='normal'>{html.escape(self.raw())}</mi>",
        }  # fmt: skip

    def whole(self) -> str:
        inside = self.sequence()
        if self.peek():
            raise ValueError(f"what is {self.peek()!r} doing in {self.source!r}?")
        return inside

    # --- tokens --------------------------------------------------------------------------------

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def skip(self) -> None:
        while self.peek().isspace():
            self.at += 1

    def raw(self) -> str:
        """The text between the braces that follow."""
        self.skip()
        self.next()
        depth, found = 1, ""
        while True:
            piece = self.next()
            depth += (piece == "{") - (piece == "}")
            if not depth:
                return found
            found += piece

    # --- formulas ------------------------------------------------------------------------------

    def group(self) -> str:
        self.skip()
        if self.peek() != "{":
            return self.atom()
        self.next()
        inside = self.sequence()
        self.next()
        return inside

    def sequence(self) -> str:
        """Up to a closing brace, a ``\\right`` or the end."""
        parts: list[str] = []
        while True:
            self.skip()
            if self.peek() in ("", "}", "\\right"):
                break
            if self.peek() in "-−" and (not parts or _SIGN.search(parts[-1])):
                self.next()
                parts.append("<mo form='prefix' lspace='0' rspace='.06em'>−</mo>")
            else:
                parts.append(self.scripted())
        return parts[0] if len(parts) == 1 else _row(*parts)

    def scripted(self) -> str:
        base, below, above, primes = self.atom(), "", "", ""
        while (mark := self.peek()) in ("_", "^", "'"):
            self.next()
            if mark == "_":
                below = self.group()
            elif mark == "^":
                above = self.group()
            else:
                primes += "′"
        if primes and not above:  # the sign stands high already
            base = _row(base, f"<mo lspace='0' rspace='.05em'>{primes}</mo>")
        elif primes:
            above = _row(above, f"<mo lspace='0' rspace='0'>{primes}</mo>")
        if "∑" in base:
            return f"<munderover>{base}{below or '<mrow/>'}{above or '<mrow/>'}</munderover>"
        if below and above:
            return f"<msubsup>{base}{below}{above}</msubsup>"
        if below:
            return f"<msub>{base}{below}</msub>"
        return f"<msup>{base}{above}</msup>" if above else base

    def atom(self) -> str:
        self.skip()
        piece = self.next()
        if piece == "{":
            self.at -= 1
            return _row(self.group())
        return self.command(piece[1:]) if piece[0] == "\\" else _single(piece)

    def command(self, name: str) -> str:
        if name in self.commands:
            return self.commands[name]()
        if name in _SIGNS:
            return f"<mo>{_SIGNS[name]}</mo>"
        if name in _LETTERS:
            return f"<mi>{_LETTERS[name]}</mi>"
        if name in _SPACES:
            return f"<mspace width='{_SPACES[name]}'/>"
        if name in ("log", "tanh", "max"):
            return f"<mspace width='.17em'/><mi>{name}</mi><mspace width='.1em'/>"
        raise ValueError(f"no command \\{name} in {self.source!r}")

    def text(self) -> str:
        said = self.raw()
        direction = " dir='rtl'" if re.search("[\u0600-\u06ff]", said) else ""
        unbroken = html.escape(said).replace(" ", "\u00a0")
        return f"<mtext{direction}>{unbroken}</mtext>"

    def brace(self) -> str:
        what, label = self.group(), self.group()
        return (
            f"<munder class='ub'><mrow class='br'>{what}</mrow><mrow class='ubl'>{label}</mrow>"
            "</munder>"
        )

    def bracketed(self) -> str:
        opening = self.next()
        inside = self.sequence()
        self.next()
        closing = self.next()
        return _row(_fence(opening, "prefix"), inside, _fence(closing, "postfix"))

    def matrix(self) -> str:
        return self.table("mat")

    def table(self, kind: str) -> str:
        rows = re.split(r"\\\\", self.raw())
        cells = (
            "".join(f"<mtd>{_Reader(cell).whole()}</mtd>" for cell in row.split("&"))
            for row in rows
        )
        return f"<mtable class='{kind}'>{''.join(f'<mtr>{row}</mtr>' for row in cells)}</mtable>"


def _row(*parts: str) -> str:
    return f"<mrow>{''.join(parts)}</mrow>"


def _fence(sign: str, form: str) -> str:
    return f"<mo form='{form}' lspace='0' rspace='0'>{sign}</mo>"


def _single(piece: str) -> str:
    if piece[0].isdigit():
        return f"<mn>{piece}</mn>"
    if piece.isalpha():
        return f"<mi>{piece}</mi>"
    if piece in "[]()":
        return f"<mo stretchy='false'>{piece}</mo>"
    if piece in ",;":
        return f"<mo separator='true'>{piece}</mo>"
    return f"<mo>{html.escape({'-': '−', '*': '∗'}.get(piece, piece))}</mo>"
