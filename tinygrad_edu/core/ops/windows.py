"""Windows that slide over an array, and what becomes of their gradients: what convolutions are.

The windows of an image, each a row of a matrix, make a convolution one matrix product ("im2col");
going back each window's gradient is added in where it was cut out ("col2im").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.ops.orderings import whole_numbers
from tinygrad_edu.core.ops.shaping import axis_number
from tinygrad_edu.core.primitive import GradError, Shape, operand, own_errors, primitive, shape

__all__ = ["sliding_window_view"]

_PLACES = (
    "np.lib.stride_tricks.sliding_window_view(np.arange(np.prod({shape})).reshape({shape}), "
    "{lengths}, {axes})"
)


def _windows_shape(old: Shape, *, lengths: Shape, axes: Shape) -> Shape:
    new = list(old)
    for n, axis in zip(lengths, axes):
        new[axis] -= n - 1
    return (*new, *lengths)


@primitive(
    lambda dz, z, x, *, lengths, axes: windows_summed(
        dz, lengths=lengths, axes=axes, shape=shape(x)
    ),
    shape=_windows_shape, symbol="windows",
    numpy="np.lib.stride_tricks.sliding_window_view({0}, {lengths}, {axes})",
    latex=r"\operatorname{{windows}}({0})", traits={"linear", "exact", "moves"},
    called="sliding_window_view",
)  # fmt: skip
def windows(x: Any, *, lengths: Any, axes: Any) -> Any:
    """All stretches of some lengths along some axes, in axes of their own: `sliding_window_view`.

    >>> windows(np.arange(4.0), lengths=(2,), axes=(0,)).tolist()
    [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]
    """
    return np.lib.stride_tricks.sliding_window_view(x, lengths, axes)


@primitive(
    lambda dz, z, x, *, lengths, axes, shape: windows(dz, lengths=lengths, axes=axes),
    shape=lambda old, *, lengths, axes, shape: tuple(shape), symbol="Σ windows",
    numpy=f"np.bincount({_PLACES}.ravel(), np.ravel({{0}}), np.prod({{shape}})).reshape({{shape}})",
    latex=r"\sum\operatorname{{windows}}({0})", traits={"linear"},
)  # fmt: skip
def windows_summed(x: Any, *, lengths: Any, axes: Any, shape: Any) -> Any:
    """Zeros of `shape` with each window added in at the place it was cut out of.

    >>> windows_summed(np.ones((3, 2)), lengths=(2,), axes=(0,), shape=(4,)).tolist()
    [1.0, 2.0, 2.0, 1.0]
    """
    x = np.asarray(x)
    # In memory as x is: adding up is quickest where both are read in the same order.
    order = sorted(range(len(shape)), key=lambda axis: -x.strides[axis])
    z = np.zeros([shape[axis] for axis in order], x.dtype).transpose(np.argsort(order))
    for offsets in np.ndindex(*lengths):  # so few: a slice of all windows for each of their places
        places = [slice(None)] * z.ndim
        for axis, start in zip(axes, offsets):
            places[axis] = slice(start, start + np.shape(x)[axis])
        z[tuple(places)] += x[(..., *offsets)]
    return z


@own_errors
def sliding_window_view(x: Any, window_shape: Any, axis: Any = None) -> Any:
    """All windows of a length along `axis`, or of several along several: NumPy's function.

    The windows' own axes come last: of (n,) and length k come (n − k + 1, k).

    Raises GradError for windows longer than their axis.

    >>> tg.sliding_window_view(np.arange(4.0), 3).tolist()
    [[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]]
    """
    x = operand(x)
    several = window_shape if isinstance(window_shape, (Sequence, np.ndarray)) else [window_shape]
    lengths = tuple(int(n) for n in whole_numbers("sliding_window_view", several))
    along = range(len(shape(x))) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(axis_number("sliding_window_view", a, len(shape(x))) for a in along)
    if len(lengths) != len(axes) or len(set(axes)) != len(axes):
        raise GradError(f"sliding_window_view: {len(lengths)} lengths for the axes {axes}")
    if any(not 0 <= n <= shape(x)[a] for n, a in zip(lengths, axes)):
        raise GradError(f"sliding_window_view: shape {shape(x)} has no windows of {lengths}")
    return windows(x, lengths=lengths, axes=axes)
