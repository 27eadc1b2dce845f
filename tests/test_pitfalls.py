"""Inputs that broke other gradient engines: one test per family, with the reports behind them.

Sources: public bug reports of micrograd, SmallPebble, DeZero, HIPS/autograd, MyGrad, tinygrad,
PyTorch, JAX and MXNet, named where a family has one.
"""

from __future__ import annotations

import gc
import math
import sys
import weakref

import numpy as np
import pytest
from domains import fitting_pairs
from hypothesis import given
from hypothesis import strategies as st
from oracles import five_point, same

import tinygrad_edu as tg
from tinygrad_edu import GradError, Value


def slopes(f, *numbers):
    """The gradients of a single-number function, by backward."""
    leaves = [Value(x) for x in numbers]
    f(*leaves).backward()
    found = [leaf.grad for leaf in leaves]
    return found[0] if len(found) == 1 else found


def slope_of_sum(f, *numbers):
    return slopes(lambda *v: tg.sum(f(*v)), *numbers)


# --- sharing -----------------------------------------------------------------------------------


def test_one_node_used_several_times():
    """karpathy/micrograd #2, #64, #68; TrenTorch PR 182; sebgao/cTensor #5."""
    assert slopes(lambda x: x * x, 3.0) == 6.0
    assert slopes(lambda x: x + x, 3.0) == 2.0
    assert slopes(lambda x: x - x, 3.0) == 0.0
    assert slopes(lambda x: x / x, 3.0) == 0.0
    assert slopes(lambda x: x**x, 2.0) == pytest.approx(4 * (math.log(2) + 1))
    assert slopes(lambda x: tg.maximum(x, x), 2.0) == 1.0
    assert slopes(lambda x: tg.where(x > 0, x, x), 2.0) == 1.0
    assert slopes(lambda v: v @ v, [1.0, 2.0]).tolist() == [2.0, 4.0]

    def reused_at_unequal_depth(a, b):
        c, d = a + b, a * b
        y = c + d
        return y + c * d

    assert slopes(reused_at_unequal_depth, 2.0, 3.0) == [25.0, 19.0]

    def doubled_twice(a):
        b = a + a
        return b + b

    assert slopes(doubled_twice, 1.0) == 4.0

    def three_paths(x):
        y = 3 * x
        return 2 * y * (5 * y) / 20 + y

    assert slopes(three_paths, 2.0) == pytest.approx(9 * 2 + 3)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=12))
def test_additions_of_earlier_nodes_count_every_path(choices):
    """The number of paths, counted apart: with whole numbers the gradient is exact."""
    x = Value(1.0)
    nodes, paths = [x], [1]
    for choice in choices:
        i, j = choice % len(nodes), choice // 7 % len(nodes)
        nodes.append(nodes[i] + nodes[j])
        paths.append(paths[i] + paths[j])
    nodes[-1].backward()
    assert x.grad == paths[-1]


@pytest.mark.parametrize("depth", [22, 60, 1000])
def test_a_ladder_of_diamonds_takes_linear_time(depth):
    x = b = Value(1.0)
    for _ in range(depth):
        b = (b + b) * 0.5
    b.backward()
    assert x.grad == 1.0


def test_a_ladder_without_damping_counts_two_to_the_sixty():
    x = b = Value(np.ones(2))
    for _ in range(60):
        b = b + b
    b.sum().backward()
    assert x.grad.tolist() == [2.0**60] * 2


@pytest.mark.parametrize("width", [64, 1024])
def test_a_wide_fan_out(width):
    assert slopes(lambda x: sum([x] * width, Value(0.0)), 2.0) == width
    assert slopes(lambda x: tg.stack([x] * width).sum(), 2.0) == width
    assert slopes(lambda x: tg.concatenate([x] * width).mean(), [2.0])[0] == pytest.approx(1)


