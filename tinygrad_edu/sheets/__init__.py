"""The language of derivations on paper: read from Python's grammar, interpreted, never run.

In reading order: `syntax` (formulas as trees), `vocabulary` (what a formula may say), `reader`
(formulas read), `account` (how much work they may ask for), `applying` and `evaluate` (formulas
computed), `paper` (what paper writes and Python does not), `claims` (which names are gradients),
`lines`, `kept` (in dictionaries), `parsing`, `entries` (of arrays that are filled), `sheet`.
"""

from tinygrad_edu.sheets.sheet import Sheet, load_sheet
from tinygrad_edu.sheets.syntax import SheetError

__all__ = ["Sheet", "SheetError", "load_sheet"]
