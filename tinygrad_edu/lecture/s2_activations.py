"""S2: the activations and their derivatives."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.drawing import plots
from tinygrad_edu.drawing.plots import Html, number
from tinygrad_edu.lecture import lesson_page
from tinygrad_edu.lecture.formulas import ACTIVATIONS
from tinygrad_edu.lecture.lesson_page import table
from tinygrad_edu.lecture.report import Report, difference, verdict
from tinygrad_edu.lecture.tex import math

GRID = np.array([-3.0, -1.5, -0.5, 0.0, 0.5, 1.5, 3.0])
SHOWN = (-1.5, 0.0, 1.5)
EPSILON = 1e-6

#: PyTorch's choice at 0.
AT_ZERO: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "relu, at_zero=0": (lambda z: tg.relu(z, at_zero=0), lambda z: np.where(z > 0, 1.0, 0.0)),
    "leaky_relu, at_zero=0": (
        lambda z: tg.leaky_relu(z, at_zero=0),
        lambda z: np.where(z > 0, 1.0, 0.01),
    ),
}
COLUMNS = ("", "z", "g(z)", "by hand", "automatic", "central", "")

#: How the page plots each: g and g' as formulas, their ranges, the numbers beside the axes.
PLOTTED: dict[str, tuple[str, str, plots.Range, plots.Range, list[float], list[float]]] = {
    "sigmoid": (r"g(z) = \frac{1}{1+e^{-z}}", r"g'(z) = g(z)\left(1-g(z)\right)",
                (-0.2, 1.2), (-0.1, 0.35), [0, 1], [0, 0.25]),
    "tanh": (r"g(z) = \frac{e^z - e^{-z}}{e^z + e^{-z}}", "g'(z) = 1 - g(z)^2",
             (-1.3, 1.3), (-0.2, 1.3), [-1, 0, 1], [0, 1]),
    "relu": (r"g(z) = \max(0, z)", r"g'(z) = \cases{1 & z \ge 0\\0 & z < 0}",
             (-0.7, 4.3), (-0.2, 1.3), [0, 2, 4], [0, 1]),
    "leaky_relu": (r"g(z) = \max(z, 0.01z)", r"g'(z) = \cases{1 & z \ge 0\\0.01 & z < 0}",
                   (-0.7, 4.3), (-0.2, 1.3), [0, 2, 4], [0, 1]),
}  # fmt: skip
SLIDER = np.round(np.arange(-80, 81) * 0.05, 2)


def run(report: Report) -> None:
    """Every activation on a grid: its value, and its derivative in three ways."""
    rng = np.random.default_rng(2)
    rows, values, derivatives, points = [], [], [], []
    for name, (g, derivative) in ACTIVATIONS.items():
        function = getattr(tg, name)
        on_grid = _on_grid(report, name, function, derivative)
        points += [point for point in on_grid if point[1] in SHOWN]
        rows += [
            (*point[:6], "[yellow]kink[/]" if point[6] == "kink" else verdict(point[6] == "right"))
            for point in on_grid
            if point[1] in SHOWN or point[6] == "wrong"
        ]
        values.append((f"{name}: g(z)", g(GRID), function(GRID)))
    report.table(f"g' at {len(GRID)} points each, three of them:", COLUMNS, rows)
    for name, (function, derivative) in AT_ZERO.items():
        z, upstream = tg.Value(GRID, "z"), rng.normal(size=GRID.shape)
        function(z).backward(seed=upstream)
        derivatives.append((f"{name}: dz", upstream * derivative(GRID), z.grad))
    others = report.agree(
        "the values on the grid, and PyTorch's derivative at 0", values + derivatives, brief=True
    )
    for name in ("sigmoid", "tanh"):
        others += report.sheet(f"S2_{name}", f"{name}, spelled out", brief=True)[1]
    z = tg.Value(GRID, "z")
    L = tg.sum(tg.sigmoid(z))
    L.name = "L"
    L.backward()
    report.picture("sigmoid", L)
    if report.page is not None:
        middle = {point[0]: f"{point[5]:.4g}" for point in points if point[1] == 0}
        report.show(
            {
                "cards": Html("".join(_card(report, name) for name in ACTIVATIONS)),
                "rows": _rows(report, points),
                "relu_middle": middle["relu"],
                "leaky_middle": middle["leaky_relu"],
                "others": lesson_page.judged(report.words, others),
            }
        )


def _on_grid(report: Report, name: str, function: Any, derivative: Any) -> list[tuple[Any, ...]]:
    """Point by point. At a kink the slopes of the two sides differ, and g'(z) lies between."""
    z = tg.Value(GRID, "z")
    tg.sum(function(z)).backward()
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
        says = "wrong" if not matches else "kink" if kink else "right"
        rows.append((name, at, value, lecture, automatic, c, says))
    return rows


