"""How rules are written: text, LaTeX with the lecture's names, NumPy; and why they are so."""

import numpy as np
import pytest
from pylatexenc.latexwalker import LatexWalker
from test_rules import lecture_net

import tinygrad_edu as tg
from tinygrad_edu.core.ops.table import TABLE
from tinygrad_edu.rules.notation import LaTeX, latex_name
from tinygrad_edu.rules.trees import call, number


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.mark.parametrize(
    "name, latex",
    [
        ("W2", "W^{[2]}"),
        ("dW2", "dW^{[2]}"),
        ("w11_2", "w_{11}^{[2]}"),
        ("dz1_3", "dz_{1}^{[3]}"),
        ("X", "X"),
        ("gamma", r"\gamma"),
        ("lambd", r"\lambda"),
        ("lam", r"\lambda"),
        ("v_lambda", r"\lambda"),
        ("lambda_", r"\lambda"),
        ("σ", r"\sigma"),
        ("c_prev", r"c_{\mathrm{prev}}"),
        ("h_t", "h_{t}"),
        ("α_t", r"\alpha_{t}"),
        ("xhat", r"\hat{x}"),
        ("keep_prob", r"\mathrm{keep\_prob}"),
        ("d", "d"),
    ],
)
def test_names_follow_the_lecture(name, latex):
    assert latex_name(name) == latex


def test_two_quantities_are_not_written_with_one_letter():
    a, b = tg.Value(2.0, "lam"), tg.Value(3.0, "lambda")
    assert tg.derive(a * b)["dlam"].latex == r"d\mathrm{lam} = \lambda"
    x, h = tg.Value(2.0, "α"), tg.Value(3.0, "h_t")
    assert tg.derive(x * h)["dα"].latex == r"d\alpha = h_{t}"


def test_latex_of_the_six_lines(rng):
    d = tg.derive(lecture_net(rng))
    assert [rule.latex for rule in d.rules[:4]] == [
        "dZ^{[2]} = A^{[2]} - Y",
        r"dW^{[2]} = \frac{1}{m} dZ^{[2]} A^{[1]\top}",
        r"db^{[2]} = \frac{1}{m} \operatorname{np.sum}\left(dZ^{[2]},\ \mathrm{axis}=1,"
        r"\ \mathrm{keepdims}=\mathrm{True}\right)",
        r"dZ^{[1]} = W^{[2]\top} dZ^{[2]} * \left(1 - \left(A^{[1]}\right)^{2}\right)",
    ]
    assert d.to_latex().startswith("\\begin{aligned}\n")
    assert r"\left(2 \times 5\right)" in d.to_latex()
    assert d._repr_latex_() == f"$${d.to_latex()}$$"


G = {
    "where": lambda z: tg.where(tg.greater(z, 0.0), z, 0.01 * z),
    "root": lambda z: np.sqrt(z * z + 1),
    "softmax": lambda z: tg.softmax(z, axis=0),
    "clip": lambda z: np.clip(z, -1, 1),
    "log": lambda z: np.log(1 + np.exp(z)),
    "slices": lambda z: tg.concatenate([z[1:], z[:1] ** 3]),
    "max": lambda z: np.max(z, axis=0, keepdims=True) * z,
    "reshape": lambda z: tg.reshape(tg.reshape(z, (-1,)) ** 2, (4, 5)),
    "power": lambda z: (z * z + 1) ** -1.5,
}


@pytest.mark.parametrize("g", G)
def test_latex_parses_strictly(rng, g):
    d = tg.derive(lecture_net(rng, g=G[g]), every=True)
    LatexWalker(d._repr_latex_(), tolerant_parsing=False).get_latex_nodes()
    assert d.to_latex().count(r"\left") == d.to_latex().count(r"\right")


@pytest.mark.parametrize("g", G)
def test_numpy_is_one_python_line(rng, g):
    for rule in tg.derive(lecture_net(rng, g=G[g]), every=True).rules:
        compile(rule.numpy, "rule", "exec")
        assert rule.numpy.startswith(f"{rule.name} = ")
        assert "\n" not in rule.numpy


