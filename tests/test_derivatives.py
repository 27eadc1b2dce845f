"""Derivatives of functions of several arrays at once, along directions, of several results,
with less memory; gradients that are shown."""

from __future__ import annotations

import gc
from typing import NamedTuple

import numpy as np
import pytest

import tinygrad_edu as tg

RNG = np.random.default_rng(11)
X = RNG.standard_normal((3, 5))
PARAMETERS = {
    "W": RNG.standard_normal((4, 3)), "b": [RNG.standard_normal((4, 1)), 0.5],
    "rest": (np.ones(5), {"scale": 2.0}),
}  # fmt: skip


def cost(p, x):
    z = p["W"] @ x + p["b"][0] * p["b"][1]
    return tg.sum(tg.tanh(z) * p["rest"][0]) * p["rest"][1]["scale"]


def flat(p):
    return p["W"], *p["b"], p["rest"][0], p["rest"][1]["scale"]


def test_a_gradient_has_the_structure_of_its_argument():
    found = tg.grad(cost)(PARAMETERS, X)
    assert list(found) == ["W", "b", "rest"]
    assert type(found["b"]) is list
    assert type(found["rest"]) is tuple

    def of_each(W, b, c, w, scale):
        return cost({"W": W, "b": [b, c], "rest": (w, {"scale": scale})}, X)

    expected = tg.grad(of_each, (0, 1, 2, 3, 4))(*flat(PARAMETERS))
    for ours, theirs in zip(flat(found), expected, strict=True):
        np.testing.assert_allclose(ours, theirs)
    tg.check_gradients(of_each, *flat(PARAMETERS))


def test_with_several_arguments_each_has_its_own_structure():
    value, (of_p, of_x) = tg.value_and_grad(cost, (0, 1))(PARAMETERS, X)
    assert value == pytest.approx(cost(PARAMETERS, X))
    assert of_x.shape == X.shape
    assert of_p["rest"][1]["scale"] == pytest.approx(value / 2)


class Pair(NamedTuple):
    w: object
    b: object


def test_named_tuples_values_and_names_of_keys():
    w, b = tg.Value([1.0, 2.0], "w"), tg.Value(3.0)

    def of(pair):
        assert pair.w.name == "w"
        return tg.sum(pair.w**2) * pair.b

    found = tg.grad(of)(Pair(w, b))
    assert type(found) is Pair
    assert isinstance(found.w, tg.Value)
    assert found.w.data.tolist() == [6.0, 12.0]
    assert w.grad is None

    def keyed(p):
        assert p["U"].name == "U"
        return tg.sum(p["U"])

    assert tg.grad(keyed)({"U": np.ones(2)})["U"].tolist() == [1.0, 1.0]


def test_a_list_of_plain_numbers_is_an_array_as_everywhere():
    assert tg.grad(lambda x: tg.sum(x**2))([1.0, 2.0]).tolist() == [2.0, 4.0]


def test_a_jacobian_has_the_structure_too():
    def f(p):
        return tg.tanh(p["W"] @ X[:, 0]) * p["c"][0]

    p = {"W": PARAMETERS["W"], "c": [RNG.standard_normal(4)]}
    found = tg.jacobian(f)(p)
    assert found["W"].shape == (4, 4, 3)
    np.testing.assert_allclose(found["c"][0], np.diag(np.tanh(p["W"] @ X[:, 0])))


def test_a_hessian_is_of_one_array():
    with pytest.raises(tg.GradError, match="hessian: of one array"):
        tg.hessian(lambda p: tg.sum(p["w"] ** 2))({"w": np.ones(2)})


def test_a_step_of_descent_over_a_dictionary_nests():
    def after(rate):
        g = tg.grad(lambda p: tg.sum((p["w"] - 1) ** 2))({"w": tg.Value([3.0])})["w"]
        return tg.sum((3.0 - rate * g - 1) ** 2)

    tg.check_gradients(after, 0.1)


def f(x, y):
    return tg.tanh(x) * tg.sum(y**2)


