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
from tinygrad_edu.diagnosis.places import Place
from tinygrad_edu.sheets.evaluate import FAILURES, as_array, forget
from tinygrad_edu.sheets.lines import Key, Statement
from tinygrad_edu.sheets.syntax import Expr

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
            if size:
                self.sizes.setdefault(key, set()).add(size)
        final = context.judged.final.keys()
        self.lines: list[Statement] = []  # that are computed from gradients
        sources: dict[Key, set[Key]] = {}  # what each line is computed from, of other such lines
        for s in context.sheet.backward:
            if s.key not in final:
                above = sources.keys() & s.expr.names
                sources[s.key] = above.union(*(sources[key] for key in above))
                if above or not s.expr.names.isdisjoint(final):
                    self.lines.append(s)
        found = {s.key: self._constants(context.value(self._name(s))) for s in self.lines}
        lengths = {n for given in context.sheet.givens.values() for n in given.shape} | {1, 2}
        sizes = {size for n in lengths for size in (float(n), 1 / n)}
        usual = {float(f"{sign * size:.6g}") for sign in (1, -1) for size in sizes}
        common = Counter(c for constants in found.values() for c in constants & usual)
        #: How most lines are scaled: as the gradients are, m times as large, of the other sign.
        self.constant = common.most_common(1)[0][0] if common else 1.0
        right = {s.key for s in self.lines if self.constant in found[s.key]}
        right |= {key for s in self.lines if s.key in right for key in sources[s.key]}
        doubtful = {
            s.key: s for s in self.lines
            if s.plain and s.key not in right and np.any(context.value(self._name(s)))
        }  # fmt: skip
        self.first = [s for s in doubtful.values() if doubtful.keys().isdisjoint(sources[s.key])]
        read = {key for s in self.first for key in s.expr.names}
        near = [*self.first, *(s for s in context.sheet.backward if s.key in read)]
        self._turns = {(s.line, s.name): s for s in reversed(near) if s.key not in final}

    def _constants(self, value: Any) -> set[float]:
        """What numbers may be of the gradient of some node, or of a part of it: equal to it, m
        times it, minus it."""
        key, size = _known_by(value)
        return (
            {float(f"{size / other:.6g}") for other in self.sizes.get(key, ())} if size else set()
        )

    def would_be_right(self, place: Place, turn: Statement, e: Expr) -> bool:
        """Is a line, with a formula in its place, in one turn the gradient of some node, or a line
        that reads it; of one that is only read by doubtful lines: are all of these?"""
        value = place.value_in(turn, e)
        if value is None or np.shape(value) != np.shape(self.context.value(self._name(turn))):
            return False
        if turn in self.first:
            return self._is_gradient(value) or any(self._reads(self.lines, turn, value))
        return all(self._reads(self.first, turn, value))

    def _is_gradient(self, value: Any) -> bool:
        return self.constant in self._constants(value)

    def _reads(self, lines: list[Statement], turn: Statement, value: Any) -> Iterator[bool]:
        """Of the lines that read one: is each the gradient of a node with this value?"""
        for s in lines:
            if turn.key in s.expr.names:
                others = {self._name(turn): value}
                try:
                    read = self.context.at[0].value_where(s.expr, others, {turn.key})
                except FAILURES as error:
                    forget(error)
                    read = None
                yield self._is_gradient(as_array(read))

    def rank(self, turn: Statement) -> tuple[bool, int]:
        """What is looked at first: what several doubtful lines read, then these themselves."""
        readers = sum(turn.key in s.expr.names for s in self.first)
        return readers < 2 and turn not in self.first, -readers

    def _name(self, statement: Statement) -> Expr:
        return self.context.name(statement.key)

    def turn_of(self, statement: Statement) -> Statement | None:
        """The turn in which a line is the first that is doubtful, or is read by one of these."""
        return self._turns.get((statement.line, statement.name))


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
