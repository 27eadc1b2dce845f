"""All kinds of claims that may be made of a wrong line: the sentence, and how it is tested.

A test is asked of a `Case` and answers for all of its points. What "the line is right" means is the
same everywhere: equal, in value and shape, to the true gradient with all claims above it true.
"""

from __future__ import annotations

import numpy as np

from tinygrad_edu.checking.formula import Expr, names_in, nodes
from tinygrad_edu.checking.links import Link
from tinygrad_edu.checking.parts import Factors, kind_of_product, summands
from tinygrad_edu.checking.sheet import Key
from tinygrad_edu.checking.truth import equal, is_scalar
from tinygrad_edu.core.value import Value
from tinygrad_edu.diagnosis.claims import claim
from tinygrad_edu.diagnosis.differences import Pair, chain
from tinygrad_edu.diagnosis.evidence import Case, Numbers

# --- the line as a whole --------------------------------------------------------------------------


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


# --- what was changed -----------------------------------------------------------------------------


@claim("With {y} for {x} the line is right.")
def with_for(case: Case, y: Expr, x: Expr) -> bool:
    return any(map(case.right, case.exchanged(x, y)))


@claim("Without {x} the line is right.")
def without(case: Case, x: Expr) -> bool:
    """A factor, a term or several factors of a product left out."""
    if case.equal(case.total([case.line, case.make("neg", x)]), case.truths):
        return True
    gone = case.differences.factors(x)[1]
    return any(map(case.right, case.exchanged(x, case.number(1)))) or _is_right_pair(case, [], gone)


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
    lines = [case.line, *([case.fixed] if case.fixed is not None else [])]
    return case.lab.value(e) is not None or any(x is e for line in lines for _, x in nodes(line))


def _lacks(case: Case, y: Expr) -> bool:
    if case.right(case.make("*", case.line, y)):
        return True
    constant, factors = case.differences.factors(y)
    return _is_right_pair(case, factors, [], constant)


@claim("The factor {x} is too many.")
def too_many(case: Case, x: Expr) -> bool:
    if not _sayable(case, x):
        return False
    constant, factors = case.differences.factors(x)
    return _is_right_pair(case, [], factors, 1 / constant if constant else 1.0) or any(
        map(case.right, case.exchanged(x, case.number(1)))
    )


@claim("{x} stands where {y} belongs.")
def stands_for(case: Case, x: Expr, y: Expr) -> bool:
    return _sayable(case, x) and _sayable(case, y) and _stands_for(case, x, y)


@claim("{x} and {other} stand where {y} belongs.")
def both_for_one(case: Case, x: Expr, other: Expr, y: Expr) -> bool:
    return _stands_for(case, case.make("*", x, other), y)


@claim("{x} stands where {y} and {another} belong.")
def one_for_both(case: Case, x: Expr, y: Expr, another: Expr) -> bool:
    return _stands_for(case, x, case.make("*", y, another))


def _stands_for(case: Case, x: Expr, y: Expr) -> bool:
    if any(map(case.right, case.exchanged(x, y))):
        return True
    (_, extra), (_, lost) = case.differences.factors(x), case.differences.factors(y)
    return _is_right_pair(case, lost, extra)


@claim("{x} and {other} stand where {y} and {another} belong.")
def both_stand_for(case: Case, x: Expr, other: Expr, y: Expr, another: Expr) -> bool:
    return _stands_for(case, case.make("*", x, other), case.make("*", y, another))


@claim("The right line has a matrix product @ more.")
def matmul_more(case: Case) -> bool:
    return case.fixed is not None and case.right(case.fixed) and _matmuls(case.fixed) > _matmuls(
        case.line
    )  # fmt: skip


@claim("The right line has a matrix product @ less.")
def matmul_less(case: Case) -> bool:
    return case.fixed is not None and case.right(case.fixed) and _matmuls(case.fixed) < _matmuls(
        case.line
    )  # fmt: skip


def _matmuls(e: Expr) -> int:
    return sum(kind_of_product(x) == "@" for _, x in nodes(e))


@claim("The right line has {y} where this one has {x}.")
def differs_in(case: Case, y: Expr, x: Expr) -> bool:
    if not (_sayable(case, x) and _sayable(case, y)):
        return False
    bare = case.differences.bare
    return case.fixed is not None and case.right(case.fixed) and any(
        case.lab.same(bare(p.a), bare(x)) and case.lab.same(bare(p.b), bare(y))
        for p in case.differences.pairs
    )  # fmt: skip


