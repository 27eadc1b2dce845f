"""An explanation as text, as a piece of a web page, as MathML."""

from __future__ import annotations

import html
from collections.abc import Iterable
from itertools import groupby

from tinygrad_edu.rules.notation import MathML, Text, math
from tinygrad_edu.rules.notation.mathml import identifier, operator, row
from tinygrad_edu.rules.notation.precedence import WHOLE
from tinygrad_edu.rules.trees import Tree
from tinygrad_edu.rules.why.data import Entry, Extent, Why
from tinygrad_edu.rules.why.saying import Name, Partial, Piece, Sentence, Total, sentences
from tinygrad_edu.words import Words
from tinygrad_edu.words.bidi import directions


def as_text(why: Why, words: Words) -> str:
    """A sentence a row; what belongs to a step stands further in."""
    return "\n".join(_line(sentence, words) for sentence in sentences(why, words))


def _line(sentence: Sentence, words: Words) -> str:
    number = f"{sentence.number}. " if sentence.number else ""
    said = "".join(map(_text, sentence.pieces))
    if words.direction == "rtl":
        runs = ((ltr, "".join(map(_text, run))) for ltr, run in directions(sentence.pieces))
        said = "".join(f"\u2066{run}\u2069" if ltr else run for ltr, run in runs)
    return "   " * sentence.depth + number + said


def _text(piece: Piece) -> str:
    if isinstance(piece, Tree):
        return Text()(piece)
    if isinstance(piece, Name):
        return piece.text
    if isinstance(piece, Partial):
        return f"∂{piece.above}/∂{piece.below}"
    if isinstance(piece, Total):
        return f"Σ_{piece.index} "
    if isinstance(piece, Entry):
        of = piece.of if isinstance(piece.of, str) else Text()(piece.of, WHOLE)
        return f"{of}[{', '.join(piece.indices)}]"
    if isinstance(piece, Extent):
        return f"({', '.join(piece.symbols)}{',' if len(piece.symbols) == 1 else ''})"
    return piece


# --- typeset ------------------------------------------------------------------------------------


class _Typeset:
    """The pieces of sentences in MathML."""

    def __init__(self, why: Why) -> None:
        self.notation = MathML(names=why.names)

    def piece(self, piece: Piece) -> str:
        """One piece of a formula."""
        if isinstance(piece, Tree):
            return row(self.notation(piece))
        if isinstance(piece, Name):
            return self.notation.named(piece.text)
        if isinstance(piece, Partial):
            above, below = (
                row(operator("∂"), self.notation.named(name)) for name in (piece.above, piece.below)
            )
            return f"<mfrac>{above}{below}</mfrac>"
        if isinstance(piece, Total):
            return f"<msub>{operator('∑')}{identifier(piece.index)}</msub>"
        if isinstance(piece, Entry):
            return self._entry(piece)
        if isinstance(piece, Extent):
            inside = operator(",").join(map(self._length, piece.symbols))
            return row(operator("("), inside, operator(")"))
        return f"<mtext>{html.escape(piece)}</mtext>" if piece else ""

    def _length(self, text: str) -> str:
        return self.notation.python(text) if text.isdigit() else self.notation.named(text)

    def _entry(self, entry: Entry) -> str:
        of = entry.of
        base = self.notation.named(of) if isinstance(of, str) else self.notation(of, WHOLE)
        inside = operator(",").join(
            f"<mn>{i}</mn>" if i.isdigit() else identifier(i) for i in entry.indices
        )
        return f"<msub>{row(base)}{row(inside)}</msub>"


def as_mathml(why: Why) -> str:
    """One formula: a table with a row for each sentence."""
    typeset = _Typeset(why)
    rows = []
    for sentence in sentences(why, Words("en")):
        number = f"<mtext>{sentence.number}. </mtext>" if sentence.number else ""
        space = f'<mspace width="{2 * sentence.depth}em"/>' if sentence.depth else ""
        cells = space + number + "".join(map(typeset.piece, sentence.pieces))
        rows.append(f"<mtr><mtd>{cells}</mtd></mtr>\n")
    return math(f"\n<mtable>\n{''.join(rows)}</mtable>\n", block=True)


def as_html(why: Why, words: Words) -> str:
    """A section with a paragraph for each sentence, formulas between the words."""
    typeset = _Typeset(why)
    rtl = words.direction == "rtl"
    side = "right" if rtl else "left"
    paragraphs = []
    for sentence in sentences(why, words):
        number = f"{sentence.number}. " if sentence.number else ""
        inset = f' style="margin-{side}:{2 * sentence.depth}em"' if sentence.depth else ""
        if rtl:
            runs = ((ltr, _between(run, typeset)) for ltr, run in directions(sentence.pieces))
            inside = "".join(f'<bdi dir="ltr">{run}</bdi>' if ltr else run for ltr, run in runs)
        else:
            inside = _between(sentence.pieces, typeset)
        paragraphs.append(f"<p{inset}>{number}{inside}</p>\n")
    where = f' lang="{words.language}" dir="rtl"' if rtl else ""
    return f'<section class="why"{where}>\n{"".join(paragraphs)}</section>'


def _between(pieces: Iterable[Piece], typeset: _Typeset) -> str:
    """Words, and the formulas between them."""
    return "".join(
        html.escape("".join(map(str, group))) if words
        else math("".join(typeset.piece(piece) for piece in group))
        for words, group in (
            (words, list(group))
            for words, group in groupby(pieces, lambda piece: isinstance(piece, str))
        )
    )  # fmt: skip
