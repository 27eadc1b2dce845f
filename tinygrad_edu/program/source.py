"""From Symbols to a NumPy program: one call a line, results written into memory planned beforehand.

A result's memory is used again once nothing later reads it. What is only another look at memory (a
transpose, a slice, a shape) costs nothing while the program runs: it is taken once, above it. What
is handed out is a new array at every call: the memory planned here never leaves the program.
"""

from __future__ import annotations

import math
import operator
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tinygrad_edu.core.ops import TABLE, linalg, reductions, shaping
from tinygrad_edu.core.ops import arithmetic as ar
from tinygrad_edu.core.ops import elementwise as el
from tinygrad_edu.core.primitive import Primitive
from tinygrad_edu.program.lowering import (
    accumulate,
    copy,
    copysign,
    finite,
    residual,
    restored,
    side_by_side,
    top,
)  # fmt: skip
from tinygrad_edu.program.names import Names, number
from tinygrad_edu.program.symbol import Symbol, needed
from tinygrad_edu.program.views import LOOKS, blank, looks_at, names_places_once

#: Arrays up to this many numbers are small: what a call costs besides its work counts.
_QUICK = 1 << 14

#: Constants up to this many numbers are printed in the source; larger ones are handed over with it.
_PRINTED = 1024


#: NumPy's element-wise functions: they can write a result over an input.
UFUNCS: dict[Primitive, str] = {
    ar.add: "np.add", ar.subtract: "np.subtract", ar.multiply: "np.multiply",
    ar.divide: "np.divide", ar.negative: "np.negative",
    ar.maximum: "np.maximum", ar.minimum: "np.minimum",
    ar.greater: "np.greater", ar.greater_equal: "np.greater_equal", ar.less: "np.less",
    ar.less_equal: "np.less_equal", ar.equal: "np.equal", ar.not_equal: "np.not_equal",
    el.exp: "np.exp", el.expm1: "np.expm1", el.log: "np.log", el.log1p: "np.log1p",
    el.log2: "np.log2", el.log10: "np.log10", el.power: "np.power", el.sqrt: "np.sqrt",
    el.sign: "np.sign", el.absolute: "np.abs", el.sin: "np.sin", el.cos: "np.cos", el.tan: "np.tan",
    el.arctan: "np.arctan", el.sinh: "np.sinh", el.cosh: "np.cosh", el.tanh: "np.tanh",
    copysign: "np.copysign", ar.power_constant: "np.power",
}  # fmt: skip

#: How operations on single numbers are written.
_INFIX: dict[Primitive | None, str] = {
    ar.add: "{} + {}", ar.subtract: "{} - {}", ar.multiply: "{} * {}", ar.divide: "{} / {}",
    ar.negative: "-{}",
}  # fmt: skip

_COMPARISONS = {ar.greater, ar.greater_equal, ar.less, ar.less_equal, ar.equal, ar.not_equal}

#: Functions that take axis= and keepdims=.
REDUCTIONS: dict[Primitive, str] = {
    reductions.sum: "np.add.reduce", reductions.prod: "np.multiply.reduce",
    reductions.max: "np.maximum.reduce", reductions.min: "np.minimum.reduce",
    top: "np.maximum.reduce",
}  # fmt: skip

#: What the largest and the smallest of numbers are sought from.
_EXTREME: dict[Primitive | None, str] = {
    reductions.max: "-np.inf", top: "-np.inf", reductions.min: "np.inf",
}  # fmt: skip

#: A function of NumPy's, as it is called; and the names of all that are.
_NUMPY_CALL = re.compile(r"\bnp\.(\w+)(?=[.(])")
_USED = {
    "bincount", "broadcast_to", "clip", "concatenate", "copyto", "cumsum", "dot", "errstate",
    "flatnonzero", "float16", "float32", "isfinite", "longdouble", "matmul", "take", "where",
    *(call.split(".")[1] for call in (*UFUNCS.values(), *REDUCTIONS.values())),
}  # fmt: skip


