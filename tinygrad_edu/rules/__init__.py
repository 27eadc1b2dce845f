"""From a graph to the lecture's lines: formulas, their simplification, their notation."""

from tinygrad_edu.rules.collapse import Collapsed, collapse
from tinygrad_edu.rules.derivation import Derivation, Rule, derive

__all__ = ["Collapsed", "Derivation", "Rule", "collapse", "derive"]
