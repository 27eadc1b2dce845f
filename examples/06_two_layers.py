"""The lecture's net over m examples: the six rules by hand beside the automatic gradients."""

import numpy as np

import tinygrad_edu as tg

rng = np.random.default_rng(0)
m = 2
X = tg.Value(rng.normal(size=(2, m)).round(1), requires_grad=False)
Y = tg.Value(rng.integers(0, 2, size=(1, m)), requires_grad=False)
W1, b1 = tg.Value(rng.normal(size=(3, 2)).round(1)), tg.Value(np.zeros((3, 1)))
W2, b2 = tg.Value(rng.normal(size=(1, 3)).round(1)), tg.Value(np.zeros((1, 1)))

Z1 = W1 @ X + b1
A1 = np.tanh(Z1)  # NumPy's functions make nodes too
Z2 = W2 @ A1 + b2
A2 = tg.sigmoid(Z2)
J = tg.mean(tg.binary_cross_entropy(A2, Y))
tg.name_values(X=X, Y=Y, W1=W1, b1=b1, W2=W2, b2=b2, Z1=Z1, A1=A1, Z2=Z2, A2=A2, J=J)

comparison = tg.compare(
    J,
    {
        "dZ2": lambda A2, Y: A2 - Y,
        "dW2": lambda dZ2, A1, m: dZ2 @ A1.T / m,
        "db2": lambda dZ2, m: np.sum(dZ2, axis=1, keepdims=True) / m,
        "dZ1": lambda W2, dZ2, A1: W2.T @ dZ2 * (1 - A1**2),
        "dW1": lambda dZ1, X, m: dZ1 @ X.T / m,
        "db1": lambda dZ1, m: np.sum(dZ1, axis=1, keepdims=True) / m,
    },
)
print(comparison)
assert comparison.ok

J.backward()
print("picture:", tg.render(J, "06_two_layers.svg"))
