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
from tinygrad_edu.core.ops.reductions import prod_of_others
from tinygrad_edu.core.ops.shaping import expand_dims, scatter, swapaxes
from tinygrad_edu.core.primitive import GradError, operand, own_errors, primitive, shape

__all__ = ["det", "inv", "matrix_power", "multi_dot", "slogdet", "solve"]


def flipped(x: Any) -> Any:
    """The transpose of each matrix.

    >>> flipped(np.zeros((4, 2, 3))).shape
    (4, 3, 2)
    """
    return swapaxes(x, -1, -2)


def _wide(z: Any) -> Any:
    """A number for each matrix, to multiply all its entries with."""
    return expand_dims(expand_dims(z, -1), -1) if shape(z) else z


@primitive(
    lambda dz, z, x: -matmul(matmul(flipped(z), dz), flipped(z)),
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


def _without(n: int) -> tuple[Any, Any]:
    """The index of the n² matrices that lack a row and a column of an n × n matrix."""
    others = np.arange(n)[:, None] + np.arange(1, n)
    others = np.sort(others % n, axis=1)
    return others[:, None, :, None], others[None, :, None, :]


def _d_cofactors(dz: Any, z: Any, x: Any) -> Any:
    n = shape(x)[-1]
    if n < 2:  # of one number the cofactor is 1
        return dz * 0.0
    places = (..., *_without(n))
    even = (..., *np.nonzero(np.add.outer(np.arange(n), np.arange(n)) % 2 == 0))
    signed = 2.0 * scatter(dz[even], index=even, shape=shape(x)) - dz  # as on a chess-board
    minors = _wide(signed) * cofactors(x[places])
    return scatter(minors, index=places, shape=shape(x))


@primitive(
    _d_cofactors,
    shape=lambda old: old, latex=r"\operatorname{{cof}}({0})",
    definition=lambda x: _wide(det(x)) * flipped(inv(x)),
    traits={"cancels", "opened"},
)  # fmt: skip
def cofactors(x: Any) -> Any:
    """``det(x) · x⁻ᵀ``, the determinants without one row and column each; also where x has none.

    From the singular values: of each the product of the others. Its derivatives of every order are
    those of polynomials, made of smaller determinants.

    >>> cofactors(np.array([[4.0, 5.0], [8.0, 10.0]])).round(9).tolist()
    [[10.0, -8.0], [-5.0, 4.0]]
    """
    if not np.shape(x)[-1]:
        return np.zeros(np.shape(x), np.result_type(x))
    u, s, vt = np.linalg.svd(x)
    turns = np.sign(np.linalg.det(u) * np.linalg.det(vt))[..., None, None]
    return turns * (u * prod_of_others.forward(s, axis=-1)[..., None, :]) @ vt


@primitive(
    lambda dz, z, x: _wide(dz) * cofactors(x),
    shape=lambda old: old[:-2], numpy="np.linalg.det({0})", latex=r"\det {0}",
    traits={"cancels"},
)  # fmt: skip
def det(x: Any) -> Any:
    """The determinant: ``dx = dz · det(x) · x⁻ᵀ``, that is the matrix of cofactors.

    >>> round(tg.det(np.array([[4.0, 5.0], [0.0, 2.0]])), 9)
    8.0
    """
    return np.linalg.det(x)


@primitive(
    lambda dz, z, x: _wide(dz) * flipped(inv(x)),
    shape=lambda old: old[:-2], numpy="np.linalg.slogdet({0})[1]",
    latex=r"\log\left|\det {0}\right|", traits={"cancels"},
    called="slogdet",
)  # fmt: skip
def log_abs_det(x: Any) -> Any:
    """The logarithm of the size of the determinant: ``dx = dz · x⁻ᵀ``.

    >>> log_abs_det(np.eye(3))
    0.0
    """
    return np.linalg.slogdet(x)[1]


@primitive(
    None,
    shape=lambda old: old[:-2], numpy="np.linalg.slogdet({0})[0]",
    latex=r"\operatorname{{sign}}\det {0}", traits={"exact"},
    called="slogdet",
)  # fmt: skip
def sign_of_det(x: Any) -> Any:
    """1, −1 or 0, as the determinant is; its derivative is zero everywhere.

    >>> sign_of_det(-np.eye(3))
    -1.0
    """
    return np.linalg.slogdet(x)[0]


@own_errors
def slogdet(a: Any) -> tuple[Any, Any]:
    """The sign of the determinant, and the logarithm of its size, which is never too large.

    >>> tg.slogdet(-np.eye(3))
    (-1.0, 0.0)
    """
    x = operand(a)
    return sign_of_det(x), log_abs_det(x)


@own_errors
def solve(a: Any, b: Any) -> Any:
    """The x of ``a x = b``: ``a⁻¹ b``, for a vector b or a matrix.

    >>> tg.solve(np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([2.0, 2.0])).tolist()
    [1.0, 0.5]
    """
    return matmul(inv(operand(a)), operand(b))


@own_errors
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


@own_errors
def multi_dot(arrays: Sequence[Any]) -> Any:
    """The product of several matrices, the longest axes summed over first.

    >>> float(tg.multi_dot([np.ones((1, 2)), np.ones((2, 3)), np.ones((3, 1))])[0, 0])
    6.0
    """
    xs = [operand(x) for x in arrays]
    if len(xs) < 2 or () in map(shape, xs):
        raise GradError("multi_dot: two matrices or more are needed")
    while len(xs) > 1:  # the longest axis between two goes first: near the best, and simple
        between = [shape(x)[-1] for x in xs[:-1]]
        i = between.index(max(between))
        xs[i : i + 2] = [matmul(xs[i], xs[i + 1])]
    return xs[0]
