"""The mistakes by name, and the order in which a wrong line is looked at for them.

To add a mistake: one entry in `MISTAKES`, a detector in a file of `mistakes`, its place in
`DETECTORS`, and a sheet in tests/sheets. The first finding all of whose claims hold is said.
Numbers come before syntax, what is exact before what is partial, what is specific before what is
general, one difference before several.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from tinygrad_edu.diagnosis import statements as say
from tinygrad_edu.diagnosis.claims import Claim, Finding
from tinygrad_edu.diagnosis.evidence import Case
from tinygrad_edu.diagnosis.mistakes import (
    arrangement,
    factors,
    paths,
    penalty,
    scale,
    slopes,
    state,
    words,
)
from tinygrad_edu.diagnosis.parts import summands
from tinygrad_edu.sheets.syntax import walk
from tinygrad_edu.words import Said, together


@dataclass(frozen=True)
class Mistake:
    """A kind of mistake: its name, the family it belongs to, what happened, an example."""

    name: str
    family: str
    meaning: str
    example: str

    @property
    def said(self) -> Said:
        """The meaning, as a sentence that can be translated."""
        return Said(self.meaning, f"mistake.{self.name}")


def _table() -> tuple[Mistake, ...]:
    scale, chain, slope = "scale", "chain factors", "activation derivative"
    products, shape, reg = "products", "bias and shapes", "regularisation"
    rows = (
        ("one_over_m_twice", scale, "1/m (or a mean) applied again further down",
         "dW1 = dZ1 @ X.T / m / m"),
        ("one_over_m_missing", scale, "the cost is a mean, the gradient a sum", "dW1 = dZ1 @ X.T"),
        ("mean_instead_of_sum", scale, "averaged although 1/m is already inside",
         "db1 = np.mean(dZ1, axis=1, keepdims=True) / m"),
        ("constant_factor", scale, "off by a constant: 2, 1/2, 4, …", "dR = 2 * (R - T)"),
        ("sign", "sign", "a lost or added minus, whole or inside", "dZ2 = Y - A2"),
        ("missing_activation_derivative", chain, "no g'(Z)", "dZ1 = W2.T @ dZ2"),
        ("extra_activation_derivative", chain, "g' where it had already cancelled, or twice",
         "dZ2 = (A2 - Y) * A2 * (1 - A2)"),
        ("missing_upstream_factor", chain, "the derivative of what follows is left out",
         "dz = a * (1 - a)"),
        ("missing_weight_factor", chain, "the weight on the path is left out",
         "dZ1 = dZ2 * (1 - A1**2)"),
        ("missing_input_factor", chain, "the input of the product is left out", "dw = dz"),
        ("derivative_at_wrong_point", slope, "right formula, wrong argument",
         "dZ1 = W2.T @ dZ2 * (1 - Z1**2)"),
        ("derivative_at_wrong_layer", slope, "another layer's Z or A",
         "dZ1 = W2.T @ dZ2 * (1 - A2**2)"),
        ("derivative_of_other_activation", slope, "sigmoid's derivative for a tanh unit, …",
         "dZ1 = W2.T @ dZ2 * A1 * (1 - A1)"),
        ("g_instead_of_gprime", slope, "the activation itself instead of its derivative",
         "dZ1 = W2.T @ dZ2 * np.tanh(Z1)"),
        ("multiplied_by_Z", slope, "g'(Z) read as a product with Z", "dZ1 = W2.T @ dZ2 * Z1"),
        ("wrong_derivative_formula", slope, "1 + a**2, 1 - a, …",
         "dZ1 = W2.T @ dZ2 * (1 + A1**2)"),
        ("relu_mask_boundary", slope, "a mask with >= on the activation is always true",
         "dZ1 = W2.T @ dZ2 * (A1 >= 0)"),
        ("softmax_jacobian_diagonal_only", slope, "softmax treated as element by element",
         "dZ = dP * P * (1 - P)"),
        ("operator_precedence", slope, "brackets that close elsewhere than meant",
         "s = 1 / 1 + np.exp(-Z)"),
        ("forward_softmax_axis", slope, "softmax over the wrong axis in the forward pass",
         "P = E / E.sum(axis=1, keepdims=True)"),
        ("elementwise_instead_of_matmul", products, "* where @ belongs",
         "dZ1 = W2.T * dZ2 * (1 - A1**2)"),
        ("matmul_instead_of_elementwise", products, "@ where * belongs",
         "dZ1 = W2.T @ dZ2 @ (1 - A1**2)"),
        ("missing_transpose", products, "a transpose lost or added", "dW1 = dZ1 @ X / m"),
        ("gradient_instead_of_parameter", "wrong variable", "dW2 for W2",
         "dZ1 = dW2.T @ dZ2 * (1 - A1**2)"),
        ("wrong_layer_variable", "wrong variable", "A2 for A1, …", "dW2 = dZ2 @ X.T / m"),
        ("bias_not_summed", shape, "the sum over examples is missing", "db1 = dZ1 / m"),
        ("sum_without_axis", shape, "summed to one number", "db1 = np.sum(dZ1) / m"),
        ("wrong_sum_axis", shape, "summed over another axis",
         "db1 = np.sum(dZ1, axis=0, keepdims=True) / m"),
        ("missing_keepdims", shape, "the axis that is summed over is lost",
         "db1 = np.sum(dZ1, axis=1) / m"),
        ("bias_from_weight_gradient", shape, "db taken from dW",
         "db1 = np.sum(dW1, axis=1, keepdims=True)"),
        ("broadcast_1d_target", shape, "(m,) against (m, 1)", "dz = a - y"),
        ("missing_reg_term", reg, "the penalty's share is missing", "dW1 = dZ1 @ X.T / m"),
        ("reg_factor", reg, "the penalty's share is off by a constant",
         "dW1 = dZ1 @ X.T / m + 2 * lam * W1"),
        ("reg_sign", reg, "the penalty's share is subtracted", "dW1 = dZ1 @ X.T / m - lam * W1"),
        ("reg_term_wrong", reg, "another term in the place of the penalty's share",
         "dW1 = dZ1 @ X.T / m + lam * W1**2"),
        ("reg_on_bias", reg, "a penalty's share where the cost has none",
         "db1 = np.sum(dZ1, axis=1, keepdims=True) / m + lam * b1"),
        ("dropout_mask_missing", "dropout", "the mask is left out, or applied twice",
         "dA1 = W2.T @ dZ2 / keep"),
        ("dropout_scale", "dropout", "1/keep_prob counted another number of times",
         "dA1 = W2.T @ dZ2 * D1"),
        ("missing_fan_out_term", "several paths", "a value used twice, one path counted",
         "dA = W3.T @ dZ3"),
        ("double_counted_path", "several paths", "a path counted twice",
         "dZ = dR * (1 - A**2) + dR + dR"),
        ("lost_accumulation", "several paths", "a += without effect, or = in its place",
         "dE[i] += dh"),
        ("batchnorm_missing_term", "several paths",
         "one of batch normalisation's three paths, or the gain", "dx = dxhat / s"),
        ("updated_weights", "state", "the updated weight used in the backward pass",
         "W2 = W2 - lr * dW2; dZ1 = W2.T @ dZ2 * (1 - A1**2)"),
        ("other", "none of these", "what is known is said: the ratio, the shape, the terms", ""),
    )  # fmt: skip
    return tuple(Mistake(*row) for row in rows)


#: Every mistake that may be named.
MISTAKES = _table()


def family_of(name: str) -> str | None:
    """The family that a mistake belongs to; None of `other`."""
    return next((mistake.family for mistake in MISTAKES if mistake.name == name), None)


#: Who looks at a wrong line, in this order.
DETECTORS: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    state.updated,
    state.overwritten,
    state.softmax_axis,
    scale.other_shape,
    scale.constant,
    scale.mask,
    penalty.penalty,
    state.softmax_diagonal,
    words.bias_from_weight,
    slopes.applied_twice,
    arrangement.edited,
    slopes.at_site,
    arrangement.column,
    arrangement.branch,
    arrangement.reductions,
    arrangement.arranged,
    slopes.arguments,
    slopes.activated,
    paths.use,
    words.replaced,
    slopes.other_formula,
    arrangement.signs,
    paths.terms,
    slopes.local,
    factors.differing,
    factors.of_what_follows,
)


def found(case: Case) -> Finding | None:
    """The first finding whose claims all hold."""
    findings = itertools.chain.from_iterable(look(case) for look in DETECTORS)
    return next((finding for finding in findings if finding.claims and finding.holds(case)), None)


def named(case: Case) -> tuple[str, str]:
    """The name of a line's mistake, and what is said of it: claims that hold, and advice.

    Where the correction tells nothing, the line is compared with the derived rule.
    """
    finding = found(case)
    if (finding is None or finding.mistake == "other") and case.rules:
        other = case.compared_with(case.rules[0])
        again = found(other)
        if again is not None and again.mistake != "other":
            finding, case = again, other
    if finding is None:
        return "other", together("note.space", *(claim.says for claim in _facts(case)))
    said = [*finding.claims, *(claim for claim in finding.also if claim.holds(case))]
    texts = [claim.says for claim in dict.fromkeys(said)]
    advice = [finding.advice] if finding.advice else []
    return finding.mistake, together("note.space", *texts, *advice)


# --- where no mistake is found -------------------------------------------------------------------

#: More differences between line and correction than this are not told one by one.
_MOST_PAIRS = 3


def _facts(case: Case) -> list[Claim]:
    """What holds of a line, most telling first; the last two where nothing else does."""
    known = [claim for claim in _candidates(case) if claim.holds(case)][:_MOST_PAIRS]
    return known or [
        claim for claim in (say.only_numbers(), say.no_constant()) if claim.holds(case)
    ]


def _candidates(case: Case) -> Iterator[Claim]:
    there = case.truths[-1].shape
    if case.lines[-1] is None:
        yield say.not_computable(there)
        return
    if not case.fits:
        yield say.shapes(np.shape(case.lines[-1]), there)
        return
    pairs = case.pairs
    for p in pairs if len(pairs) <= _MOST_PAIRS else ():
        if p.kind == "terms":
            yield from (say.lacks_term(t) for t, _ in p.lost)
            yield from (say.extra_term(t) for t, _ in p.extra)
        else:
            yield say.differs_in(p.b, p.a)
    for rule in case.rules[:1]:
        mine = walk(case.line)
        yield from (say.term_right(t) for t in summands(case.context, rule)[:6] if t in mine)
