"""Sheets: what they may say, what they may not, and verdicts on real derivations."""

import io
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.sheets.sheet import Sheet
from tinygrad_edu.sheets.syntax import SheetError

SHEETS = Path(__file__).parent / "sheets"
EXPECTED = json.loads((SHEETS / "expected.json").read_text(encoding="utf-8"))

NET = """
m = 5
X: (3, m)
Y: (2, m) = binary
W1: (4, 3)
b1: (4, 1)
W2: (2, 4)
b2: (2, 1)
Z1 = W1 @ X + b1
A1 = np.tanh(Z1)
Z2 = W2 @ A1 + b2
A2 = 1 / (1 + np.exp(-Z2))
J = -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m
"""


def judged(claims, forward=NET, **options):
    report = tg.check_sheet(Sheet(forward + claims), **options)
    return {row.name: row for row in report.rows}


def verdict(claim, forward=NET, **options):
    return next(iter(judged(claim, forward, **options).values())).verdict


# --- real derivations -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.one_in(12)
def test_every_verdict_on_real_derivations_is_as_expected(name):
    report = tg.check_sheet(SHEETS / f"{name}.sheet")
    want = EXPECTED[name]
    assert {r.name: r.verdict for r in report.rows if r.name in want["expected"]} == want[
        "expected"
    ]
    assert report.convention == want["convention"]
    json.dumps(report.to_json(), allow_nan=False)


@pytest.mark.slow
def test_every_mistake_on_real_derivations_is_named_and_corrected():
    from checker_figures import on_sheets

    missed: dict[str, set[tuple[str, str]]] = {"named": set(), "corrected": set()}
    figures = on_sheets(SHEETS, show=False, missed=missed)
    assert figures["verdicts"] == figures["claims"] == 477
    assert figures.get("accused", 0) == 0
    assert missed == {"named": set(), "corrected": set()}
    assert figures["wrong"] == 75


@pytest.mark.slow
def test_every_mutant_of_a_net_is_wrong_named_and_corrected_and_nobody_else_accused():
    from checker_figures import on_mutants

    figures = on_mutants(3, show=False)
    assert figures.get("falsely accused", 0) == figures.get("others accused", 0) == 0
    assert figures.get("not wrong", 0) == 0
    assert figures["named"] == figures["corrected"] == figures["mutants"] > 60


# --- the language -------------------------------------------------------------------------------

X = "x: (3, 4)\nw: (2, 3)\n"


@pytest.mark.parametrize("forward, value", [
    ("z = w @ x", lambda w, x: w @ x),
    ("z = np.dot(w, x)", lambda w, x: w @ x),
    ("z = w.dot(x)", lambda w, x: w @ x),
    ("z = np.sum(x, axis=1, keepdims=True)", lambda w, x: x.sum(1, keepdims=True)),
    ("z = x.sum(axis=0)", lambda w, x: x.sum(0)),
    ("z = mean(x, axis=1)", lambda w, x: x.mean(1)),
    ("z = x[1:, ::2]", lambda w, x: x[1:, ::2]),
    ("z = x[[0, 0, 2]]", lambda w, x: x[[0, 0, 2]]),
    ("z = x[:, None, 1]", lambda w, x: x[:, None, 1]),
    ("z = x.T.reshape(2, -1)", lambda w, x: x.T.reshape(2, -1)),
    ("z = np.vstack([x, w.T @ w @ x])", lambda w, x: np.vstack([x, w.T @ w @ x])),
    ("z = np.where(x > 0, x, 0.01 * x)", lambda w, x: np.where(x > 0, x, 0.01 * x)),
    ("z = x * (x > 0)", lambda w, x: x * (x > 0)),
    ("z = np.maximum(0, x)", lambda w, x: np.maximum(0, x)),
    ("z = max(0, x)", lambda w, x: np.maximum(0, x)),
    ("z = relu(x)", lambda w, x: np.maximum(0, x)),
    ("z = x / x.shape[1]", lambda w, x: x / 4),
    ("n, k = x.shape\nz = x * k", lambda w, x: x * 4),
    ("z = x.copy()\nz[z < 0] = 0", lambda w, x: np.maximum(0, x)),
    ("z = x * 1\nz[0, 1:] = 7.0", lambda w, x: np.vstack([[[x[0, 0], 7, 7, 7]], x[1:]])),
    ("z = x + 0\nz += x", lambda w, x: 2 * x),
    ("z = np.zeros_like(x)\nnp.add.at(z, [0, 0], x[:2])",
     lambda w, x: np.vstack([x[0] + x[1], np.zeros((2, 4))])),
    ("z = np.square(x) ** 0.5", lambda w, x: np.abs(x)),
    ("z = np.eye(3) @ x", lambda w, x: x),
    ("z = -x ** 2", lambda w, x: -(x**2)),
    ("z = softmax(x, axis=0)", lambda w, x: np.exp(x) / np.exp(x).sum(0)),
    ("z = (x  # a remark in the middle\n     + x)", lambda w, x: 2 * x),
])  # fmt: skip
def test_a_forward_line_means_what_numpy_means(forward, value):
    sheet = Sheet(f"{X}{forward}\nJ = np.sum(z) + 0 * np.sum(w) + 0 * np.sum(x)\n")
    x, w = sheet.numbers["x"], sheet.numbers["w"]
    assert np.allclose(sheet.values["z"].data, value(w, x))


@pytest.mark.parametrize("formula", [
    "A2 - Y", "np.subtract(A2, Y)", "(A2 - Y).copy()", "np.array(A2 - Y)", "-(Y - A2)",
    "np.where(Y == 1, A2 - 1, A2)", "A2 + np.negative(Y)", "np.float64(A2) - Y",
    "np.concatenate([A2[:1] - Y[:1], A2[1:] - Y[1:]])", "sigmoid(Z2) - Y", "(A2.T - Y.T).T",
    "np.matmul(np.eye(2), A2 - Y)", "(A2 - Y).reshape(2, 5)", "A2 - np.ones_like(Y) * Y",
])  # fmt: skip
def test_a_right_line_is_right_in_any_spelling(formula):
    assert verdict(f"dZ2 = {formula}", convention="lecture") == "correct"


