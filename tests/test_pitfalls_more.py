"""More inputs that break gradient engines: kin of the cases in `test_pitfalls`."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Value


def slopes(f, x):
    """The gradient of a single-number function, by backward."""
    leaf = Value(x)
    f(leaf).backward()
    return leaf.grad


# --- functions of functions --------------------------------------------------------------------


def test_a_seed_that_is_differentiated_by_keeps_its_gradient():
    """d/dx of x · (6x): the seed of the inner function is the variable of the outer."""

    def outer(x):
        _, back = tg.vjp(lambda y: y * y, 3.0)
        (six_x,) = back(x)
        return x * six_x

    assert tg.grad(outer)(2.0) == 24.0
    assert tg.grad(tg.grad(outer))(2.0) == 12.0
    _, back = tg.vjp(lambda v, w: tg.sum(v) * w, np.ones(3), 2.0)
    seed = Value(5.0)
    dv, dw = back(seed)
    tg.sum(dv * dw).backward()  # Σ (2 seed) (3 seed)
    assert seed.grad == 3 * 6 * 2 * 5.0


# --- kinks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [([-1.0, 0.0, 2.0], 5), ((-1.0, 0.0, 2.0), [5, 5, 5])], ids=str)
def test_limits_of_clip_may_be_lists(limits):
    x, inside = np.array([[-3.0, 4.0, 2.0], [0.5, 7.0, 1.0]]), [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]
    for clip in (tg.clip, np.clip):
        assert slopes(lambda v, clip=clip: tg.sum(clip(v, *limits)), x).tolist() == inside
    v = Value(x, "v")
    cost = tg.sum(tg.clip(v, *limits))
    assert tg.compile(cost)()[1]["v"].tolist() == inside
    assert tg.grad(tg.grad(lambda s: tg.sum(tg.clip(s**3, *limits))))(1.0) == 6.0 * 2


# --- float32 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("numbers", [np.float32(1.5), np.array([1.5, 2.5, 3.5], np.float32)])
def test_a_gradient_has_the_dtype_of_its_node_whatever_the_seed(numbers):
    for make in (lambda v: v, lambda v: v * v):
        leaf = Value(numbers)
        z = make(leaf)
        for _ in range(2):
            z.backward(np.full(z.shape, 0.1))
            assert z.grad.dtype == leaf.grad.dtype == np.float32
    leaf.grad = np.full(leaf.shape, 0.1)
    assert leaf.grad.dtype == np.float32
    double = Value(np.ones(3))
    double.backward(np.full(3, 0.1, np.float32))
    assert double.grad.dtype == np.float64


def test_derivatives_of_a_float32_function_are_float32():
    for f in (lambda v: v, lambda v: v * v):
        v = np.array([1.5, 2.5], np.float32)
        assert tg.jacobian(f)(v).dtype == np.float32
        assert tg.vjp(f, v)[1](np.ones(2))[0].dtype == np.float32
        assert tg.grad(f)(v[0]).dtype == np.float32
        assert tg.grad(tg.grad(lambda x, f=f: f(x) * x))(v[0]).dtype == np.float32


def test_cross_entropy_of_float32_logits_is_float32():
    for labels in (np.array([0, 2]), np.array([[0, 2]]), [0, 2]):
        z = Value(np.zeros((3, 2), np.float32), "z")
        loss = tg.cross_entropy(z, labels)
        assert loss.dtype == np.float32
        assert tg.cross_entropy(z.data, labels).dtype == np.float32
        cost, gradients = tg.compile(tg.mean(loss))()
        assert np.asarray(cost).dtype == gradients["z"].dtype == np.float32
        loss.sum().backward()
        expected = [[-2 / 3, 1 / 3], [1 / 3, 1 / 3], [1 / 3, -2 / 3]]
        assert z.grad == pytest.approx(np.array(expected), rel=1e-6)


# --- the ends of the range of floats -------------------------------------------------------------


@pytest.mark.parametrize("size", [1e200, 1e160, 1.0, 1e-158, 1e-161, 1e-200])
@pytest.mark.parametrize("axis", [None, 1], ids=str)
def test_a_norm_is_exact_for_every_size_also_in_a_program(size, axis):
    """A square leaves the range of floats long before the number does, or loses digits there."""
    v = Value(np.ones((1, 3)), "v")
    program = tg.compile(tg.sum(tg.norm(v, axis=axis)))
    x = np.array([[2.0, -3.0, 6.0]]) * size
    value, gradient = tg.norm(x, axis=axis), slopes(lambda v: tg.sum(tg.norm(v, axis=axis)), x)
    for length, slope in ((value, gradient), (program(v=x)[0], program(v=x)[1]["v"])):
        assert np.sum(length) == pytest.approx(7 * size, rel=1e-14, abs=0)
        assert slope == pytest.approx(np.array([[2, -3, 6]]) / 7, rel=1e-14, abs=0)


# --- tasks ---------------------------------------------------------------------------------------


def test_a_task_that_does_not_record_leaves_the_others_alone():
    """Two tasks in one thread: the second computes while the first waits inside no_grad."""

    async def quiet(inside, done):
        with tg.no_grad():
            inside.set()
            await done.wait()
            unrecorded = Value(3.0) * 2
        return unrecorded.requires_grad, (Value(3.0) * 2).requires_grad

    async def recording(inside, done):
        await inside.wait()
        x = Value(3.0)
        z = x * x
        done.set()
        return z.requires_grad and (z.backward(), x.grad)[1]

    async def both():
        events = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(quiet(*events), recording(*events))

    assert asyncio.run(both()) == [(False, True), 6.0]


def test_what_runs_later_cannot_be_decorated():
    """Its body would run after no_grad has ended, and record."""

    async def coroutine():
        pass

    async def generator():
        yield

    for function in (coroutine, generator):
        with pytest.raises(TypeError, match="use `with no_grad"):
            tg.no_grad()(function)


# --- not a number --------------------------------------------------------------------------------


def test_nothing_times_the_logarithm_of_nan_is_nan():
    x, y = np.array([0.0, 0.0, -0.0, 0.0, 2.0]), np.array([0.0, np.nan, 3.0, -1.0, 1.0])
    expected = np.array([0.0, np.nan, 0.0, 0.0, 0.0])
    assert np.array_equal(tg.xlogy(x, y), expected, equal_nan=True)
    assert np.isnan(tg.xlogy(0.0, np.nan))
    v, w = Value(np.ones(5), "v"), Value(np.ones(5), "w")
    program = tg.compile(tg.sum(tg.xlogy(v, w)))
    with np.errstate(all="ignore"):  # the slope, log y, is infinite here and nan there
        assert np.isnan(program(v=x, w=y)[0])
        assert program(v=x, w=np.array([0.0, 0.0, 3.0, -1.0, 1.0]))[0] == 0.0


# --- whole numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [tg.softmax, tg.log_softmax, tg.logsumexp])
@pytest.mark.parametrize("make", [list, np.array, lambda x: np.array(x, np.int8)])
def test_softmax_and_its_kin_take_plain_whole_numbers(function, make):
    x = [3, 0, -2]
    assert function(make(x)) == pytest.approx(function(np.array(x, float)), rel=1e-15)
    assert tg.cross_entropy(make(x), 1) == pytest.approx(-tg.log_softmax(np.array(x, float))[1])
