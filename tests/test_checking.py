"""The comparison of hand-derived gradients: right ones are never accused, wrong ones never pass."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.calculus.axes import find_examples

M = 5


def two_layers(m=M, seed=0, cost="bce", activation=np.tanh):
    rng = np.random.default_rng(seed)
    v = {
        "X": tg.Value(rng.normal(size=(3, m)), requires_grad=False),
        "Y": tg.Value(rng.integers(0, 2, (2, m)).astype(float), requires_grad=False),
        "W1": tg.Value(rng.normal(size=(4, 3))),
        "b1": tg.Value(rng.normal(size=(4, 1))),
        "W2": tg.Value(rng.normal(size=(2, 4))),
        "b2": tg.Value(rng.normal(size=(2, 1))),
    }
    v["Z1"] = v["W1"] @ v["X"] + v["b1"]
    v["A1"] = activation(v["Z1"])
    v["Z2"] = v["W2"] @ v["A1"] + v["b2"]
    v["A2"] = 1 / (1 + np.exp(-v["Z2"]))
    A2, Y = v["A2"], v["Y"]
    v["J"] = -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m
    tg.name_values(**v)
    return v


def lecture_rules():
    return {
        "dZ2": lambda A2, Y: A2 - Y,
        "dW2": lambda dZ2, A1, m: dZ2 @ A1.T / m,
        "db2": lambda dZ2, m: np.sum(dZ2, axis=1, keepdims=True) / m,
        "dZ1": lambda W2, dZ2, A1: W2.T @ dZ2 * (1 - A1**2),
        "dW1": lambda dZ1, X, m: dZ1 @ X.T / m,
        "db1": lambda dZ1, m: np.sum(dZ1, axis=1, keepdims=True) / m,
    }


def verdicts(comparison):
    return {row.name: row.verdict for row in comparison.rows}


def test_the_lectures_six_rules_are_right_in_the_lectures_scale():
    comparison = tg.compare(two_layers()["J"], lecture_rules())
    assert comparison.ok
    assert (comparison.convention, comparison.m) == ("lecture", M)
    assert all(row.max_error < 1e-12 and row.numerical_error < 1e-8 for row in comparison.rows)


def test_the_same_rules_with_dZ_as_the_derivative_of_the_mean_are_right_in_calculus_scale():
    rules = lecture_rules() | {
        "dZ2": lambda A2, Y, m: (A2 - Y) / m,
        "dW2": lambda dZ2, A1: dZ2 @ A1.T,
        "db2": lambda dZ2: dZ2.sum(axis=1, keepdims=True),
        "dW1": lambda dZ1, X: dZ1 @ X.T,
        "db1": lambda dZ1: dZ1.sum(axis=1, keepdims=True),
    }
    comparison = tg.compare(two_layers()["J"], rules)
    assert comparison.ok
    assert comparison.convention == "calculus"


def test_one_scale_is_not_accepted_for_the_other():
    J = two_layers()["J"]
    assert not tg.compare(J, lecture_rules(), convention="calculus").ok


@pytest.mark.parametrize("name", lecture_rules())
@pytest.mark.one_in(2)
def test_a_rule_made_wrong_is_wrong_and_what_reads_it_follows(name):
    rules = lecture_rules()
    right = rules[name]
    given = dict.fromkeys(right.__code__.co_varnames)
    namespace = {"right": right}
    exec(f"def wrong({', '.join(given)}): return 1.5 * right({', '.join(given)})", namespace)
    rules[name] = namespace["wrong"]
    comparison = tg.compare(two_layers()["J"], rules, convention="lecture")
    assert verdicts(comparison)[name] == "wrong"
    others = {n: v for n, v in verdicts(comparison).items() if n != name}
    assert set(others.values()) <= {"correct", "follows"}
    follows = {"dZ2": {"dW2", "db2", "dZ1", "dW1", "db1"}, "dZ1": {"dW1", "db1"}}.get(name, set())
    assert {n for n, v in others.items() if v == "follows"} == follows


@pytest.mark.parametrize("reshape", [
    lambda g: g.ravel(), lambda g: g.T, lambda g: g[None], lambda g: np.broadcast_to(g, (2, 4, 1)),
    lambda g: g[:, :, None][..., 0][:, 0],
])  # fmt: skip
@pytest.mark.one_in(5)
def test_a_shape_that_would_only_broadcast_is_wrong(reshape):
    v = two_layers()
    right = tg.compare(v["J"], {"db1": np.zeros((4, 1))}).rows[0].expected_shape
    assert right == (4, 1)
    gradient = tg.grad(lambda b: tg.sum((b + v["W1"].data) ** 2))(v["b1"].data)
    row = tg.compare(v["J"], {"db1": reshape(gradient)}).rows[0]
    assert row.verdict == "wrong"
    assert row.max_error is None


def test_nothing_in_the_graph_is_written():
    v = two_layers()
    before = v["W1"].data.copy()
    tg.compare(v["J"], lecture_rules())
    assert all(value.grad is None for value in v.values())
    assert np.array_equal(v["W1"].data, before)


def test_a_function_cannot_spoil_the_numbers_it_is_given():
    def overwriting(A2, Y):
        A2 -= Y
        return A2

    v = two_layers()
    rules = lecture_rules() | {"dZ2": overwriting}
    assert tg.compare(v["J"], rules).ok


@pytest.mark.parametrize("at_zero, verdict", [(1.0, "kink"), (0.0, "kink"), (0.3, "kink")])
def test_a_kink_is_reported_and_is_not_a_mismatch(at_zero, verdict):
    z = tg.Value([-1.0, 0.0, 2.0], "z")
    row = tg.compare(tg.sum(3.0 * tg.relu(z)), {"dz": 3.0 * np.array([0.0, at_zero, 1.0])}).rows[0]
    assert row.verdict == verdict
    assert row.numerical_error > 0.1


def test_beside_a_kink_a_wrong_number_is_still_wrong():
    z = tg.Value([-1.0, 0.0, 2.0], "z")
    row = tg.compare(tg.sum(tg.relu(z)), {"dz": [0.0, 1.0, 1.5]}).rows[0]
    assert row.verdict == "wrong"


def test_a_name_given_twice_stands_for_either_value():
    x = tg.Value([1.0, 2.0], "x")
    a = x * 3.0
    b = a * 5.0
    a.name = b.name = "a"
    cost = tg.sum(b)
    assert tg.compare(cost, {"da": [1.0, 1.0]}).ok
    assert tg.compare(cost, {"da": [5.0, 5.0]}).ok
    assert not tg.compare(cost, {"da": [3.0, 3.0]}).ok


def test_given_data_may_be_in_either_scale():
    rng = np.random.default_rng(1)
    x, w = tg.Value(rng.normal(size=(3, 5)), "x"), tg.Value(rng.normal(size=(2, 3)), "w")
    cost = tg.sum((w @ x) ** 2) / 5
    gradient = 2 * w.data.T @ (w.data @ x.data)
    for scale in (1.0, 1 / 5):
        assert tg.compare(cost, {"dx": scale * gradient}, convention="lecture").ok
    assert not tg.compare(cost, {"dx": gradient / 2}, convention="lecture").ok


def test_nan_is_wrong_and_null_in_json():
    z = tg.Value([1.0, 2.0], "z")
    comparison = tg.compare(tg.sum(z * z), {"dz": [np.nan, 4.0]})
    assert not comparison.ok
    parsed = json.loads(json.dumps(comparison.to_json(), allow_nan=False))
    assert parsed["rules"][0]["max_error"] is None


def test_the_table_shows_name_shapes_verdict_and_scale():
    text = str(tg.compare(two_layers()["J"], lecture_rules() | {"db2": np.zeros(2)}))
    for part in ("lecture", "m = 5", "dZ2", "(2, 5)", "(2,)", "wrong", "correct"):
        assert part in text


def test_html_escapes_names():
    z = tg.Value([1.0], "<b>")
    page = tg.compare(tg.sum(z), {"d<b>": [1.0]})._repr_html_()
    assert "<b>" not in page
    assert "d&lt;b&gt;" in page


@pytest.mark.parametrize("manual, words", [
    ({"dQ": 1.0}, "dQ"), ({"W1": 1.0}, "W1"), ({"dZ2": lambda nobody: nobody}, "nobody"),
])  # fmt: skip
def test_what_is_not_in_the_graph_is_named(manual, words):
    with pytest.raises(tg.GradError, match=words):
        tg.compare(two_layers()["J"], manual)


def test_the_lectures_scale_without_m_says_what_to_do():
    z = tg.Value([1.0, 2.0], "z")
    with pytest.raises(tg.GradError, match="m="):
        tg.compare(tg.sum(z * z), {"dz": [2.0, 4.0]}, convention="lecture")


COSTS = {
    "sum / m": lambda A2, Y, W1, m: np.sum((A2 - Y) ** 2) / m,
    "1/m * sum": lambda A2, Y, W1, m: 1 / m * np.sum((A2 - Y) ** 2),
    "mean of all entries": lambda A2, Y, W1, m: np.mean((A2 - Y) ** 2),
    "half": lambda A2, Y, W1, m: np.sum((A2 - Y) ** 2) / (2 * m),
    "penalty": lambda A2, Y, W1, m: -np.sum(Y * np.log(A2)) / m + 0.7 / (2 * m) * np.sum(W1**2),
    "per example": lambda A2, Y, W1, m: np.mean(np.sum((A2 - Y) ** 2, axis=0)),
    "a loss of the package": lambda A2, Y, W1, m: tg.mean(tg.binary_cross_entropy(A2, Y)),
    "a product": lambda A2, Y, W1, m: -np.sum(np.dot(Y[:1], np.log(A2[:1]).T)) / m,
}


@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
@pytest.mark.parametrize("m", [5, 3, 7])
def test_m_is_found_however_the_mean_is_written_even_where_other_sizes_are_equal(cost, m):
    v = two_layers(m=m)
    examples = find_examples(cost(v["A2"], v["Y"], v["W1"], m))
    assert examples.m == m
    assert all(examples.has(v[name]) for name in ("Z1", "A1", "Z2", "X", "Y"))
    assert not any(examples.has(v[name]) for name in ("W1", "b1", "W2"))


def test_a_sum_that_is_no_mean_has_no_m():
    v = two_layers()
    assert find_examples(np.sum((v["A2"] - v["Y"]) ** 2)) is None
    assert find_examples(0.5 * np.sum((v["A2"] - v["Y"]) ** 2)) is None


def test_classes_of_a_softmax_are_not_examples():
    z, y = tg.Value(np.arange(4.0), "z"), tg.Value([0.0, 1, 0, 0], requires_grad=False)
    e = np.exp(z)
    assert find_examples(-np.sum(y * np.log(e / np.sum(e))) / 4) is None


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["W1", "b1", "W2", "b2", "Z1", "A1", "Z2", "A2"]))
@pytest.mark.slow
def test_the_engines_own_gradient_is_correct_and_a_changed_entry_is_not(seed, name):
    v = two_layers(seed=seed)
    v["J"].backward()
    gradient = v[name].grad
    assert tg.compare(v["J"], {f"d{name}": gradient}, convention="calculus").ok
    spoilt = gradient.copy()
    spoilt.flat[seed % spoilt.size] += 0.01 * (1 + np.abs(gradient).max())
    assert not tg.compare(v["J"], {f"d{name}": spoilt}, convention="calculus").ok


# --- formulas as text, functions, assertions ---------------------------------------------------


def test_formulas_may_be_given_as_text():
    rules = {
        "dZ2": "A2 - Y",
        "dW2": "1/m * dZ2 @ A1.T",
        "db2": "db2 = np.sum(dZ2, axis=1, keepdims=True) / m",
        "dZ1": "W2.T @ dZ2 * (1 - A1)",
        "dW1": "np.dot(dZ1, X.T) / m",
    }
    found = verdicts(tg.compare(two_layers()["J"], rules))
    assert list(found.values()) == ["correct", "correct", "correct", "wrong", "follows"]


def test_of_a_function_that_raises_the_reason_is_told():
    (row,) = tg.compare(two_layers()["J"], {"dZ2": lambda A2: A2 @ np.ones((3, 3))}).rows
    assert row.verdict == "wrong"
    assert row.note.startswith("its function raises ValueError: matmul")


def test_another_exponent_is_no_constant_factor():
    x = tg.Value(np.arange(1.0, 5.0), "x")
    J = np.sum(x**3)
    tg.name_values(J=J)
    (row,) = tg.compare(J, {"dx": lambda x: 3 * x}).rows
    assert row.diagnosis.mistake == "other"
    assert "The numbers are those of dx = 3 * x." in row.diagnosis.explanation


@pytest.mark.parametrize("text, words", [
    ("A2 -", "formula"), ("nobody - Y", "nobody"), ("__import__('os')", "import"),
    ("(lambda: 1)()", "called"), ("A2.__class__", "__class__"),
])  # fmt: skip
def test_text_that_is_no_formula_is_refused(text, words):
    with pytest.raises(tg.GradError, match=words):
        tg.compare(two_layers()["J"], {"dZ2": text})


def test_assert_derivation_passes_or_says_which_line():
    J = two_layers()["J"]
    tg.assert_derivation(J, lecture_rules())
    with pytest.raises(AssertionError, match="db1"):
        tg.assert_derivation(J, lecture_rules() | {"db1": np.zeros((4, 1))})


def test_a_function_of_ones_own_is_judged_and_its_overwriting_reported():
    def forward(X, Y, W):
        Z = W @ X
        A = 1 / (1 + np.exp(-Z))
        tg.name_values(Z=Z, A=A)
        return np.sum((A - Y) ** 2) / 5

    def backward(X, Y, W, A, m):
        A -= Y
        dZ = 2 * A * (A + Y) * (1 - A - Y)
        return {"dZ": dZ, "W": dZ @ X.T / m}

    rng = np.random.default_rng(3)
    shapes = {"X": (3, 5), "Y": (2, 5), "W": (2, 3)}
    given = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    comparison = tg.check_function(backward, forward, **given)
    assert comparison.ok
    assert comparison.remarks == ["backward writes into its input A"]
    wrong = tg.check_function(lambda X, A, Y: {"dW": (A - Y) @ X.T}, forward, **given)
    assert not wrong.ok


def test_a_function_that_asks_for_what_is_not_there_is_told_so():
    z = tg.Value(2.0, "z")
    with pytest.raises(tg.GradError, match="cache"):
        tg.check_function(lambda cache: {"dz": 1.0}, z * z)
    with pytest.raises(TypeError, match="dict"):
        tg.check_function(lambda z: 4.0, z * z)


@pytest.mark.parametrize("at_zero, verdict", [(1.5, "wrong"), (-0.5, "wrong"), (0.5, "kink")])
def test_no_choice_at_a_kink_gives_more_than_its_two_sides(at_zero, verdict):
    z = tg.Value([-1.0, 0.0, 2.0], "z")
    assert tg.compare(tg.sum(tg.relu(z)), {"dz": [0.0, at_zero, 1.0]}).rows[0].verdict == verdict


@pytest.mark.parametrize("dz", [[1, 0, 0], [0, 1, 0], [1, 1, 0]])
def test_a_tie_of_max_is_a_kink_too(dz):
    z = tg.Value([2.0, 2.0, 1.0], "z")
    row = tg.compare(tg.max(z), {"dz": dz}).rows[0]
    assert row.verdict == "kink"
    assert row.note == "2 of 3 numbers lie on a kink"
    assert tg.compare(tg.max(z), {"dz": [0.5, 0.5, 0.5]}).rows[0].verdict == "wrong"


def squares():
    v = two_layers()
    return tg.sum((v["A2"] - v["Y"]) ** 2)


@pytest.mark.parametrize("upper, lower, verdicts", [
    ("(Y - A2) * A2 * (1 - A2)", "-2 * dZ2 @ A1.T", ["correct", "correct"]),
    ("(A2 - Y) * A2 * (1 - A2)", "2 * dZ2 @ A1.T", ["correct", "correct"]),
    ("2 * (Y - A2) * A2 * (1 - A2)", "-dZ2 @ A1.T", ["correct", "correct"]),
    ("(A2 - Y) * A2 * (1 - A2)", "dZ2 @ A1.T", ["wrong", "follows"]),
    ("(A2 - Y) * A2", "2 * (dZ2 * (1 - A2)) @ A1.T", ["wrong", "wrong"]),
])  # fmt: skip
def test_a_constant_moved_to_the_lines_that_read_it_is_no_mistake(upper, lower, verdicts):
    comparison = tg.compare(squares(), {"dZ2": upper, "dW2": lower})
    assert [row.verdict for row in comparison.rows][:1] == verdicts[:1]
    assert comparison.ok == (verdicts == ["correct", "correct"])
    if comparison.ok:
        assert "make up for it" in comparison.rows[0].note


def test_of_numbers_nobody_knows_who_makes_up_for_their_constant():
    cost = squares()
    right = tg.check_function(lambda A2, Y: {"dZ2": 2 * (A2 - Y) * A2 * (1 - A2)}, cost)
    assert right.ok
    assert not tg.check_function(lambda A2, Y: {"dZ2": (A2 - Y) * A2 * (1 - A2)}, cost).ok


def test_what_is_no_number_here_is_not_judged():
    z = tg.Value([-1.0, 2.0], "z")
    with np.errstate(all="ignore"):
        row = tg.compare(tg.sum(tg.sqrt(z)), {"dz": [3.0, 4.0]}).rows[0]
    assert row.verdict == "unchecked"
    assert "not a number" in row.note
