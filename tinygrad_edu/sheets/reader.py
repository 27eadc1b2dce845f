"""Formulas read from Python's grammar.

Nothing is ever handed to `eval`: a part of a formula is either an operation of the tables below or
an error with its column.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, MutableMapping

from tinygrad_edu.sheets import vocabulary
from tinygrad_edu.sheets.syntax import Expr, Formulas, SheetError
from tinygrad_edu.words import say

#: Deeper than anybody writes by hand; far from Python's own limit.
DEEPEST = 150

BINARY: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.MatMult: "@", ast.Pow: "**",
    ast.FloorDiv: "//", ast.Mod: "%", ast.BitAnd: "&", ast.BitOr: "|",
}  # fmt: skip
COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
UNARY: dict[type[ast.unaryop], str] = {
    ast.USub: "neg",
    ast.UAdd: "pos",
    ast.Invert: "~",
    ast.Not: "~",
}


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
        self.spelling: MutableMapping[Expr, str] = {}
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
            if not is_text(node):
                raise self.error("a number is put behind a text as 'W' + str(l)", node)
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
