"""What the parts of a line are: derivatives, gradients, weights, masks, softmaxes."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.diagnosis.claims import claim
from tinygrad_edu.diagnosis.context import Activation
from tinygrad_edu.diagnosis.evidence import Case, Numbers
from tinygrad_edu.sheets.lines import Key
from tinygrad_edu.sheets.syntax import Expr


@claim("{f} is the derivative of {a} with respect to {z}.")
def is_derivative(case: Case, f: Expr, a: Expr, z: str) -> bool:
    return any(x.result is a and has(case, f, x) for x in activations(case, z))


@claim("The derivative of {a} with respect to {z} is {f}.")
def derivative_is(case: Case, a: Expr, z: str, f: Expr) -> bool:
    return is_derivative.test(case, f, a, z)


def symbol_of(case: Case, activation: Activation) -> str:
    """How the lecture writes the derivative of an activation: σ', tanh', ReLU', else g'."""
    if activation.before[1] >= 0:
        p = case.name(activation.before)
        for name, g in (("sigmoid", "σ'"), ("tanh", "tanh'"), ("relu", "ReLU'")):
            if case.same(activation.result, case.context.formulas.call(name, p)):
                return g
    return "g'"


def activations(case: Case, z: str) -> list[Activation]:
    """The activations of a quantity."""
    return [x for x in case.context.activations if x.before[0] == z and x.forms]


def has(case: Case, f: Expr, activation: Activation) -> bool:
    """Has a formula the values of an activation's derivative?"""
    return case.equal(case.values(f), [activation.values[i] for i in case.samples])


@claim("{x} is what the derivative of {g} would be here.")
def other_derivative(case: Case, x: Expr, g: str) -> bool:
    return any(
        case.equal(case.values(x), case.values(form))
        for activation in case.context.activations
        for form in forms_of(case, activation).get(g, ())
    )


def forms_of(case: Case, activation: Activation) -> dict[str, list[Expr]]:
    """What the derivatives of other activations would be in the place of an activation's."""
    make, call = case.make, case.context.formulas.call
    one, two, zero = map(case.number, (1, 2, 0))
    n, p, named = (activation.result, case.name(activation.before), case.name(activation.within))
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
    put = case.substituted(x, {u: z})
    activations = case.context.activations
    return put is not x and any(g.result is a and has(case, put, g) for g in activations)


@claim("{x} has the form of the derivative of {a}, taken at {u}.")
def form_at(case: Case, x: Expr, a: Expr, u: Expr) -> bool:
    return any(
        activation.result is a and case.same(case.substituted(form, {inner: u}), x)
        for activation in case.context.activations
        for form, inner in patterns(case, activation)
    )


def patterns(case: Case, activation: Activation) -> list[tuple[Expr, Expr]]:
    """Ways to write an activation's derivative, each with the quantity it is taken at."""
    found = [(form, case.name(next(iter(form.names)))) for form in _in_one_name(case, activation)]
    return found + [
        (form, activation.result) for form in activation.forms if form is not activation.result
    ]


def _in_one_name(case: Case, activation: Activation) -> list[Expr]:
    forms = list(activation.forms)
    if activation.made is not None and activation.made.names == {activation.before}:
        put = {activation.result: activation.made}
        forms += [case.substituted(form, put) for form in activation.forms]
    return [form for form in forms if len(form.names) == 1]


@claim("{x} is the activation itself, of {u}.")
def is_activation(case: Case, x: Expr, u: Expr) -> bool:
    for activation in case.context.activations:
        made = activation.made
        names = (activation.result, case.name(activation.within))
        if u is case.name(activation.before) and any(case.same(x, n) for n in names):
            return True
        if made is not None and activation.before in made.names:
            put = {case.name(activation.before): u}
            if case.same(case.substituted(made, put), x):
                return True
    return False


@claim("{q} is read in {n} places of the forward lines, and the shares of all add up.")
def read_often(case: Case, q: str, n: int) -> bool:
    return case.forked == (q, n) and n > 1


@claim(
    "{q} is read in {n} places of the forward lines, and what is missing is the share of one of "
    "them: the shares of all add up."
)
def lacks_use(case: Case, q: str, n: int) -> bool:
    missing = case.minus(case.truths, case.lines)
    read = case.of[0] == q and case.uses() == n > 1
    return read and any(case.equal(missing, s) for s in case.shares)


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
    return any(map(case.roles.is_gain, case.keys(g)))


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
    return [np.asarray(v, float) for v in case.values(case.name(key))]


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
