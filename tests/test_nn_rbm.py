"""The restricted Boltzmann machine: automatic against hand-derived, exact sums as referee."""

import itertools

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn.rbm import configurations


def a_machine(n_v=4, n_h=3, scale=0.8, seed=0):
    rng = np.random.default_rng(seed)
    machine = nn.RBM(n_v, n_h)
    for p in machine.parameters.values():
        p.data = scale * rng.standard_normal(p.shape)
    return machine


def numbers(machine):
    return (np.array(p.data) for p in (machine.W, machine.a, machine.b))


def joint(machine):
    """e^−E(v, h) of all configurations straight from the energy, {(v, h): weight}."""
    W, a, b = numbers(machine)
    weights = {}
    for v in itertools.product((0.0, 1.0), repeat=machine.n_v):
        for h in itertools.product((0.0, 1.0), repeat=machine.n_h):
            energy = -(a.ravel() @ v) - (b.ravel() @ h) - np.array(h) @ W @ np.array(v)
            weights[v, h] = np.exp(-energy)
    return weights


def test_the_free_energy_is_the_energy_summed_over_the_hidden_units():
    machine = a_machine()
    weights = joint(machine)
    V = configurations(4)
    for F, v in zip(machine.free_energy(V).data, V.T):
        total = sum(w for (seen, _), w in weights.items() if seen == tuple(v))
        assert pytest.approx(total) == np.exp(-F)


def test_the_partition_function_is_the_sum_over_all_configurations():
    machine = a_machine()
    assert machine.log_partition().item() == pytest.approx(np.log(sum(joint(machine).values())))


def test_units_are_drawn_with_their_conditional_probabilities():
    machine = a_machine()
    weights = joint(machine)
    v, h = (1.0, 0.0, 1.0, 1.0), (0.0, 1.0, 1.0)
    given_v = {hs: w for (vs, hs), w in weights.items() if vs == v}
    given_h = {vs: w for (vs, hs), w in weights.items() if hs == h}
    P_h = sum(w * np.array(hs) for hs, w in given_v.items()) / sum(given_v.values())
    P_v = sum(w * np.array(vs) for vs, w in given_h.items()) / sum(given_h.values())
    np.testing.assert_allclose(machine.hidden(np.array([v]).T).ravel(), P_h)
    np.testing.assert_allclose(machine.visible(np.array([h]).T).ravel(), P_v)


def test_the_automatic_update_is_the_hand_derived_v_h_rule():
    machine = a_machine(n_v=5, n_h=3)
    rng = np.random.default_rng(1)
    V = (rng.random((5, 7)) < 0.5).astype(float)
    V_k = machine.gibbs(V, rng, k=2)
    machine.contrast(V, V_k).backward()
    H, H_k = machine.hidden(V), machine.hidden(V_k)
    np.testing.assert_allclose(machine.W.grad, (H_k @ V_k.T - H @ V.T) / 7, atol=1e-15)
    np.testing.assert_allclose(machine.b.grad, (H_k - H).mean(axis=1, keepdims=True), atol=1e-15)
    np.testing.assert_allclose(machine.a.grad, (V_k - V).mean(axis=1, keepdims=True), atol=1e-15)


def test_the_exact_gradient_is_data_minus_model():
    machine = a_machine()
    V = (np.random.default_rng(2).random((4, 9)) < 0.4).astype(float)
    machine.negative_log_likelihood(V).backward()
    weights = joint(machine)
    Z = sum(weights.values())
    model = sum(w / Z * np.outer(h, v) for (v, h), w in weights.items())
    np.testing.assert_allclose(machine.W.grad, model - machine.hidden(V) @ V.T / 9, atol=1e-14)


def test_long_chains_make_contrastive_divergence_the_exact_gradient():
    """CD-k goes to the gradient of the likelihood as k grows; CD-1 is biased."""
    machine = a_machine(scale=1.5)
    rng = np.random.default_rng(3)
    V = np.tile(np.array([[1.0], [1.0], [0.0], [0.0]]), 40_000)
    machine.negative_log_likelihood(V[:, :1]).backward()
    exact = machine.W.grad
    off = {}
    for k in (1, 30):
        machine.W.zero_grad()
        machine.contrast(V, machine.gibbs(V, rng, k)).backward()
        off[k] = np.abs(machine.W.grad - exact).max()
    assert off[30] < 0.02 < off[1]


@pytest.mark.slow
def test_training_raises_the_exact_likelihood_towards_the_datas_own():
    V = np.repeat(np.array([[1.0, 1, 0, 0], [0, 0, 1, 1]]).T, 20, axis=1)
    machine = nn.RBM(4, 3, seed=1)
    before = machine.negative_log_likelihood(V).item()
    assert before == pytest.approx(4 * np.log(2), rel=0.01)
    machine.fit(V, epochs=300, k=5, batch_size=10, optimiser=nn.GradientDescent(0.2))
    assert np.log(2) < machine.negative_log_likelihood(V).item() < 1.0  # log 2: the data's entropy


def test_the_same_seed_gives_the_same_machine():
    V = (np.random.default_rng(0).random((6, 30)) < 0.3).astype(float)
    machines = [nn.RBM(6, 4, seed=s) for s in (1, 1, 2)]
    for machine, seed in zip(machines, (5, 5, 6)):
        machine.fit(V, epochs=2, seed=seed)
    assert np.array_equal(machines[0].W.data, machines[1].W.data)
    assert not np.array_equal(machines[0].W.data, machines[2].W.data)


@pytest.mark.parametrize("rows", [False, True])
def test_pretraining_gives_each_layer_the_machine_of_what_comes_into_it(rows):
    X = (np.random.default_rng(0).random((8, 40)) < 0.3).astype(float)
    net = nn.Network(
        8, nn.Dense(5, "sigmoid"), nn.Dense(4, "sigmoid"), nn.Dense(2, "softmax"), rows=rows
    )
    W3 = np.array(net.parameters["W3"].data)
    nn.pretrain(net, X.T if rows else X, epochs=3, seed=7)
    first = nn.RBM(8, 5, seed=7)
    first.fit(X, 3, seed=7)
    second = nn.RBM(5, 4, seed=8)
    second.fit(first.hidden(X), 3, seed=8)
    for l, machine in ((1, first), (2, second)):
        W, b = net.parameters[f"W{l}"].data, net.parameters[f"b{l}"].data
        assert np.array_equal(W.T if rows else W, machine.W.data)
        assert np.array_equal(b.T if rows else b, machine.b.data)
    assert np.array_equal(net.parameters["W3"].data, W3)


def test_mistakes_are_told():
    with pytest.raises(tg.GradError, match=r"not to Dense\(4, relu, he\)"):
        nn.pretrain(nn.Network(3, nn.Dense(4, "relu"), nn.Dense(1)), np.zeros((3, 2)))
    with pytest.raises(tg.GradError, match="numbers from 0 to 1"):
        nn.RBM(2, 2).fit(np.array([[0.0, 2.0], [1.0, 0.0]]))
    with pytest.raises(tg.GradError, match=r"2\*\*21 terms"):
        nn.RBM(21, 2).log_partition()
