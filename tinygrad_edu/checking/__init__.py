"""Hand-derived formulas compared with the automatic gradients, and what to say when they differ.

The names below are fetched when they are asked for: comparisons and reports stand above the room
diagnosis, everything else of this room below it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = {
    "comparison": ("Comparison", "assert_derivation", "check_function", "compare"),
    "formula": ("SheetError",),
    "report": ("Batch", "SheetReport", "check_sheet", "check_sheets", "check_text"),
    "sheet": ("Sheet", "load_sheet"),
}

__all__ = [
    "Batch", "Comparison", "Sheet", "SheetError", "SheetReport",
    "assert_derivation", "check_function", "check_sheet", "check_sheets",
    "check_text", "compare", "load_sheet",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"tinygrad_edu.checking.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
