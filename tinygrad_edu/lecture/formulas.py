"""The lecture's formulas in plain NumPy: what the automatic gradients answer to.

Nothing here uses the engine. Examples are columns; dZ belongs to the sum of the losses over the
examples, dW and db to their mean (see the guide, on two scales of dZ).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any


def sigmoid(z: Array) -> Array:
    """``1 / (1 + e⁻ᶻ)``.

    >>> sigmoid(0.0)
    np.float64(0.5)
    """
    return 1 / (1 + np.exp(-z))


#: S2: each activation g and its derivative g', as functions of z.
ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "tanh": (
        lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)),
        lambda z: 1 - np.tanh(z) ** 2,
    ),
    "relu": (lambda z: np.maximum(0, z), lambda z: np.where(z >= 0, 1.0, 0.0)),
    "leaky_relu": (lambda z: np.maximum(z, 0.01 * z), lambda z: np.where(z >= 0, 1.0, 0.01)),
}


def cross_entropy(A: Array, Y: Array) -> float:
    """The mean over examples of ``−(y log a + (1−y) log(1−a))``.

    >>> bool(cross_entropy(np.array([[0.5]]), np.array([[1.0]])) == np.log(2))
    True
    """
    return float(-np.mean(np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A), axis=0)))


def two_layers(
    X: Array, Y: Array, W1: Array, b1: Array, W2: Array, b2: Array, g: str = "tanh"
) -> dict[str, Array]:
    """S6: forward and backward for a net with activation `g` in layer 1 and a sigmoid in layer 2.

    X (n0, m), Y (n2, m), W1 (n1, n0), b1 (n1, 1), W2 (n2, n1), b2 (n2, 1). Returns every quantity
    by name; with one column (m = 1) these are S7's rules.
    """
    activation, derivative = ACTIVATIONS[g]
    m = X.shape[1]
    Z1 = W1 @ X + b1
    A1 = activation(Z1)
    Z2 = W2 @ A1 + b2
    A2 = sigmoid(Z2)
    dZ2 = A2 - Y
    dW2 = (1 / m) * dZ2 @ A1.T
    db2 = (1 / m) * np.sum(dZ2, axis=1, keepdims=True)
    dZ1 = W2.T @ dZ2 * derivative(Z1)
    dW1 = (1 / m) * dZ1 @ X.T
    db1 = (1 / m) * np.sum(dZ1, axis=1, keepdims=True)
    J = cross_entropy(A2, Y)
    return {
        "Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2, "J": J,
        "dZ2": dZ2, "dW2": dW2, "db2": db2, "dZ1": dZ1, "dW1": dW1, "db1": db1,
    }  # fmt: skip


def deep_net(X: Array, Y: Array, Ws: list[Array], g: str) -> list[Array]:
    """S9: the weight gradients ``dW = (1/m) dZ A_inputᵀ`` of a deep net, first layer first.

    Layers without biases, activation `g` in all but the last, a sigmoid there.
    """
    activation, derivative = ACTIVATIONS[g]
    m = X.shape[1]
    inputs, Z = [X], Ws[0] @ X
    before = []
    for W in Ws[1:]:
        before.append(Z)
        inputs.append(activation(Z))
        Z = W @ inputs[-1]
    dZ = sigmoid(Z) - Y
    gradients = [(1 / m) * dZ @ inputs[-1].T]
    for W, Z, A in zip(reversed(Ws[1:]), reversed(before), reversed(inputs[:-1])):
        dZ = W.T @ dZ * derivative(Z)
        gradients.append((1 / m) * dZ @ A.T)
    return gradients[::-1]


def answers(
    X: Array, W1: Array, b1: Array, W2: Array, b2: Array,
    g: Callable[[Array], Array] = np.tanh,
) -> Array:  # fmt: skip
    """The ŷ of S6's net for every column of X, (1, m)."""
    return sigmoid(W2 @ g(W1 @ X + b1) + b2)
