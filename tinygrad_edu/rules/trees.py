"""What is written down: trees of sums, products, quotients and calls, and what reading them costs.

A tree's cost counts tokens, names a little more. Its shape is what NumPy makes of it as written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import numpy as np

from tinygrad_edu.core.operators import Operators
from tinygrad_edu.core.ops import arithmetic, linalg, reductions, shaping
from tinygrad_edu.core.ops.table import TABLE
from tinygrad_edu.core.primitive import Primitive, Shape
from tinygrad_edu.rules.indices import DIAG, is_diagonal, is_whole, parts_of
from tinygrad_edu.rules.poly import Atom, Number, broadcast, rational, strip
from tinygrad_edu.rules.sizes import Named, Size, lengths

#: Kinds of trees that reduce axes.
REDUCED = ("sum", "mean")
HALF = Fraction(1, 2)


class Tree:
    """Something written down. `kind` says what `parts` are; `value` holds the rest.

    `shape` is what NumPy makes of it as it is written.
    """

    __slots__ = ("cost", "kind", "loose", "parts", "shape", "value")

    def __init__(
        self, kind: str, parts: tuple[Tree, ...], shape: Shape, value: Any = None, cost: float = 0
    ) -> None:
        self.kind = kind
        self.parts = parts
        self.shape = shape
        self.value = value
        for part in parts:
            cost += part.cost
        self.cost = cost
        # Does its shape hang on whether summed axes are kept? See `keeping`.
        self.loose: bool = value[2] if kind in REDUCED else any(part.loose for part in parts)

    @property
    def scalar(self) -> bool:
        """Is it a single number, whatever brackets it may have?"""
        return not strip(self.shape)

    def names(self) -> set[str]:
        """All names in it."""
        seen, found, left = {id(self)}, set(), [self]
        while left:
            tree = left.pop()
            if tree.kind == "name":
                found.add(tree.value.name)
            for part in tree.parts:
                if id(part) not in seen:
                    seen.add(id(part))
                    left.append(part)
        return found


def number(c: Number) -> Tree:
    """A plain number."""
    return Tree("number", (), (), c, 1 if c.denominator == 1 else 1.5)


def name(atom: Atom) -> Tree:
    """A name; what it stands for is found by it."""
    return Tree("name", (), atom.shape, atom, 1.5 + 2.5 * atom.name.count("."))


def bracketed(tree: Tree, *kinds: str) -> float:
    """What a pair of brackets costs, if a tree of one of these kinds needs them."""
    return 2 if tree.kind in kinds else 0


def _element_wise(parts: Iterable[Tree]) -> Shape:
    return broadcast(part.shape for part in parts)


def add(parts: list[tuple[int, Tree]]) -> Tree:
    """A sum of signed parts, positive ones first."""
    parts = sorted(parts, key=lambda part: part[0] < 0)
    if len(parts) == 1 and parts[0][0] > 0:
        return parts[0][1]
    if len(parts) > 1:
        vectors = [(sign, column(part)) for sign, part in parts]
        if all(vector is not None for _, vector in vectors):
            return as_column(signed([(sign, v) for sign, v in vectors if v is not None]))
        if all(_adds_axes(part) and _index_of(part) == _index_of(parts[0][1]) for _, part in parts):
            inside = signed([(sign, part.parts[0]) for sign, part in parts])
            return reshape(inside, _element_wise(part for _, part in parts))
    return signed(parts)


def _adds_axes(tree: Tree) -> bool:
    """Is it something with new axes, and nothing picked from it?"""
    if tree.kind != "call" or tree.value[0] is not shaping.getitem:
        return False
    return all(part is None or is_whole(part) for part in _index_of(tree))


def _index_of(tree: Tree) -> tuple[Any, ...]:
    return parts_of(tree.value[1]["index"])


def signed(parts: list[tuple[int, Tree]]) -> Tree:
    """A sum of signed parts in the order given."""
    cost: float = len(parts) - 1 + (parts[0][0] < 0)
    cost += sum(bracketed(tree, "add") for sign, tree in parts if sign < 0)
    trees = tuple(tree for _, tree in parts)
    return Tree("add", trees, _element_wise(trees), tuple(sign for sign, _ in parts), cost)


def multiply(parts: list[Tree]) -> Tree:
    """An element-wise product."""
    if len(parts) == 1:
        return parts[0]
    cost = len(parts) - 1 + sum(bracketed(part, "add") for part in parts)
    cost += sum(bracketed(part, "matmul", "divide") for part in parts[1:])
    return Tree("multiply", tuple(parts), _element_wise(parts), None, cost)


def divide(top: Tree, bottom: Tree) -> Tree:
    """A quotient."""
    cost = 1 + bracketed(top, "add") + bracketed(bottom, *COMPOUND)
    return Tree("divide", (top, bottom), _element_wise((top, bottom)), None, cost)


COMPOUND = ("add", "multiply", "divide", "matmul")


def power(base: Tree, n: Number) -> Tree:
    """A power; square roots are called so."""
    if n == 1:
        return base
    if n == HALF:
        return call(TABLE["sqrt"], (base,), {})
    return Tree("power", (base,), base.shape, n, 2 + bracketed(base, *COMPOUND) + (n != int(n)))


def matmul(x: Tree, y: Tree) -> Tree:
    """A matrix product."""
    cost = 1 + bracketed(x, "add") + bracketed(y, *COMPOUND)
    shape = linalg.matmul.shape_rule(x.shape, y.shape)
    pairs = broadcast((x.shape[:-2], y.shape[:-2]))  # which know what they are called
    return Tree("matmul", (x, y), (*pairs, *shape[len(pairs) :]), None, cost)


def transpose(x: Tree, axes: Any = None) -> Tree:
    """A transpose."""
    shape = shaping.transpose.shape_rule(x.shape, axes=axes)
    return Tree("transpose", (x,), shape, axes, 2 + bracketed(x, *COMPOUND))


def reduced(
    x: Tree, places: tuple[int, ...], keepdims: bool, free: bool = False, kind: str = "sum"
) -> Tree:
    """A sum or mean over axes. `free`: whether these stay makes no difference but to the shape."""
    turned = x.kind == "transpose" and len(x.shape) == 2 and len(places) == 1
    if turned and not keepdims and not free:
        return reduced(x.parts[0], (1 - places[0],), keepdims=False, kind=kind)
    scalar = all(n == 1 for i, n in enumerate(x.shape) if i not in places)
    shape = reductions.reduced_shape(x.shape, axis=places, keepdims=keepdims)
    if scalar and not keepdims:
        shape = ()
    cost = 4 + 4 * keepdims + 4 * (not scalar or keepdims)
    return Tree(kind, (x,), shape, (places, keepdims, free), cost)


def where(mask: Tree, x: Tree, y: Tree) -> Tree:
    """A choice by a mask. It reads better than the same in products, and is counted so."""
    return Tree("where", (mask, x, y), _element_wise((mask, x, y)), None, 1)


def call(op: Primitive, parts: tuple[Tree, ...], options: dict[str, Any]) -> Tree:
    """Any other operation."""
    cost = 3 if "compares" in op.traits else 3 + len(parts) + 4 * len(options)
    shape = op.shape_rule(*(part.shape for part in parts), **options)
    return Tree("call", parts, shape, (op, options), cost)


def _outer(x: Any, y: Any) -> Any:
    return np.outer(x, y)


#: All products of the entries of two vectors; `linalg.outer` is no operation of its own.
OUTER = Primitive(
    _outer, (None, None), shape=lambda x, y: (*x, *y), numpy="np.outer({0}, {1})",
    latex=r"{0} \otimes {1}",
)  # fmt: skip
OUTER.name = "outer"


def reshape(tree: Tree, shape: Shape) -> Tree:
    """Another shape; axes of length 1 that are put in are written as NumPy's ``[:, None]``."""
    old, rest, parts = tree.shape, list(tree.shape), []
    for n in shape:
        takes = bool(rest) and n == rest[0] and (n != 1 or len(shape) == len(old))
        parts.append(slice(None) if takes else None)
        if takes:
            rest.pop(0)
    if (
        not old
        or rest
        or isinstance(shape, Named)
        or len(shape) <= len(old)
        or any(part is None and n != 1 for part, n in zip(parts, shape))
    ):
        return call(shaping.reshape, (tree,), {"shape": shape})
    while parts[-1] is not None:
        parts.pop()
    index = tuple(parts)
    cost = 2 + len(index) + bracketed(tree, *COMPOUND)
    return Tree("call", (tree,), shape, (shaping.getitem, {"index": index}), cost)


