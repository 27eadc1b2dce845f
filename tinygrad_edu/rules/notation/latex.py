"""Formulas in LaTeX, with the lecture's names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tinygrad_edu.rules.notation.names import Name, Names
from tinygrad_edu.rules.notation.typeset import Typeset


class LaTeX(Typeset):
    """LaTeX; a layer's number goes into brackets above, as in the lecture."""

    transposed = r"\top"

    def bracket(self, text: str) -> str:
        """Brackets as high as what they hold."""
        return rf"\left({text}\right)"

    def named(self, name: str, above: str = "") -> str:
        """A name, what is raised beside its layer in the same superscript."""
        parts = self.names.parts(name)
        if parts is None:
            return rf"\mathtt{{{escaped(name)}}}"
        layer = f"[{parts.layer}]" if parts.layer else ""
        text = ("d" if parts.gradient else "") + _letters(parts)
        if parts.below:
            upright = len(parts.below) > 1 and parts.below.isalpha()
            text += rf"_{{\mathrm{{{parts.below}}}}}" if upright else f"_{{{parts.below}}}"
        return text + (f"^{{{layer}{above}}}" if layer or above else "")

    def plain_number(self, text: str) -> str:
        """Digits."""
        return text

    def scientific(self, mantissa: str, power: str) -> str:
        """``1.5 · 10⁻⁷``."""
        return rf"{mantissa} \cdot {power}"

    def python(self, text: str) -> str:
        """A piece of Python: words upright, the rest as it is."""
        return re.sub(r"[A-Za-z]\w*", lambda word: rf"\mathrm{{{word[0]}}}", text).replace(
            "_", r"\_"
        )

    def fraction(self, top: str, bottom: str) -> str:
        """A quotient with a bar."""
        return rf"\frac{{{top}}}{{{bottom}}}"

    def raised(self, base: str, above: str) -> str:
        """A power, a transpose."""
        return f"{base}^{{{above}}}"

    def lowered(self, base: str, below: str) -> str:
        """An index."""
        return f"{{{base}}}_{{[{below}]}}"

    def product(self, factors: Sequence[str]) -> str:
        """A matrix product: a space where a letter would run into the next factor."""
        text = ""
        for factor in factors:
            gap = r" \, " if re.search(r"([A-Za-z]|\\mathr?[a-z]+\{[^{}]*\})$", text) else " "
            text += gap + factor if text else factor
        return text

    def beside(self, number: str, rest: str) -> str:
        """``(1/m)`` in front."""
        return f"{number} {rest}"

    def applied(self, function: str, arguments: Sequence[str], options: dict[str, str]) -> str:
        """``f(x, axis=0)``."""
        inside = ", ".join(arguments) + "".join(
            rf",\ \mathrm{{{escaped(key)}}}={x}" for key, x in options.items()
        )
        return rf"\operatorname{{{escaped(function)}}}\left({inside}\right)"

    def choice(self, mask: str, x: str, y: str) -> str:
        """x where the mask is, else y."""
        return rf"\begin{{cases}}{x} & \text{{if }} {mask}\\ {y} & \text{{otherwise}}\end{{cases}}"

    def filled(self, template: str, parts: Sequence[str], **options: str) -> str:
        """An operation as it is declared, its parts and options put in."""
        return template.format(*parts, **options)


def escaped(text: str) -> str:
    """Text as LaTeX takes it."""
    return re.sub(r"([#$%&_{}])", r"\\\1", text)


def latex_name(name: str) -> str:
    """A name as the lecture writes it: ``W2`` is W with [2] above, ``w11_2`` has 11 below too."""
    return LaTeX(names=Names()).named(name)


def _letters(parts: Name) -> str:
    """A letter, a Greek letter by its name, an upright word; a hat."""
    text = {
        "letter": parts.letters, "greek": rf"\{parts.letters}",
        "word": rf"\mathrm{{{escaped(parts.letters)}}}",
    }[parts.kind]  # fmt: skip
    return rf"\hat{{{text}}}" if parts.hat else text
