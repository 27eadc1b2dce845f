"""S6: forward and backward over m examples, and S7: the same for one."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.lecture.formulas import ACTIVATIONS
from tinygrad_edu.lecture.nets import network
from tinygrad_edu.lecture.report import Report

TITLE = "Vectorised: m examples at once"
SAYS = (
    "Examples are columns, and six lines give all derivatives of a net with two layers. "
    "In the lecture's scale dZ belongs to the sum of the losses and dW, db to their mean, so the "
    "automatic ∂J/∂Z is dZ / m; both scales are shown, each under its name."
)


def lines(g: str) -> dict[str, Any]:
    """The six rules for a hidden activation `g` and a sigmoid at the end, lecture's scale."""
    derivative = ACTIVATIONS[g][1]
    return {
        "dZ2": lambda A2, Y: A2 - Y,
        "dW2": lambda dZ2, A1, m: (1 / m) * dZ2 @ A1.T,
        "db2": lambda dZ2, m: (1 / m) * np.sum(dZ2, axis=1, keepdims=True),
        "dZ1": lambda W2, dZ2, Z1: W2.T @ dZ2 * derivative(Z1),
        "dW1": lambda dZ1, X, m: (1 / m) * dZ1 @ X.T,
        "db1": lambda dZ1, m: (1 / m) * np.sum(dZ1, axis=1, keepdims=True),
    }


#: The same rules where everything is a derivative of the mean cost J: the 1/m stands in dZ2.
IN_CALCULUS: dict[str, Any] = {
    "dZ2": lambda A2, Y, m: (A2 - Y) / m,
    "dW2": lambda dZ2, A1: dZ2 @ A1.T,
    "db2": lambda dZ2: np.sum(dZ2, axis=1, keepdims=True),
    "dZ1": lambda W2, dZ2, A1: W2.T @ dZ2 * (1 - A1**2),
    "dW1": lambda dZ1, X: dZ1 @ X.T,
    "db1": lambda dZ1: np.sum(dZ1, axis=1, keepdims=True),
}


def random_net(rng: np.random.Generator, m: int, g: str) -> tg.Value:
    """A net 3-4-1 with m random examples."""
    J, _ = network(
        rng.normal(size=(3, m)), (rng.random((1, m)) < 0.5).astype(float),
        rng.normal(size=(4, 3)), rng.normal(size=(4, 1)),
        rng.normal(size=(1, 4)), rng.normal(size=(1, 1)), getattr(tg, g),
    )  # fmt: skip
    return J


def run(report: Report) -> None:
    """The six rules in both scales for tanh, and in the lecture's for every other activation."""
    rng = np.random.default_rng(6)
    J = random_net(rng, 5, "tanh")
    report.compare("tanh in layer 1", J, lines("tanh"), convention="lecture")
    report.compare("the same, all of them derivatives of J", J, IN_CALCULUS, convention="calculus")
    J.backward()
    report.picture("network", J)
    for g in ACTIVATIONS:
        if g != "tanh":
            net = random_net(rng, 5, g)
            report.compare(f"{g} in layer 1", net, lines(g), convention="lecture")
