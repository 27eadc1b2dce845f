"""From a graph of single numbers to arrays: the lecture's step from S4 to S6, found in the graph.

Code that handles one number at a time (a loop over examples, units and weights) records the same
few operations over and over. Here they are rolled up again:

- sums of sums become one sum of many terms, and products used only there become its terms;
- sums and functions that wait for nothing newer are grouped by kind: each group is one array;
- where the sums of a group are every row of one array against every column of another, the group is
  a matrix product: ``Z = W @ A + b``. The rules of the arrays give ``dW = dZ @ A.T`` by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.core.ops import arithmetic as ar
from tinygrad_edu.core.ops import linalg, losses, reductions, shaping
from tinygrad_edu.core.primitive import Primitive, Shape
from tinygrad_edu.core.value import Value
from tinygrad_edu.program.symbol import ELEMENTWISE, Symbol, Table, frozen

Ids = np.ndarray[Any, np.dtype[np.int64]]

#: A group of fewer numbers than this, on average, is faster computed as Python floats.
WORTH_AN_ARRAY = 8

#: A group that is gathered from many arrays costs a call for each of them: fewer operations on
#: numbers than this, for each on arrays, are faster computed as Python floats.
WORTH_A_CALL = 16

#: More than a few small matrix products side by side cost more in calls than they save in work:
#: unless each has this many products of numbers, all are computed entry by entry.
FEW, SMALL = 4, 500

_ROLLED = ELEMENTWISE | {ar.positive, losses.bernoulli_loss, losses.logistic_loss}
_LINEAR = {ar.add: (1, 1), ar.subtract: (1, -1), ar.negative: (-1,), ar.positive: (1,)}


@dataclass
class Array:
    """Many numbers of the graph as one Symbol, in the order of its entries."""

    symbol: Symbol
    parameters: bool = False  # numbers handed in that need gradients


@dataclass
class Sum:
    """One number of the graph as ``± l₁r₁ ± l₂r₂ … ± p₁ ± p₂ …``: factors and plain terms."""

    signs: list[int] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    plain_signs: list[int] = field(default_factory=list)
    plain: list[int] = field(default_factory=list)


class Graph:
    """The recorded numbers by position: operation, inputs, how often each is used.

    Constants of equal value are the same; what depends on constants only is one.
    """

    def __init__(self, nodes: Sequence[Value], arguments: set[Value]) -> None:
        number = {node: i for i, node in enumerate(nodes)}
        n = len(nodes)
        self.op: list[Primitive | None] = [node.op for node in nodes]
        self.options = [node.options for node in nodes]
        self.inputs: list[tuple[int, ...]] = [()] * n
        self.uses = [0] * n
        self.same = list(range(n))  # the position that stands for an equal constant
        self.constant = np.zeros(n, bool)
        self.values = np.array([node._data for node in nodes])
        known: dict[str, int] = {}
        same, uses, constant = self.same, self.uses, [False] * n
        for i, node in enumerate(nodes):
            if node.op is not None:
                inputs = tuple([same[number[x]] for x in node.parents])
                for x in inputs:
                    if not constant[x]:
                        break
                else:
                    constant[i] = True
                if not constant[i]:
                    self.inputs[i] = inputs
                    for x in inputs:
                        uses[x] += 1
            elif node not in arguments:
                constant[i] = True
            if constant[i]:
                self.op[i] = None
                same[i] = known.setdefault(repr(node._data), i)
        self.constant[:] = constant

    def sums(self) -> tuple[dict[int, list[int]], set[int]]:
        """The terms of every sum (``±(position + 1)``), and the positions that are terms only."""
        terms: dict[int, list[int]] = {}
        inside: set[int] = set()
        for i, op in enumerate(self.op):
            signs = _LINEAR.get(op) if op is not None else None
            if signs is None:
                continue
            parts: list[list[int]] = []
            for x, sign in zip(self.inputs[i], signs):
                once = self.uses[x] == 1 and self.op[x] is not None
                if once and x in terms:
                    inner = terms.pop(x)
                    inside.add(x)
                    parts.append(inner if sign > 0 else [-t for t in inner])
                else:
                    parts.append([sign * (x + 1)])
                    if once and self.op[x] is ar.multiply:
                        inside.add(x)
            parts.sort(key=len, reverse=True)  # the long list grows: a chain of sums stays linear
            for part in parts[1:]:
                parts[0].extend(part)
            terms[i] = parts[0]
        return terms, inside

    def sum_of(self, terms: list[int], inside: set[int]) -> Sum:
        """Terms sorted into products and plain ones."""
        found = Sum()
        for t in terms:
            x = abs(t) - 1
            if x in inside:
                a, b = self.inputs[x]
                found.signs.append(1 if t > 0 else -1)
                found.left.append(a)
                found.right.append(b)
            else:
                found.plain_signs.append(1 if t > 0 else -1)
                found.plain.append(x)
        return found


class Roller:
    """Writes the groups of a graph as Symbols, oldest first."""

    def __init__(self, graph: Graph, table: Table) -> None:
        self.graph = graph
        self.table = table
        self.arrays: list[Array] = []
        self.array = np.full(len(graph.op), -1)  # which array a number is in; -1: a constant
        self.place = np.zeros(len(graph.op), np.int64)  # and where in it
        self.story: list[str] = []
        self.products = self.groups = 0

    def place_at(self, symbol: Symbol, ids: Ids, parameters: bool = False) -> None:
        """`symbol` holds the numbers `ids`, entry by entry."""
        if symbol.shape != ids.shape:
            symbol = shaping.broadcast_to(symbol, shape=ids.shape)
        flat = ids.ravel()
        self.array[flat] = len(self.arrays)
        self.place[flat] = np.arange(len(flat))
        self.arrays.append(Array(symbol, parameters))

    # --- reading numbers out of arrays -----------------------------------------------------------

    def read(self, ids: Any) -> Any:
        """The numbers `ids` as a Symbol of that shape; what repeats along an axis is read once."""
        ids = np.asarray(ids)
        repeated = [a for a, n in enumerate(ids.shape) if n > 1 and (ids == ids.take([0], a)).all()]
        few = ids
        for a in repeated:
            few = few.take([0], a)
        if repeated and few.size == 1:
            few = few.reshape(())
        found = self._read(few)
        return found if not repeated else shaping.broadcast_to(found, shape=ids.shape)

    def _read(self, ids: Ids) -> Any:
        arrays = np.unique(self.array[ids])
        if len(arrays) == 1:
            if arrays[0] < 0:
                return self.table.symbol(self.graph.values[ids])
            return look(self.arrays[arrays[0]].symbol, self.place[ids])
        parts, start = [], np.zeros(len(self.arrays) + 1, np.int64)  # the last: constants, at -1
        place, offset = self.place[ids], 0
        for a in arrays:
            if a < 0:
                which, inverse = np.unique(ids[self.array[ids] < 0], return_inverse=True)
                place[self.array[ids] < 0] = inverse
                parts.append(self.table.symbol(self.graph.values[which]))
            else:
                symbol = self.arrays[a].symbol
                parts.append(shaping.reshape(symbol, shape=(symbol.size,)))
            start[a] = offset
            offset += parts[-1].size
        return look(shaping.joined(*parts), place + start[self.array[ids]])

    # --- groups -------------------------------------------------------------------------------

    def function(self, op: Primitive, options: dict[str, Any], ids: Ids) -> None:
        """A group of numbers computed by one operation, element by element."""
        inputs = np.array([self.graph.inputs[i] for i in ids])
        for part in self.side_by_side(inputs):
            shape, order = self.arrangement(inputs[part])
            mine = part[order]
            args = [self.read(column.reshape(shape)) for column in inputs[mine].T]
            self.place_at(op(*args, **options), ids[mine].reshape(shape))
            self.groups += 1

    def side_by_side(self, inputs: Ids) -> list[Ids]:
        """A group split by the array its inputs lie in, if the parts are worth an array each."""
        which = self.array[self.leading(inputs)]
        kinds = np.unique(which)
        parts = [np.flatnonzero(which == kind) for kind in kinds]
        return parts if min(map(len, parts)) >= WORTH_AN_ARRAY else [np.arange(len(inputs))]

    def leading(self, inputs: Ids) -> Ids:
        """The first column of inputs that is not all constants: it gives the group its order."""
        columns: list[Ids] = list(inputs.T)
        for column in columns:
            if (self.array[column] >= 0).any():
                return column
        return columns[0]

    def arrangement(self, inputs: Ids) -> tuple[Shape, Ids]:
        """Shape and order of a group: those of the array its inputs fill, else one row."""
        n = len(inputs)
        column = self.leading(inputs)
        order = np.arange(n)
        if n == 1:
            return (), order
        array, place = self.array[column], self.place[column]
        if array[0] >= 0 and (array == array[0]).all():
            order = np.argsort(place, kind="stable")
            shape = self.arrays[array[0]].symbol.shape
            if np.array_equal(place[order], np.arange(np.prod(shape, dtype=int))):
                return shape, order
        return (n,), order

    def sums(self, ids: Ids, sums: list[Sum]) -> None:
        """A group of sums of one form."""
        if len(ids) == 1:
            self.place_at(self.single(sums[0]), ids.reshape(()))
            self.groups += 1
            return
        left, right, plain = (
            np.array([getattr(s, part) for s in sums], int).reshape(len(ids), -1)
            for part in ("left", "right", "plain")
        )
        signs, plain_signs = np.array(sums[0].signs), np.array(sums[0].plain_signs)
        rest = np.arange(len(ids))
        if left.shape[1] > 1:
            flip = self.is_parameter(right) & ~self.is_parameter(left)
            sides = np.where(flip, right, left), np.where(flip, left, right)
            grids, rest = full_products(*sides)
            if len(rest):
                again, other = full_products(left, right)
                if len(other) < len(rest):
                    grids, rest, sides = again, other, (left, right)
            if len(grids) > FEW and left.size < SMALL * len(grids):
                grids, rest = [], np.arange(len(ids))
            for grid in grids:
                self.product(ids, grid, sides, signs, plain, plain_signs)
        if len(rest):
            self.loose(ids[rest], left[rest], right[rest], signs, plain[rest], plain_signs)

    def is_parameter(self, ids: Ids) -> Any:
        """Which numbers are handed in and need gradients?"""
        kinds = np.array([*(a.parameters for a in self.arrays), False])
        return kinds[self.array[ids]]

    def single(self, s: Sum) -> Any:
        """One sum by itself: its terms in any order, so array by array."""
        total: Any = -0.0  # which added to any number gives that number
        left, right, signs = np.array(s.left, int), np.array(s.right, int), np.array(s.signs)
        for part in self.by_array(left, right, signs):
            part = part[0] if len(part) == 1 else part
            x, y = self.read(left[part]), self.read(right[part])
            total = total + reductions.sum(x * y) * float(signs[part].flat[0])
        plain, signs = np.array(s.plain, int), np.array(s.plain_signs)
        for part in self.by_array(plain, plain, signs):
            part = part[0] if len(part) == 1 else part
            total = total + reductions.sum(self.read(plain[part])) * float(signs[part].flat[0])
        return total

    def by_array(self, x: Ids, y: Ids, signs: Any) -> list[Ids]:
        """Positions of terms that lie in the same arrays with the same sign, in the order there."""
        if not len(x):
            return []
        order = np.lexsort((self.place[y], self.place[x], signs, self.array[y], self.array[x]))
        kind = np.stack([self.array[x], self.array[y], signs])[:, order]
        cuts = np.flatnonzero((kind[:, 1:] != kind[:, :-1]).any(0)) + 1
        return np.split(order, cuts)

    def loose(
        self, ids: Ids, left: Ids, right: Ids, signs: Any, plain: Ids, plain_signs: Any
    ) -> None:
        """Sums that share their form only: products entry by entry, then sums of rows."""
        shape, order = self.arrangement(np.concatenate([left, plain], axis=1))
        if left.shape[1] > 1 or plain.shape[1] > 3:
            shape = (len(ids),)
        left, right, plain = left[order], right[order], plain[order]
        total: Any = -0.0
        if left.shape[1] > 1:
            total = self.rows(self.read(left) * self.read(right), signs)
        elif left.shape[1]:
            total = (
                self.read(left.reshape(shape)) * self.read(right.reshape(shape)) * float(signs[0])
            )
        if plain.shape[1] > 3:
            total = total + self.rows(self.read(plain), plain_signs)
        else:
            total = total + self.plain(plain.reshape(*shape, -1), plain_signs, -0.0)
        self.place_at(self.table.symbol(total), ids[order].reshape(shape))
        self.groups += 1

    @staticmethod
    def rows(entries: Any, signs: Any) -> Any:
        """The sum of each row of terms, which all have these signs."""
        if (signs > 0).all():
            return reductions.sum(entries, axis=1)
        column = signs.astype(float).reshape(-1, 1)
        return shaping.reshape(linalg.matmul(entries, column), shape=entries.shape[:1])

    def plain(self, ids: Ids, signs: Any, total: Any) -> Any:
        """`total` and the plain terms, which lie along the last axis."""
        for k, sign in enumerate(signs):
            term = self.read(ids[..., k])
            total = total + term if sign > 0 else total - term
        return total

    def product(
        self, ids: Ids, grid: Ids, sides: tuple[Ids, Ids], signs: Any, plain: Ids, plain_signs: Any
    ) -> None:
        """A group that is every row of one array against every column of another."""
        self.products += 1
        self.groups += 1
        n = self.products
        rows, columns = sides[0][grid[:, 0]], sides[1][grid[0]].T
        left = x = self._read(rows)
        y = self._read(columns)
        x.name = x.name or self.title(rows, n)
        y.name = y.name or self.title(columns, n)
        written = f"{x.name} @ {y.name}"
        shapes = f"{grid.shape} = {x.shape} @ {y.shape}"
        if (signs < 0).any():
            x = x * signs.astype(float)
            written = f"(± {x.name}) @ {y.name}"
        z = linalg.matmul(x, y)
        for k, sign in enumerate(plain_signs):
            term = self.read(plain[grid][..., k])
            inner = term.parents[0] if term.op is shaping.broadcast_to else term
            if inner.name is None and not inner.constant:
                inner.name = f"b{n}" if len(plain_signs) == 1 else f"b{n}_{k + 1}"
            z = z + term if sign > 0 else z - term
            written += f" {'+' if sign > 0 else '-'} {inner.name or 'constants'}"
            shapes += f" {'+' if sign > 0 else '-'} {inner.shape}"
        z.name = f"Z{n}"
        self.place_at(z, ids[grid])
        self.story.append(
            f"{grid.size} sums of {rows.shape[1]} products are every row of {x.name} "
            f"against every column of {y.name}:\n    Z{n} = {written}    shapes {shapes}"
        )
        rules = [
            f"d{x.name} = dZ{n} @ {y.name}.T" * left.requires_grad,
            f"d{y.name} = {x.name}.T @ dZ{n}" * y.requires_grad,
        ]
        self.story.append(f"    so {', '.join(rule for rule in rules if rule)}")

    def title(self, ids: Ids, n: int) -> str:
        """A name in the lecture's manner: W for parameters, X for what is given, A for results."""
        array = self.array.take(ids.flat[0])
        if array < 0:
            return f"X{n}"
        return f"W{n}" if self.arrays[array].parameters else f"A{n - 1}"


