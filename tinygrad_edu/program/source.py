"""From Symbols to a NumPy program: one call a line, oldest first. See `draft` for memory."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tinygrad_edu.core.ops import arithmetic as ar
from tinygrad_edu.core.ops.table import TABLE
from tinygrad_edu.program.calls import CALLS, INTO, WRITTEN
from tinygrad_edu.program.draft import Draft, is_view, keeps_dtype
from tinygrad_edu.program.functions import COMPARISONS, EXTREME, INFIX, REDUCTIONS, UFUNCS
from tinygrad_edu.program.lowering import copy
from tinygrad_edu.program.symbol import Symbol, Table, needed

#: Arrays up to this many numbers are small: what a call costs besides its work counts.
_QUICK = 1 << 14

#: An update goes through its vectors in parts of up to so many bytes: what is computed from them
#: stays near the processor, and the calls cost little.
_PART = 1 << 20

#: A function of NumPy's, as it is called.
_NUMPY_CALL = re.compile(r"\bnp\.(\w+)(?=[.(])")


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
    """An optimiser's formula, and what shortens the gradients before it: see `stepping`."""

    remembers: tuple[str, ...]

    def scale(self, g: Any) -> Any: ...

    def __call__(self, t: Any, rate: Any, scale: Any, p: Any, g: Any, *kept: Any) -> Any: ...