def column(tree: Tree) -> Tree | None:
    """The vector that a column is made of, by ``[:, None]`` or element by element of such."""
    kind = tree.kind
    if not tree.shape or tree.shape[-1] != 1:
        return None
    if kind == "call" and tree.value[0] is shaping.getitem:
        index, [inner] = parts_of(tree.value[1]["index"]), tree.parts
        adds_axis = len(index) == 2 and is_whole(index[0]) and index[1] is None
        return inner if adds_axis and len(inner.shape) == 1 else None
    element_wise = kind in ("add", "multiply", "divide", "power") or (
        kind == "call" and "elementwise" in tree.value[0].traits
    )
    if not element_wise:
        return None
    inside = [part if part.scalar else column(part) for part in tree.parts]
    parts = tuple(part for part in inside if part is not None)
    if len(parts) < len(inside) or all(part.scalar for part in parts):
        return None
    own = tree.cost - sum(part.cost for part in tree.parts)
    return Tree(kind, parts, _element_wise(parts), tree.value, own)


def _row(tree: Tree) -> Tree | None:
    """The vector that a row is made of, by ``[None]``."""
    if tree.kind != "call" or tree.value[0] is not shaping.getitem or len(tree.parts[0].shape) != 1:
        return None
    index = parts_of(tree.value[1]["index"])
    adds_axis = len(index) > 0 and index[0] is None
    return tree.parts[0] if adds_axis and all(map(is_whole, index[1:])) else None


