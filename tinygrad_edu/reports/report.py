"""Sheets judged, with everything there is to say: as objects, tables, JSON and a page of HTML."""

from __future__ import annotations

import contextlib
import functools
import html
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.checking import table
from tinygrad_edu.checking.jacobians import parts
from tinygrad_edu.checking.rounding import (
    RUNS,
    SHARE,
    difference,
    numerical_error,
    relative_error,
)
from tinygrad_edu.checking.table import Row
from tinygrad_edu.checking.truth import Replay
from tinygrad_edu.checking.unread import with_unread
from tinygrad_edu.checking.verdict import Judged, Judgement, judge
from tinygrad_edu.core.signature import checked
from tinygrad_edu.core.value import Value
from tinygrad_edu.diagnosis.context import Context
from tinygrad_edu.diagnosis.derived import DerivedRules
from tinygrad_edu.diagnosis.diagnosing import diagnose, one_line
from tinygrad_edu.reports.page import figure, page, section
from tinygrad_edu.sheets.account import (
    COMPARING,
    DIAGNOSING,
    LARGEST_SEARCHED,
    OPERATION,
    Account,
    TooMuch,
)
from tinygrad_edu.sheets.lines import Jacobian
from tinygrad_edu.sheets.sheet import Sheet, load_sheet, sheet_of_text
from tinygrad_edu.sheets.syntax import show
from tinygrad_edu.words import Words, say
from tinygrad_edu.words.bidi import apart

#: How many entries of a claim the central difference is computed for, if the sheet is not huge.
CHECKED_ENTRIES = 8