def test_a_derivative_along_directions_is_the_jacobian_times_them():
    x, y = RNG.standard_normal((2, 3)), RNG.standard_normal(4)
    u, v = RNG.standard_normal((2, 3)), RNG.standard_normal(4)
    value, along = tg.jvp(f, (x, y), (u, v))
    np.testing.assert_allclose(value, f(x, y))
    jx, jy = tg.jacobian(f, (0, 1))(x, y)
    np.testing.assert_allclose(along, np.tensordot(jx, u, 2) + jy @ v)


def test_it_may_be_of_dictionaries_nested_in_float32_and_of_nothing():
    value, along = tg.jvp(
        lambda p: p["w"] * 2.0, ({"w": np.ones(2)},), ({"w": np.array([3.0, 4])},)
    )
    assert value.tolist() == [2, 2]
    assert along.tolist() == [6, 8]
    third = tg.grad(lambda x: tg.jvp(lambda y: y**3, (x,), (1.0,))[1])
    assert third(2.0) == pytest.approx(12.0)
    narrow = tg.jvp(lambda x: x * x, (np.float32(3),), (np.float32(1),))[1]
    assert narrow.dtype == np.float32
    assert narrow == 6
    assert tg.jvp(lambda x: x * 0 + tg.floor(x), (1.5,), (2.0,))[1] == 0
    assert type(tg.jvp(lambda x: x * 2.0, (tg.Value(3.0),), (1.0,))[1]) is tg.Value


def test_a_hessian_times_a_vector():
    x, v = RNG.standard_normal(4), RNG.standard_normal(4)

    def g(x):
        return tg.sum(tg.exp(x) * x[::-1] ** 2)

    np.testing.assert_allclose(tg.hvp(g, x, v), tg.hessian(g)(x) @ v)
    found = tg.hvp(lambda p: tg.sum(p["a"] ** 3 * p["b"]), {"a": x, "b": v}, {"a": v, "b": x})
    np.testing.assert_allclose(found["a"], 6 * x * v * v + 3 * x**2 * x)


REFUSED = {
    "give a direction of its shape": lambda: tg.jvp(f, (X, X), (X, X[0])),
    "the arguments have the shapes": lambda: tg.hvp(lambda x: tg.sum(x), X, X[0]),
    "the results are Values": lambda: tg.backward([]),
    "1 results and 2 seeds": lambda: tg.backward([tg.Value(1.0) * 2], seeds=[1.0, 2.0]),
    "has shape": lambda: tg.backward([tg.Value(X) * 2]),
    "takes a function": lambda: tg.Value(1.0).register(3),
    "not a Value": lambda: tg.checkpoint(lambda x: x.data)(tg.Value(X)),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_meant_is_refused_in_words(words):
    with pytest.raises((tg.GradError, TypeError), match=words):
        REFUSED[words]()


# --- several results ------------------------------------------------------------------------------


def test_several_results_are_swept_together_and_counted_once():
    w = tg.Value([1.0, 2.0], "w")
    shared = tg.exp(w)
    total, vector = tg.sum(shared), shared * w
    seed = np.array([3.0, -1.0])
    tg.backward([total, vector], seeds=[2.0, seed])
    e = np.exp(w.data)
    np.testing.assert_allclose(w.grad, 2 * e + seed * e * (1 + w.data))
    np.testing.assert_allclose(shared.grad, 2 + seed * w.data)
    assert total.grad == 2.0
    assert vector.grad.tolist() == seed.tolist()
    w.zero_grad()
    tg.backward((tg.sum(w), tg.sum(w * 10)))
    assert w.grad.tolist() == [11.0, 11.0]


# --- less memory ----------------------------------------------------------------------------------


def block(x, w):
    return tg.tanh(tg.tanh(x @ w) @ w)


def test_a_checkpoint_has_the_same_gradients_of_every_order():
    x, w = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 3))
    once = tg.checkpoint(block)
    tg.check_gradients(lambda x, w: once(once(x, w), w), x, w, order=2)
    leaves = [tg.Value(x), tg.Value(w)], [tg.Value(x), tg.Value(w)]
    for g, (a, b) in zip((once, block), leaves):
        tg.sum(g(g(a, b), b) ** 2).backward()
    for mine, theirs in zip(*leaves):
        np.testing.assert_allclose(mine.grad, theirs.grad, rtol=1e-13)
    assert np.array_equal(once(x, w), block(x, w))


