"""What the page asks: verdicts of a text, its rules and graph, the page to step through.

A task and its answer are plain JSON values. The same file answers behind `serve`, in a process of
its own, and in the browser, in a worker.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.checking.table import Row
from tinygrad_edu.classroom.processes import serve
from tinygrad_edu.core.value import Value
from tinygrad_edu.reports import SheetReport
from tinygrad_edu.sheets.sheet import sheet_of_text

#: Numbers of one quantity that get a slider.
MOST_NUMBERS = 64
#: Lines that one statement may go over.
MOST_LINES = 40


def answer(task: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to one task: ``{"kind": "check" | "explain" | "steps", "text", "numbers"}``."""
    try:
        report = tg.check_text(task["text"], _numbers(task["text"], task.get("numbers") or {}))
        return _KINDS[task["kind"]](report)
    except tg.SheetError as error:
        return {"error": error.message, "line": error.line, "column": error.column}
    except (tg.GradError, TypeError, ImportError) as error:
        return {"error": str(error), "line": 0, "column": 0}
    except MemoryError:
        return {"error": "this sheet takes more memory than it may", "line": 0, "column": 0}


def answer_text(task: str) -> str:
    """`answer` from JSON to JSON."""
    return json.dumps(answer(json.loads(task)))


def _numbers(text: str, chosen: Mapping[str, Any]) -> dict[str, Any] | None:
    """The numbers that were chosen, as far as the sheet still has such quantities."""
    if not chosen:
        return None
    givens = sheet_of_text(text).givens
    found = {}
    for name, given in givens.items():
        try:
            numbers = np.array(chosen[name], float)
        except (KeyError, ValueError, TypeError):
            continue
        if numbers.shape == given.shape:
            found[name] = numbers
    return found


# --- verdicts -------------------------------------------------------------------------------------


def _check(report: SheetReport) -> dict[str, Any]:
    lines = report.source.splitlines()
    return {
        "ok": report.ok,
        "title": report.title.partition(": ")[2],
        "rows": [_line(row, lines) for row in report.rows],
        "remarks": report.remarks,
    }


def _line(row: Row, lines: list[str]) -> dict[str, Any]:
    d = row.diagnosis
    said = [text for text in (row.error, row.note) if text]
    if row.verdict == "follows":
        said.append("right by itself; a line above it is wrong")
    return {
        "line": row.line,
        "name": row.name,
        "verdict": "wrong" if row.error else row.verdict,
        "mistake": d.mistake if d else None,
        "said": [*said, *([d.explanation] if d else [])],
        "correction": d.correction if d else None,
        "change": _change(row, lines),
    }


def _change(row: Row, lines: list[str]) -> dict[str, Any] | None:
    """The lines that the correction takes the place of, and their new text.

    What stands before the formula, ``delta1: dZ1 =``, and a remark behind it are kept.
    """
    d = row.diagnosis
    if d is None or d.correction is None or row.line is None:
        return None
    first = row.line - 1
    for last in range(first, min(first + MOST_LINES, len(lines))):
        text = "\n".join(lines[first : last + 1])
        try:
            [statement] = ast.parse(text.strip()).body
        except (SyntaxError, ValueError):
            continue
        head, equals, _ = text.partition("=")
        new = d.correction
        if isinstance(statement, ast.AnnAssign) and equals:
            new = f"{head.strip()} = {d.correction.partition('=')[2].strip()}"
        indent = text[: len(text) - len(text.lstrip())]
        remark = lines[last].partition("#")[2]
        return {
            "from": first + 1,
            "to": last + 1,
            "text": indent + new + (f"  #{remark}" if remark else ""),
        }
    return None


# --- rules, numbers and the graph -----------------------------------------------------------------


def _explain(report: SheetReport) -> dict[str, Any]:
    assert report.judged is not None
    sheet, convention = report.judged.sheet, report.convention or "calculus"
    try:
        rules = sheet.derive(None, convention)
        derived = [
            {
                "name": rule.name, "mathml": rule.mathml, "numpy": rule.numpy,
                "why": rule.explanation.to_html(),
            }
            for rule in rules
        ]  # fmt: skip
    except (tg.GradError, TypeError) as error:
        derived = []
        report.remarks.append(str(error))
    with np.errstate(all="ignore"):
        sheet.cost.backward()
    picture = tg.draw(sheet.cost, direction="down", **_marks(report))
    made: dict[str, Any] = {
        "rules": derived,
        "cost": {"name": sheet.cost_name, "value": _plain(sheet.cost.data)},
        "numbers": {
            name: {"value": _plain(value.data), "grad": _plain(value.grad)}
            for name in sheet.givens
            if isinstance(value := sheet.values[name], Value)
            and value.requires_grad
            and value.size <= MOST_NUMBERS
        },
        "remarks": report.remarks,
    }
    try:
        svg = picture.pipe(format="svg", encoding="utf-8")
        return made | {"svg": svg[svg.index("<svg") :]}
    except (tg.GradError, OSError):  # no renderer here: the page has one
        return made | {"dot": picture.source}


def _marks(report: SheetReport) -> dict[str, Any]:
    wrong = {
        row.of: f"wrong: {row.formula}"
        for row in report.rows
        if row.of is not None and row.verdict == "wrong"
    }
    return {"convention": report.convention or "calculus", "verdicts": wrong}


def _plain(x: Any) -> Any:
    """Numbers in lists, four digits of each; None for what is none."""
    if x is None:
        return None
    array = np.asarray(x, float)
    if array.ndim:
        return [_plain(row) for row in array]
    return float(f"{array:.4g}") if np.isfinite(array) else None


def _steps(report: SheetReport) -> dict[str, Any]:
    from tinygrad_edu.drawing.picture import step_through

    assert report.judged is not None
    cost = report.judged.sheet.cost
    with np.errstate(all="ignore"):
        cost.backward()
    return {"html": step_through(cost, **_marks(report)).html()}


_KINDS: dict[str, Callable[[SheetReport], dict[str, Any]]] = {
    "check": _check, "explain": _explain, "steps": _steps,
}  # fmt: skip

if __name__ == "__main__":
    serve(lambda setting: answer)
