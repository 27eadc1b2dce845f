"""Which axes of an operation's result are which axes of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.core.ops import losses, reductions, shaping
from tinygrad_edu.core.ops.elementwise import exp
from tinygrad_edu.core.ops.reductions import axes_of

#: Axes, each of a node and a place in its shape, that are one.
Pairs = Iterator[tuple[tuple[Any, int], tuple[Any, int]]]


def normalised(node: Any) -> tuple[Any, Iterable[int]]:
    """The node and the axes that an operation mixes, as softmax does; none for most."""
    op, options = node.op, node.options
    [x, *_] = node.parents or [node]
    if op in (reductions.softmax, reductions.log_softmax, reductions.logsumexp) or (
        op is reductions.sum and x.op is exp  # the denominator of a softmax
    ):
        return x, axes_of(len(x.shape), options.get("axis"))
    if op is losses.softmax_loss:
        return x, [options.get("axis", 0)]
    return node, ()


def repeated(node: Any, parent: Any) -> tuple[int, ...]:
    """The axes of a node along which one of its parents is repeated by broadcasting."""
    if node.shape == parent.shape or node.op.name in ("matmul", "sum", "mean", "reshape"):
        return ()
    try:
        lead, kept = shaping.summed_axes(node.shape, parent.shape)
    except ValueError:  # a transpose, say: nothing is repeated
        return ()
    return lead + kept


def same_axes(node: Any) -> Pairs:
    """Pairs of axes, of a node and its parents, that are one axis."""
    if node.op.shape_rule is reductions.reduced_shape:
        return _reduced(node)
    return _ALIGNED.get(node.op.name, _broadcast)(node)


def _reduced(node: Any) -> Pairs:
    [x] = node.parents
    gone = axes_of(len(x.shape), node.options.get("axis"))
    kept = [i for i in range(len(x.shape)) if i not in gone]
    places = kept if node.options.get("keepdims") else range(len(kept))
    return (((node, new), (x, old)) for new, old in zip(places, kept))


def _multiplied(node: Any) -> Pairs:
    x, y = node.parents
    n, rows, columns = len(node.shape), len(x.shape), len(y.shape)
    yield (x, rows - 1), (y, max(columns - 2, 0))
    if rows > 1:
        yield (node, n - (1 if columns == 1 else 2)), (x, rows - 2)
    if columns > 1:
        yield (node, n - 1), (y, columns - 1)
    fewer = 1 if 1 in (rows, columns) else 0  # a vector leaves one axis of the two
    for z in node.parents:
        for i in range(3, len(z.shape) + 1):  # of several products each is for itself
            if z.shape[-i] == node.shape[fewer - i] != 1:
                yield (node, n - i + fewer), (z, len(z.shape) - i)


def _transposed(node: Any) -> Pairs:
    [x] = node.parents
    n = len(node.shape)
    order = node.options.get("axes") or tuple(reversed(range(n)))
    return (((node, new), (x, old % n)) for new, old in enumerate(order))


def _joined(node: Any) -> Pairs:
    n, axis = len(node.shape), node.options.get("axis", 0)
    for i in range(n) if axis is not None else ():
        if i != axis % n:
            yield from (((node, i), (x, i)) for x in node.parents)


def _scored(node: Any) -> Pairs:
    """Of a loss of two inputs: entry by entry, or added up over one axis."""
    z, y = node.parents
    both = np.broadcast_shapes(z.shape, y.shape)
    n, axis = len(both), node.options.get("axis", 0)
    kept = [i for i in range(n) if len(node.shape) == n or i != axis % n]
    for new, old in enumerate(kept):
        for x in node.parents:
            place = old - n + len(x.shape)
            if place >= 0 and x.shape[place] == both[old]:
                yield (node, new), (x, place)
    for i in range(1, min(len(z.shape), len(y.shape)) + 1):
        if z.shape[-i] == y.shape[-i]:
            yield (z, len(z.shape) - i), (y, len(y.shape) - i)


def _broadcast(node: Any) -> Pairs:
    """Of an operation element by element, or with a result of the same shape."""
    n = len(node.shape)
    for x in node.parents:
        for i in range(1, min(n, len(x.shape)) + 1):
            if x.shape[-i] == node.shape[-i] != 1:
                yield (node, n - i), (x, len(x.shape) - i)


def _reshaped(node: Any) -> Pairs:
    """What a reshape leaves alone: axes at the front and at the back."""
    x = node.parents[0]
    old = [i for i, n in enumerate(x.shape) if n != 1]
    new = [i for i, n in enumerate(node.shape) if n != 1]
    for pairs in (zip(old, new), zip(reversed(old), reversed(new))):
        for i, j in pairs:
            if x.shape[i] != node.shape[j]:
                break
            yield (node, j), (x, i)


def _indexed(node: Any) -> Pairs:
    """What an index leaves whole."""
    x, index = node.parents[0], node.options["index"]
    parts = index if isinstance(index, tuple) else (index,)
    arrays = [np.asarray(part) for part in parts if _picks(part)]
    if any(array.dtype == bool or array.ndim == 0 for array in arrays):
        return
    apart = {i for i, part in enumerate(parts) if _picks(part)}
    if apart and max(apart) - min(apart) >= len(arrays):
        return  # arrays with something between them: their axes come first
    picked = np.broadcast_shapes(*(array.shape for array in arrays))
    new = old = 0
    for place, part in enumerate(parts):
        if part is None:
            new += 1
        elif part is Ellipsis:
            return
        else:
            if _is_all(part, x.shape[old]) and (place not in apart or len(picked) == 1):
                yield (node, new), (x, old)
            old += 1
            new += len(picked) if place == max(apart, default=-1) else isinstance(part, slice)
    yield from (((node, new + i), (x, old + i)) for i in range(len(x.shape) - old))


def _is_all(part: Any, length: int) -> bool:
    """Does a part of an index take all there are: a slice in any order, an array in theirs?"""
    if isinstance(part, slice):
        return len(range(length)[part]) == length
    return np.array_equal(part, np.arange(length))


def _picks(part: Any) -> bool:
    """Is a part of an index an array of places, or a mask?"""
    if isinstance(part, bool):
        return True
    return not (part is None or part is Ellipsis or isinstance(part, (int, slice)))


_ALIGNED: dict[str, Callable[[Any], Pairs]] = {
    "matmul": _multiplied, "transpose": _transposed, "reshape": _reshaped, "getitem": _indexed,
    "joined": _joined, "softmax_loss": _scored, "bernoulli_loss": _scored, "logistic_loss": _scored,
    "scatter": lambda node: iter(()), "sum_to": lambda node: iter(()),
}  # fmt: skip
