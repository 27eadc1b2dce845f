"""Factors lost, added or exchanged: what they are is asked of their values."""

from __future__ import annotations

from collections.abc import Iterator

from tinygrad_edu.checking.truth import is_scalar
from tinygrad_edu.diagnosis import advice
from tinygrad_edu.diagnosis import statements as say
from tinygrad_edu.diagnosis.claims import Claim, Finding
from tinygrad_edu.diagnosis.differences import Pair
from tinygrad_edu.diagnosis.evidence import Case
from tinygrad_edu.diagnosis.mistakes.scale import arranged_inside, constants_in
from tinygrad_edu.diagnosis.mistakes.slopes import (
    derivative,
    in_quotient,
    instead_of,
    is_derivative,
    lacking,
)
from tinygrad_edu.diagnosis.mistakes.words import exchanged
from tinygrad_edu.diagnosis.parts import Factors, is_word, kind_of_product, near, untransposed
from tinygrad_edu.sheets.syntax import ORDERING, Expr, walk
from tinygrad_edu.words import together

#: Names that do not count where another mistake is found beside them.
_LESSER = ("constant_factor", "sign", "other")


def differing(case: Case) -> Iterator[Finding]:
    """Factors lost or added, the same kind wherever the formulas differ."""
    pairs = case.pairs
    if not pairs or any(p.kind != "factors" for p in pairs):
        return
    findings = [f for p in pairs if (f := _first(case, p)) is not None]
    if len(findings) < len(pairs):
        return
    names = list(dict.fromkeys(f.mistake for f in findings))
    weighty = [name for name in names if name not in _LESSER]
    one = names if len(names) == 1 else weighty
    claims = dict.fromkeys(c for f in findings for c in f.claims)
    also = dict.fromkeys(c for f in findings for c in f.also)
    advised = together("note.space", *dict.fromkeys(f.advice for f in findings if f.advice))
    yield Finding(one[0] if len(one) == 1 else "other", tuple(claims), tuple(also), advised)


def _first(case: Case, p: Pair) -> Finding | None:
    return next((f for f in _factor(case, p) if f.holds(case)), None)


def _factor(case: Case, p: Pair) -> Iterator[Finding]:
    lost, extra = (
        [f for f in part if case.context.constant(f[0]) is None] for part in (p.lost, p.extra)
    )
    if not lost and not extra:
        found = arranged_inside(p) or constants_in(case, p)
        if found is not None:
            yield found
        return
    numbers = all(is_scalar(case.context.value(f)) for f, _ in (*p.lost, *p.extra))
    if len(p.lost) == len(p.extra) == 1 and numbers and not (lost and extra):
        yield Finding("other", (exchange(case, p, p.extra, p.lost),))
    elif not extra:
        yield from missing(case, lost, p)
    elif not lost:
        yield from _too_many(case, extra)
    else:
        yield from _exchanged(case, p, lost, extra)


def missing(case: Case, arrays: Factors, p: Pair) -> Iterator[Finding]:
    """What factors are that the line leaves out."""
    roles = case.roles
    gone = _gone(case, p)
    bare = [untransposed(f) for f, _ in arrays]
    if len(bare) == 1 and bare[0].op == "name" and roles.is_gain(bare[0].extra):
        yield Finding("batchnorm_missing_term", (*gone, say.is_gain(bare[0].extra[0])))
    yield from _derivatives(case, arrays)
    multiplied = (untransposed(f) for f, power in arrays if power > 0)
    upstream = next(filter(roles.is_gradient, multiplied), None)
    kinds = {key: roles.kind(key) for key in map(roles.quantity, bare) if key is not None}
    names = [f.extra[0] for f in bare if f.op == "name"]
    if upstream is None and "mask" in kinds.values():
        yield Finding("dropout_mask_missing", (*gone, *(say.is_mask(n) for n in names[:1])))
    for key, kind in kinds.items():
        if kind == "weight":
            yield Finding("missing_weight_factor", gone, (say.is_weight(key[0]),))
    if upstream is not None:
        yield Finding("missing_upstream_factor", gone, tuple(_what_follows(case, upstream)))
    yield from _by_place(case, p, arrays, gone)


