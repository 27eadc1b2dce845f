"""Claims about a line as a whole, and what is a constant, a penalty or a state away from it."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.checking.truth import equal, is_scalar
from tinygrad_edu.diagnosis.claims import claim
from tinygrad_edu.diagnosis.evidence import Case
from tinygrad_edu.diagnosis.statements.things import is_gradient
from tinygrad_edu.sheets.syntax import Expr


@claim("Every number of this line has the wrong sign: a minus is lost or added.")
def opposite(case: Case) -> bool:
    return case.fits and case.is_constant(case.number(-1), case.ratio(case.lines, case.truths))


@claim("This line is {c} times the gradient.")
def multiple(case: Case, c: Expr) -> bool:
    return case.fits and case.is_constant(c, case.ratio(case.lines, case.truths))


@claim("No constant makes this line right.")
def no_constant(case: Case) -> bool:
    return case.fits and case.ratio(case.lines, case.truths) is None


@claim("The shape is right and the numbers are not.")
def only_numbers(case: Case) -> bool:
    return case.fits and not case.right(case.line)


@claim("This line has shape {here}, the gradient {there}.")
def shapes(case: Case, here: tuple, there: tuple) -> bool:  # type: ignore[type-arg]
    return case.computable and np.shape(case.lines[-1]) == here and case.truths[-1].shape == there


@claim("This line cannot be computed; the gradient has shape {there}.")
def not_computable(case: Case, there: tuple) -> bool:  # type: ignore[type-arg]
    return case.lines[-1] is None and case.truths[-1].shape == there


@claim("The numbers are right, the shape is not.")
def reshaped(case: Case) -> bool:
    return not case.fits and all(
        v is not None and np.size(v) == t.size and equal(np.reshape(v, t.shape), t)
        for v, t in zip(case.lines, case.truths, strict=True)
    )


@claim("Transposed it is right.")
def transposed(case: Case) -> bool:
    return all(
        v is not None and equal(np.transpose(v), t)
        for v, t in zip(case.lines, case.truths, strict=True)
    )


@claim("Times {f} the line is right.")
def times(case: Case, f: Expr) -> bool:
    return case.right(case.make("*", case.line, f))


@claim("Times {f} it is {c} times the gradient.")
def times_up_to(case: Case, f: Expr, c: Expr) -> bool:
    product = case.values(case.make("*", case.line, f))
    return case.is_constant(c, case.ratio(product, case.truths))


@claim("Plus {t} the line is right.")
def plus(case: Case, t: Expr) -> bool:
    return case.equal(case.total([case.line, t]), case.truths)


@claim("Times the gradient of {q} the line is right.")
def times_gradient(case: Case, q: str) -> bool:
    for key in case.keys(q):
        gradient = case.gradient(key)
        if np.shape(gradient[0]) != case.truths[0].shape or not case.fits:
            continue
        product = [np.asarray(v, float) * d for v, d in zip(case.lines, gradient, strict=True)]
        scaled = [t / case.factor for t in case.truths]
        if case.equal(product, case.truths) or case.equal(product, scaled):
            return True
    return False


@claim("This line is the gradient of {q} itself, but for a constant.")
def line_is_gradient(case: Case, q: str) -> bool:
    return case.fits and is_gradient.test(case, case.line, q)


@claim("This line is a constant times {e}.")
def multiple_of(case: Case, e: Expr) -> bool:
    return case.fits and case.ratio(case.lines, case.values(e)) is not None


# --- scale ----------------------------------------------------------------------------------------


@claim("The forward lines average over {n}.")
def averages(case: Case, n: Expr) -> bool:
    value = case.context.value(n)
    return is_scalar(value) and case.averaged(float(value))


@claim("With np.sum for np.mean it is right.")
def summed(case: Case) -> bool:
    line = case.line
    for e in case.line_parts:
        if e.function == "mean":
            new = case.make(e.op, *e.args, extra=("sum", e.extra[1]))
            line = case.substituted(line, {e: new})
    ratio = case.ratio(case.values(line), case.truths)
    return line is not case.line and case.is_constant(case.number(1), ratio and abs(ratio))


@claim("{p} is the scale of the forward pass' dropout.")
def is_keep(case: Case, p: Expr) -> bool:
    return any(case.is_constant(p, keep) for keep in case.roles.keep_probabilities())


# --- penalties ------------------------------------------------------------------------------------


@claim("The cost has the penalty {term} on {w}.")
def has_penalty(case: Case, term: Expr, w: str) -> bool:
    return case.of[0] == w and any(t is term or case.same(t, term) for t in case.penalty_terms)


@claim("Its share {share} is missing.")
def share_missing(case: Case, share: Expr) -> bool:
    """Of the whole penalty, or of one of its terms."""
    one = [case.penalty_of([term]) for term in case.penalty_terms]
    total = case.total([share])
    shares = [case.penalty, *one]
    return plus.test(case, share) and any(s is not None and case.equal(total, s) for s in shares)


@claim("Its share of the gradient is {share}.")
def is_share(case: Case, share: Expr) -> bool:
    return case.penalty is not None and case.equal(case.total([share]), case.penalty)


@claim("The penalty's share of {dw} is {share}, not {x}.")
def share_is_not(case: Case, dw: str, share: Expr, x: Expr) -> bool:
    if dw != f"d{case.of[0]}" or not is_share(share).holds(case):
        return False
    return plus.test(case, case.make("-", share, x)) or opposite_rest.test(case, x)


@claim("Without {x} the rest of the line has the wrong sign.")
def opposite_rest(case: Case, x: Expr) -> bool:
    if case.penalty is None:
        return False
    rest = case.minus(case.lines, case.total([x]))
    data = case.minus(case.penalty, case.truths)
    return case.equal(rest, data)


@claim("This line has {c} times that.")
def share_times(case: Case, c: Expr) -> bool:
    if case.penalty is None:
        return False
    rest = case.minus(case.lines, case.minus(case.truths, case.penalty))
    return case.is_constant(c, case.ratio(rest, case.penalty))


@claim("It is subtracted here.")
def share_subtracted(case: Case) -> bool:
    return share_times.test(case, case.number(-1))


@claim("The cost has no penalty on {w}.")
def no_penalty(case: Case, w: str) -> bool:
    return case.of[0] == w and not case.penalty_terms


# --- state ----------------------------------------------------------------------------------------


@claim(
    "{w} was already updated when this line reads it: with the {w} of the forward pass it is right."
)
def was_updated(case: Case, w: str) -> bool:
    mapping = {}
    for key in case.line.names:
        original = [k for k in case.context.forward_keys if k[0] == key[0]]
        if original and key not in case.context.graph.values:
            mapping[case.name(key)] = case.name(original[-1])
    named = any(name.extra[0] == w for name in mapping)
    return named and case.right(case.substituted(case.line, mapping))


@claim("= overwrites the share that these entries hold already: added to it, the line is right.")
def overwritten(case: Case) -> bool:
    return only_overwrites(case) and not index_repeats(case)


@claim("The index names an entry more than once: with np.add.at, which adds all, it is right.")
def repeated(case: Case) -> bool:
    return only_overwrites(case) and index_repeats(case)


def only_overwrites(case: Case) -> bool:
    """Is ``NAME[index] = new`` wrong only in that the share should be added?"""
    return case.line.op == "setitem" and case.right(adding(case))


def adding(case: Case) -> Expr:
    """``NAME[index] = new`` as a line that adds up."""
    old, *index, new = case.line.args
    before = case.make("index", old, *index)
    if new.op == "+" and before in new.args:
        new = new.args[1] if new.args[0] is before else new.args[0]
    return case.make("addat", old, *index, new)


def index_repeats(case: Case) -> bool:
    """Does the index of ``NAME[index] = new`` name an entry more than once?"""
    parts = []
    for part in case.line.args[1:-1]:
        value = case.context.value(part)
        if isinstance(value, (list, np.ndarray)) and np.asarray(value).dtype.kind in "iu":
            parts.append(np.ravel(value))
    rows = np.stack(np.broadcast_arrays(*parts), axis=1) if parts else np.zeros((0, 0))
    return len(np.unique(rows, axis=0)) < len(rows)
