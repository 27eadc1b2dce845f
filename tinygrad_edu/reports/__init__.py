"""What is said of a derivation: verdicts and diagnoses of a sheet, or of gradients handed in."""

from tinygrad_edu.reports.batch import Batch, check_sheets
from tinygrad_edu.reports.comparison import (
    Comparison,
    assert_derivation,
    check_function,
    compare,
)
from tinygrad_edu.reports.report import SheetReport, check_sheet, check_text

__all__ = [
    "Batch", "Comparison", "SheetReport", "assert_derivation", "check_function", "check_sheet",
    "check_sheets", "check_text", "compare",
]  # fmt: skip
