"""One test per rule of the lecture, named after it, against the plain-NumPy referee `byhand`."""

from __future__ import annotations

import io
import re
from itertools import pairwise

import byhand
import numpy as np
import pytest
from rich.console import Console

import tinygrad_edu as tg
from tinygrad_edu import lecture
from tinygrad_edu.core.ops.table import TABLE
from tinygrad_edu.core.primitive import Each
from tinygrad_edu.lecture import s5_descent
from tinygrad_edu.lecture.nets import deep_network, network
from tinygrad_edu.lecture.report import SHEETS
from tinygrad_edu.words import Words

ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky_relu")
GRID = np.array([-40.0, -2.0, -0.3, 0.0, 0.7, 2.5, 30.0])


@pytest.fixture
def rng():
    return np.random.default_rng(2024)


def close(x, y):
    np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-12)


# --- S1 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 10])
def test_s1_linear_layers_collapse_to_one(rng, depth):
    widths = [3, *rng.integers(2, 6, size=depth)]
    Ws = [rng.normal(size=(n, before)) for before, n in pairwise(widths)]
    bs = [rng.normal(size=(n, 1)) for n in widths[1:]]
    x = tg.Value(rng.normal(size=(3, 7)))
    a = x
    for W, b in zip(Ws, bs, strict=True):
        a = W @ a + b
    w_one, b_one = Ws[0], bs[0]
    for W, b in zip(Ws[1:], bs[1:], strict=True):
        w_one, b_one = W @ w_one, W @ b_one + b
    close(a.data, w_one @ x.data + b_one)
    upstream = rng.normal(size=a.shape)
    a.backward(seed=upstream)
    close(x.grad, w_one.T @ upstream)


# --- S2 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_s2_activation_values(name):
    close(getattr(tg, name)(GRID), [byhand.g(name, z) for z in GRID])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_s2_activation_derivatives(rng, name):
    z, upstream = tg.Value(GRID), rng.normal(size=GRID.shape)
    getattr(tg, name)(z).backward(seed=upstream)
    close(z.grad, upstream * [byhand.g_prime(name, at) for at in GRID])


@pytest.mark.parametrize("name, below", [("relu", 0.0), ("leaky_relu", 0.01)])
def test_s2_at_zero_the_derivative_is_one_and_can_be_chosen(name, below):
    for options, expected in (({}, 1.0), ({"at_zero": 1}, 1.0), ({"at_zero": 0}, below)):
        z = tg.Value(0.0)
        getattr(tg, name)(z, **options).backward()
        assert z.grad == expected


# --- S3, S5, S6, S7: a net of two layers ---------------------------------------------------------


def numbers(rng, m, n0=3, n1=4):
    return {
        "X": rng.normal(size=(n0, m)), "Y": (rng.random((1, m)) < 0.5).astype(float),
        "W1": rng.normal(size=(n1, n0)), "b1": rng.normal(size=(n1, 1)),
        "W2": rng.normal(size=(1, n1)), "b2": rng.normal(size=(1, 1)),
    }  # fmt: skip


def gradients(given, hidden="tanh"):
    """The automatic ∂J/∂Q of every named quantity."""
    J, _ = network(**given, g=getattr(tg, hidden))
    J.backward()
    found, stack = {}, [J]
    while stack:
        node = stack.pop()
        stack.extend(node.parents)
        if node.name:
            found[node.name] = node.grad
    return J.item(), found


def test_s3_central_difference_equals_backward_for_every_weight(rng):
    given = numbers(rng, m=5)
    _, found = gradients(given)
    for name in ("W1", "b1", "W2", "b2"):
        numerical = byhand.central_difference(
            lambda p, name=name: byhand.two_layer_net(**{**given, name: p})["J"], given[name]
        )
        np.testing.assert_allclose(found[name], numerical, rtol=1e-6, atol=1e-9)


def test_s3_one_update_lowers_the_cost(rng):
    given = numbers(rng, m=5)
    before, found = gradients(given)
    for name in ("W1", "b1", "W2", "b2"):
        given[name] = given[name] - 0.1 * found[name]
    assert gradients(given)[0] < before


