"""How terms are written: names, operations, and products with their factors in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_edu.core.ops import linalg, reductions, shaping
from tinygrad_edu.core.ops.table import TABLE
from tinygrad_edu.core.primitive import Primitive, Shape
from tinygrad_edu.rules.expression import Algebra
from tinygrad_edu.rules.indices import DIAG, EYE, ONE_HOT, described
from tinygrad_edu.rules.poly import Atom, Monomial, Number, Poly, rational, strip
from tinygrad_edu.rules.relations import pick_of
from tinygrad_edu.rules.trees import (
    OUTER,
    Tree,
    add,
    as_column,
    call,
    column,
    divide,
    matmul,
    multiply,
    name,
    number,
    power,
    reduced,
    reshape,
    shaped,
    transpose,
)

MIRRORED = {
    "greater": "less", "greater_equal": "less_equal", "equal": "equal", "not_equal": "not_equal",
}  # fmt: skip


class Terms(ABC):
    """Writes terms; remembers the atoms it has written.

    In a product gradients come before what was given, and that before what was computed.
    """

    def __init__(
        self,
        algebra: Algebra,
        is_gradient: Callable[[Atom], bool] = lambda atom: False,
        is_given: Callable[[Atom], bool] = lambda atom: False,
    ) -> None:
        self.algebra = algebra
        self.is_gradient = is_gradient
        self.is_given = is_given
        self.averaged: frozenset[Poly] = frozenset()
        self._atoms: dict[Atom, Tree] = {}

    @abstractmethod
    def arrange(self, poly: Poly) -> Tree:
        """The cheapest way to write `poly` found."""

    def plain(self, poly: Poly) -> Tree:
        """The flat sum: what is written when there is no work left to look for better."""
        if not poly.terms:
            return number(0)
        terms = sorted(poly.terms.items(), key=self._term_rank)
        return add([(1 if c > 0 else -1, self._term(mono, c)) for mono, c in terms])

    def _term(self, mono: Monomial, c: Number) -> Tree:
        return self.product(*self._factors(mono, c))

    def _term_rank(self, term: tuple[Monomial, Number]) -> Any:
        mono, _ = term
        rank = 3
        if not mono:
            rank = 0
        for atom, _e in mono:
            if atom.op is linalg.matmul:
                rank = min(rank, 1)
            elif atom.is_name and self.is_gradient(atom):
                rank = min(rank, 2)
        sums = sum(atom.op is reductions.sum for atom, _ in mono)
        return rank, sums, len(mono) if sums else 0, [(atom.id, e) for atom, e in mono]

    # --- atoms -----------------------------------------------------------------------------------

    def atom(self, atom: Atom) -> Tree:
        """How an atom is written."""
        tree = self._atoms.get(atom)
        if tree is None:
            tree = self._atoms[atom] = self._atom(atom)
        return tree

    def _atom(self, atom: Atom) -> Tree:
        op, options = atom.op, atom.options
        if atom.is_name:
            return name(atom)
        if op is None:
            return self.arrange(atom.args[0])
        if op is reductions.sum:
            return self._reduced(atom)
        if op is shaping.reshape and (total := self._without_axes(atom)) is not None:
            return total
        trees = [self.arrange(p) for p in atom.args]
        if "elementwise" not in op.traits and trees:
            trees = [shaped(tree, s) for tree, s in zip(trees, options["shapes"])]
        return self._operation(op, trees, options)

    def _operation(self, op: Primitive, trees: list[Tree], options: dict[str, Any]) -> Tree:
        """An operation on what is written down already."""
        if op is linalg.matmul:
            return matmul(*trees)
        if op is shaping.transpose:
            return transpose(trees[0], options["axes"])
        given = {key: value for key, value in options.items() if key != "shapes"}
        if op is shaping.reshape:
            return reshape(trees[0], given["shape"])
        if op.name in MIRRORED and trees[0].kind == "number":  # Z > 0, not 0 < Z
            return call(TABLE[MIRRORED[op.name]], (trees[1], trees[0]), given)
        if op is shaping.getitem:
            given["index"] = _open_ended(given["index"], options["shapes"][0])
        return call(op, tuple(trees), given)

    def _without_axes(self, atom: Atom) -> Tree | None:
        """A reshaped sum as one whose summed axes do not stay, where that is its shape."""
        inner = atom.args[0].atom
        if inner is None or inner.op is not reductions.sum:
            return None
        if (picked := self._picked(inner)) is not None:
            return picked if strip(picked.shape) == strip(atom.options["shape"]) else None
        tree = self._reduced(inner)
        gone = reduced(tree.parts[0], tree.value[0], keepdims=False)
        return gone if strip(gone.shape) == strip(atom.options["shape"]) else None

    def _picked(self, total: Atom) -> Tree | None:
        """A sum of products with one-hot labels as the entries that these pick; None if it is none
        of a whole matrix."""
        labels, entries = pick_of(total) or (None, self.algebra.one)
        if labels is None or labels.op is not ONE_HOT or entries.shape != tuple(labels.shape):
            return None
        index, n = labels.options["index"], labels.shape
        if len(n) == 2:
            rows = n[1] if isinstance(index, tuple) else n[0]
            places = described(np.arange(rows), f"np.arange({rows})", size_of=rows)
            index = (index[1], places) if isinstance(index, tuple) else (places, index)
        return call(shaping.getitem, (shaped(self.arrange(entries), n),), {"index": index})

    def _reduced(self, atom: Atom, kind: str = "sum") -> Tree:
        if kind == "sum" and (picked := self._picked(atom)) is not None:
            rows = atom.options["axes"] == (-1,) and picked.shape
            return as_column(picked) if rows else picked
        axes, full = atom.options["axes"], atom.args[0].full
        ndim = len(full)
        # Nothing but axes of length 1 before the last one summed: they need not stay.
        free = all(a in axes or full[a] == 1 for a in range(-ndim, max(axes)))
        places = tuple(sorted(axis + ndim for axis in axes))
        return reduced(shaped(self.arrange(atom.args[0]), full), places, not free, free, kind)

    # --- products --------------------------------------------------------------------------------

    def _factors(self, mono: Monomial, c: Number) -> tuple[list[Tree], list[Tree]]:
        """Numerator and denominator of a term; the sign of c is left to the sum around it."""
        top: list[Tree] = []
        bottom: list[Tree] = []
        f = c if c > 0 else -c
        ends = 10**6 % f.denominator == 0  # as a decimal
        simple = f.denominator == 1 or (f.numerator == 1 and f.denominator in (2, 4, 8))
        if not mono or f.denominator > 100 or (ends and not simple):
            top.append(number(rational(f)))
        else:
            if f.numerator != 1:
                top.append(number(f.numerator))
            if f.denominator != 1:
                bottom.append(number(f.denominator))
        mono, means = self._means(mono)
        top += means
        for atom, e in mono:
            if atom.op is TABLE["exp"]:  # eᶻ to a power is e to a multiple of z
                top.append(call(TABLE["exp"], (self.arrange(atom.args[0].scaled(e)),), {}))
            elif e > 0:
                top.append(power(self.atom(atom), e))
            else:
                bottom.append(power(self.atom(atom), -e))
        return top, bottom

    def _means(self, mono: Monomial) -> tuple[Monomial, list[Tree]]:
        """The sums of a product that are means with its divisors, and what is left of it."""
        powers, means = dict(mono), []
        for atom, e in mono:
            if atom.op is not reductions.sum or e != 1:
                continue
            lengths = [
                getattr(atom.args[0].full[axis], "symbol", None) for axis in atom.options["axes"]
            ]
            down = [n.atom for n in lengths if n in self.averaged and n.atom is not None]
            left = dict(powers)
            for n in down:
                left[n] = left.get(n, 0) + 1
            if len(down) == len(lengths) and all(left[n] <= 0 and n in powers for n in down):
                del left[atom]
                powers = {a: k for a, k in left.items() if k}
                means.append(self._reduced(atom, "mean"))
        return tuple(powers.items()), means

    def product(self, top: Iterable[Tree], bottom: Iterable[Tree]) -> Tree:
        """Factors in the order one would write them, over their denominators."""
        tops: list[Tree] = []
        bottoms = list(bottom)
        for tree in top:
            if tree.kind == "divide":
                bottoms.append(tree.parts[1])
                tree = tree.parts[0]
            tops.extend(tree.parts if tree.kind == "multiply" else (tree,))
        downs = [
            part
            for tree in bottoms
            for part in (tree.parts if tree.kind == "multiply" else (tree,))
        ]
        tops = [tree for tree in tops if tree.kind != "number" or tree.value != 1]
        tops.sort(key=self._rank)
        downs.sort(key=self._rank)
        if any(tree.kind == "call" and tree.value[0] is EYE for tree in tops):
            tops, downs = self._on_diagonal(tops, downs)
        over = multiply(self._outer(tops)) if tops else number(1)
        return divide(over, multiply(downs)) if downs else over

    def _on_diagonal(self, tops: list[Tree], downs: list[Tree]) -> tuple[list[Tree], list[Tree]]:
        """What the identity matrix is multiplied and divided by row by row, put on its diagonal."""
        over, under = ({i: column(tree) for i, tree in enumerate(x)} for x in (tops, downs))
        up = [vector for vector in over.values() if vector is not None]
        down = [vector for vector in under.values() if vector is not None]
        if not up and not down:
            return tops, downs
        vector = multiply(up) if up else number(1)
        diagonal = call(DIAG, (divide(vector, multiply(down)) if down else vector,), {})
        rest = [
            tree for i, tree in enumerate(tops)
            if over[i] is None and not (tree.kind == "call" and tree.value[0] is EYE)
        ]  # fmt: skip
        return [*rest, diagonal], [tree for i, tree in enumerate(downs) if under[i] is None]

    def _outer(self, tops: list[Tree]) -> list[Tree]:
        """Columns beside rows as one product of two vectors; several columns as one."""
        vectors = {i: v for i, tree in enumerate(tops) if (v := column(tree)) is not None}
        if not vectors:
            return tops
        rows = [i for i, tree in enumerate(tops) if len(strip(tree.shape)) == 1 == len(tree.shape)]
        matrices = any(
            not tree.scalar and i not in vectors and i not in rows for i, tree in enumerate(tops)
        )
        if matrices or (not rows and len(vectors) < 2):
            return tops
        product = multiply([vectors[i] for i in vectors])
        if rows:
            product = call(OUTER, (product, multiply([tops[i] for i in rows])), {})
        else:
            product = as_column(product)
        others = [tree for i, tree in enumerate(tops) if i not in vectors and i not in rows]
        return sorted([*others, product], key=self._rank)

    def _rank(self, tree: Tree) -> Any:
        kind = tree.kind
        if kind == "number":
            return 0
        if kind == "matmul":
            return 1
        if kind == "name":
            atom = tree.value
            if atom.mask or self.is_gradient(atom):
                return 5 if atom.mask else 2
            return 3.2 if atom.constant else 3.4 if self.is_given(atom) else 3.5
        if kind == "power":  # of a given number it goes with these: 2 lam² W
            base = tree.parts[0]
            return 3.2 if base.kind == "name" and base.value.constant else 3.6
        if kind == "add":
            constant = any(part.kind == "number" for part in tree.parts)
            return 4 if constant else 3
        chooses = kind == "where" or (kind == "call" and "compares" in tree.value[0].traits)
        return 5 if chooses else 3.8


def _open_ended(index: Any, shape: Shape) -> Any:
    """An index as one writes it: ``[:3]``, ``[3:]``."""
    parts = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(part, slice) for part in parts):
        return index
    new = tuple(
        slice(part.start or None, None if part.stop == n else part.stop, part.step)
        if part.step in (None, 1) else part
        for part, n in zip(parts, shape)
    )  # fmt: skip
    return new if isinstance(index, tuple) else new[0]