class _Writer(Draft):
    """Writes one program: which names, which memory, which lines."""

    def __init__(
        self,
        arguments: Sequence[Symbol],
        cost: Symbol,
        gradients: Results,
        also: Results,
        update: Update | None,
    ) -> None:
        super().__init__(arguments)
        handed_out: list[Symbol] = []
        into: list[Symbol] = []
        if update is None:
            handed_out += self._own(gradients, handed_out)
        else:
            into += [self.write_into(f"d{key}", *result) for key, result in gradients.items()]
        handed_out += self._own(also, handed_out)
        self.handed_out = {s for s in handed_out if s.shape}
        self.write([cost, *into, *handed_out])
        if update is not None:
            self.update(into, update)
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
            own = own and (s.op is not ar.where or keeps_dtype(s))
            if not (own and s.dtype == dtype) and s.shape:
                s = s.table.node(copy, (s,), {})
                s.dtype = dtype
            outputs.append(s)
        return outputs

    # --- a step of training ----------------------------------------------------------------------

    def update(self, gradients: Sequence[Symbol], update: Update) -> None:
        """The optimiser's formula on all parameters as one vector, after the gradients.

        The gradients lie side by side in one vector, of which each is a part; what the formula
        gives goes into other vectors than those it reads.
        """
        dtype, table = gradients[0].dtype, gradients[0].table
        size = sum(g.size for g in gradients)
        keys = ["parameters", *update.remembers]
        g, *before = (self.argument(table, key, (size,), dtype) for key in ("gradients", *keys))
        t, rate = (self.argument(table, key, (), np.dtype(np.float64)) for key in ("t", "lr"))
        self.scalars |= {t, rate}
        scale = update.scale(g)
        count = -(-size * dtype.itemsize // _PART)
        if count <= 1:
            found = update(t, rate, scale, before[0], g, *before[1:])
            self.write([self.write_into(f"new_{k}", s, dtype) for k, s in zip(keys, found)])
            return
        # All parts are of one length, so the last begins before the one before it has ended: what
        # is computed twice is the same twice.
        length = -(-size // count)
        part, parts = self.names.name("part"), self.names.name("parts")
        starts = [*range(0, size - length, length), size - length]
        self.above.append(f"{parts} = [slice(i, i + {length}) for i in {starts}]")
        inner = {}
        for x in (g, *before):
            inner[x] = table.argument(f"{x.name}_part", (length,), dtype)
            self.text[inner[x]] = self.names.name(f"{x.name}_part")
        found = update(t, rate, scale, *(inner[x] for x in (before[0], g, *before[1:])))
        self.write([s for s in needed(found) if not s.shape])
        looks = [f"{self.text[y]} = {self.text[x]}[{part}]" for x, y in inner.items()]
        outputs = []
        for key, s in zip(keys, found):
            whole = self.names.name(f"new_{key}")
            outputs.append(self.write_into(f"new_{key}_part", s, dtype))
            self.parameters[-1] = whole
            looks.append(f"{self.given[outputs[-1]]} = {whole}[{part}]")
        body, self.body = self.body, []
        self.write(outputs)
        self.body = [*body, f"for {part} in {parts}:", *(f"    {x}" for x in (*looks, *self.body))]

    def argument(
        self, table: Table, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> Symbol:
        """A further argument of the program."""
        new = table.argument(name, shape, dtype)
        self.text[new] = self.names.name(name)
        self.parameters.append(self.text[new])
        return new

    def write_into(self, name: str, s: Symbol, dtype: np.dtype[Any]) -> Symbol:
        """A result that goes into memory of the caller's: an argument of this name."""
        goes = s.op in INTO and s.dtype == dtype and s.shape and s not in self.given
        if not goes:
            s = s.table.node(copy, (s,), {})
            s.dtype = dtype
        self.given[s] = self.names.name(name)
        self.parameters.append(self.given[s])
        return s

    # --- memory ----------------------------------------------------------------------------------

    def write(self, results: Sequence[Symbol]) -> None:
        """The lines of all that is not written yet, oldest Symbol first."""
        order = [s for s in needed(results) if s.op is not None and s not in self.text]
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
        for s in [s for s in order if s in self.given]:
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

    def ufunc(self, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]) -> None:
        if s.op is ar.power_constant:
            args = [*args, self.option(s.options["n"])]
        if s.op in INFIX and not self.scalars.isdisjoint(s.parents) and not s.shape:
            self.scalars.add(s)
            args = [f"({a})" if a.startswith("-") else a for a in args]
            self.body.append(f"{name} = {INFIX[s.op].format(*args)}")
            return
        if s.shape and s.size <= _QUICK:
            args[: len(s.parents)] = [self.as_array(x, a, s) for x, a in zip(s.parents, args)]
        if s.shape and s.dtype != np.float64:  # with NumPy's float64 it would compute in that
            args[: len(s.parents)] = [
                f"float({a})" if x.weak and x in self.scalars else a
                for x, a in zip(s.parents, args)
            ]
        call = f"{UFUNCS[s.op]}({', '.join(args)}"  # type: ignore[index]
        if s.op not in COMPARISONS:
            self.body.append(f"{name} = {call}{self.kept(s, dead, name)})")
        elif not s.shape:
            self.body.append(f"{name} = float({call}))")
        else:
            # Into yes and no, and from there into numbers, goes faster than at once.
            self.truth[s] = truth = self.names.fresh("truth")
            self.above.append(f"{truth} = np.empty({s.shape}, bool)")
            self.blocks[truth] = np.dtype(bool), s.shape
            self.unshared += s.size
            self.body.append(f"{call}, out={truth})")
            self.body.append(f"{self.memory(s, dead)}[...] = {truth}")

    def reduction(self, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]) -> None:
        axis = s.options.get("axis")
        options = f", axis={axis!r}" + ", keepdims=True" * bool(s.options.get("keepdims"))
        # Without `initial`, NumPy before 2.2 goes wrong into `out` over axes with negative strides,
        # which results of its functions do not have.
        plain = s.parents[0].op in UFUNCS and s.parents[0].size > 0
        options += f", initial={EXTREME[s.op]}" if s.op in EXTREME and not plain else ""
        out = self.kept(s, dead, name)
        self.body.append(f"{name} = {REDUCTIONS[s.op]}({args[0]}{options}{out})")  # type: ignore[index]

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
            lines += ["from tinygrad_edu.core.ops.table import TABLE", ""]
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
