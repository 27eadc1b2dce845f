"""S6: forward and backward over m examples."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.lecture import lesson_page
from tinygrad_edu.lecture.formulas import ACTIVATIONS, two_layers
from tinygrad_edu.lecture.lesson_page import matrix, table
from tinygrad_edu.lecture.nets import network
from tinygrad_edu.lecture.report import Report
from tinygrad_edu.lecture.template import Html, number
from tinygrad_edu.lecture.tex import math
from tinygrad_edu.lecture.ways import lines_of_graph

TITLE = "Vectorised: m examples at once"
SAYS = (
    "Examples are columns, and six lines give all derivatives of a net with two layers. "
    "In the lecture's scale dZ belongs to the sum of the losses and dW, db to their mean, so the "
    "automatic ∂J/∂Z is dZ / m; both scales are shown, each under its name."
)
#: A net to be followed on the board: two inputs, three hidden units, three examples.
X = np.array([[1.0, 0.0, -1.0], [0.5, 2.0, 1.0]])
Y = np.array([[1.0, 0.0, 1.0]])
PARAMETERS: dict[str, Any] = {
    "W1": np.array([[0.4, -0.6], [0.8, 0.3], [-0.5, 0.7]]),
    "b1": np.array([[0.1], [-0.2], [0.0]]),
    "W2": np.array([[0.9, -0.7, 0.5]]),
    "b2": np.array([[0.2]]),
}
RULES = ("dZ2", "dW2", "db2", "dZ1", "dW1", "db1")

#: The six rules with their shapes: n0, n1 and m stand for a size, or its symbol.
SHAPED = (
    (
        r"\ub{\c{g}{dZ^{[2]}}}{1 \times {m}} = \ub{\c{v}{A^{[2]}}}{1 \times {m}} - "
        r"\ub{Y}{1 \times {m}}",
        r"\ub{dW^{[2]}}{1 \times {n1}} = \frac{1}{m}\,\ub{\c{g}{dZ^{[2]}}}{1 \times {m}}\,"
        r"\ub{\c{v}{A^{[1]\top}}}{{m} \times {n1}}",
        r"\ub{db^{[2]}}{1 \times 1} = \frac{1}{m}\,\operatorname{np.sum}(\ub{\c{g}{dZ^{[2]}}}"
        r"{1 \times {m}}, \operatorname{axis}=1, \operatorname{keepdims}=\operatorname{True})",
    ),
    (
        r"\ub{\c{g}{dZ^{[1]}}}{{n1} \times {m}} = \ub{\ub{\c{w}{W^{[2]\top}}}{{n1} \times 1}\,"
        r"\ub{\c{g}{dZ^{[2]}}}{1 \times {m}}}{dA^{[1]}:\ {n1} \times {m}} "
        r"\ub{*}{\text{elementwise}} \ub{\c{p}{g^{[1]}'(Z^{[1]})}}{{n1} \times {m}}",
        r"\ub{dW^{[1]}}{{n1} \times {n0}} = \frac{1}{m}\,\ub{\c{g}{dZ^{[1]}}}{{n1} \times {m}}\,"
        r"\ub{\c{v}{X^\top}}{{m} \times {n0}}",
        r"\ub{db^{[1]}}{{n1} \times 1} = \frac{1}{m}\,\operatorname{np.sum}(\ub{\c{g}{dZ^{[1]}}}"
        r"{{n1} \times {m}}, \operatorname{axis}=1, \operatorname{keepdims}=\operatorname{True})",
    ),
)


def run(report: Report) -> None:
    """The six rules in both scales, and in the lecture's for every activation."""
    report.sheet("S6_tanh", "tanh in layer 1", convention="lecture")
    _, lines = report.sheet(
        "S6_calculus", "all of them derivatives of J", convention="calculus", brief=True
    )
    folded = [lesson_page.judged(report.words, lines, report.words["s6.calculus"])]
    for g in ACTIVATIONS:
        if g != "tanh":
            title = f"{g} in layer 1"
            _, lines = report.sheet(f"S6_{g}", title, convention="lecture", brief=True)
            caption = report.words.said("s6.in_layer", {"name": g})
            folded.append(lesson_page.judged(report.words, lines, caption))
    J, _ = network(X, Y, **PARAMETERS)
    J.backward()
    hand = two_layers(X, Y, **PARAMETERS)
    report.derived(J)
    lines = lines_of_graph(
        J, {name: hand[name] for name in RULES}, {"dZ1": X.shape[1], "dZ2": X.shape[1]}
    )
    for line in lines:
        if not line.right:
            report.fail(f"three examples: {line.name}")
    if report.page is not None:
        words = report.words
        symbols = {"n0": "n^{[0]}", "n1": "n^{[1]}", "m": "m"}
        sizes = {"n0": str(len(X)), "n1": str(len(hand["Z1"])), "m": str(X.shape[1])}
        report.show(
            {
                **_entries(hand), "six_s": _six(report, symbols), "six_n": _six(report, sizes),
                "products": _products(report, hand), "scales": _scales(report, hand, J),
                "ways": lesson_page.judged(words, lines, words["s6.ways"]),
                "others": Html("".join(folded)),
                "explained": Html("".join(r.explanation.to_html() for r in tg.derive(J))),
            }
        )  # fmt: skip
    report.picture("tanh", J)


