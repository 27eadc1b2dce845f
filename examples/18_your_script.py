"""A script without functions, as first networks are posted; one of its lines is mistaken."""

import numpy as np

from tinygrad_edu import cli

rng = np.random.default_rng(1)
X = rng.normal(size=(20, 3))
y = (X[:, :1] * X[:, 1:2] > 0).astype(float)
W1, b1 = rng.normal(size=(3, 5)), np.zeros((1, 5))
W2, b2 = rng.normal(size=(5, 1)), np.zeros((1, 1))
lr = 0.5

for _ in range(300):
    h = np.tanh(X @ W1 + b1)
    p = 1 / (1 + np.exp(-(h @ W2 + b2)))
    loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

    dp = (p - y) / len(X)
    dW2 = h.T @ dp
    db2 = dp.sum(axis=0, keepdims=True)
    W2 -= lr * dW2
    dh = dp @ W2.T * (1 - h**2)
    dW1 = X.T @ dh
    db1 = dh.sum(axis=0, keepdims=True)
    W1 -= lr * dW1
    b1 -= lr * db1
    b2 -= lr * db2

print(f"loss {loss:.3f}: it trains. And yet:")
assert cli.main(["check-code", __file__]) == 1  # as `tinygrad-edu check-code` does
