"""From a recorded graph to a program, by one of three routes.

Arrays become one line for each operation that is left. Single numbers are rolled up into arrays
where many are computed alike, and stay straight-line Python where they are not.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.collecting import no_collection
from tinygrad_edu.core.ops import shaping
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.sweep import needed, reachable, sweep
from tinygrad_edu.core.value import Value
from tinygrad_edu.program import floats, source, symbol
from tinygrad_edu.program.arguments import Argument, Listed, Scalars
from tinygrad_edu.program.careful import careful_where_steep
from tinygrad_edu.program.lowering import lowered
from tinygrad_edu.program.program import Program, lines
from tinygrad_edu.program.rolling import can_roll, rolled
from tinygrad_edu.program.stepping import Step, Update
from tinygrad_edu.program.symbol import Symbol, Table

#: Lists of leaves are nested no deeper than this.
_DEEPEST = 16

#: An argument and the leaves it holds: one, or an array of single numbers.
Slot = tuple[Argument, "np.ndarray[Any, Any]"]


def compile_graph(
    cost: Value, names: Mapping[str, Any], also: Mapping[str, Value], update: Update | None
) -> Program:
    """See `tinygrad_edu.compile`."""
    if cost.shape != ():
        raise GradError(
            f"compile: the cost has shape {cost.shape}; only a single number has a gradient "
            "without more. Reduce it (tg.mean, tg.sum)"
        )
    if not cost.requires_grad:
        raise GradError("compile: the cost was computed from nothing that needs a gradient")
    with no_collection():
        nodes = reachable(cost, every=True)[::-1]
        for value in also.values():
            if not isinstance(value, Value):
                raise TypeError(f"compile: also= holds Values by name, not {type(value).__name__}")
            nodes += set(reachable(value, every=True)).difference(nodes)
        if also:
            nodes.sort(key=lambda node: node._created)
        slots, titles = _named(nodes, names)
        # What a list holds besides is an argument without influence: its gradient is zero.
        present = set(nodes)
        nodes = [x for _, held in slots for x in held.flat if x not in present] + nodes
        if also or not can_roll(nodes):
            return _array_program(cost, nodes, slots, titles, also, update)
        program = _rolled_program(cost, nodes, slots, update)
        if update is None:
            program = program or _float_program(cost, nodes, slots, titles)
        return program or _array_program(cost, nodes, slots, titles, also, update)


def _named(nodes: Sequence[Value], names: Mapping[str, Any]) -> tuple[list[Slot], dict[Value, str]]:
    """The arguments, and a title for every node that has one."""
    present, learning = set(nodes), needed(nodes)
    titles = {node: node.name for node in nodes if node.name is not None}
    titles |= {x: name for name, x in names.items() if isinstance(x, Value) and x in present}
    lists = {name: x for name, x in names.items() if not isinstance(x, Value)}
    slots = _lists(lists, present, learning)
    held = {leaf for _, leaves in slots.values() for leaf in leaves.flat}
    leaves = [node for node in nodes if node.op is None and node not in held]
    for leaf in leaves:
        if leaf in titles:
            _add(slots, titles[leaf], leaf, leaf in learning)
    unused = (name for i in itertools.count() if (name := f"arg{i}") not in slots)
    for leaf in leaves:
        if leaf not in titles and leaf in learning:
            _add(slots, next(unused), leaf, True)
    return list(slots.values()), titles


def _lists(lists: Mapping[str, Any], present: set[Value], learning: set[Value]) -> dict[str, Slot]:
    """The lists whose leaves are an argument: none that has a leaf of one before it."""
    slots: dict[str, Slot] = {}
    held: set[Value] = set()
    for name, what in lists.items():
        leaves = _table_of_leaves(what, present)
        if leaves is None or not held.isdisjoint(leaves.flat):
            continue
        default = np.array([leaf._data for leaf in leaves.flat]).reshape(leaves.shape)
        needs = any(
            leaf in learning or leaf.requires_grad > (leaf in present) for leaf in leaves.flat
        )
        slots[name] = Argument(name, default, needs), leaves
        held.update(leaves.flat)
    return slots


def _add(slots: dict[str, Slot], name: str, leaf: Value, needs: bool) -> None:
    if name in slots:
        raise GradError(
            f"compile: two leaves are called {name}. Arguments need names of their own: "
            "use tg.name_values, or names=locals()"
        )
    slots[name] = Argument(name, leaf._data, needs), _objects([leaf], ())


def _table_of_leaves(what: Any, present: set[Value]) -> np.ndarray[Any, Any] | None:
    """A list, or lists of lists, of single-number leaves, some in the graph, as an array."""
    first, shape = what, []
    for _ in range(_DEEPEST):
        if type(first) not in (list, tuple) or not first:
            break
        first = first[0]
    if not isinstance(first, Value):
        return None
    level = [what]
    while level and all(type(x) in (list, tuple) for x in level):
        lengths = {len(x) for x in level}
        if len(lengths) > 1:
            return None
        shape.append(lengths.pop())
        level = [y for x in level for y in x]
    fits = [isinstance(x, Value) and x.op is None and type(x._data) is float for x in level]
    if not shape or not all(fits) or len(set(level)) < len(level) or present.isdisjoint(level):
        return None
    return _objects(level, tuple(shape))


def _objects(leaves: Sequence[Value], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Leaves in an array, one by one: a Value is not itself taken for an array."""
    array = np.empty(len(leaves), object)
    for i, leaf in enumerate(leaves):
        array[i] = leaf
    return array.reshape(shape)


