"""The referee: the lecture's rules in plain NumPy, unit by unit and example by example.

Nothing of the package is imported here, so it can disagree with it. Loops on purpose: what is
vectorised in the package is written out here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = Any


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def g(name: str, z: float) -> float:
    """An activation of the lecture (S2)."""
    if name == "sigmoid":
        return sigmoid(z)
    if name == "tanh":
        return (math.exp(z) - math.exp(-z)) / (math.exp(z) + math.exp(-z))
    if name == "relu":
        return max(0.0, z)
    if name == "leaky_relu":
        return max(z, 0.01 * z)
    raise ValueError(name)


def g_prime(name: str, z: float) -> float:
    """Its derivative (S2); 1 at zero for both ReLUs."""
    if name == "sigmoid":
        return sigmoid(z) * (1 - sigmoid(z))
    if name == "tanh":
        return 1 - g("tanh", z) ** 2
    if name == "relu":
        return 1.0 if z >= 0 else 0.0
    if name == "leaky_relu":
        return 1.0 if z >= 0 else 0.01
    raise ValueError(name)


def two_layer_net(
    X: Array, Y: Array, W1: Array, b1: Array, W2: Array, b2: Array, hidden: str = "tanh"
) -> dict[str, Array]:
    """The cost and S6's six derivatives in the lecture's scale, by loops (S4's rules, summed)."""
    n0, m = X.shape
    n1 = W1.shape[0]
    cost = 0.0
    d = {
        "dZ2": np.zeros((1, m)), "dW2": np.zeros((1, n1)), "db2": np.zeros((1, 1)),
        "dZ1": np.zeros((n1, m)), "dW1": np.zeros((n1, n0)), "db1": np.zeros((n1, 1)),
    }  # fmt: skip
    for example in range(m):
        x, y = X[:, example], Y[0, example]
        z1 = [sum(W1[i, j] * x[j] for j in range(n0)) + b1[i, 0] for i in range(n1)]
        a1 = [g(hidden, z) for z in z1]
        a2 = sigmoid(sum(W2[0, i] * a1[i] for i in range(n1)) + b2[0, 0])
        cost -= (y * math.log(a2) + (1 - y) * math.log(1 - a2)) / m
        dz2 = a2 - y
        d["dZ2"][0, example] = dz2
        d["db2"][0, 0] += dz2 / m
        for i in range(n1):
            d["dW2"][0, i] += dz2 * a1[i] / m
            dz1 = W2[0, i] * dz2 * g_prime(hidden, z1[i])
            d["dZ1"][i, example] = dz1
            d["db1"][i, 0] += dz1 / m
            for j in range(n0):
                d["dW1"][i, j] += dz1 * x[j] / m
    return {"J": cost, **d}


def scalar_net(p: dict[str, float]) -> dict[str, float]:
    """S4: the loss and every derivative of the 2-2-2-1 net of sigmoid units, from numbers by name.

    `p` has x1, x2, y, and w11_1 … b1_3. ``dz1_1`` is the complete rule; ``slide`` is the slide's.
    """
    v = dict(p)
    for i in (1, 2):
        v[f"z{i}_1"] = p[f"w{i}1_1"] * p["x1"] + p[f"w{i}2_1"] * p["x2"] + p[f"b{i}_1"]
        v[f"a{i}_1"] = sigmoid(v[f"z{i}_1"])
    for i in (1, 2):
        v[f"z{i}_2"] = p[f"w{i}1_2"] * v["a1_1"] + p[f"w{i}2_2"] * v["a2_1"] + p[f"b{i}_2"]
        v[f"a{i}_2"] = sigmoid(v[f"z{i}_2"])
    v["z1_3"] = p["w11_3"] * v["a1_2"] + p["w12_3"] * v["a2_2"] + p["b1_3"]
    a = v["a1_3"] = sigmoid(v["z1_3"])
    v["L"] = -(p["y"] * math.log(a) + (1 - p["y"]) * math.log(1 - a))

    v["dz1_3"] = a - p["y"]
    v["dw11_3"], v["dw12_3"] = v["dz1_3"] * v["a1_2"], v["dz1_3"] * v["a2_2"]
    v["db1_3"] = v["dz1_3"] * 1
    v["dz1_2"] = v["dz1_3"] * p["w11_3"] * g_prime("sigmoid", v["z1_2"])
    v["dz2_2"] = v["dz1_3"] * p["w12_3"] * g_prime("sigmoid", v["z2_2"])
    for i in (1, 2):
        for j in (1, 2):
            v[f"dw{i}{j}_2"] = v[f"dz{i}_2"] * v[f"a{j}_1"]
        v[f"db{i}_2"] = v[f"dz{i}_2"]
    v["slide"] = v["dz1_2"] * p["w11_2"] + v["dz2_2"] * p["w21_2"]
    v["da1_1"] = v["slide"]
    v["dz1_1"] = v["da1_1"] * g_prime("sigmoid", v["z1_1"])
    v["da2_1"] = v["dz1_2"] * p["w12_2"] + v["dz2_2"] * p["w22_2"]
    v["dz2_1"] = v["da2_1"] * g_prime("sigmoid", v["z2_1"])
    for i in (1, 2):
        for j in (1, 2):
            v[f"dw{i}{j}_1"] = v[f"dz{i}_1"] * p[f"x{j}"]
        v[f"db{i}_1"] = v[f"dz{i}_1"]
    return v


def central_difference(f: Any, x: Array, epsilon: float = 1e-5) -> Array:
    """S3's formula for every entry of x, all others fixed."""
    x = np.array(x, dtype=float)
    d = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + epsilon
        above = f(x.copy())
        x[index] = kept - epsilon
        below = f(x.copy())
        x[index] = kept
        d[index] = (above - below) / (2 * epsilon)
    return d
