"""Which scratch lines are suspect: the first whose numbers are no gradient of anything.

``gr = gg * Q[t] * R[t] * (1 - R[t])`` claims nothing, but what people compute on the way back are
mostly gradients: of a part of a forward line, in one turn of a loop, for one example. So a line
whose numbers are those of the gradient of some node of the graph is right, and so is all that it is
computed from; of the others the first ones are looked at before the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.diagnosis.context import Context, fingerprint
from tinygrad_edu.sheets.lines import Key, Statement

#: Gradients of more numbers are not known by their rows and columns as well.
_MOST_SLICED = 4_000


class Suspects:
    """The backward lines that claim nothing, in the light of the gradients of all nodes.

    `first`: the doubtful ones that are computed from no other doubtful one.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        #: What the gradients of all nodes are known by, with their sizes.
        self.sizes: dict[Any, set[float]] = {}
        for key, size in _of_parts(context.samples[0].gradients.values()):
            self.sizes.setdefault(key, set()).add(size)
        final, lines = context.judged.final.keys(), list[Statement]()
        sources: dict[Key, set[Key]] = {}  # what each line is computed from, of other such lines
        for s in context.sheet.backward:
            if s.key not in final:
                above = sources.keys() & s.expr.names
                sources[s.key] = above.union(*(sources[key] for key in above))
                if above or not s.expr.names.isdisjoint(final):
                    lines.append(s)
        found = {s.key: self._constants(context.value(context.name(s.key))) for s in lines}
        common = Counter(c for constants in found.values() for c in constants).most_common(1)
        #: What the learner's lines are of the gradients, most of them.
        self.constant = common[0][0] if common else 1.0
        right = {s.key for s in lines if self.constant in found[s.key]}
        right |= {key for s in lines if s.key in right for key in sources[s.key]}
        doubtful = {
            s.key: s for s in lines
            if s.plain and s.key not in right and np.any(context.value(context.name(s.key)))
        }  # fmt: skip
        self.first = [s for s in doubtful.values() if doubtful.keys().isdisjoint(sources[s.key])]

    def _constants(self, value: Any) -> set[float]:
        """What numbers may be of the gradient of some node, or of a part of it: equal to it, m
        times it, minus it."""
        key, size = _known_by(value)
        return (
            {float(f"{size / other:.6g}") for other in self.sizes.get(key, ())} if size else set()
        )

    def is_gradient(self, value: Any) -> bool:
        """Are these numbers the gradient of some node, as the learner scales them?"""
        return self.constant in self._constants(value)

    def __contains__(self, statement: Statement) -> bool:
        """Is a line one of the first that are doubtful, in some turn, or read by one of these?"""
        here = (statement.line, statement.name)
        return any(here == (s.line, s.name) or statement.key in s.expr.names for s in self.first)


def _of_parts(gradients: Iterable[Any]) -> Iterator[tuple[Any, float]]:
    """What gradients, and their rows and columns, are known by."""
    for g in map(np.asarray, gradients):
        parts = [part for axis in range(g.ndim) for part in np.moveaxis(g, axis, 0)]
        yield from map(_known_by, [g, *(parts if 1 < g.size <= _MOST_SLICED else [])])


def _known_by(value: Any) -> tuple[Any, float]:
    """A key that numbers share, whatever their shape, up to a constant, and the largest of them.

    Single numbers are known by themselves.
    """
    v = np.ravel(np.asarray(value, float)) if value is not None else np.zeros(0)
    size = float(v[int(np.argmax(np.abs(v)))]) if v.size else 0.0
    return (f"{abs(size):.8g}" if v.size == 1 else fingerprint(v)), size
