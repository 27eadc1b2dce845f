"""Arrays that have two names, one of which is written into: where a copy may be missing."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

from tinygrad_edu.tracing.edits import Edit, binary
from tinygrad_edu.tracing.scope import Scope, called

#: What gives another name to the same numbers, or to some of them.
_SAME = (ast.Name, ast.Attribute, ast.Subscript)
_VIEWS = frozenset("reshape ravel transpose squeeze view asarray swapaxes".split())
_COST = 1.5


def copies(scope: Scope, statement: Any, written_in: Callable[[Any], Any]) -> Iterator[Edit]:
    """The statement with a copy of what is written into elsewhere, or by itself."""
    written = written_in(scope.function(statement))
    if isinstance(statement, ast.Assign):
        value = statement.value
        bases = {_base(value), *map(_base, statement.targets)}
        lines = [line for name, line in written.items() if name in bases]
        if (isinstance(value, _SAME) or called(value) in _VIEWS) and lines:
            yield Edit(_COST, "copy", value, _copied(value), min(lines))
    elif isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        new = binary(ast.Name(statement.target.id, ast.Load()), type(statement.op), statement.value)
        made = ast.Assign([statement.target], new)
        yield Edit(_COST, "copy", statement, made, statement.lineno)
    for call in _calls(statement):
        for function in scope.functions_named(called(call)):
            names = [a.arg for a in function.args.args]
            names = names[names[:1] == ["self"] :]
            inside = written_in(function)
            for name, argument in zip(names, call.args):
                if name in inside and isinstance(argument, _SAME):
                    yield Edit(_COST, "copy", argument, _copied(argument), inside[name])


def _calls(statement: Any) -> list[ast.Call]:
    if hasattr(statement, "body"):
        return []
    return [node for node in ast.walk(statement) if isinstance(node, ast.Call)]


def _copied(value: Any) -> ast.Call:
    return ast.Call(ast.Attribute(value, "copy", ast.Load()), [], [])


def _base(node: Any) -> str:
    """The name that holds an array, or the array that something is a part of."""
    while isinstance(node, (ast.Subscript, ast.Attribute, ast.Call)):
        if isinstance(node, ast.Call):
            node = node.args[0] if node.args else node.func
        else:
            node = node.value
    return getattr(node, "id", "")


def written_in(function: Any) -> dict[str, int]:
    """The names in a function that hold what it writes into, and the first line that does."""
    lines: dict[str, int] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.AugAssign):
            lines.setdefault(_base(node.target), node.lineno)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript):
                    lines.setdefault(_base(target), node.lineno)
        elif isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg == "out":
                    lines.setdefault(_base(keyword.value), node.lineno)
    return lines
