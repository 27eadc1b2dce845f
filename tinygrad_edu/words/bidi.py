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


#: Longer ones may be broken at a line's end.
_LINE = 24
_PERSIAN = "\u0600-\u06ff\u200c"


def directions(pieces: Iterable[Any]) -> Iterator[tuple[bool, list[Any]]]:
    """Pieces of a Persian sentence in runs, and which of these go from left to right.

    What is no text is a formula; Latin letters, digits and signs in the texts go with it.

    >>> [("".join(run), ltr) for ltr, run in directions(["ضریب 1/m است"])]
    [('ضریب ', False), ('1/m', True), (' است', False)]
    >>> [("".join(run), ltr) for ltr, run in directions(["اینجا A * (1 - A)."])]
    [('اینجا ', False), ('A * (1 - A)', True), ('.', False)]
    """
    run: list[Any] = []
    between: list[str] = []  # spaces and marks, part of a formula where it goes on behind them
    ltr = False
    for kind, part in (cut for piece in pieces for cut in _cut(piece)):
        if kind == "mark":
            between.append(part)
            continue
        if ltr and kind != "formula":
            closing, outside = _closing(run, between)
            yield True, run + closing
            run, between, ltr = [], outside, False
        elif not ltr and kind == "formula":
            if run or between:
                yield False, run + between
            run, between, ltr = [], [], True
        run += [*between, part]
        between = []
    if ltr:
        closing, between = _closing(run, between)
        yield True, run + closing
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


def _closing(run: list[Any], marks: list[str]) -> tuple[list[str], list[str]]:
    """Of the marks behind a run the brackets that close those in it; and the others."""
    opened = _open("".join(part for part in run if isinstance(part, str)))
    behind = "".join(marks)
    closing = min(opened, len(behind) - len(behind.lstrip(")")))
    if closing <= 0:
        return [], marks
    return [behind[:closing]], [behind[closing:]]


def _open(text: str) -> int:
    return text.count("(") - text.count(")")


def apart(text: str) -> str:
    """A Persian text for a terminal: what goes from left to right in a line is in isolates."""
    return "\n".join(
        "".join(f"\u2066{''.join(run)}\u2069" if ltr else "".join(run) for ltr, run in runs)
        for runs in (directions([line]) for line in text.split("\n"))
    )


def marked_up(text: str, direction: str) -> str:
    """A text for a page, escaped; in a Persian one what goes from left to right is a ``bdi``.

    >>> marked_up("اینجا 1/m", "rtl")
    'اینجا <bdi dir="ltr">1/m</bdi>'
    """
    if direction == "ltr":
        return html.escape(text)
    found = []
    for ltr, run in directions([text]):
        said = "".join(run)
        kind = ' class="long"' if len(said) > _LINE else ""
        escaped = html.escape(said)
        found.append(f'<bdi dir="ltr"{kind}>{escaped}</bdi>' if ltr else escaped)
    return "".join(found)
