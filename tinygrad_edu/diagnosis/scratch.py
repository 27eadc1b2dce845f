"""The scratch line at fault: a line that is wrong only because of one that claims nothing.

``gH = dh * h * (1 - h)`` is no gradient that the checker knows, so it is not judged; the lines that
read it are. Where the mistake is there, these are told so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tinygrad_edu import words
from tinygrad_edu.checking.truth import equal
from tinygrad_edu.checking.verdict import Judgement
from tinygrad_edu.diagnosis.context import Context
from tinygrad_edu.diagnosis.places import Place, place_above, places_above
from tinygrad_edu.diagnosis.search import Correction, search_for
from tinygrad_edu.diagnosis.statements import line_as
from tinygrad_edu.diagnosis.words import visible_keys
from tinygrad_edu.sheets.lines import Statement
from tinygrad_edu.sheets.syntax import Expr, SheetError, names_in


class Fault(NamedTuple):
    """A scratch line, the formula with which a line that reads it is right, and a sentence."""

    statement: Statement
    right: Expr
    says: str


def near_fault(context: Context, judgement: Judgement) -> Fault | None:
    """The scratch line of which a small change makes a line right, where none of its own does."""
    for place in places_above(context, judgement.claim.last):
        found = _nearest(context, judgement, place)
        if found is not None and place.statement is judgement.claim.last:
            break
        if found is not None:
            line, right = place.statement.line, found.edit.expr
            says = words.say("diagnosis.above", line=line, formula=found.text)
            return Fault(place.statement, right, says)
    return None


def common_faults(context: Context, wrong: Sequence[Judgement]) -> dict[str, Fault]:
    """By the name of a claim, the scratch line of which a small change makes right all that is
    computed from it, at least two lines; where several do, the one that has to change least."""
    found: list[tuple[float, Fault, list[Judgement]]] = []
    for statement in _scratch(context):
        readers = [j for j in context.judged.judgements.values() if _reads(context, j, statement)]
        if len(readers) < 2 or any(j not in wrong for j in readers):
            continue
        with contextlib.suppress(SheetError, SyntaxError):
            places = [place_above(context, statement, j.claim.last) for j in readers]
            nearest = _nearest(context, readers[0], places[0])
            if nearest is None:
                continue
            if all(_right(context, j, p, nearest) for j, p in zip(readers, places, strict=True)):
                found.append((nearest.cost, _fault(statement, nearest.edit.expr), readers))
    found.sort(key=lambda one: -one[0])  # the least, and of equal ones the last, is put in last
    return {j.claim.name: fault for _, fault, readers in found for j in readers}


def replaced_fault(context: Context, judgement: Judgement, fixed: Expr) -> Fault | None:
    """The scratch line whose name only stands for something else in a correction.

    None where a line that is right reads the name as it is.
    """
    line, found = judgement.claim.last, dict[Expr, Expr]()
    scratch = {context.name(s.key): s for s in _scratch(context) if s.line < line.line}
    stands = _stands_for(line.expr, fixed, scratch, found)
    changed = [(name, new) for name, new in found.items() if name is not new]
    if not stands or len(changed) != 1:
        return None
    [(name, right)] = changed
    if right.op == "name":  # a name taken for another is a mistake of the line that reads it
        return None
    statement = scratch[name]
    readers = [j for j in context.judged.judgements.values() if _reads(context, j, statement)]
    if any(j.verdict != "wrong" for j in readers):
        return None
    lines = [*context.sheet.forward, *(s for s in scratch.values() if s.line < statement.line)]
    names = {s.expr: context.name(s.key) for s in lines if s.plain}
    right = context.formulas.substituted(right, names)
    if not names_in(right) <= visible_keys(context, statement):
        return None
    return _fault(statement, right)


def _fault(statement: Statement, right: Expr) -> Fault:
    return Fault(statement, right, line_as(statement.line, statement.name, right).says)


def _scratch(context: Context) -> Iterator[Statement]:
    """The backward lines that claim nothing, as they stand."""
    for s in context.sheet.backward:
        if s.key not in context.judged.final and s.plain and not s.turn:
            yield s


def _reads(context: Context, judgement: Judgement, statement: Statement) -> bool:
    """Is a line computed from a scratch line, through none but scratch lines?"""
    line = judgement.claim.last
    wanted = set(names_in(line.expr))
    for s in reversed(list(context.above(line))):
        if s.key in wanted and s.key not in context.judged.final:
            wanted |= names_in(s.expr)
    return statement.key in wanted


def _nearest(context: Context, judgement: Judgement, place: Place) -> Correction | None:
    """The nearest change of a scratch line that makes a line right and brings in no new word."""
    return search_for(context, judgement, place, [], []).run_near()


def _right(context: Context, judgement: Judgement, place: Place, found: Correction) -> bool:
    """Is a line right with a change of the scratch line in this place?"""
    truth, whole = judgement.truth, place.whole(found.edit.expr)
    return truth is not None and all(
        equal(context.value(whole, i), np.asarray(context.truth(truth, i), float))
        for i in range(len(context.samples))
    )


def _stands_for(old: Expr, new: Expr, names: Container[Expr], found: dict[Expr, Expr]) -> bool:
    """Is a formula another one with something put in for some names? What, goes to `found`."""
    if old in names:
        return found.setdefault(old, new) is new
    if old.op != new.op or old.extra != new.extra or len(old.args) != len(new.args):
        return False
    return all(_stands_for(a, b, names, found) for a, b in zip(old.args, new.args, strict=True))
