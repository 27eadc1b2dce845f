"""Inverses, systems, determinants: `np.linalg` on matrices and batches of them.

The rules are those of M. Giles, "Collected matrix derivative results for forward and reverse mode
algorithmic differentiation", 2008.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.ops.linalg import matmul
from tinygrad_edu.core.ops.shaping import expand_dims, swapaxes
from tinygrad_edu.core.primitive import GradError, operand, primitive, shape

__all__ = ["det", "inv", "matrix_power", "multi_dot", "solve"]


def _flipped(x: Any) -> Any:
    return swapaxes(x, -1, -2)


def _wide(z: Any) -> Any:
    """A number for each matrix, to multiply all its entries with."""
    return expand_dims(expand_dims(z, -1), -1) if shape(z) else z


@primitive(
    lambda dz, z, x: -matmul(matmul(_flipped(z), dz), _flipped(z)),
    shape=lambda old: old, symbol="⁻¹", numpy="np.linalg.inv({0})", latex="{0}^{{-1}}",
    traits={"cancels"},
)  # fmt: skip
def inv(x: Any) -> Any:
    """The inverse of a square matrix: ``dx = −zᵀ dz zᵀ``.

    Raises GradError for a matrix that has none.

    >>> tg.inv(np.array([[2.0, 0.0], [0.0, 4.0]])).tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    return np.linalg.inv(x)


@primitive(
    lambda dz, z, x: _wide(dz * z) * _flipped(inv(x)),
    shape=lambda old: old[:-2], numpy="np.linalg.det({0})", latex=r"\det {0}",
    traits={"cancels"},
)  # fmt: skip
def det(x: Any) -> Any:
    """The determinant: ``dx = dz · z · x⁻ᵀ``, of a matrix that has an inverse.

    >>> round(tg.det(np.array([[4.0, 5.0], [0.0, 2.0]])), 9)
    8.0
    """
    return np.linalg.det(x)


def solve(a: Any, b: Any) -> Any:
    """The x of ``a x = b``: ``a⁻¹ b``, for a vector b or a matrix.

    >>> tg.solve(np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([2.0, 2.0])).tolist()
    [1.0, 0.5]
    """
    return matmul(inv(operand(a)), operand(b))


def matrix_power(a: Any, n: int) -> Any:
    """``a @ a @ …``, n factors; of the inverse where n is negative.

    >>> tg.matrix_power(np.array([[2.0, 0.0], [0.0, 3.0]]), 2).tolist()
    [[4.0, 0.0], [0.0, 9.0]]
    """
    x, times = operand(a), operator.index(n)
    if len(shape(x)) < 2 or shape(x)[-1] != shape(x)[-2]:
        raise GradError(f"matrix_power: a square matrix is needed, not shape {shape(x)}")
    if times == 0:
        return x * 0.0 + np.eye(shape(x)[-1], dtype=bool)
    x = inv(x) if times < 0 else x
    done, power = None, x
    times = abs(times)
    while times:
        if times % 2:
            done = power if done is None else matmul(done, power)
        times //= 2
        power = matmul(power, power) if times else power
    return done


def multi_dot(arrays: Sequence[Any]) -> Any:
    """The product of several matrices, the longest axes summed over first.

    >>> float(tg.multi_dot([np.ones((1, 2)), np.ones((2, 3)), np.ones((3, 1))])[0, 0])
    6.0
    """
    xs = [operand(x) for x in arrays]
    if len(xs) < 2:
        raise GradError("multi_dot: two matrices or more are needed")
    while len(xs) > 1:  # the longest axis between two goes first: near the best, and simple
        between = [shape(x)[-1] for x in xs[:-1]]
        i = between.index(max(between))
        xs[i : i + 2] = [matmul(xs[i], xs[i + 1])]
    return xs[0]
