"""Derived lines keep what numbers and lengths are called; what is data gets no line unasked."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.calculus.checks import central_difference
from tinygrad_edu.sheets.sheet import Sheet


def lines(text: str, wrt: str | None = None, convention: str = "lecture") -> dict[str, str]:
    """The right sides of a sheet's derived lines, by name."""
    derived = Sheet(text).derive(wrt, convention)
    return dict(rule.numpy.split(" = ", 1) for rule in derived)


def assert_right_at_other_sizes(text: str, other: dict[str, str], wrt: str | None = None) -> None:
    """What is derived at some sizes computes the gradients at others too."""
    function: dict[str, object] = {}
    exec(Sheet(text).derive(wrt, "calculus").to_numpy(), function)
    for old, new in other.items():
        assert old in text
        text = text.replace(old, new)
    sheet = Sheet(text)
    numbers = sheet.draw(3)
    code = function["gradients"].__code__
    arguments = code.co_varnames[: code.co_argcount]
    plain = {key: x for key, x in sheet.values.items() if isinstance(x, (int, float))}
    given = {key: (numbers | plain)[key] for key in arguments}
    cost, found = function["gradients"](**given)
    assert cost == pytest.approx(float(sheet.graph(numbers).cost.data))
    assert found
    for name, value in found.items():
        if name[1:] in numbers:

            def moved(x, of=name[1:]):
                return float(sheet.graph(numbers | {of: x}).cost.data)

            want = np.asarray(central_difference(moved, numbers[name[1:]], 1e-6))
            np.testing.assert_allclose(value, want, atol=1e-6 * (1 + np.max(np.abs(want))))


ROWS = "m = 7\nn = 3\nk = 4\nX: (m, n)\nY: (m, k)\nW: (n, k)\n"
SQUARES = "J = np.sum((Z - Y)**2) / (2 * m)"

# --- numbers keep their names ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forward", "shown"),
    [
        ("lam = 0.3\nZ = X @ W\n" + SQUARES + " + lam**2 * np.sum(W**2)", "lam**2"),
        ("d = 4\nZ = X @ W / np.sqrt(d)\n" + SQUARES, "np.sqrt(d)"),
        ("d = 4\nZ = X @ W * d**-0.5\n" + SQUARES, "np.sqrt(d)"),
        ("T = 2\nZ = X @ W / T**2\n" + SQUARES, "T**2"),
        ("rho = 0.9\nZ = np.sqrt(1 - rho**2) * (X @ W)\n" + SQUARES, "np.sqrt(1 - rho**2)"),
    ],
)
def test_a_power_or_root_of_a_named_number_is_written_by_its_name(forward, shown):
    found = lines(ROWS + forward)
    assert any(shown in line for line in found.values()), found
    assert not any("0.09" in line or "0.435" in line for line in found.values())


@pytest.mark.parametrize("p", [2, 3, 2.5])
def test_an_exponent_is_written_by_its_name_and_may_be_another(p):
    text = ROWS + f"p = {p}\nZ = X @ W\nJ = np.sum(np.abs(Z - Y)**p) / (2 * m)"
    assert lines(text)["dZ"] == "p * np.abs(Z - Y)**(p - 1) * np.sign(Z - Y) / 2"
    assert_right_at_other_sizes(text, {f"p = {p}": "p = 3.5", "m = 7": "m = 5"})


@pytest.mark.parametrize("c", ["-1", "1 / 2", "2 * 3"])
def test_a_number_written_as_a_formula_of_numbers_may_be_another(c):
    text = ROWS + f"c = {c}\nZ = c * (X @ W)\n" + SQUARES
    assert_right_at_other_sizes(text, {f"c = {c}": "c = 0.7"})


def test_a_number_made_of_others_is_no_argument_beside_them():
    text = ROWS + "d = 4\nc = d / 10\nZ = c * (X @ W)\n" + SQUARES
    function = {}
    exec(Sheet(text).derive(None, "calculus").to_numpy(), function)
    code = function["gradients"].__code__
    arguments = code.co_varnames[: code.co_argcount]
    assert "d" in arguments
    assert "c" not in arguments
    assert_right_at_other_sizes(text, {"d = 4": "d = 3"})


def test_a_number_that_equals_a_length_by_chance_keeps_its_own_name():
    text = ROWS.replace("Y: (m, k)", "Y: (m, k) = onehot(axis=1)") + "T = 2\nZ = X @ W\n"
    text += "P = softmax(Z / T, axis=1)\nJ = -T**2 * np.sum(Y * np.log(P)) / m"
    assert lines(text)["dZ"] == "(P - Y) * T"  # T² is k here
    assert_right_at_other_sizes(text, {"k = 4": "k = 6"})


