"""Claims about what gave way to what: factors, terms, names, signs, sums."""

from __future__ import annotations

import re

import numpy as np

from tinygrad_edu.core.value import Value
from tinygrad_edu.diagnosis.claims import claim
from tinygrad_edu.diagnosis.differences import Pair, chain
from tinygrad_edu.diagnosis.edits import REDUCTIONS
from tinygrad_edu.diagnosis.evidence import Case
from tinygrad_edu.diagnosis.parts import Factors, kind_of_product, summands, unsigned
from tinygrad_edu.diagnosis.places import place_above
from tinygrad_edu.diagnosis.statements.things import activations, has, is_mask, symbol_of
from tinygrad_edu.diagnosis.statements.whole import plus, times
from tinygrad_edu.sheets.lines import Key
from tinygrad_edu.sheets.syntax import Expr, is_transposed, show, walk


@claim("With {y} for {x} the line is right.")
def with_for(case: Case, y: Expr, x: Expr) -> bool:
    return any(map(case.right, case.exchanged(x, y)))


@claim("With line {line} as {name} = {right} the line is right.")
def line_as(case: Case, line: int, name: str, right: Expr) -> bool:
    """A scratch line above changed."""
    judged = case.judgement.claim.last
    lines = [s for s in case.context.above(judged) if (s.line, s.name, s.turn) == (line, name, ())]
    return any(case.right(place_above(case.context, s, judged).whole(right)) for s in lines)


@claim("Without {x} the line is right.")
def without(case: Case, x: Expr) -> bool:
    """A factor, a term or several factors of a product left out."""
    if case.equal(case.total([case.line, case.make("neg", x)]), case.truths):
        return True
    return _gave_way(case, x, case.number(1))


@claim("The factor {y} is missing.")
def lacks(case: Case, y: Expr) -> bool:
    return _sayable(case, y) and _lacks(case, y)


@claim("The factors {y} and {z} are missing.")
def lacks_both(case: Case, y: Expr, z: Expr) -> bool:
    return _lacks(case, case.make("*", y, z))


@claim("The factors {x}, {y} and {z} are missing.")
def lacks_three(case: Case, x: Expr, y: Expr, z: Expr) -> bool:
    return _lacks(case, case.make("*", case.make("*", x, y), z))


def _sayable(case: Case, e: Expr) -> bool:
    """Has a formula a value, or is it a part of a line? Else it would be said wrongly."""
    parts = [*case.line_parts, *(x for line in case.corrections for x in walk(line))]
    return case.context.value(e) is not None or e in parts


def _lacks(case: Case, y: Expr) -> bool:
    return case.right(case.make("*", case.line, y)) or _gave_way(case, case.number(1), y)


@claim("The factor {x} is too many.")
def too_many(case: Case, x: Expr) -> bool:
    return _sayable(case, x) and _gave_way(case, x, case.number(1))


@claim("{x} stands where {y} belongs.")
def stands_for(case: Case, x: Expr, y: Expr) -> bool:
    return _sayable(case, x) and _sayable(case, y) and _gave_way(case, x, y)


@claim("{x} and {other} stand where {y} belongs.")
def both_for_one(case: Case, x: Expr, other: Expr, y: Expr) -> bool:
    return _gave_way(case, case.make("*", x, other), y)


@claim("{x} stands where {y} and {another} belong.")
def one_for_both(case: Case, x: Expr, y: Expr, another: Expr) -> bool:
    return _gave_way(case, x, case.make("*", y, another))


@claim("{x} and {other} stand where {y} and {another} belong.")
def both_stand_for(case: Case, x: Expr, other: Expr, y: Expr, another: Expr) -> bool:
    return _gave_way(case, case.make("*", x, other), case.make("*", y, another))


@claim("The right line has more matrix products @.")
def matmul_more(case: Case) -> bool:
    return _matmuls(case.right_parts) > _matmuls(case.line_parts)


@claim("The right line has fewer matrix products @.")
def matmul_less(case: Case) -> bool:
    return bool(case.right_parts) and _matmuls(case.right_parts) < _matmuls(case.line_parts)


def _matmuls(formulas: list[Expr]) -> int:
    return sum(kind_of_product(e) == "@" for e in formulas)


@claim("The right line has {y} where this one has {x}.")
def differs_in(case: Case, y: Expr, x: Expr) -> bool:
    if not (_sayable(case, x) and _sayable(case, y)):
        return False
    bare = case.differences.bare
    return bool(case.right_parts) and any(
        case.same(bare(p.a), bare(x)) and case.same(bare(p.b), bare(y))
        for p in case.differences.pairs
    )