def test_a_claim_under_a_name_of_ones_own():
    row = judged("delta: dZ2 = A2 - Y", convention="lecture")["delta"]
    assert (row.of, row.verdict, row.formula) == ("Z2", "correct", "delta = A2 - Y")


def test_masked_assignment_to_an_array_of_ones_own_leaves_the_other_name_alone():
    relu = NET.replace("np.tanh(Z1)", "np.maximum(0, Z1)")
    rows = judged(
        "dZ2 = A2 - Y\ndA1 = W2.T @ dZ2\ndZ1 = dA1\ndZ1[Z1 <= 0] = 0", relu, convention="lecture"
    )
    assert [row.verdict for row in rows.values()] == ["correct"] * 3
    assert rows["dZ1"].formula.startswith("dZ1 = ")


def test_an_update_does_not_change_the_truth_and_is_found():
    rows = judged(
        "dZ2 = A2 - Y\ndW2 = dZ2 @ A1.T / m\nW2 = W2 - 0.5 * dW2\ndZ1 = W2.T @ dZ2 * (1 - A1**2)\n"
    )
    assert rows["dW2"].verdict == "correct"
    assert rows["dZ1"].verdict == "wrong"
    assert rows["dZ1"].diagnosis.mistake == "updated_weights"
    assert rows["dZ1"].diagnosis.correction == rows["dZ1"].formula


def test_what_follows_a_wrong_line_is_not_wrong():
    rows = judged("dZ2 = Y * A2\ndW2 = dZ2 @ A1.T / m\n")
    assert [rows[n].verdict for n in ("dZ2", "dW2")] == ["wrong", "follows"]


def test_what_does_not_reach_the_cost_is_unchecked():
    forward = NET.replace("J =", "U = A1 + 1\nJ =")
    assert verdict("dU = A1 * 7", forward) == "unchecked"


def test_a_line_that_raises_is_wrong_without_a_shape():
    row = judged("dW2 = A1 @ Y / m")["dW2"]
    assert (row.verdict, row.shape) == ("wrong", None)
    row = judged("dW2 = nobody @ Y / m")["dW2"]
    assert (row.verdict, row.shape) == ("wrong", None)


def test_a_sign_moved_elsewhere_is_right_with_a_note():
    rows = judged("dZ2 = Y - A2\ndW2 = -1/m * dZ2 @ A1.T\n")
    assert rows["dZ2"].verdict == "correct"
    assert "sign" in rows["dZ2"].note
    rows = judged("dZ2 = Y - A2\ndW2 = 1/m * dZ2 @ A1.T\n")
    assert rows["dZ2"].verdict == "wrong"


def test_numbers_may_come_from_a_file_and_are_checked_on_fresh_ones(tmp_path):
    # with all of Y zero the line passes on the given numbers alone
    (tmp_path / "s.sheet").write_text(NET + "dZ2 = A2 + Y\n")
    np.savez(tmp_path / "s.npz", Y=np.zeros((2, 5)))
    report = tg.check_sheet(tmp_path / "s.sheet")
    assert report.rows[0].verdict == "wrong"


def test_numbers_on_a_kink_are_no_mistake(tmp_path):
    relu = NET.replace("np.tanh(Z1)", "np.maximum(0, Z1)")
    claims = "dZ2 = A2 - Y\ndZ1 = W2.T @ dZ2 * (Z1 {} 0)\n"
    for test in (">", ">="):
        (tmp_path / "s.sheet").write_text(relu + claims.format(test))
        np.savez(tmp_path / "s.npz", X=np.zeros((3, 5)), b1=np.zeros((4, 1)))
        report = tg.check_sheet(tmp_path / "s.sheet", convention="lecture")
        assert [row.verdict for row in report.rows] == ["correct", "correct"]


def test_the_claims_of_scalar_sheets_are_checked():
    rows = judged(
        "dz = 2 * z\ndw = dz * x\ndx = dz * w * 1.5\n", "w = 2.0\nx = -3.0\nz = w * x\nJ = z**2\n"
    )
    assert [rows[n].verdict for n in ("dz", "dw", "dx")] == ["correct", "correct", "wrong"]


@pytest.mark.parametrize("kind, good", [
    ("binary", lambda y: set(np.unique(y)) <= {0.0, 1.0}),
    ("onehot(axis=0)", lambda y: np.allclose(y.sum(0), 1) and set(np.unique(y)) <= {0.0, 1.0}),
    ("onehot(axis=1)", lambda y: np.allclose(y.sum(1), 1)),
    ("probabilities(axis=0)", lambda y: np.allclose(y.sum(0), 1) and (y > 0).all()),
    ("positive", lambda y: (y > 0).all()),
    ("uniform(2, 3)", lambda y: (y >= 2).all() and (y <= 3).all()),
    ("integers(0, 4)", lambda y: y.dtype.kind == "i" and (y >= 0).all() and (y < 4).all()),
    ("normal", lambda y: (y < 0).any()),
])  # fmt: skip
def test_numbers_are_drawn_of_their_kind_and_the_same_for_the_same_seed(kind, good):
    sheet = Sheet(f"y: (6, 5) = {kind}\nw: (6, 5)\nJ = np.sum(w * y)\n")
    for seed in range(5):
        assert good(sheet.draw(seed)["y"])
        assert np.array_equal(sheet.draw(seed)["y"], sheet.draw(seed)["y"])
    assert not np.array_equal(sheet.draw(1)["y"], sheet.draw(2)["y"])


# --- what is not a sheet --------------------------------------------------------------------------


