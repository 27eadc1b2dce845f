"""Gradients handed in as numbers: what follows, and mistakes in lines nobody handed in."""

import itertools

import numpy as np
import pytest
from test_checking import two_layers

import tinygrad_edu as tg
from tinygrad_edu import nn

M = 7


WIDTHS, ACTIVATIONS = (3, 5, 4, 2), ("tanh", "sigmoid", "sigmoid")


def deep(bias=True, rows=False):
    """A net of three layers with a cost, its nodes named; examples are columns, or rows."""
    rng = np.random.default_rng(3)
    shape = (lambda n: (M, n)) if rows else (lambda n: (n, M))
    v = {
        "X": tg.Value(rng.normal(size=shape(WIDTHS[0])), requires_grad=False),
        "Y": tg.Value(rng.integers(0, 2, shape(WIDTHS[-1])).astype(float), requires_grad=False),
    }
    A = v["X"]
    for i, (n, k) in enumerate(itertools.pairwise(WIDTHS), 1):
        W = v[f"W{i}"] = tg.Value(rng.normal(size=(n, k) if rows else (k, n)))
        Z = A @ W if rows else W @ A
        if bias:
            b = v[f"b{i}"] = tg.Value(rng.normal(size=(1, k) if rows else (k, 1)))
            Z = Z + b
        v[f"Z{i}"] = Z
        A = v[f"A{i}"] = getattr(tg, ACTIVATIONS[i - 1])(Z)
    v["J"] = -tg.sum(v["Y"] * tg.log(A) + (1 - v["Y"]) * tg.log(1 - A)) / M
    tg.name_values(**v)
    return v


def backward(v, slips=(), bias=True, rows=False):
    """The lecture's lines by plain NumPy; `slips` maps a line to what is done to its numbers."""
    n = {name: value.data for name, value in v.items()}
    slips = dict(slips)
    layers = sum(name.startswith("W") for name in v)
    found = {}

    def keep(name, numbers):
        found[name] = slips[name](numbers, n) if name in slips else numbers
        return found[name]

    dZ = keep(f"dZ{layers}", n[f"A{layers}"] - n["Y"])
    for i in range(layers, 0, -1):
        before = n["X"] if i == 1 else n[f"A{i - 1}"]
        keep(f"dW{i}", (before.T @ dZ if rows else dZ @ before.T) / M)
        if bias:
            keep(f"db{i}", dZ.sum(axis=0 if rows else 1, keepdims=True) / M)
        if i > 1:
            slope = before * (1 - before) if i > 2 else 1 - before**2
            W = n[f"W{i}"]
            dZ = keep(f"dZ{i - 1}", (dZ @ W.T if rows else W.T @ dZ) * slope)
    return found


SLIPS = {
    "the sign": lambda dZ, n: -dZ,
    "a factor of 2": lambda dZ, n: 2 * dZ,
    "another scale of each row": lambda dZ, n: dZ * np.arange(1.0, dZ.shape[0] + 1)[:, None],
    "a term too many": lambda dZ, n: dZ + 0.5,
    "its square": lambda dZ, n: dZ**2,
}

SLIPPED = ["the sign", "another scale of each row", "a term too many"]
LAYOUTS = [{}, {"rows": True}, {"bias": False}]


def every_third(*choices):
    """All combinations; but for one in three, with each choice among them, they are slow."""
    return [
        pytest.param(*chosen, marks=pytest.mark.slow if sum(places) % 3 else ())
        for places, chosen in zip(
            itertools.product(*(range(len(choice)) for choice in choices)),
            itertools.product(*choices),
            strict=True,
        )
    ]


@pytest.mark.parametrize("layout, line, slip", every_third(LAYOUTS, ["dZ3", "dZ2", "dZ1"], SLIPPED))
@pytest.mark.one_in(3)
def test_numbers_computed_rightly_from_a_wrong_gradient_follow(layout, line, slip):
    v = deep(**layout)
    judged = tg.compare(v["J"], backward(v, {line: SLIPS[slip]}, **layout), convention="lecture")
    verdicts = {row.name: row.verdict for row in judged.rows}
    assert verdicts.pop(line) == "wrong"
    layer = int(line[-1])
    for name, verdict in verdicts.items():
        below = int(name[-1]) <= layer and not (name.startswith("dZ") and int(name[-1]) > layer)
        assert verdict == ("follows" if below else "correct"), name
    assert all(row.diagnosis is None for row in judged.rows if row.verdict == "follows")