def test_a_checkpoint_keeps_nothing_of_what_is_computed_inside():
    def nodes():
        gc.collect()
        return sum(type(x) is tg.Value for x in gc.get_objects())

    x = tg.Value(np.ones(3))
    before = nodes()
    z = tg.checkpoint(lambda x: tg.exp(tg.exp(-tg.exp(x * 2.0))))(x)
    assert nodes() - before <= 1
    assert z.parents == (x,)


def test_a_checkpoint_gets_all_it_is_differentiated_by_and_is_the_same_each_time():
    x, w = tg.Value(X[0], "x"), tg.Value(2.0, "w")
    with pytest.raises(tg.GradError, match=r"also uses w \(\), whose gradient would be lost"):
        tg.checkpoint(lambda x: x * w)(x)
    noisy = tg.checkpoint(lambda x: x * RNG.random())(x)
    with pytest.raises(tg.GradError, match="other numbers each time"):
        tg.sum(noisy).backward()
    tg.sum(tg.checkpoint(lambda x: x * w.detach() * tg.Value(3.0))(x)).backward()
    assert x.grad.tolist() == [6.0] * 5
    J = tg.sum(tg.checkpoint(tg.exp)(x))
    with pytest.raises(tg.GradError, match="call the function itself"):
        tg.derive(J)
    assert tg.draw(J).source


def test_a_checkpoint_twice_of_one_value_and_where_a_branch_is_left_out():
    x = tg.Value([1.0, 0.0])
    tg.sum(tg.checkpoint(lambda a, b: a * b)(x, x)).backward()
    assert x.grad.tolist() == [2.0, 0.0]
    y = tg.Value([4.0, 0.0])
    with np.errstate(all="ignore"):
        tg.sum(tg.checkpoint(lambda y: tg.where(y.data > 0, tg.sqrt(y), y))(y)).backward()
    assert y.grad.tolist() == [0.25, 1.0]


# --- gradients shown ------------------------------------------------------------------------------


def test_a_registered_function_sees_the_finished_gradient_and_may_change_what_goes_on():
    x = tg.Value([1.0, 2.0], "x")
    z = x * 3.0
    J = tg.sum(z) + tg.sum(z * z)
    seen = []
    look = z.register(seen.append)
    J.backward()
    np.testing.assert_allclose(seen[0], 1 + 2 * z.data)
    np.testing.assert_allclose(x.grad, 3 * (1 + 2 * z.data))
    limit = z.register(lambda dz: np.clip(dz, -1, 1))
    x.zero_grad()
    J.backward()
    assert x.grad.tolist() == [3.0, 3.0]
    assert z.grad.tolist() == [1.0, 1.0]
    look()
    limit()
    limit()
    x.zero_grad()
    J.backward(keep="leaves")
    np.testing.assert_allclose(x.grad, 3 * (1 + 2 * z.data))
    assert len(seen) == 2


def test_what_is_registered_goes_with_its_node_and_gives_gradients_of_its_shape():
    from tinygrad_edu.core.value import _registered

    x = tg.Value([1.0, 2.0], "x")
    x.register(lambda dx: 1.0)
    with pytest.raises(tg.GradError, match=r"for x has shape \(\), not \(2,\)"):
        tg.sum(x).backward()
    assert x.grad is None
    assert id(x) in _registered
    key = id(x)
    del x
    gc.collect()
    assert key not in _registered


def test_a_gradient_that_is_written_into_by_a_registered_function_changes_nothing_else():
    x = tg.Value([1.0, 2.0])

    def spoil(dx):
        dx[:] = 0.0

    x.register(spoil)
    tg.sum(x).backward()
    assert x.grad.tolist() == [1.0, 1.0]
