"""S1: why a non-linear activation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.lecture.report import Report

TITLE = "Why a non-linear activation"
SAYS = (
    "With g(z) = z, a stack of layers a = w a + b is one layer a = w' x + b', with w' = w2 w1 and "
    "b' = w2 b1 + b2, however deep. "
    "So the derivative of a with respect to x is w' itself, the same at every x."
)
DEPTHS = (2, 10)


def run(report: Report) -> None:
    """Linear nets of two depths beside their collapsed form: outputs and derivatives agree."""
    report.sheet("S1", "two layers", picture=False)
    rng = np.random.default_rng(1)
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
        found = tg.collapse(a, x)
        report.say(f"\ndepth {depth}: one layer, found in the graph:\n{found}")
        report.agree(
            f"depth {depth}, widths {' '.join(map(str, widths))}: "
            f"w' {w_one.shape} and b' {b_one.shape}",
            [
                (f"depth {depth}: w'", w_one, found.weight),
                (f"depth {depth}: b'", b_one, found.bias),
                (f"depth {depth}: a = w' x + b'", w_one @ X + b_one, a.data),
                (f"depth {depth}: dx = w'ᵀ da", w_one.T @ upstream, x.grad),
            ],
        )
        report.picture(f"depth_{depth}", L)
