"""Digits where formulas lose them: whole exponents, tails, equal numbers, extremes of scale.

The referee is Python's `decimal` at 60 digits, or a number one can check on paper.
"""

from __future__ import annotations

import decimal
import itertools
import math
import warnings
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg

V = tg.Value
INF = math.inf


def slope(f: Any, x: float, form: str = "array") -> float:
    """The derivative at x, of a single number, of an array, or by a compiled program."""
    if form == "array":
        leaf = V([x, 0.25])
        tg.sum(f(leaf)).backward()
        return leaf.grad[0]
    leaf = V(0.25 if form == "program" else x, "x")
    if form == "program":
        return tg.compile(f(leaf))(x=x)[1]["x"]
    f(leaf).backward()
    return leaf.grad


def close(found: float, expected: Decimal, tolerance: float) -> bool:
    return abs(Decimal(float(found)) - expected) <= abs(expected) * Decimal(tolerance)


# --- exponents that are whole numbers, exactly


def power(x: Any, y: Any) -> Any:
    return x**y


@pytest.mark.parametrize("x, y", [(23.0, 0.0), (2.0, 0.0), (2.0, 1.0), (0.5, 2.0), (3.0, -1.0)])
def test_a_power_has_the_same_mixed_derivative_both_ways_round(x, y):
    expected = x ** (y - 1) * (1 + y * math.log(x))
    assert tg.grad(tg.grad(power, 0), 1)(x, y) == pytest.approx(expected, rel=1e-14)
    assert tg.grad(tg.grad(power, 1), 0)(x, y) == pytest.approx(expected, rel=1e-14)
    hessian = tg.hessian(lambda v: v[0] ** v[1])(np.array([x, y]))
    assert hessian[0, 1] == pytest.approx(hessian[1, 0], rel=1e-14)
    assert hessian[1, 1] == pytest.approx(x**y * math.log(x) ** 2, rel=1e-14)


@pytest.mark.parametrize("x, n", [*itertools.product([0.0, -1.5, 2.0], [0, 1, 2, 3])])
def test_every_derivative_of_a_whole_power_is_that_of_the_polynomial(x, n):
    """With the exponent an array, so that no rule is told that it is whole."""
    exponent = np.array([float(n)])
    expected = np.polynomial.Polynomial([0.0] * n + [1.0])
    f: Any = lambda v: tg.sum(v**exponent)  # noqa: E731
    for _ in range(4):
        f, expected = tg.grad(lambda v, f=f: tg.sum(f(v))), expected.deriv()
        assert f(np.array([x])).tolist() == [expected(x)]


def test_the_third_derivative_by_base_base_and_exponent_is_right_at_whole_exponents():
    for x, y in [(2.0, 0.0), (2.0, 1.0), (3.0, 2.0)]:
        third = tg.grad(tg.grad(tg.grad(power, 0), 0), 1)(x, y)
        expected = (2 * y - 1) * x ** (y - 2) + y * (y - 1) * x ** (y - 2) * math.log(x)
        assert third == pytest.approx(expected, rel=1e-13)


def test_the_line_of_a_power_is_a_teachers():
    A, B = V([2.0, 3.0], "A"), V([1.5, 2.5], "B")
    assert tg.derive(tg.sum(A**B))["dA"].text == "dA = B ∗ A^(B − 1)"


# --- tails


def sech2(x: Decimal) -> Decimal:
    return 4 * (-2 * x).exp() / (1 + (-2 * x).exp()) ** 2


def sigmoid_slope(x: Decimal) -> Decimal:
    return (-x).exp() / (1 + (-x).exp()) ** 2


POINTS = [-300.0, -40.0, -18.0, -6.0, -0.5, 0.0, 1e-9, 1.0, 3.0, 5.0, 8.0, 12.0, 20.0, 50.0, 350.0]


@pytest.mark.parametrize("form", ["number", "array", "program"])
@pytest.mark.parametrize("f, expected, tolerance", [
    (tg.tanh, sech2, 4e-9), (tg.sigmoid, sigmoid_slope, 1e-15),
    (tg.softplus, lambda x: 1 / (1 + (-x).exp()), 1e-15),
    (lambda z: tg.binary_cross_entropy(z, np.ones(z.shape), from_logits=True),
     lambda x: -1 / (1 + x.exp()), 1e-15),
    (lambda z: tg.binary_cross_entropy(z, np.zeros(z.shape), from_logits=True),
     lambda x: 1 / (1 + (-x).exp()), 1e-15),
])  # fmt: skip
def test_slopes_keep_their_digits_in_the_tails(f, expected, tolerance, form):
    with decimal.localcontext(prec=400):
        for x in POINTS:
            found = slope(f, x, form)
            limit = 1e-13 if form != "array" and tolerance > 1e-13 else tolerance
            assert close(found, expected(Decimal(x)), limit), f"{x}: {found}"


