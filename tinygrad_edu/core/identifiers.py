"""Names for generated Python, made of what users call things: valid, and each given once."""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Iterable


class Identifiers:
    """Gives identifiers; none of `taken`, which the generated source uses itself.

    >>> names = Identifiers({"np"})
    >>> names.of("W₁"), names.of("W1"), names.of("np"), names.of("lambda")
    ('W1', 'W1_2', 'np_2', 'v_lambda')
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._tried: dict[str, int] = {}  # up to which number the names of a stem are taken

    def of(self, text: str) -> str:
        """An identifier as near to `text` as Python allows, not given before.

        Python takes letters that look alike for the same (the micro sign and mu), so their common
        form is used from the start.
        """
        common = unicodedata.normalize("NFKC", text)
        name = "".join(c if f"a{c}".isidentifier() else "_" for c in common)
        if not name.isidentifier() or keyword.iskeyword(name):
            name = f"v_{name}"
        unique, n = name, 1
        while unique in self._taken:
            n += 1
            unique = f"{name}_{n}"
        self._taken.add(unique)
        return unique

    def all(self, texts: Iterable[str]) -> dict[str, str]:
        """An identifier for each text; what is one already keeps it."""
        texts = list(dict.fromkeys(texts))
        texts.sort(key=lambda text: unicodedata.normalize("NFKC", text) != text)
        texts.sort(key=lambda text: not text.isidentifier())
        return {text: self.of(text) for text in texts}

    def fresh(self, stem: str) -> str:
        """``t1``, ``t2``, …: the next of its stem that is free."""
        n = self._tried.get(stem, 1)
        while f"{stem}{n}" in self._taken:
            n += 1
        self._tried[stem] = n
        return self.of(f"{stem}{n}")

    def is_free(self, name: str) -> bool:
        """Has nothing got this name yet?"""
        return name not in self._taken