@pytest.mark.parametrize("steps", [900, 10_000, 100_000])
def test_a_deep_chain_neither_recurses_nor_dies_on_release(steps):
    """karpathy/micrograd PR 90; pytorch #5534."""
    x, c = Value(1.0), Value(1.0)
    y = x * c
    for i in range(steps - 1):
        y = y * c if i % 2 else y + x
    y.backward()
    assert np.isfinite(x.grad)
    assert x.grad > steps // 2
    repr(y)
    del y
    assert sys.getrecursionlimit() <= 10_000


def test_nothing_recurses_in_arrays_and_second_derivatives_either():
    def deep(x):
        for _ in range(3000):
            x = tg.sin(x) * 0.999 + 0.001
        return x

    assert np.isfinite(tg.grad(tg.grad(deep))(0.5))
    v = Value(np.ones(2))
    deep(v).sum().backward()
    assert np.isfinite(v.grad).all()


def test_backward_twice_never_counts_an_intermediate_twice():
    """karpathy/micrograd #53; mxnet #17989."""
    a, b, d = Value(3.0), Value(2.0), Value(1.0)
    e = (a + b) * d
    f = e * e
    for times in (1, 2, 3, 4):
        f.backward()
        assert (a.grad, d.grad) == (10.0 * times, 50.0 * times)
        assert e.grad == 10.0
    e.backward()  # from the middle of a swept graph
    assert (a.grad, f.grad) == (41.0, 1.0)


def test_gradients_repeat_to_the_bit():
    scales = 10.0 ** np.random.default_rng(0).uniform(-8, 8, 60)
    found = set()
    for run in range(25):
        heap = [Value(float(i)) for i in range(run * 7)]
        x = Value(0.7)
        total = Value(0.0)
        for scale in scales:
            total = total + tg.sin(x * scale)
        total.backward()
        found.add(x.grad)
        del heap
    assert len(found) == 1


def test_higher_derivatives():
    cube = lambda x: x * x * x  # noqa: E731
    assert tg.grad(tg.grad(cube))(2.0) == 12.0
    assert tg.grad(tg.grad(tg.grad(cube)))(2.0) == 6.0
    assert tg.grad(tg.grad(tg.grad(tg.grad(cube))))(2.0) == 0.0
    power = lambda x: x**5  # noqa: E731
    assert _tower(power, 2.0, 5) == [80.0, 160.0, 240.0, 240.0, 120.0]
    assert _tower(tg.exp, 0.0, 4) == [1.0] * 4


def _tower(f, x, height):
    found = []
    for _ in range(height):
        f = tg.grad(f)
        found.append(f(x))
    return found


# --- operators and broadcasting ----------------------------------------------------------------


@pytest.mark.parametrize("pair", list(fitting_pairs()), ids=str)
def test_four_operators_over_every_pair_of_shapes(pair):
    """pytorch #1787: each gradient has its own input's shape, summed where it was repeated."""
    rng = np.random.default_rng(3)
    a, b = rng.uniform(0.5, 2, pair[0]), rng.uniform(0.5, 2, pair[1])
    w = rng.standard_normal(np.broadcast_shapes(*pair))

    def folded(g, shape):
        g = np.broadcast_to(g, w.shape)
        g = g.sum(axis=tuple(range(g.ndim - len(shape))))
        return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)

    for op, da, db in (
        (lambda x, y: x + y, w, w),
        (lambda x, y: x - y, w, -w),
        (lambda x, y: x * y, w * b, w * a),
        (lambda x, y: x / y, w / b, -w * a / b**2),
    ):
        x, y = Value(a), Value(b)
        tg.sum(w * op(x, y)).backward()
        same(x.grad, folded(da, a.shape), 1e-14, "left")
        same(y.grad, folded(db, b.shape), 1e-14, "right")


def test_shapes_that_do_not_fit_are_an_error():
    for op in (np.add, np.multiply, np.maximum, np.power, tg.xlogy):
        with pytest.raises(GradError, match=r"\(3,\)"):
            op(Value(np.ones(3)), Value(np.ones(2)))


