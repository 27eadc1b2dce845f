"""Matrices taken apart: triangular factors, eigenvalues, singular values, and what is made of them.

Each part of a factoring is an operation of its own, computed by NumPy's routine for all parts. The
rules are those of M. Giles (2008), of I. Murray, "Differentiation of the Cholesky decomposition"
(2016), of J. Townsend, "Differentiating the singular value decomposition" (2016), of S. Walter and
others, "Algorithmic differentiation of linear algebra functions" (2012) and, for the
pseudoinverse, of G. Golub and V. Pereyra (1973).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core.ops.arranging import tril, triu
from tinygrad_edu.core.ops.linalg import matmul
from tinygrad_edu.core.ops.matrices import flipped, inv
from tinygrad_edu.core.ops.reductions import sum
from tinygrad_edu.core.ops.shaping import concatenate, expand_dims
from tinygrad_edu.core.primitive import (
    GradError,
    GradLinAlgError,
    Shape,
    Traced,
    operand,
    own_errors,
    primitive,
    shape,
    yes_or_no,
)

__all__ = ["cholesky", "eigh", "eigvalsh", "pinv", "qr", "svd", "svdvals"]


def _columns(v: Any) -> Any:
    """A vector as a row, to multiply each column of a matrix by its entry."""
    return expand_dims(v, -2)


def _symmetric_part(x: Any) -> Any:
    return (x + np.swapaxes(x, -1, -2)) / 2


def _symmetric(name: str, a: Any) -> Any:
    """A matrix that is symmetric up to rounding, and to the steps of a central difference."""
    x = operand(a)
    numbers = np.asarray(x._data if isinstance(x, Traced) else x)  # type: ignore[attr-defined]
    if numbers.ndim < 2 or numbers.shape[-1] != numbers.shape[-2]:
        raise GradError(f"{name}: a square matrix is needed, not shape {numbers.shape}")
    apart = np.abs(numbers - np.swapaxes(numbers, -1, -2)).max(initial=0)
    if apart > 1e-4 * np.abs(numbers).max(initial=0):
        raise GradError(
            f"{name}: {getattr(x, 'name', None) or 'the matrix'} {numbers.shape} is not symmetric. "
            "Write (A + A.T) / 2 for its symmetric part, or A @ A.T"
        )
    return x


def _halved_below(m: Any) -> Any:
    """The entries below the diagonal, and half of those on it."""
    return 0.5 * (tril(m) + tril(m, k=-1))


def _d_cholesky(dz: Any, z: Any, x: Any) -> Any:
    inverse = inv(z)
    inside = _halved_below(matmul(flipped(z), dz))
    s = matmul(matmul(flipped(inverse), inside), inverse)
    return 0.5 * (s + flipped(s))


@primitive(
    _d_cholesky,
    shape=lambda old: old, numpy="np.linalg.cholesky({0})", latex=r"\operatorname{{chol}}({0})",
    traits={"cancels"},
    called="cholesky",
)  # fmt: skip
def cholesky_factor(x: Any) -> Any:
    """The lower triangular L of ``L Lᵀ``, the symmetric part of x: see `cholesky`.

    >>> cholesky_factor(np.array([[4.0, 2.0], [2.0, 2.0]])).tolist()
    [[2.0, 0.0], [1.0, 1.0]]
    """
    return np.linalg.cholesky(_symmetric_part(x))


@own_errors
def cholesky(a: Any, upper: bool = False) -> Any:
    """The lower triangular L, with a positive diagonal, of ``L Lᵀ = a``; its transpose if `upper`.

    `a`: symmetric (…, n, n). Its gradient is symmetric too.

    Raises GradError for a matrix that is not symmetric, or has an eigenvalue of 0 or below.

    >>> tg.cholesky(np.array([[4.0, 2.0], [2.0, 2.0]])).tolist()
    [[2.0, 0.0], [1.0, 1.0]]
    """
    z = cholesky_factor(_symmetric("cholesky", a))
    return flipped(z) if yes_or_no("cholesky: upper", upper) else z


# --- equal eigenvalues ---------------------------------------------------------------------------


def _over_gaps_shape(x: Shape, w: Shape, v: Shape, *, strict: bool = True) -> Shape:
    return np.broadcast_shapes(x, (*w[:-1], 1, *w[-1:]), (*v, 1))


@primitive(
    lambda dz, z, x, w, v, *, strict=True: over_gaps(dz, w, v, strict=False),
    lambda dz, z, x, w, v, *, strict=True: -sum(over_gaps(dz * z, w, v, strict=False), axis=-2),
    lambda dz, z, x, w, v, *, strict=True: sum(over_gaps(dz * z, w, v, strict=False), axis=-1),
    shape=_over_gaps_shape, latex=r"\frac{{{0}}}{{{1} - {2}}}",
    numpy=(
        "np.divide({0}, np.where({0} == 0, np.inf, np.expand_dims({1}, -2)"
        " - np.expand_dims({2}, -1)))"
    ),
    traits={"cancels"},
)  # fmt: skip
def over_gaps(x: Any, w: Any, v: Any, strict: bool = True) -> Any:
    """``x_ij / (w_j − v_i)``, and 0 where x is 0: how vectors turn towards one another.

    Where w and v are equal, up to rounding, the vectors can be turned freely and have no
    derivative: raises GradError unless x is 0, that is, unless nothing depends on them. Without
    `strict` such places are 0.

    >>> over_gaps(np.array([[0.0, 6.0]]), np.array([1.0, 3.0]), np.array([1.0])).tolist()
    [[0.0, 3.0]]
    """
    w, v = np.expand_dims(w, -2), np.expand_dims(np.atleast_1d(v), -1)
    size = np.maximum(
        np.abs(w).max(-1, keepdims=True, initial=0), np.abs(v).max(-2, keepdims=True, initial=0)
    )
    gap = np.asarray(w - v)
    equal = np.abs(gap) <= 8 * gap.shape[-1] * np.finfo(gap.dtype).eps * size
    if strict and np.any(equal & np.not_equal(x, 0)):
        raise GradLinAlgError(
            "two eigenvalues or singular values are equal, or one is 0, up to rounding: their "
            "vectors are not determined and have no derivative. The values have, and vectors that "
            "belong to others"
        )
    return np.divide(x, np.where(equal, np.inf, gap))


def _turned(d: Any, vectors: Any, values: Any) -> Any:
    """From the gradient of vectors: of each pair, how far they turn, over how far they are apart.

    Not yet symmetric: half of it belongs at the mirrored place.
    """
    m = matmul(flipped(vectors), d)
    return over_gaps(tril(m, k=-1) + triu(m, k=1), values, values)


# --- eigenvalues ---------------------------------------------------------------------------------


def _d_eigh(dz: Any, z: Any, x: Any, *, part: int) -> Any:
    vectors = z if part else eigh_part(x, part=1)
    if not part:
        return matmul(vectors * _columns(dz), flipped(vectors))
    turned = _turned(dz, z, eigh_part(x, part=0))
    return matmul(matmul(z, 0.5 * (turned + flipped(turned))), flipped(z))


@primitive(
    _d_eigh,
    shape=lambda old, *, part: old if part else old[:-1], numpy="np.linalg.eigh({0})[{part}]",
    latex=r"\operatorname{{eigh}}({0})_{{{part}}}", traits={"cancels"},
    called="eigh",
)  # fmt: skip
def eigh_part(x: Any, *, part: int) -> Any:
    """The eigenvalues (part 0) or eigenvectors (1) of the symmetric part of x: see `eigh`.

    >>> eigh_part(np.array([[3.0, 0.0], [0.0, 2.0]]), part=0).tolist()
    [2.0, 3.0]
    """
    return np.linalg.eigh(_symmetric_part(x))[part]


@own_errors
def eigh(a: Any) -> tuple[Any, Any]:
    """The eigenvalues w (…, n), rising, and the eigenvectors V, columns, of a symmetric matrix.

    ``a = V diag(w) Vᵀ``. The gradient is symmetric: ``da = V (diag(dw) + F ∗ (Vᵀ dV)) Vᵀ`` with
    ``F_ij = 1 / (w_j − w_i)``. Of equal eigenvalues, each gets the gradient along the eigenvector
    that NumPy finds; their vectors have no derivative, and going back to them raises GradError.

    Raises GradError for a matrix that is not symmetric.

    >>> tg.eigh(np.array([[3.0, 0.0], [0.0, 2.0]]))[0].tolist()
    [2.0, 3.0]
    """
    x = _symmetric("eigh", a)
    return eigh_part(x, part=0), eigh_part(x, part=1)


@own_errors
def eigvalsh(a: Any) -> Any:
    """The eigenvalues of a symmetric matrix, in rising order: see `eigh`.

    >>> tg.eigvalsh(np.array([[3.0, 0.0], [0.0, 2.0]])).tolist()
    [2.0, 3.0]
    """
    return eigh_part(_symmetric("eigvalsh", a), part=0)


# --- singular values -----------------------------------------------------------------------------


def _d_vectors(d: Any, vectors: Any, values: Any, others: Any) -> Any:
    """From the gradient of the vectors of one side to that of the matrix they stand left of."""
    turned = _turned(d, vectors, values * values)
    inside = matmul(vectors, (turned + flipped(turned)) * _columns(values))
    if shape(vectors)[-2] > shape(vectors)[-1]:  # what leaves the space that they span
        outside = d - matmul(vectors, matmul(flipped(vectors), d))
        inside = inside + over_gaps(outside, values, 0.0)
    return matmul(inside, flipped(others))


def _d_svd(dz: Any, z: Any, x: Any, *, part: int) -> Any:
    u, s, vt = (z if i == part else svd_part(x, part=i) for i in range(3))
    if part == 1:
        return matmul(u * _columns(dz), vt)
    if part == 0:
        return _d_vectors(dz, u, s, flipped(vt))
    return flipped(_d_vectors(flipped(dz), flipped(vt), s, u))


def _svd_shape(old: Shape, *, part: int) -> Shape:
    *batch, n, m = old
    k = n if n < m else m
    return (*batch, *((n, k), (k,), (k, m))[part])


@primitive(
    _d_svd,
    shape=_svd_shape, numpy="np.linalg.svd({0}, full_matrices=False)[{part}]",
    latex=r"\operatorname{{svd}}({0})_{{{part}}}", traits={"cancels"},
    called="svd",
)  # fmt: skip
def svd_part(x: Any, *, part: int) -> Any:
    """The left vectors (part 0), singular values (1) or right vectors (2) of x: see `svd`.

    >>> svd_part(np.array([[3.0, 0.0], [0.0, -4.0]]), part=1).tolist()
    [4.0, 3.0]
    """
    return np.linalg.svd(x, full_matrices=False)[part]


def _matrix(name: str, a: Any) -> Any:
    x = operand(a)
    if len(shape(x)) < 2:
        raise GradError(f"{name}: a matrix is needed, not shape {shape(x)}")
    return x


@own_errors
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Left vectors U, singular values s, falling, and right vectors Vt of ``a = U diag(s) Vt``.

    Without `compute_uv` s alone. Equal singular values, and those of 0, have vectors without a
    derivative: going back to them raises GradError.

    Raises GradError for a matrix that is not square with ``full_matrices=True``, as NumPy has it:
    the vectors that are left over are not determined.

    >>> tg.svd(np.array([[3.0, 0.0], [0.0, -4.0]]))[1].tolist()
    [4.0, 3.0]
    """
    x = _matrix("svd", a)
    if not yes_or_no("svd: compute_uv", compute_uv):
        return svd_part(x, part=1)
    if yes_or_no("svd: full_matrices", full_matrices) and shape(x)[-1] != shape(x)[-2]:
        raise GradError(
            f"svd: of shape {shape(x)} only as many vectors as singular values are determined. "
            "Pass full_matrices=False"
        )
    return tuple(svd_part(x, part=i) for i in range(3))


