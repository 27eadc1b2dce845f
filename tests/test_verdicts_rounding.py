"""Errors are measured against rounding, entry by entry: nothing small is overlooked, and a
gradient that is 0 is right when a line gives 0 as well as numbers can."""

import numpy as np
import pytest
from test_verdicts import judged, verdicts

import tinygrad_edu as tg
from tinygrad_edu.sheets.sheet import Sheet

# --- gradients that are 0 -------------------------------------------------------------------------

BCE = "J = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / m\n"
#: Forward lines, right lines above, right lines for the parameter whose gradient is 0, junk.
ZERO = {
    "a bias before batch normalisation": (
        "m = 7\nX: (3, m)\nY: (4, m) = binary\nW: (4, 3)\nb: (4, 1)\nZ = W @ X + b\n"
        "mu = np.mean(Z, axis=1, keepdims=True)\nv = np.mean((Z - mu)**2, axis=1, keepdims=True)\n"
        "N = (Z - mu) / np.sqrt(v + 1e-5)\nA = sigmoid(N)\n" + BCE,
        "dN = A - Y\ndZ = (dN - np.mean(dN, axis=1, keepdims=True)"
        " - N * np.mean(dN * N, axis=1, keepdims=True)) / np.sqrt(v + 1e-5)\n",
        ["np.sum(dZ, axis=1, keepdims=True) / m", "np.zeros((4, 1))", "0 * b",
         "np.mean(dZ, axis=1, keepdims=True)"],
        ["np.sum(dN, axis=1, keepdims=True) / m", "0.01 * np.ones((4, 1))", "1e-6 * b"],
        "b", "Z",
    ),
    "the same over rows": (
        "n = 6\nX: (n, 3)\nT: (n, 4)\nW: (3, 4)\nb: (4,)\nZ = X @ W + b\n"
        "N = (Z - Z.mean(axis=0)) / np.sqrt(Z.var(axis=0) + 1e-5)\nJ = np.sum((N - T)**2) / n\n",
        "dN = 2 * (N - T)\n"
        "dZ = (dN - dN.mean(axis=0) - N * (dN * N).mean(axis=0)) / np.sqrt(Z.var(axis=0) + 1e-5)\n",
        ["np.sum(dZ, axis=0) / n", "np.zeros(4)"], ["np.sum(dN, axis=0) / n", "1e-7 * b"], "b", "Z",
    ),
    "a shift of logits": (
        "m = 5\nX: (3, m)\nY: (4, m) = onehot(axis=0)\nW: (4, 3)\nb: (1, m)\nZ = W @ X + b\n"
        "P = softmax(Z, axis=0)\nJ = -np.sum(Y * np.log(P))\n",
        "dZ = P - Y\n", ["np.sum(dZ, axis=0, keepdims=True)", "np.zeros((1, m))"],
        ["dZ[0:1]", "np.sum(P, axis=0, keepdims=True)"], "b", "Z",
    ),
    "a bias of the keys": (
        "X: (5, 4)\nT: (5, 2)\nQ: (4, 3)\nM: (4, 3)\nb: (3,)\nV: (4, 2)\nK = X @ M + b\n"
        "S = softmax(X @ Q @ K.T, axis=1)\nO = S @ (X @ V)\nJ = np.sum((O - T)**2)\n",
        "dS = 2 * (O - T) @ (X @ V).T\nG = S * (dS - np.sum(dS * S, axis=1, keepdims=True))\n"
        "dK = G.T @ X @ Q\n",
        ["np.sum(dK, axis=0)", "np.zeros(3)"], ["np.sum(X @ Q, axis=0)", "dK[0]"], "b", "K",
    ),
    "a shift before the mean is taken off": (
        "X: (4, 6)\nT: (4, 6)\nb: (4, 1)\nZ = np.tanh(X) + b\n"
        "C = Z - np.mean(Z, axis=1, keepdims=True)\n"
        "J = np.sum(C**2 * T)\n",
        "dC = 2 * C * T\ndZ = dC - np.mean(dC, axis=1, keepdims=True)\n",
        ["np.sum(dZ, axis=1, keepdims=True)", "np.zeros((4, 1))"],
        ["np.sum(dC, axis=1, keepdims=True)"], "b", "Z",
    ),
    "one number before layer normalisation": (
        "X: (4, 6)\nT: (4, 6)\nb: ()\nZ = 3 * X + b\nmu = np.mean(Z, axis=0, keepdims=True)\n"
        "s = np.sqrt(np.mean((Z - mu)**2, axis=0, keepdims=True))\nN = (Z - mu) / s\n"
        "J = np.sum(N * T)\n",
        "dZ = (T - np.mean(T, axis=0) - N * np.mean(T * N, axis=0)) / s\n",
        ["np.sum(dZ)", "0.0"], ["np.sum(T)", "1e-6"], "b", "Z",
    ),
}  # fmt: skip


