"""At which of its executions a line is wrong: in all steps of a loop, or only at t = 0."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.tracing.arrays import plain
from tinygrad_edu.tracing.corrections import Correction
from tinygrad_edu.tracing.ranking import Suspect
from tinygrad_edu.tracing.record import Record
from tinygrad_edu.tracing.study import Study
from tinygrad_edu.words import say, together

#: So many steps are told one by one.
_TOLD = 3


class Steps(NamedTuple):
    """In how many of its executions a line is wrong, of how many; and as it is told."""

    wrong: int
    of: int
    said: str


def corrected_steps(study: Study, correction: Correction) -> Steps | None:
    """Where the line and its correction differ, on the same numbers; None where it runs once."""
    scope, statement = correction.place.scope, correction.place.statement
    tree = scope.unit.shape(correction.text)
    new = next((n for n in ast.walk(tree) if isinstance(n, ast.stmt) and _at(n) == _at(statement)
                and type(n) is type(statement)), None)  # fmt: skip
    pair = getattr(statement, "value", None), getattr(new, "value", None)
    k = study.number_of(scope.unit.file, statement)
    if k is None or not all(isinstance(value, ast.expr) for value in pair):
        return None
    codes = [compile(ast.Expression(value), "<line>", "eval") for value in pair]  # type: ignore[arg-type]
    if study.record.executed[k] < 2:
        return None
    wrong: list[bool] = []

    def compare(frame: FrameType) -> None:
        names = {**frame.f_globals, **frame.f_locals}
        old, new = (eval(code, names) for code in codes)  # noqa: S307 - the learner's own line
        wrong.append(not _equal(old, new))

    return _told(wrong, _turns(study, k, compare), k, study)


def suspected_steps(study: Study, suspect: Suspect) -> Steps | None:
    """Where other numbers would be needed, of a line that has no correction."""
    solution = suspect.solution
    if solution is None:
        return None
    change, i, wrong = np.abs(solution.x - solution.x0), 0, []
    sizes = iter(solution.sizes)
    for made in suspect.results:
        size = sum(next(sizes) for _ in made)
        wrong.append(bool(change[i : i + size].max(initial=0) > 1e-9))
        i += size
    return _told(wrong, _turns(study, suspect.statement), suspect.statement, study)


def _at(node: Any) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _equal(a: Any, b: Any) -> bool:
    a, b = plain(a), plain(b)
    try:
        return np.shape(a) == np.shape(b) and bool(np.allclose(a, b, 1e-9, 1e-12))
    except (TypeError, ValueError):
        return bool(a == b)


def _turns(study: Study, k: int, look: Any = None) -> list[dict[str, Any]]:
    """What the loops around a statement stand at, at each of its executions, in a run once more."""
    names = _counters(study, k)
    turns: list[dict[str, Any]] = []

    def watch(frame: FrameType) -> None:
        turns.append({n: frame.f_locals[n] for n in names if n in frame.f_locals})
        if look is not None:
            look(frame)

    record = Record()
    record.watch = k, watch
    try:
        Study(study.source, study.parameters, study.values, record)
    except Exception:  # a line that cannot be evaluated by itself
        return []
    return turns


def _counters(study: Study, k: int) -> list[str]:
    """The names that loops around a statement count with."""
    unit, statement = study.statements[k]
    loops = [
        n for n in ast.walk(unit.tree)
        if isinstance(n, ast.For) and n.lineno < statement.lineno <= (n.end_lineno or 0)
    ]  # fmt: skip
    every = ([n.id for n in ast.walk(x.target) if isinstance(n, ast.Name)] for x in loops)
    return [names[0] for names in every if names]


def _told(wrong: Sequence[bool], turns: list[dict[str, Any]], k: int, study: Study) -> Steps | None:
    count = sum(wrong)
    if len(wrong) < 2 or not count:
        return None
    said = say("code.steps" if any(turns) else "code.calls", count=count, n=len(wrong))
    if count <= _TOLD and count < len(wrong) and len(turns) == len(wrong):
        at = [_place(turn) for turn, off in zip(turns, wrong) if off]
        if all(at):
            said = say("code.only_at", places=together("code.and", *at))
    return Steps(count, len(wrong), said)


def _place(turn: dict[str, Any]) -> str:
    known = [f"{name} = {x}" for name, x in turn.items() if isinstance(x, (int, str, np.integer))]
    return ", ".join(known)
