"""Which names claim a gradient: the spellings that count, and names that only look like one."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping

from tinygrad_edu.sheets.vocabulary import looks

#: What a cost may be called, the one looked for first in front.
COSTS = ("J", "L", "cost", "loss", "E")
#: The gradient of Q, as people write it: dQ, d_Q, dJ_dQ, dJdQ, grad_Q, Q_grad.
_SPELLINGS = tuple(
    re.compile(spelling)
    for spelling in (
        r"d(.+)", r"d_(.+)", rf"d(?:{'|'.join(COSTS)})_?d(.+)", r"grad_(.+)", r"(.+)_grad",
    )
)  # fmt: skip
#: A quantity rather than a word: W1, Zhat, h, x_2; so that `delta` is not taken for "d of elta",
#: nor dA_dZ, a factor of the chain rule, for a gradient.
_QUANTITY = re.compile(r"(?!\w*_d)[A-Z]\w*|[a-z]_?\d*")


def claimed(name: str, known: Container[str]) -> str | None:
    """The known quantity whose gradient a name claims to be; None for any other name.

    >>> claimed("dW1", {"W1"}), claimed("dJ_dW1", {"W1"}), claimed("W1_grad", {"W1"})
    ('W1', 'W1', 'W1')
    >>> claimed("dw1", {"W1"})
    """
    return next((of for of in _stems(name) if of in known), None)


def look_alikes(known: Iterable[str]) -> dict[str, str]:
    """What the claims of known quantities look like, and which quantity it is."""
    return {looks(spelling): of for of in known for spelling in _spellings(of)}


def doubt(name: str, alike: Mapping[str, str]) -> str | None:
    """What is to be said of a name that looks like a claim and is none; None for any other name.

    >>> known = look_alikes(["W1", "X"])
    >>> doubt("dw1", known)
    'there is no w1; did you mean dW1?'
    >>> doubt("dJ_dW3", known)
    'there is no W3'
    >>> doubt("delta", known)
    """
    stems = _stems(name)
    of = alike.get(looks(name))
    if of is not None:
        return f"there is no {stems[-1] if stems else name}; did you mean d{of}?"
    missing = [stem for stem in stems if _QUANTITY.fullmatch(stem)]
    return f"there is no {missing[-1]}" if missing else None


def _stems(name: str) -> list[str]:
    return [match[1] for pattern in _SPELLINGS if (match := pattern.fullmatch(name))]


def _spellings(of: str) -> list[str]:
    return [f"d{of}", f"grad_{of}", f"{of}_grad", *(f"d{cost}_d{of}" for cost in COSTS)]
