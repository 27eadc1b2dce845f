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
    """At which side of a product of two matrices (or of as many pairs of them) a quantity stands,
    and whether transposed; a vector may stand on the right."""
    if node.op is not linalg.matmul:
        return None
    sizes = [len(parent.shape) for parent in node.parents]
    if sizes == [2, 1] and node.parents[1] is below:
        return 1, False
    if sizes[0] != sizes[1] or sizes[0] < 2:
        return None
    for side, parent in enumerate(node.parents):
        turned = parent.op is shaping.transpose and parent.parents[0] is below
        if parent is below or (turned and _turns(parent.options.get("axes"), sizes[0])):
            return side, parent is not below
    return None


def _turns(axes: Any, n: int) -> bool:
    """Do these axes exchange the last two of n, and only these?"""
    if axes is None:
        return n == 2
    return tuple(a % n for a in axes) == (*range(n - 2), n - 1, n - 2)


def _turned(tree: Tree) -> Tree:
    """The transpose of each matrix, of a transpose what was turned."""
    n = len(tree.shape)
    if tree.kind == "transpose" and _turns(tree.value, n):
        return tree.parts[0]
    return transpose(tree, None if n == 2 else (*range(n - 2), n - 1, n - 2))


def _entry(of: str | Tree, indices: tuple[str, ...]) -> Entry:
    """An entry; of a transpose the one at the indices exchanged."""
    if isinstance(of, Tree) and of.kind == "transpose" and _turns(of.value, len(of.shape)):
        return Entry(of.parts[0], (*indices[:-2], indices[-1], indices[-2]))
    return Entry(of, indices)


def explained(
    side: int, turned: bool, trees: tuple[Tree, Tree], below: str, dz: Tree, extent: Any
) -> Product | None:
    """The product by indices. `dz`: the gradient of the product, as it is written."""
    whole, other = matmul(*trees), trees[1 - side]
    vector = len(trees[1].shape) == 1
    which = tuple("abcd"[: max(len(whole.shape) - 2, 0)])  # of several pairs of matrices
    places: tuple[tuple[str, ...], ...] = (
        (*which, "i", "j"), (*which, "j") if vector else (*which, "j", "k"),
    )  # fmt: skip
    out = ("i",) if vector else (*which, "i", "k")
    mine, others = places[side], places[1 - side]
    summed = "i" if side else "k"
    own = (*which, mine[-1], mine[-2]) if turned else mine
    sent = (_entry(other, others), _entry(dz, out))
    if not side:
        sent = (sent[1], sent[0])
    # dX = dZ Yᵀ and dY = Xᵀ dZ; of a transposed one the transpose of that.
    if side:
        written = matmul(_turned(dz), other) if turned else matmul(_turned(other), dz)
    else:
        written = matmul(other, _turned(dz)) if turned else matmul(dz, _turned(other))
    x, y = written.parts
    if vector:
        example = _vector_example(other, dz, below)
    else:
        example = _example(side, turned, other, dz, below, which)
    if example is None:
        return None
    return Product(
        entry=Entry(whole, out),
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
        vector=vector,
    )


def _example(
    side: int, turned: bool, other: Tree, dz: Tree, below: str, which: tuple[str, ...]
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
    terms = tuple(
        (_numbered(trees[a], p, which), _numbered(trees[b], q, which)) for (a, p), (b, q) in places
    )
    at = (str(column), str(row)) if turned else (str(row), str(column))
    return Entry(below, (*which, *at)), terms


def _vector_example(
    other: Tree, dz: Tree, below: str
) -> tuple[Entry, tuple[tuple[Entry, Entry], ...]] | None:
    """The same for a vector, the matrix being 2 × 3."""
    column = 1
    rng = np.random.default_rng(0)
    given, upstream = rng.standard_normal((ROWS, COLUMNS)), rng.standard_normal(ROWS)
    total = sum(given[i, column] * upstream[i] for i in range(ROWS))
    if not np.isclose(total, (given.T @ upstream)[column], rtol=1e-12):
        return None
    terms = tuple((_numbered(other, (i, column)), _numbered(dz, (i,))) for i in range(ROWS))
    return Entry(below, (str(column),)), terms


def _numbered(tree: Tree, place: tuple[int, ...], which: tuple[str, ...] = ()) -> Entry:
    return _entry(tree, (*which, *map(str, place)))
