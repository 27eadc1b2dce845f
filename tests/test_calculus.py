"""Functions of derivatives, and the referee they are checked by: also on functions made wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import GradError, Value

numbers = st.floats(-3, 3, allow_subnormal=False)


def test_numbers_for_numbers_and_values_for_values():
    f = lambda x: tg.sum(x * x)  # noqa: E731
    assert type(tg.grad(f)(3.0)) is float
    assert type(tg.grad(f)(3)) is float
    assert type(tg.grad(f)([1.0, 2.0])) is np.ndarray
    assert tg.grad(f)(np.ones(2, dtype=np.float32)).dtype == np.float32
    assert type(tg.grad(f)(Value([1.0, 2.0]))) is Value
    z, dx = tg.value_and_grad(f)(np.array([1.0, 2.0]))
    assert (type(z), z, dx.tolist()) == (float, 5.0, [2.0, 4.0])


def test_which_arguments():
    f = lambda x, y, z: x * y + z * z  # noqa: E731
    assert tg.grad(f)(2.0, 3.0, 4.0) == 3.0
    assert tg.grad(f, 1)(2.0, 3.0, 4.0) == 2.0
    assert tg.grad(f, -1)(2.0, 3.0, 4.0) == 8.0
    assert tg.grad(f, (2, 0))(2.0, 3.0, 4.0) == (8.0, 3.0)
    assert tg.grad(f, (0, -3))(2.0, 3.0, 4.0) == (3.0, 3.0)  # one argument, named twice
    for wrong in (3, -4, (0, 7)):
        with pytest.raises(GradError, match="there is no argument"):
            tg.grad(f, wrong)(2.0, 3.0, 4.0)
    for wrong in ("x", 1.5, None):
        with pytest.raises((TypeError, GradError)):
            tg.grad(f, wrong)(2.0, 3.0, 4.0)


def test_what_the_result_does_not_depend_on_has_gradient_zero():
    assert tg.grad(lambda x, y: x * x, (0, 1))(2.0, 3.0) == (4.0, 0.0)
    dx, dy = tg.grad(lambda x, y: tg.sum(x), (0, 1))(np.ones(2), np.array([np.inf, np.nan]))
    assert (dx.tolist(), dy.tolist()) == ([1.0, 1.0], [0.0, 0.0])
    assert tg.grad(lambda x: tg.sum(x.detach() * 2))(np.ones(2)).tolist() == [0.0, 0.0]


def test_a_result_that_lost_its_graph_or_is_no_number_is_refused():
    with pytest.raises(TypeError, match="not a Value"):
        tg.grad(lambda x: x.item() * 2)(3.0)
    with pytest.raises(TypeError, match="is a return missing"):
        tg.grad(lambda x: None)(3.0)
    with pytest.raises(GradError, match=r"shape \(2,\).*tg\.jacobian"):
        tg.grad(lambda x: x * 2)(np.ones(2))


def test_arguments_keep_their_gradients_and_numbers():
    w, x = Value(3.0, "w"), np.array([1.0, 2.0])
    tg.grad(lambda v, y: tg.sum(v * v * y), (0, 1))(w, x)
    assert w.grad is None
    assert x.tolist() == [1.0, 2.0]
    found = tg.grad(lambda v: tg.sum(v))(x)
    found[:] = 5.0
    assert x.tolist() == [1.0, 2.0]


def test_it_records_also_inside_no_grad():
    with tg.no_grad():
        assert tg.grad(lambda x: x * x)(3.0) == 6.0


def test_vjp_pulls_any_seed_back():
    A = np.arange(6.0).reshape(2, 3)
    z, back = tg.vjp(lambda x: A @ x, np.ones(3))
    assert z.tolist() == [3.0, 12.0]
    for seed in (np.array([1.0, 0.0]), np.array([-2.0, 3.0])):
        assert back(seed)[0].tolist() == (A.T @ seed).tolist()
    for wrong in (1.0, np.ones(3), "a", None):
        with pytest.raises((GradError, TypeError)):
            back(wrong)


def test_jacobians_by_hand():
    A = np.arange(6.0).reshape(2, 3)
    assert tg.jacobian(lambda x: A @ x)(np.ones(3)).tolist() == A.tolist()
    assert tg.jacobian(lambda x: x * 2)(3.0) == 2.0
    assert tg.jacobian(lambda x: tg.sum(x))(np.ones((2, 2))).tolist() == [[1, 1], [1, 1]]
    assert tg.jacobian(lambda x: x * np.ones((2, 2)))(1.0).tolist() == [[1, 1], [1, 1]]
    dx, dy = tg.jacobian(lambda x, y: x * y, (0, 1))(np.array([1.0, 2.0]), 3.0)
    assert (dx.tolist(), dy.tolist()) == ([[3, 0], [0, 3]], [1, 2])
    assert tg.jacobian(lambda x: x[:0])(np.ones(3)).shape == (0, 3)
    assert tg.jacobian(lambda W: W @ np.ones(2))(np.ones((3, 2))).shape == (3, 3, 2)


def test_hessians_by_hand():
    quadratic = np.array([[2.0, 1.0], [1.0, 6.0]])
    assert np.allclose(tg.hessian(lambda x: 0.5 * (x @ quadratic @ x))(np.ones(2)), quadratic)
    assert tg.hessian(lambda x: x**4)(2.0) == 48.0
    assert tg.hessian(lambda x: tg.sum(3.0 * x))(np.ones(2)).tolist() == [[0, 0], [0, 0]]
    assert tg.hessian(lambda x, y: x * y * y, 1)(3.0, 5.0) == 6.0


@given(numbers, numbers)
def test_mixed_derivatives_do_not_depend_on_the_order(x, y):
    f = lambda a, b: tg.sin(a * b) * a + tg.tanh(b) * a * a  # noqa: E731
    xy = tg.grad(lambda a, b: tg.grad(f, 1)(a, b), 0)(x, y)
    yx = tg.grad(lambda a, b: tg.grad(f, 0)(a, b), 1)(x, y)
    assert xy == pytest.approx(yx, rel=1e-12, abs=1e-12)


@given(numbers)
def test_four_derivatives_of_the_sine(x):
    f = tg.sin
    for expected in (np.cos(x), -np.sin(x), -np.cos(x), np.sin(x)):
        f = tg.grad(f)
        assert f(x) == pytest.approx(expected, rel=1e-13, abs=1e-15)


def test_gradients_of_gradients_descend():
    """The step that minimises a quadratic along its gradient, found by a derivative through one."""

    def after_a_step(rate):
        w = Value([1.0, -2.0], requires_grad=False)
        cost = lambda v: tg.sum(v * v * np.array([1.0, 3.0]))  # noqa: E731
        return cost(w - rate * tg.grad(cost)(w))

    slope = tg.numerical_gradient(lambda r: after_a_step(r).item(), 0.1)
    assert tg.grad(after_a_step)(0.1) == pytest.approx(slope, rel=1e-7)


def test_numerical_gradient_is_the_central_difference():
    assert tg.numerical_gradient(lambda x: x * x, 3.0) == pytest.approx(6.0, rel=1e-9)
    dx, dy = tg.numerical_gradient(lambda x, y: tg.sum(x) * y, np.ones((2, 1)), 3.0)
    assert np.allclose(dx, [[3.0], [3.0]])
    assert dy == pytest.approx(2.0)
    assert tg.numerical_gradient(abs, 0.0) == 0.0  # between the two slopes
    coarse = tg.numerical_gradient(lambda x: x**3, 1.0, eps=0.1)
    assert coarse == pytest.approx(3.01)  # (1.1³ − 0.9³) / 0.2
    with pytest.raises(GradError, match="single number"):
        tg.numerical_gradient(lambda x: x * 2, np.ones(2))
    with pytest.raises(GradError, match="eps"):
        tg.numerical_gradient(lambda x: x, 1.0, eps=0.0)


def test_numerical_gradient_gives_values_what_they_expect_and_leaves_them_alone():
    w = Value([1.0, 2.0], "w")
    seen = set()
    found = tg.numerical_gradient(lambda v: seen.add(v.name) or tg.sum(v * v), w)
    assert np.allclose(found, [2.0, 4.0])
    assert seen == {"w"}
    assert w.data.tolist() == [1.0, 2.0]
    assert w.grad is None


def test_check_gradients_passes_what_is_right_to_second_order():
    tg.check_gradients(lambda W, x: tg.tanh(W @ x), np.ones((2, 3)) / 3, np.ones(3), order=2)
    tg.check_gradients(tg.softmax, np.array([0.1, 0.2, 0.3]), order=2)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda dz, z, x: dz * (1.0 - z * z) * 1.001,
        lambda dz, z, x: dz * (1.0 + z * z),
        lambda dz, z, x: 1.0 - z * z,
        lambda dz, z, x: dz * dz * (1.0 - z * z),
        lambda dz, z, x: tg.abs(dz) * (1.0 - z * z),
        lambda dz, z, x: dz * (1.0 - x * x),
    ],
)
def test_check_gradients_notices_a_wrong_rule_and_says_where(wrong, monkeypatch):
    monkeypatch.setattr(tg.tanh, "rules", (wrong,))
    with pytest.raises(AssertionError, match=r"with respect to W\[\d, \d\].*central difference"):
        tg.check_gradients(lambda W: tg.tanh(W) * -2.0, np.arange(6.0).reshape(2, 3) / 5 - 0.4)


def test_check_gradients_notices_a_gradient_that_cannot_be_differentiated(monkeypatch):
    def detached(dz, z, x):
        g = dz * (1.0 - z * z)
        return g.detach() if isinstance(g, Value) else g

    monkeypatch.setattr(tg.tanh, "rules", (detached,))
    tg.check_gradients(tg.tanh, 0.3)
    with pytest.raises(AssertionError, match="order 2"):
        tg.check_gradients(tg.tanh, 0.3, order=2)


def test_check_gradients_refuses_nonsense():
    with pytest.raises(GradError, match="order"):
        tg.check_gradients(tg.exp, 1.0, order=0)
    with pytest.raises(GradError, match="no argument"):
        tg.check_gradients(tg.exp)
