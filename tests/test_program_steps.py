"""Programs for a whole step of training: forward, backward and update."""

from dataclasses import dataclass

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.program import source

OPTIMISERS = [
    nn.GradientDescent(0.5), nn.Momentum(0.1), nn.RMSProp(0.01), nn.Adam(0.03),
    nn.Adam(nn.Cosine(0.1, steps=9, warmup=2)),
]  # fmt: skip


def parameters(dtype=np.float64, seed=0):
    r = np.random.default_rng(seed)
    shapes = {"W1": (4, 2), "b1": (4, 1), "W2": (3, 4), "b2": (3, 1)}
    return {name: tg.Value(r.normal(size=s).astype(dtype), name) for name, s in shapes.items()}


def batch(dtype=np.float64, seed=1):
    r = np.random.default_rng(seed)
    return {
        "X": r.normal(size=(2, 7)).astype(dtype),
        "Y": np.eye(3, dtype=dtype)[:, r.integers(3, size=7)],
    }


def cost_of(p, data):
    X, Y = (tg.Value(data[name], name, requires_grad=False) for name in "XY")
    A1 = tg.tanh(p["W1"] @ X + p["b1"])
    return tg.mean(tg.cross_entropy(p["W2"] @ A1 + p["b2"], Y)) + 0.1 * tg.sum(p["W1"] ** 2)


