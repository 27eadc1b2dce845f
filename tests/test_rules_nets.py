"""Derived lines of other nets, as a teacher would write them; each also runs as NumPy."""

import numpy as np
import pytest
from test_rules import assert_source_equals_gradients

import tinygrad_edu as tg


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def given(rng, shape, name):
    return tg.Value(rng.standard_normal(shape), name, requires_grad=False)


def parameter(rng, shape, name):
    return tg.Value(rng.standard_normal(shape), name)


def one_hot(rng, classes, m, axis=0):
    return tg.Value(
        tg.one_hot(rng.integers(0, classes, m), classes, axis), "Y", requires_grad=False
    )


def lines(cost, **options):
    d = tg.derive(cost, **options)
    assert_source_equals_gradients(d, cost)
    return {rule.name: rule.numpy.split(" = ", 1)[1] for rule in d.rules}


SOFTMAX = {
    "operation": lambda z: tg.softmax(z, axis=0),
    "spelled out": lambda z: np.exp(z) / np.sum(np.exp(z), axis=0, keepdims=True),
    "shifted": lambda z: np.exp(z - z.data.max(0)) / np.sum(np.exp(z - z.data.max(0)), axis=0),
}


@pytest.mark.parametrize("softmax", SOFTMAX)
def test_softmax_with_cross_entropy_is_a_minus_y_only_for_one_hot_targets(rng, softmax):
    for target, expected in {"one-hot": "A - Y", "any": "A * np.sum(Y, axis=0) - Y"}.items():
        Y = one_hot(rng, 4, 5) if target == "one-hot" else given(rng, (4, 5), "Y")
        Z = parameter(rng, (4, 3), "W") @ given(rng, (3, 5), "X")
        A = SOFTMAX[softmax](Z)
        tg.name_values(Z=Z, A=A)
        facts = {Y: ("onehot", 0)} if target == "one-hot" else {}
        assert lines(-np.sum(Y * np.log(A)) / 5, facts=facts)["dZ"] == expected


def test_cross_entropy_from_logits_names_the_softmax(rng):
    X, W, Y = given(rng, (3, 5), "X"), parameter(rng, (4, 3), "W"), one_hot(rng, 4, 5)
    Z = W @ X
    Z.name = "Z"
    d = tg.derive(tg.mean(tg.cross_entropy(Z, Y)), facts={"Y": ("onehot", 0)})
    assert d["dZ"].text == "dZ = softmax(Z, axis=0) − Y"
    assert "one-hot along axis 0" in d["dZ"].why


def net(rng, g, penalty=0):
    X, Y = given(rng, (3, 5), "X"), given(rng, (2, 5), "Y")
    W1, W2 = parameter(rng, (4, 3), "W1"), parameter(rng, (2, 4), "W2")
    Z1 = W1 @ X
    A1 = g(Z1)
    Z2 = W2 @ A1
    J = np.sum((Z2 - Y) ** 2) / (2 * 5)
    if penalty:
        lambd = tg.Value(penalty, "lambd", requires_grad=False)
        m = tg.Value(5.0, "m", requires_grad=False)
        J = np.sum((Z2 - Y) ** 2) / (2 * m) + lambd / (2 * m) * (np.sum(W1**2) + np.sum(W2**2))
    tg.name_values(Z1=Z1, A1=A1, Z2=Z2, J=J)
    return J


