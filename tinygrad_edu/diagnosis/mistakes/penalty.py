"""The share of the cost's penalty in the gradient of a parameter."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from tinygrad_edu.diagnosis import statements as say
from tinygrad_edu.diagnosis.claims import Finding
from tinygrad_edu.diagnosis.evidence import Case, Numbers
from tinygrad_edu.diagnosis.parts import summands
from tinygrad_edu.sheets.syntax import Expr

#: Sums of more terms are not looked through.
_MOST_TERMS = 6


def penalty(case: Case) -> Iterator[Finding]:
    """A share that is missing, another one, or one where the cost has no penalty."""
    if case.of not in case.roles.parameters or not case.fits:
        return
    share = case.penalty
    if share is None:
        yield from _without_penalty(case)
        return
    name = case.of[0]
    text = _written(case, share)
    has = say.has_penalty(case.penalty_terms[0], name)
    data = case.minus(case.truths, share)
    rest = case.minus(case.lines, data)
    if text is not None:
        yield Finding("missing_reg_term", (has, say.share_missing(text)))
    for term in case.penalty_terms:
        part = _written(case, case.penalty_of([term]) or [])
        if part is not None:
            claims = (say.has_penalty(term, name), say.share_missing(part))
            yield Finding("missing_reg_term", claims)
    is_share = () if text is None else (say.is_share(text),)
    ratio = case.ratio(rest, share)
    yield Finding("reg_sign", (has, *is_share, say.share_subtracted()))
    if ratio is not None:
        yield Finding("reg_factor", (has, *is_share, say.share_times(case.constant(ratio))))
    yield from _other_share(case, text, share, data)


def _without_penalty(case: Case) -> Iterator[Finding]:
    none = say.no_penalty(case.of[0])
    for t in summands(case.context, case.line):
        if case.roles.ratio(t, case.name(case.of)) is not None:
            yield Finding("reg_on_bias", (none, say.without(t)))


def _other_share(case: Case, text: Expr | None, share: Numbers, data: Numbers) -> Iterator[Finding]:
    """Terms of the line that are the data's share, and others that are not the penalty's."""
    mine = summands(case.context, case.line)[:_MOST_TERMS]
    opposite = [-d for d in data]
    for n in range(len(mine) - 1, 0, -1):
        for chosen in itertools.combinations(mine, n):
            others = [t for t in mine if t not in chosen]
            if not others:
                continue
            total, rest = case.total(chosen), case.summed(others)
            if case.equal(total, opposite) and case.equal(case.total(others), share):
                turned = case.summed(list(chosen))
                yield Finding(
                    "sign", (say.with_for(case.make("neg", turned), turned), say.is_share(rest))
                )
                yield Finding("sign", (say.is_share(rest), say.opposite_rest(rest)))
            if text is None or not _meant(case, others):
                continue
            not_it = say.share_is_not(f"d{case.of[0]}", text, rest)
            if case.equal(total, data):
                yield Finding("reg_term_wrong", (not_it,))
            if case.equal(total, opposite):
                yield Finding("reg_term_wrong", (not_it, say.opposite_rest(rest)))


def _meant(case: Case, terms: list[Expr]) -> bool:
    """Do terms read the parameter, so that they can be meant as its penalty's share?"""
    context = case.context
    return any(case.of in t.names for t in terms) or all(
        case.roles.of_parameters(t) or context.constant(t) is not None for t in terms
    )


def _written(case: Case, share: Numbers) -> Expr | None:
    """The penalty's share in the learner's names: terms of the rule, else of the correction."""
    for whole in (*case.rules, *case.corrections) if share else ():
        terms = summands(case.context, whole)
        for n in (1, 2):
            for chosen in itertools.combinations(terms, n):
                if case.equal(case.total(chosen), share):
                    return case.summed(list(chosen))
    return None
