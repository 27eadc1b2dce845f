"""What is said beside verdicts: of lines that are right, and of lines that nobody judges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.checking.samples import Sample
from tinygrad_edu.core.sweep import reachable
from tinygrad_edu.sheets.claims import claimed, doubt, look_alikes
from tinygrad_edu.sheets.evaluate import Evaluator
from tinygrad_edu.sheets.lines import Claim, Key
from tinygrad_edu.sheets.sheet import Sheet
from tinygrad_edu.sheets.syntax import show, walk
from tinygrad_edu.words import say, together

#: A number larger than this share of the terms it was added up from is known to some digits.
KNOWN = 1e-6


def joined(*notes: str | None) -> str | None:
    """Several notes as one; None for none."""
    said = [note for note in notes if note]
    return together("note.and", *said) if len(said) > 1 else said[0] if said else None


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
    reasons = [sample.cancelled(sample.graph.node(key)) for sample in samples]
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
        for e in walk(claim.last.expr):
            if e.op != "*" and e.function != "multiply":
                continue
            shapes = [np.shape(evaluator.get(a)) for a in (*e.args[:2], e)]
            if all(len(s) == 2 for s in shapes) and shapes[2] not in shapes[:2]:
                return say("note.length_one", formula=show(e), one=shapes[0], other=shapes[1])
    return None


# --- lines that look like claims and are not judged ----------------------------------------------


def remarks_on(sheet: Sheet) -> list[str]:
    """Remarks on the lines of a sheet that nobody judges."""
    said = [] if sheet.claims or sheet.jacobians else [say("remark.nothing")]
    return said + _too_early(sheet) + _misnamed(sheet)


def _too_early(sheet: Sheet) -> list[str]:
    """Lines that look like claims but stand above the cost, where nothing is judged."""
    used = set(reachable(sheet.cost, every=True))
    known = {*sheet.givens, *(statement.name for statement in sheet.forward)}
    return [
        say("remark.above", name=s.name, line=s.line, cost=sheet.cost_name)
        for s in sheet.above_cost
        if claimed(s.name, known) and not any(sheet.main.values[s.key] is node for node in used)
    ]


def _misnamed(sheet: Sheet) -> list[str]:
    """Lines below the cost that look like claims and fit no quantity: dZl where there is a Z1."""
    known = {*sheet.givens, *(statement.name for statement in sheet.above_cost)}
    alike = look_alikes(sorted(known - {claim.of for claim in sheet.claims.values()}))
    found = {}
    for statement in sheet.forward[len(sheet.above_cost) :] + sheet.backward:
        name = statement.name
        if name not in known and claimed(name, known) is None:
            why = doubt(name, alike)
            if why is not None:
                found[name] = say("remark.misnamed", name=name, line=statement.line, why=why)
    return list(found.values())
