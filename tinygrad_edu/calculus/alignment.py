"""Which axes of an operation's result are which axes of its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.core.ops import losses, reductions, shaping
from tinygrad_edu.core.ops.elementwise import exp
from tinygrad_edu.core.ops.reductions import axes_of


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


def same_axes(node: Any) -> Iterator[tuple[tuple[Any, int], tuple[Any, int]]]:
    """Pairs of axes, of a node and its parents, that are one axis."""
    op, options, parents = node.op, node.options, node.parents
    shape = node.shape
    if op.shape_rule is reductions.reduced_shape:
        [x] = parents
        gone = axes_of(len(x.shape), options.get("axis"))
        kept = [i for i in range(len(x.shape)) if i not in gone]
        places = kept if options.get("keepdims") else range(len(kept))
        yield from (((node, new), (x, old)) for new, old in zip(places, kept))
    elif op.name == "matmul":
        x, y = parents
        n, rows, columns = len(shape), len(x.shape), len(y.shape)
        yield (x, rows - 1), (y, max(columns - 2, 0))
        if rows > 1:
            yield (node, n - (1 if columns == 1 else 2)), (x, rows - 2)
        if columns > 1:
            yield (node, n - 1), (y, columns - 1)
        fewer = 1 if 1 in (rows, columns) else 0  # a vector leaves one axis of the two
        for z in parents:
            for i in range(3, len(z.shape) + 1):  # of several products each is for itself
                if z.shape[-i] == shape[fewer - i] != 1:
                    yield (node, n - i + fewer), (z, len(z.shape) - i)
    elif op.name == "transpose":
        [x] = parents
        order = options.get("axes") or tuple(reversed(range(len(shape))))
        yield from (((node, new), (x, old % len(shape))) for new, old in enumerate(order))
    elif op.name == "reshape":
        yield from _reshaped(node, parents[0])
    elif op.name == "getitem":
        yield from _indexed(node, parents[0])
    elif op.name in ("scatter", "sum_to"):
        return
    elif op.name == "joined":
        axis = options.get("axis", 0)
        if axis is not None:
            for x in parents:
                yield from (
                    ((node, i), (x, i)) for i in range(len(shape)) if i != axis % len(shape)
                )
    elif op.name == "softmax_loss":
        z, y = parents
        axis = options.get("axis", 0) % len(z.shape)
        kept = [i for i in range(len(z.shape)) if i != axis]
        yield from (((z, i), (y, i)) for i in range(len(z.shape)))
        yield from (((node, new), (z, old)) for new, old in enumerate(kept))
    else:  # element by element, or of the same shape
        for x in parents:
            for i in range(1, min(len(shape), len(x.shape)) + 1):
                if x.shape[-i] == shape[-i] != 1:
                    yield (node, len(shape) - i), (x, len(x.shape) - i)


def _reshaped(node: Any, x: Any) -> Iterator[tuple[tuple[Any, int], tuple[Any, int]]]:
    """What a reshape leaves alone: axes at the front and at the back."""
    old = [i for i, n in enumerate(x.shape) if n != 1]
    new = [i for i, n in enumerate(node.shape) if n != 1]
    for pairs in (zip(old, new), zip(reversed(old), reversed(new))):
        for i, j in pairs:
            if x.shape[i] != node.shape[j]:
                break
            yield (node, j), (x, i)


def _indexed(node: Any, x: Any) -> Iterator[tuple[tuple[Any, int], tuple[Any, int]]]:
    """What an index leaves whole."""
    index = node.options["index"]
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
        elif isinstance(part, int):
            old += 1
        elif isinstance(part, slice):
            if node.shape[new] == x.shape[old]:
                yield (node, new), (x, old)
            new, old = new + 1, old + 1
        elif part is Ellipsis:
            return
        else:
            if np.array_equal(part, np.arange(x.shape[old])) and len(picked) == 1:
                yield (node, new), (x, old)  # each of these once, in order
            old += 1
            if place == max(apart):
                new += len(picked)
    yield from (((node, new + i), (x, old + i)) for i in range(len(x.shape) - old))


def _picks(part: Any) -> bool:
    """Is a part of an index an array of places, or a mask?"""
    if isinstance(part, bool):
        return True
    return not (part is None or part is Ellipsis or isinstance(part, (int, slice)))