@pytest.mark.parametrize("line, column, words, text", [
    (3, 5, "mp", "x: (3,)\n\nz = mp.exp(x)\nJ = np.sum(z)"),
    (2, 7, "open", "x: (3,)\nz = x+open('/etc/passwd')\nJ = np.sum(z)"),
    (2, 1, "or the lines out", "x: (3,)\nwhile 1: pass\nJ = 1"),
    (1, 1, "write its lines out", "def f(x): return x"),
    (2, 5, "__class__", "x: (3,)\nz = x.__class__\nJ = np.sum(x)"),
    (1, 1, "numpy", "import os"),
    (3, 1, "single number", "x: (3,)\ny = x\nJ = x * 2"),
    (1, 1, "cost", "x: (3,)"),
    (2, 7, "nobody", "x: (3,)\nJ = x+nobody"),
    (1, 10, "kind", "x: (3,) = funny"),
    (1, 4, "shape", "x: (0, 3)"),
    (1, 4, "shape", "x: (3, k)"),
    (2, 5, "matmul|do not chain", "x: (3, 4)\nJ = x @ x"),
    (1, 4, "larger", "x: (9999999, 9999999)"),
    (2, 12, "complex|real", "x: (3,)\nJ = np.sum(x * 2j)"),
    (2, 5, "called", "x: (3,)\nJ = (lambda: 1)()"),
])  # fmt: skip
def test_an_error_names_line_and_column(line, column, words, text):
    with pytest.raises(SheetError, match=words) as caught:
        Sheet(text)
    assert caught.value.line == line
    assert abs(caught.value.column - column) <= 8


@pytest.mark.parametrize("expression", [
    "9**9**9**9", "np.ones((10**6, 10**6))", "np.zeros(10**12)", "np.eye(10**7)",
    "np.outer(np.ones(10**6), np.ones(10**6))", "np.arange(10**12)", "10**400",
    "np.repeat(x, 10**9)", "np.tile(x, 10**9)", "np.broadcast_to(x, (10**7, 10**7, 3))",
    "+".join(["x"] * 5000), "(" * 500 + "x" + ")" * 500, "-" * 3000 + "x",
    "x" + "[0:1]" * 900, "np.ones((2,)*40)", "[" * 300 + "1" + "]" * 300,
    "np.ones((2000,1000)) @ np.ones((1000,2000))" + " @ np.ones((2000,2000))" * 200,
])  # fmt: skip
def test_what_would_take_too_much_is_refused(expression):
    with pytest.raises(SheetError):
        Sheet(f"x: (3,)\nz = {expression}\nJ = np.sum(x) + 0 * np.sum(z)\n")


def test_pickles_in_numbers_are_refused(tmp_path):
    (tmp_path / "s.sheet").write_text(NET)
    np.savez(tmp_path / "s.npz", X=np.array([print], dtype=object))
    with pytest.raises(SheetError, match="npz"):
        tg.load_sheet(tmp_path / "s.sheet")
    (tmp_path / "s.npz").write_bytes(pickle.dumps({"X": 1}))
    with pytest.raises(SheetError, match="npz"):
        tg.load_sheet(tmp_path / "s.sheet")


def test_numbers_of_another_shape_are_refused(tmp_path):
    (tmp_path / "s.sheet").write_text(NET)
    np.savez(tmp_path / "s.npz", X=np.zeros((3, 6)))
    with pytest.raises(SheetError, match="X"):
        tg.load_sheet(tmp_path / "s.sheet")


def test_an_unreadable_sheet_does_not_stop_the_others(tmp_path):
    (tmp_path / "bad.sheet").write_text("for x in y: pass")
    (tmp_path / "good.sheet").write_text(NET + "dZ2 = A2 - Y\n")
    batch = tg.check_sheets([tmp_path / "bad.sheet", tmp_path / "no", tmp_path / "good.sheet"])
    assert batch.exit_code == 2
    assert [r.error is None for r in batch.reports] == [False, False, True]
    assert batch.to_json()[2]["ok"]
    assert "good.sheet" in str(batch)


# --- what comes out -------------------------------------------------------------------------------


def test_json_has_the_agreed_fields():
    claims = "dZ2 = A2 - Y\ndW2 = dZ2 @ A2.T / m\n"
    out = tg.check_sheet(Sheet(NET + claims), convention="lecture").to_json()
    assert set(out) == {"sheet", "cost", "convention", "ok", "error", "rules", "remarks"}
    rule = out["rules"][1]
    assert set(rule) == {
        "name", "of", "line", "formula", "verdict", "note", "error", "shape", "expected_shape",
        "max_error", "numerical_error", "diagnosis",
    }  # fmt: skip
    assert rule["formula"] == "dW2 = dZ2 @ A2.T / m"
    assert rule["diagnosis"]["correction"] == "dW2 = dZ2 @ A1.T / m"
    assert rule["diagnosis"]["mistake"] == "wrong_layer_variable"
    assert (rule["shape"], rule["expected_shape"]) == ([2, 2], [2, 4])


def test_the_page_holds_sheet_verdicts_and_rules_and_escapes_all():
    page = tg.check_sheet(Sheet(NET + "dZ2 = A2 + Y  # <script>alert(1)</script>\n")).to_html()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "wrong" in page
    assert "dZ2 = (A2 - Y) / m" in page or "dZ2 = A2 - Y" in page


def test_a_judgement_is_the_same_every_time():
    text = NET + "dZ2 = A2 - Y\ndZ1 = W2.T @ dZ2 * (1 - A1)\n"
    first = tg.check_sheet(Sheet(text)).to_json()
    assert tg.check_sheet(Sheet(text)).to_json() == first


# --- anything at all ------------------------------------------------------------------------------

PIECES = st.sampled_from(
    (
        "A2 Y X W1 W2.T dZ2 m 2 0.5 -1 ( ) [ ] * / @ + - ** , : . T sum np. np.exp( np.sum( axis=1 "
        "keepdims=True > == = 0 None 'a' if else for in lambda reshape( {} \n # J dQ ... ~ & | %"
    ).split(" ")
)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(PIECES, max_size=14).map(" ".join))
@pytest.mark.slow
def test_any_text_gives_a_verdict_or_a_sheet_error(text):
    try:
        sheet = Sheet(NET + "dZ2 = A2 - Y\ndW2 = " + text + "\n")
    except SheetError:
        return
    json.dumps(tg.check_sheet(sheet).to_json(), allow_nan=False)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60))
