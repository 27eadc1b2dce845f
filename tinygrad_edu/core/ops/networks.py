"""What networks are made of, put together of other operations: graphs and rules show these.

Convolutions are matrix products of windows, pooling is a maximum over windows, attention a softmax
between two products. The references are cited where the functions come from.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from tinygrad_edu.core.ops import reductions
from tinygrad_edu.core.ops.arithmetic import where
from tinygrad_edu.core.ops.arranging import pad
from tinygrad_edu.core.ops.elementwise import sqrt
from tinygrad_edu.core.ops.linalg import matmul
from tinygrad_edu.core.ops.orderings import take
from tinygrad_edu.core.ops.shaping import axis_number, reshape, swapaxes, transpose
from tinygrad_edu.core.ops.windows import sliding_window_view
from tinygrad_edu.core.primitive import GradError, Traced, operand, own_errors, shape, yes_or_no

__all__ = [
    "attention", "avg_pool2d", "batch_norm", "conv1d", "conv2d", "dropout", "embedding",
    "layer_norm", "max_pool2d", "rms_norm",
]  # fmt: skip


# --- convolutions --------------------------------------------------------------------------------


def _each_axis(name: str, n: Any, axes: int, least: int = 1) -> tuple[int, ...]:
    """One whole number for every axis, or as many as there are."""
    several = tuple(n) if isinstance(n, (tuple, list)) else (n,) * axes
    numbers = tuple(operator.index(k) for k in several)
    if len(numbers) != axes or min(numbers) < least:
        raise GradError(f"{name}: {n!r:.60} is not {axes} whole numbers from {least}")
    return numbers


def _convolved(name: str, x: Any, w: Any, b: Any, stride: Any, padding: Any, axes: int) -> Any:
    x, w = operand(x), operand(w)
    if len(shape(x)) != axes + 2 or len(shape(w)) != axes + 2 or shape(x)[1] != shape(w)[1]:
        lengths = ", ".join("HW"[2 - axes :])
        raise GradError(
            f"{name}: x {shape(x)} and w {shape(w)} do not fit: they are (examples, channels, "
            f"{lengths}) and (filters, channels, {lengths.lower()}), of as many channels"
        )
    steps, around = _each_axis(name, stride, axes), _each_axis(name, padding, axes, 0)
    if any(around):
        x = pad(x, ((0, 0), (0, 0), *((k, k) for k in around)))
    filters, *of_one = shape(w)
    along = tuple(range(2, axes + 2))
    views = sliding_window_view(x, tuple(of_one[1:]), axis=along)
    if any(k > 1 for k in steps):
        views = views[(..., *(slice(None, None, k) for k in steps), *[slice(None)] * axes)]
    m, _, *places = shape(views)[: axes + 2]
    # A column for each window, as the lecture has one for each example: Z = W X.
    order = (1, *range(axes + 2, 2 * axes + 2), 0, *along)
    k = math.prod(of_one)
    columns = reshape(transpose(views, axes=order), shape=(k, m * math.prod(places)))
    z = matmul(reshape(w, shape=(filters, k)), columns)
    if b is not None:
        z = z + reshape(operand(b), shape=(filters, 1))
    return transpose(reshape(z, shape=(filters, m, *places)), axes=(1, 0, *along))


@own_errors
def conv1d(x: Any, w: Any, b: Any = None, stride: Any = 1, padding: Any = 0) -> Any:
    """Filters slid along sequences: x (m, channels, n), w (filters, channels, k), b (filters,).

    The result is (m, filters, n − k + 1), each number the sum of the products of a filter with a
    window: see `conv2d`.

    Raises GradError for shapes that do not fit.

    >>> tg.conv1d(np.arange(4.0).reshape(1, 1, 4), np.ones((1, 1, 2))).tolist()
    [[[1.0, 3.0, 5.0]]]
    """
    return _convolved("conv1d", x, w, b, stride, padding, 1)


@own_errors
def conv2d(x: Any, w: Any, b: Any = None, stride: Any = 1, padding: Any = 0) -> Any:
    """Filters slid over images: x (m, channels, H, W), w (filters, channels, h, k), b (filters,).

    The result is (m, filters, H − h + 1, W − k + 1): each number the sum of the products of a
    filter with a window of the image. The filter is not turned round, as nowhere in deep learning.
    With a `stride` only every so many-th window, with `padding` so many zeros around the image.

    Every window becomes a column, every filter a row of a matrix ("im2col"): one product
    ``Z = W X``, and so ``dW = dZ Xᵀ``; the columns of ``Wᵀ dZ`` are added up where they were cut
    out.

    Raises GradError for shapes that do not fit.

    >>> tg.conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2))).tolist()
    [[[[4.0, 4.0], [4.0, 4.0]]]]
    """
    return _convolved("conv2d", x, w, b, stride, padding, 2)


def _pooled(name: str, reduce: Any, x: Any, size: Any, stride: Any) -> Any:
    x = operand(x)
    if len(shape(x)) < 2:
        raise GradError(f"{name}: images (…, H, W) are needed, not shape {shape(x)}")
    *before, height, width = shape(x)
    h, w = _each_axis(name, size, 2)
    steps = (h, w) if stride is None else _each_axis(name, stride, 2)
    if steps == (h, w) and height >= h and width >= w:  # side by side: each in axes of its own
        x = x[..., : height - height % h, : width - width % w] if height % h or width % w else x
        apart = (*before, height // h, h, width // w, w)
        return reduce(reshape(x, shape=apart), axis=(-3, -1))
    views = sliding_window_view(x, (h, w), axis=(-2, -1))
    views = views[(..., *(slice(None, None, k) for k in steps), slice(None), slice(None))]
    return reduce(views, axis=(-2, -1))


@own_errors
def max_pool2d(x: Any, size: Any = 2, stride: Any = None) -> Any:
    """The largest number of each window of images (…, H, W); it alone gets the gradient.

    `stride`: how far windows are apart; None: side by side. What is left over at the edge is left
    out. Ties share the gradient evenly.

    >>> tg.max_pool2d(np.arange(16.0).reshape(4, 4)).tolist()
    [[5.0, 7.0], [13.0, 15.0]]
    """
    return _pooled("max_pool2d", reductions.max, x, size, stride)


@own_errors
def avg_pool2d(x: Any, size: Any = 2, stride: Any = None) -> Any:
    """The mean of each window of images (…, H, W); windows as of `max_pool2d`.

    >>> tg.avg_pool2d(np.arange(16.0).reshape(4, 4)).tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """
    return _pooled("avg_pool2d", reductions.mean, x, size, stride)


# --- normalisation -------------------------------------------------------------------------------


def _told(name: str, axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None and ndim > 1:
        raise GradError(
            f"{name}: along which axis? Of (units × examples) the units lie along axis=0, the "
            "examples along axis=1; of (…, features) the features along axis=-1"
        )
    axes = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return tuple(axis_number(name, a, ndim) for a in axes)


def _beside(parameter: Any, ndim: int, axes: Any) -> Any:
    """A vector with an entry for each place along an axis, in a shape that broadcasts so."""
    given = operand(parameter)
    if len(shape(given)) != 1 or len(axes) != 1:
        return given
    return reshape(given, shape=tuple(-1 if a in axes else 1 for a in range(ndim)))


def _scaled(x: Any, gamma: Any, beta: Any, axes: Any) -> Any:
    if gamma is not None:
        x = _beside(gamma, len(shape(x)), axes) * x
    return x if beta is None else x + _beside(beta, len(shape(x)), axes)


def _normalised(x: Any, axes: tuple[int, ...], eps: float) -> Any:
    axis = axes if len(axes) != 1 else axes[0]
    mean = reductions.mean(x, axis=axis, keepdims=True)
    return (x - mean) / sqrt(reductions.var(x, axis=axis, keepdims=True) + eps)


@own_errors
def layer_norm(
    x: Any, gamma: Any = None, beta: Any = None, axis: Any = None, eps: float = 1e-5
) -> Any:
    """``γ (x − μ) / √(σ² + ε) + β``, mean and variance those along `axis`: of one example's units.

    γ and β: vectors with an entry for each place along `axis`, or what broadcasts to x.

    Raises GradError for two or more axes without ``axis=`` (J. Ba and others, 2016).

    >>> tg.layer_norm(np.array([1.0, 5.0]), eps=0.0).tolist()
    [-1.0, 1.0]
    """
    x = operand(x)
    axes = _told("layer_norm", axis, len(shape(x)))
    return _scaled(_normalised(x, axes, eps), gamma, beta, axes)


@own_errors
def batch_norm(
    x: Any, gamma: Any = None, beta: Any = None, axis: Any = None, eps: float = 1e-5
) -> Any:
    """``γ (x − μ) / √(σ² + ε) + β``, mean and variance those along `axis`: of one unit's examples.

    `axis`: where the examples are, 1 of (units × examples), (0, 2, 3) of (m, channels, H, W).
    γ and β: vectors with an entry for each unit, or what broadcasts to x.

    Raises GradError for two or more axes without ``axis=`` (S. Ioffe and C. Szegedy, 2015).

    >>> tg.batch_norm(np.array([[1.0, 5.0]]), axis=1, eps=0.0).tolist()
    [[-1.0, 1.0]]
    """
    x = operand(x)
    axes = _told("batch_norm", axis, len(shape(x)))
    units = [a for a in range(len(shape(x))) if a not in axes]
    return _scaled(_normalised(x, axes, eps), gamma, beta, units)


@own_errors
def rms_norm(x: Any, gamma: Any = None, axis: Any = None, eps: float = 1e-5) -> Any:
    """``γ x / √(mean(x²) + ε)``, the mean that along `axis` (B. Zhang and R. Sennrich, 2019).

    γ: a vector with an entry for each place along `axis`, or what broadcasts to x.

    Raises GradError for two or more axes without ``axis=``.

    >>> tg.rms_norm(np.array([1.0, -1.0]), eps=0.0).tolist()
    [1.0, -1.0]
    """
    x = operand(x)
    axes = _told("rms_norm", axis, len(shape(x)))
    axis = axes if len(axes) != 1 else axes[0]
    squares = reductions.mean(x**2, axis=axis, keepdims=True)
    return _scaled(x / sqrt(squares + eps), gamma, None, axes)


# --- attention and the rest ----------------------------------------------------------------------


@own_errors
def attention(q: Any, k: Any, v: Any, mask: Any = None, causal: bool = False) -> Any:
    """``softmax(q kᵀ / √d) v``, each row of q asking all rows of k (A. Vaswani and others, 2017).

    q (…, t, d), k (…, s, d), v (…, s, e) give (…, t, e). `mask`: true where a row of q may see a
    row of k. `causal`: each sees itself and those before it.

    Raises GradError for shapes that do not fit, and where a row may see none.

    >>> tg.attention(np.zeros((1, 2)), np.zeros((3, 2)), np.array([[1.0], [2.0], [6.0]])).tolist()
    [[3.0]]
    """
    q, k, v = operand(q), operand(k), operand(v)
    if min(len(shape(x)) for x in (q, k, v)) < 2:
        raise GradError(f"attention: rows are needed, not {shape(q)}, {shape(k)} and {shape(v)}")
    scores = matmul(q, swapaxes(k, -1, -2)) / math.sqrt(shape(q)[-1])
    t, s = shape(scores)[-2:]
    seen: Any = np.tri(t, s) != 0 if yes_or_no("attention: causal", causal) else None
    if mask is not None:
        given = np.not_equal(getattr(mask, "_data", mask), 0)
        seen = given if seen is None else seen & given
    if seen is not None:
        if not np.all(np.any(seen, axis=-1)):
            raise GradError("attention: the mask hides every row of k from some row of q")
        scores = where(seen, scores, -math.inf)
    return matmul(reductions.softmax(scores, axis=-1), v)


@own_errors
def embedding(table: Any, indices: Any) -> Any:
    """The rows of a table at whole-number places: words as vectors. Repeated ones add gradients up.

    >>> tg.embedding(np.array([[1.0, 2.0], [3.0, 4.0]]), [1, 1]).tolist()
    [[3.0, 4.0], [3.0, 4.0]]
    """
    return take(table, indices, axis=0)


@own_errors
def dropout(x: Any, rate: float = 0.5, mask: Any = None, rng: Any = None) -> Any:
    """Each number dropped with probability `rate`, the others divided by ``1 − rate``.

    So the expected value stays ("inverted dropout": N. Srivastava and others, 2014). `mask`: 1 for
    what is kept and 0 for what is dropped, if it has been drawn already; else it is drawn with
    `rng`, a generator of NumPy's or a seed, and is a constant of the graph.

    Raises GradError for a rate that is not from 0 to below 1.

    >>> tg.dropout(np.array([1.0, 2.0]), 0.5, mask=[1, 0]).tolist()
    [2.0, 0.0]
    """
    x = operand(x)
    if not 0 <= rate < 1:
        raise GradError(f"dropout: the rate is from 0 to below 1, not {rate!r:.60}")
    if mask is None:
        mask = np.random.default_rng(rng).random(shape(x)) >= rate
    elif not isinstance(mask, Traced):
        mask = np.not_equal(mask, 0)
    return x * mask / (1.0 - rate)