@claim("The term {t} is missing.")
def lacks_term(case: Case, t: Expr) -> bool:
    return plus.test(case, t) or (
        _written(case.fixed, t)
        and any(_same_terms(case, p.lost, t) for p in _pairs(case) if p.kind == "terms")
    )


@claim("The term {t} is too many.")
def extra_term(case: Case, t: Expr) -> bool:
    return case.equal(case.total([case.line, case.make("neg", t)]), case.truths) or (
        _written(case.line, t)
        and any(_same_terms(case, p.extra, t) for p in _pairs(case) if p.kind == "terms")
    )


def _written(line: Expr | None, t: Expr) -> bool:
    """Is a term, its sign apart, a part of a line?"""
    unsigned = t.args[0] if t.op == "neg" else t
    return line is not None and any(e is unsigned for _, e in nodes(line))


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


@claim("Its sign is wrong as well.")
def sign_too(case: Case) -> bool:
    ratio = case.ratio(case.lines, case.truths) if case.fits else None
    return (ratio is not None and ratio < 0) or any(p.coefficient < 0 for p in case.pairs)


@claim("The right line sums over axis {axis}.")
def right_sums_over(case: Case, axis: int) -> bool:
    return case.fixed is not None and case.right(case.fixed) and any(
        e.function in ("sum", "mean") and axis in axes(case, e) for _, e in nodes(case.fixed)
    )  # fmt: skip


@claim("This one sums over axis {axis}.")
def sums_over(case: Case, axis: int) -> bool:
    return any(e.function in ("sum", "mean") and axis in axes(case, e) for _, e in nodes(case.line))


@claim("The right line does not sum.")
def right_sums_nothing(case: Case) -> bool:
    return case.fixed is not None and case.right(case.fixed) and not any(
        e.function in ("sum", "mean") for _, e in nodes(case.fixed)
    )  # fmt: skip


@claim("A transpose is missing or too many.")
def transposes(case: Case) -> bool:
    if case.fixed is None or not case.right(case.fixed):
        return False
    mine, right = ([e for _, e in nodes(x) if e.extra == "T"] for x in (case.line, case.fixed))
    return len(mine) != len(right) or set(mine) != set(right)


@claim("The members of {x} are right, their order is not.")
def other_order(case: Case, x: Expr) -> bool:
    return case.fixed is not None and case.right(case.fixed) and any(
        e.op == "list" and e is not x and set(e.args) == set(x.args)
        for _, e in nodes(case.fixed)
    )  # fmt: skip


@claim("The right line is made of the same parts, otherwise arranged.")
def rearranged(case: Case) -> bool:
    return case.fixed is not None and case.right(case.fixed) and not case.differences.pairs


def axes(case: Case, e: Expr) -> tuple[int, ...]:
    """The axes that a sum or mean is over; none where it is over all of them."""
    axis = e.options.get("axis") or (e.positional[1] if len(e.positional) > 1 else None)
    value = None if axis is None else case.lab.value(axis)
    ndim = np.ndim(case.lab.value(e.args[0]))
    return () if value is None or not ndim else tuple(int(v) % ndim for v in np.atleast_1d(value))


def _pairs(case: Case) -> list[Pair]:
    return case.pairs if case.fixed is not None and case.right(case.fixed) else []


def _is_right_pair(case: Case, lost: Factors, extra: Factors, constant: float = 1.0) -> bool:
    """Does the right correction have just these factors more, and the line just those?"""
    split = case.differences.split
    for p in _pairs(case):
        if p.kind != "factors":
            continue
        if split(p.lost, lost)[:2] == ([], []) and split(p.extra, extra)[:2] == ([], []):
            if abs(abs(p.coefficient * constant) - 1) < 1e-6:
                return True
    return False


def _same_terms(case: Case, terms: Factors, t: Expr) -> bool:
    return bool(terms) and case.equal(case.total([e for e, _ in terms]), case.values(t))


# --- scale ----------------------------------------------------------------------------------------


@claim("The forward lines average over {n}.")
def averages(case: Case, n: Expr) -> bool:
    value = case.lab.value(n)
    return is_scalar(value) and case.averaged(float(value))


@claim("With np.sum for np.mean it is right.")
def summed(case: Case) -> bool:
    line = case.line
    for _, e in nodes(case.line):
        if e.function == "mean":
            new = case.make(e.op, *e.args, extra=("sum", e.extra[1]))
            line = case.lab.formulas.substituted(line, {e: new})
    ratio = case.ratio(case.values(line), case.truths)
    return line is not case.line and case.is_constant(case.number(1), ratio and abs(ratio))


