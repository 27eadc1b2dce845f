"""S4: the scalar network, unit by unit."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.lecture.hypotheses import missing_factor
from tinygrad_edu.lecture.report import Report

TITLE = "The scalar network, unit by unit"
SAYS = (
    "Three layers of sigmoid units with the loss −(y log a + (1−y) log(1−a)): every "
    "rule is the rule before it times one local derivative, and where a unit feeds two others the "
    "two paths add up. The slide's line for dz1_1 is kept as written; it does not match, and a "
    "test of hypotheses says which factor it lacks."
)

#: The lecture's lines; each may read those above it. σ'(z) = a (1 − a).
LINES: dict[str, Any] = {
    "dz1_3": lambda a1_3, y: a1_3 - y,
    "dw11_3": lambda dz1_3, a1_2: dz1_3 * a1_2,
    "dw12_3": lambda dz1_3, a2_2: dz1_3 * a2_2,
    "db1_3": lambda dz1_3: dz1_3 * 1,
    "dz1_2": lambda dz1_3, w11_3, a1_2: dz1_3 * w11_3 * a1_2 * (1 - a1_2),
    "dz2_2": lambda dz1_3, w12_3, a2_2: dz1_3 * w12_3 * a2_2 * (1 - a2_2),
    "dw11_2": lambda dz1_2, a1_1: dz1_2 * a1_1,
    "dw12_2": lambda dz1_2, a2_1: dz1_2 * a2_1,
    "dw21_2": lambda dz2_2, a1_1: dz2_2 * a1_1,
    "dw22_2": lambda dz2_2, a2_1: dz2_2 * a2_1,
    "db1_2": lambda dz1_2: dz1_2,
    "db2_2": lambda dz2_2: dz2_2,
}


def _fan_out(dz1_2: Any, w11_2: Any, dz2_2: Any, w21_2: Any) -> Any:
    return dz1_2 * w11_2 + dz2_2 * w21_2


AS_THE_SLIDE_HAS_IT = {**LINES, "dz1_1": _fan_out}
COMPLETED: dict[str, Any] = {
    **LINES,
    "da1_1": _fan_out,
    "dz1_1": lambda da1_1, a1_1: da1_1 * a1_1 * (1 - a1_1),
    "dw11_1": lambda dz1_1, x1: dz1_1 * x1,
    "dw12_1": lambda dz1_1, x2: dz1_1 * x2,
    "db1_1": lambda dz1_1: dz1_1,
}


def units(rng: np.random.Generator) -> tg.Value:
    """The loss of one example: two inputs, two units, two units, one; every number has its name."""
    v: dict[str, Any] = {
        "x1": tg.Value(rng.normal(), "x1", requires_grad=False),
        "x2": tg.Value(rng.normal(), "x2", requires_grad=False),
        # Between 0 and 1, so that both terms of the loss count.
        "y": tg.Value(rng.random(), "y", requires_grad=False),
    }
    before = ["x1", "x2"]
    for layer, count in ((1, 2), (2, 2), (3, 1)):
        for i in range(1, count + 1):
            z = tg.Value(rng.normal(), f"b{i}_{layer}")
            for j, a in enumerate(before, start=1):
                w = tg.Value(rng.normal(), f"w{i}{j}_{layer}")
                z = z + w * v[a]
            z.name = f"z{i}_{layer}"
            v[f"a{i}_{layer}"] = tg.sigmoid(z)
            v[f"a{i}_{layer}"].name = f"a{i}_{layer}"
        before = [f"a{i}_{layer}" for i in range(1, count + 1)]
    a, y = v["a1_3"], v["y"]
    L: tg.Value = -(y * tg.log(a) + (1 - y) * tg.log(1 - a))
    L.name = "L"
    return L


def run(report: Report) -> None:
    """The lecture's lines, the slide's dz1_1 judged, the factor found, the completed lines."""
    L = units(np.random.default_rng(4))
    report.compare("the lecture's lines", L, LINES, convention="calculus")
    slide = "dz1_1 = dz1_2 * w11_2 + dz2_2 * w21_2"
    report.compare(
        f"the slide's line as written: {slide}", L, AS_THE_SLIDE_HAS_IT,
        convention="calculus", wrong=("dz1_1",), only=("dz1_1",),
    )  # fmt: skip
    factor = missing_factor(units, "z1_1", AS_THE_SLIDE_HAS_IT)

    report.say(
        f"{slide} lacks the factor {factor}: of all values and local derivatives in "
        "the graph, the only one that makes it right at every point tried."
        if factor
        else "no single factor makes it right."
    )
    if factor is None:
        report.fail("dz1_1: the missing factor")
    report.compare(
        "with the factor put back; what the slide computes is da1_1", L, COMPLETED,
        convention="calculus", only=tuple(set(COMPLETED) - set(LINES)),
    )  # fmt: skip
    L.backward()
    report.picture("units", L)
