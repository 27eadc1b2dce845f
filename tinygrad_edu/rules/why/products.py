"""Why a transposed matrix stands where it does: by indices, and on a small example written out."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core.ops import linalg, shaping
from tinygrad_edu.rules.trees import Tree, matmul, transpose
from tinygrad_edu.rules.why.data import Entry, Product

#: The size of the example: the gradient of the product is 2 × 3.
ROWS, COLUMNS, INNER = 2, 3, 2


def operands(node: Any, below: Any) -> tuple[int, bool] | None:
    """At which side of a product of two matrices a quantity stands, and whether transposed."""
    if node.op is not linalg.matmul or any(len(p.shape) != 2 for p in node.parents):
        return None
    for side, parent in enumerate(node.parents):
        turned = parent.op is shaping.transpose and parent.parents[0] is below
        if parent is below or (turned and len(below.shape) == 2):
            return side, parent is not below
    return None


def _turned(tree: Tree) -> Tree:
    """The transpose, of a transpose what was turned."""
    if tree.kind == "transpose" and tree.value is None:
        return tree.parts[0]
    return transpose(tree)


def _entry(of: str | Tree, indices: tuple[str, str]) -> Entry:
    """An entry; of a transpose the one at the indices exchanged."""
    if isinstance(of, Tree) and of.kind == "transpose" and of.value is None:
        return Entry(of.parts[0], (indices[1], indices[0]))
    return Entry(of, indices)


def explained(
    side: int, turned: bool, trees: tuple[Tree, Tree], below: str, dz: Tree, extent: Any
) -> Product | None:
    """The product by indices. `dz`: the gradient of the product, as it is written."""
    whole, other = matmul(*trees), trees[1 - side]
    places = (("i", "j"), ("j", "k"))
    mine, others = places[side], places[1 - side]
    summed = "i" if side else "k"
    own = (mine[1], mine[0]) if turned else mine
    sent = (_entry(other, others), _entry(dz, ("i", "k")))
    if not side:
        sent = (sent[1], sent[0])
    # dX = dZ Yᵀ and dY = Xᵀ dZ; of a transposed one the transpose of that.
    if side:
        written = matmul(transpose(dz), other) if turned else matmul(_turned(other), dz)
    else:
        written = matmul(other, transpose(dz)) if turned else matmul(dz, _turned(other))
    x, y = written.parts
    example = _example(side, turned, other, dz, below)
    if example is None:
        return None
    return Product(
        entry=Entry(whole, ("i", "k")),
        inner="j",
        terms=(_entry(trees[0], places[0]), _entry(trees[1], places[1])),
        by=Entry(below, own),
        derivative=_entry(other, others),
        summed=summed,
        sent=sent,
        written=written,
        extents=(extent(x.shape), extent(y.shape), extent(written.shape)),
        stood="right" if side else "left",
        other=other,
        turned=turned,
        example=example,
    )


def _example(
    side: int, turned: bool, other: Tree, dz: Tree, below: str
) -> tuple[Entry, tuple[tuple[Entry, Entry], ...]] | None:
    """One entry of the gradient written out, tried on numbers against the product."""
    row, column = 0, 1
    rng = np.random.default_rng(0)
    upstream = rng.standard_normal((ROWS, COLUMNS))
    size = (ROWS, INNER) if side else (INNER, COLUMNS)
    given = rng.standard_normal(size)
    gradient = given.T @ upstream if side else upstream @ given.T
    if side:  # dQ[j, k] = Σ_i X[i, j] dZ[i, k]
        places = [(("other", (i, row)), ("dz", (i, column))) for i in range(ROWS)]
    else:  # dQ[i, j] = Σ_k dZ[i, k] Y[j, k]
        places = [(("dz", (row, k)), ("other", (column, k))) for k in range(COLUMNS)]
    numbers = {"dz": upstream, "other": given}
    total = sum(numbers[a][p] * numbers[b][q] for (a, p), (b, q) in places)
    if not np.isclose(total, gradient[row, column], rtol=1e-12):
        return None
    trees = {"dz": dz, "other": other}
    terms = tuple((_numbered(trees[a], p), _numbered(trees[b], q)) for (a, p), (b, q) in places)
    at = (str(column), str(row)) if turned else (str(row), str(column))
    return Entry(below, at), terms


def _numbered(tree: Tree, place: tuple[int, int]) -> Entry:
    return _entry(tree, (str(place[0]), str(place[1])))
