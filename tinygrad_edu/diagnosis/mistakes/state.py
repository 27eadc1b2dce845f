"""Right formulas of the wrong state: an updated weight, a share that is overwritten, a softmax."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from tinygrad_edu.diagnosis import advice
from tinygrad_edu.diagnosis import statements as say
from tinygrad_edu.diagnosis.claims import Finding
from tinygrad_edu.diagnosis.evidence import Case
from tinygrad_edu.sheets.syntax import show


def updated(case: Case) -> Iterator[Finding]:
    """A weight read after the learner's own update of it."""
    for name in sorted({name for name, _ in case.line.names}):
        yield Finding("updated_weights", (say.was_updated(name),), advice=advice.UPDATE)


def overwritten(case: Case) -> Iterator[Finding]:
    """A share that replaces what it is to be added to."""
    yield Finding("lost_accumulation", (say.overwritten(),))
    yield Finding("lost_accumulation", (say.repeated(),))


def accumulated(case: Case) -> str:
    """``NAME[index] = new`` as a line that adds up, repeated indices too."""
    old, *index, new = say.adding(case).args
    where = ", ".join(show(part) for part in index)
    if say.index_repeats(case):
        return f"np.add.at({show(old)}, {f'({where})' if len(index) > 1 else where}, {show(new)})"
    sign, new = ("-", new.args[0]) if new.op == "neg" else ("+", new)
    return f"{show(old)}[{where}] {sign}= {show(new)}"


def softmax_axis(case: Case) -> Iterator[Finding]:
    """A forward softmax over another axis than the targets' one."""
    for given in case.context.sheet.givens.values():
        if given.kind not in ("onehot", "probabilities"):
            continue
        axis = int(given.options[0]) % len(given.shape)
        y, axes = case.context.formulas.name(given.name, 0), range(len(given.shape))
        for key, over in itertools.product(sorted(case.line.names), axes):
            claims = (
                say.adds_to_one(key[0], over),
                say.not_to_one(key[0], axis),
                say.adds_to_one(given.name, axis),
                say.multiple_of(case.make("-", case.name(key), y)),
            )
            yield Finding("forward_softmax_axis", claims, advice=advice.CLASSES)


def softmax_diagonal(case: Case) -> Iterator[Finding]:
    """A softmax taken for a function of each element alone."""
    context, one = case.context, case.number(1)
    for key in filter(case.roles.is_softmax, context.forward_keys):
        name, p = context.name(key), key[0]
        other = case.make("-", one, name)
        square = case.make("-", one, case.make("**", name, case.number(2)))
        for axis in range(np.ndim(context.plain[key])):
            softmax = say.is_softmax(p, axis)
            claims = (softmax, say.line_is_gradient(p))
            yield Finding("missing_activation_derivative", claims, advice=advice.SOFTMAX)
            for form in (case.make("*", name, other), other, name, square):
                claims = (softmax, say.diagonal(p, form))
                yield Finding("softmax_jacobian_diagonal_only", claims, advice=advice.SOFTMAX)
