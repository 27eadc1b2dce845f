"""What is known of a line whose mistake has no name: shapes, a ratio, which terms agree."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_edu.diagnosis import statements as say
from tinygrad_edu.diagnosis.claims import Claim
from tinygrad_edu.diagnosis.evidence import Case
from tinygrad_edu.diagnosis.parts import summands
from tinygrad_edu.sheets.syntax import walk

#: More differences between line and correction than this are not told one by one.
_MOST_PAIRS = 3


def facts(case: Case) -> list[Claim]:
    """What holds of a line, most telling first; the last two where nothing else does."""
    known = [claim for claim in _candidates(case) if claim.holds(case)][:_MOST_PAIRS]
    return known or [
        claim for claim in (say.only_numbers(), say.no_constant()) if claim.holds(case)
    ]


def _candidates(case: Case) -> Iterator[Claim]:
    there = case.truths[-1].shape
    if case.lines[-1] is None:
        yield say.not_computable(there)
        return
    if not case.fits:
        yield say.shapes(np.shape(case.lines[-1]), there)
        return
    pairs = case.pairs
    for p in pairs if len(pairs) <= _MOST_PAIRS else ():
        if p.kind == "terms":
            yield from (say.lacks_term(t) for t, _ in p.lost)
            yield from (say.extra_term(t) for t, _ in p.extra)
        else:
            yield say.differs_in(p.b, p.a)
    for rule in case.rules[:1]:
        mine = walk(case.line)
        yield from (say.term_right(t) for t in summands(case.context, rule)[:6] if t in mine)