def test_an_innocent_line_is_never_corrected_to_what_it_is():
    net = nn.Network(3, nn.Dense(4, "tanh"), nn.Dense(1, "sigmoid"), seed=1)
    X, Y = net.example(m=M)

    def wrong_sign(X, Y, W2, A1, A2, m):
        dZ2 = Y - A2
        dZ1 = W2.T @ dZ2 * (1 - A1**2)
        return {
            "dZ2": dZ2, "dW2": dZ2 @ A1.T / m, "db2": dZ2.sum(axis=1, keepdims=True) / m,
            "dZ1": dZ1, "dW1": dZ1 @ X.T / m, "db1": dZ1.sum(axis=1, keepdims=True) / m,
        }  # fmt: skip

    rows = net.check(wrong_sign, X, Y).rows
    assert [row.verdict for row in rows] == ["wrong"] + ["follows"] * 5
    assert (rows[0].diagnosis.mistake, rows[0].diagnosis.correction) == ("sign", "dZ2 = A2 - Y")
    assert [row.diagnosis for row in rows[1:]] == [None] * 5


def test_the_order_of_what_is_handed_in_does_not_matter_for_numbers():
    v = deep()
    found = backward(v, {"dZ2": SLIPS["its square"]})
    first = {row.name: row.verdict for row in tg.compare(v["J"], found, "lecture").rows}
    turned = dict(reversed(list(found.items())))
    assert {row.name: row.verdict for row in tg.compare(v["J"], turned, "lecture").rows} == first


def test_of_two_mistakes_both_are_wrong_and_each_is_named_at_the_learners_own_numbers():
    v = deep()
    slips = {"dZ3": SLIPS["its square"], "dZ1": SLIPS["a factor of 2"]}
    rows = {row.name: row for row in tg.compare(v["J"], backward(v, slips), "lecture").rows}
    assert {name for name, row in rows.items() if row.verdict == "wrong"} == {"dZ3", "dZ1"}
    found = rows["dZ1"].diagnosis
    assert (found.mistake, found.correction) == (
        "constant_factor",
        "dZ1 = W2.T @ dZ2 * (1 - A1**2)",
    )


@pytest.mark.parametrize("spoilt, shape", [("dZ2", (4, 6)), ("dZ3", (2,)), ("dW2", (5, 4))])
@pytest.mark.slow
def test_a_gradient_of_another_shape_or_without_numbers_flows_nowhere(spoilt, shape):
    v = deep()
    for numbers in (np.zeros(shape), np.full(v[spoilt[1:]].shape, np.nan)):
        rows = tg.compare(v["J"], backward(v) | {spoilt: numbers}, "lecture").rows
        assert {row.name for row in rows if row.verdict != "correct"} == {spoilt}


@pytest.mark.slow
def test_calculus_scale_follows_too():
    v = deep()
    found = backward(v, {"dZ2": SLIPS["its square"]})
    scaled = {k: g / M if k.startswith("dZ") else g for k, g in found.items()}
    rows = tg.compare(v["J"], scaled, "calculus").rows
    assert {row.name for row in rows if row.verdict == "wrong"} == {"dZ2"}
    assert {row.name for row in rows if row.verdict == "follows"} == {
        "dW2", "db2", "dZ1", "dW1", "db1",
    }  # fmt: skip


# --- only the parameters' gradients are handed in -------------------------------------------------


def parameters_only(found):
    return {name: g for name, g in found.items() if not name.startswith("dZ")}


