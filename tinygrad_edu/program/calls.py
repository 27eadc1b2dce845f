"""How operations are written: as one call of NumPy's, or as the lines they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tinygrad_edu.core.ops import arithmetic as ar
from tinygrad_edu.core.ops import elementwise as el
from tinygrad_edu.core.ops import linalg, reductions, shaping
from tinygrad_edu.core.primitive import Primitive
from tinygrad_edu.program.draft import Draft, dims
from tinygrad_edu.program.functions import REDUCTIONS, UFUNCS
from tinygrad_edu.program.lowering import (
    accumulate,
    copy,
    finite,
    inner,
    relevant,
    residual,
    restored,
)  # fmt: skip
from tinygrad_edu.program.symbol import Symbol
from tinygrad_edu.program.views import names_places_once


def _write_matmul(w: Draft, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]) -> None:
    x, y = s.parents
    # For two matrices `dot` is the same product with less ceremony; it wants equal dtypes.
    plain = len(x.shape) == len(y.shape) <= 2 and x.dtype == y.dtype
    call = f"{args[0]}.dot({args[1]}" if plain else f"np.matmul({', '.join(args)}"
    w.body.append(f"{name} = {call}{w.kept(s, dead, name)})")


def _write_inner(w: Draft, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]) -> None:
    w.body.append(f"{name} = np.vdot({', '.join(args)}){w.kept(s, dead, name)}")


def _write_where(w: Draft, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]) -> None:
    condition, x, y = s.parents
    truth = w.truth.get(condition, args[0])
    if condition in w.truth and not x.shape and condition.shape == s.shape:
        memory = w.memory_holding(s, y, args[2], dead)
        w.body.append(f"np.putmask({memory}, {truth}, {args[1]})")
    else:
        w.body.append(
            f"{name} = np.where({truth}, {args[1]}, {args[2]}){'' if s.shape else '[()]'}"
        )


def _write_relevant(
    w: Draft, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]
) -> None:
    x, y = args
    memory = w.memory_holding(s, s.parents[0], x, dead)
    if s.size:
        w.body += [
            f"if not {memory}.item({memory}.argmin()) > -np.inf:",
            f"    np.putmask({memory}, {y} == 0.0, 0.0)",
        ]


def _write_finite(w: Draft, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]) -> None:
    w.body.append(
        f"{name} = np.where(np.isfinite({args[0]}), {args[0]}, 0){'' if s.shape else '[()]'}"
    )


def _write_copy(w: Draft, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]) -> None:
    if s in w.handed_out:
        w.body.append(f"{name} = np.array({args[0]}, np.{s.dtype})")
    elif (memory := w.memory(s, dead)) != args[0]:
        w.body.append(f"np.copyto({memory}, {args[0]})")


def _write_getitem(w: Draft, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]) -> None:
    index = s.options["index"]
    if (
        isinstance(index, np.ndarray) and index.ndim == 1 and index.dtype.kind == "i"
        and len(s.parents[0].shape) == 1 and (index >= 0).all()
    ):  # fmt: skip
        out = w.kept(s, (), name)  # the indices were checked when the graph was recorded
        w.body.append(f"{name} = np.take({args[0]}, {w.index(index)}{out}, mode='clip')")
    else:
        w.body.append(f"{name} = {args[0]}[{w.index(index)}]")


def _write_scatter(w: Draft, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]) -> None:
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
    w: Draft, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]
) -> None:
    memory = w.memory_holding(s, s.parents[0], args[0], dead)
    if s.size:
        w.body += [
            f"if not {memory}.item({memory}.argmin()) > {el.LOST_OF_TANH}:",
            f"    lost = np.flatnonzero({memory} <= {el.LOST_OF_TANH})",
            "    with np.errstate(over='ignore'):",
            f"        {memory}.put(lost, np.cosh({args[1]}.take(lost)) ** -2.0)",
        ]


def _write_residual(
    w: Draft, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]
) -> None:
    quick, others, e, y, given = args
    memory = w.memory_holding(s, s.parents[0], quick, dead)
    if s.size:
        w.body += [
            f"if not {others}.item({others}.argmin()) > {el.LOST}:",
            f"    np.multiply({e}, {given} - {y}, out={memory})",
            f"    lost = np.where({e} == 1.0, {others}, {others} + 1.0 - {e})",
            f"    np.subtract({memory}, lost * {y}, out={memory})",
            f"    np.divide({memory}, {others} + 1.0, out={memory})",
        ]


def _write_accumulate(
    w: Draft, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]
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
            look += f"[{w.index(what)}]" if step == "at" else f".reshape({dims(what)})"
        if path:
            look = w.view_above(look, f"{memory}_part")
        w.body.append(f"np.add({look}, {part}, out={look})")


def _write_joined(w: Draft, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]) -> None:
    parts = f"({', '.join(args)},)"
    axis = s.options.get("axis", 0)
    w.body.append(f"{name} = np.concatenate({parts}, axis={axis!r}{w.kept(s, (), name)})")


def _write_number(w: Draft, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]) -> None:
    w.body.append(f"{w.memory(s)}.fill({args[0]})")


def _write_cumsum(w: Draft, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]) -> None:
    axis = s.options.get("axis")
    w.body.append(f"{name} = np.cumsum({args[0]}, axis={axis!r}{w.kept(s, (), name)})")


def _write_clip(w: Draft, s: Symbol, name: str, args: list[str], dead: Sequence[Symbol]) -> None:
    if s.options.get("min") is s.options.get("max") is None:  # an error before NumPy 2.1
        w.body.append(f"{name} = np.positive({args[0]}{w.kept(s, (), name)})")
        return
    limits = [w.option(s.options.get(key)) for key in ("min", "max")]
    w.body.append(f"{name} = np.clip({args[0]}, {', '.join(limits)}{w.kept(s, (), name)})")


CALLS: dict[Primitive, Callable[[Draft, Symbol, str, list[str], Sequence[Symbol]], None]] = {
    linalg.matmul: _write_matmul, inner: _write_inner, ar.where: _write_where,
    finite: _write_finite, copy: _write_copy,
    accumulate: _write_accumulate, shaping.reshape: _write_number, shaping.getitem: _write_getitem,
    shaping.scatter: _write_scatter, shaping.joined: _write_joined,
    reductions.cumsum: _write_cumsum, el.clip: _write_clip, restored: _write_restored,
    residual: _write_residual, relevant: _write_relevant,
}  # fmt: skip


#: Operations whose result may be handed out as it is: certain to be memory of their own, and not
#: made part by part, which goes faster where the parts stay in place.
WRITTEN: set[Primitive | None] = {*UFUNCS, *REDUCTIONS, *CALLS}
WRITTEN.remove(accumulate)

#: Operations that write their result into whatever memory they are given.
INTO: set[Primitive | None] = {*UFUNCS, *REDUCTIONS, linalg.matmul, copy}
