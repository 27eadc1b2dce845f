"""Several paths to the cost: a term lost, or one counted twice."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from tinygrad_edu.diagnosis import advice
from tinygrad_edu.diagnosis import statements as say
from tinygrad_edu.diagnosis.claims import Claim, Finding
from tinygrad_edu.diagnosis.evidence import Case
from tinygrad_edu.diagnosis.parts import summands
from tinygrad_edu.sheets.syntax import Expr

#: Rules of more terms are not looked through.
_MOST_TERMS = 6


def use(case: Case) -> Iterator[Finding]:
    """A line that lacks no term to be seen, but what one use of its quantity adds."""
    masked = any(x.masking and x.before == case.of for x in case.context.activations)
    if [pair.kind for pair in case.pairs] != ["terms"] and not masked:
        yield Finding("missing_fan_out_term", (say.lacks_use(case.of[0], case.uses()),))


def terms(case: Case) -> Iterator[Finding]:
    """Terms that the line has too few or too many."""
    pairs = case.pairs
    if len(pairs) == 1 and pairs[0].kind == "terms":
        lost, extra = ([f for f, _ in part] for part in (pairs[0].lost, pairs[0].extra))
        several = case.forked[1] > 1 or case.normalised
        if lost:
            missing = say.lacks_term(case.summed(lost))
            followed = any(
                case.roles.is_gradient_like(f)
                for t in lost
                for f, _ in case.differences.factors(t)[1]
            )
            if several or followed:
                yield from _missing(case, missing, lost)
            yield Finding("other", (missing,))
        if extra:
            many = say.extra_term(case.summed(extra))
            assert case.fixed is not None
            right = summands(case.context, case.fixed)
            twice = any(case.same(e, t) for e in extra for t in right)
            yield Finding(
                "double_counted_path" if twice or several else "other", (many,), _why(case)
            )
    yield from some_of_the_rule(case)


def _missing(case: Case, claim: Claim, lost: list[Expr]) -> Iterator[Finding]:
    share = case.total(lost)
    if not any(case.equal(share, other) for other in case.shares):
        claims = (claim, say.is_normalised(case.of[0]))
        yield Finding("batchnorm_missing_term", claims, advice=advice.NORMALISED)
    yield Finding("missing_fan_out_term", (claim,), _why(case))


def _why(case: Case) -> tuple[Claim, ...]:
    return (say.read_often(*case.forked),)


def some_of_the_rule(case: Case) -> Iterator[Finding]:
    """The line is the sum of some terms of the rule: the others are missing."""
    if not case.fits or case.uses() < 2:
        return
    for rule in (*case.rules, *case.corrections):
        parts = summands(case.context, rule)
        if not 2 <= len(parts) <= _MOST_TERMS:
            continue
        for n in range(1, len(parts)):
            for chosen in itertools.combinations(parts, n):
                if case.equal(case.total(chosen), case.lines):
                    left = [t for t in parts if t not in chosen]
                    yield from _missing(case, say.lacks_term(case.summed(left)), left)