def test_the_slope_of_tanh_beyond_nine_is_exact_in_arrays_too():
    with decimal.localcontext(prec=400):
        for x in (9.1, -11.0, 18.0, 19.5, 350.0):
            assert close(slope(tg.tanh, x), sech2(Decimal(x)), 1e-13)
    assert slope(tg.tanh, 800.0) == slope(tg.tanh, INF) == slope(tg.tanh, 800.0, "number") == 0.0


def test_the_second_derivative_of_tanh_keeps_its_digits():
    second = tg.grad(tg.grad(tg.tanh))(20.0)
    assert second == pytest.approx(-2 * math.cosh(20.0) ** -2, rel=1e-14)


def test_the_line_of_tanh_and_of_sigmoid_is_the_lectures():
    z = V([0.3, 0.2, 0.1], "z")
    for f, line in ((tg.tanh, "dz = 1 − a²"), (tg.sigmoid, "dz = a ∗ (1 − a)")):
        a = f(z)
        a.name = "a"
        assert tg.derive(tg.sum(a))["dz"].text == line


@pytest.mark.parametrize("a, y, expected", [
    (1e-20, 0.0, 1e-20), (1e-300, 0.0, 1e-300), (1e-9, 0.25, 0.25 * 9 * math.log(10) + 7.5e-10),
])  # fmt: skip
def test_the_loss_of_a_nearly_certain_probability(a, y, expected):
    for shape in ((), (1,), (1, 2)):
        loss = tg.binary_cross_entropy(np.full(shape, a), np.full(shape, y))
        assert np.ravel(loss)[0] == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("gap", [0.5, 6.0, 40.0, 300.0])
def test_the_loss_of_nearly_certain_classes_and_its_slopes(gap):
    """Of two classes, one ahead by a gap: the loss of the right one is log(1 + e^-gap)."""
    wrong = math.exp(-gap) / (1 + math.exp(-gap))
    logits = V([[gap + 1000.0, -gap], [1000.0, 0.0]])
    for labels in ([0, 1], np.eye(2)):
        logits.zero_grad()
        loss = tg.cross_entropy(logits, labels)
        loss.sum().backward()
        assert loss.data == pytest.approx([math.log1p(math.exp(-gap))] * 2, rel=1e-12)
        assert logits.grad.ravel() == pytest.approx([-wrong, wrong, wrong, -wrong], rel=1e-12)


@pytest.mark.parametrize("gap", [0.5, 40.0, 300.0])
def test_softmax_and_its_kin_keep_their_digits(gap):
    wrong = math.exp(-gap) / (1 + math.exp(-gap))
    both = wrong / (1 + math.exp(-gap))
    for f, value, slopes in (
        (lambda v: tg.softmax(v)[0], 1 - wrong, [both, -both]),
        (lambda v: tg.log_softmax(v)[0], -math.log1p(math.exp(-gap)), [wrong, -wrong]),
        (lambda v: tg.logsumexp(v) - 0.0, math.log1p(math.exp(-gap)), [wrong, 1 - wrong]),
    ):
        v = V([gap, 0.0]) if slopes[0] != wrong or slopes[1] < 0 else V([-gap, 0.0])
        z = f(v)
        z.backward()
        assert z.data == pytest.approx(value, rel=1e-14)
        assert v.grad == pytest.approx(slopes, rel=1e-12)


# --- infinite logits


@pytest.mark.parametrize("z, y, loss, dz", [
    (INF, 1.0, 0.0, 0.0), (-INF, 0.0, 0.0, 0.0), (INF, 0.0, INF, 1.0), (-INF, 1.0, INF, -1.0),
])  # fmt: skip
def test_the_loss_of_infinite_logits(z, y, loss, dz):
    for shape in ((), (1,), (1, 1)):
        leaf = V(np.full(shape, z))
        found = tg.binary_cross_entropy(leaf, np.full(shape, y), from_logits=True)
        found.backward(np.ones(found.shape))
        assert np.ravel(found.data)[0] == loss
        assert np.ravel(leaf.grad)[0] == dz


