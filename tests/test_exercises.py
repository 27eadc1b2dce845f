"""Exercises of other courses as sheets: derived, drawn, judged with right and wrong lines."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.sweep import reachable
from tinygrad_edu.sheets.sheet import Sheet

#: What is given and the forward lines; lines that are right, and lines of which the last is
#: wrong.
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
    "the derivative of a trace": (
        """
A: (3, 4)
X: (4, 3)
J = np.trace(A @ X)
""",
        """
dX = A.T
""",
        """
dX = A
""",
    ),
    "of an inverse": (
        """
A: (3, 3)
B = np.linalg.inv(A @ A.T + np.eye(3))
J = np.trace(B)
""",
        """
dB = np.eye(3)
dA = -2 * B @ B @ A
""",
        """
dB = np.eye(3)
dA = -B @ B @ A
""",
    ),
    "of a determinant": (
        """
A: (3, 3)
J = np.linalg.det(A)
""",
        """
dA = np.linalg.det(A) * np.linalg.inv(A).T
""",
        """
dA = np.linalg.det(A) * np.linalg.inv(A)
""",
    ),
    "the Jacobian of softmax, written out": (
        """
z: (5,)
v: (5,)
p = softmax(z)
J = np.sum(v * p)
""",
        """
dz = (np.diag(p) - np.outer(p, p)) @ v
""",
        """
dz = np.diag(p) @ v
""",
    ),
    "a convolution by hand, with padding": (
        """
X: (6, 5)
K: (3, 3)
P = np.pad(X, 1)
V = sliding_window_view(P, (3, 3))
Z = np.einsum('ijkl,kl->ij', V, K)
J = np.sum(Z**2)
""",
        """
dZ = 2 * Z
dK = np.einsum('ij,ijkl->kl', dZ, V)
dX = np.einsum('ijkl,kl->ij', sliding_window_view(np.pad(dZ, 1), (3, 3)), K[::-1, ::-1])
""",
        """
dZ = 2 * Z
dX = np.einsum('ijkl,kl->ij', sliding_window_view(np.pad(dZ, 1), (3, 3)), K)
""",
    ),
    "attention of several heads by einsum": (
        """
n = 4
h = 2
d = 3
X: (n, h * d)
Wq: (h * d, h * d)
Wk: (h * d, h * d)
Wv: (h * d, h * d)
Q = (X @ Wq).reshape(n, h, d)
K = (X @ Wk).reshape(n, h, d)
V = (X @ Wv).reshape(n, h, d)
S = np.einsum('ihd,jhd->hij', Q, K) / np.sqrt(d)
P = softmax(S, axis=2)
O = np.einsum('hij,jhd->ihd', P, V)
J = np.sum(O**2)
""",
        """
dO = 2 * O
dV = np.einsum('hij,ihd->jhd', P, dO)
dP = np.einsum('ihd,jhd->hij', dO, V)
dS = P * (dP - np.sum(P * dP, axis=2, keepdims=True))
dQ = np.einsum('hij,jhd->ihd', dS, K) / np.sqrt(d)
dWq = X.T @ dQ.reshape(n, h * d)
""",
        """
dO = 2 * O
dV = np.einsum('hij,jhd->ihd', P, dO)
""",
    ),
    "logarithms of sums of paths": (
        """
a: (4,)
b: (4,)
c: (4,)
x = np.logaddexp(a, b) + c
J = np.logaddexp(np.logaddexp(x[0], x[1]), np.logaddexp(x[2], x[3]))
""",
        """
dx = np.exp(x - J)
da = dx * np.exp(a - np.logaddexp(a, b))
""",
        """
dx = np.exp(x - J)
da = dx * np.exp(a - b)
""",
    ),
    "GELU of an affine map": (
        """
x: (6,)
z = gelu(x)
J = np.sum(z**2)
""",
        """
dz = 2 * z
dx = dz * (0.5 * (1 + erf(x / np.sqrt(2))) + x * np.exp(-x**2 / 2) / np.sqrt(2 * np.pi))
""",
        """
dz = 2 * z
dx = dz * 0.5 * (1 + erf(x / np.sqrt(2)))
""",
    ),
    "the largest three by sorting": (
        """
x: (7,)
k = 3
t = np.sort(x)[-k:]
J = np.sum(t**2)
""",
        """
dx = 2 * x * (x >= np.sort(x)[-k])
""",
        """
dx = 2 * x
""",
    ),
    "a step of Newton's method": (
        """
A: (3, 3)
b: (3,)
w: (3,)
H = A @ A.T + np.eye(3)
g = H @ w - b
s = w - np.linalg.solve(H, g)
J = np.sum(s**2)
""",
        """
ds = 2 * s
db = np.linalg.solve(H, ds)
""",
        """
ds = 2 * s
db = -np.linalg.solve(H, ds)
""",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.one_in(6)
def test_the_right_lines_are_correct_and_of_the_wrong_ones_the_last_is_wrong(name):
    start, right, wrong = EXERCISES[name]
    assert {row.verdict for row in tg.check_text(start + right).rows} == {"correct"}
    last = tg.check_text(start + wrong).rows[-1]
    assert last.verdict == "wrong"
    assert last.diagnosis is not None


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.one_in(3)
def test_it_is_derived_and_the_numpy_of_it_gives_the_sweeps_gradients(name):
    sheet = Sheet(EXERCISES[name][0])
    derivation = sheet.derive(convention="calculus")
    assert derivation.rules
    assert all(f"d{rule.of}" == rule.name and rule.latex for rule in derivation)
    sheet.cost.backward()
    leaves = {v.name: v for v in leaves_of(sheet.cost)}
    scope = {}
    exec(derivation.to_numpy(), scope)
    taken = scope["gradients"].__code__
    names = taken.co_varnames[: taken.co_argcount]
    numbers = sheet.values | {k: v.data for k, v in leaves.items()}  # labels are no Values
    given = {k: numbers[k] for k in names if k in numbers}
    _, found = scope["gradients"](**given)
    for d in found.keys() & {f"d{name}" for name in leaves}:
        np.testing.assert_allclose(found[d], leaves[d[1:]].grad, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.one_in(3)
def test_it_is_drawn(name):
    picture = tg.draw(Sheet(EXERCISES[name][0]).cost)
    assert picture.source.count("->") >= 2
    assert picture.pipe(format="svg")


def leaves_of(cost):
    """The arrays a cost was computed from."""
    return [node for node in reachable(cost, every=True) if node.op is None and node.ndim]
