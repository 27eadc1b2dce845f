"""The plots of S3: a loss against one weight, its secants, and the error of the secant."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.checking.truth import Replay
from tinygrad_edu.drawing import plots
from tinygrad_edu.drawing.plots import Html, letters, number, power
from tinygrad_edu.lecture.lesson_page import table
from tinygrad_edu.lecture.report import SHEETS, Report
from tinygrad_edu.lecture.s4_units import NUMBERS
from tinygrad_edu.lecture.tex import math

WEIGHT = "w11_2"
#: The weights whose update is shown.
UPDATED = ("w11_2", "w12_2", "w11_3", "w12_3")
#: log₁₀ ε at every place of the slider.
SLIDER = np.round(np.arange(-120, 13) * 0.05, 2)


def shown(report: Report, alpha: float, epsilon: float) -> dict[str, Any]:
    """What the page shows: the curve, the samples of the slider, the error, one update."""
    words = report.words
    sheet = tg.load_sheet(SHEETS / "S4.sheet", NUMBERS)
    sheet.cost.backward()
    node = sheet.values[WEIGHT]
    replay = Replay(sheet.cost)
    after = replay.after(node)
    w, slope, loss = NUMBERS[WEIGHT], float(node.grad), sheet.cost.item()

    def at(weight: float) -> float:
        return replay.cost_with(node, np.asarray(weight), after)

    def central(e: float) -> float:
        return (at(w + e) - at(w - e)) / (2 * e)

    samples = [
        [float(f"{x:.9g}") for x in (at(w - e), at(w + e), central(e), (at(w + e) - loss) / e)]
        for e in (float(x) for x in 10.0**SLIDER)
    ]
    sizes = [float(e) for e in np.logspace(-13, 0.6, 55)]
    moved = {
        name: value - alpha * float(sheet.values[name].grad) if name[0] in "wb" else value
        for name, value in NUMBERS.items()
    }
    new = tg.load_sheet(SHEETS / "S4.sheet", moved).cost.item()
    if not new < loss:
        report.fail("the loss of S4's net after one update")
    return {
        "w": f"{w}", "slope": f"{slope!r}", "dw11_2": slope, "samples": Html(json.dumps(samples)),
        "curve": _curve(words["s3.curve"], at, w, slope, loss),
        "errors": _errors(words, [(e, abs(central(e) - slope)) for e in sizes]),
        "alpha": f"{alpha:g}", "before": number(loss, 4), "after": number(new, 4),
        "eps": f"ε = {power(round(np.log10(epsilon)))}",
        "updates": _updates(words, sheet, alpha, moved, loss, new),
    }  # fmt: skip


def _curve(title: str, at: Any, w: float, slope: float, loss: float) -> Html:
    points = [(x, at(x)) for x in np.linspace(-5, 7, 121).tolist()]
    low, high = min(y for _, y in points), max(y for _, y in points)
    room = (high - low) * 0.15
    ys = (low - room, high + room)
    plot = plots.Plot((60, 20, 560, 300), (-5, 7), ys)
    ticks = [t / 10 for t in range(10) if ys[0] < t / 10 < ys[1]]
    tangent = plot.curve([(w - 6, loss - 6 * slope), (w + 6, loss + 6 * slope)], "ci")
    body = (
        plot.axes((-4, -2, 0, 2, 4, 6), ticks)
        + '<clipPath id="c3"><rect x="60" y="20" width="560" height="300"/></clipPath>'
        + f'<g clip-path="url(#c3)">{plot.curve(points, "cv")}{tangent}'
        + '<line class="one dash"/><line class="sec cg dash"/></g>'
        + plot.point(w, loss, "ipt", 7)
        + '<circle class="p1 gpt" r="7"/><circle class="p2 gpt" r="7"/>'
        + plots.text(340, 366, letters("w_11^2"), "w", size=18)
        + plots.text(30, 16, '<tspan class="i">L</tspan>', size=18)
    )
    data = json.dumps([60, 20, 560, 300, -5, 7, *ys])
    return plots.svg(640, 376, body, title, 500, f"data-plot='{data}'")


def _errors(words: Any, errors: list[tuple[float, float]]) -> Html:
    plot = plots.Plot((78, 26, 500, 230), (-13, 0.6), (-13, 0), True)
    points = [(float(np.log10(e)), max(error, 1e-13)) for e, error in errors]
    body = (
        plot.axes((-12, -9, -6, -3, 0), (-12, -9, -6, -3, 0), power, power)
        + plot.curve(points, "cg")
        + plots.text(450, 70, words["s3.squared"], "g", "end")
        + plots.text(190, 70, words["s3.rounding"], "g", "start")
        + plots.text(328, 298, "ε", size=17)
        + plots.text(82, 18, words["s3.error"], "mut", "start")
    )
    return plots.svg(600, 306, body, words["s3.errors"], 480)


def _updates(
    words: Any, sheet: Any, alpha: float, moved: dict[str, Any], loss: float, new: float
) -> Html:
    head = [words["s3.weight"], words["s3.old"], "dL/dw", "− α dL/dw", words["s3.new"]]
    rows = []
    for name in UPDATED:
        slope = float(sheet.values[name].grad)
        symbol = math(f"w_{{{name[1:3]}}}^{{[{name[-1]}]}}")
        numbers = (slope, -alpha * slope, moved[name])
        rows.append((symbol, number(NUMBERS[name], 1), *(number(x, 4) for x in numbers)))
    values = {"alpha": f"{alpha:g}", "before": number(loss, 4), "after": number(new, 4)}
    return table(head, rows, words.said("s3.updates", values))
