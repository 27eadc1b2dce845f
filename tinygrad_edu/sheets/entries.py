"""The entries of an array that is filled part by part, as in a recurrence.

``H[t + 1] = np.tanh(H[t] @ W)``: people who go backward through time call the gradient of ``H[t]``
when it was written dH[t], with what it does to all later entries. The array in the end knows only
what is read from it there. So a zero is added to each entry where it is written: the gradient of
these zeros is that of the entries.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core.value import Value
from tinygrad_edu.sheets.account import shape_of
from tinygrad_edu.sheets.evaluate import Evaluator
from tinygrad_edu.sheets.syntax import Expr, Formulas


class Entries:
    """The zeros that are added to one array: to the entries that it begins with, and to `each` that
    is written."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.all: Value | None = None
        self.each: Value | None = None
        self.written: Any = None  # how often each entry was

    def added(self, formulas: Formulas, e: Expr, value: Any, evaluator: Evaluator) -> Any:
        """What a line makes of the array, with the zeros added to the entries that it writes."""
        if self.all is None or self.each is None:
            self.written = np.zeros(shape_of(value))
            self.all = Value(self.written, self.name)
            self.each = +self.all
            self.each.name = self.name
            return value + self.all
        old, *index, _ = e.args
        known = {**evaluator.known, old.extra: np.zeros(self.all.shape)}
        ones = formulas.make("setitem", old, *index, formulas.number(1.0))
        here = Evaluator(known, evaluator.account).value(ones)
        self.written = self.written + here
        return value + self.each * here

    def nodes(self) -> list[Value]:
        """What a gradient of the entries may be meant of: those that were written, each once; and
        those too that the array began with."""
        if self.all is None or self.each is None or np.any(self.written > 1):
            return []
        return [self.each] if np.all(self.written) else [self.each, self.all]
