"""Lines that are right but for a constant, a shape, or a mask."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_edu.checking.truth import is_scalar
from tinygrad_edu.diagnosis import advice
from tinygrad_edu.diagnosis import statements as say
from tinygrad_edu.diagnosis.claims import Claim, Finding
from tinygrad_edu.diagnosis.differences import Pair
from tinygrad_edu.diagnosis.evidence import Case
from tinygrad_edu.diagnosis.parts import near, untransposed
from tinygrad_edu.sheets.syntax import Expr


def other_shape(case: Case) -> Iterator[Finding]:
    """The right numbers in another shape."""
    if case.fits or not case.computable:
        return
    shape, wanted = np.shape(case.lines[-1]), case.truths[-1].shape
    sums = any(e.function in ("sum", "mean", "squeeze") for e in case.line_parts)
    both = say.shapes(shape, wanted)
    if len(shape) < len(wanted) and sums:
        yield Finding("missing_keepdims", (say.reshaped(), both), advice=advice.KEEPDIMS)
    if len(shape) > len(wanted) and sums:
        yield Finding("wrong_sum_axis", (say.reshaped(), both), advice=advice.KEEPDIMS)
    if len(shape) == len(wanted) == 2:
        yield Finding("missing_transpose", (say.transposed(), both))


def constant(case: Case) -> Iterator[Finding]:
    """Right but for one constant."""
    ratio = case.ratio(case.lines, case.truths) if case.fits else None
    if ratio is None or near(ratio, 1):
        return
    if near(ratio, -1):
        yield Finding("sign", (say.opposite(),))
        return
    times = say.multiple(case.constant(ratio))
    size = abs(ratio)
    yield from _averages(case, size, times)
    for keep in case.roles.keep_probabilities():
        if keep != 1 and any(near(size, x) for x in (keep, 1 / keep, keep**2, 1 / keep**2)):
            yield Finding("dropout_scale", (times, say.is_keep(case.constant(keep))))
    if _nice(case, size):
        yield Finding("constant_factor", (times,))


def _averages(case: Case, size: float, times: Claim) -> Iterator[Finding]:
    """An average that is taken too often, or not at all."""
    averaging = any(e.function == "mean" for e in case.line_parts)
    if averaging and any(near(size * m, 1) for m in case.sizes):
        yield Finding("mean_instead_of_sum", (times, say.summed()), advice=advice.MEAN)
    for m in case.sizes:
        mean = say.averages(case.count(m))
        for power in (1, 2):
            if near(size * m**power, 1) and _divides(case, m):
                yield Finding("one_over_m_twice", (times,), (mean,))
            if near(size, m**power):
                yield Finding("one_over_m_missing", (times, mean))


def _nice(case: Case, size: float) -> bool:
    """Is a constant one a person may have put in? On single numbers any ratio is constant."""
    whole = near(size, round(size)) or near(1 / size, round(1 / size))
    if whole or case.context.constants.written(size) is not None:
        return True
    firsts = {float(t.flat[0]) for t in case.truths}
    return case.truths[0].size > 1 and len(firsts) > 1


def _divides(case: Case, m: float) -> bool:
    """Does a line, or a name it reads, divide by m?"""

    def is_m(e: Expr) -> bool:
        value = case.context.value(e)
        return is_scalar(value) and near(float(value), m)

    for e in case.line_parts:
        value = case.context.value(e)
        if e.function == "mean" or (is_scalar(value) and value and near(abs(1 / float(value)), m)):
            return True
        if e.op == "/" and (
            is_m(e.args[1]) or (e.args[1].op == "*" and any(map(is_m, e.args[1].args)))
        ):
            return True
    return False


def mask(case: Case) -> Iterator[Finding]:
    """Right but for a mask of the forward pass, and perhaps its scale."""
    if not case.fits:
        return
    for key in case.roles.masks:
        name, noun = case.name(key), say.is_mask(key[0])
        yield Finding("dropout_mask_missing", (say.times(name), noun))
        ratio = case.ratio(case.values(case.make("*", case.line, name)), case.truths)
        if ratio is None:
            continue
        times = say.times_up_to(name, case.constant(ratio))
        for keep in case.roles.keep_probabilities():
            if near(abs(ratio), keep) or near(abs(ratio), 1 / keep):
                scale = say.is_keep(case.constant(keep))
                yield Finding("dropout_mask_missing", (times, noun, scale))


def arranged_inside(p: Pair) -> Finding | None:
    """What differs inside a function by how it is arranged only."""
    if p.extra or p.lost or not near(p.coefficient, 1):
        return None
    turned = untransposed(p.a) is untransposed(p.b)
    return Finding("missing_transpose" if turned else "other", (say.differs_in(p.b, p.a),))


def constants_in(case: Case, p: Pair) -> Finding | None:
    """Products that differ in constants only."""
    number = p.coefficient
    for f, power in (*p.extra, *((g, -q) for g, q in p.lost)):
        value = case.context.value(f)
        if not is_scalar(value) or not value:
            return None
        number *= float(value) ** power
    claims: tuple[Claim, ...] = (say.differs_in(p.b, p.a),)
    if near(number, -1):
        return Finding("sign", claims)
    factors = [f for f, _ in (*p.extra, *p.lost)]
    for m in case.sizes:
        named = any(f.op == "name" and near(abs(float(case.context.value(f))), m) for f in factors)
        if not named and not case.averaged(m):
            continue
        mean = (say.averages(case.count(m)),)
        if near(abs(number), m):
            return Finding("one_over_m_missing", claims, mean)
        if near(abs(number) * m, 1):
            return Finding("one_over_m_twice", claims, mean)
    if near(p.coefficient, 1) and p.extra and not p.lost:
        claims = (say.too_many(case.product(p.extra)),)
    if near(p.coefficient, 1) and p.lost and not p.extra:
        claims = (say.lacks(case.product(p.lost)),)
    return Finding("constant_factor", claims)
