"""Tensor operations on the ring: sums over axes, products, transposes, other shapes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_edu.core.ops import arithmetic, elementwise, linalg, reductions, shaping
from tinygrad_edu.core.primitive import Primitive, Shape
from tinygrad_edu.rules.formula import Formula
from tinygrad_edu.rules.indices import EYE
from tinygrad_edu.rules.poly import (
    Atom,
    Monomial,
    Number,
    Poly,
    broadcast,
    ratio,
    strip,
    term_order,
    varies,
)
from tinygrad_edu.rules.ring import Ring


def _ones(shape: Any) -> Any:
    return np.ones(shape)


#: Ones where a matrix product needs them written out.
ONES = Primitive(
    _ones, (), shape=lambda *, shape: tuple(shape), numpy="np.ones({shape})", latex=r"\mathbf{{1}}"
)
ONES.name = "ones"


def _is_eye(p: Poly) -> bool:
    return p.atom is not None and p.atom.op is EYE


def _repeat(x: Any, n: Any, axis: Any) -> Any:
    return np.repeat(x, n, axis=axis)


#: Each entry along an axis so many times.
REPEAT = Primitive(
    _repeat, (None,), traits={"linear", "exact"},
    shape=lambda x, *, n, axis: tuple(k * n if i == axis else k for i, k in enumerate(x)),
    numpy="np.repeat({0}, {n}, axis={axis})",
    latex=r"\operatorname{{repeat}}\left({0}, {n}, {axis}\right)",
)  # fmt: skip
REPEAT.name = "repeat"


def _as_many(x: Iterable[int], y: Iterable[int]) -> bool:
    """Do two shapes have room for as many numbers?"""
    return math.prod(map(int, x)) == math.prod(map(int, y))


class Tensors(Ring):
    """The ring with operations that look at axes; a result has a shape beside its polynomial."""

    def call(
        self, op: Primitive, args: tuple[Poly, ...], options: dict[str, Any], shape: Shape
    ) -> Poly:
        """An operation the algebra does not look into."""
        return self.of(self._atom(op, args, options, shape))

    def exp(self, u: Poly) -> Poly:
        """``exp(u)``; ``exp(c u)`` is kept as ``exp(u)**c``: e⁻ᶻ and e²ᶻ are powers of eᶻ."""
        if not u.terms:
            return self.one
        for mono, c in u.terms.items():  # exp(x + c log y) = exp(x) y**c
            if self.careful:
                break
            if len(mono) == 1 and mono[0][1] == 1 and mono[0][0].op is elementwise.log:
                rest = self.exp(u - self.poly({mono: c}))
                return rest * self.power(mono[0][0].args[0], c)
        lead = u.terms[min(u.terms, key=term_order)]
        return self.power(
            self.call(elementwise.exp, (u.scaled(ratio(1, lead)),), {}, u.shape), lead
        )

    def compare(self, op: Primitive, x: Poly, y: Poly) -> Poly:
        """A mask; ``x < y`` is written ``y > x``."""
        if op in (arithmetic.less, arithmetic.less_equal):
            op = arithmetic.greater if op is arithmetic.less else arithmetic.greater_equal
            x, y = y, x
        if x is y:
            return self.one if op in (arithmetic.greater_equal, arithmetic.equal) else self.zero
        if x.value is not None and y.value is not None:
            return self.number(float(op(float(x.value), float(y.value))))
        if x.value == 0 and op is arithmetic.not_equal and y.atom and y.atom.mask:
            return y
        if y.value == 0 and op is arithmetic.not_equal and x.atom and x.atom.mask:
            return x
        return self.call(op, (x, y), {}, broadcast((x.shape, y.shape)))

    def sum(self, p: Poly, shape: Shape, axes: Iterable[int]) -> Poly:
        """The sum over axes of something of this shape, the axes counted from the right and kept.

        Constant factors leave the sum; along an axis where nothing varies it is a multiplication by
        the length of that axis.
        """
        axes = [axis for axis in axes if len(shape) >= -axis and shape[axis] != 1]
        found: list[Poly] = []
        if self.careful:
            p = self.whole(p)
        for mono, c in p.terms.items():
            inside = tuple(f for f in mono if any(varies(f[0].shape, axis) for axis in axes))
            outside = tuple(f for f in mono if f not in inside)
            varying = broadcast(atom.shape for atom, _ in inside)
            over = tuple(axis for axis in axes if varies(varying, axis))
            term = self.poly({outside: c})
            for axis in axes:
                if axis not in over:
                    term = term * self.number(shape[axis])
            if over:
                term = term * self._sum_atom(inside, varying, over)
            found.append(term)
        return self.total(found)

    def _sum_atom(self, inside: Monomial, shape: Shape, over: tuple[int, ...]) -> Poly:
        if len(inside) == 1 and inside[0][1] == 1 and inside[0][0].op is reductions.sum:
            inner = inside[0][0]
            return self.sum_whole(inner.args[0], tuple(sorted({*over, *inner.options["axes"]})))
        if len(inside) == 1 and (whole := self._sum_of_sum(inside[0], over)) is not None:
            return whole
        product = (
            None if over == (-1,) and len(shape) > 1 else self._contracted(inside, shape, over)
        )
        return self.sum_whole(self.poly({inside: 1}), over) if product is None else product

    def _sum_of_sum(self, factor: tuple[Atom, Number], over: tuple[int, ...]) -> Poly | None:
        """A sum of a sum whose axes did not stay, as one sum over both; None where it is none."""
        atom, e = factor
        inner = atom.args[0].atom if atom.op is shaping.reshape and e == 1 else None
        if inner is None or inner.op is not reductions.sum:
            return None
        full = inner.args[0].full
        gone = {axis % len(full) for axis in inner.options["axes"]}
        kept = [i for i in range(len(full)) if i not in gone]
        shape = atom.options["shape"]
        if tuple(full[i] for i in kept) != tuple(shape):
            return None
        more = {kept[axis] for axis in over}
        axes = tuple(sorted(i - len(full) for i in gone | more))
        total = self.sum_whole(inner.args[0], axes)
        old = tuple(1 if i in gone | more else n for i, n in enumerate(full))
        new = tuple(1 if i - len(shape) in over else n for i, n in enumerate(shape))
        return self.reshape(Formula(self, total, old), new)

    def _contracted(self, inside: Monomial, shape: Shape, over: tuple[int, ...]) -> Poly | None:
        """Where a vector multiplies what is summed along its own axis, the sum is a product:
        ``Σ X ∗ w`` over rows is ``Xᵀ @ w``, of two vectors ``u @ v``; over columns ``X @ w``, which
        is written so where the axis does not stay."""
        [axis, *more] = over
        n = shape[axis]
        if more or axis < -2 or (axis == -2 and len(shape) != 2):
            return None
        vectors = {f: v for f in inside if (v := self._vector(f, axis, n)) is not None}
        rest = tuple(f for f in inside if f not in vectors)
        if len(shape) == 1:
            if len(inside) != 2 or any(e != 1 for _, e in inside):
                return None
            x, y = (Formula(self, self.of(atom), (n,)) for atom, _ in inside)
            return self.matmul(x, y)
        matrix = self.poly({rest: 1})
        if not vectors or matrix.shape != shape or any(e < 0 for _, e in inside):
            return None
        vector = self.one
        for v in vectors.values():
            vector = self.multiply(vector, v)
        x = Formula(self, matrix, shape)
        return self.matmul(x.T if axis == -2 else x, Formula(self, vector, (n,)))

    def _vector(self, factor: tuple[Atom, Number], axis: int, n: int) -> Poly | None:
        """A factor that varies along this axis alone, as a vector; None if it is none."""
        atom, e = factor
        if axis == -1 and strip(atom.shape) == (n,):
            return self.of(atom, e)
        if axis == -2 and strip(atom.shape) == (n, 1) and atom.op is shaping.reshape:
            inner = atom.args[0]
            return inner**e if inner.shape == (n,) else None
        return None

    def sum_whole(self, p: Poly, over: tuple[int, ...]) -> Poly:
        """A sum not taken apart term by term: of one term, or where it reads better whole."""
        kept = tuple(1 if i - len(p.full) in over else n for i, n in enumerate(p.full))
        return self.call(reductions.sum, (p,), {"axes": over}, kept)

    def matmul(self, x: Formula, y: Formula) -> Poly:
        """``x @ y``: numbers leave it, operands get the shape they must have."""
        (c, p), (d, q) = self.scalars(x), self.scalars(y)
        if not p.terms or not q.terms:
            return self.zero
        if _is_eye(p) or _is_eye(q):
            return c * d * (q if _is_eye(p) else p)
        if p.value is not None and len(x.shape) == 2:  # a matrix of equal numbers adds the rows up
            return c * d * p * self.sum(q, y.shape, [-min(2, len(y.shape))])
        if q.value is not None and len(y.shape) == 2 and len(x.shape) == 2:
            return c * d * q * self.sum(p, x.shape, [-1])
        if q.value is not None and len(y.shape) == 1 and len(x.shape) == 2:
            kept = Formula(self, self.sum(p, x.shape, [-1]), (x.shape[0], 1))
            return c * d * q * self.reshape(kept, (x.shape[0],))
        p, q = self.filled(p, x.shape), self.filled(q, y.shape)
        shapes = (x.shape, y.shape)
        product = linalg.matmul.shape_rule(*shapes)
        return c * d * self.call(linalg.matmul, (p, q), {"shapes": shapes}, product)

    def filled(self, p: Poly, shape: Shape) -> Poly:
        """`p` with ones multiplied in where its own shape is smaller than what it stands for."""
        if p.shape == strip(shape):
            return p
        return p * self.call(ONES, (), {"shape": shape}, shape)

    def scalars(self, x: Formula) -> tuple[Poly, Poly]:
        """``x = c * rest`` with the number and all factors that are single numbers in c."""
        p = x.poly
        if not p.terms:
            return self.one, p
        if len(p.terms) == 1:
            [(mono, c)] = p.terms.items()
            rest = self.one
        else:
            content, rest = self.content(p)
            [(mono, c)] = content.terms.items()
        single = tuple(f for f in mono if f[0].is_single)
        other = tuple(f for f in mono if not f[0].is_single)
        return self.poly({single: c}), self.poly({other: 1}) * rest

    def transpose(self, x: Formula, axes: Any) -> Poly:
        """Axes exchanged; a product's transpose is the product of the transposes, reversed."""
        if len(strip(x.shape)) == 0 or (axes is not None and list(axes) == list(range(len(axes)))):
            return x.poly
        c, p = self.scalars(x)
        atom = p.atom
        n = len(x.shape)
        if n < 2:
            return x.poly
        order = tuple(range(n))[::-1] if axes is None else tuple(int(a) % n for a in axes)
        if atom is not None and atom.op is shaping.transpose:  # one after another is one
            [before], inner = atom.options["shapes"], atom.options["axes"]
            first = tuple(range(n))[::-1] if inner is None else tuple(int(a) % n for a in inner)
            both = tuple(first[a] for a in order)
            return c * self.transpose(Formula(self, atom.args[0], before), both)
        if atom is not None and atom.op is linalg.matmul:
            flipped = (*range(n - 2), n - 1, n - 2)
            a, b = (Formula(self, p, s) for p, s in zip(atom.args, atom.options["shapes"]))
            if order == flipped and len(a.shape) == len(b.shape) == n:
                return c * self.matmul(self._flipped(b), self._flipped(a))
        if p.value is not None or (atom is not None and atom.op is EYE):
            return c * p
        axes = None if order == tuple(range(n))[::-1] else order
        shape = shaping.transpose.shape_rule(x.shape, axes=axes)
        if (
            atom is not None
            and atom.op is shaping.reshape
            and sum(size != 1 for size in x.shape) == 1
        ):
            return c * self.reshape(Formula(self, p, x.shape), shape)
        return c * self.call(
            shaping.transpose,
            (self.filled(p, x.shape),),
            {"axes": axes, "shapes": (x.shape,)},
            shape,
        )

    def _flipped(self, x: Formula) -> Formula:
        """The transpose of each matrix of a batch."""
        n = len(x.shape)
        shape = (*x.shape[:-2], x.shape[-1], x.shape[-2])
        return Formula(self, self.transpose(x, (*range(n - 2), n - 1, n - 2)), shape)

    def reshape(self, x: Formula, shape: Shape) -> Poly:
        """Another shape; leading ones make no difference, moved ones are moved atom by atom."""
        if strip(x.shape) == strip(shape):
            return x.poly
        if [n for n in x.shape if n != 1] == [n for n in shape if n != 1]:
            return self._realigned(x, shape)
        c, p = self.scalars(x)
        if p.value is not None:
            return c * p
        atom = p.atom
        whole = atom is not None and math.prod(atom.shape) == math.prod(x.shape)  # not repeated
        if atom is not None and atom.op is shaping.reshape and whole:
            inner = Formula(self, atom.args[0], atom.options["shapes"][0])
            return c * self.reshape(inner, shape)
        repeated = self._repeated(p, x.shape, shape)
        if repeated is not None:
            return c * repeated
        p = self.filled(p, x.shape)
        return c * self.call(shaping.reshape, (p,), {"shape": shape, "shapes": (x.shape,)}, shape)

    def _repeated(self, p: Poly, old: Shape, new: Shape) -> Poly | None:
        """What is the same along an axis that is joined to the one before, with each of its entries
        repeated; None where another shape is more than that."""
        own = (1,) * (len(old) - len(p.full)) + tuple(p.full)
        pieces = _joined(old, new)
        small, times = [], []
        for axis, piece in enumerate(pieces or ()):
            same = [i for i in piece[1:] if own[i] == 1 != old[i]]
            if same != piece[1:] or (same and own[piece[0]] == 1):
                return None
            small.append(old[piece[0]])
            times += [(axis, old[i]) for i in same]
        if not times:
            return None
        bare = tuple(1 if own[i] == 1 else n for i, n in enumerate(old))
        found = Formula(self, self.reshape(Formula(self, p, bare), tuple(small)), tuple(small))
        for axis, n in times:
            found = Formula._apply(REPEAT, (found,), {"n": n, "axis": axis})  # n by its name
        return found.poly

    def _realigned(self, x: Formula, shape: Shape) -> Poly:
        """`x` with axes of length 1 put in or taken out."""
        full = [i for i, n in enumerate(x.shape) if n != 1]  # these axes go …
        target = [i for i, n in enumerate(shape) if n != 1]  # … there
        found: list[Poly] = []
        for mono, c in x.poly.terms.items():
            term = self.number(c)
            for atom, e in mono:
                old = (1,) * (len(x.shape) - len(atom.shape)) + tuple(atom.shape[-len(x.shape) :])
                new = [1] * len(shape)
                for i, j in zip(full, target):
                    new[j] = old[i]
                p = self.of(atom)
                if strip(old) != strip(tuple(new)):
                    if atom.op is shaping.reshape and strip(atom.options["shapes"][0]) == strip(
                        tuple(new)
                    ):
                        p = atom.args[0]
                    elif (product := self._without_last(atom, tuple(new))) is not None:
                        p = product
                    elif atom.op is shaping.reshape and _as_many(atom.options["shapes"][0], new):
                        options = {**atom.options, "shape": tuple(new)}
                        p = self.call(shaping.reshape, atom.args, options, tuple(new))
                    else:
                        p = self.call(
                            shaping.reshape,
                            (p,),
                            {"shape": tuple(new), "shapes": (old,)},
                            tuple(new),
                        )
                term = term * self.power(p, e)
            found.append(term)
        return self.total(found)

    def _without_last(self, total: Atom, shape: Shape) -> Poly | None:
        """A sum over the last axis as a product, where it is one and that axis does not stay."""
        if total.op is not reductions.sum or tuple(total.options["axes"]) != (-1,):
            return None
        inner = total.args[0]
        if len(inner.terms) != 1 or tuple(inner.shape[:-1]) != strip(shape):
            return None
        [(mono, c)] = inner.terms.items()
        product = self._contracted(mono, inner.shape, (-1,))
        return None if product is None else product.scaled(c)


def _joined(old: Shape, new: Shape) -> list[list[int]] | None:
    """Which axes of a shape, one after another, make each axis of another; None where some do not.

    >>> _joined((5, 3, 2), (5, 6))
    [[0], [1, 2]]
    """
    pieces, rest = [], list(range(len(old)))
    for n in new:
        piece = [rest.pop(0)] if rest else []
        while rest and math.prod(int(old[i]) for i in piece) < n:
            piece.append(rest.pop(0))
        if not piece or math.prod(int(old[i]) for i in piece) != n:
            return None
        pieces.append(piece)
    return None if rest else pieces
