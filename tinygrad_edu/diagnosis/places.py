"""Where a formula stands: what a line, an array or a loop is with another formula in its place.

A line that writes into an array, or stands in a loop, is edited in what it writes, in the loop's
own names; every turn is computed anew. So a correction is a line of Python that is right where the
learner's stands.
"""

from __future__ import annotations

import ast
import contextlib
import copy
from collections.abc import Iterator
from typing import Any

from tinygrad_edu.diagnosis.context import Context
from tinygrad_edu.diagnosis.edits import Edit, Edits
from tinygrad_edu.diagnosis.words import LONGEST_PIECE
from tinygrad_edu.sheets.evaluate import FAILURES, Evaluator, as_array, forget
from tinygrad_edu.sheets.lines import Key, Statement
from tinygrad_edu.sheets.reader import BINARY, DEEPEST, Reader
from tinygrad_edu.sheets.syntax import Expr, SheetError, assigns, show, walk

#: Loops of more turns are not searched: each trial computes all of them.
MOST_TURNS = 30
#: No name has so many states: those from here on are the names of loops.
_APART = 1_000_000
#: What a line of a loop costs to be put together for one turn, and to be computed at least.
_TURN, _STEP = 15_000, 3_000


class Place:
    """The place of a line ``NAME = formula``; `line` is the formula that stands there."""

    #: How often the line is computed.
    often = 1

    def __init__(self, context: Context, statement: Statement, line: Expr) -> None:
        self.context, self.statement, self.line = context, statement, line
        self.spelling = statement.reader.spelling
        self.name = statement.left
        own = line is statement.expr and statement.plain
        #: The line as it is, of which corrections shall be near.
        self.was = f"{self.name} ={statement.text.split('=', 1)[1]}" if own else self.text(line)

    def whole(self, e: Expr) -> Expr:
        """What the name stands for, in the end, with a formula in this place."""
        return e

    def value(self, e: Expr, sample: int) -> Any:
        """The numbers that the name has in the end, with a formula in this place; None for none."""
        return self.context.value(self.whole(e), sample)

    def value_in(self, turn: Statement, e: Expr) -> Any:
        """The numbers of a formula in one turn of a loop, where all before it is as it is."""
        return self.context.value(e)

    def adding(self) -> Place | None:
        """The place in a line that adds up, of one that overwrites a part of an array."""
        return None

    def moved(self, edits: Edits) -> Iterator[tuple[Edit, Place]]:
        """The place with other indices on the left side, where that has one."""
        return iter(())

    def visible(self, keys: set[Key]) -> set[Key]:
        """The names that may stand in this place, of those that may stand above it."""
        return keys

    def pieces(self) -> list[Expr]:
        """Parts of the lines of other loops, in this loop's own names."""
        return []

    def words(self) -> list[Expr]:
        """The names and entries of arrays that the lines of its loop read, and what they make."""
        return []

    def is_carried(self) -> bool:
        """Is what the line makes read in the next turn, by a line above it or by itself?"""
        return False

    def text(self, e: Expr) -> str:
        """The line with a formula in this place."""
        return f"{self.name} = {show(e, self.spelling)}"


def places_of(context: Context, statement: Statement) -> Iterator[Place]:
    """A line as it stands, and with earlier steps of the same claim and scratch lines put in;
    nothing where a change of it cannot be said or computed."""
    if statement.turn or assigns(statement.expr):
        with contextlib.suppress(SheetError, SyntaxError):
            yield _Written(context, statement, statement)
        return
    yield Place(context, statement, statement.expr)
    inlined = context.inlined(statement.expr, statement)
    if inlined is not statement.expr:
        yield Place(context, statement, inlined)


def place_above(context: Context, statement: Statement, judged: Statement) -> Place:
    """A scratch line in what a line below is computed from; SheetError where that is too much."""
    return _Written(context, statement, judged)


def places_above(context: Context, statement: Statement) -> Iterator[Place]:
    """A line of a loop, and the scratch lines that a line is computed from, the nearest first."""
    seen = set()
    for s in (statement, *context.sources(statement)):
        if (s.line, s.name) not in seen and (s.turn or s is not statement):
            seen.add((s.line, s.name))
            with contextlib.suppress(SheetError, SyntaxError):
                yield place_above(context, s, statement)