def test_whole_powers_of_negative_and_zero_bases():
    """karpathy/micrograd #17, #41; tinygrad #155; pytorch #187460."""
    assert [slopes(lambda x, n=n: x**n, -2.0) for n in (3, 2, -1, 0)] == [12.0, -4.0, -0.25, 0.0]
    assert [slopes(lambda x, n=n: x**n, 0.0) for n in (0, 1, 2, 3)] == [0.0, 1.0, 0.0, 0.0]
    assert [slope_of_sum(lambda x, n=n: x**n, np.zeros(1))[0] for n in (0, 1, 2, 3)] == [0, 1, 0, 0]
    assert [tg.grad(tg.grad(lambda x, n=n: x**n))(0.0) for n in (0, 1, 2, 3)] == [0, 0, 2, 0]
    assert (Value(0.0) ** 0).item() == 1.0
    for exponent in (
        2,
        2.0,
        np.int64(2),
        np.float64(2),
        np.float32(2),
        np.array(2.0),
        Value(2.0, None, False),
    ):
        assert slopes(lambda x, n=exponent: x**n, -3.0) == -6.0


def test_a_power_with_both_variable():
    assert slopes(lambda x, y: x**y, 2.0, 3.0) == pytest.approx([12.0, 8 * math.log(2)])
    x, y = Value(-2.0), Value(3.0)
    with pytest.warns(RuntimeWarning, match="invalid"):
        (x**y).backward()
    assert x.grad == pytest.approx(12.0)
    assert math.isnan(y.grad)
    x, y = Value(-2.0), Value(3.0, requires_grad=False)
    (x**y).backward()
    assert x.grad == pytest.approx(12.0)
    zero, n = Value([0.0, 0.0, 0.0, 0.0]), np.array([0.0, 1.0, 2.0, 3.0])
    (zero**n).sum().backward()
    assert zero.grad.tolist() == [0.0, 1.0, 0.0, 0.0]
    assert slopes(lambda y: 0.0**y, 2.0) == 0.0
    assert slopes(lambda y: 2**y, 3.0) == pytest.approx(8 * math.log(2))


# --- reductions, shaping, indexing -------------------------------------------------------------


@pytest.mark.parametrize(
    "function", [tg.sum, tg.mean, tg.prod, tg.max, tg.min, tg.logsumexp, tg.norm]
)
@pytest.mark.one_in(3)
def test_reductions_over_every_form_of_axis(function):
    x = np.random.default_rng(1).permutation(24).reshape(2, 3, 4) / 7 - 1.6
    for axis in (None, 0, 1, 2, -1, -3, (0, 1), (0, 2), (2, 1), (-1, 0), (0, 1, 2), ()):
        for keepdims in (False, True):
            z = function(Value(x), axis=axis, keepdims=keepdims)
            w = np.random.default_rng(2).standard_normal(z.shape)
            total = lambda v, a=axis, k=keepdims, w=w: tg.sum(function(v, axis=a, keepdims=k) * w)  # noqa: E731
            same(slopes(total, x), five_point(total_of(total), (x,), 0), 1e-7, f"{axis} {keepdims}")


def total_of(f):
    """The same function on plain numbers."""
    return lambda x: f(Value(x)).item()