@pytest.mark.parametrize("x, total, shares", [
    ([-INF, -INF], -INF, [0.5, 0.5]), ([INF, 1.0], INF, [1.0, 0.0]),
    ([INF, INF, 2.0], INF, [0.5, 0.5, 0.0]), ([-INF, 3.0], 3.0, [0.0, 1.0]),
])  # fmt: skip
def test_infinities_share_a_softmax_evenly(x, total, shares):
    leaf = V(x)
    z = tg.logsumexp(leaf)
    z.backward()
    assert z.data == total
    assert leaf.grad.tolist() == shares == tg.softmax(np.array(x)).tolist()


# --- deviations from a mean


@pytest.mark.parametrize("x", [[0.1] * 3, [0.7] * 10, [1e8 + 0.1] * 7, [1e-200] * 3])
def test_equal_numbers_deviate_by_nothing(x):
    leaf = V(x)
    s = tg.std(leaf)
    s.backward()
    assert s.data == tg.var(np.array(x)) == 0.0
    assert leaf.grad.tolist() == [0.0] * len(x)
    assert not np.any(tg.hessian(tg.std)(np.array(x)))


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1.0, 1e150, 1e200])
def test_a_standard_deviation_at_any_scale(scale):
    x = np.array([1.0, 2.0]) * scale
    leaf = V(x, "x")
    s = tg.std(leaf)
    s.backward()
    assert s.data == pytest.approx(0.5 * scale, rel=1e-14)
    assert leaf.grad == pytest.approx([-0.5, 0.5], rel=1e-14)
    value, gradients = tg.compile(s)(x=x)
    assert value == pytest.approx(0.5 * scale, rel=1e-14)
    assert gradients["x"] == pytest.approx([-0.5, 0.5], rel=1e-14)


def test_a_standard_deviation_far_from_zero():
    for x in ([1e8, 1e8 + 1, 1e8 + 2], [1e12 + 1, 1e12, 1e12 + 2], [-1e8, 2 - 1e8, 1 - 1e8]):
        leaf = V(x)
        tg.std(leaf).backward()
        expected = (np.array(x) - np.sort(x)[1]) / math.sqrt(6)
        assert leaf.grad == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("f", [tg.norm, tg.std, lambda v: tg.sum(tg.norm(v, axis=0))])
def test_where_the_first_derivative_is_taken_as_0_so_is_the_second(f):
    x = np.zeros((2, 3))
    assert not np.any(tg.grad(f)(x))
    assert not np.any(tg.hessian(f)(x))


# --- precision that is not held


@pytest.mark.parametrize("held", [
    lambda x: V(x).data, lambda x: (V(np.float32([2.0, 3.0])) * x).data,
    lambda x: tg.exp(x), lambda x: tg.mean(x, axis=0, keepdims=True), lambda x: tg.grad(tg.sum)(x),
])  # fmt: skip
def test_half_precision_is_held_as_float32(held):
    assert held(np.array([1.0, 2.0], np.float16)).dtype == np.float32


def test_half_precision_overflows_nowhere():
    ones = np.ones(70_000, np.float16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tg.mean(ones) == tg.mean(V(ones)).data == 1.0
        assert tg.sum(ones) == 70_000.0
        assert tg.softmax(np.array([12.0, 12.0], np.float16)).tolist() == [0.5, 0.5]


def _set(x: Any) -> None:
    V([1.0, 2.0]).data = x


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="longdouble is float64 here")
@pytest.mark.parametrize("given", [
    V, lambda x: V([1.0, 2.0]) * x, tg.exp, _set, tg.grad(tg.sum),
    lambda x: (V([1.0, 2.0]) * 2.0).backward(x), lambda x: tg.clip(V([1.0, 2.0]), x[0], None),
    lambda x: tg.compile(tg.sum(V([1.0, 2.0], "x") ** 2))(x=x), lambda x: tg.max(x),
])  # fmt: skip
def test_more_precision_than_is_computed_with_is_refused(given):
    with pytest.raises(TypeError, match=r"more digits.*astype\(float\)"):
        given(np.array([1.0, 2.0], np.longdouble))


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="longdouble is float64 here")
def test_the_data_of_a_sheet_are_held_likewise(tmp_path):
    (tmp_path / "a.sheet").write_text("x: (3,)\nJ = np.sum(x * x)\ndx = 2 * x\n")
    for dtype in (np.float16, np.float32):
        data = {"x": np.array([1.0, 2.0, 0.5], dtype)}
        assert tg.check_sheet(str(tmp_path / "a.sheet"), data=data).ok
    with pytest.raises(tg.SheetError, match=r"astype\(float\)"):
        tg.check_sheet(str(tmp_path / "a.sheet"), data={"x": np.ones(3, np.longdouble)})


