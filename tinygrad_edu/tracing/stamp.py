"""The learner's program with marks in it: which statement is under way, how often loops turn.

Line numbers stay, so what is recorded can be told in the learner's own lines.
"""

from __future__ import annotations

import ast
from typing import Any

#: Statements before which nothing can be put, or that compute nothing.
_UNMARKED = (ast.Global, ast.Nonlocal)


class Tick(ast.Expr):
    """A statement that is not the learner's: it counts the turns of a loop."""


def placed(node: Any, at: ast.AST) -> Any:
    """`node` at the position of `at`, with all that is in it."""
    ast.copy_location(node, at)
    return ast.fix_missing_locations(node)


def _call(name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(args), [])


def keep(node: ast.FunctionDef, number: int) -> None:
    """Have the bare function handed over when it is made, beneath its decorators."""
    call = _call("__keep__", ast.Constant(number))
    node.decorator_list.append(placed(call, node))


class Stamp(ast.NodeTransformer):
    """Puts ``__at__(k)`` before every statement; `statements` has statement k."""

    def __init__(self, first: int = 0) -> None:
        self.first = first
        self.statements: list[ast.stmt] = []

    def body(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """The statements of a block, each with its mark before it."""
        made: list[ast.stmt] = []
        for statement in statements:
            number = self.first + len(self.statements)
            self.statements.append(statement)
            text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if not text and not isinstance(statement, _UNMARKED):
                made.append(placed(ast.Expr(_call("__at__", ast.Constant(number))), statement))
            made.append(self.visit(statement))
        return made

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """The blocks of a statement, and its expressions."""
        if not isinstance(node, (ast.stmt, ast.excepthandler, ast.match_case)):
            return super().generic_visit(node)
        for field, value in ast.iter_fields(node):
            if isinstance(value, ast.AST) and not isinstance(value, ast.stmt):
                setattr(node, field, self.visit(value))
            elif isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                setattr(node, field, self.body(value))
            elif isinstance(value, list):
                parts = [self.visit(x) if isinstance(x, ast.AST) else x for x in value]
                setattr(node, field, parts)
        return node

    def visit_Call(self, node: ast.Call) -> Any:
        """``x.dot`` of an ordinary array does not ask its argument; ``float`` loses the record."""
        super().generic_visit(node)
        f = node.func
        alone = len(node.args) == 1 and not node.keywords
        if isinstance(f, ast.Attribute) and f.attr == "dot" and alone:
            return placed(_call("__dot__", f.value, node.args[0]), node)
        cast = isinstance(f, ast.Name) and f.id == "float"
        cast = cast or (isinstance(f, ast.Attribute) and f.attr in ("float64", "float32"))
        if cast and alone:
            return placed(_call("__float__", f, node.args[0]), node)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        """``dZ = dA`` may be where something is missing: it makes a node of its own."""
        self.generic_visit(node)
        if len(node.targets) != 1 or isinstance(node.targets[0], ast.Tuple):
            return node
        if isinstance(node.value, (ast.Name, ast.Attribute, ast.Subscript)):
            node.value = placed(_call("__alias__", node.value), node.value)
        elif _is_start(node):
            node.value = placed(_call("__start__"), node.value)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """``return dout`` of an argument, as it was handed in, makes a node of its own too."""
        every = list(ast.walk(node))
        given = {a.arg for a in node.args.args}
        given -= {n.id for n in every if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        for part in every:
            if isinstance(part, ast.Return) and isinstance(part.value, ast.Name):
                if part.value.id in given:
                    part.value = placed(_call("__alias__", part.value), part.value)
        return self.generic_visit(node)


def _is_start(node: ast.Assign) -> bool:
    """``total = 0.0``, ``self.grad = 0``: a number that a gradient may be added to later."""
    value = node.value
    if not isinstance(value, ast.Constant) or value.value != 0:
        return False
    return type(value.value) is float or "grad" in ast.unparse(node.targets[0]).lower()


def count_loops(tree: ast.AST) -> None:
    """Put a `Tick` into every loop: what runs for ever can be stopped, in any thread."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.For, ast.While)):
            tick = Tick(_call("__tick__"))
            node.body.insert(0, placed(tick, node.body[0]))