def as_column(vector: Tree) -> Tree:
    """A vector as a column."""
    return reshape(vector, (*vector.shape, 1))


def holds(tree: Tree, op: Primitive) -> bool:
    """Is an operation called anywhere in a tree?"""
    return (tree.kind == "call" and tree.value[0] is op) or any(holds(p, op) for p in tree.parts)


def put_at(tree: Tree) -> tuple[Any, Tree] | None:
    """The index that something is put at, and that, scaled by single numbers; None of others."""
    if tree.kind == "call" and tree.value[0] is shaping.scatter:
        return tree.value[1]["index"], tree.parts[0]
    if tree.kind not in ("multiply", "divide"):
        return None
    first, *others = tree.parts
    put = put_at(first) if all(part.scalar for part in others) else None
    if put is None:
        return None
    scaled = divide(put[1], others[0]) if tree.kind == "divide" else multiply([put[1], *others])
    return put[0], scaled


def keeping(tree: Tree) -> Tree:
    """The same with the summed axes of its own sums kept."""
    if not tree.loose:
        return tree
    if tree.kind in REDUCED:
        return reduced(tree.parts[0], tree.value[0], keepdims=True, kind=tree.kind)
    element_wise = tree.kind in ("add", "multiply", "divide", "power", "where") or (
        tree.kind == "call" and "elementwise" in tree.value[0].traits
    )
    if not element_wise:
        return tree
    parts = tuple(map(keeping, tree.parts))
    changed = sum(part.cost for part in parts) - sum(part.cost for part in tree.parts)
    cost = tree.cost + changed - sum(part.cost for part in parts)
    return Tree(tree.kind, parts, _element_wise(parts), tree.value, cost)


def shaped(tree: Tree, shape: Shape) -> Tree:
    """A tree with exactly this shape, for operations that look at axes."""
    for form in (tree, keeping(tree)):
        if tuple(form.shape) == tuple(shape):
            return form
    bare = strip(tree.shape)
    if bare == strip(shape) and tree.shape:
        return reshape(tree, shape)
    if len(tree.shape) > len(shape):
        tree = call(shaping.reshape, (tree,), {"shape": bare})
    return call(shaping.broadcast_to, (tree,), {"shape": shape})


def in_shape_of(tree: Tree, shape: Named) -> Tree:
    """A tree in which what is reshaped to this shape says whose it is."""
    if tree.kind == "divide":
        top, bottom = tree.parts
        return divide(in_shape_of(top, shape), bottom)
    reshapes = tree.kind == "call" and tree.value[0] is shaping.reshape
    if not reshapes or tuple(tree.shape) != shape or sum(n != 1 for n in shape) < 2:
        return tree
    return call(shaping.reshape, tree.parts, {"shape": shape})


