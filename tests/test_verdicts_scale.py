"""m is known by where a number comes from, never by its value; parameters have one scale."""

import numpy as np
import pytest
from test_verdicts import verdicts

import tinygrad_edu as tg
from tinygrad_edu.sheets.sheet import Sheet

# --- a number that happens to be a length ---------------------------------------------------------

#: Nets in which a number in front of the sum equals a length, with a right first line, then one
#: twice too large, and the gradient of the parameters computed from it.
NUMBERS = {
    "half, two units": (
        "X: (3, 7)\nY: (2, 7)\nW: (2, 3)\nZ = W @ X\nJ = 0.5 * np.sum((Z - Y)**2)\n",
        "dZ = 2 * (Z - Y)", "dW = dZ @ X.T",
    ),
    "a quarter, four units": (
        "X: (3, 7)\nY: (4, 7)\nW: (4, 3)\nZ = W @ X\nJ = 0.25 * np.sum((Z - Y)**2)\n",
        "dZ = 2 * (Z - Y)", "dW = dZ @ X.T",
    ),
    "divided by two, two units": (
        "X: (3, 7)\nY: (2, 7)\nW: (2, 3)\nZ = W @ X\nJ = np.sum((Z - Y)**2) / 2\n",
        "dZ = 2 * (Z - Y)", "dW = dZ @ X.T",
    ),
    "divided by as many as there are examples": (
        "X: (3, 7)\nY: (2, 7)\nW: (2, 3)\nZ = W @ X\nJ = np.sum((Z - Y)**2) / 7\n",
        "dZ = 2 * (Z - Y)", "dW = dZ @ X.T",
    ),
    "two examples": (
        "X: (3, 2)\nY: (4, 2)\nW: (4, 3)\nb: (4, 1)\nZ = W @ X + b\nJ = 0.5 * np.sum((Z - Y)**2)\n",
        "dZ = 2 * (Z - Y)", "dW = dZ @ X.T",
    ),
    "examples as rows": (
        "X: (7, 3)\nY: (7, 2)\nW: (3, 2)\nb: (2,)\nZ = X @ W + b\nJ = 0.5 * np.sum((Z - Y)**2)\n",
        "dZ = 2 * (Z - Y)", "dW = X.T @ dZ",
    ),
    "single numbers": (
        "x: (2,)\ny: (2,)\nw: ()\nz = w * x\nJ = 0.5 * np.sum((z - y)**2)\n",
        "dz = 2 * (z - y)", "dw = np.sum(dz * x)",
    ),
    "three layers": (
        "X: (3, 7)\nY: (2, 7)\nW1: (4, 3)\nW2: (5, 4)\nW3: (2, 5)\nZ1 = W1 @ X\nA1 = np.tanh(Z1)\n"
        "Z2 = W2 @ A1\nA2 = np.tanh(Z2)\nZ3 = W3 @ A2\nJ = 0.5 * np.sum((Z3 - Y)**2)\n",
        "dZ3 = 2 * (Z3 - Y)", "dW3 = dZ3 @ A2.T",
    ),
    "attention": (
        "X: (5, 4)\nT: (5, 2)\nQ: (4, 3)\nK: (4, 3)\nV: (4, 2)\n"
        "S = softmax(X @ Q @ (X @ K).T, axis=1)\nH = X @ V\nO = S @ H\n"
        "J = 0.5 * np.sum((O - T)**2)\n",
        "dO = 2 * (O - T)", "dV = X.T @ S.T @ dO",
    ),
    "a mean over the units only": (
        "X: (3, 7)\nY: (2, 7)\nW: (2, 3)\nZ = W @ X\nJ = np.sum(np.mean((Z - Y)**2, axis=0))\n",
        "dZ = 2 * (Z - Y)", "dW = dZ @ X.T",
    ),
    "a penalty's factor": (
        "lam = 0.5\nX: (3, 7)\nY: (2, 7)\nW: (2, 3)\nZ = W @ X\nJ = lam * np.sum((Z - Y)**2)\n",
        "dZ = 2 * (Z - Y)", "dW = dZ @ X.T",
    ),
}  # fmt: skip


@pytest.mark.parametrize("forward, above, parameter", NUMBERS.values(), ids=NUMBERS)
def test_a_gradient_twice_too_large_is_wrong_whatever_number_the_cost_is_multiplied_by(
    forward, above, parameter
):
    report = tg.check_sheet(Sheet(f"{forward}{above}\n{parameter}\n"))
    assert report.convention == "calculus"
    assert [row.verdict for row in report.rows] == ["wrong", "follows"]


