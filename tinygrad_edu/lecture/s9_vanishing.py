"""S9: the vanishing gradient."""

from __future__ import annotations

import html
import json

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.drawing import plots
from tinygrad_edu.drawing.plots import Html, power
from tinygrad_edu.lecture import lesson_page
from tinygrad_edu.lecture.formulas import ACTIVATIONS, deep_net
from tinygrad_edu.lecture.lesson_page import table
from tinygrad_edu.lecture.nets import deep_network
from tinygrad_edu.lecture.report import Report
from tinygrad_edu.words import Words
from tinygrad_edu.words.bidi import apart

UNITS = 16
EXAMPLES = 20
DEPTHS = (2, 5, 10, 20)
MIDDLE = 'class="mw"'


def run(report: Report) -> None:
    """‖dW‖ of the first layer against depth, and of every layer of the deepest net."""
    rng = np.random.default_rng(9)
    X = rng.normal(size=(UNITS, EXAMPLES))
    Y = (rng.random((1, EXAMPLES)) < 0.5).astype(float)
    norms: dict[str, dict[int, list[float]]] = {g: {} for g in ACTIVATIONS}
    by_hand: dict[str, list[float]] = {g: [] for g in ACTIVATIONS}
    for depth in DEPTHS:
        # ReLU halves the variance: He's weights √(2/n) keep it, and are used for all four alike.
        Ws = [rng.normal(size=(UNITS, UNITS)) * np.sqrt(2 / UNITS) for _ in range(depth - 1)]
        Ws.append(rng.normal(size=(1, UNITS)) * np.sqrt(2 / UNITS))
        for g in ACTIVATIONS:
            J, weights = deep_network(X, Y, Ws, getattr(tg, g))
            J.backward()
            norms[g][depth] = [float(np.linalg.norm(W.grad)) for W in weights]
            by_hand[g] += [float(np.linalg.norm(dW)) for dW in deep_net(X, Y, Ws, g)]
            if depth == DEPTHS[1] and g == "sigmoid":
                report.picture(f"{g}_depth_{depth}", J)
    deepest = DEPTHS[-1]
    report.table(
        "‖dW¹‖ of the first layer against depth", ("depth", *ACTIVATIONS),
        [(depth, *(norms[g][depth][0] for g in ACTIVATIONS)) for depth in DEPTHS],
    )  # fmt: skip
    lines = report.agree(
        "log₁₀‖dW‖ of every layer at every depth",
        [(g, np.log10(by_hand[g]), np.log10([norm for depth in DEPTHS for norm in norms[g][depth]]))
         for g in ACTIVATIONS],
    )  # fmt: skip
    first = {g: norms[g][deepest][0] for g in ACTIVATIONS}
    report.check(
        "sigmoid's gradient vanishes, ReLU's does not", first["sigmoid"] < 1e-6 * first["relu"]
    )
    if report.page is not None:
        words = report.words
        labels = [words.said("s9.frame", {"depth": depth}) for depth in DEPTHS]
        report.show(
            {
                "labels": Html(html.escape(json.dumps(labels, ensure_ascii=False))),
                "last": str(len(DEPTHS) - 1), "units": UNITS, "examples": EXAMPLES,
                "bars": Html("".join(_bars(words, g, norms[g]) for g in ACTIVATIONS)),
                "first": _first(words, norms),
                "ways": lesson_page.judged(words, lines, words["s9.ways"]),
            }
        )  # fmt: skip


# --- the page -------------------------------------------------------------------------------------


def _bars(words: Words, g: str, norms: dict[int, list[float]]) -> str:
    """The norm of dW in every layer, a frame for each depth."""
    plot = plots.Plot((52, 34, 340, 150), (0, 20), (-10, 0.3), log=True)
    body = plot.axes((), (-10, -8, -6, -4, -2, 0), y_text=power)
    for i, depth in enumerate(DEPTHS):
        kind = ' class="show"' if i == len(DEPTHS) - 1 else ""
        width = plot.w / depth
        drawn = ""
        for layer, norm in enumerate(norms[depth]):
            top = plot.down(norm)
            if np.isfinite(top):
                drawn += (
                    f'<rect x="{plot.x + (layer + 0.12) * width:.1f}" y="{top:.1f}" '
                    f'width="{width * 0.76:.1f}" height="{plot.y + plot.h - top:.1f}" class="bar"/>'
                )
        said = f"{words['s9.firstlayer']} {plots.size(norms[depth][0])}"
        said = apart(said) if words.direction == "rtl" else said
        drawn += plots.text(plot.x + width / 2, 206, "1", "mut")
        drawn += plots.text(plot.x + plot.w - width / 2, 206, str(depth), "mut")
        drawn += plots.text(392, 22, said, "b", "end", 17)
        body += f'<g data-show="{i}"{kind}>{drawn}</g>'
    body += plots.text(222, 206, words["s9.layer"], "mut")
    name = words[f"s9.{g}"]
    title = words.said("s9.bars", {"name": name})
    return f'<div class="card"><h3>{name}</h3>{plots.svg(400, 214, body, title, more=MIDDLE)}</div>'


def _first(words: Words, norms: dict[str, dict[int, list[float]]]) -> Html:
    head = [words["s9.depthd"], *(words[f"s2.{g}"] for g in ACTIVATIONS), words["s9.bound"]]
    rows = [
        (
            str(depth),
            *(plots.size(norms[g][depth][0]) for g in ACTIVATIONS),
            plots.size(0.25 ** (depth - 1)),
        )
        for depth in DEPTHS
    ]
    return table(head, rows, words["s9.first"])
