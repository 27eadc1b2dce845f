"""What the sections write on: headings, tables, pictures, and what does not match."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

import tinygrad_edu as tg
from tinygrad_edu.drawing import draw

TOLERANCE = 1e-9  # by hand and automatic differ by rounding only


class Report:
    """Sections written to a terminal; their pictures to a folder, where one is given.

    `failures` names every row that should match and does not.
    """

    def __init__(self, console: Console, out: Path | None = None) -> None:
        self.console = console
        self.out = out
        self.failures: list[str] = []
        self._section = ""
        self._pictures: list[tuple[Path, Any]] = []

    def section(self, key: str, title: str, says: str) -> None:
        """Begin a section: its heading and what it shows."""
        self._section = key
        self.console.print()
        self.console.rule(f"[bold]{key}  {title}", align="left")
        self.say(says)

    def say(self, text: str) -> None:
        """A line of text."""
        self.console.print(text, markup=False, highlight=False)

    def fail(self, row: str) -> None:
        """Note that a row should match and does not."""
        self.failures.append(f"{self._section} {row}")

    def table(self, title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
        """A plain table; numbers are written with six digits."""
        table = Table(title=title, title_justify="left")
        for i, column in enumerate(columns):
            table.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
        for row in rows:
            table.add_row(*map(_cell, row))
        self.console.print(table)

    def agree(
        self, title: str, rows: Iterable[tuple[str, Any, Any]], hand: str = "by hand",
        tolerance: float = TOLERANCE,
    ) -> None:  # fmt: skip
        """A table of (name, by hand, automatic): each pair must be equal up to rounding."""
        lines = []
        for name, by_hand, automatic in rows:
            error = difference(by_hand, automatic)
            right = error <= tolerance
            if not right:
                self.fail(name)
            lines.append((name, by_hand, automatic, f"{error:.1e}", verdict(right)))
        self.table(title, ("", hand, "automatic", "difference", "verdict"), lines)

    def compare(
        self, title: str, cost: tg.Value, manual: dict[str, Any], convention: str = "lecture",
        wrong: tuple[str, ...] = (), only: tuple[str, ...] | None = None,
    ) -> None:  # fmt: skip
        """The lecture's formulas beside automatic and central differences.

        `wrong` names the rows that are known not to match: if one does, that is a failure too.
        `only` leaves rows out that another table has shown.
        """
        comparison = tg.compare(cost, manual, convention=convention)
        rows = [row for row in comparison.rows if only is None or row.name in only]
        self.say(f"\n{title}")
        self.console.print(dataclasses.replace(comparison, rows=rows))
        for row in rows:
            if (row.verdict in ("correct", "kink")) == (row.name in wrong):
                self.fail(f"{title}: {row.name}")

    def check(self, what: str, holds: bool) -> None:
        """A fact that should hold."""
        if not holds:
            self.fail(what)
        says = "[green]holds[/]" if holds else "[red]does not hold[/]"
        self.console.print(f"{what}: {says}", highlight=False)

    def picture(self, name: str, cost: tg.Value) -> None:
        """The graph of `cost` with its gradients of this moment, for the folder."""
        if self.out is not None:
            self._pictures.append((self.out / f"{self._section}_{name}.svg", draw(cost)))

    def write_pictures(self) -> None:
        """Write the section's pictures; raises GradError or OSError where that cannot be done."""
        for path, picture in self._pictures:
            picture.render(outfile=path)
            self.say(f"picture: {path}")
        self._pictures.clear()

    def end(self, sections: Sequence[str]) -> None:
        """The last lines: what does not match, or that all does."""
        self.console.print()
        if not self.failures:
            self.say(f"{', '.join(sections)}: all that should match does.")
            return
        self.say(f"{len(self.failures)} rows that should match do not:")
        for row in self.failures:
            self.say(f"  {row}")

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


def _cell(x: Any) -> str:
    if isinstance(x, (bool, str)):
        return str(x)
    if np.ndim(x):
        return f"array {np.shape(x)}"
    return f"{x:d}" if isinstance(x, (int, np.integer)) else f"{x:.6g}"