@pytest.mark.parametrize("forward, above, parameter", NUMBERS.values(), ids=NUMBERS)
def test_the_lectures_scale_does_not_exist_where_nothing_is_averaged(forward, above, parameter):
    with pytest.raises(tg.GradError, match="needs m"):
        tg.check_sheet(Sheet(f"{forward}{above}\n{parameter}\n"), convention="lecture")
    assert Sheet(forward).derive(convention="lecture").convention == "calculus"


@pytest.mark.parametrize("factor", [0.5, 0.25])
@pytest.mark.parametrize("units", [2, 4])
@pytest.mark.parametrize("needs", [True, False])
def test_in_a_graph_a_half_and_a_quarter_are_no_lengths_either(factor, units, needs):
    _, y, _, z = net(7, units, needs)
    cost = factor * np.sum((z - y) ** 2)
    wrong = {
        "dZ": lambda Z, Y: units * 2 * factor * (Z - Y),
        "dW": lambda dZ, X: dZ @ X.T,
    }
    comparison = tg.compare(cost, wrong)
    assert comparison.convention == "calculus"
    assert [row.verdict for row in comparison.rows] == ["wrong", "follows"]


# --- m found --------------------------------------------------------------------------------------

COLUMNS = "X: (3, m)\nY: (2, m) = binary\nW: (2, 3)\nb: (2, 1)\nZ = W @ X + b\nA = sigmoid(Z)\n"
LOSS = "np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))"
MEANS = {
    "sum / m": f"J = -{LOSS} / m",
    "a product with 1/m": f"J = -1/m * {LOSS}",
    "a name for 1/m": f"inv = 1 / m\nJ = -inv * {LOSS}",
    "another name for m": f"n = m\nJ = -{LOSS} / n",
    "a shape": f"J = -{LOSS} / X.shape[1]",
    "the last of a shape": f"J = -{LOSS} / Y.shape[-1]",
    "a named shape": f"n = Y.shape[1]\nJ = -(1.0 / n) * {LOSS}",
    "both of a shape": f"k, n = Y.shape\nJ = -{LOSS} / n",
    "a computed quantity's shape": f"J = -{LOSS} / Z.shape[1]",
    "np.shape": f"J = -{LOSS} / np.shape(X)[1]",
    "len": f"Xt = X.T\nJ = -{LOSS} / len(Xt)",
    "a cast": f"J = -{LOSS} / float(m)",
    "np.divide": f"J = -np.divide({LOSS}, m)",
    "np.multiply": f"J = np.multiply(-1 / m, {LOSS})",
    "half a mean": f"J = -{LOSS} / (2 * m)",
    "a mean of sums": "J = -np.mean(np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A), axis=0))",
    "a factor before the mean": f"T = 3.0\nJ = -T**2 * {LOSS} / m",
    "a penalty": f"lam = 0.3\nJ = -{LOSS} / m + lam / (2 * m) * np.sum(W**2)",
    "in two steps": f"L = -{LOSS}\nJ = L / m",
    "squeezed": f"cost = -1/m * {LOSS}\nJ = np.squeeze(cost)",
}


@pytest.mark.parametrize("cost", MEANS.values(), ids=MEANS)
@pytest.mark.parametrize("m", [2, 3, 7])
def test_m_is_found_however_the_mean_is_written(cost, m):
    sheet = Sheet(f"m = {m}\n{COLUMNS}{cost}\ndZ = A - Y\n")
    report = tg.check_sheet(sheet, convention="lecture")
    assert report.m == m
    derived = sheet.derive(wrt="Z,W,b", convention="lecture")
    assert derived.convention == "lecture"
    assert [rule.scale != "" for rule in derived.rules] == [True, False, False]


