"""S7: the same for one example."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.lecture.formulas import ACTIVATIONS
from tinygrad_edu.lecture.report import Report
from tinygrad_edu.lecture.s6_vectorised import random_net

TITLE = "One example"
SAYS = (
    "With m = 1 the sums over examples have one term and 1/m is 1: the six rules lose both. "
    "db is dz itself, and the two scales of dz are one."
)


def lines(g: str) -> dict[str, Any]:
    """The six rules for one example, a column."""
    derivative = ACTIVATIONS[g][1]
    return {
        "dZ2": lambda A2, Y: A2 - Y,
        "dW2": lambda dZ2, A1: dZ2 @ A1.T,
        "db2": lambda dZ2: dZ2,
        "dZ1": lambda W2, dZ2, Z1: W2.T @ dZ2 * derivative(Z1),
        "dW1": lambda dZ1, X: dZ1 @ X.T,
        "db1": lambda dZ1: dZ1,
    }


def run(report: Report) -> None:
    """The six rules at m = 1."""
    J = random_net(np.random.default_rng(7), 1, "tanh")
    report.compare("one example, tanh in layer 1", J, lines("tanh"), convention="calculus")
    J.backward()
    report.picture("network", J)
