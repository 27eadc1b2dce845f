"""How names are typeset: a letter, a Greek letter by its name, a word, the numbers behind it."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection
from typing import NamedTuple

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ϵ", "zeta": "ζ",
    "eta": "η", "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ",
    "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "chi": "χ", "psi": "ψ",
    "omega": "ω",
}  # fmt: skip


#: What else Greek letters are called: by themselves, and as Python lets one write lambda.
_ALSO = {letter: name for name, letter in GREEK.items()} | {
    "ε": "epsilon", "lambd": "lambda", "lam": "lambda",
}  # fmt: skip


class Name(NamedTuple):
    """The parts of a name: ``dw11_2`` is a gradient of w with 11 below and the layer 2 above,
    ``c_prev`` is c with a word below."""

    gradient: bool
    letters: str
    hat: bool
    below: str
    layer: str

    @property
    def kind(self) -> str:
        """``letter``, ``greek`` or ``word``."""
        if self.letters in GREEK:
            return "greek"
        return "letter" if len(self.letters) == 1 else "word"


class Names:
    """Takes the names of one derivation apart.

    `quantities`: what has a gradient, so that ``data`` is no gradient of ``ata``; `layered`: the
    names whose trailing number is a layer (see `layers`). None: a name's look has to do.
    """

    def __init__(
        self, quantities: Collection[str] | None = None, layered: Collection[str] | None = None
    ) -> None:
        self.quantities = quantities
        self.layered = layered

    def parts(self, name: str) -> Name | None:
        """The parts of a name; None for a piece of Python such as ``X.shape[0]``."""
        if "." in name or "[" in name:
            return None
        gradient = self._is_gradient(name)
        of = name[1:] if gradient else name
        for plain in (of.removeprefix("v_"), of.removesuffix("_")):  # see `Identifiers`
            of = plain if keyword.iskeyword(plain) else of
        letters, _, word = of.partition("_")
        with_word = Name(gradient, self._symbol(letters), False, word, "")
        if word.isalpha() and with_word.kind != "word":
            return with_word
        match = re.fullmatch(r"([^\W\d_]+?)(\d*)(?:_(\d+))?", of)
        letters, digits, layer = match.groups() if match else (of, "", None)
        word = letters.removesuffix("hat") or letters
        hat, letters = word != letters, self._symbol(word)
        if layer is None and self._is_layered(of):
            digits, layer = "", digits
        return Name(gradient, letters, hat, digits, layer or "")

    def _symbol(self, letters: str) -> str:
        """The name of a Greek letter, unless another quantity is called by that letter too."""
        greek = _ALSO.get(letters, letters)
        same = {greek, f"v_{greek}", f"{greek}_", *(k for k, v in _ALSO.items() if v == greek)}
        return letters if (same - {letters}) & set(self.quantities or ()) else greek

    def _is_gradient(self, name: str) -> bool:
        if self.quantities is not None:
            return name[:1] == "d" and name[1:] in self.quantities
        return re.fullmatch(r"d[A-Za-z]+\d*(_\d+)?", name) is not None

    def _is_layered(self, name: str) -> bool:
        return self.layered is None or name in self.layered
