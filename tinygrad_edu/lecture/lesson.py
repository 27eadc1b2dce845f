"""A lecture of one's own: a folder of sheets and a few words, shown as the package's nine are.

The folder's ``lesson.toml``::

    title = "Batch normalisation"
    by = "Who holds it, and where"

    [[section]]
    title = "Over a batch"
    lead = "What it shows, in two or three sentences."
    sheet = "batchnorm.sheet"   # judged, derived and explained
    convention = "lecture"      # or "calculus"; chosen where it is left out
    wrong = ["slide"]           # lines that are to be found wrong, and explained
    text = "More to say."

A section without a sheet has its words alone. In the words ``$x^2$`` is a formula.
"""

from __future__ import annotations

import html
import re
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

import tinygrad_edu as tg
from tinygrad_edu.checking.conventions import CONVENTIONS
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.drawing.plots import Html
from tinygrad_edu.lecture import lesson_page
from tinygrad_edu.lecture.lesson_page import LessonPage
from tinygrad_edu.lecture.report import Report
from tinygrad_edu.lecture.template import FOLDER, fill
from tinygrad_edu.lecture.tex import math
from tinygrad_edu.lecture.ways import rules_of
from tinygrad_edu.words import Words, preferred

FILE = "lesson.toml"
_TEXTS = ("title", "lead", "sheet", "convention", "text")


def show(
    folder: Path, out: Path | None = None, console: Console | None = None,
    language: str | None = None,
) -> list[str]:  # fmt: skip
    """Show the lesson of a folder; with `out`, its page too.

    Returns the rows that should match and do not: none when all is well. Raises GradError for a
    folder that is not a lesson, OSError for a file that cannot be read.
    """
    lesson = _read(folder / FILE)
    words, page = Words(language or preferred()), None
    if out is not None:
        page = LessonPage(words, lesson.get("title", folder.name), _said(lesson.get("by", "")))
    return Report(console, out, words, page).hold(
        [
            (f"S{n}", given["title"], given.get("lead", ""), partial(_section, folder, given))
            for n, given in enumerate(lesson["section"], start=1)
        ]
    )


def _section(folder: Path, section: dict[str, Any], report: Report) -> None:
    title, lead = _said(section["title"]), _said(section.get("lead", ""))
    text = f"<p>{_said(section['text'])}</p>" if section.get("text") else ""
    if "sheet" not in section:
        if report.page is not None:
            report.page.add(report.key, title, lead, text)
        return
    sheet = tg.load_sheet(folder / section["sheet"])
    sheet.name = Path(section["sheet"]).stem
    wrong = tuple(section.get("wrong", ()))
    convention = section.get("convention", "auto")
    result, lines = report.judged(sheet, section["title"], convention, wrong)
    if report.page is None:
        return
    names = list(dict.fromkeys(line.of for line in lines if line.of))
    rules = rules_of(sheet, names, str(result.convention)).values()
    formulas = (f"<div>{lesson_page.without_namespace(rule.mathml)}</div>" for rule in rules)
    scale = report.words.said(
        f"lesson.{result.convention}", {"m": result.m, "cost": sheet.cost_name}
    )
    said = report.words.said("lesson.scale", {"scale": scale})
    values = {
        "text": Html(text),
        "forward": Html(html.escape("\n".join(s.text for s in sheet.forward))),
        "rules": Html("".join(formulas)),
        "ways": lesson_page.judged(report.words, lines, said),
        "diagnoses": Html("".join(_diagnosis(report.words, row) for row in result.rows)),
        "explained": lesson_page.explained(report.words, rules),
    }
    body = fill((FOLDER / "sheet.html").read_text("utf-8"), report.words, values)
    report.page.add(report.key, title, lead, body)
    sheet.cost.backward()
    report.picture(sheet.name, sheet.cost, str(result.convention))


def _diagnosis(words: Words, row: Any) -> str:
    if row.diagnosis is None:
        return ""
    line, why = (
        html.escape(row.formula or row.name),
        html.escape(words.says(row.diagnosis.explanation)),
    )
    correct = html.escape(row.diagnosis.correction or "—")
    return (
        f'<div class="warn"><p><code>{line}</code></p><p>{why}</p>'
        f"<p>{words['lesson.correct']} <code>{correct}</code></p></div>"
    )


def _said(text: str) -> Html:
    """Plain words, with formulas between dollars."""
    return Html(
        re.sub(r"\$([^$]+)\$", lambda found: math(html.unescape(found[1])), html.escape(text))
    )


def _read(file: Path) -> dict[str, Any]:
    """The lesson's table of contents, checked."""
    try:
        lesson = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise GradError(f"{file.parent} has no {FILE}: it names the sections and sheets") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GradError(f"{file}: {error}") from None
    sections = lesson.get("section")
    if not isinstance(sections, list) or not sections:
        raise GradError(f"{file} has no [[section]]")
    for number, section in enumerate(sections, start=1):
        _checked(f"{file}, section {number}", section)
    return lesson


def _checked(where: str, section: dict[str, Any]) -> None:
    unknown = set(section) - {*_TEXTS, "wrong"}
    if unknown:
        known = ", ".join((*_TEXTS, "wrong"))
        raise GradError(f"{where}: {', '.join(sorted(unknown))} is not among {known}")
    if "title" not in section:
        raise GradError(f"{where} has no title")
    for key in _TEXTS:
        if not isinstance(section.get(key, ""), str):
            raise GradError(f"{where}: {key} must be a text")
    if section.get("convention", "auto") not in ("auto", *CONVENTIONS):
        raise GradError(f"{where}: convention is lecture or calculus")