def test_ties_share_the_gradient_evenly():
    """pytorch #41779; tinygrad #12296."""
    assert slopes(tg.max, [2.0, 5.0, 5.0, 1.0]).tolist() == [0.0, 0.5, 0.5, 0.0]
    assert slopes(tg.min, [[1.0, 1.0], [1.0, 1.0]]).tolist() == [[0.25, 0.25], [0.25, 0.25]]
    assert slopes(tg.maximum, 2.0, 2.0) == [0.5, 0.5]
    assert slopes(tg.minimum, 2.0, 2.0) == [0.5, 0.5]
    assert slopes(lambda v: tg.maximum(v, 0.5).sum(), [0.5, 1.0]).tolist() == [0.5, 1.0]
    # With the plain number 0 it is the lecture's ReLU, whose derivative at 0 is 1.
    assert slopes(lambda v: tg.maximum(v, 0).sum(), [0.0, 1.0]).tolist() == [1.0, 1.0]
    many = np.zeros(100_000, dtype=np.float32)
    assert np.sum(slopes(tg.max, many), dtype=float) == pytest.approx(1.0, rel=1e-6)
    rows = slopes(lambda v: tg.max(v, axis=1).sum(), [[3.0, 3.0], [1.0, 2.0]])
    assert rows.tolist() == [[0.5, 0.5], [0.0, 1.0]]


def test_products_with_zeros_at_every_order():
    assert slopes(tg.prod, [2.0, 0.0, 3.0]).tolist() == [0.0, 6.0, 0.0]
    assert slopes(tg.prod, [0.0, 0.0, 3.0]).tolist() == [0.0, 0.0, 0.0]
    assert slopes(tg.prod, [0.0]).tolist() == [1.0]
    hessian = tg.hessian(tg.prod)(np.array([0.0, 0.0, 3.0]))
    assert hessian.tolist() == [[0, 3, 0], [3, 0, 0], [0, 0, 0]]
    table = slopes(lambda v: tg.prod(v, axis=(0, 1)), [[2.0, 0.0], [3.0, 5.0]])
    assert table.tolist() == [[0.0, 30.0], [0.0, 0.0]]
    assert slopes(tg.prod, np.zeros(0)).shape == (0,)


@pytest.mark.parametrize(
    "index",
    [
        [0, 0, 2],
        ([0, 0], [1, 1]),
        (slice(None), [2, 2, 2]),
        np.array([[0, 0], [0, 1]]),
        ([[0], [0]], [1, 1]),
        np.array([-1, 2, 2]),
        (None, [1, 1]),
        (np.array([True, False, True]), [0, 0]),
        np.random.default_rng(0).random((3, 4)) > 0.5,
        (..., [3, 3]),
        ([0, 0], slice(None), None),
        (slice(None, None, -1), slice(None, None, 2)),
        [],
        np.zeros((3, 4), dtype=bool),
        (np.int8(1), np.uint8(2)),
        True,
        range(2),
    ],
    ids=str,
)
def test_indexing_scatters_and_adds(index):
    """HIPS #39; pytorch #1528; joey00072/TinyTorch #2: a repeated index counts every time."""
    x = np.random.default_rng(5).standard_normal((3, 4))
    expected = np.zeros((3, 4))
    w = np.random.default_rng(6).standard_normal(x[index].shape)
    np.add.at(expected, index, w)
    same(slopes(lambda v: tg.sum(v[index] * w), x), expected, 1e-15, "scatter")


def test_an_index_that_does_not_fit_is_an_index_error():
    v = Value(np.ones((2, 3)), "X")
    for index in (
        2,
        (0, 3),
        [5],
        "a",
        1.5,
        (0, 0, 0),
        np.array([1.5]),
        np.ones((3, 3), dtype=bool),
    ):
        with pytest.raises(IndexError):
            v[index]


def test_the_same_array_joined_twice():
    w = np.arange(6.0)
    assert slopes(lambda x: tg.sum(w * tg.concatenate([x, x])), np.ones(3)).tolist() == [3, 5, 7]
    assert slopes(lambda x: tg.sum(w.reshape(2, 3) * tg.stack([x, x])), np.ones(3)).tolist() == [
        3,
        5,
        7,
    ]


def test_reshapes_to_and_from_numbers_and_nothing():
    for old, new in (
        ((2, 3), (-1,)),
        ((1, 1), ()),
        ((), (1, 1)),
        ((0, 3), (3, 0)),
        ((), (1,)),
        ((6,), (1, -1, 2)),
    ):
        x = np.random.default_rng(0).standard_normal(old)
        w = np.random.default_rng(1).standard_normal(x.reshape(new).shape)
        found = slopes(lambda v, n=new, w=w: tg.sum(v.reshape(n) * w), x)
        same(found, w.reshape(old), 0, f"{old} to {new}")