# --- numbers that are no probabilities


@pytest.mark.parametrize("a", [[2.0, 0.5], [-0.5, 0.1], [1.001, 0.0], [3.0, -4.0]])
def test_what_is_no_probability_is_told(a):
    for given in (np.array(a), V(a), V(a).reshape(1, 2)):
        with pytest.raises(tg.GradError, match=r"probabilities must be from 0 to 1.*sigmoid"):
            tg.binary_cross_entropy(given, np.ones(given.shape))


@pytest.mark.parametrize("y", [[-1.0, 1.0], [2.0, 0.0], [0.5, -0.1]])
@pytest.mark.parametrize("from_logits", [True, False])
def test_what_is_no_target_is_told(y, from_logits):
    for given in (np.array(y), V(y)):
        for _ in range(2):
            with pytest.raises(tg.GradError, match="targets must be from 0 to 1"):
                tg.binary_cross_entropy(V([0.5, 0.5]), given, from_logits=from_logits)
    with pytest.raises(tg.GradError, match="one-hot labels must be from 0 to 1"):
        tg.cross_entropy(V([0.5, 0.5]), np.array(y))


def test_rounding_is_forgiven():
    for a in (1 + 2e-16, -1e-17, 1 + 1e-12):
        assert tg.binary_cross_entropy(V([a]), [round(a) * 1.0]).data == pytest.approx(0, abs=1e-11)
    with pytest.warns(RuntimeWarning, match="from_logits=True"):
        assert tg.binary_cross_entropy(V([1 + 2e-16]), [0.0]).data == INF


@pytest.mark.parametrize("loss", [
    lambda z: tg.cross_entropy(tg.softmax(z, axis=0), [0, 1, 1]),
    lambda z: tg.cross_entropy(tg.softmax(z, axis=0).T, [0, 1, 1], axis=1),
    lambda z: tg.cross_entropy(tg.softmax(z, axis=0)[:, :2], [0, 1]),
    lambda z: tg.binary_cross_entropy(tg.sigmoid(z), np.ones(z.shape), from_logits=True),
])  # fmt: skip
def test_an_activation_applied_twice_is_told(loss):
    with pytest.warns(UserWarning, match="would be applied twice"):
        loss(V(np.ones((2, 3))))


