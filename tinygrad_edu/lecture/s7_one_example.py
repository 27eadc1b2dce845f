"""S7: the same for one example."""

from __future__ import annotations

from tinygrad_edu.lecture.report import Report

TITLE = "One example"
SAYS = (
    "With m = 1 the sums over examples have one term and 1/m is 1: the six rules lose both. "
    "db is dz itself, and the two scales of dz are one."
)


def run(report: Report) -> None:
    """The six rules at m = 1."""
    report.sheet("S7", "tanh in layer 1")
