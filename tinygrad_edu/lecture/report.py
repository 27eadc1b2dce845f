"""What the sections write on: a terminal, the lesson page, and what does not match."""

from __future__ import annotations

import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

import tinygrad_edu as tg
from tinygrad_edu.core.plain import printable
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.drawing import step_through
from tinygrad_edu.drawing.page import StepThrough
from tinygrad_edu.drawing.plots import Html
from tinygrad_edu.drawing.renderer import write
from tinygrad_edu.lecture.lesson_page import LessonPage
from tinygrad_edu.lecture.ways import Line, lines_of, rules_of
from tinygrad_edu.words import Words

SHEETS = Path(__file__).parent / "sheets"
TOLERANCE = 1e-9  # by hand and automatic differ by rounding only


#: Of a lesson: the key, the title, what is said first, and the function that shows it.
Section = tuple[str, str, str, Callable[["Report"], None]]


class Report:
    """Sections written to a terminal and, where a folder is given, to a page.

    `failures` names every row that should match and does not; `page` is None without a folder.
    """

    def __init__(
        self, console: Console | None = None, out: Path | None = None, words: Words | None = None,
        page: LessonPage | None = None,
    ) -> None:  # fmt: skip
        self.console = console or terminal()
        if out is not None:
            writable(out)
        self.out = out
        self.words = words or Words("en")
        self.page = page or (None if out is None else LessonPage(self.words))
        self.failures: list[str] = []
        self.key = ""
        self._steps: dict[str, StepThrough] = {}

    # --- a section -----------------------------------------------------------------------------

    def hold(self, sections: Sequence[Section]) -> list[str]:
        """Show the sections one after another, and write the page; returns what does not match."""
        for key, title, lead, section in sections:
            self.begin(key, title, lead)
            try:
                section(self)
            except (GradError, AssertionError) as error:  # so wrong that nothing can be shown
                self.stops(error)
        self.close([key for key, *_ in sections])
        return self.failures

    def begin(self, key: str, title: str, says: str) -> None:
        """Begin a section: its heading and what it shows."""
        self.key = key
        self.console.print()
        self.console.rule(f"[bold]{key}  {title}", align="left")
        if says:
            self.console.print(says, markup=False, highlight=False)

    def show(self, values: Mapping[str, Any]) -> None:
        """The section's part of the page, made of its template and these values."""
        if self.page is not None:
            self.page.lecture(self.key, values)

    def stops(self, error: Exception) -> None:
        """Say that a section cannot be shown."""
        self.fail(f"stops: {error}")
        self.say(f"stops: {error}")
        if self.page is not None:
            self.page.stopped(self.key, str(error))

    def close(self, sections: Sequence[str]) -> None:
        """The last lines, what does not match or that all does; and the page."""
        self.console.print()
        if self.failures:
            verdict = f"{len(self.failures)} rows that should match do not:"
            self.say("\n".join([verdict, *(f"  {row}" for row in self.failures)]))
            verdict = f"{verdict} {'; '.join(self.failures)}"
        else:
            verdict = self.words.said("page.matches", {"sections": ", ".join(sections)})
            self.say(f"{', '.join(sections)}: all that should match does.")
        if self.out is not None and self.page is not None:
            for file, steps in self._steps.items():
                write(self.out / file, steps.html().encode())
            self.page.write(
                self.out / "index.html", verdict, bool(self.failures), list(self._steps)
            )
            self.say(f"page: {self.out / 'index.html'}")

    # --- what a section writes -----------------------------------------------------------------

    def say(self, text: str) -> None:
        """Lines of text."""
        self.console.print(text, markup=False, highlight=False)

    def fail(self, row: str) -> None:
        """Note that a row should match and does not."""
        self.failures.append(f"{self.key} {row}")

    def table(self, title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
        """A table; numbers are written with six digits, of an array its first one."""
        self.say(f"\n{title}")
        table = Table(*columns, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for row in rows:
            table.add_row(*map(_cell, row))
        self.console.print(table)

    def agree(
        self, title: str, rows: Iterable[tuple[str, Any, Any]], tolerance: float = TOLERANCE,
        brief: bool = False,
    ) -> list[Line]:  # fmt: skip
        """A table of (name, by hand, automatic): each pair must be equal up to rounding.

        `brief`: one line instead of a table where all are.
        """
        cells, lines = [], []
        for name, by_hand, automatic in rows:
            error = difference(by_hand, automatic)
            right = error <= tolerance
            if not right:
                self.fail(name)
            cells.append((name, by_hand, automatic, f"{error:.1e}", verdict(right)))
            lines.append(
                Line(name, name, name, Html(self.words.says(name)), by_hand, automatic, None, right)
            )
        if brief and all(line.right for line in lines):
            self.say(f"{title}: {'; '.join(line.text for line in lines)}: all match.")
        else:
            self.table(title, ("", "by hand", "automatic", "difference", "verdict"), cells)
        return lines

    def check(self, what: str, holds: bool) -> None:
        """A fact that should hold."""
        if not holds:
            self.fail(what)
        says = "[green]holds[/]" if holds else "[red]does not hold[/]"
        self.console.print(f"{what}: {says}", highlight=False)

    def sheet(
        self, name: str, title: str, convention: str = "auto", wrong: tuple[str, ...] = (),
        numbers: Mapping[str, Any] | None = None, brief: bool = False,
    ) -> tuple[tg.SheetReport, list[Line]]:  # fmt: skip
        """The lecture's lines of a sheet in three ways.

        `wrong` names the lines that are known not to match: if one does, that is a failure too.
        `brief`: one line instead of a table where all match. `numbers`: for what is given.
        """
        sheet = tg.load_sheet(SHEETS / f"{name}.sheet", numbers)
        sheet.name = name
        return self.judged(sheet, title, convention, wrong, brief)

    def judged(
        self, sheet: Any, title: str, convention: str = "auto", wrong: tuple[str, ...] = (),
        brief: bool = False,
    ) -> tuple[tg.SheetReport, list[Line]]:  # fmt: skip
        """The same for a sheet that is read already."""
        result = tg.check_sheet(sheet, convention=convention)
        for row in result.rows:
            if row.ok == (row.name in wrong):
                self.fail(f"{title}: {row.name}")
        names = list(dict.fromkeys(str(row.of) for row in result.rows if row.of))
        lines = lines_of(result, rules_of(sheet, names, str(result.convention)))
        if brief and result.ok:
            self.say(f"{title}: {', '.join(row.name for row in result.rows)} all match.")
        else:
            self._lines(f"{title} ({result.title.partition(': ')[2]})", lines)
            self._diagnoses(result)
        return result, lines

    def _lines(self, title: str, lines: Sequence[Line]) -> None:
        rows = [
            (line.text, *((line.hand, line.automatic, line.central)), _mark(line.right))
            for line in lines
        ]
        self.table(title, ("rule", "by hand", "automatic", "central", ""), rows)

    def _diagnoses(self, result: tg.SheetReport) -> None:
        for row in result.rows:
            if row.diagnosis is not None:
                self.say(f"{row.name}: {row.verdict}. {row.diagnosis.explanation}")
                self.say(f"    correct: {row.diagnosis.correction or '—'}")
            elif row.note and not row.ok:
                self.say(f"{row.name}: {row.verdict}. {row.note}")

    def derived(self, cost: tg.Value) -> None:
        """The rules of a graph, derived from it."""
        self.say("\nthe rules behind these numbers, derived from the graph:")
        self.say(textwrap.dedent(str(tg.derive(cost))))

    def picture(self, name: str, cost: tg.Value, convention: str = "calculus") -> None:
        """A page beside the lesson that goes through a graph step by step, its gradients in the
        scale of the section's table."""
        if self.out is not None:
            self._steps[f"{self.key}_{name}.html"] = step_through(
                cost, convention=convention, language=self.words.language
            )

    def progress(self) -> Progress:
        """A progress bar, for a loop that takes seconds."""
        return Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("cost {task.fields[cost]:.4f}"), console=self.console,
        )  # fmt: skip


def difference(x: Any, y: Any) -> float:
    """The largest difference as a share of the largest x; infinite for another shape or nan.

    >>> difference(200.0, 201.0)
    0.005
    """
    if np.shape(x) != np.shape(y):
        return float("inf")
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    error = float(np.max(np.abs(x - y), initial=0.0))
    size = float(np.max(np.abs(x), initial=0.0))
    return float("inf") if np.isnan(error) else error / (size or 1.0)


def verdict(right: bool) -> str:
    """How a table says it."""
    return "[green]matches[/]" if right else "[red]does not match[/]"


def _mark(right: bool) -> str:
    return "[green]✓[/]" if right else "[red]✗[/]"


def _cell(x: Any) -> str:
    if x is None:
        return "—"
    if isinstance(x, (bool, str)):
        return printable(str(x))
    if np.ndim(x):
        flat = np.ravel(x)
        return f"{flat[0]:.5g}{' …' if flat.size > 1 else ''}" if flat.size else "—"
    return f"{x:d}" if isinstance(x, (int, np.integer)) else f"{x:.6g}"


def terminal() -> Console:
    """Standard output; 80 columns where it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else 80)


def writable(folder: Path) -> None:
    """Make the folder; find out before the work is done whether it can be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise GradError(f"cannot write to the folder {folder}: {error.strerror}") from None
