"""The lines to blame, as they are reported: where, of what, how often, called from where."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tinygrad_edu.checking.table import Diagnosis
from tinygrad_edu.sheets.claims import claimed
from tinygrad_edu.tracing.corrections import Correction
from tinygrad_edu.tracing.edits import targets_of
from tinygrad_edu.tracing.mistakes import named, target_text
from tinygrad_edu.tracing.ranking import Certificates, Ranking, Suspect
from tinygrad_edu.tracing.repair import Sites
from tinygrad_edu.tracing.report import CodeLine
from tinygrad_edu.tracing.study import Study
from tinygrad_edu.tracing.times import Steps, corrected_steps, suspected_steps
from tinygrad_edu.tracing.workspace import Source
from tinygrad_edu.words import say, together

#: Other corrections that are shown.
_ALTERNATIVES = 3


def corrected_text(correction: Correction) -> str:
    """The learner's own line, changed; of a statement moved the lines it becomes, of one that is
    added the line before it too, of one that belongs before a loop the loop's first line."""
    statement, edit = correction.place.statement, correction.edits[0]
    old = correction.place.scope.unit.text.split("\n")
    new = correction.text.split("\n")
    if edit.kind == "insert":
        before = edit.node[edit.new[0] - 1]
        first = before.end_lineno if hasattr(before, "body") else before.lineno
        return textwrap.dedent("\n".join(new[first - 1 : before.end_lineno + 1]))
    if edit.kind == "delete":
        return ""
    if edit.kind == "hoist":
        first = edit.new[1].lineno
        last = first + statement.end_lineno - statement.lineno + 1
        return textwrap.dedent("\n".join(new[first - 1 : last]))
    if edit.kind == "move":
        lines = [i for i, (a, b) in enumerate(zip(old, new)) if a != b]
        return "\n".join(textwrap.dedent("\n".join(new[lines[0] : lines[-1] + 1])).splitlines())
    changed = [
        b for i, (a, b) in enumerate(zip(old, new), 1)
        if a != b and statement.lineno <= i <= statement.end_lineno
    ]  # fmt: skip
    return "\n".join(text.strip() for text in changed if text.strip())


def blamed(
    study: Study,
    ranking: Ranking,
    correction: Correction,
    others: Sequence[Correction],
    alone: bool = True,
) -> list[CodeLine]:
    """The lines with their corrections; with others that are equally right.

    `alone`: it is the only mistake, so that all else that is wrong follows from it.
    """
    if not correction.places:
        line = _blamed(study, correction, others, alone)
        earlier = None if correction.forward else _made_up_for(study, ranking, correction, others)
        if earlier is None:
            return [line]
        statement = study.statements[earlier.statement][1]
        but = say("code.makes_up", line=statement.lineno, target=target_text(statement))
        told = together("note.space", line.diagnosis.explanation, but)
        line = replace(line, diagnosis=replace(line.diagnosis, explanation=told))
        return [replace(suspected(study, ranking, earlier, True), alternatives=()), line]
    made = zip(correction.places, correction.edits)
    return [
        _blamed(study, replace(correction, place=place, edits=(edit,)), [], alone=False)
        for place, edit in made
    ]


def _made_up_for(
    study: Study, ranking: Ranking, correction: Correction, others: Sequence[Correction]
) -> Suspect | None:
    """An earlier statement that a true gradient would fit into, and that stays without one.

    Not where a correction of its own is equally right: then that is told beside the first.
    """
    scope = correction.place.scope
    if len(correction.text) < len(scope.unit.text):
        return None  # what is too many there makes up for nothing
    k = study.number_of(scope.unit.file, correction.place.statement)
    starts = [node.number for made in ranking.sites.results.get(k, ()) for node in made]  # type: ignore[arg-type]
    for suspect in ranking.suspects:
        earlier = suspect.statement != k and starts and suspect.first <= min(starts)
        if earlier and suspect.fits and not (suspect.soft or suspect.outer):
            if any(study.number_of(c.place.scope.unit.file, c.place.statement) == suspect.statement
                   for c in others):  # fmt: skip
                return None
            return suspect if _stays(study, suspect, scope.unit.file, correction.text) else None
    return None


