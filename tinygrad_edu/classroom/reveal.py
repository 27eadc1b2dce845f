"""How much of what is known of a wrong line a learner is told."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import replace

from tinygrad_edu.checking.table import Diagnosis, Row
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.diagnosis.diagnosing import RULE
from tinygrad_edu.diagnosis.registry import MISTAKES
from tinygrad_edu.reports import SheetReport

#: From least to all: the verdict; the kind of mistake; why; the line corrected.
LEVELS = ("verdict", "mistake", "why", "correction")
_MEANING = {mistake.name: mistake.meaning for mistake in MISTAKES}
#: Sentences that say what the right line is.
_TELLS = re.compile(r"the line is right|\bbelongs\b|right line|\bis missing\b|\bwould be\b")
#: What no word of a sentence has: digits, brackets, operators between letters.
_FORMULA = re.compile(r"[\d()\[\]*/@=<>^_']|^[+-]$")


def revealed(report: SheetReport, level: str) -> SheetReport:
    """The report with no more in it than `level` allows: of the levels above, nothing is left."""
    if level not in LEVELS:
        raise GradError(f"reveal is one of {', '.join(LEVELS)}, not {level!r}")
    if level == "correction":
        return report
    known = set(re.findall(r"^(\w+)\s*[:=]", report.source, re.M))
    rows = [_revealed(row, level, known) for row in report.rows]
    return replace(report, rows=rows, judged=None)  # which the derived rules come from


def _revealed(row: Row, level: str, known: Set[str]) -> Row:
    d = row.diagnosis
    if level != "why" and row.verdict in ("wrong", "follows"):
        row = replace(row, note=None)
    if d is None or level == "verdict":
        return replace(row, diagnosis=None)
    said = [_MEANING.get(d.mistake, d.mistake)]
    if level == "why":
        before = d.explanation.partition(RULE)[0]
        sentences = re.split(r"(?<=[.:])\s+(?=[A-Z*])", before.strip())
        said += [s for s in sentences if s and not _tells(s, row.formula or "", known)]
    said = [text[0].upper() + text[1:].rstrip(".") + "." for text in said]
    return replace(row, diagnosis=Diagnosis(d.mistake, " ".join(said), None))


def _tells(sentence: str, formula: str, known: Set[str]) -> bool:
    """Does a sentence say what the right line is, or have a formula that the learner's has not?"""
    line = formula.replace(" ", "")
    run = ""
    for word in [*sentence.split(), "."]:
        bare = word.strip(".,:;")
        if _FORMULA.search(bare) or bare in known:
            run += bare
        elif run and run not in line:
            return True
        else:
            run = ""
    return bool(_TELLS.search(sentence))