def _entries(hand: dict[str, Any]) -> dict[str, float]:
    """Every entry of every array by name and place, for the picture of the net."""
    arrays = {**hand, **PARAMETERS, "X": X, "Y": Y}
    found = {"J": float(hand["J"])}
    for name, a in arrays.items():
        for place, entry in np.ndenumerate(a):
            found["_".join([name, *map(str, place)])] = float(entry)
    return found


def _six(report: Report, sizes: dict[str, str]) -> Html:
    cards = []
    for half in SHAPED:
        lines = []
        for rule in half:
            for name, size in sizes.items():
                rule = rule.replace(f"{{{name}}}", size) if name != "m" else _put_m(rule, size)
            rule = rule.replace(
                r"\text{elementwise}", rf"\text{{{report.words['s6.elementwise']}}}"
            )
            lines.append(f"<div>{math(rule, True)}</div>")
        cards.append(
            f'<div class="card"><div class="eq lines" tabindex="0">{"".join(lines)}</div></div>'
        )
    return Html(f'<div class="cols six">{"".join(cards)}</div>')


def _put_m(rule: str, size: str) -> str:
    """m as a size; the m of 1/m stays."""
    return rule.replace(r"\frac{1}{m}", r"\frac{1}{M}").replace("{m}", size).replace("{M}", "{m}")


def _products(report: Report, hand: dict[str, Any]) -> Html:
    """dW¹ example by example: outer products, and what they add up to."""
    words = report.words
    dZ, m = hand["dZ1"], X.shape[1]
    outer = [np.outer(dZ[:, i], X[:, i]) for i in range(m)]
    sums = np.cumsum(outer, axis=0)
    shown = [f'<div class="o{" cur" if i == m - 1 else ""}" data-i="{i}"><small>'
             f"{words[f's6.example{i + 1}']}</small>"
             + math(rf"\ub{{\c{{g}}{{{matrix(dZ[:, [i]], 2)}}}}}{{dz^{{({i + 1})}}}} "
                    rf"\ub{{\c{{v}}{{{matrix(X[:, [i]].T, 1)}}}}}{{x^{{({i + 1})\top}}}} = "
                    + matrix(outer[i], 2)) + "</div>"
             for i in range(m)]  # fmt: skip
    states = [*sums, hand["dW1"]]
    rows = ""
    for place in range(len(dZ)):
        cells = ""
        for column in range(len(X)):
            texts = [number(a[place, column], 3 if a is states[-1] else 2) for a in states]
            data = json.dumps(texts, ensure_ascii=False)
            cells += f"<mtd><mn data-st='{data}'>{texts[m - 1]}</mn></mtd>"
        rows += f"<mtr>{cells}</mtr>"
    labels = [words[f"s6.{key}"] for key in ("after1", "after2", "after3", "divided")]
    data = json.dumps(labels, ensure_ascii=False)
    result = (
        '<div class="res"><span class="big" aria-hidden="true">→</span><div class="o">'
        f"<small data-lab='{data}' aria-live=\"polite\">{labels[m - 1]}</small><math dir='ltr'>"
        f"<mtable class='mat'>{rows}</mtable></math></div></div>"
    )
    plus = '<span class="big" aria-hidden="true">+</span>'
    return Html(plus.join(shown) + result)


def _scales(report: Report, hand: dict[str, Any], J: tg.Value) -> Html:
    """dZ² and dW² in both scales: the derived rule and its numbers."""
    words = report.words
    rules = {c: tg.derive(J, convention=c) for c in ("lecture", "calculus")}
    factors = {"lecture": 1.0, "calculus": 1 / X.shape[1]}
    rows = []
    for name in ("Z2", "W2"):
        cells = [math(f"d{name[0]}^{{[2]}}")]
        for convention, rule in rules.items():
            numbers = hand[f"d{name}"] * (factors[convention] if name == "Z2" else 1)
            formula = lesson_page.without_namespace(rule[name].mathml)
            cells.append(f"{formula} $= {matrix(numbers, 4)}$")
        rows.append([_formulas(cell) for cell in cells])
    head = ["", words["s6.lecture"], words["s6.calculus"]]
    return table(head, rows, words["s6.scalescaption"])


def _formulas(cell: str) -> str:
    before, _, rest = cell.partition("$")
    return before + (math(rest.rstrip("$")) if rest else "")
