"""Several sheets judged: one after the other, and at a glance."""

from __future__ import annotations

import errno
import html
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinygrad_edu.checking import table
from tinygrad_edu.checking.conventions import CONVENTIONS
from tinygrad_edu.checking.table import STYLES, Row
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.signature import checked
from tinygrad_edu.diagnosis.registry import MISTAKES
from tinygrad_edu.reports.page import page
from tinygrad_edu.reports.report import SheetReport, check_sheet
from tinygrad_edu.sheets.syntax import SheetError
from tinygrad_edu.words import Words, say

#: Of claims, in the page of a class.
MOST_COLUMNS = 60
#: Opens the sheet that a link of the summary leads to.
_OPEN = "const o=()=>{const d=document.getElementById(location.hash.slice(1));if(d)d.open=true};"
_OPEN += "addEventListener('hashchange',o);o()"


@dataclass(frozen=True, repr=False)
class Batch:
    """Several sheets judged: `reports` in the order given, a summary as ``str``."""

    reports: list[SheetReport]

    @property
    def ok(self) -> bool:
        """Is every sheet readable and right?"""
        return all(report.ok for report in self.reports)

    @property
    def exit_code(self) -> int:
        """0 all right, 1 some line wrong, 2 some sheet unreadable."""
        if any(report.error is not None for report in self.reports):
            return 2
        return 0 if self.ok else 1

    def to_json(self) -> list[dict[str, Any]]:
        """One object per sheet."""
        return [report.to_json() for report in self.reports]

    def to_html(self, pictures: Sequence[str] = (), language: str = "en") -> str:
        """One self-contained page: of several sheets a summary first, and each to be opened.

        `pictures`: an SVG for each, as text, or none. `language`: "en" or "fa".
        """
        words = Words(language)
        sections = [
            report.section(svg, words, f"graph{i}")
            for i, (report, svg) in enumerate(
                zip(self.reports, pictures or [""] * len(self.reports), strict=True)
            )
        ]
        if len(sections) == 1:
            return page(self.reports[0].titled(words), sections[0], words)
        title = words.said("report.sheets", {"n": len(sections)})
        return page(title, _summary(self.reports, sections, words), words)

    @property
    def _rows(self) -> list[Row]:
        return [row for report in self.reports for row in report.rows]

    def __rich__(self) -> Any:
        return self.shown(table.ENGLISH)

    def shown(self, words: Words) -> Any:
        """The summary, for `rich` to print, in a language."""
        from rich.table import Table
        from rich.text import Text

        marked = any(report.points for report in self.reports)
        verdicts = ("follows", "wrong", *(["missing"] if marked else []))
        summary = Table(title=words["summary.title"], title_justify="left", title_style="bold")
        summary.add_column(words["summary.sheet"])
        for key in ("summary.right", *(f"verdict.{v}" for v in verdicts)):
            summary.add_column(words[key], justify="right")
        if marked:
            summary.add_column(words["column.points"], justify="right")
        summary.add_column(words["summary.mistakes"])
        for report in self.reports:
            rows, points = report.rows, report.points
            asked = [row for row in rows if row.points] if marked else rows
            counts = ["" if report.error else str(sum(row.ok for row in asked))]
            counts += ["" if report.error else str(_count(asked, v)) for v in verdicts]
            if marked:
                counts.append("" if points is None else "{:g}/{:g}".format(*points))
            said = [f"{r.name}: {r.diagnosis.mistake}" for r in rows if r.diagnosis]
            mistakes = (
                Text(words["report.unread"], "red") if report.error else Text(", ".join(said))
            )
            summary.add_row(Text(report.sheet), *counts, mistakes)
        return summary

    def __repr__(self) -> str:
        sheets = f"{len(self.reports)} sheet{'s' * (len(self.reports) != 1)}"
        unread = sum(report.error is not None for report in self.reports)
        said = [
            sheets,
            table.counted(self._rows),
            *([f"{unread} not judged"] if unread else []),
        ]
        return f"<Batch of {'; '.join(said)}>"

    def _repr_html_(self) -> str:
        return "".join(report._repr_html_() for report in self.reports)

    def __str__(self) -> str:
        return table.text_of(self, width=140)


