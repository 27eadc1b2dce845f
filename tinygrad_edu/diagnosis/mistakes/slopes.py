"""The derivative of an activation: another formula, another argument, once too often."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from tinygrad_edu.diagnosis import advice
from tinygrad_edu.diagnosis import statements as say
from tinygrad_edu.diagnosis.claims import Claim, Finding
from tinygrad_edu.diagnosis.context import Activation
from tinygrad_edu.diagnosis.evidence import Case
from tinygrad_edu.diagnosis.mistakes.arrangement import changed
from tinygrad_edu.diagnosis.parts import Factors, all_factors, factors_of, product, subproducts
from tinygrad_edu.sheets.lines import Key
from tinygrad_edu.sheets.syntax import COMPARING, Expr, nodes, walk


def derivative(activation: Activation) -> Claim:
    """What an activation's derivative is."""
    return say.derivative_is(activation.result, activation.before[0], activation.forms[0])


def is_derivative(e: Expr, activation: Activation) -> Claim:
    """A formula is an activation's derivative."""
    return say.is_derivative(e, activation.result, activation.before[0])


def lacking(case: Case, activation: Activation) -> Finding:
    """The derivative of an activation is left out."""
    claim = say.lacks_derivative(
        say.symbol_of(case, activation),
        activation.before[0],
        activation.result,
        activation.forms[0],
    )
    return Finding("missing_activation_derivative", (claim,))


def in_quotient(case: Case, a: Expr, b: Expr) -> Iterator[Finding]:
    """A part that gives way to itself times the derivative of an activation."""
    for activation in case.context.curved:
        if case.same(case.make("*", a, activation.forms[0]), b):
            yield lacking(case, activation)


def at_site(case: Case) -> Iterator[Finding]:
    """One part of the line lacks just the derivative of an activation."""
    for a, b in case.steps[-1:]:
        if b.op == "name" and a.op != "number":
            yield from in_quotient(case, a, b)


def applied_twice(case: Case) -> Iterator[Finding]:
    """A factor that is exactly the derivative of an activation, without which the line is right."""
    for path, e in nodes(case.line) if case.computable else ():
        if e.op != "*" or len(path) > 4:
            continue
        factors = factors_of(e)
        for n in (1, 2):
            for chosen in itertools.combinations(range(len(factors)), n):
                gone = [factors[i] for i in chosen]
                if n == len(factors) or any(power < 0 for _, power in gone):
                    continue
                whole = case.product(gone)
                activation = case.roles.derivative(whole)
                if activation is None:
                    continue
                kept = case.product(f for i, f in enumerate(factors) if i not in chosen)
                if case.right(case.context.formulas.replaced(case.line, path, kept)):
                    claims = (is_derivative(whole, activation), say.without(whole))
                    yield Finding("extra_activation_derivative", claims, advice=advice.ONCE)


def arguments(case: Case) -> Iterator[Finding]:
    """A derivative taken at something else."""
    for p in case.pairs:
        if p.kind != "factors" or len(p.extra) + len(p.lost) > 4:
            continue
        mine, right = (
            sorted({e for f, _ in part for e in walk(f) if e.op == "name"}, key=lambda e: e.number)
            for part in (p.extra, p.lost)
        )
        for a, b in itertools.product(mine, right):
            if a is not b and case.varies(a):
                yield from _argument(case, a, b)


def _argument(case: Case, a: Expr, b: Expr) -> Iterator[Finding]:
    """The part of the line that would be a derivative, taken at b instead of a."""
    parts = list(case.line_parts)
    parts += [x for e in parts if e.op == "*" for x in subproducts(case.context, e)]
    for e in parts:
        if e.op in ("name", "number") or a not in walk(e):
            continue
        put = case.substituted(e, {a: b})
        activation = case.roles.derivative(put)
        if activation is not None:
            at = say.right_at(b, a, e, activation.result)
            yield Finding(_place(case, activation, a.extra), (at,), (derivative(activation),))
            return


def _place(case: Case, activation: Activation, used: Key) -> str:
    """Is a quantity another layer's, or only another point?"""
    mine = used in (activation.before, activation.after, activation.within)
    if not mine and not case.roles.is_gradient_name(case.name(used)):
        for other in case.context.activations:
            if other.before != activation.before and used in (other.before, other.after):
                return "derivative_at_wrong_layer"
    return "derivative_at_wrong_point"


def activated(case: Case) -> Iterator[Finding]:
    """The activation applied to a gradient, where its derivative is to be multiplied with it."""
    context = case.context
    for activation in context.activations:
        made = activation.made
        if activation.before != case.of or made is None or not activation.forms:
            continue
        inner = context.name(activation.before)
        for path, e in nodes(case.line):
            if e.op in ("name", "number") or len(path) > 4:
                continue
            for u in walk(e):
                if u is e or u is inner or not case.varies(u):
                    continue
                if context.same(context.formulas.substituted(made, {inner: u}), e):
                    new = case.make("*", u, activation.forms[0])
                    claims = (say.is_activation(e, u), say.with_for(new, e))
                    yield Finding("g_instead_of_gprime", claims, (derivative(activation),))


def inverted(case: Case) -> Iterator[Finding]:
    """The derivative of an activation as a divisor."""
    for p in case.pairs:
        for f, power in p.lost if p.kind == "factors" else ():
            activation = case.roles.derivative(f) if (f, -power) in p.extra else None
            if activation is not None:
                claims = (is_derivative(f, activation), say.divides(f))
                yield Finding("wrong_derivative_formula", claims)


