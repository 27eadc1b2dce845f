"""`debug_nans`: the operation, the inputs and the line behind a nan or an infinity."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import GradError, Value


def sigmoid_by_hand():
    x = Value(-1000.0, "x")
    return 1 / (1 + tg.exp(-x))  # here


def cross_entropy_by_hand():
    a = tg.sigmoid(Value(40.0, "z"))
    return -(1 * tg.log(a) + 0 * tg.log(1 - a))  # here


def product_over_each():
    x = Value([2.0, 0.0, 3.0], "x")
    return (np.prod(x) / x).sum()  # here


def hidden_branch():
    x = Value([-1.0, -4.0], "x")
    return tg.where(x > 0, tg.sqrt(x), x).sum()  # here


def overflow():
    W = Value(np.full((2, 3), 1e200), "W")
    return (W * W).sum()  # here


def nan_handed_in():
    X = Value([1.0, np.nan], "X")
    return (X + 1.0).sum()  # here


@pytest.mark.parametrize(
    "formula, operation, operand",
    [
        (sigmoid_by_hand, "exp", "1000.0"),
        (cross_entropy_by_hand, "log", "0.0"),
        (product_over_each, "divide", r"x \(3,\)"),
        (hidden_branch, "sqrt", r"x \(2,\).*x = -1.0"),
        (overflow, "multiply", r"W \(2, 3\).*inf at \[0, 0\]"),
        (nan_handed_in, "add", r"X \(2,\).*nan at \[1\]"),
    ],
)
def test_forward_it_names_operation_inputs_and_line(formula, operation, operand):
    line = formula.__code__.co_firstlineno
    with pytest.raises(
        GradError, match=rf"(?s)^{operation} of .*{operand}.*test_debug\.py:"
    ) as found:
        with tg.debug_nans():
            formula().backward()
    text = str(found.value)
    assert "# here" in text
    assert any(f"test_debug.py:{line + i}:" in text for i in (2, 3))


def test_backward_it_names_the_rule_and_the_line_of_the_forward():
    x, y = Value([0.0, 4.0], "x"), Value(2.0, "y")
    with tg.debug_nans():
        z = tg.sqrt(x)  # made here
        cost = (z * y).sum()
        with pytest.raises(
            GradError, match=r"derivative of sqrt of x \(2,\).*inf at \[0\]"
        ) as found:
            cost.backward()
    assert "# made here" in str(found.value)
    assert [v.grad for v in (x, y, z, cost)] == [None] * 4


@pytest.mark.parametrize(
    "derivative",
    [
        tg.grad, tg.value_and_grad, tg.jacobian,
        lambda f: lambda x: tg.vjp(f, x)[1](1.0),
    ],
    ids=["grad", "value_and_grad", "jacobian", "vjp"],
)  # fmt: skip
def test_backward_it_looks_into_functions_of_functions_too(derivative):
    def f(x):
        return tg.sum(tg.sqrt(x) * 2.0)  # made here

    x = np.array([4.0, 0.0])
    with np.errstate(all="ignore"):
        assert np.isinf(np.asarray(derivative(f)(x)[-1])).any()
    with (
        tg.debug_nans(),
        pytest.raises(GradError, match=r"derivative of sqrt of .*inf at \[1\]") as e,
    ):
        derivative(f)(x)
    assert "# made here" in str(e.value)


def test_backward_that_keeps_the_leaves_only_is_looked_into_as_well():
    x = Value([4.0, 0.0], "x")
    with tg.debug_nans():
        z = tg.sqrt(x)
        with pytest.raises(GradError, match=r"derivative of sqrt of x"):
            tg.sum(z * 2.0).backward(keep="leaves")
        w = tg.sqrt(x + 1.0)
        cost = tg.sum(w)
        cost.backward(keep="leaves")
    assert x.grad.tolist() == (0.5 / np.sqrt([5.0, 1.0])).tolist()
    assert w.grad is None
    assert cost.grad == 1.0


def test_in_a_second_derivative_the_operation_of_the_rule_is_named():
    with tg.debug_nans(), pytest.raises(GradError, match=r"divide.*gives inf") as found:
        tg.grad(tg.grad(lambda x: x**1.5 + tg.sqrt(x)))(0.0)  # asked for here
    assert "# asked for here" in str(found.value)


def test_contributions_that_are_too_large_together_are_told():
    x = Value([0.5, 0.25], "x")
    with tg.debug_nans():
        cost = tg.sum(x * 1e308) + tg.sum(x * 1e308) * 0.9
        with pytest.raises(GradError, match=r"gradient of x \(2,\) is inf at \[0\].*together"):
            cost.backward()
    assert x.grad is None


def test_a_seed_that_is_not_finite_accuses_nobody():
    x = Value([1.0, 2.0], "x")
    with tg.debug_nans():
        for _ in range(2):
            (tg.exp(x) * x).backward([np.nan, 1.0])
    assert np.isnan(x.grad[0])
    assert np.isfinite(x.grad[1])


def test_the_first_bad_rule_of_a_long_chain_is_found_in_one_pass():
    x = Value([4.0, 0.0], "x")
    with tg.debug_nans():
        z = tg.sqrt(x)
        for _ in range(2000):
            z = z * 1.0
        with pytest.raises(GradError, match=r"derivative of sqrt of x"):
            tg.sum(z).backward()


def test_what_is_finite_is_the_same_as_without():
    def run():
        W, X = Value(np.linspace(-1, 1, 6).reshape(2, 3)), np.linspace(0, 2, 12).reshape(3, 4)
        cost = tg.mean(tg.tanh(W @ X) ** 2 + 1.0 / (W @ X + 9.0))
        cost.backward()
        return cost.item(), W.grad

    plain = run()
    with tg.debug_nans():
        watched = run()
    assert plain[0] == watched[0]
    assert np.array_equal(plain[1], watched[1])


def test_an_infinity_that_was_handed_in_is_no_news():
    """A mask of minus infinity before a softmax is meant."""
    z = Value([1.0, 2.0, 3.0])
    with tg.debug_nans():
        a = tg.softmax(z + np.array([0.0, -np.inf, 0.0]))
        a[0].backward()
    assert z.grad[1] == 0.0


def test_it_ends_with_its_block_and_nests_and_decorates():
    operators = dict(vars(Value))
    log = lambda: tg.log(Value(0.0))  # noqa: E731
    with pytest.raises(GradError), tg.debug_nans(), tg.debug_nans():
        log()
    with tg.debug_nans():
        with tg.debug_nans():
            pass
        with pytest.raises(GradError):
            log()
    with pytest.raises(GradError):
        tg.debug_nans()(log)()
    block = tg.debug_nans()
    with block, block:
        pass
    with pytest.warns(RuntimeWarning):
        assert log().item() == -np.inf
    assert dict(vars(Value)) == operators  # nothing is left behind: off, it costs nothing


def test_it_is_for_this_thread():
    found = []

    def elsewhere():
        with np.errstate(all="ignore"):
            found.append(tg.log(Value(0.0)).item())

    with tg.debug_nans():
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert found == [-np.inf]


def test_inside_no_grad_it_still_looks():
    with tg.debug_nans(), tg.no_grad(), pytest.raises(GradError, match="log"):
        tg.log(Value(0.0))
