"""The rules derived from a graph: the lecture's lines, from any way of writing the net."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.ops.table import TABLE

M, N0, N1, N2 = 5, 3, 4, 2


@pytest.fixture
def rng():
    return np.random.default_rng(0)


TANH = {
    "np.tanh": np.tanh,
    "four exponentials": lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)),
    "two sigmoids": lambda z: 2 * tg.sigmoid(2 * z) - 1,
}
SIGMOID = {
    "spelled out": lambda z: 1 / (1 + np.exp(-z)),
    "e/(1+e)": lambda z: np.exp(z) / (1 + np.exp(z)),
    "operation": tg.sigmoid,
}
COST = {
    "sum / m": lambda a, y: -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a)) / M,
    "1/m *": lambda a, y: -(1 / M) * np.sum(y * np.log(a) + (1 - y) * np.log(1 - a)),
    "mean of sums": lambda a, y: np.mean(
        np.sum(-(y * np.log(a) + (1 - y) * np.log(1 - a)), axis=0)
    ),
    "operation": lambda a, y: tg.mean(tg.binary_cross_entropy(a, y)),
}


def lecture_net(rng, g=np.tanh, sigma=tg.sigmoid, cost=COST["sum / m"], product=np.matmul, n2=N2):
    """The lecture's net; the cost, with every quantity named."""
    X = tg.Value(rng.standard_normal((N0, M)), requires_grad=False)
    Y = tg.Value(rng.integers(0, 2, (n2, M)), requires_grad=False)
    W1, b1 = tg.Value(rng.standard_normal((N1, N0))), tg.Value(rng.standard_normal((N1, 1)))
    W2, b2 = tg.Value(rng.standard_normal((n2, N1))), tg.Value(rng.standard_normal((n2, 1)))
    Z1 = product(W1, X) + b1
    A1 = g(Z1)
    Z2 = product(W2, A1) + b2
    A2 = sigma(Z2)
    J = cost(A2, Y)
    tg.name_values(X=X, Y=Y, W1=W1, b1=b1, W2=W2, b2=b2, Z1=Z1, A1=A1, Z2=Z2, A2=A2, J=J)
    return J


LECTURE = """\
dZ2 = A2 − Y
dW2 = (1/m) dZ2 A1ᵀ
db2 = (1/m) np.sum(dZ2, axis=1, keepdims=True)
dZ1 = W2ᵀ dZ2 ∗ (1 − A1²)
dW1 = (1/m) dZ1 Xᵀ
db1 = (1/m) np.sum(dZ1, axis=1, keepdims=True)"""

CALCULUS = """\
dZ2 = (1/m) (A2 − Y)
dW2 = dZ2 A1ᵀ
db2 = np.sum(dZ2, axis=1, keepdims=True)
dZ1 = W2ᵀ dZ2 ∗ (1 − A1²)
dW1 = dZ1 Xᵀ
db1 = np.sum(dZ1, axis=1, keepdims=True)"""


def named_nodes(cost):
    from tinygrad_edu.core.sweep import reachable

    return {node.name: node for node in reachable(cost, every=True) if node.name}


