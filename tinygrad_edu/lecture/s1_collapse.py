"""S1: why a non-linear activation."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.drawing import plots
from tinygrad_edu.drawing.plots import Html, number
from tinygrad_edu.lecture import lesson_page
from tinygrad_edu.lecture.formulas import answers
from tinygrad_edu.lecture.lesson_page import matrix
from tinygrad_edu.lecture.nets import trained
from tinygrad_edu.lecture.report import Report
from tinygrad_edu.words import say

DEPTHS = (2, 10)
SQUARE = np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]])
XOR = np.array([[0.0, 1.0, 1.0, 0.0]])
SEED, ALPHA, STEPS = 3, 2.0, 300
#: A net small enough to be computed on paper.
SMALL: dict[str, Any] = {
    "w1": [[1.0, 2.0], [0.0, -1.0]], "b1": [[1.0], [2.0]], "w2": [[3.0, 1.0]], "b2": [[-1.0]],
    "x": [[1.0], [1.0]],
}  # fmt: skip


def run(report: Report) -> None:
    """Linear nets of two depths beside their collapsed form: outputs and derivatives agree."""
    report.sheet("S1", "two layers", brief=True)
    rng = np.random.default_rng(1)
    lines, found = [], []
    for depth in DEPTHS:
        widths = [3, *rng.integers(2, 6, size=depth).tolist()]
        Ws = [rng.normal(size=(n, before)) / 2 for before, n in pairwise(widths)]
        bs = [rng.normal(size=(n, 1)) for n in widths[1:]]
        X = rng.normal(size=(3, 7))  # 7 examples
        upstream = rng.normal(size=(widths[-1], 7))

        x = tg.Value(X, "x")
        a = x
        for layer, (W, b) in enumerate(zip(Ws, bs), start=1):
            a = tg.Value(W, f"w{layer}") @ a + tg.Value(b, f"b{layer}")
            a.name = f"a{layer}"
        L = tg.sum(tg.Value(upstream, "g", requires_grad=False) * a)
        L.name = "L"
        L.backward()

        w_one, b_one = np.eye(3), np.zeros((3, 1))
        for W, b in zip(Ws, bs):
            w_one, b_one = W @ w_one, W @ b_one + b
        one = tg.collapse(a, x)
        found.append(str(one))
        report.say(f"\ndepth {depth}: one layer, found in the graph:\n{one}")
        lines.append(
            report.agree(
                f"depth {depth}, widths {' '.join(map(str, widths))}: "
                f"w' {w_one.shape} and b' {b_one.shape}",
                [
                    (say("s1.depth", depth=depth, formula="w'"), w_one, one.weight),
                    (say("s1.depth", depth=depth, formula="b'"), b_one, one.bias),
                    (
                        say("s1.depth", depth=depth, formula="a = w' x + b'"),
                        w_one @ X + b_one,
                        a.data,
                    ),
                    (
                        say("s1.depth", depth=depth, formula="dx = w'ᵀ da"),
                        w_one.T @ upstream,
                        x.grad,
                    ),
                ],
                brief=depth != DEPTHS[0],
            )
        )
        if depth == DEPTHS[0]:
            report.picture(f"depth_{depth}", L)
    if report.page is not None:
        words = report.words
        report.show(
            {
                **_on_paper(), **_xor(report), "found": Html(found[-1].replace("\n", "<br>")),
                "depth": DEPTHS[-1],
                "ways": lesson_page.judged(words, lines[0]),
                "deepways": lesson_page.judged(words, lines[1]),
            }
        )  # fmt: skip


def _on_paper() -> dict[str, str]:
    """Two small layers as one, for the formulas."""
    x, w1, b1, w2, b2 = (tg.Value(SMALL[name], name) for name in ("x", "w1", "b1", "w2", "b2"))
    a1 = w1 @ x + b1
    a2 = w2 @ a1 + b2
    one = tg.collapse(a2, x)
    wx = (one.weight @ x.data).item()
    shown = {name: value.data for name, value in (("x", x), ("w1", w1), ("b1", b1), ("w2", w2),
             ("b2", b2), ("a1", a1), ("a2", a2))} | {"w": one.weight, "b": one.bias}  # fmt: skip
    formula = f"{wx:g} + {one.bias.item():g} = {wx + one.bias.item():g}"
    return {f"m_{name}": matrix(a, 0) for name, a in shown.items()} | {"m_one": formula}


def _xor(report: Report) -> dict[str, Any]:
    """A line, and what two nets learn from the four points."""
    words = report.words
    rng = np.random.default_rng(SEED)
    start = {
        "W1": rng.normal(size=(2, 2)), "b1": np.zeros((2, 1)),
        "W2": rng.normal(size=(1, 2)), "b2": np.zeros((1, 1)),
    }  # fmt: skip
    bent, costs = trained(SQUARE, XOR, start, ALPHA, STEPS)
    _, straight = trained(SQUARE, XOR, start, ALPHA, STEPS, g=lambda z: z)
    final = bent[-1]
    right = int(np.sum((answers(SQUARE, **final) > 0.5) == (XOR > 0.5)))
    report.check("XOR is learnt with tanh, not without", right == 4 and straight[-1] > 0.69)
    grid = plots.grid_of(lambda points: answers(points, **final), (-0.5, 1.5), (-0.5, 1.5))
    half = (
        '<clipPath id="cx"><rect x="40" y="16" width="300" height="300"/></clipPath>'
        '<g clip-path="url(#cx)"><path class="half reg" d="M190 16H340V316H190z"/>'
        '<path class="ln cont" d="M190 16V316"/></g>'
    )
    return {
        "line": plots.four_points(words["s1.linetitle"], lambda _: half, XOR[0]),
        "learned": plots.four_points(
            words["s1.learnedtitle"], lambda plot: plot.boundary(grid), XOR[0]
        ),
        "steps": STEPS, "tanh": number(costs[-1], 4), "tanh_right": right,
        "linear": number(straight[-1], 4),
    }  # fmt: skip