class Written(Operators):
    """An operation written down as it stands, without any algebra.

    What is added to for each use is written down as one sum when it is looked at.
    """

    __slots__ = ("_summands",)

    def __init__(self, *summands: Tree) -> None:
        self._summands = summands

    @property
    def tree(self) -> Tree:
        """What is written."""
        if len(self._summands) > 1:
            self._summands = (_signed([(1, tree) for tree in self._summands]),)
        return self._summands[0]

    @property
    def shape(self) -> Shape:
        """The shape of what is written."""
        return self.tree.shape

    @classmethod
    def _apply(cls, op: Primitive, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        xs = [x if isinstance(x, Written) else Written(given_tree(x)) for x in args]
        if op is arithmetic.add:
            return Written(*xs[0]._summands, xs[1].tree)
        return Written(literal(op, tuple(x.tree for x in xs), options))


def given_tree(x: Any) -> Tree:
    """What a rule takes beside its inputs: a plain number, a length, a formula of lengths."""
    poly = x.symbol if isinstance(x, Size) else getattr(x, "poly", None)
    if poly is None or not poly.terms:
        return number_tree(x if poly is None else 0)
    terms = []
    for mono, c in poly.terms.items():
        top = [power(name(atom), e) for atom, e in mono if e > 0]
        bottom = [power(name(atom), -e) for atom, e in mono if e < 0]
        size = rational(abs(c))
        over = multiply(([] if size == 1 and top else [number(size)]) + top)
        terms.append((1 if c > 0 else -1, divide(over, multiply(bottom)) if bottom else over))
    return add(terms)


def number_tree(x: Any) -> Tree:
    """A plain number, negative ones too."""
    c = rational(x)
    return number(c) if c >= 0 else add([(-1, number(-c))])


def literal(op: Primitive, parts: tuple[Tree, ...], options: dict[str, Any]) -> Tree:
    """One operation as a tree."""
    write = _LITERAL.get(op.name)
    if write is not None:
        return write(parts, options)
    return call(op, parts, options)


def _unrepeated(tree: Tree, other: Tree) -> Tree:
    repeats = tree.kind == "call" and tree.value[0] is shaping.broadcast_to
    bare = repeats and tree.parts[0].scalar and tuple(other.shape) == tuple(tree.shape)
    return tree.parts[0] if bare else tree


def _product(parts: tuple[Tree, ...], options: dict[str, Any]) -> Tree:
    """Factors on the left are taken in; a number need not be repeated for each entry."""
    x, y = parts
    x = _unrepeated(x, y)
    parts = x, _unrepeated(y, x)  # of two numbers that are repeated, one stays so
    left = parts[0].parts if parts[0].kind == "multiply" else (parts[0],)
    vector, row = column(parts[0]), _row(parts[1])
    if vector is not None and row is not None:
        return call(OUTER, (vector, row), {})
    return multiply([*left, parts[1]])


def _indexed(op: Primitive) -> Callable[[tuple[Tree, ...], dict[str, Any]], Tree]:
    """Indexing or its inverse, of a diagonal as that."""

    def write(parts: tuple[Tree, ...], options: dict[str, Any]) -> Tree:
        large = options.get("shape", parts[0].shape)
        return (
            call(DIAG, parts, {})
            if is_diagonal(options["index"], large)
            else call(op, parts, options)
        )

    return write


def _constant_power(parts: tuple[Tree, ...], options: dict[str, Any]) -> Tree:
    n = rational(options["n"])
    if n == HALF:
        return Tree("power", parts, parts[0].shape, n, 3)
    return power(parts[0], n)


def _reshaped(parts: tuple[Tree, ...], options: dict[str, Any]) -> Tree:
    [x], shape = parts, lengths(options["shape"])
    if tuple(shaping.reshape.shape_rule(x.shape, shape=shape)) == tuple(x.shape):
        return x
    return reshape(x, shape)


def _transposed(parts: tuple[Tree, ...], options: dict[str, Any]) -> Tree:
    [x] = parts
    return transpose(x, options.get("axes")) if len(x.shape) > 1 else x


def _summed_to(x: Tree, shape: Shape) -> Tree:
    """Broadcasting undone."""
    lead, kept = shaping.summed_axes(x.shape, shape)
    total = reduced(x, lead + kept, keepdims=bool(kept)) if lead + kept else x
    return total if total.shape == shape else call(shaping.reshape, (total,), {"shape": shape})


def _signed(parts: list[tuple[int, Tree]]) -> Tree:
    """A sum in the order given, sums on the left taken in."""
    (sign, first), *rest = parts
    flat = (
        list(zip(first.value, first.parts)) if sign > 0 and first.kind == "add" else [(sign, first)]
    )
    return signed([*flat, *rest])


def _negative(tree: Tree) -> Tree:
    """Minus a tree; of minus something that itself."""
    if tree.kind == "add" and tree.value == (-1,):
        return tree.parts[0]
    return signed([(-1, tree)])


_LITERAL: dict[str, Callable[[tuple[Tree, ...], dict[str, Any]], Tree]] = {
    "getitem": _indexed(shaping.getitem),
    "scatter": _indexed(shaping.scatter),
    "add": lambda parts, options: _signed([(1, parts[0]), (1, parts[1])]),
    "subtract": lambda parts, options: _signed([(1, parts[0]), (-1, parts[1])]),
    "negative": lambda parts, options: _negative(parts[0]),
    "positive": lambda parts, options: parts[0],
    "multiply": _product,
    "divide": lambda parts, options: divide(*parts),
    "power_constant": _constant_power,
    "matmul": lambda parts, options: matmul(*parts),
    "transpose": _transposed,
    "reshape": _reshaped,
    "where": lambda parts, options: where(*parts),
    "sum_to": lambda parts, options: _summed_to(parts[0], options["shape"]),
}
