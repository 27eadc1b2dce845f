"""Texts from right to left, with what is written from left to right in them kept apart."""

from __future__ import annotations

import re

_WORD = r"[A-Za-z0-9ΣσαεŷΔ][A-Za-z0-9σ′¹²³⁰₁₂₃ᵀ/_%]*(?:[.-]\w+)*(?:\([^()\u0600-\u06ff]*\))?"
_RUN = re.compile(rf"{_WORD}(?:(?:\s|\s?(?:\*\*|[-*@=−+×/÷·])\s?|, ){_WORD})*")
_APART = re.compile(r"<(/?)(svg|math|script|style|code|bdi|title|a|output|option)\b")


def isolated(page: str) -> str:
    """Every run of Latin letters and numbers in a Persian text in a ``bdi`` of its own.

    Without it 1/m is shown as m/1.
    """
    found: list[str] = []
    inside: list[str] = []
    for part in re.split(r"(<[^>]+>)", page):
        tag = _APART.match(part)
        if tag and not part.endswith("/>"):
            if not tag[1]:
                inside.append(tag[2])
            elif inside:
                inside.pop()
        elif not part.startswith("<") and not inside and re.search("[\u0600-\u06ff]", part):
            part = _RUN.sub(r'<bdi dir="ltr">\g<0></bdi>', part)
        found.append(part)
    return "".join(found)