@checked
def check_sheets(
    paths: Iterable[str | os.PathLike[str]],
    data: str | Path | Mapping[str, Any] | None = None,
    convention: str = "auto",
    m: int | None = None,
) -> Batch:
    """Judge several sheets; one that cannot be read is reported with its error.

    Standard input, "-", can be read once: named again it is an error of its own.
    """
    if convention not in CONVENTIONS:
        raise GradError(f"convention is 'auto', 'lecture' or 'calculus', not {convention!r}")
    reports: list[SheetReport] = []
    named: set[str] = set()
    for path in paths:
        try:
            if str(path) == "-" and "-" in named:
                raise SheetError(say("error.read_once"))
            named.add(str(path))
            reports.append(check_sheet(path, data, convention, m))
        except SheetError as error:
            place = (error.line, error.column)
            reports.append(SheetReport(str(path), error=error.said, place=place))
        except FileNotFoundError as error:
            reports.append(SheetReport(str(path), error=missing(error)))
        except (GradError, OSError) as error:
            reports.append(SheetReport(str(path), error=str(error)))
        except Exception as error:  # whatever goes wrong in one sheet, the others are judged
            why = say("error.not_judged", why=f"{type(error).__name__}: {error}")
            reports.append(SheetReport(str(path), error=why))
    return Batch(reports)


def missing(error: FileNotFoundError) -> str:
    """What is said of a file that is not there."""
    if error.errno != errno.ENOENT or error.filename2 is not None:
        return str(error)
    return say("error.file_missing", file=repr(error.filename))


def _count(rows: Sequence[Row], verdict: str) -> int:
    return sum(row.verdict == verdict for row in rows)


def _summary(reports: Sequence[SheetReport], sections: Sequence[str], words: Words) -> str:
    """Several sheets at a glance, a line and a column for each claim; each sheet to be opened."""
    claims = list(dict.fromkeys(row.claim for report in reports for row in report.rows))
    claims = claims[:MOST_COLUMNS]
    marked = any(report.points for report in reports)
    head = ["", *([words["column.points"]] if marked else []), *claims]
    lines, folded = [], []
    for i, (report, section) in enumerate(zip(reports, sections), 1):
        name = html.escape(report.sheet)
        points = "" if report.points is None else "{:g}/{:g}".format(*report.points)
        cells = [f'<td><a href="#sheet{i}">{name}</a></td>']
        cells += [f'<td class="number">{points}</td>'] if marked else []
        here = {row.claim: row for row in report.rows}
        if report.error is None:
            cells += [_cell(here.get(claim), words) for claim in claims]
        else:
            unread = words["report.unread"]
            cells.append(f'<td class="unread v" colspan="{len(claims)}">{unread}</td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
        folded.append(
            f'<details id="sheet{i}"><summary>{name} {points}</summary>{section}</details>'
        )
    columns = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    return (
        f"<h1>{words.said('report.sheets', {'n': len(reports)})}</h1>"
        f'<div class="class"><table class="class"><tr>{columns}</tr>{"".join(lines)}</table></div>'
        f"{_often(reports, words)}<h2>{words['summary.each']}</h2>{''.join(folded)}"
        f"<script>{_OPEN}</script>"
    )


def _cell(row: Row | None, words: Words) -> str:
    if row is None:
        return "<td></td>"
    verdict = "unread" if row.error else row.verdict
    said = words[f"verdict.{row.verdict}"]
    what = html.escape(row.diagnosis.mistake if row.diagnosis else row.error or row.verdict)
    return f'<td class="{verdict} v" title="{what}">{STYLES[row.verdict][0]} {said}</td>'


def _often(reports: Sequence[SheetReport], words: Words) -> str:
    """The mistakes that were made, the most frequent first."""
    rows = [row for report in reports for row in report.rows]
    made = Counter((row.claim, row.diagnosis.mistake) for row in rows if row.diagnosis)
    if not made:
        return ""
    meaning = {mistake.name: words.says(mistake.said) for mistake in MISTAKES}
    items = "".join(
        f"<li>{count} × <b>{html.escape(claim)}</b>: {html.escape(meaning[mistake])} "
        f"(<code>{html.escape(mistake)}</code>)</li>"
        for (claim, mistake), count in made.most_common(10)
    )
    return f"<h2>{words['summary.often']}</h2><ol>{items}</ol>"