def is_view(s: Symbol) -> bool:
    """May NumPy answer with memory that is not the result's own?"""
    if s.op is shaping.getitem:
        whole = blank(s.parents[0].shape)
        return looks_at(shaping.getitem.forward(whole, **s.options), whole)
    if s.op is shaping.reshape:
        return bool(s.parents[0].shape)  # a number is no memory to look at
    return s.op in LOOKS


@dataclass
class Listing:
    """A program as text, with what its text cannot hold."""

    source: str
    constants: list[Any]
    calls: int
    views: int
    memory: int  # bytes of the planned blocks
    unshared: int  # bytes if every result in them had memory of its own
    handed_out: int  # bytes of the new arrays of a call


#: Results by name, each with the dtype it is wanted in.
Results = Mapping[str, tuple[Symbol, np.dtype[Any]]]


class Update(Protocol):
    """An optimiser's formula: from (t, rate, p, g, *kept) to (p, *kept)."""

    remembers: tuple[str, ...]

    def __call__(self, t: Any, rate: Any, p: Any, g: Any, *kept: Any) -> tuple[Any, ...]: ...


def _dtype(s: Symbol) -> str:
    """A dtype as a further argument."""
    return "" if s.dtype == np.float64 else f", np.{s.dtype}"


def _stays_float64(s: Symbol) -> bool:
    """Is NumPy's choice of dtype certain? Of other dtypes it is not: a number may be a float64."""
    return all(x.dtype == np.float64 for x in (s, *s.parents))


def _dims(shape: tuple[int, ...]) -> str:
    """A shape as the arguments of reshape."""
    return ", ".join(map(str, shape)) or "()"