@own_errors
def svdvals(x: Any) -> Any:
    """The singular values of a matrix, falling: see `svd`.

    >>> tg.svdvals(np.array([[3.0, 0.0], [0.0, -4.0]])).tolist()
    [4.0, 3.0]
    """
    return svd_part(_matrix("svdvals", x), part=1)


# --- orthogonal and triangular -------------------------------------------------------------------


def _d_qr(dz: Any, z: Any, x: Any, *, part: int) -> Any:
    q, r = (z if i == part else qr_part(x, part=i) for i in range(2))
    m = matmul(r, flipped(dz)) if part else -matmul(flipped(dz), q)
    inside = matmul(q, tril(m) + flipped(tril(m, k=-1)))
    return matmul(inside if part else dz + inside, flipped(inv(r)))


@primitive(
    _d_qr,
    shape=lambda old, *, part: (*old[:-2], old[-1], old[-1]) if part else old,
    numpy="np.linalg.qr({0})[{part}]", latex=r"\operatorname{{qr}}({0})_{{{part}}}",
    traits={"cancels"},
    called="qr",
)  # fmt: skip
def qr_part(x: Any, *, part: int) -> Any:
    """Q (part 0) or R (1) of a matrix with no more columns than rows: see `qr`.

    >>> np.abs(qr_part(np.array([[3.0], [4.0]]), part=1)).round(9).tolist()
    [[5.0]]
    """
    return np.linalg.qr(x)[part]


