"""Right formulas of the wrong state: an updated weight, a share that is overwritten, a softmax."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu.diagnosis import advice
from tinygrad_edu.diagnosis import statements as say
from tinygrad_edu.diagnosis.claims import Finding
from tinygrad_edu.diagnosis.evidence import Case
from tinygrad_edu.sheets.syntax import Expr, names_in, show


def updated(case: Case) -> Iterator[Finding]:
    """A weight read after the learner's own update of it."""
    for key in sorted(names_in(case.line)):
        if key not in case.context.graph.values and case.keys(key[0]):
            yield Finding("updated_weights", (say.was_updated(key[0]),), advice=advice.UPDATE)


def overwritten(case: Case) -> Iterator[Finding]:
    """A share that replaces what it is to be added to."""
    if case.line.op == "setitem":
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


def _adds_to_one(p: Any) -> int | None:
    """The axis over which numbers add up to 1, if there is one."""
    return next((a for a in range(np.ndim(p)) if np.allclose(np.sum(p, axis=a), 1.0)), None)


def softmax_axis(case: Case) -> Iterator[Finding]:
    """A forward softmax over another axis than the targets' one."""
    for given in case.context.sheet.givens.values():
        if given.kind not in ("onehot", "probabilities") or len(given.shape) < 2:
            continue
        axis = int(given.options[0]) % len(given.shape)
        y = case.context.formulas.name(given.name, 0)
        for key in sorted(names_in(case.line)):
            p = np.asarray(case.context.plain.get(key, 0.0), float)
            if p.shape != given.shape or not case.roles.is_softmax(key):
                continue
            over = _adds_to_one(p)
            if over is None or over == axis:
                continue
            yield Finding(
                "forward_softmax_axis",
                (
                    say.adds_to_one(key[0], over),
                    say.not_to_one(key[0], axis),
                    say.adds_to_one(given.name, axis),
                    say.multiple_of(case.make("-", case.name(key), y)),
                ),
                advice=advice.CLASSES,
            )


def softmax_diagonal(case: Case) -> Iterator[Finding]:
    """A softmax taken for a function of each element alone."""
    context, one = case.context, case.number(1)
    for key in context.forward_keys:
        p = context.plain[key]
        if not case.roles.is_softmax(key) or np.shape(p) != case.truths[0].shape:
            continue
        axis = _adds_to_one(p)
        if axis is None:
            continue
        name = context.name(key)
        other = case.make("-", one, name)
        forms: tuple[Expr, ...] = (
            case.make("*", name, other), other, name,
            case.make("-", one, case.make("**", name, case.number(2))),
        )  # fmt: skip
        yield Finding(
            "missing_activation_derivative",
            (say.is_softmax(key[0], axis), say.line_is_gradient(key[0])),
            advice=advice.SOFTMAX,
        )
        for form in forms:
            yield Finding(
                "softmax_jacobian_diagonal_only",
                (say.is_softmax(key[0], axis), say.diagonal(key[0], form)),
                advice=advice.SOFTMAX,
            )