def test_logits_are_taken_without_a_word():
    z = V(np.ones((2, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tg.cross_entropy(tg.log_softmax(z, axis=0), [0, 1, 1])
        tg.cross_entropy(z * 2.0, [0, 1, 1])
        tg.binary_cross_entropy(tg.tanh(z), np.ones((2, 3)), from_logits=True)


# --- an axis that must be said


@pytest.mark.parametrize("softmax", [
    tg.softmax, tg.log_softmax, V.softmax, lambda z: tg.softmax(z.data),
    lambda z: tg.softmax(z.reshape(2, 3, 1)),
])  # fmt: skip
def test_the_softmax_of_a_batch_asks_for_its_axis(softmax):
    with pytest.raises(tg.GradError, match="axis=0"):
        softmax(V(np.ones((2, 3)), "Z"))


def test_the_softmax_of_a_batch_asks_for_its_axis_in_a_sheet_too(tmp_path):
    for line in ("softmax(Z)", "log_softmax(Z)", "softmax(Z.T)"):
        sheet = tmp_path / "a.sheet"
        sheet.write_text(f"Z: (2, 3)\nA = {line}\nJ = np.sum(A * A)\ndZ = A\n")
        with pytest.raises(tg.SheetError, match="axis=0"):
            tg.check_sheet(str(sheet))


# --- branches that are left out

STEEP = np.array([0.0, 4.0])
LEFT_OUT = {
    "where": (lambda v: tg.where(v.data > 0, tg.sqrt(v), v * 1.0), [1.0, 0.25]),
    "where of a number": (lambda v: tg.where(v.data > 0, tg.log(v), 0.0), [0.0, 0.25]),
    "a slice": (lambda v: tg.sqrt(v)[1:], [0.0, 0.25]),
    "an index": (lambda v: tg.log(v)[1], [0.0, 0.25]),
    "repeated indices": (lambda v: tg.log(v)[np.array([1, 1])], [0.0, 0.5]),
    "a mask as an index": (lambda v: tg.sqrt(v)[v.data > 0], [0.0, 0.25]),
    "a mask as a factor": (lambda v: (v.data > 0) * tg.sqrt(v), [0.0, 0.25]),
    "clip from above": (lambda v: tg.clip(1 / v, None, 3.0), [0.0, -0.0625]),
    "clip from below": (lambda v: tg.clip(tg.log(v), -5.0, None), [0.0, 0.25]),
    "maximum": (lambda v: tg.maximum(tg.log(v), -5.0), [0.0, 0.25]),
    "minimum": (lambda v: tg.minimum(1 / v, 3.0), [0.0, -0.0625]),
    "relu": (lambda v: tg.relu(tg.log(v)), [0.0, 0.25]),
    "the largest": (lambda v: tg.max(tg.log(v)), [0.0, 0.25]),
    "a part of a join": (lambda v: tg.concatenate([tg.sqrt(v), v])[1:], [1.0, 1.25]),
    "a row": (lambda v: tg.stack([v, tg.sqrt(v)])[0], [1.0, 1.0]),
    "a column of a reshape": (lambda v: tg.sqrt(v).reshape(1, 2)[:, 1], [0.0, 0.25]),
    "a product with zeros": (lambda v: np.eye(2)[1:] @ tg.sqrt(v), [0.0, 0.25]),
    "two steep steps": (lambda v: tg.where(v.data > 0, tg.sqrt(tg.log(v + 1)), v), None),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_branch_left_out_contributes_nothing(name):
    f, expected = LEFT_OUT[name]
    if expected is None:
        expected = [1.0, 0.5 / math.sqrt(math.log(5.0)) / 5.0]
    leaf = V(STEEP)
    z = f(leaf)
    z.backward(np.ones(z.shape))
    assert leaf.grad == pytest.approx(expected)
    assert tg.grad(lambda v: tg.sum(f(v)))(STEEP) == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("f, expected", [
    (lambda s: tg.where(False, tg.sqrt(s), s), 1.0), (lambda s: tg.maximum(tg.log(s), -5.0), 0.0),
    (lambda s: tg.relu(-1 / s), 0.0),
])  # fmt: skip
def test_a_branch_left_out_of_single_numbers_contributes_nothing(f, expected):
    leaf = V(0.0)
    f(leaf).backward()
    assert leaf.grad == expected
    assert tg.grad(f)(0.0) == expected


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("f", [
    lambda v: tg.sqrt(v) ** 2, lambda v: v * tg.log(v), lambda v: tg.exp(tg.log(v)),
    lambda v: tg.sqrt(v) * tg.sqrt(v), lambda v: tg.where(v.data >= 0, tg.sqrt(v) ** 2, v),
])  # fmt: skip
def test_a_nan_that_nothing_left_out_stays(f):
    """0 · ∞ is not 0 here: √x², for one, has derivative 1 at 0."""
    leaf, alone = V(STEEP), V(0.0)
    tg.sum(f(leaf)).backward()
    f(alone).backward()
    assert np.isnan(leaf.grad[0])
    assert np.isfinite(leaf.grad[1])
    assert np.isnan(alone.grad)


def test_a_nan_among_the_numbers_stays():
    for f in (lambda v: tg.sum(tg.log(v)), lambda v: tg.sum(v / v), lambda v: tg.sum(tg.sqrt(v))):
        leaf = V([np.nan, 4.0])
        f(leaf).backward()
        assert np.isnan(leaf.grad[0])
        assert np.isfinite(leaf.grad[1])


@pytest.mark.parametrize("n", [2, 3, 6, 7])
def test_a_product_of_others_leaves_the_range_of_floats_only_where_it_is_outside(n):
    """1e200 and 1e-200 by turns: two of a kind multiplied first would be inf or 0."""
    for order in (np.arange(n), np.arange(n)[::-1], np.argsort(np.arange(n) % 2)):
        x = tg.Value(np.where(np.arange(n) % 2, 1e200, 1e-200)[order] * np.arange(2, n + 2))
        tg.prod(x).backward()
        right = [math.prod(map(Fraction, np.delete(x.data, i))) for i in range(n)]
        np.testing.assert_allclose(x.grad, np.array(list(map(float, right))), rtol=1e-14)
