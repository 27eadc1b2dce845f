"""The text of a sheet read into what is given, forward lines and claims."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import ChainMap
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, cast

import numpy as np

from tinygrad_edu.sheets import loops, vocabulary
from tinygrad_edu.sheets.account import CHARACTER, Account, entries_of
from tinygrad_edu.sheets.claims import COSTS, claimed
from tinygrad_edu.sheets.evaluate import Evaluator, Uncomputable
from tinygrad_edu.sheets.kept import Kept
from tinygrad_edu.sheets.kinds import KINDS, Given, kind_of
from tinygrad_edu.sheets.lines import Claim, Jacobian, Key, Lines, Statement, Unread, too_much_in
from tinygrad_edu.sheets.paper import Unreadable, changed_by, read, target_of
from tinygrad_edu.sheets.reader import BINARY, Reader, is_text
from tinygrad_edu.sheets.syntax import Expr, SheetError, error_at
from tinygrad_edu.words import say

LONGEST_SHEET = 200_000
MOST_STATEMENTS = 2_000

_Statement = TypeVar("_Statement", bound=ast.stmt)

#: Where Python ends a line; `str.splitlines` ends it at more.
NEWLINE = re.compile(r"\r\n|\r|\n")


#: A text with formulas in it, and how long a sheet is that may not have any.
_FORMATTED, _LONG = re.compile(r"""\b(?:f|fr|rf)['"]""", re.IGNORECASE), 20_000


def parse(source: str, account: Account) -> Lines:
    """The lines of a sheet.

    Raises SheetError where a line down to the cost cannot be read; those below it are told.
    """
    return _Parser(source, account).parse()


class _Parser:
    """Turns the text of a sheet into givens, statements and claims."""

    def __init__(self, source: str, account: Account) -> None:
        self.account, self.lines = account, Lines()
        self.known: set[str] = set()  # given and forward names
        self.collections: set[str] = set()  # those that keep things, and have no gradient
        self.kept = Kept()
        self.claimed_in: dict[str, str] = {}  # the dictionaries that gradients are kept in
        self.claim_of: dict[str, str] = {}
        self.latest: dict[str, int] = {}
        self.statements: dict[str, list[Statement]] = {}
        self.in_backward = False
        self.count = 0  # of statements
        #: What the forward lines so far are where they are plain numbers: shapes are made of them.
        self.plain: dict[Key, Any] = {}
        self.computed = 0
        if len(source) > LONGEST_SHEET:
            line = source.count("\n", 0, LONGEST_SHEET) + 1
            raise SheetError(f"a sheet has at most {LONGEST_SHEET} characters", line, 1)
        _refuse_texts(source.replace("\ufeff", ""))
        self.source, self.nodes = read(source.replace("\ufeff", ""))
        #: The lines as Python counts them, as UTF-8, which is what it counts columns in.
        self.rows = [line.encode("utf-8", "surrogatepass") for line in NEWLINE.split(self.source)]
        self.turn: dict[str, str] = {}  # what the names of the loops around stand for
        self.looped: dict[int, str] = {}  # the lines of the loop as they were written

    def parse(self) -> Lines:
        """All statements read."""
        lines, statements = self.lines, self.nodes
        self.cost_line = self._find_cost(statements)
        #: Where the loop ends that the cost is added up in: what is below has no part in it.
        self.cost_end = max(
            (s.end_lineno for s in statements if isinstance(s, ast.For) and s.end_lineno
             and s.lineno <= self.cost_line <= s.end_lineno), default=self.cost_line,
        )  # fmt: skip
        self._lines(statements)
        if not any(s.name == lines.cost_name for s in lines.forward):
            raise SheetError(say("error.no_cost"), 1, 1)
        quantities = list(self.claim_of.values())
        for name, of in self.claim_of.items():
            made = [s for s in lines.backward if s.name == name]
            if quantities.count(of) > 1 and all(s.expr.op == "number" for s in made):
                continue  # W_grad = 0.0, to start from, where dW is derived
            while len(made) > 1 and _only_clips(made[-1]):
                made.pop()  # what training does to a gradient that has been derived
            lines.claims[name] = Claim(name, of, tuple(made))
        return lines

    def _lines(self, statements: Iterable[ast.stmt | Unreadable]) -> None:
        """Statements one after another; of those below the cost one that cannot be read is told."""
        for node in statements:
            try:
                self._line(node)
            except SheetError as error:
                if not self._below_cost(error.line):
                    raise  # what is to be derived is not known
                self._unread(error, node)

    def _find_cost(self, statements: list[ast.stmt | Unreadable]) -> int:
        """The line that defines the cost, by its name."""
        assigned = {}
        for node in _all(statements):
            if isinstance(node, Unreadable):
                assigned[target_of(node.text)[0]] = node.line
            elif isinstance(node, (ast.Assign, ast.AugAssign)):
                if not isinstance(node.value, ast.Constant):
                    assigned[_plain_target(node)] = node.lineno
        self.lines.cost_name = next((name for name in COSTS if name in assigned), "J")
        return assigned.get(self.lines.cost_name, 0)

    def _below_cost(self, line: int) -> bool:
        return line > self.cost_line and any(
            s.name == self.lines.cost_name for s in self.lines.forward
        )

    def _line(self, node: ast.stmt | Unreadable) -> None:
        if isinstance(node, Unreadable):
            raise SheetError(node.message, node.line, node.column)
        try:
            with too_much_in(node.lineno):
                self.statement(node)
        except RecursionError:
            raise SheetError("this line is nested too deeply", node.lineno, 1) from None

    # --- one statement -------------------------------------------------------------------------

    def statement(self, node: ast.stmt) -> None:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self._only_numpy(node)
        elif isinstance(node, ast.Expr):
            self._expression(node)
        elif isinstance(node, ast.AnnAssign):
            self._annotated(node)
        elif isinstance(node, ast.Assign):
            reader, again = self._read(node)
            value = reader.read(again.value)
            for target, shifted in zip(node.targets, again.targets, strict=True):
                self._assign(node, target, shifted, value, reader)
        elif isinstance(node, ast.AugAssign):
            self._augmented(node)
        elif isinstance(node, ast.For) and not node.orelse:
            self._loop(node)
        elif not isinstance(node, ast.Pass):
            kind = {
                ast.While: "while", ast.For: "else", ast.FunctionDef: "function",
                ast.If: "condition",
            }.get(type(node), "statement")  # fmt: skip
            what, instead = say(f"error.{kind}"), say(f"error.{kind}_instead")
            message = say("error.cannot_stand", what=what, instead=instead)
            raise error_at(message, node)

    def _loop(self, node: ast.For) -> None:
        """A loop with constant bounds, its lines written out turn by turn."""
        start, end = node.body[0].lineno - 1, node.end_lineno or node.lineno
        rows = self.rows[start:end]
        bound = lambda part: self._numbers(part, "a bound of the loop")  # noqa: E731
        if not self.turn:
            self.looped = self._written_in(node)
        for item in loops.items(node.iter, bound, self.account):
            texts = dict(loops.standing_for(node.target, item))
            new = loops.replaced(rows, node, texts, self.account)
            text = b"\n".join(new).decode("utf-8", "surrogatepass")
            (block,) = ast.parse(f"if 1:\n{text}").body
            ast.increment_lineno(block, start - 1)
            self.rows[start:end], around = new, self.turn
            self.turn = {**around, **texts}
            self._lines(cast(ast.If, block).body)
            self.rows[start:end], self.turn = rows, around

    def _only_numpy(self, node: ast.Import | ast.ImportFrom) -> None:
        names = (
            [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        )
        if any(name.split(".")[0] not in ("numpy", "math", "__future__") for name in names):
            raise error_at(say("error.imports"), node)

    def _expression(self, node: ast.Expr) -> None:
        call = node.value
        if isinstance(call, ast.Constant) and isinstance(call.value, str):
            return  # a remark
        if _is_append(call):
            self._append(node)
            return
        if _is_clipped_in_place(call):
            reader, shifted = self._read(node)
            del cast(ast.Call, shifted.value).keywords[0]
            name = cast(ast.Name, cast(ast.Call, call).args[0]).id
            self._add(node, name, reader.read(shifted.value), reader, plain=False)
            return
        if (
            not isinstance(call, ast.Call)
            or ast.unparse(call.func) not in ("np.add.at", "numpy.add.at", "add.at")
            or len(call.args) != 3
            or not isinstance(call.args[0], ast.Name)
            or call.keywords
        ):
            raise error_at(say("error.kept_nowhere"), node)
        reader, shifted = self._read(node)
        target, index, new = cast(ast.Call, shifted.value).args
        parts = index.elts if isinstance(index, ast.Tuple) else [index]
        read = [reader.read(part) for part in (target, *parts, new)]
        added = self.lines.formulas.make("addat", *read)
        self._add(node, call.args[0].id, added, reader, plain=False)

    def _append(self, node: ast.Expr) -> None:
        """``hs.append(h)`` as a new state of hs."""
        reader, shifted = self._read(node)
        call = cast(ast.Call, shifted.value)
        old = cast(ast.Name, cast(ast.Attribute, call.func).value)
        read = reader.read(old), reader.read(call.args[0])
        self._add(node, old.id, self.lines.formulas.make("append", *read), reader, plain=False)

    def _annotated(self, node: ast.AnnAssign) -> None:
        if not isinstance(node.target, ast.Name):
            raise error_at("a name is needed before the colon", node)
        name, note = node.target.id, node.annotation
        of = claimed(note.id, self.known) if isinstance(note, ast.Name) else None
        if of is not None:
            self._derived(node, name, of)
            return
        if isinstance(note, ast.Call) and ast.unparse(note.func) == "jacobian":
            self._jacobian(node, name, note)
            return
        if self.in_backward:
            raise error_at(f"{ast.unparse(note)} is not d + a name of the forward lines", note)
        self._given(node, name)

    def _derived(self, node: ast.AnnAssign, name: str, of: str | None = None) -> None:
        """A line of which it is said what it derives: the gradient of `of`, if that is given."""
        if node.value is None:
            raise SheetError(say("error.not_derived", name=name), node.lineno, 1)
        if of is not None:
            self.claim_of[name] = of
        self.in_backward = True
        reader, again = self._read(node)
        assert again.value is not None
        self._add(node, name, reader.read(again.value), reader)

    def _jacobian(self, node: ast.AnnAssign, name: str, note: ast.Call) -> None:
        """``D: jacobian(p, z) = …``; in the first place a gradient may stand, ``dw``."""
        names = [arg.id for arg in note.args if isinstance(arg, ast.Name)]
        top, by = names if len(names) == len(note.args) == 2 else ("", "")
        of = top if top in self.known else claimed(top, self.known)
        if of is None or by not in self.known:
            raise error_at(
                "jacobian(p, z) takes two names of the forward lines, the first may be a gradient, "
                "jacobian(dw, w)",
                note,
            )
        self._derived(node, name)
        made = (self.statements[name][-1],)
        keys = self._forward(of), self._forward(by)
        self.lines.jacobians[name] = Jacobian(name, f"{top}_d{by}", made, *keys, of != top)

    def _forward(self, name: str) -> Key:
        """The last state of a quantity in the forward lines."""
        return name, max((s.version for s in self.lines.forward if s.name == name), default=0)

    def _given(self, node: ast.AnnAssign, name: str) -> None:
        note = node.annotation
        if name in self.known:
            raise error_at(say("error.given_twice", name=name), node)
        if isinstance(note, ast.Compare):  # Y: (1, m) in {0, 1}
            before, kinds = ast.unparse(note.left), ", ".join(KINDS)
            raise error_at(say("error.kind_behind", name=name, shape=before, kinds=kinds), note)
        shape = self._numbers(note, "the shape")
        if isinstance(shape, (int, np.integer)):
            shape = (shape,)
        if not isinstance(shape, tuple) or not all(
            isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0 for n in shape
        ):
            raise error_at(say("error.shape_is_written", name=name), note)
        try:
            shape = vocabulary.checked_shape(shape)
        except ValueError as error:
            raise error_at(str(error), note) from None
        kind, options = kind_of(node.value, shape, self._numbers)
        self.known.add(name)
        self.latest[name] = 0
        written = note.elts if isinstance(note, ast.Tuple) else [note]
        sizes = tuple(None if isinstance(n, ast.Constant) else ast.unparse(n) for n in written)
        self.lines.givens[name] = Given(name, shape, kind, options, node.lineno, sizes)

    def _numbers(self, node: ast.expr, what: str) -> Any:
        """A shape or limit computed from the numbers known so far."""
        text = ast.unparse(node)
        reader = Reader(self.lines.formulas, text, self._version)
        try:
            e = reader.read(ast.parse(text, mode="eval").body)
            return self._plain().value(e)
        except (SheetError, Uncomputable) as error:
            message = error.message if isinstance(error, SheetError) else str(error)
            raise error_at(f"{what}: {message}", node) from None

    def _plain(self) -> Evaluator:
        """What computes formulas of the numbers known so far."""
        for statement in self.lines.forward[self.computed :]:
            value = Evaluator(self.plain, self.account).get(statement.expr)
            if value is not None:  # else computed from arrays, of no use for a shape
                self.account.keep(entries_of(value))
                self.plain[statement.key] = value
        self.computed = len(self.lines.forward)
        return Evaluator(self.plain, self.account)

    def _assign(
        self, node: ast.Assign, target: ast.expr, shifted: ast.expr, value: Expr, reader: Reader
    ) -> None:
        if isinstance(target, ast.Name):
            self._add(node, target.id, value, reader)
        elif isinstance(target, ast.Subscript):
            self._put(node, shifted, value, reader, plain=True)
        elif isinstance(target, (ast.Tuple, ast.List)):
            names = [t.id for t in target.elts if isinstance(t, ast.Name)]
            if len(names) != len(target.elts):
                raise error_at("names are needed on the left", node)
            for i, name in enumerate(names):
                if value.op in ("tuple", "list") and len(value.args) == len(names):
                    part = value.args[i]
                else:
                    part = self.lines.formulas.make("index", value, self.lines.formulas.number(i))
                self._add(node, name, part, reader, advance=False)
            for name in names:
                self.latest[name] = self.statements[name][-1].version
        else:
            raise error_at(say("error.left_side"), target)

    def _augmented(self, node: ast.AugAssign) -> None:
        if type(node.op) not in BINARY:
            raise error_at("this operator has no place in a sheet", node)
        reader, shifted = self._read(node)
        new = reader.read(shifted.value)
        formulas, op = self.lines.formulas, BINARY[type(node.op)]
        if isinstance(node.target, ast.Name):
            name = node.target.id
            old = formulas.name(name, self._version(name))
            self._add(node, name, formulas.make(op, old, new), reader, plain=False)
        elif isinstance(shifted.target, ast.Subscript):
            kept, where = "", shifted.target
            if isinstance(where.value, ast.Name) and is_text(where.slice):
                kept = self._kept_as(node, where.value.id, self._key(reader.read(where.slice)))
            known = kept in self.latest
            old = formulas.name(kept, self._version(kept)) if known else reader.read(shifted.target)
            self._put(node, shifted.target, formulas.make(op, old, new), reader)
        else:
            raise error_at("a name is needed on the left", node)

    def _put(
        self, node: ast.stmt, target: ast.expr, new: Expr, reader: Reader, plain: bool = False
    ) -> None:
        """``NAME[index] = new`` as a new state of NAME; so is ``NAME[index][other] = new``."""
        if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Subscript):
            old = reader.read(target)
            inner = self.lines.formulas.make("setitem", *old.args, new)
            self._put(node, target.value, inner, reader)
            return
        if not isinstance(target, ast.Subscript) or not isinstance(target.value, ast.Name):
            raise SheetError(say("error.left_side"), node.lineno, 1)
        name = target.value.id
        if self._version(name) < 0:
            similar = vocabulary.suggestion(name, self.latest)
            raise error_at(say("error.not_defined", name=name, similar=similar), node)
        key = self._key(reader.read(target.slice)) if is_text(target.slice) else ""
        kept = self._kept_as(node, name, key)
        make = self.lines.formulas.make
        if kept:
            self._add(node, kept, new, reader, plain)
            new = self.lines.formulas.name(kept, self.latest[kept])
            self.kept.spelling[new] = ast.unparse(target)
        if key:  # which is what it is, not the name of what is kept there
            changed = make("setitem", reader.read(target.value), make("number", extra=key), new)
            self._add(node, name, changed, reader, plain=False)
            self.kept.put(name, key, new)
        else:
            changed = make("setitem", *reader.read(target).args, new)
            self._add(node, name, changed, reader, plain=False)

    def _key(self, e: Expr) -> str:
        """The text that a key of a dictionary is; "" of any other."""
        key = e.extra if e.op == "number" else self._plain().get(e) if e.op == "text" else ""
        return key if isinstance(key, str) else ""

    def _named(self, of: Expr, key: Expr) -> Expr | None:
        """The name of what a dictionary keeps, as it is now."""
        if of.op != "name" or of.extra[1] != self._version(of.extra[0]):
            return None
        return self.kept.named(of.extra[0], self._key(key))

    def _kept_as(self, node: ast.stmt, name: str, key: str) -> str:
        """The name of what a dictionary keeps: ``cache['Z1'] = …`` is the quantity Z1, and below
        the cost ``grads['W1'] = …`` and ``grads['dW1'] = …`` claim dW1; "" for no such thing."""
        if not key or not any(s.expr.op == "dict" for s in self.statements.get(name, [])):
            return ""
        quantities = self.known - self.collections
        of = claimed(key, quantities)
        if not self._below_cost(node.lineno):
            new = (
                key.isidentifier() and of is None and key not in {*self.latest, *vocabulary.MODULES}
            )
            return key if new else ""
        updated = name in self.known and self.kept.has(name, key)  # params['W1'] -= …
        if of is None and key in quantities and not updated and f"d{key}" not in self.known:
            key = f"d{key}"
        elif of is None:
            return ""
        # Of several dictionaries the first one has the gradients: others average them, say.
        begun = all(map(_is_zero, self.statements.get(key, [])))
        if begun or self.claimed_in.get(key) == name:
            self.claimed_in[key] = name
            return key
        return ""

    def _add(
        self,
        node: ast.stmt,
        name: str,
        expr: Expr,
        reader: Reader,
        plain: bool = True,
        advance: bool = True,
    ) -> None:
        lines = self.lines
        if name in vocabulary.MODULES:
            raise SheetError(f"{name} is the name of a module", node.lineno, 1)
        self.count += 1
        if self.count > MOST_STATEMENTS:
            message = f"a sheet has at most {MOST_STATEMENTS} lines that assign"
            raise SheetError(message, node.lineno, 1)
        if self._below_cost(node.lineno) and name not in self.claim_of:
            of = claimed(name, self.known - self.collections)
            if of is not None and name not in self.known:
                self.claim_of[name] = of
                self.in_backward = True
        if expr.op != "setitem":
            self.kept.assign(name, expr)
        if expr.op == "dict" and name in self.claim_of:
            raise error_at(say("error.formula_dict"), node)
        made = self.statements.setdefault(name, [])
        version = self.latest[name] + 1 if name in self.latest else 0
        looped = self.looped.get(node.lineno, "") if self.turn else ""
        turn, text = tuple(self.turn.items()), reader.text
        statement = Statement(name, version, expr, node.lineno, text, reader, plain, looped, turn)
        made.append(statement)
        if self.in_backward or node.lineno > self.cost_end:
            lines.backward.append(statement)
        else:
            lines.forward.append(statement)
            self.known.add(name)
            if expr.op in ("dict", "append"):
                self.collections.add(name)
        if advance or name not in self.latest:
            self.latest[name] = version

    def _written_in(self, loop: ast.For) -> dict[int, str]:
        """What the learner wrote in the lines of a loop, where a line has one statement."""
        found: dict[int, list[str]] = {}
        for node in _all(cast(list[ast.stmt | Unreadable], [loop])):
            if isinstance(node, ast.stmt) and not isinstance(node, ast.For):
                found.setdefault(node.lineno, []).append(_one_line(self._text(node)))
        return {line: texts[0] for line, texts in found.items() if len(texts) == 1}

    def _version(self, name: str) -> int:
        """Which assignment a name means here; -1 for a name not assigned yet."""
        return self.latest.get(name, -1)

    def _unread(self, error: SheetError, node: ast.stmt | Unreadable) -> None:
        """A line that cannot be read: its names have no value from here on, the rest is judged."""
        lines = self.lines
        if isinstance(node, Unreadable):
            name, note = target_of(node.text)
            text, names = node.text, [name] if name else []
        else:
            text = " ".join(self._text(node).split())
            names, note = changed_by(node)
        lines.unread.append(Unread(error, text, names[-1] if names else None))
        reader = Reader(lines.formulas, text, self._version, error.line)
        expr = lines.formulas.make("unread", extra=(error.message, error.line))
        self.in_backward = True
        of = claimed(note, self.known) if note else None
        for name in names:
            if of is not None:
                self.claim_of[name] = of
            if name not in vocabulary.MODULES:
                self._add(ast.Pass(lineno=error.line), name, expr, reader, plain=False)

    def _read(self, node: _Statement) -> tuple[Reader, _Statement]:
        """A reader of a statement, and the statement in the one-line form it counts columns in."""
        text = _one_line(self._text(node))
        self.account.spend(CHARACTER * len(text))
        try:
            (again,) = ast.parse(text).body
        except (SyntaxError, ValueError):
            raise SheetError("this line cannot be read", node.lineno, 1) from None
        reader = Reader(self.lines.formulas, text, self._version, node.lineno, self._named)
        reader.spelling = ChainMap({}, self.kept.spelling)  # its own before what all share
        return reader, cast(_Statement, again)

    def _text(self, node: ast.stmt) -> str:
        """The source of a statement: `ast.get_source_segment` splits all of it for each."""
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        rows = self.rows[first : last + 1]
        rows[-1] = rows[-1][: node.end_col_offset]
        rows[0] = rows[0][node.col_offset :]
        return b"\n".join(rows).decode("utf-8", "surrogatepass")


def _is_append(node: ast.expr) -> bool:
    """Is this ``NAME.append(formula)``?"""
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        and node.func.attr == "append" and isinstance(node.func.value, ast.Name)
        and len(node.args) == 1 and not node.keywords
    )  # fmt: skip


