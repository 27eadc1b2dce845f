"""The gradients of a program once more, where a nan came out of what a branch may have left out.

A graph gives them so: see `tinygrad_edu.core.branches`. The Symbols that a program was written from
are computed on its numbers, and the one sweep there is runs on those, knowing which zeros are
certain. It takes long and is seldom needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core import branches
from tinygrad_edu.core.primitive import plain
from tinygrad_edu.core.sweep import sweep
from tinygrad_edu.core.value import Value
from tinygrad_edu.program.symbol import Symbol, needed

#: An argument's name, and the Symbols of it: one, or one for each number of a list.
Part = tuple[str, Sequence[Symbol]]


class Careful:
    """The Symbols of a cost and its arguments; and in which gradients a nan is looked for."""

    def __init__(self, root: Symbol, arguments: Sequence[Part], watched: Sequence[str]) -> None:
        self._root = root
        self._arguments = arguments
        self._watched = watched

    def suspects(self, gradients: dict[str, Any]) -> bool:
        """May there be a nan?"""
        for name in self._watched:
            g = gradients[name]
            if type(g) is np.ndarray:
                row = g.ravel()
                if not row.dot(row) >= 0:  # with a nan in it the square is nan
                    return True
            elif type(g) is list:
                total = sum(g)
                if total != total:
                    return True
            elif g != g:
                return True
        return False

    def gradients(self, numbers: Sequence[Any]) -> dict[str, Any]:
        """All gradients from the numbers of the arguments, in the form the program reads them."""
        root = self._root
        known: dict[Symbol, Any] = {}
        for (_, symbols), x in zip(self._arguments, numbers):
            known.update(zip(symbols, [x] if len(symbols) == 1 else x))
        with np.errstate(all="ignore"):
            for s in needed([root]):
                if s.op is not None:
                    known[s] = s.op.evaluate(tuple([known[x] for x in s.parents]), s.options)
                elif s.constant:
                    known[s] = s.value
            found = sweep(root, branches.Certain(root.dtype.type(1)), lambda s: _read(s, known))
        return {
            name: grads[0] if len(grads) == 1 else grads
            for name, symbols in self._arguments
            if symbols[0].requires_grad
            for grads in [[_numbers(found.get(s), s) for s in symbols]]
        }


def careful_where_steep(
    root: Symbol, arguments: Sequence[Part], nodes: Sequence[Value]
) -> Careful | None:
    """What looks for a nan where a graph does: in numbers, and where a slope may be infinite."""
    steep = not branches.gentle(nodes)
    learning = [part for part in arguments if part[1][0].requires_grad]
    watched = [name for name, symbols in learning if steep or not symbols[0].shape]
    return Careful(root, arguments, watched) if watched else None


def _read(s: Symbol, known: dict[Symbol, Any]) -> tuple[Any, tuple[Any, ...]]:
    """What a rule sees: a zero is certain in what needs no gradient only."""
    inputs = [
        branches.Certain(known[x], False if x.requires_grad else np.equal(known[x], 0))
        for x in s.parents
    ]
    return branches.Certain(known[s]), tuple(inputs)


def _numbers(g: Any, s: Symbol) -> Any:
    return plain(np.zeros(s.shape, s.dtype) if g is None else np.array(g.data, s.dtype))
