"""Formulas as a sheet writes them: read from Python's grammar, and printed back.

A formula is a tree of `Expr` nodes. Equal formulas of one `Formulas` are one object, so a value
computed for a node serves every formula that contains it. Nothing is ever handed to `eval`: a node
is either an operation of the tables below or an error with its column.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinygrad_edu.core.plain import printable
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.sheets import vocabulary
from tinygrad_edu.words import Said, say

#: Deeper than anybody writes by hand; far from Python's own limit.
DEEPEST = 150

BINARY: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.MatMult: "@", ast.Pow: "**",
    ast.FloorDiv: "//", ast.Mod: "%", ast.BitAnd: "&", ast.BitOr: "|",
}  # fmt: skip
COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
#: Operators that compare, and those of them that order.
COMPARING = tuple(COMPARISONS.values())
ORDERING = (">", ">=", "<", "<=")
UNARY: dict[type[ast.unaryop], str] = {
    ast.USub: "neg",
    ast.UAdd: "pos",
    ast.Invert: "~",
    ast.Not: "~",
}

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
        if self._names is None:
            own = [self.extra] if self.op == "name" else []
            self._names = frozenset(own).union(*(a.names for a in self.args))
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


# --- reading ----------------------------------------------------------------------------------


#: Reads a part of a formula, brackets around it being its own within bounds.
Read = Callable[..., "Expr"]

_OPEN, _CLOSE, _SPACE = ord("("), ord(")"), frozenset(b" \t\n\r\f\v")


class Reader:
    """Reads the formulas of one statement; remembers how each node was written, and where.

    `resolve` says which assignment of a name is meant. `text` is the statement on one line, `line`
    that of the sheet. `kept` says what name an entry of something has, ``cache['Z1']``.
    """

    def __init__(
        self,
        formulas: Formulas,
        text: str,
        resolve: Callable[[str], int],
        line: int = 1,
        kept: Callable[[Expr, Expr], Expr | None] | None = None,
    ) -> None:
        self.formulas, self.text, self.line = formulas, text, line
        self.source = text.encode()
        self.resolve, self.kept = resolve, kept
        self.spelling: dict[Expr, str] = {}
        self.columns: dict[Expr, int] = {}

    def error(self, message: str, node: ast.AST) -> SheetError:
        return SheetError(message, self.line, getattr(node, "col_offset", 0) + 1)

    def read(self, node: ast.expr, bounds: tuple[int, int] | None = None, depth: int = 0) -> Expr:
        """The formula of a syntax tree; within `bounds`, brackets around it are its own."""
        if depth > DEEPEST:
            raise self.error("this formula is nested too deeply; write it in several lines", node)
        e = self._read(node, depth + 1)
        start, end = node.col_offset, node.end_col_offset or node.col_offset
        low, high = bounds or (0, len(self.source))
        source = self.source
        while True:
            left, right = start - 1, end
            while left >= low and source[left] in _SPACE:
                left -= 1
            while right < high and source[right] in _SPACE:
                right += 1
            if left < low or right >= high or source[left] != _OPEN or source[right] != _CLOSE:
                break
            start, end = left, right + 1
        self.spelling[e] = self.source[start:end].decode()
        self.columns[e] = node.col_offset + 1
        return e

    def _read(self, node: ast.expr, depth: int) -> Expr:
        reading = _READING.get(type(node))
        if reading is not None:
            inside = (node.col_offset, node.end_col_offset or 0)
            made: Expr = reading(
                self, node, lambda child, bounds=inside: self.read(child, bounds, depth)
            )
            return made
        what = {
            ast.IfExp: "conditional", ast.ListComp: "list", ast.GeneratorExp: "generator",
            ast.Lambda: "lambda", ast.BoolOp: "and",
        }.get(type(node), "this")  # fmt: skip
        raise self.error(say(f"error.formula_{what}"), node)

    def _name(self, node: ast.Name, read: Read) -> Expr:
        version = self.resolve(node.id)
        if node.id in vocabulary.CONSTANTS and version < 0:
            return self.formulas.number(vocabulary.CONSTANTS[node.id])
        return self.formulas.name(node.id, version)

    def _binary(self, node: ast.BinOp, read: Read) -> Expr:
        if is_text(node):
            return self._text(node, read)
        if type(node.op) not in BINARY:
            raise self.error(say("error.no_operator"), node)
        return self.formulas.make(BINARY[type(node.op)], read(node.left), read(node.right))

    def _unary(self, node: ast.UnaryOp, read: Read) -> Expr:
        return self.formulas.make(UNARY[type(node.op)], read(node.operand))

    def _compare(self, node: ast.Compare, read: Read) -> Expr:
        if len(node.ops) != 1 or type(node.ops[0]) not in COMPARISONS:
            raise self.error(say("error.one_comparison"), node)
        op = COMPARISONS[type(node.ops[0])]
        return self.formulas.make(op, read(node.left), read(node.comparators[0]))

    def _list(self, node: ast.List, read: Read) -> Expr:
        return self.formulas.make("list", *map(read, node.elts))

    def _tuple(self, node: ast.Tuple, read: Read) -> Expr:
        whole = (0, len(self.source))  # its brackets are its members' as well
        return self.formulas.make("tuple", *(read(item, whole) for item in node.elts))

    def _dict(self, node: ast.Dict, read: Read) -> Expr:
        keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        if not all(isinstance(key, (str, int)) for key in keys):
            raise self.error(say("error.formula_keys"), node)
        return self.formulas.make("dict", *map(read, node.values), extra=tuple(keys))

    def _subscript(self, node: ast.Subscript, read: Read) -> Expr:
        within = (
            self._position(b"[", node.value.end_col_offset or 0) + 1,
            (node.end_col_offset or 0) - 1,
        )
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        of, index = read(node.value), [self._index(p, within, read) for p in parts]
        named = self.kept(of, index[0]) if self.kept is not None and len(index) == 1 else None
        return named or self.formulas.make("index", of, *index)

    def _constant(self, node: ast.Constant, read: Read) -> Expr:
        value = node.value
        if value is Ellipsis or value is None or isinstance(value, bool):
            return self.formulas.number(value)
        if isinstance(value, (int, float)):
            if isinstance(value, int) and abs(value) > 2**53:
                raise self.error("this integer is too large", node)
            return self.formulas.number(value)
        if isinstance(value, str) and len(value) <= 40:
            return self.formulas.number(value)
        raise self.error(say("error.real_numbers"), node)

    def _attribute(self, node: ast.Attribute, read: Read) -> Expr:
        dotted = _dotted(node)
        if dotted is not None and dotted[0] in vocabulary.MODULES:
            name = ".".join(dotted[1:])
            if name in vocabulary.CONSTANTS:
                return self.formulas.number(vocabulary.CONSTANTS[name])
            raise self.error(say("error.not_function", name=".".join(dotted)), node)
        if node.attr not in vocabulary.ATTRIBUTES:
            known = ", ".join(f".{name}" for name in vocabulary.ATTRIBUTES)
            raise self.error(say("error.attribute", name=node.attr, known=known), node)
        return self.formulas.make("attribute", read(node.value), extra=node.attr)

    def _text(self, node: ast.expr, read: Read) -> Expr:
        """``'W' + str(l)`` and ``f'W{l}'``, which keys of dictionaries are made of."""
        return self.formulas.make("text", *(self._part(part, read) for part in _text_parts(node)))

    def _part(self, node: ast.expr, read: Read) -> Expr:
        if isinstance(node, ast.Call) and is_text(node):
            return read(node.args[0], self._brackets(node))
        if not isinstance(node, ast.FormattedValue):
            return read(node)
        if node.format_spec is not None or node.conversion != -1:
            raise self.error(say("error.real_numbers"), node)
        text = ast.unparse(node.value)  # in an f-string Python counts no columns
        inner = Reader(self.formulas, text, self.resolve, self.line, self.kept)
        return inner.read(ast.parse(text, mode="eval").body)

    def _call(self, node: ast.Call, read: Read) -> Expr:
        if is_text(node):
            return self._text(node, read)
        within = self._brackets(node)
        for item in node.args:
            if isinstance(item, ast.Starred):
                raise self.error("*arguments cannot stand in a sheet", item)
        names = tuple(k.arg or "" for k in node.keywords)
        if "" in names:
            raise self.error("**arguments cannot stand in a sheet", node)
        dotted = _dotted(node.func)
        is_function = dotted is not None and (dotted[0] in vocabulary.MODULES or len(dotted) == 1)
        name = self._function(node, dotted) if dotted and is_function else self._method(node)
        values = [read(a, within) for a in (*node.args, *(k.value for k in node.keywords))]
        if is_function:
            return self.formulas.make("call", *values, extra=(name, names))
        assert isinstance(node.func, ast.Attribute)
        owner = read(node.func.value)
        return self.formulas.make("method", owner, *values, extra=(name, names))

    def _method(self, node: ast.Call) -> str:
        """The name of the method that is called."""
        if not isinstance(node.func, ast.Attribute):
            raise self.error(say("error.called"), node)
        if node.func.attr not in vocabulary.METHODS:
            raise self.error(say("error.method", name=node.func.attr), node.func)
        return node.func.attr

    def _function(self, node: ast.Call, dotted: list[str]) -> str:
        """The name of the function that is called."""
        name = ".".join(dotted[1:] if dotted[0] in vocabulary.MODULES else dotted)
        if dotted[0] not in vocabulary.MODULES and name in ("max", "min") and len(node.args) > 1:
            name = {"max": "maximum", "min": "minimum"}[name]  # Python's own, of two numbers
        if name in vocabulary.FUNCTIONS:
            return name
        if f"linalg.{name}" in vocabulary.FUNCTIONS:
            return f"linalg.{name}"  # from numpy.linalg import inv
        instead = f"; to multiply, write {name} * ( or {name} @ ("
        if self.resolve(name) < 0:
            instead = vocabulary.suggestion(name)
        what = f"{'.'.join(dotted)}() is not among the functions of a sheet"
        raise self.error(f"{what}{instead}", node.func)

    def _index(self, node: ast.expr, within: tuple[int, int], read: Read) -> Expr:
        if not isinstance(node, ast.Slice):
            return read(node, within)
        none = self.formulas.number(None)
        parts = [
            none if p is None else read(p, (p.col_offset, p.end_col_offset or 0))
            for p in (node.lower, node.upper, node.step)
        ]
        return self.formulas.make("slice", *parts)

    def _brackets(self, call: ast.Call) -> tuple[int, int]:
        """Where the arguments of a call stand."""
        opened = self._position(b"(", call.func.end_col_offset or 0)
        return opened + 1, (call.end_col_offset or 0) - 1

    def _position(self, char: bytes, start: int) -> int:
        return self.source.index(char, start)


_READING: dict[type[ast.expr], Callable[..., Expr]] = {
    ast.Constant: Reader._constant, ast.Name: Reader._name, ast.BinOp: Reader._binary,
    ast.UnaryOp: Reader._unary, ast.Compare: Reader._compare, ast.List: Reader._list,
    ast.Tuple: Reader._tuple, ast.Dict: Reader._dict, ast.Attribute: Reader._attribute,
    ast.Subscript: Reader._subscript, ast.Call: Reader._call, ast.JoinedStr: Reader._text,
}  # fmt: skip


def is_text(node: ast.expr) -> bool:
    """Is this ``'W' + str(l)``, or a part of it that is no number?"""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Add) and (is_text(node.left) or is_text(node.right))
    if isinstance(node, ast.Call):
        one = len(node.args) == 1 and not node.keywords
        return one and isinstance(node.func, ast.Name) and node.func.id == "str"
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _text_parts(node: ast.expr) -> list[ast.expr]:
    """What is put one behind the other in a text."""
    if isinstance(node, ast.BinOp):
        return [*_text_parts(node.left), *_text_parts(node.right)]
    return node.values if isinstance(node, ast.JoinedStr) else [node]


def _dotted(node: ast.expr) -> list[str] | None:
    """``np.add.at`` as its parts; None for what is not a plain dotted name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else None


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
