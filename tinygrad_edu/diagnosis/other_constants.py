"""A sheet with other constants: what is right with ``beta = 3`` may be so by accident.

Where 2 * beta is m, a term without both is right on every sample. So the constants that a sheet
gives names to are changed, and a correction that is right there too is preferred. (One that is not
may be right all the same: a learner may write 3 where the sheet says beta.)
"""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import numpy as np

from tinygrad_edu.checking.samples import Sample
from tinygrad_edu.checking.truth import equal, is_scalar
from tinygrad_edu.checking.verdict import Judged, Truth
from tinygrad_edu.sheets.account import Account
from tinygrad_edu.sheets.evaluate import Evaluator
from tinygrad_edu.sheets.lines import Key
from tinygrad_edu.sheets.sheet import Sheet
from tinygrad_edu.sheets.syntax import Expr, parts


class OtherConstants:
    """The true values of a judged sheet whose constants are others."""

    def __init__(self, judged: Judged, account: Account) -> None:
        sheet, self.sample = judged.sheet, None
        self.constants = _constants(sheet)
        numbers = judged.samples[-1].graph.numbers | _others(self.constants)
        if self.constants:
            with contextlib.suppress(ValueError, ArithmeticError):  # SheetError is a ValueError
                sample = Sample(sheet, sheet.graph(numbers, account), account)
                self.evaluator = Evaluator(_world(judged, sample, account), account)
                self.sample = sample if sample.good else None

    def spelt_out(self, line: Expr) -> bool:
        """Does a line have one of the constants as a number?"""
        numbers = {e.extra for e in parts(line) if e.op == "number"}
        return not numbers.isdisjoint(self.constants.values())

    def right(self, e: Expr, truth: Truth) -> bool:
        """Is a formula true of a quantity here too, or can that not be told?"""
        if self.sample is None:
            return True
        return equal(self.evaluator.array(e), truth.factor * self.sample.gradient(truth.key))


def _constants(sheet: Sheet) -> dict[str, float]:
    """The numbers that have a name in the forward lines and are no lengths."""
    lengths = {n for given in sheet.givens.values() for n in given.shape}
    assigned = [s.name for s in sheet.forward]
    return {
        s.name: s.expr.extra
        for s in sheet.forward
        if s.expr.op == "number" and is_scalar(s.expr.extra) and assigned.count(s.name) == 1
        if isinstance(s.expr.extra, float) or s.expr.extra not in lengths
    }


def _others(constants: dict[str, float]) -> dict[str, float]:
    """Another number for each; for a whole one the next."""
    shares = itertools.cycle((0.83, 0.71, 0.89, 0.77))
    return {
        name: n * next(shares) if isinstance(n, float) else n + 1 for name, n in constants.items()
    }


def _world(judged: Judged, sample: Sample, account: Account) -> dict[Key, Any]:
    """What every name is where every claim holds its truth."""
    world = dict(sample.plain)
    evaluator = Evaluator(world, account)
    with np.errstate(all="ignore"):
        for s in judged.sheet.backward:
            claim = judged.final.get(s.key)
            truth = None if claim is None else judged.judgements[claim.name].truth
            world[s.key] = (
                evaluator.get(s.expr)
                if truth is None
                else truth.factor * sample.gradient(truth.key)
            )
    return world