class _Writer:
    """Writes one program: which names, which memory, which lines."""

    def __init__(
        self,
        arguments: Sequence[Symbol],
        cost: Symbol,
        gradients: Results,
        also: Results,
        update: Update | None,
    ) -> None:
        self.above: list[str] = []  # lines before the function: constants, memory, looks at it
        self.body: list[str] = []
        self.functions: dict[Primitive, str] = {}  # operations without a line of NumPy
        self.imports: list[str] = []
        self.constants: list[Any] = []
        self.text: dict[Symbol, str] = {}  # how a Symbol is read
        self.names = Names(["np", "program", "constants", "float", "lost", "TABLE", *TABLE, *_USED])
        self.root: dict[Symbol, Symbol] = {}  # whose memory a Symbol looks at
        self.layouts: dict[Symbol, Any] = {}  # how looks lie in memory
        self.fixed: dict[Symbol, str] = {}  # memory that stays in place, by its name above
        self.block: dict[Symbol, tuple[str, np.dtype[Any], int]] = {}
        self.free: dict[tuple[np.dtype[Any], int], list[str]] = {}  # blocks by dtype and size
        self.blocks: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}
        self.looks: dict[str, str] = {}
        self.numbers: dict[str, str] = {}  # numbers as arrays, by their text
        self.scalars: set[Symbol] = set()  # single numbers that are NumPy's: they never raise
        self.calls = self.views = self.unshared = 0
        for x in arguments:
            self.text[x] = self.names.name(x.name or "x")
        self.parameters = [self.text[x] for x in arguments]
        self.given: dict[Symbol, str] = {}  # results that go into memory the caller gives, by name
        handed_out: list[Symbol] = []
        if update is None:
            handed_out += self._own(gradients, handed_out)
        else:
            self.update(gradients, update)
        handed_out += self._own(also, handed_out)
        self.handed_out = {s for s in handed_out if s.shape}
        self.write([cost, *self.given, *handed_out])
        keys = [*also] if update is not None else [*gradients, *also]
        found = [f"{key!r}: {self.text[s]}" for key, s in zip(keys, handed_out, strict=True)]
        self.result = self.text[cost]
        if update is None:
            self.result += f", {{{', '.join(found[: len(gradients)])}}}"
        if also or update is not None:
            self.result += f", {{{', '.join(found[-len(also) :] if also else [])}}}"

    @staticmethod
    def _own(results: Results, others: Sequence[Symbol]) -> list[Symbol]:
        """Each result in the dtype it is wanted in, in memory that nothing else shares."""
        outputs: list[Symbol] = []
        for s, dtype in results.values():
            own = s.op in WRITTEN and not is_view(s) and s not in outputs and s not in others
            own = own and (s.op is not ar.where or _stays_float64(s))
            if not (own and s.dtype == dtype) and s.shape:
                s = s.table.node(copy, (s,), {})
                s.dtype = dtype
            outputs.append(s)
        return outputs

    # --- a step of training ----------------------------------------------------------------------

    def update(self, gradients: Results, update: Update) -> None:
        """The optimiser's formula on all parameters as one vector, after the gradients.

        The gradients are written side by side into one vector, of which each is a part; what the
        formula gives goes into other vectors than those it reads.
        """
        parts = [self.write_into(f"d{key}", *result) for key, result in gradients.items()]
        dtype, table = parts[0].dtype, parts[0].table
        g = table.node(side_by_side, tuple(parts), {})
        self.given[g] = self.text[g] = self.names.name("gradients")
        self.parameters.append(self.text[g])
        keys = ["parameters", *update.remembers]
        before = [table.argument(key, g.shape, dtype) for key in keys]
        t, rate = (table.argument(key, (), np.dtype(np.float64)) for key in ("t", "lr"))
        for x in (*before, t, rate):
            self.text[x] = self.names.name(x.name or "x")
            self.parameters.append(self.text[x])
        found = update(t, rate, before[0], g, *before[1:])
        for key, s in zip(keys, found, strict=True):
            self.write_into(f"new_{key}", s, dtype)

    def write_into(self, name: str, s: Symbol, dtype: np.dtype[Any]) -> Symbol:
        """A result that goes into memory of the caller's: an argument of this name."""
        goes = s.op in _INTO and s.dtype == dtype and s.shape and s not in self.given
        if not goes:
            s = s.table.node(copy, (s,), {})
            s.dtype = dtype
        self.given[s] = self.names.name(name)
        self.parameters.append(self.given[s])
        return s

    def result_name(self, s: Symbol) -> str:
        return self.names.name(s.name) if s.name else self.names.fresh("t")

    def constant(self, s: Symbol) -> str:
        """A constant as it is written: a number in place, an array by a name above the function."""
        value = s.value
        if not s.shape:
            return number(value) if s.weak else f"np.{s.dtype}({number(float(value))})"
        name = self.names.name(s.name) if s.name else self.names.fresh("c")
        dtype = _dtype(s)
        first = value.flat[0] if value.size else 1.0  # no list tells how long the others are
        if np.all(value == first) and (first or len(set(np.signbit(value).flat)) < 2):
            what = f"np.full({s.shape}, {float(first)!r}{dtype})" if math.isfinite(first) else ""
            what = f"np.ones({s.shape}{dtype})" if first == 1 else what
        else:
            what = ""
        if not what and value.size <= _PRINTED and np.isfinite(value).all():
            what = f"np.array({value.tolist()!r}{dtype})"
        self.above.append(f"{name} = {what or self.handed_over(value)}")
        return name

    def handed_over(self, value: np.ndarray[Any, Any]) -> str:
        """An array too large to print."""
        self.constants.append(value)
        return f"constants[{len(self.constants) - 1}]  # {value.shape} {value.dtype}"

    def read(self, s: Symbol) -> str:
        """The text that stands for a Symbol in a call."""
        if s not in self.text:
            self.text[s] = self.constant(s)
        return self.text[s]

    # --- memory ----------------------------------------------------------------------------------

    def write(self, results: Sequence[Symbol]) -> None:
        """All lines, oldest Symbol first."""
        order = [s for s in needed(results) if s.op is not None]
        last: dict[Symbol, int] = {}
        for i, s in enumerate(order):
            self.root[s] = self.root.get(s.parents[0], s.parents[0]) if is_view(s) else s
            for x in s.parents:
                last[self.root.get(x, x)] = i
        for s in results:
            last[self.root.get(s, s)] = len(order)
        dying: dict[int, list[Symbol]] = {}
        for s, i in last.items():
            dying.setdefault(i, []).append(s)
        self.write_on_the_way(order)
        for i, s in enumerate(order):
            dead = [x for x in dying.get(i, ()) if x in self.block]
            if is_view(s):
                self.look(s)
            else:
                self.call(s, dead)
            # Memory this line may have been written over is not given away twice.
            for x in dead:
                if x in self.block:
                    name, dtype, size = self.block.pop(x)
                    self.free.setdefault((dtype, size), []).append(name)
        for s in results:
            self.read(s)

    def write_on_the_way(self, order: Sequence[Symbol]) -> None:
        """Elementwise what is needed for a given place only is computed there, from the start."""
        uses: dict[Symbol, int] = {}
        for s in order:
            for x in s.parents:
                uses[x] = uses.get(x, 0) + 1
        for s in [*self.given]:
            name = self.given[s]
            while s.op in UFUNCS:
                on_the_way = [
                    x for x in s.parents
                    if x.op in UFUNCS and uses[x] == 1 and (x.shape, x.dtype) == (s.shape, s.dtype)
                    and x not in self.given
                ]  # fmt: skip
                if not on_the_way:
                    break
                s = on_the_way[0]
                self.given[s] = name

    def memory(self, s: Symbol, dead: Sequence[Symbol] = ()) -> str:
        """Memory for a result, by name: a new array for what is handed out, else a planned one."""
        if s in self.given:
            return self.given[s]
        if s in self.handed_out:
            self.body.append(f"{self.text[s]} = np.empty({s.shape}{_dtype(s)})")
        else:
            self.fixed[s] = self.text[s] = self.take(s, dead)
        return self.text[s]

    def take(self, s: Symbol, dead: Sequence[Symbol]) -> str:
        """Planned memory: that of an input nobody reads again, a free block, or a new one."""
        self.unshared += s.size * s.dtype.itemsize
        if s.op in UFUNCS or s.op in (copy, accumulate, restored, residual):
            for x in dead:
                if x in s.parents and x.shape == s.shape and x.dtype == s.dtype:
                    self.block[s] = self.block.pop(x)
                    return self.look_at(s)
        wanted = s.size
        fitting = [n for d, n in self.free if d == s.dtype and wanted <= n <= 4 * wanted]
        if fitting:
            key = s.dtype, min(fitting)
            block = (self.free[key].pop(0), *key)
            if not self.free[key]:
                del self.free[key]
        else:
            block = (self.names.fresh("memory"), s.dtype, s.size)
            self.blocks[block[0]] = (s.dtype, s.shape)
            self.above.append(f"{block[0]} = np.empty({s.shape}{_dtype(s)})")
        self.block[s] = block
        return self.look_at(s)

    def look_at(self, s: Symbol) -> str:
        """The name of a block in the shape of `s`."""
        block, _, size = self.block[s]
        if self.blocks[block][1] == s.shape:
            return block
        part = block if size == s.size else f"{block}.reshape(-1)[:{s.size}]"
        return self.view_above(
            f"{part}.reshape({_dims(s.shape)})", f"{block}_{'x'.join(map(str, s.shape))}"
        )

    def view_above(self, expression: str, stem: str) -> str:
        if expression not in self.looks:
            self.looks[expression] = self.names.name(stem)
            self.above.append(f"{self.looks[expression]} = {expression}")
        return self.looks[expression]

    def look(self, s: Symbol) -> None:
        """Another look at memory: above the function where that memory stays in place."""
        x = s.parents[0]
        self.views += 1
        if s.op is shaping.reshape:
            what = f"{{}}.reshape({_dims(s.shape)})"
        elif s.op is shaping.transpose:
            axes = s.options.get("axes")
            what = "{}.T" if axes is None else f"{{}}.transpose{tuple(axes)}"
        elif s.op is shaping.broadcast_to:
            what = f"np.broadcast_to({{}}, {s.shape})"
        else:
            what = f"{{}}[{self.index(s.options['index'])}]"
        fixed = x.constant or x in self.fixed
        if x.constant:
            self.fixed[x] = self.read(x)
        # A copy of what never changes does as well as a look at it.
        same = self.root[s].constant or looks_at(self.layout(s), self.layout(x))
        if fixed and same and x.shape and s.shape:
            stem = s.name or f"{self.text[x]}_{'T' if what == '{}.T' else 'view'}"
            self.fixed[s] = self.text[s] = self.view_above(what.format(self.fixed[x]), stem)
        elif what == "{}.T":
            self.text[s] = f"{self.read(x)}.T"
        else:
            self.text[s] = self.result_name(s)
            self.body.append(f"{self.text[s]} = {what.format(self.read(x))}")

    def layout(self, s: Symbol) -> Any:
        """An array that lies in memory as `s` does, to ask NumPy what is a look at it."""
        if s not in self.layouts:
            if s.op is not None and is_view(s):
                self.layouts[s] = s.op.forward(self.layout(s.parents[0]), **s.options)
            else:
                self.layouts[s] = s.value if s.constant else blank(s.shape)
        return self.layouts[s]

    # --- calls -----------------------------------------------------------------------------------

    def call(self, s: Symbol, dead: Sequence[Symbol]) -> None:
        """The lines that compute one Symbol."""
        self.calls += 1
        args = [self.read(x) for x in s.parents]
        name = self.text[s] = self.given.get(s) or self.result_name(s)
        writer = CALLS.get(s.op)  # type: ignore[arg-type]
        if s.op in UFUNCS:
            self.ufunc(s, name, args, dead)
        elif s.op in REDUCTIONS:
            self.reduction(s, name, args, dead)
        elif writer is not None:
            writer(self, s, name, args, dead)
        else:
            self.other(s, name, args)

    def kept(self, s: Symbol, dead: Sequence[Symbol], name: str) -> str:
        """``, out=memory`` for a result that has axes; a single number needs none.

        What is handed out NumPy makes itself, where its dtype is certain to be the right one.
        """
        if s in self.given:
            return f", out={self.given[s]}"
        if not s.shape:
            if s.op not in _COMPARISONS:
                self.scalars.add(s)
            return ""
        if s in self.handed_out:
            certain = s.op not in _COMPARISONS and _stays_float64(s)
            return "" if certain else f", out={self.memory(s)}"
        self.fixed[s] = memory = self.take(s, dead)
        return f", out={memory}"

    def ufunc(self, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]) -> None:
        if s.op is ar.power_constant:
            args = [*args, self.option(s.options["n"])]
        elif s.shape and s.dtype == np.float64 and s.size <= _QUICK:
            args = [self.as_array(x, a) for x, a in zip(s.parents, args)]
        elif s.op in _INFIX and not self.scalars.isdisjoint(s.parents) and not s.shape:
            self.scalars.add(s)
            self.body.append(f"{name} = {_INFIX[s.op].format(*args)}")
            return
        elif s.shape and s.dtype != np.float64:  # with NumPy's float64 it would compute in that
            args = [
                f"float({a})" if x.weak and x in self.scalars else a
                for x, a in zip(s.parents, args)
            ]
        call = f"{UFUNCS[s.op]}({', '.join(args)}{self.kept(s, dead, name)})"  # type: ignore[index]
        self.body.append(
            f"{name} = {f'float({call})' if s.op in _COMPARISONS and not s.shape else call}"
        )

    def as_array(self, x: Symbol, text: str) -> str:
        """A number as an array: functions of small arrays spend as long on looking at a number as
        on computing."""
        if not (x.constant and x.weak):
            return text
        if text not in self.numbers:
            self.numbers[text] = self.names.fresh("c")
            self.above.append(f"{self.numbers[text]} = np.array({text})")
        return self.numbers[text]

    def reduction(self, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]) -> None:
        axis = s.options.get("axis")
        options = f", axis={axis!r}" + ", keepdims=True" * bool(s.options.get("keepdims"))
        # Without `initial`, NumPy before 2.2 goes wrong into `out` over axes with negative strides.
        options += f", initial={_EXTREME[s.op]}" if s.op in _EXTREME else ""
        out = self.kept(s, dead, name)
        self.body.append(f"{name} = {REDUCTIONS[s.op]}({args[0]}{options}{out})")  # type: ignore[index]

    def index(self, index: Any) -> str:
        """An index as one writes it."""
        if isinstance(index, tuple):
            return ", ".join(map(self.index, index)) + "," * (len(index) == 1) or "()"
        if isinstance(index, slice):
            ends = ["" if n is None else self.index(n) for n in (index.start, index.stop)]
            return ":".join(ends) + ("" if index.step is None else f":{self.index(index.step)}")
        if index is None or index is ... or isinstance(index, (bool, np.bool_)):
            return "..." if index is ... else str(index)
        if isinstance(index, np.ndarray):
            return self.array(index)
        try:
            return str(operator.index(index))
        except TypeError:
            return self.array(np.asarray(index))

    def array(self, array: np.ndarray[Any, Any]) -> str:
        """The name of an array that is an option."""
        name = self.names.fresh("index" if array.dtype.kind in "iub" else "option")
        if array.size == 0:
            what = f"np.zeros({array.shape}, {'bool' if array.dtype.kind == 'b' else 'int'})"
        elif array.size <= _PRINTED and np.isfinite(array).all():
            dtype = "" if array.dtype.kind in "ib" else f", np.{array.dtype}"
            what = f"np.array({array.tolist()!r}{dtype})"
        else:
            what = self.handed_over(array)
        self.above.append(f"{name} = {what}")
        return name

    def option(self, value: Any) -> str:
        """An option as one writes it: an infinite one is ``float('inf')``, an array has a name."""
        if isinstance(value, np.ndarray):
            return self.array(value)
        if isinstance(value, tuple):
            return f"({', '.join(map(self.option, value))}{',' * (len(value) == 1)})"
        return number(value) if isinstance(value, float) else repr(value)

    def other(self, s: Symbol, name: str, args: list[str]) -> None:
        """An operation without a line of NumPy: its own forward."""
        assert s.op is not None
        options = "".join(f", {k}={self.option(v)}" for k, v in s.options.items())
        if s.op not in self.functions:
            # A name of its own: NumPy may have a function called the same.
            self.functions[s.op] = self.names.name(f"{s.op.name}_forward")
            if TABLE.get(s.op.name) is s.op:
                what = f"TABLE[{s.op.name!r}]"
            else:
                self.constants.append(s.op)
                what = f"constants[{len(self.constants) - 1}]"
            self.imports.append(f"{self.functions[s.op]} = {what}.forward")
        self.body.append(f"{name} = {self.functions[s.op]}({', '.join(args)}{options})")

    def listing(self) -> Listing:
        # A name of the file's own is found faster than an attribute of NumPy.
        used = {word for line in self.body for word in _NUMPY_CALL.findall(line)}
        body = [_NUMPY_CALL.sub(r"\1", line) for line in self.body]
        lines = ["import numpy as np"]
        if used:
            names = textwrap.wrap(", ".join(sorted(used)), 96)
            lines += ["from numpy import (", *(f"    {part}" for part in names), ")"]
        lines += [""]
        if self.constants:
            lines += ["# `constants`: the arrays too large to print, Program.constants", ""]
        if any("TABLE" in line for line in self.imports):
            lines += ["from tinygrad_edu.core.ops import TABLE", ""]
        lines += [*self.imports, ""] if self.imports else []
        lines += [*self.above, ""] if self.above else []
        lines += ["", f"def program({', '.join(self.parameters)}):"]
        lines += [f"    {line}" for line in body] + [f"    return {self.result}", ""]
        memory = sum(dtype.itemsize * math.prod(shape) for dtype, shape in self.blocks.values())
        text = "\n".join(lines)
        return Listing(
            text, self.constants, self.calls, self.views, memory, self.unshared,
            sum(s.size * s.dtype.itemsize for s in self.handed_out),
        )  # fmt: skip