def _symbols(
    nodes: Sequence[Value], known: dict[Value, Symbol], titles: Mapping[Value, str], table: Table
) -> dict[Value, Symbol]:
    """Each recorded node as a Symbol, oldest first; `known` holds the arguments."""
    for node in nodes:
        if node in known:
            continue
        if node.op is None:
            known[node] = table.symbol(node._data)
            continue
        s = table.apply(node.op, tuple([known[x] for x in node.parents]), node.options)
        if s.name is None and not s.constant:
            s.name = titles.get(node)
        known[node] = s
    return known


def _backward(root: Symbol, wanted: Sequence[Symbol], table: Table) -> list[Symbol]:
    """The gradients of `wanted`: the one sweep there is, run on Symbols."""
    found = sweep(root, table.symbol(root.dtype.type(1)), read=lambda s: (s, s.parents))
    for s, g in found.items():
        if g is not None and s.name is not None and g.name is None and g.op is not None:
            g.name = f"d{s.name}"
    missing = [s for s in wanted if found.get(s) is None]
    found.update((s, table.symbol(np.zeros(s.shape, s.dtype))) for s in missing)
    return [found[s] for s in wanted]


def _finished(
    root: Symbol,
    nodes: Sequence[Value],
    arguments: Sequence[tuple[Argument | Scalars, Symbol]],
    table: Table,
    story: Sequence[str],
    update: Update | None,
    also: Mapping[str, Symbol] | None = None,
    copied: bool = False,
) -> Program:
    """The program of arrays for a cost and its arguments."""
    wanted = [a for a, s in arguments if a.requires_grad]
    if update is not None:
        arguments = sorted(arguments, key=lambda pair: pair[0].requires_grad)
        if len({a.dtype for a in wanted}) > 1:
            raise GradError(
                "compile: update= needs parameters of one dtype, these are "
                + ", ".join(f"{a.name} {a.dtype}" for a in wanted)
            )
    gradients = _backward(root, [s for a, s in arguments if a.requires_grad], table)
    more = also or {}
    asked = table.asked
    first, *new = lowered([root, *gradients, *more.values(), *(s for _, s in arguments)], copied)
    table.close()
    listing = source.written(
        [s if s.op is None else s.parents[0] for s in new[len(wanted) + len(more) :]],
        first,
        {a.name: (g, a.dtype) for a, g in zip(wanted, new)},
        {key: (s, s.dtype) for key, s in zip(more, new[len(wanted) :])},
        update,
    )
    first.table.close()
    told = [
        *story,
        f"{asked} operations on arrays were asked for, those of the backward pass included.",
        f"{listing.calls} calls to NumPy are left: what was the same is computed once, what "
        "depends on constants only was computed now, what no gradient needs is gone.",
        f"{listing.views} transposes, slices and shapes only look at memory.",
        f"Results on the way share {_bytes(listing.memory)} of memory; each in memory of its own "
        f"would take {_bytes(listing.unshared)}. What is handed out is new at every call: "
        f"{_bytes(listing.handed_out)}.",
    ]
    code = compile(listing.source, "<program>", "exec")
    make = functools.partial(lines, code, listing.constants)
    told_so = "\n".join(told)
    careful = careful_where_steep(root, [(a.name, [s]) for a, s in arguments], nodes)
    made = ([a for a, _ in arguments], listing.source, make, careful, told_so, listing.constants)
    return Program(*made) if update is None else Step(*made, update)