@pytest.mark.slow
def test_any_characters_give_a_sheet_error_or_a_sheet(text):
    try:
        Sheet(text)
    except SheetError:
        pass


def test_a_number_added_for_safety_does_not_make_the_textbook_line_wrong():
    safe = NET.replace("np.log(A2)", "np.log(A2 + 1e-5)").replace(
        "log(1 - A2)", "log(1 - A2 + 1e-5)"
    )
    assert safe != NET
    assert verdict("dZ2 = A2 - Y", safe, convention="lecture") == "correct"
    assert verdict("dZ2 = (A2 - Y) * 1.001", safe, convention="lecture") == "wrong"


def test_a_line_right_only_at_these_sizes_is_right_with_a_note():
    one = NET.replace("(2, m)", "(1, m)").replace("(2, 4)", "(1, 4)").replace("(2, 1)", "(1, 1)")
    rows = judged("dZ2 = A2 - Y\ndZ1 = W2.T * dZ2 * (1 - A1**2)\n", one, convention="lecture")
    assert rows["dZ1"].verdict == "correct"
    assert "@" in rows["dZ1"].note
    assert rows["dZ2"].note is None


@pytest.mark.parametrize("given, mistake", [
    (lambda g: 2 * g, "constant_factor"), (lambda g: -g, "sign"),
    (lambda g: 5 * g, "one_over_m_missing"), (lambda g: g / 5, "one_over_m_twice"),
])  # fmt: skip
def test_wrong_arrays_are_diagnosed_by_their_numbers(given, mistake):
    sheet = Sheet(NET)
    gradient = tg.compare(sheet.cost, {"dW1": np.zeros((4, 3))}).rows[0]
    assert gradient.verdict == "wrong"
    sheet.cost.backward()
    row = tg.compare(sheet.cost, {"dW1": given(sheet.values["W1"].grad)}).rows[0]
    assert row.diagnosis.mistake == mistake
    assert "X.T" in row.diagnosis.correction


@pytest.mark.parametrize("formula, mistake", [
    (lambda W2, dZ2, A1: W2.T @ dZ2, "missing_activation_derivative"),
    (lambda W2, dZ2, A1: W2.T @ dZ2 * A1, "g_instead_of_gprime"),
    (lambda W2, dZ2, A1: W2.T @ dZ2 * (1 + A1**2), "wrong_derivative_formula"),
    (lambda dZ2, A1: dZ2[:1] * (1 - A1**2), "missing_weight_factor"),
])  # fmt: skip
@pytest.mark.one_in(4)
def test_wrong_functions_are_diagnosed_by_their_numbers(formula, mistake):
    rules = {"dZ2": lambda A2, Y: A2 - Y, "dZ1": formula}
    row = tg.compare(Sheet(NET).cost, rules, convention="lecture").rows[1]
    assert row.verdict == "wrong"
    if mistake != "missing_weight_factor":
        assert row.diagnosis.mistake == mistake
        assert row.diagnosis.correction == "dZ1 = W2.T @ dZ2 * (1 - A1**2)"


def test_the_slides_line_lacks_the_derivative_of_the_sigmoid():
    forward = """
x: ()
w1: ()
w2: ()
w3: ()
y: () = binary
z = w1 * x
a = 1 / (1 + np.exp(-z))
z1 = w2 * a
z2 = w3 * a
J = (z1 - y)**2 + z1 * z2
"""
    row = judged("dz1 = 2 * (z1 - y) + z2\ndz2 = z1\ndz = dz1 * w2 + dz2 * w3\n", forward)["dz"]
    assert row.diagnosis.mistake == "missing_activation_derivative"
    assert row.diagnosis.correction == "dz = (dz1 * w2 + dz2 * w3) * a * (1 - a)"


CS231N = """
N = 6
reg = 0.05
X: (6, 4)
Y: (6, 3) = onehot(axis=1)
W1: (4, 5)
b1: (5,)
W2: (5, 3)
b2: (3,)
h = np.maximum(0, X.dot(W1) + b1)
scores = h.dot(W2) + b2
ex = np.exp(scores)
probs = ex / np.sum(ex, axis=1, keepdims=True)
J = -np.sum(Y*np.log(probs))/N + reg * np.sum(W1*W1)

dscores = (probs - Y)/N
dW2 = h.T.dot(dscores)
dh = dscores.dot(W2.T)
dh[h <= 0] = 0
"""


def test_a_gradient_carried_on_to_what_has_no_name_is_right_and_is_used_in_corrections():
    rows = judged("dW1 = np.dot(X.T, dh) + 2 * reg * W1\ndb1 = np.sum(dh, axis=0)\n", CS231N)
    assert [row.verdict for row in rows.values()] == ["correct"] * 5
    assert "no name" in rows["dh"].note
    rows = judged("dW1 = np.dot(X.T, dh)\ndb1 = np.mean(dh, axis=0)\n", CS231N)
    assert rows["dh"].verdict == "correct"
    assert rows["dW1"].diagnosis.mistake == "missing_reg_term"
    assert rows["dW1"].diagnosis.correction == "dW1 = np.dot(X.T, dh) + 2 * reg * W1"
    rows = judged("dW1 = np.dot(X.T, dh)\n", CS231N.replace("h <= 0", "h <= 1"))
    assert rows["dh"].verdict == "wrong"


def test_corrections_use_the_learners_names_for_what_has_none_in_the_forward_pass():
    forward = """
x1: (2, 1)
x2: (2, 1)
h0: (4, 1)
Wx: (4, 2)
Wh: (4, 4)
t: (4, 1)
h1 = np.tanh(Wx @ x1 + Wh @ h0)
h2 = np.tanh(Wx @ x2 + Wh @ h1)
L = 0.5 * np.sum((h2 - t)**2)
"""
    claims = "dh2 = h2 - t\ns2 = dh2 * (1 - h2**2)\ndh1 = Wh.T @ s2\ns1 = dh1 * (1 - h1**2)\n"
    found = judged(claims + "dWh = s2 @ h1.T\n", forward)["dWh"].diagnosis
    assert found.mistake == "missing_fan_out_term"
    assert found.correction == "dWh = s2 @ h1.T + s1 @ h0.T"