def look(symbol: Symbol, place: Ids) -> Any:
    """The entries `place` (counted along the rows) of a Symbol, by a slice where there is one."""
    size = symbol.size
    if place.size == size and np.array_equal(place.ravel(), np.arange(size)):
        return shaping.reshape(symbol, shape=place.shape)
    if place.ndim == 2 and place.size == size and np.array_equal(place.T.ravel(), np.arange(size)):
        return shaping.transpose(shaping.reshape(symbol, shape=place.shape[::-1]))
    flat = shaping.reshape(symbol, shape=(size,))
    return _slice(flat, place) or shaping.reshape(
        shaping.getitem(flat, index=place.ravel()), shape=place.shape
    )


def _slice(flat: Symbol, place: Ids) -> Any:
    """`place` as slices of a row of numbers, or None: a start and a step for each axis."""
    if not place.size:
        return None
    start = int(place.flat[0])
    if place.ndim == 0:
        return shaping.getitem(flat, index=start)
    steps = [
        int(np.take(place, 1, a).flat[0]) - start if n > 1 else 0 for a, n in enumerate(place.shape)
    ]
    regular = start + sum(s * i for s, i in zip(steps, np.indices(place.shape)))
    repeats = any(s <= 0 for s, n in zip(steps, place.shape) if n > 1)
    if repeats or not np.array_equal(regular, place):
        return None
    if place.size == int(place.max()) - start + 1 and np.array_equal(
        place.ravel(), np.arange(start, start + place.size)
    ):
        block = shaping.getitem(flat, index=slice(start, start + place.size))
        return shaping.reshape(block, shape=place.shape)
    if sum(n > 1 for n in place.shape) == 1:
        step = max(steps)
        row = shaping.getitem(flat, index=slice(start, int(place.max()) + 1, step))
        return shaping.reshape(row, shape=place.shape)
    if place.ndim == 2 and steps[0] < steps[1]:
        turned = _slice(flat, place.T)
        return None if turned is None else shaping.transpose(turned)
    if place.ndim != 2 or steps[1] != 1:
        return None
    # Rows of a wider table: it must lie within the numbers there are.
    rows, columns = place.shape
    width = steps[0]
    before = max(0, start + rows * width - flat.size)
    if columns > width or before > min(start, width - columns):
        return None
    wide = shaping.getitem(flat, index=slice(start - before, start - before + rows * width))
    table = shaping.reshape(wide, shape=(rows, width))
    return shaping.getitem(table, index=(slice(None), slice(before, before + columns)))