def _is_clipped_in_place(node: ast.expr) -> bool:
    """Is this ``np.clip(NAME, low, high, out=NAME)``?"""
    if not isinstance(node, ast.Call) or ast.unparse(node.func) not in ("np.clip", "numpy.clip"):
        return False
    names = [part.id for part in (*node.args[:1], *(k.value for k in node.keywords))
             if isinstance(part, ast.Name)]  # fmt: skip
    outs = [k.arg for k in node.keywords]
    return len(node.args) == 3 and outs == ["out"] and len(names) == 2 and names[0] == names[1]


def _only_clips(s: Statement) -> bool:
    """Does a line only limit the numbers that its name has, ``dW = np.clip(dW, -5, 5)``?"""
    e = s.expr
    if e.function != "clip" or not e.args or e.args[0].extra != (s.name, s.version - 1):
        return False
    return not any(limit.names for limit in e.args[1:])


def _is_zero(s: Statement) -> bool:
    """Does a line only make room, or something to start from, ``np.zeros_like(W)``?"""
    return s.expr.op == "number" or s.expr.function in ("zeros", "zeros_like")


def _all(statements: Iterable[ast.stmt | Unreadable]) -> Iterator[ast.stmt | Unreadable]:
    """Statements, with those inside loops."""
    for node in statements:
        yield node
        if isinstance(node, ast.For):
            yield from _all(node.body)


def _refuse_texts(source: str) -> None:
    """Python takes quadratic time for ``f"{a}{b}…"``, which no formula has."""
    if len(source) > _LONG:
        for number, line in enumerate(source.split("\n"), 1):
            if _FORMATTED.search(line.partition("#")[0]):
                raise SheetError("a text cannot stand in a sheet's formula", number, 1)


def _plain_target(node: ast.Assign | ast.AugAssign) -> str | None:
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    return target.id if isinstance(target, ast.Name) else None


def _one_line(text: str) -> str:
    """A statement on one line, without comments."""
    if "\n" not in text and "#" not in text:
        return text.strip()
    parts: list[str] = []
    end = (1, 0)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER):
            continue
        if parts and (token.start[0] != end[0] or token.start[1] != end[1]):
            parts.append(" ")
        parts.append(token.string)
        end = token.end
    line = "".join(parts)
    return re.sub(r"([(\[]) | (?=[)\]])", r"\1", line).strip()