def _gone(case: Case, p: Pair) -> tuple[Claim, ...]:
    """What is missing, with its constant; of one term of several the term is told."""
    factors, differs = list(p.lost), say.differs_in(p.b, p.a)
    if not p.coefficient:  # 0 * x
        return (differs,)
    if abs(abs(p.coefficient) - 1) > 1e-9:
        factors = [(case.constant(abs(1 / p.coefficient)), 1), *factors]
    several = {2: say.lacks_both, 3: say.lacks_three}
    lacks = say.lacks(case.product(factors))
    if not lacks.holds(case) and len(factors) in several and all(q > 0 for _, q in factors):
        lacks = several[len(factors)](*(f for f, _ in factors))
    if not lacks.holds(case):
        return (differs,)
    whole = p.a is case.differences.bare(case.line) or not differs.holds(case)
    return (lacks,) if whole else (lacks, differs)


def _derivatives(case: Case, factors: Factors) -> Iterator[Finding]:
    """The derivative of an activation is what is left out, or part of it."""
    multiplied = (untransposed(f) for f, power in factors if power > 0)
    for activation in map(case.roles.derivative, [case.product(factors), *multiplied]):
        if activation is not None:
            yield lacking(case, activation)


def _what_follows(case: Case, f: Expr) -> list[Claim]:
    """Which gradient a formula is, of what is computed from the quantity."""
    keys = (key for key in case.context.forward_keys if key != case.of)
    claims = (say.is_gradient(f, key[0]) for key in keys if case.roles.made_from(key, case.of))
    found = next((claim for claim in claims if claim.holds(case)), None)
    return [] if found is None else [found]


def _by_place(case: Case, p: Pair, arrays: Factors, gone: tuple[Claim, ...]) -> Iterator[Finding]:
    """What is left out by where it stands: a slope, a mask, a weight, what follows, an input."""
    roles, of, whole = case.roles, case.of, case.product(arrays)
    inside = next((k for f, q in arrays if q > 0 and (k := roles.contains_derivative(f))), None)
    own = (x for x in case.context.curved if x.before == of)
    sloped = (x for x in own if roles.ratio(whole, x.forms[0]) is not None)
    activation = inside or next(sloped, None)
    if activation is not None:
        yield Finding("missing_activation_derivative", (*gone, derivative(activation)))
    if any(e.op in ORDERING for e in walk(whole)):
        yield Finding("missing_activation_derivative", gone, advice=advice.PASSED)
    names = [f for f, _ in arrays if f.op == "name"]
    if of not in roles.parameters or not any(_beside(case, f) for f, _ in arrays):
        for f in names:
            if f.extra in roles.parameters:
                yield Finding("missing_weight_factor", gone, (say.is_weight(f.extra[0]),))
    reached = any(roles.is_gradient(f) for f, _ in p.kept)
    if not reached and any(roles.made_from(f.extra, of) for f in names if (f, -1) not in p.kept):
        yield Finding("missing_upstream_factor", gone)
    input_left_out = any(q > 0 and (is_word(f) or _beside(case, f)) for f, q in arrays)
    yield Finding("missing_input_factor" if input_left_out else "other", gone)


def _beside(case: Case, f: Expr) -> bool:
    """Does a forward line multiply this with the very quantity the gradient is of?"""
    own = case.name(case.of)
    products = (e for e in case.context.written if kind_of_product(e) is not None)
    return any({own, f} <= {x for a in e.args[:2] for x in walk(a)} for e in products)


def _too_many(case: Case, extra: Factors) -> Iterator[Finding]:
    """What factors are that do not belong in the line."""
    roles = case.roles
    whole = case.product(extra)
    gone = (say.too_many(whole),)
    derived = roles.derivative(whole)
    if derived is not None:
        noun = is_derivative(whole, derived)
        yield Finding("extra_activation_derivative", (*gone, noun), advice=advice.ONCE)
    activations = case.context.activations
    activated = {activation.after for activation in activations} | {
        k for k in case.context.forward_keys if roles.is_softmax(k)
    }
    for f, power in extra:
        key = roles.quantity(f)
        kind = None if key is None else roles.kind(key)
        if power > 0 and kind == "forward":
            if key in activated:
                yield Finding("extra_activation_derivative", gone)
            elif any(key == activation.before for activation in activations):
                yield Finding("multiplied_by_Z", gone, advice=advice.AT)
        if kind == "mask":
            yield Finding("dropout_mask_missing", gone)
    if roles.contains_derivative(whole) is not None or any(f.names & activated for f, _ in extra):
        yield Finding("extra_activation_derivative", gone)
    yield Finding("other", gone)


