"""Optimisers: the same path as PyTorch's from the same start, and formulas on paper."""

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn

PAIRS = {
    "gradient descent": (nn.GradientDescent(0.1), lambda o, p: o.SGD(p, 0.1)),
    "momentum": (nn.Momentum(0.05, beta=0.8), lambda o, p: o.SGD(p, 0.05, momentum=0.8)),
    "rmsprop": (nn.RMSProp(0.01), lambda o, p: o.RMSprop(p, 0.01)),
    "adam": (nn.Adam(0.02), lambda o, p: o.Adam(p, 0.02)),
}


@pytest.mark.parametrize("clip", [None, 0.3], ids=["", "clipped"])
@pytest.mark.parametrize("kind", PAIRS)
def test_the_path_is_pytorchs(kind, clip):
    torch = pytest.importorskip("torch")
    ours, make = PAIRS[kind]
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((9, 3)), rng.integers(2, size=(9, 1)).astype(float)
    net = nn.Network(3, nn.Dense(4, "tanh"), nn.Dense(1, "sigmoid"), rows=True, l2=0.1, seed=5)
    p = {
        name: torch.tensor(np.array(v.data), requires_grad=True)
        for name, v in net.parameters.items()
    }
    theirs = make(torch.optim, p.values())
    memory = None
    for _ in range(40):
        for v in net.parameters.values():
            v.zero_grad()
        net.cost(X, Y).backward()
        gradients = {name: v.grad for name, v in net.parameters.items()}
        memory = ours.step(
            net.parameters, memory, gradients if clip is None else nn.clip_norm(gradients, clip)
        )
        theirs.zero_grad()
        Z = torch.tanh(torch.tensor(X) @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(Z, torch.tensor(Y))
        (loss + 0.05 * (p["W1"] ** 2).sum() + 0.05 * (p["W2"] ** 2).sum()).backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(p.values(), clip)
        theirs.step()
    # PyTorch adds 1e-6 to the norm it clips by, so clipped paths part in the sixth digit.
    rtol = 1e-9 if clip is None else 1e-4
    for name, v in net.parameters.items():
        np.testing.assert_allclose(v.data, p[name].detach().numpy(), rtol=rtol, atol=1e-9)


@pytest.mark.parametrize(
    "ours, make",
    [
        (
            nn.StepDecay(0.3, every=4, factor=0.5),
            lambda s, o: s.StepLR(o, step_size=4, gamma=0.5),
        ),
        (
            nn.Cosine(0.3, steps=12, low=0.01),
            lambda s, o: s.CosineAnnealingLR(o, T_max=12, eta_min=0.01),
        ),
    ],
    ids=["step decay", "cosine"],
)
def test_schedules_are_pytorchs(ours, make):
    torch = pytest.importorskip("torch")
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.3)
    theirs = make(torch.optim.lr_scheduler, optimiser)
    for t in range(1, 13):
        assert ours(t) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9)
        optimiser.step()
        theirs.step()