@pytest.mark.parametrize("claim, mistake, correction", [
    ("dx[1:4] = w * G[1]", "lost_accumulation", "dx[1:4] += w * G[1]"),
    ("dx[1:4] = -w * -G[1]", "lost_accumulation", "dx[1:4] += -w * -G[1]"),
    ("dx[[1, 2, 3]] = w * G[1]", "lost_accumulation", "dx[[1, 2, 3]] += w * G[1]"),
])  # fmt: skip
def test_a_share_that_overwrites_another_is_added_instead(claim, mistake, correction):
    forward = (
        "x: (4,)\nw: (3,)\nG: (2,)\nJ = np.sum(x[0:3] * w) * G[0] + np.sum(x[1:4] * w) * G[1]\n"
    )
    found = judged(f"dx = np.zeros(4)\ndx[0:3] += w * G[0]\n{claim}\n", forward)["dx"].diagnosis
    assert (found.mistake, found.correction) == (mistake, correction)


RELU = NET.replace("np.tanh(Z1)", "np.maximum(0, Z1)")
SIGMOID = NET.replace("np.tanh(Z1)", "sigmoid(Z1)")
DROPOUT = NET.replace("A1 = np.tanh(Z1)\n", "D: (4, m) = binary\nA = np.tanh(Z1)\nA1 = A * D\n")
LASSO = NET.replace(") / m\n", ") / m + 0.1 * np.sum(np.abs(W2))\n")


@pytest.mark.parametrize("forward, claims, mistake", [
    (RELU, "dZ1 = W2.T @ dZ2 * Z1", "multiplied_by_Z"),
    (NET, "dZ1 = W2.T @ dZ2 * (1 - A1**2)\ndW1 = W2.T @ dZ2 @ X.T / m",
     "missing_activation_derivative"),
    (DROPOUT, "dW2 = dZ2 @ A.T / m", "dropout_mask_missing"),
    (LASSO, "dW2 = dZ2 @ A1.T / m + 0.1 * W2", "reg_term_wrong"),
    (SIGMOID, "dZ1 = W2.T @ dZ2 * (1 / 1 + np.exp(-Z1)) * (1 - A1)", "operator_precedence"),
])  # fmt: skip
def test_what_a_changed_part_is_names_the_mistake(forward, claims, mistake):
    rows = judged(f"dZ2 = A2 - Y\n{claims}\n", forward, convention="lecture")
    assert [r.diagnosis.mistake for r in rows.values() if r.verdict == "wrong"] == [mistake]


@pytest.mark.parametrize("claim, mistake", [
    ("dn1 = dn * v1 * h1 * (1 - h2)", "derivative_at_wrong_layer"),
    ("dn1 = dn * h1 * (1 - h1)", "missing_weight_factor"),
    ("dv1 = dn", "missing_input_factor"),
    ("dv1 = h1", "missing_upstream_factor"),
    ("dn1 = dn * v1", "missing_activation_derivative"),
])  # fmt: skip
def test_mistakes_of_single_numbers_have_the_same_names(claim, mistake):
    forward = """
x: ()
w1: ()
w2: ()
v1: ()
v2: ()
t: ()
n1 = w1 * x
h1 = sigmoid(n1)
n2 = w2 * x
h2 = sigmoid(n2)
n = v1 * h1 + v2 * h2
J = 0.5 * (n - t)**2
"""
    rows = judged(f"dn = n - t\n{claim}\n", forward)
    row = list(rows.values())[1]
    assert row.diagnosis.mistake == mistake


@pytest.mark.parametrize("g, said", [
    ("1 / (1 + np.exp(-Z1))", "σ'(Z1)"), ("np.tanh(Z1)", "tanh'(Z1)"),
    ("np.maximum(0, Z1)", "ReLU'(Z1)"), ("np.where(Z1 > 0, Z1, 0.1 * Z1)", "g'(Z1)"),
])  # fmt: skip
@pytest.mark.one_in(4)
def test_a_missing_derivative_is_said_in_the_lectures_notation(g, said):
    rows = judged("dZ2 = A2 - Y\ndZ1 = W2.T @ dZ2\n", NET.replace("np.tanh(Z1)", g))
    assert f"{said} is missing" in rows["dZ1"].diagnosis.explanation


TIED = """
m = 5
X: (m, 6)
W: (6, 3)
b: (3,)
h = sigmoid(X @ W + b)
r = h @ W.T
J = np.sum((r - X)**2) / (2*m)
"""


@pytest.mark.slow
def test_a_gradient_named_after_the_activation_of_what_has_no_name_is_right_if_so_used():
    claims = "dr = (r - X) / m\ndh = dr @ W * h * (1 - h)\ndb = dh.sum(axis=0)\n"
    rows = judged(claims + "dW = X.T @ dh + dr.T @ h\n", TIED)
    assert [row.verdict for row in rows.values()] == ["correct"] * 4
    assert "no name" in rows["dh"].note
    rows = judged(claims.replace("h * (1 - h)", "h") + "dW = X.T @ dh + dr.T @ h\n", TIED)
    assert rows["dh"].verdict == "wrong"


def test_a_penalty_on_a_single_number_is_noticed_and_so_is_the_wrong_point():
    forward = """
X: (7, 3)
y: (7, 1)
w: (3, 1)
b: ()
z = X @ w + b
a = sigmoid(z)
J = np.sum((a - y)**2) / 7 + 0.1 * np.sum(w**2)
"""
    claims = "da = 2 * (a - y) / 7\ndz = da * a * (1 - z)\ndb = np.sum(dz) + 0.2 * b\n"
    rows = judged(claims + "dw = X.T @ (2 * (a - y)) + 0.2 * w\n", forward)
    assert rows["dz"].diagnosis.mistake == "derivative_at_wrong_point"
    assert rows["db"].diagnosis.mistake == "reg_on_bias"


