"""What surrounds a statement in the learner's source: its function, its block, the words in use."""

from __future__ import annotations

import ast
import functools
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from tinygrad_edu.tracing.stamp import Tick, count_loops
from tinygrad_edu.tracing.workspace import Unit

#: So many functions of one value, those used most, are put round a word.
_MAPS = 8
_KEYS = 12
_NOT_WORDS = frozenset("np numpy self math grads params parameters cache range".split())

#: What may be a piece of a formula, and is used once more.
_PIECES = (ast.BinOp, ast.Call, ast.Subscript, ast.Attribute, ast.Compare)
_METHODS = frozenset("dot sum mean transpose reshape copy astype ravel max min".split())
_LENGTH = 45
#: A call that is written in more letters is not put anywhere else.
_CALL = 60


@functools.cache
def parsed(text: str) -> ast.expr:
    """A formula, as an expression. Shared: to be put into other expressions, never changed."""
    return ast.parse(text, mode="eval").body


@functools.cache
def stored(text: str) -> Any:
    """What something is stored in: a target of an assignment. Shared, as above."""
    return ast.parse(f"{text} = 0").body[0].targets[0]  # type: ignore[attr-defined]


def called(node: ast.AST) -> str:
    """The last name of a called function."""
    f = getattr(node, "func", None)
    return f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "")


