"""Mathematics in ASCII, for a standard output that has no better letters."""

from __future__ import annotations

import re
import sys

_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True))
#: What a letter is written as; a letter of a table is one letter, so that columns stay columns.
_WRITTEN = {
    "−": "-", "∗": "*", "·": "*", "×": "x", "±": "+-", "ᵀ": ".T", "∂": "d", "Σ": "sum",
    "∑": "sum", "Π": "prod", "∏": "prod", "√": "sqrt", "∞": "inf", "≤": "<=", "≥": ">=", "≠": "!=",
    "≈": "~", "←": "<-", "→": "->", "‖": "||", "½": "1/2", "ŷ": "y_hat", "…": "...", "–": "-",
    "—": "-", "\u2018": "'", "\u2019": "'", "“": '"', "”": '"', "∈": "in", "⊙": "*",
    "✓": "v", "✗": "x", "∧": "^", "↳": ">", "█": "#", "•": "*",
    **dict.fromkeys("─━╌╍═", "-"), **dict.fromkeys("│┃║", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼┏┓┗┛┣┫┳┻╋┡┩╇╈┢┪╭╮╰╯╸╺╔╗╚╝╟╢╤╧╪", "+"),
}  # fmt: skip
_RUNS = f"[{''.join(_SUPERSCRIPTS)}]+"


def ascii_text(text: str) -> str:
    """A text in ASCII: ``W2ᵀ dZ2 ∗ (1 − A1²)`` as ``W2.T dZ2 * (1 - A1**2)``.

    >>> ascii_text("∂J/∂σ = −½ x⁻¹")
    'dJ/dsigma = -1/2 x**-1'
    """
    power = lambda run: "**" + "".join(map(_SUPERSCRIPTS.__getitem__, run[0]))  # noqa: E731
    text = re.sub(_RUNS, power, text)
    return text if text.isascii() else "".join(map(_letter, text))


def _letter(c: str) -> str:
    if c.isascii():
        return c
    if c in _WRITTEN:
        return _WRITTEN[c]
    import unicodedata  # which few ever need

    greek = re.match("GREEK (SMALL|CAPITAL) LETTER (?:FINAL )?([A-Z]+)", unicodedata.name(c, ""))
    if greek:
        return greek[2].lower() if greek[1] == "SMALL" else greek[2].capitalize()
    bare = unicodedata.normalize("NFKD", c).encode("ascii", "ignore").decode()
    return bare or ("" if unicodedata.combining(c) else "?")


def printable(text: str) -> str:
    """`text` as it is where the standard output can show it, in ASCII where it cannot.

    ``print`` asks an object for its text before it encodes it, so the text has to know.
    """
    if text.isascii():
        return text
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return ascii_text(text)
    return text


def in_ascii(error: UnicodeError) -> tuple[str, int]:
    """A codec's error handler: what a stream cannot encode is written in ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return ascii_text(error.object[error.start : error.end]), error.end