def test_corrections_write_derivatives_as_the_learner_does():
    claims = "dZ2 = (A2 - Y) / m\ndW2 = dZ2 @ A1.T\ndZ1 = W2.T @ dZ2 * sigmoid_prime(A1)\n"
    forward = SIGMOID.replace("J = ", "E = ").replace("log(1 - A2)) / m", "log(1 - A2)) / m\nJ = E")
    found = judged(claims, forward)["dZ1"].diagnosis
    assert found.mistake == "derivative_at_wrong_point"
    assert found.correction == "dZ1 = W2.T @ dZ2 * sigmoid_prime(Z1)"


@pytest.mark.parametrize("claims, verdicts", [
    ("dz = da * (z > 0)\ndw = dz * x\n", ["correct"] * 4),
    ("dz = da * (a > 0)\ndw = dz * x\n", ["correct"] * 4),
    ("dz = da\ndw = dz * x\n", ["correct", "correct", "wrong", "follows"]),
    ("dz = (y - o) * v * (z > 0)\ndw = -dz * x\n", ["correct"] * 4),
])  # fmt: skip
def test_a_single_relu_is_looked_at_on_both_sides_of_its_kink(claims, verdicts):
    forward = (
        "x: ()\nw: ()\nv: ()\ny: ()\nz = w * x\na = max(0, z)\no = v * a\nL = 0.5 * (o - y)**2\n"
    )
    rows = judged("do = o - y\nda = do * v\n" + claims, forward)
    assert [row.verdict for row in rows.values()] == verdicts
    if verdicts[2] == "wrong":
        assert rows["dz"].diagnosis.mistake == "missing_activation_derivative"
        assert rows["dz"].diagnosis.correction == "dz = da * (z >= 0)"


def test_a_claim_above_the_cost_is_remarked_on_because_it_is_not_judged():
    sheet = Sheet(
        "m = 4\nX: (2, m)\nW: (3, 2)\nZ = W @ X\ndZ = 7 * Z\nJ = np.sum(Z**2) / m\n"
        "dW = 2/m * Z @ X.T\n"
    )
    report = tg.check_sheet(sheet)
    assert [row.name for row in report.rows] == ["dW"]
    assert "dZ (line 5) stands above the cost J" in str(report)


def test_a_mean_over_units_is_no_mean_over_examples():
    sheet = Sheet(
        "x: (4, 1)\ny: (3, 1)\nW: (3, 4)\nb: (3, 1)\nz = W @ x + b\nJ = np.mean((z - y)**2)\n"
        "dz = 2 * (z - y)\ndW = dz @ x.T\ndb = dz\n"
    )
    verdicts = {row.name: row.verdict for row in tg.check_sheet(sheet).rows}
    assert verdicts == {"dz": "wrong", "dW": "follows", "db": "follows"}
    assert str(sheet.derive("W")).startswith("dW = ")


def test_a_cost_without_finite_numbers_does_not_stop_the_other_sheets(tmp_path):
    lines = "m = 5\nX: (3, m)\nW: (4, 3)\nZ = W @ X\nA = np.sqrt(Z)\nJ = np.sum(A) / m\n"
    (tmp_path / "roots.sheet").write_text(lines + "dA = np.ones_like(A) / m\ndZ = dA * A\n")
    (tmp_path / "right.sheet").write_text("w: ()\nJ = w**2\ndw = 2 * w\n")
    batch = tg.check_sheets([tmp_path / "roots.sheet", tmp_path / "right.sheet"])
    assert batch.reports[1].ok


# --- where the numbers come from ------------------------------------------------------------------


@pytest.mark.parametrize("forward, right, wrong", [
    ("X: (6, 3)\nw: (3,)\nz = X @ w\nJ = np.sum(np.log(z))\n", "dz = 1 / z", "dz = 1 / z**2"),
    ("a: (4,)\nb: (4,)\nz = a * b - 1\nJ = np.sum(np.sqrt(z))\n",
     "dz = 0.5 / np.sqrt(z)", "dz = 1 / np.sqrt(z)"),
    ("x: (5,)\nz = 1 - x\nJ = np.sum(np.log(z) * x)\n", "dz = x / z", "dz = x * z"),
    ("x: (5,)\nz = -x\nJ = np.sum(np.sqrt(z))\n", "dz = 0.5 / np.sqrt(z)", "dz = 0.5 * np.sqrt(z)"),
])  # fmt: skip
@pytest.mark.one_in(2)
def test_numbers_are_sought_where_the_cost_is_finite(forward, right, wrong):
    assert verdict(right, forward) == "correct"
    assert verdict(wrong, forward) == "wrong"


def test_a_cost_that_is_finite_nowhere_accuses_nobody():
    forward = "x: (3,)\nz = x**2 + 1\nJ = np.sum(np.sqrt(-z))\n"
    report = tg.check_sheet(Sheet(forward + "dz = -0.5 / np.sqrt(-z)\ndx = 2 * x * dz\n"))
    assert [row.verdict for row in report.rows] == ["unchecked"] * 2
    assert "no numbers were found" in report.rows[0].note
    json.dumps(report.to_json(), allow_nan=False)


@pytest.mark.parametrize("number, expected", [
    (0.0, "correct"), (0.5, "correct"), (1.0, "correct"), (7.0, "wrong"), (-0.1, "wrong"),
])  # fmt: skip
def test_on_a_kink_only_what_lies_between_its_sides_passes(number, expected):
    forward = "x: (4,)\nz = 0 * x\nJ = np.sum(np.maximum(0, z))\n"
    row = judged(f"dz = {number} * np.ones(4)\n", forward)["dz"]
    assert row.verdict == expected
    if expected == "correct":
        assert "kink" in row.note