@claim("The term {t} is missing.")
def lacks_term(case: Case, t: Expr) -> bool:
    return plus.test(case, t) or (
        unsigned(t) in case.right_parts
        and any(_same_terms(case, p.lost, t) for p in _pairs(case) if p.kind == "terms")
    )


@claim("The term {t} is too many.")
def extra_term(case: Case, t: Expr) -> bool:
    return case.equal(case.total([case.line, case.make("neg", t)]), case.truths) or (
        unsigned(t) in case.line_parts
        and any(_same_terms(case, p.extra, t) for p in _pairs(case) if p.kind == "terms")
    )


@claim("{x} has the wrong sign: with {y} the line is right.")
def wrong_sign(case: Case, x: Expr, y: Expr) -> bool:
    turned = case.equal(case.values(case.make("neg", x)), case.values(y))
    return turned and any(map(case.right, case.exchanged(x, y)))


@claim("A sign inside {x} is wrong: with {y} the line is right.")
def sign_inside(case: Case, x: Expr, y: Expr) -> bool:
    mine, theirs = case.differences.terms(x), case.differences.terms(y)
    return len(mine) == len(theirs) > 1 and any(map(case.right, case.exchanged(x, y))) and all(
        any(
            abs(a.constant) == abs(b.constant)
            and case.differences.split(a.factors, b.factors)[:2] == ([], [])
            for b in theirs
        )
        for a in mine
    )  # fmt: skip


@claim("The right line sums over axis {axis}.")
def right_sums_over(case: Case, axis: int) -> bool:
    return any(e.function in REDUCTIONS and axis in axes(case, e) for e in case.right_parts)


@claim("This one sums over axis {axis}.")
def sums_over(case: Case, axis: int) -> bool:
    return any(e.function in REDUCTIONS and axis in axes(case, e) for e in case.line_parts)


@claim("The right line does not sum.")
def right_sums_nothing(case: Case) -> bool:
    right = case.right_parts
    return bool(right) and not any(e.function in REDUCTIONS for e in right)


@claim("A transpose is missing or too many.")
def transposes(case: Case) -> bool:
    both = (case.line_parts, case.right_parts)
    mine, right = (list(filter(is_transposed, parts)) for parts in both)
    return bool(case.right_parts) and (len(mine) != len(right) or set(mine) != set(right))


@claim("The members of {x} are right, their order is not.")
def other_order(case: Case, x: Expr) -> bool:
    return any(
        e.op == "list" and e is not x and set(e.args) == set(x.args) for e in case.right_parts
    )


@claim("The right line is made of the same parts, otherwise arranged.")
def rearranged(case: Case) -> bool:
    return bool(case.right_parts) and not case.differences.pairs


@claim("With the brackets elsewhere the line is right.")
def bracketed(case: Case) -> bool:
    line = _unbracketed(case.line)
    return any(_unbracketed(fixed) == line for fixed in filter(case.right, case.corrections))


def _unbracketed(e: Expr) -> str:
    return re.sub(r"[() ]", "", show(e))


def axes(case: Case, e: Expr) -> tuple[int, ...]:
    """The axes that a sum or mean is over; none where it is over all of them."""
    axis = e.options.get("axis") or (e.positional[1] if len(e.positional) > 1 else None)
    value = None if axis is None else case.context.value(axis)
    ndim = np.ndim(case.context.value(e.args[0]))
    return () if value is None or not ndim else tuple(int(v) % ndim for v in np.atleast_1d(value))


def _pairs(case: Case) -> list[Pair]:
    return case.pairs if case.right_parts else []


def _gave_way(case: Case, x: Expr, y: Expr) -> bool:
    """Has the line one factor where the right one has another, constants and signs counted?"""
    if any(map(case.right, case.exchanged(x, y))):
        return True
    split = case.differences.split
    (c, extra), (d, lost) = case.differences.factors(x), case.differences.factors(y)
    return any(
        p.kind == "factors"
        and split(p.lost, lost)[:2] == split(p.extra, extra)[:2] == ([], [])
        and abs(p.coefficient * d - c) < 1e-6 * abs(c)
        for p in _pairs(case)
    )


def _same_terms(case: Case, terms: Factors, t: Expr) -> bool:
    return bool(terms) and case.equal(case.total([e for e, _ in terms]), case.values(t))