HIDDEN = {
    "the sign of dZ1": ("dZ1", SLIPS["the sign"], "sign"),
    "the sign of dZ3": ("dZ3", SLIPS["the sign"], "sign"),
    "a factor of 3 in dZ2": ("dZ2", lambda dZ, n: 3 * dZ, "constant_factor"),
    "tanh' taken at z": (
        "dZ1", lambda dZ, n: dZ / (1 - n["A1"] ** 2) * (1 - n["Z1"] ** 2),
        "derivative_at_wrong_point",
    ),
    "no tanh' at all": (
        "dZ1", lambda dZ, n: dZ / (1 - n["A1"] ** 2), "missing_activation_derivative",
    ),
    "half of sigmoid'": (
        "dZ2", lambda dZ, n: dZ / (1 - n["A2"]), "wrong_derivative_formula",
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout, hidden", every_third(LAYOUTS, HIDDEN))
def test_a_mistake_in_a_line_nobody_handed_in_is_found(layout, hidden):
    line, slip, mistake = HIDDEN[hidden]
    v = deep(**layout)
    found = parameters_only(backward(v, {line: slip}, **layout))
    judged = tg.compare(v["J"], found, convention="lecture")
    wrong = [row for row in judged.rows if row.verdict == "wrong"]
    assert {row.of[-1] for row in wrong} == set(map(str, range(1, int(line[-1]) + 1)))
    for row in wrong:
        said = row.diagnosis
        if len(wrong) > 1:  # of a single gradient its own line may be to blame just as well
            assert said.correction.startswith(f"{line} = ")
            assert "not handed in" in said.explanation
            assert said.mistake == mistake or mistake == "wrong_derivative_formula"
        assert said is not None


def test_a_function_that_returns_only_parameters_is_told_of_the_line_inside():
    def inside(X, Y, W2, A1, A2, Z1, m):
        dZ2 = A2 - Y
        dZ1 = W2.T @ dZ2 * (1 - Z1**2)
        return {
            "dW1": dZ1 @ X.T / m, "db1": dZ1.sum(axis=1, keepdims=True) / m,
            "dW2": dZ2 @ A1.T / m, "db2": dZ2.sum(axis=1, keepdims=True) / m,
        }  # fmt: skip

    rows = {row.name: row for row in tg.check_function(inside, two_layers()["J"]).rows}
    assert [rows[n].verdict for n in ("dW2", "db2")] == ["correct", "correct"]
    for name in ("dW1", "db1"):
        assert rows[name].verdict == "wrong"
        found = rows[name].diagnosis
        assert found.mistake == "derivative_at_wrong_point"
        assert found.correction == "dZ1 = W2.T @ dZ2 * (1 - A1**2)"
        assert "dW1, db1" in found.explanation


def test_a_mistake_in_one_parameters_own_line_is_told_of_that_line():
    v = deep()
    found = parameters_only(backward(v, {"dW1": lambda g, n: 2 * g}))
    rows = {row.name: row for row in tg.compare(v["J"], found, "lecture").rows}
    assert {name for name, row in rows.items() if row.verdict == "wrong"} == {"dW1"}
    assert rows["dW1"].diagnosis.mistake == "constant_factor"
    assert rows["dW1"].diagnosis.correction.startswith("dW1 = ")


def test_a_forgotten_1_over_m_belongs_to_the_parameters_lines_in_the_lectures_scale():
    v = deep()
    slips = {"dW1": lambda g, n: M * g, "db1": lambda g, n: M * g}
    rows = tg.compare(v["J"], parameters_only(backward(v, slips)), "lecture").rows
    for row in rows:
        if row.verdict == "wrong":
            assert row.diagnosis.mistake == "one_over_m_missing"
            assert row.diagnosis.correction.startswith(f"{row.name} = ")
    assert [row.name for row in rows if row.verdict == "wrong"] == ["dW1", "db1"]


@pytest.mark.slow
def test_what_no_single_line_explains_is_left_unexplained():
    v = deep()
    found = parameters_only(backward(v))
    found["dW1"] = np.random.default_rng(0).normal(size=found["dW1"].shape)
    rows = {row.name: row for row in tg.compare(v["J"], found, "lecture").rows}
    assert (rows["dW1"].verdict, rows["dW1"].diagnosis) == ("wrong", None)
    assert {row.verdict for name, row in rows.items() if name != "dW1"} == {"correct"}
