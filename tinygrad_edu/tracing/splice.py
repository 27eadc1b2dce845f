"""One change in the learner's own text: everything else is left as it was written."""

from __future__ import annotations

import ast
import copy
from collections.abc import Container
from typing import Any

#: What needs no parentheses wherever it is put.
_ATOMS = (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.Constant, ast.List, ast.Dict)


def _offset(lines: list[str], line: int, column: int) -> int:
    return sum(len(text.encode()) + 1 for text in lines[: line - 1]) + column


def segment(text: str, node: Any) -> str:
    """The text of a node."""
    lines, raw = text.split("\n"), text.encode()
    start = _offset(lines, node.lineno, node.col_offset)
    return raw[start : _offset(lines, node.end_lineno, node.end_col_offset)].decode()


class _Held(ast.NodeTransformer):
    """Names in place of the learner's own pieces in a new formula, to be spelled as they were."""

    def __init__(self, text: str, own: Container[ast.AST]) -> None:
        self.text, self.own = text, own
        self.pieces: dict[str, tuple[str, bool]] = {}

    def visit(self, node: Any) -> Any:
        """The learner's piece becomes a name; what is new is looked into."""
        if node not in self.own or not isinstance(node, ast.expr):
            return self.generic_visit(copy.copy(node))
        name = f"piece_{len(self.pieces)}_"
        self.pieces[name] = segment(self.text, node), isinstance(node, _ATOMS)
        return ast.Name(name, ast.Load())

    def generic_visit(self, node: Any) -> Any:
        """The fields of a new node, itself left alone."""
        for field, value in ast.iter_fields(node):
            if isinstance(value, list):
                parts = [self.visit(x) if isinstance(x, ast.AST) else x for x in value]
                setattr(node, field, parts)
            elif isinstance(value, ast.AST):
                setattr(node, field, self.visit(value))
        return node


def spelled(text: str, new: ast.AST, own: Container[ast.AST]) -> str:
    """A new formula or statement, the learner's pieces in it as they were written."""
    held = _Held(text, own)
    shown = ast.unparse(ast.fix_missing_locations(held.visit(new)))
    meant = ast.dump(ast.parse(ast.unparse(new)))
    if " ** " not in text:
        shown = shown.replace(" ** ", "**")
    for bare in (True, False):
        tried = shown
        for name, (piece, atom) in held.pieces.items():
            tried = tried.replace(name, piece if atom or bare else f"({piece})")
        try:
            if ast.dump(ast.parse(tried)) == meant:
                return tried
        except SyntaxError:
            pass
    return ast.unparse(new)


def replaced(text: str, node: Any, new: ast.AST, own: Container[ast.AST]) -> str:
    """`text` with the piece of `node` replaced by `new`, in parentheses only if it has to be."""
    lines, raw = text.split("\n"), text.encode()
    start = _offset(lines, node.lineno, node.col_offset)
    end = _offset(lines, node.end_lineno, node.end_col_offset)
    piece = spelled(text, new, own).encode()
    lost = raw[start:end].count(b"\n") - piece.count(b"\n")
    kept = b"\n" * max(lost, 0)  # the lines after it keep their numbers
    if isinstance(new, ast.stmt):
        return (raw[:start] + piece + kept + raw[end:]).decode()
    bare = raw[:start] + piece + raw[end:]
    safe = raw[:start] + b"(" + piece + kept + b")" + raw[end:]
    try:
        meant = ast.dump(ast.parse(safe))
        for tried in (raw[:start] + piece + kept + raw[end:], bare):
            if _means(tried, meant):
                return tried.decode()
    except SyntaxError:
        pass
    return safe.decode()


def _means(text: bytes, meant: str) -> bool:
    try:
        return ast.dump(ast.parse(text)) == meant
    except SyntaxError:
        return False


def inserted(text: str, after: Any, new: ast.AST, own: Container[ast.AST]) -> str:
    """`text` with a statement put after another one, indented as that is."""
    lines = text.split("\n")
    line = " " * after.col_offset + spelled(text, new, own)
    return "\n".join([*lines[: after.end_lineno], line, *lines[after.end_lineno :]])


def moved(text: str, what: Any, to: Any) -> str:
    """`text` with the lines of a statement moved to the place of another one, indented as that."""
    lines = text.split("\n")
    start, end = what.lineno - 1, what.end_lineno
    mine = [line[max(0, what.col_offset - to.col_offset) :] for line in lines[start:end]]
    first, last = to.lineno - 1, to.end_lineno
    if first < start:
        return "\n".join(lines[:first] + mine + lines[first:start] + lines[end:])
    return "\n".join(lines[:start] + lines[end:last] + mine + lines[last:])