def _stays(study: Study, suspect: Suspect, file: str, text: str) -> bool:
    """Is what a statement makes no gradient of anything with a correction either?"""
    unit, statement = study.statements[suspect.statement]
    texts = {**study.source.texts, file: text}
    try:
        source = Source(study.source.run, texts, study.source.shapes)
        corrected = Study(source, study.parameters, study.values)
        corrected.judge()
        k = corrected.number_of(unit.file, statement)
        sites = Sites(corrected)
        certificates = Certificates(corrected, sites)
        made = [node for part in sites.results[k] for node in part]  # type: ignore[index]
    except Exception:  # it is another statement that stands there
        return False
    return not all(certificates.scale(node.value) in certificates.kept for node in made)


def _blamed(
    study: Study, correction: Correction, others: Sequence[Correction], alone: bool
) -> CodeLine:
    statement, unit = correction.place.statement, correction.place.scope.unit
    mistake, why = named(correction.edits[0], statement)
    of = target_text(statement)
    several = alone and len(study.wrong) > 1
    told = [say("code.wrong_first" if several else "code.wrong", of=of)]
    if correction.edits[0].kind in ("insert", "copy") or not targets_of(statement):
        told = []
    if correction.forward:
        mistake = "forward_softmax_axis" if correction.edits[0].kind == "keyword" else "other"
        told = [say("code.forward")]
    alternatives = []
    known = {(correction.line, correction.edits[0].kind)}
    for other in _of_other_lines_first(correction, others):
        near = other.cost <= correction.cost + 1 and other.natural == correction.natural
        # Another change of the same line, of the same kind, is the same said otherwise.
        what = (other.line, other.edits[0].kind)
        # Without an update, too, no weight is updated before it is used.
        if (other.forward or near) and other.edits[0].kind != "delete" and what not in known:
            known.add(what)
            if not _takes_back(other, correction):
                alternatives.append((other.line, corrected_text(other)))
    column, end = _columns(correction)
    explained = together("note.space", *told, *([why] if why else []))
    return CodeLine(
        file=unit.file,
        line=correction.line,
        column=column,
        end_column=end,
        source=unit.text.split("\n")[correction.line - 1].strip(),
        of=of,
        steps=corrected_steps(study, correction),
        called_from=_caller(study, unit.file, statement),
        diagnosis=Diagnosis(mistake, explained, corrected_text(correction) or None),
        alternatives=tuple(alternatives[:_ALTERNATIVES]),
    )


def _of_other_lines_first(correction: Correction, others: Sequence[Correction]) -> list[Correction]:
    """The first of each other line, then the rest: it may be told in so many places."""
    first = {other.line: other for other in reversed(others) if other.line != correction.line}
    return sorted(others, key=lambda other: first.get(other.line) is not other)


def _takes_back(other: Correction, correction: Correction) -> bool:
    """Does one only add to a line what takes back what the other changes: ``x / m * m`` for x, or
    ``4 - m`` for 1 where m is 3?"""
    if other.line != correction.line:
        return False
    shorter = len(correction.text) < len(correction.place.scope.unit.text)
    added, changed = other.edits[0].kind, correction.edits[0].kind
    return (added == "factor" and shorter) or (added == "term" and changed != "term")


def unread(study: Study, k: int) -> CodeLine:
    """A line whose result is never used, where several things are wrong."""
    of = target_text(study.statements[k][1])
    why = say("code.unused", of=of)
    return _line(study, k, why, None, "other")


