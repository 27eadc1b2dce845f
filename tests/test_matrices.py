"""Determinants, factors and norms where matrices are odd: singular, with equal eigenvalues, empty,
not symmetric. What has no derivative says so in words."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg

RNG = np.random.default_rng(7)
SINGULAR = {
    "of rank 2": np.outer([1.0, -2, 3], [2.0, 0, 1]) + np.outer([0.0, 1, 1], [1.0, 1, -1]),
    "of rank 1": np.outer([1.0, -2, 3], [2.0, 0, 1]),
    "of zeros": np.zeros((3, 3)),
    "of 1 and 0": np.diag([1.0, 0.0]),
    "of one number": np.zeros((1, 1)),
}


@pytest.mark.parametrize("kind", SINGULAR)
def test_a_determinant_has_derivatives_of_every_order_where_there_is_no_inverse(kind):
    x = SINGULAR[kind]
    tg.check_gradients(tg.det, x, order=3)
    n = len(x)
    minors = [
        [(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(x, i, 0), j, 1)) for j in range(n)]
        for i in range(n)
    ]
    np.testing.assert_allclose(tg.grad(tg.det)(x), minors, atol=1e-14)


def test_the_gradient_of_the_determinant_is_still_written_with_the_inverse():
    A = tg.Value(RNG.standard_normal((3, 3)), "A")
    assert tg.derive(tg.det(A))["dA"].text == "dA = det(A) ∗ inv(A)ᵀ"


def test_the_sign_and_the_logarithm_of_a_determinant_that_is_too_large_for_a_float():
    A = tg.Value(-1e200 * np.eye(3), "A")
    sign, size = np.linalg.slogdet(A)
    assert sign.item() == -1
    assert size.item() == pytest.approx(600 * np.log(10))
    size.backward()
    np.testing.assert_allclose(A.grad, -1e-200 * np.eye(3))


EQUAL = {
    "eigh": lambda A: np.linalg.eigh((A + A.T) / 2)[1],
    "svd": lambda A: np.linalg.svd(A)[0],
    "the right vectors": lambda A: np.linalg.svd(A)[2],
}


@pytest.mark.parametrize("kind", EQUAL)
@pytest.mark.parametrize("turn", [np.eye(3), np.linalg.qr(RNG.standard_normal((3, 3)))[0]])
def test_vectors_of_equal_eigenvalues_have_no_derivative(kind, turn):
    A = tg.Value(turn @ np.diag([2.0, 5.0, 2.0]) @ turn.T, "A")
    weights = RNG.standard_normal((3, 3))
    with pytest.raises(tg.GradError, match=r"equal.*up to rounding.*have no derivative"):
        tg.sum(EQUAL[kind](A) * weights).backward()
    assert A.grad is None


def test_a_vector_whose_eigenvalue_stands_alone_has_one_also_beside_equal_ones():
    q = np.linalg.qr(RNG.standard_normal((4, 4)))[0]
    A = q @ np.diag([0.0, 0.0, 0.0, 3.0]) @ q.T
    c = RNG.standard_normal(4)
    tg.check_gradients(lambda A: (tg.eigh((A + A.T) / 2)[1][:, -1] @ c) ** 2, A)
    tg.check_gradients(lambda A: (tg.svd(A)[0][:, 0] @ c) ** 2, A)


def test_what_does_not_depend_on_the_order_of_equal_eigenvalues_is_differentiated():
    A = np.diag([2.0, 5.0, 2.0])
    tg.check_gradients(lambda A: tg.sum(tg.eigvalsh((A + A.T) / 2) ** 3), A)
    tg.check_gradients(lambda A: tg.sum(tg.svdvals(A) ** 3), A)


def test_the_vectors_of_a_singular_value_of_zero_have_no_derivative():
    A = tg.Value(np.outer([1.0, 2, 2], [3.0, 4]), "A")
    _, s, _ = np.linalg.svd(A, full_matrices=False)
    u = np.linalg.svd(A, full_matrices=False)[0]
    (s[0] * u[0, 0]).backward()
    assert np.isfinite(A.grad).all()
    with pytest.raises(tg.GradError, match="or one is 0"):
        u[0, 1].backward()


@pytest.mark.parametrize("name", ["eigh", "eigvalsh", "cholesky"])
def test_a_matrix_that_is_not_symmetric_is_refused_by_its_name(name):
    A = tg.Value([[2.0, 1.0], [0.0, 2.0]], "A")
    with pytest.raises(tg.GradError, match=rf"{name}: A \(2, 2\) is not symmetric"):
        getattr(np.linalg, name)(A)
    with pytest.raises(tg.GradError, match="square"):
        getattr(tg, name)(np.ones((2, 3)))


REFUSED = {
    "svd: .*full_matrices=False": lambda A: np.linalg.svd(A),
    "qr: mode is": lambda A: np.linalg.qr(A, mode="raw"),
    "there is no ord='nuc'": lambda A: np.linalg.norm(A, "nuc", axis=1),
    "there is no ord=3": lambda A: np.linalg.norm(A, 3),
    "one axis or two": lambda A: np.linalg.norm(A[None], 1),
    "not positive definite": lambda A: np.linalg.cholesky(-A @ A.T),
    "has no windows": lambda A: np.lib.stride_tricks.sliding_window_view(A, (4, 1)),
    "lengths for the axes": lambda A: np.lib.stride_tricks.sliding_window_view(A, 2),
    "inv: .*Singular": lambda A: np.linalg.inv(A * 0 @ A.T),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_there_is_not_is_refused_in_words(words):
    with pytest.raises(tg.GradError, match=words):
        REFUSED[words](tg.Value(np.arange(6.0).reshape(3, 2), "A"))


ORDERS = [None, 1, 2, -1, -2, np.inf, -np.inf, "fro", "nuc"]


@pytest.mark.parametrize("ord", ORDERS)
@pytest.mark.parametrize("keepdims", [False, True])
def test_a_norm_of_a_matrix_is_numpys(ord, keepdims):
    x = RNG.standard_normal((4, 2, 3))
    for axis in ((0, 2), (2, 0), (1, -1)):
        ours = np.linalg.norm(tg.Value(x), ord, axis, keepdims)
        np.testing.assert_allclose(ours.data, np.linalg.norm(x, ord, axis, keepdims), rtol=1e-13)
    for function in (np.linalg.matrix_norm, np.linalg.vector_norm):
        np.testing.assert_allclose(function(tg.Value(x)).data, function(x), rtol=1e-13)


@pytest.mark.parametrize("ord", [0, 0.5, 3, -2])
def test_a_norm_of_a_vector_is_numpys(ord):
    x = np.array([0.0, -2.0, 3.0]) if ord == 0 else np.array([1.0, -2.0, 3.0])
    assert np.linalg.norm(tg.Value(x), ord).item() == pytest.approx(np.linalg.norm(x, ord))
    assert tg.norm(x, ord=ord) == pytest.approx(np.linalg.norm(x, ord))


@pytest.mark.parametrize("shape", [(0, 3, 3), (2, 0, 0)])
@pytest.mark.parametrize("name", ["det", "inv", "cholesky", "eigvalsh", "pinv"])
def test_no_matrices_and_matrices_of_nothing(shape, name):
    A = tg.Value(np.zeros(shape))
    z = getattr(tg, name)(A)
    assert z.shape == getattr(np.linalg, name)(A.data).shape
    tg.sum(z).backward()
    assert A.grad.shape == shape


def test_probabilities_of_zero_are_added_with_slopes_of_a_half():
    x, y = tg.Value(-np.inf), tg.Value(-np.inf)
    tg.logaddexp(x, y).backward()
    assert (x.grad, y.grad) == (0.5, 0.5)
    a, b = tg.Value([-np.inf, 0.0, 1000.0]), tg.Value([0.0, -np.inf, -1000.0])
    np.logaddexp(a, b).backward(np.ones(3))
    assert a.grad.tolist() == [0, 1, 1]
    assert b.grad.tolist() == [1, 0, 0]


def test_a_solution_by_least_squares_derived_and_compiled():
    X, y = tg.Value(RNG.standard_normal((5, 3)), "X"), tg.Value(RNG.standard_normal(5), "y")
    q, r = np.linalg.qr(X)
    J = tg.sum((np.linalg.inv(r) @ (q.T @ y)) ** 2)
    J.backward()
    derived = {}
    exec(tg.derive(J).to_numpy(), derived)
    _, by_line = derived["gradients"](X=X.data, y=y.data)
    _, by_program = tg.compile(J)(X=X.data, y=y.data)
    for found in (by_line["dX"], by_program["X"]):
        np.testing.assert_allclose(found, X.grad, rtol=1e-9)


@pytest.mark.parametrize("second", [[2.0, -4, 6], [2.0, -4, 6 * (1 + 1e-16)], [0.0, 0, 0]])
def test_dependent_columns_have_no_orthonormal_ones_to_differentiate(second):
    x = np.array([[1.0, -2, 3], second]).T
    for a in (x, np.stack([RNG.standard_normal((3, 2)), x])):
        with pytest.raises(np.linalg.LinAlgError, match="dependent up to rounding"):
            tg.qr(tg.Value(a))
        q, r = tg.qr(tg.Value(a, requires_grad=False))
        np.testing.assert_allclose((q @ r).data, a, atol=1e-14)


@pytest.mark.parametrize("by", [1e-3, 1e-20])
def test_columns_of_any_length_are_independent(by):
    x = RNG.standard_normal((4, 2))
    slope = tg.grad(lambda a: tg.sum(tg.qr(a)[0] ** 3))
    d, scaled = slope(x), slope(x * [1.0, by])
    np.testing.assert_allclose(scaled, d / [1.0, by], rtol=1e-9)


def test_a_diagonal_is_picked_from_the_matrix_as_it_stands():
    A = tg.Value(RNG.standard_normal((3, 3)), "A")
    line = tg.derive(tg.sum(tg.diag(A) ** 2))["dA"].text
    assert "transpose" not in line
    A.grad = None
    tg.sum(tg.diag(A) ** 2).backward()
    np.testing.assert_allclose(A.grad, 2 * np.diag(np.diag(A.data)))
