"""The sweep itself: order, sums at fan-out, what it runs and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Value
from tinygrad_edu.core.ops.shaping import joined
from tinygrad_edu.core.primitive import primitive
from tinygrad_edu.core.sweep import reachable, sweep


def diamond():
    x = Value(2.0, "x")
    y = x * x
    return x, y, y * y + y * x


def test_nodes_come_newest_first_and_each_once():
    x, _, z = diamond()
    order = reachable(z)
    assert order[0] is z
    assert order[-1] is x
    assert len(order) == len(set(order)) == 5
    places = {node: i for i, node in enumerate(order)}
    assert all(places[node] < places[parent] for node in order for parent in node.parents)


def test_constants_are_reached_only_when_all_are_asked_for():
    x = Value(2.0)
    z = x * 3.0 + 1.0
    assert len(reachable(z)) == 3
    assert len(reachable(z, every=True)) == 5


def test_each_rule_runs_once_per_edge(monkeypatch):
    ran = []
    rules = tuple(
        lambda *a, _i=i, _r=r: ran.append(_i) or _r(*a) for i, r in enumerate(tg.multiply.rules)
    )
    monkeypatch.setattr(tg.multiply, "rules", rules)
    x, _, z = diamond()
    z.backward()
    assert x.grad == 44.0
    assert sorted(ran) == [0, 0, 0, 1, 1, 1]


def test_gradients_may_be_read_as_values():
    x, y, z = diamond()
    found = sweep(z, Value(1.0, requires_grad=False), lambda node: (node, node.parents))
    assert found[x].item() == 44.0
    assert isinstance(found[y], Value)
    second = Value(0.0) + found[x]
    second.backward()
    assert x.grad == 12 * 4 + 6 * 2  # of 4x³ + 3x²


def test_going_only_where_some_nodes_are_reached():
    x, w = Value(2.0), Value(3.0)
    y = x * w
    z = y * y
    found = sweep(z, 1.0, wrt=frozenset({y}))
    assert found[y] == 12.0
    assert x not in found
    assert w not in found


def test_a_sweep_writes_nothing():
    x, y, z = diamond()
    sweep(z, 1.0)
    assert (x.grad, y.grad, z.grad) == (None, None, None)


def test_nothing_that_needs_no_gradient_is_in_the_result():
    x = Value(2.0)
    z = x * Value(3.0, requires_grad=False)
    assert set(sweep(z, 1.0)) == {x, z}


@pytest.mark.parametrize("parts", [1, 2, 3, 5])
def test_an_operation_of_any_number_of_inputs(parts):
    leaves = [Value(np.full(i + 1, 1.0)) for i in range(parts)]
    for options in ({}, {"axis": 0}, {"axis": None}):
        for leaf in leaves:
            leaf.zero_grad()
        z = joined(*leaves, **options)
        seed = np.arange(float(z.size))
        z.backward(seed)
        assert np.concatenate([leaf.grad for leaf in leaves]).tolist() == seed.tolist()


def test_an_operation_of_ones_own():
    """Declared once, it works forward, backward and to second order."""

    @primitive(lambda dz, z, x: dz * 3.0 * x * x)
    def cubed(x):
        return x * x * x

    assert cubed(2.0) == 8.0
    assert tg.grad(cubed)(2.0) == 12.0
    assert tg.grad(tg.grad(cubed))(2.0) == 12.0
    tg.check_gradients(cubed, np.array([1.0, -2.0]), order=2)


def test_a_contribution_of_another_shape_than_the_input_is_summed():
    b = Value(np.zeros((4, 1)))
    z = b + np.ones((2, 4, 5))
    z.backward(np.arange(40.0).reshape(2, 4, 5))
    expected = np.arange(40.0).reshape(2, 4, 5).sum(axis=(0, 2)).reshape(4, 1)
    assert b.grad.tolist() == expected.tolist()