@dataclass(frozen=True, repr=False)
class SheetReport:
    """A sheet judged: see `check_sheet`.

    `rows` has a `Row` per claim, in the sheet's order; `error` says why a sheet could not be read,
    and then there are no rows. ``str`` is a table with reasons and corrections underneath.
    """

    sheet: str
    cost: str | None = None
    convention: str | None = None
    m: int | None = None
    rows: list[Row] = field(default_factory=list)
    error: str | None = None
    remarks: list[str] = field(default_factory=list)
    source: str = ""
    judged: Judged | None = None
    place: tuple[int, int] | None = None  # line and column of what cannot be read

    @property
    def points(self) -> tuple[float, float] | None:
        """In an assignment the points earned and possible; else None."""
        marks = [row.points for row in self.rows if row.points is not None]
        return (sum(m[0] for m in marks), sum(m[1] for m in marks)) if marks else None

    @property
    def ok(self) -> bool:
        """Was all of it read, is something claimed, and no line wrong or built on a wrong one?"""
        return self.error is None and bool(self.rows) and all(row.ok for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {
            "sheet": self.sheet,
            "cost": self.cost,
            "convention": self.convention,
            "ok": self.ok,
            "error": self.error,
            "rules": [row.to_json() for row in self.rows],
            "remarks": self.remarks,
            **({} if self.points is None else dict(zip(("points", "max_points"), self.points))),
        }

    @property
    def title(self) -> str:
        """What was judged, and in which scale."""
        return self.titled(table.ENGLISH)

    def titled(self, words: Words) -> str:
        """The title in a language."""
        said = words.said(f"report.{'unread' if self.error else self.convention}", {"m": self.m})
        marks = "" if self.points is None else points_text(self.points, words)
        return f"{self.sheet}: {said}{table.in_other_scale(self.rows, words)}{marks}"

    def __rich__(self) -> Any:
        return self.shown(table.ENGLISH)

    def shown(self, words: Words) -> Any:
        """The table with its remarks, for `rich` to print, in a language."""
        from rich.console import Group
        from rich.text import Text

        placed = apart if words.direction == "rtl" else str
        title = placed(self.titled(words))
        if self.error is not None:
            return Text(f"{title}\n{placed(words.says(self.error))}", "red")
        said = [*table.remarks(self.rows, words), *map(words.says, self.remarks)]
        correct = words["row.correct"].partition("{")[0]
        texts = (Text(placed(text), "green" if text.startswith(correct) else "") for text in said)
        return Group(table.rich_table(title, self.rows, words), *texts)

    def __repr__(self) -> str:
        said = self.error if self.error is not None else table.counted(self.rows)
        return f"<SheetReport {self.sheet}: {said}>"

    def __str__(self) -> str:
        return table.text_of(self)

    def _repr_html_(self) -> str:
        if self.error is not None:
            return f"<p>{html.escape(self.title)}<br>{html.escape(self.error)}</p>"
        return table.html_table(self.title, self.rows, self.remarks)

    def rules(self) -> dict[str, str]:
        """The derived rule for every claim that has one, in the learner's own names.

        Of a very large sheet only the first ones, as many as there may be work for.
        """
        if self.judged is None:
            return {}
        found: dict[str, str] = {}
        with np.errstate(all="ignore"), contextlib.suppress(TooMuch):
            derived = DerivedRules(Context(self.judged, Account(DIAGNOSING / 4, LARGEST_SEARCHED)))
            for name, judgement in self.judged.judgements.items():
                if judgement.truth is None:
                    continue
                for rule in derived.of(judgement)[:1]:
                    found[name] = f"{name} = {show(rule)}"
        return found

    def to_html(self, picture: str = "", language: str = "en") -> str:
        """One self-contained page: the sheet with verdicts in the margin, reasons, derived rules.

        `picture`: an SVG of the graph to put below, as text. `language`: "en" or "fa".
        """
        words = Words(language)
        return page(self.titled(words), self.section(picture, words), words)

    def section(self, picture: str, words: Words, name: str = "graph") -> str:
        """The report as part of a page, see `to_html`; `name`: the picture's in the page."""
        if self.error is not None:
            return section(self.titled(words), words, words.says(self.error))
        rules, drawn = list(self.rules().values()), ""
        if picture:
            drawn = figure(picture, words, name)
        title = self.titled(words)
        return section(title, words, None, self.source, self.rows, self.remarks, rules, drawn)


def points_text(points: tuple[float, float], words: Words) -> str:
    """Points earned of points possible, in words."""
    return words.said("report.points", {"earned": f"{points[0]:g}", "of": f"{points[1]:g}"})


@checked
def check_sheet(
    path: str | os.PathLike[str] | Sheet,
    data: str | Path | Mapping[str, Any] | None = None,
    convention: str = "auto",
    m: int | None = None,
) -> SheetReport:
    """Judge every claim of a sheet, given the true values above it; diagnose the wrong ones.

    `path`: a file, "-" for standard input, or a `Sheet`. `data`: numbers for what is given (see
    `load_sheet`). Verdicts are confirmed on fresh numbers of the declared kinds. *correct*;
    *follows*: would be right if the lines above it were; *wrong*, with the kind of mistake, the
    smallest correction and a sentence; *unchecked*: the cost does not depend on it. `m`: the number
    of examples, where the sheet does not tell what the cost averages over.

    Raises SheetError for what is not a sheet, GradError where the convention does not exist.
    """
    sheet = path if isinstance(path, Sheet) else load_sheet(os.fspath(path), data)
    return _judged(sheet, convention, m)


@checked
def check_text(
    text: str,
    data: str | Path | Mapping[str, Any] | None = None,
    convention: str = "auto",
    m: int | None = None,
) -> SheetReport:
    """`check_sheet` for a sheet that is not in a file.

    Raises SheetError for what is not a sheet, GradError where the convention does not exist.

    >>> report = tg.check_text("x: ()\\nw: ()\\nJ = (w * x)**2\\ndw = 2 * w * x\\n")
    >>> report.ok, [(row.name, row.verdict) for row in report.rows]
    (False, [('dw', 'wrong')])
    """
    return _judged(sheet_of_text(text, data), convention, m)


def wrong_lines(sheet: Sheet, convention: str = "auto") -> tuple[str, dict[str, str]]:
    """The scale a sheet is judged in, and of which quantities its line is wrong, with the line; not
    what is wrong with it."""
    judged, _ = judge(sheet, convention)
    claims = [judged.judgements[name].claim for name in sorted(judged.wrong)]
    return judged.convention, {claim.of: one_line(claim.last) for claim in claims}


def _judged(sheet: Sheet, convention: str, m: int | None) -> SheetReport:
    judged, remarks = judge(sheet, convention, m)
    diagnoses = diagnose(judged)
    differences = _Differences(judged)
    judged.account.allow(COMPARING)
    rows = []
    for judgement in judged.judgements.values():
        claim = judgement.claim
        with sheet.line_of(claim.last.line):
            row = _row(judged, judgement, differences)
        rows.append(replace(row, diagnosis=diagnoses.get(claim.name)))
    return SheetReport(
        sheet=sheet.name,
        cost=sheet.cost_name,
        convention=judged.convention,
        m=judged.examples.m if judged.examples else None,
        rows=with_unread(sheet, rows),
        remarks=remarks,
        source=sheet.source,
        judged=judged,
    )


class _Differences:
    """Central differences of a judged sheet, of as many entries as there may be work for."""

    def __init__(self, judged: Judged) -> None:
        self.graph = judged.samples[0].graph
        self.replay = Replay(self.graph.cost)
        self.each = _work(self.replay)
        self.left = float(COMPARING)
        share = COMPARING / (self.each * max(len(judged.judgements), 1))
        self.most = max(1, min(CHECKED_ENTRIES, int(share)))

    def entries(self, node: Value) -> list[int]:
        """Which entries of a claim are compared; none where all the work is done."""
        chosen = np.random.default_rng(0).permutation(node.size)[: self.most]
        self.left -= self.each * len(chosen)
        return sorted(int(i) for i in chosen) if self.left >= 0 else []

    def columns(self, claim: Jacobian) -> tuple[list[int], Any]:
        """Which columns of a matrix are compared, and the differences, a row for each of these."""
        account = Account(self.left)
        try:
            top, by = parts(self.graph, claim, account)
            if not isinstance(top, Value) or not isinstance(by, Value):
                return [], None
            replay = Replay(top)
            chosen = sorted(np.random.default_rng(0).permutation(by.size)[: self.most].tolist())
            account.spend(_work(replay) * len(chosen))
        except TooMuch:
            return [], None
        finally:
            self.left = account.left
        return chosen, replay.difference(by, chosen).reshape(len(chosen), top.size)


def _work(replay: Replay) -> float:
    """What the difference of one entry costs."""
    return float(2 * sum(OPERATION + 4 * node.size for node in replay.order))


def _with_matrix(row: Row, claim: Jacobian, value: Any, truth: Any, compared: _Differences) -> Row:
    """The row of a matrix of derivatives, which has the lengths of its truth, if that is known."""
    if truth is None:
        return row
    row = replace(row, expected_shape=truth.shape)
    if value is None or tuple(n for n in np.shape(value) if n != 1) != truth.shape:
        return row
    largest = np.abs(truth).max(initial=0.0)
    apart = difference(np.reshape(value, truth.shape), truth)
    row = replace(row, max_error=relative_error(apart, truth, lambda: largest))
    columns, differences = compared.columns(claim)
    if not columns:
        return row
    given, true = (
        np.reshape(matrix, (differences.shape[1], -1))[:, columns].T for matrix in (value, truth)
    )
    error = numerical_error(differences, given, true, lambda: largest, lambda: largest)
    return replace(row, numerical_error=error)


def _row(judged: Judged, judgement: Judgement, differences: _Differences) -> Row:
    claim = judgement.claim
    statement = claim.last
    value = judged.samples[0].run[statement.key]
    row = Row(
        name=claim.name,
        of=claim.of,
        verdict=judgement.verdict,
        shape=None if value is None else tuple(np.shape(value)),
        expected_shape=None,
        note=judgement.note,
        other_scale=judgement.other_scale,
        formula=one_line(statement),
        line=statement.line,
    )
    if isinstance(claim, Jacobian):
        return _with_matrix(row, claim, value, judged.samples[0].jacobian(claim), differences)
    if judgement.truth is None:
        return row
    key, factor = claimed = judgement.truth
    node = judged.samples[0].graph.node(key)
    assert isinstance(node, Value)
    row = replace(row, expected_shape=tuple(node.shape))
    if value is None or np.shape(value) != node.shape:
        reason = judged.samples[0].failures.get(statement.expr)
        if value is None and reason is not None and row.note is None:
            row = replace(row, note=reason.args[0])
        return row
    entries = differences.entries(node)
    truth = judged.truth_at(0, claimed)
    rounding = judged.samples[0].rounding
    runs = RUNS if row.ok else 1  # how wrong a wrong number is, one run tells

    @functools.cache
    def size() -> Any:
        return judged.terms(0, claimed, statement.key, value, runs=runs)

    note = row.note
    off = relative_error(difference(value, truth), truth, size)
    if not row.ok and note is None and off <= SHARE:
        note = say("note.by_chance")
    if judgement.verdict == "correct" and note is None:
        if all(sample.kinks.masks[sample.graph.node(key)].any() for sample in judged.samples):
            note = say("note.always_kink")
        elif judged.samples[0].kinks.masks[node].any():
            note = say("note.kink")
    return replace(
        row,
        note=note,
        max_error=off,
        numerical_error=None
        if not entries
        else numerical_error(
            factor * differences.replay.difference(node, entries),
            np.ravel(value)[entries],
            np.ravel(truth)[entries],
            lambda: np.ravel(size())[entries],
            lambda: abs(factor) * rounding.of_cost(runs),
        ),
    )