@claim("{symbol}({z}) is missing: the derivative of the activation {a} with respect to {z}, {f}.")
def lacks_derivative(case: Case, symbol: str, z: str, a: Expr, f: Expr) -> bool:
    activation = next((x for x in activations(case, z) if x.result is a and has(case, f, x)), None)
    if activation is None or symbol not in ("g'", symbol_of(case, activation)):
        return False
    if activation.masking and any(_is_masked(case, e, f) for e in case.line_parts):
        return False
    left_out = not _is_opaque(case) and any(_covers(case, p, f) for p in _pairs(case))
    return left_out or times.test(case, f) or lacks.test(case, f) or _in_quotient(case, f)


def _is_opaque(case: Case) -> bool:
    """Is a line that reads lines without a claim compared with the rule, which has what is in
    these?"""
    final = case.context.judged.final
    read = (e for e in case.line_parts if e.op == "name" and e.extra not in final)
    by_rule = case.edit is None or case.edit.kind == "rule"
    return by_rule and not all(_forward(case, e) for e in read)


def _is_masked(case: Case, e: Expr, f: Expr) -> bool:
    """Is a part of the line 0 already wherever a mask is, and not by itself?"""
    masked = e.op == "name" and not _forward(case, e) and case.same(case.make("*", e, f), e)
    return masked and not case.same(case.make("*", e, f), f)


def _covers(case: Case, p: Pair, f: Expr) -> bool:
    """Is a formula among what the right line has and this one has not?"""
    factors = case.differences.factors(f)[1]
    return bool(factors) and p.kind == "factors" and not case.differences.split(
        factors, p.lost
    )[0]  # fmt: skip


def _in_quotient(case: Case, f: Expr) -> bool:
    """Is what a part of the line gave way to the same times this?"""
    if case.fixed is None or not case.right_parts:
        return False
    parts = [*chain(case.line, case.fixed), *((p.a, p.b) for p in case.pairs)]
    parts += [(p.extra[0][0], p.lost[0][0]) for p in case.pairs if len(p.extra) == len(p.lost) == 1]
    return any(case.same(case.make("*", a, f), b) for a, b in parts)


# --- facts ----------------------------------------------------------------------------------------


@claim("The term {t} is right.")
def term_right(case: Case, t: Expr) -> bool:
    mine = summands(case.context, case.line)
    rules = [*case.rules[:1], *case.corrections]
    return len(mine) > 1 and any(case.same(t, m) for m in mine) and any(
        case.same(t, s) for rule in rules if case.right(rule)
        for s in summands(case.context, rule)
    )  # fmt: skip


@claim("This line divides by {f}, the right one multiplies with it.")
def divides(case: Case, f: Expr) -> bool:
    return any((f, 1) in p.lost and (f, -1) in p.extra for p in _pairs(case))


@claim("This line multiplies with {f}, the right one divides by it.")
def multiplies(case: Case, f: Expr) -> bool:
    return any((f, -1) in p.lost and (f, 1) in p.extra for p in _pairs(case))


@claim("{x} has shape {shape}.")
def has_shape(case: Case, x: Expr, shape: tuple) -> bool:  # type: ignore[type-arg]
    value = case.context.value(x, len(case.context.samples) - 1)
    return value is not None and np.shape(value) == shape


@claim("{x} is true everywhere.")
def true_everywhere(case: Case, x: Expr) -> bool:
    return all(v is not None and bool(np.all(v)) for v in case.values(x))


@claim("{x} is {y} without the mask {d}.")
def unmasked(case: Case, x: Expr, y: Expr, d: str) -> bool:
    return is_mask(d).holds(case) and any(
        case.ratio(case.values(case.make("*", x, case.name(key))), case.values(y)) is not None
        and not case.same(case.make("*", x, case.name(key)), x)
        for key in case.keys(d)
    )


@claim("{x} is a name of the backward lines, {y} is not.")
def of_backward(case: Case, x: Expr, y: Expr) -> bool:
    return not _forward(case, x) and _forward(case, y)


def _forward(case: Case, e: Expr) -> bool:
    values = case.context.graph.values
    return bool(e.names) and all(
        key in values and (not isinstance(values[key], Value) or not _scratch(case, key))
        for key in e.names
    )


def _scratch(case: Case, key: Key) -> bool:
    return case.roles.kind(key) in ("gradient", "scratch")


@claim("{x} is {c} times {y}.")
def is_times(case: Case, x: Expr, c: Expr, y: Expr) -> bool:
    return case.is_constant(c, case.ratio(case.values(x), case.values(y)))
