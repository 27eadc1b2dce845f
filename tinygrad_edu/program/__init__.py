"""From a recorded graph to a fast straight-line program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.signature import checked
from tinygrad_edu.core.value import Value
from tinygrad_edu.program.compiling import compile_graph
from tinygrad_edu.program.program import Program
from tinygrad_edu.program.stepping import Step, Update

__all__ = ["Program", "Step", "compile"]


@checked
def compile(
    cost: Value,
    names: Mapping[str, Any] | None = None,
    also: Mapping[str, Value] | None = None,
    update: Any = None,
    clip: float | None = None,
) -> Program:
    """A program that computes `cost` and its gradients from new numbers, in straight-line NumPy.

    ``program(W1=…, X=…)`` returns the cost and ``{"W1": dW1, …}``. Arguments are the named
    leaves of the graph, and ``arg0``, ``arg1`` … for unnamed ones that require a gradient;
    ``names=locals()`` names them after variables. Unnamed constants, and plain numbers
    that met a Value, are part of the program. `Program.source` is it as a text that runs by itself.
    `also`: further Values to compute, by name; their numbers are then a third result.

    `update`: an optimiser. The program is then a whole step of training, a `Step`, which keeps the
    parameters and moves them: ``step(X=…)`` returns the cost alone. `clip`: a limit for the norm
    of the gradients, as in `tinygrad_edu.nn.fit`.

    Its numbers are the graph's: elementwise to the last digits, infinities, nan and the ends of the
    range of floats included. Sums may be added up in another order, and a sigmoid and its loss keep
    digits that the graph's have lost.

    What was recorded is fixed: shapes, dtypes, and every decision that Python took on the numbers
    (an ``if`` on ``.data``, a mask or a dropout drawn from random numbers).

    Raises GradError where `cost` is not a single number, needs no gradient, or where two leaves
    have the same name; with `update`, where parameters are of several dtypes, or the optimiser's
    formula looks at more than one number at a time. TypeError where that is no optimiser.

    >>> w, x = tg.Value(2.0, "w"), tg.Value(5.0, "x")
    >>> program = tg.compile(w * x + w)
    >>> program(w=3.0, x=7.0)
    (24.0, {'w': 8.0, 'x': 3.0})
    """
    if update is not None and not callable(getattr(update, "update", None)):
        raise TypeError(f"compile: update= is an optimiser, such as nn.Adam(0.001), not {update!r}")
    if clip is not None and not (update is not None and clip > 0):
        raise GradError(f"compile: clip={clip} is a positive limit, for a step with update=")
    return compile_graph(cost, names or {}, also or {}, update and Update(update, clip))
