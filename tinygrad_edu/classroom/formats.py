"""Judged sheets for other programs: a gradebook, test reports, Gradescope, editors."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

from tinygrad_edu.checking.table import Row
from tinygrad_edu.reports import Batch, SheetReport

#: What XML cannot hold.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: What a spreadsheet would take for a formula.
_COMPUTED = ("=", "+", "-", "@", "\t", "\r")


def written(batch: Batch, form: str, ascii: bool = False) -> str:
    """The batch as json, csv, junit, gradescope or concise, without the last line's end."""
    made = FORMS[form](batch)
    return made if isinstance(made, str) else json.dumps(made, indent=1, ensure_ascii=ascii)


def _csv(batch: Batch) -> str:
    """A gradebook: a line for each sheet, a column for each claim, in it the verdict."""
    claims = list(dict.fromkeys(row.claim for report in batch.reports for row in report.rows))
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["sheet", "ok", "points", "max_points", "error", *claims])
    for report in batch.reports:
        rows = {row.claim: row for row in report.rows}
        said = [_short(rows[claim]) if claim in rows else "" for claim in claims]
        points = report.points or ("", "")
        line = [report.sheet, "yes" if report.ok else "no", *points, report.error or "", *said]
        table.writerow([_text(cell) for cell in line])
    return out.getvalue().rstrip("\n")


def _text(cell: Any) -> str:
    text = f"{cell:g}" if isinstance(cell, float) else str(cell)
    return "'" + text if text.startswith(_COMPUTED) else text


def _short(row: Row) -> str:
    return row.verdict + (f": {row.diagnosis.mistake}" if row.diagnosis else "")


def _junit(batch: Batch) -> str:
    """A claim is a test; what follows from a wrong line above is skipped."""
    suites = ElementTree.Element("testsuites", name="derivations")
    for report in batch.reports:
        suite = ElementTree.SubElement(suites, "testsuite", name=_clean(report.sheet))
        counts = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
        if report.points is not None:
            kept = ElementTree.SubElement(suite, "properties")
            for name, value in zip(("points", "max_points"), report.points):
                ElementTree.SubElement(kept, "property", name=name, value=f"{value:g}")
        for name, outcome, kind, message in _tests(report):
            case = ElementTree.SubElement(
                suite, "testcase", name=_clean(name), classname=_clean(report.sheet), time="0"
            )
            counts["tests"] += 1
            if outcome:
                counts[{"failure": "failures", "error": "errors"}.get(outcome, outcome)] += 1
                first = _clean(message.partition("\n")[0])
                told = ElementTree.SubElement(case, outcome, message=first, type=kind)
                told.text = _clean(message)
        suite.attrib.update({name: str(count) for name, count in counts.items()})
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True)


def _tests(report: SheetReport) -> Iterator[tuple[str, str, str, str]]:
    """Each claim's name, outcome (empty: passed), kind of mistake, and what is said of it."""
    if report.error is not None:
        yield "the sheet can be read", "error", "unreadable", report.error
    elif not report.rows:
        yield "something is claimed", "failure", "missing", "\n".join(report.remarks)
    for row in report.rows:
        outcome = "" if row.ok else "skipped" if row.verdict == "follows" else "failure"
        kind = row.diagnosis.mistake if row.diagnosis else row.verdict
        yield row.name, outcome, kind, said_of(row)


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)


def said_of(row: Row) -> str:
    """All that is said of a claim, in lines of plain text."""
    where = f"line {row.line}: " if row.line else ""
    said = [f"{where}{row.formula or row.name}: {row.verdict}"]
    if row.error:
        said.append(f"this line cannot be read: {row.error}")
    if row.verdict == "follows":
        said.append("right by itself; a line above it is wrong")
    if row.note:
        said.append(row.note)
    if row.diagnosis:
        said.append(f"{row.diagnosis.mistake}: {row.diagnosis.explanation}")
        if row.diagnosis.correction:
            said.append(f"correct: {row.diagnosis.correction}")
    return "\n".join(said)


def _gradescope(batch: Batch) -> dict[str, Any]:
    """What Gradescope reads as results.json: the claims of one submission, in one sheet or several;
    without a key each claim is worth 1."""
    tests: list[dict[str, Any]] = []
    several = len(batch.reports) > 1
    for report in batch.reports:
        before = f"{report.sheet}: " if several else ""
        if report.error is not None:
            tests.append(_test(before + "the sheet can be read", (0.0, 0.0), report.error, False))
        elif not report.rows:
            said = "\n".join(report.remarks)
            tests.append(_test(before + "something is claimed", (0.0, 1.0), said, False))
        marked = report.points is not None
        for row in report.rows:
            points = row.points or ((0.0, 0.0) if marked else (float(row.ok), 1.0))
            kind = [row.diagnosis.mistake] if row.diagnosis else []
            tests.append(_test(before + row.name, points, said_of(row), row.ok, kind))
    return {
        "score": sum(test["score"] for test in tests),
        "output": "; ".join(report.title for report in batch.reports),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
    }


def _test(
    name: str, points: tuple[float, float], output: str, passed: bool, tags: list[str] | None = None
) -> dict[str, Any]:
    return {
        "name": name, "score": points[0], "max_score": points[1],
        "status": "passed" if passed else "failed", "output": output, "output_format": "text",
        "name_format": "text", "tags": tags or [], "visibility": "visible",
    }  # fmt: skip


def _concise(batch: Batch) -> str:
    """``file:line:column: kind: message``, a line for each thing to look at."""
    return "\n".join(line for report in batch.reports for line in _pointed_at(report))


def _pointed_at(report: SheetReport) -> Iterator[str]:
    if report.error is not None:
        line, column = report.place or (1, 1)
        message = report.error.removeprefix(f"{report.sheet}: ")
        message = message.removeprefix(f"line {line}, column {column}: ")
        yield _pointer(report.sheet, max(line, 1), max(column, 1), "error", message)
        return
    lines = report.source.splitlines()
    for row in report.rows:
        if not row.ok or row.note:
            line = row.line or max(len(lines), 1)
            text = lines[line - 1] if row.line and line <= len(lines) else ""
            column = len(text) - len(text.lstrip()) + 1
            kind = "note" if row.ok or row.verdict == "follows" else "error"
            _, *more = said_of(row).split("\n")
            message = "; ".join(text.rstrip(".") for text in [f"{row.name}: {row.verdict}", *more])
            yield _pointer(report.sheet, line, column, kind, message)
    for remark in report.remarks:
        yield _pointer(report.sheet, 1, 1, "note", remark)


def _pointer(sheet: str, line: int, column: int, kind: str, message: str) -> str:
    return f"{sheet}:{line}:{column}: {kind}: {' '.join(message.split())}"


FORMS: dict[str, Callable[[Batch], Any]] = {
    "json": Batch.to_json, "csv": _csv, "junit": _junit, "gradescope": _gradescope,
    "concise": _concise,
}  # fmt: skip
