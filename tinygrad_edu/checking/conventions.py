"""The two scales of a gradient."""

from __future__ import annotations

from tinygrad_edu.calculus.axes import Examples
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.value import Value

CONVENTIONS = ("auto", "lecture", "calculus")


def check_convention(convention: str, examples: Examples | None) -> list[str]:
    """The conventions to judge in, the preferred one first.

    Raises GradError for an unknown one, and for the lecture's where there is no m.
    """
    if convention not in CONVENTIONS:
        raise GradError(f"convention is 'auto', 'lecture' or 'calculus', not {convention!r}")
    if convention == "lecture" and examples is None:
        raise GradError(
            "the lecture's convention needs m, the number of examples the cost divides its sum by, "
            "and none (or more than one) was found in the graph. Pass m= (--m M), or "
            "convention='calculus'"
        )
    if convention == "auto":
        return ["calculus"] if examples is None else ["calculus", "lecture"]
    return [convention]


def scales(node: Value, examples: Examples | None, convention: str) -> list[float]:
    """The factors of ``∂J/∂node`` in a convention."""
    if convention != "lecture" or examples is None:
        return [1.0]
    return examples.scales(node)