@pytest.mark.parametrize(
    "choice",
    [
        "np.abs(r) <= delta, r**2 / 2, delta * (np.abs(r) - delta / 2)",
        "np.abs(r) > delta, delta * (np.abs(r) - delta / 2), r**2 / 2",
        "np.abs(r) < delta, r**2 / (2 * delta), np.abs(r) - delta / 2",
        "np.abs(r) < delta, r**2, 2 * delta * np.abs(r) - delta**2",
    ],
)
def test_the_slope_of_a_robust_loss_is_the_residual_clipped_at_its_named_bound(choice):
    text = "m = 7\nn = 3\ndelta = 1.3\nX: (m, n)\ny: (m,)\nw: (n,)\nr = X @ w - y\n"
    found = lines(text + f"J = np.sum(np.where({choice})) / m")["dr"]
    assert "np.clip(r, -delta, delta)" in found
    assert "where" not in found


# --- lengths by the sheet's names -----------------------------------------------------------------

HEADS = """n = 5
e = 7
h = 2
d = 3
X: (n, e)
W: (e, h * d)
H = np.tanh((X @ W).reshape(n, h, d).transpose(1, 0, 2))
C = H.transpose(1, 0, 2).reshape(n, h * d)
J = np.sum(C**3)
"""
MEANS = """m = 7
n = 3
p = 2
x: (m, p, n)
c = np.mean(x, axis=2, keepdims=True)
J = np.sum((x - c)**4)
"""
GATES = """m = 6
n = 3
d = 4
x: (n, m)
h0: (d, m)
W: (d, d + n)
v = np.concatenate([h0, x])
J = np.sum(np.tanh(W @ v)) / m
"""


def test_lengths_are_written_as_the_sheet_declares_them():
    assert "reshape(n, h * d)" in lines(HEADS, "W")["dW"]
    assert lines(GATES, "v,h0")["dh0"].startswith("dv[:d]")
    sized = Sheet(MEANS).derive(None, "calculus").to_numpy()
    assert ".shape[" not in sized.split("J = ")[1]
    text = "m = 6\np = 2\nq = 5\nX: (m, p * q)\nW: (q, q)\nR = X.reshape(m, p, q)\nZ = R @ W\n"
    assert "reshape(X.shape)" in lines(text + "J = np.sum(Z**2) / m", "R,X")["dX"]


@pytest.mark.parametrize(
    ("text", "other", "wrt"),
    [
        (HEADS, {"n = 5": "n = 4", "h = 2": "h = 3", "d = 3": "d = 2"}, "W"),
        (MEANS, {"m = 7": "m = 4", "n = 3": "n = 5"}, "x"),
        (GATES, {"n = 3": "n = 5", "d = 4": "d = 2"}, "W,h0,x"),
    ],
)
def test_a_source_with_named_lengths_is_right_at_other_sizes(text, other, wrt):
    assert_right_at_other_sizes(text, other, wrt)


@pytest.mark.parametrize("kind", ["np.sum(L) / m", "np.mean(L)", "np.sum(L) / X.shape[0]"])
def test_there_is_one_m_however_the_cost_is_averaged(kind):
    text = ROWS + f"Z = X @ W\nL = np.sum((Z - Y)**2, axis=1) / 2\nJ = {kind}"
    assert lines(text) == {"dZ": "Z - Y", "dW": "X.T @ dZ / m"}


# --- the scale ------------------------------------------------------------------------------------


def test_the_examples_are_followed_through_an_index_that_takes_each_once():
    text = "m = 7\nn = 3\nk = 4\nX: (m, n)\ny: (m,) = integers(0, k)\nW: (n, k)\nZ = X @ W\n"
    rows = text + "J = -np.sum(log_softmax(Z, axis=1)[np.arange(m), y]) / m"
    columns = text + "A = np.tanh(Z).T\nJ = np.sum(A[y, np.arange(m)]) / m"
    for sheet in (rows, columns):
        derived = Sheet(sheet).derive()
        assert (derived.convention, derived["Z"].scale) == ("lecture", "m")


def test_what_weights_each_example_is_data_whatever_it_is_called():
    text = "m = 7\nX: (m, 3)\nw: (3,)\nv: (3,)\nA: (m,)\nc: (3,)\nz = X @ w\n"
    weighted = Sheet(f"{text}J = np.mean(np.tanh(z) * (A - X @ v))").derive()
    assert (weighted.convention, weighted.left_out) == ("lecture", ("X", "A"))
    mean_of_units = Sheet(f"{text}J = np.sum((z - A)**2) / m + np.mean(np.tanh(w) * c)").derive()
    assert mean_of_units["c"].scale == ""


