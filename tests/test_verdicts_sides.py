"""Every side of every max, min, clip, absolute value and comparison is visited, or named."""

import pytest
from test_verdicts import judged, verdicts

import tinygrad_edu as tg
from tinygrad_edu.checking.samples import samples_of
from tinygrad_edu.checking.sides import seek
from tinygrad_edu.sheets.account import JUDGING, Account
from tinygrad_edu.sheets.sheet import Sheet

NET = "X: (3, 5)\nT: (2, 5)\nW: (2, 3)\nZ = W @ X\n"
COST = "J = np.sum((A - T)**2)\ndA = 2 * (A - T)\n"

#: Forward lines with a side that random numbers hardly reach; a line right on both, one on one.
FAR = {
    "the upper side of ReLU6": (
        f"{NET}A = np.minimum(np.maximum(Z, 0), 6)\n{COST}",
        "dZ = dA * (Z > 0) * (Z < 6)", "dZ = dA * (Z > 0)",
    ),
    "a clip at eight": (
        f"{NET}A = np.clip(Z, -8, 8)\n{COST}", "dZ = dA * (np.abs(Z) < 8)", "dZ = dA * (Z < 8)",
    ),
    "a clip at eighty": (
        f"{NET}A = np.clip(Z, -80, 80)\n{COST}", "dZ = dA * (np.abs(Z) < 80)", "dZ = dA",
    ),
    "Huber's loss": (
        f"{NET}R = Z - T\nJ = np.sum(np.where(np.abs(R) < 10, 0.5 * R**2, 10 * (np.abs(R) - 5)))\n",
        "dZ = np.clip(R, -10, 10)", "dZ = R",
    ),
    "a hinge": (
        f"{NET}J = np.sum(np.maximum(0, 20 - Z))\n", "dZ = -1.0 * (Z < 20)", "dZ = 0 * Z - 1.0",
    ),
    "a distance from afar": (
        f"{NET}J = np.sum(np.abs(Z - 25))\n", "dZ = np.sign(Z - 25)", "dZ = 0 * Z - 1",
    ),
    "a mask": (
        f"{NET}A = Z * (Z < 15)\n{COST}", "dZ = dA * (Z < 15)", "dZ = dA",
    ),
    "of two quantities the larger": (
        f"{NET}B = Z - 12\nC = np.maximum(np.tanh(Z), B)\nJ = np.sum(C * T)\ndC = T\n",
        "dZ = dC * np.where(np.tanh(Z) > B, 1 - np.tanh(Z)**2, 1)", "dZ = dC * (1 - np.tanh(Z)**2)",
    ),
    "examples as rows": (
        "X: (5, 3)\nT: (5, 2)\nW: (3, 2)\nb: (2,)\nZ = X @ W + b\nA = np.minimum(Z, 9)\n" + COST,
        "dZ = dA * (Z < 9)", "dZ = dA",
    ),
    "single numbers": (
        "w: ()\nx = 1.3\nz = w * x\na = np.minimum(z, 7)\nJ = a**2\nda = 2 * a\n",
        "dz = da * (z < 7)", "dz = da",
    ),
    "the third layer": (
        "X: (3, 5)\nT: (2, 5)\nW1: (4, 3)\nW2: (4, 4)\nW3: (2, 4)\nZ1 = W1 @ X\n"
        "A1 = np.maximum(0, Z1)\nZ2 = W2 @ A1\nA2 = np.tanh(Z2)\nZ = W3 @ A2\n"
        "A = np.maximum(Z, -7)\n" + COST,
        "dZ = dA * (Z > -7)", "dZ = dA",
    ),
}  # fmt: skip


@pytest.mark.parametrize("forward, right, wrong", FAR.values(), ids=FAR)
@pytest.mark.one_in(4)
def test_a_line_right_on_the_near_side_only_is_wrong(forward, right, wrong):
    rows = judged(f"{forward}{right}\n")
    assert {row.verdict for row in rows.values()} == {"correct"}
    assert not any(row.note for row in rows.values())
    rows = judged(f"{forward}{wrong}\n")
    assert list(rows.values())[-1].verdict == "wrong"