@pytest.mark.parametrize("hidden", ACTIVATIONS)
@pytest.mark.parametrize("rule", ["dZ2", "dW2", "db2", "dZ1", "dW1", "db1"])
def test_s6_vectorised_rule(rng, rule, hidden):
    given = numbers(rng, m=5)
    cost, found = gradients(given, hidden)
    truth = byhand.two_layer_net(**given, hidden=hidden)
    close(cost, truth["J"])
    # The lecture's two scales: dZ belongs to the sum of the losses, dW and db to their mean.
    scale = 5 if rule.startswith("dZ") else 1
    assert found[rule[1:]].shape == truth[rule].shape
    close(scale * found[rule[1:]], truth[rule])


@pytest.mark.parametrize("rule", ["dZ2", "dW2", "db2", "dZ1", "dW1", "db1"])
def test_s7_rule_for_one_example(rng, rule):
    given = numbers(rng, m=1)
    _, found = gradients(given)
    close(found[rule[1:]], byhand.two_layer_net(**given)[rule])


# --- S4 ------------------------------------------------------------------------------------------

S4_RULES = (
    "dz1_3", "dw11_3", "dw12_3", "db1_3", "dz1_2", "dz2_2", "dw11_2", "dw12_2", "dw21_2", "dw22_2",
    "db1_2", "db2_2", "da1_1", "da2_1", "dz1_1", "dz2_1", "dw11_1", "dw12_1", "dw21_1", "dw22_1",
    "db1_1", "db2_1",
)  # fmt: skip


def scalar_net(seed):
    """The net of the sheet on fresh numbers: its nodes by name, and what the referee says of it."""
    sheet = tg.load_sheet(SHEETS / "S4.sheet")
    graph = sheet.graph(sheet.draw(seed))
    graph.cost.backward()
    nodes = {name: value for (name, _), value in graph.values.items()}
    return nodes, byhand.scalar_net({name: v.data for name, v in nodes.items() if v.op is None})


@pytest.mark.parametrize("rule", S4_RULES)
def test_s4_scalar_rule(rule):
    for seed in range(3):
        nodes, truth = scalar_net(seed)
        close(nodes["L"].data, truth["L"])
        close(nodes[rule[1:]].grad, truth[rule])


def test_s4_the_slides_dz1_1_is_da1_1_and_lacks_the_sigmoid_derivative():
    nodes, truth = scalar_net(4)
    close(nodes["a1_1"].grad, truth["slide"])
    assert abs(nodes["z1_1"].grad) < 0.3 * abs(truth["slide"])  # σ' is at most 1/4
    [slide] = (r for r in tg.check_sheet(SHEETS / "S4.sheet").rows if r.name == "slide")
    assert slide.verdict == "wrong"
    assert slide.diagnosis.mistake == "missing_activation_derivative"
    assert slide.diagnosis.correction.endswith("* sigmoid_prime(z1_1)")


def test_s4_with_a_linear_first_layer_the_slides_line_is_right(rng):
    a1 = tg.Value(rng.normal(), "a1_1")  # g(z) = z: a1_1 is z1_1
    w = {name: tg.Value(rng.normal(), name) for name in ("w11_2", "w21_2")}
    z = {name: w[f"w{name}"] * a1 for name in ("11_2", "21_2")}
    L = tg.tanh(z["11_2"]) + tg.sigmoid(z["21_2"])
    L.backward()
    close(
        a1.grad, z["11_2"].grad * w["w11_2"].data + z["21_2"].grad * w["w21_2"].data
    )  # fmt: skip


# --- S5 ------------------------------------------------------------------------------------------


def test_s5_the_data_are_the_published_ones():
    X, Y, X_test, Y_test = s5_descent.load()
    assert (X.shape, Y.shape, X_test.shape, Y_test.shape) == (
        (30, 456),
        (1, 456),
        (30, 113),
        (1, 113),
    )
    assert Y.sum() + Y_test.sum() == 357  # benign
    close(X.mean(axis=1), 0)
    close(X.var(axis=1), 1)


def test_s5_gradient_descent_converges_and_generalises():
    X, Y, X_test, Y_test = s5_descent.load()
    start = s5_descent.start(np.random.default_rng(1), len(X))
    trained, costs = s5_descent.descend(lecture.Report(silent()), X, Y, start)
    assert costs[-1] < 0.05
    assert costs == sorted(costs, reverse=True)
    assert s5_descent.accuracy(X, Y, trained) > 0.97
    assert s5_descent.accuracy(X_test, Y_test, trained) > 0.93


