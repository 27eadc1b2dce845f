"""The learner's definitions, compiled once more into names of their own, and run there.

Functions and classes come from their source; what else their names hold (data, objects, settings)
is copied for every run. The learner's own modules and objects are never changed.
"""

from __future__ import annotations

import ast
import copy
import functools
import linecache
import os
import random
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.tracing import stamp, stand_ins
from tinygrad_edu.tracing.arrays import leaf
from tinygrad_edu.tracing.record import Record

#: Arrays larger than this are shared by the runs: data sets are not written into.
_SHARED = 100_000
_TICKS = 200_000


class TooLong(Exception):
    """A loop that turns for ever."""


class Unit:
    """One source: a file, or a cell of a notebook."""

    def __init__(
        self, file: str, text: str, shape: Callable[[str], ast.Module] = ast.parse
    ) -> None:
        self.file, self.text, self.shape = file, text, shape
        self.tree = shape(text)
        self._spare: dict[tuple[int, int], ast.stmt] = {}

    def definitions(self) -> Iterator[ast.stmt]:
        """Functions, classes and named lambdas that stand outside every function."""
        return _definitions(self.tree)

    def copied(self, node: ast.stmt) -> ast.stmt:
        """A definition once more, to be changed: the text parsed again, which is fastest."""
        at = node.lineno, node.col_offset
        if at not in self._spare:
            fresh = _definitions(self.shape(self.text))
            self._spare = {(made.lineno, made.col_offset): made for made in fresh}
        made = self._spare.pop(at, None)
        return copy.deepcopy(node) if made is None else made

    def function_at(self, name: str, line: int) -> ast.stmt | None:
        """The definition of a function that is made inside another one, or a lambda."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef) and node.name == name:
                if line in (node.lineno, *(d.lineno for d in node.decorator_list)):
                    return node
            if isinstance(node, ast.Lambda) and name == "<lambda>" and node.lineno == line:
                target = ast.Name("<lambda>", ast.Store())
                made: ast.stmt = stamp.placed(ast.Assign([target], node), node)
                return made
        return None


def _definitions(tree: ast.Module) -> Iterator[ast.stmt]:
    def inside(body: list[ast.stmt]) -> Iterator[ast.stmt]:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) or _is_lambda(node):
                yield node
            else:
                for field in ("body", "orelse", "finalbody"):
                    yield from inside(getattr(node, field, []))

    return inside(tree.body)


def _is_lambda(node: Any) -> bool:
    return (
        isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda)
        and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
    )  # fmt: skip


def name_of(node: Any) -> str:
    """The name that a definition gives."""
    return str(node.name if hasattr(node, "name") else node.targets[0].id)


def source_file(x: Any) -> str | None:
    """Where a function or a class was written."""
    while hasattr(x, "__wrapped__"):
        x = x.__wrapped__
    if isinstance(x, types.FunctionType):
        return x.__code__.co_filename
    if isinstance(x, type):
        for part in vars(x).values():
            part = getattr(part, "__func__", getattr(part, "fget", part))
            if isinstance(part, types.FunctionType) and part.__module__ == x.__module__:
                if not part.__code__.co_filename.startswith("<string"):  # a dataclass makes some
                    return part.__code__.co_filename
        module = __import__("sys").modules.get(x.__module__)
        return getattr(module, "__file__", None)
    return None


class Source:
    """All that a function `run` needs: its names, and the units they were written in.

    `texts`: sources that are not in files under their names; `shapes`: how they are read.
    """

    def __init__(
        self, run: Any, texts: Mapping[str, str] | None = None,
        shapes: Mapping[str, Callable[[str], ast.Module]] | None = None,
    ) -> None:  # fmt: skip
        self.run, self.texts, self.shapes = run, dict(texts or {}), dict(shapes or {})
        if not isinstance(run, types.FunctionType):
            raise GradError(f"check_code: run must be a function written in Python, not {run!r}")
        self.names = run.__globals__
        self.units: list[Unit] = []
        self.local: dict[str, Any] = {}
        self._enclosed(run)
        self.definitions: list[tuple[Unit, ast.stmt]] = []
        self._find()

    @property
    def title(self) -> str:
        """The learner's file."""
        return next(iter(self.texts), str(self.run.__code__.co_filename))

    @functools.cached_property
    def used(self) -> set[str]:
        """The names in the definitions: no others are copied for a run."""
        parts = (node for _, made in self.definitions for node in ast.walk(made))
        return {node.id for node in parts if isinstance(node, ast.Name)}

    def passes_on(self, unit: Unit, statement: Any) -> bool:
        """Is it a statement of `run`, or of what was made to run a script?"""
        code = self.run.__code__
        if unit.file != code.co_filename:
            return False
        lines = [line for _, _, line in code.co_lines() if line is not None]
        return unit.file.startswith("<the") or min(lines) <= statement.lineno <= max(lines)

    def _enclosed(self, function: types.FunctionType) -> None:
        cells = zip(function.__code__.co_freevars, function.__closure__ or ())
        for name, cell in cells:
            if name not in self.local:
                self.local[name] = cell.cell_contents
                if isinstance(cell.cell_contents, types.FunctionType):
                    self._enclosed(cell.cell_contents)

    def unit(self, file: str) -> Unit:
        """The unit of a file; raises GradError where its text cannot be had."""
        for unit in self.units:
            if unit.file == file:
                return unit
        linecache.checkcache(file)  # the file may have been changed, and run again
        text = self.texts.get(file) or "".join(linecache.getlines(file))
        if not text:
            raise GradError(
                f"check_code: the source of run is not to be had ({file}): put it into a file or a "
                "cell of a notebook"
            )
        self.units.append(Unit(file, text, self.shapes.get(file, ast.parse)))
        return self.units[-1]

    def _find(self) -> None:
        """The definitions that are in force under their names."""
        own: dict[str, str] = {}
        main = self.run.__code__.co_filename
        self.unit(main)
        for name, x in self.names.items():
            file = source_file(x) if getattr(x, "__module__", 0) == self._module() else None
            if file is not None and (file == main or file in self.texts or _is_text(file)):
                own[name] = file
        files = dict.fromkeys([main, *own.values()])
        for unit in map(self.unit, files):
            for node in unit.definitions():
                name = name_of(node)
                if name not in self.names or _replaced(node, self.names[name]):
                    continue
                if own.get(name, main) == unit.file:
                    self.definitions.append((unit, node))
        for name, x in {**self.local, self.run.__name__: self.run}.items():
            if isinstance(x, types.FunctionType) and not self._has(x):
                unit = self.unit(x.__code__.co_filename)
                made = unit.function_at(x.__name__, x.__code__.co_firstlineno)
                if made is not None:
                    self.definitions.append((unit, made))
                    self.local.setdefault(name, x)
        self.definitions.sort(key=lambda found: _depth(found[1], self.names))

    def _module(self) -> Any:
        return self.names.get("__name__")

    def _has(self, function: types.FunctionType) -> bool:
        return self.names.get(function.__name__) is function


