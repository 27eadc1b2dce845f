"""A change tried: put into the tree, the one function compiled, run, taken back.

A function's code is exchanged, which reaches it under all its names: in tables, bound to objects.
"""

from __future__ import annotations

import ast
import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType
from typing import Any

from tinygrad_edu.tracing import splice
from tinygrad_edu.tracing.edits import Edit
from tinygrad_edu.tracing.scope import Scope
from tinygrad_edu.tracing.stamp import placed
from tinygrad_edu.tracing.workspace import Workspace

#: So much more memory than there is in use may a trial take: a changed product can be a huge one.
_MEMORY = 1 << 29


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """What asks for much more memory than is in use raises MemoryError, where the system can."""
    try:
        import resource

        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (ImportError, OSError):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = used * resource.getpagesize() + _MEMORY
    inside = most if soft == resource.RLIM_INFINITY else min(soft, most)
    resource.setrlimit(resource.RLIMIT_AS, (inside, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


class Trials:
    """Edits tried in a workspace without a record; `scopes` by file."""

    def __init__(self, workspace: Workspace, scopes: dict[str, Scope]) -> None:
        self.workspace, self.scopes = workspace, scopes

    @contextlib.contextmanager
    def changed(self, scope: Scope, edits: Sequence[Edit]) -> Iterator[None]:
        """The workspace with edits in force."""
        undo: list[Callable[[], None]] = []
        swapped: list[tuple[Any, CodeType]] = []
        try:
            touched = dict.fromkeys(self._top(scope, edit) for edit in edits)
            undo += [applied(scope, edit) for edit in edits]
            for top in touched:
                function = self._function(scope, top)
                swapped.append((function, function.__code__))
                function.__code__ = _compiled(scope, top)
            yield
        finally:
            for function, code in swapped:
                function.__code__ = code
            for back in reversed(undo):
                back()

    def _top(self, scope: Scope, edit: Edit) -> Any:
        node = edit.node[-1] if isinstance(edit.node, list) else edit.node
        return scope.function(node)

    def _function(self, scope: Scope, top: Any) -> Any:
        return self.workspace.functions[scope.unit.file, top.lineno, top.col_offset]


def looking(scope: Scope, point: tuple[list[Any], int], name: str, *args: Any) -> Edit:
    """A call put before the statement at a point of a block, from where every name is in reach."""
    block, i = point
    names: list[ast.expr] = [ast.Name(n, ast.Load()) for n in scope.outer_names(block[-1])]
    given = ast.arguments([], [], None, [], [], None, [])
    reached = ast.Lambda(given, ast.Tuple(names, ast.Load()))
    values: list[ast.expr] = [ast.Constant(x) for x in args]
    return Edit(0, "insert", block, (i, ast.Expr(
        ast.Call(ast.Name(name, ast.Load()), [*values, *([reached] if names else [])], [])
    )))  # fmt: skip


def applied(scope: Scope, edit: Edit) -> Callable[[], None]:
    """Put an edit into the tree; returns what takes it out again."""
    node, new = edit.node, edit.new
    if isinstance(node, list):
        i, j = new
        if edit.kind == "insert":
            node.insert(i, placed(j, node[i - 1]))
            return lambda: node.pop(i) and None
        if edit.kind == "hoist":
            outside = scope.block(j)
            at = outside.index(j)
            outside.insert(at, node.pop(i))
            return lambda: node.insert(i, outside.pop(at))
        node.insert(j, node.pop(i))
        return lambda: node.insert(i, node.pop(j))
    _locate(new, node)
    parent = scope.up[node]
    for field, value in ast.iter_fields(parent):
        if value is node:
            setattr(parent, field, new)
            return lambda: setattr(parent, field, node)
        if isinstance(value, list):
            for k, part in enumerate(value):
                if part is node:
                    value[k] = new
                    return lambda: value.__setitem__(k, node)
    raise ValueError("the node is not where it was")


def _locate(new: ast.AST, at: ast.AST) -> None:
    """Give what is new the place of the node it replaces; what is the learner's has its own."""
    if "lineno" in new._attributes:
        if hasattr(new, "lineno"):
            return
        ast.copy_location(new, at)
    for part in ast.iter_child_nodes(new):
        _locate(part, at)


def _compiled(scope: Scope, top: Any) -> CodeType:
    """The code of a function as its tree is now, inside its classes."""
    if isinstance(top, ast.FunctionDef):
        bare = copy.copy(top)
        bare.decorator_list = []
        name = top.name
    else:
        bare, name = top, "<lambda>"
    body: Any = bare
    path = [name]
    for cls in reversed(scope.classes(top)):
        body = ast.copy_location(ast.ClassDef(cls.name, [], [], [body], []), cls)
        path.insert(0, cls.name)
    code = compile(ast.Module([body], []), scope.unit.file, "exec", dont_inherit=True)
    for name in path:
        code = next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == name)
    return code


def text_with(scope: Scope, edits: Sequence[Edit]) -> str:
    """The unit's text with edits in it."""
    text = scope.unit.text
    for edit in sorted(edits, key=lambda e: -_line(e)):  # from below, so that positions stay
        node, new = edit.node, edit.new
        if not isinstance(node, list):
            text = splice.replaced(text, node, new, scope.own)
        elif edit.kind == "insert":
            text = splice.inserted(text, node[new[0] - 1], new[1], scope.own)
        elif edit.kind == "hoist":
            text = splice.moved(text, node[new[0]], new[1])
        else:
            text = splice.moved(text, node[new[0]], node[new[1]])
    return text


def _line(edit: Edit) -> int:
    node = edit.node[0] if isinstance(edit.node, list) else edit.node
    return int(node.lineno)
