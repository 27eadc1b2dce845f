"""S8: random initialisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.lecture.formulas import sigmoid, two_layers
from tinygrad_edu.lecture.nets import network
from tinygrad_edu.lecture.report import Report

TITLE = "Random initialisation"
SAYS = (
    "From weights and biases of zero, both hidden units compute the same and receive the same "
    "gradient at every step: nothing ever tells them apart. Small random weights break the "
    "symmetry. (The slide also recalls the restricted Boltzmann machine: a generative stochastic "
    "network that learns a probability distribution over its inputs, historically a source of "
    "initial weights.)"
)
STEPS = 400
ALPHA = 2.0
SHOWN = (0, 1, 10, 100, STEPS)


def run(report: Report) -> None:
    """The slide's lines tried; a 2-2-1 net trained from zero and from random numbers."""
    _slide(report)
    X = np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]])
    Y = np.array([[0.0, 1.0, 1.0, 1.0]])  # or: at least one of the two
    randn = np.random.RandomState(8).randn
    zero: dict[str, Any] = {
        "W1": np.zeros((2, 2)),
        "b1": np.zeros((2, 1)),
        "W2": np.zeros((1, 2)),
        "b2": np.zeros((1, 1)),
    }
    random: dict[str, Any] = {
        "W1": randn(2, 2) * 0.01, "b1": np.zeros((2, 1)),
        "W2": randn(1, 2) * 0.01, "b2": np.zeros((1, 1)),
    }  # fmt: skip
    zero_costs, zero_apart = _train(report, "zero", X, Y, zero, identical=True)
    costs, apart = _train(report, "random", X, Y, random, identical=False)
    report.curves(
        "costs", {"zero start": zero_costs, "random start": costs},
        title="the cost from two starts", x_label="step", y_label="J",
    )  # fmt: skip
    report.curves(
        "symmetry", {"zero start": zero_apart, "random start": apart},
        title="how far apart the two hidden units are", x_label="step",
        y_label="largest difference of weights or gradients",
    )  # fmt: skip


#: The slide's four lines, to be run as they stand, and how they are meant.
SLIDE: tuple[tuple[str, Callable[[], Any], tuple[int, int], str], ...] = (
    ("w1 = np.random.randn((2,2)) * 0.01", lambda: np.random.randn((2, 2)) * 0.01,  # type: ignore[call-overload]  # noqa: NPY002
     (2, 2), "np.random.randn(2, 2) * 0.01"),
    ("b1 = np.zeros((2,1))", lambda: np.zeros((2, 1)), (2, 1), ""),
    ("w2 = np.random.randn((1,2)) * 0.01", lambda: np.random.randn((1, 2)) * 0.01,  # type: ignore[call-overload]  # noqa: NPY002
     (1, 2), "np.random.randn(1, 2) * 0.01"),
    ("b2 = 0", lambda: 0, (1, 1), "np.zeros((1, 1))"),
)  # fmt: skip


def _slide(report: Report) -> None:
    """Run the slide's lines as they stand and say what happens."""
    rows, wrong = [], []
    for line, run_it, shape, corrected in SLIDE:
        try:
            given = np.shape(run_it())
        except TypeError as error:
            says = f"does not run: TypeError: {error}"
        else:
            says = f"shape {given}" + (f", S5 has {shape}" if given != shape else ": right")
        if not says.endswith("right"):
            wrong.append(line[:2])
        rows.append((line, says, corrected))
    report.table("the slide's start", ("as the slide has it", "what happens", "corrected"), rows)
    report.check(
        "of the slide's four lines, those for w1, w2 and b2 need correcting",
        wrong == ["w1", "w2", "b2"],
    )


def _train(
    report: Report, name: str, X: Any, Y: Any, start: dict[str, Any], identical: bool
) -> tuple[list[float], list[float]]:
    """Gradient descent with automatic gradients and beside it by hand.

    Returns the cost, and the largest difference between the hidden units, of every step.
    """
    p: dict[str, Any] = {key: np.array(value) for key, value in start.items()}
    hand: dict[str, Any] = {key: np.array(value) for key, value in start.items()}
    costs, apart, costs_by_hand = [], [], []
    for step in range(STEPS + 1):
        J, values = network(X, Y, **p)
        J.backward()
        by_hand = two_layers(X, Y, **hand)
        costs.append(J.item())
        units = np.hstack([p["W1"], p["b1"], p["W2"].T, values["W1"].grad, values["W2"].grad.T])
        apart.append(float(np.max(np.abs(units[0] - units[1]))))
        costs_by_hand.append(by_hand["J"])
        for key in p:
            p[key] = p[key] - ALPHA * values[key].grad
            hand[key] = hand[key] - ALPHA * by_hand[f"d{key}"]
        if step == 0:
            report.picture(name, J)
    report.table(
        f"{name} start, α = {ALPHA}: the two hidden units, their weights and gradients",
        ("step", "cost", "largest difference between the units"),
        [(i, costs[i], apart[i]) for i in SHOWN],
    )
    held = all(d == 0 for d in apart) if identical else apart[-1] > 0.1
    expected = "identical at every step" if identical else "no longer identical"
    report.check(f"{name} start: units {expected}", held)
    report.agree(
        f"{name} start", [(f"{name} start: cost of every step", costs_by_hand, costs)], 1e-6
    )
    report.boundary(
        f"{name}_boundary", lambda points: _predicted(points, **p), X, Y,
        title=f"{name} start: what the net has learnt after {STEPS} steps",
    )  # fmt: skip
    return costs, apart


def _predicted(X: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    """The net's ŷ of every column of X, (1, m)."""
    return sigmoid(W2 @ np.tanh(W1 @ X + b1) + b2)