def exchange(case: Case, p: Pair, extra: Factors, lost: Factors) -> Claim:
    """Factors stand where others belong, said so that it can be read."""
    whole = say.stands_for(case.product(extra), case.signed(p, case.product(lost)))
    mine, right = [f for f, _ in extra], [f for f, _ in lost]
    kinds = {
        (2, 1): say.both_for_one, (1, 2): say.one_for_both, (2, 2): say.both_stand_for,
    }  # fmt: skip
    kind = kinds.get((len(mine), len(right)))
    if (
        kind is None
        or p.coefficient < 0
        or whole.holds(case)
        or any(q < 0 for _, q in (*extra, *lost))
    ):
        return whole
    return kind(*mine, *right)


def _exchanged(case: Case, p: Pair, lost: Factors, extra: Factors) -> Iterator[Finding]:
    """Factors where others belong."""
    roles = case.roles
    x, y = case.product(extra), case.signed(p, case.product(lost))
    put = (exchange(case, p, extra, lost),)
    ratio = roles.ratio(x, y)
    if ratio is not None:
        name = "sign" if near(ratio, -1) else "constant_factor"
        yield Finding(name, (*put, say.is_times(x, case.constant(ratio), y)))
    yield from exchanged(case, x, y)
    yield from in_quotient(case, x, y)
    for f, power in extra:
        if (f, -power) in lost:
            yield Finding("other", (say.divides(f) if power < 0 else say.multiplies(f),))
    if any(power < 0 for _, power in (*lost, *extra)):
        yield Finding("other", put)
    up = any(roles.is_gradient(f) for f, _ in lost)
    further = up and any(roles.is_gradient_like(f) for f, _ in extra)
    yield from _other_words(case, lost, extra, further, put)
    yield from _other_slopes(case, lost, extra, put)
    if further:  # what lies between the two is left out
        yield Finding("missing_upstream_factor", put)
    yield Finding("other", put)


def _other_words(
    case: Case, lost: Factors, extra: Factors, further: bool, put: tuple[Claim, ...]
) -> Iterator[Finding]:
    """Names, or gradients, where others belong."""
    words = len(extra) == len(lost) and all(is_word(f) for f, _ in (*extra, *lost))
    if words and len(lost) == 2:
        (f, _), (g, _), (h, _), (i, _) = *extra, *lost
        yield Finding("wrong_layer_variable", (say.both_stand_for(f, g, h, i),))
    if words or (len(lost) == len(extra) == 1 and further):
        yield Finding("wrong_layer_variable", put)


def _other_slopes(
    case: Case, lost: Factors, extra: Factors, put: tuple[Claim, ...]
) -> Iterator[Finding]:
    """Something else where the derivative of an activation belongs, among other factors."""
    roles, x, y = case.roles, case.product(extra), case.product(lost)
    inside = roles.contains_derivative(y)
    if inside is not None:
        yield from instead_of(case, inside, x, y, (x, y))
    for activation in case.context.curved if len(lost) == len(extra) == 1 else ():
        if activation.before == case.of and roles.ratio(y, activation.forms[0]) is not None:
            yield Finding("wrong_derivative_formula", put, (derivative(activation),))
    for found in _derivatives(case, lost):
        yield Finding(found.mistake, found.claims, put)


def of_what_follows(case: Case) -> Iterator[Finding]:
    """Times one known gradient, or one derivative, the whole line is right."""
    if not case.fits:
        return
    for activation in case.context.curved:
        yield Finding(
            "missing_activation_derivative",
            (say.times(activation.forms[0]), derivative(activation)),
        )
    for key in case.context.forward_keys:
        if key != case.of and case.context.computed(key):
            yield Finding("missing_upstream_factor", (say.times_gradient(key[0]),))
