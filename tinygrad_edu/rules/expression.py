"""The algebra of a derivation: what each operation makes of formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from tinygrad_edu.core.ops import arithmetic, elementwise, linalg, reductions, shaping
from tinygrad_edu.core.ops.table import TABLE
from tinygrad_edu.core.primitive import Primitive, Shape
from tinygrad_edu.rules.formula import Formula
from tinygrad_edu.rules.indices import (
    DIAG,
    EYE,
    ONE_HOT,
    is_diagonal,
    is_whole,
    parts_of,
    picked,
    put_in,
    without_new_axes,
)
from tinygrad_edu.rules.poly import Atom, Poly, broadcast, rational, strip
from tinygrad_edu.rules.sizes import Size, lengths
from tinygrad_edu.rules.tensors import Tensors

#: Known by what they are rather than by their definition; the rest is expanded by it.
KEPT_WHOLE = {"tanh"}


class Algebra(Tensors):
    """The operations on formulas, each in normal form: one for each derivation."""

    def single(self, p: Poly) -> Formula:
        """A single number as a formula."""
        return Formula(self, p, ())

    def apply(self, op: Primitive, xs: list[Formula], options: dict[str, Any]) -> Formula:
        """An operation on formulas."""
        handle = _HANDLERS.get(op.name)
        if self.careful and op is arithmetic.where:
            handle = None
        if handle is not None and TABLE.get(op.name) is op:
            return handle(self, xs, options)
        if op is DIAG:
            return _diagonal(self, xs[0])
        opened = "opened" in op.traits or (op.name not in KEPT_WHOLE and not self.careful)
        if op.definition is not None and opened:
            return op.definition(*xs, **options)  # type: ignore[no-any-return]
        return _opaque(self, op, xs, options)

    def rebuild(self, atom: Atom, args: tuple[Poly, ...]) -> Poly:
        """The same operation on other formulas of the same shapes, in normal form."""
        op, options = atom.op, atom.options
        if op is None:
            return args[0]
        if op is elementwise.exp:
            return self.exp(args[0])
        if op is reductions.sum:
            return self.sum(args[0], atom.args[0].shape, options["axes"])
        if op is linalg.matmul:
            x, y = (Formula(self, p, s) for p, s in zip(args, options["shapes"]))
            return self.matmul(x, y)
        if op is shaping.transpose:
            return self.transpose(Formula(self, args[0], options["shapes"][0]), options["axes"])
        if op is shaping.reshape:
            return self.reshape(Formula(self, args[0], options["shapes"][0]), options["shape"])
        if "compares" in op.traits:
            return self.compare(op, *args)
        if "shapes" in options:
            formulas = tuple(Formula(self, p, s) for p, s in zip(args, options["shapes"]))
            given = {key: value for key, value in options.items() if key != "shapes"}
            return Formula._apply(op, formulas, given).poly
        return self.call(op, args, options, atom.shape)


def _clip(x: Any, low: Any, high: Any) -> Any:
    return np.clip(x, low, high)


#: What is cut off at two formulas; `TABLE`'s clip takes plain numbers.
CLIP = Primitive(
    _clip, (None,) * 3, traits={"elementwise", "exact", "kinked"}, numpy="np.clip({0}, {1}, {2})",
    latex=r"\operatorname{{clip}}\left({0}, {1}, {2}\right)",
)  # fmt: skip
CLIP.name = "clip"


def _opaque(algebra: Algebra, op: Primitive, xs: list[Formula], options: dict[str, Any]) -> Formula:
    """An operation as an atom, constant factors taken out where it is linear."""
    shapes = tuple(x.shape for x in xs)
    shape = op.shape_rule(*shapes, **options)
    c, polys = algebra.one, tuple(x.poly for x in xs)
    if "linear" in op.traits and len(xs) == 1:
        c, p = algebra.scalars(xs[0])
        if not p.terms:
            return Formula(algebra, p, shape)
        polys = (p,)
    if "elementwise" in op.traits:
        own = broadcast([p.shape for p in polys])
    else:
        own, polys = shape, tuple(algebra.filled(p, s) for p, s in zip(polys, shapes))
    return Formula(algebra, c * algebra.call(op, polys, {**options, "shapes": shapes}, own), shape)


def _binary(combine: Callable[[Poly, Poly], Poly]) -> Callable[..., Formula]:
    def handle(algebra: Algebra, xs: list[Formula], options: dict[str, Any]) -> Formula:
        x, y = xs
        return Formula(algebra, combine(x.poly, y.poly), broadcast((x.shape, y.shape)))

    return handle


def _unary(change: Callable[[Poly], Poly]) -> Callable[..., Formula]:
    return lambda algebra, xs, options: Formula(algebra, change(xs[0].poly), xs[0].shape)


def _power_constant(algebra: Algebra, xs: list[Formula], options: dict[str, Any]) -> Formula:
    return Formula(algebra, xs[0].poly ** rational(options["n"]), xs[0].shape)


def _sum(algebra: Algebra, xs: list[Formula], options: dict[str, Any]) -> Formula:
    [x] = xs
    n = len(x.shape)
    axes = reductions.axes_of(n, options.get("axis"))
    total = algebra.sum(x.poly, x.shape, [a - n for a in axes])
    kept = reductions.reduced_shape(x.shape, axis=axes, keepdims=True)
    result = Formula(algebra, total, kept)
    if options.get("keepdims"):
        return result
    shape = reductions.reduced_shape(x.shape, axis=axes)
    return Formula(algebra, algebra.reshape(result, shape), shape)


def _sum_to(algebra: Algebra, xs: list[Formula], options: dict[str, Any]) -> Formula:
    [x], small = xs, options["shape"]
    n = len(x.shape)
    lead, kept = shaping.summed_axes(x.shape, small)
    return Formula(algebra, algebra.sum(x.poly, x.shape, [a - n for a in lead + kept]), small)


def _where(algebra: Algebra, xs: list[Formula], options: dict[str, Any]) -> Formula:
    condition, x, y = xs
    mask = algebra.compare(arithmetic.not_equal, condition.poly, algebra.zero)
    poly = mask * x.poly + (algebra.one - mask) * y.poly
    return Formula(algebra, poly, broadcast(s.shape for s in xs))


def _reshape(algebra: Algebra, xs: list[Formula], options: dict[str, Any]) -> Formula:
    given = lengths(options["shape"])
    shape = shaping._reshaped(xs[0].shape, shape=given)
    shape = tuple(n if isinstance(n, Size) else s for n, s in zip(given, shape))
    return Formula(algebra, algebra.reshape(xs[0], shape), shape)


def _indexing(op: Primitive) -> Callable[..., Formula]:
    """Indexing, or its inverse; of everything it is nothing."""

    def handle(algebra: Algebra, xs: list[Formula], options: dict[str, Any]) -> Formula:
        [x], index = xs, options["index"]
        shape = op.shape_rule(x.shape, **options)
        parts = parts_of(index)
        large, small = (x.shape, shape) if op is shaping.getitem else (shape, x.shape)
        if not large and math.prod(small) == 1:  # a number has no parts
            return Formula(algebra, algebra.reshape(x, shape), shape)
        if all(isinstance(p, slice) for p in parts) and all(
            p.indices(int(n)) == (0, n, 1) for p, n in zip(parts, large)
        ):
            return Formula(algebra, x.poly, large)
        bare = without_new_axes(index, len(large))
        if bare is not None:
            return _with_new_axes(algebra, op, x, options, bare)
        if is_diagonal(index, large):
            return _on_diagonal(algebra, op, x, large)
        label = picked(index, large)
        if label is not None:
            return _picking(algebra, op, x, large, *label)
        return _opaque(algebra, op, xs, options)

    return handle


def _on_diagonal(algebra: Algebra, op: Primitive, x: Formula, large: Shape) -> Formula:
    """The diagonal of a matrix; numbers put there are a column times the identity matrix."""
    if op is shaping.scatter:
        eye = algebra.call(EYE, (), {"n": large[0]}, large)
        return Formula(algebra, eye * algebra.reshape(x, (large[0], 1)), large)
    return _diagonal(algebra, x)


def _diagonal(algebra: Algebra, x: Formula) -> Formula:
    """The diagonal of a matrix; of a product columns and rows leave it, as vectors."""
    n, poly = x.shape[0], x.poly
    if len(poly.terms) != 1 or len(x.shape) != 2:
        return _opaque(algebra, DIAG, [x], {})
    [(mono, c)] = poly.terms.items()
    inside, outside = [], algebra.number(c)
    for atom, e in mono:
        column = strip(atom.shape) == (n, 1)
        if len(strip(atom.shape)) == 2 and not column:
            inside.append((atom, e))
        else:
            factor = Formula(algebra, algebra.of(atom, e), (n, 1) if column else (n,))
            outside = outside * algebra.reshape(factor, (n,))
    if inside:
        bare = Formula(algebra, algebra.poly({tuple(inside): 1}), x.shape)
        outside = outside * _opaque(algebra, DIAG, [bare], {}).poly
    return Formula(algebra, outside, (n,))


def _with_new_axes(
    algebra: Algebra, op: Primitive, x: Formula, options: dict[str, Any], bare: tuple[Any, ...]
) -> Formula:
    """An index with ``None`` in it: one without, and a reshape; of ``:`` beside, a reshape only."""
    large = x.shape if op is shaping.getitem else tuple(options["shape"])
    if op is shaping.getitem:
        inner = x
        if not all(is_whole(part) or part is Ellipsis for part in bare):
            inner = op(x, index=bare)
        new = put_in(options["index"], _taken(large, bare))
        return Formula(algebra, algebra.reshape(inner, new), new)
    small = _taken(large, bare)
    inner = Formula(algebra, algebra.reshape(x, small), small)
    if all(is_whole(part) or part is Ellipsis for part in bare):
        return Formula(algebra, inner.poly, large)
    return op(inner, index=bare, shape=large)  # type: ignore[no-any-return]


def _taken(shape: Shape, index: Any) -> Shape:
    """The shape that an index gives, lengths of whole axes by what they are called."""
    found = list(shaping.getitem.shape_rule(shape, index=index))
    parts = parts_of(index)
    front = parts[: parts.index(Ellipsis)] if Ellipsis in parts else parts
    place = 0
    for n, part in zip(shape, front):
        if is_whole(part):
            found[place] = n
        place += isinstance(part, slice)
    rest = 0 if Ellipsis in parts else len(shape) - len(parts)
    if rest:
        found[-rest:] = shape[-rest:]
    return tuple(found)


def _picking(
    algebra: Algebra, op: Primitive, x: Formula, large: Shape, axis: int, labels: Any
) -> Formula:
    """One entry of each row: the sum of its products with the one-hot labels; the other way round
    the entry times these."""
    index = (slice(None), labels) if axis == 0 and len(large) > 1 else labels
    one_hot = algebra.call(ONE_HOT, (), {"n": large[axis], "index": index}, large)
    kept = tuple(1 if i == axis else n for i, n in enumerate(large))
    small = tuple(n for i, n in enumerate(large) if i != axis)
    if op is shaping.getitem:
        total = algebra.sum(one_hot * x.poly, large, [axis - len(large)])
        return Formula(algebra, algebra.reshape(Formula(algebra, total, kept), small), small)
    return Formula(algebra, one_hot * algebra.reshape(x, kept), large)


def _comparison(op: Primitive) -> Callable[..., Formula]:
    return lambda algebra, xs, options: Formula(
        algebra, algebra.compare(op, xs[0].poly, xs[1].poly), broadcast((xs[0].shape, xs[1].shape))
    )


_HANDLERS: dict[str, Callable[[Algebra, list[Formula], dict[str, Any]], Formula]] = {
    "add": lambda algebra, xs, options: xs[0].plus(xs[1]),
    "subtract": _binary(lambda x, y: x - y),
    "multiply": _binary(lambda x, y: x * y),
    "divide": _binary(lambda x, y: x * y**-1),
    "negative": _unary(lambda x: x.scaled(-1)),
    "positive": _unary(lambda x: x),
    "power_constant": _power_constant,
    "sqrt": _unary(lambda x: x ** Fraction(1, 2)),
    "exp": lambda algebra, xs, options: Formula(algebra, algebra.exp(xs[0].poly), xs[0].shape),
    "where": _where,
    "sum": _sum,
    "sum_to": _sum_to,
    "broadcast_to": lambda algebra, xs, options: Formula(
        algebra, xs[0].poly, tuple(options["shape"])
    ),
    "reshape": _reshape,
    "getitem": _indexing(shaping.getitem),
    "scatter": _indexing(shaping.scatter),
    "transpose": lambda algebra, xs, options: Formula(
        algebra,
        algebra.transpose(xs[0], options.get("axes")),
        shaping.transpose.shape_rule(xs[0].shape, axes=options.get("axes")),
    ),
    "matmul": lambda algebra, xs, options: Formula(
        algebra,
        algebra.matmul(*xs),
        linalg.matmul.shape_rule(xs[0].shape, xs[1].shape),
    ),
    **{name: _comparison(op) for name, op in TABLE.items() if "compares" in op.traits},
}
