"""Activations of today's networks, put together of other operations: a graph shows these.

The references are cited where the functions come from.
"""

from __future__ import annotations

import math
from typing import Any

from tinygrad_edu.core.ops.arithmetic import greater, where
from tinygrad_edu.core.ops.elementary import erfc
from tinygrad_edu.core.ops.elementwise import expm1, sigmoid
from tinygrad_edu.core.primitive import GradError, operand, own_errors

__all__ = ["elu", "gelu", "selu", "silu"]


@own_errors
def silu(x: Any) -> Any:
    """``x · σ(x)``, also called swish (Ramachandran, Zoph and Le, 2017).

    >>> tg.silu(0.0)
    0.0
    """
    x = operand(x)
    return x * sigmoid(x)


@own_errors
def gelu(x: Any, approximate: str = "none") -> Any:
    """``x · Φ(x)`` with the distribution function of the normal distribution (Hendrycks, 2016).

    Written ``½ x erfc(−x/√2)``, which keeps its digits where Φ is small. ``approximate="tanh"`` is
    the paper's ``½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))``, written with the sigmoid.

    Raises GradError for another `approximate`.

    >>> tg.gelu(0.0), tg.gelu(-20.0) == 0.0
    (0.0, False)
    """
    x = operand(x)
    if not isinstance(approximate, str) or approximate not in ("none", "tanh"):
        raise GradError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r:.60}")
    if approximate == "none":
        return 0.5 * x * erfc(x * (-1.0 / math.sqrt(2.0)))
    return x * sigmoid((2.0 * math.sqrt(2.0 / math.pi)) * (x + 0.044715 * x * x * x))


@own_errors
def elu(x: Any, alpha: float = 1.0) -> Any:
    """x above zero, ``alpha · (eˣ − 1)`` elsewhere (Clevert, Unterthiner and Hochreiter, 2015).

    The derivative is 1 above zero, ``alpha · eˣ`` elsewhere, at 0 too.

    >>> tg.elu(2.0), tg.elu(-1000.0)
    (2.0, -1.0)
    """
    x = operand(x)
    above = greater(x, 0.0)
    # What is not taken is kept where it is small: of e¹⁰⁰⁰ not even nothing is a number.
    return where(above, x, alpha * expm1(where(above, 0.0, x)))


@own_errors
def selu(x: Any) -> Any:
    """`elu` scaled so that layers keep mean 0 and variance 1 (Klambauer and others, 2017).

    >>> tg.selu(1.0)
    1.0507009873554805
    """
    return 1.0507009873554805 * elu(x, alpha=1.6732632423543772)