def classes(rows: Ids) -> tuple[Ids, Ids]:
    """Equal rows under one number, counted by first appearance; and where each first appears."""
    mix = np.random.default_rng(0).integers(1, 1 << 62, rows.shape[1]) | 1
    _, first, which = np.unique((rows * mix).sum(1), return_index=True, return_inverse=True)
    if not np.array_equal(rows, rows[first[which]]):  # two different rows with one mixture
        _, first, which = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        which = which.ravel()
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[which], first[order]


def full_products(left: Ids, right: Ids) -> tuple[list[Ids], Ids]:
    """Grids of members that are all rows against all columns, and the members in no such grid.

    Networks side by side have the same form but share no row and no column: they are told apart
    first, by what is connected.
    """
    row, _ = classes(left)
    column, _ = classes(right)
    label = np.arange(row.max() + 1)
    for _ in range(8):
        of_column = np.full(column.max() + 1, len(label))
        np.minimum.at(of_column, column, label[row])
        new = label.copy()
        np.minimum.at(new, row, of_column[column])
        if np.array_equal(new, label):
            break
        label = new
    grids, rest = [], []
    for part in _split(label[row]):
        _, r = np.unique(row[part], return_inverse=True)
        _, c = np.unique(column[part], return_inverse=True)
        grid = np.full((r.max() + 1, c.max() + 1), -1)
        grid[r, c] = part
        if grid.size == len(part) and grid.size > 1 and (grid >= 0).all():
            grids.append(grid)
        else:
            rest.append(part)
    return grids, np.concatenate(rest) if rest else np.zeros(0, np.int64)