def test_the_mean_of_nothing_is_nan_with_a_warning():
    v = Value(np.zeros(0))
    with pytest.warns(RuntimeWarning):
        z = tg.mean(v)
    assert math.isnan(z.item())
    with pytest.warns(RuntimeWarning):
        z.backward()
    assert v.grad.shape == (0,)


def test_a_norm_at_zero_has_a_finite_gradient():
    """HIPS #151, #268, #586."""
    assert slopes(tg.norm, np.zeros(3)).tolist() == [0.0, 0.0, 0.0]
    rows = slopes(lambda v: tg.norm(v, axis=1).sum(), [[0.0, 0.0], [3.0, 4.0]])
    assert rows.tolist() == [[0.0, 0.0], [0.6, 0.8]]
    assert slopes(tg.std, np.full(3, 2.0)).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("size", [1e200, 1e-200, 1e-161, 1e-158])
def test_a_norm_whose_squares_leave_the_range_of_floats(size):
    assert tg.norm(Value([3 * size, 4 * size])).item() == pytest.approx(5 * size)
    assert slopes(tg.norm, [3 * size, 4 * size]) == pytest.approx([0.6, 0.8])
    rows = np.array([[3 * size, 4 * size], [3.0, 4.0], [0.0, 0.0]])
    expected = np.array([[0.6, 0.8], [0.6, 0.8], [0.0, 0.0]])
    assert slope_of_sum(lambda v: tg.norm(v, axis=1), rows) == pytest.approx(expected)


# --- overflow, saturation, kinks ---------------------------------------------------------------


def test_saturated_activations_are_exact_and_silent():
    z = np.array([1000.0, -1000.0, 0.0, 40.0, -40.0, 750.0, -750.0])
    assert slopes(lambda v: tg.sigmoid(v).sum(), z)[:3].tolist() == [0.0, 0.0, 0.25]
    near = slopes(lambda v: tg.sigmoid(v).sum(), z)
    assert near[3:5] == pytest.approx(math.exp(-40), rel=1e-12, abs=0)  # not zero by accident
    assert slopes(lambda v: tg.tanh(v).sum(), z)[:3].tolist() == [0.0, 0.0, 1.0]
    assert slopes(lambda v: tg.softplus(v).sum(), z)[:3].tolist() == [1.0, 0.0, 0.5]
    tail = slopes(lambda v: tg.softplus(v).sum(), z)[4]
    assert tail == pytest.approx(math.exp(-40), rel=1e-12, abs=0)
    assert tg.softplus(Value(z)).data[:2].tolist() == [1000.0, 0.0]
    for number in (1000.0, -1000.0):
        for f in (tg.sigmoid, tg.tanh, tg.softplus):
            assert np.isfinite(slopes(f, number))
    assert slopes(tg.expm1, -40.0) == pytest.approx(math.exp(-40), rel=1e-12, abs=0)


def test_softmax_and_its_kin_do_not_overflow():
    z = np.array([1000.0, 1000.0, -1000.0])
    w = np.array([1.0, 2.0, 3.0])
    found = slopes(lambda v: tg.sum(w * tg.softmax(v)), z)
    same(found, [-0.25, 0.25, 0.0], 1e-15, "softmax")
    assert tg.logsumexp(Value([1000.0, 1000.0])).item() == pytest.approx(1000 + math.log(2))
    assert slopes(tg.logsumexp, [1000.0, 1000.0]).tolist() == [0.5, 0.5]
    assert slopes(tg.logsumexp, [-1000.0, -1000.0]).tolist() == [0.5, 0.5]
    assert slopes(tg.logsumexp, [-np.inf, 1.0]).tolist() == [0.0, 1.0]
    log = tg.log_softmax(Value([1000.0, 0.0]))
    assert log.data.tolist() == [0.0, -1000.0]
    same(slopes(lambda v: tg.log_softmax(v)[1], z[:2]), [-0.5, 0.5], 1e-15, "log_softmax")