# --- S8, S9 --------------------------------------------------------------------------------------


def test_s8_from_zero_both_units_stay_identical_and_random_ones_do_not(rng):
    X, Y = rng.normal(size=(2, 6)), (rng.random((1, 6)) < 0.5).astype(float)
    for scale, identical in ((0.0, True), (0.01, False)):
        p = {
            "W1": rng.normal(size=(2, 2)) * scale, "b1": np.zeros((2, 1)),
            "W2": rng.normal(size=(1, 2)) * scale, "b2": np.zeros((1, 1)),
        }  # fmt: skip
        for _ in range(20):
            J, values = network(X, Y, **p)
            J.backward()
            p = {name: p[name] - 0.5 * values[name].grad for name in p}
            same = np.array_equal(p["W1"][0], p["W1"][1]) and p["W2"][0, 0] == p["W2"][0, 1]
            assert same == identical


def test_s8_the_slides_randn_takes_no_tuple():
    with pytest.raises(TypeError):
        np.random.randn((2, 2))  # noqa: NPY002


def test_s9_a_sigmoid_multiplies_the_gradient_by_at_most_a_quarter():
    z = tg.Value(np.linspace(-9, 9, 181))
    tg.sum(tg.sigmoid(z)).backward()
    assert z.grad.max() == 0.25


def test_s9_the_gradient_of_early_layers_vanishes_with_depth(rng):
    X, Y = rng.normal(size=(8, 5)), (rng.random((1, 5)) < 0.5).astype(float)
    first = []
    for depth in (2, 6, 12):
        Ws = [rng.normal(size=(8, 8)) / np.sqrt(8) for _ in range(depth - 1)]
        J, weights = deep_network(X, Y, [*Ws, rng.normal(size=(1, 8))], tg.sigmoid)
        J.backward()
        first.append(np.linalg.norm(weights[0].grad))
    assert first[0] > 10 * first[1] > 100 * first[2]


# --- the command ---------------------------------------------------------------------------------


def silent():
    return Console(file=io.StringIO(), width=100)


def shown(*sections, out=None):
    console = silent()
    failures = lecture.show(sections, out, console)
    return failures, console.file.getvalue()


def test_every_section_is_shown_and_all_that_should_match_does():
    failures, text = shown()
    assert failures == []
    for key in lecture.SECTIONS:
        assert f"{key}  {Words('en')[f'{key.lower()}.title']}" in text
    assert "σ'(z1_1) is missing" in text
    assert "'tuple' object" in " ".join(text.split())
    assert text.count("wrong.") == text.count("✗") == 1  # the slide's line, and nothing else


@pytest.mark.slow
def test_a_rule_so_wrong_that_nothing_is_a_number_still_gives_the_page(monkeypatch, tmp_path):
    make_wrong(monkeypatch, TABLE["sigmoid"], 0, lambda d: d * np.nan)
    failures, _ = shown("S3", "S8", "S9", out=tmp_path)
    assert "S8 zero start: cost of every step" in failures
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert {"S3", "S8", "S9"} <= set(re.findall(r'<section id="(S.)">', page))
    assert "S8 zero start: cost of every step" in page


def test_sections_are_chosen_by_name_in_either_case():
    _, text = shown("s7", "S1")
    assert "S7" in text
    assert "S1" in text
    assert "S6  " not in text


def test_an_unknown_section_is_an_error_before_anything_is_shown():
    with pytest.raises(tg.GradError, match=r"no section 'S10'.*S1, S2"):
        shown("S1", "S10")


RULES = [
    (op, i)
    for op in TABLE.values() if op.differentiable
    for i in ([0] if op.variadic else range(op.n_inputs)) if op.variadic or op.rules[i] is not None
]  # fmt: skip


def make_wrong(monkeypatch, op, i, how):
    """One derivative rule made wrong on purpose."""
    if op.variadic:
        right = op.rules.rule
        monkeypatch.setattr(op, "rules", Each(lambda *a, **k: map(how, right(*a, **k))))
        return
    rules = list(op.rules)
    right = rules[i]
    rules[i] = lambda *a, **k: how(right(*a, **k))
    monkeypatch.setattr(op, "rules", tuple(rules))


