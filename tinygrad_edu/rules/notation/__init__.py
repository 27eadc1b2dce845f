"""A laid-out formula in its notations: terminal text, LaTeX and MathML, NumPy; and its number."""

from tinygrad_edu.rules.notation.base import LONGEST_ARRAY, array_text
from tinygrad_edu.rules.notation.evaluating import evaluate
from tinygrad_edu.rules.notation.latex import LaTeX, latex_name
from tinygrad_edu.rules.notation.mathml import MathML, math
from tinygrad_edu.rules.notation.names import Names
from tinygrad_edu.rules.notation.python import NumPy, OneLine
from tinygrad_edu.rules.notation.text import Text

__all__ = [
    "LONGEST_ARRAY", "LaTeX", "MathML", "Names", "NumPy", "OneLine", "Text", "array_text",
    "evaluate", "latex_name", "math",
]  # fmt: skip
