"""Why a line is as it is: roads, factors by name, sums, sides, 1/m, algebra tried on numbers."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from test_rules import COST, lecture_net, named_nodes
from test_rules_random import program

import tinygrad_edu as tg
from tinygrad_edu.core.ops import elementwise
from tinygrad_edu.rules.notation import Text, evaluate
from tinygrad_edu.rules.simplify import Simplifier
from tinygrad_edu.rules.why import laws
from tinygrad_edu.sheets.sheet import Sheet

ROWS = """
m = 7
n = 3
p = 4
k = 6
keep = 0.8
X: (m, n)
Y: (m, k) = onehot(axis=1)
D: (m, p) = binary
W1: (n, p)
b1: (p,)
W2: (p, k)
b2: (k,)
Z1 = X @ W1 + b1
A1 = np.maximum(0, Z1) * D / keep
Z2 = A1 @ W2 + b2
E = np.exp(Z2)
P = E / np.sum(E, axis=1, keepdims=True)
J = -np.sum(Y * np.log(P)) / m
"""
RESIDUAL = """
m = 7
n = 3
p = 4
X: (n, m)
Y: (n, m)
V: (n, n)
W: (p, n)
U: (n, p)
H = X + V @ np.tanh(X)
Z = W @ H
A = np.tanh(Z)
O = H + U @ A
J = np.sum((O - Y)**2) / (2 * m)
"""
ATTENTION = """
n = 5
e = 6
d = 3
p = 4
X: (n, e)
T: (n, p)
Wq: (e, d)
Wk: (e, d)
Wv: (e, p)
Q = X @ Wq
K = X @ Wk
V = X @ Wv
S = Q @ K.T / np.sqrt(d)
E = np.exp(S)
A = E / np.sum(E, axis=1, keepdims=True)
O = A @ V
J = np.sum((O - T)**2) / 2
"""
RECURRENT = """
m = 7
n = 3
d = 5
k = 4
x1: (n, m)
x2: (n, m)
y1: (k, m)
y2: (k, m)
h0: (d, m)
Wx: (d, n)
Wh: (d, d)
Wy: (k, d)
a1 = Wx @ x1 + Wh @ h0
h1 = np.tanh(a1)
a2 = Wx @ x2 + Wh @ h1
h2 = np.tanh(a2)
o1 = Wy @ h1
o2 = Wy @ h2
J = (np.sum((o1 - y1)**2) + np.sum((o2 - y2)**2)) / (2 * m)
"""
NORM = """
m = 7
n = 3
p = 4
eps = 1e-05
X: (m, n)
Y: (m, p)
W: (n, p)
gamma: (p,)
beta: (p,)
Z = X @ W
mu = np.mean(Z, axis=0)
sigma = np.sqrt(np.var(Z, axis=0) + eps)
Zhat = (Z - mu) / sigma
A = gamma * Zhat + beta
J = np.sum((A - Y)**2) / (2 * m)
"""


def why(text, name):
    return Sheet(text).derive()[name].why


def says(text, *sentences):
    """Are these in it, in this order?"""
    at = 0
    for sentence in sentences:
        assert sentence in text[at:], f"{sentence!r} is not in\n{text}"
        at = text.index(sentence, at) + len(sentence)


def test_how_a_minus_y_comes_about_with_a_softmax():
    says(
        why(ROWS, "dZ2"),
        "dZ2 is m · ∂J/∂Z2, of shape (m, k) = (7, 6)",
        "chain rule: ∂J/∂P · ∂P/∂Z2",
        "so dP = −Y / P",
        "dP is m · ∂J/∂P",
        "so dZ2 = (dP − np.sum(dP ∗ P, axis=1, keepdims=True)) ∗ P",
        "P is the softmax of Z2 along axis 1, with E = exp(Z2)",
        "∂P_i/∂Z2_j = P_i ∗ (1 if i = j, else 0) − P_i ∗ P_j",
        "dP ∗ P = −Y",
        "used: np.sum(Y, axis=1, keepdims=True) = 1, because Y is one-hot along axis 1",
        "= (−Y / P − np.sum((−Y / P) ∗ P, axis=1, keepdims=True)) ∗ P",
        "= P ∗ np.sum(Y, axis=1, keepdims=True) − Y",
        "= P − Y",
        "1/m is not here; it enters dW2, db2, once each",
    )


def test_how_a_minus_y_comes_about_with_a_sigmoid():
    told = tg.derive(lecture_net(np.random.default_rng(5)))["dZ2"].why
    says(
        told,
        "so dA2 = (1 − Y) / (1 − A2) − Y / A2",
        "A2 = σ(Z2): ∂A2/∂Z2 = g'(Z2) = A2 ∗ (1 − A2), as σ' = σ ∗ (1 − σ)",
        "dZ2 = dA2 ∗ A2 ∗ (1 − A2)",
        "= ((1 − Y) / (1 − A2) − Y / A2) ∗ A2 ∗ (1 − A2)",
        "= A2 ∗ (1 − Y) − Y ∗ (1 − A2)",
        "= A2 − Y ∗ A2 + Y ∗ A2 − Y",
        "= A2 − Y\n",
    )
    assert "exp(Z2)" not in told


def test_the_sum_the_mean_and_the_side_of_a_matrix():
    says(
        why(ROWS, "dW2"),
        "dW2 is ∂J/∂W2, of shape (p, k) = (4, 6)",
        "Z2 = A1 W2 + b2",
        "(A1 W2)[i, k] = Σ_j A1[i, j] W2[j, k], its derivative by W2[j, k] is A1[i, j]",
        "W2[j, k] is used once for each i, and these add up: Σ_i A1[i, j] dZ2[i, k]",
        "W2 stood on the right of A1, so A1 transposed stands on the left",
        "A1ᵀ dZ2: (p, m) @ (m, k) → (p, k), here (4, 7) @ (7, 6) → (4, 6)",
        "W2[0, 1] gets A1[0, 0] dZ2[0, 1] + A1[1, 0] dZ2[1, 1]",
        "1/m: dZ2 is m · ∂J/∂Z2, and dW2 is ∂J/∂W2",
    )


def test_shapes_are_told_once_and_sums_keep_the_axes_of_what_they_are_the_gradient_of():
    one_unit = tg.derive(lecture_net(np.random.default_rng(5), n2=1))
    told = one_unit["db2"].why
    says(told, "so db2 = (1/m) np.sum(dZ2, axis=1, keepdims=True)", "1/m: dZ2 is m · ∂J/∂Z2")
    assert "np.sum(dZ2)" not in told
    hidden = "m = 7\nX: (3, m)\nV: (2, 3)\nW: (4, 2)\nJ = np.sum(np.tanh(W @ np.tanh(V @ X))) / m"
    assert why(hidden, "dV").count("shapes: ") == 2


def test_a_cost_that_is_called_in_the_graph_is_told_by_the_name_it_is_called_by():
    Z = tg.Value(np.ones((5, 3)), "Z")
    told = tg.derive(tg.mean(tg.cross_entropy(Z, np.arange(5) % 3, axis=1)))["Z"].why
    assert "np.mean(cross_entropy(Z, " in told


def test_a_bias_is_used_by_every_example():
    says(
        why(ROWS, "db2"),
        "∂Z2/∂b2 = 1",
        "sum: b2 (k,) was used m times to make (m, k)",
        "over axis 0; no keepdims, since b2 has one axis",
        "The sum is no mean",
    )
    columns = tg.derive(lecture_net(np.random.default_rng(5)))["db1"].why
    says(columns, "over axis 1, which stays, with length 1")


HEADS = """
h = 2
m = 7
n = 3
d = 4
Q: (h, m, d)
K: (h, n, d)
G: (h, m, n)
S = Q @ np.transpose(K, (0, 2, 1))
J = np.sum(np.tanh(S) * G)
"""


def test_the_sides_of_matrices_that_are_multiplied_in_pairs():
    says(
        why(HEADS, "dK"),
        "dK is ∂J/∂K, of shape (h, n, d) = (2, 3, 4)",
        "[a, i, k] = Σ_j Q[a, i, j] K[a, k, j], its derivative by K[a, k, j] is Q[a, i, j]",
        "a: each pair of matrices is multiplied by itself",
        "K[a, k, j] is used once for each i, and these add up: Σ_i Q[a, i, j] dS[a, i, k]",
        "K stood transposed on the right of Q, so Q stands on the right",
        "(h, n, m) @ (h, m, d) → (h, n, d), here (2, 3, 7) @ (2, 7, 4) → (2, 3, 4)",
        "K[a, 1, 0] gets Q[a, 0, 0] dS[a, 0, 1] + Q[a, 1, 0] dS[a, 1, 1]",
    )
    says(
        why(HEADS, "dQ"),
        "Q[a, i, j] is used once for each k, and these add up: Σ_k dS[a, i, k] K[a, k, j]",
        "transposed stands on the right",
        "(h, m, n) @ (h, n, d) → (h, m, d)",
    )


def test_back_through_a_layer_matrix_first_then_entry_by_entry():
    says(
        why(ROWS, "dZ1"),
        "chain rule: ∂J/∂Z2 · ∂Z2/∂A1 · ∂A1/∂Z1",
        "so dA1 = dZ2 W2ᵀ",
        "A1 stood on the left of W2, so W2 transposed stands on the right",
        "A1[0, 1] gets dZ2[0, 0] W2[1, 0] + dZ2[0, 1] W2[1, 1] + dZ2[0, 2] W2[1, 2]",
        "∂A1/∂Z1 = (1/keep) D ∗ (Z1 ≥ 0) entry by entry, so dZ1 = (1/keep) dA1 ∗ D ∗ (Z1 ≥ 0)",
        "(Z1 ≥ 0) is 1 where that holds, and 0 elsewhere",
        "no 1/m: dZ2, dZ1 are in the same scale",
    )


def test_two_roads_add_up_and_a_skip_arrives_as_it_is():
    says(
        why(RESIDUAL, "dH"),
        "H is used 2 times, so what arrives is added up",
        "Z = W H, contribution Wᵀ dZ",
        "∂O/∂H = 1, contribution dO, as it is",
        "together: dH = Wᵀ dZ + dO",
    )


def test_a_softmax_inside_a_net_and_a_matrix_that_stood_transposed():
    told = why(ATTENTION, "dS")
    says(
        told,
        "dS is ∂J/∂S, of shape (n, n) = (5, 5)",
        "A is the softmax of S along axis 1, with E = exp(S)",
        "each S is in its own A and in the sum",
        "check: dS sums to 0 along axis 1",
    )
    assert "m" not in re.findall(r"\w+", told)
    says(why(ATTENTION, "dK"), "K stood transposed on the right of Q, so Q stands on the right")


def test_a_vector_of_weights_has_its_matrix_transposed():
    text = """