def constant(study: Study, name: str) -> CodeLine | None:
    """The last line that gives a gradient its value, which nothing the run is given changes."""
    handed = _handed_back(study, name)
    for k in sorted({*range(len(study.statements))} - study.run_statements, reverse=True):
        texts = [ast.unparse(target) for target in targets_of(study.statements[k][1])]
        if any(t in handed or claimed(t, study.truth) == name for t in texts):
            of = target_text(study.statements[k][1])
            why = say("code.constant", of=of)
            return _line(study, k, why, None, "other")
    return None


def _handed_back(study: Study, name: str) -> set[str]:
    """What is handed back as a gradient, as in ``return cost, {"w": g}``."""
    returned = [s.value for _, s in study.statements if isinstance(s, ast.Return) and s.value]
    tables = [d for value in returned for d in ast.walk(value) if isinstance(d, ast.Dict)]
    return {
        ast.unparse(value) for d in tables for key, value in zip(d.keys, d.values)
        if isinstance(key, ast.Constant) and isinstance(value, ast.Name)
        and (key.value == name or claimed(str(key.value), study.truth) == name)
    }  # fmt: skip


def suspected(study: Study, ranking: Ranking, suspect: Suspect, alone: bool) -> CodeLine:
    """A line that can be blamed, but for which no correction was found."""
    of = target_text(study.statements[suspect.statement][1])
    names = ", ".join(suspect.of or study.wrong)
    if suspect.empty:
        why = say("code.never_added", of=of)
    elif alone:
        why = say("code.would_all", of=of)
    else:
        why = say("code.would", of=of, names=names)
    mistake = "missing_fan_out_term" if suspect.empty else "other"
    line = _line(study, suspect.statement, why, suspected_steps(study, suspect), mistake)
    others = [study.statements[s.statement][1].lineno for s in ranking.suspects if not s.passes]
    statement = study.statements[suspect.statement][1]
    others[:0] = (
        range(statement.lineno + 1, statement.value.end_lineno + 1)
        if hasattr(statement, "value") and statement.value
        else ()
    )
    told = [(n, None) for n in dict.fromkeys(others) if n != line.line] if alone else []
    return replace(line, alternatives=tuple(told[: _ALTERNATIVES - 1]))


def _line(study: Study, k: int, why: str, steps: Steps | None, mistake: str) -> CodeLine:
    unit, statement = study.statements[k]
    return CodeLine(
        file=unit.file,
        line=statement.lineno,
        column=statement.col_offset + 1,
        end_column=statement.end_col_offset + 1,
        source=unit.text.split("\n")[statement.lineno - 1].strip(),
        of=target_text(statement),
        steps=steps,
        called_from=_caller(study, unit.file, statement),
        diagnosis=Diagnosis(mistake, why, None),
    )


def _columns(correction: Correction) -> tuple[int, int]:
    statement, edit = correction.place.statement, correction.edits[0]
    node: Any = statement if isinstance(edit.node, list) else edit.node
    if node.lineno != correction.line or node.end_lineno != node.lineno:
        node = statement
    return node.col_offset + 1, node.end_col_offset + 1


def _caller(study: Study, file: str, statement: Any) -> int | None:
    """The line that calls the function a statement is in; None where it is `run`, or several."""
    k = study.number_of(file, statement)
    callers = set()
    for node in study.record.nodes:
        chain = [j for j, _ in node.places]
        if k in chain and node.number not in study.forward:
            function = chain[chain.index(k) + 1 :]
            callers |= set(_outside(study, statement, function)[:1])
    lines = {study.statements[j][1].lineno for j in callers if j not in study.run_statements}
    return lines.pop() if len(lines) == 1 else None


def _outside(study: Study, statement: Any, chain: Sequence[int]) -> list[int]:
    """Of the statements around, those that are not loops or conditions around it in the source."""

    def contains(other: Any) -> bool:
        return any(
            isinstance(n, ast.stmt)
            and (n.lineno, n.col_offset) == (statement.lineno, statement.col_offset)
            for n in ast.walk(other)
        )

    return [j for j in chain if not contains(study.statements[j][1])]
