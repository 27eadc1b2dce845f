"""S4: the scalar network, unit by unit."""

from __future__ import annotations

import html
from typing import Any

from tinygrad_edu.drawing.plots import Html
from tinygrad_edu.lecture import lesson_page
from tinygrad_edu.lecture.report import Report
from tinygrad_edu.lecture.ways import Line, rules_of

#: Numbers of one decimal, to be followed on the board; S3 uses them too.
NUMBERS: dict[str, Any] = {
    "x1": 1.0, "x2": 0.5, "y": 1.0,
    "w11_1": 0.6, "w12_1": -0.4, "b1_1": 0.1, "w21_1": -0.3, "w22_1": 0.8, "b2_1": -0.2,
    "w11_2": 0.9, "w12_2": -0.5, "b1_2": 0.2, "w21_2": -0.7, "w22_2": 1.1, "b2_2": -0.1,
    "w11_3": 1.2, "w12_3": -0.8, "b1_3": 0.3,
}  # fmt: skip
#: The rows shown; the others are folded.
MAIN = ("dz1_3", "dw11_3", "dz1_2", "dz2_2", "dw11_2", "slide", "dz1_1")
EXPLAINED = ("z1_3", "w11_3", "z1_2", "a1_1", "z1_1")


def run(report: Report) -> None:
    """The lecture's lines; the slide's dz1_1 judged and corrected; the complete rule."""
    result, lines = report.sheet("S4", "the lecture's lines", wrong=("slide",), numbers=NUMBERS)
    [slide] = (row for row in result.rows if row.name == "slide")
    found = slide.diagnosis is not None and slide.diagnosis.correction is not None
    report.check("what the slide's line lacks is found", found)
    assert result.judged is not None
    sheet = result.judged.sheet
    if report.page is not None:
        rules = rules_of(sheet, list(EXPLAINED), str(result.convention))
        report.show(
            {
                **_numbers(sheet, lines),
                "mistake": slide.diagnosis.mistake if slide.diagnosis else "—",
                "correction": Html(html.escape(_corrected(slide))),
                "main": _table(report, lines, True), "others": _table(report, lines, False),
                "explained": lesson_page.explained(report.words, rules.values()),
            }
        )  # fmt: skip
    sheet.cost.backward()
    report.picture("network", sheet.cost)


def _corrected(slide: Any) -> str:
    correction = slide.diagnosis.correction if slide.diagnosis else None
    return (correction or "—").replace(f"{slide.name} =", f"d{slide.of} =")


def _numbers(sheet: Any, lines: list[Line]) -> dict[str, float]:
    """What the pictures and formulas show: values forward, derivatives by hand, σ' and paths."""
    found = {name: float(value.data) for name, value in sheet.values.items()}
    found |= {line.name: float(line.hand) for line in lines if line.name != "slide"}
    for name in [name for name in found if name.startswith("a")]:
        found[f"sp{name[1:]}"] = found[name] * (1 - found[name])
    found["path1"] = found["dz1_2"] * found["w11_2"]
    found["path2"] = found["dz2_2"] * found["w21_2"]
    return found


def _table(report: Report, lines: list[Line], main: bool) -> Html:
    chosen = [line for line in lines if (line.name in MAIN) == main]
    return lesson_page.judged(report.words, chosen, report.words["s4.main"] if main else "")