def test_where_all_numbers_tie_and_nothing_can_be_told_nothing_is_judged():
    forward = "x: (4,)\nz = 0 * x\nJ = np.max(z)\n"
    assert verdict("dz = 7 * np.ones(4)\n", forward) == "unchecked"


def test_numbers_are_sought_away_from_kinks():
    # a third of all columns of X are zero: there every unit sits on its kink
    forward = (
        "m = 6\nX: (1, m) = integers(0, 3)\nW: (4, 1)\nZ = W @ X\nA = np.maximum(0, Z)\n"
        "J = np.sum(A**2 + A) / m\n"
    )
    rows = judged("dA = (2 * A + 1) / m\ndZ = 7 * dA\ndW = dZ @ X.T\n", forward)
    assert [row.verdict for row in rows.values()] == ["correct", "wrong", "follows"]


# --- small kindnesses -----------------------------------------------------------------------------


@pytest.mark.parametrize("typed, meant", [("Zl", "Z1"), ("W_1", "W1"), ("a1", "A1"), ("YY", "Y")])
def test_an_unknown_name_is_answered_by_the_known_one_that_looks_like_it(typed, meant):
    note = judged(f"dZ1 = {typed} * 2\n")["dZ1"].note
    assert note == f"{typed} is not defined; did you mean {meant}?"
    with pytest.raises(SheetError, match=f"{typed} is not defined; did you mean {meant}"):
        Sheet(NET.replace("J =", f"U = {typed}\nJ ="))


def test_a_claim_misspelt_by_a_letter_that_looks_alike_is_remarked_on():
    report = tg.check_sheet(Sheet(NET + "dZ2 = A2 - Y\ndZl = W2.T @ dZ2\n"))
    assert [row.name for row in report.rows] == ["dZ2"]
    assert any("there is no Zl; did you mean dZ1?" in remark for remark in report.remarks)
    scratch = tg.check_sheet(Sheet(NET + "dZ2 = A2 - Y\ndelta = 2 * dZ2\n"))
    assert not scratch.remarks


def test_standard_input_named_twice_is_an_error_of_the_second(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("w: ()\nJ = w**2\ndw = 2 * w\n"))
    batch = tg.check_sheets(["-", "-"])
    assert batch.reports[0].ok
    assert "only once" in batch.reports[1].error
    assert batch.exit_code == 2


def test_a_repr_is_one_short_line():
    report = tg.check_sheet(Sheet(NET + "dZ2 = A2 - Y\ndW2 = dZ2 @ A2.T / m\n", "net"))
    assert repr(report) == "<SheetReport net: 1 correct, 1 wrong (dW2)>"
    assert repr(report.rows[1]) == (
        f"<Row dW2 = dZ2 @ A2.T / m (line {report.rows[1].line}): wrong, wrong_layer_variable>"
    )
    assert repr(report.judged.sheet) == "<Sheet net: 6 given, cost J, claims dZ2, dW2>"
    z = tg.Value(2.0, "z")
    assert repr(tg.compare(z * z, {"dz": 4.0})) == "<Comparison in calculus' scale: 1 correct>"
    assert repr(tg.check_sheets(["nowhere"])) == "<Batch of 1 sheet; no claims; 1 not judged>"


@pytest.mark.parametrize("upper, lower, wrong, other, said", [
    ("A2 - Y", "dZ2 @ A1.T", "dW2", "dZ2", "1/m is missing in dZ2"),
    ("(A2 - Y) / m", "1/m * dZ2 @ A1.T", "dW2", "dZ2", "1/m is too many in dZ2"),
    ("A2 - Y", "dZ2 @ A1.T\ndZ1 = W2.T @ dZ2 * (1 - A1**2)\ndW1 = dZ1 @ X.T", "dZ2", "dW2",
     "1/m is missing in dW2, dW1"),
])  # fmt: skip
def test_a_1_over_m_that_may_sit_in_either_line_is_said_of_both(upper, lower, wrong, other, said):
    rows = judged(f"dZ2 = {upper}\ndW2 = {lower}\n")
    assert rows[wrong].verdict == "wrong"
    assert rows[other].verdict != "wrong"
    assert f"scale {wrong} is right as it stands" in rows[wrong].note
    assert rows[wrong].note.endswith(said)


def test_where_another_mistake_is_made_no_scale_is_blamed():
    rows = judged("dZ2 = A2 - Y\ndW2 = dZ2 @ A2.T\n")
    assert rows["dW2"].note is None


# --- what corrections and names are made of -------------------------------------------------------


@pytest.mark.parametrize("forward, wrong, correction", [
    ("m = 5\nX: (4, m)\nW: (3, 4)\nT: (3, m)\nA = W @ X\nJ = np.mean((A - T)**2)\n",
     "dA = A - T", r"dA = .*2.* m .*W.shape.*"),
    ("d = 3\nQ: (5, d)\nK: (4, d)\nT: (5, 4)\nS = Q @ K.T / np.sqrt(d)\n"
     "J = np.sum((S - T)**2) / 2\ndS = S - T\n", "dQ = dS @ K", r"dQ = .*np\.sqrt\(d\).*"),
    ("Z: (3, 4)\nT: (3, 4)\nA = np.tanh(1.702 * Z)\nJ = np.sum((A - T)**2) / 2\ndA = A - T\n",
     "dZ = dA * (1 - A**2)", r"dZ = .*1\.702.*"),
    ("m = 7\nt = 2.5\nX: (3, m)\nY: (4, m) = onehot(axis=0)\nW: (4, 3)\nZ = W @ X\n"
     "P = softmax(Z / t, axis=0)\nJ = -np.sum(Y * np.log(P)) / m\n",
     "dW = (P - Y) @ X.T / m", r"dW = .*/ m.* t.*|dW = .*/ t.* m.*"),
])  # fmt: skip
def test_corrections_speak_of_sizes_and_numbers_by_their_names(forward, wrong, correction):
    sheet = Sheet(forward + wrong + "\n")
    rows = tg.check_sheet(sheet, convention="calculus").rows
    found = rows[-1].diagnosis.correction
    assert re.fullmatch(correction, found), found
    mended = tg.check_sheet(Sheet(f"{forward}{found}\n"), convention="calculus")
    assert mended.rows[-1].verdict == "correct"


