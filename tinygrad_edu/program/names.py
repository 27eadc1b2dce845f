"""Identifiers and numbers in generated text."""

from __future__ import annotations

import keyword
import math
from collections.abc import Iterable


class Names:
    """Identifiers, each given once."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._count: dict[str, int] = {}

    def fresh(self, stem: str) -> str:
        """``t1``, ``t2``, …: the next of its stem."""
        while True:
            self._count[stem] = self._count.get(stem, 0) + 1
            text = f"{stem}{self._count[stem]}"
            if text not in self._taken:
                self._taken.add(text)
                return text

    def name(self, wanted: str) -> str:
        """An identifier as near to `wanted` as Python allows, not given before."""
        text = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in wanted)
        if not text.isidentifier() or keyword.iskeyword(text) or text.startswith("__"):
            text = f"v_{text}"
        unique, n = text, 1
        while unique in self._taken:
            n += 1
            unique = f"{text}_{n}"
        self._taken.add(unique)
        return unique


def number(value: float) -> str:
    """A float as Python reads it back."""
    return repr(value) if math.isfinite(value) else f"float({str(value)!r})"
