"""Every product of two things in use, compared with what is missing, while the code runs.

Random sums of the gradients' entries stand for all of them: few numbers are kept for a product.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Sequence
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.tracing.edits import binary, call, transposed
from tinygrad_edu.tracing.repair import Effect

#: A run in which more numbers than this would be compared is given up.
_NUMBERS = 30_000_000
#: So many random sums of the gradients' entries are compared, for all of them.
_SUMS = 6
#: By how much a term may be multiplied.
_SCALES = (1.0, 2.0, 0.5)
#: So many of a kind, the nearest, are handed on.
_MOST = 12
#: Entry by entry, matrix products with one side turned, the outer product, a number for each row,
#: sums over an axis.
_FORMS = ("*", ".", "T.", ".T", "outer", "rows", "sum0", "sum1")
_FACTORS = _FORMS[:6]

#: Sums of one thing over an axis, which is kept or not.
_SUMMED = ("all0", "all1", "all0k", "all1k")

Shape = tuple[int, ...]
#: Which things have a shape, and their values, stacked.
Groups = dict[Shape, tuple[list[int], Any]]


class Found(NamedTuple):
    """A product that is what is missing, times `scale`."""

    form: str
    left: int
    right: int
    scale: float


def by_rows(x: Any) -> Any:
    """``x[:, None]``."""
    column = ast.Tuple([ast.Slice(), ast.Constant(None)], ast.Load())
    return ast.Subscript(x, column, ast.Load())


def written(form: str, left: Any, right: Any, matmul: bool) -> Any:
    """A product as the learner would write it."""
    if form == "":
        return left
    if form in ("*", "sum0", "sum1"):
        made = binary(left, ast.Mult, right)
        return made if form == "*" else call("np.sum", made, axis=int(form[-1]), keepdims=True)
    if form in _SUMMED:
        kept = {"keepdims": True} if form[-1] == "k" else {}
        return call("np.sum", left, axis=int(form[3]), **kept)
    if form == "outer":
        return call("np.outer", left, right)
    if form == "rows":
        return binary(right, ast.Mult, by_rows(left))
    a = transposed(left) if form == "T." else left
    b = transposed(right) if form == ".T" else right
    return binary(a, ast.MatMult, b) if matmul else call("np.dot", a, b)


class Clock:
    """Which execution of a statement is under way, and what additions to its results do."""

    def __init__(self, shapes: Sequence[Shape | None], effect: Effect) -> None:
        self.turn, self.shapes, self.work = 0, shapes, 0
        random = np.random.default_rng(0)
        sums = random.normal(size=(_SUMS, effect.missing.size))
        self.missing, self.whole = sums @ effect.missing, effect.whole
        self.numbers: dict[int, float] = {}
        self.counts: set[int] = set()
        self.sums: list[Any] = []
        i = 0
        for shape in shapes:
            size = 0 if shape is None else math.prod(shape)
            self.sums.append(sums @ effect.jacobian[:, i : i + size])
            i += size

    def scale(self, brought: Any) -> float:
        """What `brought` must be multiplied by to be what is missing; 0 where nothing does."""
        size = float(brought @ brought)
        if not size > 0:
            return 0.0
        scale = float(brought @ self.missing) / size
        fits = np.abs(scale * brought - self.missing).max() <= 1e-6 * np.abs(self.missing).max()
        return self.nice(scale) if fits else 0.0

    def nice(self, scale: float) -> float:
        """A scale that can be written: a half, or a number in use, or one over it; else 0."""
        known = [x for x in self.numbers.values() if x]
        scales = (*_SCALES, *known, *(1 / x for x in known))
        nice = next((s for s in scales if abs(abs(scale) - s) <= 1e-6 * s), 0.0)
        return nice if scale > 0 else -nice


class Products:
    """What each thing, and each product of two, brings about at one spot of a formula.

    `context`: what the spot is multiplied by, as code; True where it is divided by it.
    """

    def __init__(
        self, count: int, atoms: int, clock: Clock, context: Sequence[tuple[CodeType | None, bool]]
    ) -> None:
        self.atoms, self.clock, self.context = atoms, clock, context
        self.turns = 0
        self.alone, self.alone_seen = np.zeros((count, _SUMS)), np.zeros(count, int)
        self.summed: dict[tuple[str, int], list[Any]] = {}
        self.brought = {form: np.zeros((count, count, _SUMS)) for form in _FORMS}
        self.seen = {form: np.zeros((count, count), int) for form in _FORMS}

    def add(self, names: dict[str, Any], groups: Groups, shape: Shape, sums: Any) -> None:
        """One execution, in which all things have the values in `groups`."""
        self.turns += 1
        for code, divided in self.context:
            x = value_of(code, names)
            if x is None or broadcast(x.shape, shape) != shape:
                return
            factor = np.ravel(np.broadcast_to(x * 1.0, shape))
            with np.errstate(all="ignore"):
                sums = sums / factor if divided else sums * factor
        for s, (i, a) in groups.items():
            if broadcast(s, shape) == shape:
                self.alone[i] += _spread(a, s, shape) @ sums.T
                self.alone_seen[i] += 1
            for form in _SUMMED if len(s) == 2 and s != shape else ():
                made = a.sum(1 + int(form[3]), keepdims=form[-1] == "k")
                if made.shape[1:] == shape:
                    for k, brought in zip(i, made.reshape(len(i), -1) @ sums.T):
                        _count(self.summed, (form, k), brought)
            for t, (j, b) in groups.items():
                for form in _FORMS:
                    self._add(form, (i, a, s), (j, b, t), shape, sums)

    def _add(self, form: str, left: Any, right: Any, shape: Shape, sums: Any) -> None:
        (i, a, s), (j, b, t) = left, right
        made = _shape(form, s, t)
        if made is None or (
            made != shape if form[:3] != "sum" else broadcast(made, shape) != shape
        ):
            return
        self.clock.work += len(i) * len(j) * max(math.prod(shape), 1)
        if self.clock.work > _NUMBERS:
            raise RuntimeError("too much to compare")
        at = np.ix_(i, j)
        every = _multiplied(form, a, b, s, t)
        flat = _spread(every.reshape(len(i) * len(j), *made), made, shape)
        self.brought[form][at] += (flat @ sums.T).reshape(len(i), len(j), -1)
        self.seen[form][at] += 1

    def terms(self) -> list[Found]:
        """What is missing, as one thing in use or a product of two, with its scale."""
        n, missing = self.atoms, self.clock.missing
        found = [
            Found("", i, i, scale) for i in range(n)
            if self.alone_seen[i] == self.turns and (scale := self.clock.scale(self.alone[i]))
        ]  # fmt: skip
        found += [
            Found(form, i, i, scale) for (form, i), (seen, brought) in self.summed.items()
            if i < n and seen == self.turns and (scale := self.clock.scale(brought))
        ]  # fmt: skip
        for form in _FORMS:
            whole = self.seen[form][:n, :n] == self.turns
            if form in ("*", "sum0", "sum1"):
                whole = np.triu(whole)
            some = self.brought[form][:n, :n]
            with np.errstate(all="ignore"):
                scales = some @ missing / np.einsum("ijk,ijk->ij", some, some)
                off = np.abs(some * scales[..., None] - missing).max(-1)
            for i, j in np.argwhere(whole & (off <= 1e-6 * np.abs(missing).max())):
                scale = self.clock.nice(float(scales[i, j]))
                if scale:
                    found.append(Found(form, int(i), int(j), scale))
        found.sort(key=lambda f: (f.form != "", abs(f.scale) != 1, f.left + f.right))
        return found[:_MOST]

    def lacks_less(self, of: int, sign: int) -> bool:
        """Is a summand too many, and nothing missing?"""
        off = np.abs(self.clock.missing + sign * self.alone[of]).max()
        whole = not self.clock.whole and self.alone_seen[of] == self.turns
        return whole and bool(off <= 1e-6 * np.abs(self.clock.missing).max())

    def factors(self, of: int, sign: int) -> list[Found]:
        """By what a summand must be multiplied, on either side."""
        if not self.clock.whole and self.alone_seen[of] < self.turns:
            return []
        goal = self.clock.missing + (0 if self.clock.whole else sign * self.alone[of])
        if not self.clock.whole and (scale := self._scale(self.alone[of], sign, goal)):
            return [Found("", of, of, scale)]
        found = []
        for form in _FACTORS:
            for i in range(self.atoms):
                for left, right in ((of, i), (i, of)) if form != "*" else ((of, i),):
                    if self.seen[form][left, right] == self.turns:
                        scale = self._scale(self.brought[form][left, right], sign, goal)
                        if scale:
                            found.append(Found(form, left, right, scale))
        return sorted(found, key=lambda f: (abs(f.scale) != 1, min(f.left, f.right)))[:_MOST]

    def _scale(self, brought: Any, sign: int, goal: Any) -> float:
        """By what nice number something must be multiplied to bring what is wanted; else 0."""
        size = float(brought @ brought)
        scale = sign * float(brought @ goal) / size if size > 0 else 0.0
        limit = 1e-6 * max(np.abs(goal).max(), np.abs(self.clock.missing).max())
        fits = scale and np.abs(sign * scale * brought - goal).max() <= limit
        return self.clock.nice(scale) if fits else 0.0


class Watch:
    """Called before a statement is executed: adds up what every product would bring about.

    `contexts`: for each spot of the formula what it is multiplied by; `ticks`: does it keep time?
    """

    def __init__(
        self, codes: Sequence[CodeType | None], atoms: int, clock: Clock,
        contexts: Sequence[Sequence[tuple[CodeType | None, bool]]], ticks: bool = True,
    ) -> None:  # fmt: skip
        self.codes, self.atoms, self.clock, self.ticks = codes, atoms, clock, ticks
        self.spots = [Products(len(codes), atoms, clock, context) for context in contexts]
        self.turns = 0
        self._inside = False

    def __call__(self, frame: FrameType) -> None:
        if self._inside:  # something that is evaluated calls the function it stands in
            return
        self._inside = True
        self.clock.turn += self.ticks
        turn = self.clock.turn - 1
        if turn < 0:
            raise RuntimeError("the statement has not been executed yet")
        # A last execution whose result nobody reads may not have been recorded.
        shape = self.clock.shapes[turn] if turn < len(self.clock.shapes) else None
        if shape is not None:
            self.turns += 1
            self.look({**frame.f_globals, **frame.f_locals}, shape, self.clock.sums[turn])
        self._inside = False

    def look(self, names: dict[str, Any], shape: Shape, sums: Any) -> None:
        """One execution whose result has a shape, and what its entries bring about."""
        known: dict[Shape, list[tuple[int, Any]]] = {}
        places: list[tuple[int, Any]] = []
        for i, code in enumerate(self.codes):
            x = value_of(code, names)
            if x is not None and (x.dtype.kind in "fb" or x.ndim == 0):
                known.setdefault(x.shape, []).append((i, x * 1.0))
            if x is not None and x.ndim == 0 and i < self.atoms:
                self.clock.numbers.setdefault(i, abs(float(x)))
                self.clock.counts |= {i} if x.dtype.kind == "i" else set()
            if x is not None and x.dtype.kind == "i":
                places.append((i, x))
        groups = {
            s: ([i for i, _ in some], np.stack([x for _, x in some])) for s, some in known.items()
        }
        for spot in self.spots:
            spot.add(names, groups, shape, sums)
        self.more(names, places, groups, shape, sums)

    def more(self, names: dict[str, Any], places: Any, groups: Any, shape: Any, sums: Any) -> None:
        """What is compared beside products."""


class After(Watch):
    """Called where a whole statement may be missing; `held`: what it would change, as code."""

    def __init__(
        self, codes: Sequence[CodeType | None], clock: Clock, held: Sequence[CodeType | None]
    ) -> None:
        super().__init__(codes, len(codes), clock, [[]], ticks=False)
        self.held, self.held_at = held, 0
        self._entries: dict[tuple[int, int, int], tuple[Any, Any]] = {}
        self._scaled: dict[tuple[int, str], list[Any]] = {}

    def more(self, names: dict[str, Any], places: Any, groups: Any, shape: Any, sums: Any) -> None:
        """Entries of the target, and the target multiplied or divided."""
        numbers = np.arange(math.prod(shape)).reshape(shape)
        for key, index in _indices(places, len(shape)):
            try:
                at = numbers[index]
            except IndexError:
                continue
            seen, brought = self._entries.setdefault(
                key, (np.zeros(len(self.codes) + 1, int), np.zeros((len(self.codes) + 1, _SUMS)))
            )
            some = sums[:, np.ravel(at)]
            seen[-1] += 1  # the last is a one
            brought[-1] += some.sum(1)
            for s in {at.shape, ()} if key[2] < 0 and at.size > 0 else ():
                if s in groups:
                    of, values = groups[s]
                    seen[of] += 1
                    each = values.reshape(len(of), -1)
                    brought[of] += (each @ some.T) if s == at.shape else each * some.sum(1)
        held = [value_of(code, names) for code in self.held]
        fits = [i for i, x in enumerate(held) if x is not None and x.shape == shape]
        for self.held_at in fits[:1]:
            x = held[self.held_at]
            for s, (of, values) in groups.items():
                rows = _shape("rows", s, shape) is not None
                for i, value in zip(of, values) if broadcast(s, shape) == shape or rows else ():
                    by = value[:, None] if rows else value
                    _count(self._scaled, (i, "rows" if rows else "*"), sums @ np.ravel(x * by - x))
                    if s == () and value:
                        _count(self._scaled, (i, "/"), sums @ np.ravel(x / value - x))

    def scalings(self) -> list[tuple[int, str]]:
        """By what the target must be multiplied, or divided, or each of its rows multiplied."""
        return [
            key for key, (seen, brought) in self._scaled.items()
            if seen == self.turns and self.clock.scale(brought) == 1
        ][:_MOST]  # fmt: skip

    def entries(self) -> list[tuple[int, int, int, int, float]]:
        """At which index what is missing: after how many whole axes, at one or two indices in use;
        -1 for no second one, and for a one."""
        last = len(self.codes)
        found = [
            (*key, int(k) if k < last else -1, scale)
            for key, (seen, brought) in self._entries.items()
            for k in np.flatnonzero(seen == self.turns)
            if abs(scale := self.clock.scale(brought[k])) == 1
        ]
        return sorted(found, key=lambda entry: entry[:4])[:_MOST]


def _indices(
    places: Sequence[tuple[int, Any]], count: int
) -> Iterator[tuple[tuple[int, int, int], Any]]:
    """What may be an index into so many axes: an integer, integers, two rows of them."""
    for i, x in places:
        for whole in range(count if x.ndim == 0 else min(count, 2)):
            yield (whole, i, -1), (*(slice(None),) * whole, x)
        for j, y in places:
            if x.ndim <= 1 and x.shape == y.shape:
                yield (0, i, j), (x, y)


def _count(table: dict[Any, list[Any]], key: Any, brought: Any) -> None:
    had = table.setdefault(key, [0, np.zeros(_SUMS)])
    had[0] += 1
    had[1] = had[1] + brought


def value_of(code: CodeType | None, names: dict[str, Any]) -> Any:
    """What is in use, as an array; None for what is no numbers here."""
    if code is None:
        return None
    try:
        x = np.asarray(eval(code, names))  # noqa: S307 - the learner's own words
    except Exception:  # not known here, or not yet
        return None
    return x if x.dtype.kind in "fib" and np.isfinite(x).all() else None


def broadcast(s: Shape, t: Shape) -> Shape | None:
    """The shape of an operation entry by entry."""
    try:
        return np.broadcast_shapes(s, t)
    except ValueError:
        return None


def _spread(a: Any, s: Shape, shape: Shape) -> Any:
    """Arrays of shape s, stacked, with the entries each has in `shape`."""
    full = a.reshape(len(a), *(1,) * (len(shape) - len(s)), *s)
    return np.broadcast_to(full, (len(a), *shape)).reshape(len(a), -1)


def _shape(form: str, s: Shape, t: Shape) -> Shape | None:
    """The shape of a product, None where there is none."""
    if form == "*":
        return broadcast(s, t)
    if form == "rows":
        return t if len(s) == 1 and len(t) == 2 and s[0] == t[0] != t[1] else None
    if form == "outer":
        rows = all(x and max(x) == math.prod(x) for x in (s, t))
        return (math.prod(s), math.prod(t)) if rows else None
    if form[:3] == "sum":
        return None if s != t or len(s) != 2 else (1, s[1]) if form == "sum0" else (s[0], 1)
    # A vector is not turned, and two of them give a number.
    if {len(s), len(t)} not in ({2}, {1, 2}) or (form != "." and len(s if form == "T." else t) < 2):
        return None
    s = s[::-1] if form == "T." else s
    t = t[::-1] if form == ".T" else t
    return (*s[:-1], *t[1:]) if s[-1] == t[0] else None


def _multiplied(form: str, a: Any, b: Any, s: Shape, t: Shape) -> Any:
    """All products of the one and the other."""
    if form in ("*", "sum0", "sum1"):
        n = max(len(s), len(t))
        a = a.reshape(len(a), 1, *(1,) * (n - len(s)), *s)
        made = a * b.reshape(1, len(b), *(1,) * (n - len(t)), *t)
        return made if form == "*" else made.sum(2 + int(form[-1]), keepdims=True)
    if form == "outer":
        return a.reshape(len(a), 1, -1, 1) * b.reshape(1, len(b), 1, -1)
    if form == "rows":
        return a[:, None, :, None] * b[None]
    a = a.swapaxes(1, 2) if form == "T." else a
    b = b.swapaxes(1, 2) if form == ".T" else b
    rows, columns = a if len(s) > 1 else a[:, None], b if len(t) > 1 else b[..., None]
    made = rows[:, None] @ columns[None]
    return made[..., 0, :] if len(s) < 2 else made[..., 0] if len(t) < 2 else made
