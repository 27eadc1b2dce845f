"""Hand-derived formulas compared with the automatic gradients, and what to say when they differ."""

from tinygrad_edu.checking.comparison import (
    Comparison,
    assert_derivation,
    check_function,
    compare,
)
from tinygrad_edu.checking.formula import SheetError
from tinygrad_edu.checking.report import (
    Batch,
    SheetReport,
    check_sheet,
    check_sheets,
    check_text,
)
from tinygrad_edu.checking.sheet import Sheet, load_sheet

__all__ = [
    "Batch", "Comparison", "Sheet", "SheetError", "SheetReport",
    "assert_derivation", "check_function", "check_sheet", "check_sheets",
    "check_text", "compare", "load_sheet",
]  # fmt: skip
