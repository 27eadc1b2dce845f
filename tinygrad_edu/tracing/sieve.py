"""Edits of one statement sieved before they are tried: do they give the numbers that are needed?

The learner's code runs once; wherever the statement is about to be executed, its formula is
evaluated with every edit. What a repair needs is known from linear algebra, so that few edits are
tried on the whole program.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any

import numpy as np

from tinygrad_edu.tracing.edits import Edit
from tinygrad_edu.tracing.parameters import Values
from tinygrad_edu.tracing.ranking import Suspect
from tinygrad_edu.tracing.repair import Sites, effects
from tinygrad_edu.tracing.scope import Scope, called
from tinygrad_edu.tracing.study import Runner
from tinygrad_edu.tracing.trial import Trials, applied, looking

#: So many numbers are computed in one go.
_NUMBERS = 4_000_000
#: What costs no more is tried, sieved or not, where not all is known of what is needed.
_SMALL = 2
_LOOK = "__look__"


class Sieve:
    """Sieves the edits of one statement, in a workspace without a record.

    `ready`: can it be done: is its formula what was recorded as its result, at each execution?
    """

    def __init__(
        self, trials: Trials, runner: Runner, values: Values, scope: Scope, statement: Any,
        formula: Any, sites: Sites, suspect: Suspect,
    ) -> None:  # fmt: skip
        assert suspect.solution is not None
        self.trials, self.runner, self.values = trials, runner, values
        self.scope, self.statement, self.solution = scope, statement, suspect.solution
        self._formula = _held(scope.up[formula], formula)
        executions, solution, k = suspect.results, suspect.solution, suspect.statement
        self.shapes = sites.spread(k, solution.shapes)
        self.ready = False
        self._begun = solution.begun(executions)
        # What is held by then is as wrong as what was added before: the numbers tell little.
        self._adds_up = isinstance(statement, ast.AugAssign) and len(executions) > 1
        if self._is_pure() and all(len(made) == 1 for made in executions):
            recorded = [made[0].value for made in executions]
            (own,) = self._results([self._code()], sites.spread(k, [x.shape for x in recorded]))
            before = np.concatenate([np.ravel(x) for x in recorded])
            self.ready = own is not None and np.allclose(own, before, 1e-9, 1e-12)
            if self.ready and self._adds_up:
                self._own, self._effect = own, next(effects(sites, executions, solution))

    def passed(self, edits: Sequence[Edit]) -> list[Edit]:
        """The edits after which the statement computes what is needed; and those of other kinds."""
        inside = set(ast.walk(self._formula()))
        known = [e for e in edits if not isinstance(e.node, list) and e.node in inside]
        passed = [e for e in edits if isinstance(e.node, list) or e.node not in inside]
        if self._adds_up or not self.solution.affine:
            passed += [e for e in known if e.cost <= _SMALL]
            known = [e for e in known if e.cost > _SMALL]
        most = 1 + _NUMBERS // sum(self.solution.sizes)
        for i in range(0, len(known), most):
            some = known[i : i + most]
            results = self._results([self._edited(edit) for edit in some], self.shapes)
            passed += [
                edit for edit, x in zip(some, results)
                if x is not None and self._fits(x)
            ]  # fmt: skip
        return passed

    def _fits(self, x: Any) -> bool:
        """Do results like these, or their first, do?"""
        if self._adds_up:
            off = self._effect.jacobian @ (x - self._own) - self._effect.missing
            if np.abs(off).max(initial=0) <= 1e-6 * np.abs(self._effect.missing).max(initial=0):
                return True
        return self.solution.may_begin(x[: self._begun])

    def _edited(self, edit: Edit) -> CodeType | None:
        back = applied(self.scope, edit)
        try:
            return self._code()
        finally:
            back()

    def _code(self) -> CodeType | None:
        try:
            return compile(ast.Expression(self._formula()), "<line>", "eval")
        except (ValueError, TypeError, SyntaxError):
            return None

    def _is_pure(self) -> bool:
        """A formula that is assigned, returned or handed over, and changes nothing itself."""
        s, scope = self.statement, self.scope
        if isinstance(s, ast.AugAssign) and not isinstance(s.op, (ast.Add, ast.Sub)):
            return False
        parts = ast.walk(self._formula())
        calls = {called(node) for node in parts if isinstance(node, ast.Call)}
        return not calls & scope.changing and bool(scope.block(s))

    def _results(self, codes: Sequence[CodeType | None], shapes: Sequence[Any]) -> list[Any]:
        """What each formula gives at all executions, in a row; None if it has another shape."""
        look = _Look(self.statement, codes, shapes)
        names = self.runner.workspace.names["__builtins__"]
        block = self.scope.block(self.statement)
        before = looking(self.scope, (block, block.index(self.statement)), _LOOK)
        names[_LOOK] = look
        try:
            with self.trials.changed(self.scope, [before]):
                self.runner.outcome(self.values)
        except Exception:  # the code is run otherwise than it was recorded
            return [None] * len(codes)
        finally:
            del names[_LOOK]
        whole = look.turn >= len(shapes)
        return [np.concatenate(x) if whole and x is not None else None for x in look.values]


class _Look:
    """Called before each execution of a statement: evaluates formulas in its place."""

    def __init__(self, statement: Any, codes: Sequence[CodeType | None], shapes: Any) -> None:
        self.codes, self.shapes = codes, shapes
        self.values: list[list[Any] | None] = [[] for _ in codes]
        self.turn, self._inside = 0, False
        self._held: CodeType | None = None
        self._sign = 1
        if isinstance(statement, ast.AugAssign):
            held = ast.parse(ast.unparse(statement.target), mode="eval")
            self._held = compile(held, "<line>", "eval")
            self._sign = 1 if isinstance(statement.op, ast.Add) else -1

    def __call__(self, reached: object = None) -> None:
        if self._inside:  # a formula called the function that it stands in
            return
        self._inside = True
        frame = sys._getframe(1)
        names = {**frame.f_globals, **frame.f_locals}
        # A last execution whose result nobody reads may not have been recorded.
        shape = self.shapes[self.turn] if self.turn < len(self.shapes) else None
        self.turn += 1
        if shape is not None:
            self._look(names, shape)
        self._inside = False

    def _look(self, names: dict[str, Any], shape: tuple[int, ...]) -> None:
        held = 0.0 if self._held is None else eval(self._held, names)  # noqa: S307
        for i, code in enumerate(self.codes):
            made = self.values[i]
            if made is not None:
                x = _value(code, names, held, self._sign)
                fits = x is not None and np.shape(x) == shape
                self.values[i] = [*made, np.ravel(x).copy()] if fits else None


def _value(code: CodeType | None, names: dict[str, Any], held: Any, sign: int) -> Any:
    """What a formula gives, added to what is held already; None for what is no numbers."""
    if code is None:
        return None
    try:
        x: Any = held + sign * np.asarray(eval(code, names))  # noqa: S307
    except Exception:  # a change may make anything of a formula
        return None
    return x if np.asarray(x).dtype.kind == "f" and np.isfinite(x).all() else None


def _held(parent: Any, formula: Any) -> Callable[[], Any]:
    """What stands in the place of a formula, as it is then."""
    for field, value in ast.iter_fields(parent):
        if value is formula:
            return lambda: getattr(parent, field)
        if isinstance(value, list) and formula in value:
            i = value.index(formula)
            return lambda: value[i]
    raise ValueError("the formula is not where it was")