@pytest.mark.parametrize("op, i", RULES, ids=[f"{op.name}-{i}" for op, i in RULES])
@pytest.mark.one_in(20)
def test_any_rule_made_wrong_is_named(monkeypatch, op, i):
    make_wrong(monkeypatch, op, i, lambda d: 1.001 * d)
    failures, text = shown("S3")
    name = f"{op.name}, input {i + 1}" if op.n_inputs != 1 else op.name
    assert any(f"the rule of {name}" in row for row in failures)
    assert re.search(rf"^{re.escape(name)} ", text, re.M)


SIX, ONE = "S6 tanh in layer 1", "S7 tanh in layer 1"
UNITS, SPELLED = "S4 the lecture's lines", "spelled out: dz"

#: A rule of the table, and the rows of the lecture that are the first to show it wrong.
WHERE = {
    ("sigmoid", 0): ["S2 sigmoid: g'(0)", f"{UNITS}: dz1_2", f"{SIX}: dZ2", f"{ONE}: dz2",
                     "S6 sigmoid in layer 1: dZ1", "S9 sigmoid"],
    ("tanh", 0): ["S2 tanh: g'(0)", f"{SIX}: dZ1", f"{ONE}: dz1", "S9 tanh"],
    ("relu", 0): ["S2 relu: g'(0.5)", "S6 relu in layer 1: dZ1", "S9 relu"],
    ("leaky_relu", 0): ["S2 leaky_relu: g'(-3)", "S6 leaky_relu in layer 1: dZ1", "S9 leaky_relu"],
    ("matmul", 0): ["S3 dW1[1,1]", "S5 dW1", f"{SIX}: dW2", f"{ONE}: dW1"],
    ("matmul", 1): ["S1 depth 2: dx = w'ᵀ da", f"{SIX}: dZ1", "S9 tanh"],
    ("add", 1): ["S3 db1[1,1]", f"{UNITS}: dw11_3", f"{SIX}: db2", f"{ONE}: db1"],
    ("bernoulli_loss", 0): ["S3 dW2[1,1]", "S5 dW2"],
    ("mean", 0): ["S5 db2"],
    ("log", 0): [f"{UNITS}: dz1_3"],
    ("multiply", 0): [f"{UNITS}: dz1_2"],
    ("multiply", 1): [f"{UNITS}: dw11_3"],
    ("negative", 0): [f"{UNITS}: dz1_3"],
    ("subtract", 1): [f"{UNITS}: dz1_3"],
    ("exp", 0): [f"S2 sigmoid, {SPELLED}"],
    ("divide", 0): [f"S2 tanh, {SPELLED}"],
    ("divide", 1): [f"S2 sigmoid, {SPELLED}"],
}  # fmt: skip


QUICK = {("tanh", 0)}


@pytest.mark.parametrize(
    "op, i",
    [pytest.param(*rule, marks=() if rule in QUICK else pytest.mark.slow) for rule in WHERE],
)
@pytest.mark.slow
def test_a_wrong_rule_is_named_in_every_section_that_uses_it(monkeypatch, op, i):
    rows = WHERE[op, i]
    make_wrong(monkeypatch, TABLE[op], i, lambda d: 1.3 * d)
    monkeypatch.setattr(s5_descent, "MOST_STEPS", 5)
    failures, text = shown(*{row.split()[0] for row in rows})
    for row in rows:
        assert row in failures
        assert row in text.replace("\n", " ")


def test_a_rule_that_raises_fails_its_sections_and_not_the_others(monkeypatch):
    def broken(*_):
        raise tg.GradError("broken on purpose")

    monkeypatch.setattr(TABLE["tanh"], "rules", (broken,))
    failures, text = shown("S2", "S4")
    assert any("broken on purpose" in row for row in failures)
    assert all(row.startswith("S2") for row in failures)
    assert "dw11_3" in text


def test_s5_without_convergence_is_named_and_nothing_else_is(monkeypatch):
    monkeypatch.setattr(s5_descent, "MOST_STEPS", 5)
    failures, text = shown("S5")
    assert failures == ["S5 convergence within 5 steps"]
    assert failures[0] in text