@pytest.mark.parametrize("z", [0.0, 5.0, 40.0, 800.0, 1000.0, -5.0, -40.0, -50.0, -800.0, -1000.0])
@pytest.mark.parametrize("y", [0.0, 1.0, 0.25])
def test_cross_entropy_from_logits_is_exact(z, y):
    """pytorch PR 2221, #4867, #24933, #103316."""
    soft = max(z, 0) + math.log1p(math.exp(-abs(z)))
    expected = {0.0: soft, 1.0: max(-z, 0) + math.log1p(math.exp(-abs(z)))}.get(y, soft - y * z)
    leaf = Value(z)
    loss = tg.binary_cross_entropy(leaf, y, from_logits=True)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    loss.backward()
    sigma = 1 / (1 + math.exp(-z)) if z > -700 else 0.0
    assert leaf.grad == pytest.approx(sigma - y, rel=1e-12, abs=1e-16)


def test_cross_entropy_over_classes_is_exact():
    z = np.array([[1000.0, -1000.0, 3.0], [-1000.0, 1000.0, 3.0]])
    labels = np.array([0, 0, 1])
    leaf = Value(z)
    loss = tg.cross_entropy(leaf, labels)
    assert loss.data == pytest.approx([0.0, 2000.0, math.log(2)])
    loss.sum().backward()
    same(leaf.grad, [[0.0, -1.0, 0.5], [0.0, 1.0, -0.5]], 1e-15, "cross_entropy")
    for form in (
        labels,
        labels.reshape(1, 3),
        np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        [0, 0, 1],
    ):
        assert np.array_equal(tg.cross_entropy(Value(z), form).data, loss.data)
    assert np.array_equal(tg.cross_entropy(Value(z.T), labels, axis=1).data, loss.data)
    for wrong in ([0, 0, 2], [-1, 0, 0], [0, 0], np.ones((3, 2)), [0.0, 0.0, 1.0], "abc", None):
        with pytest.raises((GradError, TypeError)):
            tg.cross_entropy(Value(z), wrong)


def test_a_probability_of_zero_or_one_is_told_apart():
    right = Value([1.0, 0.0])
    assert tg.binary_cross_entropy(right, [1.0, 0.0]).data.tolist() == [0.0, 0.0]
    tg.binary_cross_entropy(right, [1.0, 0.0]).sum().backward()
    assert right.grad.tolist() == [-1.0, 1.0]
    with pytest.warns(RuntimeWarning, match="from_logits=True"):
        wrong = tg.binary_cross_entropy(Value([1.0]), [0.0])
    assert wrong.data.tolist() == [math.inf]


def test_infinities_are_infinities_and_not_exceptions():
    for f, x, z, dz in (
        (lambda x: 1 / x, 0.0, math.inf, -math.inf),
        (tg.log, 0.0, -math.inf, math.inf),
        (tg.sqrt, 0.0, 0.0, math.inf),
        (tg.exp, 1000.0, math.inf, math.inf),
        (lambda x: x**-1, 0.0, math.inf, -math.inf),
        (lambda x: x**0.5, 0.0, 0.0, math.inf),
        (tg.cosh, 1000.0, math.inf, math.inf),
        (lambda x: x * x, 1e200, math.inf, 2e200),
        (tg.log2, 0.0, -math.inf, math.inf),
    ):
        for given_number in (x, [x]):
            leaf = Value(given_number)
            with np.errstate(all="ignore"):
                out = f(leaf)
                out.backward(np.ones(out.shape))
            assert np.ravel(out.data)[0] == z
            assert np.ravel(leaf.grad)[0] == dz