def assert_near(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for name, a in expected.items():
        assert np.shape(found[name]) == np.shape(a)
        assert np.asarray(found[name]).dtype == np.asarray(a).dtype or name == "t"
        np.testing.assert_allclose(found[name], a, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("clip", [None, 0.2])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=repr)
def test_a_step_is_backward_and_the_optimisers_own_step(optimiser, dtype, clip):
    p, memory, tolerance = parameters(dtype), None, 1e-12 if dtype == np.float64 else 2e-4
    step = tg.compile(cost_of(p, batch(dtype)), update=optimiser, clip=clip)
    for seed in range(12):
        data = batch(dtype, seed)
        for v in p.values():
            v.zero_grad()
        J = cost_of(p, data)
        J.backward()
        gradients = {name: v.grad for name, v in p.items()}
        assert step(**data) == pytest.approx(J.item(), rel=tolerance)
        assert_near(step.gradients, gradients, tolerance)
        memory = optimiser.step(
            p, memory, gradients if clip is None else nn.clip_norm(gradients, clip)
        )
    assert_near(step.parameters, {name: v.data for name, v in p.items()}, tolerance)
    assert_near(step.memory, memory, tolerance)


@pytest.mark.parametrize("clip", [None, 0.2])
@pytest.mark.parametrize("optimiser", [nn.Momentum(0.1), nn.Adam(0.03)], ids=repr)
def test_long_vectors_are_moved_part_by_part_to_the_bit(monkeypatch, optimiser, clip):
    def moved():
        step = tg.compile(cost_of(parameters(), batch()), update=optimiser, clip=clip)
        costs = [step(**batch(seed=seed)) for seed in range(5)]
        return step, costs

    whole, costs = moved()
    monkeypatch.setattr(source, "_PART", 7 * 8)  # 27 numbers: in four parts of seven
    parts, found = moved()
    assert "for part in parts" in parts.source
    assert "for part" not in whole.source
    assert found == costs
    assert_near(parts.parameters, whole.parameters, 0)
    assert_near(parts.memory, whole.memory, 0)


def test_single_numbers_are_moved_too():
    """Rolled up into arrays, or not, as in other programs."""
    for units in (1, 9):
        w = [[tg.Value(0.3 * i - j, f"w{i}_{j}") for j in range(3)] for i in range(units)]
        x = [tg.Value(float(j) - 1, f"x{j}", requires_grad=False) for j in range(3)]

        def cost(w=w, x=x):
            return sum(tg.tanh(sum(a * b for a, b in zip(row, x))) for row in w)

        named = {v.name: v for row in w for v in row}
        step = tg.compile(cost(), update=nn.Momentum(0.1))
        memory = None
        for _ in range(4):
            J = cost()
            for v in named.values():
                v.zero_grad()
            J.backward()
            memory = nn.Momentum(0.1).step(named, memory)
            assert step(x1=0.0) == pytest.approx(J.item())
        assert_near(step.parameters, {name: v.data for name, v in named.items()}, 1e-12)
        assert_near(step.memory, memory, 1e-12)


def test_a_step_with_more_results_returns_them_too():
    p = parameters()
    X = tg.Value(batch()["X"], "X", requires_grad=False)
    Z = p["W1"] @ X
    step = tg.compile(tg.mean(Z * Z), also={"Z": Z}, update=nn.GradientDescent(0.5))
    W = p["W1"].data
    J, more = step()
    assert np.array_equal(more["Z"], W @ X.data)
    assert J == pytest.approx(np.mean((W @ X.data) ** 2))
    kept = more["Z"].copy()
    step(X=X.data + 1)
    assert np.array_equal(more["Z"], kept)


def test_what_a_step_gives_out_is_a_copy_and_the_values_stay():
    p = parameters()
    before = {name: v.data.copy() for name, v in p.items()}
    step = tg.compile(cost_of(p, batch()), update=nn.Adam(0.1))
    step()
    parts = step.parameters, step.gradients, step.memory
    kept = [{name: np.copy(a) for name, a in part.items()} for part in parts]
    step()
    for part, old in zip(parts, kept):
        assert_near(part, old, 0)
        for name, a in part.items():
            if name != "t":
                a[...] = np.nan
    assert np.isfinite(step())
    assert_near({name: v.data for name, v in p.items()}, before, 0)


def test_a_step_that_fails_has_not_happened():
    class Moody:
        """A rate that is sometimes not there."""

        def __call__(self, t):
            if t == 3:
                raise KeyboardInterrupt
            return 0.1

    step = tg.compile(cost_of(parameters(), batch()), update=nn.Adam(Moody()))
    step(), step()
    before = step.parameters, step.memory
    with pytest.raises(KeyboardInterrupt):
        step()
    with pytest.raises(tg.GradError, match="shape"):
        step(X=np.zeros((2, 8)))
    assert_near(step.parameters, before[0], 0)
    assert_near(step.memory, before[1], 0)
    with pytest.raises(TypeError, match="no argument W1"):
        step(W1=np.zeros((4, 2)))


def test_a_step_goes_on_from_other_numbers_to_the_bit():
    data = [batch(seed=seed) for seed in range(5)]
    whole, first, second = (
        tg.compile(cost_of(parameters(), batch()), update=nn.Adam(0.1)) for _ in range(3)
    )
    costs = [whole(**d) for d in data]
    assert costs[:2] == [first(**d) for d in data[:2]]
    second.restore(first.parameters, first.memory)
    assert costs[2:] == [second(**d) for d in data[2:]]
    assert_near(second.parameters, whole.parameters, 0)
    with pytest.raises(tg.GradError, match="W1: shape"):
        second.restore({**first.parameters, "W1": np.zeros(3)})


@dataclass(frozen=True)
class Signs(nn.Optimiser):
    """A formula of one's own, number by number."""

    remembers = ("n",)

    def update(self, t, lr, p, g, *kept):
        size = tg.sqrt(g * g) + 1e-3
        return p - lr / t * g / size, kept[0] + size


@dataclass(frozen=True)
class Normed(nn.Optimiser):
    """A formula that looks at a whole parameter."""

    def update(self, t, lr, p, g, *kept):
        return (p - lr * g / tg.norm(g),)


def test_a_formula_of_ones_own_is_compiled_if_it_goes_number_by_number():
    p, memory = parameters(), None
    step = tg.compile(cost_of(p, batch()), update=Signs(0.1))
    for _ in range(3):
        step()
        for v in p.values():
            v.zero_grad()
        cost_of(p, batch()).backward()
        memory = Signs(0.1).step(p, memory)
    assert_near(step.parameters, {name: v.data for name, v in p.items()}, 1e-12)
    assert_near(step.memory, memory, 1e-12)
    with pytest.raises(tg.GradError, match="the formula of Normed looks at several"):
        tg.compile(cost_of(parameters(), batch()), update=Normed(0.1))


def test_what_a_step_cannot_be_is_told():
    p = parameters()
    with pytest.raises(tg.GradError, match=r"clip=0\.5 is a positive limit, for a step"):
        tg.compile(cost_of(p, batch()), clip=0.5)
    with pytest.raises(tg.GradError, match=r"clip=-1\.0"):
        tg.compile(cost_of(p, batch()), update=nn.Adam(), clip=-1.0)
    p["W1"] = tg.Value(np.float32(p["W1"].data), "W1")
    with pytest.raises(tg.GradError, match=r"one dtype.*W1 float32"):
        tg.compile(cost_of(p, batch()), update=nn.Adam())
    with pytest.raises(TypeError, match="an optimiser"):
        tg.compile(cost_of(parameters(), batch()), update=0.1)


def test_where_an_infinite_slope_is_left_out_the_step_is_the_graphs():
    """The same care as in other programs: of what was left out comes no nan."""

    def cost(w):
        return tg.sum(tg.where(w > 0, tg.sqrt(tg.maximum(w, 0.0)), w * w))

    w = tg.Value([4.0, 0.0, -1.0], "w")
    step = tg.compile(cost(w), update=nn.Momentum(0.5))
    with np.errstate(all="ignore"):
        step(), step()
        memory = None
        for _ in range(2):
            w.zero_grad()
            cost(w).backward()
            memory = nn.Momentum(0.5).step({"w": w}, memory)
    assert np.isfinite(w.data).all()
    assert_near(step.parameters, {"w": w.data}, 1e-12)
