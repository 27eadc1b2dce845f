"""Diagnostics: what they say is what NumPy computes by hand, and the bound is never broken."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn.diagnostics import depth_profile


def test_norms_signs_and_slopes_are_those_of_the_hand_written_pass():
    net = nn.Network(3, nn.Dense(6, "sigmoid", "unscaled"), nn.Dense(1, "sigmoid"), seed=3)
    X, Y = net.example(m=8)
    X = 5 * X
    p = {name: np.array(v.data) for name, v in net.parameters.items()}
    A1 = 1 / (1 + np.exp(-(p["W1"] @ X + p["b1"])))
    A2 = 1 / (1 + np.exp(-(p["W2"] @ A1 + p["b2"])))
    dZ2 = (A2 - Y) / 8
    slope = A1 * (1 - A1)
    dZ1 = p["W2"].T @ dZ2 * slope
    dW1 = dZ1 @ X.T
    first, second = nn.diagnose(net, X, Y)
    assert second.dZ == pytest.approx(np.linalg.norm(dZ2))
    assert first.dZ == pytest.approx(np.linalg.norm(dZ1))
    assert first.dW == pytest.approx(np.linalg.norm(dW1))
    assert first.positive == np.mean(dW1 > 0)
    assert first.flat == np.mean(slope < 0.0025)
    assert first.flat > 0
    assert first.bound == pytest.approx(0.25 * np.linalg.norm(p["W2"]) * np.linalg.norm(dZ2))


def test_diagnosing_changes_nothing():
    net = nn.Network(3, nn.Dense(4, "relu"), nn.Dense(1, "sigmoid"))
    before = net.state()
    nn.diagnose(net, *net.example())
    assert all(p.grad is None for p in net.parameters.values())
    assert all(np.array_equal(before[name], a) for name, a in net.state().items())


def test_dead_units_are_those_that_are_flat_for_every_example():
    net = nn.Network(2, nn.Dense(4, "relu"), nn.Dense(1))
    W = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    net.parameters["W1"].data = W
    net.parameters["b1"].data = [[0.0], [-9.0], [0.0], [-9.0]]
    X = np.array([[1.0, 1.0, -1.0], [1.0, -1.0, 1.0]])
    d = nn.diagnose(net, X, np.ones((1, 3)))[0]
    assert d.dead == 0.5  # units 2 and 4
    assert d.flat == pytest.approx(8 / 12)  # they in all three examples, units 1 and 3 in one each


def test_an_activation_after_normalisation_is_seen_at_its_own_input():
    net = nn.Network(3, nn.Dense(4), nn.BatchNorm("relu"), nn.Dense(1), seed=1)
    net.parameters["beta1"].data = np.full((4, 1), -50.0)
    d = nn.diagnose(net, *net.example())[0]
    assert (d.activation, d.dead) == ("relu", 1.0)
    assert np.isnan(d.bound)  # of what lies between there is none


@pytest.mark.parametrize(
    "activation", ["sigmoid", "tanh", "relu", "softplus", "leaky_relu", "linear"]
)
@pytest.mark.parametrize("init", ["small", "xavier", "he", "unscaled"])
def test_no_gradient_is_longer_than_its_bound(activation, init):
    for seed in range(3):
        for d in depth_profile(8, activation, init, width=9, m=5, seed=seed):
            assert d.dZ <= d.bound * (1 + 1e-12)


@pytest.mark.slow
def test_sigmoids_vanish_no_slower_than_a_quarter_per_layer_and_relu_with_he_does_not(tmp_path):
    curves = nn.plot_vanishing(tmp_path / "vanishing.svg", depth=16)
    assert set(curves) == {
        "sigmoid, xavier", "tanh, small", "tanh, xavier", "relu, xavier", "relu, he",
        "relu, unscaled", "(1/4)ᵏ",
    }  # fmt: skip
    assert curves["sigmoid, xavier"][-1] < 1e-8
    assert curves["tanh, small"][-1] < 1e-12
    assert 0.01 < curves["relu, he"][-1] < 100
    assert curves["relu, unscaled"][-1] > 1e6  # exploding
    picture = (tmp_path / "vanishing.svg").read_text()
    assert all(f">{kind}</text>" in picture for kind in curves)


def test_sigmoids_with_weights_of_norm_1_are_under_a_quarter_to_the_depth():
    def orthogonal(rng, n, n_in):
        return np.linalg.qr(rng.standard_normal((max(n, n_in), max(n, n_in))))[0][:n, :n_in]

    profile = depth_profile(12, "sigmoid", orthogonal, seed=2)
    net_norm = np.linalg.norm  # of the output layer's weights, which Xavier drew
    norms = np.array([d.dZ for d in profile])[::-1]
    top = norms[1]
    assert all(norms[1 + k] <= top * 0.25**k * (1 + 1e-9) for k in range(11))
    assert net_norm(norms) > 0


def test_dropout_lets_the_bound_through_as_it_drops_nothing_from_a_trained_net():
    plain = nn.Network(3, nn.Dense(4, "tanh"), nn.Dense(1, "sigmoid"), seed=1)
    dropping = nn.Network(
        3, nn.Dense(4, "tanh"), nn.Dropout(0.5), nn.Dense(1, "sigmoid"), nn.Dropout(0.5),
        seed=1, loss="mean_squared_error",
    )  # fmt: skip
    X, Y = plain.example()
    assert all(np.isfinite(d.bound) for d in nn.diagnose(dropping, X, Y))


@pytest.mark.slow
def test_watching_a_run_gives_every_step_and_layer(tmp_path):
    net = nn.Network(3, nn.Dense(4, "tanh"), nn.Dense(1, "sigmoid"))
    X, Y = net.example(m=12)
    watch = nn.Watch(X, Y, every=2)
    net.fit(X, Y, epochs=3, batch_size=4, callbacks=[watch])
    assert watch.steps == [2, 4, 6, 8]
    assert watch.history("dW").shape == (4, 2)
    last = nn.diagnose(net, X, Y)
    net.fit(X, Y, epochs=1, batch_size=None, optimiser=nn.GradientDescent(0.0), callbacks=[
        again := nn.Watch(X, Y)
    ])  # fmt: skip
    assert again.found[0] == last
    watch.plot(tmp_path / "norms.svg")
    last.plot(tmp_path / "layers.svg")
    assert "layer 2" in (tmp_path / "norms.svg").read_text()
    assert "bound" in str(last)


def test_mistakes_are_told():
    with pytest.raises(tg.GradError, match="layers to pass through"):
        depth_profile(1, "tanh", "small")
