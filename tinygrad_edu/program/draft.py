"""A program that is being written: its names, its constants, and its memory planned beforehand.

A result's memory is used again once nothing later reads it. What is only another look at memory (a
transpose, a slice, a shape) costs nothing while the program runs: it is taken once, above it. What
is handed out is a new array at every call: the memory planned here never leaves the program.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.ops import arithmetic as ar
from tinygrad_edu.core.ops import shaping
from tinygrad_edu.core.ops.table import TABLE
from tinygrad_edu.core.primitive import Primitive
from tinygrad_edu.program.functions import COMPARISONS, REDUCTIONS, UFUNCS
from tinygrad_edu.program.lowering import accumulate, copy, relevant, residual, restored
from tinygrad_edu.program.names import Names, number
from tinygrad_edu.program.symbol import Symbol
from tinygrad_edu.program.views import LOOKS, blank, looks_at

#: Constants up to this many numbers are printed in the source; larger ones are handed over with it.
_PRINTED = 1024

#: Besides NumPy's functions, operations whose result may lie where an input lay.
_OVER = {copy, accumulate, restored, residual, relevant, ar.where}

#: The names of NumPy's functions that are called.
_USED = {
    "bincount", "broadcast_to", "clip", "concatenate", "copyto", "cumsum", "errstate",
    "flatnonzero", "float16", "float32", "isfinite", "longdouble", "matmul", "putmask", "take",
    "vdot", "where",
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


def dims(shape: tuple[int, ...]) -> str:
    """A shape as the arguments of reshape."""
    return ", ".join(map(str, shape)) or "()"


def dtype_text(s: Symbol) -> str:
    """A dtype as a further argument."""
    return "" if s.dtype == np.float64 else f", np.{s.dtype}"


def keeps_dtype(s: Symbol) -> bool:
    """Is NumPy's choice of dtype certain? Besides other floats a number may be a float64."""
    numbers_too = s.dtype == np.float64
    return all(x.dtype == s.dtype and (x.shape or numbers_too) for x in (s, *s.parents))


class Draft:
    """The lines so far, what Symbols are called in them, and where their numbers lie."""

    def __init__(self, arguments: Sequence[Symbol]) -> None:
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
        self.truth: dict[Symbol, str] = {}  # what was compared, as yes and no
        self.numbers: dict[str, str] = {}  # numbers as arrays, by their text
        self.scalars: set[Symbol] = set()  # single numbers that are NumPy's: they never raise
        self.calls = self.views = self.unshared = 0
        for x in arguments:
            self.text[x] = self.names.name(x.name or "x")
        self.parameters = [self.text[x] for x in arguments]
        self.given: dict[Symbol, str] = {}  # results that go into memory the caller gives, by name
        self.handed_out: set[Symbol] = set()

    def result_name(self, s: Symbol) -> str:
        return self.names.name(s.name) if s.name else self.names.fresh("t")

    def constant(self, s: Symbol) -> str:
        """A constant as it is written: a number in place, an array by a name above the function."""
        value = s.value
        if not s.shape:
            return number(value) if s.weak else f"np.{s.dtype}({number(float(value))})"
        name = self.names.name(s.name) if s.name else self.names.fresh("c")
        dtype = dtype_text(s)
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

    def memory(self, s: Symbol, dead: Sequence[Symbol] = ()) -> str:
        """Memory for a result, by name: a new array for what is handed out, else a planned one."""
        if s in self.given:
            return self.given[s]
        if s in self.handed_out:
            self.body.append(f"{self.text[s]} = np.empty({s.shape}{dtype_text(s)})")
        else:
            self.fixed[s] = self.text[s] = self.take(s, dead)
        return self.text[s]

    def memory_holding(self, s: Symbol, x: Symbol, text: str, dead: Sequence[Symbol]) -> str:
        """Memory for a result that begins as an input x, written `text`: x's own where it is dead,
        else with a copy in it."""
        memory = self.memory(s, [part for part in dead if part is x])
        if memory != self.fixed.get(x):
            self.body.append(f"np.copyto({memory}, {text})")
        return memory

    def take(self, s: Symbol, dead: Sequence[Symbol]) -> str:
        """Planned memory: that of an input nobody reads again, a free block, or a new one."""
        self.unshared += s.size * s.dtype.itemsize
        if s.op in UFUNCS or s.op in _OVER:
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
            self.above.append(f"{block[0]} = np.empty({s.shape}{dtype_text(s)})")
        self.block[s] = block
        return self.look_at(s)

    def look_at(self, s: Symbol) -> str:
        """The name of a block in the shape of `s`."""
        block, _, size = self.block[s]
        if self.blocks[block][1] == s.shape:
            return block
        part = block if size == s.size else f"{block}.reshape(-1)[:{s.size}]"
        return self.view_above(
            f"{part}.reshape({dims(s.shape)})", f"{block}_{'x'.join(map(str, s.shape))}"
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
            what = f"{{}}.reshape({dims(s.shape)})"
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

    def kept(self, s: Symbol, dead: Sequence[Symbol], name: str) -> str:
        """``, out=memory`` for a result that has axes; a single number needs none.

        What is handed out NumPy makes itself, where its dtype is certain to be the right one.
        """
        if s in self.given:
            return f", out={self.given[s]}"
        if not s.shape:
            if s.op not in COMPARISONS:
                self.scalars.add(s)
            return ""
        if s in self.handed_out:
            certain = s.op not in COMPARISONS and keeps_dtype(s)
            return "" if certain else f", out={self.memory(s)}"
        self.fixed[s] = memory = self.take(s, dead)
        return f", out={memory}"

    def as_array(self, x: Symbol, text: str, s: Symbol) -> str:
        """A number as an array of the dtype of `s`: functions of small arrays spend as long on
        looking at a number as on computing."""
        single = x.constant and not x.shape and (x.weak or x.dtype == s.dtype)
        if not single or abs(x.value) > np.finfo(s.dtype).max:
            return text
        what = f"np.array({text}{dtype_text(s)})"
        if what not in self.numbers:
            self.numbers[what] = self.names.fresh("c")
            self.above.append(f"{self.numbers[what]} = {what}")
        return self.numbers[what]

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
