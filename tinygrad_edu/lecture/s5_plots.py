"""The plots of S5: the cost step by step, and a boundary that moves."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu.drawing import plots
from tinygrad_edu.drawing.plots import Html, number
from tinygrad_edu.lecture.formulas import answers
from tinygrad_edu.lecture.lesson_page import table
from tinygrad_edu.lecture.nets import trained
from tinygrad_edu.words import Words

FRAMES = (0, 1, 10, 100, 1000)
UNITS, ALPHA = 6, 1.0
#: How many of the examples are drawn beside the boundary.
DRAWN = 110
XS, YS = (-2.5, 3.5), (-2.7, 3.7)


def shown(
    words: Words, X: Any, Y: Any, costs: Sequence[float], chosen: Sequence[int]
) -> dict[str, Any]:
    """The cost as a curve and a table, and frames of a net that reads two of the measurements."""
    head = [words["fig.step"], *(str(i) for i in chosen)]
    row = [words["fig.cost"], *(number(costs[i], 4) for i in chosen)]
    frames, labels = _frames(words, X[:2], Y)
    return {
        "cost": _cost(words, costs, chosen), "table": table(head, [row]),
        "frames": frames, "labels": Html(html.escape(json.dumps(labels, ensure_ascii=False))),
        "last": str(len(FRAMES) - 1),
    }  # fmt: skip


def _cost(words: Words, costs: Sequence[float], chosen: Sequence[int]) -> Html:
    steps = max(len(costs) - 1, 1)
    plot = plots.Plot((66, 24, 500, 290), (0, steps), (-2.4, 0.1), True)
    ticks = [t for t in range(0, steps, 300) if t < steps * 0.95]
    few = [*range(min(60, len(costs))), *range(60, len(costs), 12), len(costs) - 1]
    body = plot.axes(ticks, (-2, -1, 0), y_text=lambda y: f"{10.0**y:g}")
    body += plot.curve([(i, costs[i]) for i in few], "cg")
    for i in chosen:
        if i == 1 or not np.isfinite(costs[i]):
            continue
        last = i == chosen[-1]
        body += plot.point(i, costs[i], "gpt pt")
        x, y = plot.right(i) + (0 if last else 10), plot.down(costs[i]) - 10
        body += plots.text(x, y, number(costs[i], 4), "", "end" if last else "start")
    body += plots.text(316, 358, words["fig.step"], "mut")
    body += plots.text(2, 14, words["fig.cost"], "mut", "start")
    ends = {"first": number(costs[0]), "last": number(costs[-1], 4)}
    return plots.svg(590, 366, body, words.said("s5.costtitle", ends), 450)


def _frames(words: Words, X: Any, Y: Any) -> tuple[Html, list[str]]:
    rng = np.random.default_rng(1)
    start = {
        "W1": rng.normal(size=(UNITS, 2)), "b1": np.zeros((UNITS, 1)),
        "W2": rng.normal(size=(1, UNITS)), "b2": np.zeros((1, 1)),
    }  # fmt: skip
    parameters, costs = trained(X, Y, start, ALPHA, FRAMES[-1])
    plot = plots.Plot((50, 24, 460, 300), XS, YS)
    body = plot.axes((-2, 0, 2), (-2, 0, 2))
    for i, step in enumerate(FRAMES):
        grid = plots.grid_of(partial(answers, **parameters[step]), XS, YS)
        kind = ' class="show"' if i == len(FRAMES) - 1 else ""
        body += f'<g data-show="{i}"{kind}>{plot.boundary(grid)}</g>'
    for i in np.random.default_rng(0).choice(X.shape[1], DRAWN, replace=False):
        x, y = X[:, i]
        if XS[0] < x < XS[1] and YS[0] < y < YS[1]:
            body += plots.mark(plot, x, y, bool(Y[0, i]), 4)
    body += plots.text(280, 366, words["s5.radius"], "mut")
    body += plots.text(10, 16, words["s5.texture"], "mut", "start")
    labels = [
        words.said("s5.frame", {"step": step, "cost": number(costs[step])}) for step in FRAMES
    ]
    return plots.svg(530, 374, body, words["s5.frames"], 420, 'class="small"'), labels