@claim("{p} is the scale of the forward pass' dropout.")
def is_keep(case: Case, p: Expr) -> bool:
    return any(case.is_constant(p, keep) for keep in case.roles.keep_probabilities())


# --- penalties ------------------------------------------------------------------------------------


@claim("The cost has the penalty {term} on {w}.")
def has_penalty(case: Case, term: Expr, w: str) -> bool:
    return case.of[0] == w and any(t is term or case.lab.same(t, term) for t in case.penalty_terms)


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


# --- what things are ------------------------------------------------------------------------------


@claim("{f} is the derivative of {a} with respect to {z}.")
def is_derivative(case: Case, f: Expr, a: Expr, z: str) -> bool:
    return any(link.result is a and _has(case, f, link) for link in _links(case, z))


@claim("The derivative of {a} with respect to {z} is {f}.")
def derivative_is(case: Case, a: Expr, z: str, f: Expr) -> bool:
    return any(link.result is a and _has(case, f, link) for link in _links(case, z))


@claim("{symbol}({z}) is missing: the derivative of the activation {a} with respect to {z}, {f}.")
def lacks_derivative(case: Case, symbol: str, z: str, a: Expr, f: Expr) -> bool:
    link = next((x for x in _links(case, z) if x.result is a and _has(case, f, x)), None)
    if link is None or symbol not in ("g'", symbol_of(case, link)):
        return False
    left_out = any(_covers(case, p, f) for p in _pairs(case))
    return left_out or times.test(case, f) or lacks.test(case, f) or _in_quotient(case, f)


def _covers(case: Case, p: Pair, f: Expr) -> bool:
    """Is a formula among what the right line has and this one has not?"""
    factors = case.differences.factors(f)[1]
    return bool(factors) and p.kind == "factors" and not case.differences.split(
        factors, p.lost
    )[0]  # fmt: skip


def _in_quotient(case: Case, f: Expr) -> bool:
    """Is what a part of the line gave way to the same times this?"""
    if case.fixed is None or not case.right(case.fixed):
        return False
    parts = [*chain(case.line, case.fixed), *((p.a, p.b) for p in case.pairs)]
    parts += [(p.extra[0][0], p.lost[0][0]) for p in case.pairs if len(p.extra) == len(p.lost) == 1]
    return any(case.lab.same(case.make("*", a, f), b) for a, b in parts)


def symbol_of(case: Case, link: Link) -> str:
    """How the lecture writes the derivative of an activation: σ', tanh', ReLU', else g'."""
    if link.before[1] >= 0:
        p = case.lab.name(link.before)
        for name, g in (("sigmoid", "σ'"), ("tanh", "tanh'"), ("relu", "ReLU'")):
            if case.lab.same(link.result, case.lab.formulas.call(name, p)):
                return g
    return "g'"


def _links(case: Case, z: str) -> list[Link]:
    return [link for link in case.lab.activations if link.before[0] == z and link.forms]


def _has(case: Case, f: Expr, link: Link) -> bool:
    """Has a formula the values of a link's derivative?"""
    return all(
        v is not None and equal(np.asarray(v) * 1.0, np.asarray(w))
        for v, w in zip(case.values(f), [link.values[i] for i in case.points], strict=True)
    )


@claim("{x} is what the derivative of {g} would be here.")
def other_derivative(case: Case, x: Expr, g: str) -> bool:
    return any(
        case.equal(_floats(case, x), _floats(case, form))
        for link in case.lab.activations
        for form in forms_of(case, link).get(g, ())
    )


def _floats(case: Case, e: Expr) -> Numbers:
    return [None if v is None else np.asarray(v) * 1.0 for v in case.values(e)]


def forms_of(case: Case, link: Link) -> dict[str, list[Expr]]:
    """What the derivatives of other activations would be in the place of a link's."""
    make, call = case.make, case.lab.formulas.call
    one, two, zero = map(case.number, (1, 2, 0))
    n, p, named = link.result, case.lab.name(link.before), case.lab.name(link.within)
    above = make(">", p, zero)
    leaky = [call("where", above, one, case.number(slope)) for slope in (0.01, 0.1, 0.2)]
    return {
        "a sigmoid": [make("*", a, make("-", one, a)) for a in (n, named, call("sigmoid", p))],
        "a tanh": [make("-", one, make("**", a, two)) for a in (n, named, call("tanh", p))],
        "a ReLU": [above, make(">", n, zero), make(">=", p, zero), make("*", above, one)],
        "a leaky ReLU": leaky,
    }