@own_errors
def qr(a: Any, mode: str = "reduced") -> Any:
    """Orthonormal columns Q and an upper triangular R of ``a = Q R``; R alone with ``mode="r"``.

    The columns of a, as many as there are rows at most, are to be independent: of others Q is not
    determined. The nearer they are to that, the larger are gradients, and the fewer of their digits
    are right.

    Raises GradError for another mode, and where a needs a gradient and these columns are dependent
    up to rounding.

    >>> np.abs(tg.qr(np.array([[3.0], [4.0]]))[1]).round(9).tolist()
    [[5.0]]
    """
    x = _matrix("qr", a)
    n, m = shape(x)[-2:]
    if mode not in ("reduced", "r") and not (mode == "complete" and n <= m):
        raise GradError(f"qr: mode is 'reduced' or 'r', not {mode!r:.60}, of shape {shape(x)}")
    left = x[..., :n] if m > n else x
    q, r = qr_part(left, part=0), qr_part(left, part=1)
    if getattr(left, "requires_grad", False):
        _check_independent(r._data)
    if m > n:
        r = concatenate([r, matmul(flipped(q), x[..., n:])], axis=-1)
    return r if mode == "r" else (q, r)


def _check_independent(r: Any) -> None:
    """Raise GradLinAlgError where columns of ``Q R`` are sums of others, up to rounding."""
    own = np.abs(np.diagonal(r, axis1=-2, axis2=-1))  # what of a column is in none before
    if np.any(own <= 8 * r.shape[-1] * np.finfo(r.dtype).eps * np.linalg.norm(r, axis=-2)):
        raise GradLinAlgError(
            "qr: the columns are dependent up to rounding: Q is not determined and has no "
            "derivative. For the numbers alone pass a.data"
        )


def _d_pinv(dz: Any, z: Any, x: Any) -> Any:
    dx = -matmul(matmul(flipped(z), dz), flipped(z))
    n, m = shape(x)[-2:]
    if n > m:  # else a z is the identity
        outside = flipped(dz) - matmul(x, matmul(z, flipped(dz)))
        return dx + matmul(outside, matmul(z, flipped(z)))
    if m > n:
        outside = flipped(dz) - matmul(matmul(flipped(dz), z), x)
        return dx + matmul(matmul(flipped(z), z), outside)
    return dx


@primitive(
    _d_pinv,
    shape=lambda old: (*old[:-2], old[-1], old[-2]), symbol="⁺", numpy="np.linalg.pinv({0})",
    latex="{0}^{{+}}", traits={"cancels"},
)  # fmt: skip
def pinv(x: Any) -> Any:
    """The pseudoinverse (Moore and Penrose), of a matrix of full rank: at others it jumps.

    ``dx = −zᵀ dz zᵀ + (I − x z) dzᵀ z zᵀ`` of a tall x, and so on.

    >>> tg.pinv(np.array([[2.0], [0.0]])).tolist()
    [[0.5, 0.0]]
    """
    return np.linalg.pinv(x)
