"""Gradients are functions too: derivatives of derivatives, Jacobians, and a Newton step."""

import numpy as np

import tinygrad_edu as tg

cube = tg.grad(lambda x: x**3)
print("x³ at 2, derivatives:", cube(2.0), tg.grad(cube)(2.0), tg.grad(tg.grad(cube))(2.0))
assert (cube(2.0), tg.grad(cube)(2.0)) == (12.0, 12.0)

print("softmax's Jacobian:\n", tg.jacobian(tg.softmax)(np.array([1.0, 2.0, 3.0])).round(4))


def valley(p):
    """Smallest, with value 0, at (1, 2)."""
    return (p[0] - 1) ** 4 + (p[0] - 1) ** 2 + 3 * (p[1] - 2) ** 2


p = np.array([3.0, -1.0])
for _ in range(8):
    p = p - np.linalg.solve(tg.hessian(valley)(p), tg.grad(valley)(p))
print("Newton's method ends at", p)
np.testing.assert_allclose(p, [1, 2], atol=1e-6)
