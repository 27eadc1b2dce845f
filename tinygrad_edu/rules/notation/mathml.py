"""Formulas in presentation MathML, of the elements all browsers typeset (MathML Core)."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import cache

from tinygrad_edu.rules.notation.names import GREEK, Name
from tinygrad_edu.rules.notation.typeset import Typeset, fields_of

NAMESPACE = "http://www.w3.org/1998/Math/MathML"


def operator(sign: str) -> str:
    """A sign."""
    return f"<mo>{html.escape(sign)}</mo>"


def identifier(text: str) -> str:
    """A letter, which browsers set in italics, or a word, which they set upright."""
    return f"<mi>{html.escape(text)}</mi>"


def row(*parts: str) -> str:
    """Several as one."""
    return f"<mrow>{''.join(parts)}</mrow>"


def math(inside: str, block: bool = False) -> str:
    """A formula as an element of a page."""
    display = ' display="block"' if block else ""
    return f'<math xmlns="{NAMESPACE}"{display}>{inside}</math>'


def inside(element: str) -> str:
    """What stands inside a ``math`` element."""
    return element[element.index(">") + 1 : element.rindex("<")]


class MathML(Typeset):
    """The inside of a ``math`` element."""

    plus, minus, times, gap = operator("+"), operator("−"), operator("∗"), ""
    transposed = operator("⊤")

    def bracket(self, text: str) -> str:
        """Brackets, as high as what they hold."""
        return row(operator("("), text, operator(")"))

    def named(self, name: str, above: str = "") -> str:
        """A name, what is raised beside its layer in the same superscript."""
        parts = self.names.parts(name)
        if parts is None:
            return f"<mtext>{html.escape(name)}</mtext>"
        text, below = _letters(parts), f"<mn>{parts.below}</mn>"
        below = identifier(parts.below) if parts.below.isalpha() else below
        layer = operator("[") + f"<mn>{parts.layer}</mn>" + operator("]") if parts.layer else ""
        if layer or above:
            raised = row(layer, above)
            text = (
                f"<msubsup>{text}{below}{raised}</msubsup>" if parts.below
                else f"<msup>{text}{raised}</msup>"
            )  # fmt: skip
        elif parts.below:
            text = f"<msub>{text}{below}</msub>"
        return row(identifier("d"), text) if parts.gradient else text

    def plain_number(self, text: str) -> str:
        """Digits, and the sign before them."""
        sign = operator("−") if text.startswith("-") else ""
        number = f"<mn>{text.removeprefix('-')}</mn>"
        return row(sign, number) if sign else number

    def scientific(self, mantissa: str, power: str) -> str:
        """``1.5 · 10⁻⁷``."""
        return row(mantissa, operator("·"), power)

    def python(self, text: str) -> str:
        """A piece of Python as it is."""
        if re.fullmatch(r"-?[\d.]+", text):
            return self.plain_number(text)
        return identifier(text) if text.isalpha() else f"<mtext>{html.escape(text)}</mtext>"

    def fraction(self, top: str, bottom: str) -> str:
        """A quotient with a bar."""
        return f"<mfrac>{row(top)}{row(bottom)}</mfrac>"

    def raised(self, base: str, above: str) -> str:
        """A power, a transpose."""
        return f"<msup>{row(base)}{row(above)}</msup>"

    def lowered(self, base: str, below: str) -> str:
        """An index."""
        return f"<msub>{row(base)}{row(operator('['), below, operator(']'))}</msub>"

    def product(self, factors: Sequence[str]) -> str:
        """A matrix product: a thin space between the factors."""
        return '<mspace width="0.2em"/>'.join(factors)

    def beside(self, number: str, rest: str) -> str:
        """``(1/m)`` in front."""
        return self.product([number, rest])

    def applied(self, function: str, arguments: Sequence[str], options: dict[str, str]) -> str:
        """``f(x, axis=0)``."""
        told = [row(identifier(key), operator("="), x) for key, x in options.items()]
        inside = operator(",").join([*arguments, *told])
        return row(identifier(function), operator("("), inside, operator(")"))

    def choice(self, mask: str, x: str, y: str) -> str:
        """x where the mask is, else y."""
        rows = ((x, f"<mtext>if </mtext>{mask}"), (y, "<mtext>otherwise</mtext>"))
        cells = "".join(f"<mtr><mtd>{a}</mtd><mtd>{b}</mtd></mtr>" for a, b in rows)
        return row(operator("{"), f"<mtable>{cells}</mtable>")

    def filled(self, template: str, parts: Sequence[str], **options: str) -> str:
        """An operation as it is declared, its parts and options put in."""
        return _translated(template).format(*parts, **options)


def _letters(parts: Name) -> str:
    """A letter, a Greek letter, a word; a hat."""
    text = identifier(GREEK.get(parts.letters, parts.letters))
    return f"<mover>{text}{operator('^')}</mover>" if parts.hat else text


# --- an operation's own LaTeX as MathML ---------------------------------------------------------

#: What a command of LaTeX is.
_SIGNS = {
    "-": "−", r"\odot": "∗", r"\ge": "≥", r"\le": "≤", r"\ne": "≠", r"\cdot": "·", r"\sum": "∑",
    r"\prod": "∏", r"\top": "⊤", r"\|": "‖", r"\times": "×", r"\int": "∫", r"\pm": "±",
}  # fmt: skip
_SPACES = {r"\,": "0.17em", r"\ ": "0.33em", r"\;": "0.28em", r"\quad": "1em"}
_UPRIGHT = {r"\operatorname", r"\mathrm", r"\mathbf", r"\mathcal", r"\mathit", r"\text"}
_FUNCTIONS = {
    "log", "exp", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh",
    "max", "min", "det", "ln", "arg",
}  # fmt: skip
_SCRIPTS = {"_": "msub", "^": "msup"}
#: What is built of groups: the element, how many groups, what stands behind them.
_BUILT = {
    r"\frac": ("mfrac", 2, ""), r"\sqrt": ("msqrt", 1, ""),
    r"\bar": ("mover", 1, operator("¯")), r"\hat": ("mover", 1, operator("^")),
}  # fmt: skip
#: Only how high or how wide something is set.
_SILENT = {r"\left", r"\right", r"\textstyle", r"\displaystyle", r"\limits"}
_TOKEN = re.compile(r"\x00\d+\x01|\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\S|\s+")


@cache
def _translated(template: str) -> str:
    """An operation's template as MathML, with the same places for its inputs.

    It reads the LaTeX that formulas are declared in; a command it does not know is set as a word.
    """
    fields = fields_of(template)
    marks = [f"\0{i}\1" for i in range(len(fields))]
    numbered = dict(zip(fields, marks))
    inputs = [numbered.get(str(i), "") for i in range(len(fields))]
    text = template.format(*inputs, **{k: v for k, v in numbered.items() if not k.isdigit()})
    read = _Reader(_TOKEN.findall(text)).until_end().replace("{", "{{").replace("}", "}}")
    return re.sub("\0(\\d+)\1", lambda mark: "{" + fields[int(mark[1])] + "}", read)


class _Reader:
    """Reads the pieces of one template."""

    def __init__(self, pieces: list[str]) -> None:
        self.pieces = [piece for piece in pieces if piece.strip() and piece not in _SILENT]
        self.at = 0

    def until_end(self) -> str:
        """What stands before the next closing brace, or the end."""
        parts: list[str] = []
        function = False
        while self.at < len(self.pieces) and self.pieces[self.at] != "}":
            piece = self._next()
            if piece in _SCRIPTS:
                base = parts.pop() if parts else row()
                parts.append(f"<{_SCRIPTS[piece]}>{base}{self._group()}</{_SCRIPTS[piece]}>")
                continue
            if function and piece not in "([":  # sin x, but sin(x)
                parts.append('<mspace width="0.17em"/>')
            function = piece[1:] in _FUNCTIONS
            parts.append(self._one(piece))
        self.at += 1
        return "".join(parts)

    def _next(self) -> str:
        piece = self.pieces[self.at]
        self.at += 1
        return piece

    def _group(self) -> str:
        """What a command takes: a group in braces, or one piece."""
        return self._one(self._next())

    def _one(self, piece: str) -> str:
        if piece == "{":
            return row(self.until_end())
        if piece in _UPRIGHT:
            return identifier(re.sub(r"</?m\w+>|\s", "", self._group()))
        if piece in _BUILT:
            groups = "".join(self._group() for _ in range(_BUILT[piece][1]))
            return f"<{_BUILT[piece][0]}>{groups}{_BUILT[piece][2]}</{_BUILT[piece][0]}>"
        return _single(piece)


def _single(piece: str) -> str:
    """A piece that takes nothing."""
    if piece in _SPACES:
        return f'<mspace width="{_SPACES[piece]}"/>'
    if piece[0] == "\0":
        return row(piece)
    if piece[0] == "\\" and piece not in _SIGNS:
        return identifier(GREEK.get(piece[1:], piece[1:]))
    if piece[0].isdigit():
        return f"<mn>{piece}</mn>"
    return identifier(piece) if piece.isalpha() else operator(_SIGNS.get(piece, piece))
