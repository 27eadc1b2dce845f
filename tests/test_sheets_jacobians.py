"""Sheets that derive a Jacobian or a second derivative: judged, diagnosed, read by other lines."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.classroom.blanks import blank
from tinygrad_edu.sheets.sheet import Sheet
from tinygrad_edu.sheets.syntax import SheetError

SOFTMAX = """
z: (4,)
g: (4,)
p = np.exp(z) / np.sum(np.exp(z))
J = np.sum(g * p)
dp = g
D: jacobian(p, z) = {line}
dz = D.T @ dp
"""
NEWTON = """
m = 6
X: (m, 3)
y: (m,) = binary
w: (3,)
p = sigmoid(X @ w)
J = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
dw = X.T @ (p - y) / m
H: jacobian(dw, w) = X.T @ (X * (p * (1 - p))[:, None]) / m
step = np.linalg.solve(H, dw)
w = w - step
"""


def said(text):
    return {row.name: row.verdict for row in tg.check_text(text).rows}


@pytest.mark.parametrize("line", [
    "np.diag(p) - np.outer(p, p)",
    "np.diag(p) - p[:, None] @ p[None, :]",
    "p[:, None] * (np.eye(4) - p)",
])  # fmt: skip
def test_the_jacobian_of_softmax_is_right_however_it_is_written(line):
    assert said(SOFTMAX.format(line=line)) == {"dp": "correct", "D": "correct", "dz": "correct"}


@pytest.mark.parametrize("line, mistake, correction", [
    ("np.diag(p * (1 - p))", "softmax_jacobian_diagonal_only", None),
    ("p * (1 - p)", "softmax_jacobian_diagonal_only", None),
    ("np.outer(p, p) - np.diag(p)", "sign", "D = -(np.outer(p, p) - np.diag(p))"),
    ("2 * (np.diag(p) - np.outer(p, p))", "constant_factor",
     "D = (2 * (np.diag(p) - np.outer(p, p))) / 2"),
    ("np.diag(p) - p[0]", "other", None),
    ("np.ones((2, 3))", "other", None),
])  # fmt: skip
def test_a_wrong_jacobian_is_named_and_what_reads_it_follows(line, mistake, correction):
    report = tg.check_text(SOFTMAX.format(line=line))
    rows = {row.name: row for row in report.rows}
    assert rows["D"].verdict == "wrong"
    assert rows["D"].diagnosis.mistake == mistake
    assert rows["D"].diagnosis.correction == correction
    assert rows["D"].expected_shape == (4, 4)
    if rows["D"].shape in ((4, 4), (4,)) and mistake != "constant_factor":
        assert rows["dz"].verdict in ("follows", "wrong")
    if correction:
        assert said(SOFTMAX.format(line=correction.removeprefix("D = ")))["D"] == "correct"


@pytest.mark.parametrize("text, right, wrong", [
    (SOFTMAX.format(line="LINE"), "np.diag(p) - np.outer(p, p)", "np.diag(p)"),
    (NEWTON, "X.T @ (X * (p * (1 - p))[:, None]) / m", "X.T @ X / m"),
    ("x: (3, 1)\nW: (2, 3)\nz = np.tanh(W @ x)\nJ = np.sum(z)\nD: jacobian(z, W) = LINE\n",
     "np.einsum('ij,k->ijk', np.diag(np.ravel(1 - z**2)), x[:, 0])",
     "np.einsum('ij,k->ijk', np.diag(np.ravel(1 - z)), x[:, 0])"),
])  # fmt: skip
def test_a_jacobian_is_compared_with_central_differences_too(text, right, wrong):
    def numerical_error(line):
        report = tg.check_text(text.replace("LINE", right).replace(right, line)).to_json()
        [error] = [r["numerical_error"] for r in report["rules"] if r["name"] in ("D", "H")]
        return error

    assert 0 < numerical_error(right) < 1e-7
    assert 0.1 < numerical_error(wrong)


def test_a_jacobian_the_wrong_way_round_is_told_so():
    text = "z: (4,)\nW: (3, 4)\na = np.tanh(W @ z)\nJ = np.sum(a)\n"
    right, wrong = "(1 - a**2)[:, None] * W", "W.T * (1 - a**2)"
    assert said(f"{text}D: jacobian(a, z) = {right}\n") == {"D": "correct"}
    [row] = tg.check_text(f"{text}D: jacobian(a, z) = {wrong}\n").rows
    assert row.diagnosis.mistake == "missing_transpose"
    assert row.diagnosis.correction == f"D = ({wrong}).T"


def test_the_jacobian_of_columns_is_a_matrix_and_of_matrices_has_all_axes():
    text = "z: (4, 1)\nW: (3, 4)\na = np.tanh(W @ z)\nJ = np.sum(a)\n"
    text += "D: jacobian(a, z) = (1 - a**2) * W\n"
    text += "E: jacobian(a, W) = np.einsum('ij,k->ijk', np.diag(np.ravel(1 - a**2)), z[:, 0])\n"
    report = tg.check_text(text)
    assert [(row.verdict, row.expected_shape) for row in report.rows] == [
        ("correct", (3, 4)), ("correct", (3, 3, 4)),
    ]  # fmt: skip


def test_newtons_step_is_made_of_a_gradient_and_a_second_derivative():
    assert said(NEWTON) == {"dw": "correct", "H": "correct"}
    assert said(NEWTON.replace("(p * (1 - p))", "p")) == {"dw": "correct", "H": "wrong"}
    text = "x: ()\nJ = x**4 - 3 * x**2\ndx = 4 * x**3 - 6 * x\n"
    text += "ddx: jacobian(dx, x) = 12 * x**2 - 6\nx = x - dx / ddx\n"
    assert said(text) == {"dx": "correct", "ddx": "correct"}
    assert said(text.replace("12", "4")) == {"dx": "correct", "ddx": "wrong"}


def test_a_second_derivative_that_reads_a_wrong_gradient_follows():
    text = "x: (3,)\nJ = np.sum(x**3)\ndx = {}\nddx: jacobian(dx, x) = np.diag(2 * dx / x)\n"
    assert said(text.format("3 * x**2")) == {"dx": "correct", "ddx": "correct"}
    assert said(text.format("x**2")) == {"dx": "wrong", "ddx": "follows"}


def test_the_second_derivative_of_a_regression_agrees_with_tg_hessian():
    sheet = Sheet(NEWTON)
    X, y, w = (sheet.numbers[name] for name in "Xyw")

    def cost(w):
        p = tg.sigmoid(X @ w)
        return -tg.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

    p = 1 / (1 + np.exp(-X @ w))
    np.testing.assert_allclose(
        tg.hessian(cost)(w), X.T @ (X * (p * (1 - p))[:, None]) / 6, rtol=1e-9
    )


def test_a_jacobian_is_in_json_and_may_be_all_that_is_claimed():
    text = "z: (2,)\np = softmax(z)\nJ = np.sum(p**2)\nD: jacobian(p, z) = np.diag(p)\n"
    report = tg.check_text(text)
    assert not report.ok
    [rule] = report.to_json()["rules"]
    assert (rule["name"], rule["of"], rule["formula"]) == ("D", "p_dz", "D = np.diag(p)")
    assert not report.remarks
    assert tg.check_text(text.replace("np.diag(p)", "np.diag(p) - np.outer(p, p)")).ok


def test_a_key_with_a_jacobian_is_given_out_without_it():
    text = "z: (2,)\np = softmax(z)\nJ = np.sum(p**2)\ndz = 0 * z\n"
    text += "D: jacobian(p, z) = np.diag(p) - np.outer(p, p)\n"
    assert blank(Sheet(text)).endswith("dz =\nD: jacobian(p, z) =\n")


@pytest.mark.parametrize("line", [
    "D: jacobian(p) = 1", "D: jacobian(p, q) = 1", "D: jacobian(dq, z) = 1",
    "D: jacobian(p, dz) = 1", "D: jacobian(p, 3) = 1", "D: jacobian(p, z)",
])  # fmt: skip
def test_a_jacobian_of_what_is_not_there_says_what_to_write(line):
    report = tg.check_text(f"z: (2,)\np = softmax(z)\nJ = np.sum(p**2)\n{line}\ndz = z\n")
    error = report.rows[0].error
    assert "jacobian(p, z) takes two names" in error or "declared but not derived" in error


@pytest.mark.slow
def test_a_jacobian_too_large_to_be_judged_is_not():
    text = "X: (100, 100)\nA = np.tanh(X)\nJ = np.sum(A)\nD: jacobian(A, X) = 1 - A**2\n"
    [row] = tg.check_text(text).rows
    assert row.verdict == "unchecked"
    assert "smaller sizes" in row.note
    with pytest.raises(SheetError, match="line 4"):  # too much work, though it would fit
        tg.check_text(
            text.replace("(100, 100)", "(1400,)").replace("np.tanh(X)", "X" + " * X" * 99)
        )
