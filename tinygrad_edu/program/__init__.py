"""From a recorded graph to a fast straight-line program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinygrad_edu.core.signature import checked
from tinygrad_edu.core.value import Value
from tinygrad_edu.program.compiling import compile_graph
from tinygrad_edu.program.program import Program

__all__ = ["Program", "compile"]


@checked
def compile(
    cost: Value, names: Mapping[str, Any] | None = None, also: Mapping[str, Value] | None = None
) -> Program:
    """A program that computes `cost` and its gradients from new numbers, in straight-line NumPy.

    ``program(W1=…, X=…)`` returns the cost and ``{"W1": dW1, …}``. Arguments are the named
    leaves of the graph, and ``arg0``, ``arg1`` … for unnamed ones that require a gradient;
    ``names=locals()`` names them after variables. Unnamed constants, and plain numbers
    that met a Value, are part of the program. `Program.source` is it as a text that runs by itself.
    `also`: further Values to compute, by name; their numbers are then a third result.

    Its numbers are the graph's: elementwise to the last digits, infinities, nan and the ends of the
    range of floats included. Sums may be added up in another order, and a sigmoid and its loss keep
    digits that the graph's have lost.

    What was recorded is fixed: shapes, dtypes, and every decision that Python took on the numbers
    (an ``if`` on ``.data``, a mask or a dropout drawn from random numbers).

    Raises GradError where `cost` is not a single number, needs no gradient, or where two leaves
    have the same name.

    >>> w, x = tg.Value(2.0, "w"), tg.Value(5.0, "x")
    >>> program = tg.compile(w * x + w)
    >>> program(w=3.0, x=7.0)
    (24.0, {'w': 8.0, 'x': 3.0})
    """
    return compile_graph(cost, names or {}, also or {})