def assert_source_equals_gradients(d, cost, m=M):
    """Run the emitted function on the graph's own numbers; compare with `.grad`."""
    cost.backward()
    nodes = named_nodes(cost)
    scope = {}
    exec(d.to_numpy(), scope)
    names = scope["gradients"].__code__.co_varnames[: scope["gradients"].__code__.co_argcount]
    given = {name: nodes[name].data for name in names if name in nodes}
    J, found = scope["gradients"](**given)
    assert J == pytest.approx(cost.item(), rel=1e-10)
    assert list(found) == [rule.name for rule in d.rules]
    for rule in d.rules:
        truth = np.asarray(nodes[rule.of].grad) * (m if rule.scale else 1)
        assert np.shape(found[rule.name]) == truth.shape
        np.testing.assert_allclose(found[rule.name], truth, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("tanh", TANH)
@pytest.mark.parametrize("sigmoid", SIGMOID)
def test_the_six_lines_come_out_however_the_activations_are_spelled(rng, tanh, sigmoid):
    J = lecture_net(rng, TANH[tanh], SIGMOID[sigmoid])
    d = tg.derive(J)
    assert str(d) == LECTURE
    assert d.convention == "lecture"
    assert_source_equals_gradients(d, J)


@pytest.mark.parametrize("cost", COST)
@pytest.mark.parametrize("product", [np.dot, np.matmul, lambda x, y: x @ y])
def test_the_six_lines_come_out_however_the_cost_is_spelled(rng, cost, product):
    J = lecture_net(rng, cost=COST[cost], product=product)
    assert str(tg.derive(J)) == LECTURE
    d = tg.derive(J, convention="calculus")
    assert str(d) == CALCULUS
    assert_source_equals_gradients(d, J)


def test_one_output_unit_gives_the_same_lines(rng):
    J = lecture_net(rng, n2=1)
    d = tg.derive(J)
    assert str(d) == LECTURE
    assert_source_equals_gradients(d, J)


def test_a_cost_from_logits_names_the_sigmoid_it_needs(rng):
    X, Y = rng.standard_normal((3, 5)), rng.integers(0, 2, (2, 5))
    W, b = tg.Value(rng.standard_normal((2, 3)), "W"), tg.Value(np.zeros((2, 1)), "b")
    Z = W @ X + b
    Z.name = "Z"
    J = tg.mean(tg.binary_cross_entropy(Z, Y, from_logits=True))
    d = tg.derive(J, names={"X": X, "Y": Y})
    assert d["Z"].text == "dZ = σ(Z) − Y"
    assert d["Z"].numpy == "dZ = 1 / (1 + np.exp(-Z)) - Y"


def test_deriving_leaves_no_trace_in_the_graph(rng):
    J = lecture_net(rng)
    tg.derive(J)
    assert all(node.grad is None for node in named_nodes(J).values())


def test_wrt_gives_exactly_what_was_asked_for(rng):
    J = lecture_net(rng)
    d = tg.derive(J, wrt=["W1", "A1"])
    assert [rule.name for rule in d.rules] == ["dA1", "dW1"]
    [rule] = tg.derive(J, wrt="W1").rules
    assert rule.text == "dW1 = (1/m) (W2ᵀ (A2 − Y) ∗ (1 − A1²)) Xᵀ"
    assert rule.numpy == "dW1 = W2.T @ (A2 - Y) * (1 - A1**2) @ X.T / m"


def test_every_gives_a_line_for_every_named_quantity(rng):
    d = tg.derive(lecture_net(rng), every=True)
    assert {rule.of for rule in d.rules} == {"A2", "Z2", "W2", "b2", "A1", "Z1", "W1", "b1"}


@pytest.mark.parametrize(
    "wrong, error", [({"wrt": "Q"}, "Q"), ({"convention": "x"}, "convention"), ({"m": 7}, "m=7")]
)
def test_what_cannot_be_derived_is_explained(rng, wrong, error):
    with pytest.raises(tg.GradError, match=error):
        tg.derive(lecture_net(rng), **wrong)
    with pytest.raises(tg.GradError, match="shape"):
        tg.derive(tg.Value(np.ones(3)) * 2)


UNUSUAL = {
    "a mask of infinities": lambda x: tg.softmax(x + np.array([0.0, -np.inf, 0.0])),
    "an infinite number": lambda x: tg.exp(tg.where(tg.greater(x, 0.3), x, -np.inf)),
    "a maximum with nothing": lambda x: tg.maximum(x, -np.inf) ** 2,
    "a limit that is none": lambda x: tg.clip(x, -np.inf, 0.6) ** 2,
    "an array as a shape": lambda x: tg.reshape(x, np.array([3, 1])) ** 2,
    "a number as a shape": lambda x: tg.reshape(x, np.int64(3)) ** 2,
    "nothing": lambda x: x * np.ones((0, 3)) + tg.sum(x),
    "rows of nothing": lambda x: x[np.array([], dtype=int)] + tg.sum(x),
    "joined flat": lambda x: tg.concatenate([x[:, None], x[None]], axis=None) * np.arange(6.0),
    "a number among arrays": lambda x: tg.hstack([tg.sum(x), x]) ** 2,
    "a length over three axes": lambda x: tg.norm(x.reshape(3, 1, 1), axis=(0, 1, 2)),
    "a length over no axis": lambda x: tg.norm(x, axis=()),
}  # fmt: skip


@pytest.mark.parametrize("what", UNUSUAL)
def test_the_function_of_an_unusual_graph_is_python_all_the_same(what):
    x = tg.Value([0.2, 0.5, 0.7], "x")
    J = tg.sum(UNUSUAL[what](x)) + tg.sum(x)
    J.name = "J"
    assert_source_equals_gradients(tg.derive(J), J)


@pytest.mark.parametrize("shape", [(), (3,), (2, 1), (1, 1), (4, 1, 1), (4, 2, 3)])
def test_broadcasting_undone_is_a_line_of_numpy(shape):
    """Where a gradient that is a graph is differentiated again."""
    x = tg.Value(np.random.default_rng(0).standard_normal((4, 2, 3)), "x")
    J = tg.sum(TABLE["sum_to"](x, shape=shape) ** 3)
    J.name = "J"
    assert_source_equals_gradients(tg.derive(J, wrt="x"), J)


def test_what_no_formula_can_hold_is_told():
    x = tg.Value([0.2, 0.5, 0.7], "x")
    with pytest.raises(tg.GradError, match=r"an array of shape \(3,\) .* has no formula"):
        tg.derive(tg.sum(tg.clip(x, np.zeros(3), 0.6)))
    with pytest.raises(tg.GradError, match=r"the number inf .* has no formula"):
        tg.derive(tg.sum(x**np.inf))


MASKS = {
    "two masks, both on": lambda x, y: tg.relu(x) + tg.maximum(x, y),
    "one less the other": lambda x, y: tg.relu(x) - tg.maximum(y, x),
    "a mask with a minus": lambda x, y: -tg.relu(x) - tg.relu(y),
    "a mask times a mask, twice": lambda x, y: tg.relu(tg.relu(x)) + tg.maximum(tg.relu(x), y),
    "comparisons in the graph": lambda x, y: (tg.greater(x, 0) + tg.greater(x, y)) * x,
    "a function of a mask": lambda x, y: tg.exp(tg.greater(x, y)) * x,
    "a power of a mask": lambda x, y: (tg.greater(x, y) * 1) ** 3 * x,
    "a product of masks": lambda x, y: tg.greater(x, 0).reshape(1, 3) @ tg.greater(x, y) * x,
    "masks joined": lambda x, y: tg.concatenate([tg.greater(x, y)] * 2) @ np.ones(6) * x,
}


@pytest.mark.parametrize("what", MASKS)
def test_masks_are_added_up_as_numbers(what):
    """To NumPy ``True + True`` is True, and ``-True`` an error."""
    x, y = tg.Value([0.2, 0.5, -0.7], "x"), tg.Value([0.1, 0.9, -0.8], "y")
    z = MASKS[what](x, y)
    J = tg.sum(z)
    tg.name_values(z=z, J=J)
    assert_source_equals_gradients(tg.derive(J, wrt="x"), J)


def test_two_masks_with_names_are_numbers_too():
    x = tg.Value([0.2, 0.5, -0.7], "x")
    m, n = tg.greater(x, 0), tg.greater(x, 0.3)
    J = tg.sum((m + n) * x)
    tg.name_values(m=m, n=n, J=J)
    assert_source_equals_gradients(tg.derive(J), J)


@pytest.mark.parametrize("extreme", [tg.max, tg.min])
def test_the_largest_is_looked_for_among_the_numbers_it_was_found_in(extreme):
    """A sigmoid written as ``e/(1+e)`` differs in the last digit and equals no largest one."""
    x = tg.Value(np.random.default_rng(1).standard_normal((4, 3, 2)), "x")
    a = extreme(tg.abs(tg.sigmoid(x)), axis=1)
    J = tg.sum(extreme(a, axis=0) * np.array([0.7, -0.4]))
    tg.name_values(a=a, J=J)
    d = tg.derive(J, wrt="x")
    assert d.definitions == ["t1 = abs(σ(x))"]
    assert_source_equals_gradients(d, J)


@pytest.mark.parametrize(
    ("f", "line"),
    [
        (lambda x, y: 1 / (1 + np.exp(-x)), "σ(x) ∗ σ(−x)"),
        (lambda x, y: np.exp(-((x - 1) ** 2) / 0.5), "4 ∗ exp(−2 ∗ (x − 1)²) ∗ (1 − x)"),
        (lambda x, y: (x - y) / (x + y), "2 ∗ y / (x + y)²"),
        (lambda x, y: (x**2 + 1) / (x - 3), "(x ∗ (x − 6) − 1) / (x − 3)²"),
        (lambda x, y: x / np.sqrt(1 + x**2), "1 / (1 + x²)^(3/2)"),
        (lambda x, y: (2 * x + 1) ** 3, "6 ∗ (1 + 2 ∗ x)²"),
        (lambda x, y: (x - 3 * y) ** 4 / 4, "(x − 3 ∗ y)³"),
        (lambda x, y: x**x, "x^x ∗ (1 + log(x))"),
        (lambda x, y: np.log(abs(x * y)) + abs(y), "1 / x"),
        (lambda x, y: np.log(np.cosh(x)), "tanh(x)"),
        (lambda x, y: -np.log(np.cos(x)), "tan(x)"),
    ],
)
def test_a_function_of_one_number_has_the_line_one_would_write(f, line):
    x, y = tg.Value(0.7, "x"), tg.Value(0.4, "y")
    assert tg.derive(f(x, y))["x"].text == f"dx = {line}"


def test_the_gradient_of_the_log_of_a_volume_is_the_inverse_transposed(rng):
    A = tg.Value(rng.normal(size=(3, 3)), "A")
    assert tg.derive(np.log(abs(np.linalg.det(A))))["A"].text == "dA = inv(A)ᵀ"
