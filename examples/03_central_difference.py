"""What a derivative is: one weight moved by ε and −ε; then all at once by backward; an update."""

import numpy as np

import tinygrad_edu as tg

x, y = np.array([0.5, -1.0, 2.0]), 1.0


def loss(w, b):
    """The cross-entropy of one logistic unit, on numbers and on Values alike."""
    return tg.binary_cross_entropy(tg.sigmoid(w @ x + b), y)


w, b = tg.Value([0.1, 0.2, -0.3], "w"), tg.Value(0.4, "b")
loss(w, b).backward()
dw, db = tg.numerical_gradient(loss, w.data, b.data)
print("automatic          dw =", w.grad, " db =", b.grad)
print("central difference dw =", dw, " db =", db)
np.testing.assert_allclose(w.grad, dw, rtol=1e-6)

# One update: the loss falls.
before = loss(w, b).item()
w.data -= 0.5 * w.grad
b.data -= 0.5 * b.grad
print(f"loss {before:.4f} → {loss(w, b).item():.4f}")
assert loss(w, b).item() < before
