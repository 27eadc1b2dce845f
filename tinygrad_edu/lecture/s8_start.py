"""S8: random initialisation."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.drawing.plots import Html
from tinygrad_edu.lecture import s8_plots
from tinygrad_edu.lecture.formulas import two_layers
from tinygrad_edu.lecture.lesson_page import table
from tinygrad_edu.lecture.nets import network
from tinygrad_edu.lecture.report import Report, difference
from tinygrad_edu.lecture.s1_collapse import SQUARE
from tinygrad_edu.lecture.s5_descent import AFTER_TRAINING

STEPS = 400
ALPHA = 2.0
SHOWN = (0, 1, 10, 100, STEPS)
OR = np.array([[0.0, 1.0, 1.0, 1.0]])  # at least one of the two


def run(report: Report) -> None:
    """The slide's lines tried; a 2-2-1 net trained from zero and from random numbers."""
    code = _slide(report)
    randn = np.random.RandomState(8).randn
    zero: dict[str, Any] = {
        "W1": np.zeros((2, 2)), "b1": np.zeros((2, 1)),
        "W2": np.zeros((1, 2)), "b2": np.zeros((1, 1)),
    }  # fmt: skip
    random: dict[str, Any] = {
        "W1": randn(2, 2) * 0.01, "b1": np.zeros((2, 1)),
        "W2": randn(1, 2) * 0.01, "b2": np.zeros((1, 1)),
    }  # fmt: skip
    runs = {
        "zero": _train(report, "zero", SQUARE, OR, zero, identical=True),
        "random": _train(report, "random", SQUARE, OR, random, identical=False),
    }
    report.table(
        f"α = {ALPHA}: the two hidden units, their weights and gradients",
        ("", "step", *map(str, SHOWN)),
        [
            row
            for name, (_, costs, apart) in runs.items()
            for row in (
                (name, "cost", *(costs[i] for i in SHOWN)),
                (name, "apart", *(apart[i] for i in SHOWN)),
            )
        ],
    )
    if report.page is not None:
        report.show({**s8_plots.shown(report.words, runs, ALPHA), "code": code})


#: The slide's four lines, to be run as they stand, and how they are meant.
SLIDE: tuple[tuple[str, Callable[[], Any], tuple[int, int], str], ...] = (
    ("w1 = np.random.randn((2,2)) * 0.01", lambda: np.random.randn((2, 2)) * 0.01,  # type: ignore[call-overload]  # noqa: NPY002
     (2, 2), "np.random.randn(2, 2) * 0.01"),
    ("b1 = np.zeros((2,1))", lambda: np.zeros((2, 1)), (2, 1), ""),
    ("w2 = np.random.randn((1,2)) * 0.01", lambda: np.random.randn((1, 2)) * 0.01,  # type: ignore[call-overload]  # noqa: NPY002
     (1, 2), "np.random.randn(1, 2) * 0.01"),
    ("b2 = 0", lambda: 0, (1, 1), "np.zeros((1, 1))"),
)  # fmt: skip


def _slide(report: Report) -> Html:
    """Run the slide's lines as they stand and say what happens."""
    rows, wrong = [], []
    for line, run_it, shape, corrected in SLIDE:
        try:
            given = np.shape(run_it())
        except TypeError as error:
            says = f"TypeError: {error}"
        else:
            says = f"shape {given}" + (f", S5 has {shape}" if given != shape else ": right")
        if not says.endswith("right"):
            wrong.append(line[:2])
        rows.append((line, says, corrected))
    report.say("\nthe slide's start, its lines run as they stand:")
    for line, says, corrected in rows:
        report.say(f"  {line}: {says}{f'; meant: {corrected}' if corrected else ''}")
    report.check(
        "of the slide's four lines, those for w1, w2 and b2 need correcting",
        wrong == ["w1", "w2", "b2"],
    )
    words = report.words
    head = [words[f"s8.{key}"] for key in ("given", "happens", "corrected")]
    cells = [[f"<code>{html.escape(cell)}</code>" for cell in row] for row in rows]
    return table(head, cells, left=(0, 1, 2))


def _train(
    report: Report, name: str, X: Any, Y: Any, start: dict[str, Any], identical: bool
) -> tuple[list[dict[str, Any]], list[float], list[float]]:
    """Gradient descent with automatic gradients and beside it by hand.

    Returns the parameters, the cost, and the largest difference between the hidden units, of
    every step.
    """
    p: dict[str, Any] = {key: np.array(value) for key, value in start.items()}
    hand: dict[str, Any] = {key: np.array(value) for key, value in start.items()}
    costs, apart, costs_by_hand, track = [], [], [], []
    for step in range(STEPS + 1):
        J, values = network(X, Y, **p)
        J.backward()
        by_hand = two_layers(X, Y, **hand)
        costs.append(J.item())
        track.append(p)
        units = np.hstack([p["W1"], p["b1"], p["W2"].T, values["W1"].grad, values["W2"].grad.T])
        apart.append(float(np.max(np.abs(units[0] - units[1]))))
        costs_by_hand.append(by_hand["J"])
        p = {key: p[key] - ALPHA * values[key].grad for key in p}
        hand = {key: hand[key] - ALPHA * by_hand[f"d{key}"] for key in hand}
        if step == 0 and not identical:
            report.picture(name, J)
    held = all(d == 0 for d in apart) if identical else apart[-1] > 0.1
    expected = "identical at every step" if identical else "no longer identical"
    report.check(f"{name} start: units {expected}", held)
    error = difference(costs_by_hand, costs)
    if not error <= AFTER_TRAINING:
        report.fail(f"{name} start: cost of every step")
    report.say(
        f"{name} start: cost of every step, by hand and automatic: {costs_by_hand[-1]:.6g} and "
        f"{costs[-1]:.6g} at the end, difference at most {error:.1e}"
    )
    return track, costs, apart
