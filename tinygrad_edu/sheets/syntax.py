"""Formulas as a sheet writes them, and how they are printed; `reader` reads them.

A formula is a tree of `Expr` nodes. Equal formulas of one `Formulas` are one object, so a value
computed for a node serves every formula that contains it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinygrad_edu.core.plain import printable
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.sheets import vocabulary
from tinygrad_edu.words import Said

#: Operators that order, and all that compare.
ORDERING = (">", ">=", "<", "<=")
COMPARING = (*ORDERING, "==", "!=")
#: How tightly each operator binds; on the right of a non-associative one, one more is needed.
BINDS = {
    "cmp": 1, "|": 2, "&": 3, "+": 5, "-": 5, "*": 6, "/": 6, "@": 6, "//": 6, "%": 6,
    "neg": 7, "pos": 7, "~": 7, "**": 8,
}  # fmt: skip
ATOM = 10


class SheetError(GradError):
    """A sheet, or a formula, that cannot be read; `line` and `column` count from 1."""

    def __init__(self, message: str, line: int = 0, column: int = 0, sheet: str = "") -> None:
        self.message, self.line, self.column, self.sheet = message, line, column, sheet
        super().__init__(message, line, column, sheet)

    def __str__(self) -> str:
        where = f"line {self.line}, column {self.column}: " if self.line else ""
        return printable(f"{self.sheet + ': ' if self.sheet else ''}{where}{self.message}")

    @property
    def said(self) -> Said:
        """What ``str`` gives, and `Words.says` in another language."""
        key = "error.in_line" if self.line else "error.in_sheet"
        sheet = f"{self.sheet}: " if self.sheet else ""
        place = {"line": self.line, "column": self.column}
        return Said(str(self), key, sheet=sheet, message=self.message, **place)


def error_at(message: str, node: ast.stmt | ast.expr) -> SheetError:
    """An error that stands where a part of a sheet does."""
    return SheetError(message, node.lineno, node.col_offset + 1)


class Expr:
    """A node of a formula: an operation (`op`), its arguments (`args`), constants (`extra`).

    `op` is an operator as written (``"+"``, ``"@"``, ``">"``), or one of ``"neg" "number" "name"
    "call" "method" "attribute" "index" "slice" "tuple" "list" "dict" "text" "setitem" "addat"
    "append" "unread"``. The `extra` of a name is the name and which of its assignments is meant;
    that of a "dict" its keys; that of a line that could not be read, why. `length` is about its
    tokens, written out, and `depth` how deep its operations are nested: shared parts make a formula
    that is small in memory long.
    """

    __slots__ = ("_names", "args", "depth", "extra", "length", "number", "op")

    def __init__(self, op: str, args: tuple[Expr, ...], extra: Any, number: int) -> None:
        self.op, self.args, self.extra, self.number = op, args, extra, number
        length = 4 + 2 * len(args) if op in ("call", "method") else 2 if op == "attribute" else 1
        depth = 0
        for a in args:
            length += a.length
            if a.depth > depth:
                depth = a.depth
        self.length, self.depth = length, depth + 1
        self._names: frozenset[tuple[str, int]] | None = None

    def __repr__(self) -> str:
        return f"<{show(self)}>"

    @property
    def names(self) -> frozenset[tuple[str, int]]:
        """The names a formula reads, each with which of its assignments is meant."""
        if self._names is None:  # known of what was asked alone: a long sum has many parts
            self._names = frozenset(e.extra for e in parts(self) if e.op == "name")
        return self._names

    @property
    def function(self) -> str | None:
        """The name of the function or method called; None for anything else."""
        return self.extra[0] if self.op in ("call", "method") else None

    @property
    def options(self) -> dict[str, Expr]:
        """The keyword arguments of a call."""
        names = self.extra[1] if self.op in ("call", "method") else ()
        return dict(zip(names, self.args[len(self.args) - len(names) :], strict=True))

    @property
    def positional(self) -> tuple[Expr, ...]:
        """The arguments of a call without the keyword arguments."""
        return self.args[: len(self.args) - len(self.extra[1])]


class Formulas:
    """Where formulas live: equal ones are one node."""

    def __init__(self) -> None:
        self._nodes: dict[Any, Expr] = {}

    def make(self, op: str, *args: Expr, extra: Any = None) -> Expr:
        """The node of an operation on other nodes."""
        key = (op, args, extra, type(extra))
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = Expr(op, args, extra, len(self._nodes))
        return node

    def number(self, value: Any) -> Expr:
        """A constant."""
        return self.make("number", extra=value)

    def name(self, name: str, version: int = 0) -> Expr:
        """A variable, in the state its `version`-th assignment left it."""
        return self.make("name", extra=(name, version))

    def transposed(self, e: Expr) -> Expr:
        """A formula with ``.T`` behind it."""
        return self.make("attribute", e, extra="T")

    def call(self, function: str, *args: Expr, **options: Expr) -> Expr:
        """A function call; the function is one of `vocabulary.FUNCTIONS`."""
        return self.make("call", *args, *options.values(), extra=(function, tuple(options)))

    def rebuilder(self, root: Expr, path: Sequence[int]) -> Callable[[Expr], Expr]:
        """What puts another node at `path` (argument numbers from the root down) of `root`."""
        steps = []
        for i in path:
            steps.append((root.op, root.args[:i], root.args[i + 1 :], root.extra))
            root = root.args[i]
        steps.reverse()
        make = self.make

        def rebuilt(new: Expr) -> Expr:
            for op, before, after, extra in steps:
                new = make(op, *before, new, *after, extra=extra)
            return new

        return rebuilt

    def replaced(self, root: Expr, path: Sequence[int], new: Expr) -> Expr:
        """`root` with the node at `path` replaced."""
        return self.rebuilder(root, path)(new)

    def substituted(self, root: Expr, mapping: Mapping[Expr, Expr]) -> Expr:
        """`root` with every node in `mapping` replaced."""
        if not mapping:
            return root
        done: dict[Expr, Expr] = {}

        def walk(e: Expr) -> Expr:
            if e in mapping:
                return mapping[e]
            if e not in done:
                args = tuple(walk(a) for a in e.args)
                done[e] = e if args == e.args else self.make(e.op, *args, extra=e.extra)
            return done[e]

        return walk(root)


def nodes(root: Expr) -> list[tuple[tuple[int, ...], Expr]]:
    """Every position of a formula with its path, the root first."""
    found: list[tuple[tuple[int, ...], Expr]] = []
    stack: list[tuple[tuple[int, ...], Expr]] = [((), root)]
    while stack:
        path, e = stack.pop()
        found.append((path, e))
        if e.args:
            stack.extend(((*path, i), a) for i, a in reversed(list(enumerate(e.args))))
    return found


def walk(root: Expr) -> list[Expr]:
    """Every part of a formula, as often as it stands there, the root first."""
    return [e for _, e in nodes(root)]


def part_at(root: Expr, path: Sequence[int]) -> Expr:
    """The part of a formula at a path, argument numbers from the root down."""
    for i in path:
        root = root.args[i]
    return root


def parts(*roots: Expr) -> list[Expr]:
    """Every formula that is a part of these, themselves included, each once, in no order."""
    found = list(dict.fromkeys(roots))
    seen = set(found)
    for e in found:  # which grows
        for a in e.args:
            if a not in seen:
                seen.add(a)
                found.append(a)
    return found


#: What leaves a whole number what it is.
CASTS = frozenset({"float", "float64", "float32", "int", "int64", "int32"})


def is_length(e: Expr) -> bool:
    """Is a formula ``X.shape[i]``, ``np.shape(X)[i]`` or ``len(X)``?"""
    if e.op == "index" and len(e.args) == 2:
        of = e.args[0]
        return (of.op == "attribute" and of.extra == "shape") or of.function == "shape"
    return e.function == "len"


def is_transposed(e: Expr) -> bool:
    """Is a formula another one with ``.T`` behind it?"""
    return e.op == "attribute" and e.extra == "T"


def takes_all(e: Expr) -> bool:
    """Is a part of an index ``:``?"""
    return e.op == "slice" and all(a.op == "number" and a.extra is None for a in e.args)


# --- printing ---------------------------------------------------------------------------------


def show(e: Expr, spelling: Mapping[Expr, str] | None = None) -> str:
    """A formula as text; what the learner wrote stays as it was written."""
    text = _show(e, spelling or {}, 0)
    while _bracketed(text):
        text = text[1:-1].strip()
    return text


def masks(e: Expr) -> bool:
    """Is a formula ``NAME[mask] = new``, which np.where says too?"""
    return e.op == "setitem" and len(e.args) == 3 and e.args[1].op in (*COMPARING, "&", "|", "~")


def keeps(e: Expr) -> bool:
    """Does a line put something into a collection, and compute nothing?"""
    key = e.args[1] if e.op == "setitem" else None
    text = key is not None and key.op == "number" and isinstance(key.extra, str)
    return text or e.op in ("dict", "append")


def assigns(e: Expr) -> bool:
    """Is a formula ``NAME[index] = new`` or np.add.at, of which ``NAME = …`` cannot be said?"""
    return e.op in ("addat", "append") or (e.op == "setitem" and not masks(e))


def _bracketed(text: str) -> bool:
    """Is the whole text in one pair of brackets?"""
    if not text.startswith("(") or not text.endswith(")"):
        return False
    depth = 0
    for c in text[:-1]:
        depth += (c in "([") - (c in ")]")
        if depth == 0:
            return False
    return True


def _level(e: Expr) -> int:
    """How tightly the outermost operation of `e` binds."""
    if e.op in COMPARING:
        return BINDS["cmp"]
    if e.op == "number" and isinstance(e.extra, (int, float)) and e.extra < 0:
        return BINDS["neg"]
    return BINDS.get(e.op, ATOM)


def _show(e: Expr, spelling: Mapping[Expr, str], needed: int) -> str:
    if e in spelling:
        text = spelling[e]
        return f"({text})" if _level(e) < needed and not _bracketed(text) else text
    text = _fresh(e, spelling)
    return f"({text})" if _level(e) < needed else text


def _fresh(e: Expr, spelling: Mapping[Expr, str]) -> str:
    def sub(child: Expr, needed: int = 0) -> str:
        return _show(child, spelling, needed)

    writing = _WRITING.get(e.op)
    return _infix(e, sub) if writing is None else writing(e, sub)


Sub = Callable[..., str]


def _number(e: Expr, sub: Sub) -> str:
    return "..." if e.extra is Ellipsis else repr(e.extra)


def _prefixed(e: Expr, sub: Sub) -> str:
    return {"neg": "-", "pos": "+", "~": "~"}[e.op] + sub(e.args[0], BINDS[e.op])


def _power(e: Expr, sub: Sub) -> str:
    return f"{sub(e.args[0], ATOM)}**{sub(e.args[1], BINDS['neg'])}"


def _infix(e: Expr, sub: Sub) -> str:
    level, (x, y) = _level(e), e.args
    left = sub(x, level)
    if e.op in ("+", "-") and x.op in ("+", "-") and _bracketed(left):
        left = left[1:-1].strip()  # (x - y) / s has become (x - y - z) / s
    return f"{left} {e.op} {sub(y, level + 1)}"


def _called(e: Expr, sub: Sub) -> str:
    given = [sub(a) for a in e.positional[e.op == "method" :]]
    given += [f"{name}={sub(value)}" for name, value in e.options.items()]
    name = e.extra[0]
    owner = f"{sub(e.args[0], ATOM)}." if e.op == "method" else vocabulary.prefix(name)
    return f"{owner}{name}({', '.join(given)})"


def _several(e: Expr, sub: Sub) -> str:
    return ", ".join(map(sub, e.args))


def _sliced(e: Expr, sub: Sub) -> str:
    parts = ["" if a.op == "number" and a.extra is None else sub(a) for a in e.args]
    return ":".join(parts if parts[2] else parts[:2])


def _indexed(of: Expr, parts: Sequence[Expr], sub: Sub) -> str:
    return f"{sub(of, ATOM)}[{', '.join(map(sub, parts))}]"


def _dictionary(e: Expr, sub: Sub) -> str:
    return f"{{{', '.join(f'{key!r}: {sub(part, 0)}' for key, part in zip(e.extra, e.args))}}}"


def _as_text(e: Expr, shown: str) -> str:
    return shown if e.op == "number" and isinstance(e.extra, str) else f"str({shown})"


def _assigned(e: Expr, sub: Sub) -> str:
    old, *where, new = e.args
    if masks(e):
        return f"np.where({sub(where[0])}, {sub(new)}, {sub(old)})"
    return f"{_indexed(old, where, sub)} = {sub(new)}"


_WRITING: dict[str, Callable[[Expr, Sub], str]] = {
    "number": _number, "unread": lambda e, sub: "...", "name": lambda e, sub: str(e.extra[0]),
    "neg": _prefixed, "pos": _prefixed, "~": _prefixed, "**": _power, "call": _called,
    "method": _called, "attribute": lambda e, sub: f"{sub(e.args[0], ATOM)}.{e.extra}",
    "index": lambda e, sub: _indexed(e.args[0], e.args[1:], sub), "slice": _sliced,
    "tuple": lambda e, sub: f"({_several(e, sub)}{',' if len(e.args) == 1 else ''})",
    "list": lambda e, sub: f"[{_several(e, sub)}]", "dict": _dictionary,
    "setitem": _assigned,
    "addat": lambda e, sub: f"np.add.at({_several(e, sub)})",
    "append": lambda e, sub: f"{sub(e.args[0], ATOM)}.append({sub(e.args[1])})",
    "text": lambda e, sub: " + ".join(map(_as_text, e.args, map(sub, e.args))),
}  # fmt: skip