def _write_matmul(
    w: _Writer, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]
) -> None:
    x, y = s.parents
    # For two matrices np.dot is the same product with less ceremony; it wants equal dtypes.
    plain = len(x.shape) == len(y.shape) <= 2 and x.dtype == y.dtype
    function = "np.dot" if plain else "np.matmul"
    w.body.append(f"{name} = {function}({', '.join(args)}{w.kept(s, dead, name)})")


def _write_where(w: _Writer, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]) -> None:
    w.body.append(f"{name} = np.where({', '.join(args)}){'' if s.shape else '[()]'}")


def _write_finite(
    w: _Writer, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]
) -> None:
    w.body.append(
        f"{name} = np.where(np.isfinite({args[0]}), {args[0]}, 0){'' if s.shape else '[()]'}"
    )


def _write_copy(w: _Writer, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]) -> None:
    if s in w.handed_out:
        w.body.append(f"{name} = np.array({args[0]}, np.{s.dtype})")
    elif (memory := w.memory(s, dead)) != args[0]:
        w.body.append(f"np.copyto({memory}, {args[0]})")


def _write_getitem(
    w: _Writer, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]
) -> None:
    index = s.options["index"]
    if (
        isinstance(index, np.ndarray) and index.ndim == 1 and index.dtype.kind == "i"
        and len(s.parents[0].shape) == 1 and (index >= 0).all()
    ):  # fmt: skip
        out = w.kept(s, (), name)  # the indices were checked when the graph was recorded
        w.body.append(f"{name} = np.take({args[0]}, {w.index(index)}{out}, mode='clip')")
    else:
        w.body.append(f"{name} = {args[0]}[{w.index(index)}]")


