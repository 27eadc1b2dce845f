"""The lecture's nets as graphs of named Values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as tg


def network(
    X: Any, Y: Any, W1: Any, b1: Any, W2: Any, b2: Any, g: Callable[[Any], Any] = tg.tanh
) -> tuple[tg.Value, dict[str, tg.Value]]:
    """S6: the mean cross-entropy of a net of two layers, and its parameters by name.

    X (n0, m), Y (1, m), W1 (n1, n0), b1 (n1, 1), W2 (1, n1), b2 (1, 1).
    """
    X, Y = tg.Value(X, "X", requires_grad=False), tg.Value(Y, "Y", requires_grad=False)
    W1, b1, W2, b2 = (
        tg.Value(p, name) for p, name in ((W1, "W1"), (b1, "b1"), (W2, "W2"), (b2, "b2"))
    )
    Z1 = W1 @ X + b1
    A1 = g(Z1)
    Z2 = W2 @ A1 + b2
    A2 = tg.sigmoid(Z2)
    J = tg.mean(tg.binary_cross_entropy(A2, Y))
    tg.name_values(Z1=Z1, A1=A1, Z2=Z2, A2=A2, J=J)
    return J, {"W1": W1, "b1": b1, "W2": W2, "b2": b2}


def deep_network(
    X: Any, Y: Any, Ws: list[Any], g: Callable[[Any], Any]
) -> tuple[tg.Value, list[tg.Value]]:
    """S9: the mean cross-entropy of a deep net without biases, and its weights in order."""
    weights = [tg.Value(W, f"W{layer}") for layer, W in enumerate(Ws, start=1)]
    A: Any = tg.Value(X, "X", requires_grad=False)
    for layer, W in enumerate(weights, start=1):
        Z = W @ A
        A = g(Z) if layer < len(weights) else tg.sigmoid(Z)
        Z.name, A.name = f"Z{layer}", f"A{layer}"
    J = tg.mean(tg.binary_cross_entropy(A, Y))
    J.name = "J"
    return J, weights


def trained(
    X: Any, Y: Any, start: dict[str, Any], alpha: float, steps: int,
    g: Callable[[Any], Any] = tg.tanh,
) -> tuple[list[dict[str, Any]], list[float]]:  # fmt: skip
    """Gradient descent with S6's net: parameters and cost of every step, the start first."""
    p = {name: np.array(value) for name, value in start.items()}
    parameters, costs = [], []
    for _ in range(steps + 1):
        J, values = network(X, Y, **p, g=g)
        J.backward(keep="leaves")
        parameters.append(p)
        costs.append(J.item())
        p = {name: p[name] - alpha * values[name].grad for name in p}
    return parameters, costs
