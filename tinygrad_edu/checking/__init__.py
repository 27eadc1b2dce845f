"""Hand-derived formulas compared with the automatic gradients, and what to say when they differ."""

from tinygrad_edu.checking.comparison import Comparison, compare

__all__ = ["Comparison", "compare"]