PRODUCTS = {
    "a product over the examples": (
        "m = 7\nX: (3, m)\nY: (1, m) = binary\nW: (1, 3)\nZ = W @ X\nA = sigmoid(Z)\n"
        "J = -1/m * np.dot(Y, np.log(A).T) - 1/m * np.dot(1 - Y, np.log(1 - A).T)\n",
        "dZ = A - Y\ndW = dZ @ X.T / m\n", 7,
    ),
    "a mean without biases": (
        "X: (3, 5)\nY: (1, 5) = binary\nW: (1, 3)\nZ = W @ X\nA = sigmoid(Z)\n"
        "J = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))\n",
        "dZ = A - Y\ndW = dZ @ X.T / X.shape[1]\n", 5,
    ),
    "a mean over rows without biases": (
        "X: (6, 3)\nT: (6, 1)\nW: (3, 1)\nZ = X @ W\nJ = np.mean((Z - T)**2)\n",
        "dZ = 2 * (Z - T)\ndW = X.T @ dZ / 6\n", 6,
    ),
    "a mean of a deep net without biases": (
        "X: (3, 6)\nY: (1, 6)\nW1: (4, 3)\nW2: (1, 4)\nZ1 = W1 @ X\nA1 = np.tanh(Z1)\n"
        "Z2 = W2 @ A1\nJ = 0.5 * np.mean((Z2 - Y)**2)\n",
        "dZ2 = Z2 - Y\ndW2 = dZ2 @ A1.T / 6\n"
        "dZ1 = W2.T @ dZ2 * (1 - A1**2)\ndW1 = dZ1 @ X.T / 6\n", 6,
    ),
    "a mean of single numbers": (
        "x: (5,)\ny: (5,)\nw: ()\nz = w * x\nJ = np.mean((z - y)**2)\n",
        "dz = 2 * (z - y)\ndw = np.mean(dz * x)\n", 5,
    ),
    "a softmax": (
        "n = 6\nX: (n, 3)\nY: (n, 4) = onehot(axis=1)\nW: (3, 4)\nZ = X @ W\n"
        "P = softmax(Z, axis=1)\nJ = -np.mean(np.sum(Y * np.log(P), axis=1))\n",
        "dZ = P - Y\ndW = X.T @ dZ / n\n", 6,
    ),
    "a temperature": (
        "m = 7\nT = 3.0\nX: (3, m)\nY: (4, m) = onehot(axis=0)\nW: (4, 3)\nZ = W @ X\n"
        "P = softmax(Z / T, axis=0)\nJ = -T**2 * np.sum(Y * np.log(P)) / m\n",
        "dZ = T * (P - Y)\ndW = dZ @ X.T / m\n", 7,
    ),
}  # fmt: skip


@pytest.mark.parametrize("forward, claims, m", PRODUCTS.values(), ids=PRODUCTS)
def test_a_right_derivation_in_the_lectures_scale_is_right_without_biases_too(forward, claims, m):
    report = tg.check_sheet(Sheet(forward + claims), convention="lecture")
    assert report.m == m
    assert {row.verdict for row in report.rows} == {"correct"}
    assert tg.check_sheet(Sheet(forward + claims)).ok
    spoilt = verdicts(forward + claims.rstrip() + " * 2\n")
    assert list(spoilt.values())[-1] == "wrong"


def test_a_cost_divided_by_two_different_lengths_of_data_is_in_calculus_scale_only():
    text = (
        "m = 5\nn = 4\nX: (3, m)\nY: (1, m)\nX2: (3, n)\nY2: (1, n)\nW: (1, 3)\n"
        "Z = W @ X\nV = W @ X2\nJ = np.sum((Z - Y)**2) / m + np.sum((V - Y2)**2) / n\n"
        "dZ = 2 * (Z - Y) / m\n"
    )
    assert tg.check_sheet(Sheet(text)).convention == "calculus"
    with pytest.raises(tg.GradError, match="needs m"):
        tg.check_sheet(Sheet(text), convention="lecture")


def test_a_mean_that_is_multiplied_by_m_again_is_a_sum():
    text = f"m = 5\n{COLUMNS}J = -m * np.mean(np.sum((A - Y)**2, axis=0))\ndZ = A\n"
    with pytest.raises(tg.GradError, match="needs m"):
        tg.check_sheet(Sheet(text), convention="lecture")


# --- m given --------------------------------------------------------------------------------------

LITERAL = "X: (3, 7)\nY: (2, 7)\nW: (2, 3)\nZ = W @ X\nJ = np.sum((Z - Y)**2) / 7\n"


def test_m_may_be_given_where_the_sheet_does_not_tell():
    sheet = Sheet(LITERAL + "dZ = 2 * (Z - Y)\ndW = dZ @ X.T / 7\n")
    assert tg.check_sheet(sheet).convention == "calculus"
    report = tg.check_sheet(sheet, m=7)
    assert (report.convention, report.m) == ("lecture", 7)
    assert report.ok
    assert str(sheet.derive(m=7)).startswith("dZ = 2 ∗ (Z − Y)")
    assert not any(report.rows[i].note for i in (0, 1))


def test_m_is_an_option_of_the_command_line(tmp_path, capsys):
    from tinygrad_edu.cli import main

    path = tmp_path / "net.sheet"
    path.write_text(LITERAL + "dZ = 2 * (Z - Y)\ndW = dZ @ X.T / 7\n")
    assert main(["check", str(path), "--m", "7", "--convention", "lecture"]) == 0
    assert "lecture's scale, m = 7" in " ".join(capsys.readouterr().out.split())
    assert main(["derive", str(path), "--m", "7"]) == 0
    assert "dW = (1/m) dZ Xᵀ" in capsys.readouterr().out
    assert main(["check", str(path), "--convention", "lecture"]) == 2


