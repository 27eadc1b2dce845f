"""S4: the scalar network, unit by unit."""

from __future__ import annotations

from tinygrad_edu.lecture.report import Report

TITLE = "The scalar network, unit by unit"
SAYS = (
    "Three layers of sigmoid units with the loss −(y log a + (1−y) log(1−a)): every rule is the "
    "rule before it times one local derivative, and where a unit feeds two others the two paths "
    "add up. The slide's line for dz1_1 is kept as written (`slide`); it does not match, and the "
    "checker tries what would make it right at random points to say which factor it lacks."
)


def run(report: Report) -> None:
    """The lecture's lines; the slide's dz1_1 judged and corrected; the complete rule."""
    result = report.sheet("S4", "the lecture's lines", wrong=("slide",))
    [slide] = (row for row in result.rows if row.name == "slide")
    found = slide.diagnosis is not None and slide.diagnosis.correction is not None
    report.check("what the slide's line lacks is found", found)