def test_warmup_rises_in_a_line_and_then_falls():
    rates = [nn.Cosine(1.0, steps=4, warmup=4)(t) for t in range(1, 10)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[4] == 1.0
    assert rates[-1] == 0.0


def test_a_schedule_is_followed_step_by_step():
    w = tg.Value(0.0, "w")
    memory, seen = None, []
    for _ in range(4):
        before = w.data
        memory = nn.GradientDescent(nn.StepDecay(1.0, every=2)).step({"w": w}, memory, {"w": 1.0})
        seen.append(before - w.data)
    assert seen == pytest.approx([1.0, 1.0, 0.1, 0.1])


def test_a_parameter_without_gradient_stays_where_it_is():
    used, unused = tg.Value(1.0, "u"), tg.Value([1.0, 2.0], "v")
    (used * 3).backward()
    memory = nn.Adam(0.1).step({"u": used, "v": unused})
    assert used.data != 1.0
    assert unused.data.tolist() == [1.0, 2.0]
    assert set(memory) == {"t", "u.v", "u.s"}


def test_clipping_shortens_without_turning():
    g = {"W": np.array([[3.0, 4.0]]), "b": np.array([12.0])}  # length 13
    assert nn.norm_of(g) == 13.0
    short = nn.clip_norm(g, 6.5)
    assert nn.norm_of(short) == pytest.approx(6.5)
    np.testing.assert_allclose(short["W"] / short["b"], g["W"] / g["b"])
    assert nn.norm_of(nn.clip_norm(g, 20.0)) == 13.0
    assert nn.clip_norm({"w": np.zeros(2)}, 1.0)["w"].tolist() == [0.0, 0.0]
    with pytest.raises(tg.GradError, match="limit must be a number above 0"):
        nn.clip_norm(g, 0.0)


def test_float32_parameters_stay_float32():
    w = tg.Value(np.ones(3, dtype=np.float32), "w")
    for optimiser in (nn.GradientDescent(0.1), nn.Momentum(0.1), nn.RMSProp(0.1), nn.Adam(0.1)):
        memory = optimiser.step({"w": w}, None, {"w": np.ones(3, dtype=np.float32)})
        assert w.dtype == np.float32
        assert all(a.dtype == np.float32 for name, a in memory.items() if name != "t")
    assert math.isfinite(float(w.data[0]))


@pytest.mark.parametrize(
    "parameters, gradients, error, said",
    [
        ({"W": tg.Value([1.0, 2.0])}, {"W": np.ones(3)}, tg.GradError, r"W has shape \(2,\).*3"),
        ({"W": tg.Value([1.0, 2.0])}, {"W": np.ones(1)}, tg.GradError, r"its gradient \(1,\)"),
        ({"W": tg.Value([1.0, 2.0])}, {"W": 3.0}, tg.GradError, r"its gradient \(\)"),
        ({"W": tg.Value(1.0)}, {"W": np.ones(1)}, tg.GradError, r"its gradient \(1,\)"),
        ({"W": tg.Value([1.0, 2.0])}, {"dW": np.ones(2)}, tg.GradError, "of dW.*there are W"),
        ({"W": np.ones(2)}, {"W": np.ones(2)}, TypeError, "W is ndarray of shape"),
        ({"W": np.ones(2)}, None, TypeError, "a parameter is a Value"),
    ],
)
def test_a_step_refuses_what_would_move_nothing_or_the_wrong_numbers(
    parameters, gradients, error, said
):
    before = {name: np.array(getattr(p, "data", p)) for name, p in parameters.items()}
    with pytest.raises(error, match=said):
        nn.Adam().step(parameters, None, gradients)
    for name, p in parameters.items():
        assert np.array_equal(getattr(p, "data", p), before[name])


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: nn.Adam(lr=-1), "Adam: lr must be a number from 0"),
        (lambda: nn.Adam(eps=-1.0), "Adam: eps"),
        (lambda: nn.StepDecay(-0.1, every=2), "StepDecay: lr"),
        (lambda: nn.StepDecay(0.1, every=2, factor=-1.0), "StepDecay: factor"),
        (lambda: nn.Cosine(0.1, steps=2, low=-1.0), "Cosine: low"),
        (lambda: nn.Network(2, nn.Dense(1), l2=-1), "Network: l2 must be a number from 0"),
        (lambda: nn.BatchNorm(eps=-1e-5), "BatchNorm: eps"),
        (lambda: nn.Network(1, nn.Dense(1)).fit([[1.0]], [[1.0]], tolerance=-1.0), "tolerance"),
        (
            lambda: nn.Network(1, nn.Dense(1)).fit([[1.0]], [[1.0]], clip=0),
            "^fit: clip must .* above",
        ),
    ],
)
def test_a_number_that_would_undo_its_purpose_is_refused(call, said):
    with pytest.raises(tg.GradError, match=said):
        call()
