"""S2: the activations and their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.lecture.formulas import ACTIVATIONS
from tinygrad_edu.lecture.report import Report, difference, verdict

TITLE = "Activations and their derivatives"
SAYS = (
    "Each derivative is a formula in g(z) itself or a step: g(1 − g), 1 − g², 1 or 0, 1 or 0.01. "
    "At z = 0 the lecture takes g' = 1 for both ReLUs; there the graph has a kink, and the central "
    "difference, which averages the two sides, lies between."
)
GRID = np.array([-3.0, -1.5, -0.5, 0.0, 0.5, 1.5, 3.0])
EPSILON = 1e-6

#: PyTorch's choice at 0.
AT_ZERO: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "relu, at_zero=0": (lambda z: tg.relu(z, at_zero=0), lambda z: np.where(z > 0, 1.0, 0.0)),
    "leaky_relu, at_zero=0": (
        lambda z: tg.leaky_relu(z, at_zero=0),
        lambda z: np.where(z > 0, 1.0, 0.01),
    ),
}


def run(report: Report) -> None:
    """Every activation on a grid: its value, and its derivative in three ways."""
    rng = np.random.default_rng(2)
    values, derivatives = [], []
    for name, (g, derivative) in ACTIVATIONS.items():
        function = getattr(tg, name)
        _on_grid(report, name, function, derivative)
        values.append((f"{name}: g(z)", g(GRID), function(GRID)))
    report.agree("the values g(z) on the grid", values)
    for name, (function, derivative) in AT_ZERO.items():
        z, upstream = tg.Value(GRID, "z"), rng.normal(size=GRID.shape)
        function(z).backward(seed=upstream)
        derivatives.append((f"{name}: dz = da · g'(z)", upstream * derivative(GRID), z.grad))
    report.agree("with PyTorch's derivative at 0", derivatives)
    for name in ("sigmoid", "tanh"):
        report.sheet(f"S2_{name}", f"{name}, spelled out", picture=False)


def _on_grid(report: Report, name: str, function: Any, derivative: Any) -> None:
    """Point by point. At a kink the slopes of the two sides differ, and g'(z) lies between."""
    z = tg.Value(GRID, "z")
    a = function(z)
    a.name = "a"
    L = tg.sum(a)
    L.name = "L"
    L.backward()
    left = (function(GRID) - function(GRID - EPSILON)) / EPSILON
    right = (function(GRID + EPSILON) - function(GRID)) / EPSILON
    central = (left + right) / 2
    rows = []
    for at, value, lecture, automatic, l, r, c in zip(
        GRID, function(GRID), derivative(GRID), z.grad, left, right, central
    ):
        kink = abs(l - r) > 0.1 and min(l, r) - 1e-6 <= automatic <= max(l, r) + 1e-6
        matches = difference(lecture, automatic) <= 1e-9 and (
            kink or difference(c, automatic) <= 1e-6
        )
        if not matches:
            report.fail(f"{name}: g'({at:g})")
        says = "[yellow]kink[/]" if kink and matches else verdict(matches)
        rows.append((at, value, lecture, automatic, c, says))
    columns = ("z", "g(z)", "g'(z), lecture", "g'(z), automatic", "central difference", "verdict")
    report.table(f"{name}", columns, rows)
    report.picture(name, L)
