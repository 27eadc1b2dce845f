"""Why a line is as it is: as data, and as text, MathML and a piece of a web page."""

from tinygrad_edu.rules.why.data import Why
from tinygrad_edu.rules.why.explaining import Explainer

__all__ = ["Explainer", "Why"]
