"""`check_code`: run a learner's code, follow it, judge it, name the line, correct it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.checking.conventions import CONVENTIONS
from tinygrad_edu.checking.table import Row
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.signature import checked
from tinygrad_edu.tracing.culprits import blamed, constant, suspected, unread
from tinygrad_edu.tracing.parameters import Parameters, Values, answer
from tinygrad_edu.tracing.ranking import Ranking
from tinygrad_edu.tracing.report import CodeLine, CodeReport
from tinygrad_edu.tracing.search import Search
from tinygrad_edu.tracing.study import NEAR, Runner, Study, same, unfollowed
from tinygrad_edu.tracing.workspace import Source, Workspace
from tinygrad_edu.words import say

#: So many entries of a gradient are compared with central differences.
_ENTRIES = 8
#: A gradient that is 0 is right when it is 0 up to rounding.
_FLOOR = 1e-6
#: So many mistakes, each with a correction of its own, are looked for.
_MISTAKES = 4
#: All looking for corrections together ends after so many seconds of processor time.
_SECONDS = 10.0


@checked
def check_code(
    run: Callable[..., Any], numbers: Mapping[str, Any], convention: str = "auto"
) -> CodeReport:
    """Judge back-propagation written in Python, as it stands; name the mistaken line, correct it.

    `run(numbers)` gives ``(cost, {"W1": dW1, …})``; `numbers`: a dict of arrays, numbers or lists.
    The functions and classes that `run` uses are compiled once more, into names of their own, and
    run many times on copies: nothing of yours is changed, and nothing is printed. **The code is
    executed**: of what strangers send, check a sheet. The gradients of parameters are ∂J/∂Q in
    every `convention`.

    Raises GradError for a `run` without a source, or one that returns something else.

    >>> import numpy as np
    >>> def run(numbers):
    ...     w, x = numbers["w"], 3.0
    ...     error = w * x - 1.0
    ...     return error**2, {"w": error * x}
    >>> report = tg.check_code(run, {"w": 2.0})
    >>> report.lines[0]["diagnosis"]["correction"]
    'return error**2, {"w": error * x * 2}'
    """
    if convention not in CONVENTIONS:
        raise GradError(f"convention is 'auto', 'lecture' or 'calculus', not {convention!r}")
    return judged(Source(run), numbers)


class Case:
    """One state of the learner's source, studied."""

    def __init__(self, source: Source, numbers: Mapping[str, Any]) -> None:
        self.source = source
        self.workspace = Workspace(source)
        first = Parameters.given(numbers)
        try:
            _, gradients = answer(self.workspace.run(first))
        except GradError:
            raise
        except Exception as error:
            raise GradError(f"check_code: run raised {told_error(error, source)}") from error
        self.parameters = Parameters(numbers, gradients)
        self.runner = Runner(self.workspace, self.parameters)

    def study(self) -> tuple[Study, str | None]:
        """A study at numbers near the given ones, where nothing is zero or equal by chance."""
        near = self.parameters.moved(0, NEAR)
        with np.errstate(all="ignore"):
            cost, _ = self.runner.outcome(near)
        values = near if np.isfinite(cost) else self.parameters.values
        study = Study(self.source, self.parameters, values)
        return study, unfollowed(study, self.runner, self.source)


def judged(source: Source, numbers: Mapping[str, Any], said: Sequence[str] = ()) -> CodeReport:
    """The report on a source; `said`: remarks there are already."""
    case = Case(source, numbers)
    file = source.title
    sources = {unit.file: unit.text for unit in source.units}
    remarks = [*said, *_remarks(case.parameters)]
    try:
        study, why = case.study()
    except GradError:
        raise
    except Exception as error:
        return _not_followed(case, file, told_error(error, source), remarks, sources)
    if why is not None:
        return _not_followed(case, file, why, remarks, sources)
    rows = _rows(case, study)
    idle = [row.of or "" for row in rows if row.verdict == "unchecked"]
    if idle:
        remarks.append(say("code.idle", names=", ".join(idle)))
    lines: list[CodeLine] = []
    corrected: dict[str, str] = {}
    if any(row.verdict == "wrong" for row in rows):
        lines, corrected, more = _culprits(case, study, numbers)
        remarks += more
    return CodeReport(file, rows, lines, remarks, sources=sources, corrected=corrected)


def told_error(error: Exception, source: Source) -> str:
    """An error of the learner's code, with the line it was raised at."""
    files = {unit.file for unit in source.units}
    at, line = error.__traceback__, None
    while at is not None:
        if at.tb_frame.f_code.co_filename in files:
            line = at.tb_lineno
        at = at.tb_next
    where = f" (line {line})" if line else ""
    return f"{type(error).__name__}: {error}{where}"


