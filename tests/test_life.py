"""A long life: copies and pickles, graphs of a million nodes, loops over thousands of entries, and
training that goes on without growing. ``python -m tests.life`` runs the long ones.
"""

from __future__ import annotations

from typing import Any

import life
import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Value
from tinygrad_edu.core.ops import shaping
from tinygrad_edu.core.primitive import Each

# --- thousands of entries, each used alone ------------------------------------------------------


def counted(monkeypatch: pytest.MonkeyPatch, of: Any, name: str) -> list[int]:
    """How many numbers each call of a method makes, from now on."""
    sizes: list[int] = []
    right = getattr(of, name)

    def counting(*args: Any, **options: Any) -> Any:
        made = right(*args, **options)
        sizes.append(int(np.size(made)))
        return made

    monkeypatch.setattr(of, name, counting)
    return sizes


@pytest.mark.parametrize(
    "each", [lambda v, i: v[i], lambda v, i: v[[i, i]], lambda v, i: v[i : i + 1] * 2]
)
def test_a_loop_over_the_entries_makes_one_array_of_their_size_and_not_one_for_each(
    each, monkeypatch
):
    n = 300
    v, w = Value(np.linspace(-1, 1, n)), np.linspace(1, 2, n)
    cost = sum((tg.sum(each(v, i)) ** 2 * w[i] for i in range(n)), start=Value(0.0))
    sizes = counted(monkeypatch, shaping.scatter, "forward")
    cost.backward()
    assert sizes == [n]
    factor = 1 if each(v, 0).size == 1 and each(v, 0).shape == () else 2
    assert np.allclose(v.grad, 2 * factor**2 * v.data * w, rtol=1e-14)


@pytest.mark.parametrize("join", [tg.concatenate, tg.stack, tg.vstack, tg.hstack])
def test_thousands_of_joined_values_are_differentiated_in_one_go(join, monkeypatch):
    rng = np.random.default_rng(3)
    xs = [Value(rng.standard_normal((2, 3)), requires_grad=i % 3 > 0) for i in range(2000)]
    asked = []
    rule = shaping.joined.rules.rule
    monkeypatch.setattr(
        shaping.joined, "rules", Each(lambda *a, **o: asked.append(1) or rule(*a, **o))
    )
    z = join(xs)
    seed = rng.standard_normal(z.shape)
    z.backward(seed)
    assert asked == [1]
    assert [x.grad is None for x in xs] == [i % 3 == 0 for i in range(2000)]
    whole = join([np.zeros((2, 3)) if x.grad is None else x.grad for x in xs])
    kept = join([np.full((2, 3), float(x.requires_grad)) for x in xs])
    assert np.array_equal(whole, seed * kept)


def test_adding_a_contribution_in_place_is_what_the_rule_says():
    rng = np.random.default_rng(4)
    for index in (
        1,
        -1,
        slice(0, 3, 2),
        [0, 0, 2],
        (..., 1),
        (None, 2),
        np.array([True, False] * 2),
    ):
        x, before = rng.standard_normal((4, 2)), rng.standard_normal((4, 2))
        z = shaping.getitem(x, index=index)
        dz = rng.standard_normal(np.shape(z))[()]
        expected = before + shaping.getitem.rules[0](dz, z, x, index=index)
        shaping.getitem.add_into(before, dz, index=index)
        assert np.array_equal(before, expected)


@pytest.mark.slow
def test_the_long_runs_leave_nothing_behind_in_a_short_one_either():
    assert life.large_graph(3000)["left"] == 0
    for step, times in ((life.steps_by_hand(), 100), (life.steps_of_fit(), 1)):
        assert life.growth(step, times)["objects"] <= 5


def test_each_input_of_a_joining_also_has_a_rule_alone():
    x, y, dz = np.ones((2, 2)), np.ones((3, 2)), np.arange(10.0).reshape(5, 2)
    first, second = (
        rule(dz, dz, x, y, axis=0) for rule, _ in zip(shaping.joined.rules, (x, y), strict=False)
    )
    assert first.tolist() == dz[:2].tolist()
    assert second.tolist() == dz[2:].tolist()
