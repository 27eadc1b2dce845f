"""S6: forward and backward over m examples."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.drawing.plots import Html, number
from tinygrad_edu.lecture import lesson_page
from tinygrad_edu.lecture.formulas import ACTIVATIONS, two_layers
from tinygrad_edu.lecture.lesson_page import matrix, table
from tinygrad_edu.lecture.report import Report
from tinygrad_edu.lecture.template import FOLDER, fill
from tinygrad_edu.lecture.tex import math

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


def run(report: Report) -> None:
    """The six rules in both scales, and in the lecture's for every activation."""
    report.sheet("S6_tanh", "tanh in layer 1", convention="lecture")
    _, lines = report.sheet(
        "S6_calculus", "all of them derivatives of J", convention="calculus", brief=True
    )
    folded = [lesson_page.judged(report.words, lines, report.words["s6.calculus"], brief=True)]
    for g in ACTIVATIONS:
        if g != "tanh":
            title = f"{g} in layer 1"
            _, lines = report.sheet(f"S6_{g}", title, convention="lecture", brief=True)
            caption = report.words.said("s6.in_layer", {"name": g})
            folded.append(lesson_page.judged(report.words, lines, caption, brief=True))
    board, lines = report.sheet(
        "S6_board", "three examples", "lecture", numbers={"X": X, "Y": Y, **PARAMETERS}, brief=True
    )
    assert board.judged is not None
    J = board.judged.sheet.cost
    J.backward()
    report.derived(J)
    hand = two_layers(X, Y, **PARAMETERS)
    if report.page is not None:
        words = report.words
        six = (FOLDER / "s6six.html").read_text("utf-8")
        symbols = {"n0": "n^{[0]}", "n1": "n^{[1]}", "m": "m"}
        sizes = {"n0": str(len(X)), "n1": str(len(hand["Z1"])), "m": str(X.shape[1])}
        report.show(
            {
                **_entries(hand), **_products(hand),
                "six_s": fill(six, words, symbols), "six_n": fill(six, words, sizes),
                "scales": _scales(report, hand, J),
                "ways": lesson_page.judged(words, lines, words["s6.ways"], brief=True),
                "others": Html("".join(folded)),
                "explained": lesson_page.explained(words, tg.derive(J)),
            }
        )  # fmt: skip
    report.picture("tanh", J, "lecture")


def _entries(hand: dict[str, Any]) -> dict[str, float]:
    """Every entry of every array by name and place, for the picture of the net."""
    arrays = {**hand, **PARAMETERS, "X": X, "Y": Y}
    found = {"J": float(hand["J"])}
    for name, a in arrays.items():
        for place, entry in np.ndenumerate(a):
            found["_".join([name, *map(str, place)])] = float(entry)
    return found


def _products(hand: dict[str, Any]) -> dict[str, str]:
    """dW¹ example by example: outer products, and the sums of the first of them."""
    dZ, m = hand["dZ1"], X.shape[1]
    outer = [np.outer(dZ[:, i], X[:, i]) for i in range(m)]
    found = {}
    for i, product in enumerate(outer, start=1):
        found[f"dz_{i}"], found[f"x_{i}"] = matrix(dZ[:, [i - 1]], 2), matrix(X[:, [i - 1]].T, 1)
        found[f"product_{i}"] = matrix(product, 2)
    states = [*np.cumsum(outer, axis=0), hand["dW1"]]
    rows = ""
    for row in range(len(dZ)):
        texts = [[number(a[row, j], 3 if a is states[-1] else 2) for a in states] for j in (0, 1)]
        cells = (f"<mtd><mn data-st='{json.dumps(t)}'>{t[m - 1]}</mn></mtd>" for t in texts)
        rows += f"<mtr>{''.join(cells)}</mtr>"
    return found | {"sums": Html(f"<math dir='ltr'><mtable class='mat'>{rows}</mtable></math>")}


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
