"""S7: the same for one example."""

from __future__ import annotations

from tinygrad_edu.lecture import lesson_page
from tinygrad_edu.lecture.formulas import two_layers
from tinygrad_edu.lecture.lesson_page import matrix
from tinygrad_edu.lecture.report import Report
from tinygrad_edu.lecture.s6_vectorised import PARAMETERS, RULES, X, Y


def run(report: Report) -> None:
    """The six rules at m = 1."""
    result, lines = report.sheet("S7", "tanh in layer 1")
    assert result.judged is not None
    if report.page is not None:
        hand = two_layers(X[:, :1], Y[:, :1], **PARAMETERS)
        ways = lesson_page.judged(report.words, lines, report.words["s7.ways"], True)
        report.show({**{name: matrix(hand[name], 3) for name in RULES}, "ways": ways})
    cost = result.judged.sheet.cost
    cost.backward()
    report.picture("network", cost, str(result.convention))