def test_nan_passes_through_everything():
    functions = (
        tg.relu, tg.leaky_relu, tg.sigmoid, tg.tanh, tg.softplus, tg.abs, tg.exp, tg.clip, tg.sign,
        lambda v: tg.maximum(v, 0.0), lambda v: tg.minimum(0.0, v), tg.max, tg.min, tg.sum,
        tg.softmax, tg.logsumexp, lambda v: v**2, tg.norm, tg.std,
    )  # fmt: skip
    for f in functions:
        with np.errstate(all="ignore"):
            for nan in (np.nan, [np.nan]):
                assert np.isnan(f(Value(nan)).data).all()


def test_conventions_at_the_kinks():
    z = [-2.0, 0.0, 3.0]
    for make in (
        lambda f: slopes(lambda v: f(v).sum(), z).tolist(),
        lambda f: [slopes(f, x) for x in z],
    ):
        assert make(tg.relu) == [0.0, 1.0, 1.0]
        assert make(lambda v: tg.relu(v, at_zero=0)) == [0.0, 0.0, 1.0]
        assert make(lambda v: v.relu(at_zero=0.5)) == [0.0, 0.5, 1.0]
        assert make(tg.leaky_relu) == [0.01, 1.0, 1.0]
        assert make(lambda v: tg.leaky_relu(v, at_zero=0)) == [0.01, 0.01, 1.0]
        assert make(lambda v: v.leaky_relu(slope=0.2)) == [0.2, 1.0, 1.0]
        assert make(tg.abs) == [-1.0, 0.0, 1.0]
        assert make(lambda v: tg.clip(v, -2.0, 0.0)) == [1.0, 1.0, 0.0]
    for number in (-0.0, 0.0):  # minus zero is zero
        assert slopes(tg.relu, number) == 1.0


def test_subnormal_numbers_keep_their_gradient():
    tiny = 5e-324
    assert slopes(lambda x: x * 1e300, tiny) == 1e300
    assert slopes(tg.relu, tiny) == 1.0
    assert slopes(lambda v: tg.sum(v * v), [tiny, 1.0]).tolist() == [2 * tiny, 2.0]


def test_where_sends_the_gradient_to_the_branch_taken():
    x, y = Value([1.0, 2.0, 3.0]), Value([10.0, 20.0, 30.0])
    for mask in ([True, False, True], np.array([1, 0, 1]), Value([1.0, 0.0, 1.0])):
        x.zero_grad(), y.zero_grad()
        tg.where(mask, x * x, y * y).sum().backward()
        assert x.grad.tolist() == [2.0, 0.0, 6.0]
        assert y.grad.tolist() == [0.0, 40.0, 0.0]
    x.zero_grad()
    np.where(x > 1.5, x, 0).sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 1.0]


def test_the_double_where_keeps_a_hidden_branch_finite():
    """HIPS #396; pytorch #52248, #156212, #187297: the safe argument is the user's to write."""
    x = Value([-1.0, -4.0, 4.0])
    inside = tg.where(x > 0, x, 1.0)
    tg.where(x > 0, tg.sqrt(inside), x).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 0.25]


# --- aliasing ----------------------------------------------------------------------------------


def test_editing_one_gradient_leaves_the_others_alone():
    for view in (
        lambda v: v + 0.0, lambda v: +v, lambda v: v.reshape(3, 2), lambda v: v.T, lambda v: v[...],
        lambda v: v.reshape(6).reshape(2, 3).T, lambda v: tg.squeeze(v.reshape(1, 6)),
        lambda v: tg.broadcast_to(v, (2, 3)), lambda v: tg.concatenate([v, v]), lambda v: v[::-1],
    ):  # fmt: skip
        a, b = Value(np.ones((2, 3))), Value(np.ones((2, 3)))
        z = view(a + b)
        tg.sum(z * 2.0).backward()
        for one in (z, a, b):
            others = [v for v in (z, a, b) if v is not one]
            before = [v.grad.copy() for v in others]
            one.grad[...] = -77.0
            assert all(np.array_equal(v.grad, g) for v, g in zip(others, before))


