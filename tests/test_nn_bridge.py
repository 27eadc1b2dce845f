"""From a network to its rules, its picture and the checker, in one call each."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.core.sweep import sweep

NETS = {
    "the lecture's": lambda: nn.Network(3, nn.Dense(4, "tanh"), nn.Dense(1, "sigmoid"), seed=1),
    "rows": lambda: nn.Network(3, nn.Dense(4, "relu"), nn.Dense(2, "sigmoid"), seed=1, rows=True),
    "softmax, L2": lambda: nn.Network(3, nn.Dense(4, "relu"), nn.Dense(6, "softmax"), l2=0.3),
    "regression": lambda: nn.Network(3, nn.Dense(4, "sigmoid"), nn.Dropout(0.2), nn.Dense(2)),
    "recurrent": lambda: nn.Network(3, nn.Recurrent(4), nn.Dense(2, "sigmoid")),
}


def mentioned(net):
    """The network's numbers by name, and its gradients, from the sweep on the same example."""
    X, Y = net.example()
    gradients = sweep(net.lecture_cost(X, Y, np.random.default_rng(net.seed)), 1.0)
    return {f"d{node.name}": g for node, g in gradients.items() if node.name}


@pytest.mark.parametrize("kind", NETS)
def test_the_derived_rules_give_the_gradients_of_the_net(kind):
    net = NETS[kind]()
    derived = net.derive(convention="calculus")
    scope = {}
    exec(derived.to_numpy(), scope)
    function = scope["gradients"]
    X, Y = net.example()
    numbers = {**net.state(), "X": X, "Y": Y}
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    if "D1" in names:  # the mask of this dropout is a given of the rules
        rng = np.random.default_rng(net.seed)
        numbers["D1"] = (rng.random((4, 5)) >= 0.2) / 0.8
    _, found = function(**{name: numbers[name] for name in names})
    expected = mentioned(net)
    assert {f"d{name}" for name in net.parameters} <= set(found)
    for name, g in found.items():
        np.testing.assert_allclose(g, expected[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_the_rules_of_the_lectures_net_are_the_lectures():
    lines = str(NETS["the lecture's"]().derive())
    assert lines.splitlines() == [
        "dZ2 = A2 − Y",
        "dW2 = (1/m) dZ2 A1ᵀ",
        "db2 = (1/m) np.sum(dZ2, axis=1, keepdims=True)",
        "dZ1 = W2ᵀ dZ2 ∗ (1 − A1²)",
        "dW1 = (1/m) dZ1 Xᵀ",
        "db1 = (1/m) np.sum(dZ1, axis=1, keepdims=True)",
    ]


@pytest.mark.parametrize(
    ("units", "last", "dZ1"),
    [(1, "sigmoid", "A1 − Y"), (3, "softmax", "A1 − Y"), (1, None, "2 ∗ (Z1 − Y)")],
)
def test_the_rules_of_a_net_by_rows_have_the_lectures_scale(units, last, dZ1):
    lines = str(nn.Network(2, nn.Dense(units, last), rows=True).derive())
    assert lines.splitlines() == [
        f"dZ1 = {dZ1}",
        "dW1 = (1/m) Xᵀ dZ1",
        "db1 = (1/m) np.sum(dZ1, axis=0, keepdims=True)",
    ]


def test_the_picture_is_that_of_the_cost_on_paper_and_leaves_no_gradient_behind():
    net = NETS["the lecture's"]()
    X, Y = net.example(m=3)
    assert net.draw(X, Y).source == tg.draw(net.lecture_cost(X, Y)).source
    assert net.draw(X, Y).source != net.draw(2 * X, Y).source
    assert all(p.grad is None for p in net.parameters.values())


def test_a_backward_pass_of_ones_own_is_judged_line_by_line():
    def right(X, Y, W2, A1, A2, m):
        dZ2 = A2 - Y
        dZ1 = W2.T @ dZ2 * (1 - A1**2)
        return {
            "dZ2": dZ2, "dW2": dZ2 @ A1.T / m, "db2": dZ2.sum(axis=1, keepdims=True) / m,
            "dZ1": dZ1, "dW1": dZ1 @ X.T / m, "db1": dZ1.sum(axis=1, keepdims=True) / m,
        }  # fmt: skip

    def without_the_slope(X, Y, W2, A1, A2, m):
        return {**right(X, Y, W2, A1, A2, m), "dZ1": W2.T @ (A2 - Y)}

    net = NETS["the lecture's"]()
    X, Y = net.example(m=7)
    assert net.check(right, X, Y).ok
    judged = net.check(without_the_slope, X, Y)
    assert not judged.ok
    assert [row.name for row in judged.rows if row.verdict == "wrong"] == ["dZ1"]
    assert net.check({"dZ2": "A2 - Y", "dW2": lambda dZ2, A1, m: dZ2 @ A1.T / m}).ok
    with pytest.raises(tg.GradError, match=r"asks for A7; the graph has .*A2"):
        net.check(lambda A7: {})
