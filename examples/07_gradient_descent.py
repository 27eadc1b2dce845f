"""The lecture's net trained on real data: is a tumour benign? Accuracy on cases it has not seen."""

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.lecture.s5_descent import load

X, Y, X_test, Y_test = load()
rng = np.random.default_rng(7)
W1, b1 = tg.Value(rng.normal(size=(4, 30)) / np.sqrt(30)), tg.Value(np.zeros((4, 1)))
W2, b2 = tg.Value(rng.normal(size=(1, 4)) / 2), tg.Value(np.zeros((1, 1)))
parameters = (W1, b1, W2, b2)


def logits(X):
    """The net up to its last z; from logits the cost is exact however sure the net is."""
    return W2 @ tg.tanh(W1 @ X + b1) + b2


for step in range(301):
    J = tg.mean(tg.binary_cross_entropy(logits(X), Y, from_logits=True))
    J.backward()
    for p in parameters:
        p.data -= 0.5 * p.grad
        p.zero_grad()
    if step % 100 == 0:
        print(f"step {step:3}: cost {J.item():.4f}")

with tg.no_grad():
    right = np.mean((logits(X_test).data > 0) == (Y_test > 0.5))
print(f"test accuracy {right:.1%}")
assert right > 0.93
