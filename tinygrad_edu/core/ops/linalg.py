"""Products of matrices and vectors. Nothing but declarations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_edu.core.ops.arithmetic import multiply
from tinygrad_edu.core.ops.reductions import sum
from tinygrad_edu.core.ops.shaping import expand_dims, ravel, swapaxes
from tinygrad_edu.core.primitive import GradError, Shape, own_errors, primitive, shape

__all__ = ["dot", "matmul", "outer"]

#: `dot` fills its result with zeros first: of rows so long that takes longer than it saves.
_LONG = 1024


def _flip(x: Any) -> Any:
    """The last two axes exchanged: the transpose of each matrix of a batch."""
    return x.T if x.ndim == 2 else swapaxes(x, -1, -2)


def _dx(dz: Any, z: Any, x: Any, y: Any) -> Any:
    if x.ndim == 2 == y.ndim:
        return dz.dot(y.T)
    if len(shape(y)) == 1:  # z = Σ x y over the last axis
        return (dz if len(shape(x)) == 1 else expand_dims(dz, -1)) * y
    if len(shape(x)) == 1:
        return matmul(y, dz) if y.ndim == 2 else sum(y * expand_dims(dz, -2), axis=-1)
    return matmul(dz, _flip(y))


def _dy(dz: Any, z: Any, x: Any, y: Any) -> Any:
    if x.ndim == 2 == y.ndim:
        return x.T.dot(dz) if dz.shape[1] < _LONG else x.T @ dz
    if len(shape(x)) == 1:
        return expand_dims(x, -1) * expand_dims(dz, -2) if len(shape(y)) > 1 else dz * x
    if len(shape(y)) == 1:
        return matmul(x.T, dz) if x.ndim == 2 else sum(x * expand_dims(dz, -1), axis=-2)
    return matmul(_flip(x), dz)


def _matmul_shape(x: Shape, y: Shape) -> Shape:
    batch = np.broadcast_shapes(x[:-2], y[:-2])
    return batch + (x[-2:-1] if len(x) > 1 else ()) + (y[-1:] if len(y) > 1 else ())


@primitive(
    _dx, _dy,
    shape=_matmul_shape, symbol="@", numpy="{0} @ {1}", latex="{0} {1}",
    traits={"bilinear"},
)  # fmt: skip
def matmul(x: Any, y: Any) -> Any:
    """The matrix product ``x @ y`` for every NumPy rank: vectors, matrices, batches of matrices.

    ``dx = dz @ yᵀ`` and ``dy = xᵀ @ dz``: with Z = W A (4, m) = (4, 3) (3, m), ``dW = dZ Aᵀ`` is
    (4, m) (m, 3) → (4, 3).

    >>> float(tg.matmul(np.array([1.0, 2.0]), np.array([3.0, 4.0])))
    11.0
    """
    if type(x) is ndarray is type(y) and x.ndim == 2 == y.ndim:
        return x.dot(y)  # the same with less ceremony
    return np.matmul(x, y)


@own_errors
def dot(x: Any, y: Any) -> Any:
    """``np.dot``: a product of numbers, vectors and matrices; for higher ranks use `matmul`.

    >>> float(tg.dot(np.array([1.0, 2.0]), np.array([3.0, 4.0])))
    11.0
    """
    if shape(x) == () or shape(y) == ():
        return multiply(x, y)
    if len(shape(y)) > 2 or (len(shape(x)) > 2 and len(shape(y)) > 1):
        raise GradError(
            f"dot: shapes {shape(x)} and {shape(y)}; above two dimensions np.dot is no "
            "matrix product. Use matmul (@), which multiplies the last two axes"
        )
    return matmul(x, y)


@own_errors
def outer(x: Any, y: Any) -> Any:
    """All products ``x_i y_j`` of two vectors.

    >>> tg.outer(np.array([1.0, 2.0]), np.array([3.0, 4.0])).tolist()
    [[3.0, 4.0], [6.0, 8.0]]
    """
    return expand_dims(ravel(x), 1) * expand_dims(ravel(y), 0)