@pytest.mark.parametrize("forward, above, right, junk, name, of", ZERO.values(), ids=ZERO)
@pytest.mark.one_in(3)
def test_a_gradient_that_is_0_is_right_when_a_line_gives_0_and_says_why(
    forward, above, right, junk, name, of
):
    for formula in right:
        rows = judged(f"{forward}{above}d{name} = {formula}\n")
        assert {row.verdict for row in rows.values()} == {"correct"}
        note = rows[f"d{name}"].note
        assert "this gradient is 0" in note
        assert f"added to all of {of}" in note
        assert max(row.max_error for row in rows.values()) < 1e-9
        assert max(row.numerical_error for row in rows.values()) < 1e-4
        assert rows[f"d{name}"].numerical_error == 0
        assert [row.note for row in rows.values()].count(None) == len(rows) - 1
    for formula in junk:
        row = judged(f"{forward}{above}d{name} = {formula}\n")[f"d{name}"]
        assert row.verdict == "wrong"
        assert "This gradient is 0" in row.diagnosis.explanation
        correction = row.diagnosis.correction
        assert correction is None or verdicts(f"{forward}{above}{correction}\n") == {
            **verdicts(f"{forward}{above}"), f"d{name}": "correct",
        }  # fmt: skip


@pytest.mark.slow
def test_a_comparison_with_arrays_measures_a_zero_gradient_likewise():
    rng = np.random.default_rng(3)
    x, t = (tg.Value(rng.normal(size=(4, 6)), n, requires_grad=False) for n in "XT")
    b = tg.Value(rng.normal(size=(4, 1)), "b")
    z = x + b
    c = z - tg.mean(z, axis=1, keepdims=True)
    tg.name_values(Z=z, C=c)
    cost = tg.sum(c**2 * t)
    z.backward(seed=np.zeros((4, 6)))
    for right in (np.zeros((4, 1)), tg.compare(cost, {"db": b.data}).rows and 1e-16 * b.data):
        [row] = tg.compare(cost, {"db": right}).rows
        assert (row.verdict, row.numerical_error) == ("correct", 0.0)
        assert row.max_error < 1e-9
    for junk in (1e-6 * np.ones((4, 1)), np.sum((c * t).data, axis=1, keepdims=True)):
        [row] = tg.compare(cost, {"db": junk}).rows
        assert row.verdict == "wrong"
        assert row.numerical_error < 1e6


# --- what is small counts -------------------------------------------------------------------------