m = 7
X: (m, 3)
y: (m,)
w: (3,)
z = X @ w
J = np.sum((z - y)**2) / (2 * m)
"""
    says(
        why(text, "dw"),
        "(X w)[i] = Σ_j X[i, j] w[j], its derivative by w[j] is X[i, j]",
        "Σ_i X[i, j] dz[i]",
        "Xᵀ dz: (3, m) @ (m,) → (3,)",
        "in long form, X being 2 × 3: w[1] gets X[0, 1] dz[0] + X[1, 1] dz[1]",
    )


def test_one_matrix_used_at_two_steps():
    told = why(RECURRENT, "dWh")
    says(
        told,
        "Wh is used 2 times, so what arrives is added up",
        "contribution (1/m) da1 h0ᵀ",
        "contribution (1/m) da2 h1ᵀ",
        "together: dWh = (1/m) (da2 h1ᵀ + da1 h0ᵀ)",
    )
    says(
        why(RECURRENT, "da1"),
        "h1 is used 2 times",
        "contribution Whᵀ da2",
        "contribution Wyᵀ do1",
        "together: dh1 = Wyᵀ do1 + Whᵀ da2",
        "as tanh' = 1 − tanh²",
    )


def test_three_roads_through_a_norm():
    told = why(NORM, "dZ")
    says(told, "Z is used 3 times, so what arrives is added up")
    for sentence in (
        "∂mu/∂Z = 1 / m, contribution (1/m) dmu = −np.mean(dZhat, axis=0) / sigma",
        "= −Zhat ∗ np.mean(dZhat ∗ Zhat, axis=0) / sigma",
        "∂Zhat/∂Z = 1 / sigma entry by entry, contribution dZhat / sigma",
        "dmu is m · ∂J/∂mu",
        "np.mean is that of the forward pass; its 1/m is not the cost's",
    ):
        assert sentence in told, told


def test_in_the_calculus_scale_the_cost_brings_the_mean():
    d = tg.derive(lecture_net(np.random.default_rng(5)), convention="calculus")
    assert "dZ2 is ∂J/∂Z2" in d["dZ2"].why
    assert "1/m: J divides by m" in d["dZ2"].why
    assert "1/m" not in d["dW2"].why


def regularised(rng):
    X, Y = (tg.Value(rng.standard_normal(s), n, requires_grad=False)
            for s, n in (((3, 5), "X"), ((2, 5), "Y")))  # fmt: skip
    W, lam = tg.Value(rng.standard_normal((2, 3)), "W"), tg.Value(0.1, "lam", requires_grad=False)
    Z = W @ X
    Z.name = "Z"
    return tg.sum((Z - Y) ** 2) / 5 + lam * tg.sum(W**2) / 2


def scalar_net(rng):
    w1, x, b1, w2, y = (
        tg.Value(v, n, requires_grad=n not in "xy")
        for v, n in ((0.3, "w1"), (1.5, "x"), (0.1, "b1"), (-0.7, "w2"), (1.0, "y"))
    )
    z1 = w1 * x + b1
    a1 = np.tanh(z1)
    z2 = w2 * a1
    tg.name_values(z1=z1, a1=a1, z2=z2)
    return (z2 - y) ** 2 / 2


NETS = {
    "tanh and sigmoid": lecture_net,
    "sigmoid spelled out": lambda rng: lecture_net(rng, sigma=lambda z: 1 / (1 + np.exp(-z))),
    "relu": lambda rng: lecture_net(rng, g=tg.relu),
    "leaky relu": lambda rng: lecture_net(rng, g=tg.leaky_relu),
    "softplus": lambda rng: lecture_net(rng, g=tg.softplus),
    "softmax": lambda rng: lecture_net(
        rng, sigma=lambda z: tg.softmax(z, axis=0), n2=3,
        cost=lambda a, y: -np.sum(y * np.log(a)) / 5,
    ),
    "squares": lambda rng: lecture_net(
        rng, sigma=lambda z: z * 1.0, cost=lambda a, y: np.sum((a - y) ** 2) / 5
    ),
    "the loss as an operation": lambda rng: lecture_net(rng, cost=COST["operation"]),
    "a mean of sums": lambda rng: lecture_net(rng, cost=COST["mean of sums"]),
    "regularised": regularised,
    "one number": scalar_net,
}  # fmt: skip
SHEETS = {"rows": ROWS, "residual": RESIDUAL, "attention": ATTENTION, "steps": RECURRENT,
          "norm": NORM}  # fmt: skip


def equations(told):
    """All equations of an explanation: a name and a formula, or two formulas."""
    yield told.name, told.line
    yield from ((told.name, step.tree) for step in told.steps)
    yield from ((fact.equation.left, fact.equation.right) for fact in told.facts)
    yield from ((equation.left, equation.right) for equation in told.inside)
    for arrival in told.arrivals:
        yield arrival.name, arrival.total
        yield from ((f.sent, f.in_full) for f in arrival.factors if f.in_full is not None)


def number_of(formula, numbers):
    """What a name, or a formula, is."""
    if isinstance(formula, str):
        return numbers[formula]
    return evaluate(formula, lambda atom: numbers[atom.name])


def check_explanations(d, cost):
    """What every explanation says holds on the graph's own numbers, gradients being the sweep's."""
    cost.backward()
    nodes = named_nodes(cost)
    scales = {"m": 5.0, **{name: float(n.data) for name, n in nodes.items() if n.shape == ()}}
    for rule in d.rules:
        told = rule.explanation
        numbers = {name: np.asarray(node.data) for name, node in nodes.items()} | scales
        for name, node in nodes.items():
            if node.grad is not None:
                own = [r.scale for r in d.rules if r.of == name]
                arrived = [a.scale for a in told.arrivals if a.of == name]
                scale = [*own, *arrived, ""][0]
                numbers[f"d{name}"] = np.asarray(node.grad) * (scales["m"] if scale else 1)
        assert told.arrivals[-1].name == rule.name
        assert told.steps
        assert Text()(told.steps[-1].tree) == Text()(told.line)
        for left, right in equations(told):
            pair = [number_of(t, numbers) for t in (left, right)]
            np.testing.assert_allclose(*np.broadcast_arrays(*pair), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.one_in(3)
def test_everything_that_is_said_holds_on_other_numbers(net):
    cost = NETS[net](np.random.default_rng(7))
    check_explanations(tg.derive(cost), cost)


@pytest.mark.parametrize("text", [*SHEETS.values()], ids=[*SHEETS])
@pytest.mark.parametrize("every", [False, True])
@pytest.mark.one_in(2)
def test_every_explanation_can_be_typeset(text, every):
    for rule in Sheet(text).derive(every=every):
        told = rule.explanation
        page = ElementTree.fromstring(told.to_html())
        assert len(page) == len(rule.why.splitlines())
        table = ElementTree.fromstring(told.to_mathml())
        assert len(table[0]) == len(page)


def test_what_is_wrong_on_numbers_is_not_said(monkeypatch):
    d = tg.derive(lecture_net(np.random.default_rng(5)))
    right = Simplifier.simplify
    monkeypatch.setattr(Simplifier, "simplify", lambda self, p: (right(self, p)[0].scaled(2), []))
    told = d["dZ1"].explanation
    assert told.arrivals == ()
    assert told.steps == ()
    assert "chain rule: ∂J/∂Z2 · ∂Z2/∂A1 · ∂A1/∂Z1" in str(told)


@pytest.mark.parametrize(
    "op, said",
    [
        (elementwise.sigmoid, "σ ∗ (1 − σ)"), (elementwise.tanh, "1 − tanh²"),
        (elementwise.exp, "exp"), (elementwise.log, "1 / z"), (elementwise.relu, "(z ≥ 0)"),
        (elementwise.sqrt, "1 / (2 ∗ √)"), (elementwise.sin, "cos(z)"),
    ],
)  # fmt: skip
def test_laws_come_from_the_rules_of_the_operations(op, said):
    assert Text()(laws.law(op).derivative) == said


@pytest.mark.parametrize("op", laws._functions(), ids=str)
def test_every_law_is_the_derivative(op):
    law, z, h = laws.law(op), np.array([0.3, 0.7]), 1e-6
    with np.errstate(invalid="ignore"):
        z = z if np.isfinite(op(z)).all() else z + 1
    value = evaluate(law.derivative, lambda a: z if a.name == laws.ARGUMENT else op(z))
    np.testing.assert_allclose(value, (op(z + h) - op(z - h)) / (2 * h), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("seed", [12, 17, 81, 149, 239])
@pytest.mark.one_in(6)
def test_random_programs_are_explained_or_not_but_never_raise(seed):
    for rule in tg.derive(program(seed), convention="calculus").rules:
        told = rule.explanation
        assert str(told).startswith(f"{rule.name} is ∂J/∂{rule.of}")
        ElementTree.fromstring(told.to_html())
        ElementTree.fromstring(rule.mathml)


@pytest.mark.slow
def test_many_random_programs_are_explained():
    for seed in range(60):
        cost = program(seed)
        if cost.requires_grad:
            with np.errstate(all="ignore"):
                for rule in tg.derive(cost, convention="calculus", every=seed % 3 == 1).rules:
                    ElementTree.fromstring(rule.explanation.to_html())