class _Written(Place):
    """What a line writes into an array, or in every turn of a loop; or a line above `judged`.

    Raises SheetError for a line that writes more than one thing, and for loops that are too long.
    """

    def __init__(self, context: Context, statement: Statement, judged: Statement) -> None:
        self.context, self.statement, self.judged = context, statement, judged
        self.make, self.names = context.formulas.make, context.formulas.name
        self.was = statement.looped or statement.text
        backward = context.sheet.backward
        here = (statement.line, statement.name, statement.looped)
        turns = [s for s in backward if s is statement or (s.line, s.name, s.looped) == here]
        if (statement.turn and not statement.looped) or len(turns) > MOST_TURNS:
            raise SheetError(self.was)
        #: The turns of the line by what they assign to, each with the state of every name above it.
        self.turns = {s.key: _latest(context, s) for s in turns}
        first = backward.index(turns[0])
        self.last, self.often = self.turns[statement.key], len(turns)
        self.known: dict[tuple[Key, Key], Expr] = {}
        #: The gradients that are claimed are true wherever they are read.
        final = context.judged.final.keys() - {judged.key, *self.turns}
        steps = backward[first : backward.index(judged) + 1]
        self.steps = [s for s in steps if s.key not in final]
        self.needed: dict[frozenset[Key], list[Statement]] = {}
        self.computed: dict[tuple[int, Key], Evaluator] = {}
        #: The loop's names, as no other names are, and what they stand for in each turn.
        self.loops = {name: self.names(name, _APART + statement.line) for name, _ in statement.turn}
        self.reader = Reader(context.formulas, self.was, self._version, statement.line)
        self.target, self.op, self.line = self._read(ast.parse(self.was).body[0])
        self.spelling = self.reader.spelling
        items = {own.extra: self._item(statement, name) for name, own in self.loops.items()}
        for at in context.at:
            at.known = {**at.known, **{key: at.get(item) for key, item in items.items()}}
        if self.whole(self.line).depth > DEEPEST:
            raise SheetError(self.was)

    def _version(self, name: str) -> int:
        if name in self.loops:
            return int(self.loops[name].extra[1])
        return self.last.get(name, -1)

    def _in_turn(self, turn: Statement, key: Key) -> Expr:
        """What a name of the line is in a turn."""
        if (turn.key, key) not in self.known:
            name, version = key
            e = self.names(*key)
            if e in self.loops.values():
                e = self._item(turn, name)
            elif self.last.get(name) == version:
                e = self.names(name, self.turns[turn.key].get(name, -1))
            self.known[turn.key, key] = e
        return self.known[turn.key, key]

    def _item(self, turn: Statement, name: str) -> Expr:
        """What a name of the loop stands for in a turn."""
        text = dict(turn.turn)[name]
        reader = Reader(self.context.formulas, text, lambda n: self.turns[turn.key].get(n, -1))
        return reader.read(ast.parse(text, mode="eval").body)

    def _read(self, node: ast.stmt) -> tuple[Expr, str, Expr]:
        """What is written to, how, and what is written."""
        read = self.reader.read
        if isinstance(node, ast.Expr):
            if not isinstance(node.value, ast.Call) or len(node.value.args) != 3:
                raise SheetError(self.was)  # no np.add.at
            old, index, new = node.value.args
            parts = index.elts if isinstance(index, ast.Tuple) else [index]
            return self.make("index", read(old), *map(read, parts)), "at", read(new)
        if isinstance(node, ast.AugAssign):
            return read(node.target), BINARY[type(node.op)], read(node.value)
        if not isinstance(node, ast.Assign) or len(node.targets) > 1:
            raise SheetError(self.was)
        if not isinstance(node.targets[0], (ast.Name, ast.Subscript)):
            raise SheetError(self.was)
        return read(node.targets[0]), "", read(node.value)

    def _full(self, e: Expr) -> Expr:
        """The line as a formula for its name."""
        make, target = self.make, self.target
        if self.op == "at":
            return make("addat", *target.args, e)
        new = make(self.op, target, e) if self.op else e
        # What a dictionary keeps under a name is what that name is.
        whole = target.op == "name" or self.statement.left != self.statement.name
        return new if whole else make("setitem", *target.args, new)

    def adding(self) -> Place | None:
        if self.op:
            return None
        other = copy.copy(self)
        other.op = "+"
        return other

    def moved(self, edits: Edits) -> Iterator[tuple[Edit, Place]]:
        for edit in edits.indices(self.target):
            other = copy.copy(self)
            other.target = edit.expr
            yield edit, other

    def whole(self, e: Expr) -> Expr:
        full, put = self._full(e), self.context.formulas.substituted
        self.context.account.spend(_TURN * len(self.steps))
        changed: dict[Expr, Expr] = {}
        for step in self._needed(full.names):
            new = step.expr
            if step.key in self.turns:
                new = put(full, {self.names(*key): self._in_turn(step, key) for key in full.names})
            changed[self.names(*step.key)] = put(new, changed)
        return changed.get(self.names(*self.judged.key), self.judged.expr)

    def value(self, e: Expr, sample: int) -> Any:
        full, base = self._full(e), self.context.at[sample]
        steps, changed, keys = self._needed(full.names), dict[Expr, Any](), set[Key]()
        self.context.account.spend(_STEP * len(steps))
        try:
            for step in steps:
                if step.key in self.turns:
                    value = self._value_in_turn(step, full, sample, changed, keys)
                else:
                    value = base.value_where(step.expr, changed, keys)
                changed[self.names(*step.key)] = value
                keys.add(step.key)
            return as_array(
                changed[self.names(*self.judged.key)] if steps else base.get(self.judged.expr)
            )
        except FAILURES as error:
            forget(error)
            return None

    def value_in(self, turn: Statement, e: Expr) -> Any:
        try:
            return as_array(self._value_in_turn(turn, e, 0, {}, set()))
        except FAILURES as error:
            forget(error)
            return None

    def _needed(self, names: frozenset[Key]) -> list[Statement]:
        """The lines that are other ones, one after another, where the line reads these names: it,
        in each of its turns, and those from there on that lead to the line that is judged."""
        if names not in self.needed:
            changed = set(self.turns)
            steps = []
            for step in self.steps:
                if step.key in changed or not changed.isdisjoint(step.expr.names):
                    changed.add(step.key)
                    steps.append(step)
            wanted, found = {self.judged.key}, []
            for step in reversed(steps):
                if step.key in wanted:
                    found.append(step)
                    turn = step.key in self.turns
                    read = [self._in_turn(step, key) for key in names] if turn else [step.expr]
                    wanted.update(*(e.names for e in read))
            self.needed[names] = found[::-1]
        return self.needed[names]

    def _value_in_turn(
        self, turn: Statement, full: Expr, sample: int, changed: dict[Expr, Any], keys: set[Key]
    ) -> Any:
        """What the line makes in a turn; what it reads of no changed name is computed once."""
        base, here, own = self.context.at[sample], dict[Expr, Any](), set[Key]()
        if (sample, turn.key) not in self.computed:
            self.computed[sample, turn.key] = Evaluator({}, self.context.account)
        evaluator = self.computed[sample, turn.key]
        for key in full.names:
            e = self._in_turn(turn, key)
            if not e.names.isdisjoint(keys):
                here[self.names(*key)] = base.value_where(e, changed, keys)
                own.add(key)
            elif key not in evaluator.known:
                evaluator.known = {**evaluator.known, key: base.get(e)}
        return evaluator.value_where(full, here, own)

    def visible(self, keys: set[Key]) -> set[Key]:
        own = {e.extra for e in self.loops.values()}
        return {key for key in keys if key[0] not in self.loops} | own | self.line.names

    def pieces(self) -> list[Expr]:
        found = [e for line in self._lines_of_loops() for e in walk(line)]
        return [e for e in found if e.op not in ("name", "number") and e.length <= LONGEST_PIECE]

    def words(self) -> list[Expr]:
        made = {s.name for s in self.steps if s.turn and s.name in self.last}
        found = {self.names(name, self.last[name]): None for name in sorted(made)}
        todo = self._lines_of_loops()
        while todo:
            e = todo.pop(0)
            if e.op in ("name", "index"):
                found[e] = None
            else:
                todo += e.args
        return [e for e in found if e not in self.loops.values()]

    def is_carried(self) -> bool:
        line, name = self.statement.line, self.statement.name
        above = [s for s in self.steps if s.turn and s.line <= line]
        return any(name == read for s in above for read, _ in s.expr.names)

    def _lines_of_loops(self) -> list[Expr]:
        """What the lines of loops compute and the entries they write, in this loop's own names."""
        sheet, found = self.context.sheet, []
        texts = {
            s.looped for s in (*sheet.forward, *sheet.backward)
            if s.looped and {name for name, _ in s.turn} <= self.loops.keys()
        }  # fmt: skip
        for text in sorted(texts - {self.was}):
            [line] = ast.parse(text).body
            reader = Reader(self.context.formulas, text, self._version)
            if isinstance(line, (ast.Assign, ast.AugAssign)):
                targets = line.targets if isinstance(line, ast.Assign) else [line.target]
                for part in (line.value, *(t for t in targets if isinstance(t, ast.Subscript))):
                    with contextlib.suppress(SheetError):
                        found.append(reader.read(part))
        return found

    def text(self, e: Expr) -> str:
        op = self.op
        if op == "at":
            old, *index = (show(part, self.spelling) for part in self.target.args)
            where = f"({', '.join(index)})" if len(index) > 1 else index[0]
            return f"np.add.at({old}, {where}, {show(e, self.spelling)})"
        if op in ("+", "-") and e.op == "neg":
            op, e = "-" if op == "+" else "+", e.args[0]
        return f"{show(self.target, self.spelling)} {op}= {show(e, self.spelling)}"


def _latest(context: Context, statement: Statement) -> dict[str, int]:
    """The state of each name above a line."""
    latest = dict.fromkeys(context.sheet.givens, 0)
    return latest | {s.name: s.version for s in (*context.sheet.forward, *context.above(statement))}