def _write_scatter(
    w: _Writer, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]
) -> None:
    index = s.options["index"]
    if (
        isinstance(index, np.ndarray) and index.ndim == 1 and index.dtype.kind == "i"
        and len(s.shape) == 1 and s.dtype == np.float64 and (index >= 0).all()
    ):  # fmt: skip
        # What is read at several places adds up: counted with weights, not written one by one.
        w.body.append(f"{name} = np.bincount({w.index(index)}, {args[0]}, {s.size})")
        return
    memory = w.memory(s)
    text = w.index(index)
    w.body.append(f"{memory}.fill(0.0)")
    if names_places_once(s.shape, index):
        w.body.append(f"{memory}[{text}] = {args[0]}")
    else:
        w.body.append(f"np.add.at({memory}, np.s_[{text}], {args[0]})")


def _write_restored(
    w: _Writer, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]
) -> None:
    slope = s.parents[0]
    memory = w.memory(s, [x for x in dead if x is slope])
    if memory != w.fixed.get(slope):
        w.body.append(f"np.copyto({memory}, {args[0]})")
    if s.size:
        w.body += [
            f"if not {memory}.item({memory}.argmin()) > {el.LOST_OF_TANH}:",
            f"    lost = np.flatnonzero({memory} <= {el.LOST_OF_TANH})",
            "    with np.errstate(over='ignore'):",
            f"        {memory}.put(lost, np.cosh({args[1]}.take(lost)) ** -2.0)",
        ]


