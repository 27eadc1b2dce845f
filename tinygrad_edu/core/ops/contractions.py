"""Products that are put together of reshapes and matrix products: einsum and its kin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.ops.arranging import flip
from tinygrad_edu.core.ops.linalg import matmul
from tinygrad_edu.core.ops.reductions import sum
from tinygrad_edu.core.ops.shaping import (
    axis_number,
    moveaxis,
    ravel,
    reshape,
    scatter,
    transpose,
)
from tinygrad_edu.core.primitive import GradError, operand, own_errors, shape

__all__ = ["convolve", "correlate", "einsum", "inner", "kron", "tensordot", "vdot"]

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"  # what einsum knows


@own_errors
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Products summed over axes of a and of b: the last and first so many, or those listed.

    >>> float(tg.tensordot(np.array([1.0, 2.0]), np.array([3.0, 4.0]), axes=1))
    11.0
    """
    x, y = operand(a), operand(b)
    n, m = len(shape(x)), len(shape(y))
    if isinstance(axes, (Sequence, np.ndarray)):
        if len(axes) != 2:
            raise GradError("tensordot: axes is a number, or the axes of a and the axes of b")
        of_x, of_y = ([*np.atleast_1d(part).tolist()] for part in axes)
    else:
        of_x, of_y = list(range(n - axes, n)), list(range(axes))
    of_x = [axis_number("tensordot", i, n) for i in of_x]
    of_y = [axis_number("tensordot", i, m) for i in of_y]
    if [shape(x)[i] for i in of_x] != [shape(y)[i] for i in of_y]:
        raise GradError(
            f"tensordot: shapes {shape(x)} and {shape(y)} differ along axes {of_x} and {of_y}"
        )
    left = [i for i in range(n) if i not in of_x]
    right = [i for i in range(m) if i not in of_y]
    k = math.prod(shape(x)[i] for i in of_x)
    rows = reshape(transpose(x, axes=(*left, *of_x)), shape=(-1 if k else 0, k))
    columns = reshape(transpose(y, axes=(*of_y, *right)), shape=(k, -1 if k else 0))
    outside = (*(shape(x)[i] for i in left), *(shape(y)[i] for i in right))
    return reshape(matmul(rows, columns), shape=outside)


@own_errors
def inner(a: Any, b: Any) -> Any:
    """Products summed over the last axis of both.

    >>> float(tg.inner(np.array([1.0, 2.0]), np.array([3.0, 4.0])))
    11.0
    """
    x, y = operand(a), operand(b)
    if () in (shape(x), shape(y)):
        return x * y
    return tensordot(x, y, axes=([-1], [-1]))


@own_errors
def vdot(a: Any, b: Any) -> Any:
    """The sum of the products of all numbers, whatever the shapes.

    >>> float(tg.vdot(np.ones((2, 2)), np.ones((4, 1))))
    4.0
    """
    return matmul(ravel(operand(a)), ravel(operand(b)))


@own_errors
def kron(a: Any, b: Any) -> Any:
    """The second array times each number of the first: blocks.

    >>> tg.kron(np.array([1.0, 10.0]), np.array([1.0, 2.0])).tolist()
    [1.0, 2.0, 10.0, 20.0]
    """
    x, y = operand(a), operand(b)
    ndim = max(len(shape(x)), len(shape(y)))
    left, right = ((1,) * (ndim - len(shape(z))) + shape(z) for z in (x, y))
    x = reshape(x, shape=tuple(k for n in left for k in (n, 1)))
    y = reshape(y, shape=tuple(k for n in right for k in (1, n)))
    return reshape(x * y, shape=tuple(n * m for n, m in zip(left, right)))


@own_errors
def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """Two vectors, one slid back to front along the other: each place is a product of a window.

    The windows are the rows of a matrix, so that all is one matrix product.

    Raises GradError for what is no vector, and for a mode that is not full, same or valid.

    >>> tg.convolve(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0])).tolist()
    [1.0, 3.0, 5.0, 3.0]
    """
    x, y = operand(a), operand(v)
    if len(shape(x)) != 1 or len(shape(y)) != 1 or 0 in (*shape(x), *shape(y)):
        raise GradError(f"convolve: two vectors are needed, not {shape(x)} and {shape(y)}")
    if shape(x) < shape(y):
        x, y = y, x
    return _slid("convolve", x, flip(y), mode)


@own_errors
def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    """Two vectors, the second slid along the first as it is.

    >>> tg.correlate(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0])).tolist()
    [1.0, 2.0]
    """
    x, y = operand(a), operand(v)
    if len(shape(x)) != 1 or len(shape(y)) != 1 or 0 in (*shape(x), *shape(y)):
        raise GradError(f"correlate: two vectors are needed, not {shape(x)} and {shape(y)}")
    if shape(x) < shape(y):
        return flip(_slid("correlate", y, x, mode))
    return _slid("correlate", x, y, mode)