def test_a_line_right_on_its_own_numbers_only_says_so():
    row = judged(f"{NET}A = np.clip(Z, -9, 9)\n{COST}dZ = dA\n")["dZ"]
    assert row.verdict == "wrong"
    assert "own numbers" in row.note


UNREACHABLE = {
    "what is never below 0": (f"{NET}A = np.abs(Z**2)\n{COST}", "dZ = dA * 2 * Z", "below 0"),
    "a tanh above 3": (
        f"{NET}B = np.tanh(Z)\nA = np.minimum(B, 3)\n{COST}", "dB = dA", "B above 3",
    ),
    "probabilities above 2": (
        f"{NET}P = softmax(Z, axis=0)\nA = np.clip(P, 0.2, 2)\n{COST}", "dP = dA * (P > 0.2)",
        "P above 2",
    ),
    "a sigmoid below -1": (
        f"{NET}S = sigmoid(Z)\nA = np.maximum(S, -1)\n{COST}", "dS = dA", "S below -1",
    ),
    "a sum of squares below 0": (
        "X: (3, 5)\nT: (5,)\nW: (2, 3)\nZ = W @ X\nN = np.sum(Z**2, axis=0)\n"
        "A = np.where(N < -1, 3 * N, N)\n" + COST,
        "dN = dA", "N below -1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("forward, claim, said", UNREACHABLE.values(), ids=UNREACHABLE)
def test_a_side_that_no_numbers_reach_is_named_in_a_note(forward, claim, said):
    rows = judged(f"{forward}{claim}\n")
    assert {row.verdict for row in rows.values()} == {"correct"}
    note = list(rows.values())[-1].note
    assert said in note
    assert "is not checked" in note
    assert rows["dA"].note is None


def test_a_side_without_a_claim_near_it_is_named_among_the_remarks():
    report = tg.check_sheet(Sheet(f"{NET}A = np.abs(Z**2)\n{COST}"))
    assert report.ok
    assert any("that side of absolute is not checked" in remark for remark in report.remarks)


@pytest.mark.parametrize("guard", [
    "np.log(np.clip(A, 1e-7, 1 - 1e-7))", "np.log(np.maximum(A, 1e-8))", "np.log(A + 1e-8)",
    "np.log(np.clip(A, 1e-10, 1))",
])  # fmt: skip
def test_limits_for_safety_are_no_sides(guard):
    text = (
        "m = 5\nX: (3, m)\nY: (4, m) = onehot(axis=0)\nW: (4, 3)\nZ = W @ X\n"
        f"A = softmax(Z, axis=0)\nJ = -np.sum(Y * {guard}) / m\ndZ = A - Y\ndW = dZ @ X.T / m\n"
    )
    assert verdicts(text) == {"dZ": "correct", "dW": "correct"}


def test_nothing_is_sought_where_every_side_is_taken():
    sheet = Sheet(f"{NET}A = np.maximum(0, Z)\n{COST}dZ = dA * (Z > 0)\n")
    samples, _ = samples_of(sheet, Account(JUDGING))
    assert seek(sheet, samples, Account(JUDGING)) == ([], [])
    sheet = Sheet(f"{NET}A = np.maximum(9, Z)\n{COST}dZ = dA * (Z > 9)\n")
    found, unreached = seek(sheet, samples_of(sheet, Account(JUDGING))[0], Account(JUDGING))
    assert unreached == []
    assert any((point.plain["Z", 0] > 9).any() for point in found)


def test_what_is_given_as_data_may_bound_a_quantity():
    text = f"U: (2, 5) = uniform(30, 40)\n{NET}A = np.minimum(Z, U)\n{COST}"
    assert verdicts(text + "dZ = dA * (Z < U)\n")["dZ"] == "correct"
    assert verdicts(text + "dZ = dA\n")["dZ"] == "wrong"
