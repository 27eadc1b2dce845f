"""How a constant is written in a sheet's own terms: 0.2 as ``1 / m``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from tinygrad_edu.checking.truth import is_scalar
from tinygrad_edu.checking.verdict import Judged
from tinygrad_edu.core.value import Value
from tinygrad_edu.sheets.syntax import Expr

Constant = tuple[float, Expr]


class Constants:
    """The constants a sheet can write with its numbers and the names of numbers.

    `parts` are the formulas of its forward lines; `constant` says which number a formula is
    everywhere, None if it is no such number.
    """

    def __init__(
        self, judged: Judged, parts: list[Expr], constant: Callable[[Expr], float | None]
    ) -> None:
        self.sheet, self.sample, self.constant = judged.sheet, judged.samples[0], constant
        self.make, self.number = self.sheet.formulas.make, self.sheet.formulas.number
        self.lengths = {n for given in self.sheet.givens.values() for n in given.shape if n > 1}
        numbers = [e for e in parts if e.op == "number" and is_scalar(e.extra)]
        #: Are constants written as decimal numbers in this sheet?
        self.decimals = any(type(e.extra) is float and not e.extra.is_integer() for e in numbers)
        self._known: dict[float, Expr] = {}
        with np.errstate(all="ignore"):
            for value, e in self._written(parts, numbers):
                if np.isfinite(value) and value != 0:
                    self._known.setdefault(_rounded(value), e)

    # --- what the sheet can write --------------------------------------------------------------

    def _written(self, parts: list[Expr], numbers: list[Expr]) -> Iterator[Constant]:
        """Constants as one would write them, the plainer way first."""
        whole = [self._of(n) for n in (1, 2, 3, 4, 0.5)]
        one, two = whole[:2]
        negative, over, times = self._negative, self._over, self._times
        named = [c for c in self.named() if c[0] not in (0.0, 1.0)]
        sums = [c for c in self._computed(parts) if c[1].op in ("+", "-")]
        for c in whole:
            yield from (c, negative(c))
        yield from named
        yield from (over(one, c) for c in named)
        for e in numbers:  # 0.1 is what was written, 1 / (2 * m) by accident
            if isinstance(e.extra, float):
                yield from ((e.extra, e), negative((e.extra, e)))
        for c in named:
            yield from (negative(c), negative(over(one, c)), over(two, c), times(two, c))
            yield 1 - c[0], self.make("-", one[1], c[1])
            yield from (over(one, times(two, c)), negative(over(two, c)))
        for c, d in itertools.permutations([*named[:6], *sums[:2]], 2):
            yield from (over(c, d), times(c, d), over(times(two, c), d), over(c, times(two, d)))
        yield from (over(one, (e.extra, e)) for e in numbers)
        for c in self._computed(parts):
            yield from (c, over(one, c))
        for c, d in itertools.combinations(named[:6], 2):
            yield from (over(one, times(c, d)), over(two, times(c, d)))
        yield from (over(one, self._of(n)) for n in self.lengths)

    def named(self) -> Iterator[Constant]:
        """The single numbers that have a name and are no part of a graph."""
        for statement in self.sheet.forward:
            value = self.sample.plain.get(statement.key)
            if is_scalar(value) and not isinstance(self.sample.graph.values[statement.key], Value):
                yield float(value), self.sheet.formulas.name(*statement.key)

    def _computed(self, parts: list[Expr]) -> Iterator[Constant]:
        """What the forward lines compute of numbers alone."""
        for e in parts:
            value = None if e.op in ("number", "name") else self.constant(e)
            if value is not None:
                yield value, e

    def _of(self, n: float) -> Constant:
        return float(n), self.number(n)

    def _negative(self, c: Constant) -> Constant:
        return -c[0], self.make("neg", c[1])

    def _over(self, c: Constant, d: Constant) -> Constant:
        return float(np.divide(c[0], d[0])), self.make("/", c[1], d[1])

    def _times(self, c: Constant, d: Constant) -> Constant:
        return c[0] * d[0], self.make("*", c[1], d[1])

    # --- what is asked for ---------------------------------------------------------------------

    def written(self, value: float, any_number: bool = False) -> Expr | None:
        """A constant as the sheet would write it; None if it is not a nice one."""
        if not np.isfinite(value) or value == 0:
            return None
        found = self._known.get(_rounded(value)) or self._of_sizes(value)
        if found is None and abs(value) < 1000 and abs(value - round(value)) < 1e-9 * abs(value):
            whole = self.number(abs(round(value)))
            return whole if value > 0 else self.make("neg", whole)
        return self._any(value) if found is None and any_number else found

    def _any(self, value: float) -> Expr:
        """A constant as a short decimal number or a fraction, else with all its digits."""
        short = float(f"{value:.4g}")
        if self.decimals and abs(short - value) < 1e-12 * value:
            return self.number(short)
        ratio = Fraction(value).limit_denominator(1000)
        if ratio > 0 and abs(float(ratio) - value) < 1e-11 * value:
            return self.make("/", self.number(ratio.numerator), self.number(ratio.denominator))
        return self.number(float(f"{value:.12g}"))

    def _of_sizes(self, value: float) -> Expr | None:
        """A fraction with a named size in it: 2 / 15 as ``2 / (3 * m)`` where m = 5."""
        found: list[tuple[int, Expr]] = []
        for size, name in self.named():
            if size not in self.lengths:
                continue
            rest = Fraction(abs(value) * size).limit_denominator(1000)
            over, under = rest.numerator, rest.denominator
            if not rest or abs(float(rest) / size - abs(value)) > 1e-11 * abs(value):
                continue
            if over <= 4 and (under in self.lengths or under == 2):
                below = self.make("*", self.number(under), name)
                found.append((over + under, self.make("/", self.number(over), below)))
        if not found:
            return None
        nearest = min(found, key=lambda item: item[0])[1]
        return nearest if value > 0 else self.make("neg", nearest)

    def times(self, constant: float, e: Expr) -> Expr | None:
        """``constant * e`` as one would write it: with ``/ m`` behind, without ``1 *``."""
        make = self.make
        if _rounded(constant) in (1.0, -1.0):
            return e if constant > 0 else make("neg", e)
        found = self.written(constant)
        if found is None or found.op != "/":
            return found and make("*", found, e)
        over, under = found.args
        return make("/", e if over is self.number(1) else make("*", over, e), under)


def _rounded(value: float) -> float:
    return float(f"{value:.9g}")
