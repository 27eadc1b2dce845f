"""The two scales of a gradient: which there are, and what is said of a line in another than its
table's.
"""

from __future__ import annotations

from tinygrad_edu.calculus.axes import Examples
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.value import Value
from tinygrad_edu.words import say

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


def of_data(of: str, factor: float, scales: list[float]) -> str | None:
    """What is said of the gradient of given data in a table of the lecture's scale; None of others.

    `factor` is that of the scale it is in, `scales` are those it may be in.
    """
    if len(set(scales)) < 2 or factor != 1.0:
        return None
    return say("note.data", of=of)


def moved(constant: float, of: str, convention: str) -> str:
    """What is said of a gradient that is a constant multiple, made up for by its readers."""
    kind = "opposite" if constant == -1 else "multiple_opposite" if constant < 0 else "multiple"
    scale = say(f"scale.{convention}")
    return say(f"note.{kind}", times=f"{abs(constant):.6g}", of=of, scale=scale)