NORMALISED = (
    "m = 6\nX: (3, m)\ng: (3, 1)\nT: (3, m)\nmu = np.mean(X, axis=1, keepdims=True)\n"
    "v = np.mean((X - mu)**2, axis=1, keepdims=True)\nN = (X - mu) / np.sqrt(v + 1e-5)\n"
    "Y = g * N\nJ = np.sum((Y - T)**2) / 2\ndY = Y - T\n"
    "dg = np.sum(dY * N, axis=1, keepdims=True)\ndN = dY * g\n"
)


@pytest.mark.parametrize("wrong, right", [
    ("dX = (dN - np.mean(dN, axis=1, keepdims=True)) / np.sqrt(v + 1e-5)",
     "dX = (dN - np.mean(dN, axis=1, keepdims=True)"
     " - N * np.mean(dN * N, axis=1, keepdims=True)) / np.sqrt(v + 1e-5)"),
    ("dX = g / np.sqrt(v + 1e-5) / m * (m * dY - np.sum(dY, axis=1, keepdims=True))",
     "dX = g / np.sqrt(v + 1e-5) / m * (m * dY - np.sum(dY, axis=1, keepdims=True) - N * dg)"),
])  # fmt: skip
@pytest.mark.one_in(2)
def test_a_normalisation_in_one_line_lacks_one_term(wrong, right):
    found = judged(wrong + "\n", NORMALISED)["dX"].diagnosis
    assert (found.mistake, found.correction) == ("batchnorm_missing_term", right)


LINE = "m = 7\nX: (3, m)\ny: (1, m)\nw: (1, 3)\n"


@pytest.mark.parametrize("forward, wrong, right, mistake", [
    (LINE + "e = w @ X - y\nJ = np.sum(np.where(np.abs(e) <= 1, 0.5 * e**2, np.abs(e) - 0.5))\n",
     "de = np.where(np.abs(e) <= 1, e, 1)", "de = np.where(np.abs(e) <= 1, e, np.sign(e))",
     "wrong_derivative_formula"),
    (LINE + "e = w @ X - y\nJ = np.sqrt(np.sum(e**2))\n", "de = e", "de = e / J",
     "missing_upstream_factor"),
    (LINE + "s = w @ X\nh = np.maximum(0, 1 - y * s)\nJ = np.sum(h)\n", "ds = -y",
     "ds = -(h > 0) * y", "missing_activation_derivative"),
    (LINE + "d = w @ X\nk = np.exp(-0.3 * d)\nJ = np.sum((k - y)**2) / 2\ndk = k - y\n",
     "dd = -0.3 * dk", "dd = -0.3 * dk * k", "missing_activation_derivative"),
    (LINE + "z = w @ X\ns = sigmoid(z)\na = z * s\nJ = np.sum((a - y)**2) / 2\nda = a - y\n",
     "dz = da * s * (1 - s)", "dz = da * (s + a - s * a)", "wrong_derivative_formula"),
    (LINE + "c: (1, 1)\nz = w @ X\na = np.where(z > 0, z, c * z)\nJ = np.sum((a - y)**2) / 2\n"
     "da = a - y\n", "dc = np.sum(da * z, axis=1, keepdims=True)",
     "dc = np.sum(da * z * (z <= 0), axis=1, keepdims=True)", "missing_activation_derivative"),
    ("E: (7, 3)\ni: (6,) = integers(0, 7)\nt: (3,)\nh = E[i].mean(axis=0)\n"
     "J = np.sum((h - t)**2) / 2\ndh = h - t\ndE = np.zeros_like(E)\n",
     "np.add.at(dE, i, dh)", "np.add.at(dE, i, dh / 6)", "constant_factor"),
])  # fmt: skip
@pytest.mark.one_in(3)
def test_losses_and_activations_of_ones_own(forward, wrong, right, mistake):
    rows = judged(wrong + "\n", forward)
    row = list(rows.values())[-1]
    assert row.verdict == "wrong"
    assert (row.diagnosis.mistake, row.diagnosis.correction) == (mistake, right)
    assert list(judged(right + "\n", forward).values())[-1].verdict == "correct"


@pytest.mark.parametrize("forward, wrong, right, mistake", [
    (LINE + "z = w @ X\na = np.log(1 + np.exp(z))\nJ = np.sum((a - y)**2) / 2\nda = a - y\n",
     "dz = da * a * (1 - a)", "dz = da * sigmoid(z)", "derivative_of_other_activation"),
    ("x: (5,)\nw: (3,)\nt: (3,)\ny = x[0:3] * w[0] + x[1:4] * w[1] + x[2:5] * w[2]\n"
     "J = np.sum((y - t)**2) / 2\ndy = y - t\n",
     "dw = np.array([np.sum(dy * x[0:3]), np.sum(dy * x[1:4]), np.sum(dy * x[1:4])])",
     "dw = np.array([np.sum(dy * x[0:3]), np.sum(dy * x[1:4]), np.sum(dy * x[2:5])])", "other"),
    ("X: (6, 4)\nY: (6, 3) = onehot(axis=1)\nW: (4, 3)\nZ = X @ W\n"
     "P = Z - np.log(np.sum(np.exp(Z), axis=1, keepdims=True))\nJ = -np.sum(Y * P)\ndP = -Y\n",
     "dZ = dP", "dZ = dP + softmax(Z, axis=1)", "missing_fan_out_term"),
])  # fmt: skip
def test_softplus_slices_and_log_softmax(forward, wrong, right, mistake):
    row = list(judged(wrong + "\n", forward).values())[-1]
    assert (row.diagnosis.mistake, row.diagnosis.correction) == (mistake, right)
    assert list(judged(right + "\n", forward).values())[-1].verdict == "correct"