def _write_residual(
    w: _Writer, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]
) -> None:
    quick, others, e, y, given = args
    memory = w.memory(s, [x for x in dead if x is s.parents[0]])
    if memory != w.fixed.get(s.parents[0]):
        w.body.append(f"np.copyto({memory}, {quick})")
    if s.size:
        w.body += [
            f"if not {others}.item({others}.argmin()) > {el.LOST}:",
            f"    np.multiply({e}, {given} - {y}, out={memory})",
            f"    lost = np.where({e} == 1.0, {others}, {others} + 1.0 - {e})",
            f"    np.subtract({memory}, lost * {y}, out={memory})",
            f"    np.divide({memory}, {others} + 1.0, out={memory})",
        ]


def _write_accumulate(
    w: _Writer, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]
) -> None:
    paths = s.options["paths"]
    roots = [w.root.get(x, x) for x in s.parents]
    whole = not paths[0]
    # The first part's memory is taken over, unless a later part is a look at it.
    first = [x for x in dead if whole and x is s.parents[0] and x not in roots[1:]]
    memory = w.memory(s, first)
    if not whole:
        w.body.append(f"{memory}.fill(0.0)")
    elif memory != w.fixed.get(s.parents[0]):
        w.body.append(f"np.copyto({memory}, {args[0]})")
    for path, part in zip(paths[whole:], args[whole:]):
        look = memory
        for step, what in path:
            look += f"[{w.index(what)}]" if step == "at" else f".reshape({_dims(what)})"
        if path:
            look = w.view_above(look, f"{memory}_part")
        w.body.append(f"np.add({look}, {part}, out={look})")


