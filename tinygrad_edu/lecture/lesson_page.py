"""The page a teacher shows: sections of a lesson in one file that asks nothing of the network."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.drawing import plots
from tinygrad_edu.drawing.plots import Html, number, scientific
from tinygrad_edu.drawing.renderer import write
from tinygrad_edu.lecture.template import FOLDER, fill
from tinygrad_edu.lecture.tex import math
from tinygrad_edu.words import Words
from tinygrad_edu.words.bidi import isolated

#: The largest matrix written out whole: rows and columns.
WHOLE = (4, 3)


class LessonPage:
    """Collects the sections; `write` makes the file."""

    def __init__(self, words: Words, title: str = "", by: str | None = None) -> None:
        self.words = words
        self.title = title or words["lecture.title"]
        self.by = words["lecture.by"] if by is None else by
        self.sections: list[tuple[str, str]] = []  # key, content
        plots.begin()

    def add(self, key: str, title: str, lead: str, body: str) -> None:
        """A section; `lead` is what it shows, in two or three sentences."""
        lead = f'<p class="lead">{lead}</p>' if lead else ""
        content = (
            f'<section id="{key}"><div class="wrap"><h2><span class="no">{key}</span>'
            f"{title}</h2>{lead}\n{body}</div></section>"
        )
        self.sections.append((key, content))

    def lecture(self, key: str, values: Mapping[str, Any]) -> None:
        """A section of the lecture from its template."""
        name = key.lower()
        template = (FOLDER / f"{name}.html").read_text("utf-8")
        body = fill(template, self.words, values)
        self.add(key, self.words[f"{name}.title"], self.words[f"{name}.lead"], body)

    def stopped(self, key: str, why: str) -> None:
        """A section that could not be shown."""
        said = fill("{{lecture.stopped}}", self.words, {"why": html.escape(why)})
        self.add(key, key, "", f'<div class="warn bad"><p>{said}</p></div>')

    def write(self, path: Path, verdict: str, failed: bool, links: Sequence[str] = ()) -> None:
        """The page as a file; `verdict` says whether all matches, `links` lead to other pages."""
        words = self.words
        verdict = f'<p class="verdict{" failed" if failed else ""}">{html.escape(verdict)}</p>'
        values = {
            "language": words.language, "direction": words.direction,
            "heading": Html(html.escape(self.title)), "first": self.sections[0][0],
            "by": Html(self.by),
            "verdict": Html(verdict),
            "nav": Html("".join(f'<a href="#{key}">{key}</a>' for key, _ in self.sections)),
            "sections": Html("\n".join(content for _, content in self.sections)),
            "steps": Html(self._links(links)),
            "style": Html((FOLDER / "page.css").read_text("utf-8")),
            "script": Html((FOLDER / "page.js").read_text("utf-8")),
        }  # fmt: skip
        page = fill((FOLDER / "shell.html").read_text("utf-8"), words, values)
        write(path, (isolated(page) if words.direction == "rtl" else page).encode())

    def _links(self, files: Sequence[str]) -> str:
        if not files:
            return ""
        items = "".join(f'<li><a href="{f}">{html.escape(Path(f).stem)}</a></li>' for f in files)
        return f"<h2>{self.words['page.steps']}</h2><ul>{items}</ul>"


# --- tables ---------------------------------------------------------------------------------------


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    caption: str = "",
    left: Sequence[int] = (0,),
    marked: Sequence[str] = (),
) -> Html:
    """A table; columns in `left` begin at the left, `marked` has a class for each row."""

    def cells(row: Sequence[str], tag: str) -> str:
        scope, beginning = ' scope="col"' if tag == "th" else "", ' class="l"'
        return "".join(
            f"<{tag}{scope}{beginning if i in left else ''}>{cell}</{tag}>"
            for i, cell in enumerate(row)
        )

    kinds = [*marked, *[""] * 99]
    body = "".join(f'<tr class="{kind}">{cells(row, "td")}</tr>' for row, kind in zip(rows, kinds))
    said = f"<caption>{caption}</caption>" if caption else ""
    return Html(
        f'<div class="scroll" tabindex="0"><table>{said}<thead><tr>{cells(head, "th")}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>"
    )


def matrix(a: Any, digits: int = 4) -> str:
    r"""A matrix in LaTeX, with dots where it is too large to be written out.

    >>> matrix([[1.0, -2.0]], 1)
    '\\mat{1.0&-2.0}'
    """
    a = np.asarray(a, dtype=float)
    if a.ndim == 0:
        return _plain(a, digits)
    a = a.reshape(-1, a.shape[-1])
    few = a[: WHOLE[0], : WHOLE[1]]
    rows = ["&".join(_plain(x, digits) for x in row) for row in few]
    if a.shape[1] > WHOLE[1]:
        rows = [f"{row}&\\dots" for row in rows]
    if a.shape[0] > WHOLE[0]:
        rows.append("\\dots")
    inside = "\\\\".join(rows)
    return f"\\mat{{{inside}}}"


def _plain(x: float, digits: int) -> str:
    return number(float(x), digits).replace("−", "-") if np.isfinite(x) else "\\text{nan}"


def shown(a: Any, digits: int = 6, small: int = 4) -> str:
    """A number as text, a matrix as a formula."""
    return number(float(a), digits) if np.ndim(a) == 0 else math(matrix(a, small))


def judged(words: Words, lines: Sequence[Any], caption: str = "", brief: bool = False) -> Html:
    """Lines in three ways: by hand, automatic, central difference, and whether they agree.

    `brief`: of a right line its name only, where matrices need the room.
    """
    numerical = any(line.central is not None for line in lines)
    keys = ("rule", "hand", "automatic", *(["central"] if numerical else []), "gap")
    head = [words[f"ways.{key}"] for key in keys]
    rows = [
        (
            _name(line.rule) if brief else line.rule,
            *("—" if number is None else shown(number) for number in line.numbers(numerical)),
            "—" if line.gap is None else scientific(line.gap),
            '<span class="ok">✓</span>' if line.right else '<span class="no-">✗</span>',
        )
        for line in lines
    ]  # fmt: skip
    marked = ["" if line.right else "bad" for line in lines]
    return table([*head, ""], rows, caption, marked=marked)


def _name(rule: str) -> str:
    """The left side of a rule, if it is a formula."""
    left, equals, _ = rule.partition("<mo>=</mo>")
    return f"{left}</math>" if equals else rule


def without_namespace(element: str) -> str:
    """A ``math`` element as a page needs it."""
    return re.sub(r' xmlns="[^"]*"', "", element)


def explained(words: Words, rules: Iterable[Any]) -> Html:
    """Why each rule is so."""
    return Html("".join(rule.explanation.to_html(words.language) for rule in rules))