def test_examples_compared_with_examples_have_the_scale_on_both_sides():
    text = "m = 5\nn = 3\nq = 6\nd = 4\nX: (m, n)\nY: (m, q)\nV: (n, d)\nW: (q, d)\n"
    text += "A = X @ V\nB = Y @ W\nP = softmax(A @ B.T, axis=1)\n"
    text += "J = -np.sum(np.eye(m) * np.log(P)) / m"
    derived = Sheet(text).derive("A,B,W")
    assert [(rule.name, rule.scale) for rule in derived] == [("dB", "m"), ("dW", ""), ("dA", "m")]
    assert derived["dW"].numpy == "dW = Y.T @ dB / m"


def test_the_scale_is_said_of_the_lines_that_have_it(tmp_path, capsys):
    from tinygrad_edu.cli import main

    path = tmp_path / "rows.sheet"
    path.write_text(ROWS + "Z = X @ W\n" + SQUARES)
    assert main(["derive", str(path)]) == 0
    said = capsys.readouterr().err
    assert "m ∂J/∂… for dZ; the others are ∂J/∂…" in said
    assert "no lines for X, Y" in said
    assert main(["derive", str(path), "--wrt", "W"]) == 0
    said = capsys.readouterr().err
    assert "all are ∂J/∂…" in said
    assert "no lines" not in said


# --- what is data ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "lines_for"),
    [
        ("n = 5\np = 4\nd = 3\nR: (n, p)\nU: (n, d)\nV: (p, d)\n"
         "E = U @ V.T - R\nJ = np.sum(E**2) / 2", {"U", "V"}),
        ("n = 5\ne = 4\nd = 3\nX: (n, e)\nG: (n, d)\nW: (e, d)\n"
         "J = np.sum(np.tanh(X @ W) * G)", {"W"}),
        ("n = 5\ne = 4\nd = 3\nX: (n, e)\nT: (n, d)\nW: (e, d)\n"
         "J = np.sum(np.abs(T - X @ W))", {"W"}),
        # … while what is added, or normalised before a parameter meets it, gets its line
        ("n = 5\nx: (n,)\nW: (n, n)\nb: (n,)\nJ = np.sum(np.tanh(W @ x + b))", {"W", "b"}),
        ("n = 5\ne = 4\nX: (n, e)\ng: (e,)\n"
         "J = np.sum((g * (X - np.mean(X, axis=0)))**3)", {"X", "g"}),
    ],
)  # fmt: skip
def test_data_targets_and_gradients_from_above_get_no_line_unasked(text, lines_for):
    derived = Sheet(text).derive(None, "calculus")
    givens = set(Sheet(text).givens)
    assert {rule.of for rule in derived} & givens == lines_for
    assert set(derived.left_out) == givens - lines_for
    for name in derived.left_out:
        assert [rule.of for rule in Sheet(text).derive(name, "calculus")] == [name]


@pytest.mark.parametrize(
    ("f", "unknowns"),
    [
        (lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2, {"x": -1.0, "y": 2.0}),
        (lambda x, A: x @ A @ x, {"x": [1.0, 2.0], "A": np.eye(2)}),
        (lambda x, y: x @ y, {"x": [1.0, 2.0], "y": [3.0, 5.0]}),
        (lambda y: np.sum(y**2), {"y": [3.0, 5.0]}),
        (lambda y: y, {"y": 3.0}),
    ],
)
def test_a_name_makes_no_unknown_data_where_no_cost_averages_over_examples(f, unknowns):
    derived = tg.derive(f(**{name: tg.Value(x, name) for name, x in unknowns.items()}))
    assert {rule.of for rule in derived} == set(unknowns)
    assert derived.left_out == ()


def test_what_has_no_line_is_told_where_the_lines_are_printed():
    X, W = tg.Value(np.ones((3, 5)), "X"), tg.Value(np.ones((2, 3)), "W")
    derived = tg.derive(np.sum((W @ X - tg.Value(np.ones((2, 5)), "Y")) ** 2) / 5)
    said = "# no lines for X, Y, which are data or targets: wrt asks for them"
    assert str(derived).splitlines() == [*derived.text.splitlines(), said]