class Scope:
    """A unit's tree for edits: every node with what it is in, loops counted.

    `compiled`: where the functions begin that were compiled by themselves, as (line, column).
    """

    def __init__(self, unit: Unit, compiled: Container[tuple[int, int]] = ()) -> None:
        self.unit, self.compiled = unit, compiled
        self.tree = unit.shape(unit.text)
        self.up: dict[ast.AST, ast.AST] = {}
        self._connect()
        self.statements = {
            (node.lineno, node.col_offset): node
            for node in reversed(list(ast.walk(self.tree)))
            if isinstance(node, ast.stmt)
        }
        self.own = frozenset(self.up)
        count_loops(self.tree)
        self._connect()
        self._words: dict[Any, dict[str, list[int]]] = {}
        self._calls: dict[Any, list[Any]] = {}
        self._pieces: dict[Any, dict[str, list[int]]] = {}

    def _connect(self) -> None:
        for node in ast.walk(self.tree):
            for child in ast.iter_child_nodes(node):
                self.up[child] = node

    def function(self, statement: ast.AST) -> Any:
        """The function around a statement that was compiled; for a named lambda its assignment."""
        chain = [statement]
        while chain[-1] in self.up:
            chain.append(self.up[chain[-1]])
        functions = [n for n in chain if isinstance(n, ast.FunctionDef)]
        for function in functions:
            if (function.lineno, function.col_offset) in self.compiled:
                return function
        return functions[-1] if functions else chain[-2] if len(chain) > 1 else statement

    def classes(self, function: ast.AST) -> list[ast.ClassDef]:
        """The classes a function is in, the outermost first."""
        found: list[ast.ClassDef] = []
        node = self.up.get(function)
        while node is not None:
            if isinstance(node, ast.ClassDef):
                found.insert(0, node)
            node = self.up.get(node)
        return found

    def outer_names(self, statement: ast.AST) -> list[str]:
        """Of a function in a function: the names of those around it, which it may not read yet."""
        inner = self.up.get(statement)
        while inner is not None and not isinstance(inner, ast.FunctionDef):
            inner = self.up.get(inner)
        outer = self.function(statement)
        if inner is outer or not isinstance(outer, ast.FunctionDef):
            return []
        within = set(ast.walk(inner)) if inner is not None else set()
        names = [n.id for n in ast.walk(outer) if isinstance(n, ast.Name) and n not in within
                 and isinstance(n.ctx, ast.Store)]  # fmt: skip
        return list(dict.fromkeys([a.arg for a in outer.args.args] + names))

    def around(self, statement: ast.AST) -> list[Any]:
        """The loops and conditions around a statement, in its function."""
        found = []
        node = self.up.get(statement)
        while node is not None and not isinstance(node, (ast.FunctionDef, ast.Module)):
            if isinstance(node, (ast.For, ast.If, ast.While)):
                found.append(node)
            node = self.up.get(node)
        return found

    def block(self, statement: ast.AST) -> list[Any]:
        """The statements it stands among."""
        parent = self.up.get(statement)
        for field in ("body", "orelse", "finalbody"):
            block = getattr(parent, field, None)
            if isinstance(block, list) and statement in block:
                return block
        return []

    def words(self, statement: Any, most: int) -> list[str]:
        """Names, attributes, entries used in the function, ``self.…`` of its class, by nearness."""
        function = self.function(statement)
        if function not in self._words:
            self._words[function] = self._lines_of_words(function)
        return _nearest(self._words[function], statement, most)

    def _lines_of_words(self, function: Any) -> dict[str, list[int]]:
        lines: dict[str, list[int]] = {}
        node: Any
        for node in ast.walk(function):
            if self._is_word(node):
                lines.setdefault(ast.unparse(node), []).append(node.lineno)
        given = [a.arg for a in _arguments(function)]
        for name in given:
            if name not in _NOT_WORDS:
                lines.setdefault(name, []).append(function.lineno)
        for cls in self.classes(function)[-1:]:
            for node in ast.walk(cls):
                if self._is_word(node) and ast.unparse(node).startswith("self."):
                    lines.setdefault(ast.unparse(node), []).append(node.lineno)
        shared = {*given} - {"self"}
        for node in self._elsewhere(function):  # what another function calls by the same name
            part = isinstance(node, (ast.Attribute, ast.Subscript)) and names_used(node) <= shared
            if part and self._is_word(node):
                lines.setdefault(ast.unparse(node), []).append(node.lineno)
        return lines

    def _elsewhere(self, function: Any) -> Iterator[Any]:
        own = set(ast.walk(function))
        yield from (node for node in ast.walk(self.tree) if node not in own)

    def pieces(self, statement: Any, most: int) -> list[str]:
        """Formulas used in the function that are no words, by nearness; none that changes things.

        Of an entry at a number also the entries beside it, of arguments those a loop counts.
        """
        function = self.function(statement)
        if function not in self._pieces:
            self._pieces[function] = self._lines_of_pieces(function)
        lines = dict(self._pieces[function])
        counters = [ast.unparse(n.target) for n in self.around(statement) if isinstance(n, ast.For)]
        held = {a.arg: [statement.lineno] for a in _arguments(function)}
        words = self._words.get(function) or {}
        held |= {word: at for word, at in words.items() if "." in word and "[" not in word}
        for name, at in held.items():
            lines.update({f"{name}[{t}]": at for t in counters if t.isidentifier()})
        return _nearest(lines, statement, most)

    def _lines_of_pieces(self, function: Any) -> dict[str, list[int]]:
        lines: dict[str, list[int]] = {}
        own: list[Any] = list(ast.walk(function))
        indices = {
            ast.unparse(n.slice) for n in own
            if isinstance(n, ast.Subscript) and isinstance(n.slice, (ast.Name, ast.BinOp))
        }  # fmt: skip
        known = set().union(*map(names_used, own)) | self._globals
        known |= {a.arg for a in _arguments(function)}
        others = [n for n in self._elsewhere(function) if isinstance(n, _PIECES)]
        for node in [*own, *(n for n in others if {"np"} < names_used(n) | {"np"} <= known)]:
            text = ast.unparse(node) if isinstance(node, _PIECES) else ""
            if 0 < len(text) <= _LENGTH and self._is_read(node):
                for piece in (text, *_beside(node, indices)):
                    lines.setdefault(piece, []).append(node.lineno)
        return lines

    @functools.cached_property
    def _globals(self) -> set[str]:
        """The names that are given a value outside of functions."""
        loose = [s for s in self.tree.body if not isinstance(s, (ast.FunctionDef, ast.ClassDef))]
        nodes = [n for s in loose for n in ast.walk(s) if isinstance(n, ast.Name)]
        return {"np"} | {n.id for n in nodes if isinstance(n.ctx, ast.Store)}

    def _is_read(self, node: Any) -> bool:
        """Can a formula be evaluated once more, without doing anything?"""
        if self.is_called(node) or isinstance(getattr(node, "ctx", None), ast.Store):
            return False
        calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
        return all(
            ast.unparse(n.func) in self.own_functions - self.changing
            or (ast.unparse(n.func).startswith("np.") and ".random" not in ast.unparse(n.func))
            or (isinstance(n.func, ast.Attribute) and n.func.attr in _METHODS)
            or ast.unparse(n.func) in ("range", "len")
            for n in calls
        )

    def _is_word(self, node: Any) -> bool:
        if isinstance(node, ast.Call):  # len(y) is a number to divide by like any other
            return ast.unparse(node.func) == "len" and not any(
                isinstance(part, ast.Call) for a in node.args for part in ast.walk(a)
            )
        if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            return False
        if self.is_called(node):
            return False
        if isinstance(node, ast.Attribute) and node.attr in ("T", "shape", "ndim"):
            return False
        text = ast.unparse(node)
        if text in _NOT_WORDS or len(text) > 30 or text.startswith(("np.", "__")):
            return False
        return not any(isinstance(part, (ast.Slice, ast.Call)) for part in ast.walk(node))

    def is_called(self, node: ast.AST) -> bool:
        """Is it the function of a call?"""
        parent = self.up.get(node)
        return isinstance(parent, ast.Call) and parent.func is node

    @functools.cached_property
    def changing(self) -> set[str]:
        """The learner's functions that write into something they are given or hold."""
        return {
            name for name, made in self._functions.items()
            if any(_changes(node) for f in made for node in ast.walk(f))
        }  # fmt: skip

    @functools.cached_property
    def maps(self) -> list[str]:
        """The functions of one value that are called in the source: ``np.exp``, its own."""
        names = [
            ast.unparse(n.func) for n in ast.walk(self.tree)
            if isinstance(n, ast.Call) and len(n.args) == 1 and not n.keywords
        ]  # fmt: skip
        known = [n for n in names if n.startswith("np.") or n in self.own_functions]
        return [name for name, _ in Counter(known).most_common(_MAPS)]

    @functools.cached_property
    def keys(self) -> list[str]:
        """The names in quotes at which something is held, those used most."""
        held = Counter(
            n.slice.value for n in ast.walk(self.tree)
            if isinstance(n, ast.Subscript) and isinstance(n.slice, ast.Constant)
            and isinstance(n.slice.value, str)
        )  # fmt: skip
        return [key for key, _ in held.most_common(_KEYS)]

    def own_calls(self, function: Any) -> list[Any]:
        """The calls of the learner's functions in a function; each once, and none that is long."""
        if function not in self._calls:
            every = [n for n in ast.walk(function) if isinstance(n, ast.Call)]
            texts = [ast.unparse(n) for n in every if called(n) in self.own_functions]
            made = dict.fromkeys(text for text in texts if len(text) < _CALL)
            # Parsed once more: what is in the tree would be put into itself.
            self._calls[function] = [parsed(text) for text in made]
        return self._calls[function]

    def functions_named(self, name: str) -> list[ast.FunctionDef]:
        """The learner's functions and methods of a name."""
        return self._functions.get(name, [])

    @functools.cached_property
    def _functions(self) -> dict[str, list[ast.FunctionDef]]:
        found: dict[str, list[ast.FunctionDef]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef):
                found.setdefault(node.name, []).append(node)
        return found

    @functools.cached_property
    def own_functions(self) -> set[str]:
        """The names of the learner's functions."""
        return set(self._functions)


