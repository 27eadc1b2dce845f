"""S9: the vanishing gradient."""

from __future__ import annotations

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.lecture.formulas import ACTIVATIONS, deep_net
from tinygrad_edu.lecture.nets import deep_network
from tinygrad_edu.lecture.report import Report

TITLE = "The vanishing gradient"
SAYS = (
    "Every layer multiplies the gradient by wᵀ and by g'. A sigmoid's g' is at most 1/4, so "
    "through many layers the gradient shrinks geometrically; tanh's g' reaches 1, ReLU's is 1 "
    "where the unit is active. "
    "(The slide has the title only; the experiment is ours.)"
)
UNITS = 16
EXAMPLES = 20
DEPTHS = (2, 5, 10, 20)


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
            if depth == DEPTHS[1]:
                report.picture(f"{g}_depth_{depth}", J)
    deepest = DEPTHS[-1]
    report.table(
        "‖dW¹‖ of the first layer against depth", ("depth", *ACTIVATIONS),
        [(depth, *(norms[g][depth][0] for g in ACTIVATIONS)) for depth in DEPTHS],
    )  # fmt: skip
    report.table(
        f"‖dW‖ layer by layer, depth {deepest}", ("layer", *ACTIVATIONS),
        [(layer + 1, *(norms[g][deepest][layer] for g in ACTIVATIONS)) for layer in range(deepest)],
    )  # fmt: skip
    report.agree(
        "log₁₀‖dW‖ of every layer at every depth",
        [(g, np.log10(by_hand[g]), np.log10([norm for depth in DEPTHS for norm in norms[g][depth]]))
         for g in ACTIVATIONS],
    )  # fmt: skip
    report.curves(
        "norms", {g: norms[g][deepest] for g in ACTIVATIONS}, title=f"‖dW‖, depth {deepest}",
        x_label="layer", y_label="‖dW‖", first_x=1, log=True,
    )  # fmt: skip
    first = {g: norms[g][deepest][0] for g in ACTIVATIONS}
    report.check(
        "sigmoid's gradient vanishes, ReLU's does not", first["sigmoid"] < 1e-6 * first["relu"]
    )
