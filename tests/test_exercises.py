"""Exercises of other courses as sheets: derived, drawn, judged with a right and a wrong line."""

from __future__ import annotations

import pytest

import tinygrad_edu as tg
from tinygrad_edu.sheets.sheet import Sheet

#: What is given and the forward lines; a right line, and a wrong one.
EXERCISES = {
    "the trace of a product": (
        "A: (3, 4)\nB: (4, 3)\nJ = np.trace(A @ B)\n", "dA = B.T", "dA = B",
    ),
    "the logarithm of a determinant": (
        "A: (3, 3)\nS = A @ A.T + np.eye(3)\nJ = np.log(np.linalg.det(S))\n",
        "dS = np.linalg.inv(S).T", "dS = np.linalg.inv(S) @ S",
    ),
    "a quadratic form of an inverse": (
        "A: (3, 3)\nv: (3, 1)\nS = A @ A.T + np.eye(3)\nJ = np.sum(v.T @ np.linalg.inv(S) @ v)\n",
        "dS = -np.linalg.inv(S).T @ v @ v.T @ np.linalg.inv(S).T",
        "dS = np.linalg.inv(S).T @ v @ v.T @ np.linalg.inv(S).T",
    ),
    "the Jacobian of softmax": (
        "z: (4,)\np = np.exp(z - np.max(z)) / np.sum(np.exp(z - np.max(z)))\nJ = np.sum(p**2)\n",
        "D: jacobian(p, z) = np.diag(p) - np.outer(p, p)", "D: jacobian(p, z) = np.diag(p)",
    ),
    "a convolution by hand": (
        "x: (6,)\nk: (3,)\ny = np.zeros(4)\n"
        "for i in range(4):\n    y[i] = np.sum(x[i:i + 3] * k)\nJ = np.sum(y**2) / 2\n",
        "dk = np.correlate(x, y)", "dk = np.convolve(x, y)[:3]",
    ),
    "a convolution with padding": (
        "x: (5,)\nk: (3,)\nxp = np.pad(x, 1)\n"
        "y = k[0] * xp[:5] + k[1] * xp[1:6] + k[2] * xp[2:]\nJ = np.sum(y**2) / 2\n",
        "dk = np.array([np.sum(y * xp[:5]), np.sum(y * xp[1:6]), np.sum(y * xp[2:])])",
        "dk = np.array([np.sum(y * xp[2:]), np.sum(y * xp[1:6]), np.sum(y * xp[:5])])",
    ),
    "attention of several heads": (
        "n, h, d = 4, 2, 3\nQ: (n, h, d)\nK: (n, h, d)\nV: (n, h, d)\n"
        "S = np.einsum('ihd,jhd->hij', Q, K) / np.sqrt(d)\n"
        "E = np.exp(S)\nP = E / np.sum(E, axis=2, keepdims=True)\n"
        "O = np.einsum('hij,jhd->ihd', P, V)\nJ = np.sum(O**2) / 2\n",
        "dV = np.einsum('hij,ihd->jhd', P, O)", "dV = np.einsum('hij,jhd->ihd', P, O)",
    ),
    "the forward recursion of CTC": (
        "u: (3, 2)\na = u[0, 0]\nb = u[0, 1]\n"
        "for t in range(1, 3):\n"
        "    b = np.logaddexp(a, b) + u[t, 1]\n    a = a + u[t, 0]\nJ = -np.logaddexp(a, b)\n",
        "db = -1 / (1 + np.exp(a - b))", "db = -1 / (1 + np.exp(b - a))",
    ),
    "GELU": (
        "z: (3, 4)\na = z * (1 + erf(z / np.sqrt(2))) / 2\nJ = np.sum(a)\n",
        "dz = (1 + erf(z / np.sqrt(2))) / 2 + z * np.exp(-z**2 / 2) / np.sqrt(2 * np.pi)",
        "dz = (1 + erf(z / np.sqrt(2))) / 2 + z * np.exp(-z**2 / 2)",
    ),
    "the largest two of each row": (
        "s: (3, 5)\ntop = np.sort(s, axis=1)[:, -2:]\nJ = np.sum(top**2) / 2\n",
        "ds = s * (s >= np.sort(s, axis=1)[:, -2:-1])",
        "ds = s * (s >= np.sort(s, axis=1)[:, -1:])",
    ),
    "a step of Newton's": (
        "b: (3,)\nA: (3, 3)\nx: (3,)\nS = A @ A.T + np.eye(3)\nJ = x @ S @ x / 2 - b @ x\n",
        "H: jacobian(dx, x) = S", "H: jacobian(dx, x) = 2 * S",
    ),
    "hinge loss with signs": (
        "m = 6\nX: (3, m)\ny: (m,) = sign\nw: (3,)\nz = w @ X\n"
        "J = np.mean(np.maximum(0, 1 - y * z))\n",
        "dw = -X @ (y * (y * z < 1)) / m", "dw = -X @ (y * (y * z > 1)) / m",
    ),
    "embedding and cross-entropy": (
        "m = 5\nC: (6, 4)\ni: (m,) = integers(0, 6)\ny: (m,) = integers(0, 4)\n"
        "Z = C[i]\nP = np.exp(Z) / np.sum(np.exp(Z), axis=1, keepdims=True)\n"
        "J = -np.mean(np.log(P[np.arange(m), y]))\n",
        "dZ = (P - np.eye(4)[y]) / m", "dZ = (np.eye(4)[y] - P) / m",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.one_in(3)
def test_the_right_line_is_correct_and_the_wrong_one_is_wrong(name):
    start, right, wrong = EXERCISES[name]
    assert [row.verdict for row in tg.check_text(start + right).rows] == ["correct"]
    [row] = tg.check_text(start + wrong).rows
    assert row.verdict == "wrong"
    assert row.diagnosis is not None


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.one_in(3)
def test_it_is_derived_and_drawn(name):
    sheet = Sheet(EXERCISES[name][0])
    rules = sheet.derive(convention="calculus")
    assert rules.rules
    assert all(f"d{rule.of}" == rule.name and rule.latex for rule in rules)
    assert tg.draw(sheet.cost).source.count("->") >= 2