def _split(labels: Ids) -> list[Ids]:
    """Positions with equal labels, together."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def can_roll(nodes: Sequence[Value]) -> bool:
    """Is this a graph of floats, computed element by element?"""
    return all(type(v._data) is float and (v.op is None or v.op in _ROLLED) for v in nodes)


def rolled(
    nodes: Sequence[Value],
    cost: Value,
    arguments: Sequence[tuple[Any, Symbol, Any]],
    table: Table,
) -> tuple[Symbol, Roller] | None:
    """The cost as a Symbol over arrays; None where the groups would be too small.

    `nodes`: oldest first. `arguments`: each with its Symbol and the leaves it holds, as an array.
    """
    held = {leaf for _, _, leaves in arguments for leaf in leaves.flat}
    graph = Graph(nodes, held)
    terms, inside = graph.sums()
    depth = [0] * len(nodes)
    groups: dict[Any, list[int]] = {}
    sums: dict[int, Sum] = {}
    for i, op in enumerate(graph.op):
        if op is None or i in inside:
            continue
        if i in terms:
            s = sums[i] = graph.sum_of(terms[i], inside)
            depth[i] = 1 + max([depth[x] for x in (*s.left, *s.right, *s.plain)])
            key: Any = (depth[i], ar.add, tuple(s.signs), tuple(s.plain_signs))
        else:
            depth[i] = 1 + max([depth[x] for x in graph.inputs[i]])
            key = (depth[i], op, frozen(graph.options[i]))
        groups.setdefault(key, []).append(i)
    computed = sum(op is not None for op in graph.op)
    if computed < WORTH_AN_ARRAY * len(groups):
        return None
    roller = Roller(graph, table)
    number = {node: i for i, node in enumerate(nodes)}
    for argument, symbol, leaves in arguments:
        ids = np.array([number[leaf] for leaf in leaves.flat]).reshape(leaves.shape)
        roller.place_at(symbol, ids, argument.requires_grad)
    for key in sorted(groups, key=lambda key: key[0]):
        if computed < WORTH_A_CALL * len(table):
            return None
        members = groups[key]
        if members[0] in sums:
            roller.sums(np.array(members), [sums[i] for i in members])
        else:
            roller.function(key[1], graph.options[members[0]], np.array(members))
    if computed < WORTH_A_CALL * len(table):
        return None
    root = graph.same[number[cost]]
    return roller._read(np.array(root)), roller