def _nearest(lines: Mapping[str, list[int]], statement: Any, most: int) -> list[str]:
    """Texts by how far from a statement they stand."""
    far = {text: min(abs(line - statement.lineno) for line in at) for text, at in lines.items()}
    return sorted(far, key=lambda text: (far[text], text))[:most]


def _arguments(function: Any) -> list[ast.arg]:
    return getattr(getattr(function, "args", None), "args", [])


def names_used(node: ast.AST) -> set[str]:
    """The names that are used in something."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _beside(node: Any, indices: Iterable[str]) -> list[str]:
    """``x[-2]`` and ``x[0]`` beside ``x[-1]``; beside ``x[t]`` the entries before and after it, and
    those at other indices in use."""
    if not isinstance(node, ast.Subscript) or not isinstance(node.value, (ast.Name, ast.Attribute)):
        return []
    held, at = ast.unparse(node.value), ast.unparse(node.slice)
    digits = at.removeprefix("-").isdigit()
    if digits:
        return [f"{held}[{int(at) - 1}]", f"{held}[{int(at) + 1}]"]
    near = [f"{at} - 1", f"{at} + 1"] if at.isidentifier() else []
    return [f"{held}[{index}]" for index in [*near, *sorted(indices)] if index != at]


def _changes(node: ast.AST) -> bool:
    if isinstance(node, (ast.Attribute, ast.Subscript)):
        return isinstance(node.ctx, ast.Store)
    return isinstance(node, (ast.AugAssign, ast.Global, ast.Nonlocal))


def without_ticks(block: list[Any]) -> list[Any]:
    """The learner's statements of a block."""
    return [statement for statement in block if not isinstance(statement, Tick)]