def _write_side_by_side(
    w: _Writer, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]
) -> None:
    w.calls -= 1  # its parts lie so already


def _write_joined(
    w: _Writer, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]
) -> None:
    parts = f"({', '.join(args)},)"
    axis = s.options.get("axis", 0)
    w.body.append(f"{name} = np.concatenate({parts}, axis={axis!r}{w.kept(s, (), name)})")


def _write_number(
    w: _Writer, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]
) -> None:
    w.body.append(f"{w.memory(s)}.fill({args[0]})")


def _write_cumsum(
    w: _Writer, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]
) -> None:
    axis = s.options.get("axis")
    w.body.append(f"{name} = np.cumsum({args[0]}, axis={axis!r}{w.kept(s, (), name)})")


def _write_clip(w: _Writer, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]) -> None:
    if s.options.get("min") is s.options.get("max") is None:  # an error before NumPy 2.1
        w.body.append(f"{name} = np.positive({args[0]}{w.kept(s, (), name)})")
        return
    limits = [w.option(s.options.get(key)) for key in ("min", "max")]
    w.body.append(f"{name} = np.clip({args[0]}, {', '.join(limits)}{w.kept(s, (), name)})")


CALLS: dict[Primitive, Callable[[_Writer, Symbol, str, list[str], Sequence[Symbol]], None]] = {
    linalg.matmul: _write_matmul, ar.where: _write_where, finite: _write_finite, copy: _write_copy,
    accumulate: _write_accumulate, shaping.reshape: _write_number, shaping.getitem: _write_getitem,
    shaping.scatter: _write_scatter, shaping.joined: _write_joined,
    reductions.cumsum: _write_cumsum, el.clip: _write_clip, restored: _write_restored,
    residual: _write_residual, side_by_side: _write_side_by_side,
}  # fmt: skip


#: Operations whose result may be handed out as it is: certain to be memory of their own, and not
#: made part by part, which goes faster where the parts stay in place.
WRITTEN: set[Primitive | None] = {*UFUNCS, *REDUCTIONS, *CALLS}
WRITTEN.remove(accumulate)

#: Operations that write their result into whatever memory they are given.
_INTO: set[Primitive | None] = {*UFUNCS, *REDUCTIONS, linalg.matmul, copy}


def written(
    arguments: Sequence[Symbol],
    cost: Symbol,
    gradients: Results,
    also: Results,
    update: Update | None = None,
) -> Listing:
    """The program that computes `cost`, `gradients` and what is wanted `also` from `arguments`.

    With `update` it takes a step of training instead of handing gradients out: see `stepping`.
    """
    return _Writer(arguments, cost, gradients, also, update).listing()