def test_why_tells_the_chain_the_shapes_the_sum_and_what_was_used(rng):
    d = tg.derive(lecture_net(rng, sigma=lambda z: 1 / (1 + np.exp(-z))))
    why = d["dZ2"].why
    assert "dZ2 is m · ∂J/∂Z2, of shape (2, m)" in why
    assert "chain rule: ∂J/∂A2 · ∂A2/∂Z2" in why
    assert "∂A2/∂Z2 = g'(Z2) = A2 ∗ (1 − A2)" in why
    assert "A2 = 1 / (1 + exp(−Z2))" in why
    assert "exp(Z2) =" not in why
    assert "∂A1/∂Z1 = g'(Z1) = 1 − A1²" in d["dZ1"].why
    assert "W2ᵀ dZ2: (4, 2) @ (2, m) → (4, m)" in d["dZ1"].why
    assert "b1 (4, 1) was used m times" in d["db1"].why


def test_a_wrong_name_of_a_rule_is_told(rng):
    d = tg.derive(lecture_net(rng))
    assert d["W2"] is d["dW2"]
    assert len(d) == 6
    with pytest.raises(KeyError, match="dZ2, dW2"):
        d["Q"]


def layers(rng, depth, act=lambda z: z):
    x = a = tg.Value(rng.standard_normal((2, 5)), "x")
    for layer in range(1, depth + 1):
        w = tg.Value(rng.standard_normal((layer + 2, layer + 1)), f"w{layer}")
        a = act(w @ a + tg.Value(rng.standard_normal((layer + 2, 1)), f"b{layer}"))
    return a, x


@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_linear_layers_collapse_into_one_at_any_depth(rng, depth):
    out, x = layers(rng, depth)
    one = tg.collapse(out, x)
    np.testing.assert_allclose(one.weight @ x.data + one.bias, out.data)
    if depth == 2:
        assert str(one) == "w' = w2 w1\nb' = w2 b1 + b2"
        assert one.latex[0] == "w' &= w^{[2]} w^{[1]}"


def test_examples_as_rows_collapse_too(rng):
    x = tg.Value(rng.standard_normal((5, 3)), "X")
    W1, W2 = (tg.Value(rng.standard_normal(s), n) for s, n in (((3, 4), "W1"), ((4, 2), "W2")))
    b = tg.Value(rng.standard_normal(4), "b1")
    one = tg.collapse(-(2 * (x @ W1 + b)) @ W2 / 4, x)
    np.testing.assert_allclose(
        x.data @ one.weight + one.bias, -(2 * (x.data @ W1.data + b.data)) @ W2.data / 4
    )


def test_a_non_linear_function_in_between_does_not_collapse(rng):
    out, x = layers(rng, 2, act=np.tanh)
    with pytest.raises(tg.GradError, match="tanh stands between"):
        tg.collapse(out, x)
    with pytest.raises(tg.GradError, match="several paths"):
        tg.collapse(x + x, x)
    with pytest.raises(tg.GradError, match="was not computed from"):
        tg.collapse(out, tg.Value(1.0, "q"))


def test_each_part_of_a_nest_is_written_once():
    """Written twice at each level, a nest of sixteen would take 65,536 times as long."""

    class Counting(LaTeX):
        written = 0

        def __call__(self, *args):
            self.written += 1
            return super().__call__(*args)

    tree = number(1)
    for _ in range(12):
        tree = call(TABLE["sin"], (tree,), {})
    notation = Counting()
    assert notation(tree).count(r"\sin") == 12
    assert notation.written == 13


def test_minus_of_minus_is_not_written():
    z = tg.Value(np.ones((2, 3)), "z")
    derived = tg.derive(tg.sum(tg.sigmoid(-z)))
    assert "--" not in derived.to_numpy()
    assert "np.exp(z)" in derived.to_numpy()
