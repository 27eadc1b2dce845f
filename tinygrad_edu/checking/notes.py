"""What is to be said of a line although it is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.checking.samples import Sample
from tinygrad_edu.sheets.evaluate import Evaluator
from tinygrad_edu.sheets.lines import Claim, Key
from tinygrad_edu.sheets.syntax import nodes, show
from tinygrad_edu.words import say, together

#: A number larger than this share of the terms it was added up from is known to some digits.
KNOWN = 1e-6


def joined(*notes: str | None) -> str | None:
    """Several notes as one; None for none."""
    said = [note for note in notes if note]
    return together("note.and", *said) if len(said) > 1 else said[0] if said else None


def of_nothing(
    samples: list[Sample], of: str, key: Key, cost: str, size: Callable[[int], Any]
) -> str | None:
    """A note where a gradient is 0 up to rounding on all samples; why, if that is seen.

    `of` and `key` say whose gradient, `size` gives the terms behind it on a sample.
    """

    def known(i: int, sample: Sample) -> bool:
        gradient = np.abs(sample.gradient(key))
        return sample.matters(key) or bool((gradient > KNOWN * size(i)).any())

    if any(known(i, sample) for i, sample in enumerate(samples)):
        return None
    reasons = [sample.cancelled(sample.graph.values[key]) for sample in samples]
    if reasons[0] is None or None in reasons:
        return say("note.rounding", of=of)
    above, axes = reasons[0]
    kind = "zero" if above.name else "zero_unnamed"
    along = say("note.axis" if len(axes) == 1 else "note.axes", axes=" and ".join(map(str, axes)))
    return say(f"note.{kind}", name=above.name, of=of, along=along, cost=cost)


def by_size(sample: Sample, claim: Claim) -> str | None:
    """A note where a line is right only because an axis happens to have length one."""
    with np.errstate(all="ignore"):
        evaluator = Evaluator(sample.run, sample.account)
        for _, e in nodes(claim.last.expr):
            if e.op != "*" and e.function != "multiply":
                continue
            shapes = [np.shape(evaluator.get(a)) for a in (*e.args[:2], e)]
            if all(len(s) == 2 for s in shapes) and shapes[2] not in shapes[:2]:
                return say("note.length_one", formula=show(e), one=shapes[0], other=shapes[1])
    return None
