"""Texts from right to left, with what is written from left to right in them kept apart."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from typing import Any

_APART = re.compile(r"<(/?)(svg|math|script|style|code|bdi|title|a|output|option)\b")


def isolated(page: str) -> str:
    """What goes from left to right in the Persian texts of a page, in a ``bdi`` of its own.

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
            part = marked_up(html.unescape(part), "rtl")
        found.append(part)
    return "".join(found)


_PERSIAN = "\u0600-\u06ff\u200c"


def directions(pieces: Iterable[Any]) -> Iterator[tuple[bool, list[Any]]]:
    """Pieces of a Persian sentence in runs, and which of these go from left to right.

    What is no text is a formula; Latin letters, digits and signs in the texts go with it.

    >>> [("".join(run), ltr) for ltr, run in directions(["ضریب 1/m است"])]
    [('ضریب ', False), ('1/m', True), (' است', False)]
    """
    run: list[Any] = []
    between: list[str] = []  # spaces and marks, part of a formula where it goes on behind them
    ltr = False
    for kind, part in (cut for piece in pieces for cut in _cut(piece)):
        if kind == "mark":
            between.append(part)
            continue
        if ltr != (kind == "formula"):
            outside = [] if ltr else between
            if run or outside:
                yield ltr, run + outside
            run, between = between[len(outside) :], []
            ltr = not ltr
        run += [*between, part]
        between = []
    if run and ltr:
        yield True, run
        run = []
    if run or between:
        yield False, run + between


def _cut(piece: Any) -> Iterator[tuple[str, Any]]:
    """A text in words, marks and what goes from left to right."""
    if not isinstance(piece, str):
        yield "formula", piece
        return
    for found in re.finditer(rf"([{_PERSIAN}]+)|(\s+)|[^\s{_PERSIAN}]+", piece):
        if found[1] or found[2]:
            yield "persian" if found[1] else "mark", found[0]
            continue
        text, before, after = found[0], "", ""
        while text and (text[-1] in ":.,;" or (text[-1] == ")" and _open(text) < 0)):
            text, after = text[:-1], text[-1] + after
        while text.startswith("(") and _open(text) > 0:
            text, before = text[1:], before + "("
        parts = (("mark", before), ("formula", text), ("mark", after))
        yield from ((kind, part) for kind, part in parts if part)


def _open(text: str) -> int:
    return text.count("(") - text.count(")")


def apart(text: str) -> str:
    """A Persian text for a terminal: what goes from left to right in it is in isolates."""
    runs = ((ltr, "".join(run)) for ltr, run in directions([text]))
    return "".join(f"\u2066{run}\u2069" if ltr else run for ltr, run in runs)


def marked_up(text: str, direction: str) -> str:
    """A text for a page, escaped; in a Persian one what goes from left to right is a ``bdi``.

    >>> marked_up("اینجا 1/m", "rtl")
    'اینجا <bdi dir="ltr">1/m</bdi>'
    """
    if direction == "ltr" or not re.search(f"[{_PERSIAN}]", text):
        return html.escape(text)
    runs = ((ltr, html.escape("".join(run))) for ltr, run in directions([text]))
    return "".join(f'<bdi dir="ltr">{run}</bdi>' if ltr else run for ltr, run in runs)