@claim("With {z} for {u}, {x} would be the derivative of {a}.")
def right_at(case: Case, z: Expr, u: Expr, x: Expr, a: Expr) -> bool:
    put = case.lab.formulas.substituted(x, {u: z})
    return put is not x and any(
        link.result is a and _has(case, put, link) for link in case.lab.activations
    )


@claim("{x} has the form of the derivative of {a}, taken at {u}.")
def form_at(case: Case, x: Expr, a: Expr, u: Expr) -> bool:
    return any(
        link.result is a and case.lab.same(case.lab.formulas.substituted(form, {inner: u}), x)
        for link in case.lab.activations
        for form, inner in patterns(case, link)
    )


def patterns(case: Case, link: Link) -> list[tuple[Expr, Expr]]:
    """Ways to write a link's derivative, each with the quantity it is taken at."""
    found = [(form, case.lab.name(next(iter(names_in(form))))) for form in _in_one_name(case, link)]
    return found + [(form, link.result) for form in link.forms if form is not link.result]


def _in_one_name(case: Case, link: Link) -> list[Expr]:
    forms = list(link.forms)
    for statement in case.lab.sheet.forward:
        if statement.key == link.after and names_in(statement.expr) == {link.before}:
            put = {case.lab.name(link.after): statement.expr}
            forms += [case.lab.formulas.substituted(form, put) for form in link.forms]
    return [form for form in forms if len(names_in(form)) == 1]


@claim("{x} is the activation itself, of {u}.")
def is_activation(case: Case, x: Expr, u: Expr) -> bool:
    for link in case.lab.activations:
        made = next((s for s in case.lab.sheet.forward if s.key == link.after), None)
        names = (link.result, case.lab.name(link.within))
        if u is case.lab.name(link.before) and any(case.lab.same(x, n) for n in names):
            return True
        if made is not None and link.before in names_in(made.expr):
            put = {case.lab.name(link.before): u}
            if case.lab.same(case.lab.formulas.substituted(made.expr, put), x):
                return True
    return False


@claim("{q} is read in {n} places of the forward lines, and the shares of all add up.")
def read_often(case: Case, q: str, n: int) -> bool:
    return case.of[0] == q and case.uses() == n > 1


@claim("{q} is divided by a deviation that is made of it.")
def is_normalised(case: Case, q: str) -> bool:
    return case.of[0] == q and case.normalised


@claim("{w} is a weight of the forward pass.")
def is_weight(case: Case, w: str) -> bool:
    return any(key in case.roles.matrices for key in case.keys(w))


@claim("{e} is the gradient of {q}, but for a constant.")
def is_gradient(case: Case, e: Expr, q: str) -> bool:
    values = case.values(e)
    return any(case.ratio(values, case.gradient(key)) is not None for key in case.keys(q))


@claim("{d} is a mask that the forward pass multiplies with.")
def is_mask(case: Case, d: str) -> bool:
    return any(key in case.roles.masks for key in case.keys(d))


@claim("{g} is the gain that what is normalised is multiplied with.")
def is_gain(case: Case, g: str) -> bool:
    return case.roles.normalises() and any(
        key in case.roles.parameters
        and key not in case.roles.matrices
        and (f"d{key[0]}" in case.lab.sheet.claims or case.roles.scales(key))
        for key in case.keys(g)
    )


@claim("{p} is a softmax: over axis {axis} its numbers are positive and add up to 1.")
def is_softmax(case: Case, p: str, axis: int) -> bool:
    return any(
        all(bool(np.all(v >= 0)) for v in _arrays(case, key)) and _adds_to_one(case, key, axis)
        for key in case.keys(p)
    )


@claim("{p} adds up to 1 over axis {axis}.")
def adds_to_one(case: Case, p: str, axis: int) -> bool:
    return any(_adds_to_one(case, key, axis) for key in case.keys(p))


@claim("{p} does not add up to 1 over axis {axis}.")
def not_to_one(case: Case, p: str, axis: int) -> bool:
    return not adds_to_one.test(case, p, axis)


def _arrays(case: Case, key: Key) -> list[np.ndarray]:
    return [np.asarray(v, float) for v in case.values(case.lab.name(key))]


def _adds_to_one(case: Case, key: Key, axis: int) -> bool:
    return all(v.ndim > axis and np.allclose(v.sum(axis=axis), 1.0) for v in _arrays(case, key))