# --- the page -------------------------------------------------------------------------------------


def _rows(report: Report, points: list[tuple[Any, ...]]) -> Html:
    words = report.words
    head = [words["s2.activation"], "z", "g(z)"]
    head += [words[f"s2.{key}"] for key in ("hand", "automatic", "central")]
    says = {
        "right": '<span class="ok">✓</span>', "wrong": '<span class="no-">✗</span>',
        "kink": words["s2.kinkword"],
    }  # fmt: skip
    rows = [
        (words[f"s2.{name}"] if at == SHOWN[0] else "", number(at, 1),
         *(number(x, 6) for x in numbers), says[verdict])
        for name, at, *numbers, verdict in points
    ]  # fmt: skip
    kinds = {"kink": "kink", "wrong": "bad", "right": ""}
    marked = [kinds[point[-1]] for point in points]
    return table([*head, ""], rows, words["s2.caption"], marked=marked)


def _card(report: Report, name: str) -> str:
    """g and g' side by side, computed by the package at every place of the slider."""
    words = report.words
    g_formula, slope_formula, ys, slopes, marks, slope_marks = PLOTTED[name]
    z = tg.Value(SLIDER, "z")
    a = getattr(tg, name)(z)
    tg.sum(a).backward()
    pairs = [
        (plots.Plot((46, 34, 190, 150), (-4, 4), ys), marks, a.data, "cv", "g", "(z) =", "v"),
        (plots.Plot((46, 34, 190, 150), (-4, 4), slopes), slope_marks, z.grad, "cp", "g", "′(z) =",
         "p"),
    ]  # fmt: skip
    drawn = []
    for plot, ticks, numbers, curve, letter, rest, colour in pairs:
        steps = np.abs(np.diff(numbers)) > 0.5  # a jump is not a line
        broken = np.where(np.append(False, steps), np.nan, numbers)
        at = f'<tspan class="i">{letter}</tspan>{rest}'
        body = plot.axes((-4, 0, 4), ticks) + plot.curve(zip(SLIDER, broken), curve)
        if colour == "v":
            body += '<line class="tan ci dash"/>'
        body += plot.point(1, float(numbers[100]), f"{colour}pt pt")
        body += plots.text(46, 22, at, colour, "start")
        body += plots.text(106, 22, number(numbers[100]), f"{colour} b num-", "start")
        title = words["s2.value" if colour == "v" else "s2.derivative"]
        drawn.append(plots.svg(244, 212, body, f"{words[f's2.{name}']}: {title}"))
    samples = json.dumps([np.round(a.data, 4).tolist(), np.round(z.grad, 4).tolist()])
    plot_data = json.dumps([[46, 34, 190, 150, *ys], [46, 34, 190, 150, *slopes]])
    value = math(r"\c{v}{" + g_formula + "}", True)
    slope = math(r"\c{p}{" + slope_formula + "}", True)
    return (
        f'<div class="card"><h3>{words[f"s2.{name}"]}</h3><div class="pair" '
        f"data-samples='{samples}' data-plot='{plot_data}'>{''.join(drawn)}</div>"
        f'<div class="eqs eq" tabindex="0"><span>{value}</span>&emsp;<span>{slope}</span></div>'
        "</div>"
    )