ACTIVATIONS = {
    "relu": (tg.relu, "(Z1 >= 0)"),
    "relu, 0 at 0": (lambda z: tg.relu(z, at_zero=0), "(Z1 > 0)"),
    "np.maximum": (lambda z: np.maximum(0, z), "(Z1 >= 0)"),
    "leaky relu": (tg.leaky_relu, "np.where(Z1 >= 0, 1, 0.01)"),
    "elu": (
        lambda z: tg.where(tg.greater(z, 0.0), z, np.exp(z) - 1), "np.where(Z1 > 0, 1, np.exp(Z1))"
    ),
    "softplus": (tg.softplus, "(1 / (1 + np.exp(-Z1)))"),
    "swish": (lambda z: z * tg.sigmoid(z), "(1 / (1 + np.exp(-Z1)) * (1 - A1) + A1)"),
    "sin": (np.sin, "np.cos(Z1)"),
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_derivative_of_an_activation_is_written_with_what_is_there(rng, name):
    g, derivative = ACTIVATIONS[name]
    found = lines(net(rng, g))
    assert found["dZ2"] == "Z2 - Y"
    assert found["dZ1"] == f"W2.T @ dZ2 * {derivative}"


def test_a_penalty_adds_its_share_to_the_weights(rng):
    found = lines(net(rng, np.tanh, penalty=0.7))
    assert found["dW2"] == "(dZ2 @ A1.T + lambd * W2) / m"
    assert found["dZ1"] == "W2.T @ dZ2 * (1 - A1**2)"


@pytest.mark.parametrize("m", [7, 64])
@pytest.mark.parametrize(
    ("penalty", "share"),
    [
        (lambda w, lam, m: lam / (2 * m) * np.sum(w**2), "lam ∗ w"),
        (lambda w, lam, m: 0.1 / (2 * m) * np.sum(w**2), "0.1 ∗ w"),
        (lambda w, lam, m: 0.1 * np.sum(w**2) / (2 * m), "0.1 ∗ w"),
        (lambda w, lam, m: 0.3 * np.sum(w**2) / 2 / m, "0.3 ∗ w"),
    ],
)
def test_a_penalty_is_divided_by_m_however_that_is_written(rng, m, penalty, share):
    X, y = rng.normal(size=(3, m)), rng.normal(size=m)
    w, lam = tg.Value(rng.normal(size=3), "w"), tg.Value(0.1, "lam", requires_grad=False)
    cost = np.sum((w @ tg.Value(X, "X", requires_grad=False) - y) ** 2) / (2 * m)
    line = tg.derive(cost + penalty(w, lam, m))["w"]
    assert line.text.endswith(f" + {share})")
    assert line.text.startswith("dw = (1/m) (X ")


def test_a_third_is_no_share_of_six_examples(rng):
    w = tg.Value(rng.normal(size=4), "w")
    cost = np.mean((w @ rng.normal(size=(4, 6)) - rng.normal(size=6)) ** 2)
    assert tg.derive(cost + np.sum(w**2) * (1 / 3))["w"].text.endswith(" + (2/3) w")


def discriminator(rng, real, made):
    X = tg.Value(rng.normal(size=(2, real)), "X", requires_grad=False)
    N = tg.Value(rng.normal(size=(2, made)), "N", requires_grad=False)
    W, b = tg.Value(rng.normal(size=(1, 2)), "W"), tg.Value(np.zeros((1, 1)), "b")
    Z, V = W @ X + b, W @ N + b
    R, F = tg.sigmoid(Z), tg.sigmoid(V)
    tg.name_values(Z=Z, V=V, R=R, F=F)
    return tg.derive(-np.mean(np.log(R)) - np.mean(np.log(1 - F)))


def test_as_many_real_as_made_examples_are_m_and_as_many_are(rng):
    lines = [rule.text for rule in discriminator(rng, 5, 5)]
    assert lines[:2] == ["dZ = R − 1", "dW = (1/m) (F Nᵀ + dZ Xᵀ)"]
    assert "dV = (1/N.shape[1]) F" in [rule.text for rule in discriminator(rng, 5, 7)]


def test_the_length_of_data_that_a_cost_is_divided_by_is_m_though_its_input_is_looked_for(rng):
    m = 5
    mu, v = tg.Value(rng.normal(size=(3, m)), "mu"), tg.Value(rng.normal(size=(3, m)), "v")
    eps = tg.Value(rng.normal(size=(3, m)), "eps", requires_grad=False)
    x = tg.Value(rng.normal(size=(4, m)), "x", requires_grad=False)
    W = tg.Value(rng.normal(size=(4, 3)), "W")
    error = np.sum((W @ (mu + np.exp(v / 2) * eps) - x) ** 2)
    derived = tg.derive((error + np.sum(np.exp(v) + mu**2 - v)) / (2 * m), "mu")
    assert derived["mu"].text == "dmu = (1/m) (Wᵀ t1 + mu)"


def test_squared_error_behind_a_sigmoid_keeps_the_slope(rng):
    X, Y, W = given(rng, (3, 5), "X"), given(rng, (2, 5), "Y"), parameter(rng, (2, 3), "W")
    Z = W @ X
    A = tg.sigmoid(Z)
    tg.name_values(Z=Z, A=A)
    assert lines(np.sum((A - Y) ** 2) / (2 * 5))["dZ"] == "(A - Y) * A * (1 - A)"


def test_dropout_masks_and_scales_the_gradient_too(rng):
    D = tg.Value(rng.integers(0, 2, (4, 5)), "D1", requires_grad=False)
    keep_prob = tg.Value(0.8, "keep_prob", requires_grad=False)
    found = lines(net(rng, lambda z: np.maximum(0, z) * D / keep_prob))
    assert found["dZ1"] == "W2.T @ dZ2 * D1 * (Z1 >= 0) / keep_prob"


def normalised(rng, axis):
    x, G = parameter(rng, (6, 3), "x"), given(rng, (6, 3), "G")
    gamma, beta = parameter(rng, (3,), "gamma"), parameter(rng, (3,), "beta")
    mu = np.mean(x, axis=axis, keepdims=True)
    sigma = np.sqrt(np.mean((x - mu) ** 2, axis=axis, keepdims=True) + 1e-5)
    xhat = (x - mu) / sigma
    out = gamma * xhat + beta
    J = np.sum(out * G)
    tg.name_values(mu=mu, sigma=sigma, xhat=xhat, out=out, J=J)
    return J


def test_batch_normalisation_comes_out_in_one_line(rng):
    found = lines(normalised(rng, axis=0))
    one_line = "(G - np.mean(G, axis=0) - xhat * np.mean(G * xhat, axis=0)) * gamma / sigma"
    assert found == {
        "dx": one_line,
        "dgamma": "np.sum(G * xhat, axis=0)",
        "dbeta": "np.sum(G, axis=0)",
    }


def test_layer_normalisation_comes_out_in_one_line(rng):
    found = lines(normalised(rng, axis=1))["dx"]
    assert found == (
        "(G * gamma - np.mean(G * gamma, axis=1, keepdims=True) - "
        "xhat * np.mean(G * gamma * xhat, axis=1, keepdims=True)) / sigma"
    )


def test_attention(rng):
    Q, K, V = (parameter(rng, (5, n), name) for n, name in ((2, "Q"), (2, "K"), (4, "V")))
    G = given(rng, (5, 4), "G")
    S = Q @ K.T / np.sqrt(4)
    P = tg.softmax(S, axis=1)
    out = P @ V
    tg.name_values(S=S, P=P, out=out)
    assert lines(np.sum(out * G)) == {
        "dS": "(G @ V.T - np.sum(G @ V.T * P, axis=1, keepdims=True)) * P",
        "dK": "dS.T @ Q / 2",
        "dQ": "dS @ K / 2",
        "dV": "P.T @ G",
    }


@pytest.mark.parametrize("scaled", [lambda S, d: S / np.sqrt(d), lambda S, d: S * d**-0.5])
def test_the_root_of_a_length_is_that_of_the_length_it_is_of(rng, scaled):
    Q, K = tg.Value(rng.normal(size=(4, 6)), "Q"), tg.Value(rng.normal(size=(5, 6)), "K")
    S = scaled(Q @ K.T, 6)
    S.name = "S"
    assert tg.derive(np.sum(np.tanh(S)))["dQ"].text == "dQ = dS K / sqrt(Q.shape[1])"


def test_one_less_than_the_examples_is_written_so(rng):
    W, G = tg.Value(rng.normal(size=(3, 2)), "W"), rng.normal(size=(7, 2))
    Z = tg.Value(rng.normal(size=(7, 3)), "X", requires_grad=False) @ W
    v = np.var(Z, axis=0, ddof=1)
    N = (Z - np.mean(Z, axis=0)) / np.sqrt(v)
    tg.name_values(Z=Z, v=v, N=N)
    line = tg.derive(np.sum(N * G) / 7)["dZ"].text
    assert "− (1/(m − 1)) N ∗ np.sum(" in line


def test_a_recurrent_net_adds_up_over_time(rng):
    Wx, Wh, b = (
        parameter(rng, (4, 3), "Wx"),
        parameter(rng, (4, 4), "Wh"),
        parameter(rng, (4, 1), "b"),
    )
    h, J = given(rng, (4, 1), "h0"), 0
    for t in (1, 2, 3):
        a = Wx @ given(rng, (3, 1), f"x{t}") + Wh @ h + b
        h = np.tanh(a)
        J = J + np.sum(h * given(rng, (4, 1), f"G{t}"))
        tg.name_values(**{f"a{t}": a, f"h{t}": h})
    found = lines(J)
    assert found["da2"] == "(Wh.T @ da3 + G2) * (1 - h2**2)"
    assert found["dWh"] == "da3 @ h2.T + da2 @ h1.T + da1 @ h0.T"
    assert found["db"] == "da3 + da2 + da1"


def test_an_lstm_step(rng):
    h0, c0, x = parameter(rng, (3, 1), "h0"), parameter(rng, (3, 1), "c0"), given(rng, (2, 1), "x")
    z = tg.concatenate([h0, x])
    gates = {}
    for k in "fiog":
        gates[f"z{k}"] = parameter(rng, (3, 5), f"W{k}") @ z
        gates[k] = np.tanh(gates[f"z{k}"]) if k == "g" else tg.sigmoid(gates[f"z{k}"])
    c = gates["f"] * c0 + gates["i"] * gates["g"]
    h = gates["o"] * np.tanh(c)
    tg.name_values(z=z, c=c, h=h, **gates)
    found = lines(np.sum(h * given(rng, (3, 1), "G")))
    assert found["dc"] == "G * o * (1 - np.tanh(c)**2)"
    assert found["dzo"] == "G * h * (1 - o)"
    assert found["dzf"] == "dc * c0 * f * (1 - f)"
    assert found["dz"] == "Wg.T @ dzg + Wo.T @ dzo + Wi.T @ dzi + Wf.T @ dzf"
    assert found["dh0"] == "dz[:3]"


def test_a_gru_gate(rng):
    h, z_, hh = (parameter(rng, (3, 1), name) for name in ("h", "az", "ah"))
    z, c = tg.sigmoid(z_), np.tanh(hh)
    hn = (1 - z) * h + z * c
    tg.name_values(z=z, hh=c, hn=hn)
    found = lines(np.sum(hn * given(rng, (3, 1), "G")))
    assert found["dah"] == "G * z * (1 - hh**2)"
    assert found["daz"] == "(hh - hn) * G * z"


def test_rows_as_examples(rng):
    X, Y = given(rng, (5, 3), "X"), one_hot(rng, 2, 5, axis=1)
    W, b = parameter(rng, (3, 2), "W"), parameter(rng, (2,), "b")
    Z = X @ W + b
    Z.name = "Z"
    found = lines(tg.mean(tg.cross_entropy(Z, Y, axis=1)), facts={Y: ("onehot", 1)})
    assert found["dW"] == "X.T @ dZ / m"
    assert found["db"] == "np.sum(dZ, axis=0) / m"


def test_the_scalar_net_of_the_lecture(rng):
    """S4: the fan-out of a unit adds two paths up, each times the slope of the unit."""
    y = tg.Value(1.0, "y", requires_grad=False)
    a = [tg.Value(v, f"x{i}", requires_grad=False) for i, v in enumerate(rng.standard_normal(2), 1)]
    for layer, units in ((1, 2), (2, 2), (3, 1)):
        below, a = a, []
        for i in range(1, units + 1):
            w = [parameter(rng, (), f"w{i}{j}_{layer}") for j in (1, 2)]
            z = below[0] * w[0] + below[1] * w[1] + parameter(rng, (), f"b{i}_{layer}")
            a.append(tg.sigmoid(z))
            tg.name_values(**{f"z{i}_{layer}": z, f"a{i}_{layer}": a[-1]})
    L = -(y * np.log(a[0]) + (1 - y) * np.log(1 - a[0]))
    found = lines(L)
    assert found["dz1_3"] == "a1_3 - y"
    assert found["dw11_3"] == "dz1_3 * a1_2"
    assert found["dz2_2"] == "dz1_3 * w12_3 * a2_2 * (1 - a2_2)"
    assert found["dz1_1"] == "(dz1_2 * w11_2 + dz2_2 * w21_2) * a1_1 * (1 - a1_1)"
    assert found["db1_1"] == "dz1_1"
    assert tg.derive(L)["w11_3"].latex == "dw_{11}^{[3]} = dz_{1}^{[3]} * a_{1}^{[2]}"


def test_one_example_needs_no_sum_and_no_m(rng):
    """S7: ``dw2 = dz2 a1ᵀ`` although dz2 is (1, 1)."""
    x, y = given(rng, (3, 1), "x"), tg.Value([[1.0]], "y", requires_grad=False)
    w1, b1 = parameter(rng, (4, 3), "w1"), parameter(rng, (4, 1), "b1")
    w2, b2 = parameter(rng, (1, 4), "w2"), parameter(rng, (1, 1), "b2")
    z1 = w1 @ x + b1
    a1 = np.tanh(z1)
    z2 = w2 @ a1 + b2
    a2 = tg.sigmoid(z2)
    L = tg.sum(tg.binary_cross_entropy(a2, y))
    tg.name_values(z1=z1, a1=a1, z2=z2, a2=a2, L=L)
    d = tg.derive(L)
    assert d.convention == "calculus"
    assert str(d).splitlines() == [
        "dz2 = a2 − y", "dw2 = dz2 a1ᵀ", "db2 = dz2",
        "dz1 = w2ᵀ dz2 ∗ (1 − a1²)", "dw1 = dz1 xᵀ", "db1 = dz1",
    ]  # fmt: skip


def test_unnamed_quantities_get_names_where_they_are_needed_twice(rng):
    X, W1, W2 = given(rng, (3, 5), "X"), parameter(rng, (4, 3), "W1"), parameter(rng, (2, 4), "W2")
    d = tg.derive(np.sum(tg.sigmoid(W2 @ np.tanh(W1 @ X)) ** 2))
    assert d.definitions == ["t1 = W1 X", "t2 = tanh(t1)", "t3 = W2 t2", "t4 = σ(t3)"]
    assert d["dt3"].text == "dt3 = 2 ∗ t4² ∗ (1 − t4)"


def test_the_names_that_are_shown_are_numbered_from_one(rng):
    W, w = tg.Value(rng.normal(size=(2, 3)), "W"), tg.Value(rng.normal(size=(1, 2)), "w")
    G = np.tanh(W @ rng.normal(size=(3, 5)))
    D = tg.sigmoid(w @ G)
    tg.name_values(G=G, D=D)
    derived = tg.derive(-np.mean(np.log(D)))
    assert derived.definitions == ["t1 = w G"]
    assert derived["dw"].text == "dw = (1/m) dt1 Gᵀ"
    assert "∂t2" in derived["dW"].why


def test_plain_arrays_are_named_by_names(rng):
    X, Y = rng.standard_normal((3, 5)), rng.integers(0, 2, (2, 5))
    W = tg.Value(rng.standard_normal((2, 3)))
    Z = W @ X
    A = tg.sigmoid(Z)
    J = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / 5
    assert str(tg.derive(J, names=locals())).splitlines() == ["dZ = A − Y", "dW = (1/m) dZ Xᵀ"]


@pytest.mark.slow
def test_fifty_layers_keep_their_lines(rng):
    A, Y = given(rng, (3, 5), "A0"), given(rng, (3, 5), "Y")
    for layer in range(1, 51):
        Z = parameter(rng, (3, 3), f"W{layer}") @ A
        A = np.tanh(Z)
        tg.name_values(**{f"Z{layer}": Z, f"A{layer}": A})
    found = lines(np.sum((A - Y) ** 2) / 5)
    assert found["dZ1"] == "W2.T @ dZ2 * (1 - A1**2)"


@pytest.mark.slow
def test_a_long_chain_is_cut_into_readable_pieces(rng):
    x = z = parameter(rng, (), "x")
    for _ in range(60):
        z = tg.sin(z) + z * 0.5
    d = tg.derive(tg.sum(z))
    assert d.rules[-1].of == x.name
    assert max(len(rule.text) for rule in d.rules) < 200


@pytest.mark.parametrize(
    "step", [tg.sin, lambda h: tg.tanh(h * 0.9 + 0.1), lambda h: h * h * 0.5 + h]
)
@pytest.mark.one_in(3)
def test_a_chain_four_times_as_long_has_four_times_the_lines_none_of_them_longer(step):
    def rules(n):
        h = tg.Value(0.1, "x")
        for _ in range(n):
            h = step(h) * 0.3
        return [rule.text for rule in tg.derive(h).rules]

    few, many = rules(15), rules(60)
    assert 3 <= len(many) / len(few) <= 6
    assert max(map(len, many)) <= max(map(len, few)) + 12  # dt10 is longer than dt9
    assert max(map(len, many)) < 200


def test_m_is_the_axis_summed_over_not_any_axis_of_that_length(rng):
    """Five units, five inputs and five examples: only the examples' axis is m."""
    X, W, b = given(rng, (5, 5), "X"), parameter(rng, (5, 5), "W"), parameter(rng, (5, 1), "b")
    Z = W @ X + b
    Z.name = "Z"
    d = tg.derive(np.sum(Z**2) / 5)
    assert d["dW"].text == "dW = (1/m) dZ Xᵀ"
    assert d["db"].text == "db = (1/m) np.sum(dZ, axis=1, keepdims=True)"
    assert "m = X.shape[1]" in d.to_numpy()


def test_the_emitted_function_is_right_for_other_sizes_too(rng):
    def net(n0, n1, m):
        X, Y = given(rng, (n0, m), "X"), given(rng, (2, m), "Y")
        W1, b1 = parameter(rng, (n1, n0), "W1"), parameter(rng, (n1, 1), "b1")
        W2 = parameter(rng, (2, n1), "W2")
        Z1 = W1 @ X + b1
        A1 = (Z1 - np.mean(Z1, axis=0, keepdims=True)) / np.std(Z1, axis=0, keepdims=True)
        Z2 = W2 @ A1
        J = tg.mean(tg.mean_squared_error(Z2, Y))
        tg.name_values(Z1=Z1, A1=A1, Z2=Z2, J=J)
        return J

    d = tg.derive(net(3, 4, 5))
    assert_source_equals_gradients(d, net(6, 7, 8), m=8)


# --- kinks, extremes, products --------------------------------------------------------------------


def test_the_largest_passes_its_gradient_on_to_where_it_came_from(rng):
    x = parameter(rng, (3, 4), "x")
    z = np.max(x, axis=0)
    z.name = "z"
    d = tg.derive(np.sum(z**2))
    assert d["dx"].text == "dx = 2 ∗ z ∗ (x == z) / np.sum(x == z, axis=0)"
    assert_source_equals_gradients(d, np.sum(z**2))


def test_where_two_are_the_largest_they_share(rng):
    x = tg.Value([[3.0, 1.0], [3.0, 2.0]], "x")
    z = np.max(x, axis=0)
    z.name = "z"
    J = np.sum(z**2)
    d = tg.derive(J)
    assert d["dx"].text == "dx = 2 ∗ z ∗ (x == z) / np.sum(x == z, axis=0)"
    assert_source_equals_gradients(d, J)


def test_the_gradient_of_a_factor_is_the_product_of_the_others(rng):
    x = parameter(rng, (5,), "x")
    z = tg.prod(x)
    z.name = "z"
    d = tg.derive(z)
    assert d["dx"].text == "dx = prod_of_others(x, axis=0)"
    assert_source_equals_gradients(d, z)


def test_with_a_factor_of_zero_nothing_is_divided_by_it():
    x = tg.Value([2.0, 0.0, 4.0], "x")
    z = tg.prod(x)
    d = tg.derive(z)
    assert "/" not in d["dx"].text
    assert_source_equals_gradients(d, z)


def hinge(rng):
    """The multi-class margins of a linear classifier: columns are examples."""
    W, X = parameter(rng, (3, 4), "W"), given(rng, (4, 5), "X")
    y, columns = np.array([0, 2, 1, 1, 0]), np.arange(5)
    S = W @ X
    S.name = "S"
    return np.sum(np.maximum(0, S - S[y, columns] + 1)) / 5, {"y": y}


def test_the_margins_of_a_hinge_loss_get_a_name(rng):
    J, names = hinge(rng)
    d = tg.derive(J, names=names)
    assert str(d) == (
        "t1 = S − S[y, np.arange(m)] + 1\n"
        "dS = (t1 ≥ 0) − np.eye(3)[:, y] ∗ np.sum(t1 ≥ 0, axis=0)\n"
        "dW = (1/m) dS Xᵀ"
    )
    assert_source_equals_gradients(tg.derive(J), J)


@pytest.mark.parametrize(
    "shape, index",
    [
        ((3,), np.array([2, 0, 2, 1])),
        ((3, 2), np.array([2, 0, 2, 1])),
        ((3, 4), (np.array([2, 0, 2, 1]), np.arange(4))),
        ((2, 3), (slice(None), np.array([2, 0, 2, 1]))),
        ((3, 2), np.array([[0, 1], [1, 1]])),
        ((3, 2), np.array([True, False, True])),
        ((5,), slice(None, None, 2)),
    ],
    ids=str,
)
def test_a_line_with_an_index_of_arrays_runs_alone(rng, shape, index):
    """Nothing but numpy and the quantities it names: entries taken twice get both gradients."""
    x = parameter(rng, shape, "x")
    J = np.sum(x[index] ** 2)
    J.backward()
    line = tg.derive(J)["dx"].numpy
    names = {"np": np, "x": x.data}
    exec(line, names)
    assert names["dx"].shape == shape
    np.testing.assert_allclose(names["dx"], x.grad, rtol=1e-12)