def _slid(name: str, x: Any, y: Any, mode: str) -> Any:
    """The products of y with each window of x, which is not the shorter one."""
    n, k = shape(x)[0], shape(y)[0]
    before = {"full": k - 1, "same": k // 2, "valid": 0}.get(mode)
    if before is None:
        raise GradError(f"{name}: mode is 'full', 'same' or 'valid', not {mode!r:.60}")
    length = {"full": n + k - 1, "same": n}.get(mode, n - k + 1)
    wide = scatter(x, index=slice(before, before + n), shape=(length + k - 1,))
    windows = wide[np.arange(length)[:, None] + np.arange(k)]
    return matmul(windows, y)


@own_errors
def einsum(subscripts: str, *operands: Any) -> Any:
    """Products summed over named axes: ``einsum("ij,jk->ik", x, y)`` is ``x @ y``.

    Axes with one letter run together; letters that are not behind the arrow are summed over;
    without an arrow those that stand once stay, in the order of the alphabet; ``...`` stands for
    axes without a letter. Two operands at a time are made one matrix product, from the left.

    Raises GradError for subscripts that do not fit.

    >>> tg.einsum("ij,j->i", np.ones((2, 3)), np.ones(3)).tolist()
    [3.0, 3.0]
    """
    xs = [operand(x) for x in operands]
    letters, out = _subscripts(subscripts, [shape(x) for x in xs])
    done, named = _one_each(xs[0], letters[0])
    for i, (x, names) in enumerate(zip(xs[1:], letters[1:], strict=True), 1):
        x, names = _one_each(x, names)
        later = set(out).union(*letters[i + 1 :])
        done, named = _contracted(done, named, x, names, later)
    gone = tuple(i for i, letter in enumerate(named) if letter not in out)
    done = sum(done, axis=gone) if gone else done
    named = "".join(letter for letter in named if letter in out)
    order = tuple(named.index(letter) for letter in out)
    return transpose(done, axes=order) if order != tuple(range(len(order))) else done


def _subscripts(text: Any, shapes: list[tuple[int, ...]]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, dots replaced by letters of their own."""
    if not isinstance(text, str):
        raise TypeError("einsum: the subscripts come first, as text: 'ij,jk->ik'")
    before, arrow, out = text.replace(" ", "").partition("->")
    parts = before.split(",")
    free = [c for c in _LETTERS if c not in text]
    if len(parts) != len(shapes):
        raise GradError(f"einsum: {text!r} is for {len(parts)} operands, {len(shapes)} were given")
    dots = [len(s) - len(p.replace("...", "")) if "..." in p else 0 for p, s in zip(parts, shapes)]
    shared = "".join(free[: max([0, *dots])])
    letters = [p.replace("...", shared[len(shared) - n :]) for p, n in zip(parts, dots)]
    if not arrow:
        every = "".join(letters)
        out = shared + "".join(
            sorted(c for c in set(every) if every.count(c) == 1 and c not in shared)
        )
    out = out.replace("...", shared)
    lengths: dict[str, int] = {}
    for names, size in zip(letters, shapes, strict=True):
        fits = len(names) == len(size) and all(
            lengths.setdefault(c, n) == n for c, n in zip(names, size)
        )
        if not fits:
            raise GradError(
                f"einsum: {text!r} does not fit the shapes {', '.join(map(str, shapes))}"
            )
    if len(set(out)) != len(out) or not set(out) <= lengths.keys():
        raise GradError(
            f"einsum: {text!r}: each letter of the result stands once, and before it too"
        )
    return letters, out


def _one_each(x: Any, names: str) -> tuple[Any, str]:
    """Of axes with one letter the diagonal: every letter once."""
    while len(set(names)) < len(names):
        twice = next(c for c in names if names.count(c) > 1)
        i = names.index(twice)
        j = names.index(twice, i + 1)
        n = np.arange(shape(x)[i])
        x = moveaxis(x, (i, j), (0, 1))[(n, n)]
        names = twice + names[:i] + names[i + 1 : j] + names[j + 1 :]
    return x, names


def _contracted(x: Any, a: str, y: Any, b: str, later: set[str]) -> tuple[Any, str]:
    """Two operands as one: a matrix product for each place along the axes that both keep."""
    for alone, names in ((a, b), (b, a)):
        gone = [i for i, c in enumerate(alone) if c not in names and c not in later]
        if gone and alone is a:
            x, a = sum(x, axis=tuple(gone)), "".join(c for c in a if c in b or c in later)
        elif gone:
            y, b = sum(y, axis=tuple(gone)), "".join(c for c in b if c in a or c in later)
    batch = [c for c in a if c in b and c in later]
    inside = [c for c in a if c in b and c not in later]
    rows, columns = [c for c in a if c not in b], [c for c in b if c not in a]
    size = {**dict(zip(a, shape(x))), **dict(zip(b, shape(y)))}
    left, right = _ordered(x, a, batch + rows + inside), _ordered(y, b, batch + inside + columns)
    named = "".join(batch + rows + columns)
    final = tuple(size[c] for c in named)
    if not inside:  # nothing to sum: a product entry by entry
        many = reshape(left, shape=(*(size[c] for c in batch + rows), *[1] * len(columns)))
        between = (*(size[c] for c in batch), *[1] * len(rows), *(size[c] for c in columns))
        return many * reshape(right, shape=between), named
    lead = tuple(size[c] for c in batch)
    n, k, m = (math.prod(size[c] for c in part) for part in (rows, inside, columns))
    if len(rows) != 1 or len(inside) != 1:
        left = reshape(left, shape=(*lead, n, k))
    if len(columns) != 1 or len(inside) != 1:
        right = reshape(right, shape=(*lead, k, m))
    z = matmul(left, right)
    return (z if shape(z) == final else reshape(z, shape=final)), named


def _ordered(x: Any, names: str, wanted: list[str]) -> Any:
    order = tuple(names.index(c) for c in wanted)
    return transpose(x, axes=order) if order != tuple(range(len(order))) else x