def test_the_gradient_of_data_that_was_asked_for_has_the_scale_of_the_line_above():
    derived = Sheet(ROWS + "Z = X @ W\n" + SQUARES).derive("Z,X")
    assert [rule.numpy for rule in derived] == ["dZ = Z - Y", "dX = dZ @ W.T"]
    assert derived["dX"].scale == "m"


# --- facts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forward", "name", "line"),
    [
        ("E = M * (X @ W - R)\nJ = np.sum(E**2) / 2", "dW", "X.T @ E"),
        ("E = (X @ W - R) * M / 2\nJ = np.sum(E**2)", "dW", "X.T @ E"),
        ("A = np.tanh(X @ W) * M\nJ = np.sum(A**2) / 2", "dA", "A"),
    ],
)
def test_what_holds_a_mask_is_not_masked_again(forward, name, line):
    text = "n = 5\np = 4\nd = 3\nX: (n, d)\nR: (n, p)\nM: (n, p) = binary\nW: (d, p)\n"
    assert lines(text + forward, name[1:], "calculus")[name] == line


@pytest.mark.parametrize("axis", [0, 1])
def test_rows_and_columns_of_the_identity_sum_to_one(axis):
    text = "k = 4\nn = 3\nX: (k, n)\nW: (n, k)\nS = X @ W\n"
    text += f"P = softmax(S, axis={axis})\nJ = -np.sum(np.eye(k) * np.log(P))"
    assert lines(text, "S", "calculus")["dS"] == "P - np.eye(k)"


def test_smoothed_labels_sum_to_one():
    text = ROWS.replace("Y: (m, k)", "Y: (m, k) = onehot(axis=1)") + "eps = 0.1\nZ = X @ W\n"
    text += "P = softmax(Z, axis=1)\nS = (1 - eps) * Y + eps / k\nJ = -np.sum(S * np.log(P)) / m"
    assert lines(text)["dZ"] == "P - S"


# --- means ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1])
def test_a_normalisation_is_written_with_the_means_its_forward_lines_take(axis):
    text = "m = 7\nn = 3\np = 4\nX: (m, n)\nW: (n, p)\nZ = X @ W\n"
    text += f"mu = np.mean(Z, axis={axis}, keepdims=True)\n"
    text += f"s = np.sqrt(np.mean((Z - mu)**2, axis={axis}, keepdims=True))\n"
    text += "H = (Z - mu) / s\nJ = np.sum(np.tanh(H)) / m"
    found = lines(text, "H,Z,W")
    options = f"axis={axis}{', keepdims=True' if axis else ''}"
    assert found["dZ"] == f"(dH - np.mean(dH, {options}) - H * np.mean(dH * H, {options})) / s"
    assert found["dW"] == "X.T @ dZ / m"


def test_deviations_from_a_mean_add_up_to_nothing():
    text = "m = 7\nn = 3\nx: (m, n)\nmu = np.mean(x, axis=0)\nv = np.mean((x - mu)**2, axis=0)\n"
    found = lines(text + "J = np.sum(np.mean((x - mu)**4, axis=0) / v**2)", "v,x", "calculus")
    assert "np.sum" not in found["dx"]
    assert "(x - mu)**3" in found["dx"]


# --- lines worth a line ---------------------------------------------------------------------------


def test_a_gradient_that_would_be_written_twice_gets_a_line():
    text = "n = 5\nd = 3\np = 4\nX: (n, d)\nT: (n, p)\nWq: (d, d)\nV: (n, p)\nS = X @ Wq @ X.T\n"
    text += "E = np.exp(S)\nA = E / np.sum(E, axis=1, keepdims=True)\nO = A @ V\n"
    found = lines(text + "J = np.sum((O - T)**2) / 2", None, "calculus")
    assert found["dA"] == "dO @ V.T"
    assert "@" not in found["dS"]


def test_a_gradient_that_is_the_same_along_an_axis_goes_on_without_a_line():
    text = "n = 9\nx: (n, 1)\nmu: (3,)\np: (3,) = positive\nN = p * np.exp(-(x - mu)**2)\n"
    found = lines(text + "J = -np.sum(np.log(np.sum(N, axis=1))) / n", None, "calculus")
    assert found.keys() == {"dmu", "dp"}
    assert "broadcast_to" not in "".join(found.values())


def test_a_product_that_is_only_moved_about_gets_a_line():
    text = "m = 6\np = 2\nq = 5\nk = 3\nX: (m, p, q)\nV: (q, q)\nW: (p * q, k)\nY: (m, k)\n"
    text += "H = np.tanh(X @ V)\nF = H.reshape(m, p * q)\nZ = F @ W\n" + SQUARES
    assert lines(text)["dF"] == "dZ @ W.T"
