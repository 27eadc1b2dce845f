"""Layers and networks: the lecture's names, gradients against differences and PyTorch."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.core.sweep import reachable


def central_differences(cost, p, eps=1e-6):
    """dJ/dp by moving one number at a time; knows nothing of graphs."""
    start = np.array(p.data)
    gradient = np.zeros_like(start)
    for index in np.ndindex(start.shape):
        heights = []
        for sign in (1, -1):
            moved = start.copy()
            moved[index] += sign * eps
            p.data = moved
            heights.append(cost().item())
        gradient[index] = (heights[0] - heights[1]) / (2 * eps)
    p.data = start
    return gradient


NETS = {
    "the lecture's": lambda **k: nn.Network(3, nn.Dense(4, "tanh"), nn.Dense(1, "sigmoid"), **k),
    "softmax": lambda **k: nn.Network(3, nn.Dense(5, "softplus"), nn.Dense(4, "softmax"), **k),
    "regression": lambda **k: nn.Network(3, nn.Dense(4, "sigmoid"), nn.Dense(2), **k),
    "L2": lambda **k: nn.Network(3, nn.Dense(4, "tanh"), nn.Dense(2, "sigmoid"), l2=0.3, **k),
    "LayerNorm": lambda **k: nn.Network(
        3, nn.Dense(4), nn.LayerNorm("tanh"), nn.Dense(1, "sigmoid"), **k
    ),
    "BatchNorm": lambda **k: nn.Network(
        3, nn.Dense(4), nn.BatchNorm("tanh"), nn.Dense(2, "softmax"), **k
    ),
    "Dropout": lambda **k: nn.Network(
        3, nn.Dense(6, "tanh"), nn.Dropout(0.4), nn.Dense(1, "sigmoid"), **k
    ),
    "recurrent": lambda **k: nn.Network(3, nn.Recurrent(4), nn.Dense(2, "softmax"), **k),
}


@pytest.mark.parametrize("rows", [False, True], ids=["columns", "rows"])
@pytest.mark.parametrize("kind", NETS)
def test_every_gradient_is_the_slope_of_the_cost(kind, rows):
    net = NETS[kind](seed=3, rows=rows)
    X, Y = net.example(m=7)

    def cost():
        return net.cost(X, Y, np.random.default_rng(5))

    cost().backward()
    for name, p in net.parameters.items():
        np.testing.assert_allclose(
            p.grad, central_differences(cost, p), rtol=1e-5, atol=1e-8, err_msg=name
        )


@pytest.mark.parametrize("kind", [kind for kind in NETS if kind != "Dropout"])
def test_rows_are_columns_transposed(kind):
    columns, rows = NETS[kind](seed=3), NETS[kind](seed=3, rows=True)
    X, Y = columns.example(m=7)
    rng = np.random.default_rng(0)
    J = columns.cost(X, Y, rng)
    K = rows.cost(np.swapaxes(X, -1, -2), Y.T, rng)
    J.backward()
    K.backward()
    assert J.item() == pytest.approx(K.item(), rel=1e-12)
    for name, p in columns.parameters.items():
        np.testing.assert_allclose(rows.parameters[name].grad, p.grad.T, rtol=1e-10, atol=1e-12)


def test_the_graph_of_the_lectures_net_has_the_lectures_names_and_rules():
    net = nn.Network(3, nn.Dense(4, "tanh"), nn.Dense(1, "sigmoid"), seed=2)
    X, Y = net.example(m=6)
    J = net.lecture_cost(X, Y)
    J.backward()
    at = {node.name: node for node in reachable(J, every=True) if node.name}
    assert set(at) == {"X", "Y", "W1", "b1", "Z1", "A1", "W2", "b2", "Z2", "A2", "L", "J"}
    m, A1, A2, W2 = 6, at["A1"].data, at["A2"].data, at["W2"].data
    dZ2 = A2 - Y  # S6, by hand
    dZ1 = W2.T @ dZ2 * (1 - A1**2)
    np.testing.assert_allclose(m * at["Z2"].grad, dZ2)
    np.testing.assert_allclose(at["W2"].grad, dZ2 @ A1.T / m)
    np.testing.assert_allclose(at["b2"].grad, dZ2.sum(axis=1, keepdims=True) / m)
    np.testing.assert_allclose(m * at["Z1"].grad, dZ1)
    np.testing.assert_allclose(at["W1"].grad, dZ1 @ X.T / m)
    np.testing.assert_allclose(at["b1"].grad, dZ1.sum(axis=1, keepdims=True) / m)


@pytest.mark.parametrize("kind", NETS)
def test_the_cost_on_paper_is_the_cost_from_logits(kind):
    net = NETS[kind](seed=1)
    X, Y = net.example(m=5)
    on_paper = net.lecture_cost(X, Y, np.random.default_rng(0)).item()
    assert on_paper == pytest.approx(net.cost(X, Y, np.random.default_rng(0)).item(), rel=1e-12)


def test_zero_weights_never_break_the_symmetry_and_random_ones_do():
    X = np.random.default_rng(0).standard_normal((2, 9))
    Y = (X[:1] > X[1:]).astype(float)
    for init, same in (("zeros", True), ("small", False)):
        net = nn.Network(2, nn.Dense(2, "sigmoid", init=init), nn.Dense(1, "sigmoid", init=init))
        net.fit(X, Y, epochs=20, batch_size=None, optimiser=nn.GradientDescent(0.5))
        W1 = net.parameters["W1"].data
        assert np.array_equal(W1[0], W1[1]) == same


@pytest.mark.parametrize(
    "init, variance", [("small", 1e-4), ("xavier", 2 / (300 + 200)), ("he", 2 / 200)]
)
def test_initial_weights_have_the_variance_of_their_formula(init, variance):
    W = nn.Network(200, nn.Dense(300, "tanh", init=init)).parameters["W1"].data
    assert W.shape == (300, 200)
    assert abs(W.mean()) < 4 * np.sqrt(variance / W.size)
    assert W.var() == pytest.approx(variance, rel=0.03)


def test_a_normalisation_shows_the_settings_that_are_not_the_usual_ones():
    assert repr(nn.BatchNorm("relu", momentum=0.9)) == "BatchNorm(relu, momentum=0.9)"
    assert repr(nn.LayerNorm(eps=0.001)) == "LayerNorm(eps=0.001)"
    assert repr(nn.BatchNorm()) == "BatchNorm()"


def test_relu_layers_start_with_he_and_others_with_xavier():
    assert "he" in repr(nn.Dense(3, "relu"))
    assert "xavier" in repr(nn.Dense(3, "tanh"))


def test_dropout_keeps_the_mean_and_the_part_it_says():
    layer = nn.Dropout(0.25)
    kept = layer(tg.Value(np.ones((200, 300))), np.random.default_rng(1)).data
    assert set(np.unique(kept)) == {0.0, 1 / 0.75}
    assert np.mean(kept == 0) == pytest.approx(0.25, abs=0.01)


def test_normalised_numbers_have_mean_0_and_variance_1():
    A = tg.Value(np.random.default_rng(0).normal(7.0, 3.0, (4, 50)))
    for layer, axis in ((nn.LayerNorm(eps=0.0), 0), (nn.BatchNorm(eps=0.0), 1)):
        layer.build(4, number=1, axis=0, rng=np.random.default_rng(0))
        N = layer(A, np.random.default_rng(0)).data
        np.testing.assert_allclose(N.mean(axis=axis), 0, atol=1e-12)
        np.testing.assert_allclose(N.var(axis=axis), 1)


def test_a_recurrent_layer_is_its_cell_written_out():
    net = nn.Network(2, nn.Recurrent(3), nn.Dense(1), seed=4)
    X = np.random.default_rng(0).standard_normal((4, 2, 5))
    p = {name: np.asarray(v.data) for name, v in net.parameters.items()}
    a = np.zeros((3, 5))
    for t in range(4):
        a = np.tanh(p["Wx1"] @ X[t] + p["Wa1"] @ a + p["b1"])
    np.testing.assert_allclose(net.predict(X), p["W2"] @ a + p["b2"])


# --- PyTorch as referee ---------------------------------------------------------------------------


def test_batch_norm_agrees_with_torch_and_so_do_its_running_means():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    ours = nn.BatchNorm()
    ours.build(4, number=1, axis=0, rng=rng)
    theirs = torch.nn.BatchNorm1d(4, dtype=torch.float64)
    for _ in range(3):
        A, seed = rng.standard_normal((4, 6)), rng.standard_normal((4, 6))
        a, b = tg.Value(A), torch.tensor(A.T, requires_grad=True)
        n = ours(a, rng)
        n.backward(seed)
        theirs(b).backward(torch.tensor(seed.T))
        np.testing.assert_allclose(a.grad, b.grad.numpy().T, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.buffers["mean1"].ravel(), theirs.running_mean.numpy())
    np.testing.assert_allclose(ours.buffers["var1"].ravel(), theirs.running_var.numpy())
    np.testing.assert_allclose(ours["gamma"].grad.ravel(), theirs.weight.grad.numpy())
    theirs.eval()
    np.testing.assert_allclose(ours(tg.Value(A)).data, theirs(torch.tensor(A.T)).detach().numpy().T)


def test_layer_norm_and_recurrent_agree_with_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    A = rng.standard_normal((4, 6))
    ours = nn.LayerNorm()
    ours.build(4, number=1, axis=0, rng=rng)
    theirs = torch.nn.LayerNorm(4, dtype=torch.float64)
    np.testing.assert_allclose(ours(tg.Value(A)).data, theirs(torch.tensor(A.T)).detach().numpy().T)

    net = nn.Network(2, nn.Recurrent(3), nn.Dense(1), seed=4)
    cell = torch.nn.RNN(2, 3, dtype=torch.float64)
    with torch.no_grad():
        for name, there in (
            ("Wx1", cell.weight_ih_l0), ("Wa1", cell.weight_hh_l0), ("b1", cell.bias_ih_l0)
        ):  # fmt: skip
            there.copy_(torch.tensor(np.array(net.parameters[name].data)).reshape(there.shape))
        cell.bias_hh_l0.zero_()
    X = rng.standard_normal((5, 2, 7))
    last = cell(torch.tensor(np.swapaxes(X, 1, 2)))[1][0]
    W2, b2 = net.parameters["W2"].data, net.parameters["b2"].data
    np.testing.assert_allclose(net.predict(X), W2 @ last.detach().numpy().T + b2)


# --- errors for a learner -------------------------------------------------------------------------


def test_mistakes_are_told_with_names_and_shapes():
    net = nn.Network(3, nn.Dense(2, "softmax"))
    X = np.zeros((3, 4))
    with pytest.raises(tg.GradError, match=r"\(3, m\).*\(4, 3\).*transpose"):
        net(X.T)
    with pytest.raises(tg.GradError, match=r"output has shape \(2, 4\).*Y has \(1, 4\)"):
        net.cost(X, np.zeros((1, 4)))
    with pytest.raises(tg.GradError, match="the classes Y must be 0 … 1"):
        net.cost(X, np.array([0, 1, 2, 0]))
    with pytest.raises(tg.GradError, match=r"no activation is called 'tahn'; there are .*tanh"):
        nn.Dense(3, "tahn")
    with pytest.raises(tg.GradError, match=r"no initialisation is called 'hee'; there are .*he"):
        nn.Dense(3, init="hee")
    with pytest.raises(tg.GradError, match="no loss is called 'mse'"):
        nn.Network(3, nn.Dense(1), loss="mse")
    with pytest.raises(tg.GradError, match="needs activation 'sigmoid', not 'relu'"):
        nn.Network(3, nn.Dense(1, "relu"), loss="binary_cross_entropy")
    with pytest.raises(tg.GradError, match="at least one layer"):
        nn.Network(3)
    with pytest.raises(tg.GradError, match="rate must be a number from 0 to below 1"):
        nn.Dropout(1.0)
    with pytest.raises(tg.GradError, match="one example"):
        nn.Network(3, nn.BatchNorm()).cost(
            np.ones((3, 1)), np.ones((3, 1)), np.random.default_rng()
        )
    with pytest.raises(tg.GradError, match="sequence"):
        nn.Network(3, nn.Recurrent(2))(X)
    with pytest.raises(tg.GradError, match="has no classes"):
        nn.Network(3, nn.Dense(2)).classes(X)
    layer = nn.Dense(3)
    nn.Network(3, layer)
    with pytest.raises(tg.GradError, match="belongs to a network already"):
        nn.Network(3, layer)


def test_a_loss_of_ones_own_is_used():
    def absolute(A, Y, axis):
        return tg.sum(tg.abs(A - Y), axis=axis)

    net = nn.Network(3, nn.Dense(2, init="zeros"), loss=absolute)
    assert net.cost(np.ones((3, 4)), np.full((2, 4), 3.0)).item() == 6.0


@pytest.mark.parametrize("labels", ["integers", "one-hot"])
def test_classes_and_accuracy_are_those_of_the_numbers(labels):
    net = nn.Network(3, nn.Dense(4, "softmax"), seed=1)
    X = np.random.default_rng(0).standard_normal((3, 40))
    classes = net.predict(X).argmax(axis=0)
    wrong = classes.copy()
    wrong[:10] = (wrong[:10] + 1) % 4
    Y = wrong if labels == "integers" else np.eye(4)[wrong].T
    assert net.accuracy(X, Y) == 0.75
    binary = nn.Network(3, nn.Dense(1, "sigmoid"), seed=1)
    assert np.array_equal(binary.classes(X), (binary.predict(X) >= 0.5).ravel())
    assert binary.accuracy(X, 1 - binary.classes(X)) == 0.0
