"""What a sheet may say and what it may not: the rest of the vocabulary, word by word."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.sheets.sheet import Sheet
from tinygrad_edu.sheets.syntax import SheetError

X = "x: (3, 4)\nw: (2, 3)\nk: () = integers(2, 3)\n"


def computed(forward):
    """The value of z after the lines of a sheet, and the numbers given."""
    sheet = Sheet(f"{X}{forward}\nJ = np.sum(z * 1.0) + 0 * np.sum(w) + 0 * np.sum(x)\n")
    z = sheet.values["z"]
    return (z.data if isinstance(z, tg.Value) else z), sheet.numbers


@pytest.mark.parametrize("forward, value", [
    ("z = np.float64(x)", lambda w, x: x),
    ("z = x.astype(float)", lambda w, x: x),
    ("z = np.array([x[0], x[1]])", lambda w, x: x[:2]),
    ("z = x * np.array([1, 2, 3, 4], dtype=float)", lambda w, x: x * np.arange(1, 5)),
    ("z = w @ np.eye(3, 4)", lambda w, x: w @ np.eye(3, 4)),
    ("z = x * np.arange(4)", lambda w, x: x * np.arange(4)),
    ("z = x * np.full((3, 4), 2.0)", lambda w, x: 2 * x),
    ("z = x * np.repeat(np.arange(2), 2)", lambda w, x: x * [0, 0, 1, 1]),
    ("z = x * np.tile(np.arange(2), (3, 2))", lambda w, x: x * [0, 1, 0, 1]),
    ("z = x * np.tile(np.arange(2), 2)", lambda w, x: x * [0, 1, 0, 1]),
    ("z = np.broadcast_to(x[0], (5, 4))", lambda w, x: np.broadcast_to(x[0], (5, 4))),
    ("z = np.diag(np.array([1.0, 2.0, 3.0])) @ x", lambda w, x: np.diag([1.0, 2, 3]) @ x),
    ("z = np.diagflat(np.ones((1, 3))) @ x", lambda w, x: x),
    ("z = np.outer(x[0], w[0])", lambda w, x: np.outer(x[0], w[0])),
    ("z = np.outer(np.ones(2), [1.0, 2.0]) @ w", lambda w, x: np.outer([1, 1], [1.0, 2]) @ w),
    ("z = x / np.linalg.norm(x)", lambda w, x: x / np.linalg.norm(x)),
    ("z = leaky_relu(x, alpha=0.2)", lambda w, x: np.where(x > 0, x, 0.2 * x)),
    ("z = x * ~(x > 0)", lambda w, x: x * (x <= 0)),
    ("z = x * np.logical_not(np.array([1, 0, 1, 0]))", lambda w, x: x * [0, 1, 0, 1]),
    ("z = x * ((x > -1) & (x < 1))", lambda w, x: x * (np.abs(x) < 1)),
    ("z = x * ((x > 1) | (x < -1))", lambda w, x: x * (np.abs(x) > 1)),
    ("z = x * ((np.arange(4) > 2) | (np.arange(4) < 1) & (np.arange(4) > -1))",
     lambda w, x: x * [1, 0, 0, 1]),
    ("z = x * 2**k", lambda w, x: 4 * x),
    ("z = x * 2**-1", lambda w, x: x / 2),
    ("z = x * len(w)", lambda w, x: 2 * x),
    ("z = x * len(x.shape)", lambda w, x: 2 * x),
    ("z = x * x.ndim + x.size", lambda w, x: 2 * x + 12),
    ("z = np.zeros(w.shape + (2,))[:, :, 0] + w", lambda w, x: w),
    ("z = [1.0, 2.0, 3.0] @ x", lambda w, x: np.array([1.0, 2, 3]) @ x),
    ("z = +x", lambda w, x: x),
    ("z = x[x > -9].reshape((3, 4))", lambda w, x: x),
    ("z = x * 1\nz[0] = w[0, 0] * x[1]", lambda w, x: np.vstack([w[0, 0] * x[1], x[1:]])),
    ("z = x * pi + np.e", lambda w, x: x * np.pi + np.e),
    ("z = x[:, newaxis, 0]", lambda w, x: x[:, None, 0]),
    ("a, b = x.shape\nz = x * b", lambda w, x: 4 * x),
    ("a, b = x, w\nz = b @ a", lambda w, x: w @ x),
    ("a = 1\na, b = 2, 3\nz = x * a", lambda w, x: 2 * x),
    ("import numpy as np\npass\n'a remark'\nz = x", lambda w, x: x),
    ("z = x * np.sum(np.ones((200, 60)) + np.ones((1, 60)))", lambda w, x: 24000 * x),
])  # fmt: skip
def test_more_of_numpy_means_in_a_sheet_what_it_means_in_numpy(forward, value):
    z, numbers = computed(forward)
    np.testing.assert_allclose(z, value(numbers["w"], numbers["x"]), rtol=1e-12)


@pytest.mark.parametrize("prime, derivative", [
    ("tanh_prime(z)", lambda z: 1 - np.tanh(z) ** 2),
    ("relu_grad(z)", lambda z: (z >= 0) * 1.0),
    ("leaky_relu_derivative(z)", lambda z: np.where(z >= 0, 1, 0.01)),
    ("leaky_relu_derivative(z, 0.3)", lambda z: np.where(z >= 0, 1, 0.3)),
    ("leaky_relu_prime(z, alpha=0.2)", lambda z: np.where(z >= 0, 1, 0.2)),
    ("softmax_prime(z, axis=0)",
     lambda z: (e := np.exp(z) / np.exp(z).sum(axis=0)) * (1 - e)),
])  # fmt: skip
def test_the_derivative_of_an_activation_goes_by_its_name(prime, derivative):
    sheet = Sheet(f"z: (3, 4)\ny = {prime}\nJ = np.sum(y + z)\n")
    y = sheet.values["y"].data
    np.testing.assert_allclose(y, derivative(sheet.numbers["z"]), rtol=1e-12)


@pytest.mark.parametrize("line, says", [
    ("z = np.ones((1500, 1)) * np.ones((1, 1500))", "2250000 entries is larger"),
    ("z = np.ones((1400, 1400)) @ np.ones((1400, 1400))", "computes more than a sheet may"),
    ("z = np.ones((1, 1, 1, 1, 1, 1, 1, 1, 1))", "9 axes are more"),
    ("z = np.array(['a', 'b'])", "holds real numbers"),
    ("z = np.full((2,), 'a')", "computes real numbers"),
    ("z = x.reshape((4, 3), order='F')", "NumPy's own order"),
    ("z = len(3)", "a single number has no length"),
    ("z = x[x]", "floats cannot be an index"),
    ("z = x + None", "None is not a number"),
    ("z = x << 2", "no place in a formula"),
    ("z = x * 99999999999999999999", "this integer is too large"),
    ("z = x * np.nope", "np.nope is not among"),
    ("z = np.sum(*x)", r"\*arguments cannot stand"),
    ("z = np.sum(**x)", r"\*\*arguments cannot stand"),
    ("z = x.nope()", r".nope\(\) is not among"),
    ("z = 1 < x < 2", "one comparison at a time"),
    ("z = 1 if x else 2", "use np.where"),
    ("x.T: (3,)", "a name is needed before the colon"),
    ("x: (3,)", "x is given twice"),
    ("y: (2, 3) in {0, 1}", r"said after =, as in y: \(2, 3\) = binary"),
    ("y: (2,) = normal(1)", r"normal\(\) was given something else"),
    ("y: (2,) = uniform(0, 1, step=2)", "was given something else"),
    ("y: (2, 3) = onehot", "onehot needs axis="),
    ("y: (2,) = uniform(2)", "uniform needs low, high"),
    ("y: (2, 3) = onehot(axis=5)", "fits no shape"),
    ("y: (2, 3) = integers(4, 4)", "fits no shape"),
    ("y: (2,) = uniform(True, 2)", "low is a number"),
    ("y: (2,) = uniform(0, 1e10)", "high is too large"),
    ("x.T = 3", "on the left stands a name"),
    ("x.T += 3", "a name is needed on the left"),
    ("x[0], y = 1, 2", "names are needed on the left"),
    ("x <<= 2", "no place in a sheet"),
    ("yy[0] = 1", "yy is not defined"),
    ("np = 3", "np is the name of a module"),
    ("np.add.at(x, 0)", "keeps it nowhere"),
    ("np.sum(x)", "keeps it nowhere"),
    ("import scipy", "nothing but numpy"),
])  # fmt: skip
def test_what_a_sheet_may_not_say_is_answered_in_words(line, says):
    with pytest.raises(SheetError, match=says) as caught:
        Sheet(f"x: (3, 4)\n{line}\nJ = np.sum(x)\n")
    assert caught.value.line == 2


@pytest.mark.parametrize("text, says", [
    ("x: (3,)\nJ = 1 + 1\n", "does not depend on anything given"),
    ("#" * 200_001, "at most 200000 characters"),
    ("a = 1\n" * 2001, "at most 2000 lines"),
])  # fmt: skip
def test_what_is_no_sheet_at_all_says_why(text, says):
    with pytest.raises(SheetError, match=says):
        Sheet(text)


@pytest.mark.parametrize("below, says", [
    ("delta: dw\n", "delta is declared but not derived"),
    ("dw = np.ones(3)\ndelta: dq = 2\n", "dq is not d"),
])  # fmt: skip
def test_a_claim_under_a_name_of_ones_own_that_claims_nothing_says_why(below, says):
    row = tg.check_text("w: (3,)\nJ = np.sum(w)\n" + below).rows[-1]
    assert row.name == "delta"
    assert says in row.error


def test_a_given_may_be_a_vector_of_one_number_and_a_onehot_vector_needs_no_axis():
    sheet = Sheet("n = 4\nx: n\ny: 3 = onehot\nJ = np.sum(x) * np.sum(y)\n")
    assert sheet.numbers["x"].shape == (4,)
    assert sorted(sheet.numbers["y"]) == [0, 0, 1]


def test_numbers_of_a_fraction_stay_numbers_in_a_derived_rule():
    sheet = Sheet("x: (3,)\nz = 2 * x\nJ = 1 / 2 * np.sum(z**2)\n")
    assert str(sheet.derive("z", "calculus")) == "dz = z"


def test_numbers_that_are_none_or_too_many_are_refused(tmp_path):
    with pytest.raises(SheetError, match="data for x: real numbers are needed"):
        Sheet("x: (2,)\nJ = np.sum(x)\n", "s", {"x": np.array(["a", "b"])})
    (tmp_path / "s.sheet").write_text("x: (2,)\nJ = np.sum(x)\n")
    np.savez_compressed(tmp_path / "s.npz", x=np.zeros(8_000_001))
    with pytest.raises(SheetError, match="64,000,000 are the limit"):
        tg.load_sheet(tmp_path / "s.sheet")
