"""S7: the same for one example."""

from __future__ import annotations

from tinygrad_edu.lecture import lesson_page
from tinygrad_edu.lecture.formulas import two_layers
from tinygrad_edu.lecture.lesson_page import matrix, table
from tinygrad_edu.lecture.report import Report
from tinygrad_edu.lecture.s6_vectorised import PARAMETERS, X, Y
from tinygrad_edu.lecture.tex import math

TITLE = "One example"
SAYS = (
    "With m = 1 the sums over examples have one term and 1/m is 1: the six rules lose both. "
    "db is dz itself, and the two scales of dz are one."
)

_MEAN = r"\strike{\frac{1}{m}}"
_SUM = (
    r"\strike{\frac{1}{m}\operatorname{np.sum}}(dZ^{[LAYER]}"
    r"\strike{,\ \operatorname{axis}=1,\ \dots})"
)
#: Each rule over m examples, what falls away struck out, and what is left.
RULES = {
    "dZ2": ("dZ^{[2]} = A^{[2]} - Y", "dz^{[2]} = a^{[2]} - y"),
    "dW2": (rf"dW^{{[2]}} = {_MEAN}\,dZ^{{[2]}}A^{{[1]\top}}", r"dw^{[2]} = dz^{[2]}a^{[1]\top}"),
    "db2": (f"db^{{[2]}} = {_SUM.replace('LAYER', '2')}", "db^{[2]} = dz^{[2]}"),
    "dZ1": (r"dZ^{[1]} = W^{[2]\top}dZ^{[2]} * g^{[1]}'(Z^{[1]})",
            r"dz^{[1]} = w^{[2]\top}dz^{[2]} * g^{[1]}'(z^{[1]})"),
    "dW1": (rf"dW^{{[1]}} = {_MEAN}\,dZ^{{[1]}}X^\top", r"dw^{[1]} = dz^{[1]}x^\top"),
    "db1": (f"db^{{[1]}} = {_SUM.replace('LAYER', '1')}", "db^{[1]} = dz^{[1]}"),
}  # fmt: skip


def run(report: Report) -> None:
    """The six rules at m = 1."""
    result, lines = report.sheet("S7", "tanh in layer 1")
    assert result.judged is not None
    if report.page is not None:
        words = report.words
        hand = two_layers(X[:, :1], Y[:, :1], **PARAMETERS)
        rows = [
            (math(many), math(one), math(matrix(hand[name], 3)))
            for name, (many, one) in RULES.items()
        ]
        head = [words["s7.many"], words["s7.one"], words["s7.number"]]
        report.show(
            {
                "rules": table(head, rows, words["s7.caption"], left=(0, 1)),
                "ways": lesson_page.judged(words, lines, words["s7.ways"]),
            }
        )
    cost = result.judged.sheet.cost
    cost.backward()
    report.picture("network", cost)