def other_formula(case: Case) -> Iterator[Finding]:
    """Something else where the derivative of an activation belongs."""
    yield from inverted(case)
    for p in case.pairs:
        if p.kind == "factors" and p.lost and (p.extra or p.kept):
            yield from _with_kept(case, p.lost, p.extra, p.kept)
    for x, y in reversed(case.steps):
        activation = case.roles.derivative(y)
        if activation is not None:
            yield from instead_of(case, activation, x, y, case.steps[-1])
            return


def _with_kept(case: Case, lost: Factors, extra: Factors, kept: Factors) -> Iterator[Finding]:
    """Factors kept may be part of the derivative: ``a`` where ``a * (1 - a)`` belongs."""
    small = [(f, q) for f, q in kept if f.op != "number"]
    for n in (0, 1, 2):
        for chosen in itertools.combinations(small, n):
            if not extra and not chosen:
                continue
            whole = case.product([*lost, *chosen])
            activation = case.roles.derivative(whole)
            x = case.inlined(case.product([*extra, *chosen]))
            if activation is not None and x.op != "number":
                yield from instead_of(case, activation, x, whole, (x, whole))


def instead_of(
    case: Case, activation: Activation, x: Expr, y: Expr, site: tuple[Expr, Expr]
) -> Iterator[Finding]:
    """`x` stands where the derivative `y` belongs; they differ in the parts of `site`."""
    if case.context.constant(x) is not None:
        return
    a, b = site
    right = derivative(activation)
    put: tuple[Claim, ...] = (say.stands_for(x, y),)
    if not put[0].holds(case):
        put = changed(case)
    if a.op == "name" and b.op == "name" and x is not a:
        at = say.right_at(b, a, x, activation.result)
        yield Finding(_place(case, activation, a.extra), (at,), (right,))
    if case.same(x, case.name(activation.before)) and activation.before != activation.after:
        yield Finding("multiplied_by_Z", put, (right,), advice.AT)
    other = case.roles.derivative(x)
    if other is not None and other is not activation:
        yield Finding("derivative_at_wrong_layer", (is_derivative(x, other), *put), (right,))
    for e in [case.name(activation.before), *walk(x)]:
        if e is not x and e.op != "number" and say.is_activation(x, e).holds(case):
            yield Finding("g_instead_of_gprime", (say.is_activation(x, e), *put), (right,))
    for g in say.forms_of(case, activation):
        yield Finding(
            "derivative_of_other_activation", (say.other_derivative(x, g), *put), (right,)
        )
    yield from _argument_or_formula(case, activation, x, y, put)


def _argument_or_formula(
    case: Case, activation: Activation, x: Expr, y: Expr, put: tuple[Claim, ...]
) -> Iterator[Finding]:
    """The right derivative at another point, or another formula of the right quantities."""
    right = derivative(activation)
    factors = all_factors(x)
    rest = [f for f in factors if not case.roles.is_gradient_name(f[0])]
    if rest and len(rest) < len(factors) and case.same(product(case.context, rest), y):
        return  # a right share of a sum
    gradients = [e for e in walk(x) if case.roles.is_gradient_name(e)]
    if x.op != "name" and not activation.masking and gradients:
        yield Finding("derivative_at_wrong_point", put, (right,))
    names = x.names
    if x.op in COMPARING and y.op in COMPARING:
        if names == y.names or names <= {activation.before, activation.within}:
            yield Finding("relu_mask_boundary", put, (right,))
    yield from _other_argument(case, activation, x, put)
    if names & {activation.before, activation.within}:
        yield Finding("wrong_derivative_formula", put, (right,))


def _other_argument(
    case: Case, activation: Activation, x: Expr, put: tuple[Claim, ...]
) -> Iterator[Finding]:
    """The form of the right derivative, taken at something else."""
    right, names = derivative(activation), x.names
    for form, inner in say.patterns(case, activation):
        for u in walk(x):
            if u is inner or u.op == "number" or not case.varies(u):
                continue
            if case.same(case.substituted(form, {inner: u}), x):
                named = u.op == "name"
                kind = _place(case, activation, u.extra) if named else "derivative_at_wrong_point"
                yield Finding(kind, (say.form_at(x, activation.result, u), *put), (right,))
    for used in sorted(names):
        for own in sorted({activation.before, activation.within} - {used}):
            at = say.right_at(case.name(own), case.name(used), x, activation.result)
            yield Finding(_place(case, activation, used), (at,), (right,))


def local(case: Case) -> Iterator[Finding]:
    """The gradient of what follows is right, the derivative it is multiplied with is not."""
    pairs = case.pairs
    if len(pairs) == 1 and pairs[0].kind == "factors" and not (pairs[0].lost and pairs[0].extra):
        return  # a factor too many or too few
    _, factors = case.differences.factors(case.line)
    for key in case.context.forward_keys if len(factors) > 1 else ():
        for at, (f, power) in enumerate(factors) if case.elementwise(key) else ():
            rest = [x for i, x in enumerate(factors) if i != at]
            arrays = [k for x, _ in rest for k in x.names if case.context.depends(case.name(k))]
            if power > 0 and arrays and all(map(case.made_of, arrays)):
                no_slope = say.not_derivative(case.product(rest), key[0], case.of[0])
                claims = (say.is_gradient(f, key[0]), no_slope)
                often = say.read_often(*case.forked)
                yield Finding("wrong_derivative_formula", claims, (often,))