def _replaced(node: Any, x: Any) -> bool:
    """Was a function defined once more after `node`, under the same name?"""
    plain = isinstance(node, ast.FunctionDef) and not node.decorator_list
    return (
        plain
        and isinstance(x, types.FunctionType)
        and x.__name__ == node.name
        and (x.__code__.co_firstlineno != node.lineno)
    )


def _is_text(file: str) -> bool:
    return os.path.exists(file) or file in linecache.cache


def _depth(node: ast.stmt, names: Mapping[str, Any]) -> int:
    """Functions first, then classes after those they are made from."""
    if not isinstance(node, ast.ClassDef):
        return 0
    made = names.get(node.name)
    return len(made.__mro__) if isinstance(made, type) else 1


class Workspace:
    """The definitions of a `Source` in names of their own; with a record, runs are recorded."""

    def __init__(self, source: Source, record: Record | None = None) -> None:
        self.source, self.record = source, record
        self.stand_ins = stand_ins.StandIns(record)
        self.module = types.ModuleType(str(source.names.get("__name__")))
        self.names = self.module.__dict__
        self.functions: dict[tuple[str, int, int], types.FunctionType] = {}
        self.statements: list[tuple[Unit, ast.stmt]] = []
        self._new: dict[int, Any] = {}
        self._classes: dict[type, type] = {}
        self._held: list[tuple[Any, Any]] = []
        self._ticks = 0
        self._kept: list[tuple[str, int, int]] = []
        self._builtins = self._marks()
        self.restart()
        self._define()

    def _marks(self) -> dict[str, Any]:
        names = self.stand_ins.builtins()
        names["__keep__"] = self._keep
        names["__tick__"] = self._tick
        if self.record is not None:
            names["__at__"] = self.record.at
            names["__alias__"], names["__dot__"] = stand_ins.alias, stand_ins.dot
            names["__float__"] = stand_ins.as_float
            names["__start__"] = functools.partial(leaf, self.record, 0.0)
        return names

    def _keep(self, number: int) -> Callable[[Any], Any]:
        def kept(function: Any) -> Any:
            self.functions[self._kept[number]] = function
            return function

        return kept

    def _tick(self) -> None:
        self._ticks += 1
        if self._ticks > _TICKS:
            raise TooLong("a loop turns for ever")

    def _define(self) -> None:
        for unit, node in self.source.definitions:
            made = self._prepared(unit, node)
            code = compile(ast.Module([made], []), unit.file, "exec", dont_inherit=True)
            exec(code, self.names)  # noqa: S102 - the learner's own code, on the learner's machine
            name = name_of(node)
            old = self.source.names.get(name, self.source.local.get(name))
            new = self.names[name]
            if old is not None:
                self._new[id(old)] = new
            if isinstance(old, type):
                self._classes[old] = new
                if new.__hash__ is object.__hash__:
                    new.__hash__ = self._hashed()
            self._held += _holding(old, new)
        self._new[id(self.source.run)] = self.names[self.source.run.__name__]

    def _hashed(self) -> Callable[[Any], int]:
        """A hash for objects that have none of their own: sets of them are in the same order at
        every run."""

        def hashed(x: Any) -> int:
            return self._hashes.setdefault(id(x), (len(self._hashes), x))[0]

        return hashed

    def _prepared(self, unit: Unit, node: ast.stmt) -> ast.stmt:
        made: Any = unit.copied(node)
        stamps = None
        if self.record is not None:
            stamps = stamp.Stamp(len(self.statements))
            made = stamps.visit(made)
            self.statements += [(unit, s) for s in stamps.statements]
        else:
            stamp.count_loops(made)
        for function in _outermost(made):
            self._kept.append((unit.file, function.lineno, function.col_offset))
            if isinstance(function, ast.Assign):
                keep = ast.Call(
                    ast.Name("__keep__", ast.Load()), [ast.Constant(len(self._kept) - 1)], []
                )
                function.value = stamp.placed(ast.Call(keep, [function.value], []), function)
            else:
                stamp.keep(function, len(self._kept) - 1)
        return made  # type: ignore[no-any-return]

    def restart(self) -> None:
        """The names as the learner's module has them, copied."""
        self._ticks = 0
        # With each object, which keeps it and its id alive.
        self._hashes: dict[int, tuple[int, Any]] = {}
        self.stand_ins.restart()
        self._memo: dict[int, Any] = {}
        given = {**self.source.names, **self.source.local}
        for name in [name for name in self.names if name not in given]:
            del self.names[name]
        for name, x in given.items():
            if name in self.source.used or name not in self.names:
                self.names[name] = self._copied(x)
        self.names["__builtins__"] = self._builtins
        for _, node in self.source.definitions if self._new else ():
            name = name_of(node)
            old = given.get(name)
            if id(old) in self._new:
                self.names[name] = self._new[id(old)]
        for old, new in self._held:
            self._hold(old, new)

    def _hold(self, old: Any, new: Any) -> None:
        """What a function's arguments are by default, what a class holds: copied as names are."""
        if isinstance(old, types.FunctionType):
            if old.__defaults__:
                new.__defaults__ = tuple(map(self._copied, old.__defaults__))
            return
        for name, x in vars(old).items():
            if isinstance(x, (np.ndarray, list, dict, set)) and not name.startswith("__"):
                setattr(new, name, self._copied(x))

    def run(self, numbers: Any) -> Any:
        """``run(numbers)``, from a fresh start; warnings of NumPy's are not given."""
        self.restart()
        with np.errstate(all="ignore"):
            return self._new[id(self.source.run)](numbers)

    def _copied(self, x: Any) -> Any:
        if id(x) in self._new:
            return self._new[id(x)]
        if id(x) in self._memo:
            return self._memo[id(x)][1]
        stands = self.stand_ins.of(x)
        if stands is not None:
            return stands
        made = self._copy_of(x)
        self._memo[id(x)] = (x, made)  # which keeps x, and its id, alive
        return made

    def _copy_of(self, x: Any) -> Any:
        if isinstance(x, np.ndarray):
            return self._array(x)
        if isinstance(x, (list, tuple, set, dict)):
            return self._container(x)
        if isinstance(x, (np.random.Generator, np.random.RandomState, random.Random)):
            return copy.deepcopy(x)
        if isinstance(x, types.MethodType) and type(x.__self__) in self._classes:
            return getattr(self._copied(x.__self__), x.__name__)
        if type(x) in self._classes:
            return self._instance(x)
        return x

    def _array(self, x: Any) -> Any:
        if self.record is not None and type(x) is np.ndarray and x.dtype.kind == "f":
            return leaf(self.record, x)
        return x if x.size > _SHARED else x.copy()

    def _container(self, x: Any) -> Any:
        if isinstance(x, dict):
            made = copy.copy(x)
            self._memo[id(x)] = (x, made)
            made.update({key: self._copied(part) for key, part in x.items()})
            return made
        if isinstance(x, list):
            listed = copy.copy(x)
            self._memo[id(x)] = (x, listed)
            listed[:] = [self._copied(part) for part in x]
            return listed
        if type(x) in (tuple, set):
            return type(x)(self._copied(part) for part in x)
        return x

    def _instance(self, x: Any) -> Any:
        cls: Any = self._classes[type(x)]
        made = cls.__new__(cls)
        self._memo[id(x)] = (x, made)
        for name, part in getattr(x, "__dict__", {}).items():
            made.__dict__[name] = self._copied(part)
        return made


def _holding(old: Any, new: Any) -> list[tuple[Any, Any]]:
    """Functions with arguments by default and classes: the learner's, and those made here."""
    if isinstance(old, types.FunctionType) and isinstance(new, types.FunctionType):
        return [(old, new)] if old.__defaults__ else []
    if not isinstance(old, type):
        return []
    parts = [pair for name, x in vars(old).items() if not isinstance(x, type)
             for pair in _holding(x, vars(new).get(name))]  # fmt: skip
    return [(old, new), *parts]


def _outermost(node: ast.stmt) -> list[Any]:
    """The functions of a definition that are not inside a function."""
    if isinstance(node, (ast.FunctionDef, ast.Assign)):
        return [node]
    found = []
    for part in getattr(node, "body", []):
        if isinstance(part, (ast.FunctionDef, ast.ClassDef)):
            found += _outermost(part)
    return found
