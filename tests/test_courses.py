"""Exercises of other courses, each as a sheet: judged right and wrong, derived, drawn."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.sweep import reachable
from tinygrad_edu.sheets.sheet import Sheet

#: Forward lines, lines that are right, lines of which the last is wrong.
EXERCISES = {
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
    "the Jacobian of softmax": (
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
    "GELU": (
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
}


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.one_in(3)
def test_an_exercise_is_judged_derived_and_drawn(name):
    forward, right, wrong = EXERCISES[name]
    report = tg.check_text(forward + right)
    assert report.ok, str(report)
    assert tg.check_text(forward + wrong).to_json()["rules"][-1]["verdict"] == "wrong"

    sheet = Sheet(forward + right)
    derivation = sheet.derive(None, "calculus")
    sheet.cost.backward()
    leaves = {v.name: v for v in leaves_of(sheet.cost)}
    scope = {}
    exec(derivation.to_numpy(), scope)
    taken = scope["gradients"].__code__
    given = {k: v.data for k, v in leaves.items() if k in taken.co_varnames[: taken.co_argcount]}
    _, found = scope["gradients"](**given)
    claimed = [line.split("=")[0].strip() for line in right.splitlines() if line]
    for d in claimed:
        if d[1:] in leaves and d in found:
            np.testing.assert_allclose(found[d], leaves[d[1:]].grad, rtol=1e-7, atol=1e-9)
    picture = tg.draw(sheet.cost)
    assert picture.source.count("->") >= 2
    assert picture.pipe(format="svg")


def leaves_of(cost):
    """The arrays a cost was computed from."""
    return [node for node in reachable(cost, every=True) if node.op is None and node.ndim]