def _array_program(
    cost: Value,
    nodes: Sequence[Value],
    slots: Sequence[Slot],
    titles: Mapping[Value, str],
    also: Mapping[str, Value],
    update: Update | None,
) -> Program:
    """A line for each operation that is left of the graph and its backward pass."""
    table = Table()
    arguments = []
    known: dict[Value, Symbol] = {}
    for argument, leaves in slots:
        s = table.argument(argument.name, argument.shape, argument.dtype, argument.requires_grad)
        arguments.append((argument, s))
        if not leaves.shape:
            known[leaves.item()] = s
        else:
            known.update((leaf, shaping.getitem(s, index=i)) for i, leaf in np.ndenumerate(leaves))
    symbols = _symbols(nodes, known, titles, table)
    story = [f"{sum(v.op is not None for v in nodes)} operations were recorded."]
    more = {key: symbols[value] for key, value in also.items()}
    return _finished(symbols[cost], nodes, arguments, table, story, update, more)


def _rolled_program(
    cost: Value, nodes: Sequence[Value], slots: Sequence[Slot], update: Update | None
) -> Program | None:
    """Single numbers computed alike, as arrays; None where too few are."""
    table = Table()
    arguments: list[tuple[Any, Symbol, Any]] = []
    for key, needs in (("parameters", True), ("given", False)):
        single = [(a, leaf) for a, leaf in slots if not a.shape and a.requires_grad is needs]
        if len(single) > 1:
            while any(a.name == key for a, _ in slots):
                key += "_"
            leaves = _objects([leaf.item() for _, leaf in single], (len(single),))
            scalars = Scalars(key, [a for a, _ in single])
            s = table.argument(key, scalars.shape, scalars.dtype, needs)
            arguments.append((scalars, s, leaves))
    together = {leaf for _, _, leaves in arguments for leaf in leaves.flat}
    for argument, leaves in slots:
        if leaves.item(0) not in together:
            s = table.argument(
                argument.name, argument.shape, argument.dtype, argument.requires_grad
            )
            arguments.append((argument, s, leaves))
    found = rolled(nodes, cost, arguments, table)
    if found is None:
        return None
    root, roller = found
    if all(s.size == 1 for s in symbol.needed([root])):
        return None  # what is left of them is no array
    recorded = sum(v.op is not None for v in nodes)
    story = [
        f"{recorded} operations on single numbers were recorded: {roller.groups} on arrays.",
        *roller.story,
    ]
    arguments_only = [(a, s) for a, s, _ in arguments]
    return _finished(root, nodes, arguments_only, table, story, update, copied=True)


def _float_program(
    cost: Value, nodes: Sequence[Value], slots: Sequence[Slot], titles: Mapping[Value, str]
) -> Program | None:
    """Straight-line Python; None where an operation has no form on floats."""
    table = Table()
    known: dict[Value, Symbol] = {}
    listed: list[tuple[Listed, list[Symbol]]] = []
    for argument, leaves in slots:
        symbols = []
        for leaf in leaves.flat:
            name = argument.name if not argument.shape else ""
            s = table.argument(name, (), argument.dtype, argument.requires_grad)
            known[leaf] = s
            symbols.append(s)
        listed.append((Listed(argument), symbols))
    root = _symbols(nodes, known, titles, table)[cost]
    flat = [s for _, symbols in listed for s in symbols]
    wanted = [s for s in flat if s.requires_grad]
    gradients = _backward(root, wanted, table)
    new = lowered([root, *gradients, *flat])
    table.close()
    if not floats.can_write(new):
        return None
    gradient = dict(zip(wanted, new[1:]))
    now = dict(zip(flat, new[1 + len(wanted) :]))
    text = floats.written(
        {a.name: [now[s] for s in symbols] for a, symbols in listed},
        new[0],
        {a.name: [gradient[s] for s in symbols] for a, symbols in listed if a.requires_grad},
    )
    new[0].table.close()
    make = functools.partial(floats.lines, compile(text, "<program>", "exec"))
    recorded = sum(v.op is not None for v in nodes)
    story = (
        f"{recorded} operations on single numbers were recorded. Too few are computed alike for "
        "arrays to pay: the program is straight-line Python on floats. What was the same is "
        "computed once, what depends on constants only was computed now, what no gradient needs "
        "is gone."
    )
    careful = careful_where_steep(root, [(a.name, symbols) for a, symbols in listed], nodes)
    return Program([a for a, _ in listed], text, make, careful, story)


def _bytes(n: int) -> str:
    for unit, size in (("MB", 1 << 20), ("KB", 1 << 10)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n} bytes"