SMALL = {
    "a feature of 1 beside one of a million": (
        "m = 5\nU: (3, m)\nx: (1, m)\nT: (2, m)\nW: (2, 4)\nX = np.vstack([5e5 * U, x])\n"
        "Z = W @ X\nJ = np.sum((Z - T)**2) / m\n",
        "dZ = 2 * (Z - T)", "dW = dZ @ X.T / m", "dW = dZ @ np.vstack([5e5 * U, -x]).T / m",
    ),
    "a tiny penalty": (
        "m = 5\nlam = 1e-6\nX: (3, m)\nT: (2, m)\nW: (2, 3)\nZ = W @ X\n"
        "J = np.sum((Z - T)**2) / m + lam * np.sum(W**2)\n",
        "dZ = 2 * (Z - T)", "dW = dZ @ X.T / m + 2 * lam * W", "dW = dZ @ X.T / m",
    ),
    "a tiny penalty's factor": (
        "m = 5\nlam = 1e-6\nX: (3, m)\nT: (2, m)\nW: (2, 3)\nZ = W @ X\n"
        "J = np.sum((Z - T)**2) / m + lam / 2 * np.sum(W**2)\n",
        "dZ = 2 * (Z - T)", "dW = dZ @ X.T / m + lam * W", "dW = dZ @ X.T / m + 2 * lam * W",
    ),
    "rows of very different size": (
        "X: (6, 3)\nT: (6, 2)\nW: (3, 2)\ns: (3, 1) = uniform(1e5, 9e5)\n"
        "R = X * s.T * np.array([1.0, 1.0, 1e-6])\n"
        "Z = R @ W\nJ = np.sum((Z - T)**2)\n",
        "dZ = 2 * (Z - T)", "dW = R.T @ dZ", "dW = R.T @ dZ * np.array([[1.0], [1.0], [-1.0]])",
    ),
    "a gain of 1e-6": (
        "X: (4, 7)\nT: (4, 7)\ng: (4, 1)\nh: (4, 1)\nk = 1e-6\nZ = k * g * X + h\n"
        "J = np.sum((Z - T)**2)\n",
        "dZ = 2 * (Z - T)", "dg = k * np.sum(dZ * X, axis=1, keepdims=True)",
        "dg = -k * np.sum(dZ * X, axis=1, keepdims=True)",
    ),
    "a weak path beside a strong one": (
        "X: (3, 5)\nT: (3, 5)\nW: (3, 3)\nZ = W @ X\nA = np.tanh(Z)\nR = A + 1e-7 * Z\n"
        "J = np.sum((R - T)**2)\n",
        "dR = 2 * (R - T)", "dZ = dR * (1 - A**2) + 1e-7 * dR", "dZ = dR * (1 - A**2)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("forward, above, right, wrong", SMALL.values(), ids=SMALL)
@pytest.mark.one_in(3)
def test_what_is_small_beside_its_neighbours_is_judged_too(forward, above, right, wrong):
    assert set(verdicts(f"{forward}{above}\n{right}\n").values()) == {"correct"}
    found = judged(f"{forward}{above}\n{wrong}\n")
    assert [row.verdict for row in found.values()] == ["correct", "wrong"]
    row = list(found.values())[-1]
    assert row.diagnosis.correction != row.formula
    text = f"{forward}{above}\n{row.diagnosis.correction}\n"
    assert set(verdicts(text).values()) == {"correct"}


@pytest.mark.slow
@pytest.mark.parametrize("dtype, share", [(np.float64, 1e-9), (np.float32, 1e-5)])
@pytest.mark.one_in(2)
def test_arrays_are_judged_as_well_as_their_kind_of_number_allows(dtype, share):
    rng = np.random.default_rng(2)
    x = tg.Value(np.vstack([1e5 * rng.normal(size=(1, 6)), rng.normal(size=(1, 6))]), "X")
    w = tg.Value(rng.normal(size=(3, 2)), "W")
    z = w @ x
    z.name = "Z"
    cost = tg.sum(z * tg.tanh(z * 1e-5))
    cost.backward()
    right = w.grad.astype(dtype)
    assert tg.compare(cost, {"dW": right}).ok
    wrong = right.copy()
    wrong[:, 1] *= -1
    [row] = tg.compare(cost, {"dW": wrong}).rows
    assert row.verdict == "wrong"
    assert tg.compare(cost, {"dW": np.float64(right) * (1 + 0.1 * share)}).ok


def test_numbers_typed_with_a_few_digits_stand_for_those_with_more():
    net = "X: (3, 6)\nT: (2, 6)\nW: (2, 3)\nZ = W @ X\nJ = np.sum((Z - T)**2) / 3\n"
    assert verdicts(net + "dZ = 0.66666667 * (Z - T)\n") == {"dZ": "correct"}
    assert verdicts(net + "dZ = 0.667 * (Z - T)\n") == {"dZ": "wrong"}
    assert verdicts(net + "dZ = 0.66666 * (Z - T)\n")["dZ"] in ("correct", "wrong")
    small = net.replace("/ 3", "* 0.01")
    assert verdicts(small + "dZ = 0.02 * (Z - T)\n") == {"dZ": "correct"}
    assert verdicts(small + "dZ = 0.0200001 * (Z - T)\n") == {"dZ": "wrong"}


# --- saturation -----------------------------------------------------------------------------------

SATURATED = {
    "a sigmoid": ("A = sigmoid(Z + 60)", "dA * A * (1 - A)", "dA * A"),
    "a sigmoid written out": ("A = 1 / (1 + np.exp(-(Z + 60)))", "dA * A * (1 - A)", "0.5 * dA"),
    "a hyperbolic tangent": ("A = np.tanh(Z + 40)", "dA * (1 - A**2)", "dA * (1 + A**2)"),
    "minus a hyperbolic tangent": ("A = np.tanh(Z - 40)", "dA * (1 - A * A)", "dA * A**2"),
    "a far ReLU": (
        "B = np.tanh(Z)\nA = np.maximum(0, B - 9)", "dA * (B > 9) * (1 - B**2)", "dA * (1 - B**2)",
    ),
    "a Gaussian": ("A = np.exp(-(Z**2 + 800))", "dA * A * (-2 * Z)", "-2 * dA * Z"),
}  # fmt: skip
NET = "X: (3, 5)\nT: (2, 5)\nW: (2, 3)\nZ = W @ X\n"
COST = "J = np.sum((A - T)**2)\n"


@pytest.mark.parametrize("forward, right, wrong", SATURATED.values(), ids=SATURATED)
@pytest.mark.one_in(3)
def test_saturation_neither_accuses_nor_forgives_and_is_said(forward, right, wrong):
    net = f"{NET}{forward}\n{COST}dA = 2 * (A - T)\ndZ = "
    rows = judged(f"{net}{right}\ndW = dZ @ X.T\n")
    assert {row.verdict for row in rows.values()} == {"correct"}
    assert [bool(row.note) for row in rows.values()] == [False, True, True]
    assert "cannot tell right from wrong" in rows["dZ"].note
    rows = judged(f"{net}{wrong}\ndW = dZ @ X.T\n")
    assert [row.verdict for row in rows.values()] == ["correct", "wrong", "follows"]


def test_units_that_are_saturated_at_some_numbers_only_are_judged_by_the_others():
    net = (
        "X: (3, 5)\nT: (2, 5)\nW: (2, 3)\nZ = 20 * W @ X\nA = sigmoid(Z)\nJ = np.sum((A - T)**2)\n"
    )
    rows = judged(f"{net}dA = 2 * (A - T)\ndZ = dA * A * (1 - A)\n")
    assert [(row.verdict, row.note) for row in rows.values()] == [("correct", None)] * 2
    assert verdicts(f"{net}dA = 2 * (A - T)\ndZ = 3 * dA * A * (1 - A)\n")["dZ"] == "wrong"


# --- what passes on the sheet's own numbers -------------------------------------------------------

TIE = "m = 5\nX: (4, m)\nT: (m,)\nW: (4, 4)\nZ = W @ X\n"
TIE += "M = np.max(Z, axis=0)\nJ = np.sum((M - T)**2)\n"


def test_where_the_largest_is_chosen_noise_excuses_nothing():
    right = "dM = 2 * (M - T)\ndZ = dM * (Z == M)\n"
    assert set(verdicts(TIE + right).values()) == {"correct"}
    same = right.replace("(Z == M)", "(Z == np.max(W @ X, axis=0))")
    assert set(verdicts(TIE + same).values()) == {"correct"}
    assert verdicts(TIE + right.replace("Z == M", "Z != M"))["dZ"] == "wrong"
    assert verdicts(TIE + same.replace("dM *", "2 * dM *"))["dZ"] == "wrong"


def test_the_terms_of_a_sum_are_what_its_rounding_is_measured_by():
    from tinygrad_edu.checking.rounding import Rounding

    x = tg.Value([3e8, -3e8, 5.0], "x")
    w = tg.Value(2.0, "w")
    cost = tg.sum(w * x)
    size = Rounding(cost).of_gradient(w, 5.0)
    assert 1e-3 * 6e8 < float(size) < 4 * 6e8
    assert np.all(Rounding(cost).of_gradient(x, np.full(3, 2.0)) < 20)
    assert Rounding(cost).of_cost() > 1e6


def test_a_sheet_of_numbers_read_by_load_sheet_is_judged_alike(tmp_path):
    path = tmp_path / "small.sheet"
    forward, above, right, wrong = SMALL["a tiny penalty"]
    path.write_text(f"{forward}{above}\n{wrong}\n")
    assert not tg.check_sheet(path).ok
    path.write_text(f"{forward}{above}\n{right}\n")
    assert tg.check_sheet(path).ok
    assert Sheet(forward).derive(convention="lecture").convention == "lecture"