# --- which line is in which scale -----------------------------------------------------------------

DATA = f"m = 5\n{COLUMNS}J = -{LOSS} / m\n"


def test_given_data_may_be_in_either_scale_and_the_line_and_the_title_say_so():
    claims = "dZ = A - Y\ndX = W.T @ dZ{}\ndW = dZ @ X.T / m\n"
    report = tg.check_sheet(Sheet(DATA + claims.format("")))
    assert (report.ok, report.title) == (True, "sheet: lecture's scale, m = 5")
    report = tg.check_sheet(Sheet(DATA + claims.format(" / m")))
    assert report.ok
    assert report.title == "sheet: lecture's scale, m = 5 (but for dX: see the notes)"
    assert "calculus' scale" in next(row for row in report.rows if row.name == "dX").note


@pytest.mark.parametrize("name, claim", [
    ("W", "dW = dZ @ X.T"), ("b", "db = np.sum(dZ, axis=1, keepdims=True)"),
    ("C", "dC = dZ"), ("H", "dH = dZ"),
])  # fmt: skip
def test_a_parameter_never_has_two_scales(name, claim):
    forward = DATA.replace("Z = W", f"{name}: (2, m)\nZ = {name} + W" if name in "CH" else "Z = W")
    found = verdicts(f"{forward}dZ = A - Y\n{claim}\n", convention="lecture")
    assert found == {"dZ": "correct", f"d{name}": "wrong"}
    assert (
        verdicts(f"{forward}dZ = A - Y\n{claim} / m\n", convention="lecture")[f"d{name}"]
        == "correct"
    )


def test_in_calculus_scale_data_have_one_scale_too():
    found = verdicts(DATA + "dZ = (A - Y) / m\ndX = W.T @ dZ * m\n", convention="calculus")
    assert found == {"dZ": "correct", "dX": "wrong"}


def test_a_title_says_which_lines_are_in_another_scale():
    report = tg.check_sheet(Sheet(DATA + "dZ = A - Y\ndW = dZ @ X.T / m\n"), convention="calculus")
    assert report.ok
    assert report.title == "sheet: calculus' scale (but for dZ: see the notes)"


# --- graphs of Values -----------------------------------------------------------------------------


def net(m=5, units=2, needs=False):
    rng = np.random.default_rng(m)
    x = tg.Value(rng.normal(size=(3, m)), "X", requires_grad=needs)
    y = tg.Value(rng.normal(size=(units, m)), "Y", requires_grad=needs)
    w = tg.Value(rng.normal(size=(units, 3)), "W")
    z = w @ x
    z.name = "Z"
    return x, y, w, z


@pytest.mark.parametrize("mean", [
    lambda e, m: np.sum(e) / m, lambda e, m: np.sum(e) / (2 * m), lambda e, m: 1 / m * np.sum(e),
    lambda e, m: 0.5 * np.sum(e) / m, lambda e, m: 9.0 * np.sum(e) / m,
])  # fmt: skip
@pytest.mark.parametrize("needs", [True, False])
def test_in_a_graph_a_whole_number_that_data_share_is_taken_for_m_and_it_is_said(mean, needs):
    _, y, w, z = net(needs=needs)
    cost = mean((z - y) ** 2, 5)
    cost.backward()
    comparison = tg.compare(cost, {"dZ": 5 * z.grad, "dW": w.grad}, convention="lecture")
    assert comparison.ok
    said = "taken from the number {} the cost is divided by, the length that X and Y share"
    assert any(said.format(d) in comparison.title for d in (5, 10))
    assert tg.compare(cost, {"dZ": z.grad}).convention == "calculus"


@pytest.mark.parametrize("number", [2, 3, 4, 6, 10.5])
def test_in_a_graph_another_number_is_not_m(number):
    _, y, w, z = net()
    cost = np.sum((z - y) ** 2) / number
    with pytest.raises(tg.GradError, match="needs m"):
        tg.compare(cost, {"dW": w.data}, convention="lecture")


@pytest.mark.slow
def test_in_a_graph_a_mean_is_known_and_nothing_is_assumed():
    _, y, w, z = net()
    cost = tg.mean(np.sum((z - y) ** 2, axis=0))
    comparison = tg.compare(cost, {"dW": w.data}, convention="lecture")
    assert comparison.m == 5
    assert comparison.title == "lecture's scale, m = 5: dZ is of the sum of losses, dW of J"