def _remarks(parameters: Parameters) -> list[str]:
    said: list[str] = []
    if parameters.missing:
        said.append(say("code.not_returned", names=", ".join(parameters.missing)))
    if parameters.unknown:
        said.append(say("code.of_nothing", names=", ".join(parameters.unknown)))
    return said


def _rows(case: Case, study: Study) -> list[Row]:
    rows = []
    for p in case.parameters.all:
        told, truth = study.gradients[p.name], study.truth[p.name]
        wrong = p.name in study.wrong
        verdict = "wrong" if wrong else "correct"
        if wrong and p.name not in study.reaching:
            verdict = "unchecked"
        rows.append(Row(
            name=f"d{p.name}", of=p.name, verdict=verdict,
            shape=None if told is None else tuple(np.shape(told)),
            expected_shape=tuple(truth.shape),
            max_error=_error(told, truth),
            numerical_error=_error(*_differences(case.runner, study.values, p.name, told)),
        ))  # fmt: skip
    return rows


def _error(told: Any, truth: Any) -> float | None:
    """The largest difference, as a share of the largest true number."""
    if told is None or truth is None or np.shape(told) != np.shape(truth):
        return None
    off = np.abs(np.asarray(told) - truth).max(initial=0)
    error = float(off / max(np.abs(truth).max(initial=0), _FLOOR))
    return error if np.isfinite(error) else None


def _differences(runner: Runner, values: Values, name: str, told: Any) -> tuple[Any, Any]:
    """Some entries of a gradient, and their central differences."""
    x = values[name]
    if told is None or np.shape(told) != x.shape:
        return None, None
    chosen = np.random.default_rng(0).permutation(x.size)[:_ENTRIES]
    slopes = []
    for i in chosen:
        direction = np.zeros(x.size)
        direction[i] = 1.0
        slopes.append(runner.slope(values, name, direction.reshape(x.shape)))
    return np.ravel(told)[chosen], np.array(slopes)


def _not_followed(
    case: Case, file: str, why: str, remarks: list[str], sources: Mapping[str, str]
) -> CodeReport:
    """What can be said without a record: nothing is judged, central differences are told."""
    rows, off = [], []
    values = case.parameters.values
    try:
        _, gradients = case.runner.outcome(values)
        for p in case.parameters.all:
            told = gradients[p.name]
            some, slopes = _differences(case.runner, values, p.name, told)
            if not (some is not None and same(some, slopes, 1e-4)):
                off.append(p.name)
            rows.append(Row(
                name=f"d{p.name}", of=p.name, verdict="unchecked",
                shape=None if told is None else tuple(np.shape(told)),
                expected_shape=tuple(p.value.shape), numerical_error=_error(some, slopes),
            ))  # fmt: skip
    except Exception:
        rows = []
    said = [say("code.could_not", why=why)]
    if off:
        said.append(say("code.differ", names=", ".join(off)))
    return CodeReport(file, rows, [], [*said, *remarks], followed=False, sources=sources)


def _culprits(
    case: Case, study: Study, numbers: Mapping[str, Any]
) -> tuple[list[CodeLine], dict[str, str], list[str]]:
    """The lines, and the sources corrected: one mistake after the other, as long as it helps."""
    start = case.source
    steps: list[CodeLine] = []
    first: tuple[Study, Ranking] | None = None
    texts = dict(start.texts)
    until = time.process_time() + _SECONDS
    for _ in range(_MISTAKES):
        ranking = Ranking(study)
        first = first or (study, ranking)
        search = Search(case.source, case.parameters, study, ranking, case.runner, until)
        found = search.run()
        if found:
            lines = blamed(study, ranking, found[0], found[1:], alone=not steps)
            texts[found[0].place.scope.unit.file] = found[0].text
            corrected = {f: t for f, t in texts.items() if t != start.texts.get(f)}
            every = sorted([*steps, *lines], key=lambda line: line.line)
            return every, corrected, []
        best = search.best_partial()
        if best is None:
            break
        steps += blamed(study, ranking, best, [], alone=False)
        texts[best.place.scope.unit.file] = best.text
        case = Case(Source(start.run, texts, start.shapes), numbers)
        study, why = case.study()
        if why is not None:
            break
    assert first is not None
    study, ranking = first
    suspects = [s for s in ranking.suspects if not s.passes] or ranking.suspects
    if ranking.alone or not suspects:
        suspects = suspects[:1]
    unrecorded = [name for name in study.wrong if name not in study.gradient_nodes]
    lines = [line for name in unrecorded if (line := constant(study, name)) is not None]
    lines += [] if ranking.alone else [unread(study, k) for k in ranking.never_read()]
    lines += [suspected(study, ranking, s, ranking.alone) for s in suspects]
    return lines, {}, []
