"""Rows for the lines of a sheet that cannot be read, and for the claims that depend on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tinygrad_edu.checking.table import Row
from tinygrad_edu.sheets.lines import Claim, Key, Statement
from tinygrad_edu.sheets.sheet import Sheet
from tinygrad_edu.sheets.syntax import Expr
from tinygrad_edu.words import say


def with_unread(sheet: Sheet, rows: Sequence[Row]) -> list[Row]:
    """The rows of the claims, and one for every other line that cannot be read.

    A claim that reads what such a line was to compute is not judged.
    """
    unread = {line.error.line: line for line in sheet.unread}
    missing = _missing(sheet)
    claims: dict[str, Claim] = {**sheet.claims, **sheet.jacobians}
    steps = {s.key: s.expr for s in sheet.backward if s.name not in claims}
    result = []
    for row in rows:
        line = unread.pop(row.line or 0, None)
        lost = _read_by(claims[row.name], steps, missing) if missing else None
        if line is not None and line.text.endswith("="):  # a template's line, not yet filled in
            row = replace(row, verdict="missing", formula=line.text, note=line.error.message)
        elif line is not None:
            row = replace(row, error=line.error.message, formula=line.text, note=None)
        elif lost is not None and row.verdict == "wrong":
            note = say("note.reads_unread", name=lost.name, line=lost.line)
            row = replace(row, verdict="unchecked", note=note, diagnosis=None)
        result.append(row)
    result += [
        Row(
            name=line.name or f"line {line.error.line}",
            of=None,
            verdict="unchecked",
            shape=None,
            expected_shape=None,
            formula=line.text,
            line=line.error.line,
            error=line.error.message,
        )
        for line in unread.values()
    ]
    return sorted(result, key=lambda row: row.line or 0)


def _missing(sheet: Sheet) -> dict[Key, Statement]:
    """The unread statements, claims apart, which leave their name without a value."""
    claimed = {claim.last.key for claim in sheet.claims.values()}
    return {
        statement.key: statement
        for statement in (*sheet.forward, *sheet.backward)
        if statement.expr.op == "unread" and statement.key not in claimed
    }


def _read_by(
    claim: Claim, steps: Mapping[Key, Expr], missing: Mapping[Key, Statement]
) -> Statement | None:
    """What a claim reads that has no value, through the learner's own steps too."""
    seen: set[Key] = set()
    todo = set().union(*(statement.expr.names for statement in claim.statements))
    while todo:
        key = todo.pop()
        if key in missing:
            return missing[key]
        if key in steps and key not in seen:
            todo |= steps[key].names
        seen.add(key)
    return None
