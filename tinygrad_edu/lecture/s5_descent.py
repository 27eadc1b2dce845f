"""S5: gradient descent on real data."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.drawing.plots import Html
from tinygrad_edu.lecture import lesson_page, s5_plots
from tinygrad_edu.lecture.formulas import two_layers
from tinygrad_edu.lecture.nets import network
from tinygrad_edu.lecture.report import Report
from tinygrad_edu.nn import breast_cancer
from tinygrad_edu.words import Words, say

HIDDEN = 8
ALPHA = 0.5
CONVERGED = 1e-5  # stop when a step lowers the cost by less
MOST_STEPS = 3000
#: Rounding differences grow over hundreds of steps; a wrong rule is wrong in the first digits.
AFTER_TRAINING = 1e-6


def load() -> tuple[Any, Any, Any, Any]:
    """The data as columns: X_train (30, 456), Y_train (1, 456), X_test (30, 113), Y_test (1, 113).

    The split is random but fixed; measurements are scaled to mean 0 and variance 1 on the training
    set.
    """
    data = breast_cancer(seed=5)
    return data.X, data.Y[None].astype(float), data.X_test, data.Y_test[None].astype(float)


def start(rng: np.random.Generator, inputs: int) -> dict[str, Any]:
    """Random weights of size 1/√inputs, biases zero."""
    return {
        "W1": rng.normal(size=(HIDDEN, inputs)) / np.sqrt(inputs), "b1": np.zeros((HIDDEN, 1)),
        "W2": rng.normal(size=(1, HIDDEN)) / np.sqrt(HIDDEN), "b2": np.zeros((1, 1)),
    }  # fmt: skip


def run(report: Report) -> None:
    """Train to convergence with automatic gradients; repeat with the formulas; accuracies."""
    X, Y, X_test, Y_test = load()
    beginning = start(np.random.default_rng(50), len(X))
    J, parameters = network(X, Y, **beginning)
    J.backward()
    by_hand = two_layers(X, Y, **beginning)
    first = report.agree(
        f"first step, m = {X.shape[1]}",
        [(say("s5.cost"), by_hand["J"], J.item())]
        + [(f"d{name}", by_hand[f"d{name}"], p.grad) for name, p in parameters.items()],
    )

    trained, costs = descend(report, X, Y, beginning)
    steps = len(costs) - 1
    hand: dict[str, Any] = {name: np.array(p) for name, p in beginning.items()}
    for _ in range(steps):
        values = two_layers(X, Y, **hand)
        for name in hand:
            hand[name] -= ALPHA * values[f"d{name}"]
    values = two_layers(X, Y, **hand)
    chosen = [i for i in (0, 1, 10, 100, steps) if i <= steps]
    report.table(
        f"α = {ALPHA}: {steps} steps until one lowers the cost by less than {CONVERGED:g}",
        ("step", *map(str, chosen)), [("cost", *(costs[i] for i in chosen))],
    )  # fmt: skip
    last = report.agree(
        f"after {steps} steps",
        [(say("s5.cost_end"), values["J"], costs[-1])]
        + [(say("s5.end", name=name), hand[name], trained[name]) for name in hand],
        tolerance=AFTER_TRAINING,
    )
    right = {
        "train": f"{accuracy(X, Y, trained):.1%}",
        "test": f"{accuracy(X_test, Y_test, trained):.1%}",
    }
    report.say(
        f"right: {right['train']} of {X.shape[1]} training examples, "
        f"{right['test']} of {X_test.shape[1]} test examples"
    )
    report.say(Words("en")["s5.data"])
    if steps == MOST_STEPS:
        report.fail(f"convergence within {MOST_STEPS} steps")
    if report.page is not None:
        words = report.words
        report.show(
            {
                **s5_plots.shown(words, X, Y, costs, chosen), **right,
                "n0": str(len(X)), "n1": str(HIDDEN), "m": str(X.shape[1]),
                "alpha": ALPHA, "steps": steps,
                "ways": Html(
                    lesson_page.judged(words, first, words["s5.first_step"])
                    + lesson_page.judged(words, last, words["s5.at_end"])
                ),
            }
        )  # fmt: skip


def descend(
    report: Report, X: Any, Y: Any, beginning: dict[str, Any]
) -> tuple[dict[str, Any], list[float]]:
    """The parameters after gradient descent to convergence, and the cost at every step."""
    p, costs = beginning, [float("inf")]
    with report.progress() as progress:
        task = progress.add_task("training", total=MOST_STEPS, cost=costs[0])
        for step in range(MOST_STEPS + 1):
            J, values = network(X, Y, **p)
            costs.append(J.item())
            progress.update(task, completed=step, cost=costs[-1])
            if step == MOST_STEPS or not costs[-2] - costs[-1] >= CONVERGED:
                break
            J.backward(keep="leaves")
            p = {name: p[name] - ALPHA * values[name].grad for name in p}
        progress.update(task, total=step)
    return p, costs[1:]


def accuracy(X: Any, Y: Any, parameters: dict[str, Any]) -> float:
    """The share of examples on the right side of ŷ = 1/2."""
    A2 = two_layers(X, Y, **parameters)["A2"]
    return float(np.mean((A2 > 0.5) == (Y > 0.5)))
