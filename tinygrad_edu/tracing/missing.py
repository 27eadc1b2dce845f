"""What a statement lacks, found by its numbers: a term or a factor in it, a statement after it.

Linear algebra tells by what the gradients would change if a statement's results did. Everything in
use, and every product of two things in use, is compared with what is missing, in one run.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from types import CodeType
from typing import Any, NamedTuple

from tinygrad_edu.tracing.edits import Edit, binary, negative
from tinygrad_edu.tracing.parameters import Values
from tinygrad_edu.tracing.products import After, Clock, Found, Products, Watch, by_rows, written
from tinygrad_edu.tracing.repair import Effect
from tinygrad_edu.tracing.scope import Scope, called, parsed, stored
from tinygrad_edu.tracing.study import Runner
from tinygrad_edu.tracing.trial import Trials, looking

#: So many things in use, the nearest, are multiplied with one another.
_ATOMS = 90
#: So many spots inside of a formula are looked at.
_SPOTS = 8
_WATCH = "__watch__"
_END = (ast.Return, ast.Continue, ast.Break, ast.Raise)


class Point(NamedTuple):
    """A place in a block: before the statement with this number."""

    block: list[Any]
    before: int


class Spot(NamedTuple):
    """A part of a formula: its sign in the whole, and what it is multiplied or divided by."""

    node: Any
    sign: int
    context: tuple[tuple[Any, bool], ...]


class Missing:
    """The changes of one statement that bring about an `Effect`, and those after it.

    `shapes`: of its results, None at executions that do not matter; `target`: the one of its
    targets that is meant, `value`: the formula for it; None where there is none.
    """

    def __init__(
        self, trials: Trials, runner: Runner, values: Values, scope: Scope, statement: Any,
        shapes: Sequence[tuple[int, ...] | None], effect: Effect, target: Any, value: Any,
    ) -> None:  # fmt: skip
        self.trials, self.runner, self.values = trials, runner, values
        self.scope, self.statement = scope, statement
        self.shapes, self.effect = shapes, effect
        self.target, self.value = target, value
        self._text = ast.unparse(self.target or ast.Pass())
        # What is written into an array is, as a whole, another array.
        self.held = [self.target.value] if isinstance(self.target, ast.Subscript) else []
        self.held += [] if self.target is None else [self.target]
        self._wholes = [ast.unparse(x) for x in self.held]
        tables = _tables(scope.function(statement))
        texts = [f"{table}[{self._text!r}]" for table in tables]
        words = scope.words(statement, _ATOMS)
        counters = ", ".join(_counters(scope.function(statement), statement))
        texts += words + [f"{x}[{counters}]" for x in words if x.isidentifier() and counters]
        texts += [f"{table}[{key!r}]" for table in tables for key in scope.keys]
        texts += scope.pieces(statement, _ATOMS)
        texts = [t for t in dict.fromkeys(texts) if t != self._text][:_ATOMS]
        self.atoms = [parsed(text) for text in texts]

    def edits(self) -> list[Edit]:
        """Changes of the whole formula and statements after it, of things near to it first."""
        spots = [] if self.value is None else [Spot(self.value, self._sign(), ())]
        return self._edits(spots, list(self._points()))

    def edits_inside(self) -> list[Edit]:
        """Changes of parts of the formula that are multiplied or divided by something."""
        if self.value is None or self.effect.whole:
            return []
        spots = [s for s in _spots(self.value, self._sign(), ()) if s.context][:_SPOTS]
        return self._edits(spots, []) if spots else []

    def _sign(self) -> int:
        return -1 if isinstance(getattr(self.statement, "op", None), ast.Sub) else 1

    def _edits(self, spots: Sequence[Spot], points: Sequence[Point]) -> list[Edit]:
        summands = [(k, part) for k, spot in enumerate(spots) for part in _summands(spot)]
        every = [*self.atoms, *(part for _, (part, _) in summands)]
        codes = [_code(node) for node in every]
        clock = Clock(self.shapes, self.effect)
        contexts = [[(_code(x), divided) for x, divided in spot.context] for spot in spots]
        first = Watch(codes, len(self.atoms), clock, contexts)
        held = [_code(parsed(ast.unparse(x))) for x in self.held]
        later = [After(codes[: len(self.atoms)], clock, held) for _ in points]
        if not self._run([first, *later], points) or clock.turn < len(self.shapes):
            return []
        made: list[Edit] = []
        too_many = any(
            first.spots[k].lacks_less(n, sign)
            for n, (k, (_, sign)) in enumerate(summands, len(self.atoms))
        )
        for spot, products in zip(spots, first.spots) if not too_many else ():
            made += self._terms(spot, products)
        for n, (k, (part, sign)) in enumerate(summands, len(self.atoms)):
            extra = bool(spots[k].context)
            for found in first.spots[k].factors(n, sign):
                made.append(
                    Edit(3.0 + extra, "factor", part, self._times(part, found, every, clock, n))
                )
        for point, watch in zip(points, later) if not too_many else ():
            made += self._after(point, watch) if watch.turns else ()
        return list({_key(edit): edit for edit in reversed(made)}.values())[::-1]

    def _points(self) -> Iterator[Point]:
        """Before the target is read; after the statement; at the ends of blocks until then."""
        block = self.scope.block(self.statement)
        i = block.index(self.statement)
        if self.target is None or self.effect.whole:
            return
        last = i + 1
        while last < len(block) and not self._stops(block[last]):
            last += 1
        for j in dict.fromkeys((last, i + 1)):
            yield Point(block, j)
        for part in block[i + 1 : last]:
            for node in ast.walk(part):
                for field in ("body", "orelse"):
                    inner = getattr(node, field, None)
                    if isinstance(inner, list) and inner and not isinstance(inner[-1], _END):
                        yield Point(inner, len(inner))

    def _stops(self, statement: Any) -> bool:
        """Is the target read there, or otherwise changed than by additions?"""
        if isinstance(statement, _END):
            return True
        every = list(ast.walk(statement))
        parts = [n.value for n in every if isinstance(n, ast.Subscript)]  # an entry, of a table too
        for n in every:
            if isinstance(n, ast.AugAssign) and not isinstance(n.op, (ast.Add, ast.Sub)):
                if ast.unparse(n.target) == self._text:
                    return True
            read = isinstance(n, ast.expr) and isinstance(getattr(n, "ctx", None), ast.Load)
            if read and ast.unparse(n) in self._wholes and n not in parts:
                return True
        return False

    def _run(self, watches: Sequence[Watch], points: Sequence[Point]) -> bool:
        """One run of the code, looked at wherever something may be missing."""
        block = self.scope.block(self.statement)
        every = [Point(block, block.index(self.statement)), *points]
        names = self.runner.workspace.names["__builtins__"]
        names[_WATCH] = lambda k, reached=None: watches[k](sys._getframe(1))
        calls = []
        for k in sorted(range(len(every)), key=lambda k: -every[k].before):
            calls.append(looking(self.scope, every[k], _WATCH, k))
        try:
            with self.trials.changed(self.scope, calls):
                self.runner.outcome(self.values)
        except Exception:  # the code is run otherwise than it was recorded
            return False
        finally:
            del names[_WATCH]
        return True

    def _terms(self, spot: Spot, products: Products) -> Iterator[Edit]:
        """A term more."""
        for found in products.terms() if not self.effect.whole else ():
            if self._is_count(found, products.clock):
                continue  # 4 - m is 1 by accident
            cost = (2.0 if found.form == "" else 3.0) + bool(spot.context)
            operator = ast.Add if found.scale * spot.sign > 0 else ast.Sub
            term = self._product(found, self.atoms, products.clock)
            yield Edit(cost, "term", spot.node, binary(spot.node, operator, term))

    def _after(self, point: Point, watch: After) -> Iterator[Edit]:
        """A statement more."""
        text = ast.unparse(self.held[watch.held_at])

        def added(cost: float, index: Any, operator: Any, value: Any) -> Edit:
            target: Any = ast.Subscript(parsed(text), index, ast.Store())
            if index is None:
                target = stored(text)
            new: ast.stmt = ast.AugAssign(target, operator(), value)
            return Edit(cost, "insert", point.block, (point.before, new))

        for found in watch.spots[0].terms():
            if self._is_count(found, watch.clock):
                continue
            operator = ast.Add if found.scale > 0 else ast.Sub
            value = self._product(found, self.atoms, watch.clock)
            cost = (3.0 if found.form == "" else 3.5) + (operator is ast.Sub)  # too much, rather
            yield added(cost, None, operator, value)
        for i, how in watch.scalings():
            by = by_rows(self.atoms[i]) if how == "rows" else self.atoms[i]
            yield added(3.0, None, ast.Div if how == "/" else ast.Mult, by)
        for whole, i, j, k, scale in watch.entries():
            parts = [*(ast.Slice() for _ in range(whole)), self.atoms[i]]
            parts += [self.atoms[j]] if j >= 0 else []
            index = parts[0] if len(parts) == 1 else ast.Tuple(parts, ast.Load())
            operator = ast.Add if scale > 0 else ast.Sub
            yield added(4.0, index, operator, ast.Constant(1) if k < 0 else self.atoms[k])

    def _is_count(self, found: Found, clock: Clock) -> bool:
        """Is it made of numbers, one of which is a count or an index?"""
        parts = {found.left} if found.form == "" else {found.left, found.right}
        return parts <= clock.numbers.keys() and bool(parts & clock.counts)

    def _times(self, part: Any, found: Found, every: Sequence[Any], clock: Clock, n: int) -> Any:
        """A summand multiplied, by numbers beside what is found too."""
        if found.scale == 1 or found.form not in ("", "*"):
            new = self._product(found, every, clock)
            return new if found.scale > 0 else negative(new)
        if found.form == "" and found.scale > 0:
            return self._scaled(part, found.scale, clock)
        if found.form == "":
            factor = self._scaled(ast.Constant(1), abs(found.scale), clock)
        else:
            other = every[found.right if found.left == n else found.left]
            factor = self._scaled(other, abs(found.scale), clock)
        return binary(factor if found.scale > 0 else negative(factor), ast.Mult, part)

    def _product(self, found: Found, every: Sequence[Any], clock: Clock) -> Any:
        matmul = " @ " in self.scope.unit.text
        made = written(found.form, every[found.left], every[found.right], matmul)
        return self._scaled(made, abs(found.scale), clock)

    def _scaled(self, made: Any, scale: float, clock: Clock) -> Any:
        """Something multiplied by a number that has a name, or is a half or two."""
        one = isinstance(made, ast.Constant)
        if scale == 1:
            return made
        for number, node in ((2.0, ast.Constant(2)), *self._numbers(clock)):
            if scale == number:
                if one or isinstance(made, ast.BinOp):
                    return node if one else binary(made, ast.Mult, node)
                return binary(node, ast.Mult, made)
            if scale == 1 / number:
                return binary(made, ast.Div, node)
        return made

    def _numbers(self, clock: Clock) -> Iterator[tuple[float, Any]]:
        yield from ((number, self.atoms[i]) for i, number in clock.numbers.items() if number)


def _key(edit: Edit) -> tuple[Any, ...]:
    """What makes an edit another one: its text, and where a statement goes."""
    if edit.kind != "insert":
        return (ast.unparse(edit.new),)
    before, new = edit.new
    return ast.unparse(new), id(edit.node), before


def _tables(function: Any) -> list[str]:
    """What is read at names in quotes."""
    return list(dict.fromkeys(
        ast.unparse(n.value) for n in ast.walk(function)
        if isinstance(n, ast.Subscript) and isinstance(n.slice, ast.Constant)
        and isinstance(n.slice.value, str) and isinstance(n.ctx, ast.Load)
    ))  # fmt: skip


def _counters(function: Any, statement: Any) -> list[str]:
    """What the first loop after a statement, and those in it, count with."""
    for node in ast.walk(function):
        if isinstance(node, ast.For) and node.lineno > statement.lineno:
            loops = [n for n in ast.walk(node) if isinstance(n, ast.For)]
            return [n.target.id for n in loops if isinstance(n.target, ast.Name)]
    return []


def _summands(spot: Spot) -> Iterator[tuple[Any, int]]:
    """The terms of a sum with their signs; of what is no sum, itself."""

    def inside(value: Any, sign: int) -> Iterator[tuple[Any, int]]:
        if isinstance(value, ast.BinOp) and isinstance(value.op, (ast.Add, ast.Sub)):
            yield from inside(value.left, sign)
            yield from inside(value.right, -sign if isinstance(value.op, ast.Sub) else sign)
        else:
            yield value, sign

    return inside(spot.node, spot.sign)


def _spots(node: Any, sign: int, context: tuple[tuple[Any, bool], ...]) -> Iterator[Spot]:
    """A formula, and the factors of its terms, each with what it is multiplied by."""
    spot = Spot(node, sign, context)
    yield spot
    for part, its in _summands(spot):
        factors = list(_factors(part, False))
        for i, (factor, divided) in enumerate(factors if len(factors) > 1 else ()):
            if not divided:
                others = (*context, *factors[:i], *factors[i + 1 :])
                yield from _spots(factor, its, others)


def _factors(node: Any, divided: bool) -> Iterator[tuple[Any, bool]]:
    """The factors of a product entry by entry; True for those it is divided by."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
        yield from _factors(node.left, divided)
        yield from _factors(node.right, divided != isinstance(node.op, ast.Div))
    elif called(node) == "multiply" and len(getattr(node, "args", ())) == 2:
        for argument in node.args:
            yield from _factors(argument, divided)
    else:
        yield node, divided


def _code(node: Any) -> CodeType | None:
    try:
        return compile(ast.Expression(ast.fix_missing_locations(node)), "<line>", "eval")
    except (ValueError, TypeError, SyntaxError):
        return None