@claim("This line is a constant times the gradient of {p} times {form}, element by element.")
def diagonal(case: Case, p: str, form: Expr) -> bool:
    return case.fits and any(
        case.ratio(case.lines, _times(case.gradient(key), case.values(form))) is not None
        for key in case.keys(p)
    )


def _times(x: Numbers, y: Numbers) -> Numbers:
    return [
        None if b is None or np.shape(a) != np.shape(b) else np.asarray(a) * np.asarray(b)
        for a, b in zip(x, y, strict=True)
    ]


@claim("{x} is not the derivative of {q} with respect to {z}.")
def not_derivative(case: Case, x: Expr, q: str, z: str) -> bool:
    """Of what follows element by element: the gradient of Q times it is not that of Z."""
    if case.of[0] != z:
        return False
    for key in case.keys(q):
        product = _times(case.gradient(key), case.values(x))
        if case.elementwise(key) and case.ratio(product, case.gradient(case.of)) is None:
            return True
    return False


# --- state ----------------------------------------------------------------------------------------


@claim(
    "{w} was already updated when this line reads it: with the {w} of the forward pass it is right."
)
def was_updated(case: Case, w: str) -> bool:
    mapping = {}
    for key in names_in(case.line):
        original = [k for k in case.lab.forward_keys if k[0] == key[0]]
        if original and key not in case.lab.points[0].graph.values:
            mapping[case.lab.name(key)] = case.lab.name(original[-1])
    named = any(name.extra[0] == w for name in mapping)
    return named and case.right(case.lab.formulas.substituted(case.line, mapping))


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
        value = case.lab.value(part)
        if isinstance(value, (list, np.ndarray)) and np.asarray(value).dtype.kind in "iu":
            parts.append(np.ravel(value))
    rows = np.stack(np.broadcast_arrays(*parts), axis=1) if parts else np.zeros((0, 0))
    return len(np.unique(rows, axis=0)) < len(rows)


# --- facts ----------------------------------------------------------------------------------------


@claim("The term {t} is right.")
def term_right(case: Case, t: Expr) -> bool:
    mine = summands(case.lab, case.line)
    rules = [*case.rules[:1], *([case.fixed] if case.fixed is not None else [])]
    return len(mine) > 1 and any(case.lab.same(t, m) for m in mine) and any(
        case.lab.same(t, s) for rule in rules if case.right(rule)
        for s in summands(case.lab, rule)
    )  # fmt: skip


@claim("This line divides by {f}, the right one multiplies with it.")
def divides(case: Case, f: Expr) -> bool:
    return any((f, 1) in p.lost and (f, -1) in p.extra for p in _pairs(case))


@claim("This line multiplies with {f}, the right one divides by it.")
def multiplies(case: Case, f: Expr) -> bool:
    return any((f, -1) in p.lost and (f, 1) in p.extra for p in _pairs(case))


@claim("{x} has shape {shape}.")
def has_shape(case: Case, x: Expr, shape: tuple) -> bool:  # type: ignore[type-arg]
    value = case.lab.value(x, len(case.lab.points) - 1)
    return value is not None and np.shape(value) == shape


@claim("{x} is true everywhere.")
def true_everywhere(case: Case, x: Expr) -> bool:
    return all(v is not None and bool(np.all(v)) for v in case.values(x))


@claim("{x} is {y} without the mask {d}.")
def unmasked(case: Case, x: Expr, y: Expr, d: str) -> bool:
    return is_mask(d).holds(case) and any(
        case.ratio(case.values(case.make("*", x, case.lab.name(key))), case.values(y)) is not None
        and not case.lab.same(case.make("*", x, case.lab.name(key)), x)
        for key in case.keys(d)
    )


@claim("{x} is a name of the backward lines, {y} is not.")
def of_backward(case: Case, x: Expr, y: Expr) -> bool:
    return not _forward(case, x) and _forward(case, y)


def _forward(case: Case, e: Expr) -> bool:
    values = case.lab.points[0].graph.values
    return bool(names_in(e)) and all(
        key in values and (not isinstance(values[key], Value) or not _scratch(case, key))
        for key in names_in(e)
    )


def _scratch(case: Case, key: Key) -> bool:
    return case.roles.role_of_name(key).kind in ("gradient", "scratch")


@claim("{x} is {c} times {y}.")
def is_times(case: Case, x: Expr, c: Expr, y: Expr) -> bool:
    return case.is_constant(c, case.ratio(case.values(x), case.values(y)))
