"""What the sections write on: headings, tables, pictures, and what does not match."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

import tinygrad_edu as tg
from tinygrad_edu.core.plain import printable
from tinygrad_edu.drawing import draw, step_through
from tinygrad_edu.drawing.renderer import write as write_file
from tinygrad_edu.nn import decision_boundary, line_chart

SHEETS = Path(__file__).parent / "sheets"
TOLERANCE = 1e-9  # by hand and automatic differ by rounding only

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>The lecture, section by section</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto }}
pre {{ font: 13px/1.25 ui-monospace, "DejaVu Sans Mono", monospace; overflow-x: auto }}
figure {{ margin: 1.5rem 0 }}
figcaption, summary {{ color: #555 }}
img {{ max-width: 100%; max-height: 45rem }}
iframe {{ width: 100%; height: 45rem; border: 1px solid #ccc }}
</style>
<h1>The lecture, section by section</h1>
<p>{links}</p>
<p><strong>{verdict}</strong></p>
{sections}
</html>
"""


class Report:
    """Sections written to a terminal and, where a folder is given, to a page with pictures.

    The page holds its pictures; they are in the folder as files as well.

    `failures` names every row that should match and does not.
    """

    def __init__(self, console: Console, out: Path | None = None) -> None:
        self.console = console
        self.out = out
        self.failures: list[str] = []
        self._key = ""
        self._graphs: list[tuple[str, Callable[[Path], Any]]] = []
        self._plots: list[tuple[str, Callable[[Path], Any]]] = []
        self._left_out: dict[str, list[str]] = {}  # why, and which pictures
        self._page: list[str] = []
        self._copy = _recorder()

    def _print(self, *what: Any, **options: Any) -> None:
        self.console.print(*what, **options)
        if self.out is not None:
            self._copy.print(*what, **options)

    # --- a section -----------------------------------------------------------------------------

    def begin(self, key: str, title: str, says: str) -> None:
        """Begin a section: its heading and what it shows."""
        self._key = key
        self.console.print()
        self.console.rule(f"[bold]{key}  {title}", align="left")
        self.console.print(says, markup=False, highlight=False)
        self._page.append(f'<h2 id="{key}">{key} {escape(title)}</h2>\n<p>{escape(says)}</p>')

    def end(self) -> None:
        """Write the section's pictures. Raises GradError or OSError where that cannot be done.

        Plots without matplotlib, or of nothing finite, are left out; `close` says so.
        """
        if self.out is None:
            return
        figures = []
        for name, write in (*self._graphs, *self._plots):
            file = f"{self._key}_{name}"
            try:
                write(self.out / file)
            except (ImportError, tg.GradError) as error:
                if (name, write) not in self._plots:
                    raise
                self._left_out.setdefault(str(error), []).append(file)
                continue
            self.console.print(f"picture: {self.out / file}", markup=False, highlight=False)
            figures.append(_figure(self.out / file))
        self._graphs.clear()
        self._plots.clear()
        text = self._copy.export_html(code_format="<pre>{code}</pre>", inline_styles=True)
        self._page += [text, *figures]

    def close(self, sections: Sequence[str]) -> None:
        """The last lines, what does not match or that all does; and the page."""
        self.console.print()
        if self.failures:
            self.say(f"{len(self.failures)} rows that should match do not:")
            for row in self.failures:
                self.say(f"  {row}")
        else:
            self.say(f"{', '.join(sections)}: all that should match does.")
        for why, files in self._left_out.items():
            self.say(f"Left out: {', '.join(files)}: {why}")
        if self.out is not None:
            verdict = escape(self._copy.export_text().strip()).replace("\n", "<br>")
            links = " ".join(f'<a href="#{key}">{key}</a>' for key in sections)
            page = PAGE.format(links=links, verdict=verdict, sections="\n".join(self._page))
            write_file(self.out / "index.html", page.encode())
            self.console.print(f"page: {self.out / 'index.html'}", markup=False, highlight=False)

    # --- what a section writes -----------------------------------------------------------------

    def say(self, text: str) -> None:
        """A line of text."""
        self._print(text, markup=False, highlight=False)

    def fail(self, row: str) -> None:
        """Note that a row should match and does not."""
        self.failures.append(f"{self._key} {row}")

    def table(self, title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
        """A table; numbers are written with six digits."""
        self.say(f"\n{title}")
        table = Table(*columns)
        for row in rows:
            table.add_row(*map(_cell, row))
        self._print(table)

    def agree(
        self, title: str, rows: Iterable[tuple[str, Any, Any]], tolerance: float = TOLERANCE
    ) -> None:
        """A table of (name, by hand, automatic): each pair must be equal up to rounding."""
        lines = []
        for name, by_hand, automatic in rows:
            error = difference(by_hand, automatic)
            right = error <= tolerance
            if not right:
                self.fail(name)
            lines.append((name, by_hand, automatic, f"{error:.1e}", verdict(right)))
        self.table(title, ("", "by hand", "automatic", "difference", "verdict"), lines)

    def check(self, what: str, holds: bool) -> None:
        """A fact that should hold."""
        if not holds:
            self.fail(what)
        says = "[green]holds[/]" if holds else "[red]does not hold[/]"
        self._print(f"{what}: {says}", highlight=False)

    def sheet(
        self, name: str, title: str, convention: str = "auto", wrong: tuple[str, ...] = (),
        picture: bool = True,
    ) -> tg.SheetReport:  # fmt: skip
        """The lecture's lines of a sheet: judged, and beside the lines derived from the graph.

        `wrong` names the lines that are known not to match: if one does, that is a failure too.
        """
        sheet = tg.load_sheet(SHEETS / f"{name}.sheet")
        sheet.name = name
        result = tg.check_sheet(sheet, convention=convention)
        self.say(f"\n{title}")
        self._print(result)
        for row in result.rows:
            if (row.verdict in ("correct", "kink")) == (row.name in wrong):
                self.fail(f"{title}: {row.name}")
        wanted = list(dict.fromkeys(row.of for row in result.rows))
        derived = sheet.derive(wanted, str(result.convention))
        self.table(
            "the lecture's lines, and those derived from the graph",
            ("lecture", "derived"),
            [(row.formula, str(derived[str(row.of)])) for row in result.rows],
        )
        if picture:
            sheet.cost.backward()
            self.picture(name.partition("_")[2] or "network", sheet.cost)
        return result

    def derived(self, cost: tg.Value) -> None:
        """The rules of a graph, derived from it."""
        self.say("\nthe rules behind these numbers, derived from the graph:")
        self.say(str(tg.derive(cost)))

    def picture(self, name: str, cost: tg.Value) -> None:
        """The graph of `cost`, with the gradients of now, and the page to step through it."""
        if self.out is not None:
            drawn, steps = draw(cost), step_through(cost)
            self._graphs.append((f"{name}.svg", lambda path: drawn.render(outfile=path)))
            self._graphs.append(
                (f"{name}.html", lambda path: write_file(path, steps.html().encode()))
            )

    def curves(self, name: str, curves: Mapping[str, Sequence[float]], **options: Any) -> None:
        """Curves as a picture; `options` as for `tinygrad_edu.nn.line_chart`."""
        self._plots.append((f"{name}.svg", lambda path: line_chart(path, curves, **options)))

    def boundary(self, name: str, f: Callable[[Any], Any], X: Any, Y: Any, **options: Any) -> None:
        """A decision boundary as a picture; the rest as for `tinygrad_edu.nn.decision_boundary`."""
        self._plots.append(
            (f"{name}.svg", lambda path: decision_boundary(path, f, X, Y, **options))
        )

    def progress(self) -> Progress:
        """A progress bar, for a loop that takes seconds."""
        return Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("cost {task.fields[cost]:.4f}"), console=self.console,
        )  # fmt: skip


def _recorder() -> Console:
    return Console(record=True, file=io.StringIO(), width=110, force_terminal=True)


def _figure(path: Path) -> str:
    """A picture, or a page to step through, as a part of another page."""
    if path.suffix == ".html":
        page = escape(path.read_text("utf-8"))
        return (
            "<details><summary>the same, step by step: forward, then backward "
            f'({path.name})</summary>\n<iframe loading="lazy" title="{path.stem}, step by step" '
            f'srcdoc="{page}"></iframe></details>'
        )
    content = base64.b64encode(path.read_bytes()).decode()
    return (
        f'<figure><img src="data:image/svg+xml;base64,{content}" alt="{path.stem}">'
        f"<figcaption>{path.name}</figcaption></figure>"
    )


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
        return printable(str(x))
    if np.ndim(x):
        return f"array {np.shape(x)}"
    return f"{x:d}" if isinstance(x, (int, np.integer)) else f"{x:.6g}"