def test_accumulating_does_not_write_into_a_gradient_that_was_handed_out():
    x = Value([1.0, 2.0])
    z = x * x
    z.sum().backward()
    first = x.grad
    z.sum().backward()
    assert first.tolist() == [2.0, 4.0]
    assert x.grad.tolist() == [4.0, 8.0]


def test_a_gradient_used_again_by_addition():
    a, b = Value([1.0, 2.0]), Value([1.0, 2.0])
    y = a + b
    (y + a).sum().backward()
    assert a.grad.tolist() == [2.0, 2.0]
    assert b.grad.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    "make", [lambda a: Value(a), lambda a: Value(a[:]), lambda a: Value(a.T).T]
)
def test_changing_the_array_handed_in_changes_nothing(make):
    a = np.array([1.0, 2.0, 3.0])
    seen = a[:]
    x = make(a)
    z = tg.sum(x * a * x)  # also as a constant
    a[:] = 0.0
    seen[:] = 5.0
    z.backward()
    assert x.grad.tolist() == [2.0, 8.0, 18.0]


def test_rewriting_a_leaf_between_forward_and_backward():
    x = Value(3.0)
    z = x * x
    x.data = 100.0
    z.backward()
    assert x.grad == 6.0
    v = Value([1.0, 2.0, 3.0], "v")
    z = v + 0
    cost = tg.sum(z * z)
    for node in (v, z, cost * np.ones(2)):
        with pytest.raises(GradError):
            node.data[...] = 0
    cost.backward()
    assert v.grad.tolist() == [2.0, 4.0, 6.0]


def test_second_derivatives_after_an_update_are_refused_or_right():
    x = Value(3.0, "x")
    z = x * x * x
    x.data = 100.0
    z.backward()
    assert x.grad == 27.0


# --- losing a graph on purpose or by accident --------------------------------------------------


def test_a_history_of_numbers_keeps_no_graph():
    w, history, refs = Value(np.ones(1000)), [], []
    for _ in range(5):
        z = w * 2.0
        cost = tg.mean(z)
        history.append(cost.item())
        refs.append(weakref.ref(z))
        del z, cost
    gc.collect(0)
    assert [ref() for ref in refs] == [None] * 5
    assert history == [2.0] * 5


def test_a_gradient_function_inside_another():
    """No confusion of the inner variable with the outer (Siskind and Pearlmutter, 2005)."""
    inner = lambda x: tg.grad(lambda y: x * y)(2.0)  # noqa: E731
    assert tg.grad(lambda x: x * inner(x))(3.0) == 6.0
    assert tg.grad(lambda x: x * tg.grad(lambda y: x + y)(1.0))(3.0) == 1.0
    assert tg.grad(lambda x: tg.grad(lambda y: x * x * y)(2.0))(3.0) == 6.0


def test_plain_results_for_plain_arguments_even_beside_a_parameter():
    w = Value(4.0, "w")
    found = tg.grad(lambda x: x * x * w)(3.0)
    assert type(found) is float
    assert found == 24.0


def test_the_logistic_unit_agrees_with_the_hand_formulas():
    rng = np.random.default_rng(11)
    for _ in range(200):
        x, w, b, y = (
            rng.standard_normal(3),
            rng.standard_normal(3),
            rng.standard_normal(),
            float(rng.integers(2)),
        )
        W, B = Value(w), Value(float(b))
        z = W @ x + B
        tg.binary_cross_entropy(tg.sigmoid(z), y).backward()
        dz = 1 / (1 + np.exp(-(w @ x + b))) - y
        same(z.grad, dz, 1e-12, "dz")
        same(W.grad, x * dz, 1e-12, "dw")
        same(B.grad, dz, 1e-12, "db")
