"""One judged quantity, and tables of them: for a terminal, a notebook, a program."""

from __future__ import annotations

import html
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_edu.core.plain import printable
from tinygrad_edu.words import Words
from tinygrad_edu.words.bidi import marked_up

Shape = tuple[int, ...]

#: How each verdict looks; those of the first three leave a derivation all right.
STYLES = {
    "correct": ("✓", "green", "#1a7f37"),
    "kink": ("∧", "yellow", "#9a6700"),
    "unchecked": ("–", "bright_black", "#6e7781"),
    "follows": ("↳", "cyan", "#0969da"),
    "wrong": ("✗", "bold red", "#cf222e"),
    "missing": ("∅", "bold red", "#cf222e"),
}


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a line: the class of mistake, a sentence or two, the line corrected."""

    mistake: str
    explanation: str
    correction: str | None


@dataclass(frozen=True, repr=False)
class Row:
    """One claim judged; or a line that could not be read, with its `error`.

    `max_error` and `numerical_error` are the largest differences from the automatic gradient and
    from the central difference, entry by entry, as shares of the true number or, where it is small
    beside them, of the terms it was added up from; None where the shapes differ.
    """

    name: str
    of: str | None
    verdict: str
    shape: Shape | None
    expected_shape: Shape | None
    max_error: float | None = None
    numerical_error: float | None = None
    note: str | None = None
    formula: str | None = None
    line: int | None = None
    diagnosis: Diagnosis | None = None
    error: str | None = None
    other_scale: bool = False  # than its table's, as the note says
    points: tuple[float, float] | None = None  # earned and possible, in an assignment

    @property
    def claim(self) -> str:
        """What is claimed, the same under whatever name: ``dZ1``."""
        return f"d{self.of}" if self.of else self.name

    @property
    def ok(self) -> bool:
        """Nothing about this line has to be changed."""
        return self.error is None and self.verdict in ("correct", "kink", "unchecked")

    def __repr__(self) -> str:
        where = f" (line {self.line})" if self.line else ""
        mistake = f", {self.diagnosis.mistake}" if self.diagnosis else ""
        return f"<Row {self.formula or self.name}{where}: {self.verdict}{mistake}>"

    def to_json(self) -> dict[str, Any]:
        """The row as plain JSON values; nan and infinity as None."""
        d = self.diagnosis
        marks = {} if self.points is None else dict(zip(("points", "max_points"), self.points))
        return {
            "name": self.name,
            "of": self.of,
            "line": self.line,
            "formula": self.formula,
            "verdict": self.verdict,
            "note": self.note,
            "error": self.error,
            "shape": None if self.shape is None else list(self.shape),
            "expected_shape": None if self.expected_shape is None else list(self.expected_shape),
            "max_error": finite(self.max_error),
            "numerical_error": finite(self.numerical_error),
            "diagnosis": None if d is None else {
                "mistake": d.mistake, "explanation": d.explanation, "correction": d.correction,
            },
            **marks,
        }  # fmt: skip


def finite(x: float | None) -> float | None:
    """`x`, or None where JSON has no number for it."""
    return x if x is not None and math.isfinite(x) else None


def shape_text(shape: Shape | None) -> str:
    """A shape as people write it; a dash where there is none."""
    return "—" if shape is None else str(tuple(shape)).replace(",)", ",)")


def error_text(error: float | None) -> str:
    """An error in two digits; a dash where it could not be computed."""
    return "—" if error is None else "0" if error == 0 else f"{error:.1e}"


ENGLISH = Words("en")
COLUMNS = ("mark", "name", "shape", "yours", "error", "numerical", "verdict")
NUMBERS = ("error", "numerical", "points")


def columns(rows: Sequence[Row]) -> tuple[str, ...]:
    """The columns of a table of these rows."""
    return (*COLUMNS, "points") if any(row.points for row in rows) else COLUMNS


def cells(row: Row, words: Words = ENGLISH) -> tuple[str, ...]:
    """The texts of one row, in the order of `columns`."""
    return (
        STYLES[row.verdict][0],
        row.name if row.of is None or row.name == f"d{row.of}" else f"{row.name} (d{row.of})",
        shape_text(row.expected_shape),
        shape_text(row.shape),
        error_text(row.max_error),
        error_text(row.numerical_error),
        words[f"verdict.{row.verdict}"],
        *(() if row.points is None else ("{:g}/{:g}".format(*row.points),)),
    )


def rich_table(title: str, rows: Sequence[Row], words: Words = ENGLISH) -> Any:
    """A `rich` table of the rows, notes and diagnoses underneath each."""
    try:
        from rich.table import Table
        from rich.text import Text
    except ImportError as error:
        raise ImportError("tables need the package rich: pip install rich") from error
    table = Table(
        title=Text(printable(title)), title_justify="left", title_style="bold", expand=False
    )
    shown = columns(rows)
    for name in shown:
        justify: Any = "right" if name in NUMBERS else "left"
        table.add_column(words[f"column.{name}"], justify=justify)
    for row in rows:
        styles = [STYLES[row.verdict][1] if name in ("mark", "verdict") else "" for name in shown]
        table.add_row(*map(Text, map(printable, cells(row, words)), styles))
    return table


def remarks(rows: Sequence[Row], words: Words = ENGLISH) -> list[str]:
    """What is to be said beside the table: notes, and for wrong lines reason and correction."""
    said: list[str] = []
    for row in rows:
        at = {"name": row.name, "line": row.line}
        where = words.said("row.at", at) if row.line else row.name
        if row.error:
            said.append(words.said("row.unread", {"where": where, "error": words.says(row.error)}))
            said.append(words.said("row.yours", {"formula": row.formula}))
        if row.note:
            said.append(f"{row.name}: {words.says(row.note)}")
        if row.diagnosis:
            why = words.says(row.diagnosis.explanation)
            said.append(f"{where}: {row.diagnosis.mistake}. {why}")
            if row.formula:
                said.append(words.said("row.yours", {"formula": row.formula}))
            if row.diagnosis.correction:
                said.append(words.said("row.correct", {"formula": row.diagnosis.correction}))
    return [printable(text) for text in said]


def text_of(renderable: Any, width: int = 100) -> str:
    """Something rich can print, as plain text."""
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=width, color_system=None, legacy_windows=False).print(renderable)
    return printable("\n".join(line.rstrip() for line in out.getvalue().splitlines()))


def html_table(
    title: str, rows: Sequence[Row], more: Sequence[str] = (), words: Words = ENGLISH
) -> str:
    """The same table in HTML, `more` said below; every text is escaped."""
    head = "".join(f"<th>{words[f'column.{name}']}</th>" for name in columns(rows))
    body = []
    for row in rows:
        colour = STYLES[row.verdict][2]
        body.append(
            f'<tr style="color:{colour}">'
            + "".join(f"<td>{marked_up(text, words.direction)}</td>" for text in cells(row, words))
            + "</tr>"
        )
    said = [marked_up(text, words.direction) for text in (*remarks(rows, words), *more)]
    below = "".join(f"<p><code>{text}</code></p>" for text in said)
    caption = marked_up(title, words.direction)
    return (
        f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table>{below}"
    )


def in_other_scale(rows: Sequence[Row], words: Words = ENGLISH) -> str:
    """What a table's title adds where lines are not in its scale."""
    names = ", ".join(row.name for row in rows if row.other_scale)
    return words.said("report.other_scale", {"names": names}) if names else ""


def counted(rows: Sequence[Row]) -> str:
    """How many rows have which verdict, and the names of those that are not right."""
    parts = []
    for verdict in STYLES:
        names = [row.name for row in rows if row.verdict == verdict]
        if names:
            bad = f" ({', '.join(names)})" if verdict in ("wrong", "follows", "missing") else ""
            parts.append(f"{len(names)} {verdict}{bad}")
    return ", ".join(parts) or "no claims"


def score(rows: Sequence[Row]) -> int:
    """How ill a convention fits a derivation: ``3·(wrong lines) + (lines that follow)``."""
    return 3 * sum(r.verdict == "wrong" for r in rows) + sum(r.verdict == "follows" for r in rows)


def marked(formula: str, correction: str) -> str:
    """The correction with what is new in it marked."""
    import difflib
    import re

    def cut(text: str) -> list[str]:
        return re.findall(r"\w+|\s+|\*\*|\S", text)

    old, new = cut(formula), cut(correction)
    parts = []
    for what, _, _, start, end in difflib.SequenceMatcher(None, old, new, False).get_opcodes():
        text = html.escape("".join(new[start:end]))
        parts.append(text if what == "equal" or not text else f"<ins>{text}</ins>")
    return "".join(parts)
