"""S6: forward and backward over m examples."""

from __future__ import annotations

from tinygrad_edu.lecture.formulas import ACTIVATIONS
from tinygrad_edu.lecture.report import Report

TITLE = "Vectorised: m examples at once"
SAYS = (
    "Examples are columns, and six lines give all derivatives of a net with two layers. "
    "In the lecture's scale dZ belongs to the sum of the losses and dW, db to their mean, so the "
    "automatic ∂J/∂Z is dZ / m; both scales are shown, each under its name."
)


def run(report: Report) -> None:
    """The six rules in both scales, and in the lecture's for every activation."""
    report.sheet("S6_tanh", "tanh in layer 1", convention="lecture")
    report.sheet("S6_calculus", "all of them derivatives of J", convention="calculus")
    for g in ACTIVATIONS:
        if g != "tanh":
            report.sheet(f"S6_{g}", f"{g} in layer 1", convention="lecture", picture=False)
